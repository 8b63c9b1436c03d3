use super::*;

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text).unwrap_or_else(|| panic!("{text} is valid"))
}

#[test]
fn rfc3261_19_1_3_examples_parse_and_print() {
    for text in [
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sips:1212@gateway.com",
        "sip:alice@192.0.2.4",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
        "sip:[2001:db8::10]:5070",
        "tel:+1-201-555-0123;phone-context=example.com",
        "soap.beep://192.0.2.103:3002",
    ] {
        assert_eq!(uri(text).to_string(), text);
    }
}

#[test]
fn rfc3261_19_1_4_equal() {
    for (a, b) in [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:[2001:db8::1]", "sip:[2001:DB8:0::1]"),
    ] {
        assert!(uri(a).equivalent(&uri(b)) && uri(b).equivalent(&uri(a)), "{a} {b}");
    }
}

#[test]
fn rfc3261_19_1_4_not_equal() {
    for (a, b) in [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@b", "sips:a@b"),
        ("sip:a@b", "sip:b"),
        ("sip:a%3Bb@c", "sip:a;b@c"),
    ] {
        assert!(!uri(a).equivalent(&uri(b)), "{a} {b}");
    }
}

#[test]
fn rfc3261_19_1_1_a_repeated_parameter_counts_once() {
    let repeated = uri("sip:a@b;transport=udp;transport=tcp");
    assert!(repeated.equivalent(&repeated));
    assert!(repeated.equivalent(&uri("sip:a@b;transport=udp")));
    assert!(!repeated.equivalent(&uri("sip:a@b;transport=tcp")));
}

#[test]
fn rfc3261_10_3_address_of_record() {
    assert_eq!(uri("sips:%61lice:pw@AtLanta.com:5061;transport=tcp?x=y").aor(), "sip:alice@atlanta.com");
    assert_eq!(uri("sip:A%20b@h").aor(), "sip:A%20b@h");
    assert_eq!(uri("sip:[2001:DB8::1]:5060").aor(), "sip:[2001:db8::1]");
    assert_eq!(uri("tel:+1-201-555-0123;x=y").aor(), "tel:+12015550123");
}

#[test]
fn rfc4475_3_1_1_4_an_escaped_nul_does_not_cut_the_name() {
    let (one, two) = (uri("sip:null-%00-null@example.com"), uri("sip:null-%00%00-null@example.com"));
    assert!(!one.equivalent(&two));
    assert_ne!(one.aor(), two.aor());
    assert_eq!(one.unescaped_user().as_deref(), Some("null-\0-null"));
}

#[test]
fn rfc4475_3_1_1_9_semicolons_in_the_user() {
    let semi = uri("sip:user;par=u%40example.net@example.com");
    assert_eq!(semi.user, Some("user;par=u%40example.net"));
    assert_eq!(semi.params().count(), 0);
}

#[test]
fn rfc5118_4_3_and_4_4_ports_stand_outside_the_brackets() {
    assert_eq!(uri("sip:[2001:db8::10:5070]").port, None);
    assert_eq!(uri("sip:[2001:db8::10]:5070").port, Some(5070));
    assert_eq!(Uri::parse("sip:2001:db8::10"), None);
}

#[test]
fn rfc5118_4_10_a_third_colon_is_tolerated() {
    assert_eq!(uri("sip:[2001:db8:::192.0.2.1]").host, uri("sip:[2001:db8::192.0.2.1]").host);
}

#[test]
fn bad_uris_are_refused() {
    for bad in [
        "",
        "sip",
        "sip:",
        "sip:@host",
        "sip:a@",
        "sip:a@b@c",
        "sip:a b@c",
        "<sip:a@b>",
        "sip:a@b:99999",
        "sip:a%4@b",
        "sip:a@b:5060x",
        "sip:[::1",
        "sip:[zz]",
        "tel:",
        "tel:x y",
        "tel:-", // RFC 3966 §3: at least one digit
        "tel:+",
        "1sip:a@b",
        ":a",
    ] {
        assert_eq!(Uri::parse(bad), None, "{bad}");
    }
}
