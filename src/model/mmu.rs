//! The machine: its parts, the outputs of a cycle, what performs in it, and the jump over cycles in which nothing does.
//!
//! Contract: 1 (conventions), and the order of the sections after it. Counterpart: `rtl/mmu.sv`.
//!
//! [`Mmu::tick`] is the meaning. All decisions of a cycle are drawn from the state at its start (`Cycle`); then each block performs.
//! The order of the blocks does not matter beyond that, because the contract lets no two of them change the same thing in one cycle.

use crate::config::Config;

use super::alone::Recents;
use super::control::{Control, ControlState};
use super::mmu_pkg::{Inputs, MAX_PORTS, Outputs};
use super::port::{Port, Request};
use super::psc::PscCaches;
use super::spec::Spec;
use super::statistics::Statistics;
use super::stlb::{MissEntry, MissState};
use super::tlb::TlbArray;
use super::walker::{End, WalkState, Walker};

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
    /// ITLB, DTLB, STLB: each an array for every page size, some of them absent.
    pub(super) tlb: [[TlbArray; 3]; 3],
    pub(super) psc: PscCaches,
    pub(super) miss: [MissEntry; MAX_PORTS],
    pub(super) walker: Walker,
    pub(super) control: Control,
    pub(super) statistics: Statistics,
    pub(super) recent: Recents,
}

/// What is decided at the start of a cycle, from the state alone.
pub(super) struct Cycle {
    /// The state of each miss entry.
    pub miss: [MissState; MAX_PORTS],
    /// Control performs in PEND.
    pub control_performs: bool,
    /// Control is busy (contract 9).
    pub busy: bool,
    /// A drop performs (contract 8.5).
    pub drop: bool,
    /// The walker performs DONE.
    pub done: bool,
    /// The result of the STLB performs for this port (contract 7.2).
    pub result: [bool; MAX_PORTS],
    /// An array of this level is filled; drawn up for ITLB and DTLB only.
    pub fills_level: [bool; 2],
}

