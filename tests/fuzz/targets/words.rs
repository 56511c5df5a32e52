//! Errors of cameras in words.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porchlight::capture::fuzz::words(data));
