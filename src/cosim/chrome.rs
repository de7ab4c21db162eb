//! A window of a run as spans on tracks, in the trace event format of Chrome, which Perfetto opens: requests, misses, walks with their
//! transfers, memory and control, of each side as a process.
//!
//! Contract: sections 3 (ports), 7 (miss queue), 8 (walks), 10 (monitor). SDM: none. Counterpart: `docs/divergence.md`.
//!
//! One cycle is one microsecond of the trace. A span begins in the cycle of the accept, or the first of a state, and ends in that of the
//! response, or the first of the next state; so its length is the latency in cycles. Spans of one track that overlap without one being
//! part of the other stand in lanes of their own, each a thread of the trace.

use serde_json::{Map, Value as Json, json};

use super::events::{ArrayNames, EventLog, port_name};
use super::stimulus::{ControlKind, Store};
use crate::arch::{PageFaultCode, PageSize};
use crate::config::Config;
use crate::model::liveness::{MissWord, miss_state_name};
use crate::model::mmu_pkg::{
    Inputs, MAX_MISS_QUEUE_ENTRIES, MAX_WALKERS, MEM_COMPARE_AND_SET, MEM_READ, MEM_WRITE,
    MISS_FREE, MISS_WAITING, Outputs, PREFETCH_ENTRY, PortOut, STATUS_BUS_ERROR,
    STATUS_GENERAL_PROTECTION, STATUS_PAGE_FAULT, STATUS_TRANSLATED, WALK_BUS_ERROR,
    WALK_PAGE_FAULT, WALK_RESTART, WALK_START, WALK_STOPPED, WALK_TRANSLATED,
};

/// Threads of one track: more lanes than anything has in flight.
const LANES: usize = 1000;

/// A row of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Track {
    Port(usize),
    Control,
    Miss(usize),
    Walker(usize),
    Memory,
    Arrays,
}

impl Track {
    fn name(self) -> String {
        match self {
            Self::Port(port) => format!("port {}", port_name(port)),
            Self::Control => "control".to_owned(),
            Self::Miss(entry) => format!("miss queue {entry}"),
            Self::Walker(walker) => format!("walker {walker}"),
            Self::Memory => "memory".to_owned(),
            Self::Arrays => "TLBs and paging-structure caches".to_owned(),
        }
    }

    /// The number of its first thread.
    const fn thread(self) -> usize {
        let number = match self {
            Self::Port(port) => 1 + port,
            Self::Control => 10,
            Self::Miss(entry) => 20 + entry,
            Self::Walker(walker) => 50 + walker,
            Self::Memory => 60,
            Self::Arrays => 70,
        };
        number * LANES
    }
}

/// Something that lasts.
#[derive(Debug, Clone)]
struct Span {
    track: Track,
    from: u64,
    to: u64,
    /// 0 of what stands on the track itself, 1 of a part of it.
    depth: u8,
    name: String,
    facts: Map<String, Json>,
}

/// Something that happens.
#[derive(Debug, Clone)]
struct Instant {
    track: Track,
    cycle: u64,
    name: String,
    text: String,
}

/// A span that has not ended, with what its end is known by.
#[derive(Debug)]
struct Open<K> {
    key: K,
    span: Span,
}

/// One side of a run, taken in cycle by cycle.
#[derive(Debug)]
pub struct Tracks {
    side: &'static str,
    first_cycle: u64,
    /// One more than the last cycle.
    end_cycle: u64,
    log: EventLog,
    lines: String,
    requests: Vec<Open<(usize, u8)>>,
    transfers: Vec<Open<u8>>,
    controls: Vec<Open<()>>,
    walks: [Option<Span>; MAX_WALKERS],
    /// Of each entry the span from its allocation, and that of the state that it is in.
    misses: [Option<(u32, Span, Span)>; MAX_MISS_QUEUE_ENTRIES],
    spans: Vec<Span>,
    instants: Vec<Instant>,
}

