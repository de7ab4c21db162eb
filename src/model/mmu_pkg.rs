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
/// TLB arrays: `4 * level + n` with levels ITLB, DTLB, STLB, and n of A to D (contract 2).
pub const TLB_ARRAYS: usize = 12;
/// Paging-structure caches: PDE, PDPTE, PML4E, PML5E.
pub const PSC_LEVELS: usize = 4;
/// Entries of the miss queue that the structures have room for.
pub const MAX_MISS_QUEUE_ENTRIES: usize = 16;
/// The entry number that stands for the prefetch (contract 8.6, 10).
pub const PREFETCH_ENTRY: u8 = 16;

// Request kinds (`kind`).
/// A load (contract 3).
pub const KIND_READ: u8 = 0;
/// A store (contract 3).
pub const KIND_WRITE: u8 = 1;
/// An instruction fetch, on port 0 alone (contract 3).
pub const KIND_FETCH: u8 = 2;

// Response states (`status`).
/// Translated: the address and its attributes are meaningful (contract 3).
pub const STATUS_TRANSLATED: u8 = 0;
/// #PF: error code and address are meaningful (contract 8.4, 11).
pub const STATUS_PAGE_FAULT: u8 = 1;
/// #GP: the address is not canonical (contract 6).
pub const STATUS_GENERAL_PROTECTION: u8 = 2;
/// A read or compare-and-set of an entry met a bus error (contract 8.4).
pub const STATUS_BUS_ERROR: u8 = 3;

// Control operations (`op`).
/// MOV CR0 (contract 9.3).
pub const CTRL_MOV_CR0: u8 = 0;
/// MOV CR3 (contract 9.3).
pub const CTRL_MOV_CR3: u8 = 1;
/// MOV CR4 (contract 9.3).
pub const CTRL_MOV_CR4: u8 = 2;
/// WRMSR of IA32_EFER (contract 9.3).
pub const CTRL_WRMSR_EFER: u8 = 3;
/// INVLPG (contract 9.3).
pub const CTRL_INVLPG: u8 = 4;
/// INVPCID (contract 9.3).
pub const CTRL_INVPCID: u8 = 5;

// Memory operations (`op`).
/// A read of 8 bytes (contract 3).
pub const MEM_READ: u8 = 0;
/// A write of the enabled bytes, which no walker asks for (contract 3).
pub const MEM_WRITE: u8 = 1;
/// A compare-and-set of the enabled bytes (contract 3, 8.3).
pub const MEM_COMPARE_AND_SET: u8 = 2;

/// A mask of the bits of the bytes that byte enables name.
#[inline]
pub const fn byte_mask(enables: u8) -> u64 {
    if enables == 0xff {
        return u64::MAX;
    }
    let mut mask = 0;
    let mut byte = 0;
    while byte < 8 {
        if enables >> byte & 1 != 0 {
            mask |= 0xff << (8 * byte);
        }
        byte += 1;
    }
    mask
}

// Look-up codes (contract 6 and 7.1).
/// No look-up in this cycle.
pub const LOOKUP_NONE: u8 = 0;
/// A hit of kept size 4 KiB.
pub const LOOKUP_HIT_4K: u8 = 1;
/// A hit of kept size 2 MiB, in 32-bit paging 4 MiB.
pub const LOOKUP_HIT_2M: u8 = 2;
/// A hit of kept size 1 GiB.
pub const LOOKUP_HIT_1G: u8 = 3;
/// No match.
pub const LOOKUP_MISS: u8 = 4;
/// A match whose rights deny the access.
pub const LOOKUP_DENIED: u8 = 5;
/// A match of a write with D = 0.
pub const LOOKUP_DIRTY_CLEAR: u8 = 6;
/// No array was asked: paging is off, or the address is not canonical. In L1 look-ups alone.
pub const LOOKUP_BYPASS: u8 = 7;
/// A miss that waits for an entry of the miss queue which has the same page (contract 7.1).
pub const LOOKUP_MERGED: u8 = 8;

// Walker events (contract 10).
/// Nothing to tell in this cycle.
pub const WALK_NONE: u8 = 0;
/// START of a walk performs.
pub const WALK_START: u8 = 1;
/// START performs again, from CR3, after an end that was reached through a cached entry.
pub const WALK_RESTART: u8 = 2;
/// DONE performs: translated.
pub const WALK_TRANSLATED: u8 = 3;
/// DONE performs: page fault.
pub const WALK_PAGE_FAULT: u8 = 4;
/// DONE performs: bus error.
pub const WALK_BUS_ERROR: u8 = 5;
/// A prefetch ended without a translation (contract 8.6).
pub const WALK_STOPPED: u8 = 6;

