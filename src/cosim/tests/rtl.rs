//! Tests of the border to the verilated machine: layout, echo, order of a cycle, failed assertions, random reset, waves.

use std::path::PathBuf;

use super::{InitialRegisters, Library, Rtl, RtlError, WaveFormat};
use crate::config::Config;
use crate::cosim::library::{Provider, Recipe, SourceFile};
use crate::cosim::verilate::{Coverage, Flags, Optimisation, Trace};
use crate::model::mmu_pkg::{Inputs, Outputs};

#[path = "no_path.rs"]
mod no_path;

/// Machines of these tests: few cycles each, so the shortest build.
const QUICK: Flags = Flags {
    optimisation: Optimisation::None,
    ..Flags::DEFAULT
};

/// A cache that outlives the test, beside the build's other output: the second run of the tests builds nothing.
fn provider() -> Provider {
    let directory = PathBuf::from(env!("OUT_DIR")).join("test-machines");
    Provider::open(&directory, 1 << 28).expect("the cache directory can be used")
}

fn library(recipe: &Recipe) -> Library {
    provider()
        .loaded_library(recipe, &mut |_| {})
        .expect("the machine can be built")
}

fn machine(library: &Library, initial: InitialRegisters) -> Rtl {
    Rtl::new(&Config::default(), library, initial).expect("the machine can be made")
}

fn out_of_reset() -> Inputs {
    Inputs {
        rst_n: 1,
        ..Inputs::default()
    }
}

/// Inputs of a repeatable sequence, every bit of every port in use.
fn noise(step: u64) -> Inputs {
    let mut x = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    let mut inputs = out_of_reset();
    for port in &mut inputs.ports {
        port.req_va = next();
        port.req_pkru = next() as u32;
        port.req_id = next() as u8;
        port.req_kind = next() as u8 & 1;
        port.req_size_bytes = 8;
        port.req_cpl = next() as u8 & 3;
        port.req_ac = next() as u8 & 1;
        port.req_implicit_supervisor = next() as u8 & 1;
        port.resp_ready = next() as u8 & 1;
    }
    inputs.control.data = next();
    inputs.control.addr = next();
    inputs.control.kind = next();
    inputs.control.resp_ready = next() as u8 & 1;
    inputs.memory.resp_data = next();
    inputs.memory.req_ready = next() as u8 & 1;
    inputs
}

/// (structure, field, type, elements) of each field, from Rust source.
fn rust_fields(text: &str) -> Vec<[String; 4]> {
    fields(text, |line| {
        let (name, kind) = line
            .strip_prefix("pub ")?
            .strip_suffix(',')?
            .split_once(": ")?;
        let (kind, count) = match kind.strip_prefix('[') {
            Some(array) => array.strip_suffix(']')?.split_once("; ")?,
            None => (kind, "1"),
        };
        Some([name.to_owned(), kind.to_owned(), count.to_owned()])
    })
}

/// The same from the C header.
fn c_fields(text: &str) -> Vec<[String; 4]> {
    fields(text, |line| {
        let (kind, name) = line.strip_suffix(';')?.split_once(' ')?;
        let (name, count) = name
            .strip_suffix(']')
            .and_then(|array| array.split_once('['))
            .unwrap_or((name, "1"));
        let kind = kind.strip_prefix("uint").map_or(kind.to_owned(), |bits| {
            format!("u{}", bits.trim_end_matches("_t"))
        });
        Some([name.to_owned(), kind, count.to_owned()])
    })
}

fn fields(text: &str, parse: impl Fn(&str) -> Option<[String; 3]>) -> Vec<[String; 4]> {
    let mut structure = String::new();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix("pub struct ")
            .or(line.strip_prefix("struct "))
        {
            structure = name.trim_end_matches(" {").to_owned();
        } else if line.starts_with('}') {
            structure.clear();
        } else if !structure.is_empty()
            && let Some([name, kind, count]) = parse(line)
        {
            found.push([structure.clone(), name, kind, count]);
        }
    }
    found
}

