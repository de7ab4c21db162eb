// One paging-structure cache: entries of one level, fully associative.
//
// Contract: sections 4.2, 4.4 (entries, matching), 8.2 (look-up), 8.5 (fill, drop), 9.3
// (invalidation), 10 (monitor). SDM: 4.10.3. Counterpart: src/model/psc.rs.
//
// As in tlb.sv at most one operation performs in a cycle, and the matching is evaluated only then.
// Valid bits and order have a reset; tags and data have none.

module psc
  import mmu_pkg::*;
#(
    /// Entries, 1 to 64.
    parameter int unsigned ENTRIES = 4,
    /// Number of the cache: 0 = PDE, 1 = PDPTE, 2 = PML4E, 3 = PML5E.
    parameter int unsigned LEVEL   = 0
) (
    /// Clock.
    input  logic        clk_i,
    /// Synchronous reset, active low.
    input  logic        rst_ni,
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
    /// Entry that is filled.
    output logic [5:0]  mon_way_o,
    /// Entries that lose what they held.
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

  localparam int unsigned WayWidth = ENTRIES > 1 ? $clog2(ENTRIES) : 1;
  /// Low bits of a prefix that this level does not translate, and that are not kept.
  localparam int unsigned Shift = IndexBits * LEVEL;
  localparam int unsigned PrefixWidth = 36 - Shift;

  typedef logic [ENTRIES-1:0] mask_t;
  typedef logic [WayWidth-1:0] way_t;

  /// What is kept of a tag.
  typedef struct packed {
    pcid_t                  pcid;
    logic [PrefixWidth-1:0] prefix;
  } kept_tag_t;

  mask_t     valid_q;
  kept_tag_t tag_q [ENTRIES];
  psc_data_t data_q[ENTRIES];

  function automatic psc_tag_t whole_tag(kept_tag_t tag);
    return '{pcid: tag.pcid, prefix: 36'(tag.prefix) << Shift};
  endfunction

  function automatic logic is_concerned(kept_tag_t held, kept_tag_t wanted, psc_op_e op);
    case (op)
      PscInvalidateAll:  return 1'b1;
      PscInvalidatePcid: return held.pcid == wanted.pcid;
      default:           return held == wanted;
    endcase
  endfunction

  // ---------------------------------------------------------------------------------------------
  // Entries that the operation concerns
  // ---------------------------------------------------------------------------------------------

  kept_tag_t wanted;
  mask_t     concerned;
  /// The concerned entry of the lowest number.
  way_t      first_concerned;

  always_comb begin : match_entries
    wanted = '0;
    concerned = '0;
    first_concerned = '0;
    if (op_i != PscNone) begin
      wanted = '{pcid: tag_i.pcid, prefix: tag_i.prefix[35:Shift]};
      for (int unsigned e = 0; e < ENTRIES; e++) begin
        if (valid_q[e] && is_concerned(tag_q[e], wanted, op_i)) begin
          if (concerned == '0) first_concerned = way_t'(e);
          concerned[e] = 1'b1;
        end
      end
    end
  end

  always_comb begin : look_up
    hit_o  = 1'b0;
    data_o = '0;
    if (op_i == PscLookup && concerned != '0) begin
      hit_o  = 1'b1;
      data_o = data_q[first_concerned];
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Fill: the entry of an equal tag, else the lowest that is free, else the least recently used
  // ---------------------------------------------------------------------------------------------

  way_t  oldest;
  way_t  target;
  mask_t target_mask;
  /// What the target held is lost.
  mask_t replaced;

  always_comb begin : choose_target
    target = '0;
    target_mask = '0;
    replaced = '0;
    if (op_i == PscFill) begin
      if (concerned != '0) target = first_concerned;
      else if (&valid_q) target = oldest;
      else begin
        for (int unsigned e = ENTRIES; e > 0; e--) if (!valid_q[e-1]) target = way_t'(e - 1);
      end
      target_mask = mask_t'(1) << target;
      replaced = valid_q & target_mask;
    end
  end

  logic touches[1];
  way_t touched_entry[1];
  assign touches[0] = touch_i || op_i == PscFill;
  assign touched_entry[0] = op_i == PscFill ? target : first_concerned;

  lru #(
      .SETS(1),
      .WAYS(ENTRIES)
  ) u_lru (
      .clk_i,
      .rst_ni,
      .row_i       ('{1'b0}),
      .initialise_i(!rst_ni),
      .pick_i      (op_i == PscFill),
      .touch_i     (touches),
      .way_i       (touched_entry),
      .oldest_o    (oldest)
  );

  // ---------------------------------------------------------------------------------------------
  // Storage
  // ---------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin : valid_bits
    if (!rst_ni) begin
      valid_q <= '0;
    end else begin
      case (op_i)
        PscFill:                                                valid_q <= valid_q | target_mask;
        PscInvalidateTag, PscInvalidatePcid, PscInvalidateAll:  valid_q <= valid_q & ~concerned;
        default: ;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin : entries
    if (op_i == PscFill) begin
      tag_q[target]  <= wanted;
      data_q[target] <= data_i;
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Monitor
  // ---------------------------------------------------------------------------------------------

  always_comb begin : monitor
    mon_op_o = ArrayNone;
    mon_way_o = '0;
    mon_removed_o = '0;
    mon_tag_o = '0;
    mon_data_o = '0;
    mon_victim_tag_o = '0;
    mon_victim_data_o = '0;
    if (op_i == PscFill) begin
      mon_op_o = ArrayFill;
      mon_way_o = 6'(target);
      mon_removed_o = ways_t'(replaced);
      mon_tag_o = 64'(whole_tag(wanted));
      mon_data_o = 64'(data_i);
      if (valid_q[target]) begin
        mon_victim_tag_o  = 64'(whole_tag(tag_q[target]));
        mon_victim_data_o = 64'(data_q[target]);
      end
    end else if (op_i != PscNone && op_i != PscLookup && concerned != '0) begin
      mon_op_o = ArrayInvalidate;
      mon_removed_o = ways_t'(concerned);
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
      if (op_i == PscLookup || op_i == PscFill) begin
        at_most_one_entry_has_a_tag :
        assert ((concerned & (concerned - mask_t'(1))) == '0)
        else $error("entries %h have the tag %h at once", concerned, tag_i);
      end
    end
  end
`endif

endmodule
