//! Tests of writes to control registers against the contract's table read row by row: every write in every state, and random sequences.
//!
//! Contract: 9.3. SDM vol. 3A, 2.5, 4.10.4.1. Counterpart: none.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::any_capabilities;
use super::registers::{PAGING, context, machine};
use crate::arch::registers::{CR3_NO_FLUSH, cr0, cr4, efer};
use crate::arch::{Capabilities, Invalidation, Registers};

/// A write to a register.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Cr0(u64),
    Cr3(u64),
    Cr4(u64),
    Efer(u64),
}

/// Values that are mostly legal, so that a sequence comes far.
fn any_operation() -> impl Strategy<Value = Operation> {
    let rarely_more =
        prop_oneof![12 => Just(0u64), 1 => any::<u64>(), 1 => (0..64u32).prop_map(|at| 1 << at)];
    let bits = (any::<u64>(), rarely_more);
    prop_oneof![
        bits.clone().prop_map(|(choice, more)| {
            let paging = if choice & 6 != 0 { PAGING } else { cr0::PE };
            Operation::Cr0(paging | choice & cr0::WP | more)
        }),
        bits.clone().prop_map(|(choice, more)| {
            let low = if choice >> 62 == 0 { 0 } else { 0xfff };
            let no_flush = if choice & 6 == 0 { CR3_NO_FLUSH } else { 0 };
            Operation::Cr3(choice & (0xf_ffff_f000 | low) | no_flush | more)
        }),
        bits.clone().prop_map(|(choice, more)| {
            let mostly = if choice & 3 != 0 { cr4::PAE } else { 0 };
            Operation::Cr4(choice & cr4::EXISTING & choice >> 13 | mostly | more)
        }),
        bits.prop_map(|(choice, more)| {
            let mostly = if choice & 3 != 0 { efer::LME } else { 0 };
            Operation::Efer(choice & efer::NXE | mostly | more)
        }),
    ]
}

/// The contract's table read row by row: the registers after, and the flush; `None` is #GP.
fn by_the_table(
    before: &Registers,
    operation: Operation,
    capabilities: &Capabilities,
) -> Option<([u64; 4], Invalidation)> {
    let has = |value: u64, position: u32| value >> position & 1 == 1;
    let (cr0, cr3, cr4) = (before.cr0(), before.cr3(), before.cr4());
    let efer = before.efer();
    let lma = has(efer, 10);
    let pcide = has(cr4, 17);
    let current = if pcide { cr3 & 0xfff } else { 0 };
    let with_lma =
        |cr0: u64, efer: u64| efer & 0x900 | u64::from(has(cr0, 31) && has(efer, 8)) << 10;
    match operation {
        Operation::Cr0(new) => {
            let starts = has(new, 31) && !has(cr0, 31);
            let ends = !has(new, 31) && has(cr0, 31);
            let refused = new >> 32 != 0
                || has(new, 31) && !has(new, 0)
                || starts && has(efer, 8) != has(cr4, 5)
                || ends && pcide;
            let flush = if ends {
                Invalidation::All
            } else {
                Invalidation::None
            };
            let new = new & 0x8001_0001;
            (!refused).then(|| ([new, cr3, cr4, with_lma(new, efer)], flush))
        }
        Operation::Cr3(new) => {
            let checked = if pcide { new & !(1 << 63) } else { new };
            let refused = checked >> capabilities.maxphyaddr.bits() != 0;
            let flush = match (pcide, has(new, 63)) {
                (false, _) => context(0, false),
                (true, false) => context(new & 0xfff, false),
                (true, true) => Invalidation::None,
            };
            (!refused).then_some(([cr0, checked, cr4, efer], flush))
        }
        Operation::Cr4(new) => {
            let changes = |position| has(new, position) != has(cr4, position);
            let rises = |position| has(new, position) && !has(cr4, position);
            let falls = |position| !has(new, position) && has(cr4, position);
            let refused = new >> 32 != 0
                || has(new, 12) && !capabilities.five_level
                || changes(12) && lma
                || changes(5) && has(cr0, 31)
                || rises(17) && (!lma || cr3 & 0xfff != 0);
            let narrow = has(cr0, 31) && !lma;
            let flush = if changes(7) || falls(17) || changes(4) && narrow {
                Invalidation::All
            } else if rises(20) {
                context(current, true)
            } else {
                Invalidation::None
            };
            (!refused).then_some(([cr0, cr3, new & 0x0072_10b0, efer], flush))
        }
        Operation::Efer(new) => {
            let refused = new >> 32 != 0 || has(new, 8) != has(efer, 8) && has(cr0, 31);
            let nxe_changes = has(new, 11) != has(efer, 11);
            let flush = if nxe_changes {
                Invalidation::All
            } else {
                Invalidation::None
            };
            (!refused).then(|| ([cr0, cr3, cr4, with_lma(cr0, new)], flush))
        }
    }
}

fn perform(
    registers: &mut Registers,
    operation: Operation,
    capabilities: &Capabilities,
) -> Option<Invalidation> {
    match operation {
        Operation::Cr0(value) => registers.write_cr0(value).ok(),
        Operation::Cr3(value) => registers.write_cr3(value, capabilities).ok(),
        Operation::Cr4(value) => registers.write_cr4(value, capabilities).ok(),
        Operation::Efer(value) => registers.write_efer(value).ok(),
    }
}

fn contents(registers: &Registers) -> [u64; 4] {
    [
        registers.cr0(),
        registers.cr3(),
        registers.cr4(),
        registers.efer(),
    ]
}

/// How a machine performs an operation: `None` is #GP.
type Performer = fn(&mut Registers, Operation, &Capabilities) -> Option<Invalidation>;

