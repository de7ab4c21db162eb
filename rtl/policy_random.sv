// Replacement by a shift register.
//
// Contract: section 1.6, policy 4. Counterpart: src/model/replacement/random.rs.
//
// One register serves all sets of the array, and steps when its victim is taken.

module policy_random #(
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

  logic [15:0] register_q;

  // Neither use nor set counts.
  logic unused_inputs;
  assign unused_inputs = ^{row_i[CHANNELS-1], initialise_i, touch_i[CHANNELS-1], way_i[CHANNELS-1],
                           32'(SETS), RESETS};

  always_comb begin : find_victim
    victim_o = '0;
    if (fill_i) victim_o = WayWidth'(register_q % 16'(WAYS));
  end

  always_ff @(posedge clk_i) begin : step
    if (!rst_ni) register_q <= 16'hace1;
    else if (evict_i) register_q <= (register_q >> 1) ^ (register_q[0] ? 16'hb400 : 16'h0000);
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && evict_i) begin
      only_a_fill_evicts :
      assert (fill_i)
      else $error("an eviction without a fill");
    end
  end
`endif

endmodule
