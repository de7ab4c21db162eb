//! The outputs of a cycle taken apart into parts with decoded fields: what a story lays side by side.
//!
//! Contract: sections 3 (ports), 4 (formats), 10 (monitor). SDM: none. Counterpart: `src/cosim/signals.rs`, the same signals as they are.

use super::log::sign_extended;
use crate::arch::{EntrySlot, PageFaultCode, PageSize, PagingMode};
use crate::cosim::events::{ArrayNames, EntryBits, paging_mode, port_name};
use crate::model::liveness::{MissWord, WALKER_STATES, WalkerWord};
use crate::model::mmu_pkg::{
    ARRAY_FILL, ARRAY_INVALIDATE, ArrayEvent, Outputs, PREFETCH_ENTRY, PortOut,
};
use crate::model::performance_counters::EVENTS;

/// What a field shows that nothing happened in.
pub(super) const NOTHING: &str = "-";

/// What signals a part consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Accept,
    Response,
    Control,
    Memory,
    Tlb,
    Psc,
    Walk,
    Lookup,
    Stlb,
    Miss,
    Walker,
    Prefetch,
    Counter,
}

/// A part of the outputs.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub kind: Kind,
    pub index: usize,
    pub name: String,
    pub fields: Vec<(&'static str, String)>,
}

impl Part {
    /// Whether a signal of the contract, by its name in a finding, is of this part.
    pub fn has(&self, signal: &str) -> bool {
        let (base, index) = match signal.split_once('[') {
            None => (signal, 0),
            Some((base, index)) => (base, index.trim_end_matches(']').parse().unwrap_or(0)),
        };
        let prefix = match self.kind {
            Kind::Accept => "req_ready",
            Kind::Response => "resp_",
            Kind::Memory => "mem_",
            Kind::Tlb => "mon_tlb_",
            Kind::Psc => "mon_psc_",
            Kind::Walk => "mon_walk_",
            Kind::Lookup => "mon_lookup",
            Kind::Stlb => "mon_stlb_",
            Kind::Miss => "mon_miss_",
            Kind::Walker => "mon_walker_",
            Kind::Prefetch => "mon_prefetch_",
            Kind::Counter => "perf_",
            Kind::Control => {
                return base.starts_with("ctrl_") || base.starts_with("cr") || base == "efer_o";
            }
        };
        base.starts_with(prefix) && index == self.index
    }
}

