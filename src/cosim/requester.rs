//! The requester of a real trace: how a machine is brought into paging, and what each reference asks of which port.
//!
//! Contract: section 3 (what a requester owes the ports). SDM vol. 3A, 4.1.2 (entering IA-32e paging). Counterpart: none; `run`, `check
//! --trace` and the bench ask for the same by this file.

use super::stimulus::{Control, ControlKind};
use crate::arch::registers::{cr0, cr4, efer};
use crate::arch::{Access, AccessKind};
use crate::config::Config;
use crate::trace::{Mapping, MappingError, MemoryReference};

/// The port of fetches, and the first one of loads and stores.
const FETCH_PORT: u8 = 0;
const FIRST_DATA_PORT: u8 = 1;
/// Privilege levels of user and supervisor accesses.
const USER: u8 = 3;
const SUPERVISOR: u8 = 0;

/// The rule by which the pages of `config` are placed.
///
/// # Errors
/// The mapping is not possible on this machine.
pub fn mapping(config: &Config) -> Result<Mapping, MappingError> {
    Mapping::new(
        &config.mapping,
        &config.arch_capabilities(),
        config.memory.size_bytes,
    )
}

/// The operations that bring a machine out of reset into the paging of `mapping`: with NX, global pages and CR0.WP.
pub fn boot(config: &Config, mapping: &Mapping) -> [Control; 4] {
    let wide = if config.mapping.levels == 5 {
        cr4::LA57
    } else {
        0
    };
    [
        (ControlKind::WrmsrEfer, efer::LME | efer::NXE),
        (ControlKind::MovCr4, cr4::PAE | cr4::PGE | wide),
        (ControlKind::MovCr3, mapping.root().raw()),
        (ControlKind::MovCr0, cr0::PE | cr0::PG | cr0::WP),
    ]
    .map(|(kind, value)| Control::new(kind, value))
}

/// The privilege level of every access: user mode if the mapping's pages are user pages, else supervisor mode.
pub const fn privilege(config: &Config) -> u8 {
    if config.mapping.user {
        USER
    } else {
        SUPERVISOR
    }
}

/// What a reference asks, and of which port: data references of the first data port.
#[inline]
pub const fn access(reference: &MemoryReference, privilege: u8) -> (u8, Access) {
    let kind = reference.kind().access_kind();
    let port = match kind {
        AccessKind::Fetch => FETCH_PORT,
        AccessKind::Read | AccessKind::Write => FIRST_DATA_PORT,
    };
    (port, Access::new(kind, privilege))
}

/// What references ask, and of which port: fetches of port 0, data references of the data ports in turn (contract 13.1).
#[derive(Debug, Clone, Copy)]
pub struct Requester {
    privilege: u8,
    data_ports: u8,
    /// The data port that is next.
    turn: u8,
}

impl Requester {
    /// The requester of a trace on the machine of `config`.
    pub fn new(config: &Config) -> Self {
        Self {
            privilege: privilege(config),
            data_ports: config.ports.data_ports as u8,
            turn: 0,
        }
    }

    /// The port and the access of the next reference.
    #[inline]
    pub fn next(&mut self, reference: &MemoryReference) -> (u8, Access) {
        let (mut port, access) = access(reference, self.privilege);
        if port != FETCH_PORT {
            port += self.turn;
            self.turn += 1;
            if self.turn >= self.data_ports {
                self.turn = 0;
            }
        }
        (port, access)
    }
}
