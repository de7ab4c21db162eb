//! Steered scenes: they bring one page and everything that caches it into a known state, change it under the machine's feet, and ask for it.
//!
//! Contract: 6 to 9. SDM vol. 3A, 4.6 to 4.10. Counterpart: none; `cosim::coverage` has the cells that they are made for.
//!
//! Random operations seldom bring together what each cell needs: a cached path, an entry that faults at a chosen level behind it, and an access
//! that cares. Each choice here is still random; the scenes only make the choices meet.

use super::Generator;
use super::world::Place;
use super::world::open::Damage;
use crate::arch::{Access, AccessKind, PagingMode};
use crate::cosim::stimulus::{Action, Control, ControlKind};

impl Generator {
    /// From now on so many of 1000 scenes are steered.
    pub(super) fn steer(&mut self, permille: u64) {
        self.temper.steered_permille = permille;
    }

    pub(super) fn steered_scene(&mut self) {
        match self.prng.weighted(&[35, 15, 10, 7, 4, 4, 3, 30]) {
            0 => self.one_page(),
            1 => self.prefetch_met(),
            2 => self.walks_met(),
            3 => self.controls(|registry, _, prng, out| registry.adjust(prng, out)),
            4 => self.outside(),
            5 => self.controls(|registry, world, prng, out| registry.switch(world, prng, out)),
            6 => self.other_mode(),
            _ => self.behind_caches(),
        }
    }

    /// Paging off, some requests, a refused or an idle operation, and paging in any mode.
    fn other_mode(&mut self) {
        let mut controls = Vec::new();
        self.registry.leave_paging(&mut self.prng, &mut controls);
        self.push_controls(controls);
        for _ in 0..self.prng.between(1, 9) {
            let va = self.hot();
            let access = self.any_access();
            self.request(0, va, access);
        }
        for _ in 0..self.prng.below(4) {
            self.any_control();
        }
        let mode = self.prng.pick(&[
            PagingMode::TwoLevel,
            PagingMode::FourLevel,
            PagingMode::FiveLevel,
        ]);
        self.enter_paging(mode);
        self.change_working_set();
    }

    /// Any operation of control, mostly one that changes little.
    fn any_control(&mut self) {
        let va = self.hot();
        let gap = self.prng.pick(&[0, 0, 1, 5]);
        match self.prng.below(5) {
            0 => self.controls(|registry, _, prng, out| registry.mischief(prng, out)),
            4 => {
                // Refused: reserved bits of the descriptor, or a type that there is not.
                let control = Control {
                    kind: ControlKind::Invpcid,
                    data: 1 << self.prng.between(12, 63),
                    addr: va,
                    invpcid_type: self.prng.below(5),
                };
                self.push_after(gap, Action::Control(control));
            }
            1 => self.controls(|registry, _, prng, out| registry.rewrite(prng, out)),
            _ => {
                let control = self.forget(va);
                self.push_after(gap, Action::Control(control));
            }
        }
    }

    /// INVLPG or INVPCID of any type, mostly of the address and the current PCID, each about as often.
    fn forget(&mut self, va: u64) -> Control {
        if self.prng.chance(150) {
            return self.registry.invalidate(va, &mut self.prng);
        }
        let pcid: u64 = self.registry.get().current_pcid().raw().into();
        match self.prng.below(5) {
            0 => Control::new(ControlKind::Invlpg, va),
            invpcid_type => Control {
                kind: ControlKind::Invpcid,
                data: pcid,
                addr: va,
                invpcid_type: invpcid_type - 1,
            },
        }
    }

    /// Any kind and privilege, each as often.
    fn any_access(&mut self) -> Access {
        let kind = self
            .prng
            .pick(&[AccessKind::Read, AccessKind::Write, AccessKind::Fetch]);
        let privilege = self.prng.below(3);
        Access {
            kind,
            cpl: match privilege {
                0 => 3,
                1 => self.prng.below(3) as u8,
                _ => self.prng.below(4) as u8,
            },
            ac: self.prng.chance(500),
            implicit_supervisor: privilege == 2,
            pkru: self.prng.pick(&[0, 0, 0, 0x4, 0x8, 0xc, 0x5555_5555]),
        }
    }

    /// A path to `va` with a leaf at a level that is drawn; the places of its entries, if it has any.
    fn lay_out(&mut self, va: u64) -> Vec<Place> {
        let leaf = self.prng.weighted(&[0, 45, 30, 25]) as u8;
        let registers = *self.registry.get();
        let (places, stores) = self.world.open_path(&registers, va, leaf, &mut self.prng);
        for store in stores {
            self.push(store);
        }
        places
    }

