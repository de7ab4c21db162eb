//! One TLB array: entries of one to three page sizes, set-associative.
//!
//! Contract: 4.1 (format of an entry), 4.4 (matching), 7.5 (fill), and what 7.6, 8.5 and 9.3 remove.
//! SDM vol. 3A, 4.10.2 (what a TLB entry holds), 4.10.2.4 (global pages). Counterpart: `rtl/tlb.sv`.
//!
//! A tag is kept as a *key*, such that an entry matches an address at its kept size if its key is one of two words: that of the page in
//! the current PCID, or that of the page as a global one. The PCID of an entry, which the key of a global one lacks, stands in upper bits
//! of the data word, which the contract leaves 0. The size of the page, which no key has, stands apart, in machines in which it can differ
//! from the kept size; in others it is the kept size.

use crate::arch::entry::bit;
use crate::arch::rights::denials;
use crate::arch::{Entry, Invalidation, PageRights, PageSize, Registers};
use crate::config::ArraySpec;

use super::mmu_pkg::{
    ARRAY_FILL, ARRAY_INVALIDATE, ArrayEvent, KIND_WRITE, LOOKUP_DENIED, LOOKUP_DIRTY_CLEAR,
};
use super::port::Request;
use super::replacement::Policy;
use super::ways::matching;

/// Bits 44:0 of a tag: the virtual page number, va\[56:12\].
const PAGE: u64 = (1 << 45) - 1;
const PCID_SHIFT: u32 = 45;
/// Bit 57 of a tag: global.
const GLOBAL: u64 = 1 << 57;
/// Bits 59:58 of a tag: the kept size.
const KEPT_SIZE_SHIFT: u32 = 58;
const KEPT_SIZE: u64 = 3 << KEPT_SIZE_SHIFT;
/// Bits 61:60 of a tag: the size of the page.
const PAGE_SIZE_SHIFT: u32 = 60;
const PAGE_SIZE: u64 = 3 << PAGE_SIZE_SHIFT;
/// The key of an invalid way. Bit 63 is 0 in every valid key.
const INVALID: u64 = u64::MAX;
const INVALID_BIT: u64 = 1 << 63;

const WRITABLE: u64 = 1 << 40;
const USER: u64 = 1 << 41;
const EXECUTE_DISABLE: u64 = 1 << 42;
const DIRTY: u64 = 1 << 43;
const KEY_SHIFT: u32 = 44;
const PWT: u64 = 1 << 48;
const PCD: u64 = 1 << 49;
const PAT: u64 = 1 << 50;
/// Bits 50:0 of a data word: all that contract 4.1 defines.
const DATA: u64 = (1 << 51) - 1;
/// Where an array keeps the PCID in its data words.
const KEPT_PCID_SHIFT: u32 = 51;

const fn bit_if(condition: bool, bit: u64) -> u64 {
    if condition { bit } else { 0 }
}

/// The virtual page number of `va`: va\[56:12\].
#[inline]
pub(super) const fn page_number(va: u64) -> u64 {
    va >> 12 & PAGE
}

/// The physical address of `va` by a data word of the kept size `size`.
#[inline]
pub(super) const fn physical(data: u64, va: u64, size: PageSize) -> u64 {
    (data << 12 & bit::ADDRESS) | va & size.offset_mask()
}

/// PWT, PCD and PAT of a data word, in bits 0, 1 and 2.
#[inline]
pub(super) const fn memory_type(data: u64) -> u8 {
    (data >> 48 & 7) as u8
}

/// R/W, U/S and XD of a data word, as a number of three bits; and D.
#[inline]
pub(super) const fn rights_number(data: u64) -> (usize, bool) {
    ((data >> 40 & 7) as usize, data & DIRTY != 0)
}

/// The rights of such a number, with the key 0.
pub(super) const fn rights_of_number(number: usize) -> PageRights {
    unpack_rights((number as u64) << 40)
}

