//! Tests of control operations, one by one: each #GP, each flush. `control_table` has them all at once.
//!
//! Contract: 9.3. SDM vol. 3A, 2.5, 4.10.4.1. Counterpart: none.

use x86_64::registers::control::{Cr0Flags, Cr4Flags};
use x86_64::registers::model_specific::EferFlags;

use crate::arch::registers::{CR3_NO_FLUSH, cr0, cr4, efer};
use crate::arch::{
    Capabilities, GeneralProtection, Invalidation, InvpcidDescriptor, PagingMode, Pcid, Registers,
    VirtualAddress,
};

pub(super) fn machine() -> Capabilities {
    Capabilities::new(40, true, true).expect("a width in range")
}

pub(super) const PAGING: u64 = cr0::PG | cr0::PE;

/// 4-level paging, with `cr3` and further bits of CR4.
fn paging(cr3: u64, more_cr4: u64) -> Registers {
    Registers::load(PAGING, cr3, cr4::PAE | more_cr4, efer::LME, &machine()).expect("legal values")
}

/// 32-bit paging, with bits of CR4.
fn narrow(cr4: u64) -> Registers {
    Registers::load(PAGING, 0x1_2345_6018, cr4, 0, &machine()).expect("legal values")
}

#[test]
fn paging_without_lme_and_pae_is_32_bit_paging() {
    let registers = narrow(cr4::LA57 | cr4::PKE);
    assert_eq!(registers.paging_mode(), PagingMode::TwoLevel);
    assert_eq!(registers.root_table().raw(), 0x2345_6000);
    assert!(!registers.protection_keys() && paging(0, cr4::PKE).protection_keys());
    assert_eq!(
        registers.invlpg(0xdead_beef_0040_1000),
        Invalidation::Page {
            va: VirtualAddress::new(0x40_1000, PagingMode::TwoLevel),
            pcid: Pcid::ZERO,
            globals: true
        }
    );
}

#[test]
fn in_32_bit_paging_a_change_of_pse_flushes_everything_and_nxe_names_no_fetch() {
    let mut registers = narrow(0);
    for pse in [cr4::PSE, 0] {
        let flush = registers.write_cr4(pse, &machine());
        assert_eq!(flush, Ok(Invalidation::All));
    }
    let mut wide = paging(0, 0);
    let flush = wide.write_cr4(cr4::PAE | cr4::PSE, &machine());
    assert_eq!(flush, Ok(Invalidation::None));
    assert_eq!(registers.write_efer(efer::NXE), Ok(Invalidation::All));
    assert!(!registers.reports_fetch());
    assert_eq!(
        registers.write_cr4(cr4::SMEP, &machine()).ok(),
        Some(context(0, true))
    );
    assert!(registers.reports_fetch());
}

#[test]
fn invpcid_checks_an_address_by_la57_in_32_bit_paging_too() {
    let registers = narrow(0);
    let at = |address| InvpcidDescriptor {
        context: 0,
        address,
    };
    let refused = registers.invpcid(0, &at(1 << 47));
    assert_eq!(refused, Err(GeneralProtection::InvpcidNonCanonical));
    let page = registers.invpcid(0, &at(!0 << 32 | 0x7000));
    assert_eq!(
        page,
        Ok(Invalidation::Page {
            va: VirtualAddress::new(0x7000, PagingMode::TwoLevel),
            pcid: Pcid::ZERO,
            globals: false
        })
    );
}

pub(super) fn context(pcid: u64, globals: bool) -> Invalidation {
    let pcid = Pcid::new_truncate(pcid);
    Invalidation::Context { pcid, globals }
}

#[test]
fn after_reset_everything_is_zero_and_paging_is_off() {
    let registers = Registers::RESET;
    assert_eq!(registers, Registers::default());
    let all = [
        registers.cr0(),
        registers.cr3(),
        registers.cr4(),
        registers.efer(),
    ];
    assert_eq!(all, [0; 4]);
    assert_eq!(registers.paging_mode(), PagingMode::Off);
    assert_eq!(registers.current_pcid(), Pcid::ZERO);
}

