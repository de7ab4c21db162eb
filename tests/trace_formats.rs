//! The formats of other tools: each sample in `tests/traces` says exactly what it should, and nothing that a file may contain makes a
//! reader panic.
//!
//! Contract: none. SDM: none. Counterpart: `src/trace/`, `docs/traces.md`.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use twinwalk::trace::open::open_input;
use twinwalk::trace::{
    Input, MemoryReference, OpenOptions, References, TraceError, TraceFormat, import, info, open,
};

type Reference = (char, u64, u16);

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/traces")
        .join(name)
}

fn plain(reference: &MemoryReference) -> Reference {
    let kind = ['F', 'L', 'S'][reference.kind() as usize];
    (kind, reference.address(), reference.size_bytes())
}

fn read_file(path: &Path) -> (TraceFormat, Vec<Reference>) {
    let reader = open::open(path, OpenOptions::default()).expect("opens");
    let format = reader.format();
    let references = References::new(reader);
    let references = references.map(|reference| plain(&reference.expect("reads")));
    (format, references.collect())
}

/// What comes out before the first error, and the error.
fn read_bytes(
    bytes: &[u8],
    format: Option<TraceFormat>,
) -> (Vec<MemoryReference>, Option<TraceError>) {
    let input = Input::new("a trace", Cursor::new(bytes.to_vec()), None).expect("in memory");
    let mut references = Vec::new();
    match open_input(input, format) {
        Err(error) => (references, Some(error)),
        Ok(reader) => {
            for reference in References::new(reader) {
                match reference {
                    Ok(reference) => references.push(reference),
                    Err(error) => return (references, Some(error)),
                }
            }
            (references, None)
        }
    }
}

fn error_of(bytes: &[u8], format: TraceFormat) -> String {
    let (_, error) = read_bytes(bytes, Some(format));
    let error = error.expect("it is wrong");
    assert!(!error.remedy().is_empty());
    error.to_string()
}

/// Every sample, its format, what it says.
fn samples() -> Vec<(&'static str, TraceFormat, Vec<Reference>)> {
    let champsim = vec![
        ('F', 0x40_1136, 7),
        ('L', 0x7ffd_1234_5670, 8),
        ('F', 0x40_113d, 5),
        ('L', 0x7ffd_1234_5670, 8),
        ('S', 0x7ffd_1234_5ffc, 4),
        // A taken branch: the next instruction does not tell its length.
        ('F', 0x40_1142, 4),
        // The next is too far away.
        ('F', 0x40_1144, 4),
        ('S', 0x7ffd_1234_5678, 8),
        // Nothing behind it, and two bytes left in its page.
        ('F', 0x40_1ffe, 2),
    ];
    let dynamorio = vec![
        ('F', 0x40_1136, 7),
        ('L', 0x7ffd_1234_5670, 8),
        ('F', 0x40_113d, 5),
        ('S', 0x7ffd_1234_5ffc, 8),
    ];
    let mut records = dynamorio.clone();
    records.push(('S', 0x7ffd_1234_6008, 8));
    let faults = [
        (0xffff_ffff_8175_336a, 0x55be_97d2_95c0),
        (0xffff_ffff_8175_336a, 0x7fdb_eb42_d110),
        (0xffff_ffff_81b7_3c18, 0x7fff_af4f_2269),
        (0xffff_ffff_821e_cf7d, 0x7fff_af4f_1f70),
        (0x7fdb_eb41_47ad, 0x7fdb_eb42_ce06),
        (0x7fdb_eb3f_f570, 0x7fdb_eb3f_f570),
        (0x7fdb_eb20_909d, 0x7fdb_eb13_2000),
    ];
    let faults = faults.iter();
    let faults = faults.flat_map(|&(ip, address)| [('F', ip, 4), ('L', address, 8)]);
    let mem = vec![
        ('F', 0x55d0_c040_1136, 4),
        ('L', 0x7f2a_3c4d_5e60, 8),
        ('F', 0x55d0_c040_1fff, 1),
        ('S', 0x7ffd_1234_5ffc, 4),
    ];
    let mut script = mem.clone();
    script.push(('F', 0x55d0_c040_1140, 4));
    vec![
        ("champsim.trace.xz", TraceFormat::ChampSim, champsim.clone()),
        (
            "champsim-cloudsuite.trace.xz",
            TraceFormat::CloudSuite,
            champsim,
        ),
        ("drmemtrace.trace.gz", TraceFormat::Drmemtrace, records),
        (
            "drmemtrace-view.txt",
            TraceFormat::DrmemtraceText,
            dynamorio.clone(),
        ),
        (
            "memtrace-simple.log",
            TraceFormat::DrmemtraceText,
            dynamorio,
        ),
        ("perf-page-faults.txt", TraceFormat::Perf, faults.collect()),
        ("perf-mem-script.txt", TraceFormat::Perf, script),
        ("perf-mem-report.txt", TraceFormat::Perf, mem),
        (
            "pinatrace.out",
            TraceFormat::Pinatrace,
            vec![
                ('F', 0x40_1136, 4),
                ('L', 0x7ffd_1234_5670, 8),
                ('S', 0x7ffd_1234_5670, 8),
                ('F', 0x40_113d, 4),
                ('S', 0x7ffd_1234_5ffc, 4),
                ('F', 0x40_1136, 4),
                ('L', 0, 8),
            ],
        ),
        (
            "table.csv",
            TraceFormat::Csv,
            vec![
                ('F', 0x40_1136, 7),
                ('L', 0x7ffd_1234_5650, 8),
                ('S', 0x7ffd_1234_5ffc, 8),
                ('L', 0x7ffd_1234_6000, 4),
                ('S', 0x7ffd_1234_6000, 4),
            ],
        ),
    ]
}

