//! No input makes it panic, and what is let in is valid and survives being written and read.
//!
//! Contract: section 2 (parameters). SDM: none. Counterpart: none.

use proptest::prelude::*;

use super::from_text;
use crate::config::{ConfigError, Loaded, Source, load, presets, schema};

/// A key that exists, or nearly, or not at all.
fn any_key() -> impl Strategy<Value = String> {
    let known: Vec<String> = schema::keys().into_iter().map(|key| key.path).collect();
    prop_oneof![
        (proptest::sample::select(known), "[0-9]{1,3}|N|-1|")
            .prop_map(|(path, index)| path.replace('N', &index)),
        "[a-z.0-9]{0,20}",
        any::<String>(),
    ]
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i128>().prop_map(|value| value.to_string()),
        (-70i64..5000).prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| format!("{value:?}")),
        any::<bool>().prop_map(|value| value.to_string()),
        r#"[\[\]{}"',=a-z0-9 .]{0,30}"#,
        any::<String>(),
    ]
}

/// The default preset with some bytes replaced, and cut off somewhere.
fn spoilt_file() -> impl Strategy<Value = Vec<u8>> {
    let text = presets::ALL[0].toml.as_bytes();
    (
        prop::collection::vec((0..text.len(), any::<u8>()), 0..4),
        0..=text.len(),
    )
        .prop_map(move |(spoils, length)| {
            let mut bytes = text.to_vec();
            for (at, byte) in spoils {
                bytes[at] = byte;
            }
            bytes.truncate(length);
            bytes
        })
}

/// What holds for every machine that was let in.
fn check_accepted(loaded: &Loaded) {
    loaded.config.validate().expect("what was loaded is valid");
    let again = load::from_toml(&loaded.to_annotated_toml(), "shown").expect("valid again");
    assert_eq!(again.hash(), loaded.config.hash());
    let again = load::from_toml(&loaded.config.to_toml().expect("TOML"), "written").expect("valid");
    assert_eq!(again, loaded.config);
}

fn check_outcome(result: Result<Loaded, ConfigError>) {
    match result {
        Ok(loaded) => check_accepted(&loaded),
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.remedy().is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_settings_are_taken_or_refused_and_never_panic(
        settings in prop::collection::vec(
            prop_oneof![
                (any_key(), any_value()).prop_map(|(key, value)| format!("{key}={value}")),
                any::<String>(),
            ],
            0..4,
        ),
    ) {
        check_outcome(load::load(&Source::Default, &settings));
    }

    #[test]
    fn any_bytes_as_a_file_are_taken_or_refused_and_never_panic(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            any::<String>().prop_map(String::into_bytes),
            r#"(\[\[?[a-z.]{1,12}\]?\]\n|[a-z_]{1,16} = [0-9"\[\]{},a-z]{0,12}\n){0,8}"#
                .prop_map(String::into_bytes),
            spoilt_file(),
        ],
    ) {
        check_outcome(from_text(&bytes));
    }
}
