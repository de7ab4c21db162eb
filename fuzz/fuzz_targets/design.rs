//! Target `design`: what it does stands at `twinwalk_fuzz::design`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twinwalk_fuzz::design(bytes));
