//! A relay, its controller and two parties.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Command as Process, Output, Stdio};

use bytes::Bytes;
use c4_ref::ng::bencode::{Limits, Scanner, Value};
use c4_ref::ng::{Command, Reply, Request};

use crate::common::{Daemon, PATIENCE, Scratch, free_port};

pub(crate) const RELAY: &str = env!("CARGO_BIN_EXE_c4-relay");
const C4: &str = env!("CARGO_BIN_EXE_c4");

/// A running `c4-relay`; NG over UDP and TCP on one port.
pub(crate) struct Relay {
    pub(crate) daemon: Daemon,
    pub(crate) ng: SocketAddr,
    pub(crate) scratch: Scratch,
    files: Option<u32>,
    args: Vec<String>,
}

impl Relay {
    /// With these settings beside the usual ones.
    pub(crate) fn start(name: &str, settings: &[&str]) -> Relay {
        Relay::launch(name, None, settings)
    }

    /// The same with so many files at most.
    pub(crate) fn limited(name: &str, files: u32, settings: &[&str]) -> Relay {
        Relay::launch(name, Some(files), settings)
    }

    /// With a configuration file beside the usual settings.
    pub(crate) fn with_file(name: &str, text: &str) -> Relay {
        let scratch = Scratch::new(name);
        scratch.file("c4.toml", text);
        Relay::launch_in(scratch, None, &[])
    }

    /// Writes that file anew.
    pub(crate) fn write(&self, text: &str) {
        self.scratch.file("c4.toml", text);
    }

    fn launch(name: &str, files: Option<u32>, settings: &[&str]) -> Relay {
        Relay::launch_in(Scratch::new(name), files, settings)
    }

    fn launch_in(scratch: Scratch, files: Option<u32>, settings: &[&str]) -> Relay {
        let ng = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let admin = format!("admin.listen=unix:{}", scratch.path().join("ctl").display());
        let (udp, tcp) = (format!("relay.ng+=udp:{ng}"), format!("relay.ng+=tcp:{ng}"));
        let own = [&admin, &udp, &tcp, "relay.tos=0", "relay.ports=10000-29999"];
        let interface = ["relay.interfaces+=127.0.0.1"];
        let named = settings.iter().any(|setting| setting.starts_with("relay.interfaces"));
        let interface = if named { &[] } else { &interface[..] };
        let all = own.iter().chain(interface).chain(settings);
        let mut args: Vec<String> = all.flat_map(|setting| ["-s".to_owned(), (*setting).to_owned()]).collect();
        let file = scratch.path().join("c4.toml");
        if file.exists() {
            args.extend(["-c".to_owned(), file.display().to_string()]);
        }
        Relay { daemon: start(files, &args, ng), ng, scratch, files, args }
    }

    /// Killed as by a crash, and started again with the same settings.
    pub(crate) fn restart(self) -> Relay {
        self.daemon.kill();
        Relay { daemon: start(self.files, &self.args, self.ng), ..self }
    }

    pub(crate) fn udp(&self) -> Ng {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.ng).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Ng { link: Link::Udp(socket), asked: 0 }
    }

    pub(crate) fn tcp(&self) -> Ng {
        let stream = TcpStream::connect(self.ng).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Ng { link: Link::Tcp(stream), asked: 0 }
    }

    fn socket(&self) -> PathBuf {
        self.scratch.path().join("ctl")
    }

    /// Asks by the operator's tool.
    pub(crate) fn c4(&self, args: &[&str]) -> Output {
        Process::new(C4).args(args).arg("--socket").arg(self.socket()).stdin(Stdio::null()).output().unwrap()
    }

    /// What `c4 stats` says of one counter.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let output = self.c4(&["stats", name]);
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim()
            .rsplit(' ')
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("{name}: {text}"))
    }
}

fn start(files: Option<u32>, args: &[String], ng: SocketAddr) -> Daemon {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let Some(files) = files else { return Daemon::start_ng(RELAY, &args, ng.port()) };
    let limit = format!("ulimit -n {files}; exec \"$@\"");
    Daemon::start_ng("sh", &[&["-c", &limit, "sh", RELAY][..], &args].concat(), ng.port())
}

