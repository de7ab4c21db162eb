//! The tables of contract 1.6, with the policy that the model alone has, and the words of 2.1, each taken literally and slowly, as a twin for what the model does.

use crate::config::{ArraySpec, Replacement, Serves};

/// Replacement as the table of contract 1.6 has it, for all sets of an array.
#[derive(Clone, PartialEq)]
pub struct LiteralPolicy {
    policy: Replacement,
    ways: usize,
    /// LRU, FIFO and LIP: the rank of each way of each set.
    ranks: Vec<Vec<usize>>,
    /// Tree PLRU: b\[1\] to b\[w-1\] of each set; b\[0\] is not used.
    tree: Vec<Vec<u8>>,
    /// NRU: the bit of each way of each set.
    bits: Vec<Vec<u8>>,
    /// SRRIP: the value of each way of each set.
    values: Vec<Vec<u8>>,
    /// Random.
    register: u16,
}

impl LiteralPolicy {
    pub fn new(policy: Replacement, sets: usize, ways: usize) -> Self {
        Self {
            policy,
            ways,
            ranks: vec![(0..ways).collect(); sets],
            tree: vec![vec![0; ways]; sets],
            bits: vec![vec![0; ways]; sets],
            values: vec![vec![3; ways]; sets],
            register: 0xace1,
        }
    }

    fn rank(&mut self, set: usize, x: usize) {
        let ranks = &mut self.ranks[set];
        let old = ranks[x];
        for rank in ranks.iter_mut() {
            if *rank < old {
                *rank += 1;
            }
        }
        ranks[x] = 0;
    }

    fn use_way(&mut self, set: usize, x: usize) {
        match self.policy {
            Replacement::Lru => self.rank(set, x),
            Replacement::TreePlru => {
                // The way from the root to leaf w + x, found from the leaf up.
                let mut path = vec![self.ways + x];
                while path[0] != 1 {
                    path.insert(0, path[0] / 2);
                }
                for step in path.windows(2) {
                    self.tree[set][step[0]] = u8::from(step[1] == 2 * step[0]);
                }
            }
            Replacement::Nru => {
                self.bits[set][x] = 1;
                if self.bits[set].iter().all(|bit| *bit == 1) {
                    for way in (0..self.ways).filter(|way| *way != x) {
                        self.bits[set][way] = 0;
                    }
                }
            }
            Replacement::Fifo | Replacement::Random | Replacement::Srrip | Replacement::Lip => {}
        }
    }

    pub fn hit(&mut self, set: usize, x: usize) {
        self.use_way(set, x);
        if self.policy == Replacement::Srrip {
            self.values[set][x] = 0;
        }
        if self.policy == Replacement::Lip {
            self.rank(set, x);
        }
    }

    /// A fill of way x; `victim`: that target was the victim.
    pub fn fill(&mut self, set: usize, x: usize, victim: bool) {
        self.use_way(set, x);
        if self.policy == Replacement::Fifo {
            self.rank(set, x);
        }
        if self.policy == Replacement::Srrip {
            while !self.values[set].contains(&3) {
                for value in &mut self.values[set] {
                    *value += 1;
                }
            }
            self.values[set][x] = 2;
        }
        if self.policy == Replacement::Lip {
            let old = self.ranks[set][x];
            for rank in self.ranks[set].iter_mut().filter(|rank| **rank > old) {
                *rank -= 1;
            }
            self.ranks[set][x] = self.ways - 1;
        }
        if self.policy == Replacement::Random && victim {
            let r = self.register;
            self.register = (r >> 1) ^ if r & 1 == 1 { 0xb400 } else { 0 };
        }
    }

    pub fn victim(&self, set: usize) -> usize {
        match self.policy {
            Replacement::Lru | Replacement::Fifo | Replacement::Lip => {
                let last = self.ways - 1;
                let rank = |way: &usize| self.ranks[set][*way] == last;
                (0..self.ways).find(rank).unwrap()
            }
            Replacement::TreePlru => {
                let mut node = 1;
                while node < self.ways {
                    node = 2 * node + usize::from(self.tree[set][node]);
                }
                node - self.ways
            }
            Replacement::Nru => {
                let unused = (0..self.ways).find(|way| self.bits[set][*way] == 0);
                unused.unwrap_or(0)
            }
            Replacement::Random => usize::from(self.register) % self.ways,
            Replacement::Srrip => {
                let greatest = self.values[set].iter().max().unwrap();
                let is_greatest = |value| value == greatest;
                self.values[set].iter().position(is_greatest).unwrap()
            }
        }
    }
}

/// Contract 2.1: the number of the kept size among 4 KiB, 2 MiB or 4 MiB, and 1 GiB; the array in its level; and the set: of a page of
/// the size number z around `va`, where the sizes have these shifts. None: the level does not keep it.
pub fn stands(
    arrays: &[ArraySpec],
    kind: Serves,
    shifts: &[u32],
    z: usize,
    va: u64,
) -> Option<(usize, usize, usize)> {
    let holders = |k: usize| -> Vec<usize> {
        (0..arrays.len())
            .filter(|n| arrays[*n].ways > 0)
            .filter(|n| arrays[*n].serves as u8 & kind as u8 != 0)
            .filter(|n| arrays[*n].sizes >> k & 1 == 1)
            .collect()
    };
    let k = (0..=z).rev().find(|k| !holders(*k).is_empty())?;
    let m = holders(k).len() as u64;
    let v = (va & ((1 << 57) - 1)) >> shifts[k];
    let array = holders(k)[(v % m) as usize];
    let set = v / m % u64::from(arrays[array].sets);
    Some((k, array, set as usize))
}