#[test]
fn bits_stand_where_the_crate_x86_64_has_them() {
    let bits = [
        (cr0::PE, Cr0Flags::PROTECTED_MODE_ENABLE.bits()),
        (cr0::WP, Cr0Flags::WRITE_PROTECT.bits()),
        (cr0::PG, Cr0Flags::PAGING.bits()),
        (cr4::PSE, Cr4Flags::PAGE_SIZE_EXTENSION.bits()),
        (cr4::PAE, Cr4Flags::PHYSICAL_ADDRESS_EXTENSION.bits()),
        (cr4::PGE, Cr4Flags::PAGE_GLOBAL.bits()),
        (cr4::LA57, Cr4Flags::L5_PAGING.bits()),
        (cr4::PCIDE, Cr4Flags::PCID.bits()),
        (
            cr4::SMEP,
            Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION.bits(),
        ),
        (
            cr4::SMAP,
            Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION.bits(),
        ),
        (cr4::PKE, Cr4Flags::PROTECTION_KEY_USER.bits()),
        (efer::LME, EferFlags::LONG_MODE_ENABLE.bits()),
        (efer::LMA, EferFlags::LONG_MODE_ACTIVE.bits()),
        (efer::NXE, EferFlags::NO_EXECUTE_ENABLE.bits()),
    ];
    for (ours, theirs) in bits {
        assert_eq!(ours, theirs);
    }
}

#[test]
fn bits_that_do_not_exist_are_ignored_and_read_as_zero() {
    let mut registers = paging(0, 0);
    let all = 0xffff_ffff;
    assert_eq!(registers.write_cr0(all), Ok(Invalidation::None));
    assert_eq!(registers.cr0(), cr0::EXISTING);
    assert_eq!(
        registers.write_cr4(all & !cr4::LA57, &machine()),
        Ok(Invalidation::All)
    );
    assert_eq!(registers.cr4(), cr4::EXISTING & !cr4::LA57);
    assert_eq!(registers.write_efer(all), Ok(Invalidation::All));
    assert_eq!(registers.efer(), efer::LME | efer::LMA | efer::NXE);
}

#[test]
fn lma_is_paging_and_lme_and_is_not_written() {
    let mut registers = Registers::RESET;
    assert_eq!(
        registers.write_efer(efer::LMA | efer::LME),
        Ok(Invalidation::None)
    );
    assert_eq!(registers.efer(), efer::LME);
    assert_eq!(
        registers.write_cr4(cr4::PAE, &machine()),
        Ok(Invalidation::None)
    );
    assert_eq!(registers.write_cr0(PAGING), Ok(Invalidation::None));
    assert_eq!(registers.efer(), efer::LME | efer::LMA);
    assert_eq!(registers.write_cr0(cr0::PE), Ok(Invalidation::All));
    assert_eq!(registers.efer(), efer::LME);
}

/// A write that must be refused: the state before, the write, and why.
type Refusal = (
    Registers,
    fn(&mut Registers) -> Result<Invalidation, GeneralProtection>,
    GeneralProtection,
);

#[test]
fn every_refused_write_raises_gp_and_changes_nothing() {
    use GeneralProtection as Gp;
    let off = Registers::RESET;
    let on = || paging(0, 0);
    let refusals: [Refusal; 20] = [
        (off, |r| r.write_cr0(1 << 32), Gp::UpperHalf),
        (off, |r| r.write_cr0(cr0::PG), Gp::PagingWithoutProtection),
        (on(), |r| r.write_cr0(cr0::PG), Gp::PagingWithoutProtection),
        (lme_only(), |r| r.write_cr0(PAGING), Gp::UnsupportedPaging),
        (pae_only(), |r| r.write_cr0(PAGING), Gp::UnsupportedPaging),
        (
            paging(0, cr4::PCIDE),
            |r| r.write_cr0(cr0::PE),
            Gp::PagingOffWithPcide,
        ),
        (on(), |r| r.write_cr3(1 << 40, &machine()), Gp::Cr3Reserved),
        (off, |r| r.write_cr3(1 << 51, &machine()), Gp::Cr3Reserved),
        (
            on(),
            |r| r.write_cr3(CR3_NO_FLUSH, &machine()),
            Gp::Cr3Reserved,
        ),
        (
            paging(0, cr4::PCIDE),
            |r| r.write_cr3(CR3_NO_FLUSH | 1 << 62, &machine()),
            Gp::Cr3Reserved,
        ),
        (off, |r| r.write_cr4(1 << 63, &machine()), Gp::UpperHalf),
        (
            on(),
            |r| r.write_cr4(cr4::PAE | cr4::LA57, &machine()),
            Gp::La57Change,
        ),
        (
            paging(0, cr4::LA57),
            |r| r.write_cr4(cr4::PAE, &machine()),
            Gp::La57Change,
        ),
        (
            off,
            |r| r.write_cr4(cr4::LA57, &four_level_only()),
            Gp::La57Unsupported,
        ),
        (on(), |r| r.write_cr4(0, &machine()), Gp::PaeChange),
        (
            narrow(0),
            |r| r.write_cr4(cr4::PAE, &machine()),
            Gp::PaeChange,
        ),
        (narrow(0), |r| r.write_efer(efer::LME), Gp::LmeChange),
        (
            off,
            |r| r.write_cr4(cr4::PCIDE, &machine()),
            Gp::PcideOutsideLongMode,
        ),
        (
            paging(0x800, 0),
            |r| r.write_cr4(cr4::PAE | cr4::PCIDE, &machine()),
            Gp::PcideWithCr3Low,
        ),
        (on(), |r| r.write_efer(efer::NXE), Gp::LmeChange),
    ];
    for (index, (before, write, reason)) in refusals.into_iter().enumerate() {
        let mut registers = before;
        assert_eq!(write(&mut registers), Err(reason), "refusal {index}");
        assert_eq!(registers, before, "refusal {index}");
    }
    let mut registers = off;
    assert_eq!(registers.write_efer(1 << 32), Err(Gp::UpperHalf));
}

