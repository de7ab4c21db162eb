//! Access rights: what a path through the tables allows, and whether an access may.
//!
//! Contract: 11. SDM vol. 3A, 4.6 (access rights, protection keys), 4.7 (error code).
//! Counterpart: `rtl/mmu_pkg.sv` (the rights check).

use std::fmt;

use super::access::{Access, AccessKind};
use super::entry::Entry;
use super::fault::PageFaultCode;
use super::registers::Registers;

/// What a path allows: R/W and U/S ANDed, XD ORed over its entries, and the key of its leaf.
///
/// This is also what a TLB entry and a paging-structure-cache entry hold. It freezes none of CPL, WP, SMEP, SMAP, AC
/// and PKRU: those belong to the access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageRights {
    /// R/W of every entry so far.
    pub writable: bool,
    /// U/S of every entry so far: a user-mode address.
    pub user: bool,
    /// XD of any entry so far.
    pub execute_disable: bool,
    /// Bits 62:59 of the leaf; 0 before it.
    pub protection_key: u8,
}

impl PageRights {
    /// The rights of the empty path: everything.
    pub const ALL: Self = Self {
        writable: true,
        user: true,
        execute_disable: false,
        protection_key: 0,
    };

    /// The rights after one more entry that refers to a table.
    #[inline]
    pub const fn through_table(self, entry: Entry) -> Self {
        Self {
            writable: self.writable & entry.writable(),
            user: self.user & entry.user(),
            execute_disable: self.execute_disable | entry.execute_disable(),
            protection_key: self.protection_key,
        }
    }

    /// The rights after the leaf, whose key they take over.
    #[inline]
    pub const fn through_leaf(self, entry: Entry) -> Self {
        let mut rights = self.through_table(entry);
        rights.protection_key = entry.protection_key();
        rights
    }
}

impl fmt::Display for PageRights {
    /// As in `u w x key 3`, with `-` for what is not allowed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |allowed: bool, letter| if allowed { letter } else { '-' };
        write!(
            f,
            "{}{}{} key {}",
            letter(self.user, 'u'),
            letter(self.writable, 'w'),
            letter(!self.execute_disable, 'x'),
            self.protection_key
        )
    }
}

/// Every rule that denies an access, each judged on its own: a set of the constants below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Denials(u8);

impl Denials {
    /// A user-mode access to a supervisor page.
    pub const SUPERVISOR_PAGE: Self = Self(1 << 0);
    /// A write to a read-only page (by a supervisor only while CR0.WP = 1).
    pub const READ_ONLY: Self = Self(1 << 1);
    /// A fetch from a page with XD.
    pub const EXECUTE_DISABLE: Self = Self(1 << 2);
    /// A supervisor fetch from a user page while CR4.SMEP = 1.
    pub const SMEP: Self = Self(1 << 3);
    /// A supervisor data access to a user page while CR4.SMAP = 1, without an AC that counts.
    pub const SMAP: Self = Self(1 << 4);
    /// PKRU forbids it: the one denial that the error code tells apart.
    pub const PROTECTION_KEY: Self = Self(1 << 5);

    /// No rule denies.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `rule` is among those that deny.
    #[inline]
    pub const fn contains(self, rule: Self) -> bool {
        self.0 & rule.0 != 0
    }

    /// The rules that deny, in words.
    pub fn reasons(self) -> impl Iterator<Item = &'static str> {
        const WORDS: [(Denials, &str); 6] = [
            (
                Denials::SUPERVISOR_PAGE,
                "user-mode access to a supervisor page",
            ),
            (Denials::READ_ONLY, "write to a read-only page"),
            (
                Denials::EXECUTE_DISABLE,
                "fetch from a page with execute-disable",
            ),
            (
                Denials::SMEP,
                "supervisor fetch from a user page under SMEP",
            ),
            (
                Denials::SMAP,
                "supervisor data access to a user page under SMAP",
            ),
            (
                Denials::PROTECTION_KEY,
                "the page's protection key forbids it",
            ),
        ];
        WORDS
            .into_iter()
            .filter(move |(rule, _)| self.contains(*rule))
            .map(|(_, words)| words)
    }
}

/// Every rule by which `access` to a page with `rights` is denied under `registers`.
///
/// The rules are independent: all that apply are in the answer, so that the error code's key bit does not depend on
/// the order in which somebody asks.
#[inline]
pub const fn denials(rights: PageRights, access: &Access, registers: &Registers) -> Denials {
    let user_mode = access.user_mode();
    let supervisor_to_user_page = !user_mode && rights.user;
    let mut denied = 0;
    if user_mode && !rights.user {
        denied |= Denials::SUPERVISOR_PAGE.0;
    }
    match access.kind {
        AccessKind::Fetch => {
            if rights.execute_disable && registers.nxe() {
                denied |= Denials::EXECUTE_DISABLE.0;
            }
            if supervisor_to_user_page && registers.smep() {
                denied |= Denials::SMEP.0;
            }
        }
        AccessKind::Read | AccessKind::Write => {
            let write = access.is_write();
            let read_only_binds = user_mode || registers.wp();
            if write && !rights.writable && read_only_binds {
                denied |= Denials::READ_ONLY.0;
            }
            let ac_counts = access.ac && !access.implicit_supervisor;
            if supervisor_to_user_page && registers.smap() && !ac_counts {
                denied |= Denials::SMAP.0;
            }
            if registers.protection_keys() && rights.user {
                let key = rights.protection_key;
                let write_disabled = write && read_only_binds && access.key_disables_write(key);
                if access.key_disables_access(key) || write_disabled {
                    denied |= Denials::PROTECTION_KEY.0;
                }
            }
        }
    }
    Denials(denied)
}

/// Whether `access` to a page with `rights` is allowed under `registers`.
///
/// # Errors
/// The error code of the page fault: P = 1, the access's own bits, and PK if the protection key forbids it.
#[inline]
pub const fn judge(
    rights: PageRights,
    access: &Access,
    registers: &Registers,
) -> Result<(), PageFaultCode> {
    let denied = denials(rights, access, registers);
    if denied.is_empty() {
        return Ok(());
    }
    Err(PageFaultCode::denied(
        access,
        registers,
        denied.contains(Denials::PROTECTION_KEY),
    ))
}
