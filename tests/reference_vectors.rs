//! The reference against paging vectors that an independent x86-64 implementation produced (`tests/vectors/README.md`).
//!
//! Contract: none. SDM vol. 3A, 4.5 to 4.8.
//! Counterpart: none; what is under test is `src/reference/walk.rs`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::Deserialize;
use twinwalk::arch::{
    Access, AccessKind, Capabilities, MaxPhyAddr, Outcome, PageFaultCode, PhysicalAddress,
    Registers, VirtualAddress,
};
use twinwalk::reference::{SparseMemory, walk};

/// Bit 5 of an entry.
const ACCESSED: u64 = 1 << 5;
/// Vector numbers of the two exceptions.
const PAGE_FAULT: u32 = 14;
const GENERAL_PROTECTION: u32 = 13;

/// One line of a vector file. Fields that are not named here are informative.
#[derive(Debug, Clone, Deserialize)]
struct Case {
    id: String,
    maxphy: u32,
    levels: u8,
    cr0: String,
    cr3: String,
    cr4: String,
    efer: String,
    pkru: String,
    ent: Vec<(u8, String, String)>,
    steps: Vec<Step>,
    #[serde(default)]
    quirk: Vec<String>,
}

/// One access and what came of it.
#[derive(Debug, Clone, Deserialize)]
struct Step {
    k: char,
    cpl: u8,
    ac: u8,
    va: String,
    vec: Option<u32>,
    ec_sdm: Option<u32>,
    cr2: Option<String>,
    pa: Option<String>,
    after: Vec<String>,
}

fn hex(text: &str) -> u64 {
    let digits = text.strip_prefix("0x").expect("a number begins with 0x");
    u64::from_str_radix(digits, 16).expect("a number is hexadecimal")
}

fn read_cases(path: &Path) -> Vec<Case> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    BufReader::new(GzDecoder::new(file))
        .lines()
        .enumerate()
        .map(|(index, line)| {
            let line = line.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            serde_json::from_str(&line)
                .unwrap_or_else(|error| panic!("{}:{}: {error}", path.display(), index + 1))
        })
        .collect()
}

fn vector_files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.expect("the directory can be read").path())
        .filter(|path| path.to_string_lossy().ends_with(".jsonl.gz"))
        .collect();
    files.sort();
    files
}

fn sample() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let files = vector_files(&directory);
    assert_eq!(files.len(), 3, "the sample is three files");
    files.iter().flat_map(|file| read_cases(file)).collect()
}

/// What one step gave, in the terms of the file.
#[derive(Debug, PartialEq, Eq)]
struct Observed {
    vec: Option<u32>,
    ec_sdm: Option<u32>,
    cr2: Option<u64>,
    pa: Option<u64>,
    after: Vec<u64>,
}

impl Observed {
    fn expected(step: &Step) -> Self {
        Self {
            vec: step.vec,
            ec_sdm: step.ec_sdm,
            cr2: step.cr2.as_deref().map(hex),
            pa: step.pa.as_deref().map(hex),
            after: step.after.iter().map(|value| hex(value)).collect(),
        }
    }

    /// With A of 1 GiB leaves taken out, which the observer sets although the access faults.
    fn without_1g_accessed(mut self, case: &Case) -> Self {
        if case.quirk.iter().any(|quirk| quirk == "a_1g_fault") {
            for (value, entry) in self.after.iter_mut().zip(&case.ent) {
                if entry.0 == 3 {
                    *value &= !ACCESSED;
                }
            }
        }
        self
    }
}

fn access_of(step: &Step, pkru: u64) -> Access {
    let kind = match step.k {
        'r' => AccessKind::Read,
        'w' => AccessKind::Write,
        'x' => AccessKind::Fetch,
        other => panic!("an access is r, w or x, not {other}"),
    };
    let mut access = Access::new(kind, step.cpl);
    access.ac = step.ac != 0;
    access.pkru = u32::try_from(pkru).expect("PKRU has 32 bits");
    access
}