// States of an entry of the miss queue (contract 7, 10.1).
/// No request.
pub const MISS_FREE: u32 = 0;
/// It waits to be looked up in the STLB.
pub const MISS_STLB_WAIT: u32 = 1;
/// It was looked up there; the result is on its way.
pub const MISS_STLB_BUSY: u32 = 2;
/// It waits for a walker.
pub const MISS_WALK_WAIT: u32 = 3;
/// It has a walker.
pub const MISS_WALKING: u32 = 4;
/// It waits for another entry.
pub const MISS_WAITING: u32 = 5;
/// It is looked up in L1 again.
pub const MISS_RETRY: u32 = 6;

/// The state that a word of `mon_miss_o` shows: one of the `MISS_` constants.
#[inline]
pub const fn miss_state(word: u32) -> u32 {
    word & 7
}

// Array events (contract 10).
/// Nothing happened to the array in this cycle.
pub const ARRAY_NONE: u8 = 0;
/// An entry was filled.
pub const ARRAY_FILL: u8 = 1;
/// An invalidation or a drop removed at least one entry.
pub const ARRAY_INVALIDATE: u8 = 2;

/// One port's request inputs and the ready of its response.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortIn {
    /// 1: a request is offered (contract 1.3).
    pub req_valid: u8,
    /// The id that the response will carry; ids of outstanding requests of a port differ.
    pub req_id: u8,
    /// [`KIND_READ`], [`KIND_WRITE`] or [`KIND_FETCH`].
    pub req_kind: u8,
    /// Bytes of the access, 1 to 64, within one 4 KiB page. It has no effect.
    pub req_size_bytes: u8,
    /// Current privilege level, 0 to 3 (contract 11).
    pub req_cpl: u8,
    /// EFLAGS.AC, 0 or 1 (contract 11).
    pub req_ac: u8,
    /// 1: an implicit supervisor access, whatever the CPL (contract 11).
    pub req_implicit_supervisor: u8,
    /// 1: the requester takes the response that is shown.
    pub resp_ready: u8,
    /// PKRU: two bits for each protection key (contract 11).
    pub req_pkru: u32,
    /// 0: fills the layout.
    pub reserved: u32,
    /// The linear address.
    pub req_va: u64,
}

/// Control inputs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlIn {
    /// 1: an operation is offered (contract 9).
    pub valid: u8,
    /// [`CTRL_MOV_CR0`] to [`CTRL_INVPCID`], 0 to 5.
    pub op: u8,
    /// 1: the requester takes the answer that is shown.
    pub resp_ready: u8,
    /// 0: fills the layout.
    pub reserved: [u8; 5],
    /// The value of a register write, the address of INVLPG, or the first quadword of an INVPCID descriptor (PCID in bits 11:0).
    pub data: u64,
    /// The second quadword of an INVPCID descriptor: a linear address.
    pub addr: u64,
    /// The type of INVPCID; legal are 0 to 3. The port is called `ctrl_type_i`.
    pub kind: u64,
}

/// Memory inputs: ready of the request, and the response.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryIn {
    /// 1: memory accepts the request that is shown.
    pub req_ready: u8,
    /// 1: a response is driven.
    pub resp_valid: u8,
    /// The id of the request that is answered.
    pub resp_id: u8,
    /// 1: bus error; the data is not used (contract 3).
    pub resp_error: u8,
    /// 1: the last beat, which every response is.
    pub resp_last: u8,
    /// 0: fills the layout.
    pub reserved: [u8; 3],
    /// What the 8 bytes held when the request was accepted, before a compare-and-set.
    pub resp_data: u64,
}

/// All inputs of one cycle. `rst_n` = 0 holds the machine in reset.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// 0: reset, sampled at the rising edge that ends the cycle (contract 1.1).
    pub rst_n: u8,
    /// 0: fills the layout.
    pub reserved: [u8; 7],
    /// By port: 0 is the fetch port, the others are data ports. Those that the machine lacks are not looked at.
    pub ports: [PortIn; MAX_PORTS],
    /// The control port (contract 9).
    pub control: ControlIn,
    /// The memory port (contract 3, 13).
    pub memory: MemoryIn,
}

