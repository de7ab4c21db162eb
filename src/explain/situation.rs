//! What decides an access besides its entries: control bits, privilege, and the way into that state.
//!
//! Contract: 9.3 (registers), 11 (rights). SDM vol. 3A, 2.5, 4.1 and 4.6. Counterpart: none.

use serde::Serialize;

use super::{ExplainError, Hex, number, parts};
use crate::arch::registers::{cr0, cr4, efer};
use crate::arch::{Access, AccessKind, Capabilities, GeneralProtection, PagingMode, Registers};
use crate::model::Operation;
use crate::model::mmu_pkg::{CTRL_MOV_CR0, CTRL_MOV_CR3, CTRL_MOV_CR4, CTRL_WRMSR_EFER};

/// The option that the control bits stand in.
const OPTION: &str = "--cr";

/// A name of [`CONTROLS`]: what it is, what it is at first, the most that it can be.
#[derive(Debug, Clone, Copy)]
pub struct Control {
    /// How the option names it.
    pub name: &'static str,
    /// Where it stands.
    pub place: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Its value unless another is given.
    pub default: u64,
    /// The greatest value.
    pub max: u64,
}

const fn control(
    name: &'static str,
    place: &'static str,
    default: u64,
    max: u64,
    about: &'static str,
) -> Control {
    Control {
        name,
        place,
        about,
        default,
        max,
    }
}

/// Everything that `--cr` can give.
pub const CONTROLS: [Control; 12] = [
    control("pg", "CR0.PG", 1, 1, "paging"),
    control("wp", "CR0.WP", 1, 1, "R/W binds supervisor writes too"),
    control("pse", "CR4.PSE", 1, 1, "4 MiB pages in 32-bit paging"),
    control("pge", "CR4.PGE", 1, 1, "global pages"),
    control(
        "smep",
        "CR4.SMEP",
        0,
        1,
        "no supervisor fetch from user pages",
    ),
    control(
        "smap",
        "CR4.SMAP",
        0,
        1,
        "no supervisor data access to user pages",
    ),
    control(
        "pke",
        "CR4.PKE",
        1,
        1,
        "protection keys of user pages count",
    ),
    control("nxe", "EFER.NXE", 1, 1, "XD counts, and is not reserved"),
    control(
        "pkru",
        "PKRU",
        0,
        0xffff_ffff,
        "bit 2k: no access, bit 2k+1: no write, to pages of key k",
    ),
    control("ac", "EFLAGS.AC", 0, 1, "suspends SMAP"),
    control(
        "implicit",
        "access",
        0,
        1,
        "an implicit supervisor access, as to a descriptor table",
    ),
    control(
        "pcid",
        "CR3[11:0]",
        0,
        0xfff,
        "the PCID; CR4.PCIDE is set with it",
    ),
];

/// Control bits as they were given, or as they are at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controls {
    values: [u64; CONTROLS.len()],
}

impl Default for Controls {
    fn default() -> Self {
        Self {
            values: CONTROLS.map(|control| control.default),
        }
    }
}

