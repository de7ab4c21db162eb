//! Target `trace`: what it does stands at `twinwalk_fuzz::trace`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twinwalk_fuzz::trace(bytes));
