//! The words that arrays hold, laid out as the contract has them, and the chain of entries behind them.
//!
//! Contract: 4.1, 4.2, 4.4. SDM vol. 3A, 4.10.2, 4.10.3. Counterpart: `rtl/mmu_pkg.sv` (entry layouts).

use crate::arch::entry::bit;
use crate::arch::{
    Entry, EntrySlot, Invalidation, Level, MemoryTypeBits, PageRights, PageSize, PagingMode, Pcid,
    VirtualAddress,
};

use super::super::image::Image;

/// Bits of a virtual page number in a TLB tag.
const TLB_PAGE_BITS: u32 = 45;
/// Lowest bit of the kept size in a TLB tag.
const KEPT_SHIFT: u32 = 58;
/// Lowest bit of the size of the page in a TLB tag.
const SIZE_SHIFT: u32 = 60;
/// Bits of a prefix in a tag of a paging-structure cache.
const PSC_PREFIX_BITS: u32 = 36;

/// One entry that a walk read, with the cycle in which memory held that value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its level.
    pub level: Level,
    /// Where it stands.
    pub address: u64,
    /// Which bytes of its cell it takes.
    pub slot: EntrySlot,
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
        let differs = |link: &Link| {
            let now = link.slot.extract(image.read(link.address)).raw();
            (now ^ link.value) & !(bit::A | bit::D) != 0
        };
        root.is_some_and(|root| root != self.root) || self.links.iter().any(differs)
    }
}

/// Tag and data of a TLB entry, laid out as contract 4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TlbWords {
    /// Page number, PCID, global, kept size, size of the page.
    pub tag: u64,
    /// Frame, rights, D, key, memory type.
    pub data: u64,
}

impl TlbWords {
    /// The entry for the piece of size `kept` around `va` of a page of `size`, by its leaf and the rights of the whole path.
    pub fn new(
        va: u64,
        kept: PageSize,
        size: PageSize,
        pcid: Pcid,
        global: bool,
        leaf: Entry,
        rights: PageRights,
    ) -> Self {
        let memory_type = leaf.memory_type(size);
        let within = va & size.offset_mask() & !kept.offset_mask();
        let data = (leaf.frame(size).raw() | within) >> 12
            | u64::from(rights.writable) << 40
            | u64::from(rights.user) << 41
            | u64::from(rights.execute_disable) << 42
            | u64::from(leaf.dirty()) << 43
            | u64::from(rights.protection_key) << 44
            | u64::from(memory_type.pwt) << 48
            | u64::from(memory_type.pcd) << 49
            | u64::from(memory_type.pat) << 50;
        let tag = page_number(va, kept) << (kept.shift() - 12)
            | u64::from(pcid.raw()) << 45
            | u64::from(global) << 57
            | (kept as u64) << KEPT_SHIFT
            | (size as u64) << SIZE_SHIFT;
        Self { tag, data }
    }

    /// The entry for the piece of size `kept`, at most its own, around `va`, which it translates.
    pub const fn piece(self, va: u64, kept: PageSize) -> Self {
        let within = va & self.kept().offset_mask() & !kept.offset_mask();
        let number = (1 << TLB_PAGE_BITS) - 1;
        let codes = self.tag & !number & !(3 << KEPT_SHIFT) | (kept as u64) << KEPT_SHIFT;
        Self {
            tag: page_number(va, kept) << (kept.shift() - 12) | codes,
            data: self.data | within >> 12,
        }
    }

    /// The kept size: that of the piece of the page that it translates, or of the whole page.
    pub const fn kept(self) -> PageSize {
        size_of_code(self.tag >> KEPT_SHIFT)
    }

    /// The size of the page in the tables.
    pub const fn size(self) -> PageSize {
        size_of_code(self.tag >> SIZE_SHIFT)
    }

    /// The lowest address of the piece, of the 57 bits that a tag has.
    pub const fn address(self) -> u64 {
        (self.tag & ((1 << TLB_PAGE_BITS) - 1)) << 12
    }

    /// The page number at its kept size, as [`page_number`] has it.
    pub const fn page(self) -> u64 {
        self.address() >> self.kept().shift()
    }

