// The page walker: reads the paging structures, sets A and D, and ends in a translation or a fault.
//
// Contract: sections 8.2 to 8.6, 10.1 (monitor). SDM: 4.5 (structures, reserved bits), 4.6, 4.7, 4.8 (accessed and dirty),
// 4.10.3 (paging-structure caches). Counterpart: src/model/walker.rs.
//
// Only a walk that began at CR3 may report a fault: one that began with a cached entry drops what
// it used and begins again. A and D are set by compare-and-set; when it fails, what came back is
// judged in place of what was read. An entry of 4 bytes, as 32-bit paging has them, is kept as the
// low half of 64 bits whose high half is 0.

module walker
  import mmu_pkg::*;
#(
    /// Physical address bits, 36 to 52.
    parameter int unsigned MAXPHYADDR = 46,
    /// 1 GiB pages are supported.
    parameter int unsigned PAGE_1G    = 1
) (
    /// Clock.
    input  logic         clk_i,
    /// Synchronous reset, active low.
    input  logic         rst_ni,
    // From and to the miss queue, or the prefetch.
    /// The walker is in IDLE.
    output logic         idle_o,
    /// It takes a walk in this cycle.
    input  logic         take_i,
    /// Entry of the miss queue, or the prefetch.
    input  owner_t       owner_i,
    /// Page number of the request.
    input  page_number_t page_i,
    /// Access of the request.
    input  access_t      access_i,
    /// The walk is to begin at CR3.
    input  logic         from_cr3_i,
    /// The prefetch has the right to fill.
    input  logic         prefetch_may_fill_i,
    /// The walk restarts: from_cr3 is set.
    output logic         restart_o,
    // From and to the commit.
    /// The walk.
    output walk_t        walk_o,
    /// Page number that is walked.
    output page_number_t page_o,
    /// The kept entry: of a translation the leaf.
    output logic [63:0]  leaf_o,
    /// What was recorded of the levels that were read, one element a paging-structure cache.
    output psc_data_t    read_data_o  [PscLevels],
    /// START or DONE commits.
    input  logic         commit_i,
    /// Level of the match in the paging-structure caches, 0 for none.
    input  logic [2:0]   cached_level_i,
    /// Data of that match.
    input  psc_data_t    cached_data_i,
    // From control.
    /// Control register bits.
    input  mode_t        mode_i,
    /// Frame of the first paging structure, from CR3.
    input  frame_t       root_i,
    // To and from the memory port.
    /// A transfer is wanted,
    output logic         mem_want_o,
    /// and it is a compare-and-set.
    output logic         mem_cas_o,
    /// Physical address of the entry.
    output logic [51:0]  mem_addr_o,
    /// New value of a compare-and-set.
    output logic [63:0]  mem_wdata_o,
    /// Expected value of a compare-and-set.
    output logic [63:0]  mem_expected_o,
    /// Halves of the 64 bits at that address that the entry stands in, until memory answers.
    output logic [1:0]   mem_halves_o,
    /// It is transferred.
    input  logic         mem_transfer_i,
    /// Memory answers this walker.
    input  logic         mem_answer_i,
    /// The entry that memory held; one of 4 bytes is the low half.
    input  logic [63:0]  mem_resp_data_i,
    /// Bus error.
    input  logic         mem_resp_error_i,
    // To the monitor.
    /// What the walker holds.
    output logic [31:0]  mon_walker_o
);

  walker_state_e state_d, state_q;
  owner_t        owner_q;
  page_number_t  page_q;
  access_t       access_q;
  logic          from_cr3_q;
  logic          restarted_q;
  logic          cached_q;
  /// The walk is one of 32-bit paging: kept, because that of a prefetch may outlive the mode.
  logic          two_level_q;
  // Position: level of the entry, the table that it is in, rights of the path above it.
  logic [2:0]    level_q;
  frame_t        frame_q;
  rights_t       rights_q;
  // The kept entry, and whether the bus failed.
  logic [63:0]   entry_q;
  logic          error_q;
  // Levels recorded as read, numbered as the paging-structure caches.
  logic [3:0]    read_levels_q;
  psc_data_t     read_data_q[PscLevels];
  // The end of the walk.
  walk_end_e     ending_q;
  logic [15:0]   error_code_q;

  logic unused_mode;
  assign unused_mode = ^{mode_i.pcid, mode_i.paging, mode_i.global_enable};

  logic start;
  logic for_prefetch;
  /// A prefetch that lost its right to fill before it began.
  logic stops;

  assign start = state_q == WalkerStart && commit_i;
  assign for_prefetch = owner_q == OwnerPrefetch;
  assign stops = start && for_prefetch && !prefetch_may_fill_i;

  assign idle_o = state_q == WalkerIdle;
  assign page_o = page_q;
  assign leaf_o = entry_q;
  assign read_data_o = read_data_q;
  assign walk_o = '{
      starts: state_q == WalkerStart,
      done: state_q == WalkerDone,
      walks: state_q != WalkerIdle,
      from_cr3: from_cr3_q,
      restarted: restarted_q,
      owner: owner_q,
      kind: access_q.kind,
      ending: ending_q,
      error_code: error_code_q,
      level: level_q,
      rights: rights_q,
      read_levels: read_levels_q
  };

  // ---------------------------------------------------------------------------------------------
  // READ and CAS: the request on the memory port
  // ---------------------------------------------------------------------------------------------

  /// Number, in its table, of the 8 bytes that the entry is. Of 32-bit paging two entries share them.
  function automatic logic [8:0] table_index(page_number_t page, logic [2:0] level,
                                             logic two_level);
    case (level)
      3'd1:    table_index = two_level ? page[9:1] : page[8:0];
      3'd2:    table_index = two_level ? page[19:11] : page[17:9];
      3'd3:    table_index = page[26:18];
      3'd4:    table_index = page[35:27];
      default: table_index = page[44:36];
    endcase
  endfunction

  always_comb begin : find_halves
    logic is_high;
    is_high = level_q == 3'd1 ? page_q[0] : page_q[10];
    mem_halves_o = two_level_q ? {is_high, !is_high} : 2'b11;
  end

  logic [63:0] new_entry;

  always_comb begin : set_bits
    new_entry = '0;
    if (state_q == WalkerCas || state_q == WalkerCasWait) begin
      new_entry = entry_q;
      new_entry[BitAccessed] = 1'b1;
      if (is_leaf(entry_q[BitLarge], level_q, mode_i.large_pages) &&
          access_q.kind == KindWrite) begin
        new_entry[BitDirty] = 1'b1;
      end
    end
  end

  always_comb begin : request_memory
    mem_want_o = 1'b0;
    mem_cas_o = 1'b0;
    mem_addr_o = '0;
    mem_wdata_o = '0;
    mem_expected_o = '0;
    if (state_q == WalkerRead || state_q == WalkerCas) begin
      mem_want_o = 1'b1;
      mem_addr_o = {frame_q, table_index(page_q, level_q, two_level_q), 3'b000};
      if (state_q == WalkerCas) begin
        mem_cas_o = 1'b1;
        mem_wdata_o = new_entry;
        mem_expected_o = entry_q;
      end
    end
  end

  // ---------------------------------------------------------------------------------------------
  // EXAMINE: the entry is judged
  // ---------------------------------------------------------------------------------------------

  verdict_e    verdict;
  rights_t     combined;
  logic [15:0] fault_code;

  examine #(
      .MAXPHYADDR(MAXPHYADDR),
      .PAGE_1G   (PAGE_1G)
  ) u_examine (
      .enable_i    (state_q == WalkerExamine),
      .entry_i     (entry_q),
      .error_i     (error_q),
      .level_i     (level_q),
      .rights_i    (rights_q),
      .access_i    (access_q),
      .protection_i(mode_i.protection),
      .nxe_i       (mode_i.nxe),
      .two_level_i (two_level_q),
      .large_pages_i(mode_i.large_pages),
      .prefetch_i  (for_prefetch),
      .prefetch_may_fill_i,
      .verdict_o   (verdict),
      .rights_o    (combined),
      .error_code_o(fault_code)
  );

  // A walk with a cached start that would end badly begins again.
  assign restart_o = (verdict == VerdictPageFault || verdict == VerdictBusError) && cached_q;

  // ---------------------------------------------------------------------------------------------
  // State
  // ---------------------------------------------------------------------------------------------

  always_comb begin : next_state
    state_d = state_q;
    case (state_q)
      // No walk. Control being busy does not keep one from being taken.
      WalkerIdle: if (take_i) state_d = WalkerStart;

      // Waits for its commit, then drops the address or looks it up in the caches.
      WalkerStart: if (commit_i) state_d = stops ? WalkerDone : WalkerRead;

      // Wants a read of the level's entry.
      WalkerRead: if (mem_transfer_i) state_d = WalkerReadWait;

      // Until memory answers the read.
      WalkerReadWait: if (mem_answer_i) state_d = WalkerExamine;

      // The entry is judged.
      WalkerExamine: begin
        case (verdict)
          VerdictDescend: state_d = WalkerRead;
          VerdictSetBits: state_d = WalkerCas;
          default:        state_d = restart_o ? WalkerStart : WalkerDone;
        endcase
      end

      // Wants a compare-and-set of A and D.
      WalkerCas: if (mem_transfer_i) state_d = WalkerCasWait;

      // Until memory answers the compare-and-set.
      WalkerCasWait: if (mem_answer_i) state_d = WalkerExamine;

      // Waits for its commit, then responds and fills or drops.
      default: if (commit_i) state_d = WalkerIdle;
    endcase
  end

  always_ff @(posedge clk_i) begin : state
    if (!rst_ni) state_q <= WalkerIdle;
    else state_q <= state_d;
  end

  always_ff @(posedge clk_i) begin : request
    if (!rst_ni) begin
      owner_q     <= '0;
      page_q      <= '0;
      access_q    <= '0;
      from_cr3_q  <= 1'b0;
      restarted_q <= 1'b0;
    end else if (take_i) begin
      owner_q     <= owner_i;
      page_q      <= page_i;
      access_q    <= access_i;
      from_cr3_q  <= from_cr3_i;
      restarted_q <= 1'b0;
    end else if (restart_o) begin
      from_cr3_q  <= 1'b1;
      restarted_q <= 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin : position
    if (!rst_ni) begin
      cached_q      <= 1'b0;
      two_level_q   <= 1'b0;
      level_q       <= '0;
      frame_q       <= '0;
      rights_q      <= '0;
      read_levels_q <= '0;
    end else if (start) begin
      read_levels_q <= '0;
      cached_q      <= cached_level_i != '0;
      two_level_q   <= mode_i.two_level;
      if (cached_level_i != '0) begin
        level_q  <= cached_level_i - 3'd1;
        frame_q  <= cached_data_i.frame;
        rights_q <= cached_data_i.rights;
      end else begin
        level_q  <= mode_i.two_level ? 3'd2 : mode_i.la57 ? 3'd5 : 3'd4;
        frame_q  <= root_i;
        rights_q <= '{execute_disable: 1'b0, user: 1'b1, writable: 1'b1};
      end
    end else if (verdict == VerdictDescend) begin
      level_q  <= level_q - 3'd1;
      frame_q  <= entry_q[51:12];
      rights_q <= combined;
      read_levels_q[2'(level_q - 3'd2)] <= 1'b1;
    end else if (verdict == VerdictTranslated) begin
      rights_q <= combined;
    end
  end

  // Meaningful where a level is recorded as read, so it needs no reset.
  always_ff @(posedge clk_i) begin : read_data
    if (verdict == VerdictDescend) begin
      read_data_q[2'(level_q - 3'd2)] <= '{rights: combined, frame: entry_q[51:12]};
    end
  end

  always_ff @(posedge clk_i) begin : kept_entry
    if (!rst_ni) begin
      entry_q <= '0;
      error_q <= 1'b0;
    end else if (state_q == WalkerReadWait && mem_answer_i) begin
      entry_q <= mem_resp_data_i;
      error_q <= mem_resp_error_i;
    end else if (state_q == WalkerCasWait && mem_answer_i) begin
      entry_q <= mem_resp_data_i == entry_q ? new_entry : mem_resp_data_i;
      error_q <= mem_resp_error_i;
    end
  end

  always_ff @(posedge clk_i) begin : outcome
    if (!rst_ni) begin
      ending_q     <= WalkEndTranslated;
      error_code_q <= '0;
    end else if (stops) begin
      ending_q     <= WalkEndStopped;
    end else if (state_q == WalkerExamine) begin
      error_code_q <= fault_code;
      case (verdict)
        VerdictBusError:  ending_q <= WalkEndBusError;
        VerdictPageFault: ending_q <= WalkEndPageFault;
        VerdictStopped:   ending_q <= WalkEndStopped;
        default:          ending_q <= WalkEndTranslated;
      endcase
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Monitor
  // ---------------------------------------------------------------------------------------------

  always_comb begin : monitor
    mon_walker_o = '0;
    if (state_q != WalkerIdle) begin
      mon_walker_o[7:0] = {owner_q, state_q};
      if (state_q != WalkerStart && state_q != WalkerDone) mon_walker_o[10:8] = level_q;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && mem_answer_i) begin
      memory_answers_only_what_was_asked :
      assert (state_q == WalkerReadWait || state_q == WalkerCasWait)
      else $error("memory answers in state %0d", state_q);
    end
    if (rst_ni && mem_transfer_i) begin
      only_a_wanted_transfer_is_made :
      assert (mem_want_o)
      else $error("a transfer in state %0d", state_q);
    end
    if (rst_ni && (take_i || commit_i)) begin
      a_walker_is_taken_in_idle_and_commits_start_or_done :
      assert (take_i ? state_q == WalkerIdle && !commit_i :
              state_q == WalkerStart || state_q == WalkerDone)
      else $error("taken %b, commits %b in state %0d", take_i, commit_i, state_q);
    end
    if (rst_ni && state_q != WalkerIdle) begin
      a_walk_of_a_request_is_made_with_paging_on :
      assert (mode_i.paging || (for_prefetch && !prefetch_may_fill_i))
      else $error("state %0d while CR0.PG is 0", state_q);

      a_prefetch_has_no_drop_and_sets_no_bit :
      assert (!for_prefetch || !(from_cr3_q || state_q == WalkerCas || state_q == WalkerCasWait))
      else $error("state %0d of a prefetch, from CR3 %b", state_q, from_cr3_q);

      a_restarted_walk_begins_at_cr3 :
      assert (!restarted_q || from_cr3_q)
      else $error("restarted, but not from CR3");

      a_walk_is_at_a_level_that_exists :
      assert (state_q == WalkerStart || (state_q == WalkerDone && ending_q == WalkEndStopped) ||
              (level_q >= 3'd1 && level_q <= (two_level_q ? 3'd2 : 3'd5)))
      else $error("state %0d at level %0d", state_q, level_q);
    end
    if (rst_ni && state_q == WalkerCas) begin
      nothing_is_set_in_an_entry_that_is_not_present :
      assert (entry_q[BitPresent] && !error_q)
      else $error("compare-and-set of %h at level %0d, error %b", entry_q, level_q, error_q);

      a_compare_and_set_changes_accessed_and_dirty_only :
      assert (((new_entry ^ entry_q) & ~64'h60) == '0)
      else $error("compare-and-set of %h to %h", entry_q, new_entry);
    end
    if (rst_ni && state_q == WalkerDone) begin
      only_a_walk_from_cr3_ends_in_a_fault :
      assert (ending_q == WalkEndTranslated || ending_q == WalkEndStopped || !cached_q)
      else $error("a walk with a cached start ended with %0d", ending_q);

      a_translation_has_its_accessed_and_dirty_bits_set :
      assert (ending_q != WalkEndTranslated || (entry_q[BitPresent] && entry_q[BitAccessed] &&
              (for_prefetch || access_q.kind != KindWrite || entry_q[BitDirty])))
      else $error("translated with the entry %h", entry_q);
    end
  end
`endif

endmodule
