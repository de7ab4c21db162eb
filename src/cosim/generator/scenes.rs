//! The scenes of a random stream: short pieces, each of which presses on one thing.
//!
//! Contract: sections 6 to 9. SDM vol. 3A, 4.6 to 4.10. Counterpart: none.

use super::Generator;
use super::world::Place;
use crate::arch::{Access, AccessKind};
use crate::cosim::stimulus::{Action, Control, ControlKind};

impl Generator {
    /// Requests over a few pages, some of which are asked for again and again.
    pub(super) fn burst(&mut self) {
        let few: [u64; 4] = std::array::from_fn(|_| self.hot());
        let cpl = self.prng.pick(&[0, 3, 3]);
        for _ in 0..self.prng.between(1, 24) {
            let va = if self.prng.chance(700) {
                self.prng.pick(&few)
            } else {
                self.hot()
            };
            let kind = self.kind();
            let mut access = self.access(kind);
            if self.prng.chance(850) {
                access.cpl = cpl;
                access.ac = true;
            }
            let gap = self.gap();
            self.request(gap, va, access);
        }
    }

    pub(super) fn contexts(&mut self) {
        let va = self.hot();
        for _ in 0..self.prng.between(2, 6) {
            let kind = self.kind();
            let access = self.access(kind);
            let gap = self.gap();
            self.request(gap, va, access);
        }
    }

    pub(super) fn read_then_write(&mut self) {
        let va = self.hot();
        let read = self.access(AccessKind::Read);
        self.request(0, va, read);
        if self.prng.chance(400) {
            self.push(Action::Drain);
        }
        let gap = self.gap();
        self.request(
            gap,
            va,
            Access {
                kind: AccessKind::Write,
                ..read
            },
        );
    }

    /// The entries on the path of an address, as far as the generator knows.
    fn path(&self, va: u64) -> Vec<Place> {
        self.world.path(self.registry.get(), va)
    }

    /// A store that changes an entry on the path of `va`, or any entry.
    fn mutate(&mut self, va: u64, gap_cycles: u64) {
        let path = self.path(va);
        let mode = self.registry.mode();
        let place = match path.len() {
            0 => self.world.place(mode, &mut self.prng),
            _ if self.prng.chance(150) => self.world.place(mode, &mut self.prng),
            // The leaf, or the end of the path, half of the time.
            length if self.prng.chance(500) => path[length - 1],
            _ => self.prng.pick(&path),
        };
        if let Some(store) = self.world.mutation(place, &mut self.prng) {
            self.push_after(gap_cycles, store);
        }
    }

    pub(super) fn rewrite(&mut self) {
        let va = self.hot();
        if self.prng.chance(600) {
            let access = self.access(AccessKind::Read);
            self.request(0, va, access);
        }
        for _ in 0..self.prng.between(1, 2) {
            let gap = self.gap();
            self.mutate(va, gap);
        }
        if self.prng.chance(450) {
            let control = self.registry.invalidate(va, &mut self.prng);
            let gap = self.gap();
            self.push_after(gap, Action::Control(control));
        }
        let kind = self.kind();
        let access = self.access(kind);
        let gap = self.gap();
        self.request(gap, va, access);
    }

    /// Clears A and D along a path, makes the machine walk it, and stores into it meanwhile.
    pub(super) fn race(&mut self) {
        let va = self.hot();
        let path = self.path(va);
        if path.is_empty() {
            return self.burst();
        }
        for _ in 0..self.prng.between(1, 2) {
            let place = self.prng.pick(&path);
            if let Some(store) = self.world.clear_accessed_dirty(place) {
                self.push(store);
            }
        }
        let control = self.registry.invalidate(va, &mut self.prng);
        self.push(Action::Control(control));
        if self.prng.chance(500) {
            self.push(Action::Drain);
        }
        let kind = self.kind();
        let access = self.access(kind);
        self.request(0, va, access);
        // One store after another, about as far apart as the walk's accesses.
        for _ in 0..self.prng.between(2, 6) {
            let gap = self.prng.between(1, 2 * self.temper.access_cycles);
            let mut place = self.prng.pick(&path);
            if self.prng.chance(300) {
                // A change beside an entry of 4 bytes must not disturb its compare-and-set.
                place = place.beside();
            }
            let store = if self.prng.chance(500) {
                self.world.touch(place)
            } else {
                self.world.mutation(place, &mut self.prng)
            };
            if let Some(store) = store {
                self.push_after(gap, store);
            }
        }
    }

    pub(super) fn invalidate_during_walk(&mut self) {
        let va = self.hot();
        if self.prng.chance(600) {
            let control = self.registry.invalidate(va, &mut self.prng);
            self.push(Action::Control(control));
        }
        for _ in 0..self.prng.between(1, 3) {
            let address = if self.prng.chance(600) {
                va
            } else {
                self.hot()
            };
            let kind = self.kind();
            let access = self.access(kind);
            self.request(0, address, access);
        }
        let gap = self.during_walk();
        let control = self.registry.invalidate(va, &mut self.prng);
        self.push_after(gap, Action::Control(control));
        if self.prng.chance(500) {
            let access = self.access(AccessKind::Read);
            let gap = self.gap();
            self.request(gap, va, access);
        }
    }

