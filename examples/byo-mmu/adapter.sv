// Purpose: the glue: maps the ports of the blocking MMU to the port of an adapter. Every output is a function of registers alone.
module adapter import bmmu_pkg::*; #(
  parameter int unsigned PORTS = 2, MAXPHYADDR = 46, PAGE_1G = 1, FIVE_LEVEL = 1, ENTRIES = 16
) (
  input  logic clk_i, rst_ni,
  input  logic req_valid_i [PORTS], output logic req_ready_o [PORTS],
  input  logic [7:0] req_id_i [PORTS], input logic [63:0] req_va_i [PORTS], input logic [1:0] req_kind_i [PORTS],
  input  logic [6:0] req_size_bytes_i [PORTS], input logic [1:0] req_cpl_i [PORTS], input logic req_ac_i [PORTS],
  input  logic req_implicit_supervisor_i [PORTS], input logic [31:0] req_pkru_i [PORTS],
  output logic resp_valid_o [PORTS], input logic resp_ready_i [PORTS],
  output logic [7:0] resp_id_o [PORTS], output logic [1:0] resp_status_o [PORTS], output logic [51:0] resp_pa_o [PORTS],
  output logic [1:0] resp_page_size_o [PORTS], output logic resp_pwt_o [PORTS], resp_pcd_o [PORTS], resp_pat_o [PORTS],
  output logic [15:0] resp_error_code_o [PORTS], output logic [63:0] resp_va_o [PORTS],
  input  logic ctrl_valid_i, output logic ctrl_ready_o, input logic [2:0] ctrl_op_i, input logic [63:0] ctrl_data_i, ctrl_addr_i, ctrl_type_i,
  output logic ctrl_resp_valid_o, input logic ctrl_resp_ready_i, output logic ctrl_resp_gp_o, output logic [63:0] cr0_o, cr3_o, cr4_o, efer_o,
  output logic mem_req_valid_o, input logic mem_req_ready_i, output logic [1:0] mem_req_op_o, output logic [7:0] mem_req_id_o,
  output logic [51:0] mem_req_addr_o, output logic [7:0] mem_req_beats_o, mem_req_be_o, output logic [63:0] mem_req_wdata_o, mem_req_expected_o,
  input  logic mem_resp_valid_i, output logic mem_resp_ready_o, input logic [7:0] mem_resp_id_i, input logic [63:0] mem_resp_data_i,
  input  logic mem_resp_error_i, mem_resp_last_i
);
  localparam int unsigned W = $clog2(PORTS);
  typedef enum logic [1:0] {CtlIdle, CtlBusy, CtlAnswer} ctl_e;
  logic idle, done, op_ack, op_gp, cell_req, cell_swap, cell_short, upper;
  logic [W-1:0] turn_q; logic [7:0] id_q;                                  // whose turn it is, and the id of its request
  ctl_e ctl_q; logic gp_q; logic [2:0] op_q; logic [63:0] data_q, addr_q, type_q;
  logic sent_q;                                                            // the cell's request is with memory
  logic [51:0] cell_addr; logic [63:0] cell_old, cell_new, mask;
  access_t access; answer_t answer; regs_t r;
  logic [PORTS:0] unused;                                                  // sizes have no effect; memory answers one beat at a time

  bmmu #(.MaxPhyAddr(MAXPHYADDR), .Page1G(PAGE_1G != 0), .FiveLevel(FIVE_LEVEL != 0), .Entries(ENTRIES)) u_mmu (
    .clk_i, .rst_ni, .idle_o(idle), .access_req_i(req_valid_i[turn_q]), .access_i(access),
    .access_va_i(req_va_i[turn_q]), .done_o(done), .answer_o(answer),
    .done_ack_i(resp_ready_i[turn_q]), .write_req_i(ctl_q == CtlBusy && op_q < 3'd4), .write_reg_i(reg_e'(op_q[1:0])),
    .inval_req_i(ctl_q == CtlBusy && op_q >= 3'd4), .inval_page_i(op_q == 3'd4), .inval_type_i(type_q), .op_data_i(data_q),
    .op_va_i(op_q == 3'd4 ? data_q : addr_q), .op_ack_o(op_ack), .op_gp_o(op_gp), .regs_o(r),
    .cell_req_o(cell_req), .cell_swap_o(cell_swap), .cell_addr_o(cell_addr), .cell_short_o(cell_short), .cell_old_o(cell_old), .cell_new_o(cell_new),
    .cell_ack_i(mem_resp_valid_i), .cell_error_i(mem_resp_error_i), .cell_swapped_i(((mem_resp_data_i ^ mem_req_expected_o) & mask) == '0),
    .cell_data_i(cell_short ? {32'h0, upper ? mem_resp_data_i[63:32] : mem_resp_data_i[31:0]} : mem_resp_data_i));

  // Requests: the port whose turn it is may ask. The turn passes on when it does not ask, or has taken its answer.
  assign access = '{write: req_kind_i[turn_q] == 2'd1, fetch: req_kind_i[turn_q] == 2'd2, implied: req_implicit_supervisor_i[turn_q],
      user: req_cpl_i[turn_q] == 2'd3 && !req_implicit_supervisor_i[turn_q], ac: req_ac_i[turn_q], pkru: req_pkru_i[turn_q]};
  always_ff @(posedge clk_i) begin
    if (!rst_ni) turn_q <= '0;
    else if ((idle && !req_valid_i[turn_q]) || (done && resp_ready_i[turn_q])) turn_q <= turn_q == W'(PORTS - 1) ? '0 : turn_q + 1'b1;
    if (idle && req_valid_i[turn_q]) id_q <= req_id_i[turn_q];
  end
  for (genvar p = 0; p < PORTS; p++) begin : gen_port
    assign req_ready_o[p] = idle && turn_q == W'(p);
    assign resp_valid_o[p] = done && turn_q == W'(p);
    assign {resp_id_o[p], resp_status_o[p], resp_pa_o[p], resp_page_size_o[p]} = {id_q, answer.outcome, answer.pa, answer.size};
    assign {resp_pwt_o[p], resp_pcd_o[p], resp_pat_o[p]} = {answer.pwt, answer.pcd, answer.pat};
    assign {resp_error_code_o[p], resp_va_o[p]} = {10'h0, answer.code, answer.va};
    assign unused[p] = ^req_size_bytes_i[p];
  end

  // Control: one operation is kept until the MMU has acknowledged it, then its answer until that is taken.
  assign {ctrl_ready_o, ctrl_resp_valid_o, ctrl_resp_gp_o} = {ctl_q == CtlIdle, ctl_q == CtlAnswer, gp_q};
  always_ff @(posedge clk_i) begin
    if (ctrl_ready_o) {op_q, data_q, addr_q, type_q} <= {ctrl_op_i, ctrl_data_i, ctrl_addr_i, ctrl_type_i};
    if (op_ack) gp_q <= op_gp;
    if (!rst_ni) ctl_q <= CtlIdle;
    else if (ctl_q == CtlIdle && ctrl_valid_i) ctl_q <= CtlBusy;
    else if (op_ack) ctl_q <= CtlAnswer;
    else if (ctl_q == CtlAnswer && ctrl_resp_ready_i) ctl_q <= CtlIdle;
  end
  assign cr0_o = 64'({r.pg, 14'h0, r.wp, 15'h0, r.pe});
  assign cr3_o = 64'(r.cr3);
  assign cr4_o = 64'({r.pke, r.smap, r.smep, 2'h0, r.pcide, 4'h0, r.la57, 4'h0, r.pge, 1'b0, r.pae, r.pse, 4'h0});
  assign efer_o = 64'({r.nxe, r.pg && r.lme, 1'b0, r.lme, 8'h0});

  // Memory: a cell is the whole or a half of 8 bytes. Its request stands until its answer, of which memory sees one transfer.
  assign unused[PORTS] = ^{mem_resp_id_i, mem_resp_last_i, cell_addr[1:0]};
  assign upper = cell_short && cell_addr[2];
  assign mem_req_be_o = !cell_short ? 8'hff : upper ? 8'hf0 : 8'h0f;
  assign mask = {{32{mem_req_be_o[7]}}, {32{mem_req_be_o[0]}}};
  assign {mem_req_valid_o, mem_req_op_o, mem_req_id_o, mem_req_beats_o} = {cell_req && !sent_q, cell_swap, 1'b0, 8'd0, 8'd1};
  assign {mem_req_addr_o, mem_resp_ready_o} = {cell_addr[51:3], 3'h0, 1'b1};
  assign {mem_req_expected_o, mem_req_wdata_o} = upper ? {cell_old << 32, cell_new << 32} : {cell_old, cell_new};
  always_ff @(posedge clk_i) sent_q <= rst_ni && !mem_resp_valid_i && (sent_q || (mem_req_valid_o && mem_req_ready_i));
endmodule
