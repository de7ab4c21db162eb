//! The miss queue, which all ports share: its entries, who takes one, merging, and what it shows.
//!
//! Contract: 6 (taking an entry), 7 (states), 7.1 (merging), 10.1 (what it shows). SDM: none of its own. Counterpart:
//! `rtl/miss_queue.sv`.

use crate::config::WalkerOrder;

use super::cyclic::Cyclic;
use super::mmu::{Cycle, Mmu};
use super::mmu_pkg::{
    LOOKUP_DENIED, LOOKUP_MERGED, LOOKUP_MISS, MAX_MISS_QUEUE_ENTRIES, MAX_PORTS, Queues,
};
use super::monitor::Sink;
use super::port::{LookUp, Request};
use super::spec::Spec;
use super::tlb::page_number;

/// Where the miss of an entry stands. The numbers are those of contract 10.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MissState {
    /// Holds no request.
    Free,
    /// Waits for its turn at the STLB.
    StlbWait,
    /// Looked up in the STLB; the result is under way.
    StlbBusy,
    /// Waits for a walker.
    WalkWait,
    /// Has a walker.
    Walking,
    /// Waits for another entry, its primary.
    Waiting,
    /// Is looked up in the first level again.
    Retry,
}

const STATES: usize = 7;

/// An entry of the miss queue. What a state does not define is as in [`MissEntry::FREE`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MissEntry {
    pub state: MissState,
    /// The port of the request.
    pub port: u8,
    /// WAITING: the entry that it waits for.
    pub primary: u8,
    /// The walk is to begin at CR3, after a drop.
    pub from_cr3: bool,
    /// What the walk or the STLB finds may be put into TLBs and paging-structure caches.
    pub right_to_fill: bool,
    pub request: Request,
    /// WALK_WAIT and WALKING: the cycle in which what made it WALK_WAIT performed.
    pub waits_since: u64,
    /// STLB_BUSY: the first cycle in which the result is due.
    pub result_from: u64,
    /// STLB_BUSY: what the look-up came to.
    pub found: LookUp,
}

impl MissEntry {
    pub const FREE: Self = Self {
        state: MissState::Free,
        port: 0,
        primary: 0,
        from_cr3: false,
        right_to_fill: false,
        request: Request::NONE,
        waits_since: 0,
        result_from: 0,
        found: LookUp::NONE,
    };

    /// What a look-up in the first level in cycle `now` that came to `code`, 4 to 6, makes of an entry.
    pub const fn missed(port: usize, request: Request, code: u8, now: u64) -> Self {
        let (state, waits_since) = if code == LOOKUP_MISS {
            (MissState::StlbWait, 0)
        } else {
            (MissState::WalkWait, now)
        };
        Self {
            state,
            waits_since,
            port: port as u8,
            from_cr3: code == LOOKUP_DENIED,
            right_to_fill: true,
            request,
            ..Self::FREE
        }
    }

    /// Whether its result would fill an array of the first level.
    #[inline]
    pub const fn result_fills(&self) -> bool {
        self.right_to_fill && self.found.code < LOOKUP_MISS
    }

    /// The word of contract 10.1.
    fn word(&self) -> u32 {
        if self.state == MissState::Free {
            return 0;
        }
        self.state as u32
            | u32::from(self.port) << 3
            | u32::from(self.request.id) << 5
            | u32::from(self.right_to_fill) << 13
            | u32::from(self.from_cr3) << 14
            | u32::from(self.primary) << 15
    }
}

/// For each state the entries that are in it, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct States([u16; STATES]);

impl States {
    /// What a cycle needs to know of them.
    #[inline]
    pub const fn now(&self) -> Entries {
        let (free, retry) = (self.of(MissState::Free), self.of(MissState::Retry));
        Entries {
            walk_wait: self.of(MissState::WalkWait),
            retry,
            primaries: !(free | retry | self.of(MissState::Waiting)),
            free,
            stlb_wait: self.of(MissState::StlbWait),
        }
    }

    /// The entries in `state`.
    #[inline]
    pub const fn of(&self, state: MissState) -> u32 {
        self.0[state as usize] as u32
    }

    /// Whether some entry is in `state`.
    #[inline]
    pub const fn any(&self, state: MissState) -> bool {
        self.0[state as usize] != 0
    }
}

/// The entries in some states at the start of a cycle, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entries {
    pub free: u32,
    pub retry: u32,
    pub stlb_wait: u32,
    pub walk_wait: u32,
    /// Those for which others may wait (contract 7.1), and bits beyond the last entry.
    pub primaries: u32,
}

