//! The configuration of a stimulus: from its text to a [`Config`] and back, and what a stimulus may ask of a machine.
//!
//! Contract: section 2. SDM: none. Counterpart: `docs/stim.md` (header).

use std::collections::BTreeMap;

use super::{Action, ConfigText, HalfStore, Operation, Setup, StimulusError, Store};
use crate::config::Config;
use crate::config::load::{Source, load};

impl ConfigText {
    /// A text that means `config`: the default machine and what differs from it.
    pub fn of(config: &Config) -> Self {
        let usual = leaves(&Config::default());
        let overrides = leaves(config)
            .into_iter()
            .filter(|(key, value)| usual.get(key) != Some(value))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        Self {
            base: None,
            overrides,
            hash: Some(config.hash()),
        }
    }

    /// The configuration that the text means.
    ///
    /// # Errors
    /// [`StimulusError`] naming `file` if a preset, key or value is refused, or if the hash is not that of the configuration: then the
    /// meaning of a preset or a default has changed since the file was written.
    pub fn resolve(&self, file: &str) -> Result<Config, StimulusError> {
        let refuse = |problem: String, remedy: String| StimulusError {
            file: file.to_owned(),
            line: 0,
            column: 0,
            problem,
            remedy,
        };
        let source = self.base.as_deref().map_or(Source::Default, Source::parse);
        let config = load(&source, &self.overrides)
            .map_err(|error| refuse(error.to_string(), error.remedy()))?
            .config;
        match &self.hash {
            Some(hash) if *hash != config.hash() => Err(refuse(
                format!(
                    "its config-hash is {hash}, and its configuration has {}",
                    config.hash()
                ),
                "presets or defaults have changed since: check the `config` and `set` lines, then correct or remove `config-hash`"
                    .to_owned(),
            )),
            _ => Ok(config),
        }
    }
}

/// `section.key` to the value as TOML writes it on one line.
fn leaves(config: &Config) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    let Ok(toml::Value::Table(sections)) = toml::Value::try_from(config) else {
        // A configuration is a table of tables of values that TOML can hold, so this does not happen.
        return leaves;
    };
    for (section, keys) in sections {
        let toml::Value::Table(keys) = keys else {
            continue;
        };
        for (key, value) in keys {
            leaves.insert(format!("{section}.{key}"), value.to_string());
        }
    }
    leaves
}

impl Setup {
    /// The machine of this stimulus, if the stimulus fits it: its memory image lies in memory.
    ///
    /// # Errors
    /// Those of [`ConfigText::resolve`]; and a cell of the image that lies outside memory.
    pub fn machine(&self, file: &str) -> Result<Config, StimulusError> {
        let config = self.config.resolve(file)?;
        let size_bytes = config.memory_size_bytes();
        match self.image.last_key_value() {
            Some((address, _)) if *address >= size_bytes => Err(StimulusError {
                file: file.to_owned(),
                line: 0,
                column: 0,
                problem: format!(
                    "cell {address:#x} lies outside memory, which has {size_bytes:#x} bytes"
                ),
                remedy: "give a lower address, or set memory.size_bytes".to_owned(),
            }),
            _ => Ok(config),
        }
    }
}

/// Whether the machine `config` can be asked to do `operation`; else why not.
pub fn check_operation(operation: &Operation, config: &Config) -> Result<(), String> {
    match operation.action {
        Action::Request(request) if u32::from(request.port) >= config.ports() => Err(format!(
            "`{request}` goes to port {}, and the machine has ports 0 to {}",
            request.port,
            config.ports() - 1
        )),
        Action::Store(Store { address, .. }) | Action::StoreHalf(HalfStore { address, .. })
            if address >= config.memory_size_bytes() =>
        {
            Err(format!(
                "a store to {address:#x} lies outside memory, which has {:#x} bytes",
                config.memory_size_bytes()
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets;

    #[test]
    fn every_preset_survives_as_text() {
        for preset in presets::ALL {
            let source = Source::Preset(preset.name.to_owned());
            let mut config = load(&source, &[]).unwrap().config;
            config.memory.size_bytes = Some(0x10_0000);
            let text = ConfigText::of(&config);
            assert_eq!(text.resolve("x").unwrap(), config, "{}", preset.name);
        }
    }

    #[test]
    fn a_hash_of_another_machine_is_refused() {
        let mut text = ConfigText::of(&Config::default());
        text.hash = Some("0123456789abcdef".to_owned());
        let error = text.resolve("a.stim").unwrap_err().to_string();
        assert!(
            error.contains("a.stim") && error.contains("0123456789abcdef"),
            "{error}"
        );
    }
}
