//! The text form as a whole: what is written reads back, and no text makes the parser panic.
//!
//! Contract: none. SDM: none. Counterpart: `docs/stim.md`.

use proptest::prelude::*;

use super::parse::parse;
use super::{Action, ConfigText, Control, ControlKind, Operation, Request, Setup, Stimulus, Store};
use crate::arch::{Access, AccessKind};
use crate::cosim::stall::{Link, StallRates};

fn request() -> impl Strategy<Value = Action> {
    let access = (0u8..3, 0u8..4, any::<bool>(), any::<bool>(), any::<u32>());
    (any::<u64>(), access, 1u8..=64, 1u8..3).prop_map(|(va, access, size_bytes, port)| {
        let (kind, cpl, ac, implicit_supervisor, pkru) = access;
        let kind = AccessKind::ALL[usize::from(kind)];
        let room = 0x1000 - (va & 0xfff);
        Action::Request(Request {
            port: if kind == AccessKind::Fetch { 0 } else { port },
            va,
            access: Access {
                kind,
                cpl,
                ac,
                implicit_supervisor,
                pkru,
            },
            size_bytes: u64::from(size_bytes).min(room) as u8,
        })
    })
}

fn control() -> impl Strategy<Value = Action> {
    (0usize..6, any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
        |(kind, data, addr, invpcid_type)| {
            let kind = ControlKind::ALL[kind];
            let whole = Control {
                kind,
                data,
                addr,
                invpcid_type,
            };
            Action::Control(if kind == ControlKind::Invpcid {
                whole
            } else {
                Control::new(kind, data)
            })
        },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    let store = (0u64..1 << 49, any::<u64>()).prop_map(|(cell, value)| {
        Action::Store(Store {
            address: 8 * cell,
            value,
        })
    });
    let idle = (0u32..1_000_000).prop_map(|cycles| Action::Idle { cycles });
    let hold = (0..Link::COUNT, 0u32..1_000_000).prop_map(|(link, cycles)| Action::Hold {
        link: Link::all()
            .nth(link)
            .expect("its number is below the count"),
        cycles,
    });
    let action = prop_oneof![request(), control(), store, idle, hold, Just(Action::Drain)];
    (0u32..1_000_000, action).prop_map(|(gap_cycles, action)| Operation { gap_cycles, action })
}

fn stimulus() -> impl Strategy<Value = Stimulus> {
    let stalls = prop::collection::vec(0u16..=StallRates::MAX_PERMILLE, Link::COUNT);
    let image = prop::collection::btree_map(
        (0u64..1 << 49).prop_map(|cell| 8 * cell),
        any::<u64>(),
        0..20,
    );
    let about = prop::collection::vec("[a-zA-Z#;:=]( ?[a-z#0-9]){0,20}", 0..3);
    let config = (
        any::<bool>(),
        prop::collection::vec("[a-z]{1,8}\\.[a-z]{1,8}=[0-9]{1,5}", 0..3),
        any::<bool>(),
    );
    let operations = prop::collection::vec(operation(), 0..40);
    let seed = any::<(u64, bool)>();
    (about, config, seed, stalls, image, operations).prop_map(
        |(about, config, (seed, front_end), stalls, image, operations)| {
            let (base, overrides, hash) = config;
            let mut rates = StallRates::NONE;
            for (link, permille) in Link::all().zip(stalls) {
                rates.set(link, permille);
            }
            let config = ConfigText {
                base: base.then(|| "preset:tiny".to_owned()),
                overrides,
                hash: hash.then(|| "0123456789abcdef".to_owned()),
            };
            Stimulus {
                setup: Setup {
                    about,
                    config,
                    seed,
                    stalls: rates,
                    front_end,
                    image,
                },
                operations,
            }
        },
    )
}

/// Words that mean something somewhere, so that random lines go deep.
fn word() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "twinwalk-stim",
        "1",
        "about",
        "config",
        "preset:tiny",
        "set",
        "a.b=1",
        "config-hash",
        "0123456789abcdef",
        "seed",
        "stall",
        "all",
        "memory",
        "950",
        "tables",
        "0x1000",
        "accessed",
        "space",
        "one",
        "4",
        "5",
        "table",
        "map",
        "->",
        "4k",
        "2m",
        "1g",
        "rw",
        "user",
        "A",
        "key=3",
        "bits=7",
        "cell",
        "=",
        "page",
        "boot",
        "PCIDE",
        "fetch",
        "read",
        "write",
        "size=8",
        "port=1",
        "cpl=2",
        "cr0",
        "PE|PG",
        "cr3",
        "one|pcid=2|keep",
        "cr4",
        "efer",
        "invlpg",
        "invpcid",
        "va=1",
        "desc=9",
        "store",
        "pte@0x1000",
        "pde@0x1000/one",
        "one+8",
        "drain",
        "idle",
        "+3",
        "#",
        "|",
        "@",
        "0x",
        "++",
        "é",
        "\u{0}",
    ];
    prop_oneof![4 => prop::sample::select(KNOWN).prop_map(str::to_owned), 1 => ".{0,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back(stimulus in stimulus()) {
        let text = stimulus.to_text();
        prop_assert_eq!(parse("x", &text), Ok(stimulus), "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic_and_every_error_has_a_place_and_a_remedy(
        lines in prop::collection::vec(prop::collection::vec(word(), 0..7), 0..12),
        headed in any::<bool>(),
    ) {
        let body: Vec<String> = lines.iter().map(|words| words.join(" ")).collect();
        let head = if headed { "twinwalk-stim 1\nspace one 4\nmap 0x1000 -> 0x9000 4k rw\n" } else { "" };
        let text = format!("{head}{}", body.join("\n"));
        if let Err(error) = parse("x", &text) {
            prop_assert!(!error.remedy.is_empty() && !error.problem.is_empty());
            prop_assert!(error.line <= text.lines().count());
            prop_assert!(error.to_string().starts_with("x:"));
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(text in ".{0,300}") {
        let _ = parse("x", &text);
        let _ = parse("x", &format!("twinwalk-stim 1\n{text}"));
    }
}

#[test]
fn an_error_points_at_the_word() {
    let text = "twinwalk-stim 1\nspace one 4\nmap 0x1000 -> 0x9000 4k rw dirty\n";
    let error = parse("a.stim", text).unwrap_err();
    assert_eq!((error.line, error.column), (3, 28));
    assert_eq!(error.problem, "`dirty` is not a flag of an entry");
    for (line, column) in [
        ("read 0x1ffc size=8", 6),
        ("read 0x1000 port=0", 18),
        ("fetch 0x1000 port=1", 19),
        ("stall memory 951", 14),
        ("seed 1 2", 8),
        ("store 0x1004 = 1", 7),
        ("+5 seed 1", 4),
        ("cell 0x10 == 1", 11),
        ("boot two", 6),
        ("+1000001 drain", 2),
        ("jump 0x1000", 1),
        ("twinwalk-stim 1", 1),
    ] {
        let error =
            parse("a.stim", &format!("twinwalk-stim 1\nspace one 4\n{line}\n")).unwrap_err();
        assert_eq!((error.line, error.column), (3, column), "{line}: {error}");
    }
    for text in [
        "",
        "\n# nothing\n",
        "seed 1\n",
        "twinwalk-stim 2\n",
        "twinwalk-stim\n",
    ] {
        assert!(parse("a.stim", text).is_err(), "{text:?}");
    }
}

#[test]
fn the_image_comes_before_the_operations() {
    let error = parse("a.stim", "twinwalk-stim 1\ndrain\ncell 8 = 1\n").unwrap_err();
    assert_eq!((error.line, error.column), (3, 1));
}
