//! Descriptions: reading never fails hard, writing is lossless, what edits wrote reads alike.

use bytes::Bytes;
use sdp::{Direction, Limits, Scope, Session};

/// Any description.
pub fn run(octets: &[u8]) {
    let limits = Limits::default();
    let Ok(mut session) = Session::parse(Bytes::copy_from_slice(octets), &limits) else { return };
    assert_eq!(session.to_bytes(), octets, "writing is lossless");
    _ = session.lint();
    for media in session.medias() {
        _ = (media.port(), media.connection(), media.direction(), media.mid(), media.ptime(), media.rtcp());
        _ = media.payload_types().filter_map(|number| media.codec(number)).count();
        _ = media.attributes().filter_map(|attribute| attribute.text()).count();
    }
    let before = session.clone();
    _ = session.set_origin_version(9);
    // An edit leaves one line of those that may stand once.
    if before.lines().filter(|line| line.letter == Some('o')).count() == 1 {
        assert!(session.same_but_for_version(&before), "only the version differs");
    }
    session.set_connection(Scope::Session, [192, 0, 2, 1].into()).expect("an address");
    for index in 0..session.media_count() {
        session.set_direction(Scope::Media(index), Direction::Inactive).expect("a media description");
        _ = session.set_port(index, 4000);
    }
    // The edits add a few lines.
    let limits = Limits { max_octets: usize::MAX, max_lines: usize::MAX, max_attributes: usize::MAX, ..limits };
    let again = Session::parse(session.to_bytes(), &limits).expect("what we write can be read");
    assert!(again == session, "what is written is what was edited");
    assert!(again.medias().all(|media| media.direction() == Direction::Inactive));
}
