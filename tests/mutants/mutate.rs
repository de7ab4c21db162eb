//! The mutator: every small change of a file that one of the operators makes.
//!
//! Contract: none. SDM: none. Counterpart: `docs/mutants.md`, the table of operators.

use std::collections::BTreeSet;
use std::ops::{Deref, Range};

use crate::syntax::Syntax;
use crate::tokens::Kind;

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// A binary or reducing operator becomes another.
    Swap,
    /// A negation is left out.
    DropNegation,
    /// A condition or an operand is negated.
    AddNegation,
    /// The arms of `?:` change places.
    SwapArms,
    /// A condition is always true, or never.
    StuckCondition,
    /// An operand of `&&` or `||` is left out.
    DropOperand,
    /// What is assigned is `'0` or `'1`.
    StuckValue,
    /// A number is greater or less by one.
    Literal,
    /// A bound of a range is greater or less by one.
    Range,
    /// A register is not written.
    DropUpdate,
    /// An assignment after a default is left out.
    DropAssignment,
}

impl Operator {
    pub const ALL: [Self; 11] = [
        Self::Swap,
        Self::DropNegation,
        Self::AddNegation,
        Self::SwapArms,
        Self::StuckCondition,
        Self::DropOperand,
        Self::StuckValue,
        Self::Literal,
        Self::Range,
        Self::DropUpdate,
        Self::DropAssignment,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Swap => "swap",
            Self::DropNegation => "drop-negation",
            Self::AddNegation => "add-negation",
            Self::SwapArms => "swap-arms",
            Self::StuckCondition => "stuck-condition",
            Self::DropOperand => "drop-operand",
            Self::StuckValue => "stuck-value",
            Self::Literal => "literal",
            Self::Range => "range",
            Self::DropUpdate => "drop-update",
            Self::DropAssignment => "drop-assignment",
        }
    }
}

/// One change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    pub operator: Operator,
    /// What is replaced.
    pub span: Range<usize>,
    /// By what; as many lines as were there are kept, so that messages name the same ones.
    pub replacement: String,
}

/// What a person sees of a mutation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown {
    /// The first line that it changes, from 1.
    pub line: usize,
    /// The named block, function or module that it stands in.
    pub within: String,
    /// The lines that it changes, blanks and comments at their ends left out.
    pub before: String,
    /// What they become.
    pub after: String,
}

/// A text in one line, its comments left out.
fn flat(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ")
}

impl Mutation {
    /// The text with the change.
    pub fn apply(&self, text: &str) -> String {
        format!(
            "{}{}{}",
            &text[..self.span.start],
            self.replacement,
            &text[self.span.end..]
        )
    }

    /// How it looks.
    pub fn shown(&self, text: &str) -> Shown {
        let begin = text[..self.span.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[self.span.end..]
            .find('\n')
            .map_or(text.len(), |at| self.span.end + at);
        let after = format!(
            "{}{}{}",
            &text[begin..self.span.start],
            self.replacement,
            &text[self.span.end..end]
        );
        Shown {
            line: text[..self.span.start].matches('\n').count() + 1,
            within: within(&text[..begin]),
            before: flat(&text[begin..end]),
            after: flat(&after),
        }
    }
}

/// The name of the block, function or module that the end of `text` stands in: the last that was given.
fn within(text: &str) -> String {
    let name = |line: &str| {
        let line = line.split("//").next().unwrap_or_default().trim();
        if let Some((_, label)) = line.split_once("begin : ") {
            return Some(label.to_owned());
        }
        if line.starts_with("function ") {
            let head = line.split('(').next()?;
            return head.split_whitespace().last().map(str::to_owned);
        }
        let module = line
            .strip_prefix("module ")
            .or_else(|| line.strip_prefix("package "))?;
        Some(module.trim_end_matches([';', ' ', '#', '(']).to_owned())
    };
    text.lines().rev().find_map(name).unwrap_or_default()
}

const SWAPS: [(&str, &[&str]); 15] = [
    ("&&", &["||"]),
    ("||", &["&&"]),
    ("&", &["|"]),
    ("|", &["&"]),
    ("^", &["|"]),
    ("==", &["!="]),
    ("!=", &["=="]),
    ("<", &["<="]),
    ("<=", &["<"]),
    (">", &[">="]),
    (">=", &[">"]),
    ("+", &["-"]),
    ("-", &["+"]),
    ("<<", &[">>"]),
    (">>", &["<<"]),
];
/// Assignments that operate.
const ASSIGNING: [(&str, &str); 3] = [("+=", "-="), ("-=", "+="), ("|=", "=")];

/// A number, changed by one, in its width and base.
fn changed(number: &str, step: i64) -> Option<String> {
    let Some((width, digits)) = number.split_once('\'') else {
        let value: i64 = number.replace('_', "").parse().ok()?;
        return u64::try_from(value + step)
            .ok()
            .map(|value| value.to_string());
    };
    if width.is_empty() {
        return (step == 1).then(|| if digits == "0" { "'1" } else { "'0" }.to_owned());
    }
    let width: u32 = width.parse().ok()?;
    let (base, digits) = digits.split_at(1);
    let radix = match base {
        "b" => 2,
        "o" => 8,
        "d" => 10,
        _ => 16,
    };
    let value = u64::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    if width == 1 && step < 0 {
        // The same as one more.
        return None;
    }
    let mask = u64::MAX >> 64u32.saturating_sub(width).min(63);
    let value = value.wrapping_add_signed(step) & mask;
    Some(match radix {
        2 => format!("{width}'b{value:b}"),
        8 => format!("{width}'o{value:o}"),
        10 => format!("{width}'d{value}"),
        _ => format!("{width}'h{value:x}"),
    })
}

/// Finds the mutations of one file.
struct Finder<'a> {
    syntax: Syntax<'a>,
    found: Vec<Mutation>,
}

