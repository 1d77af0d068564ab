//! [`Llmix`]: the entries that llmix programs keep in the same Redis.

use std::time::Duration;

use bytes::Bytes;
use cache_core::{CacheKey, CodecId, Entry, Error, Payload, Result, StoredEntry, Tags, Timestamp};
use redis::{Pipeline, Value};

use crate::errors;
use crate::record::llmix;
use crate::record::{Undecodable, Unencodable};
use crate::script::{self, Over, Replace};
use crate::skew::Skew;
use crate::tier::{LONGEST_LIFE, RedisTier, whole_millis};

/// Answers in the form of llmix's response cache, for deployments that share a Redis with it.
///
/// Made by [`RedisTier::llmix`]. It uses the tier's connections, time limits and counters, but none
/// of its key names: keys are whole Redis keys, e.g. from `cache_key::llmix_key`.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// let tier = cache_redis::RedisTier::builder("redis://127.0.0.1/")?.build()?;
/// let theirs = tier.llmix(Duration::from_secs(3_600)); // their `ttl_seconds`
///
/// let key = "llmix:resp:v2:0a2c8273415b22d0336da4413f872cfa3fb5d0e4b228b084eb0bf5cc5cd8f019";
/// if let Some(entry) = theirs.get(key).await? {
///     println!("{}", String::from_utf8_lossy(&entry.value.bytes));
/// }
/// # Ok(()) }
/// ```
///
/// # What this form cannot keep
///
/// An answer's text and when it was stored, that is all there is. So there are no fences (of two
/// writers the later wins, and an answer that is being fetched while another is removed comes back),
/// no tags, no stale time, no codec, no checksum and no encryption, and nothing in an answer says
/// which key it is of. [`Llmix::put`] refuses what would
/// lose something by it, and [`RedisTier`] is the better home for everything else.
#[derive(Clone, Debug)]
pub struct Llmix {
    tier: RedisTier,
    ttl: Duration,
}

impl RedisTier {
    /// The entries that llmix programs keep in this Redis. `ttl` is what those call `ttl_seconds`: no
    /// answer is older, whoever reads or wrote it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let tier = cache_redis::RedisTier::builder("redis://127.0.0.1/")?.build()?;
    /// let theirs = tier.llmix(Duration::from_secs(3_600));
    /// # drop(theirs);
    /// # Ok::<(), cache_redis::ConfigError>(())
    /// ```
    pub fn llmix(&self, ttl: Duration) -> Llmix {
        Llmix { tier: self.clone(), ttl: ttl.min(LONGEST_LIFE) }
    }
}

impl Llmix {
    /// Reads the answer under `key`, in one round trip: its text as [`CodecId::RAW`], untagged, fresh
    /// for what Redis has left of its life and no longer than the `ttl` after it was stored.
    ///
    /// A time in seconds or in milliseconds is believed, as `cached_at` or `cachedAt`, if it is
    /// between 2001 and 2286; an answer without one counts as stored now. Neither can make a life
    /// longer than Redis does. What is no such answer is a miss, counted as `not_llmix`
    /// ([`RedisTier::undecodable_by_reason`]), and so is one whose end nobody knows, because Redis
    /// keeps it for ever and its time is missing or to come. On a tier that encrypts, an answer is
    /// a miss, counted as `plain`, unless it accepts plain ones.
    ///
    /// ```no_run
    /// # async fn f(theirs: cache_redis::Llmix, now: cache_core::Timestamp) -> cache_core::Result<()> {
    /// if let Some(entry) = theirs.get("llmix:resp:v2:0a2c82…").await? {
    ///     println!("{} bytes, {:?} old", entry.value.bytes.len(), entry.age(now));
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// If the tier could not answer.
    pub async fn get(&self, key: &str) -> Result<Option<StoredEntry>> {
        let shared = &self.tier.shared;
        let id = CacheKey::from_text(key); // for logs and lanes
        // The life first: if the answer is replaced in between, the new one gets the old one's rest.
        let mut commands = Pipeline::with_capacity(2);
        commands.cmd("PTTL").arg(key).cmd("GET").arg(key);
        // From before the question: what Redis says is left was left later.
        let asked = shared.skew.local_now();
        let call = self.tier.call().about(&id);
        let (replies, _) = shared.connections.exchange(&commands, call).await?;
        let found = match <[Value; 2]>::try_from(replies) {
            Ok([_, Value::Nil] | [Value::Int(-2), _]) => return Ok(None),
            Ok([Value::Int(left), Value::BulkString(found)]) => {
                let answer = match &shared.keys {
                    Some(keys) if !keys.accepts_plain() => Err(Undecodable::Plain),
                    _ => llmix::decode(&Bytes::from(found)),
                };
                answer.and_then(|answer| self.entry(answer, left, asked))
            }
            Ok([_, Value::ServerError(error)]) if errors::is_wrong_type(&error) => {
                Err(Undecodable::WrongType)
            }
            Ok([Value::ServerError(error), _] | [_, Value::ServerError(error)]) => {
                return Err(errors::from_server(error));
            }
            Ok([_, other]) => return Err(errors::unexpected(&other)),
            Err(_) => return Err(errors::unexpected(&Value::Nil)),
        };
        match found {
            Ok(entry) => Ok(Some(entry).filter(|entry| !entry.is_expired(asked))),
            Err(reason) => {
                self.tier.count_undecodable(&id, reason);
                Ok(None)
            }
        }
    }

