//! A reference of a trace: all that comes before it is run, then it is recorded.
//!
//! Contract: 13.1 (how references are presented). SDM: none. Counterpart: none; tables and requests are those of `run`, and a test holds
//! the cycles to it.

use serde::Serialize;
use thiserror::Error;

use super::Hex;
use super::events::Record;
use super::record::Recorder;
use super::walk::{self, Walked};
use crate::arch::{PageSize, PhysicalAddress, Registers};
use crate::config::Config;
use crate::cosim::requester;
use crate::cosim::ticked::{Hang, Ticked};
use crate::model::{Memory, Operation, Request};
use crate::reference::SparseMemory;
use crate::trace::{
    Counts, LazyTables, Mapping, MappingError, MemoryReference, TraceError, Translated,
};

/// No page has this number.
const NO_PAGE: u64 = u64::MAX;

/// Why a reference of a trace cannot be explained.
#[derive(Debug, Error)]
pub enum InTraceError {
    /// The trace is refused.
    #[error("{0}")]
    Trace(#[from] TraceError),
    /// Its pages cannot be mapped.
    #[error("{0}")]
    Mapping(#[from] MappingError),
    /// The machine does not answer.
    #[error("{0}")]
    Hang(#[from] Hang),
    /// The trace has too few references to the page.
    #[error("{}", absent(*found, *references, *page, *wanted))]
    Absent {
        /// The page's first address.
        page: u64,
        /// References to it.
        found: u64,
        /// How many were wanted.
        wanted: u64,
        /// References in the trace.
        references: u64,
        /// The pages touched that lie nearest, below and above.
        nearest: Vec<u64>,
    },
}

fn absent(found: u64, references: u64, page: u64, wanted: u64) -> String {
    match found {
        0 => format!("none of its {references} references is to the page at {page:#x}"),
        _ => format!("it references the page at {page:#x} {found} times only, not {wanted}"),
    }
}

/// A reference of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its number in the trace, from 1.
    pub reference: u64,
    /// `fetch`, `load` or `store`.
    pub kind: &'static str,
    /// Its first byte; of one that crosses into the page, the page's first.
    pub address: Hex,
    /// Its bytes in this page.
    pub size_bytes: u16,
    /// Which of the references to the page it is, from 1.
    pub occurrence: u64,
    /// The number of the one before, if it is not the first.
    pub previous: Option<u64>,
    /// The page, by its size in the mapping.
    pub page: Hex,
    /// The page's size: `4k`.
    pub page_size: &'static str,
    /// Where it lies in physical memory; none if the address is not canonical.
    pub physical_page: Option<Hex>,
    /// References before it by kind.
    pub fetches_before: u64,
    /// Loads before it.
    pub loads_before: u64,
    /// Stores before it.
    pub stores_before: u64,
    /// Pages of 4 KiB touched before it.
    pub pages_before: u64,
}

/// A reference of a trace, explained.
#[derive(Debug, Clone)]
pub struct Explained {
    /// Where it is in the trace.
    pub found: Found,
    /// The registers under which it ran.
    pub registers: Registers,
    /// Its entries as they stood when it was presented.
    pub walked: Walked,
    /// What the machine did for it.
    pub record: Record,
}

/// Which references to look for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    address: u64,
    shift: u32,
    occurrence: u64,
}

/// Runs `references` through the model of `config`, as `run` does, until the reference number `occurrence` (from 1) to the page of
/// `address` has its answer.
///
/// # Errors
/// [`InTraceError`].
pub fn find(
    config: &Config,
    references: impl Iterator<Item = Result<MemoryReference, TraceError>>,
    address: u64,
    occurrence: u64,
) -> Result<Explained, InTraceError> {
    let mapping = requester::mapping(config)?;
    let mut search = Search::new(config, mapping, address, occurrence)?;
    let mut translated = Translated::by_blocks(config.front_end.fetch_block_bytes);
    let mut explained = None;
    for reference in references {
        let reference = reference?;
        for part in translated.parts(&reference) {
            if let Some(found) = search.present(config, &part, explained.is_some())? {
                explained = Some(found);
            }
        }
        search.counts.add(reference.kind());
        if explained.is_some() && (search.window == 1 || search.ticked.twin().is_complete()) {
            break;
        }
    }
    let Some((found, walked)) = explained else {
        return Err(search.absent());
    };
    search.ticked.finish()?;
    let records = search.ticked.twin().records();
    let record = records.first().cloned().ok_or_else(|| search.absent())?;
    Ok(Explained {
        found,
        registers: search.registers,
        walked,
        record,
    })
}

/// A machine with the tables that grow with its trace.
struct Search {
    tables: LazyTables,
    ticked: Ticked<Recorder>,
    registers: Registers,
    privilege: u8,
    window: u32,
    /// The page touched last through each kind of port, which has its entries.
    touched: [u64; 2],
    /// Parts of references presented so far: the number of the next request.
    requests: u64,
    counts: Counts,
    wanted: Wanted,
    seen: u64,
    previous: Option<u64>,
}

impl Search {
    fn new(
        config: &Config,
        mapping: Mapping,
        address: u64,
        occurrence: u64,
    ) -> Result<Self, InTraceError> {
        let size = mapping
            .translate(address)
            .map_or(PageSize::Size4K, |placed| placed.size);
        let memory = Memory::new(&config.memory, config.mapping.seed);
        let mut ticked = Ticked::new(config, Recorder::new(config), memory, false);
        let boot = requester::boot(config, &mapping)
            .map(|control| Operation::new(control.kind as u8, control.data));
        for operation in &boot {
            ticked.control(operation)?;
        }
        // The way into paging of a valid configuration is allowed.
        let registers = super::situation::registers(&boot, &config.arch_capabilities());
        Ok(Self {
            tables: LazyTables::new(mapping),
            ticked,
            registers: registers.unwrap_or_default(),
            privilege: requester::privilege(config),
            window: config.front_end.window,
            touched: [NO_PAGE; 2],
            requests: 0,
            counts: Counts::default(),
            wanted: Wanted {
                address,
                shift: size.shift(),
                occurrence,
            },
            seen: 0,
            previous: None,
        })
    }

