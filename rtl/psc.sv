// One paging-structure cache: entries of one level.
//
// Contract: sections 4.2, 4.4 (entries, matching), 8.2 (look-up), 8.5 (fill, drop), 9.3
// (invalidation), 10 (monitor). SDM: 4.10.3. Counterpart: src/model/psc.rs.
//
// As in tlb.sv at most one operation performs in a cycle, and the matching is evaluated only then. It is
// in the row of the address, but that an invalidation is in all rows at once. Valid bits and
// replacement have a reset; tags and data have none.

module psc
  import mmu_pkg::*;
#(
    /// Sets, ways and policy.
    parameter shape_t      SHAPE = '0,
    /// Number of the cache: 0 = PDE, 1 = PDPTE, 2 = PML4E, 3 = PML5E.
    parameter int unsigned LEVEL = 0
) (
    /// Clock.
    input  logic        clk_i,
    /// Synchronous reset, active low.
    input  logic        rst_ni,
    // From control.
    /// 32-bit paging: a PDE translates bits 31:22 of an address.
    input  logic        two_level_i,
    // From the walker: what performs in this cycle.
    /// Operation.
    input  psc_op_e     op_i,
    /// Prefix, as far as the level has it, and PCID.
    input  psc_tag_t    tag_i,
    /// Data of the new entry of a fill.
    input  psc_data_t   data_i,
    /// The entry that a look-up found is touched.
    input  logic        touch_i,
    // To the walker: what a look-up found.
    /// An entry matches.
    output logic        hit_o,
    /// Data of the matching entry, else 0.
    output psc_data_t   data_o,
    // To the monitor: what performs in this cycle.
    /// Fill, or an invalidation that removes something.
    output logic [1:0]  mon_op_o,
    /// Set that is filled.
    output logic [5:0]  mon_set_o,
    /// Way that is filled.
    output logic [5:0]  mon_way_o,
    /// Of a fill: ways of the set that lose what they held. Else: entries, bit set * ways + way.
    output ways_t       mon_removed_o,
    /// Tag of the new entry.
    output logic [63:0] mon_tag_o,
    /// Data of the new entry.
    output logic [63:0] mon_data_o,
    /// Tag that the filled entry held.
    output logic [63:0] mon_victim_tag_o,
    /// Data that the filled entry held.
    output logic [63:0] mon_victim_data_o
);

  localparam int unsigned Sets = 32'(SHAPE.sets);
  localparam int unsigned Ways = 32'(SHAPE.ways);
  localparam int unsigned RowWidth = Sets > 1 ? $clog2(Sets) : 1;
  localparam int unsigned WayWidth = Ways > 1 ? $clog2(Ways) : 1;
  /// Low bits of a prefix that this level does not translate, and that are not kept.
  localparam int unsigned Shift = IndexBits * LEVEL;
  localparam int unsigned PrefixWidth = 36 - Shift;

  typedef logic [Ways-1:0] mask_t;
  typedef logic [WayWidth-1:0] way_t;
  typedef logic [RowWidth-1:0] array_row_t;

  /// What is kept of a tag.
  typedef struct packed {
    pcid_t                  pcid;
    logic [PrefixWidth-1:0] prefix;
  } kept_tag_t;

  mask_t     valid_q[Sets];
  kept_tag_t tag_q  [Sets] [Ways];
  psc_data_t data_q [Sets] [Ways];

  function automatic psc_tag_t whole_tag(kept_tag_t tag);
    return '{pcid: tag.pcid, prefix: 36'(tag.prefix) << Shift};
  endfunction

  // What there is of a shape beside sets and ways is not this block's.
  logic unused_shape;
  assign unused_shape = ^{SHAPE.sizes, SHAPE.serves, two_level_i};

  // ---------------------------------------------------------------------------------------------
  // Look-up, fill and drop: the row of the address, and the ways that match in it
  // ---------------------------------------------------------------------------------------------

  kept_tag_t  wanted;
  logic       by_tag;
  array_row_t row;
  mask_t      valid;
  mask_t      matching;
  /// The matching way of the lowest number.
  way_t       first_matching;

  assign by_tag = op_i == PscLookup || op_i == PscFill || op_i == PscInvalidateTag;

  always_comb begin : match_ways
    logic [PrefixWidth-1:0] count;
    wanted = '0;
    count = '0;
    row = '0;
    valid = '0;
    matching = '0;
    first_matching = '0;
    if (op_i != PscNone) wanted = '{pcid: tag_i.pcid, prefix: tag_i.prefix[35:Shift]};
    if (by_tag) begin
      count = wanted.prefix;
      if (LEVEL == 0 && two_level_i) count = count >> 1;
      if ((Sets & (Sets - 1)) == 0) row = array_row_t'(count) & array_row_t'(Sets - 1);
      else row = array_row_t'(count % PrefixWidth'(Sets));
      valid = valid_q[row];
      for (int unsigned w = 0; w < Ways; w++) begin
        if (valid[w] && tag_q[row][w] == wanted) begin
          if (matching == '0) first_matching = way_t'(w);
          matching[w] = 1'b1;
        end
      end
    end
  end

  always_comb begin : look_up
    hit_o  = 1'b0;
    data_o = '0;
    if (op_i == PscLookup && matching != '0) begin
      hit_o  = 1'b1;
      data_o = data_q[row][first_matching];
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Invalidation: all rows at once
  // ---------------------------------------------------------------------------------------------

  logic  invalidates;
  mask_t gone[Sets];

  assign invalidates = op_i == PscInvalidatePcid || op_i == PscInvalidateAll;

  always_comb begin : find_gone
    gone = '{default: '0};
    if (invalidates) begin
      for (int unsigned s = 0; s < Sets; s++) begin
        for (int unsigned w = 0; w < Ways; w++) begin
          gone[s][w] = valid_q[s][w] &&
              (op_i == PscInvalidateAll || tag_q[s][w].pcid == wanted.pcid);
        end
      end
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Fill: the way of an equal tag, else the lowest that is free, else the victim
  // ---------------------------------------------------------------------------------------------

  logic  fills;
  logic  evicts;
  way_t  victim;
  way_t  target;
  mask_t target_mask;
  /// What the target held is lost.
  mask_t replaced;

  assign fills = op_i == PscFill;

  always_comb begin : choose_target
    target = '0;
    target_mask = '0;
    replaced = '0;
    evicts = 1'b0;
    if (fills) begin
      if (matching != '0) begin
        target = first_matching;
      end else if (&valid) begin
        target = victim;
        evicts = 1'b1;
      end else begin
        for (int unsigned w = Ways; w > 0; w--) if (!valid[w-1]) target = way_t'(w - 1);
      end
      target_mask = mask_t'(1) << target;
      replaced = valid & target_mask;
    end
  end

  array_row_t order_row  [1];
  logic       touches    [1];
  way_t       touched_way[1];
  assign order_row[0] = row;
  assign touches[0] = touch_i || fills;
  assign touched_way[0] = fills ? target : first_matching;

  replacement #(
      .POLICY(32'(SHAPE.policy)),
      .SETS  (Sets),
      .WAYS  (Ways),
      .RESETS(1'b1)
  ) u_replacement (
      .clk_i,
      .rst_ni,
      .row_i       (order_row),
      .initialise_i(1'b0),
      .touch_i     (touches),
      .way_i       (touched_way),
      .fill_i      (fills),
      .evict_i     (evicts),
      .victim_o    (victim)
  );

  // ---------------------------------------------------------------------------------------------
  // Storage
  // ---------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin : valid_bits
    if (!rst_ni) begin
      valid_q <= '{default: '0};
    end else if (invalidates) begin
      for (int unsigned s = 0; s < Sets; s++) valid_q[s] <= valid_q[s] & ~gone[s];
    end else if (fills || op_i == PscInvalidateTag) begin
      valid_q[row] <= (valid & ~matching) | target_mask;
    end
  end

  always_ff @(posedge clk_i) begin : entries
    if (fills) begin
      tag_q[row][target]  <= wanted;
      data_q[row][target] <= data_i;
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Monitor: what an invalidation or a drop removes is one mask over all rows
  // ---------------------------------------------------------------------------------------------

  always_comb begin : monitor
    mon_op_o = ArrayNone;
    mon_set_o = '0;
    mon_way_o = '0;
    mon_removed_o = '0;
    mon_tag_o = '0;
    mon_data_o = '0;
    mon_victim_tag_o = '0;
    mon_victim_data_o = '0;
    if (fills) begin
      mon_op_o = ArrayFill;
      mon_set_o = 6'(row);
      mon_way_o = 6'(target);
      mon_removed_o = ways_t'(replaced);
      mon_tag_o = 64'(whole_tag(wanted));
      mon_data_o = 64'(data_i);
      if (valid[target]) begin
        mon_victim_tag_o  = 64'(whole_tag(tag_q[row][target]));
        mon_victim_data_o = 64'(data_q[row][target]);
      end
    end else if (op_i == PscInvalidateTag && matching != '0) begin
      mon_op_o = ArrayInvalidate;
      mon_removed_o = ways_t'(matching) << (Ways * 32'(row));
    end else if (invalidates) begin
      for (int unsigned s = 0; s < Sets; s++) begin
        if (gone[s] != '0) begin
          mon_op_o = ArrayInvalidate;
          mon_removed_o |= ways_t'(gone[s]) << (Ways * s);
        end
      end
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && (op_i != PscNone || touch_i)) begin
      if (touch_i) begin
        only_an_entry_that_matched_a_look_up_is_touched :
        assert (op_i == PscLookup && hit_o)
        else $error("an entry is touched without a look-up that matched");
      end
      if (by_tag) begin
        at_most_one_entry_has_a_tag :
        assert ((matching & (matching - mask_t'(1))) == '0)
        else $error("entries %h have the tag %h at once", matching, tag_i);
      end
    end
  end
`endif

endmodule
