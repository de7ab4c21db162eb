// Purpose: a blocking MMU: one access or one operation at a time; a look-up in the TLB, and on a miss a walk. The sequencer and its parts.
// Manual: SDM vol. 3A, chapter "Paging". Its ports are its own; adapter.sv maps them to those of the harness.

module bmmu
  import bmmu_pkg::*;
#(
  parameter int unsigned MaxPhyAddr = 46,
  parameter bit          Page1G     = 1'b1,
  parameter bit          FiveLevel  = 1'b1,
  parameter int unsigned Entries    = 16
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  // accesses: taken in a cycle with idle_o and access_req_i; the answer stands with done_o until done_ack_i
  output logic        idle_o,
  input  logic        access_req_i,
  input  access_t     access_i,
  output logic        done_o,
  output answer_t     answer_o,
  input  logic        done_ack_i,
  // registers and invalidations: the request stands until the acknowledge, which comes when no access is under way
  input  logic        write_req_i,
  input  reg_e        write_reg_i,
  input  logic        inval_req_i,
  input  logic        inval_page_i,   // 1: INVLPG of op_va_i; 0: INVPCID
  input  logic [63:0] inval_type_i,
  input  logic [63:0] op_data_i,      // value of the register, or first quadword of the descriptor
  input  logic [63:0] op_va_i,
  output logic        op_ack_o,
  output logic        op_gp_o,        // with the acknowledge: #GP, and nothing has changed
  output regs_t       regs_o,
  // cells of paging structures, as the walker has them
  output logic        cell_req_o,
  output logic        cell_swap_o,
  output logic [51:0] cell_addr_o,
  output logic        cell_short_o,
  output logic [63:0] cell_old_o,
  output logic [63:0] cell_new_o,
  input  logic        cell_ack_i,
  input  logic        cell_error_i,
  input  logic        cell_swapped_i,
  input  logic [63:0] cell_data_i
);

  typedef enum logic [1:0] {
    Idle,
    Lookup,
    Walk,
    Done
  } state_e;

  state_e  state_q;
  access_t access_q;
  answer_t answer_q;
  regs_t   regs;

  // The look-up, and the walk.
  logic       hit, served, walk_start, walk_done;
  xlate_t     held, found;
  outcome_e   walk_outcome;
  logic [5:0] walk_code;

  assign regs_o   = regs;
  assign done_o   = state_q == Done;
  assign answer_o = answer_q;

  // An operation goes before accesses, and waits only for the one that is under way.
  logic op_req;
  assign op_req   = write_req_i || inval_req_i;
  assign idle_o   = state_q == Idle && !op_req;
  assign op_ack_o = state_q == Idle && op_req;

  logic   write_gp, inval_gp, op_purge;
  purge_t op_purge_which;
  assign op_gp_o = write_req_i ? write_gp : inval_gp;

  bmmu_regs #(
    .MaxPhyAddr(MaxPhyAddr),
    .FiveLevel (FiveLevel)
  ) u_regs (
    .clk_i,
    .rst_ni,
    .write_i      (op_ack_o && write_req_i),
    .write_reg_i,
    .write_data_i (op_data_i),
    .write_gp_o   (write_gp),
    .inval_i      (op_ack_o && inval_req_i),
    .inval_page_i,
    .inval_type_i,
    .inval_pcid_i (op_data_i),
    .inval_va_i   (op_va_i),
    .inval_gp_o   (inval_gp),
    .purge_o      (op_purge),
    .purge_which_o(op_purge_which),
    .regs_o       (regs)
  );

  // What holds for the access: addresses have 32 bits unless in long mode.
  logic [63:0] va;
  assign va = long_mode(regs) ? access_i.va : {32'h0, access_i.va[31:0]};

  logic off, bad_va;
  assign off    = !regs.pg;
  assign bad_va = long_mode(regs) && !canonical(access_q.va, regs.la57);

  assign served     = hit && serves(access_q, held, regs);
  assign walk_start = state_q == Lookup && !off && !bad_va && !served;

  // Whatever does not serve is dropped before the walk: so the walk's translation stands alone, and a page fault leaves none behind.
  bmmu_tlb #(
    .Entries(Entries)
  ) u_tlb (
    .clk_i,
    .rst_ni,
    .vpn_i        (access_q.va[56:12]),
    .pcid_i       (current_pcid(regs)),
    .hit_o        (hit),
    .xlate_o      (held),
    .fill_i       (walk_done && walk_outcome == ResOk),
    .fill_xlate_i (found),
    .drop_i       (walk_start),
    .purge_i      (op_purge),
    .purge_which_i(op_purge_which)
  );

  bmmu_walker #(
    .MaxPhyAddr(MaxPhyAddr),
    .Page1G    (Page1G)
  ) u_walker (
    .clk_i,
    .rst_ni,
    .start_i  (walk_start),
    .access_i (access_q),
    .regs_i   (regs),
    .done_o   (walk_done),
    .outcome_o(walk_outcome),
    .code_o   (walk_code),
    .xlate_o  (found),
    .cell_req_o,
    .cell_swap_o,
    .cell_addr_o,
    .cell_short_o,
    .cell_old_o,
    .cell_new_o,
    .cell_ack_i,
    .cell_error_i,
    .cell_swapped_i,
    .cell_data_i
  );

  // The answer, from the look-up or from the walk.
  answer_t answer_d;
  always_comb begin
    answer_d = '0;
    if (state_q == Lookup) begin
      if (off) answer_d.pa = {20'h0, access_q.va[31:0]};
      else if (bad_va) answer_d.outcome = ResNonCanon;
      else answer_d = translated(access_q.va[29:0], held);
    end else if (walk_outcome == ResOk) begin
      answer_d = translated(access_q.va[29:0], found);
    end else begin
      answer_d.outcome = walk_outcome;
      answer_d.code    = walk_code;
      answer_d.va      = (walk_outcome == ResFault) ? access_q.va : '0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q  <= Idle;
      access_q <= '0;
      answer_q <= '0;
    end else begin
      unique case (state_q)
        Idle: if (idle_o && access_req_i) begin
          access_q    <= access_i;
          access_q.va <= va;
          state_q     <= Lookup;
        end
        Lookup: begin
          answer_q <= answer_d;
          state_q  <= walk_start ? Walk : Done;
        end
        Walk: if (walk_done) begin
          answer_q <= answer_d;
          state_q  <= Done;
        end
        default: if (done_ack_i) state_q <= Idle;  // Done
      endcase
    end
  end

  an_answer_stands_until_it_is_taken :
  assert property (@(posedge clk_i) disable iff (!rst_ni) done_o && !done_ack_i |=> done_o && $stable(answer_o));

  a_walk_belongs_to_an_access :
  assert property (@(posedge clk_i) disable iff (!rst_ni) cell_req_o |-> state_q == Walk);

  nothing_is_purged_under_a_walk :
  assert property (@(posedge clk_i) disable iff (!rst_ni) state_q == Walk |-> !op_purge);

endmodule
