//! The miss queue and the prefetch: what became of each request that missed, and what the machine shows of it.
//!
//! Contract: 7, 8.6, 10.1. SDM: none. Counterpart: `rtl/miss_queue.sv`, `rtl/prefetch.sv`.
//!
//! The monitor tells when a look-up, a start or an end of a walk performs; that the result of an STLB look-up has performed shows one
//! cycle later, in the state of its entry.

use crate::arch::PagingMode;
use crate::model::mmu_pkg::{self as pkg, MAX_MISS_QUEUE_ENTRIES, Queues};

use super::super::finding::{Finding, Rule};
use super::super::observer::Request;
use super::super::shadow::{TlbEntry, TlbWords};
use super::look_ups::response;
use super::walks::Setting;
use super::{Provenance, first_level};

/// Where a request that missed stands.
#[derive(Debug, Clone)]
pub(super) enum MissState {
    StlbWait,
    /// Looked up in the STLB; the result has not performed yet.
    StlbBusy {
        code: u8,
        /// The entry that matched.
        hit: Option<TlbEntry>,
        /// The result has filled an L1 array.
        filled: bool,
    },
    WalkWait,
    Walking,
    /// Waits for one of `candidates`, a mask; for the lowest that does not become free in the cycle of its look-up.
    Waiting {
        candidates: u32,
        primary: Option<usize>,
    },
    Retry,
}

/// An entry of the miss queue that is not free.
#[derive(Debug, Clone)]
pub(super) struct Miss {
    pub request: Request,
    pub state: MissState,
    /// The cycle in which it came into that state.
    pub since: u64,
    pub from_cr3: bool,
    /// The right to fill.
    pub right: bool,
    /// Its request came from a request queue, and not from RETRY.
    pub is_new: bool,
}

/// The prefetch, not free.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prefetch {
    pub va: u64,
    pub state: PrefetchState,
    pub right: bool,
    /// The cycle in which it came into that state.
    pub since: u64,
}

/// Where the prefetch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PrefetchState {
    Probe,
    WalkWait,
    /// A walker has taken it, and has not started.
    Taken,
    Walking,
}

/// An entry's place in a mask.
pub(super) const fn bit(entry: usize) -> u32 {
    1 << entry
}

impl Provenance {
    /// What the last cycle led to, by what the queues show in this one.
    #[inline]
    pub(super) fn settle(&mut self, cycle: u64, queues: &Queues) -> Result<(), Finding> {
        self.examine_prefetch();
        let freed = self.settle_result(cycle, queues)?;
        for candidates in self.owed.drain(..) {
            if candidates & !freed != 0 {
                let seen = "a look-up with code 4 in the cycle before";
                let allowed = format!("code 8: entries {candidates:#x} accepted it");
                return Err(Finding::new(cycle, Rule::Lookup, seen, allowed));
            }
        }
        self.settle_prefetch(cycle, queues.prefetch)?;
        for (entry, word) in queues.miss.iter().enumerate() {
            if *word != 0 || self.misses[entry].is_some() {
                self.settle_entry(cycle, entry, *word, freed)?;
            }
        }
        Ok(())
    }

    /// The oldest result, if it has performed in the last cycle. Returns the mask of the entry that it freed.
    fn settle_result(&mut self, cycle: u64, queues: &Queues) -> Result<u32, Finding> {
        let Some(&entry) = self.stlb_busy.front() else {
            return Ok(0);
        };
        if pkg::miss_state(queues.miss[entry]) == pkg::MISS_STLB_BUSY {
            return Ok(0);
        }
        self.stlb_busy.pop_front();
        let Some(miss) = &mut self.misses[entry] else {
            return Ok(0);
        };
        let MissState::StlbBusy { code, hit, filled } = &miss.state else {
            return Ok(0);
        };
        let of_hit = |_: &&TlbEntry| *code <= pkg::LOOKUP_HIT_1G;
        let Some(found) = hit.as_ref().filter(of_hit).cloned() else {
            miss.from_cr3 |= *code == pkg::LOOKUP_DENIED;
            miss.state = MissState::WalkWait;
            miss.since = cycle.saturating_sub(1);
            return Ok(0);
        };
        let port = usize::from(miss.request.port);
        let (level, kind) = (first_level(port), miss.request.access.kind);
        let mode = self.registers.paging_mode();
        let kept = self.geometry.kept(level, kind, found.words.kept(), mode);
        if miss.right && !*filled && kept.is_some() {
            let name = level.name();
            let seen = format!("an STLB hit of port {port} that left the {name} as it was");
            let allowed = "a fill, by the right to fill";
            return Err(Finding::new(cycle, Rule::FillRight, seen, allowed));
        }
        let request = miss.request;
        let response = response(&found, &request);
        self.ports[port].decided.push_back(response);
        self.free(cycle.saturating_sub(1), entry);
        Ok(bit(entry))
    }

