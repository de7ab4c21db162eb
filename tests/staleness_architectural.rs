//! The architectural check on hand-made streams: what it must catch, rule by rule, and what it counts.
//!
//! Contract: 3. SDM vol. 3A, 4.6 to 4.8. Counterpart: `staleness_invalidation.rs`, what invalidations do.

use crate::staleness_support::stream::*;
use twinwalk::arch::{AccessKind, PageSize, Registers};
use twinwalk::model::mmu_pkg::*;
use twinwalk::reference::finding::Rule;
use twinwalk::reference::horizon::Reading;
use twinwalk::reference::observer::Store;
use twinwalk::reference::payload;

const READ: AccessKind = AccessKind::Read;
const WRITE: AccessKind = AccessKind::Write;
const OLD: u64 = 0x10_0000;
const NEW: u64 = 0x20_0000;
const ALL: [Reading; 2] = [Reading::Contract, Reading::Manual];

fn four_level(reading: Reading) -> Stream {
    Stream::booted(reading, PML4, PAE | PGE | PCIDE)
}

// What must be caught: links and control.

#[test]
fn a_response_without_a_request_is_caught() {
    let mut stream = four_level(Reading::Manual);
    let mut request = stream.ask(0, user(READ));
    request.id ^= 1;
    breaks(
        stream.answer_translated(&request, OLD, PageSize::Size4K),
        Rule::ResponseId,
    );
}

#[test]
fn a_second_response_to_one_request_is_caught() {
    let mut stream = four_level(Reading::Manual);
    let request = stream.ask(0, user(READ));
    stream
        .answer_translated(&request, OLD, PageSize::Size4K)
        .unwrap();
    breaks(
        stream.answer_translated(&request, OLD, PageSize::Size4K),
        Rule::ResponseId,
    );
}

#[test]
fn a_response_that_changes_while_it_waits_is_caught() {
    let mut stream = four_level(Reading::Manual);
    let request = stream.ask(0, user(READ));
    let response = payload::translated(&request, OLD, PageSize::Size4K, Default::default());
    stream
        .cycle(|_, outputs| outputs.ports[1] = response, &[])
        .unwrap();
    let changed = PortOut {
        resp_pa: OLD + 1,
        ..response
    };
    breaks(
        stream.cycle(|_, outputs| outputs.ports[1] = changed, &[]),
        Rule::ResponseStable,
    );
}

#[test]
fn a_request_accepted_during_a_register_write_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.begin(ControlIn {
        op: CTRL_MOV_CR3,
        data: PML4_2,
        ..ControlIn::default()
    });
    breaks(stream.try_ask(0, user(READ)), Rule::Serialisation);
}

#[test]
fn a_register_write_that_does_not_wait_for_requests_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.ask(0, user(READ));
    stream.begin(ControlIn {
        op: CTRL_MOV_CR3,
        data: PML4_2,
        ..ControlIn::default()
    });
    breaks(stream.end(false), Rule::Serialisation);
}

#[test]
fn a_control_response_without_an_operation_is_caught() {
    let mut stream = four_level(Reading::Manual);
    breaks(stream.end(false), Rule::ControlResponse);
}

#[test]
fn a_wrong_general_protection_of_an_operation_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.begin(ControlIn {
        op: CTRL_INVLPG,
        ..ControlIn::default()
    });
    breaks(stream.end(true), Rule::ControlFault);
}

#[test]
fn a_register_that_shows_a_wrong_value_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.shown = Some(Registers::RESET);
    breaks(stream.cycle(|_, _| {}, &[]), Rule::Registers);
}

#[test]
fn an_answer_that_memory_did_not_hold_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.ask(0, user(READ));
    breaks(
        stream.transaction(MEM_READ, PT, 0, 0, 0xbad),
        Rule::MemoryResponse,
    );
}

#[test]
fn a_transaction_of_an_unknown_operation_is_caught() {
    let mut stream = four_level(Reading::Manual);
    breaks(stream.transaction(3, PT, 0, 0, 0), Rule::MemoryTransaction);
}

// What must be caught: outcomes.

#[test]
fn a_translation_that_no_entry_ever_gave_is_caught() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.read(0x1008, OLD + 0x1000).unwrap();
        breaks(stream.read(0x1000, NEW), Rule::Translation);
    }
}

#[test]
fn a_response_with_a_wrong_memory_type_is_caught() {
    let mut stream = four_level(Reading::Manual);
    let request = stream.ask(0, user(READ));
    let mut response = payload::translated(&request, OLD, PageSize::Size4K, Default::default());
    response.resp_pcd = 1;
    breaks(stream.answer(&request, response), Rule::Translation);
}

