// The second-level TLB, which all ports share: its look-ups, and their results in order.
//
// Contract: sections 7.2 (look-up, passed_over), 7.3 (result), 7.6 (inclusion), 8.6 (probe), 10 (monitor).
// Counterpart: src/model/stlb.rs.
//
// One entry of the miss queue a cycle is looked up. What was found waits its latency, and then for
// its commit, behind what was looked up before.

module stlb
  import mmu_pkg::*;
#(
    /// Entries of the miss queue.
    parameter int unsigned ENTRIES         = 8,
    /// Cycles from a look-up to its result, 1 to 63.
    parameter int unsigned STLB_HIT_CYCLES = 7,
    /// Shapes of the arrays.
    parameter shapes_t     ARRAYS          = '0,
    /// The machine keeps pieces of pages, and invalidates them by the page.
    parameter bit          FRACTURES       = 1'b0,
    /// What leaves the STLB leaves the first level too.
    parameter bit          INCLUSIVE       = 1'b0
) (
    /// Clock.
    input  logic               clk_i,
    /// Synchronous reset, active low.
    input  logic               rst_ni,
    // From and to the miss queue.
    /// The entry waits for a look-up.
    input  logic [ENTRIES-1:0] wants_i,
    /// An entry is looked up in this cycle.
    output logic               take_o,
    /// Its number.
    output entry_t             entry_o,
    /// Its port.
    input  port_number_t       port_i,
    /// Its page number.
    input  page_number_t       page_i,
    /// Its access.
    input  access_t            access_i,
    // From and to the prefetch.
    /// The prefetch waits to be looked for.
    input  logic               wants_probe_i,
    /// Its page number.
    input  page_number_t       probe_page_i,
    /// It is looked for in this cycle.
    output logic               probe_o,
    /// Its page is there.
    output logic               probe_hit_o,
    // From and to the commit.
    /// What commits in this cycle.
    input  commit_t            commit_i,
    /// A look-up had to give way: only a result may commit.
    output logic               passed_over_o,
    /// A result is due.
    output logic               due_o,
    /// Its entry of the miss queue.
    output entry_t             due_entry_o,
    /// What was found: code,
    output lookup_e            due_code_o,
    /// tag,
    output tlb_tag_t           due_tag_o,
    /// data.
    output tlb_data_t          due_data_o,
    /// The level is filled.
    input  fill_t              fill_i,
    /// The page, and the size in which it comes.
    input  tlb_tag_t           fill_tag_i,
    // From and to the inclusion.
    /// The fill takes a valid entry that is not in conflict with it,
    output logic               evicts_o,
    /// and this is its tag.
    output tlb_tag_t           evicted_o,
    /// What was evicted leaves the first level in this cycle,
    input  logic               back_invalidates_i,
    /// and this is its tag.
    input  tlb_tag_t           back_invalidated_i,
    /// Entries of the miss queue whose results keep it.
    output logic [ENTRIES-1:0] keeps_evicted_o,
    // From control and commit.
    /// 32-bit paging.
    input  logic               two_level_i,
    /// Current PCID.
    input  pcid_t              pcid_i,
    /// Control register bits.
    input  protection_t        protection_i,
    /// Control is busy.
    input  logic               busy_i,
    /// What is invalidated, or initialised.
    input  invalidation_t      invalidation_i,
    /// Page number of an invalidation by page.
    input  page_number_t       invalidate_page_i,
    // To the performance counters.
    /// The look-up of this cycle finds an entry that serves the request,
    output logic               hit_o,
    /// and this is the size of its page.
    output page_size_e         hit_page_size_o,
    // To the monitor.
    /// Code of the look-up of this cycle.
    output logic [2:0]         mon_stlb_lookup_o,
    /// Its port.
    output port_number_t       mon_stlb_port_o,
    /// Its entry of the miss queue, or the prefetch.
    output owner_t             mon_stlb_entry_o,
    /// Fill, or an invalidation that removes something, one element an array.
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

  localparam int unsigned IndexWidth = ENTRIES > 1 ? $clog2(ENTRIES) : 1;
  localparam int unsigned CountWidth = $clog2(ENTRIES + 1);
  typedef logic [IndexWidth-1:0] index_t;
  typedef logic [CountWidth-1:0] count_t;

  function automatic index_t next_index(index_t index);
    return 32'(index) == ENTRIES - 1 ? '0 : index + index_t'(1);
  endfunction

  // What becomes of the entry of the miss queue is not this block's.
  logic unused_commit;
  assign unused_commit = ^commit_i;

  // ---------------------------------------------------------------------------------------------
  // Look-up: of the entries that wait the first in cyclic order, else the prefetch
  // ---------------------------------------------------------------------------------------------

  logic   gives_way;
  logic   may_look_up;
  index_t chosen;

  assign gives_way = commit_i.done || commit_i.drop;
  assign may_look_up = !busy_i && !gives_way;

  arbiter #(
      .COUNT(ENTRIES)
  ) u_arbiter (
      .clk_i,
      .rst_ni,
      .request_i(may_look_up ? wants_i : '0),
      .take_i   (take_o),
      .valid_o  (take_o),
      .index_o  (chosen)
  );

  assign entry_o = entry_t'(chosen);
  assign probe_o = wants_probe_i && may_look_up && wants_i == '0;

  // A look-up that had to give way does not have to do so twice.
  logic passed_over_q;
  assign passed_over_o = passed_over_q;

  always_ff @(posedge clk_i) begin : passed_over
    if (!rst_ni) passed_over_q <= 1'b0;
    else if (!busy_i) passed_over_q <= wants_i != '0 && gives_way;
  end

  logic         lookup[1];
  page_number_t page  [1];
  access_t      access[1];
  lookup_e      code  [1];
  tlb_tag_t     tag   [1];
  tlb_data_t    data  [1];

  assign lookup[0] = take_o || probe_o;
  assign page[0] = probe_o ? probe_page_i : page_i;
  assign access[0] = access_i;

  // Every fill is one of this level, and whether it keeps the page concerns nobody else.
  logic     unused_fills;
  logic     evicts;
  tlb_tag_t evicted;

  tlb_level #(
      .ARRAYS   (ARRAYS),
      .FRACTURES(FRACTURES)
  ) u_level (
      .clk_i,
      .rst_ni,
      .lookup_i     (lookup),
      .page_number_i(page),
      .access_i     (access),
      .probe_i      (probe_o),
      .two_level_i,
      .pcid_i,
      .protection_i,
      .code_o       (code),
      .tag_o        (tag),
      .data_o       (data),
      .fill_i,
      .fill_tag_i,
      .fills_o      (unused_fills),
      .evicts_o     (evicts),
      .evicted_o    (evicted),
      .invalidation_i,
      .invalidate_page_i,
      .mon_op_o,
      .mon_set_o,
      .mon_way_o,
      .mon_removed_o,
      .mon_tag_o,
      .mon_data_o,
      .mon_victim_tag_o,
      .mon_victim_data_o
  );

  assign hit_o = take_o && is_hit(code[0]);
  assign hit_page_size_o = tag[0].page_size;
  assign probe_hit_o = probe_o && code[0] != LookupMiss;

  always_comb begin : monitor
    mon_stlb_lookup_o = 3'(code[0]);
    mon_stlb_port_o = port_i;
    mon_stlb_entry_o = probe_o ? OwnerPrefetch : owner_t'(entry_o);
  end

  // ---------------------------------------------------------------------------------------------
  // Results, in order of look-up
  // ---------------------------------------------------------------------------------------------

  entry_t    entry_q[ENTRIES];
  lookup_e   code_q [ENTRIES];
  tlb_tag_t  tag_q  [ENTRIES];
  tlb_data_t data_q [ENTRIES];
  index_t    write_q, read_q;
  /// Results whose latency is over: the oldest ones.
  count_t    due_q;
  logic      ripens;

  delay_line #(
      .CYCLES(STLB_HIT_CYCLES)
  ) u_ripening (
      .clk_i,
      .rst_ni,
      .mark_i(take_o),
      .mark_o(ripens)
  );

  always_ff @(posedge clk_i) begin : result_memory
    if (take_o) begin
      entry_q[write_q] <= entry_o;
      code_q[write_q]  <= code[0];
      tag_q[write_q]   <= tag[0];
      data_q[write_q]  <= data[0];
    end
  end

  always_ff @(posedge clk_i) begin : results
    if (!rst_ni) begin
      write_q <= '0;
      read_q  <= '0;
      due_q   <= '0;
    end else begin
      if (take_o) write_q <= next_index(write_q);
      if (commit_i.result) read_q <= next_index(read_q);
      due_q <= due_q + count_t'(ripens) - count_t'(commit_i.result);
    end
  end

  assign due_o = due_q != '0;

  always_comb begin : show_result
    due_entry_o = '0;
    due_code_o = LookupNone;
    due_tag_o = '0;
    due_data_o = '0;
    if (due_o) begin
      due_entry_o = entry_q[read_q];
      due_code_o = code_q[read_q];
      due_tag_o = tag_q[read_q];
      due_data_o = data_q[read_q];
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Inclusion: which results keep what was evicted
  // ---------------------------------------------------------------------------------------------

  if (INCLUSIVE) begin : gen_inclusive
    /// The result has not committed yet.
    logic [ENTRIES-1:0] holds_q;

    assign evicts_o = evicts;
    assign evicted_o = evicted;

    always_ff @(posedge clk_i) begin : hold
      if (!rst_ni) begin
        holds_q <= '0;
      end else begin
        if (commit_i.result) holds_q[read_q] <= 1'b0;
        if (take_o) holds_q[write_q] <= 1'b1;
      end
    end

    always_comb begin : find_results
      keeps_evicted_o = '0;
      if (back_invalidates_i) begin
        for (int unsigned r = 0; r < ENTRIES; r++) begin
          if (holds_q[r] && code_q[r] != LookupMiss && tag_q[r] == back_invalidated_i) begin
            keeps_evicted_o[index_t'(entry_q[r])] = 1'b1;
          end
        end
      end
    end
  end else begin : gen_not_inclusive
    logic unused_eviction;
    assign unused_eviction = ^{evicts, evicted, back_invalidates_i, back_invalidated_i};
    assign evicts_o = 1'b0;
    assign evicted_o = '0;
    assign keeps_evicted_o = '0;
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && commit_i.result) begin
      a_result_commits_only_when_it_is_due :
      assert (due_o && owner_t'(due_entry_o) == commit_i.owner)
      else $error("the result of %0d commits, due %b: %0d", commit_i.owner, due_o, due_entry_o);
    end
    if (rst_ni && passed_over_q) begin
      a_look_up_gives_way_once_only :
      assert (busy_i || !gives_way)
      else $error("a DONE or a drop performs though a look-up was passed over");
    end
    if (rst_ni && probe_o) begin
      a_probe_never_takes_the_place_of_a_request :
      assert (!take_o)
      else $error("a probe and a look-up at once");
    end
  end
`endif

endmodule
