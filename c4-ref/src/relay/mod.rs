//! The media relay: offers and answers of the NG protocol in, SDP that names our own ports out, media in between.
//!
//! `media` is the table of sockets and the hot path; everything else here is signalling.

pub mod media;
