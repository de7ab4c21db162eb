//! The comparators: what is compared in a cycle, signal by signal under the names of the contract.
//!
//! Contract: sections 3 (ports) and 10 (monitor). SDM: none. Counterpart: none.
//!
//! The outputs of a cycle are compared as a whole first, since they are nearly always equal. Only when they are not are they taken
//! apart into [signals](super::signals), each of which belongs to one [`Comparator`]. A comparator can be silenced, to prove that it is the one that
//! catches a given bug.

use std::fmt;

use super::signals::signals;
use crate::model::mmu_pkg::Outputs;

/// Everything that can find a run wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Comparator {
    /// Requests accepted and responses: `req_ready_o`, `resp_*`.
    Responses,
    /// The control port and the registers.
    Control,
    /// Memory transactions.
    Bus,
    /// Fills, evictions and invalidations of TLB arrays and paging-structure caches, with set, way and content.
    Fills,
    /// Walker starts and ends.
    Walks,
    /// Look-ups of every level.
    Lookups,
    /// What the miss queue, the walkers and the prefetch hold.
    Queues,
    /// The performance counters.
    Counters,
    /// The memory images after the run.
    Memory,
    /// Assertions in the RTL.
    Assertions,
    /// A link on which a twin does what the contract rules out.
    Protocol,
    /// A run in which nothing moves any more.
    Hangs,
    /// Each outcome follows from what was read, and is not older than its last invalidation.
    Provenance,
    /// Each outcome is one that the manual allows.
    Staleness,
    /// The cycles from accept to response, of a user's design beside the model.
    Latency,
}

impl Comparator {
    /// Every comparator, in the order in which a cycle is judged.
    pub const ALL: [Self; 15] = [
        Self::Responses,
        Self::Control,
        Self::Bus,
        Self::Fills,
        Self::Walks,
        Self::Lookups,
        Self::Queues,
        Self::Counters,
        Self::Memory,
        Self::Assertions,
        Self::Protocol,
        Self::Hangs,
        Self::Provenance,
        Self::Staleness,
        Self::Latency,
    ];

    /// The name that options and reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Responses => "responses",
            Self::Control => "control",
            Self::Bus => "bus",
            Self::Fills => "fills",
            Self::Walks => "walks",
            Self::Lookups => "lookups",
            Self::Queues => "queues",
            Self::Counters => "counters",
            Self::Memory => "memory",
            Self::Assertions => "assertions",
            Self::Protocol => "protocol",
            Self::Hangs => "hangs",
            Self::Provenance => "provenance",
            Self::Staleness => "staleness",
            Self::Latency => "latency",
        }
    }

    /// The comparator of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|comparator| comparator.name() == name)
    }
}

impl fmt::Display for Comparator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which comparators keep quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Silenced(u16);

impl Silenced {
    /// None: everything is judged.
    pub const NONE: Self = Self(0);

    /// All but `heard`.
    pub fn all_but(heard: Comparator) -> Self {
        let all = Comparator::ALL.into_iter().fold(Self::NONE, Self::with);
        Self(all.0 & !(1 << heard as u16))
    }

    /// These and `comparator`.
    #[must_use]
    pub const fn with(self, comparator: Comparator) -> Self {
        Self(self.0 | 1 << comparator as u16)
    }

    /// Whether `comparator` keeps quiet.
    pub const fn contains(self, comparator: Comparator) -> bool {
        self.0 >> comparator as u16 & 1 != 0
    }
}

/// A signal in which the two differ, with both values as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Who found it.
    pub comparator: Comparator,
    /// Its name.
    pub signal: String,
    /// The model's value.
    pub model: String,
    /// The RTL's value.
    pub rtl: String,
}

