//! CR0, CR3, CR4 and EFER as far as they bear on paging: writes, the #GP that they may raise, and the flush that each implies.
//!
//! Contract: 4.3 (current PCID), 9.3 (registers, operations). SDM vol. 3A, 2.5 (control registers), 4.1 (mode switching), 4.10.4.1 (flushes);
//! vol. 2, MOV to control registers, INVLPG, INVPCID.
//! Counterpart: `rtl/mmu.sv` (the control port).

use super::address::{Capabilities, PhysicalAddress, VirtualAddress};
use super::entry::EntryRules;
use super::fault::GeneralProtection;
use super::invalidation::{Invalidation, InvpcidDescriptor, Pcid};
use super::mode::PagingMode;

/// Masks of the bits of CR0 that exist.
pub mod cr0 {
    /// Protection enable.
    pub const PE: u64 = 1 << 0;
    /// Write protect: R/W and PKRU.WD bind supervisor writes too.
    pub const WP: u64 = 1 << 16;
    /// Paging.
    pub const PG: u64 = 1 << 31;
    /// All of them; any other bit below 32 is ignored and reads as 0.
    pub const EXISTING: u64 = PE | WP | PG;
}

/// Masks of the bits of CR4 that exist.
pub mod cr4 {
    /// Page-size extensions: 4 MiB pages in 32-bit paging; without effect in 4-level and 5-level paging.
    pub const PSE: u64 = 1 << 4;
    /// Physical-address extension.
    pub const PAE: u64 = 1 << 5;
    /// Global pages.
    pub const PGE: u64 = 1 << 7;
    /// 57-bit linear addresses.
    pub const LA57: u64 = 1 << 12;
    /// Process-context identifiers.
    pub const PCIDE: u64 = 1 << 17;
    /// Supervisor-mode execution prevention.
    pub const SMEP: u64 = 1 << 20;
    /// Supervisor-mode access prevention.
    pub const SMAP: u64 = 1 << 21;
    /// Protection keys for user pages.
    pub const PKE: u64 = 1 << 22;
    /// All of them; any other bit below 32 is ignored and reads as 0.
    pub const EXISTING: u64 = PSE | PAE | PGE | LA57 | PCIDE | SMEP | SMAP | PKE;
}

/// Masks of the bits of EFER that exist.
pub mod efer {
    /// IA-32e mode enable.
    pub const LME: u64 = 1 << 8;
    /// IA-32e mode active: LME and CR0.PG, computed; a write to it is ignored.
    pub const LMA: u64 = 1 << 10;
    /// Execute-disable enable.
    pub const NXE: u64 = 1 << 11;
    /// The stored ones; any other bit below 32 is ignored and, LMA apart, reads as 0.
    pub const EXISTING: u64 = LME | NXE;
}

/// CR3 bit 63 of a write while PCIDE = 1: keep what is cached. Never stored.
pub const CR3_NO_FLUSH: u64 = 1 << 63;

/// The control registers. Reset: all zero, so paging is off.
///
/// Guaranteed: no combination that a write would have refused, and no bit that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Registers {
    cr0: u64,
    cr3: u64,
    cr4: u64,
    efer: u64,
}

impl Registers {
    /// The state after reset.
    pub const RESET: Self = Self {
        cr0: 0,
        cr3: 0,
        cr4: 0,
        efer: 0,
    };

    /// The state in which the registers hold these values, reached from reset by writes that the machine allows.
    ///
    /// Bits that do not exist are ignored, as in the writes themselves.
    ///
    /// # Errors
    /// The #GP of the first write that would be refused.
    pub fn load(
        cr0: u64,
        cr3: u64,
        cr4: u64,
        efer: u64,
        capabilities: &Capabilities,
    ) -> Result<Self, GeneralProtection> {
        let mut registers = Self::RESET;
        registers.write_efer(efer)?;
        registers.write_cr4(cr4 & !cr4::PCIDE, capabilities)?;
        registers.write_cr0(cr0)?;
        // PCIDE may become 1 only in long mode and with CR3[11:0] = 0, so CR3 comes last.
        registers.write_cr4(cr4, capabilities)?;
        registers.write_cr3(cr3, capabilities)?;
        Ok(registers)
    }