fn four_level_only() -> Capabilities {
    Capabilities {
        five_level: false,
        ..machine()
    }
}

fn lme_only() -> Registers {
    Registers::load(cr0::PE, 0, 0, efer::LME, &machine()).expect("legal values")
}

fn pae_only() -> Registers {
    Registers::load(cr0::PE, 0, cr4::PAE, 0, &machine()).expect("legal values")
}

#[test]
fn load_refuses_what_no_sequence_of_writes_reaches() {
    let refused = Registers::load(PAGING, 0, cr4::PAE, 0, &machine());
    assert_eq!(refused, Err(GeneralProtection::UnsupportedPaging));
    let refused = Registers::load(0, 0, cr4::PCIDE, 0, &machine());
    assert_eq!(refused, Err(GeneralProtection::PcideOutsideLongMode));
    let five = Registers::load(PAGING, 0, cr4::PAE | cr4::LA57, efer::LME, &machine());
    assert_eq!(
        five.map(|registers| registers.paging_mode()),
        Ok(PagingMode::FiveLevel)
    );
}

#[test]
fn cr0_flushes_only_where_paging_ends() {
    let mut registers = paging(0, 0);
    assert_eq!(
        registers.write_cr0(PAGING | cr0::WP),
        Ok(Invalidation::None)
    );
    assert_eq!(registers.write_cr0(cr0::PE), Ok(Invalidation::All));
    assert_eq!(registers.write_cr0(PAGING), Ok(Invalidation::None));
}

#[test]
fn cr3_without_pcids_flushes_pcid_0_whatever_its_low_bits() {
    let mut registers = paging(0, 0);
    assert_eq!(
        registers.write_cr3(0x1_2345_6fff, &machine()),
        Ok(context(0, false))
    );
    assert_eq!(registers.cr3(), 0x1_2345_6fff);
    assert_eq!(registers.root_table().raw(), 0x1_2345_6000);
    assert_eq!(registers.current_pcid(), Pcid::ZERO);
}

#[test]
fn cr3_with_pcids_flushes_the_new_pcid_unless_bit_63_is_set() {
    let mut registers = paging(0, cr4::PCIDE);
    assert_eq!(
        registers.write_cr3(0x5123, &machine()),
        Ok(context(0x123, false))
    );
    assert_eq!(
        registers.write_cr3(CR3_NO_FLUSH | 0x6fff, &machine()),
        Ok(Invalidation::None)
    );
    assert_eq!(registers.cr3(), 0x6fff, "bit 63 is not stored");
    assert_eq!(registers.current_pcid().raw(), 0xfff);
    assert_eq!(registers.root_table().raw(), 0x6000);
}

#[test]
fn cr4_flushes_everything_where_pge_changes_or_pcids_end() {
    let mut registers = paging(0, 0);
    for pge in [cr4::PGE, 0] {
        let flush = registers.write_cr4(cr4::PAE | pge, &machine());
        assert_eq!(flush, Ok(Invalidation::All));
    }
    let flush = registers.write_cr4(cr4::PAE | cr4::PCIDE, &machine());
    assert_eq!(flush, Ok(Invalidation::None));
    let flush = registers.write_cr4(cr4::PAE | cr4::SMEP, &machine());
    assert_eq!(flush, Ok(Invalidation::All), "not only what SMEP asks for");
}