    /// Something is done to an entry of a path, mostly to its leaf.
    fn damage(&mut self, path: &[Place], gap_cycles: u64) {
        let place = if self.prng.chance(500) {
            path[path.len() - 1]
        } else {
            self.prng.pick(path)
        };
        let damage = self.prng.pick(&Damage::ALL);
        if let Some(store) = self.world.damage(place, damage, &mut self.prng) {
            self.push_after(gap_cycles, store);
        }
    }

    /// An access that opens what it finds: it is allowed wherever rights are, and leaves the page in the caches that it goes through.
    fn opening(&mut self) -> Access {
        let kind = self.prng.pick(&[
            AccessKind::Read,
            AccessKind::Read,
            AccessKind::Write,
            AccessKind::Fetch,
        ]);
        // A supervisor's fetch of a user page meets SMEP, a user's access of a supervisor page U/S.
        let user = self.prng.chance(600);
        Access {
            kind,
            cpl: if user { 3 } else { 0 },
            ac: true,
            implicit_supervisor: false,
            pkru: 0,
        }
    }

    /// One page: its path, the caches, a change, and the access.
    fn one_page(&mut self) {
        let va = self.hot();
        let path = self.lay_out(va);
        let Some(leaf) = path.last().copied() else {
            return self.controls(|registry, world, prng, out| registry.switch(world, prng, out));
        };
        if self.prng.chance(250) {
            // What is cached is what was changed before.
            self.damage(&path, 0);
        }
        if self.prng.chance(800) {
            let control = self.forget(va);
            self.push(Action::Control(control));
        }
        self.warm(va, leaf);
        let before: Vec<(Place, u64)> = path
            .iter()
            .map(|place| (*place, self.world.held(*place)))
            .collect();
        for _ in 0..self.prng.weighted(&[30, 50, 20]) {
            self.damage(&path, 0);
        }
        let access = self.any_access();
        self.request(0, va, access);
        if self.prng.chance(300) {
            // Another that waits for it, of the same kind mostly.
            let mut other = self.any_access();
            if self.prng.chance(600) {
                (other.kind, other.cpl) = (access.kind, access.cpl);
                other.implicit_supervisor = access.implicit_supervisor;
            }
            self.request(0, va, other);
        }
        if self.prng.chance(400) {
            // Changed again, or back, while it is walked: what the walk met first is not what it meets from CR3.
            let gap = self.prng.below(6 * self.temper.access_cycles + 8);
            if self.prng.chance(700) {
                self.restore(&before, gap);
            } else {
                self.damage(&path, gap);
            }
        }
        if self.prng.chance(250) {
            let gap = self.during_walk();
            let control = self.forget(va);
            self.push_after(gap, Action::Control(control));
        }
        if self.prng.chance(500) {
            self.push(Action::Drain);
        }
    }

    /// Stores what the entries held, where that has changed.
    fn restore(&mut self, before: &[(Place, u64)], gap_cycles: u64) {
        for (place, held) in before {
            if self.world.held(*place) != *held
                && let Some(store) = self.world.restore(*place, *held)
            {
                self.push_after(gap_cycles, store);
            }
        }
    }

    /// Fills caches: none, those of the path alone, those of the page, or the page by one kind of access and not by another.
    fn warm(&mut self, va: u64, leaf: Place) {
        match self.prng.weighted(&[20, 30, 50]) {
            0 => {}
            1 => {
                if let Some(store) = self.world.open_beside(leaf, &mut self.prng) {
                    self.push(store);
                }
                let access = self.opening();
                self.request(0, va ^ leaf.page_bytes(), access);
            }
            _ => {
                let access = self.opening();
                self.request(0, va, access);
                if self.prng.chance(300) {
                    // Others push it out of the first level, mostly not out of the STLB.
                    for _ in 0..self.prng.between(1, 12) {
                        let other = self.hot();
                        let access = self.opening();
                        self.request(0, other, access);
                    }
                }
            }
        }
        if self.prng.chance(850) {
            self.push(Action::Drain);
        }
    }

