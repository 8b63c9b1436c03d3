#![no_main]
//! See `c4_fuzz::stream`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::stream::run(octets));
