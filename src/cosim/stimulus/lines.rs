//! A line of a stimulus file as words with their columns; numbers; and errors that name file, line, column and remedy.
//!
//! Contract: none. SDM: none. Counterpart: `docs/stim.md` (lexical part).

use std::fmt;

use thiserror::Error;

/// Why a stimulus was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}; {remedy}", self.place_and_problem())]
pub struct StimulusError {
    /// The file as the caller named it.
    pub file: String,
    /// Line, from 1; 0 if the trouble is with the file as a whole.
    pub line: usize,
    /// Column in characters, from 1; 0 if the trouble is with the line or the file as a whole.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl StimulusError {
    /// File, line and column as far as they are known, and what is wrong.
    pub fn place_and_problem(&self) -> String {
        let Self {
            file,
            line,
            column,
            problem,
            ..
        } = self;
        match (line, column) {
            (0, _) => format!("{file}: {problem}"),
            (_, 0) => format!("{file}:{line}: {problem}"),
            _ => format!("{file}:{line}:{column}: {problem}"),
        }
    }
}

/// An error without its file and line, which the parser adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl Trouble {
    /// Trouble at `column`.
    pub fn new(column: usize, problem: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self {
            column,
            problem: problem.to_string(),
            remedy: remedy.to_string(),
        }
    }

    /// The error at a place in a file.
    pub fn at(self, file: &str, line: usize) -> StimulusError {
        StimulusError {
            file: file.to_owned(),
            line,
            column: self.column,
            problem: self.problem,
            remedy: self.remedy,
        }
    }
}

/// A word and the column, from 1, at which it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    /// The characters of the word.
    pub text: &'a str,
    /// Column in characters, from 1.
    pub column: usize,
}

impl<'a> Word<'a> {
    /// Trouble with this word.
    pub fn trouble(&self, problem: impl fmt::Display, remedy: impl fmt::Display) -> Trouble {
        Trouble::new(self.column, problem, remedy)
    }

    /// The word as a number: decimal, `0x` or `0b`, with `_` between digits.
    pub fn number(&self) -> Result<u64, Trouble> {
        parse_number(self.text).ok_or_else(|| {
            self.trouble(
                format_args!("`{}` is not a number", clip(self.text)),
                "write a decimal, 0x or 0b number below 2^64, such as 0x1000 or 4_096",
            )
        })
    }

    /// The word as a number from `low` to `high`, named `what` in the error.
    pub fn number_in(&self, what: &str, low: u64, high: u64) -> Result<u64, Trouble> {
        let value = self.number()?;
        if (low..=high).contains(&value) {
            Ok(value)
        } else {
            Err(self.trouble(
                format_args!("{what} {value} is out of range"),
                format_args!("give {low} to {high}"),
            ))
        }
    }

    /// The part after the first `separator` as a word of its own, with the part before it.
    pub fn split_once(&self, separator: char) -> Option<(Word<'a>, Word<'a>)> {
        let (before, after) = self.text.split_once(separator)?;
        let column = self.column + before.chars().count() + 1;
        Some((
            Word {
                text: before,
                column: self.column,
            },
            Word {
                text: after,
                column,
            },
        ))
    }
}

/// The words of one line, taken from the left.
#[derive(Debug, Clone)]
pub struct Words<'a> {
    words: std::vec::IntoIter<Word<'a>>,
    end_column: usize,
}

impl<'a> Words<'a> {
    /// The words of `line` up to a `#`, which starts a comment.
    pub fn of(line: &'a str) -> Self {
        let code = line.split('#').next().unwrap_or("");
        let mut words = Vec::new();
        let mut start: Option<(usize, usize)> = None;
        let mut column = 0;
        for (offset, character) in code.char_indices() {
            column += 1;
            match (character.is_whitespace(), start) {
                (false, None) => start = Some((offset, column)),
                (true, Some((begin, at))) => {
                    words.push(Word {
                        text: &code[begin..offset],
                        column: at,
                    });
                    start = None;
                }
                _ => {}
            }
        }
        if let Some((begin, at)) = start {
            words.push(Word {
                text: &code[begin..],
                column: at,
            });
        }
        Self {
            words: words.into_iter(),
            end_column: column + 1,
        }
    }

