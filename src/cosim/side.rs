//! One side of a run: a twin with the driver, the memory and the stalls that belong to it alone.
//!
//! Contract: sections 1.1 (reset), 13 (memory and drivers). SDM: none. Counterpart: none.

use super::driver::{Driver, ProtocolError};
use super::stall::{Link, Stalls};
use super::stimulus::{CellWrite, Feed, OperationSource, Setup, Store};
use super::twin::Twin;
use crate::config::Config;
use crate::model::memory::Memory;
use crate::model::mmu_pkg::{Inputs, MemoryOut, Outputs};

/// Edges under reset before cycle 0.
pub const RESET_CYCLES: u32 = 2;

/// A twin and its surroundings.
#[derive(Debug)]
pub struct Side<T> {
    /// The twin.
    pub twin: T,
    /// Its driver.
    pub driver: Driver,
    /// Its memory.
    pub memory: Memory,
    /// The inputs of the last cycle that was stepped.
    pub inputs: Inputs,
    /// The outputs of that cycle.
    pub outputs: Outputs,
    /// The stores of other agents in that cycle, as whole cells: of one of 4 bytes what the cell held beside it, too.
    pub stores: Vec<Store>,
    /// The same, as the driver gave them.
    writes: Vec<CellWrite>,
    /// The cycle that is stepped next.
    cycle: u64,
    quiet: Option<Quiet>,
}

/// A stretch of cycles in which nothing can change without a transfer: the twin is not ticked, and catches up later.
#[derive(Debug)]
struct Quiet {
    /// What the twin shows in the cycle that is stepped next.
    shown: Outputs,
    /// Cycles of the stretch that are still to come.
    left: u64,
    /// Cycles of the stretch that have passed, and that the twin has not been told of.
    passed: u64,
}

impl<T: Twin> Side<T> {
    /// A side at the start of the stimulus, its twin reset. `skips`: quiet cycles are passed over instead of ticked.
    pub fn new(twin: T, config: &Config, setup: &Setup, skips: bool) -> Self {
        let stalls = Stalls::new(setup.seed, setup.stalls);
        let mut memory = Memory::new(&config.memory, setup.seed);
        for (address, value) in &setup.image {
            // A cell outside memory was refused when the stimulus was checked against the configuration.
            let _ = memory.write_u64(*address, *value);
        }
        let mut driver = Driver::new(config.ports() as usize, stalls);
        if setup.front_end {
            driver = driver.with_front_end(&config.front_end);
        }
        let mut side = Self {
            twin,
            driver,
            memory,
            inputs: Inputs::default(),
            outputs: Outputs::default(),
            stores: Vec::new(),
            writes: Vec::new(),
            cycle: 0,
            quiet: skips.then(|| Quiet {
                shown: Outputs::default(),
                left: 0,
                passed: 0,
            }),
        };
        for _ in 0..RESET_CYCLES {
            side.twin.tick(&side.inputs, &mut side.outputs);
        }
        side.outputs = Outputs::default();
        side.inputs.rst_n = 1;
        side
    }

    /// The cycle that is stepped next; the number of cycles that were.
    pub const fn cycle(&self) -> u64 {
        self.cycle
    }

    /// One cycle: stores, inputs, the twin's tick, memory, and what moved.
    ///
    /// # Errors
    /// [`ProtocolError`] if the twin answers what was not asked. The side must not be stepped further.
    pub fn step<S: OperationSource>(&mut self, feed: &mut Feed<S>) -> Result<(), ProtocolError> {
        let cycle = self.cycle;
        self.driver
            .drive(cycle, feed, &mut self.inputs, &mut self.writes);
        let stalled = self.driver.is_stalled(Link::Memory, cycle);
        self.inputs.memory = self.memory.inputs(cycle, stalled);
        self.stores.clear();
        for write in &self.writes {
            let store = write.over(self.memory.read_u64(write.address).unwrap_or(0));
            // As for the image.
            let _ = self.memory.write_u64(store.address, store.value);
            self.stores.push(store);
        }
        if !self.stores.is_empty() {
            self.twin.hear_stores(&self.stores);
        }
        self.tick();
        // Testbench memory does transfers of one beat. A twin that asks for another number is found by the comparison of the bus.
        let request = MemoryOut {
            req_beats: 1,
            ..self.outputs.memory
        };
        self.memory.step(cycle, &self.inputs.memory, &request);
        self.driver.sample(cycle, &self.inputs, &self.outputs)?;
        self.cycle += 1;
        Ok(())
    }

