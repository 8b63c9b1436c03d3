//! What a request asks of the media and of the SDP.

use std::net::IpAddr;
use std::time::Duration;

/// The flags of a request. `Default` is a request without any.
///
/// Names are those of the NG protocol of rtpengine; the fields say what they mean to a relay of plain RTP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `replace`: what of the session is rewritten beside the media addresses and ports.
    pub replace: Replace,
    /// `trust-address` or `SIP-source-address`; `None`: as the relay is configured.
    pub address: Option<AddressSource>,
    /// `direction`, `from-interface` and `to-interface`.
    pub direction: Direction,
    /// `address-family` of the SDP that goes out; `None`: left as it is.
    pub address_family: Option<AddressFamily>,
    /// `media-address`: the address that the SDP going out names, instead of the interface's.
    pub media_address: Option<IpAddr>,
    /// `rtcp-mux`: RFC 5761 on one side or the other.
    pub rtcp_mux: RtcpMux,
    /// `symmetric`: the default, said aloud.
    pub symmetric: bool,
    /// `asymmetric`: the party sends from elsewhere than it receives; nothing is learned from what it sends.
    pub asymmetric: bool,
    /// `strict-source`: drop what comes from elsewhere than was learned.
    pub strict_source: bool,
    /// `media-handover`: follow a source that changes, without signalling.
    pub media_handover: bool,
    /// `port-latching` (true) or `no-port-latching` (false): keep our ports though the party's change.
    pub port_latching: Option<bool>,
    /// `endpoint-learning`; `None`: as the relay is configured.
    pub endpoint_learning: Option<EndpointLearning>,
    /// `TOS` of the packets that go out, for the whole call.
    pub tos: Tos,
    /// `no-rtcp-attribute` or `full-rtcp-attribute`.
    pub rtcp_attribute: RtcpAttribute,
    /// `generate-mid`: add `a=mid` (RFC 5888) where there is none.
    pub generate_mid: bool,
    /// `loop-protect`: mark the SDP, and leave SDP alone that has the mark.
    pub loop_protect: bool,
    /// `reset`: forget what was learned of the endpoints.
    pub reset: bool,
    /// `original-sendrecv`: leave the direction attributes of the SDP alone.
    pub original_sendrecv: bool,
    /// `NAT-wait`: send nothing to a party before something came from it.
    pub nat_wait: bool,
    /// `pierce-NAT`: send empty packets to a party until something came from it.
    pub pierce_nat: bool,
    /// `drop-traffic`.
    pub drop_traffic: Option<DropTraffic>,
    /// `label`: the name of the party in logs and answers.
    pub label: Option<String>,
    /// `metadata` of the call.
    pub metadata: Option<String>,
    /// `ICE`; `None` is the same as [`Ice::Default`].
    pub ice: Option<Ice>,
    /// `DTLS=off`.
    pub dtls_off: bool,
    /// `SDES-off`.
    pub sdes_off: bool,
    /// `transport-protocol` of the SDP that goes out; `None`: left as it is.
    pub transport_protocol: Option<TransportProtocol>,
    /// `delete-delay`: how long a deleted call lives on; zero: not at all.
    pub delete_delay: Option<Duration>,
    /// Flag `to-tag` of a delete: the `to-tag` selects one branch.
    pub honour_to_tag: bool,
    /// Flag `fatal` of a delete: an unknown call is an error, not a warning.
    pub fatal: bool,
    /// `supports: load limit`: the client tries another relay when it is told so.
    pub supports_load_limit: bool,
    /// `sip-message-type`: what the offer or answer travelled in.
    pub message_type: Option<MessageType>,
    /// `sip-code`: the status of that response.
    pub sip_code: Option<u16>,
    /// Keys and flags that are not known, as they were written: at most 16, of 64 characters each. They are without
    /// effect.
    pub unknown: Vec<String>,
    /// How many more were unknown.
    pub more_unknown: u32,
    /// A known key or flag that would change the media and that cannot be served: why, for the answer. Set for offers
    /// and answers only.
    pub unsupported: Option<String>,
}

