//! Fills and removals of the shadow arrays, against what the walks, the STLB look-ups and the invalidations call for.
//!
//! Contract: 4, 7.3, 7.5, 8.5, 9.3, 10. SDM vol. 3A, 4.10.4.1. Counterpart: `rtl/tlb.sv`, `rtl/psc.sv`.

use std::fmt;

use crate::arch::{Invalidation, Pcid};
use crate::model::mmu_pkg::{
    ARRAY_FILL, ARRAY_INVALIDATE, ARRAY_NONE, ArrayEvent, Monitor, PSC_LEVELS, TLB_ARRAYS,
};

use super::super::finding::{Finding, InvalidationKind, Rule};
use super::super::shadow::{
    Lineage, MAX_WAYS, PscEntry, PscWords, TlbEntry, TlbShadow, TlbWords, bits, page_number,
};
use super::Provenance;
use super::queues::MissState;
use super::walks::Translated;

/// The TLB entries and paging-structure-cache entries that a cycle's walk events call for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub tlb: [Option<TlbEntry>; TLB_ARRAYS],
    pub psc: [Option<PscEntry>; PSC_LEVELS],
}

impl Wanted {
    /// A walk fills the TLB array `stlb`, an L1 array if it is one of a request, and paging-structure caches.
    pub fn add(&mut self, stlb: usize, result: Translated, l1: Option<usize>) {
        self.tlb[stlb] = Some(result.tlb.clone());
        if let Some(l1) = l1 {
            self.tlb[l1] = Some(result.tlb);
        }
        for (level, entry) in result.psc {
            self.psc[level.array_index() - 1] = Some(entry);
        }
    }
}

/// What removes entries in a cycle.
#[derive(Debug, Clone, Copy)]
pub(super) enum Removal {
    /// What a page fault, or a walk that starts over from CR3, drops.
    Drop { va: u64, pcid: Pcid },
    /// An invalidation of kind *page*.
    Page(Invalidation, InvalidationKind),
    /// Row `row` of a sweep; the paging-structure caches with row 0.
    Row(Invalidation, InvalidationKind, u64),
}

impl Removal {
    const fn kind(&self) -> InvalidationKind {
        match self {
            Self::Drop { .. } => InvalidationKind::PageFault,
            Self::Page(_, kind) | Self::Row(_, kind, _) => *kind,
        }
    }

    /// The set and the ways of an array that go.
    fn of_tlb(&self, array: &TlbShadow) -> (u16, u64) {
        match self {
            Self::Drop { va, pcid } => {
                array.ways_where(page_number(*va, array.size()), |words| words.serves(*pcid))
            }
            Self::Page(invalidation, _) => {
                let Invalidation::Page { va, .. } = invalidation else {
                    return (0, 0);
                };
                let page = page_number(va.raw(), array.size());
                array.ways_where(page, |words| words.covered_by(array.size(), invalidation))
            }
            Self::Row(invalidation, _, row) => match u16::try_from(*row) {
                Ok(set) => (set, array.covered(set, invalidation)),
                Err(_) => (0, 0),
            },
        }
    }
}

/// A removal that is not the one called for.
fn wrong_removal(cycle: u64, what: &str, event: &ArrayEvent, set: u16, expected: u64) -> Finding {
    let removed = if event.op == ARRAY_INVALIDATE {
        event.removed
    } else {
        0
    };
    let missing = expected & !removed != 0 || event.set != set;
    let rule = if missing && expected != 0 {
        Rule::RemovalMissing
    } else {
        Rule::RemovalExcess
    };
    let seen = format!(
        "{what}: op {}, set {}, ways {removed:#x} removed",
        event.op, event.set
    );
    Finding::new(cycle, rule, seen, format!("set {set}, ways {expected:#x}"))
}

