//! The walk and the architectural check, an event at a time: what a bench without cycles of its own can report.
//!
//! Contract: 3 (ports), 9 (control). SDM vol. 3A, 4.10. Counterpart: `src/cosim/judged.rs`, which feeds the same check cycle by cycle.
//!
//! Every event is a cycle of its own to [`Staleness`], in the order in which it is reported; so "cycle" there is "event" here.

use std::collections::{BTreeMap, BTreeSet};

use twinwalk::arch::{
    self, AccessKind, BusError, Capabilities, EntrySlot, Outcome as Ended, PageSize,
    PhysicalAddress, Registers,
};
use twinwalk::cosim::account::Words;
use twinwalk::model::mmu_pkg::{
    self as pkg, CTRL_INVLPG, CTRL_INVPCID, Inputs, MAX_PORTS, Outputs, PortOut,
};
use twinwalk::reference::finding::Finding;
use twinwalk::reference::horizon::Reading;
use twinwalk::reference::image::{Image, Untouched};
use twinwalk::reference::observer::{Request, Store};
use twinwalk::reference::payload;
use twinwalk::reference::staleness::Staleness;
use twinwalk::reference::{PhysicalMemory, WalkStep, trace};

use crate::abi::{Access, Code, EntryUse, Features, Figures, MOST_ENTRIES, Outcome, Verdict, Walk};

/// Requests that can be outstanding at once.
pub const MOST_OUTSTANDING: usize = MAX_PORTS * 256;

/// A call that could not be done: what is wrong, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The kind.
    pub code: Code,
    /// A sentence.
    pub text: String,
}

fn refused<T>(code: Code, text: impl Into<String>) -> Result<T, Refused> {
    let text = text.into();
    Err(Refused { code, text })
}

/// A request without an answer.
#[derive(Debug, Clone, Copy)]
struct Open {
    slot: u16,
    va: u64,
    access: arch::Access,
    event: u64,
}

/// The reference with its judge. One machine, one stream of events.
#[derive(Debug, Clone)]
pub struct Judge {
    capabilities: Capabilities,
    staleness: Staleness,
    /// The number of the next event.
    event: u64,
    open: BTreeMap<u64, Open>,
    free: BTreeSet<u16>,
    /// The operation under way: whether it writes a register.
    operation: Option<bool>,
    illegal: u64,
    lost: bool,
    explanation: String,
    account: String,
}

impl Judge {
    /// A machine in reset, over memory that is all 0.
    ///
    /// # Errors
    /// [`Code::Argument`]: a feature out of range.
    pub fn new(features: &Features) -> Result<Self, Refused> {
        let Features {
            maxphyaddr_bits,
            page_1g,
            five_level,
            memory_size_bytes,
            ..
        } = *features;
        let capabilities = match Capabilities::new(maxphyaddr_bits, page_1g != 0, five_level != 0) {
            Ok(capabilities) if page_1g <= 1 && five_level <= 1 => capabilities,
            Ok(_) => return refused(Code::Argument, "page_1g and five_level are 0 or 1"),
            Err(error) => return refused(Code::Argument, format!("maxphyaddr_bits: {error}")),
        };
        let most = 1 << maxphyaddr_bits;
        if memory_size_bytes > most || !memory_size_bytes.is_multiple_of(8) {
            let text = format!(
                "memory_size_bytes is {memory_size_bytes:#x}; it is a multiple of 8, at most {most:#x}"
            );
            return refused(Code::Argument, text);
        }
        let size_bytes = if memory_size_bytes == 0 {
            most
        } else {
            memory_size_bytes
        };
        // As `check --rtl` judges a design of which nothing but its ports is known.
        let staleness = Staleness::new(capabilities, Image::new(size_bytes, []), Reading::Manual)
            .in_pieces(true);
        Ok(Self {
            capabilities,
            staleness,
            event: 0,
            open: BTreeMap::new(),
            free: (0..MOST_OUTSTANDING as u16).collect(),
            operation: None,
            illegal: 0,
            lost: false,
            explanation: String::new(),
            account: String::new(),
        })
    }

