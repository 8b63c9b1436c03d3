//! The test kit: a virtual clock, a virtual network, the contract property test, and a counting allocator.
//!
//! It knows no protocol: a machine enters by a small adapter.

mod alloc;
mod clock;
mod contract;
mod dice;
mod network;

pub use alloc::{Counting, Heap};
pub use clock::Clock;
pub use contract::{Contract, Driver, Outcome, Run, check};
pub use dice::Dice;
pub use network::{Delivery, Link, Network, Traffic};
