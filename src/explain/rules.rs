//! Every rule that may deny an access, and every bit of an error code, each with its reason.
//!
//! Contract: 11. SDM vol. 3A, 4.6 (access rights), 4.7 (error code). Counterpart: none; [`crate::arch::rights`] decides, and a test holds
//! the reasons to that.

use serde::Serialize;

use crate::arch::{Access, AccessKind, Denials, PageFaultCode, PageRights, Registers, rights};

/// A rule, and what it says of an access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// Whether it denies.
    pub denies: bool,
    /// Why, or why not.
    pub because: String,
}

/// A bit of an error code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodeBit {
    /// Its place.
    pub bit: u32,
    /// The manual's name.
    pub name: &'static str,
    /// 0 or 1.
    pub value: u8,
    /// Why.
    pub because: String,
}

/// What each rule says of `access` to a page with these rights.
pub fn rules(page: PageRights, access: &Access, registers: &Registers) -> Vec<Rule> {
    let denied = rights::denials(page, access, registers);
    let rule = |name, which, because| Rule {
        name,
        denies: denied.contains(which),
        because,
    };
    vec![
        rule(
            "user mode",
            Denials::SUPERVISOR_PAGE,
            user_mode(page, access),
        ),
        rule("write", Denials::READ_ONLY, write(page, access, registers)),
        rule(
            "XD",
            Denials::EXECUTE_DISABLE,
            execute(page, access, registers),
        ),
        rule("SMEP", Denials::SMEP, smep(page, access, registers)),
        rule("SMAP", Denials::SMAP, smap(page, access, registers)),
        rule(
            "key",
            Denials::PROTECTION_KEY,
            protection_key(page, access, registers),
        ),
    ]
}

/// `user` or `supervisor`.
const fn privilege(access: &Access) -> &'static str {
    if access.user_mode() {
        "user"
    } else {
        "supervisor"
    }
}

fn user_mode(page: PageRights, access: &Access) -> String {
    match (access.user_mode(), page.user) {
        (false, _) if access.implicit_supervisor => {
            "an implicit supervisor access may use supervisor pages at any CPL".to_owned()
        }
        (false, _) => format!(
            "CPL {}: a supervisor access may use supervisor pages",
            access.cpl
        ),
        (true, true) => "U/S = 1 in every entry: a user page".to_owned(),
        (true, false) => "CPL 3, and an entry on the way has U/S = 0: a supervisor page".to_owned(),
    }
}

fn write(page: PageRights, access: &Access, registers: &Registers) -> String {
    if !access.is_write() {
        return "not a write".to_owned();
    }
    if page.writable {
        return "R/W = 1 in every entry".to_owned();
    }
    let read_only = "an entry on the way has R/W = 0";
    if access.user_mode() {
        format!("{read_only}, and the access is of user mode")
    } else if registers.wp() {
        format!("{read_only}, and CR0.WP = 1 binds supervisor writes too")
    } else {
        format!("{read_only}, but CR0.WP = 0 lets supervisor writes pass")
    }
}

fn execute(page: PageRights, access: &Access, registers: &Registers) -> String {
    if !access.is_fetch() {
        "not a fetch".to_owned()
    } else if !registers.lma() {
        "entries of 32-bit paging have no XD".to_owned()
    } else if !page.execute_disable {
        "XD = 0 in every entry".to_owned()
    } else if registers.nxe() {
        "an entry on the way has XD = 1".to_owned()
    } else {
        "EFER.NXE = 0".to_owned()
    }
}

fn smep(page: PageRights, access: &Access, registers: &Registers) -> String {
    if !access.is_fetch() {
        "not a fetch".to_owned()
    } else if access.user_mode() {
        "not a supervisor access".to_owned()
    } else if !page.user {
        "not a user page".to_owned()
    } else if registers.smep() {
        "a supervisor fetch from a user page, and CR4.SMEP = 1".to_owned()
    } else {
        "CR4.SMEP = 0".to_owned()
    }
}

fn smap(page: PageRights, access: &Access, registers: &Registers) -> String {
    if access.is_fetch() {
        "not a data access".to_owned()
    } else if access.user_mode() {
        "not a supervisor access".to_owned()
    } else if !page.user {
        "not a user page".to_owned()
    } else if !registers.smap() {
        "CR4.SMAP = 0".to_owned()
    } else if access.implicit_supervisor {
        "a supervisor access to a user page, CR4.SMAP = 1; implicit, so EFLAGS.AC does not count"
            .to_owned()
    } else if access.ac {
        "CR4.SMAP = 1, but EFLAGS.AC = 1 suspends it".to_owned()
    } else {
        "a supervisor access to a user page, CR4.SMAP = 1 and EFLAGS.AC = 0".to_owned()
    }
}

fn protection_key(page: PageRights, access: &Access, registers: &Registers) -> String {
    let key = page.protection_key;
    if access.is_fetch() {
        return "keys do not concern fetches".to_owned();
    }
    if !page.user {
        return "not a user page".to_owned();
    }
    if !registers.lma() {
        return "32-bit paging has no protection keys".to_owned();
    }
    if !registers.pke() {
        return "CR4.PKE = 0".to_owned();
    }
    let (access_bit, write_bit) = (2 * key, 2 * key + 1);
    if access.key_disables_access(key) {
        return format!(
            "the page has key {key}, and PKRU bit {access_bit} forbids all access to it"
        );
    }
    if !access.key_disables_write(key) {
        return format!("the page has key {key}, and PKRU bits {write_bit}:{access_bit} are 0");
    }
    let disabled = format!("the page has key {key}, and PKRU bit {write_bit} forbids writes");
    if access.kind != AccessKind::Write {
        format!("{disabled}, but this is none")
    } else if access.user_mode() || registers.wp() {
        disabled
    } else {
        format!("{disabled}, but CR0.WP = 0 lets supervisor writes pass")
    }
}

