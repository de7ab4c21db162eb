//! Target `lockstep`: what it does stands at `twinwalk_fuzz::lockstep`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twinwalk_fuzz::lockstep(bytes));
