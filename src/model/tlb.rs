//! One TLB array: entries of one page size, set-associative, true least recently used.
//!
//! Contract: 2 (the page size of an array), 4.1 (format of an entry), 4.4 (matching), 7.3 (fill), and what 8.5 and 9.3 remove.
//! SDM vol. 3A, 4.10.2 (what a TLB entry holds), 4.10.2.4 (global pages). Counterpart: `rtl/tlb.sv`.
//!
//! A tag is kept as a *key*, such that an entry matches an address if its key is one of two words: that of the page in the current
//! PCID, or that of the page as a global one. The PCID of an entry, which the key of a global one lacks, stands in upper bits of the
//! data word, which the contract leaves 0.

use crate::arch::entry::bit;
use crate::arch::rights::denials;
use crate::arch::{Entry, Invalidation, PageRights, PageSize, Registers};
use crate::config::ArraySpec;

use super::mmu_pkg::{
    ARRAY_FILL, ARRAY_INVALIDATE, ArrayEvent, KIND_WRITE, LOOKUP_DENIED, LOOKUP_DIRTY_CLEAR,
    LOOKUP_HIT_4K,
};
use super::port::Request;
use super::recency::Recency;

/// Bits 44:0 of a tag: the virtual page number, va\[56:12\].
const PAGE: u64 = (1 << 45) - 1;
const PCID_SHIFT: u32 = 45;
/// Bit 57 of a tag: global.
const GLOBAL: u64 = 1 << 57;
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
    /// The entry that a walk to `leaf` makes, with the rights of its whole path.
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
            tag: page | pcid << PCID_SHIFT | bit_if(leaf.global() && registers.pge(), GLOBAL),
            data: leaf.frame(size).frame_number()
                | pack_rights(rights)
                | bit_if(leaf.raw() & bit::D != 0, DIRTY)
                | u64::from(rights.protection_key) << KEY_SHIFT
                | bit_if(memory_type.pwt, PWT)
                | bit_if(memory_type.pcd, PCD)
                | bit_if(memory_type.pat, PAT),
        }
    }

    /// The physical address of `va` in its page of `size`.
    #[inline]
    pub const fn physical(self, va: u64, size: PageSize) -> u64 {
        (self.data << 12 & bit::ADDRESS) | va & size.offset_mask()
    }

    /// PWT, PCD and PAT, in bits 0, 1 and 2.
    #[inline]
    pub const fn memory_type(self) -> u8 {
        (self.data >> 48 & 7) as u8
    }

    /// What a look-up that matched this entry in the array `number`, 0 to 2, of its level comes to: a code of contract 6.
    #[inline]
    pub fn judge(self, request: &Request, number: u8, registers: &Registers) -> u8 {
        if !denials(unpack_rights(self.data), &request.access, registers).is_empty() {
            LOOKUP_DENIED
        } else if request.access.kind as u8 == KIND_WRITE && self.data & DIRTY == 0 {
            LOOKUP_DIRTY_CLEAR
        } else {
            LOOKUP_HIT_4K + number
        }
    }

    const fn key(self) -> u64 {
        if self.tag & GLOBAL != 0 {
            self.tag & (PAGE | GLOBAL)
        } else {
            self.tag
        }
    }

    const fn kept_data(self) -> u64 {
        self.data | (self.tag >> PCID_SHIFT & 0xfff) << KEPT_PCID_SHIFT
    }

    const fn from_kept(key: u64, kept: u64) -> Self {
        Self {
            tag: key & (PAGE | GLOBAL) | kept >> KEPT_PCID_SHIFT << PCID_SHIFT,
            data: kept & DATA,
        }
    }
}

/// How many low bits of a virtual page number lie inside a page of `size`: 0, 9, 10 or 18.
const fn inner_bits(size: PageSize) -> u32 {
    size.shift() - PageSize::Size4K.shift()
}

/// The bits of a page number that count for a page of `size`.
const fn page_mask(size: PageSize) -> u64 {
    PAGE >> inner_bits(size) << inner_bits(size)
}

/// A way of an array that matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    pub set: usize,
    pub way: usize,
}

