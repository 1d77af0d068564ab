//! [`ConfigError`].

/// Why a [`RedisTier`](crate::RedisTier) cannot be built as told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The URL is not one of a Redis server. Neither this nor its source repeats the URL, which may
    /// hold a password.
    #[error("the Redis URL cannot be used")]
    Url(#[source] cache_core::BoxError),
    /// A list of nodes was empty.
    #[error("there is no URL")]
    NoUrl,
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
    /// The client name has a character that Redis does not take.
    #[error("the client name may hold printable ASCII characters only, and no spaces")]
    ClientName,
    /// A cluster has only database 0.
    #[error("a cluster has no numbered databases")]
    ClusterDatabase,
    /// There are certificates, but the URLs begin with `redis://`.
    #[error("certificates are given, but the URL is not rediss://")]
    NotEncrypted,
    /// What is given as this is no PEM text that holds one.
    #[error("there is no {0} in what is given as one (PEM)")]
    Pem(&'static str),
    /// An environment variable is set to what its option does not take. Its value is not repeated.
    #[error("the environment variable {name} should be {expected}")]
    Variable {
        /// Which.
        name: String,
        /// What its value should be.
        expected: &'static str,
    },
}

impl ConfigError {
    pub(crate) fn url(error: redis::RedisError) -> Self {
        Self::Url(error.into())
    }
}
