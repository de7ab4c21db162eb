//! `replay --wave` and `--chrome`: a second run, in which the window around what was found is written down.
//!
//! Contract: none. SDM: none. Counterpart: `src/cosim/wave.rs`, `src/cosim/chrome.rs`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::Rig;
use crate::cli::error::CliError;
use crate::cli::machine::Machines;
use crate::cli::output::Context;
use crate::config::Config;
use crate::cosim::chrome::{Mark, Tracks, write};
use crate::cosim::divergence::{Finding, write_atomically};
use crate::cosim::lockstep::{Lockstep, Options};
use crate::cosim::stimulus::{Stimulus, Store};
use crate::cosim::watched::{AFTER_CYCLES, Watched};
use crate::model::Mmu;
use crate::model::mmu_pkg::{Inputs, Outputs};

/// Cycles before the finding that `--chrome` shows: a walk on a slow memory, and what came before it.
const CHROME_CYCLES: u64 = 10_000;

/// The save file of GTKWave beside a wave.
pub fn save_path(wave: &Path) -> PathBuf {
    wave.with_extension("gtkw")
}

/// What is run again, and what was found in it.
pub struct Window<'a> {
    /// What it runs on.
    pub rig: &'a Rig,
    /// The stimulus.
    pub stimulus: &'a Stimulus,
    /// The machine.
    pub config: &'a Config,
    /// What was found.
    pub finding: Option<&'a Finding>,
    /// How it was judged.
    pub options: Options,
}

impl Window<'_> {
    fn options(&self) -> Options {
        Options {
            run_on_cycles: AFTER_CYCLES,
            ..self.options
        }
    }

    /// The first cycle to show, where `before` cycles before the finding are shown.
    fn first_cycle(&self, before: u64) -> u64 {
        let finding = self.finding;
        finding.map_or(0, |finding| finding.cycle.saturating_sub(before))
    }

    /// Writes the wave and, beside it, a save file of GTKWave, whose path it gives.
    ///
    /// # Errors
    /// The machine cannot be built, or a file cannot be written.
    #[cfg(feature = "rtl")]
    pub fn write_wave(&self, path: &Path, context: &mut Context) -> Result<PathBuf, CliError> {
        use crate::cosim::wave::{Model, Plan, WINDOW_CYCLES, WithWave, Written, save::Save};

        let (config, setup) = (self.config, &self.stimulus.setup);
        let rtl = match self.rig {
            Rig::Guest(guest) => guest.with_waves(setup.seed, context)?,
            Rig::Model | Rig::Both(_) => {
                let library = Machines::open()?.library_with_waves(config, context)?;
                Machines::instance(config, &library, setup.seed)?
            }
        };
        let shown = Model::default();
        let model = shown.watch(Mmu::new(config), config);
        let mut options = self.options();
        let mut top = crate::cosim::verilate::TOP_MODULE;
        let mut has_model = true;
        if let Rig::Guest(guest) = self.rig {
            options.groups = guest.groups();
            top = &guest.design().spec.top;
            has_model = guest.is_exact();
        }
        let plan = Plan {
            path: path.to_owned(),
            first_cycle: self.first_cycle(WINDOW_CYCLES),
            model: has_model.then_some(shown),
            options,
        };
        let mut written = Written::default();
        let operations = self.stimulus.operations.clone().into_iter();
        let twin = WithWave::new(rtl, config, plan, &mut written);
        let mut go_on = |_| ControlFlow::Continue(());
        match self.rig {
            Rig::Guest(guest) => {
                guest.run_with(
                    config,
                    setup,
                    operations,
                    (model, twin),
                    options,
                    &mut go_on,
                );
            }
            Rig::Model | Rig::Both(_) => {
                Lockstep::pair(config, setup, operations, model, twin, options)
                    .with_reference(config, setup)
                    .run(&mut go_on);
            }
        }
        if let Some(error) = written.trouble {
            return Err(CliError::new(
                error,
                "name a file in a writable directory that has room with --wave",
            ));
        }
        let save = Save {
            wave: path,
            top,
            has_model,
            cycle: self.finding.map(|finding| finding.cycle),
            signals: written.of_finding(self.finding),
        };
        let save_path = save_path(path);
        write_text(&save_path, &save.text(), "--wave")?;
        Ok(save_path)
    }

    /// There is no RTL to write waves of.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "rtl"))]
    pub fn write_wave(&self, _path: &Path, _context: &mut Context) -> Result<PathBuf, CliError> {
        Machines::open().map(|_| PathBuf::new())
    }

    /// Writes the spans of both sides.
    ///
    /// # Errors
    /// The machine cannot be made, or the file cannot be written.
    pub fn write_chrome(&self, path: &Path) -> Result<(), CliError> {
        let (config, setup) = (self.config, &self.stimulus.setup);
        let first_cycle = self.first_cycle(CHROME_CYCLES);
        let mut model_tracks = Tracks::new("model", config, first_cycle);
        let mut rtl_tracks = Tracks::new("rtl", config, first_cycle);
        let options = self.options();
        let operations = self.stimulus.operations.clone().into_iter();
        let mut go_on = |_| ControlFlow::Continue(());
        let model = Watched::new(
            Mmu::new(config),
            |cycle, inputs: &Inputs, outputs: &Outputs, stores: &[Store]| {
                model_tracks.observe(cycle, inputs, outputs, stores);
            },
        );
        let watch = |cycle, inputs: &Inputs, outputs: &Outputs, stores: &[Store]| {
            rtl_tracks.observe(cycle, inputs, outputs, stores);
        };
        match self.rig {
            Rig::Model => {
                Lockstep::alone(config, setup, operations, model, options)
                    .with_reference(config, setup)
                    .run(&mut go_on);
            }
            Rig::Both(library) => {
                let rtl = Machines::instance(config, library, setup.seed)?;
                let rtl = Watched::new(rtl, watch);
                Lockstep::pair(config, setup, operations, model, rtl, options)
                    .with_reference(config, setup)
                    .run(&mut go_on);
            }
            #[cfg(feature = "rtl")]
            Rig::Guest(guest) => {
                let rtl = Watched::new(guest.twin(setup.seed)?, watch);
                guest.run_with(config, setup, operations, (model, rtl), options, &mut go_on);
            }
        }
        let mark = self.finding.map(|finding| Mark {
            cycle: finding.cycle,
            name: format!("first difference: {}", finding.signal),
            facts: vec![
                (finding.labels[0], finding.model.clone()),
                (finding.labels[1], finding.rtl.clone()),
                ("found by", finding.comparator.to_string()),
            ],
        });
        let text = write([model_tracks, rtl_tracks], mark.as_ref());
        write_text(path, &text, "--chrome")
    }
}

fn write_text(path: &Path, text: &str, option: &str) -> Result<(), CliError> {
    write_atomically(path, |out| out.write_all(text.as_bytes())).map_err(|error| {
        CliError::new(
            format_args!("{}: cannot be written: {error}", path.display()),
            format_args!("name a file in a writable directory that has room with {option}"),
        )
    })
}
