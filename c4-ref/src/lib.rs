//! The reference roles built on the c4 crates: load balancer, proxy and registrar, and the program that drives them.
//! Everything but `io` is without I/O; feature `daemon` (default) adds `io` and the binaries.

pub mod admin;
pub mod cdr;
pub mod config;
#[cfg(feature = "daemon")]
pub mod demo;
pub mod identity;
#[cfg(feature = "daemon")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the one room with clocks and sockets")]
pub mod io;
pub mod ladder;
pub mod lb;
pub mod machine;
pub mod net;
pub mod ng;
pub mod phone;
pub mod proxy;
pub mod quality;
pub mod relay;
pub mod route;
pub mod source;