/// Runs every step of `case` and calls `seen` with what the file says and what came out.
fn run(case: &Case, mut seen: impl FnMut(&Step, Observed, Observed)) {
    let capabilities = Capabilities::new(case.maxphy, true, true).expect("MAXPHYADDR in range");
    let registers = Registers::load(
        hex(&case.cr0),
        hex(&case.cr3),
        hex(&case.cr4),
        hex(&case.efer),
        &capabilities,
    )
    .unwrap_or_else(|error| panic!("{}: {error}", case.id));
    assert_eq!(
        registers.paging_mode().spec().levels.len(),
        usize::from(case.levels)
    );
    let place = |raw: &str| {
        PhysicalAddress::try_new(hex(raw), capabilities.maxphyaddr).expect("an entry's address")
    };
    let mut memory = SparseMemory::new(1 << case.maxphy);
    for (_, address, value) in &case.ent {
        memory.poke(place(address), hex(value)).expect("in memory");
    }
    for step in &case.steps {
        let access = access_of(step, hex(&case.pkru));
        let va = hex(&step.va);
        let outcome = walk(&registers, &capabilities, &access, va, &mut memory);
        let (vec, ec_sdm, cr2, pa) = match outcome {
            Outcome::Translated(found) => (None, None, None, Some(found.address.raw())),
            Outcome::PageFault(code) => (Some(PAGE_FAULT), Some(code.raw()), Some(va), None),
            Outcome::GeneralProtection => (Some(GENERAL_PROTECTION), Some(0), None, None),
            Outcome::BusError => panic!("{}: a table outside memory", case.id),
        };
        let after = case.ent.iter().map(|entry| memory.peek(place(&entry.1)));
        let got = Observed {
            vec,
            ec_sdm,
            cr2,
            pa,
            after: after.collect(),
        };
        let want = Observed::expected(step).without_1g_accessed(case);
        seen(step, want, got.without_1g_accessed(case));
    }
}

/// What a run over many cases counted.
#[derive(Debug, Default)]
struct Summary {
    cases: usize,
    steps: usize,
    entries: usize,
    by_code: BTreeMap<(Option<u32>, Option<u32>), usize>,
    by_quirk: BTreeMap<String, usize>,
    mismatches: Vec<String>,
}

fn check(cases: &[Case]) -> Summary {
    let mut summary = Summary::default();
    for case in cases {
        summary.cases += 1;
        for quirk in &case.quirk {
            *summary.by_quirk.entry(quirk.clone()).or_default() += 1;
        }
        run(case, |step, want, got| {
            summary.steps += 1;
            summary.entries += want.after.len();
            *summary.by_code.entry((step.vec, step.ec_sdm)).or_default() += 1;
            if want != got {
                let id = &case.id;
                summary
                    .mismatches
                    .push(format!("{id} {}: want {want:x?}, got {got:x?}", step.va));
            }
        });
    }
    summary
}

fn assert_no_mismatch(summary: &Summary) {
    assert!(
        summary.mismatches.is_empty(),
        "{} mismatches, the first: {}",
        summary.mismatches.len(),
        summary.mismatches[0]
    );
}

#[test]
fn the_reference_agrees_with_every_case_of_the_sample() {
    let summary = check(&sample());
    assert_no_mismatch(&summary);
    assert_eq!(summary.cases, 3000);
    assert!(summary.steps > 4000, "{} steps", summary.steps);
    assert!(summary.entries > 13_000, "{} entries", summary.entries);
}

