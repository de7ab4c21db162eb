// Replacement by use since all ways were used.
//
// Contract: section 1.6, policy 3. Counterpart: src/model/replacement/nru.rs.
//
// A way's bit is set by a touch; when the last one is set, all others are cleared.

module policy_nru #(
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

  typedef logic [WAYS-1:0] used_t;

  used_t used_q[SETS];

  // What counts is the touch, and not what it is for.
  logic unused_inputs;
  assign unused_inputs = ^{evict_i, initialise_i, rst_ni};

  function automatic used_t touched(used_t used, logic [WayWidth-1:0] way);
    used_t own;
    own = used_t'(1) << way;
    return &(used | own) ? own : used | own;
  endfunction

  // With one way its bit may be set, and it is the victim all the same.
  always_comb begin : find_victim
    victim_o = '0;
    if (fill_i) begin
      for (int unsigned w = WAYS; w > 0; w--) begin
        if (!used_q[row_i[0]][w-1]) victim_o = WayWidth'(w - 1);
      end
    end
  end

  logic moves[CHANNELS];
  assign moves = touch_i;

  if (RESETS) begin : gen_reset
    always_ff @(posedge clk_i) begin : order
      if (!rst_ni) used_q <= '{default: '0};
      else if (moves[0]) used_q[row_i[0]] <= touched(used_q[row_i[0]], way_i[0]);
    end
  end else if (CHANNELS == 1) begin : gen_one
    always_ff @(posedge clk_i) begin : order
      if (initialise_i) used_q[row_i[0]] <= '0;
      else if (moves[0]) used_q[row_i[0]] <= touched(used_q[row_i[0]], way_i[0]);
    end
  end else begin : gen_two
    // Where both touch one row, the second finds what the first left.
    always_ff @(posedge clk_i) begin : order
      if (initialise_i) begin
        used_q[row_i[0]] <= '0;
      end else if (touch_i[0] && touch_i[1] && row_i[0] == row_i[1]) begin
        used_q[row_i[0]] <= touched(touched(used_q[row_i[0]], way_i[0]), way_i[1]);
      end else begin
        if (moves[0]) used_q[row_i[0]] <= touched(used_q[row_i[0]], way_i[0]);
        if (moves[1]) used_q[row_i[1]] <= touched(used_q[row_i[1]], way_i[1]);
      end
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && fill_i && WAYS > 1) begin
      a_set_has_a_way_that_is_not_used :
      assert (!(&used_q[row_i[0]]))
      else $error("all ways of set %0d are used", row_i[0]);
    end
  end
`endif

endmodule
