//! How a user's design is compared: what `--compare` takes.
//!
//! Contract: none. SDM: none. Counterpart: `docs/byo.md`.

/// How a user's design is held against the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Every output of the groups that are there, in each cycle.
    Exact,
    /// The cycles of each request, at most so many apart; contents are judged.
    Bounded(u64),
    /// Not at all: it is judged alone.
    Untimed,
}

/// Greatest bound: beyond it, nothing is compared.
const MOST_BOUND_CYCLES: u64 = 1_000_000;

impl Compare {
    /// What `--compare` takes.
    ///
    /// # Errors
    /// What it takes instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bound = |text: &str| {
            text.parse()
                .ok()
                .filter(|cycles| *cycles <= MOST_BOUND_CYCLES)
        };
        match text {
            "exact" => Some(Self::Exact),
            "untimed" => Some(Self::Untimed),
            _ => text.strip_prefix("bounded:").and_then(bound).map(Self::Bounded),
        }
        .ok_or_else(|| {
            format!("give exact, untimed, or bounded:N with N from 0 to {MOST_BOUND_CYCLES}, such as bounded:20")
        })
    }
}

impl std::fmt::Display for Compare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::Bounded(cycles) => write!(f, "bounded:{cycles}"),
            Self::Untimed => f.write_str("untimed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_has_three_forms() {
        for text in ["exact", "untimed", "bounded:0", "bounded:250"] {
            assert_eq!(Compare::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "bounded",
            "bounded:",
            "bounded:-1",
            "bounded:1000001",
            "Exact",
        ] {
            assert!(Compare::parse(text).is_err(), "{text}");
        }
    }
}
