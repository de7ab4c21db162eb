//! What a command writes: a summary for a person, or one JSON object; and the tables of summaries.
//!
//! Contract: none. SDM: none. Counterpart: none.
//!
//! Standard output has the answer and nothing else; whatever else there is to say goes to standard error. When the reader of standard
//! output goes away, the command carries on in silence, because its exit code still says whether all held.

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;

use super::error::CliError;
use super::progress::Progress;

/// Width of tables where there is no terminal to ask.
const WIDTH_COLUMNS: u16 = 120;

/// Where a command writes to, and in which form.
pub struct Context {
    json: bool,
    has_object: bool,
    stdout: Box<dyn Write>,
    stdout_is_closed: bool,
    stderr: Box<dyn Write>,
    stderr_is_terminal: bool,
}

impl Context {
    /// A context on the process's own standard output and error.
    pub fn standard(json: bool) -> Self {
        Self {
            json,
            has_object: false,
            stdout: Box::new(io::BufWriter::new(io::stdout())),
            stdout_is_closed: false,
            stderr: Box::new(io::stderr()),
            stderr_is_terminal: io::stderr().is_terminal(),
        }
    }

    /// A context on other writers, with standard error no terminal.
    pub fn on(json: bool, stdout: Box<dyn Write>, stderr: Box<dyn Write>) -> Self {
        Self {
            json,
            has_object: false,
            stdout,
            stdout_is_closed: false,
            stderr,
            stderr_is_terminal: false,
        }
    }

    /// Whether `--json` was given.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Writes a part of the person's summary, as it is; under `--json` nothing.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn text(&mut self, text: &str) -> Result<(), CliError> {
        if self.json {
            return Ok(());
        }
        self.write(text)
    }

    /// Writes help or the version, which are text under `--json` too.
    pub(super) fn answer(&mut self, text: &str) -> Result<(), CliError> {
        self.write(text)
    }

    /// Under `--json` writes the command's one object; otherwise nothing.
    ///
    /// # Errors
    /// Standard output cannot be written, or an object was written before.
    pub fn object(&mut self, object: &impl Serialize) -> Result<(), CliError> {
        if !self.json {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(object).map_err(|error| {
            CliError::new(
                format_args!("the result cannot be written as JSON: {error}"),
                "leave out --json",
            )
        })?;
        if std::mem::replace(&mut self.has_object, true) {
            return Err(CliError::new(
                "the command has two results, and --json allows one",
                "leave out --json",
            ));
        }
        self.write(&text)?;
        self.write("\n")
    }

    /// Writes a line to standard error. That it cannot be written stops nothing.
    pub fn note(&mut self, line: &str) {
        let _ = writeln!(self.stderr, "{line}");
    }

    /// Progress towards `total` (0: not known) of `unit`: a bar if standard error is a terminal, else now and then a line.
    pub fn progress(&self, total: u64, unit: &'static str) -> Progress {
        Progress::new(total, unit, self.stderr_is_terminal)
    }

    /// Shows a failure: on standard error, and under `--json` as the one object if there is none yet.
    pub(super) fn failure(&mut self, error: &CliError) {
        self.note(&error.to_string());
        if self.json && !self.has_object {
            let object = serde_json::json!({ "error": error.message(), "remedy": error.remedy() });
            // The failure is on standard error; that standard output fails too changes nothing.
            let _ = self.object(&object);
        }
    }

    /// Brings everything out.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn flush(&mut self) -> Result<(), CliError> {
        if self.stdout_is_closed {
            return Ok(());
        }
        let result = self.stdout.flush();
        self.settle(result)
    }

    fn write(&mut self, text: &str) -> Result<(), CliError> {
        if self.stdout_is_closed {
            return Ok(());
        }
        let result = self.stdout.write_all(text.as_bytes());
        self.settle(result)
    }

    fn settle(&mut self, result: io::Result<()>) -> Result<(), CliError> {
        match result {
            Ok(()) => Ok(()),
            Err(error) => {
                self.stdout_is_closed = true;
                if error.kind() == io::ErrorKind::BrokenPipe {
                    Ok(())
                } else {
                    Err(CliError::standard_output(&error))
                }
            }
        }
    }
}

/// A table with a headline, for a person's summary. It ends with a newline; on a terminal it is no wider than that.
///
/// Columns whose cells below the headline all begin with a digit are aligned to the right.
pub fn table(headline: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(headline);
    if !table.is_tty() {
        table.set_width(WIDTH_COLUMNS);
    }
    for row in rows {
        table.add_row(row);
    }
    for column in 0..headline.len() {
        let is_numeric = |row: &Vec<String>| {
            row.get(column)
                .is_some_and(|cell| cell.starts_with(|first: char| first.is_ascii_digit()))
        };
        if !rows.is_empty()
            && rows.iter().all(is_numeric)
            && let Some(column) = table.column_mut(column)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n", table.trim_fmt())
}

/// A whole number with its digits in groups of three, as summaries print counts: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