impl Tracks {
    /// Of a side of a machine of `config`, at cycle 0. What ends before `first_cycle` is left out.
    pub fn new(side: &'static str, config: &Config, first_cycle: u64) -> Self {
        Self {
            side,
            first_cycle,
            end_cycle: 0,
            log: EventLog::new(ArrayNames::new(config)),
            lines: String::new(),
            requests: Vec::new(),
            transfers: Vec::new(),
            controls: Vec::new(),
            walks: Default::default(),
            misses: Default::default(),
            spans: Vec::new(),
            instants: Vec::new(),
        }
    }

    /// Takes a cycle in.
    pub fn observe(&mut self, cycle: u64, inputs: &Inputs, outputs: &Outputs, stores: &[Store]) {
        self.end_cycle = cycle + 1;
        self.ports(cycle, inputs, outputs);
        self.control(cycle, inputs, outputs);
        self.miss_queue(cycle, outputs);
        self.walk_starts(cycle, outputs);
        self.memory(cycle, inputs, outputs);
        self.walk_ends(cycle, outputs);
        self.note_events(cycle, inputs, outputs, stores);
    }

    fn close(&mut self, mut span: Span, cycle: u64) {
        span.to = cycle;
        if cycle >= self.first_cycle {
            self.spans.push(span);
        }
    }

    fn ports(&mut self, cycle: u64, inputs: &Inputs, outputs: &Outputs) {
        for (port, (pins, shown)) in inputs.ports.iter().zip(&outputs.ports).enumerate() {
            if shown.resp_valid & pins.resp_ready != 0 {
                let key = (port, shown.resp_id);
                let open = self.requests.iter().position(|open| open.key == key);
                if let Some(open) = open {
                    let mut span = self.requests.remove(open).span;
                    span.facts.insert("result".to_owned(), json!(result(shown)));
                    self.close(span, cycle);
                }
            }
            if pins.req_valid & shown.req_ready != 0 {
                let kind = ["read", "write", "fetch", "kind?"][usize::from(pins.req_kind & 3)];
                let mut span = span(
                    Track::Port(port),
                    cycle,
                    format!("{kind} {:#x}", pins.req_va),
                );
                span.facts.insert("id".to_owned(), json!(pins.req_id));
                span.facts.insert("cpl".to_owned(), json!(pins.req_cpl));
                let key = (port, pins.req_id);
                self.requests.push(Open { key, span });
            }
        }
    }

    fn control(&mut self, cycle: u64, inputs: &Inputs, outputs: &Outputs) {
        let (pins, shown) = (&inputs.control, &outputs.control);
        if shown.resp_valid & pins.resp_ready != 0 && !self.controls.is_empty() {
            let mut span = self.controls.remove(0).span;
            let result = if shown.resp_gp != 0 { "#GP" } else { "done" };
            span.facts.insert("result".to_owned(), json!(result));
            self.close(span, cycle);
        }
        if pins.valid & shown.ready != 0 {
            let name = match ControlKind::ALL.get(usize::from(pins.op)) {
                Some(ControlKind::Invpcid) => {
                    format!(
                        "invpcid type {} pcid {:#x} va {:#x}",
                        pins.kind, pins.data, pins.addr
                    )
                }
                Some(kind) => format!("{} {:#x}", kind.name(), pins.data),
                None => format!("operation {}", pins.op),
            };
            let span = span(Track::Control, cycle, name);
            self.controls.push(Open { key: (), span });
        }
    }

    fn miss_queue(&mut self, cycle: u64, outputs: &Outputs) {
        for (entry, word) in outputs.queues.miss.iter().enumerate() {
            let now = MissWord::new(*word);
            let is_same = |found: &Option<(u32, Span, Span)>| match found {
                None => now.state == MISS_FREE,
                Some((word, ..)) => {
                    let old = MissWord::new(*word);
                    (old.state, old.port, old.id) == (now.state, now.port, now.id)
                }
            };
            if is_same(&self.misses[entry]) {
                continue;
            }
            let track = Track::Miss(entry);
            let mut whole = None;
            if let Some((old, request, state)) = self.misses[entry].take() {
                self.close(state, cycle);
                let old = MissWord::new(old);
                if now.state == MISS_FREE || (old.port, old.id) != (now.port, now.id) {
                    self.close(request, cycle);
                } else {
                    whole = Some(request);
                }
            }
            if now.state == MISS_FREE {
                continue;
            }
            let port = port_name(usize::from(now.port));
            let whole = whole.unwrap_or_else(|| span(track, cycle, format!("{port} #{}", now.id)));
            let mut state = span(track, cycle, miss_state_name(now.state).to_owned());
            state.depth = 1;
            if now.state == MISS_WAITING {
                state
                    .facts
                    .insert("for entry".to_owned(), json!(now.primary));
            }
            self.misses[entry] = Some((*word, whole, state));
        }
    }

