//! Tables for sets of pages: all at once before a run, or page by page as a run touches them.
//!
//! Contract: none. SDM vol. 3A, 4.5. Counterpart: none.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

use super::place::{EntryPath, Mapping};
use super::{MappingError, TableEntry};
use crate::arch::{Level, PageSize};
use crate::trace::pages::{PageSet, Region};

/// Which 1 GiB region of the address space owns each block of 1 GiB of physical memory.
#[derive(Debug, Clone, Default)]
struct Owners {
    regions: HashMap<u64, u64, FixedState>,
}

impl Owners {
    /// Claims the block at `block` for the region at `region`, both first addresses.
    fn claim(&mut self, mapping: &Mapping, block: u64, region: u64) -> Result<(), MappingError> {
        let owner = *self.regions.entry(block).or_insert(region);
        if owner == region {
            return Ok(());
        }
        Err(MappingError::Conflict {
            first: owner.min(region),
            second: owner.max(region),
            window_bytes: mapping.window_bytes(),
        })
    }
}

impl Mapping {
    /// The entries of all tables that map the pages of `addresses`, in ascending order of their place, each once.
    ///
    /// Addresses that are not canonical have no entries: whoever uses one is told so by the machine.
    ///
    /// # Errors
    /// [`MappingError::Conflict`].
    pub fn build(
        &self,
        addresses: impl IntoIterator<Item = u64>,
    ) -> Result<Vec<TableEntry>, MappingError> {
        self.build_for(&addresses.into_iter().collect())
    }

    /// As [`Mapping::build`], for the pages of a set.
    ///
    /// # Errors
    /// [`MappingError::Conflict`].
    pub fn build_for(&self, pages: &PageSet) -> Result<Vec<TableEntry>, MappingError> {
        let mut builder = Builder::new(self);
        for region in pages.regions() {
            builder.add(&region)?;
        }
        Ok(builder.finish())
    }
}

/// Collects entries, region of 2 MiB by region of 2 MiB in ascending order of the address.
struct Builder<'a> {
    mapping: &'a Mapping,
    owners: Owners,
    /// Entries of page tables, a page table after the other.
    page_tables: Vec<TableEntry>,
    /// Where each page table's entries begin in `page_tables`, and where they end.
    spans: Vec<(usize, usize)>,
    /// Entries of all other tables.
    above: Vec<TableEntry>,
    /// The region before, by its translated address bits.
    last: Option<u64>,
    /// The block of the region before.
    block: u64,
}

impl<'a> Builder<'a> {
    fn new(mapping: &'a Mapping) -> Self {
        Self {
            mapping,
            owners: Owners::default(),
            page_tables: Vec::new(),
            spans: Vec::new(),
            above: Vec::new(),
            last: None,
            block: 0,
        }
    }

    fn add(&mut self, region: &Region) -> Result<(), MappingError> {
        let address = region.address();
        let Some(linear) = self.mapping.linear(address) else {
            return Ok(());
        };
        if self.differs(linear, PageSize::Size1G.shift()) {
            self.block = self.mapping.block(linear);
            let region = address & !PageSize::Size1G.offset_mask();
            self.owners.claim(self.mapping, self.block, region)?;
        }
        let size = self.mapping.size_of(linear);
        let mut level = self.mapping.root_level();
        while level > size.leaf_level() {
            if self.differs(linear, level.shift()) {
                self.above.push(self.mapping.table_entry(level, linear));
            }
            let Some(below) = level.below() else { break };
            level = below;
        }
        if size == PageSize::Size4K {
            self.add_pages(linear, region);
        } else if self.differs(linear, size.shift()) {
            self.above.push(self.mapping.leaf_entry(linear));
        }
        self.last = Some(linear);
        Ok(())
    }

    /// Whether the address differs from the one before in the bits from `shift` on.
    fn differs(&self, linear: u64, shift: u32) -> bool {
        self.last.is_none_or(|last| (last ^ linear) >> shift != 0)
    }

    fn add_pages(&mut self, linear: u64, region: &Region) {
        let mapping = self.mapping;
        let table = mapping.table(Level::Pt, linear);
        let piece = mapping.piece(self.block, linear);
        let frames = mapping.frames(linear);
        let start = self.page_tables.len();
        self.page_tables.extend(region.pages().map(|page| {
            let frame = piece | frames.apply(page) << PageSize::Size4K.shift();
            TableEntry {
                address: table.entry_address(page),
                value: mapping.leaf_value(frame, PageSize::Size4K),
            }
        }));
        self.spans.push((start, self.page_tables.len()));
    }

    /// Sorts. Page tables lie above all others, and the entries of each are in order already: so tables are sorted, not entries.
    fn finish(mut self) -> Vec<TableEntry> {
        let place = |&(start, _): &(usize, usize)| self.page_tables[start].address;
        self.spans.sort_unstable_by_key(place);
        let mut all = self.above;
        all.sort_unstable();
        all.reserve_exact(self.page_tables.len());
        for (start, end) in self.spans {
            all.extend_from_slice(&self.page_tables[start..end]);
        }
        all
    }
}

/// Tables that grow as pages are touched: for traces that are read once, as they come.
///
/// What stands in the tables in the end is what [`Mapping::build`] says for the same pages, whatever their order.
#[derive(Debug, Clone)]
pub struct LazyTables {
    mapping: Mapping,
    owners: Owners,
    pages: PageSet,
    /// Places of the entries above page tables that have been given out.
    above: HashSet<u64, FixedState>,
}

impl LazyTables {
    /// Tables without pages.
    pub fn new(mapping: Mapping) -> Self {
        Self {
            mapping,
            owners: Owners::default(),
            pages: PageSet::new(),
            above: HashSet::default(),
        }
    }

    /// The rule behind them.
    pub const fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The pages of 4 KiB touched so far.
    pub const fn pages(&self) -> &PageSet {
        &self.pages
    }

    /// The entries that the page of `address` needs and that were not given out before, from the root's down. None, if it was touched
    /// before, or is not canonical. An entry that was given out is never given out again, so that what the machine has since set in it
    /// stays.
    ///
    /// # Errors
    /// [`MappingError::Conflict`]. The page then has no entries, nor will it get any: the run cannot go on.
    #[inline]
    pub fn touch(&mut self, address: u64) -> Result<Option<EntryPath>, MappingError> {
        if self.pages.insert(address) {
            self.touch_new(address)
        } else {
            Ok(None)
        }
    }

    fn touch_new(&mut self, address: u64) -> Result<Option<EntryPath>, MappingError> {
        let Some(linear) = self.mapping.linear(address) else {
            return Ok(None);
        };
        let block = self.mapping.block(linear);
        let region = address & !PageSize::Size1G.offset_mask();
        self.owners.claim(&self.mapping, block, region)?;
        let leaf_is_new = self.mapping.size_of(linear) == PageSize::Size4K;
        let path = self.mapping.entries_for(address);
        let leaf = path.last().copied();
        let new = path.filtered(|entry| {
            leaf_is_new && Some(*entry) == leaf || self.above.insert(entry.address.raw())
        });
        Ok((!new.is_empty()).then_some(new))
    }
}
