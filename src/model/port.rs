//! A port: its queues of requests and responses; and, beside it, the look-up in its first-level TLB.
//!
//! Contract: 5 (queues), 6 (L1 look-up). SDM vol. 3A, 4.5 (canonical addresses), 4.6 (rights at each access).
//! Counterpart: `rtl/port.sv`.

mod look_up;

use crate::arch::{Access, AccessKind, PageFaultCode, PageSize};

use super::mmu_pkg::{
    KIND_FETCH, KIND_WRITE, LOOKUP_MISS, LOOKUP_NONE, PortIn, PortOut, STATUS_BUS_ERROR,
    STATUS_GENERAL_PROTECTION, STATUS_PAGE_FAULT, STATUS_TRANSLATED,
};
use super::tlb::TlbEntry;

/// Most requests that a port may have accepted and not answered.
const QUEUE_SLOTS: usize = 16;

/// A request as it is captured when accepted: all that decides its outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// The address of its first byte.
    pub va: u64,
    /// Kind, privilege level, AC, implicit supervisor, PKRU.
    pub access: Access,
    /// What its response carries; ids of outstanding requests of one port differ.
    pub id: u8,
}

impl Request {
    /// A read of address 0 by the supervisor: where there is no request yet.
    pub const NONE: Self = Self {
        va: 0,
        access: Access::new(AccessKind::Read, 0),
        id: 0,
    };

    /// What a port captures.
    pub fn captured(port: &PortIn) -> Self {
        Self {
            va: port.req_va,
            access: Access {
                kind: match port.req_kind {
                    KIND_WRITE => AccessKind::Write,
                    KIND_FETCH => AccessKind::Fetch,
                    _ => AccessKind::Read,
                },
                cpl: port.req_cpl & 3,
                ac: port.req_ac != 0,
                implicit_supervisor: port.req_implicit_supervisor != 0,
                pkru: port.req_pkru,
            },
            id: port.req_id,
        }
    }

    /// The inputs of a port that present this request, for one byte, with `resp_ready` = 0.
    pub fn presented(&self) -> PortIn {
        PortIn {
            req_valid: 1,
            req_id: self.id,
            req_kind: self.access.kind as u8,
            req_size_bytes: 1,
            req_cpl: self.access.cpl,
            req_ac: u8::from(self.access.ac),
            req_implicit_supervisor: u8::from(self.access.implicit_supervisor),
            req_pkru: self.access.pkru,
            req_va: self.va,
            ..PortIn::default()
        }
    }
}

/// The answer to a request, in the form of the response port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Response {
    /// The id of the request.
    pub id: u8,
    /// 0 translated, 1 page fault, 2 general protection, 3 bus error.
    pub status: u8,
    /// Size of the page: 0 = 4 KiB, 1 = 2 MiB, 2 = 1 GiB, 3 = 4 MiB; 0 unless translated by a page.
    pub page_size: u8,
    /// Bits 0 to 2: PWT, PCD and PAT of the leaf.
    pub memory_type: u8,
    /// With a page fault: its error code. Else 0.
    pub error_code: u16,
    /// The physical address if translated, else 0.
    pub pa: u64,
    /// With a page fault: the address of the request. Else 0.
    pub va: u64,
}

impl Response {
    /// All fields 0: where there is no answer yet.
    pub const NONE: Self = Self::of_status(0, 0);

    const fn of_status(id: u8, status: u8) -> Self {
        Self {
            id,
            status,
            page_size: 0,
            memory_type: 0,
            error_code: 0,
            pa: 0,
            va: 0,
        }
    }

    /// Translated by a TLB entry of the kept size `size`.
    #[inline]
    pub(super) const fn translated(request: &Request, size: PageSize, entry: TlbEntry) -> Self {
        Self {
            page_size: entry.page_size(),
            memory_type: entry.memory_type(),
            pa: entry.physical(request.va, size),
            ..Self::of_status(request.id, STATUS_TRANSLATED)
        }
    }

