//! The header against the library: structures to the byte, functions by name; and the C example.
//!
//! Contract: none. SDM: none. Counterpart: `include/twinwalk_reference.h`, `sv/twinwalk_reference_pkg.sv`.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::mem::offset_of;

use support::{c_prints, here};
use twinwalk_reference::abi::{
    API_VERSION, Access, EntryUse, Features, Figures, Memory, Outcome, Walk,
};

/// For each structure its name in C and its members: a C program that prints sizes and offsets, and what it must print.
macro_rules! layout {
    ($($type:ident = $c:literal { $($member:ident),* })*) => {{
        let (mut program, mut expected) = (String::new(), String::new());
        $(
            let _ = writeln!(program, "  printf(\"{0} %zu\\n\", sizeof({0}));", $c);
            let _ = writeln!(expected, "{} {}", $c, size_of::<$type>());
            $(
                let member = stringify!($member);
                let _ = writeln!(program, "  printf(\"  {1} %zu\\n\", offsetof({0}, {1}));", $c, member);
                let _ = writeln!(expected, "  {member} {}", offset_of!($type, $member));
            )*
        )*
        (program, expected)
    }};
}

#[test]
fn structures_are_laid_out_in_c_as_in_rust() {
    let (body, expected) = layout! {
        Features = "twinwalk_features" { struct_size, maxphyaddr_bits, page_1g, five_level, reserved, memory_size_bytes }
        Access = "twinwalk_access" { struct_size, pkru, kind, cpl, ac, implicit_supervisor, reserved }
        Outcome = "twinwalk_outcome" { struct_size, error_code, status, page_size, pwt, pcd, pat, reserved, pa, va }
        EntryUse = "twinwalk_entry" { address, before, after, level, reserved }
        Walk = "twinwalk_walk" { struct_size, entry_count, outcome, entries }
        Figures = "twinwalk_figures" { struct_size, outstanding, events, responses, single_outcome, stale_observed, unjudged,
            entry_updates, illegal, removed, stale_removed }
        Memory = "twinwalk_memory" { struct_size, reserved, context, read }
    };
    let text = format!(
        "#include \"twinwalk_reference.h\"\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {{\n{body}  \
         printf(\"api %u\\n\", TWINWALK_REFERENCE_API_VERSION);\n  return 0;\n}}\n"
    );
    let folder = tempfile::tempdir().expect("a folder can be made");
    let source = folder.path().join("layout.c");
    fs::write(&source, text).expect("a file can be written");
    assert_eq!(c_prints(&source), format!("{expected}api {API_VERSION}\n"));
}

/// The names that follow `before` and are followed by a parenthesis.
fn names(text: &str, before: &str) -> BTreeSet<String> {
    let found = text.match_indices(before).filter_map(|(at, _)| {
        let rest = &text[at + before.len()..];
        let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric())?;
        (rest[end..].starts_with('(') && rest.starts_with("twinwalk_"))
            .then(|| rest[..end].to_owned())
    });
    found.collect()
}

#[test]
fn header_package_and_library_have_the_same_functions() {
    let read = |path: &str| fs::read_to_string(here().join(path)).expect("the file is there");
    let (header, package) = (
        read("include/twinwalk_reference.h"),
        read("sv/twinwalk_reference_pkg.sv"),
    );
    let border = names(&read("src/border.rs"), "extern \"C\" fn ");
    let dpi = names(&read("src/dpi.rs"), "extern \"C\" fn ");
    let declared: BTreeSet<String> = [" ", "*"]
        .iter()
        .flat_map(|before| names(&header, before))
        .collect();
    assert_eq!(declared, border);
    let mut imported = BTreeSet::new();
    for line in package
        .lines()
        .filter(|line| line.contains("import \"DPI-C\""))
    {
        imported.extend(names(line, " "));
    }
    assert!(
        imported
            .iter()
            .all(|name| border.contains(name) || dpi.contains(name)),
        "{imported:?}"
    );
    assert!(dpi.iter().all(|name| imported.contains(name)), "{dpi:?}");
}

#[test]
fn the_example_in_c_is_told_that_the_old_page_is_legal_before_invlpg_and_not_after() {
    let lines = c_prints(&here().join("examples/remap.c"));
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(
        lines[..2],
        ["walk: 0x9008, 4 entries", "0x9008: verdict 0, legal"]
    );
    assert!(
        lines[2].starts_with(
            "0x9008: verdict 1, legal, and stale: memory as it stands says translated to 0xa008"
        ),
        "{lines:?}"
    );
    assert!(
        lines[3].starts_with("0x9008: verdict 2, tag 3: read of 0x1008 by CPL 3"),
        "{lines:?}"
    );
    assert!(
        lines[3].contains("the value 0x9067 of the PTE at 0x4008, which stood until event"),
        "{lines:?}"
    );
    assert!(
        lines[3].contains("INVLPG of 0x1000 in PCID 0x0, complete in event"),
        "{lines:?}"
    );
    assert_eq!(lines[4], "0xa008: verdict 0, legal");
}
