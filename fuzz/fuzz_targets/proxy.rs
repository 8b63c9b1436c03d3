#![no_main]
//! See `c4_fuzz::proxy`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::proxy::run(octets));