impl Provenance {
    /// All array events of a cycle.
    pub(super) fn arrays(
        &mut self,
        cycle: u64,
        monitor: &Monitor,
        wanted: &mut Wanted,
        removal: Option<&Removal>,
    ) -> Result<(), Finding> {
        for (index, event) in monitor.tlb.iter().enumerate() {
            match event.op {
                ARRAY_FILL => self.tlb_fill(cycle, index, event, wanted, removal)?,
                ARRAY_NONE if removal.is_none() => {}
                _ => self.tlb_removal(cycle, index, event, removal)?,
            }
        }
        for (index, event) in monitor.psc.iter().enumerate() {
            match event.op {
                ARRAY_FILL => self.psc_fill(cycle, index, event, wanted.psc[index].take())?,
                ARRAY_NONE if removal.is_none() => {}
                _ => self.psc_removal(cycle, index, event, removal)?,
            }
        }
        Ok(())
    }

    /// A walk filled, and some array did not: right only if the machine has no such array, that is, none that was ever filled.
    pub(super) fn unfilled(&self, cycle: u64, wanted: &Wanted) -> Result<(), Finding> {
        let tlb = wanted
            .tlb
            .iter()
            .enumerate()
            .find(|(index, entry)| entry.is_some() && self.tlb_present[*index]);
        let psc = wanted
            .psc
            .iter()
            .enumerate()
            .find(|(index, entry)| entry.is_some() && self.psc_present[*index]);
        let what = match (tlb, psc) {
            (Some((index, _)), _) => format!("TLB array {index}"),
            (None, Some((index, _))) => format!("paging-structure cache {index}"),
            (None, None) => return Ok(()),
        };
        let seen = format!("a walk with the right to fill left {what} as it was");
        Err(Finding::new(
            cycle,
            Rule::FillRight,
            seen,
            "a fill of every array of that page size",
        ))
    }

    fn tlb_fill(
        &mut self,
        cycle: u64,
        index: usize,
        event: &ArrayEvent,
        wanted: &mut Wanted,
        removal: Option<&Removal>,
    ) -> Result<(), Finding> {
        if removal.is_some() || self.busy {
            let seen =
                format!("a fill of TLB array {index} while an invalidation or a drop performs");
            return Err(Finding::new(
                cycle,
                Rule::FillSource,
                seen,
                "none in such a cycle",
            ));
        }
        in_range(cycle, event)?;
        let words = TlbWords {
            tag: event.tag,
            data: event.data,
        };
        let entry = match wanted.tlb[index].take() {
            Some(entry) => entry,
            None => self.stlb_entry(cycle, index, words)?,
        };
        if words != entry.words {
            let seen = format!("TLB array {index} filled with {words:x?}");
            return Err(Finding::new(
                cycle,
                Rule::FillContent,
                seen,
                format!("{:x?}", entry.words),
            ));
        }
        self.place(cycle, index, event, entry)
    }

    /// Puts the entry of a fill, which is right, where the event says, and judges what has to go.
    fn place(
        &mut self,
        cycle: u64,
        index: usize,
        event: &ArrayEvent,
        entry: TlbEntry,
    ) -> Result<(), Finding> {
        let array = &mut self.tlb[index];
        let words = entry.words;
        let (_, conflicts) = array.ways_where(words.page(array.size()), |old| {
            words.global() || old.global() || words.pcid() == old.pcid()
        });
        let way = u32::from(event.way);
        let target = array.entry(event.set, way).map(|entry| entry.words);
        let victim = target.map_or([0; 2], |words| [words.tag, words.data]);
        let place = Place::Tlb(index, event.set);
        let live_target = u64::from(target.is_some()) << way;
        replacement(cycle, place, event, conflicts, live_target, victim)?;
        for way in bits(event.removed) {
            array.remove(event.set, way);
        }
        if !array.insert(event.set, way, entry) {
            let seen = format!("{place}: the page stands in another set too");
            return Err(Finding::new(
                cycle,
                Rule::OneMatch,
                seen,
                "one set for one page",
            ));
        }
        self.tlb_present[index] = true;
        self.figures.fills += 1;
        Ok(())
    }

