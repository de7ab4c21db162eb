//! Target `map`: what it does stands at `twinwalk_fuzz::map`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twinwalk_fuzz::map(bytes));
