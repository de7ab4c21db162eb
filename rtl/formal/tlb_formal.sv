// Properties of TLB arrays and of the PSCs: at most one way of an array matches, whatever it holds and whatever is looked up.
//
// Contract: sections 4.4 (matching), 7.5 (fill), 8.5 (drop), 9 (invalidation). Blocks: rtl/tlb_level.sv, rtl/tlb.sv, rtl/psc_group.sv, rtl/psc.sv.
//
// Unbounded (induction). The TLB level has array A of pages of 4 KiB (2 sets, 3 ways), B of 2 MiB (4 MiB) and 1 GiB mixed (2 sets,
// 2 ways), two look-ups a cycle, and keeps pieces of pages: all operations of control, of drops and of back-invalidations are in any order.
// The PSCs have 2 sets and 2 ways each.
// Assumed: one operation a cycle (asserted in tlb_level.sv and psc_group.sv, and proved of their sources in miss_queue_formal.sv); after a
// reset nothing but initialisation until each row had its own (proved in control_formal.sv); page sizes are those of the
// mode, and the mode changes between two and more levels only while the arrays are empty (contract 4.4).
// Not proved: sets that are no power of two (the division by them is too hard for the solver), and which way a fill takes.

module tlb_formal
  import mmu_pkg::*;
(
    input logic          clk_i,
    input logic          rst_ni,
    input logic          lookup_0_i,
    input logic          lookup_1_i,
    input page_number_t  page_0_i,
    input page_number_t  page_1_i,
    input access_t       access_0_i,
    input access_t       access_1_i,
    input logic          probe_i,
    input logic          two_level_i,
    input pcid_t         pcid_i,
    input protection_t   protection_i,
    input fill_t         fill_i,
    input tlb_tag_t      fill_tag_i,
    input invalidation_t invalidation_i,
    input page_number_t  invalidate_page_i
);
  localparam int unsigned Sets = 2;
  localparam shapes_t Arrays = {
    shape_t'{sizes: 3'd0, sets: 13'd1, ways: 7'd1, policy: 3'd0, serves: 2'd3},
    shape_t'{sizes: 3'd0, sets: 13'd1, ways: 7'd1, policy: 3'd0, serves: 2'd3},
    shape_t'{sizes: 3'd6, sets: 13'(Sets), ways: 7'd2, policy: 3'd0, serves: 2'd3},
    shape_t'{sizes: 3'd1, sets: 13'(Sets), ways: 7'd3, policy: 3'd0, serves: 2'd3}
  };

  logic         running;
  logic         lookup[2];
  page_number_t page  [2];
  access_t      access[2];
  logic         fills;
  // Outputs that no property looks at.
  lookup_e      code  [2];
  tlb_tag_t     tag   [2];
  tlb_data_t    data  [2];
  logic         evicts;
  tlb_tag_t     evicted;
  logic [1:0]   mon_op         [LevelArrays];
  row_t         mon_set        [LevelArrays];
  logic [5:0]   mon_way        [LevelArrays];
  ways_t        mon_removed    [LevelArrays];
  logic [63:0]  mon_tag        [LevelArrays];
  logic [63:0]  mon_data       [LevelArrays];
  logic [63:0]  mon_victim_tag [LevelArrays];
  logic [63:0]  mon_victim_data[LevelArrays];

  assign lookup[0] = lookup_0_i;
  assign lookup[1] = lookup_1_i;
  assign page[0] = page_0_i;
  assign page[1] = page_1_i;
  assign access[0] = access_0_i;
  assign access[1] = access_1_i;

  formal_reset u_reset (.clk_i, .rst_ni, .running_o(running));

  tlb_level #(
      .ARRAYS(Arrays), .FRACTURES(1'b1), .CHANNELS(2)
  ) u_level (
      .clk_i, .rst_ni, .lookup_i(lookup), .page_number_i(page), .access_i(access), .probe_i, .two_level_i, .pcid_i,
      .protection_i, .code_o(code), .tag_o(tag), .data_o(data), .fill_i, .fill_tag_i, .fills_o(fills), .invalidation_i,
      .invalidate_page_i, .evicts_o(evicts), .evicted_o(evicted), .mon_op_o(mon_op), .mon_set_o(mon_set), .mon_way_o(mon_way),
      .mon_removed_o(mon_removed), .mon_tag_o(mon_tag), .mon_data_o(mon_data), .mon_victim_tag_o(mon_victim_tag),
      .mon_victim_data_o(mon_victim_data)
  );

  // ---------------------------------------------------------------------------------------------
  // What is assumed
  // ---------------------------------------------------------------------------------------------

  /// Rows that were initialised since the last reset.
  logic [Sets-1:0] initialised_q;
  logic            two_level_q;
  logic [1:0]      array_is_empty;

  always_ff @(posedge clk_i) begin : remember
    two_level_q <= two_level_i;
    if (!rst_ni) initialised_q <= '0;
    else if (invalidation_i.initialise && 32'(invalidation_i.row) < Sets) initialised_q[invalidation_i.row[0]] <= 1'b1;
  end

  always_comb begin : obligations
    if (running) begin
      assume (32'(invalidation_i.performs) + 32'(invalidation_i.initialise) + 32'(fill_i.performs) <= 1);
      if (invalidation_i.performs || invalidation_i.initialise || fill_i.performs) assume (!lookup[0] && !lookup[1]);
      if (initialised_q != '1) assume (!(lookup[0] || lookup[1] || fill_i.performs || invalidation_i.performs));
      assume (fill_tag_i.kept_size != Size4M || two_level_i);
      assume (fill_tag_i.kept_size == Size4M || fill_tag_i.kept_size == Size4K || !two_level_i);
      if (initialised_q == '1) assume (two_level_i == two_level_q || array_is_empty == '1);
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The properties, of each array
  // ---------------------------------------------------------------------------------------------

  for (genvar n = 0; n < 2; n++) begin : gen_array
    localparam int unsigned Ways = 32'(Arrays[n].ways);
    localparam bit IsMixed = n == 1;

    always_comb begin : emptiness
      array_is_empty[n] = 1'b1;
      for (int unsigned s = 0; s < Sets; s++) begin
        if (u_level.gen_array[n].gen_present.u_tlb.valid_q[s] != '0) array_is_empty[n] = 1'b0;
      end
    end

    for (genvar c = 0; c < 2; c++) begin : gen_channel
      always_comb begin : look_up
        if (running && lookup[c]) begin
          at_most_one_way_matches :
          assert ((u_level.gen_array[n].gen_present.u_tlb.concerned[c] &
                   (u_level.gen_array[n].gen_present.u_tlb.concerned[c] - Ways'(1))) == '0);
        end
      end
    end

    // No two valid ways of a set could match one address and PCID.
    for (genvar s = 0; s < Sets; s++) begin : gen_set
      for (genvar v = 0; v < Ways; v++) begin : gen_way
        for (genvar w = v + 1; w < Ways; w++) begin : gen_other
          always_comb begin : strengthening
            if (running && initialised_q[s]) begin
              no_two_ways_could_match_one_address :
              assert (!(u_level.gen_array[n].gen_present.u_tlb.valid_q[s][v] &&
                        u_level.gen_array[n].gen_present.u_tlb.valid_q[s][w] &&
                        u_level.gen_array[n].gen_present.u_tlb.tag_q[s][v].page ==
                        u_level.gen_array[n].gen_present.u_tlb.tag_q[s][w].page &&
                        (!IsMixed || u_level.gen_array[n].gen_present.u_tlb.tag_q[s][v].kept_size ==
                         u_level.gen_array[n].gen_present.u_tlb.tag_q[s][w].kept_size) &&
                        (u_level.gen_array[n].gen_present.u_tlb.tag_q[s][v].global_page ||
                         u_level.gen_array[n].gen_present.u_tlb.tag_q[s][w].global_page ||
                         u_level.gen_array[n].gen_present.u_tlb.tag_q[s][v].pcid ==
                         u_level.gen_array[n].gen_present.u_tlb.tag_q[s][w].pcid)));
            end
          end
        end
      end
    end
  end
endmodule

module psc_formal
  import mmu_pkg::*;
(
    input logic        clk_i,
    input logic        rst_ni,
    input logic        lookup_i,
    input logic        drop_i,
    input logic        fill_i,
    input logic [3:0]  fill_levels_i,
    input psc_data_t   fill_data_i,
    input logic [35:0] prefix_i,
    input logic        two_level_i,
    input logic        la57_i,
    input pcid_t       pcid_i,
    input logic        invalidate_i,
    input logic        invalidate_all_i,
    input pcid_t       invalidate_pcid_i
);
  localparam int unsigned Sets = 2;
  localparam int unsigned Ways = 2;
  localparam shape_t Shape = '{sizes: 3'd0, sets: 13'(Sets), ways: 7'(Ways), policy: 3'd0, serves: 2'd3};

  logic        running;
  psc_data_t   fill_data[PscLevels];
  // Outputs that no property looks at.
  logic [2:0]  level;
  psc_data_t   data;
  logic [1:0]  mon_op         [PscLevels];
  logic [5:0]  mon_set        [PscLevels];
  logic [5:0]  mon_way        [PscLevels];
  ways_t       mon_removed    [PscLevels];
  logic [63:0] mon_tag        [PscLevels];
  logic [63:0] mon_data       [PscLevels];
  logic [63:0] mon_victim_tag [PscLevels];
  logic [63:0] mon_victim_data[PscLevels];

  for (genvar c = 0; c < PscLevels; c++) begin : gen_data
    assign fill_data[c] = fill_data_i;
  end

  formal_reset u_reset (.clk_i, .rst_ni, .running_o(running));

  psc_group #(
      .CACHES({Shape, Shape, Shape, Shape})
  ) u_group (
      .clk_i, .rst_ni, .lookup_i, .drop_i, .fill_i, .fill_levels_i, .fill_data_i(fill_data), .prefix_i, .level_o(level),
      .data_o(data), .two_level_i, .la57_i, .pcid_i, .invalidate_i, .invalidate_all_i, .invalidate_pcid_i, .mon_op_o(mon_op),
      .mon_set_o(mon_set), .mon_way_o(mon_way), .mon_removed_o(mon_removed), .mon_tag_o(mon_tag), .mon_data_o(mon_data),
      .mon_victim_tag_o(mon_victim_tag), .mon_victim_data_o(mon_victim_data)
  );

  always_comb begin : obligations
    if (running) assume (32'(lookup_i) + 32'(drop_i) + 32'(fill_i) + 32'(invalidate_i) <= 1);
  end

  for (genvar c = 0; c < PscLevels; c++) begin : gen_cache
    always_comb begin : look_up
      if (running) begin
        at_most_one_entry_matches : assert (u_group.gen_cache[c].gen_present.u_psc.matching != '1);
      end
    end
    for (genvar s = 0; s < Sets; s++) begin : gen_set
      always_comb begin : strengthening
        if (running) begin
          no_two_entries_of_a_set_have_one_tag :
          assert (u_group.gen_cache[c].gen_present.u_psc.valid_q[s] != '1 ||
                  u_group.gen_cache[c].gen_present.u_psc.tag_q[s][0] != u_group.gen_cache[c].gen_present.u_psc.tag_q[s][1]);
        end
      end
    end
  end
endmodule
