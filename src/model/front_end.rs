//! Who presents requests: one reference at a time.
//!
//! Contract: the requester's side of 3 and 5, and 13. Counterpart: none; a driver of either twin can do the same, and must then see the
//! same cycles.
//!
//! # The rule
//!
//! * Cycle 0 is the first out of reset; memory is never stalled, and answers are always taken at once (`resp_ready` = 1 on every
//!   port, `ctrl_resp_ready` = 1).
//! * There is one stream of steps: references, control operations, and stores of another agent. No step begins before the former has
//!   ended.
//! * The first reference or operation is transferred in cycle `SWEEP_CYCLES`, the first after the reset sweep. Each further one is
//!   transferred in the cycle after the one in which the answer to the former was.
//! * A store takes no time: it performs in the cycle in which the next reference or operation is transferred, before memory accepts
//!   anything.
//! * The run ends with the cycle after the last answer, so `cycles` is the number of the cycle in which another step would begin.
//!
//! A driver that ticks does this by holding `valid` at 1 from the cycle after an answer until the transfer, which is that very cycle.

use crate::config::Config;

use super::alone::Alone;
use super::memory::Memory;
use super::mmu::Mmu;
use super::mmu_pkg::{ControlIn, Inputs, Outputs};
use super::port::Request;
use super::statistics::Statistics;

/// A control operation, in the form of the control port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operation {
    /// 0 MOV CR0, 1 MOV CR3, 2 MOV CR4, 3 WRMSR EFER, 4 INVLPG, 5 INVPCID.
    pub op: u8,
    /// The value, the address of an INVLPG, or the first quadword of an INVPCID descriptor.
    pub data: u64,
    /// The second quadword of an INVPCID descriptor.
    pub addr: u64,
    /// The type of an INVPCID.
    pub kind: u64,
}

impl Operation {
    /// An operation that has no more than `data`.
    pub const fn new(op: u8, data: u64) -> Self {
        Self {
            op,
            data,
            addr: 0,
            kind: 0,
        }
    }

    /// The control inputs that present it, with `resp_ready` = 1.
    pub fn presented(&self) -> ControlIn {
        ControlIn {
            valid: 1,
            op: self.op,
            resp_ready: 1,
            data: self.data,
            addr: self.addr,
            kind: self.kind,
            ..ControlIn::default()
        }
    }
}

/// A machine with its memory, fed one reference at a time, by the rule at the head of this file.
#[derive(Clone, PartialEq, Debug)]
pub struct OneAtATime {
    mmu: Mmu,
    memory: Memory,
}

impl OneAtATime {
    /// A machine of `config`, which must be valid, out of reset, and past the reset sweep.
    pub fn new(config: &Config, memory: Memory) -> Self {
        let mut mmu = Mmu::new(config);
        mmu.skip(mmu.next_event().unwrap_or(0));
        let mut one = Self { mmu, memory };
        one.tick(ControlIn::default());
        one
    }

    /// The next reference, through `port`: 0 for a fetch, 1 for data.
    #[inline]
    pub fn translate(&mut self, port: usize, request: &Request) -> Alone {
        let now = self.mmu.now();
        if !self.mmu.is_at_rest() {
            return self.translate_ticking(port, request);
        }
        self.mmu
            .translate_alone(port, request, &mut self.memory, now)
    }

    fn translate_ticking(&mut self, port: usize, request: &Request) -> Alone {
        let accepted_at = self.mmu.now();
        let mut inputs = Inputs {
            rst_n: 1,
            ..Inputs::default()
        };
        inputs.ports[port] = request.presented();
        let mut alone = Alone {
            response: crate::model::Response::NONE,
            accepted_at,
            responded_at: 0,
            first_level: 0,
            stlb: 0,
            memory_reads: 0,
            compare_and_sets: 0,
        };
        loop {
            let now = self.mmu.now();
            inputs.memory = self.memory.inputs(now, false);
            inputs.ports[port].resp_ready = 1;
            let mut outputs = Outputs::default();
            self.mmu.tick(&inputs, &mut outputs);
            self.memory.step(now, &inputs.memory, &outputs.memory);
            inputs.ports[port].req_valid = 0;
            let monitor = &outputs.monitor;
            if monitor.lookup[port] != 0 {
                alone.first_level = monitor.lookup[port];
            }
            if monitor.stlb_lookup != 0 && monitor.stlb_entry != 16 {
                alone.stlb = monitor.stlb_lookup;
            }
            if outputs.memory.req_valid != 0 {
                let prefetch =
                    outputs.queues.walker[usize::from(outputs.memory.req_id)] >> 3 & 31 == 16;
                if !prefetch {
                    alone.memory_reads += u32::from(outputs.memory.req_op == 0);
                    alone.compare_and_sets += u32::from(outputs.memory.req_op == 2);
                }
            }
            if outputs.ports[port].resp_valid != 0 {
                alone.response = crate::model::Response::shown(&outputs.ports[port]);
                alone.responded_at = now;
                return alone;
            }
        }
    }

    /// The next control operation; whether it raised #GP.
    pub fn control(&mut self, operation: &Operation) -> bool {
        let mut control = operation.presented();
        loop {
            let outputs = self.tick(control);
            if outputs.control.ready != 0 {
                control.valid = 0;
            }
            if outputs.control.resp_valid != 0 {
                return outputs.control.resp_gp != 0;
            }
        }
    }

    /// Another agent's store, in the cycle in which the next step begins.
    ///
    /// # Errors
    /// No memory stands there.
    pub fn store(&mut self, address: u64, value: u64) -> Result<(), crate::arch::BusError> {
        self.memory.write_u64(address, value)
    }

    /// One cycle with these control inputs; no request, and nothing for memory to do.
    fn tick(&mut self, control: ControlIn) -> Outputs {
        let mut inputs = Inputs {
            rst_n: 1,
            control,
            ..Inputs::default()
        };
        inputs.memory = self.memory.inputs(self.mmu.now(), false);
        let mut outputs = Outputs::default();
        let now = self.mmu.now();
        self.mmu.tick(&inputs, &mut outputs);
        self.memory.step(now, &inputs.memory, &outputs.memory);
        outputs
    }

    /// The number of the cycle after the last answer.
    #[inline]
    pub const fn cycles(&self) -> u64 {
        self.mmu.now()
    }

    /// What was counted since reset.
    #[inline]
    pub const fn statistics(&self) -> &Statistics {
        self.mmu.statistics()
    }

    /// The machine.
    pub const fn mmu(&self) -> &Mmu {
        &self.mmu
    }

    /// The memory.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The machine and its memory.
    pub fn into_parts(self) -> (Mmu, Memory) {
        (self.mmu, self.memory)
    }
}
