// One TLB level: an array for each page size that the level holds, looked up at once.
//
// Contract: sections 6 and 7.1 (look-up and its codes 1 to 6), 7.3 (fill). SDM: 4.6, 4.10.2.
// Counterpart: in src/model the three arrays and their look-up are part of tlb.rs.
//
// An array with 0 ways does not exist: it never matches and takes no fill.

module tlb_level
  import mmu_pkg::*;
#(
    /// Sets of the array of 4 KiB pages.
    parameter int unsigned SETS_4K = 16,
    /// Ways of the array of 4 KiB pages.
    parameter int unsigned WAYS_4K = 4,
    /// Sets of the array of 2 MiB pages.
    parameter int unsigned SETS_2M = 8,
    /// Ways of the array of 2 MiB pages.
    parameter int unsigned WAYS_2M = 4,
    /// Sets of the array of 1 GiB pages.
    parameter int unsigned SETS_1G = 1,
    /// Ways of the array of 1 GiB pages.
    parameter int unsigned WAYS_1G = 4
) (
    /// Clock.
    input  logic         clk_i,
    /// Synchronous reset, active low: only arms the assertions.
    input  logic         rst_ni,
    // From the owner of the level: the look-up of this cycle.
    /// A look-up performs.
    input  logic         lookup_i,
    /// Page number of the address.
    input  page_number_t page_number_i,
    /// Access that is looked up.
    input  access_t      access_i,
    /// Current PCID.
    input  pcid_t        pcid_i,
    /// Control register bits.
    input  protection_t  protection_i,
    // To the owner: what the look-up found.
    /// Code of the look-up, 0 if none performs.
    output lookup_e      code_o,
    /// Tag of the matching entry, else 0.
    output tlb_tag_t     tag_o,
    /// Data of the matching entry, else 0.
    output tlb_data_t    data_o,
    // From miss entries: the fill of this cycle.
    /// A fill performs in the array of the page size, if the level has one.
    input  logic         fill_i,
    /// Page size.
    input  page_size_e   fill_size_i,
    /// Tag of the new entry.
    input  tlb_tag_t     fill_tag_i,
    /// Data of the new entry.
    input  tlb_data_t    fill_data_i,
    // From control and walker: the invalidation or drop of this cycle.
    /// An invalidation performs.
    input  logic         invalidate_i,
    /// The rows become empty and get their first ranks: a step of the reset sweep.
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

  localparam int unsigned Sets[PageSizes] = '{SETS_4K, SETS_2M, SETS_1G};
  localparam int unsigned Ways[PageSizes] = '{WAYS_4K, WAYS_2M, WAYS_1G};

  // ---------------------------------------------------------------------------------------------
  // The operation of this cycle. Its sources never meet: control is busy while it invalidates, and
  // nothing is looked up in the cycle of a drop or of a fill of the same level.
  // ---------------------------------------------------------------------------------------------

  tlb_op_e     op;
  match_rule_t rule;
  tlb_tag_t    tag;

  always_comb begin : choose_operation
    op   = TlbNone;
    rule = '0;
    tag  = '0;
    if (initialise_i) begin
      op = TlbInitialise;
    end else if (invalidate_i) begin
      op = TlbInvalidate;
      rule = invalidate_rule_i;
      tag.pcid = invalidate_pcid_i;
      tag.page_number = invalidate_page_i;
    end else if (fill_i) begin
      // Two entries conflict if one address could match both.
      op   = TlbFill;
      rule = '{by_page: 1'b1, any_pcid: fill_tag_i.global_page, globals: 1'b1};
      tag  = fill_tag_i;
    end else if (lookup_i) begin
      op = TlbLookup;
      rule = '{by_page: 1'b1, any_pcid: 1'b0, globals: 1'b1};
      tag.pcid = pcid_i;
      tag.page_number = page_number_i;
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The arrays
  // ---------------------------------------------------------------------------------------------

  logic      hit     [PageSizes];
  tlb_tag_t  hit_tag [PageSizes];
  tlb_data_t hit_data[PageSizes];
  logic      touch   [PageSizes];

  for (genvar s = 0; s < PageSizes; s++) begin : gen_array
    if (Ways[s] > 0) begin : gen_present
      tlb_op_e array_op;
      assign array_op = op == TlbFill && fill_size_i != page_size_e'(s) ? TlbNone : op;

      tlb #(
          .SETS     (Sets[s]),
          .WAYS     (Ways[s]),
          .PAGE_SIZE(s)
      ) u_tlb (
          .clk_i,
          .rst_ni,
          .op_i             (array_op),
          .rule_i           (rule),
          .tag_i            (tag),
          .row_i            (invalidate_row_i),
          .data_i           (fill_data_i),
          .touch_i          (touch[s]),
          .hit_o            (hit[s]),
          .tag_o            (hit_tag[s]),
          .data_o           (hit_data[s]),
          .mon_op_o         (mon_op_o[s]),
          .mon_set_o        (mon_set_o[s]),
          .mon_way_o        (mon_way_o[s]),
          .mon_removed_o    (mon_removed_o[s]),
          .mon_tag_o        (mon_tag_o[s]),
          .mon_data_o       (mon_data_o[s]),
          .mon_victim_tag_o (mon_victim_tag_o[s]),
          .mon_victim_data_o(mon_victim_data_o[s])
      );
    end else begin : gen_absent
      logic unused_operation;
      assign unused_operation =
          ^{op, rule, tag, fill_size_i, fill_data_i, invalidate_row_i, touch[s]};
      assign hit[s] = 1'b0;
      assign hit_tag[s] = '0;
      assign hit_data[s] = '0;
      assign mon_op_o[s] = ArrayNone;
      assign mon_set_o[s] = '0;
      assign mon_way_o[s] = '0;
      assign mon_removed_o[s] = '0;
      assign mon_tag_o[s] = '0;
      assign mon_data_o[s] = '0;
      assign mon_victim_tag_o[s] = '0;
      assign mon_victim_data_o[s] = '0;
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The outcome: of the arrays with a match the smallest page size counts
  // ---------------------------------------------------------------------------------------------

  always_comb begin : find_outcome
    lookup_e hit_code;
    logic    denied;
    logic    unused_by_key;
    denied = 1'b0;
    unused_by_key = 1'b0;
    hit_code = LookupNone;
    code_o = LookupNone;
    tag_o = '0;
    data_o = '0;
    touch = '{default: 1'b0};
    if (op == TlbLookup) begin
      if (hit[Size4K]) begin
        hit_code = LookupHit4K;
        tag_o = hit_tag[Size4K];
        data_o = hit_data[Size4K];
      end else if (hit[Size2M]) begin
        hit_code = LookupHit2M;
        tag_o = hit_tag[Size2M];
        data_o = hit_data[Size2M];
      end else if (hit[Size1G]) begin
        hit_code = LookupHit1G;
        tag_o = hit_tag[Size1G];
        data_o = hit_data[Size1G];
      end

      {denied, unused_by_key} = judge(access_i, protection_i, data_o.rights, data_o.key);
      if (hit_code == LookupNone) begin
        code_o = LookupMiss;
      end else if (denied) begin
        code_o = LookupDenied;
      end else if (access_i.kind == KindWrite && !data_o.dirty) begin
        code_o = LookupDirtyClear;
      end else begin
        code_o = hit_code;
        touch[size_of(hit_code)] = 1'b1;
      end
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && op != TlbNone) begin
      one_operation_performs_in_a_level_in_a_cycle :
      assert (32'(lookup_i) + 32'(fill_i) + 32'(invalidate_i) + 32'(initialise_i) == 1)
      else begin
        $error("look-up %b, fill %b, invalidation %b, initialisation %b meet", lookup_i, fill_i,
               invalidate_i, initialise_i);
      end
    end
  end
`endif

endmodule
