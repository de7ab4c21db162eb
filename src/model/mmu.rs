//! The machine: its parts, the outputs of a cycle, what performs in it, and the jump over cycles in which nothing does.
//!
//! Contract: 1 (conventions), and the order of the sections after it. Counterpart: `rtl/mmu.sv`.
//!
//! [`Mmu::tick`] is the meaning. All decisions of a cycle are drawn from the state at its start (`Cycle`); then each block performs.
//! The order of the blocks does not matter beyond that, because the contract lets no two of them change the same thing in one cycle.

use crate::config::Config;

use super::commit::Commit;
use super::control::{Control, ControlState};
use super::cyclic::Cyclic;
use super::memory_port::MemoryPort;
use super::miss_queue::{Entries, MissQueue, MissState};
use super::mmu_pkg::{
    Inputs, MAX_PORTS, MAX_WALKERS, MemoryIn, Outputs, PREFETCH_ENTRY, TLB_ARRAYS,
};
use super::monitor::Sink;
use super::performance_counters::PerformanceCounters;
use super::places::AllPlaces;
use super::port::{Port, Request, Response};
use super::prefetch::{Prefetch, PrefetchState};
use super::psc::PscCaches;
use super::recents::Recents;
use super::spec::Spec;
use super::statistics::Statistics;
use super::tlb::{TlbArray, TlbEntry};
use super::walker::{WalkState, WalkStates, Walker};

/// The cycle model of the machine.
///
/// Two machines are equal if they have the same parameters and the same state, statistics included: they then answer every future
/// input alike.
#[derive(Clone, PartialEq, Debug)]
pub struct Mmu {
    pub(super) spec: Spec,
    /// The number of this cycle; 0 is the first out of reset.
    pub(super) now: u64,
    pub(super) ports: [Port; MAX_PORTS],
    /// The arrays, by the contract's numbers, some of them absent.
    pub(super) tlb: [TlbArray; TLB_ARRAYS],
    /// Where pages stand in them in the mode.
    pub(super) places: AllPlaces,
    pub(super) psc: PscCaches,
    pub(super) miss_queue: MissQueue,
    /// Those that the machine does not have stay idle.
    pub(super) walkers: [Walker; MAX_WALKERS],
    /// Walkers, and behind them the results of the STLB, as they commit (contract 7.4).
    pub(super) commit_order: Cyclic,
    pub(super) memory_port: MemoryPort,
    pub(super) prefetch: Prefetch,
    /// What left the STLB and is yet to leave the first level (contract 7.6).
    pub(super) evicted: Option<TlbEntry>,
    pub(super) control: Control,
    pub(super) statistics: Statistics,
    pub(super) counters: PerformanceCounters,
    pub(super) recent: Recents,
    /// Every level keeps 4 KiB pages alone, in one array.
    pub(super) is_simple: bool,
    /// By first level: a hit of what was filled last changes nothing.
    pub(super) hits_as_filled: [bool; 2],
}

/// What is decided at the start of a cycle, from the state alone.
pub(super) struct Cycle {
    /// The states of the entries of the miss queue.
    pub entries: Entries,
    /// The states of the walkers.
    pub walkers: WalkStates,
    pub prefetch: Prefetch,
    /// Control performs in PEND.
    pub control_performs: bool,
    /// Control is busy (contract 9).
    pub busy: bool,
    /// The back-invalidation of an inclusive STLB performs (contract 7.6).
    pub back_invalidates: bool,
    /// What commits (contract 7.4).
    pub commit: Option<Commit>,
    /// A drop performs (contract 8.5).
    pub drop: bool,
    /// DONE of a walker commits.
    pub done: bool,
    /// What commits pushes a response to this port.
    pub pushes_to: Option<usize>,
    /// An array of this level is filled; drawn up for ITLB and DTLB only.
    pub fills_level: [bool; 2],
    /// A bit for the entry of the miss queue that becomes FREE by what commits.
    pub freed: u32,
    /// This walker takes this entry of the miss queue, or [`PREFETCH_ENTRY`].
    pub grant: Option<(usize, usize)>,
    /// The walker whose request the memory port shows.
    pub shown: Option<usize>,
    /// Pages that are hit may be remembered, and those that are need not be looked up.
    pub remembers: bool,
}

