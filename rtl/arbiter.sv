// The first in cyclic order after the last one chosen, of those that ask.
//
// Contract: section 1.7. Counterpart: in src/model part of the block that chooses.

module arbiter #(
    /// Things to choose among, at least 1.
    parameter int unsigned COUNT = 2,
    /// Bits of a number.
    localparam int unsigned Width = COUNT > 1 ? $clog2(COUNT) : 1
) (
    /// Clock.
    input  logic             clk_i,
    /// Synchronous reset, active low.
    input  logic             rst_ni,
    // From and to those that ask.
    /// Who asks.
    input  logic [COUNT-1:0] request_i,
    /// The one that is shown is chosen: the order goes on after it.
    input  logic             take_i,
    /// Somebody asks.
    output logic             valid_o,
    /// The first of them, else 0.
    output logic [Width-1:0] index_o
);

  logic [Width-1:0] last_q;

  always_comb begin : choose
    logic [COUNT-1:0] later;
    valid_o = 1'b0;
    index_o = '0;
    later = '0;
    if (request_i != '0) begin
      valid_o = 1'b1;
      later = (request_i >> last_q) >> 1;
      if (later != '0) later = (later << last_q) << 1;
      else later = request_i;
      for (int unsigned i = COUNT; i > 0; i--) if (later[i-1]) index_o = Width'(i - 1);
    end
  end

  always_ff @(posedge clk_i) begin : last
    if (!rst_ni) last_q <= Width'(COUNT - 1);
    else if (take_i) last_q <= index_o;
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && take_i) begin
      only_one_that_asks_is_chosen :
      assert (valid_o && request_i[index_o])
      else $error("%0d is chosen of %b", index_o, request_i);
    end
  end
`endif

endmodule
