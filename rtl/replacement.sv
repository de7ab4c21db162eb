// Replacement in an array of sets: which of the policies serves it.
//
// Contract: section 1.6. Counterpart: src/model/replacement/mod.rs.
//
// All policies have the ports of this module. A policy is one file, and one line here.

module replacement #(
    /// 0 LRU, 1 tree PLRU, 2 FIFO, 3 NRU, 4 random, 5 SRRIP.
    parameter int unsigned POLICY   = 0,
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
    // From the array that the state belongs to.
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
    // To the array that the state belongs to.
    /// With `fill_i` the victim, else 0.
    output logic [WayWidth-1:0] victim_o
);

  if (POLICY == 0) begin : gen_lru
    policy_lru #(.SETS(SETS), .WAYS(WAYS), .CHANNELS(CHANNELS), .RESETS(RESETS)) u_policy (.*);
  end else if (POLICY == 1) begin : gen_tree_plru
    policy_tree_plru #(.SETS(SETS), .WAYS(WAYS), .CHANNELS(CHANNELS), .RESETS(RESETS)) u_policy (.*);
  end else if (POLICY == 2) begin : gen_fifo
    policy_fifo #(.SETS(SETS), .WAYS(WAYS), .CHANNELS(CHANNELS), .RESETS(RESETS)) u_policy (.*);
  end else if (POLICY == 3) begin : gen_nru
    policy_nru #(.SETS(SETS), .WAYS(WAYS), .CHANNELS(CHANNELS), .RESETS(RESETS)) u_policy (.*);
  end else if (POLICY == 4) begin : gen_random
    policy_random #(.SETS(SETS), .WAYS(WAYS), .CHANNELS(CHANNELS), .RESETS(RESETS)) u_policy (.*);
  end else if (POLICY == 5) begin : gen_srrip
    policy_srrip #(.SETS(SETS), .WAYS(WAYS), .CHANNELS(CHANNELS), .RESETS(RESETS)) u_policy (.*);
  end else begin : gen_refused
    $error("there are policies 0 to 5");
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && fill_i) begin
      a_fill_touches_its_way :
      assert (touch_i[0] && 32'(victim_o) < WAYS && (!evict_i || way_i[0] == victim_o))
      else $error("way %0d is filled, evicts %b, the victim is %0d", way_i[0], evict_i, victim_o);
    end
  end
`endif

endmodule
