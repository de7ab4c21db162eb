// Properties of all walkers together: each walk that waits is taken by one idle walker, once, and in turn.
//
// Contract: sections 8.1 (IDLE), 8.6 (prefetch), 14 (WALK_WAIT). Block: rtl/walkers.sv, with walkers, memory port and PSCs (none here).
//
// Unbounded (induction), for 2 walkers, 3 entries of the miss queue, cyclic order (that of age is in arbiter_formal.sv).
// Assumed (proved in miss_queue_formal.sv and commit_formal.sv): an entry wants a walker until it is taken, and not again before DONE of its walk
// committed; the prefetch likewise; only what asks commits; memory answers what was transferred to it.
// Not proved: what the walks do (walker_formal.sv), and that a walker gets idle.

module walkers_formal
  import mmu_pkg::*;
(
    input logic         clk_i,
    input logic         rst_ni,
    input logic [2:0]   wants_walk_i,
    input page_number_t page_i,
    input access_t      access_i,
    input logic         from_cr3_i,
    input logic         prefetch_wants_i,
    input page_number_t prefetch_page_i,
    input logic         prefetch_may_fill_i,
    input logic [1:0]   walker_i,
    input commit_t      commit_i,
    input page_number_t commit_page_i,
    input logic         fill_i,
    input mode_t        mode_i,
    input frame_t       root_i,
    input logic         busy_i,
    input logic         mem_req_ready_i,
    input logic         mem_resp_valid_i,
    input logic [7:0]   mem_resp_id_i,
    input logic [63:0]  mem_resp_data_i,
    input logic         mem_resp_error_i
);
  localparam int unsigned Walkers = 2;
  localparam int unsigned Entries = 3;
  localparam shape_t Absent = '{sizes: 3'd0, sets: 13'd1, ways: 7'd0, policy: 3'd0, serves: 2'd3};

  logic         running;
  logic         take, prefetch_take;
  entry_t       entry;
  logic [1:0]   restart;
  owner_t       owner[Walkers];
  walk_t        walk[Walkers];
  page_number_t page[Walkers];
  logic [63:0]  leaf[Walkers];
  logic         mem_req_valid;
  logic [7:0]   mem_req_id;

  formal_reset u_reset (.clk_i, .rst_ni, .running_o(running));

  walkers #(
      .WALKERS(Walkers), .WALKER_ORDER(0), .ENTRIES(Entries), .CACHES({Absent, Absent, Absent, Absent})
  ) u_walkers (
      .clk_i, .rst_ni, .wants_walk_i, .take_o(take), .entry_o(entry), .page_i, .access_i, .from_cr3_i, .restart_o(restart),
      .owner_o(owner), .prefetch_wants_i, .prefetch_take_o(prefetch_take), .prefetch_page_i, .prefetch_may_fill_i,
      .walk_o(walk), .page_o(page), .leaf_o(leaf), .walker_i, .commit_i, .commit_page_i, .fill_i, .mode_i, .root_i, .busy_i,
      .psc_invalidate_i(1'b0), .psc_invalidate_all_i(1'b0), .psc_invalidate_pcid_i('0), .mem_req_valid_o(mem_req_valid),
      .mem_req_ready_i, .mem_req_op_o(), .mem_req_id_o(mem_req_id), .mem_req_addr_o(), .mem_req_beats_o(), .mem_req_be_o(),
      .mem_req_wdata_o(), .mem_req_expected_o(), .mem_resp_valid_i, .mem_resp_id_i, .mem_resp_data_i, .mem_resp_error_i,
      .mon_port_i('0), .mon_walk_op_o(), .mon_walk_port_o(), .mon_walk_entry_o(), .mon_walk_psc_level_o(),
      .mon_walk_filled_o(), .mon_walker_o(), .mon_psc_op_o(), .mon_psc_set_o(), .mon_psc_way_o(), .mon_psc_removed_o(),
      .mon_psc_tag_o(), .mon_psc_data_o(), .mon_psc_victim_tag_o(), .mon_psc_victim_data_o()
  );

  logic               was_running_q;
  logic [Entries-1:0] wanted_q;
  /// What was taken and is not done: of the entries, of the prefetch, and which walker has it.
  logic [Entries-1:0] walked_q;
  logic               is_prefetched_q;
  logic [Walkers-1:0] walks_q;
  owner_t             owner_q[Walkers];
  logic [Walkers-1:0] pending_q;
  logic [7:0]         others_q[Entries];

  logic [Walkers-1:0] idle_is_first;
  assign idle_is_first = ~walks_q & (walks_q + 2'd1);

  always_ff @(posedge clk_i) begin : remember
    was_running_q <= running;
    wanted_q <= take ? wants_walk_i & ~(3'd1 << entry) : wants_walk_i;
    if (!rst_ni) begin
      walked_q <= '0;
      is_prefetched_q <= 1'b0;
      walks_q <= '0;
      pending_q <= '0;
      others_q <= '{default: '0};
    end else begin
      for (int unsigned w = 0; w < Walkers; w++) begin
        if (walker_i[w] && walk[w].done) begin
          walks_q[w] <= 1'b0;
          if (owner_q[w] == OwnerPrefetch) is_prefetched_q <= 1'b0;
          else walked_q[owner_q[w][1:0]] <= 1'b0;
        end
        // The lowest walker without a walk takes it.
        if ((take || prefetch_take) && idle_is_first[w]) begin
          walks_q[w] <= 1'b1;
          owner_q[w] <= take ? owner_t'(entry) : OwnerPrefetch;
        end
      end
      if (take) walked_q[entry[1:0]] <= 1'b1;
      else if (prefetch_take) is_prefetched_q <= 1'b1;
      pending_q <= (pending_q | (mem_req_valid && mem_req_ready_i ? 2'd1 << mem_req_id : 2'd0)) &
          ~(mem_resp_valid_i ? 2'd1 << mem_resp_id_i : 2'd0);
      for (int unsigned e = 0; e < Entries; e++) begin
        if (!wants_walk_i[e] || (take && 32'(entry) == e)) others_q[e] <= '0;
        else if (take) others_q[e] <= others_q[e] + 8'd1;
      end
    end
  end

  always_comb begin : obligations
    if (running) begin
      assume ((wants_walk_i & walked_q) == '0);
      if (was_running_q) assume ((wanted_q & ~wants_walk_i) == '0);
      assume (!prefetch_wants_i || !is_prefetched_q);
      for (int unsigned w = 0; w < Walkers; w++) assume (!walker_i[w] || walk[w].starts || walk[w].done);
      assume (walker_i != '1);
      if (mem_resp_valid_i) assume (mem_resp_id_i < 8'(Walkers) && pending_q[mem_resp_id_i[0]]);
    end
  end

  always_comb begin : properties
    if (running) begin
      an_entry_is_taken_that_waits_and_by_a_walker_without_a_walk :
      assert (!take || (32'(entry) < Entries && wants_walk_i[entry[1:0]] && walks_q != '1));
      something_that_waits_is_taken_whenever_a_walker_has_no_walk : assert (take == (wants_walk_i != '0 && walks_q != '1));
      the_prefetch_gives_way_to_requests_control_and_drops :
      assert (!prefetch_take || (prefetch_wants_i && !take && !busy_i && !commit_i.drop && walks_q != '1));
      two_walkers_never_have_one_walk : assert (walks_q != '1 || owner[0] != owner[1]);
    end
  end

  for (genvar w = 0; w < Walkers; w++) begin : gen_walker
    always_comb begin : walks
      if (running) begin
        a_walker_has_a_walk_from_its_take_to_its_done : assert (walk[w].walks == walks_q[w]);
        a_walker_works_for_what_it_took : assert (!walks_q[w] || owner[w] == owner_q[w]);
      end
    end
    always_comb begin : strengthening
      if (running) begin
        what_a_walker_has_is_walked :
        assert (!walks_q[w] || (owner_q[w] == OwnerPrefetch ? is_prefetched_q :
                32'(owner_q[w]) < Entries && walked_q[owner_q[w][1:0]]));
      end
    end
  end

  for (genvar e = 0; e < Entries; e++) begin : gen_entry
    logic [7:0] ahead;
    assign ahead = 8'((e + Entries - 1 - 32'(u_walkers.gen_cyclic.u_arbiter.last_q)) % Entries);
    always_comb begin : turns
      if (running) at_most_all_others_are_taken_first : assert (32'(others_q[e]) <= Entries - 1);
    end
    always_comb begin : strengthening
      if (running) begin
        passed_and_ahead_are_few : assert (!wants_walk_i[e] || others_q[e] + ahead < 8'(Entries));
        turns_are_counted : assert (others_q[e] < 8'(Entries) && 32'(u_walkers.gen_cyclic.u_arbiter.last_q) < Entries);
        what_is_walked_has_a_walker :
        assert (!walked_q[e] || (walks_q[0] && owner_q[0] == owner_t'(e)) || (walks_q[1] && owner_q[1] == owner_t'(e)));
      end
    end
  end
endmodule
