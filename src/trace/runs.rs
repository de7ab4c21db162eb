//! References as runs: which translations change page within their stream, and how many stay, but not which of those comes when.
//!
//! Contract: 3 (the split at a page), 13.1 with a window of 1. SDM: none. Counterpart: none. `docs/traces.md` says what runs can serve.
//!
//! There are two streams of translations, fetches and data. A run begins where a translation is on another page than the one before it in
//! its stream, or is the first store on that page; and with the last translation of all, so that it is known.

use super::reference::{MemoryReference, ReferenceKind};
use crate::arch::PageSize;

/// A translation, and those from there to the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Run {
    /// The page number of the first, and its kind in the low two bits.
    head: u64,
    fetches: u32,
    data: u32,
}

impl Run {
    /// A run of one translation of `kind` on the page of that number, below 2^52.
    #[inline]
    pub const fn single(kind: ReferenceKind, page: u64) -> Self {
        let fetch = matches!(kind, ReferenceKind::Fetch);
        Self {
            head: page << 2 | kind as u64,
            fetches: fetch as u32,
            data: !fetch as u32,
        }
    }

    /// The same with so many translations, the first included; none if it is not.
    #[inline]
    pub const fn new(kind: ReferenceKind, page: u64, fetches: u32, data: u32) -> Option<Self> {
        let first = Self::single(kind, page);
        if fetches < first.fetches || data < first.data {
            return None;
        }
        Some(Self {
            fetches,
            data,
            ..first
        })
    }

    /// The kind of the first translation.
    #[inline(always)]
    pub const fn kind(&self) -> ReferenceKind {
        match self.head & 3 {
            0 => ReferenceKind::Fetch,
            1 => ReferenceKind::Load,
            _ => ReferenceKind::Store,
        }
    }

    /// The first address of the page of the first translation.
    #[inline(always)]
    pub const fn address(&self) -> u64 {
        self.head >> 2 << PageSize::Size4K.shift()
    }

    /// The number of that page.
    #[inline]
    pub const fn page(&self) -> u64 {
        self.head >> 2
    }

    /// Fetches, the first translation included.
    #[inline(always)]
    pub const fn fetches(&self) -> u32 {
        self.fetches
    }

    /// Loads and stores, the first translation included.
    #[inline(always)]
    pub const fn data(&self) -> u32 {
        self.data
    }

    /// Translations in all.
    #[inline]
    pub const fn translations(&self) -> u64 {
        self.fetches as u64 + self.data as u64
    }
}

/// No page has this number.
const NO_PAGE: u64 = u64::MAX;

/// Makes runs of references.
#[derive(Debug, Clone)]
pub struct RunBuilder {
    /// The page of each stream, fetches and data.
    at: [u64; 2],
    /// A store was on the page of data.
    stored: bool,
    run: Option<Run>,
    last: (ReferenceKind, u64),
}

impl Default for RunBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl RunBuilder {
    /// Without references.
    pub const fn new() -> Self {
        Self {
            at: [NO_PAGE; 2],
            stored: false,
            run: None,
            last: (ReferenceKind::Fetch, 0),
        }
    }

    /// The next reference of the program. Runs that end before it are handed to `put`.
    #[inline]
    pub fn push(&mut self, reference: MemoryReference, put: &mut impl FnMut(Run)) {
        let (first, second) = reference.split();
        self.translate(first, put);
        if let Some(second) = second {
            self.translate(second, put);
        }
    }

    fn translate(&mut self, part: MemoryReference, put: &mut impl FnMut(Run)) {
        let (kind, page) = (part.kind(), part.page());
        let stream = usize::from(kind != ReferenceKind::Fetch);
        let store = kind == ReferenceKind::Store;
        let stays = self.at[stream] == page && (!store || self.stored);
        self.last = (kind, page);
        if stays && let Some(run) = &mut self.run {
            let count = if stream == 0 {
                &mut run.fetches
            } else {
                &mut run.data
            };
            if let Some(more) = count.checked_add(1) {
                *count = more;
                return;
            }
        }
        if stream == 1 {
            self.stored = store || self.stored && self.at[1] == page;
        }
        self.at[stream] = page;
        if let Some(run) = self.run.replace(Run::single(kind, page)) {
            put(run);
        }
    }

    /// Hands out what there is, so that the next translation begins a run, on whatever page.
    pub fn cut(&mut self, put: &mut impl FnMut(Run)) {
        if let Some(run) = self.run.take() {
            put(run);
        }
    }

    /// The last runs.
    pub fn finish(self, put: &mut impl FnMut(Run)) {
        let Some(mut run) = self.run else { return };
        let (kind, page) = self.last;
        if run.translations() > 1 {
            if kind == ReferenceKind::Fetch {
                run.fetches -= 1;
            } else {
                run.data -= 1;
            }
            put(run);
            run = Run::single(kind, page);
        }
        put(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ReferenceKind::{Fetch, Load, Store};

    fn runs(references: &[(ReferenceKind, u64)]) -> Vec<(ReferenceKind, u64, u32, u32)> {
        let mut builder = RunBuilder::new();
        let mut runs = Vec::new();
        let mut put = |run: Run| runs.push((run.kind(), run.page(), run.fetches(), run.data()));
        for (kind, address) in references {
            let reference = MemoryReference::new(*kind, *address, 8).expect("a size in range");
            builder.push(reference, &mut put);
        }
        builder.finish(&mut put);
        runs
    }

    #[test]
    fn a_run_begins_with_another_page_of_its_stream_with_the_first_store_and_with_the_last_of_all()
    {
        let found = runs(&[
            (Fetch, 0x1000),
            (Load, 0x5000),
            (Fetch, 0x1008),
            (Load, 0x5008),
            (Store, 0x5000),
            (Load, 0x5008),
            (Store, 0x5010),
            (Fetch, 0x1010),
            (Fetch, 0x2000),
            (Load, 0x6000),
            (Load, 0x5000),
            (Store, 0x5000),
            (Load, 0x5000),
        ]);
        let expected = [
            (Fetch, 1, 1, 0),
            (Load, 5, 1, 2),
            (Store, 5, 1, 3),
            (Fetch, 2, 1, 0),
            (Load, 6, 0, 1),
            (Load, 5, 0, 1),
            (Store, 5, 0, 1),
            (Load, 5, 0, 1),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_access_that_crosses_a_page_is_two_translations() {
        assert_eq!(runs(&[(Load, 0x1ffc)]), [(Load, 1, 0, 1), (Load, 2, 0, 1)]);
        assert_eq!(runs(&[]), []);
    }

    #[test]
    fn a_run_does_not_count_less_than_its_first_translation() {
        assert_eq!(Run::new(Fetch, 1, 0, 5), None);
        assert_eq!(Run::new(Store, 1, 5, 0), None);
        assert_eq!(Run::new(Fetch, 1, 1, 0), Some(Run::single(Fetch, 1)));
    }
}
