// The miss entry of one port: a request that missed in its L1 level, or that must walk.
//
// Contract: sections 7 (states, right to fill), 7.2 (result), 8.5 (drop and the right to fill).
// Counterpart: in src/model the miss entries are part of stlb.rs.

module miss_entry
  import mmu_pkg::*;
#(
    /// Cycles from the look-up in the STLB to its result, 1 to 63.
    parameter int unsigned STLB_HIT_CYCLES = 7
) (
    /// Clock.
    input  logic         clk_i,
    /// Synchronous reset, active low.
    input  logic         rst_ni,
    // From the port: the look-up of this cycle.
    /// Code of the look-up: a miss, a denial or a clear D opens the entry.
    input  lookup_e      lookup_i,
    /// Address of the request.
    input  logic [63:0]  lookup_va_i,
    /// The request.
    input  request_t     lookup_request_i,
    // From control and walker.
    /// Control is busy.
    input  logic         busy_i,
    /// A drop performs.
    input  logic         drop_i,
    /// The right to fill is taken away.
    input  logic         revoke_i,
    // From and to the STLB.
    /// The entry waits for a look-up in the STLB.
    output logic         wants_stlb_o,
    /// The look-up performs in this cycle.
    input  logic         stlb_take_i,
    /// Its code.
    input  lookup_e      stlb_code_i,
    /// Tag of the entry that it found.
    input  tlb_tag_t     stlb_tag_i,
    /// Data of the entry that it found.
    input  tlb_data_t    stlb_data_i,
    // From and to the walker.
    /// The entry waits for a walk.
    output logic         wants_walk_o,
    /// The walk is to begin at CR3.
    output logic         from_cr3_o,
    /// The entry has the right to fill.
    output logic         may_fill_o,
    /// The walker takes the entry in this cycle.
    input  logic         walk_take_i,
    /// The walk of the entry is done in this cycle.
    input  logic         walk_done_i,
    /// How the walk ended.
    input  walk_end_e    walk_end_i,
    /// Error code of a page fault.
    input  logic [15:0]  walk_error_code_i,
    /// Page size of a translation.
    input  page_size_e   walk_size_i,
    /// Tag of a translation.
    input  tlb_tag_t     walk_tag_i,
    /// Data of a translation.
    input  tlb_data_t    walk_data_i,
    // To STLB and walker: what the entry holds until it is FREE again.
    /// Page number of the request.
    output page_number_t page_o,
    /// Access of the request.
    output access_t      access_o,
    // To the port.
    /// The entry is FREE.
    output logic         free_o,
    /// A response is pushed in this cycle.
    output logic         respond_o,
    /// Id, status and error code of the response.
    output response_t    response_o,
    /// Translation of the response, 0 unless translated.
    output translation_t translation_o,
    /// Faulting address of the response, 0 unless a page fault.
    output logic [63:0]  fault_va_o,
    /// The port's L1 level is filled in this cycle.
    output logic         fill_o,
    /// Page size of the fill.
    output page_size_e   fill_size_o,
    /// Tag of the new entry.
    output tlb_tag_t     fill_tag_o,
    /// Data of the new entry.
    output tlb_data_t    fill_data_o
);

  typedef enum logic [2:0] {
    Free,
    StlbWait,
    StlbBusy,
    WalkWait,
    Walking
  } miss_state_e;

  typedef logic [5:0] timer_t;

  miss_state_e state_d, state_q;
  logic        from_cr3_d, from_cr3_q;
  logic        may_fill_q;
  logic [63:0] va_q;
  request_t    request_q;
  // Outcome of the STLB look-up, as it was when looked up, and cycles until it acts.
  lookup_e     code_q;
  tlb_tag_t    tag_q;
  tlb_data_t   data_q;
  timer_t      timer_q;

  logic opens;
  logic has_result;
  logic hits;

  assign opens = lookup_i == LookupMiss || lookup_i == LookupDenied || lookup_i == LookupDirtyClear;
  assign has_result = state_q == StlbBusy && timer_q == '0 && !busy_i && !drop_i;
  assign hits = has_result && is_hit(code_q);

  assign free_o = state_q == Free;
  assign wants_stlb_o = state_q == StlbWait;
  assign wants_walk_o = state_q == WalkWait;
  assign from_cr3_o = from_cr3_q;
  assign may_fill_o = may_fill_q;
  assign page_o = va_q[56:12];
  assign access_o = request_q.access;

  always_comb begin : next_state
    state_d = state_q;
    from_cr3_d = from_cr3_q;
    case (state_q)
      // Nothing is held. A miss goes to the STLB, a denied hit or a clear D to the walker.
      Free: begin
        if (opens) begin
          state_d = lookup_i == LookupMiss ? StlbWait : WalkWait;
          from_cr3_d = lookup_i == LookupDenied;
        end
      end

      // Until the STLB looks the address up: one entry a cycle, the lowest port first.
      StlbWait: if (stlb_take_i) state_d = StlbBusy;

      // The outcome of the look-up is known and acts when its latency is over.
      StlbBusy: begin
        if (has_result) begin
          state_d = hits ? Free : WalkWait;
          from_cr3_d = code_q == LookupDenied;
        end
      end

      // Until the walker takes the entry.
      WalkWait: if (walk_take_i) state_d = Walking;

      // Until the walk is done.
      Walking: if (walk_done_i) state_d = Free;

      default: state_d = Free;
    endcase
  end

  always_ff @(posedge clk_i) begin : registers
    if (!rst_ni) begin
      state_q    <= Free;
      from_cr3_q <= 1'b0;
    end else begin
      state_q    <= state_d;
      from_cr3_q <= from_cr3_d;
    end
  end

  // A right once lost is not regained before the entry is FREE.
  always_ff @(posedge clk_i) begin : right_to_fill
    if (!rst_ni || revoke_i) may_fill_q <= 1'b0;
    else if (state_q == Free && opens) may_fill_q <= 1'b1;
  end

  always_ff @(posedge clk_i) begin : request
    if (!rst_ni) begin
      va_q      <= '0;
      request_q <= '0;
    end else if (state_q == Free && opens) begin
      va_q      <= lookup_va_i;
      request_q <= lookup_request_i;
    end
  end

  always_ff @(posedge clk_i) begin : stlb_outcome
    if (!rst_ni) begin
      timer_q <= '0;
      code_q  <= LookupNone;
      tag_q   <= '0;
      data_q  <= '0;
    end else if (stlb_take_i) begin
      timer_q <= timer_t'(STLB_HIT_CYCLES - 1);
      code_q  <= stlb_code_i;
      tag_q   <= stlb_tag_i;
      data_q  <= stlb_data_i;
    end else if (timer_q != '0) begin
      timer_q <= timer_q - timer_t'(1);
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The end: the response, and the fill of the port's L1 level
  // ---------------------------------------------------------------------------------------------

  always_comb begin : finish
    respond_o     = 1'b0;
    response_o    = '0;
    translation_o = '0;
    fault_va_o    = '0;
    fill_o        = 1'b0;
    fill_size_o   = Size4K;
    fill_tag_o    = '0;
    fill_data_o   = '0;
    if (hits) begin
      respond_o = 1'b1;
      fill_o = may_fill_q;
      fill_size_o = size_of(code_q);
      fill_tag_o = tag_q;
      fill_data_o = data_q;
      response_o = '{id: request_q.id, status: StatusTranslated, error_code: '0};
      translation_o = translate(data_q.memory_type, data_q.frame, fill_size_o, va_q[29:0]);
    end else if (walk_done_i) begin
      respond_o = 1'b1;
      response_o.id = request_q.id;
      case (walk_end_i)
        WalkEndTranslated: begin
          fill_o = may_fill_q;
          fill_size_o = walk_size_i;
          fill_tag_o = walk_tag_i;
          fill_data_o = walk_data_i;
          response_o.status = StatusTranslated;
          translation_o = translate(walk_data_i.memory_type, walk_data_i.frame, walk_size_i,
                                    va_q[29:0]);
        end
        WalkEndPageFault: begin
          response_o.status = StatusPageFault;
          response_o.error_code = walk_error_code_i;
          fault_va_o = va_q;
        end
        default: response_o.status = StatusBusError;
      endcase
    end
  end