/// R/W, U/S and XD at bits 40 to 42 of a data word, as TLB entries and paging-structure-cache entries have them.
#[inline]
pub(super) const fn pack_rights(rights: PageRights) -> u64 {
    bit_if(rights.writable, WRITABLE)
        | bit_if(rights.user, USER)
        | bit_if(rights.execute_disable, EXECUTE_DISABLE)
}

/// The rights in bits 40 to 47 of a data word.
#[inline]
pub(super) const fn unpack_rights(data: u64) -> PageRights {
    PageRights {
        writable: data & WRITABLE != 0,
        user: data & USER != 0,
        execute_disable: data & EXECUTE_DISABLE != 0,
        protection_key: (data >> KEY_SHIFT & 0xf) as u8,
    }
}

/// A TLB entry in the format of contract 4.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct TlbEntry {
    pub tag: u64,
    pub data: u64,
}

impl TlbEntry {
    /// The entry that a walk to `leaf` makes where pages of `size` are kept whole, with the rights of its whole path.
    #[inline]
    pub fn of_leaf(
        va: u64,
        size: PageSize,
        leaf: Entry,
        rights: PageRights,
        registers: &Registers,
    ) -> Self {
        let page = page_number(va) & page_mask(size);
        let pcid = u64::from(registers.current_pcid().raw());
        let memory_type = leaf.memory_type(size);
        Self {
            tag: page
                | pcid << PCID_SHIFT
                | bit_if(leaf.global() && registers.pge(), GLOBAL)
                | (size as u64) << KEPT_SIZE_SHIFT
                | (size as u64) << PAGE_SIZE_SHIFT,
            data: leaf.frame(size).frame_number()
                | pack_rights(rights)
                | bit_if(leaf.raw() & bit::D != 0, DIRTY)
                | u64::from(rights.protection_key) << KEY_SHIFT
                | bit_if(memory_type.pwt, PWT)
                | bit_if(memory_type.pcd, PCD)
                | bit_if(memory_type.pat, PAT),
        }
    }

    /// Of this entry, which is kept at the size `from`, the piece of the size `to` around `va`. `to` is not greater.
    #[inline]
    pub const fn piece(self, va: u64, from: PageSize, to: PageSize) -> Self {
        if from as u8 == to as u8 {
            return self;
        }
        let inside = page_number(va) & !page_mask(from);
        Self {
            tag: self.tag & !(PAGE | KEPT_SIZE)
                | page_number(va) & page_mask(to)
                | (to as u64) << KEPT_SIZE_SHIFT,
            data: self.data | inside & page_mask(to),
        }
    }

    /// Whether it matches in any context.
    #[inline]
    pub const fn is_global(self) -> bool {
        self.tag & GLOBAL != 0
    }

    /// The code of the size of the page.
    #[inline]
    pub const fn page_size(self) -> u8 {
        (self.tag >> PAGE_SIZE_SHIFT & 3) as u8
    }

    /// The kept size.
    #[inline]
    pub const fn kept_size(self) -> PageSize {
        size_of_code(self.tag >> KEPT_SIZE_SHIFT)
    }

    /// The page number, at the kept size.
    #[inline]
    pub const fn page(self) -> u64 {
        self.tag & PAGE
    }

    /// The physical address of `va`, of the kept size `size`.
    #[inline]
    pub const fn physical(self, va: u64, size: PageSize) -> u64 {
        physical(self.data, va, size)
    }

    /// PWT, PCD and PAT, in bits 0, 1 and 2.
    #[inline]
    pub const fn memory_type(self) -> u8 {
        memory_type(self.data)
    }

    /// What a look-up that matched this entry comes to: a code of contract 6, `hit` where it answers.
    #[inline]
    pub fn judge(self, request: &Request, hit: u8, registers: &Registers) -> u8 {
        if !denials(unpack_rights(self.data), &request.access, registers).is_empty() {
            LOOKUP_DENIED
        } else if request.access.kind as u8 == KIND_WRITE && self.data & DIRTY == 0 {
            LOOKUP_DIRTY_CLEAR
        } else {
            hit
        }
    }

