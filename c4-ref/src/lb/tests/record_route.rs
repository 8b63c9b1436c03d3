//! Record-Route and Path: one value, or two where side, transport or address family change.

use super::*;

fn rig(listen: &[&str], internal: &[&str], backend: &str) -> Rig {
    let list = |items: &[&str]| items.iter().map(|l| l.parse().unwrap()).collect();
    Rig::new(&config::Lb {
        listen: list(listen),
        internal: list(internal),
        backends: vec![backend.parse().unwrap()],
        ..config()
    })
}

/// Host and parameters of each recorded value, and whether it has a token.
fn shape(values: Vec<String>) -> Vec<(String, bool)> {
    values
        .into_iter()
        .map(|uri| match uri.split_once('@') {
            Some((_, rest)) => (rest.to_owned(), true),
            None => (uri.trim_start_matches("sip:").to_owned(), false),
        })
        .collect()
}

fn plain(text: &str) -> (String, bool) {
    (text.to_owned(), false)
}

fn token(text: &str) -> (String, bool) {
    (text.to_owned(), true)
}

fn sent(rig: &mut Rig, flow: Flow, request: Req) -> Sent {
    let mut sent = rig.put(flow, &request.text());
    if let Some((id, target)) = rig.connects.pop_front() {
        let local = addr("10.0.0.1:33000");
        let flow =
            Flow { transport: target.transport, local, remote: target.remote, connection: Some(ConnectionId(99)) };
        rig.lb.handle_connect_done(rig.now, id, Ok(flow));
        sent = rig.drain();
    }
    sent.remove(0)
}

#[test]
fn double_when_the_side_changes_single_when_nothing_does() {
    let u = "udp:192.0.2.1:5060";
    let mut same = rig(&[u], &[], "10.0.0.2:5060");
    let rr = sent(&mut same, outside(ALICE), req("INVITE")).uris("Record-Route");
    assert_eq!(shape(rr), [token("192.0.2.1:5060;lr")]);
    let mut sides = rig(&[u], &["udp:10.0.0.1:5080"], "10.0.0.2:5060");
    let rr = sent(&mut sides, outside(ALICE), req("INVITE")).uris("Record-Route");
    assert_eq!(shape(rr), [plain("10.0.0.1:5080;lr"), token("192.0.2.1:5060;lr")], "the side that it leaves by on top");
}

#[test]
fn double_when_the_transport_changes() {
    let listen = ["udp:192.0.2.1:5060", "tcp:192.0.2.1:5060", "tls:192.0.2.1:5061"];
    let mut rig_udp = rig(&listen, &[], "10.0.0.2:5060");
    let rr = sent(&mut rig_udp, tcp(ALICE, 5), req("INVITE")).uris("Record-Route");
    assert_eq!(shape(rr), [plain("192.0.2.1:5060;lr"), token("192.0.2.1:5060;transport=tcp;lr")]);
    let tls = stream(Transport::Tls, "192.0.2.1:5061", ALICE, 6);
    let rr = sent(&mut rig_udp, tls, req("INVITE")).uris("Record-Route");
    assert_eq!(shape(rr), [plain("192.0.2.1:5060;lr"), token("192.0.2.1:5061;transport=tls;lr")]);
    let mut rig_tcp = rig(&listen, &[], "tcp:10.0.0.2:5060");
    let rr = sent(&mut rig_tcp, tcp(ALICE, 5), req("INVITE")).uris("Record-Route");
    assert_eq!(shape(rr), [token("192.0.2.1:5060;transport=tcp;lr")], "TCP on both");
    let mut rig_tcp = rig(&listen, &[], "tcp:10.0.0.2:5060");
    let rr = sent(&mut rig_tcp, outside(ALICE), req("INVITE")).uris("Record-Route");
    assert_eq!(shape(rr), [plain("192.0.2.1:5060;transport=tcp;lr"), token("192.0.2.1:5060;lr")]);
}

#[test]
fn double_when_the_address_family_changes() {
    let mut r = rig(&["udp:192.0.2.1:5060", "udp:[2001:db8::1]:5060"], &[], "10.0.0.2:5060");
    let v6 = udp("[2001:db8::1]:5060", "[2001:db8::77]:5060");
    let rr = sent(&mut r, v6, req("INVITE")).uris("Record-Route");
    assert_eq!(shape(rr), [plain("192.0.2.1:5060;lr"), token("[2001:db8::1]:5060;lr")]);
    let mut r = rig(&["udp:192.0.2.1:5060", "udp:[2001:db8::1]:5060"], &[], "[2001:db8::2]:5060");
    let rr = sent(&mut r, outside(ALICE), req("INVITE")).uris("Record-Route");
    assert_eq!(shape(rr), [plain("[2001:db8::1]:5060;lr"), token("192.0.2.1:5060;lr")]);
}

#[test]
fn rfc3327_5_2_a_register_gets_a_path_in_the_same_shape() {
    let mut r = Rig::new(&one_proxy());
    let path = register(&mut r, tcp(ALICE, 5)).join(",");
    assert!(path.starts_with("<sip:10.0.0.1:5080;lr>,<sip:"), "{path}");
    assert!(path.ends_with("@192.0.2.1:5060;transport=tcp;lr>"), "{path}");
    let mut single = rig(&["udp:192.0.2.1:5060"], &[], "10.0.0.2:5060");
    assert_eq!(register(&mut single, outside(ALICE)).len(), 1);
}

#[test]
fn only_what_may_form_a_dialog_is_recorded() {
    let mut r = Rig::new(&one_proxy());
    for (method, recorded) in [
        ("INVITE", true),
        ("SUBSCRIBE", true),
        ("REFER", true),
        ("NOTIFY", true),
        ("NEWMETHOD", true),
        ("OPTIONS", false),
        ("MESSAGE", false),
        ("PUBLISH", false),
        ("CANCEL", false),
    ] {
        let sent = r.one(outside(ALICE), &req(method).text());
        assert_eq!(!sent.all("Record-Route").is_empty(), recorded, "{method}");
        assert!(sent.all("Path").is_empty());
    }
}

#[test]
fn rfc3261_16_6_4_a_sips_request_over_tls_is_recorded_as_sips() {
    let mut r = Rig::new(&one_proxy());
    let tls = stream(Transport::Tls, "192.0.2.1:5061", ALICE, 6);
    let sent = r.one(tls, &req("INVITE").uri("sips:bob@example.com").text());
    assert!(sent.uris("Record-Route")[1].starts_with("sips:"));
}

#[test]
fn advertised_addresses_stand_in_via_and_record_route() {
    let mut config = one_proxy();
    config.listen[0].advertise = Some("sbc.example.com:5060".into());
    config.internal[0].advertise = Some("lb.internal:5080".into());
    let mut r = Rig::new(&config);
    let sent = r.one(outside(ALICE), &req("INVITE").text());
    assert_eq!(shape(sent.uris("Record-Route")), [plain("lb.internal:5080;lr"), token("sbc.example.com:5060;lr")]);
    assert!(sent.one("Via").unwrap().starts_with("SIP/2.0/UDP lb.internal:5080;"));
    // And what names us so is ours.
    let mut route = sent.all("Record-Route");
    route.reverse();
    let bye = r.one(outside(ALICE), &req("BYE").tagged().routes(route).text());
    assert_eq!((bye.to(), bye.all("Route").len()), (PROXY.into(), 0));
}
