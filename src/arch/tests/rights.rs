//! Tests of rights: every combination against the manual's paragraphs, with seeded mistakes.
//!
//! Contract: 11. SDM vol. 3A, 4.6, 4.7. Counterpart: none.

use proptest::prelude::{any, prop_assert_eq, proptest};

use crate::arch::access::{Access, AccessKind};
use crate::arch::rights::{Denials, PageRights, denials, judge};
use crate::arch::{Capabilities, Entry, PageFaultCode, Registers};

/// A verdict under test.
type Verdict = fn(PageRights, &Access, &Registers) -> Result<(), PageFaultCode>;

const KEY: u8 = 11;

/// The verdict in the manual's order: who asks, for what, of which page; then the key; then the error code.
fn by_the_manual(
    page: PageRights,
    access: &Access,
    registers: &Registers,
) -> Result<(), PageFaultCode> {
    let user_mode = access.cpl == 3 && !access.implicit_supervisor;
    let wp = registers.cr0() >> 16 & 1 == 1;
    let cr4 = |position: u32| registers.cr4() >> position & 1 == 1;
    let nxe = registers.efer() >> 11 & 1 == 1;
    let (smep, smap, pke) = (cr4(20), cr4(21), cr4(22));
    let smap_binds = smap && (access.implicit_supervisor || !access.ac);
    let allowed = match (user_mode, access.kind) {
        (true, AccessKind::Read) => page.user,
        (true, AccessKind::Write) => page.user && page.writable,
        (true, AccessKind::Fetch) => page.user && !(nxe && page.execute_disable),
        (false, AccessKind::Read) => !page.user || !smap_binds,
        (false, AccessKind::Write) if page.user => !smap_binds && (!wp || page.writable),
        (false, AccessKind::Write) => !wp || page.writable,
        (false, AccessKind::Fetch) if page.user => !(smep || nxe && page.execute_disable),
        (false, AccessKind::Fetch) => !(nxe && page.execute_disable),
    };
    let access_disabled = access.pkru & (1 << (2 * page.protection_key)) != 0;
    let write_disabled = access.pkru & (2 << (2 * page.protection_key)) != 0;
    let key_denies = match access.kind {
        AccessKind::Fetch => false,
        AccessKind::Read => pke && page.user && access_disabled,
        AccessKind::Write => {
            let write_disabled = write_disabled && (user_mode || wp);
            pke && page.user && (access_disabled || write_disabled)
        }
    };
    if allowed && !key_denies {
        return Ok(());
    }
    let fetch = access.kind == AccessKind::Fetch;
    let code = 1
        | u32::from(access.kind == AccessKind::Write) << 1
        | u32::from(user_mode) << 2
        | u32::from(fetch && (nxe || smep)) << 4
        | u32::from(key_denies) << 5;
    Err(PageFaultCode(code))
}

/// Registers in 4-level paging with WP, SMEP, SMAP, PKE and NXE taken from the bits of `choice`.
fn registers(choice: u64) -> Registers {
    let capabilities = Capabilities::new(52, true, true).expect("a width in range");
    let cr0 = 0x8000_0001 | (choice & 1) << 16;
    let cr4 = 0x20 | (choice >> 1 & 7) << 20;
    let efer = 0x100 | (choice >> 4 & 1) << 11;
    Registers::load(cr0, 0, cr4, efer, &capabilities).expect("legal values")
}

fn page(choice: u64) -> PageRights {
    PageRights {
        writable: choice & 1 != 0,
        user: choice & 2 != 0,
        execute_disable: choice & 4 != 0,
        protection_key: KEY,
    }
}

/// Every access that differs in what bears on rights; AD and WD of the page's key, and then those of its neighbours.
fn every_access() -> Vec<Access> {
    let mut every = Vec::new();
    let key_bits = 3 << (2 * KEY);
    for kind in AccessKind::ALL {
        for cpl in 0..4 {
            for choice in 0..32u32 {
                let mut access = Access::new(kind, cpl);
                access.ac = choice & 1 != 0;
                access.implicit_supervisor = choice & 2 != 0;
                access.pkru = (choice >> 2 & 3) << (2 * KEY);
                if choice & 16 != 0 {
                    access.pkru |= !key_bits;
                }
                every.push(access);
            }
        }
    }
    every
}

/// How many of all combinations `verdict` gets otherwise than the manual.
fn disagreements(verdict: Verdict) -> usize {
    let mut count = 0;
    for registers in (0..32).map(registers) {
        for page in (0..8).map(page) {
            for access in every_access() {
                let want = by_the_manual(page, &access, &registers);
                count += usize::from(verdict(page, &access, &registers) != want);
            }
        }
    }
    count
}

#[test]
fn every_combination_is_judged_as_the_manual_says() {
    assert_eq!(disagreements(judge), 0);
}

