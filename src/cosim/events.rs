//! What happened in a cycle, as lines of text: the golden traces and the context of a divergence are made of these.
//!
//! Contract: sections 1.5 (modes), 3 (ports), 4 (formats), 10 (monitor). SDM: none. Counterpart: none.
//!
//! A line is the cycle, a kind and the facts. Only what happened is shown: transfers, not offers; monitor events; registers that
//! changed; what became of the miss queue and the prefetch, where no other line says it; stores of other agents. The order within a cycle
//! is fixed: stores, queues, requests, control, memory, look-ups, walkers, arrays, responses, registers.
//!
//! In 32-bit paging a transfer of memory is shown as that of the entry of 4 bytes, at its own address; an array named for 2 MiB keeps its name, and
//! what is found in it is a hit of 4 MiB. An entry of an array of several page sizes is shown with its kept size, and a piece with the size of its page.

mod entries;
mod names;
pub mod removal;

use std::fmt::{self, Display, Formatter, Write as _};

pub use self::entries::{CellBits, EntryBits, PscEntry, TlbEntry};
pub use self::names::ArrayNames;

use super::stimulus::{ControlKind, Store};
use crate::arch::registers::{cr0, cr4, efer};
use crate::arch::{EntrySlot, PageFaultCode, PageSize, PagingMode};
use crate::model::liveness::MissWord;
use crate::model::mmu_pkg::{
    ARRAY_FILL, ArrayEvent, ControlOut, Inputs, LOOKUP_BYPASS, LOOKUP_DENIED, LOOKUP_DIRTY_CLEAR,
    LOOKUP_HIT_1G, LOOKUP_HIT_2M, LOOKUP_HIT_4K, LOOKUP_MERGED, LOOKUP_MISS, MAX_PORTS,
    MEM_COMPARE_AND_SET, MEM_READ, MEM_WRITE, MISS_FREE, MISS_RETRY, MISS_WAITING, MemoryOut,
    Outputs, PREFETCH_ENTRY, Queues, STATUS_BUS_ERROR, STATUS_GENERAL_PROTECTION,
    STATUS_PAGE_FAULT, STATUS_TRANSLATED, WALK_BUS_ERROR, WALK_PAGE_FAULT, WALK_RESTART,
    WALK_START, WALK_STOPPED, WALK_TRANSLATED, miss_state,
};

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

/// Writes the lines of one cycle after another.
///
/// It remembers what it needs of the cycles before: the registers and the queues, to show what of them changes, and which half of a cell an
/// answer of memory is about.
#[derive(Debug, Clone)]
pub struct EventLog {
    names: ArrayNames,
    registers: [u64; 4],
    queues: Queues,
    /// Of the transfers that are not answered and are about one half: the id, and which.
    halves: Vec<(u8, EntrySlot)>,
}

impl EventLog {
    /// A log at cycle 0, after reset, of a machine whose arrays are called so.
    pub fn new(names: ArrayNames) -> Self {
        Self {
            names,
            registers: [0; 4],
            queues: Queues::default(),
            halves: Vec::new(),
        }
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
        arrays(&self.names, outputs, &mut lines);
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
        let slot = EntrySlot::of_byte_enables(shown.req_be);
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

fn arrays(names: &ArrayNames, outputs: &Outputs, lines: &mut Lines) {
    let happened = |event: &(usize, &ArrayEvent)| event.1.op != 0;
    for (number, event) in outputs.monitor.tlb.iter().enumerate().filter(happened) {
        let place = format!("{} set {}", names.tlb(number), event.set);
        if event.op != ARRAY_FILL {
            removals(names.tlb(number), true, removal::of_tlb(event), lines);
            continue;
        }
        fill(&place, event, lines, |tag, data| {
            TlbEntry { tag, data }.text(names.holds_several(number))
        });
    }
    for (number, event) in outputs.monitor.psc.iter().enumerate().filter(happened) {
        if event.op != ARRAY_FILL {
            let losses = removal::of_psc(event, names.psc_ways(number));
            removals(names.psc(number), names.psc_has_sets(number), losses, lines);
            continue;
        }
        let mut place = names.psc(number).to_owned();
        if names.psc_has_sets(number) {
            let _ = write!(place, " set {}", event.set);
        }
        fill(&place, event, lines, |tag, data| {
            PscEntry { tag, data }.to_string()
        });
    }
}

/// What an array or a cache loses, set by set.
fn removals(name: &str, has_sets: bool, losses: Vec<(u64, u64)>, lines: &mut Lines) {
    for (set, ways) in losses {
        let ways = Ways(ways);
        if has_sets {
            lines.add("remove", format_args!("{name} set {set} ways {ways}"));
        } else {
            lines.add("remove", format_args!("{name} ways {ways}"));
        }
    }
}

fn fill(place: &str, event: &ArrayEvent, lines: &mut Lines, entry: impl Fn(u64, u64) -> String) {
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

#[cfg(test)]
mod tests;