    /// Presents a part of a reference; if it is the one that is wanted, says where it is and what its entries are.
    fn present(
        &mut self,
        config: &Config,
        part: &MemoryReference,
        is_found: bool,
    ) -> Result<Option<(Found, Walked)>, InTraceError> {
        let (port, access) = requester::access(part, self.privilege);
        let pages_before = self.tables.pages().count(PageSize::Size4K);
        let mut fresh = Vec::new();
        let touched = &mut self.touched[usize::from(port) % 2];
        if *touched != part.page() {
            *touched = part.page();
            if let Some(path) = self.tables.touch(part.address())? {
                fresh.extend(path.iter().map(|entry| (entry.address.raw(), entry.value)));
            }
        }
        for (address, value) in &fresh {
            let stored = self.ticked.store(*address, *value);
            debug_assert!(stored.is_ok());
        }
        let mut result = None;
        if !is_found
            && part.address() >> self.wanted.shift == self.wanted.address >> self.wanted.shift
        {
            self.seen += 1;
            let number = self.counts.total() + 1;
            if self.seen == self.wanted.occurrence {
                self.ticked.twin().watch(self.requests, 1);
                let found = self.found(part, pages_before);
                let mut memory = self.entries(config, part.address(), &fresh);
                let walked = walk::explain(
                    &self.registers,
                    &config.arch_capabilities(),
                    &access,
                    part.address(),
                    &mut memory,
                );
                result = Some((found, walked));
            }
            self.previous = Some(number);
        }
        let request = Request {
            va: part.address(),
            access,
            id: 0,
        };
        self.ticked.present(&request)?;
        self.requests += 1;
        Ok(result)
    }

    /// Where the reference in hand is.
    fn found(&self, part: &MemoryReference, pages_before: u64) -> Found {
        let placed = self.tables.mapping().translate(part.address());
        let size = placed.map_or(PageSize::Size4K, |placed| placed.size);
        Found {
            reference: self.counts.total() + 1,
            kind: match part.kind() {
                crate::trace::ReferenceKind::Fetch => "fetch",
                crate::trace::ReferenceKind::Load => "load",
                crate::trace::ReferenceKind::Store => "store",
            },
            address: Hex(part.address()),
            size_bytes: part.size_bytes(),
            occurrence: self.seen,
            previous: self.previous,
            page: Hex(part.address() & !size.offset_mask()),
            page_size: size.name(),
            physical_page: placed.map(|placed| Hex(placed.address.raw() & !size.offset_mask())),
            fetches_before: self.counts.fetches,
            loads_before: self.counts.loads,
            stores_before: self.counts.stores,
            pages_before,
        }
    }

    /// The entries on the way to an address, as memory holds them now, `fresh` among them.
    fn entries(&self, config: &Config, address: u64, fresh: &[(u64, u64)]) -> SparseMemory {
        let mut memory = SparseMemory::new(config.memory_size_bytes());
        for entry in self.tables.mapping().entries_for(address).iter() {
            let at = entry.address.raw();
            let stored = fresh.iter().find(|(fresh, _)| *fresh == at);
            let value = match stored {
                Some((_, value)) => *value,
                None => self.ticked.memory().read_u64(at).unwrap_or_default(),
            };
            // The mapping was made for this memory.
            let stored = memory.poke(PhysicalAddress::from_masked(at), value);
            debug_assert!(stored.is_ok());
        }
        memory
    }

    /// The trace is over, and the reference was not there.
    fn absent(&self) -> InTraceError {
        let wanted = self.wanted.address >> PageSize::Size4K.shift();
        let (mut below, mut above) = (None, None);
        for region in self.tables.pages().regions() {
            let first = region.address() >> PageSize::Size4K.shift();
            for page in region.pages().map(|page| first + page) {
                if page < wanted {
                    below = Some(page);
                } else if above.is_none() {
                    above = Some(page);
                }
            }
        }
        let pages = [below, above].into_iter().flatten();
        InTraceError::Absent {
            page: self.wanted.address >> self.wanted.shift << self.wanted.shift,
            found: self.seen,
            wanted: self.wanted.occurrence,
            references: self.counts.total(),
            nearest: pages.map(|page| page << PageSize::Size4K.shift()).collect(),
        }
    }
}
