//! The NG control protocol between a SIP proxy and a media relay, both sides, without I/O.
//!
//! A message is a cookie, a blank and a dictionary in [`bencode`]; it travels in a UDP datagram or one after the other
//! on a TCP connection. [`Request`] and [`Reply`] are what the dictionaries say, [`Flags`] what a request asks of the
//! media. [`server::Server`] is the side of the relay, [`client::Client`]
//! that of the proxy.
//!
//! ```
//! use c4_ref::ng::{Command, Reply, Request};
//! let request = Request::parse(&bytes::Bytes::from_static(b"d7:command4:pinge")).unwrap();
//! assert_eq!(request.command, Command::Ping);
//! assert_eq!(Reply::Pong.to_vec(), b"d6:result4:ponge");
//! ```

pub mod bencode;
pub mod client;
mod command;
mod flag_text;
mod flags;
mod framer;
mod keys;
mod refused;
mod reply;
mod request;
pub mod server;
mod words;
mod write;

pub use command::Command;
pub use flags::{
    AddressFamily, AddressSource, Direction, DropTraffic, EndpointLearning, Flags, Ice, MessageType, Replace,
    RtcpAttribute, RtcpMux, Tos, TransportProtocol,
};
pub use reply::{Reply, ReplyDefect};
pub use request::{Request, RequestDefect};
