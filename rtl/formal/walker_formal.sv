// Properties of a walker: accessed and dirty are set only in entries that passed the checks of their level, never in a leaf
// that is then denied, never for a prefetch; its requests to memory stay until they are accepted; it has one at a time.
//
// Contract: sections 8.2 to 8.6, 11 (rights). SDM: 4.6, 4.7, 4.8. Blocks: rtl/walker.sv with its own assertions, rtl/examine.sv.
//
// Unbounded (induction), for MAXPHYADDR = 46 with pages of 1 GiB; all modes, prefetches too. The checks of a level are written here once
// more, from the contract alone; the rights of the path are followed from what memory answers.
// Assumed: the mode stays while a request is walked, or the prefetch has its right to fill (proved of control in
// control_formal.sv); a right once lost stays lost during a walk (prefetch.sv); the PSCs match at levels of the mode (psc_group.sv); memory
// answers what was transferred. What is assumed of the RTL's own assertions stands in properties.toml.
// Not proved: that what the PSCs hold is what memory held.

module walker_formal
  import mmu_pkg::*;
(
    input logic         clk_i,
    input logic         rst_ni,
    input logic         take_i,
    input owner_t       owner_i,
    input page_number_t page_i,
    input access_t      access_i,
    input logic         from_cr3_i,
    input logic         prefetch_may_fill_i,
    input logic         commit_i,
    input logic [2:0]   cached_level_i,
    input psc_data_t    cached_data_i,
    input mode_t        mode_i,
    input frame_t       root_i,
    input logic         mem_transfer_i,
    input logic         mem_answer_i,
    input logic [63:0]  mem_resp_data_i,
    input logic         mem_resp_error_i
);
  localparam int unsigned MaxPhyAddr = 46;

  logic         running;
  logic         idle;
  logic         restart;
  walk_t        walk;
  page_number_t page;
  logic [63:0]  leaf;
  psc_data_t    read_data[PscLevels];
  logic         mem_want;
  logic         mem_cas;
  logic [51:0]  mem_addr;
  logic [63:0]  mem_wdata;
  logic [63:0]  mem_expected;
  logic [1:0]   mem_halves;
  logic [31:0]  mon_walker;

  formal_reset u_reset (.clk_i, .rst_ni, .running_o(running));

  walker #(
      .MAXPHYADDR(MaxPhyAddr), .PAGE_1G(1)
  ) u_walker (
      .clk_i, .rst_ni, .idle_o(idle), .take_i, .owner_i, .page_i, .access_i, .from_cr3_i, .prefetch_may_fill_i,
      .restart_o(restart), .walk_o(walk), .page_o(page), .leaf_o(leaf), .read_data_o(read_data), .commit_i, .cached_level_i,
      .cached_data_i, .mode_i, .root_i, .mem_want_o(mem_want), .mem_cas_o(mem_cas), .mem_addr_o(mem_addr),
      .mem_wdata_o(mem_wdata), .mem_expected_o(mem_expected), .mem_halves_o(mem_halves), .mem_transfer_i, .mem_answer_i,
      .mem_resp_data_i, .mem_resp_error_i, .mon_walker_o(mon_walker)
  );

  // ---------------------------------------------------------------------------------------------
  // What is assumed
  // ---------------------------------------------------------------------------------------------

  mode_t  mode_q;
  logic   may_fill_q;
  logic   idle_q;
  logic   was_running_q;
  /// Transferred and not answered.
  logic   pending_q;
  logic   for_prefetch;
  assign for_prefetch = walk.owner == OwnerPrefetch;

  always_ff @(posedge clk_i) begin : remember
    was_running_q <= running;
    mode_q <= mode_i;
    may_fill_q <= prefetch_may_fill_i;
    idle_q <= idle && !take_i;
    if (!rst_ni) pending_q <= 1'b0;
    else pending_q <= (pending_q || mem_transfer_i) && !mem_answer_i;
  end

  always_comb begin : obligations
    if (running) begin
      assume (mode_i.two_level == 1'b0 || mode_i.paging);
      assume (mode_i.large_pages || mode_i.two_level);
      assume (!(mode_i.two_level && (mode_i.nxe || mode_i.protection.pke)));
      if (!idle_q && was_running_q) begin
        assume (mode_i == mode_q || (for_prefetch && !prefetch_may_fill_i));
        assume (!for_prefetch || may_fill_q || !prefetch_may_fill_i);
      end
      assume (!mem_answer_i || pending_q);
      assume (!mem_transfer_i || mem_want);
      if (commit_i && walk.starts) begin
        assume (cached_level_i == 3'd0 || (cached_level_i >= 3'd2 && cached_level_i <= 3'd5));
        if (mode_i.two_level) assume (cached_level_i == 3'd0 || cached_level_i == 3'd2);
        else if (!mode_i.la57) assume (cached_level_i != 3'd5);
        if (walk.from_cr3) assume (cached_level_i == 3'd0);
      end
      // The memory port gives an entry of 4 bytes as the low half.
      if (mem_halves != 2'b11) assume (mem_resp_data_i[63:32] == '0);
      if (take_i) assume (idle && (owner_i != OwnerPrefetch || !from_cr3_i));
      if (take_i && owner_i == OwnerPrefetch) assume (access_i == '0);
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The checks of a level, from contract 8.4 and 11
  // ---------------------------------------------------------------------------------------------

  function automatic logic maps_a_page(logic [63:0] entry, logic [2:0] level, logic two_level, logic pse);
    if (level == 3'd1) return 1'b1;
    if (level == 3'd2) return entry[7] && (!two_level || pse);
    return level == 3'd3 && entry[7];
  endfunction

  function automatic logic is_reserved(logic [63:0] entry, logic [2:0] level, logic two_level, logic pse, logic nxe);
    logic bad;
    bad = 1'b0;
    if (two_level) begin
      // Bits 21:(M - 19), M = 40.
      return level == 3'd2 && maps_a_page(entry, level, two_level, pse) && entry[21];
    end
    if (entry[51:MaxPhyAddr] != '0) bad = 1'b1;
    if (entry[63] && !nxe) bad = 1'b1;
    if (entry[7] && level >= 3'd4) bad = 1'b1;
    if (entry[7] && level == 3'd2 && entry[20:13] != '0) bad = 1'b1;
    if (entry[7] && level == 3'd3 && entry[29:13] != '0) bad = 1'b1;
    return bad;
  endfunction

  function automatic logic is_allowed(access_t access, protection_t protection, logic writable, logic user, logic xd,
                                      logic [3:0] key);
    logic user_mode;
    logic is_write;
    user_mode = access.cpl == 2'd3 && !access.implicit_supervisor;
    is_write = access.kind == KindWrite;
    if (user_mode && !user) return 1'b0;
    if (access.kind == KindFetch) begin
      return !xd && !(!user_mode && user && protection.smep);
    end
    if (is_write && !writable && (user_mode || protection.write_protect)) return 1'b0;
    if (!user_mode && user && protection.smap && (access.implicit_supervisor || !access.ac)) return 1'b0;
    if (user && protection.pke) begin
      if (access.pkru[32'(key) * 2]) return 1'b0;
      if (is_write && access.pkru[32'(key) * 2 + 1] && (user_mode || protection.write_protect)) return 1'b0;
    end
    return 1'b1;
  endfunction

  // ---------------------------------------------------------------------------------------------
  // The walk, as memory's answers make it
  // ---------------------------------------------------------------------------------------------

  /// The request, and what was read last: of the path above it the level and the rights.
  access_t     access_q;
  logic        is_short_q;
  logic [2:0]  level_q;
  logic        writable_q, user_q, xd_q;
  logic [63:0] entry_q;
  logic        error_q;
  /// A read was asked for, and the one before it was not the first of the walk.
  logic        examined_q;
  logic        asks_to_read_q;

  logic descends;
  // A read that follows an answer goes one level down.
  assign descends = mem_want && !mem_cas && examined_q && !asks_to_read_q;

  always_ff @(posedge clk_i) begin : follow
    if (take_i) access_q <= access_i;
    asks_to_read_q <= mem_want && !mem_cas;
    if (!rst_ni || take_i || (commit_i && walk.starts)) begin
      examined_q <= 1'b0;
      asks_to_read_q <= 1'b0;
    end else if (mem_answer_i) begin
      examined_q <= 1'b1;
    end else if (descends) begin
      examined_q <= 1'b0;
    end
    if (commit_i && walk.starts) begin
      is_short_q <= mode_i.two_level;
      level_q <= cached_level_i != '0 ? cached_level_i - 3'd1 : mode_i.two_level ? 3'd2 : mode_i.la57 ? 3'd5 : 3'd4;
      writable_q <= cached_level_i == '0 || cached_data_i.rights.writable;
      user_q <= cached_level_i == '0 || cached_data_i.rights.user;
      xd_q <= cached_level_i != '0 && cached_data_i.rights.execute_disable;
    end else if (descends) begin
      level_q <= level_q - 3'd1;
      writable_q <= writable_q && entry_q[1];
      user_q <= user_q && entry_q[2];
      xd_q <= xd_q || entry_q[63];
    end
    if (mem_answer_i) begin
      error_q <= mem_resp_error_i;
      entry_q <= mem_resp_data_i;
      // A compare-and-set that found what it expected leaves what it wrote.
      if (u_walker.state_q == WalkerCasWait && mem_resp_data_i == entry_q) begin
        entry_q <= entry_q | (64'd1 << 5) |
            (maps_a_page(entry_q, level_q, is_short_q, mode_i.large_pages) && access_q.kind == KindWrite ? 64'd1 << 6 : 64'd0);
      end
    end
  end

  logic is_leaf_now, needs_bits, passes;
  always_comb begin : judge_entry
    is_leaf_now = maps_a_page(entry_q, level_q, is_short_q, mode_i.large_pages);
    needs_bits = !entry_q[5] || (is_leaf_now && access_q.kind == KindWrite && !entry_q[6]);
    passes = !error_q && entry_q[0] && !is_reserved(entry_q, level_q, is_short_q, mode_i.large_pages, mode_i.nxe) &&
        (!is_leaf_now || is_allowed(access_q, mode_i.protection, writable_q && entry_q[1], user_q && entry_q[2],
                                    xd_q || entry_q[63], entry_q[62:59]));
  end

  always_comb begin : properties
    if (running) begin
      if (mem_want && mem_cas) begin
        a_compare_and_set_is_of_the_entry_last_read : assert (mem_expected == entry_q);
        a_compare_and_set_is_only_wanted_for_what_passes_the_checks_of_its_level : assert (passes);
        a_compare_and_set_sets_something_that_was_clear : assert (needs_bits);
        a_compare_and_set_sets_accessed_and_of_a_leaf_that_is_written_dirty :
        assert (mem_wdata == (entry_q | (64'd1 << 5) | (is_leaf_now && access_q.kind == KindWrite ? 64'd1 << 6 : 64'd0)));
        a_prefetch_sets_nothing : assert (!for_prefetch);
      end
      if (walk.done && walk.ending == WalkEndPageFault) begin
        what_faults_does_not_pass : assert (!passes);
      end
      if (walk.done && walk.ending == WalkEndTranslated && !for_prefetch) begin
        what_translates_passes : assert (passes && is_leaf_now && !needs_bits);
      end
      a_prefetch_never_faults :
      assert (!(walk.done && for_prefetch) || walk.ending == WalkEndTranslated || walk.ending == WalkEndStopped);
      one_transfer_is_pending_at_most : assert (!(mem_want && pending_q));
    end
  end

  // What is wanted of memory stays until its transfer.
  link_sva u_link (
      .clk_i, .rst_ni, .valid_i(mem_want), .ready_i(mem_transfer_i), .payload_0_i({10'd0, mem_halves, mem_addr}),
      .payload_1_i(mem_wdata), .payload_2_i(mem_expected), .payload_3_i(64'(mem_cas))
  );

  // ---------------------------------------------------------------------------------------------
  // The strengthening: the walk followed here is the walker's
  // ---------------------------------------------------------------------------------------------

  logic in_walk;
  assign in_walk = u_walker.state_q != WalkerIdle && u_walker.state_q != WalkerStart;

  always_comb begin : strengthening
    if (running) begin
      pending_is_waited_for :
      assert (pending_q == (u_walker.state_q == WalkerReadWait || u_walker.state_q == WalkerCasWait));
      if (u_walker.state_q != WalkerIdle) access_is_the_same : assert (access_q == u_walker.access_q);
      if (u_walker.state_q != WalkerIdle && for_prefetch) prefetch_reads : assert (access_q == '0 && !u_walker.from_cr3_q);
      if (u_walker.state_q != WalkerIdle && u_walker.state_q != WalkerStart && u_walker.from_cr3_q) not_cached : assert (!u_walker.cached_q);
      if (in_walk && u_walker.state_q != WalkerDone) begin
        mode_is_the_same : assert (is_short_q == u_walker.two_level_q);
        level_is_the_same : assert (u_walker.level_q == level_q - 3'(descends));
        level_exists : assert (u_walker.level_q >= 3'd1 && u_walker.level_q <= (is_short_q ? 3'd2 : 3'd5));
        rights_are_the_same :
        assert (u_walker.rights_q == (descends ? {xd_q || entry_q[63], user_q && entry_q[2], writable_q && entry_q[1]} :
                                      {xd_q, user_q, writable_q}));
        the_mode_of_a_walk_is_that_of_the_machine : assert (is_short_q == mode_i.two_level || (for_prefetch && !prefetch_may_fill_i));
      end
      if (u_walker.state_q == WalkerExamine || u_walker.state_q == WalkerCas || u_walker.state_q == WalkerCasWait ||
          (u_walker.state_q == WalkerDone && u_walker.ending_q != WalkEndStopped)) begin
        entry_is_the_same : assert (u_walker.entry_q == entry_q && u_walker.error_q == error_q);
        what_was_answered_is_examined : assert (examined_q && !asks_to_read_q);
      end
      if (u_walker.state_q == WalkerRead) reads_from_the_first_or_a_descent : assert (examined_q == descends && (asks_to_read_q ? !examined_q : 1'b1));
      if (u_walker.state_q == WalkerReadWait) nothing_examined : assert (!examined_q);
      if (u_walker.state_q == WalkerCasWait) examined_before : assert (passes && needs_bits && !for_prefetch);
      if (is_short_q && examined_q && in_walk) short_entries_are_short : assert (entry_q[63:32] == '0);
      if (u_walker.state_q == WalkerDone && u_walker.ending_q != WalkEndStopped) begin
        end_is_where_the_walk_is : assert (level_q == u_walker.level_q && is_short_q == u_walker.two_level_q);
        end_exists : assert (u_walker.level_q >= 3'd1 && u_walker.level_q <= (is_short_q ? 3'd2 : 3'd5));
        end_has_the_mode : assert (is_short_q == mode_i.two_level || for_prefetch);
      end
    end
  end
endmodule
