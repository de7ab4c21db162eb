// The memory-management unit: the machine's top, and the wiring of its blocks.
//
// Contract: sections 2 (parameters), 3 (ports), 10 (monitor); the blocks implement the rest.
// Counterpart: src/model/mmu.rs; the ports as plain data: src/model/mmu_pkg.rs.
//
//   requester <-> port (queues, L1 TLB) <-> stlb (miss entries, shared TLB) <-> walker <-> memory
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
    /// Data ports: 1.
    parameter int unsigned DATA_PORTS        = 1,
    /// Requests accepted and not yet answered, per port, 1 to 16.
    parameter int unsigned QUEUE_ENTRIES     = 4,
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
    localparam int unsigned PORTS             = 1 + DATA_PORTS,
    /// Page walkers.
    localparam int unsigned WALKERS           = 1
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
    /// Page size: 0 = 4 KiB, 1 = 2 MiB, 2 = 1 GiB.
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
    /// Id: that of the walker, 0.
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
    output logic [2:0]  mon_lookup_o             [PORTS],
    /// Code of the look-up in the STLB.
    output logic [2:0]  mon_stlb_lookup_o,
    /// Its port.
    output logic [1:0]  mon_stlb_port_o,
    // To the monitor: walkers.
    /// 1 start, 2 restart, 3 translated, 4 page fault, 5 bus error.
    output logic [2:0]  mon_walk_op_o            [WALKERS],
    /// Its port.
    output logic [1:0]  mon_walk_port_o          [WALKERS],
    /// Level of the cached entry at which a walk begins.
    output logic [2:0]  mon_walk_psc_level_o     [WALKERS],
    /// A translation had the right to fill.
    output logic        mon_walk_filled_o        [WALKERS],
    // To the monitor: TLB arrays, numbered 3 * level + page size.
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
    output logic [63:0] mon_psc_victim_data_o    [PscLevels]
);

  // ---------------------------------------------------------------------------------------------
  // Parameters out of range are refused
  // ---------------------------------------------------------------------------------------------

  function automatic bit is_legal_array(int unsigned sets, int unsigned ways);
    return sets >= 1 && sets <= 4096 && (sets & (sets - 1)) == 0 && ways <= 64;
  endfunction

  localparam bit NumbersAreLegal = MAXPHYADDR >= 36 && MAXPHYADDR <= 52 && PAGE_1G <= 1 &&
      FIVE_LEVEL <= 1 && DATA_PORTS == 1 && QUEUE_ENTRIES >= 1 && QUEUE_ENTRIES <= 16;
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

  // Parameters of the L1 level of a port: element 0 the ITLB, element 1 the DTLB.
  localparam int unsigned HitCycles[2] = '{ITLB_HIT_CYCLES, DTLB_HIT_CYCLES};
  localparam int unsigned Sets4K[2] = '{ITLB_4K_SETS, DTLB_4K_SETS};
  localparam int unsigned Ways4K[2] = '{ITLB_4K_WAYS, DTLB_4K_WAYS};
  localparam int unsigned Sets2M[2] = '{ITLB_2M_SETS, DTLB_2M_SETS};
  localparam int unsigned Ways2M[2] = '{ITLB_2M_WAYS, DTLB_2M_WAYS};
  localparam int unsigned Sets1G[2] = '{ITLB_1G_SETS, DTLB_1G_SETS};
  localparam int unsigned Ways1G[2] = '{ITLB_1G_WAYS, DTLB_1G_WAYS};

  // ---------------------------------------------------------------------------------------------
  // Control
  // ---------------------------------------------------------------------------------------------

  logic         port_idle[PORTS];
  logic         accept;
  mode_t        mode;
  frame_t       root;
  logic         busy;
  logic         revoke;
  logic         control_invalidates;
  logic         initialise;
  match_rule_t  control_rule;
  page_number_t control_page;
  pcid_t        control_pcid;
  row_t         control_row;
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
      .invalidate_o        (control_invalidates),
      .initialise_o        (initialise),
      .invalidate_rule_o   (control_rule),
      .invalidate_page_o   (control_page),
      .invalidate_pcid_o   (control_pcid),
      .invalidate_row_o    (control_row),
      .invalidate_psc_all_o(psc_all)
  );

  // ---------------------------------------------------------------------------------------------
  // Invalidations: of control, or a drop of the walker; never both, as a drop waits for control
  // ---------------------------------------------------------------------------------------------

  logic         drop;
  page_number_t drop_page;
  logic         invalidate;
  match_rule_t  rule;
  page_number_t page;
  pcid_t        pcid;

  always_comb begin : choose_invalidation
    invalidate = control_invalidates;
    rule = control_rule;
    page = control_page;
    pcid = control_pcid;
    if (drop) begin
      invalidate = 1'b1;
      rule = '{by_page: 1'b1, any_pcid: 1'b0, globals: 1'b1};
      page = drop_page;
      pcid = mode.pcid;
    end
  end

  // ---------------------------------------------------------------------------------------------
  // Ports
  // ---------------------------------------------------------------------------------------------

  lookup_e      lookup        [PORTS];
  logic [63:0]  lookup_va     [PORTS];
  request_t     lookup_request[PORTS];
  logic         miss_free     [PORTS];
  logic         respond       [PORTS];
  response_t    response      [PORTS];
  translation_t translation   [PORTS];
  logic [63:0]  fault_va      [PORTS];
  logic         fill          [PORTS];
  page_size_e   fill_size     [PORTS];
  tlb_tag_t     fill_tag      [PORTS];
  tlb_data_t    fill_data     [PORTS];

  for (genvar p = 0; p < PORTS; p++) begin : gen_port
    /// L1 level of the port, and the monitor's first array of that level.
    localparam int unsigned Level = p == 0 ? 0 : 1;
    localparam int unsigned First = Level * PageSizes;

    response_t    shown;
    translation_t shown_translation;

    port #(
        .PORT         (p),
        .QUEUE_ENTRIES(QUEUE_ENTRIES),
        .HIT_CYCLES   (HitCycles[Level]),
        .SETS_4K      (Sets4K[Level]),
        .WAYS_4K      (Ways4K[Level]),
        .SETS_2M      (Sets2M[Level]),
        .WAYS_2M      (Ways2M[Level]),
        .SETS_1G      (Sets1G[Level]),
        .WAYS_1G      (Ways1G[Level])
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
        .la57_i                   (mode.la57),
        .pcid_i                   (mode.pcid),
        .protection_i             (mode.protection),
        .accept_i                 (accept),
        .busy_i                   (busy),
        .idle_o                   (port_idle[p]),
        .drop_i                   (drop),
        .miss_free_i              (miss_free[p]),
        .lookup_o                 (lookup[p]),
        .lookup_va_o              (lookup_va[p]),
        .lookup_request_o         (lookup_request[p]),
        .miss_respond_i           (respond[p]),
        .miss_response_i          (response[p]),
        .miss_translation_i       (translation[p]),
        .miss_fault_va_i          (fault_va[p]),
        .fill_i                   (fill[p]),
        .fill_size_i              (fill_size[p]),
        .fill_tag_i               (fill_tag[p]),
        .fill_data_i              (fill_data[p]),
        .invalidate_i             (invalidate),
        .initialise_i             (initialise),
        .invalidate_rule_i        (rule),
        .invalidate_page_i        (page),
        .invalidate_pcid_i        (pcid),
        .invalidate_row_i         (control_row),
        .mon_op_o                 (mon_tlb_op_o[First+:PageSizes]),
        .mon_set_o                (mon_tlb_set_o[First+:PageSizes]),
        .mon_way_o                (mon_tlb_way_o[First+:PageSizes]),
        .mon_removed_o            (mon_tlb_removed_o[First+:PageSizes]),
        .mon_tag_o                (mon_tlb_tag_o[First+:PageSizes]),
        .mon_data_o               (mon_tlb_data_o[First+:PageSizes]),
        .mon_victim_tag_o         (mon_tlb_victim_tag_o[First+:PageSizes]),
        .mon_victim_data_o        (mon_tlb_victim_data_o[First+:PageSizes])
    );

    assign resp_id_o[p] = shown.id;
    assign resp_status_o[p] = shown.status;
    assign resp_error_code_o[p] = shown.error_code;
    assign resp_pa_o[p] = shown_translation.pa;
    assign resp_page_size_o[p] = shown_translation.page_size;
    assign resp_pwt_o[p] = shown_translation.memory_type.pwt;
    assign resp_pcd_o[p] = shown_translation.memory_type.pcd;
    assign resp_pat_o[p] = shown_translation.memory_type.pat;
    assign mon_lookup_o[p] = lookup[p];
  end

  // ---------------------------------------------------------------------------------------------
  // Miss entries and STLB
  // ---------------------------------------------------------------------------------------------

  logic         wants_walk [PORTS];
  logic         from_cr3   [PORTS];
  logic         may_fill   [PORTS];
  page_number_t miss_page  [PORTS];
  access_t      miss_access[PORTS];
  logic         walk_take  [PORTS];
  logic [1:0]   walk_port;
  logic         walk_done;
  walk_end_e    walk_end;
  logic [15:0]  walk_error_code;
  page_size_e   walk_size;
  tlb_tag_t     walk_tag;
  tlb_data_t    walk_data;

  localparam int unsigned FirstOfStlb = 2 * PageSizes;

  stlb #(
      .PORTS          (PORTS),
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
      .lookup_i         (lookup),
      .lookup_va_i      (lookup_va),
      .lookup_request_i (lookup_request),
      .free_o           (miss_free),
      .respond_o        (respond),
      .response_o       (response),
      .translation_o    (translation),
      .fault_va_o       (fault_va),
      .fill_o           (fill),
      .fill_size_o      (fill_size),
      .fill_tag_o       (fill_tag),
      .fill_data_o      (fill_data),
      .wants_walk_o     (wants_walk),
      .from_cr3_o       (from_cr3),
      .may_fill_o       (may_fill),
      .page_o           (miss_page),
      .access_o         (miss_access),
      .walk_take_i      (walk_take),
      .walk_port_i      (walk_port),
      .walk_done_i      (walk_done),
      .walk_end_i       (walk_end),
      .walk_error_code_i(walk_error_code),
      .walk_size_i      (walk_size),
      .walk_tag_i       (walk_tag),
      .walk_data_i      (walk_data),
      .pcid_i           (mode.pcid),
      .protection_i     (mode.protection),
      .busy_i           (busy),
      .drop_i           (drop),
      .revoke_i         (revoke),
      .invalidate_i     (invalidate),
      .initialise_i     (initialise),
      .invalidate_rule_i(rule),
      .invalidate_page_i(page),
      .invalidate_pcid_i(pcid),
      .invalidate_row_i (control_row),
      .mon_stlb_lookup_o,
      .mon_stlb_port_o,
      .mon_op_o         (mon_tlb_op_o[FirstOfStlb+:PageSizes]),
      .mon_set_o        (mon_tlb_set_o[FirstOfStlb+:PageSizes]),
      .mon_way_o        (mon_tlb_way_o[FirstOfStlb+:PageSizes]),
      .mon_removed_o    (mon_tlb_removed_o[FirstOfStlb+:PageSizes]),
      .mon_tag_o        (mon_tlb_tag_o[FirstOfStlb+:PageSizes]),
      .mon_data_o       (mon_tlb_data_o[FirstOfStlb+:PageSizes]),
      .mon_victim_tag_o (mon_tlb_victim_tag_o[FirstOfStlb+:PageSizes]),
      .mon_victim_data_o(mon_tlb_victim_data_o[FirstOfStlb+:PageSizes])
  );

  // ---------------------------------------------------------------------------------------------
  // Walker
  // ---------------------------------------------------------------------------------------------

  mem_op_e mem_req_op;

  walker #(
      .PORTS            (PORTS),
      .MAXPHYADDR       (MAXPHYADDR),
      .PAGE_1G          (PAGE_1G),
      .PSC_PDE_ENTRIES  (PSC_PDE_ENTRIES),
      .PSC_PDPTE_ENTRIES(PSC_PDPTE_ENTRIES),
      .PSC_PML4E_ENTRIES(PSC_PML4E_ENTRIES),
      .PSC_PML5E_ENTRIES(PSC_PML5E_ENTRIES)
  ) u_walker (
      .clk_i,
      .rst_ni,
      .wants_walk_i         (wants_walk),
      .from_cr3_i           (from_cr3),
      .may_fill_i           (may_fill),
      .page_i               (miss_page),
      .access_i             (miss_access),
      .take_o               (walk_take),
      .port_o               (walk_port),
      .done_o               (walk_done),
      .end_o                (walk_end),
      .error_code_o         (walk_error_code),
      .size_o               (walk_size),
      .tag_o                (walk_tag),
      .data_o               (walk_data),
      .drop_o               (drop),
      .drop_page_o          (drop_page),
      .mode_i               (mode),
      .root_i               (root),
      .busy_i               (busy),
      .psc_invalidate_i     (revoke),
      .psc_invalidate_all_i (psc_all),
      .psc_invalidate_pcid_i(control_pcid),
      .mem_req_valid_o,
      .mem_req_ready_i,
      .mem_req_op_o         (mem_req_op),
      .mem_req_addr_o,
      .mem_req_wdata_o,
      .mem_req_expected_o,
      .mem_resp_valid_i,
      .mem_resp_data_i,
      .mem_resp_error_i,
      .mon_walk_op_o        (mon_walk_op_o[0]),
      .mon_walk_port_o      (mon_walk_port_o[0]),
      .mon_walk_psc_level_o (mon_walk_psc_level_o[0]),
      .mon_walk_filled_o    (mon_walk_filled_o[0]),
      .mon_psc_op_o,
      .mon_psc_way_o,
      .mon_psc_removed_o,
      .mon_psc_tag_o,
      .mon_psc_data_o,
      .mon_psc_victim_tag_o,
      .mon_psc_victim_data_o
  );

  // The walker is the only master: its id is 0, and it moves one whole word at a time.
  assign mem_req_op_o = mem_req_op;
  assign mem_req_id_o = '0;
  assign mem_req_beats_o = 8'(mem_req_valid_o);
  assign mem_req_be_o = mem_req_valid_o ? 8'hff : 8'h00;
  assign mem_resp_ready_o = 1'b1;

