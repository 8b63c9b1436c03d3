use super::*;
use crate::ng::bencode::Value;
use crate::ng::flags::*;
use proptest::prelude::*;
use std::time::Duration;

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\n";

/// Bencode from a form that can be read: `{a: b, c: [d e]}` is built by hand below, this joins pairs.
fn dict(pairs: &[(&str, &str)]) -> Bytes {
    let string = |text: &str| format!("{}:{text}", text.len());
    let value = |text: &str| match text.strip_prefix('[') {
        Some(list) => {
            let items: String = list.trim_end_matches(']').split(',').filter(|i| !i.is_empty()).map(string).collect();
            format!("l{items}e")
        }
        None => match text.strip_prefix('#') {
            Some(raw) => raw.to_owned(),
            None => string(text),
        },
    };
    let body: String = pairs.iter().map(|(key, text)| string(key) + &value(text)).collect();
    format!("d{body}e").into()
}

fn parse(pairs: &[(&str, &str)]) -> Request {
    Request::parse(&dict(pairs)).unwrap()
}

fn offer(more: &[(&str, &str)]) -> Request {
    let base = [("sdp", SDP), ("call-id", "c1"), ("from-tag", "a"), ("command", "offer")];
    parse(&[base.as_slice(), more].concat())
}

#[test]
fn the_stock_offer_of_kamailio_5_6() {
    let request = parse(&[
        ("supports", "[load limit]"),
        ("sdp", SDP),
        ("ICE", "remove"),
        ("flags", "[SIP-source-address]"),
        ("replace", "[origin,session-connection]"),
        ("call-id", "3c26-abc@192.0.2.1"),
        ("received-from", "[IP4,198.51.100.7]"),
        ("from-tag", "as7d6"),
        ("command", "offer"),
    ]);
    assert_eq!(request.command, Command::Offer);
    assert_eq!(request.call_id, "3c26-abc@192.0.2.1");
    assert_eq!(request.sdp, SDP);
    assert_eq!(request.received_from, Some("198.51.100.7".parse().unwrap()));
    let flags = Flags {
        replace: Replace { origin: true, session_connection: true, ..Replace::default() },
        address: Some(AddressSource::Signalling),
        ice: Some(Ice::Remove),
        supports_load_limit: true,
        ..Flags::default()
    };
    assert_eq!(request.flags, flags);
}

#[test]
fn an_answer_of_a_new_module_with_its_message_type() {
    let request = parse(&[
        ("supports", "[load limit]"),
        ("sdp", SDP),
        ("flags", "[trust-address]"),
        ("replace", "[origin]"),
        ("transport-protocol", "RTP/AVP"),
        ("rtcp-mux", "[demux]"),
        ("SDES", "[off]"),
        ("DTLS", "off"),
        ("direction", "[priv,pub]"),
        ("call-id", "c1"),
        ("via-branch", "z9hG4bK776"),
        ("received-from", "[IP6,2001:db8::7]"),
        ("from-tag", "a"),
        ("to-tag", "b"),
        ("command", "answer"),
        ("sip-message-type", "sip_reply"),
        ("sip-code", "#i200e"),
        ("xmlrpc-callback", "192.0.2.9"),
    ]);
    assert_eq!((request.to_tag.as_deref(), request.via_branch.as_deref()), (Some("b"), Some("z9hG4bK776")));
    let flags = request.flags;
    assert_eq!(flags.transport_protocol, Some(TransportProtocol::Avp));
    assert!(flags.rtcp_mux.demux && flags.sdes_off && flags.dtls_off);
    assert_eq!((flags.direction.from.as_deref(), flags.direction.to.as_deref()), (Some("priv"), Some("pub")));
    assert_eq!((flags.message_type, flags.sip_code), (Some(MessageType::Response), Some(200)));
    assert_eq!((flags.unsupported, flags.unknown), (None, vec![]));
}

