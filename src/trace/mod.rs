//! Traces of memory references: reading, writing and recording them, and where their pages lie in physical memory.
//!
//! Contract: section 3 (what a requester owes the ports: sizes, and the split at a page). SDM: none. Counterpart: none; both twins are
//! fed from here. `docs/traces.md` has the formats and the rules byte by byte.
//!
//! A trace is read in one pass and in constant memory, from a file or from standard input, through gzip, xz or zstd. Nothing that a file
//! may contain makes a reader panic or allocate without bound: what is wrong with it is a [`TraceError`] with file, place and remedy.
//!
//! | module | does |
//! | --- | --- |
//! | [`mod@reference`] | one reference, and the split of what crosses a page |
//! | [`mod@open`] | finds compression and format by content; the trait that every reader has |
//! | [`mod@input`] | bytes of a file or of standard input, decompressed, with progress |
//! | [`mod@lackey`] | text of `valgrind --tool=lackey --trace-mem=yes` |
//! | `champsim`, `drmemtrace`, `drmemtrace_text`, `perf`, `pinatrace`, `csv` | the formats of other tools |
//! | `source` | what these have in common: lines and records in constant memory |
//! | [`mod@assumed`] | what is assumed where a format does not say |
//! | [`mod@binary`] | the project's own form: compact, versioned, checksummed |
//! | [`mod@file`] | writing a trace file, and import into one |
//! | [`mod@record`] | running a program under valgrind |
//! | [`mod@info`] | what is in a trace |
//! | [`mod@runs`] | references as runs on a page |
//! | [`mod@pages`] | sets of pages |
//! | [`mod@mapping`] | page tables and page frames by rule, from address and seed |

pub mod assumed;
pub mod binary;
mod champsim;
mod csv;
mod drmemtrace;
mod drmemtrace_text;
pub mod error;
pub mod file;
pub mod info;
pub mod input;
pub mod lackey;
pub mod mapping;
pub mod open;
pub mod pages;
mod perf;
mod pinatrace;
pub mod record;
pub mod reference;
pub mod runs;
mod source;

pub use binary::RunReader;
pub use error::TraceError;
pub use file::{Compression, Content, TraceFile, Written, import, import_as};
pub(crate) use file::{resolve as resolve_target, temporary_beside};
pub use info::{TraceInfo, info, info_of_runs};
pub use input::{Input, Progress};
pub use mapping::{
    AccessedDirty, LazyTables, Mapping, MappingError, MappingSpec, PagePolicy, TableEntry,
};
pub use open::{Metadata, OpenOptions, Opened, References, TraceFormat, TraceReader};
pub use pages::PageSet;
pub use record::{RecordOptions, Recorded, record};
pub use reference::{Counts, MemoryReference, PageSplit, Parts, ReferenceKind, Translated};
pub use runs::{Run, RunBuilder};
