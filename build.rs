//! Build script: embeds the RTL and the shim, and with the feature `rtl-static` verilates and links the default machine.
//!
//! Feature `rtl` (default): nothing but a generated list of `include_str!`s; Verilator is needed at run time only, and its absence is an
//! error value there (`src/cosim/library.rs`). Feature `rtl-static`: the machine with the parameters' defaults becomes a static
//! library beside Verilator's runtime, which the crate `verilated` compiles. Counterpart: `src/cosim/verilate.rs`.

use std::path::{Path, PathBuf};
use std::{env, fs};

#[allow(dead_code, reason = "the run-time build uses the rest of it")]
#[path = "src/cosim/verilate.rs"]
mod verilate;

type Result<T> = std::result::Result<T, String>;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/cosim/verilate.rs");
    if env::var_os("CARGO_FEATURE_RTL").is_none() {
        return;
    }
    println!("cargo::rerun-if-changed=rtl");
    println!("cargo::rerun-if-changed=shim");
    if let Err(message) = build() {
        println!("cargo::error={message}");
    }
}

fn build() -> Result<()> {
    let root = PathBuf::from(
        env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo did not say where the package is")?,
    );
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo did not say where to write")?);
    let rtl = list(&root.join("rtl"), &[".sv"])?;
    let shim = list(&root.join("shim"), &[".h", ".cpp"])?;
    let text = format!("{}{}", embedded("RTL", &rtl), embedded("SHIM", &shim));
    write(&out.join("embedded.rs"), &text)?;
    #[cfg(feature = "rtl-static")]
    linked::link_default_machine(&root, &out, &rtl)?;
    Ok(())
}

/// Files of a folder with one of the endings, in the order in which Verilator wants them.
fn list(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry
            .map_err(|error| format!("{}: {error}", folder.display()))?
            .path();
        if endings
            .iter()
            .any(|ending| file_name(&path).ends_with(ending))
        {
            files.push(path);
        }
    }
    files.sort_by_key(|path| verilate::source_order(&file_name(path)));
    Ok(files)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// `pub static NAME: &[(&str, &str)]`: each file's name and text.
fn embedded(name: &str, files: &[PathBuf]) -> String {
    let entries: String = files
        .iter()
        .map(|path| {
            format!(
                "    ({:?}, include_str!({:?})),\n",
                file_name(path),
                path.display().to_string()
            )
        })
        .collect();
    format!("pub(super) static {name}: &[(&str, &str)] = &[\n{entries}];\n")
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The machine that is linked in.
#[cfg(feature = "rtl-static")]
mod linked {
    use super::{Result, env, fs, verilate, write};
    use std::path::{Path, PathBuf};

    /// Verilates the embedded sources with the parameters' defaults, and compiles the result beside the harness.
    pub fn link_default_machine(root: &Path, out: &Path, rtl: &[PathBuf]) -> Result<()> {
        check_compatibility_header(root)?;
        let flags = verilate::Flags::LINKED;
        let verilator = verilate::Verilator::find(Path::new("verilator"))?;
        let output = out.join("verilated");
        if output.exists() {
            // Files of an earlier RTL would be taken into the unity file.
            fs::remove_dir_all(&output)
                .map_err(|error| format!("{}: {error}", output.display()))?;
        }
        fs::create_dir_all(&output).map_err(|error| format!("{}: {error}", output.display()))?;
        let probe = output.join(verilate::PROBE_FILE);
        write(
            &probe,
            &verilate::probe_module(verilate::TOP_MODULE, &verilate::PARAMETERS, flags.trace),
        )?;
        let files: Vec<PathBuf> = rtl.iter().cloned().chain([probe]).collect();
        let result = std::process::Command::new(&verilator.program)
            .args(verilate::verilator_arguments::<&str>(
                verilate::TOP_MODULE,
                flags,
                &[],
                &files,
                &output,
            ))
            .output()
            .map_err(|error| format!("verilator: {error}"))?;
        if !result.status.success() {
            let text = String::from_utf8_lossy(&result.stderr)
                .lines()
                .take(20)
                .collect::<Vec<_>>()
                .join(" | ");
            return Err(format!("verilator refused rtl/*.sv: {text}"));
        }
        let units = verilate::units(&output, flags)
            .map_err(|error| format!("{}: {error}", output.display()))?;
        let compiler = Compiler {
            root,
            output: &output,
            verilator: &verilator,
            flags,
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = units
                .iter()
                .map(|unit| scope.spawn(|| compiler.compile(unit)))
                .collect();
            threads.into_iter().try_for_each(|thread| {
                let ended_early = |_| Err("the compiler's thread ended early".into());
                thread.join().unwrap_or_else(ended_early)
            })
        })?;
        // The order of linking is theirs.
        for unit in &units {
            println!("cargo::rustc-link-lib=static={}", library(unit));
        }
        for name in ["dylib=stdc++", "dylib=atomic"] {
            println!("cargo::rustc-link-lib={name}");
        }
        println!("cargo::rustc-link-search=native={}", out.display());
        Ok(())
    }

    /// The name of the library that a unit becomes.
    fn library(unit: &verilate::Unit) -> String {
        format!("twinwalk_{}", unit.name)
    }

    /// What the compilations share.
    struct Compiler<'a> {
        root: &'a Path,
        output: &'a Path,
        verilator: &'a verilate::Verilator,
        flags: verilate::Flags,
    }

    impl Compiler<'_> {
        fn compile(&self, unit: &verilate::Unit) -> Result<()> {
            let source = self.output.join(format!("{}.cpp", unit.name));
            write(&source, &unit.text)?;
            let mut files = vec![source];
            if unit.name == "fast" {
                // The crate `verilated` compiles the rest of the runtime; it dates from before this file existed.
                files.push(self.verilator.include_dir.join("verilated_threads.cpp"));
            }
            let mut build = cc::Build::new();
            build
                .cpp(true)
                .warnings(false)
                .debug(false)
                .cargo_metadata(false);
            build.opt_level_str(unit.optimisation.trim_start_matches("-O"));
            for argument in verilate::compiler_arguments(&self.verilator.include_dir) {
                build.flag(argument);
            }
            for (name, value) in
                verilate::harness_defines(self.flags, &verilate::PARAMETERS, "linked")
            {
                build.define(name, value.as_str());
            }
            build.include(self.output).include(self.root.join("shim"));
            build
                .flag("-include")
                .flag(verilate::PRINT_HOOK)
                .files(files);
            build
                .try_compile(&library(unit))
                .map_err(|error| format!("the C++ compiler refused the verilated machine: {error}"))
        }
    }

    /// Without `.cargo/config.toml` the crate `verilated` does not compile, and its own message does not say why.
    fn check_compatibility_header(root: &Path) -> Result<()> {
        let flags = env::var("HOST_CXXFLAGS").unwrap_or_default();
        let include = env::var_os("CPLUS_INCLUDE_PATH").unwrap_or_default();
        let found =
            env::split_paths(&include).any(|path| path.join("verilated_compat.h").is_file());
        if flags.contains("verilated_compat.h") && found {
            return Ok(());
        }
        Err(format!(
            "feature `rtl-static` builds only inside its own checkout, with the environment of {}; leave the feature off \
             (the default feature `rtl` needs nothing at build time), or add `{}` to CPLUS_INCLUDE_PATH and \
             `-include verilated_compat.h` to HOST_CXXFLAGS",
            root.join(".cargo/config.toml").display(),
            root.join("shim").display()
        ))
    }
}
