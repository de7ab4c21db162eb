// Properties of the miss queue with the real commit and the real prefetch: no fill after an invalidation or a drop, each request that takes an
// entry is answered once and with what it asked, no entry is lost, and ports that are refused take turns.
//
// Contract: sections 6 (taking an entry), 7 (states, right to fill), 7.1 (merging), 7.4 (commit), 8.5 (drop), 8.6 (prefetch).
// Blocks: rtl/miss_queue.sv, rtl/commit.sv, rtl/prefetch.sv.
//
// Unbounded (induction), for 3 ports, 2 entries, 2 walkers. Walkers and the results of the STLB are any that keep to these rules:
// Assumed: a walker works for what it took, until it commits DONE (walkers_formal.sv), a prefetch never faults and never drops (walker_formal.sv); a result
// is one of an entry that was looked up (stlb_formal.sv); an invalidation or a register write comes only while control is busy (control_formal.sv); look-ups
// in L1 keep to contract 6: none while control is busy, with a drop or with a back-invalidation, none of a port that is answered, no
// hit is answered in the cycle of another answer.
// For the bound on turns alone: a port that was refused is looked up again in each cycle in which another is.
// Not proved: that an entry becomes FREE at all; and a bound without that, because a port that is held up in the cycle in which the one
// before it is served loses its place, as the contract has it (6).

module miss_queue_formal
  import mmu_pkg::*;
