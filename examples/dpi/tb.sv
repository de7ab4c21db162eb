// Purpose: a bench that asks the reference of Twinwalk, through DPI-C, of every answer of a design: directed steps, then random traffic.
// Contract: 3 (the ports of the design). SDM vol. 3A, 4.10. Counterpart: ffi/sv/twinwalk_reference_pkg.sv; README.md explains it.
//
// The design is examples/byo-mmu. The stimulus decides at the falling edge; at the rising edge everything is looked at, and inputs change.
module tb;
  import twinwalk_reference_pkg::*;
  localparam int unsigned Ports = 2;
  localparam longint unsigned Pml4 = 64'h1000, Pdpt = 64'h2000, Pd = 64'h3000, Pt = 64'h4000, MemoryBytes = 64'h100_0000;
  localparam longint unsigned Table = 64'h7;  // P, RW, US; A is the design's business
  localparam longint unsigned Pages = 12;         // 4 KiB pages at 0, and as many pieces of the 2 MiB page at 0x20_0000

  logic clk = 0, rst_n = 0;
  always #5 clk = ~clk;

  // ---- the design
  // What the stimulus wants, and the inputs of the design, which take it over at the rising edge.
  logic [Ports-1:0] want = '0, want_ready = '1; logic [7:0] want_id [Ports]; logic [63:0] want_va [Ports]; logic [1:0] want_kind [Ports], want_cpl [Ports];
  logic want_op = 0; logic [2:0] want_ctrl_op = 0; logic [63:0] want_data = 0;
  logic req_valid [Ports], resp_ready [Ports]; logic [7:0] req_id [Ports]; logic [63:0] req_va [Ports]; logic [1:0] req_kind [Ports], req_cpl [Ports];
  logic req_ready [Ports], ac [Ports], implicit_supervisor [Ports]; logic [6:0] size [Ports]; logic [31:0] pkru [Ports];
  for (genvar p = 0; p < Ports; p++) begin : gen_port
    assign {ac[p], implicit_supervisor[p], size[p], pkru[p]} = {1'b0, 1'b0, 7'd8, 32'd0};
    always @(posedge clk) begin
      resp_ready[p] <= want_ready[p];
      req_valid[p] <= rst_n && want[p] && !(req_valid[p] && req_ready[p]);
      {req_id[p], req_va[p], req_kind[p], req_cpl[p]} <= {want_id[p], want_va[p], want_kind[p], want_cpl[p]};
    end
  end
  always @(posedge clk) begin
    ctrl_valid <= want_op && !(ctrl_valid && ctrl_ready);
    {ctrl_op, ctrl_data} <= {want_ctrl_op, want_data};
  end
  logic resp_valid [Ports], resp_pwt [Ports], resp_pcd [Ports], resp_pat [Ports];
  logic [7:0] resp_id [Ports]; logic [1:0] resp_status [Ports], resp_page_size [Ports];
  logic [51:0] resp_pa [Ports]; logic [15:0] resp_error_code [Ports]; logic [63:0] resp_va [Ports];
  logic ctrl_valid = 0, ctrl_ready, ctrl_resp_valid, ctrl_resp_gp; logic [2:0] ctrl_op = 0; logic [63:0] ctrl_data = 0;
  logic mem_req_valid, mem_req_ready, mem_resp_valid = 0, mem_resp_ready; logic [1:0] mem_req_op; logic [7:0] mem_req_id, mem_req_beats, mem_req_be;
  logic [51:0] mem_req_addr; logic [63:0] mem_req_wdata, mem_req_expected, mem_resp_data = 0, cr0, cr3, cr4, efer;
  logic mem_resp_error = 0; logic [7:0] mem_resp_id = 0;

  adapter #(.PORTS(Ports)) dut (
    .clk_i(clk), .rst_ni(rst_n), .req_valid_i(req_valid), .req_ready_o(req_ready), .req_id_i(req_id), .req_va_i(req_va), .req_kind_i(req_kind),
    .req_size_bytes_i(size), .req_cpl_i(req_cpl), .req_ac_i(ac), .req_implicit_supervisor_i(implicit_supervisor), .req_pkru_i(pkru),
    .resp_valid_o(resp_valid), .resp_ready_i(resp_ready), .resp_id_o(resp_id), .resp_status_o(resp_status), .resp_pa_o(resp_pa),
    .resp_page_size_o(resp_page_size), .resp_pwt_o(resp_pwt), .resp_pcd_o(resp_pcd), .resp_pat_o(resp_pat),
    .resp_error_code_o(resp_error_code), .resp_va_o(resp_va),
    .ctrl_valid_i(ctrl_valid), .ctrl_ready_o(ctrl_ready), .ctrl_op_i(ctrl_op), .ctrl_data_i(ctrl_data), .ctrl_addr_i('0), .ctrl_type_i('0),
    .ctrl_resp_valid_o(ctrl_resp_valid), .ctrl_resp_ready_i(1'b1), .ctrl_resp_gp_o(ctrl_resp_gp), .cr0_o(cr0), .cr3_o(cr3), .cr4_o(cr4), .efer_o(efer),
    .mem_req_valid_o(mem_req_valid), .mem_req_ready_i(mem_req_ready), .mem_req_op_o(mem_req_op), .mem_req_id_o(mem_req_id),
    .mem_req_addr_o(mem_req_addr), .mem_req_beats_o(mem_req_beats), .mem_req_be_o(mem_req_be), .mem_req_wdata_o(mem_req_wdata),
    .mem_req_expected_o(mem_req_expected), .mem_resp_valid_i(mem_resp_valid), .mem_resp_ready_o(mem_resp_ready), .mem_resp_id_i(mem_resp_id),
    .mem_resp_data_i(mem_resp_data), .mem_resp_error_i(mem_resp_error), .mem_resp_last_i(1'b1));

  // ---- the scoreboard: every verdict comes by here
  chandle handle;
  int unsigned wrong = 0; int last_verdict = 0;
  function automatic void check(input int verdict);
    string text;
    last_verdict = verdict;
    if (!twinwalk_wrong(handle, verdict, text)) return;
    wrong++;
    if (wrong > 1) return;
    $display("WRONG at %0t: %s", $time, text);
    if (verdict == TwinwalkIllegal) $display("%s", twinwalk_account(handle));
  endfunction

  // ---- memory, in which software and the design write: both are reported
  logic [63:0] memory [longint unsigned];
  function automatic logic [63:0] peek(input longint unsigned address);
    return memory.exists(address) != 0 ? memory[address] : '0;
  endfunction
  function automatic void store(input longint unsigned address, input longint unsigned value);
    memory[address] = value;
    check(twinwalk_store(handle, address, value));
  endfunction

  int unsigned delay = 0; logic busy = 0;
  assign mem_req_ready = !busy;
  function automatic void perform();
    logic [63:0] mask, found;
    longint unsigned address;
    for (int b = 0; b < 8; b++) mask[8*b +: 8] = {8{mem_req_be[b]}};
    address = 64'(mem_req_addr);
    found = peek(address);
    mem_resp_data <= found;
    mem_resp_error <= address >= MemoryBytes;
    mem_resp_id <= mem_req_id;
    if (mem_req_op == 2'd2 && ((found ^ mem_req_expected) & mask) == '0 && address < MemoryBytes) begin
      memory[address] = (found & ~mask) | (mem_req_wdata & mask);
      check(twinwalk_update(handle, address, memory[address]));
    end
  endfunction

  // ---- what happens at a rising edge, in the order in which the reference wants to hear of it
  logic [Ports-1:0] under_way = '0; logic op_done = 1;
  always @(posedge clk) if (rst_n) begin
    for (int p = 0; p < Ports; p++) if (resp_valid[p] && resp_ready[p]) begin
      check(twinwalk_response(handle, 64'(p) << 8 | 64'(resp_id[p]), '{status: 8'(resp_status[p]), pa: 64'(resp_pa[p]),
          page_size: 8'(resp_page_size[p]), pat: resp_pat[p], pcd: resp_pcd[p], pwt: resp_pwt[p], error_code: 32'(resp_error_code[p]),
          va: resp_va[p]}));
      under_way[p] = 0;
    end
    if (ctrl_resp_valid) begin
      check(twinwalk_operation_done(handle, 32'(ctrl_resp_gp)));
      op_done = 1;
    end
    mem_resp_valid <= 0;
    if (busy) begin
      if (delay == 0) begin mem_resp_valid <= 1; busy <= 0; end
      delay <= delay - 1;
    end
    if (mem_req_valid && mem_req_ready) begin perform(); busy <= 1; delay <= 32'(draw(4)); end
    for (int p = 0; p < Ports; p++) if (req_valid[p] && req_ready[p]) begin
      check(twinwalk_request(handle, 64'(p) << 8 | 64'(req_id[p]), req_va[p], '{kind: 8'(req_kind[p]), cpl: 8'(req_cpl[p]),
          ac: ac[p], implicit_supervisor: implicit_supervisor[p], pkru: pkru[p]}));
      want[p] = 0;
    end
    if (ctrl_valid && ctrl_ready) begin
      check(twinwalk_operation_accepted(handle, 32'(ctrl_op), ctrl_data, 0, 0));
      want_op = 0;
    end
  end

  // ---- stimulus
  longint unsigned random_state = 64'h9e37_79b9_7f4a_7c15;
  function automatic longint unsigned draw(input longint unsigned below);
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 16) % below;
  endfunction

  task automatic operation(input int unsigned op, input longint unsigned data);
    @(negedge clk);
    want_op = 1; want_ctrl_op = 3'(op); want_data = data; op_done = 0;
    while (!op_done) @(negedge clk);
  endtask

  function automatic void ask(input int p, input byte unsigned what, input longint unsigned where, input byte unsigned who);
    want[p] = 1; want_kind[p] = what[1:0]; want_va[p] = where; want_cpl[p] = who[1:0]; want_id[p] = want_id[p] + 8'd1;
    under_way[p] = 1;
  endfunction

  // A request of the data port, up to its answer; what the walk without time says of it is shown beside the verdict.
  task automatic access(input string why, input byte unsigned what, input longint unsigned where, input int expected);
    twinwalk_outcome_t now;
    void'(twinwalk_translate(handle, where, '{kind: what, cpl: 8'd3, ac: 0, implicit_supervisor: 0, pkru: 0}, now));
    @(negedge clk);
    ask(1, what, where, 3);
    while (under_way[1]) @(negedge clk);
    $display("%-34s memory says %h, verdict %0d: %s", why, now.pa, last_verdict, twinwalk_explanation(handle));
    if (last_verdict != expected) wrong++;
  endtask

  // A random step: software changes an entry or invalidates a page, requests are made.
  task automatic step();
    longint unsigned page, entry;
    @(negedge clk);
    for (int p = 0; p < Ports; p++) begin
      want_ready[p] = draw(4) != 0;
      page = (draw(2) << 21) | (draw(Pages) << 12) | draw(512) << 3;
      if (!under_way[p] && draw(3) == 0)
        ask(p, p == 0 ? TwinwalkFetch : draw(2) == 0 ? TwinwalkRead : TwinwalkWrite, page, draw(2) == 0 ? 8'd3 : 8'd0);
    end
    if (draw(12) == 0) begin  // a new frame, new rights, now and then not present
      entry = (draw(64'h1000) << 12) | (draw(8) != 0 ? 1 : 0) | (draw(4) << 1) | (draw(2) << 8) | (draw(4) == 0 ? 64'h8000_0000_0000_0000 : 0);
      if (draw(4) == 0) store(Pd + 8, (entry & ~64'h1f_f000) | 64'h80);
      else store(Pt + 8 * draw(Pages), entry);
    end
    if (op_done && draw(10) == 0) begin
      want_op = 1; want_ctrl_op = 3'(TwinwalkInvlpg); want_data = (draw(2) << 21) | (draw(Pages) << 12); op_done = 0;
    end
  endtask

  task automatic boot();
    store(Pml4, Pdpt | Table);
    store(Pdpt, Pd | Table);
    store(Pd, Pt | Table);
    store(Pd + 8, 64'h60_0000 | 64'h87);
    for (longint unsigned i = 0; i < Pages; i++) store(Pt + 8 * i, 64'h10_0000 + 4096 * i | Table);
    operation(TwinwalkWrmsrEfer, 64'h900);      // NXE, LME
    operation(TwinwalkMovCr4, 64'ha0);          // PAE, PGE
    operation(TwinwalkMovCr3, Pml4);
    operation(TwinwalkMovCr0, 64'h8001_0001);   // PG, WP, PE
  endtask

  initial begin
    int unsigned steps;
    handle = twinwalk_create(46, 1, 1, MemoryBytes);
    if (handle == null) $fatal(1, "no reference: is the library of this version?");
    if ($value$plusargs("steps=%d", steps) == 0) steps = 100000;
    for (int p = 0; p < Ports; p++) want_id[p] = 0;
    repeat (3) @(negedge clk);
    rst_n = 1;
    boot();
    access("first access", TwinwalkRead, 64'h1008, TwinwalkLegal);
    store(Pt + 8, 64'h7_7000 | Table);
    access("remapped, not invalidated", TwinwalkRead, 64'h1008, TwinwalkLegalStale);
    operation(TwinwalkInvlpg, 64'h1000);
    access("after INVLPG", TwinwalkRead, 64'h1008, TwinwalkLegal);
    for (int unsigned i = 0; i < steps && wrong == 0; i++) step();
    want_ready = '1;
    while (wrong == 0 && (under_way != '0 || !op_done)) begin
      @(negedge clk);
    end
    $display("%s: %0d responses, %0d with one legal outcome, %0d stale and legal, %0d updates of A and D, %0d stale translations invalidated, %0d not judged",
        wrong == 0 ? "PASS" : "FAIL", twinwalk_dpi_figure(handle, TwinwalkResponses), twinwalk_dpi_figure(handle, TwinwalkSingleOutcome),
        twinwalk_dpi_figure(handle, TwinwalkStaleObserved), twinwalk_dpi_figure(handle, TwinwalkEntryUpdates),
        twinwalk_dpi_figure(handle, TwinwalkStaleRemoved), twinwalk_dpi_figure(handle, TwinwalkUnjudgedCount));
    if (wrong == 0 && (twinwalk_dpi_figure(handle, TwinwalkStaleObserved) == 0 || twinwalk_dpi_figure(handle, TwinwalkStaleRemoved) == 0))
      $fatal(1, "nothing stale was tried: the run says nothing of invalidations");
    twinwalk_reference_destroy(handle);
    if (wrong != 0) $fatal(1, "the design is wrong");
    $finish;
  end
endmodule
