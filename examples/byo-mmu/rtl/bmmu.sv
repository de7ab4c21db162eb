// Purpose: a blocking MMU: one access or one operation at a time; a look-up in the TLB, and on a
// miss a walk. The sequencer, and its parts.
// Manual: SDM vol. 3A, chapter "Paging". The ports are its own; adapter.sv maps them.

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
  // accesses: taken in a cycle with idle_o and access_req_i; the answer stands until done_ack_i
  output logic        idle_o,
  input  logic        access_req_i,
  input  access_t     access_i,
  input  logic [63:0] access_va_i,
  output logic        done_o,
  output answer_t     answer_o,
  input  logic        done_ack_i,
  // registers and invalidations: requested until acknowledged, when no access is under way
  input  logic        write_req_i,
  input  reg_e        write_reg_i,
  input  logic        inval_req_i,
  input  logic        inval_page_i,  // 1: INVLPG of op_va_i; 0: INVPCID
  input  logic [63:0] inval_type_i,
  input  logic [63:0] op_data_i,     // the register's value, or the descriptor's first quadword
  input  logic [63:0] op_va_i,
  output logic        op_ack_o,
  output logic        op_gp_o,       // with the acknowledge: #GP, and nothing has changed
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

  state_e      state_q;
  access_t     access_q;
  logic [63:0] va_q;
  answer_t     answer_q, answer_d;
  regs_t       regs;
  context_t    ctx;

  // The look-up, and the walk.
  logic       off, bad_va, hit, served, walk_start, walk_done;
  tag_t       found_tag;
  body_t      held, found;
  outcome_e   walk_outcome;
  logic [5:0] walk_code;

  // Operations.
  logic   op_req, write_gp, inval_gp, purge;
  purge_t purge_which;

  assign done_o   = state_q == Done;
  assign answer_o = answer_q;
  assign regs_o   = regs;

  // An operation goes before accesses, and waits only for the one that is under way.
  assign op_req   = write_req_i || inval_req_i;
  assign idle_o   = state_q == Idle && !op_req;
  assign op_ack_o = state_q == Idle && op_req;
  assign op_gp_o  = write_req_i ? write_gp : inval_gp;

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
    .inval_va_i   (op_va_i[63:12]),
    .inval_gp_o   (inval_gp),
    .purge_o      (purge),
    .purge_which_o(purge_which),
    .regs_o       (regs),
    .context_o    (ctx)
  );

  logic unused_va;
  assign unused_va = ^op_va_i[11:0];

  // A write needs an entry that is dirty. Whatever does not serve is dropped before the walk: so the
  // walk's translation stands alone, and a page fault leaves none behind.
  assign off        = !regs.pg;
  assign bad_va     = ctx.rules.long_mode && !canonical(va_q[63:47], ctx.la57);
  assign served     = hit && judge(access_q, held.perm, ctx.rules) == '0 &&
      (held.dirty || !access_q.write);
  assign walk_start = state_q == Lookup && !off && !bad_va && !served;

  bmmu_tlb #(
    .Entries(Entries)
  ) u_tlb (
    .clk_i,
    .rst_ni,
    .vpn_i        (va_q[56:12]),
    .pcid_i       (ctx.pcid),
    .hit_o        (hit),
    .body_o       (held),
    .drop_i       (walk_start),
    .purge_i      (purge),
    .purge_which_i(purge_which),
    .fill_i       (walk_done && walk_outcome == ResOk),
    .fill_tag_i   (found_tag),
    .fill_body_i  (found)
  );

  bmmu_walker #(
    .MaxPhyAddr(MaxPhyAddr),
    .Page1G    (Page1G)
  ) u_walker (
    .clk_i,
    .rst_ni,
    .start_i  (walk_start),
    .va_i     (va_q[56:12]),
    .access_i (access_q),
    .context_i(ctx),
    .done_o   (walk_done),
    .outcome_o(walk_outcome),
    .code_o   (walk_code),
    .tag_o    (found_tag),
    .body_o   (found),
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
  always_comb begin
    answer_d = '0;
    if (state_q == Lookup) begin
      if (off) answer_d.pa = {20'h0, va_q[31:0]};
      else if (bad_va) answer_d.outcome = ResNonCanon;
      else answer_d = translated(va_q[29:0], held.page);
    end else if (walk_outcome == ResOk) begin
      answer_d = translated(va_q[29:0], found.page);
    end else begin
      answer_d.outcome = walk_outcome;
      answer_d.code    = walk_code;
      answer_d.va      = (walk_outcome == ResFault) ? va_q : '0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q  <= Idle;
      access_q <= '0;
      va_q     <= '0;
      answer_q <= '0;
    end else begin
      unique case (state_q)
        Idle: if (idle_o && access_req_i) begin
          access_q <= access_i;
          va_q     <= {ctx.rules.long_mode ? access_va_i[63:32] : 32'h0, access_va_i[31:0]};
          state_q  <= Lookup;
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
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      done_o && !done_ack_i |=> done_o && $stable(answer_o));

  a_walk_belongs_to_an_access :
  assert property (@(posedge clk_i) disable iff (!rst_ni) cell_req_o |-> state_q == Walk);

  nothing_is_purged_under_a_walk :
  assert property (@(posedge clk_i) disable iff (!rst_ni) state_q == Walk |-> !purge);

endmodule
