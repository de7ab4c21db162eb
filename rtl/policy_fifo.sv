// Replacement of what was filled first.
//
// Contract: section 1.6, policy 2. Counterpart: src/model/replacement/fifo.rs.
//
// The order is that of policy_lru.sv, in which only fills count, and those are of channel 0.

module policy_fifo #(
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

  // Hits count for nothing.
  logic unused_channel;
  assign unused_channel = ^{row_i[CHANNELS-1], touch_i[CHANNELS-1], way_i[CHANNELS-1]};

  logic filled[1];
  assign filled[0] = touch_i[0] && fill_i;

  policy_lru #(
      .SETS  (SETS),
      .WAYS  (WAYS),
      .RESETS(RESETS)
  ) u_order (
      .clk_i,
      .rst_ni,
      .row_i  (row_i[0+:1]),
      .initialise_i,
      .touch_i(filled),
      .way_i  (way_i[0+:1]),
      .fill_i,
      .evict_i,
      .victim_o
  );

endmodule
