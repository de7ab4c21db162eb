//! Many references at a time, of whose answers nothing is asked but what they count.
//!
//! Contract: 13.1. Counterpart: none.
//!
//! With a window of 1 and no prefetch nothing is ever in flight when a reference is offered. Each then takes the cycles that it takes,
//! whatever the cycle in which it begins, so that hits are a look-up and an addition to a count, and the cycles of all of them are added at
//! the end of a chunk. Other front ends take the references one by one.

use super::FrontEnd;
use crate::arch::{Access, AccessKind, PageSize};
use crate::model::alone::{Found, Misses};
use crate::model::mmu_pkg::STATUS_TRANSLATED;
use crate::model::port::Request;
use crate::model::recents::{TALLY_LIMIT, Tally};

/// What a reference asks of the ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Fetch, read or write.
    pub kind: AccessKind,
    /// The address of its first byte.
    pub va: u64,
    /// The first address of its part in the page after, where it crosses.
    pub second: Option<u64>,
}

/// References of a chunk: each is two translations at most.
pub(super) const CHUNK: usize = TALLY_LIMIT as usize / 2;
/// References of a block, in a window.
const BLOCK: usize = 16;
/// In a window so many references are looked ahead to.
const AHEAD: usize = 8 * BLOCK;
/// So many misses in a chunk, and it pays to look ahead in the next.
const MANY_MISSES: u32 = CHUNK as u32 / 4;

/// The references at the beginning of a block that are known to hit.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    hits: Tally,
    /// The references, and how many of them cross into another page.
    references: usize,
    seconds: u64,
    /// Of the reference behind them the part in its first page is known, too.
    first: bool,
}

impl Known {
    #[inline]
    const fn translations(&self) -> u64 {
        self.references as u64 + self.seconds + self.first as u64
    }
}

/// What references ask for in their first page.
fn firsts<R: Copy>(
    references: &[R],
    asked: &impl Fn(R) -> Asked,
) -> impl Iterator<Item = (AccessKind, u64)> {
    references.iter().map(|reference| {
        let Asked { kind, va, .. } = asked(*reference);
        (kind, va)
    })
}

impl FrontEnd {
    /// The next references, as `asked` draws them from `references`, all with the privilege, AC and PKRU of `access`.
    ///
    /// `prepare` is called before the first translation of each page, and at times again; it may store. Where it says false, that
    /// translation does not take place, and nothing after it: then the answer is false.
    pub fn translate_all<R: Copy>(
        &mut self,
        references: &[R],
        access: &Access,
        asked: impl Fn(R) -> Asked,
        prepare: &mut impl FnMut(&mut Self, u64) -> bool,
    ) -> bool {
        // Where a walk may have to wait for memory, it matters in which cycle it begins.
        if !self.is_alone() || !self.memory.never_waits() {
            return self.translate_one_by_one(references, access, asked, prepare);
        }
        self.mmu.enter(access);
        self.lean = self.mmu.lean(&self.memory);
        for chunk in references.chunks(CHUNK) {
            if self.expects_misses() {
                self.expect(firsts(chunk, &asked));
            }
            if !self.translate_chunk(chunk, access, &asked, prepare) {
                return false;
            }
        }
        true
    }

    /// Out of line, so that nothing else competes for registers with the loop.
    #[inline(never)]
    fn translate_chunk<R: Copy>(
        &mut self,
        references: &[R],
        access: &Access,
        asked: &impl Fn(R) -> Asked,
        prepare: &mut impl FnMut(&mut Self, u64) -> bool,
    ) -> bool {
        self.accepted_after = Tally::default();
        let mut hits = Tally::default();
        let mut last = Tally::default();
        let mut served = true;
        for reference in references {
            let Asked { kind, va, second } = asked(*reference);
            let Some(hit) = self.next_alone(kind, va, access, hits, prepare) else {
                served = false;
                break;
            };
            hits.add(hit);
            last = hit;
            let Some(va) = second else { continue };
            let Some(hit) = self.next_alone(kind, va, access, hits, prepare) else {
                served = false;
                break;
            };
            hits.add(hit);
            last = hit;
        }
        self.end_chunk(hits, last);
        served
    }

    /// Whether it pays to look ahead, since the chunk before had many misses.
    pub(super) const fn expects_misses(&self) -> bool {
        self.counted_misses > MANY_MISSES
    }

    /// Brings near what walks for these references may read.
    pub(super) fn expect(&self, references: impl Iterator<Item = (AccessKind, u64)>) {
        let mut all = 0;
        for (kind, va) in references {
            if self.mmu.recent.tally(level_of(kind), va, kind).is_none() {
                all ^= self.memory.expect(va);
            }
        }
        std::hint::black_box(all);
    }

