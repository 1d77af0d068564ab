//! [`Tls`]: whom to trust, and how to be trusted.

use std::fmt;

use redis::{ClientTlsConfig, TlsCertificates};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Certificates for connections by `rediss://`. Without any of them, the roots that the operating
/// system trusts are trusted, and the client shows none of its own.
///
/// ```
/// use cache_redis::{RedisTier, Tls};
///
/// # const PEM: &str = "";
/// let tls = Tls::new().roots(PEM);
/// let tier = RedisTier::builder("rediss://redis.example:6380")?.tls(tls);
/// # let _ = tier;
/// # Ok::<(), cache_redis::ConfigError>(())
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Tls {
    roots: Option<Vec<u8>>,
    client: Option<ClientTlsConfig>,
}

impl Tls {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts servers by these certificates (PEM, one or more) and by no others.
    pub fn roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Shows servers this certificate (PEM, its chain behind it), whose private key is `key` (PEM).
    pub fn client(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.client =
            Some(ClientTlsConfig { client_cert: certificate.into(), client_key: key.into() });
        self
    }

    /// What should be PEM and holds nothing of its kind.
    pub(crate) fn unusable(&self) -> Option<&'static str> {
        let no_certificate = |pem: &[u8]| {
            let mut certificates = CertificateDer::pem_slice_iter(pem);
            !matches!(certificates.next(), Some(Ok(_)))
        };
        if self.roots.as_deref().is_some_and(no_certificate) {
            return Some("root certificate");
        }
        let client = self.client.as_ref()?;
        if no_certificate(&client.client_cert) {
            return Some("client certificate");
        }
        PrivateKeyDer::from_pem_slice(&client.client_key).is_err().then_some("private key")
    }

    pub(crate) fn certificates(&self) -> TlsCertificates {
        TlsCertificates { client_tls: self.client.clone(), root_cert: self.roots.clone() }
    }
}

/// Says what there is, not what is in it.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("roots", &self.roots.as_ref().map(Vec::len))
            .field("client", &self.client.is_some())
            .finish()
    }
}

/// Sees to it that there is a cryptography provider: a process in which several were compiled has to
/// name one before the first handshake, or `rustls` panics.
pub(crate) fn choose_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if somebody else was quicker, which will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
