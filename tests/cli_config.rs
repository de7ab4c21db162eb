//! Behaviour of the frame of the commands, and of `twinwalk config`: what is printed where, and with which exit code a command ends.
//!
//! Contract: none. SDM: none. Counterpart: none. The configuration itself is tested beside its code.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use proptest::prelude::*;
use serde_json::Value as Json;
use twinwalk::config::{Source, load, presets};

fn twinwalk(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn config_show_prints_a_configuration_file_with_the_origin_of_every_value() {
    for entry in presets::ALL {
        let name = format!("preset:{}", entry.name);
        let shown = twinwalk(&["config", "show", "--config", &name]);
        assert_eq!(shown.status.code(), Some(0));
        assert_eq!(text(&shown.stderr), "");
        let again = load::from_toml(text(&shown.stdout), "shown").expect("a configuration");
        let source = Source::Preset(entry.name.to_owned());
        let preset = load::load(&source, &[]).expect("valid").config;
        assert_eq!(again.hash(), preset.hash());
        let mut lines = text(&shown.stdout).lines();
        for line in lines
            .by_ref()
            .take_while(|line| *line != "[provenance]")
            .filter(|line| line.contains(" = "))
        {
            assert!(line.contains(" # "), "{line}");
        }
    }
}

#[test]
fn config_random_prints_the_machine_of_its_seed_as_a_configuration_file() {
    let drawn = |seed| twinwalk(&["config", "random", "--seed", seed]);
    let output = drawn("7");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
    let config = load::from_toml(text(&output.stdout), "drawn").expect("a configuration");
    assert_eq!(config, twinwalk::cosim::matrix::draw(7));
    assert_eq!(drawn("7").stdout, output.stdout);
    assert_ne!(drawn("8").stdout, output.stdout);
}

#[test]
fn with_json_each_config_command_prints_one_object_and_nothing_else() {
    for arguments in [
        &["config", "show", "--json"][..],
        &["--json", "config", "show", "--config", "preset:wide"],
        &["config", "schema", "--json"],
        &["config", "schema"],
        &["config", "presets", "--json"],
        &["config", "random", "--seed", "3", "--json"],
    ] {
        let output = twinwalk(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let object: Json = serde_json::from_slice(&output.stdout).expect("one JSON value");
        assert!(object.is_object(), "{arguments:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
    let shown = twinwalk(&["config", "show", "--json", "--set", "psc.pde.ways=5"]);
    let object: Json = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(object["rtl_parameters"]["PSC_PDE_WAYS"], 5);
    assert_eq!(object["config"]["psc"]["pde"]["ways"], 5);
    assert_eq!(object["config_hash"].as_str().map(str::len), Some(16));
    let parameters = object["parameters"].as_array().expect("parameters");
    assert!(parameters.iter().any(|parameter| {
        parameter["key"] == "psc.pde.ways"
            && parameter["value"] == 5
            && parameter["origin"] == "--set psc.pde.ways=5"
    }));
}

#[test]
fn bad_input_and_usage_end_with_exit_code_2_a_message_and_nothing_on_standard_output() {
    for arguments in [
        &["config", "show", "--set", "psc.pde.ways=65"][..],
        &["config", "show", "--config", "preset:none"],
        &["config", "show", "--config", "/nonexistent/machine.toml"],
        &["config", "show", "--sat", "x=1"],
        &["config", "show", "left over"],
        &["config"],
        &["no-such-command"],
        &[],
    ] {
        let output = twinwalk(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");

        let in_json = twinwalk(&[arguments, &["--json"]].concat());
        assert_eq!(in_json.status.code(), Some(2), "{arguments:?}");
        let object: Json = serde_json::from_slice(&in_json.stdout).expect("one JSON value");
        assert!(object["error"].is_string() && object["remedy"].is_string());
    }
    let output = twinwalk(&["config", "show", "--set", "psc.pde.ways=65"]);
    assert_eq!(
        text(&output.stderr),
        "error: --set psc.pde.ways=65: psc.pde.ways = 65 is refused; allowed: 0 to 64\n\
         remedy: give psc.pde.ways a value that is allowed: 0 to 64\n"
    );
}

#[test]
fn help_has_an_example_for_each_command_and_is_no_mistake() {
    for arguments in [
        &["config", "show", "--help"][..],
        &["config", "schema", "--help"],
        &["config", "presets", "--help"],
    ] {
        let output = twinwalk(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let said = text(&output.stdout);
        assert!(
            said.contains("Example: twinwalk ") || said.contains("Examples: twinwalk "),
            "{arguments:?}"
        );
    }
    let version = twinwalk(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert!(text(&version.stdout).starts_with("twinwalk "));
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_failure_and_no_panic() {
    for arguments in [
        &["config", "schema"][..],
        &["--help"],
        &["config", "presets", "--json"],
        &["config", "random", "--seed", "3", "--json"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
            .args(arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_standard_output_is_exit_code_2_and_a_remedy() {
    for arguments in [
        &["config", "show"][..],
        &["config", "show", "--json"],
        &["--help"],
        &["config", "show", "--set", "x"],
    ] {
        let full = fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full");
        let output = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
            .args(arguments)
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains("remedy: "), "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn standard_error_that_cannot_be_written_stops_nothing() {
    let full = fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let output = Command::new(env!("CARGO_BIN_EXE_twinwalk"))
        .args(["config", "show", "--set", "x"])
        .stderr(full)
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_arguments_end_with_an_exit_code_and_in_json_with_one_object(
        arguments in prop::collection::vec(
            prop_oneof![
                proptest::sample::select(vec![
                    "--config", "preset:tiny", "--set", "ports.queue_entries=2", "--json", "show", "presets",
                    "schema", "--", "-", "--help", "--set=x", "/nonexistent",
                ])
                .prop_map(str::to_owned),
                any::<String>(),
            ],
            0..5,
        ),
    ) {
        let mut all = vec![OsString::from("twinwalk"), OsString::from("--json"), OsString::from("config")];
        all.extend(arguments.iter().map(OsString::from));
        let stdout = Shared::default();
        let context = twinwalk::cli::Context::on(true, Box::new(stdout.clone()), Box::new(std::io::sink()));
        let code = twinwalk::cli::run(&all, context);
        prop_assert!(code == 0 || code == 2, "{code}");
        let bytes = stdout.0.lock().expect("not poisoned").clone();
        let is_help = bytes.windows(6).any(|window| window == b"Usage:");
        if !(code == 0 && is_help) {
            let object: Json = serde_json::from_slice(&bytes).expect("one JSON value");
            prop_assert!(object.is_object());
        }
    }
}

/// A writer whose bytes can be looked at afterwards.
#[derive(Clone, Default)]
struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .expect("not poisoned")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