    /// Whether nothing but the reference that is offered is ever in flight.
    pub(super) fn is_alone(&self) -> bool {
        self.window == 1 && !self.mmu.spec.prefetch
    }

    fn translate_one_by_one<R: Copy>(
        &mut self,
        references: &[R],
        access: &Access,
        asked: impl Fn(R) -> Asked,
        prepare: &mut impl FnMut(&mut Self, u64) -> bool,
    ) -> bool {
        // Of hits in a row that are answered at once all but the last need not be kept, so that blocks of them are held back until it is
        // known whether another follows.
        let mut held: Option<(&[R], Known)> = None;
        let mut accepts = self.memory.accepts();
        for (number, block) in references.chunks(BLOCK).enumerate() {
            if number.is_multiple_of(AHEAD / BLOCK) {
                // Where references walked, those that come now may, too.
                if self.memory.accepts() != accepts {
                    let first = number * BLOCK;
                    let ahead = &references[first..references.len().min(first + AHEAD)];
                    self.expect(firsts(ahead, &asked));
                }
                accepts = self.memory.accepts();
            }
            let before = held.take();
            let passed = before.as_ref().map_or(0, |(_, known)| known.translations());
            let known = self.known_of_block(block, passed, access, &asked);
            if known.references == BLOCK {
                if let Some((_, known)) = before {
                    self.pass_at_once(known.hits);
                }
                held = Some((block, known));
                continue;
            }
            if let Some((before, of_before)) = before {
                self.keep_known(before, &of_before, access, &asked);
            }
            self.keep_known(block, &known, access, &asked);
            if !self.translate_block(block, &known, access, &asked, prepare) {
                return false;
            }
        }
        if let Some((block, known)) = held {
            self.keep_known(block, &known, access, &asked);
        }
        true
    }

    /// How many of the first references of a block are known to hit, if answers are handed out at once, behind `passed` translations that
    /// are yet to be counted.
    fn known_of_block<R: Copy>(
        &mut self,
        block: &[R],
        passed: u64,
        access: &Access,
        asked: &impl Fn(R) -> Asked,
    ) -> Known {
        let mut known = Known::default();
        if !self.is_at_once_within(BLOCK) || block.len() < BLOCK || !self.mmu.recent.is_in(access) {
            return known;
        }
        loop {
            known = self.known_to_recents(block, known, asked);
            let Some(reference) = block.get(known.references) else {
                return known;
            };
            let Asked { kind, va, second } = asked(*reference);
            let va = second.filter(|_| known.first).unwrap_or(va);
            let before = passed + known.translations();
            let Some(hit) = self.hit_ahead(before, kind, va, access) else {
                return known;
            };
            known.hits.add(hit);
            if known.first || second.is_none() {
                known.seconds += u64::from(known.first);
                known.references += 1;
                known.first = false;
            } else {
                known.first = true;
            }
        }
    }

    /// What is known of a block, as far as its pages were hit last.
    #[inline]
    fn known_to_recents<R: Copy>(
        &self,
        block: &[R],
        known: Known,
        asked: &impl Fn(R) -> Asked,
    ) -> Known {
        let Known {
            mut hits,
            references,
            mut seconds,
            mut first,
        } = known;
        for (number, reference) in block.iter().enumerate().skip(references) {
            let Asked { kind, va, second } = asked(*reference);
            let level = level_of(kind);
            let part = |hits, first| Known {
                hits,
                references: number,
                seconds,
                first,
            };
            if !std::mem::take(&mut first) {
                let Some(hit) = self.mmu.recent.tally(level, va, kind) else {
                    return part(hits, false);
                };
                hits.add(hit);
            }
            if let Some(va) = second {
                let Some(hit) = self.mmu.recent.tally(level, va, kind) else {
                    return part(hits, true);
                };
                hits.add(hit);
                seconds += 1;
            }
        }
        Known {
            hits,
            references: block.len(),
            seconds,
            first: false,
        }
    }

    /// References at the beginning of a block that are known to hit are counted, and kept, so that they can be put back.
    fn keep_known<R: Copy>(
        &mut self,
        block: &[R],
        known: &Known,
        access: &Access,
        asked: &impl Fn(R) -> Asked,
    ) {
        self.count_at_once(known.hits);
        let mut left = known.translations();
        for reference in block {
            let Asked { kind, va, second } = asked(*reference);
            for va in [Some(va), second].into_iter().flatten() {
                if left == 0 {
                    return;
                }
                left -= 1;
                let mut request = Request {
                    va,
                    access: Access { kind, ..*access },
                    id: self.count as u8,
                };
                let port = self.port_of(&request);
                self.mmu.cut(&mut request);
                self.keep_at_once(port, &request);
            }
        }
    }

