//! The lines of the RTL that no run reaches, each with the reason: `rtl/coverage.toml`.
//!
//! Contract: none. SDM: none. Counterpart: `rtl/*.sv`, whose lines it quotes.
//!
//! A waiver quotes its line, so that it goes with the line and dies with it: one that matches no line, or a line that ran, is an error.

use serde::Deserialize;

/// The waivers of the project's own RTL.
pub const OWN: &str = include_str!("../../../rtl/coverage.toml");

/// The file of waivers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waivers {
    /// Files that are left out as a whole: those that only check.
    #[serde(default)]
    pub group: Vec<Group>,
    /// Single lines.
    #[serde(default)]
    pub line: Vec<Waiver>,
}

/// Files that are left out as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// How the names of the files end.
    pub suffix: String,
    /// Why.
    pub reason: String,
}

/// A line that no run reaches.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The file, without a directory.
    pub file: String,
    /// The line's exact text, without the blanks around it.
    pub text: String,
    /// Which of several lines of that text, from 1 on.
    pub occurrence: Option<usize>,
    /// The version of Verilator whose making the gap is; with another one the waiver does not apply.
    pub verilator: Option<String>,
    /// Why.
    pub reason: String,
}

/// A waiver that says what is not so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaiverError {
    /// The file of waivers cannot be read.
    #[error("rtl/coverage.toml: {0}")]
    Form(String),
    /// No reason is given.
    #[error("rtl/coverage.toml: the waiver of `{0}` gives no reason")]
    NoReason(String),
    /// There is no such line.
    #[error("rtl/coverage.toml: {file} has no line `{text}`")]
    NoLine {
        /// The file.
        file: String,
        /// The text.
        text: String,
    },
    /// There are several such lines.
    #[error(
        "rtl/coverage.toml: {file} has {count} lines `{text}`: say which, with occurrence = 1 to {count}"
    )]
    Several {
        /// The file.
        file: String,
        /// The text.
        text: String,
        /// How many.
        count: usize,
    },
    /// The line ran.
    #[error("rtl/coverage.toml: {file}, line {line}, `{text}`, is waived and ran")]
    Ran {
        /// The file.
        file: String,
        /// The line.
        line: u32,
        /// The text.
        text: String,
    },
}

impl Waivers {
    /// Reads a file of waivers.
    ///
    /// # Errors
    /// It is not in its form, or a reason is missing.
    pub fn parse(text: &str) -> Result<Self, WaiverError> {
        let waivers: Self =
            toml::from_str(text).map_err(|error| WaiverError::Form(error.to_string()))?;
        let groups = waivers.group.iter().map(|it| (&it.suffix, &it.reason));
        let lines = waivers.line.iter().map(|it| (&it.text, &it.reason));
        for (what, reason) in groups.chain(lines) {
            if reason.trim().is_empty() {
                return Err(WaiverError::NoReason(what.clone()));
            }
        }
        Ok(waivers)
    }

    /// Those that apply with a version of Verilator, as its runtime says it (`Verilator 5.006 2023-01-22`).
    #[must_use]
    pub fn with_verilator(mut self, version: &str) -> Self {
        self.line.retain(|waiver| {
            let of = waiver.verilator.as_deref();
            of.is_none_or(|of| version.split_whitespace().any(|word| word == of))
        });
        self
    }

    /// Why a file is left out as a whole, if it is.
    pub fn left_out(&self, file: &str) -> Option<&str> {
        let group = self.group.iter().find(|it| file.ends_with(&it.suffix))?;
        Some(&group.reason)
    }
}

impl Waiver {
    /// The number of the line that it quotes in the text of its file; `None`: there is no such file.
    ///
    /// # Errors
    /// There is no such line, or there are several.
    pub fn find(&self, source: Option<&str>) -> Result<u32, WaiverError> {
        let lines = source.unwrap_or("").lines().zip(1u32..);
        let found: Vec<u32> = lines
            .filter(|(line, _)| line.trim() == self.text.trim())
            .map(|(_, number)| number)
            .collect();
        let (file, text) = (self.file.clone(), self.text.clone());
        match (found.as_slice(), self.occurrence) {
            ([line], None) => Ok(*line),
            (lines, Some(which)) => which
                .checked_sub(1)
                .and_then(|index| lines.get(index).copied())
                .ok_or(WaiverError::NoLine { file, text }),
            ([], None) => Err(WaiverError::NoLine { file, text }),
            (several, None) => Err(WaiverError::Several {
                file,
                text,
                count: several.len(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "module a;\n  x = 1;\n  y = 2;\n  x = 1;\nendmodule\n";

    fn waiver(text: &str, occurrence: Option<usize>) -> Waiver {
        Waiver {
            file: "a.sv".to_owned(),
            text: text.to_owned(),
            occurrence,
            verilator: None,
            reason: "r".to_owned(),
        }
    }

    #[test]
    fn a_waiver_names_one_line_by_its_text() {
        assert_eq!(waiver("y = 2;", None).find(Some(SOURCE)), Ok(3));
        assert_eq!(waiver("x = 1;", Some(2)).find(Some(SOURCE)), Ok(4));
    }

    #[test]
    fn a_waiver_of_a_line_that_is_gone_or_of_several_is_an_error() {
        let several = waiver("x = 1;", None).find(Some(SOURCE));
        assert!(matches!(
            several,
            Err(WaiverError::Several { count: 2, .. })
        ));
        for (text, occurrence, source) in [
            ("z = 3;", None, Some(SOURCE)),
            ("x = 1;", Some(3), Some(SOURCE)),
            ("x = 1;", Some(0), Some(SOURCE)),
            ("x = 1;", None, None),
        ] {
            let found = waiver(text, occurrence).find(source);
            assert!(matches!(found, Err(WaiverError::NoLine { .. })), "{text}");
        }
    }

    #[test]
    fn a_waiver_without_a_reason_and_one_with_an_unknown_key_are_refused() {
        let text = "[[line]]\nfile = \"a.sv\"\ntext = \"x\"\nreason = \" \"\n";
        assert_eq!(
            Waivers::parse(text),
            Err(WaiverError::NoReason("x".to_owned()))
        );
        let text = "[[line]]\nfile = \"a.sv\"\nreason = \"r\"\nlines = \"all\"\n";
        assert!(matches!(Waivers::parse(text), Err(WaiverError::Form(_))));
    }

    #[test]
    fn a_waiver_of_one_version_of_verilator_does_not_apply_with_another() {
        let own = Waivers::parse(OWN).expect("in the form");
        let left = |version: &str| own.clone().with_verilator(version).line.len();
        assert_eq!(
            left("Verilator 5.006 2023-01-22 rev (Debian 5.006-3)"),
            own.line.len()
        );
        assert!(left("Verilator 5.048 2026-01-01") < own.line.len());
        assert!(left("Verilator 5.0061") < own.line.len());
    }

    /// Each quotes a line that is there, once.
    #[cfg(feature = "rtl")]
    #[test]
    fn the_waivers_of_the_own_rtl_match_their_lines() {
        let own = Waivers::parse(OWN).expect("in the form");
        for waiver in &own.line {
            let sources = crate::cosim::library::own_sources().iter();
            let source = sources.into_iter().find(|(name, _)| *name == waiver.file);
            waiver
                .find(source.map(|(_, text)| *text))
                .expect("one line");
        }
    }
}
