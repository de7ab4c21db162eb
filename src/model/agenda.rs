//! Which units act in a cycle, and which cycle is the next in which one does.
//!
//! Contract: 5 to 8, in the order of [`Mmu::perform`], which is the meaning. Counterpart: none; in the RTL all units are there in every cycle.
//!
//! While control is idle, every unit tells from the state when it acts next. A cycle then costs what its acts cost, and one without acts
//! nothing. What is counted by what the state is, is counted when the state changes, for all the cycles in which it stayed.

use super::commit::Commit;
use super::memory::Memory;
use super::miss_queue::{MissState, numbers};
use super::mmu::{Cycle, Mmu};
use super::mmu_pkg::MemoryOut;
use super::monitor::Sink;
use super::prefetch::PrefetchState;
use super::spec::Spec;
use super::walker::{WalkState, WalkStates};

/// What is known of the machine besides its state, from the cycle on in which it was drawn up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agenda {
    walkers: WalkStates,
    /// The first cycle of which the busy walkers are not counted.
    walks_counted: u64,
    /// The first cycle with the entries of the miss queue free that are free now.
    free_since: u64,
}

impl Agenda {
    /// Of a machine that is not under an agenda yet.
    pub const NONE: Self = Self {
        walkers: WalkStates::IDLE,
        walks_counted: 0,
        free_since: 0,
    };
}

impl Mmu {
    /// Draws up an agenda from this cycle on. Control must be idle; responses are taken from now on as they are pushed.
    pub(super) fn agenda(&mut self) -> Agenda {
        self.recent.forget();
        Agenda {
            walkers: self.walk_states(),
            walks_counted: self.now,
            free_since: self.now,
        }
    }

    /// The figures of all cycles before this one. Responses that are transferred in it are the caller's to put
    /// back.
    pub(super) fn close(&mut self, agenda: &mut Agenda) {
        self.count_walks_before(agenda, self.now);
        if self.now > agenda.free_since {
            let full = !self.miss_queue.states().any(MissState::Free);
            self.statistics.count_full(full);
        }
        self.statistics.cycles = self.now;
    }

    /// The first cycle from this one on in which a unit acts other than to look up what was accepted, `u64::MAX`: none ever does; and
    /// whether nothing acts then but walkers in READ to CAS_WAIT.
    #[inline]
    pub(super) fn next_act(&self, agenda: &Agenda, memory: &Memory) -> (u64, bool) {
        let states = self.miss_queue.states();
        let walkers = agenda.walkers;
        let prefetch = self.prefetch.state();
        let waits = states.of(MissState::WalkWait) != 0 || prefetch == PrefetchState::WalkWait;
        if walkers.committing() != 0
            || states.of(MissState::StlbWait) | states.of(MissState::Retry) != 0
            || waits && walkers.of(WalkState::Idle) & self.present_walkers() != 0
            || prefetch == PrefetchState::Probe
            || self.evicted.is_some()
        {
            return (self.now, false);
        }
        let wanting = walkers.wanting();
        let mut walks = memory.next_event().unwrap_or(u64::MAX);
        if walkers.of(WalkState::Examine) != 0 || wanting != 0 && !self.memory_port.holds() {
            walks = self.now;
        } else if wanting != 0 {
            walks = walks.min(memory.next_accept());
        }
        let walks = walks.max(self.now);
        let Some(result) = self.miss_queue.oldest_result() else {
            return (walks, true);
        };
        let commits = self.miss_queue.entry(result).result_from.max(self.now);
        (walks.min(commits), walks < commits)
    }

    /// The walkers in READ to CAS_WAIT act in this cycle, and nothing else; then it is the next. An access that memory accepts: the owner of
    /// the walker, and whether it is a read.
    #[inline]
    pub(super) fn act_on_walks(
        &mut self,
        agenda: &mut Agenda,
        memory: &mut Memory,
    ) -> Option<(usize, bool)> {
        let walkers = agenda.walkers;
        let shown = self.memory_port.shown(walkers.wanting());
        let prefetch_right = self.prefetch.right_to_fill();
        let accessed = self.walk_by(agenda, walkers, shown, prefetch_right, memory);
        self.now += 1;
        accessed
    }

    /// The first cycle from this one on in which a request may be looked up that is the oldest of its port; `u64::MAX`: none is there.
    #[inline]
    pub(super) fn next_look_up(&self) -> u64 {
        // To refuse while a port is owed its turn changes nothing: that port, too, is refused until an entry becomes FREE.
        let idle = self.miss_queue.owed() && !self.miss_queue.states().any(MissState::Free);
        let mut next = u64::MAX;
        for port in 0..self.spec.ports {
            if let Some(from) = self.ports[port].look_up_from() {
                let waits = idle && self.would_be_refused(port);
                next = next.min(if waits { u64::MAX } else { from });
            }
        }
        next.max(self.now)
    }

    /// In this cycle no unit acts but to look up what was accepted. If that is to pages that were hit last, it is done, and this is the next
    /// cycle.
    #[inline]
    pub(super) fn look_up_known(&mut self, sink: &mut impl Sink) -> bool {
        if self.miss_queue.owed() {
            return false;
        }
        let mut due = 0;
        for port in 0..self.spec.ports {
            if let Some(request) = self.ports[port].due(self.now) {
                if !self.recent.knows(Spec::first_level(port), request) {
                    return false;
                }
                due |= 1 << port;
            }
        }
        for port in numbers(due) {
            if let Some(request) = self.ports[port].due(self.now)
                && let Some((code, response)) = self.recent.hit(Spec::first_level(port), request)
            {
                self.answer_oldest(port, code, response, sink);
            }
        }
        self.now += 1;
        true
    }

