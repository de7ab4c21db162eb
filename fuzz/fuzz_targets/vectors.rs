//! Target `vectors`: what it does stands at `twinwalk_fuzz::vectors`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twinwalk_fuzz::vectors(bytes));