/// Every signal that differs, those of silenced comparators apart, in the order of the comparators.
pub fn differences(model: &Outputs, rtl: &Outputs, silenced: Silenced) -> Vec<Difference> {
    let (ours, theirs) = (signals(model), signals(rtl));
    let any_differs = ours
        .iter()
        .zip(&theirs)
        .any(|(model, rtl)| model.value != rtl.value);
    let pairs = ours.into_iter().zip(theirs);
    let mut found: Vec<Difference> = pairs
        .filter(|(model, rtl)| model.value != rtl.value && !silenced.contains(model.comparator))
        .map(|(model, rtl)| Difference {
            comparator: model.comparator,
            model: model.text(),
            rtl: rtl.text(),
            signal: model.name.to_string(),
        })
        .collect();
    if found.is_empty() && !any_differs && model != rtl {
        // Bytes between the signals: a fault of the border, not of a twin. It must not pass in silence.
        found.push(Difference {
            comparator: Comparator::Protocol,
            signal: "unnamed bytes of the outputs".to_owned(),
            model: "differ".to_owned(),
            rtl: "differ".to_owned(),
        });
    }
    found.sort_by_key(|difference| difference.comparator);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes one byte of the outputs after another; each must be seen, by a signal with a name unless it is padding.
    #[test]
    fn every_byte_of_the_outputs_is_compared() {
        let zero = Outputs::default();
        let mut named = 0;
        for index in 0..size_of::<Outputs>() {
            let mut bytes = [0u8; size_of::<Outputs>()];
            bytes[index] = 1;
            let changed = from_bytes(&bytes);
            let found = differences(&zero, &changed, Silenced::NONE);
            assert_eq!(found.len(), 1, "byte {index} is compared once");
            let signal = &found[0].signal;
            named += usize::from(signal != "unnamed bytes of the outputs");
        }
        let arrays = zero.monitor.tlb.len() + zero.monitor.psc.len();
        let padding = 3 * 6 + 5 + 2 + arrays * 4;
        assert_eq!(named, size_of::<Outputs>() - padding);
    }

    /// Builds outputs from bytes field by field, without unsafe code: every field is found through the signal list's order in memory.
    fn from_bytes(bytes: &[u8; size_of::<Outputs>()]) -> Outputs {
        let mut reader = Reader { bytes, at: 0 };
        let mut outputs = Outputs::default();
        for port in &mut outputs.ports {
            port.req_ready = reader.u8();
            port.resp_valid = reader.u8();
            port.resp_id = reader.u8();
            port.resp_status = reader.u8();
            port.resp_page_size = reader.u8();
            port.resp_pwt = reader.u8();
            port.resp_pcd = reader.u8();
            port.resp_pat = reader.u8();
            port.resp_error_code = u16::from_le_bytes([reader.u8(), reader.u8()]);
            port.reserved = std::array::from_fn(|_| reader.u8());
            port.resp_pa = reader.u64();
            port.resp_va = reader.u64();
        }
        let control = &mut outputs.control;
        control.ready = reader.u8();
        control.resp_valid = reader.u8();
        control.resp_gp = reader.u8();
        control.reserved = std::array::from_fn(|_| reader.u8());
        (control.cr0, control.cr3, control.cr4, control.efer) =
            (reader.u64(), reader.u64(), reader.u64(), reader.u64());
        let memory = &mut outputs.memory;
        memory.req_valid = reader.u8();
        memory.req_op = reader.u8();
        memory.req_id = reader.u8();
        memory.req_beats = reader.u8();
        memory.req_be = reader.u8();
        memory.resp_ready = reader.u8();
        memory.reserved = std::array::from_fn(|_| reader.u8());
        (memory.req_addr, memory.req_wdata, memory.req_expected) =
            (reader.u64(), reader.u64(), reader.u64());
        let monitor = &mut outputs.monitor;
        monitor.lookup = std::array::from_fn(|_| reader.u8());
        monitor.lookup_entry = std::array::from_fn(|_| reader.u8());
        monitor.lookup_retry = std::array::from_fn(|_| reader.u8());
        monitor.stlb_lookup = reader.u8();
        monitor.stlb_port = reader.u8();
        monitor.stlb_entry = reader.u8();
        for walk in &mut monitor.walk {
            walk.op = reader.u8();
            walk.port = reader.u8();
            walk.entry = reader.u8();
            walk.psc_level = reader.u8();
            walk.filled = reader.u8();
        }
        for event in monitor.tlb.iter_mut().chain(&mut monitor.psc) {
            event.op = reader.u8();
            event.way = reader.u8();
            event.set = u16::from_le_bytes([reader.u8(), reader.u8()]);
            event.reserved = u32::from_le_bytes(std::array::from_fn(|_| reader.u8()));
            event.removed = reader.u64();
            event.tag = reader.u64();
            event.data = reader.u64();
            event.victim_tag = reader.u64();
            event.victim_data = reader.u64();
        }
        let queues = &mut outputs.queues;
        queues.miss = std::array::from_fn(|_| reader.u32());
        queues.walker = std::array::from_fn(|_| reader.u32());
        queues.prefetch = reader.u64();
        outputs.perf = std::array::from_fn(|_| reader.u64());
        assert_eq!(reader.at, bytes.len());
        outputs
    }

    struct Reader<'a> {
        bytes: &'a [u8],
        at: usize,
    }

    impl Reader<'_> {
        fn u8(&mut self) -> u8 {
            self.at += 1;
            self.bytes[self.at - 1]
        }

        fn u32(&mut self) -> u32 {
            u32::from_le_bytes(std::array::from_fn(|_| self.u8()))
        }

        fn u64(&mut self) -> u64 {
            u64::from_le_bytes(std::array::from_fn(|_| self.u8()))
        }
    }

    #[test]
    fn a_silenced_comparator_lets_its_own_signals_pass_and_no_others() {
        let model = Outputs::default();
        let mut rtl = model;
        rtl.monitor.walk[0].op = 3;
        rtl.monitor.tlb[4].tag = 5;
        let quiet = Silenced::NONE.with(Comparator::Fills);
        let first = |silenced| differences(&model, &rtl, silenced).into_iter().next();
        let found = first(quiet).unwrap();
        assert_eq!(
            (found.comparator, found.signal.as_str()),
            (Comparator::Walks, "mon_walk_op_o[0]")
        );
        assert_eq!(first(quiet.with(Comparator::Walks)), None);
        let only = Silenced::all_but(Comparator::Fills);
        assert_eq!(first(only).unwrap().signal, "mon_tlb_tag_o[4]");
    }

    #[test]
    fn names_are_found_again() {
        for comparator in Comparator::ALL {
            assert_eq!(Comparator::from_name(comparator.name()), Some(comparator));
        }
        assert_eq!(Comparator::from_name("everything"), None);
    }
}
