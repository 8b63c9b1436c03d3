#![no_main]
//! See `c4_fuzz::pcap`.

libfuzzer_sys::fuzz_target!(|octets: &[u8]| c4_fuzz::pcap::run(octets));
