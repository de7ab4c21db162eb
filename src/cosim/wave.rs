//! One wave of the failing window of a replay, and not of the hours before it: the RTL's signals, and beside them the model's.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! The model is stepped before the RTL; [`Model::watch`] keeps what it shows for [`WithWave`], which looks at what the RTL shows,
//! hands both to the wave ([`beside`]) and only then ticks.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use super::comparators::differences;
use super::events::{ArrayNames, EventLog};
use super::lockstep::Options;
use super::rtl::{Rtl, RtlError};
use super::stimulus::Store;
use super::twin::Twin;
use super::watched::{EventLine, Watched};
use crate::config::Config;
use crate::model::mmu_pkg::{Inputs, Outputs};

pub mod beside;
pub mod save;

use beside::Beside;

/// Cycles before the cycle of interest that a wave shows.
pub const WINDOW_CYCLES: u64 = 500;

/// What the model shows in the cycle that the RTL is ticked in next.
#[derive(Debug, Default)]
struct Shown {
    outputs: Outputs,
    event: String,
}

/// The model's part of a wave.
#[derive(Debug, Clone, Default)]
pub struct Model(Rc<RefCell<Shown>>);

impl Model {
    /// `model`, a twin of a machine of `config` that is stepped before the one with the wave.
    pub fn watch<T: Twin>(&self, model: T, config: &Config) -> impl Twin + use<T> {
        let shown = Rc::clone(&self.0);
        let mut events = EventLine::new(EventLog::new(ArrayNames::new(config)));
        Watched::new(
            model,
            move |cycle, inputs: &Inputs, outputs: &Outputs, stores: &[Store]| {
                let mut shown = shown.borrow_mut();
                shown.outputs = *outputs;
                shown.event.clear();
                shown
                    .event
                    .push_str(events.of(cycle, inputs, outputs, stores));
            },
        )
    }
}

/// Which wave to write.
#[derive(Debug)]
pub struct Plan {
    /// Its file.
    pub path: PathBuf,
    /// The first cycle that it shows.
    pub first_cycle: u64,
    /// The model beside it; without, its signals are 0.
    pub model: Option<Model>,
    /// Which outputs are compared: the groups, and the comparators that are not silenced.
    pub options: Options,
}

/// What is left of a wave when its run is over.
#[derive(Debug, Default)]
pub struct Written {
    /// Why it could not be written, if it could not.
    pub trouble: Option<RtlError>,
    /// The first cycle in which outputs differ, and the names of those that do.
    pub differing: Option<(u64, Vec<String>)>,
}

/// An RTL machine that opens its wave when its cycle comes.
#[derive(Debug)]
pub struct WithWave<'a> {
    rtl: Rtl,
    plan: Plan,
    opened: bool,
    events: EventLine,
    stores: Vec<Store>,
    written: &'a mut Written,
}

impl<'a> WithWave<'a> {
    /// `rtl`, a machine of `config` in reset. What became of the wave is left in `written`.
    pub fn new(rtl: Rtl, config: &Config, plan: Plan, written: &'a mut Written) -> Self {
        Self {
            rtl,
            plan,
            opened: false,
            events: EventLine::new(EventLog::new(ArrayNames::new(config))),
            stores: Vec::new(),
            written,
        }
    }

    /// Puts both sides of the coming cycle beside the RTL's signals.
    fn show_beside(&mut self, cycle: u64, inputs: &Inputs) {
        let outputs = *self.rtl.probe(inputs);
        let rtl_event = self.events.of(cycle, inputs, &outputs, &self.stores);
        let Some(model) = &self.plan.model else {
            let beside = Beside {
                model_event: "no model beside this run",
                rtl_event,
                ..Beside::default()
            };
            self.rtl.show_beside(&beside.words());
            return;
        };
        let shown = model.0.borrow();
        let due = self.plan.options.groups.of(&shown.outputs);
        let found = differences(&due, &outputs, self.plan.options.silenced);
        let names: Vec<String> = found.into_iter().map(|found| found.signal).collect();
        let beside = Beside {
            model: shown.outputs,
            model_event: &shown.event,
            rtl_event,
            differing: &names.join(" "),
        };
        self.rtl.show_beside(&beside.words());
        if !names.is_empty() {
            self.written.differing.get_or_insert((cycle, names));
        }
    }
}

impl Twin for WithWave<'_> {
    fn name(&self) -> &'static str {
        "rtl"
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        let cycle = self.rtl.next_cycle();
        let is_shown = inputs.rst_n != 0 && cycle >= self.plan.first_cycle;
        if is_shown && !self.opened {
            self.opened = true;
            self.written.trouble = self.rtl.open_wave(&self.plan.path).err();
        }
        if is_shown {
            self.show_beside(cycle, inputs);
        }
        *outputs = *self.rtl.tick(inputs);
        if inputs.rst_n != 0 && !is_shown {
            // Registers and queues of before the window tell what changes in it.
            self.events.of(cycle, inputs, outputs, &self.stores);
        }
        self.stores.clear();
    }

    fn hear_stores(&mut self, stores: &[Store]) {
        self.stores.extend_from_slice(stores);
    }

    fn failed_assertions(&self) -> u64 {
        Twin::failed_assertions(&self.rtl)
    }

    fn first_failed_assertion(&self) -> Option<(Option<u64>, String)> {
        Twin::first_failed_assertion(&self.rtl)
    }
}

impl Drop for WithWave<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.rtl.close_wave() {
            self.written.trouble.get_or_insert(error);
        }
    }
}
