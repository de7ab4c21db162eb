//! The machines that mutants are run on: small ones, which together elaborate every block and every branch of a `generate`.
//!
//! Contract: section 2 (parameters). SDM: none. Counterpart: `presets/`.

use twinwalk::config::Config;
use twinwalk::config::load::{Source, from_toml, load};

/// A machine: a preset, [`SMALL`], [`COMPACT`] or [`PAIR`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    pub name: &'static str,
}

/// In the order in which they are tried: what is built soonest first, then those in which most of the RTL stands.
pub const MACHINES: [Machine; 8] = [
    Machine { name: "small" },
    Machine { name: "compact" },
    Machine { name: "inclusive" },
    Machine { name: "mixed" },
    Machine { name: "pair" },
    Machine { name: "no-psc" },
    Machine { name: "narrow" },
    Machine { name: "blocking" },
];

/// What every machine has, and hardly more.
const SMALL: &str = r#"
[ports]
queue_entries = 2

[itlb]
arrays = []

[dtlb]
arrays = [{ page_sizes = ["4k", "2m"], sets = 2, ways = 2 }]

[stlb]
hit_latency_cycles = 2
arrays = [{ page_sizes = ["4k"], sets = 2, ways = 2 }]

[miss_queue]
entries = 2

[walkers]
count = 2

[psc]
pml5e.ways = 0
pml4e.ways = 0
pdpte.ways = 1
pde.ways = 1

[memory]
latency_cycles = 3
"#;

/// As much of the RTL as there is in a machine that is built in half the time of the presets that have it.
const COMPACT: &str = r#"
[ports]
data_ports = 2
queue_entries = 3

[itlb]
arrays = [{ page_sizes = ["4k", "2m"], sets = 2, ways = 2 }]

[dtlb]
arrays = [
    { page_sizes = ["4k"], sets = 2, ways = 2, replacement = "tree-plru" },
    { page_sizes = ["2m", "1g"], sets = 1, ways = 2, replacement = "srrip" },
]

[stlb]
hit_latency_cycles = 3
arrays = [{ page_sizes = ["4k", "2m", "1g"], sets = 3, ways = 2, replacement = "fifo" }]

[miss_queue]
entries = 4

[walkers]
count = 2
order = "oldest"

[prefetch]
next_page = true

[psc]
pml5e.ways = 1
pml4e.ways = 1
pdpte.ways = 2
pde.ways = 2

[memory]
latency_cycles = 6
jitter_cycles = 5
"#;

/// Two data ports that touch sets of the same arrays at a time, of three ways and more: of two, that which was not touched is the next victim by any policy.
/// And every bit that a physical address may have.
const PAIR: &str = r#"
[capabilities]
maxphyaddr_bits = 52

[ports]
data_ports = 2
queue_entries = 4

[itlb]
arrays = []

[dtlb]
arrays = [
    { page_sizes = ["4k"], sets = 2, ways = 3 },
    { page_sizes = ["4k"], sets = 2, ways = 4, replacement = "tree-plru" },
    { page_sizes = ["4k"], sets = 2, ways = 3, replacement = "nru" },
    { page_sizes = ["2m"], sets = 2, ways = 3, replacement = "srrip" },
]

[stlb]
hit_latency_cycles = 1
arrays = []

[miss_queue]
entries = 3

[walkers]
count = 1

[psc]
pml5e.ways = 0
pml4e.ways = 0
pdpte.ways = 0
# A policy whose state is reset, and not written row by row in a sweep.
pde = { ways = 3, replacement = "srrip" }

[memory]
latency_cycles = 2
"#;

impl Machine {
    pub fn of_name(name: &str) -> Option<Self> {
        MACHINES.into_iter().find(|machine| machine.name == name)
    }

    /// Its parameters.
    pub fn config(self) -> Result<Config, String> {
        let config = match self.name {
            "small" => from_toml(SMALL, self.name),
            "compact" => from_toml(COMPACT, self.name),
            "pair" => from_toml(PAIR, self.name),
            preset => load(&Source::Preset(preset.to_owned()), &[]).map(|loaded| loaded.config),
        };
        config.map_err(|error| error.to_string())
    }
}

/// All machines, those first in which most of `file` stands.
pub fn order_for(file: &str) -> Vec<Machine> {
    let first = match file {
        "policy_nru.sv" | "policy_random.sv" => "mixed",
        "policy_fifo.sv" | "policy_tree_plru.sv" | "policy_srrip.sv" => "compact",
        "prefetch.sv" | "oldest.sv" => "compact",
        "inclusion.sv" => "inclusive",
        _ => MACHINES[0].name,
    };
    let mut machines = MACHINES.to_vec();
    machines.sort_by_key(|machine| machine.name != first);
    machines
}
