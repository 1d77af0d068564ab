//! What a server can be told, and the arguments that say it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::certificates::Certificates;
use super::wire::Credentials;

/// The user as whom this crate asks servers that have passwords. Tests may change any other user
/// while the server runs; this one goes on working.
const OUR_USER: &str = "testbed";
const OUR_PASSWORD: &str = "testbed-admin";

/// How a [`RedisServer`](super::RedisServer) is to run. The default: no persistence, no password,
/// no TLS, the program that [`available`](super::available) names.
#[derive(Clone, Debug, Default)]
pub struct RedisServerOptions {
    program: Option<PathBuf>,
    password: Option<String>,
    users: Vec<User>,
    default_user_off: bool,
    tls: Option<Tls>,
    directives: Vec<String>,
}

#[derive(Clone, Debug)]
struct User {
    name: String,
    password: String,
    rules: Vec<String>,
}

#[derive(Clone, Debug)]
struct Tls {
    certificates: Certificates,
    clients_need_certificates: bool,
}

impl RedisServerOptions {
    /// The server program, e.g. one of [`server_programs`](super::server_programs).
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Clients must give this password; the URL holds it then.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// An ACL user who may do everything. The URL holds the first user that was added.
    #[must_use]
    pub fn user(self, name: &str, password: &str) -> Self {
        self.user_with_rules(name, password, &["~*", "&*", "+@all"])
    }

    /// An ACL user with rules as `ACL SETUSER` has them, e.g. `["~llmcache:*", "+get", "+ping"]`.
    #[must_use]
    pub fn user_with_rules(mut self, name: &str, password: &str, rules: &[&str]) -> Self {
        self.users.push(User {
            name: name.to_owned(),
            password: password.to_owned(),
            rules: rules.iter().map(|&rule| rule.to_owned()).collect(),
        });
        self
    }

    /// Nobody gets in without a name: the user `default` is switched off.
    #[must_use]
    pub fn without_default_user(mut self) -> Self {
        self.default_user_off = true;
        self
    }

    /// TLS and nothing else on the port; the URL starts with `rediss://`. Nodes and replicas talk TLS
    /// among themselves, too.
    #[must_use]
    pub fn tls(mut self, certificates: &Certificates) -> Self {
        let certificates = certificates.clone();
        self.tls = Some(Tls { certificates, clients_need_certificates: false });
        self
    }

    /// As [`Self::tls`], and clients must show a certificate of the same authority.
    #[must_use]
    pub fn mutual_tls(mut self, certificates: &Certificates) -> Self {
        let certificates = certificates.clone();
        self.tls = Some(Tls { certificates, clients_need_certificates: true });
        self
    }

    /// A further directive of `redis.conf`, e.g. `("maxmemory", "2mb")`. It wins over what this crate
    /// says by default.
    #[must_use]
    pub fn directive(mut self, name: &str, value: &str) -> Self {
        self.directives.extend([format!("--{name}"), value.to_owned()]);
        self
    }

    pub(super) fn given_program(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    pub(super) const fn uses_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// As whom this crate asks; `None` where everyone may.
    pub(super) fn our_credentials(&self) -> Option<Credentials> {
        let closed = self.password.is_some() || !self.users.is_empty() || self.default_user_off;
        closed.then(|| Credentials { user: OUR_USER.to_owned(), password: OUR_PASSWORD.to_owned() })
    }

    /// The password of the user `default`, if it is there and has one.
    pub(super) fn default_password(&self) -> Option<&str> {
        self.password.as_deref().filter(|_| !self.default_user_off)
    }

    /// The URL of a server on `port`, with the credentials of the first user, else the password.
    pub(super) fn url(&self, port: u16) -> String {
        match (self.users.first(), self.default_password()) {
            (Some(user), _) => self.url_with(port, &user.name, &user.password),
            (None, Some(password)) => self.url_with(port, "", password),
            (None, None) => format!("{}127.0.0.1:{port}/", self.scheme()),
        }
    }

    pub(super) fn url_with(&self, port: u16, user: &str, password: &str) -> String {
        let (user, password) = (percent_encoded(user), percent_encoded(password));
        format!("{}{user}:{password}@127.0.0.1:{port}/", self.scheme())
    }

    const fn scheme(&self) -> &'static str {
        if self.uses_tls() { "rediss://" } else { "redis://" }
    }

    /// The command line for a server on `port`.
    pub(super) fn arguments(&self, port: u16) -> Vec<String> {
        let port = port.to_string();
        let mut line = Arguments::default();
        line.add(&["--bind", "127.0.0.1"]);
        line.add(&["--save", "", "--appendonly", "no"]);
        match &self.tls {
            None => line.add(&["--port", &port]),
            Some(tls) => {
                let files = &tls.certificates;
                line.add(&["--port", "0", "--tls-port", &port, "--tls-replication", "yes"]);
                line.add_file("--tls-cert-file", files.server_file());
                line.add_file("--tls-key-file", files.server_key_file());
                line.add_file("--tls-ca-cert-file", files.ca_file());
                let asked = if tls.clients_need_certificates { "yes" } else { "no" };
                line.add(&["--tls-auth-clients", asked]);
            }
        }
        if self.default_user_off {
            line.add(&["--user", "default", "off"]);
        } else if let Some(password) = &self.password {
            line.add(&["--requirepass", password]);
        }
        for user in &self.users {
            line.add(&["--user", &user.name, "on", &format!(">{}", user.password)]);
            line.0.extend_from_slice(&user.rules);
        }
        if let Some(ours) = self.our_credentials() {
            let password = format!(">{}", ours.password);
            line.add(&["--user", &ours.user, "on", &password, "~*", "&*", "+@all"]);
            // For a replica's way to its master; a master has no use for it.
            line.add(&["--masteruser", &ours.user, "--masterauth", &ours.password]);
        }
        line.0.extend_from_slice(&self.directives);
        line.0
    }
}

#[derive(Default)]
struct Arguments(Vec<String>);

impl Arguments {
    fn add(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|&word| word.to_owned()));
    }

    fn add_file(&mut self, name: &str, file: &Path) {
        self.add(&[name, &file.display().to_string()]);
    }
}

/// Passwords may hold what means something in a URL.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes all");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_says_how_to_get_in() {
        let plain = RedisServerOptions::default();
        assert_eq!(plain.url(1), "redis://127.0.0.1:1/");
        assert_eq!(plain.clone().password("p@ss").url(1), "redis://:p%40ss@127.0.0.1:1/");
        assert_eq!(plain.password("p").user("ann", "q").url(1), "redis://ann:q@127.0.0.1:1/");
    }
}
