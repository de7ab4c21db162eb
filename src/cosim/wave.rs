//! A twin that writes waves from a given cycle on: the failing window of a replay, and not the hours before it.
//!
//! Contract: none. SDM: none. Counterpart: none.

use std::path::PathBuf;

use super::rtl::{Rtl, RtlError};
use super::twin::Twin;
use crate::model::mmu_pkg::{Inputs, Outputs};

/// Cycles before the cycle of interest that a wave shows.
pub const WINDOW_CYCLES: u64 = 500;

/// An RTL machine that opens its wave when its cycle comes.
#[derive(Debug)]
pub struct WithWave<'a> {
    rtl: Rtl,
    path: PathBuf,
    first_cycle: u64,
    opened: bool,
    /// Where it is left to the caller that the wave could not be written.
    trouble: &'a mut Option<RtlError>,
}

impl<'a> WithWave<'a> {
    /// `rtl`, with a wave into `path` from `first_cycle` on. What goes wrong with the file is left in `trouble`.
    pub fn new(
        rtl: Rtl,
        path: PathBuf,
        first_cycle: u64,
        trouble: &'a mut Option<RtlError>,
    ) -> Self {
        Self {
            rtl,
            path,
            first_cycle,
            opened: false,
            trouble,
        }
    }
}

impl Twin for WithWave<'_> {
    fn name(&self) -> &'static str {
        "rtl"
    }

    fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        if !self.opened && self.rtl.next_cycle() >= self.first_cycle {
            self.opened = true;
            *self.trouble = self.rtl.open_wave(&self.path).err();
        }
        *outputs = *self.rtl.tick(inputs);
    }

    fn failed_assertions(&self) -> u64 {
        Twin::failed_assertions(&self.rtl)
    }

    fn first_failed_assertion(&self) -> Option<(Option<u64>, String)> {
        Twin::first_failed_assertion(&self.rtl)
    }
}

impl Drop for WithWave<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.rtl.close_wave() {
            self.trouble.get_or_insert(error);
        }
    }
}
