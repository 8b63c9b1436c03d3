#![no_main]
//! See `c4_fuzz::token`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::token::run(octets));
