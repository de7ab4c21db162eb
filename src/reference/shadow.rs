//! TLB arrays and paging-structure caches as the monitor's fills and removals say that they are.
//!
//! Contract: 4 (formats, matching), 7.3 (fill), 9.3 (coverage), 10 (monitor). SDM vol. 3A, 4.10.2, 4.10.3.
//! Counterpart: `rtl/tlb.sv` and `rtl/psc.sv` hold the truth that this one shadows.
//!
//! # What it guarantees
//! An entry is here if and only if the monitor has shown its fill and not its removal; with the chain of entry reads that it was
//! decoded from. It knows no geometry: sets and ways are those that the monitor names. That a page stands in one set only is
//! checked, that it is the right one is not.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::arch::entry::bit;
use crate::arch::{
    Entry, Invalidation, Level, MemoryTypeBits, PageRights, PageSize, PagingMode, Pcid, VirtualAddress,
};

use super::image::Image;

/// Ways that an event's masks have room for.
pub const MAX_WAYS: usize = 64;
/// Bits of a virtual page number in a TLB tag.
const TLB_PAGE_BITS: u32 = 45;
/// Bits of a prefix in a tag of a paging-structure cache.
const PSC_PREFIX_BITS: u32 = 36;

/// One entry that a walk read, with the cycle in which memory held that value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its level.
    pub level: Level,
    /// Where it stands.
    pub address: u64,
    /// Its value, A and D as the walk left them.
    pub value: u64,
    /// The cycle of the accept of the read, or of the compare-and-set, that gave it.
    pub cycle: u64,
}

/// What an entry was decoded from: the root and the entries from there down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// Address of the root table.
    pub root: u64,
    /// The entries, root first; those that came out of a paging-structure cache included.
    pub links: Vec<Link>,
}

impl Lineage {
    /// Whether memory no longer says the same: some entry differs in more than A and D, or the root is not `root`.
    ///
    /// `root` is `None` if the entry's PCID is not current, so that nobody knows which root it would have.
    pub fn is_stale(&self, image: &Image, root: Option<u64>) -> bool {
        let differs = |link: &Link| (image.read(link.address) ^ link.value) & !(bit::A | bit::D) != 0;
        root.is_some_and(|root| root != self.root) || self.links.iter().any(differs)
    }
}

/// Tag and data of a TLB entry, laid out as contract 4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TlbWords {
    /// Page number, PCID, global.
    pub tag: u64,
    /// Frame, rights, D, key, memory type.
    pub data: u64,
}

impl TlbWords {
    /// The entry for the page of `size` around `va`, by its leaf and the rights of the whole path.
    pub fn new(va: u64, size: PageSize, pcid: Pcid, global: bool, leaf: Entry, rights: PageRights) -> Self {
        let memory_type = leaf.memory_type(size);
        let data = leaf.frame(size).raw() >> 12
            | u64::from(rights.writable) << 40
            | u64::from(rights.user) << 41
            | u64::from(rights.execute_disable) << 42
            | u64::from(leaf.dirty()) << 43
            | u64::from(rights.protection_key) << 44
            | u64::from(memory_type.pwt) << 48
            | u64::from(memory_type.pcd) << 49
            | u64::from(memory_type.pat) << 50;
        let tag = page_number(va, size) << (size.shift() - 12) | u64::from(pcid.raw()) << 45 | u64::from(global) << 57;
        Self { tag, data }
    }

    /// The page number at `size`, as [`page_number`] has it.
    pub const fn page(self, size: PageSize) -> u64 {
        (self.tag & ((1 << TLB_PAGE_BITS) - 1)) >> (size.shift() - 12)
    }

    /// The PCID under which it was made.
    pub const fn pcid(self) -> Pcid {
        Pcid::new_truncate(self.tag >> 45)
    }

    /// Whether it serves every PCID.
    pub const fn global(self) -> bool {
        self.tag >> 57 & 1 != 0
    }

    /// The rights of its path.
    pub const fn rights(self) -> PageRights {
        PageRights {
            writable: self.data >> 40 & 1 != 0,
            user: self.data >> 41 & 1 != 0,
            execute_disable: self.data >> 42 & 1 != 0,
            protection_key: (self.data >> 44 & 0xf) as u8,
        }
    }

    /// D of its leaf when it was read.
    pub const fn dirty(self) -> bool {
        self.data >> 43 & 1 != 0
    }

