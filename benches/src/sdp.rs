//! Descriptions: parse and write.

use bytes::Bytes;
use sdp::{Limits, Session};

/// An operation with its state.
pub type Operation = (&'static str, Box<dyn FnMut() -> usize>);

/// The offer of a browser with audio, video and a data channel: 5966 octets.
pub const OFFER: &[u8] = include_bytes!("../../sdp/tests/data/webrtc-offer.sdp");

/// Their names, without making their state.
pub const NAMES: [&str; 2] = ["sdp/parse", "sdp/parse+write"];

/// The operation of that name.
pub fn operation(name: &str) -> Option<Operation> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    // As a receive loop has them: octets on the heap, counted.
    let offer = Bytes::from(OFFER.to_vec());
    let limits = Limits::default();
    let parse = move || Session::parse(std::hint::black_box(&offer).clone(), &limits).ok();
    let run: Box<dyn FnMut() -> usize> = match name {
        "sdp/parse" => {
            Box::new(move || parse().map_or(0, |session| std::hint::black_box(&session).warnings().len() + 1))
        }
        _ => {
            let mut out = Vec::with_capacity(2 * OFFER.len());
            Box::new(move || {
                out.clear();
                parse().map_or(0, |session| {
                    session.write(&mut out);
                    out.len()
                })
            })
        }
    };
    Some((name, run))
}
