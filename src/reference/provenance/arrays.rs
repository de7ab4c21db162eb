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

/// What a set of an array loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Loss {
    set: u16,
    /// Never none.
    ways: u64,
    /// Of a removal of one page, which of the three places of the event says so, by the kept size. 0 of any other.
    place: usize,
}

/// No place twice.
type Losses = Vec<Loss>;

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
        let mut lose = |set, ways, place| {
            if ways != 0 {
                losses.push(Loss { set, ways, place });
            }
        };
        let mut lose_around = |va, goes: &dyn Fn(&TlbWords) -> bool| {
            for at in geometry.sets_of(index, va, mode) {
                let page = page_number(va, at.kept);
                let ways =
                    array.ways_where(at.set, |words| words.holds(at.kept, page) && goes(words));
                lose(at.set, ways, at.kept.array_index());
            }
        };
        match self {
            Self::Drop { va, pcid } => lose_around(*va, &|words| words.serves(*pcid)),
            Self::Page(invalidation, _) => {
                if let Invalidation::Page { va, .. } = invalidation {
                    lose_around(va.raw(), &|words| words.covered_by(invalidation));
                }
            }
            Self::Row(invalidation, _, row) => {
                if let Ok(set) = u16::try_from(*row) {
                    lose(set, array.covered(set, invalidation), 0);
                }
            }
            Self::Evicted(evicted) if index < Tlb::Stlb.first_array() => {
                let goes = |words: &TlbWords| {
                    words.kept() == evicted.kept()
                        && words.global() == evicted.global()
                        && (evicted.global() || words.pcid() == evicted.pcid())
                };
                lose_around(evicted.address(), &goes);
            }
            Self::Evicted(_) => {}
        }
        losses
    }

    /// What goes of a paging-structure cache.
    fn of_psc(&self, cache: &PscShadow, geometry: &Geometry, mode: PagingMode) -> Losses {
        let loss = |set, ways| Loss {
            set,
            ways,
            place: 0,
        };
        let losses: Losses = match self {
            Self::Drop { va, pcid } => {
                let set = geometry.psc_set(cache.level(), *va, mode);
                vec![loss(set, cache.matching(set, *va, mode, *pcid))]
            }
            Self::Page(invalidation, _) | Self::Row(invalidation, _, 0) => {
                let goes = |words: &PscWords| invalidation.covers_psc_entry(words.pcid());
                let sets = 0..cache.sets();
                sets.map(|set| loss(set, cache.ways_where(set, goes)))
                    .collect()
            }
            Self::Row(..) | Self::Evicted(_) => Losses::new(),
        };
        let something = |loss: &Loss| loss.ways != 0;
        losses.into_iter().filter(something).collect()
    }
}

/// The sets and masks of ways of an event's three places, by the kept size: 4 KiB, 2 MiB or 4 MiB, 1 GiB.
const fn places(event: &ArrayEvent) -> [(u64, u64); 3] {
    [
        (event.set as u64, event.removed),
        (event.victim_tag, event.tag),
        (event.victim_data, event.data),
    ]
}

/// The event that says of a TLB array that `losses` go.
fn removal_of(losses: &[Loss]) -> ArrayEvent {
    let mut event = ArrayEvent::default();
    for Loss { set, ways, place } in losses {
        event.op = ARRAY_INVALIDATE;
        match place {
            0 => (event.set, event.removed) = (*set, *ways),
            1 => (event.victim_tag, event.tag) = (u64::from(*set), *ways),
            _ => (event.victim_data, event.data) = (u64::from(*set), *ways),
        }
    }
    event
}

/// The event that says so of a paging-structure cache with `width` ways a set: one mask of its entries, those of set 0 first.
fn psc_removal_of(losses: &[Loss], width: u32) -> ArrayEvent {
    let entries = |loss: &Loss| {
        loss.ways
            .checked_shl(u32::from(loss.set) * width)
            .unwrap_or(0)
    };
    let removed = losses.iter().map(entries).fold(0, |all, one| all | one);
    ArrayEvent {
        op: if removed == 0 {
            ARRAY_NONE
        } else {
            ARRAY_INVALIDATE
        },
        removed,
        ..ArrayEvent::default()
    }
}