    /// CR0 as it reads.
    #[inline]
    pub const fn cr0(&self) -> u64 {
        self.cr0
    }

    /// CR3 as it reads.
    #[inline]
    pub const fn cr3(&self) -> u64 {
        self.cr3
    }

    /// CR4 as it reads.
    #[inline]
    pub const fn cr4(&self) -> u64 {
        self.cr4
    }

    /// EFER as it reads, with LMA.
    #[inline]
    pub const fn efer(&self) -> u64 {
        if self.lma() {
            self.efer | efer::LMA
        } else {
            self.efer
        }
    }

    /// CR0.PG.
    #[inline]
    pub const fn paging(&self) -> bool {
        self.cr0 & cr0::PG != 0
    }

    /// CR0.WP.
    #[inline]
    pub const fn wp(&self) -> bool {
        self.cr0 & cr0::WP != 0
    }

    /// CR4.PGE.
    #[inline]
    pub const fn pge(&self) -> bool {
        self.cr4 & cr4::PGE != 0
    }

    /// CR4.PCIDE.
    #[inline]
    pub const fn pcide(&self) -> bool {
        self.cr4 & cr4::PCIDE != 0
    }

    /// CR4.PSE.
    #[inline]
    pub const fn pse(&self) -> bool {
        self.cr4 & cr4::PSE != 0
    }

    /// CR4.SMEP.
    #[inline]
    pub const fn smep(&self) -> bool {
        self.cr4 & cr4::SMEP != 0
    }

    /// CR4.SMAP.
    #[inline]
    pub const fn smap(&self) -> bool {
        self.cr4 & cr4::SMAP != 0
    }

    /// CR4.PKE.
    #[inline]
    pub const fn pke(&self) -> bool {
        self.cr4 & cr4::PKE != 0
    }

    /// EFER.NXE.
    #[inline]
    pub const fn nxe(&self) -> bool {
        self.efer & efer::NXE != 0
    }

    /// EFER.LMA: IA-32e mode is active.
    #[inline]
    pub const fn lma(&self) -> bool {
        self.paging() && self.efer & efer::LME != 0
    }

    /// Whether protection keys are in force: CR4.PKE = 1, in 4-level and 5-level paging.
    #[inline]
    pub const fn protection_keys(&self) -> bool {
        self.pke() && self.lma()
    }

    /// Whether a page fault's error code tells fetches apart: NXE = 1 with CR4.PAE = 1, or SMEP = 1.
    ///
    /// Of the modes that this machine has, those with EFER.LMA = 1 are those with PAE = 1.
    #[inline]
    pub const fn reports_fetch(&self) -> bool {
        self.nxe() && self.lma() || self.smep()
    }

    /// The mode in which addresses are translated.
    #[inline]
    pub const fn paging_mode(&self) -> PagingMode {
        if self.paging() {
            self.page_mode()
        } else {
            PagingMode::Off
        }
    }

    /// The mode in which INVLPG and INVPCID take an address, also while paging is off: 32-bit paging where it is in force, else
    /// as [`Registers::width_mode`].
    #[inline]
    pub const fn page_mode(&self) -> PagingMode {
        if self.paging() && !self.lma() {
            PagingMode::TwoLevel
        } else {
            self.width_mode()
        }
    }

    /// The mode whose canonical check INVPCID applies, whatever is in force: CR4.LA57 alone decides.
    #[inline]
    pub const fn width_mode(&self) -> PagingMode {
        if self.cr4 & cr4::LA57 != 0 {
            PagingMode::FiveLevel
        } else {
            PagingMode::FourLevel
        }
    }

