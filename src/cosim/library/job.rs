//! One build: keys, command lines run in a directory of the cache, and what is left there.
//!
//! Contract: none. Counterpart: `build.rs`, which does the same for the linked machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{LibraryError, MACHINE_FILE, Recipe, Step, Toolchain, embedded, guest};
use crate::cosim::cache::{Cache, Key, KeyBuilder};
use crate::cosim::verilate::{self, Trace, Unit};
use crate::cosim::wave::beside;

const RUNTIME_FILE: &str = "runtime.o";
/// Lines of a tool's output that an error message quotes.
pub(super) const QUOTED_LINES: usize = 30;
const LINK_ARGUMENTS: [&str; 5] = [
    "-shared",
    "-Wl,-Bsymbolic",
    "-Wl,-z,defs",
    "-pthread",
    "-latomic",
];
const CODE_ARGUMENTS: [&str; 2] = ["-fPIC", "-fvisibility=hidden"];

/// One request for a machine.
pub(super) struct Job<'a> {
    pub(super) runtimes: &'a Cache,
    pub(super) recipe: &'a Recipe,
    pub(super) tools: &'a Toolchain,
}

impl Job<'_> {
    fn parameter_names(&self) -> Vec<&str> {
        self.recipe
            .parameters
            .iter()
            .map(|(name, _)| name.as_ref())
            .collect()
    }

    /// Covers what every build depends on: the tools, the flags, and the command lines that this program makes of them.
    fn key_of_tools(&self, kind: &str) -> KeyBuilder {
        let flags = self.recipe.flags;
        let mut key = Key::builder(kind);
        key.add("verilator", self.tools.verilator.version.as_bytes());
        key.add(
            "include",
            self.tools
                .verilator
                .include_dir
                .as_os_str()
                .as_encoded_bytes(),
        );
        key.add(
            "compiler",
            self.tools.compiler.as_os_str().as_encoded_bytes(),
        );
        key.add("compiler version", self.tools.compiler_version.as_bytes());
        key.add(
            "target",
            format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS).as_bytes(),
        );
        let arguments = verilate::compiler_arguments(Path::new(""));
        for argument in arguments
            .iter()
            .map(String::as_str)
            .chain(CODE_ARGUMENTS)
            .chain(LINK_ARGUMENTS)
        {
            key.add("argument", argument.as_bytes());
        }
        key.add("optimisation", flags.optimisation_flag().as_bytes());
        for file in verilate::runtime_files(flags) {
            key.add("runtime", file.as_bytes());
        }
        for &(name, text) in embedded::SHIM {
            key.add(name, text.as_bytes());
        }
        key
    }

    pub(super) fn machine_key(&self) -> Key {
        let recipe = self.recipe;
        let mut key = self.key_of_tools("machine");
        for argument in verilate::verilator_arguments(
            recipe.top(),
            recipe.flags,
            &recipe.parameters,
            &[],
            Path::new(""),
        ) {
            key.add("verilator argument", argument.as_bytes());
        }
        key.add("probe", self.probe_module().as_bytes());
        if let Some(guest) = &recipe.guest {
            guest::add_to_key(guest, &mut key);
        }
        for source in &recipe.sources {
            key.add(&source.name, source.text.as_bytes());
        }
        key.finish()
    }

    fn probe_module(&self) -> String {
        let recipe = self.recipe;
        let trace = recipe.flags.trace;
        let mut text = verilate::probe_module(recipe.top(), &self.parameter_names(), trace);
        if trace == Trace::Fst {
            text.push_str(&beside::modules(recipe.top(), &recipe.extent()));
        }
        text
    }

    /// Leaves in `work` the library and nothing else.
    pub(super) fn build_machine(
        &self,
        key: Key,
        work: &Path,
        report: &dyn Fn(Step),
    ) -> Result<(), LibraryError> {
        let shim = work.join("shim");
        write_shim(&shim)?;
        self.copy_runtime(&work.join(RUNTIME_FILE), report)?;
        report(Step::Verilate);
        let generated = work.join("verilated");
        self.verilate(work, &generated)?;
        let flags = self.recipe.flags;
        let units = verilate::units(&generated, flags).map_err(|source| LibraryError::Write {
            path: generated.clone(),
            source,
        })?;
        report(Step::Compile);
        let objects = side_by_side(&units, |unit| self.compile_unit(key, work, unit))?;
        let mut command = self.compiler(work);
        command
            .args(objects)
            .arg(work.join(RUNTIME_FILE))
            .args(LINK_ARGUMENTS);
        if self.recipe.flags.trace == Trace::Fst {
            command.arg("-lz");
        }
        command.arg("-o").arg(work.join(MACHINE_FILE));
        self.run_compiler(&mut command, "the verilated machine", work)?;
        for path in [shim, generated, work.join("rtl")] {
            fs::remove_dir_all(&path).map_err(|source| LibraryError::Write { path, source })?;
        }
        remove_file(&work.join(RUNTIME_FILE))
    }

    fn compile_unit(&self, key: Key, work: &Path, unit: &Unit) -> Result<PathBuf, LibraryError> {
        let generated = work.join("verilated");
        let name = format!("{}.cpp", unit.name);
        let source = generated.join(&name);
        let object = generated.join(format!("{name}.o"));
        write(&source, &unit.text)?;
        let mut command = self.compiler(work);
        command
            .arg(unit.optimisation)
            .arg("-I")
            .arg(&generated)
            .arg("-I")
            .arg(work.join("shim"));
        command.args(["-include", verilate::PRINT_HOOK]);
        for (name, value) in
            verilate::harness_defines(self.recipe.flags, &self.parameter_names(), &key.to_hex())
        {
            command.arg(format!("-D{name}={value}"));
        }
        command.arg("-c").arg(source).arg("-o").arg(&object);
        self.run_compiler(&mut command, &name, work)?;
        Ok(object)
    }

    /// Writes the sources and runs Verilator over them; paths are relative, so that messages look the same wherever the cache is.
    fn verilate(&self, work: &Path, generated: &Path) -> Result<(), LibraryError> {
        let rtl = work.join("rtl");
        make_dir(&rtl)?;
        make_dir(generated)?;
        let mut files = Vec::new();
        for source in &self.recipe.sources {
            write(&rtl.join(&*source.name), &source.text)?;
            files.push(Path::new("rtl").join(&*source.name));
        }
        if let Some(guest) = &self.recipe.guest {
            files.extend(guest.files.iter().cloned());
        }
        write(&rtl.join(verilate::PROBE_FILE), &self.probe_module())?;
        files.push(Path::new("rtl").join(verilate::PROBE_FILE));
        let mut arguments = verilate::verilator_arguments(
            self.recipe.top(),
            self.recipe.flags,
            &self.recipe.parameters,
            &files,
            Path::new("verilated"),
        );
        if let Some(guest) = &self.recipe.guest {
            arguments.extend(guest::verilator_arguments(guest));
        }
        let program = &self.tools.verilator.program;
        let output = Command::new(program)
            .args(arguments)
            .current_dir(work)
            .output()
            .map_err(|error| {
                LibraryError::Tool(format!("`{}` does not run: {error}", program.display()))
            })?;
        if let Some(guest) = &self.recipe.guest {
            return guest::judge(guest, &output, generated, &self.tools.verilator.include_dir);
        }
        if output.status.success() {
            return Ok(());
        }
        Err(LibraryError::Verilate {
            output: quote(&output),
        })
    }

    /// Puts the runtime's object archive at `target`, compiling it first if this is its first use.
    fn copy_runtime(&self, target: &Path, report: &dyn Fn(Step)) -> Result<(), LibraryError> {
        self.runtimes.get_or_build(
            self.key_of_tools("runtime").finish(),
            &mut |event| report(Step::Cache(event)),
            |work| {
                report(Step::Runtime);
                self.build_runtime(work)
            },
            |directory| {
                fs::copy(directory.join(RUNTIME_FILE), target)
                    .map(drop)
                    .map_err(|source| LibraryError::Write {
                        path: target.to_owned(),
                        source,
                    })
            },
        )
    }

    fn build_runtime(&self, work: &Path) -> Result<(), LibraryError> {
        let shim = work.join("shim");
        write_shim(&shim)?;
        let files = verilate::runtime_files(self.recipe.flags);
        // The files are independent of each other, and this is all that the user waits for.
        let objects = side_by_side(&files, |file| self.compile_runtime_file(file, &shim, work))?;
        // One relocatable object instead of an archive: the C++ compiler makes it without a further tool.
        let mut command = self.compiler(work);
        command
            .args(["-r", "-nostdlib", "-o"])
            .arg(work.join(RUNTIME_FILE))
            .args(&objects);
        self.run_compiler(&mut command, "the runtime", work)?;
        for object in &objects {
            remove_file(object)?;
        }
        fs::remove_dir_all(&shim).map_err(|source| LibraryError::Write { path: shim, source })
    }

    fn compile_runtime_file(
        &self,
        file: &str,
        shim: &Path,
        work: &Path,
    ) -> Result<PathBuf, LibraryError> {
        let object = work.join(format!("{file}.o"));
        let mut command = self.compiler(work);
        command
            .arg(self.recipe.flags.optimisation_flag())
            .arg("-I")
            .arg(shim)
            .arg("-include")
            .arg(verilate::PRINT_HOOK)
            .arg("-c");
        command
            .arg(self.tools.verilator.include_dir.join(file))
            .arg("-o")
            .arg(&object);
        self.run_compiler(&mut command, file, work)?;
        Ok(object)
    }

    fn compiler(&self, work: &Path) -> Command {
        let mut command = Command::new(&self.tools.compiler);
        command
            .args(verilate::compiler_arguments(
                &self.tools.verilator.include_dir,
            ))
            .args(CODE_ARGUMENTS)
            // The compiler's temporary files go the way of the work directory if it is killed.
            .env("TMPDIR", work);
        command
    }

    fn run_compiler(
        &self,
        command: &mut Command,
        what: &str,
        work: &Path,
    ) -> Result<(), LibraryError> {
        let program = &self.tools.compiler;
        let output = command.output().map_err(|error| {
            LibraryError::Tool(format!("`{}` does not run: {error}", program.display()))
        })?;
        if output.status.success() {
            return Ok(());
        }
        Err(LibraryError::Compile {
            compiler: program.display().to_string(),
            what: what.to_owned(),
            directory: work.parent().unwrap_or(work).to_owned(),
            output: format!("{} ({})", quote(&output), output.status),
        })
    }
}

