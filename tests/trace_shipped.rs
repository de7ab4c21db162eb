//! The trace that comes with the project is whole, and has the numbers that its page and everybody's tables rest on.
//!
//! Contract: none. SDM: none. Counterpart: `traces/README.md`.

use std::path::Path;

use twinwalk::arch::Capabilities;
use twinwalk::trace::{
    Compression, Counts, Mapping, MappingSpec, OpenOptions, PageSet, PageSplit, References,
    TraceFormat, info, open,
};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/traces/gcc10m.twt.zst");

#[test]
fn the_shipped_trace_has_the_counts_that_its_page_states() {
    let mut reader = open::open(Path::new(SHIPPED), OpenOptions::default()).expect("opens");
    let found = info::info(&mut reader).expect("reads to the end");
    assert_eq!(found.format, TraceFormat::Binary);
    assert_eq!(found.source, Some(TraceFormat::Lackey));
    assert_eq!(found.compression, Some(Compression::Zstd));
    assert_eq!(found.references, 10_023_105);
    assert_eq!(
        found.counts,
        Counts {
            fetches: 6_943_919,
            loads: 1_993_327,
            stores: 1_085_859
        }
    );
    let translations = found.translations.expect("references, one by one");
    assert_eq!(translations.fetches, 6_943_919);
    assert_eq!(translations.loads + translations.stores, 3_079_242);
    assert_eq!(found.instructions, Some(6_943_919));
    assert_eq!(
        (
            found.pages.size_4k,
            found.pages.size_2m,
            found.pages.size_1g
        ),
        (1316, 22, 2)
    );
    let length = std::fs::metadata(SHIPPED).expect("is there").len();
    assert_eq!(found.file_bytes, length);
}

#[test]
fn the_shipped_trace_fits_into_a_default_machine() {
    let reader = open::open(Path::new(SHIPPED), OpenOptions::default()).expect("opens");
    let mut pages = PageSet::new();
    for part in PageSplit::new(References::new(reader)) {
        pages.insert(part.expect("reads").address());
    }
    let capabilities = Capabilities::new(46, true, true).expect("a width in range");
    let mapping = Mapping::new(&MappingSpec::default(), &capabilities, None).expect("valid");
    let entries = mapping.build_for(&pages).expect("fits");
    // A PTE a page, a PDE for each 2 MiB, a PDPTE for each 1 GiB, one PML4E.
    assert_eq!(entries.len(), 1316 + 22 + 2 + 1);
}
