//! Phones with an audio stream on real sockets, and the calls that every pair of a proxy and a media relay must carry.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::raw::{Phone, header};

/// One phone with a socket for RTP.
pub struct AudioPhone {
    pub sip: Phone,
    rtp: UdpSocket,
    ssrc: u32,
    sequence: u16,
    sdp_version: u32,
}

/// The message with an SDP body instead of none.
pub fn with_sdp(message: &str, sdp: &str) -> String {
    let head = message.strip_suffix("Content-Length: 0\r\n\r\n").unwrap();
    format!("{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())
}

/// The body of a message.
pub fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// Where the SDP of `message` wants its first audio stream.
pub fn audio_of(message: &str) -> SocketAddr {
    let line = |start: &str| body(message).lines().find_map(|line| line.strip_prefix(start).map(str::to_owned));
    let address = line("c=IN IP4 ").unwrap_or_else(|| panic!("no c= in:\n{message}"));
    let port = line("m=audio ").unwrap_or_else(|| panic!("no m=audio in:\n{message}"));
    format!("{}:{}", address.trim(), port.split(' ').next().unwrap()).parse().unwrap()
}

/// The direction attribute of the SDP of `message`; without one: sendrecv (RFC 8866 §6.7).
pub fn direction_of(message: &str) -> &str {
    let names = ["sendrecv", "sendonly", "recvonly", "inactive"];
    let found = body(message).lines().find_map(|line| {
        let name = line.strip_prefix("a=")?.trim();
        names.contains(&name).then_some(name)
    });
    found.unwrap_or("sendrecv")
}

impl AudioPhone {
    /// On `ip`, towards the proxy on 127.0.0.1:`server` over UDP.
    pub fn new(user: &'static str, ip: &str, server: u16) -> AudioPhone {
        let rtp = UdpSocket::bind((ip, 0)).unwrap();
        let ssrc = u32::from(rtp.local_addr().unwrap().port()) << 8 | u32::from(user.as_bytes()[0]);
        AudioPhone { sip: Phone::udp(user, ip, server), rtp, ssrc, sequence: 1, sdp_version: 1 }
    }

    /// Our SDP, of a new version each time.
    pub fn sdp(&mut self, direction: &str) -> String {
        self.sdp_version += 1;
        let local = self.rtp.local_addr().unwrap();
        format!(
            "v=0\r\no={} 7 {} IN IP4 {}\r\ns=-\r\nc=IN IP4 {}\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na={direction}\r\n",
            self.sip.user,
            self.sdp_version,
            local.ip(),
            local.ip(),
            local.port()
        )
    }

    /// Answers `request` with an SDP of this direction.
    pub fn answer_sdp(&mut self, request: &str, code: &str, direction: &str) {
        let response = self.sip.response(request, code);
        let sdp = self.sdp(direction);
        self.sip.send(&with_sdp(&response, &sdp));
    }

    /// One packet of 20 ms.
    pub fn speak(&mut self, to: SocketAddr) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = vec![0x80, 0];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend([0xd5; 160]);
        self.rtp.send_to(&packet, to).unwrap();
    }

    /// Whether a packet of `other` arrives within `patience`.
    pub fn hears(&self, other: u32, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut packet = [0u8; 2048];
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            self.rtp.set_read_timeout(Some(left.max(Duration::from_millis(1)))).unwrap();
            if let Ok(n) = self.rtp.recv(&mut packet)
                && n == 172
                && packet[8..12] == other.to_be_bytes()
            {
                return true;
            }
        }
        false
    }

    fn forget_what_came(&self) {
        self.rtp.set_nonblocking(true).unwrap();
        let mut packet = [0u8; 2048];
        while self.rtp.recv(&mut packet).is_ok() {}
        self.rtp.set_nonblocking(false).unwrap();
    }
}

/// Both speak to where the other's SDP says, until both have heard something new.
pub fn both_hear(a: &mut AudioPhone, a_speaks_to: SocketAddr, b: &mut AudioPhone, b_speaks_to: SocketAddr) {
    a.forget_what_came();
    b.forget_what_came();
    let deadline = Instant::now() + PATIENCE;
    let (mut a_heard, mut b_heard) = (false, false);
    while !(a_heard && b_heard) {
        assert!(Instant::now() < deadline, "{} heard: {a_heard}, {} heard: {b_heard}", a.sip.user, b.sip.user);
        a.speak(a_speaks_to);
        b.speak(b_speaks_to);
        b_heard |= b.hears(a.ssrc, Duration::from_millis(20));
        a_heard |= a.hears(b.ssrc, Duration::from_millis(20));
    }
}

