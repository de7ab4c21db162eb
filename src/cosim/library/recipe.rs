//! What to build: sources, parameters, flags; and how a seeded bug gets into a copy of the RTL.
//!
//! Contract: section 2 (parameters). Counterpart: `rtl/*.sv`, embedded.

use std::borrow::Cow;
use std::path::PathBuf;

use super::{LibraryError, embedded};
use crate::config::Config;
use crate::cosim::rtl::{Library, RtlError};
use crate::cosim::verilate::{self, Flags, TOP_MODULE, Trace};
use crate::cosim::wave::beside::Extent;

/// One SystemVerilog file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, without a directory.
    pub name: Cow<'static, str>,
    /// Its text.
    pub text: Cow<'static, str>,
}

/// A user's design: files that stay where they are, and what Verilator is told of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestSources {
    /// The top module, which has the ports of contract 3.
    pub top: String,
    /// The files, absolute, in the order in which Verilator is given them.
    pub files: Vec<PathBuf>,
    /// Where Verilator looks for what the files include, absolute.
    pub include_dirs: Vec<PathBuf>,
    /// Macros, with their values if they have any.
    pub defines: Vec<(String, Option<String>)>,
    /// Ports of the machine: elements of the request and response arrays.
    pub ports: u32,
    /// Every file that the design may be made of, absolute, with the digest of its content.
    pub contents: Vec<(PathBuf, [u8; 32])>,
    /// The directory that messages leave out, and what they show in its place.
    pub shown: (PathBuf, String),
}

/// What to build: sources, parameters, flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    pub(super) sources: Vec<SourceFile>,
    pub(super) parameters: Vec<(Cow<'static, str>, u64)>,
    pub(super) flags: Flags,
    /// A user's design, in the place of `sources`.
    pub(super) guest: Option<GuestSources>,
    patched: bool,
}

impl Recipe {
    /// The embedded RTL with the parameters of a configuration.
    pub fn new(config: &Config, flags: Flags) -> Self {
        let sources = embedded::RTL
            .iter()
            .map(|&(name, text)| SourceFile {
                name: name.into(),
                text: text.into(),
            })
            .collect();
        Self {
            sources,
            parameters: config
                .rtl_parameters()
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
            flags,
            guest: None,
            patched: false,
        }
    }

    /// A user's design with values for parameters of its top.
    pub fn of_guest(guest: GuestSources, parameters: &[(String, u64)], flags: Flags) -> Self {
        Self {
            sources: Vec::new(),
            parameters: parameters
                .iter()
                .map(|(name, value)| (name.clone().into(), *value))
                .collect(),
            flags,
            guest: Some(guest),
            patched: true,
        }
    }

    /// The top module.
    pub(super) fn top(&self) -> &str {
        self.guest.as_ref().map_or(TOP_MODULE, |guest| &guest.top)
    }

    /// How many elements the output arrays have, as far as it is known before the build.
    pub(super) fn extent(&self) -> Extent {
        let value = |name: &str| {
            let found = self.parameters.iter().find(|(known, _)| known == name);
            found.and_then(|&(_, value)| usize::try_from(value).ok())
        };
        match &self.guest {
            // What its adapter shows of walkers and miss queue is known to Verilator alone.
            Some(guest) => Extent {
                ports: guest.ports as usize,
                ..Extent::MOST
            },
            None => Extent {
                ports: value("DATA_PORTS").map_or(Extent::MOST.ports, |ports| ports + 1),
                walkers: value("WALKERS").unwrap_or(Extent::MOST.walkers),
                miss_queue_entries: value("MISS_QUEUE_ENTRIES")
                    .unwrap_or(Extent::MOST.miss_queue_entries),
            },
        }
    }

    /// The same with other sources, packages first.
    #[must_use]
    pub fn with_sources(mut self, mut sources: Vec<SourceFile>) -> Self {
        sources.sort_by_key(|file| verilate::source_order(&file.name));
        self.sources = sources;
        self.patched = true;
        self
    }

    /// Replaces a passage of one source, which must be there exactly once: how a seeded bug gets into a copy of the RTL.
    ///
    /// # Errors
    /// If there is no such file, or the passage occurs not once.
    pub fn patch(
        &mut self,
        file: &str,
        passage: &str,
        replacement: &str,
    ) -> Result<(), LibraryError> {
        let refuse = |reason: String| LibraryError::Patch {
            file: file.to_owned(),
            reason,
        };
        let Some(source) = self.sources.iter_mut().find(|source| source.name == file) else {
            return Err(refuse("there is no such source file".into()));
        };
        match source.text.matches(passage).count() {
            1 => {}
            count => {
                return Err(refuse(format!(
                    "the passage occurs {count} times, not once: `{passage}`"
                )));
            }
        }
        source.text = source.text.replacen(passage, replacement, 1).into();
        self.patched = true;
        Ok(())
    }

    /// The sources, in the order in which Verilator is given them.
    pub fn sources(&self) -> &[SourceFile] {
        &self.sources
    }

    /// The flags.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// Whether the machine that the feature `rtl-static` links in is this one. It is fully optimised, and so does for any optimisation.
    pub(super) fn is_linked(&self, library: &Library) -> Result<bool, RtlError> {
        let flags_fit =
            self.flags.assertions && !self.flags.counts() && self.flags.trace != Trace::Fst;
        let echoed = library.parameters()?;
        let echoed = echoed.iter().map(|(name, value)| (name.as_str(), *value));
        let asked = self.parameters.iter();
        Ok(flags_fit
            && !self.patched
            && echoed.eq(asked.map(|(name, value)| (name.as_ref(), *value))))
    }
}
