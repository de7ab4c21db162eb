//! Look-ups: what the live entries say to a request, and what became of its miss entry.
//!
//! Contract: 4.4, 6, 7.1, 11. SDM vol. 3A, 4.6, 4.10.2. Counterpart: `rtl/tlb.sv`, `rtl/stlb.sv`.

use crate::arch::rights;
use crate::model::mmu_pkg::{self as pkg, Monitor, PortOut};

use super::super::finding::{Finding, Rule};
use super::super::observer::Request;
use super::super::payload;
use super::super::shadow::{TlbEntry, page_number};
use super::{Miss, MissState, Provenance, STLB};

impl Provenance {
    /// The look-ups of a cycle, L1 and STLB.
    pub(super) fn look_ups(&mut self, cycle: u64, monitor: &Monitor) -> Result<(), Finding> {
        for (port, code) in monitor.lookup.iter().enumerate() {
            if *code != pkg::LOOKUP_NONE {
                self.l1_look_up(cycle, port, *code, monitor)?;
            }
        }
        if monitor.stlb_lookup != pkg::LOOKUP_NONE {
            self.stlb_look_up(cycle, usize::from(monitor.stlb_port), monitor)?;
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
        let first_array = if port == 0 { 0 } else { 3 };
        let filling = monitor.tlb[first_array..first_array + 3]
            .iter()
            .any(|event| event.op == pkg::ARRAY_FILL);
        let free = self.ports[port].miss.as_ref().is_none_or(|miss| {
            // Its result performs later than the look-up, and frees it for the next cycle.
            matches!(miss.state, MissState::StlbHit { .. }) && miss.since + 1 < cycle
        });
        let request = self.ports[port].queue.pop_front();
        let Some(request) = request.filter(|_| free && !filling && !self.busy) else {
            let seen = format!("a look-up of port {port} with code {code}");
            let allowed = "a look-up of a waiting request, its miss entry free, without a fill, control not busy";
            return Err(Finding::new(cycle, Rule::LookupState, seen, allowed));
        };
        self.retire_miss(cycle, port)?;
        if let Some(response) = payload::bypass(&request, &self.registers) {
            self.ports[port].decided.push_back(response);
            return self.check_code(cycle, Rule::Lookup, port, code, pkg::LOOKUP_BYPASS);
        }
        let (expected, hit) = self.look_up(first_array, &request);
        self.check_code(cycle, Rule::Lookup, port, code, expected)?;
        let state = match (expected, hit) {
            (pkg::LOOKUP_MISS, _) => MissState::StlbWait,
            (pkg::LOOKUP_DENIED | pkg::LOOKUP_DIRTY_CLEAR, _) | (_, None) => MissState::WalkWait,
            (_, Some((array, entry))) => {
                let response = self.response(array, &entry, &request);
                self.ports[port].decided.push_back(response);
                return Ok(());
            }
        };
        let from_cr3 = expected == pkg::LOOKUP_DENIED;
        self.ports[port].miss = Some(Miss {
            request,
            state,
            since: cycle,
            from_cr3,
            right: true,
        });
        Ok(())
    }

    /// The port's miss entry was freed by the result of an STLB look-up that hit. If it had the right to fill, it filled.
    fn retire_miss(&mut self, cycle: u64, port: usize) -> Result<(), Finding> {
        let Some(miss) = self.ports[port].miss.take() else {
            return Ok(());
        };
        let MissState::StlbHit { array, filled, .. } = miss.state else {
            return Ok(());
        };
        let l1 = array % 3 + if port == 0 { 0 } else { 3 };
        if miss.right && !filled && self.tlb_present[l1] {
            let seen = format!("an STLB hit of port {port} that left TLB array {l1} as it was");
            return Err(Finding::new(
                cycle,
                Rule::FillRight,
                seen,
                "a fill, by the right to fill",
            ));
        }
        Ok(())
    }

    fn stlb_look_up(&mut self, cycle: u64, port: usize, monitor: &Monitor) -> Result<(), Finding> {
        let walker_ends = monitor
            .walk
            .iter()
            .any(|event| event.op >= pkg::WALK_TRANSLATED);
        let waiting =
            |miss: &&Miss| matches!(miss.state, MissState::StlbWait) && miss.since < cycle;
        let miss = self
            .ports
            .get(port)
            .and_then(|port| port.miss.as_ref())
            .filter(waiting);
        let Some(request) = miss
            .filter(|_| !walker_ends && !self.busy)
            .map(|miss| miss.request)
        else {
            let seen = format!("an STLB look-up for port {port}");
            let allowed =
                "one for a miss entry that waits for it, no walk ending, control not busy";
            return Err(Finding::new(cycle, Rule::LookupState, seen, allowed));
        };
        let (expected, hit) = self.look_up(STLB, &request);
        self.check_code(cycle, Rule::StlbLookup, port, monitor.stlb_lookup, expected)?;
        let hit = hit.filter(|_| expected <= pkg::LOOKUP_HIT_1G);
        let decided = hit
            .as_ref()
            .map(|(array, entry)| self.response(*array, entry, &request));
        let port = &mut self.ports[port];
        port.decided.extend(decided);
        if let Some(miss) = &mut port.miss {
            miss.since = cycle;
            miss.from_cr3 |= expected == pkg::LOOKUP_DENIED;
            miss.state = match hit {
                Some((array, entry)) => MissState::StlbHit {
                    array,
                    entry,
                    filled: false,
                },
                None => MissState::WalkWait,
            };
        }
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

    /// The code of a look-up in the three arrays from `first_array` on, and the entry that counts.
    fn look_up(&self, first_array: usize, request: &Request) -> (u8, Option<(usize, TlbEntry)>) {
        let pcid = self.registers.current_pcid();
        for (index, array) in self.tlb.iter().enumerate().skip(first_array).take(3) {
            let page = page_number(request.va, array.size());
            let (set, ways) = array.ways_where(page, |words| words.serves(pcid));
            if ways == 0 {
                continue;
            }
            let Some(entry) = array.entry(set, ways.trailing_zeros()) else {
                continue;
            };
            let code =
                if rights::judge(entry.words.rights(), &request.access, &self.registers).is_err() {
                    pkg::LOOKUP_DENIED
                } else if request.access.is_write() && !entry.words.dirty() {
                    pkg::LOOKUP_DIRTY_CLEAR
                } else {
                    pkg::LOOKUP_HIT_4K + array.size() as u8
                };
            return (code, Some((index, entry.clone())));
        }
        (pkg::LOOKUP_MISS, None)
    }

    fn response(&self, array: usize, entry: &TlbEntry, request: &Request) -> PortOut {
        let size = self.tlb[array].size();
        payload::translated(
            request,
            entry.words.translate(request.va, size),
            size,
            entry.words.memory_type(),
        )
    }
}
