// The prefetch of the page after one that was walked.
//
// Contract: section 8.6, 10.1 (monitor). SDM: 4.5 (canonical addresses), 4.10.2.3 (entries that
// software did not ask for). Counterpart: src/model/prefetch.rs.
//
// There is one. It is looked for in the STLB, and walked if it is not there; its walk fills the STLB
// and the paging-structure caches, or stops without a trace.

module prefetch
  import mmu_pkg::*;
(
    /// Clock.
    input  logic         clk_i,
    /// Synchronous reset, active low.
    input  logic         rst_ni,
    // From the commit.
    /// A walk of a request ends in a translation and fills.
    input  logic         trigger_i,
    /// Page number of its address.
    input  page_number_t page_i,
    /// Size of its page.
    input  page_size_e   page_size_i,
    /// The walk of the prefetch is done.
    input  logic         done_i,
    // From control, and from the commit of a drop.
    /// 32-bit paging: addresses have 32 bits.
    input  logic         two_level_i,
    /// Addresses have 57 bits.
    input  logic         la57_i,
    /// What is under way is taken back: a drop, an invalidation, or a register that is written.
    input  logic         revoke_i,
    // From and to the STLB.
    /// The prefetch waits to be looked for.
    output logic         wants_probe_o,
    /// It is looked for in this cycle.
    input  logic         probe_i,
    /// Its page is there.
    input  logic         probe_hit_i,
    // From and to the walkers.
    /// The prefetch waits for a walker.
    output logic         wants_walk_o,
    /// A walker takes it in this cycle.
    input  logic         walk_take_i,
    /// Page number that is prefetched.
    output page_number_t page_o,
    /// It has the right to fill.
    output logic         may_fill_o,
    // To the monitor.
    /// What it holds.
    output logic [63:0]  mon_prefetch_o
);

  prefetch_state_e state_d, state_q;
  logic            may_fill_q;
  page_number_t    page_q;

  assign wants_probe_o = state_q == PrefetchProbe;
  assign wants_walk_o = state_q == PrefetchWalkWait;
  assign page_o = page_q;
  assign may_fill_o = may_fill_q;

  // ---------------------------------------------------------------------------------------------
  // The first address after the page
  // ---------------------------------------------------------------------------------------------

  /// The address after the last one is 0, and that after the last one of the lower half is not
  /// canonical; all others of canonical pages are, and those of 32 bits. Of bits 63:57 of an address
  /// nothing is known here but that it is canonical.
  function automatic logic is_usable(logic page_is_high, page_number_t next, logic la57);
    if (next == '0) return 1'b0;
    return la57 ? page_is_high || !next[44] : next[44:35] == '0 || next[44:35] == '1;
  endfunction

  page_number_t next_page;
  logic         starts;

  always_comb begin : find_next_page
    next_page = '0;
    starts = 1'b0;
    if (trigger_i && state_q == PrefetchFree) begin
      next_page = (page_i | bits_inside(page_size_i)) + 45'd1;
      if (two_level_i) next_page[44:20] = '0;
      starts = is_usable(page_i[44], next_page, la57_i);
    end
  end

  // ---------------------------------------------------------------------------------------------
  // State
  // ---------------------------------------------------------------------------------------------

  always_comb begin : next_state
    state_d = state_q;
    case (state_q)
      // Until a walk of a request fills.
      PrefetchFree: if (starts) state_d = PrefetchProbe;

      // Waits for a cycle in which no request is to be looked up in the STLB.
      PrefetchProbe: begin
        if (revoke_i) state_d = PrefetchFree;
        else if (probe_i) state_d = probe_hit_i ? PrefetchFree : PrefetchWalkWait;
      end

      // Waits for a walker that no request wants.
      PrefetchWalkWait: begin
        if (revoke_i) state_d = PrefetchFree;
        else if (walk_take_i) state_d = PrefetchWalking;
      end

      // Until the walk is done. What takes it back takes the right to fill.
      default: if (done_i) state_d = PrefetchFree;
    endcase
  end

  always_ff @(posedge clk_i) begin : state
    if (!rst_ni) begin
      state_q    <= PrefetchFree;
      may_fill_q <= 1'b0;
      page_q     <= '0;
    end else begin
      state_q <= state_d;
      if (starts) begin
        may_fill_q <= 1'b1;
        page_q     <= next_page;
      end else if (revoke_i) begin
        may_fill_q <= 1'b0;
      end
    end
  end

  always_comb begin : monitor
    mon_prefetch_o = '0;
    if (state_q != PrefetchFree) mon_prefetch_o = {7'd0, page_q, 9'd0, may_fill_q, state_q};
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && (state_q != PrefetchFree || probe_i || walk_take_i || done_i)) begin
      the_prefetch_acts_only_when_it_waits_for_that :
      assert ((!probe_i || state_q == PrefetchProbe) &&
              (!walk_take_i || state_q == PrefetchWalkWait) &&
              (!done_i || state_q == PrefetchWalking))
      else $error("probed %b, taken %b, done %b in state %0d", probe_i, walk_take_i, done_i, state_q);

      a_prefetch_that_waits_has_the_right_to_fill :
      assert (may_fill_q || state_q == PrefetchWalking)
      else $error("state %0d without the right to fill", state_q);

      nothing_is_taken_back_in_the_cycle_in_which_the_prefetch_acts :
      assert (!revoke_i || !(probe_i || walk_take_i || done_i))
      else $error("probed %b, taken %b or done %b while revoked", probe_i, walk_take_i, done_i);
    end
  end
`endif

endmodule