/// One way: `a` speaks until `b` hears.
pub fn is_heard(a: &mut AudioPhone, to: SocketAddr, b: &mut AudioPhone) {
    b.forget_what_came();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "{} does not hear {}", b.sip.user, a.sip.user);
        a.speak(to);
        if b.hears(a.ssrc, Duration::from_millis(20)) {
            return;
        }
    }
}

/// The INVITE of `caller` to the address of record of `callee`, sent.
pub fn invite(caller: &mut AudioPhone, callee: &str) -> String {
    let aor = format!("sip:{callee}@c4.test");
    let sdp = caller.sdp("sendrecv");
    let invite = with_sdp(&caller.sip.request("INVITE", &aor, &aor, 1, ""), &sdp);
    caller.sip.send(&invite);
    invite
}

/// The CANCEL of `invite`, or the ACK to its refusal: same branch (RFC 3261 §9.1, §17.1.1.3).
pub fn same_branch(method: &str, invite: &str, to: &str) -> String {
    let line = invite.lines().next().unwrap().replacen("INVITE", method, 1);
    format!(
        "{line}\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\nContent-Length: 0\r\n\r\n",
        header(invite, "Via"),
        header(invite, "From"),
        header(invite, "Call-ID"),
        header(invite, "CSeq").split(' ').next().unwrap()
    )
}

/// The relay's own address stands in an SDP, and not a phone's.
fn assert_relayed(message: &str, phone: &AudioPhone) {
    assert_ne!(audio_of(message).port(), phone.rtp.local_addr().unwrap().port(), "not relayed:\n{message}");
}

/// A re-INVITE by `by`, answered by `other` with `answer`; both SDPs as the other side got them.
pub fn reoffer(
    by: &mut AudioPhone,
    dialog: &str,
    cseq: u32,
    other: &mut AudioPhone,
    (offer, answer): (&str, &str),
) -> (String, String) {
    let contact = format!("Contact: {}\r\nContent-Length: 0\r\n\r\n", by.sip.contact());
    let request = by.sip.in_dialog("INVITE", dialog, cseq).replace("Content-Length: 0\r\n\r\n", &contact);
    let sdp = by.sdp(offer);
    by.sip.send(&with_sdp(&request, &sdp));
    let received = other.sip.expect("INVITE ");
    other.answer_sdp(&received, "200 OK", answer);
    let ok = by.sip.expect("SIP/2.0 200");
    // The route set is the one of the dialog's beginning (RFC 3261 §12.2).
    let ack = by.sip.in_dialog("ACK", dialog, cseq);
    by.sip.send(&ack);
    other.sip.expect("ACK ");
    (received, ok)
}

/// A call with sound both ways: the phones, the INVITE as the callee got it and the 200 as the caller got it.
pub fn call(server: u16) -> (AudioPhone, AudioPhone, String, String) {
    let mut alice = AudioPhone::new("alice", "127.0.0.1", server);
    let mut bob = AudioPhone::new("bob", "127.0.0.1", server);
    bob.sip.register();
    invite(&mut alice, "bob");
    let received = bob.sip.expect("INVITE ");
    assert_relayed(&received, &alice);
    bob.sip.answer(&received, "180 Ringing");
    bob.answer_sdp(&received, "200 OK", "sendrecv");
    let ok = alice.sip.expect("SIP/2.0 200");
    assert_relayed(&ok, &bob);
    let ack = alice.sip.in_dialog("ACK", &ok, 1);
    alice.sip.send(&ack);
    bob.sip.expect("ACK ");
    both_hear(&mut alice, audio_of(&ok), &mut bob, audio_of(&received));
    (alice, bob, received, ok)
}