    const fn key(self) -> u64 {
        if self.tag & GLOBAL != 0 {
            self.tag & (PAGE | GLOBAL | KEPT_SIZE)
        } else {
            self.tag & (KEPT_SIZE | (GLOBAL - 1))
        }
    }

    const fn kept_data(self) -> u64 {
        self.data | (self.tag >> PCID_SHIFT & 0xfff) << KEPT_PCID_SHIFT
    }

    /// Of a page that is kept whole.
    const fn from_kept(key: u64, kept: u64) -> Self {
        let page_size = (key & KEPT_SIZE) << (PAGE_SIZE_SHIFT - KEPT_SIZE_SHIFT);
        Self {
            // A valid key has nothing beyond its kept size.
            tag: key | kept >> KEPT_PCID_SHIFT << PCID_SHIFT | page_size,
            data: kept & DATA,
        }
    }
}

/// An entry in the form in which arrays keep it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    key: u64,
    data: u64,
    page_size: u8,
}

impl Kept {
    #[inline]
    pub const fn new(entry: TlbEntry) -> Self {
        Self {
            key: entry.key(),
            data: entry.kept_data(),
            page_size: entry.page_size(),
        }
    }

    /// The data word, and more above what contract 4.1 defines.
    #[inline]
    pub const fn data(self) -> u64 {
        self.data
    }

    #[inline]
    pub const fn is_global(self) -> bool {
        self.key & GLOBAL != 0
    }

    /// The code of the size of the page.
    #[inline]
    pub const fn page_size(self) -> u8 {
        self.page_size
    }

    /// The entry, of which pages of other sizes are kept in pieces.
    #[inline]
    pub const fn entry(self) -> TlbEntry {
        let entry = TlbEntry::from_kept(self.key, self.data);
        TlbEntry {
            tag: entry.tag & !PAGE_SIZE | (self.page_size as u64) << PAGE_SIZE_SHIFT,
            ..entry
        }
    }
}

/// How many low bits of a virtual page number lie inside a page of `size`: 0, 9, 10 or 18.
pub(super) const fn inner_bits(size: PageSize) -> u32 {
    size.shift() - PageSize::Size4K.shift()
}

/// The bits of a page number that count for a page of `size`.
pub(super) const fn page_mask(size: PageSize) -> u64 {
    PAGE >> inner_bits(size) << inner_bits(size)
}

/// The page size of a code, of which only the low two bits count.
pub(super) const fn size_of_code(code: u64) -> PageSize {
    match code & 3 {
        0 => PageSize::Size4K,
        1 => PageSize::Size2M,
        2 => PageSize::Size1G,
        _ => PageSize::Size4M,
    }
}

/// What is looked for: the keys of a page of one kept size, in the current PCID and as a global one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    own: u64,
    global: u64,
}

impl Wanted {
    /// The page of the kept size `size` whose number, with zeros below, is `page`.
    #[inline]
    pub const fn new(page: u64, size: PageSize, pcid: u16) -> Self {
        let page = page | (size as u64) << KEPT_SIZE_SHIFT;
        Self {
            own: page | (pcid as u64) << PCID_SHIFT,
            global: page | GLOBAL,
        }
    }

    #[inline]
    const fn is(self, key: u64) -> bool {
        (key == self.own) | (key == self.global)
    }
}

/// A way of an array that matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    pub set: usize,
    pub way: usize,
}

/// What a fill did, and whether its target was the victim: then what left is evicted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Filled {
    pub event: ArrayEvent,
    pub evicted: bool,
}

/// One array. Equal if valid entries and replacement state are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TlbArray {
    ways: usize,
    sets: usize,
    keys: Vec<u64>,
    data: Vec<u64>,
    /// The codes of the sizes of the pages; empty in a machine that keeps no page in pieces.
    page_sizes: Vec<u8>,
    /// One word a set: its valid ways.
    valid: Vec<u64>,
    /// Something was filled since reset.
    filled: bool,
    policy: Policy,
}