#[test]
fn the_structures_have_the_same_fields_in_rust_and_in_c() {
    let rust = rust_fields(include_str!("../../model/mmu_pkg.rs"));
    let c = c_fields(include_str!("../../../shim/ports.h"));
    assert!(rust.len() > 70, "the texts were not understood: {rust:?}");
    assert_eq!(rust, c);
}

#[test]
fn a_field_that_moved_is_noticed() {
    let header = include_str!("../../../shim/ports.h");
    let moved = header.replacen(
        "uint8_t op;\n    uint8_t way;",
        "uint8_t way;\n    uint8_t op;",
        1,
    );
    assert_ne!(header, moved);
    assert_ne!(c_fields(header), c_fields(&moved));
}

#[test]
fn a_machine_echoes_the_parameters_that_it_was_elaborated_with() {
    let mut config = Config::default();
    config.ports.queue_entries = 3;
    config.psc.pde.ways = 5;
    let library = library(&Recipe::new(&config, QUICK));
    let found = library.parameters().expect("a machine can be made");
    let expected: Vec<_> = config
        .rtl_parameters()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    assert_eq!(found, expected);
    Rtl::new(&config, &library, InitialRegisters::Zeros).expect("the configuration fits");
    let error = Rtl::new(&Config::default(), &library, InitialRegisters::Zeros)
        .expect_err("another configuration does not");
    assert!(
        matches!(&error, RtlError::Parameter { name, rtl, .. } if name == "QUEUE_ENTRIES" && rtl == "3"),
        "{error}"
    );
}

#[test]
fn a_library_under_another_key_is_refused() {
    let library = library(&Recipe::new(&Config::default(), QUICK));
    let error = Library::load(library.path(), "0123").expect_err("the key differs");
    assert!(
        matches!(
            error,
            RtlError::Open { .. }
                | RtlError::Mismatch {
                    what: "its key",
                    ..
                }
        ),
        "{error}"
    );
}

#[test]
fn registers_before_reset_follow_the_seed() {
    let library = library(&Recipe::new(&Config::default(), QUICK));
    // Without a single edge every output still shows what unset registers hold.
    let show = |initial| *machine(&library, initial).probe(&Inputs::default());
    assert_eq!(
        show(InitialRegisters::Random(7)),
        show(InitialRegisters::Random(7))
    );
    assert_ne!(
        show(InitialRegisters::Random(7)),
        show(InitialRegisters::Random(8))
    );
    assert_ne!(show(InitialRegisters::Zeros), show(InitialRegisters::Ones));
}

#[test]
fn the_same_seed_gives_the_same_registers_on_any_number_of_threads() {
    let library = library(&Recipe::new(&Config::default(), QUICK));
    let show = |seed| *machine(&library, InitialRegisters::Random(seed)).probe(&Inputs::default());
    let alone: Vec<Outputs> = (0..8).map(show).collect();
    let together: Vec<Outputs> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|seed| scope.spawn(move || show(seed))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    assert_eq!(alone, together);
}

#[test]
fn cycles_are_counted_from_the_first_without_reset() {
    let library = library(&Recipe::new(&Config::default(), QUICK));
    let mut rtl = machine(&library, InitialRegisters::Random(1));
    for _ in 0..3 {
        rtl.tick(&Inputs::default());
        assert_eq!(rtl.next_cycle(), 0);
    }
    rtl.tick(&out_of_reset());
    rtl.tick(&out_of_reset());
    assert_eq!(rtl.next_cycle(), 2);
}

#[test]
fn a_machine_moves_between_threads() {
    let library = library(&Recipe::new(&Config::default(), QUICK));
    let mut rtl = machine(&library, InitialRegisters::Random(1));
    rtl.tick(&Inputs::default());
    let outputs = std::thread::spawn(move || {
        rtl.tick(&out_of_reset());
        *rtl.tick(&out_of_reset())
    });
    let mut stayed = machine(&library, InitialRegisters::Random(1));
    stayed.tick(&Inputs::default());
    stayed.tick(&out_of_reset());
    assert_eq!(
        *stayed.tick(&out_of_reset()),
        outputs.join().expect("no panic")
    );
}

