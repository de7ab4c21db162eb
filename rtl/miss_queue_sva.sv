// Checks of the miss queue: in which state an entry may be taken, by whom, and the right to fill.
//
// Contract: sections 6, 7. Counterpart: none; src/cosim checks the model's side.
//
// That a right was lost is kept here apart from the right itself, which it checks.

module miss_queue_sva
  import mmu_pkg::*;
#(
    /// Ports of the machine.
    parameter int unsigned PORTS   = 2,
    /// Entries, 1 to 16.
    parameter int unsigned ENTRIES = 8,
    /// Bits of an entry's number.
    localparam int unsigned Width = ENTRIES > 1 ? $clog2(ENTRIES) : 1
) (
    /// Clock.
    input logic             clk_i,
    /// Synchronous reset, active low.
    input logic             rst_ni,
    // The entries.
    /// State.
    input miss_state_e      state_i  [ENTRIES],
    /// Entry that is waited for, in WAITING.
    input logic [Width-1:0] primary_i[ENTRIES],
    // The look-ups in L1.
    /// A request takes an entry.
    input logic             takes_i  [PORTS],
    /// A request takes an entry, or leaves RETRY.
    input logic             changes_i[PORTS],
    /// That entry.
    input logic [Width-1:0] entry_i  [PORTS],
    // STLB and walkers.
    /// An entry is looked up in the STLB.
    input logic             stlb_take_i,
    /// That entry.
    input logic [Width-1:0] stlb_entry_i,
    /// A walker takes an entry.
    input logic             walk_take_i,
    /// That entry.
    input logic [Width-1:0] walk_entry_i,
    // The commit.
    /// Something commits for an entry.
    input logic             commits_i,
    /// What commits.
    input commit_t          commit_i,
    /// That entry.
    input logic [Width-1:0] commit_entry_i,
    /// It would fill.
    input logic             fills_i,
    // From control.
    /// All lose the right to fill.
    input logic             revoke_i,
    // From the STLB.
    /// Entries that lose it.
    input logic [ENTRIES-1:0] keeps_evicted_i
);

  /// An invalidation, or another's drop, performed since the entry last got the right to fill.
  logic [ENTRIES-1:0] was_revoked_q;

  logic unused_commit;
  assign unused_commit = ^commit_i;

  always_ff @(posedge clk_i) begin : remember
    if (!rst_ni) begin
      was_revoked_q <= '0;
    end else begin
      for (int unsigned p = 0; p < PORTS; p++) if (changes_i[p]) was_revoked_q[entry_i[p]] <= 1'b0;
      for (int unsigned e = 0; e < ENTRIES; e++) if (keeps_evicted_i[e]) was_revoked_q[e] <= 1'b1;
      if (revoke_i || commit_i.drop) begin
        for (int unsigned e = 0; e < ENTRIES; e++) begin
          if (revoke_i || Width'(e) != commit_entry_i) was_revoked_q[e] <= 1'b1;
        end
      end
    end
  end

  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni) begin
      for (int unsigned p = 0; p < PORTS; p++) begin
        if (changes_i[p]) begin
          an_entry_is_taken_only_when_it_is_free :
          assert (state_i[entry_i[p]] == (takes_i[p] ? MissFree : MissRetry))
          else $error("port %0d takes entry %0d in state %0d", p, entry_i[p], state_i[entry_i[p]]);
        end
        for (int unsigned q = 0; q < p; q++) begin
          if (changes_i[p] && changes_i[q]) begin
            two_ports_never_take_one_entry :
            assert (entry_i[p] != entry_i[q])
            else $error("ports %0d and %0d both take entry %0d", q, p, entry_i[p]);
          end
        end
      end
      for (int unsigned e = 0; e < ENTRIES; e++) begin
        if (state_i[e] == MissWaiting) begin
          the_primary_of_a_waiting_entry_is_neither_free_nor_waiting :
          assert (state_i[primary_i[e]] >= MissStlbWait && state_i[primary_i[e]] <= MissWalking)
          else begin
            $error("entry %0d waits for entry %0d in state %0d", e, primary_i[e],
                   state_i[primary_i[e]]);
          end
        end
      end
      if (stlb_take_i) begin
        only_an_entry_that_waits_for_the_stlb_is_looked_up_there :
        assert (state_i[stlb_entry_i] == MissStlbWait)
        else $error("entry %0d in state %0d", stlb_entry_i, state_i[stlb_entry_i]);
      end
      if (walk_take_i) begin
        only_an_entry_that_waits_for_a_walker_is_taken :
        assert (state_i[walk_entry_i] == MissWalkWait)
        else $error("entry %0d in state %0d", walk_entry_i, state_i[walk_entry_i]);
      end
      if (commits_i) begin
        a_commit_is_for_an_entry_that_is_busy_or_walks :
        assert (state_i[commit_entry_i] == (commit_i.result ? MissStlbBusy : MissWalking))
        else begin
          $error("start %b, done %b, result %b for entry %0d in state %0d", commit_i.start,
                 commit_i.done, commit_i.result, commit_entry_i, state_i[commit_entry_i]);
        end
      end
      if (fills_i) begin
        a_lost_right_to_fill_is_not_used :
        assert (!was_revoked_q[commit_entry_i])
        else $error("entry %0d fills after its right was taken", commit_entry_i);
      end
      for (int unsigned e = 0; e < ENTRIES; e++) begin
        if (keeps_evicted_i[e]) begin
          only_what_was_found_in_the_stlb_can_have_left_it :
          assert (state_i[e] == MissStlbBusy)
          else $error("entry %0d in state %0d", e, state_i[e]);
        end
      end
    end
  end

endmodule