    /// Why the last event is legal or not: one sentence.
    pub fn explanation(&self) -> &str {
        &self.explanation
    }

    /// Of the last response that was not legal: the walk of memory with the older values that are legal, and what was invalidated.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The registers by which it translates.
    pub const fn registers(&self) -> &Registers {
        self.staleness.registers()
    }

    /// What was judged.
    pub fn figures(&self) -> Figures {
        let of = self.staleness.figures();
        Figures {
            struct_size: size_of::<Figures>() as u32,
            outstanding: self.open.len() as u32,
            events: self.event,
            responses: of.responses,
            single_outcome: of.single_outcome,
            stale_observed: of.stale_observed,
            unjudged: of.unjudged,
            entry_updates: of.entry_updates,
            illegal: self.illegal,
            removed: of.removed.iter().sum(),
            stale_removed: of.stale_removed.iter().sum(),
        }
    }

    /// The 8 bytes at `address` as they were reported; `None` where memory has ended.
    pub fn read(&self, address: u64) -> Option<u64> {
        let image = self.staleness.image();
        image.contains(address).then(|| image.read(address))
    }

    /// The machine is reset: it has forgotten everything, and its registers are 0.
    pub fn reset(&mut self) {
        self.open.clear();
        self.free = (0..MOST_OUTSTANDING as u16).collect();
        self.operation = None;
        self.lost = false;
        // In reset nothing is judged.
        let _ = self.feed(&[], |inputs, _| inputs.rst_n = 0);
        self.say("reset");
    }

    /// The registers hold these values, as after a reset and the writes that lead there; nothing is cached.
    ///
    /// # Errors
    /// [`Code::Registers`]: the machine would refuse one of them. [`Code::Order`]: something is under way.
    pub fn load_registers(
        &mut self,
        cr0: u64,
        cr3: u64,
        cr4: u64,
        efer: u64,
    ) -> Result<(), Refused> {
        self.stands()?;
        if !self.open.is_empty() || self.operation.is_some() {
            return refused(Code::Order, "requests or an operation are under way");
        }
        let Ok(loaded) = Registers::load(cr0, cr3, cr4, efer, &self.capabilities) else {
            let text = format!(
                "cr0 {cr0:#x}, cr3 {cr3:#x}, cr4 {cr4:#x}, efer {efer:#x} cannot stand together: a write would be #GP"
            );
            return refused(Code::Registers, text);
        };
        self.reset();
        let pcide = arch::registers::cr4::PCIDE;
        let writes = [
            (pkg::CTRL_WRMSR_EFER, efer),
            (pkg::CTRL_MOV_CR4, cr4 & !pcide),
            (pkg::CTRL_MOV_CR0, cr0),
            (pkg::CTRL_MOV_CR4, cr4),
            (pkg::CTRL_MOV_CR3, cr3),
        ];
        for (op, value) in writes {
            self.accept_operation(op, value, 0, 0)?;
            self.complete_operation(false)?;
        }
        // Between the writes other tables were current; nothing was read from them.
        self.accept_operation(CTRL_INVPCID, 0, 0, 2)?;
        self.complete_operation(false)?;
        debug_assert_eq!(loaded, *self.registers());
        self.say("registers loaded");
        Ok(())
    }