impl Entries {
    /// There are none.
    pub const NONE: Self = Self {
        free: 0,
        retry: 0,
        stlb_wait: 0,
        walk_wait: 0,
        primaries: 0,
    };
}

/// The numbers of the set bits, in ascending order.
#[inline]
pub(super) fn numbers(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if mask == 0 {
            return None;
        }
        let number = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        Some(number)
    })
}

/// The queue with its orders.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct MissQueue {
    len: usize,
    entries: [MissEntry; MAX_MISS_QUEUE_ENTRIES],
    states: States,
    /// The port that is served first when entries are taken.
    first: usize,
    /// That port was refused, and its oldest request has not been looked up since.
    owed: bool,
    /// Entries as they are looked up in the STLB (contract 7.2).
    pub stlb_order: Cyclic,
    /// Entries as walkers take them (contract 8.1).
    pub walk_order: Cyclic,
    /// A DONE or a drop kept the STLB from looking up (contract 7.2).
    pub passed_over: bool,
}

impl MissQueue {
    /// All of `len` entries, 1 to [`MAX_MISS_QUEUE_ENTRIES`], FREE.
    pub fn new(len: usize) -> Self {
        let mut states = States([0; STATES]);
        states.0[MissState::Free as usize] = (u32::MAX >> (32 - len)) as u16;
        Self {
            len,
            entries: [MissEntry::FREE; MAX_MISS_QUEUE_ENTRIES],
            states,
            first: 0,
            owed: false,
            stlb_order: Cyclic::new(len),
            walk_order: Cyclic::new(len),
            passed_over: false,
        }
    }

    /// Which entry is in which state.
    #[inline]
    pub const fn states(&self) -> &States {
        &self.states
    }

    /// An entry.
    #[inline]
    pub const fn entry(&self, number: usize) -> &MissEntry {
        &self.entries[number]
    }

    /// Changes an entry.
    #[inline]
    pub fn set(&mut self, number: usize, entry: MissEntry) {
        self.move_to(number, entry.state);
        self.entries[number] = entry;
    }

    /// A request takes a FREE entry, to wait for the entry `primary`.
    #[inline]
    fn take_merged(&mut self, number: usize, port: usize, primary: usize, request: Request) {
        self.move_to(number, MissState::Waiting);
        // The rest is as it is in a FREE one.
        let entry = &mut self.entries[number];
        entry.port = port as u8;
        entry.primary = primary as u8;
        entry.request = request;
    }

    /// An entry's look-up in the STLB came to `found`, and its result is due in cycle `result_from`.
    #[inline]
    pub fn look_up(&mut self, number: usize, found: LookUp, result_from: u64) {
        self.move_to(number, MissState::StlbBusy);
        self.entries[number].found = found;
        self.entries[number].result_from = result_from;
    }

    /// An entry's result, which was not a hit, performs in cycle `now`: it waits for a walker.
    #[inline]
    pub fn want_walker(&mut self, number: usize, now: u64) {
        self.move_to(number, MissState::WalkWait);
        let entry = &mut self.entries[number];
        entry.waits_since = now;
        entry.from_cr3 = entry.found.code == LOOKUP_DENIED;
        entry.found = LookUp::NONE;
        entry.result_from = 0;
    }

    /// Changes the state of an entry, and nothing else.
    #[inline]
    pub fn move_to(&mut self, number: usize, state: MissState) {
        let bit = 1 << number;
        self.states.0[self.entries[number].state as usize] &= !bit;
        self.states.0[state as usize] |= bit;
        self.entries[number].state = state;
    }

    /// An entry's walk is to begin at CR3.
    #[inline]
    pub fn set_from_cr3(&mut self, number: usize) {
        self.entries[number].from_cr3 = true;
    }

    /// An entry becomes FREE, and those that wait for it are to be looked up again (contract 7.1).
    pub fn free(&mut self, number: usize) {
        self.set(number, MissEntry::FREE);
        for waiter in numbers(self.states.of(MissState::Waiting)) {
            if usize::from(self.entries[waiter].primary) == number {
                self.move_to(waiter, MissState::Retry);
                self.entries[waiter].primary = 0;
            }
        }
    }

    /// Every entry but `own` loses the right to fill (contract 8.5, 9.1).
    pub fn take_rights(&mut self, own: Option<usize>) {
        for (number, entry) in self.entries.iter_mut().enumerate() {
            if Some(number) != own {
                entry.right_to_fill = false;
            }
        }
    }

    /// Every entry that `which` names loses the right to fill (contract 7.6).
    pub fn take_rights_of(&mut self, which: impl Fn(&MissEntry) -> bool) {
        for entry in self.entries.iter_mut().filter(|entry| which(entry)) {
            entry.right_to_fill = false;
        }
    }

