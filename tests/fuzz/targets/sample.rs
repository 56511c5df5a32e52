//! Samples of files, and what files say about them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porchlight::capture::fuzz::sample(data));