/// What of the session part of the SDP is rewritten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replace {
    /// `origin`: the address in the `o=` line.
    pub origin: bool,
    /// `origin-full`: the whole `o=` line stays the same towards one party.
    pub origin_full: bool,
    /// `session-connection`: the `c=` line of the session. It is always rewritten; the flag is of old.
    pub session_connection: bool,
    /// `SDP-version`: the version in the `o=` line counts changes towards one party (RFC 3264 §8).
    pub sdp_version: bool,
    /// `force-increment-sdp-ver`: that version goes up even where nothing changed.
    pub force_increment: bool,
    /// `username`: the user name in the `o=` line stays the same towards one party.
    pub username: bool,
    /// `session-name`: the `s=` line stays the same towards one party.
    pub session_name: bool,
    /// `zero-address`: 0.0.0.0, the old form of hold (RFC 2543), is replaced by a real address.
    pub zero_address: bool,
}

/// Where the address of a party is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressSource {
    /// `trust-address`: from its SDP.
    Sdp,
    /// `SIP-source-address`: from where its signalling came, `received-from`.
    Signalling,
}

/// The interfaces of a call, by the names that the relay's configuration gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Direction {
    /// Facing the party that sent this message.
    pub from: Option<String>,
    /// Facing the party that will get it.
    pub to: Option<String>,
}

/// An address family, as SDP names it (RFC 8866 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFamily {
    /// IPv4.
    Ip4,
    /// IPv6.
    Ip6,
}

/// RTP and RTCP on one port (RFC 5761).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RtcpMux {
    /// Offer it, even if it was not offered.
    pub offer: bool,
    /// Offer it as if it was accepted already: no port for RTCP.
    pub require: bool,
    /// If it was offered: accept it, and do not offer it on.
    pub demux: bool,
    /// If it was offered: accept it, and offer it on.
    pub accept: bool,
    /// If it was offered: reject it.
    pub reject: bool,
}

/// How the real address of a party is learned from its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointLearning {
    /// Not at all.
    Off,
    /// From the first packet.
    Immediate,
    /// From the first packet after three seconds.
    Delayed,
    /// From the best match within three seconds.
    Heuristic,
}

/// The type of service of the packets that go out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tos {
    /// As the relay is configured.
    #[default]
    Default,
    /// As it was in this call.
    Keep,
    /// This octet: DSCP in the upper six bits.
    Set(u8),
}

/// The `a=rtcp` line (RFC 3605) of the SDP that goes out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RtcpAttribute {
    /// With the port.
    #[default]
    Port,
    /// None.
    Omit,
    /// With port and address.
    Full,
}

/// Whether all packets of a call are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropTraffic {
    /// From now on.
    Start,
    /// No longer.
    Stop,
}

/// What becomes of ICE (RFC 8445) in the SDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ice {
    /// Its attributes are taken off.
    Remove,
    /// It is offered where it was offered.
    Default,
}

/// The protocol of the media lines that go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportProtocol {
    /// `RTP/AVP` (RFC 3551).
    Avp,
    /// `RTP/AVPF` (RFC 4585).
    Avpf,
    /// In an answer: what the answer says, not what was offered.
    Accept,
}

/// What an offer or answer travelled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageType {
    /// A SIP request.
    Request,
    /// A SIP response.
    Response,
}

impl Flags {
    /// Reads flags from one line of text, as they stand in a configuration: names and `name=value` with blanks between
    /// them, `name=[a b]` for lists. Nothing fails: see [`Flags::unknown`] and [`Flags::unsupported`] afterwards.
    ///
    /// ```
    /// let flags = c4_ref::ng::Flags::from_text("replace-origin trust-address rtcp-mux=[offer] TOS=184");
    /// assert!(flags.replace.origin && flags.rtcp_mux.offer);
    /// assert_eq!(flags.tos, c4_ref::ng::Tos::Set(184));
    /// ```
    pub fn from_text(text: &str) -> Flags {
        let mut keys = super::keys::Keys::new(super::Command::Offer);
        keys.text(text.as_bytes());
        keys.flags
    }
}
