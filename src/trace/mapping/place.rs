//! The rule itself: from (address, seed) to frame, tables and entries.
//!
//! Contract: 8.3 and 8.4. SDM vol. 3A, 4.5. Counterpart: none.

use std::ops::Deref;

use super::{AccessedDirty, MappingError, MappingSpec, PagePolicy, Placed, TableEntry};
use crate::arch::entry::bit;
use crate::arch::{Capabilities, Level, PageSize, PagingMode, PhysicalAddress};

/// log2 of the frames in a piece of 2 MiB, and of the pieces in a block of 1 GiB.
const INDEX_BITS: u32 = 9;
/// log2 of the bytes of a frame.
const FRAME_SHIFT: u32 = PageSize::Size4K.shift();
/// An entry that only leads on allows everything: the leaf decides.
const TABLE_BITS: u64 = bit::P | bit::RW | bit::US;

/// What a key is drawn for. The numbers are part of the rule.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
enum Purpose {
    /// Tables of level 1 to 5 are this plus the level.
    Tables = 0,
    Blocks = 16,
    Pieces = 17,
    Frames = 18,
    Mix1G = 19,
    Mix2M = 20,
}

/// Scrambles 64 bits, one to one: twice a multiplication by an odd number and a fold of the upper half onto the lower.
const fn scramble(number: u64) -> u64 {
    let mut bits = number;
    bits = (bits ^ bits >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    bits = (bits ^ bits >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    bits ^ bits >> 32
}

/// The key of (seed, purpose, number).
const fn key(seed: u64, purpose: u64, number: u64) -> u64 {
    scramble(scramble(scramble(seed).wrapping_add(purpose)).wrapping_add(number))
}

/// A permutation of the numbers of so many bits, drawn by a key.
///
/// Four rounds of: add, multiply by an odd number, fold the upper half onto the lower; all modulo 2^bits. Each step can be undone, so
/// no two numbers meet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Permutation {
    mask: u64,
    fold: u32,
    /// What is added, and the odd number.
    rounds: [(u64, u64); 4],
}

impl Permutation {
    /// `bits` is 0 to 63.
    pub(super) const fn new(key: u64, bits: u32) -> Self {
        let mut rounds = [(0, 0); 4];
        let mut state = key;
        let mut round = 0;
        while round < rounds.len() {
            state = scramble(state.wrapping_add(0x9e37_79b9_7f4a_7c15));
            rounds[round] = (state >> 32, state | 1);
            round += 1;
        }
        Self {
            mask: (1 << bits) - 1,
            fold: bits.div_ceil(2),
            rounds,
        }
    }

    /// Where `number` goes, taken modulo 2^bits.
    #[inline]
    pub(super) const fn apply(&self, number: u64) -> u64 {
        let mut number = number & self.mask;
        let mut round = 0;
        while round < self.rounds.len() {
            let (add, multiply) = self.rounds[round];
            number = number.wrapping_add(add).wrapping_mul(multiply) & self.mask;
            number ^= number >> self.fold;
            round += 1;
        }
        number
    }
}

/// Page tables and pages, placed by the rule of [`super`]: every address has its place, whether it is touched or not.
#[derive(Debug, Clone)]
pub struct Mapping {
    seed: u64,
    policy: PagePolicy,
    page_1g: bool,
    mode: PagingMode,
    address_bits: u32,
    /// log2 of the frames of physical memory.
    frame_bits: u32,
    table_bits: u64,
    leaf_bits: u64,
    blocks: Permutation,
    /// By level, lowest first.
    tables: [Permutation; Level::COUNT],
}

impl Mapping {
    /// The mapping of `spec` on a machine with `capabilities`, whose memory ends at `memory_bytes` if that is less than the physical
    /// address space. Of a size that is not a power of two, the largest one below it is used.
    ///
    /// # Errors
    /// [`MappingError`], but [`MappingError::Conflict`].
    pub fn new(
        spec: &MappingSpec,
        capabilities: &Capabilities,
        memory_bytes: Option<u64>,
    ) -> Result<Self, MappingError> {
        let mode = spec.mode().ok_or(MappingError::Levels {
            levels: spec.levels,
        })?;
        if mode == PagingMode::FiveLevel && !capabilities.five_level {
            return Err(MappingError::NoFiveLevel);
        }
        if spec.pages == PagePolicy::Size1G && !capabilities.page_1g {
            return Err(MappingError::No1G);
        }
        let space_bytes = 1 << capabilities.maxphyaddr.bits();
        let size_bytes = memory_bytes.map_or(space_bytes, |bytes| bytes.min(space_bytes));
        let minimum_bytes = minimum_bytes(mode);
        if size_bytes < minimum_bytes {
            return Err(MappingError::TooSmall {
                size_bytes,
                minimum_bytes,
            });
        }
        let frame_bits = size_bytes.ilog2() - FRAME_SHIFT;
        let (table_bits, leaf_bits) = attribute_bits(spec);
        Ok(Self {
            seed: spec.seed,
            policy: spec.pages,
            page_1g: capabilities.page_1g,
            mode,
            address_bits: mode.spec().address_bits,
            frame_bits,
            table_bits,
            leaf_bits,
            blocks: Permutation::new(
                key(spec.seed, Purpose::Blocks as u64, 0),
                frame_bits - 1 - 2 * INDEX_BITS,
            ),
            tables: Level::ALL.map(|level| {
                let purpose = Purpose::Tables as u64 + u64::from(level.number());
                Permutation::new(key(spec.seed, purpose, 0), slot_bits(frame_bits, level))
            }),
        })
    }

    /// The paging mode of the tables.
    pub const fn mode(&self) -> PagingMode {
        self.mode
    }

    /// Where the root table stands: bits 51:12 of CR3.
    pub const fn root(&self) -> PhysicalAddress {
        self.table(self.root_level(), 0)
    }

    /// Bytes of the part of physical memory that holds pages: addresses that are equal modulo this have one place.
    pub const fn window_bytes(&self) -> u64 {
        1 << (self.frame_bits - 1 + FRAME_SHIFT)
    }

    /// Bytes from physical address 0 on in which nothing is ever placed.
    pub const fn free_bytes(&self) -> u64 {
        1 << (slot_bits(self.frame_bits, Level::Pml5) + FRAME_SHIFT)
    }

    /// The translated bits of `address`; `None` if it is not canonical, for then no table leads anywhere.
    #[inline]
    pub(super) const fn linear(&self, address: u64) -> Option<u64> {
        let unused = 64 - self.address_bits;
        if (address << unused) as i64 >> unused == address as i64 {
            Some(address << unused >> unused)
        } else {
            None
        }
    }

    /// The size of the page of a canonical address, of which `linear` is the translated bits.
    #[inline]
    pub(super) const fn size_of(&self, linear: u64) -> PageSize {
        match self.policy {
            PagePolicy::Size4K => PageSize::Size4K,
            PagePolicy::Size2M => PageSize::Size2M,
            PagePolicy::Size1G => PageSize::Size1G,
            PagePolicy::Mixed => self.mixed_size_of(linear),
        }
    }

    const fn mixed_size_of(&self, linear: u64) -> PageSize {
        let block = linear >> PageSize::Size1G.shift();
        let piece = linear >> PageSize::Size2M.shift();
        if self.page_1g && key(self.seed, Purpose::Mix1G as u64, block) >> 62 == 0 {
            PageSize::Size1G
        } else if key(self.seed, Purpose::Mix2M as u64, piece) >> 63 == 0 {
            PageSize::Size2M
        } else {
            PageSize::Size4K
        }
    }

    /// Where `address` leads, and the size of its page; `None` if it is not canonical.
    pub fn translate(&self, address: u64) -> Option<Placed> {
        let linear = self.linear(address)?;
        let size = self.size_of(linear);
        let page = self.page(linear, size);
        Some(Placed {
            address: PhysicalAddress::from_masked(page | linear & size.offset_mask()),
            size,
        })
    }

    /// The entries that lead to the page of `address`, from the root's down to the leaf. Empty if it is not canonical.
    pub fn entries_for(&self, address: u64) -> EntryPath {
        let mut path = EntryPath::EMPTY;
        let Some(linear) = self.linear(address) else {
            return path;
        };
        let leaf = self.size_of(linear).leaf_level();
        let mut level = self.root_level();
        while level > leaf {
            path.push(self.table_entry(level, linear));
            let Some(below) = level.below() else { break };
            level = below;
        }
        path.push(self.leaf_entry(linear));
        path
    }

    pub(super) const fn root_level(&self) -> Level {
        match self.mode {
            PagingMode::FiveLevel => Level::Pml5,
            PagingMode::FourLevel | PagingMode::Off | PagingMode::TwoLevel => Level::Pml4,
        }
    }

    /// The entry of `level` on the way of an address whose page lies below.
    pub(super) fn table_entry(&self, level: Level, linear: u64) -> TableEntry {
        let below = level.below().unwrap_or(Level::Pt);
        TableEntry {
            address: self.entry_address(level, linear),
            value: self.table(below, linear).raw() | self.table_bits,
        }
    }

    /// The entry that maps the page of an address.
    pub(super) fn leaf_entry(&self, linear: u64) -> TableEntry {
        let size = self.size_of(linear);
        TableEntry {
            address: self.entry_address(size.leaf_level(), linear),
            value: self.leaf_value(self.page(linear, size), size),
        }
    }

    /// A leaf that maps the page of `size` at a physical address.
    #[inline]
    pub(super) const fn leaf_value(&self, page: u64, size: PageSize) -> u64 {
        let large = match size {
            PageSize::Size4K => 0,
            PageSize::Size2M | PageSize::Size1G | PageSize::Size4M => bit::PS,
        };
        page | self.leaf_bits | large
    }

    fn entry_address(&self, level: Level, linear: u64) -> PhysicalAddress {
        self.table(level, linear)
            .entry_address(linear >> level.shift() & 0x1ff)
    }

    /// The table of `level` on the way of an address.
    pub(super) const fn table(&self, level: Level, linear: u64) -> PhysicalAddress {
        let prefix = linear >> (level.shift() + INDEX_BITS);
        let slot = self.tables[level.array_index()].apply(prefix);
        let frame = 1 << slot_bits(self.frame_bits, level) | slot;
        PhysicalAddress::from_masked(frame << FRAME_SHIFT)
    }

    /// The physical address of the page of an address.
    fn page(&self, linear: u64, size: PageSize) -> u64 {
        let block = self.block(linear);
        match size {
            PageSize::Size1G => block,
            PageSize::Size2M | PageSize::Size4M => self.piece(block, linear),
            PageSize::Size4K => {
                let frame = self.frames(linear).apply(linear >> FRAME_SHIFT);
                self.piece(block, linear) | frame << FRAME_SHIFT
            }
        }
    }

    /// The physical address of the block of 1 GiB in which an address lies.
    pub(super) const fn block(&self, linear: u64) -> u64 {
        let block = self.blocks.apply(linear >> PageSize::Size1G.shift());
        self.window_bytes() | block << PageSize::Size1G.shift()
    }

    /// The physical address of the piece of 2 MiB in `block` in which an address lies.
    pub(super) const fn piece(&self, block: u64, linear: u64) -> u64 {
        let number = linear >> PageSize::Size1G.shift();
        let pieces = key(self.seed, Purpose::Pieces as u64, number);
        let piece = Permutation::new(pieces, INDEX_BITS).apply(linear >> PageSize::Size2M.shift());
        block | piece << PageSize::Size2M.shift()
    }

    /// How the frames lie in the piece of 2 MiB of an address.
    pub(super) const fn frames(&self, linear: u64) -> Permutation {
        let piece = linear >> PageSize::Size2M.shift();
        Permutation::new(key(self.seed, Purpose::Frames as u64, piece), INDEX_BITS)
    }
}

/// log2 of the slots for tables of `level`, which is also log2 of the first one's frame: each level has the upper half of what is left.
const fn slot_bits(frame_bits: u32, level: Level) -> u32 {
    frame_bits - 1 - level.number() as u32
}

/// The least memory: a slot for each table above the page directories, and two blocks of 1 GiB.
const fn minimum_bytes(mode: PagingMode) -> u64 {
    match mode {
        PagingMode::FiveLevel => 1 << 34,
        PagingMode::FourLevel | PagingMode::Off | PagingMode::TwoLevel => 1 << 32,
    }
}

/// Attributes of every entry that leads on, and of every leaf.
const fn attribute_bits(spec: &MappingSpec) -> (u64, u64) {
    let (table, mut leaf) = match spec.accessed_dirty {
        AccessedDirty::Clear => (TABLE_BITS, bit::P),
        AccessedDirty::Set => (TABLE_BITS | bit::A, bit::P | bit::A | bit::D),
    };
    if spec.writable {
        leaf |= bit::RW;
    }
    if spec.user {
        leaf |= bit::US;
    }
    (table, leaf)
}

/// The entries of one address, from the root's down to the leaf: as a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryPath {
    entries: [TableEntry; Level::COUNT],
    count: usize,
}

impl EntryPath {
    const EMPTY: Self = Self {
        entries: [TableEntry {
            address: PhysicalAddress::new(0),
            value: 0,
        }; Level::COUNT],
        count: 0,
    };

    fn push(&mut self, entry: TableEntry) {
        if let Some(place) = self.entries.get_mut(self.count) {
            *place = entry;
            self.count += 1;
        }
    }

    /// Only the entries for which `keep` is true.
    pub(super) fn filtered(self, mut keep: impl FnMut(&TableEntry) -> bool) -> Self {
        let mut path = Self::EMPTY;
        for entry in self.iter().filter(|entry| keep(entry)) {
            path.push(*entry);
        }
        path
    }
}

impl Deref for EntryPath {
    type Target = [TableEntry];

    fn deref(&self) -> &[TableEntry] {
        &self.entries[..self.count]
    }
}