/// A controller.
pub(crate) struct Ng {
    link: Link,
    asked: u32,
}

enum Link {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Ng {
    pub(crate) fn ask(&mut self, request: &Request) -> Reply {
        let cookie = self.send(&request.to_vec());
        let (of, reply) = self.receive().expect("a reply");
        assert_eq!(of, cookie);
        reply
    }

    /// Sends octets under a cookie of their own.
    pub(crate) fn send(&mut self, payload: &[u8]) -> String {
        self.asked += 1;
        let cookie = format!("cookie{}", self.asked);
        self.send_raw(&[cookie.as_bytes(), b" ", payload].concat());
        cookie
    }

    pub(crate) fn send_raw(&mut self, octets: &[u8]) {
        match &mut self.link {
            Link::Udp(socket) => _ = socket.send(octets),
            Link::Tcp(stream) => stream.write_all(octets).unwrap(),
        }
    }

    /// Nothing more is sent.
    pub(crate) fn end(&mut self) {
        if let Link::Tcp(stream) = &self.link {
            stream.shutdown(Shutdown::Write).unwrap();
        }
    }

    /// Nothing but this reply comes any more, by the time that a ping is answered.
    pub(crate) fn quiet(&mut self, known: &(String, Reply)) {
        let ping = self.send(b"d7:command4:pinge");
        loop {
            let reply = self.receive().unwrap();
            if reply.0 == ping {
                return;
            }
            assert_eq!(reply, *known);
        }
    }

    /// Sends this without reading, until the other side has enough; whether it closed.
    pub(crate) fn floods(self, message: &[u8]) -> bool {
        let Link::Tcp(mut stream) = self.link else { return false };
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let block = message.repeat(1000);
        (0..10_000).any(|_| match stream.write_all(&block) {
            Ok(()) => false,
            Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        })
    }

    /// The next reply and its cookie; `None` when the other side has closed.
    pub(crate) fn receive(&mut self) -> Option<(String, Reply)> {
        let mut message = Vec::new();
        let mut buffer = vec![0; 1 << 17];
        loop {
            let length = match &mut self.link {
                Link::Udp(socket) => socket.recv(&mut buffer).expect("a datagram"),
                // One octet at a time: nothing of the next reply is taken.
                Link::Tcp(stream) => match stream.read(&mut buffer[..1]) {
                    Ok(0) => return None,
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                    result => result.expect("octets"),
                },
            };
            message.extend_from_slice(&buffer[..length]);
            let Some(blank) = message.iter().position(|octet| *octet == b' ') else { continue };
            let payload = &message[blank + 1..];
            let limits = Limits { octets: 1 << 20, ..Limits::default() };
            // All over again for each octet of a stream, as far as it may be whole.
            if payload.ends_with(b"e") && Scanner::new(limits).push(payload) == Ok(Some(payload.len())) {
                let cookie = String::from_utf8(message[..blank].to_vec()).unwrap();
                return Some((cookie, Reply::parse_within(payload, &limits).unwrap()));
            }
        }
    }
}

/// A party with its sockets for RTP and RTCP, on adjacent ports.
pub(crate) struct Party {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
}

impl Party {
    pub(crate) fn new(ip: &str) -> Party {
        let ip: IpAddr = ip.parse().unwrap();
        for _ in 0..200 {
            let rtp = UdpSocket::bind((ip, 0)).unwrap();
            let port = rtp.local_addr().unwrap().port();
            if let Some(next) = port.checked_add(1)
                && let Ok(rtcp) = UdpSocket::bind((ip, next))
            {
                for socket in [&rtp, &rtcp] {
                    socket.set_read_timeout(Some(PATIENCE)).unwrap();
                }
                return Party { rtp, rtcp };
            }
        }
        panic!("no two adjacent ports on {ip}");
    }

