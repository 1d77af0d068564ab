//! What the proxy can be told, as flags or environment variables.

use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use clap::{Parser, ValueEnum};

/// A caching reverse proxy for OpenAI-compatible APIs.
///
/// Answers to `POST /v1/chat/completions` and `POST /v1/embeddings` are kept and given again to
/// equal requests; everything else passes through untouched. What the cache did with a request
/// stands in the answer's Cache-Status header.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Config {
    /// The provider: scheme, host and, if there is one, a path that goes before every request's.
    #[arg(long, env = "CACHE_PROXY_UPSTREAM", value_name = "URL", value_parser = upstream)]
    pub upstream: Uri,

    /// Where to listen. Port 0 lets the system choose; the choice is printed.
    #[arg(
        long,
        env = "CACHE_PROXY_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: SocketAddr,

    /// A Redis to share answers through, e.g. <redis://:password@host:6379/0>. It may be down: it is
    /// used as soon as it answers. Of a cluster or of sentinels several, separated by commas.
    #[arg(
        long,
        env = "CACHE_PROXY_REDIS",
        value_name = "URL",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub redis: Vec<Secret>,

    /// What there is at these URLs.
    #[arg(long, env = "CACHE_PROXY_REDIS_MODE", value_enum, default_value_t = RedisMode::Single)]
    pub redis_mode: RedisMode,

    /// What the sentinels call the master.
    #[arg(
        long,
        env = "CACHE_PROXY_REDIS_SERVICE",
        value_name = "NAME",
        required_if_eq("redis_mode", "sentinel")
    )]
    pub redis_service: Option<String>,

    /// The password of the master that sentinels name, or in place of the one in the URL.
    #[arg(
        long,
        env = "CACHE_PROXY_REDIS_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true
    )]
    pub redis_password: Option<Secret>,

    /// Trusts a Redis at rediss:// by the certificates in this PEM file, not by those of the system.
    #[arg(long, env = "CACHE_PROXY_REDIS_ROOTS", value_name = "FILE")]
    pub redis_roots: Option<PathBuf>,

    /// Keeps this proxy's answers apart from others in the same Redis.
    #[arg(long, env = "CACHE_PROXY_NAMESPACE", value_name = "NAME", default_value = "cache-proxy")]
    pub namespace: String,

    /// Who shares answers with whom.
    #[arg(long, env = "CACHE_PROXY_TENANT", value_enum, default_value_t = Tenants::Credential)]
    pub tenant: Tenants,

    /// Upper bound on the bytes of answers in memory.
    #[arg(
        long,
        env = "CACHE_PROXY_MEMORY_WEIGHT",
        value_name = "BYTES",
        default_value = "268435456"
    )]
    pub memory_weight: NonZeroU64,

    /// Upper bound on the number of answers in memory.
    #[arg(
        long,
        env = "CACHE_PROXY_MEMORY_ENTRIES",
        value_name = "COUNT",
        default_value = "1000000"
    )]
    pub memory_entries: NonZeroU64,

    /// Which answers leave memory first when it is full.
    #[arg(long, env = "CACHE_PROXY_MEMORY_POLICY", value_enum, default_value_t = Eviction::TinyLfu)]
    pub memory_policy: Eviction,

    /// How long chat completions are good.
    #[arg(long, env = "CACHE_PROXY_CHAT_TTL", value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    pub chat_ttl: Duration,

    /// How long embeddings are good.
    #[arg(long, env = "CACHE_PROXY_EMBEDDING_TTL", value_name = "SECONDS", default_value = "86400", value_parser = seconds)]
    pub embedding_ttl: Duration,

    /// Chat completions above this temperature are not cached. Default: all are.
    #[arg(long, env = "CACHE_PROXY_MAX_TEMPERATURE", value_name = "NUMBER")]
    pub max_temperature: Option<f64>,

    /// Request headers, by name and separated by commas, that no answer depends on. All others
    /// count when requests are compared, but for those known to be neutral (user-agent, trace ids
    /// and the like). Name `cookie` if the provider sets one with each answer.
    #[arg(
        long = "ignore-header",
        env = "CACHE_PROXY_IGNORE_HEADER",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub ignore_headers: Vec<String>,

    /// Requests with a larger body pass through uncached.
    #[arg(long, env = "CACHE_PROXY_MAX_BODY", value_name = "BYTES", default_value = "33554432")]
    pub max_body: NonZeroUsize,

    /// Larger answers pass through uncached.
    #[arg(long, env = "CACHE_PROXY_MAX_ANSWER", value_name = "BYTES", default_value = "16777216")]
    pub max_answer: NonZeroUsize,

    /// How long a call to Redis may take before it is given up.
    #[arg(long, env = "CACHE_PROXY_REDIS_DEADLINE", value_name = "MILLISECONDS", default_value = "100", value_parser = millis)]
    pub redis_deadline: Duration,

    /// How long requests under way may go on after SIGTERM or SIGINT.
    #[arg(long, env = "CACHE_PROXY_DRAIN", value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub drain: Duration,
}