    /// `entry` becomes free in `cycle`: what waits for it is looked up again.
    pub(super) fn free(&mut self, cycle: u64, entry: usize) {
        self.misses[entry] = None;
        for miss in self.misses.iter_mut().flatten() {
            if matches!(miss.state, MissState::Waiting { primary: Some(primary), .. } if primary == entry)
            {
                miss.state = MissState::Retry;
                miss.since = cycle;
            }
        }
    }

    /// Holds what an entry shows against what it must be. `freed`: entries that became free in the last cycle by a result.
    fn settle_entry(
        &mut self,
        cycle: u64,
        entry: usize,
        word: u32,
        freed: u32,
    ) -> Result<(), Finding> {
        let shown = pkg::miss_state(word);
        let wrong = |allowed: &str| {
            let seen = format!("entry {entry} of the miss queue shows {word:#x}");
            Err(Finding::new(cycle, Rule::QueueState, seen, allowed))
        };
        let Some(miss) = &mut self.misses[entry] else {
            return wrong("free");
        };
        if let MissState::Waiting {
            candidates,
            primary: primary @ None,
        } = &mut miss.state
        {
            let left = *candidates & !freed;
            if left == 0 {
                return wrong("no wait: nothing accepted it");
            }
            *primary = Some(left.trailing_zeros() as usize);
        }
        let (expected, text) = match &miss.state {
            MissState::StlbWait => (pkg::MISS_STLB_WAIT, "STLB_WAIT"),
            MissState::StlbBusy { .. } => (pkg::MISS_STLB_BUSY, "STLB_BUSY"),
            MissState::WalkWait if shown == pkg::MISS_WALKING => (pkg::MISS_WALKING, "WALKING"),
            MissState::WalkWait => (pkg::MISS_WALK_WAIT, "WALK_WAIT"),
            MissState::Walking => (pkg::MISS_WALKING, "WALKING"),
            MissState::Waiting { .. } => (pkg::MISS_WAITING, "WAITING"),
            MissState::Retry => (pkg::MISS_RETRY, "RETRY"),
        };
        if shown != expected {
            return wrong(text);
        }
        let who = u32::from(miss.request.port) << 3 | u32::from(miss.request.id) << 5;
        if word & 0x1ff8 != who {
            return wrong("the request that it took");
        }
        match &miss.state {
            MissState::Waiting { primary, .. } => {
                let primary = primary.unwrap_or(MAX_MISS_QUEUE_ENTRIES);
                if word >> 13 != (primary as u32) << 2 {
                    return wrong(&format!("entry {primary} as its primary"));
                }
            }
            MissState::Retry if word >> 13 != 0 => return wrong("no right to fill, no from_cr3"),
            MissState::Retry => {}
            _ => {
                if (word >> 13 & 1 != 0) != miss.right {
                    return wrong(&format!("right to fill {}", u8::from(miss.right)));
                }
                // A walk that fails in a cache sets it too.
                if miss.from_cr3 && word >> 14 & 1 == 0 {
                    return wrong("from_cr3, by a denial");
                }
            }
        }
        Ok(())
    }