/// A sample, decompressed.
fn bytes_of(name: &str) -> Vec<u8> {
    let mut input = Input::open(&sample(name), None).expect("opens");
    let mut bytes = vec![0; 1 << 16];
    let count = input.fill(&mut bytes).expect("reads");
    bytes.truncate(count);
    bytes
}

#[test]
fn each_sample_is_found_by_content_and_says_what_it_should() {
    for (name, format, expected) in samples() {
        assert_eq!(read_file(&sample(name)), (format, expected), "{name}");
    }
}

#[test]
fn every_sample_in_the_directory_is_read() {
    let files = fs::read_dir(sample("")).expect("a directory");
    let files = files.filter(|file| {
        file.as_ref()
            .is_ok_and(|file| file.file_name() != "README.md")
    });
    assert_eq!(files.count(), samples().len());
}

#[test]
fn import_keeps_every_reference_and_the_format_that_it_came_from() {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, format, expected) in samples() {
        let path = directory.path().join("imported.twt.zst");
        let mut reader = open::open(&sample(name), OpenOptions::default()).expect("opens");
        import(&mut *reader, &path, None).expect("imports");
        assert_eq!(read_file(&path), (TraceFormat::Binary, expected), "{name}");
        let mut reader = open::open(&path, OpenOptions::default()).expect("opens");
        let found = info(&mut *reader).expect("reads");
        assert_eq!(found.source, Some(format), "{name}");
        assert_eq!(found.assumptions, format.assumptions());
        assert_eq!(found.incomplete, format.incomplete());
        // Samples and operands alone count no instructions.
        let counts = format != TraceFormat::Perf && format != TraceFormat::Pinatrace;
        assert_eq!(found.instructions.is_some(), counts, "{name}");
    }
}

#[test]
fn samples_are_called_samples() {
    let incomplete = TraceFormat::Perf.incomplete().expect("it is");
    assert!(incomplete.starts_with("samples, not a trace"));
}

