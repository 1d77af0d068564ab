//! Who gets in: ACL users and TLS, against a real server.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use testbed::redis::{
    Certificates, RedisServer, RedisServerOptions, server_programs, server_with_or_skip,
};

const LIMIT: Duration = Duration::from_secs(10);

fn connect(server: &RedisServer) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server.address())?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Sends `line` and returns the reply, which must be short.
fn ask(mut stream: impl io::Read + io::Write, line: &str) -> io::Result<String> {
    stream.write_all(format!("{line}\r\n").as_bytes())?;
    let mut reply = [0; 512];
    let length = stream.read(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply[..length]).into_owned())
}

/// A TLS connection for `host` that trusts `trusted` only and shows the client certificate of
/// `shown`, if any. The handshake takes place with the first command.
fn connect_tls(
    server: &RedisServer,
    host: &str,
    trusted: &Certificates,
    shown: Option<&Certificates>,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.ca_pem()).expect("PEM")).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for them")
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some(shown) => {
            let chain = vec![CertificateDer::from_pem_slice(shown.client_pem()).expect("PEM")];
            let key = PrivateKeyDer::from_pem_slice(shown.client_key_pem()).expect("PEM");
            config.with_client_auth_cert(chain, key).expect("a key that fits")
        }
    };
    let host = ServerName::try_from(host.to_owned()).expect("a host");
    let connection = ClientConnection::new(Arc::new(config), host).expect("valid options");
    Ok(StreamOwned::new(connection, connect(server)?))
}

#[test]
fn acl_users_may_do_what_their_rules_say() {
    let options = RedisServerOptions::default()
        .user("ann", "s3cret")
        .user_with_rules("bob", "other", &["~bob:*", "+get", "+set"])
        .without_default_user();
    let Some(server) = server_with_or_skip("acl_users_may_do_what_their_rules_say", &options)
    else {
        return;
    };
    assert_eq!(server.url(), format!("redis://ann:s3cret@{}/", server.address()));

    let mut stream = connect(&server).unwrap();
    assert!(ask(&mut stream, "PING").unwrap().starts_with("-NOAUTH"));
    assert!(ask(&mut stream, "AUTH ann wrong").unwrap().starts_with("-WRONGPASS"));
    assert_eq!(ask(&mut stream, "AUTH ann s3cret").unwrap(), "+OK\r\n");
    assert_eq!(ask(&mut stream, "SET k v").unwrap(), "+OK\r\n");
    assert_eq!(ask(&mut stream, "AUTH bob other").unwrap(), "+OK\r\n");
    assert_eq!(ask(&mut stream, "SET bob:k v").unwrap(), "+OK\r\n");
    assert!(ask(&mut stream, "GET k").unwrap().starts_with("-NOPERM"));
    assert!(ask(&mut stream, "DEL bob:k").unwrap().starts_with("-NOPERM"));

    // Passwords can be changed under the clients, and we still get in.
    assert_eq!(server.command("ACL SETUSER ann resetpass >new").unwrap(), "+OK\r\n");
    assert!(ask(&mut stream, "AUTH ann s3cret").unwrap().starts_with("-WRONGPASS"));
    assert!(server.url_with("ann", "new").contains("ann:new@"));
}

#[test]
fn tls_is_for_those_who_trust_the_authority() {
    let certificates = Certificates::generate().unwrap();
    let options = RedisServerOptions::default().tls(&certificates);
    let Some(server) = server_with_or_skip("tls_is_for_those_who_trust_the_authority", &options)
    else {
        return;
    };
    assert!(server.url().starts_with("rediss://127.0.0.1:"));
    for host in ["127.0.0.1", "localhost"] {
        let mut stream = connect_tls(&server, host, &certificates, None).unwrap();
        assert_eq!(ask(&mut stream, "PING").unwrap(), "+PONG\r\n");
    }
    let mut stream = connect_tls(&server, "example.org", &certificates, None).unwrap();
    assert!(ask(&mut stream, "PING").is_err(), "the certificate is for another host");
    let stranger = Certificates::generate().unwrap();
    let mut stream = connect_tls(&server, "localhost", &stranger, None).unwrap();
    assert!(ask(&mut stream, "PING").is_err(), "nobody vouches for the certificate");
    let plain = ask(connect(&server).unwrap(), "PING");
    assert!(plain.is_err() || !plain.unwrap().starts_with('+'), "TLS only");
    assert_eq!(server.command("PING").unwrap(), "+PONG\r\n"); // past the port
}

#[test]
fn mutual_tls_asks_for_a_certificate() {
    let certificates = Certificates::generate().unwrap();
    let options = RedisServerOptions::default().mutual_tls(&certificates).password("p");
    let Some(server) = server_with_or_skip("mutual_tls_asks_for_a_certificate", &options) else {
        return;
    };
    let shown = |shown| connect_tls(&server, "localhost", &certificates, shown).unwrap();
    let mut stream = shown(Some(&certificates));
    assert_eq!(ask(&mut stream, "AUTH p").unwrap(), "+OK\r\n");
    // With TLS 1.3 the refusal comes after the handshake, in place of the reply.
    let refused = ask(shown(None), "AUTH p");
    assert!(refused.is_err() || refused.unwrap().is_empty());
    let stranger = Certificates::generate().unwrap();
    let refused = ask(shown(Some(&stranger)), "AUTH p");
    assert!(refused.is_err() || refused.unwrap().is_empty());
}

#[test]
fn the_files_live_as_long_as_someone_needs_them() {
    let certificates = Certificates::generate().unwrap();
    let file = certificates.ca_file().to_owned();
    let options = RedisServerOptions::default().tls(&certificates);
    drop(certificates);
    assert!(file.is_file());
    drop(options);
    assert!(!file.exists());
}

#[test]
fn every_program_that_is_here_starts() {
    let programs = server_programs();
    if programs.is_empty() {
        testbed::skip("every_program_that_is_here_starts", "no redis-server, no valkey-server");
    }
    for program in programs {
        let options = RedisServerOptions::default().program(&program);
        let server = RedisServer::start(&options).unwrap();
        assert!(server.command("INFO server").unwrap().contains("redis_version"), "{program:?}");
    }
}