/// The RTL with an assertion bound in that fails in cycle 5 and in every one after it.
fn failing_recipe() -> Recipe {
    let recipe = Recipe::new(&Config::default(), QUICK);
    let mut sources = recipe.sources().to_vec();
    let text = "module failing(input logic clk_i, input logic rst_ni);\n\
                logic [7:0] n_q;\n\
                always_ff @(posedge clk_i) n_q <= rst_ni ? n_q + 8'd1 : 8'd0;\n\
                seeded: assert property (@(posedge clk_i) disable iff (!rst_ni) n_q < 8'd5) else $error(\"seeded failure\");\n\
                endmodule\n\
                bind mmu failing u_failing (.clk_i, .rst_ni);\n";
    sources.push(SourceFile {
        name: "failing.sv".into(),
        text: text.into(),
    });
    recipe.with_sources(sources)
}

#[test]
fn a_failed_assertion_is_reported_with_its_cycle_and_does_not_end_the_process() {
    let library = library(&failing_recipe());
    let mut rtl = machine(&library, InitialRegisters::Random(3));
    rtl.tick(&Inputs::default());
    for _ in 0..5 {
        rtl.tick(&out_of_reset());
    }
    assert_eq!(rtl.error_count(), 0, "{:?}", rtl.errors());
    for _ in 0..1000 {
        rtl.tick(&out_of_reset());
    }
    assert!(rtl.error_count() > 200);
    assert_eq!(rtl.errors().len(), 256);
    let first = &rtl.errors()[0];
    assert_eq!(first.cycle, Some(5));
    assert!(
        first.text.contains("failing.sv") && first.text.contains("seeded failure"),
        "{}",
        first.text
    );
}

#[test]
fn a_machine_writes_fst_waves_of_a_window() {
    let flags = Flags {
        trace: Trace::Fst,
        ..QUICK
    };
    let library = library(&Recipe::new(&Config::default(), flags));
    let mut rtl = machine(&library, InitialRegisters::Random(3));
    let directory = tempfile::tempdir().expect("a temporary directory");
    rtl.tick(&Inputs::default());
    for name in ["first.fst", "second.fst"] {
        let path = directory.path().join(name);
        rtl.open_wave(&path).expect("the wave can be opened");
        for step in 0..50 {
            rtl.tick(&noise(step));
        }
        assert!(!path.exists(), "the file appears when it is closed");
        rtl.close_wave().expect("the wave can be closed");
        assert!(std::fs::metadata(&path).expect("the file is there").len() > 200);
    }
    assert_eq!(
        std::fs::read_dir(directory.path())
            .expect("readable")
            .count(),
        2,
        "nothing else is left"
    );
    assert_eq!(rtl.wave_format(), Some(WaveFormat::Fst));
}

#[test]
fn a_wave_that_cannot_be_written_is_an_error_that_names_the_file() {
    let flags = Flags {
        trace: Trace::Fst,
        ..QUICK
    };
    let library = library(&Recipe::new(&Config::default(), flags));
    let mut rtl = machine(&library, InitialRegisters::Zeros);
    let error = rtl
        .open_wave("/nonexistent/wave.fst".as_ref())
        .expect_err("there is no such directory");
    assert!(
        error.to_string().contains("/nonexistent/wave.fst"),
        "{error}"
    );
    rtl.tick(&out_of_reset());
}

#[test]
fn waves_and_coverage_of_a_machine_without_them_are_errors() {
    let library = library(&Recipe::new(&Config::default(), QUICK));
    let mut rtl = machine(&library, InitialRegisters::Zeros);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let wave = rtl
        .open_wave(&directory.path().join("x.fst"))
        .expect_err("built without");
    let coverage = rtl
        .write_coverage(&directory.path().join("x.dat"))
        .expect_err("built without");
    assert!(matches!(
        (&wave, &coverage),
        (RtlError::NotBuilt("waves"), RtlError::NotBuilt("coverage"))
    ));
    assert_eq!(
        std::fs::read_dir(directory.path())
            .expect("readable")
            .count(),
        0,
        "nothing is left"
    );
}

