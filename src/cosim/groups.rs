//! Groups of outputs that a user's design may lack, each whole or not at all: which there are, and outputs without the others.
//!
//! Contract: sections 3 (ports) and 10 (monitor). SDM: none. Counterpart: `shim/twinwalk.h` (bits), `shim/harness.cpp` (how they are found).

use crate::model::mmu_pkg::{Monitor, Outputs, Queues};

/// One group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Group {
    /// `mon_lookup_*`: look-ups of the first level.
    Lookup = 1,
    /// `mon_stlb_*`: look-ups of the second level.
    Stlb = 2,
    /// `mon_walk_*`: starts and ends of walks.
    Walk = 4,
    /// `mon_tlb_*`: fills and removals of TLB arrays.
    Tlb = 8,
    /// `mon_psc_*`: fills and removals of paging-structure caches.
    Psc = 16,
    /// `mon_miss_o`, `mon_walker_o`, `mon_prefetch_o`: what the queues hold.
    Queues = 32,
    /// `perf_o`: the performance counters.
    Perf = 64,
}

impl Group {
    /// Every group, in the order of the contract's list of ports.
    pub const ALL: [Self; 7] = [
        Self::Lookup,
        Self::Stlb,
        Self::Walk,
        Self::Tlb,
        Self::Psc,
        Self::Queues,
        Self::Perf,
    ];

    /// The name as reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Stlb => "stlb",
            Self::Walk => "walk",
            Self::Tlb => "tlb",
            Self::Psc => "psc",
            Self::Queues => "queues",
            Self::Perf => "perf",
        }
    }
}

/// A set of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Groups(u32);

impl Default for Groups {
    fn default() -> Self {
        Self::ALL
    }
}

impl Groups {
    /// No group: the required ports alone.
    pub const NONE: Self = Self(0);
    /// Every group.
    pub const ALL: Self = Self(0x7f);

    /// The set of these bits; others are no groups.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// These and `group`.
    #[must_use]
    pub const fn with(self, group: Group) -> Self {
        Self(self.0 | group as u32)
    }

    /// Whether `group` is in it.
    pub const fn contains(self, group: Group) -> bool {
        self.0 & group as u32 != 0
    }

    /// The groups in it, in their order.
    pub fn iter(self) -> impl Iterator<Item = Group> {
        Group::ALL
            .into_iter()
            .filter(move |group| self.contains(*group))
    }

    /// Their names.
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(Group::name).collect()
    }

    /// `outputs` without what groups show that are not in it. Required ports stay as they are.
    pub fn of(self, outputs: &Outputs) -> Outputs {
        if self == Self::ALL {
            return *outputs;
        }
        let (zero, mut kept) = (Outputs::ZERO, *outputs);
        let Monitor {
            lookup,
            lookup_entry,
            lookup_retry,
            stlb_lookup,
            stlb_port,
            stlb_entry,
            walk,
            tlb,
            psc,
        } = &mut kept.monitor;
        if !self.contains(Group::Lookup) {
            (*lookup, *lookup_entry, *lookup_retry) = Default::default();
        }
        if !self.contains(Group::Stlb) {
            (*stlb_lookup, *stlb_port, *stlb_entry) = Default::default();
        }
        if !self.contains(Group::Walk) {
            *walk = zero.monitor.walk;
        }
        if !self.contains(Group::Tlb) {
            *tlb = zero.monitor.tlb;
        }
        if !self.contains(Group::Psc) {
            *psc = zero.monitor.psc;
        }
        if !self.contains(Group::Queues) {
            kept.queues = Queues::default();
        }
        if !self.contains(Group::Perf) {
            kept.perf = zero.perf;
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosim::signals::signals;

    /// Everything shows 1.
    fn busy() -> Outputs {
        let mut outputs = Outputs::default();
        for port in &mut outputs.ports {
            port.resp_pa = 1;
        }
        outputs.memory.req_addr = 1;
        outputs.control.cr3 = 1;
        let monitor = &mut outputs.monitor;
        (monitor.lookup, monitor.lookup_entry, monitor.lookup_retry) = ([1; 3], [1; 3], [1; 3]);
        (monitor.stlb_lookup, monitor.stlb_port, monitor.stlb_entry) = (1, 1, 1);
        for walk in &mut monitor.walk {
            walk.op = 1;
        }
        for event in monitor.tlb.iter_mut().chain(&mut monitor.psc) {
            event.op = 1;
        }
        outputs.queues.miss[0] = 1;
        outputs.queues.walker[0] = 1;
        outputs.queues.prefetch = 1;
        outputs.perf = [1; 32];
        outputs
    }

    #[test]
    fn a_group_that_is_not_there_is_taken_out_and_nothing_else_is() {
        let whole = busy();
        assert_eq!(Groups::ALL.of(&whole), whole);
        for group in Group::ALL {
            let without = Groups::from_bits(Groups::ALL.0 & !(group as u32)).of(&whole);
            let pairs = signals(&whole).into_iter().zip(signals(&without));
            let gone: Vec<String> = pairs
                .filter(|(before, after)| before.value != after.value)
                .map(|(before, _)| before.name.to_string())
                .collect();
            let prefixes: &[&str] = match group {
                Group::Queues => &["mon_miss_o", "mon_walker_o", "mon_prefetch_o"],
                Group::Perf => &["perf_o"],
                Group::Lookup => &["mon_lookup_"],
                Group::Stlb => &["mon_stlb_"],
                Group::Walk => &["mon_walk_"],
                Group::Tlb => &["mon_tlb_"],
                Group::Psc => &["mon_psc_"],
            };
            assert!(!gone.is_empty(), "{}", group.name());
            for name in gone {
                assert!(
                    prefixes.iter().any(|prefix| name.starts_with(prefix)),
                    "{name}"
                );
            }
        }
        let bare = Groups::NONE.of(&whole);
        assert_eq!(
            (bare.ports, bare.control, bare.memory),
            (whole.ports, whole.control, whole.memory)
        );
    }
}
