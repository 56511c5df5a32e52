//! Where decoding can start.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porchlight::capture::fuzz::access_unit(data));