    /// The PCID under which entries are cached and looked up: CR3\[11:0\] while PCIDE = 1, else 0.
    #[inline]
    pub const fn current_pcid(&self) -> Pcid {
        if self.pcide() {
            Pcid::new_truncate(self.cr3)
        } else {
            Pcid::ZERO
        }
    }

    /// The address of the root table: CR3 without its lower 12 bits; in 32-bit paging its bits 31:12.
    #[inline]
    pub const fn root_table(&self) -> PhysicalAddress {
        let bits = match self.paging_mode() {
            PagingMode::TwoLevel => 0xffff_f000,
            _ => !0xfff,
        };
        PhysicalAddress::from_masked(self.cr3 & bits)
    }

    /// The rules by which entries decode now. Make them anew after a write to CR0, CR4 or EFER.
    pub fn entry_rules(&self, capabilities: &Capabilities) -> EntryRules {
        EntryRules::new(self.paging_mode(), capabilities, self.nxe(), self.pse())
    }

    /// MOV to CR0.
    ///
    /// # Errors
    /// #GP, and the register keeps its value: bits 63:32; PG without PE; PG 0 to 1 while LME and PAE differ; PG 1 to 0 with PCIDE.
    pub const fn write_cr0(&mut self, value: u64) -> Result<Invalidation, GeneralProtection> {
        let was_paging = self.paging();
        let pages = value & cr0::PG != 0;
        if has_upper_half(value) {
            return Err(GeneralProtection::UpperHalf);
        }
        if pages && value & cr0::PE == 0 {
            return Err(GeneralProtection::PagingWithoutProtection);
        }
        // LME without PAE the manual refuses; PAE without LME would be PAE paging.
        let refused_mode = (self.efer & efer::LME != 0) != (self.cr4 & cr4::PAE != 0);
        if pages && !was_paging && refused_mode {
            return Err(GeneralProtection::UnsupportedPaging);
        }
        if was_paging && !pages && self.pcide() {
            return Err(GeneralProtection::PagingOffWithPcide);
        }
        self.cr0 = value & cr0::EXISTING;
        Ok(if was_paging && !pages {
            Invalidation::All
        } else {
            Invalidation::None
        })
    }

    /// MOV to CR3.
    ///
    /// # Errors
    /// #GP, and the register keeps its value: a bit at or above MAXPHYADDR, bit 63 apart while PCIDE = 1.
    pub const fn write_cr3(
        &mut self,
        value: u64,
        capabilities: &Capabilities,
    ) -> Result<Invalidation, GeneralProtection> {
        let no_flush = self.pcide() && value & CR3_NO_FLUSH != 0;
        let stored = if self.pcide() {
            value & !CR3_NO_FLUSH
        } else {
            value
        };
        if stored & !capabilities.maxphyaddr.mask() != 0 {
            return Err(GeneralProtection::Cr3Reserved);
        }
        self.cr3 = stored;
        Ok(if no_flush {
            Invalidation::None
        } else {
            Invalidation::Context {
                pcid: self.current_pcid(),
                globals: false,
            }
        })
    }

