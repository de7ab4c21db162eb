//! Starts and ends of walks, and how old the entries behind a fill may be.
//!
//! Contract: 8.1, 8.2, 8.4 to 8.6. SDM vol. 3A, 4.10.3, 4.10.4.1. Counterpart: `rtl/walker.sv`.

use crate::arch::{AccessKind, Level, PageSize, Pcid};
use crate::config::Level as Tlb;
use crate::model::mmu_pkg::{self as pkg, PSC_LEVELS};

use super::super::finding::{Finding, Rule};
use super::super::observer::Request;
use super::super::payload;
use super::super::shadow::{Link, PscEntry, TlbEntry};
use super::arrays::Wanted;
use super::queues::{Miss, MissState, PrefetchState};
use super::walks::{Step, Walk};
use super::{Provenance, first_level};

impl Provenance {
    /// START of a walk that is not a restart. Returns the address to drop, if it starts from CR3 by a denial.
    pub(super) fn walk_start(
        &mut self,
        cycle: u64,
        walker: usize,
        event: &pkg::WalkEvent,
    ) -> Result<Option<u64>, Finding> {
        let entry = usize::from(event.entry);
        let waiting = |miss: &&mut Miss| {
            matches!(miss.state, MissState::WalkWait)
                && miss.since < cycle
                && miss.request.port == event.port
        };
        let idle = self.walks[walker].is_none();
        let (request, from_cr3, right) = match self.misses.get_mut(entry) {
            Some(miss) => match miss.as_mut().filter(waiting).filter(|_| idle) {
                Some(miss) => {
                    miss.state = MissState::Walking;
                    (miss.request, miss.from_cr3, true)
                }
                None => return start_unasked(cycle, walker, event),
            },
            None => match self.prefetch.as_mut().filter(|_| idle) {
                Some(prefetch) if prefetch.state == PrefetchState::Taken => {
                    prefetch.state = PrefetchState::Walking;
                    (Request::prefetch(prefetch.va), false, prefetch.right)
                }
                _ => return start_unasked(cycle, walker, event),
            },
        };
        let pcid = self.registers.current_pcid();
        let cached = if from_cr3 || !right {
            None
        } else {
            self.psc_match(request.va, pcid)
        };
        let (level, expected) = (
            event.psc_level,
            cached.as_ref().map_or(0, |(level, _)| level.number()),
        );
        if level != expected {
            let seen = format!(
                "a walk for {:#x} that starts with a cached entry of level {level}",
                request.va
            );
            let allowed = format!("level {expected} (0: from CR3)");
            return Err(Finding::new(cycle, Rule::WalkStart, seen, allowed));
        }
        let cached = cached.as_ref().map(|(level, entry)| (*level, entry));
        self.walks[walker] = if right {
            Walk::start(entry, request, cached, &self.registers)
        } else {
            Some(Walk::stopped(entry, request))
        };
        Ok(from_cr3.then_some(request.va))
    }

    fn psc_match(&self, va: u64, pcid: Pcid) -> Option<(Level, PscEntry)> {
        let levels = if self.registers.paging_mode().root() == Some(Level::Pml5) {
            PSC_LEVELS
        } else {
            PSC_LEVELS - 1
        };
        self.psc[..levels].iter().find_map(|cache| {
            let mode = self.registers.paging_mode();
            let set = self.geometry.psc_set(cache.level(), va, mode);
            let ways = cache.matching(set, va, mode, pcid);
            let entry = cache
                .entry(set, ways.trailing_zeros())
                .filter(|_| ways != 0)?;
            Some((cache.level(), entry.clone()))
        })
    }

    pub(super) fn walk_restart(
        &mut self,
        cycle: u64,
        walker: usize,
        event: &pkg::WalkEvent,
    ) -> Result<Option<u64>, Finding> {
        let walk = self.walks[walker].take();
        let failed = walk.filter(|walk| {
            matches!(walk.step, Step::Restart) && walk.is_of(event) && event.psc_level == 0
        });
        let Some(walk) = failed else {
            let seen = format!(
                "walker {walker} starts over for entry {}, level {}",
                event.entry, event.psc_level
            );
            let allowed = "a walk that started in a cache and failed, from CR3 now";
            return Err(Finding::new(cycle, Rule::WalkStart, seen, allowed));
        };
        self.walks[walker] = Walk::start(walk.entry, walk.request, None, &self.registers);
        Ok(Some(walk.request.va))
    }

