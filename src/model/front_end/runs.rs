//! References as runs: of those that stay on the page of the one before them in their stream, nothing is known but how many there were.
//!
//! Contract: 13.1 with W = 1. Counterpart: none. `docs/traces.md` has the form in files, and what it cannot serve.
//!
//! There are two streams, fetches and data. A reference that stays on the page of its stream hits what was hit or filled last in its first
//! level, so that it changes nothing but counts and cycles, and the order of such references does not matter. Seldom that is not so,
//! since what the other stream did took the entry away: then they are taken one by one, as long as their order still does not matter.

use super::FrontEnd;
use super::many::{CHUNK, level_of};
use crate::arch::{Access, AccessKind, PageSize};
use crate::model::alone::Found;
use crate::model::port::Request;
use crate::model::recents::Tally;

/// A translation, and those after it, up to the next run, that stay on the page of their stream.
///
/// The data references among those are reads; and writes, if one of a run of that page came before, and none of another since.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// The kind of the first translation.
    pub kind: AccessKind,
    /// An address in the page of the first translation.
    pub va: u64,
    /// Fetches, the first translation included.
    pub fetches: u32,
    /// Reads and writes, the first translation included.
    pub data: u32,
}

/// Why runs cannot be taken further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unserved {
    /// `prepare` said so.
    Stopped,
    /// What happens depends on the order, or the kinds, of references that a run does not keep apart; the address of a page among theirs.
    Order(u64),
}

/// The page of a stream, and the kind of the last run there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stage(u64);

impl Stage {
    /// Before the first run.
    const NONE: Self = Self(u64::MAX);

    #[inline(always)]
    const fn new(va: u64, kind: AccessKind) -> Self {
        Self(va & !3 | kind as u64)
    }

    fn get(self) -> Option<(u64, AccessKind)> {
        let kind = AccessKind::ALL.get((self.0 & 3) as usize)?;
        Some((self.0 & !3, *kind))
    }
}

/// The stage of the streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    at: [Stage; 2],
    /// What a hit on the page of each stream counts, if both of them would hit; else what no hit counts.
    hit: [Tally; 2],
}

impl Streams {
    pub const NEW: Self = Self {
        at: [Stage::NONE; 2],
        hit: [Tally::NEVER; 2],
    };
}

/// What the first translation of a run comes to.
enum First {
    /// It hits as those that stay.
    Hits,
    /// It missed, which is yet to be counted; those that stay hit as they did before on other pages.
    Missed,
    /// Something else; at most a hit was touched.
    Otherwise,
}