impl Controls {
    /// Takes over what `text` gives: `NAME=VALUE`, separated by commas.
    ///
    /// # Errors
    /// What is wrong, at which character, and what is allowed.
    pub fn read(&mut self, text: &str) -> Result<(), ExplainError> {
        for (place, part) in parts(text, 1) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let found = CONTROLS.iter().position(|control| control.name == name);
            let index = found.ok_or_else(|| {
                let names = CONTROLS.map(|control| control.name).join(", ");
                let problem = format!("{name:?} is no control bit");
                let remedy = format!("give NAME=VALUE, names are {names}");
                ExplainError::at(OPTION, text, place, problem, remedy)
            })?;
            let value_place = place + name.chars().count() + 1;
            let value = number(OPTION, text, value_place, value)?;
            let max = CONTROLS[index].max;
            if value > max {
                let problem = format!("{name}={value:#x} does not fit");
                let remedy = format!("{name} is 0 to {max:#x}");
                return Err(ExplainError::at(OPTION, text, value_place, problem, remedy));
            }
            self.values[index] = value;
        }
        Ok(())
    }

    /// The value of that name; 0 of one that there is not.
    pub fn get(&self, name: &str) -> u64 {
        let found = CONTROLS.iter().position(|control| control.name == name);
        found.map_or(0, |index| self.values[index])
    }

    fn is_set(&self, name: &str) -> bool {
        self.get(name) != 0
    }

    /// An access of `kind` at privilege level `cpl`.
    pub fn access(&self, kind: AccessKind, cpl: u8) -> Access {
        Access {
            ac: self.is_set("ac"),
            implicit_supervisor: self.is_set("implicit"),
            pkru: self.get("pkru") as u32,
            ..Access::new(kind, cpl)
        }
    }

    /// The operations that bring a machine out of reset into this state, in `mode`, with the root table at `root`.
    pub fn boot(&self, mode: PagingMode, root: u64) -> Vec<Operation> {
        let bit = |name, mask| if self.is_set(name) { mask } else { 0 };
        // PAE and LME go together: 32-bit paging is what there is without them.
        let (lme, of_mode) = match mode {
            PagingMode::Off | PagingMode::TwoLevel => (0, 0),
            PagingMode::FourLevel => (efer::LME, cr4::PAE),
            PagingMode::FiveLevel => (efer::LME, cr4::PAE | cr4::LA57),
        };
        let cr4 = of_mode
            | bit("pse", cr4::PSE)
            | bit("pge", cr4::PGE)
            | bit("smep", cr4::SMEP)
            | bit("smap", cr4::SMAP)
            | bit("pke", cr4::PKE);
        let mut operations = vec![
            Operation::new(CTRL_WRMSR_EFER, lme | bit("nxe", efer::NXE)),
            Operation::new(CTRL_MOV_CR4, cr4),
            Operation::new(CTRL_MOV_CR3, root),
            Operation::new(
                CTRL_MOV_CR0,
                cr0::PE | bit("wp", cr0::WP) | bit("pg", cr0::PG),
            ),
        ];
        if self.is_set("pcid") {
            operations.push(Operation::new(CTRL_MOV_CR4, cr4 | cr4::PCIDE));
            operations.push(Operation::new(CTRL_MOV_CR3, root | self.get("pcid")));
        }
        operations
    }
}

/// The registers after `operations`, which are writes to registers, from reset on.
///
/// # Errors
/// The machine refuses one of them: which, and why.
pub fn registers(
    operations: &[Operation],
    capabilities: &Capabilities,
) -> Result<Registers, ExplainError> {
    let mut registers = Registers::RESET;
    for operation in operations {
        let value = operation.data;
        let (name, written) = match operation.op {
            CTRL_MOV_CR0 => ("MOV CR0", registers.write_cr0(value)),
            CTRL_MOV_CR3 => ("MOV CR3", registers.write_cr3(value, capabilities)),
            CTRL_MOV_CR4 => ("MOV CR4", registers.write_cr4(value, capabilities)),
            _ => ("WRMSR EFER", registers.write_efer(value)),
        };
        written.map_err(|reason| refused(name, value, reason))?;
    }
    Ok(registers)
}

fn refused(name: &str, value: u64, reason: GeneralProtection) -> ExplainError {
    let remedy = match reason {
        GeneralProtection::La57Unsupported => {
            "give --mode 48, or --set capabilities.five_level=true"
        }
        GeneralProtection::PcideOutsideLongMode => {
            "leave out pcid, or give pg=1 and --mode 48 or 57"
        }
        GeneralProtection::Cr3Reserved => "map fewer pages, or raise capabilities.maxphyaddr_bits",
        _ => "give other bits to --cr",
    };
    ExplainError::new(
        format_args!("{name} with {value:#x}"),
        format_args!("#GP, because {reason}"),
        remedy,
    )
}

