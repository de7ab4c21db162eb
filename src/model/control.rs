//! Control: the registers, the operations that write them, and invalidations.
//!
//! Contract: 9, and 2 (what the arrays hold in a mode). SDM vol. 3A, 2.5 (control registers), 4.1.2 (paging modes), 4.10.4.1 (operations that invalidate); vol. 2, INVLPG, INVPCID.
//! Counterpart: `rtl/control.sv`.

use crate::arch::{
    Capabilities, EntryRules, Invalidation, InvpcidDescriptor, PagingMode, Registers,
};

use super::mmu::{Cycle, Mmu};
use super::mmu_pkg::{
    CTRL_INVLPG, CTRL_MOV_CR0, CTRL_MOV_CR3, CTRL_MOV_CR4, CTRL_WRMSR_EFER, ControlIn, ControlOut,
    PSC_LEVELS,
};
use super::monitor::Sink;
use super::places::AllPlaces;
use super::tlb::row_removal;

/// The states of control, as contract 9 names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ControlState {
    Idle,
    Pend,
    Sweep,
    Resp,
}

/// An operation as it is captured when accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Operation {
    op: u8,
    data: u64,
    addr: u64,
    kind: u64,
}

impl Operation {
    /// Whether it writes a register, and therefore waits until nothing is outstanding.
    const fn writes_register(&self) -> bool {
        self.op <= CTRL_WRMSR_EFER
    }
}

/// Control. While idle, everything but the registers and what follows from them is as after reset.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Control {
    state: ControlState,
    operation: Operation,
    /// SWEEP: the row of this cycle, what it removes, and whether this is the reset sweep.
    row: u64,
    invalidation: Invalidation,
    reset_sweep: bool,
    /// RESP: the operation raised #GP.
    general_protection: bool,
    registers: Registers,
    /// These follow from the registers.
    rules: EntryRules,
    pcid: u16,
    mode: PagingMode,
    address_mask: u64,
}

/// The bits of an address that a request keeps when it is accepted in `mode` (contract 1.5).
const fn address_mask(mode: PagingMode) -> u64 {
    match mode {
        PagingMode::TwoLevel => 0xffff_ffff,
        PagingMode::Off | PagingMode::FourLevel | PagingMode::FiveLevel => u64::MAX,
    }
}

impl Control {
    /// At the start of the reset sweep.
    pub fn new(capabilities: &Capabilities) -> Self {
        let registers = Registers::RESET;
        Self {
            state: ControlState::Sweep,
            operation: Operation::default(),
            row: 0,
            invalidation: Invalidation::None,
            reset_sweep: true,
            general_protection: false,
            registers,
            rules: registers.entry_rules(capabilities),
            pcid: registers.current_pcid().raw(),
            mode: registers.paging_mode(),
            address_mask: address_mask(registers.paging_mode()),
        }
    }

    /// The registers.
    #[inline]
    pub const fn registers(&self) -> &Registers {
        &self.registers
    }

    /// How entries decode under the registers.
    #[inline]
    pub const fn entry_rules(&self) -> &EntryRules {
        &self.rules
    }

    /// The current PCID (contract 4.3).
    #[inline]
    pub const fn pcid(&self) -> u16 {
        self.pcid
    }

    /// The mode in which addresses are translated (contract 1.5).
    #[inline]
    pub const fn mode(&self) -> PagingMode {
        self.mode
    }

    /// The bits of an address that a request keeps when it is accepted: all, in 32-bit paging 31:0 (contract 1.5).
    #[inline]
    pub const fn address_mask(&self) -> u64 {
        self.address_mask
    }

    /// Its state in this cycle.
    #[inline]
    pub const fn state(&self) -> ControlState {
        self.state
    }

    /// Whether the reset sweep is going on.
    #[inline]
    pub const fn in_reset_sweep(&self) -> bool {
        self.reset_sweep
    }

    /// The row that a sweep removes in this cycle.
    #[inline]
    pub const fn row(&self) -> u64 {
        self.row
    }

    /// Passes over rows of the reset sweep.
    pub const fn skip_rows(&mut self, rows: u64) {
        self.row += rows;
    }

    /// Whether requests are let in (contract 5): no reset sweep, and no register write in PEND or SWEEP.
    #[inline]
    pub const fn lets_requests_in(&self) -> bool {
        match self.state {
            ControlState::Idle | ControlState::Resp => true,
            ControlState::Pend | ControlState::Sweep => {
                !self.reset_sweep && !self.operation.writes_register()
            }
        }
    }

    /// Whether the operation performs in this cycle, given that no request is outstanding on any port, or that one is.
    #[inline]
    pub const fn performs(&self, none_outstanding: bool) -> bool {
        matches!(self.state, ControlState::Pend)
            && (none_outstanding || !self.operation.writes_register())
    }