#[test]
fn smep_flushes_the_current_pcid_and_globals_where_it_becomes_1() {
    let mut registers = paging(0x7045, cr4::PCIDE);
    let smep = cr4::PAE | cr4::PCIDE | cr4::SMEP;
    assert_eq!(
        registers.write_cr4(smep, &machine()),
        Ok(context(0x45, true))
    );
    assert_eq!(
        registers.write_cr4(smep, &machine()),
        Ok(Invalidation::None)
    );
    let without = cr4::PAE | cr4::PCIDE;
    assert_eq!(
        registers.write_cr4(without, &machine()),
        Ok(Invalidation::None)
    );
}

#[test]
fn smap_pke_and_pse_flush_nothing() {
    let mut registers = paging(0, 0);
    for bits in [cr4::SMAP, cr4::PKE, cr4::PSE] {
        assert_eq!(
            registers.write_cr4(cr4::PAE | bits, &machine()),
            Ok(Invalidation::None)
        );
    }
}

#[test]
fn efer_flushes_everything_where_nxe_changes() {
    let mut registers = paging(0, 0);
    for (value, flush) in [
        (efer::LME | efer::NXE, Invalidation::All),
        (efer::LME | efer::NXE, Invalidation::None),
        (efer::LME, Invalidation::All),
    ] {
        assert_eq!(registers.write_efer(value), Ok(flush));
    }
}

#[test]
fn invlpg_names_the_page_in_the_current_pcid_and_globals() {
    let registers = paging(0x45, cr4::PCIDE);
    let va = VirtualAddress::new(0x1234_5678, PagingMode::FourLevel);
    let pcid = Pcid::new_truncate(0x45);
    let page = Invalidation::Page {
        va,
        pcid,
        globals: true,
    };
    assert_eq!(registers.invlpg(0x1234_5678), page);
}

#[test]
fn invlpg_of_an_address_that_is_not_canonical_does_nothing_also_with_paging_off() {
    for registers in [Registers::RESET, paging(0, 0)] {
        assert!(registers.invlpg(1 << 47).is_none());
    }
    for registers in [paging(0, cr4::LA57), la57_without_paging()] {
        assert!(!registers.invlpg(1 << 47).is_none());
        assert!(registers.invlpg(1 << 56).is_none());
    }
}

fn la57_without_paging() -> Registers {
    Registers::load(0, 0, cr4::LA57, 0, &machine()).expect("legal values")
}

fn descriptor(context: u64, address: u64) -> InvpcidDescriptor {
    InvpcidDescriptor { context, address }
}

#[test]
fn invpcid_of_each_type_removes_what_it_names() {
    let registers = paging(0x45, cr4::PCIDE);
    let pcid = Pcid::new_truncate(0x9ab);
    let va = VirtualAddress::new(0x7000, PagingMode::FourLevel);
    let names = descriptor(0x9ab, 0x7000);
    let page = Invalidation::Page {
        va,
        pcid,
        globals: false,
    };
    assert_eq!(registers.invpcid(0, &names), Ok(page));
    assert_eq!(registers.invpcid(1, &names), Ok(context(0x9ab, false)));
    assert_eq!(registers.invpcid(2, &names), Ok(Invalidation::All));
    assert_eq!(registers.invpcid(3, &names), Ok(Invalidation::AllNonGlobal));
}

#[test]
fn invpcid_is_refused_where_the_manual_refuses_it() {
    use GeneralProtection as Gp;
    let with = paging(0, cr4::PCIDE);
    let without = paging(0, 0);
    let bad_address = descriptor(0, 1 << 47);
    for kind in 0..4 {
        let high = with.invpcid(kind, &descriptor(1 << 12, 0));
        assert_eq!(high, Err(Gp::InvpcidReserved), "type {kind}");
        let pcid = without.invpcid(kind, &descriptor(1, 0));
        let address = with.invpcid(kind, &bad_address);
        assert_eq!(
            pcid.err(),
            (kind < 2).then_some(Gp::InvpcidPcid),
            "type {kind}"
        );
        assert_eq!(
            address.err(),
            (kind == 0).then_some(Gp::InvpcidNonCanonical),
            "type {kind}"
        );
    }
    for kind in [4, 1 << 32, u64::MAX] {
        assert_eq!(with.invpcid(kind, &descriptor(0, 0)), Err(Gp::InvpcidType));
    }
}
