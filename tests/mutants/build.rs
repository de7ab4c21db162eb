//! From a copy of the RTL with one change to a machine that can be loaded, by the command lines that every machine is built with.
//!
//! Contract: none. SDM: none. Counterpart: `src/cosim/verilate.rs`, whose command lines these are; `src/cosim/library/job.rs`, which builds machines to
//! keep. What is built here is run once and thrown away, and the C++ that Verilator emits is looked at before it is compiled.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use twinwalk::config::Config;
use twinwalk::cosim::verilate::{self, Flags, Optimisation, Verilator};

use crate::process::{self, Ran};

/// The name under which machines are built and loaded; nobody keeps one.
pub const KEY: &str = "mutant";
/// The file of a machine.
pub const LIBRARY: &str = "machine.so";
const COMPILER: &str = "g++";
/// A tool that takes longer than this is taken to refuse; the largest machine takes a tenth of it.
const TOOL_LIMIT: Duration = Duration::from_secs(180);

/// What a machine of many mutants asks for the number of the one that it is.
const CHOOSES: &str = "#include <cstdlib>\nstatic inline unsigned twinwalk_mutant() {\n  \
    const char* text = std::getenv(\"TWINWALK_MUTANT\");\n  return text ? std::strtoul(text, nullptr, 10) : 0;\n}\n";

/// The RTL of the checkout: each file's name and text, packages first.
pub type Sources = Vec<(String, String)>;

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Reads the RTL of the checkout.
pub fn sources() -> Result<Sources, String> {
    let folder = root().join("rtl");
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut sources = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.ends_with(".sv") {
            sources.push((name, fs::read_to_string(&path).map_err(failed)?));
        }
    }
    sources.sort_by_key(|(name, _)| verilate::source_order(name));
    Ok(sources)
}

/// The C++ that Verilator emitted, by the names of its files.
pub type Emitted = BTreeMap<String, Vec<u8>>;

/// What a tool made of a change.
pub enum Made<T> {
    Done(T),
    /// The tool refuses it, for this reason.
    Refused(String),
}

/// Builds machines in one folder.
pub struct Builder {
    verilator: Verilator,
    /// Where compiled runtimes are kept; one thread at a time makes one.
    runtimes: Mutex<PathBuf>,
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn refused(ran: &Ran) -> String {
    let said = format!("{}{}", ran.stderr, ran.stdout);
    let line = said
        .lines()
        .find(|line| line.contains("rror"))
        .unwrap_or_default();
    if ran.timed_out {
        "takes too long".to_owned()
    } else {
        line.to_owned()
    }
}

fn flags(optimisation: Optimisation) -> Flags {
    Flags {
        optimisation,
        ..Flags::DEFAULT
    }
}

impl Builder {
    /// Looks for the tools; compiled runtimes are kept in `folder`.
    pub fn new(folder: &Path) -> Result<Self, String> {
        let runtimes = folder.join("runtimes");
        fs::create_dir_all(&runtimes).map_err(|error| error.to_string())?;
        Ok(Self {
            verilator: Verilator::find(Path::new("verilator"))?,
            runtimes: Mutex::new(runtimes),
        })
    }

