// Replacement by re-reference interval prediction, static (SRRIP).
//
// Contract: section 1.6, policy 5. Counterpart: src/model/replacement/srrip.rs.
//
// Each way of a set has a re-reference prediction value (RRPV) of two bits: how far away its next use is taken
// to be, 3 the furthest. A hit makes it 0, a fill 2, so that what was filled and never used goes before what
// was used. The set is one packed row, as in policy_lru.sv.

module policy_srrip #(
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

  typedef logic [1:0] rrpv_t;
  typedef rrpv_t [WAYS-1:0] rrpvs_t;

  localparam rrpv_t Furthest = 2'd3;
  localparam rrpv_t Filled = 2'd2;
  localparam rrpv_t Used = 2'd0;

  rrpvs_t rrpv_q[SETS];

  // All ways grow older by a fill, whatever it takes.
  logic unused_inputs;
  assign unused_inputs = ^{evict_i, initialise_i, rst_ni};

  function automatic rrpv_t greatest(rrpvs_t rrpvs);
    rrpv_t found;
    found = '0;
    for (int unsigned w = 0; w < WAYS; w++) if (rrpvs[w] > found) found = rrpvs[w];
    return found;
  endfunction

  function automatic rrpvs_t filled(rrpvs_t rrpvs, logic [WayWidth-1:0] way);
    rrpvs_t after;
    rrpv_t  older;
    older = Furthest - greatest(rrpvs);
    for (int unsigned w = 0; w < WAYS; w++) after[w] = rrpvs[w] + older;
    after[way] = Filled;
    return after;
  endfunction

  always_comb begin : find_victim
    rrpv_t most;
    most = '0;
    victim_o = '0;
    if (fill_i) begin
      most = greatest(rrpv_q[row_i[0]]);
      for (int unsigned w = WAYS; w > 0; w--) begin
        if (rrpv_q[row_i[0]][w-1] == most) victim_o = WayWidth'(w - 1);
      end
    end
  end

  // A hit of a way that has the value of a hit changes nothing, so nothing is written.
  logic hits[CHANNELS];

  always_comb begin : find_hits
    for (int unsigned c = 0; c < CHANNELS; c++) begin
      hits[c] = 1'b0;
      if (touch_i[c] && !fill_i) hits[c] = rrpv_q[row_i[c]][way_i[c]] != Used;
    end
  end

  if (RESETS) begin : gen_reset
    always_ff @(posedge clk_i) begin : order
      if (!rst_ni) rrpv_q <= '{default: '1};
      else if (fill_i) rrpv_q[row_i[0]] <= filled(rrpv_q[row_i[0]], way_i[0]);
      else if (hits[0]) rrpv_q[row_i[0]][way_i[0]] <= Used;
    end
  end else begin : gen_rows
    // Two hits of one set in one cycle commute.
    always_ff @(posedge clk_i) begin : order
      if (initialise_i) begin
        rrpv_q[row_i[0]] <= '1;
      end else if (fill_i) begin
        rrpv_q[row_i[0]] <= filled(rrpv_q[row_i[0]], way_i[0]);
      end else begin
        for (int unsigned c = 0; c < CHANNELS; c++) begin
          if (hits[c]) rrpv_q[row_i[c]][way_i[c]] <= Used;
        end
      end
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && fill_i && CHANNELS > 1) begin
      a_fill_is_the_only_touch_of_its_cycle :
      assert (!touch_i[CHANNELS-1])
      else $error("way %0d is hit while way %0d is filled", way_i[CHANNELS-1], way_i[0]);
    end
  end
`endif

endmodule
