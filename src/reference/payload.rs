//! Outcomes as response payloads, to the bit: so that a response is compared as a whole.
//!
//! Contract: 1.3 (undefined fields are 0), 3 (response fields), 6, 11 (error code, `resp_va_o`). SDM vol. 3A, 4.7.
//! Counterpart: none in hardware; the ports of `rtl/mmu.sv` carry it.

use crate::arch::{Capabilities, MemoryTypeBits, Outcome, PageFaultCode, PageSize, Registers};
use crate::model::mmu_pkg::{
    PortOut, STATUS_BUS_ERROR, STATUS_GENERAL_PROTECTION, STATUS_PAGE_FAULT, STATUS_TRANSLATED,
};

use super::image::{Image, Untouched};
use super::observer::Request;
use super::walk::walk;

/// What a response of any status has in common.
fn response(request: &Request, status: u8) -> PortOut {
    PortOut {
        resp_valid: 1,
        resp_id: request.id,
        resp_status: status,
        ..PortOut::default()
    }
}

/// "Translated" to the physical address `pa`, which includes the offset.
pub fn translated(
    request: &Request,
    pa: u64,
    size: PageSize,
    memory_type: MemoryTypeBits,
) -> PortOut {
    PortOut {
        resp_pa: pa,
        resp_page_size: size as u8,
        resp_pwt: memory_type.pwt.into(),
        resp_pcd: memory_type.pcd.into(),
        resp_pat: memory_type.pat.into(),
        ..response(request, STATUS_TRANSLATED)
    }
}

/// A page fault.
pub fn page_fault(request: &Request, code: PageFaultCode) -> PortOut {
    PortOut {
        resp_error_code: code.raw() as u16,
        resp_va: request.va,
        ..response(request, STATUS_PAGE_FAULT)
    }
}

/// A bus error.
pub fn bus_error(request: &Request) -> PortOut {
    response(request, STATUS_BUS_ERROR)
}

/// The response that no entry has a say in: paging is off, or the address is not canonical.
pub fn bypass(request: &Request, registers: &Registers) -> Option<PortOut> {
    if !registers.paging() {
        let pa = request.va & 0xffff_ffff;
        return Some(translated(
            request,
            pa,
            PageSize::Size4K,
            MemoryTypeBits::default(),
        ));
    }
    (!registers.paging_mode().is_canonical(request.va))
        .then(|| response(request, STATUS_GENERAL_PROTECTION))
}

/// What a walk of memory says as it stands, of which nothing is changed.
pub fn of_memory(
    request: &Request,
    registers: &Registers,
    capabilities: &Capabilities,
    image: &Image,
) -> PortOut {
    match walk(
        registers,
        capabilities,
        &request.access,
        request.va,
        &mut Untouched(image),
    ) {
        Outcome::Translated(found) => translated(
            request,
            found.address.raw(),
            found.page_size,
            found.memory_type,
        ),
        Outcome::PageFault(code) => page_fault(request, code),
        Outcome::GeneralProtection => response(request, STATUS_GENERAL_PROTECTION),
        Outcome::BusError => bus_error(request),
    }
}

/// The response in words.
pub fn describe(response: &PortOut) -> String {
    match response.resp_status {
        STATUS_TRANSLATED => format!(
            "translated to {:#x}, page size {}, pat {} pcd {} pwt {}",
            response.resp_pa,
            response.resp_page_size,
            response.resp_pat,
            response.resp_pcd,
            response.resp_pwt
        ),
        STATUS_PAGE_FAULT => {
            let code = PageFaultCode(response.resp_error_code.into());
            format!("page fault {code} at {:#x}", response.resp_va)
        }
        STATUS_GENERAL_PROTECTION => "general protection".into(),
        STATUS_BUS_ERROR => "bus error".into(),
        status => format!("status {status}"),
    }
}