/// One array. Equal if valid entries and ranks are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TlbArray {
    /// Its number in its level, 0 to 2.
    number: u8,
    /// The page size that it holds in the mode, and what follows from it.
    size: PageSize,
    page_mask: u64,
    inner_bits: u32,
    ways: usize,
    last_set: usize,
    keys: Vec<u64>,
    data: Vec<u64>,
    /// One word a set: its valid ways.
    valid: Vec<u64>,
    recency: Recency,
}

impl TlbArray {
    /// An empty array for pages of `size`; without ways it matches and holds nothing.
    pub fn new(size: PageSize, spec: ArraySpec) -> Self {
        let (sets, ways) = (spec.sets as usize, spec.ways as usize);
        Self {
            number: size.array_index() as u8,
            size,
            page_mask: page_mask(size),
            inner_bits: inner_bits(size),
            ways,
            last_set: sets - 1,
            keys: vec![INVALID; sets * ways],
            data: vec![0; sets * ways],
            valid: vec![0; sets],
            recency: Recency::new(sets, ways),
        }
    }

    /// Empties it and brings back the first ranks.
    pub fn reset(&mut self) {
        self.keys.fill(INVALID);
        self.data.fill(0);
        self.valid.fill(0);
        self.recency.reset();
    }

    /// The mode has changed, and pages of `size` are what it holds from now on. It must be empty, unless it holds them already.
    pub fn hold(&mut self, size: PageSize) {
        self.size = size;
        self.page_mask = page_mask(size);
        self.inner_bits = inner_bits(size);
    }

    /// Whether the level has this array.
    #[inline]
    pub fn is_present(&self) -> bool {
        self.ways > 0
    }

    /// Its number in its level, 0 to 2, whatever the mode.
    #[inline]
    pub fn number(&self) -> u8 {
        self.number
    }

    /// The page size that it holds in the mode.
    #[inline]
    pub fn size(&self) -> PageSize {
        self.size
    }

    /// Valid entries.
    #[cfg(test)]
    pub fn occupancy(&self) -> u64 {
        self.valid
            .iter()
            .map(|ways| u64::from(ways.count_ones()))
            .sum()
    }

    #[inline]
    fn set_of(&self, page: u64) -> usize {
        (page >> self.inner_bits) as usize & self.last_set
    }

    /// The way that matches the page number and PCID, the lowest if there were several.
    #[inline]
    pub fn find(&self, page: u64, pcid: u16) -> Option<Slot> {
        let page = page & self.page_mask;
        let set = self.set_of(page);
        let (own, global) = (page | u64::from(pcid) << PCID_SHIFT, page | GLOBAL);
        let keys = &self.keys[set * self.ways..][..self.ways];
        keys.iter()
            .position(|key| (*key == own) | (*key == global))
            .map(|way| Slot { set, way })
    }

    /// The entry in a valid slot.
    #[inline]
    pub fn entry(&self, slot: Slot) -> TlbEntry {
        let index = slot.set * self.ways + slot.way;
        TlbEntry::from_kept(self.keys[index], self.data[index])
    }

    /// Makes a slot the most recent of its set.
    #[inline]
    pub fn touch(&mut self, slot: Slot) {
        self.recency.touch(slot.set, slot.way);
    }

    /// Contract 7.3. The array must be present.
    pub fn fill(&mut self, entry: TlbEntry) -> ArrayEvent {
        let page = entry.tag & PAGE;
        let set = self.set_of(page);
        let base = set * self.ways;
        let conflicts = self.conflicts(set, entry);
        let free = !self.valid[set] & (u64::MAX >> (64 - self.ways));
        let way = if conflicts != 0 {
            conflicts.trailing_zeros() as usize
        } else if free != 0 {
            free.trailing_zeros() as usize
        } else {
            self.recency.oldest(set)
        };
        let target = 1 << way;
        let removed = conflicts | self.valid[set] & target;
        let victim = if removed & target != 0 {
            TlbEntry::from_kept(self.keys[base + way], self.data[base + way])
        } else {
            TlbEntry::default()
        };
        self.remove(set, removed);
        self.keys[base + way] = entry.key();
        self.data[base + way] = entry.kept_data();
        self.valid[set] |= target;
        self.recency.touch(set, way);
        ArrayEvent {
            op: ARRAY_FILL,
            way: way as u8,
            set: set as u16,
            reserved: 0,
            removed,
            tag: entry.tag,
            data: entry.data,
            victim_tag: victim.tag,
            victim_data: victim.data,
        }
    }