impl Mmu {
    /// A machine in the reset state. `config` must be valid.
    pub fn new(config: &Config) -> Self {
        let spec = Spec::new(config);
        let tlb = std::array::from_fn(|level| {
            crate::arch::PageSize::ALL
                .map(|size| TlbArray::new(size, spec.arrays[3 * level + size as usize]))
        });
        Self {
            now: 0,
            ports: std::array::from_fn(|_| Port::new()),
            tlb,
            psc: PscCaches::new(spec.psc_entries),
            miss: [MissEntry::FREE; MAX_PORTS],
            walker: Walker::new(spec.ports),
            control: Control::new(&spec.capabilities),
            statistics: Statistics::new(config),
            recent: Recents::NONE,
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
        let cycle = self.decide();
        self.recent.forget();
        let monitor = &mut outputs.monitor;
        self.look_up_first_levels(&cycle, monitor);
        self.look_up_stlb(&cycle, monitor);
        self.finish_stlb(&cycle, monitor);
        self.step_walker(&cycle, &inputs.memory, monitor);
        self.step_control(&cycle, monitor);
        self.transfer(inputs, outputs);
        if inputs.rst_n == 0 {
            self.reset();
        } else {
            self.now += 1;
            self.statistics.cycles += 1;
        }
    }

    /// Drives every output but the monitor, whose fields stay as they are: what the state shows in this cycle.
    ///
    /// In a cycle that [`Mmu::next_event`] declares quiet the monitor is 0, so that this, onto zeroed outputs, is all that
    /// [`Mmu::tick`] would show.
    pub fn show(&self, outputs: &mut Outputs) {
        let open = self.control.lets_requests_in();
        for port in 0..self.spec.ports {
            let shown = &mut outputs.ports[port];
            self.ports[port].show(open, self.spec.queue_entries, shown);
        }
        self.control.show(&mut outputs.control);
        let va = self.miss[self.walker.port()].request.va;
        self.walker.show(va, &mut outputs.memory);
    }

    /// Draws the decisions of this cycle from the state.
    pub(super) fn decide(&self) -> Cycle {
        let none_outstanding = self.ports.iter().all(|port| port.outstanding() == 0);
        let control_performs = self.control.performs(none_outstanding);
        let mut cycle = Cycle {
            miss: std::array::from_fn(|port| self.miss[port].state),
            control_performs,
            busy: control_performs || self.control.state() == ControlState::Sweep,
            drop: false,
            done: false,
            result: [false; MAX_PORTS],
            fills_level: [false; 2],
        };
        if cycle.busy {
            return cycle;
        }
        let walked = self.walker.port();
        match self.walker.state() {
            WalkState::Start => cycle.drop = self.miss[walked].from_cr3,
            WalkState::Done => {
                cycle.done = true;
                match self.walker.end() {
                    Some(End::PageFault(_)) => cycle.drop = true,
                    Some(End::Translated(size)) => {
                        let level = Spec::first_level(walked);
                        cycle.fills_level[level] = self.miss[walked].right_to_fill
                            && self.tlb[level][size as usize].is_present();
                    }
                    Some(End::BusError) | None => {}
                }
            }
            _ => {}
        }
        if !cycle.drop {
            for (port, entry) in self.miss.iter().enumerate() {
                if entry.result_is_due(self.now) {
                    cycle.result[port] = true;
                    let level = Spec::first_level(port);
                    cycle.fills_level[level] |= entry.result_fills()
                        && self.tlb[level][entry.found.size as usize].is_present();
                }
            }
        }
        cycle
    }

    /// The transfers of this cycle on all links but that to memory, which are the walker's.
    fn transfer(&mut self, inputs: &Inputs, outputs: &Outputs) {
        for port in 0..self.spec.ports {
            let (asked, shown) = (&inputs.ports[port], &outputs.ports[port]);
            if shown.resp_valid != 0
                && asked.resp_ready != 0
                && let Some(response) = self.ports[port].transfer()
            {
                self.statistics.count_response(&response);
            }
            if asked.req_valid != 0 && shown.req_ready != 0 {
                let hit_cycles = self.spec.hit_cycles[Spec::first_level(port)];
                self.ports[port].accept(Request::captured(asked), self.now, hit_cycles);
                self.statistics.requests += 1;
            }
        }
        if outputs.control.resp_valid != 0 && inputs.control.resp_ready != 0 {
            let general_protection = self.control.transfer();
            self.statistics.count_control(general_protection);
        }
        if inputs.control.valid != 0 && outputs.control.ready != 0 {
            self.control.accept(&inputs.control);
        }
    }

    /// The reset state, in place.
    fn reset(&mut self) {
        self.now = 0;
        self.ports = std::array::from_fn(|_| Port::new());
        for array in self.tlb.iter_mut().flatten() {
            array.reset();
        }
        self.psc.reset();
        self.miss = [MissEntry::FREE; MAX_PORTS];
        self.walker = Walker::new(self.spec.ports);
        self.control = Control::new(&self.spec.capabilities);
        self.statistics.reset();
        self.recent.forget();
    }

    /// The number of cycles, this one included, in which nothing can change without input; `None`: nothing ever will.
    ///
    /// In those cycles, as long as no link transfers, the outputs stay as [`Mmu::show`] drives them and the monitor is 0. 0 means
    /// that this cycle must be ticked.
    pub fn next_event(&self) -> Option<u64> {
        if self.control.in_reset_sweep() {
            return Some(self.spec.sweep_cycles - 1 - self.control.row());
        }
        let none_outstanding = self.ports.iter().all(|port| port.outstanding() == 0);
        let control_acts =
            self.control.state() == ControlState::Sweep || self.control.performs(none_outstanding);
        let walker_acts = match self.walker.state() {
            WalkState::Start | WalkState::Examine | WalkState::Done => true,
            WalkState::Idle => self
                .miss
                .iter()
                .any(|entry| entry.state == MissState::WalkWait),
            WalkState::Read | WalkState::ReadWait | WalkState::Cas | WalkState::CasWait => false,
        };
        if control_acts || walker_acts {
            return Some(0);
        }
        let next_of_port = |port: usize| match self.miss[port].state {
            MissState::Free => self.ports[port].look_up_from(),
            MissState::StlbWait => Some(self.now),
            MissState::StlbBusy => Some(self.miss[port].result_from),
            MissState::WalkWait | MissState::Walking => None,
        };
        (0..self.spec.ports)
            .filter_map(next_of_port)
            .min()
            .map(|at| at.saturating_sub(self.now))
    }

    /// Passes over `cycles` cycles without a transfer on any link, at most as many as [`Mmu::next_event`] declares quiet.
    pub fn skip(&mut self, cycles: u64) {
        debug_assert!(self.next_event().is_none_or(|quiet| cycles <= quiet));
        if self.control.in_reset_sweep() {
            self.control.skip_rows(cycles);
        }
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

    /// Whether nothing is in flight: no request outstanding, control idle, the reset sweep over.
    #[inline]
    pub fn is_at_rest(&self) -> bool {
        self.control.state() == ControlState::Idle
            && self.ports.iter().all(|port| port.outstanding() == 0)
    }
}