`ifndef SYNTHESIS
  // Whether an invalidation or another's drop has performed since the entry was last FREE, kept
  // apart from the right to fill, which it checks.
  logic was_revoked_q;

  always_ff @(posedge clk_i) begin : assertions
    if (!rst_ni || state_q == Free) was_revoked_q <= 1'b0;
    else if (revoke_i) was_revoked_q <= 1'b1;

    if (rst_ni) begin
      if (opens) begin
        only_a_free_entry_is_opened :
        assert (free_o)
        else $error("look-up code %0d while the entry is not free", lookup_i);
      end
      if (stlb_take_i || walk_take_i) begin
        an_entry_is_taken_only_when_it_waits :
        assert ((!stlb_take_i || wants_stlb_o) && (!walk_take_i || wants_walk_o))
        else $error("taken by STLB %b, by walker %b, in state %0d", stlb_take_i, walk_take_i, state_q);
      end
      if (walk_done_i) begin
        a_walk_ends_only_for_an_entry_that_walks :
        assert (state_q == Walking)
        else $error("the walk is done in state %0d", state_q);
      end
      if (fill_o) begin
        a_lost_right_to_fill_is_not_used :
        assert (!was_revoked_q)
        else $error("the entry fills after an invalidation or a drop took its right");
      end
    end
  end
`endif

endmodule
