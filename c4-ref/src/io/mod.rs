//! The only sockets, clocks, files and tasks of the project.
//!
//! The data plane is one thread per worker: an epoll loop (`worker`) over that worker's datagram sockets, listeners
//! and connections, its [`Machine`](crate::machine::Machine) and a mailbox. Nothing on the way of a datagram crosses a
//! thread unless the machine names another shard. The relay has a loop of its own (`media`), with a socket per stream
//! and no queue on the way of a packet. The control plane (signals, admin socket) is a small tokio runtime
//! on the main thread; stores and record files have a writer thread each.

pub mod admin;
mod backlog;
mod burst;
mod capture;
mod cdr;
mod connection;
mod connections;
mod files;
pub mod heap;
pub mod ladder;
pub mod logs;
mod mailbox;
mod media;
pub mod operator;
pub mod phones;
mod poller;
mod process;
pub mod program;
mod relay;
mod reload;
pub mod roles;
mod server;
mod sockets;
mod sources;
mod stats;
mod store;
mod tls;
mod udp;
mod worker;

#[cfg(test)]
mod tests;

pub use capture::{Capture, Captured};
pub use cdr::{CdrFile, CdrThread, CdrWriter};
pub use files::{key_file, raise_file_limit, random, unix_millis};
pub use media::MediaOptions;
pub use server::{Handle, Options, Outputs, Server, Tap, Timeouts};
pub use sockets::{BindError, Sockets};
pub use sources::Sources;
pub use store::{Store, StoreError, StoreThread, StoreWriter};
pub use tls::{Tls, TlsError};
