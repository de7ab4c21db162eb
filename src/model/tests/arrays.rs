//! TLB arrays and paging-structure caches against the words of contract 1.6, 4.1, 4.2, 4.4, 7.5, 8.5 and 9.3, taken literally, with the
//! architecture's own account of what an invalidation covers.

use proptest::prelude::*;

use super::literal::LiteralPolicy;
use crate::arch::{Invalidation, PageRights, PageSize, PagingMode, Pcid, VirtualAddress};
use crate::config::{ArraySpec, PscArraySpec, Replacement, Serves};
use crate::model::mmu_pkg::ArrayEvent;
use crate::model::psc::{PscCaches, TablePointer};
use crate::model::tlb::{Slot, TlbArray, TlbEntry, Wanted};

const GLOBAL: u64 = 1 << 57;

/// An array as the contract describes it: valid entries, and replacement state.
#[derive(Clone)]
struct Sets {
    ways: Vec<Vec<Option<(u64, u64)>>>,
    policy: LiteralPolicy,
}

impl Sets {
    fn new(replacement: Replacement, sets: usize, ways: usize) -> Self {
        Self {
            ways: vec![vec![None; ways]; sets],
            policy: LiteralPolicy::new(replacement, sets, ways),
        }
    }

    /// Puts an entry in, with the choice of target and what it removes.
    fn fill(&mut self, set: usize, conflicts: &[usize], entry: (u64, u64)) -> Outcome {
        let ways = &mut self.ways[set];
        let invalid = ways.iter().position(Option::is_none);
        let chosen = conflicts.first().copied().or(invalid);
        let target = chosen.unwrap_or_else(|| self.policy.victim(set));
        let victim = ways[target].unwrap_or((0, 0));
        let mut removed = 0;
        for (way, held) in ways.iter_mut().enumerate() {
            if conflicts.contains(&way) || way == target {
                removed |= u64::from(held.take().is_some()) << way;
            }
        }
        ways[target] = Some(entry);
        self.policy.fill(set, target, chosen.is_none());
        Outcome {
            target,
            removed,
            victim,
            evicted: chosen.is_none(),
        }
    }

    fn remove(&mut self, set: usize, covers: impl Fn((u64, u64)) -> bool) -> u64 {
        let mut removed = 0;
        for (way, held) in self.ways[set].iter_mut().enumerate() {
            if held.is_some_and(&covers) {
                *held = None;
                removed |= 1 << way;
            }
        }
        removed
    }

    fn held(&self) -> u64 {
        self.ways.iter().flatten().flatten().count() as u64
    }
}

/// What a fill comes to.
struct Outcome {
    target: usize,
    removed: u64,
    victim: (u64, u64),
    evicted: bool,
}

fn page_of(tag: u64) -> u64 {
    tag & ((1 << 45) - 1)
}

fn pcid_of(tag: u64) -> u16 {
    (tag >> 45 & 0xfff) as u16
}

fn kept_of(tag: u64) -> u64 {
    tag >> 58 & 3
}

fn filled(set: usize, outcome: &Outcome, entry: (u64, u64)) -> ArrayEvent {
    let (victim_tag, victim_data) = outcome.victim;
    ArrayEvent {
        op: 1,
        way: outcome.target as u8,
        set: set as u16,
        reserved: 0,
        removed: outcome.removed,
        tag: entry.0,
        data: entry.1,
        victim_tag,
        victim_data,
    }
}

fn invalidated(set: usize, removed: u64) -> ArrayEvent {
    if removed == 0 {
        return ArrayEvent::default();
    }
    ArrayEvent {
        op: 2,
        set: set as u16,
        removed,
        ..ArrayEvent::default()
    }
}

#[derive(Clone, Debug)]
enum Act {
    Fill {
        va: u64,
        pcid: u16,
        global: bool,
        data: u64,
        kept: PageSize,
        page: PageSize,
    },
    Find {
        va: u64,
        pcid: u16,
        kept: PageSize,
        touch: bool,
    },
    Drop {
        va: u64,
        pcid: u16,
        kept: PageSize,
    },
    Row(usize, Invalidation),
}