fn twinwalk(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(arguments)
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_person_and_a_program_are_told_what_was_assumed_and_what_is_missing() {
    let path = sample("perf-mem-script.txt");
    let perf = path.to_str().expect("a name");
    let path = sample("champsim.trace.xz");
    let champsim = path.to_str().expect("a name");
    for command in [&["trace", "info"][..], &["run", "--trace"]] {
        let text = twinwalk(&[command, &[perf]].concat());
        assert!(text.contains("Incomplete: samples, not a trace"), "{text}");
        assert!(
            text.contains("Assumed: loads and stores have 8 bytes"),
            "{text}"
        );
        let text = twinwalk(&[command, &[champsim]].concat());
        assert!(
            text.contains("Assumed: an instruction has the bytes up to the next"),
            "{text}"
        );
        assert!(!text.contains("Incomplete"), "{text}");
    }
    let parse = |text: String| serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
    let found = parse(twinwalk(&["run", "--json", "--trace", perf]));
    assert_eq!(found["trace_source"], "perf");
    assert_eq!(found["trace_assumptions"].as_array().map(Vec::len), Some(3));
    assert!(found["trace_incomplete"].is_string());
    assert!(found["mpki"].is_null());
    let found = parse(twinwalk(&["trace", "info", "--json", champsim]));
    assert_eq!(found["assumptions"].as_array().map(Vec::len), Some(2));
    assert!(found["incomplete"].is_null());
}

#[test]
fn a_wrong_line_is_named_with_its_place_and_its_remedy() {
    let view = "Output format:\n-----\n  1  1:  7 ifetch 4 bytes @ 0x10\n";
    for (format, text, place) in [
        (
            TraceFormat::Pinatrace,
            "0x10: R 0x20\n0x10: X 0x20\n",
            "line 2, byte 13: not `0xINSTRUCTION",
        ),
        (
            TraceFormat::Pinatrace,
            "#eof\n0x10: R 0x20\n",
            "line 2, byte 5: something follows #eof",
        ),
        (
            TraceFormat::DrmemtraceText,
            view,
            "line 3, byte 21: not `KIND SIZE",
        ),
        (
            TraceFormat::DrmemtraceText,
            "0x10: 4, r\n",
            "line 1, byte 0: before the heading",
        ),
        (
            TraceFormat::Perf,
            "cycles:  401136 main+0x4 (/bin/x)\n",
            "line 1, byte 0: no address of data",
        ),
        (
            TraceFormat::Csv,
            "kind,size\n",
            "line 1, byte 0: the heading has no column address",
        ),
        (
            TraceFormat::Csv,
            "kind,addr,size,va\n",
            "line 1, byte 0: two columns",
        ),
        (
            TraceFormat::Csv,
            "kind,addr,size\nload,0x10\n",
            "line 2, byte 15: another number of fields",
        ),
        (
            TraceFormat::Csv,
            "kind,addr,size\nload,10h,4\n",
            "line 2, byte 15: the address",
        ),
        (
            TraceFormat::Csv,
            "kind,addr,size\nload,0x10,0\n",
            "line 2, byte 15: the size",
        ),
        (
            TraceFormat::Csv,
            "kind,addr,size\njump,0x10,4\n",
            "line 2, byte 15: the kind",
        ),
        (
            TraceFormat::Csv,
            "kind,addr,size\n\"load,0x10,4\n",
            "line 2, byte 15: a quote is not closed",
        ),
        (
            TraceFormat::Csv,
            "kind,addr,size\nload,0x10,4",
            "line 2, byte 15: the last line has no end",
        ),
    ] {
        let error = error_of(text.as_bytes(), format);
        assert!(error.contains(place), "{error}");
    }
    let long = [b"0x10: R ".as_slice(), &[b'1'; 1 << 20]].concat();
    let error = error_of(&long, TraceFormat::Pinatrace);
    assert!(error.contains("longer than any line"), "{error}");
}

#[test]
fn a_trace_that_was_cut_off_is_called_so_after_what_it_said() {
    for (name, format, record) in [
        ("champsim.trace.xz", TraceFormat::ChampSim, 64),
        ("champsim-cloudsuite.trace.xz", TraceFormat::CloudSuite, 96),
        ("drmemtrace.trace.gz", TraceFormat::Drmemtrace, 12),
        ("pinatrace.out", TraceFormat::Pinatrace, 0),
    ] {
        let bytes = bytes_of(name);
        let cut = &bytes[..bytes.len() - 1];
        let (references, error) = read_bytes(cut, Some(format));
        assert!(!references.is_empty());
        match error.expect("cut off") {
            TraceError::Truncated { offset, .. } => assert_eq!(offset as usize, cut.len()),
            TraceError::UnfinishedLine { .. } if record == 0 => {}
            error => panic!("{error}"),
        }
    }
    // Whole records, whole lines, but not all.
    let bytes = bytes_of("drmemtrace.trace.gz");
    let error = error_of(&bytes[..bytes.len() - 12], TraceFormat::Drmemtrace);
    assert!(error.contains("the footer should follow"), "{error}");
    let error = error_of(b"0x10: R 0x20\n", TraceFormat::Pinatrace);
    assert!(
        error.contains("byte 13: the trace is cut off: the line #eof"),
        "{error}"
    );
}

#[test]
fn a_trace_that_this_project_cannot_use_is_refused_with_the_reason() {
    let with_type = |file_type: u8| {
        let mut bytes = bytes_of("drmemtrace.trace.gz");
        bytes[12 * 2 + 4] = file_type;
        bytes
    };
    assert!(read_bytes(&with_type(0x40), None).1.is_none());
    for (file_type, reason) in [(0xc0, "a cache has taken"), (0x20, "32-bit program")] {
        let error = error_of(&with_type(file_type), TraceFormat::Drmemtrace);
        assert!(
            error.contains("byte 24") && error.contains(reason),
            "{error}"
        );
    }
    let mut newer = bytes_of("drmemtrace.trace.gz");
    newer[4] = 9;
    let error = error_of(&newer, TraceFormat::Drmemtrace);
    assert!(error.contains("byte 0: version 9"), "{error}");
    let filtered = "Output format:\n 1 0: 7 <marker: filetype 0xc0>\n";
    let error = error_of(filtered.as_bytes(), TraceFormat::DrmemtraceText);
    assert!(error.contains("a cache has taken"), "{error}");
    let mut flag = bytes_of("champsim.trace.xz");
    flag[64 + 8] = 2;
    let error = error_of(&flag, TraceFormat::ChampSim);
    assert!(error.contains("byte 64: a flag"), "{error}");
    for (start, name) in [
        (b"PK\x03\x04".as_slice(), "zip"),
        (b"\x04\x22\x4d\x18", "lz4"),
    ] {
        let (_, error) = read_bytes(start, None);
        let error = error.expect("packed");
        assert!(error.to_string().contains(name) && error.remedy().contains("| twinwalk"));
    }
}

#[test]
fn a_large_transfer_is_several_references_and_a_repetition_is_no_fetch() {
    let record = |kind: u16, size: u16, address: u64| {
        let mut bytes = [kind.to_le_bytes(), size.to_le_bytes()].concat();
        bytes.extend(address.to_le_bytes());
        bytes
    };
    let header = record(25, 0, 4);
    let long = [
        header.clone(),
        record(1, 9000, 0x1000),
        record(30, 2, 0x40),
        record(30, 2, 0x40),
        record(26, 0, 0),
    ];
    let (references, error) = read_bytes(&long.concat(), None);
    assert!(error.is_none());
    assert_eq!(
        references.iter().map(plain).collect::<Vec<_>>(),
        [
            ('S', 0x1000, 4096),
            ('S', 0x2000, 4096),
            ('S', 0x3000, 808),
            ('F', 0x40, 2)
        ]
    );
    let error = error_of(
        &[header.clone(), record(1, 60000, 0)].concat(),
        TraceFormat::Drmemtrace,
    );
    assert!(
        error.contains("byte 12: a reference of more than 16384"),
        "{error}"
    );
    let error = error_of(
        &[header, record(77, 0, 0)].concat(),
        TraceFormat::Drmemtrace,
    );
    assert!(error.contains("unknown type 77"), "{error}");
}

fn any_format() -> impl Strategy<Value = TraceFormat> {
    prop::sample::select(TraceFormat::ALL.to_vec())
}

/// References hold what they promise, whatever the file; an error says where and what to do.
fn is_well_behaved(bytes: &[u8], format: Option<TraceFormat>) -> Result<(), TestCaseError> {
    let (references, error) = read_bytes(bytes, format);
    for reference in references {
        prop_assert!((1..=MemoryReference::MAX_SIZE_BYTES).contains(&reference.size_bytes()));
    }
    if let Some(error) = error {
        let text = error.to_string();
        prop_assert!(text.starts_with("a trace: "), "{}", text);
        prop_assert!(
            text.contains("byte ") || text.ends_with("is empty"),
            "{}",
            text
        );
        prop_assert!(!error.remedy().is_empty());
    }
    Ok(())
}

proptest! {
    #[test]
    fn random_bytes_are_read_or_refused_in_every_format(
        bytes in prop::collection::vec(any::<u8>(), 0..600), format in prop::option::of(any_format()),
    ) {
        is_well_behaved(&bytes, format)?;
    }

    #[test]
    fn random_text_is_read_or_refused_in_every_format(
        text in "[ 0-9a-fx:,|@#RWrw<>\"\n\r]{0,300}", heading in 0..5usize, format in any_format(),
    ) {
        let headings = ["", "Output format:\n", "Format: <data address>: <data size>\n", "kind,addr,size\n",
            "# PID, TID, IP, ADDR, DSRC, SYMBOL\n"];
        is_well_behaved(format!("{}{text}\n", headings[heading]).as_bytes(), Some(format))?;
    }

    #[test]
    fn a_sample_that_was_cut_or_changed_is_read_or_refused(
        index in 0..10usize, cut in 0..2000usize, changes in prop::collection::vec((0..2000usize, any::<u8>()), 0..4),
        found in any::<bool>(),
    ) {
        let (name, format, _) = samples().swap_remove(index);
        let mut bytes = bytes_of(name);
        bytes.truncate(cut.max(1));
        for (place, byte) in changes {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        is_well_behaved(&bytes, (!found).then_some(format))?;
    }
}
