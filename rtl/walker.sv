// The page walker: reads the paging structures, sets A and D, and ends in a translation or a fault.
//
// Contract: section 8. SDM: 4.5 (structures, reserved bits), 4.6, 4.7, 4.8 (accessed and dirty),
// 4.10.3 (paging-structure caches). Counterpart: src/model/walker.rs.
//
// Only a walk that began at CR3 may report a fault: one that began with a cached entry drops what
// it used and begins again. A and D are set by compare-and-set; when it fails, what came back is
// judged in place of what was read.

module walker
  import mmu_pkg::*;
#(
    /// Ports of the machine.
    parameter int unsigned PORTS             = 2,
    /// Physical address bits, 36 to 52.
    parameter int unsigned MAXPHYADDR        = 46,
    /// 1 GiB pages are supported.
    parameter int unsigned PAGE_1G           = 1,
    /// Entries of the cache of PDEs.
    parameter int unsigned PSC_PDE_ENTRIES   = 32,
    /// Entries of the cache of PDPTEs.
    parameter int unsigned PSC_PDPTE_ENTRIES = 8,
    /// Entries of the cache of PML4Es.
    parameter int unsigned PSC_PML4E_ENTRIES = 4,
    /// Entries of the cache of PML5Es.
    parameter int unsigned PSC_PML5E_ENTRIES = 2
) (
    /// Clock.
    input  logic         clk_i,
    /// Synchronous reset, active low.
    input  logic         rst_ni,
    // From and to the miss entries.
    /// The port's miss entry waits for a walk.
    input  logic         wants_walk_i         [PORTS],
    /// The walk is to begin at CR3.
    input  logic         from_cr3_i           [PORTS],
    /// The miss entry has the right to fill.
    input  logic         may_fill_i           [PORTS],
    /// Page number of the request.
    input  page_number_t page_i               [PORTS],
    /// Access of the request.
    input  access_t      access_i             [PORTS],
    /// The miss entry is taken in this cycle.
    output logic         take_o               [PORTS],
    /// Port that the walker works for.
    output logic [1:0]   port_o,
    /// DONE performs.
    output logic         done_o,
    /// How the walk ended.
    output walk_end_e    end_o,
    /// Error code of a page fault.
    output logic [15:0]  error_code_o,
    /// Page size of a translation.
    output page_size_e   size_o,
    /// Tag of a translation.
    output tlb_tag_t     tag_o,
    /// Data of a translation.
    output tlb_data_t    data_o,
    // To all blocks with arrays.
    /// A drop performs in this cycle.
    output logic         drop_o,
    /// Its page number.
    output page_number_t drop_page_o,
    // From control.
    /// Control register bits.
    input  mode_t        mode_i,
    /// Frame of the first paging structure, from CR3.
    input  frame_t       root_i,
    /// Control is busy.
    input  logic         busy_i,
    /// An invalidation performs in the paging-structure caches.
    input  logic         psc_invalidate_i,
    /// It concerns all entries; else those of a PCID.
    input  logic         psc_invalidate_all_i,
    /// PCID of an invalidation.
    input  pcid_t        psc_invalidate_pcid_i,
    // To and from memory.
    /// A request is made.
    output logic         mem_req_valid_o,
    /// Memory accepts it.
    input  logic         mem_req_ready_i,
    /// Read or compare-and-set.
    output mem_op_e      mem_req_op_o,
    /// Physical address of the entry.
    output logic [51:0]  mem_req_addr_o,
    /// New value of a compare-and-set.
    output logic [63:0]  mem_req_wdata_o,
    /// Expected value of a compare-and-set.
    output logic [63:0]  mem_req_expected_o,
    /// Memory answers.
    input  logic         mem_resp_valid_i,
    /// What memory held.
    input  logic [63:0]  mem_resp_data_i,
    /// Bus error.
    input  logic         mem_resp_error_i,
    // To the monitor.
    /// Event of this cycle.
    output logic [2:0]   mon_walk_op_o,
    /// Its port.
    output logic [1:0]   mon_walk_port_o,
    /// Level of the cached entry at which a walk begins, 0 for none.
    output logic [2:0]   mon_walk_psc_level_o,
    /// A translation had the right to fill.
    output logic         mon_walk_filled_o,
    /// Fill, or an invalidation that removes something, one element a cache.
    output logic [1:0]   mon_psc_op_o         [PscLevels],
    /// Entry that is filled.
    output logic [5:0]   mon_psc_way_o        [PscLevels],
    /// Entries that lose what they held.
    output ways_t        mon_psc_removed_o    [PscLevels],
    /// Tag of the new entry.
    output logic [63:0]  mon_psc_tag_o        [PscLevels],
    /// Data of the new entry.
    output logic [63:0]  mon_psc_data_o       [PscLevels],
    /// Tag that the filled entry held.
    output logic [63:0]  mon_psc_victim_tag_o [PscLevels],
    /// Data that the filled entry held.
    output logic [63:0]  mon_psc_victim_data_o[PscLevels]
);

  localparam int unsigned PortWidth = PORTS > 1 ? $clog2(PORTS) : 1;
  typedef logic [PortWidth-1:0] port_t;

  typedef enum logic [2:0] {
    Idle,
    Start,
    Read,
    ReadWait,
    Examine,
    Cas,
    CasWait,
    Done
  } walk_state_e;

  walk_state_e  state_d, state_q;
  port_t        port_q;
  page_number_t page_q;
  access_t      access_q;
  logic         from_cr3_q;
  logic         restarted_q;
  logic         cached_q;
  // Position: level of the entry, the table that it is in, rights of the path above it.
  logic [2:0]   level_q;
  frame_t       frame_q;
  rights_t      rights_q;
  // The kept entry, and whether the bus failed.
  logic [63:0]  entry_q;
  logic         error_q;
  // Levels recorded as read, numbered as the paging-structure caches.
  logic [3:0]   read_levels_q;
  psc_data_t    read_data_q[PscLevels];
  // The end of the walk.
  walk_end_e    end_q;
  logic [15:0]  error_code_q;

  // ---------------------------------------------------------------------------------------------
  // What performs in this cycle (a function of state alone)
  // ---------------------------------------------------------------------------------------------

  logic start;
  logic page_fault_done;
  logic translated_done;
  logic fills;
  assign start = state_q == Start && !busy_i;
  assign done_o = state_q == Done && !busy_i;
  assign page_fault_done = done_o && end_q == WalkEndPageFault;
  assign translated_done = done_o && end_q == WalkEndTranslated;
  assign fills = translated_done && may_fill_i[port_q];
  assign drop_o = (start && from_cr3_q) || page_fault_done;
  assign drop_page_o = page_q;
  assign port_o = 2'(port_q);

  // ---------------------------------------------------------------------------------------------
  // IDLE: the first entry that waits, in cyclic order after the port last taken
  // ---------------------------------------------------------------------------------------------

  logic  takes;
  port_t take_port;

  always_comb begin : choose_port
    takes = 1'b0;
    take_port = '0;
    take_o = '{default: 1'b0};
    if (state_q == Idle) begin
      for (int unsigned i = PORTS; i > 0; i--) begin
        if (wants_walk_i[port_t'((32'(port_q) + i) % PORTS)]) begin
          takes = 1'b1;
          take_port = port_t'((32'(port_q) + i) % PORTS);
        end
      end
      take_o[take_port] = takes;
    end
  end

  // ---------------------------------------------------------------------------------------------
  // START: look-up in the paging-structure caches
  // ---------------------------------------------------------------------------------------------

  logic [2:0] cached_level;
  psc_data_t  cached_data;

  psc_group #(
      .PDE_ENTRIES  (PSC_PDE_ENTRIES),
      .PDPTE_ENTRIES(PSC_PDPTE_ENTRIES),
      .PML4E_ENTRIES(PSC_PML4E_ENTRIES),
      .PML5E_ENTRIES(PSC_PML5E_ENTRIES)
  ) u_psc_group (
      .clk_i,
      .rst_ni,
      .lookup_i         (start && !from_cr3_q),
      .drop_i           (drop_o),
      .fill_i           (fills),
      .fill_levels_i    (read_levels_q),
      .fill_data_i      (read_data_q),
      .prefix_i         (page_q[44:9]),
      .level_o          (cached_level),
      .data_o           (cached_data),
      .la57_i           (mode_i.la57),
      .pcid_i           (mode_i.pcid),
      .invalidate_i     (psc_invalidate_i),
      .invalidate_all_i (psc_invalidate_all_i),
      .invalidate_pcid_i(psc_invalidate_pcid_i),
      .mon_op_o         (mon_psc_op_o),
      .mon_way_o        (mon_psc_way_o),
      .mon_removed_o    (mon_psc_removed_o),
      .mon_tag_o        (mon_psc_tag_o),
      .mon_data_o       (mon_psc_data_o),
      .mon_victim_tag_o (mon_psc_victim_tag_o),
      .mon_victim_data_o(mon_psc_victim_data_o)
  );

  // ---------------------------------------------------------------------------------------------
  // READ and CAS: the request on the memory port
  // ---------------------------------------------------------------------------------------------

  function automatic logic [8:0] table_index(page_number_t page, logic [2:0] level);
    case (level)
      3'd1:    return page[8:0];
      3'd2:    return page[17:9];
      3'd3:    return page[26:18];
      3'd4:    return page[35:27];
      default: return page[44:36];
    endcase
  endfunction

  logic [63:0] new_entry;

  always_comb begin : set_bits
    new_entry = '0;
    if (state_q == Cas || state_q == CasWait) begin
      new_entry = entry_q;
      new_entry[BitAccessed] = 1'b1;
      if (is_leaf(entry_q[BitLarge], level_q) && access_q.kind == KindWrite) begin
        new_entry[BitDirty] = 1'b1;
      end
    end
  end

  always_comb begin : request_memory
    mem_req_valid_o = 1'b0;
    mem_req_op_o = MemRead;
    mem_req_addr_o = '0;
    mem_req_wdata_o = '0;
    mem_req_expected_o = '0;
    if (state_q == Read || state_q == Cas) begin
      mem_req_valid_o = 1'b1;
      mem_req_addr_o = {frame_q, table_index(page_q, level_q), 3'b000};
      if (state_q == Cas) begin
        mem_req_op_o = MemCompareAndSet;
        mem_req_wdata_o = new_entry;
        mem_req_expected_o = entry_q;
      end
    end
  end

  // ---------------------------------------------------------------------------------------------
  // EXAMINE: the entry is judged
  // ---------------------------------------------------------------------------------------------

  verdict_e    verdict;
  rights_t     combined;
  logic [15:0] fault_code;
  logic        restarts;

  examine #(
      .MAXPHYADDR(MAXPHYADDR),
      .PAGE_1G   (PAGE_1G)
  ) u_examine (
      .enable_i    (state_q == Examine),
      .entry_i     (entry_q),
      .error_i     (error_q),
      .level_i     (level_q),
      .rights_i    (rights_q),
      .access_i    (access_q),
      .protection_i(mode_i.protection),
      .nxe_i       (mode_i.nxe),
      .verdict_o   (verdict),
      .rights_o    (combined),
      .error_code_o(fault_code)
  );

  // A walk with a cached start that would end badly begins again.
  assign restarts = (verdict == VerdictPageFault || verdict == VerdictBusError) && cached_q;

  // ---------------------------------------------------------------------------------------------
  // State
  // ---------------------------------------------------------------------------------------------

  always_comb begin : next_state
    state_d = state_q;
    case (state_q)
      // No walk. Control being busy does not keep one from being taken.
      Idle: if (takes) state_d = Start;

      // Waits for control, then drops the address or looks it up in the caches.
      Start: if (start) state_d = Read;

      // A read of the level's entry is on the memory port.
      Read: if (mem_req_ready_i) state_d = ReadWait;

      // Until memory answers the read.
      ReadWait: if (mem_resp_valid_i) state_d = Examine;

      // The entry is judged.
      Examine: begin
        case (verdict)
          VerdictDescend: state_d = Read;
          VerdictSetBits: state_d = Cas;
          default:        state_d = restarts ? Start : Done;
        endcase
      end

      // A compare-and-set of A and D is on the memory port.
      Cas: if (mem_req_ready_i) state_d = CasWait;

      // Until memory answers the compare-and-set.
      CasWait: if (mem_resp_valid_i) state_d = Examine;

      // Waits for control, then responds and fills or drops.
      Done: if (done_o) state_d = Idle;

      default: state_d = Idle;
    endcase
  end

  always_ff @(posedge clk_i) begin : state
    if (!rst_ni) state_q <= Idle;
    else state_q <= state_d;
  end

  // After reset port 0 is the first in order.
  always_ff @(posedge clk_i) begin : request
    if (!rst_ni) begin
      port_q      <= port_t'(PORTS - 1);
      page_q      <= '0;
      access_q    <= '0;
      from_cr3_q  <= 1'b0;
      restarted_q <= 1'b0;
    end else if (takes) begin
      port_q      <= take_port;
      page_q      <= page_i[take_port];
      access_q    <= access_i[take_port];
      from_cr3_q  <= from_cr3_i[take_port];
      restarted_q <= 1'b0;
    end else if (restarts) begin
      from_cr3_q  <= 1'b1;
      restarted_q <= 1'b1;
    end
  end

  always_ff @(posedge clk_i) begin : position
    if (!rst_ni) begin
      cached_q      <= 1'b0;
      level_q       <= '0;
      frame_q       <= '0;
      rights_q      <= '0;
      read_levels_q <= '0;
    end else if (start) begin
      read_levels_q <= '0;
      cached_q      <= cached_level != '0;
      if (cached_level != '0) begin
        level_q  <= cached_level - 3'd1;
        frame_q  <= cached_data.frame;
        rights_q <= cached_data.rights;
      end else begin
        level_q  <= mode_i.la57 ? 3'd5 : 3'd4;
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
    end else if (state_q == ReadWait && mem_resp_valid_i) begin
      entry_q <= mem_resp_data_i;
      error_q <= mem_resp_error_i;
    end else if (state_q == CasWait && mem_resp_valid_i) begin
      entry_q <= mem_resp_data_i == entry_q ? new_entry : mem_resp_data_i;
      error_q <= mem_resp_error_i;
    end
  end

  always_ff @(posedge clk_i) begin : outcome
    if (!rst_ni) begin
      end_q        <= WalkEndTranslated;
      error_code_q <= '0;
    end else if (state_q == Examine) begin
      error_code_q <= fault_code;
      case (verdict)
        VerdictBusError:  end_q <= WalkEndBusError;
        VerdictPageFault: end_q <= WalkEndPageFault;
        default:          end_q <= WalkEndTranslated;
      endcase
    end
  end

  // ---------------------------------------------------------------------------------------------
  // DONE: the translation
  // ---------------------------------------------------------------------------------------------

  assign end_o = end_q;
  assign error_code_o = error_code_q;

  always_comb begin : translation
    size_o = Size4K;
    tag_o  = '0;
    data_o = '0;
    if (translated_done) begin
      size_o = page_size_e'(2'(level_q - 3'd1));
      tag_o.global_page = entry_q[BitGlobal] && mode_i.global_enable;
      tag_o.pcid = mode_i.pcid;
      tag_o.page_number = page_of(page_q, size_o);
      data_o.memory_type.pat = size_o == Size4K ? entry_q[BitLarge] : entry_q[BitLargePat];
      data_o.memory_type.pcd = entry_q[BitPcd];
      data_o.memory_type.pwt = entry_q[BitPwt];
      data_o.key = entry_q[62:59];
      data_o.dirty = entry_q[BitDirty];
      data_o.rights = rights_q;
      data_o.frame = frame_of(entry_q[51:12], size_o);
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Monitor
  // ---------------------------------------------------------------------------------------------

  always_comb begin : monitor
    mon_walk_op_o = WalkNone;
    mon_walk_port_o = '0;
    mon_walk_psc_level_o = '0;
    mon_walk_filled_o = 1'b0;
    if (start) begin
      mon_walk_op_o = restarted_q ? WalkRestart : WalkStart;
      mon_walk_port_o = port_o;
      mon_walk_psc_level_o = cached_level;
    end else if (done_o) begin
      mon_walk_port_o = port_o;
      mon_walk_filled_o = fills;
      case (end_q)
        WalkEndTranslated: mon_walk_op_o = WalkTranslated;
        WalkEndPageFault:  mon_walk_op_o = WalkPageFault;
        default:           mon_walk_op_o = WalkBusError;
      endcase
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && mem_resp_valid_i) begin
      memory_answers_only_what_was_asked :
      assert (state_q == ReadWait || state_q == CasWait)
      else $error("memory answers in state %0d", state_q);
    end
    if (rst_ni && state_q != Idle) begin
      a_walk_is_made_with_paging_on :
      assert (mode_i.paging)
      else $error("state %0d while CR0.PG is 0", state_q);

      the_port_that_is_walked_for_does_not_wait_for_a_walk :
      assert (!wants_walk_i[port_q])
      else $error("state %0d for port %0d, whose miss entry waits", state_q, port_q);

      a_restarted_walk_begins_at_cr3 :
      assert (!restarted_q || from_cr3_q)
      else $error("restarted, but not from CR3");

      a_walk_is_at_a_level_that_exists :
      assert (state_q == Start || (level_q >= 3'd1 && level_q <= 3'd5))
      else $error("state %0d at level %0d", state_q, level_q);
    end
    if (rst_ni && state_q == Cas) begin
      nothing_is_set_in_an_entry_that_is_not_present :
      assert (entry_q[BitPresent] && !error_q)
      else $error("compare-and-set of %h at level %0d, error %b", entry_q, level_q, error_q);

      a_compare_and_set_changes_accessed_and_dirty_only :
      assert (((new_entry ^ entry_q) & ~64'h60) == '0)
      else $error("compare-and-set of %h to %h", entry_q, new_entry);
    end
    if (rst_ni && state_q == Done) begin
      only_a_walk_from_cr3_ends_in_a_fault :
      assert (end_q == WalkEndTranslated || !cached_q)
      else $error("a walk with a cached start ended with %0d", end_q);

      a_translation_has_its_accessed_and_dirty_bits_set :
      assert (end_q != WalkEndTranslated || (entry_q[BitPresent] && entry_q[BitAccessed] &&
              (access_q.kind != KindWrite || entry_q[BitDirty])))
      else $error("translated with the entry %h", entry_q);
    end
  end
`endif

endmodule