/// Few pages of every size, so that they collide; both halves of the address space.
fn address() -> impl Strategy<Value = u64> {
    (0u64..3, 0u64..3, 0u64..4, 0u64..0x1000, any::<bool>()).prop_map(|(g, m, k, offset, upper)| {
        let low = g << 30 | m << 21 | k << 12 | offset;
        if upper { !low } else { low }
    })
}

fn invalidation() -> impl Strategy<Value = Invalidation> {
    let pcid = (0u64..3).prop_map(Pcid::new_truncate);
    prop_oneof![
        (address(), pcid.clone(), any::<bool>()).prop_map(|(va, pcid, globals)| {
            Invalidation::Page {
                va: VirtualAddress::new(va, PagingMode::FiveLevel),
                pcid,
                globals,
            }
        }),
        (pcid, any::<bool>()).prop_map(|(pcid, globals)| Invalidation::Context { pcid, globals }),
        Just(Invalidation::AllNonGlobal),
        Just(Invalidation::All),
        Just(Invalidation::None),
    ]
}

fn size() -> impl Strategy<Value = PageSize> {
    proptest::sample::select(&PageSize::ALL[..])
}

fn act() -> impl Strategy<Value = Act> {
    let sizes = (size(), size()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        8 => (address(), 0u16..3, any::<bool>(), any::<u64>(), sizes).prop_map(
            |(va, pcid, global, data, (kept, page))| {
                Act::Fill { va, pcid, global, data: data & ((1 << 51) - 1), kept, page }
            },
        ),
        6 => (address(), 0u16..3, size(), any::<bool>())
            .prop_map(|(va, pcid, kept, touch)| Act::Find { va, pcid, kept, touch }),
        1 => (address(), 0u16..3, size()).prop_map(|(va, pcid, kept)| Act::Drop { va, pcid, kept }),
        2 => (0usize..6, invalidation()).prop_map(|(row, what)| Act::Row(row, what)),
    ]
}

/// The array and its literal copy.
struct Pair {
    /// The array may hold pieces of pages.
    pieces: bool,
    array: TlbArray,
    sets: Sets,
}

/// The page number at that size.
fn page(va: u64, size: PageSize) -> u64 {
    va >> 12 & ((1 << 45) - 1) & !(size.offset_mask() >> 12)
}

fn matches(va: u64, pcid: u16, kept: PageSize, tag: u64) -> bool {
    kept_of(tag) == kept as u64
        && page_of(tag) == page(va, kept)
        && (tag & GLOBAL != 0 || pcid_of(tag) == pcid)
}

impl Pair {
    /// Any function of the page number does for a set here.
    fn set_of(&self, va: u64, kept: PageSize) -> usize {
        (page(va, kept) >> (kept.shift() - 12)) as usize % self.sets.ways.len()
    }