    /// The timeless walk: how `va` is translated for `access` by the registers, and by `memory`, or if that is `None`, by what was reported of memory.
    ///
    /// Changes nothing. The bits that the walk would set are in `after` of the entries.
    ///
    /// # Errors
    /// [`Code::Argument`]: `access` is out of range.
    pub fn translate(
        &self,
        va: u64,
        access: &Access,
        memory: Option<&mut dyn FnMut(u64) -> Option<u64>>,
    ) -> Result<Walk, Refused> {
        let access = known(access)?;
        let (registers, capabilities) = (self.registers(), &self.capabilities);
        let walk = match memory {
            None => trace(
                registers,
                capabilities,
                &access,
                va,
                &mut Untouched(self.staleness.image()),
            ),
            Some(read) => trace(
                registers,
                capabilities,
                &access,
                va,
                &mut Foreign { read, last: 0 },
            ),
        };
        let request = Request {
            port: 0,
            id: 0,
            accepted_cycle: 0,
            va: match registers.paging_mode() {
                mode @ arch::PagingMode::TwoLevel => mode.extend(va),
                _ => va,
            },
            access,
        };
        let payload = match walk.outcome {
            Ended::Translated(found) => payload::translated(
                &request,
                found.address.raw(),
                found.page_size,
                found.memory_type,
            ),
            Ended::PageFault(code) => payload::page_fault(&request, code),
            Ended::BusError => payload::bus_error(&request),
            Ended::GeneralProtection => PortOut {
                resp_status: pkg::STATUS_GENERAL_PROTECTION,
                ..PortOut::ZERO
            },
        };
        let mut result = Walk {
            struct_size: size_of::<Walk>() as u32,
            outcome: of_payload(&payload),
            ..Walk::default()
        };
        for step in &walk.steps {
            let count = result.entry_count as usize;
            match *step {
                WalkStep::Read {
                    level,
                    address,
                    entry,
                    ..
                } if count < MOST_ENTRIES => {
                    result.entries[count] = EntryUse {
                        address: address.raw(),
                        before: entry.raw(),
                        after: entry.raw(),
                        level: level.number().into(),
                        reserved: 0,
                    };
                    result.entry_count += 1;
                }
                WalkStep::CompareAndSet { new, .. } if count > 0 => {
                    result.entries[count - 1].after = new.raw();
                }
                _ => {}
            }
        }
        Ok(result)
    }

    /// Somebody other than the machine has stored `value` at `address`, a multiple of 8.
    ///
    /// # Errors
    /// [`Code::Argument`]: no memory is there.
    pub fn store(&mut self, address: u64, value: u64) -> Result<Verdict, Refused> {
        self.stands()?;
        self.in_memory(address)?;
        let result = self.feed(&[Store { address, value }], |_, _| ());
        Ok(self.conclude(result))
    }

    /// The machine has changed the 8 bytes at `address`, a multiple of 8, to `value`: it has set A, or A and D, of an entry.
    ///
    /// # Errors
    /// [`Code::Argument`]: no memory is there.
    pub fn update(&mut self, address: u64, value: u64) -> Result<Verdict, Refused> {
        self.stands()?;
        self.in_memory(address)?;
        let before = self.staleness.image().read(address);
        let result = self.feed(&[], |inputs, outputs| {
            inputs.memory.req_ready = 1;
            outputs.memory = pkg::MemoryOut {
                req_valid: 1,
                req_op: pkg::MEM_WRITE,
                req_beats: 1,
                req_be: 0xff,
                req_addr: address,
                req_wdata: value,
                ..pkg::MemoryOut::default()
            };
        });
        // The answer, which changes nothing.
        let answered = self.feed(&[], |inputs, outputs| {
            outputs.memory.resp_ready = 1;
            inputs.memory.resp_valid = 1;
            inputs.memory.resp_last = 1;
            inputs.memory.resp_data = before;
        });
        Ok(self.conclude(result.and(answered)))
    }

