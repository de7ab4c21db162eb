//! Starts and ends of walks, and how old the entries behind a fill may be.
//!
//! Contract: 8.1, 8.2, 8.4, 8.5. SDM vol. 3A, 4.10.3, 4.10.4.1. Counterpart: `rtl/walker.sv`.

use crate::arch::{Level, PageSize, Pcid};
use crate::model::mmu_pkg::{self as pkg, PSC_LEVELS};

use super::super::finding::{Finding, Rule};
use super::super::payload;
use super::super::shadow::{Link, PscEntry, TlbEntry};
use super::arrays::Wanted;
use super::walks::{Step, Walk};
use super::{Miss, MissState, Provenance, STLB};

impl Provenance {
    /// START of a walk that is not a restart. Returns the address to drop, if it starts from CR3 by a denial.
    pub(super) fn walk_start(
        &mut self,
        cycle: u64,
        walker: usize,
        port: usize,
        level: u8,
    ) -> Result<Option<u64>, Finding> {
        let waiting =
            |miss: &&mut Miss| matches!(miss.state, MissState::WalkWait) && miss.since < cycle;
        let miss = self.ports[port].miss.as_mut().filter(waiting);
        let Some(miss) = miss.filter(|_| self.walks[walker].is_none()) else {
            let seen = format!("walker {walker} starts for port {port}");
            return Err(Finding::new(
                cycle,
                Rule::WalkStart,
                seen,
                "an idle walker, and a miss entry that waits for a walk",
            ));
        };
        miss.state = MissState::Walking;
        let (request, from_cr3) = (miss.request, miss.from_cr3);
        let pcid = self.registers.current_pcid();
        let cached = if from_cr3 {
            None
        } else {
            self.psc_match(request.va, pcid)
        };
        let expected = cached.as_ref().map_or(0, |(level, _)| level.number());
        if level != expected {
            let seen = format!(
                "a walk for {:#x} that starts with a cached entry of level {level}",
                request.va
            );
            let allowed = format!("level {expected} (0: from CR3)");
            return Err(Finding::new(cycle, Rule::WalkStart, seen, allowed));
        }
        let cached = cached.as_ref().map(|(level, entry)| (*level, entry));
        self.walks[walker] = Walk::start(request, cached, &self.registers);
        Ok(from_cr3.then_some(request.va))
    }

    fn psc_match(&self, va: u64, pcid: Pcid) -> Option<(Level, PscEntry)> {
        let levels = if self.registers.paging_mode().root() == Some(Level::Pml5) {
            PSC_LEVELS
        } else {
            PSC_LEVELS - 1
        };
        self.psc[..levels].iter().find_map(|cache| {
            let ways = cache.matching(va, pcid);
            let entry = cache.entry(ways.trailing_zeros()).filter(|_| ways != 0)?;
            Some((cache.level(), entry.clone()))
        })
    }

    pub(super) fn walk_restart(
        &mut self,
        cycle: u64,
        walker: usize,
        port: usize,
        level: u8,
    ) -> Result<Option<u64>, Finding> {
        let walk = self.walks[walker].take();
        let failed = walk.filter(|walk| {
            matches!(walk.step, Step::Restart) && usize::from(walk.request.port) == port
        });
        let Some(walk) = failed.filter(|_| level == 0) else {
            let seen = format!("walker {walker} starts over for port {port}, level {level}");
            let allowed = "a walk that started in a cache and failed, from CR3 now";
            return Err(Finding::new(cycle, Rule::WalkStart, seen, allowed));
        };
        self.walks[walker] = Walk::start(walk.request, None, &self.registers);
        Ok(Some(walk.request.va))
    }

    /// DONE. Returns the address to drop, if it ends with a page fault.
    pub(super) fn walk_end(
        &mut self,
        cycle: u64,
        walker: usize,
        port: usize,
        event: &pkg::WalkEvent,
        wanted: &mut Wanted,
    ) -> Result<Option<u64>, Finding> {
        let wrong = |rule, allowed: &str| {
            let seen = format!(
                "walker {walker} ends for port {port} with op {}, filled {}",
                event.op, event.filled
            );
            Err(Finding::new(cycle, rule, seen, allowed))
        };
        let walk = self.walks[walker]
            .take()
            .filter(|walk| usize::from(walk.request.port) == port);
        let Some((walk, miss)) = walk.zip(self.ports[port].miss.take()) else {
            return wrong(Rule::WalkEnd, "the end of a walk in progress");
        };
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
                if miss.right {
                    let l1 = if port == 0 { 0 } else { 3 };
                    wanted.tlb[STLB + result.size as usize] = Some(result.tlb.clone());
                    wanted.tlb[l1 + result.size as usize] = Some(result.tlb);
                    for (level, entry) in result.psc {
                        wanted.psc[level.array_index() - 1] = Some(entry);
                    }
                }
                (result.response, None)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::arch::{Capabilities, Entry, Invalidation, PageRights, PagingMode, VirtualAddress};
    use crate::reference::image::Image;
    use crate::reference::shadow::{Lineage, PscWords, TlbWords};

    const VA: u64 = 0x5000;

    fn check() -> Provenance {
        let capabilities = Capabilities::new(46, false, false).expect("46 bits are supported");
        Provenance::new(capabilities, Image::new(0, []))
    }

    /// A directory entry read in cycle 10, and a leaf read in cycle 20, under PCID 0.
    fn entries(global: bool) -> (TlbEntry, Vec<(Level, PscEntry)>) {
        let link = |level, cycle| Link {
            level,
            address: 0,
            value: 0x27,
            cycle,
        };
        let links = vec![link(Level::Pd, 10), link(Level::Pt, 20)];
        let lineage = Arc::new(Lineage { root: 0, links });
        let words = TlbWords::new(
            VA,
            PageSize::Size4K,
            Pcid::ZERO,
            global,
            Entry(0x27),
            PageRights::ALL,
        );
        let psc = PscWords::new(VA, Level::Pd, Pcid::ZERO, 0, PageRights::ALL);
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
