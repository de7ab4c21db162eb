//! The reference's two checkers of a stream, as the harness takes them.
//!
//! Contract: none of its own. SDM vol. 3A, 4.10. Counterparts: `crate::reference::provenance`, `crate::reference::staleness`.

use super::comparators::Comparator;
use super::counters::Counters;
use super::lockstep::{Checker, CheckerFinding};
use super::stimulus::{Setup, Store};
use crate::config::Config;
use crate::model::mmu_pkg::{Inputs, Outputs};
use crate::reference::finding::Finding;
use crate::reference::horizon::Reading;
use crate::reference::image::Image;
use crate::reference::provenance::Provenance;
use crate::reference::staleness::Staleness;

/// Both checkers, for a stream that starts at `setup`.
pub fn both(config: &Config, setup: &Setup) -> [Box<dyn Checker>; 2] {
    let image = || {
        Image::new(
            config.memory_size_bytes(),
            setup
                .image
                .iter()
                .map(|(address, value)| (*address, *value)),
        )
    };
    let capabilities = config.arch_capabilities();
    [
        Box::new(Provenance::new(config, image())),
        Box::new(
            Staleness::new(capabilities, image(), Reading::Contract).in_pieces(config.fractures()),
        ),
    ]
}

impl From<Finding> for CheckerFinding {
    fn from(finding: Finding) -> Self {
        Self {
            rule: finding.rule.to_string(),
            seen: finding.seen,
            allowed: finding.allowed,
        }
    }
}

impl Checker for Provenance {
    fn comparator(&self) -> Comparator {
        Comparator::Provenance
    }

    fn observe(
        &mut self,
        cycle: u64,
        inputs: &Inputs,
        outputs: &Outputs,
        stores: &[Store],
    ) -> Result<(), CheckerFinding> {
        Ok(Self::observe(self, cycle, inputs, outputs, stores)?)
    }

    fn count(&self, counters: &mut Counters) {
        for (count, more) in counters
            .stale_removed
            .0
            .iter_mut()
            .zip(self.figures().stale_removed)
        {
            *count += more;
        }
    }
}

impl Checker for Staleness {
    fn comparator(&self) -> Comparator {
        Comparator::Staleness
    }

    fn observe(
        &mut self,
        cycle: u64,
        inputs: &Inputs,
        outputs: &Outputs,
        stores: &[Store],
    ) -> Result<(), CheckerFinding> {
        Ok(Self::observe(self, cycle, inputs, outputs, stores)?)
    }

    fn count(&self, counters: &mut Counters) {
        counters.single_outcome += self.figures().single_outcome;
        counters.stale_observed += self.figures().stale_observed;
        counters.unjudged += self.figures().unjudged;
    }
}
