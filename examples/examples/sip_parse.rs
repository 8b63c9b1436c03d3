//! Reads a SIP message: first as it is, then checked, then its typed headers.
#![allow(clippy::print_stdout, reason = "it shows something")]

use sip_core::header::{Header, NameAddr, Via};
use sip_core::{Checked, Limits, Message};

const DATAGRAM: &str = "INVITE sip:bob@example.com SIP/2.0\r\n\
    v: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;rport\r\n\
    Max-Forwards: 70\r\n\
    f: \"Alice\" <sip:alice@example.com>;tag=1928301774\r\n\
    t: <sip:bob@example.com>\r\n\
    i: a84b4c76e66710\r\n\
    CSeq: 314159 INVITE\r\n\
    m: <sip:alice@192.0.2.1>\r\n\
    Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\n\
    X-Anything: kept\r\n  and folded\r\n\
    Content-Type: text/plain\r\n\
    l: 5\r\n\
    \r\n\
    hello";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Structure: lines and body. Unknown headers, compact forms and folds stay as they came.
    let message = Message::parse(DATAGRAM.into(), &Limits::default())?;
    println!("method {:?}, {} octets of body", message.method(), message.body().len());
    assert_eq!(message.header("x-anything"), Some(&b"kept\r\n  and folded"[..]));
    for route in message.values(Header::Route) {
        println!("route {}", String::from_utf8_lossy(route));
    }
    assert_eq!(message.to_bytes(), DATAGRAM.as_bytes(), "written octet by octet as it was read");

    // Typed headers are parsed from their place in the message, when somebody asks.
    if let Some(via) = message.typed::<Via<'_>>() {
        let via = via?;
        println!("branch {:?}, rport asked for: {}", via.branch(), via.rport().is_some());
    }

    // A checked request has its mandatory headers for certain: no Option, no error.
    match message.check() {
        Ok(Checked::Request(request)) => {
            let from: NameAddr<'_> = request.from();
            println!("from {:?} {} tag {:?}", from.display_name(), from.uri, request.from_tag());
            println!("call {} number {}", request.call_id(), request.cseq().seq);
        }
        Ok(Checked::Response(response)) => println!("a response: {}", response.status().code()),
        Err(defect) => println!("cannot be used; to be answered {:?}", defect.answer()),
    }

    // What is wrong with a message is told, with the answer it should get.
    let without_call_id = DATAGRAM.replace("i: a84b4c76e66710\r\n", "");
    let defect = Message::parse(without_call_id.into(), &Limits::default())?.check().err().ok_or("a defect")?;
    println!("without Call-ID: {:?}", defect.answer());
    assert_eq!(defect.answer().map(|(status, _)| status.code()), Some(400));
    Ok(())
}

#[test]
fn runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
