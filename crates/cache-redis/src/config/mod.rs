//! [`RedisBuilder`]: what a tier can be told, checked once.

mod environment;
mod error;

use std::sync::Arc;
use std::time::Duration;

use cache_core::{Clock, SystemClock};
use deadpool::managed::{Pool, PoolConfig};

use crate::bus::{BusOptions, Line};
use crate::connections::Connections;
use crate::names::Names;
use crate::random::Random;
use crate::record::KeyRing;
use crate::server::{self, Access, Layout, Server, Tls};
use crate::skew::Skew;
use crate::tier::RedisTier;
pub use error::ConfigError;

/// What a [`RedisTier`] can be told. Made by [`RedisTier::builder`], [`RedisTier::cluster`],
/// [`RedisTier::sentinel`] and [`RedisTier::from_env`].
#[derive(Clone, Debug)]
#[must_use = "nothing is built until `build` is called"]
pub struct RedisBuilder {
    layout: Layout,
    access: Access,
    client_name: String,
    prefix: String,
    connections: usize,
    connect_timeout: Duration,
    command_timeout: Duration,
    compress_above: Option<usize>,
    fence_memory: Duration,
    bus_heartbeat: Duration,
    clock: Arc<dyn Clock>,
    keys: Option<KeyRing>,
}

impl RedisBuilder {
    pub(crate) fn single(url: &str) -> Result<Self, ConfigError> {
        Ok(Self::new(Layout::Single(Box::new(server::node(url).map_err(ConfigError::url)?))))
    }

    pub(crate) fn sentinel<U: AsRef<str>>(
        urls: impl IntoIterator<Item = U>,
        service: &str,
    ) -> Result<Self, ConfigError> {
        let sentinels = nodes(urls)?;
        Ok(Self::new(Layout::Sentinel { sentinels, service: service.to_owned() }))
    }

    pub(crate) fn cluster<U: AsRef<str>>(
        urls: impl IntoIterator<Item = U>,
    ) -> Result<Self, ConfigError> {
        Ok(Self::new(Layout::Cluster(nodes(urls)?)))
    }

    fn new(layout: Layout) -> Self {
        Self {
            layout,
            access: Access::default(),
            client_name: "cache-redis".to_owned(),
            prefix: "llmcache".to_owned(),
            connections: 2,
            connect_timeout: Duration::from_secs(1),
            command_timeout: Duration::from_millis(100),
            compress_above: Some(1024),
            fence_memory: Duration::from_secs(600),
            bus_heartbeat: Duration::from_secs(1),
            clock: Arc::new(SystemClock),
            keys: None,
        }
    }

    /// The ACL user (Redis 6 and later), in place of the one in the URL. Of a master that sentinels
    /// name, never of the sentinels.
    pub fn username(mut self, name: impl Into<String>) -> Self {
        self.access.username = Some(name.into());
        self
    }

