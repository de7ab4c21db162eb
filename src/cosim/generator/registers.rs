//! Random control operations: register writes that are legal and ones that are refused, changes of mode, invalidations of every type.
//!
//! Contract: section 9.3. SDM vol. 3A, 4.10.4.1. Counterpart: none.
//!
//! Control operations take effect in program order, so the generator knows what the registers hold when an operation takes effect.

use super::prng::Prng;
use super::world::World;
use crate::arch::registers::{CR3_NO_FLUSH, cr0, cr4, efer};
use crate::arch::{
    Capabilities, GeneralProtection, Invalidation, InvpcidDescriptor, PagingMode, Registers,
};
use crate::cosim::stimulus::{Control, ControlKind};

/// PCIDs in use: few, so that contexts are met again.
const PCIDS: [u64; 4] = [0, 1, 2, 0xfff];

/// `va` of 32-bit paging with bits in its upper half, which that mode ignores.
pub fn with_upper_half(va: u64, prng: &mut Prng) -> u64 {
    let upper = match prng.below(4) {
        // Canonical in every mode.
        0 => prng.bits() & 0x7fff,
        1 => prng.pick(&[1, 0x8000_0000, 0xffff_ffff]),
        _ => prng.bits() & 0xffff_ffff,
    };
    va & 0xffff_ffff | upper << 32
}

/// What the registers hold after the control operations so far.
#[derive(Debug, Clone)]
pub struct Registry {
    registers: Registers,
    capabilities: Capabilities,
}

impl Registry {
    /// The registers after reset.
    pub const fn new(capabilities: Capabilities) -> Self {
        Self {
            registers: Registers::RESET,
            capabilities,
        }
    }

    /// The registers.
    pub const fn get(&self) -> &Registers {
        &self.registers
    }

    /// The mode in which addresses are made: the paging mode, and with paging off that which CR4.LA57 names.
    pub const fn mode(&self) -> PagingMode {
        self.registers.page_mode()
    }

    /// An operation that somebody else has made takes effect, or is refused.
    pub fn follow(&mut self, control: &Control) {
        let _ = self.apply(control);
    }

    /// An operation takes effect, or is refused.
    fn apply(&mut self, control: &Control) -> Result<Invalidation, GeneralProtection> {
        let Control {
            kind,
            data,
            addr,
            invpcid_type,
        } = *control;
        let registers = &mut self.registers;
        match kind {
            ControlKind::MovCr0 => registers.write_cr0(data),
            ControlKind::MovCr3 => registers.write_cr3(data, &self.capabilities),
            ControlKind::MovCr4 => registers.write_cr4(data, &self.capabilities),
            ControlKind::WrmsrEfer => registers.write_efer(data),
            ControlKind::Invlpg => Ok(registers.invlpg(data)),
            ControlKind::Invpcid => registers.invpcid(
                invpcid_type,
                &InvpcidDescriptor {
                    context: data,
                    address: addr,
                },
            ),
        }
    }

    fn push(&mut self, control: Control, out: &mut Vec<Control>) {
        // A write that is refused changes nothing, and is as good an operation as any.
        let _ = self.apply(&control);
        out.push(control);
    }

    fn write(&mut self, kind: ControlKind, value: u64, out: &mut Vec<Control>) {
        self.push(Control::new(kind, value), out);
    }