    /// The next word, if there is one.
    pub fn take(&mut self) -> Option<Word<'a>> {
        self.words.next()
    }

    /// The next word without taking it.
    pub fn peek(&self) -> Option<Word<'a>> {
        self.words.as_slice().first().copied()
    }

    /// The column after the last word: where something is missing.
    pub fn end_column(&self) -> usize {
        self.end_column
    }

    /// The next word, which must be there; `what` and `form` say what was expected.
    pub fn expect(&mut self, what: &str, form: &str) -> Result<Word<'a>, Trouble> {
        let end = self.end_column;
        self.take().ok_or_else(|| {
            Trouble::new(
                end,
                format_args!("{what} is missing"),
                format_args!("write: {form}"),
            )
        })
    }

    /// The next word, which must be `text`.
    pub fn expect_exactly(&mut self, text: &str, form: &str) -> Result<(), Trouble> {
        let word = self.expect(&format!("`{text}`"), form)?;
        if word.text == text {
            Ok(())
        } else {
            Err(word.trouble(
                format_args!("`{text}` is expected here, not `{}`", clip(word.text)),
                format_args!("write: {form}"),
            ))
        }
    }

    /// Succeeds if no word is left.
    pub fn expect_end(&mut self, form: &str) -> Result<(), Trouble> {
        match self.take() {
            None => Ok(()),
            Some(word) => Err(word.trouble(
                format_args!("`{}` is too much", clip(word.text)),
                format_args!("write: {form}"),
            )),
        }
    }
}

/// A word for an error message: long ones are cut.
pub fn clip(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().count() <= MOST {
        text.to_owned()
    } else {
        let mut short: String = text.chars().take(MOST).collect();
        short.push('…');
        short
    }
}

/// Decimal, `0x` or `0b`, with `_` between digits; `None` if it is none of these or does not fit in 64 bits.
pub fn parse_number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.get(..2) {
        Some("0x" | "0X") => (&text[2..], 16),
        Some("0b" | "0B") => (&text[2..], 2),
        _ => (text, 10),
    };
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    // from_str_radix takes a sign, which this grammar does not have.
    if !plain.starts_with(|c: char| c.is_ascii_alphanumeric()) || digits.starts_with('_') {
        return None;
    }
    u64::from_str_radix(&plain, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_know_their_columns_and_end_at_a_comment() {
        let mut words = Words::of("  map  ä 0x10 # why");
        assert_eq!(
            words.take(),
            Some(Word {
                text: "map",
                column: 3
            })
        );
        assert_eq!(
            words.take(),
            Some(Word {
                text: "ä",
                column: 8
            })
        );
        let number = words.take().unwrap();
        assert_eq!((number.number(), number.column), (Ok(16), 10));
        assert_eq!(words.take(), None);
    }

    #[test]
    fn numbers_are_decimal_hexadecimal_or_binary() {
        assert_eq!(parse_number("4_096"), Some(4096));
        assert_eq!(parse_number("0xffff_ffff_ffff_ffff"), Some(u64::MAX));
        assert_eq!(parse_number("0b101"), Some(5));
        for bad in [
            "",
            "0x",
            "_1",
            "+1",
            "-1",
            "0x+1",
            "1e3",
            "0x1_0000_0000_0000_0000",
            "0xg",
            "é",
        ] {
            assert_eq!(parse_number(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_error_names_file_line_column_and_remedy() {
        let word = Words::of("seed twelve").words.as_slice()[1];
        let error = word.number().unwrap_err().at("a.stim", 7);
        assert_eq!(
            error.to_string(),
            "a.stim:7:6: `twelve` is not a number; write a decimal, 0x or 0b number below 2^64, such as 0x1000 or 4_096"
        );
    }
}
