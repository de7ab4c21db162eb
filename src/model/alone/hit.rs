//! A hit in the one array of a first level that keeps 4 KiB pages, asked for before all else.
//!
//! Contract: 6, of which it is a short cut: of several matches the smallest kept size counts. Counterpart: none.
//!
//! What an entry allows is looked up in a table that was drawn up for the context of the requests (`recents`).

use crate::arch::{Access, AccessKind, PageSize};
use crate::model::mmu::Mmu;
use crate::model::mmu_pkg::LOOKUP_MISS;
use crate::model::port::{LookUp, Request};
use crate::model::recents::Tally;
use crate::model::tlb::{Wanted, page_number};

/// What a look-up in an array of 4 KiB pages comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::model) enum Found {
    /// A hit, which was touched and is remembered.
    Hit(Tally),
    /// Nothing matches.
    Absent,
    /// Something else; nothing was touched.
    Otherwise,
}

impl Mmu {
    /// Requests from now on differ from `access` in kind and address at most.
    #[inline]
    pub(in crate::model) fn enter(&mut self, access: &Access) {
        let registers = self.control.registers();
        self.recent.enter(access, registers);
    }

    /// Touches what a request of `kind` to `va`, in the context entered, hits at `level`, if that is simple to tell, and remembers it. None:
    /// it may hit nevertheless, and nothing was touched.
    #[inline(always)]
    pub(in crate::model) fn hit_simply(
        &mut self,
        level: usize,
        va: u64,
        kind: AccessKind,
    ) -> Option<Tally> {
        let place = self.places.of(level, kind).smallest()?;
        let (number, set) = place.if_simple(page_number(va))?;
        if place.size as u8 != PageSize::Size4K as u8 || !self.control.mode().is_canonical(va) {
            return None;
        }
        let wanted = Wanted::new(page_number(va), PageSize::Size4K, self.control.pcid());
        match self.hit_in(level, (number, set), wanted, va, kind) {
            Found::Hit(hit) => Some(hit),
            Found::Absent | Found::Otherwise => None,
        }
    }

    /// The same, in the set `set` of the array `number`, where the page must stand if it stands anywhere at its kept size.
    #[inline(always)]
    pub(super) fn hit_in(
        &mut self,
        level: usize,
        (number, set): (usize, usize),
        wanted: Wanted,
        va: u64,
        kind: AccessKind,
    ) -> Found {
        let array = &mut self.tlb[number];
        let Some(slot) = array.find_here(set, wanted) else {
            return Found::Absent;
        };
        let allowed = self.recent.allowed(array.data_of(slot));
        if allowed >> kind as u8 & 1 == 0 {
            return Found::Otherwise;
        }
        array.hit(slot);
        let entry = array.entry(slot);
        Found::Hit(self.recent.put_simple(level, va, entry, allowed))
    }

    /// `found` answers `request` at `level`, and is the most recent of its set: the next request to the page need not ask.
    #[inline]
    pub(in crate::model) fn remember(&mut self, level: usize, request: &Request, found: &LookUp) {
        self.enter(&request.access);
        let mut write = *request;
        write.access.kind = AccessKind::Write;
        let may_write = matches!(request.access.kind, AccessKind::Read)
            && found
                .entry
                .judge(&write, found.code, self.control.registers())
                < LOOKUP_MISS;
        self.recent.remember(level, request, found, may_write);
    }

    /// The same of an entry that was just filled.
    #[inline]
    pub(super) fn remember_filled(&mut self, level: usize, request: &Request, found: &LookUp) {
        let allowed = self.recent.allowed(found.entry.data);
        if found.size as u8 == PageSize::Size4K as u8
            && self.recent.is_in(&request.access)
            && allowed >> request.access.kind as u8 & 1 != 0
        {
            self.recent
                .put_simple(level, request.va, found.entry, allowed);
            return;
        }
        self.remember(level, request, found);
    }
}
