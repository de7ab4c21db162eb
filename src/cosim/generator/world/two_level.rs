//! The tables of 32-bit paging that random operations play with: directories and page tables of 4-byte entries, below 4 GiB.
//!
//! Contract: 8.3 (two entries share a cell), 8.4 (entries of 4 bytes). SDM vol. 3A, 4.3. Counterpart: none.
//!
//! Indices come in pairs that share a cell, so that both halves of it are live. Some tables stand where their address has no bit that is
//! reserved in a 4 MiB leaf: an entry that refers to one with PS set is a table with CR4.PSE = 0, and a page with CR4.PSE = 1.

use super::{choose, one_bit, stride};
use crate::arch::entry::bit;
use crate::arch::{MaxPhyAddr, PageSize};
use crate::config::Config;
use crate::cosim::generator::prng::Prng;

/// Directories, and page tables.
const TABLES: [usize; 2] = [3, 5];
/// Bit 21 of a 4 MiB leaf, which is reserved whatever the machine.
const ALWAYS_RESERVED: u64 = 1 << 21;
/// End of what CR3 and an entry can name.
const END: u64 = 1 << 32;

/// Tables of 32-bit paging, and the indices in use.
#[derive(Debug, Clone)]
pub(super) struct TwoLevel {
    directories: Vec<u64>,
    page_tables: Vec<u64>,
    /// By level, less 1.
    indices: [Vec<u16>; 2],
    /// Bits that are reserved in a 4 MiB leaf.
    reserved_in_leaf: u64,
    memory_bytes: u64,
}

impl TwoLevel {
    /// Tables for `config`, still empty.
    pub(super) fn new(config: &Config, prng: &mut Prng) -> Self {
        let maxphyaddr: MaxPhyAddr = config.arch_capabilities().maxphyaddr;
        let memory_bytes = config.memory_size_bytes();
        let reserved_in_leaf = ALWAYS_RESERVED | maxphyaddr.reserved_pse_36_bits();
        let frames = (memory_bytes.min(END) >> 12).max(1);
        let mut take = |count| -> Vec<u64> {
            let table = |_| {
                let table = prng.below(frames) << 12;
                let is_leaf_too = prng.chance(500);
                table & !if is_leaf_too { reserved_in_leaf } else { 0 }
            };
            (0..count).map(table).collect()
        };
        let [directories, page_tables] = TABLES.map(&mut take);
        Self {
            directories,
            page_tables,
            indices: [PageSize::Size4K, PageSize::Size4M].map(|size| indices(config, size, prng)),
            reserved_in_leaf,
            memory_bytes,
        }
    }

    fn tables(&self, level: u8) -> &[u64] {
        match level {
            1 => &self.page_tables,
            _ => &self.directories,
        }
    }

    /// The addresses of the entries that addresses lead to, with their levels.
    pub(super) fn places(&self) -> Vec<(u64, u8)> {
        let of_level = |level: u8| {
            let indices = &self.indices[usize::from(level) - 1];
            let of_table = move |table: &u64| {
                let table = *table;
                indices
                    .iter()
                    .map(move |index| (table + 4 * u64::from(*index), level))
            };
            self.tables(level).iter().flat_map(of_table)
        };
        [1, 2].into_iter().flat_map(of_level).collect()
    }

    /// A place of [`TwoLevel::places`].
    pub(super) fn place(&self, prng: &mut Prng) -> (u64, u8) {
        let level = prng.between(1, 2) as u8;
        let index = prng.pick(&self.indices[usize::from(level) - 1]);
        (prng.pick(self.tables(level)) + 4 * u64::from(index), level)
    }

    /// Indices of an address: of the page table, and of the directory.
    pub(super) fn address(&self, prng: &mut Prng) -> [u16; 2] {
        [0, 1].map(|level| prng.pick(&self.indices[level]))
    }

    /// A table for CR3: mostly a directory.
    pub(super) fn root(&self, prng: &mut Prng) -> u64 {
        match prng.below(1000) {
            0..5 => self.outside(prng),
            5..25 => prng.pick(&self.page_tables),
            _ => prng.pick(&self.directories),
        }
    }

    /// Whether a page table stands there.
    pub(super) fn is_page_table(&self, address: u64) -> bool {
        self.page_tables.contains(&address)
    }

    /// A page table.
    pub(super) fn page_table(&self, prng: &mut Prng) -> u64 {
        prng.pick(&self.page_tables)
    }

    /// A frame below 4 GiB at which no memory stands, if there is one.
    pub(super) fn outside(&self, prng: &mut Prng) -> u64 {
        if self.memory_bytes >= END {
            return prng.pick(&self.page_tables);
        }
        let frames = (END - self.memory_bytes) >> 12;
        (self.memory_bytes + (prng.below(frames.max(1)) << 12)) & 0xffff_f000
    }

