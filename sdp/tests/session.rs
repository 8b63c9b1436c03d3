//! Descriptions are kept octet for octet, read in spite of oddities, bounded, and edited line by line.
#![allow(clippy::unwrap_used, reason = "a test")]
use std::path::Path;

use c4_sdp::attribute::{Mid, Rtcp, Rtpmap};
use c4_sdp::{BadEdit, Direction, Limits, MediaLine, Origin, ParseError, Protocol, Scope, Session, WarningKind};
use proptest::prelude::*;

const PLAIN: &str = "v=0\r\no=- 7 3 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\na=sendonly\r\n\
    m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp:4001 IN IP4 10.0.0.8\r\n\
    m=video 0 RTP/AVP 31\r\nc=IN IP6 2001:db8::1\r\na=recvonly\r\na=mid:v\r\n";

fn parse(text: &str) -> Session {
    Session::parse(text.to_owned().into(), &Limits::default()).unwrap()
}

fn written(session: &Session) -> String {
    String::from_utf8(session.to_bytes().to_vec()).unwrap()
}

fn kinds(text: &str) -> Vec<WarningKind> {
    parse(text).warnings().iter().map(|warning| warning.kind).collect()
}

#[test]
fn examples_of_rfcs_round_trip_octet_for_octet() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut folders = vec![own];
    if let Some(corpus) = std::env::var_os("C4_CORPUS") {
        let corpus = Path::new(&corpus).join("sdp");
        folders.extend([corpus.join("examples"), corpus.join("rfc4317")]);
    }
    let mut seen = 0;
    for file in folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "sdp") {
            continue;
        }
        let octets = std::fs::read(&path).unwrap();
        let session = Session::parse(octets.clone().into(), &Limits::default());
        let Ok(session) = session else { panic!("{path:?}: {session:?}") };
        assert_eq!(session.to_bytes(), octets, "{path:?}");
        seen += 1;
    }
    assert!(seen >= 5);
}

#[test]
fn rfc8866_5_7_and_6_7_media_inherit_connection_and_direction() {
    let session = parse(PLAIN);
    let [audio, video] = [session.media(0).unwrap(), session.media(1).unwrap()];
    assert_eq!(audio.connection().unwrap().address, "10.0.0.7");
    assert_eq!(video.connection().unwrap().address, "2001:db8::1");
    assert_eq!((audio.direction(), video.direction()), (Direction::SendOnly, Direction::RecvOnly));
    assert_eq!(parse("v=0\r\nm=audio 9 RTP/AVP 0\r\n").media(0).unwrap().direction(), Direction::SendRecv);
    assert_eq!(audio.rtcp().map(|rtcp| (rtcp.port, rtcp.address.unwrap().address)), Some((4001, "10.0.0.8")));
    assert_eq!((video.mid(), session.medias().count(), session.media(2).is_none()), (Some("v"), 2, true));
}

#[test]
fn rfc3551_6_rtpmap_goes_before_the_static_meaning() {
    let text = "v=0\r\nm=audio 9 RTP/AVP 0 8 9 18 96\r\na=rtpmap:0 L16/16000\r\na=rtpmap:8\r\n\
                m=audio 9 RTP/AVP 0\r\n";
    let session = parse(text);
    let codec = |media: usize, number| session.media(media).unwrap().codec(number).map(|codec| codec.to_string());
    assert_eq!(codec(0, 0).as_deref(), Some("0 L16/16000"));
    assert_eq!(codec(0, 8).as_deref(), Some("8 PCMA/8000"), "a malformed rtpmap maps nothing");
    assert_eq!(codec(0, 9).as_deref(), Some("9 G722/8000"));
    assert_eq!(codec(0, 96), None, "a dynamic type means what its rtpmap says");
    assert_eq!(codec(1, 0).as_deref(), Some("0 PCMU/8000"), "the rtpmap of another media description");
}

#[test]
fn edits_touch_the_lines_that_they_name_and_no_others() {
    let mut session = parse(PLAIN);
    session.set_origin_username("relay").unwrap();
    session.set_origin_address("192.0.2.1".parse().unwrap()).unwrap();
    session.set_origin_session_id(99).unwrap();
    session.set_origin_version(4).unwrap();
    session.set_session_name("call").unwrap();
    session.set_connection(Scope::Session, "192.0.2.1".parse().unwrap()).unwrap();
    session.set_connection(Scope::Media(0), "2001:db8::2".parse().unwrap()).unwrap();
    session.set_port(0, 30_000).unwrap();
    session.set_protocol(0, &Protocol::RtpSavpf).unwrap();
    session.set_direction(Scope::Media(0), Direction::Inactive).unwrap();
    session.set_direction(Scope::Media(1), Direction::Inactive).unwrap();
    session.set(Scope::Media(0), &Rtcp { port: 30_001, address: None }).unwrap();
    session.add(Scope::Media(0), &Mid("a")).unwrap();
    assert_eq!(session.remove_attribute(Scope::Media(1), "mid"), 1);
    assert_eq!(
        written(&session),
        "v=0\r\no=relay 99 4 IN IP4 192.0.2.1\r\ns=call\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=sendonly\r\n\
         m=audio 30000 RTP/SAVPF 8 101\r\nc=IN IP6 2001:db8::2\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp:30001\r\n\
         a=inactive\r\na=mid:a\r\nm=video 0 RTP/AVP 31\r\nc=IN IP6 2001:db8::1\r\na=inactive\r\n"
    );
}

