// Marks that come out a fixed number of cycles after they went in.
//
// Contract: sections 5 (from when on a request may be looked up), 7.3 (from when on a result is
// due). Counterpart: none; the model counts cycles.

module delay_line #(
    /// Cycles from the mark to the first cycle in which a register that counts marks shows it, 1 to
    /// 63.
    parameter int unsigned CYCLES = 1
) (
    /// Clock.
    input  logic clk_i,
    /// Synchronous reset, active low.
    input  logic rst_ni,
    /// A mark goes in.
    input  logic mark_i,
    /// A mark comes out, CYCLES - 1 cycles later.
    output logic mark_o
);

  if (CYCLES == 1) begin : gen_at_once
    logic unused_clock;
    assign unused_clock = ^{clk_i, rst_ni};
    assign mark_o = mark_i;
  end else begin : gen_line
    logic [CYCLES-2:0] age_q;

    always_ff @(posedge clk_i) begin : age
      if (!rst_ni) age_q <= '0;
      else age_q <= (age_q << 1) | (CYCLES - 1)'(mark_i);
    end

    assign mark_o = age_q[CYCLES-2];
  end

endmodule
