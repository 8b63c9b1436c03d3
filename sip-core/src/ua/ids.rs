//! Identifiers of user agents: unguessable text from a seed, and the handles that callers hold.
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Makes tags, Call-IDs and random numbers from a seed: the same seed gives the same sequence.
#[derive(Clone, Hash)]
pub(crate) struct IdSource {
    seed: [u8; 32],
    counter: u64,
}

impl IdSource {
    pub(crate) fn new(seed: [u8; 32]) -> IdSource {
        IdSource { seed, counter: 0 }
    }

    /// 64 bits that nobody without the seed can tell.
    pub(crate) fn random(&mut self) -> u64 {
        self.counter += 1;
        let digest = Sha256::new().chain_update(self.seed).chain_update(self.counter.to_be_bytes()).finalize();
        digest.iter().take(8).fold(0, |number, octet| number << 8 | u64::from(*octet))
    }

    /// A From or To tag: 64 random bits, twice what RFC 3261 §19.3 asks for.
    pub(crate) fn tag(&mut self) -> String {
        format!("{:016x}", self.random())
    }

    /// A Call-ID: 128 random bits (RFC 3261 §8.1.1.4).
    pub(crate) fn call_id(&mut self) -> String {
        let mut id = String::with_capacity(32);
        let _ = write!(id, "{:016x}{:016x}", self.random(), self.random());
        id
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.random() % (high.saturating_sub(low) + 1)
    }
}

/// A dialog, early or confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DialogKey(pub(crate) u64);

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u64);

        impl $name {
            /// The number, unique within one `Ua` and never reused.
            pub fn get(self) -> u64 {
                self.0
            }
        }
    )*};
}

handles! {
    /// An INVITE session: one call attempt and what becomes of it.
    SessionId,
    /// A request inside a dialog that the application sent or has to answer.
    RequestId,
    /// A registration that is kept alive.
    RegistrationId,
}
