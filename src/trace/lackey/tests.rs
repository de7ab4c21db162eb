//! Tests of the reader of lackey text: what is accepted, what is refused and where, and that nothing makes it panic.
//!
//! Contract: none. SDM: none. Counterpart: `../lackey.rs`.

use super::*;
use proptest::prelude::*;
use std::io::Cursor;

fn read(text: &[u8]) -> (Vec<MemoryReference>, Option<TraceError>) {
    let input = Input::new("t", Cursor::new(text.to_vec()), None).expect("opens");
    let mut reader = LackeyReader::new(input);
    let (mut all, mut batch) = (Vec::new(), Vec::new());
    loop {
        match reader.read_batch(&mut batch) {
            Ok(()) if batch.is_empty() => return (all, None),
            Ok(()) => all.append(&mut batch),
            Err(error) => return (all, Some(error)),
        }
    }
}

fn reference(kind: ReferenceKind, address: u64, size_bytes: u16) -> MemoryReference {
    MemoryReference::new(kind, address, size_bytes).expect("a size in range")
}

#[test]
fn lines_of_each_kind_are_read_and_a_modify_is_a_load_and_a_store() {
    let text = b"==12== Lackey\nI  04001000,3\n L 1ffeffe7e8,8\n\n S 04002000,16\n M ffffffffffffffff,512\n==12== end\n";
    let (references, error) = read(text);
    assert!(error.is_none());
    assert_eq!(
        references,
        [
            reference(ReferenceKind::Fetch, 0x0400_1000, 3),
            reference(ReferenceKind::Load, 0x1f_feff_e7e8, 8),
            reference(ReferenceKind::Store, 0x0400_2000, 16),
            reference(ReferenceKind::Load, u64::MAX, 512),
            reference(ReferenceKind::Store, u64::MAX, 512),
        ]
    );
}

#[test]
fn short_addresses_capitals_and_carriage_returns_are_read() {
    let (references, error) = read(b"I 400d7d4,8\r\n L 7FF000398,8\r\n S 10,1\n");
    assert!(error.is_none());
    let addresses: Vec<u64> = references.iter().map(|r| r.address()).collect();
    assert_eq!(addresses, [0x400_d7d4, 0x7_ff00_0398, 0x10]);
}

