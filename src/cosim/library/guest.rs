//! What is different about the build of a user's design: its key, Verilator's arguments, its messages, and the ports of its top.
//!
//! Contract: section 3 (ports). SDM: none. Counterpart: `src/cosim/design.rs`, which reads DESIGN.toml; `src/cosim/ports.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::job::QUOTED_LINES;
use super::{GuestSources, LibraryError};
use crate::cosim::cache::KeyBuilder;
use crate::cosim::ports;
use crate::cosim::verilate::{PREFIX, PROBE_FILE};

/// Adds all that the machine depends on beside parameters and flags.
pub(super) fn add_to_key(guest: &GuestSources, key: &mut KeyBuilder) {
    for argument in verilator_arguments(guest) {
        key.add("verilator argument", argument.as_bytes());
    }
    for file in &guest.files {
        key.add("file", file.as_os_str().as_encoded_bytes());
    }
    for (path, digest) in &guest.contents {
        key.add("path", path.as_os_str().as_encoded_bytes());
        key.add("content", digest);
    }
    key.add("ports", &guest.ports.to_le_bytes());
}

/// What Verilator is told beside what it is told of every machine.
pub(super) fn verilator_arguments(guest: &GuestSources) -> Vec<String> {
    // Delays in a design that is simulated elsewhere too mean nothing here: a cycle is one edge.
    let mut arguments = vec!["--no-timing".to_owned()];
    let dirs = guest.include_dirs.iter();
    arguments.extend(dirs.map(|path| format!("-I{}", path.display())));
    arguments.extend(guest.defines.iter().map(|(name, value)| match value {
        Some(value) => format!("-D{name}={value}"),
        None => format!("-D{name}"),
    }));
    arguments
}

/// Whether Verilator took the design, and what it made of it can be driven.
pub(super) fn judge(
    guest: &GuestSources,
    output: &Output,
    generated: &Path,
    include_dir: &Path,
) -> Result<(), LibraryError> {
    if !output.status.success() {
        let said = quote(guest, output);
        return Err(match of_probe(guest, &said) {
            Some(message) => LibraryError::GuestPorts {
                message,
                remedy: "name the top and its parameters as the files do; docs/byo.md has the ports of a top".to_owned(),
            },
            None => LibraryError::Guest { output: said },
        });
    }
    check_files(guest, generated, include_dir)?;
    let path = generated.join(format!("{PREFIX}.h"));
    let header =
        fs::read_to_string(&path).map_err(|source| LibraryError::Write { path, source })?;
    ports::check(&guest.top, &ports::of_header(&header), guest.ports)
        .map_err(|ports::Refused { message, remedy }| LibraryError::GuestPorts { message, remedy })
}

/// What Verilator said from its first error on, with the user's paths.
fn quote(guest: &GuestSources, output: &Output) -> String {
    let text = [&output.stderr[..], &output.stdout[..]].concat();
    let text = String::from_utf8_lossy(&text);
    let (directory, shown) = &guest.shown;
    let text = text.replace(&format!("{}/", directory.display()), shown);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("%Error"));
    let lines = lines.iter().skip(first.unwrap_or(0)).take(QUOTED_LINES);
    lines.copied().collect::<Vec<_>>().join("\n")
}

/// What is wrong with the top where Verilator complains of the module that is bound into it, and not of the user's files.
fn of_probe(guest: &GuestSources, said: &str) -> Option<String> {
    let first = said.lines().find(|line| line.starts_with("%Error"))?;
    let top = &guest.top;
    if first.contains("not found in the design:") {
        let names = first.rsplit(": ").next().unwrap_or_default();
        return Some(format!(
            "the top `{top}` has no parameter {names} (design.parameters)"
        ));
    }
    if !first.contains(PROBE_FILE) && !first.contains("--top-module") {
        return None;
    }
    let declares = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        declares(&String::from_utf8_lossy(&bytes), top)
    };
    if !guest.files.iter().any(declares) {
        return Some(format!(
            "there is no module `{top}` in design.files (design.top)"
        ));
    }
    let mut lines: Vec<String> = Vec::new();
    for name in said
        .lines()
        .filter(|line| line.starts_with("%Error") && line.contains(PROBE_FILE))
        .filter_map(|line| line.rsplit('\'').nth(1))
    {
        let line = match name {
            "clk_i" | "rst_ni" => {
                format!(
                    "the top `{top}` has no port `{name}` (input, 1 bit, contract 3): add it to the adapter"
                )
            }
            _ => format!("the top `{top}` has no parameter {name} (design.parameters)"),
        };
        // Of the second message about a parameter the first says enough.
        if (name == "clk_i" || name == "rst_ni" || lines.is_empty()) && !lines.contains(&line) {
            lines.push(line);
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Whether a text has a module of that name, comments not told apart.
fn declares(text: &str, module: &str) -> bool {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$'));
    let mut words = words.filter(|word| !["", "automatic", "static"].contains(word));
    let mut after_module = false;
    words.any(|word| {
        let found = after_module && word == module;
        after_module = word == "module";
        found
    })
}

/// Every file that Verilator read is one that the key covers; else a change of it would go unnoticed.
fn check_files(
    guest: &GuestSources,
    generated: &Path,
    include_dir: &Path,
) -> Result<(), LibraryError> {
    let path = generated.join(format!("{PREFIX}__ver.d"));
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(());
    };
    let read = text.split_once(" : ").map_or("", |(_, read)| read);
    // Names with blanks are not told apart there; a piece of one names no file.
    let outside = read.split_whitespace().map(PathBuf::from).find(|file| {
        let is_source = file
            .extension()
            .and_then(|ending| ending.to_str())
            .is_some_and(|ending| {
                ["sv", "svh", "v", "vh", "svp", "vp", "inc", "h"].contains(&ending)
            });
        is_source
            && file.is_absolute()
            && file.is_file()
            && !file.starts_with(include_dir)
            && !guest.contents.iter().any(|(known, _)| known == file)
    });
    match outside {
        None => Ok(()),
        Some(file) => Err(LibraryError::GuestPorts {
            message: format!(
                "the design reads `{}`, which is neither in design.files nor in one of design.include_dirs",
                file.display()
            ),
            remedy: "name the file in design.files, or its directory in design.include_dirs: a change of it would go unnoticed".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_found_by_its_whole_name() {
        for text in [
            "module top;",
            "x\nmodule automatic top #(",
            "module\n  top(",
        ] {
            assert!(declares(text, "top"), "{text}");
        }
        for text in ["module top2;", "endmodule top", "module a; top u();"] {
            assert!(!declares(text, "top"), "{text}");
        }
    }
}