    /// Takes the references of a block one by one, but those that are known.
    fn translate_block<R: Copy>(
        &mut self,
        block: &[R],
        known: &Known,
        access: &Access,
        asked: &impl Fn(R) -> Asked,
        prepare: &mut impl FnMut(&mut Self, u64) -> bool,
    ) -> bool {
        let mut first = known.first;
        for reference in &block[known.references..] {
            let Asked { kind, va, second } = asked(*reference);
            let va = Some(va).filter(|_| !std::mem::take(&mut first));
            for va in [va, second].into_iter().flatten() {
                let request = Request {
                    va,
                    access: Access { kind, ..*access },
                    id: self.count as u8,
                };
                let port = self.port_of(&request);
                if self.hit_at_once(port, &request).is_some()
                    || self.hit_while_acting(port, &request)
                {
                    continue;
                }
                if !prepare(self, va) {
                    return false;
                }
                self.translate_otherwise(port, request, &mut |_| {});
            }
        }
        true
    }

    /// The next translation, with nothing else in flight: its hit, which is yet to be counted; none of a translation that missed, which is
    /// counted. None, if it did not take place. `hits`: those before it that are yet to be counted.
    #[inline(always)]
    pub(super) fn next_alone(
        &mut self,
        kind: AccessKind,
        va: u64,
        access: &Access,
        hits: Tally,
        prepare: &mut impl FnMut(&mut Self, u64) -> bool,
    ) -> Option<Tally> {
        // Whether a fetch comes next is foretold well: a branch, which the compiler must not make an index of, lets the look-up begin at once.
        let level = match kind {
            AccessKind::Fetch => {
                std::hint::black_box(());
                0
            }
            AccessKind::Read | AccessKind::Write => 1,
        };
        match self.mmu.recent.tally(level, va, kind) {
            Some(hit) => Some(hit),
            None => self.next_not_hit_last(kind, va, access, hits, prepare),
        }
    }

    /// The same of a page that was not hit last in its set.
    #[inline(never)]
    fn next_not_hit_last(
        &mut self,
        kind: AccessKind,
        va: u64,
        access: &Access,
        hits: Tally,
        prepare: &mut impl FnMut(&mut Self, u64) -> bool,
    ) -> Option<Tally> {
        match self.hit_lean(va, kind) {
            Found::Hit(hit) => return Some(hit),
            Found::Absent => {
                // A page that missed may be new.
                if !prepare(self, va) {
                    return None;
                }
                if self.miss_lean(va, kind) {
                    return Some(Tally::default());
                }
            }
            Found::Otherwise => {}
        }
        // What misses count must be counted before another goes a way on which it is counted at once.
        self.count_misses();
        self.next_alone_otherwise(kind, va, access, hits, prepare)
    }

    /// [`Mmu::hit_lean`](crate::model::Mmu), if the machine is lean.
    #[inline(always)]
    pub(super) fn hit_lean(&mut self, va: u64, kind: AccessKind) -> Found {
        match &self.lean {
            Some(lean) => self.mmu.hit_lean(lean, va, kind),
            None => Found::Otherwise,
        }
    }

    /// A translation that missed its first level, in a lean machine: whether it is counted among the misses. If not, nothing has happened.
    #[inline(always)]
    pub(super) fn miss_lean(&mut self, va: u64, kind: AccessKind) -> bool {
        let (memory, misses) = (&mut self.memory, &mut self.misses);
        let lean = self.lean.as_ref();
        lean.is_some_and(|lean| self.mmu.miss_lean(lean, va, kind, memory, misses))
    }

    /// The next translation, in any machine. No misses are yet to be counted.
    #[inline(never)]
    fn next_alone_otherwise(
        &mut self,
        kind: AccessKind,
        va: u64,
        access: &Access,
        hits: Tally,
        prepare: &mut impl FnMut(&mut Self, u64) -> bool,
    ) -> Option<Tally> {
        let level = level_of(kind);
        if let Some(hit) = self.mmu.hit_simply(level, va, kind) {
            return Some(hit);
        }
        if !self.mmu.recent.is_in(access) {
            self.mmu.enter(access);
        }
        let from = self.free_from.max(self.mmu.now());
        let accepts = self.memory.accepts();
        let mut request = Request {
            va,
            access: Access { kind, ..*access },
            id: 0,
        };
        self.mmu.cut(&mut request);
        let code = match self.mmu.look_up_alone(level, &request) {
            Ok(found) => {
                // A page that is kept as its 4 KiB was asked for before; of a larger one perhaps another part was.
                if found.size != PageSize::Size4K && !prepare(self, va) {
                    return None;
                }
                let hit = self.mmu.recent.tally(level, request.va, kind);
                return Some(hit.unwrap_or_default());
            }
            Err(code) => code,
        };
        if !prepare(self, va) {
            return None;
        }
        let what = self
            .mmu
            .translate_missing(level, &request, code, &mut self.memory, from);
        self.note_accepts(accepts, hits);
        self.free_from = what.accepted_at + 1 + self.gap_cycles;
        self.data_count += level as u64;
        self.count += 1;
        self.retired = self.count;
        self.refused |= what.response.status != STATUS_TRANSLATED;
        Some(Tally::default())
    }

