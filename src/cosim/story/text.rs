//! A story as text: at most some sixty lines of 120 columns.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::fmt::{self, Display, Formatter};

use super::{Line, Set, Story, Way};

/// Most columns of a line.
pub(super) const COLUMNS: usize = 120;

impl Display for Story {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.subject(f)?;
        self.differs(f)?;
        self.judgement(f)?;
        if !self.before.is_empty() {
            let earlier = match self.before_left_out {
                0 => String::new(),
                count => format!(" (the last {}; {count} before)", self.before.len()),
            };
            writeln!(f, "what touched the page{earlier}:")?;
            lines(f, &self.before)?;
        }
        if !self.walk.is_empty() {
            writeln!(f, "its last walk:")?;
            lines(f, &self.walk)?;
        }
        self.sets(f)
    }
}

impl Story {
    fn subject(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let subject = &self.subject;
        let text = match subject.page {
            Some(page) => {
                let size = subject.page_size;
                format!(
                    "about page {page:#x} ({size}) under pcid {:#x}",
                    subject.pcid
                )
            }
            None => "about no page".to_owned(),
        };
        put(f, &text)?;
        if subject.request.is_empty() {
            return Ok(());
        }
        put(f, &format!("  request {}", subject.request))
    }

    fn differs(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, part) in self.differs.iter().enumerate() {
            if index == 0 {
                let left = if self.judgement.is_some() {
                    "a walk now"
                } else {
                    "model"
                };
                writeln!(f, "{:<24}{left:<46}  rtl", "what differs (*)")?;
            }
            writeln!(f, "  {}", part.part)?;
            for field in &part.fields {
                let mark = if field.differs { '*' } else { ' ' };
                put(
                    f,
                    &format!(
                        "  {mark} {:<20}{:<46}  {}",
                        field.name, field.model, field.rtl
                    ),
                )?;
            }
        }
        Ok(())
    }

    fn judgement(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(judgement) = &self.judgement else {
            return Ok(());
        };
        writeln!(f, "why it is not legal:")?;
        fold(f, &judgement.reason)?;
        writeln!(f, "what is legal:")?;
        fold(f, &judgement.legal)?;
        for (title, list) in [
            ("the walk of memory as it stands:", &judgement.walk),
            (
                "last invalidations that cover the page:",
                &judgement.covering,
            ),
        ] {
            if !list.is_empty() {
                writeln!(f, "{title}")?;
            }
            for line in list {
                put(f, &format!("  {line}"))?;
            }
        }
        Ok(())
    }

    fn sets(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.sets.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "where the page may stand, as the cycle began (> is of the page):"
        )?;
        let mut others = Vec::new();
        for set in &self.sets {
            let Set {
                array,
                set: number,
                ways,
                valid,
                shown,
            } = set;
            if shown.is_empty() {
                let valid = valid.first().copied().unwrap_or_default();
                others.push(format!("{array} set {number}: {valid} of {ways}"));
                continue;
            }
            let count = match valid.as_slice() {
                [model, rtl] if model != rtl => format!("{model} (rtl {rtl})"),
                [one, ..] => one.to_string(),
                [] => "0".to_owned(),
            };
            writeln!(f, "  {array} set {number}, {count} of {ways} ways valid")?;
            for way in shown {
                put(f, &way_text(way))?;
            }
        }
        if !others.is_empty() {
            let mut text = "  nothing of it, ways valid: ".to_owned();
            for (index, other) in others.iter().enumerate() {
                if text.len() + other.len() + 2 > COLUMNS {
                    put(f, &text)?;
                    text = "   ".to_owned();
                } else if index > 0 {
                    text.push_str(", ");
                }
                text.push_str(other);
            }
            put(f, &text)?;
        }
        Ok(())
    }
}

fn way_text(way: &Way) -> String {
    let mark = if way.of_the_page { '>' } else { ' ' };
    let side = way.side.unwrap_or("");
    let hit = way
        .hit
        .map_or_else(|| "not hit".to_owned(), |cycle| format!("hit {cycle}"));
    format!(
        "  {side:<5} {mark} way {:<2} {}; filled {}, {hit}",
        way.way, way.entry, way.filled
    )
}

fn lines(f: &mut Formatter<'_>, list: &[Line]) -> fmt::Result {
    for line in list {
        put(
            f,
            &format!(
                "  {:<5} {:>8}  {}",
                line.side.unwrap_or(""),
                line.cycle,
                line.text
            ),
        )?;
    }
    Ok(())
}

/// A sentence over as many lines as it needs.
fn fold(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    let mut line = " ".to_owned();
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS {
            put(f, &line)?;
            line = " ".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    put(f, &line)
}

/// A line, cut where it would be too long.
fn put(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    let text = text.trim_end();
    match text.char_indices().nth(COLUMNS) {
        None => writeln!(f, "{text}"),
        Some(_) => {
            let kept: String = text.chars().take(COLUMNS - 3).collect();
            writeln!(f, "{kept}...")
        }
    }
}
