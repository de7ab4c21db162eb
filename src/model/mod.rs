//! The cycle model: the machine of `docs/contract.md` in Rust, block by block as in `rtl/`.
//!
//! Contract: all of it. Counterpart: `rtl/`, file by file.
//!
//! [`Mmu::tick`] is the meaning: one cycle, from [`Inputs`](mmu_pkg::Inputs) to [`Outputs`](mmu_pkg::Outputs). Two things are
//! faster and change nothing, and tests hold them equal to it: [`Mmu::skip`] passes over cycles that [`Mmu::next_event`] declares
//! quiet, and [`Mmu::translate_alone`] answers a request that has the machine for itself by arithmetic on time.
//!
//! | module | is |
//! | --- | --- |
//! | [`mmu_pkg`] | the ports, as the same bytes for both twins |
//! | [`mmu`] | the machine, and the order of a cycle |
//! | `agenda` | which units act in a cycle, and which cycle is next |
//! | [`port`] | queues, and in `look_up` the first-level look-up |
//! | `tlb` | one TLB array |
//! | `places` | where a page stands: kept size, array and set |
//! | `replacement` | what leaves a full set of a TLB array or a paging-structure cache |
//! | `cyclic` | who comes next among several |
//! | `miss_queue` | requests that missed: entries, merging, who takes one |
//! | `stlb` | second-level look-up, its results, fills and drops |
//! | `inclusion` | what leaves the STLB leaves the first level |
//! | `commit` | which walker, or result of the STLB, performs its end |
//! | `psc` | paging-structure caches |
//! | `walker` | one walker |
//! | `walkers` | who takes which walk, and what START and DONE do to the rest |
//! | `memory_port` | whose memory request is shown |
//! | `prefetch` | the next-page prefetch |
//! | `control` | registers and invalidations |
//! | `monitor` | where the blocks report what they do |
//! | [`performance_counters`] | what software would read of walks and second-level hits |
//! | `spec` | the parameters, in the model's form |
//! | [`alone`] | the fast path |
//! | [`front_end`] | who presents references: window, gap, time by arithmetic while all hit |
//! | [`liveness`] | how long a request may wait, and for whom |
//! | [`memory`] | testbench memory |
//! | `cells` | what it holds |
//! | [`statistics`] | what is counted |
//! | `observation` | the same, drawn from the monitor |
//! | `window` | the same, between two cycles |
//! | [`latency`] | how long walks take: a histogram, and percentiles |
//! | [`events`] | the performance counters between two cycles, by kind of request, with sums |
//! | `conservation` | the laws of what is counted |
//!
//! No block decides by anything but its state and the machine's inputs. No tick allocates, but for
//! the histogram of latencies when a walk is longer than all before.

mod agenda;
pub mod alone;
mod cells;
mod commit;
mod conservation;
mod control;
mod cyclic;
pub mod events;
pub mod front_end;
mod inclusion;
pub mod latency;
pub mod liveness;
pub mod memory;
mod memory_port;
mod miss_queue;
pub mod mmu;
pub mod mmu_pkg;
mod monitor;
mod observation;
pub mod performance_counters;
mod places;
pub mod port;
mod prefetch;
mod psc;
mod recents;
mod replacement;
mod spec;
pub mod statistics;
mod stlb;
mod table_cache;
mod tlb;
mod walker;
mod walkers;
mod ways;
mod window;

#[cfg(test)]
mod tests;

pub use alone::Alone;
pub use events::Events;
pub use front_end::{Answered, Asked, FrontEnd, OneAtATime, Operation, Run, Unserved};
pub use memory::Memory;
pub use mmu::Mmu;
pub use performance_counters::PerformanceCounters;
pub use port::{Request, Response};
pub use statistics::Statistics;