    /// Of a translation before which memory had that many accepts: where it made more, they were later by the cycles of `hits`.
    #[inline(always)]
    fn note_accepts(&mut self, before: u64, hits: Tally) {
        if self.memory.accepts() != before {
            self.accepted_after = hits;
        }
    }

    /// Counts hits of a chunk, and their cycles, to those of its misses.
    #[inline(never)]
    fn end_chunk(&mut self, hits: Tally, last: Tally) {
        let missed = self.count_misses();
        let cycles_of = |level: usize| {
            self.accepted_after.of(level).iter().sum::<u64>() * self.step_cycles(level)
        };
        let cycles = cycles_of(0) + cycles_of(1);
        self.memory.put_off(cycles);
        self.count_alone(hits, last);
        if let Some(cycles) = missed
            && last == Tally::default()
        {
            self.end_after(cycles);
        }
    }

    /// Counts the misses of a lean machine, and their cycles: those of the last of them, if there is one.
    pub(super) fn count_misses(&mut self) -> Option<u64> {
        self.counted_misses = 0;
        let lean = &self.lean?;
        let misses = std::mem::replace(&mut self.misses, Misses::NONE);
        let (kind, last) = misses.last()?;
        let mut walked = false;
        for (kind, class, count) in misses.counted() {
            self.mmu.count_misses(lean, kind, class, count);
            let level = level_of(kind);
            let cycles = self.mmu.miss_cycles(lean, level, class);
            self.pass(count * cycles.max(1 + self.gap_cycles), count, level);
            self.memory.count_reads(count * class.reads());
            self.counted_misses += count as u32;
            walked |= class.reads() > 0;
        }
        self.mmu.note_misses(last, walked);
        Some(self.mmu.miss_cycles(lean, level_of(kind), last))
    }

    /// So many cycles pass from the accept of the first of `count` references of `level` to the offer of what comes after the last.
    fn pass(&mut self, cycles: u64, count: u64, level: usize) {
        self.free_from += cycles;
        self.mmu.now += cycles;
        self.mmu.statistics.cycles = self.mmu.now;
        self.count += count;
        self.retired = self.count;
        self.data_count += count * level as u64;
    }

    /// Counts hits, and their cycles. `last`: that of the reference before now, if it hit.
    #[inline]
    pub(super) fn count_alone(&mut self, hits: Tally, last: Tally) {
        for level in 0..2 {
            self.count_hits_alone(level, hits.of(level));
        }
        for level in 0..2 {
            if last.of(level) != [0; 3] {
                self.end_with_hit(level);
            }
        }
    }

    /// Counts hits of a level by kept size, and the cycles from each to the offer of the next.
    pub(super) fn count_hits_alone(&mut self, level: usize, by_size: [u64; 3]) {
        let count: u64 = by_size.iter().sum();
        self.mmu.statistics.count_hits_by_size(level, by_size);
        self.pass(count * self.step_cycles(level), count, level);
    }

    /// Cycles from the accept of a hit to that of what comes after: of its look-up and its answer, or of the gap.
    fn step_cycles(&self, level: usize) -> u64 {
        (self.mmu.spec.hit_cycles[level] + 2).max(1 + self.gap_cycles)
    }

    /// The last reference was a hit of `level`, and that, as far as the cycle goes, was not known when it was counted.
    pub(super) fn end_with_hit(&mut self, level: usize) {
        self.end_after(self.mmu.spec.hit_cycles[level] + 2);
    }

    /// The same of a reference of so many cycles.
    pub(super) fn end_after(&mut self, cycles: u64) {
        let next = self.free_from.max(self.mmu.now);
        let accepted_at = next - cycles.max(1 + self.gap_cycles);
        self.free_from = accepted_at + 1 + self.gap_cycles;
        self.mmu.now = accepted_at + cycles;
        self.mmu.statistics.cycles = self.mmu.now;
    }
}

/// The level that serves requests of `kind` first.
#[inline(always)]
pub(super) const fn level_of(kind: AccessKind) -> usize {
    match kind {
        AccessKind::Fetch => 0,
        AccessKind::Read | AccessKind::Write => 1,
    }
}
