//! Liveness: after how many open cycles every request has its answer, and who waits for whom if one has not.
//!
//! Contract: 14 (the bound), 10.1 (the words that are decoded). SDM: none. Counterpart: none; a watchdog beside either twin uses this.

use std::fmt;

use crate::config::Config;

use super::mmu_pkg::{
    MAX_MISS_QUEUE_ENTRIES, MAX_WALKERS, MISS_FREE, MISS_WAITING, MISS_WALK_WAIT, MISS_WALKING,
    PREFETCH_ENTRY, Queues, miss_state,
};

/// `LIVENESS_BOUND_CYCLES` of contract 14: open cycles from the accept of a request by which it is answered, in a machine of `config`,
/// which must be valid. Each compare-and-set that a walk loses meanwhile adds [`lost_race_cycles`].
pub fn liveness_bound_cycles(config: &Config) -> u64 {
    let ports = u64::from(config.ports());
    let queue = u64::from(config.ports.queue_entries);
    let entries = u64::from(config.miss_queue.entries);
    let first_level = u64::from(
        config
            .itlb
            .hit_latency_cycles
            .max(config.dtlb.hit_latency_cycles),
    );
    let stlb = u64::from(config.stlb.hit_latency_cycles);
    let commit = 3 * (u64::from(config.walkers.count) + 1);
    let walk = 3 * commit + 20 * lost_race_cycles(config) + 1;
    let not_merged = 2 * entries + stlb + entries * commit + (entries + 2) * walk;
    let candidate = 42 * entries;
    let entry = 2 * not_merged + (entries + 1) * candidate;
    queue * (first_level + (entries + 1) * candidate + ports * entry) + entry + queue
}

/// What a compare-and-set that is lost adds to the bound: one more access, and its EXAMINE.
pub fn lost_race_cycles(config: &Config) -> u64 {
    let memory = u64::from(config.memory.latency_cycles) + u64::from(config.memory.jitter_cycles);
    memory + 2 * u64::from(config.walkers.count) + 1 + 1
}

/// The states of an entry of the miss queue.
const MISS_STATES: [&str; 8] = [
    "FREE",
    "STLB_WAIT",
    "STLB_BUSY",
    "WALK_WAIT",
    "WALKING",
    "WAITING",
    "RETRY",
    "in a state that does not exist",
];
/// The states of a walker.
pub const WALKER_STATES: [&str; 8] = [
    "IDLE",
    "START",
    "READ",
    "READ_WAIT",
    "EXAMINE",
    "CAS",
    "CAS_WAIT",
    "DONE",
];

/// The name of a state of the miss queue, as [`MissWord::state`] numbers them.
pub const fn miss_state_name(state: u32) -> &'static str {
    MISS_STATES[(state & 7) as usize]
}

/// A word of `mon_miss_o`, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MissWord {
    /// The state: 0 FREE to 6 RETRY.
    pub state: u32,
    /// The port of the request.
    pub port: u8,
    /// Its id.
    pub id: u8,
    /// In WAITING: the entry that it waits for.
    pub primary: usize,
}

impl MissWord {
    /// The fields of a word.
    pub const fn new(word: u32) -> Self {
        Self {
            state: miss_state(word),
            port: (word >> 3 & 3) as u8,
            id: (word >> 5 & 0xff) as u8,
            primary: (word >> 15 & 0xf) as usize,
        }
    }
}

/// One link of a chain of who waits for whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// The request has no entry of the miss queue: it is in the request or response queue of its port. `full`: no entry is FREE.
    Outside {
        /// No entry is FREE.
        full: bool,
    },
    /// An entry of the miss queue.
    Entry {
        /// Its number.
        number: usize,
        /// What its word says.
        word: MissWord,
    },
    /// A walker, or [`None`] where no walker has the entry that is WALKING.
    Walker(Option<WalkerWord>),
}

/// A word of `mon_walker_o`, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalkerWord {
    /// The number of the walker.
    pub number: usize,
    /// The state: 0 IDLE to 7 DONE.
    pub state: u32,
    /// The entry that it has, or [`PREFETCH_ENTRY`].
    pub entry: u8,
    /// The level that it reads, sets or examines; else 0.
    pub level: u32,
}

impl WalkerWord {
    /// The fields of the word of walker `number`.
    pub const fn new(number: usize, word: u32) -> Self {
        Self {
            number,
            state: word & 7,
            entry: (word >> 3 & 31) as u8,
            level: word >> 8 & 7,
        }
    }
}

impl fmt::Display for WalkerWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = WALKER_STATES[self.state as usize];
        write!(f, "walker {}, {state}", self.number)?;
        match state {
            "READ" | "CAS" => write!(f, " at level {}, for the memory port", self.level),
            "READ_WAIT" | "CAS_WAIT" => write!(f, " at level {}, for memory", self.level),
            "EXAMINE" => write!(f, " at level {}", self.level),
            "START" | "DONE" => write!(f, ", to commit"),
            _ => Ok(()),
        }
    }
}

