//! What `explain` says: the object of `--json`, of which the text is drawn too.
//!
//! Contract: none. SDM: none. Counterpart: none.

use serde::Serialize;

use crate::cli::machine::rtl_none;
use crate::config::Loaded;
use crate::explain::in_trace::Found;
use crate::explain::situation::Situation;
use crate::explain::split::Split;
use crate::explain::timeline::Timeline;
use crate::explain::walk::Walked;
use crate::trace::MappingSpec;

/// All of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The address, taken apart.
    pub split: Split,
    /// The machine.
    pub machine: Machine,
    /// An access, if one was made.
    pub access: Option<Situated>,
    /// A reference of a trace, if one was asked for.
    pub trace: Option<InTrace>,
}

/// The machine that the cycles are of.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// The hash of its configuration.
    pub config_hash: String,
    /// `none`, if the model alone has it.
    pub rtl: &'static str,
    /// Which values are why, for a person.
    #[serde(skip)]
    pub rtl_none: Option<String>,
    /// H of the fetch port.
    pub itlb_hit_cycles: u32,
    /// H of the data ports.
    pub dtlb_hit_cycles: u32,
    /// S.
    pub stlb_hit_cycles: u32,
    /// M.
    pub memory_latency_cycles: u32,
    /// The most that is added to M.
    pub memory_jitter_cycles: u32,
}

/// An access in a given situation.
#[derive(Debug, Serialize)]
pub struct Situated {
    /// The control registers.
    pub situation: Situation,
    /// The mappings as they were written.
    pub mappings: Vec<String>,
    /// How many tables hold them.
    pub tables: usize,
    /// The accesses as the manual has them.
    pub walks: Vec<Walked>,
    /// The accesses as the machine made them; a single one is made twice.
    pub runs: Vec<Timeline>,
}

/// A reference of a trace.
#[derive(Debug, Serialize)]
pub struct InTrace {
    /// The trace.
    pub file: String,
    /// How its pages are placed.
    pub mapping: MappingSpec,
    /// How its references are presented.
    pub front_end: String,
    /// The control registers.
    pub situation: Situation,
    /// Where in the trace the reference is.
    pub found: Found,
    /// Its entries as they stood then.
    pub walk: Walked,
    /// What the machine did for it.
    pub run: Timeline,
}

impl Report {
    /// A report of the address alone.
    pub fn new(split: Split, loaded: &Loaded) -> Self {
        let config = &loaded.config;
        Self {
            split,
            machine: Machine {
                name: loaded.name.to_string(),
                config_hash: config.hash(),
                rtl: config.rtl(),
                rtl_none: rtl_none(config),
                itlb_hit_cycles: config.itlb.hit_latency_cycles,
                dtlb_hit_cycles: config.dtlb.hit_latency_cycles,
                stlb_hit_cycles: config.stlb.hit_latency_cycles,
                memory_latency_cycles: config.memory.latency_cycles,
                memory_jitter_cycles: config.memory.jitter_cycles,
            },
            access: None,
            trace: None,
        }
    }
}
