//! Cyclic order: who comes next among things with numbers.
//!
//! Contract: 1.7. SDM: none. Counterpart: the order registers inside `rtl/miss_queue.sv`, `rtl/stlb.sv`, `rtl/memory_port.sv` and
//! `rtl/mmu.sv`.

/// One such order: the register that holds the thing chosen last. Room for 32 things.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cyclic {
    last: u8,
}

impl Cyclic {
    /// The order after reset, of `things` (1 to 32): number 0 comes first.
    pub const fn new(things: usize) -> Self {
        Self {
            last: (things - 1) as u8,
        }
    }

    /// The first after the one chosen last of those whose bit is set.
    #[inline]
    pub const fn next_of(self, candidates: u32) -> Option<usize> {
        if candidates == 0 {
            return None;
        }
        // Two shifts, because one by 32 is not defined.
        let after = candidates >> self.last >> 1 << 1 << self.last;
        let from = if after != 0 { after } else { candidates };
        Some(from.trailing_zeros() as usize)
    }

    /// `thing` is chosen.
    #[inline]
    pub const fn choose(&mut self, thing: usize) {
        self.last = thing as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of contract 1.7, literally.
    fn literally(last: usize, things: usize, candidates: u32) -> Option<usize> {
        (last + 1..things)
            .chain(0..=last)
            .find(|thing| candidates >> thing & 1 != 0)
    }

    #[test]
    fn the_first_in_cyclic_order_is_that_of_the_contract() {
        for things in 1..=6 {
            for last in 0..things {
                let mut order = Cyclic::new(things);
                assert_eq!(order.next_of((1 << things) - 1), Some(0));
                order.choose(last);
                for candidates in 0..1 << things {
                    let expected = literally(last, things, candidates);
                    assert_eq!(order.next_of(candidates), expected, "{last} {candidates:b}");
                }
            }
        }
        let mut widest = Cyclic::new(32);
        assert_eq!(widest.next_of(1 << 31), Some(31));
        widest.choose(30);
        assert_eq!(widest.next_of(1 << 31 | 1), Some(31));
    }
}
