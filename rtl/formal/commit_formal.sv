// Properties of the commit: one a cycle and none while control is busy, results alone while a look-up was passed over; and how long
// walkers wait.
//
// Contract: sections 7.2 (passed_over), 7.4 (commit), 14 (C: how long a walker waits to commit). Block: rtl/commit.sv.
//
// `commit_formal` is unbounded (induction), for 3 walkers: a result waits for at most 3 walkers, and a walker for at most 3 others, results
// out of turn not counted, of which there is at most one between two commits in turn.
// `commit_wait_2` and `commit_wait_3` are bounded: 2 walkers wait for at most C = 9 cycles, 3 for at most C = 12. Did a result out of turn move the
// cyclic order to its own end, walkers 0 and 1 could go before walker 2 again and again: the twin.
// Assumed: a walker or a result that wants to commit goes on until it does; a walker asks again in the fourth cycle after START and in
// the second after DONE at the earliest, START after DONE and DONE or a restart after START; `passed_over` is that of the STLB (stlb_formal.sv).
// Of the last two also: control is never busy, and no back-invalidation performs. (While control is busy walkers go on until their next
// commit; with that 2 walkers already wait for more than C.) Look-ups that wait in the STLB, and results that are due, may be in every cycle: that a whole machine can go on with that is not shown.

module commit_any
  import mmu_pkg::*;