    /// With CR0.PG = 0: the lower 32 bits of the address.
    pub(super) const fn untranslated(request: &Request) -> Self {
        Self {
            pa: request.va & 0xffff_ffff,
            ..Self::of_status(request.id, STATUS_TRANSLATED)
        }
    }

    /// The address is not canonical.
    pub(super) const fn general_protection(request: &Request) -> Self {
        Self::of_status(request.id, STATUS_GENERAL_PROTECTION)
    }

    /// A page fault.
    pub(super) const fn page_fault(request: &Request, code: PageFaultCode) -> Self {
        Self {
            error_code: code.raw() as u16,
            va: request.va,
            ..Self::of_status(request.id, STATUS_PAGE_FAULT)
        }
    }

    /// A walk met a bus error.
    pub(super) const fn bus_error(request: &Request) -> Self {
        Self::of_status(request.id, STATUS_BUS_ERROR)
    }

    /// Drives a response port with it.
    #[inline]
    fn show(&self, port: &mut PortOut) {
        port.resp_valid = 1;
        port.resp_id = self.id;
        port.resp_status = self.status;
        port.resp_page_size = self.page_size;
        port.resp_pwt = self.memory_type & 1;
        port.resp_pcd = self.memory_type >> 1 & 1;
        port.resp_pat = self.memory_type >> 2;
        port.resp_error_code = self.error_code;
        port.resp_pa = self.pa;
        port.resp_va = self.va;
    }

    /// The response that a response port shows; its `resp_valid` must be 1.
    pub fn shown(port: &PortOut) -> Self {
        Self {
            id: port.resp_id,
            status: port.resp_status,
            page_size: port.resp_page_size,
            memory_type: port.resp_pwt | port.resp_pcd << 1 | port.resp_pat << 2,
            error_code: port.resp_error_code,
            pa: port.resp_pa,
            va: port.resp_va,
        }
    }
}

/// A queue of at most [`QUEUE_SLOTS`] elements. Equal if the elements are, wherever they lie.
#[derive(Clone, Debug)]
struct Queue<T> {
    slots: [T; QUEUE_SLOTS],
    first: usize,
    len: usize,
}

impl<T: Copy> Queue<T> {
    const fn new(filler: T) -> Self {
        Self {
            slots: [filler; QUEUE_SLOTS],
            first: 0,
            len: 0,
        }
    }

    #[inline]
    fn front(&self) -> Option<&T> {
        (self.len > 0).then(|| &self.slots[self.first % QUEUE_SLOTS])
    }

    /// The outstanding limit keeps the queue from overflowing.
    #[inline]
    fn push(&mut self, element: T) {
        debug_assert!(self.len < QUEUE_SLOTS);
        self.slots[(self.first + self.len) % QUEUE_SLOTS] = element;
        self.len += 1;
    }

    fn push_front(&mut self, element: T) {
        debug_assert!(self.len < QUEUE_SLOTS);
        self.first = (self.first + QUEUE_SLOTS - 1) % QUEUE_SLOTS;
        self.slots[self.first] = element;
        self.len += 1;
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        let element = *self.front()?;
        self.first = (self.first + 1) % QUEUE_SLOTS;
        self.len -= 1;
        Some(element)
    }

    #[inline]
    const fn drop_front(&mut self) {
        if self.len > 0 {
            self.first = (self.first + 1) % QUEUE_SLOTS;
            self.len -= 1;
        }
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len).map(|i| &self.slots[(self.first + i) % QUEUE_SLOTS])
    }
}

impl<T: Copy + PartialEq> PartialEq for Queue<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

/// A request in its queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Waiting {
    /// The first cycle in which it may be looked up.
    pub from_cycle: u64,
    pub request: Request,
}

/// The queues of one port.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Port {
    requests: Queue<Waiting>,
    responses: Queue<Response>,
    /// Requests accepted less responses transferred.
    outstanding: u64,
}

