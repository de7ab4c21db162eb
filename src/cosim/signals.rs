//! The outputs of a cycle as a list of signals under the names of the contract: what differences are named by.
//!
//! Contract: sections 3 (ports), 4 (formats), 10 (monitor). SDM: none. Counterpart: the ports of `rtl/mmu.sv`.
//!
//! The list is made in every cycle in which two twins differ somewhere, and a silenced comparator may let that be every cycle of a run;
//! so it holds no text. Names and meanings are written out for the signals that a report shows.

use std::fmt;

use super::comparators::Comparator;
use super::events::{PscEntry, TlbEntry};
use crate::arch::PageFaultCode;
use crate::model::mmu_pkg::{ARRAY_INVALIDATE, ArrayEvent, Outputs, PortOut};
use crate::model::performance_counters::EVENTS;

/// One output signal of a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// Who compares it.
    pub comparator: Comparator,
    /// Its name.
    pub name: Name,
    /// What it holds.
    pub value: u64,
    meaning: Meaning,
}

/// A name in the contract, with the index of the element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    base: &'static str,
    index: Option<usize>,
}

impl Name {
    /// The port's name.
    pub const fn base(&self) -> &'static str {
        self.base
    }

    /// The element, of a port that is an array.
    pub const fn index(&self) -> Option<usize> {
        self.index
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}[{index}]", self.base),
            None => f.write_str(self.base),
        }
    }
}

/// How a value is put in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Number,
    Status,
    ErrorCode,
    /// The counter of that number.
    Counter(usize),
    /// A part of a TLB entry.
    Tlb {
        tag: u64,
        data: u64,
    },
    /// A part of an entry of a paging-structure cache.
    Psc {
        tag: u64,
        data: u64,
    },
}

/// Response states by their numbers.
const STATUS: [&str; 4] = [
    "translated",
    "page fault",
    "general protection",
    "bus error",
];

impl Signal {
    /// Value and meaning.
    pub fn text(&self) -> String {
        let value = self.value;
        let words = match self.meaning {
            Meaning::Number => return format!("{value:#x}"),
            Meaning::Status => {
                let status = usize::try_from(value)
                    .ok()
                    .and_then(|value| STATUS.get(value));
                (*status.unwrap_or(&"no status")).to_owned()
            }
            Meaning::Counter(number) => {
                let name = EVENTS.get(number).map_or("no counter", |event| event.name);
                return format!("{value} ({name})");
            }
            // It says its number itself.
            Meaning::ErrorCode => return PageFaultCode(value as u32).to_string(),
            Meaning::Tlb { tag, data } => TlbEntry { tag, data }.to_string(),
            Meaning::Psc { tag, data } => PscEntry { tag, data }.to_string(),
        };
        format!("{value:#x} ({words})")
    }
}

/// All signals of a cycle in a fixed order.
pub fn signals(outputs: &Outputs) -> Vec<Signal> {
    let mut list = List {
        signals: Vec::with_capacity(288),
        comparator: Comparator::Responses,
    };
    for (port, shown) in outputs.ports.iter().enumerate() {
        list.port(port, shown);
    }
    list.control(outputs);
    list.bus(outputs);
    list.comparator = Comparator::Fills;
    for (array, event) in outputs.monitor.tlb.iter().enumerate() {
        list.array(&TLB_NAMES, array, event, |tag, data| Meaning::Tlb {
            tag,
            data,
        });
    }
    for (cache, event) in outputs.monitor.psc.iter().enumerate() {
        list.array(&PSC_NAMES, cache, event, |tag, data| Meaning::Psc {
            tag,
            data,
        });
    }
    list.comparator = Comparator::Walks;
    for (walker, event) in outputs.monitor.walk.iter().enumerate() {
        list.add("mon_walk_op_o", walker, event.op);
        list.add("mon_walk_port_o", walker, event.port);
        list.add("mon_walk_entry_o", walker, event.entry);
        list.add("mon_walk_psc_level_o", walker, event.psc_level);
        list.add("mon_walk_filled_o", walker, event.filled);
    }
    list.comparator = Comparator::Lookups;
    let monitor = &outputs.monitor;
    for port in 0..monitor.lookup.len() {
        list.add("mon_lookup_o", port, monitor.lookup[port]);
        list.add("mon_lookup_entry_o", port, monitor.lookup_entry[port]);
        list.add("mon_lookup_retry_o", port, monitor.lookup_retry[port]);
    }
    list.plain("mon_stlb_lookup_o", monitor.stlb_lookup);
    list.plain("mon_stlb_port_o", monitor.stlb_port);
    list.plain("mon_stlb_entry_o", monitor.stlb_entry);
    list.comparator = Comparator::Queues;
    for (entry, word) in outputs.queues.miss.iter().enumerate() {
        list.add("mon_miss_o", entry, *word);
    }
    for (walker, word) in outputs.queues.walker.iter().enumerate() {
        list.add("mon_walker_o", walker, *word);
    }
    list.plain("mon_prefetch_o", outputs.queues.prefetch);
    list.comparator = Comparator::Counters;
    for (number, count) in outputs.perf.iter().enumerate() {
        list.push("perf_o", Some(number), *count, Meaning::Counter(number));
    }
    list.signals
}