/// All parts of a cycle, in a fixed order.
pub(super) fn parts(outputs: &Outputs, names: &ArrayNames) -> Vec<Part> {
    let mode = paging_mode(&outputs.control);
    let mut parts = Vec::new();
    let mut add = |kind, index, name: String, fields| {
        parts.push(Part {
            kind,
            index,
            name,
            fields,
        })
    };
    for (port, _) in outputs.ports.iter().enumerate() {
        add(
            Kind::Response,
            port,
            format!("response of {}", port_name(port)),
            response(outputs, port),
        );
        let ready = vec![("ready for a request", yes(outputs.ports[port].req_ready))];
        add(
            Kind::Accept,
            port,
            format!("requests of {}", port_name(port)),
            ready,
        );
    }
    add(
        Kind::Control,
        0,
        "control and registers".to_owned(),
        control(outputs),
    );
    add(
        Kind::Memory,
        0,
        "memory request".to_owned(),
        memory(outputs, mode),
    );
    for (array, event) in outputs.monitor.tlb.iter().enumerate() {
        add(
            Kind::Tlb,
            array,
            names.tlb(array).to_owned(),
            array_event(event, tlb_entry),
        );
    }
    for (cache, event) in outputs.monitor.psc.iter().enumerate() {
        add(
            Kind::Psc,
            cache,
            names.psc(cache).to_owned(),
            array_event(event, psc_entry),
        );
    }
    for (walker, event) in outputs.monitor.walk.iter().enumerate() {
        let said = walk_name(event.op).to_owned();
        let of = if event.op == 0 {
            NOTHING.to_owned()
        } else {
            owner(event.port, event.entry)
        };
        let fields = vec![
            ("says", said),
            ("for", of),
            ("begins below", psc_level(event.op, event.psc_level)),
            (
                "may fill",
                if event.op == 3 {
                    yes(event.filled)
                } else {
                    NOTHING.to_owned()
                },
            ),
        ];
        add(
            Kind::Walk,
            walker,
            format!("walk of walker {walker}"),
            fields,
        );
    }
    let monitor = &outputs.monitor;
    for port in 0..monitor.lookup.len() {
        let code = monitor.lookup[port];
        let fields = vec![
            ("answer", lookup_name(code).to_owned()),
            (
                "miss-queue entry",
                dash(code, monitor.lookup_entry[port].to_string()),
            ),
            ("again", dash(code, yes(monitor.lookup_retry[port]))),
        ];
        add(
            Kind::Lookup,
            port,
            format!("first-level look-up of {}", port_name(port)),
            fields,
        );
    }
    let code = monitor.stlb_lookup;
    let fields = vec![
        ("answer", lookup_name(code).to_owned()),
        (
            "for",
            dash(code, owner(monitor.stlb_port, monitor.stlb_entry)),
        ),
    ];
    add(Kind::Stlb, 0, "stlb look-up".to_owned(), fields);
    for (entry, word) in outputs.queues.miss.iter().enumerate() {
        add(
            Kind::Miss,
            entry,
            format!("miss-queue entry {entry}"),
            miss(*word),
        );
    }
    for (walker, word) in outputs.queues.walker.iter().enumerate() {
        let WalkerWord {
            state,
            entry,
            level,
            ..
        } = WalkerWord::new(walker, *word);
        let fields = vec![
            ("state", WALKER_STATES[state as usize & 7].to_owned()),
            (
                "entry",
                if state == 0 {
                    NOTHING.to_owned()
                } else {
                    entry.to_string()
                },
            ),
            (
                "level",
                if level == 0 {
                    NOTHING.to_owned()
                } else {
                    level.to_string()
                },
            ),
        ];
        add(Kind::Walker, walker, format!("walker {walker}"), fields);
    }
    let prefetch = outputs.queues.prefetch;
    let busy = (prefetch & 3) as u8;
    let fields = vec![
        (
            "state",
            ["FREE", "PROBE", "WALK_WAIT", "WALKING"][usize::from(busy)].to_owned(),
        ),
        ("may fill", dash(busy, yes((prefetch >> 2 & 1) as u8))),
        (
            "page",
            dash(busy, hex(sign_extended(prefetch & 0x01ff_ffff_ffff_f000))),
        ),
    ];
    add(Kind::Prefetch, 0, "prefetch".to_owned(), fields);
    for (number, count) in outputs.perf.iter().enumerate() {
        let name = EVENTS.get(number).map_or("?", |event| event.name);
        add(
            Kind::Counter,
            number,
            format!("counter {number}, {name}"),
            vec![("count", count.to_string())],
        );
    }
    parts
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
}

fn yes(bit: u8) -> String {
    if bit == 0 { "no" } else { "yes" }.to_owned()
}

/// `text` where something happened.
fn dash(code: u8, text: String) -> String {
    if code == 0 { NOTHING.to_owned() } else { text }
}

fn owner(port: u8, entry: u8) -> String {
    if entry == PREFETCH_ENTRY {
        "prefetch".to_owned()
    } else {
        format!("{} entry {entry}", port_name(usize::from(port)))
    }
}

/// What a code of `mon_walk_op_o` says.
pub(super) const fn walk_name(op: u8) -> &'static str {
    const NAMES: [&str; 7] = [
        NOTHING,
        "start",
        "restart",
        "translated",
        "page fault",
        "bus error",
        "stopped",
    ];
    if (op as usize) < NAMES.len() {
        NAMES[op as usize]
    } else {
        "code?"
    }
}

/// What a code of a look-up says.
pub(super) const fn lookup_name(code: u8) -> &'static str {
    const NAMES: [&str; 9] = [
        NOTHING,
        "hit 4k",
        "hit 2m/4m",
        "hit 1g",
        "miss",
        "hit, denied",
        "hit, write with D clear",
        "no look-up",
        "miss, waits",
    ];
    if (code as usize) < NAMES.len() {
        NAMES[code as usize]
    } else {
        "code?"
    }
}

/// What an entry of a level is called.
pub(super) const fn entry_name(level: u8) -> &'static str {
    const NAMES: [&str; 6] = ["root", "PTE", "PDE", "PDPTE", "PML4E", "PML5E"];
    if (level as usize) < NAMES.len() {
        NAMES[level as usize]
    } else {
        "level?"
    }
}

