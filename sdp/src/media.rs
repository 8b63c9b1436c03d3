//! A media description in its session.

use crate::attribute::{
    Attribute, AttributeName, BadAttribute, Direction, Fmtp, MaxPtime, Mid, Name, Ptime, Rtcp, Rtpmap, TypedAttribute,
};
use crate::line::{Bandwidth, Connection, MediaLine};
use crate::payload_type::static_codec;
use crate::protocol::Protocol;
use crate::session::index::Line;
use crate::{Scope, Session};

/// A media description: `m=` and the lines up to the next `m=` (RFC 8866 §5.14). It costs nothing to make.
///
/// ```
/// use c4_sdp::{Limits, Session};
/// let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 96\r\n\
///             c=IN IP4 192.0.2.7\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtcp-mux\r\na=ptime:20\r\n";
/// let session = Session::parse(text.into(), &Limits::default()).unwrap();
/// let audio = session.media(0).unwrap();
/// assert_eq!(audio.payload_types().collect::<Vec<_>>(), [0, 96]);
/// assert_eq!(audio.rtpmap(96).map(|map| (map.encoding, map.clock_rate)), Some(("opus", 48_000)));
/// assert_eq!(audio.fmtp(96).and_then(|fmtp| fmtp.parameter("useinbandfec")), Some("1"));
/// assert_eq!((audio.ptime(), audio.rtcp_mux()), (Some(20.0), true));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Media<'a> {
    session: &'a Session,
    lines: &'a [Line],
    index: usize,
}

