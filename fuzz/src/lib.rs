//! What each fuzz target does with some bytes: it may refuse them, and may not panic, hang, or take them for something else.
//!
//! Contract: as each function says. SDM: none. Counterpart: `docs/fuzzing.md`; `tests/fuzz_corpus.rs` runs the corpora through these.

mod stream;

use std::io::Cursor;
use std::path::Path;

use twinwalk::arch::PagingMode;
use twinwalk::config::{self, Config, load::Source};
use twinwalk::conform::{Implementation as _, Reader, Reference, judge};
use twinwalk::cosim::stimulus::parse;
use twinwalk::explain::map::MapSpec;
use twinwalk::trace::binary;
use twinwalk::trace::open::open_input;
use twinwalk::trace::{Input, References, TraceFormat};

#[cfg(feature = "rtl-static")]
pub use stream::lockstep;
pub use stream::{operations, operations_judged_as};

/// How messages call what is read.
const NAME: &str = "fuzzed";
/// Most references that are taken of a trace: a few bytes may unpack to any number.
const MOST_REFERENCES: usize = 1 << 20;

/// A configuration in TOML. One that is accepted says the same machine when it is written and read again.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(config) = config::load::from_toml(text, NAME) {
        assert_same_when_written(&config);
    }
}

/// `--set KEY=VALUE`, a line each, on top of the default machine.
pub fn setting(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let settings: Vec<String> = text.lines().map(str::to_owned).collect();
    if let Ok(loaded) = config::load::load(&Source::Default, &settings) {
        assert_same_when_written(&loaded.config);
    }
}

fn assert_same_when_written(config: &Config) {
    let text = config.to_toml().expect("what was read can be written");
    let again = config::load::from_toml(&text, NAME).expect("what was written is accepted");
    assert_eq!(*config, again);
}

/// A DESIGN.toml, without the files that it names.
pub fn design(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = config::design::parse(Path::new(NAME), text);
    }
}

/// `explain --map`, in each mode.
pub fn map(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for mode in [
        PagingMode::TwoLevel,
        PagingMode::FourLevel,
        PagingMode::FiveLevel,
    ] {
        if let Ok(map) = MapSpec::parse(text, mode) {
            let _ = map.leaf_entry();
        }
    }
}

/// A stimulus or replay file. One that is accepted is the same when it is printed and read again.
pub fn stimulus(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(stimulus) = parse::parse(NAME, text) {
        let again = parse::parse(NAME, &stimulus.to_text()).expect("what was printed is accepted");
        assert_eq!(stimulus, again);
        let _ = stimulus.setup.machine(NAME);
    }
}

/// A trace: the first byte says in which format, 0 to have it found by content; the rest may be compressed.
pub fn trace(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let formats = TraceFormat::ALL;
    let chosen = usize::from(*first) % (formats.len() + 1);
    let format = chosen.checked_sub(1).map(|index| formats[index]);
    let input = || Input::new(NAME, Cursor::new(rest.to_vec()), None);
    if let Ok(reader) = input().and_then(|input| open_input(input, format)) {
        for reference in References::new(reader).take(MOST_REFERENCES) {
            if reference.is_err() {
                break;
            }
        }
    }
    if format == Some(TraceFormat::Binary)
        && let Ok(Ok(Err(mut reader))) = input().map(binary::open)
    {
        let mut runs = Vec::new();
        for _ in 0..MOST_REFERENCES {
            runs.clear();
            if reader.read_block(&mut runs).is_err() || runs.is_empty() {
                break;
            }
        }
    }
}

/// Paging vectors, a line each, performed by the reference: what it does may differ from what the vector expects.
pub fn vectors(bytes: &[u8]) {
    let Ok(input) = Input::new(NAME, Cursor::new(bytes.to_vec()), None) else {
        return;
    };
    let mut reader = Reader::new(input);
    while let Ok(Some(case)) = reader.next_case() {
        let _ = judge(&case, &Reference.perform(&case));
    }
}
