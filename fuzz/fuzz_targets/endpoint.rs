#![no_main]
//! See `c4_fuzz::endpoint`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::endpoint::run(octets));
