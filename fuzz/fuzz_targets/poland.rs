//! Searches for a Polish notification or reply that is believed and should not be, or a reason that tells too much.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::poland::holds(data));
