//! What is in a trace: references by kind, translations, distinct pages.
//!
//! Contract: section 3 (the split at a page, which the number of translations follows). SDM: none. Counterpart: none.

use serde::Serialize;

use super::binary::RunReader;
use super::error::TraceError;
use super::file::Compression;
use super::open::{TraceFormat, TraceReader};
use super::pages::PageSet;
use super::reference::{Counts, ReferenceKind};
use super::runs::Run;
use crate::arch::PageSize;

/// What one pass over a trace finds out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceInfo {
    /// The format of the file.
    pub format: TraceFormat,
    /// The format that the trace was first read from, if it is known.
    pub source: Option<TraceFormat>,
    /// What is assumed because that format does not say so; one sentence each.
    pub assumptions: &'static [&'static str],
    /// What that format leaves out, where that is most of a program.
    pub incomplete: Option<&'static str>,
    /// How the file is compressed.
    pub compression: Option<Compression>,
    /// Length of the file in bytes, compressed as it is.
    pub file_bytes: u64,
    /// References in all.
    pub references: u64,
    /// Runs, if the file has these in place of references.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
    /// References by kind. A modify is a load and a store.
    pub counts: Counts,
    /// Translations by kind: references, those that cross a 4 KiB page counted twice. Runs do not keep loads and stores apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translations: Option<Counts>,
    /// Instructions; `None` where fetches do not say, or there are none.
    pub instructions: Option<u64>,
    /// Distinct pages that are touched, by page size.
    pub pages: PageCounts,
}

/// Distinct pages, if all were of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PageCounts {
    /// Pages of 4 KiB.
    #[serde(rename = "4k")]
    pub size_4k: u64,
    /// Pages of 2 MiB.
    #[serde(rename = "2m")]
    pub size_2m: u64,
    /// Pages of 1 GiB.
    #[serde(rename = "1g")]
    pub size_1g: u64,
}

impl PageCounts {
    /// The pages of a set.
    pub fn of(pages: &PageSet) -> Self {
        Self {
            size_4k: pages.count(PageSize::Size4K),
            size_2m: pages.count(PageSize::Size2M),
            size_1g: pages.count(PageSize::Size1G),
        }
    }
}

/// Reads `reader` to its end. Memory grows with the number of distinct pages, not with the length.
///
/// # Errors
/// What is wrong with the trace.
pub fn info(reader: &mut dyn TraceReader) -> Result<TraceInfo, TraceError> {
    let mut counts = Counts::default();
    let mut translations = Counts::default();
    let mut pages = PageSet::new();
    // Most references stay on the page of the one before them of their kind, which is in the set already.
    let mut last = [u64::MAX; ReferenceKind::ALL.len()];
    let mut batch = Vec::new();
    loop {
        reader.read_batch(&mut batch)?;
        if batch.is_empty() {
            break;
        }
        for &reference in &batch {
            counts.add(reference.kind());
            let (first, second) = reference.split();
            for part in [Some(first), second].into_iter().flatten() {
                translations.add(part.kind());
                let last = &mut last[part.kind() as usize];
                if *last != part.page() {
                    *last = part.page();
                    pages.insert(part.address());
                }
            }
        }
    }
    let metadata = reader.metadata();
    Ok(TraceInfo {
        format: reader.format(),
        source: metadata.source,
        assumptions: metadata.source.map_or(&[], TraceFormat::assumptions),
        incomplete: metadata.source.and_then(TraceFormat::incomplete),
        compression: reader.compression(),
        file_bytes: reader.consumed_bytes(),
        references: counts.total(),
        runs: None,
        counts,
        translations: Some(translations),
        instructions: (metadata.fetches_are_instructions && counts.fetches > 0)
            .then_some(counts.fetches),
        pages: PageCounts::of(&pages),
    })
}

/// The same of runs.
///
/// # Errors
/// What is wrong with the trace.
pub fn info_of_runs(reader: &mut RunReader) -> Result<TraceInfo, TraceError> {
    let (mut counts, mut runs, mut pages) = (Counts::default(), 0, PageSet::new());
    let mut batch = Vec::new();
    loop {
        let block = reader.read_block(&mut batch)?;
        if batch.is_empty() {
            break;
        }
        counts.fetches += block.references.fetches;
        counts.loads += block.references.loads;
        counts.stores += block.references.stores;
        runs += batch.len() as u64;
        pages.extend(batch.iter().map(Run::address));
    }
    let metadata = reader.metadata();
    Ok(TraceInfo {
        format: TraceFormat::Binary,
        source: metadata.source,
        assumptions: metadata.source.map_or(&[], TraceFormat::assumptions),
        incomplete: metadata.source.and_then(TraceFormat::incomplete),
        compression: reader.compression(),
        file_bytes: reader.consumed_bytes(),
        references: counts.total(),
        runs: Some(runs),
        counts,
        translations: None,
        instructions: (metadata.fetches_are_instructions && counts.fetches > 0)
            .then_some(counts.fetches),
        pages: PageCounts::of(&pages),
    })
}
