// Replacement by a binary tree of bits that point away from what was used.
//
// Contract: section 1.6, policy 1. Counterpart: src/model/replacement/tree_plru.rs.
//
// Bit k of a set's row is that of inner node k: the root is 1, the children of k are 2k and 2k + 1,
// and way i is the leaf WAYS + i. Bit 0 is of no node, and stays 0.

module policy_tree_plru #(
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

  localparam int unsigned Depth = $clog2(WAYS);
  /// Wide enough for the number of a leaf.
  localparam int unsigned NodeWidth = Depth + 1;

  typedef logic [WAYS-1:0] tree_t;
  typedef logic [NodeWidth-1:0] node_t;

  if ((WAYS & (WAYS - 1)) != 0) begin : gen_refused
    $error("the leaves of a tree are a power of two");
  end

  tree_t tree_q[SETS];

  // What counts is the touch, and not what it is for.
  logic unused_inputs;
  assign unused_inputs = ^{evict_i, initialise_i, rst_ni};

  function automatic tree_t touched(tree_t tree, logic [WayWidth-1:0] way);
    tree_t after;
    node_t leaf;
    after = tree;
    leaf = node_t'(WAYS) + node_t'(way);
    // The node d levels above the leaf is the leaf's number without its last d bits.
    for (int unsigned d = Depth; d > 0; d--) after[WayWidth'(leaf >> d)] = !leaf[d-1];
    return after;
  endfunction

  always_comb begin : find_victim
    node_t node;
    node = node_t'(1);
    victim_o = '0;
    if (fill_i && WAYS > 1) begin
      for (int unsigned d = Depth; d > 0; d--) begin
        node = (node << 1) | node_t'(tree_q[row_i[0]][WayWidth'(node)]);
      end
      victim_o = WayWidth'(node);
    end
  end

  logic moves[CHANNELS];
  assign moves = touch_i;

  if (RESETS) begin : gen_reset
    always_ff @(posedge clk_i) begin : order
      if (!rst_ni) tree_q <= '{default: '0};
      else if (moves[0]) tree_q[row_i[0]] <= touched(tree_q[row_i[0]], way_i[0]);
    end
  end else if (CHANNELS == 1) begin : gen_one
    always_ff @(posedge clk_i) begin : order
      if (initialise_i) tree_q[row_i[0]] <= '0;
      else if (moves[0]) tree_q[row_i[0]] <= touched(tree_q[row_i[0]], way_i[0]);
    end
  end else begin : gen_two
    // Where both touch one row, the second finds what the first left.
    always_ff @(posedge clk_i) begin : order
      if (initialise_i) begin
        tree_q[row_i[0]] <= '0;
      end else if (touch_i[0] && touch_i[1] && row_i[0] == row_i[1]) begin
        tree_q[row_i[0]] <= touched(touched(tree_q[row_i[0]], way_i[0]), way_i[1]);
      end else begin
        if (moves[0]) tree_q[row_i[0]] <= touched(tree_q[row_i[0]], way_i[0]);
        if (moves[1]) tree_q[row_i[1]] <= touched(tree_q[row_i[1]], way_i[1]);
      end
    end
  end

endmodule
