// Control registers, invalidations, and the sweep of the TLB arrays.
//
// Contract: section 9. SDM: 2.5 (control registers), 4.10.4.1 (operations that invalidate), and the
// pages of MOV CR, WRMSR, INVLPG and INVPCID in volume 2. Counterpart: src/model/control.rs.
//
// A write of a register waits until no request is outstanding; an invalidation performs at once. Of
// a sweep the cycle that performs in PEND does row 0.

module control
  import mmu_pkg::*;
#(
    /// Ports of the machine.
    parameter int unsigned PORTS        = 2,
    /// Physical address bits, 36 to 52.
    parameter int unsigned MAXPHYADDR   = 46,
    /// CR4.LA57 may be set.
    parameter int unsigned FIVE_LEVEL   = 1,
    /// Rows of the largest array, 1 to 4096.
    parameter int unsigned SWEEP_CYCLES = 128,
    /// The machine keeps pieces of pages: an invalidation of one page sweeps.
    parameter bit          FRACTURES    = 1'b0
) (
    /// Clock.
    input  logic         clk_i,
    /// Synchronous reset, active low.
    input  logic         rst_ni,
    // From and to software.
    /// An operation is requested.
    input  logic         ctrl_valid_i,
    /// It is accepted.
    output logic         ctrl_ready_o,
    /// Operation.
    input  logic [2:0]   ctrl_op_i,
    /// New value of a register, address of INVLPG, PCID quadword of INVPCID.
    input  logic [63:0]  ctrl_data_i,
    /// Address of INVPCID.
    input  logic [63:0]  ctrl_addr_i,
    /// Type of INVPCID.
    input  logic [63:0]  ctrl_type_i,
    /// The operation is done.
    output logic         ctrl_resp_valid_o,
    /// Software takes the response.
    input  logic         ctrl_resp_ready_i,
    /// The operation ended in a general protection.
    output logic         ctrl_resp_gp_o,
    /// CR0.
    output logic [63:0]  cr0_o,
    /// CR3.
    output logic [63:0]  cr3_o,
    /// CR4.
    output logic [63:0]  cr4_o,
    /// EFER.
    output logic [63:0]  efer_o,
    // From and to the ports.
    /// No request of the port is outstanding.
    input  logic         idle_i[PORTS],
    /// Requests may be accepted.
    output logic         accept_o,
    // To all blocks.
    /// Control register bits.
    output mode_t        mode_o,
    /// Frame of the first paging structure.
    output frame_t       root_o,
    /// Control is busy: nothing is looked up, and nothing commits.
    output logic         busy_o,
    /// An invalidation begins in this cycle.
    output logic         begin_o,
    /// A register is written in this cycle.
    output logic         writes_o,
    // To the arrays.
    /// What is invalidated in the TLB arrays in this cycle.
    output invalidation_t invalidation_o,
    /// Page number of an invalidation by page.
    output page_number_t invalidate_page_o,
    /// The paging-structure caches lose all entries; else, in a cycle in which an invalidation
    /// begins, those of the PCID.
    output logic         invalidate_psc_all_o
);

  // Bits of the control registers.
  localparam int unsigned Cr0Pe = 0;
  localparam int unsigned Cr0Wp = 16;
  localparam int unsigned Cr0Pg = 31;
  localparam int unsigned Cr4Pse = 4;
  localparam int unsigned Cr4Pae = 5;
  localparam int unsigned Cr4Pge = 7;
  localparam int unsigned Cr4La57 = 12;
  localparam int unsigned Cr4Pcide = 17;
  localparam int unsigned Cr4Smep = 20;
  localparam int unsigned Cr4Smap = 21;
  localparam int unsigned Cr4Pke = 22;
  localparam int unsigned EferLme = 8;
  localparam int unsigned EferLma = 10;
  localparam int unsigned EferNxe = 11;

  // Bits that exist and are written.
  localparam logic [63:0] Cr0Mask = (64'd1 << Cr0Pe) | (64'd1 << Cr0Wp) | (64'd1 << Cr0Pg);
  localparam logic [63:0] Cr3Mask = (64'd1 << MAXPHYADDR) - 64'd1;
  localparam logic [63:0] Cr4Mask = (64'd1 << Cr4Pse) | (64'd1 << Cr4Pae) | (64'd1 << Cr4Pge) |
      (64'd1 << Cr4La57) | (64'd1 << Cr4Pcide) | (64'd1 << Cr4Smep) | (64'd1 << Cr4Smap) |
      (64'd1 << Cr4Pke);
  localparam logic [63:0] EferMask = (64'd1 << EferLme) | (64'd1 << EferNxe);

  typedef enum logic [1:0] {
    Idle,
    Pend,
    Sweep,
    Resp
  } control_state_e;

  control_state_e state_d, state_q;
  logic [63:0]    cr0_q, cr3_q, cr4_q, efer_q;
  ctrl_op_e       op_q;
  logic [63:0]    data_q, type_q;
  logic [63:12]   addr_q;
  logic           gp_q;
  // The sweep: whether it is that of reset, its next row, and what it removes.
  logic           reset_sweep_q;
  row_t           row_q;
  match_rule_t    rule_q;
  pcid_t          pcid_q;
  page_number_t   page_q;

  // Only the page of INVPCID's address matters.
  logic unused_page_offset;
  assign unused_page_offset = ^ctrl_addr_i[11:0];

  // ---------------------------------------------------------------------------------------------
  // Registers as others see them
  // ---------------------------------------------------------------------------------------------

  logic  long_mode_active;
  logic  two_level;
  pcid_t current_pcid;
  assign long_mode_active = cr0_q[Cr0Pg] && efer_q[EferLme];
  assign two_level = cr0_q[Cr0Pg] && !efer_q[EferLme];
  assign current_pcid = cr4_q[Cr4Pcide] ? cr3_q[11:0] : '0;

  assign cr0_o = cr0_q;
  assign cr3_o = cr3_q;
  assign cr4_o = cr4_q;
  assign efer_o = efer_q | (64'(long_mode_active) << EferLma);
  // In 32-bit paging CR3 is a register of 32 bits to the walk.
  assign root_o = two_level ? frame_t'(cr3_q[31:12]) : cr3_q[51:12];
  assign mode_o = '{
      pcid: current_pcid,
      paging: cr0_q[Cr0Pg],
      two_level: two_level,
      large_pages: !two_level || cr4_q[Cr4Pse],
      la57: cr4_q[Cr4La57],
      global_enable: cr4_q[Cr4Pge],
      nxe: efer_q[EferNxe] && !two_level,
      protection: '{
          write_protect: cr0_q[Cr0Wp],
          smep: cr4_q[Cr4Smep],
          smap: cr4_q[Cr4Smap],
          pke: cr4_q[Cr4Pke] && !two_level
      }
  };

  // ---------------------------------------------------------------------------------------------
  // When the operation performs (a function of state alone)
  // ---------------------------------------------------------------------------------------------

  logic writes_register;
  logic all_idle;
  logic performs;

  always_comb begin : wait_for_idle
    all_idle = 1'b1;
    for (int unsigned p = 0; p < PORTS; p++) all_idle &= idle_i[p];
  end

  assign writes_register = op_q != CtrlInvlpg && op_q != CtrlInvpcid;
  assign performs = state_q == Pend && (!writes_register || all_idle);
  assign busy_o = performs || state_q == Sweep;
  assign accept_o = !reset_sweep_q && !(writes_register && (state_q == Pend || state_q == Sweep));
  assign ctrl_ready_o = state_q == Idle;
  assign ctrl_resp_valid_o = state_q == Resp;
  assign ctrl_resp_gp_o = state_q == Resp && gp_q;

  // ---------------------------------------------------------------------------------------------
  // The operation is checked, and its invalidation chosen
  // ---------------------------------------------------------------------------------------------

  logic         gp;
  logic         invalidates;
  match_rule_t  rule;
  pcid_t        pcid;
  page_number_t page;
  logic         psc_all;

  /// What an invalidation removes: of a page or not, entries of any PCID, globals.
  function automatic match_rule_t rule_of(logic of_page, logic any_pcid, logic globals);
    return '{
        by_page: of_page && !FRACTURES,
        by_whole_page: of_page && FRACTURES,
        any_pcid: any_pcid,
        globals: globals,
        only_globals: 1'b0
    };
  endfunction

  localparam match_rule_t RuleContext = rule_of(1'b0, 1'b0, 1'b0);
  localparam match_rule_t RuleContextAndGlobals = rule_of(1'b0, 1'b0, 1'b1);
  localparam match_rule_t RuleAllButGlobals = rule_of(1'b0, 1'b1, 1'b0);
  localparam match_rule_t RuleAll = rule_of(1'b0, 1'b1, 1'b1);
  localparam match_rule_t RulePage = rule_of(1'b1, 1'b0, 1'b0);
  localparam match_rule_t RulePageAndGlobals = rule_of(1'b1, 1'b0, 1'b1);

  always_comb begin : check
    gp = 1'b0;
    invalidates = 1'b0;
    rule = RuleContext;
    pcid = current_pcid;
    page = addr_q[56:12];
    if (performs) begin
      case (op_q)
        CtrlMovCr0: begin
          gp = data_q[63:32] != '0 || (data_q[Cr0Pg] && !data_q[Cr0Pe]) ||
              (data_q[Cr0Pg] && !cr0_q[Cr0Pg] && efer_q[EferLme] != cr4_q[Cr4Pae]) ||
              (!data_q[Cr0Pg] && cr0_q[Cr0Pg] && cr4_q[Cr4Pcide]);
          invalidates = !data_q[Cr0Pg] && cr0_q[Cr0Pg];
          rule = RuleAll;
        end

        CtrlMovCr3: begin
          gp = (data_q & ~Cr3Mask & {!cr4_q[Cr4Pcide], 63'h7fff_ffff_ffff_ffff}) != '0;
          invalidates = !cr4_q[Cr4Pcide] || !data_q[63];
          rule = RuleContext;
          pcid = cr4_q[Cr4Pcide] ? data_q[11:0] : '0;
        end

        CtrlMovCr4: begin
          gp = data_q[63:32] != '0 || (data_q[Cr4La57] && FIVE_LEVEL == 0) ||
              (data_q[Cr4La57] != cr4_q[Cr4La57] && long_mode_active) ||
              (data_q[Cr4Pae] != cr4_q[Cr4Pae] && cr0_q[Cr0Pg]) ||
              (data_q[Cr4Pcide] && !cr4_q[Cr4Pcide] && (!long_mode_active || cr3_q[11:0] != '0));
          if (data_q[Cr4Pge] != cr4_q[Cr4Pge] || (!data_q[Cr4Pcide] && cr4_q[Cr4Pcide]) ||
              (data_q[Cr4Pse] != cr4_q[Cr4Pse] && two_level)) begin
            invalidates = 1'b1;
            rule = RuleAll;
          end else if (data_q[Cr4Smep] && !cr4_q[Cr4Smep]) begin
            invalidates = 1'b1;
            rule = RuleContextAndGlobals;
          end
        end

        CtrlWrmsrEfer: begin
          gp = data_q[63:32] != '0 || (data_q[EferLme] != efer_q[EferLme] && cr0_q[Cr0Pg]);
          invalidates = data_q[EferNxe] != efer_q[EferNxe];
          rule = RuleAll;
        end

        CtrlInvlpg: begin
          invalidates = is_canonical(data_q[63:47], cr4_q[Cr4La57]);
          if (two_level) invalidates = 1'b1;
          rule = RulePageAndGlobals;
          page = data_q[56:12];
        end

        default: begin
          gp = type_q > 64'd3 || data_q[63:12] != '0 ||
              (type_q <= 64'd1 && !cr4_q[Cr4Pcide] && data_q[11:0] != '0) ||
              (type_q == 64'd0 && !is_canonical(addr_q[63:47], cr4_q[Cr4La57]));
          invalidates = 1'b1;
          pcid = data_q[11:0];
          case (type_q[1:0])
            2'd0:    rule = RulePage;
            2'd1:    rule = RuleContext;
            2'd2:    rule = RuleAll;
            default: rule = RuleAllButGlobals;
          endcase
        end
      endcase
      if (two_level) page[44:20] = '0;
      if (gp) invalidates = 1'b0;
    end
  end

  // Every rule that is not of one PCID empties the paging-structure caches.
  assign psc_all = rule.any_pcid;

  // ---------------------------------------------------------------------------------------------
  // What the arrays do in this cycle
  // ---------------------------------------------------------------------------------------------

  always_comb begin : drive_arrays
    begin_o = 1'b0;
    invalidation_o = '0;
    invalidate_page_o = '0;
    invalidate_psc_all_o = 1'b0;
    if (invalidates) begin
      begin_o = 1'b1;
      invalidation_o.performs = 1'b1;
      invalidation_o.rule = rule;
      invalidation_o.sizes = '1;
      invalidation_o.pcid = pcid;
      invalidate_page_o = page;
      invalidate_psc_all_o = psc_all;
    end else if (state_q == Sweep) begin
      invalidation_o.performs = !reset_sweep_q;
      invalidation_o.initialise = reset_sweep_q;
      invalidation_o.rule = rule_q;
      invalidation_o.pcid = pcid_q;
      invalidation_o.row = row_q;
      if (FRACTURES) invalidate_page_o = page_q;
    end
  end

  assign writes_o = performs && writes_register && !gp;

  // ---------------------------------------------------------------------------------------------
  // State
  // ---------------------------------------------------------------------------------------------

  logic sweeps;
  logic last_row;
  assign sweeps = invalidates && !rule.by_page && SWEEP_CYCLES > 1;
  assign last_row = row_q == row_t'(SWEEP_CYCLES - 1);

  always_comb begin : next_state
    state_d = state_q;
    case (state_q)
      // No operation.
      Idle: if (ctrl_valid_i) state_d = Pend;

      // Waits, if it writes a register, until no request is outstanding; then performs.
      Pend: if (performs) state_d = sweeps ? Sweep : Resp;

      // Row after row, row 1 first, or row 0 after reset. The sweep of reset has no response.
      Sweep: if (last_row) state_d = reset_sweep_q ? Idle : Resp;

      // Until software takes the response.
      Resp: if (ctrl_resp_ready_i) state_d = Idle;

      default: state_d = Idle;
    endcase
  end

  always_ff @(posedge clk_i) begin : state
    if (!rst_ni) begin
      state_q       <= Sweep;
      reset_sweep_q <= 1'b1;
      row_q         <= '0;
      rule_q        <= RuleContext;
      pcid_q        <= '0;
      page_q        <= '0;
      gp_q          <= 1'b0;
    end else begin
      state_q <= state_d;
      if (performs) begin
        row_q  <= row_t'(1);
        rule_q <= rule;
        pcid_q <= pcid;
        if (FRACTURES) page_q <= page;
        gp_q   <= gp;
      end else if (state_q == Sweep) begin
        row_q <= row_q + row_t'(1);
        if (last_row) reset_sweep_q <= 1'b0;
      end
    end
  end

  always_ff @(posedge clk_i) begin : operation
    if (!rst_ni) begin
      op_q   <= CtrlMovCr0;
      data_q <= '0;
      addr_q <= '0;
      type_q <= '0;
    end else if (ctrl_valid_i && ctrl_ready_o) begin
      op_q   <= ctrl_op_e'(ctrl_op_i);
      data_q <= ctrl_data_i;
      addr_q <= ctrl_addr_i[63:12];
      type_q <= ctrl_type_i;
    end
  end

  always_ff @(posedge clk_i) begin : registers
    if (!rst_ni) begin
      cr0_q  <= '0;
      cr3_q  <= '0;
      cr4_q  <= '0;
      efer_q <= '0;
    end else if (writes_o) begin
      case (op_q)
        CtrlMovCr0:    cr0_q <= data_q & Cr0Mask;
        CtrlMovCr3:    cr3_q <= data_q & Cr3Mask;
        CtrlMovCr4:    cr4_q <= data_q & Cr4Mask;
        CtrlWrmsrEfer: efer_q <= data_q & EferMask;
        default: ;
      endcase
    end
  end

`ifndef SYNTHESIS
  link_sva u_control_link (
      .clk_i,
      .rst_ni,
      .valid_i    (ctrl_valid_i),
      .ready_i    (ctrl_ready_o),
      .payload_0_i({61'd0, ctrl_op_i}),
      .payload_1_i(ctrl_data_i),
      .payload_2_i(ctrl_addr_i),
      .payload_3_i(ctrl_type_i)
  );

  link_sva u_response_link (
      .clk_i,
      .rst_ni,
      .valid_i    (ctrl_resp_valid_o),
      .ready_i    (ctrl_resp_ready_i),
      .payload_0_i({63'd0, ctrl_resp_gp_o}),
      .payload_1_i('0),
      .payload_2_i('0),
      .payload_3_i('0)
  );

  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && ctrl_valid_i) begin
      a_control_operation_is_one_that_exists :
      assert (ctrl_op_i <= CtrlInvpcid)
      else $error("control operation %0d", ctrl_op_i);
    end
    if (rst_ni && state_q != Idle) begin
      registers_change_only_while_no_request_is_outstanding :
      assert (!performs || !writes_register || all_idle)
      else $error("operation %0d performs with requests outstanding", op_q);

      a_sweep_ends_at_the_last_row :
      assert (state_q != Sweep || 32'(row_q) < SWEEP_CYCLES)
      else $error("the sweep is at row %0d", row_q);

      paging_is_on_in_ia_32e_mode_or_without_pae :
      assert (!cr0_q[Cr0Pg] || (cr0_q[Cr0Pe] && cr4_q[Cr4Pae] == efer_q[EferLme]))
      else $error("CR0 %h, CR4 %h, EFER %h", cr0_q, cr4_q, efer_q);
    end
  end
`endif

endmodule