#[test]
fn flags_in_one_text_as_a_module_sends_them_unread() {
    for key in ["rtpp-flags", "rtpp_flags"] {
        let request = offer(&[(
            key,
            "replace-origin replace-session-connection via-branch=auto-next strict-source label=callee OSRTP-accept \
             transport-protocol=RTP/AVP address-family=IP4 rtcp-mux=[offer require] direction=priv direction=pub \
             ICE=remove TOS=184 delete-delay=5 codec=[]",
        )]);
        let flags = request.flags;
        assert!(flags.replace.origin && flags.replace.session_connection && flags.strict_source);
        assert!(flags.rtcp_mux.offer && flags.rtcp_mux.require);
        assert_eq!(flags.label.as_deref(), Some("callee"));
        assert_eq!((flags.direction.from.as_deref(), flags.direction.to.as_deref()), (Some("priv"), Some("pub")));
        assert_eq!((flags.tos, flags.ice), (Tos::Set(184), Some(Ice::Remove)));
        assert_eq!(flags.delete_delay, Some(Duration::from_secs(5)));
        assert_eq!(request.via_branch, None, "for the module alone");
        assert_eq!((flags.unsupported, flags.unknown), (None, vec![]));
    }
}

#[test]
fn blank_hyphen_and_underscore_are_the_same() {
    for flag in ["trust address", "trust-address", "trust_address", "Trust-Address"] {
        assert_eq!(offer(&[("flags", &format!("[{flag}]"))]).flags.address, Some(AddressSource::Sdp), "{flag}");
    }
    for key in ["address family", "address-family", "address_family"] {
        assert_eq!(offer(&[(key, "IP6")]).flags.address_family, Some(AddressFamily::Ip6), "{key}");
    }
    for key in ["received from", "received-from", "received_from"] {
        assert!(offer(&[(key, "[IP4,192.0.2.7]")]).received_from.is_some(), "{key}");
    }
    let spaced = [("sdp", SDP), ("call_id", "c1"), ("from tag", "a"), ("command", "offer")];
    assert_eq!(parse(&spaced).from_tag, "a");
    assert_eq!(
        parse(&[("command", "delete"), ("call-id", "c"), ("delete delay", "#i0e")]).flags.delete_delay,
        Some(Duration::ZERO)
    );
}

#[test]
fn a_flag_may_stand_in_the_list_or_as_a_key() {
    for name in [
        "symmetric",
        "asymmetric",
        "strict_source",
        "media handover",
        "generate-mid",
        "loop-protect",
        "reset",
        "original-sendrecv",
        "NAT-wait",
        "pierce-NAT",
        "no-rtcp-attribute",
        "full-RTCP-attribute",
        "port-latching",
        "no-port-latching",
        "SIP-source-address",
    ] {
        let listed = offer(&[("flags", &format!("[{name}]"))]).flags;
        assert_ne!(listed, Flags::default(), "{name}");
        assert_eq!(offer(&[(name, "")]).flags, listed, "{name}");
        assert_eq!(offer(&[(name, "yes")]).flags, listed, "{name}");
        assert_eq!(offer(&[(name, "#i1e")]).flags, listed, "{name}");
        assert_eq!(offer(&[("rtpp-flags", name.replace([' ', '_'], "-").as_str())]).flags, listed, "{name}");
    }
    for no in ["no", "off", "#i0e"] {
        assert!(!offer(&[("strict-source", no)]).flags.strict_source);
    }
    let prefixed = "[replace-origin,rtcp-mux-accept,endpoint-learning-delayed,SDES-off]";
    let flags = offer(&[("flags", prefixed)]).flags;
    assert!(flags.replace.origin && flags.rtcp_mux.accept && flags.sdes_off);
    assert_eq!(flags.endpoint_learning, Some(EndpointLearning::Delayed));
    assert_eq!(offer(&[("flags", "[TOS=46,label=x]")]).flags.tos, Tos::Set(46));
}

#[test]
fn tos_has_three_meanings() {
    let tos = |value| offer(&[("TOS", value)]).flags.tos;
    assert_eq!(
        [tos("#i184e"), tos("184"), tos("#i-1e"), tos("#i256e"), tos("x")],
        [Tos::Set(184), Tos::Set(184), Tos::Keep, Tos::Default, Tos::Default]
    );
}

#[test]
fn every_replace_flag_and_both_forms_of_received_from() {
    let flags = offer(&[("replace", "[origin,session connection,SDP-version,username,session-name,zero-address,origin-full,force-increment-sdp-ver]")]).flags;
    let all = Replace {
        origin: true,
        origin_full: true,
        session_connection: true,
        sdp_version: true,
        force_increment: true,
        username: true,
        session_name: true,
        zero_address: true,
    };
    assert_eq!(flags.replace, all);
    assert_eq!(offer(&[("received-from", "192.0.2.7")]).received_from, Some("192.0.2.7".parse().unwrap()));
    assert_eq!(offer(&[("media address", "2001:db8::1")]).flags.media_address, Some("2001:db8::1".parse().unwrap()));
    let bad = offer(&[("received-from", "[IP4,phone.example.com]"), ("media-address", "x")]);
    assert_eq!((bad.received_from, bad.flags.unknown), (None, vec!["received-from".into(), "media-address".into()]));
}

