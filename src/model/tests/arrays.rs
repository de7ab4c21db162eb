//! TLB arrays and paging-structure caches against the words of contract 1.6, 4.2, 4.4, 7.3, 8.5 and 9.3, taken literally, with the
//! architecture's own account of what an invalidation covers.

use proptest::prelude::*;

use crate::arch::{Invalidation, PageRights, PageSize, PagingMode, Pcid, VirtualAddress};
use crate::config::ArraySpec;
use crate::model::mmu_pkg::ArrayEvent;
use crate::model::psc::{PscCaches, TablePointer};
use crate::model::tlb::{Slot, TlbArray, TlbEntry, page_number};

const GLOBAL: u64 = 1 << 57;

/// A set as the contract describes it: valid entries, and ranks.
#[derive(Clone)]
struct Set {
    ways: Vec<Option<(u64, u64)>>,
    ranks: Vec<usize>,
}

impl Set {
    fn new(ways: usize) -> Self {
        Self {
            ways: vec![None; ways],
            ranks: (0..ways).collect(),
        }
    }

    fn touch(&mut self, way: usize) {
        let old = self.ranks[way];
        for rank in self.ranks.iter_mut().filter(|rank| **rank < old) {
            *rank += 1;
        }
        self.ranks[way] = 0;
    }

    /// Puts an entry in, with the choice of target and what it removes.
    fn fill(&mut self, conflicts: &[usize], entry: (u64, u64)) -> (usize, u64, (u64, u64)) {
        let invalid = || self.ways.iter().position(Option::is_none);
        let last = self.ways.len() - 1;
        let oldest = || self.ranks.iter().position(|rank| *rank == last);
        let target = conflicts
            .first()
            .copied()
            .or_else(invalid)
            .or_else(oldest)
            .unwrap();
        let victim = self.ways[target].unwrap_or((0, 0));
        let mut removed = 0;
        for way in 0..self.ways.len() {
            if conflicts.contains(&way) || way == target {
                removed |= u64::from(self.ways[way].take().is_some()) << way;
            }
        }
        self.ways[target] = Some(entry);
        self.touch(target);
        (target, removed, victim)
    }

    fn remove(&mut self, covers: impl Fn((u64, u64)) -> bool) -> u64 {
        let mut removed = 0;
        for (way, held) in self.ways.iter_mut().enumerate() {
            if held.is_some_and(&covers) {
                *held = None;
                removed |= 1 << way;
            }
        }
        removed
    }
}

fn page_of(tag: u64) -> u64 {
    tag & ((1 << 45) - 1)
}

fn pcid_of(tag: u64) -> u16 {
    (tag >> 45 & 0xfff) as u16
}

fn filled(set: usize, outcome: (usize, u64, (u64, u64)), entry: (u64, u64)) -> ArrayEvent {
    let (target, removed, (victim_tag, victim_data)) = outcome;
    ArrayEvent {
        op: 1,
        way: target as u8,
        set: set as u16,
        reserved: 0,
        removed,
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
    },
    Find {
        va: u64,
        pcid: u16,
        touch: bool,
    },
    Drop {
        va: u64,
        pcid: u16,
    },
    Row(u64, Invalidation),
    Page(u64, Invalidation),
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

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (address(), 0u16..3, any::<bool>(), any::<u64>()).prop_map(|(va, pcid, global, data)| {
            Act::Fill { va, pcid, global, data: data & ((1 << 51) - 1) }
        }),
        6 => (address(), 0u16..3, any::<bool>())
            .prop_map(|(va, pcid, touch)| Act::Find { va, pcid, touch }),
        1 => (address(), 0u16..3).prop_map(|(va, pcid)| Act::Drop { va, pcid }),
        2 => (0u64..6, invalidation()).prop_map(|(row, what)| Act::Row(row, what)),
        1 => (address(), invalidation()).prop_map(|(va, what)| Act::Page(va, what)),
    ]
}

/// The array and its literal copy.
struct Pair {
    size: PageSize,
    array: TlbArray,
    sets: Vec<Set>,
}

impl Pair {
    fn set_of(&self, va: u64) -> usize {
        (va >> self.size.shift()) as usize % self.sets.len()
    }