/// A removal that is not `wanted`, if it is not.
fn held_against(
    cycle: u64,
    what: impl fmt::Display,
    event: &ArrayEvent,
    wanted: &ArrayEvent,
) -> Result<(), Finding> {
    if event == wanted {
        return Ok(());
    }
    let shown = match event.op {
        ARRAY_INVALIDATE => places(event),
        _ => [(0, 0); 3],
    };
    let missing = |(shown, wanted): (&(u64, u64), &(u64, u64))| {
        wanted.1 != 0 && (shown.0 != wanted.0 || wanted.1 & !shown.1 != 0)
    };
    let rule = if shown.iter().zip(&places(wanted)).any(missing) {
        Rule::RemovalMissing
    } else {
        Rule::RemovalExcess
    };
    let seen = format!("{what}: op {}, sets and ways {shown:x?} removed", event.op);
    let allowed = format!("op {}, sets and ways {:x?}", wanted.op, places(wanted));
    Err(Finding::new(cycle, rule, seen, allowed))
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
        let wanted = removal_of(&losses);
        held_against(cycle, format_args!("TLB array {index}"), event, &wanted)?;
        for Loss { set, ways, .. } in losses {
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
        let wanted = psc_removal_of(&losses, self.geometry.psc(index).1);
        held_against(cycle, Place::Psc(index), event, &wanted)?;
        for Loss { set, ways, .. } in losses {
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

    const LOSSES: [Loss; 2] = [
        Loss {
            set: 1,
            ways: 0b011,
            place: 0,
        },
        Loss {
            set: 4,
            ways: 0b100,
            place: 2,
        },
    ];

    fn rule(event: &ArrayEvent, wanted: &ArrayEvent) -> Option<Rule> {
        held_against(7, "array", event, wanted)
            .err()
            .map(|finding| finding.rule)
    }

    #[test]
    fn a_removal_of_one_page_has_a_place_for_each_kept_size() {
        let wanted = removal_of(&LOSSES);
        let shown = (wanted.op, wanted.set, wanted.removed, wanted.way);
        assert_eq!(shown, (ARRAY_INVALIDATE, 1, 0b011, 0));
        let others = (wanted.victim_tag, wanted.tag);
        assert_eq!(others, (0, 0));
        assert_eq!((wanted.victim_data, wanted.data), (4, 0b100));
        assert_eq!(rule(&wanted, &wanted), None);
        assert_eq!(removal_of(&[]), ArrayEvent::default());
    }

    #[test]
    fn a_removal_that_shows_less_is_one_that_misses_and_one_that_shows_more_is_one_in_excess() {
        let wanted = removal_of(&LOSSES);
        let (missing, excess) = (Some(Rule::RemovalMissing), Some(Rule::RemovalExcess));
        let with = |change: fn(&mut ArrayEvent)| {
            let mut event = wanted;
            change(&mut event);
            rule(&event, &wanted)
        };
        assert_eq!(with(|event| event.set = 2), missing);
        assert_eq!(with(|event| event.victim_data = 0), missing);
        assert_eq!(with(|event| event.removed = 1), missing);
        assert_eq!(with(|event| event.data = 0), missing);
        assert_eq!(with(|event| *event = ArrayEvent::default()), missing);
        // All in the place of the smallest, as a row of a sweep would be shown.
        assert_eq!(
            with(|event| (event.removed, event.data) = (0b111, 0)),
            missing
        );
        assert_eq!(with(|event| event.removed |= 8), excess);
        assert_eq!(with(|event| event.tag = 1), excess);
        // The set of a place that loses nothing is 0.
        assert_eq!(with(|event| event.victim_tag = 3), excess);
        assert_eq!(rule(&wanted, &ArrayEvent::default()), excess);
    }

    #[test]
    fn a_removal_from_a_cache_is_a_mask_of_its_entries() {
        let wanted = psc_removal_of(&LOSSES, 3);
        assert_eq!((wanted.set, wanted.removed), (0, 0b100_000_000_011_000));
        assert_eq!(psc_removal_of(&[], 3), ArrayEvent::default());
        let lowest_set = ArrayEvent {
            set: 1,
            removed: 0b011,
            ..wanted
        };
        assert_eq!(rule(&lowest_set, &wanted), Some(Rule::RemovalMissing));
    }
}