#[test]
fn a_translation_of_an_access_that_is_denied_is_caught() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.store(PT, OLD | LEAF & !4);
        stream.control(CTRL_INVLPG, 0);
        breaks(stream.read(0, OLD), Rule::Translation);
    }
}

#[test]
fn a_translation_by_an_entry_whose_accessed_bit_was_never_set_is_caught() {
    for (entry, value) in [
        (PT, OLD | LEAF & !0x20),
        (PD, PT | TABLE & !0x20),
        (PML4, PDPT | TABLE & !0x20),
    ] {
        let mut stream = four_level(Reading::Manual);
        stream.store(entry, value);
        stream.control(CTRL_INVLPG, 0);
        breaks(stream.read(0, OLD), Rule::Translation);
    }
}

#[test]
fn a_write_by_a_leaf_whose_dirty_bit_was_never_set_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.store(PT, OLD | LEAF & !0x40);
    stream.control(CTRL_INVLPG, 0);
    stream.read(0, OLD).unwrap();
    let request = stream.ask(0, user(WRITE));
    breaks(
        stream.answer_translated(&request, OLD, PageSize::Size4K),
        Rule::Translation,
    );
}

#[test]
fn a_page_fault_on_a_page_that_was_present_all_along_is_caught() {
    for reading in ALL {
        let mut stream = four_level(reading);
        let request = stream.ask(0, user(READ));
        breaks(stream.answer_fault(&request, 4), Rule::PageFault);
    }
}

#[test]
fn a_page_fault_on_an_entry_that_became_present_before_the_request_is_caught() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.store(PT, 0);
        stream.store(PT, OLD | LEAF);
        let request = stream.ask(0, user(READ));
        breaks(stream.answer_fault(&request, 4), Rule::PageFault);
    }
}

#[test]
fn a_page_fault_with_a_wrong_error_code_is_caught() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.store(PT, 0);
        let request = stream.ask(0, user(READ));
        breaks(stream.answer_fault(&request, 5), Rule::PageFault);
    }
}

#[test]
fn a_page_fault_that_names_another_address_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.store(PT, 0);
    let request = stream.ask(0, user(READ));
    let mut response = payload::page_fault(&request, twinwalk::arch::PageFaultCode(4));
    response.resp_va = 8;
    breaks(stream.answer(&request, response), Rule::PageFault);
}

#[test]
fn a_denial_by_stale_rights_is_caught_by_the_contract_and_legal_by_the_manual() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.store(PT, OLD | LEAF & !2);
        stream.read(0, OLD).unwrap();
        stream.store(PT, OLD | LEAF);
        let request = stream.ask(0, user(WRITE));
        let result = stream.answer_fault(&request, 7);
        match reading {
            Reading::Contract => breaks(result, Rule::PageFault),
            Reading::Manual => result.unwrap(),
        }
    }
}

#[test]
fn a_second_denial_by_the_same_stale_rights_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.store(PT, OLD | LEAF & !2);
    stream.store(PT, OLD | LEAF);
    let request = stream.ask(0, user(WRITE));
    stream.answer_fault(&request, 7).unwrap();
    let request = stream.ask(0, user(WRITE));
    breaks(stream.answer_fault(&request, 7), Rule::PageFault);
}

#[test]
fn a_fault_below_a_stale_table_is_caught_by_the_contract_and_legal_by_the_manual() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.store(PD, PT_2 | TABLE);
        stream.store(PT, 0);
        let request = stream.ask(0, user(READ));
        let result = stream.answer_fault(&request, 4);
        match reading {
            Reading::Contract => breaks(result, Rule::PageFault),
            Reading::Manual => result.unwrap(),
        }
    }
}

#[test]
fn a_fault_below_a_table_that_no_cache_keeps_is_caught() {
    for reading in ALL {
        for by_address in [false, true] {
            let mut stream = four_level(reading);
            stream.store(PD, PT_2 | TABLE);
            stream.store(PT, 0);
            if by_address {
                stream.invpcid(0, 0, 0);
            } else {
                stream.control(CTRL_INVLPG, 0x7000);
            }
            let request = stream.ask(0, user(READ));
            breaks(stream.answer_fault(&request, 4), Rule::PageFault);
        }
    }
}

#[test]
fn a_fault_below_a_table_without_accessed_is_caught_by_the_contract_and_legal_by_the_manual() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.store(PD, PT | TABLE & !0x20);
        stream.store(PT, 0);
        let request = stream.ask(0, user(READ));
        let result = stream.answer_fault(&request, 4);
        match reading {
            Reading::Contract => breaks(result, Rule::PageFault),
            Reading::Manual => result.unwrap(),
        }
    }
}