/// Who waits for whom, from a request on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// The port of the request, and its id.
    pub port: u8,
    /// The id.
    pub id: u8,
    /// From the request to what all of it waits for.
    pub links: Vec<Link>,
    /// All walkers that are not idle, for what waits for a walker.
    pub walkers: Vec<WalkerWord>,
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {} id {}: ", self.port, self.id)?;
        for (at, link) in self.links.iter().enumerate() {
            match link {
                Link::Outside { full: true } => {
                    write!(f, "in the queues of its port; the miss queue is full")?;
                }
                Link::Outside { full: false } => write!(f, "in the queues of its port")?,
                Link::Entry { number, word } => {
                    if at == 0 {
                        write!(f, "entry {number}, ")?;
                    } else {
                        let MissWord { port, id, .. } = word;
                        write!(f, " on entry {number} (port {port} id {id}), ")?;
                    }
                    write!(f, "{}", MISS_STATES[word.state as usize])?;
                }
                Link::Walker(Some(walker)) => write!(f, " in {walker}")?,
                Link::Walker(None) => write!(f, " in no walker")?,
            }
        }
        if let Some(Link::Entry { word, .. }) = self.links.last()
            && word.state == MISS_WALK_WAIT
        {
            for walker in &self.walkers {
                let owner = match walker.entry {
                    PREFETCH_ENTRY => "the prefetch".to_owned(),
                    entry => format!("entry {entry}"),
                };
                write!(f, "; {owner} in {walker}")?;
            }
        }
        Ok(())
    }
}

/// Decodes from the state words of a cycle for whom the request `id` of `port` waits. Words that make no sense give a chain that ends.
pub fn who_waits_for_whom(queues: &Queues, port: u8, id: u8) -> Chain {
    let words = queues.miss.map(MissWord::new);
    let walkers: [WalkerWord; MAX_WALKERS] =
        std::array::from_fn(|number| WalkerWord::new(number, queues.walker[number]));
    let busy = walkers.iter().filter(|walker| walker.state != 0);
    let mut chain = Chain {
        port,
        id,
        links: Vec::new(),
        walkers: busy.copied().collect(),
    };
    let own = words
        .iter()
        .position(|word| word.state != MISS_FREE && word.port == port && word.id == id);
    let Some(mut number) = own else {
        // Entries that a machine does not have are 0, and look FREE.
        let last = words.iter().rposition(|word| word.state != MISS_FREE);
        let full =
            last.is_some_and(|last| words[..last].iter().all(|word| word.state != MISS_FREE));
        chain.links.push(Link::Outside { full });
        return chain;
    };
    // A primary is never WAITING; if words say so in a circle, this ends all the same.
    for _ in 0..MAX_MISS_QUEUE_ENTRIES {
        let word = words[number];
        chain.links.push(Link::Entry { number, word });
        if word.state != MISS_WAITING {
            break;
        }
        number = word.primary;
    }
    if words[number].state == MISS_WALKING {
        let has = |walker: &&WalkerWord| walker.state != 0 && usize::from(walker.entry) == number;
        let walker = walkers.iter().find(has).copied();
        chain.links.push(Link::Walker(walker));
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_that_of_the_table() {
        let mut config = Config::default();
        config.ports.queue_entries = 1;
        config.ports.data_ports = 1;
        config.miss_queue.entries = 1;
        config.walkers.count = 1;
        config.itlb.hit_latency_cycles = 1;
        config.dtlb.hit_latency_cycles = 2;
        config.stlb.hit_latency_cycles = 7;
        config.memory.latency_cycles = 10;
        config.memory.jitter_cycles = 5;
        // C = 6, A = 18, T = 18 + 380 + 1 = 399, R = 2 + 7 + 6 + 1197 = 1212, D = 42, B = 2424 + 84 = 2508.
        assert_eq!(lost_race_cycles(&config), 19);
        assert_eq!(
            liveness_bound_cycles(&config),
            (2 + 84 + 2 * 2508) + 2508 + 1
        );
        config.walkers.count = 2;
        assert!(liveness_bound_cycles(&config) > 7611);
    }

    #[test]
    fn a_chain_names_the_primary_its_walker_and_memory() {
        let mut queues = Queues::default();
        queues.miss[3] = MISS_WALKING | 2 << 5;
        queues.miss[0] = MISS_WAITING | 1 << 3 | 7 << 5 | 3 << 15;
        queues.miss[1] = MISS_WALK_WAIT | 1 << 3 | 9 << 5;
        queues.walker[1] = 3 | 3 << 3 | 2 << 8;
        assert_eq!(
            who_waits_for_whom(&queues, 1, 7).to_string(),
            "port 1 id 7: entry 0, WAITING on entry 3 (port 0 id 2), WALKING in walker 1, READ_WAIT at level 2, for memory"
        );
        assert_eq!(
            who_waits_for_whom(&queues, 1, 9).to_string(),
            "port 1 id 9: entry 1, WALK_WAIT; entry 3 in walker 1, READ_WAIT at level 2, for memory"
        );
        assert_eq!(
            who_waits_for_whom(&queues, 2, 9).to_string(),
            "port 2 id 9: in the queues of its port"
        );
    }

    #[test]
    fn words_that_wait_in_a_circle_end() {
        let mut queues = Queues::default();
        queues.miss[0] = MISS_WAITING | 1 << 15;
        queues.miss[1] = MISS_WAITING;
        let chain = who_waits_for_whom(&queues, 0, 0);
        assert_eq!(chain.links.len(), MAX_MISS_QUEUE_ENTRIES);
    }
}
