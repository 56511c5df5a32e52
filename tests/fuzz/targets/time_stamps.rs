//! When pictures were taken.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porchlight::capture::fuzz::time_stamps(data));
