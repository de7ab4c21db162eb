//! The functions of the header with the arguments that DPI-C passes: numbers, strings and handles, no structures.
//!
//! Contract: none. SDM: none. Counterpart: `sv/twinwalk_reference_pkg.sv`, which imports them; [`crate::border`], whose safety rule holds here too.
//!
//! SystemVerilog passes `byte unsigned` as `uint8_t`, `int` as `int32_t`, `longint unsigned` as `uint64_t`, `chandle` as `void *`, an output
//! as a pointer. Strings that are returned the simulator copies at once.
#![allow(clippy::missing_safety_doc)] // Said once, in `border`.

use std::ptr;

use crate::abi::{Access, Features, Figures, Outcome, Walk};
use crate::border::{
    Reference, twinwalk_get_figures, twinwalk_reference_create, twinwalk_request,
    twinwalk_response, twinwalk_translate,
};

/// Makes a reference; null if a feature is out of range.
#[unsafe(no_mangle)]
pub extern "C" fn twinwalk_dpi_create(
    maxphyaddr_bits: u32,
    page_1g: u8,
    five_level: u8,
    memory_size_bytes: u64,
) -> *mut Reference {
    let features = Features {
        struct_size: size_of::<Features>() as u32,
        maxphyaddr_bits,
        page_1g,
        five_level,
        reserved: [0; 6],
        memory_size_bytes,
    };
    let mut reference = ptr::null_mut();
    // SAFETY: both are ours. What it returns, null says too.
    unsafe { twinwalk_reference_create(&raw const features, &raw mut reference) };
    reference
}

const fn access(kind: u8, cpl: u8, ac: u8, implicit_supervisor: u8, pkru: u32) -> Access {
    Access {
        struct_size: size_of::<Access>() as u32,
        pkru,
        kind,
        cpl,
        ac,
        implicit_supervisor,
        reserved: [0; 4],
    }
}

/// A request was accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_dpi_request(
    reference: *mut Reference,
    tag: u64,
    va: u64,
    kind: u8,
    cpl: u8,
    ac: u8,
    implicit_supervisor: u8,
    pkru: u32,
) -> i32 {
    let access = access(kind, cpl, ac, implicit_supervisor, pkru);
    // SAFETY: the handle is the caller's, the structure ours.
    unsafe { twinwalk_request(reference, tag, va, &raw const access) }
}

/// A response was seen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_dpi_response(
    reference: *mut Reference,
    tag: u64,
    status: u8,
    pa: u64,
    page_size: u8,
    pat: u8,
    pcd: u8,
    pwt: u8,
    error_code: u32,
    va: u64,
) -> i32 {
    let outcome = Outcome {
        struct_size: size_of::<Outcome>() as u32,
        error_code,
        status,
        page_size,
        pwt,
        pcd,
        pat,
        reserved: [0; 3],
        pa,
        va,
    };
    // SAFETY: the handle is the caller's, the structure ours.
    unsafe { twinwalk_response(reference, tag, &raw const outcome) }
}

/// Writes where the caller has a place.
unsafe fn put<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: not null, and by the rule of `border` a place for a `T`.
        unsafe { place.write(value) };
    }
}

/// The timeless walk: its outcome.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_dpi_translate(
    reference: *mut Reference,
    va: u64,
    kind: u8,
    cpl: u8,
    ac: u8,
    implicit_supervisor: u8,
    pkru: u32,
    status: *mut u8,
    pa: *mut u64,
    page_size: *mut u8,
    pat: *mut u8,
    pcd: *mut u8,
    pwt: *mut u8,
    error_code: *mut u32,
    fault_va: *mut u64,
) -> i32 {
    let access = access(kind, cpl, ac, implicit_supervisor, pkru);
    let mut walk = Walk {
        struct_size: size_of::<Walk>() as u32,
        ..Walk::default()
    };
    // SAFETY: the handle is the caller's, the structures ours; the places are the caller's.
    unsafe {
        let code = twinwalk_translate(reference, va, &raw const access, &raw mut walk);
        let Outcome {
            error_code: fault,
            status: ended,
            ..
        } = walk.outcome;
        put(status, ended);
        put(pa, walk.outcome.pa);
        put(page_size, walk.outcome.page_size);
        put(pat, walk.outcome.pat);
        put(pcd, walk.outcome.pcd);
        put(pwt, walk.outcome.pwt);
        put(error_code, fault);
        put(fault_va, walk.outcome.va);
        code
    }
}

/// One of the figures, in the order of the structure: 0 outstanding, 1 events, 2 responses and so on; 0 of a number that has none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_dpi_figure(reference: *mut Reference, number: i32) -> u64 {
    let mut figures = Figures {
        struct_size: size_of::<Figures>() as u32,
        ..Figures::default()
    };
    // SAFETY: the handle is the caller's, the structure ours.
    if unsafe { twinwalk_get_figures(reference, &raw mut figures) } != 0 {
        return 0;
    }
    match number {
        0 => figures.outstanding.into(),
        1 => figures.events,
        2 => figures.responses,
        3 => figures.single_outcome,
        4 => figures.stale_observed,
        5 => figures.unjudged,
        6 => figures.entry_updates,
        7 => figures.illegal,
        8 => figures.removed,
        9 => figures.stale_removed,
        _ => 0,
    }
}
