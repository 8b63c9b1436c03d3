#![no_main]
//! See `c4_fuzz::latch`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::latch::run(octets));
