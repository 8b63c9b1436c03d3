#![no_main]
//! See `c4_fuzz::relay`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::relay::run(octets));
