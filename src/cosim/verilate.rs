//! The command lines that turn SystemVerilog into a machine: one place for the run-time build and for `build.rs`.
//!
//! Contract: section 2 (the parameters are passed with `-G`). Counterparts: `shim/harness.cpp`, which is compiled with the model;
//! `build.rs`, which includes this file by path and therefore needs it to use nothing but the standard library.
//!
//! # From SystemVerilog to a machine
//!
//! 1. `verilator --cc` writes C++ classes for the top module and the parameters that were asked for, and for one small module of our
//!    own ([`probe_module`]) that is bound into the top and echoes the parameters as they were elaborated.
//! 2. All of that C++ becomes a few translation units ([`units`]), compiled side by side: what runs in every cycle, with the
//!    harness, and what seldom runs, unoptimised. One `g++` a file would take three times as long, most of it to read the same headers;
//!    where nothing is optimised they are most of the work, and there is one unit.
//! 3. Verilator's runtime ([`runtime_files`]) does not depend on the RTL: it is compiled once per compiler, Verilator and flags.
//!
//! No `make` is involved: the file list is known here, and a Makefile would compile file by file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of `docs/contract.md` that the border (`shim/`) and the structures of `mmu_pkg` were written from.
pub const CONTRACT_VERSION: u32 = 6;
/// The top module of the project's own RTL; a user's design names its own.
pub const TOP_MODULE: &str = "mmu";
/// The C++ class of the top module; `shim/harness.cpp` uses it by this name.
pub const PREFIX: &str = "Vmmu";
/// The header that comes first in every file of runtime and model, and sends their prints to the harness.
pub const PRINT_HOOK: &str = "print_hook.h";
/// File name of [`probe_module`].
pub const PROBE_FILE: &str = "twinwalk_probe.sv";

#[allow(
    clippy::duplicate_mod,
    reason = "the build script, which includes this file, has no module of configurations"
)]
#[path = "../config/parameter_names.rs"]
mod parameter_names;

#[allow(
    unused_imports,
    reason = "the build script needs it only to link a machine"
)]
pub use parameter_names::PARAMETERS;

/// How the build talks about waves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trace {
    /// The machine cannot write waves.
    None,
    /// Value change dump: text, large. The linked machine writes it, through the crate `verilated`.
    Vcd,
    /// Fast signal trace: compressed, a twentieth of the size. Machines built at run time write it; needs zlib.
    Fst,
}

/// What a machine counts of its own RTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coverage {
    /// Nothing.
    None,
    /// Lines, branches and properties (a fifth of the speed).
    Lines,
    /// These, and each bit that changes: ten times as much C++, which takes a minute to compile.
    Toggles,
}

/// How the C++ is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Optimisation {
    /// `-O0`: the shortest build and an eighth of the speed; for tests that need few cycles.
    None,
    /// `-O1`: half of the build time of `-O2`.
    Basic,
    /// `-O2`: the default. `-O3` gains nothing.
    Full,
}

/// What a machine is built with, beside its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flags {
    /// Whether it can write waves.
    pub trace: Trace,
    /// What it counts of its own RTL.
    pub coverage: Coverage,
    /// Whether its SystemVerilog assertions are checked (costs next to nothing).
    pub assertions: bool,
    /// How its C++ is compiled.
    pub optimisation: Optimisation,
}

impl Flags {
    /// Assertions on, no waves, no coverage, `-O2`.
    pub const DEFAULT: Self = Self {
        trace: Trace::None,
        coverage: Coverage::None,
        assertions: true,
        optimisation: Optimisation::Full,
    };

    /// What the linked machine (feature `rtl-static`) is built with: as the default, and able to write VCD waves.
    pub const LINKED: Self = Self {
        trace: Trace::Vcd,
        ..Self::DEFAULT
    };

    /// The bits of `Api::features` in `shim/twinwalk.h`.
    pub const fn features(self) -> u32 {
        let trace = match self.trace {
            Trace::None => 0,
            Trace::Vcd => 2,
            Trace::Fst => 4,
        };
        self.assertions as u32 | trace | (self.counts() as u32) << 3
    }

    /// Whether it counts anything of its own RTL.
    pub const fn counts(self) -> bool {
        !matches!(self.coverage, Coverage::None)
    }

    /// The `-O` of the C++ compiler.
    pub const fn optimisation_flag(self) -> &'static str {
        match self.optimisation {
            Optimisation::None => "-O0",
            Optimisation::Basic => "-O1",
            Optimisation::Full => "-O2",
        }
    }
}

/// Packages first, by name, then the other modules by name: the order in which Verilator is given the files.
pub fn source_order(name: &str) -> (bool, String) {
    (!name.ends_with("_pkg.sv"), name.to_owned())
}

