//! Which ports wait for the walker, read off what a machine shows: so that a run can say how often the order of ports mattered.
//!
//! Contract: 7.2 (results of the STLB), 8.1 (the order), 9 (busy), 10 (monitor). SDM: none. Counterpart: none.

use super::stimulus::ControlKind;
use crate::model::mmu_pkg::{
    Inputs, LOOKUP_DENIED, LOOKUP_DIRTY_CLEAR, LOOKUP_MISS, MAX_PORTS, Outputs, WALK_BUS_ERROR,
    WALK_PAGE_FAULT, WALK_RESTART, WALK_START, WALK_TRANSLATED,
};

/// A miss on its way to the walker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Miss {
    /// None, or none that needs the walker.
    #[default]
    None,
    /// The result of the STLB says so, at the earliest in the cycle `due`.
    Result { due: u64, from_cr3: bool },
    /// It waits for the walker, or is walked.
    Waiting { from_cr3: bool },
}

impl Miss {
    const fn is_from_cr3(self) -> bool {
        matches!(
            self,
            Self::Result { from_cr3: true, .. } | Self::Waiting { from_cr3: true }
        )
    }
}

/// What the walker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Walker {
    #[default]
    Idle,
    /// It took one of the ports that waited; START says which.
    Took([bool; MAX_PORTS]),
    Walks,
}

/// A walk that began, and the ports that waited in the cycle in which the walker took it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Its port.
    pub port: usize,
    /// By port: it waited, that of the walk included.
    pub waited: [bool; MAX_PORTS],
}

impl Start {
    /// Another port waited too.
    pub fn is_contended(&self) -> bool {
        let others = self.waited.iter().enumerate();
        others
            .into_iter()
            .any(|(port, waited)| *waited && port != self.port)
    }

    /// A lower port waited too.
    pub fn is_out_of_port_order(&self) -> bool {
        self.waited[..self.port].contains(&true)
    }
}

/// Follows the misses of one machine.
#[derive(Debug, Clone, Default)]
pub struct Contention {
    stlb_hit_cycles: u64,
    misses: [Miss; MAX_PORTS],
    walker: Walker,
    /// An invalidation was accepted, and its answer does not show yet: control is busy.
    invalidates: bool,
}

impl Contention {
    /// For a machine whose STLB takes `stlb_hit_cycles` from look-up to result.
    pub fn new(stlb_hit_cycles: u64) -> Self {
        Self {
            stlb_hit_cycles,
            ..Self::default()
        }
    }

    /// Takes `cycle` into account; the walk that begins in it, if one does. Every cycle must come here.
    pub fn observe(&mut self, cycle: u64, inputs: &Inputs, outputs: &Outputs) -> Option<Start> {
        self.invalidates &= outputs.control.resp_valid == 0;
        let waited = self.misses.map(|miss| matches!(miss, Miss::Waiting { .. }));
        if self.walker == Walker::Idle && waited.contains(&true) {
            self.walker = Walker::Took(waited);
        }
        let (start, drops) = self.walk(outputs);
        // Register writes are not looked at: they wait until there is no miss.
        if !self.invalidates && !drops {
            for miss in &mut self.misses {
                if let Miss::Result { due, from_cr3 } = *miss
                    && due <= cycle
                {
                    *miss = Miss::Waiting { from_cr3 };
                }
            }
        }
        self.look_ups(cycle, outputs);
        if inputs.control.valid & outputs.control.ready != 0 {
            let op = inputs.control.op;
            self.invalidates = op == ControlKind::Invlpg as u8 || op == ControlKind::Invpcid as u8;
        }
        start
    }

    /// The walk that begins, and whether a drop performs.
    fn walk(&mut self, outputs: &Outputs) -> (Option<Start>, bool) {
        let (mut start, mut drops) = (None, false);
        for event in &outputs.monitor.walk {
            let port = usize::from(event.port).min(MAX_PORTS - 1);
            match event.op {
                WALK_START => {
                    drops |= self.misses[port].is_from_cr3();
                    self.misses[port] = Miss::None;
                    if let Walker::Took(waited) = self.walker {
                        start = Some(Start { port, waited });
                    }
                    self.walker = Walker::Walks;
                }
                WALK_RESTART => drops = true,
                WALK_TRANSLATED | WALK_PAGE_FAULT | WALK_BUS_ERROR => {
                    drops |= event.op == WALK_PAGE_FAULT;
                    self.walker = Walker::Idle;
                }
                _ => {}
            }
        }
        (start, drops)
    }

