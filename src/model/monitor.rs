//! Where the blocks report what they do: the monitor port while ticking, nowhere on the fast path.
//!
//! Contract: 10. Counterpart: the `mon_*` ports of `rtl/mmu.sv`.

use super::mmu_pkg::{ArrayEvent, Monitor, WalkEvent};

/// Takes what performs in a cycle.
pub(super) trait Sink {
    /// A look-up in the first level of `port`.
    fn lookup(&mut self, port: usize, code: u8);
    /// A look-up in the STLB for `port`.
    fn stlb_lookup(&mut self, port: usize, code: u8);
    /// The walker starts or ends.
    fn walk(&mut self, event: WalkEvent);
    /// A TLB array, by the contract's number, changed.
    fn tlb(&mut self, array: usize, event: &ArrayEvent);
    /// A paging-structure cache, by the contract's number, changed.
    fn psc(&mut self, cache: usize, event: &ArrayEvent);
}

impl Sink for Monitor {
    #[inline]
    fn lookup(&mut self, port: usize, code: u8) {
        self.lookup[port] = code;
    }

    #[inline]
    fn stlb_lookup(&mut self, port: usize, code: u8) {
        self.stlb_lookup = code;
        self.stlb_port = port as u8;
    }

    #[inline]
    fn walk(&mut self, event: WalkEvent) {
        self.walk[0] = event;
    }

    #[inline]
    fn tlb(&mut self, array: usize, event: &ArrayEvent) {
        self.tlb[array] = *event;
    }

    #[inline]
    fn psc(&mut self, cache: usize, event: &ArrayEvent) {
        self.psc[cache] = *event;
    }
}

/// Takes no notice.
pub(super) struct Unseen;

impl Sink for Unseen {
    #[inline]
    fn lookup(&mut self, _port: usize, _code: u8) {}

    #[inline]
    fn stlb_lookup(&mut self, _port: usize, _code: u8) {}

    #[inline]
    fn walk(&mut self, _event: WalkEvent) {}

    #[inline]
    fn tlb(&mut self, _array: usize, _event: &ArrayEvent) {}

    #[inline]
    fn psc(&mut self, _cache: usize, _event: &ArrayEvent) {}
}
