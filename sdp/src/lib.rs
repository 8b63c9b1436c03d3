//! SDP (RFC 8866), offer/answer (RFC 3264) and JSEP (RFC 9429) without I/O.
//!
//! A [`Session`] is a description: what was received stays octet for octet, an edit touches the lines that it names,
//! and typed values are read from their place when somebody asks.
//!
//! ```
//! use c4_sdp::{Direction, Limits, Scope, Session};
//! let offer = "v=0\r\no=phone 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\n\
//!              m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n";
//! let mut session = Session::parse(offer.into(), &Limits::default()).unwrap();
//! let audio = session.media(0).unwrap();
//! assert_eq!((audio.kind(), audio.port(), audio.direction()), ("audio", 4000, Direction::SendOnly));
//!
//! session.set_connection(Scope::Session, "192.0.2.1".parse().unwrap()).unwrap();
//! session.set_port(0, 30_000).unwrap();
//! assert!(session.to_bytes().ends_with(b"m=audio 30000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n"));
//! ```
#![forbid(unsafe_code)]

pub mod attribute;
pub mod limits;
pub mod line;
pub mod media;
pub mod payload_type;
pub mod protocol;
pub mod session;

pub use attribute::{Attribute, AttributeName, BadAttribute, Direction, Name, TypedAttribute};
pub use limits::Limits;
pub use line::{Bandwidth, BandwidthKind, Connection, MediaLine, Origin};
pub use media::Media;
pub use protocol::Protocol;
pub use session::{BadEdit, ParseError, Scope, Session, Warning, WarningKind};
