#![no_main]
//! See `c4_fuzz::ng`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::ng::run(octets));
