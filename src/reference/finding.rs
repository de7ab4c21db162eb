//! What a staleness checker says: which rule was broken, in which cycle, what was seen and what was allowed; and what it counted.
//!
//! Contract: none of its own; each rule names its section. SDM vol. 3A, 4.10 (caching of translations).
//! Counterpart: none in hardware.

use std::fmt;

use thiserror::Error;

/// A rule that a stream of inputs and outputs broke.
///
/// The first group is about the links and holds for both checkers, the second belongs to [`super::staleness`], the third to
/// [`super::provenance`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A response carries the id of an outstanding request of its port (contract 3, 5).
    ResponseId,
    /// A response keeps its payload until it is transferred (contract 1.3).
    ResponseStable,
    /// Register writes and requests exclude each other: none is outstanding when the write performs, and none is accepted until it
    /// is complete (contract 5, 9.1).
    Serialisation,
    /// One control response for each operation, not before the operation can have performed (contract 9).
    ControlResponse,
    /// `ctrl_resp_gp_o` is what the checks of the operation say (contract 9.3).
    ControlFault,
    /// `cr0_o`, `cr3_o`, `cr4_o`, `efer_o` show the registers (contract 9.1, 9.3).
    Registers,
    /// Memory answers a transaction with what it held in the cycle of the accept (contract 3, 13).
    MemoryResponse,
    /// Transactions of a kind that the checkers do not follow: more than one beat, or an operation that does not exist.
    MemoryTransaction,

    /// A translated response follows from some legal combination of entry values (SDM 4.10).
    Translation,
    /// A page fault follows from some legal combination of entry values (SDM 4.7, 4.10.3, 4.10.4.3).
    PageFault,
    /// A general-protection response: if and only if the address is not canonical under paging (contract 6).
    GeneralProtection,
    /// A bus error follows from a walk that leaves memory (contract 8.4).
    BusError,
    /// A memory change by the machine sets A, or A and D, of an entry, and nothing else (SDM 4.8).
    EntryUpdate,
    /// A memory change by the machine belongs to an entry that an outstanding request may use and update so (SDM 4.8).
    EntryUpdateOwner,

    /// A look-up has a request to look up, a miss entry in the right state, and control is not busy (contract 6, 7).
    LookupState,
    /// An L1 look-up answers what the live entries and the miss queue say (contract 6, 7.1).
    Lookup,
    /// What the miss queue and the prefetch show is what look-ups, results and walks have made of them (contract 7, 8.6, 10.1).
    QueueState,
    /// An STLB look-up answers what the live entries say (contract 7.2).
    StlbLookup,
    /// At most one way of an array matches (contract 7.5).
    OneMatch,
    /// A walk starts for a miss entry that waits for one, from CR3 or from the live paging-structure-cache entry of the lowest level
    /// (contract 8.1, 8.2).
    WalkStart,
    /// A memory transaction is the one that the walk has come to: address, operation (contract 8.3, 8.4).
    WalkTransaction,
    /// A compare-and-set expects the entry as it was read and sets A, or A and D of an allowed write (contract 8.4).
    CompareAndSet,
    /// A walk ends as the entries that it read say (contract 8.4, 8.5).
    WalkEnd,
    /// A page fault or a bus error ends only a walk that started from CR3 (contract 8.4).
    FaultFromCr3,
    /// A response follows from its request's own look-up or walk, with exactly that payload (contract 6 to 8).
    ResponseOrigin,
    /// Arrays are filled by a walk that ends translated, or from an STLB look-up that hit, only (contract 7.3, 8.5).
    FillSource,
    /// Fills happen if the miss entry has the right to fill, and only then (contract 7, 8.5, 9.1).
    FillRight,
    /// A fill has the content that the entries of the walk, or the STLB entry, say; all of them accessed (contract 4).
    FillContent,
    /// A fill goes to the set in which the page, or the entry of a paging-structure cache, stands (contract 2.1, 4.4).
    FillPlace,
    /// A fill displaces what conflicts, its target, and nothing else, and reports the victim as it was (contract 7.5, 8.5).
    FillReplacement,
    /// No entry read is older than the last invalidation that covers the new entry (SDM 4.10.4.1).
    FillAge,
    /// An invalidation removes every entry that it covers, in the cycle or the row in which it performs (contract 8.5, 9.3).
    RemovalMissing,
    /// Nothing else is removed (contract 8.5, 9.3).
    RemovalExcess,
}