/// Who shares answers with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tenants {
    /// Callers with the same credential share answers, and nobody else.
    Credential,
    /// All callers share all answers, whatever their credential.
    Shared,
}

/// Which answers leave memory first when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Eviction {
    /// Those seen least often, by a policy that shapes itself to the load.
    TinyLfu,
    /// Those unused for longest.
    Lru,
    /// Those used least.
    Lfu,
    /// Those stored first.
    Fifo,
    /// Those whose time is up soonest.
    Ttl,
}

/// Which servers the Redis URLs are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RedisMode {
    /// One server.
    Single,
    /// Nodes of a Redis Cluster.
    Cluster,
    /// Sentinels, which know the master.
    Sentinel,
}

/// Text that is not shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

fn upstream(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
    match (uri.scheme_str(), uri.host(), uri.query()) {
        // Credentials would be shown in logs, and the callers bring their own.
        (Some("http" | "https"), Some(_), None) if !text.contains('@') => Ok(uri),
        _ => {
            Err("it has to begin with http:// or https:// and to name a host, without credentials and query".into())
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    positive(text).map(Duration::from_secs)
}

fn millis(text: &str) -> Result<Duration, String> {
    positive(text).map(Duration::from_millis)
}

fn positive(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("it has to be more than 0".into()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Config, clap::Error> {
        Config::try_parse_from([&["cache-proxy"], args].concat())
    }

    #[test]
    fn an_upstream_is_all_it_needs() {
        let config = parse(&["--upstream", "https://api.example.com"]).unwrap();
        assert_eq!(config.chat_ttl, Duration::from_secs(3600));
        assert_eq!(config.tenant, Tenants::Credential);
        assert!(config.redis.is_empty());
    }

    /// A116, F62: what makes no sense is refused at the start, not bent.
    #[test]
    fn bad_options_are_refused() {
        let good = ["--upstream", "http://h"];
        for bad in [
            &["--chat-ttl", "0"][..],
            &["--embedding-ttl", "-1"],
            &["--memory-weight", "0"],
            &["--memory-entries", "0"],
            &["--redis-deadline", "0"],
            &["--max-body", "0"],
            &["--max-answer", "0"],
            &["--tenant", "everyone"],
            &["--memory-policy", "random"],
            &["--redis-mode", "ring"],
            &["--redis-mode", "sentinel"], // without its service
            &["--listen", "nowhere"],
            &["--no-such-option"],
        ] {
            assert!(parse(&[&good, bad].concat()).is_err(), "{bad:?}");
        }
        for bad in ["api.example.com", "ftp://h", "http://", "http://h/?q", "http://u:p@h", ""] {
            assert!(parse(&["--upstream", bad]).is_err(), "{bad:?}");
        }
        assert!(parse(&[]).is_err());
    }

    /// A79: the Redis password shows nowhere.
    #[test]
    fn secrets_are_not_shown() {
        let args = ["--upstream", "http://h", "--redis", "redis://:hunter2@h"];
        let config = parse(&args).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.redis[0].reveal(), "redis://:hunter2@h");
        let config = parse(&[&args[..], &["--redis-password", "hunter2"]].concat()).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
