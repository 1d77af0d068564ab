//! [`RedisTier`]: the tier itself.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cache_core::{
    CacheKey, Capabilities, Error, Fence, Lookup, PutFenced, RemoteTier, Result, StoredEntry,
};
use redis::{Cmd, Pipeline, Value};

use crate::bus::{BusOptions, RedisBus};
use crate::config::{ConfigError, RedisBuilder};
use crate::connections::{Call, Connections, Via};
use crate::errors;
use crate::names::Names;
use crate::purge;
use crate::random::Random;
use crate::record::{self, Header, KeyRing, Reasons, Record, Undecodable};
use crate::script::{self, Over, Replace, Replaced};
use crate::skew::Skew;

/// Redis refuses times to live that overflow its clock; nothing needs to live for longer.
pub(crate) const LONGEST_LIFE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// A batch has the time limit of one call for each so many keys.
const BATCH_STEP: usize = 100;

/// A cache tier in Redis.
///
/// Clones share everything. It connects when it is first used, on the tokio runtime of that call
/// (with its timers on), and reconnects by itself; see the crate's documentation.
///
/// ```no_run
/// use cache_redis::{CacheKey, RedisTier, RemoteTier};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tier = RedisTier::builder("redis://127.0.0.1/")?.prefix("answers").build()?;
/// let found = tier.get(&CacheKey::from_text("greeting")).await?;
/// assert!(found.entry.is_none());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisTier {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) connections: Arc<Connections>,
    names: Names,
    pub(crate) skew: Arc<Skew>,
    random: Arc<Random>,
    limits: Limits,
    pub(crate) keys: Option<KeyRing>,
    bus: BusOptions,
    undecodable: Reasons,
}

/// What the tier's options bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) command: Duration,
    pub(crate) compress_above: Option<usize>,
    pub(crate) fence_memory: Duration,
}

impl RedisTier {
    /// Starts to configure a tier on the server at `url`:
    /// `redis://[user][:password]@host[:port][/database]`, or `unix:///path`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Url`] if `url` is not such a URL.
    pub fn builder(url: &str) -> Result<RedisBuilder, ConfigError> {
        RedisBuilder::single(url)
    }

    /// Starts to configure a tier on a Redis Cluster that has nodes at these URLs. One is enough to
    /// find the others; name several, so that one of them is up.
    ///
    /// ```no_run
    /// use cache_redis::RedisTier;
    ///
    /// let tier = RedisTier::cluster(["redis://10.0.0.1:7000", "redis://10.0.0.2:7000"])?.build()?;
    /// # Ok::<(), cache_redis::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError::Url`] if one of them is no such URL, [`ConfigError::NoUrl`] if there is none.
    pub fn cluster<U: AsRef<str>>(
        urls: impl IntoIterator<Item = U>,
    ) -> Result<RedisBuilder, ConfigError> {
        RedisBuilder::cluster(urls)
    }

    /// Starts to configure a tier on the master that the sentinels at these URLs know as `service`.
    ///
    /// Credentials in the URLs are for the sentinels; the master's are given by
    /// [`RedisBuilder::username`] and [`RedisBuilder::password`].
    ///
    /// ```no_run
    /// use cache_redis::RedisTier;
    ///
    /// let sentinels = ["redis://10.0.0.1:26379", "redis://10.0.0.2:26379"];
    /// let tier = RedisTier::sentinel(sentinels, "main")?.password("secret").build()?;
    /// # Ok::<(), cache_redis::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError::Url`] if one of them is no such URL, [`ConfigError::NoUrl`] if there is none.
    pub fn sentinel<U: AsRef<str>>(
        urls: impl IntoIterator<Item = U>,
        service: &str,
    ) -> Result<RedisBuilder, ConfigError> {
        RedisBuilder::sentinel(urls, service)
    }

    /// Starts to configure a tier by environment variables, whose names begin with `prefix`:
    ///
    /// | variable | is |
    /// |---|---|
    /// | `URL` | one URL, or several with commas between them |
    /// | `MODE` | `single` (the default), `cluster` or `sentinel` |
    /// | `SERVICE` | what sentinels call the master |
    /// | `USERNAME`, `PASSWORD`, `DATABASE` | as the methods of [`RedisBuilder`] |
    /// | `PREFIX`, `CLIENT_NAME`, `CONNECTIONS` | likewise |
    /// | `CONNECT_TIMEOUT_MS`, `COMMAND_TIMEOUT_MS`, `FENCE_MEMORY_MS`, `BUS_HEARTBEAT_MS` | likewise, in milliseconds |
    /// | `COMPRESS_ABOVE` | likewise, in bytes |
    /// | `TLS_ROOTS`, `TLS_CERTIFICATE`, `TLS_KEY` | paths of PEM files, as in [`Tls`](crate::Tls) |
    ///
    /// ```no_run
    /// // CACHE_REDIS_URL=redis://localhost CACHE_REDIS_COMMAND_TIMEOUT_MS=50
    /// let tier = cache_redis::RedisTier::from_env("CACHE_REDIS_")?.build()?;
    /// # Ok::<(), cache_redis::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`], by the variable that is missing or has a value that it should not have.
    pub fn from_env(prefix: &str) -> Result<RedisBuilder, ConfigError> {
        RedisBuilder::from_variables(prefix, |name| std::env::var(name).ok())
    }

