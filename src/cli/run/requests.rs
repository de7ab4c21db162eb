//! From a trace to what one machine is asked: operations that bring it into paging, and each reference as a request.
//!
//! Contract: section 3 (what a requester owes the ports). SDM vol. 3A, 4.1.2 (entering IA-32e paging). Counterpart: the same choices for
//! a pair of twins in `src/cosim/traced.rs`.

use crate::arch::registers::{cr0, cr4, efer};
use crate::arch::{Access, AccessKind};
use crate::config::Config;
use crate::model::mmu_pkg::{CTRL_MOV_CR0, CTRL_MOV_CR3, CTRL_MOV_CR4, CTRL_WRMSR_EFER};
use crate::model::{Operation, Request};
use crate::trace::{Mapping, MappingError, MemoryReference};

/// The port of fetches, and that of loads and stores.
const FETCH_PORT: usize = 0;
const DATA_PORT: usize = 1;
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
pub fn boot(config: &Config, mapping: &Mapping) -> [Operation; 4] {
    let wide = if config.mapping.levels == 5 {
        cr4::LA57
    } else {
        0
    };
    [
        Operation::new(CTRL_WRMSR_EFER, efer::LME | efer::NXE),
        Operation::new(CTRL_MOV_CR4, cr4::PAE | cr4::PGE | wide),
        Operation::new(CTRL_MOV_CR3, mapping.root().raw()),
        Operation::new(CTRL_MOV_CR0, cr0::PE | cr0::PG | cr0::WP),
    ]
}

/// The privilege level of every access: user mode if the mapping's pages are user pages, else supervisor mode.
pub const fn privilege(config: &Config) -> u8 {
    if config.mapping.user {
        USER
    } else {
        SUPERVISOR
    }
}

/// A reference, which must not cross a page, as a request, and the port that it goes to.
#[inline]
pub fn request(reference: &MemoryReference, privilege: u8) -> (usize, Request) {
    let kind = reference.kind().access_kind();
    let port = if kind as u8 == AccessKind::Fetch as u8 {
        FETCH_PORT
    } else {
        DATA_PORT
    };
    let request = Request {
        va: reference.address(),
        access: Access::new(kind, privilege),
        id: 0,
    };
    (port, request)
}
