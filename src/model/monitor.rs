//! Where the blocks report what they do: the monitor port while ticking, nowhere on the fast path.
//!
//! Contract: 10. Counterpart: the `mon_*` ports of `rtl/mmu.sv`.

use super::mmu_pkg::{ArrayEvent, Monitor, WalkEvent};
use super::port::Response;

/// Takes what performs in a cycle.
pub(super) trait Sink {
    /// A look-up of the request `id` in the first level of `port`, which takes the entry `entry` of the miss queue, or has it, in RETRY; else
    /// 0.
    fn lookup(&mut self, port: usize, code: u8, entry: usize, id: u8, retry: bool);
    /// A response is pushed in cycle `now`; whether it is taken out of the machine at once, to be transferred in the next.
    #[inline]
    fn answer(&mut self, _port: usize, _response: &Response, _now: u64) -> bool {
        false
    }
    /// A look-up in the STLB for `port`, or for the prefetch.
    fn stlb_lookup(&mut self, port: usize, entry: usize, code: u8);
    /// A walk by `walker` starts or ends.
    fn walk(&mut self, walker: usize, event: WalkEvent);
    /// A TLB array, by the contract's number, changed.
    fn tlb(&mut self, array: usize, event: &ArrayEvent);
    /// A paging-structure cache, by the contract's number, changed.
    fn psc(&mut self, cache: usize, event: &ArrayEvent);
}

impl Sink for Monitor {
    #[inline]
    fn lookup(&mut self, port: usize, code: u8, entry: usize, _id: u8, retry: bool) {
        self.lookup[port] = code;
        self.lookup_entry[port] = entry as u8;
        self.lookup_retry[port] = u8::from(retry);
    }

    #[inline]
    fn stlb_lookup(&mut self, port: usize, entry: usize, code: u8) {
        self.stlb_lookup = code;
        self.stlb_port = port as u8;
        self.stlb_entry = entry as u8;
    }

    #[inline]
    fn walk(&mut self, walker: usize, event: WalkEvent) {
        self.walk[walker] = event;
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
    fn lookup(&mut self, _port: usize, _code: u8, _entry: usize, _id: u8, _retry: bool) {}

    #[inline]
    fn stlb_lookup(&mut self, _port: usize, _entry: usize, _code: u8) {}

    #[inline]
    fn walk(&mut self, _walker: usize, _event: WalkEvent) {}

    #[inline]
    fn tlb(&mut self, _array: usize, _event: &ArrayEvent) {}

    #[inline]
    fn psc(&mut self, _cache: usize, _event: &ArrayEvent) {}
}
