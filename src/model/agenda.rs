//! Which units act in a cycle, and which cycle is the next in which one does.
//!
//! Contract: 5 to 8, in the order of [`Mmu::perform`], which is the meaning. Counterpart: none; in the RTL all units are there in every cycle.
//!
//! While control is idle, every unit tells from the state when it acts next. A cycle then costs what its acts cost, and one without acts
//! nothing. What is counted by what the state is, is counted when the state changes, for all the cycles in which it stayed.

use super::commit::Commit;
use super::memory::Memory;
use super::miss_queue::MissState;
use super::mmu::{Cycle, Mmu};
use super::mmu_pkg::{MAX_PORTS, MAX_WALKERS, MemoryOut};
use super::monitor::Sink;
use super::port::Response;
use super::prefetch::PrefetchState;
use super::walker::WalkState;

/// States of a walker.
const STATES: usize = 8;

/// What is known of the machine besides its state, from the cycle on in which it was drawn up.
///
/// Responses are taken out of their queues in the cycle in which they are pushed, one before they are transferred.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agenda {
    states: [WalkState; MAX_WALKERS],
    /// By state the walkers that are in it, a bit each.
    walkers: [u8; STATES],
    /// Those that the machine has.
    present: u8,
    /// The first cycle of which the busy walkers are not counted.
    walks_counted: u64,
    /// The first cycle with the entries of the miss queue free that are free now.
    free_since: u64,
    /// By port, the cycle in which the last response is transferred.
    transfers: [u64; MAX_PORTS],
}

impl Agenda {
    /// Of a machine that is not under an agenda yet.
    pub const NONE: Self = Self {
        states: [WalkState::Idle; MAX_WALKERS],
        walkers: [0; STATES],
        present: 0,
        walks_counted: 0,
        free_since: 0,
        transfers: [0; MAX_PORTS],
    };

    /// The walkers in `state`.
    #[inline]
    const fn of(&self, state: WalkState) -> u8 {
        self.walkers[state as usize]
    }

    /// The state of a walker has changed.
    #[inline]
    const fn note(&mut self, number: usize, state: WalkState) {
        let bit = 1 << number;
        self.walkers[self.states[number] as usize] &= !bit;
        self.walkers[state as usize] |= bit;
        self.states[number] = state;
    }

    /// Walkers that want the memory port.
    #[inline]
    const fn wanting(&self) -> u32 {
        (self.of(WalkState::Read) | self.of(WalkState::Cas)) as u32
    }

    /// The cycle in which the last response of `port` is transferred.
    #[inline]
    pub const fn transfer(&self, port: usize) -> u64 {
        self.transfers[port]
    }
}

impl Mmu {
    /// Draws up an agenda from this cycle on. Control must be idle.
    pub(super) fn agenda(&mut self) -> Agenda {
        let mut agenda = Agenda {
            present: (1 << self.spec.walkers) - 1,
            walks_counted: self.now,
            free_since: self.now,
            ..Agenda::NONE
        };
        for number in 0..self.spec.walkers {
            agenda.walkers[0] |= 1 << number;
            agenda.note(number, self.walkers[number].state());
        }
        self.recent.forget();
        agenda
    }

    /// The figures of all cycles before this one. Responses that are transferred in it or later are the caller's to put back.
    pub(super) fn close(&mut self, agenda: &mut Agenda) {
        self.count_walks_before(agenda, self.now);
        if self.now > agenda.free_since {
            let full = !self.miss_queue.states().any(MissState::Free);
            self.statistics.count_full(full);
        }
        self.statistics.cycles = self.now;
    }

    /// Whether `port` is ready for a request in this cycle.
    #[inline]
    pub(super) const fn accepts_now(&self, agenda: &Agenda, port: usize) -> bool {
        let leaving = (agenda.transfers[port] >= self.now) as u64;
        self.ports[port].outstanding() + leaving < self.spec.queue_entries
    }

    /// The first cycle from this one on in which a unit acts; `u64::MAX`: none ever does.
    #[inline]
    pub(super) fn next_act(&self, agenda: &Agenda, memory: &Memory) -> u64 {
        let states = self.miss_queue.states();
        let commits_or_examines = agenda.of(WalkState::Start)
            | agenda.of(WalkState::Done)
            | agenda.of(WalkState::Examine);
        let prefetch = self.prefetch.state();
        let waits = states.of(MissState::WalkWait) != 0 || prefetch == PrefetchState::WalkWait;
        let wanting = agenda.wanting();
        let held = self.memory_port.holds();
        if commits_or_examines != 0
            || states.of(MissState::StlbWait) | states.of(MissState::Retry) != 0
            || waits && agenda.of(WalkState::Idle) != 0
            || wanting != 0 && !held
            || prefetch == PrefetchState::Probe
            || self.evicted.is_some()
        {
            return self.now;
        }
        let mut next = memory.next_event().unwrap_or(u64::MAX);
        if wanting != 0 {
            next = next.min(memory.next_accept());
        }
        if let Some(result) = self.miss_queue.oldest_result() {
            next = next.min(self.miss_queue.entry(result).result_from);
        }
        // To refuse while a port is owed its turn changes nothing: that port, too, is refused until an entry becomes FREE.
        let idle = self.miss_queue.owed() && !states.any(MissState::Free);
        for port in 0..self.spec.ports {
            if let Some(from) = self.ports[port].look_up_from()
                && !(idle && self.would_be_refused(port))
            {
                next = next.min(from);
            }
        }
        next.max(self.now)
    }