    /// What acts in this cycle, acts; then it is the next. `looks_up`: a request may be looked up that is the oldest of its port. An access that memory accepts: the owner of the walker, and whether it is a read.
    #[inline]
    pub(super) fn act(
        &mut self,
        agenda: &mut Agenda,
        memory: &mut Memory,
        looks_up: bool,
        sink: &mut impl Sink,
    ) -> Option<(usize, bool)> {
        let mut cycle = Cycle::QUIET;
        self.decide_by(agenda, &mut cycle);
        if cycle.done || cycle.grant.is_some() {
            self.count_walks_before(agenda, self.now + 1);
        }
        let prefetch_right = cycle.prefetch.right_to_fill();
        if cycle.prefetch.state() == PrefetchState::Probe {
            self.statistics.cycles = self.now;
            self.statistics.count_probing(1);
        }
        if cycle.entries.retry != 0 || looks_up {
            self.look_up_first_levels(&cycle, sink);
        }
        if cycle.entries.stlb_wait != 0 {
            self.look_up_stlb(&cycle, sink);
            debug_assert!(!self.miss_queue.passed_over || cycle.stlb_is_held_up());
        }
        self.step_probe(&cycle, sink);
        self.step_inclusion(&cycle, sink);
        if let Some(commit) = cycle.commit {
            self.perform_commit(&cycle, sink);
            if let Commit::Start(walker) | Commit::Done(walker) = commit {
                agenda.walkers.set(walker, self.walkers[walker].state());
            }
        }
        if let Some((walker, _)) = cycle.grant {
            self.grant_walker(&cycle);
            agenda.walkers.set(walker, WalkState::Start);
        }
        let accessed = self.walk_by(agenda, cycle.walkers, cycle.shown, prefetch_right, memory);
        let free = cycle.entries.free;
        if self.miss_queue.states().of(MissState::Free) != free {
            self.statistics.count_full(free == 0);
            agenda.free_since = self.now + 1;
        }
        self.now += 1;
        accessed
    }

    /// Draws the decisions of this cycle from the state, as [`Mmu::decide`].
    #[inline]
    fn decide_by(&self, agenda: &Agenda, cycle: &mut Cycle) {
        // Field by field: copies of what was written in parts a moment ago would have to wait for the parts.
        cycle.entries = self.miss_queue.states().now();
        cycle.walkers = agenda.walkers;
        if self.prefetch.state() != PrefetchState::Free {
            cycle.prefetch = self.prefetch;
        }
        cycle.back_invalidates = self.evicted.is_some();
        cycle.shown = self.memory_port.shown(agenda.walkers.wanting());
        cycle.remembers = true;
        let commits =
            agenda.walkers.committing() != 0 || self.miss_queue.states().any(MissState::StlbBusy);
        if commits && !cycle.back_invalidates {
            cycle.commit = self.decide_commit(cycle.walkers);
            self.decide_effects(cycle);
        }
        cycle.grant = self.decide_grant(cycle);
    }

    /// Contract 8.3 and 8.4, as [`Mmu::step_walkers`].
    #[inline]
    fn walk_by(
        &mut self,
        agenda: &mut Agenda,
        walkers: WalkStates,
        shown: Option<usize>,
        prefetch_right: bool,
        memory: &mut Memory,
    ) -> Option<(usize, bool)> {
        let ready = shown.is_some() && memory.accepts_in(self.now);
        if let Some((walker, data, error)) = memory.respond(self.now) {
            self.walk_answered(walker, data, error);
            agenda.walkers.set(walker, WalkState::Examine);
        }
        for number in numbers(walkers.of(WalkState::Examine)) {
            self.examine(number, prefetch_right);
            agenda.walkers.set(number, self.walkers[number].state());
        }
        let Some(walker) = shown else {
            self.memory_port.hold(None);
            return None;
        };
        if !ready {
            self.memory_port.hold(shown);
            return None;
        }
        let mut wanted = MemoryOut::default();
        self.walkers[walker].show(&mut wanted);
        wanted.req_id = walker as u8;
        memory.take(self.now, &wanted);
        self.walk_requested(walker);
        agenda.walkers.set(walker, self.walkers[walker].state());
        let read = walkers.of(WalkState::Read) >> walker & 1 != 0;
        if read && self.walkers[walker].reads_leaf() {
            // For those that look ahead.
            memory.look_at_leaf(self.walkers[walker].va, wanted.req_addr);
        }
        Some((self.walkers[walker].owner(), read))
    }

    /// Counts the walkers that are busy now, in the cycles before `cycle`.
    #[inline]
    fn count_walks_before(&mut self, agenda: &mut Agenda, cycle: u64) {
        let cycles = cycle - agenda.walks_counted;
        agenda.walks_counted = cycle;
        let busy = self.present_walkers() & !agenda.walkers.of(WalkState::Idle);
        if busy != 0 && cycles > 0 {
            self.count_walkers(cycles);
            if busy & (busy - 1) != 0 {
                self.statistics.walks.parallel_cycles += cycles;
            }
        }
    }
}