#[test]
fn every_seeded_mistake_in_judging_is_noticed() {
    let mistakes: [(&str, Verdict); 9] = [
        ("AC helps implicit accesses", |page, access, registers| {
            let mut access = *access;
            if access.implicit_supervisor && access.ac {
                access.implicit_supervisor = false;
                access.cpl = 0;
            }
            judge(page, &access, registers)
        }),
        (
            "an implicit access at CPL 3 is a user-mode one",
            |page, access, registers| {
                let access = Access {
                    implicit_supervisor: false,
                    ..*access
                };
                judge(page, &access, registers)
            },
        ),
        ("CPL 1 is user mode", |page, access, registers| {
            let cpl = if access.cpl == 1 { 3 } else { access.cpl };
            judge(page, &Access { cpl, ..*access }, registers)
        }),
        ("WP binds nobody", |page, access, registers| {
            match judge(page, access, registers) {
                Err(_) if !access.user_mode() && access.is_write() && !page.user => Ok(()),
                other => other,
            }
        }),
        ("keys bind supervisor pages", |page, access, registers| {
            let key_page = PageRights { user: true, ..page };
            let key = denials(key_page, access, registers).contains(Denials::PROTECTION_KEY);
            match judge(page, access, registers) {
                Ok(()) if key => Err(PageFaultCode::denied(access, registers, true)),
                other => other,
            }
        }),
        ("another denial hides the key", |page, access, registers| {
            judge(page, access, registers).map_err(|code| {
                let without = Access { pkru: 0, ..*access };
                match judge(page, &without, registers) {
                    Err(other) => other,
                    Ok(()) => code,
                }
            })
        }),
        (
            "WD binds supervisors without WP",
            |page, access, registers| {
                let wd = access.is_write() && access.key_disables_write(KEY) && page.user;
                match judge(page, access, registers) {
                    Ok(()) if wd && registers.pke() => {
                        Err(PageFaultCode::denied(access, registers, true))
                    }
                    other => other,
                }
            },
        ),
        (
            "I is reported without NXE and SMEP",
            |page, access, registers| {
                judge(page, access, registers).map_err(|code| {
                    let fetch = if access.is_fetch() {
                        PageFaultCode::I
                    } else {
                        0
                    };
                    PageFaultCode(code.raw() | fetch)
                })
            },
        ),
        ("the neighbouring key decides", |page, access, registers| {
            let protection_key = page.protection_key ^ 1;
            judge(
                PageRights {
                    protection_key,
                    ..page
                },
                access,
                registers,
            )
        }),
    ];
    for (name, verdict) in mistakes {
        assert!(disagreements(verdict) > 0, "not noticed: {name}");
    }
}

#[test]
fn every_rule_that_denies_is_told() {
    let mut access = Access::new(AccessKind::Write, 0);
    access.pkru = 2 << (2 * KEY);
    let denied = denials(page(2), &access, &registers(0b01101));
    let reasons: Vec<_> = denied.reasons().collect();
    let want = [
        "write to a read-only page",
        "supervisor data access to a user page under SMAP",
        "the page's protection key forbids it",
    ];
    assert_eq!(reasons, want);
    assert!(denied.contains(Denials::SMAP) && !denied.contains(Denials::SMEP));
}

#[test]
fn rights_are_printed_by_letter() {
    assert_eq!(PageRights::ALL.to_string(), "uwx key 0");
    assert_eq!(page(4).to_string(), "--- key 11");
}

#[test]
fn error_codes_are_laid_out_as_the_crate_x86_64_has_them() {
    use x86_64::structures::idt::PageFaultErrorCode as Theirs;
    let bits = [
        (PageFaultCode::P, Theirs::PROTECTION_VIOLATION),
        (PageFaultCode::W, Theirs::CAUSED_BY_WRITE),
        (PageFaultCode::U, Theirs::USER_MODE),
        (PageFaultCode::RSVD, Theirs::MALFORMED_TABLE),
        (PageFaultCode::I, Theirs::INSTRUCTION_FETCH),
        (PageFaultCode::PK, Theirs::PROTECTION_KEY),
    ];
    for (ours, theirs) in bits {
        assert_eq!(u64::from(ours), theirs.bits());
    }
}

#[test]
fn an_error_code_is_printed_with_the_names_of_its_bits() {
    assert_eq!(PageFaultCode(0x15).to_string(), "0x15 (P U I)");
    assert_eq!(PageFaultCode(0x2b).to_string(), "0x2b (P W RSVD PK)");
    assert_eq!(PageFaultCode(6).to_string(), "0x6 (not-present W U)");
}

proptest! {
    #[test]
    fn rights_of_a_path_are_and_and_or_over_its_entries(path in proptest::collection::vec(any::<u64>(), 1..6)) {
        let (leaf, tables) = path.split_last().expect("a path has an entry");
        let above = tables
            .iter()
            .fold(PageRights::ALL, |rights, raw| rights.through_table(Entry(*raw)));
        let all = path.iter().fold(u64::MAX, |all, raw| all & raw);
        let any = path.iter().fold(0, |any, raw| any | raw);
        let want = PageRights {
            writable: all >> 1 & 1 == 1,
            user: all >> 2 & 1 == 1,
            execute_disable: any >> 63 == 1,
            protection_key: (leaf >> 59 & 15) as u8,
        };
        prop_assert_eq!(above.protection_key, 0);
        prop_assert_eq!(above.through_leaf(Entry(*leaf)), want);
    }
}
