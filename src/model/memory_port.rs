//! The memory port: which walker's request it shows.
//!
//! Contract: 8.3, "the memory port". SDM: none. Counterpart: `rtl/memory_port.sv`.

use super::cyclic::Cyclic;

/// The arbiter of the memory port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MemoryPort {
    order: Cyclic,
    /// The walker whose request was shown in the cycle before, and not transferred.
    held: Option<usize>,
}

impl MemoryPort {
    /// The state after reset, with that many walkers.
    pub const fn new(walkers: usize) -> Self {
        Self {
            order: Cyclic::new(walkers),
            held: None,
        }
    }

    /// The walker whose request is shown, given those that want one.
    #[inline]
    pub const fn shown(&self, wanting: u32) -> Option<usize> {
        match self.held {
            Some(walker) => Some(walker),
            None => self.order.next_of(wanting),
        }
    }

    /// Whether the request of a walker is kept on show.
    #[inline]
    pub const fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// The request of `walker` is transferred.
    #[inline]
    pub const fn transferred(&mut self, walker: usize) {
        self.held = None;
        self.order.choose(walker);
    }

    /// A cycle ends in which the request of `shown`, or none, was shown and not transferred.
    #[inline]
    pub const fn hold(&mut self, shown: Option<usize>) {
        self.held = shown;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_shown_stays_until_its_transfer_and_then_the_next_has_its_turn() {
        let mut port = MemoryPort::new(4);
        assert_eq!(port.shown(0), None);
        assert_eq!(port.shown(0b1100), Some(2));
        port.hold(Some(2));
        assert_eq!(port.shown(0b1111), Some(2));
        port.transferred(2);
        assert_eq!(port.shown(0b1011), Some(3));
        port.transferred(3);
        assert_eq!(port.shown(0b1010), Some(1));
    }
}
