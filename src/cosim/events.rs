//! What happened in a cycle, as lines of text: the golden traces and the context of a divergence are made of these.
//!
//! Contract: sections 1.5 (modes), 3 (ports), 4 (formats), 10 (monitor). SDM: none. Counterpart: none.
//!
//! A line is the cycle, a kind and the facts. Only what happened is shown: transfers, not offers; monitor events; registers that
//! changed; what became of the miss queue and the prefetch, where no other line says it; stores of other agents. The order within a cycle
//! is fixed: stores, queues, requests, control, memory, look-ups, walkers, arrays, responses, registers.
//!
//! In 32-bit paging a transfer of memory is shown as that of the entry of 4 bytes, at its own address; an array named for 2 MiB keeps its name, and
//! what is found in it is a hit of 4 MiB.

use std::fmt::{self, Display, Formatter, Write as _};

use super::stimulus::{ControlKind, Store};
use crate::arch::entry::bit;
use crate::arch::registers::{cr0, cr4, efer};
use crate::arch::{EntrySlot, PageFaultCode, PageSize, PagingMode};
use crate::model::liveness::MissWord;
use crate::model::mmu_pkg::{
    ARRAY_FILL, ArrayEvent, ControlOut, Inputs, LOOKUP_BYPASS, LOOKUP_DENIED, LOOKUP_DIRTY_CLEAR,
    LOOKUP_HIT_1G, LOOKUP_HIT_2M, LOOKUP_HIT_4K, LOOKUP_MERGED, LOOKUP_MISS, MAX_PORTS,
    MEM_COMPARE_AND_SET, MEM_READ, MEM_WRITE, MISS_FREE, MISS_RETRY, MISS_WAITING, MemoryOut,
    Outputs, PREFETCH_ENTRY, PSC_LEVELS, Queues, STATUS_BUS_ERROR, STATUS_GENERAL_PROTECTION,
    STATUS_PAGE_FAULT, STATUS_TRANSLATED, TLB_ARRAYS, WALK_BUS_ERROR, WALK_PAGE_FAULT,
    WALK_RESTART, WALK_START, WALK_STOPPED, WALK_TRANSLATED, miss_state,
};

/// Names of the TLB arrays by the contract's numbers.
pub const TLB_NAMES: [&str; TLB_ARRAYS] = [
    "itlb.4k", "itlb.2m", "itlb.1g", "dtlb.4k", "dtlb.2m", "dtlb.1g", "stlb.4k", "stlb.2m",
    "stlb.1g",
];
/// Names of the paging-structure caches by the contract's numbers.
pub const PSC_NAMES: [&str; PSC_LEVELS] = ["psc.pde", "psc.pdpte", "psc.pml4e", "psc.pml5e"];

/// The name of a port.
pub const fn port_name(port: usize) -> &'static str {
    const NAMES: [&str; MAX_PORTS] = ["fetch", "data1", "data2"];
    if port < MAX_PORTS {
        NAMES[port]
    } else {
        "port?"
    }
}

/// The paging mode that a machine's registers show.
pub const fn paging_mode(shown: &ControlOut) -> PagingMode {
    if shown.cr0 & cr0::PG == 0 {
        PagingMode::Off
    } else if shown.efer & efer::LMA == 0 {
        PagingMode::TwoLevel
    } else if shown.cr4 & cr4::LA57 == 0 {
        PagingMode::FourLevel
    } else {
        PagingMode::FiveLevel
    }
}

/// The part of a cell that a transfer with these byte enables is about, if it is one that an entry can be in.
fn slot(byte_enables: u8) -> Option<EntrySlot> {
    [EntrySlot::Whole, EntrySlot::Low, EntrySlot::High]
        .into_iter()
        .find(|slot| slot.byte_enables() == byte_enables)
}

/// Writes the lines of one cycle after another.
///
/// It remembers what it needs of the cycles before: the registers and the queues, to show what of them changes, and which half of a cell an
/// answer of memory is about.
#[derive(Debug, Clone, Default)]
pub struct EventLog {
    registers: [u64; 4],
    queues: Queues,
    /// Of the transfers that are not answered and are about one half: the id, and which.
    halves: Vec<(u8, EntrySlot)>,
}