    /// PWT, PCD and PAT of its leaf.
    pub const fn memory_type(self) -> MemoryTypeBits {
        MemoryTypeBits {
            pwt: self.data >> 48 & 1 != 0,
            pcd: self.data >> 49 & 1 != 0,
            pat: self.data >> 50 & 1 != 0,
        }
    }

    /// The physical address of `va` by this entry of a page of `size`.
    pub const fn translate(self, va: u64, size: PageSize) -> u64 {
        (self.data & ((1 << 40) - 1)) << 12 | va & size.offset_mask()
    }

    /// Whether it serves a request of `pcid` for its page.
    pub fn serves(self, pcid: Pcid) -> bool {
        self.global() || self.pcid() == pcid
    }

    /// Whether `invalidation` covers it.
    pub fn covered_by(self, size: PageSize, invalidation: &Invalidation) -> bool {
        // The tag has the low 57 bits of the address; the mode only has to extend them the way that the operation's address is.
        let mode = match invalidation {
            Invalidation::Page { va, .. } => va.mode(),
            _ => PagingMode::FiveLevel,
        };
        let page = VirtualAddress::new_truncate(self.page(size) << size.shift(), mode);
        invalidation.covers_tlb_entry(page, size, self.pcid(), self.global())
    }
}

/// The number of the page of `size` around `va`, of the address bits that tags have.
#[inline]
pub const fn page_number(va: u64, size: PageSize) -> u64 {
    (va & ((1 << 57) - 1)) >> size.shift()
}

/// A live TLB entry.
#[derive(Debug, Clone)]
pub struct TlbEntry {
    /// What it holds.
    pub words: TlbWords,
    /// What it was decoded from.
    pub lineage: Arc<Lineage>,
}

/// One TLB array.
#[derive(Debug, Clone)]
pub struct TlbShadow {
    size: PageSize,
    ways: Vec<Option<TlbEntry>>,
    /// Live ways of each set.
    live: Vec<u64>,
    /// Page number to the set and the ways that hold it.
    pages: HashMap<u64, (u16, u64), FixedState>,
}

impl TlbShadow {
    /// An empty array of pages of `size`.
    pub fn new(size: PageSize) -> Self {
        Self { size, ways: Vec::new(), live: Vec::new(), pages: HashMap::with_hasher(FixedState::default()) }
    }

    /// The page size that it holds.
    pub const fn size(&self) -> PageSize {
        self.size
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ways.clear();
        self.live.clear();
        self.pages.clear();
    }

    /// The entry in a way, if it is live.
    pub fn entry(&self, set: u16, way: u32) -> Option<&TlbEntry> {
        self.ways.get(usize::from(set) * MAX_WAYS + way as usize)?.as_ref()
    }

    /// Live ways of a set.
    pub fn live_ways(&self, set: u16) -> u64 {
        self.live.get(usize::from(set)).copied().unwrap_or(0)
    }

    /// Sets that were ever filled, and those below.
    pub fn sets(&self) -> usize {
        self.live.len()
    }

    /// The set and the ways that hold a page of the number `page`, of any PCID.
    #[inline]
    pub fn holding(&self, page: u64) -> (u16, u64) {
        self.pages.get(&page).copied().unwrap_or((0, 0))
    }

    /// The set and those ways that hold `page` and satisfy `wanted`.
    #[inline]
    pub fn ways_where(&self, page: u64, mut wanted: impl FnMut(&TlbWords) -> bool) -> (u16, u64) {
        let (set, ways) = self.holding(page);
        let mut found = 0;
        for way in bits(ways) {
            if self.entry(set, way).is_some_and(|entry| wanted(&entry.words)) {
                found |= 1 << way;
            }
        }
        (set, found)
    }

    /// The live ways of `set` that `invalidation` covers.
    pub fn covered(&self, set: u16, invalidation: &Invalidation) -> u64 {
        let covered = |way: &u32| {
            self.entry(set, *way).is_some_and(|entry| entry.words.covered_by(self.size, invalidation))
        };
        bits(self.live_ways(set)).filter(covered).fold(0, |mask, way| mask | 1 << way)
    }

    /// Removes an entry, and returns it.
    pub fn remove(&mut self, set: u16, way: u32) -> Option<TlbEntry> {
        let entry = self.ways.get_mut(usize::from(set) * MAX_WAYS + way as usize)?.take()?;
        self.live[usize::from(set)] &= !(1 << way);
        let page = entry.words.page(self.size);
        if let Some((_, ways)) = self.pages.get_mut(&page) {
            *ways &= !(1 << way);
            if *ways == 0 {
                self.pages.remove(&page);
            }
        }
        Some(entry)
    }

