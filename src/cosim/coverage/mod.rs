//! Coverage: which lines and bits of the RTL ran, and which combinations of what both twins agreed on occurred.
//!
//! Contract: none of its own. SDM: none. Counterpart: none; `docs/coverage.md` says how to read it.
//!
//! | module | does |
//! | --- | --- |
//! | [`points`] | Verilator's counts: read, added, written |
//! | [`lines`] | lines, branches and bits of the RTL, put together from all machines |
//! | [`waivers`] | the lines that no run reaches, each with the reason |
//! | [`cells`] | crosses, their cells, and what cannot occur |
//! | [`machine`] | what a machine can do at all |
//! | [`translation`] | the crosses of requests and of the prefetch |
//! | [`invalidation`] | the cross of invalidations and what they meet |
//! | [`queues`] | the crosses of queues and arbiters, and of control operations |
//! | [`sampler`] | counts the cells from the cycles of a run |
//! | [`collect`] | what the streams of a campaign counted, in their order |
//! | [`folder`] | a folder of coverage, to which runs add |
//! | [`page`] | the table of a folder |

pub mod cells;
pub mod collect;
pub mod folder;
pub mod invalidation;
pub mod lines;
pub mod machine;
pub mod page;
pub mod points;
pub mod queues;
pub mod sampler;
pub mod translation;
pub mod waivers;
