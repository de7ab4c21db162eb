// One TLB array.
//
// Contract: sections 2.1 (where a page stands), 4.1, 4.4 (entries, matching), 7.5 (fill), 8.5 (drop), 9
// (invalidation), 10 (monitor). SDM: 4.10.2 (what an entry holds, global pages). Counterpart:
// src/model/tlb.rs.
//
// An array holds pages of one to three sizes, and a page stands in one row for each of them: its
// *places* (mmu_pkg.sv), which are constants of the array. That of one size has one.
//
// At most one operation performs in a cycle, in the rows of the page, or in the row of a sweep; but
// with two channels two look-ups may perform at once: the second channel does nothing else. All
// operations ask the same question of every way of a row: is it valid and concerned, by kept size,
// page number, PCID and global bit? What differs is the rule: a look-up wants an entry that serves
// the address, a fill those that conflict, an invalidation those that it removes. The matching is
// evaluated only when something performs.
//
// The memories have no reset. The reset sweep initialises them row by row.

module tlb
  import mmu_pkg::*;
#(
    /// Shapes of the arrays of the level.
    parameter shapes_t     ARRAYS    = '0,
    /// Number of this one.
    parameter int unsigned ARRAY     = 0,
    /// The machine keeps pieces of pages, and invalidates them by the page.
    parameter bit          FRACTURES = 1'b0,
    /// Look-ups in one cycle at most: 1 or 2.
    parameter int unsigned CHANNELS  = 1
) (
    /// Clock.
    input  logic        clk_i,
    /// Synchronous reset, active low.
    input  logic        rst_ni,
    // From control.
    /// 32-bit paging: pages of 4 MiB in place of 2 MiB. The array is empty when this changes.
    input  logic        two_level_i,
    // From the level: what performs in this cycle.
    /// Operation; of a channel but the first none, or a look-up.
    input  tlb_op_e     op_i   [CHANNELS],
    /// Which entries it concerns.
    input  match_rule_t rule_i,
    /// By page: of which kept sizes.
    input  sizes_t      sizes_i,
    /// By page: where it stands for which kinds of requests.
    input  logic [1:0]  kinds_i[CHANNELS],
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
    /// Tag of the matching entry, of several that of the smallest kept size, else 0.
    output tlb_tag_t    tag_o  [CHANNELS],
    /// Data of the matching entry, else 0.
    output tlb_data_t   data_o [CHANNELS],
    // To the inclusion.
    /// A fill takes the victim of a full set. What that held is on the monitor.
    output logic        evicts_o,
    // To the monitor: what performs in this cycle.
    /// Fill, or an invalidation that removes something.
    output logic [1:0]  mon_op_o,
    /// Set; of an invalidation by page that where a page of 4 KiB is removed.
    output row_t        mon_set_o,
    /// Way that is filled.
    output logic [5:0]  mon_way_o,
    /// Ways that lose what they held in that set.
    output ways_t       mon_removed_o,
    /// Tag of the new entry; of an invalidation by page the ways of the set for 2 MiB (4 MiB).
    output logic [63:0] mon_tag_o,
    /// Data of the new entry; of an invalidation by page the ways of the set for 1 GiB.
    output logic [63:0] mon_data_o,
    /// Tag that the filled way held; of an invalidation by page the set for 2 MiB (4 MiB).
    output logic [63:0] mon_victim_tag_o,
    /// Data that the filled way held; of an invalidation by page the set for 1 GiB.
    output logic [63:0] mon_victim_data_o
);

  localparam shape_t Shape = ARRAYS[ARRAY];
  localparam int unsigned Sets = 32'(Shape.sets);
  localparam int unsigned Ways = 32'(Shape.ways);
  localparam int unsigned RowWidth = Sets > 1 ? $clog2(Sets) : 1;
  localparam int unsigned WayWidth = Ways > 1 ? $clog2(Ways) : 1;
  localparam places_t Places = places_of(ARRAYS, ARRAY);
  localparam int unsigned PlaceCount = $countones(Shape.sizes);
  /// The entries may be of several kept sizes.
  localparam bit IsMixed = (Shape.sizes & (Shape.sizes - 3'd1)) != '0;
  /// Low bits of the page number and of the frame that lie inside the smallest page, and are not kept.
  localparam int unsigned Shift = Shape.sizes[0] ? 0 : Shape.sizes[1] ? IndexBits : 2 * IndexBits;
  localparam int unsigned PageWidth = $bits(page_number_t) - Shift;
  localparam int unsigned FrameWidth = $bits(frame_t) - Shift;

  typedef logic [Ways-1:0] mask_t;
  typedef logic [WayWidth-1:0] way_t;
  typedef logic [RowWidth-1:0] array_row_t;

  /// What is kept of a tag.
  typedef struct packed {
    page_size_e           page_size;
    page_size_e           kept_size;
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

  mask_t      valid_q[Sets];
  kept_tag_t  tag_q  [Sets] [Ways];
  kept_data_t data_q [Sets] [Ways];

  function automatic tlb_tag_t whole_tag(kept_tag_t tag);
    return '{
        page_size: tag.page_size,
        kept_size: tag.kept_size,
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

  /// Page number without the bits inside a page of the size of that bit.
  function automatic page_number_t number_of(page_number_t page, logic [1:0] size,
                                             logic two_level);
    page_number_t number;
    number = (page >> (IndexBits * 32'(size))) << (IndexBits * 32'(size));
    if (size == 2'd1 && two_level) number[IndexBits] = 1'b0;
    return number;
  endfunction

  /// The pages of that size, counted from address 0.
  function automatic page_number_t count_of(page_number_t page, logic [1:0] size, logic two_level);
    return page >> (IndexBits * 32'(size) + 32'(size == 2'd1 && two_level));
  endfunction

  function automatic array_row_t row_of(page_number_t count, logic [2:0] arrays);
    page_number_t shared;
    shared = count / page_number_t'(arrays);
    if ((Sets & (Sets - 1)) == 0) return array_row_t'(shared) & array_row_t'(Sets - 1);
    return array_row_t'(shared % page_number_t'(Sets));
  endfunction

  function automatic logic is_concerned(kept_tag_t held, match_rule_t rule,
                                        logic [PageWidth-1:0] page, page_size_e kept_size,
                                        pcid_t pcid);
    if (rule.by_page) begin
      if (held.page != page) return 1'b0;
      if (IsMixed && held.kept_size != kept_size) return 1'b0;
    end
    if (FRACTURES && rule.by_whole_page &&
        ((page_number_t'(held.page) ^ page_number_t'(page)) & ~(bits_inside(held.page_size) >> Shift))
        != '0) begin
      return 1'b0;
    end
    if (held.global_page) return rule.globals;
    return rule.any_pcid || (!rule.only_globals && held.pcid == pcid);
  endfunction

  // ---------------------------------------------------------------------------------------------
  // Row and ways that the operation concerns: of a look-up those of the first place with a match, which is
  // that of the smallest size; of a fill those of its one place; of a sweep those of its row
  // ---------------------------------------------------------------------------------------------

  function automatic logic is_place(place_t place, page_number_t page, logic [1:0] kinds,
                                    sizes_t sizes, logic two_level);
    return sizes[place.size] && (kinds & Shape.serves) != '0 &&
        count_of(page, place.size, two_level) % page_number_t'(place.arrays) ==
        page_number_t'(place.number);
  endfunction

  array_row_t row      [CHANNELS];
  logic       performs [CHANNELS];
  mask_t      valid    [CHANNELS];
  mask_t      concerned[CHANNELS];
  /// The concerned way of the lowest number.
  way_t       first_concerned[CHANNELS];

  always_comb begin : match_ways
    logic                 here;
    logic [PageWidth-1:0] page;
    here = 1'b0;
    page = '0;
    for (int unsigned c = 0; c < CHANNELS; c++) begin
      row[c] = '0;
      performs[c] = 1'b0;
      valid[c] = '0;
      concerned[c] = '0;
      first_concerned[c] = '0;
      if (op_i[c] != TlbNone) begin
        for (int unsigned p = 0; p < PlaceCount; p++) begin
          if (rule_i.by_page) begin
            here = is_place(Places[p], tag_i[c].page_number, kinds_i[c], sizes_i, two_level_i);
          end else begin
            here = p == 0 && 32'(row_i) < Sets;
          end
          if (here && concerned[c] == '0) begin
            performs[c] = 1'b1;
            page = PageWidth'(tag_i[c].page_number >> Shift);
            row[c] = row_i[RowWidth-1:0];
            if (rule_i.by_page) begin
              row[c] = row_of(count_of(tag_i[c].page_number, Places[p].size, two_level_i),
                              Places[p].arrays);
              page = PageWidth'(
                  number_of(tag_i[c].page_number, Places[p].size, two_level_i) >> Shift);
            end
            // What the memory holds before its initialisation does not matter.
            if (op_i[c] != TlbInitialise) begin
              valid[c] = valid_q[row[c]];
              for (int unsigned w = 0; w < Ways; w++) begin
                if (valid[c][w] && is_concerned(tag_q[row[c]][w], rule_i, page,
                                                bit_size(Places[p].size, two_level_i),
                                                tag_i[c].pcid)) begin
                  if (concerned[c] == '0) first_concerned[c] = way_t'(w);
                  concerned[c][w] = 1'b1;
                end
              end
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
  // Fill: the lowest way in conflict, else the lowest that is free, else the victim
  // ---------------------------------------------------------------------------------------------

  logic  fills;
  logic  evicts;
  way_t  victim;
  way_t  target;
  mask_t target_mask;
  /// What these ways held is lost.
  mask_t replaced;

  assign fills = op_i[0] == TlbFill && performs[0];

  always_comb begin : choose_target
    target = '0;
    target_mask = '0;
    replaced = '0;
    evicts = 1'b0;
    if (fills) begin
      if (concerned[0] != '0) begin
        target = first_concerned[0];
      end else if (&valid[0]) begin
        target = victim;
        evicts = 1'b1;
      end else begin
        for (int unsigned w = Ways; w > 0; w--) if (!valid[0][w-1]) target = way_t'(w - 1);
      end
      target_mask = mask_t'(1) << target;
      replaced = concerned[0] | (valid[0] & target_mask);
    end
  end

  assign evicts_o = evicts;

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

  replacement #(
      .POLICY  (32'(Shape.policy)),
      .SETS    (Sets),
      .WAYS    (Ways),
      .CHANNELS(CHANNELS)
  ) u_replacement (
      .clk_i,
      .rst_ni,
      .row_i       (row),
      .initialise_i(performs[0] && op_i[0] == TlbInitialise),
      .touch_i     (touches),
      .way_i       (touched_way),
      .fill_i      (fills),
      .evict_i     (evicts),
      .victim_o    (victim)
  );

  // ---------------------------------------------------------------------------------------------
  // Storage
  // ---------------------------------------------------------------------------------------------

  // An invalidation by page is in all places of the page at once, of which two may be one row; each
  // entry is removed from the place of its kept size.
  logic       by_places;
  array_row_t place_row [PlaceCount];
  mask_t      place_gone[PlaceCount];

  assign by_places = op_i[0] == TlbInvalidate && rule_i.by_page;

  if (PlaceCount == 1) begin : gen_one_place
    assign place_row[0]  = row[0];
    assign place_gone[0] = by_places ? concerned[0] : '0;

    always_ff @(posedge clk_i) begin : valid_bits
      if (performs[0] && op_i[0] != TlbLookup) begin
        valid_q[row[0]] <= (valid[0] & ~concerned[0]) | target_mask;
      end
    end
  end else begin : gen_places
    always_comb begin : match_places
      logic [PageWidth-1:0] page;
      page = '0;
      place_row = '{default: '0};
      place_gone = '{default: '0};
      if (by_places) begin
        for (int unsigned p = 0; p < PlaceCount; p++) begin
          if (is_place(Places[p], tag_i[0].page_number, kinds_i[0], sizes_i, two_level_i)) begin
            place_row[p] = row_of(count_of(tag_i[0].page_number, Places[p].size, two_level_i),
                                  Places[p].arrays);
            page = PageWidth'(
                number_of(tag_i[0].page_number, Places[p].size, two_level_i) >> Shift);
            for (int unsigned w = 0; w < Ways; w++) begin
              place_gone[p][w] = valid_q[place_row[p]][w] &&
                  is_concerned(tag_q[place_row[p]][w], rule_i, page,
                               bit_size(Places[p].size, two_level_i), tag_i[0].pcid);
            end
          end
        end
      end
    end

    /// What leaves the row of a place: of all places that are in that row.
    mask_t row_gone[PlaceCount];

    always_comb begin : join_rows
      row_gone = place_gone;
      if (by_places) begin
        for (int unsigned p = 0; p < PlaceCount; p++) begin
          for (int unsigned q = 0; q < PlaceCount; q++) begin
            if (place_row[q] == place_row[p]) row_gone[p] |= place_gone[q];
          end
        end
      end
    end

    always_ff @(posedge clk_i) begin : valid_bits
      if (by_places) begin
        for (int unsigned p = 0; p < PlaceCount; p++) begin
          if (place_gone[p] != '0) begin
            valid_q[place_row[p]] <= valid_q[place_row[p]] & ~row_gone[p];
          end
        end
      end else if (performs[0] && op_i[0] != TlbLookup) begin
        valid_q[row[0]] <= (valid[0] & ~concerned[0]) | target_mask;
      end
    end
  end

  always_ff @(posedge clk_i) begin : entries
    if (fills) begin
      tag_q[row[0]][target] <= '{
          page_size: tag_i[0].page_size,
          kept_size: tag_i[0].kept_size,
          global_page: tag_i[0].global_page,
          pcid: tag_i[0].pcid,
          page: tag_i[0].page_number[44:Shift]
      };
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
  // Monitor: of an invalidation by page what leaves each of its places, by their kept sizes; the fields
  // of a new entry and of a victim serve for it
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
    end else if (by_places) begin
      for (int unsigned p = 0; p < PlaceCount; p++) begin
        if (place_gone[p] != '0) begin
          mon_op_o = ArrayInvalidate;
          case (Places[p].size)
            2'(Size4K): begin
              mon_set_o = row_t'(place_row[p]);
              mon_removed_o = ways_t'(place_gone[p]);
            end
            2'(Size2M): begin
              mon_victim_tag_o = 64'(place_row[p]);
              mon_tag_o = 64'(place_gone[p]);
            end
            default: begin
              mon_victim_data_o = 64'(place_row[p]);
              mon_data_o = 64'(place_gone[p]);
            end
          endcase
        end
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
      a_filled_entry_is_aligned_to_its_kept_size :
      assert (page_of(tag_i[0].page_number, tag_i[0].kept_size) == tag_i[0].page_number &&
              (data_i.frame & frame_t'(bits_inside(tag_i[0].kept_size))) == '0)
      else $error("tag %h or frame %h has bits inside the page", tag_i[0], data_i.frame);

      an_array_is_filled_with_a_size_that_it_holds :
      assert (Shape.sizes[size_bit(tag_i[0].kept_size)] && sizes_i[size_bit(tag_i[0].kept_size)] &&
              (tag_i[0].kept_size == Size4K || (tag_i[0].kept_size == Size4M) == two_level_i))
      else $error("tag %h is filled", tag_i[0]);
    end
  end
`endif

endmodule