    /// DONE of a walk of the prefetch.
    fn prefetch_end(
        &mut self,
        cycle: u64,
        walk: Walk,
        event: &pkg::WalkEvent,
        wanted: &mut Wanted,
    ) -> Result<Option<u64>, Finding> {
        let right = self.prefetch.take().is_some_and(|prefetch| prefetch.right);
        let seen = format!(
            "the prefetch ends with op {}, filled {}",
            event.op, event.filled
        );
        match (event.op, walk.step) {
            (pkg::WALK_STOPPED, Step::Stopped) => Ok(None),
            (pkg::WALK_TRANSLATED, Step::Translated(result)) => {
                let va = walk.request.va;
                if event.filled != 0 {
                    self.check_age(cycle, va, result.size, &result.tlb, Some(&result.psc))?;
                }
                if (event.filled != 0) != right {
                    let allowed = format!("filled {}", u8::from(right));
                    return Err(Finding::new(cycle, Rule::FillRight, seen, allowed));
                }
                if right {
                    let levels = [(Tlb::Stlb, AccessKind::Read)];
                    wanted.add(&self.geometry, walk.mode, va, *result, &levels);
                }
                Ok(None)
            }
            (_, step) => Err(Finding::new(
                cycle,
                Rule::WalkEnd,
                seen,
                format!("{step:?}"),
            )),
        }
    }

    /// DONE. Returns the address to drop, if it ends with a page fault.
    pub(super) fn walk_end(
        &mut self,
        cycle: u64,
        walker: usize,
        event: &pkg::WalkEvent,
        wanted: &mut Wanted,
    ) -> Result<Option<u64>, Finding> {
        let wrong = |rule, allowed: &str| {
            let seen = format!(
                "walker {walker} ends for entry {} with op {}, filled {}",
                event.entry, event.op, event.filled
            );
            Err(Finding::new(cycle, rule, seen, allowed))
        };
        let Some(walk) = self.walks[walker].take().filter(|walk| walk.is_of(event)) else {
            return wrong(Rule::WalkEnd, "the end of a walk in progress");
        };
        if walk.prefetch {
            return self.prefetch_end(cycle, walk, event, wanted);
        }
        let Some(miss) = self.misses[walk.entry].clone() else {
            return wrong(Rule::WalkEnd, "the end of a walk in progress");
        };
        let port = usize::from(walk.request.port);
        let (response, dropped) = match (event.op, walk.step) {
            (pkg::WALK_TRANSLATED, Step::Translated(result)) => {
                if event.filled != 0 {
                    self.check_age(
                        cycle,
                        walk.request.va,
                        result.size,
                        &result.tlb,
                        Some(&result.psc),
                    )?;
                }
                if (event.filled != 0) != miss.right {
                    return wrong(Rule::FillRight, &format!("filled {}", u8::from(miss.right)));
                }
                let response = result.response;
                if miss.right {
                    let (va, kind) = (walk.request.va, walk.request.access.kind);
                    let levels = [(Tlb::Stlb, kind), (first_level(port), kind)];
                    self.trigger_prefetch(va, result.size.bytes());
                    wanted.add(&self.geometry, walk.mode, va, *result, &levels);
                }
                (response, None)
            }
            (pkg::WALK_PAGE_FAULT, Step::PageFault(code)) => (
                payload::page_fault(&walk.request, code),
                Some(walk.request.va),
            ),
            (pkg::WALK_BUS_ERROR, Step::BusError) => (payload::bus_error(&walk.request), None),
            (pkg::WALK_PAGE_FAULT | pkg::WALK_BUS_ERROR, Step::Restart) => {
                return wrong(
                    Rule::FaultFromCr3,
                    "a restart from CR3: the walk started in a cache",
                );
            }
            (_, step) => return wrong(Rule::WalkEnd, &format!("{step:?}")),
        };
        self.ports[port].decided.push_back(response);
        self.free(cycle, walk.entry);
        Ok(dropped)
    }

    /// Whether every entry read behind a fill is younger than what last removed such an entry. `psc`: of a walk, whose
    /// paging-structure-cache fills, and whose way through them, are judged as well.
    pub(super) fn check_age(
        &self,
        cycle: u64,
        va: u64,
        size: PageSize,
        tlb: &TlbEntry,
        psc: Option<&[(Level, PscEntry)]>,
    ) -> Result<(), Finding> {
        let pcid = tlb.words.pcid();
        let (leaf, above) = if tlb.words.global() {
            (self.horizons.global(va, size), 0)
        } else {
            let horizon = self.horizons.non_global(va, size, pcid);
            (horizon, horizon)
        };
        let cached = if psc.is_some() {
            self.horizons.psc(pcid)
        } else {
            0
        };
        let links = tlb.lineage.links.split_last();
        let old = |link: &&Link, horizon: u64| link.cycle <= horizon;
        let too_old = links.and_then(|(last, rest)| {
            let last = Some(last).filter(|last| old(last, leaf));
            last.or_else(|| rest.iter().find(|link| old(link, above.max(cached))))
        });
        let Some(link) = too_old else { return Ok(()) };
        let seen = format!(
            "a fill for {va:#x} by the {} read in cycle {}",
            link.level, link.cycle
        );
        let horizon = leaf.max(above).max(cached);
        let allowed =
            format!("entries read after cycle {horizon}, in which an invalidation covered them");
        Err(Finding::new(cycle, Rule::FillAge, seen, allowed))
    }
}