#[test]
fn general_protection_of_a_canonical_address_is_caught() {
    let mut stream = four_level(Reading::Manual);
    let request = stream.ask(0, user(READ));
    let response = PortOut {
        resp_valid: 1,
        resp_id: request.id,
        resp_status: STATUS_GENERAL_PROTECTION,
        ..PortOut::default()
    };
    breaks(stream.answer(&request, response), Rule::GeneralProtection);
}

#[test]
fn a_translation_of_an_address_that_is_not_canonical_is_caught() {
    let mut stream = four_level(Reading::Manual);
    breaks(stream.read(1 << 47, OLD), Rule::Translation);
}

#[test]
fn a_bus_error_inside_memory_is_caught() {
    let mut stream = four_level(Reading::Manual);
    let request = stream.ask(0, user(READ));
    breaks(
        stream.answer(&request, payload::bus_error(&request)),
        Rule::BusError,
    );
}

#[test]
fn a_table_outside_memory_is_a_bus_error_and_nothing_else() {
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.store(PD, 0x100_0000 | TABLE);
        stream.control(CTRL_INVLPG, 0);
        let request = stream.ask(0, user(READ));
        stream
            .answer(&request, payload::bus_error(&request))
            .unwrap();
        let request = stream.ask(0, user(READ));
        breaks(stream.answer_fault(&request, 4), Rule::PageFault);
    }
}

#[test]
fn a_bus_error_in_the_tables_of_another_pcid_is_caught() {
    for (reading, keep) in [
        (Reading::Contract, 0),
        (Reading::Manual, 0),
        (Reading::Manual, 1 << 63),
    ] {
        let mut stream = Stream::booted(reading, PML4 | 1, PAE | PGE | PCIDE);
        stream.store(PD, 0x100_0000 | TABLE);
        stream.control(CTRL_MOV_CR3, PML4_2 | 2 | keep);
        let request = stream.ask(0, user(READ));
        breaks(
            stream.answer(&request, payload::bus_error(&request)),
            Rule::BusError,
        );
    }
}

#[test]
fn paging_off_passes_the_address_on() {
    let mut stream = Stream::new(Reading::Manual, tables());
    let request = stream.ask(0x1_2345_6789, user(READ));
    stream
        .answer_translated(&request, 0x2345_6789, PageSize::Size4K)
        .unwrap();
    let request = stream.ask(0, user(READ));
    breaks(
        stream.answer_translated(&request, OLD, PageSize::Size4K),
        Rule::Translation,
    );
}

// What must be caught: updates of entries.

#[test]
fn an_update_that_brings_an_old_value_back_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.store(PT, NEW | LEAF & !0x60);
    stream.ask(0, user(READ));
    let result = stream.transaction(MEM_WRITE, PT, 0, OLD | LEAF, 0);
    breaks(result, Rule::EntryUpdate);
}

#[test]
fn an_update_that_clears_a_bit_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.ask(0, user(READ));
    breaks(
        stream.update(PT, OLD | LEAF, OLD | LEAF & !0x40),
        Rule::EntryUpdate,
    );
}

#[test]
fn an_update_that_sets_another_bit_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.store(PT, OLD | LEAF & !0x22);
    stream.ask(0, user(READ));
    breaks(
        stream.update(PT, OLD | LEAF & !0x22, OLD | LEAF),
        Rule::EntryUpdate,
    );
}

#[test]
fn an_update_below_a_table_that_no_cache_keeps_is_caught() {
    for reading in ALL {
        let clean = OLD | LEAF & !0x60;
        let mut stream = four_level(reading);
        stream.store(PT, clean);
        stream.store(PD, PT_2 | TABLE);
        stream.control(CTRL_INVLPG, 0x7000);
        stream.ask(0, user(READ));
        breaks(
            stream.update(PT, clean, clean | 0x20),
            Rule::EntryUpdateOwner,
        );
    }
}

#[test]
fn an_update_without_a_request_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.store(PT, OLD | LEAF & !0x60);
    breaks(
        stream.update(PT, OLD | LEAF & !0x60, OLD | LEAF & !0x40),
        Rule::EntryUpdateOwner,
    );
}

#[test]
fn an_update_of_an_entry_that_no_request_comes_by_is_caught() {
    let mut stream = four_level(Reading::Manual);
    stream.store(PT + 8, OLD | LEAF & !0x60);
    stream.ask(0, user(READ));
    breaks(
        stream.update(PT + 8, OLD | LEAF & !0x60, OLD | LEAF & !0x40),
        Rule::EntryUpdateOwner,
    );
}

