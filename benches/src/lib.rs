//! Benches of the hot paths: the operations that the criterion benches time and the callgrind script counts.

pub mod sip;