    fn walk_starts(&mut self, cycle: u64, outputs: &Outputs) {
        for (walker, event) in outputs.monitor.walk.iter().enumerate() {
            if event.op == WALK_RESTART {
                self.instant(Track::Walker(walker), cycle, "restart", "again from CR3");
            }
            if event.op != WALK_START {
                continue;
            }
            // A walk that did not end is the RTL's mistake; it is shown as far as it came.
            if let Some(lost) = self.walks[walker].take() {
                self.close(lost, cycle);
            }
            let name = if event.entry == PREFETCH_ENTRY {
                "prefetch".to_owned()
            } else {
                format!(
                    "{} entry {}",
                    port_name(usize::from(event.port)),
                    event.entry
                )
            };
            let mut span = span(Track::Walker(walker), cycle, name);
            let from = match event.psc_level {
                0 => json!("CR3"),
                level => json!(format!("a cached entry of level {level}")),
            };
            span.facts.insert("from".to_owned(), from);
            self.walks[walker] = Some(span);
        }
    }

    fn walk_ends(&mut self, cycle: u64, outputs: &Outputs) {
        for (walker, event) in outputs.monitor.walk.iter().enumerate() {
            let result = match event.op {
                WALK_TRANSLATED if event.filled != 0 => "translated, fills",
                WALK_TRANSLATED => "translated, fills nothing",
                WALK_PAGE_FAULT => "page fault",
                WALK_BUS_ERROR => "bus error",
                WALK_STOPPED => "stopped",
                _ => continue,
            };
            if let Some(mut span) = self.walks[walker].take() {
                span.facts.insert("result".to_owned(), json!(result));
                self.close(span, cycle);
            }
        }
    }

    fn memory(&mut self, cycle: u64, inputs: &Inputs, outputs: &Outputs) {
        let (pins, shown) = (&inputs.memory, &outputs.memory);
        if pins.resp_valid & shown.resp_ready != 0 {
            let open = self
                .transfers
                .iter()
                .position(|open| open.key == pins.resp_id);
            if let Some(open) = open {
                let mut span = self.transfers.remove(open).span;
                let data = match pins.resp_error {
                    0 => json!(format!("{:#x}", pins.resp_data)),
                    _ => json!("bus error"),
                };
                span.facts.insert("data".to_owned(), data);
                // Once among all transfers, once within the walk that it belongs to: the id is the walker's number (contract 3).
                let walker = usize::from(pins.resp_id);
                let walk = self.walks.get(walker).and_then(Option::as_ref);
                if walk.is_some_and(|walk| walk.from <= span.from) {
                    let part = Span {
                        track: Track::Walker(walker),
                        depth: 1,
                        ..span.clone()
                    };
                    self.close(part, cycle);
                }
                self.close(span, cycle);
            }
        }
        if shown.req_valid & pins.req_ready != 0 {
            let operation = match shown.req_op {
                MEM_READ => "read",
                MEM_WRITE => "write",
                MEM_COMPARE_AND_SET => "compare-and-set",
                _ => "operation?",
            };
            let name = format!("{operation} {:#x}", shown.req_addr);
            let mut span = span(Track::Memory, cycle, name);
            span.facts.insert("id".to_owned(), json!(shown.req_id));
            if shown.req_op != MEM_READ {
                let value = format!("{:#x}", shown.req_wdata);
                span.facts.insert("value".to_owned(), json!(value));
            }
            let key = shown.req_id;
            self.transfers.push(Open { key, span });
        }
    }