    /// Verilates `sources` into `work/verilated`.
    pub fn verilate(
        &self,
        sources: &Sources,
        config: &Config,
        work: &Path,
    ) -> Result<Made<Emitted>, String> {
        let (rtl, output) = (work.join("rtl"), work.join("verilated"));
        for folder in [&rtl, &output] {
            let _ = fs::remove_dir_all(folder);
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let parameters = config.rtl_parameters();
        let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_ref()).collect();
        let flags = flags(Optimisation::None);
        let probe = verilate::probe_module(verilate::TOP_MODULE, &names, flags.trace);
        let mut files = Vec::new();
        for (name, text) in sources
            .iter()
            .map(|(name, text)| (name.as_str(), text))
            .chain([(verilate::PROBE_FILE, &probe)])
        {
            write(&rtl.join(name), text)?;
            files.push(Path::new("rtl").join(name));
        }
        let arguments = verilate::verilator_arguments(
            verilate::TOP_MODULE,
            flags,
            &parameters,
            &files,
            Path::new("verilated"),
        );
        let ran = process::run(
            Command::new(&self.verilator.program)
                .args(arguments)
                .current_dir(work),
            TOOL_LIMIT,
        )?;
        if !ran.succeeded {
            return Ok(Made::Refused(refused(&ran)));
        }
        let mut emitted = Emitted::new();
        for entry in fs::read_dir(&output).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            if path
                .extension()
                .is_some_and(|ending| ending == "cpp" || ending == "h")
            {
                let name = path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                emitted.insert(
                    name.unwrap_or_default(),
                    fs::read(&path).map_err(|error| error.to_string())?,
                );
            }
        }
        Ok(Made::Done(emitted))
    }

    fn compiler(&self) -> Command {
        let mut command = Command::new(COMPILER);
        command.args(verilate::compiler_arguments(&self.verilator.include_dir));
        command.args([
            "-fPIC",
            "-fvisibility=hidden",
            "-include",
            verilate::PRINT_HOOK,
        ]);
        command.arg("-I").arg(root().join("shim"));
        command
    }

    /// Verilator's own C++, compiled once.
    fn runtime(&self, optimisation: Optimisation) -> Result<Vec<PathBuf>, String> {
        let flags = flags(optimisation);
        let runtimes = self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut objects = Vec::new();
        for file in verilate::runtime_files(flags) {
            let object = runtimes.join(format!("{file}{}.o", flags.optimisation_flag()));
            if !object.exists() {
                let new = object.with_extension(format!("{}.new", std::process::id()));
                let mut command = self.compiler();
                command
                    .arg(flags.optimisation_flag())
                    .arg("-c")
                    .arg(self.verilator.include_dir.join(file))
                    .arg("-o")
                    .arg(&new);
                let ran = process::run(&mut command, TOOL_LIMIT)?;
                if !ran.succeeded {
                    return Err(refused(&ran));
                }
                fs::rename(&new, &object).map_err(|error| error.to_string())?;
            }
            objects.push(object);
        }
        Ok(objects)
    }

    /// Compiles what [`Builder::verilate`] left in `work`.
    pub fn compile(
        &self,
        config: &Config,
        work: &Path,
        optimisation: Optimisation,
    ) -> Result<Made<PathBuf>, String> {
        let flags = flags(optimisation);
        let generated = work.join("verilated");
        let runtime = self.runtime(optimisation)?;
        let parameters = config.rtl_parameters();
        let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_ref()).collect();
        let machine = work.join(LIBRARY);
        let units = verilate::units(&generated, flags).map_err(|error| error.to_string())?;
        let mut objects = Vec::new();
        for unit in units {
            let source = generated.join(format!("{}.unit.cc", unit.name));
            write(&source, &format!("{CHOOSES}{}", unit.text))?;
            let object = source.with_extension("o");
            let mut command = self.compiler();
            command.arg(unit.optimisation).arg("-I").arg(&generated);
            for (name, value) in verilate::harness_defines(flags, &names, KEY) {
                command.arg(format!("-D{name}={value}"));
            }
            let ran = process::run(
                command.arg("-c").arg(&source).arg("-o").arg(&object),
                TOOL_LIMIT,
            )?;
            if !ran.succeeded {
                return Ok(Made::Refused(refused(&ran)));
            }
            objects.push(object);
        }
        let mut command = Command::new(COMPILER);
        command.args(objects).args(runtime);
        command
            .args([
                "-shared",
                "-Wl,-Bsymbolic",
                "-Wl,-z,defs",
                "-pthread",
                "-latomic",
                "-o",
            ])
            .arg(&machine);
        let ran = process::run(&mut command, TOOL_LIMIT)?;
        if !ran.succeeded {
            return Ok(Made::Refused(refused(&ran)));
        }
        Ok(Made::Done(machine))
    }
}
