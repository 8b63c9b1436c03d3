//! Latching: whatever comes in whatever order, nobody but the learned source gets or gives media.
//!
//! The first octet chooses how it learns, then two octets make a step: what happens, and with which party or pause.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nat::latch::{Expected, Latch, LatchConfig, Learning, Observed};

const PARTIES: [([u8; 4], u16); 8] = [
    ([198, 51, 100, 7], 4000),
    ([198, 51, 100, 7], 31_004),
    ([198, 51, 100, 8], 4000),
    ([203, 0, 113, 66], 4000),
    ([203, 0, 113, 66], 4002),
    ([192, 168, 1, 5], 4000),
    ([0, 0, 0, 0], 4000),
    ([198, 51, 100, 7], 0),
];

fn party(octet: u8) -> SocketAddr {
    PARTIES.get(usize::from(octet % 8)).copied().unwrap_or_default().into()
}

/// Plays the steps.
///
/// # Panics
/// When a stranger is heard by a strict latch, a source changes without a word, or media would go to nowhere.
#[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
pub fn run(data: &[u8]) {
    let Some((choice, steps)) = data.split_first() else { return };
    let learning = match choice % 4 {
        0 => Learning::Heuristic,
        1 => Learning::Immediate,
        2 => Learning::Delayed(3_000),
        _ => Learning::Off,
    };
    let (strict, handover) = (choice & 4 == 0, choice & 8 != 0);
    let mut latch = Latch::new(LatchConfig { learning, strict, handover, ..LatchConfig::default() });
    let mut now = Instant::now();
    let (mut armed, mut vouched) = (false, Vec::new());
    for [what, with] in steps.as_chunks::<2>().0 {
        let from = party(*with);
        match what % 8 {
            0 => {
                let expected = Expected {
                    signalled: (with & 0x40 == 0).then_some(from),
                    received_from: (with & 0x80 != 0).then(|| party(with >> 3).ip()),
                };
                vouched.extend(expected.signalled.map(|at| at.ip()).into_iter().chain(expected.received_from));
                latch.arm(now, expected);
                armed = true;
            }
            1 => {
                latch.follow(from);
                vouched.push(from.ip());
            }
            2 => {
                latch.lock(now, from);
                armed = true;
            }
            3 => now += Duration::from_millis(50) * u32::from(*with),
            how => {
                let (before, locked, admits) = (latch.learned(), latch.is_locked(), latch.admits(from));
                let observed = if how == 4 { latch.observe_authenticated(now, from) } else { latch.observe(now, from) };
                let after = latch.learned();
                match observed {
                    Observed::Learned(at) => assert!(at == from && after == Some(from) && before != after),
                    Observed::Accept | Observed::Drop => assert_eq!(before, after, "never without a word"),
                }
                if !armed {
                    assert_eq!(observed, Observed::Drop, "nothing is heard before signalling");
                }
                if strict && learning != Learning::Off && observed != Observed::Drop {
                    assert!(admits && after == Some(from), "{observed:?} of a stranger");
                }
                if locked && !handover && before != after {
                    assert!(learning == Learning::Heuristic && vouched.contains(&from.ip()), "over is over");
                }
            }
        }
        assert!(latch.remote().is_none_or(|to| !to.ip().is_unspecified() && to.port() != 0), "nowhere");
    }
}
