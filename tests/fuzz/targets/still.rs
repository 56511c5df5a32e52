//! JPEGs and uncoded pictures.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porchlight::decode::fuzz::still(data));