    /// The writes that lead from the registers as they are into `mode`; into 4-level paging if the machine does not have `mode`.
    pub fn enter_paging(
        &mut self,
        mode: PagingMode,
        world: &World,
        prng: &mut Prng,
        out: &mut Vec<Control>,
    ) {
        self.leave_paging(prng, out);
        self.try_too_early(prng, out);
        let five_level = self.capabilities.five_level;
        let mode = match mode {
            PagingMode::FiveLevel if !five_level => PagingMode::FourLevel,
            mode => mode,
        };
        let (lme, mut chosen) = match mode {
            PagingMode::TwoLevel => (0, 0),
            PagingMode::FiveLevel => (efer::LME, cr4::PAE | cr4::LA57),
            PagingMode::Off | PagingMode::FourLevel => (efer::LME, cr4::PAE),
        };
        if mode == PagingMode::TwoLevel {
            // LA57 has no say there but in INVPCID.
            for (bit, permille) in [
                (cr4::PSE, 750),
                (cr4::LA57, if five_level { 300 } else { 0 }),
            ] {
                if prng.chance(permille) {
                    chosen |= bit;
                }
            }
        }
        for (bit, permille) in [
            (cr4::PGE, 600),
            (cr4::SMEP, 250),
            (cr4::SMAP, 250),
            (cr4::PKE, 500),
        ] {
            if prng.chance(permille) {
                chosen |= bit;
            }
        }
        let nxe = if prng.chance(850) { efer::NXE } else { 0 };
        let wp = if prng.chance(600) { cr0::WP } else { 0 };
        self.write(ControlKind::WrmsrEfer, lme | nxe, out);
        self.write(ControlKind::MovCr4, chosen, out);
        let root = self.root(mode, world, prng);
        self.write(ControlKind::MovCr3, root, out);
        self.write(ControlKind::MovCr0, cr0::PE | cr0::PG | wp, out);
        if mode != PagingMode::TwoLevel && prng.chance(700) {
            self.write(ControlKind::MovCr4, self.registers.cr4() | cr4::PCIDE, out);
            let value = self.cr3(world, prng);
            self.write(ControlKind::MovCr3, value, out);
        }
    }

    /// With paging off: writes that are refused until others have come first.
    fn try_too_early(&mut self, prng: &mut Prng, out: &mut Vec<Control>) {
        if prng.chance(250) {
            self.write(ControlKind::MovCr4, self.registers.cr4() | cr4::PCIDE, out);
        }
        if prng.chance(250) {
            let (efer, cr4) = prng.pick(&[(0, cr4::PAE), (efer::LME, 0)]);
            self.write(ControlKind::WrmsrEfer, efer, out);
            self.write(ControlKind::MovCr4, cr4, out);
            self.write(ControlKind::MovCr0, cr0::PE | cr0::PG, out);
        }
    }

    /// The writes that turn paging off, if it is on.
    pub fn leave_paging(&mut self, prng: &mut Prng, out: &mut Vec<Control>) {
        if !self.registers.paging() {
            return;
        }
        if self.registers.pcide() {
            if prng.chance(200) {
                // Refused while PCIDE = 1.
                self.write(ControlKind::MovCr0, cr0::PE, out);
            }
            self.write(ControlKind::MovCr4, self.registers.cr4() & !cr4::PCIDE, out);
        }
        self.write(ControlKind::MovCr0, self.registers.cr0() & !cr0::PG, out);
    }

    /// A table for CR3 in `mode`; in 32-bit paging at times with bits above it, which that mode ignores.
    fn root(&self, mode: PagingMode, world: &World, prng: &mut Prng) -> u64 {
        let root = world.root(mode, prng);
        if mode == PagingMode::TwoLevel && prng.chance(300) {
            root | prng.bits() << 32 & self.capabilities.maxphyaddr.mask()
        } else {
            root
        }
    }

    /// A value for CR3 that is legal now.
    fn cr3(&self, world: &World, prng: &mut Prng) -> u64 {
        let root = self.root(self.mode(), world, prng);
        if !self.registers.pcide() {
            // PWT and PCD of CR3, and bits without a meaning, are stored.
            return root
                | if prng.chance(100) {
                    prng.below(0x1000)
                } else {
                    0
                };
        }
        let keep = if prng.chance(500) { CR3_NO_FLUSH } else { 0 };
        root | prng.pick(&PCIDS) | keep
    }

    /// A write of CR3: another address space, mostly.
    pub fn switch(&mut self, world: &World, prng: &mut Prng, out: &mut Vec<Control>) {
        let value = self.cr3(world, prng);
        self.write(ControlKind::MovCr3, value, out);
    }

