// Least-recently-used order of the ways of every set of an array.
//
// Contract: section 1.6. Counterpart: src/model/recency.rs.
//
// Each way of a set has a rank, 0 the most recent; the ranks of a set are a permutation. The set is
// one packed row, and one row is written a cycle. The memory has no reset: `initialise_i` writes
// the first ranks, row by row (a TLB array during the reset sweep, a paging-structure cache, which
// has one row, while reset is active).
//
// With two channels two ways are touched in one cycle, that of channel 0 first.

module lru #(
    /// Sets.
    parameter int unsigned SETS = 1,
    /// Ways, at least 1.
    parameter int unsigned WAYS = 8,
    /// Ways touched in one cycle at most: 1 or 2.
    parameter int unsigned CHANNELS = 1,
    /// Bits of a set's number.
    localparam int unsigned RowWidth = SETS > 1 ? $clog2(SETS) : 1,
    /// Bits of a way's number, and of a rank.
    localparam int unsigned WayWidth = WAYS > 1 ? $clog2(WAYS) : 1
) (
    /// Clock.
    input  logic                clk_i,
    /// Synchronous reset, active low: only arms the assertions.
    input  logic                rst_ni,
    // From the array that the order belongs to.
    /// Row that performs in this cycle.
    input  logic [RowWidth-1:0] row_i  [CHANNELS],
    /// The row of channel 0 gets its first ranks: way i has rank i.
    input  logic                initialise_i,
    /// That row's way of the greatest rank is wanted.
    input  logic                pick_i,
    /// The way is touched.
    input  logic                touch_i[CHANNELS],
    /// Way that is touched.
    input  logic [WayWidth-1:0] way_i  [CHANNELS],
    // To the array that the order belongs to.
    /// With `pick_i` the way of the greatest rank, else 0.
    output logic [WayWidth-1:0] oldest_o
);

  typedef logic [WAYS-1:0][WayWidth-1:0] ranks_t;

  ranks_t rank_q[SETS];

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
    oldest_o = '0;
    if (pick_i) begin
      for (int unsigned w = 0; w < WAYS; w++) begin
        if (rank_q[row_i[0]][w] == WayWidth'(WAYS - 1)) oldest_o = WayWidth'(w);
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

  if (CHANNELS == 1) begin : gen_one
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
