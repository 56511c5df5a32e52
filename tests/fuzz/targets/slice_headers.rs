//! What access units say about themselves, as it is read for libavcodec.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porchlight::decode::fuzz::slice_headers(data));