    /// Drives the control outputs.
    #[inline]
    pub fn show(&self, outputs: &mut ControlOut) {
        outputs.ready = u8::from(self.state == ControlState::Idle);
        if self.state == ControlState::Resp {
            outputs.resp_valid = 1;
            outputs.resp_gp = u8::from(self.general_protection);
        }
        outputs.cr0 = self.registers.cr0();
        outputs.cr3 = self.registers.cr3();
        outputs.cr4 = self.registers.cr4();
        outputs.efer = self.registers.efer();
    }

    /// An operation is accepted.
    pub fn accept(&mut self, inputs: &ControlIn) {
        self.operation = Operation {
            op: inputs.op,
            data: inputs.data,
            addr: inputs.addr,
            kind: inputs.kind,
        };
        self.state = ControlState::Pend;
    }

    /// The answer is transferred. Whether it was #GP.
    pub fn transfer(&mut self) -> bool {
        let general_protection = self.general_protection;
        self.operation = Operation::default();
        self.general_protection = false;
        self.state = ControlState::Idle;
        general_protection
    }

    /// Checks the operation and writes the register: the table of contract 9.3. What is to be invalidated.
    pub(super) fn execute(&mut self, capabilities: &Capabilities) -> Invalidation {
        let Operation {
            op,
            data,
            addr,
            kind,
        } = self.operation;
        let registers = &mut self.registers;
        let result = match op {
            CTRL_MOV_CR0 => registers.write_cr0(data),
            CTRL_MOV_CR3 => registers.write_cr3(data, capabilities),
            CTRL_MOV_CR4 => registers.write_cr4(data, capabilities),
            CTRL_WRMSR_EFER => registers.write_efer(data),
            CTRL_INVLPG => Ok(registers.invlpg(data)),
            _ => registers.invpcid(
                kind,
                &InvpcidDescriptor {
                    context: data,
                    address: addr,
                },
            ),
        };
        self.rules = self.registers.entry_rules(capabilities);
        self.pcid = self.registers.current_pcid().raw();
        self.mode = self.registers.paging_mode();
        self.address_mask = address_mask(self.mode);
        self.general_protection = result.is_err();
        result.unwrap_or(Invalidation::None)
    }

    /// Goes on to the next row of a sweep, or to what follows the sweep.
    fn end_row(&mut self, sweep_cycles: u64) {
        self.row += 1;
        if self.row < sweep_cycles {
            self.state = ControlState::Sweep;
            return;
        }
        self.state = if self.reset_sweep {
            ControlState::Idle
        } else {
            ControlState::Resp
        };
        self.row = 0;
        self.reset_sweep = false;
        self.invalidation = Invalidation::None;
    }
}

impl Mmu {
    /// Contract 9.1 and 9.2: one cycle of control, transfers apart.
    pub(super) fn step_control(&mut self, cycle: &Cycle, sink: &mut impl Sink) {
        if cycle.control_performs {
            self.perform_control(sink);
        } else if self.control.state == ControlState::Sweep {
            self.sweep_row(sink);
        }
    }

    /// PEND performs.
    fn perform_control(&mut self, sink: &mut impl Sink) {
        let mode = self.control.mode;
        let invalidation = self.control.execute(&self.spec.capabilities);
        self.recent.leave();
        if self.control.mode != mode {
            self.enter_mode();
        }
        self.control.state = ControlState::Resp;
        let writes = self.control.operation.writes_register() && !self.control.general_protection;
        if writes || !invalidation.is_none() {
            self.prefetch.end_or_lose_right();
        }
        if invalidation.is_none() {
            return;
        }
        self.counters.count_flush();
        self.miss_queue.take_rights(None);
        for cache in 0..PSC_LEVELS {
            let event = self.psc.invalidate(cache, &invalidation);
            sink.psc(cache, &event);
            self.statistics.count_psc_event(cache, &event);
        }
        match invalidation {
            // The pieces of a page that is kept in pieces may be anywhere.
            Invalidation::Page { va, .. } if !self.spec.fractures => {
                self.invalidate_page(va.raw(), &invalidation, sink);
            }
            _ => {
                self.control.invalidation = invalidation;
                self.sweep_row(sink);
            }
        }
    }

    /// Draws up where pages stand in arrays and paging-structure caches in the mode. A register write that changes the mode turns paging
    /// on, with nothing in them, or off, and then the sweep that begins in the same cycle removes everything.
    pub(super) fn enter_mode(&mut self) {
        let mode = self.control.mode;
        self.places = AllPlaces::new(&self.spec.arrays, mode);
        self.psc.enter(mode);
    }

    /// One row of a sweep. The rows of the reset sweep are empty already.
    fn sweep_row(&mut self, sink: &mut impl Sink) {
        if !self.control.reset_sweep {
            let row = self.control.row as usize;
            for (number, array) in self.tlb.iter_mut().enumerate() {
                let removed = array.invalidate_row(row, &self.control.invalidation);
                let event = row_removal(row, removed);
                sink.tlb(number, &event);
                self.statistics.count_tlb_event(number, &event);
            }
        }
        self.control.end_row(self.spec.sweep_cycles);
    }
}
