//! A user's own RTL: the files that its DESIGN.toml names, what they hold by now, and the recipe of its machine.
//!
//! Contract: section 3 (the ports of its top). SDM: none. Counterpart: `docs/byo.md`; `src/config/design.rs` has the keys.
//!
//! The key of a machine covers the text of every file that is named, and of every file below the include directories: Verilator reads
//! no other (`library/guest.rs` holds it to that), so that a change of any of them builds the machine anew.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::cache::Key;
use super::library::{GuestSources, Recipe};
use super::verilate::Flags;
use crate::config::design::{DesignSpec, Named, load};
use crate::config::{Config, ConfigError};

/// Files that the include directories of a design may hold, and bytes in all: it is headers that are looked for, not a home directory.
const MOST_FILES: usize = 20_000;
const MOST_BYTES: u64 = 1 << 28;

/// A design that can be built.
#[derive(Debug, Clone)]
pub struct Design {
    /// What its DESIGN.toml says.
    pub spec: DesignSpec,
    sources: GuestSources,
    hash: String,
}

impl Design {
    /// Reads a DESIGN.toml and every file that the design may be made of.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line, key, value and remedy: a key or value is refused, a file or directory is not there.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let spec = load(path)?;
        let mut contents = Vec::new();
        let files = spec
            .files
            .iter()
            .map(|file| read(file, &mut contents))
            .collect::<Result<Vec<PathBuf>, ConfigError>>()?;
        let include_dirs = spec
            .include_dirs
            .iter()
            .map(|directory| read_directory(directory, &mut contents))
            .collect::<Result<Vec<PathBuf>, ConfigError>>()?;
        contents.sort();
        contents.dedup();
        let directory = path.parent().unwrap_or(Path::new(""));
        let shown = match directory.as_os_str().is_empty() {
            true => String::new(),
            false => format!("{}/", directory.display()),
        };
        let sources = GuestSources {
            top: spec.top.clone(),
            files,
            include_dirs,
            defines: spec.defines.clone(),
            ports: spec.machine.config.ports(),
            contents,
            shown: (absolute(directory), shown),
        };
        let hash = hash(&spec, &sources);
        Ok(Self {
            spec,
            sources,
            hash,
        })
    }

    /// The machine that it is held against.
    pub const fn config(&self) -> &Config {
        &self.spec.machine.config
    }

    /// 16 hexadecimal digits over all that the design is: texts, names, parameters, macros, machine.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// How its machine is built.
    pub fn recipe(&self, flags: Flags) -> Recipe {
        Recipe::of_guest(self.sources.clone(), &self.spec.parameters, flags)
    }
}

fn hash(spec: &DesignSpec, sources: &GuestSources) -> String {
    let mut key = Key::builder("design");
    key.add("name", spec.name.as_bytes());
    key.add("top", spec.top.as_bytes());
    for file in spec.files.iter().chain(&spec.include_dirs) {
        key.add(&file.key, file.written.as_bytes());
    }
    // Contents by their order, not by their places: the same design elsewhere is the same design.
    let mut digests: Vec<&[u8; 32]> = sources.contents.iter().map(|(_, digest)| digest).collect();
    digests.sort();
    for digest in digests {
        key.add("content", digest);
    }
    for (name, value) in &spec.defines {
        key.add(
            &format!("define {name}"),
            value.as_deref().unwrap_or_default().as_bytes(),
        );
    }
    for (name, value) in &spec.parameters {
        key.add(&format!("parameter {name}"), &value.to_le_bytes());
    }
    key.add("machine", spec.machine.config.hash().as_bytes());
    key.finish().to_hex()[..16].to_owned()
}

/// The path from the root on, without looking at what is there. Without the working directory it stays as it is.
fn absolute(path: &Path) -> PathBuf {
    let path = match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    };
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

const REMEDY: &str = "paths are relative to the directory of the DESIGN.toml; name files that are there and can be read";

