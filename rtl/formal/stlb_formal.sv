// Properties of the STLB's pipeline: each entry that is looked up has one result, in order and as it was found; results neither
// overflow nor get lost; entries are looked up in turns, and give way once at most.
//
// Contract: sections 7.2 (look-up, passed_over), 7.3 (result), 7.6 (inclusion). Block: rtl/stlb.sv, inclusive.
//
// Unbounded (induction), for 3 entries of the miss queue, 2 cycles to a result, one array of one set and two ways.
// Assumed: an entry that wants to be looked up goes on wanting it until it is, and not again before its result committed; what commits as a
// result is what is due (commit.sv); while a look-up was passed over nothing but a result commits (proved in commit_formal.sv).
// Not proved: what is found (tlb_formal.sv has that at most one way is), and that a result commits at all.

module stlb_formal
  import mmu_pkg::*;
(
    input logic          clk_i,
    input logic          rst_ni,
    input logic [2:0]    wants_i,
    input port_number_t  port_i,
    input page_number_t  page_i,
    input access_t       access_i,
    input logic          wants_probe_i,
    input page_number_t  probe_page_i,
    input commit_t       commit_i,
    input fill_t         fill_i,
    input tlb_tag_t      fill_tag_i,
    input logic          back_invalidates_i,
    input tlb_tag_t      back_invalidated_i,
    input logic          two_level_i,
    input pcid_t         pcid_i,
    input protection_t   protection_i,
    input logic          busy_i,
    input invalidation_t invalidation_i,
    input page_number_t  invalidate_page_i
);
  localparam int unsigned Entries = 3;
  localparam shape_t Absent = '{sizes: 3'd0, sets: 13'd1, ways: 7'd1, policy: 3'd0, serves: 2'd3};
  localparam shape_t Present = '{sizes: 3'd1, sets: 13'd1, ways: 7'd2, policy: 3'd0, serves: 2'd3};

  logic         running;
  logic         take;
  entry_t       entry;
  logic         probe, probe_hit;
  logic         passed_over;
  logic         due;
  entry_t       due_entry;
  lookup_e      due_code;
  tlb_tag_t     due_tag;
  tlb_data_t    due_data;
  logic         evicts;
  tlb_tag_t     evicted;
  logic [2:0]   keeps_evicted;
  logic         hit;
  page_size_e   hit_page_size;
  logic [2:0]   mon_stlb_lookup;
  port_number_t mon_stlb_port;
  owner_t       mon_stlb_entry;
  logic [1:0]   mon_op         [LevelArrays];
  row_t         mon_set        [LevelArrays];
  logic [5:0]   mon_way        [LevelArrays];
  ways_t        mon_removed    [LevelArrays];
  logic [63:0]  mon_tag        [LevelArrays];
  logic [63:0]  mon_data       [LevelArrays];
  logic [63:0]  mon_victim_tag [LevelArrays];
  logic [63:0]  mon_victim_data[LevelArrays];

  formal_reset u_reset (.clk_i, .rst_ni, .running_o(running));

  stlb #(
      .ENTRIES(Entries), .STLB_HIT_CYCLES(2), .ARRAYS({Absent, Absent, Absent, Present}), .FRACTURES(1'b0), .INCLUSIVE(1'b1)
  ) u_stlb (
      .clk_i, .rst_ni, .wants_i, .take_o(take), .entry_o(entry), .port_i, .page_i, .access_i, .wants_probe_i, .probe_page_i,
      .probe_o(probe), .probe_hit_o(probe_hit), .commit_i, .passed_over_o(passed_over), .due_o(due), .due_entry_o(due_entry),
      .due_code_o(due_code), .due_tag_o(due_tag), .due_data_o(due_data), .fill_i, .fill_tag_i, .evicts_o(evicts),
      .evicted_o(evicted), .back_invalidates_i, .back_invalidated_i, .keeps_evicted_o(keeps_evicted), .two_level_i, .pcid_i,
      .protection_i, .busy_i, .invalidation_i, .invalidate_page_i, .hit_o(hit), .hit_page_size_o(hit_page_size),
      .mon_stlb_lookup_o(mon_stlb_lookup), .mon_stlb_port_o(mon_stlb_port), .mon_stlb_entry_o(mon_stlb_entry),
      .mon_op_o(mon_op), .mon_set_o(mon_set), .mon_way_o(mon_way), .mon_removed_o(mon_removed), .mon_tag_o(mon_tag),
      .mon_data_o(mon_data), .mon_victim_tag_o(mon_victim_tag), .mon_victim_data_o(mon_victim_data)
  );

  // ---------------------------------------------------------------------------------------------
  // Kept beside the block
  // ---------------------------------------------------------------------------------------------

  logic               was_running_q;
  logic [Entries-1:0] wanted_q;
  /// Looked up, and without a result yet; what was found, and how many were looked up before it.
  logic [Entries-1:0] looked_up_q;
  lookup_e            code_q[Entries];
  logic [7:0]         position_q[Entries];
  logic [7:0]         others_q[Entries];
  logic [7:0]         count;
  logic               gives_way_q;

  assign count = 8'($countones(looked_up_q));

  always_ff @(posedge clk_i) begin : remember
    was_running_q <= running;
    wanted_q <= take ? wants_i & ~(3'd1 << entry) : wants_i;
    if (!rst_ni) begin
      looked_up_q <= '0;
      others_q <= '{default: '0};
      gives_way_q <= 1'b0;
    end else begin
      if (commit_i.result) looked_up_q[due_entry[1:0]] <= 1'b0;
      for (int unsigned e = 0; e < Entries; e++) begin
        if (take && 32'(entry) == e) begin
          looked_up_q[e] <= 1'b1;
          code_q[e] <= lookup_e'(mon_stlb_lookup);
          position_q[e] <= count - 8'(commit_i.result);
        end else if (commit_i.result) begin
          position_q[e] <= position_q[e] - 8'd1;
        end
        if (!wants_i[e] || (take && 32'(entry) == e)) others_q[e] <= '0;
        else if (take) others_q[e] <= others_q[e] + 8'd1;
      end
      if (!busy_i) gives_way_q <= wants_i != '0 && (commit_i.done || commit_i.drop);
    end
  end

  always_comb begin : obligations
    if (running) begin
      assume ((wants_i & looked_up_q) == '0);
      if (was_running_q) assume ((wanted_q & ~wants_i) == '0);
      assume (!commit_i.result || (due && commit_i.owner == owner_t'(due_entry)));
      assume (!busy_i || !(commit_i.result || commit_i.done || commit_i.drop || fill_i.performs));
      assume (!(passed_over && (commit_i.done || commit_i.drop || commit_i.start)));
      assume (!fill_i.performs || commit_i.done);
      assume (!(invalidation_i.performs || invalidation_i.initialise) || busy_i || commit_i.drop);
    end
  end

  always_comb begin : properties
    if (running) begin
      an_entry_is_looked_up_that_wants_it : assert (!take || (32'(entry) < Entries && wants_i[entry[1:0]]));
      nothing_is_looked_up_while_control_is_busy_or_another_goes_first :
      assert (!(take || probe) || (!busy_i && !commit_i.done && !commit_i.drop));
      a_probe_gives_way_to_requests : assert (!probe || wants_i == '0);
      a_look_up_gives_way_once_at_most : assert (!(gives_way_q && wants_i != '0 && !busy_i) || take);
      passed_over_is_told : assert (passed_over == gives_way_q);
      a_result_is_due_only_of_the_oldest_look_up :
      assert (!due || (32'(due_entry) < Entries && looked_up_q[due_entry[1:0]] && position_q[due_entry[1:0]] == '0));
      a_result_is_what_was_found : assert (!due || due_code == code_q[due_entry[1:0]]);
      only_what_was_looked_up_keeps_what_is_evicted : assert ((keeps_evicted & ~looked_up_q) == '0);
      no_more_results_are_due_than_were_looked_up : assert (8'(u_stlb.due_q) <= count);
    end
  end

  for (genvar e = 0; e < Entries; e++) begin : gen_entry
    always_comb begin : turns
      if (running) at_most_all_others_are_looked_up_first : assert (32'(others_q[e]) <= Entries - 1);
    end

    logic [7:0] ahead;
    logic [1:0] slot;
    assign ahead = 8'((e + Entries - 1 - 32'(u_stlb.u_arbiter.last_q)) % Entries);
    assign slot = 2'((32'(u_stlb.read_q) + 32'(position_q[e])) % Entries);

    always_comb begin : strengthening
      if (running) begin
        passed_and_ahead_are_few : assert (!wants_i[e] || others_q[e] + ahead < 8'(Entries));
        turns_are_counted : assert (others_q[e] < 8'(Entries));
        results_are_in_their_places :
        assert (!looked_up_q[e] || (position_q[e] < count && 32'(u_stlb.entry_q[slot]) == e && u_stlb.code_q[slot] == code_q[e]));
        what_is_held_is_known : assert (!looked_up_q[e] || u_stlb.gen_inclusive.holds_q[slot]);
      end
    end
    for (genvar f = 0; f < e; f++) begin : gen_other
      always_comb begin : strengthening
        if (running) positions_differ : assert (!(looked_up_q[e] && looked_up_q[f]) || position_q[e] != position_q[f]);
      end
    end
  end

  always_comb begin : strengthening
    if (running) begin
      pointers_exist : assert (32'(u_stlb.read_q) < Entries && 32'(u_stlb.write_q) < Entries);
      results_are_written_behind_the_last :
      assert (32'(u_stlb.write_q) == (32'(u_stlb.read_q) + 32'(count)) % Entries);
      what_ripens_is_counted :
      assert (8'(u_stlb.due_q) + 8'($countones(u_stlb.u_ripening.gen_line.age_q)) == count);
      the_order_is_within_range : assert (32'(u_stlb.u_arbiter.last_q) < Entries);
      only_results_are_held : assert (32'($countones(u_stlb.gen_inclusive.holds_q)) == 32'(count));
    end
  end
endmodule
