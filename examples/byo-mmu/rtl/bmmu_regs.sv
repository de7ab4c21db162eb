// Purpose: the registers of paging, and what INVLPG and INVPCID ask for: each is checked for #GP,
// and turned into a purge of the TLB.
// Manual: SDM vol. 3A, 2.5 (registers), 4.10.4.1 (what each removes); vol. 2, INVLPG and INVPCID.

module bmmu_regs
  import bmmu_pkg::*;
#(
  parameter int unsigned MaxPhyAddr = 46,
  parameter bit          FiveLevel  = 1'b1
) (
  input  logic         clk_i,
  input  logic         rst_ni,
  // a register is written; it takes effect with the edge, if there is no #GP
  input  logic         write_i,
  input  reg_e         write_reg_i,
  input  logic [63:0]  write_data_i,
  output logic         write_gp_o,
  // INVLPG of an address, or INVPCID with its type and both quadwords of its descriptor
  input  logic         inval_i,
  input  logic         inval_page_i,
  input  logic [63:0]  inval_type_i,
  input  logic [63:0]  inval_pcid_i,
  input  logic [63:12] inval_va_i,
  output logic         inval_gp_o,
  // what goes from the TLB with the same edge
  output logic         purge_o,
  output purge_t       purge_which_o,
  // the registers, as they are written and as accesses need them
  output regs_t        regs_o,
  output context_t     context_o
);

  localparam logic [51:0] PhysMask = 52'((64'h1 << MaxPhyAddr) - 64'h1);
  localparam purge_t PurgeAll =
      '{one_page: 1'b0, vpn: '0, one_pcid: 1'b0, pcid: '0, globals: 1'b1};

  regs_t regs_q, regs_d;
  assign regs_o = regs_q;

  assign context_o.rules = '{
    long_mode: regs_q.pg && regs_q.lme,
    wp:        regs_q.wp,
    smep:      regs_q.smep,
    smap:      regs_q.smap,
    pke:       regs_q.pke
  };
  assign context_o.la57 = regs_q.la57;
  assign context_o.pse  = regs_q.pse;
  assign context_o.pge  = regs_q.pge;
  assign context_o.nxe  = regs_q.nxe;
  assign context_o.pcid = regs_q.pcide ? regs_q.cr3[11:0] : 12'h0;
  assign context_o.root = regs_q.cr3[51:12];

  logic        long_mode;
  logic [63:0] data;
  assign long_mode = context_o.rules.long_mode;
  assign data      = write_data_i;

  // Bits that do not exist are ignored, but those for which there is a #GP below.
  always_comb begin
    regs_d = regs_q;
    unique case (write_reg_i)
      RegCr0: begin
        regs_d.pe = data[0];
        regs_d.wp = data[16];
        regs_d.pg = data[31];
      end
      RegCr3: regs_d.cr3 = data[51:0] & PhysMask;
      RegCr4: begin
        regs_d.pse   = data[4];
        regs_d.pae   = data[5];
        regs_d.pge   = data[7];
        regs_d.la57  = data[12];
        regs_d.pcide = data[17];
        regs_d.smep  = data[20];
        regs_d.smap  = data[21];
        regs_d.pke   = data[22];
      end
      RegEfer: begin
        regs_d.lme = data[8];
        regs_d.nxe = data[11];
      end
      default: ;
    endcase
  end

  // PAE paging does not exist here: LME and PAE are equal whenever paging is on.
  always_comb begin
    unique case (write_reg_i)
      RegCr0:
      write_gp_o = data[63:32] != '0 || (regs_d.pg && !regs_d.pe) ||
          (regs_d.pg && !regs_q.pg && regs_q.lme != regs_q.pae) ||
          (!regs_d.pg && regs_q.pg && regs_q.pcide);
      RegCr3:
      write_gp_o = (data[62:0] >> MaxPhyAddr) != '0 || (data[63] && !regs_q.pcide);
      RegCr4:
      write_gp_o = data[63:32] != '0 || (regs_d.la57 && !FiveLevel) ||
          (regs_d.la57 != regs_q.la57 && long_mode) ||
          (regs_d.pae != regs_q.pae && regs_q.pg) ||
          (regs_d.pcide && !regs_q.pcide && (!long_mode || regs_q.cr3[11:0] != '0));
      RegEfer: write_gp_o = data[63:32] != '0 || (regs_d.lme != regs_q.lme && regs_q.pg);
      default: write_gp_o = 1'b0;
    endcase
  end

  // What a register write removes: more than the manual asks for, wherever that is simpler.
  logic   write_purges;
  purge_t write_purge;
  always_comb begin
    write_purges = 1'b1;
    write_purge  = PurgeAll;
    unique case (write_reg_i)
      RegCr0: write_purges = regs_d.pg != regs_q.pg;
      RegCr3: begin
        write_purges         = !(regs_q.pcide && data[63]);
        write_purge.globals  = 1'b0;
        write_purge.one_pcid = 1'b1;
        write_purge.pcid     = regs_q.pcide ? data[11:0] : '0;
      end
      RegCr4:
      write_purges = regs_d.pge != regs_q.pge || regs_d.pcide != regs_q.pcide ||
          regs_d.pse != regs_q.pse || (regs_d.smep && !regs_q.smep);
      RegEfer: write_purges = regs_d.nxe != regs_q.nxe;
      default: ;
    endcase
  end

  // INVLPG and INVPCID. In 32-bit paging an address has 32 bits.
  logic        va_is_32, inval_canonical;
  logic        inval_purges;
  purge_t      inval_purge;
  assign va_is_32        = regs_q.pg && !regs_q.lme;
  assign inval_canonical = canonical(inval_va_i[63:47], regs_q.la57);
  assign inval_gp_o = !inval_page_i &&
      (inval_type_i > 64'd3 || inval_pcid_i[63:12] != '0 ||
       (inval_type_i <= 64'd1 && !regs_q.pcide && inval_pcid_i[11:0] != '0) ||
       (inval_type_i == 64'd0 && !inval_canonical));

  always_comb begin
    inval_purges         = 1'b1;
    inval_purge.one_page = inval_page_i || inval_type_i[1:0] == 2'd0;
    inval_purge.vpn      = va_is_32 ? {25'h0, inval_va_i[31:12]} : inval_va_i[56:12];
    if (inval_page_i) begin
      inval_purges         = va_is_32 || inval_canonical;
      inval_purge.one_pcid = 1'b1;
      inval_purge.pcid     = context_o.pcid;
      inval_purge.globals  = 1'b1;
    end else begin
      inval_purge.one_pcid = !inval_type_i[1];
      inval_purge.pcid     = inval_pcid_i[11:0];
      inval_purge.globals  = inval_type_i[1:0] == 2'd2;
    end
  end

  assign purge_o = (write_i && !write_gp_o && write_purges) ||
      (inval_i && !inval_gp_o && inval_purges);
  assign purge_which_o = write_i ? write_purge : inval_purge;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) regs_q <= '0;
    else if (write_i && !write_gp_o) regs_q <= regs_d;
  end

  one_operation_at_a_time :
  assert property (@(posedge clk_i) disable iff (!rst_ni) !(write_i && inval_i));

  pae_paging_is_never_on :
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      regs_q.pg |-> regs_q.pe && regs_q.lme == regs_q.pae);

  there_are_pcids_only_in_long_mode :
  assert property (@(posedge clk_i) disable iff (!rst_ni) regs_q.pcide |-> long_mode);

endmodule
