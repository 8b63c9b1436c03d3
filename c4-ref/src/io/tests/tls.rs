//! TLS: both sides, identities, reload, slow handshakes.

mod clients;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::config;
use crate::io::Tls;

/// An authority and its folder of PEM files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let dir = scratch(name);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(dir.join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, dir }
    }

    /// Writes a certificate for `name`, and gives the settings that use it.
    fn issue(&self, name: &str) -> config::Tls {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let (cert, key_file) = (self.dir.join("cert.pem"), self.dir.join("key.pem"));
        std::fs::write(&cert, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        config::Tls {
            cert: text(&cert),
            key: text(&key_file),
            ca: text(&self.dir.join("ca.pem")),
            ..config::Tls::default()
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }

    fn client(&self) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(self.roots()).with_no_client_auth())
    }

    /// A foreign TLS server of this name, which sends back what it gets.
    fn serve(&self, name: &str, connections: usize) -> SocketAddr {
        let settings = self.issue(name);
        let chain = vec![CertificateDer::from_pem_file(&settings.cert).unwrap()];
        let key = PrivateKeyDer::from_pem_file(&settings.key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().take(connections).flatten() {
                let config = config.clone();
                std::thread::spawn(move || {
                    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                    let mut buffer = [0; 4096];
                    while let Ok(length @ 1..) = stream.read(&mut buffer) {
                        let _ = stream.write_all(&buffer[..length]);
                    }
                });
            }
        });
        address
    }
}

fn phone(rig: &Rig, config: Arc<ClientConfig>, name: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let stream = TcpStream::connect(rig.address(Transport::Tls)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream)
}

fn rig(settings: &config::Tls, listeners: &[&str], change: impl FnOnce(&mut Options)) -> (Rig, Tls) {
    let tls = Tls::new(settings).unwrap();
    let with = tls.clone();
    let rig = Rig::start(listeners, 1, |options| {
        options.tls = Some(with);
        change(options);
    });
    (rig, tls)
}

