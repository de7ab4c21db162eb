//! The control port of the test machine.
//!
//! Contract: 9. SDM: none. Counterpart: none.

use std::cell::Cell;

use twinwalk::arch::{Invalidation, InvpcidDescriptor};
use twinwalk::model::mmu_pkg::*;

use super::super::arrays::{Way, psc_goes, tlb_goes};
use super::super::bugs::Bug;
use super::{Control, Machine, MissState};

impl Machine {
    /// 9.1, 9.3.
    pub(super) fn perform(&mut self, op: &ControlIn, monitor: &mut Monitor) {
        let mut after = self.registers;
        let descriptor = InvpcidDescriptor {
            context: op.data,
            address: op.addr,
        };
        let result = match op.op {
            CTRL_MOV_CR0 => after.write_cr0(op.data),
            CTRL_MOV_CR3 => after.write_cr3(op.data, &self.capabilities),
            CTRL_MOV_CR4 => after.write_cr4(op.data, &self.capabilities),
            CTRL_WRMSR_EFER => after.write_efer(op.data),
            CTRL_INVLPG => Ok(self.registers.invlpg(op.data)),
            _ => self.registers.invpcid(op.kind, &descriptor),
        };
        let invalidation =
            self.bug
                .changes(op, result.unwrap_or(Invalidation::None), &self.registers);
        if result.is_ok() {
            self.registers = after;
        }
        self.control = Control::Respond {
            gp: result.is_err() != self.has(Bug::FaultInverted),
        };
        if invalidation.is_none() {
            return;
        }
        for port in &mut self.ports {
            let hit =
                matches!(port.state, MissState::StlbBusy { code, .. } if code <= LOOKUP_HIT_1G);
            let keeps = self.bug.keeps_right(op) || self.bug == Bug::StlbHitKeepsRight && hit;
            port.right &= keeps;
            port.right_shown = false;
        }
        for cache in 0..4 {
            if self.psc[cache].ways > 0 && !self.bug.spares_psc(op, cache) {
                self.empty_psc(cache, |way| psc_goes(&invalidation, way), monitor);
            }
        }
        if let Invalidation::Page { va, .. } = invalidation
            && (!self.shape.fractures() || self.has(Bug::InvlpgTakesThePieceAlone))
        {
            for array in 0..TLB_ARRAYS {
                for (set, kept) in self.shape.sets_of(array, va.raw()) {
                    let place = (set, Some(kept));
                    self.remove_row(array, place, (op.op, op.kind), &invalidation, monitor);
                }
            }
            return;
        }
        self.control = Control::Sweep {
            row: 0,
            op: op.op,
            kind: op.kind,
            invalidation,
        };
        self.sweep(monitor);
    }

    /// Removes what `goes` from every set of a cache; the mask is one of entries, the ways of set 0 first.
    fn empty_psc(&mut self, cache: usize, goes: impl Fn(&Way) -> bool, monitor: &mut Monitor) {
        let array = &mut self.psc[cache];
        let mut removed = 0;
        for set in 0..array.sets {
            let mut event = ArrayEvent::default();
            array.remove(set, &goes, &mut event);
            removed |= event.removed << (set * array.ways);
        }
        if removed != 0 {
            monitor.psc[cache].op = ARRAY_INVALIDATE;
            monitor.psc[cache].removed = removed;
        }
    }

    /// A row of a sweep; with a kept size what one page loses of it.
    fn remove_row(
        &mut self,
        array: usize,
        (set, kept): (usize, Option<usize>),
        (op, kind): (u8, u64),
        invalidation: &Invalidation,
        monitor: &mut Monitor,
    ) {
        let bug = self.bug;
        if self.tlb[array].ways == 0
            || set >= self.tlb[array].sets
            || bug.spares_tlb(op, kind, array)
        {
            return;
        }
        let one_a_row = bug == Bug::SweepTakesOneWayARow;
        let taken = Cell::new(false);
        let goes = |way: &Way| {
            let covered = tlb_goes(invalidation, way);
            let goes = covered && !(one_a_row && taken.get());
            taken.set(taken.get() || goes);
            goes || bug.removes_more(invalidation)
        };
        let (array, event) = (&mut self.tlb[array], &mut monitor.tlb[array]);
        match kept {
            Some(kept) => array.remove_kept((set, kept), goes, event),
            None => array.remove(set, goes, event),
        }
    }

    pub(super) fn sweep(&mut self, monitor: &mut Monitor) {
        let last = self.sweep_cycles() - usize::from(self.has(Bug::SweepStopsEarly));
        match self.control {
            Control::ResetSweep(row) => {
                let over = row + 1 >= self.sweep_cycles();
                self.control = if over {
                    Control::Idle
                } else {
                    Control::ResetSweep(row + 1)
                };
            }
            Control::Sweep {
                row,
                op,
                kind,
                invalidation,
            } => {
                for array in 0..TLB_ARRAYS {
                    self.remove_row(array, (row, None), (op, kind), &invalidation, monitor);
                }
                self.control = if row + 1 >= last {
                    Control::Respond { gp: false }
                } else {
                    Control::Sweep {
                        row: row + 1,
                        op,
                        kind,
                        invalidation,
                    }
                };
            }
            _ => {}
        }
    }
}
