//! Searches for a poll URL that is taken and leads elsewhere.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::poll_url::holds(data));
