//! Answers to WS-Discovery.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porchlight::discover::fuzz::announcement(data));