fn psc_level(op: u8, level: u8) -> String {
    match (op, level) {
        (1 | 2, 0) => "CR3 (no cached table)".to_owned(),
        (1 | 2, level) => format!("a cached {}", entry_name(level)),
        _ => NOTHING.to_owned(),
    }
}

/// What a response says, in words.
pub(super) fn status_name(status: u8) -> &'static str {
    const NAMES: [&str; 4] = [
        "translated",
        "page fault",
        "general protection",
        "bus error",
    ];
    NAMES.get(usize::from(status)).copied().unwrap_or("status?")
}

pub(super) fn size_name(code: u64) -> &'static str {
    PageSize::from_code((code & 3) as u8).map_or("size?", PageSize::name)
}

fn response(outputs: &Outputs, port: usize) -> Vec<(&'static str, String)> {
    of_response(&outputs.ports[port])
}

/// The fields of a response.
pub(super) fn of_response(shown: &PortOut) -> Vec<(&'static str, String)> {
    let valid = shown.resp_valid;
    let translated = valid & u8::from(shown.resp_status == 0);
    let faults = valid & u8::from(shown.resp_status == 1);
    let cache = format!(
        "pwt {} pcd {} pat {}",
        shown.resp_pwt, shown.resp_pcd, shown.resp_pat
    );
    let code = PageFaultCode(u32::from(shown.resp_error_code));
    vec![
        ("request id", dash(valid, format!("#{}", shown.resp_id))),
        (
            "outcome",
            dash(valid, status_name(shown.resp_status).to_owned()),
        ),
        ("pa", dash(translated, hex(shown.resp_pa))),
        (
            "page size",
            dash(
                translated,
                size_name(shown.resp_page_size.into()).to_owned(),
            ),
        ),
        ("memory type", dash(translated, cache)),
        ("error code", dash(faults, code.to_string())),
        ("faulting va", dash(faults, hex(shown.resp_va))),
    ]
}

fn control(outputs: &Outputs) -> Vec<(&'static str, String)> {
    let shown = &outputs.control;
    let answer = if shown.resp_gp == 0 { "done" } else { "#GP" };
    vec![
        ("ready", yes(shown.ready)),
        ("answer", dash(shown.resp_valid, answer.to_owned())),
        ("cr0", hex(shown.cr0)),
        ("cr3", hex(shown.cr3)),
        ("cr4", hex(shown.cr4)),
        ("efer", hex(shown.efer)),
    ]
}

/// The bits of an entry that a transfer is about.
pub(super) fn entry_of(enables: u8, data: u64) -> u64 {
    let slot = EntrySlot::of_byte_enables(enables).unwrap_or(EntrySlot::Whole);
    slot.extract(data).raw()
}

/// The address of the entry that a transfer is about.
pub(super) fn address_of(enables: u8, address: u64) -> u64 {
    match EntrySlot::of_byte_enables(enables) {
        Some(EntrySlot::High) => address + 4,
        _ => address,
    }
}

fn memory(outputs: &Outputs, _mode: PagingMode) -> Vec<(&'static str, String)> {
    let shown = &outputs.memory;
    let valid = shown.req_valid;
    let writes = valid & u8::from(shown.req_op != 0);
    let sets = valid & u8::from(shown.req_op == 2);
    let op = ["read", "write", "compare-and-set"];
    let op = op
        .get(usize::from(shown.req_op))
        .copied()
        .unwrap_or("operation?");
    let address = address_of(shown.req_be, shown.req_addr);
    let text = |data| EntryBits(entry_of(shown.req_be, data)).to_string();
    vec![
        ("operation", dash(valid, op.to_owned())),
        ("walker", dash(valid, shown.req_id.to_string())),
        ("entry at", dash(valid, hex(address))),
        (
            "byte enables",
            dash(valid, format!("{:#04x}", shown.req_be)),
        ),
        ("beats", dash(valid, shown.req_beats.to_string())),
        ("expected", dash(sets, text(shown.req_expected))),
        ("new entry", dash(writes, text(shown.req_wdata))),
        ("takes an answer", yes(shown.resp_ready)),
    ]
}

