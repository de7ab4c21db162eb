// Properties of a port: each request that is accepted is in one place until its one response is taken; queues neither overflow nor
// lose; responses stay until they are taken.
//
// Contract: sections 1.3 (links), 3 (ids), 5 (queues), 6 (look-up). Block: rtl/port.sv.
//
// Unbounded (induction), for 3 places in each queue and 2 cycles to a look-up. One id is watched, which may be any: `watched_i` is the same in all cycles.
// Assumed of the requester (contract 3): a request stays until it is accepted, ids of what is outstanding differ. Of the rest
// (proved in miss_queue_formal.sv): the miss queue and the commit answer, and bring back, only requests that took an entry, each once; only
// what needs an entry is refused. Codes of look-ups are any.
// Not proved: that a response comes at all.

module port_formal
  import mmu_pkg::*;
(
    input logic         clk_i,
    input logic         rst_ni,
    input logic [7:0]   watched_i,
    input logic         req_valid_i,
    input logic [7:0]   req_id_i,
    input logic [63:0]  req_va_i,
    input logic [1:0]   req_kind_i,
    input logic [6:0]   req_size_bytes_i,
    input logic [1:0]   req_cpl_i,
    input logic         req_ac_i,
    input logic         req_implicit_supervisor_i,
    input logic [31:0]  req_pkru_i,
    input logic         resp_ready_i,
    input logic         paging_i,
    input logic         two_level_i,
    input logic         la57_i,
    input logic         accept_i,
    input logic         busy_i,
    input logic         retry_i,
    input logic [63:0]  retry_va_i,
    input request_t     retry_request_i,
    input logic         refused_i,
    input logic         hold_i,
    input lookup_e      level_code_i,
    input tlb_data_t    level_data_i,
    input page_size_e   level_page_size_i,
    input logic         respond_i,
    input response_t    commit_response_i,
    input translation_t commit_translation_i,
    input logic [63:0]  commit_fault_va_i
);
  localparam int unsigned Places = 3;

  logic         running;
  logic         req_ready;
  logic         resp_valid;
  response_t    response;
  translation_t translation;
  logic [63:0]  fault_va;
  logic         idle;
  lookup_e      code;
  logic         lookup;
  logic [63:0]  lookup_va;
  request_t     lookup_request;

  formal_reset u_reset (.clk_i, .rst_ni, .running_o(running));

  port #(
      .PORT(1), .QUEUE_ENTRIES(Places), .HIT_CYCLES(2)
  ) u_port (
      .clk_i, .rst_ni, .req_valid_i, .req_ready_o(req_ready), .req_id_i, .req_va_i, .req_kind_i, .req_size_bytes_i, .req_cpl_i,
      .req_ac_i, .req_implicit_supervisor_i, .req_pkru_i, .resp_valid_o(resp_valid), .resp_ready_i, .response_o(response),
      .translation_o(translation), .fault_va_o(fault_va), .paging_i, .two_level_i, .la57_i, .accept_i, .busy_i,
      .idle_o(idle), .retry_i, .retry_va_i, .retry_request_i, .code_o(code), .refused_i, .hold_i, .lookup_o(lookup),
      .lookup_va_o(lookup_va), .lookup_request_o(lookup_request), .level_code_i, .level_data_i, .level_page_size_i,
      .respond_i, .commit_response_i, .commit_translation_i, .commit_fault_va_i
  );

  // The same checker as on every link. What the requester has to keep is assumed (properties.toml), what the port has to is proved.
  link_sva u_assumed_request_link (
      .clk_i, .rst_ni, .valid_i(req_valid_i), .ready_i(req_ready), .payload_0_i(req_va_i),
      .payload_1_i({11'd0, req_size_bytes_i, req_id_i, req_kind_i, req_cpl_i, req_ac_i, req_implicit_supervisor_i, req_pkru_i}),
      .payload_2_i('0), .payload_3_i('0)
  );
  link_sva u_response_link (
      .clk_i, .rst_ni, .valid_i(resp_valid), .ready_i(resp_ready_i), .payload_0_i(64'(response)),
      .payload_1_i(64'(translation)), .payload_2_i(fault_va), .payload_3_i('0)
  );

  // ---------------------------------------------------------------------------------------------
  // Kept beside the port
  // ---------------------------------------------------------------------------------------------

  logic        was_running_q;
  logic [7:0]  watched_q;
  /// Requests that are outstanding, those of them that have an entry of the miss queue, and whether the watched one is among them.
  logic [7:0]  outstanding_q;
  logic [7:0]  missed_q;
  logic        is_outstanding_q;
  logic        is_missed_q;
  /// What the watched request asked.
  logic [63:0] va_q;
  access_t     access_q;

  logic accepted, taken, looked_up, enters, leaves, answers;
  assign accepted = req_valid_i && req_ready;
  assign taken = resp_valid && resp_ready_i;
  assign looked_up = code != LookupNone && !refused_i;
  assign enters = looked_up && !retry_i && code != LookupBypass && !is_hit(code);
  assign leaves = respond_i || (looked_up && retry_i && is_hit(code));
  assign answers = respond_i || (looked_up && (is_hit(code) || code == LookupBypass));

  logic [7:0] left_id;
  assign left_id = respond_i ? commit_response_i.id : lookup_request.id;

  always_ff @(posedge clk_i) begin : remember
    was_running_q <= running;
    watched_q <= watched_i;
    if (!rst_ni) begin
      outstanding_q <= '0;
      missed_q <= '0;
      is_outstanding_q <= 1'b0;
      is_missed_q <= 1'b0;
    end else begin
      outstanding_q <= outstanding_q + 8'(accepted) - 8'(taken);
      missed_q <= missed_q + 8'(enters) - 8'(leaves);
      if (accepted && req_id_i == watched_i) is_outstanding_q <= 1'b1;
      if (taken && response.id == watched_i) is_outstanding_q <= 1'b0;
      if (enters && lookup_request.id == watched_i) is_missed_q <= 1'b1;
      if (leaves && left_id == watched_i) is_missed_q <= 1'b0;
    end
    if (accepted && req_id_i == watched_i) begin
      va_q <= two_level_i ? 64'(req_va_i[31:0]) : req_va_i;
      access_q <= '{pkru: req_pkru_i, kind: kind_e'(req_kind_i), cpl: req_cpl_i, ac: req_ac_i,
                    implicit_supervisor: req_implicit_supervisor_i};
    end
  end

  // ---------------------------------------------------------------------------------------------
  // What is assumed
  // ---------------------------------------------------------------------------------------------

  always_comb begin : obligations
    if (was_running_q) assume (watched_i == watched_q);
    if (running) begin
      assume (!(req_valid_i && req_id_i == watched_i && is_outstanding_q));
      assume (lookup ? level_code_i >= LookupHit4K && level_code_i <= LookupDirtyClear : level_code_i == LookupNone);
      assume (!refused_i || (!retry_i && code >= LookupMiss && code <= LookupDirtyClear));
      if (retry_i) begin
        assume (paging_i);
        assume (retry_request_i.id == watched_i ? is_missed_q : missed_q > 8'(is_missed_q));
      end
      if (respond_i) assume (commit_response_i.id == watched_i ? is_missed_q : missed_q > 8'(is_missed_q));
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The properties
  // ---------------------------------------------------------------------------------------------

  /// Requests in the queue, and places of the watched id in the queues.
  logic [7:0] queued;
  logic [7:0] watched_queued, watched_answered;

  always_comb begin : find_watched
    int unsigned place;
    place = 0;
    queued = 8'(u_port.ripe_q) + 8'($countones(u_port.u_ripening.gen_line.age_q));
    watched_queued = '0;
    watched_answered = '0;
    for (int unsigned i = 0; i < Places; i++) begin
      place = (32'(u_port.req_read_q) + i) % Places;
      if (i < 32'(queued) && u_port.req_q[place[1:0]].id == watched_i) watched_queued++;
      place = (32'(u_port.resp_read_q) + i) % Places;
      if (i < 32'(u_port.resp_count_q) && u_port.resp_q[place[1:0]].id == watched_i) watched_answered++;
    end
  end

  always_comb begin : properties
    if (running) begin
      no_more_are_outstanding_than_there_are_places : assert (32'(outstanding_q) <= Places);
      each_request_is_queued_or_missed_or_answered :
      assert (outstanding_q == queued + missed_q + 8'(u_port.resp_count_q));
      the_watched_request_is_in_one_place_exactly_while_it_is_outstanding :
      assert (watched_queued + 8'(is_missed_q) + watched_answered == 8'(is_outstanding_q));
      a_response_is_to_a_request_that_is_outstanding : assert (!(taken && response.id == watched_i) || is_outstanding_q);
      the_response_queue_has_a_place_for_each_answer : assert (!answers || 32'(u_port.resp_count_q) < Places);
      a_request_is_looked_up_as_it_was_made :
      assert (!(looked_up && !retry_i && lookup_request.id == watched_i) ||
              (is_outstanding_q && lookup_va == va_q && lookup_request.access == access_q));
      nothing_is_accepted_unless_allowed : assert (!req_ready || (accept_i && 32'(outstanding_q) < Places));
      idle_is_told_exactly_while_nothing_is_outstanding : assert (idle == (outstanding_q == '0));
      nothing_is_looked_up_while_held_up : assert (!(busy_i || hold_i || respond_i) || code == LookupNone);
    end
  end

  always_comb begin : strengthening
    int unsigned place;
    place = 0;
    if (running) begin
      counts_are_the_same : assert (32'(u_port.outstanding_q) == 32'(outstanding_q));
      missed_is_counted : assert (missed_q >= 8'(is_missed_q) && missed_q <= outstanding_q);
      pointers_exist :
      assert (32'(u_port.req_read_q) < Places && 32'(u_port.req_write_q) < Places && 32'(u_port.resp_read_q) < Places &&
              32'(u_port.resp_write_q) < Places);
      requests_are_written_behind_the_last :
      assert (32'(u_port.req_write_q) == (32'(u_port.req_read_q) + 32'(queued)) % Places);
      responses_are_written_behind_the_last :
      assert (32'(u_port.resp_write_q) == (32'(u_port.resp_read_q) + 32'(u_port.resp_count_q)) % Places);
    end
  end

  for (genvar i = 0; i < Places; i++) begin : gen_place
    logic [1:0] place;
    assign place = 2'((32'(u_port.req_read_q) + i) % Places);
    always_comb begin : strengthening
      if (running && i < 32'(queued) && u_port.req_q[place].id == watched_i) begin
        what_is_queued_is_what_was_asked : assert (u_port.req_va_q[place] == va_q && u_port.req_q[place].access == access_q);
      end
    end
  end
endmodule
