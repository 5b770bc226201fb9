//! Searches for a form that is not read as it is written.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::form::holds(data));
