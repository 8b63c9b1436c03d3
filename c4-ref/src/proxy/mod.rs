//! The stateful proxy and registrar application, without I/O.

pub mod calls;