impl<'a> Deref for Finder<'a> {
    type Target = Syntax<'a>;

    fn deref(&self) -> &Self::Target {
        &self.syntax
    }
}

/// Every mutation of a file, in the order in which they stand there. None of two says the same.
pub fn mutations(text: &str) -> Vec<Mutation> {
    let mut finder = Finder {
        syntax: Syntax::new(text),
        found: Vec::new(),
    };
    for index in 0..finder.tokens.list.len() {
        if !finder.tokens.list[index].skipped {
            finder.at(index);
        }
    }
    finder.statements();
    let mut seen = BTreeSet::new();
    let mut found = finder.found;
    found.sort_by_key(|mutation| (mutation.span.start, mutation.operator));
    found.retain(|mutation| seen.insert(mutation.apply(text)));
    found
}

impl Finder<'_> {
    fn add(&mut self, operator: Operator, span: Range<usize>, replacement: &str) {
        let lines = |text: &str| text.matches('\n').count();
        let missing = lines(&self.tokens.text[span.clone()]).saturating_sub(lines(replacement));
        let replacement = format!("{replacement}{}", "\n".repeat(missing));
        self.found.push(Mutation {
            operator,
            span,
            replacement,
        });
    }

    /// What a token gives rise to by itself.
    fn at(&mut self, index: usize) {
        let text = self.tokens.at(index);
        let span = self.tokens.list[index].span.clone();
        let range = self.range_of(index);
        if range.is_some_and(|opener| self.is_width(opener)) {
            return;
        }
        if self.tokens.list[index].kind == Kind::Number {
            let operator = if range.is_some() {
                Operator::Range
            } else {
                Operator::Literal
            };
            for step in [1, -1] {
                if let Some(number) = changed(text, step) {
                    self.add(operator, span.clone(), &number);
                }
            }
            return;
        }
        let reduces = ["&", "|"].contains(&text);
        if (self.is_binary(index) || reduces) && !self.assigns.contains(&index) {
            let others = SWAPS.iter().filter(|(from, _)| *from == text);
            for other in others.flat_map(|(_, to)| to.iter()) {
                self.add(Operator::Swap, span.clone(), other);
            }
        }
        if let Some((_, other)) = ASSIGNING.iter().find(|(from, _)| *from == text) {
            self.add(Operator::Swap, span.clone(), other);
        }
        match text {
            "!" | "~" => self.add(Operator::DropNegation, span, ""),
            "&&" | "||" => self.chain(index),
            "?" => self.choice(index),
            "if" => self.condition(index),
            "[" => self.bounds(index),
            _ => {}
        }
    }

    /// Bounds without a number that could be changed, and widths, of which one bit less is left.
    fn bounds(&mut self, opener: usize) {
        let (Some(colon), Some(close)) = (self.colon(opener), self.tokens.list[opener].partner)
        else {
            return;
        };
        for (first, last, step) in [
            (opener + 1, colon - 1, " - 1"),
            (colon + 1, close - 1, " + 1"),
        ] {
            if first > last {
                continue;
            }
            let mut tokens = self.tokens.list[first..=last].iter();
            if self.is_width(opener) || tokens.all(|token| token.kind != Kind::Number) {
                let text = format!("({}){step}", self.text(first, last));
                self.add(Operator::Range, self.span(first, last), &text);
            }
        }
    }

    fn chain(&mut self, index: usize) {
        const OR: [&str; 10] = [
            "||", "?", ":", "=", ",", ";", "return", "else", "begin", "|=",
        ];
        const AND: [&str; 11] = [
            "&&", "||", "?", ":", "=", ",", ";", "return", "else", "begin", "|=",
        ];
        let stops: &[&str] = if self.tokens.at(index) == "&&" {
            &AND
        } else {
            &OR
        };
        let (first, last) = (self.begin_of(index, stops), self.end_of(index, stops));
        if first >= index || last <= index {
            return;
        }
        let (left, right) = (self.text(first, index - 1), self.text(index + 1, last));
        let operator = self.tokens.at(index);
        self.add(Operator::DropOperand, self.span(first, last), &left);
        self.add(Operator::DropOperand, self.span(first, last), &right);
        let negated = format!("{left} {operator} !({right})");
        self.add(Operator::AddNegation, self.span(first, last), &negated);
    }

    fn choice(&mut self, index: usize) {
        const STOPS: [&str; 7] = ["?", ":", "=", ",", ";", "return", "|="];
        let first = self.begin_of(index, &STOPS);
        // The colon that belongs to it: choices may be nested in the first arm.
        let mut depth = 0;
        let mut colon = index + 1;
        while colon < self.tokens.list.len() {
            match self.tokens.at(colon) {
                "?" => depth += 1,
                ":" if depth == 0 => break,
                ":" => depth -= 1,
                ";" => return,
                _ => {
                    colon = self.tokens.list[colon]
                        .partner
                        .filter(|end| *end > colon)
                        .unwrap_or(colon)
                }
            }
            colon += 1;
        }
        let last = self.end_of_choice(colon);
        if first >= index || colon <= index + 1 || last <= colon || last >= self.tokens.list.len() {
            return;
        }
        let (condition, yes, no) = (
            self.text(first, index - 1),
            self.text(index + 1, colon - 1),
            self.text(colon + 1, last),
        );
        self.add(
            Operator::SwapArms,
            self.span(first, last),
            &format!("{condition} ? {no} : {yes}"),
        );
        for stuck in ["1'b1", "1'b0"] {
            self.add(Operator::StuckCondition, self.span(first, index - 1), stuck);
        }
    }

    fn condition(&mut self, index: usize) {
        let Some(close) = self
            .tokens
            .list
            .get(index + 1)
            .and_then(|token| token.partner)
        else {
            return;
        };
        if close < index + 3 {
            return;
        }
        let inside = self.span(index + 2, close - 1);
        let negated = format!("!({})", self.text(index + 2, close - 1));
        self.add(Operator::AddNegation, inside.clone(), &negated);
        for stuck in ["1'b1", "1'b0"] {
            self.add(Operator::StuckCondition, inside.clone(), stuck);
        }
    }

    /// Assignments: what is assigned is stuck, or nothing is.
    fn statements(&mut self) {
        let mut combinational = false;
        let mut assigned: BTreeSet<String> = BTreeSet::new();
        for index in 0..self.tokens.list.len() {
            match self.tokens.at(index) {
                "always_comb" => {
                    (combinational, assigned) = (true, BTreeSet::new());
                }
                "always_ff" | "assign" | "endmodule" | "function" => combinational = false,
                _ => {}
            }
            if self.tokens.list[index].skipped {
                continue;
            }
            let clocked = self.assigns.contains(&index);
            if !clocked && self.tokens.at(index) != "=" {
                continue;
            }
            let first = self.target_of(index);
            // Constants and the heads of loops are no assignments of hardware.
            let head = (0..first)
                .rev()
                .find(|&before| [";", "begin", "end", ")", "("].contains(&self.tokens.at(before)));
            let words = head.map_or(0, |head| head + 1)..index;
            if words.clone().any(|word| {
                ["localparam", "parameter", "int", "typedef"].contains(&self.tokens.at(word))
            }) || head.is_some_and(|head| self.tokens.at(head) == "(")
            {
                continue;
            }
            let last = self.end_of(index, &[";"]);
            if self.tokens.at(last + 1) != ";" || last <= index || first >= index {
                continue;
            }
            if self.tokens.list[index + 1..=last].len() > 1
                || self.tokens.list[last].kind != Kind::Number
            {
                for stuck in ["'0", "'1"] {
                    self.add(Operator::StuckValue, self.span(index + 1, last), stuck);
                }
            }
            let name = self.tokens.at(first).to_owned();
            let by_assign = first > 0 && self.tokens.at(first - 1) == "assign";
            if clocked {
                self.add(Operator::DropUpdate, self.span(first, last), "");
            } else if combinational && !by_assign && !assigned.insert(name) {
                self.add(Operator::DropAssignment, self.span(first, last), "");
            }
        }
    }
}
