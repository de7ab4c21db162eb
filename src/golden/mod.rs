//! Golden traces: stimulus files with a readable trace beside each, which both twins must reproduce to the byte.
//!
//! Contract: every section; a golden trace shows one of its rules at work. SDM: as the scenario says. Counterpart: `golden/`.
//!
//! `golden/<topic>/<scenario>.stim` is the stimulus (`docs/stim.md`), `<scenario>.snap` beside it the trace: a header, one line an event
//! with its cycle, the page-table entries that changed, and the counts. A snapshot has the file format of the crate `insta`, so that the
//! same files are read in tests; they are written by [`suite`] alone, and only when asked to.
//!
//! | module | does |
//! | --- | --- |
//! | [`trace`] | runs a stimulus on one twin and writes its trace |
//! | [`snapshot`] | the file format, reading and writing |
//! | [`diff`] | two texts, line by line |
//! | [`suite`] | finds scenarios, compares them on every implementation, blesses them |

pub mod diff;
pub mod snapshot;
pub mod suite;
pub mod trace;
