//! Target `setting`: what it does stands at `twinwalk_fuzz::setting`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twinwalk_fuzz::setting(bytes));
