//! How an access may end other than in a translation: page fault, general protection, bus error.
//!
//! Contract: 11 (error code), 9.3 (#GP). SDM vol. 3A, 4.7 (page faults).
//! Counterpart: `rtl/mmu_pkg.sv` (error code bits).

use std::fmt;

use thiserror::Error;

use super::access::Access;
use super::address::PhysicalAddress;
use super::registers::Registers;

/// The error code that a page fault pushes, laid out as the manual has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PageFaultCode(pub u32);

impl PageFaultCode {
    /// The translation was present (or a reserved bit was set): not a missing page.
    pub const P: u32 = 1 << 0;
    /// The access was a write.
    pub const W: u32 = 1 << 1;
    /// The access was a user-mode one.
    pub const U: u32 = 1 << 2;
    /// A reserved bit was set in an entry.
    pub const RSVD: u32 = 1 << 3;
    /// The access was a fetch; reported only with EFER.NXE or CR4.SMEP.
    pub const I: u32 = 1 << 4;
    /// The protection key forbids it, whatever else does.
    pub const PK: u32 = 1 << 5;

    /// The bits that describe the access: W, U and I.
    #[inline]
    pub const fn of_access(access: &Access, registers: &Registers) -> Self {
        let mut code = 0;
        if access.is_write() {
            code |= Self::W;
        }
        if access.user_mode() {
            code |= Self::U;
        }
        if access.is_fetch() && registers.reports_fetch() {
            code |= Self::I;
        }
        Self(code)
    }

    /// The code of a fault on an entry with P = 0.
    #[inline]
    pub const fn not_present(access: &Access, registers: &Registers) -> Self {
        Self::of_access(access, registers)
    }

    /// The code of a fault on a reserved bit: P = 1 and RSVD = 1.
    #[inline]
    pub const fn reserved_bit(access: &Access, registers: &Registers) -> Self {
        Self(Self::of_access(access, registers).0 | Self::P | Self::RSVD)
    }

    /// The code of a fault on rights; `key_denies` is the protection key's own verdict.
    #[inline]
    pub const fn denied(access: &Access, registers: &Registers, key_denies: bool) -> Self {
        let key = if key_denies { Self::PK } else { 0 };
        Self(Self::of_access(access, registers).0 | Self::P | key)
    }

    /// The code as a number.
    #[inline]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Whether every bit of `mask` is set.
    #[inline]
    pub const fn has(self, mask: u32) -> bool {
        self.0 & mask == mask
    }
}

impl fmt::Debug for PageFaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageFaultCode({self})")
    }
}

impl fmt::Display for PageFaultCode {
    /// The number and the names of its bits, as in `0x15 (P U I)` or `0x6 (not-present W U)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::W, "W"),
            (Self::U, "U"),
            (Self::RSVD, "RSVD"),
            (Self::I, "I"),
            (Self::PK, "PK"),
        ];
        let present = if self.has(Self::P) {
            "P"
        } else {
            "not-present"
        };
        write!(f, "{:#x} ({present}", self.0)?;
        for (mask, name) in names {
            if self.has(mask) {
                write!(f, " {name}")?;
            }
        }
        f.write_str(")")
    }
}

/// How an access ends: a translation, or one of three refusals that are never mistaken for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome<T> {
    /// It may go ahead.
    Translated(T),
    /// Page fault, with its error code. CR2 is the address of the access.
    PageFault(PageFaultCode),
    /// General protection: the address is not canonical. No entry was read.
    GeneralProtection,
    /// A table of the walk stands outside memory.
    BusError,
}

impl<T> Outcome<T> {
    /// The translation, if there is one.
    #[inline]
    pub fn translated(self) -> Option<T> {
        match self {
            Self::Translated(translation) => Some(translation),
            Self::PageFault(_) | Self::GeneralProtection | Self::BusError => None,
        }
    }

    /// The same outcome with `convert` applied to its translation.
    #[inline]
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Translated(translation) => Outcome::Translated(convert(translation)),
            Self::PageFault(code) => Outcome::PageFault(code),
            Self::GeneralProtection => Outcome::GeneralProtection,
            Self::BusError => Outcome::BusError,
        }
    }
}

/// Why an operation raised #GP(0). Hardware reports only that it did; the reason is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum GeneralProtection {
    /// An access to a non-canonical address under paging.
    #[error("the linear address is not canonical")]
    NonCanonical,
    /// Bits 63:32 of a value for CR0, CR4 or EFER.
    #[error("bits 63:32 of the value are not zero")]
    UpperHalf,
    /// CR0.PG = 1 with PE = 0.
    #[error("CR0.PG is set while CR0.PE is clear")]
    PagingWithoutProtection,
    /// CR0.PG 0 to 1 while EFER.LME and CR4.PAE differ: LME without PAE is refused by the manual, and PAE paging (PAE without LME) is not
    /// in this machine.
    #[error(
        "CR0.PG becomes 1 while one of EFER.LME and CR4.PAE is set and the other clear (this machine has no PAE paging)"
    )]
    UnsupportedPaging,
    /// CR0.PG 1 to 0 with CR4.PCIDE = 1.
    #[error("CR0.PG becomes 0 while CR4.PCIDE is set")]
    PagingOffWithPcide,
    /// Bits of CR3 from MAXPHYADDR up (bit 63 apart while PCIDE = 1).
    #[error("CR3 has a bit set at or above MAXPHYADDR")]
    Cr3Reserved,
    /// CR4.LA57 changed while EFER.LMA = 1.
    #[error("CR4.LA57 changes while EFER.LMA is set")]
    La57Change,
    /// CR4.LA57 = 1 on a machine without 5-level paging.
    #[error("CR4.LA57 is set, and the machine has no 5-level paging")]
    La57Unsupported,
    /// CR4.PAE changed while CR0.PG = 1: in IA-32e mode the manual refuses it, and in 32-bit paging it would lead to PAE paging, which is not
    /// in this machine.
    #[error("CR4.PAE changes while CR0.PG is set")]
    PaeChange,
    /// CR4.PCIDE 0 to 1 while EFER.LMA = 0.
    #[error("CR4.PCIDE becomes 1 while EFER.LMA is clear")]
    PcideOutsideLongMode,
    /// CR4.PCIDE 0 to 1 while CR3\[11:0\] is not zero.
    #[error("CR4.PCIDE becomes 1 while CR3[11:0] is not zero")]
    PcideWithCr3Low,
    /// EFER.LME changed while CR0.PG = 1.
    #[error("EFER.LME changes while CR0.PG is set")]
    LmeChange,
    /// An INVPCID type above 3.
    #[error("the INVPCID type is above 3")]
    InvpcidType,
    /// Bits 63:12 of an INVPCID descriptor.
    #[error("bits 63:12 of the INVPCID descriptor are not zero")]
    InvpcidReserved,
    /// An INVPCID of type 0 or 1 that names a PCID while CR4.PCIDE = 0.
    #[error("INVPCID names a PCID other than 0 while CR4.PCIDE is clear")]
    InvpcidPcid,
    /// An INVPCID of type 0 with a non-canonical address.
    #[error("the address in the INVPCID descriptor is not canonical")]
    InvpcidNonCanonical,
}

/// The bus answered with an error: no memory stands at the address. Never a page fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[error("no memory at physical address {address}")]
pub struct BusError {
    /// The address of the transaction that failed.
    pub address: PhysicalAddress,
}
