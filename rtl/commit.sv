// The commit: at most one of all walkers and STLB results a cycle acts on the rest of the machine.
//
// Contract: sections 7.3 (result), 7.4 (commit), 8.2 (START), 8.5 (DONE), 8.6 (prefetch).
// Counterpart: in src/model part of mmu.rs.
//
// Whether something commits is a function of state alone. What it does follows from it: the response,
// the fills, the drop, and what becomes of the entry of the miss queue.

module commit
  import mmu_pkg::*;
#(
    /// Page walkers, 1 to 4.
    parameter int unsigned WALKERS = 2
) (
    /// Clock.
    input  logic               clk_i,
    /// Synchronous reset, active low.
    input  logic               rst_ni,
    // From control.
    /// Control is busy: nothing commits.
    input  logic               busy_i,
    /// Control register bits.
    input  mode_t              mode_i,
    // From the inclusion.
    /// A back-invalidation performs: nothing commits.
    input  logic               back_invalidates_i,
    // From and to the walkers.
    /// Their walks.
    input  walk_t              walk_i       [WALKERS],
    /// Page numbers that are walked.
    input  page_number_t       page_i       [WALKERS],
    /// Kept entries: of a translation the leaf.
    input  logic [63:0]        leaf_i       [WALKERS],
    /// The walker commits START or DONE.
    output logic [WALKERS-1:0] walker_o,
    /// Page number of that walk.
    output page_number_t       page_o,
    // From the STLB.
    /// A look-up was passed over: only a result may commit.
    input  logic               passed_over_i,
    /// A result is due.
    input  logic               due_i,
    /// Its entry of the miss queue.
    input  entry_t             due_entry_i,
    /// Code that the look-up found.
    input  lookup_e            due_code_i,
    /// Tag that it found.
    input  tlb_tag_t           due_tag_i,
    /// Data that it found.
    input  tlb_data_t          due_data_i,
    // From the miss queue and the prefetch.
    /// The entry that something commits for.
    input  miss_t              miss_i,
    /// Its address.
    input  logic [63:0]        va_i,
    /// The prefetch has the right to fill.
    input  logic               prefetch_may_fill_i,
    // To all.
    /// What commits.
    output commit_t            commit_o,
    // To the ports.
    /// A response is pushed, to port `port_o`.
    output logic               respond_o,
    /// Port of the response and of the L1 fill.
    output port_number_t       port_o,
    /// Id, status and error code of the response.
    output response_t          response_o,
    /// Translation of the response, 0 unless translated.
    output translation_t       translation_o,
    /// Faulting address of the response, 0 unless a page fault.
    output logic [63:0]        fault_va_o,
    // To the TLBs.
    /// Fill of the L1 level of the port.
    output fill_t              l1_fill_o,
    /// Fill of the STLB, and of the paging-structure caches.
    output fill_t              stlb_fill_o,
    /// Its page, the size in which it comes, and the page number of the address.
    output tlb_tag_t           fill_tag_o
);

  localparam int unsigned WalkerWidth = WALKERS > 1 ? $clog2(WALKERS) : 1;
  localparam int unsigned Width = $clog2(WALKERS + 1);
  typedef logic [WalkerWidth-1:0] walker_t;

  // ---------------------------------------------------------------------------------------------
  // The choice (a function of state alone): walkers by their numbers, and the result after them
  // ---------------------------------------------------------------------------------------------

  logic [WALKERS:0] asks;
  logic             commits;
  logic [Width-1:0] chosen;
  walker_t          walker;
  logic             by_walker;
  walk_t            walk;
  // The walkers' own affairs.
  logic             unused_walk;
  assign unused_walk = ^{walk.walks, walk.restarted, walk.kind, walk.read_levels, mode_i};

  always_comb begin : ask
    asks = '0;
    if (!busy_i && !back_invalidates_i) begin
      asks[WALKERS] = due_i;
      if (!passed_over_i) begin
        for (int unsigned w = 0; w < WALKERS; w++) asks[w] = walk_i[w].starts || walk_i[w].done;
      end
    end
  end

  arbiter #(
      .COUNT(WALKERS + 1)
  ) u_arbiter (
      .clk_i,
      .rst_ni,
      .request_i(asks),
      // A result out of turn leaves the order as it is: else two walkers could go before a third for ever.
      .take_i   (commits && !passed_over_i),
      .valid_o  (commits),
      .index_o  (chosen)
  );

  assign by_walker = commits && 32'(chosen) != WALKERS;
  assign walker = walker_t'(chosen);

  always_comb begin : choose_walk
    walk = '0;
    walker_o = '0;
    page_o = '0;
    if (by_walker) begin
      walk = walk_i[walker];
      walker_o[walker] = 1'b1;
      page_o = page_i[walker];
    end
  end

  // ---------------------------------------------------------------------------------------------
  // What it is, and whose
  // ---------------------------------------------------------------------------------------------

  logic for_prefetch;
  logic translated;
  logic may_fill;
  logic result;
  logic result_hits;

  assign for_prefetch = walk.owner == OwnerPrefetch;
  assign translated = walk.done && walk.ending == WalkEndTranslated;
  assign result = commits && !by_walker;
  assign result_hits = result && is_hit(due_code_i);
  assign may_fill = for_prefetch ? prefetch_may_fill_i : miss_i.may_fill;

  // Kept apart from what follows from the entry, which is read by the owner that is found here.
  always_comb begin : find_owner
    commit_o.start = walk.starts;
    commit_o.done = walk.done;
    commit_o.result = result;
    commit_o.owner = result ? owner_t'(due_entry_i) : walk.owner;
    commit_o.drop = (walk.starts && walk.from_cr3) ||
        (walk.done && walk.ending == WalkEndPageFault);
    commit_o.frees = (walk.done && !for_prefetch) || result_hits;
    commit_o.to_walk_wait = result && !result_hits;
    commit_o.from_cr3 = result && due_code_i == LookupDenied;
    // A prefetch that lost its right stops before it looks anything up.
    commit_o.psc_lookup = walk.starts && !walk.from_cr3 && (!for_prefetch || prefetch_may_fill_i);
  end

  // ---------------------------------------------------------------------------------------------
  // The translation: of a walk, by its leaf, or what the look-up kept
  // ---------------------------------------------------------------------------------------------

  fill_t fill;

  // By the mode of this cycle: of a prefetch that outlived its mode nothing of this is used.
  always_comb begin : find_translation
    logic [63:0] leaf;
    page_size_e  size;
    leaf = '0;
    size = Size4K;
    fill = '0;
    fill_tag_o = '0;
    if (translated) begin
      leaf = leaf_i[walker];
      size = leaf_size(walk.level, mode_i.two_level);
      fill_tag_o.page_size = size;
      fill_tag_o.kept_size = size;
      fill_tag_o.global_page = leaf[BitGlobal] && mode_i.global_enable;
      fill_tag_o.pcid = mode_i.pcid;
      fill_tag_o.page_number = page_o;
      fill.data.memory_type.pat = size == Size4K ? leaf[BitLarge] : leaf[BitLargePat];
      fill.data.memory_type.pcd = leaf[BitPcd];
      fill.data.memory_type.pwt = leaf[BitPwt];
      fill.data.key = leaf[62:59];
      fill.data.dirty = leaf[BitDirty];
      fill.data.rights = walk.rights;
      fill.data.frame = frame_of(leaf[51:12], size);
    end else if (result_hits) begin
      fill.data = due_data_i;
      fill_tag_o = due_tag_i;
      fill_tag_o.page_number = va_i[56:12];
    end
    fill.is_write = miss_i.is_write;
    fill.performs = (translated || result_hits) && may_fill;
  end

  always_comb begin : choose_fills
    l1_fill_o = fill;
    stlb_fill_o = fill;
    if (for_prefetch) l1_fill_o.performs = 1'b0;
    if (!translated) stlb_fill_o.performs = 1'b0;
  end

  // ---------------------------------------------------------------------------------------------
  // The response
  // ---------------------------------------------------------------------------------------------

  assign respond_o = commit_o.frees;
  assign port_o = miss_i.port;

  always_comb begin : respond
    response_o = '0;
    translation_o = '0;
    fault_va_o = '0;
    if (respond_o) begin
      response_o.id = miss_i.id;
      if (translated || result_hits) begin
        response_o.status = StatusTranslated;
        translation_o = translate(fill.data.memory_type, fill.data.frame, fill_tag_o.kept_size,
                                  fill_tag_o.page_size, va_i[29:0]);
      end else if (walk.ending == WalkEndPageFault) begin
        response_o.status = StatusPageFault;
        response_o.error_code = walk.error_code;
        fault_va_o = va_i;
      end else begin
        response_o.status = StatusBusError;
      end
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && (walker_o != '0 || commit_o.result)) begin
      nothing_commits_while_control_is_busy :
      assert (!busy_i && !back_invalidates_i)
      else $error("walkers %b, result %b commit while control is busy", walker_o, commit_o.result);

      at_most_one_commits_in_a_cycle :
      assert ((walker_o & (walker_o - WALKERS'(1))) == '0 && !(commit_o.result && walker_o != '0) &&
              32'(commit_o.start) + 32'(commit_o.done) + 32'(commit_o.result) == 1)
      else $error("walkers %b, result %b commit at once", walker_o, commit_o.result);

      a_prefetch_never_drops_or_answers :
      assert (!for_prefetch || !(commit_o.drop || respond_o || l1_fill_o.performs))
      else $error("drop %b, response %b of a prefetch", commit_o.drop, respond_o);
    end
  end
`endif

endmodule