    fn look_ups(&mut self, cycle: u64, outputs: &Outputs) {
        let monitor = &outputs.monitor;
        for (miss, code) in self.misses.iter_mut().zip(monitor.lookup) {
            if matches!(code, LOOKUP_DENIED | LOOKUP_DIRTY_CLEAR) {
                let from_cr3 = code == LOOKUP_DENIED;
                *miss = Miss::Waiting { from_cr3 };
            }
        }
        let code = monitor.stlb_lookup;
        if matches!(code, LOOKUP_MISS | LOOKUP_DENIED | LOOKUP_DIRTY_CLEAR) {
            let port = usize::from(monitor.stlb_port).min(MAX_PORTS - 1);
            self.misses[port] = Miss::Result {
                due: cycle + self.stlb_hit_cycles,
                from_cr3: code == LOOKUP_DENIED,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::config::Config;
    use crate::cosim::comparators::Comparator;
    use crate::cosim::counters::Counters;
    use crate::cosim::generator::RandomStream;
    use crate::cosim::lockstep::{Checker, CheckerFinding, Lockstep, Options};
    use crate::cosim::stimulus::Store;
    use crate::model::Mmu;

    /// Contract 8.1 on every start: that the port is the first of those that waited, after the last one, needs them to be exactly known.
    struct Order {
        contention: Contention,
        last: usize,
        seen: [u64; 2],
        wrong: Vec<u64>,
    }

    impl Checker for Order {
        fn comparator(&self) -> Comparator {
            Comparator::Walks
        }

        fn observe(
            &mut self,
            cycle: u64,
            inputs: &Inputs,
            outputs: &Outputs,
            _: &[Store],
        ) -> Result<(), CheckerFinding> {
            let starts = outputs
                .monitor
                .walk
                .iter()
                .any(|walk| walk.op == WALK_START);
            let Some(start) = self.contention.observe(cycle, inputs, outputs) else {
                self.wrong.extend(starts.then_some(cycle));
                return Ok(());
            };
            let due = (1..=MAX_PORTS)
                .map(|step| (self.last + step) % MAX_PORTS)
                .find(|port| start.waited[*port]);
            self.wrong
                .extend((due != Some(start.port)).then_some(cycle));
            self.last = start.port;
            self.seen[0] += u64::from(start.is_contended());
            self.seen[1] += u64::from(start.is_out_of_port_order());
            Ok(())
        }

        fn count(&self, _: &mut Counters) {}
    }

    fn order(stlb_hit_cycles: u64) -> Order {
        let mut config = Config::default();
        config.stlb.hit_latency_cycles = 5;
        let mut order = Order {
            contention: Contention::new(stlb_hit_cycles),
            last: MAX_PORTS - 1,
            seen: [0; 2],
            wrong: Vec::new(),
        };
        let stream = RandomStream::new(&config, 3, 0, 30_000);
        let mmu = Mmu::new(&stream.config);
        let mut run = Lockstep::alone(
            &stream.config,
            &stream.setup,
            stream.generator,
            mmu,
            Options::default(),
        )
        .with_checker(Box::new(&mut order));
        let report = run.run(&mut |_| ControlFlow::Continue(()));
        assert!(report.finding.is_none());
        drop(run);
        order
    }

    #[test]
    fn who_waited_is_known_exactly() {
        let order = order(5);
        assert!(order.wrong.is_empty(), "{:?}", order.wrong);
        assert!(order.seen[0] > 20 && order.seen[1] > 5, "{:?}", order.seen);
    }

    #[test]
    fn with_another_latency_than_the_machine_s_it_is_not() {
        assert!(!order(7).wrong.is_empty());
    }
}
