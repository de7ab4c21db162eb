//! Look-ups: what the live entries say to a request, and what becomes of it.
//!
//! Contract: 4.4, 6, 7.1, 7.2, 8.6, 11. SDM vol. 3A, 4.6, 4.10.2. Counterpart: `rtl/tlb.sv`, `rtl/stlb.sv`.

use crate::arch::rights;
use crate::config::{ARRAYS_OF_A_LEVEL, Level as Tlb};
use crate::model::mmu_pkg::{self as pkg, Monitor, PortOut};

use super::super::finding::{Finding, Rule};
use super::super::observer::Request;
use super::super::payload;
use super::super::shadow::{TlbEntry, TlbWords, page_number};
use super::queues::{Miss, MissState, Prefetch, PrefetchState, bit};
use super::{Provenance, first_level};

impl Provenance {
    /// The look-ups of a cycle, L1 and STLB.
    pub(super) fn look_ups(&mut self, cycle: u64, monitor: &Monitor) -> Result<(), Finding> {
        // A request may wait for an entry that another port takes in the same cycle: those that take one first.
        for merged in [false, true] {
            for (port, code) in monitor.lookup.iter().enumerate() {
                if *code != pkg::LOOKUP_NONE && (*code == pkg::LOOKUP_MERGED) == merged {
                    self.l1_look_up(cycle, port, *code, monitor)?;
                }
            }
        }
        if monitor.stlb_lookup != pkg::LOOKUP_NONE {
            self.stlb_look_up(cycle, usize::from(monitor.stlb_entry), monitor)?;
        }
        Ok(())
    }

    fn l1_look_up(
        &mut self,
        cycle: u64,
        port: usize,
        code: u8,
        monitor: &Monitor,
    ) -> Result<(), Finding> {
        let level = first_level(port);
        let filling = monitor.tlb[level.first_array()..]
            .iter()
            .take(ARRAYS_OF_A_LEVEL)
            .any(|event| event.op == pkg::ARRAY_FILL);
        let answering = ends(monitor).any(|event| usize::from(event.port) == port);
        let entry = usize::from(monitor.lookup_entry[port]);
        let retries = monitor.lookup_retry[port] != 0;
        let request = if retries {
            self.in_retry(cycle, port, entry)
        } else {
            self.ports[port].queue.pop_front()
        };
        let Some(request) = request.filter(|_| !answering && !filling && !self.busy) else {
            let seen = format!("a look-up of port {port} with code {code}");
            let allowed = "a look-up of a waiting request, without a fill or another response, control not busy";
            return Err(Finding::new(cycle, Rule::LookupState, seen, allowed));
        };
        if let Some(response) = payload::bypass(&request, &self.registers) {
            self.ports[port].decided.push_back(response);
            return self.check_code(cycle, Rule::Lookup, port, code, pkg::LOOKUP_BYPASS);
        }
        let (mut expected, hit) = self.look_up(level, &request);
        let ended = ends(monitor).fold(0, |mask, event| mask | bit(usize::from(event.entry)));
        let candidates = self.accepting(cycle, &request, ended);
        if expected == pkg::LOOKUP_MISS && candidates != 0 && !retries {
            if code == pkg::LOOKUP_MISS {
                // Right if the only one is freed by a result in this cycle, which the next one shows.
                self.owed.push(candidates);
            } else {
                expected = pkg::LOOKUP_MERGED;
            }
        }
        self.check_code(cycle, Rule::Lookup, port, code, expected)?;
        if let (pkg::LOOKUP_HIT_4K..=pkg::LOOKUP_HIT_1G, Some(found)) = (expected, hit) {
            let response = response(&found, &request);
            self.ports[port].decided.push_back(response);
            if retries {
                self.free(cycle, entry);
            }
            return Ok(());
        }
        if !retries && self.misses.get(entry).is_none_or(Option::is_some) {
            let seen = format!("port {port} takes entry {entry} of the miss queue");
            return Err(Finding::new(cycle, Rule::LookupState, seen, "a free one"));
        }
        let state = match expected {
            pkg::LOOKUP_MISS => MissState::StlbWait,
            pkg::LOOKUP_MERGED => MissState::Waiting {
                candidates,
                primary: None,
            },
            _ => MissState::WalkWait,
        };
        self.misses[entry] = Some(Miss {
            request,
            state,
            since: cycle,
            from_cr3: expected == pkg::LOOKUP_DENIED,
            right: true,
            is_new: !retries,
        });
        Ok(())
    }

    /// The request of `port` that waits in `entry` to be looked up again.
    fn in_retry(&self, cycle: u64, port: usize, entry: usize) -> Option<Request> {
        let miss = self.misses.get(entry)?.as_ref()?;
        let waits = matches!(miss.state, MissState::Retry) && miss.since < cycle;
        (waits && usize::from(miss.request.port) == port).then_some(miss.request)
    }