impl EventLog {
    /// A log at cycle 0, after reset.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the lines of `cycle` to `out`; nothing if nothing happened.
    pub fn write_cycle(
        &mut self,
        cycle: u64,
        inputs: &Inputs,
        outputs: &Outputs,
        stores: &[Store],
        out: &mut String,
    ) {
        let mut lines = Lines { cycle, out };
        let mode = paging_mode(&outputs.control);
        for store in stores {
            let cell = CellBits {
                value: store.value,
                mode,
            };
            lines.add("store", format_args!("{:#x} = {cell}", store.address));
        }
        if outputs.queues != self.queues {
            queues(&self.queues, &outputs.queues, &mut lines);
            self.queues = outputs.queues;
        }
        requests(inputs, outputs, &mut lines);
        control(inputs, outputs, &mut lines);
        self.memory(inputs, outputs, &mut lines);
        lookups(outputs, mode, &mut lines);
        walks(outputs, &mut lines);
        arrays(outputs, &mut lines);
        responses(inputs, outputs, &mut lines);
        let shown = &outputs.control;
        let now = [shown.cr0, shown.cr3, shown.cr4, shown.efer];
        for ((name, value), before) in ["cr0", "cr3", "cr4", "efer"]
            .iter()
            .zip(now)
            .zip(self.registers)
        {
            if value != before {
                lines.add("register", format_args!("{name} = {value:#x}"));
            }
        }
        self.registers = now;
    }

    fn memory(&mut self, inputs: &Inputs, outputs: &Outputs, lines: &mut Lines) {
        let (pins, shown) = (&inputs.memory, &outputs.memory);
        if pins.resp_valid != 0 && shown.resp_ready != 0 {
            let id = pins.resp_id;
            let half = self.halves.iter().position(|half| half.0 == id);
            let slot = half.map_or(EntrySlot::Whole, |half| self.halves.swap_remove(half).1);
            let entry = EntryBits(slot.extract(pins.resp_data).raw());
            let beside = pins.resp_data & !slot.mask();
            if pins.resp_error != 0 {
                lines.add("memory", format_args!("#{id} bus error"));
            } else if beside != 0 {
                lines.add(
                    "memory",
                    format_args!(
                        "#{id} gives {entry} beside {:#x}",
                        beside >> beside_shift(slot)
                    ),
                );
            } else {
                lines.add("memory", format_args!("#{id} gives {entry}"));
            }
        }
        if shown.req_valid == 0 || pins.req_ready == 0 {
            return;
        }
        let slot = slot(shown.req_be);
        if let Some(half @ (EntrySlot::Low | EntrySlot::High)) = slot {
            self.halves.push((shown.req_id, half));
        }
        memory_request(shown, slot, lines);
    }
}

/// Lowest bit of the half that is not `slot`'s.
const fn beside_shift(slot: EntrySlot) -> u32 {
    match slot {
        EntrySlot::Low => 32,
        EntrySlot::Whole | EntrySlot::High => 0,
    }
}

struct Lines<'a> {
    cycle: u64,
    out: &'a mut String,
}

impl Lines<'_> {
    fn add(&mut self, kind: &str, facts: impl Display) {
        // Writing into a string does not fail.
        let _ = writeln!(self.out, "{:>7}  {kind:<9} {facts}", self.cycle);
    }
}

fn requests(inputs: &Inputs, outputs: &Outputs, lines: &mut Lines) {
    for (port, (pins, shown)) in inputs.ports.iter().zip(&outputs.ports).enumerate() {
        if pins.req_valid == 0 || shown.req_ready == 0 {
            continue;
        }
        let kind = ["read", "write", "fetch", "kind?"][usize::from(pins.req_kind & 3)];
        let mut facts = format!(
            "{} #{} {kind} {:#x}",
            port_name(port),
            pins.req_id,
            pins.req_va
        );
        let _ = write!(facts, " cpl {}", pins.req_cpl);
        if pins.req_ac != 0 {
            facts.push_str(" ac");
        }
        if pins.req_implicit_supervisor != 0 {
            facts.push_str(" implicit");
        }
        if pins.req_pkru != 0 {
            let _ = write!(facts, " pkru {:#x}", pins.req_pkru);
        }
        lines.add("request", facts);
    }
}