impl TlbArray {
    /// An empty array; without ways it matches and holds nothing. `pieces`: it may hold pieces of pages.
    pub fn new(spec: ArraySpec, pieces: bool) -> Self {
        let (sets, ways) = (spec.sets as usize, spec.ways as usize);
        Self {
            ways,
            sets,
            keys: vec![INVALID; sets * ways],
            data: vec![0; sets * ways],
            page_sizes: vec![0; if pieces { sets * ways } else { 0 }],
            valid: vec![0; sets],
            filled: false,
            policy: Policy::new(spec.replacement, sets, ways),
        }
    }

    /// Empties it and brings back the first replacement state.
    pub fn reset(&mut self) {
        self.keys.fill(INVALID);
        self.data.fill(0);
        self.page_sizes.fill(0);
        self.valid.fill(0);
        self.filled = false;
        self.policy.reset();
    }

    /// Valid entries.
    #[cfg(test)]
    pub fn occupancy(&self) -> u64 {
        self.valid
            .iter()
            .map(|ways| u64::from(ways.count_ones()))
            .sum()
    }

    /// Whether it has been empty since reset, so that nothing matches.
    #[inline]
    pub const fn is_untouched(&self) -> bool {
        !self.filled
    }

    /// The way of `set` that matches, the lowest if there were several.
    #[inline]
    pub fn find(&self, set: usize, wanted: Wanted) -> Option<Slot> {
        self.find_here(set, wanted)
    }

    /// The same, in line: who always asks the same array then always goes the same way.
    #[inline(always)]
    pub fn find_here(&self, set: usize, wanted: Wanted) -> Option<Slot> {
        let keys = &self.keys[set * self.ways..][..self.ways];
        let matching = matching(keys, |key| wanted.is(key));
        let way = matching.trailing_zeros() as usize;
        (matching != 0).then_some(Slot { set, way })
    }

    /// The data word in a valid slot: what contract 4.1 defines, and more above it.
    #[inline]
    pub fn data_of(&self, slot: Slot) -> u64 {
        self.data[slot.set * self.ways + slot.way]
    }

    /// The entry in a valid slot.
    #[inline]
    pub fn entry(&self, slot: Slot) -> TlbEntry {
        let index = slot.set * self.ways + slot.way;
        let entry = TlbEntry::from_kept(self.keys[index], self.data[index]);
        if self.page_sizes.is_empty() {
            return entry;
        }
        self.of_its_page(index, entry)
    }

    /// The entry at `index`, with the size of the page that it is of.
    #[inline]
    fn of_its_page(&self, index: usize, entry: TlbEntry) -> TlbEntry {
        TlbEntry {
            tag: entry.tag & !PAGE_SIZE | u64::from(self.page_sizes[index]) << PAGE_SIZE_SHIFT,
            ..entry
        }
    }

    /// A hit touches a slot.
    #[inline]
    pub fn hit(&mut self, slot: Slot) {
        self.policy.hit(slot.set, slot.way);
    }

    /// Contract 7.5, in the set of the entry. The array must be present.
    pub fn fill(&mut self, set: usize, entry: TlbEntry) -> Filled {
        let conflicts = self.conflicts(set, entry);
        let free = !self.valid[set] & (u64::MAX >> (64 - self.ways));
        let evicted = conflicts | free == 0;
        let way = if conflicts != 0 {
            conflicts.trailing_zeros() as usize
        } else if free != 0 {
            free.trailing_zeros() as usize
        } else {
            self.policy.victim(set)
        };
        let target = 1 << way;
        let removed = conflicts | self.valid[set] & target;
        let victim = if removed & target != 0 {
            self.entry(Slot { set, way })
        } else {
            TlbEntry::default()
        };
        // What is written now need not be emptied.
        if removed & !target != 0 {
            self.remove(set, removed & !target);
        }
        let index = set * self.ways + way;
        self.keys[index] = entry.key();
        self.data[index] = entry.kept_data();
        if let Some(page_size) = self.page_sizes.get_mut(index) {
            *page_size = entry.page_size();
        }
        self.valid[set] |= target;
        self.filled = true;
        self.policy.fill(set, way, evicted);
        let event = ArrayEvent {
            op: ARRAY_FILL,
            way: way as u8,
            set: set as u16,
            reserved: 0,
            removed,
            tag: entry.tag,
            data: entry.data,
            victim_tag: victim.tag,
            victim_data: victim.data,
        };
        Filled { event, evicted }
    }

