// All page walkers, and what they share: who takes which walk, the caches, and the memory port.
//
// Contract: sections 8.1 (IDLE), 8.2 (START), 8.3 (memory port), 8.6 (prefetch), 10 (monitor).
// Counterpart: src/model/walkers.rs.

module walkers
  import mmu_pkg::*;
#(
    /// Page walkers, 1 to 4.
    parameter int unsigned WALKERS      = 2,
    /// Of the entries that wait: 0 the next in cyclic order, 1 the one that waits longest.
    parameter int unsigned WALKER_ORDER = 0,
    /// Entries of the miss queue, 1 to 16.
    parameter int unsigned ENTRIES      = 8,
    /// Physical address bits, 36 to 52.
    parameter int unsigned MAXPHYADDR   = 46,
    /// 1 GiB pages are supported.
    parameter int unsigned PAGE_1G      = 1,
    /// Shapes of the paging-structure caches.
    parameter shapes_t     CACHES       = '0
) (
    /// Clock.
    input  logic               clk_i,
    /// Synchronous reset, active low.
    input  logic               rst_ni,
    // From and to the miss queue.
    /// The entry waits for a walker.
    input  logic [ENTRIES-1:0] wants_walk_i,
    /// An entry is taken in this cycle.
    output logic               take_o,
    /// Its number.
    output entry_t             entry_o,
    /// Its page number.
    input  page_number_t       page_i,
    /// Its access.
    input  access_t            access_i,
    /// Its walk begins at CR3.
    input  logic               from_cr3_i,
    /// The walk of a walker restarts.
    output logic [WALKERS-1:0] restart_o,
    /// What the walkers work for.
    output owner_t             owner_o             [WALKERS],
    // From and to the prefetch.
    /// It waits for a walker.
    input  logic               prefetch_wants_i,
    /// It is taken in this cycle.
    output logic               prefetch_take_o,
    /// Its page number.
    input  page_number_t       prefetch_page_i,
    /// It has the right to fill.
    input  logic               prefetch_may_fill_i,
    // From and to the commit.
    /// The walks.
    output walk_t              walk_o              [WALKERS],
    /// Page numbers that are walked.
    output page_number_t       page_o              [WALKERS],
    /// Kept entries.
    output logic [63:0]        leaf_o              [WALKERS],
    /// The walker commits START or DONE.
    input  logic [WALKERS-1:0] walker_i,
    /// What commits.
    input  commit_t            commit_i,
    /// Page number of that walk.
    input  page_number_t       commit_page_i,
    /// The walk fills.
    input  logic               fill_i,
    // From control.
    /// Control register bits.
    input  mode_t              mode_i,
    /// Frame of the first paging structure, from CR3.
    input  frame_t             root_i,
    /// Control is busy.
    input  logic               busy_i,
    /// An invalidation performs in the paging-structure caches.
    input  logic               psc_invalidate_i,
    /// It concerns all entries; else those of a PCID.
    input  logic               psc_invalidate_all_i,
    /// PCID of an invalidation.
    input  pcid_t              psc_invalidate_pcid_i,
    // To and from memory (see memory_port.sv).
    /// A request is made.
    output logic               mem_req_valid_o,
    /// Memory accepts it.
    input  logic               mem_req_ready_i,
    /// Read or compare-and-set.
    output logic [1:0]         mem_req_op_o,
    /// Number of the walker.
    output logic [7:0]         mem_req_id_o,
    /// Physical address.
    output logic [51:0]        mem_req_addr_o,
    /// Beats of 64 bits.
    output logic [7:0]         mem_req_beats_o,
    /// Byte enables.
    output logic [7:0]         mem_req_be_o,
    /// New value of a compare-and-set.
    output logic [63:0]        mem_req_wdata_o,
    /// Expected value of a compare-and-set.
    output logic [63:0]        mem_req_expected_o,
    /// A response is given.
    input  logic               mem_resp_valid_i,
    /// Number of the walker.
    input  logic [7:0]         mem_resp_id_i,
    /// What memory held.
    input  logic [63:0]        mem_resp_data_i,
    /// Bus error.
    input  logic               mem_resp_error_i,
    // To the monitor.
    /// Port of the request that commits.
    input  port_number_t       mon_port_i,
    /// Event of this cycle.
    output logic [2:0]         mon_walk_op_o       [WALKERS],
    /// Its port.
    output logic [1:0]         mon_walk_port_o     [WALKERS],
    /// Its entry of the miss queue, or the prefetch.
    output logic [4:0]         mon_walk_entry_o    [WALKERS],
    /// Level of the cached entry at which a walk begins, 0 for none.
    output logic [2:0]         mon_walk_psc_level_o[WALKERS],
    /// A translation had the right to fill.
    output logic               mon_walk_filled_o   [WALKERS],
    /// What the walkers hold.
    output logic [31:0]        mon_walker_o        [WALKERS],
    /// Fill, or an invalidation that removes something, one element a cache.
    output logic [1:0]         mon_psc_op_o        [PscLevels],
    /// Set.
    output logic [5:0]         mon_psc_set_o       [PscLevels],
    /// Way that is filled.
    output logic [5:0]         mon_psc_way_o       [PscLevels],
    /// Ways that lose what they held.
    output ways_t              mon_psc_removed_o   [PscLevels],
    /// Tag of the new entry.
    output logic [63:0]        mon_psc_tag_o       [PscLevels],
    /// Data of the new entry.
    output logic [63:0]        mon_psc_data_o      [PscLevels],
    /// Tag that the filled entry held.
    output logic [63:0]        mon_psc_victim_tag_o [PscLevels],
    /// Data that the filled entry held.
    output logic [63:0]        mon_psc_victim_data_o[PscLevels]
);

  localparam int unsigned IndexWidth = ENTRIES > 1 ? $clog2(ENTRIES) : 1;
  typedef logic [WALKERS-1:0] walkers_t;

  // What becomes of the entry of the miss queue is not this block's, and no PSC translates below bit
  // 21 of an address.
  logic unused_commit;
  assign unused_commit = ^{commit_i, commit_page_i};

  // ---------------------------------------------------------------------------------------------
  // IDLE: the lowest idle walker takes the entry whose turn it is, or else the prefetch
  // ---------------------------------------------------------------------------------------------

  walkers_t              idle;
  walkers_t              takes;
  logic [IndexWidth-1:0] chosen;
  owner_t                taken_owner;
  page_number_t          taken_page;
  access_t               taken_access;
  logic                  taken_from_cr3;

  if (WALKER_ORDER == 0) begin : gen_cyclic
    arbiter #(
        .COUNT(ENTRIES)
    ) u_arbiter (
        .clk_i,
        .rst_ni,
        .request_i(idle != '0 ? wants_walk_i : '0),
        .take_i   (take_o),
        .valid_o  (take_o),
        .index_o  (chosen)
    );
  end else begin : gen_oldest
    oldest #(
        .COUNT(ENTRIES)
    ) u_oldest (
        .clk_i,
        .rst_ni,
        .waits_i(wants_walk_i),
        .take_i (idle != '0),
        .valid_o(take_o),
        .index_o(chosen)
    );
  end

  assign entry_o = entry_t'(chosen);
  assign prefetch_take_o = prefetch_wants_i && !busy_i && !commit_i.drop && wants_walk_i == '0 &&
      idle != '0;

  always_comb begin : choose_walk
    takes = '0;
    taken_owner = '0;
    taken_page = '0;
    taken_access = '0;
    taken_from_cr3 = 1'b0;
    if (take_o) begin
      takes = idle & (~idle + walkers_t'(1));
      taken_owner = owner_t'(entry_o);
      taken_page = page_i;
      taken_access = access_i;
      taken_from_cr3 = from_cr3_i;
    end else if (prefetch_take_o) begin
      // A supervisor's read, of which nothing is judged.
      takes = idle & (~idle + walkers_t'(1));
      taken_owner = OwnerPrefetch;
      taken_page = prefetch_page_i;
    end
  end

  // ---------------------------------------------------------------------------------------------
  // The walkers
  // ---------------------------------------------------------------------------------------------

  psc_data_t   read_data[WALKERS][PscLevels];
  logic [2:0]  cached_level;
  psc_data_t   cached_data;
  walkers_t    mem_want;
  walkers_t    mem_cas;
  logic [51:0] mem_addr    [WALKERS];
  logic [63:0] mem_wdata   [WALKERS];
  logic [63:0] mem_expected[WALKERS];
  logic [1:0]  mem_halves  [WALKERS];
  logic [63:0] mem_held;
  walkers_t    mem_transfer;
  walkers_t    mem_answer;

  for (genvar w = 0; w < WALKERS; w++) begin : gen_walker
    walker #(
        .MAXPHYADDR(MAXPHYADDR),
        .PAGE_1G   (PAGE_1G)
    ) u_walker (
        .clk_i,
        .rst_ni,
        .idle_o             (idle[w]),
        .take_i             (takes[w]),
        .owner_i            (taken_owner),
        .page_i             (taken_page),
        .access_i           (taken_access),
        .from_cr3_i         (taken_from_cr3),
        .prefetch_may_fill_i,
        .restart_o          (restart_o[w]),
        .walk_o             (walk_o[w]),
        .page_o             (page_o[w]),
        .leaf_o             (leaf_o[w]),
        .read_data_o        (read_data[w]),
        .commit_i           (walker_i[w]),
        .cached_level_i     (cached_level),
        .cached_data_i      (cached_data),
        .mode_i,
        .root_i,
        .mem_want_o         (mem_want[w]),
        .mem_cas_o          (mem_cas[w]),
        .mem_addr_o         (mem_addr[w]),
        .mem_wdata_o        (mem_wdata[w]),
        .mem_expected_o     (mem_expected[w]),
        .mem_halves_o       (mem_halves[w]),
        .mem_transfer_i     (mem_transfer[w]),
        .mem_answer_i       (mem_answer[w]),
        .mem_resp_data_i    (mem_held),
        .mem_resp_error_i,
        .mon_walker_o       (mon_walker_o[w])
    );

    assign owner_o[w] = walk_o[w].owner;
  end

  memory_port #(
      .WALKERS(WALKERS)
  ) u_memory_port (
      .clk_i,
      .rst_ni,
      .want_i    (mem_want),
      .cas_i     (mem_cas),
      .addr_i    (mem_addr),
      .wdata_i   (mem_wdata),
      .expected_i(mem_expected),
      .halves_i  (mem_halves),
      .transfer_o(mem_transfer),
      .answer_o  (mem_answer),
      .held_o    (mem_held),
      .mem_req_valid_o,
      .mem_req_ready_i,
      .mem_req_op_o,
      .mem_req_id_o,
      .mem_req_addr_o,
      .mem_req_beats_o,
      .mem_req_be_o,
      .mem_req_wdata_o,
      .mem_req_expected_o,
      .mem_resp_valid_i,
      .mem_resp_id_i,
      .mem_resp_data_i
  );

  // ---------------------------------------------------------------------------------------------
  // The paging-structure caches serve the walk that commits
  // ---------------------------------------------------------------------------------------------

  logic [3:0] read_levels;
  psc_data_t  filled_data[PscLevels];

  always_comb begin : choose_recorded
    read_levels = '0;
    filled_data = '{default: '0};
    if (fill_i) begin
      for (int unsigned w = 0; w < WALKERS; w++) begin
        if (walker_i[w]) begin
          read_levels = walk_o[w].read_levels;
          filled_data = read_data[w];
        end
      end
    end
  end

  psc_group #(
      .CACHES(CACHES)
  ) u_psc_group (
      .clk_i,
      .rst_ni,
      .lookup_i         (commit_i.psc_lookup),
      .drop_i           (commit_i.drop),
      .fill_i,
      .fill_levels_i    (read_levels),
      .fill_data_i      (filled_data),
      .prefix_i         (commit_page_i[44:9]),
      .level_o          (cached_level),
      .data_o           (cached_data),
      .two_level_i      (mode_i.two_level),
      .la57_i           (mode_i.la57),
      .pcid_i           (mode_i.pcid),
      .invalidate_i     (psc_invalidate_i),
      .invalidate_all_i (psc_invalidate_all_i),
      .invalidate_pcid_i(psc_invalidate_pcid_i),
      .mon_op_o         (mon_psc_op_o),
      .mon_set_o        (mon_psc_set_o),
      .mon_way_o        (mon_psc_way_o),
      .mon_removed_o    (mon_psc_removed_o),
      .mon_tag_o        (mon_psc_tag_o),
      .mon_data_o       (mon_psc_data_o),
      .mon_victim_tag_o (mon_psc_victim_tag_o),
      .mon_victim_data_o(mon_psc_victim_data_o)
  );

  // ---------------------------------------------------------------------------------------------
  // Monitor
  // ---------------------------------------------------------------------------------------------

  always_comb begin : monitor
    for (int unsigned w = 0; w < WALKERS; w++) begin
      mon_walk_op_o[w] = WalkNone;
      mon_walk_port_o[w] = '0;
      mon_walk_entry_o[w] = '0;
      mon_walk_psc_level_o[w] = '0;
      mon_walk_filled_o[w] = 1'b0;
      if (walker_i[w]) begin
        mon_walk_port_o[w] = mon_port_i;
        mon_walk_entry_o[w] = commit_i.owner;
        if (commit_i.start) begin
          mon_walk_op_o[w] = walk_o[w].restarted ? WalkRestart : WalkStart;
          mon_walk_psc_level_o[w] = cached_level;
        end else begin
          mon_walk_filled_o[w] = fill_i;
          case (walk_o[w].ending)
            WalkEndTranslated: mon_walk_op_o[w] = WalkTranslated;
            WalkEndPageFault:  mon_walk_op_o[w] = WalkPageFault;
            WalkEndStopped:    mon_walk_op_o[w] = WalkStopped;
            default:           mon_walk_op_o[w] = WalkBusError;
          endcase
        end
      end
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && (take_o || prefetch_take_o)) begin
      at_most_one_walker_takes_a_walk :
      assert (takes != '0 && (takes & (takes - walkers_t'(1))) == '0 && (takes & ~idle) == '0)
      else $error("walkers %b take a walk, idle are %b", takes, idle);
    end
    for (int unsigned w = 1; w < WALKERS; w++) begin
      for (int unsigned v = 0; v < w; v++) begin
        if (rst_ni && !idle[v] && !idle[w]) begin
          no_two_walkers_hold_one_entry :
          assert (owner_o[v] != owner_o[w])
          else $error("walkers %0d and %0d both hold %0d", v, w, owner_o[v]);
        end
      end
    end
  end
`endif

endmodule
