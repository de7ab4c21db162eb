//! A private copy of the package, into which bugs are edited and which is then built.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{Edit, root};

/// What the copy consists of; the rest of the checkout is not needed to build the binary or the tests of the library.
const PARTS: [&str; 11] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "build.rs",
    "src",
    "rtl",
    "shim",
    "presets",
    "docs",
    "benches",
    "traces",
];

/// The private copy, with the places beside it that its builds and runs use.
pub struct Copy {
    sources: PathBuf,
    target: PathBuf,
    binaries: PathBuf,
    cache: PathBuf,
}

/// Makes `to` hold what `from` holds; files that are equal stay untouched, so that the next build is an incremental one.
fn mirror(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a directory can be made");
        for entry in fs::read_dir(from).expect("a directory can be read") {
            let name = entry.expect("an entry can be read").file_name();
            mirror(&from.join(&name), &to.join(&name));
        }
        for entry in fs::read_dir(to).expect("a directory can be read") {
            let path = entry.expect("an entry can be read").path();
            let origin = from.join(path.file_name().expect("an entry has a name"));
            if path.is_file() && !origin.exists() {
                fs::remove_file(path).expect("a file of the copy can be removed");
            }
        }
    } else if from.is_file() {
        let text = fs::read(from).expect("a file can be read");
        if fs::read(to).ok().as_ref() != Some(&text) {
            fs::write(to, text).expect("a file can be written");
        }
    }
}

impl Copy {
    /// A copy in a directory of this name. Two copies of one name must not be used at a time.
    pub fn new(name: &str) -> Self {
        let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let place = |name: &str| base.join(name);
        let copy = Self {
            sources: place("copy"),
            target: place("target"),
            binaries: place("binaries"),
            cache: place("cache"),
        };
        for directory in [&copy.sources, &copy.binaries, &copy.cache] {
            fs::create_dir_all(directory).expect("a directory can be made");
        }
        copy
    }

    /// Brings the copy back to what the checkout holds.
    pub fn restore(&self) {
        for part in PARTS {
            mirror(&root().join(part), &self.sources.join(part));
        }
    }

    /// The cache of verilated machines that its binaries use.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Makes these edits, and no others.
    fn edit(&self, edits: &[Edit]) -> Result<(), String> {
        self.restore();
        for edit in edits {
            let path = self.sources.join(&edit.file);
            let text =
                fs::read_to_string(&path).map_err(|error| format!("{}: {error}", edit.file))?;
            if text.matches(&edit.find).count() != 1 {
                return Err(format!(
                    "the passage does not occur once in {}: {}",
                    edit.file, edit.find
                ));
            }
            fs::write(&path, text.replacen(&edit.find, &edit.replace, 1))
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// What cargo does with the copy.
    fn cargo(&self, command: &str, arguments: &[&str]) -> Result<Output, String> {
        let features = [
            "--quiet",
            "--locked",
            "--no-default-features",
            "--features",
            "rtl",
        ];
        Command::new(env!("CARGO"))
            .arg(command)
            .args(features)
            // The shortest way from one bug to the next: nothing optimised, one crate compiled incrementally.
            .args([
                "--config",
                "profile.dev.opt-level=0",
                "--config",
                "profile.dev.debug=false",
            ])
            .args(["--config", "profile.dev.incremental=true"])
            .arg("--target-dir")
            .arg(&self.target)
            .args(arguments)
            .current_dir(&self.sources)
            .output()
            .map_err(|error| error.to_string())
    }

    /// What the unit test `test` says with these edits, and whether it ran and failed.
    pub fn fails(&self, edits: &[Edit], test: &str) -> Result<(bool, String), String> {
        self.edit(edits)?;
        let output = self.cargo("test", &["--lib", "--", "--exact", test])?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let failed = said.contains("test result: FAILED. 0 passed; 1 failed");
        let ran = failed || said.contains("test result: ok. 1 passed");
        if ran {
            Ok((failed, said))
        } else {
            let error = String::from_utf8_lossy(&output.stderr);
            Err(format!("{test} did not run: {said}{error}"))
        }
    }

    /// The binary with these edits, under a name of its own.
    pub fn build(&self, name: &str, edits: &[Edit]) -> Result<PathBuf, String> {
        self.edit(edits)?;
        let output = self.cargo("build", &["--bin", "twinwalk"])?;
        if !output.status.success() {
            return Err(format!(
                "does not build: {}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        let binary = self
            .binaries
            .join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let built = self
            .target
            .join("debug")
            .join(format!("twinwalk{}", std::env::consts::EXE_SUFFIX));
        fs::copy(built, &binary).map_err(|error| error.to_string())?;
        Ok(binary)
    }
}
