// One TLB level: an array for each page size that the level holds, looked up at once.
//
// Contract: sections 6 and 7.2 (look-up and its codes 1 to 6), 7.5 (fill), 8.6 (probe). SDM: 4.6, 4.10.2.
// Counterpart: in src/model the three arrays and their look-up are part of tlb.rs.
//
// An array with 0 ways does not exist: it never matches and takes no fill. With two channels two
// addresses are looked up at once, and that of channel 0 is the first to touch. In 32-bit paging the
// array of 2 MiB pages is that of 4 MiB pages, and that of 1 GiB pages is empty.

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
    parameter int unsigned WAYS_1G = 4,
    /// Look-ups in one cycle at most: 1 or 2.
    parameter int unsigned CHANNELS = 1
) (
    /// Clock.
    input  logic         clk_i,
    /// Synchronous reset, active low: only arms the assertions.
    input  logic         rst_ni,
    // From the owner of the level: the look-ups of this cycle.
    /// A look-up performs.
    input  logic         lookup_i     [CHANNELS],
    /// Page number of the address.
    input  page_number_t page_number_i[CHANNELS],
    /// Access that is looked up.
    input  access_t      access_i     [CHANNELS],
    /// Look-ups are probes: a match is a hit, whatever its rights, and touches nothing.
    input  logic         probe_i,
    /// 32-bit paging.
    input  logic         two_level_i,
    /// Current PCID.
    input  pcid_t        pcid_i,
    /// Control register bits.
    input  protection_t  protection_i,
    // To the owner: what the look-up found.
    /// Code of the look-up, 0 if none performs.
    output lookup_e      code_o       [CHANNELS],
    /// Tag of the matching entry, else 0.
    output tlb_tag_t     tag_o        [CHANNELS],
    /// Data of the matching entry, else 0.
    output tlb_data_t    data_o       [CHANNELS],
    // From the commit: the fill of this cycle.
    /// A fill performs in the array of the page size, if the level has one.
    input  fill_t        fill_i,
    /// Tag of the new entry.
    input  tlb_tag_t     fill_tag_i,
    // From control and commit: the invalidation or drop of this cycle.
    /// What is invalidated, or initialised.
    input  invalidation_t invalidation_i,
    /// Page number of an invalidation by page.
    input  page_number_t invalidate_page_i,
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

  tlb_op_e     op [CHANNELS];
  match_rule_t rule;
  tlb_tag_t    tag[CHANNELS];

  always_comb begin : choose_operation
    // The rule of a look-up: an entry that serves the address.
    rule = '{by_page: 1'b1, any_pcid: 1'b0, globals: 1'b1};
    for (int unsigned c = 0; c < CHANNELS; c++) begin
      op[c]  = TlbNone;
      tag[c] = '0;
      if (lookup_i[c]) begin
        op[c] = TlbLookup;
        tag[c].pcid = pcid_i;
        tag[c].page_number = page_number_i[c];
      end
    end
    if (invalidation_i.initialise) begin
      op[0] = TlbInitialise;
      rule.by_page = 1'b0;
    end else if (invalidation_i.performs) begin
      op[0] = TlbInvalidate;
      rule = invalidation_i.rule;
      tag[0].pcid = invalidation_i.pcid;
      tag[0].page_number = invalidate_page_i;
    end else if (fill_i.performs) begin
      // Two entries conflict if one address could match both.
      op[0] = TlbFill;
      rule.any_pcid = fill_tag_i.global_page;
      tag[0] = fill_tag_i;
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The arrays
  // ---------------------------------------------------------------------------------------------

  logic      hit     [PageSizes][CHANNELS];
  tlb_tag_t  hit_tag [PageSizes][CHANNELS];
  tlb_data_t hit_data[PageSizes][CHANNELS];
  logic      touch   [PageSizes][CHANNELS];

  for (genvar s = 0; s < PageSizes; s++) begin : gen_array
    if (Ways[s] > 0) begin : gen_present
      tlb_op_e array_op[CHANNELS];

      always_comb begin : choose_array_operation
        array_op = op;
        if (op[0] == TlbFill && array_of(fill_i.page_size) != 2'(s)) array_op[0] = TlbNone;
      end

      tlb #(
          .SETS     (Sets[s]),
          .WAYS     (Ways[s]),
          .PAGE_SIZE(s),
          .CHANNELS (CHANNELS)
      ) u_tlb (
          .clk_i,
          .rst_ni,
          .two_level_i,
          .op_i             (array_op),
          .rule_i           (rule),
          .tag_i            (tag),
          .row_i            (invalidation_i.row),
          .data_i           (fill_i.data),
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
          ^{op[CHANNELS-1], rule, tag[CHANNELS-1], fill_i, invalidation_i.row, touch[s][0],
            two_level_i};
      assign hit[s] = '{default: 1'b0};
      assign hit_tag[s] = '{default: '0};
      assign hit_data[s] = '{default: '0};
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
    logic [1:0] array;
    logic       denied;
    logic       unused_by_key;
    touch = '{default: '{default: 1'b0}};
    for (int unsigned c = 0; c < CHANNELS; c++) begin
      array = '0;
      denied = 1'b0;
      unused_by_key = 1'b0;
      code_o[c] = LookupNone;
      tag_o[c] = '0;
      data_o[c] = '0;
      if (op[c] == TlbLookup) begin
        code_o[c] = LookupMiss;
        for (int unsigned s = PageSizes; s > 0; s--) begin
          if (hit[s-1][c]) begin
            array = 2'(s - 1);
            code_o[c] = lookup_e'(s);
            tag_o[c]  = hit_tag[s-1][c];
            data_o[c] = hit_data[s-1][c];
          end
        end
        if (code_o[c] != LookupMiss && !probe_i) begin
          {denied, unused_by_key} = judge(access_i[c], protection_i, data_o[c].rights,
                                          data_o[c].key);
          if (denied) code_o[c] = LookupDenied;
          else if (access_i[c].kind == KindWrite && !data_o[c].dirty) code_o[c] = LookupDirtyClear;
          else touch[array][c] = 1'b1;
        end
      end
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && (invalidation_i.performs || invalidation_i.initialise || fill_i.performs)) begin
      one_operation_performs_in_a_level_in_a_cycle :
      assert (32'(invalidation_i.performs) + 32'(invalidation_i.initialise) +
              32'(fill_i.performs) == 1 && !lookup_i[0] && !lookup_i[CHANNELS-1])
      else begin
        $error("look-up %b, fill %b, invalidation %b, initialisation %b meet",
               lookup_i[0] || lookup_i[CHANNELS-1], fill_i.performs, invalidation_i.performs,
               invalidation_i.initialise);
      end
    end
  end
`endif

endmodule
