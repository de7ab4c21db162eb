// Types, codes and pure functions that the blocks of the memory-management unit share.
//
// Contract: sections 1.5 (page sizes, modes), 2.1 (where a page stands), 3 (codes), 4 (formats), 10
// (monitor codes), 11 (rights and error code).
// SDM: 4.5 (canonical addresses), 4.6 (access rights), 4.7 (error code).
// Counterpart: src/model/mmu_pkg.rs.
//
// Every packed type has at most 64 bits, because a simulator holds that in one machine word: what
// belongs together but is wider (a request, a response) is kept as two or three of them.

package mmu_pkg;

  // ---------------------------------------------------------------------------------------------
  // Widths
  // ---------------------------------------------------------------------------------------------

  /// Levels of TLB arrays: ITLB, DTLB, STLB.
  parameter int unsigned TlbLevels = 3;
  /// Arrays that a level may have, A to D.
  parameter int unsigned LevelArrays = 4;
  /// All TLB arrays, numbered 4 * level + array.
  parameter int unsigned TlbArrays = TlbLevels * LevelArrays;
  /// Page sizes that arrays hold: 4 KiB, 2 MiB (in 32-bit paging 4 MiB), and 1 GiB.
  parameter int unsigned PageSizes = 3;
  /// Paging-structure caches: PDE, PDPTE, PML4E, PML5E.
  parameter int unsigned PscLevels = 4;
  /// Performance counters (contract 10.2).
  parameter int unsigned PerfCounters = 32;
  /// Bits by which one level of paging structures, or one step of page size, differs from the next.
  parameter int unsigned IndexBits = 9;

  /// Virtual page number, va[56:12].
  typedef logic [44:0] page_number_t;
  /// Physical page frame, pa[51:12].
  typedef logic [39:0] frame_t;
  /// Process-context identifier.
  typedef logic [11:0] pcid_t;
  /// Row of an array (the largest array has 4096 sets).
  typedef logic [11:0] row_t;
  /// What an invalidation or a fill took away, one bit a way.
  typedef logic [63:0] ways_t;
  /// Number of a port: 0 fetches, 1 and up read and write.
  typedef logic [1:0] port_number_t;
  /// Number of an entry of the miss queue.
  typedef logic [3:0] entry_t;
  /// What a walker works for: an entry of the miss queue, or the prefetch.
  typedef logic [4:0] owner_t;
  parameter owner_t OwnerPrefetch = 5'd16;

  // ---------------------------------------------------------------------------------------------
  // Codes (values are part of the contract where they show at a port)
  // ---------------------------------------------------------------------------------------------

  /// Kind of a request.
  typedef enum logic [1:0] {
    KindRead  = 2'd0,
    KindWrite = 2'd1,
    KindFetch = 2'd2
  } kind_e;

  /// Status of a response.
  typedef enum logic [1:0] {
    StatusTranslated        = 2'd0,
    StatusPageFault         = 2'd1,
    StatusGeneralProtection = 2'd2,
    StatusBusError          = 2'd3
  } status_e;

  /// Page size.
  typedef enum logic [1:0] {
    Size4K = 2'd0,
    Size2M = 2'd1,
    Size1G = 2'd2,
    /// Of 32-bit paging, which has it in place of 2 MiB.
    Size4M = 2'd3
  } page_size_e;

  /// What a look-up found (contract 6 and 7.2).
  typedef enum logic [3:0] {
    LookupNone       = 4'd0,
    LookupHit4K      = 4'd1,
    LookupHit2M      = 4'd2,
    LookupHit1G      = 4'd3,
    LookupMiss       = 4'd4,
    LookupDenied     = 4'd5,
    LookupDirtyClear = 4'd6,
    LookupBypass     = 4'd7,
    LookupMerged     = 4'd8
  } lookup_e;

  /// State of an entry of the miss queue (contract 7).
  typedef enum logic [2:0] {
    MissFree     = 3'd0,
    MissStlbWait = 3'd1,
    MissStlbBusy = 3'd2,
    MissWalkWait = 3'd3,
    MissWalking  = 3'd4,
    MissWaiting  = 3'd5,
    MissRetry    = 3'd6
  } miss_state_e;

  /// State of a walker (contract 8).
  typedef enum logic [2:0] {
    WalkerIdle     = 3'd0,
    WalkerStart    = 3'd1,
    WalkerRead     = 3'd2,
    WalkerReadWait = 3'd3,
    WalkerExamine  = 3'd4,
    WalkerCas      = 3'd5,
    WalkerCasWait  = 3'd6,
    WalkerDone     = 3'd7
  } walker_state_e;

  /// State of the prefetch (contract 8.6).
  typedef enum logic [1:0] {
    PrefetchFree     = 2'd0,
    PrefetchProbe    = 2'd1,
    PrefetchWalkWait = 2'd2,
    PrefetchWalking  = 2'd3
  } prefetch_state_e;

  /// Control operation.
  typedef enum logic [2:0] {
    CtrlMovCr0    = 3'd0,
    CtrlMovCr3    = 3'd1,
    CtrlMovCr4    = 3'd2,
    CtrlWrmsrEfer = 3'd3,
    CtrlInvlpg    = 3'd4,
    CtrlInvpcid   = 3'd5
  } ctrl_op_e;

  /// Operation on the memory port.
  typedef enum logic [1:0] {
    MemRead          = 2'd0,
    MemCompareAndSet = 2'd2
  } mem_op_e;

  /// Walker event on the monitor.
  typedef enum logic [2:0] {
    WalkNone       = 3'd0,
    WalkStart      = 3'd1,
    WalkRestart    = 3'd2,
    WalkTranslated = 3'd3,
    WalkPageFault  = 3'd4,
    WalkBusError   = 3'd5,
    WalkStopped    = 3'd6
  } walk_event_e;

  /// Array event on the monitor.
  typedef enum logic [1:0] {
    ArrayNone       = 2'd0,
    ArrayFill       = 2'd1,
    ArrayInvalidate = 2'd2
  } array_event_e;

  /// What performs in the arrays of one TLB level.
  typedef enum logic [2:0] {
    TlbNone       = 3'd0,
    TlbLookup     = 3'd1,
    TlbFill       = 3'd2,
    TlbInvalidate = 3'd3,
    TlbInitialise = 3'd4
  } tlb_op_e;

  /// What performs in one paging-structure cache.
  typedef enum logic [2:0] {
    PscNone           = 3'd0,
    PscLookup         = 3'd1,
    PscFill           = 3'd2,
    PscInvalidateTag  = 3'd3,
    PscInvalidatePcid = 3'd4,
    PscInvalidateAll  = 3'd5
  } psc_op_e;

  /// How a walk ended.
  typedef enum logic [1:0] {
    WalkEndTranslated = 2'd0,
    WalkEndPageFault  = 2'd1,
    WalkEndBusError   = 2'd2,
    WalkEndStopped    = 2'd3
  } walk_end_e;

  /// What the walker makes of the entry that it examines (contract 8.4).
  typedef enum logic [2:0] {
    VerdictNone,
    VerdictDescend,
    VerdictSetBits,
    VerdictTranslated,
    VerdictPageFault,
    VerdictBusError,
    VerdictStopped
  } verdict_e;

  // ---------------------------------------------------------------------------------------------
  // Records
  // ---------------------------------------------------------------------------------------------

  /// What of a request decides whether it is allowed.
  typedef struct packed {
    logic [31:0] pkru;
    kind_e       kind;
    logic [1:0]  cpl;
    logic        ac;
    logic        implicit_supervisor;
  } access_t;

  /// A request without its address. Captured when accepted: nothing of it is sampled later.
  typedef struct packed {
    logic [7:0] id;
    access_t    access;
  } request_t;

  /// The bits of the control registers that decide whether an access is allowed.
  typedef struct packed {
    logic write_protect;
    logic smep;
    logic smap;
    /// CR4.PKE, but 0 in 32-bit paging.
    logic pke;
  } protection_t;

  /// The bits of the control registers that a look-up or a walk depends on.
  typedef struct packed {
    pcid_t       pcid;
    logic        paging;
    /// 32-bit paging: two levels of entries of 4 bytes.
    logic        two_level;
    /// A PDE may map a page: always, but in 32-bit paging with CR4.PSE only.
    logic        large_pages;
    logic        la57;
    logic        global_enable;
    /// EFER.NXE, but 0 in 32-bit paging.
    logic        nxe;
    protection_t protection;
  } mode_t;

  /// Rights combined over the levels of a path.
  typedef struct packed {
    logic execute_disable;
    logic user;
    logic writable;
  } rights_t;

  /// Tag of a TLB entry (contract 4.1). What a level keeps of a page may be a piece of it.
  typedef struct packed {
    page_size_e   page_size;
    page_size_e   kept_size;
    logic         global_page;
    pcid_t        pcid;
    page_number_t page_number;
  } tlb_tag_t;

  /// Memory type of a page, as the leaf states it.
  typedef struct packed {
    logic pat;
    logic pcd;
    logic pwt;
  } memory_type_t;

  /// Data of a TLB entry (contract 4.1).
  typedef struct packed {
    memory_type_t memory_type;
    logic [3:0]   key;
    logic         dirty;
    rights_t      rights;
    frame_t       frame;
  } tlb_data_t;

  /// Which entries an operation on a TLB level concerns, beside the page number and the PCID.
  typedef struct packed {
    /// The page number must equal at the kept size, and the rows are those of the page; else it is
    /// the row given.
    logic by_page;
    /// The page number must equal at the size of the page, of which pieces may be kept.
    logic by_whole_page;
    /// An entry that is not global is concerned whatever its PCID; else if its PCID equals.
    logic any_pcid;
    /// Global entries are concerned.
    logic globals;
    /// Entries that are not global are not.
    logic only_globals;
  } match_rule_t;

  /// Page sizes that an array holds, or that are concerned, one bit a size.
  typedef logic [PageSizes-1:0] sizes_t;

  /// What is invalidated, or initialised, in the TLB arrays in a cycle. An invalidation by page goes
  /// with a page number beside it.
  typedef struct packed {
    /// An invalidation, or a drop, performs.
    logic        performs;
    /// A step of the reset sweep: the rows become empty and get their first ranks.
    logic        initialise;
    /// Which entries it concerns.
    match_rule_t rule;
    /// By page: of which kept sizes.
    sizes_t      sizes;
    pcid_t       pcid;
    /// Row of a sweep.
    row_t        row;
  } invalidation_t;

  /// A fill of TLB levels. Beside it goes a tag: the size of the page, the size in which it comes, and
  /// the number of the very page of 4 KiB that was asked for. What is kept of it is each level's affair.
  typedef struct packed {
    logic      performs;
    /// It was asked for by a write.
    logic      is_write;
    tlb_data_t data;
  } fill_t;

  /// Tag of an entry of a paging-structure cache (contract 4.2).
  typedef struct packed {
    pcid_t       pcid;
    logic [35:0] prefix;
  } psc_tag_t;

  /// Data of an entry of a paging-structure cache (contract 4.2).
  typedef struct packed {
    rights_t rights;
    frame_t  frame;
  } psc_data_t;

  /// What the commit wants to know of an entry of the miss queue, beside its address.
  typedef struct packed {
    port_number_t port;
    logic [7:0]   id;
    /// It is a write.
    logic         is_write;
    /// It has the right to fill.
    logic         may_fill;
  } miss_t;

  /// What a walker shows of its walk, beside its address and the kept entry.
  typedef struct packed {
    /// In START, or in DONE: it wants to commit.
    logic        starts;
    logic        done;
    /// It is not IDLE.
    logic        walks;
    /// The walk begins at CR3, and whether that is a restart.
    logic        from_cr3;
    logic        restarted;
    owner_t      owner;
    /// Kind of the request; that of a prefetch means nothing.
    kind_e       kind;
    /// How it ended.
    walk_end_e   ending;
    logic [15:0] error_code;
    /// Level of the entry, and rights of the path: of a translation those of the leaf.
    logic [2:0]  level;
    rights_t     rights;
    /// Levels recorded as read, numbered as the paging-structure caches.
    logic [3:0]  read_levels;
  } walk_t;

  /// What commits in a cycle (contract 7.4), and for whom.
  typedef struct packed {
    /// START or DONE of a walker, or the result of a look-up in the STLB.
    logic        start;
    logic        done;
    logic        result;
    /// The entry of the miss queue, or the prefetch.
    owner_t      owner;
    /// A drop performs.
    logic        drop;
    /// The entry of the miss queue becomes FREE, or WALK_WAIT (and whether with from_cr3).
    logic        frees;
    logic        to_walk_wait;
    logic        from_cr3;
    /// The paging-structure caches are looked up.
    logic        psc_lookup;
  } commit_t;

  /// First part of a response.
  typedef struct packed {
    logic [7:0]  id;
    status_e     status;
    logic [15:0] error_code;
  } response_t;

  /// Second part of a response: 0 unless translated.
  typedef struct packed {
    memory_type_t memory_type;
    page_size_e   page_size;
    logic [51:0]  pa;
  } translation_t;

  // ---------------------------------------------------------------------------------------------
  // Addresses
  // ---------------------------------------------------------------------------------------------

  /// Of a canonical address bits 63:47 are equal, with 57-bit addresses bits 63:56. `high` is bits
  /// 63:47.
  function automatic logic is_canonical(logic [16:0] high, logic la57);
    logic [16:0] must_equal;
    must_equal = la57 ? 17'h1fe00 : 17'h1ffff;
    return (high & must_equal) == 17'd0 || (~high & must_equal) == 17'd0;
  endfunction

  /// Bits of a page number that lie inside a page of that size.
  function automatic page_number_t bits_inside(page_size_e page_size);
    case (page_size)
      Size2M:  bits_inside = 45'h1ff;
      Size1G:  bits_inside = 45'h3_ffff;
      Size4M:  bits_inside = 45'h3ff;
      default: bits_inside = '0;
    endcase
  endfunction

  /// Page number with the bits that lie inside a page of that size cleared.
  function automatic page_number_t page_of(page_number_t page_number, page_size_e page_size);
    return page_number & ~bits_inside(page_size);
  endfunction

  /// Frame of a page of that size, from bits 51:12 of its leaf. Those bits that lie inside the page
  /// are no part of it; of a page of 4 MiB they hold bits 39:32 of its address (PSE-36), and the
  /// reserved ones among them are 0.
  function automatic frame_t frame_of(frame_t frame, page_size_e page_size);
    case (page_size)
      Size2M:  frame_of = {frame[39:9], 9'd0};
      Size1G:  frame_of = {frame[39:18], 18'd0};
      Size4M:  frame_of = {12'd0, frame[8:1], frame[19:10], 10'd0};
      default: frame_of = frame;
    endcase
  endfunction

  /// Translation of an address by the entry of its page, or of the piece of it that was kept. Takes
  /// bits 29:0 of the address.
  function automatic translation_t translate(memory_type_t memory_type, frame_t frame,
                                             page_size_e kept_size, page_size_e page_size,
                                             logic [29:0] va);
    translation_t translation;
    translation.memory_type = memory_type;
    translation.page_size = page_size;
    case (kept_size)
      Size2M:  translation.pa = {frame[39:9], va[20:0]};
      Size1G:  translation.pa = {frame[39:18], va[29:0]};
      Size4M:  translation.pa = {frame[39:10], va[21:0]};
      default: translation.pa = {frame, va[11:0]};
    endcase
    return translation;
  endfunction

  /// The look-up found an entry that serves the request.
  function automatic logic is_hit(lookup_e code);
    return code == LookupHit4K || code == LookupHit2M || code == LookupHit1G;
  endfunction

  /// Kept size of the entry that a look-up found.
  function automatic page_size_e size_of(lookup_e code, logic two_level);
    case (code)
      LookupHit2M: size_of = two_level ? Size4M : Size2M;
      LookupHit1G: size_of = Size1G;
      default:     size_of = Size4K;
    endcase
  endfunction

  /// Bit of a size in a mask of sizes.
  function automatic logic [1:0] size_bit(page_size_e page_size);
    return page_size == Size4M ? 2'(Size2M) : 2'(page_size);
  endfunction

  /// Size of a bit in a mask of sizes.
  function automatic page_size_e bit_size(logic [1:0] index, logic two_level);
    return index == 2'd1 && two_level ? Size4M : page_size_e'(index);
  endfunction

  // ---------------------------------------------------------------------------------------------
  // Arrays: their shapes, which are parameters, and where a page stands (contract 2.1)
  // ---------------------------------------------------------------------------------------------

  /// Shape of a TLB array.
  typedef struct packed {
    /// Page sizes that it holds; none: there is no such array.
    sizes_t      sizes;
    logic [12:0] sets;
    logic [6:0]  ways;
    /// Replacement (contract 1.6).
    logic [2:0]  policy;
    /// Kinds of requests that it serves: bit 0 all but writes, bit 1 writes.
    logic [1:0]  serves;
  } shape_t;

  /// The arrays of a level, A in element 0.
  typedef shape_t [LevelArrays-1:0] shapes_t;

  /// Kinds of requests, as arrays serve them.
  parameter int unsigned Kinds = 2;

  /// Sizes that a level holds for a kind of request: as much as its arrays that serve it.
  function automatic sizes_t held_sizes(shapes_t arrays, logic kind);
    sizes_t sizes;
    sizes = '0;
    for (int unsigned n = 0; n < LevelArrays; n++) begin
      if (arrays[n].serves[kind]) sizes |= arrays[n].sizes;
    end
    return sizes;
  endfunction

  /// The greatest of the sizes that is not greater than the one given; PageSizes if there is none.
  function automatic logic [1:0] kept_bit(sizes_t held, logic [1:0] size);
    for (int unsigned s = PageSizes; s > 0; s--) begin
      if (held[2'(s - 1)] && 2'(s - 1) <= size) return 2'(s - 1);
    end
    return 2'(PageSizes);
  endfunction

  /// Some page size, of those that exist, is kept in pieces.
  function automatic bit fractures(shapes_t arrays, bit page_1g);
    for (int unsigned kind = 0; kind < Kinds; kind++) begin
      for (int unsigned s = 1; s < (page_1g ? PageSizes : PageSizes - 1); s++) begin
        if (kept_bit(held_sizes(arrays, kind[0]), 2'(s)) < 2'(s)) return 1'b1;
      end
    end
    return 1'b0;
  endfunction

  /// Of the arrays that hold a size either all serve all kinds of requests, or each serves one; so the
  /// pages of a kept size stand in an array for all kinds that it serves alike.
  function automatic bit are_kinds_apart(shapes_t arrays);
    logic all_serve_both;
    logic each_serves_one;
    for (int unsigned s = 0; s < PageSizes; s++) begin
      all_serve_both  = 1'b1;
      each_serves_one = 1'b1;
      for (int unsigned n = 0; n < LevelArrays; n++) begin
        if (arrays[n].sizes[s]) begin
          if (arrays[n].serves == '1) each_serves_one = 1'b0;
          else all_serve_both = 1'b0;
        end
      end
      if (!all_serve_both && !each_serves_one) return 1'b0;
    end
    return 1'b1;
  endfunction

  /// Where pages of a kept size stand in an array, for the kinds of requests that it serves: of page
  /// number v in it, without the bits inside the page, those with v mod `arrays` = `number` in set
  /// (v / `arrays`) mod sets.
  typedef struct packed {
    /// Bit of the kept size.
    logic [1:0] size;
    /// Arrays of the level that share these pages, and the number of this one among them.
    logic [2:0] arrays;
    logic [1:0] number;
  } place_t;

  /// A place for each size.
  typedef place_t [PageSizes-1:0] places_t;

  /// Arrays below number `below` that hold a size and serve a kind.
  function automatic int unsigned holders(shapes_t arrays, logic [1:0] size, logic kind,
                                          int unsigned below);
    int unsigned count;
    count = 0;
    for (int unsigned n = 0; n < below; n++) begin
      if (arrays[n].sizes[size] && arrays[n].serves[kind]) count++;
    end
    return count;
  endfunction

  /// The places of an array, by size: as many as it holds sizes.
  function automatic places_t places_of(shapes_t arrays, int unsigned array);
    places_t     places;
    int unsigned count;
    logic        kind;
    places = '0;
    count = 0;
    kind = !arrays[array].serves[0];
    for (int unsigned s = 0; s < PageSizes; s++) begin
      if (arrays[array].sizes[s]) begin
        places[count].size = 2'(s);
        places[count].arrays = 3'(holders(arrays, 2'(s), kind, LevelArrays));
        places[count].number = 2'(holders(arrays, 2'(s), kind, array));
        count++;
      end
    end
    return places;
  endfunction

  // ---------------------------------------------------------------------------------------------
  // Entries of paging structures
  // ---------------------------------------------------------------------------------------------

  /// Bits of an entry.
  parameter int unsigned BitPresent  = 0;
  parameter int unsigned BitWritable = 1;
  parameter int unsigned BitUser     = 2;
  parameter int unsigned BitPwt      = 3;
  parameter int unsigned BitPcd      = 4;
  parameter int unsigned BitAccessed = 5;
  parameter int unsigned BitDirty    = 6;
  /// A larger page is mapped (PDPTE, PDE), or PAT (PTE).
  parameter int unsigned BitLarge    = 7;
  parameter int unsigned BitGlobal   = 8;
  /// PAT of an entry that maps a larger page.
  parameter int unsigned BitLargePat = 12;
  parameter int unsigned BitXd       = 63;

  /// A PTE, and a PDE or PDPTE with bit 7 set, map a page. Levels: 1 = PTE to 5 = PML5E. Without
  /// `large_pages` the bit is ignored.
  function automatic logic is_leaf(logic large_bit, logic [2:0] level, logic large_pages);
    return level == 3'd1 || (level <= 3'd3 && large_bit && large_pages);
  endfunction

  /// Page size of a leaf of that level.
  function automatic page_size_e leaf_size(logic [2:0] level, logic two_level);
    case (level)
      3'd2:    leaf_size = two_level ? Size4M : Size2M;
      3'd3:    leaf_size = Size1G;
      default: leaf_size = Size4K;
    endcase
  endfunction

  // ---------------------------------------------------------------------------------------------
  // Rights (contract 11)
  // ---------------------------------------------------------------------------------------------

  /// Whether the page's rights, or its key, forbid an access.
  typedef struct packed {
    logic denied;
    logic by_key;
  } judgement_t;

  /// User-mode access: CPL 3, and not an access that the processor makes as supervisor.
  function automatic logic is_user_mode(logic [1:0] cpl, logic implicit_supervisor);
    return cpl == 2'd3 && !implicit_supervisor;
  endfunction

  /// Judges an access by the rights of the page over the whole path and the key of the leaf. The
  /// key is judged whatever else denies, because the error code tells.
  function automatic judgement_t judge(access_t access, protection_t protection, rights_t rights,
                                       logic [3:0] key);
    logic user_mode;
    logic denied;
    logic by_key;
    logic write_binds;
    user_mode = is_user_mode(access.cpl, access.implicit_supervisor);
    denied = user_mode && !rights.user;
    by_key = 1'b0;
    if (access.kind == KindFetch) begin
      if (rights.execute_disable) denied = 1'b1;
      if (!user_mode && rights.user && protection.smep) denied = 1'b1;
    end else begin
      write_binds = access.kind == KindWrite && (user_mode || protection.write_protect);
      if (write_binds && !rights.writable) denied = 1'b1;
      if (rights.user) begin
        if (!user_mode && protection.smap && (access.implicit_supervisor || !access.ac)) begin
          denied = 1'b1;
        end
        if (protection.pke) begin
          by_key = access.pkru[{key, 1'b0}] || (write_binds && access.pkru[{key, 1'b1}]);
        end
      end
    end
    return '{denied: denied || by_key, by_key: by_key};
  endfunction

  /// Error code of a page fault. `fetch_is_told`: NXE, as the mode has it, or SMEP is on.
  function automatic logic [15:0] error_code(kind_e kind, logic user_mode, logic fetch_is_told,
                                             logic present, logic reserved, logic by_key);
    return {
      10'd0,
      by_key,
      kind == KindFetch && fetch_is_told,
      reserved,
      user_mode,
      kind == KindWrite,
      present
    };
  endfunction

endpackage
