//! Certificates for one test: nobody else trusts them, and they are gone afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

/// A certificate authority, a server certificate for `127.0.0.1` and `localhost`, and a client
/// certificate, as PEM bytes and as files.
///
/// The files live as long as the last clone, and servers keep one.
#[derive(Clone, Debug)]
pub struct Certificates {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: TempDir,
    ca: Pem,
    server: Pem,
    server_key: Pem,
    client: Pem,
    client_key: Pem,
}

/// A file and what it holds.
#[derive(Debug)]
struct Pem {
    file: PathBuf,
    text: String,
}

impl Certificates {
    /// Makes a new authority and both certificates. Two calls know nothing of each other, so a
    /// second set is the way to a server that is not trusted.
    ///
    /// # Errors
    ///
    /// If the files cannot be written.
    pub fn generate() -> io::Result<Self> {
        let ca_key = KeyPair::generate().map_err(io::Error::other)?;
        let mut ca = params("testbed CA", &[])?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_text = ca.self_signed(&ca_key).map_err(io::Error::other)?.pem();
        let issuer = Issuer::new(ca, ca_key);

        let mut server = params("testbed server", &["127.0.0.1", "localhost"])?;
        // Nodes of a Cluster and replicas show this certificate to each other as clients as well.
        server.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let (server, server_key) = signed(&server, &issuer)?;

        let mut client = params("testbed client", &[])?;
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (client, client_key) = signed(&client, &issuer)?;

        let folder = tempfile::Builder::new().prefix("certificates-").tempdir()?;
        let pem = |name: &str, text: String| -> io::Result<Pem> {
            let file = folder.path().join(name);
            fs::write(&file, &text)?;
            Ok(Pem { file, text })
        };
        let shared = Shared {
            ca: pem("ca.pem", ca_text)?,
            server: pem("server.pem", server)?,
            server_key: pem("server-key.pem", server_key)?,
            client: pem("client.pem", client)?,
            client_key: pem("client-key.pem", client_key)?,
            folder,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The folder of all files.
    pub fn folder(&self) -> &Path {
        self.shared.folder.path()
    }

    /// What clients and servers have to trust, as PEM.
    pub fn ca_pem(&self) -> &[u8] {
        self.shared.ca.text.as_bytes()
    }

    /// The file of [`Self::ca_pem`].
    pub fn ca_file(&self) -> &Path {
        &self.shared.ca.file
    }

    /// The server's certificate, as PEM.
    pub fn server_pem(&self) -> &[u8] {
        self.shared.server.text.as_bytes()
    }

    /// The file of [`Self::server_pem`].
    pub fn server_file(&self) -> &Path {
        &self.shared.server.file
    }

    /// The server's private key (PKCS #8), as PEM.
    pub fn server_key_pem(&self) -> &[u8] {
        self.shared.server_key.text.as_bytes()
    }

    /// The file of [`Self::server_key_pem`].
    pub fn server_key_file(&self) -> &Path {
        &self.shared.server_key.file
    }

    /// The client's certificate, as PEM.
    pub fn client_pem(&self) -> &[u8] {
        self.shared.client.text.as_bytes()
    }

    /// The file of [`Self::client_pem`].
    pub fn client_file(&self) -> &Path {
        &self.shared.client.file
    }

    /// The client's private key (PKCS #8), as PEM.
    pub fn client_key_pem(&self) -> &[u8] {
        self.shared.client_key.text.as_bytes()
    }

    /// The file of [`Self::client_key_pem`].
    pub fn client_key_file(&self) -> &Path {
        &self.shared.client_key.file
    }
}

fn params(name: &str, hosts: &[&str]) -> io::Result<CertificateParams> {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut params = CertificateParams::new(hosts).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// A certificate and its key.
fn signed(
    params: &CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) -> io::Result<(String, String)> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = params.signed_by(&key, issuer).map_err(io::Error::other)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