    fn page(&self, va: u64) -> u64 {
        va >> 12 & ((1 << 45) - 1) & !(self.size.offset_mask() >> 12)
    }

    fn matches(&self, va: u64, pcid: u16, tag: u64) -> bool {
        page_of(tag) == self.page(va) && (tag & GLOBAL != 0 || pcid_of(tag) == pcid)
    }

    fn step(&mut self, act: &Act) -> Result<(), TestCaseError> {
        match *act {
            Act::Fill {
                va,
                pcid,
                global,
                data,
            } => {
                let global_bit = if global { GLOBAL } else { 0 };
                let tag = self.page(va) | u64::from(pcid) << 45 | global_bit;
                let set = self.set_of(va);
                let conflicts: Vec<usize> = (0..self.sets[set].ways.len())
                    .filter(|way| {
                        self.sets[set].ways[*way].is_some_and(|(old, _)| {
                            page_of(old) == page_of(tag)
                                && (global || old & GLOBAL != 0 || pcid_of(old) == pcid)
                        })
                    })
                    .collect();
                let outcome = self.sets[set].fill(&conflicts, (tag, data));
                let event = self.array.fill(TlbEntry { tag, data });
                prop_assert_eq!(event, filled(set, outcome, (tag, data)));
            }
            Act::Find { va, pcid, touch } => {
                let set = self.set_of(va);
                let ways = &self.sets[set].ways;
                let matching: Vec<usize> = (0..ways.len())
                    .filter(|way| ways[*way].is_some_and(|(tag, _)| self.matches(va, pcid, tag)))
                    .collect();
                prop_assert!(matching.len() <= 1, "more than one way matches");
                let expected = matching.first().map(|way| Slot { set, way: *way });
                let found = self.array.find(page_number(va), pcid);
                prop_assert_eq!(found, expected);
                if let Some(slot) = found {
                    let entry = self.array.entry(slot);
                    prop_assert_eq!(Some((entry.tag, entry.data)), ways[slot.way]);
                    if touch {
                        self.array.touch(slot);
                        self.sets[set].touch(slot.way);
                    }
                }
            }
            Act::Drop { va, pcid } => {
                let set = self.set_of(va);
                let (page, pcid_now) = (self.page(va), pcid);
                let removed = self.sets[set].remove(|(tag, _)| {
                    page_of(tag) == page && (tag & GLOBAL != 0 || pcid_of(tag) == pcid_now)
                });
                prop_assert_eq!(self.array.drop_address(va, pcid), invalidated(set, removed));
            }
            Act::Row(row, what) => {
                let removed = self.invalidate(row as usize, &what);
                let event = self.array.invalidate_row(row, &what);
                prop_assert_eq!(event, invalidated(row as usize, removed));
            }
            Act::Page(va, what) => {
                let set = self.set_of(va);
                let removed = self.invalidate(set, &what);
                prop_assert_eq!(
                    self.array.invalidate_page(va, &what),
                    invalidated(set, removed)
                );
            }
        }
        let held = self.sets.iter().flat_map(|set| &set.ways).flatten().count();
        prop_assert_eq!(self.array.occupancy(), held as u64);
        Ok(())
    }

    fn invalidate(&mut self, set: usize, what: &Invalidation) -> u64 {
        let size = self.size;
        let Some(set) = self.sets.get_mut(set) else {
            return 0;
        };
        set.remove(|(tag, _)| {
            let page = VirtualAddress::new_truncate(page_of(tag) << 12, PagingMode::FiveLevel);
            let pcid = Pcid::new_truncate(pcid_of(tag).into());
            what.covers_tlb_entry(page, size, pcid, tag & GLOBAL != 0)
        })
    }
}

