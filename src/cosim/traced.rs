//! The references of a real trace as operations: the machine brought into paging, tables that grow as pages are touched, requests.
//!
//! Contract: section 3 (what a requester owes the ports). SDM: none. Counterpart: `crate::trace`, which reads traces and places pages.
//!
//! The first operations bring the machine into the paging mode of the mapping, with the root that its rule gives. Then come the
//! references in program order, by the rule of the front end (contract 13.1): fetches to port 0, loads and stores to the data ports in turn, as user-mode accesses if the mapping's pages
//! are user pages, else as supervisor ones. The table entries of a page that is touched for the first time are stored by another agent
//! just before the request, so a trace is read once and in constant memory.

use std::collections::VecDeque;

use super::requester::{self, Requester};
use super::stimulus::{Action, ConfigText, Operation, OperationSource, Request, Setup, Store};
use crate::config::Config;
use crate::trace::{
    LazyTables, MappingError, MemoryReference, References, TraceError, TraceReader, Translated,
};

/// Why a trace came to its end before its end.
#[derive(Debug)]
pub enum TraceTrouble {
    /// The trace cannot be read further.
    Trace(TraceError),
    /// A page cannot be mapped.
    Mapping(MappingError),
}

/// The operations of a trace.
pub struct TraceSource {
    references: References<Box<dyn TraceReader>>,
    translated: Translated,
    tables: LazyTables,
    pending: VecDeque<Operation>,
    requester: Requester,
    /// References that may still be taken.
    left: u64,
    taken: u64,
    translations: u64,
    trouble: Option<TraceTrouble>,
}

impl TraceSource {
    /// At most `most` references of `reader`, counted before the split at page borders, on the machine of `config` with the pages of its mapping.
    ///
    /// # Errors
    /// The mapping is not possible on this machine.
    pub fn new(
        config: &Config,
        reader: Box<dyn TraceReader>,
        most: u64,
    ) -> Result<Self, MappingError> {
        let mapping = requester::mapping(config)?;
        let mut pending: VecDeque<Operation> = requester::boot(config, &mapping)
            .into_iter()
            .map(|control| Operation::now(Action::Control(control)))
            .collect();
        pending.push_back(Operation::now(Action::Drain));
        Ok(Self {
            references: References::new(reader),
            translated: Translated::by_blocks(config.front_end.fetch_block_bytes),
            tables: LazyTables::new(mapping),
            pending,
            requester: Requester::new(config),
            left: most,
            taken: 0,
            translations: 0,
            trouble: None,
        })
    }

    /// The setup of a run: no stalls, and no image, since tables grow as they are used.
    pub fn setup(config: &Config, name: &str, seed: u64) -> Setup {
        Setup {
            about: vec![format!("references of {name}")],
            config: ConfigText::of(config),
            seed,
            front_end: true,
            ..Setup::default()
        }
    }

    /// References of the trace that were taken so far.
    pub const fn references(&self) -> u64 {
        self.taken
    }

    /// Translations that they ask for: one each, and two of a reference that crosses a page; of fetches by blocks one a block.
    pub const fn translations(&self) -> u64 {
        self.translations
    }

    /// What ended the trace, if that was not its end.
    pub fn into_trouble(self) -> Option<TraceTrouble> {
        self.trouble
    }

    fn push_reference(&mut self, reference: &MemoryReference) -> Result<(), MappingError> {
        let mut parts = self.translated.parts(reference);
        parts.try_for_each(|part| self.push_part(&part))
    }

    /// A reference that crosses no page.
    fn push_part(&mut self, part: &MemoryReference) -> Result<(), MappingError> {
        let address = part.address();
        if let Some(path) = self.tables.touch(address)? {
            for entry in path.iter() {
                let store = Store {
                    address: entry.address.raw(),
                    value: entry.value,
                };
                self.pending.push_back(Operation::now(Action::Store(store)));
            }
        }
        let (port, access) = self.requester.next(part);
        let request = Request {
            port,
            va: address,
            access,
            size_bytes: part.port_size_bytes() as u8,
        };
        self.translations += 1;
        self.pending
            .push_back(Operation::now(Action::Request(request)));
        Ok(())
    }
}

impl OperationSource for TraceSource {
    fn next_operation(&mut self) -> Option<Operation> {
        // A fetch in the block of the one before asks for nothing.
        while self.pending.is_empty() && self.trouble.is_none() {
            self.left = self.left.checked_sub(1)?;
            match self.references.next()? {
                Ok(reference) => {
                    self.taken += 1;
                    self.trouble = self
                        .push_reference(&reference)
                        .err()
                        .map(TraceTrouble::Mapping);
                }
                Err(error) => self.trouble = Some(TraceTrouble::Trace(error)),
            }
        }
        if self.trouble.is_some() {
            return None;
        }
        self.pending.pop_front()
    }
}
