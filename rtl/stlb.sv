// Miss entries of all ports and the second-level TLB that they share.
//
// Contract: section 7 (miss entries, look-up, result), 7.3 (fill of L1 and STLB), 10 (monitor).
// Counterpart: src/model/stlb.rs.
//
// One entry a cycle is looked up. A request leaves by way of an STLB hit or of the walker, and in
// the same cycle its response goes to the port and the entry to the port's L1 level.

module stlb
  import mmu_pkg::*;
#(
    /// Ports of the machine.
    parameter int unsigned PORTS           = 2,
    /// Cycles from a look-up to its result, 1 to 63.
    parameter int unsigned STLB_HIT_CYCLES = 7,
    /// Sets of the array of 4 KiB pages.
    parameter int unsigned SETS_4K         = 128,
    /// Ways of the array of 4 KiB pages.
    parameter int unsigned WAYS_4K         = 12,
    /// Sets of the array of 2 MiB pages.
    parameter int unsigned SETS_2M         = 32,
    /// Ways of the array of 2 MiB pages.
    parameter int unsigned WAYS_2M         = 8,
    /// Sets of the array of 1 GiB pages.
    parameter int unsigned SETS_1G         = 4,
    /// Ways of the array of 1 GiB pages.
    parameter int unsigned WAYS_1G         = 4
) (
    /// Clock.
    input  logic         clk_i,
    /// Synchronous reset, active low.
    input  logic         rst_ni,
    // From the ports: the look-ups of this cycle.
    /// Code of the look-up.
    input  lookup_e      lookup_i         [PORTS],
    /// Address of the request.
    input  logic [63:0]  lookup_va_i      [PORTS],
    /// The request.
    input  request_t     lookup_request_i [PORTS],
    // To the ports.
    /// The port's miss entry is FREE.
    output logic         free_o           [PORTS],
    /// A response is pushed in this cycle.
    output logic         respond_o        [PORTS],
    /// Id, status and error code of the response.
    output response_t    response_o       [PORTS],
    /// Translation of the response, 0 unless translated.
    output translation_t translation_o    [PORTS],
    /// Faulting address of the response, 0 unless a page fault.
    output logic [63:0]  fault_va_o       [PORTS],
    /// The port's L1 level is filled in this cycle.
    output logic         fill_o           [PORTS],
    /// Page size of the fill.
    output page_size_e   fill_size_o      [PORTS],
    /// Tag of the new entry.
    output tlb_tag_t     fill_tag_o       [PORTS],
    /// Data of the new entry.
    output tlb_data_t    fill_data_o      [PORTS],
    // From and to the walker.
    /// The port's miss entry waits for a walk.
    output logic         wants_walk_o     [PORTS],
    /// The walk is to begin at CR3.
    output logic         from_cr3_o       [PORTS],
    /// The miss entry has the right to fill.
    output logic         may_fill_o       [PORTS],
    /// Page number of the request.
    output page_number_t page_o           [PORTS],
    /// Access of the request.
    output access_t      access_o         [PORTS],
    /// The walker takes the miss entry in this cycle.
    input  logic         walk_take_i      [PORTS],
    /// The port that the walker works for.
    input  logic [1:0]   walk_port_i,
    /// DONE performs.
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
    // From control and walker: control registers, invalidations and drops.
    /// Current PCID.
    input  pcid_t        pcid_i,
    /// Control register bits.
    input  protection_t  protection_i,
    /// Control is busy.
    input  logic         busy_i,
    /// The walker drops an address in this cycle.
    input  logic         drop_i,
    /// An invalidation begins in this cycle: all rights to fill are lost.
    input  logic         revoke_i,
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
    // To the monitor.
    /// Code of the look-up of this cycle.
    output logic [2:0]   mon_stlb_lookup_o,
    /// Its port.
    output logic [1:0]   mon_stlb_port_o,
    /// Fill, or an invalidation that removes something, one element a page size.
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

  // ---------------------------------------------------------------------------------------------
  // Look-up: of the entries that wait, the one of the lowest port
  // ---------------------------------------------------------------------------------------------

  logic         wants_stlb[PORTS];
  logic         stlb_take [PORTS];
  logic         lookup;
  logic [1:0]   lookup_port;
  page_number_t lookup_page;
  access_t      lookup_access;
  lookup_e      code;
  tlb_tag_t     tag;
  tlb_data_t    data;

  always_comb begin : choose_entry
    lookup = 1'b0;
    lookup_port = '0;
    lookup_page = '0;
    lookup_access = '0;
    stlb_take = '{default: 1'b0};
    if (!busy_i && !walk_done_i && !drop_i) begin
      for (int unsigned p = 0; p < PORTS; p++) begin
        if (wants_stlb[p] && !lookup) begin
          lookup = 1'b1;
          lookup_port = 2'(p);
          lookup_page = page_o[p];
          lookup_access = access_o[p];
          stlb_take[p] = 1'b1;
        end
      end
    end
  end

  assign mon_stlb_lookup_o = code;
  assign mon_stlb_port_o = lookup_port;

  logic walk_done[PORTS];
  logic walk_fills;

  always_comb begin : choose_fill
    walk_fills = 1'b0;
    if (walk_done_i && walk_end_i == WalkEndTranslated) begin
      for (int unsigned p = 0; p < PORTS; p++) walk_fills |= walk_done[p] && may_fill_o[p];
    end
  end

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
      .lookup_i     (lookup),
      .page_number_i(lookup_page),
      .access_i     (lookup_access),
      .pcid_i,
      .protection_i,
      .code_o       (code),
      .tag_o        (tag),
      .data_o       (data),
      .fill_i       (walk_fills),
      .fill_size_i  (walk_size_i),
      .fill_tag_i   (walk_tag_i),
      .fill_data_i  (walk_data_i),
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
  // Miss entries
  // ---------------------------------------------------------------------------------------------

  for (genvar p = 0; p < PORTS; p++) begin : gen_entry
    logic is_walking;
    assign is_walking = walk_port_i == 2'(p);
    assign walk_done[p] = walk_done_i && is_walking;

    miss_entry #(
        .STLB_HIT_CYCLES(STLB_HIT_CYCLES)
    ) u_miss_entry (
        .clk_i,
        .rst_ni,
        .lookup_i        (lookup_i[p]),
        .lookup_va_i     (lookup_va_i[p]),
        .lookup_request_i(lookup_request_i[p]),
        .busy_i,
        .drop_i,
        .revoke_i        (revoke_i || (drop_i && !is_walking)),
        .wants_stlb_o    (wants_stlb[p]),
        .stlb_take_i     (stlb_take[p]),
        .stlb_code_i     (code),
        .stlb_tag_i      (tag),
        .stlb_data_i     (data),
        .wants_walk_o    (wants_walk_o[p]),
        .from_cr3_o      (from_cr3_o[p]),
        .may_fill_o      (may_fill_o[p]),
        .walk_take_i     (walk_take_i[p]),
        .walk_done_i     (walk_done[p]),
        .walk_end_i,
        .walk_error_code_i,
        .walk_size_i,
        .walk_tag_i,
        .walk_data_i,
        .page_o          (page_o[p]),
        .access_o        (access_o[p]),
        .free_o          (free_o[p]),
        .respond_o       (respond_o[p]),
        .response_o      (response_o[p]),
        .translation_o   (translation_o[p]),
        .fault_va_o      (fault_va_o[p]),
        .fill_o          (fill_o[p]),
        .fill_size_o     (fill_size_o[p]),
        .fill_tag_o      (fill_tag_o[p]),
        .fill_data_o     (fill_data_o[p])
    );
  end

endmodule