fn control(inputs: &Inputs, outputs: &Outputs, lines: &mut Lines) {
    let (pins, shown) = (&inputs.control, &outputs.control);
    if shown.resp_valid != 0 && pins.resp_ready != 0 {
        let what = if shown.resp_gp != 0 {
            "#GP: nothing changed"
        } else {
            "done"
        };
        lines.add("control", what);
    }
    if pins.valid == 0 || shown.ready == 0 {
        return;
    }
    let kind = ControlKind::ALL.get(usize::from(pins.op));
    match kind {
        Some(ControlKind::Invpcid) => lines.add(
            "control",
            format_args!(
                "invpcid type {} pcid {:#x} va {:#x}",
                pins.kind, pins.data, pins.addr
            ),
        ),
        Some(kind) => lines.add("control", format_args!("{} {:#x}", kind.name(), pins.data)),
        None => lines.add("control", format_args!("operation {}", pins.op)),
    }
}

/// A transfer that memory has accepted; `slot` is `None` with byte enables that no entry has.
fn memory_request(shown: &MemoryOut, slot: Option<EntrySlot>, lines: &mut Lines) {
    let id = shown.req_id;
    let place = slot.unwrap_or(EntrySlot::Whole);
    let address = shown.req_addr
        + match place {
            EntrySlot::High => 4,
            EntrySlot::Whole | EntrySlot::Low => 0,
        };
    let of = match slot {
        Some(EntrySlot::Whole) => String::new(),
        Some(EntrySlot::Low | EntrySlot::High) => " (4 bytes)".to_owned(),
        None => format!(" (bytes {:#04x})", shown.req_be),
    };
    let entry = |data| place.extract(data).raw();
    match shown.req_op {
        MEM_READ => lines.add("memory", format_args!("#{id} read {address:#x}{of}")),
        MEM_WRITE => lines.add(
            "memory",
            format_args!(
                "#{id} write {address:#x}{of} = {:#x}",
                entry(shown.req_wdata)
            ),
        ),
        MEM_COMPARE_AND_SET => lines.add(
            "memory",
            format_args!(
                "#{id} compare-and-set {address:#x}{of} from {:#x} to {}",
                entry(shown.req_expected),
                EntryBits(entry(shown.req_wdata))
            ),
        ),
        other => lines.add(
            "memory",
            format_args!("#{id} operation {other} {address:#x}{of}"),
        ),
    }
}

fn lookup_text(code: u8, mode: PagingMode) -> &'static str {
    match code {
        LOOKUP_HIT_2M if mode == PagingMode::TwoLevel => "hit 4m",
        LOOKUP_HIT_4K => "hit 4k",
        LOOKUP_HIT_2M => "hit 2m",
        LOOKUP_HIT_1G => "hit 1g",
        LOOKUP_MISS => "miss",
        LOOKUP_MERGED => "miss, waits",
        LOOKUP_DENIED => "hit, denied",
        LOOKUP_DIRTY_CLEAR => "hit, write with D clear",
        LOOKUP_BYPASS => "no look-up: paging off, or not canonical",
        _ => "code?",
    }
}

fn lookups(outputs: &Outputs, mode: PagingMode, lines: &mut Lines) {
    let monitor = &outputs.monitor;
    for (port, code) in monitor.lookup.iter().enumerate() {
        if *code != 0 {
            let level = if port == 0 { "itlb" } else { "dtlb" };
            let retries = monitor.lookup_retry[port] != 0;
            let again = if retries { " again:" } else { "" };
            let mut facts = format!("{}{again} {}", port_name(port), lookup_text(*code, mode));
            if retries || matches!(*code, LOOKUP_MISS..=LOOKUP_DIRTY_CLEAR | LOOKUP_MERGED) {
                let _ = write!(facts, ", entry {}", monitor.lookup_entry[port]);
            }
            lines.add(level, facts);
        }
    }
    if monitor.stlb_lookup != 0 {
        let who = owner(monitor.stlb_port, monitor.stlb_entry);
        lines.add(
            "stlb",
            format_args!("{who}: {}", lookup_text(monitor.stlb_lookup, mode)),
        );
    }
}

