//! An access as it reaches the machine: what is asked for, and by whom.
//!
//! Contract: 3 (fields of a request), 11 (user mode). SDM vol. 3A, 4.6 (access rights).
//! Counterpart: `rtl/mmu_pkg.sv` (request fields).

use std::fmt;

/// What an access does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AccessKind {
    /// Data read.
    Read = 0,
    /// Data write (also a read-modify-write: the manual treats it as a write).
    Write = 1,
    /// Instruction fetch.
    Fetch = 2,
}

impl AccessKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Fetch];

    /// One letter: `r`, `w`, `x`.
    pub const fn letter(self) -> char {
        match self {
            Self::Read => 'r',
            Self::Write => 'w',
            Self::Fetch => 'x',
        }
    }
}

impl fmt::Display for AccessKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Fetch => "fetch",
        })
    }
}

/// All that decides an access besides its address and the control registers; captured when a request is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Access {
    /// Read, write or fetch.
    pub kind: AccessKind,
    /// Current privilege level, 0 to 3; only 3 is user mode.
    pub cpl: u8,
    /// EFLAGS.AC: suspends SMAP for explicit accesses.
    pub ac: bool,
    /// An implicit supervisor-mode access (to a descriptor table or a TSS): supervisor mode at any CPL, and AC does not help it.
    pub implicit_supervisor: bool,
    /// The PKRU register: bits 2k and 2k+1 are AD and WD of key k.
    pub pkru: u32,
}

impl Access {
    /// An explicit access with AC = 0 and PKRU = 0.
    #[inline]
    pub const fn new(kind: AccessKind, cpl: u8) -> Self {
        Self {
            kind,
            cpl,
            ac: false,
            implicit_supervisor: false,
            pkru: 0,
        }
    }

    /// Whether it is a user-mode access: CPL 3, and not implicit.
    #[inline]
    pub const fn user_mode(&self) -> bool {
        self.cpl == 3 && !self.implicit_supervisor
    }

    /// Whether it is a write.
    #[inline]
    pub const fn is_write(&self) -> bool {
        matches!(self.kind, AccessKind::Write)
    }

    /// Whether it is an instruction fetch.
    #[inline]
    pub const fn is_fetch(&self) -> bool {
        matches!(self.kind, AccessKind::Fetch)
    }

    /// PKRU.AD of `key`: no data access to its user pages.
    #[inline]
    pub const fn key_disables_access(&self, key: u8) -> bool {
        self.pkru >> (2 * (key & 0xf)) & 1 != 0
    }

    /// PKRU.WD of `key`: no write to its user pages (a supervisor write only while CR0.WP = 1).
    #[inline]
    pub const fn key_disables_write(&self, key: u8) -> bool {
        self.pkru >> (2 * (key & 0xf) + 1) & 1 != 0
    }
}
