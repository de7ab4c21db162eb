//! The golden traces, once more as tests: `insta` reads the files that `twinwalk golden --bless` writes, and the bytes are compared too.
//!
//! Contract: every section. SDM: as each scenario says. Counterpart: `golden/`.

use std::path::Path;

use twinwalk::golden::{snapshot, suite, trace};
use twinwalk::model::Mmu;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn the_model_reproduces_every_golden_trace() {
    let scenarios = suite::find(Path::new(DIRECTORY), None).expect("the directory is there");
    assert!(scenarios.len() >= 25, "{} scenarios", scenarios.len());
    for scenario in scenarios {
        let (stimulus, config) =
            suite::load(&scenario.stimulus).expect("a golden stimulus is valid");
        let text = trace::record(&scenario.name, &stimulus, &config, Mmu::new(&config))
            .expect("the run holds");
        let directory = scenario
            .snapshot
            .parent()
            .expect("a file is in a directory");
        let name = scenario
            .stimulus
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        let mut settings = insta::Settings::new();
        settings.set_snapshot_path(directory);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, &text));
        // insta forgives blank lines at the ends and line ends; this does not.
        let file = snapshot::read(&scenario.snapshot)
            .expect("it can be read")
            .expect("it is there");
        assert!(
            file == snapshot::file_text(&text),
            "{} is not what the model does, to the byte",
            scenario.name
        );
    }
}

#[test]
fn every_snapshot_belongs_to_a_stimulus() {
    fn walk(directory: &Path) {
        for entry in std::fs::read_dir(directory).expect("it can be listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "snap")
            {
                assert!(
                    path.with_extension("stim").exists(),
                    "{} has no stimulus",
                    path.display()
                );
            }
        }
    }
    walk(Path::new(DIRECTORY));
}

#[test]
fn a_golden_stimulus_survives_being_written_and_read() {
    for scenario in suite::find(Path::new(DIRECTORY), None).expect("the directory is there") {
        let (stimulus, _) = suite::load(&scenario.stimulus).expect("it is valid");
        let again = twinwalk::cosim::stimulus::parse::parse("again", &stimulus.to_text())
            .expect("it is valid");
        assert_eq!(again, stimulus, "{}", scenario.name);
    }
}

#[test]
fn a_failing_snapshot_writes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_owned();
    let failed = std::panic::catch_unwind(|| {
        let mut settings = insta::Settings::new();
        settings.set_snapshot_path(path);
        settings.set_prepend_module_to_snapshot(false);
        settings.bind(|| insta::assert_snapshot!("new", "not blessed"));
    });
    assert!(failed.is_err(), "there is no such snapshot");
    let left = std::fs::read_dir(directory.path())
        .expect("a listing")
        .count();
    assert_eq!(
        left, 0,
        ".config/insta.yaml leaves writing to `twinwalk golden`"
    );
}
