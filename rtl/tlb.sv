// One TLB array: the entries of one page size of one level.
//
// Contract: sections 4.1, 4.4 (entries, matching), 7.3 (fill), 8.5 (drop), 9 (invalidation), 10
// (monitor). SDM: 4.10.2 (what an entry holds, global pages). Counterpart: src/model/tlb.rs.
//
// At most one operation performs in a cycle, on one row, but that with two channels two look-ups may
// perform at once: the second channel does nothing else. All operations ask the same question of every
// way of the row: is it valid and concerned, by page number, PCID and global bit? What differs is
// the rule: a look-up wants an entry that serves the address, a fill those that conflict, an
// invalidation those that it removes. The matching is evaluated only when something performs.
//
// A page of 4 MiB is kept as the lower one of its two pages of 2 MiB, and what is asked for is
// brought to that form once, so that the ways are compared as ever.
//
// The memories have no reset. The reset sweep initialises them row by row.

module tlb
  import mmu_pkg::*;
#(
    /// Sets: a power of two, 1 to 4096.
    parameter int unsigned SETS      = 16,
    /// Ways, 1 to 64.
    parameter int unsigned WAYS      = 4,
    /// Page size of all entries: 0 = 4 KiB, 1 = 2 MiB (in 32-bit paging 4 MiB), 2 = 1 GiB.
    parameter int unsigned PAGE_SIZE = 0,
    /// Look-ups in one cycle at most: 1 or 2.
    parameter int unsigned CHANNELS  = 1
) (
    /// Clock.
    input  logic        clk_i,
    /// Synchronous reset, active low: only arms the assertions.
    input  logic        rst_ni,
    // From control.
    /// 32-bit paging: an array of 2 MiB pages holds 4 MiB pages. It is empty when this changes.
    input  logic        two_level_i,
    // From the level: what performs in this cycle.
    /// Operation; of a channel but the first none, or a look-up.
    input  tlb_op_e     op_i   [CHANNELS],
    /// Which entries it concerns.
    input  match_rule_t rule_i,
    /// Page number and PCID that it is about; of a fill the new tag.
    input  tlb_tag_t    tag_i  [CHANNELS],
    /// Row of an operation that is not by page. An array without such a row does nothing.
    input  row_t        row_i,
    /// Data of the new entry of a fill.
    input  tlb_data_t   data_i,
    /// The way that a look-up found is touched.
    input  logic        touch_i[CHANNELS],
    // To the level: what a look-up found.
    /// A way matches.
    output logic        hit_o  [CHANNELS],
    /// Tag of the matching entry, else 0.
    output tlb_tag_t    tag_o  [CHANNELS],
    /// Data of the matching entry, else 0.
    output tlb_data_t   data_o [CHANNELS],
    // To the monitor: what performs in this cycle.
    /// Fill, or an invalidation that removes something.
    output logic [1:0]  mon_op_o,
    /// Set.
    output row_t        mon_set_o,
    /// Way that is filled.
    output logic [5:0]  mon_way_o,
    /// Ways that lose what they held.
    output ways_t       mon_removed_o,
    /// Tag of the new entry.
    output logic [63:0] mon_tag_o,
    /// Data of the new entry.
    output logic [63:0] mon_data_o,
    /// Tag that the filled way held.
    output logic [63:0] mon_victim_tag_o,
    /// Data that the filled way held.
    output logic [63:0] mon_victim_data_o
);

  localparam int unsigned RowWidth = SETS > 1 ? $clog2(SETS) : 1;
  localparam int unsigned WayWidth = WAYS > 1 ? $clog2(WAYS) : 1;
  /// Low bits of the page number and of the frame that lie inside a page, and are not kept.
  localparam int unsigned Shift = IndexBits * PAGE_SIZE;
  localparam int unsigned PageWidth = $bits(page_number_t) - Shift;
  localparam int unsigned FrameWidth = $bits(frame_t) - Shift;

  typedef logic [WAYS-1:0] mask_t;
  typedef logic [WayWidth-1:0] way_t;

  /// What is kept of a tag.
  typedef struct packed {
    logic                 global_page;
    pcid_t                pcid;
    logic [PageWidth-1:0] page;
  } kept_tag_t;

  /// What is kept of the data.
  typedef struct packed {
    memory_type_t          memory_type;
    logic [3:0]            key;
    logic                  dirty;
    rights_t               rights;
    logic [FrameWidth-1:0] frame;
  } kept_data_t;

  mask_t      valid_q[SETS];
  kept_tag_t  tag_q  [SETS] [WAYS];
  kept_data_t data_q [SETS] [WAYS];

  function automatic tlb_tag_t whole_tag(kept_tag_t tag);
    return '{
        global_page: tag.global_page,
        pcid: tag.pcid,
        page_number: page_number_t'(tag.page) << Shift
    };
  endfunction

  function automatic tlb_data_t whole_data(kept_data_t data);
    return '{
        memory_type: data.memory_type,
        key: data.key,
        dirty: data.dirty,
        rights: data.rights,
        frame: frame_t'(data.frame) << Shift
    };
  endfunction

  function automatic logic is_concerned(kept_tag_t held, match_rule_t rule,
                                        logic [PageWidth-1:0] page, pcid_t pcid);
    if (rule.by_page && held.page != page) return 1'b0;
    if (held.global_page) return rule.globals;
    return rule.any_pcid || held.pcid == pcid;
  endfunction

  // ---------------------------------------------------------------------------------------------
  // Row and ways that the operation concerns
  // ---------------------------------------------------------------------------------------------

  typedef logic [RowWidth-1:0] array_row_t;

  array_row_t row      [CHANNELS];
  logic       performs [CHANNELS];
  kept_tag_t  wanted   [CHANNELS];
  mask_t      valid    [CHANNELS];
  mask_t      concerned[CHANNELS];
  /// The concerned way of the lowest number.
  way_t       first_concerned[CHANNELS];

  always_comb begin : match_ways
    for (int unsigned c = 0; c < CHANNELS; c++) begin
      row[c] = '0;
      performs[c] = 1'b0;
      wanted[c] = '0;
      valid[c] = '0;
      concerned[c] = '0;
      first_concerned[c] = '0;
      if (op_i[c] != TlbNone) begin
        performs[c] = rule_i.by_page || 32'(row_i) < SETS;
        row[c] = rule_i.by_page ? tag_i[c].page_number[Shift+:RowWidth] : row_i[RowWidth-1:0];
        wanted[c].global_page = tag_i[c].global_page;
        wanted[c].pcid = tag_i[c].pcid;
        wanted[c].page = tag_i[c].page_number[44:Shift];
        if (PAGE_SIZE == 32'(Size2M) && two_level_i) begin
          if (rule_i.by_page) row[c] = tag_i[c].page_number[Shift+1+:RowWidth];
          wanted[c].page[0] = 1'b0;
        end
        row[c] &= RowWidth'(SETS - 1);
        // What the memory holds before its initialisation does not matter.
        if (performs[c] && op_i[c] != TlbInitialise) begin
          valid[c] = valid_q[row[c]];
          for (int unsigned w = 0; w < WAYS; w++) begin
            if (valid[c][w] && is_concerned(tag_q[row[c]][w], rule_i, wanted[c].page,
                                            wanted[c].pcid)) begin
              if (concerned[c] == '0) first_concerned[c] = way_t'(w);
              concerned[c][w] = 1'b1;
            end
          end
        end
      end
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Look-up
  // ---------------------------------------------------------------------------------------------

  always_comb begin : look_up
    for (int unsigned c = 0; c < CHANNELS; c++) begin
      hit_o[c]  = 1'b0;
      tag_o[c]  = '0;
      data_o[c] = '0;
      if (op_i[c] == TlbLookup && concerned[c] != '0) begin
        hit_o[c]  = 1'b1;
        tag_o[c]  = whole_tag(tag_q[row[c]][first_concerned[c]]);
        data_o[c] = whole_data(data_q[row[c]][first_concerned[c]]);
      end
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Fill: the lowest way in conflict, else the lowest that is free, else the least recently used
  // ---------------------------------------------------------------------------------------------

  logic  fills;
  way_t  oldest;
  way_t  target;
  mask_t target_mask;
  /// What these ways held is lost.
  mask_t replaced;

  assign fills = op_i[0] == TlbFill;

  always_comb begin : choose_target
    target = '0;
    target_mask = '0;
    replaced = '0;
    if (fills) begin
      if (concerned[0] != '0) target = first_concerned[0];
      else if (&valid[0]) target = oldest;
      else begin
        for (int unsigned w = WAYS; w > 0; w--) if (!valid[0][w-1]) target = way_t'(w - 1);
      end
      target_mask = mask_t'(1) << target;
      replaced = concerned[0] | (valid[0] & target_mask);
    end
  end

  logic touches[CHANNELS];
  way_t touched_way[CHANNELS];

  always_comb begin : choose_touches
    touches = touch_i;
    touched_way = first_concerned;
    if (fills) begin
      touches[0] = 1'b1;
      touched_way[0] = target;
    end
  end

  lru #(
      .SETS    (SETS),
      .WAYS    (WAYS),
      .CHANNELS(CHANNELS)
  ) u_lru (
      .clk_i,
      .rst_ni,
      .row_i       (row),
      .initialise_i(performs[0] && op_i[0] == TlbInitialise),
      .pick_i      (fills),
      .touch_i     (touches),
      .way_i       (touched_way),
      .oldest_o    (oldest)
  );

  // ---------------------------------------------------------------------------------------------
  // Storage
  // ---------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin : entries
    if (performs[0] && op_i[0] != TlbLookup) begin
      valid_q[row[0]] <= (valid[0] & ~concerned[0]) | target_mask;
    end
    if (fills) begin
      tag_q[row[0]][target] <= wanted[0];
      data_q[row[0]][target] <= '{
          memory_type: data_i.memory_type,
          key: data_i.key,
          dirty: data_i.dirty,
          rights: data_i.rights,
          frame: data_i.frame[39:Shift]
      };
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Monitor
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
      mon_set_o = row_t'(row[0]);
      mon_way_o = 6'(target);
      mon_removed_o = ways_t'(replaced);
      mon_tag_o = 64'(tag_i[0]);
      mon_data_o = 64'(data_i);
      if (valid[0][target]) begin
        mon_victim_tag_o  = 64'(whole_tag(tag_q[row[0]][target]));
        mon_victim_data_o = 64'(whole_data(data_q[row[0]][target]));
      end
    end else if (op_i[0] == TlbInvalidate && concerned[0] != '0) begin
      mon_op_o = ArrayInvalidate;
      mon_set_o = row_t'(row[0]);
      mon_removed_o = ways_t'(concerned[0]);
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    for (int unsigned c = 0; c < CHANNELS; c++) begin
      if (rst_ni && (op_i[c] != TlbNone || touch_i[c])) begin
        if (touch_i[c]) begin
          only_a_way_that_matched_a_look_up_is_touched :
          assert (op_i[c] == TlbLookup && hit_o[c])
          else $error("a way is touched without a look-up that matched");
        end
        if (op_i[c] == TlbLookup) begin
          at_most_one_way_matches_a_look_up :
          assert ((concerned[c] & (concerned[c] - mask_t'(1))) == '0)
          else begin
            $error("ways %h of set %0d match page %h at once", concerned[c], row[c],
                   tag_i[c].page_number);
          end
        end
        if (c > 0) begin
          a_further_channel_looks_up_only :
          assert (op_i[c] == TlbLookup && (op_i[0] == TlbNone || op_i[0] == TlbLookup))
          else $error("operation %0d beside operation %0d", op_i[c], op_i[0]);
        end
      end
    end
    if (rst_ni && fills) begin
      a_filled_entry_is_aligned_to_its_page_size :
      assert (tag_i[0] == whole_tag(wanted[0]) &&
              data_i.frame == (data_i.frame >> Shift) << Shift &&
              !(PAGE_SIZE == 32'(Size2M) && two_level_i && data_i.frame[Shift]))
      else $error("tag %h or frame %h has bits inside the page", tag_i[0], data_i.frame);

      an_array_of_1_gib_pages_is_not_filled_in_32_bit_paging :
      assert (!(PAGE_SIZE == 32'(Size1G) && two_level_i))
      else $error("tag %h is filled", tag_i[0]);
    end
  end
`endif

endmodule
