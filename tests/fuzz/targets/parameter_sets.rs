//! What streams say about their pictures.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porchlight::decode::fuzz::parameter_sets(data));