    /// A write of a register with what it holds, but for one bit that seldom matters: an invalidation, mostly, and the same address space after it.
    pub fn rewrite(&mut self, prng: &mut Prng, out: &mut Vec<Control>) {
        let registers = self.registers;
        let keep = if registers.pcide() && prng.chance(500) {
            CR3_NO_FLUSH
        } else {
            0
        };
        match prng.below(5) {
            0 | 1 => self.write(ControlKind::MovCr3, registers.cr3() | keep, out),
            2 => self.write(ControlKind::MovCr4, registers.cr4() ^ cr4::PGE, out),
            3 => self.write(ControlKind::MovCr0, registers.cr0(), out),
            _ => {
                let value = registers.efer() & !efer::LMA;
                self.write(ControlKind::WrmsrEfer, value, out);
            }
        }
    }

    /// A write of CR3 that makes walks begin where no memory stands, or in a table again; with PCIDs the caches may be kept.
    pub fn root_at(&mut self, root: u64, keep: bool, out: &mut Vec<Control>) {
        let low = match self.registers.pcide() {
            true => self.registers.cr3() & 0xfff | if keep { CR3_NO_FLUSH } else { 0 },
            false => 0,
        };
        self.write(ControlKind::MovCr3, root & !0xfff | low, out);
    }

    /// A write that changes one or two bits of CR0, CR4 or EFER and leaves paging as it is.
    pub fn adjust(&mut self, prng: &mut Prng, out: &mut Vec<Control>) {
        if self.mode() == PagingMode::TwoLevel && prng.chance(300) {
            let value = self.registers.cr4() ^ cr4::PSE;
            return self.write(ControlKind::MovCr4, value, out);
        }
        match prng.weighted(&[30, 50, 20]) {
            0 => self.write(ControlKind::MovCr0, self.registers.cr0() ^ cr0::WP, out),
            1 => {
                let bits = [cr4::PGE, cr4::SMEP, cr4::SMAP, cr4::PKE, cr4::PSE];
                // Without long mode LA57 may change too.
                let unbound = [cr4::PSE, cr4::SMEP, cr4::SMAP, cr4::PGE, cr4::LA57];
                let bits = match self.mode() {
                    PagingMode::TwoLevel if prng.chance(600) => unbound,
                    _ => bits,
                };
                let mut value = self.registers.cr4() ^ prng.pick(&bits);
                if prng.chance(250) {
                    value ^= prng.pick(&bits);
                }
                self.write(ControlKind::MovCr4, value, out);
            }
            _ => self.write(
                ControlKind::WrmsrEfer,
                (self.registers.efer() & !efer::LMA) ^ efer::NXE,
                out,
            ),
        }
    }

    /// Turns PCIDE off, or on as the manual wants it: with CR3\[11:0\] = 0 first; sometimes the wrong way, which is refused.
    pub fn toggle_pcide(&mut self, world: &World, prng: &mut Prng, out: &mut Vec<Control>) {
        let value = self.registers.cr4() ^ cr4::PCIDE;
        if value & cr4::PCIDE != 0 && prng.chance(800) {
            let root = world.root(self.mode(), prng);
            self.write(ControlKind::MovCr3, root, out);
        }
        self.write(ControlKind::MovCr4, value, out);
        if value & cr4::PCIDE == 0 && prng.chance(400) {
            // On again with the PCID still in CR3: refused unless it is 0.
            self.write(ControlKind::MovCr4, value | cr4::PCIDE, out);
        }
    }

    /// A register write that is refused in most states, or has bits without a meaning.
    pub fn mischief(&mut self, prng: &mut Prng, out: &mut Vec<Control>) {
        let registers = self.registers;
        let high = 1u64 << prng.between(32, 63);
        let control = match prng.below(12) {
            0 => Control::new(ControlKind::MovCr0, registers.cr0() | high),
            1 => Control::new(ControlKind::MovCr0, registers.cr0() & !cr0::PE),
            2 => Control::new(ControlKind::MovCr3, registers.cr3() | high | 1 << 62),
            3 => Control::new(ControlKind::MovCr4, registers.cr4() ^ cr4::LA57),
            4 => Control::new(ControlKind::MovCr4, registers.cr4() ^ cr4::PAE),
            5 => Control::new(ControlKind::MovCr4, registers.cr4() | high),
            6 => Control::new(ControlKind::WrmsrEfer, registers.efer() ^ efer::LME),
            7 => Control::new(ControlKind::WrmsrEfer, registers.efer() | high),
            8 => Control::new(
                ControlKind::MovCr4,
                registers.cr4() | (prng.bits() & 0xffff_ffff & !cr4::EXISTING),
            ),
            9 => Control::new(ControlKind::MovCr4, registers.cr4() | cr4::PCIDE),
            10 => Control::new(
                ControlKind::MovCr3,
                registers.cr3() | 1 << prng.between(self.capabilities.maxphyaddr.bits().into(), 63),
            ),
            _ => Control::new(
                ControlKind::MovCr0,
                registers.cr0() | (prng.bits() & 0xffff_ffff & !cr0::EXISTING),
            ),
        };
        self.push(control, out);
    }

