//! The machine's ports as plain data: what goes in and what comes out of either twin in one cycle.
//!
//! Contract sections 3 (ports) and 10 (monitor). Counterpart: `rtl/mmu_pkg.sv` and the ports of `rtl/mmu.sv`.
//!
//! The layouts are `repr(C)` and free of padding, because the same bytes cross the border to the verilated RTL and are
//! compared as a whole. Payload fields are 0 whenever their `valid` or `op` is 0, on both sides.

/// Ports that the structures have room for: one fetch port and up to two data ports. A machine with fewer leaves the rest 0.
pub const MAX_PORTS: usize = 3;
/// Walkers that the structures have room for.
pub const MAX_WALKERS: usize = 4;
/// TLB arrays: `3 * level + page size` with levels ITLB, DTLB, STLB.
pub const TLB_ARRAYS: usize = 9;
/// Paging-structure caches: PDE, PDPTE, PML4E, PML5E.
pub const PSC_LEVELS: usize = 4;
/// Entries of the miss queue that the structures have room for.
pub const MAX_MISS_QUEUE_ENTRIES: usize = 16;
/// The entry number that stands for the prefetch (contract 8.6, 10).
pub const PREFETCH_ENTRY: u8 = 16;

/// Request kinds (`kind`).
pub const KIND_READ: u8 = 0;
pub const KIND_WRITE: u8 = 1;
pub const KIND_FETCH: u8 = 2;

/// Response states (`status`).
pub const STATUS_TRANSLATED: u8 = 0;
pub const STATUS_PAGE_FAULT: u8 = 1;
pub const STATUS_GENERAL_PROTECTION: u8 = 2;
pub const STATUS_BUS_ERROR: u8 = 3;

/// Control operations (`op`).
pub const CTRL_MOV_CR0: u8 = 0;
pub const CTRL_MOV_CR3: u8 = 1;
pub const CTRL_MOV_CR4: u8 = 2;
pub const CTRL_WRMSR_EFER: u8 = 3;
pub const CTRL_INVLPG: u8 = 4;
pub const CTRL_INVPCID: u8 = 5;

/// Memory operations (`op`).
pub const MEM_READ: u8 = 0;
pub const MEM_WRITE: u8 = 1;
pub const MEM_COMPARE_AND_SET: u8 = 2;

/// Look-up codes (contract 6 and 7.1).
pub const LOOKUP_NONE: u8 = 0;
pub const LOOKUP_HIT_4K: u8 = 1;
pub const LOOKUP_HIT_2M: u8 = 2;
pub const LOOKUP_HIT_1G: u8 = 3;
pub const LOOKUP_MISS: u8 = 4;
pub const LOOKUP_DENIED: u8 = 5;
pub const LOOKUP_DIRTY_CLEAR: u8 = 6;
pub const LOOKUP_BYPASS: u8 = 7;
/// A miss that waits for an entry of the miss queue which has the same page (contract 7.1).
pub const LOOKUP_MERGED: u8 = 8;

/// Walker events (contract 10).
pub const WALK_NONE: u8 = 0;
pub const WALK_START: u8 = 1;
pub const WALK_RESTART: u8 = 2;
pub const WALK_TRANSLATED: u8 = 3;
pub const WALK_PAGE_FAULT: u8 = 4;
pub const WALK_BUS_ERROR: u8 = 5;
/// A prefetch ended without a translation (contract 8.6).
pub const WALK_STOPPED: u8 = 6;

/// Array events (contract 10).
pub const ARRAY_NONE: u8 = 0;
pub const ARRAY_FILL: u8 = 1;
pub const ARRAY_INVALIDATE: u8 = 2;

/// One port's request inputs and the ready of its response.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortIn {
    pub req_valid: u8,
    pub req_id: u8,
    pub req_kind: u8,
    pub req_size_bytes: u8,
    pub req_cpl: u8,
    pub req_ac: u8,
    pub req_implicit_supervisor: u8,
    pub resp_ready: u8,
    pub req_pkru: u32,
    pub reserved: u32,
    pub req_va: u64,
}

/// Control inputs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlIn {
    pub valid: u8,
    pub op: u8,
    pub resp_ready: u8,
    pub reserved: [u8; 5],
    pub data: u64,
    pub addr: u64,
    pub kind: u64,
}

/// Memory inputs: ready of the request, and the response.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryIn {
    pub req_ready: u8,
    pub resp_valid: u8,
    pub resp_id: u8,
    pub resp_error: u8,
    pub resp_last: u8,
    pub reserved: [u8; 3],
    pub resp_data: u64,
}

/// All inputs of one cycle. `rst_n` = 0 holds the machine in reset.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    pub rst_n: u8,
    pub reserved: [u8; 7],
    pub ports: [PortIn; MAX_PORTS],
    pub control: ControlIn,
    pub memory: MemoryIn,
}

/// One port's outputs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortOut {
    pub req_ready: u8,
    pub resp_valid: u8,
    pub resp_id: u8,
    pub resp_status: u8,
    pub resp_page_size: u8,
    pub resp_pwt: u8,
    pub resp_pcd: u8,
    pub resp_pat: u8,
    pub resp_error_code: u16,
    pub reserved: [u8; 6],
    pub resp_pa: u64,
    pub resp_va: u64,
}

