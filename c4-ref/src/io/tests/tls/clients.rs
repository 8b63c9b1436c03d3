//! Certificates of clients: who is asked, who is let in, and what is known of them then.

use rcgen::{SanType, date_time_ymd};

use super::*;
use crate::config::ClientAuth;

const NAME: &str = "sip.carrier.example";

impl Authority {
    /// A client with a certificate for `name`, until `year`; `None`: without one. It trusts `server`.
    fn client_of(&self, server: &Authority, name: Option<&str>, year: i32) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(server.roots());
        let Some(name) = name else { return Arc::new(builder.with_no_client_auth()) };
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.trim_start_matches("sip:").to_owned()]).unwrap();
        if name.starts_with("sip:") {
            params.subject_alt_names.push(SanType::DnsName("dns.example".try_into().unwrap()));
            params.subject_alt_names.push(SanType::URI(name.try_into().unwrap()));
        }
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params.distinguished_name.push(rcgen::DnType::CommonName, "common.name.example");
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        Arc::new(builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap())
    }

    /// The settings of a server that asks clients for certificates of this authority.
    fn asking(&self, client_auth: ClientAuth) -> config::Tls {
        let settings = self.issue("sip.example.com");
        config::Tls { client_ca: settings.ca.clone(), client_auth, ..settings }
    }
}

const VALID: i32 = 2100;
const EXPIRED: i32 = 2021;

/// Whether a client with this configuration is answered.
fn served(rig: &Rig, client: &Arc<ClientConfig>) -> bool {
    let mut phone = phone(rig, client.clone(), "sip.example.com");
    if phone.write_all(options("a", "client").as_bytes()).is_err() {
        return false;
    }
    let mut first = [0; 11];
    phone.read_exact(&mut first).is_ok() && &first == b"SIP/2.0 200"
}

#[test]
fn each_mode_lets_in_whom_it_should() {
    let (known, stranger) = (Authority::new("client-known"), Authority::new("client-stranger"));
    let none = known.client_of(&known, None, VALID);
    let right = known.client_of(&known, Some(NAME), VALID);
    let expired = known.client_of(&known, Some(NAME), EXPIRED);
    let wrong = stranger.client_of(&known, Some(NAME), VALID);
    for (mode, expected) in [
        (ClientAuth::Off, [true, true, true, true]),
        (ClientAuth::Request, [true, true, false, false]),
        (ClientAuth::Require, [false, true, false, false]),
    ] {
        let (rig, _) = rig(&known.asking(mode), &["tls:127.0.0.1:0"], |_| {});
        assert_eq!([&none, &right, &expired, &wrong].map(|client| served(&rig, client)), expected, "{mode:?}");
        let refused = expected.iter().filter(|served| !**served).count() as u64;
        assert!(eventually(|| rig.stat("io_closed_tls") == refused), "{mode:?}");
        assert_eq!(rig.stat("io_identified"), u64::from(mode != ClientAuth::Off), "{mode:?}");
    }
}

/// Lesson 16, the side of the server: what a client has proved belongs to its connection and to no other.
#[test]
fn lesson_16_a_clients_identity_is_that_of_its_own_connection() {
    let authority = Authority::new("client-identity");
    let (rig, _) = rig(&authority.asking(ClientAuth::Request), &["tls:127.0.0.1:0"], |_| {});
    let mut trunk = phone(&rig, authority.client_of(&authority, Some(NAME), VALID), "sip.example.com");
    exchange(&mut trunk, &options("a", "trunk"));
    let Heard::Identified(0, identified, names) = rig.hear() else { panic!("a message before its sender") };
    assert_eq!(names, [NAME], "the common name counts for nothing");
    let (_, flow) = rig.hear_message();
    assert_eq!(flow, identified);
    let mut other = phone(&rig, authority.client_of(&authority, None, VALID), "sip.example.com");
    exchange(&mut other, &options("a", "other"));
    let (_, stranger) = rig.hear_message();
    assert_ne!(stranger.connection, flow.connection);
    // A connection that is asked for by that very name is another one still: a client proves no server.
    let target = json!({ "id": 1, "transport": "tls", "remote": flow.remote.to_string(), "name": NAME });
    assert_eq!(rig.connect(target), Err(ErrorKind::ConnectionRefused));
    drop(trunk);
    assert_eq!(rig.hear(), Heard::Closed(0, flow));
}

#[test]
fn rfc5922_7_1_a_sip_uri_counts_before_dns_names_and_all_workers_know() {
    let authority = Authority::new("client-uri");
    let tls = Tls::new(&authority.asking(ClientAuth::Require)).unwrap();
    let rig = Rig::start(&["tls:127.0.0.1:0"], 2, |options| options.tls = Some(tls));
    let mut trunk = phone(&rig, authority.client_of(&authority, Some("sip:carrier.example"), VALID), "sip.example.com");
    exchange(&mut trunk, &options("worker0", "0"));
    exchange(&mut trunk, &options("worker1", "1"));
    let heard: Vec<Heard> = (0..4).map(|_| rig.hear()).collect();
    for worker in 0..2 {
        let of = |heard: &Heard| match heard {
            Heard::Identified(at, _, names) if *at == worker => Some(format!("{names:?}")),
            Heard::Message(at, ..) if *at == worker => Some("message".into()),
            _ => None,
        };
        let order: Vec<String> = heard.iter().filter_map(of).collect();
        assert_eq!(order, ["[\"carrier.example\"]", "message"], "worker {worker}");
    }
}

#[test]
fn other_authorities_count_for_connections_after_a_reload() {
    let (old, new) = (Authority::new("client-old"), Authority::new("client-new"));
    let settings = old.asking(ClientAuth::Require);
    let (rig, tls) = rig(&settings, &["tls:127.0.0.1:0"], |_| {});
    let (before, after) = (old.client_of(&old, Some(NAME), VALID), new.client_of(&old, Some(NAME), VALID));
    let mut open = phone(&rig, before.clone(), "sip.example.com");
    exchange(&mut open, &options("a", "open"));
    assert!(!served(&rig, &after));
    let changed = config::Tls { client_ca: new.asking(ClientAuth::Require).client_ca, ..settings.clone() };
    tls.reload(&changed).unwrap();
    assert!(served(&rig, &after));
    // It has a session with us, which must not outlive the trust in its authority.
    assert!(!served(&rig, &before), "no ticket stands in for a certificate");
    assert!(exchange(&mut open, &options("a", "still")).starts_with("SIP/2.0 200"), "open connections live on");
    tls.reload(&config::Tls { client_auth: ClientAuth::Off, ..settings.clone() }).unwrap();
    assert!(served(&rig, &before) && served(&rig, &after));
    let missing = config::Tls { client_ca: "none.pem".into(), ..settings };
    assert!(tls.reload(&missing).unwrap_err().to_string().starts_with("tls.client-ca none.pem: "));
    assert!(served(&rig, &after), "a mistake changes nothing");
}
