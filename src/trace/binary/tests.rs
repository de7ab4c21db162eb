//! Tests of the binary form: what is written is what is read, and nothing that is damaged passes.
//!
//! Contract: none. SDM: none. Counterpart: `writer.rs`, `reader.rs`.

use std::io::Cursor;

use proptest::prelude::*;

use super::super::error::TraceError;
use super::super::input::Input;
use super::super::open::{Metadata, References, TraceFormat, TraceReader};
use super::super::reference::MemoryReference;
use super::*;

const METADATA: Metadata = Metadata {
    source: Some(TraceFormat::Lackey),
    fetches_are_instructions: true,
};

fn write(references: &[MemoryReference]) -> Vec<u8> {
    let mut writer = BinaryWriter::new(Vec::new(), METADATA).expect("writes to memory");
    for &reference in references {
        writer.push(reference).expect("writes to memory");
    }
    writer.finish().expect("writes to memory").0
}

fn read(bytes: &[u8]) -> Result<Vec<MemoryReference>, TraceError> {
    let input = Input::new("t", Cursor::new(bytes.to_vec()), None)?;
    References::new(BinaryReader::new(input)?).collect()
}

fn reference(kind: ReferenceKind, address: u64, size_bytes: u16) -> MemoryReference {
    MemoryReference::new(kind, address, size_bytes).expect("a size in range")
}

/// Two instructions, a load, an increment in place, a far store of an odd size.
fn small() -> Vec<MemoryReference> {
    use ReferenceKind::{Fetch, Load, Store};
    vec![
        reference(Fetch, 0x40_1000, 3),
        reference(Fetch, 0x40_1003, 5),
        reference(Load, 0x7fff_ffff_e000, 8),
        reference(Load, 0x60_0000, 4),
        reference(Store, 0x60_0000, 4),
        reference(Store, 0xffff_8000_0000_0000, 77),
    ]
}

/// A block of a made-up kind, put before the trailer of an empty trace.
fn with_foreign_block(kind: [u8; 4]) -> Vec<u8> {
    let foreign = BlockHeader {
        kind,
        payload_bytes: 3,
        payload_crc: crc32fast::hash(b"abc"),
        counts: BlockCounts::default(),
        first_reference: 0,
    }
    .to_bytes();
    let totals = Totals {
        blocks: 1,
        blocks_crc: crc32fast::hash(&foreign[36..40]),
        ..Totals::default()
    }
    .to_bytes();
    let end = BlockHeader {
        kind: KIND_END,
        payload_bytes: TOTALS_BYTES as u32,
        payload_crc: crc32fast::hash(&totals),
        counts: BlockCounts::default(),
        first_reference: 0,
    };
    let header = &write(&[])[..HEADER_BYTES];
    [header, &foreign, b"abc", &end.to_bytes(), &totals].concat()
}

/// A small trace whose one block has another payload, with every checksum right.
fn with_payload(payload: &[u8], counts: BlockCounts) -> Vec<u8> {
    let header = BlockHeader {
        kind: KIND_REFERENCES,
        payload_bytes: payload.len() as u32,
        payload_crc: crc32fast::hash(payload),
        counts,
        first_reference: 0,
    };
    [&write(&[])[..HEADER_BYTES], &header.to_bytes(), payload].concat()
}

#[test]
fn what_is_written_is_what_is_read() {
    assert_eq!(read(&write(&small())).expect("reads"), small());
    assert_eq!(read(&write(&[])).expect("reads"), []);
}

#[test]
fn the_header_says_what_the_trace_came_from() {
    let input = Input::new("t", Cursor::new(write(&[])), None).expect("opens");
    assert_eq!(
        BinaryReader::new(input).expect("reads").metadata(),
        METADATA
    );
}

#[test]
fn sequential_code_takes_one_byte_an_instruction() {
    let code: Vec<_> = (0..10_000u64)
        .map(|index| reference(ReferenceKind::Fetch, 0x40_0000 + 4 * index, 4))
        .collect();
    let overhead = HEADER_BYTES + 2 * BLOCK_HEADER_BYTES + TOTALS_BYTES;
    assert_eq!(write(&code).len(), 10_000 + overhead + 5);
}

#[test]
fn every_truncation_is_refused() {
    let whole = write(&small());
    for length in 0..whole.len() {
        let error = read(&whole[..length]).expect_err("a cut trace");
        assert!(
            matches!(error, TraceError::Truncated { .. }),
            "{length}: {error}"
        );
        assert!(
            error.to_string().contains(&format!("byte {length}")),
            "{error}"
        );
    }
}

#[test]
fn every_flip_of_a_bit_is_refused() {
    let whole = write(&small());
    for bit in 0..8 * whole.len() {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = read(&flipped).expect_err("a flipped bit");
        assert!(
            matches!(error, TraceError::Corrupt { .. }),
            "bit {bit}: {error}"
        );
    }
}

#[test]
fn what_follows_the_end_is_refused() {
    let mut longer = write(&small());
    longer.push(0);
    let error = read(&longer).expect_err("a trailing byte");
    assert!(error.to_string().contains("something follows"), "{error}");
}