/// Every sum of a choice of `bits`.
fn every_choice(bits: &[u64]) -> Vec<u64> {
    bits.iter().fold(vec![0], |choices, bit| {
        let with = choices.iter().map(|choice| choice | bit);
        choices.iter().copied().chain(with).collect()
    })
}

/// Every operation whose value differs in what the table looks at.
fn every_operation() -> Vec<Operation> {
    let cr0 = every_choice(&[cr0::PE, cr0::WP, cr0::PG, 1 << 32]);
    let cr3 = every_choice(&[0x5000, 0x800, 1 << 39, 1 << 40, 1 << 62, CR3_NO_FLUSH]);
    let cr4 = every_choice(&[
        cr4::PAE,
        cr4::PGE,
        cr4::LA57,
        cr4::PCIDE,
        cr4::SMEP,
        1 << 63,
    ]);
    let efer = every_choice(&[efer::LME, efer::NXE, 1 << 32]);
    let mut every = Vec::new();
    every.extend(cr0.into_iter().map(Operation::Cr0));
    every.extend(cr3.into_iter().map(Operation::Cr3));
    every.extend(cr4.into_iter().map(Operation::Cr4));
    every.extend(efer.into_iter().map(Operation::Efer));
    every
}

/// Every state that can be reached with these bits.
fn every_state() -> Vec<Registers> {
    let cr4 = [cr4::PAE, cr4::PGE, cr4::LA57, cr4::PCIDE, cr4::SMEP];
    let mut every = Vec::new();
    for cr0 in [0, PAGING] {
        for cr3 in [0x7000, 0x7045] {
            for cr4 in every_choice(&cr4) {
                for efer in every_choice(&[efer::LME, efer::NXE]) {
                    every.extend(Registers::load(cr0, cr3, cr4, efer, &machine()));
                }
            }
        }
    }
    every
}

/// The first state and operation in which `perform` departs from the contract's table.
fn first_disagreement(perform: Performer) -> Option<(Registers, Operation)> {
    for before in every_state() {
        for operation in every_operation() {
            let mut after = before;
            let flush = perform(&mut after, operation, &machine());
            let got = flush.map(|flush| (contents(&after), flush));
            let unchanged = flush.is_some() || after == before;
            if got != by_the_table(&before, operation, &machine()) || !unchanged {
                return Some((before, operation));
            }
        }
    }
    None
}

#[test]
fn every_write_in_every_state_follows_the_contracts_table() {
    assert!(every_state().len() > 100);
    assert!(first_disagreement(perform).is_none());
}

#[test]
fn every_seeded_mistake_in_a_control_operation_is_noticed() {
    let mistakes: [(&str, Performer); 6] = [
        (
            "SMEP leaves globals",
            |registers, operation, capabilities| match perform(registers, operation, capabilities)?
            {
                Invalidation::Context {
                    pcid,
                    globals: true,
                } => Some(context(pcid.raw().into(), false)),
                flush => Some(flush),
            },
        ),
        (
            "SMEP flushes PCID 0",
            |registers, operation, capabilities| match perform(registers, operation, capabilities)?
            {
                Invalidation::Context { globals: true, .. } => Some(context(0, true)),
                flush => Some(flush),
            },
        ),
        (
            "MOV CR3 flushes the PCID that it leaves",
            |registers, operation, capabilities| {
                let left = registers.current_pcid().raw().into();
                match perform(registers, operation, capabilities)? {
                    Invalidation::Context { globals: false, .. } => Some(context(left, false)),
                    flush => Some(flush),
                }
            },
        ),
        (
            "bit 63 of CR3 flushes",
            |registers, operation, capabilities| {
                let flush = perform(registers, operation, capabilities)?;
                match operation {
                    Operation::Cr3(value) => Some(context(value & 0xfff, false)),
                    _ => Some(flush),
                }
            },
        ),
        (
            "CR4 is written though it is refused",
            |registers, operation, capabilities| {
                let flush = perform(registers, operation, capabilities);
                if flush.is_none() && matches!(operation, Operation::Cr4(_)) {
                    *registers = Registers::RESET;
                }
                flush
            },
        ),
        (
            "a change of NXE flushes nothing",
            |registers, operation, capabilities| {
                let flush = perform(registers, operation, capabilities)?;
                match operation {
                    Operation::Efer(_) => Some(Invalidation::None),
                    _ => Some(flush),
                }
            },
        ),
    ];
    for (name, mistaken) in mistakes {
        assert!(
            first_disagreement(mistaken).is_some(),
            "not noticed: {name}"
        );
    }
}

proptest! {
    #[test]
    fn any_sequence_of_writes_follows_the_contracts_table(
        capabilities in any_capabilities(),
        operations in proptest::collection::vec(any_operation(), 1..60),
    ) {
        let mut registers = Registers::RESET;
        for operation in operations {
            let before = registers;
            let want = by_the_table(&before, operation, &capabilities);
            let flush = perform(&mut registers, operation, &capabilities);
            match want {
                None => prop_assert_eq!((flush, registers), (None, before)),
                Some((values, invalidation)) => {
                    prop_assert_eq!(flush, Some(invalidation));
                    prop_assert_eq!(contents(&registers), values);
                }
            }
            let [cr0, cr3, value, efer] = contents(&registers);
            // Paging without IA-32e mode is 32-bit paging: PAE paging is never entered.
            let pae = registers.paging() && !registers.lma() && value & cr4::PAE != 0;
            prop_assert!(!pae && (!registers.lma() || value & cr4::PAE != 0));
            prop_assert!(!registers.pcide() || registers.lma());
            prop_assert_eq!(cr3 & !capabilities.maxphyaddr.mask(), 0);
            let loaded = Registers::load(cr0, cr3, value, efer, &capabilities);
            prop_assert_eq!(loaded, Ok(registers));
        }
    }
}