#[test]
fn what_would_change_the_media_says_so() {
    for (key, value) in [
        ("ICE", "force"),
        ("ICE", "optional"),
        ("ICE", "force-relay"),
        ("DTLS", "passive"),
        ("DTLS", "active"),
        ("transport-protocol", "RTP/SAVP"),
        ("transport-protocol", "RTP/SAVPF"),
        ("transport protocol", "UDP/TLS/RTP/SAVPF"),
        ("SDES", "[only-AES_CM_128_HMAC_SHA1_80]"),
        ("OSRTP", "[offer]"),
        ("T.38", "[decode]"),
        ("T38", "[force]"),
        ("record call", "yes"),
        ("ptime", "#i40e"),
        ("generate RTCP", "on"),
        ("DTMF-security", "drop"),
        ("media-echo", "both"),
        ("audio player", "always"),
        ("flags", "[transcode-PCMA]"),
        ("flags", "[codec-strip-opus]"),
        ("flags", "[record-call]"),
        ("flags", "[always transcode]"),
        ("flags", "[WebRTC]"),
        ("flags", "[T38-decode]"),
        ("flags", "[SDES-only-AES_CM_128_HMAC_SHA1_80]"),
        ("flags", "[OSRTP-offer]"),
        ("flags", "[single codec]"),
        ("flags", "[UDP/TLS/RTP/SAVPF]"),
        ("codec", "#d5:stripl4:opusee"),
        ("codec", "#d9:transcodel4:PCMAee"),
        ("rtpp-flags", "codec=[transcode=[PCMA]]"),
        ("rtpp-flags", "codec-strip=EVS"),
        ("rtpp-flags", "transport-protocol=UDP/TLS/RTP/SAVPF ICE=force"),
        ("sdp-attr", "#d4:noned3:addl8:sendrecveee"),
    ] {
        let request = offer(&[(key, value)]);
        let why = request.flags.unsupported.unwrap_or_else(|| panic!("{key}={value}"));
        assert!(why.ends_with(" is not supported"), "{why}");
        assert_eq!(request.flags.unknown, Vec::<String>::new(), "{key}={value}");
    }
    assert_eq!(offer(&[("ICE", "force")]).flags.unsupported.as_deref(), Some("ice=force is not supported"));
    assert_eq!(
        offer(&[("codec", "#d5:stripl4:opusee")]).flags.unsupported.as_deref(),
        Some("codec-strip is not supported")
    );
}

#[test]
fn what_asks_for_plain_rtp_or_for_nothing_is_no_error() {
    for (key, value) in [
        ("ICE", "remove"),
        ("ICE", "default"),
        ("DTLS", "off"),
        ("DTLS", "no"),
        ("SDES", "[off]"),
        ("SDES", "[no-NULL_HMAC_SHA1_32]"),
        ("transport-protocol", "RTP/AVP"),
        ("transport-protocol", "RTP/AVPF"),
        ("transport-protocol", "accept"),
        ("OSRTP", "[accept]"),
        ("record-call", "no"),
        ("T.38", "[no-ECM]"),
        ("generate-RTCP", "off"),
        ("drop-traffic", "start"),
        ("xmlrpc-callback", "192.0.2.1"),
        ("codec", "#de"),
        ("codec", "#d5:striplee"),
        ("codec", "#d3:setl16:opus/48000/1/160ee"),
        ("flags", "[trickle-ICE,SDES-pad,pad-crypto,unidirectional,debug,allow transcoding,from-tags-x]"),
        ("sip-message-type", "sip_request"),
        ("ptime", "#i0e"),
        ("DTMF-delay", "#i0e"),
        ("delay-buffer", "0"),
        ("supports", "[load limit,other]"),
        ("flags", "[]"),
        ("direction", "[]"),
        ("ICE-lite", "off"),
        ("rtpp-flags", "RTP/AVP"),
        ("rtpp-flags", "record-call=off"),
    ] {
        let flags = offer(&[(key, value)]).flags;
        assert_eq!(flags.unsupported, None, "{key}={value}");
        let unknown: Vec<String> = if value.contains("other") { vec![] } else { flags.unknown.clone() };
        assert_eq!(unknown, Vec::<String>::new(), "{key}={value}");
    }
    let answer = [
        ("sdp", SDP),
        ("call-id", "c1"),
        ("from-tag", "a"),
        ("to-tag", "b"),
        ("command", "answer"),
        ("ptime", "#i40e"),
        ("T.38", "[decode]"),
        ("codec", "#d9:transcodel4:PCMAee"),
    ];
    assert_eq!(parse(&answer).flags.unsupported, None, "they are for offers");
    let delete = parse(&[("command", "delete"), ("call-id", "c1"), ("ICE", "force")]);
    assert_eq!(delete.flags.unsupported, None, "a delete changes no media");
}

