#![no_main]
//! See `c4_fuzz::lb`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::lb::run(octets));