(
    input logic         clk_i,
    input logic         rst_ni,
    input lookup_e      lookup_0_i, lookup_1_i, lookup_2_i,
    input logic [63:0]  va_0_i, va_1_i, va_2_i,
    input request_t     request_0_i, request_1_i, request_2_i,
    input logic         stlb_take_i,
    input entry_t       stlb_entry_i,
    input logic         walk_take_i,
    input entry_t       walk_entry_i,
    input logic         prefetch_walk_take_i,
    input logic [1:0]   restart_i,
    input walk_t        walk_0_i, walk_1_i,
    input page_number_t page_0_i, page_1_i,
    input logic [63:0]  leaf_0_i, leaf_1_i,
    input mode_t        mode_i,
    input logic         busy_i,
    input logic         revoke_i,
    input logic         writes_i,
    input logic         back_invalidates_i,
    input logic [1:0]   keeps_evicted_i,
    input logic         passed_over_i,
    input logic         due_i,
    input entry_t       due_entry_i,
    input lookup_e      due_code_i,
    input tlb_tag_t     due_tag_i,
    input tlb_data_t    due_data_i,
    input logic         probe_i,
    input logic         probe_hit_i
);
  localparam int unsigned Ports = 3;
  localparam int unsigned Entries = 2;
  localparam int unsigned Walkers = 2;

  logic         running;
  lookup_e      lookup        [Ports];
  logic [63:0]  lookup_va     [Ports];
  request_t     lookup_request[Ports];
  logic         retry         [Ports];
  logic [63:0]  retry_va      [Ports];
  request_t     retry_request [Ports];
  logic         refused       [Ports];
  logic [1:0]   wants_stlb;
  port_number_t stlb_port;
  page_number_t stlb_page;
  access_t      stlb_access;
  logic [1:0]   wants_walk;
  page_number_t walk_page;
  access_t      walk_access;
  logic         walk_from_cr3;
  owner_t       owner[Walkers];
  commit_t      commit;
  miss_t        commit_miss;
  logic [63:0]  commit_va;
  logic [3:0]   mon_lookup      [Ports];
  logic [3:0]   mon_lookup_entry[Ports];
  logic         mon_lookup_retry[Ports];
  logic [31:0]  mon_miss        [Entries];
  walk_t        walk[Walkers];
  page_number_t walked[Walkers];
  logic [63:0]  leaf[Walkers];
  logic [1:0]   commit_walker;
  page_number_t commit_page;
  logic         respond;
  port_number_t respond_port;
  response_t    response;
  translation_t translation;
  logic [63:0]  fault_va;
  fill_t        l1_fill, stlb_fill;
  tlb_tag_t     fill_tag;
  logic         prefetch_wants_probe, prefetch_wants_walk, prefetch_may_fill;
  page_number_t prefetch_page;
  logic [63:0]  mon_prefetch;

  assign lookup = '{lookup_0_i, lookup_1_i, lookup_2_i};
  assign lookup_va = '{va_0_i, va_1_i, va_2_i};
  assign lookup_request = '{request_0_i, request_1_i, request_2_i};
  assign walk = '{walk_0_i, walk_1_i};
  assign walked = '{page_0_i, page_1_i};
  assign leaf = '{leaf_0_i, leaf_1_i};

  for (genvar w = 0; w < Walkers; w++) begin : gen_owner
    assign owner[w] = walk[w].owner;
  end

  formal_reset u_reset (.clk_i, .rst_ni, .running_o(running));

  miss_queue #(
      .PORTS(Ports), .ENTRIES(Entries), .WALKERS(Walkers)
  ) u_queue (
      .clk_i, .rst_ni, .retry_o(retry), .retry_va_o(retry_va), .retry_request_o(retry_request), .lookup_i(lookup),
      .lookup_va_i(lookup_va), .lookup_request_i(lookup_request), .refused_o(refused), .wants_stlb_o(wants_stlb), .stlb_take_i,
      .stlb_entry_i, .stlb_port_o(stlb_port), .stlb_page_o(stlb_page), .stlb_access_o(stlb_access), .wants_walk_o(wants_walk),
      .walk_take_i, .walk_entry_i, .walk_page_o(walk_page), .walk_access_o(walk_access), .walk_from_cr3_o(walk_from_cr3),
      .restart_i, .owner_i(owner), .commit_i(commit), .commit_miss_o(commit_miss), .commit_va_o(commit_va), .revoke_i,
      .keeps_evicted_i, .mon_lookup_o(mon_lookup), .mon_lookup_entry_o(mon_lookup_entry),
      .mon_lookup_retry_o(mon_lookup_retry), .mon_miss_o(mon_miss)
  );

  commit #(
      .WALKERS(Walkers)
  ) u_commit (
      .clk_i, .rst_ni, .busy_i, .back_invalidates_i, .mode_i, .walk_i(walk), .page_i(walked), .leaf_i(leaf),
      .walker_o(commit_walker), .page_o(commit_page), .passed_over_i, .due_i, .due_entry_i, .due_code_i, .due_tag_i,
      .due_data_i, .miss_i(commit_miss), .va_i(commit_va), .prefetch_may_fill_i(prefetch_may_fill), .commit_o(commit),
      .respond_o(respond), .port_o(respond_port), .response_o(response), .translation_o(translation), .fault_va_o(fault_va),
      .l1_fill_o(l1_fill), .stlb_fill_o(stlb_fill), .fill_tag_o(fill_tag)
  );

  prefetch u_prefetch (
      .clk_i, .rst_ni, .trigger_i(stlb_fill.performs && commit.frees), .page_i(fill_tag.page_number),
      .page_size_i(fill_tag.page_size), .done_i(commit.done && commit.owner == OwnerPrefetch), .two_level_i(mode_i.two_level),
      .la57_i(mode_i.la57), .revoke_i(revoke_i || writes_i || commit.drop), .wants_probe_o(prefetch_wants_probe), .probe_i,
      .probe_hit_i, .wants_walk_o(prefetch_wants_walk), .walk_take_i(prefetch_walk_take_i), .page_o(prefetch_page),
      .may_fill_o(prefetch_may_fill), .mon_prefetch_o(mon_prefetch)
  );

  // ---------------------------------------------------------------------------------------------
  // Kept beside the blocks
  // ---------------------------------------------------------------------------------------------

  /// Walkers that have a walk, and whose.
  logic [Walkers-1:0] walks_q;
  owner_t             owner_q[Walkers];
  /// Requests that have an entry, and what they asked.
  logic [Entries-1:0] taken_q;
  logic [1:0]         port_q[Entries];
  logic [63:0]        va_q[Entries];
  request_t           request_q[Entries];
  /// An invalidation, or a drop of another, performed since the entry, or the prefetch, got its right to fill.
  logic [Entries-1:0] revoked_q;
  logic               prefetch_revoked_q;
  /// Ports that were refused and not served since, and the entries that others took meanwhile.
  logic [Ports-1:0]   refused_q;
  logic [7:0]         others_q[Ports];
  /// Since reset, in each cycle in which a port was looked up all were that had been refused.
  logic               is_fair, was_fair_q;
  /// Whose turn it was in the last cycle, and was not served in it.
  logic               was_owed_q;
  logic [1:0]         was_first_q;

  logic [Ports-1:0]   takes;
  logic [Ports-1:0]   leaves;
  logic               own_entry;
  logic [7:0]         taken_by_others[Ports];

  assign own_entry = commit.owner != OwnerPrefetch;

  always_comb begin : see_look_ups
    for (int unsigned p = 0; p < Ports; p++) begin
      takes[p] = !retry[p] && !refused[p] &&
          (lookup[p] == LookupMiss || lookup[p] == LookupDenied || lookup[p] == LookupDirtyClear);
      leaves[p] = retry[p] && is_hit(lookup[p]);
    end
    for (int unsigned p = 0; p < Ports; p++) begin
      taken_by_others[p] = '0;
      for (int unsigned q = 0; q < Ports; q++) if (q != p) taken_by_others[p] += 8'(takes[q]);
    end
  end

  always_comb begin : see_fairness
    is_fair = was_fair_q;
    for (int unsigned p = 0; p < Ports; p++) begin
      for (int unsigned q = 0; q < Ports; q++) begin
        if (lookup[q] != LookupNone && refused_q[p] && (lookup[p] == LookupNone || retry[p])) is_fair = 1'b0;
      end
    end
  end

  always_ff @(posedge clk_i) begin : remember_turns
    was_fair_q <= !rst_ni || is_fair;
    was_owed_q <= rst_ni && u_queue.owed_q && (lookup[u_queue.first_q] == LookupNone || retry[u_queue.first_q] ||
        refused[u_queue.first_q]);
    was_first_q <= u_queue.first_q;
  end

  always_ff @(posedge clk_i) begin : remember
    if (!rst_ni) begin
      walks_q <= '0;
      taken_q <= '0;
      revoked_q <= '0;
      refused_q <= '0;
      others_q <= '{default: '0};
    end else begin
      for (int unsigned w = 0; w < Walkers; w++) if (commit_walker[w] && walk[w].done) walks_q[w] <= 1'b0;
      if (walk_take_i || prefetch_walk_take_i) begin
        walks_q[walks_q[0]] <= 1'b1;
        owner_q[walks_q[0]] <= walk_take_i ? owner_t'(walk_entry_i) : OwnerPrefetch;
      end
      for (int unsigned p = 0; p < Ports; p++) begin
        if (takes[p]) begin
          taken_q[mon_lookup_entry[p][0]] <= 1'b1;
          port_q[mon_lookup_entry[p][0]] <= 2'(p);
          va_q[mon_lookup_entry[p][0]] <= lookup_va[p];
          request_q[mon_lookup_entry[p][0]] <= lookup_request[p];
        end
        if (leaves[p]) taken_q[mon_lookup_entry[p][0]] <= 1'b0;
        refused_q[p] <= refused[p] || (refused_q[p] && (retry[p] || lookup[p] == LookupNone));
        if (refused[p] && refused_q[p]) others_q[p] <= others_q[p] + taken_by_others[p];
        else if (!(refused_q[p] && (retry[p] || lookup[p] == LookupNone))) others_q[p] <= '0;
      end
      if (respond) taken_q[commit.owner[0]] <= 1'b0;
      // The order of the contract: what takes the right comes in other cycles than a look-up in L1.
      for (int unsigned e = 0; e < Entries; e++) begin
        if (revoke_i || keeps_evicted_i[e] || (commit.drop && commit.owner != owner_t'(e))) revoked_q[e] <= 1'b1;
      end
      for (int unsigned p = 0; p < Ports; p++) begin
        if ((takes[p] || retry[p]) && lookup[p] != LookupNone) revoked_q[mon_lookup_entry[p][0]] <= 1'b0;
      end
    end
    if (!rst_ni) prefetch_revoked_q <= 1'b0;
    else if (mon_prefetch[1:0] == PrefetchFree) prefetch_revoked_q <= 1'b0;
    else if (revoke_i || writes_i || commit.drop) prefetch_revoked_q <= 1'b1;
  end

  // ---------------------------------------------------------------------------------------------
  // What is assumed
  // ---------------------------------------------------------------------------------------------

  always_comb begin : obligations
    if (running) begin
      assume (!((revoke_i || writes_i) && !busy_i));
      assume (!(back_invalidates_i && busy_i));
      assume (keeps_evicted_i == '0 || back_invalidates_i);
      for (int unsigned p = 0; p < Ports; p++) begin
        assume (lookup[p] != LookupMerged && lookup[p] <= LookupBypass);
        assume (!(retry[p] && lookup[p] == LookupBypass));
        if (retry[p] && lookup[p] != LookupNone) begin
          assume (lookup_va[p] == retry_va[p] && lookup_request[p] == retry_request[p]);
        end
        if (busy_i || back_invalidates_i || commit.drop || (respond && respond_port == port_number_t'(p))) begin
          assume (lookup[p] == LookupNone);
        end
      end
      if (stlb_take_i) assume (32'(stlb_entry_i) < Entries && wants_stlb[stlb_entry_i[0]]);
      if (walk_take_i) assume (32'(walk_entry_i) < Entries && wants_walk[walk_entry_i[0]]);
      if (walk_take_i || prefetch_walk_take_i) assume (walks_q != '1);
      if (prefetch_walk_take_i) assume (prefetch_wants_walk && !walk_take_i && !busy_i && !commit.drop);
      if (probe_i) assume (prefetch_wants_probe && !busy_i && !commit.drop && !commit.done);
      for (int unsigned w = 0; w < Walkers; w++) begin
        assume (!(walk[w].starts && walk[w].done));
        if (walk[w].starts || walk[w].done || restart_i[w]) assume (walks_q[w] && owner[w] == owner_q[w]);
        if (restart_i[w]) assume (!walk[w].starts && !walk[w].done && owner[w] != OwnerPrefetch);
        if (owner[w] == OwnerPrefetch) begin
          assume (!(walk[w].starts && walk[w].from_cr3));
          assume (!walk[w].done || walk[w].ending == WalkEndTranslated || walk[w].ending == WalkEndStopped);
        end else begin
          assume (!walk[w].done || walk[w].ending != WalkEndStopped);
        end
      end
      if (due_i) begin
        assume (32'(due_entry_i) < Entries && u_queue.state_q[due_entry_i[0]] == MissStlbBusy);
        assume (due_code_i >= LookupHit4K && due_code_i <= LookupDirtyClear);
      end
      for (int unsigned e = 0; e < Entries; e++) begin
        if (keeps_evicted_i[e]) assume (u_queue.state_q[e] == MissStlbBusy);
      end
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The right to fill
  // ---------------------------------------------------------------------------------------------

  always_comb begin : fills
    if (running && (l1_fill.performs || stlb_fill.performs)) begin
      nothing_fills_after_what_takes_the_right :
      assert (own_entry ? !revoked_q[commit.owner[0]] : !prefetch_revoked_q);
      nothing_fills_while_control_is_busy : assert (!busy_i && !revoke_i && !writes_i && !back_invalidates_i);
      a_fill_is_of_what_translated :
      assert (commit.result ? is_hit(due_code_i) : commit.done && walk[commit_walker[1]].ending == WalkEndTranslated);
      a_prefetch_fills_no_first_level : assert (own_entry || !l1_fill.performs);
    end
    if (running) begin
      one_operation_performs_in_the_arrays :
      assert (32'(busy_i) + 32'(back_invalidates_i) + 32'(commit.drop) + 32'(l1_fill.performs || stlb_fill.performs) +
              32'(commit.psc_lookup) <= 1);
    end
  end

  // ---------------------------------------------------------------------------------------------
  // One answer for each request that has an entry, and its own
  // ---------------------------------------------------------------------------------------------

  always_comb begin : answers
    if (running) begin
      if (respond) begin
        an_answer_is_to_a_request_that_has_an_entry : assert (own_entry && taken_q[commit.owner[0]]);
        an_answer_has_the_port_and_the_id_of_its_request :
        assert (respond_port == port_q[commit.owner[0]] && response.id == request_q[commit.owner[0]].id);
        a_fault_has_the_address_of_its_request :
        assert (response.status != StatusPageFault || fault_va == va_q[commit.owner[0]]);
      end
    end
  end

  always_comb begin : turns
    if (running) begin
      while_one_is_owed_and_refused_nobody_takes_an_entry :
      assert (!(u_queue.owed_q && refused[u_queue.first_q]) || takes == '0);
      who_is_owed_was_refused_and_not_served_since : assert (!u_queue.owed_q || refused_q[u_queue.first_q]);
      who_is_owed_stays_owed_until_it_is_served : assert (!was_owed_q || (u_queue.owed_q && u_queue.first_q == was_first_q));
    end
  end

  for (genvar p = 0; p < Ports; p++) begin : gen_port
    always_comb begin : look_ups
      if (running) begin
        a_free_entry_is_taken : assert (!takes[p] || !taken_q[mon_lookup_entry[p][0]]);
        a_request_is_refused_only_if_it_needs_an_entry_and_all_are_taken :
        assert (!refused[p] || (!retry[p] && !takes[p] && lookup[p] >= LookupMiss && lookup[p] <= LookupDirtyClear));
        a_request_in_retry_has_an_entry :
        assert (!(retry[p] && lookup[p] != LookupNone) || (taken_q[mon_lookup_entry[p][0]] &&
                port_q[mon_lookup_entry[p][0]] == 2'(p) && request_q[mon_lookup_entry[p][0]] == lookup_request[p] &&
                va_q[mon_lookup_entry[p][0]] == lookup_va[p]));
        a_port_that_is_refused_is_passed_by_as_many_as_there_are_others : assert (!is_fair || 32'(others_q[p]) <= Ports - 1);
        if (p > 0) two_ports_never_take_one_entry :
        assert (!(takes[p] && takes[0] && mon_lookup_entry[p] == mon_lookup_entry[0]));
      end
    end

    /// Ports that are served before this one.
    logic [7:0] ahead;
    assign ahead = 8'((p + Ports - 32'(u_queue.first_q)) % Ports);

    always_comb begin : strengthening
      if (running) begin
        who_was_refused_is_owed : assert (!was_fair_q || !refused_q[p] || u_queue.owed_q);
        turns_are_few : assert (!was_fair_q || !refused_q[p] || others_q[p] + ahead < 8'(Ports));
        turns_are_counted_from_a_refusal : assert (refused_q[p] || others_q[p] == '0);
        turns_are_counted : assert (!was_fair_q || others_q[p] < 8'(Ports));
      end
    end
  end

  for (genvar e = 0; e < Entries; e++) begin : gen_entry
    always_comb begin : waiting
      if (running && u_queue.state_q[e] == MissWaiting) begin
        the_primary_of_a_waiting_entry_is_under_way :
        assert (u_queue.state_q[u_queue.primary_q[e]] >= MissStlbWait && u_queue.state_q[u_queue.primary_q[e]] <= MissWalking);
        who_waits_waits_for_its_own_page :
        assert (va_q[u_queue.primary_q[e]][56:12] == va_q[e][56:12]);
      end
      if (running) an_entry_is_taken_until_its_request_is_answered : assert (taken_q[e] == (u_queue.state_q[e] != MissFree));
    end

    always_comb begin : strengthening
      if (running) begin
        lost_rights_are_lost : assert (!(u_queue.may_fill_q[e] && taken_q[e] && revoked_q[e]));
        the_request_is_the_same :
        assert (!taken_q[e] || (u_queue.port_q[e] == port_q[e] && u_queue.va_q[e] == va_q[e] &&
                u_queue.request_q[e] == request_q[e] && 32'(port_q[e]) < Ports));
        states_exist : assert (u_queue.state_q[e] <= MissRetry);
        who_walks_has_one_walker :
        assert ((u_queue.state_q[e] == MissWalking) == ((walks_q[0] && owner_q[0] == owner_t'(e)) !=
                (walks_q[1] && owner_q[1] == owner_t'(e))));
      end
    end
  end

  logic [1:0] walks_for_prefetch;
  assign walks_for_prefetch = {walks_q[1] && owner_q[1] == OwnerPrefetch, walks_q[0] && owner_q[0] == OwnerPrefetch};

  always_comb begin : strengthening
    if (running) begin
      two_walkers_have_two_owners : assert (walks_q != '1 || owner_q[0] != owner_q[1]);
      owners_exist : assert (!walks_q[0] || owner_q[0] < owner_t'(Entries) || owner_q[0] == OwnerPrefetch);
      owners_exist_too : assert (!walks_q[1] || owner_q[1] < owner_t'(Entries) || owner_q[1] == OwnerPrefetch);
      the_prefetch_has_one_walker : assert ((mon_prefetch[1:0] == PrefetchWalking) == (walks_for_prefetch != '0));
      a_right_of_the_prefetch_is_lost : assert (!(prefetch_may_fill && prefetch_revoked_q));
      the_first_port_exists : assert (32'(u_queue.first_q) < Ports);
    end
  end
endmodule
