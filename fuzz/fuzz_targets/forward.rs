#![no_main]
//! See `c4_fuzz::forward`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::forward::run(octets));
