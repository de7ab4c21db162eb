// One TLB array: the entries of one page size of one level.
//
// Contract: sections 4.1, 4.4 (entries, matching), 7.3 (fill), 8.5 (drop), 9 (invalidation), 10
// (monitor). SDM: 4.10.2 (what an entry holds, global pages). Counterpart: src/model/tlb.rs.
//
// At most one operation performs in a cycle, on one row. All of them ask the same question of every
// way of the row: is it valid and concerned, by page number, PCID and global bit? What differs is
// the rule: a look-up wants an entry that serves the address, a fill those that conflict, an
// invalidation those that it removes. The matching is evaluated only when something performs.
//
// The memories have no reset. The reset sweep initialises them row by row.

module tlb
  import mmu_pkg::*;
#(
    /// Sets: a power of two, 1 to 4096.
    parameter int unsigned SETS      = 16,
    /// Ways, 1 to 64.
    parameter int unsigned WAYS      = 4,
    /// Page size of all entries: 0 = 4 KiB, 1 = 2 MiB, 2 = 1 GiB.
    parameter int unsigned PAGE_SIZE = 0
) (
    /// Clock.
    input  logic        clk_i,
    /// Synchronous reset, active low: only arms the assertions.
    input  logic        rst_ni,
    // From the level: what performs in this cycle.
    /// Operation.
    input  tlb_op_e     op_i,
    /// Which entries it concerns.
    input  match_rule_t rule_i,
    /// Page number and PCID that it is about; of a fill the new tag.
    input  tlb_tag_t    tag_i,
    /// Row of an operation that is not by page. An array without such a row does nothing.
    input  row_t        row_i,
    /// Data of the new entry of a fill.
    input  tlb_data_t   data_i,
    /// The way that a look-up found is touched.
    input  logic        touch_i,
    // To the level: what a look-up found.
    /// A way matches.
    output logic        hit_o,
    /// Tag of the matching entry, else 0.
    output tlb_tag_t    tag_o,
    /// Data of the matching entry, else 0.
    output tlb_data_t   data_o,
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

  logic [RowWidth-1:0] row;
  logic                performs;
  kept_tag_t           wanted;
  mask_t               valid;
  mask_t               concerned;
  /// The concerned way of the lowest number.
  way_t                first_concerned;

  always_comb begin : match_ways
    row = '0;
    performs = 1'b0;
    wanted = '0;
    valid = '0;
    concerned = '0;
    first_concerned = '0;
    if (op_i != TlbNone) begin
      performs = rule_i.by_page || 32'(row_i) < SETS;
      row = rule_i.by_page ? tag_i.page_number[Shift+:RowWidth] : row_i[RowWidth-1:0];
      row &= RowWidth'(SETS - 1);
      wanted.global_page = tag_i.global_page;
      wanted.pcid = tag_i.pcid;
      wanted.page = tag_i.page_number[44:Shift];
      // What the memory holds before its initialisation does not matter.
      if (performs && op_i != TlbInitialise) begin
        valid = valid_q[row];
        for (int unsigned w = 0; w < WAYS; w++) begin
          if (valid[w] && is_concerned(tag_q[row][w], rule_i, wanted.page, wanted.pcid)) begin
            if (concerned == '0) first_concerned = way_t'(w);
            concerned[w] = 1'b1;
          end
        end
      end
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Look-up
  // ---------------------------------------------------------------------------------------------

  always_comb begin : look_up
    hit_o  = 1'b0;
    tag_o  = '0;
    data_o = '0;
    if (op_i == TlbLookup && concerned != '0) begin
      hit_o  = 1'b1;
      tag_o  = whole_tag(tag_q[row][first_concerned]);
      data_o = whole_data(data_q[row][first_concerned]);
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Fill: the lowest way in conflict, else the lowest that is free, else the least recently used
  // ---------------------------------------------------------------------------------------------

  way_t  oldest;
  way_t  target;
  mask_t target_mask;
  /// What these ways held is lost.
  mask_t replaced;

  always_comb begin : choose_target
    target = '0;
    target_mask = '0;
    replaced = '0;
    if (op_i == TlbFill) begin
      if (concerned != '0) target = first_concerned;
      else if (&valid) target = oldest;
      else begin
        for (int unsigned w = WAYS; w > 0; w--) if (!valid[w-1]) target = way_t'(w - 1);
      end
      target_mask = mask_t'(1) << target;
      replaced = concerned | (valid & target_mask);
    end
  end

  lru #(
      .SETS(SETS),
      .WAYS(WAYS)
  ) u_lru (
      .clk_i,
      .rst_ni,
      .row_i       (row),
      .initialise_i(performs && op_i == TlbInitialise),
      .pick_i      (op_i == TlbFill),
      .touch_i     (touch_i || op_i == TlbFill),
      .way_i       (op_i == TlbFill ? target : first_concerned),
      .oldest_o    (oldest)
  );

  // ---------------------------------------------------------------------------------------------
  // Storage
  // ---------------------------------------------------------------------------------------------

  always_ff @(posedge clk_i) begin : entries
    if (performs && op_i != TlbLookup) valid_q[row] <= (valid & ~concerned) | target_mask;
    if (op_i == TlbFill) begin
      tag_q[row][target] <= wanted;
      data_q[row][target] <= '{
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
    if (op_i == TlbFill) begin
      mon_op_o = ArrayFill;
      mon_set_o = row_t'(row);
      mon_way_o = 6'(target);
      mon_removed_o = ways_t'(replaced);
      mon_tag_o = 64'(tag_i);
      mon_data_o = 64'(data_i);
      if (valid[target]) begin
        mon_victim_tag_o  = 64'(whole_tag(tag_q[row][target]));
        mon_victim_data_o = 64'(whole_data(data_q[row][target]));
      end
    end else if (op_i == TlbInvalidate && concerned != '0) begin
      mon_op_o = ArrayInvalidate;
      mon_set_o = row_t'(row);
      mon_removed_o = ways_t'(concerned);
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && (op_i != TlbNone || touch_i)) begin
      if (touch_i) begin
        only_a_way_that_matched_a_look_up_is_touched :
        assert (op_i == TlbLookup && hit_o)
        else $error("a way is touched without a look-up that matched");
      end
      if (op_i == TlbLookup) begin
        at_most_one_way_matches_a_look_up :
        assert ((concerned & (concerned - mask_t'(1))) == '0)
        else $error("ways %h of set %0d match page %h at once", concerned, row, tag_i.page_number);
      end
      if (op_i == TlbFill) begin
        a_filled_entry_is_aligned_to_its_page_size :
        assert (tag_i == whole_tag(wanted) && data_i.frame == (data_i.frame >> Shift) << Shift)
        else $error("tag %h or frame %h has bits inside the page", tag_i, data_i.frame);
      end
    end
  end
`endif

endmodule
