// Of those that wait the one that waits longest, and of several that began at once the lowest.
//
// Contract: section 8.1 (WALKER_ORDER = 1). Counterpart: in src/model part of walkers.rs.
//
// Who waits is told in every cycle. One that is taken waits no longer in the next cycle.

module oldest #(
    /// Things that may wait, at least 1.
    parameter int unsigned COUNT = 8,
    /// Bits of a number.
    localparam int unsigned Width = COUNT > 1 ? $clog2(COUNT) : 1
) (
    /// Clock.
    input  logic             clk_i,
    /// Synchronous reset, active low.
    input  logic             rst_ni,
    // From and to those that wait.
    /// Who waits.
    input  logic [COUNT-1:0] waits_i,
    /// One of them may be taken.
    input  logic             take_i,
    /// One is taken:
    output logic             valid_o,
    /// its number, else 0.
    output logic [Width-1:0] index_o
);

  typedef logic [COUNT-1:0] mask_t;

  /// Who waited in the last cycle, and was not taken.
  mask_t waited_d, waited_q;
  /// Of each that waited: who waited before it.
  mask_t before_q[COUNT];

  always_comb begin : choose
    valid_o = take_i && waits_i != '0;
    index_o = '0;
    waited_d = waits_i;
    if (valid_o) begin
      // Who began to wait in this cycle comes after all others.
      for (int unsigned i = COUNT; i > 0; i--) begin
        if (waits_i[i-1] && ((waited_q[i-1] ? before_q[i-1] : waited_q) & waits_i) == '0) begin
          index_o = Width'(i - 1);
        end
      end
      waited_d[index_o] = 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin : order
    if (!rst_ni) begin
      waited_q <= '0;
    end else begin
      waited_q <= waited_d;
    end
  end

  // Meaningful of who waited, so it needs no reset. Who is taken is before nobody any more.
  always_ff @(posedge clk_i) begin : predecessors
    if (waits_i != '0) begin
      for (int unsigned i = 0; i < COUNT; i++) begin
        before_q[i] <= (waited_q[i] ? before_q[i] : waited_q) & waited_d;
      end
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni) begin
      nobody_stops_waiting_unless_taken :
      assert ((waited_q & ~waits_i) == '0)
      else $error("%b waited, and of them wait %b", waited_q, waits_i);

      somebody_is_the_oldest :
      assert (!valid_o || waits_i[index_o])
      else $error("%0d is chosen of %b", index_o, waits_i);
    end
  end
`endif

endmodule