impl Cycle {
    /// Nothing performs.
    pub const QUIET: Self = Self {
        entries: Entries::NONE,
        walkers: WalkStates::IDLE,
        prefetch: Prefetch::FREE,
        control_performs: false,
        busy: false,
        back_invalidates: false,
        commit: None,
        drop: false,
        done: false,
        pushes_to: None,
        fills_level: [false; 2],
        freed: 0,
        grant: None,
        shown: None,
        remembers: false,
    };

    /// Whether the STLB must not be looked up because of a DONE or a drop.
    #[inline]
    pub const fn stlb_is_held_up(&self) -> bool {
        self.done || self.drop
    }
}

impl Mmu {
    /// A machine in the reset state. `config` must be valid.
    pub fn new(config: &Config) -> Self {
        let spec = Spec::new(config);
        let control = Control::new(&spec.capabilities);
        Self {
            now: 0,
            ports: std::array::from_fn(|_| Port::new()),
            tlb: spec
                .arrays
                .map(|array| TlbArray::new(array, spec.fractures)),
            places: AllPlaces::new(&spec.arrays, control.mode()),
            psc: PscCaches::new(&spec.psc),
            miss_queue: MissQueue::new(spec.miss_queue_entries),
            walkers: [Walker::IDLE; MAX_WALKERS],
            commit_order: Cyclic::new(spec.walkers + 1),
            memory_port: MemoryPort::new(spec.walkers),
            prefetch: Prefetch::FREE,
            evicted: None,
            control,
            statistics: Statistics::new(config),
            counters: PerformanceCounters::ZERO,
            recent: Recents::new(&spec.arrays),
            is_simple: spec.is_simple(),
            hits_as_filled: spec.hits_as_filled(),
            spec,
        }
    }

