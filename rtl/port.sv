// One port: its request and response queues, and what it looks up in its L1 level.
//
// Contract: sections 5 (queues), 6 (candidate, look-up). SDM: 4.1.1 (paging modes), 4.5 (canonical addresses).
// Counterpart: src/model/port.rs.
//
// Requests are looked up in the order of acceptance, but one in RETRY comes before them; they are
// answered as they get ready. The arrays stand beside the ports, because data ports share theirs.

module port
  import mmu_pkg::*;
#(
    /// Number of the port. Port 0 fetches; ports 1 and up read and write.
    parameter int unsigned PORT          = 0,
    /// Requests accepted and not yet answered, 1 to 16.
    parameter int unsigned QUEUE_ENTRIES = 4,
    /// Cycles from the accept to the first cycle in which a request may be looked up, 1 to 63.
    parameter int unsigned HIT_CYCLES    = 1
) (
    /// Clock.
    input  logic         clk_i,
    /// Synchronous reset, active low.
    input  logic         rst_ni,
    // From and to the requester: request.
    /// A request is made.
    input  logic         req_valid_i,
    /// It is accepted.
    output logic         req_ready_o,
    /// Id.
    input  logic [7:0]   req_id_i,
    /// Virtual address.
    input  logic [63:0]  req_va_i,
    /// 0 read, 1 write, 2 fetch.
    input  logic [1:0]   req_kind_i,
    /// Bytes, 1 to 64, within one 4 KiB page.
    input  logic [6:0]   req_size_bytes_i,
    /// Current privilege level.
    input  logic [1:0]   req_cpl_i,
    /// EFLAGS.AC.
    input  logic         req_ac_i,
    /// An access that the processor makes as supervisor at any privilege level.
    input  logic         req_implicit_supervisor_i,
    /// PKRU.
    input  logic [31:0]  req_pkru_i,
    // From and to the requester: response.
    /// A response is given.
    output logic         resp_valid_o,
    /// It is taken.
    input  logic         resp_ready_i,
    /// Id, status and error code.
    output response_t    response_o,
    /// Translation, 0 unless translated.
    output translation_t translation_o,
    /// Faulting address, 0 unless a page fault.
    output logic [63:0]  fault_va_o,
    // From and to control.
    /// CR0.PG.
    input  logic         paging_i,
    /// 32-bit paging: addresses have 32 bits, and all of them are canonical.
    input  logic         two_level_i,
    /// CR4.LA57.
    input  logic         la57_i,
    /// Requests may be accepted.
    input  logic         accept_i,
    /// Control is busy.
    input  logic         busy_i,
    /// No request is outstanding.
    output logic         idle_o,
    // From and to the miss queue.
    /// The candidate is a request in RETRY.
    input  logic         retry_i,
    /// Its address.
    input  logic [63:0]  retry_va_i,
    /// That request.
    input  request_t     retry_request_i,
    /// Code of the look-up of this cycle, 0 if none performs.
    output lookup_e      code_o,
    /// The request that was looked up finds no entry of the miss queue: nothing performs.
    input  logic         refused_i,
    // From and to the L1 level.
    /// A drop, a fill of the level or a back-invalidation performs: nothing is looked up.
    input  logic         hold_i,
    /// The arrays are looked up.
    output logic         lookup_o,
    /// Address of the candidate.
    output logic [63:0]  lookup_va_o,
    /// The candidate.
    output request_t     lookup_request_o,
    /// Code of the look-up.
    input  lookup_e      level_code_i,
    /// Data of the matching entry.
    input  tlb_data_t    level_data_i,
    /// Size of its page.
    input  page_size_e   level_page_size_i,
    // From the commit.
    /// A response is pushed in this cycle.
    input  logic         respond_i,
    /// Id, status and error code of that response.
    input  response_t    commit_response_i,
    /// Translation of that response.
    input  translation_t commit_translation_i,
    /// Faulting address of that response.
    input  logic [63:0]  commit_fault_va_i
);

  localparam int unsigned IndexWidth = QUEUE_ENTRIES > 1 ? $clog2(QUEUE_ENTRIES) : 1;
  localparam int unsigned CountWidth = $clog2(QUEUE_ENTRIES + 1);

  typedef logic [IndexWidth-1:0] index_t;
  typedef logic [CountWidth-1:0] count_t;

  function automatic index_t next_index(index_t index);
    return 32'(index) == QUEUE_ENTRIES - 1 ? '0 : index + index_t'(1);
  endfunction

  // ---------------------------------------------------------------------------------------------
  // Request queue
  // ---------------------------------------------------------------------------------------------

  logic [63:0] req_va_q[QUEUE_ENTRIES];
  request_t    req_q   [QUEUE_ENTRIES];
  index_t      req_write_q, req_read_q;
  /// Requests in the queue that may be looked up: the oldest ones.
  count_t      ripe_q;
  count_t      outstanding_q;

  logic accept;
  logic performs;
  logic leaves;
  logic ripens;
  logic respond;
  logic resp_taken;

  assign req_ready_o = accept_i && 32'(outstanding_q) < QUEUE_ENTRIES;
  assign accept = req_valid_i && req_ready_o;
  assign idle_o = outstanding_q == '0;

  delay_line #(
      .CYCLES(HIT_CYCLES)
  ) u_ripening (
      .clk_i,
      .rst_ni,
      .mark_i(accept),
      .mark_o(ripens)
  );

  always_ff @(posedge clk_i) begin : request_memory
    if (accept) begin
      // The mode stays as it is while a request is outstanding.
      req_va_q[req_write_q] <= two_level_i ? 64'(req_va_i[31:0]) : req_va_i;
      req_q[req_write_q] <= '{
          id: req_id_i,
          access: '{
              pkru: req_pkru_i,
              kind: kind_e'(req_kind_i),
              cpl: req_cpl_i,
              ac: req_ac_i,
              implicit_supervisor: req_implicit_supervisor_i
          }
      };
    end
  end

  always_ff @(posedge clk_i) begin : request_queue
    if (!rst_ni) begin
      req_write_q   <= '0;
      req_read_q    <= '0;
      ripe_q        <= '0;
      outstanding_q <= '0;
    end else begin
      if (accept) req_write_q <= next_index(req_write_q);
      if (leaves) req_read_q <= next_index(req_read_q);
      ripe_q <= ripe_q + count_t'(ripens) - count_t'(leaves);
      outstanding_q <= outstanding_q + count_t'(accept) - count_t'(resp_taken);
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Look-up
  // ---------------------------------------------------------------------------------------------

  logic bypass;
  logic general_protection;
  // What only the look-up itself and the STLB make use of.
  logic unused_data;
  assign unused_data = ^{level_data_i.key, level_data_i.dirty, level_data_i.rights};

  assign performs = (retry_i || ripe_q != '0) && !busy_i && !hold_i && !respond_i;
  assign leaves = performs && !retry_i && !refused_i;

  always_comb begin : choose_candidate
    lookup_va_o = '0;
    lookup_request_o = '0;
    bypass = 1'b0;
    general_protection = 1'b0;
    if (performs) begin
      if (retry_i) begin
        lookup_va_o = retry_va_i;
        lookup_request_o = retry_request_i;
      end else begin
        lookup_va_o = req_va_q[req_read_q];
        lookup_request_o = req_q[req_read_q];
        general_protection = paging_i && !is_canonical(lookup_va_o[63:47], la57_i);
        bypass = !paging_i || general_protection;
      end
    end
  end

  assign lookup_o = performs && !bypass;
  assign code_o = bypass ? LookupBypass : level_code_i;

  // ---------------------------------------------------------------------------------------------
  // Response queue
  // ---------------------------------------------------------------------------------------------

  response_t    resp_q            [QUEUE_ENTRIES];
  translation_t resp_translation_q[QUEUE_ENTRIES];
  logic [63:0]  resp_fault_va_q   [QUEUE_ENTRIES];
  index_t       resp_write_q, resp_read_q;
  count_t       resp_count_q;

  response_t    response;
  translation_t translation;
  logic [63:0]  fault_va;

  assign resp_valid_o = resp_count_q != '0;
  assign resp_taken = resp_valid_o && resp_ready_i;

  // The response of this cycle: of the commit, which allows no look-up, or of the look-up.
  always_comb begin : choose_response
    respond = respond_i;
    response = '0;
    translation = '0;
    fault_va = '0;
    if (respond_i) begin
      response = commit_response_i;
      translation = commit_translation_i;
      fault_va = commit_fault_va_i;
    end else if (performs) begin
      response = '{id: lookup_request_o.id, status: StatusTranslated, error_code: '0};
      case (code_o)
        LookupBypass: begin
          respond = 1'b1;
          if (general_protection) response.status = StatusGeneralProtection;
          else translation.pa = 52'(lookup_va_o[31:0]);
        end
        LookupHit4K, LookupHit2M, LookupHit1G: begin
          respond = 1'b1;
          translation = translate(level_data_i.memory_type, level_data_i.frame,
                                  size_of(code_o, two_level_i), level_page_size_i,
                                  lookup_va_o[29:0]);
        end
        default: ;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin : response_memory
    if (respond) begin
      resp_q[resp_write_q] <= response;
      resp_translation_q[resp_write_q] <= translation;
      resp_fault_va_q[resp_write_q] <= fault_va;
    end
  end

  always_ff @(posedge clk_i) begin : response_queue
    if (!rst_ni) begin
      resp_write_q <= '0;
      resp_read_q  <= '0;
      resp_count_q <= '0;
    end else begin
      if (respond) resp_write_q <= next_index(resp_write_q);
      if (resp_taken) resp_read_q <= next_index(resp_read_q);
      resp_count_q <= resp_count_q + count_t'(respond) - count_t'(resp_taken);
    end
  end

  always_comb begin : show_response
    response_o = '0;
    translation_o = '0;
    fault_va_o = '0;
    if (resp_valid_o) begin
      response_o = resp_q[resp_read_q];
      translation_o = resp_translation_q[resp_read_q];
      fault_va_o = resp_fault_va_q[resp_read_q];
    end
  end

