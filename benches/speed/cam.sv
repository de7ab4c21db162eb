// A bare content-addressable memory of 64 entries: what Verilator reaches on the heart of one fully associative TLB and nothing else.
// Contract: none. SDM: none. Counterpart: benches/cam.cpp drives it, benches/speed.rs prints its speed beside the MMU's.

module cam (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        write_i,
  input  logic [5:0]  index_i,
  input  logic [44:0] page_i,
  input  logic [39:0] frame_i,
  output logic        hit_o,
  output logic [39:0] frame_o
);
  logic [63:0] valid_q;
  logic [44:0] page_q  [64];
  logic [39:0] frame_q [64];

  logic [63:0] match;
  logic [39:0] found;

  always_comb begin
    found = '0;
    for (int i = 0; i < 64; i++) begin
      match[i] = valid_q[i] && page_q[i] == page_i;
      found |= match[i] ? frame_q[i] : '0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= '0;
      hit_o <= 1'b0;
      frame_o <= '0;
    end else begin
      hit_o <= |match;
      frame_o <= found;
      if (write_i) begin
        valid_q[index_i] <= 1'b1;
        page_q[index_i] <= page_i;
        frame_q[index_i] <= frame_i;
      end
    end
  end
endmodule