/// A call with sound both ways, hold, resume, a refused re-INVITE, and BYE.
pub fn call_with_hold(server: u16) {
    let (mut alice, mut bob, _, ok) = call(server);
    let (held, hold_ok) = reoffer(&mut alice, &ok, 2, &mut bob, ("sendonly", "recvonly"));
    assert_eq!((direction_of(&held), direction_of(&hold_ok)), ("sendonly", "recvonly"));
    is_heard(&mut alice, audio_of(&hold_ok), &mut bob);

    let (resumed, resume_ok) = reoffer(&mut alice, &ok, 3, &mut bob, ("sendrecv", "sendrecv"));
    assert_eq!((direction_of(&resumed), direction_of(&resume_ok)), ("sendrecv", "sendrecv"));
    both_hear(&mut alice, audio_of(&resume_ok), &mut bob, audio_of(&resumed));

    let contact = format!("Contact: {}\r\nContent-Length: 0\r\n\r\n", alice.sip.contact());
    let request = alice.sip.in_dialog("INVITE", &ok, 4).replace("Content-Length: 0\r\n\r\n", &contact);
    let refused = with_sdp(&request, &alice.sdp("inactive"));
    alice.sip.send(&refused);
    let received_again = bob.sip.expect("INVITE ");
    bob.sip.answer(&received_again, "488 Not Acceptable Here");
    let answer = alice.sip.expect("SIP/2.0 488");
    alice.sip.send(&same_branch("ACK", &refused, header(&answer, "To")));
    bob.sip.expect("ACK ");
    both_hear(&mut alice, audio_of(&resume_ok), &mut bob, audio_of(&resumed));

    let bye = alice.sip.in_dialog("BYE", &ok, 5);
    alice.sip.send(&bye);
    let bye = bob.sip.expect("BYE ");
    bob.sip.answer(&bye, "200 OK");
    alice.sip.expect("SIP/2.0 200");
}

/// Early media, then the caller gives up.
pub fn cancelled_call(server: u16) {
    let mut alice = AudioPhone::new("alice", "127.0.0.1", server);
    let mut bob = AudioPhone::new("bob", "127.0.0.1", server);
    bob.sip.register();
    let sent = invite(&mut alice, "bob");
    let received = bob.sip.expect("INVITE ");
    bob.answer_sdp(&received, "183 Session Progress", "sendrecv");
    let progress = alice.sip.expect("SIP/2.0 183");
    assert_relayed(&progress, &bob);
    is_heard(&mut bob, audio_of(&received), &mut alice);
    alice.sip.send(&same_branch("CANCEL", &sent, header(&sent, "To")));
    let cancel = bob.sip.expect("CANCEL ");
    bob.sip.answer(&cancel, "200 OK");
    bob.sip.answer(&received, "487 Request Terminated");
    let terminated = alice.sip.expect("SIP/2.0 487");
    alice.sip.send(&same_branch("ACK", &sent, header(&terminated, "To")));
}

/// Two phones of one user ring with early media; the one that answers has the call's sound, whatever becomes of the
/// other branch.
pub fn forked_call(server: u16) {
    let mut alice = AudioPhone::new("alice", "127.0.0.1", server);
    let mut first = AudioPhone::new("bob", "127.0.0.1", server);
    let mut second = AudioPhone::new("bob", "127.0.0.2", server);
    first.sip.register();
    second.sip.register();
    let sent = invite(&mut alice, "bob");
    let at_first = first.sip.expect("INVITE ");
    let at_second = second.sip.expect("INVITE ");
    // The two tags differ as those of two phones do.
    first.answer_sdp(&at_first.replace("\r\nFrom:", "\r\nX-Phone: 1\r\nFrom:"), "183 Session Progress", "sendrecv");
    alice.sip.expect("SIP/2.0 183");
    is_heard(&mut first, audio_of(&at_first), &mut alice);
    let ok = second.sip.response(&at_second, "200 OK").replace(";tag=tbob", ";tag=tsecond");
    let sdp = second.sdp("sendrecv");
    second.sip.send(&with_sdp(&ok, &sdp));
    let ok = alice.sip.expect("SIP/2.0 200");
    let ack = alice.sip.in_dialog("ACK", &ok, 1);
    alice.sip.send(&ack);
    second.sip.expect("ACK ");
    let cancel = first.sip.expect("CANCEL ");
    first.sip.answer(&cancel, "200 OK");
    first.sip.answer(&at_first, "487 Request Terminated");
    first.sip.expect("ACK ");
    both_hear(&mut alice, audio_of(&ok), &mut second, audio_of(&at_second));
    let bye = alice.sip.in_dialog("BYE", &ok, 2);
    alice.sip.send(&bye);
    let bye = second.sip.expect("BYE ");
    let gone = second.sip.response(&bye, "200 OK");
    second.sip.send(&gone);
    alice.sip.expect("SIP/2.0 200");
    let _ = sent;
}
