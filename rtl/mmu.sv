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
    /// The page after one that was walked is prefetched: 0 or 1.
    parameter int unsigned PREFETCH_NEXT_PAGE = 0,
    /// Cycles from accept to look-up, fetch port, 1 to 63.
    parameter int unsigned ITLB_HIT_CYCLES   = 1,
    /// Cycles from accept to look-up, data ports, 1 to 63.
    parameter int unsigned DTLB_HIT_CYCLES   = 1,
    /// Cycles from look-up to result in the STLB, 1 to 63.
    parameter int unsigned STLB_HIT_CYCLES   = 7,
    /// Sets of the ITLB's array of 4 KiB pages, a power of two, 1 to 4096.
    parameter int unsigned ITLB_4K_SETS      = 8,
    /// Ways of the ITLB's array of 4 KiB pages, 0 (no such array) to 64.
    parameter int unsigned ITLB_4K_WAYS      = 8,
    /// Sets of the ITLB's array of 2 MiB pages, a power of two, 1 to 4096.
    parameter int unsigned ITLB_2M_SETS      = 1,
    /// Ways of the ITLB's array of 2 MiB pages, 0 (no such array) to 64.
    parameter int unsigned ITLB_2M_WAYS      = 8,
    /// Sets of the ITLB's array of 1 GiB pages, a power of two, 1 to 4096.
    parameter int unsigned ITLB_1G_SETS      = 1,
    /// Ways of the ITLB's array of 1 GiB pages, 0 (no such array) to 64.
    parameter int unsigned ITLB_1G_WAYS      = 4,
    /// Sets of the DTLB's array of 4 KiB pages, a power of two, 1 to 4096.
    parameter int unsigned DTLB_4K_SETS      = 16,
    /// Ways of the DTLB's array of 4 KiB pages, 0 (no such array) to 64.
    parameter int unsigned DTLB_4K_WAYS      = 4,
    /// Sets of the DTLB's array of 2 MiB pages, a power of two, 1 to 4096.
    parameter int unsigned DTLB_2M_SETS      = 8,
    /// Ways of the DTLB's array of 2 MiB pages, 0 (no such array) to 64.
    parameter int unsigned DTLB_2M_WAYS      = 4,
    /// Sets of the DTLB's array of 1 GiB pages, a power of two, 1 to 4096.
    parameter int unsigned DTLB_1G_SETS      = 1,
    /// Ways of the DTLB's array of 1 GiB pages, 0 (no such array) to 64.
    parameter int unsigned DTLB_1G_WAYS      = 4,
    /// Sets of the STLB's array of 4 KiB pages, a power of two, 1 to 4096.
    parameter int unsigned STLB_4K_SETS      = 128,
    /// Ways of the STLB's array of 4 KiB pages, 0 (no such array) to 64.
    parameter int unsigned STLB_4K_WAYS      = 12,
    /// Sets of the STLB's array of 2 MiB pages, a power of two, 1 to 4096.
    parameter int unsigned STLB_2M_SETS      = 32,
    /// Ways of the STLB's array of 2 MiB pages, 0 (no such array) to 64.
    parameter int unsigned STLB_2M_WAYS      = 8,
    /// Sets of the STLB's array of 1 GiB pages, a power of two, 1 to 4096.
    parameter int unsigned STLB_1G_SETS      = 4,
    /// Ways of the STLB's array of 1 GiB pages, 0 (no such array) to 64.
    parameter int unsigned STLB_1G_WAYS      = 4,
    /// Entries of the paging-structure cache of PML5Es, 0 (none) to 64.
    parameter int unsigned PSC_PML5E_ENTRIES = 2,
    /// Entries of the paging-structure cache of PML4Es, 0 (none) to 64.
    parameter int unsigned PSC_PML4E_ENTRIES = 4,
    /// Entries of the paging-structure cache of PDPTEs, 0 (none) to 64.
    parameter int unsigned PSC_PDPTE_ENTRIES = 8,
    /// Entries of the paging-structure cache of PDEs, 0 (none) to 64.
    parameter int unsigned PSC_PDE_ENTRIES   = 32,
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
    // To the monitor: TLB arrays, numbered 3 * level + page size, that of 4 MiB as 2 MiB.
    /// 1 fill, 2 an invalidation or drop that removes something.
    output logic [1:0]  mon_tlb_op_o             [TlbArrays],
    /// Set.
    output logic [11:0] mon_tlb_set_o            [TlbArrays],
    /// Way that is filled.
    output logic [5:0]  mon_tlb_way_o            [TlbArrays],
    /// Ways that lose what they held.
    output logic [63:0] mon_tlb_removed_o        [TlbArrays],
    /// Tag of the new entry.
    output logic [63:0] mon_tlb_tag_o            [TlbArrays],
    /// Data of the new entry.
    output logic [63:0] mon_tlb_data_o           [TlbArrays],
    /// Tag that the filled way held.
    output logic [63:0] mon_tlb_victim_tag_o     [TlbArrays],
    /// Data that the filled way held.
    output logic [63:0] mon_tlb_victim_data_o    [TlbArrays],
    // To the monitor: paging-structure caches, 0 = PDE to 3 = PML5E.
    /// 1 fill, 2 an invalidation or drop that removes something.
    output logic [1:0]  mon_psc_op_o             [PscLevels],
    /// Way that is filled.
    output logic [5:0]  mon_psc_way_o            [PscLevels],
    /// Ways that lose what they held.
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
    output logic [63:0] mon_prefetch_o
);

  // ---------------------------------------------------------------------------------------------
  // Parameters out of range are refused
  // ---------------------------------------------------------------------------------------------

  function automatic bit is_legal_array(int unsigned sets, int unsigned ways);
    return sets >= 1 && sets <= 4096 && (sets & (sets - 1)) == 0 && ways <= 64;
  endfunction

  localparam bit NumbersAreLegal = MAXPHYADDR >= 36 && MAXPHYADDR <= 52 && PAGE_1G <= 1 &&
      FIVE_LEVEL <= 1 && DATA_PORTS >= 1 && DATA_PORTS <= 2 && QUEUE_ENTRIES >= 1 &&
      QUEUE_ENTRIES <= 16 && MISS_QUEUE_ENTRIES >= 1 && MISS_QUEUE_ENTRIES <= 16 && WALKERS >= 1 &&
      WALKERS <= 4 && PREFETCH_NEXT_PAGE <= 1;
  localparam bit LatenciesAreLegal = ITLB_HIT_CYCLES >= 1 && ITLB_HIT_CYCLES <= 63 &&
      DTLB_HIT_CYCLES >= 1 && DTLB_HIT_CYCLES <= 63 && STLB_HIT_CYCLES >= 1 &&
      STLB_HIT_CYCLES <= 63;
  localparam bit ArraysAreLegal = is_legal_array(ITLB_4K_SETS, ITLB_4K_WAYS) &&
      is_legal_array(ITLB_2M_SETS, ITLB_2M_WAYS) && is_legal_array(ITLB_1G_SETS, ITLB_1G_WAYS) &&
      is_legal_array(DTLB_4K_SETS, DTLB_4K_WAYS) && is_legal_array(DTLB_2M_SETS, DTLB_2M_WAYS) &&
      is_legal_array(DTLB_1G_SETS, DTLB_1G_WAYS) && is_legal_array(STLB_4K_SETS, STLB_4K_WAYS) &&
      is_legal_array(STLB_2M_SETS, STLB_2M_WAYS) && is_legal_array(STLB_1G_SETS, STLB_1G_WAYS);
  localparam bit CachesAreLegal = PSC_PML5E_ENTRIES <= 64 && PSC_PML4E_ENTRIES <= 64 &&
      PSC_PDPTE_ENTRIES <= 64 && PSC_PDE_ENTRIES <= 64;

  if (!(NumbersAreLegal && LatenciesAreLegal && ArraysAreLegal && CachesAreLegal))
  begin : gen_refused
    $error("a parameter is out of the range that section 2 of the contract gives");
  end

  // ---------------------------------------------------------------------------------------------
  // Length of a sweep: the rows of the largest array that is present
  // ---------------------------------------------------------------------------------------------

  function automatic int unsigned more_rows(int unsigned rows, int unsigned sets,
                                            int unsigned ways);
    return ways > 0 && sets > rows ? sets : rows;
  endfunction

  function automatic int unsigned sweep_cycles();
    int unsigned rows;
    rows = 1;
    rows = more_rows(rows, ITLB_4K_SETS, ITLB_4K_WAYS);
    rows = more_rows(rows, ITLB_2M_SETS, ITLB_2M_WAYS);
    rows = more_rows(rows, ITLB_1G_SETS, ITLB_1G_WAYS);
    rows = more_rows(rows, DTLB_4K_SETS, DTLB_4K_WAYS);
    rows = more_rows(rows, DTLB_2M_SETS, DTLB_2M_WAYS);
    rows = more_rows(rows, DTLB_1G_SETS, DTLB_1G_WAYS);
    rows = more_rows(rows, STLB_4K_SETS, STLB_4K_WAYS);
    rows = more_rows(rows, STLB_2M_SETS, STLB_2M_WAYS);
    rows = more_rows(rows, STLB_1G_SETS, STLB_1G_WAYS);
    return rows;
  endfunction

  localparam int unsigned SweepCycles = sweep_cycles();

  // Arrays that a level of L1 has, one bit an array: element 0 the ITLB, 1 the DTLB.
  localparam logic [PageSizes-1:0] HeldSizes[2] = '{
      {ITLB_1G_WAYS > 0, ITLB_2M_WAYS > 0, ITLB_4K_WAYS > 0},
      {DTLB_1G_WAYS > 0, DTLB_2M_WAYS > 0, DTLB_4K_WAYS > 0}
  };

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
      .SWEEP_CYCLES(SweepCycles)
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
  // Invalidations: of control, or a drop of a walker; never both, as a drop waits for control
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
      invalidation.rule = '{by_page: 1'b1, any_pcid: 1'b0, globals: 1'b1};
      invalidation.pcid = mode.pcid;
      invalidate_page = commit_page;
    end
  end

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

  // A level is filled if it has an array for the page.
  always_comb begin : choose_level
    for (int unsigned l = 0; l < 2; l++) begin
      level_fill[l] = l1_fill;
      if ((respond_port != '0) != (l != 0) || !HeldSizes[l][array_of(l1_fill.page_size)]) begin
        level_fill[l].performs = 1'b0;
      end
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
        .hold_i                   (commit.drop || level_fill[Level].performs),
        .lookup_o                 (lookup[p]),
        .lookup_va_o              (lookup_va[p]),
        .lookup_request_o         (lookup_request[p]),
        .level_code_i             (level_code[p]),
        .level_data_i             (level_data[p]),
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

  // What only the STLB keeps of a match.
  tlb_tag_t unused_itlb_tag[1];
  tlb_tag_t unused_dtlb_tag[DATA_PORTS];

  tlb_level #(
      .SETS_4K (ITLB_4K_SETS),
      .WAYS_4K (ITLB_4K_WAYS),
      .SETS_2M (ITLB_2M_SETS),
      .WAYS_2M (ITLB_2M_WAYS),
      .SETS_1G (ITLB_1G_SETS),
      .WAYS_1G (ITLB_1G_WAYS),
      .CHANNELS(1)
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
      .tag_o            (unused_itlb_tag),
      .data_o           (level_data[0+:1]),
      .fill_i           (level_fill[0]),
      .fill_tag_i       (fill_tag),
      .invalidation_i   (invalidation),
      .invalidate_page_i(invalidate_page),
      .mon_op_o         (mon_tlb_op_o[0+:PageSizes]),
      .mon_set_o        (mon_tlb_set_o[0+:PageSizes]),
      .mon_way_o        (mon_tlb_way_o[0+:PageSizes]),
      .mon_removed_o    (mon_tlb_removed_o[0+:PageSizes]),
      .mon_tag_o        (mon_tlb_tag_o[0+:PageSizes]),
      .mon_data_o       (mon_tlb_data_o[0+:PageSizes]),
      .mon_victim_tag_o (mon_tlb_victim_tag_o[0+:PageSizes]),
      .mon_victim_data_o(mon_tlb_victim_data_o[0+:PageSizes])
  );

  tlb_level #(
      .SETS_4K (DTLB_4K_SETS),
      .WAYS_4K (DTLB_4K_WAYS),
      .SETS_2M (DTLB_2M_SETS),
      .WAYS_2M (DTLB_2M_WAYS),
      .SETS_1G (DTLB_1G_SETS),
      .WAYS_1G (DTLB_1G_WAYS),
      .CHANNELS(DATA_PORTS)
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
      .tag_o            (unused_dtlb_tag),
      .data_o           (level_data[1+:DATA_PORTS]),
      .fill_i           (level_fill[1]),
      .fill_tag_i       (fill_tag),
      .invalidation_i   (invalidation),
      .invalidate_page_i(invalidate_page),
      .mon_op_o         (mon_tlb_op_o[3+:PageSizes]),
      .mon_set_o        (mon_tlb_set_o[3+:PageSizes]),
      .mon_way_o        (mon_tlb_way_o[3+:PageSizes]),
      .mon_removed_o    (mon_tlb_removed_o[3+:PageSizes]),
      .mon_tag_o        (mon_tlb_tag_o[3+:PageSizes]),
      .mon_data_o       (mon_tlb_data_o[3+:PageSizes]),
      .mon_victim_tag_o (mon_tlb_victim_tag_o[3+:PageSizes]),
      .mon_victim_data_o(mon_tlb_victim_data_o[3+:PageSizes])
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

  stlb #(
      .ENTRIES        (MISS_QUEUE_ENTRIES),
      .STLB_HIT_CYCLES(STLB_HIT_CYCLES),
      .SETS_4K        (STLB_4K_SETS),
      .WAYS_4K        (STLB_4K_WAYS),
      .SETS_2M        (STLB_2M_SETS),
      .WAYS_2M        (STLB_2M_WAYS),
      .SETS_1G        (STLB_1G_SETS),
      .WAYS_1G        (STLB_1G_WAYS)
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
      .two_level_i      (mode.two_level),
      .pcid_i           (mode.pcid),
      .protection_i     (mode.protection),
      .busy_i           (busy),
      .invalidation_i   (invalidation),
      .invalidate_page_i(invalidate_page),
      .mon_stlb_lookup_o,
      .mon_stlb_port_o,
      .mon_stlb_entry_o,
      .mon_op_o         (mon_tlb_op_o[6+:PageSizes]),
      .mon_set_o        (mon_tlb_set_o[6+:PageSizes]),
      .mon_way_o        (mon_tlb_way_o[6+:PageSizes]),
      .mon_removed_o    (mon_tlb_removed_o[6+:PageSizes]),
      .mon_tag_o        (mon_tlb_tag_o[6+:PageSizes]),
      .mon_data_o       (mon_tlb_data_o[6+:PageSizes]),
      .mon_victim_tag_o (mon_tlb_victim_tag_o[6+:PageSizes]),
      .mon_victim_data_o(mon_tlb_victim_data_o[6+:PageSizes])
  );

  prefetch u_prefetch (
      .clk_i,
      .rst_ni,
      .trigger_i     (PREFETCH_NEXT_PAGE != 0 && stlb_fill.performs && commit.frees),
      .page_i        (fill_tag.page_number),
      .page_size_i   (stlb_fill.page_size),
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
      .WALKERS          (WALKERS),
      .ENTRIES          (MISS_QUEUE_ENTRIES),
      .MAXPHYADDR       (MAXPHYADDR),
      .PAGE_1G          (PAGE_1G),
      .PSC_PDE_ENTRIES  (PSC_PDE_ENTRIES),
      .PSC_PDPTE_ENTRIES(PSC_PDPTE_ENTRIES),
      .PSC_PML4E_ENTRIES(PSC_PML4E_ENTRIES),
      .PSC_PML5E_ENTRIES(PSC_PML5E_ENTRIES)
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
