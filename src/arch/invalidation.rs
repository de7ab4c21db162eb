//! What an operation removes from TLBs and paging-structure caches, as data.
//!
//! Contract: 9.3 (what each removes). SDM vol. 3A, 4.10.4.1 (operations that invalidate).
//! Counterpart: `rtl/mmu_pkg.sv` (the flush that a control operation asks for).

use std::fmt;

use super::address::{PageSize, VirtualAddress};

/// A process-context identifier: 12 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pcid(u16);

impl Pcid {
    /// PCID 0: the only one while CR4.PCIDE = 0.
    pub const ZERO: Self = Self(0);

    /// The lower 12 bits of `raw`.
    #[inline]
    pub const fn new_truncate(raw: u64) -> Self {
        Self((raw & 0xfff) as u16)
    }

    /// `raw`, if it is below 4096.
    #[inline]
    pub const fn try_new(raw: u64) -> Option<Self> {
        if raw < 0x1000 {
            Some(Self(raw as u16))
        } else {
            None
        }
    }

    /// As a number, 0 to 4095.
    #[inline]
    pub const fn raw(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Pcid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#05x}", self.0)
    }
}

/// What is removed. A cache asks [`Invalidation::covers_tlb_entry`] or [`Invalidation::covers_psc_entry`] of each entry.
///
/// This is what the machine removes, which is at least what the manual requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Invalidation {
    /// Nothing.
    None,
    /// One page in one context: TLB entries of `pcid`, of any size, that translate `va`, and every
    /// paging-structure-cache entry of `pcid`.
    Page {
        /// The address whose page goes.
        va: VirtualAddress,
        /// The context.
        pcid: Pcid,
        /// Whether global entries that translate `va` go too, whatever their PCID (INVLPG). If not, global entries stay (INVPCID 0).
        globals: bool,
    },
    /// One context: its non-global TLB entries and its paging-structure-cache entries.
    Context {
        /// The context.
        pcid: Pcid,
        /// Whether every global TLB entry goes too, whatever its PCID.
        globals: bool,
    },
    /// Everything but global TLB entries.
    AllNonGlobal,
    /// Everything.
    All,
}

impl Invalidation {
    /// Whether it removes nothing.
    #[inline]
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether a TLB entry goes that was made under `pcid`, with `global` as it was stored (false if it was filled with
    /// CR4.PGE = 0), for the page of `size` that begins at `page`.
    ///
    /// `size` is the size of the page in the tables, also where a TLB holds only a piece of it.
    #[inline]
    pub const fn covers_tlb_entry(
        &self,
        page: VirtualAddress,
        size: PageSize,
        pcid: Pcid,
        global: bool,
    ) -> bool {
        match *self {
            Self::None => false,
            Self::Page {
                va,
                pcid: context,
                globals,
            } => {
                let named = if global { globals } else { pcid.0 == context.0 };
                named && va.page_number(size) == page.page_number(size)
            }
            Self::Context {
                pcid: context,
                globals,
            } => {
                if global {
                    globals
                } else {
                    pcid.0 == context.0
                }
            }
            Self::AllNonGlobal => !global,
            Self::All => true,
        }
    }

    /// Whether a paging-structure-cache entry goes that was made under `pcid`.
    #[inline]
    pub const fn covers_psc_entry(&self, pcid: Pcid) -> bool {
        match *self {
            Self::None => false,
            Self::Page { pcid: context, .. } | Self::Context { pcid: context, .. } => {
                pcid.0 == context.0
            }
            Self::AllNonGlobal | Self::All => true,
        }
    }
}

impl fmt::Display for Invalidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let and_globals = |globals: bool| if globals { " and globals" } else { "" };
        match *self {
            Self::None => f.write_str("nothing"),
            Self::Page { va, pcid, globals } => {
                write!(f, "page {va} of PCID {pcid}{}", and_globals(globals))
            }
            Self::Context { pcid, globals } => {
                write!(f, "PCID {pcid}{}", and_globals(globals))
            }
            Self::AllNonGlobal => f.write_str("everything but globals"),
            Self::All => f.write_str("everything"),
        }
    }
}

/// The 128-bit descriptor of INVPCID, as it was read from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct InvpcidDescriptor {
    /// Bits 63:0: the PCID in 11:0; 63:12 must be zero.
    pub context: u64,
    /// Bits 127:64: the linear address, used by type 0.
    pub address: u64,
}