/// Names of the fields of an array's event, in the order of [`ArrayEvent`].
type ArrayNames = [&'static str; 8];

const TLB_NAMES: ArrayNames = [
    "mon_tlb_op_o",
    "mon_tlb_way_o",
    "mon_tlb_set_o",
    "mon_tlb_removed_o",
    "mon_tlb_tag_o",
    "mon_tlb_data_o",
    "mon_tlb_victim_tag_o",
    "mon_tlb_victim_data_o",
];
const PSC_NAMES: ArrayNames = [
    "mon_psc_op_o",
    "mon_psc_way_o",
    "mon_psc_set_o",
    "mon_psc_removed_o",
    "mon_psc_tag_o",
    "mon_psc_data_o",
    "mon_psc_victim_tag_o",
    "mon_psc_victim_data_o",
];

struct List {
    signals: Vec<Signal>,
    comparator: Comparator,
}

impl List {
    fn push(&mut self, base: &'static str, index: Option<usize>, value: u64, meaning: Meaning) {
        let name = Name { base, index };
        self.signals.push(Signal {
            comparator: self.comparator,
            name,
            value,
            meaning,
        });
    }

    fn plain(&mut self, name: &'static str, value: impl Into<u64>) {
        self.push(name, None, value.into(), Meaning::Number);
    }

    fn add(&mut self, name: &'static str, index: usize, value: impl Into<u64>) {
        self.push(name, Some(index), value.into(), Meaning::Number);
    }

    fn port(&mut self, port: usize, shown: &PortOut) {
        self.add("req_ready_o", port, shown.req_ready);
        self.add("resp_valid_o", port, shown.resp_valid);
        self.add("resp_id_o", port, shown.resp_id);
        self.push(
            "resp_status_o",
            Some(port),
            shown.resp_status.into(),
            Meaning::Status,
        );
        self.add("resp_pa_o", port, shown.resp_pa);
        self.add("resp_page_size_o", port, shown.resp_page_size);
        self.add("resp_pwt_o", port, shown.resp_pwt);
        self.add("resp_pcd_o", port, shown.resp_pcd);
        self.add("resp_pat_o", port, shown.resp_pat);
        self.push(
            "resp_error_code_o",
            Some(port),
            shown.resp_error_code.into(),
            Meaning::ErrorCode,
        );
        self.add("resp_va_o", port, shown.resp_va);
    }

    fn control(&mut self, outputs: &Outputs) {
        self.comparator = Comparator::Control;
        let shown = &outputs.control;
        self.plain("ctrl_ready_o", shown.ready);
        self.plain("ctrl_resp_valid_o", shown.resp_valid);
        self.plain("ctrl_resp_gp_o", shown.resp_gp);
        self.plain("cr0_o", shown.cr0);
        self.plain("cr3_o", shown.cr3);
        self.plain("cr4_o", shown.cr4);
        self.plain("efer_o", shown.efer);
    }

    fn bus(&mut self, outputs: &Outputs) {
        self.comparator = Comparator::Bus;
        let shown = &outputs.memory;
        self.plain("mem_req_valid_o", shown.req_valid);
        self.plain("mem_req_op_o", shown.req_op);
        self.plain("mem_req_id_o", shown.req_id);
        self.plain("mem_req_addr_o", shown.req_addr);
        self.plain("mem_req_beats_o", shown.req_beats);
        self.plain("mem_req_be_o", shown.req_be);
        self.plain("mem_req_wdata_o", shown.req_wdata);
        self.plain("mem_req_expected_o", shown.req_expected);
        self.plain("mem_resp_ready_o", shown.resp_ready);
    }

    fn array(
        &mut self,
        names: &ArrayNames,
        index: usize,
        event: &ArrayEvent,
        entry: fn(u64, u64) -> Meaning,
    ) {
        // In a removal they are sets and masks of ways.
        let removes = event.op == ARRAY_INVALIDATE;
        let of = |tag, data| match removes {
            false => entry(tag, data),
            true => Meaning::Number,
        };
        let new = of(event.tag, event.data);
        let victim = of(event.victim_tag, event.victim_data);
        let fields = [
            (event.op.into(), Meaning::Number),
            (event.way.into(), Meaning::Number),
            (event.set.into(), Meaning::Number),
            (event.removed, Meaning::Number),
            (event.tag, new),
            (event.data, new),
            (event.victim_tag, victim),
            (event.victim_data, victim),
        ];
        for (name, (value, meaning)) in names.iter().zip(fields) {
            self.push(name, Some(index), value, meaning);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_ports_and_values_are_put_in_words() {
        let mut outputs = Outputs::default();
        outputs.ports[1].resp_status = 1;
        outputs.ports[1].resp_error_code = 0x15;
        let list = signals(&outputs);
        let text = |name: &str| {
            let signal = list.iter().find(|signal| signal.name.to_string() == name);
            signal.map(Signal::text)
        };
        assert_eq!(
            text("resp_status_o[1]").as_deref(),
            Some("0x1 (page fault)")
        );
        assert_eq!(
            text("resp_error_code_o[1]").as_deref(),
            Some("0x15 (P U I)")
        );
        assert_eq!(
            text("mon_psc_victim_data_o[3]").as_deref(),
            Some("0x0 (va 0x0 table 0x0 pcid 0 ro)")
        );
        outputs.monitor.tlb[5].op = ARRAY_INVALIDATE;
        outputs.monitor.tlb[5].tag = 2;
        let list = signals(&outputs);
        let mask = list
            .iter()
            .find(|signal| signal.name.to_string() == "mon_tlb_tag_o[5]");
        assert_eq!(mask.map(Signal::text).as_deref(), Some("0x2"));
        assert_eq!(text("cr3_o").as_deref(), Some("0x0"));
        assert_eq!(
            text("perf_o[13]").as_deref(),
            Some("0 (dtlb_store_misses.walk_completed_1g)")
        );
        assert_eq!(text("no_such_signal"), None);
    }
}