fn miss(word: u32) -> Vec<(&'static str, String)> {
    const STATES: [&str; 8] = [
        "FREE",
        "STLB_WAIT",
        "STLB_BUSY",
        "WALK_WAIT",
        "WALKING",
        "WAITING",
        "RETRY",
        "state?",
    ];
    let MissWord {
        state,
        port,
        id,
        primary,
    } = MissWord::new(word);
    let busy = state as u8;
    let waits = u8::from(state == 5);
    vec![
        ("state", STATES[state as usize & 7].to_owned()),
        (
            "request",
            dash(busy, format!("{} #{id}", port_name(usize::from(port)))),
        ),
        ("may fill", dash(busy, yes((word >> 13 & 1) as u8))),
        ("from CR3", dash(busy, yes((word >> 14 & 1) as u8))),
        ("waits for entry", dash(waits, primary.to_string())),
    ]
}

/// Names of the fields of an entry, and of a victim.
type Entry = [(&'static str, &'static str); 6];
const ENTRY: Entry = [
    ("page", "victim page"),
    ("frame or table", "victim frame"),
    ("kept, page size", "victim sizes"),
    ("pcid, global", "victim pcid"),
    ("rights", "victim rights"),
    ("D, key, type", "victim D, type"),
];

fn rights(data: u64) -> String {
    let word = |bit: u32, set, clear| if data >> bit & 1 != 0 { set } else { clear };
    format!(
        "{} {}{}",
        word(40, "rw", "ro"),
        word(41, "user", "supervisor"),
        word(42, " xd", "")
    )
}

fn tlb_entry(tag: u64, data: u64) -> [String; 6] {
    let bit = |n: u32| data >> n & 1;
    [
        hex(sign_extended((tag & ((1 << 45) - 1)) << 12)),
        hex((data & ((1 << 40) - 1)) << 12),
        format!("kept {} of {}", size_name(tag >> 58), size_name(tag >> 60)),
        format!(
            "{:#x}{}",
            tag >> 45 & 0xfff,
            if tag >> 57 & 1 != 0 { ", global" } else { "" }
        ),
        rights(data),
        format!(
            "D {} key {} pwt {} pcd {} pat {}",
            bit(43),
            data >> 44 & 0xf,
            bit(48),
            bit(49),
            bit(50)
        ),
    ]
}

fn psc_entry(tag: u64, data: u64) -> [String; 6] {
    [
        hex(sign_extended((tag & ((1 << 36) - 1)) << 21)),
        hex((data & ((1 << 40) - 1)) << 12),
        NOTHING.to_owned(),
        hex(tag >> 36 & 0xfff),
        rights(data),
        NOTHING.to_owned(),
    ]
}

/// A mask of ways as a list.
pub(super) fn ways(mask: u64) -> String {
    let list: Vec<String> = (0..64)
        .filter(|way| mask >> way & 1 != 0)
        .map(|way: u32| way.to_string())
        .collect();
    if list.is_empty() {
        "none".to_owned()
    } else {
        list.join(",")
    }
}

fn array_event(
    event: &ArrayEvent,
    entry: fn(u64, u64) -> [String; 6],
) -> Vec<(&'static str, String)> {
    let fills = u8::from(event.op == ARRAY_FILL);
    let evicts = fills & u8::from(event.removed >> (event.way & 63) & 1 != 0);
    let op = match event.op {
        0 => NOTHING,
        ARRAY_FILL => "fill",
        ARRAY_INVALIDATE => "removal",
        _ => "operation?",
    };
    let mut fields = vec![
        ("event", op.to_owned()),
        ("set", dash(event.op, event.set.to_string())),
        ("way", dash(fills, event.way.to_string())),
        ("ways that lose", dash(event.op, ways(event.removed))),
    ];
    for ((name, _), text) in ENTRY.iter().zip(entry(event.tag, event.data)) {
        fields.push((name, dash(fills, text)));
    }
    for ((_, name), text) in ENTRY.iter().zip(entry(event.victim_tag, event.victim_data)) {
        fields.push((name, dash(evicts, text)));
    }
    if event.op == ARRAY_INVALIDATE {
        let places = [
            (event.victim_tag, event.tag),
            (event.victim_data, event.data),
        ];
        for (name, (set, mask)) in ["2m/4m: set, ways", "1g: set, ways"]
            .into_iter()
            .zip(places)
        {
            fields.push((name, format!("{set}: {}", ways(mask))));
        }
    } else {
        fields.push(("2m/4m: set, ways", NOTHING.to_owned()));
        fields.push(("1g: set, ways", NOTHING.to_owned()));
    }
    fields
}