/// Runs `make` with all of `inputs` at the same time; the results are in their order.
fn side_by_side<I: Sync, T: Send>(
    inputs: &[I],
    make: impl Fn(&I) -> Result<T, LibraryError> + Sync,
) -> Result<Vec<T>, LibraryError> {
    std::thread::scope(|scope| {
        let make = &make;
        let threads: Vec<_> = inputs
            .iter()
            .map(|input| scope.spawn(move || make(input)))
            .collect();
        threads
            .into_iter()
            // A panic goes on as one.
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

fn write_shim(directory: &Path) -> Result<(), LibraryError> {
    make_dir(directory)?;
    embedded::SHIM
        .iter()
        .try_for_each(|&(name, text)| write(&directory.join(name), text))
}

fn make_dir(path: &Path) -> Result<(), LibraryError> {
    fs::create_dir_all(path).map_err(|source| LibraryError::Write {
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, text: &str) -> Result<(), LibraryError> {
    fs::write(path, text).map_err(|source| LibraryError::Write {
        path: path.to_owned(),
        source,
    })
}

fn remove_file(path: &Path) -> Result<(), LibraryError> {
    fs::remove_file(path).map_err(|source| LibraryError::Write {
        path: path.to_owned(),
        source,
    })
}

/// The first lines of what a tool said; the rest seldom helps.
fn quote(output: &std::process::Output) -> String {
    let text = [&output.stderr[..], &output.stdout[..]].concat();
    String::from_utf8_lossy(&text)
        .lines()
        .take(QUOTED_LINES)
        .collect::<Vec<_>>()
        .join("\n")
}