impl FrontEnd {
    /// Whether this machine can be fed runs, or why not.
    ///
    /// # Errors
    /// What it has that would need the references one by one.
    pub fn takes_runs(&self) -> Result<(), &'static str> {
        let first_levels = [
            (0, AccessKind::Fetch),
            (1, AccessKind::Read),
            (1, AccessKind::Write),
        ];
        let keeps_4k = |&(level, kind): &(usize, AccessKind)| {
            let places = self.mmu.places.of(level, kind);
            places.of_kept_size(PageSize::Size4K).is_some()
        };
        if self.window > 1 {
            Err("a window of more than one reference")
        } else if self.mmu.spec.prefetch {
            Err("a prefetch beside the references")
        } else if self.mmu.recent.is_split() {
            Err("arrays of the DTLB for reads or for writes alone")
        } else if !first_levels.iter().all(keeps_4k) {
            Err("a first level that keeps no 4 KiB page")
        } else {
            Ok(())
        }
    }

    /// The next references, as runs, which `run` draws from `runs`, all with the privilege, AC and PKRU of `access`. [`FrontEnd::takes_runs`] must hold, and the last of
    /// all runs must be of one reference. `prepare` is as in [`FrontEnd::translate_all`].
    ///
    /// # Errors
    /// [`Unserved`]; nothing may then be asked of the machine any more.
    pub fn translate_runs<R: Copy>(
        &mut self,
        runs: &[R],
        access: &Access,
        run: impl Fn(R) -> Run,
        prepare: &mut impl FnMut(&mut Self, u64) -> bool,
    ) -> Result<(), Unserved> {
        debug_assert!(self.takes_runs().is_ok());
        self.mmu.enter(access);
        self.lean = self.mmu.lean(&self.memory);
        for chunk in runs.chunks(CHUNK) {
            if self.expects_misses() {
                self.expect(chunk.iter().map(|next| {
                    let Run { kind, va, .. } = run(*next);
                    (kind, va)
                }));
            }
            self.take_chunk(chunk, access, &run, prepare)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn take_chunk<R: Copy>(
        &mut self,
        runs: &[R],
        access: &Access,
        run: &impl Fn(R) -> Run,
        prepare: &mut impl FnMut(&mut Self, u64) -> bool,
    ) -> Result<(), Unserved> {
        let (mut fetches, mut data) = (0, 0);
        let mut ends_with_miss = false;
        for next in runs {
            let Run { kind, va, .. } = run(*next);
            // Which stream comes next cannot be foretold: what depends on it is found by an index that the compiler does not see through,
            // since it would make branches of it.
            let level = std::hint::black_box(level_of(kind)) & 1;
            self.streams.at[level] = Stage::new(va, kind);
            ends_with_miss = false;
            let counts = run(*next);
            fetches += u64::from(counts.fetches);
            data += u64::from(counts.data);
            if self.mmu.recent.tally(level, va, kind) == Some(self.streams.hit[level]) {
                continue;
            }
            match self.first_of_run(kind, va, prepare)? {
                First::Hits => {}
                First::Missed => {
                    ends_with_miss = true;
                    fetches -= 1 - level as u64;
                    data -= level as u64;
                }
                First::Otherwise => {
                    fetches -= u64::from(counts.fetches);
                    data -= u64::from(counts.data);
                    self.count_so_far([fetches, data]);
                    (fetches, data) = (0, 0);
                    self.take_run(run(*next), access, prepare)?;
                }
            }
        }
        let missed = self.count_so_far([fetches, data]);
        // Of several references the last is not known: then there are more to come.
        if let (Some(cycles), true) = (missed, ends_with_miss) {
            self.end_after(cycles);
        } else if let Some(last) = runs.last()
            && fetches + data > 0
        {
            self.end_with_hit(level_of(run(*last).kind));
        }
        Ok(())
    }

    /// Counts references that hit, and the misses among them: the cycles of the last of those.
    #[inline(never)]
    fn count_so_far(&mut self, hits: [u64; 2]) -> Option<u64> {
        self.count_repeats(hits, self.streams.hit);
        self.count_misses()
    }

    /// What the first translation of a run comes to, which does not stand among the pages hit last as one that counts what those that stay do.
    #[inline(never)]
    fn first_of_run(
        &mut self,
        kind: AccessKind,
        va: u64,
        prepare: &mut impl FnMut(&mut Self, u64) -> bool,
    ) -> Result<First, Unserved> {
        let level = level_of(kind);
        let hit = self.streams.hit[level];
        let found = match self.hit_lean(va, kind) {
            Found::Otherwise if self.lean.is_none() => {
                let found = self.mmu.hit_simply(level, va, kind);
                found.map_or(Found::Otherwise, Found::Hit)
            }
            found => found,
        };
        match found {
            Found::Hit(found) if found == hit => Ok(First::Hits),
            // A walk touches the STLB, and of the first levels its own alone: on the page of the other stream all hit as before.
            Found::Absent if hit != Tally::NEVER && self.mmu.hits_as_filled[level] => {
                if !prepare(self, va) {
                    return Err(Unserved::Stopped);
                }
                Ok(if self.miss_lean(va, kind) {
                    First::Missed
                } else {
                    First::Otherwise
                })
            }
            _ => Ok(First::Otherwise),
        }
    }

    /// Counts references that hit.
    fn count_repeats(&mut self, counts: [u64; 2], hit: [Tally; 2]) {
        for level in 0..2 {
            if counts[level] > 0 {
                let by_size = hit[level].of(level).map(|one| one * counts[level]);
                self.count_hits_alone(level, by_size);
            }
        }
    }

    /// A run whose first translation is not known to hit as those of its stream did before.
    #[inline(never)]
    fn take_run(
        &mut self,
        run: Run,
        access: &Access,
        prepare: &mut impl FnMut(&mut Self, u64) -> bool,
    ) -> Result<(), Unserved> {
        let level = level_of(run.kind);
        let mut left = [u64::from(run.fetches), u64::from(run.data)];
        left[level] = left[level].saturating_sub(1);
        self.take_one(level, access, prepare)?;
        if let Some(hits) = self.account(left, access) {
            self.count_repeats(left, hits);
            return Ok(());
        }
        self.take_lost(left, access, prepare)?;
        self.account([0; 2], access);
        Ok(())
    }

    /// One translation on the page of the stream of `level`, one by one.
    fn take_one(
        &mut self,
        level: usize,
        access: &Access,
        prepare: &mut impl FnMut(&mut Self, u64) -> bool,
    ) -> Result<(), Unserved> {
        let Some((va, kind)) = self.streams.at[level].get() else {
            return Ok(());
        };
        let hit = self.next_alone(kind, va, access, Tally::default(), prepare);
        let hit = hit.ok_or(Unserved::Stopped)?;
        if let Some(cycles) = self.count_misses() {
            self.end_after(cycles);
        }
        self.count_alone(hit, hit);
        Ok(())
    }

    /// What hits on the pages of all streams count, if they would hit, where so many references of each are left. Where a hit changes what a
    /// fill left, and there is none yet, the next run of either stream settles this again.
    fn account(&mut self, left: [u64; 2], access: &Access) -> Option<[Tally; 2]> {
        self.streams.hit = [Tally::NEVER; 2];
        let mut hits = [Tally::NEVER; 2];
        let mut settled = true;
        for level in 0..2 {
            if self.streams.at[level].get().is_none() {
                continue;
            }
            if left[level] == 0 && !self.mmu.hits_as_filled[level] {
                // A hit in time past is as good as any; without one it is not known.
                let (va, kind) = self.streams.at[level].get()?;
                match self.mmu.recent.tally(level, va, kind) {
                    Some(hit) => hits[level] = hit,
                    None => settled = false,
                }
            } else {
                hits[level] = self.would_hit(level, access)?;
            }
        }
        if settled {
            self.streams.hit = hits;
        }
        Some(hits)
    }

    /// What a hit on the page of the stream of `level` counts, if it would hit; it is touched. Either that is what the level touched last,
    /// so that this changes nothing, or there is a reference left that touches it.
    fn would_hit(&mut self, level: usize, access: &Access) -> Option<Tally> {
        let (va, kind) = self.streams.at[level].get()?;
        let recent = |front_end: &Self| front_end.mmu.recent.tally(level, va, kind);
        recent(self).or_else(|| {
            let mut request = Request {
                va,
                access: Access { kind, ..*access },
                id: 0,
            };
            self.mmu.cut(&mut request);
            self.mmu.look_up_alone(level, &request).ok()?;
            recent(self)
        })
    }

    /// References that stay on their pages, where not all of those would hit.
    ///
    /// Where a page was written before, those of data are reads or writes. One that misses is counted by its kind, so that it must be known;
    /// and beside a piece of a page with D clear, which may outlive the walk that sets D, only writes would miss. And where memory spaces what
    /// it accepts, it matters how many hits come between two walks.
    fn take_lost(
        &mut self,
        left: [u64; 2],
        access: &Access,
        prepare: &mut impl FnMut(&mut Self, u64) -> bool,
    ) -> Result<(), Unserved> {
        for level in 0..2 {
            let other = 1 - level;
            let mut count = left[level];
            while count > 0 {
                if let Some(hit) = self.would_hit(level, access) {
                    let mut counts = [0; 2];
                    counts[level] = count;
                    self.count_repeats(counts, [hit; 2]);
                    break;
                }
                // This one changes the machine, so that those of the other stream, before it and after it, must hit.
                let must_hit = left[other] > 0;
                let (page, kind) = self.streams.at[level]
                    .get()
                    .unwrap_or((0, AccessKind::Write));
                let may_be_either = matches!(kind, AccessKind::Write);
                let in_order = may_be_either || must_hit && self.memory.spaces_accepts();
                if in_order || must_hit && self.would_hit(other, access).is_none() {
                    return Err(Unserved::Order(page));
                }
                self.refused = false;
                self.take_one(level, access, prepare)?;
                if self.refused || must_hit && self.would_hit(other, access).is_none() {
                    return Err(Unserved::Order(page));
                }
                count -= 1;
            }
        }
        Ok(())
    }
}
