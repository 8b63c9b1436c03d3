//! Edits a message as a proxy does, and leaves every other octet alone.
#![allow(clippy::print_stdout, reason = "it shows something")]

use sip_core::header::Header;
use sip_core::{Checked, Limits, Message, StatusCode};

const DATAGRAM: &str = "MESSAGE sip:bob@example.com SIP/2.0\r\n\
    v: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport\r\n\
    Max-Forwards: 70\r\n\
    From: <sip:alice@example.com>;tag=1\r\n\
    To: <sip:bob@example.com>\r\n\
    Call-ID: 42\r\n\
    CSeq: 1 MESSAGE\r\n\
    Route: <sip:192.0.2.9;lr>, <sip:192.0.2.10;lr>\r\n\
    x-SECRET : yes\r\n\
    Subject:   spaces  stay\r\n\
    Content-Length: 0\r\n\
    \r\n";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Ok(Checked::Request(mut request)) = Message::parse(DATAGRAM.into(), &Limits::default())?.check() else {
        return Err("no request".into());
    };

    request.set_received("198.51.100.7:40000".parse()?); // RFC 3581: where it really came from
    request.pop_route(); // the first value of the line; the second stays
    request.set_max_forwards(request.max_forwards().unwrap_or(70) - 1);
    request.push_record_route("<sip:192.0.2.9;lr>")?;
    request.remove("X-Secret")?; // by parsed name: case and the blank before the colon do not hide it
    request.push_via("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK2")?;
    request.set_body(Some("text/plain"), "hi")?; // Content-Length follows
    println!("{}", String::from_utf8_lossy(&request.to_bytes()));

    let written = Message::parse(request.to_bytes(), &Limits::default())?;
    let routes: Vec<&[u8]> = written.values(Header::Route).collect();
    assert_eq!(routes, [&b"<sip:192.0.2.10;lr>"[..]]);
    assert_eq!(written.headers(Header::Via).count(), 2);
    assert!(written.header("X-Secret").is_none());
    assert!(request.to_bytes().windows(25).any(|octets| octets == b"Subject:   spaces  stay\r\n"));

    // Nothing that would break a line gets in.
    assert!(request.set(Header::Subject, "one\r\nX-Injected: two").is_err());

    // An answer copies what RFC 3261 §8.2.6.2 says.
    let mut response = request.response(StatusCode::OK);
    response.set_to_tag("b")?;
    println!("{}", String::from_utf8_lossy(&response.to_bytes()));
    assert_eq!(response.headers(Header::Via).count(), 2);
    Ok(())
}

#[test]
fn runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