    pub(crate) fn new(
        connections: Connections,
        names: Names,
        skew: Arc<Skew>,
        random: Arc<Random>,
        limits: Limits,
        keys: Option<KeyRing>,
        bus: BusOptions,
    ) -> Self {
        let shared = Shared {
            connections: Arc::new(connections),
            names,
            skew,
            random,
            limits,
            keys,
            bus,
            undecodable: Reasons::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A bus to the other instances that share this tier's server and prefix. It publishes over the
    /// tier's connections and within its limits, and keeps them open as a clone of the tier does.
    ///
    /// Each call makes another instance, which hears what the others publish, those of this process
    /// included: one for each cache in memory.
    ///
    /// ```no_run
    /// use cache_redis::{Invalidation, InvalidationBus};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tier = cache_redis::RedisTier::builder("redis://127.0.0.1/")?.build()?;
    /// tier.bus().publish(Invalidation::All).await?;
    /// # Ok(()) }
    /// ```
    pub fn bus(&self) -> RedisBus {
        let shared = &self.shared;
        RedisBus::new(
            &shared.bus,
            Arc::clone(&shared.connections),
            Arc::clone(&shared.random),
            shared.limits.command,
        )
    }

    /// How many reads have found something that is no entry of this format: foreign, damaged,
    /// truncated, of an unknown version, of another key or of another Redis type, or encrypted
    /// otherwise than it should be. Each was a miss.
    pub fn undecodable(&self) -> u64 {
        self.undecodable_by_reason().map(|(_, count)| count).sum()
    }

    /// The same by reason. The names may become more, and stay what they are:
    ///
    /// | name | what was found |
    /// |---|---|
    /// | `foreign` | no record at all |
    /// | `unknown_version` | a record of another format version |
    /// | `header`, `payload`, `length`, `compression` | a damaged record, by where it shows |
    /// | `other_key` | a whole record of another key |
    /// | `wrong_type` | another Redis type than string |
    /// | `encrypted` | an encrypted record, and this tier has no keys |
    /// | `plain` | one that is not encrypted, and this tier reads only what is |
    /// | `unknown_key` | one encrypted with a key that is not in the ring |
    /// | `not_authentic` | one that the key it names did not write as it is |
    /// | `not_llmix` | under a key of llmix, something else |
    ///
    /// ```
    /// let tier = cache_redis::RedisTier::builder("redis://127.0.0.1/")?.build()?;
    /// assert!(tier.undecodable_by_reason().all(|(_reason, count)| count == 0));
    /// # Ok::<(), cache_redis::ConfigError>(())
    /// ```
    pub fn undecodable_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.shared.undecodable.counted()
    }

    /// How many connections are open now. 0 before the first call and while the server is down.
    pub fn open_connections(&self) -> usize {
        self.shared.connections.live()
    }

    pub(crate) fn call(&self) -> Call {
        Call::new(self.shared.limits.command)
    }

    fn batch(&self, keys: usize) -> Call {
        let steps = u32::try_from(keys.div_ceil(BATCH_STEP)).unwrap_or(u32::MAX);
        Call::new(self.shared.limits.command.saturating_mul(steps.max(1)))
    }

    async fn send(&self, command: &Cmd, call: Call) -> Result<Value> {
        self.shared.connections.send(command, call).await
    }

    /// What stores `entry` `over` what is there; a removal if its time is up.
    ///
    /// Refused by the server when it comes later than `call` may take: its caller was told that it
    /// failed, and what was written since by another connection must stay.
    fn prepare(
        &self,
        key: &CacheKey,
        entry: &StoredEntry,
        over: Over,
        call: Call,
    ) -> Result<Replace> {
        let shared = &self.shared;
        let not_after = Some(shared.skew.not_after(call.limit()));
        let Some((stored, life)) = shared.skew.to_server(entry) else {
            return Ok(Replace { not_after, ..self.tombstone(key, over) });
        };
        let fence = shared.random.fence();
        let (compress_above, keys) = (shared.limits.compress_above, shared.keys.as_ref());
        let record = record::encode(key, &stored, fence, compress_above, keys)
            .map_err(|error| Error::Unencodable { source: error.into() })?;
        Ok(Replace {
            key: *key,
            name: shared.names.name(key),
            over,
            not_after,
            record,
            life: whole_millis(life.min(LONGEST_LIFE)),
        })
    }

    /// What removes `key`. Never late: a removal that its caller gave up on does no harm.
    fn tombstone(&self, key: &CacheKey, over: Over) -> Replace {
        let shared = &self.shared;
        let (now, memory) = (shared.skew.server_now(), shared.limits.fence_memory);
        let until = now.saturating_add(memory.min(LONGEST_LIFE));
        Replace {
            key: *key,
            name: shared.names.name(key),
            over,
            not_after: None,
            record: record::encode_tombstone(key, shared.random.fence(), now, until),
            life: whole_millis(memory.min(LONGEST_LIFE)),
        }
    }

    async fn replace_one(&self, job: Replace, call: Call) -> Result<Replaced> {
        let connections = &self.shared.connections;
        let mut found = script::run(connections, &[job], call).await?;
        found.pop().ok_or_else(|| errors::unexpected(&Value::Nil))
    }

    /// What a reply to `GET` says about `key`, and whether it is the record of another key.
    fn lookup(&self, key: &CacheKey, reply: Value) -> Result<(Lookup, bool)> {
        let found = match reply {
            Value::Nil => {
                return Ok((Lookup { entry: None, fence: Fence::ABSENT }, false));
            }
            Value::BulkString(bytes) => Bytes::from(bytes),
            Value::ServerError(error) if errors::is_wrong_type(&error) => {
                self.count_undecodable(key, Undecodable::WrongType);
                return Ok((Lookup { entry: None, fence: record::WRONG_TYPE }, false));
            }
            Value::ServerError(error) => return Err(errors::from_server(error)),
            other => return Err(errors::unexpected(&other)),
        };
        let fence = record::version(&found);
        let mut is_of_another = false;
        let entry = match record::decode(key, found, self.shared.keys.as_ref()) {
            Ok(Record::Entry(entry)) => self.shared.skew.to_local(entry),
            Ok(Record::Tombstone) => None,
            Err(reason) => {
                is_of_another = reason == Undecodable::OtherKey;
                self.count_undecodable(key, reason);
                None
            }
        };
        Ok((Lookup { entry, fence }, is_of_another))
    }

    /// The record of another key came in reply to a question about `key`.
    #[cold]
    fn examine<'a>(
        &'a self,
        via: &'a Via,
        key: &CacheKey,
        call: Call,
    ) -> impl Future<Output = ()> + Send + use<'a> {
        let name = self.shared.names.name(key);
        // Boxed because it is rare: without it the future of every call would be larger.
        Box::pin(async move { self.shared.connections.examine(via, &name, call).await })
    }

    pub(crate) fn count_undecodable(&self, key: &CacheKey, reason: Undecodable) {
        self.shared.undecodable.count(reason);
        tracing::debug!(key = %key.short(), %reason, "stored entry is not readable");
    }

    /// What is left of a live entry with this header; `None` if it is none.
    fn left(&self, header: &Header) -> Option<Duration> {
        let now = self.shared.skew.server_now();
        let left = Skew::left(header.stored_at(), header.expires_at(), now);
        let is_entry =
            !header.is_tombstone() && header.may_be_read_with(self.shared.keys.as_ref()).is_ok();
        (is_entry && !left.is_zero()).then_some(left)
    }

    fn was_live(&self, replaced: &Replaced) -> bool {
        matches!(replaced, Replaced::Record(header) if self.left(header).is_some())
    }
}

