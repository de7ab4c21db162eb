// Properties of control: each operation is answered once; registers change only while nothing is outstanding and nothing is accepted; nothing but
// initialisation happens until each row had its own; an invalidation that sweeps reaches each row.
//
// Contract: section 9. Block: rtl/control.sv, with its own assertions and links.
//
// Unbounded (induction), for 2 ports and 3 rows.
// Assumed of software (contract 3): an operation is one that exists, and stays until it is accepted.
// Not proved: which entries an operation removes (the seeded bugs of tests/seeded and the checks of provenance are about that).

module control_formal
  import mmu_pkg::*;
(
    input logic        clk_i,
    input logic        rst_ni,
    input logic        ctrl_valid_i,
    input logic [2:0]  ctrl_op_i,
    input logic [63:0] ctrl_data_i,
    input logic [63:0] ctrl_addr_i,
    input logic [63:0] ctrl_type_i,
    input logic        ctrl_resp_ready_i,
    input logic        idle_0_i, idle_1_i
);
  localparam int unsigned Rows = 3;

  logic          running;
  logic          ctrl_ready, ctrl_resp_valid, ctrl_resp_gp;
  logic [63:0]   cr0, cr3, cr4, efer;
  logic          idle[2];
  logic          accept;
  mode_t         mode;
  frame_t        root;
  logic          busy;
  logic          begins;
  logic          writes;
  invalidation_t invalidation;
  page_number_t  invalidate_page;
  logic          psc_all;

  assign idle = '{idle_0_i, idle_1_i};

  formal_reset u_reset (.clk_i, .rst_ni, .running_o(running));

  control #(
      .PORTS(2), .MAXPHYADDR(46), .FIVE_LEVEL(1), .SWEEP_CYCLES(Rows), .FRACTURES(1'b0)
  ) u_control (
      .clk_i, .rst_ni, .ctrl_valid_i, .ctrl_ready_o(ctrl_ready), .ctrl_op_i, .ctrl_data_i, .ctrl_addr_i, .ctrl_type_i,
      .ctrl_resp_valid_o(ctrl_resp_valid), .ctrl_resp_ready_i, .ctrl_resp_gp_o(ctrl_resp_gp), .cr0_o(cr0), .cr3_o(cr3),
      .cr4_o(cr4), .efer_o(efer), .idle_i(idle), .accept_o(accept), .mode_o(mode), .root_o(root), .busy_o(busy),
      .begin_o(begins), .writes_o(writes), .invalidation_o(invalidation), .invalidate_page_o(invalidate_page),
      .invalidate_psc_all_o(psc_all)
  );

  logic            was_running_q;
  /// An operation was accepted and not answered.
  logic            pending_q;
  /// Rows that were initialised since reset; and, of the sweep under way, rows that it reached.
  logic [Rows-1:0] initialised_q;
  logic            sweeps_q;
  logic [Rows-1:0] swept_q;
  mode_t           mode_q;
  frame_t          root_q;
  logic            wrote_q;

  logic is_row;
  assign is_row = 32'(invalidation.row) < Rows && !invalidation.rule.by_page;

  always_ff @(posedge clk_i) begin : remember
    was_running_q <= running;
    mode_q <= mode;
    root_q <= root;
    wrote_q <= writes;
    if (!rst_ni) begin
      pending_q <= 1'b0;
      initialised_q <= '0;
      sweeps_q <= 1'b0;
      swept_q <= '0;
    end else begin
      if (ctrl_valid_i && ctrl_ready) pending_q <= 1'b1;
      if (ctrl_resp_valid && ctrl_resp_ready_i) pending_q <= 1'b0;
      if (invalidation.initialise && is_row) initialised_q[invalidation.row[1:0]] <= 1'b1;
      if (begins) begin
        sweeps_q <= !invalidation.rule.by_page;
        swept_q <= Rows'(1);
      end else if (invalidation.performs && is_row) begin
        swept_q[invalidation.row[1:0]] <= 1'b1;
      end
      if (ctrl_resp_valid && ctrl_resp_ready_i) sweeps_q <= 1'b0;
    end
  end

  always_comb begin : properties
    if (running) begin
      an_operation_is_accepted_only_when_none_is_pending : assert (!ctrl_ready || !pending_q);
      a_response_is_to_an_operation : assert (!ctrl_resp_valid || pending_q);
      until_each_row_is_initialised_nothing_else_happens :
      assert (initialised_q == '1 || (busy && !accept && !ctrl_ready && !begins && !writes && !invalidation.performs));
      rows_are_initialised_after_reset_only : assert (!invalidation.initialise || initialised_q != '1);
      what_performs_makes_control_busy : assert (busy || !(begins || writes || invalidation.performs || invalidation.initialise));
      registers_are_written_while_nothing_is_outstanding_or_accepted : assert (!writes || (idle[0] && idle[1] && !accept));
      registers_change_by_writes_only : assert (!was_running_q || wrote_q || (mode == mode_q && root == root_q));
      a_sweep_has_reached_each_row_when_it_is_answered : assert (!(ctrl_resp_valid && sweeps_q) || swept_q == '1);
      the_mode_is_one_that_exists :
      assert ((!mode.two_level || (mode.paging && !mode.nxe && !mode.protection.pke)) && (mode.large_pages || mode.two_level));
    end
  end

  always_comb begin : strengthening
    if (running) begin
      pending_is_known : assert (pending_q == (u_control.state_q == 2'd1 || u_control.state_q == 2'd3 ||
                                               (u_control.state_q == 2'd2 && !u_control.reset_sweep_q)));
      rows_before_the_next_are_initialised :
      assert (u_control.reset_sweep_q ? 32'(u_control.row_q) < Rows && initialised_q == Rows'((1 << u_control.row_q) - 1) :
              initialised_q == '1);
      paging_is_on_in_ia_32e_mode_or_without_pae_always : assert (!cr0[31] || (cr0[0] && cr4[5] == efer[8]));
      reset_sweeps : assert (!u_control.reset_sweep_q || u_control.state_q == 2'd2);
      rows_before_the_next_are_swept :
      assert (!(u_control.state_q == 2'd2 && !u_control.reset_sweep_q) || (sweeps_q && 32'(u_control.row_q) < Rows &&
              swept_q == Rows'((1 << u_control.row_q) - 1)));
      no_sweep_is_left : assert (!(sweeps_q && (u_control.state_q < 2'd2 || u_control.reset_sweep_q)));
      sweeps_go_by_row : assert (!(u_control.state_q == 2'd2 && !u_control.reset_sweep_q) || !u_control.rule_q.by_page);
    end
  end
endmodule