#[test]
fn the_sample_holds_every_error_code_and_every_quirk() {
    let summary = check(&sample());
    let codes = [
        0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 15, 16, 17, 20, 21, 25, 29, 33, 35, 37, 39,
    ];
    for code in codes {
        let count = summary.by_code.get(&(Some(PAGE_FAULT), Some(code)));
        let name = PageFaultCode(code);
        assert!(count.is_some_and(|count| *count >= 10), "{name}: {count:?}");
    }
    assert!(summary.by_code[&(Some(GENERAL_PROTECTION), Some(0))] >= 100);
    assert!(summary.by_code[&(None, None)] >= 1000);
    assert!(summary.by_quirk["rsvd_p"] >= 100);
    assert!(summary.by_quirk["a_1g_fault"] >= 50);
}

/// `case` with one figure of its last step changed.
fn spoilt(case: &Case, spoil: impl FnOnce(&mut Step)) -> Case {
    let mut case = case.clone();
    spoil(case.steps.last_mut().expect("a case has a step"));
    case
}

#[test]
fn a_wrong_figure_in_a_vector_is_noticed() {
    let cases = sample();
    let find = |vec| {
        cases
            .iter()
            .find(|case| {
                let last = case.steps.last().expect("a case has a step");
                case.quirk.is_empty() && last.vec == vec && !last.after.is_empty()
            })
            .expect("the sample has such a case")
    };
    let flip = |text: &str, bit: u64| format!("{:#x}", hex(text) ^ bit);
    let fault = find(Some(PAGE_FAULT));
    let translated = find(None);
    let wrong = [
        spoilt(fault, |step| step.ec_sdm = step.ec_sdm.map(|code| code ^ 1)),
        spoilt(fault, |step| step.vec = Some(GENERAL_PROTECTION)),
        spoilt(fault, |step| step.cr2 = Some(flip(&step.va, 8))),
        spoilt(fault, |step| step.after[0] = flip(&step.after[0], ACCESSED)),
        spoilt(translated, |step| {
            step.pa = step.pa.as_deref().map(|pa| flip(pa, 0x1000))
        }),
        spoilt(translated, |step| {
            step.after[0] = flip(&step.after[0], ACCESSED)
        }),
    ];
    for case in &wrong {
        assert_eq!(check(std::slice::from_ref(case)).mismatches.len(), 1);
    }
}

#[test]
fn a_machine_of_another_width_is_noticed() {
    let mut cases = sample();
    for case in &mut cases {
        case.maxphy = MaxPhyAddr::MAX_BITS;
    }
    let mismatches = check(&cases).mismatches;
    assert!(mismatches.iter().any(|line| line.starts_with("own-m40")));
    assert!(!mismatches.iter().any(|line| line.starts_with("own-m52")));
}

#[test]
fn every_canonical_verdict_of_the_sample_is_that_of_the_address_type() {
    for case in sample() {
        let la57 = case.levels == 5;
        for step in &case.steps {
            let mode = if la57 {
                twinwalk::arch::PagingMode::FiveLevel
            } else {
                twinwalk::arch::PagingMode::FourLevel
            };
            let refused = VirtualAddress::try_new(hex(&step.va), mode).is_err();
            assert_eq!(refused, step.vec == Some(GENERAL_PROTECTION), "{}", case.id);
        }
    }
}

/// For full vector files: `TWINWALK_VECTORS=DIR cargo test --release --test reference_vectors -- --ignored --nocapture`.
#[test]
#[ignore = "wants a directory of vector files in TWINWALK_VECTORS"]
fn the_reference_agrees_with_every_case_of_a_directory() {
    let directory =
        std::env::var_os("TWINWALK_VECTORS").expect("TWINWALK_VECTORS names a directory");
    let files = vector_files(Path::new(&directory));
    assert!(!files.is_empty(), "no *.jsonl.gz in TWINWALK_VECTORS");
    for file in files {
        let summary = check(&read_cases(&file));
        println!(
            "{}: {} cases, {} steps, {} entries, {} mismatches",
            file.display(),
            summary.cases,
            summary.steps,
            summary.entries,
            summary.mismatches.len()
        );
        assert_no_mismatch(&summary);
    }
}