`ifndef SYNTHESIS
  link_sva u_request_link (
      .clk_i,
      .rst_ni,
      .valid_i    (req_valid_i),
      .ready_i    (req_ready_o),
      .payload_0_i(req_va_i),
      .payload_1_i({11'd0, req_size_bytes_i, req_id_i, req_kind_i, req_cpl_i, req_ac_i,
                    req_implicit_supervisor_i, req_pkru_i}),
      .payload_2_i('0),
      .payload_3_i('0)
  );

  link_sva u_response_link (
      .clk_i,
      .rst_ni,
      .valid_i    (resp_valid_o),
      .ready_i    (resp_ready_i),
      .payload_0_i(64'(response_o)),
      .payload_1_i(64'(translation_o)),
      .payload_2_i(fault_va_o),
      .payload_3_i('0)
  );

  requester_sva #(
      .PORT         (PORT),
      .QUEUE_ENTRIES(QUEUE_ENTRIES)
  ) u_requester_sva (
      .clk_i,
      .rst_ni,
      .accept_i    (accept),
      .id_i        (req_id_i),
      .page_offset_i(req_va_i[11:0]),
      .kind_i      (req_kind_i),
      .size_bytes_i(req_size_bytes_i),
      .respond_i   (resp_taken),
      .response_id_i(response_o.id)
  );

  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && accept) begin
      the_request_queue_does_not_overflow :
      assert (32'(outstanding_q) < QUEUE_ENTRIES)
      else $error("a request is accepted while %0d are outstanding", outstanding_q);
    end
    if (rst_ni && leaves) begin
      the_request_queue_does_not_underflow :
      assert (ripe_q != '0 && ripe_q <= outstanding_q)
      else $error("%0d of %0d outstanding requests are ripe", ripe_q, outstanding_q);
    end
    if (rst_ni && performs) begin
      a_request_in_retry_is_looked_up_with_paging_on :
      assert (!retry_i || paging_i)
      else $error("a request in RETRY is looked up while CR0.PG is 0");

      only_a_request_that_needs_an_entry_is_refused :
      assert (!refused_i || (!retry_i && (code_o == LookupMiss || code_o == LookupDenied ||
              code_o == LookupDirtyClear)))
      else $error("a request is refused, retry %b, code %0d", retry_i, code_o);
    end
    if (rst_ni && respond) begin
      the_response_queue_does_not_overflow :
      assert (resp_count_q < outstanding_q)
      else $error("one more response than the %0d outstanding requests", outstanding_q);
    end
    if (rst_ni && resp_taken) begin
      the_response_queue_does_not_underflow :
      assert (resp_count_q != '0 && resp_count_q <= outstanding_q)
      else $error("%0d responses to %0d outstanding requests", resp_count_q, outstanding_q);
    end
  end
`endif

endmodule