#[test]
fn an_error_names_line_and_byte_and_comes_after_what_was_read_before_it() {
    for bad in [
        " L 04002000,0",
        " L 04002000,4097",
        " L 04002000,x",
        " L 0400200g,8",
        "hello, world",
        " L 00000000000000001,8",
        " X 04002000,8",
        " L 04002000",
        " L ,8",
        "==x== hello",
        "I  04001000,3 ,",
        "=",
    ] {
        let text = format!("==1== x\nI  04001000,3\n{bad}\nI  04001000,3\n");
        let (references, error) = read(text.as_bytes());
        assert_eq!(references.len(), 1, "{bad}");
        let error = error.expect(bad);
        assert!(
            matches!(
                error,
                TraceError::Line {
                    line: 3,
                    offset: 22,
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            error.to_string().contains("t: line 3, byte 22: "),
            "{error}"
        );
    }
}

#[test]
fn a_last_line_without_an_end_is_refused() {
    let (references, error) = read(b"I  04001000,3\n L 04002000,1");
    assert_eq!(references.len(), 1);
    assert!(
        matches!(
            error,
            Some(TraceError::UnfinishedLine {
                line: 2,
                offset: 14,
                ..
            })
        ),
        "{error:?}"
    );
}

#[test]
fn chatter_longer_than_the_buffer_is_skipped_and_any_other_line_of_that_length_refused() {
    let long = "x".repeat(3 * BUFFER_BYTES);
    let (references, error) = read(format!("==1== {long}\nI  04001000,3\n").as_bytes());
    assert_eq!((references.len(), error.is_none()), (1, true));
    let (references, error) = read(format!("I  04001000,3\n{long}\n").as_bytes());
    assert_eq!(references.len(), 1);
    assert!(
        matches!(
            error,
            Some(TraceError::Line {
                line: 2,
                offset: 14,
                ..
            })
        ),
        "{error:?}"
    );
}

#[test]
fn text_is_recognised_by_its_first_line_that_is_not_chatter() {
    assert!(recognise(b"I  04001000,3\n"));
    assert!(recognise(b"==1== Lackey\n==1== \n L 04001000,3\n"));
    assert!(recognise(b"==1== Lackey\n==1== cut in the mid"));
    assert!(!recognise(b"hello\nI  04001000,3\n"));
    assert!(!recognise(b"==1== Lackey\nhello\n"));
    assert!(!recognise(b""));
    assert!(!recognise(b"\n\n"));
}

#[test]
fn of_all_bytes_only_digits_in_lower_case_pass_as_one_of_eight() {
    for (position, byte) in (0..8).flat_map(|position| (0..=255).map(move |byte| (position, byte)))
    {
        let mut text = *b"00000000";
        text[position] = byte;
        let digit = hex_digit(byte).filter(|_| !byte.is_ascii_uppercase());
        let expected = digit.map(|digit| (digit as u32) << (28 - 4 * position));
        assert_eq!(eight_hex_digits(text), expected, "{byte:#x} at {position}");
    }
}

fn line_text() -> impl Strategy<Value = (String, Vec<MemoryReference>)> {
    (
        0..4u8,
        any::<u64>(),
        0..64u32,
        1..=MemoryReference::MAX_SIZE_BYTES,
    )
        .prop_map(|(kind, address, shift, size)| {
            let address = address >> shift;
            let (letter, kinds): (_, &[_]) = match kind {
                0 => ("I ", &[ReferenceKind::Fetch]),
                1 => (" L", &[ReferenceKind::Load]),
                2 => (" S", &[ReferenceKind::Store]),
                _ => (" M", &[ReferenceKind::Load, ReferenceKind::Store]),
            };
            let references = kinds.iter().map(|&kind| reference(kind, address, size));
            (
                format!("{letter} {address:08x},{size}\n"),
                references.collect(),
            )
        })
}

proptest! {
    #[test]
    fn what_lackey_would_write_is_what_is_read(lines in prop::collection::vec(line_text(), 0..300)) {
        let text: String = lines.iter().map(|(text, _)| text.as_str()).collect();
        let expected: Vec<_> = lines.into_iter().flat_map(|(_, references)| references).collect();
        let (references, error) = read(text.as_bytes());
        prop_assert!(error.is_none());
        prop_assert_eq!(references, expected);
    }

    #[test]
    fn the_fast_way_and_the_slow_way_read_the_same(window in prop::collection::vec(
        prop::sample::select(b"I LSM0189afAFg,,\n\r:/`@".to_vec()), WINDOW_BYTES)
    ) {
        let window: [u8; WINDOW_BYTES] = window.try_into().expect("of that length");
        if let Some((fast, modify, length)) = parse_window(&window) {
            let slow = if modify { Line::Modify(fast) } else { Line::Reference(fast) };
            prop_assert_eq!(parse_line(&window[..length - 1]), Ok(slow));
            prop_assert_eq!(window[length - 1], b'\n');
        }
    }

    #[test]
    fn eight_digits_at_once_are_eight_digits_one_by_one(text in any::<[u8; 8]>(), number in any::<u32>()) {
        let expected = text.iter().try_fold(0, |sum, &byte| match byte {
            b'A'..=b'F' => None,
            _ => Some(sum << 4 | hex_digit(byte)?),
        });
        prop_assert_eq!(eight_hex_digits(text).map(u64::from), expected);
        let written: [u8; 8] = format!("{number:08x}").into_bytes().try_into().expect("eight digits");
        prop_assert_eq!(eight_hex_digits(written), Some(number));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        recognise(&bytes);
        read(&bytes);
    }
}
