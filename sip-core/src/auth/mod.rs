//! Digest access authentication, server and client (RFC 7616, RFC 8760, RFC 3261 §22).
//!
//! The server is [`Challenger`]; its nonces are not stored anywhere. The client is [`Client`]. Neither looks at a clock or
//! reads a file: time, seeds and the text of the key file come from the caller.

mod algorithm;
mod challenge;
mod client;
mod credentials;
mod digest;
mod digest_uri;
mod hex;
mod keys;
mod nonce;
mod param;
mod replay;
mod server;
#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, Hash, Qop};
pub use challenge::DigestChallenge;
pub use client::{Account, Asked, Attempt, Client, NoAnswer};
pub use credentials::DigestCredentials;
pub use digest::{Ha1, userhash};
pub use digest_uri::UriRule;
pub use keys::{Key, KeyRing, KeyRingError, KeyRingProblem, SECRET_OCTETS};
pub use nonce::NonceId;
pub use replay::{Replay, Replayed};
pub use server::{BadReason, Challenger, Outcome, Proof, Secret, ServerConfig, Subject, UserName};
