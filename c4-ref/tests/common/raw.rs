//! A phone of plain text over a real socket: it knows no transactions, so a test says every octet itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
}

/// One phone at one socket towards one server.
pub struct Phone {
    socket: Socket,
    pub user: &'static str,
    pub local: SocketAddr,
    next: u32,
}

/// All values of header `name` in `message`, in order; long forms only, which is what our servers send and keep.
pub fn headers<'a>(message: &'a str, name: &str) -> Vec<&'a str> {
    let head = message.split("\r\n\r\n").next().unwrap_or("");
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(n, _)| n.trim().eq_ignore_ascii_case(name)).map(|(_, v)| v.trim()).collect()
}

pub fn header<'a>(message: &'a str, name: &str) -> &'a str {
    headers(message, name).first().copied().unwrap_or_else(|| panic!("no {name} in:\n{message}"))
}

/// The URI between the angle brackets of a header value.
pub fn uri(value: &str) -> &str {
    value.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(value, |(uri, _)| uri)
}

/// The lines of header `name`, as they stand, each ended by CRLF.
fn lines_of(message: &str, name: &str) -> String {
    headers(message, name).iter().map(|value| format!("{name}: {value}\r\n")).collect()
}

impl Phone {
    pub fn udp(user: &'static str, ip: &str, server: u16) -> Phone {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.connect(("127.0.0.1", server)).unwrap();
        let local = socket.local_addr().unwrap();
        Phone { socket: Socket::Udp(socket), user, local, next: 0 }
    }

    pub fn tcp(user: &'static str, server: u16) -> Phone {
        let stream = TcpStream::connect(("127.0.0.1", server)).unwrap();
        let local = stream.local_addr().unwrap();
        Phone { socket: Socket::Tcp(stream, Vec::new()), user, local, next: 0 }
    }

