#![no_main]
//! See `c4_fuzz::register`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::register::run(octets));