#[test]
fn messages_pass_over_tls() {
    let authority = Authority::new("tls-echo");
    let (rig, _) = rig(&authority.issue("sip.example.com"), &["tls:127.0.0.1:0"], |_| {});
    let mut phone = phone(&rig, authority.client(), "sip.example.com");
    for n in 0..3 {
        let answer = exchange(&mut phone, &options("a", &format!("tls-{n}")));
        assert!(answer.contains(&format!("tls-{n}")));
        let (_, flow) = rig.hear_message();
        assert_eq!((flow.transport, flow.local), (Transport::Tls, rig.address(Transport::Tls)));
    }
    // A body larger than a TLS record, and one read, arrives whole.
    let body = "x".repeat(40_000);
    let big = options("a", "big").replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: 40000\r\n\r\n{body}"));
    assert!(exchange(&mut phone, &big).contains("Call-ID: big"));
    match rig.hear() {
        Heard::Message(_, _, message) => assert!(message.ends_with(body.as_bytes())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_certificate_is_swapped_without_dropping_connections() {
    let authority = Authority::new("tls-reload");
    let settings = authority.issue("old.example.com");
    let (rig, tls) = rig(&settings, &["tls:127.0.0.1:0"], |_| {});
    let mut before = phone(&rig, authority.client(), "old.example.com");
    exchange(&mut before, &options("a", "before"));
    authority.issue("new.example.com");
    tls.reload(&settings).unwrap();
    let mut after = phone(&rig, authority.client(), "new.example.com");
    assert!(exchange(&mut after, &options("a", "after")).starts_with("SIP/2.0 200"));
    assert!(exchange(&mut before, &options("a", "still")).starts_with("SIP/2.0 200"));
    std::fs::write(&settings.cert, "no certificate").unwrap();
    let error = tls.reload(&settings).unwrap_err().to_string();
    assert!(error.starts_with(&format!("tls.cert {}: ", settings.cert)), "{error}");
    assert!(exchange(&mut phone(&rig, authority.client(), "new.example.com"), &options("a", "old")).contains("200"));
}

/// Lesson 16 of the field: TLS traffic went out over a TCP connection, or one with another certificate.
#[test]
fn lesson_16_tls_traffic_never_leaves_over_tcp_or_another_identity() {
    let authority = Authority::new("tls-identity");
    let (rig, _) = rig(&authority.issue("sip.example.com"), &["tcp:127.0.0.1:0", "tls:127.0.0.1:0"], |_| {});
    let remote = authority.serve("one.example.com", 8);
    let ask = |id: u64, transport: &str, name: Option<&str>| {
        let target = json!({ "id": id, "transport": transport, "remote": remote.to_string(), "name": name });
        rig.connect(target)
    };
    // A TCP connection to the very address does not serve for TLS.
    let plain = ask(1, "tcp", None).unwrap();
    let one = ask(2, "tls", Some("one.example.com")).unwrap();
    assert_ne!(plain.connection, one.connection);
    assert_eq!(ask(3, "tls", Some("one.example.com")), Ok(one), "the same identity is the same connection");
    // Nor does a TLS connection of another name: a new one is made, and this server is not that name.
    assert_eq!(ask(4, "tls", Some("two.example.com")), Err(ErrorKind::InvalidData));
    assert_eq!(ask(5, "tls", None), Err(ErrorKind::InvalidData), "nor by its address alone");
    assert_eq!(ask(6, "tcp", None), Ok(plain));
    // A forged flow that names the TCP connection as TLS is refused.
    let forged = Flow { connection: plain.connection, ..one };
    rig.send(forged, "secret", 1);
    assert!(matches!(rig.hear(), Heard::Failed(_, ErrorKind::NotConnected)));
}

/// The other half: a connection that a phone opened was checked against no name.
#[test]
fn lesson_16_a_connect_by_name_does_not_find_a_phones_tls_connection() {
    let authority = Authority::new("tls-inbound");
    let (rig, _) = rig(&authority.issue("sip.example.com"), &["tls:127.0.0.1:0"], |_| {});
    let mut phone = phone(&rig, authority.client(), "sip.example.com");
    exchange(&mut phone, &options("a", "inbound"));
    let (_, flow) = rig.hear_message();
    let remote = flow.remote.to_string();
    for (id, name) in [(1, Some("sip.example.com")), (2, None)] {
        let result = rig.connect(json!({ "id": id, "transport": "tls", "remote": remote, "name": name }));
        assert_eq!(result, Err(ErrorKind::ConnectionRefused), "it tried to connect, and nobody listens there");
    }
    // Its flow still reaches it.
    rig.send(flow, &options("a", "by-flow"), 1);
    assert!(read_head(&mut phone).contains("by-flow"));
}

#[test]
fn a_server_of_an_unknown_authority_is_refused() {
    let (authority, stranger) = (Authority::new("tls-known"), Authority::new("tls-stranger"));
    let (rig, _) = rig(&authority.issue("sip.example.com"), &["tls:127.0.0.1:0"], |_| {});
    let remote = stranger.serve("one.example.com", 1).to_string();
    let target = json!({ "id": 1, "transport": "tls", "remote": remote, "name": "one.example.com" });
    assert_eq!(rig.connect(target), Err(ErrorKind::InvalidData));
}

#[test]
fn slow_handshakes_and_garbage_are_closed() {
    let authority = Authority::new("tls-slow");
    let (rig, _) = rig(&authority.issue("sip.example.com"), &["tls:127.0.0.1:0"], |options| {
        options.timeouts.message = Duration::from_millis(150);
    });
    let connect = || {
        let stream = TcpStream::connect(rig.address(Transport::Tls)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    };
    let mut silent = connect();
    let mut slow = connect();
    slow.write_all(&[0x16, 0x03, 0x01, 0x02]).unwrap();
    let mut garbage = connect();
    garbage.write_all(&[0xff; 300]).unwrap();
    let mut plain = connect();
    plain.write_all(options("a", "plain").as_bytes()).unwrap();
    for stream in [&mut silent, &mut slow, &mut garbage, &mut plain] {
        assert!(closes(stream));
    }
    assert_eq!((rig.stat("io_closed_slow"), rig.stat("io_closed_tls"), rig.stat("messages")), (2, 2, 0));
    // Half a message inside TLS is half a message too.
    let mut half = phone(&rig, authority.client(), "sip.example.com");
    half.write_all(&options("a", "half").as_bytes()[..60]).unwrap();
    assert!(closes(&mut half));
    assert_eq!(rig.stat("io_closed_slow"), 3);
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let dir = scratch("tls-files");
    let missing = config::Tls { cert: dir.join("none.pem").to_str().unwrap().into(), ..config::Tls::default() };
    assert!(Tls::new(&missing).err().unwrap().to_string().starts_with("tls.cert "));
    let authority = Authority::new("tls-files-2");
    let good = authority.issue("sip.example.com");
    let no_key = config::Tls { key: good.cert.clone(), ..good.clone() };
    assert!(Tls::new(&no_key).err().unwrap().to_string().starts_with("tls.key "));
    let no_ca = config::Tls { ca: dir.join("none.pem").to_str().unwrap().into(), ..good };
    assert!(Tls::new(&no_ca).err().unwrap().to_string().starts_with("tls.ca "));
}
