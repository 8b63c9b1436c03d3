#![no_main]
//! See `c4_fuzz::rtcp`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::rtcp::run(octets));