`ifndef SYNTHESIS
  for (genvar p = 0; p < PORTS; p++) begin : gen_port_links
    link_sva u_request (
        .clk_i,
        .rst_ni,
        .valid_i    (req_valid_i[p]),
        .ready_i    (req_ready_o[p]),
        .payload_0_i(req_va_i[p]),
        .payload_1_i({11'd0, req_size_bytes_i[p], req_id_i[p], req_kind_i[p], req_cpl_i[p],
                      req_ac_i[p], req_implicit_supervisor_i[p], req_pkru_i[p]}),
        .payload_2_i('0),
        .payload_3_i('0)
    );

    link_sva u_response (
        .clk_i,
        .rst_ni,
        .valid_i    (resp_valid_o[p]),
        .ready_i    (resp_ready_i[p]),
        .payload_0_i({38'd0, resp_id_o[p], resp_status_o[p], resp_error_code_o[p]}),
        .payload_1_i({7'd0, resp_pa_o[p], resp_page_size_o[p], resp_pwt_o[p], resp_pcd_o[p],
                      resp_pat_o[p]}),
        .payload_2_i(resp_va_o[p]),
        .payload_3_i('0)
    );
  end

  link_sva u_control_link (
      .clk_i,
      .rst_ni,
      .valid_i    (ctrl_valid_i),
      .ready_i    (ctrl_ready_o),
      .payload_0_i({61'd0, ctrl_op_i}),
      .payload_1_i(ctrl_data_i),
      .payload_2_i(ctrl_addr_i),
      .payload_3_i(ctrl_type_i)
  );

  link_sva u_control_response_link (
      .clk_i,
      .rst_ni,
      .valid_i    (ctrl_resp_valid_o),
      .ready_i    (ctrl_resp_ready_i),
      .payload_0_i({63'd0, ctrl_resp_gp_o}),
      .payload_1_i('0),
      .payload_2_i('0),
      .payload_3_i('0)
  );

  // The link of memory responses has no checker: its ready is always 1, so that it never stalls.
  link_sva u_memory_link (
      .clk_i,
      .rst_ni,
      .valid_i    (mem_req_valid_o),
      .ready_i    (mem_req_ready_i),
      .payload_0_i({38'd0, mem_req_op_o, mem_req_id_o, mem_req_beats_o, mem_req_be_o}),
      .payload_1_i({12'd0, mem_req_addr_o}),
      .payload_2_i(mem_req_wdata_o),
      .payload_3_i(mem_req_expected_o)
  );

  always_ff @(posedge clk_i) begin : assertions
    if (rst_ni && drop) begin
      a_drop_waits_while_control_is_busy :
      assert (!busy)
      else $error("a drop performs while control is busy");
    end
    if (rst_ni && mem_resp_valid_i) begin
      a_memory_response_is_the_one_beat_of_the_walker :
      assert (mem_resp_id_i == '0 && mem_resp_last_i)
      else $error("response of id %0d, last %b", mem_resp_id_i, mem_resp_last_i);
    end
  end
`endif

endmodule