    fn transport(&self) -> &'static str {
        if matches!(self.socket, Socket::Udp(_)) { "UDP" } else { "TCP" }
    }

    pub fn contact(&self) -> String {
        format!("<sip:{}@{};transport={}>", self.user, self.local, self.transport().to_lowercase())
    }

    /// A Via of a new transaction.
    pub fn via(&mut self) -> String {
        self.next += 1;
        format!(
            "SIP/2.0/{} {};rport;branch=z9hG4bK{}{}n{}",
            self.transport(),
            self.local,
            self.user,
            self.local.port(),
            self.next
        )
    }

    pub fn send(&mut self, message: &str) {
        match &mut self.socket {
            Socket::Udp(socket) => {
                socket.send(message.as_bytes()).unwrap();
            }
            Socket::Tcp(stream, _) => stream.write_all(message.as_bytes()).unwrap(),
        }
    }

    /// The next message for which `want` holds; others are passed over. None after `patience`.
    pub fn wait(&mut self, patience: Duration, want: impl Fn(&str) -> bool) -> Option<String> {
        let deadline = Instant::now() + patience;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            if let Some(message) = self.receive(left.max(Duration::from_millis(1)))
                && want(&message)
            {
                return Some(message);
            }
        }
        None
    }

    /// As `wait` for a message that must come: its first line starts with `start`.
    pub fn expect(&mut self, start: &str) -> String {
        let found = self.wait(super::PATIENCE, |message| message.starts_with(start));
        found.unwrap_or_else(|| panic!("{} waits for {start} in vain", self.user))
    }

    fn receive(&mut self, patience: Duration) -> Option<String> {
        let mut chunk = [0u8; 65536];
        match &mut self.socket {
            Socket::Udp(socket) => {
                socket.set_read_timeout(Some(patience)).unwrap();
                let n = socket.recv(&mut chunk).ok()?;
                Some(String::from_utf8_lossy(&chunk[..n]).into_owned())
            }
            Socket::Tcp(stream, buffer) => {
                stream.set_read_timeout(Some(patience)).unwrap();
                loop {
                    if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                        let head = String::from_utf8_lossy(&buffer[..end + 4]).into_owned();
                        let body: usize = header(&head, "Content-Length").parse().unwrap();
                        if buffer.len() >= end + 4 + body {
                            let rest = buffer.split_off(end + 4 + body);
                            let message = std::mem::replace(buffer, rest);
                            return Some(String::from_utf8_lossy(&message).into_owned());
                        }
                    }
                    match stream.read(&mut chunk) {
                        Ok(0) | Err(_) => return None,
                        Ok(n) => buffer.extend_from_slice(&chunk[..n]),
                    }
                }
            }
        }
    }

    /// A request outside a dialog, with our From and Contact.
    pub fn request(&mut self, method: &str, uri: &str, to: &str, cseq: u32, more: &str) -> String {
        let (via, contact, user, call) = (self.via(), self.contact(), self.user, self.local.port());
        format!(
            "{method} {uri} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: <sip:{user}@c4.test>;tag=f{user}\r\nTo: <{to}>\r\n\
             Call-ID: {method}-{user}-{call}\r\nCSeq: {cseq} {method}\r\nContact: {contact}\r\n{more}Content-Length: 0\r\n\r\n"
        )
    }

    /// REGISTER without credentials: for servers with `auth.register = false`.
    pub fn register(&mut self) {
        let aor = format!("sip:{}@c4.test", self.user);
        let request = self.request("REGISTER", "sip:c4.test", &aor, 1, "Expires: 600\r\n");
        self.send(&request);
        self.expect("SIP/2.0 200");
    }

    /// Answers `request` with `code`, keeping the Vias and Record-Routes.
    pub fn answer(&mut self, request: &str, code: &str) {
        let response = self.response(request, code);
        self.send(&response);
    }

    /// What `answer` sends.
    pub fn response(&mut self, request: &str, code: &str) -> String {
        let tag = if header(request, "To").contains(";tag=") { String::new() } else { format!(";tag=t{}", self.user) };
        format!(
            "SIP/2.0 {code}\r\n{}{}From: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: {}\r\nContent-Length: 0\r\n\r\n",
            lines_of(request, "Via"),
            lines_of(request, "Record-Route"),
            header(request, "From"),
            header(request, "To"),
            header(request, "Call-ID"),
            header(request, "CSeq"),
            self.contact()
        )
    }

    /// A request inside the dialog that `ok` (the 200 to our INVITE) made: Route set reversed (RFC 3261 §12.1.2).
    pub fn in_dialog(&mut self, method: &str, ok: &str, cseq: u32) -> String {
        let via = self.via();
        let routes: Vec<&str> =
            headers(ok, "Record-Route").into_iter().flat_map(|line| line.split(',')).map(str::trim).collect();
        let routes: String = routes.iter().rev().map(|route| format!("Route: {route}\r\n")).collect();
        format!(
            "{method} {} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\n{routes}From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
             Content-Length: 0\r\n\r\n",
            uri(header(ok, "Contact")),
            header(ok, "From"),
            header(ok, "To"),
            header(ok, "Call-ID")
        )
    }

    /// A request inside the dialog that `invite` (received by us) made.
    pub fn in_dialog_callee(&mut self, method: &str, invite: &str, cseq: u32) -> String {
        let via = self.via();
        format!(
            "{method} {} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\n{}From: {};tag=t{}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
             Content-Length: 0\r\n\r\n",
            uri(header(invite, "Contact")),
            lines_of(invite, "Record-Route").replace("Record-Route:", "Route:"),
            header(invite, "To"),
            self.user,
            header(invite, "From"),
            header(invite, "Call-ID")
        )
    }

    /// Calls `callee`, who answers at once; the INVITE as the callee got it and the 200 as the caller got it.
    pub fn call(&mut self, callee: &mut Phone) -> (String, String) {
        let aor = format!("sip:{}@c4.test", callee.user);
        let invite = self.request("INVITE", &aor, &aor, 1, "");
        self.send(&invite);
        let received = callee.expect("INVITE ");
        callee.answer(&received, "180 Ringing");
        callee.answer(&received, "200 OK");
        let ok = self.expect("SIP/2.0 200");
        let ack = self.in_dialog("ACK", &ok, 1);
        self.send(&ack);
        callee.expect("ACK ");
        (received, ok)
    }
}