fn unreadable(named: &Named, path: &Path, error: &io::Error) -> ConfigError {
    let reason = format!("`{}` cannot be read: {error}", path.display());
    named.refuse(reason, REMEDY)
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

fn read(file: &Named, contents: &mut Vec<(PathBuf, [u8; 32])>) -> Result<PathBuf, ConfigError> {
    let bytes = fs::read(&file.path).map_err(|error| unreadable(file, &file.path, &error))?;
    let path = absolute(&file.path);
    contents.push((path.clone(), digest(&bytes)));
    Ok(path)
}

/// Everything below the directory but what is hidden. Links to directories are not followed: they may lead in circles.
fn read_directory(
    directory: &Named,
    contents: &mut Vec<(PathBuf, [u8; 32])>,
) -> Result<PathBuf, ConfigError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| unreadable(directory, &path, &error)
    };
    let mut waiting = vec![directory.path.clone()];
    let (mut files, mut bytes_read) = (0, 0);
    while let Some(path) = waiting.pop() {
        for entry in fs::read_dir(&path).map_err(failed(&path))? {
            let entry = entry.map_err(failed(&path))?;
            let path = entry.path();
            let is_directory = entry.file_type().map_err(failed(&path))?.is_dir();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if is_directory {
                waiting.push(path);
                continue;
            }
            if !path.is_file() {
                continue;
            }
            let bytes = fs::read(&path).map_err(failed(&path))?;
            files += 1;
            bytes_read += bytes.len() as u64;
            if files > MOST_FILES || bytes_read > MOST_BYTES {
                return Err(directory.refuse(
                    format!("it holds more than {MOST_FILES} files, or {MOST_BYTES} bytes"),
                    "name the directories of the headers, and not one far above them",
                ));
            }
            contents.push((absolute(&path), digest(&bytes)));
        }
    }
    Ok(absolute(&directory.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, text: &str) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    fn design(directory: &Path) -> Design {
        Design::load(&directory.join("DESIGN.toml")).expect("it is all there")
    }

    #[test]
    fn every_file_parameter_macro_and_machine_counts_for_the_hash_and_the_place_does_not() {
        let toml =
            "[design]\nname = \"a\"\ntop = \"t\"\nfiles = [\"t.sv\"]\ninclude_dirs = [\"inc\"]\n";
        let fill = |directory: &Path| {
            write(directory, "DESIGN.toml", toml);
            write(directory, "t.sv", "module t; endmodule");
            write(directory, "inc/deep/h.svh", "// h");
        };
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fill(here.path());
        fill(there.path());
        let first = design(here.path());
        assert_eq!(first.hash(), design(there.path()).hash());
        let mut seen = vec![first.hash().to_owned()];
        let changes: [(&str, &str); 5] = [
            ("t.sv", "module t; wire x; endmodule"),
            ("inc/deep/h.svh", "// other"),
            (
                "DESIGN.toml",
                &format!("{toml}[design.parameters]\nN = 1\n"),
            ),
            ("DESIGN.toml", &format!("{toml}[design.defines]\nN = 1\n")),
            (
                "DESIGN.toml",
                &format!("{toml}[machine]\nconfig = \"preset:tiny\"\n"),
            ),
        ];
        for (name, text) in changes {
            write(here.path(), name, text);
            let hash = design(here.path()).hash().to_owned();
            assert!(!seen.contains(&hash), "{name}: {text}");
            seen.push(hash);
        }
    }

    #[test]
    fn a_file_or_directory_that_is_not_there_is_named_with_its_key_and_line() {
        let directory = tempfile::tempdir().unwrap();
        let load = || Design::load(&directory.path().join("DESIGN.toml"));
        let none = load().expect_err("no file");
        assert!(none.remedy().contains("--rtl"), "{none}");
        write(
            directory.path(),
            "DESIGN.toml",
            "[design]\nname = \"a\"\ntop = \"t\"\nfiles = [\n\"t.sv\",\n\"u.sv\"]\n",
        );
        write(directory.path(), "t.sv", "");
        let missing = load().expect_err("no u.sv").to_string();
        assert!(
            missing.contains("line 6: design.files.1 = \"u.sv\" is refused"),
            "{missing}"
        );
        write(directory.path(), "u.sv", "");
        write(
            directory.path(),
            "DESIGN.toml",
            "[design]\nname = \"a\"\ntop = \"t\"\nfiles = [\"t.sv\"]\ninclude_dirs = [\"inc\"]\n",
        );
        let missing = load().expect_err("no inc").to_string();
        assert!(
            missing.contains("line 5: design.include_dirs.0 = \"inc\" is refused"),
            "{missing}"
        );
    }
}
