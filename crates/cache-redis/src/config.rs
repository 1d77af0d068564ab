//! [`RedisBuilder`]: what a tier can be told, checked once.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{Clock, SystemClock};
use deadpool_redis::{Manager, Pool, PoolConfig};
use redis::{AsyncConnectionConfig, ConnectionInfo, IntoConnectionInfo as _};

use crate::connections::Connections;
use crate::names::Names;
use crate::random::Random;
use crate::record::KeyRing;
use crate::skew::Skew;
use crate::tier::RedisTier;

/// Commands that may wait to be written to one connection before callers wait as well.
const QUEUE: usize = 512;

/// What a [`RedisTier`] can be told. Made by [`RedisTier::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing is built until `build` is called"]
pub struct RedisBuilder {
    /// Its `Debug` leaves the password out.
    server: ConnectionInfo,
    prefix: String,
    connections: usize,
    connect_timeout: Duration,
    command_timeout: Duration,
    compress_above: Option<usize>,
    fence_memory: Duration,
    clock: Arc<dyn Clock>,
    keys: Option<KeyRing>,
}

impl RedisBuilder {
    pub(crate) fn new(url: &str) -> Result<Self, ConfigError> {
        let server = url.into_connection_info().map_err(|error| ConfigError::Url(error.into()))?;
        let tcp = server.tcp_settings().clone().set_nodelay(true);
        Ok(Self {
            server: server.set_tcp_settings(tcp),
            prefix: "llmcache".to_owned(),
            connections: 2,
            connect_timeout: Duration::from_secs(1),
            command_timeout: Duration::from_millis(100),
            compress_above: Some(1024),
            fence_memory: Duration::from_secs(600),
            clock: Arc::new(SystemClock),
            keys: None,
        })
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
        ] {
            if time < Duration::from_millis(1) {
                return Err(ConfigError::Zero(name));
            }
        }
        #[cfg(feature = "encryption")]
        if let Some(id) = self.keys.as_ref().and_then(KeyRing::given_twice) {
            return Err(ConfigError::KeyGivenTwice(id));
        }
        let skew = Arc::new(Skew::new(Arc::clone(&self.clock)));
        let random = Arc::new(Random::new());
        let connections = Connections::new(
            self.pool()?,
            self.server.addr().to_string(),
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
        ))
    }

    fn pool(&self) -> Result<Pool, ConfigError> {
        // The driver's own limits are off: ours are around whole calls and whole attempts.
        let driver = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        let manager = Manager::new_with_config(self.server.clone(), driver)
            .map_err(|error| ConfigError::Url(error.into()))?;
        Pool::builder(manager)
            .config(PoolConfig::new(self.connections))
            .build()
            .map_err(|error| ConfigError::Url(error.into()))
    }
}

/// Why a [`RedisTier`] cannot be built as told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The URL is not one of a Redis server. Neither this nor its source repeats the URL, which may
    /// hold a password.
    #[error("the Redis URL cannot be used")]
    Url(#[source] cache_core::BoxError),
    /// An empty prefix would make every key of the server this tier's own.
    #[error("the prefix is empty")]
    EmptyPrefix,
    /// This option is 0, or a time below a millisecond.
    #[error("{0} is too small")]
    Zero(&'static str),
    /// The key ring has two secrets under this id, so nobody could tell which encrypted an entry.
    #[cfg(feature = "encryption")]
    #[error("the key ring has two secrets under the id {0}")]
    KeyGivenTwice(crate::KeyId),
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "redis://127.0.0.1:1/";

    /// What is out of range is refused by name; nothing is silently put right (F62).
    #[test]
    fn bad_options_are_refused() {
        let builder = || RedisBuilder::new(URL).unwrap();
        assert!(matches!(builder().prefix("").build(), Err(ConfigError::EmptyPrefix)));
        let brief = Duration::from_micros(999);
        for (name, builder) in [
            ("connections", builder().connections(0)),
            ("connect_timeout", builder().connect_timeout(brief)),
            ("command_timeout", builder().command_timeout(brief)),
            ("fence_memory", builder().fence_memory(Duration::ZERO)),
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
            let error = RedisBuilder::new(url).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(matches!(error, ConfigError::Url(_)), "{url}");
            assert!(!format!("{error} {error:?} {source}").contains("secret"), "{error:?}");
        }
    }

    /// A66: building touches no network and needs no runtime.
    #[test]
    fn building_needs_nothing() {
        let tier = RedisBuilder::new(URL).unwrap().build().unwrap();
        assert_eq!(tier.open_connections(), 0);
    }
}
