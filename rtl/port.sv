// One port: its request and response queues, and the look-up in its L1 level.
//
// Contract: sections 5 (queues), 6 (look-up). SDM: 4.1.1 (paging off), 4.5 (canonical addresses).
// Counterpart: src/model/port.rs.
//
// Requests are looked up, and responses given, in the order of acceptance: while the port's miss
// entry is in use nothing is looked up.

module port
  import mmu_pkg::*;
#(
    /// Number of the port. Port 0 fetches; ports 1 and up read and write.
    parameter int unsigned PORT          = 0,
    /// Requests accepted and not yet answered, 1 to 16.
    parameter int unsigned QUEUE_ENTRIES = 4,
    /// Cycles from the accept to the first cycle in which a request may be looked up, 1 to 63.
    parameter int unsigned HIT_CYCLES    = 1,
    /// Sets of the array of 4 KiB pages.
    parameter int unsigned SETS_4K       = 8,
    /// Ways of the array of 4 KiB pages.
    parameter int unsigned WAYS_4K       = 8,
    /// Sets of the array of 2 MiB pages.
    parameter int unsigned SETS_2M       = 1,
    /// Ways of the array of 2 MiB pages.
    parameter int unsigned WAYS_2M       = 8,
    /// Sets of the array of 1 GiB pages.
    parameter int unsigned SETS_1G       = 1,
    /// Ways of the array of 1 GiB pages.
    parameter int unsigned WAYS_1G       = 4
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
    /// CR4.LA57.
    input  logic         la57_i,
    /// Current PCID.
    input  pcid_t        pcid_i,
    /// Control register bits that decide whether an access is allowed.
    input  protection_t  protection_i,
    /// Requests may be accepted.
    input  logic         accept_i,
    /// Control is busy.
    input  logic         busy_i,
    /// No request is outstanding.
    output logic         idle_o,
    // From the walker.
    /// A drop performs.
    input  logic         drop_i,
    // From and to the miss entry of the port.
    /// The miss entry is FREE.
    input  logic         miss_free_i,
    /// Code of the look-up of this cycle, 0 if none performs.
    output lookup_e      lookup_o,
    /// Address of the request that is looked up.
    output logic [63:0]  lookup_va_o,
    /// The request that is looked up.
    output request_t     lookup_request_o,
    /// A response is pushed in this cycle.
    input  logic         miss_respond_i,
    /// Id, status and error code of that response.
    input  response_t    miss_response_i,
    /// Translation of that response.
    input  translation_t miss_translation_i,
    /// Faulting address of that response.
    input  logic [63:0]  miss_fault_va_i,
    /// The L1 level is filled in this cycle.
    input  logic         fill_i,
    /// Page size of the fill.
    input  page_size_e   fill_size_i,
    /// Tag of the new entry.
    input  tlb_tag_t     fill_tag_i,
    /// Data of the new entry.
    input  tlb_data_t    fill_data_i,
    // From control and walker: invalidations and drops.
    /// The arrays are invalidated in this cycle.
    input  logic         invalidate_i,
    /// A step of the reset sweep.
    input  logic         initialise_i,
    /// Which entries an invalidation concerns.
    input  match_rule_t  invalidate_rule_i,
    /// Page number of an invalidation by page.
    input  page_number_t invalidate_page_i,
    /// PCID of an invalidation.
    input  pcid_t        invalidate_pcid_i,
    /// Row of a sweep.
    input  row_t         invalidate_row_i,
    // To the monitor, one element a page size (see tlb.sv).
    /// Fill, or an invalidation that removes something.
    output logic [1:0]   mon_op_o         [PageSizes],
    /// Set.
    output row_t         mon_set_o        [PageSizes],
    /// Way that is filled.
    output logic [5:0]   mon_way_o        [PageSizes],
    /// Ways that lose what they held.
    output ways_t        mon_removed_o    [PageSizes],
    /// Tag of the new entry.
    output logic [63:0]  mon_tag_o        [PageSizes],
    /// Data of the new entry.
    output logic [63:0]  mon_data_o       [PageSizes],
    /// Tag that the filled way held.
    output logic [63:0]  mon_victim_tag_o [PageSizes],
    /// Data that the filled way held.
    output logic [63:0]  mon_victim_data_o[PageSizes]
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
  logic lookup;
  logic ripens;
  logic respond;
  logic resp_taken;

  assign req_ready_o = accept_i && 32'(outstanding_q) < QUEUE_ENTRIES;
  assign accept = req_valid_i && req_ready_o;
  assign idle_o = outstanding_q == '0;

  // A request ripens HIT_CYCLES - 1 cycles after the accept: its mark moves down a line of that
  // many stages.
  if (HIT_CYCLES == 1) begin : gen_ripe_at_once
    assign ripens = accept;
  end else begin : gen_ripening
    logic [HIT_CYCLES-2:0] age_q;

    always_ff @(posedge clk_i) begin : age
      if (!rst_ni) age_q <= '0;
      else age_q <= (age_q << 1) | (HIT_CYCLES - 1)'(accept);
    end

    assign ripens = age_q[HIT_CYCLES-2];
  end

  always_ff @(posedge clk_i) begin : request_memory
    if (accept) begin
      req_va_q[req_write_q] <= req_va_i;
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
      if (lookup) req_read_q <= next_index(req_read_q);
      ripe_q <= ripe_q + count_t'(ripens) - count_t'(lookup);
      outstanding_q <= outstanding_q + count_t'(accept) - count_t'(resp_taken);
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Look-up
  // ---------------------------------------------------------------------------------------------

  logic      bypass;
  logic      general_protection;
  lookup_e   level_code;
  tlb_data_t data;
  // What only the STLB keeps of a match.
  tlb_tag_t  unused_tag;
  logic      unused_data;
  assign unused_data = ^{data.key, data.dirty, data.rights};

  assign lookup = ripe_q != '0 && miss_free_i && !busy_i && !drop_i && !fill_i;

  always_comb begin : choose_request
    lookup_va_o = '0;
    lookup_request_o = '0;
    bypass = 1'b0;
    general_protection = 1'b0;
    if (lookup) begin
      lookup_va_o = req_va_q[req_read_q];
      lookup_request_o = req_q[req_read_q];
      general_protection = paging_i && !is_canonical(lookup_va_o[63:47], la57_i);
      bypass = !paging_i || general_protection;
    end
  end

  assign lookup_o = bypass ? LookupBypass : level_code;

  tlb_level #(
      .SETS_4K(SETS_4K),
      .WAYS_4K(WAYS_4K),
      .SETS_2M(SETS_2M),
      .WAYS_2M(WAYS_2M),
      .SETS_1G(SETS_1G),
      .WAYS_1G(WAYS_1G)
  ) u_level (
      .clk_i,
      .rst_ni,
      .lookup_i     (lookup && !bypass),
      .page_number_i(lookup_va_o[56:12]),
      .access_i     (lookup_request_o.access),
      .pcid_i,
      .protection_i,
      .code_o       (level_code),
      .tag_o        (unused_tag),
      .data_o       (data),
      .fill_i,
      .fill_size_i,
      .fill_tag_i,
      .fill_data_i,
      .invalidate_i,
      .initialise_i,
      .invalidate_rule_i,
      .invalidate_page_i,
      .invalidate_pcid_i,
      .invalidate_row_i,
      .mon_op_o,
      .mon_set_o,
      .mon_way_o,
      .mon_removed_o,
      .mon_tag_o,
      .mon_data_o,
      .mon_victim_tag_o,
      .mon_victim_data_o
  );

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

  assign resp_valid_o = resp_count_q != '0;
  assign resp_taken = resp_valid_o && resp_ready_i;

  // The response of this cycle: of the look-up, or of the miss entry, which allows no look-up.
  always_comb begin : choose_response
    respond = miss_respond_i;
    response = miss_response_i;
    translation = miss_translation_i;
    if (lookup) begin
      response = '{id: lookup_request_o.id, status: StatusTranslated, error_code: '0};
      translation = '0;
      case (lookup_o)
        LookupBypass: begin
          respond = 1'b1;
          if (general_protection) response.status = StatusGeneralProtection;
          else translation.pa = 52'(lookup_va_o[31:0]);
        end
        LookupHit4K, LookupHit2M, LookupHit1G: begin
          respond = 1'b1;
          translation = translate(data.memory_type, data.frame, size_of(lookup_o),
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
      resp_fault_va_q[resp_write_q] <= lookup ? '0 : miss_fault_va_i;
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
    if (rst_ni && lookup) begin
      the_request_queue_does_not_underflow :
      assert (ripe_q != '0 && ripe_q <= outstanding_q)
      else $error("%0d of %0d outstanding requests are ripe", ripe_q, outstanding_q);

      a_look_up_and_a_miss_entry_never_respond_at_once :
      assert (!miss_respond_i)
      else $error("a look-up performs while the miss entry responds");
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
