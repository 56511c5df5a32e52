//! Bodies of pictures over HTTP.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porchlight::capture::fuzz::parts(data));