    fn instant(&mut self, track: Track, cycle: u64, name: &str, text: &str) {
        if cycle >= self.first_cycle {
            self.instants.push(Instant {
                track,
                cycle,
                name: name.to_owned(),
                text: text.to_owned(),
            });
        }
    }

    /// What lasts no time: stores of other agents, and what arrays and registers gain and lose.
    fn note_events(&mut self, cycle: u64, inputs: &Inputs, outputs: &Outputs, stores: &[Store]) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        self.log
            .write_cycle(cycle, inputs, outputs, stores, &mut lines);
        for line in lines.lines() {
            let mut words = line.trim_start().splitn(2, ' ');
            let event = words.nth(1).unwrap_or_default().trim_start();
            let (kind, text) = event.split_once(' ').unwrap_or((event, ""));
            let track = match kind {
                "fill" | "evict" | "remove" => Track::Arrays,
                "store" => Track::Memory,
                "register" => Track::Control,
                _ => continue,
            };
            self.instant(track, cycle, kind, text.trim_start());
        }
        self.lines = lines;
    }

    /// Ends what has not ended with the last cycle, and puts the spans in order: by place and begin, the whole before its parts.
    fn finish(&mut self) {
        let open = self.requests.drain(..).map(|open| open.span);
        let open = open.chain(self.transfers.drain(..).map(|open| open.span));
        let open = open.chain(self.controls.drain(..).map(|open| open.span));
        let open = open.chain(self.walks.iter_mut().filter_map(Option::take));
        let of_misses = self.misses.iter_mut().filter_map(Option::take);
        let open = open.chain(of_misses.flat_map(|(_, whole, state)| [whole, state]));
        for mut span in open.collect::<Vec<_>>() {
            span.facts.insert("has not ended".to_owned(), json!(true));
            self.close(span, self.end_cycle);
        }
        self.spans
            .sort_by_key(|span| (span.track, span.from, span.depth, span.to));
    }
}

fn span(track: Track, cycle: u64, name: String) -> Span {
    Span {
        track,
        from: cycle,
        to: cycle,
        depth: 0,
        name,
        facts: Map::new(),
    }
}

/// What a response says, in words.
fn result(shown: &PortOut) -> String {
    match shown.resp_status {
        STATUS_TRANSLATED => {
            let size = PageSize::from_code(shown.resp_page_size).map_or("size?", PageSize::name);
            format!("pa {:#x} {size}", shown.resp_pa)
        }
        STATUS_PAGE_FAULT => {
            let code = PageFaultCode(u32::from(shown.resp_error_code));
            format!("page fault, error code {code}")
        }
        STATUS_GENERAL_PROTECTION => "general protection".to_owned(),
        STATUS_BUS_ERROR => "bus error".to_owned(),
        other => format!("status {other}"),
    }
}

