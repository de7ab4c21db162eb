// What all properties begin with: the first cycle is one under reset, and properties are looked at outside of reset only.
//
// Contract: section 1.1. Counterpart: none. Reset may come again at any time; registers hold anything before the first one.

module formal_reset (
    /// Clock.
    input  logic clk_i,
    /// Synchronous reset, active low.
    input  logic rst_ni,
    /// The machine is out of reset, and was reset before.
    output logic running_o
);
  logic started_q = 1'b0;

  always_ff @(posedge clk_i) started_q <= 1'b1;

  assign running_o = started_q && rst_ni;

  always_comb begin : first_cycle
    assume (started_q || !rst_ni);
  end
endmodule
