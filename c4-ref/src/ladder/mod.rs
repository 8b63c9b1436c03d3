//! Calls as ladder diagrams: parties across, time down, one arrow a message; and what is needed to read them out of a
//! capture file.
mod calls;
mod draw;
mod fragments;
mod label;
mod live;
pub mod packet;
pub mod pcap;
mod streams;
mod tcp;
#[cfg(test)]
mod tests;
mod text;
mod trace;

pub use calls::{Call, Row};
pub use draw::{Step, draw};
pub use label::{label, method};
pub use live::live;
pub use streams::Stream;
pub use text::{Choice, render, render_call};
pub use trace::{Counts, Trace};