#[test]
fn a_machine_with_coverage_writes_its_counts() {
    let flags = Flags {
        coverage: Coverage::Lines,
        ..QUICK
    };
    let library = library(&Recipe::new(&Config::default(), flags));
    let mut rtl = machine(&library, InitialRegisters::Zeros);
    let directory = tempfile::tempdir().expect("a temporary directory");
    rtl.tick(&Inputs::default());
    for step in 0..20 {
        rtl.tick(&noise(step));
    }
    let path = directory.path().join("coverage.dat");
    rtl.write_coverage(&path)
        .expect("the counts can be written");
    assert!(
        std::fs::read_to_string(&path)
            .expect("text")
            .contains("SystemC::Coverage")
    );
}

#[cfg(feature = "rtl-static")]
mod linked {
    use super::*;

    #[test]
    fn the_linked_machine_is_the_default_machine() {
        let library = Library::linked()
            .expect("of this build")
            .expect("linked in");
        machine(&library, InitialRegisters::Random(1));
        let provider = provider();
        // It is fully optimised, and does where less is asked for.
        for flags in [Flags::DEFAULT, QUICK] {
            let recipe = Recipe::new(&Config::default(), flags);
            let chosen = provider.library(&recipe, &mut |step| {
                panic!("nothing is to be built, but {step:?}")
            });
            assert!(chosen.expect("found").is_linked());
        }
    }

    #[test]
    fn the_crate_verilated_governs_the_linked_runtime() {
        let library = Library::linked()
            .expect("of this build")
            .expect("linked in");
        let loaded = super::library(&Recipe::new(&Config::default(), QUICK));
        let version = library.verilator_version();
        assert!(version.starts_with("Verilator 5"), "{version}");
        assert_eq!(version, loaded.verilator_version());
        let show = |initial| *machine(&library, initial).probe(&Inputs::default());
        assert_eq!(
            show(InitialRegisters::Random(7)),
            show(InitialRegisters::Random(7))
        );
        assert_ne!(
            show(InitialRegisters::Random(7)),
            show(InitialRegisters::Random(8))
        );
        assert_ne!(show(InitialRegisters::Zeros), show(InitialRegisters::Ones));
    }

    #[test]
    fn the_linked_and_the_loaded_machine_do_the_same() {
        let linked = Library::linked()
            .expect("of this build")
            .expect("linked in");
        let loaded = library(&Recipe::new(&Config::default(), QUICK));
        let mut one = machine(&linked, InitialRegisters::Random(5));
        let mut other = machine(&loaded, InitialRegisters::Random(5));
        for _ in 0..3 {
            one.tick(&Inputs::default());
            other.tick(&Inputs::default());
        }
        for step in 0..2000 {
            assert_eq!(
                one.tick(&noise(step)),
                other.tick(&noise(step)),
                "step {step}"
            );
        }
    }

    #[test]
    fn the_linked_machine_writes_vcd_waves_with_the_cycle_number() {
        let library = Library::linked()
            .expect("of this build")
            .expect("linked in");
        let mut rtl = machine(&library, InitialRegisters::Random(1));
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("wave.vcd");
        rtl.tick(&Inputs::default());
        rtl.open_wave(&path).expect("the wave can be opened");
        for step in 0..20 {
            rtl.tick(&noise(step));
        }
        rtl.close_wave().expect("the wave can be closed");
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(
            text.contains("cycle_q") && text.contains("$enddefinitions"),
            "{}",
            &text[..text.len().min(500)]
        );
        assert_eq!(rtl.wave_format(), Some(WaveFormat::Vcd));
    }
}