    /// The entry of the STLB look-up whose result is the next to perform, from which an L1 array may be filled.
    fn stlb_entry(
        &mut self,
        cycle: u64,
        index: usize,
        words: TlbWords,
    ) -> Result<TlbEntry, Finding> {
        let wrong = |rule, allowed: String| {
            let seen = format!("TLB array {index} filled with {words:x?}");
            Err(Finding::new(cycle, rule, seen, allowed))
        };
        let none = || {
            let allowed = "a fill by a walk, or by the oldest STLB look-up, which hit";
            wrong(Rule::FillSource, allowed.into())
        };
        let oldest = self.stlb_busy.front();
        let Some(miss) = oldest.and_then(|entry| self.misses[*entry].as_mut()) else {
            return none();
        };
        let l1 = if miss.request.port == 0 { 0 } else { 3 };
        let MissState::StlbBusy {
            hit: Some((array, entry)),
            filled,
            ..
        } = &mut miss.state
        else {
            return none();
        };
        if index != l1 + *array % 3 || miss.since == cycle || *filled {
            return none();
        }
        if entry.words != words {
            let allowed = format!("the STLB entry as it was looked up, {:x?}", entry.words);
            return wrong(Rule::FillContent, allowed);
        }
        *filled = true;
        let (va, right, entry) = (miss.request.va, miss.right, entry.clone());
        self.check_age(cycle, va, self.tlb[index].size(), &entry, None)?;
        if !right {
            let allowed = "nothing: an invalidation took the right to fill";
            return wrong(Rule::FillRight, allowed.into());
        }
        Ok(entry)
    }

    fn psc_fill(
        &mut self,
        cycle: u64,
        index: usize,
        event: &ArrayEvent,
        wanted: Option<PscEntry>,
    ) -> Result<(), Finding> {
        in_range(cycle, event)?;
        let words = PscWords {
            tag: event.tag,
            data: event.data,
        };
        let place = Place::Psc(index);
        let Some(entry) = wanted else {
            let seen = format!("{place} filled with {words:x?}");
            let allowed = "a fill by a walk that read an entry of this level";
            return Err(Finding::new(cycle, Rule::FillSource, seen, allowed));
        };
        if words != entry.words {
            let seen = format!("{place} filled with {words:x?}");
            let allowed = format!("{:x?}", entry.words);
            return Err(Finding::new(cycle, Rule::FillContent, seen, allowed));
        }
        let cache = &mut self.psc[index];
        let way = u32::from(event.way);
        let equal = cache.ways_where(|old| old.tag == words.tag);
        let target = cache.entry(way).map(|entry| entry.words);
        let victim = target.map_or([0; 2], |words| [words.tag, words.data]);
        let live_target = u64::from(target.is_some()) << way;
        replacement(cycle, place, event, equal, live_target, victim)?;
        cache.remove(way);
        cache.insert(way, entry);
        self.psc_present[index] = true;
        self.figures.fills += 1;
        Ok(())
    }

    fn tlb_removal(
        &mut self,
        cycle: u64,
        index: usize,
        event: &ArrayEvent,
        removal: Option<&Removal>,
    ) -> Result<(), Finding> {
        let array = &self.tlb[index];
        let (set, expected) = removal.map_or((0, 0), |removal| removal.of_tlb(array));
        let agrees = match event.op {
            ARRAY_INVALIDATE => expected != 0 && event.removed == expected && event.set == set,
            _ => expected == 0 && event.op == ARRAY_NONE,
        };
        if !agrees {
            return Err(wrong_removal(
                cycle,
                &format!("TLB array {index}"),
                event,
                set,
                expected,
            ));
        }
        let Some(removal) = removal else {
            return Ok(());
        };
        for way in bits(expected) {
            if let Some(entry) = self.tlb[index].remove(set, way) {
                self.count_removed(removal.kind(), entry.words.pcid(), &entry.lineage);
            }
        }
        Ok(())
    }