impl Rule {
    /// The name as reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResponseId => "response-id",
            Self::ResponseStable => "response-stable",
            Self::Serialisation => "serialisation",
            Self::ControlResponse => "control-response",
            Self::ControlFault => "control-fault",
            Self::Registers => "registers",
            Self::MemoryResponse => "memory-response",
            Self::MemoryTransaction => "memory-transaction",
            Self::Translation => "translation",
            Self::PageFault => "page-fault",
            Self::GeneralProtection => "general-protection",
            Self::BusError => "bus-error",
            Self::EntryUpdate => "entry-update",
            Self::EntryUpdateOwner => "entry-update-owner",
            Self::LookupState => "look-up-state",
            Self::Lookup => "look-up",
            Self::QueueState => "queue-state",
            Self::StlbLookup => "stlb-look-up",
            Self::OneMatch => "one-match",
            Self::WalkStart => "walk-start",
            Self::WalkTransaction => "walk-transaction",
            Self::CompareAndSet => "compare-and-set",
            Self::WalkEnd => "walk-end",
            Self::FaultFromCr3 => "fault-from-cr3",
            Self::ResponseOrigin => "response-origin",
            Self::FillSource => "fill-source",
            Self::FillRight => "fill-right",
            Self::FillContent => "fill-content",
            Self::FillPlace => "fill-place",
            Self::FillReplacement => "fill-replacement",
            Self::FillAge => "fill-age",
            Self::RemovalMissing => "removal-missing",
            Self::RemovalExcess => "removal-excess",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A broken rule. A checker that returned one must not be used further: what it knows no longer fits the machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cycle {cycle}, rule {rule}: saw {seen}; allowed: {allowed}")]
pub struct Finding {
    /// The cycle in which it was seen.
    pub cycle: u64,
    /// The rule.
    pub rule: Rule,
    /// What was seen, for people.
    pub seen: String,
    /// What the rule allows in its place, for people.
    pub allowed: String,
}

impl Finding {
    /// A finding; the texts are only made here, off the hot path.
    #[cold]
    pub fn new(
        cycle: u64,
        rule: Rule,
        seen: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        Self {
            cycle,
            rule,
            seen: seen.into(),
            allowed: allowed.into(),
        }
    }
}

/// What removes entries, as the figures tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum InvalidationKind {
    /// MOV to CR0 that clears PG.
    MovCr0,
    /// MOV to CR3 without bit 63.
    MovCr3,
    /// MOV to CR4 that changes PGE, clears PCIDE or sets SMEP.
    MovCr4,
    /// WRMSR to EFER that changes NXE.
    WrmsrEfer,
    /// INVLPG.
    Invlpg,
    /// INVPCID type 0, one address.
    InvpcidAddress,
    /// INVPCID type 1, one context.
    InvpcidContext,
    /// INVPCID type 2, everything.
    InvpcidAll,
    /// INVPCID type 3, everything but globals.
    InvpcidAllButGlobals,
    /// What a page fault drops; for the provenance check also what a walk that starts over from CR3 drops.
    PageFault,
}

impl InvalidationKind {
    /// How many there are.
    pub const COUNT: usize = 10;
    /// Every kind, in the order of the figures.
    pub const ALL: [Self; Self::COUNT] = [
        Self::MovCr0,
        Self::MovCr3,
        Self::MovCr4,
        Self::WrmsrEfer,
        Self::Invlpg,
        Self::InvpcidAddress,
        Self::InvpcidContext,
        Self::InvpcidAll,
        Self::InvpcidAllButGlobals,
        Self::PageFault,
    ];

    /// The name as reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MovCr0 => "mov_cr0",
            Self::MovCr3 => "mov_cr3",
            Self::MovCr4 => "mov_cr4",
            Self::WrmsrEfer => "wrmsr_efer",
            Self::Invlpg => "invlpg",
            Self::InvpcidAddress => "invpcid_0",
            Self::InvpcidContext => "invpcid_1",
            Self::InvpcidAll => "invpcid_2",
            Self::InvpcidAllButGlobals => "invpcid_3",
            Self::PageFault => "page_fault",
        }
    }
}

/// What a checker counted, from its making on. Zeros where a run should have exercised something make the run vacuous.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Responses judged.
    pub responses: u64,
    /// Responses that had one legal outcome only.
    ///
    /// Provenance: those whose whole cause was seen, which is every response that it lets pass.
    pub single_outcome: u64,
    /// Responses that differ from what a walk of memory would have said in the cycle in which they appeared.
    pub stale_observed: u64,
    /// Responses that could be neither allowed nor refused, because older history had been dropped to stay bounded. They count
    /// neither as single nor as a finding.
    pub unjudged: u64,
    /// Entry updates by the machine, judged.
    pub entry_updates: u64,
    /// Fills of TLB arrays and paging-structure caches, judged; provenance alone sees them.
    pub fills: u64,
    /// Removed entries that were stale when an invalidation removed them, by kind; see [`InvalidationKind`].
    ///
    /// Provenance: entries of TLBs and paging-structure caches that were alive. Architectural: translations that had been
    /// delivered in that context, so that a copy may have been alive.
    pub stale_removed: [u64; InvalidationKind::COUNT],
    /// Removed entries, stale or not, by kind, counted likewise.
    pub removed: [u64; InvalidationKind::COUNT],
}

impl Figures {
    /// The figures of stale removals with their names.
    pub fn stale_removed_by_kind(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        InvalidationKind::ALL
            .iter()
            .map(|kind| (kind.name(), self.stale_removed[*kind as usize]))
    }
}
