//! Least recently used: the order of use of the ways of each set of an array.
//!
//! Contract: 1.6, policy 0. SDM: none. Counterpart: `rtl/policy_lru.sv`.
//!
//! The contract keeps a rank for each way and moves up to all of them in a touch. Here the ways of a set form a list in order of
//! rank. Up to 16 of them are one word, nibble r holding the way of rank r: touching is a rotation of the lower nibbles, and the way
//! of the greatest rank stands at a fixed place. More of them are linked both ways. Tests hold both equal to the contract's ranks.

/// Most ways whose order fits into one word.
const WORD_WAYS: usize = 16;
/// Way i at nibble i: the order after reset, also of nibbles above the last way, which never move.
const FIRST_ORDER: u64 = 0xfedc_ba98_7654_3210;
const ONES: u64 = 0x1111_1111_1111_1111;
const EIGHTS: u64 = 0x8888_8888_8888_8888;

/// A way's neighbours in the circular list of its set: those of the next lower and next higher rank. The way of rank 0 comes after
/// the one of the greatest.
#[derive(Clone, Copy, Debug, Default)]
struct Links {
    newer: u8,
    older: u8,
}

/// The order of use of the ways of every set of one array.
///
/// Equal if every way of every set has the same rank.
#[derive(Clone, Debug)]
pub(in crate::model) struct Lru {
    ways: usize,
    /// Up to [`WORD_WAYS`] ways: one word a set. More: the way of rank 0 of each set.
    orders: Vec<u64>,
    /// More ways: the links of each way, set by set.
    links: Vec<Links>,
}

impl Lru {
    /// The order after reset: way i has rank i. `ways` is 0 to 64.
    pub fn new(sets: usize, ways: usize) -> Self {
        let linked = if ways > WORD_WAYS { sets * ways } else { 0 };
        let mut lru = Self {
            ways,
            orders: vec![0; sets],
            links: vec![Links::default(); linked],
        };
        lru.reset();
        lru
    }

    /// Brings back the order after reset.
    pub fn reset(&mut self) {
        if self.ways <= WORD_WAYS {
            self.orders.fill(FIRST_ORDER);
            return;
        }
        self.orders.fill(0);
        let last = self.ways - 1;
        for (i, links) in self.links.iter_mut().enumerate() {
            let way = i % self.ways;
            links.newer = if way == 0 { last } else { way - 1 } as u8;
            links.older = if way == last { 0 } else { way + 1 } as u8;
        }
    }

    /// Gives `way` of `set` rank 0; every way whose rank was less moves up by one.
    #[inline]
    pub fn touch(&mut self, set: usize, way: usize) {
        if self.ways > WORD_WAYS {
            self.relink(set, way);
            return;
        }
        let order = self.orders[set];
        let difference = order ^ (way as u64).wrapping_mul(ONES);
        // The lowest set bit is the top bit of the one nibble that is zero.
        let zero_nibble = difference.wrapping_sub(ONES) & !difference & EIGHTS;
        let shift = zero_nibble.trailing_zeros() & 0x3c;
        let moved = u64::MAX >> (60 - shift);
        self.orders[set] = (order & !moved) | ((order << 4) & moved) | way as u64;
    }

    /// Gives `way` of `set` the greatest rank; every way whose rank was greater moves down by one.
    pub fn put_last(&mut self, set: usize, way: usize) {
        self.touch(set, way);
        if self.ways > WORD_WAYS {
            // The list is a circle: it begins behind the way, which is then its end.
            self.orders[set] = self.links[set * self.ways + way].older.into();
            return;
        }
        let order = self.orders[set];
        let last = 4 * (self.ways - 1);
        let moved = u64::MAX >> (60 - last);
        self.orders[set] = (order & !moved) | ((order & moved) >> 4) | (way as u64) << last;
    }

    /// Moves `way` in front of the most recent one.
    fn relink(&mut self, set: usize, way: usize) {
        let first = self.orders[set] as usize;
        if way == first {
            return;
        }
        self.orders[set] = way as u64;
        let list = &mut self.links[set * self.ways..][..self.ways];
        let last = usize::from(list[first].newer);
        if way == last {
            // The circle stays as it is: it only begins elsewhere.
            return;
        }
        let Links { newer, older } = list[way];
        list[usize::from(newer)].older = older;
        list[usize::from(older)].newer = newer;
        list[way] = Links {
            newer: last as u8,
            older: first as u8,
        };
        list[last].older = way as u8;
        list[first].newer = way as u8;
    }

    /// The way of the greatest rank of `set`. There must be ways.
    #[inline]
    pub fn victim(&self, set: usize) -> usize {
        let order = self.orders[set];
        if self.ways <= WORD_WAYS {
            (order >> (4 * (self.ways - 1)) & 0xf) as usize
        } else {
            usize::from(self.links[set * self.ways + order as usize].newer)
        }
    }

    /// The ways of `set` in order of rank.
    fn order(&self, set: usize) -> impl Iterator<Item = usize> {
        let mut next = self.orders[set];
        (0..self.ways).map(move |_| {
            if self.ways <= WORD_WAYS {
                let way = next as usize & 0xf;
                next >>= 4;
                way
            } else {
                let way = next as usize;
                next = u64::from(self.links[set * self.ways + way].older);
                way
            }
        })
    }
}

impl PartialEq for Lru {
    fn eq(&self, other: &Self) -> bool {
        let sets = self.orders.len();
        self.ways == other.ways
            && sets == other.orders.len()
            && (0..sets).all(|set| self.order(set).eq(other.order(set)))
    }
}

impl Eq for Lru {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The words of contract 1.6, literally.
    struct Ranks(Vec<usize>);

    impl Ranks {
        fn new(ways: usize) -> Self {
            Self((0..ways).collect())
        }

        fn touch(&mut self, way: usize) {
            let touched = self.0[way];
            for rank in &mut self.0 {
                if *rank < touched {
                    *rank += 1;
                }
            }
            self.0[way] = 0;
        }

        fn put_last(&mut self, way: usize) {
            let moved = self.0[way];
            for rank in &mut self.0 {
                if *rank > moved {
                    *rank -= 1;
                }
            }
            self.0[way] = self.0.len() - 1;
        }

        fn greatest(&self) -> usize {
            (0..self.0.len()).max_by_key(|way| self.0[*way]).unwrap()
        }
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_ranks_of_the_contract(
            ways in 1usize..=64,
            touches in prop::collection::vec((0usize..3, 0usize..64, any::<bool>()), 0..300),
        ) {
            let mut lru = Lru::new(3, ways);
            let mut ranks = [Ranks::new(ways), Ranks::new(ways), Ranks::new(ways)];
            for (set, way, last) in touches {
                let way = way % ways;
                if last {
                    lru.put_last(set, way);
                    ranks[set].put_last(way);
                } else {
                    lru.touch(set, way);
                    ranks[set].touch(way);
                }
                for (set, ranks) in ranks.iter().enumerate() {
                    prop_assert_eq!(lru.victim(set), ranks.greatest());
                    for (rank, way) in lru.order(set).enumerate() {
                        prop_assert_eq!(rank, ranks.0[way]);
                    }
                }
            }
        }
    }

    #[test]
    fn orders_that_differ_in_one_rank_are_not_equal() {
        for ways in [2, 16, 17, 64] {
            let first = Lru::new(2, ways);
            let mut second = first.clone();
            assert_eq!(first, second);
            second.touch(1, 1);
            assert_ne!(first, second, "{ways} ways");
            second.touch(1, 0);
            assert_eq!(first, second, "{ways} ways");
        }
    }
}