proptest! {
    #[test]
    fn an_array_does_what_the_contract_says_word_for_word(
        size in proptest::sample::select(&PageSize::ALL[..]),
        sets in proptest::sample::select(&[1u32, 2, 4][..]),
        ways in prop_oneof![1u32..6, Just(16), Just(17), Just(64)],
        acts in prop::collection::vec(act(), 0..200),
    ) {
        // An array is built for one of three sizes; for 4 MiB that of 2 MiB changes its shape.
        let array = || {
            let built_for = PageSize::ARRAYS[size.array_index()];
            let mut array = TlbArray::new(built_for, ArraySpec::of_size(size, sets, ways));
            array.hold(size);
            array
        };
        let mut pair = Pair {
            size,
            array: array(),
            sets: vec![Set::new(ways as usize); sets as usize],
        };
        for act in &acts {
            pair.step(act)?;
        }
        pair.array.reset();
        prop_assert!(pair.array == array());
    }

    #[test]
    fn a_paging_structure_cache_does_what_the_contract_says_word_for_word(
        entries in prop_oneof![0u32..5, Just(20), Just(64)],
        two_level in any::<bool>(),
        acts in prop::collection::vec((act(), any::<bool>(), any::<bool>()), 0..200),
    ) {
        let mode = if two_level { PagingMode::TwoLevel } else { PagingMode::FourLevel };
        let mut caches = PscCaches::new([entries; 4]);
        caches.enter(mode);
        let mut sets = vec![Set::new(entries as usize); 4];
        let tag_of = |cache: usize, va: u64, pcid: u16| {
            // In 32-bit paging a PDE translates the bits from 22 up.
            let beyond = if two_level && cache == 0 { 1 } else { 9 * cache };
            (va >> 21 & 0xf_ffff_ffff) >> beyond << beyond | u64::from(pcid) << 36
        };
        for (number, (act, five_level, writable)) in acts.iter().enumerate() {
            match *act {
                Act::Fill { va, pcid, data, .. } if entries > 0 => {
                    let cache = number % 4;
                    let rights = PageRights { writable: *writable, protection_key: 0, ..PageRights::ALL };
                    let frame = data & ((1 << 40) - 1);
                    let entry = (tag_of(cache, va, pcid), frame | u64::from(*writable) << 40 | 1 << 41);
                    let equal: Vec<usize> = (0..entries as usize)
                        .filter(|way| sets[cache].ways[*way].is_some_and(|(tag, _)| tag == entry.0))
                        .collect();
                    let outcome = sets[cache].fill(&equal, entry);
                    let event = caches.fill(cache, va, pcid, TablePointer { frame, rights });
                    prop_assert_eq!(event, filled(0, outcome, entry));
                }
                Act::Fill { .. } => {}
                Act::Find { va, pcid, .. } => {
                    let levels = if two_level { 1 } else if *five_level { 4 } else { 3 };
                    let held = |cache: &usize| {
                        let wanted = tag_of(*cache, va, pcid);
                        sets[*cache].ways.iter().position(|way| way.is_some_and(|(tag, _)| tag == wanted))
                    };
                    let expected = (0..levels).find_map(|cache| Some((cache, held(&cache)?)));
                    let found = caches.look_up(va, pcid, levels);
                    prop_assert_eq!(found.map(|(cache, _)| cache), expected.map(|(cache, _)| cache));
                    if let (Some((cache, way)), Some((_, pointer))) = (expected, found) {
                        let (_, data) = sets[cache].ways[way].unwrap();
                        prop_assert_eq!(pointer.frame, data & ((1 << 40) - 1));
                        prop_assert_eq!(pointer.rights.writable, data >> 40 & 1 == 1);
                        prop_assert!(pointer.rights.user && !pointer.rights.execute_disable);
                        sets[cache].touch(way);
                    }
                }
                Act::Drop { va, pcid } => {
                    for (cache, set) in sets.iter_mut().enumerate() {
                        let wanted = tag_of(cache, va, pcid);
                        let removed = set.remove(|(tag, _)| tag == wanted);
                        prop_assert_eq!(caches.drop_address(cache, va, pcid), invalidated(0, removed));
                    }
                }
                Act::Row(_, ref what) | Act::Page(_, ref what) => {
                    for (cache, set) in sets.iter_mut().enumerate() {
                        let removed = set.remove(|(tag, _)| {
                            what.covers_psc_entry(Pcid::new_truncate(tag >> 36))
                        });
                        prop_assert_eq!(caches.invalidate(cache, what), invalidated(0, removed));
                    }
                }
            }
            for (cache, set) in sets.iter().enumerate() {
                let held = set.ways.iter().flatten().count() as u64;
                prop_assert_eq!(caches.occupancy(cache), held);
            }
        }
        caches.reset();
        caches.enter(PagingMode::Off);
        prop_assert!(caches == PscCaches::new([entries; 4]));
    }
}
