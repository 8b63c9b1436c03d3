//! What a registrar makes of the messages of RFC 4475.

use super::*;

fn send(bench: &mut Bench, octets: &'static [u8]) -> Result<Response, Refusal> {
    let message = Message::parse(octets.into(), &Limits::default()).unwrap();
    let Ok(Checked::Request(request)) = message.check() else { panic!("not a request") };
    bench.send(&request)
}

macro_rules! message {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/data/rfc4475/", $name, ".dat"))
    };
}

#[test]
fn rfc4475_3_3_12_without_brackets_a_parameter_is_the_contacts() {
    let mut bench = Bench::new(|_| ());
    let response = send(&mut bench, message!("cparam01")).unwrap();
    let expected = ["<sip:+19725552222@gw1.example.net>;expires=3600;unknownparam"];
    assert_eq!(values(&response, Header::Contact), expected);
    assert_eq!(bench.registrar.iter().next().unwrap().contact(), "sip:+19725552222@gw1.example.net");
}

#[test]
fn rfc4475_3_3_13_in_brackets_a_parameter_is_the_uris() {
    let mut bench = Bench::new(|_| ());
    let response = send(&mut bench, message!("cparam02")).unwrap();
    let expected = ["<sip:+19725552222@gw1.example.net;unknownparam>;expires=3600"];
    assert_eq!(values(&response, Header::Contact), expected);
}

#[test]
fn rfc4475_3_3_14_an_escaped_route_comes_back_in_the_contact() {
    let mut bench = Bench::new(|_| ());
    let response = send(&mut bench, message!("regescrt")).unwrap();
    let expected = ["<sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=3600"];
    assert_eq!(values(&response, Header::Contact), expected);
}

#[test]
fn rfc4475_3_1_1_4_escaped_nulls_make_two_bindings_of_one_address() {
    let mut bench = Bench::new(|_| ());
    let response = send(&mut bench, message!("escnull")).unwrap();
    let mut contacts = values(&response, Header::Contact);
    contacts.sort();
    assert_eq!(contacts, ["<sip:%00%00@host5.example.com>;expires=3600", "<sip:%00@host5.example.com>;expires=3600"]);
    assert_eq!((bench.registrar.len(), bench.registrar.aors()), (2, 1));
    let aor = bench.registrar.iter().next().unwrap().aor().to_owned();
    assert_eq!(bench.registrar.lookup(bench.now, &aor).len(), 2);
    assert!(bench.registrar.lookup(bench.now, "sip:null-@example.com").is_empty(), "not cut short");
}

#[test]
fn rfc4475_3_1_2_13_headers_in_a_contact_without_brackets_are_400() {
    let mut bench = Bench::new(|_| ());
    assert_eq!(send(&mut bench, message!("regbadct")).err(), Some(Refusal::BadContact));
    assert_eq!(Refusal::BadContact.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn rfc4475_3_3_4_a_to_that_is_no_sip_uri_is_400() {
    let mut bench = Bench::new(|_| ());
    assert_eq!(send(&mut bench, message!("unksm2")).err(), Some(Refusal::NoAddressOfRecord));
}
