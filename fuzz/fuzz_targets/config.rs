//! Searches for a configuration that is accepted and should not be, or a finding that tells too much.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::config::holds(data));