/// Registers and access, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Situation {
    /// CR0, CR3, CR4 and EFER as they read.
    pub cr0: Hex,
    /// CR3.
    pub cr3: Hex,
    /// CR4.
    pub cr4: Hex,
    /// EFER.
    pub efer: Hex,
    /// Names of the bits of CR0, CR4 and EFER that are set, of those that bear on paging.
    pub set: Vec<&'static str>,
    /// The current PCID.
    pub pcid: u16,
}

impl Situation {
    /// What `registers` hold.
    pub fn of(registers: &Registers) -> Self {
        let bits = [
            ("CR0.PG", registers.cr0() & cr0::PG),
            ("CR0.WP", registers.cr0() & cr0::WP),
            ("CR4.PSE", registers.cr4() & cr4::PSE),
            ("CR4.PAE", registers.cr4() & cr4::PAE),
            ("CR4.PGE", registers.cr4() & cr4::PGE),
            ("CR4.LA57", registers.cr4() & cr4::LA57),
            ("CR4.PCIDE", registers.cr4() & cr4::PCIDE),
            ("CR4.SMEP", registers.cr4() & cr4::SMEP),
            ("CR4.SMAP", registers.cr4() & cr4::SMAP),
            ("CR4.PKE", registers.cr4() & cr4::PKE),
            ("EFER.LMA", registers.efer() & efer::LMA),
            ("EFER.NXE", registers.efer() & efer::NXE),
        ];
        let set = bits.iter().filter(|(_, value)| *value != 0);
        Self {
            cr0: Hex(registers.cr0()),
            cr3: Hex(registers.cr3()),
            cr4: Hex(registers.cr4()),
            efer: Hex(registers.efer()),
            set: set.map(|(name, _)| *name).collect(),
            pcid: registers.current_pcid().raw(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;
    use crate::explain::split::mode_of;

    fn after(text: &str, bits: u32) -> Result<Registers, ExplainError> {
        let mut controls = Controls::default();
        controls.read(text)?;
        let mode = mode_of(bits).expect("there is one");
        let capabilities = Config::default().arch_capabilities();
        registers(&controls.boot(mode, 0x1000), &capabilities)
    }

    #[test]
    fn each_control_bit_acts() {
        let plain = after("wp=1", 48).expect("it is allowed");
        let mut controls = Controls::default();
        let access = controls.access(AccessKind::Read, 0);
        for control in CONTROLS {
            let other = if control.default == 0 { control.max } else { 0 };
            let text = format!("{}={other}", control.name);
            let changed = after(&text, 48).expect("it is allowed") != plain;
            controls = Controls::default();
            controls.read(&text).expect("it is right");
            let concerns_access = controls.access(AccessKind::Read, 0) != access;
            assert!(changed != concerns_access, "{text}");
        }
    }

    #[test]
    fn in_32_bit_paging_pke_and_nxe_are_set_and_without_effect() {
        let registers = after("wp=1", 32).expect("it is allowed");
        assert_eq!(registers.paging_mode(), PagingMode::TwoLevel);
        assert!(registers.pke() && !registers.protection_keys());
        assert!(registers.nxe() && !registers.reports_fetch());
        let error = after("pcid=5", 32).expect_err("PCIDE needs long mode");
        assert!(error.remedy.contains("--mode 48 or 57"), "{error:?}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, place, problem) in [
            ("wpp=1", 1, "\"wpp\" is no control bit"),
            ("wp=1,smep", 11, "a digit is missing"),
            ("wp=2", 4, "wp=0x2 does not fit"),
            ("wp=1,,smep=1", 6, "\"\" is no control bit"),
            ("pkru=0x1ffffffff", 6, "does not fit"),
        ] {
            let error = Controls::default().read(text).expect_err(text);
            assert!(
                error.place.ends_with(&format!("character {place}")),
                "{error}"
            );
            assert!(error.problem.contains(problem), "{error}");
        }
        let error = after("pcid=5,pg=0", 48).expect_err("PCIDE needs long mode");
        assert!(error.problem.contains("#GP"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}", tail in "[a-z]{0,5}=?[0-9x,=]{0,9}") {
            let _ = Controls::default().read(&text);
            let _ = Controls::default().read(&tail);
        }
    }
}
