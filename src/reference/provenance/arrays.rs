//! Fills and removals of the shadow arrays, against what the walks, the STLB look-ups and the invalidations call for.
//!
//! Contract: 2.1, 4, 7.3, 7.5, 7.6, 8.5, 9.3, 10. SDM vol. 3A, 4.10.4.1. Counterpart: `rtl/tlb.sv`, `rtl/psc.sv`.

use std::fmt;

use crate::arch::{AccessKind, Invalidation, PagingMode, Pcid};
use crate::config::Level as Tlb;
use crate::model::mmu_pkg::{
    ARRAY_FILL, ARRAY_INVALIDATE, ARRAY_NONE, ArrayEvent, LOOKUP_HIT_1G, Monitor, PSC_LEVELS,
    TLB_ARRAYS,
};

use super::super::finding::{Finding, InvalidationKind, Rule};
use super::super::geometry::Geometry;
use super::super::shadow::{
    Lineage, PscEntry, PscShadow, PscWords, TlbEntry, TlbShadow, TlbWords, bits, page_number,
};
use super::queues::MissState;
use super::walks::Translated;
use super::{Provenance, first_level};

/// The TLB entries and paging-structure-cache entries that a cycle's walk events call for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub tlb: [Option<(u16, TlbEntry)>; TLB_ARRAYS],
    pub psc: [Option<(u16, PscEntry)>; PSC_LEVELS],
}