    fn step(&mut self, act: &Act) -> Result<(), TestCaseError> {
        match *act {
            Act::Fill {
                va,
                pcid,
                global,
                data,
                kept,
                page: size,
            } => {
                let global_bit = if global { GLOBAL } else { 0 };
                let size = if self.pieces { size } else { kept };
                let sizes = (kept as u64) << 58 | (size as u64) << 60;
                let tag = page(va, kept) | u64::from(pcid) << 45 | global_bit | sizes;
                let set = self.set_of(va, kept);
                let ways = &self.sets.ways[set];
                let conflicts: Vec<usize> = (0..ways.len())
                    .filter(|way| {
                        ways[*way].is_some_and(|(old, _)| {
                            kept_of(old) == kept_of(tag)
                                && page_of(old) == page_of(tag)
                                && (global || old & GLOBAL != 0 || pcid_of(old) == pcid)
                        })
                    })
                    .collect();
                let outcome = self.sets.fill(set, &conflicts, (tag, data));
                let done = self.array.fill(set, TlbEntry { tag, data });
                prop_assert_eq!(done.event, filled(set, &outcome, (tag, data)));
                prop_assert_eq!(done.evicted, outcome.evicted);
            }
            Act::Find {
                va,
                pcid,
                kept,
                touch,
            } => {
                let set = self.set_of(va, kept);
                let ways = &self.sets.ways[set];
                let matching: Vec<usize> = (0..ways.len())
                    .filter(|way| ways[*way].is_some_and(|(tag, _)| matches(va, pcid, kept, tag)))
                    .collect();
                prop_assert!(matching.len() <= 1, "more than one way matches");
                let expected = matching.first().map(|way| Slot { set, way: *way });
                let wanted = Wanted::new(page(va, kept), kept, pcid);
                let found = self.array.find(set, wanted);
                prop_assert_eq!(found, expected);
                if let Some(slot) = found {
                    let entry = self.array.entry(slot);
                    prop_assert_eq!(Some((entry.tag, entry.data)), ways[slot.way]);
                    if touch {
                        self.array.hit(slot);
                        self.sets.policy.hit(set, slot.way);
                    }
                }
            }
            Act::Drop { va, pcid, kept } => {
                let set = self.set_of(va, kept);
                let removed = self
                    .sets
                    .remove(set, |(tag, _)| matches(va, pcid, kept, tag));
                let wanted = Wanted::new(page(va, kept), kept, pcid);
                prop_assert_eq!(self.array.drop_page(set, wanted), removed);
            }
            Act::Row(row, what) => {
                let removed = self.invalidate(row, &what);
                prop_assert_eq!(self.array.invalidate_row(row, &what), removed);
            }
        }
        prop_assert_eq!(self.array.occupancy(), self.sets.held());
        Ok(())
    }

    fn invalidate(&mut self, row: usize, what: &Invalidation) -> u64 {
        if row >= self.sets.ways.len() {
            return 0;
        }
        self.sets.remove(row, |(tag, _)| {
            let page = VirtualAddress::new_truncate(page_of(tag) << 12, PagingMode::FiveLevel);
            let pcid = Pcid::new_truncate(pcid_of(tag).into());
            let size = PageSize::from_code((tag >> 60 & 3) as u8).unwrap();
            what.covers_tlb_entry(page, size, pcid, tag & GLOBAL != 0)
        })
    }
}

fn replacement_and_ways(greatest: u32) -> impl Strategy<Value = (Replacement, u32)> {
    (
        proptest::sample::select(&Replacement::ALL[..]),
        prop_oneof![1u32..6, Just(16), Just(17), Just(64)],
    )
        .prop_map(move |(policy, ways)| match policy {
            Replacement::TreePlru => (policy, ways.next_power_of_two().min(greatest)),
            _ => (policy, ways.min(greatest)),
        })
}

/// At most 64 entries.
fn psc_shape() -> impl Strategy<Value = PscArraySpec> {
    let of = |sets: u32| {
        let ways = replacement_and_ways(if sets > 4 {
            4
        } else {
            64 / sets.next_power_of_two()
        });
        (ways, 0u32..8).prop_map(move |((replacement, ways), absent)| PscArraySpec {
            sets,
            ways: if absent == 0 { 0 } else { ways },
            replacement,
        })
    };
    prop_oneof![Just(1u32), 1u32..=16].prop_flat_map(of)
}