/// A module that is bound into the module `top` and tells the harness each parameter as it was elaborated. With waves it also counts cycles,
/// from 0 in the first cycle without reset, so that a viewer shows the contract's cycle numbers.
pub fn probe_module(top: &str, parameters: &[&str], trace: Trace) -> String {
    let mut text =
        String::from("// Generated (src/cosim/verilate.rs).\nmodule twinwalk_probe #(\n");
    for (index, _) in parameters.iter().enumerate() {
        let _ = writeln!(text, "  parameter logic [63:0] V{index} = 0,");
    }
    text.push_str(
        "  parameter logic [63:0] UNUSED = 0\n) (input logic clk_i, input logic rst_ni);\n",
    );
    if trace != Trace::None {
        text.push_str("  longint cycle_q;\n  always_ff @(posedge clk_i) cycle_q <= rst_ni ? cycle_q + 1 : 0;\n");
    }
    text.push_str("  initial begin\n");
    for (index, _) in parameters.iter().enumerate() {
        let _ = writeln!(
            text,
            "    $c(\"twinwalk_parameter({index}, \", V{index}, \");\");"
        );
    }
    let _ = write!(text, "  end\nendmodule\nbind {top} twinwalk_probe #(\n");
    for (index, name) in parameters.iter().enumerate() {
        let _ = writeln!(text, "  .V{index}(64'({name})),");
    }
    text.push_str("  .UNUSED(64'd0)\n) u_twinwalk_probe (.clk_i, .rst_ni);\n");
    text
}

/// Arguments of `verilator`: sources by `files` (in [`source_order`], relative to the working directory), C++ into `output`.
/// `parameters` are those of the module `top` that differ from the defaults in the SystemVerilog.
pub fn verilator_arguments<N: AsRef<str>>(
    top: &str,
    flags: Flags,
    parameters: &[(N, u64)],
    files: &[PathBuf],
    output: &Path,
) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "--cc",
        "--prefix",
        PREFIX,
        "--top-module",
        top,
        "--timescale",
        "1ns/1ns",
    ]
    .into_iter()
    // Unset registers and X literals begin as the run's seed says, not as 0: nothing may depend on them.
    .chain(["--x-initial", "unique", "--x-assign", "unique"])
    // Lint is a step of its own (`just lint`); a build must not fail on a warning of another Verilator version.
    .chain(["-Wno-fatal", "-Wno-lint", "-Wno-style"])
    // Parameters that the sources refuse are no warning.
    .chain(["-Werror-USERERROR"])
    .map(str::to_owned)
    .collect();
    if flags.assertions {
        arguments.push("--assert".into());
    }
    match flags.trace {
        Trace::None => {}
        Trace::Vcd => arguments.extend(["--trace".into(), "--trace-structs".into()]),
        Trace::Fst => arguments.extend(
            // The texts beside the model's outputs (src/cosim/wave/beside.rs) are wider than what is traced by default.
            [
                "--trace-fst",
                "--trace-structs",
                "--trace-max-width",
                "2048",
            ]
            .map(str::to_owned),
        ),
    }
    if flags.counts() {
        arguments.extend(["--coverage-line".into(), "--coverage-user".into()]);
    }
    if flags.coverage == Coverage::Toggles {
        arguments.push("--coverage-toggle".into());
    }
    arguments.extend(
        parameters
            .iter()
            .map(|(name, value)| format!("-G{}={value}", name.as_ref())),
    );
    arguments.extend(["-Mdir".into(), output.display().to_string()]);
    arguments.extend(files.iter().map(|file| file.display().to_string()));
    arguments
}

/// A translation unit of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its file is `NAME.cpp`.
    pub name: &'static str,
    /// What is in it.
    pub text: String,
    /// The `-O` of the C++ compiler.
    pub optimisation: &'static str,
}

/// The optimisation of what runs once (construction, first evaluation) or only for waves. It is half of the text, and with waves two
/// thirds of the compiler's time at `-O2`.
const SLOW_OPTIMISATION: &str = "-O0";

/// What a machine that writes FST calls beside `twinwalk_parameter`: where a signal lies that the harness sets
/// (src/cosim/wave/beside.rs), and at which word of the values it finds it.
const PLACES: &str = "#include <cstddef>\n\
    void twinwalk_place_bytes(uint32_t word, void* place, size_t bytes);\n\
    template <typename T> void twinwalk_place(uint32_t word, T& place) { twinwalk_place_bytes(word, &place, sizeof place); }\n";