    /// The machine has accepted a request, which is called `tag` until it is answered.
    ///
    /// # Errors
    /// [`Code::Argument`], [`Code::DuplicateTag`], [`Code::TooMany`].
    pub fn request(&mut self, tag: u64, va: u64, access: &Access) -> Result<Verdict, Refused> {
        self.stands()?;
        let access = known(access)?;
        if self.open.contains_key(&tag) {
            return refused(Code::DuplicateTag, format!("tag {tag} is outstanding"));
        }
        let Some(slot) = self.free.first().copied() else {
            let text = format!("{MOST_OUTSTANDING} requests are outstanding");
            return refused(Code::TooMany, text);
        };
        let (port, id) = place(slot);
        let event = self.event;
        let result = self.feed(&[], |inputs, outputs| {
            outputs.ports[port].req_ready = 1;
            let pins = &mut inputs.ports[port];
            pins.req_valid = 1;
            pins.req_id = id;
            pins.req_kind = access.kind as u8;
            pins.req_size_bytes = 1;
            pins.req_cpl = access.cpl;
            pins.req_ac = access.ac.into();
            pins.req_implicit_supervisor = access.implicit_supervisor.into();
            pins.req_pkru = access.pkru;
            pins.req_va = va;
        });
        if result.is_ok() {
            self.free.remove(&slot);
            self.open.insert(
                tag,
                Open {
                    slot,
                    va,
                    access,
                    event,
                },
            );
        }
        Ok(self.conclude(result))
    }

    /// The machine has answered the request called `tag`. Fields that do not count in that status are not looked at.
    ///
    /// # Errors
    /// [`Code::UnknownTag`]; [`Code::Argument`]: a state or a page size that does not exist.
    pub fn response(&mut self, tag: u64, outcome: &Outcome) -> Result<Verdict, Refused> {
        self.stands()?;
        let shown = to_payload(outcome)?;
        let Some(open) = self.open.remove(&tag) else {
            return refused(Code::UnknownTag, format!("tag {tag} is not outstanding"));
        };
        self.free.insert(open.slot);
        let (port, id) = place(open.slot);
        let figures = *self.staleness.figures();
        let show = |inputs: &mut Inputs, outputs: &mut Outputs| {
            inputs.ports[port].resp_ready = 1;
            outputs.ports[port] = PortOut {
                resp_valid: 1,
                resp_id: id,
                ..shown
            };
        };
        let result = self.feed(&[], show);
        if result.is_err() {
            self.explain_refusal(tag);
            let sentence = std::mem::take(&mut self.explanation);
            // The same once more: it has been judged, and is taken now.
            let taken = self.feed(&[], show);
            self.explanation = sentence;
            self.illegal += 1;
            if taken.is_err() {
                self.lost = true;
            }
            return Ok(Verdict::Illegal);
        }
        let after = self.staleness.figures();
        if after.unjudged > figures.unjudged {
            self.say("not judged: too much has happened to the entries concerned since they were last invalidated");
            return Ok(Verdict::Unjudged);
        }
        if after.stale_observed > figures.stale_observed {
            let request = self.as_request(&open);
            let image = self.staleness.image();
            let now = payload::of_memory(&request, self.registers(), &self.capabilities, image);
            let text = format!(
                "legal, and stale: memory as it stands says {}, but nothing has been invalidated since it changed",
                payload::describe(&now)
            );
            self.say(&text);
            return Ok(Verdict::LegalStale);
        }
        self.say("legal");
        Ok(Verdict::Legal)
    }

    /// The machine has accepted an operation: a register write, INVLPG or INVPCID, with the operands of contract 3.
    ///
    /// # Errors
    /// [`Code::Argument`]: `op` is above 5. [`Code::Order`]: another is under way.
    pub fn accept_operation(
        &mut self,
        op: u8,
        data: u64,
        address: u64,
        kind: u64,
    ) -> Result<Verdict, Refused> {
        self.stands()?;
        if op > CTRL_INVPCID {
            return refused(Code::Argument, format!("operation {op}; there are 0 to 5"));
        }
        if self.operation.is_some() {
            return refused(Code::Order, "the operation before is not complete");
        }
        let result = self.feed(&[], |inputs, outputs| {
            outputs.control.ready = 1;
            inputs.control = pkg::ControlIn {
                valid: 1,
                op,
                data,
                addr: address,
                kind,
                ..pkg::ControlIn::default()
            };
        });
        self.operation = Some(op < CTRL_INVLPG);
        Ok(self.conclude(result))
    }