impl Wanted {
    /// A walk for `va` fills the levels with requests of these kinds, and the paging-structure caches that there are.
    pub fn add(
        &mut self,
        geometry: &Geometry,
        mode: PagingMode,
        va: u64,
        result: Translated,
        levels: &[(Tlb, AccessKind)],
    ) {
        for (level, kind) in levels {
            let kept = geometry.kept(*level, *kind, result.size, mode);
            let place = kept.and_then(|kept| geometry.place(*level, *kind, va, kept));
            if let Some(place) = place {
                let words = result.tlb.words.piece(va, place.kept);
                let lineage = result.tlb.lineage.clone();
                self.tlb[place.array] = Some((place.set, TlbEntry { words, lineage }));
            }
        }
        for (level, entry) in result.psc {
            let cache = level.array_index() - 1;
            if geometry.psc(cache).1 > 0 {
                self.psc[cache] = Some((geometry.psc_set(level, va, mode), entry));
            }
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
    /// What an inclusive STLB evicted, out of the first level.
    Evicted(TlbWords),
}

/// The sets of an array that lose something, with the ways.
type Losses = Vec<(u16, u64)>;

impl Removal {
    /// As what the figures count it; a back-invalidation is none of software's.
    const fn kind(&self) -> Option<InvalidationKind> {
        match self {
            Self::Drop { .. } => Some(InvalidationKind::PageFault),
            Self::Page(_, kind) | Self::Row(_, kind, _) => Some(*kind),
            Self::Evicted(_) => None,
        }
    }

    /// What goes of the TLB array `index`.
    fn of_tlb(
        &self,
        index: usize,
        array: &TlbShadow,
        geometry: &Geometry,
        mode: PagingMode,
    ) -> Losses {
        let mut losses = Losses::new();
        let mut lose = |set: u16, ways: u64| match losses.iter_mut().find(|loss| loss.0 == set) {
            Some(loss) => loss.1 |= ways,
            None if ways != 0 => losses.push((set, ways)),
            None => {}
        };
        match self {
            Self::Drop { va, pcid } => {
                for place in geometry.sets_of(index, *va, mode) {
                    let page = page_number(*va, place.kept);
                    let goes =
                        |words: &TlbWords| words.holds(place.kept, page) && words.serves(*pcid);
                    lose(place.set, array.ways_where(place.set, goes));
                }
            }
            Self::Page(invalidation, _) => {
                let Invalidation::Page { va, .. } = invalidation else {
                    return losses;
                };
                for place in geometry.sets_of(index, va.raw(), mode) {
                    lose(place.set, array.covered(place.set, invalidation));
                }
            }
            Self::Row(invalidation, _, row) => {
                if let Ok(set) = u16::try_from(*row) {
                    lose(set, array.covered(set, invalidation));
                }
            }
            Self::Evicted(evicted) if index < Tlb::Stlb.first_array() => {
                let goes = |words: &TlbWords| {
                    words.holds(evicted.kept(), evicted.page())
                        && words.global() == evicted.global()
                        && (evicted.global() || words.pcid() == evicted.pcid())
                };
                for place in geometry.sets_of(index, evicted.address(), mode) {
                    lose(place.set, array.ways_where(place.set, goes));
                }
            }
            Self::Evicted(_) => {}
        }
        losses
    }

    /// What goes of a paging-structure cache.
    fn of_psc(&self, cache: &PscShadow, geometry: &Geometry, mode: PagingMode) -> Losses {
        let all = |wanted: &dyn Fn(&PscWords) -> bool| -> Losses {
            let sets = (0..cache.sets()).map(|set| (set, cache.ways_where(set, wanted)));
            sets.filter(|(_, ways)| *ways != 0).collect()
        };
        match self {
            Self::Drop { va, pcid } => {
                let set = geometry.psc_set(cache.level(), *va, mode);
                let ways = cache.matching(set, *va, mode, *pcid);
                if ways == 0 {
                    Losses::new()
                } else {
                    vec![(set, ways)]
                }
            }
            Self::Page(invalidation, _) | Self::Row(invalidation, _, 0) => {
                all(&|words| invalidation.covers_psc_entry(words.pcid()))
            }
            Self::Row(..) | Self::Evicted(_) => Losses::new(),
        }
    }
}

/// Whether an event says that `losses` go. Of several sets it names one, and all ways that go from any of them.
fn agrees(event: &ArrayEvent, losses: &[(u16, u64)]) -> bool {
    match event.op {
        ARRAY_INVALIDATE => {
            let all = losses.iter().fold(0, |all, (_, ways)| all | ways);
            let named = losses.iter().any(|(set, _)| *set == event.set);
            all != 0 && event.removed == all && named
        }
        _ => losses.is_empty() && event.op == ARRAY_NONE,
    }
}

/// Likewise of a paging-structure cache, all of whose sets may lose something at once. How the monitor shows several sets, the contract leaves
/// open; with `width` ways a set the mask may be one of entries, the ways of set 0 first, or of the ways of the lowest set that loses any.
fn psc_agrees(event: &ArrayEvent, losses: &[(u16, u64)], width: u32) -> bool {
    if event.op != ARRAY_INVALIDATE || losses.is_empty() || agrees(event, losses) {
        return agrees(event, losses);
    }
    let entries = |(set, ways): &(u16, u64)| ways.checked_shl(u32::from(*set) * width).unwrap_or(0);
    let by_entry = losses.iter().map(entries).fold(0, |all, ways| all | ways);
    let lowest = losses.iter().min_by_key(|loss| loss.0);
    event.removed == by_entry && event.set == 0 || lowest == Some(&(event.set, event.removed))
}

/// A removal that is not the one called for.
fn wrong_removal(cycle: u64, what: &str, event: &ArrayEvent, losses: &[(u16, u64)]) -> Finding {
    let removed = if event.op == ARRAY_INVALIDATE {
        event.removed
    } else {
        0
    };
    let missing =
        |(set, ways): &(u16, u64)| ways & !removed != 0 || losses.len() == 1 && event.set != *set;
    let rule = if losses.iter().any(missing) {
        Rule::RemovalMissing
    } else {
        Rule::RemovalExcess
    };
    let seen = format!(
        "{what}: op {}, set {}, ways {removed:#x} removed",
        event.op, event.set
    );
    Finding::new(cycle, rule, seen, format!("sets and ways {losses:x?}"))
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

    /// A walk filled, and some array did not.
    pub(super) fn unfilled(&self, cycle: u64, wanted: &Wanted) -> Result<(), Finding> {
        let tlb = wanted.tlb.iter().position(Option::is_some);
        let psc = wanted.psc.iter().position(Option::is_some);
        let what = match (tlb, psc) {
            (Some(index), _) => format!("TLB array {index}"),
            (None, Some(index)) => format!("paging-structure cache {index}"),
            (None, None) => return Ok(()),
        };
        let seen = format!("a walk with the right to fill left {what} as it was");
        Err(Finding::new(
            cycle,
            Rule::FillRight,
            seen,
            "a fill of every array in which the page stands",
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
        let words = TlbWords {
            tag: event.tag,
            data: event.data,
        };
        let (set, entry) = match wanted.tlb[index].take() {
            Some(wanted) => wanted,
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
        in_range(cycle, event, set, self.geometry.ways(index))?;
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
        let conflicts = array.ways_where(event.set, |old| {
            old.holds(words.kept(), words.page())
                && (words.global() || old.global() || words.pcid() == old.pcid())
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
        array.insert(event.set, way, entry);
        self.figures.fills += 1;
        if index >= Tlb::Stlb.first_array()
            && self.geometry.inclusive()
            && conflicts & live_target == 0
        {
            self.evicted = target;
        }
        Ok(())
    }

    /// The entry of the STLB look-up whose result is the next to perform, from which an L1 array may be filled.
    fn stlb_entry(
        &mut self,
        cycle: u64,
        index: usize,
        words: TlbWords,
    ) -> Result<(u16, TlbEntry), Finding> {
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
        let MissState::StlbBusy {
            code,
            hit: Some(hit),
            filled,
        } = &mut miss.state
        else {
            return none();
        };
        let (va, kind) = (miss.request.va, miss.request.access.kind);
        let level = first_level(usize::from(miss.request.port));
        let mode = self.registers.paging_mode();
        let kept = self.geometry.kept(level, kind, hit.words.kept(), mode);
        let place = kept.and_then(|kept| self.geometry.place(level, kind, va, kept));
        let of_hit = *code <= LOOKUP_HIT_1G && miss.since != cycle && !*filled;
        let Some(place) = place.filter(|place| of_hit && place.array == index) else {
            return none();
        };
        let entry = TlbEntry {
            words: hit.words.piece(va, place.kept),
            lineage: hit.lineage.clone(),
        };
        if entry.words != words {
            let allowed = format!(
                "the STLB entry as it was looked up, or its piece: {:x?}",
                entry.words
            );
            return wrong(Rule::FillContent, allowed);
        }
        *filled = true;
        let right = miss.right;
        self.check_age(cycle, va, entry.words.size(), &entry, None)?;
        if !right {
            let allowed = "nothing: an invalidation took the right to fill";
            return wrong(Rule::FillRight, allowed.into());
        }
        Ok((place.set, entry))
    }

    fn psc_fill(
        &mut self,
        cycle: u64,
        index: usize,
        event: &ArrayEvent,
        wanted: Option<(u16, PscEntry)>,
    ) -> Result<(), Finding> {
        let words = PscWords {
            tag: event.tag,
            data: event.data,
        };
        let place = Place::Psc(index);
        let Some((set, entry)) = wanted else {
            let seen = format!("{place} filled with {words:x?}");
            let allowed = "a fill by a walk that read an entry of this level";
            return Err(Finding::new(cycle, Rule::FillSource, seen, allowed));
        };
        if words != entry.words {
            let seen = format!("{place} filled with {words:x?}");
            let allowed = format!("{:x?}", entry.words);
            return Err(Finding::new(cycle, Rule::FillContent, seen, allowed));
        }
        in_range(cycle, event, set, self.geometry.psc(index).1)?;
        let cache = &mut self.psc[index];
        let way = u32::from(event.way);
        let equal = cache.ways_where(set, |old| old.tag == words.tag);
        let target = cache.entry(set, way).map(|entry| entry.words);
        let victim = target.map_or([0; 2], |words| [words.tag, words.data]);
        let live_target = u64::from(target.is_some()) << way;
        replacement(cycle, place, event, equal, live_target, victim)?;
        cache.remove(set, way);
        let inserted = cache.insert(set, way, entry);
        debug_assert!(inserted, "the way was looked at");
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
        let mode = self.registers.paging_mode();
        let array = &self.tlb[index];
        let losses = removal.map_or_else(Losses::new, |removal| {
            removal.of_tlb(index, array, &self.geometry, mode)
        });
        if !agrees(event, &losses) {
            let what = format!("TLB array {index}");
            return Err(wrong_removal(cycle, &what, event, &losses));
        }
        for (set, ways) in losses {
            for way in bits(ways) {
                let gone = self.tlb[index].remove(set, way);
                if let (Some(entry), Some(kind)) = (gone, removal.and_then(Removal::kind)) {
                    self.count_removed(kind, entry.words.pcid(), &entry.lineage);
                }
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
        let mode = self.registers.paging_mode();
        let cache = &self.psc[index];
        let losses = removal.map_or_else(Losses::new, |removal| {
            removal.of_psc(cache, &self.geometry, mode)
        });
        if !psc_agrees(event, &losses, self.geometry.psc(index).1) {
            let what = format!("paging-structure cache {index}");
            return Err(wrong_removal(cycle, &what, event, &losses));
        }
        for (set, ways) in losses {
            for way in bits(ways) {
                let gone = self.psc[index].remove(set, way);
                if let (Some(entry), Some(kind)) = (gone, removal.and_then(Removal::kind)) {
                    self.count_removed(kind, entry.words.pcid(), &entry.lineage);
                }
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

/// Whether a fill is one of `set`, and of a way that there is.
fn in_range(cycle: u64, event: &ArrayEvent, set: u16, ways: u32) -> Result<(), Finding> {
    if u32::from(event.way) < ways && event.set == set {
        return Ok(());
    }
    let seen = format!("a fill of set {}, way {}", event.set, event.way);
    let allowed = format!("set {set}, one of {ways} ways");
    Err(Finding::new(cycle, Rule::FillPlace, seen, allowed))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn removal(set: u16, removed: u64) -> ArrayEvent {
        ArrayEvent {
            op: ARRAY_INVALIDATE,
            set,
            removed,
            ..ArrayEvent::default()
        }
    }

    #[test]
    fn of_several_sets_of_an_array_the_event_has_all_ways_and_names_one() {
        let losses = [(1, 0b0011), (4, 0b0100)];
        assert!(agrees(&removal(1, 0b0111), &losses) && agrees(&removal(4, 0b0111), &losses));
        assert!(!agrees(&removal(2, 0b0111), &losses), "another set");
        assert!(!agrees(&removal(1, 0b0011), &losses), "not all ways");
        assert!(agrees(&ArrayEvent::default(), &[]) && !agrees(&removal(0, 0), &[]));
    }

    #[test]
    fn of_several_sets_of_a_cache_the_event_may_number_entries_or_have_the_lowest_set() {
        let losses = [(2, 0b01), (1, 0b10)];
        assert!(psc_agrees(&removal(0, 0b01_10_00), &losses, 2));
        assert!(psc_agrees(&removal(1, 0b10), &losses, 2));
        assert!(!psc_agrees(&removal(2, 0b01), &losses, 2));
        assert!(!psc_agrees(&ArrayEvent::default(), &losses, 2));
        assert!(!psc_agrees(&removal(0, 1), &[], 2));
    }
}
