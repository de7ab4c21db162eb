//! SystemVerilog as a row of tokens, with what is not to be mutated marked: comments and strings are none, assertions and the like are skipped.
//!
//! Contract: none. SDM: none. Counterpart: `rtl/*.sv`, which it reads; it knows no more of the language than these use.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name, a keyword or a system function.
    Word,
    /// A number, with its base if it has one, or `'0` or `'1`.
    Number,
    /// An operator or a bracket.
    Operator,
    /// A string, or a directive of the preprocessor.
    Other,
}

/// A token.
#[derive(Debug, Clone)]
pub struct Token {
    pub kind: Kind,
    /// Where it stands in the text.
    pub span: Range<usize>,
    /// Nothing of it may be changed.
    pub skipped: bool,
    /// Of a bracket the token that closes or opens it.
    pub partner: Option<usize>,
}

/// Operators of more than one character, the longest first.
const OPERATORS: [&str; 35] = [
    "<<<=", ">>>=", "===", "!==", "<<<", ">>>", "|->", "|=>", "<<=", ">>=", "&&", "||", "==", "!=",
    "<=", ">=", "<<", ">>", "**", "++", "--", "+=", "-=", "*=", "/=", "|=", "&=", "^=", "~&", "~|",
    "~^", "::", "'{", "'(", "+:",
];

/// A file as tokens.
pub struct Tokens<'a> {
    pub text: &'a str,
    pub list: Vec<Token>,
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

/// The end of what holds from `at` on.
fn run(bytes: &[u8], at: usize, holds: impl Fn(u8) -> bool) -> usize {
    bytes[at..]
        .iter()
        .position(|&byte| !holds(byte))
        .map_or(bytes.len(), |length| at + length)
}

/// The kind and the end of the token that begins at `at`, which is no blank and no comment.
fn token_at(text: &str, at: usize) -> (Kind, usize) {
    let bytes = text.as_bytes();
    let next = bytes.get(at + 1).copied().unwrap_or(b' ');
    match bytes[at] {
        b'"' => {
            let mut end = at + 1;
            while end < bytes.len() && bytes[end] != b'"' {
                end += 1 + usize::from(bytes[end] == b'\\');
            }
            (Kind::Other, (end + 1).min(bytes.len()))
        }
        b'`' => (Kind::Other, run(bytes, at + 1, is_name)),
        b'\'' if next == b'0' || next == b'1' => (Kind::Number, at + 2),
        byte if byte.is_ascii_digit() => {
            let end = run(bytes, at, |byte| byte.is_ascii_digit() || byte == b'_');
            let is_based = bytes.get(end) == Some(&b'\'')
                && bytes
                    .get(end + 1)
                    .is_some_and(|base| b"bdhoBDHO".contains(base));
            let end = if is_based {
                run(bytes, end + 2, |byte| {
                    byte.is_ascii_hexdigit() || byte == b'_'
                })
            } else {
                end
            };
            (Kind::Number, end)
        }
        byte if is_name(byte) => (Kind::Word, run(bytes, at, is_name)),
        _ => {
            let long = OPERATORS
                .iter()
                .find(|operator| text[at..].starts_with(**operator));
            let length = long.map_or_else(
                || text[at..].chars().next().map_or(1, char::len_utf8),
                |operator| operator.len(),
            );
            (Kind::Operator, at + length)
        }
    }
}

impl<'a> Tokens<'a> {
    /// Reads a text.
    pub fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let mut list = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at].is_ascii_whitespace() {
                at += 1;
            } else if text[at..].starts_with("//") {
                at = run(bytes, at, |byte| byte != b'\n');
            } else if text[at..].starts_with("/*") {
                at = text[at..]
                    .find("*/")
                    .map_or(bytes.len(), |length| at + length + 2);
            } else {
                let (kind, end) = token_at(text, at);
                list.push(Token {
                    kind,
                    span: at..end,
                    skipped: false,
                    partner: None,
                });
                at = end;
            }
        }
        let mut tokens = Self { text, list };
        tokens.pair_brackets();
        tokens.skip();
        tokens
    }

    /// The text of a token; of one that there is not an empty one.
    pub fn at(&self, index: usize) -> &'a str {
        self.list
            .get(index)
            .map_or("", |token| &self.text[token.span.clone()])
    }

    /// The next token from `index` on that reads so.
    pub fn find(&self, index: usize, wanted: &str) -> Option<usize> {
        (index..self.list.len()).find(|&index| self.at(index) == wanted)
    }

    fn pair_brackets(&mut self) {
        let mut open = Vec::new();
        for index in 0..self.list.len() {
            match self.at(index) {
                "(" | "[" | "{" | "'{" | "'(" => open.push(index),
                ")" | "]" | "}" => {
                    if let Some(opener) = open.pop() {
                        self.list[opener].partner = Some(index);
                        self.list[index].partner = Some(opener);
                    }
                }
                _ => {}
            }
        }
    }

    fn skip_all(&mut self, range: Range<usize>) {
        for token in &mut self.list[range] {
            token.skipped = true;
        }
    }

    /// Marks what is no hardware: what stands between directives (assertions), imports, parameters of modules and their defaults, attributes,
    /// what is called unused, and what refuses parameters.
    fn skip(&mut self) {
        let count = self.list.len();
        let mut index = 0;
        while index < count {
            let end = match self.at(index) {
                "`ifndef" | "`ifdef" => self.find(index, "`endif"),
                "import" => self.find(index, ";"),
                "#" if self.follows_module_name(index) => {
                    self.list.get(index + 1).and_then(|token| token.partner)
                }
                "(" if self.at(index + 1) == "*"
                    && self.list[index].span.end == self.list[index + 1].span.start =>
                {
                    self.list[index].partner
                }
                "assign" if self.at(index + 1).starts_with("unused_") => self.find(index, ";"),
                word if word.starts_with("unused_") => self.find(index, ";"),
                "localparam" if self.names_what_is_legal(index) => self.find(index, ";"),
                "$error" => {
                    let begin = (0..index)
                        .rev()
                        .find(|&before| [";", "end"].contains(&self.at(before)));
                    self.skip_all(begin.unwrap_or(0)..index);
                    self.find(index, ";")
                }
                _ => None,
            };
            match end {
                Some(end) => {
                    self.skip_all(index..end + 1);
                    index = end + 1;
                }
                None => index += 1,
            }
        }
    }

    /// Whether `#` at `index` begins the parameters of the module that is declared there.
    fn follows_module_name(&self, index: usize) -> bool {
        let begin = (0..index)
            .rev()
            .find(|&before| ["module", ")", "endmodule"].contains(&self.at(before)));
        begin.is_some_and(|begin| self.at(begin) == "module")
    }

    /// Whether the constant that is declared there says nothing but what parameters are legal.
    fn names_what_is_legal(&self, index: usize) -> bool {
        let end = self.find(index, "=").unwrap_or(index);
        (index..end).any(|index| self.at(index).contains("Legal"))
    }
}