impl<'a> Media<'a> {
    pub(crate) fn new(session: &'a Session, lines: &'a [Line], index: usize) -> Media<'a> {
        Media { session, lines, index }
    }

    pub(crate) fn index_lines(&self) -> &'a [Line] {
        self.lines
    }

    /// The description that it stands in.
    pub fn session(&self) -> &'a Session {
        self.session
    }

    /// Its number, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its place for edits.
    pub fn scope(&self) -> Scope {
        Scope::Media(self.index)
    }

    /// Its `m=` line; None if kind or port is malformed.
    pub fn line(&self) -> Option<MediaLine<'a>> {
        self.value_of('m').and_then(MediaLine::parse)
    }

    /// What it is: `audio`, `video`, `image`, `application`, `text`, `message` or another; empty if malformed.
    pub fn kind(&self) -> &'a str {
        self.line().map_or("", |line| line.kind)
    }

    /// The port; 0 if it is rejected, bundle-only or malformed.
    pub fn port(&self) -> u16 {
        self.line().map_or(0, |line| line.port)
    }

    /// How many ports or pairs of ports, 1 if it does not say.
    pub fn port_count(&self) -> u32 {
        self.line().and_then(|line| line.count).unwrap_or(1)
    }

    /// The transport.
    pub fn protocol(&self) -> Protocol<'a> {
        self.line().map_or(Protocol::Other(""), |line| line.protocol)
    }

    /// The formats in their order, preferred first.
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.line().map_or("", |line| line.formats).split_ascii_whitespace()
    }

    /// The formats that are payload types of RTP: 0 to 127.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.formats().filter_map(|format| format.parse().ok().filter(|number| *number < 128))
    }

    /// The value of the first line of a type, trimmed; None if absent or no UTF-8.
    pub fn value_of(&self, letter: char) -> Option<&'a str> {
        self.session.first_value(self.lines, letter as u8)
    }

    /// Its title, `i=`.
    pub fn title(&self) -> Option<&'a str> {
        self.value_of('i')
    }

    /// Its own connection data, else the session's (RFC 8866 §5.7).
    pub fn connection(&self) -> Option<Connection<'a>> {
        self.own_connection().or_else(|| self.session.connection())
    }

    /// Its own connection data.
    pub fn own_connection(&self) -> Option<Connection<'a>> {
        self.value_of('c').and_then(Connection::parse)
    }

    /// Its bandwidths, `b=`.
    pub fn bandwidths(&self) -> impl Iterator<Item = Bandwidth<'a>> + use<'a> {
        let session = self.session;
        let lines = self.lines.iter().filter(|line| line.letter() == b'b');
        lines.filter_map(|line| Bandwidth::parse(crate::session::text(session.line_value(line))?))
    }

    /// Its own direction, else the session's, else sendrecv (RFC 8866 §6.7).
    pub fn direction(&self) -> Direction {
        self.own_direction().or_else(|| self.session.direction()).unwrap_or_default()
    }

    /// Its own direction.
    pub fn own_direction(&self) -> Option<Direction> {
        self.session.direction_in(self.lines)
    }

    /// Its attributes in their order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        self.session.attributes_in(self.lines)
    }

    /// Its first attribute of this name: the value, trimmed, `""` for a flag; None if absent or no UTF-8.
    pub fn attribute<'n>(&self, name: impl Into<Name<'n>>) -> Option<&'a str> {
        self.session.find_attribute(self.lines, name.into())?.text()
    }

    /// As [`attribute`](Media::attribute), else the session's.
    pub fn attribute_or_session<'n>(&self, name: impl Into<Name<'n>>) -> Option<&'a str> {
        let name = name.into();
        self.attribute(name).or_else(|| self.session.attribute(name))
    }

    /// Whether it has an attribute of this name.
    pub fn has<'n>(&self, name: impl Into<Name<'n>>) -> bool {
        self.session.find_attribute(self.lines, name.into()).is_some()
    }

    /// Its first attribute of a type; None if absent.
    pub fn typed<A: TypedAttribute<'a>>(&self) -> Option<Result<A, BadAttribute>> {
        self.typed_all().next()
    }

    /// All its attributes of a type.
    pub fn typed_all<A: TypedAttribute<'a>>(&self) -> impl Iterator<Item = Result<A, BadAttribute>> + use<'a, A> {
        self.session.typed_in(self.lines)
    }

    /// The encoding that it maps a payload type to; None without a well-formed `a=rtpmap` for it.
    pub fn rtpmap(&self, payload_type: u8) -> Option<Rtpmap<'a>> {
        self.typed_all::<Rtpmap<'a>>().flatten().find(|map| map.payload_type == payload_type)
    }

    /// What a payload type means here: its well-formed `a=rtpmap`, else the static meaning (RFC 3551 §6). The number
    /// need not be among [`payload_types`](Media::payload_types).
    ///
    /// ```
    /// use c4_sdp::{Limits, Session};
    /// let text = "v=0\r\nm=audio 4000 RTP/AVP 9 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    /// let session = Session::parse(text.into(), &Limits::default()).unwrap();
    /// let audio = session.media(0).unwrap();
    /// let codecs: Vec<_> = audio.payload_types().filter_map(|number| audio.codec(number)).collect();
    /// assert_eq!(codecs.iter().map(|codec| codec.encoding).collect::<Vec<_>>(), ["G722", "telephone-event"]);
    /// ```
    pub fn codec(&self, payload_type: u8) -> Option<Rtpmap<'a>> {
        self.rtpmap(payload_type).or_else(|| static_codec(payload_type))
    }

    /// The parameters of a payload type.
    pub fn fmtp(&self, payload_type: u8) -> Option<Fmtp<'a>> {
        self.typed_all::<Fmtp<'a>>().flatten().find(|fmtp| fmtp.format.parse() == Ok(payload_type))
    }

    /// Its identification tag (RFC 5888).
    pub fn mid(&self) -> Option<&'a str> {
        Some(self.typed::<Mid<'a>>()?.ok()?.0)
    }

    /// Time of media in a packet, in ms.
    pub fn ptime(&self) -> Option<f32> {
        Some(self.typed::<Ptime>()?.ok()?.0)
    }

    /// The most time of media in a packet, in ms.
    pub fn max_ptime(&self) -> Option<f32> {
        Some(self.typed::<MaxPtime>()?.ok()?.0)
    }

    /// Where RTCP goes, if it says (RFC 3605).
    pub fn rtcp(&self) -> Option<Rtcp<'a>> {
        self.typed::<Rtcp<'a>>()?.ok()
    }

    /// Whether RTP and RTCP may share a port (RFC 5761, RFC 8858).
    pub fn rtcp_mux(&self) -> bool {
        self.has(AttributeName::RtcpMux) || self.has(AttributeName::RtcpMuxOnly)
    }
}