    /// The valid ways of `set` that could match the same address in the same PCID as `entry`.
    #[inline]
    fn conflicts(&self, set: usize, entry: TlbEntry) -> u64 {
        let page = entry.tag & PAGE;
        let (own, global) = (page | entry.tag & 0xfff << PCID_SHIFT, page | GLOBAL);
        let any_context = entry.tag & GLOBAL != 0;
        let keys = &self.keys[set * self.ways..][..self.ways];
        let mut conflicts = 0;
        for (way, key) in keys.iter().enumerate() {
            let same_page = key & (PAGE | INVALID_BIT) == page;
            let conflict = (*key == own) | (*key == global) | (any_context & same_page);
            conflicts |= u64::from(conflict) << way;
        }
        conflicts
    }

    /// Empties the ways of `set` in the mask.
    fn remove(&mut self, set: usize, ways: u64) {
        self.valid[set] &= !ways;
        let mut left = ways;
        while left != 0 {
            let index = set * self.ways + left.trailing_zeros() as usize;
            self.keys[index] = INVALID;
            self.data[index] = 0;
            left &= left - 1;
        }
    }

    /// Removes what `covers` says of `set`, and reports it: nothing, if nothing was removed.
    fn remove_where(&mut self, set: usize, covers: impl Fn(TlbEntry) -> bool) -> ArrayEvent {
        let mut removed = 0;
        let mut left = self.valid[set];
        while left != 0 {
            let way = left.trailing_zeros() as usize;
            if covers(self.entry(Slot { set, way })) {
                removed |= 1 << way;
            }
            left &= left - 1;
        }
        if removed == 0 {
            return ArrayEvent::default();
        }
        self.remove(set, removed);
        ArrayEvent {
            op: ARRAY_INVALIDATE,
            set: set as u16,
            removed,
            ..ArrayEvent::default()
        }
    }

    /// Contract 8.5: removes what matches `va` in `pcid`.
    pub fn drop_address(&mut self, va: u64, pcid: u16) -> ArrayEvent {
        let page = page_number(va) & self.page_mask;
        self.remove_where(self.set_of(page), |entry| {
            let same_context = entry.tag & GLOBAL != 0 || pcid_of(entry.tag) == pcid;
            entry.tag & PAGE == page && same_context
        })
    }

    /// Contract 9.1: removes what `invalidation` covers in row `row`; nothing where the array has no such row.
    pub fn invalidate_row(&mut self, row: u64, invalidation: &Invalidation) -> ArrayEvent {
        if row > self.last_set as u64 {
            return ArrayEvent::default();
        }
        let page_mask = self.page_mask;
        self.remove_where(row as usize, |entry| covers(invalidation, entry, page_mask))
    }

    /// Contract 9.1: removes what `invalidation`, which is for the page of `va`, covers in the set of that page.
    pub fn invalidate_page(&mut self, va: u64, invalidation: &Invalidation) -> ArrayEvent {
        let set = self.set_of(page_number(va) & self.page_mask);
        self.invalidate_row(set as u64, invalidation)
    }
}

#[inline]
const fn pcid_of(tag: u64) -> u16 {
    (tag >> PCID_SHIFT & 0xfff) as u16
}

/// Whether `invalidation` removes `entry` of an array whose page numbers have the bits of `page_mask`: the table at the end of
/// contract 9.3.
fn covers(invalidation: &Invalidation, entry: TlbEntry, page_mask: u64) -> bool {
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
            let page = page_number(va.raw()) & page_mask;
            entry.tag & PAGE == page && in_context(pcid.raw(), globals)
        }
        Invalidation::Context { pcid, globals } => in_context(pcid.raw(), globals),
        Invalidation::AllNonGlobal => !global,
        Invalidation::All => true,
    }
}