    pub(crate) fn sdp(&self) -> String {
        let at = self.rtp.local_addr().unwrap();
        let family = if at.is_ipv4() { "IP4" } else { "IP6" };
        format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\na=ptime:20\r\n",
            ip = at.ip(),
            port = at.port()
        )
    }
}

pub(crate) fn request(command: Command, call_id: &str, sdp: &str) -> Request {
    let to_tag = (command == Command::Answer).then(|| "b".to_owned());
    let sdp = Bytes::copy_from_slice(sdp.as_bytes());
    Request { from_tag: "a".into(), to_tag, sdp, ..Request::new(command, call_id) }
}

/// Where a reply's first line of media is to be sent.
pub(crate) fn place(reply: &Reply) -> SocketAddr {
    let sdp = reply.sdp().unwrap_or_else(|| panic!("{reply:?}"));
    let session = sdp::Session::parse(sdp.clone(), &sdp::Limits::default()).unwrap();
    let text = String::from_utf8_lossy(sdp).into_owned();
    let ip = text.lines().find_map(|line| line.strip_prefix("c=IN IP")).unwrap();
    let port = session.media(0).unwrap().port();
    SocketAddr::new(ip.get(2..).unwrap().parse().unwrap(), port)
}

/// The texts in a list of a reply.
pub(crate) fn texts(reply: &Reply, key: &str) -> Vec<String> {
    let Reply::Ok(dict) = reply else { panic!("{reply:?}") };
    let Some(Value::List(items)) = dict.get(key) else { panic!("{reply:?}") };
    let text = |item: &Value| match item {
        Value::Octets(octets) => String::from_utf8_lossy(octets).into_owned(),
        other => panic!("{other:?}"),
    };
    items.iter().map(text).collect()
}

/// A call that is answered.
pub(crate) struct Call {
    pub(crate) a: Party,
    pub(crate) b: Party,
    /// Where A sends RTP.
    pub(crate) to_a: SocketAddr,
    /// Where B does.
    pub(crate) to_b: SocketAddr,
    sent: u16,
}

pub(crate) const RR: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 9];

pub(crate) fn rtp(n: u16) -> Vec<u8> {
    let [high, low] = n.to_be_bytes();
    [&[0x80, 0, high, low, 0, 0, high, low, 0, 0, 0, 9][..], &[0xff; 160]].concat()
}

pub(crate) fn rtcp_of(rtp: SocketAddr) -> SocketAddr {
    SocketAddr::new(rtp.ip(), rtp.port() + 1)
}

impl Call {
    pub(crate) fn new(ng: &mut Ng, call_id: &str) -> Call {
        let (a, b) = (Party::new("127.0.0.1"), Party::new("127.0.0.1"));
        let to_b = place(&ng.ask(&request(Command::Offer, call_id, &a.sdp())));
        let to_a = place(&ng.ask(&request(Command::Answer, call_id, &b.sdp())));
        Call::of(a, b, to_a, to_b)
    }

    /// Between these, who send there.
    pub(crate) fn of(a: Party, b: Party, to_a: SocketAddr, to_b: SocketAddr) -> Call {
        Call { a, b, to_a, to_b, sent: 0 }
    }

    /// RTP and RTCP pass both ways, and nothing else came before.
    pub(crate) fn talk(&mut self) {
        self.sent += 1;
        let packet = rtp(self.sent);
        passes(&packet, (&self.a.rtp, self.to_a), (&self.b.rtp, self.to_b));
        passes(&packet, (&self.b.rtp, self.to_b), (&self.a.rtp, self.to_a));
        passes(&RR, (&self.a.rtcp, rtcp_of(self.to_a)), (&self.b.rtcp, rtcp_of(self.to_b)));
        passes(&RR, (&self.b.rtcp, rtcp_of(self.to_b)), (&self.a.rtcp, rtcp_of(self.to_a)));
    }
}

fn passes(payload: &[u8], from: (&UdpSocket, SocketAddr), to: (&UdpSocket, SocketAddr)) {
    from.0.send_to(payload, from.1).unwrap();
    let mut buffer = [0; 2048];
    let (length, source) = to.0.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], source), (payload, to.1));
}
