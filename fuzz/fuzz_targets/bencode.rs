#![no_main]
//! See `c4_fuzz::bencode`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::bencode::run(octets));