    /// The operation is complete, with `fault` if it raised #GP. Requests accepted from here on see its effect.
    ///
    /// # Errors
    /// [`Code::Order`]: none is under way.
    pub fn complete_operation(&mut self, fault: bool) -> Result<Verdict, Refused> {
        self.stands()?;
        let Some(writes) = self.operation.take() else {
            return refused(Code::Order, "no operation is under way");
        };
        if writes && !self.open.is_empty() {
            let count = self.open.len();
            self.lost = true;
            self.illegal += 1;
            self.say(&format!(
                "a register write is complete while requests are outstanding ({count}): register writes serialise"
            ));
            return Ok(Verdict::Illegal);
        }
        let done = |fault: bool| {
            move |inputs: &mut Inputs, outputs: &mut Outputs| {
                inputs.control.resp_ready = 1;
                outputs.control.resp_valid = 1;
                outputs.control.resp_gp = fault.into();
            }
        };
        let mut result = self.feed(&[], done(fault));
        if result.is_err() {
            // Judged; and taken as it should have been.
            let taken = self.feed(&[], done(!fault));
            self.lost = taken.is_err();
            result = result.map_err(|finding| Finding {
                seen: format!("#GP: {fault}"),
                allowed: format!("#GP: {}", !fault),
                ..finding
            });
        }
        Ok(self.conclude(result))
    }

    fn stands(&self) -> Result<(), Refused> {
        if self.lost {
            let text = "what the machine has done leaves nothing to judge by: reset it";
            return refused(Code::Lost, text);
        }
        Ok(())
    }

    fn in_memory(&self, address: u64) -> Result<(), Refused> {
        if !address.is_multiple_of(8) || !self.staleness.image().contains(address) {
            let text = format!("{address:#x} is no multiple of 8 within memory");
            return refused(Code::Argument, text);
        }
        Ok(())
    }

    /// One event as a cycle of the check.
    fn feed(
        &mut self,
        stores: &[Store],
        drive: impl FnOnce(&mut Inputs, &mut Outputs),
    ) -> Result<(), Finding> {
        let mut inputs = Inputs {
            rst_n: 1,
            ..Inputs::default()
        };
        let mut outputs = Outputs::default();
        // What the machine shows of its registers is not reported: only what follows from them.
        let registers = self.staleness.registers();
        outputs.control.cr0 = registers.cr0();
        outputs.control.cr3 = registers.cr3();
        outputs.control.cr4 = registers.cr4();
        outputs.control.efer = registers.efer();
        drive(&mut inputs, &mut outputs);
        let event = self.event;
        self.event += 1;
        self.staleness.observe(event, &inputs, &outputs, stores)
    }

    fn say(&mut self, text: &str) {
        self.explanation.clear();
        self.explanation.push_str(text);
    }

    /// The verdict of anything but a response.
    fn conclude(&mut self, result: Result<(), Finding>) -> Verdict {
        match result {
            Ok(()) => {
                self.say("legal");
                Verdict::Legal
            }
            Err(finding) => {
                self.illegal += 1;
                self.say(&format!(
                    "{} (rule {}); legal: {}",
                    finding.seen, finding.rule, finding.allowed
                ));
                Verdict::Illegal
            }
        }
    }

    fn as_request(&self, open: &Open) -> Request {
        let (port, id) = place(open.slot);
        Request {
            port: port as u8,
            id,
            accepted_cycle: open.event,
            va: match self.registers().paging_mode() {
                mode @ arch::PagingMode::TwoLevel => mode.extend(open.va),
                _ => open.va,
            },
            access: open.access,
        }
    }