proptest! {
    #[test]
    fn an_array_does_what_the_contract_says_word_for_word(
        pieces in any::<bool>(),
        sets in 1u32..=5,
        (replacement, ways) in replacement_and_ways(64),
        acts in prop::collection::vec(act(), 0..200),
    ) {
        let spec = ArraySpec { sizes: 7, sets, ways, replacement, serves: Serves::All };
        let mut pair = Pair {
            pieces,
            array: TlbArray::new(spec, pieces),
            sets: Sets::new(replacement, sets as usize, ways as usize),
        };
        for act in &acts {
            pair.step(act)?;
        }
        pair.array.reset();
        prop_assert!(pair.array == TlbArray::new(spec, pieces));
    }

    #[test]
    fn a_paging_structure_cache_does_what_the_contract_says_word_for_word(
        shape in psc_shape(),
        two_level in any::<bool>(),
        acts in prop::collection::vec((act(), any::<bool>(), any::<bool>()), 0..200),
    ) {
        let mode = if two_level { PagingMode::TwoLevel } else { PagingMode::FourLevel };
        let PscArraySpec { sets: set_count, ways, replacement } = shape;
        let mut caches = PscCaches::new(&[shape; 4]);
        caches.enter(mode);
        let mut sets = vec![Sets::new(replacement, set_count as usize, ways as usize); 4];
        let set_of = |cache: usize, va: u64| {
            let shift = if two_level && cache == 0 { 22 } else { 21 + 9 * cache };
            (((va & ((1 << 57) - 1)) >> shift) % u64::from(set_count)) as usize
        };
        let tag_of = |cache: usize, va: u64, pcid: u16| {
            // In 32-bit paging a PDE translates the bits from 22 up.
            let beyond = if two_level && cache == 0 { 1 } else { 9 * cache };
            (va >> 21 & 0xf_ffff_ffff) >> beyond << beyond | u64::from(pcid) << 36
        };
        for (number, (act, five_level, writable)) in acts.iter().enumerate() {
            match *act {
                Act::Fill { va, pcid, data, .. } if ways > 0 => {
                    let cache = number % 4;
                    let rights = PageRights { writable: *writable, protection_key: 0, ..PageRights::ALL };
                    let frame = data & ((1 << 40) - 1);
                    let entry = (tag_of(cache, va, pcid), frame | u64::from(*writable) << 40 | 1 << 41);
                    let set = set_of(cache, va);
                    let equal: Vec<usize> = (0..ways as usize)
                        .filter(|way| sets[cache].ways[set][*way].is_some_and(|(tag, _)| tag == entry.0))
                        .collect();
                    let outcome = sets[cache].fill(set, &equal, entry);
                    let event = caches.fill(cache, va, pcid, TablePointer { frame, rights });
                    prop_assert_eq!(event, filled(set, &outcome, entry));
                }
                Act::Fill { .. } => {}
                Act::Find { va, pcid, .. } => {
                    let levels = if two_level { 1 } else if *five_level { 4 } else { 3 };
                    let held = |cache: &usize| {
                        let wanted = tag_of(*cache, va, pcid);
                        let ways = &sets[*cache].ways[set_of(*cache, va)];
                        ways.iter().position(|way| way.is_some_and(|(tag, _)| tag == wanted))
                    };
                    let expected = (0..levels).find_map(|cache| Some((cache, held(&cache)?)));
                    let found = caches.look_up(va, pcid, levels);
                    prop_assert_eq!(found.map(|(cache, _)| cache), expected.map(|(cache, _)| cache));
                    if let (Some((cache, way)), Some((_, pointer))) = (expected, found) {
                        let set = set_of(cache, va);
                        let (_, data) = sets[cache].ways[set][way].unwrap();
                        prop_assert_eq!(pointer.frame, data & ((1 << 40) - 1));
                        prop_assert_eq!(pointer.rights.writable, data >> 40 & 1 == 1);
                        prop_assert!(pointer.rights.user && !pointer.rights.execute_disable);
                        sets[cache].policy.hit(set, way);
                    }
                }
                Act::Drop { va, pcid, .. } => {
                    for (cache, sets) in sets.iter_mut().enumerate() {
                        let wanted = tag_of(cache, va, pcid);
                        let set = set_of(cache, va);
                        // The report numbers entries, set by set.
                        let removed = sets.remove(set, |(tag, _)| tag == wanted) << (set * ways as usize);
                        prop_assert_eq!(caches.drop_address(cache, va, pcid), invalidated(0, removed));
                    }
                }
                Act::Row(_, ref what) => {
                    for (cache, sets) in sets.iter_mut().enumerate() {
                        let covers = |(tag, _)| what.covers_psc_entry(Pcid::new_truncate(tag >> 36));
                        let removed = (0..set_count as usize).fold(0, |removed, set| {
                            removed | sets.remove(set, covers) << (set * ways as usize)
                        });
                        prop_assert_eq!(caches.invalidate(cache, what), invalidated(0, removed));
                    }
                }
            }
            for (cache, sets) in sets.iter().enumerate() {
                prop_assert_eq!(caches.occupancy(cache), sets.held());
            }
        }
        caches.reset();
        caches.enter(PagingMode::Off);
        prop_assert!(caches == PscCaches::new(&[shape; 4]));
    }
}
