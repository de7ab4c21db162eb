//! The text form as a whole: what is written reads back, and no text makes the parser panic.
//!
//! Contract: none. SDM: none. Counterpart: `docs/stim.md`.

use proptest::prelude::*;

use super::parse::parse;
use super::{
    Action, CellWrite, ConfigText, Control, ControlKind, HalfStore, Operation, Request, Setup,
    Stimulus, Store,
};
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
    let half = (0u64..1 << 50, any::<u32>()).prop_map(|(half, value)| {
        Action::StoreHalf(HalfStore {
            address: 4 * half,
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
    let action = prop_oneof![
        request(),
        control(),
        store,
        half,
        idle,
        hold,
        Just(Action::Drain)
    ];
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
        "2",
        "4",
        "5",
        "table",
        "map",
        "->",
        "4k",
        "2m",
        "1g",
        "4m",
        "rw",
        "user",
        "A",
        "key=3",
        "bits=7",
        "cell",
        "cell4",
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
        "store4",
        "PSE",
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
        ("store4 0x1002 = 1", 8),
        ("store4 0x1004 = 0x100000000", 17),
        ("store4 0x1004 = page 4k 0x5000 rw xd", 17),
        ("space two 3", 11),
        ("map 0 -> 0x400000 4m", 5),
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
fn a_file_of_a_newer_version_is_refused_with_what_to_do() {
    let text = "twinwalk-stim 2\nspace one 4\nsomething new\n";
    let error = parse("a.stim", text).unwrap_err();
    assert_eq!((error.line, error.column), (1, 15));
    let said = error.to_string();
    for part in [
        "a.stim",
        "format version 2 is not known",
        "reads version 1",
        "the build that wrote the file",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn the_image_comes_before_the_operations() {
    let error = parse("a.stim", "twinwalk-stim 1\ndrain\ncell 8 = 1\n").unwrap_err();
    assert_eq!((error.line, error.column), (3, 1));
}

#[test]
fn a_space_of_two_levels_has_entries_of_4_bytes_and_its_own_boot() {
    let text = "twinwalk-stim 1
space old 2
map 0x1000 -> 0x9000 4k rw
map 0x2000 -> 0xa000 4k rw
map 0x400000 -> 0x1200c00000 4m rw
cell4 pte@0x3000 = page 4k 0xb000
boot old PSE PGE NXE
store4 pte@0x3000 = page 4k 0xc000 rw
store4 pde@0x400000/old = table old user
";
    let stimulus = parse("x", text).unwrap();
    let image: Vec<_> = stimulus.setup.image.clone().into_iter().collect();
    assert_eq!(
        image,
        [
            (0x1000, 0x00c2_4083_0000_2007),
            (0x2000, 0x0000_9003_0000_0000),
            (0x2008, 0x0000_b001_0000_a003)
        ]
    );
    let lines: Vec<String> = stimulus.operations.iter().map(|o| o.to_string()).collect();
    assert_eq!(
        lines,
        [
            "efer 0x800",
            "cr4 0x90",
            "cr3 0x1000",
            "cr0 0x80000001",
            "drain",
            "store4 0x200c = 0xc003",
            "store4 0x1004 = 0x1005"
        ]
    );
    assert_eq!(parse("x", &stimulus.to_text()), Ok(stimulus));
    let refused = parse("x", "twinwalk-stim 1\nspace old 2\nboot old PSE PCIDE\n").unwrap_err();
    assert_eq!((refused.line, refused.column), (3, 14));
}

#[test]
fn a_store_of_4_bytes_leaves_the_other_half_of_its_cell() {
    let half = |address| {
        let store = HalfStore {
            address,
            value: 0x89ab_cdef,
        };
        CellWrite::from(store).over(0x0123_4567_7654_3210)
    };
    let whole = |value| Store {
        address: 0x1008,
        value,
    };
    assert_eq!(half(0x1008), whole(0x0123_4567_89ab_cdef));
    assert_eq!(half(0x100c), whole(0x89ab_cdef_7654_3210));
    assert_eq!(CellWrite::from(whole(5)).over(u64::MAX), whole(5));
}

#[test]
fn a_carriage_return_within_a_line_survives_printing() {
    let text = "twinwalk-stim 1\nabout one\rtwo\nset a=\"b\rc\"\n";
    let stimulus = parse("x", text).unwrap();
    assert_eq!(stimulus.setup.about, ["one\rtwo"]);
    assert_eq!(parse("x", &stimulus.to_text()).unwrap(), stimulus);
}