    /// What acts in this cycle, acts; then it is the next. An access that memory accepts: the owner of the walker, and whether it is a read.
    #[inline]
    pub(super) fn act(
        &mut self,
        agenda: &mut Agenda,
        memory: &mut Memory,
        sink: &mut impl Sink,
    ) -> Option<(usize, bool)> {
        let cycle = self.decide_by(agenda);
        if cycle.done || cycle.grant.is_some() {
            self.count_walks_before(agenda, self.now + 1);
        }
        if cycle.prefetch.state() == PrefetchState::Probe {
            self.statistics.cycles = self.now;
            self.statistics.count_probing(1);
        }
        self.look_up_first_levels(&cycle, sink);
        if cycle.states.any(MissState::StlbWait) {
            self.look_up_stlb(&cycle, sink);
            debug_assert!(!self.miss_queue.passed_over || cycle.stlb_is_held_up());
        }
        self.step_probe(&cycle, sink);
        self.step_inclusion(&cycle, sink);
        if let Some(commit) = cycle.commit {
            self.perform_commit(&cycle, sink);
            if let Commit::Start(walker) | Commit::Done(walker) = commit {
                agenda.note(walker, self.walkers[walker].state());
            }
        }
        if let Some((walker, _)) = cycle.grant {
            self.grant_walker(&cycle);
            agenda.note(walker, WalkState::Start);
        }
        let accessed = self.walk_by(agenda, &cycle, memory);
        let free = cycle.states.of(MissState::Free);
        if self.miss_queue.states().of(MissState::Free) != free {
            self.statistics.count_full(free == 0);
            agenda.free_since = self.now + 1;
        }
        self.now += 1;
        accessed
    }

    /// Draws the decisions of this cycle from the state, as [`Mmu::decide`].
    #[inline]
    fn decide_by(&self, agenda: &Agenda) -> Cycle {
        let mut cycle = Cycle {
            states: *self.miss_queue.states(),
            walkers: agenda.states,
            prefetch: self.prefetch,
            back_invalidates: self.evicted.is_some(),
            shown: self.memory_port.shown(agenda.wanting()),
            remembers: true,
            ..Cycle::QUIET
        };
        let commits = agenda.of(WalkState::Start) | agenda.of(WalkState::Done) != 0
            || cycle.states.any(MissState::StlbBusy);
        if commits && !cycle.back_invalidates {
            cycle.commit = self.decide_commit(&cycle.walkers);
            self.decide_effects(&mut cycle);
        }
        if agenda.of(WalkState::Idle) & agenda.present != 0 {
            cycle.grant = self.decide_grant(&cycle);
        }
        cycle
    }

    /// Contract 8.3 and 8.4, as [`Mmu::step_walkers`].
    #[inline]
    fn walk_by(
        &mut self,
        agenda: &mut Agenda,
        cycle: &Cycle,
        memory: &mut Memory,
    ) -> Option<(usize, bool)> {
        let ready = cycle.shown.is_some() && memory.accepts_in(self.now);
        if let Some((walker, data, error)) = memory.respond(self.now) {
            self.walk_answered(walker, data, error);
            agenda.note(walker, WalkState::Examine);
        }
        for (number, state) in cycle.walkers.iter().enumerate() {
            if *state == WalkState::Examine {
                self.examine(number, cycle.prefetch.right_to_fill());
                agenda.note(number, self.walkers[number].state());
            }
        }
        let Some(walker) = cycle.shown else {
            self.memory_port.hold(None);
            return None;
        };
        if !ready {
            self.memory_port.hold(cycle.shown);
            return None;
        }
        let mut wanted = MemoryOut::default();
        self.walkers[walker].show(&mut wanted);
        wanted.req_id = walker as u8;
        memory.take(self.now, &wanted);
        self.walk_requested(walker);
        agenda.note(walker, self.walkers[walker].state());
        let read = cycle.walkers[walker] == WalkState::Read;
        Some((self.walkers[walker].owner(), read))
    }

    /// Counts the walkers that are busy now, in the cycles before `cycle`.
    #[inline]
    fn count_walks_before(&mut self, agenda: &mut Agenda, cycle: u64) {
        let cycles = cycle - agenda.walks_counted;
        agenda.walks_counted = cycle;
        let busy = agenda.present & !agenda.of(WalkState::Idle);
        if busy != 0 && cycles > 0 {
            self.count_walkers(cycles);
            if busy & (busy - 1) != 0 {
                self.statistics.walks.parallel_cycles += cycles;
            }
        }
    }

    /// The response that `port` has: it is transferred in this cycle.
    #[inline]
    pub(super) fn take_pushed(&mut self, agenda: &mut Agenda, port: usize) -> Option<Response> {
        let response = self.take_response(port)?;
        agenda.transfers[port] = self.now;
        Some(response)
    }
}
