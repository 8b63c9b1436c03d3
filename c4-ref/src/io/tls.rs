//! Certificates and the two sides of TLS, with the aws-lc-rs provider and no other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::config::{self, ClientAuth};
use crate::identity::{self, Identities};

/// Where distributions keep the certificates of the public authorities.
const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Certificates or keys that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{key} {file}: {why}")]
pub struct TlsError {
    key: &'static str,
    file: String,
    why: String,
}

/// Both sides of TLS; connections made after a [`Tls::reload`] see the new files, the others live on.
#[derive(Clone)]
pub struct Tls {
    certificate: Arc<Certificate>,
    server: Arc<ArcSwap<ServerConfig>>,
    client: Arc<ClientConfig>,
    tickets: Option<Arc<dyn ProducesTickets>>,
}

impl Tls {
    /// Reads the files of `[tls]`. Without a certificate we can connect, not listen.
    ///
    /// # Errors
    /// The setting, its file and what is wrong with it.
    pub fn new(config: &config::Tls) -> Result<Tls, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificate = Arc::new(Certificate::default());
        certificate.0.store(own_certificate(config, &provider)?);
        // A session outlives its connection by a ticket that the client keeps, not by memory here.
        let tickets = aws_lc_rs::Ticketer::new().ok();
        let server = server(config, &provider, &certificate, tickets.as_ref())?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(roots(config)?)
            .with_client_cert_resolver(certificate.clone());
        Ok(Tls { certificate, server: Arc::new(ArcSwap::new(server)), client: Arc::new(client), tickets })
    }

    /// Reads the certificate and key files and those of `client-ca` again. On an error the old ones stay.
    ///
    /// # Errors
    /// As [`Tls::new`].
    pub fn reload(&self, config: &config::Tls) -> Result<(), TlsError> {
        let provider = self.server.load().crypto_provider().clone();
        let own = own_certificate(config, &provider)?;
        let server = server(config, &provider, &self.certificate, self.tickets.as_ref())?;
        if own.is_some() {
            self.certificate.0.store(own);
        }
        self.server.store(server);
        Ok(())
    }

    pub(super) fn accept(&self) -> io::Result<rustls::Connection> {
        ServerConnection::new(self.server.load_full()).map(Into::into).map_err(io::Error::other)
    }

    /// `name` is what the server's certificate must bear; without one its address (RFC 5922 §7.1).
    pub(super) fn connect(&self, name: Option<&str>, remote: SocketAddr) -> io::Result<rustls::Connection> {
        let name = match name {
            Some(name) => ServerName::try_from(name.to_owned())
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "no host name"))?,
            None => ServerName::IpAddress(remote.ip().into()),
        };
        ClientConnection::new(self.client.clone(), name).map(Into::into).map_err(io::Error::other)
    }
}

fn unusable(error: rustls::Error) -> TlsError {
    TlsError { key: "tls", file: String::new(), why: error.to_string() }
}

fn server(
    config: &config::Tls,
    provider: &Arc<CryptoProvider>,
    certificate: &Arc<Certificate>,
    tickets: Option<&Arc<dyn ProducesTickets>>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
    let clients = clients(config, provider)?;
    // A ticket would prove what its certificate proved long after that expired or its authority was dropped.
    let tickets = tickets.filter(|_| clients.is_none());
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut server = builder.with_cert_resolver(certificate.clone());
    server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    if let Some(tickets) = tickets {
        server.ticketer = tickets.clone();
    }
    Ok(Arc::new(server))
}

/// What checks the certificates of clients; `None`: they are not asked.
fn clients(
    config: &config::Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    if config.client_auth == ClientAuth::Off {
        return Ok(None);
    }
    let file = config.client_ca.as_str();
    let wrong = |why: String| TlsError { key: "tls.client-ca", file: file.into(), why };
    let roots = Arc::new(authorities(file).map_err(wrong)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
    let builder = match config.client_auth {
        ClientAuth::Require => builder,
        _ => builder.allow_unauthenticated(),
    };
    builder.build().map(Some).map_err(|error| wrong(error.to_string()))
}

/// What the verified certificate of a client proves (RFC 5922 §7.1).
pub(super) fn identities(certificate: &CertificateDer<'_>) -> Identities {
    match webpki::EndEntityCert::try_from(certificate) {
        Ok(certificate) => identity::identities(certificate.valid_uri_names(), certificate.valid_dns_names()),
        Err(_) => identity::identities(std::iter::empty(), std::iter::empty()),
    }
}

/// The certificates of a PEM file; there must be one.
fn authorities(file: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    roots.add_parsable_certificates(certificates.flatten());
    if roots.is_empty() { Err("no certificate in it".into()) } else { Ok(roots) }
}

fn roots(config: &config::Tls) -> Result<RootCertStore, TlsError> {
    match config.ca.as_str() {
        // Without authorities every server is refused by name; listening needs none.
        "" => Ok(authorities(SYSTEM_CA).unwrap_or_else(|_| RootCertStore::empty())),
        file => authorities(file).map_err(|why| TlsError { key: "tls.ca", file: file.into(), why }),
    }
}

/// Our certificate with its key; `None` without the setting.
fn own_certificate(config: &config::Tls, provider: &CryptoProvider) -> Result<Option<Arc<CertifiedKey>>, TlsError> {
    if config.cert.is_empty() {
        return Ok(None);
    }
    let in_cert = |why: String| TlsError { key: "tls.cert", file: config.cert.clone(), why };
    let in_key = |why: String| TlsError { key: "tls.key", file: config.key.clone(), why };
    let chain: Vec<_> = CertificateDer::pem_file_iter(&config.cert)
        .and_then(Iterator::collect)
        .map_err(|error| in_cert(error.to_string()))?;
    if chain.is_empty() {
        return Err(in_cert("no certificate in it".into()));
    }
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(|error| in_key(error.to_string()))?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| in_key(error.to_string()))?;
    Ok(Some(Arc::new(key)))
}

/// The certificate in use; swapped as a whole.
#[derive(Debug, Default)]
struct Certificate(ArcSwapOption<CertifiedKey>);

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

impl ResolvesClientCert for Certificate {
    fn resolve(&self, _roots: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }

    fn has_certs(&self) -> bool {
        self.0.load().is_some()
    }
}
