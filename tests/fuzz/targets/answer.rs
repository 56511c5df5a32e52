//! Answers of ONVIF services.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| porchlight::discover::fuzz::answer(data));
