// Replacement by least recent use.
//
// Contract: section 1.6, policy 0. Counterpart: src/model/replacement/lru.rs.
//
// Each way of a set has a rank, 0 the most recent; the ranks of a set are a permutation. The set is
// one packed row, and one row is written a cycle. The memory of a TLB array has no reset:
// `initialise_i` writes the first ranks, row by row, during the reset sweep.
//
// With two channels two ways are touched in one cycle, that of channel 0 first.

module policy_lru #(
    /// Sets.
    parameter int unsigned SETS     = 1,
    /// Ways, at least 1.
    parameter int unsigned WAYS     = 8,
    /// Ways touched in one cycle at most: 1 or 2.
    parameter int unsigned CHANNELS = 1,
    /// The state of all rows is reset at once; else row by row, by `initialise_i`.
    parameter bit          RESETS   = 1'b0,
    /// Bits of a set's number.
    localparam int unsigned RowWidth = SETS > 1 ? $clog2(SETS) : 1,
    /// Bits of a way's number.
    localparam int unsigned WayWidth = WAYS > 1 ? $clog2(WAYS) : 1
) (
    /// Clock.
    input  logic                clk_i,
    /// Synchronous reset, active low.
    input  logic                rst_ni,
    // From and to the array (see replacement.sv).
    /// Row that performs in this cycle.
    input  logic [RowWidth-1:0] row_i  [CHANNELS],
    /// The row of channel 0 gets its first state.
    input  logic                initialise_i,
    /// The way is touched.
    input  logic                touch_i[CHANNELS],
    /// Way that is touched.
    input  logic [WayWidth-1:0] way_i  [CHANNELS],
    /// A fill performs in channel 0: its row's victim is wanted, and the touch is its own.
    input  logic                fill_i,
    /// The victim is what it fills.
    input  logic                evict_i,
    /// With `fill_i` the victim, else 0.
    output logic [WayWidth-1:0] victim_o
);

  typedef logic [WAYS-1:0][WayWidth-1:0] ranks_t;

  ranks_t rank_q[SETS];

  // What counts is the touch, and not what it is for.
  logic unused_inputs;
  assign unused_inputs = ^{evict_i, initialise_i, rst_ni};

  function automatic ranks_t first_ranks();
    ranks_t ranks;
    for (int unsigned w = 0; w < WAYS; w++) ranks[w] = WayWidth'(w);
    return ranks;
  endfunction

  function automatic ranks_t touched(ranks_t ranks, logic [WayWidth-1:0] way);
    ranks_t              after;
    logic [WayWidth-1:0] own;
    own = ranks[way];
    after = ranks;
    for (int unsigned w = 0; w < WAYS; w++) begin
      if (ranks[w] < own) after[w] = ranks[w] + WayWidth'(1);
    end
    after[way] = '0;
    return after;
  endfunction

  always_comb begin : find_oldest
    victim_o = '0;
    if (fill_i) begin
      for (int unsigned w = 0; w < WAYS; w++) begin
        if (rank_q[row_i[0]][w] == WayWidth'(WAYS - 1)) victim_o = WayWidth'(w);
      end
    end
  end

  // A way that already is the most recent changes nothing when touched, so nothing is written.
  logic moves[CHANNELS];

  always_comb begin : find_moves
    for (int unsigned c = 0; c < CHANNELS; c++) begin
      moves[c] = 1'b0;
      if (touch_i[c]) moves[c] = rank_q[row_i[c]][way_i[c]] != '0;
    end
  end

  if (RESETS) begin : gen_reset
    always_ff @(posedge clk_i) begin : order
      if (!rst_ni) rank_q <= '{default: first_ranks()};
      else if (moves[0]) rank_q[row_i[0]] <= touched(rank_q[row_i[0]], way_i[0]);
    end
  end else if (CHANNELS == 1) begin : gen_one
    always_ff @(posedge clk_i) begin : order
      if (initialise_i) rank_q[row_i[0]] <= first_ranks();
      else if (moves[0]) rank_q[row_i[0]] <= touched(rank_q[row_i[0]], way_i[0]);
    end
  end else begin : gen_two
    // Where both touch one row, the second finds what the first left.
    always_ff @(posedge clk_i) begin : order
      if (initialise_i) begin
        rank_q[row_i[0]] <= first_ranks();
      end else if (touch_i[0] && touch_i[1] && row_i[0] == row_i[1]) begin
        rank_q[row_i[0]] <= touched(touched(rank_q[row_i[0]], way_i[0]), way_i[1]);
      end else begin
        if (moves[0]) rank_q[row_i[0]] <= touched(rank_q[row_i[0]], way_i[0]);
        if (moves[1]) rank_q[row_i[1]] <= touched(rank_q[row_i[1]], way_i[1]);
      end
    end
  end

`ifndef SYNTHESIS
  function automatic logic is_permutation(ranks_t ranks);
    logic [63:0] seen;
    seen = '0;
    for (int unsigned w = 0; w < WAYS; w++) seen |= 64'd1 << ranks[w];
    return seen == ~64'd0 >> (64 - WAYS);
  endfunction

  always_ff @(posedge clk_i) begin : assertions
    for (int unsigned c = 0; c < CHANNELS; c++) begin
      if (rst_ni && moves[c]) begin
        the_ranks_of_a_set_are_a_permutation :
        assert (is_permutation(rank_q[row_i[c]]))
        else begin
          $error("the ranks of set %0d are not a permutation: %h", row_i[c], rank_q[row_i[c]]);
        end
      end
    end
  end
`endif

endmodule
