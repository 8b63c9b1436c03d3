#![no_main]
//! See `c4_fuzz::message`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::message::run(octets));