/// One port's outputs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortOut {
    /// 1: a request is accepted if one is offered (contract 5).
    pub req_ready: u8,
    /// 1: the oldest response is shown (contract 5).
    pub resp_valid: u8,
    /// The id of its request.
    pub resp_id: u8,
    /// [`STATUS_TRANSLATED`] to [`STATUS_BUS_ERROR`], 0 to 3.
    pub resp_status: u8,
    /// Translated: 0 = 4 KiB, 1 = 2 MiB, 2 = 1 GiB, 3 = 4 MiB (contract 1.5).
    pub resp_page_size: u8,
    /// Translated: PWT of the leaf, 0 or 1.
    pub resp_pwt: u8,
    /// Translated: PCD of the leaf, 0 or 1.
    pub resp_pcd: u8,
    /// Translated: PAT of the leaf, 0 or 1.
    pub resp_pat: u8,
    /// Page fault: the error code (contract 11).
    pub resp_error_code: u16,
    /// 0: fills the layout.
    pub reserved: [u8; 6],
    /// Translated: the physical address, 52 bits.
    pub resp_pa: u64,
    /// Page fault: the linear address, as CR2 gets it.
    pub resp_va: u64,
}

/// Control outputs; the registers are shown in every cycle.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlOut {
    /// 1: control is IDLE and accepts an operation (contract 9).
    pub ready: u8,
    /// 1: the answer to the operation is shown.
    pub resp_valid: u8,
    /// 1: the operation raised #GP and changed nothing (contract 9.3).
    pub resp_gp: u8,
    /// 0: fills the layout.
    pub reserved: [u8; 5],
    /// CR0, with the bits of contract 9.3.
    pub cr0: u64,
    /// CR3: bits MAXPHYADDR-1:0.
    pub cr3: u64,
    /// CR4, with the bits of contract 9.3.
    pub cr4: u64,
    /// IA32_EFER, with LMA.
    pub efer: u64,
}

/// Memory request outputs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryOut {
    /// 1: a request is shown.
    pub req_valid: u8,
    /// [`MEM_READ`], [`MEM_WRITE`] or [`MEM_COMPARE_AND_SET`].
    pub req_op: u8,
    /// Its id; 0 is that of the walker.
    pub req_id: u8,
    /// Beats of 8 bytes: 1 in every request of a walker.
    pub req_beats: u8,
    /// Byte enables, one a bit: 0xff in a request of a walker, or with entries of 4 bytes 0x0f or 0xf0 (contract 8.3).
    pub req_be: u8,
    /// 1: a response is taken; constantly 1 (contract 1.1).
    pub resp_ready: u8,
    /// 0: fills the layout.
    pub reserved: [u8; 2],
    /// The physical address, 52 bits, divisible by 8.
    pub req_addr: u64,
    /// The value that a compare-and-set writes if it succeeds; 0 in bytes that are not enabled, and in a read.
    pub req_wdata: u64,
    /// The value that a compare-and-set must find; 0 in bytes that are not enabled, and in a read.
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
    /// [`ARRAY_NONE`], [`ARRAY_FILL`] or [`ARRAY_INVALIDATE`].
    pub op: u8,
    /// The way that is filled, 0 to 63.
    pub way: u8,
    /// The set: 0 to 4095, of a paging-structure cache 0 to 63.
    pub set: u16,
    /// 0: fills the layout.
    pub reserved: u32,
    /// One bit a way: it was valid, and loses what it held.
    pub removed: u64,
    /// Tag of the new entry (contract 4.1, 4.2).
    pub tag: u64,
    /// Data of the new entry (contract 4.1, 4.2).
    pub data: u64,
    /// Tag of what the filled way held, 0 if it was invalid.
    pub victim_tag: u64,
    /// Data of what the filled way held, 0 if it was invalid.
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
    /// By walker; those that a machine does not have are 0.
    pub walk: [WalkEvent; MAX_WALKERS],
    /// By array (contract 2).
    pub tlb: [ArrayEvent; TLB_ARRAYS],
    /// By cache: PDE, PDPTE, PML4E, PML5E.
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

/// Performance counters (contract 10.2).
pub const PERF_COUNTERS: usize = 32;

/// All outputs of one cycle.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// By port; those that the machine lacks are 0.
    pub ports: [PortOut; MAX_PORTS],
    /// The control port (contract 9).
    pub control: ControlOut,
    /// The memory port (contract 3).
    pub memory: MemoryOut,
    /// What happens inside (contract 10).
    pub monitor: Monitor,
    /// What the queues hold, in every cycle.
    pub queues: Queues,
    /// `perf_o`: the performance counters (contract 10.2, which numbers them).
    pub perf: [u64; PERF_COUNTERS],
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
        perf: [0; PERF_COUNTERS],
    };
}
