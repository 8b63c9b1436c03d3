#![no_main]
//! See `c4_fuzz::digest`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::digest::run(octets));
