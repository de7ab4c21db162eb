//! Tests of building a machine: patches, missing and failing tools, what a key covers, the shared runtime.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use super::{LibraryError, Provider, Recipe, SourceFile, Step};
use crate::config::{Config, Source, load};
use crate::cosim::rtl::Library;
use crate::cosim::verilate::{
    Coverage, Flags, Optimisation, PARAMETERS, Trace, Unit, source_order, units,
};

const QUICK: Flags = Flags {
    optimisation: Optimisation::None,
    ..Flags::DEFAULT
};

/// The smallest machine: it is built again and again.
fn tiny() -> Config {
    load(&Source::Preset("tiny".to_owned()), &[])
        .expect("a preset is valid")
        .config
}

fn recipe() -> Recipe {
    Recipe::new(&tiny(), QUICK)
}

/// An executable script, in the place of a tool.
#[cfg(unix)]
fn script(directory: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
    path
}

/// A provider with a cache of its own, so that everything is built.
fn fresh(directory: &Path, verilator: &Path, compiler: &Path) -> Provider {
    Provider::with_tools(&directory.join("cache"), 1 << 28, verilator, compiler)
        .expect("the cache can be used")
}

fn build(provider: &Provider, recipe: &Recipe) -> (Result<Library, LibraryError>, Vec<Step>) {
    let mut steps = Vec::new();
    let result = provider.loaded_library(recipe, &mut |step| steps.push(step));
    (result, steps)
}

fn entries(directory: &Path, kind: &str) -> usize {
    fs::read_dir(directory.join("cache").join(kind).join("entries"))
        .expect("readable")
        .count()
}

#[test]
fn the_parameters_are_those_of_the_configuration_in_its_order() {
    let names: Vec<&str> = Config::default()
        .rtl_parameters()
        .iter()
        .map(|&(name, _)| name)
        .collect();
    assert_eq!(names, PARAMETERS);
}

#[test]
fn packages_come_first() {
    let mut names = ["walker.sv", "mmu_pkg.sv", "mmu.sv"];
    names.sort_by_key(|name| source_order(name));
    assert_eq!(names, ["mmu_pkg.sv", "mmu.sv", "walker.sv"]);
}

#[test]
fn each_generated_file_is_in_one_unit_and_what_seldom_runs_is_not_optimised() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let names = [
        "Vmmu.cpp",
        "Vmmu__0.cpp",
        "Vmmu__0__Slow.cpp",
        "Vmmu__Syms.cpp",
    ];
    for (name, size_bytes) in names.into_iter().zip([10, 500, 700, 20]) {
        let text = " ".repeat(size_bytes);
        fs::write(directory.path().join(name), text).expect("writable");
    }
    fs::write(directory.path().join("Vmmu.h"), "").expect("writable");
    let included = |unit: &Unit| -> Vec<String> {
        let lines = unit.text.lines();
        lines
            .filter_map(|line| line.strip_prefix("#include \"")?.strip_suffix('"'))
            .map(str::to_owned)
            .collect()
    };
    let full = units(directory.path(), Flags::DEFAULT).expect("readable");
    let levels: Vec<&str> = full.iter().map(|unit| unit.optimisation).collect();
    assert_eq!(levels, ["-O2", "-O2", "-O0"]);
    assert_eq!(included(&full[0]), ["Vmmu.cpp", "harness.cpp"]);
    assert_eq!(included(&full[1]), ["Vmmu__0.cpp"]);
    assert_eq!(included(&full[2]), names[2..]);
    let quick = units(directory.path(), QUICK).expect("readable");
    assert_eq!(quick.len(), 1);
    assert_eq!(quick[0].optimisation, "-O0");
    assert_eq!(included(&quick[0]), [&names[..], &["harness.cpp"]].concat());
}

#[test]
fn a_patch_that_does_not_fit_is_refused() {
    let text = |text: &'static str| SourceFile {
        name: "mmu.sv".into(),
        text: text.into(),
    };
    let mut recipe = recipe().with_sources(vec![text("module mmu; wire a; wire b; endmodule")]);
    for (file, passage) in [
        ("none.sv", "wire a"),
        ("mmu.sv", "wire c"),
        ("mmu.sv", "wire "),
    ] {
        let error = recipe.patch(file, passage, "x").expect_err("does not fit");
        assert!(error.to_string().contains(file), "{error}");
    }
    recipe.patch("mmu.sv", "wire a", "wire z").expect("fits");
    assert_eq!(
        recipe.sources()[0].text,
        "module mmu; wire z; wire b; endmodule"
    );
}

#[test]
fn a_missing_tool_is_an_error_with_the_remedy() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let missing = Path::new("/nonexistent/tool");
    let no_verilator = fresh(directory.path(), missing, Path::new("g++"));
    let error = build(&no_verilator, &recipe())
        .0
        .expect_err("no Verilator")
        .to_string();
    assert!(
        error.contains("Verilator") && error.contains("apt-get install verilator"),
        "{error}"
    );
    let no_compiler = fresh(directory.path(), Path::new("verilator"), missing);
    let error = build(&no_compiler, &recipe())
        .0
        .expect_err("no compiler")
        .to_string();
    assert!(
        error.contains("C++ compiler") && error.contains("apt-get install g++"),
        "{error}"
    );
}

