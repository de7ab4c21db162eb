//! What machines are given to do: references that a rule makes, or one access in a situation.
//!
//! Contract: 13.1. SDM: none. Counterpart: none.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::Value as Json;
use twinwalk::trace::{MemoryReference, OpenOptions, References};

use super::command;

/// Where the references begin: not in page 0, and aligned to 1 GiB.
const FIRST: u64 = 1 << 30;
/// Bytes of an instruction.
const INSTRUCTION_BYTES: u64 = 4;

/// References by a rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// `f`, `l` or `s`, as the CSV form has it.
    pub kind: char,
    /// Bytes between two places.
    pub stride: u64,
    /// Places.
    pub places: u64,
    /// References.
    pub count: u64,
    /// Which place is next.
    pub order: Order,
}

/// Which of the places is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// One after the other, and from the beginning again.
    Round,
    /// Whichever a generator draws.
    Drawn,
}

/// What a machine is given to do.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// `run`: references.
    Run(Rule),
    /// `explain`: an access to [`ADDRESS`] in linear addresses of so many bits, with a mapping of it.
    Access(u32, &'static str),
    /// `explain --trace`: the first of the references.
    First(Rule),
}

/// What [`Work::Access`] accesses.
pub const ADDRESS: u64 = 0x4000_1abc;

impl Rule {
    /// The addresses.
    pub fn addresses(&self) -> impl Iterator<Item = u64> + use<> {
        let (rule, mut state) = (*self, 1u64);
        (0..rule.count).map(move |number| {
            let place = match rule.order {
                Order::Round => number % rule.places,
                Order::Drawn => {
                    state = state
                        .wrapping_mul(0x5851_f42d_4c95_7f2d)
                        .wrapping_add(0x1405_7b7e_f767_814f);
                    (state >> 33) % rule.places
                }
            };
            FIRST + place * rule.stride
        })
    }

    /// A file of them.
    fn file(&self) -> tempfile::NamedTempFile {
        let mut text = "kind,address,size\n".to_owned();
        for address in self.addresses() {
            writeln!(text, "{},{address:#x},{INSTRUCTION_BYTES}", self.kind)
                .expect("a string takes all");
        }
        let mut file = tempfile::NamedTempFile::new().expect("there is room");
        file.write_all(text.as_bytes()).expect("there is room");
        file
    }

    /// They, as `run` reads them.
    pub fn references(&self) -> Vec<MemoryReference> {
        let file = self.file();
        let reader = twinwalk::trace::open::open(file.path(), OpenOptions::default());
        let references = References::new(reader.expect("it is a trace"));
        references.collect::<Result<_, _>>().expect("it is whole")
    }
}

impl Work {
    /// What the command says of it, on the model with `settings`.
    pub fn answer(&self, settings: &[String]) -> Json {
        let with = |arguments: &[&str]| {
            let mut all: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
            for setting in settings {
                all.extend(["--set".to_owned(), setting.clone()]);
            }
            command(&all)
        };
        let address = format!("{ADDRESS:#x}");
        match self {
            Self::Run(rule) => {
                let file = rule.file();
                with(&["run", "--trace", file.path().to_str().expect("UTF-8")])
            }
            Self::Access(bits, map) => with(&[
                "explain",
                &address,
                "--mode",
                &bits.to_string(),
                "--map",
                map,
            ]),
            Self::First(rule) => {
                let file = rule.file();
                let path = file.path().to_str().expect("UTF-8");
                with(&["explain", &format!("{FIRST:#x}"), "--trace", path])
            }
        }
    }
}
