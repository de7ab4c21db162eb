//! Where a page stands, against the words of contract 2.1, taken literally.

use proptest::prelude::*;

use super::literal::stands;
use crate::arch::{AccessKind, PagingMode};
use crate::config::{ArraySpec, Replacement, Serves};
use crate::model::places::{AllPlaces, Modulo};
use crate::model::tlb::page_number;

fn array() -> impl Strategy<Value = ArraySpec> {
    let sets = prop_oneof![1u32..=16, 1u32..=4096];
    let serves = proptest::sample::select(&[Serves::Reads, Serves::Writes, Serves::All][..]);
    (1u8..8, sets, 0u32..3, serves).prop_map(|(sizes, sets, ways, serves)| {
        if ways == 0 {
            return ArraySpec::ABSENT;
        }
        ArraySpec {
            sizes,
            sets,
            ways,
            replacement: Replacement::Lru,
            serves,
        }
    })
}

proptest! {
    #[test]
    fn a_page_stands_where_the_contract_says(
        mut arrays in prop::array::uniform12(array()),
        mode in proptest::sample::select(&[PagingMode::TwoLevel, PagingMode::FourLevel, PagingMode::FiveLevel][..]),
        addresses in prop::collection::vec(any::<u64>(), 20),
    ) {
        // The DTLB alone has arrays that do not serve all.
        for array in &mut arrays[..4] {
            array.serves = Serves::All;
        }
        for array in &mut arrays[8..] {
            array.serves = Serves::All;
        }
        let all = AllPlaces::new(&arrays, mode);
        let (shifts, spare): (&[u32], u32) = match mode {
            PagingMode::TwoLevel => (&[12, 22], 32),
            PagingMode::FourLevel => (&[12, 21, 30], 16),
            _ => (&[12, 21, 30], 7),
        };
        for address in addresses {
            let va = match mode {
                PagingMode::TwoLevel => address >> spare,
                _ => ((address << spare) as i64 >> spare) as u64,
            };
            for (level, access, kind) in [
                (0, AccessKind::Fetch, Serves::All),
                (1, AccessKind::Read, Serves::Reads),
                (1, AccessKind::Write, Serves::Writes),
                (2, AccessKind::Fetch, Serves::All),
                (2, AccessKind::Read, Serves::All),
                (2, AccessKind::Write, Serves::All),
            ] {
                let own = &arrays[4 * level..4 * level + 4];
                let places = all.of(level, access);
                for z in 0..shifts.len() {
                    let size = mode.array_page_sizes()[z];
                    let found = places.of_size(size).map(|place| {
                        prop_assert_eq!(shifts[place.size.array_index()], place.size.shift());
                        let (array, set) = place.of(page_number(va) & place.page_mask);
                        Ok((place.size.array_index(), array, set))
                    });
                    let expected = stands(own, kind, shifts, z, va)
                        .map(|(k, array, set)| (k, 4 * level + array, set));
                    prop_assert_eq!(found.transpose()?, expected);
                    let whole = places.of_kept_size(size).is_some();
                    prop_assert_eq!(whole, expected.is_some_and(|(k, ..)| k == z));
                }
                let kept: Vec<usize> = places.all().iter().map(|place| place.size.array_index()).collect();
                let expected: Vec<usize> = (0..shifts.len())
                    .filter(|z| stands(own, kind, shifts, *z, va).is_some_and(|(k, ..)| k == *z))
                    .collect();
                prop_assert_eq!(kept, expected);
            }
        }
    }

    #[test]
    fn the_remainder_is_exact(divisor in 1u32..=4096, dividend in 0u64..1 << 52) {
        let modulo = Modulo::new(divisor);
        for dividend in [dividend, dividend & 0xffff, (1 << 52) - 1 - (dividend & 0xffff)] {
            prop_assert_eq!(modulo.of(dividend) as u64, dividend % u64::from(divisor));
            // Around the multiples, where it would go wrong first.
            let multiple = dividend - dividend % u64::from(divisor);
            for near in [multiple.saturating_sub(1), multiple] {
                prop_assert_eq!(modulo.of(near) as u64, near % u64::from(divisor));
            }
        }
    }
}

#[test]
fn the_remainder_by_each_divisor_is_exact_at_the_ends() {
    for divisor in 1..=4096u32 {
        let modulo = Modulo::new(divisor);
        let divisor = u64::from(divisor);
        let greatest = ((1u64 << 52) / divisor).saturating_sub(1) * divisor;
        for dividend in [
            0,
            1,
            divisor - 1,
            divisor,
            divisor + 1,
            greatest - 1,
            greatest,
            greatest + divisor - 1,
        ] {
            assert_eq!(
                modulo.of(dividend) as u64,
                dividend % divisor,
                "{dividend} mod {divisor}"
            );
        }
    }
}
