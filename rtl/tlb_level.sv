// One TLB level: its arrays, looked up at once.
//
// Contract: sections 2.1 (kept size), 6 and 7.2 (look-up and its codes 1 to 6), 7.5 (fill), 8.6 (probe).
// SDM: 4.6, 4.10.2, 4.10.2.3 (pieces of pages). Counterpart: in src/model the arrays and their look-up are
// part of tlb.rs.
//
// An array that holds no size does not exist: it never matches and takes no fill. With two channels two
// addresses are looked up at once, and that of channel 0 is the first to touch. In 32-bit paging pages
// of 4 MiB stand where those of 2 MiB do, and there are none of 1 GiB.

module tlb_level
  import mmu_pkg::*;
#(
    /// Shapes of the arrays.
    parameter shapes_t     ARRAYS    = '0,
    /// The machine keeps pieces of pages, and invalidates them by the page.
    parameter bit          FRACTURES = 1'b0,
    /// Look-ups in one cycle at most: 1 or 2.
    parameter int unsigned CHANNELS  = 1
) (
    /// Clock.
    input  logic         clk_i,
    /// Synchronous reset, active low.
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
    /// A fill performs, if the level keeps the page.
    input  fill_t        fill_i,
    /// The page, and the size in which it comes.
    input  tlb_tag_t     fill_tag_i,
    /// The level keeps it.
    output logic         fills_o,
    // From control and commit: the invalidation or drop of this cycle.
    /// What is invalidated, or initialised.
    input  invalidation_t invalidation_i,
    /// Page number of an invalidation by page.
    input  page_number_t invalidate_page_i,
    // To the inclusion.
    /// A fill takes a valid entry that is not in conflict with it,
    output logic         evicts_o,
    /// and this is its tag.
    output tlb_tag_t     evicted_o,
    // To the monitor, one element an array (see tlb.sv).
    /// Fill, or an invalidation that removes something.
    output logic [1:0]   mon_op_o         [LevelArrays],
    /// Set.
    output row_t         mon_set_o        [LevelArrays],
    /// Way that is filled.
    output logic [5:0]   mon_way_o        [LevelArrays],
    /// Ways that lose what they held.
    output ways_t        mon_removed_o    [LevelArrays],
    /// Tag of the new entry.
    output logic [63:0]  mon_tag_o        [LevelArrays],
    /// Data of the new entry.
    output logic [63:0]  mon_data_o       [LevelArrays],
    /// Tag that the filled way held.
    output logic [63:0]  mon_victim_tag_o [LevelArrays],
    /// Data that the filled way held.
    output logic [63:0]  mon_victim_data_o[LevelArrays]
);

  // ---------------------------------------------------------------------------------------------
  // What the level keeps of a page that fills it: the page, or the piece around the address
  // ---------------------------------------------------------------------------------------------

  localparam sizes_t [Kinds-1:0] HeldSizes = {held_sizes(ARRAYS, 1'b1), held_sizes(ARRAYS, 1'b0)};

  logic [1:0] kept;
  tlb_tag_t   kept_tag;
  tlb_data_t  kept_data;

  always_comb begin : find_kept_size
    kept = 2'(PageSizes);
    if (fill_i.performs) begin
      kept = kept_bit(HeldSizes[fill_i.is_write], size_bit(fill_tag_i.kept_size));
    end
  end

  assign fills_o = kept != 2'(PageSizes);

  always_comb begin : find_kept_entry
    kept_tag  = '0;
    kept_data = '0;
    if (fills_o) begin
      kept_tag = fill_tag_i;
      kept_tag.kept_size = bit_size(kept, two_level_i);
      kept_tag.page_number = page_of(fill_tag_i.page_number, kept_tag.kept_size);
      kept_data = fill_i.data;
      kept_data.frame |= frame_t'(kept_tag.page_number & bits_inside(fill_tag_i.kept_size));
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The operation of this cycle. Its sources never meet: control is busy while it invalidates, and
  // nothing is looked up in the cycle of a drop or of a fill of the same level.
  // ---------------------------------------------------------------------------------------------

  tlb_op_e     op   [CHANNELS];
  match_rule_t rule;
  sizes_t      sizes;
  logic [1:0]  kinds[CHANNELS];
  tlb_tag_t    tag  [CHANNELS];

  always_comb begin : choose_operation
    // The rule of a look-up: an entry that serves the address.
    rule = '{by_page: 1'b1, by_whole_page: 1'b0, any_pcid: 1'b0, globals: 1'b1, only_globals: 1'b0};
    sizes = '1;
    for (int unsigned c = 0; c < CHANNELS; c++) begin
      op[c]  = TlbNone;
      tag[c] = '0;
      kinds[c] = '1;
      if (lookup_i[c]) begin
        op[c] = TlbLookup;
        kinds[c] = access_i[c].kind == KindWrite ? 2'b10 : 2'b01;
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
      sizes = invalidation_i.sizes;
      tag[0].pcid = invalidation_i.pcid;
      tag[0].page_number = invalidate_page_i;
    end else if (fills_o) begin
      // Two entries conflict if one address could match both.
      op[0] = TlbFill;
      rule.any_pcid = kept_tag.global_page;
      sizes = sizes_t'(1) << kept;
      kinds[0] = fill_i.is_write ? 2'b10 : 2'b01;
      tag[0] = kept_tag;
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The arrays
  // ---------------------------------------------------------------------------------------------

  logic      hit      [LevelArrays][CHANNELS];
  tlb_tag_t  hit_tag  [LevelArrays][CHANNELS];
  tlb_data_t hit_data [LevelArrays][CHANNELS];
  logic      touch    [LevelArrays][CHANNELS];
  logic      evicts   [LevelArrays];

  for (genvar n = 0; n < LevelArrays; n++) begin : gen_array
    if (ARRAYS[n].sizes != '0) begin : gen_present
      tlb #(
          .ARRAYS   (ARRAYS),
          .ARRAY    (n),
          .FRACTURES(FRACTURES),
          .CHANNELS (CHANNELS)
      ) u_tlb (
          .clk_i,
          .rst_ni,
          .two_level_i,
          .op_i             (op),
          .rule_i           (rule),
          .sizes_i          (sizes),
          .kinds_i          (kinds),
          .tag_i            (tag),
          .row_i            (invalidation_i.row),
          .data_i           (kept_data),
          .touch_i          (touch[n]),
          .hit_o            (hit[n]),
          .tag_o            (hit_tag[n]),
          .data_o           (hit_data[n]),
          .evicts_o         (evicts[n]),
          .mon_op_o         (mon_op_o[n]),
          .mon_set_o        (mon_set_o[n]),
          .mon_way_o        (mon_way_o[n]),
          .mon_removed_o    (mon_removed_o[n]),
          .mon_tag_o        (mon_tag_o[n]),
          .mon_data_o       (mon_data_o[n]),
          .mon_victim_tag_o (mon_victim_tag_o[n]),
          .mon_victim_data_o(mon_victim_data_o[n])
      );
    end else begin : gen_absent
      logic unused_operation;
      assign unused_operation =
          ^{op[CHANNELS-1], rule, sizes, kinds[CHANNELS-1], tag[CHANNELS-1], kept_data,
            invalidation_i.row, touch[n][0], two_level_i};
      for (genvar c = 0; c < CHANNELS; c++) begin : gen_no_match
        assign hit[n][c] = 1'b0;
        assign hit_tag[n][c] = '0;
        assign hit_data[n][c] = '0;
      end
      assign evicts[n] = 1'b0;
      assign mon_op_o[n] = ArrayNone;
      assign mon_set_o[n] = '0;
      assign mon_way_o[n] = '0;
      assign mon_removed_o[n] = '0;
      assign mon_tag_o[n] = '0;
      assign mon_data_o[n] = '0;
      assign mon_victim_tag_o[n] = '0;
      assign mon_victim_data_o[n] = '0;
    end
  end

  always_comb begin : find_evicted
    evicts_o = 1'b0;
    evicted_o = '0;
    if (fills_o) begin
      for (int unsigned n = 0; n < LevelArrays; n++) begin
        if (evicts[n]) begin
          evicts_o = 1'b1;
          evicted_o = tlb_tag_t'(mon_victim_tag_o[n][$bits(tlb_tag_t)-1:0]);
        end
      end
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The outcome: of the arrays with a match that of the smallest kept size counts
  // ---------------------------------------------------------------------------------------------

  always_comb begin : find_outcome
    logic [1:0] array;
    logic       denied;
    logic       unused_by_key;
    for (int unsigned c = 0; c < CHANNELS; c++) begin
      for (int unsigned n = 0; n < LevelArrays; n++) touch[n][c] = 1'b0;
      array = '0;
      denied = 1'b0;
      unused_by_key = 1'b0;
      code_o[c] = LookupNone;
      tag_o[c] = '0;
      data_o[c] = '0;
      if (op[c] == TlbLookup) begin
        code_o[c] = LookupMiss;
        for (int unsigned s = PageSizes; s > 0; s--) begin
          for (int unsigned n = 0; n < LevelArrays; n++) begin
            // An array of one size has no other matches.
            if (ARRAYS[n].sizes[s-1] && hit[n][c] && (ARRAYS[n].sizes == sizes_t'(1) << (s - 1) ||
                size_bit(hit_tag[n][c].kept_size) == 2'(s - 1))) begin
              array = 2'(n);
              code_o[c] = lookup_e'(s);
              tag_o[c]  = hit_tag[n][c];
              data_o[c] = hit_data[n][c];
            end
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
    if (rst_ni && (invalidation_i.performs || invalidation_i.initialise || fills_o)) begin
      one_operation_performs_in_a_level_in_a_cycle :
      assert (32'(invalidation_i.performs) + 32'(invalidation_i.initialise) +
              32'(fills_o) == 1 && !lookup_i[0] && !lookup_i[CHANNELS-1])
      else begin
        $error("look-up %b, fill %b, invalidation %b, initialisation %b meet",
               lookup_i[0] || lookup_i[CHANNELS-1], fills_o, invalidation_i.performs,
               invalidation_i.initialise);
      end
    end
  end
`endif

endmodule
