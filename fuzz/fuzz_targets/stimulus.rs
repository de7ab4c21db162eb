//! Target `stimulus`: what it does stands at `twinwalk_fuzz::stimulus`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twinwalk_fuzz::stimulus(bytes));
