// The four paging-structure caches: which of them performs what, and which match counts.
//
// Contract: sections 4.2 (prefix), 8.2 (look-up), 8.5 (fill, drop), 9.3 (invalidation), 10
// (monitor).
// SDM: 4.10.3. Counterpart: in src/model the four caches are part of psc.rs.
//
// A cache with 0 ways does not exist: it never matches and takes no fill.

module psc_group
  import mmu_pkg::*;
#(
    /// Shapes of the caches: sets, ways and policy.
    parameter shapes_t CACHES = '0
) (
    /// Clock.
    input  logic        clk_i,
    /// Synchronous reset, active low.
    input  logic        rst_ni,
    // From the walker: what performs in this cycle.
    /// A look-up performs: the matching entry that counts is touched.
    input  logic        lookup_i,
    /// A drop performs.
    input  logic        drop_i,
    /// A fill performs in each cache of a level that was read.
    input  logic        fill_i,
    /// Levels that were read, one bit a cache.
    input  logic [3:0]  fill_levels_i,
    /// New data, one element a cache.
    input  psc_data_t   fill_data_i      [PscLevels],
    /// Bits 56:21 of the address.
    input  logic [35:0] prefix_i,
    // To the walker: what the look-up found.
    /// Level of the entry that counts, 2 to 5; 0 if none matches.
    output logic [2:0]  level_o,
    /// Its data.
    output psc_data_t   data_o,
    // From control.
    /// 32-bit paging: a PDE translates bits 31:22 of an address.
    input  logic        two_level_i,
    /// Addresses have 57 bits.
    input  logic        la57_i,
    /// Current PCID.
    input  pcid_t       pcid_i,
    /// An invalidation performs.
    input  logic        invalidate_i,
    /// It concerns all entries; else those of a PCID.
    input  logic        invalidate_all_i,
    /// PCID of an invalidation.
    input  pcid_t       invalidate_pcid_i,
    // To the monitor, one element a cache (see psc.sv).
    /// Fill, or an invalidation that removes something.
    output logic [1:0]  mon_op_o         [PscLevels],
    /// Set that is filled.
    output logic [5:0]  mon_set_o        [PscLevels],
    /// Way that is filled.
    output logic [5:0]  mon_way_o        [PscLevels],
    /// Ways, or entries, that lose what they held.
    output ways_t       mon_removed_o    [PscLevels],
    /// Tag of the new entry.
    output logic [63:0] mon_tag_o        [PscLevels],
    /// Data of the new entry.
    output logic [63:0] mon_data_o       [PscLevels],
    /// Tag that the filled entry held.
    output logic [63:0] mon_victim_tag_o [PscLevels],
    /// Data that the filled entry held.
    output logic [63:0] mon_victim_data_o[PscLevels]
);

  // ---------------------------------------------------------------------------------------------
  // The operation of this cycle. Its sources never meet: while control is busy the walker neither
  // starts nor ends a walk.
  // ---------------------------------------------------------------------------------------------

  psc_op_e  op;
  psc_tag_t tag;

  always_comb begin : choose_operation
    op  = PscNone;
    tag = '0;
    if (invalidate_i) begin
      op = invalidate_all_i ? PscInvalidateAll : PscInvalidatePcid;
      tag.pcid = invalidate_pcid_i;
    end else if (drop_i || fill_i || lookup_i) begin
      op = drop_i ? PscInvalidateTag : fill_i ? PscFill : PscLookup;
      tag = '{pcid: pcid_i, prefix: prefix_i};
      if (two_level_i) tag.prefix[0] = 1'b0;
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The caches
  // ---------------------------------------------------------------------------------------------

  logic      hit     [PscLevels];
  psc_data_t hit_data[PscLevels];
  logic      touch   [PscLevels];

  for (genvar c = 0; c < PscLevels; c++) begin : gen_cache
    if (CACHES[c].ways != '0) begin : gen_present
      psc_op_e cache_op;

      always_comb begin : choose_cache_operation
        cache_op = op;
        if (op == PscFill && !fill_levels_i[c]) cache_op = PscNone;
        // Levels that the mode does not have: all but PDEs in 32-bit paging, whatever LA57 is, and else
        // PML5Es without 57-bit addresses.
        if (op == PscLookup && (two_level_i ? c != 0 : c == PscLevels - 1 && !la57_i)) begin
          cache_op = PscNone;
        end
      end

      psc #(
          .SHAPE(CACHES[c]),
          .LEVEL(c)
      ) u_psc (
          .clk_i,
          .rst_ni,
          .two_level_i,
          .op_i             (cache_op),
          .tag_i            (tag),
          .data_i           (fill_data_i[c]),
          .touch_i          (touch[c]),
          .hit_o            (hit[c]),
          .data_o           (hit_data[c]),
          .mon_op_o         (mon_op_o[c]),
          .mon_set_o        (mon_set_o[c]),
          .mon_way_o        (mon_way_o[c]),
          .mon_removed_o    (mon_removed_o[c]),
          .mon_tag_o        (mon_tag_o[c]),
          .mon_data_o       (mon_data_o[c]),
          .mon_victim_tag_o (mon_victim_tag_o[c]),
          .mon_victim_data_o(mon_victim_data_o[c])
      );
    end else begin : gen_absent
      logic unused_operation;
      assign unused_operation = ^{op, tag, fill_levels_i[c], fill_data_i[c], la57_i, touch[c]};
      assign hit[c] = 1'b0;
      assign hit_data[c] = '0;
      assign mon_op_o[c] = ArrayNone;
      assign mon_set_o[c] = '0;
      assign mon_way_o[c] = '0;
      assign mon_removed_o[c] = '0;
      assign mon_tag_o[c] = '0;
      assign mon_data_o[c] = '0;
      assign mon_victim_tag_o[c] = '0;
      assign mon_victim_data_o[c] = '0;
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Of the caches with a match the lowest level counts, because it saves most of the walk
  // ---------------------------------------------------------------------------------------------

  always_comb begin : choose_match
    level_o = '0;
    data_o  = '0;
    touch   = '{default: 1'b0};
    if (lookup_i) begin
      for (int unsigned c = 0; c < PscLevels; c++) begin
        if (hit[c] && level_o == '0) begin
          level_o  = 3'(c + 2);
          data_o   = hit_data[c];
          touch[c] = 1'b1;
        end
      end
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && (lookup_i || drop_i || fill_i || invalidate_i)) begin
      one_operation_performs_in_the_caches_in_a_cycle :
      assert (32'(lookup_i) + 32'(drop_i) + 32'(fill_i) + 32'(invalidate_i) == 1)
      else begin
        $error("look-up %b, drop %b, fill %b, invalidation %b meet", lookup_i, drop_i, fill_i,
               invalidate_i);
      end
    end
  end
`endif

endmodule
