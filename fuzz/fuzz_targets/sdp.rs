#![no_main]
//! See `c4_fuzz::sdp`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::sdp::run(octets));
