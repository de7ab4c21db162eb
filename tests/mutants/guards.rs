//! Many mutants in one machine: each behind a comparison with a number that is given when the machine is run.
//!
//! Contract: none. SDM: none. Counterpart: `mutate.rs`, whose changes these are.
//!
//! A change within a statement, or within a condition, becomes a choice between the statement as it is and as the change makes it. What is decided
//! when the machine is elaborated (widths, constants, functions that make them) cannot wait so long: such a change needs a machine of its own.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::build::Sources;
use crate::mutate::Mutation;
use crate::syntax::Syntax;

/// The package with the number.
pub const PACKAGE: (&str, &str) = (
    "mutant_pkg.sv",
    "package mutant_pkg;\n  int unsigned chosen = $c(\"twinwalk_mutant()\");\nendpackage\n",
);
/// The number of the first mutant: one that nothing else has in what Verilator emits.
const FIRST: u32 = 0x5eed_0001;

/// How a choice is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A statement of a process or a function.
    Statement,
    /// `assign`.
    Continuous,
    /// A condition, or what a `case` looks at.
    Condition,
}

/// A passage that can be chosen.
#[derive(Debug, Clone)]
struct Passage {
    span: Range<usize>,
    form: Form,
}

/// The end of the statement that begins at `index`, where that is a block or short.
fn end_of_process(file: &Syntax<'_>, index: usize) -> usize {
    let tokens = &file.tokens;
    let mut at = index + 1;
    if tokens.at(at) == "@" {
        at = tokens
            .list
            .get(at + 1)
            .and_then(|token| token.partner)
            .unwrap_or(at)
            + 1;
    }
    if tokens.at(at) != "begin" {
        while at < tokens.list.len() && (tokens.at(at) != ";" || tokens.at(at + 1) == "else") {
            at += 1;
        }
        return at;
    }
    let mut open = 0;
    while at < tokens.list.len() {
        match tokens.at(at) {
            "begin" => open += 1,
            "end" if open == 1 => return at,
            "end" => open -= 1,
            _ => {}
        }
        at += 1;
    }
    at
}

const ASSIGNING: [&str; 7] = ["=", "+=", "-=", "|=", "&=", "^=", "<="];
const DECLARING: [&str; 7] = [
    "localparam",
    "parameter",
    "int",
    "typedef",
    "logic",
    "bit",
    "genvar",
];

/// The statement that assigns at `index`.
fn assignment(file: &Syntax<'_>, index: usize) -> Option<Passage> {
    let tokens = &file.tokens;
    if tokens.at(index) == "<=" && !file.assigns.contains(&index) {
        return None;
    }
    let first = file.target_of(index);
    let head = (0..first)
        .rev()
        .find(|&before| [";", "begin", "end", ")", "(", ":"].contains(&tokens.at(before)))?;
    if tokens.at(head) == "(" || (head..index).any(|word| DECLARING.contains(&tokens.at(word))) {
        return None;
    }
    let last = file.end_of(index, &[";"]);
    (tokens.at(last + 1) == ";").then(|| Passage {
        span: tokens.list[first].span.start..tokens.list[last + 1].span.end,
        form: Form::Statement,
    })
}

/// The passages of a file; none of functions that `constants` names.
fn passages(file: &Syntax<'_>, constants: &BTreeSet<String>) -> Vec<Passage> {
    let tokens = &file.tokens;
    let mut found = Vec::new();
    let mut inside = 0..0;
    for index in 0..tokens.list.len() {
        let text = tokens.at(index);
        match text {
            "always_comb" | "always_ff" => inside = index..end_of_process(file, index),
            "function" => {
                let head = tokens.find(index, "(").unwrap_or(index);
                let end = tokens.find(index, "endfunction").unwrap_or(index);
                let is_constant = constants.contains(tokens.at(head.saturating_sub(1)));
                inside = if is_constant { 0..0 } else { index..end };
            }
            _ => {}
        }
        if tokens.list[index].skipped {
            continue;
        }
        let semicolon = || tokens.find(index, ";").map(|end| tokens.list[end].span.end);
        let begin = tokens.list[index].span.start;
        if !inside.contains(&index) {
            if text == "assign"
                && let Some(end) = semicolon()
            {
                found.push(Passage {
                    span: begin..end,
                    form: Form::Continuous,
                });
            }
            continue;
        }
        match text {
            "if" | "case" => {
                let close = tokens.list.get(index + 1).and_then(|token| token.partner);
                if let Some(close) = close.filter(|close| *close > index + 2) {
                    let span = tokens.list[index + 2].span.start..tokens.list[close - 1].span.end;
                    found.push(Passage {
                        span,
                        form: Form::Condition,
                    });
                }
            }
            "return" => {
                if let Some(end) = semicolon() {
                    found.push(Passage {
                        span: begin..end,
                        form: Form::Statement,
                    });
                }
            }
            text if ASSIGNING.contains(&text) => found.extend(assignment(file, index)),
            _ => {}
        }
    }
    found
}