    /// One cycle: the outputs that the state at its start shows, then the rising edge that ends it.
    ///
    /// All of `outputs` is written. With `rst_n` = 0 the edge leads into the reset state, statistics included.
    pub fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        *outputs = Outputs::ZERO;
        self.show(outputs);
        if inputs.rst_n == 0 && self.now == 0 {
            return;
        }
        self.recent.forget();
        self.perform(&inputs.memory, &mut outputs.monitor);
        self.transfer(inputs, outputs);
        if inputs.rst_n == 0 {
            self.reset();
        } else {
            self.end_cycle();
        }
    }

    /// Everything that performs in this cycle but the transfers of requests, responses and control operations, given what memory drives.
    #[inline]
    pub(super) fn perform(&mut self, memory: &MemoryIn, sink: &mut impl Sink) {
        let cycle = self.decide();
        self.count_state(1);
        self.look_up_first_levels(&cycle, sink);
        self.look_up_stlb(&cycle, sink);
        self.step_probe(&cycle, sink);
        self.step_inclusion(&cycle, sink);
        self.perform_commit(&cycle, sink);
        self.grant_walker(&cycle);
        self.step_walkers(&cycle, memory);
        self.step_control(&cycle, sink);
    }

    /// Counts what is counted by what the state is, for that many cycles in which it stays so.
    #[inline]
    fn count_state(&mut self, cycles: u64) {
        let full = !self.miss_queue.states().any(MissState::Free);
        let probing = self.prefetch.state() == PrefetchState::Probe;
        let walking = self
            .walkers
            .iter()
            .filter(|walker| walker.state() != WalkState::Idle);
        let walking = walking.count();
        if walking > 0 {
            self.count_walkers(cycles);
        }
        self.statistics
            .count_state(cycles, full, probing, walking >= 2);
    }

    /// Drives every output but the monitor of what performs, whose fields stay as they are: what the state shows in this cycle.
    ///
    /// In a cycle that [`Mmu::next_event`] declares quiet nothing performs, so that this, onto zeroed outputs, is all that
    /// [`Mmu::tick`] would show; in those after it, with [`Mmu::show_later`].
    pub fn show(&self, outputs: &mut Outputs) {
        let open = self.control.lets_requests_in();
        for port in 0..self.spec.ports {
            let shown = &mut outputs.ports[port];
            self.ports[port].show(open, self.spec.queue_entries, shown);
        }
        self.control.show(&mut outputs.control);
        outputs.memory.resp_ready = 1;
        if let Some(walker) = self.shown_walker() {
            self.walkers[walker].show(&mut outputs.memory);
            outputs.memory.req_id = walker as u8;
        }
        self.miss_queue.show(&mut outputs.queues);
        for (word, walker) in outputs.queues.walker.iter_mut().zip(&self.walkers) {
            *word = walker.word();
        }
        self.prefetch.show(&mut outputs.queues);
        outputs.perf = *self.counters.values();
    }

    /// The walker whose request the memory port shows.
    #[inline]
    pub(super) fn shown_walker(&self) -> Option<usize> {
        self.memory_port.shown(self.walk_states().wanting())
    }

    /// The states of the walkers; those that the machine does not have are idle.
    pub(super) fn walk_states(&self) -> WalkStates {
        let mut states = WalkStates::IDLE;
        for (number, walker) in self.walkers.iter().enumerate() {
            states.set(number, walker.state());
        }
        states
    }

    /// The walkers that the machine has, a bit each.
    #[inline]
    pub(super) const fn present_walkers(&self) -> u32 {
        (1 << self.spec.walkers) - 1
    }

    /// Draws the decisions of this cycle from the state.
    pub(super) fn decide(&self) -> Cycle {
        let control_performs = self.control.performs(self.none_outstanding());
        let mut cycle = Cycle {
            entries: self.miss_queue.states().now(),
            walkers: self.walk_states(),
            prefetch: self.prefetch,
            control_performs,
            busy: control_performs || self.control.state() == ControlState::Sweep,
            shown: self.shown_walker(),
            ..Cycle::QUIET
        };
        cycle.back_invalidates = !cycle.busy && self.evicted.is_some();
        if !cycle.busy && !cycle.back_invalidates {
            cycle.commit = self.decide_commit(cycle.walkers);
            self.decide_effects(&mut cycle);
        }
        cycle.grant = self.decide_grant(&cycle);
        cycle
    }

    /// Contract 8.1 and 8.6: the walker that is granted, and what it takes.
    pub(super) fn decide_grant(&self, cycle: &Cycle) -> Option<(usize, usize)> {
        let waiting = cycle.entries.walk_wait;
        let prefetch = cycle.prefetch.state() == PrefetchState::WalkWait;
        if waiting == 0 && !(prefetch && !cycle.busy && !cycle.drop) {
            return None;
        }
        let idle = cycle.walkers.of(WalkState::Idle) & self.present_walkers();
        if idle == 0 {
            return None;
        }
        let walker = idle.trailing_zeros() as usize;
        let order = self.spec.walker_order;
        let entry = self.miss_queue.next_to_walk(waiting, order);
        Some((walker, entry.unwrap_or(usize::from(PREFETCH_ENTRY))))
    }

    #[inline]
    fn none_outstanding(&self) -> bool {
        self.ports.iter().all(|port| port.outstanding() == 0)
    }

    /// The transfers of this cycle on all links but that to memory, which are the walker's.
    fn transfer(&mut self, inputs: &Inputs, outputs: &Outputs) {
        for port in 0..self.spec.ports {
            let (asked, shown) = (&inputs.ports[port], &outputs.ports[port]);
            if shown.resp_valid != 0 && asked.resp_ready != 0 {
                self.take_response(port);
            }
            if asked.req_valid != 0 && shown.req_ready != 0 {
                self.accept(port, Request::captured(asked));
            }
        }
        if outputs.control.resp_valid != 0 && inputs.control.resp_ready != 0 {
            self.answer_control();
        }
        if inputs.control.valid != 0 && outputs.control.ready != 0 {
            self.control.accept(&inputs.control);
        }
    }

    /// Whether `port` is ready for a request.
    #[inline]
    pub(super) const fn accepts(&self, port: usize) -> bool {
        self.control.lets_requests_in() && self.ports[port].outstanding() < self.spec.queue_entries
    }

    /// A request is transferred.
    #[inline]
    pub(super) fn accept(&mut self, port: usize, mut request: Request) {
        self.cut(&mut request);
        self.accept_in(self.now, port, request);
    }

    /// The same in `cycle`, of a request in the form in which it is taken.
    #[inline]
    pub(super) fn accept_in(&mut self, cycle: u64, port: usize, request: Request) {
        let hit_cycles = self.spec.hit_cycles[Spec::first_level(port)];
        self.ports[port].accept(request, cycle, hit_cycles);
        self.statistics.requests += 1;
    }

    /// What becomes of a request when it is accepted: the mode may take a part of its address for the whole (contract 1.5). No register is
    /// written while a request is outstanding, so that the mode stays the same until it is answered.
    #[inline]
    pub(super) const fn cut(&self, request: &mut Request) {
        request.va &= self.control.address_mask();
    }

    /// The oldest response of `port`, if it has one, is transferred.
    #[inline]
    pub(super) fn take_response(&mut self, port: usize) -> Option<Response> {
        let response = self.ports[port].transfer()?;
        self.statistics.count_response(&response);
        Some(response)
    }

    /// A response that was taken is yet to be transferred.
    pub(super) fn put_back(&mut self, port: usize, response: Response) {
        self.statistics.take_back_response(&response);
        self.ports[port].resume_response(response);
    }

    /// A request is accepted that is going to hit at `level`, and to be answered, when its time comes: that is counted now.
    #[inline]
    pub(super) fn pass_hit(&mut self, level: usize, code: u8, response: &Response) {
        self.statistics.requests += 1;
        self.statistics.count_look_up(level, code, false);
        self.statistics.count_response(response);
    }

    /// A request that was passed so, and accepted in cycle `accepted_at`, is yet to be looked up, before those that wait at `port`.
    pub(super) fn put_back_hit(
        &mut self,
        port: usize,
        request: &Request,
        accepted_at: u64,
        code: u8,
        response: &Response,
    ) {
        let level = Spec::first_level(port);
        self.statistics.take_back_response(response);
        self.statistics.take_back_hit(level, code);
        self.ports[port].resume_request(*request, accepted_at, self.spec.hit_cycles[level]);
    }

    /// Whether a request that `port` accepts is looked up when its time comes, if nothing else acts until then.
    #[inline]
    pub(super) const fn looks_up_in_time(&self, port: usize) -> bool {
        !self.miss_queue.owed() && !self.ports[port].has_waiting()
    }

    /// The answer to a control operation is transferred: whether it was #GP.
    pub(super) fn answer_control(&mut self) -> bool {
        let general_protection = self.control.transfer();
        self.statistics.count_control(general_protection);
        general_protection
    }

    /// The edge at the end of a cycle.
    #[inline]
    pub(super) const fn end_cycle(&mut self) {
        self.now += 1;
        self.statistics.cycles += 1;
    }

    /// Whether no entry of the miss queue is taken.
    #[inline]
    pub(super) const fn has_no_miss(&self) -> bool {
        let free = self.miss_queue.states().of(MissState::Free);
        free.count_ones() as usize == self.spec.miss_queue_entries
    }

    /// Whether nothing is in flight but requests that are going to hit in the first level, each in its time.
    pub(super) fn has_only_hits(&self) -> bool {
        self.has_no_miss()
            && self.evicted.is_none()
            && self.control.state() == ControlState::Idle
            && self.prefetch.state() == PrefetchState::Free
            && (0..self.spec.ports).all(|port| self.port_has_only_hits(port))
    }

    /// The reset state, in place.
    fn reset(&mut self) {
        self.now = 0;
        self.ports = std::array::from_fn(|_| Port::new());
        for array in &mut self.tlb {
            array.reset();
        }
        self.psc.reset();
        self.miss_queue = MissQueue::new(self.spec.miss_queue_entries);
        self.walkers = [Walker::IDLE; MAX_WALKERS];
        self.commit_order = Cyclic::new(self.spec.walkers + 1);
        self.memory_port = MemoryPort::new(self.spec.walkers);
        self.prefetch = Prefetch::FREE;
        self.evicted = None;
        self.control = Control::new(&self.spec.capabilities);
        self.enter_mode();
        self.statistics.reset();
        self.counters = PerformanceCounters::ZERO;
        self.recent.forget();
    }

    /// The number of cycles, this one included, in which nothing can change without input; `None`: nothing ever will.
    ///
    /// In those cycles, as long as no link transfers, the outputs stay as [`Mmu::show`] drives them, but for the counters of walks, which go
    /// on ([`Mmu::show_later`]), and the monitor is 0. 0 means
    /// that this cycle must be ticked.
    pub fn next_event(&self) -> Option<u64> {
        if self.control.in_reset_sweep() {
            return Some(self.spec.sweep_cycles - 1 - self.control.row());
        }
        let acts = self.control_acts() || self.walkers_act() || self.miss_queue_acts();
        if acts || self.evicted.is_some() {
            return Some(0);
        }
        let result = self.miss_queue.oldest_result();
        let mut next = result.map(|number| self.miss_queue.entry(number).result_from);
        // To refuse while a port is owed its turn changes nothing: that port, too, is refused until an entry becomes FREE.
        let full = !self.miss_queue.states().any(MissState::Free);
        let idle = full && self.miss_queue.owed();
        for port in 0..self.spec.ports {
            let Some(from) = self.ports[port].look_up_from() else {
                continue;
            };
            if !(idle && self.would_be_refused(port)) {
                next = Some(next.map_or(from, |at| at.min(from)));
            }
        }
        next.map(|at| at.saturating_sub(self.now))
    }

    /// Whether control performs or sweeps in this cycle.
    fn control_acts(&self) -> bool {
        self.control.state() == ControlState::Sweep
            || self.control.performs(self.none_outstanding())
    }

    /// Whether in this cycle a walker does anything but wait for memory, or is taken.
    fn walkers_act(&self) -> bool {
        let waited_for = self.miss_queue.states().any(MissState::WalkWait)
            || self.prefetch.state() == PrefetchState::WalkWait;
        self.walkers[..self.spec.walkers]
            .iter()
            .any(|walker| match walker.state() {
                WalkState::Idle => waited_for,
                WalkState::Start | WalkState::Examine | WalkState::Done => true,
                WalkState::Read | WalkState::ReadWait | WalkState::Cas | WalkState::CasWait => {
                    false
                }
            })
    }

    /// Whether a request waits for a look-up in the STLB, or for one more in the first level, or the prefetch for its probe. If it has to
    /// wait for another in this cycle, then that one acts.
    fn miss_queue_acts(&self) -> bool {
        let states = self.miss_queue.states();
        states.any(MissState::StlbWait)
            || states.any(MissState::Retry)
            || self.prefetch.state() == PrefetchState::Probe
    }

    /// Passes over `cycles` cycles without a transfer on any link, at most as many as [`Mmu::next_event`] declares quiet.
    pub fn skip(&mut self, cycles: u64) {
        debug_assert!(self.next_event().is_none_or(|quiet| cycles <= quiet));
        if cycles == 0 {
            return;
        }
        if self.control.in_reset_sweep() {
            self.control.skip_rows(cycles);
        }
        // A request that is shown in a quiet cycle is not transferred.
        let shown = self.shown_walker();
        self.memory_port.hold(shown);
        self.count_state(cycles);
        self.now += cycles;
        self.statistics.cycles += cycles;
    }

    /// The number of this cycle; 0 is the first out of reset.
    #[inline]
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// What was counted since reset.
    #[inline]
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Whether nothing is in flight: no request outstanding, no prefetch, no back-invalidation, control idle, the reset sweep over.
    #[inline]
    pub fn is_at_rest(&self) -> bool {
        self.control.state() == ControlState::Idle
            && self.none_outstanding()
            && self.prefetch.state() == PrefetchState::Free
            && self.evicted.is_none()
    }
}
