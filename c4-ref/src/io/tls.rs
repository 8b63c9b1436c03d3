//! Certificates and the two sides of TLS, with the aws-lc-rs provider and no other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::config;

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

/// Both sides of TLS; connections made after a [`Tls::reload`] show the new certificate, the others live on.
#[derive(Clone)]
pub struct Tls {
    certificate: Arc<Certificate>,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the files of `[tls]`. Without a certificate we can connect, not listen.
    ///
    /// # Errors
    /// The setting, its file and what is wrong with it.
    pub fn new(config: &config::Tls) -> Result<Tls, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificate = Arc::new(Certificate::default());
        certificate.load(config, &provider)?;
        let unusable = |error: rustls::Error| TlsError { key: "tls", file: String::new(), why: error.to_string() };
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(certificate.clone());
        // A session outlives its connection by a ticket that the client keeps, not by memory here.
        server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        if let Ok(ticketer) = aws_lc_rs::Ticketer::new() {
            server.ticketer = ticketer;
        }
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(roots(config)?)
            .with_client_cert_resolver(certificate.clone());
        Ok(Tls { certificate, server: Arc::new(server), client: Arc::new(client) })
    }

    /// Reads the certificate and key files again. On an error the old ones stay.
    ///
    /// # Errors
    /// As [`Tls::new`].
    pub fn reload(&self, config: &config::Tls) -> Result<(), TlsError> {
        self.certificate.load(config, self.server.crypto_provider())
    }

    pub(super) fn accept(&self) -> io::Result<rustls::Connection> {
        ServerConnection::new(self.server.clone()).map(Into::into).map_err(io::Error::other)
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

fn roots(config: &config::Tls) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (file, required) = if config.ca.is_empty() { (SYSTEM_CA, false) } else { (config.ca.as_str(), true) };
    let wrong = |why: String| TlsError { key: "tls.ca", file: file.into(), why };
    match CertificateDer::pem_file_iter(file) {
        Ok(certificates) => roots.add_parsable_certificates(certificates.flatten()),
        Err(error) if required => return Err(wrong(error.to_string())),
        // Then every server is refused by name; listening needs no authorities.
        Err(_) => return Ok(roots),
    };
    if required && roots.is_empty() { Err(wrong("no certificate in it".into())) } else { Ok(roots) }
}

/// The certificate in use; swapped as a whole.
#[derive(Debug, Default)]
struct Certificate(ArcSwapOption<CertifiedKey>);

impl Certificate {
    fn load(&self, config: &config::Tls, provider: &CryptoProvider) -> Result<(), TlsError> {
        if config.cert.is_empty() {
            return Ok(());
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
        self.0.store(Some(Arc::new(key)));
        Ok(())
    }
}

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