    /// Whether it is of that kept size and page number.
    pub fn holds(self, kept: PageSize, page: u64) -> bool {
        self.kept() == kept && self.page() == page
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

    /// The physical address of `va`, which it translates.
    pub const fn translate(self, va: u64) -> u64 {
        (self.data & ((1 << 40) - 1)) << 12 | va & self.kept().offset_mask()
    }

    /// Whether it serves a request of `pcid` for its page.
    pub fn serves(self, pcid: Pcid) -> bool {
        self.global() || self.pcid() == pcid
    }

    /// Whether `invalidation` covers it.
    pub fn covered_by(self, invalidation: &Invalidation) -> bool {
        // The tag has the low 57 bits of the address; the mode only has to extend them the way that the operation's address is.
        let mode = match invalidation {
            Invalidation::Page { va, .. } => va.mode(),
            _ => PagingMode::FiveLevel,
        };
        let page = VirtualAddress::new_truncate(self.address(), mode);
        invalidation.covers_tlb_entry(page, self.size(), self.pcid(), self.global())
    }
}

/// The size whose code (contract 1.5) the two lowest bits are.
const fn size_of_code(code: u64) -> PageSize {
    match PageSize::from_code((code & 3) as u8) {
        Some(size) => size,
        None => PageSize::Size4K,
    }
}

/// The number of the page of `size` around `va`, of the address bits that tags have.
#[inline]
pub const fn page_number(va: u64, size: PageSize) -> u64 {
    (va & ((1 << 57) - 1)) >> size.shift()
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
    /// The entry of `level`, 2 to 5, for `va` in `mode`.
    pub fn new(
        va: u64,
        mode: PagingMode,
        level: Level,
        pcid: Pcid,
        table: u64,
        rights: PageRights,
    ) -> Self {
        let data = table >> 12
            | u64::from(rights.writable) << 40
            | u64::from(rights.user) << 41
            | u64::from(rights.execute_disable) << 42;
        Self {
            tag: prefix(va, mode, level) | u64::from(pcid.raw()) << PSC_PREFIX_BITS,
            data,
        }
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

/// Bits 56:21 of `va`, those below the prefix that `level` translates in `mode` being 0.
#[inline]
pub const fn prefix(va: u64, mode: PagingMode, level: Level) -> u64 {
    let shift = mode.index_shift(level);
    let kept = (va & ((1 << 57) - 1)) >> shift << shift;
    kept >> 21
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::MaxPhyAddr;

    const PCID: Pcid = Pcid::new_truncate(0x5a5);

    #[test]
    fn a_tlb_entry_is_laid_out_as_the_contract_has_it() {
        let rights = PageRights {
            writable: true,
            user: false,
            execute_disable: true,
            protection_key: 9,
        };
        let va = 0xffff_8123_4567_89ab;
        let leaf = Entry(0x000f_ffff_ffff_f000 | 1 << 63 | 9 << 59 | 0x1fb);
        let size = PageSize::Size4K;
        let words = TlbWords::new(va, size, size, PCID, true, leaf, rights);
        assert_eq!(words.tag, 0x1ff8_1234_5678 | 0x5a5 << 45 | 1 << 57);
        assert_eq!(
            words.data,
            0xff_ffff_ffff | 1 << 40 | 1 << 42 | 1 << 43 | 9 << 44 | 7 << 48
        );
        assert_eq!(
            (words.pcid(), words.global(), words.dirty(), words.rights()),
            (PCID, true, true, rights)
        );
        assert_eq!(words.translate(va), MaxPhyAddr::MAX.mask() & !0xfff | 0x9ab);
    }

    #[test]
    fn large_pages_have_the_low_bits_of_number_and_frame_clear() {
        let va = 0x0000_7fff_ffff_ffff;
        let leaf = Entry(0x4000_1000 | 0x80 | 1);
        let words = TlbWords::new(
            va,
            PageSize::Size1G,
            PageSize::Size1G,
            Pcid::ZERO,
            false,
            leaf,
            PageRights::ALL,
        );
        assert_eq!(words.tag, 0x7_fffc_0000 | 2 << 58 | 2 << 60);
        assert_eq!(words.data, 0x4_0000 | 3 << 40 | 1 << 50);
        assert_eq!(words.page(), page_number(va, PageSize::Size1G));
        assert_eq!(words.translate(va), 0x7fff_ffff);
    }

    #[test]
    fn a_piece_has_its_own_number_and_frame_and_the_size_of_its_page() {
        let va = 0x0000_7fff_fedc_ba98;
        let leaf = Entry(0x4000_1000 | 0x80 | 1);
        let (large, size) = (PageSize::Size2M, PageSize::Size1G);
        let whole = TlbWords::new(va, size, size, PCID, true, leaf, PageRights::ALL);
        let piece = TlbWords::new(va, large, size, PCID, true, leaf, PageRights::ALL);
        assert_eq!(piece.tag & ((1 << 45) - 1), va >> 21 << 9);
        assert_eq!(piece.tag >> 45, 0x5a5 | 1 << 12 | 1 << 13 | 2 << 15);
        assert_eq!(piece.data & ((1 << 40) - 1), 0x4_0000 | 0x3_ec00);
        assert_eq!((piece.kept(), piece.size()), (large, size));
        assert_eq!(piece.translate(va), whole.translate(va));
        assert_eq!(whole.piece(va, large), piece);
        let small = PageSize::Size4K;
        assert_eq!(
            piece.piece(va, small),
            TlbWords::new(va, small, size, PCID, true, leaf, PageRights::ALL)
        );
        assert_eq!(whole.piece(va, size), whole);
    }

    #[test]
    fn a_piece_goes_when_any_address_of_its_page_is_invalidated() {
        let leaf = Entry(0x4000_0000 | 0x81);
        let (kept, size) = (PageSize::Size4K, PageSize::Size2M);
        let words = TlbWords::new(0x20_3000, kept, size, PCID, false, leaf, PageRights::ALL);
        let goes = |va| {
            let va = VirtualAddress::new(va, PagingMode::FourLevel);
            words.covered_by(&Invalidation::Page {
                va,
                pcid: PCID,
                globals: true,
            })
        };
        assert!(goes(0x20_3000) && goes(0x3f_f000));
        assert!(!goes(0x1f_f000) && !goes(0x40_0000));
    }

    #[test]
    fn a_paging_structure_cache_entry_is_laid_out_as_the_contract_has_it() {
        let rights = PageRights {
            writable: false,
            user: true,
            execute_disable: true,
            protection_key: 0,
        };
        let va = 0xff12_3456_789a_bcde;
        for (level, low_zeros) in [
            (Level::Pd, 0),
            (Level::Pdpt, 9),
            (Level::Pml4, 18),
            (Level::Pml5, 27),
        ] {
            let words = PscWords::new(va, PagingMode::FiveLevel, level, PCID, 0xa_b000, rights);
            let prefix = (va & ((1 << 57) - 1)) >> 21 >> low_zeros << low_zeros;
            assert_eq!(words.tag, prefix | 0x5a5 << 36, "{level}");
            assert_eq!(words.data, 0xab | 1 << 41 | 1 << 42);
            assert_eq!(
                (words.pcid(), words.table(), words.rights()),
                (PCID, 0xa_b000, rights)
            );
        }
    }

    #[test]
    fn a_lineage_is_stale_when_memory_or_the_root_has_moved_on_but_not_by_a_and_d() {
        let mut image = Image::new(0x1000, [(8, 0x67)]);
        let link = Link {
            level: Level::Pt,
            address: 8,
            slot: EntrySlot::Whole,
            value: 0x27,
            cycle: 0,
        };
        let lineage = Lineage {
            root: 0x1000,
            links: vec![link],
        };
        assert!(!lineage.is_stale(&image, Some(0x1000)) && !lineage.is_stale(&image, None));
        assert!(lineage.is_stale(&image, Some(0x2000)));
        image.write(8, 0x65);
        assert!(lineage.is_stale(&image, None));
    }
}