    /// The password, in place of the one in the URL. Of a master that sentinels name, never of the
    /// sentinels. It is in no log, no error and no `Debug`.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.access.password = Some(password.into());
        self
    }

    /// The number of the database, in place of the one in the URL. A cluster has only 0.
    pub fn database(mut self, number: u16) -> Self {
        self.access.database = Some(number);
        self
    }

    /// Certificates, for `rediss://`.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.access.tls = Some(tls);
        self
    }

    /// What `CLIENT LIST` on the server calls the connections: no spaces. Default: `cache-redis`.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = name.into();
        self
    }

    /// The namespace: what the name of every Redis key begins with. Tiers with different prefixes
    /// do not see each other. It may hold any characters. Default: `llmcache`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How many connections all calls share. A second one helps when large values hold up small
    /// ones; more seldom do. Default: 2.
    pub fn connections(mut self, count: usize) -> Self {
        self.connections = count;
        self
    }

    /// How long connecting may take, handshake included. It happens in the background: a call waits
    /// for a connection no longer than for an answer. Default: 1 s.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long a call may take. A batch may take as long again for every further 100 keys, and
    /// `purge` for every page. Default: 100 ms.
    pub fn command_timeout(mut self, limit: Duration) -> Self {
        self.command_timeout = limit;
        self
    }

    /// Payloads longer than this many bytes are compressed (zstd) when that makes them shorter;
    /// `None` for never. Either kind is always read. Default: 1,024.
    pub fn compress_above(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.compress_above = bytes.into();
        self
    }

    /// How long a removal is remembered: longer than the slowest fetch, or a fetch that began
    /// before the removal may store the old value after it. Costs some 200 bytes of Redis a removed
    /// key for as long. Default: 10 minutes.
    pub fn fence_memory(mut self, time: Duration) -> Self {
        self.fence_memory = time;
        self
    }

    /// How often a [`RedisBus`](crate::RedisBus) makes itself heard. It notices what was lost after
    /// one to three of these; each is one small message to every other instance. Default: 1 s.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let tier = cache_redis::RedisTier::builder("redis://127.0.0.1/")?
    ///     .bus_heartbeat(Duration::from_millis(250))
    ///     .build()?;
    /// # Ok::<(), cache_redis::ConfigError>(())
    /// ```
    pub fn bus_heartbeat(mut self, interval: Duration) -> Self {
        self.bus_heartbeat = interval;
        self
    }

    /// Where the local time comes from. Default: [`SystemClock`].
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Encrypts payloads with `keys`, and reads only what was encrypted with one of them (but see
    /// [`KeyRing::accept_plain`]). 2 KiB cost some 4.5 µs either way (measured, see
    /// `docs/entry-format.md`). Default: payloads are stored as they are.
    ///
    /// ```
    /// use cache_redis::{KeyId, KeyRing, RedisTier};
    ///
    /// # let secret = [1; 32];
    /// let keys = KeyRing::new(KeyId::named("2026"), secret);
    /// let tier = RedisTier::builder("redis://127.0.0.1/")?.encrypt(keys).build()?;
    /// # Ok::<(), cache_redis::ConfigError>(())
    /// ```
    #[cfg(feature = "encryption")]
    pub fn encrypt(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Builds the tier. It connects when it is first used, so the server may be down, and no
    /// runtime is needed yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], by the option that is out of range.
    pub fn build(self) -> Result<RedisTier, ConfigError> {
        if self.prefix.is_empty() {
            return Err(ConfigError::EmptyPrefix);
        }
        if self.connections == 0 {
            return Err(ConfigError::Zero("connections"));
        }
        for (name, time) in [
            ("connect_timeout", self.connect_timeout),
            ("command_timeout", self.command_timeout),
            ("fence_memory", self.fence_memory),
            ("bus_heartbeat", self.bus_heartbeat),
        ] {
            if time < Duration::from_millis(1) {
                return Err(ConfigError::Zero(name));
            }
        }
        if self.client_name.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(ConfigError::ClientName);
        }
        if self.layout.is_cluster() && self.access.database.is_some_and(|number| number != 0) {
            return Err(ConfigError::ClusterDatabase);
        }
        if self.access.tls.is_some() && !self.layout.is_encrypted() {
            return Err(ConfigError::NotEncrypted);
        }
        if let Some(what) = self.access.tls.as_ref().and_then(Tls::unusable) {
            return Err(ConfigError::Pem(what));
        }
        if self.layout.is_encrypted() {
            server::choose_provider();
        }
        let server = Server::new(self.layout, self.access, self.connect_timeout, self.client_name);
        server.check().map_err(ConfigError::url)?;
        let addresses = server.addresses();
        let pool = Pool::builder(server)
            .config(PoolConfig::new(self.connections))
            .build()
            .map_err(|error| ConfigError::Url(error.into()))?;
        #[cfg(feature = "encryption")]
        if let Some(id) = self.keys.as_ref().and_then(KeyRing::given_twice) {
            return Err(ConfigError::KeyGivenTwice(id));
        }
        let skew = Arc::new(Skew::new(Arc::clone(&self.clock)));
        let random = Arc::new(Random::new());
        let line = Line::new(pool.clone(), &self.prefix);
        let connections = Connections::new(
            pool,
            addresses,
            self.connect_timeout,
            Arc::clone(&skew),
            Arc::clone(&random),
        );
        Ok(RedisTier::new(
            connections,
            Names::new(&self.prefix),
            skew,
            random,
            crate::tier::Limits {
                command: self.command_timeout,
                compress_above: self.compress_above,
                fence_memory: self.fence_memory,
            },
            self.keys,
            BusOptions { line, heartbeat: self.bus_heartbeat, connect_limit: self.connect_timeout },
        ))
    }
}