impl Port {
    pub const fn new() -> Self {
        Self {
            requests: Queue::new(Waiting {
                from_cycle: 0,
                request: Request::NONE,
            }),
            responses: Queue::new(Response::of_status(0, 0)),
            outstanding: 0,
        }
    }

    /// Requests accepted less responses transferred.
    #[inline]
    pub const fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// Drives the outputs of this port; `open`: control and the reset sweep let requests in.
    #[inline]
    pub fn show(&self, open: bool, queue_entries: u64, port: &mut PortOut) {
        port.req_ready = u8::from(open && self.outstanding < queue_entries);
        if let Some(response) = self.responses.front() {
            response.show(port);
        }
    }

    /// A request is accepted in `cycle`.
    #[inline]
    pub fn accept(&mut self, request: Request, cycle: u64, hit_cycles: u64) {
        self.outstanding += 1;
        self.requests.push(Waiting {
            from_cycle: cycle + hit_cycles,
            request,
        });
    }

    /// The oldest response is transferred.
    #[inline]
    pub fn transfer(&mut self) -> Option<Response> {
        let response = self.responses.pop()?;
        self.outstanding -= 1;
        Some(response)
    }

    /// Puts a response behind those that wait.
    #[inline]
    pub fn respond(&mut self, response: Response) {
        self.responses.push(response);
    }

    /// Whether a response waits for its transfer.
    #[inline]
    pub const fn responds(&self) -> bool {
        self.responses.len > 0
    }

    /// The id of the oldest request in the request queue; 0 if there is none.
    #[cfg(test)]
    pub fn oldest_id(&self) -> u8 {
        self.requests
            .front()
            .map_or(0, |waiting| waiting.request.id)
    }

    /// Puts back a response to a request that was accepted before.
    pub fn resume_response(&mut self, response: Response) {
        self.outstanding += 1;
        self.responses.push(response);
    }

    /// Puts back a request that was accepted in `cycle`, before all that wait.
    pub fn resume_request(&mut self, request: Request, cycle: u64, hit_cycles: u64) {
        self.outstanding += 1;
        self.requests.push_front(Waiting {
            from_cycle: cycle + hit_cycles,
            request,
        });
    }

    /// Whether a request waits for its look-up.
    #[inline]
    pub const fn has_waiting(&self) -> bool {
        self.requests.len > 0
    }

    /// Takes the oldest request out of the port, as if it had been answered.
    pub fn take_waiting(&mut self) -> Option<Waiting> {
        let waiting = self.requests.pop()?;
        self.outstanding -= 1;
        Some(waiting)
    }

    /// The oldest request leaves its queue.
    #[inline]
    pub fn take_oldest(&mut self) -> Option<Request> {
        self.requests.pop().map(|waiting| waiting.request)
    }

    /// The same, where it is known.
    #[inline]
    fn drop_oldest(&mut self) {
        self.requests.drop_front();
    }

    /// The oldest request, if it may be looked up in `cycle`.
    #[inline]
    pub fn due(&self, cycle: u64) -> Option<&Request> {
        let waiting = self.requests.front()?;
        (waiting.from_cycle <= cycle).then_some(&waiting.request)
    }

    /// The first cycle in which the oldest request may be looked up.
    #[inline]
    pub fn look_up_from(&self) -> Option<u64> {
        self.requests.front().map(|waiting| waiting.from_cycle)
    }
}

/// What a look-up comes to: the code of contract 6, and the entry that it matched, with its kept size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LookUp {
    pub code: u8,
    pub size: PageSize,
    pub entry: TlbEntry,
}

impl LookUp {
    pub const NONE: Self = Self {
        code: LOOKUP_NONE,
        size: PageSize::Size4K,
        entry: TlbEntry { tag: 0, data: 0 },
    };

    const MISS: Self = Self {
        code: LOOKUP_MISS,
        ..Self::NONE
    };

    /// Whether it matched an entry with this tag, though perhaps with other data than what has that tag now.
    pub fn keeps(&self, tag: u64) -> bool {
        self.code != LOOKUP_MISS && self.entry.tag == tag
    }
}
