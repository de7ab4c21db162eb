//! Hand-made streams: what a machine with one port in use shows, said event by event.
//!
//! Contract: 3. SDM: none. Counterpart: none.

use twinwalk::arch::{
    Access, AccessKind, Capabilities, InvpcidDescriptor, MemoryTypeBits, PageFaultCode, PageSize,
    Registers,
};
use twinwalk::model::mmu_pkg::*;
use twinwalk::reference::finding::{Figures, Finding, Rule};
use twinwalk::reference::horizon::Reading;
use twinwalk::reference::image::Image;
use twinwalk::reference::observer::{Request, Store};
use twinwalk::reference::payload;
use twinwalk::reference::staleness::Staleness;

/// A table entry with every right, and A.
pub const TABLE: u64 = 0x27;
/// A leaf with every right, A and D.
pub const LEAF: u64 = 0x67;
/// A large leaf likewise.
pub const LARGE: u64 = 0xe7;
/// G.
pub const G: u64 = 0x100;

/// Root, PDPT, PD and PT of the address 0; each alone in its page.
pub const PML5: u64 = 0x8000;
pub const PML4: u64 = 0x1000;
pub const PDPT: u64 = 0x2000;
pub const PD: u64 = 0x3000;
pub const PT: u64 = 0x4000;
/// A second set of tables.
pub const PDPT_2: u64 = 0x12000;
pub const PD_2: u64 = 0x13000;
pub const PT_2: u64 = 0x14000;
/// A second root.
pub const PML4_2: u64 = 0x11000;

/// CR4 with PAE alone.
pub const PAE: u64 = 1 << 5;
pub const PGE: u64 = 1 << 7;
pub const LA57: u64 = 1 << 12;
pub const PCIDE: u64 = 1 << 17;
pub const SMEP: u64 = 1 << 20;

/// The tables above, which map page n of the first 2 MiB to frame 0x100 + n, by the second set to 0x200 + n.
pub fn tables() -> Vec<(u64, u64)> {
    let mut words = vec![
        (PML5, PML4 | TABLE),
        (PML4, PDPT | TABLE),
        (PDPT, PD | TABLE),
        (PD, PT | TABLE),
        (PML4_2, PDPT_2 | TABLE),
        (PDPT_2, PD_2 | TABLE),
        (PD_2, PT_2 | TABLE),
    ];
    for page in 0..8 {
        words.push((PT + 8 * page, (0x100 + page) << 12 | LEAF));
        words.push((PT_2 + 8 * page, (0x200 + page) << 12 | LEAF));
    }
    words
}

/// A user-mode access.
pub fn user(kind: AccessKind) -> Access {
    Access::new(kind, 3)
}

/// The stream so far, under the architectural check.
pub struct Stream {
    pub check: Staleness,
    pub cycle: u64,
    capabilities: Capabilities,
    registers: Registers,
    next_id: u8,
    /// Overrides what the stream shows of the registers.
    pub shown: Option<Registers>,
}

impl Stream {
    pub fn new(reading: Reading, words: Vec<(u64, u64)>) -> Self {
        let capabilities = Capabilities::new(46, true, true).expect("46 bits are supported");
        let check = Staleness::new(capabilities, Image::new(0x100_0000, words), reading);
        let registers = Registers::RESET;
        Self {
            check,
            cycle: 0,
            capabilities,
            registers,
            next_id: 0,
            shown: None,
        }
    }

    /// Paging is on, with these values; NXE and WP are set.
    pub fn booted(reading: Reading, cr3: u64, cr4: u64) -> Self {
        let mut stream = Self::new(reading, tables());
        stream.boot(cr3, cr4);
        stream
    }

    /// From reset to paging.
    pub fn boot(&mut self, cr3: u64, cr4: u64) {
        self.registers = Registers::RESET;
        self.control(CTRL_WRMSR_EFER, 0x900);
        self.control(CTRL_MOV_CR4, cr4 & !PCIDE);
        self.control(CTRL_MOV_CR3, cr3 & !0xfff);
        self.control(CTRL_MOV_CR0, 0x8001_0001);
        self.control(CTRL_MOV_CR4, cr4);
        self.control(CTRL_MOV_CR3, cr3);
    }

    pub fn figures(&self) -> Figures {
        *self.check.figures()
    }

    /// One cycle, in which `says` sets what happens.
    pub fn cycle(
        &mut self,
        says: impl FnOnce(&mut Inputs, &mut Outputs),
        stores: &[Store],
    ) -> Result<(), Finding> {
        let mut inputs = Inputs {
            rst_n: 1,
            ..Inputs::default()
        };
        let mut outputs = Outputs::default();
        outputs.memory.resp_ready = 1;
        let shown = self.shown.unwrap_or(self.registers);
        outputs.control.cr0 = shown.cr0();
        outputs.control.cr3 = shown.cr3();
        outputs.control.cr4 = shown.cr4();
        outputs.control.efer = shown.efer();
        says(&mut inputs, &mut outputs);
        let cycle = self.cycle;
        self.cycle += 1;
        self.check.observe(cycle, &inputs, &outputs, stores)
    }

    fn quiet(&mut self) {
        self.cycle(|_, _| {}, &[]).expect("a quiet cycle is legal");
    }

    pub fn store(&mut self, address: u64, value: u64) {
        self.cycle(|_, _| {}, &[Store { address, value }])
            .expect("a store is legal");
    }

