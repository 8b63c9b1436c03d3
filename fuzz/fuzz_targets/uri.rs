#![no_main]
//! See `c4_fuzz::uri`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::uri::run(octets));