#[test]
fn dirty_for_a_read_or_in_a_table_is_caught() {
    let clean = OLD | LEAF & !0x60;
    let mut stream = four_level(Reading::Manual);
    stream.store(PT, clean);
    stream.ask(0, user(READ));
    breaks(
        stream.update(PT, clean, clean | 0x60),
        Rule::EntryUpdateOwner,
    );
    let mut stream = four_level(Reading::Manual);
    stream.ask(0, user(WRITE));
    breaks(
        stream.update(PD, PT | TABLE, PT | TABLE | 0x40),
        Rule::EntryUpdateOwner,
    );
}

#[test]
fn dirty_for_a_write_that_is_denied_is_caught() {
    for reading in ALL {
        let clean = OLD | LEAF & !0x62;
        let mut stream = four_level(reading);
        stream.store(PT, clean);
        stream.control(CTRL_INVLPG, 0);
        stream.ask(0, user(WRITE));
        breaks(
            stream.update(PT, clean, clean | 0x60),
            Rule::EntryUpdateOwner,
        );
    }
}

#[test]
fn accessed_for_an_access_that_is_denied_is_caught_by_the_contract_and_legal_by_the_manual() {
    for reading in ALL {
        let clean = OLD | LEAF & !0x62;
        let mut stream = four_level(reading);
        stream.store(PT, clean);
        stream.control(CTRL_INVLPG, 0);
        stream.ask(0, user(WRITE));
        let result = stream.update(PT, clean, clean | 0x20);
        match reading {
            Reading::Contract => breaks(result, Rule::EntryUpdateOwner),
            Reading::Manual => result.unwrap(),
        }
    }
}

#[test]
fn an_update_of_an_entry_with_a_reserved_bit_or_not_present_is_caught() {
    for value in [OLD | LEAF & !0x60 | 1 << 51, OLD | LEAF & !0x61] {
        let mut stream = four_level(Reading::Manual);
        stream.store(PT, value);
        stream.control(CTRL_INVLPG, 0);
        stream.ask(0, user(READ));
        breaks(
            stream.update(PT, value, value | 0x20),
            Rule::EntryUpdateOwner,
        );
    }
}

#[test]
fn an_update_by_the_rule_is_legal() {
    let clean = OLD | LEAF & !0x60;
    for reading in ALL {
        let mut stream = four_level(reading);
        stream.store(PT, clean);
        stream.store(PD, PT | TABLE & !0x20);
        stream.control(CTRL_INVLPG, 0);
        let request = stream.ask(0, user(WRITE));
        stream.update(PD, PT | TABLE & !0x20, PT | TABLE).unwrap();
        stream.update(PT, clean, clean | 0x60).unwrap();
        stream
            .answer_translated(&request, OLD, PageSize::Size4K)
            .unwrap();
        assert_eq!(stream.figures().entry_updates, 2);
    }
}

// What is counted.

#[test]
fn one_legal_outcome_and_staleness_are_counted() {
    let mut stream = four_level(Reading::Contract);
    stream.read(0, OLD).unwrap();
    assert_eq!(
        (
            stream.figures().single_outcome,
            stream.figures().stale_observed
        ),
        (1, 0)
    );
    stream.store(PT, NEW | LEAF);
    stream.read(0, OLD).unwrap();
    assert_eq!(
        (
            stream.figures().single_outcome,
            stream.figures().stale_observed
        ),
        (1, 1)
    );
    stream.control(CTRL_INVLPG, 0);
    stream.read(0, NEW).unwrap();
    let figures = stream.figures();
    assert_eq!(
        (
            figures.responses,
            figures.single_outcome,
            figures.stale_observed,
            figures.unjudged
        ),
        (3, 2, 1, 0)
    );
}

/// The last entry of the root names the root: the walk of the last address reads it four times, each time at another level.
#[test]
fn a_table_that_stands_below_itself_is_followed_at_each_level() {
    for reading in ALL {
        let mut words = tables();
        words.push((PML4 + 8 * 511, PML4 | TABLE));
        let mut stream = Stream::new(reading, words);
        stream.boot(PML4, PAE);
        stream.read(u64::MAX << 12, PML4).unwrap();
        stream.read(u64::MAX << 12 ^ 511 << 12, PDPT).unwrap();
        breaks(stream.read(u64::MAX << 12, PDPT), Rule::Translation);
    }
}

#[test]
fn reset_forgets_everything_but_memory() {
    let mut stream = four_level(Reading::Contract);
    stream.ask(0, user(READ));
    stream.store(PT, NEW | LEAF);
    stream
        .cycle(
            |inputs, _| inputs.rst_n = 0,
            &[Store {
                address: PT + 8,
                value: 0,
            }],
        )
        .unwrap();
    stream.boot(PML4, PAE);
    stream.read(0, NEW).unwrap();
    breaks(stream.read(0, OLD), Rule::Translation);
}
