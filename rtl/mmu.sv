// The memory-management unit: the machine's top, and the wiring of its blocks.
//
// Contract: sections 2 (parameters), 3 (ports), 10 (monitor); the blocks implement the rest.
// Counterpart: src/model/mmu.rs; the ports as plain data: src/model/mmu_pkg.rs.
//
//   requester <-> port (queues) <-> miss_queue <-> stlb (shared TLB) | walkers <-> memory
//                  |  ITLB or DTLB    |  commit: one response, fill or drop a cycle
//   software <-> control, which invalidates the arrays of all the others
//
// Every output is a function of registers alone: no input reaches an output within a cycle.

module mmu
  import mmu_pkg::*;
#(
    /// Physical address bits, 36 to 52.
    parameter int unsigned MAXPHYADDR        = 46,
    /// 1 GiB pages are supported: 0 or 1.
    parameter int unsigned PAGE_1G           = 1,
    /// CR4.LA57 may be set: 0 or 1.
    parameter int unsigned FIVE_LEVEL        = 1,
    /// Data ports, 1 or 2.
    parameter int unsigned DATA_PORTS        = 1,
    /// Requests accepted and not yet answered, per port, 1 to 16.
    parameter int unsigned QUEUE_ENTRIES     = 4,
    /// Entries of the miss queue, 1 to 16.
    parameter int unsigned MISS_QUEUE_ENTRIES = 8,
    /// Page walkers, 1 to 4.
    parameter int unsigned WALKERS           = 2,
    /// Which entry a free walker takes: 0 the next in cyclic order, 1 the one that waits longest.
    parameter int unsigned WALKER_ORDER       = 0,
    /// The page after one that was walked is prefetched: 0 or 1.
    parameter int unsigned PREFETCH_NEXT_PAGE = 0,
    /// Cycles from accept to look-up, fetch port, 1 to 63.
    parameter int unsigned ITLB_HIT_CYCLES   = 1,
    /// Cycles from accept to look-up, data ports, 1 to 63.
    parameter int unsigned DTLB_HIT_CYCLES   = 1,
    /// Cycles from look-up to result in the STLB, 1 to 63.
    parameter int unsigned STLB_HIT_CYCLES   = 7,
    // Arrays of the levels. SIZES: page sizes that the array holds, bit 0 4 KiB, bit 1 2 MiB, bit 2 1 GiB;
    // 0: the level has no such array. SETS: 1 to 4096. WAYS: 1 to 64. POLICY: 0 LRU, 1 tree PLRU, 2 FIFO,
    // 3 NRU, 4 random, 5 SRRIP. SERVES: bit 0 reads, bit 1 writes.
    /// The ITLB's array A.
    parameter int unsigned ITLB_A_SIZES       = 1,
    parameter int unsigned ITLB_A_SETS        = 8,
    parameter int unsigned ITLB_A_WAYS        = 8,
    parameter int unsigned ITLB_A_POLICY      = 0,
    /// The ITLB's array B.
    parameter int unsigned ITLB_B_SIZES       = 2,
    parameter int unsigned ITLB_B_SETS        = 1,
    parameter int unsigned ITLB_B_WAYS        = 8,
    parameter int unsigned ITLB_B_POLICY      = 0,
    /// The ITLB's array C.
    parameter int unsigned ITLB_C_SIZES       = 4,
    parameter int unsigned ITLB_C_SETS        = 1,
    parameter int unsigned ITLB_C_WAYS        = 4,
    parameter int unsigned ITLB_C_POLICY      = 0,
    /// The ITLB's array D.
    parameter int unsigned ITLB_D_SIZES       = 0,
    parameter int unsigned ITLB_D_SETS        = 1,
    parameter int unsigned ITLB_D_WAYS        = 1,
    parameter int unsigned ITLB_D_POLICY      = 0,
    /// The DTLB's array A.
    parameter int unsigned DTLB_A_SIZES       = 1,
    parameter int unsigned DTLB_A_SETS        = 16,
    parameter int unsigned DTLB_A_WAYS        = 4,
    parameter int unsigned DTLB_A_POLICY      = 0,
    parameter int unsigned DTLB_A_SERVES      = 3,
    /// The DTLB's array B.
    parameter int unsigned DTLB_B_SIZES       = 2,
    parameter int unsigned DTLB_B_SETS        = 8,
    parameter int unsigned DTLB_B_WAYS        = 4,
    parameter int unsigned DTLB_B_POLICY      = 0,
    parameter int unsigned DTLB_B_SERVES      = 3,
    /// The DTLB's array C.
    parameter int unsigned DTLB_C_SIZES       = 4,
    parameter int unsigned DTLB_C_SETS        = 1,
    parameter int unsigned DTLB_C_WAYS        = 4,
    parameter int unsigned DTLB_C_POLICY      = 0,
    parameter int unsigned DTLB_C_SERVES      = 3,
    /// The DTLB's array D.
    parameter int unsigned DTLB_D_SIZES       = 0,
    parameter int unsigned DTLB_D_SETS        = 1,
    parameter int unsigned DTLB_D_WAYS        = 1,
    parameter int unsigned DTLB_D_POLICY      = 0,
    parameter int unsigned DTLB_D_SERVES      = 3,
    /// The STLB's array A.
    parameter int unsigned STLB_A_SIZES       = 1,
    parameter int unsigned STLB_A_SETS        = 128,
    parameter int unsigned STLB_A_WAYS        = 12,
    parameter int unsigned STLB_A_POLICY      = 0,
    /// The STLB's array B.
    parameter int unsigned STLB_B_SIZES       = 2,
    parameter int unsigned STLB_B_SETS        = 32,
    parameter int unsigned STLB_B_WAYS        = 8,
    parameter int unsigned STLB_B_POLICY      = 0,
    /// The STLB's array C.
    parameter int unsigned STLB_C_SIZES       = 4,
    parameter int unsigned STLB_C_SETS        = 4,
    parameter int unsigned STLB_C_WAYS        = 4,
    parameter int unsigned STLB_C_POLICY      = 0,
    /// The STLB's array D.
    parameter int unsigned STLB_D_SIZES       = 0,
    parameter int unsigned STLB_D_SETS        = 1,
    parameter int unsigned STLB_D_WAYS        = 1,
    parameter int unsigned STLB_D_POLICY      = 0,
    /// What leaves the STLB leaves the first level too: 0 or 1.
    parameter int unsigned STLB_INCLUSIVE     = 0,
    // Paging-structure caches. SETS: 1 to 64. WAYS: 0 (no such cache) to 64. POLICY: as above.
    /// The paging-structure cache of PML5Es.
    parameter int unsigned PSC_PML5E_SETS     = 1,
    parameter int unsigned PSC_PML5E_WAYS     = 2,
    parameter int unsigned PSC_PML5E_POLICY   = 0,
    /// The paging-structure cache of PML4Es.
    parameter int unsigned PSC_PML4E_SETS     = 1,
    parameter int unsigned PSC_PML4E_WAYS     = 4,
    parameter int unsigned PSC_PML4E_POLICY   = 0,
    /// The paging-structure cache of PDPTEs.
    parameter int unsigned PSC_PDPTE_SETS     = 1,
    parameter int unsigned PSC_PDPTE_WAYS     = 8,
    parameter int unsigned PSC_PDPTE_POLICY   = 0,
    /// The paging-structure cache of PDEs.
    parameter int unsigned PSC_PDE_SETS       = 1,
    parameter int unsigned PSC_PDE_WAYS       = 32,
    parameter int unsigned PSC_PDE_POLICY     = 0,
    /// Ports: port 0 fetches, the others read and write.
    localparam int unsigned PORTS             = 1 + DATA_PORTS
) (
    /// Clock.
    input  logic        clk_i,
    /// Synchronous reset, active low.
    input  logic        rst_ni,
    // From and to the requesters: requests.
    /// A request is made.
    input  logic        req_valid_i              [PORTS],
    /// It is accepted.
    output logic        req_ready_o              [PORTS],
    /// Id; those of a port's outstanding requests differ.
    input  logic [7:0]  req_id_i                 [PORTS],
    /// Virtual address of the first byte.
    input  logic [63:0] req_va_i                 [PORTS],
    /// 0 read, 1 write, 2 fetch.
    input  logic [1:0]  req_kind_i               [PORTS],
    /// Bytes, 1 to 64, within one 4 KiB page.
    input  logic [6:0]  req_size_bytes_i         [PORTS],
    /// Current privilege level.
    input  logic [1:0]  req_cpl_i                [PORTS],
    /// EFLAGS.AC.
    input  logic        req_ac_i                 [PORTS],
    /// An access that the processor makes as supervisor at any privilege level.
    input  logic        req_implicit_supervisor_i[PORTS],
    /// PKRU.
    input  logic [31:0] req_pkru_i               [PORTS],
    // From and to the requesters: responses.
    /// A response is given.
    output logic        resp_valid_o             [PORTS],
    /// It is taken.
    input  logic        resp_ready_i             [PORTS],
    /// Id of the request.
    output logic [7:0]  resp_id_o                [PORTS],
    /// 0 translated, 1 page fault, 2 general protection, 3 bus error.
    output logic [1:0]  resp_status_o            [PORTS],
    /// Physical address of the first byte.
    output logic [51:0] resp_pa_o                [PORTS],
    /// Page size: 0 = 4 KiB, 1 = 2 MiB, 2 = 1 GiB, 3 = 4 MiB.
    output logic [1:0]  resp_page_size_o         [PORTS],
    /// PWT of the leaf.
    output logic        resp_pwt_o               [PORTS],
    /// PCD of the leaf.
    output logic        resp_pcd_o               [PORTS],
    /// PAT of the leaf.
    output logic        resp_pat_o               [PORTS],
    /// Error code of a page fault.
    output logic [15:0] resp_error_code_o        [PORTS],
    /// Address of a page fault (CR2).
    output logic [63:0] resp_va_o                [PORTS],
    // From and to software: control.
    /// An operation is requested.
    input  logic        ctrl_valid_i,
    /// It is accepted.
    output logic        ctrl_ready_o,
    /// 0 MOV CR0, 1 MOV CR3, 2 MOV CR4, 3 WRMSR EFER, 4 INVLPG, 5 INVPCID.
    input  logic [2:0]  ctrl_op_i,
    /// New value of a register, address of INVLPG, PCID quadword of INVPCID.
    input  logic [63:0] ctrl_data_i,
    /// Address of INVPCID.
    input  logic [63:0] ctrl_addr_i,
    /// Type of INVPCID.
    input  logic [63:0] ctrl_type_i,
    /// The operation is done.
    output logic        ctrl_resp_valid_o,
    /// Its response is taken.
    input  logic        ctrl_resp_ready_i,
    /// It ended in a general protection, and changed nothing.
    output logic        ctrl_resp_gp_o,
    /// CR0, in every cycle.
    output logic [63:0] cr0_o,
    /// CR3, in every cycle.
    output logic [63:0] cr3_o,
    /// CR4, in every cycle.
    output logic [63:0] cr4_o,
    /// EFER, in every cycle.
    output logic [63:0] efer_o,
    // From and to memory.
    /// A request is made.
    output logic        mem_req_valid_o,
    /// It is accepted.
    input  logic        mem_req_ready_i,
    /// 0 read, 1 write, 2 compare-and-set.
    output logic [1:0]  mem_req_op_o,
    /// Id: the number of the walker.
    output logic [7:0]  mem_req_id_o,
    /// Physical address, divisible by 8.
    output logic [51:0] mem_req_addr_o,
    /// Beats of 64 bits.
    output logic [7:0]  mem_req_beats_o,
    /// Byte enables.
    output logic [7:0]  mem_req_be_o,
    /// New value of a compare-and-set.
    output logic [63:0] mem_req_wdata_o,
    /// Expected value of a compare-and-set.
    output logic [63:0] mem_req_expected_o,
    /// A response is given.
    input  logic        mem_resp_valid_i,
    /// It is taken, in every cycle.
    output logic        mem_resp_ready_o,
    /// Id of the request.
    input  logic [7:0]  mem_resp_id_i,
    /// What memory held.
    input  logic [63:0] mem_resp_data_i,
    /// Bus error.
    input  logic        mem_resp_error_i,
    /// Last beat.
    input  logic        mem_resp_last_i,
    // To the monitor: look-ups.
    /// Code of the look-up in the port's L1 level, 0 if none performs.
    output logic [3:0]  mon_lookup_o             [PORTS],
    /// Entry of the miss queue that it takes or has.
    output logic [3:0]  mon_lookup_entry_o       [PORTS],
    /// It is that of a request in RETRY.
    output logic        mon_lookup_retry_o       [PORTS],
    /// Code of the look-up in the STLB.
    output logic [2:0]  mon_stlb_lookup_o,
    /// Its port.
    output logic [1:0]  mon_stlb_port_o,
    /// Its entry of the miss queue, 16 for the prefetch.
    output logic [4:0]  mon_stlb_entry_o,
    // To the monitor: walkers.
    /// 1 start, 2 restart, 3 translated, 4 page fault, 5 bus error, 6 stopped.
    output logic [2:0]  mon_walk_op_o            [WALKERS],
    /// Its port.
    output logic [1:0]  mon_walk_port_o          [WALKERS],
    /// Its entry of the miss queue, 16 for the prefetch.
    output logic [4:0]  mon_walk_entry_o         [WALKERS],
    /// Level of the cached entry at which a walk begins.
    output logic [2:0]  mon_walk_psc_level_o     [WALKERS],
    /// A translation had the right to fill.
    output logic        mon_walk_filled_o        [WALKERS],
    // To the monitor: TLB arrays, numbered 4 * level + array.
    /// 1 fill, 2 an invalidation, back-invalidation or drop that removes something.
    output logic [1:0]  mon_tlb_op_o             [TlbArrays],
    /// Set; of what removes one page that of its 4 KiB.
    output logic [11:0] mon_tlb_set_o            [TlbArrays],
    /// Way that is filled.
    output logic [5:0]  mon_tlb_way_o            [TlbArrays],
    /// Ways that lose what they held in that set.
    output logic [63:0] mon_tlb_removed_o        [TlbArrays],
    /// Tag of the new entry; of what removes one page the ways of its 2 MiB (4 MiB).
    output logic [63:0] mon_tlb_tag_o            [TlbArrays],
    /// Data of the new entry; of what removes one page the ways of its 1 GiB.
    output logic [63:0] mon_tlb_data_o           [TlbArrays],
    /// Tag that the filled way held; of what removes one page the set of its 2 MiB (4 MiB).
    output logic [63:0] mon_tlb_victim_tag_o     [TlbArrays],
    /// Data that the filled way held; of what removes one page the set of its 1 GiB.
    output logic [63:0] mon_tlb_victim_data_o    [TlbArrays],
    // To the monitor: paging-structure caches, 0 = PDE to 3 = PML5E.
    /// 1 fill, 2 an invalidation or drop that removes something.
    output logic [1:0]  mon_psc_op_o             [PscLevels],
    /// Set that is filled.
    output logic [5:0]  mon_psc_set_o            [PscLevels],
    /// Way that is filled.
    output logic [5:0]  mon_psc_way_o            [PscLevels],
    /// Of a fill: ways that lose what they held; else entries that are removed, bit set * ways + way.
    output logic [63:0] mon_psc_removed_o        [PscLevels],
    /// Tag of the new entry.
    output logic [63:0] mon_psc_tag_o            [PscLevels],
    /// Data of the new entry.
    output logic [63:0] mon_psc_data_o           [PscLevels],
    /// Tag that the filled way held.
    output logic [63:0] mon_psc_victim_tag_o     [PscLevels],
    /// Data that the filled way held.
    output logic [63:0] mon_psc_victim_data_o    [PscLevels],
    // To the monitor: what the queues hold, in every cycle.
    /// Entries of the miss queue.
    output logic [31:0] mon_miss_o               [MISS_QUEUE_ENTRIES],
    /// Walkers.
    output logic [31:0] mon_walker_o             [WALKERS],
    /// The prefetch.
    output logic [63:0] mon_prefetch_o,
    // Performance counters, in every cycle.
    /// How often something has happened since reset.
    output logic [63:0] perf_o                   [PerfCounters]
);

  // ---------------------------------------------------------------------------------------------
  // The shapes of the arrays, and what follows from them
  // ---------------------------------------------------------------------------------------------

  localparam shapes_t Itlb = {
      shape_t'{sizes: 3'(ITLB_D_SIZES), sets: 13'(ITLB_D_SETS), ways: 7'(ITLB_D_WAYS),
          policy: 3'(ITLB_D_POLICY), serves: 2'(3)},
      shape_t'{sizes: 3'(ITLB_C_SIZES), sets: 13'(ITLB_C_SETS), ways: 7'(ITLB_C_WAYS),
          policy: 3'(ITLB_C_POLICY), serves: 2'(3)},
      shape_t'{sizes: 3'(ITLB_B_SIZES), sets: 13'(ITLB_B_SETS), ways: 7'(ITLB_B_WAYS),
          policy: 3'(ITLB_B_POLICY), serves: 2'(3)},
      shape_t'{sizes: 3'(ITLB_A_SIZES), sets: 13'(ITLB_A_SETS), ways: 7'(ITLB_A_WAYS),
          policy: 3'(ITLB_A_POLICY), serves: 2'(3)}
  };
  localparam shapes_t Dtlb = {
      shape_t'{sizes: 3'(DTLB_D_SIZES), sets: 13'(DTLB_D_SETS), ways: 7'(DTLB_D_WAYS),
          policy: 3'(DTLB_D_POLICY), serves: 2'(DTLB_D_SERVES)},
      shape_t'{sizes: 3'(DTLB_C_SIZES), sets: 13'(DTLB_C_SETS), ways: 7'(DTLB_C_WAYS),
          policy: 3'(DTLB_C_POLICY), serves: 2'(DTLB_C_SERVES)},
      shape_t'{sizes: 3'(DTLB_B_SIZES), sets: 13'(DTLB_B_SETS), ways: 7'(DTLB_B_WAYS),
          policy: 3'(DTLB_B_POLICY), serves: 2'(DTLB_B_SERVES)},
      shape_t'{sizes: 3'(DTLB_A_SIZES), sets: 13'(DTLB_A_SETS), ways: 7'(DTLB_A_WAYS),
          policy: 3'(DTLB_A_POLICY), serves: 2'(DTLB_A_SERVES)}
  };
  localparam shapes_t Stlb = {
      shape_t'{sizes: 3'(STLB_D_SIZES), sets: 13'(STLB_D_SETS), ways: 7'(STLB_D_WAYS),
          policy: 3'(STLB_D_POLICY), serves: 2'(3)},
      shape_t'{sizes: 3'(STLB_C_SIZES), sets: 13'(STLB_C_SETS), ways: 7'(STLB_C_WAYS),
          policy: 3'(STLB_C_POLICY), serves: 2'(3)},
      shape_t'{sizes: 3'(STLB_B_SIZES), sets: 13'(STLB_B_SETS), ways: 7'(STLB_B_WAYS),
          policy: 3'(STLB_B_POLICY), serves: 2'(3)},
      shape_t'{sizes: 3'(STLB_A_SIZES), sets: 13'(STLB_A_SETS), ways: 7'(STLB_A_WAYS),
          policy: 3'(STLB_A_POLICY), serves: 2'(3)}
  };
  /// PDE in element 0, to PML5E.
  localparam shapes_t Caches = {
      shape_t'{sizes: 3'(0), sets: 13'(PSC_PML5E_SETS), ways: 7'(PSC_PML5E_WAYS),
          policy: 3'(PSC_PML5E_POLICY), serves: 2'(3)},
      shape_t'{sizes: 3'(0), sets: 13'(PSC_PML4E_SETS), ways: 7'(PSC_PML4E_WAYS),
          policy: 3'(PSC_PML4E_POLICY), serves: 2'(3)},
      shape_t'{sizes: 3'(0), sets: 13'(PSC_PDPTE_SETS), ways: 7'(PSC_PDPTE_WAYS),
          policy: 3'(PSC_PDPTE_POLICY), serves: 2'(3)},
      shape_t'{sizes: 3'(0), sets: 13'(PSC_PDE_SETS), ways: 7'(PSC_PDE_WAYS),
          policy: 3'(PSC_PDE_POLICY), serves: 2'(3)}
  };

  /// Length of a sweep: the rows of the largest array that is present.
  function automatic int unsigned most_rows(shapes_t arrays, int unsigned rows);
    int unsigned most;
    most = rows;
    for (int unsigned n = 0; n < LevelArrays; n++) begin
      if (arrays[n].sizes != '0 && 32'(arrays[n].sets) > most) most = 32'(arrays[n].sets);
    end
    return most;
  endfunction

  localparam int unsigned SweepCycles = most_rows(Itlb, most_rows(Dtlb, most_rows(Stlb, 1)));
  localparam bit Fractures =
      fractures(Itlb, PAGE_1G != 0) || fractures(Dtlb, PAGE_1G != 0) ||
      fractures(Stlb, PAGE_1G != 0);

  // ---------------------------------------------------------------------------------------------
  // Parameters out of range are refused
  // ---------------------------------------------------------------------------------------------

  localparam bit NumbersAreLegal = MAXPHYADDR >= 36 && MAXPHYADDR <= 52 && PAGE_1G <= 1 &&
      FIVE_LEVEL <= 1 && DATA_PORTS >= 1 && DATA_PORTS <= 2 && QUEUE_ENTRIES >= 1 &&
      QUEUE_ENTRIES <= 16 && MISS_QUEUE_ENTRIES >= 1 && MISS_QUEUE_ENTRIES <= 16 && WALKERS >= 1 &&
      WALKERS <= 4 && WALKER_ORDER <= 1 && PREFETCH_NEXT_PAGE <= 1 && STLB_INCLUSIVE <= 1;
  localparam bit LatenciesAreLegal = ITLB_HIT_CYCLES >= 1 && ITLB_HIT_CYCLES <= 63 &&
      DTLB_HIT_CYCLES >= 1 && DTLB_HIT_CYCLES <= 63 && STLB_HIT_CYCLES >= 1 &&
      STLB_HIT_CYCLES <= 63;

  function automatic bit is_legal_shape(int unsigned sizes, int unsigned sets, int unsigned most_sets,
                                        int unsigned ways, int unsigned policy,
                                        int unsigned serves);
    return sizes <= 7 && sets >= 1 && sets <= most_sets && ways <= 64 && policy <= 5 &&
        (policy != 1 || (ways & (ways - 1)) == 0) && serves >= 1 && serves <= 3;
  endfunction

  /// The monitor names the entries of a paging-structure cache by the bits of a word.
  function automatic bit is_legal_cache(int unsigned sets, int unsigned ways, int unsigned policy);
    return is_legal_shape(0, sets, 64, ways, policy, 3) && sets * ways <= 64;
  endfunction

  localparam bit [15:0] ShapesAreLegal = {
      ITLB_A_WAYS >= 1 && is_legal_shape(ITLB_A_SIZES, ITLB_A_SETS, 4096, ITLB_A_WAYS,
          ITLB_A_POLICY, 3),
      ITLB_B_WAYS >= 1 && is_legal_shape(ITLB_B_SIZES, ITLB_B_SETS, 4096, ITLB_B_WAYS,
          ITLB_B_POLICY, 3),
      ITLB_C_WAYS >= 1 && is_legal_shape(ITLB_C_SIZES, ITLB_C_SETS, 4096, ITLB_C_WAYS,
          ITLB_C_POLICY, 3),
      ITLB_D_WAYS >= 1 && is_legal_shape(ITLB_D_SIZES, ITLB_D_SETS, 4096, ITLB_D_WAYS,
          ITLB_D_POLICY, 3),
      DTLB_A_WAYS >= 1 && is_legal_shape(DTLB_A_SIZES, DTLB_A_SETS, 4096, DTLB_A_WAYS,
          DTLB_A_POLICY, DTLB_A_SERVES),
      DTLB_B_WAYS >= 1 && is_legal_shape(DTLB_B_SIZES, DTLB_B_SETS, 4096, DTLB_B_WAYS,
          DTLB_B_POLICY, DTLB_B_SERVES),
      DTLB_C_WAYS >= 1 && is_legal_shape(DTLB_C_SIZES, DTLB_C_SETS, 4096, DTLB_C_WAYS,
          DTLB_C_POLICY, DTLB_C_SERVES),
      DTLB_D_WAYS >= 1 && is_legal_shape(DTLB_D_SIZES, DTLB_D_SETS, 4096, DTLB_D_WAYS,
          DTLB_D_POLICY, DTLB_D_SERVES),
      STLB_A_WAYS >= 1 && is_legal_shape(STLB_A_SIZES, STLB_A_SETS, 4096, STLB_A_WAYS,
          STLB_A_POLICY, 3),
      STLB_B_WAYS >= 1 && is_legal_shape(STLB_B_SIZES, STLB_B_SETS, 4096, STLB_B_WAYS,
          STLB_B_POLICY, 3),
      STLB_C_WAYS >= 1 && is_legal_shape(STLB_C_SIZES, STLB_C_SETS, 4096, STLB_C_WAYS,
          STLB_C_POLICY, 3),
      STLB_D_WAYS >= 1 && is_legal_shape(STLB_D_SIZES, STLB_D_SETS, 4096, STLB_D_WAYS,
          STLB_D_POLICY, 3),
      is_legal_cache(PSC_PML5E_SETS, PSC_PML5E_WAYS, PSC_PML5E_POLICY),
      is_legal_cache(PSC_PML4E_SETS, PSC_PML4E_WAYS, PSC_PML4E_POLICY),
      is_legal_cache(PSC_PDPTE_SETS, PSC_PDPTE_WAYS, PSC_PDPTE_POLICY),
      is_legal_cache(PSC_PDE_SETS, PSC_PDE_WAYS, PSC_PDE_POLICY)
  };

  /// What a first level keeps the STLB must keep in the same size.
  function automatic bit includes(shapes_t arrays);
    for (int unsigned kind = 0; kind < Kinds; kind++) begin
      for (int unsigned s = 0; s < PageSizes; s++) begin
        if (kept_bit(held_sizes(arrays, kind[0]), 2'(s)) != 2'(PageSizes) &&
            kept_bit(held_sizes(arrays, kind[0]), 2'(s)) !=
            kept_bit(held_sizes(Stlb, kind[0]), 2'(s))) begin
          return 1'b0;
        end
      end
    end
    return 1'b1;
  endfunction

  localparam bit InclusionIsLegal = STLB_INCLUSIVE == 0 || (includes(Itlb) && includes(Dtlb));

  if (!(NumbersAreLegal && LatenciesAreLegal && ShapesAreLegal == '1 && InclusionIsLegal))
  begin : gen_refused
    $error("a parameter is out of the range that section 2 of the contract gives");
  end

  if (!are_kinds_apart(Dtlb)) begin : gen_refused_kinds
    $error("of the arrays of the DTLB that hold a size either all serve reads and writes or each one");
  end

  // ---------------------------------------------------------------------------------------------
  // Control
  // ---------------------------------------------------------------------------------------------

  logic         port_idle[PORTS];
  logic         accept;
  mode_t        mode;
  frame_t       root;
  logic         busy;
  logic         revoke;
  logic         writes;
  invalidation_t control_invalidation;
  page_number_t control_page;
  logic         psc_all;

  control #(
      .PORTS       (PORTS),
      .MAXPHYADDR  (MAXPHYADDR),
      .FIVE_LEVEL  (FIVE_LEVEL),
      .SWEEP_CYCLES(SweepCycles),
      .FRACTURES   (Fractures)
  ) u_control (
      .clk_i,
      .rst_ni,
      .ctrl_valid_i,
      .ctrl_ready_o,
      .ctrl_op_i,
      .ctrl_data_i,
      .ctrl_addr_i,
      .ctrl_type_i,
      .ctrl_resp_valid_o,
      .ctrl_resp_ready_i,
      .ctrl_resp_gp_o,
      .cr0_o,
      .cr3_o,
      .cr4_o,
      .efer_o,
      .idle_i              (port_idle),
      .accept_o            (accept),
      .mode_o              (mode),
      .root_o              (root),
      .busy_o              (busy),
      .begin_o             (revoke),
      .writes_o            (writes),
      .invalidation_o      (control_invalidation),
      .invalidate_page_o   (control_page),
      .invalidate_psc_all_o(psc_all)
  );

  // ---------------------------------------------------------------------------------------------
  // Invalidations: of control, or a drop of a walker; never both, as a drop waits for control. And in
  // the first level what the STLB evicted, while neither of them performs.
  // ---------------------------------------------------------------------------------------------

  commit_t       commit;
  page_number_t  commit_page;
  invalidation_t invalidation;
  page_number_t  invalidate_page;

  always_comb begin : choose_invalidation
    invalidation = control_invalidation;
    invalidate_page = control_page;
    if (commit.drop) begin
      invalidation.performs = 1'b1;
      invalidation.rule = '{
          by_page: 1'b1, by_whole_page: 1'b0, any_pcid: 1'b0, globals: 1'b1, only_globals: 1'b0
      };
      invalidation.sizes = '1;
      invalidation.pcid = mode.pcid;
      invalidate_page = commit_page;
    end
  end

  logic          stlb_evicts;
  tlb_tag_t      stlb_evicted;
  logic          back_invalidates;
  tlb_tag_t      back_invalidated;
  invalidation_t l1_invalidation;
  page_number_t  l1_invalidate_page;

  inclusion #(
      .INCLUSIVE(STLB_INCLUSIVE != 0)
  ) u_inclusion (
      .clk_i,
      .rst_ni,
      .busy_i           (busy),
      .invalidation_i   (invalidation),
      .invalidate_page_i(invalidate_page),
      .evicts_i         (stlb_evicts),
      .evicted_i        (stlb_evicted),
      .performs_o       (back_invalidates),
      .tag_o            (back_invalidated),
      .invalidation_o   (l1_invalidation),
      .invalidate_page_o(l1_invalidate_page)
  );

  // ---------------------------------------------------------------------------------------------
  // Ports, and what they look up in their L1 level
  // ---------------------------------------------------------------------------------------------

  logic         retry         [PORTS];
  logic [63:0]  retry_va      [PORTS];
  request_t     retry_request [PORTS];
  logic         refused       [PORTS];
  lookup_e      code          [PORTS];
  logic         lookup        [PORTS];
  logic [63:0]  lookup_va     [PORTS];
  page_number_t lookup_page   [PORTS];
  request_t     lookup_request[PORTS];
  access_t      lookup_access [PORTS];
  lookup_e      level_code    [PORTS];
  tlb_tag_t     level_tag     [PORTS];
  tlb_data_t    level_data    [PORTS];

  logic         respond;
  port_number_t respond_port;
  response_t    response;
  translation_t translation;
  logic [63:0]  fault_va;
  fill_t        l1_fill;
  fill_t        stlb_fill;
  tlb_tag_t     fill_tag;
  fill_t        level_fill[2];
  /// The level is filled, as it keeps the page.
  logic         level_fills[2];

  always_comb begin : choose_level
    for (int unsigned l = 0; l < 2; l++) begin
      level_fill[l] = l1_fill;
      if ((respond_port != '0) != (l != 0)) level_fill[l].performs = 1'b0;
    end
  end

  for (genvar p = 0; p < PORTS; p++) begin : gen_port
    localparam int unsigned Level = p == 0 ? 0 : 1;

    response_t    shown;
    translation_t shown_translation;

    port #(
        .PORT         (p),
        .QUEUE_ENTRIES(QUEUE_ENTRIES),
        .HIT_CYCLES   (Level == 0 ? ITLB_HIT_CYCLES : DTLB_HIT_CYCLES)
    ) u_port (
        .clk_i,
        .rst_ni,
        .req_valid_i              (req_valid_i[p]),
        .req_ready_o              (req_ready_o[p]),
        .req_id_i                 (req_id_i[p]),
        .req_va_i                 (req_va_i[p]),
        .req_kind_i               (req_kind_i[p]),
        .req_size_bytes_i         (req_size_bytes_i[p]),
        .req_cpl_i                (req_cpl_i[p]),
        .req_ac_i                 (req_ac_i[p]),
        .req_implicit_supervisor_i(req_implicit_supervisor_i[p]),
        .req_pkru_i               (req_pkru_i[p]),
        .resp_valid_o             (resp_valid_o[p]),
        .resp_ready_i             (resp_ready_i[p]),
        .response_o               (shown),
        .translation_o            (shown_translation),
        .fault_va_o               (resp_va_o[p]),
        .paging_i                 (mode.paging),
        .two_level_i              (mode.two_level),
        .la57_i                   (mode.la57),
        .accept_i                 (accept),
        .busy_i                   (busy),
        .idle_o                   (port_idle[p]),
        .retry_i                  (retry[p]),
        .retry_va_i               (retry_va[p]),
        .retry_request_i          (retry_request[p]),
        .code_o                   (code[p]),
        .refused_i                (refused[p]),
        .hold_i                   (commit.drop || level_fills[Level] || back_invalidates),
        .lookup_o                 (lookup[p]),
        .lookup_va_o              (lookup_va[p]),
        .lookup_request_o         (lookup_request[p]),
        .level_code_i             (level_code[p]),
        .level_data_i             (level_data[p]),
        .level_page_size_i        (level_tag[p].page_size),
        .respond_i                (respond && respond_port == port_number_t'(p)),
        .commit_response_i        (response),
        .commit_translation_i     (translation),
        .commit_fault_va_i        (fault_va)
    );

    assign lookup_page[p] = lookup_va[p][56:12];
    assign lookup_access[p] = lookup_request[p].access;
    assign resp_id_o[p] = shown.id;
    assign resp_status_o[p] = shown.status;
    assign resp_error_code_o[p] = shown.error_code;
    assign resp_pa_o[p] = shown_translation.pa;
    assign resp_page_size_o[p] = shown_translation.page_size;
    assign resp_pwt_o[p] = shown_translation.memory_type.pwt;
    assign resp_pcd_o[p] = shown_translation.memory_type.pcd;
    assign resp_pat_o[p] = shown_translation.memory_type.pat;
  end

  // What leaves the first level concerns nobody else, and what is in a matching tag beside the size of
  // the page only the STLB keeps.
  logic     unused_evicts [2];
  tlb_tag_t unused_evicted[2];

  tlb_level #(
      .ARRAYS   (Itlb),
      .FRACTURES(Fractures),
      .CHANNELS (1)
  ) u_itlb (
      .clk_i,
      .rst_ni,
      .lookup_i         (lookup[0+:1]),
      .page_number_i    (lookup_page[0+:1]),
      .access_i         (lookup_access[0+:1]),
      .probe_i          (1'b0),
      .two_level_i      (mode.two_level),
      .pcid_i           (mode.pcid),
      .protection_i     (mode.protection),
      .code_o           (level_code[0+:1]),
      .tag_o            (level_tag[0+:1]),
      .data_o           (level_data[0+:1]),
      .fill_i           (level_fill[0]),
      .fill_tag_i       (fill_tag),
      .fills_o          (level_fills[0]),
      .invalidation_i   (l1_invalidation),
      .invalidate_page_i(l1_invalidate_page),
      .evicts_o         (unused_evicts[0]),
      .evicted_o        (unused_evicted[0]),
      .mon_op_o         (mon_tlb_op_o[0+:LevelArrays]),
      .mon_set_o        (mon_tlb_set_o[0+:LevelArrays]),
      .mon_way_o        (mon_tlb_way_o[0+:LevelArrays]),
      .mon_removed_o    (mon_tlb_removed_o[0+:LevelArrays]),
      .mon_tag_o        (mon_tlb_tag_o[0+:LevelArrays]),
      .mon_data_o       (mon_tlb_data_o[0+:LevelArrays]),
      .mon_victim_tag_o (mon_tlb_victim_tag_o[0+:LevelArrays]),
      .mon_victim_data_o(mon_tlb_victim_data_o[0+:LevelArrays])
  );

  tlb_level #(
      .ARRAYS   (Dtlb),
      .FRACTURES(Fractures),
      .CHANNELS (DATA_PORTS)
  ) u_dtlb (
      .clk_i,
      .rst_ni,
      .lookup_i         (lookup[1+:DATA_PORTS]),
      .page_number_i    (lookup_page[1+:DATA_PORTS]),
      .access_i         (lookup_access[1+:DATA_PORTS]),
      .probe_i          (1'b0),
      .two_level_i      (mode.two_level),
      .pcid_i           (mode.pcid),
      .protection_i     (mode.protection),
      .code_o           (level_code[1+:DATA_PORTS]),
      .tag_o            (level_tag[1+:DATA_PORTS]),
      .data_o           (level_data[1+:DATA_PORTS]),
      .fill_i           (level_fill[1]),
      .fill_tag_i       (fill_tag),
      .fills_o          (level_fills[1]),
      .invalidation_i   (l1_invalidation),
      .invalidate_page_i(l1_invalidate_page),
      .evicts_o         (unused_evicts[1]),
      .evicted_o        (unused_evicted[1]),
      .mon_op_o         (mon_tlb_op_o[LevelArrays+:LevelArrays]),
      .mon_set_o        (mon_tlb_set_o[LevelArrays+:LevelArrays]),
      .mon_way_o        (mon_tlb_way_o[LevelArrays+:LevelArrays]),
      .mon_removed_o    (mon_tlb_removed_o[LevelArrays+:LevelArrays]),
      .mon_tag_o        (mon_tlb_tag_o[LevelArrays+:LevelArrays]),
      .mon_data_o       (mon_tlb_data_o[LevelArrays+:LevelArrays]),
      .mon_victim_tag_o (mon_tlb_victim_tag_o[LevelArrays+:LevelArrays]),
      .mon_victim_data_o(mon_tlb_victim_data_o[LevelArrays+:LevelArrays])
  );

  // ---------------------------------------------------------------------------------------------
  // Miss queue
  // ---------------------------------------------------------------------------------------------

  logic [MISS_QUEUE_ENTRIES-1:0] wants_stlb;
  logic                          stlb_take;
  entry_t                        stlb_entry;
  port_number_t                  stlb_port;
  page_number_t                  stlb_page;
  access_t                       stlb_access;
  logic [MISS_QUEUE_ENTRIES-1:0] wants_walk;
  logic                          walk_take;
  entry_t                        walk_entry;
  page_number_t                  walk_page;
  access_t                       walk_access;
  logic                          walk_from_cr3;
  logic [WALKERS-1:0]            restart;
  owner_t                        owner[WALKERS];
  miss_t                         commit_miss;
  logic [63:0]                   commit_va;
  logic [MISS_QUEUE_ENTRIES-1:0] keeps_evicted;

  miss_queue #(
      .PORTS  (PORTS),
      .ENTRIES(MISS_QUEUE_ENTRIES),
      .WALKERS(WALKERS)
  ) u_miss_queue (
      .clk_i,
      .rst_ni,
      .retry_o         (retry),
      .retry_va_o      (retry_va),
      .retry_request_o (retry_request),
      .lookup_i        (code),
      .lookup_va_i     (lookup_va),
      .lookup_request_i(lookup_request),
      .refused_o       (refused),
      .wants_stlb_o    (wants_stlb),
      .stlb_take_i     (stlb_take),
      .stlb_entry_i    (stlb_entry),
      .stlb_port_o     (stlb_port),
      .stlb_page_o     (stlb_page),
      .stlb_access_o   (stlb_access),
      .wants_walk_o    (wants_walk),
      .walk_take_i     (walk_take),
      .walk_entry_i    (walk_entry),
      .walk_page_o     (walk_page),
      .walk_access_o   (walk_access),
      .walk_from_cr3_o (walk_from_cr3),
      .restart_i       (restart),
      .owner_i         (owner),
      .commit_i        (commit),
      .commit_miss_o   (commit_miss),
      .commit_va_o     (commit_va),
      .revoke_i        (revoke),
      .keeps_evicted_i (keeps_evicted),
      .mon_lookup_o,
      .mon_lookup_entry_o,
      .mon_lookup_retry_o,
      .mon_miss_o
  );

  // ---------------------------------------------------------------------------------------------
  // STLB and prefetch
  // ---------------------------------------------------------------------------------------------

  logic         prefetch_wants_probe;
  logic         prefetch_probe;
  logic         prefetch_probe_hit;
  logic         prefetch_wants_walk;
  logic         prefetch_walk_take;
  page_number_t prefetch_page;
  logic         prefetch_may_fill;
  logic         passed_over;
  logic         due;
  entry_t       due_entry;
  lookup_e      due_code;
  tlb_tag_t     due_tag;
  tlb_data_t    due_data;
  logic         stlb_hit;
  page_size_e   stlb_hit_page_size;

  stlb #(
      .ENTRIES        (MISS_QUEUE_ENTRIES),
      .STLB_HIT_CYCLES(STLB_HIT_CYCLES),
      .ARRAYS         (Stlb),
      .FRACTURES      (Fractures),
      .INCLUSIVE      (STLB_INCLUSIVE != 0)
  ) u_stlb (
      .clk_i,
      .rst_ni,
      .wants_i          (wants_stlb),
      .take_o           (stlb_take),
      .entry_o          (stlb_entry),
      .port_i           (stlb_port),
      .page_i           (stlb_page),
      .access_i         (stlb_access),
      .wants_probe_i    (prefetch_wants_probe),
      .probe_page_i     (prefetch_page),
      .probe_o          (prefetch_probe),
      .probe_hit_o      (prefetch_probe_hit),
      .commit_i         (commit),
      .passed_over_o    (passed_over),
      .due_o            (due),
      .due_entry_o      (due_entry),
      .due_code_o       (due_code),
      .due_tag_o        (due_tag),
      .due_data_o       (due_data),
      .fill_i           (stlb_fill),
      .fill_tag_i       (fill_tag),
      .evicts_o         (stlb_evicts),
      .evicted_o        (stlb_evicted),
      .back_invalidates_i(back_invalidates),
      .back_invalidated_i(back_invalidated),
      .keeps_evicted_o  (keeps_evicted),
      .two_level_i      (mode.two_level),
      .pcid_i           (mode.pcid),
      .protection_i     (mode.protection),
      .busy_i           (busy),
      .invalidation_i   (invalidation),
      .invalidate_page_i(invalidate_page),
      .hit_o            (stlb_hit),
      .hit_page_size_o  (stlb_hit_page_size),
      .mon_stlb_lookup_o,
      .mon_stlb_port_o,
      .mon_stlb_entry_o,
      .mon_op_o         (mon_tlb_op_o[2*LevelArrays+:LevelArrays]),
      .mon_set_o        (mon_tlb_set_o[2*LevelArrays+:LevelArrays]),
      .mon_way_o        (mon_tlb_way_o[2*LevelArrays+:LevelArrays]),
      .mon_removed_o    (mon_tlb_removed_o[2*LevelArrays+:LevelArrays]),
      .mon_tag_o        (mon_tlb_tag_o[2*LevelArrays+:LevelArrays]),
      .mon_data_o       (mon_tlb_data_o[2*LevelArrays+:LevelArrays]),
      .mon_victim_tag_o (mon_tlb_victim_tag_o[2*LevelArrays+:LevelArrays]),
      .mon_victim_data_o(mon_tlb_victim_data_o[2*LevelArrays+:LevelArrays])
  );

  prefetch u_prefetch (
      .clk_i,
      .rst_ni,
      .trigger_i     (PREFETCH_NEXT_PAGE != 0 && stlb_fill.performs && commit.frees),
      .page_i        (fill_tag.page_number),
      .page_size_i   (fill_tag.page_size),
      .done_i        (commit.done && commit.owner == OwnerPrefetch),
      .two_level_i   (mode.two_level),
      .la57_i        (mode.la57),
      .revoke_i      (revoke || writes || commit.drop),
      .wants_probe_o (prefetch_wants_probe),
      .probe_i       (prefetch_probe),
      .probe_hit_i   (prefetch_probe_hit),
      .wants_walk_o  (prefetch_wants_walk),
      .walk_take_i   (prefetch_walk_take),
      .page_o        (prefetch_page),
      .may_fill_o    (prefetch_may_fill),
      .mon_prefetch_o
  );

  // ---------------------------------------------------------------------------------------------
  // Walkers and commit
  // ---------------------------------------------------------------------------------------------

  walk_t              walk      [WALKERS];
  page_number_t       walked    [WALKERS];
  logic [63:0]        leaf      [WALKERS];
  logic [WALKERS-1:0] commit_walker;

  walkers #(
      .WALKERS     (WALKERS),
      .WALKER_ORDER(WALKER_ORDER),
      .ENTRIES     (MISS_QUEUE_ENTRIES),
      .MAXPHYADDR  (MAXPHYADDR),
      .PAGE_1G     (PAGE_1G),
      .CACHES      (Caches)
  ) u_walkers (
      .clk_i,
      .rst_ni,
      .wants_walk_i         (wants_walk),
      .take_o               (walk_take),
      .entry_o              (walk_entry),
      .page_i               (walk_page),
      .access_i             (walk_access),
      .from_cr3_i           (walk_from_cr3),
      .restart_o            (restart),
      .owner_o              (owner),
      .prefetch_wants_i     (prefetch_wants_walk),
      .prefetch_take_o      (prefetch_walk_take),
      .prefetch_page_i      (prefetch_page),
      .prefetch_may_fill_i  (prefetch_may_fill),
      .walk_o               (walk),
      .page_o               (walked),
      .leaf_o               (leaf),
      .walker_i             (commit_walker),
      .commit_i             (commit),
      .commit_page_i        (commit_page),
      .fill_i               (stlb_fill.performs),
      .mode_i               (mode),
      .root_i               (root),
      .busy_i               (busy),
      .psc_invalidate_i     (revoke),
      .psc_invalidate_all_i (psc_all),
      .psc_invalidate_pcid_i(control_invalidation.pcid),
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
      .mem_resp_data_i,
      .mem_resp_error_i,
      .mon_port_i           (commit_miss.port),
      .mon_walk_op_o,
      .mon_walk_port_o,
      .mon_walk_entry_o,
      .mon_walk_psc_level_o,
      .mon_walk_filled_o,
      .mon_walker_o,
      .mon_psc_op_o,
      .mon_psc_set_o,
      .mon_psc_way_o,
      .mon_psc_removed_o,
      .mon_psc_tag_o,
      .mon_psc_data_o,
      .mon_psc_victim_tag_o,
      .mon_psc_victim_data_o
  );

  assign mem_resp_ready_o = 1'b1;

  commit #(
      .WALKERS(WALKERS)
  ) u_commit (
      .clk_i,
      .rst_ni,
      .busy_i             (busy),
      .back_invalidates_i (back_invalidates),
      .mode_i             (mode),
      .walk_i             (walk),
      .page_i             (walked),
      .leaf_i             (leaf),
      .walker_o           (commit_walker),
      .page_o             (commit_page),
      .passed_over_i      (passed_over),
      .due_i              (due),
      .due_entry_i        (due_entry),
      .due_code_i         (due_code),
      .due_tag_i          (due_tag),
      .due_data_i         (due_data),
      .miss_i             (commit_miss),
      .va_i               (commit_va),
      .prefetch_may_fill_i(prefetch_may_fill),
      .commit_o           (commit),
      .respond_o          (respond),
      .port_o             (respond_port),
      .response_o         (response),
      .translation_o      (translation),
      .fault_va_o         (fault_va),
      .l1_fill_o          (l1_fill),
      .stlb_fill_o        (stlb_fill),
      .fill_tag_o         (fill_tag)
  );

  performance_counters #(
      .WALKERS(WALKERS)
  ) u_performance_counters (
      .clk_i,
      .rst_ni,
      .walk_take_i       (walk_take),
      .walk_kind_i       (walk_access.kind),
      .walk_i            (walk),
      .commit_walker_i   (commit_walker),
      .commit_page_size_i(fill_tag.page_size),
      .stlb_hit_i        (stlb_hit),
      .stlb_kind_i       (stlb_access.kind),
      .stlb_page_size_i  (stlb_hit_page_size),
      .load_i            (mem_req_valid_o && mem_req_ready_i && mem_req_op_o == MemRead),
      .invalidates_i     (revoke),
      .perf_o
  );

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && mem_resp_valid_i) begin
      a_memory_response_is_one_beat :
      assert (mem_resp_last_i)
      else $error("response of id %0d, last %b", mem_resp_id_i, mem_resp_last_i);
    end
  end
`endif

endmodule