    /// A page that the caches know, or the path to it, and above it something that only a walk from CR3 meets.
    fn behind_caches(&mut self) {
        let va = self.hot();
        let path = self.lay_out(va);
        let Some(leaf) = path.last().copied() else {
            return self.controls(|registry, world, prng, out| registry.switch(world, prng, out));
        };
        self.push(Action::Control(Control::new(ControlKind::Invlpg, va)));
        let mut access = self.any_access();
        let of_page = self.prng.chance(550);
        if of_page {
            self.cache_page(va, leaf, &mut access);
        } else {
            if let Some(store) = self.world.open_beside(leaf, &mut self.prng) {
                self.push(store);
            }
            let opening = self.opening();
            self.request(0, va ^ leaf.page_bytes(), opening);
        }
        self.push(Action::Drain);
        let before: Vec<(Place, u64)> = path
            .iter()
            .map(|place| (*place, self.world.held(*place)))
            .collect();
        let place = self.prng.pick(&path);
        let damage = self
            .prng
            .pick(&[Damage::Absent, Damage::Reserved, Damage::Outside]);
        let root = self.registry.get().root_table().raw();
        let mut controls = Vec::new();
        match self.prng.weighted(&[60, 12, 13, 15]) {
            0 => {
                let store = self.world.damage(place, damage, &mut self.prng);
                store.into_iter().for_each(|store| self.push(store));
            }
            1 => {
                // A page in the place of a table.
                let store = self.world.open_leaf(place, &mut self.prng);
                store.into_iter().for_each(|store| self.push(store));
            }
            2 => {
                let nowhere = self.world.nowhere(self.registry.mode(), &mut self.prng);
                self.registry.root_at(nowhere, true, &mut controls);
            }
            _ => {}
        }
        let moved = !controls.is_empty();
        self.push_controls(controls);
        if !of_page && place != leaf {
            // What is met through the cache fails, so that the walk begins again.
            let store = self.world.damage(leaf, Damage::Absent, &mut self.prng);
            store.into_iter().for_each(|store| self.push(store));
        }
        if access.kind == AccessKind::Write && self.prng.chance(400) {
            // Rights that go, or come, behind a hit with D clear.
            let damage = self
                .prng
                .pick(&[Damage::Key, Damage::ReadOnly, Damage::Supervisor]);
            let store = match self.prng.chance(700) {
                true => self.world.damage(leaf, damage, &mut self.prng),
                false => self.world.open_leaf(leaf, &mut self.prng),
            };
            store.into_iter().for_each(|store| self.push(store));
        }
        self.request(0, va, access);
        if self.prng.chance(350) {
            let [_, due] = self.temper.stlb_result_cycles;
            let walk = path.len() as u64 * (self.temper.access_cycles + 1);
            let gap = due + self.prng.below(walk + 4);
            self.restore(&before, gap);
        }
        if self.prng.chance(700) || moved {
            self.push(Action::Drain);
        }
        if moved {
            let mut controls = Vec::new();
            self.registry.root_at(root, true, &mut controls);
            self.push_controls(controls);
        }
    }

    /// Brings a page into the TLBs so that `access`, which may be changed for it, hits and is denied there or finds D clear.
    fn cache_page(&mut self, va: u64, leaf: Place, access: &mut Access) {
        let fetch = access.kind == AccessKind::Fetch;
        let user = access.cpl == 3 && !access.implicit_supervisor;
        let damage = match access.kind {
            AccessKind::Write => self
                .prng
                .pick(&[Damage::ReadOnly, Damage::Clean, Damage::Key]),
            AccessKind::Fetch => Damage::NotExecutable,
            _ => Damage::Key,
        };
        let damage = match user {
            true if self.prng.chance(500) => Damage::Supervisor,
            _ => damage,
        };
        let store = self.world.damage(leaf, damage, &mut self.prng);
        store.into_iter().for_each(|store| self.push(store));
        if damage == Damage::Clean && !user && self.prng.chance(600) {
            let store = self.world.damage(leaf, Damage::Supervisor, &mut self.prng);
            store.into_iter().for_each(|store| self.push(store));
            access.ac = self.prng.chance(400);
            access.pkru = self.prng.pick(&[0, 0x4, 0xc]);
            let warm = Access {
                kind: AccessKind::Read,
                cpl: 0,
                ac: true,
                implicit_supervisor: false,
                pkru: 0,
            };
            return self.request(0, va, warm);
        }
        if damage == Damage::Key {
            access.pkru = self.prng.pick(&[0x5555_5554, 0xaaaa_aaa8, 0x4]);
        }
        // With SMEP or SMAP a supervisor is denied what a user may.
        let warm = Access {
            kind: match fetch && damage != Damage::NotExecutable {
                true => AccessKind::Fetch,
                false => AccessKind::Read,
            },
            cpl: if damage == Damage::Supervisor { 0 } else { 3 },
            ac: true,
            implicit_supervisor: false,
            pkru: 0,
        };
        self.request(0, va, warm);
    }