/// For whom the STLB or a walker works.
fn owner(port: u8, entry: u8) -> String {
    if entry == PREFETCH_ENTRY {
        "prefetch".to_owned()
    } else {
        format!("{} entry {entry}", port_name(usize::from(port)))
    }
}

/// What became of the queues, where look-ups and walks do not say it.
fn queues(before: &Queues, now: &Queues, lines: &mut Lines) {
    for (entry, (old, new)) in before.miss.iter().zip(now.miss).enumerate() {
        let (was, is) = (miss_state(*old), miss_state(new));
        if is == MISS_WAITING && was != MISS_WAITING {
            let primary = MissWord::new(new).primary;
            lines.add(
                "queue",
                format_args!("entry {entry} waits for entry {primary}"),
            );
        }
        let has_right = |state: u32| !matches!(state, MISS_FREE | MISS_WAITING | MISS_RETRY);
        if has_right(was) && has_right(is) && *old >> 13 & 1 != 0 && new >> 13 & 1 == 0 {
            lines.add("queue", format_args!("entry {entry} may not fill"));
        }
    }
    let (was, is) = (before.prefetch, now.prefetch);
    if was & 3 == 0 && is & 3 != 0 {
        lines.add("queue", format_args!("prefetch of {:#x}", is & !0xfff));
    } else if was & 4 != 0 && is & 3 != 0 && is & 4 == 0 {
        lines.add("queue", "prefetch may not fill");
    } else if matches!(was & 3, 1 | 2) && is & 3 == 0 {
        lines.add("queue", "prefetch ends");
    }
}

fn walks(outputs: &Outputs, lines: &mut Lines) {
    let walkers = outputs.monitor.walk.iter().enumerate();
    for (walker, event) in walkers.filter(|(_, event)| event.op != 0) {
        let who = owner(event.port, event.entry);
        let filled = if event.filled != 0 {
            "translated, fills"
        } else {
            "translated, fills nothing"
        };
        let what = match (event.op, event.psc_level) {
            (WALK_START, 0) => "starts at CR3".to_owned(),
            (WALK_START, level) => format!("starts below a cached {}", level_name(level)),
            (WALK_RESTART, _) => "starts again at CR3".to_owned(),
            (WALK_TRANSLATED, _) => filled.to_owned(),
            (WALK_PAGE_FAULT, _) => "page fault".to_owned(),
            (WALK_BUS_ERROR, _) => "bus error".to_owned(),
            (WALK_STOPPED, _) => "stopped".to_owned(),
            (other, _) => format!("event {other}"),
        };
        lines.add("walk", format_args!("#{walker} {who} {what}"));
    }
}

const fn level_name(level: u8) -> &'static str {
    match level {
        1 => "PTE",
        2 => "PDE",
        3 => "PDPTE",
        4 => "PML4E",
        5 => "PML5E",
        _ => "level?",
    }
}

fn arrays(outputs: &Outputs, lines: &mut Lines) {
    for (name, event) in TLB_NAMES.iter().zip(&outputs.monitor.tlb) {
        let place = format!("{name} set {}", event.set);
        array(&place, event, lines, |tag, data| {
            TlbEntry { tag, data }.to_string()
        });
    }
    for (name, event) in PSC_NAMES.iter().zip(&outputs.monitor.psc) {
        array(name, event, lines, |tag, data| {
            PscEntry { tag, data }.to_string()
        });
    }
}