/// Control outputs; the registers are shown in every cycle.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlOut {
    pub ready: u8,
    pub resp_valid: u8,
    pub resp_gp: u8,
    pub reserved: [u8; 5],
    pub cr0: u64,
    pub cr3: u64,
    pub cr4: u64,
    pub efer: u64,
}

/// Memory request outputs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryOut {
    pub req_valid: u8,
    pub req_op: u8,
    pub req_id: u8,
    pub req_beats: u8,
    pub req_be: u8,
    pub resp_ready: u8,
    pub reserved: [u8; 2],
    pub req_addr: u64,
    pub req_wdata: u64,
    pub req_expected: u64,
}

/// A walker's event.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkEvent {
    /// 0 none, else one of the `WALK_` constants.
    pub op: u8,
    /// The port of the request that is walked; 0 for a prefetch.
    pub port: u8,
    /// The entry of the miss queue, or [`PREFETCH_ENTRY`].
    pub entry: u8,
    /// With a start: the level of the PSC match, 2 to 5; 0 for none.
    pub psc_level: u8,
    /// With [`WALK_TRANSLATED`]: 1 if the walk had the right to fill.
    pub filled: u8,
}

/// What happened to one TLB array or paging-structure cache.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArrayEvent {
    pub op: u8,
    pub way: u8,
    pub set: u16,
    pub reserved: u32,
    pub removed: u64,
    pub tag: u64,
    pub data: u64,
    pub victim_tag: u64,
    pub victim_data: u64,
}

/// The monitor port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Monitor {
    /// For each port the code of its look-up in L1: 0 none, else one of the `LOOKUP_` constants.
    pub lookup: [u8; MAX_PORTS],
    /// The entry of the miss queue that the look-up takes or has, 0 to 15.
    pub lookup_entry: [u8; MAX_PORTS],
    /// 1 for the look-up of a request in RETRY.
    pub lookup_retry: [u8; MAX_PORTS],
    /// The code of the look-up in the STLB.
    pub stlb_lookup: u8,
    /// Its port; 0 for a prefetch.
    pub stlb_port: u8,
    /// Its entry of the miss queue, or [`PREFETCH_ENTRY`].
    pub stlb_entry: u8,
    pub walk: [WalkEvent; MAX_WALKERS],
    pub tlb: [ArrayEvent; TLB_ARRAYS],
    pub psc: [ArrayEvent; PSC_LEVELS],
}

/// What the queues hold, in every cycle (contract 10.1, which gives the fields).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// `mon_miss_o`: the entries of the miss queue; those that a machine does not have are 0.
    pub miss: [u32; MAX_MISS_QUEUE_ENTRIES],
    /// `mon_walker_o`: the walkers; those that a machine does not have are 0.
    pub walker: [u32; MAX_WALKERS],
    /// `mon_prefetch_o`: the prefetch.
    pub prefetch: u64,
}

/// All outputs of one cycle.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    pub ports: [PortOut; MAX_PORTS],
    pub control: ControlOut,
    pub memory: MemoryOut,
    pub monitor: Monitor,
    pub queues: Queues,
}

impl PortOut {
    /// All fields 0.
    pub const ZERO: Self = Self {
        req_ready: 0,
        resp_valid: 0,
        resp_id: 0,
        resp_status: 0,
        resp_page_size: 0,
        resp_pwt: 0,
        resp_pcd: 0,
        resp_pat: 0,
        resp_error_code: 0,
        reserved: [0; 6],
        resp_pa: 0,
        resp_va: 0,
    };
}

impl WalkEvent {
    /// All fields 0.
    pub const ZERO: Self = Self {
        op: 0,
        port: 0,
        entry: 0,
        psc_level: 0,
        filled: 0,
    };
}

impl ArrayEvent {
    /// All fields 0.
    pub const ZERO: Self = Self {
        op: 0,
        way: 0,
        set: 0,
        reserved: 0,
        removed: 0,
        tag: 0,
        data: 0,
        victim_tag: 0,
        victim_data: 0,
    };
}

impl Outputs {
    /// All fields 0. A constant, because that is written faster than `default()`.
    pub const ZERO: Self = Self {
        ports: [PortOut::ZERO; MAX_PORTS],
        control: ControlOut {
            ready: 0,
            resp_valid: 0,
            resp_gp: 0,
            reserved: [0; 5],
            cr0: 0,
            cr3: 0,
            cr4: 0,
            efer: 0,
        },
        memory: MemoryOut {
            req_valid: 0,
            req_op: 0,
            req_id: 0,
            req_beats: 0,
            req_be: 0,
            resp_ready: 0,
            reserved: [0; 2],
            req_addr: 0,
            req_wdata: 0,
            req_expected: 0,
        },
        monitor: Monitor {
            lookup: [0; MAX_PORTS],
            lookup_entry: [0; MAX_PORTS],
            lookup_retry: [0; MAX_PORTS],
            stlb_lookup: 0,
            stlb_port: 0,
            stlb_entry: 0,
            walk: [WalkEvent::ZERO; MAX_WALKERS],
            tlb: [ArrayEvent::ZERO; TLB_ARRAYS],
            psc: [ArrayEvent::ZERO; PSC_LEVELS],
        },
        queues: Queues {
            miss: [0; MAX_MISS_QUEUE_ENTRIES],
            walker: [0; MAX_WALKERS],
            prefetch: 0,
        },
    };
}
