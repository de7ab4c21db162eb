//! The bugs that the test machine can be given: one for each rule of the checkers, and for each way of forgetting an invalidation.
//!
//! Contract: what each breaks is said beside it. SDM: none. Counterpart: none.

use twinwalk::arch::{Invalidation, Pcid, Registers};
use twinwalk::model::mmu_pkg::*;

/// A bug; `None` is the machine as the contract has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    None,
    // Links and control.
    RegisterWriteDoesNotWait,
    AcceptsDuringRegisterWrite,
    FaultInverted,
    InvlpgAnswersAtOnce,
    WriteProtectReadsAsZero,
    TwoBeats,
    // Look-ups and responses.
    LookUpDuringSweep,
    MissesDoNotMerge,
    WaitsForOneWithoutRight,
    QueueShowsWrongPrimary,
    HitIgnoresRights,
    HitIgnoresDirty,
    HitIgnoresPcid,
    OffsetOf4KOnly,
    NonCanonicalFaults,
    ErrorCodeWithoutUser,
    // Walks.
    IndexOffByOne,
    RestartUsesCache,
    FaultFromCache,
    BusErrorAsPageFault,
    PscByIndexAlone,
    // Entry updates.
    NoAccessed,
    NoDirty,
    DirtyInTable,
    UpdatesBeforeDenial,
    EntryWrittenBack,
    LostRaceIgnored,
    // Fills.
    LeafRightsAlone,
    PscWithoutRights,
    GlobalWithoutPge,
    FaultingWalkFills,
    FillLeavesConflicts,
    VictimNotReported,
    FillEvictsTwo,
    FillBesideConflict,
    /// A fill goes to the next set.
    FillsTheNextSet,
    /// A write fills the array that serves reads.
    WriteFillsForReads,
    /// A piece keeps the frame of its page.
    PieceOfTheFirstFrame,
    /// A hit in a piece answers with the kept size.
    AnswersWithTheKeptSize,
    /// A paging-structure cache is looked up, and filled, in set 0 alone.
    PscOfOneSet,
    /// The STLB is not inclusive, although it should be.
    EvictsFromTheStlbAlone,
    /// What is on its way to the first level may be filled although the STLB has evicted it.
    EvictedKeepsRight,
    /// A look-up performs beside a back-invalidation.
    LooksUpWhileEvicting,
    L1NotFilled,
    WalkKeepsRight,
    StlbHitKeepsRight,
    StlbHitDoesNotFill,
    // Drops.
    PageFaultDropsNothing,
    DenialDropsNothing,
    /// A drop spares the TLB arrays of a level.
    DropSpares {
        level: usize,
    },
    /// A drop removes every piece of the page.
    DropTakesThePage,
    /// A drop spares a paging-structure cache.
    DropSparesPsc {
        cache: usize,
    },
    // Invalidations.
    /// A walk in flight keeps its right to fill over INVLPG, or INVPCID of one type.
    WalkKeepsRightOver {
        op: u8,
        kind: u64,
    },
    SweepStopsEarly,
    SweepTakesOneWayARow,
    /// The operation spares the TLB arrays of a level (0 ITLB, 1 DTLB, 2 STLB).
    Spares {
        op: u8,
        kind: u64,
        level: usize,
    },
    /// The operation spares a paging-structure cache.
    SparesPsc {
        op: u8,
        kind: u64,
        cache: usize,
    },
    /// INVLPG and INVPCID 2 spare globals.
    SparesGlobals {
        op: u8,
        kind: u64,
    },
    /// INVPCID of an address or a context takes the current PCID in place of its own.
    OfCurrentPcid,
    /// INVLPG of a page in pieces removes the piece alone.
    InvlpgTakesThePieceAlone,
    /// INVLPG removes every entry of the set.
    InvlpgRemovesTheSet,
}

impl Bug {
    /// What the operation removes in place of `invalidation`.
    pub fn changes(
        self,
        op: &ControlIn,
        invalidation: Invalidation,
        registers: &Registers,
    ) -> Invalidation {
        match (self, invalidation) {
            (Self::SparesGlobals { op: bad, kind }, Invalidation::Page { va, pcid, .. })
                if bad == op.op && (kind == op.kind || bad == CTRL_INVLPG) =>
            {
                Invalidation::Page {
                    va,
                    pcid,
                    globals: false,
                }
            }
            (Self::SparesGlobals { op: bad, kind }, Invalidation::All)
                if bad == op.op && kind == op.kind =>
            {
                Invalidation::AllNonGlobal
            }
            (Self::OfCurrentPcid, Invalidation::Page { va, globals, .. })
                if op.op == CTRL_INVPCID =>
            {
                Invalidation::Page {
                    va,
                    pcid: current(registers),
                    globals,
                }
            }
            (Self::OfCurrentPcid, Invalidation::Context { globals, .. })
                if op.op == CTRL_INVPCID =>
            {
                Invalidation::Context {
                    pcid: current(registers),
                    globals,
                }
            }
            _ => invalidation,
        }
    }

    pub fn spares_tlb(self, op: u8, kind: u64, array: usize) -> bool {
        match self {
            Self::Spares {
                op: bad,
                kind: bad_kind,
                level,
            } => bad == op && (op != CTRL_INVPCID || bad_kind == kind) && array / 4 == level,
            _ => false,
        }
    }

    pub fn spares_psc(self, op: &ControlIn, cache: usize) -> bool {
        match self {
            Self::SparesPsc {
                op: bad,
                kind,
                cache: bad_cache,
            } => bad == op.op && (op.op != CTRL_INVPCID || kind == op.kind) && cache == bad_cache,
            _ => false,
        }
    }

    /// Whether a walk keeps its right to fill over the operation.
    pub fn keeps_right(self, op: &ControlIn) -> bool {
        match self {
            Self::WalkKeepsRight => true,
            Self::WalkKeepsRightOver { op: bad, kind } => {
                bad == op.op && (op.op != CTRL_INVPCID || kind == op.kind)
            }
            _ => false,
        }
    }

    pub fn removes_more(self, invalidation: &Invalidation) -> bool {
        self == Self::InvlpgRemovesTheSet && matches!(invalidation, Invalidation::Page { .. })
    }
}

fn current(registers: &Registers) -> Pcid {
    registers.current_pcid()
}
