//! Target `operations`: what it does stands at `twinwalk_fuzz::operations`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twinwalk_fuzz::operations(bytes));
