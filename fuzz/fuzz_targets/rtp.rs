#![no_main]
//! See `c4_fuzz::rtp`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::rtp::run(octets));