/// Where it is and how it stands, without credentials.
impl fmt::Debug for RedisTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTier")
            .field("address", &self.shared.connections.address())
            .field("names", &self.shared.names)
            .field("open_connections", &self.open_connections())
            .field("limits", &self.shared.limits)
            .field("keys", &self.shared.keys)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl RemoteTier for RedisTier {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: errors::TIER,
            fence_memory: self.shared.limits.fence_memory,
            deadline: self.shared.limits.command,
        }
    }

    async fn get(&self, key: &CacheKey) -> Result<Lookup> {
        let get = self.shared.names.get(key);
        let call = self.call().about(key);
        let (reply, via) = self.shared.connections.exchange(&get, call).await?;
        let (lookup, is_of_another) = self.lookup(key, reply)?;
        if is_of_another {
            self.examine(&via, key, call).await;
        }
        Ok(lookup)
    }

    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Lookup>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        // A pipeline and not MGET: MGET takes a value of a wrong type for an absent one, and
        // Cluster refuses it across slots.
        let mut gets = Pipeline::with_capacity(keys.len());
        for key in keys {
            gets.cmd("GET").arg(self.shared.names.name(key));
        }
        let call = self.batch(keys.len());
        let connections = &self.shared.connections;
        let (replies, via) = connections.exchange(&gets, call).await?;
        let (mut lookups, mut questionable) = (Vec::with_capacity(keys.len()), None);
        for (key, reply) in keys.iter().zip(replies) {
            let (lookup, is_of_another) = self.lookup(key, reply)?;
            lookups.push(lookup);
            questionable = questionable.or(is_of_another.then_some(key));
        }
        if let Some(key) = questionable {
            self.examine(&via, key, call).await;
        }
        Ok(lookups)
    }

    async fn put(&self, key: &CacheKey, entry: &StoredEntry) -> Result<()> {
        let call = self.call().about(key);
        self.shared.connections.clock_known(call).await?;
        let job = self.prepare(key, entry, Over::Unseen, call)?;
        self.replace_one(job, call).await.map(drop)
    }

    async fn put_many(&self, entries: &[(CacheKey, StoredEntry)]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let call = self.batch(entries.len());
        let connections = &self.shared.connections;
        connections.clock_known(call).await?;
        let job =
            |(key, entry): &(CacheKey, StoredEntry)| self.prepare(key, entry, Over::Unseen, call);
        let jobs = last_of_each(entries).map(job).collect::<Result<Vec<_>>>()?;
        script::run(connections, &jobs, call).await.map(drop)
    }

    async fn put_fenced(
        &self,
        key: &CacheKey,
        entry: &StoredEntry,
        fence: Fence,
    ) -> Result<PutFenced> {
        let call = self.call().about(key);
        self.shared.connections.clock_known(call).await?;
        let job = self.prepare(key, entry, Over::Version(fence), call)?;
        Ok(match self.replace_one(job, call).await? {
            Replaced::Superseded => PutFenced::Superseded,
            _ => PutFenced::Stored,
        })
    }

    async fn remove(&self, key: &CacheKey) -> Result<bool> {
        // Removing twice is removing. Only whether an entry was there may then go untold.
        let job = self.tombstone(key, Over::Any);
        let replaced = self.replace_one(job, self.call().about(key)).await?;
        Ok(self.was_live(&replaced))
    }

    async fn remove_many(&self, keys: &[CacheKey]) -> Result<u64> {
        if keys.is_empty() {
            return Ok(0);
        }
        let jobs: Vec<_> = keys.iter().map(|key| self.tombstone(key, Over::Any)).collect();
        let call = self.batch(keys.len());
        let found = script::run(&self.shared.connections, &jobs, call).await?;
        Ok(found.iter().map(|one| u64::from(self.was_live(one))).sum())
    }

    async fn remove_if_equals(&self, key: &CacheKey, fence: Fence) -> Result<bool> {
        if fence == Fence::ABSENT {
            return Ok(false); // there is nothing to remove at that version
        }
        let job = self.tombstone(key, Over::Version(fence));
        let replaced = self.replace_one(job, self.call().about(key)).await?;
        Ok(matches!(replaced, Replaced::Foreign | Replaced::DoneBefore) || self.was_live(&replaced))
    }

    async fn ttl(&self, key: &CacheKey) -> Result<Option<Duration>> {
        let mut range = redis::cmd("GETRANGE");
        range.arg(self.shared.names.name(key));
        range.arg(0).arg(record::HEADER - 1);
        let call = self.call().about(key);
        let (reply, via) = self.shared.connections.exchange(&range, call).await?;
        match reply {
            Value::BulkString(head) => Ok(match Header::read(key, &head) {
                Ok(header) => self.left(&header),
                Err(Undecodable::OtherKey) => {
                    self.examine(&via, key, call).await;
                    None
                }
                Err(_) => None,
            }),
            Value::ServerError(error) if errors::is_wrong_type(&error) => Ok(None),
            Value::ServerError(error) => Err(errors::from_server(error)),
            other => Err(errors::unexpected(&other)),
        }
    }

    async fn purge(&self) -> Result<u64> {
        let shared = &self.shared;
        purge::run(&shared.connections, &shared.names, shared.limits.command).await
    }

    async fn ping(&self) -> Result<()> {
        match self.send(&redis::cmd("PING"), self.call()).await? {
            Value::SimpleString(pong) if pong == "PONG" => Ok(()),
            Value::ServerError(error) => Err(errors::from_server(error)),
            other => Err(errors::unexpected(&other)),
        }
    }
}

/// The last entry of each key, in order. Those before would be replaced at once; but sent as well,
/// one of them could come last: commands that do not find their script are sent again.
fn last_of_each(
    entries: &[(CacheKey, StoredEntry)],
) -> impl Iterator<Item = &(CacheKey, StoredEntry)> {
    let mut seen = HashSet::with_capacity(entries.len());
    let mut last: Vec<_> = entries.iter().rev().filter(|(key, _)| seen.insert(key)).collect();
    last.reverse();
    last.into_iter()
}

/// At least 1, because Redis knows no shorter life.
pub(crate) fn whole_millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1)
}