    /// MOV to CR4.
    ///
    /// # Errors
    /// #GP, and the register keeps its value: bits 63:32; LA57 without the capability, or changed while LMA = 1; PAE changed
    /// while PG = 1; PCIDE 0 to 1 while LMA = 0 or with CR3\[11:0\] not zero.
    pub const fn write_cr4(
        &mut self,
        value: u64,
        capabilities: &Capabilities,
    ) -> Result<Invalidation, GeneralProtection> {
        let new = value & cr4::EXISTING;
        let set = new & !self.cr4;
        let cleared = self.cr4 & !new;
        if has_upper_half(value) {
            return Err(GeneralProtection::UpperHalf);
        }
        if set & cr4::LA57 != 0 && !capabilities.five_level {
            return Err(GeneralProtection::La57Unsupported);
        }
        if self.lma() && (set | cleared) & cr4::LA57 != 0 {
            return Err(GeneralProtection::La57Change);
        }
        if self.paging() && (set | cleared) & cr4::PAE != 0 {
            return Err(GeneralProtection::PaeChange);
        }
        if set & cr4::PCIDE != 0 && !self.lma() {
            return Err(GeneralProtection::PcideOutsideLongMode);
        }
        if set & cr4::PCIDE != 0 && self.cr3 & 0xfff != 0 {
            return Err(GeneralProtection::PcideWithCr3Low);
        }
        // PSE changes the meaning of PDEs; nothing decoded under the other meaning may survive.
        let meaning =
            matches!(self.paging_mode(), PagingMode::TwoLevel) && (set | cleared) & cr4::PSE != 0;
        let everything = meaning || (set | cleared) & cr4::PGE != 0 || cleared & cr4::PCIDE != 0;
        let pcid = self.current_pcid();
        self.cr4 = new;
        Ok(if everything {
            Invalidation::All
        } else if set & cr4::SMEP != 0 {
            // The manual asks for the current PCID alone; the globals are more than it asks, and legal.
            Invalidation::Context {
                pcid,
                globals: true,
            }
        } else {
            Invalidation::None
        })
    }

    /// WRMSR to EFER.
    ///
    /// # Errors
    /// #GP, and the register keeps its value: bits 63:32; LME changed while PG = 1.
    pub const fn write_efer(&mut self, value: u64) -> Result<Invalidation, GeneralProtection> {
        let new = value & efer::EXISTING;
        let changed = new ^ self.efer;
        if has_upper_half(value) {
            return Err(GeneralProtection::UpperHalf);
        }
        if self.paging() && changed & efer::LME != 0 {
            return Err(GeneralProtection::LmeChange);
        }
        self.efer = new;
        // Bit 63 of an entry changes its meaning with NXE; nothing decoded under the other meaning may survive.
        Ok(if changed & efer::NXE != 0 {
            Invalidation::All
        } else {
            Invalidation::None
        })
    }

    /// INVLPG of the address `raw`. A non-canonical address does nothing.
    #[inline]
    pub const fn invlpg(&self, raw: u64) -> Invalidation {
        match VirtualAddress::try_new(raw, self.page_mode()) {
            Ok(va) => Invalidation::Page {
                va,
                pcid: self.current_pcid(),
                globals: true,
            },
            Err(_) => Invalidation::None,
        }
    }

    /// INVPCID of type `kind`, 0 to 3.
    ///
    /// # Errors
    /// #GP: a type above 3; descriptor bits 63:12 set; for types 0 and 1 a PCID while PCIDE = 0; for type 0 a
    /// non-canonical address.
    pub const fn invpcid(
        &self,
        kind: u64,
        descriptor: &InvpcidDescriptor,
    ) -> Result<Invalidation, GeneralProtection> {
        if kind > 3 {
            return Err(GeneralProtection::InvpcidType);
        }
        let Some(pcid) = Pcid::try_new(descriptor.context) else {
            return Err(GeneralProtection::InvpcidReserved);
        };
        if kind <= 1 && pcid.raw() != 0 && !self.pcide() {
            return Err(GeneralProtection::InvpcidPcid);
        }
        let globals = false;
        match kind {
            0 if !self.width_mode().is_canonical(descriptor.address) => {
                Err(GeneralProtection::InvpcidNonCanonical)
            }
            0 => Ok(Invalidation::Page {
                va: VirtualAddress::new_truncate(descriptor.address, self.page_mode()),
                pcid,
                globals,
            }),
            1 => Ok(Invalidation::Context { pcid, globals }),
            2 => Ok(Invalidation::All),
            _ => Ok(Invalidation::AllNonGlobal),
        }
    }
}

/// Whether a value for a register of 32 defined bits has any of bits 63:32 set.
const fn has_upper_half(value: u64) -> bool {
    value >> 32 != 0
}