fn nodes<U: AsRef<str>>(
    urls: impl IntoIterator<Item = U>,
) -> Result<Vec<redis::ConnectionInfo>, ConfigError> {
    let nodes = urls
        .into_iter()
        .map(|url| server::node(url.as_ref()).map_err(ConfigError::url))
        .collect::<Result<Vec<_>, _>>()?;
    if nodes.is_empty() { Err(ConfigError::NoUrl) } else { Ok(nodes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "redis://127.0.0.1:1/";

    /// What is out of range is refused by name; nothing is silently put right (F62).
    #[test]
    fn bad_options_are_refused() {
        let builder = || RedisBuilder::single(URL).unwrap();
        assert!(matches!(builder().prefix("").build(), Err(ConfigError::EmptyPrefix)));
        let brief = Duration::from_micros(999);
        for (name, builder) in [
            ("connections", builder().connections(0)),
            ("connect_timeout", builder().connect_timeout(brief)),
            ("command_timeout", builder().command_timeout(brief)),
            ("fence_memory", builder().fence_memory(Duration::ZERO)),
            ("bus_heartbeat", builder().bus_heartbeat(brief)),
        ] {
            let error = builder.build().unwrap_err();
            assert!(matches!(error, ConfigError::Zero(option) if option == name), "{error}");
        }
    }

    /// F59: an URL that cannot be used is not repeated: it may hold a password.
    #[test]
    fn bad_urls_are_refused_and_not_repeated() {
        for url in
            ["", "redis", "http://:secret@host/", "redis://:secret@host:x/", "redis://:secret@h/x"]
        {
            let error = RedisBuilder::single(url).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(matches!(error, ConfigError::Url(_)), "{url}");
            assert!(!format!("{error} {error:?} {source}").contains("secret"), "{error:?}");
        }
    }

    /// What makes no sense for the layout is refused, not ignored.
    #[test]
    fn options_that_do_not_fit_are_refused() {
        let single = || RedisBuilder::single(URL).unwrap();
        let cluster = RedisBuilder::cluster([URL]).unwrap();
        let wrong = [
            (single().client_name("two words"), "ClientName"),
            (cluster.database(1), "ClusterDatabase"),
            (single().tls(Tls::new()), "NotEncrypted"),
        ];
        for (builder, expected) in wrong {
            assert_eq!(format!("{:?}", builder.build().unwrap_err()), expected);
        }
        let none: [&str; 0] = [];
        assert!(matches!(RedisBuilder::cluster(none), Err(ConfigError::NoUrl)));
        assert!(matches!(RedisBuilder::sentinel(none, "main"), Err(ConfigError::NoUrl)));
        for (tls, what) in [
            (Tls::new().roots("no certificate"), "root certificate"),
            (Tls::new().client("", ""), "client certificate"),
        ] {
            let encrypted = RedisBuilder::single("rediss://localhost").unwrap().tls(tls);
            assert!(matches!(encrypted.build(), Err(ConfigError::Pem(is)) if is == what));
        }
    }

    /// F59: whatever holds a secret does not show it.
    #[test]
    fn secrets_are_not_shown() {
        for url in ["redis://user:hidden@localhost", "rediss://:hidden@localhost/2"] {
            for builder in [
                RedisBuilder::single(url).unwrap(),
                RedisBuilder::cluster([url]).unwrap(),
                RedisBuilder::sentinel([url], "main").unwrap(),
            ] {
                let builder = builder.username("user").password("concealed");
                let shown = format!("{builder:?}");
                assert!(!shown.contains("hidden") && !shown.contains("concealed"), "{shown}");
            }
        }
        let tls = Tls::new().roots("hidden").client("hidden", "hidden");
        assert!(!format!("{tls:?}").contains("hidden"));
    }

    /// A66: building touches no network and needs no runtime.
    #[test]
    fn building_needs_nothing() {
        let tier = RedisBuilder::single(URL).unwrap().build().unwrap();
        assert_eq!(tier.open_connections(), 0);
    }
}