#[test]
fn what_verilator_refuses_is_quoted() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let provider = fresh(directory.path(), Path::new("verilator"), Path::new("g++"));
    let broken = SourceFile {
        name: "mmu.sv".into(),
        text: "module mmu(input logic a)\nendmodule\n".into(),
    };
    let error = build(&provider, &recipe().with_sources(vec![broken]))
        .0
        .expect_err("a syntax error")
        .to_string();
    assert!(
        error.contains("rtl/mmu.sv:2") && error.contains("syntax error"),
        "{error}"
    );
    assert_eq!(entries(directory.path(), "machines"), 0);
}

#[cfg(unix)]
#[test]
fn a_compiler_that_fails_half_way_leaves_no_entry() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // Leaves half a library behind, as a full disk would; for the runtime it does its work.
    let text = "case \"$*\" in *fast.cpp*) for last; do :; done; echo half > \"$last\"; \
                echo 'final link failed: No space left on device' >&2; exit 1;; esac\nexec g++ \"$@\"";
    let broken = script(directory.path(), "g++-broken", text);
    let provider = fresh(directory.path(), Path::new("verilator"), &broken);
    let error = build(&provider, &recipe())
        .0
        .expect_err("the compiler failed")
        .to_string();
    assert!(
        error.contains("No space left on device") && error.contains("space left below"),
        "{error}"
    );
    assert_eq!(entries(directory.path(), "machines"), 0);
    assert_eq!(
        fs::read_dir(directory.path().join("cache/machines/build"))
            .expect("readable")
            .count(),
        0
    );
}

#[cfg(unix)]
#[test]
fn a_compiler_that_claims_success_without_a_library_is_found_out() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let text = "case \"$*\" in *fast.cpp*) for last; do :; done; echo half > \"$last\"; exit 0;; esac\nexec g++ \"$@\"";
    let lying = script(directory.path(), "g++-lying", text);
    let provider = fresh(directory.path(), Path::new("verilator"), &lying);
    let error = build(&provider, &recipe()).0.expect_err("not a library");
    assert!(matches!(error, LibraryError::Load(_)), "{error}");
    assert_eq!(entries(directory.path(), "machines"), 0);
}

#[test]
fn one_runtime_serves_every_machine_of_the_same_flags() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let provider = fresh(directory.path(), Path::new("verilator"), Path::new("g++"));
    let mut other = tiny();
    other.ports.queue_entries = 3;
    let (first, first_steps) = build(&provider, &recipe());
    let (second, second_steps) = build(&provider, &Recipe::new(&other, QUICK));
    let (third, third_steps) = build(&provider, &recipe());
    assert!(
        first.is_ok() && second.is_ok() && third.is_ok(),
        "{first:?} {second:?} {third:?}"
    );
    assert_eq!(first_steps, [Step::Runtime, Step::Verilate, Step::Compile]);
    assert_eq!(second_steps, [Step::Verilate, Step::Compile]);
    assert_eq!(third_steps, []);
    assert_eq!(
        (
            entries(directory.path(), "machines"),
            entries(directory.path(), "runtimes")
        ),
        (2, 1)
    );
}

#[test]
fn threads_that_want_the_same_machine_build_it_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let provider = fresh(directory.path(), Path::new("verilator"), Path::new("g++"));
    let compiled: usize = std::thread::scope(|scope| {
        let build = || build(&provider, &recipe());
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(build)).collect();
        let results = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        results
            .map(|(library, steps)| {
                library
                    .map(|_| steps.contains(&Step::Compile))
                    .expect("built") as usize
            })
            .sum()
    });
    assert_eq!(compiled, 1);
}

#[test]
fn a_key_covers_text_parameters_flags_and_tools() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let keys = RefCell::new(Vec::new());
    let note = |recipe: &Recipe, edit: &dyn Fn(&mut super::Toolchain)| {
        let provider = fresh(directory.path(), Path::new("verilator"), Path::new("g++"));
        let mut tools = provider.toolchain().expect("found").clone();
        edit(&mut tools);
        let job = super::Job {
            runtimes: &provider.runtimes,
            recipe,
            tools: &tools,
        };
        keys.borrow_mut().push(job.machine_key());
    };
    let same = |_: &mut super::Toolchain| {};
    note(&recipe(), &same);
    let mut config = tiny();
    config.ports.queue_entries += 1;
    note(&Recipe::new(&config, QUICK), &same);
    let changed = [
        Flags {
            optimisation: Optimisation::Full,
            ..QUICK
        },
        Flags {
            assertions: false,
            ..QUICK
        },
        Flags {
            coverage: Coverage::Lines,
            ..QUICK
        },
        Flags {
            trace: Trace::Fst,
            ..QUICK
        },
    ];
    changed
        .into_iter()
        .for_each(|flags| note(&Recipe::new(&tiny(), flags), &same));
    let mut sources = recipe().sources().to_vec();
    sources[0].text.to_mut().push('\n');
    note(&recipe().with_sources(sources), &same);
    note(&recipe(), &|tools| tools.compiler_version.push('x'));
    note(&recipe(), &|tools| tools.verilator.version.push('x'));
    let mut keys = keys.into_inner();
    let count = keys.len();
    note_equal(&directory, &keys[0]);
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count, "two of these share a key");
}

/// The same recipe has the same key in another provider.
fn note_equal(directory: &tempfile::TempDir, expected: &crate::cosim::cache::Key) {
    let provider = fresh(directory.path(), Path::new("verilator"), Path::new("g++"));
    let tools = provider.toolchain().expect("found");
    let job = super::Job {
        runtimes: &provider.runtimes,
        recipe: &recipe(),
        tools,
    };
    assert_eq!(&job.machine_key(), expected);
}