    /// A random entry of `level`: mostly of use, sometimes absent, reserved or pointing nowhere.
    pub(super) fn entry(&self, level: u8, prng: &mut Prng) -> u64 {
        let is_leaf = level == 1 || prng.chance(400);
        let mut entry = bit::P
            | if is_leaf {
                self.leaf(level, prng)
            } else {
                self.table_entry(prng)
            };
        let (rw, us) = if is_leaf { (850, 900) } else { (985, 985) };
        choose(
            &mut entry,
            &[
                (bit::RW, rw),
                (bit::US, us),
                (bit::A, 700),
                (bit::PWT, 200),
                (bit::PCD, 200),
            ],
            prng,
        );
        if prng.chance(150) {
            // Ignored bits 11:9.
            entry |= prng.bits() & 0xe00;
        }
        let (absent, reserved) = match (is_leaf, level) {
            (false, _) => (8, 0),
            (true, 1) => (50, 0),
            (true, _) => (50, 90),
        };
        if prng.chance(absent) {
            entry &= !bit::P;
        }
        if prng.chance(reserved) {
            entry |= self.reserved_bit(prng);
        }
        entry
    }

    /// A leaf without P, and without rights.
    pub(super) fn leaf(&self, level: u8, prng: &mut Prng) -> u64 {
        let mut entry = match level {
            1 => prng.bits() & 0xffff_f000,
            _ => bit::PS | self.large_frame(prng),
        };
        let pat = if level == 1 {
            bit::PAT_4K
        } else {
            bit::PAT_LARGE
        };
        choose(
            &mut entry,
            &[(bit::D, 450), (bit::G, 250), (pat, 200)],
            prng,
        );
        entry
    }

    /// The address bits of a 4 MiB leaf: those of any page, or those of a page table that has none of the reserved ones.
    fn large_frame(&self, prng: &mut Prng) -> u64 {
        let table = prng.pick(&self.page_tables);
        if table & self.reserved_in_leaf == 0 && prng.chance(300) {
            return table;
        }
        // Below 4 GiB at times, where there is no PSE-36 to get wrong.
        let high = if prng.chance(300) {
            0
        } else {
            bit::ADDRESS_4M_HIGH
        };
        prng.bits() & (bit::ADDRESS_4M | high) & !self.reserved_in_leaf
    }

    fn table_entry(&self, prng: &mut Prng) -> u64 {
        let mut entry = match prng.below(1000) {
            0..6 => return self.outside(prng),
            // A directory as a page table: software does that to see its own tables.
            6..30 => prng.pick(&self.directories),
            _ => prng.pick(&self.page_tables),
        };
        // Bits 6 and 8 of an entry that refers to a table are ignored.
        if prng.chance(100) {
            entry |= prng.bits() & 0x140;
        }
        entry
    }

    /// One bit that is reserved in a 4 MiB leaf; nothing else of this mode has any.
    pub(super) fn reserved_bit(&self, prng: &mut Prng) -> u64 {
        one_bit(self.reserved_in_leaf, prng)
    }
}

/// Indices that put many pages of `size` into one set of each array, in pairs that share a cell; and the last one.
fn indices(config: &Config, size: PageSize, prng: &mut Prng) -> Vec<u16> {
    // The arrays named for 2 MiB hold 4 MiB pages.
    let array = PageSize::ARRAYS[size.array_index()];
    let stride = stride(config, array, prng).clamp(1, 256);
    let base = prng.below(stride);
    let mut indices: Vec<u16> = (0..3)
        .map(|_| (base + stride * prng.below(1024 / stride)) as u16)
        .collect();
    indices.push(prng.below(1024) as u16);
    indices.push(indices[0] ^ 1);
    indices.push(indices[3] ^ 1);
    indices.push(0x3ff);
    indices.sort_unstable();
    indices.dedup();
    indices
}

#[cfg(test)]
mod tests {
    use super::super::{Address, Place, World};
    use super::*;
    use crate::arch::{
        Access, AccessKind, Capabilities, Outcome, PageFaultCode, PagingMode, PhysicalAddress,
        Registers, registers,
    };
    use crate::reference::memory::SparseMemory;
    use crate::reference::walk::walk;

    fn world(bytes: Option<u64>, seed: u64) -> (Config, World, Prng) {
        let mut config = Config::default();
        if bytes.is_some() {
            config.memory.size_bytes = bytes;
        }
        let mut prng = Prng::new(seed, 0);
        let world = World::new(&config, &mut prng);
        (config, world, prng)
    }

