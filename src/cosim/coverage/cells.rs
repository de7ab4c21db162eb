//! Crosses and their cells: what may happen together, how often it did, and what cannot.
//!
//! Contract: none of its own; each cross names its sections. SDM: none. Counterpart: none.
//!
//! A cross is a list of axes, each with its values; a cell takes one value of each. The *predicate* of a cross says of a machine why a cell
//! cannot occur, in one sentence. A cell that occurs and should not be able to is an error of the predicate, and fails the run.

use crate::config::Config;

/// One thing that is crossed with others.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// What it is.
    pub name: &'static str,
    /// Its values.
    pub values: &'static [&'static str],
}

/// A cross.
#[derive(Debug, Clone, Copy)]
pub struct Cross {
    /// Its name.
    pub name: &'static str,
    /// What it crosses, in one sentence.
    pub about: &'static str,
    /// Its axes.
    pub axes: &'static [Axis],
    /// Why a cell cannot occur on a machine, with the section of the contract; `None`: it can.
    pub unreachable: fn(&Config, &[usize]) -> Option<&'static str>,
}

impl Cross {
    /// How many cells there are.
    pub fn cells(&self) -> usize {
        self.axes.iter().map(|axis| axis.values.len()).product()
    }

    /// The number of a cell, from the value on each axis.
    pub fn index(&self, values: &[usize]) -> usize {
        let axes = self.axes.iter().zip(values);
        axes.fold(0, |index, (axis, value)| index * axis.values.len() + value)
    }

    /// The values of a cell.
    pub fn values(&self, index: usize) -> Vec<usize> {
        let mut rest = index;
        let mut values: Vec<usize> = self
            .axes
            .iter()
            .rev()
            .map(|axis| {
                let value = rest % axis.values.len();
                rest /= axis.values.len();
                value
            })
            .collect();
        values.reverse();
        values
    }

    /// The name of a cell.
    pub fn cell_name(&self, index: usize) -> String {
        let values = self.values(index);
        let names = self
            .axes
            .iter()
            .zip(values)
            .map(|(axis, value)| axis.values[value]);
        names.collect::<Vec<_>>().join(", ")
    }

    /// Why a cell cannot occur on a machine; `None`: it can.
    pub fn why_unreachable(&self, config: &Config, index: usize) -> Option<&'static str> {
        (self.unreachable)(config, &self.values(index))
    }
}

/// How often each cell of each cross occurred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    counts: Vec<Vec<u64>>,
}

impl Cells {
    /// No occurrence of any cell of these crosses.
    pub fn new(crosses: &[Cross]) -> Self {
        Self {
            counts: crosses.iter().map(|cross| vec![0; cross.cells()]).collect(),
        }
    }

    /// Counts an occurrence of the cell `index` of the cross `cross`.
    pub fn hit(&mut self, cross: usize, index: usize) {
        if let Some(count) = self
            .counts
            .get_mut(cross)
            .and_then(|counts| counts.get_mut(index))
        {
            *count += 1;
        }
    }

    /// Adds the occurrences of another run.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine = mine.saturating_add(*theirs);
            }
        }
    }

    /// The occurrences of each cell of a cross.
    pub fn of(&self, cross: usize) -> &[u64] {
        self.counts.get(cross).map_or(&[], Vec::as_slice)
    }
}

/// A cell that occurred although the predicate says that it cannot.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Impossible {
    /// The cross.
    pub cross: &'static str,
    /// The cell.
    pub cell: String,
    /// How often.
    pub count: u64,
    /// Why it should not have been able to.
    pub reason: &'static str,
}

/// The cells that occurred on a machine although they cannot: errors of the predicates, or of the machine.
pub fn impossible(crosses: &[Cross], config: &Config, cells: &Cells) -> Vec<Impossible> {
    let mut found = Vec::new();
    for (number, cross) in crosses.iter().enumerate() {
        for (index, count) in cells.of(number).iter().enumerate() {
            if *count == 0 {
                continue;
            }
            if let Some(reason) = cross.why_unreachable(config, index) {
                found.push(Impossible {
                    cross: cross.name,
                    cell: cross.cell_name(index),
                    count: *count,
                    reason,
                });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CROSS: Cross = Cross {
        name: "pairs",
        about: "a letter and a number",
        axes: &[
            Axis {
                name: "letter",
                values: &["a", "b"],
            },
            Axis {
                name: "number",
                values: &["0", "1", "2"],
            },
        ],
        unreachable: |_, values| (values == [1, 2]).then_some("b has no 2"),
    };

    #[test]
    fn a_cell_has_a_number_and_a_name() {
        assert_eq!(CROSS.cells(), 6);
        for index in 0..6 {
            assert_eq!(CROSS.index(&CROSS.values(index)), index);
        }
        assert_eq!(CROSS.cell_name(CROSS.index(&[1, 2])), "b, 2");
    }

    #[test]
    fn a_cell_that_cannot_occur_and_does_is_an_error() {
        let config = Config::default();
        let mut cells = Cells::new(&[CROSS]);
        cells.hit(0, CROSS.index(&[0, 1]));
        assert_eq!(impossible(&[CROSS], &config, &cells), []);
        cells.hit(0, CROSS.index(&[1, 2]));
        let found = impossible(&[CROSS], &config, &cells);
        assert_eq!((found.len(), found[0].cell.as_str()), (1, "b, 2"));
        assert_eq!(found[0].reason, "b has no 2");
    }

    #[test]
    fn occurrences_of_runs_add_up() {
        let mut cells = Cells::new(&[CROSS]);
        cells.hit(0, 3);
        let mut both = cells.clone();
        both.add(&cells);
        assert_eq!(both.of(0), [0, 0, 0, 2, 0, 0]);
    }
}