/// A walk started that nothing waits for.
fn start_unasked<T>(cycle: u64, walker: usize, event: &pkg::WalkEvent) -> Result<T, Finding> {
    let seen = format!(
        "walker {walker} starts for entry {}, port {}",
        event.entry, event.port
    );
    let allowed = "an idle walker, and an entry that waits for a walk";
    Err(Finding::new(cycle, Rule::WalkStart, seen, allowed))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::arch::{Entry, EntrySlot, Invalidation, PageRights, PagingMode, VirtualAddress};
    use crate::config::Config;
    use crate::reference::image::Image;
    use crate::reference::shadow::{Lineage, PscWords, TlbWords};

    const VA: u64 = 0x5000;

    fn check() -> Provenance {
        Provenance::new(&Config::default(), Image::new(0, []))
    }

    /// A directory entry read in cycle 10, and a leaf read in cycle 20, under PCID 0.
    fn entries(global: bool) -> (TlbEntry, Vec<(Level, PscEntry)>) {
        let link = |level, cycle| Link {
            level,
            address: 0,
            slot: EntrySlot::Whole,
            value: 0x27,
            cycle,
        };
        let links = vec![link(Level::Pd, 10), link(Level::Pt, 20)];
        let lineage = Arc::new(Lineage { root: 0, links });
        let words = TlbWords::new(
            VA,
            PageSize::Size4K,
            PageSize::Size4K,
            Pcid::ZERO,
            global,
            Entry(0x27),
            PageRights::ALL,
        );
        let psc = PscWords::new(
            VA,
            PagingMode::FourLevel,
            Level::Pd,
            Pcid::ZERO,
            0,
            PageRights::ALL,
        );
        let psc = vec![(
            Level::Pd,
            PscEntry {
                words: psc,
                lineage: Arc::clone(&lineage),
            },
        )];
        (TlbEntry { words, lineage }, psc)
    }

    fn page(va: u64) -> Invalidation {
        let va = VirtualAddress::new(va, PagingMode::FourLevel);
        Invalidation::Page {
            va,
            pcid: Pcid::ZERO,
            globals: true,
        }
    }

    fn is_too_old(check: &Provenance, global: bool, by_walk: bool) -> bool {
        let (tlb, psc) = entries(global);
        let psc = by_walk.then_some(psc.as_slice());
        match check.check_age(99, VA, PageSize::Size4K, &tlb, psc) {
            Err(finding) => finding.rule == Rule::FillAge,
            Ok(()) => false,
        }
    }

    #[test]
    fn a_leaf_read_in_the_cycle_of_an_invalidation_is_too_old_and_one_read_after_it_is_not() {
        for (cycle, too_old) in [(19, false), (20, true)] {
            let mut check = check();
            check.horizons.record(&Invalidation::All, 9, 9);
            check.horizons.record(&page(VA + 0x1000), cycle, cycle);
            assert!(!is_too_old(&check, false, false), "another page");
            let mut check = super::tests::check();
            check.drop_address(cycle, 0, VA);
            assert_eq!(is_too_old(&check, true, true), too_old);
        }
    }

    #[test]
    fn a_table_entry_of_a_page_that_was_dropped_since_is_too_old_unless_the_leaf_is_global() {
        let mut check = check();
        check.drop_address(15, 0, VA);
        assert!(is_too_old(&check, false, false));
        assert!(!is_too_old(&check, true, false));
    }

    #[test]
    fn a_walk_may_not_use_a_table_entry_older_than_the_last_emptying_of_the_caches() {
        let mut check = check();
        check.horizons.record(&page(VA + 0x1000), 15, 15);
        assert!(is_too_old(&check, false, true));
        assert!(is_too_old(&check, true, true));
        assert!(
            !is_too_old(&check, false, false),
            "a copy of an STLB entry that was made before"
        );
    }
}