#[test]
fn attributes_are_removed_by_condition_in_one_section() {
    let mut session =
        parse("v=0\r\na=x:1\r\nm=audio 9 RTP/AVP 0\r\na=x:1\r\na=x:2\r\na=y\r\nm=audio 9 RTP/AVP 0\r\na=x:1\r\n");
    let removed = session.remove_attributes_if(Scope::Media(0), |attribute| attribute.text() == Some("1"));
    assert_eq!(removed, 1);
    assert!(
        written(&session).contains("a=x:1\r\nm=audio 9 RTP/AVP 0\r\na=x:2\r\na=y\r\nm=audio 9 RTP/AVP 0\r\na=x:1\r\n")
    );
    assert!(session.remove_media(0));
    assert!(!session.remove_media(1));
    assert_eq!(written(&session), "v=0\r\na=x:1\r\nm=audio 9 RTP/AVP 0\r\na=x:1\r\n");
}

#[test]
fn no_edit_smuggles_a_line_in() {
    let mut session = parse(PLAIN);
    let before = session.clone();
    assert_eq!(session.add_attribute(Scope::Session, "x", "1\r\na=evil"), Err(BadEdit::Octet));
    assert_eq!(session.add_attribute(Scope::Session, "x\r\na", ""), Err(BadEdit::Token));
    assert_eq!(session.set_session_name("a\nb"), Err(BadEdit::Octet));
    assert_eq!(session.set_origin_username("a b"), Err(BadEdit::Token));
    assert_eq!(session.set_formats(0, ""), Err(BadEdit::Token));
    assert_eq!(session.set_protocol(0, &Protocol::Other("RTP/AVP 0\r\na=x")), Err(BadEdit::Octet));
    assert_eq!(session.set_port(2, 9), Err(BadEdit::NoMedia));
    assert_eq!(session.set_direction(Scope::Media(2), Direction::Inactive), Err(BadEdit::NoMedia));
    assert_eq!(session.to_bytes(), before.to_bytes());
}

#[test]
fn a_last_line_without_end_is_ended_when_another_follows() {
    let mut session = parse("v=0\r\nm=audio 9 RTP/AVP 0");
    assert_eq!(written(&session), "v=0\r\nm=audio 9 RTP/AVP 0");
    session.add_attribute(Scope::Media(0), "inactive", "").unwrap();
    assert_eq!(written(&session), "v=0\r\nm=audio 9 RTP/AVP 0\r\na=inactive\r\n");
}

#[test]
fn a_built_description_reads_as_strict_sdp() {
    let origin = Origin::parse("- 1 1 IN IP4 192.0.2.1").unwrap();
    let mut session = Session::new(&origin, "").unwrap();
    session.set_connection(Scope::Session, "192.0.2.1".parse().unwrap()).unwrap();
    let line = MediaLine { kind: "audio", port: 4000, count: None, protocol: Protocol::RtpAvp, formats: "96" };
    let audio = session.add_media(&line).unwrap();
    session
        .add(
            Scope::Media(audio),
            &Rtpmap { payload_type: 96, encoding: "opus", clock_rate: 48_000, parameters: Some("2") },
        )
        .unwrap();
    session.add_line(Scope::Media(audio), 'b', "AS:64").unwrap();
    let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                m=audio 4000 RTP/AVP 96\r\nb=AS:64\r\na=rtpmap:96 opus/48000/2\r\n";
    assert_eq!(written(&session), text);
    assert!(Session::parse_strict(text.into(), &Limits::default()).is_ok());
}

#[test]
fn oddities_of_the_field_are_read_with_warnings() {
    assert_eq!(kinds(PLAIN), []);
    let odd = "v=0\no=- 1 1 IN IP4 h.example.com\nm=audio 0\na=rtpmap:19\n";
    assert_eq!(
        kinds(odd),
        [
            WarningKind::BareLineFeed,
            WarningKind::MissingName,
            WarningKind::MissingTime,
            WarningKind::Media,
            WarningKind::Attribute
        ]
    );
    assert_eq!((parse(odd).media(0).unwrap().kind(), parse(odd).media(0).unwrap().port()), ("audio", 0));
    let blanks = "v=0\r\no=- 1 1 IN IP4 h\r\ns= \r\nt=0 0\r\na= SendOnly \r\n\r\nnonsense";
    assert_eq!(
        kinds(blanks),
        [
            WarningKind::Blanks,
            WarningKind::Blanks,
            WarningKind::AttributeCase,
            WarningKind::EmptyLine,
            WarningKind::NoLineEnd,
            WarningKind::NotALine
        ]
    );
    assert_eq!(parse(blanks).direction(), Some(Direction::SendOnly));
    assert_eq!(written(&parse(blanks)), blanks);
    assert!(
        kinds("v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n")
            .contains(&WarningKind::MissingConnection)
    );
    assert!(kinds("v=0\r\ns=a\0b\r\n").contains(&WarningKind::Nul));
    assert!(kinds("v=0\r\ns=a\rb\r\n").contains(&WarningKind::BareCarriageReturn));
    assert!(kinds("v=0\r\nt=0 0\r\ns=-\r\n").contains(&WarningKind::Order));
    assert!(kinds("v=0\r\ns=-\r\ns=-\r\n").contains(&WarningKind::Repeated));
}

