// Properties of the memory port: requests stay until they are accepted, none is lost or made twice, each answer finds its
// walker, and no walker waits for more than WALKERS - 1 transfers of others.
//
// Contract: sections 1.3 (links), 3 (memory), 8.3 (the memory port). Block: rtl/memory_port.sv, with its own assertions and its
// link_sva.
//
// Unbounded (induction), for 3 walkers.
// Assumed of the walkers (proved in walker_formal.sv): what is wanted is wanted, unchanged, until its transfer, and then nothing until
// the answer. Assumed of memory (contract 3): it answers what it accepted, at the earliest in the cycle after, each once.
// Not proved: that memory accepts or answers at all.

module memory_port_formal
  import mmu_pkg::*;
(
    input logic        clk_i,
    input logic        rst_ni,
    input logic [2:0]  want_i,
    input logic [2:0]  cas_i,
    input logic [51:0] addr_0_i, addr_1_i, addr_2_i,
    input logic [63:0] wdata_0_i, wdata_1_i, wdata_2_i,
    input logic [63:0] expected_0_i, expected_1_i, expected_2_i,
    input logic [1:0]  halves_0_i, halves_1_i, halves_2_i,
    input logic        mem_req_ready_i,
    input logic        mem_resp_valid_i,
    input logic [7:0]  mem_resp_id_i,
    input logic [63:0] mem_resp_data_i
);
  localparam int unsigned Walkers = 3;

  logic        running;
  logic [51:0] addr    [Walkers];
  logic [63:0] wdata   [Walkers];
  logic [63:0] expected[Walkers];
  logic [1:0]  halves  [Walkers];
  logic [2:0]  transfer;
  logic [2:0]  answer;
  logic [63:0] held;
  logic        mem_req_valid;
  logic [1:0]  mem_req_op;
  logic [7:0]  mem_req_id;
  logic [51:0] mem_req_addr;
  logic [7:0]  mem_req_beats;
  logic [7:0]  mem_req_be;
  logic [63:0] mem_req_wdata;
  logic [63:0] mem_req_expected;

  assign addr = '{addr_0_i, addr_1_i, addr_2_i};
  assign wdata = '{wdata_0_i, wdata_1_i, wdata_2_i};
  assign expected = '{expected_0_i, expected_1_i, expected_2_i};
  assign halves = '{halves_0_i, halves_1_i, halves_2_i};

  formal_reset u_reset (.clk_i, .rst_ni, .running_o(running));

  memory_port #(
      .WALKERS(Walkers)
  ) u_port (
      .clk_i, .rst_ni, .want_i, .cas_i, .addr_i(addr), .wdata_i(wdata), .expected_i(expected), .halves_i(halves),
      .transfer_o(transfer), .answer_o(answer), .held_o(held), .mem_req_valid_o(mem_req_valid), .mem_req_ready_i,
      .mem_req_op_o(mem_req_op), .mem_req_id_o(mem_req_id), .mem_req_addr_o(mem_req_addr), .mem_req_beats_o(mem_req_beats),
      .mem_req_be_o(mem_req_be), .mem_req_wdata_o(mem_req_wdata), .mem_req_expected_o(mem_req_expected), .mem_resp_valid_i,
      .mem_resp_id_i, .mem_resp_data_i
  );

  /// Accepted by memory and not answered, one bit a walker; the same for each with who waits and how often others were before it.
  logic [Walkers-1:0] pending_q;
  logic [7:0]         others_q[Walkers];

  always_ff @(posedge clk_i) begin : remember
    if (!rst_ni) begin
      pending_q <= '0;
      others_q <= '{default: '0};
    end else begin
      pending_q <= (pending_q | transfer) & ~answer;
      for (int unsigned w = 0; w < Walkers; w++) begin
        if (!want_i[w] || transfer[w]) others_q[w] <= '0;
        else if (transfer != '0) others_q[w] <= others_q[w] + 8'd1;
      end
    end
  end

  always_comb begin : obligations
    if (running) begin
      assume ((want_i & pending_q) == '0);
      if (mem_resp_valid_i) assume (mem_resp_id_i < 8'(Walkers) && pending_q[mem_resp_id_i[1:0]]);
    end
  end

  always_comb begin : properties
    if (running) begin
      a_request_is_shown_exactly_while_one_is_wanted : assert (mem_req_valid == (want_i != '0));
      a_transfer_is_one_walkers :
      assert (transfer == (mem_req_valid && mem_req_ready_i ? 3'd1 << mem_req_id : 3'd0));
      the_request_is_that_of_its_walker :
      assert (!mem_req_valid || (mem_req_id < 8'(Walkers) && want_i[mem_req_id[1:0]] &&
              mem_req_addr == addr[mem_req_id[1:0]] && mem_req_beats == 8'd1 &&
              mem_req_op == (cas_i[mem_req_id[1:0]] ? MemCompareAndSet : MemRead)));
      a_compare_and_set_writes_what_its_walker_wants :
      assert (!mem_req_valid || !cas_i[mem_req_id[1:0]] || (halves[mem_req_id[1:0]] == 2'b10 ?
              mem_req_wdata[63:32] == wdata[mem_req_id[1:0]][31:0] && mem_req_wdata[31:0] == '0 && mem_req_be == 8'hf0 :
              mem_req_wdata == wdata[mem_req_id[1:0]] && mem_req_be == (halves[mem_req_id[1:0]] == 2'b01 ? 8'h0f : 8'hff)));
      an_answer_goes_to_the_walker_that_has_a_request_pending :
      assert (answer == (mem_resp_valid_i ? 3'd1 << mem_resp_id_i : 3'd0) && (answer & ~pending_q) == '0);
      nothing_is_transferred_twice : assert ((transfer & pending_q) == '0);
    end
  end

  for (genvar w = 0; w < Walkers; w++) begin : gen_walker
    // What is wanted stays until the transfer: the same checker as on every link, here assumed (properties.toml).
    link_sva u_assumed_link (
        .clk_i, .rst_ni, .valid_i(want_i[w]), .ready_i(transfer[w]), .payload_0_i({12'(halves[w]), addr[w]}),
        .payload_1_i(wdata[w]), .payload_2_i(expected[w]), .payload_3_i(64'(cas_i[w]))
    );

    /// Walkers ahead of this one in the order; with a request that is held that one first, and the order goes on after it.
    logic [7:0] last;
    logic [7:0] ahead;
    always_comb begin : find_ahead
      last = 8'(u_port.u_arbiter.last_q);
      for (int unsigned h = 0; h < Walkers; h++) if (u_port.held_q[h]) last = 8'(h);
      ahead = 8'((w + Walkers - 1 - 32'(last)) % Walkers);
      if (u_port.held_q != '0) ahead = u_port.held_q[w] ? 8'd0 : ahead + 8'd1;
    end

    always_comb begin : fairness
      if (running && want_i[w]) begin
        at_most_walkers_less_one_transfers_pass : assert (32'(others_q[w]) <= Walkers - 1);
      end
    end

    always_comb begin : strengthening
      if (running) begin
        the_order_is_within_range : assert (32'(u_port.u_arbiter.last_q) < Walkers);
        passed_and_ahead_are_few : assert (!want_i[w] || others_q[w] + ahead < 8'(Walkers));
      end
    end
  end
endmodule
