//! What the tests of the lockstep share: machines of the RTL, kept between runs of the tests, and runs of both twins.
//!
//! Contract: none. SDM: none. Counterpart: none.

#![allow(dead_code, reason = "each test binary uses a part")]

pub mod history;

use std::ops::ControlFlow;

use twinwalk::config::Config;
use twinwalk::config::load::{Source, load};
use twinwalk::cosim::generator::RandomStream;
use twinwalk::cosim::library::Recipe;
use twinwalk::cosim::lockstep::{Lockstep, Options, Report};
use twinwalk::cosim::rtl::{InitialRegisters, Library, Rtl};
use twinwalk::cosim::stimulus::Stimulus;
use twinwalk::model::Mmu;

use crate::machines_support::provider;
pub use crate::machines_support::{BUSY, QUICK};

pub fn preset(name: &str) -> Config {
    load(&Source::Preset(name.to_owned()), &[])
        .expect("a preset is valid")
        .config
}

/// The machine of a recipe.
pub fn library(recipe: &Recipe) -> Library {
    provider()
        .library(recipe, &mut |_| {})
        .expect("Verilator and g++ are there, and take the RTL")
}

pub fn rtl(config: &Config, library: &Library, seed: u64) -> Rtl {
    Rtl::new(config, library, InitialRegisters::Random(seed)).expect("the machine can be made")
}

/// A random stream on both twins, held against the reference.
pub fn run_stream(stream: &RandomStream, library: &Library, options: Options) -> Report {
    let RandomStream {
        config,
        setup,
        generator,
    } = stream;
    let rtl = rtl(config, library, setup.seed);
    Lockstep::pair(
        config,
        setup,
        generator.clone(),
        Mmu::new(config),
        rtl,
        options,
    )
    .with_reference(config, setup)
    .run(&mut |_| ControlFlow::Continue(()))
}

/// A stimulus on both twins, held against the reference.
pub fn run_stimulus(
    stimulus: &Stimulus,
    config: &Config,
    library: &Library,
    options: Options,
) -> Report {
    let operations = stimulus.operations.clone().into_iter();
    let rtl = rtl(config, library, stimulus.setup.seed);
    Lockstep::pair(
        config,
        &stimulus.setup,
        operations,
        Mmu::new(config),
        rtl,
        options,
    )
    .with_reference(config, &stimulus.setup)
    .run(&mut |_| ControlFlow::Continue(()))
}