    /// Whether a hit of what was filled last in its set changes nothing.
    #[inline]
    pub const fn hits_as_filled(&self) -> bool {
        self.policy.hits_as_filled()
    }

    /// What it keeps in a valid slot.
    #[inline]
    pub fn kept(&self, slot: Slot) -> Kept {
        let index = slot.set * self.ways + slot.way;
        Kept {
            key: self.keys[index],
            data: self.data[index],
            page_size: self.page_sizes.get(index).copied().unwrap_or(0),
        }
    }

    /// As [`TlbArray::fill_absent`], with what an array of a machine that keeps nothing but 4 KiB pages keeps; whether it displaced an entry.
    #[inline(always)]
    pub fn fill_kept(&mut self, set: usize, kept: Kept) -> bool {
        let full = self.valid[set] == u64::MAX >> (64 - self.ways);
        let way = if full {
            self.policy.victim(set)
        } else {
            (!self.valid[set]).trailing_zeros() as usize
        };
        let index = set * self.ways + way;
        self.keys[index] = kept.key;
        self.data[index] = kept.data;
        if let Some(page_size) = self.page_sizes.get_mut(index) {
            *page_size = kept.page_size;
        }
        self.valid[set] |= 1 << way;
        self.filled = true;
        self.policy.fill(set, way, full);
        full
    }

    /// The slot of `set` that an entry displaces which conflicts with none there; none, if a way is free.
    #[inline]
    pub fn way_of_absent(&self, set: usize) -> Option<Slot> {
        let full = self.valid[set] == u64::MAX >> (64 - self.ways);
        full.then(|| Slot {
            set,
            way: self.policy.victim(set),
        })
    }

    /// The fill of contract 7.5 with an entry that conflicts with none in its set: in place of what stands in `displaced`, as
    /// [`TlbArray::way_of_absent`] says.
    #[inline]
    pub fn fill_absent(&mut self, set: usize, displaced: Option<Slot>, entry: TlbEntry) {
        let way = match displaced {
            Some(slot) => slot.way,
            None => (!self.valid[set]).trailing_zeros() as usize,
        };
        let index = set * self.ways + way;
        self.keys[index] = entry.key();
        self.data[index] = entry.kept_data();
        if let Some(page_size) = self.page_sizes.get_mut(index) {
            *page_size = entry.page_size();
        }
        self.valid[set] |= 1 << way;
        self.filled = true;
        self.policy.fill(set, way, displaced.is_some());
    }

    /// The valid ways of `set` that could match the same address, at the same kept size, in the same PCID as `entry`.
    #[inline]
    fn conflicts(&self, set: usize, entry: TlbEntry) -> u64 {
        let page = entry.tag & (PAGE | KEPT_SIZE);
        let (own, global) = (page | entry.tag & 0xfff << PCID_SHIFT, page | GLOBAL);
        let any_context = entry.tag & GLOBAL != 0;
        let keys = &self.keys[set * self.ways..][..self.ways];
        if any_context {
            return matching(keys, |key| {
                key & (PAGE | KEPT_SIZE | INVALID_BIT) == page || key == global
            });
        }
        matching(keys, |key| (key == own) | (key == global))
    }

    /// Empties the ways of `set` in the mask.
    fn remove(&mut self, set: usize, ways: u64) {
        self.valid[set] &= !ways;
        let mut left = ways;
        while left != 0 {
            let index = set * self.ways + left.trailing_zeros() as usize;
            self.keys[index] = INVALID;
            self.data[index] = 0;
            if let Some(page_size) = self.page_sizes.get_mut(index) {
                *page_size = 0;
            }
            left &= left - 1;
        }
    }