#[test]
fn a_missing_or_doubled_block_is_refused() {
    let many: Vec<_> = (0..3 * BLOCK_REFERENCES)
        .map(|_| reference(ReferenceKind::Load, 0x60_0000, 8))
        .collect();
    let whole = write(&many);
    assert_eq!(read(&whole).expect("reads"), many);
    let block = (whole.len() - HEADER_BYTES - BLOCK_HEADER_BYTES - TOTALS_BYTES) / 3;
    let (head, rest) = whole.split_at(HEADER_BYTES);
    let (first, others) = rest.split_at(block);
    let missing = [head, others].concat();
    let doubled = [head, first, first, others].concat();
    for damaged in [missing, doubled] {
        let error = read(&damaged).expect_err("blocks out of order");
        assert!(
            error.to_string().contains("missing or out of order"),
            "{error}"
        );
    }
}

#[test]
fn a_block_of_another_trace_is_refused() {
    let (mine, other) = (
        small(),
        small().into_iter().map(|r| r.with_kind(r.kind())).rev(),
    );
    let (mine, other) = (write(&mine), write(&other.collect::<Vec<_>>()));
    let cut = mine.len() - BLOCK_HEADER_BYTES - TOTALS_BYTES;
    let other_cut = other.len() - BLOCK_HEADER_BYTES - TOTALS_BYTES;
    let grafted = [&other[..other_cut], &mine[cut..]].concat();
    let error = read(&grafted).expect_err("a foreign block");
    assert!(error.to_string().contains("totals do not agree"), "{error}");
}

#[test]
fn an_unknown_block_is_skipped_if_its_kind_begins_in_lower_case_and_refused_otherwise() {
    assert_eq!(read(&with_foreign_block(*b"note")).expect("reads"), []);
    let error = read(&with_foreign_block(*b"RUNS")).expect_err("an unknown kind");
    assert!(
        matches!(error, TraceError::TooNew { offset: 32, .. }),
        "{error}"
    );
}

#[test]
fn a_newer_version_and_an_unknown_flag_are_refused_as_such() {
    for (at, value) in [(8, 2), (12, 0x80)] {
        let mut newer = write(&small());
        newer[at] = value;
        let crc = crc32fast::hash(&newer[..28]).to_le_bytes();
        newer[28..32].copy_from_slice(&crc);
        let error = read(&newer).expect_err("too new");
        assert!(
            matches!(error, TraceError::TooNew { offset, .. } if offset == at as u64),
            "{error}"
        );
    }
}

#[test]
fn a_length_that_cannot_be_is_refused_before_it_is_allocated() {
    let header = BlockHeader {
        kind: KIND_REFERENCES,
        payload_bytes: u32::MAX,
        payload_crc: 0,
        counts: BlockCounts {
            total: 1,
            fetches: 0,
            loads: 1,
        },
        first_reference: 0,
    };
    let bytes = [&write(&[])[..HEADER_BYTES], &header.to_bytes()].concat();
    let error = read(&bytes).expect_err("a length that cannot be");
    assert!(
        error
            .to_string()
            .contains("byte 32: a block says that it has 4294967295 bytes"),
        "{error}"
    );
}

#[test]
fn codes_that_do_not_exist_are_refused_even_with_right_checksums() {
    let load = |tag: u8, operands: &[u8]| {
        let counts = BlockCounts {
            total: 1,
            fetches: 0,
            loads: 1,
        };
        read(&with_payload(&[&[tag], operands].concat(), counts))
            .expect_err("a wrong code")
            .to_string()
    };
    let miscoded = "coded in a way that does not exist";
    assert!(
        load(5 << 4 | 13, &[]).contains(miscoded),
        "a size that does not exist"
    );
    assert!(load(5 << 4, &[0, 0]).contains(miscoded), "a size of 0");
    assert!(load(5 << 4, &[1, 16]).contains(miscoded), "a size of 4097");
    assert!(
        load(6 << 4 | 1, &[]).contains("has not what its header says"),
        "no operand"
    );
    assert!(
        load(5 << 4 | 1, &[9]).contains("has not what its header says"),
        "an operand too many"
    );
    assert!(
        load(4, &[]).contains("has not what its header says"),
        "a fetch for a load"
    );
    assert!(
        load(5 << 4 | 1, &[]).contains("cut off"),
        "a right code, and then no trailer"
    );
}

fn any_reference() -> impl Strategy<Value = MemoryReference> {
    let kind = prop::sample::select(ReferenceKind::ALL.to_vec());
    let address = prop_oneof![
        any::<u64>(),
        0u64..0x10_0000,
        (0u64..1 << 40).prop_map(|a| a | 0xffff << 48)
    ];
    let size_bytes = prop_oneof![1..20u16, 1..=MemoryReference::MAX_SIZE_BYTES];
    (kind, address, size_bytes).prop_map(|(kind, address, size)| reference(kind, address, size))
}

proptest! {
    #[test]
    fn any_references_come_back(references in prop::collection::vec(any_reference(), 0..400)) {
        prop_assert_eq!(read(&write(&references)).expect("reads"), references);
    }

    #[test]
    fn arbitrary_bytes_behind_a_right_header_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let start = &write(&[])[..HEADER_BYTES];
        prop_assert!(read(&[start, &bytes].concat()).is_err());
        read(&bytes).expect_err("no magic");
    }

    #[test]
    fn an_arbitrary_payload_with_right_checksums_never_panics(
        payload in prop::collection::vec(any::<u8>(), 1..200), total in 1..40u32, fetches in 0..40u32, loads in 0..40u32,
    ) {
        let counts = BlockCounts { total, fetches, loads };
        prop_assert!(read(&with_payload(&payload, counts)).is_err());
    }
}