    fn stlb_look_up(&mut self, cycle: u64, entry: usize, monitor: &Monitor) -> Result<(), Finding> {
        let free_to_look = ends(monitor).next().is_none()
            && !self.busy
            && !monitor
                .walk
                .iter()
                .any(|event| event.op >= pkg::WALK_TRANSLATED);
        if entry == usize::from(pkg::PREFETCH_ENTRY) {
            return self.probe(cycle, free_to_look, monitor);
        }
        let waiting =
            |miss: &&Miss| matches!(miss.state, MissState::StlbWait) && miss.since < cycle;
        let miss = self.misses.get(entry).and_then(Option::as_ref);
        let miss = miss
            .filter(waiting)
            .filter(|miss| miss.request.port == monitor.stlb_port);
        let Some(request) = miss.filter(|_| free_to_look).map(|miss| miss.request) else {
            let seen = format!("an STLB look-up for entry {entry}");
            let allowed = "one for an entry of the miss queue that waits for it, no walk ending, control not busy";
            return Err(Finding::new(cycle, Rule::LookupState, seen, allowed));
        };
        let (expected, hit) = self.look_up(Tlb::Stlb, &request);
        let port = usize::from(request.port);
        self.check_code(cycle, Rule::StlbLookup, port, monitor.stlb_lookup, expected)?;
        if let Some(miss) = &mut self.misses[entry] {
            miss.since = cycle;
            miss.state = MissState::StlbBusy {
                code: expected,
                hit,
                filled: false,
            };
        }
        self.stlb_busy.push_back(entry);
        Ok(())
    }

    /// The prefetch looks whether the STLB holds its page.
    fn probe(&mut self, cycle: u64, free_to_look: bool, monitor: &Monitor) -> Result<(), Finding> {
        let waits = |miss: &Miss| matches!(miss.state, MissState::StlbWait) && miss.since < cycle;
        let asked = self.misses.iter().flatten().any(waits);
        let probing =
            |prefetch: &Prefetch| prefetch.state == PrefetchState::Probe && prefetch.since < cycle;
        let Some(prefetch) = self
            .prefetch
            .filter(|it| probing(it) && free_to_look && !asked)
        else {
            let seen = "an STLB look-up for the prefetch";
            let allowed =
                "one when it waits for it, no request does, no walk ends, control not busy";
            return Err(Finding::new(cycle, Rule::LookupState, seen, allowed));
        };
        let found = self.find(Tlb::Stlb, &Request::prefetch(prefetch.va));
        let expected = found.as_ref().map_or(pkg::LOOKUP_MISS, hit_code);
        self.check_code(cycle, Rule::StlbLookup, 0, monitor.stlb_lookup, expected)?;
        self.prefetch = found.is_none().then_some(Prefetch {
            state: PrefetchState::WalkWait,
            since: cycle,
            ..prefetch
        });
        Ok(())
    }

    fn check_code(
        &self,
        cycle: u64,
        rule: Rule,
        port: usize,
        seen: u8,
        expected: u8,
    ) -> Result<(), Finding> {
        if seen == expected {
            return Ok(());
        }
        let seen = format!("code {seen} for port {port}");
        Err(Finding::new(
            cycle,
            rule,
            seen,
            format!("code {expected}, by the live entries"),
        ))
    }

    /// The code of a look-up in `level`, and the entry that counts.
    fn look_up(&self, level: Tlb, request: &Request) -> (u8, Option<TlbEntry>) {
        let Some(found) = self.find(level, request) else {
            return (pkg::LOOKUP_MISS, None);
        };
        let code = if rights::judge(found.words.rights(), &request.access, &self.registers).is_err()
        {
            pkg::LOOKUP_DENIED
        } else if request.access.is_write() && !found.words.dirty() {
            pkg::LOOKUP_DIRTY_CLEAR
        } else {
            hit_code(&found)
        };
        (code, Some(found))
    }

    /// The entry of `level` that matches `request`: of the smallest kept size.
    fn find(&self, level: Tlb, request: &Request) -> Option<TlbEntry> {
        let pcid = self.registers.current_pcid();
        let mode = self.registers.paging_mode();
        let mut places = self
            .geometry
            .searched(level, request.access.kind, request.va, mode);
        places.find_map(|place| {
            let page = page_number(request.va, place.kept);
            let array = &self.tlb[place.array];
            let matches = |words: &TlbWords| words.holds(place.kept, page) && words.serves(pcid);
            let ways = array.ways_where(place.set, matches);
            array
                .entry(place.set, ways.trailing_zeros())
                .filter(|_| ways != 0)
                .cloned()
        })
    }
}

/// The code of a hit in an entry.
const fn hit_code(entry: &TlbEntry) -> u8 {
    pkg::LOOKUP_HIT_4K + entry.words.kept().array_index() as u8
}

/// The response by an entry.
pub(super) fn response(entry: &TlbEntry, request: &Request) -> PortOut {
    payload::translated(
        request,
        entry.words.translate(request.va),
        entry.words.size(),
        entry.words.memory_type(),
    )
}

/// The walks of requests that end in this cycle.
fn ends(monitor: &Monitor) -> impl Iterator<Item = &pkg::WalkEvent> {
    monitor
        .walk
        .iter()
        .filter(|event| event.op >= pkg::WALK_TRANSLATED && event.entry < pkg::PREFETCH_ENTRY)
}
