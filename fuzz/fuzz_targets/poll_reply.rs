//! Searches for an answer to a poll that is believed and should not be, or a reason that tells too much.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::zimbabwe::poll_reply(data));