    /// Puts an entry where none is. Returns false, and does nothing, if its page stands in another set.
    #[must_use]
    pub fn insert(&mut self, set: u16, way: u32, entry: TlbEntry) -> bool {
        let holding = self.pages.entry(entry.words.page(self.size)).or_insert((set, 0));
        if holding.0 != set {
            return false;
        }
        holding.1 |= 1 << way;
        let sets = usize::from(set) + 1;
        if self.live.len() < sets {
            self.live.resize(sets, 0);
            self.ways.resize(sets * MAX_WAYS, None);
        }
        self.live[usize::from(set)] |= 1 << way;
        self.ways[usize::from(set) * MAX_WAYS + way as usize] = Some(entry);
        true
    }
}

/// Tag and data of a paging-structure-cache entry, laid out as contract 4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PscWords {
    /// Prefix and PCID.
    pub tag: u64,
    /// Frame of the table, rights.
    pub data: u64,
}

impl PscWords {
    /// The entry of `level`, 2 to 5, for `va`.
    pub fn new(va: u64, level: Level, pcid: Pcid, table: u64, rights: PageRights) -> Self {
        let data = table >> 12
            | u64::from(rights.writable) << 40
            | u64::from(rights.user) << 41
            | u64::from(rights.execute_disable) << 42;
        Self { tag: prefix(va, level) | u64::from(pcid.raw()) << PSC_PREFIX_BITS, data }
    }

    /// The PCID under which it was made.
    pub const fn pcid(self) -> Pcid {
        Pcid::new_truncate(self.tag >> PSC_PREFIX_BITS)
    }

    /// Address of the table that it leads to.
    pub const fn table(self) -> u64 {
        (self.data & ((1 << 40) - 1)) << 12
    }

    /// The rights of its path; the key is 0.
    pub const fn rights(self) -> PageRights {
        PageRights {
            writable: self.data >> 40 & 1 != 0,
            user: self.data >> 41 & 1 != 0,
            execute_disable: self.data >> 42 & 1 != 0,
            protection_key: 0,
        }
    }
}

/// Bits 56:21 of `va`, those below the prefix that `level` translates being 0.
#[inline]
pub const fn prefix(va: u64, level: Level) -> u64 {
    let kept = (va & ((1 << 57) - 1)) >> level.shift() << level.shift();
    kept >> 21
}

/// A live paging-structure-cache entry.
#[derive(Debug, Clone)]
pub struct PscEntry {
    /// What it holds.
    pub words: PscWords,
    /// What it was decoded from.
    pub lineage: Arc<Lineage>,
}

/// One paging-structure cache.
#[derive(Debug, Clone)]
pub struct PscShadow {
    level: Level,
    ways: Vec<Option<PscEntry>>,
}

impl PscShadow {
    /// An empty cache of entries of `level`.
    pub const fn new(level: Level) -> Self {
        Self { level, ways: Vec::new() }
    }

    /// The level whose entries it holds.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ways.clear();
    }

    /// The entry in a way, if it is live.
    pub fn entry(&self, way: u32) -> Option<&PscEntry> {
        self.ways.get(way as usize)?.as_ref()
    }

    /// The ways whose entries satisfy `wanted`.
    pub fn ways_where(&self, mut wanted: impl FnMut(&PscWords) -> bool) -> u64 {
        let mut found = 0;
        for (way, entry) in self.ways.iter().enumerate() {
            if entry.as_ref().is_some_and(|entry| wanted(&entry.words)) {
                found |= 1 << way;
            }
        }
        found
    }

    /// The ways that match `va` under `pcid`.
    pub fn matching(&self, va: u64, pcid: Pcid) -> u64 {
        let tag = PscWords::new(va, self.level, pcid, 0, PageRights::ALL).tag;
        self.ways_where(|words| words.tag == tag)
    }

    /// Removes an entry, and returns it.
    pub fn remove(&mut self, way: u32) -> Option<PscEntry> {
        self.ways.get_mut(way as usize)?.take()
    }

    /// Puts an entry where none is.
    pub fn insert(&mut self, way: u32, entry: PscEntry) {
        let way = way as usize;
        if self.ways.len() <= way {
            self.ways.resize(way + 1, None);
        }
        self.ways[way] = Some(entry);
    }
}

/// The positions of the set bits, lowest first.
#[inline]
pub fn bits(mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let lowest = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        (lowest < u64::BITS).then_some(lowest)
    })
}