    /// What `answer` is at `asked`, if Redis has `left` milliseconds of it, or keeps it for ever if
    /// that is negative.
    fn entry(
        &self,
        answer: llmix::Answer,
        left: i64,
        asked: Timestamp,
    ) -> Result<StoredEntry, Undecodable> {
        // Their hosts' clocks are taken to be right, that is, to agree with the server's.
        let cached_at = answer.cached_at.map(|time| self.tier.shared.skew.local(time));
        let stored_at = cached_at.unwrap_or(asked).min(asked);
        let too_old_at = stored_at.saturating_add(self.ttl);
        let expires_at = match u64::try_from(left) {
            Ok(left) => too_old_at.min(asked.saturating_add(Duration::from_millis(left))),
            // Each reader would begin its life again.
            Err(_) if !cached_at.is_some_and(|time| Skew::is_believable(time, asked)) => {
                return Err(Undecodable::NotLlmix);
            }
            Err(_) => too_old_at,
        };
        Ok(Entry {
            weight: answer.text.len() as u64,
            value: Payload { codec: CodecId::RAW, bytes: answer.text },
            stored_at,
            fresh_until: expires_at,
            expires_at,
            tags: Tags::default(),
            epoch: 0,
        })
    }

    /// Stores the text of `entry` under `key` for as long as it is fresh and younger than the `ttl`;
    /// whether there was any time left to store it for. If there was none, what was there stays.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use bytes::Bytes;
    /// use cache_core::{Clock as _, CodecId, Entry, Lifetime, Payload, SystemClock};
    ///
    /// # async fn f(theirs: cache_redis::Llmix) -> cache_core::Result<()> {
    /// let text = Payload { codec: CodecId::RAW, bytes: Bytes::from("hello") };
    /// let answer = Entry::new(text, SystemClock.now(), Lifetime::new(Duration::from_secs(600)));
    /// assert!(theirs.put("llmix:resp:v2:0a2c82…", &answer).await?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Unencodable`] if the entry has tags, a codec other than [`CodecId::RAW`] or bytes
    /// that are not text, none of which this form can keep, or if the tier encrypts. Else if the tier
    /// did not confirm; it may or may not be stored then.
    pub async fn put(&self, key: &str, entry: &StoredEntry) -> Result<bool> {
        let refused = |error: Unencodable| Error::Unencodable { source: error.into() };
        let shared = &self.tier.shared;
        if shared.keys.is_some() {
            return Err(refused(Unencodable::NotLlmix(
                "nothing encrypted, as all is in this tier",
            )));
        }
        if !entry.tags.as_slice().is_empty() {
            return Err(refused(Unencodable::NotLlmix("no tags, so it could not be invalidated")));
        }
        let id = CacheKey::from_text(key);
        let call = self.tier.call().about(&id);
        shared.connections.clock_known(call).await?;
        let mut fresh = entry.clone();
        fresh.expires_at = entry.fresh_until.min(entry.stored_at.saturating_add(self.ttl));
        let Some((stored, life)) = shared.skew.to_server(&fresh) else { return Ok(false) };
        let payload = llmix::encode(&stored.value, stored.stored_at).map_err(refused)?;
        // By the script, as all writes, so that the server refuses one that comes too late.
        let job = Replace {
            key: id,
            name: key.as_bytes().to_vec(),
            over: Over::Unseen,
            not_after: Some(shared.skew.not_after(call.limit())),
            record: payload,
            life: whole_millis(life),
        };
        script::run(&shared.connections, &[job], call).await?;
        Ok(true)
    }
}
