//! Target `config`: what it does stands at `twinwalk_fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twinwalk_fuzz::config(bytes));