fn array(place: &str, event: &ArrayEvent, lines: &mut Lines, entry: fn(u64, u64) -> String) {
    if event.op == 0 {
        return;
    }
    if event.op != ARRAY_FILL {
        lines.add(
            "remove",
            format_args!("{place} ways {}", Ways(event.removed)),
        );
        return;
    }
    let text = entry(event.tag, event.data);
    lines.add("fill", format_args!("{place} way {}: {text}", event.way));
    if event.removed >> (event.way & 63) & 1 != 0 {
        let victim = entry(event.victim_tag, event.victim_data);
        lines.add("evict", format_args!("{place} way {}: {victim}", event.way));
    }
    let others = event.removed & !(1u64 << (event.way & 63));
    if others != 0 {
        lines.add("evict", format_args!("{place} ways {}", Ways(others)));
    }
}

fn responses(inputs: &Inputs, outputs: &Outputs, lines: &mut Lines) {
    for (port, (pins, shown)) in inputs.ports.iter().zip(&outputs.ports).enumerate() {
        if shown.resp_valid == 0 || pins.resp_ready == 0 {
            continue;
        }
        let who = format!("{} #{}", port_name(port), shown.resp_id);
        match shown.resp_status {
            STATUS_TRANSLATED => {
                let size =
                    PageSize::from_code(shown.resp_page_size).map_or("size?", PageSize::name);
                let mut facts = format!("{who} pa {:#x} {size}", shown.resp_pa);
                for (name, value) in [
                    ("pwt", shown.resp_pwt),
                    ("pcd", shown.resp_pcd),
                    ("pat", shown.resp_pat),
                ] {
                    if value != 0 {
                        let _ = write!(facts, " {name}");
                    }
                }
                lines.add("response", facts);
            }
            STATUS_PAGE_FAULT => {
                let code = PageFaultCode(u32::from(shown.resp_error_code));
                lines.add(
                    "response",
                    format_args!(
                        "{who} page fault at {:#x}, error code {code}",
                        shown.resp_va
                    ),
                );
            }
            STATUS_GENERAL_PROTECTION => {
                lines.add("response", format_args!("{who} general protection"));
            }
            STATUS_BUS_ERROR => lines.add("response", format_args!("{who} bus error")),
            other => lines.add("response", format_args!("{who} status {other}")),
        }
    }
}

/// A mask of ways as a list.
struct Ways(u64);

impl Display for Ways {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for way in (0..64).filter(|way| self.0 >> way & 1 != 0) {
            write!(f, "{separator}{way}")?;
            separator = ",";
        }
        Ok(())
    }
}

/// A paging-structure entry with the names of the bits that mean the same at every level, and of those of a leaf.
pub struct EntryBits(pub u64);

impl Display for EntryBits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)?;
        if self.0 & bit::P == 0 {
            return Ok(());
        }
        f.write_str(" (P")?;
        for (mask, name) in [
            (bit::RW, "RW"),
            (bit::US, "US"),
            (bit::A, "A"),
            (bit::D, "D"),
            (bit::PS, "PS"),
            (bit::G, "G"),
            (bit::XD, "XD"),
        ] {
            if self.0 & mask != 0 {
                write!(f, " {name}")?;
            }
        }
        f.write_str(")")
    }
}

/// A cell: one entry of 8 bytes, or in 32-bit paging two of 4, that of the lower address first.
struct CellBits {
    value: u64,
    mode: PagingMode,
}

impl Display for CellBits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.mode != PagingMode::TwoLevel {
            return write!(f, "{}", EntryBits(self.value));
        }
        let [low, high] =
            [EntrySlot::Low, EntrySlot::High].map(|slot| slot.extract(self.value).raw());
        write!(f, "{}, {}", EntryBits(low), EntryBits(high))
    }
}

/// An address whose bits above 56 repeat bit 56: the canonical form in every mode, since bits 56:48 repeat bit 47 in 4-level paging, and are 0 in
/// 32-bit paging.
const fn sign_extended(va: u64) -> u64 {
    ((va << 7) as i64 >> 7) as u64
}

fn rights(f: &mut Formatter<'_>, data: u64) -> fmt::Result {
    f.write_str(if data >> 40 & 1 != 0 { " rw" } else { " ro" })?;
    if data >> 41 & 1 != 0 {
        f.write_str(" user")?;
    }
    if data >> 42 & 1 != 0 {
        f.write_str(" xd")?;
    }
    Ok(())
}

