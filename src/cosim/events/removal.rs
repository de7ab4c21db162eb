//! Removals of the monitor, taken apart: sets, and of each the ways that lose what they held.
//!
//! Contract: 10 (op 2). SDM: none. Counterpart: none.

use crate::model::mmu_pkg::ArrayEvent;

/// What a TLB array loses: a row of a sweep, or up to three places of one page, by the kept size. Two places may be one set. Never empty, so
/// that a removal that says of no set what goes is seen too.
pub fn of_tlb(event: &ArrayEvent) -> Vec<(u64, u64)> {
    let first = (u64::from(event.set), event.removed);
    let places = [
        first,
        (event.victim_tag, event.tag),
        (event.victim_data, event.data),
    ];
    let mut shown: Vec<_> = places
        .into_iter()
        .filter(|place| *place != (0, 0))
        .collect();
    if shown.is_empty() {
        shown.push(first);
    }
    shown
}

/// What a paging-structure cache of `ways` ways a set, at least 1, loses: the mask is one of entries, those of set 0 first. Never empty.
pub fn of_psc(event: &ArrayEvent, ways: u32) -> Vec<(u64, u64)> {
    let width = ways.clamp(1, 64);
    let of_set = |set: u32| event.removed >> (set * width) & (u64::MAX >> (64 - width));
    let mut shown: Vec<_> = (0..64 / width)
        .map(|set| (u64::from(set), of_set(set)))
        .filter(|(_, ways)| *ways != 0)
        .collect();
    if shown.is_empty() {
        shown.push((0, 0));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_cache_are_told_apart_by_set_whatever_its_width() {
        let removal = |removed| ArrayEvent {
            removed,
            ..ArrayEvent::default()
        };
        assert_eq!(of_psc(&removal(0b100_000_011), 3), [(0, 3), (2, 4)]);
        assert_eq!(of_psc(&removal(1 << 63), 1), [(63, 1)]);
        assert_eq!(of_psc(&removal(u64::MAX), 64), [(0, u64::MAX)]);
        assert_eq!(of_psc(&removal(1 << 62), 21), [(2, 1 << 20)]);
        assert_eq!(of_psc(&removal(0), 0), [(0, 0)]);
    }

    #[test]
    fn a_place_of_set_0_counts_by_its_mask() {
        let mut event = ArrayEvent {
            data: 4,
            ..ArrayEvent::default()
        };
        assert_eq!(of_tlb(&event), [(0, 4)]);
        (event.victim_tag, event.tag) = (9, 1);
        assert_eq!(of_tlb(&event), [(9, 1), (0, 4)]);
        assert_eq!(of_tlb(&ArrayEvent::default()), [(0, 0)]);
    }
}