    /// Removes what `covers` says of `set`: the ways that lost what they held.
    fn remove_where(&mut self, set: usize, covers: impl Fn(TlbEntry) -> bool) -> u64 {
        let mut removed = 0;
        let mut left = self.valid[set];
        while left != 0 {
            let way = left.trailing_zeros() as usize;
            if covers(self.entry(Slot { set, way })) {
                removed |= 1 << way;
            }
            left &= left - 1;
        }
        self.remove(set, removed);
        removed
    }

    /// Contract 8.5: removes from `set` what matches.
    pub fn drop_page(&mut self, set: usize, wanted: Wanted) -> u64 {
        self.remove_where(set, |entry| wanted.is(entry.key()))
    }

    /// Contract 7.6: removes from `set` what is of the page and the context of `evicted`, at its kept size.
    pub fn drop_evicted(&mut self, set: usize, evicted: TlbEntry) -> u64 {
        self.remove_where(set, |entry| entry.key() == evicted.key())
    }

    /// Contract 9.1, kind page: removes from `set` what `invalidation` covers of the kept size `kept`.
    pub fn invalidate_page(
        &mut self,
        set: usize,
        kept: PageSize,
        invalidation: &Invalidation,
    ) -> u64 {
        self.remove_where(set, |entry| {
            entry.kept_size() == kept && covers(invalidation, entry)
        })
    }

    /// Contract 9.1: removes what `invalidation` covers in row `row`; nothing where the array has no such row.
    pub fn invalidate_row(&mut self, row: usize, invalidation: &Invalidation) -> u64 {
        if row >= self.sets {
            return 0;
        }
        self.remove_where(row, |entry| covers(invalidation, entry))
    }
}

/// Ways of `set` lost what they held, entries of the kept size `kept`, to the removal of a page, of which `event` is what the monitor shows
/// (contract 10): each kept size has a place of its own. A page of one kept size stands in one set of an array, so that whatever else names
/// that size names the same set, and removes nothing more.
pub(super) fn add_removal(event: &mut ArrayEvent, kept: PageSize, set: usize, removed: u64) {
    if removed == 0 {
        return;
    }
    event.op = ARRAY_INVALIDATE;
    match kept {
        PageSize::Size4K => (event.set, event.removed) = (set as u16, removed),
        PageSize::Size2M | PageSize::Size4M => {
            (event.victim_tag, event.tag) = (set as u64, removed);
        }
        PageSize::Size1G => (event.victim_data, event.data) = (set as u64, removed),
    }
}

/// The event of ways of the row `row` that lost what they held to a sweep: whatever their sizes, they stand in one place.
pub(super) fn row_removal(row: usize, removed: u64) -> ArrayEvent {
    let mut event = ArrayEvent::default();
    add_removal(&mut event, PageSize::Size4K, row, removed);
    event
}

#[inline]
const fn pcid_of(tag: u64) -> u16 {
    (tag >> PCID_SHIFT & 0xfff) as u16
}

/// Whether `invalidation` removes `entry`: the table at the end of contract 9.3. Of a page kept in pieces every piece goes.
fn covers(invalidation: &Invalidation, entry: TlbEntry) -> bool {
    let global = entry.tag & GLOBAL != 0;
    let in_context = |context: u16, globals: bool| {
        if global {
            globals
        } else {
            pcid_of(entry.tag) == context
        }
    };
    match *invalidation {
        Invalidation::None => false,
        Invalidation::Page { va, pcid, globals } => {
            let page_mask = page_mask(size_of_code(u64::from(entry.page_size())));
            (page_number(va.raw()) ^ entry.tag) & page_mask == 0 && in_context(pcid.raw(), globals)
        }
        Invalidation::Context { pcid, globals } => in_context(pcid.raw(), globals),
        Invalidation::AllNonGlobal => !global,
        Invalidation::All => true,
    }
}