/// A TLB entry in the monitor's format (contract 4.1).
pub struct TlbEntry {
    /// Page number, PCID, global.
    pub tag: u64,
    /// Frame and attributes.
    pub data: u64,
}

impl Display for TlbEntry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (tag, data) = (self.tag, self.data);
        let va = sign_extended((tag & ((1 << 45) - 1)) << 12);
        let pa = (data & ((1 << 40) - 1)) << 12;
        write!(f, "va {va:#x} pa {pa:#x} pcid {}", tag >> 45 & 0xfff)?;
        if tag >> 57 & 1 != 0 {
            f.write_str(" global")?;
        }
        rights(f, data)?;
        if data >> 43 & 1 != 0 {
            f.write_str(" dirty")?;
        }
        if data >> 44 & 0xf != 0 {
            write!(f, " key {}", data >> 44 & 0xf)?;
        }
        for (shift, name) in [(48, "pwt"), (49, "pcd"), (50, "pat")] {
            if data >> shift & 1 != 0 {
                write!(f, " {name}")?;
            }
        }
        Ok(())
    }
}

/// A paging-structure-cache entry in the monitor's format (contract 4.2).
pub struct PscEntry {
    /// Prefix and PCID.
    pub tag: u64,
    /// Table and rights.
    pub data: u64,
}