    /// Walks begin where no memory stands, while caches may still know better.
    fn outside(&mut self) {
        let va = self.hot();
        let path = self.lay_out(va);
        let root = self.registry.get().root_table().raw();
        let Some(leaf) = path.last().copied() else {
            return self.controls(|registry, world, prng, out| registry.switch(world, prng, out));
        };
        self.warm(va, leaf);
        let nowhere = self.world.nowhere(self.registry.mode(), &mut self.prng);
        let mut controls = Vec::new();
        self.registry.root_at(nowhere, false, &mut controls);
        self.push_controls(controls);
        for _ in 0..self.prng.between(1, 4) {
            let access = self.any_access();
            self.request(0, va, access);
        }
        let mut controls = Vec::new();
        self.registry.root_at(root, false, &mut controls);
        self.push_controls(controls);
    }

    /// Two pages that follow each other; something meets the prefetch of the second.
    fn prefetch_met(&mut self) {
        let mut va = self.hot();
        let mode = self.registry.mode();
        // The last page of a table, so that the next one has another path from a level on that is drawn.
        let levels = mode.spec().levels;
        let upto = self.prng.weighted(&[2, 2, 2, 3, 4][..levels.len().max(1)]);
        for row in levels.iter().rev().take(upto) {
            let index = ((1u64 << row.index_bits) - 1) << row.index_shift;
            va |= index;
        }
        let first = self.lay_out(va);
        let Some(leaf) = first.last().copied() else {
            return self.controls(|registry, world, prng, out| registry.switch(world, prng, out));
        };
        let bytes = leaf.page_bytes();
        let next = (va & !(bytes - 1)).wrapping_add(bytes);
        let second = self.lay_out(next);
        if self.prng.chance(600) {
            let control = self.forget(va);
            self.push(Action::Control(control));
        }
        for page in [next, va] {
            self.push(Action::Control(Control::new(ControlKind::Invlpg, page)));
        }
        if !second.is_empty() && self.prng.chance(500) {
            self.damage(&second, 0);
        }
        self.push(Action::Drain);
        let access = Access {
            kind: AccessKind::Read,
            cpl: 3,
            ac: true,
            implicit_supervisor: false,
            pkru: 0,
        };
        self.request(0, va, access);
        match self.prng.below(4) {
            0 => {}
            1 => {
                let gap = self.prng.below(14 * self.temper.access_cycles);
                let control = self.forget(next);
                self.push_after(gap, Action::Control(control));
            }
            2 => {
                let gap = self.prng.below(14 * self.temper.access_cycles);
                let mut controls = Vec::new();
                self.registry.rewrite(&mut self.prng, &mut controls);
                for control in controls {
                    self.push_after(gap, Action::Control(control));
                }
            }
            _ => {
                // A miss of another page, or a fault, whose drop meets it.
                let gap = self.prng.below(10 * self.temper.access_cycles);
                let other = self.hot();
                let access = self.any_access();
                self.request(gap, other, access);
            }
        }
        if self.prng.chance(700) {
            self.push(Action::Drain);
        }
    }

    /// Several walks at once, with A and D to set, and an invalidation that meets them.
    fn walks_met(&mut self) {
        let mut pages = Vec::new();
        for _ in 0..self.prng.between(1, 3) {
            let va = self.hot();
            let path = self.lay_out(va);
            for place in path {
                if self.prng.chance(600)
                    && let Some(store) = self.world.clear_accessed_dirty(place)
                {
                    self.push(store);
                }
            }
            pages.push(va);
        }
        let control = Control {
            kind: ControlKind::Invpcid,
            data: 0,
            addr: 0,
            invpcid_type: 2,
        };
        self.push(Action::Control(control));
        self.push(Action::Drain);
        for va in &pages {
            let access = self.any_access();
            let gap = self.prng.pick(&[0, 0, 1, 3]);
            self.request(gap, *va, access);
            if self.prng.chance(300) {
                let again = self.any_access();
                self.request(0, *va, again);
            }
            if self.prng.chance(100) {
                self.non_canonical();
            }
        }
        for _ in 0..self.prng.between(1, 2) {
            let gap = self.prng.below(12 * self.temper.access_cycles);
            let control = self.forget(pages[0]);
            self.push_after(gap, Action::Control(control));
        }
    }
}
