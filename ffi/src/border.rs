//! The functions of the header. Every pointer is held against null, every structure against its size, and no panic leaves.
//!
//! Contract: none. SDM: none. Counterpart: `include/twinwalk_reference.h`, which documents each function for those who call it.
//!
//! # Safety of all of them
//! A `reference` is null, or came from [`twinwalk_reference_create`], was not destroyed, and is in use by one thread at a time, and not by a
//! callback that it is calling itself. Other pointers are null, or point to what their type says for as long as the call lasts.
#![allow(clippy::missing_safety_doc)] // Said once, above.

use std::ffi::{CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::abi::{
    API_VERSION, Access, Code, Features, Figures, Memory, Outcome, Sized32, Verdict, Walk,
    struct_size,
};
use crate::judge::{Judge, Refused};

/// What the handle points to.
#[derive(Debug)]
pub struct Reference {
    pub(crate) judge: Judge,
    memory: Option<Memory>,
    /// A call has panicked: what is known can no longer be relied upon.
    broken: bool,
    error: CString,
    explanation: CString,
    account: CString,
}

// A handle may go from thread to thread; the context of the memory is the user's.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Judge>();
};

fn text(text: &str) -> CString {
    // None of our texts has a zero in it.
    CString::new(text).unwrap_or_default()
}

fn too_small(name: &str) -> Refused {
    Refused {
        code: Code::StructSize,
        text: format!("struct_size of {name} is not that of this library"),
    }
}

fn null(name: &str) -> Refused {
    Refused {
        code: Code::Null,
        text: format!("{name} is null"),
    }
}

/// What a pointer points to, if it is not null and of the size that this library has.
unsafe fn sized<'a, T: Sized32>(pointer: *const T, name: &str) -> Result<&'a T, Refused> {
    // SAFETY: null, or of that type, by the module's rule.
    let value = unsafe { pointer.as_ref() }.ok_or_else(|| null(name))?;
    if value.fits() {
        Ok(value)
    } else {
        Err(too_small(name))
    }
}

/// The same of what is written.
unsafe fn sized_mut<'a, T: Sized32>(pointer: *mut T, name: &str) -> Result<&'a mut T, Refused> {
    // SAFETY: null, or of that type, by the module's rule.
    let value = unsafe { pointer.as_mut() }.ok_or_else(|| null(name))?;
    if value.fits() {
        Ok(value)
    } else {
        Err(too_small(name))
    }
}

/// Does something with a reference. What it returns, or its error, is the code; the texts are kept.
pub(crate) unsafe fn with(
    reference: *mut Reference,
    act: impl FnOnce(&mut Reference) -> Result<i32, Refused>,
) -> i32 {
    // SAFETY: null, or a live handle that nobody else uses, by the module's rule.
    let Some(reference) = (unsafe { reference.as_mut() }) else {
        return Code::Null as i32;
    };
    if reference.broken {
        return Code::Lost as i32;
    }
    let result = catch_unwind(AssertUnwindSafe(|| act(reference)));
    let refused = match result {
        Ok(Ok(code)) => {
            reference.explanation = text(reference.judge.explanation());
            return code;
        }
        Ok(Err(refused)) => refused,
        Err(_) => {
            reference.broken = true;
            Refused {
                code: Code::Panic,
                text: "a defect of this library; the reference can only be destroyed".to_owned(),
            }
        }
    };
    reference.error = text(&refused.text);
    refused.code as i32
}

fn verdict(verdict: Result<Verdict, Refused>) -> Result<i32, Refused> {
    verdict.map(|verdict| verdict as i32)
}

/// See the header.
#[unsafe(no_mangle)]
pub extern "C" fn twinwalk_reference_api_version() -> u32 {
    API_VERSION
}