    /// Of `waiting`, entries in WALK_WAIT, the one that a free walker takes (contract 8.1).
    #[inline]
    pub fn next_to_walk(&self, waiting: u32, order: WalkerOrder) -> Option<usize> {
        match order {
            WalkerOrder::Cyclic => self.walk_order.next_of(waiting),
            // Of equals the first, which is the lowest.
            WalkerOrder::Oldest => {
                numbers(waiting).min_by_key(|number| self.entries[*number].waits_since)
            }
        }
    }

    /// The oldest STLB_BUSY: results come in order of look-up, and at most one look-up performs a cycle.
    #[inline]
    pub fn oldest_result(&self) -> Option<usize> {
        numbers(self.states.of(MissState::StlbBusy))
            .min_by_key(|number| self.entries[*number].result_from)
    }

    /// The lowest of `entries` that belongs to `port`.
    #[inline]
    fn lowest_of_port(&self, entries: u32, port: usize) -> Option<usize> {
        numbers(entries).find(|number| usize::from(self.entries[*number].port) == port)
    }

    /// The request of `port` that is to be looked up again, and its entry, given the entries in RETRY.
    #[inline]
    pub fn retried(&self, in_retry: u32, port: usize) -> Option<(usize, Request)> {
        let number = self.lowest_of_port(in_retry, port)?;
        Some((number, self.entries[number].request))
    }

    /// Drives `mon_miss_o`.
    #[inline]
    pub fn show(&self, queues: &mut Queues) {
        let taken = (u32::MAX >> (32 - self.len)) & !self.states.of(MissState::Free);
        for number in numbers(taken) {
            queues.miss[number] = self.entries[number].word();
        }
    }

    /// The entry that accepts a request for `page` to wait for it (contract 7.1), given those that were taken with code 4 in this cycle.
    fn primary_for(&self, page: u64, cycle: &Cycle, taken: u32) -> Option<usize> {
        let present = u32::MAX >> (32 - self.len);
        let before = cycle.entries.primaries & present;
        numbers(before & !cycle.freed | taken).find(|number| {
            let entry = &self.entries[*number];
            entry.right_to_fill && page_number(entry.request.va) == page
        })
    }

    /// The ports in the order in which they are served.
    pub fn service_order(&self, ports: usize) -> impl Iterator<Item = usize> + use<> {
        let first = self.first;
        // From the first on, and then those before it.
        (first..ports).chain(0..first)
    }

    /// Whether a port was refused whose oldest request has not been looked up since.
    #[inline]
    pub const fn owed(&self) -> bool {
        self.owed
    }

    /// Contract 6, the end of a cycle in which these ports had their oldest request looked up, and these were refused, a bit each.
    pub fn pass_turn(&mut self, looked_up: u32, refused: u32) {
        if self.owed && looked_up >> self.first & 1 == 0 {
            return;
        }
        let ports = u32::BITS as usize;
        let first_refused = (self.first..self.first + ports)
            .map(|port| port % ports)
            .find(|port| refused >> port & 1 != 0);
        self.owed = first_refused.is_some();
        self.first = first_refused.unwrap_or(self.first);
    }
}

impl Mmu {
    /// Contract 6, taking an entry: `missed` holds, for each port whose oldest request came to a code of 4 to 6, that code. The ports that
    /// are refused, a bit each.
    pub(super) fn take_entries(
        &mut self,
        cycle: &Cycle,
        missed: &[u8; MAX_PORTS],
        sink: &mut impl Sink,
    ) -> u32 {
        let mut free = cycle.entries.free;
        let mut taken_with_miss = 0;
        let mut refused = 0;
        for port in self.miss_queue.service_order(self.spec.ports) {
            let mut code = missed[port];
            if code == 0 {
                continue;
            }
            let Some(number) = (free != 0).then(|| free.trailing_zeros() as usize) else {
                refused |= 1 << port;
                continue;
            };
            let Some(request) = self.ports[port].take_oldest() else {
                continue;
            };
            free &= free - 1;
            let page = page_number(request.va);
            let primary = (code == LOOKUP_MISS)
                .then(|| self.miss_queue.primary_for(page, cycle, taken_with_miss))
                .flatten();
            if let Some(primary) = primary {
                code = LOOKUP_MERGED;
                self.miss_queue.take_merged(number, port, primary, request);
            } else {
                taken_with_miss |= u32::from(code == LOOKUP_MISS) << number;
                let entry = MissEntry::missed(port, request, code, self.now);
                self.miss_queue.set(number, entry);
            }
            sink.lookup(port, code, number, request.id, false);
            self.statistics
                .count_look_up(Spec::first_level(port), code, false);
        }
        refused
    }
}