    /// Puts the refusal of the response to `tag` into words.
    fn explain_refusal(&mut self, tag: u64) {
        let Some(account) = self.staleness.account() else {
            return;
        };
        let words = Words {
            account: &account,
            unit: "event",
        };
        let sentence = format!("tag {tag}: {}", words.sentence());
        let mut text = String::new();
        let mut part = |title: &str, lines: &[String]| {
            if !lines.is_empty() {
                text.push_str(title);
                text.push('\n');
            }
            for line in lines {
                text.push_str("  ");
                text.push_str(line);
                text.push('\n');
            }
        };
        part("memory as it stands:", &words.walk());
        part("what the response follows from:", &words.outdated());
        part("last invalidations that cover the page:", &words.covering());
        self.account = text;
        self.say(&sentence);
    }
}

/// The port and the id that stand for a slot.
const fn place(slot: u16) -> (usize, u8) {
    ((slot >> 8) as usize, slot as u8)
}

fn known(access: &Access) -> Result<arch::Access, Refused> {
    let kind = AccessKind::ALL.get(usize::from(access.kind)).copied();
    match kind {
        Some(kind) if access.cpl <= 3 && access.ac <= 1 && access.implicit_supervisor <= 1 => {
            Ok(arch::Access {
                kind,
                cpl: access.cpl,
                ac: access.ac != 0,
                implicit_supervisor: access.implicit_supervisor != 0,
                pkru: access.pkru,
            })
        }
        _ => refused(
            Code::Argument,
            format!(
                "kind {}, cpl {}, ac {}, implicit_supervisor {}: at most 2, 3, 1, 1",
                access.kind, access.cpl, access.ac, access.implicit_supervisor
            ),
        ),
    }
}

fn of_payload(payload: &PortOut) -> Outcome {
    Outcome {
        struct_size: size_of::<Outcome>() as u32,
        error_code: payload.resp_error_code.into(),
        status: payload.resp_status,
        page_size: payload.resp_page_size,
        pwt: payload.resp_pwt,
        pcd: payload.resp_pcd,
        pat: payload.resp_pat,
        reserved: [0; 3],
        pa: payload.resp_pa,
        va: payload.resp_va,
    }
}

fn to_payload(outcome: &Outcome) -> Result<PortOut, Refused> {
    let status = PortOut {
        resp_status: outcome.status,
        ..PortOut::ZERO
    };
    match outcome.status {
        pkg::STATUS_TRANSLATED if PageSize::from_code(outcome.page_size).is_none() => {
            refused(Code::Argument, format!("page_size {}", outcome.page_size))
        }
        pkg::STATUS_TRANSLATED => Ok(PortOut {
            resp_page_size: outcome.page_size,
            resp_pwt: u8::from(outcome.pwt != 0),
            resp_pcd: u8::from(outcome.pcd != 0),
            resp_pat: u8::from(outcome.pat != 0),
            resp_pa: outcome.pa,
            ..status
        }),
        pkg::STATUS_PAGE_FAULT => match u16::try_from(outcome.error_code) {
            Ok(code) => Ok(PortOut {
                resp_error_code: code,
                resp_va: outcome.va,
                ..status
            }),
            Err(_) => refused(
                Code::Argument,
                format!("error_code {:#x}", outcome.error_code),
            ),
        },
        pkg::STATUS_GENERAL_PROTECTION | pkg::STATUS_BUS_ERROR => Ok(status),
        other => refused(Code::Argument, format!("status {other}; there are 0 to 3")),
    }
}

/// The user's memory. A compare-and-set finds what was read last, and writes nothing.
struct Foreign<'a> {
    read: &'a mut dyn FnMut(u64) -> Option<u64>,
    last: u64,
}

impl PhysicalMemory for Foreign<'_> {
    fn read_u64(&mut self, address: PhysicalAddress) -> Result<u64, BusError> {
        let address = EntrySlot::cell(address);
        self.last = (self.read)(address.raw()).ok_or(BusError { address })?;
        Ok(self.last)
    }

    fn compare_and_set(
        &mut self,
        _address: PhysicalAddress,
        _mask: u64,
        _expected: u64,
        _new: u64,
    ) -> Result<u64, BusError> {
        Ok(self.last)
    }
}