#[test]
fn strict_mode_refuses_what_lenient_mode_warns_of() {
    let strict = |text: &str| Session::parse_strict(text.to_owned().into(), &Limits::default());
    assert!(strict(PLAIN).is_ok());
    let malformed = PLAIN.replace("a=mid:v", "a=ptime:-3");
    let Err(ParseError::Strict(warning)) = strict(&malformed) else { panic!("accepted") };
    assert_eq!((warning.kind, warning.line), (WarningKind::Attribute, 13));
    assert!(parse(&malformed).warnings().is_empty(), "lenient mode leaves attributes to their readers");
}

#[test]
fn everything_is_bounded() {
    let error = |text: &str, limits: Limits| Session::parse(text.to_owned().into(), &limits).unwrap_err();
    let limits = Limits::default;
    assert_eq!(error("", limits()), ParseError::NotSdp);
    assert_eq!(error("<html>\r\n", limits()), ParseError::NotSdp);
    assert_eq!(error(PLAIN, Limits { max_octets: 100, ..limits() }), ParseError::TooLarge);
    assert_eq!(error(PLAIN, Limits { max_lines: 12, ..limits() }), ParseError::TooManyLines);
    assert_eq!(error(PLAIN, Limits { max_line: 20, ..limits() }), ParseError::LineTooLong { line: 2 });
    assert_eq!(error(PLAIN, Limits { max_medias: 1, ..limits() }), ParseError::TooManyMedias);
    assert_eq!(error(PLAIN, Limits { max_attributes: 1, ..limits() }), ParseError::TooManyAttributes);
}

#[test]
fn rfc3264_8_only_a_change_asks_for_a_new_version() {
    let first = parse(PLAIN);
    let mut second = first.clone();
    second.set_origin_version(4).unwrap();
    assert!(first.same_but_for_version(&second));
    second.set_port(0, 4002).unwrap();
    assert!(!first.same_but_for_version(&second));
    second.set_port(0, 4000).unwrap();
    assert!(first.same_but_for_version(&second));
    second.set_origin_username("x").unwrap();
    assert!(!first.same_but_for_version(&second));
}

proptest! {
    /// Whatever is read is written as it was, and edits leave what another parse reads alike.
    #[test]
    fn any_octets_round_trip(text in "(v=0\r?\n)?([a-z]=[ a-z0-9:/]{0,12}\r?\n| ?a=[a-zA-Z]{0,6}:?[ -~]{0,6}\n|\r\n|m=audio [0-9]{1,3} RTP/AVP 0\r\n){0,12}[a-z= ]{0,5}") {
        if let Ok(mut session) = Session::parse(text.clone().into(), &Limits::default()) {
            prop_assert_eq!(session.to_bytes(), text.as_bytes());
            _ = session.lint();
            session.set_connection(Scope::Session, "192.0.2.1".parse().unwrap()).unwrap();
            session.set_direction(Scope::Session, Direction::Inactive).unwrap();
            for index in 0..session.media_count() {
                _ = session.set_port(index, 5);
            }
            let again = Session::parse(session.to_bytes(), &Limits::default()).unwrap();
            prop_assert_eq!(&again, &session);
            prop_assert_eq!(again.connection().unwrap().address, "192.0.2.1");
            prop_assert_eq!(again.direction(), Some(Direction::Inactive));
            prop_assert!(again.medias().eq_by_kind(&session));
        }
    }
}

trait SameMedias<'a>: Iterator<Item = c4_sdp::Media<'a>> + Sized {
    fn eq_by_kind(self, other: &Session) -> bool {
        let of = |media: c4_sdp::Media<'_>| (media.kind().to_owned(), media.port(), media.attributes().count());
        self.map(of).eq(other.medias().map(of))
    }
}

impl<'a, I: Iterator<Item = c4_sdp::Media<'a>>> SameMedias<'a> for I {}

#[test]
fn debug_output_tells_no_secret() {
    let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/SAVP 0\r\na=ice-pwd:hush-hush-hush-hush-hush\r\n\
                a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:hush\r\n";
    let session = Session::parse(text.into(), &Limits::default()).unwrap();
    let media = session.media(0).unwrap();
    let lines: Vec<_> = session.lines().collect();
    let attributes: Vec<_> = media.attributes().collect();
    for debug in [format!("{session:?}"), format!("{media:?}"), format!("{lines:?}"), format!("{attributes:?}")] {
        assert!(!debug.contains("hush") && !debug.contains("104, 117, 115, 104"), "{debug}");
    }
}
