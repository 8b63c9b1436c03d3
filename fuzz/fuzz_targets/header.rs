#![no_main]
//! See `c4_fuzz::header`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::header::run(octets));