#(
    parameter int unsigned WALKERS = 3,
    /// The timing of real walkers is assumed; else any.
    parameter bit          TIMED   = 1'b0
) (
    input logic               clk_i,
    input logic               rst_ni,
    input logic               busy_i,
    input logic               back_invalidates_i,
    input mode_t              mode_i,
    input walk_t [WALKERS-1:0] walk_i,
    input logic               stlb_wants_i,
    input logic               due_i,
    input lookup_e            due_code_i,
    input miss_t              miss_i,
    output logic              running_o,
    output logic [WALKERS-1:0] asks_o,
    /// Cycles in which the walker wanted to commit and something might have.
    output logic [7:0]        waited_o[WALKERS]
);
  walk_t              walk[WALKERS];
  page_number_t       walked[WALKERS];
  logic [63:0]        leaf[WALKERS];
  logic [WALKERS-1:0] commit_walker;
  page_number_t       commit_page;
  commit_t            commit;
  logic               respond;
  port_number_t       respond_port;
  response_t          response;
  translation_t       translation;
  logic [63:0]        fault_va;
  fill_t              l1_fill, stlb_fill;
  tlb_tag_t           fill_tag;
  logic               running;
  logic               passed_over_q;

  assign running_o = running;
  for (genvar w = 0; w < WALKERS; w++) begin : gen_walk
    assign walk[w] = walk_i[w];
    assign walked[w] = '0;
    assign leaf[w] = '0;
    assign asks_o[w] = walk_i[w].starts || walk_i[w].done;
  end

  formal_reset u_reset (.clk_i, .rst_ni, .running_o(running));

  commit #(
      .WALKERS(WALKERS)
  ) u_commit (
      .clk_i, .rst_ni, .busy_i, .back_invalidates_i, .mode_i, .walk_i(walk), .page_i(walked), .leaf_i(leaf),
      .walker_o(commit_walker), .page_o(commit_page), .passed_over_i(passed_over_q), .due_i, .due_entry_i('0), .due_code_i,
      .due_tag_i('0), .due_data_i('0), .miss_i, .va_i('0), .prefetch_may_fill_i(1'b1), .commit_o(commit),
      .respond_o(respond), .port_o(respond_port), .response_o(response), .translation_o(translation), .fault_va_o(fault_va),
      .l1_fill_o(l1_fill), .stlb_fill_o(stlb_fill), .fill_tag_o(fill_tag)
  );

  logic               was_running_q;
  logic [WALKERS-1:0] asked_q, in_walk_q;
  logic [2:0]         rest_q[WALKERS];
  logic               due_q;
  logic [7:0]         others_q[WALKERS+1];
  logic               is_open;
  logic [WALKERS:0]   commits;

  assign is_open = !busy_i && !back_invalidates_i;
  assign commits = {commit.result, commit_walker};

  always_ff @(posedge clk_i) begin : remember
    was_running_q <= running;
    asked_q <= asks_o & ~commit_walker;
    due_q <= due_i && !commit.result;
    if (!rst_ni) passed_over_q <= 1'b0;
    else if (!busy_i) passed_over_q <= stlb_wants_i && (commit.done || commit.drop);
    for (int unsigned w = 0; w < WALKERS; w++) begin
      if (!rst_ni) begin
        rest_q[w] <= '0;
        in_walk_q[w] <= 1'b0;
      end else if (commit_walker[w]) begin
        rest_q[w] <= walk[w].starts ? 3'd3 : 3'd1;
        in_walk_q[w] <= walk[w].starts;
      end else if (rest_q[w] != '0) begin
        rest_q[w] <= rest_q[w] - 3'd1;
      end
      if (!rst_ni || !asks_o[w] || commit_walker[w]) waited_o[w] <= '0;
      else if (is_open) waited_o[w] <= waited_o[w] + 8'd1;
    end
    for (int unsigned c = 0; c <= WALKERS; c++) begin
      // A result out of turn is none of those that take turns.
      if (!rst_ni || commits[c] || !(c == WALKERS ? due_i : asks_o[c])) others_q[c] <= '0;
      else if (commits != '0 && !passed_over_q) others_q[c] <= others_q[c] + 8'd1;
    end
  end

  always_comb begin : obligations
    if (running) begin
      assume (!(back_invalidates_i && busy_i));
      if (TIMED) assume (is_open);
      assume (!due_i || (due_code_i >= LookupHit4K && due_code_i <= LookupDirtyClear));
      if (was_running_q) assume (!due_q || due_i);
      for (int unsigned w = 0; w < WALKERS; w++) begin
        assume (!(walk[w].starts && walk[w].done));
        assume (walk[w].owner == owner_t'(w));
        assume (!walk[w].done || walk[w].ending != WalkEndStopped);
        if (was_running_q) assume (!asked_q[w] || asks_o[w]);
        if (TIMED) begin
          assume (rest_q[w] == '0 || !asks_o[w]);
          assume (!walk[w].done || in_walk_q[w]);
          assume (!(walk[w].starts && in_walk_q[w]) || walk[w].from_cr3);
        end
      end
    end
  end

  always_comb begin : properties
    if (running) begin
      at_most_one_commits : assert ($countones(commits) <= 1);
      something_commits_exactly_if_it_may :
      assert ((commits != '0) == (is_open && (due_i || (!passed_over_q && asks_o != '0))));
      nothing_commits_that_does_not_ask : assert ((commit_walker & ~asks_o) == '0 && (!commit.result || due_i));
      while_a_look_up_was_passed_over_only_a_result_commits : assert (!passed_over_q || commit_walker == '0);
    end
  end

  for (genvar c = 0; c <= WALKERS; c++) begin : gen_turn
    logic [7:0] ahead;
    assign ahead = 8'((c + WALKERS - 32'(u_commit.u_arbiter.last_q)) % (WALKERS + 1));

    always_comb begin : turns
      if (running && !TIMED) as_many_as_there_are_others_pass : assert (32'(others_q[c]) <= WALKERS);
    end
    always_comb begin : strengthening
      if (running) begin
        passed_and_ahead_are_few : assert (!(c == WALKERS ? due_i : asks_o[c]) || others_q[c] + ahead <= 8'(WALKERS));
        turns_are_counted : assert (others_q[c] <= 8'(WALKERS) && 32'(u_commit.u_arbiter.last_q) <= WALKERS);
      end
    end
  end
endmodule

module commit_formal
  import mmu_pkg::*;
(
    input logic clk_i, rst_ni, busy_i, back_invalidates_i, stlb_wants_i, due_i,
    input mode_t mode_i,
    input walk_t [2:0] walk_i,
    input lookup_e due_code_i,
    input miss_t miss_i
);
  logic       running;
  logic [2:0] asks;
  logic [7:0] waited[3];
  commit_any #(.WALKERS(3)) u_any (.*, .running_o(running), .asks_o(asks), .waited_o(waited));
endmodule

module commit_wait_2
  import mmu_pkg::*;
(
    input logic clk_i, rst_ni, busy_i, back_invalidates_i, stlb_wants_i, due_i,
    input mode_t mode_i,
    input walk_t [1:0] walk_i,
    input lookup_e due_code_i,
    input miss_t miss_i
);
  logic       running;
  logic [1:0] asks;
  logic [7:0] waited[2];
  commit_any #(.WALKERS(2), .TIMED(1'b1)) u_any (.*, .running_o(running), .asks_o(asks), .waited_o(waited));
  for (genvar w = 0; w < 2; w++) begin : gen_walker
    always_comb begin : wait_is_short
      if (running) a_walker_waits_for_c_cycles_at_most : assert (waited[w] <= 8'd9);
    end
  end
endmodule

module commit_wait_3
  import mmu_pkg::*;
(
    input logic clk_i, rst_ni, busy_i, back_invalidates_i, stlb_wants_i, due_i,
    input mode_t mode_i,
    input walk_t [2:0] walk_i,
    input lookup_e due_code_i,
    input miss_t miss_i
);
  logic       running;
  logic [2:0] asks;
  logic [7:0] waited[3];
  commit_any #(.WALKERS(3), .TIMED(1'b1)) u_any (.*, .running_o(running), .asks_o(asks), .waited_o(waited));
  for (genvar w = 0; w < 3; w++) begin : gen_walker
    always_comb begin : wait_is_short
      if (running) a_walker_waits_for_c_cycles_at_most : assert (waited[w] <= 8'd12);
    end
  end
endmodule