    fn settle_prefetch(&mut self, cycle: u64, word: u64) -> Result<(), Finding> {
        let wrong = |allowed: &str| {
            let seen = format!("the prefetch shows {word:#x}");
            Err(Finding::new(cycle, Rule::QueueState, seen, allowed))
        };
        if let Some(va) = self.triggered.take() {
            if word & 3 != 0 {
                self.prefetches = true;
            }
            if self.prefetches {
                self.prefetch = Some(Prefetch {
                    va,
                    state: PrefetchState::Probe,
                    right: true,
                    since: cycle.saturating_sub(1),
                });
            }
        }
        let Some(prefetch) = &mut self.prefetch else {
            return if word == 0 { Ok(()) } else { wrong("free") };
        };
        if prefetch.state == PrefetchState::WalkWait && word & 3 == 3 {
            prefetch.state = PrefetchState::Taken;
        }
        let state = match prefetch.state {
            PrefetchState::Probe => 1,
            PrefetchState::WalkWait => 2,
            PrefetchState::Taken | PrefetchState::Walking => 3,
        };
        let page = prefetch.va & 0x01ff_ffff_ffff_f000;
        let expected = page | u64::from(prefetch.right) << 2 | state;
        if word != expected {
            return wrong(&format!("{expected:#x}"));
        }
        Ok(())
    }

    /// Answers of the last cycle to walks of the prefetch, by the right to fill as it is now.
    fn examine_prefetch(&mut self) {
        let right = self.prefetch.is_some_and(|prefetch| prefetch.right);
        let setting = Setting {
            registers: &self.registers,
            rules: &self.rules,
        };
        for (walk, transaction) in self.walks.iter_mut().zip(&mut self.unexamined) {
            if let Some(transaction) = transaction.take()
                && let Some(walk) = walk
            {
                walk.answered(&transaction, setting, right);
            }
        }
    }

    /// Everything but `spared` loses the right to fill.
    pub(super) fn take_rights(&mut self, spared: usize) {
        for (entry, miss) in self.misses.iter_mut().enumerate() {
            if let Some(miss) = miss
                && entry != spared
            {
                miss.right = false;
            }
        }
        self.end_prefetch();
    }

    /// What keeps an entry of the tag of `evicted`, looked up in the STLB before, loses the right to fill.
    pub(super) fn take_rights_to(&mut self, evicted: TlbWords) {
        for miss in self.misses.iter_mut().flatten() {
            let MissState::StlbBusy { hit: Some(hit), .. } = &miss.state else {
                continue;
            };
            if hit.words.tag == evicted.tag {
                miss.right = false;
            }
        }
    }

    /// The prefetch ends, or goes on without the right to fill if a walker has it.
    pub(super) fn end_prefetch(&mut self) {
        if let Some(prefetch) = &mut self.prefetch {
            match prefetch.state {
                PrefetchState::Probe | PrefetchState::WalkWait => self.prefetch = None,
                PrefetchState::Taken | PrefetchState::Walking => prefetch.right = false,
            }
        }
    }

    /// A walk of a request filled: the page after `va`'s, of `bytes`, is prefetched, if the machine does that and it exists.
    pub(super) fn trigger_prefetch(&mut self, va: u64, bytes: u64) {
        let mode = self.registers.paging_mode();
        let mut next = (va & !(bytes - 1)).wrapping_add(bytes);
        if mode == PagingMode::TwoLevel {
            next = mode.extend(next);
        }
        let exists = next != 0 && mode.is_canonical(next);
        if exists && self.prefetch.is_none() {
            self.triggered = Some(next);
        }
    }

    /// The entries that accept `request` in `cycle`, but for one that a result frees (contract 7.1). `ends`: entries whose walk ends.
    pub(super) fn accepting(&self, cycle: u64, request: &Request, ends: u32) -> u32 {
        let mut mask = 0;
        for (entry, miss) in self.misses.iter().enumerate() {
            let Some(miss) = miss else { continue };
            let state = match miss.state {
                // Another port takes it in this cycle.
                MissState::StlbWait => miss.since < cycle || miss.is_new,
                MissState::StlbBusy { .. } | MissState::WalkWait => miss.since < cycle,
                MissState::Walking => true,
                MissState::Waiting { .. } | MissState::Retry => false,
            };
            let page = (miss.request.va ^ request.va) & 0x01ff_ffff_ffff_f000 == 0;
            if state && miss.right && page && ends & bit(entry) == 0 {
                mask |= bit(entry);
            }
        }
        mask
    }
}