/// Gathers the generated files of `output_dir` into translation units, in the order in which they are to be linked: of functions that
/// are in several, the linker takes the first, and that is an optimised one.
///
/// # Errors
/// If the directory cannot be read.
pub fn units(output_dir: &Path, flags: Flags) -> std::io::Result<Vec<Unit>> {
    let mut generated = Vec::new();
    for entry in std::fs::read_dir(output_dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) && name.ends_with(".cpp") {
            generated.push((name, entry.metadata()?.len()));
        }
    }
    // The order of a directory is no order: the same input shall give the same library.
    generated.sort();
    let is_slow = |name: &str| {
        ["__Slow", "__Trace", "__Syms"]
            .iter()
            .any(|part| name.contains(part))
    };
    let mut texts = [const { String::new() }; 3];
    let mut sizes = [0; 2];
    for (name, size_bytes) in generated {
        let place = if flags.optimisation == Optimisation::None {
            0
        } else if is_slow(&name) {
            2
        } else {
            // To the smaller of the two that are optimised: the compiler takes longest over these.
            let place = usize::from(sizes[1] < sizes[0]);
            sizes[place] += size_bytes;
            place
        };
        let _ = writeln!(texts[place], "#include \"{name}\"");
    }
    let fast = flags.optimisation_flag();
    texts[0].push_str("#include \"harness.cpp\"\n");
    let kinds = [
        ("fast", fast),
        ("fast_more", fast),
        ("slow", SLOW_OPTIMISATION),
    ];
    let units = kinds.into_iter().zip(texts);
    Ok(units
        .filter(|(_, text)| !text.is_empty())
        .map(|((name, optimisation), text)| Unit {
            name,
            text: format!(
                "// Generated (src/cosim/verilate.rs).\n#include <cstdint>\n\
                 void twinwalk_parameter(uint32_t index, uint64_t value);\n{}{text}",
                if flags.trace == Trace::Fst {
                    PLACES
                } else {
                    ""
                }
            ),
            optimisation,
        })
        .collect())
}

/// The `-D` of the harness, as (name, value).
pub fn harness_defines(
    flags: Flags,
    parameters: &[&str],
    build_key: &str,
) -> Vec<(&'static str, String)> {
    vec![
        ("TWINWALK_BUILD_KEY", format!("\"{build_key}\"")),
        ("TWINWALK_FEATURES", flags.features().to_string()),
        ("TWINWALK_PARAMETER_COUNT", parameters.len().to_string()),
        (
            "TWINWALK_PARAMETER_NAMES",
            format!("\"{}\"", parameters.join("\\n")),
        ),
    ]
}

/// Options that runtime and model share, beside the optimisation. `include_dir` is Verilator's, with the runtime's sources and headers.
pub fn compiler_arguments(include_dir: &Path) -> Vec<String> {
    vec![
        "-std=gnu++17".into(),
        "-w".into(),
        "-I".into(),
        include_dir.display().to_string(),
        "-I".into(),
        include_dir.join("vltstd").display().to_string(),
        // The runtime asks each context for the time, never a global function of the program.
        "-DVL_TIME_CONTEXT".into(),
    ]
}

/// Files of Verilator's runtime that a machine with these flags needs, in its include directory.
pub fn runtime_files(flags: Flags) -> Vec<&'static str> {
    let mut files = vec!["verilated.cpp", "verilated_threads.cpp"];
    match flags.trace {
        Trace::None => {}
        Trace::Vcd => files.push("verilated_vcd_c.cpp"),
        Trace::Fst => files.push("verilated_fst_c.cpp"),
    }
    if flags.counts() {
        files.push("verilated_cov.cpp");
    }
    files
}

/// Verilator as it is found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verilator {
    /// The program, as it was asked for.
    pub program: PathBuf,
    /// Its version line.
    pub version: String,
    /// Where its runtime's sources and headers are.
    pub include_dir: PathBuf,
}

impl Verilator {
    /// Asks a program for its version and its runtime's place.
    ///
    /// # Errors
    /// Says, as one sentence with the remedy, why there is no usable Verilator behind that name.
    pub fn find(program: &Path) -> Result<Self, String> {
        let version = first_line(Command::new(program).arg("--version"))
            .map_err(|reason| missing("Verilator", program, "verilator", &reason))?;
        let root = first_line(Command::new(program).args(["--getenv", "VERILATOR_ROOT"]))
            .map_err(|reason| missing("Verilator", program, "verilator", &reason))?;
        let include_dir = Path::new(&root).join("include");
        if !include_dir.join("verilated.cpp").is_file() {
            return Err(format!(
                "Verilator `{}` says that it lives in `{root}`, but there is no include/verilated.cpp; \
                 unset VERILATOR_ROOT, or reinstall Verilator (Debian: apt-get install verilator)",
                program.display()
            ));
        }
        Ok(Self {
            program: program.to_owned(),
            version,
            include_dir,
        })
    }
}

/// The version line of a C++ compiler.
///
/// # Errors
/// Says, as one sentence with the remedy, why there is no usable compiler behind that name.
pub fn compiler_version(program: &Path) -> Result<String, String> {
    first_line(Command::new(program).arg("--version"))
        .map_err(|reason| missing("A C++ compiler", program, "g++", &reason))
}

fn missing(what: &str, program: &Path, package: &str, reason: &str) -> String {
    format!(
        "{what} is needed and `{}` does not run ({reason}); install it (Debian: apt-get install {package})",
        program.display()
    )
}

fn first_line(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err("it printed nothing".into()),
    }
}
