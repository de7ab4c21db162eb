//! How far things reach in a row of tokens: operands, choices, ranges, what is assigned.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::tokens::{Kind, Tokens};

/// A file that can be asked.
pub struct Syntax<'a> {
    pub tokens: Tokens<'a>,
    /// Which tokens `<=` are assignments.
    pub assigns: BTreeSet<usize>,
}

impl<'a> Syntax<'a> {
    /// Reads a file.
    pub fn new(text: &'a str) -> Self {
        let mut syntax = Self {
            tokens: Tokens::new(text),
            assigns: BTreeSet::new(),
        };
        syntax.find_assignments();
        syntax
    }

    /// The text from the token `first` to the token `last`, both included.
    pub fn span(&self, first: usize, last: usize) -> Range<usize> {
        self.tokens.list[first].span.start..self.tokens.list[last].span.end
    }

    pub fn text(&self, first: usize, last: usize) -> String {
        self.tokens.text[self.span(first, last)].to_owned()
    }

    /// Whether an operand ends with the token before `index`, so that the operator there has two.
    pub fn is_binary(&self, index: usize) -> bool {
        let Some(before) = index.checked_sub(1) else {
            return false;
        };
        let text = self.tokens.at(before);
        match self.tokens.list[before].kind {
            Kind::Number => true,
            Kind::Word => !["return", "case", "if", "else", "begin", "assign"].contains(&text),
            Kind::Operator => [")", "]", "}"].contains(&text),
            Kind::Other => false,
        }
    }

    /// `<=` is an assignment where a statement has none before it, and no bracket is open.
    fn find_assignments(&mut self) {
        let mut assigned = false;
        let mut index = 0;
        while index < self.tokens.list.len() {
            match self.tokens.at(index) {
                // What stands in brackets assigns nothing.
                "(" | "[" | "{" | "'{" | "'(" => {
                    index = self.tokens.list[index].partner.unwrap_or(index)
                }
                ";" | "begin" | "end" | "else" => assigned = false,
                "=" | "return" => assigned = true,
                "<=" if !assigned => {
                    self.assigns.insert(index);
                    assigned = true;
                }
                _ => {}
            }
            index += 1;
        }
    }

    fn is_stop(&self, index: usize, stops: &[&str]) -> bool {
        stops.contains(&self.tokens.at(index)) || self.assigns.contains(&index)
    }

    /// The first token of the operand that ends before `index`.
    pub fn begin_of(&self, index: usize, stops: &[&str]) -> usize {
        let mut at = index;
        while let Some(before) = at.checked_sub(1) {
            if self.is_stop(before, stops) {
                break;
            }
            at = match self.tokens.at(before) {
                ")" | "]" | "}" => self.tokens.list[before].partner.unwrap_or(before),
                "(" | "[" | "{" | "'{" | "'(" => break,
                _ => before,
            };
        }
        at
    }

    /// The last token of the operand that begins behind `index`.
    pub fn end_of(&self, index: usize, stops: &[&str]) -> usize {
        let mut at = index;
        while at + 1 < self.tokens.list.len() {
            let next = at + 1;
            if self.is_stop(next, stops) || [")", "]", "}"].contains(&self.tokens.at(next)) {
                break;
            }
            at = self.tokens.list[next].partner.unwrap_or(next);
        }
        at
    }

    /// The colon of the range that the bracket at `opener` begins.
    pub fn colon(&self, opener: usize) -> Option<usize> {
        let close = self.tokens.list[opener].partner?;
        let mut at = opener + 1;
        while at < close {
            match self.tokens.at(at) {
                ":" | "+:" => return Some(at),
                "?" => return None,
                _ => {
                    at = self.tokens.list[at]
                        .partner
                        .filter(|end| *end > at)
                        .unwrap_or(at)
                        + 1
                }
            }
        }
        None
    }

    /// The bracket of the range that a token stands in.
    pub fn range_of(&self, index: usize) -> Option<usize> {
        let opener = (0..index).rev().find(|&before| {
            let closes_after = self.tokens.list[before]
                .partner
                .is_some_and(|end| end > index);
            closes_after && self.tokens.at(before) == "["
        });
        opener.filter(|opener| self.colon(*opener).is_some())
    }

    /// Whether a range is the width of something: one bit more of that would hold nothing.
    pub fn is_width(&self, opener: usize) -> bool {
        opener
            .checked_sub(1)
            .is_some_and(|before| ["logic", "bit"].contains(&self.tokens.at(before)))
    }

    /// The last token of the second arm that begins behind `colon`.
    pub fn end_of_choice(&self, colon: usize) -> usize {
        let mut open = 0;
        let mut at = colon;
        loop {
            at = self.end_of(at, &[",", ";", "?", ":"]);
            match self.tokens.at(at + 1) {
                "?" => open += 1,
                ":" if open > 0 => open -= 1,
                _ => return at,
            }
            at += 1;
        }
    }

    /// The first token of what is assigned to at `index`.
    pub fn target_of(&self, index: usize) -> usize {
        let mut at = index;
        while let Some(before) = at.checked_sub(1) {
            let is_part = match self.tokens.at(before) {
                "]" | "}" => {
                    at = self.tokens.list[before].partner.unwrap_or(before);
                    continue;
                }
                "." => true,
                _ => {
                    self.tokens.list[before].kind == Kind::Word
                        && (at == index || [".", "["].contains(&self.tokens.at(at)))
                }
            };
            if !is_part {
                break;
            }
            at = before;
        }
        at
    }
}