#[test]
fn unknown_keys_are_noted_in_bounds() {
    let flags = offer(&[("frobnicate", "1"), ("flags", "[one,two\n]"), ("replace", "[hat]"), ("TOS", "1")]).flags;
    assert_eq!(flags.unknown, ["frobnicate", "one", "two.", "replace-hat"]);
    let many: Vec<String> = (0..100).map(|n| format!("x{n}{}", "y".repeat(200))).collect();
    let flags = offer(&[("flags", &format!("[{}]", many.join(",")))]).flags;
    assert_eq!((flags.unknown.len(), flags.more_unknown), (16, 84));
    assert!(flags.unknown.iter().all(|name| name.len() <= 64));
}

#[test]
fn both_forms_of_delete() {
    let old =
        parse(&[("flags", "[fatal]"), ("call-id", "c1"), ("from-tag", "a"), ("to-tag", "b"), ("command", "delete")]);
    assert_eq!((old.to_tag.as_deref(), old.flags.honour_to_tag, old.flags.fatal), (Some("b"), false, true));
    let new = parse(&[
        ("flags", "[to-tag]"),
        ("call-id", "c1"),
        ("from-tag", "a"),
        ("to-tag", "b"),
        ("via-branch", "z"),
        ("delete-delay", "#i0e"),
        ("command", "delete"),
        ("sip-message-type", "sip_request"),
    ]);
    assert!(new.flags.honour_to_tag);
    assert_eq!(
        (new.to_tag.as_deref(), new.via_branch.as_deref(), new.flags.delete_delay),
        (Some("b"), Some("z"), Some(Duration::ZERO))
    );
    let bare = parse(&[("call-id", "c1"), ("command", "delete")]);
    assert_eq!((bare.from_tag.as_str(), bare.to_tag, bare.flags.delete_delay), ("", None, None));
    assert_eq!(parse(&[("call-id", "c1"), ("to-tag", ""), ("command", "delete")]).to_tag, None);
}

#[test]
fn what_is_missing_is_said_as_rtpengine_says_it() {
    for (pairs, text) in [
        (vec![], "Dictionary contains no key \"command\""),
        (vec![("command", "offer")], "No SDP body in message"),
        (vec![("command", "offer"), ("sdp", "v=0")], "No call-id in message"),
        (vec![("command", "offer"), ("sdp", "v=0"), ("call-id", "c")], "No from-tag in message"),
        (vec![("command", "answer"), ("sdp", "v=0"), ("call-id", "c"), ("from-tag", "a")], "No to-tag in message"),
        (vec![("command", "query")], "No call-id in message"),
        (vec![("command", "delete"), ("call-id", "#i1e")], "Invalid call-id in message"),
    ] {
        assert_eq!(Request::parse(&dict(&pairs)).unwrap_err().to_string(), text);
    }
    for (octets, text) in [
        ("", "Invalid data (no payload)"),
        ("le", "Invalid NG data format"),
        ("d7:command", "Could not decode bencode dictionary"),
    ] {
        assert_eq!(Request::parse(&Bytes::from_static(octets.as_bytes())).unwrap_err().to_string(), text);
    }
    let long = "x".repeat(513);
    assert_eq!(
        Request::parse(&dict(&[("command", "query"), ("call-id", &long)])),
        Err(RequestDefect::Invalid("call-id"))
    );
}

#[test]
fn other_commands_are_kept_for_the_answer() {
    assert_eq!(
        parse(&[("command", "start recording"), ("call-id", "c")]).command,
        Command::Other("start recording".into())
    );
    let long = "x".repeat(1000);
    assert_eq!(parse(&[("command", &long)]).command.as_str().len(), 64);
    assert_eq!(parse(&[("command", "list"), ("limit", "10")]).limit, Some(10));
    assert_eq!(parse(&[("command", "list"), ("limit", "#i-1e")]).limit, Some(u32::MAX));
}

