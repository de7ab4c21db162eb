// Checks of one valid/ready link: valid stays, with the same payload, until the transfer.
//
// Contract: section 1.3. Counterpart: none; src/cosim checks the model's side.
//
// The same checker serves every link, of the machine's outputs and of its inputs. The payload is
// given in words of at most 64 bits and looked at only while the link is stalled, which keeps it
// cheap to simulate. Not proved here: that a stalled link moves at last.

module link_sva (
    /// Clock.
    input  logic        clk_i,
    /// Synchronous reset, active low.
    input  logic        rst_ni,
    // The link.
    /// Valid.
    input  logic        valid_i,
    /// Ready.
    input  logic        ready_i,
    /// Payload.
    input  logic [63:0] payload_0_i,
    /// More payload, or 0.
    input  logic [63:0] payload_1_i,
    /// More payload, or 0.
    input  logic [63:0] payload_2_i,
    /// More payload, or 0.
    input  logic [63:0] payload_3_i
);

  logic        stalled_q;
  logic [63:0] payload_0_q, payload_1_q, payload_2_q, payload_3_q;

  always_ff @(posedge clk_i) begin : remember
    stalled_q <= rst_ni && valid_i && !ready_i;
    if (valid_i && !ready_i) begin
      payload_0_q <= payload_0_i;
      payload_1_q <= payload_1_i;
      payload_2_q <= payload_2_i;
      payload_3_q <= payload_3_i;
    end
  end

  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && stalled_q) begin
      valid_stays_until_ready :
      assert (valid_i)
      else $error("valid fell before the transfer");

      the_payload_is_stable_until_ready :
      assert (payload_0_i == payload_0_q && payload_1_i == payload_1_q &&
              payload_2_i == payload_2_q && payload_3_i == payload_3_q)
      else begin
        $error("the payload changed before the transfer: %h %h %h %h, was %h %h %h %h",
               payload_0_i, payload_1_i, payload_2_i, payload_3_i,
               payload_0_q, payload_1_q, payload_2_q, payload_3_q);
      end
    end
  end

endmodule
