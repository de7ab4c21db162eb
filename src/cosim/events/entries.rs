//! Entries and cells as text: of the tables in memory, of the TLBs, of the paging-structure caches.
//!
//! Contract: 4.1, 4.2 (formats), 8.3 (two entries of 4 bytes share a cell). SDM vol. 3A, 4.3 and 4.5. Counterpart: none.

use std::fmt::{self, Display, Formatter};

use crate::arch::entry::bit;
use crate::arch::{EntrySlot, PageSize, PagingMode};

/// A paging-structure entry with the names of the bits that mean the same at every level, and of those of a leaf.
pub struct EntryBits(pub u64);

impl Display for EntryBits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)?;
        if self.0 & bit::P == 0 {
            return Ok(());
        }
        f.write_str(" (P")?;
        for (mask, name) in [
            (bit::RW, "RW"),
            (bit::US, "US"),
            (bit::A, "A"),
            (bit::D, "D"),
            (bit::PS, "PS"),
            (bit::G, "G"),
            (bit::XD, "XD"),
        ] {
            if self.0 & mask != 0 {
                write!(f, " {name}")?;
            }
        }
        f.write_str(")")
    }
}

/// A cell: one entry of 8 bytes, or in 32-bit paging two of 4, that of the lower address first.
pub struct CellBits {
    /// What it holds.
    pub value: u64,
    /// The mode whose entries it is taken for.
    pub mode: PagingMode,
}

impl Display for CellBits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.mode != PagingMode::TwoLevel {
            return write!(f, "{}", EntryBits(self.value));
        }
        let [low, high] =
            [EntrySlot::Low, EntrySlot::High].map(|slot| slot.extract(self.value).raw());
        write!(f, "{}, {}", EntryBits(low), EntryBits(high))
    }
}

/// An address whose bits above 56 repeat bit 56: the canonical form in every mode, since bits 56:48 repeat bit 47 in 4-level paging, and are 0 in
/// 32-bit paging.
const fn sign_extended(va: u64) -> u64 {
    ((va << 7) as i64 >> 7) as u64
}

fn rights(f: &mut Formatter<'_>, data: u64) -> fmt::Result {
    f.write_str(if data >> 40 & 1 != 0 { " rw" } else { " ro" })?;
    if data >> 41 & 1 != 0 {
        f.write_str(" user")?;
    }
    if data >> 42 & 1 != 0 {
        f.write_str(" xd")?;
    }
    Ok(())
}

/// A TLB entry in the monitor's format (contract 4.1).
pub struct TlbEntry {
    /// Page number, PCID, global, kept size, size of the page.
    pub tag: u64,
    /// Frame and attributes.
    pub data: u64,
}

impl TlbEntry {
    /// Its text, with the kept size in front if its array holds several.
    pub fn text(&self, several: bool) -> String {
        let kept = size_name(self.tag >> 58);
        if several {
            format!("{kept} {self}")
        } else {
            self.to_string()
        }
    }
}

/// The page size whose code (contract 1.5) the two lowest bits are.
fn size_name(code: u64) -> &'static str {
    PageSize::from_code((code & 3) as u8).map_or("size?", PageSize::name)
}

impl Display for TlbEntry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (tag, data) = (self.tag, self.data);
        if tag >> 58 & 3 != tag >> 60 & 3 {
            write!(f, "piece of {} ", size_name(tag >> 60))?;
        }
        let va = sign_extended((tag & ((1 << 45) - 1)) << 12);
        let pa = (data & ((1 << 40) - 1)) << 12;
        write!(f, "va {va:#x} pa {pa:#x} pcid {}", tag >> 45 & 0xfff)?;
        if tag >> 57 & 1 != 0 {
            f.write_str(" global")?;
        }
        rights(f, data)?;
        if data >> 43 & 1 != 0 {
            f.write_str(" dirty")?;
        }
        if data >> 44 & 0xf != 0 {
            write!(f, " key {}", data >> 44 & 0xf)?;
        }
        for (shift, name) in [(48, "pwt"), (49, "pcd"), (50, "pat")] {
            if data >> shift & 1 != 0 {
                write!(f, " {name}")?;
            }
        }
        Ok(())
    }
}

/// A paging-structure-cache entry in the monitor's format (contract 4.2).
pub struct PscEntry {
    /// Prefix and PCID.
    pub tag: u64,
    /// Table and rights.
    pub data: u64,
}

impl Display for PscEntry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let va = sign_extended((self.tag & ((1 << 36) - 1)) << 21);
        let table = (self.data & ((1 << 40) - 1)) << 12;
        let pcid = self.tag >> 36 & 0xfff;
        write!(f, "va {va:#x} table {table:#x} pcid {pcid}")?;
        rights(f, self.data)
    }
}