/// Functions that constants are made with: a choice in one of these would come too late.
pub fn constant_functions(sources: &Sources) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let files: Vec<Syntax<'_>> = sources.iter().map(|(_, text)| Syntax::new(text)).collect();
    let words = |file: &Syntax<'_>, range: Range<usize>| -> Vec<String> {
        range
            .map(|index| file.tokens.at(index).to_owned())
            .collect()
    };
    for file in &files {
        for index in 0..file.tokens.list.len() {
            if ["localparam", "parameter"].contains(&file.tokens.at(index)) {
                let end = file.tokens.find(index, ";").unwrap_or(index);
                names.extend(words(file, index..end));
            }
        }
    }
    // And those that these are made with.
    loop {
        let before = names.len();
        for file in &files {
            for index in 0..file.tokens.list.len() {
                let head = file
                    .tokens
                    .find(index, "(")
                    .unwrap_or(index)
                    .saturating_sub(1);
                if file.tokens.at(index) == "function" && names.contains(file.tokens.at(head)) {
                    let end = file.tokens.find(index, "endfunction").unwrap_or(index);
                    names.extend(words(file, index..end));
                }
            }
        }
        if names.len() == before {
            return names;
        }
    }
}

/// A mutant as a choice: what is replaced, and by what.
#[derive(Debug, Clone)]
pub struct Guarded {
    pub span: Range<usize>,
    form: Form,
    sound: String,
    mutant: String,
}

impl Guarded {
    /// The choice for a mutation of `text`, if it can wait until the machine runs.
    pub fn of(text: &str, mutation: &Mutation, constants: &BTreeSet<String>) -> Option<Self> {
        let file = Syntax::new(text);
        let covers = |passage: &Passage| {
            passage.span.start <= mutation.span.start && mutation.span.end <= passage.span.end
        };
        let found = passages(&file, constants).into_iter().filter(covers);
        let Passage { span, form } = found.min_by_key(|passage| passage.span.len())?;
        let mutant = format!(
            "{}{}{}",
            &text[span.start..mutation.span.start],
            mutation.replacement,
            &text[mutation.span.end..span.end]
        );
        Some(Self {
            sound: text[span.clone()].to_owned(),
            span,
            form,
            mutant,
        })
    }

    fn written(&self, number: u32) -> String {
        let Self { sound, mutant, .. } = self;
        let chosen = format!("mutant_pkg::chosen == 32'h{number:08x}");
        let strip = |text: &str| text.replacen("assign", "", 1);
        match self.form {
            Form::Statement => format!("begin if ({chosen}) {mutant} else {sound} end"),
            Form::Continuous => format!(
                "always_comb begin if ({chosen}) {} else {} end",
                strip(mutant),
                strip(sound)
            ),
            Form::Condition => format!("({chosen}) ? ({mutant}) : ({sound})"),
        }
    }
}

/// The number by which the mutant at `index` of a batch is chosen.
pub const fn number(index: usize) -> u32 {
    FIRST + index as u32
}

/// The sources with all of these choices; of one file none may overlap.
pub fn apply(sources: &Sources, batch: &[(String, Guarded)]) -> Sources {
    let mut changed = vec![(PACKAGE.0.to_owned(), PACKAGE.1.to_owned())];
    for (name, text) in sources {
        let of_file = batch
            .iter()
            .enumerate()
            .filter(|(_, (file, _))| file == name);
        let mut choices: Vec<(u32, &Guarded)> = of_file
            .map(|(index, (_, guarded))| (number(index), guarded))
            .collect();
        choices.sort_by_key(|(_, guarded)| std::cmp::Reverse(guarded.span.start));
        let mut text = text.clone();
        for (number, guarded) in choices {
            text.replace_range(guarded.span.clone(), &guarded.written(number));
        }
        changed.push((name.clone(), text));
    }
    changed
}