    /// Two misses that come to wait for the walker in one cycle.
    pub(super) fn held_up(&mut self) {
        if self.prng.chance(500) {
            self.held_up_by_a_sweep();
        } else {
            self.denied_in_both();
        }
    }

    /// A page that a supervisor has brought into both first levels, which deny it to a user in the same cycle.
    fn denied_in_both(&mut self) {
        let va = self.hot();
        let mut data = self.access(AccessKind::Read);
        (data.cpl, data.ac, data.implicit_supervisor) = (0, true, false);
        let mut fetch = Access {
            kind: AccessKind::Fetch,
            ..data
        };
        // The port that comes last is the one that the walker took last.
        let [first, last] = if self.prng.chance(750) {
            [data, fetch]
        } else {
            [fetch, data]
        };
        self.request(0, va, first);
        self.request(4, va, last);
        self.push(Action::Drain);
        (data.cpl, fetch.cpl) = (3, 3);
        data.kind = self.prng.pick(&[AccessKind::Read, AccessKind::Write]);
        // The level that takes longer is asked first.
        let [fetch_due, data_due] = self.temper.stlb_result_cycles;
        if fetch_due >= data_due {
            self.request(0, va, fetch);
            self.request(fetch_due - data_due, va, data);
        } else {
            self.request(0, va, data);
            self.request(data_due - fetch_due, va, fetch);
        }
    }

    /// A fetch and a data access that both miss, and a sweep that begins about when the STLB has their results.
    fn held_up_by_a_sweep(&mut self) {
        let pages = [self.hot(), self.hot()];
        let fetch = self.access(AccessKind::Fetch);
        let forget = |va| Action::Control(Control::new(ControlKind::Invlpg, va));
        for va in pages {
            self.push(forget(va));
        }
        self.push(Action::Drain);
        if self.prng.chance(600) {
            // Then the fetch port is the one that the walker took last.
            self.request(0, pages[0], fetch);
            self.push(Action::Drain);
            self.push(forget(pages[0]));
            self.push(Action::Drain);
        }
        self.request(0, pages[0], fetch);
        let kind = self.prng.pick(&[AccessKind::Read, AccessKind::Write]);
        let access = self.access(kind);
        let gap = self.prng.pick(&[0, 0, 0, 1]);
        self.request(gap, pages[1], access);
        // The sweep performs from the cycle after its accept on.
        let due = self.temper.stlb_result_cycles[self.prng.below(2) as usize];
        let gap = (due + self.prng.below(4)).saturating_sub(3);
        let mut sweep = Control::new(ControlKind::Invpcid, 0);
        sweep.invpcid_type = self.prng.between(1, 3);
        self.push_after(gap, Action::Control(sweep));
    }

    /// Two pages that follow each other, walked in turn, and something that may meet the prefetch of the second.
    pub(super) fn next_page(&mut self) {
        let va = self.hot();
        let leaf = self.path(va).last().copied();
        let stores = leaf.and_then(|place| {
            let next = place.next()?;
            let first = self.world.open_leaf(place, &mut self.prng)?;
            let second = self.world.open_leaf(next, &mut self.prng)?;
            Some((place.page_bytes(), [first, second]))
        });
        let Some((bytes, stores)) = stores else {
            return self.burst();
        };
        let next = (va & !(bytes - 1)).wrapping_add(bytes);
        for (page, store) in [va, next].into_iter().zip(stores) {
            self.push(store);
            self.push(Action::Control(Control::new(ControlKind::Invlpg, page)));
        }
        self.push(Action::Drain);
        let mut access = self.access(AccessKind::Read);
        (access.cpl, access.pkru) = (3, 0);
        self.request(0, va, access);
        if self.prng.chance(600) {
            let gap = self.prng.between(1, 4 * self.temper.access_cycles);
            if self.prng.chance(500) {
                self.mutate(next, gap);
            } else {
                let control = self.registry.invalidate(next, &mut self.prng);
                self.push_after(gap, Action::Control(control));
            }
        }
        self.push(Action::Drain);
        let gap = self.gap();
        self.request(gap, next, access);
    }

    pub(super) fn invalidate(&mut self) {
        for _ in 0..self.prng.between(1, 3) {
            let va = self.hot();
            let control = self.registry.invalidate(va, &mut self.prng);
            let gap = self.gap();
            self.push_after(gap, Action::Control(control));
        }
    }

    pub(super) fn mode(&mut self) {
        let mut controls = Vec::new();
        self.registry.leave_paging(&mut self.prng, &mut controls);
        self.push_controls(controls);
        if self.prng.chance(600) {
            self.burst();
        }
        let mode = self.choose_mode();
        self.enter_paging(mode);
        self.change_working_set();
    }

    pub(super) fn non_canonical(&mut self) {
        let va = self.hot() ^ 1 << self.prng.between(47, 63);
        let kind = self.kind();
        let access = self.access(kind);
        self.request(0, va, access);
    }

    pub(super) fn pause(&mut self) {
        if self.prng.chance(500) {
            self.push(Action::Drain);
        } else {
            let cycles = self.during_walk() as u32;
            self.push(Action::Idle { cycles });
        }
    }
}
