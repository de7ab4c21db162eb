//! Pseudo least recently used, by a binary tree of bits that point away from what was touched.
//!
//! Contract: 1.6, policy 1. SDM: none. Counterpart: `rtl/policy_tree_plru.sv`.

/// The trees of the sets of one array: bit k of a word is the contract's b\[k\], for k from 1 to the number of ways less one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::model) struct TreePlru {
    ways: usize,
    trees: Vec<u64>,
}

impl TreePlru {
    /// The trees after reset: all bits 0. `ways` is 0 or a power of two up to 64.
    pub fn new(sets: usize, ways: usize) -> Self {
        Self {
            ways,
            trees: vec![0; sets],
        }
    }

    /// Brings back the trees after reset.
    pub fn reset(&mut self) {
        self.trees.fill(0);
    }

    /// Each bit on the way to `way` points away from it.
    #[inline]
    pub fn touch(&mut self, set: usize, way: usize) {
        let tree = &mut self.trees[set];
        let mut node = self.ways + way;
        while node > 1 {
            let to_second_child = node & 1;
            node >>= 1;
            *tree = *tree & !(1 << node) | (to_second_child as u64 ^ 1) << node;
        }
    }

    /// The way at which the bits of `set` point.
    #[inline]
    pub fn victim(&self, set: usize) -> usize {
        let tree = self.trees[set];
        let mut node = 1;
        while node < self.ways {
            node = 2 * node + (tree >> node & 1) as usize;
        }
        node - self.ways
    }
}