/// See the header.
#[unsafe(no_mangle)]
pub extern "C" fn twinwalk_reference_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// See the header.
#[unsafe(no_mangle)]
pub extern "C" fn twinwalk_reference_struct_size(number: u32) -> u32 {
    struct_size(number)
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_reference_create(
    features: *const Features,
    reference: *mut *mut Reference,
) -> i32 {
    // SAFETY: null, or a place for a pointer.
    let Some(place) = (unsafe { reference.as_mut() }) else {
        return Code::Null as i32;
    };
    *place = ptr::null_mut();
    // SAFETY: by the module's rule.
    let features = match unsafe { sized(features, "features") } {
        Ok(features) => features,
        Err(refused) => return refused.code as i32,
    };
    match catch_unwind(|| Judge::new(features)) {
        Ok(Ok(judge)) => {
            *place = Box::into_raw(Box::new(Reference {
                judge,
                memory: None,
                broken: false,
                error: CString::default(),
                explanation: CString::default(),
                account: CString::default(),
            }));
            0
        }
        Ok(Err(refused)) => refused.code as i32,
        Err(_) => Code::Panic as i32,
    }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_reference_destroy(reference: *mut Reference) {
    if !reference.is_null() {
        // SAFETY: it came from `create`, and is not used again.
        let reference = unsafe { Box::from_raw(reference) };
        // What a destructor may do is nothing that panics; and if it did, there would be nobody to tell.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(reference)));
    }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_last_error(reference: *const Reference) -> *const c_char {
    // SAFETY: by the module's rule.
    match unsafe { reference.as_ref() } {
        Some(reference) => reference.error.as_ptr(),
        None => c"reference is null".as_ptr(),
    }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_explanation(reference: *const Reference) -> *const c_char {
    // SAFETY: by the module's rule.
    match unsafe { reference.as_ref() } {
        Some(reference) => reference.explanation.as_ptr(),
        None => c"".as_ptr(),
    }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_account(reference: *mut Reference) -> *const c_char {
    // SAFETY: by the module's rule.
    match unsafe { reference.as_mut() } {
        Some(reference) => {
            reference.account = text(reference.judge.account());
            reference.account.as_ptr()
        }
        None => c"".as_ptr(),
    }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_reset(reference: *mut Reference) -> i32 {
    let act = |reference: &mut Reference| {
        reference.judge.reset();
        Ok(0)
    };
    // SAFETY: by the module's rule.
    unsafe { with(reference, act) }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_load_registers(
    reference: *mut Reference,
    cr0: u64,
    cr3: u64,
    cr4: u64,
    efer: u64,
) -> i32 {
    let act = |reference: &mut Reference| {
        let loaded = reference.judge.load_registers(cr0, cr3, cr4, efer);
        loaded.map(|()| 0)
    };
    // SAFETY: by the module's rule.
    unsafe { with(reference, act) }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_set_memory(
    reference: *mut Reference,
    memory: *const Memory,
) -> i32 {
    let act = |reference: &mut Reference| {
        // SAFETY: by the module's rule.
        let memory = unsafe { sized(memory, "memory") }?;
        reference.memory = Some(*memory).filter(|memory| memory.read.is_some());
        Ok(0)
    };
    // SAFETY: by the module's rule.
    unsafe { with(reference, act) }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_read(
    reference: *mut Reference,
    address: u64,
    value: *mut u64,
) -> i32 {
    let act = |reference: &mut Reference| {
        // SAFETY: null, or a place for a number.
        let value = unsafe { value.as_mut() }.ok_or_else(|| null("value"))?;
        let read = reference.judge.read(address);
        *value = read.ok_or_else(|| Refused {
            code: Code::Argument,
            text: format!("{address:#x} is beyond memory"),
        })?;
        Ok(0)
    };
    // SAFETY: by the module's rule.
    unsafe { with(reference, act) }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_translate(
    reference: *mut Reference,
    va: u64,
    access: *const Access,
    walk: *mut Walk,
) -> i32 {
    let act = |reference: &mut Reference| {
        // SAFETY: by the module's rule.
        let (access, walk) = unsafe { (sized(access, "access")?, sized_mut(walk, "walk")?) };
        *walk = match reference.memory {
            None => reference.judge.translate(va, access, None)?,
            Some(memory) => {
                let mut read = |address| read_foreign(&memory, address);
                reference.judge.translate(va, access, Some(&mut read))?
            }
        };
        Ok(0)
    };
    // SAFETY: by the module's rule.
    unsafe { with(reference, act) }
}

/// Asks the user's memory.
fn read_foreign(memory: &Memory, address: u64) -> Option<u64> {
    let mut value = 0;
    let read = memory.read?;
    let context: *mut c_void = memory.context;
    // SAFETY: the user has said that `read` may be called with that context; `value` outlives the call.
    let failed = unsafe { read(context, address, &raw mut value) };
    (failed == 0).then_some(value)
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_store(
    reference: *mut Reference,
    address: u64,
    value: u64,
) -> i32 {
    // SAFETY: by the module's rule.
    unsafe { with(reference, |it| verdict(it.judge.store(address, value))) }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_update(
    reference: *mut Reference,
    address: u64,
    value: u64,
) -> i32 {
    // SAFETY: by the module's rule.
    unsafe { with(reference, |it| verdict(it.judge.update(address, value))) }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_request(
    reference: *mut Reference,
    tag: u64,
    va: u64,
    access: *const Access,
) -> i32 {
    let act = |reference: &mut Reference| {
        // SAFETY: by the module's rule.
        let access = unsafe { sized(access, "access") }?;
        verdict(reference.judge.request(tag, va, access))
    };
    // SAFETY: by the module's rule.
    unsafe { with(reference, act) }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_response(
    reference: *mut Reference,
    tag: u64,
    outcome: *const Outcome,
) -> i32 {
    let act = |reference: &mut Reference| {
        // SAFETY: by the module's rule.
        let outcome = unsafe { sized(outcome, "outcome") }?;
        verdict(reference.judge.response(tag, outcome))
    };
    // SAFETY: by the module's rule.
    unsafe { with(reference, act) }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_operation_accepted(
    reference: *mut Reference,
    op: u32,
    data: u64,
    address: u64,
    kind: u64,
) -> i32 {
    let act = |reference: &mut Reference| {
        let op = u8::try_from(op).unwrap_or(u8::MAX);
        verdict(reference.judge.accept_operation(op, data, address, kind))
    };
    // SAFETY: by the module's rule.
    unsafe { with(reference, act) }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_operation_done(reference: *mut Reference, fault: i32) -> i32 {
    // SAFETY: by the module's rule.
    unsafe {
        with(reference, |it| {
            verdict(it.judge.complete_operation(fault != 0))
        })
    }
}

/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn twinwalk_get_figures(
    reference: *mut Reference,
    figures: *mut Figures,
) -> i32 {
    let act = |reference: &mut Reference| {
        // SAFETY: by the module's rule.
        *unsafe { sized_mut(figures, "figures") }? = reference.judge.figures();
        Ok(0)
    };
    // SAFETY: by the module's rule.
    unsafe { with(reference, act) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features() -> Features {
        Features {
            struct_size: size_of::<Features>() as u32,
            maxphyaddr_bits: 46,
            page_1g: 1,
            five_level: 1,
            ..Features::default()
        }
    }

    #[test]
    fn a_panic_does_not_cross_the_border_and_breaks_that_reference_alone() {
        let mut reference = ptr::null_mut();
        let features = features();
        // SAFETY: everything is ours.
        unsafe {
            assert_eq!(
                twinwalk_reference_create(&raw const features, &raw mut reference),
                0
            );
            let code = with(reference, |_| panic!("for the test"));
            assert_eq!(code, Code::Panic as i32);
            assert_eq!(twinwalk_store(reference, 0, 1), Code::Lost as i32);
            assert_eq!(twinwalk_reset(reference), Code::Lost as i32);
            twinwalk_reference_destroy(reference);
        }
    }

    #[test]
    fn null_and_structures_of_another_size_are_refused() {
        let mut reference = ptr::null_mut();
        let mut features = features();
        features.struct_size -= 8;
        // SAFETY: everything is ours, or null.
        unsafe {
            let made = twinwalk_reference_create(&raw const features, &raw mut reference);
            assert_eq!((made, reference.is_null()), (Code::StructSize as i32, true));
            assert_eq!(
                twinwalk_reference_create(ptr::null(), &raw mut reference),
                Code::Null as i32
            );
            assert_eq!(
                twinwalk_reference_create(&raw const features, ptr::null_mut()),
                Code::Null as i32
            );
            assert_eq!(twinwalk_store(ptr::null_mut(), 0, 0), Code::Null as i32);
            features.struct_size += 8;
            assert_eq!(
                twinwalk_reference_create(&raw const features, &raw mut reference),
                0
            );
            assert_eq!(
                twinwalk_request(reference, 0, 0, ptr::null()),
                Code::Null as i32
            );
            let access = Access::default();
            let code = twinwalk_request(reference, 0, 0, &raw const access);
            assert_eq!(code, Code::StructSize as i32);
            let said = std::ffi::CStr::from_ptr(twinwalk_last_error(reference));
            assert_eq!(
                said.to_str(),
                Ok("struct_size of access is not that of this library")
            );
            twinwalk_reference_destroy(reference);
        }
    }
}