    fn psc_removal(
        &mut self,
        cycle: u64,
        index: usize,
        event: &ArrayEvent,
        removal: Option<&Removal>,
    ) -> Result<(), Finding> {
        let cache = &self.psc[index];
        let mode = self.registers.paging_mode();
        let expected = match removal {
            None => 0,
            Some(Removal::Drop { va, pcid }) => cache.matching(*va, mode, *pcid),
            Some(Removal::Page(invalidation, _) | Removal::Row(invalidation, _, 0)) => {
                cache.ways_where(|words| invalidation.covers_psc_entry(words.pcid()))
            }
            Some(Removal::Row(..)) => 0,
        };
        let agrees = match event.op {
            ARRAY_INVALIDATE => expected != 0 && event.removed == expected,
            _ => expected == 0 && event.op == ARRAY_NONE,
        };
        if !agrees {
            let what = format!("paging-structure cache {index}");
            return Err(wrong_removal(cycle, &what, event, event.set, expected));
        }
        let Some(removal) = removal else {
            return Ok(());
        };
        for way in bits(expected) {
            if let Some(entry) = self.psc[index].remove(way) {
                self.count_removed(removal.kind(), entry.words.pcid(), &entry.lineage);
            }
        }
        Ok(())
    }

    fn count_removed(&mut self, kind: InvalidationKind, pcid: Pcid, lineage: &Lineage) {
        let registers = self.observer.registers();
        let root = (registers.current_pcid() == pcid).then(|| registers.root_table().raw());
        self.figures.removed[kind as usize] += 1;
        self.figures.stale_removed[kind as usize] +=
            u64::from(lineage.is_stale(self.observer.image(), root));
    }

    /// A sweep over `rows` rows is over: nothing that it covers is left in the rows that it did not come to.
    pub(super) fn swept(
        &self,
        cycle: u64,
        invalidation: &Invalidation,
        rows: u64,
    ) -> Result<(), Finding> {
        for (index, array) in self.tlb.iter().enumerate() {
            for set in rows..array.sets() as u64 {
                let left = u16::try_from(set).map_or(0, |set| array.covered(set, invalidation));
                if left != 0 {
                    let seen = format!(
                        "the sweep ended after {rows} rows; TLB array {index} set {set} holds {left:#x}"
                    );
                    return Err(Finding::new(
                        cycle,
                        Rule::RemovalMissing,
                        seen,
                        "every row swept",
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Sets that an array may have (contract 2).
const MAX_SETS: u16 = 4096;

/// Whether a fill names a way and a set that may exist.
fn in_range(cycle: u64, event: &ArrayEvent) -> Result<(), Finding> {
    if usize::from(event.way) < MAX_WAYS && event.set < MAX_SETS {
        return Ok(());
    }
    let seen = format!("a fill of set {}, way {}", event.set, event.way);
    Err(Finding::new(
        cycle,
        Rule::FillReplacement,
        seen,
        "fewer than 4096 sets and than 64 ways",
    ))
}

/// Where a fill happens, for people.
#[derive(Clone, Copy)]
enum Place {
    /// A TLB array and a set of it.
    Tlb(usize, u16),
    /// A paging-structure cache.
    Psc(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tlb(array, set) => write!(f, "TLB array {array} set {set}"),
            Self::Psc(cache) => write!(f, "paging-structure cache {cache}"),
        }
    }
}

/// Whether a fill displaces what it must, and nothing else, and says so. `victim`: tag and data of what the target held, or 0.
fn replacement(
    cycle: u64,
    place: Place,
    event: &ArrayEvent,
    conflicts: u64,
    live_target: u64,
    victim: [u64; 2],
) -> Result<(), Finding> {
    let seen = || {
        format!(
            "{place}: a fill of way {} removes {:#x}",
            event.way, event.removed
        )
    };
    if conflicts & !event.removed != 0 {
        let allowed = format!("{conflicts:#x} removed, which could match the same address");
        return Err(Finding::new(cycle, Rule::OneMatch, seen(), allowed));
    }
    let target_right = conflicts == 0 || u32::from(event.way) == conflicts.trailing_zeros();
    if event.removed != conflicts | live_target || !target_right {
        let removed = conflicts | live_target;
        let allowed = format!("{removed:#x} removed, the lowest way of {conflicts:#x} filled");
        return Err(Finding::new(cycle, Rule::FillReplacement, seen(), allowed));
    }
    if [event.victim_tag, event.victim_data] != victim {
        let (tag, data) = (event.victim_tag, event.victim_data);
        let seen = format!("{place}: victim tag {tag:#x}, data {data:#x}");
        let allowed = format!("what the way held: {victim:#x?}");
        return Err(Finding::new(cycle, Rule::FillReplacement, seen, allowed));
    }
    Ok(())
}
