// The memory port, which the walkers share: one of their requests at a time.
//
// Contract: section 8.3 (the memory port). Counterpart: src/model/memory_port.rs.
//
// A request that was shown stays until memory accepts it. The id of a request is the number of its
// walker, by which the answer finds its way back. Walkers have an entry of 4 bytes as the low half
// of 64 bits; which half of the memory's 64 bits it stands in, they tell apart from it.

module memory_port
  import mmu_pkg::*;
#(
    /// Page walkers, 1 to 4.
    parameter int unsigned WALKERS = 2
) (
    /// Clock.
    input  logic               clk_i,
    /// Synchronous reset, active low.
    input  logic               rst_ni,
    // From and to the walkers.
    /// The walker wants a transfer: a read, or with `cas_i` a compare-and-set.
    input  logic [WALKERS-1:0] want_i,
    /// It is a compare-and-set.
    input  logic [WALKERS-1:0] cas_i,
    /// Physical address.
    input  logic [51:0]        addr_i         [WALKERS],
    /// New value of a compare-and-set.
    input  logic [63:0]        wdata_i        [WALKERS],
    /// Expected value of a compare-and-set.
    input  logic [63:0]        expected_i     [WALKERS],
    /// Halves of the 64 bits that the entry stands in: both, the low or the high one. The walker
    /// holds this until it is answered.
    input  logic [1:0]         halves_i       [WALKERS],
    /// The walker's request is transferred.
    output logic [WALKERS-1:0] transfer_o,
    /// The walker's answer comes in.
    output logic [WALKERS-1:0] answer_o,
    /// The entry that memory held; 0 without an answer.
    output logic [63:0]        held_o,
    // To and from memory.
    /// A request is made.
    output logic               mem_req_valid_o,
    /// Memory accepts it.
    input  logic               mem_req_ready_i,
    /// Read or compare-and-set.
    output logic [1:0]         mem_req_op_o,
    /// Number of the walker.
    output logic [7:0]         mem_req_id_o,
    /// Physical address.
    output logic [51:0]        mem_req_addr_o,
    /// Beats of 64 bits.
    output logic [7:0]         mem_req_beats_o,
    /// Byte enables.
    output logic [7:0]         mem_req_be_o,
    /// New value of a compare-and-set.
    output logic [63:0]        mem_req_wdata_o,
    /// Expected value of a compare-and-set.
    output logic [63:0]        mem_req_expected_o,
    /// A response is given.
    input  logic               mem_resp_valid_i,
    /// Number of the walker.
    input  logic [7:0]         mem_resp_id_i,
    /// What memory held.
    input  logic [63:0]        mem_resp_data_i
);

  localparam int unsigned Width = WALKERS > 1 ? $clog2(WALKERS) : 1;
  typedef logic [Width-1:0] index_t;

  localparam logic [1:0] LowHalf = 2'b01;
  localparam logic [1:0] HighHalf = 2'b10;

  /// The walker whose request was shown and not transferred, one bit; 0 if there is none.
  logic [WALKERS-1:0] held_q;
  logic [WALKERS-1:0] asks;
  logic               transfer;
  index_t             shown;

  assign asks = held_q != '0 ? held_q : want_i;
  assign transfer = mem_req_valid_o && mem_req_ready_i;

  arbiter #(
      .COUNT(WALKERS)
  ) u_arbiter (
      .clk_i,
      .rst_ni,
      .request_i(asks),
      .take_i   (transfer),
      .valid_o  (mem_req_valid_o),
      .index_o  (shown)
  );

  always_ff @(posedge clk_i) begin : held
    if (!rst_ni || !mem_req_valid_o || mem_req_ready_i) held_q <= '0;
    else held_q <= WALKERS'(1) << shown;
  end

  always_comb begin : show_request
    mem_req_op_o = MemRead;
    mem_req_id_o = '0;
    mem_req_addr_o = '0;
    mem_req_beats_o = '0;
    mem_req_be_o = '0;
    mem_req_wdata_o = '0;
    mem_req_expected_o = '0;
    if (mem_req_valid_o) begin
      mem_req_id_o = 8'(shown);
      mem_req_addr_o = addr_i[shown];
      mem_req_beats_o = 8'd1;
      mem_req_be_o = 8'hff;
      if (halves_i[shown] == LowHalf) mem_req_be_o = 8'h0f;
      if (halves_i[shown] == HighHalf) mem_req_be_o = 8'hf0;
      if (cas_i[shown]) begin
        mem_req_op_o = MemCompareAndSet;
        mem_req_wdata_o = wdata_i[shown];
        mem_req_expected_o = expected_i[shown];
        if (halves_i[shown] == HighHalf) begin
          mem_req_wdata_o = {mem_req_wdata_o[31:0], 32'd0};
          mem_req_expected_o = {mem_req_expected_o[31:0], 32'd0};
        end
      end
    end
  end

  always_comb begin : route
    transfer_o = '0;
    answer_o = '0;
    if (transfer) transfer_o = WALKERS'(1) << shown;
    if (mem_resp_valid_i) answer_o = WALKERS'(1) << mem_resp_id_i;
  end

  always_comb begin : take_entry
    held_o = '0;
    if (mem_resp_valid_i) begin
      case (halves_i[index_t'(mem_resp_id_i)])
        LowHalf:  held_o = 64'(mem_resp_data_i[31:0]);
        HighHalf: held_o = 64'(mem_resp_data_i[63:32]);
        default:  held_o = mem_resp_data_i;
      endcase
    end
  end

`ifndef SYNTHESIS
  // The link of answers has no checker: its ready is always 1, so that it never stalls.
  link_sva u_memory_link (
      .clk_i,
      .rst_ni,
      .valid_i    (mem_req_valid_o),
      .ready_i    (mem_req_ready_i),
      .payload_0_i({38'd0, mem_req_op_o, mem_req_id_o, mem_req_beats_o, mem_req_be_o}),
      .payload_1_i({12'd0, mem_req_addr_o}),
      .payload_2_i(mem_req_wdata_o),
      .payload_3_i(mem_req_expected_o)
  );

  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && held_q != '0) begin
      a_request_that_was_shown_is_still_wanted :
      assert ((held_q & ~want_i) == '0 && (held_q & (held_q - WALKERS'(1))) == '0)
      else $error("the request of walkers %b is held, those of %b are wanted", held_q, want_i);
    end
    if (rst_ni && mem_resp_valid_i) begin
      an_answer_has_the_id_of_a_walker :
      assert (32'(mem_resp_id_i) < WALKERS)
      else $error("response of id %0d", mem_resp_id_i);
    end
  end
`endif

endmodule