    /// INVLPG or INVPCID, mostly of `va`; sometimes of another PCID, not canonical, or refused; in 32-bit paging with another upper half, or
    /// of the other half of a 4 MiB page.
    pub fn invalidate(&self, va: u64, prng: &mut Prng) -> Control {
        if self.mode() == PagingMode::TwoLevel {
            return self.invalidate_two_level(va, prng);
        }
        let address = if prng.chance(40) {
            va ^ 1 << prng.between(47, 63)
        } else {
            va
        };
        if prng.chance(500) {
            Control::new(ControlKind::Invlpg, address)
        } else {
            self.invpcid(address, prng)
        }
    }

    fn invalidate_two_level(&self, va: u64, prng: &mut Prng) -> Control {
        let va = if prng.chance(250) { va ^ 1 << 21 } else { va };
        let address = match prng.below(10) {
            0..2 => with_upper_half(va, prng),
            2..5 => va,
            _ => va & 0xffff_ffff,
        };
        if prng.chance(500) {
            return Control::new(ControlKind::Invlpg, address);
        }
        // INVPCID takes a canonical address only, in every mode.
        let canonical = prng.chance(850);
        self.invpcid(
            if canonical {
                address & 0x7fff_ffff_ffff
            } else {
                address
            },
            prng,
        )
    }

