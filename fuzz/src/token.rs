//! Route and reply tokens from anybody.

use nat::keys::KeyRing;

const NOW: u64 = 1_800_000_000;
const LIFETIME: u64 = 3600;

/// Opens the input as a token, and reads it as a key file. The first line is the Call-ID or branch.
///
/// # Panics
/// When a token is accepted that our ring did not sign, or a key file does not come back as it was.
pub fn run(data: &[u8]) {
    let ring = KeyRing::generate([1; 32], [2; 32], 0);
    let end = data.iter().position(|octet| *octet == b'\n').unwrap_or(data.len());
    let (bound, token) = data.split_at(end);
    let token = token.trim_ascii();
    if let Ok(open) = ring.open(token, bound, NOW, LIFETIME) {
        let mut again = Vec::new();
        // The time of signing is the only part that the content does not show.
        (0..=LIFETIME + 300).find(|age| {
            again.clear();
            ring.seal(&open, bound, NOW + 300 - age, &mut again);
            again == token
        });
        assert_eq!(again, token, "accepted, but not ours");
    }
    if let Ok(open) = ring.open_reply(token, bound, NOW, LIFETIME) {
        let mut again = Vec::new();
        ring.seal_reply(&open, bound, NOW, &mut again);
        assert_eq!(again, token, "accepted, but not ours");
    }
    if let Ok(read) = KeyRing::parse(&String::from_utf8_lossy(data)) {
        assert_eq!(KeyRing::parse(&read.to_text()).as_ref(), Ok(&read));
    }
}
