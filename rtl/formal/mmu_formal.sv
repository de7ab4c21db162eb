// Properties of the whole machine, as small as it gets: each request that is accepted has exactly one response, with its id; links keep
// their rules.
//
// Contract: sections 1.3 (links), 3 (ports, ids), 5 (queues). Block: rtl/mmu.sv and all that is in it.
//
// Bounded, from the one reset on: 1 data port, 1 place in each queue, 1 entry of the miss queue, 1 walker, each level one array of one page of 4 KiB,
// no PSC, all latencies 1. Control may do anything that is one operation at a time; memory answers anything.
// Assumed (contract 3): requests and operations stay until they are accepted; memory answers what it accepted, each once, from the cycle after.
// Not proved: anything that takes longer from reset on than the depth. In it fit: paging turned on, one walk of 32-bit paging and its answer.

module mmu_formal
  import mmu_pkg::*;
(
    input logic        clk_i,
    input logic        rst_ni,
    input logic [1:0]  req_valid_i,
    input logic [1:0][7:0]  req_id_i,
    input logic [1:0][63:0] req_va_i,
    input logic [1:0]  is_write_i,
    input logic [1:0][1:0] req_cpl_i,
    input logic [1:0]  resp_ready_i,
    input logic        ctrl_valid_i,
    input logic [2:0]  ctrl_op_i,
    input logic [63:0] ctrl_data_i,
    input logic        ctrl_resp_ready_i,
    input logic        mem_req_ready_i,
    input logic        mem_resp_valid_i,
    input logic [63:0] mem_resp_data_i,
    input logic        mem_resp_error_i
);
  localparam int unsigned Ports = 2;

  logic        running;
  logic        req_valid[Ports], req_ready[Ports];
  logic [7:0]  req_id[Ports];
  logic [63:0] req_va[Ports];
  logic [1:0]  req_kind[Ports];
  logic [6:0]  req_size_bytes[Ports];
  logic [1:0]  req_cpl[Ports];
  logic        req_ac[Ports], req_implicit_supervisor[Ports];
  logic [31:0] req_pkru[Ports];
  logic        resp_valid[Ports], resp_ready[Ports];
  logic [7:0]  resp_id[Ports];
  logic [1:0]  resp_status[Ports];
  logic [51:0] resp_pa[Ports];
  logic [1:0]  resp_page_size[Ports];
  logic        resp_pwt[Ports], resp_pcd[Ports], resp_pat[Ports];
  logic [15:0] resp_error_code[Ports];
  logic [63:0] resp_va[Ports];
  logic        ctrl_ready, ctrl_resp_valid, ctrl_resp_gp;
  logic        mem_req_valid;
  logic [1:0]  mem_req_op;
  logic [7:0]  mem_req_id;
  logic [51:0] mem_req_addr;
  logic [7:0]  mem_req_beats, mem_req_be;
  logic [63:0] mem_req_wdata, mem_req_expected;

  for (genvar p = 0; p < Ports; p++) begin : gen_request
    assign req_valid[p] = req_valid_i[p];
    assign req_id[p] = req_id_i[p];
    assign req_va[p] = req_va_i[p];
    assign req_kind[p] = p == 0 ? KindFetch : is_write_i[p] ? KindWrite : KindRead;
    assign req_size_bytes[p] = 7'd1;
    assign req_cpl[p] = req_cpl_i[p];
    assign req_ac[p] = 1'b0;
    assign req_implicit_supervisor[p] = 1'b0;
    assign req_pkru[p] = '0;
    assign resp_ready[p] = resp_ready_i[p];
  end

  formal_reset u_reset (.clk_i, .rst_ni, .running_o(running));

  mmu #(
      .MAXPHYADDR(36), .PAGE_1G(0), .FIVE_LEVEL(0), .DATA_PORTS(1), .QUEUE_ENTRIES(1), .MISS_QUEUE_ENTRIES(1), .WALKERS(1),
      .STLB_HIT_CYCLES(1), .ITLB_A_SETS(1), .ITLB_A_WAYS(1), .ITLB_B_SIZES(0), .ITLB_C_SIZES(0), .DTLB_A_SETS(1),
      .DTLB_A_WAYS(1), .DTLB_B_SIZES(0), .DTLB_C_SIZES(0), .STLB_A_SETS(1), .STLB_A_WAYS(1), .STLB_B_SIZES(0),
      .STLB_C_SIZES(0), .PSC_PML5E_WAYS(0), .PSC_PML4E_WAYS(0), .PSC_PDPTE_WAYS(0), .PSC_PDE_WAYS(0)
  ) u_mmu (
      .clk_i, .rst_ni, .req_valid_i(req_valid), .req_ready_o(req_ready), .req_id_i(req_id), .req_va_i(req_va),
      .req_kind_i(req_kind), .req_size_bytes_i(req_size_bytes), .req_cpl_i(req_cpl), .req_ac_i(req_ac),
      .req_implicit_supervisor_i(req_implicit_supervisor), .req_pkru_i(req_pkru), .resp_valid_o(resp_valid),
      .resp_ready_i(resp_ready), .resp_id_o(resp_id), .resp_status_o(resp_status), .resp_pa_o(resp_pa),
      .resp_page_size_o(resp_page_size), .resp_pwt_o(resp_pwt), .resp_pcd_o(resp_pcd), .resp_pat_o(resp_pat),
      .resp_error_code_o(resp_error_code), .resp_va_o(resp_va), .ctrl_valid_i, .ctrl_ready_o(ctrl_ready), .ctrl_op_i,
      .ctrl_data_i, .ctrl_addr_i('0), .ctrl_type_i('0), .ctrl_resp_valid_o(ctrl_resp_valid), .ctrl_resp_ready_i,
      .ctrl_resp_gp_o(ctrl_resp_gp), .cr0_o(), .cr3_o(), .cr4_o(), .efer_o(), .mem_req_valid_o(mem_req_valid), .mem_req_ready_i,
      .mem_req_op_o(mem_req_op), .mem_req_id_o(mem_req_id), .mem_req_addr_o(mem_req_addr), .mem_req_beats_o(mem_req_beats),
      .mem_req_be_o(mem_req_be), .mem_req_wdata_o(mem_req_wdata), .mem_req_expected_o(mem_req_expected), .mem_resp_valid_i,
      .mem_resp_ready_o(), .mem_resp_id_i('0), .mem_resp_data_i, .mem_resp_error_i, .mem_resp_last_i(1'b1),
      .mon_lookup_o(), .mon_lookup_entry_o(), .mon_lookup_retry_o(), .mon_stlb_lookup_o(), .mon_stlb_port_o(),
      .mon_stlb_entry_o(), .mon_walk_op_o(), .mon_walk_port_o(), .mon_walk_entry_o(), .mon_walk_psc_level_o(),
      .mon_walk_filled_o(), .mon_tlb_op_o(), .mon_tlb_set_o(), .mon_tlb_way_o(), .mon_tlb_removed_o(), .mon_tlb_tag_o(),
      .mon_tlb_data_o(), .mon_tlb_victim_tag_o(), .mon_tlb_victim_data_o(), .mon_psc_op_o(), .mon_psc_set_o(),
      .mon_psc_way_o(), .mon_psc_removed_o(), .mon_psc_tag_o(), .mon_psc_data_o(), .mon_psc_victim_tag_o(),
      .mon_psc_victim_data_o(), .mon_miss_o(), .mon_walker_o(), .mon_prefetch_o(), .perf_o()
  );

  logic pending_q;

  always_ff @(posedge clk_i) begin : remember_memory
    if (!rst_ni) pending_q <= 1'b0;
    else pending_q <= (pending_q || (mem_req_valid && mem_req_ready_i)) && !mem_resp_valid_i;
  end

  logic was_running_q = 1'b0;
  always_ff @(posedge clk_i) was_running_q <= running;

  always_comb begin : obligations
    if (was_running_q) assume (rst_ni);
    if (running) begin
      assume (!mem_resp_valid_i || pending_q);
      assume (!ctrl_valid_i || ctrl_op_i <= CtrlInvpcid);
    end
  end

  link_sva u_assumed_control_link (
      .clk_i, .rst_ni, .valid_i(ctrl_valid_i), .ready_i(ctrl_ready), .payload_0_i(64'(ctrl_op_i)), .payload_1_i(ctrl_data_i),
      .payload_2_i('0), .payload_3_i('0)
  );
  link_sva u_control_response_link (
      .clk_i, .rst_ni, .valid_i(ctrl_resp_valid), .ready_i(ctrl_resp_ready_i), .payload_0_i(64'(ctrl_resp_gp)), .payload_1_i('0),
      .payload_2_i('0), .payload_3_i('0)
  );
  link_sva u_memory_link (
      .clk_i, .rst_ni, .valid_i(mem_req_valid), .ready_i(mem_req_ready_i),
      .payload_0_i({38'd0, mem_req_op, mem_req_id, mem_req_beats, mem_req_be}), .payload_1_i({12'd0, mem_req_addr}),
      .payload_2_i(mem_req_wdata), .payload_3_i(mem_req_expected)
  );

  for (genvar p = 0; p < Ports; p++) begin : gen_port
    link_sva u_assumed_request_link (
        .clk_i, .rst_ni, .valid_i(req_valid[p]), .ready_i(req_ready[p]), .payload_0_i(req_va[p]),
        .payload_1_i({44'd0, req_id[p], req_kind[p], req_cpl[p], 8'd0}), .payload_2_i('0), .payload_3_i('0)
    );
    link_sva u_response_link (
        .clk_i, .rst_ni, .valid_i(resp_valid[p]), .ready_i(resp_ready[p]),
        .payload_0_i({33'd0, resp_id[p], resp_status[p], resp_page_size[p], resp_pwt[p], resp_pcd[p], resp_pat[p], resp_error_code[p]}),
        .payload_1_i({12'd0, resp_pa[p]}), .payload_2_i(resp_va[p]), .payload_3_i('0)
    );

    /// A request is outstanding, and this is its id and address.
    logic        outstanding_q;
    logic [7:0]  id_q;
    logic [63:0] va_q;

    always_ff @(posedge clk_i) begin : remember
      if (!rst_ni) outstanding_q <= 1'b0;
      else if (req_valid[p] && req_ready[p]) outstanding_q <= 1'b1;
      else if (resp_valid[p] && resp_ready[p]) outstanding_q <= 1'b0;
      if (req_valid[p] && req_ready[p]) begin
        id_q <= req_id[p];
        va_q <= req_va[p];
      end
    end

    always_comb begin : properties
      if (running) begin
        a_response_is_to_the_request_that_is_outstanding : assert (!resp_valid[p] || (outstanding_q && resp_id[p] == id_q));
        nothing_is_accepted_while_a_request_is_outstanding : assert (!(req_ready[p] && outstanding_q));
        a_translation_keeps_the_offset_in_the_page :
        assert (!(resp_valid[p] && resp_status[p] == StatusTranslated) || resp_pa[p][11:0] == va_q[11:0]);
      end
    end
  end
endmodule