    fn invpcid(&self, address: u64, prng: &mut Prng) -> Control {
        let mut invpcid_type = prng.weighted(&[45, 25, 10, 20]) as u64;
        let mut data = match prng.below(3) {
            0 => self.registers.current_pcid().raw().into(),
            _ => prng.pick(&PCIDS),
        };
        if !self.registers.pcide() && prng.chance(700) {
            data = 0;
        }
        if prng.chance(40) {
            data |= 1 << prng.between(12, 63);
        }
        if prng.chance(30) {
            invpcid_type = prng.pick(&[4, 5, 1 << 32, 1 << 63, u64::MAX]);
        }
        Control {
            kind: ControlKind::Invpcid,
            data,
            addr: address,
            invpcid_type,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// Every reason that a control operation can be refused for, and every invalidation, occurs within a stream of usual length.
    #[test]
    fn every_general_protection_and_every_invalidation_occurs() {
        use crate::cosim::generator::RandomStream;
        use crate::cosim::stimulus::{Action, OperationSource};
        use std::collections::BTreeMap;

        let config = Config::default();
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for stream in 0..4 {
            let mut generator = RandomStream::new(&config, 1, stream, 50_000).generator;
            let mut registry = Registry::new(config.arch_capabilities());
            while let Some(operation) = generator.next_operation() {
                if let Action::Control(control) = operation.action {
                    let name = match registry.apply(&control) {
                        Ok(invalidation) => format!("{} {:?}", control.kind.name(), invalidation),
                        Err(refusal) => format!("{refusal:?}"),
                    };
                    let name = name
                        .split(['{', '('])
                        .next()
                        .unwrap_or_default()
                        .trim()
                        .to_owned();
                    *seen.entry(name).or_insert(0) += 1;
                }
            }
        }
        for name in [
            "UpperHalf",
            "PagingWithoutProtection",
            "UnsupportedPaging",
            "PcideOutsideLongMode",
            "PagingOffWithPcide",
            "Cr3Reserved",
            "La57Change",
            "PaeChange",
            "PcideWithCr3Low",
            "LmeChange",
            "InvpcidType",
            "InvpcidReserved",
            "InvpcidPcid",
            "InvpcidNonCanonical",
            "cr0 All",
            "cr3 Context",
            "cr3 None",
            "cr4 All",
            "cr4 Context",
            "efer All",
            "invlpg Page",
            "invlpg None",
            "invpcid Page",
            "invpcid Context",
            "invpcid All",
            "invpcid AllNonGlobal",
        ] {
            assert!(
                seen.get(name).is_some_and(|count| *count >= 4),
                "{name}: {seen:#?}"
            );
        }
    }

    /// What 32-bit paging is there for: each of these happens to the registers while it is in force.
    #[test]
    fn in_32_bit_paging_every_bit_changes_and_what_it_refuses_is_tried() {
        let config = Config::default();
        let mut prng = Prng::new(5, 0);
        let world = World::new(&config, &mut prng);
        let mut registry = Registry::new(config.arch_capabilities());
        let mut seen = std::collections::BTreeMap::<String, u32>::new();
        for _ in 0..300 {
            let mut out = Vec::new();
            registry.enter_paging(PagingMode::TwoLevel, &world, &mut prng, &mut out);
            let mut state = registry.clone();
            out.clear();
            for _ in 0..10 {
                registry.mischief(&mut prng, &mut out);
                registry.adjust(&mut prng, &mut out);
                registry.toggle_pcide(&world, &mut prng, &mut out);
                registry.switch(&world, &mut prng, &mut out);
                let va = world.address(&mut prng).in_mode(PagingMode::TwoLevel);
                for _ in 0..5 {
                    out.push(registry.invalidate(va, &mut prng));
                }
            }
            for control in out {
                let before = *state.get();
                let name = match state.apply(&control) {
                    Err(refusal) => format!("{refusal:?}"),
                    Ok(_) if before.cr4() != state.get().cr4() => {
                        format!("cr4 {:#x}", before.cr4() ^ state.get().cr4())
                    }
                    Ok(_) if before.efer() != state.get().efer() => "efer".to_owned(),
                    Ok(_) if state.get().cr3() >> 32 != 0 && before != *state.get() => {
                        "cr3 above 4 GiB".to_owned()
                    }
                    Ok(_) => match control.kind {
                        ControlKind::Invlpg if control.data >> 32 != 0 => "invlpg, upper half",
                        ControlKind::Invpcid if control.addr >> 32 != 0 => "invpcid, upper half",
                        _ => "other",
                    }
                    .to_owned(),
                };
                assert_eq!(state.mode(), PagingMode::TwoLevel, "{name}");
                *seen.entry(name).or_insert(0) += 1;
            }
        }
        for name in [
            "PaeChange",
            "LmeChange",
            "PcideOutsideLongMode",
            "Cr3Reserved",
            "InvpcidNonCanonical",
            "cr4 0x10",
            "cr4 0x80",
            "cr4 0x1000",
            "cr4 0x100000",
            "cr4 0x200000",
            "cr4 0x400000",
            "efer",
            "cr3 above 4 GiB",
            "invlpg, upper half",
            "invpcid, upper half",
        ] {
            assert!(
                seen.get(name).is_some_and(|n| *n >= 20),
                "{name}: {seen:#?}"
            );
        }
    }

    #[test]
    fn paging_is_entered_from_any_state_and_left_again() {
        let config = Config::default();
        let mut prng = Prng::new(2, 0);
        let world = World::new(&config, &mut prng);
        let mut registry = Registry::new(config.arch_capabilities());
        let mut out = Vec::new();
        let modes = [
            PagingMode::FourLevel,
            PagingMode::FiveLevel,
            PagingMode::TwoLevel,
            PagingMode::FiveLevel,
            PagingMode::FourLevel,
            PagingMode::TwoLevel,
            PagingMode::TwoLevel,
        ];
        for round in 0..420 {
            let mode = modes[round % modes.len()];
            registry.enter_paging(mode, &world, &mut prng, &mut out);
            assert_eq!(registry.get().paging_mode(), mode);
            for _ in 0..5 {
                registry.mischief(&mut prng, &mut out);
                registry.adjust(&mut prng, &mut out);
                registry.toggle_pcide(&world, &mut prng, &mut out);
                registry.switch(&world, &mut prng, &mut out);
            }
        }
        registry.leave_paging(&mut prng, &mut out);
        assert!(!registry.get().paging());
    }
}