    /// The accept of an operation.
    pub fn begin(&mut self, operation: ControlIn) {
        let control = ControlIn {
            valid: 1,
            ..operation
        };
        let accept = |inputs: &mut Inputs, outputs: &mut Outputs| {
            inputs.control = control;
            outputs.control.ready = 1;
        };
        self.cycle(accept, &[])
            .expect("an operation may be accepted");
        let descriptor = InvpcidDescriptor {
            context: control.data,
            address: control.addr,
        };
        let mut after = self.registers;
        let result = match control.op {
            CTRL_MOV_CR0 => after.write_cr0(control.data),
            CTRL_MOV_CR3 => after.write_cr3(control.data, &self.capabilities),
            CTRL_MOV_CR4 => after.write_cr4(control.data, &self.capabilities),
            CTRL_WRMSR_EFER => after.write_efer(control.data),
            CTRL_INVLPG => Ok(self.registers.invlpg(control.data)),
            _ => self.registers.invpcid(control.kind, &descriptor),
        };
        result.expect("the streams raise no #GP");
        self.registers = after;
    }

    /// The response of an operation.
    pub fn end(&mut self, general_protection: bool) -> Result<(), Finding> {
        let respond = |inputs: &mut Inputs, outputs: &mut Outputs| {
            outputs.control.resp_valid = 1;
            outputs.control.resp_gp = general_protection.into();
            inputs.control.resp_ready = 1;
        };
        self.cycle(respond, &[])
    }

    /// A whole operation: accept, performing cycle, response.
    pub fn control(&mut self, op: u8, data: u64) {
        self.operate(ControlIn {
            op,
            data,
            ..ControlIn::default()
        });
    }

    pub fn invpcid(&mut self, kind: u64, pcid: u64, addr: u64) {
        self.operate(ControlIn {
            op: CTRL_INVPCID,
            data: pcid,
            addr,
            kind,
            ..ControlIn::default()
        });
    }

    pub fn operate(&mut self, operation: ControlIn) {
        self.begin(operation);
        self.quiet();
        self.end(false).expect("an operation may end");
    }

    /// The accept of a request, on port 0 for a fetch, else on port 1.
    pub fn ask(&mut self, va: u64, access: Access) -> Request {
        self.try_ask(va, access).expect("a request may be accepted")
    }

    pub fn try_ask(&mut self, va: u64, access: Access) -> Result<Request, Finding> {
        let port = usize::from(!access.is_fetch());
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        let accepted_cycle = self.cycle;
        let request = PortIn {
            req_valid: 1,
            req_id: id,
            req_kind: access.kind as u8,
            req_size_bytes: 1,
            req_cpl: access.cpl,
            req_ac: access.ac.into(),
            req_implicit_supervisor: access.implicit_supervisor.into(),
            req_pkru: access.pkru,
            req_va: va,
            ..PortIn::default()
        };
        let accept = |inputs: &mut Inputs, outputs: &mut Outputs| {
            inputs.ports[port] = request;
            outputs.ports[port].req_ready = 1;
        };
        self.cycle(accept, &[])?;
        Ok(Request {
            port: port as u8,
            id,
            accepted_cycle,
            va,
            access,
        })
    }

    /// A response, shown and transferred in one cycle.
    pub fn answer(&mut self, request: &Request, response: PortOut) -> Result<(), Finding> {
        let port = usize::from(request.port);
        let respond = |inputs: &mut Inputs, outputs: &mut Outputs| {
            outputs.ports[port] = response;
            inputs.ports[port].resp_ready = 1;
        };
        self.cycle(respond, &[])
    }

    /// The response "translated" to `pa`.
    pub fn answer_translated(
        &mut self,
        request: &Request,
        pa: u64,
        size: PageSize,
    ) -> Result<(), Finding> {
        let response = payload::translated(request, pa, size, MemoryTypeBits::default());
        self.answer(request, response)
    }

    pub fn answer_fault(&mut self, request: &Request, code: u32) -> Result<(), Finding> {
        self.answer(request, payload::page_fault(request, PageFaultCode(code)))
    }

    /// A request for a read of `va` in user mode that is answered with the 4 KiB page at `frame`.
    pub fn read(&mut self, va: u64, frame: u64) -> Result<(), Finding> {
        self.read_sized(va, frame, PageSize::Size4K)
    }

    pub fn read_sized(&mut self, va: u64, frame: u64, size: PageSize) -> Result<(), Finding> {
        let request = self.ask(va, user(AccessKind::Read));
        self.answer_translated(&request, frame | va & size.offset_mask(), size)
    }

    /// A transaction of the machine, accepted in one cycle and answered in the next with `data`.
    pub fn transaction(
        &mut self,
        op: u8,
        address: u64,
        expected: u64,
        new: u64,
        data: u64,
    ) -> Result<(), Finding> {
        let accept = |inputs: &mut Inputs, outputs: &mut Outputs| {
            inputs.memory.req_ready = 1;
            outputs.memory = MemoryOut {
                req_valid: 1,
                req_op: op,
                req_beats: 1,
                req_be: 0xff,
                resp_ready: 1,
                req_addr: address,
                req_expected: expected,
                req_wdata: new,
                ..MemoryOut::default()
            };
        };
        self.cycle(accept, &[])?;
        let answer = |inputs: &mut Inputs, _: &mut Outputs| {
            inputs.memory = MemoryIn {
                resp_valid: 1,
                resp_last: 1,
                resp_data: data,
                ..MemoryIn::default()
            };
        };
        self.cycle(answer, &[])
    }

    /// A compare-and-set that finds what it expects.
    pub fn update(&mut self, address: u64, before: u64, after: u64) -> Result<(), Finding> {
        self.transaction(MEM_COMPARE_AND_SET, address, before, after, before)
    }
}

/// Asserts that a result is a finding of `rule`.
#[track_caller]
pub fn breaks<T: std::fmt::Debug>(result: Result<T, Finding>, rule: Rule) {
    match result {
        Err(finding) => assert_eq!(finding.rule, rule, "{finding}"),
        Ok(value) => panic!("{rule} was not broken: {value:?}"),
    }
}