#[test]
fn extra_keys_replace_our_own() {
    let mut request = Request::new(Command::Ping, "");
    request.extra.insert("command".into(), "statistics".into());
    request.extra.insert("ICE".into(), "force".into());
    assert_eq!(request.to_vec(), b"d3:ICE5:force7:command10:statisticse");
}

fn flags() -> impl Strategy<Value = Flags> {
    let bits = prop::collection::vec(any::<bool>(), 32);
    let text = || prop::option::of("[a-z]{1,12}");
    (bits, text(), text(), text(), any::<u8>(), 0u8..4, 0u64..100_000).prop_map(
        |(bit, from, to, label, tos, four, delay)| Flags {
            replace: Replace {
                origin: bit[0],
                origin_full: bit[1],
                session_connection: bit[2],
                sdp_version: bit[3],
                force_increment: bit[4],
                username: bit[5],
                session_name: bit[6],
                zero_address: bit[7],
            },
            address: [None, Some(AddressSource::Sdp), Some(AddressSource::Signalling), None][usize::from(four)],
            direction: Direction { from, to },
            address_family: [None, Some(AddressFamily::Ip4), Some(AddressFamily::Ip6), None][usize::from(four)],
            media_address: bit[8].then_some([192, 0, 2, tos].into()),
            rtcp_mux: RtcpMux { offer: bit[9], require: bit[10], demux: bit[11], accept: bit[12], reject: bit[13] },
            symmetric: bit[14],
            asymmetric: bit[15],
            strict_source: bit[16],
            media_handover: bit[17],
            port_latching: bit[18].then_some(bit[19]),
            endpoint_learning: [
                None,
                Some(EndpointLearning::Off),
                Some(EndpointLearning::Immediate),
                Some(EndpointLearning::Heuristic),
            ][usize::from(four)],
            tos: [Tos::Default, Tos::Keep, Tos::Set(tos), Tos::Default][usize::from(four)],
            rtcp_attribute: [RtcpAttribute::Port, RtcpAttribute::Omit, RtcpAttribute::Full, RtcpAttribute::Port]
                [usize::from(four)],
            generate_mid: bit[20],
            loop_protect: bit[21],
            reset: bit[22],
            original_sendrecv: bit[23],
            nat_wait: bit[24],
            pierce_nat: bit[25],
            drop_traffic: bit[26].then_some(DropTraffic::Start),
            label: label.clone(),
            metadata: label,
            ice: [None, Some(Ice::Remove), Some(Ice::Default), None][usize::from(four)],
            dtls_off: bit[27],
            sdes_off: bit[28],
            transport_protocol: [
                None,
                Some(TransportProtocol::Avp),
                Some(TransportProtocol::Avpf),
                Some(TransportProtocol::Accept),
            ][usize::from(four)],
            delete_delay: bit[29].then_some(Duration::from_secs(delay)),
            supports_load_limit: bit[30],
            message_type: bit[31].then_some(MessageType::Response),
            sip_code: bit[31].then_some(180),
            ..Flags::default()
        },
    )
}

proptest! {
    #[test]
    fn what_a_client_writes_a_server_reads(flags in flags(), call in "[!-~]{1,30}", tag in "[!-~]{1,30}", to in prop::option::of("[a-z]{1,9}"), sdp in "v=0.{0,90}") {
        let mut request = Request::new(Command::Offer, call);
        request.from_tag = tag;
        request.to_tag = to.clone();
        request.via_branch = to;
        request.sdp = sdp.into();
        request.flags = flags;
        prop_assert_eq!(Request::parse(&request.to_vec().into()).unwrap(), request.clone());
        request.command = Command::Delete;
        request.sdp = Bytes::new();
        request.flags.honour_to_tag = true;
        request.flags.fatal = true;
        prop_assert_eq!(Request::parse(&request.to_vec().into()).unwrap(), request);
    }

    #[test]
    fn any_keys_and_values_are_read(pairs in prop::collection::vec(("[a-zA-Z _.-]{0,20}", "[a-z =\\[\\]]{0,20}"), 0..20), raw in prop::collection::vec(any::<u8>(), 0..99)) {
        let mut extra: Dictionary = pairs.into_iter().map(|(key, value)| (key.into(), Value::from(value))).collect();
        extra.insert("rtpp-flags".into(), Bytes::from(raw).into());
        let request = Request { extra, ..Request::new(Command::Query, "c") };
        let _ = Request::parse(&request.to_vec().into());
    }
}