    fn memory(config: &Config, world: &World) -> SparseMemory {
        let mut memory = SparseMemory::new(config.memory_size_bytes());
        for (address, value) in world.image() {
            memory
                .poke(PhysicalAddress::new(*address), *value)
                .expect("the image lies in memory");
        }
        memory
    }

    /// What the timeless walk makes of the generated tables: every kind of outcome, often enough.
    #[test]
    fn walks_translate_small_and_large_pages_and_meet_every_fault() {
        let mut seen = std::collections::BTreeMap::<&str, u32>::new();
        for seed in 0..8 {
            let (config, world, mut prng) = world((seed % 2 == 0).then_some(3 << 30), seed);
            let capabilities: Capabilities = config.arch_capabilities();
            let mut memory = memory(&config, &world);
            for _ in 0..4_000 {
                let pse = if prng.chance(750) {
                    registers::cr4::PSE
                } else {
                    0
                };
                let mut registers = Registers::RESET;
                registers.write_cr4(pse, &capabilities).unwrap();
                let root = world.root(PagingMode::TwoLevel, &mut prng);
                registers.write_cr3(root, &capabilities).unwrap();
                registers
                    .write_cr0(registers::cr0::PE | registers::cr0::PG)
                    .unwrap();
                let va = world.address(&mut prng).in_mode(PagingMode::TwoLevel);
                let access = Access::new(AccessKind::Read, 3);
                let walk = walk(&registers, &capabilities, &access, va, &mut memory);
                let what = match walk {
                    Outcome::Translated(t) if t.page_size == PageSize::Size4K => "4k",
                    Outcome::Translated(t) if t.address.raw() >= END => "4m above 4 GiB",
                    Outcome::Translated(_) => "4m",
                    Outcome::PageFault(code) if code.has(PageFaultCode::RSVD) => "reserved",
                    Outcome::PageFault(code) if code.has(PageFaultCode::P) => "rights",
                    Outcome::PageFault(_) => "not present",
                    Outcome::BusError => "bus error",
                    Outcome::GeneralProtection => "general protection",
                };
                *seen.entry(what).or_insert(0) += 1;
            }
        }
        let floors = [
            ("4k", 8_000),
            ("4m above 4 GiB", 3_000),
            ("4m", 1_000),
            ("reserved", 300),
            ("rights", 1_000),
            ("not present", 1_000),
            ("bus error", 100),
        ];
        for (what, floor) in floors {
            assert!(
                seen.get(what).is_some_and(|n| *n >= floor),
                "{what}: {seen:?}"
            );
        }
        assert!(!seen.contains_key("general protection"));
    }

    #[test]
    fn tables_stand_below_4_gib_and_both_halves_of_cells_are_live() {
        for seed in 0..20 {
            let (_, world, _) = world(None, seed);
            let places = world.two_level.places();
            assert!(places.iter().all(|(address, _)| *address < END));
            let at = |address: u64| places.iter().any(|place| place.0 == address);
            let pairs = places.iter().filter(|place| at(place.0 ^ 4)).count();
            assert!(pairs > 20, "{pairs}");
        }
    }

    /// PS of some entries is the difference between a page and a table.
    #[test]
    fn some_entries_are_pages_with_pse_and_tables_without() {
        let mut both = 0;
        for seed in 0..20 {
            let (_, world, _) = world(None, seed);
            let two_level = &world.two_level;
            both += two_level
                .places()
                .into_iter()
                .filter(|(address, level)| {
                    let entry = world.read(Place {
                        address: *address,
                        level: *level,
                        mode: PagingMode::TwoLevel,
                    });
                    *level == 2
                        && entry & bit::PS != 0
                        && two_level.page_tables.contains(&(entry & 0xffff_f000))
                })
                .count();
        }
        assert!(both > 10, "{both}");
    }

    #[test]
    fn a_reserved_bit_is_one_of_those_that_the_contract_names() {
        for (bits, expected) in [
            (36, 0x3e_0000),
            (39, 0x30_0000),
            (40, 0x20_0000),
            (52, 0x20_0000),
        ] {
            let mut config = Config::default();
            config.capabilities.maxphyaddr_bits = bits;
            let mut prng = Prng::new(1, 0);
            let two_level = TwoLevel::new(&config, &mut prng);
            let found = (0..200).fold(0, |found, _| found | two_level.reserved_bit(&mut prng));
            assert_eq!(found, expected, "{bits}");
        }
    }

    #[test]
    fn an_address_of_32_bits_has_no_upper_half() {
        let (_, world, mut prng) = world(None, 3);
        let mut tops = 0;
        for _ in 0..500 {
            let address: Address = world.address(&mut prng);
            let va = address.in_mode(PagingMode::TwoLevel);
            assert!(va < END);
            tops += u32::from(va >= 0xffff_f000);
        }
        assert!(tops > 0);
    }
}