/// The bits of an error code, lowest first. `key_denies`: the protection key is among what denies.
pub fn code_bits(code: PageFaultCode, access: &Access, registers: &Registers) -> Vec<CodeBit> {
    let bit = |mask: u32, name, because: &str| CodeBit {
        bit: mask.trailing_zeros(),
        name,
        value: u8::from(code.has(mask)),
        because: because.to_owned(),
    };
    let present = match (code.has(PageFaultCode::P), code.has(PageFaultCode::RSVD)) {
        (false, _) => "an entry is not present",
        (true, true) => "every entry that was met was present",
        (true, false) => "every entry is present: the rights deny",
    };
    let reserved = if code.has(PageFaultCode::RSVD) {
        "an entry has a reserved bit set"
    } else {
        "no reserved bit is the reason"
    };
    let fetch = match (
        access.is_fetch(),
        registers.reports_fetch(),
        registers.lma(),
    ) {
        (false, _, _) => "not a fetch",
        (true, true, true) => "a fetch, told apart because EFER.NXE = 1 or CR4.SMEP = 1",
        (true, false, true) => "a fetch, not told apart: EFER.NXE = 0 and CR4.SMEP = 0",
        (true, true, false) => "a fetch, told apart because CR4.SMEP = 1",
        (true, false, false) => {
            "a fetch, not told apart: CR4.SMEP = 0, and EFER.NXE counts with CR4.PAE = 1 only"
        }
    };
    let key = if code.has(PageFaultCode::PK) {
        "the protection key forbids it"
    } else {
        "the protection key is not a reason"
    };
    let write = if access.is_write() {
        "a write"
    } else {
        "not a write"
    };
    let user = format!("a {} access", privilege(access));
    vec![
        bit(PageFaultCode::P, "P", present),
        bit(PageFaultCode::W, "W/R", write),
        bit(PageFaultCode::U, "U/S", &user),
        bit(PageFaultCode::RSVD, "RSVD", reserved),
        bit(PageFaultCode::I, "I/D", fetch),
        bit(PageFaultCode::PK, "PK", key),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Capabilities;
    use crate::arch::registers::{cr0, cr4, efer};

    /// Every combination of what a rule looks at, with key 1; in 32-bit paging without XD and key.
    fn situations() -> Vec<(PageRights, Access, Registers)> {
        let mut all = Vec::new();
        let capabilities = Capabilities::new(46, true, true).expect("in range");
        for bits in 0..1_u32 << 12 {
            let on = |bit: u32| bits >> bit & 1 != 0;
            let when = |bit, mask| if on(bit) { mask } else { 0 };
            let long = on(11);
            let page = PageRights {
                writable: on(0),
                user: on(1),
                execute_disable: long && on(2),
                protection_key: u8::from(long),
            };
            let (lme, pae) = if long { (efer::LME, cr4::PAE) } else { (0, 0) };
            let cr4 = pae | when(3, cr4::SMEP) | when(4, cr4::SMAP) | when(5, cr4::PKE);
            let registers = Registers::load(
                cr0::PE | cr0::PG | when(6, cr0::WP),
                0,
                cr4,
                lme | when(7, efer::NXE),
                &capabilities,
            )
            .expect("allowed");
            for kind in AccessKind::ALL {
                for (cpl, ac) in [(0, false), (0, true), (3, false), (3, true)] {
                    let access = Access {
                        ac,
                        implicit_supervisor: on(8),
                        pkru: (when(9, 0b0100) | when(10, 0b1000)) as u32,
                        ..Access::new(kind, cpl)
                    };
                    all.push((page, access, registers));
                }
            }
        }
        all
    }

    #[test]
    fn no_reason_serves_both_for_a_rule_that_denies_and_for_one_that_does_not() {
        let mut reasons = std::collections::BTreeMap::new();
        for (page, access, registers) in situations() {
            for rule in rules(page, &access, &registers) {
                let denied = *reasons
                    .entry((rule.name, rule.because.clone()))
                    .or_insert(rule.denies);
                assert_eq!(denied, rule.denies, "{rule:?} of {access:?} to {page}");
            }
        }
        // Each rule has a reason to deny, and one not to.
        for name in ["user mode", "write", "XD", "SMEP", "SMAP", "key"] {
            for denies in [false, true] {
                let has =
                    |((of, _), denied): (&(&str, String), &bool)| *of == name && *denied == denies;
                assert!(reasons.iter().any(has), "{name} {denies}");
            }
        }
    }

    #[test]
    fn the_bits_of_an_error_code_add_up_to_it() {
        for (page, access, registers) in situations() {
            if let Err(code) = rights::judge(page, &access, &registers) {
                let bits = code_bits(code, &access, &registers);
                let sum: u32 = bits.iter().map(|bit| u32::from(bit.value) << bit.bit).sum();
                assert_eq!(sum, code.raw());
            }
        }
    }
}