    fn tick(&mut self) {
        let Some(quiet) = &mut self.quiet else {
            self.twin.tick(&self.inputs, &mut self.outputs);
            return;
        };
        if quiet.left > 0 {
            if !transfers(&self.inputs, &quiet.shown) {
                quiet.left -= 1;
                quiet.passed += 1;
                self.outputs = quiet.shown;
                self.twin.show_next(&mut quiet.shown);
                return;
            }
            self.twin.skip(std::mem::take(&mut quiet.passed));
        } else if quiet.passed > 0 {
            self.twin.skip(std::mem::take(&mut quiet.passed));
        }
        self.twin.tick(&self.inputs, &mut self.outputs);
        quiet.left = self.twin.quiet_cycles();
        if quiet.left > 0 {
            quiet.shown = Outputs::default();
            self.twin.show(&mut quiet.shown);
        }
    }
}

/// Whether anything moves on a link in a cycle with these inputs, in which the twin shows `shown`.
fn transfers(inputs: &Inputs, shown: &Outputs) -> bool {
    let ports = inputs.ports.iter().zip(&shown.ports);
    let of_ports = ports.fold(0, |any, (pins, port)| {
        any | pins.req_valid & port.req_ready | pins.resp_ready & port.resp_valid
    });
    let of_control = inputs.control.valid & shown.control.ready
        | inputs.control.resp_ready & shown.control.resp_valid;
    let of_memory = inputs.memory.req_ready & shown.memory.req_valid
        | inputs.memory.resp_valid & shown.memory.resp_ready;
    of_ports | of_control | of_memory != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosim::stimulus::parse::parse;
    use crate::model::mmu::Mmu;

    /// Each link alone, with either of its two sides and with both.
    #[test]
    fn something_moves_where_one_side_offers_and_the_other_takes() {
        type Link = (fn(&mut Inputs), fn(&mut Outputs));
        let links: [Link; 6] = [
            (
                |pins| pins.ports[1].req_valid = 1,
                |out| out.ports[1].req_ready = 1,
            ),
            (
                |pins| pins.ports[2].resp_ready = 1,
                |out| out.ports[2].resp_valid = 1,
            ),
            (|pins| pins.control.valid = 1, |out| out.control.ready = 1),
            (
                |pins| pins.control.resp_ready = 1,
                |out| out.control.resp_valid = 1,
            ),
            (
                |pins| pins.memory.req_ready = 1,
                |out| out.memory.req_valid = 1,
            ),
            (
                |pins| pins.memory.resp_valid = 1,
                |out| out.memory.resp_ready = 1,
            ),
        ];
        for (of_inputs, (drive, _)) in links.iter().enumerate() {
            for (of_outputs, (_, show)) in links.iter().enumerate() {
                let (mut inputs, mut outputs) = (Inputs::default(), Outputs::default());
                drive(&mut inputs);
                assert!(!transfers(&inputs, &outputs));
                show(&mut outputs);
                let moves = transfers(&inputs, &outputs);
                assert_eq!(moves, of_inputs == of_outputs, "{of_inputs} {of_outputs}");
                assert!(!transfers(&Inputs::default(), &outputs));
            }
        }
    }

    /// The machine sets A in one half of a cell; a later store to the other half leaves it there, and is seen as the whole cell.
    #[test]
    fn a_store_of_4_bytes_keeps_what_the_machine_has_set_beside_it() {
        let text = "twinwalk-stim 1\nconfig preset:tiny\nspace s 4\nmap 0x1000 -> 0x9000 4k rw\n\
                    boot s\nread 0x1000\ndrain\nstore4 0x400c = 0x100000\n";
        let stimulus = parse("x", text).unwrap();
        let config = stimulus.setup.machine("x").unwrap();
        let mut feed = Feed::new(stimulus.operations.into_iter());
        let mut side = Side::new(Mmu::new(&config), &config, &stimulus.setup, false);
        let mut stores = Vec::new();
        for _ in 0..200 {
            side.step(&mut feed).unwrap();
            stores.extend(side.stores.clone());
        }
        let whole = Store {
            address: 0x4008,
            value: 0x10_0000_0000_9023,
        };
        assert_eq!(stores, [whole]);
        assert_eq!(side.memory.read_u64(0x4008), Ok(0x10_0000_0000_9023));
    }
}
