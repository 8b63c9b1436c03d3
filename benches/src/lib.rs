//! Benches of the hot paths: the operations that the criterion benches time and the callgrind script counts.

pub mod lb;
pub mod ng;
pub mod proxy;
pub mod register;
pub mod relay;
pub mod sdp;
pub mod sip;
pub mod transaction;