/// A cycle that is marked on all tracks.
#[derive(Debug, Clone)]
pub struct Mark {
    /// The cycle.
    pub cycle: u64,
    /// What it is called.
    pub name: String,
    /// What there is to know of it.
    pub facts: Vec<(&'static str, String)>,
}

/// Both sides as the text of a trace file. A side that saw no cycle is left out.
pub fn write(sides: [Tracks; 2], mark: Option<&Mark>) -> String {
    let mut events = Vec::new();
    for (number, mut side) in sides.into_iter().enumerate() {
        if side.end_cycle == 0 {
            continue;
        }
        side.finish();
        write_side(number + 1, &side, &mut events);
        if let Some(mark) = mark {
            let facts: Map<String, Json> = mark
                .facts
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            events.push(json!({
                "ph": "i", "s": "p", "name": mark.name, "ts": mark.cycle, "pid": number + 1,
                "tid": Track::Port(0).thread(), "args": facts,
            }));
        }
    }
    let trace = json!({
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {"unit": "1 us of the trace is 1 cycle"},
    });
    format!("{trace}\n")
}

fn write_side(process: usize, side: &Tracks, events: &mut Vec<Json>) {
    events.push(json!({
        "ph": "M", "name": "process_name", "pid": process, "args": {"name": side.side},
    }));
    let mut threads: Vec<(usize, String)> = Vec::new();
    let mut name_thread = |track: Track, lane: usize| {
        let thread = track.thread() + lane;
        if threads.iter().all(|(known, _)| *known != thread) {
            let name = match lane {
                0 => track.name(),
                lane => format!("{} ({})", track.name(), lane + 1),
            };
            threads.push((thread, name));
        }
        thread
    };
    // Of each lane of the track at hand: where its last whole span ends.
    let mut lanes: Vec<u64> = Vec::new();
    let mut track = None;
    for span in &side.spans {
        if track != Some(span.track) {
            track = Some(span.track);
            lanes.clear();
        }
        let lane = match span.depth {
            0 => {
                let free = lanes.iter().position(|end| *end <= span.from);
                let lane = free.unwrap_or(lanes.len());
                lanes.resize(lanes.len().max(lane + 1), 0);
                lanes[lane] = span.to;
                lane
            }
            // Parts are of tracks whose whole spans do not overlap.
            _ => 0,
        };
        events.push(json!({
            "ph": "X", "name": span.name, "cat": category(span.track), "ts": span.from,
            "dur": span.to - span.from, "pid": process, "tid": name_thread(span.track, lane),
            "args": span.facts,
        }));
    }
    for instant in &side.instants {
        events.push(json!({
            "ph": "i", "s": "t", "name": instant.name, "cat": category(instant.track), "ts": instant.cycle, "pid": process,
            "tid": name_thread(instant.track, 0), "args": {"what": instant.text},
        }));
    }
    threads.sort();
    for (order, (thread, name)) in threads.iter().enumerate() {
        events.push(json!({
            "ph": "M", "name": "thread_name", "pid": process, "tid": thread, "args": {"name": name},
        }));
        events.push(json!({
            "ph": "M", "name": "thread_sort_index", "pid": process, "tid": thread, "args": {"sort_index": order},
        }));
    }
}

const fn category(track: Track) -> &'static str {
    match track {
        Track::Port(_) => "port",
        Track::Control => "control",
        Track::Miss(_) => "miss queue",
        Track::Walker(_) => "walk",
        Track::Memory => "memory",
        Track::Arrays => "array",
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::cosim::generator::RandomStream;
    use crate::cosim::lockstep::{Lockstep, Options};
    use crate::cosim::stimulus::parse::parse;
    use crate::cosim::watched::Watched;
    use crate::model::Mmu;

    const TEXT: &str = "twinwalk-stim 1\nconfig preset:tiny\nspace s 4\nmap 0x1000 -> 0x9000 4k rw\n\
        map 0x2000 -> 0xa000 4k rw\nboot s\nread 0x1000\nread 0x2000\nwrite 0x1000\ndrain\n\
        store 0x10000 = 0x1\ninvlpg 0x1000\nread 0x1008\ndrain\n";

    /// The trace of the model over the stimulus, which may stop short of the last cycles.
    fn trace(first_cycle: u64, until: u64, mark: Option<&Mark>) -> Json {
        let stimulus = parse("x", TEXT).expect("a stimulus");
        let config = stimulus.setup.machine("x").expect("a machine");
        let mut tracks = Tracks::new("model", &config, first_cycle);
        let model = Watched::new(
            Mmu::new(&config),
            |cycle, inputs: &Inputs, outputs: &Outputs, stores: &[Store]| {
                if cycle < until {
                    tracks.observe(cycle, inputs, outputs, stores);
                }
            },
        );
        let operations = stimulus.operations.clone().into_iter();
        Lockstep::alone(
            &config,
            &stimulus.setup,
            operations,
            model,
            Options::default(),
        )
        .run(&mut |_| ControlFlow::Continue(()));
        let none = Tracks::new("rtl", &config, 0);
        serde_json::from_str(&write([tracks, none], mark)).expect("it is JSON")
    }

    fn spans<'a>(trace: &'a Json, category: &str) -> Vec<&'a Json> {
        let events = trace["traceEvents"].as_array().expect("a list");
        let of_category = events.iter().filter(|event| event["cat"] == category);
        of_category.filter(|event| event["ph"] == "X").collect()
    }

    /// What the format requires of an event: its phase is one that is used here, it has a name, a process and a thread that are named by
    /// metadata, and a time; a span has a length. Of spans of one thread, in whatever order they are written, each ends before
    /// the next begins, or lies within the one before.
    fn check_format(trace: &Json) -> Result<(), String> {
        let events = trace["traceEvents"].as_array().ok_or("no list of events")?;
        let mut spans: Vec<(u64, u64, u64, std::cmp::Reverse<u64>)> = Vec::new();
        let of_thread = |event: &Json| (event["pid"].as_u64(), event["tid"].as_u64());
        let named = |what: &str| -> Vec<_> {
            let metadata = events
                .iter()
                .filter(|event| event["ph"] == "M" && event["name"] == what);
            metadata.map(of_thread).collect()
        };
        let (processes, threads) = (named("process_name"), named("thread_name"));
        for event in events {
            let number = |key: &str| event[key].as_u64().ok_or(format!("{key} of {event}"));
            event["name"].as_str().ok_or(format!("name of {event}"))?;
            let process = number("pid")?;
            match event["ph"].as_str() {
                Some("M") => continue,
                Some("X") => {
                    let (from, length) = (number("ts")?, number("dur")?);
                    spans.push((
                        process,
                        number("tid")?,
                        from,
                        std::cmp::Reverse(from + length),
                    ));
                }
                Some("i") => {
                    number("ts")?;
                    if !matches!(event["s"].as_str(), Some("t" | "p" | "g")) {
                        return Err(format!("scope of {event}"));
                    }
                }
                _ => return Err(format!("phase of {event}")),
            }
            if !processes.iter().any(|known| known.0 == Some(process)) {
                return Err(format!("the process of {event} has no name"));
            }
            if event["ph"] == "X" && !threads.contains(&of_thread(event)) {
                return Err(format!("the thread of {event} has no name"));
            }
        }
        spans.sort_unstable();
        let mut open: Vec<(u64, u64, u64)> = Vec::new();
        for (process, thread, from, std::cmp::Reverse(end)) in spans {
            open.retain(|span| (span.0, span.1) == (process, thread) && span.2 > from);
            if open.iter().any(|span| end > span.2) {
                return Err(format!(
                    "{from} to {end} of thread {thread} overlaps {open:?}"
                ));
            }
            open.push((process, thread, end));
        }
        Ok(())
    }

    /// A trace of random operations, with several requests and walks under way, of two processes.
    #[test]
    fn a_trace_of_random_operations_has_what_the_format_requires() {
        let machine = parse("x", "twinwalk-stim 1\nconfig preset:parallel\n").expect("a stimulus");
        let config = machine.setup.machine("x").expect("a machine");
        let RandomStream {
            config,
            setup,
            generator,
        } = RandomStream::new(&config, 7, 0, 3_000);
        let sides = ["model", "rtl"].map(|name| {
            let mut tracks = Tracks::new(name, &config, 500);
            let model = Watched::new(
                Mmu::new(&config),
                |cycle, inputs: &Inputs, outputs: &Outputs, stores: &[Store]| {
                    tracks.observe(cycle, inputs, outputs, stores);
                },
            );
            Lockstep::alone(
                &config,
                &setup,
                generator.clone(),
                model,
                Options::default(),
            )
            .run(&mut |_| ControlFlow::Continue(()));
            tracks
        });
        let mark = Mark {
            cycle: 900,
            name: "here".to_owned(),
            facts: Vec::new(),
        };
        let trace = serde_json::from_str(&write(sides, Some(&mark))).expect("it is JSON");
        assert_eq!(check_format(&trace), Ok(()));
        assert!(spans(&trace, "walk").len() > 1_000);
    }

    #[test]
    fn requests_walks_transfers_and_control_are_spans_that_end_with_their_answer() {
        let trace = trace(0, u64::MAX, None);
        let requests = spans(&trace, "port");
        assert_eq!(requests.len(), 4);
        assert!(
            requests
                .iter()
                .all(|span| span["args"]["result"].is_string())
        );
        assert_eq!(requests[0]["args"]["result"], "pa 0x9000 4k");
        // The read of 0x2000 finds its PTE through the caches; the write sets D after a walk of its own; INVLPG takes the page away.
        let walks = spans(&trace, "walk");
        assert!(walks.len() > 4 + 4, "{walks:?}");
        let transfers = spans(&trace, "memory");
        assert!(transfers.iter().all(|span| span["dur"].as_u64() > Some(0)));
        let within = walks.iter().filter(|span| span["args"]["id"].is_u64());
        assert_eq!(within.count(), transfers.len(), "each is part of a walk");
        assert!(!spans(&trace, "miss queue").is_empty());
        let control = spans(&trace, "control");
        assert!(control.iter().any(|span| span["name"] == "invlpg 0x1000"));
        assert_eq!(check_format(&trace), Ok(()));
        let text = trace.to_string();
        assert!(!text.contains("has not ended"), "all was answered");
        assert!(!text.contains("\"rtl\""), "it saw no cycle");
    }

    #[test]
    fn what_has_not_ended_ends_with_the_last_cycle_and_says_so() {
        let whole = trace(0, u64::MAX, None);
        let begin = spans(&whole, "memory")[0]["ts"].as_u64().expect("a cycle");
        let cut = trace(0, begin + 2, None);
        let last = spans(&cut, "memory")[0].clone();
        assert_eq!(last["args"]["has not ended"], true);
        assert_eq!(last["dur"], 2);
        assert_eq!(check_format(&cut), Ok(()));
    }

    #[test]
    fn a_window_leaves_out_what_ended_before_it_and_marks_the_finding() {
        let whole = trace(0, u64::MAX, None);
        let last = spans(&whole, "port")[3]["ts"].as_u64().expect("a cycle");
        let mark = Mark {
            cycle: last,
            name: "here".to_owned(),
            facts: vec![("model", "1".to_owned())],
        };
        let window = trace(last, u64::MAX, Some(&mark));
        assert_eq!(spans(&window, "port").len(), 1);
        let events = window["traceEvents"].as_array().expect("a list");
        let marks: Vec<&Json> = events
            .iter()
            .filter(|event| event["name"] == "here")
            .collect();
        assert_eq!(marks.len(), 1);
        assert_eq!(marks[0]["ts"], last);
    }

    #[test]
    fn spans_that_overlap_on_one_thread_are_noticed() {
        let span = |process: u64, thread: u64, from: u64, length: i64| json!({"ph": "X", "name": "x", "pid": process, "tid": thread, "ts": from, "dur": length});
        let name = |what: &str, process: u64, thread: u64| json!({"ph": "M", "name": what, "pid": process, "tid": thread});
        let check = |spans: Vec<Json>| {
            let mut events = Vec::new();
            for process in [1, 2] {
                events.push(name("process_name", process, 0));
                events.extend([1, 2].map(|thread| name("thread_name", process, thread)));
            }
            events.extend(spans);
            check_format(&json!({ "traceEvents": events }))
        };
        assert!(check(vec![span(1, 1, 0, 5), span(1, 1, 3, 4)]).is_err());
        let nested = vec![span(1, 1, 3, 2), span(1, 1, 0, 5), span(1, 1, 5, 1)];
        assert_eq!(check(nested), Ok(()));
        let between = vec![span(1, 1, 0, 5), span(1, 2, 9, 1), span(1, 1, 3, 4)];
        assert!(
            check(between).is_err(),
            "one of another thread stands between them"
        );
        assert_eq!(check(vec![span(1, 1, 0, 5), span(2, 1, 3, 4)]), Ok(()));
        assert!(check(vec![span(1, 1, 0, -1)]).is_err());
        assert!(
            check(vec![span(1, 3, 0, 1)]).is_err(),
            "a thread without a name"
        );
    }
}