impl Display for PscEntry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let va = sign_extended((self.tag & ((1 << 36) - 1)) << 21);
        let table = (self.data & ((1 << 40) - 1)) << 12;
        let pcid = self.tag >> 36 & 0xfff;
        write!(f, "va {va:#x} table {table:#x} pcid {pcid}")?;
        rights(f, self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(inputs: &Inputs, outputs: &Outputs) -> String {
        let mut out = String::new();
        EventLog::new().write_cycle(7, inputs, outputs, &[], &mut out);
        out
    }

    #[test]
    fn a_quiet_cycle_has_no_lines_and_an_offer_is_not_a_transfer() {
        let mut inputs = Inputs::default();
        assert_eq!(lines(&inputs, &Outputs::default()), "");
        inputs.ports[1].req_valid = 1;
        assert_eq!(lines(&inputs, &Outputs::default()), "");
        let mut outputs = Outputs::default();
        outputs.ports[1].req_ready = 1;
        assert_eq!(
            lines(&inputs, &outputs),
            "      7  request   data1 #0 read 0x0 cpl 0\n"
        );
    }

    #[test]
    fn a_fill_shows_its_entry_and_what_it_replaced() {
        let mut outputs = Outputs::default();
        outputs.monitor.tlb[3] = ArrayEvent {
            op: ARRAY_FILL,
            way: 1,
            set: 2,
            removed: 0b110,
            tag: 0x1fff_ffff_ffff | 5 << 45 | 1 << 57,
            data: 0x12345 | 1 << 40 | 1 << 43 | 9 << 44,
            victim_tag: 3,
            victim_data: 4 | 1 << 41 | 1 << 42,
            ..ArrayEvent::default()
        };
        let text = lines(&Inputs::default(), &outputs);
        let expected = "      7  fill      dtlb.4k set 2 way 1: va 0xfffffffffffff000 pa 0x12345000 pcid 5 global rw dirty key 9\n\
                        \u{20}     7  evict     dtlb.4k set 2 way 1: va 0x3000 pa 0x4000 pcid 0 ro user xd\n\
                        \u{20}     7  evict     dtlb.4k set 2 ways 2\n";
        assert_eq!(text, expected);
    }

    /// The lines of cycles in 32-bit paging, the register event of the first left out.
    fn lines_of_32_bit_paging(cycles: &mut [(Inputs, Outputs)], stores: &[Store]) -> String {
        let mut log = EventLog {
            registers: [cr0::PE | cr0::PG, 0, 0, 0],
            ..EventLog::new()
        };
        let mut out = String::new();
        for (inputs, outputs) in cycles {
            outputs.control.cr0 = cr0::PE | cr0::PG;
            log.write_cycle(7, inputs, outputs, stores, &mut out);
        }
        out
    }

    #[test]
    fn an_entry_of_4_bytes_is_shown_at_its_own_address_and_what_stands_beside_it_apart() {
        let mut cycles = [(); 4].map(|()| (Inputs::default(), Outputs::default()));
        for (turn, be) in [(0, 0xf0), (2, 0x0f)] {
            let (inputs, outputs) = &mut cycles[turn];
            inputs.memory.req_ready = 1;
            outputs.memory.req_valid = 1;
            outputs.memory.req_op = if turn == 0 {
                MEM_READ
            } else {
                MEM_COMPARE_AND_SET
            };
            outputs.memory.req_addr = 0x2008;
            outputs.memory.req_be = be;
            outputs.memory.req_expected = 0x9003;
            outputs.memory.req_wdata = 0x9023;
            let (inputs, outputs) = &mut cycles[turn + 1];
            inputs.memory.resp_valid = 1;
            inputs.memory.resp_data = 0xa067_0000_9003;
            outputs.memory.resp_ready = 1;
        }
        assert_eq!(
            lines_of_32_bit_paging(&mut cycles, &[]),
            "      7  memory    #0 read 0x200c (4 bytes)\n\
             \u{20}     7  memory    #0 gives 0xa067 (P RW US A D) beside 0x9003\n\
             \u{20}     7  memory    #0 compare-and-set 0x2008 (4 bytes) from 0x9003 to 0x9023 (P RW A)\n\
             \u{20}     7  memory    #0 gives 0x9003 (P RW) beside 0xa067\n"
        );
    }

    #[test]
    fn in_32_bit_paging_pages_are_of_4m_and_a_cell_has_two_entries() {
        let mut cycles = [(Inputs::default(), Outputs::default())];
        let (inputs, outputs) = &mut cycles[0];
        outputs.monitor.lookup[1] = LOOKUP_HIT_2M;
        outputs.monitor.tlb[4] = ArrayEvent {
            op: ARRAY_FILL,
            tag: 0xffc00,
            data: 0xff_ffc00 | 1 << 40,
            ..ArrayEvent::default()
        };
        outputs.ports[1].resp_valid = 1;
        inputs.ports[1].resp_ready = 1;
        outputs.ports[1].resp_page_size = 3;
        outputs.ports[1].resp_pa = 0xff_ffc0_1234;
        let store = Store {
            address: 0x1000,
            value: 0x9003_0000_0001,
        };
        assert_eq!(
            lines_of_32_bit_paging(&mut cycles, &[store]),
            "      7  store     0x1000 = 0x1 (P), 0x9003 (P RW)\n\
             \u{20}     7  dtlb      data1 hit 4m\n\
             \u{20}     7  fill      dtlb.2m set 0 way 0: va 0xffc00000 pa 0xffffc00000 pcid 0 rw\n\
             \u{20}     7  response  data1 #0 pa 0xffffc01234 4m\n"
        );
    }

    #[test]
    fn byte_enables_that_no_entry_has_are_shown() {
        let mut cycles = [(Inputs::default(), Outputs::default())];
        let (inputs, outputs) = &mut cycles[0];
        inputs.memory.req_ready = 1;
        outputs.memory.req_valid = 1;
        outputs.memory.req_be = 0x3c;
        let text = lines_of_32_bit_paging(&mut cycles, &[]);
        assert_eq!(text, "      7  memory    #0 read 0x0 (bytes 0x3c)\n");
    }

    #[test]
    fn registers_are_shown_when_they_change() {
        let mut outputs = Outputs::default();
        outputs.control.cr3 = 0x5000;
        let mut log = EventLog::new();
        let mut out = String::new();
        log.write_cycle(1, &Inputs::default(), &outputs, &[], &mut out);
        log.write_cycle(2, &Inputs::default(), &outputs, &[], &mut out);
        assert_eq!(out, "      1  register  cr3 = 0x5000\n");
    }
}
