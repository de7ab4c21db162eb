//! What is assumed where a format of traces says less than a machine wants to know. Stated here, once, and told by `trace info` and `run`.
//!
//! Contract: none. SDM vol. 2A, 2.3.11 (an instruction has at most 15 bytes). Counterpart: none.

use super::reference::{MemoryReference, ReferenceKind};
use crate::arch::PageSize;

/// The longest x86 instruction.
pub const LONGEST_INSTRUCTION_BYTES: u64 = 15;
/// The length of an instruction that is not known: about the mean of x86-64 code.
pub const INSTRUCTION_BYTES: u16 = 4;
/// The size of a load or store that is not known: a general register.
pub const DATA_BYTES: u16 = 8;

/// What [`fetch_to`], [`fetch`] and [`data`] assume of ChampSim's instructions.
pub const LENGTHS_FROM_SEQUENCE: &str = "an instruction has the bytes up to the next one where that follows within 15 bytes and no taken branch lies between, else 4, none of them beyond its page";
/// What [`fetch`] assumes.
pub const INSTRUCTIONS_OF_4: &str = "instructions have 4 bytes, none of them beyond their page";
/// What [`data`] assumes.
pub const DATA_OF_8: &str = "loads and stores have 8 bytes, none of them beyond their page";
/// What the reader of perf's text assumes.
pub const LOADS: &str = "a sample of which nothing says that it is a store is a load";

/// An instruction at `address` of unknown length.
pub fn fetch(address: u64) -> Option<MemoryReference> {
    within_page(ReferenceKind::Fetch, address, INSTRUCTION_BYTES)
}

/// An instruction at `address` behind which the one at `next` runs. If that is not the target of a taken branch, and near enough, the
/// instruction lies between; then it may cross a page.
pub fn fetch_to(address: u64, next: u64, branches: bool) -> Option<MemoryReference> {
    let distance = next.wrapping_sub(address);
    if branches || !(1..=LONGEST_INSTRUCTION_BYTES).contains(&distance) {
        return fetch(address);
    }
    MemoryReference::new(ReferenceKind::Fetch, address, distance as u16)
}

/// A load or store at `address` of unknown size.
pub fn data(kind: ReferenceKind, address: u64) -> Option<MemoryReference> {
    within_page(kind, address, DATA_BYTES)
}

/// An assumed size makes no second translation.
fn within_page(kind: ReferenceKind, address: u64, size_bytes: u16) -> Option<MemoryReference> {
    let left = PageSize::Size4K.bytes() - (address & PageSize::Size4K.offset_mask());
    MemoryReference::new(kind, address, left.min(u64::from(size_bytes)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(reference: Option<MemoryReference>) -> u16 {
        reference.expect("a reference").size_bytes()
    }

    #[test]
    fn an_instruction_reaches_to_the_next_unless_a_branch_was_taken() {
        assert_eq!(size(fetch_to(0x1000, 0x1007, false)), 7);
        assert_eq!(size(fetch_to(0x1000, 0x1007, true)), 4);
        assert_eq!(size(fetch_to(0x1000, 0x100f, false)), 15);
        assert_eq!(size(fetch_to(0x1000, 0x1010, false)), 4);
        assert_eq!(size(fetch_to(0x1000, 0x1000, false)), 4);
        assert_eq!(size(fetch_to(0x1000, 0x0ffe, false)), 4);
        assert_eq!(size(fetch_to(0x1ffe, 0x2004, false)), 6);
    }

    #[test]
    fn an_assumed_size_never_crosses_a_page_and_is_never_nothing() {
        assert_eq!(size(fetch(0x1ffe)), 2);
        assert_eq!(size(data(ReferenceKind::Load, 0x1fff)), 1);
        assert_eq!(size(data(ReferenceKind::Store, u64::MAX)), 1);
        assert_eq!(size(data(ReferenceKind::Load, 0x1ff8)), 8);
    }
}
