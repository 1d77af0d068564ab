//! [`KeyRing`]: payloads encrypted and whole records authenticated, with XChaCha20-Poly1305.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::fmt;
use std::sync::Arc;

use cache_core::{CacheKey, Tags};
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize as _, Zeroizing};

use super::{HEADER, REST_CHECKSUM_AT, Undecodable, Unencodable};

/// What the keys of payloads are derived from secrets for, and for nothing else.
const CONTEXT: &str = "cache-redis 2026 KeyRing payload v1";
const KEY_ID: usize = 8;
const NONCE: usize = 24;
const TAG: usize = 16;
const _: () = assert!(KEY_ID + NONCE + TAG == super::SEAL);

/// Names one secret of a [`KeyRing`]. It is stored in the clear beside what the secret encrypts.
///
/// A new secret needs a new id: entries under the old one are told apart by it.
///
/// ```
/// use cache_redis::KeyId;
///
/// assert_eq!(KeyId::named("acme, 2026"), KeyId::named("acme, 2026"));
/// assert_ne!(KeyId::named("acme, 2026"), KeyId::named("acme, 2027"));
/// assert_eq!(KeyId(7).to_string(), "0000000000000007");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u64);

impl KeyId {
    /// The id with this name, as a digest: names of tenants do not show in Redis.
    pub fn named(name: &str) -> Self {
        let digest = blake3::derive_key("cache-redis 2026 KeyId::named v1", name.as_bytes());
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&digest[..KEY_ID]);
        Self(u64::from_le_bytes(id))
    }
}

/// 16 hex digits.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

type Choice = dyn Fn(&CacheKey, &Tags) -> Option<KeyId> + Send + Sync;

/// The secrets that payloads are encrypted with, so that Redis never sees an answer in the clear.
///
/// One secret encrypts what is written; any of the ring is good for reading. To change it, first
/// give every reader the new one ([`KeyRing::with`]), then write with it, and drop the old one once
/// the longest time to live has passed:
///
/// ```
/// use cache_redis::{KeyId, KeyRing, RedisTier};
///
/// # let (this_year, last_year) = ([1; 32], [2; 32]);
/// let keys = KeyRing::new(KeyId(2026), this_year).with(KeyId(2025), last_year);
/// let tier = RedisTier::builder("redis://127.0.0.1/")?.encrypt(keys).build()?;
/// # Ok::<(), cache_redis::ConfigError>(())
/// ```
///
/// # What it keeps from whom
///
/// Who reads Redis, its memory dumps or the wire sees neither payloads nor whether two are equal.
/// They see cache keys (digests), times, weights, lengths, digests of tags, and which [`KeyId`]
/// encrypted what. **A length says something about the text**, and more so after compression: who
/// can put text of their own beside a secret in one payload, and watches lengths, can guess at the
/// secret (the attack called CRIME). Where that matters, switch compression off with
/// [`compress_above(None)`](crate::RedisBuilder::compress_above).
///
/// Who *writes* Redis cannot make a reader take anything but what a holder of a secret stored under
/// this very key, with these very times, tags and codec. They can remove entries, put an old one
/// back for as long as its life lasts, and lie to [`ttl`](cache_core::RemoteTier::ttl) and to what
/// removals report, which look at headers alone. The prefix of a tier is not part of this: tiers
/// that must not see each other's entries want different secrets.
///
/// What does not open is a miss, counted by reason in
/// [`RedisTier::undecodable_by_reason`](crate::RedisTier::undecodable_by_reason).
///
/// # Tenants
///
/// A tenant's secret is chosen for each entry by [`KeyRing::choose`]. A reader opens whatever *any*
/// secret of its ring wrote, so a process that serves one tenant is given that tenant's alone.
///
/// ```
/// use cache_core::Tag;
/// use cache_redis::{KeyId, KeyRing};
///
/// # let (acme, globex) = ([1; 32], [2; 32]);
/// let tenants = [
///     (Tag::named("tenant/acme"), KeyId::named("acme, 2026"), acme),
///     (Tag::named("tenant/globex"), KeyId::named("globex, 2026"), globex),
/// ];
/// let ids = tenants.map(|(tag, id, _)| (tag, id));
/// let mut keys = KeyRing::new(tenants[0].1, tenants[0].2);
/// for (_, id, secret) in tenants {
///     keys = keys.with(id, secret);
/// }
/// let keys = keys.choose(move |_, tags| {
///     let of = |tag| ids.iter().find(|(tenant, _)| *tenant == tag).map(|(_, id)| *id);
///     tags.as_slice().iter().find_map(|stamped| of(stamped.tag)) // none: it is not stored
/// });
/// # drop(keys);
/// ```
///
/// # Secrets
///
/// 32 bytes from a good source of randomness, not a password. They are not kept: what is kept is
/// derived from them (BLAKE3), never printed, and overwritten when the last clone is dropped.
/// Copies that the caller made are the caller's to overwrite.
#[derive(Clone)]
pub struct KeyRing {
    /// Shared, so that clones hold no further copies of a key. It overwrites itself when dropped.
    ciphers: HashMap<KeyId, Arc<Keyed>>,
    first: KeyId,
    twice: Option<KeyId>,
    choice: Option<Arc<Choice>>,
    accept_plain: bool,
}

struct Keyed {
    cipher: XChaCha20Poly1305,
    /// Tells the same secret given twice from two secrets under one id.
    check: [u8; 32],
}

impl KeyRing {
    /// A ring of one secret, which encrypts everything that is written.
    pub fn new(id: KeyId, secret: [u8; 32]) -> Self {
        let ciphers = HashMap::new();
        let empty = Self { ciphers, first: id, twice: None, choice: None, accept_plain: false };
        empty.with(id, secret)
    }

    /// The ring with another secret, to read with and to choose from. An id that is in the ring
    /// with another secret is an error when the tier is built.
    #[must_use]
    pub fn with(mut self, id: KeyId, mut secret: [u8; 32]) -> Self {
        let key = Zeroizing::new(blake3::derive_key(CONTEXT, &secret));
        let check = blake3::derive_key("cache-redis 2026 KeyRing check v1", &secret);
        secret.zeroize();
        match self.ciphers.entry(id) {
            Vacant(place) => {
                let cipher = XChaCha20Poly1305::new((&*key).into());
                place.insert(Arc::new(Keyed { cipher, check }));
            }
            Occupied(there) if there.get().check != check => self.twice = Some(id),
            Occupied(_) => {}
        }
        self
    }

    /// Chooses the secret that an entry is encrypted with, by its key and tags. Where the choice is
    /// `None` or an id that is not in the ring, the entry is not stored, and the caller is told:
    /// an answer of nobody known is not written with somebody's key. Default: the secret of
    /// [`KeyRing::new`].
    #[must_use]
    pub fn choose(
        mut self,
        choice: impl Fn(&CacheKey, &Tags) -> Option<KeyId> + Send + Sync + 'static,
    ) -> Self {
        self.choice = Some(Arc::new(choice));
        self
    }

    /// Whether entries that are not encrypted are read too, for the time of a change to encryption.
    /// Whoever can write to Redis can plant such entries. Default: `false`, they are misses.
    ///
    /// ```
    /// use cache_redis::{KeyId, KeyRing};
    ///
    /// # let secret = [1; 32];
    /// let until_the_last_plain_entry_has_expired = KeyRing::new(KeyId(1), secret).accept_plain(true);
    /// # drop(until_the_last_plain_entry_has_expired);
    /// ```
    #[must_use]
    pub fn accept_plain(mut self, yes: bool) -> Self {
        self.accept_plain = yes;
        self
    }

    pub(crate) fn accepts_plain(&self) -> bool {
        self.accept_plain
    }

    /// An id that was given with two different secrets.
    pub(crate) fn given_twice(&self) -> Option<KeyId> {
        self.twice
    }

    /// What encrypts the entry of `key` with `tags`.
    pub(super) fn sealer(&self, key: &CacheKey, tags: &Tags) -> Result<Sealer<'_>, Unencodable> {
        let id = match &self.choice {
            Some(choice) => choice(key, tags).ok_or(Unencodable::NoKey)?,
            None => self.first,
        };
        let keyed = self.ciphers.get(&id).ok_or(Unencodable::UnknownKey(id))?;
        Ok(Sealer { id, cipher: &keyed.cipher })
    }

    /// Decrypts what stands from `at` on in the whole record of `key`.
    pub(super) fn open(
        &self,
        key: &CacheKey,
        record: &[u8],
        at: usize,
    ) -> Result<Vec<u8>, Undecodable> {
        let (before, sealed) = record.split_at_checked(at + KEY_ID).ok_or(Undecodable::Header)?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(Undecodable::Header)?;
        let (sealed, tag) = sealed.split_last_chunk::<TAG>().ok_or(Undecodable::Header)?;
        let id: &[u8; KEY_ID] = before.last_chunk().ok_or(Undecodable::Header)?;
        let id = KeyId(u64::from_le_bytes(*id));
        let keyed = self.ciphers.get(&id).ok_or(Undecodable::UnknownKey(id))?;
        let mut payload = sealed.to_vec();
        let associated = associated(key, before);
        // Compares the tag first: nothing is decrypted that is not authentic.
        keyed
            .cipher
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &associated,
                payload.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| Undecodable::NotAuthentic)?;
        Ok(payload)
    }
}

/// The ids, and no secret.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ids: Vec<_> = self.ciphers.keys().collect();
        ids.sort_unstable();
        f.debug_struct("KeyRing")
            .field("ids", &ids)
            .field("accept_plain", &self.accept_plain)
            .finish_non_exhaustive()
    }
}

/// The key that one entry is encrypted with.
pub(super) struct Sealer<'a> {
    id: KeyId,
    cipher: &'a XChaCha20Poly1305,
}

impl Sealer<'_> {
    /// Completes the record of `key`, which ends with its tags and has no checksums yet.
    pub(super) fn seal(
        self,
        key: &CacheKey,
        payload: &[u8],
        record: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        record.extend_from_slice(&self.id.0.to_le_bytes());
        let associated = associated(key, record);
        // From the system each time, and not from a generator of our own: a forked process would
        // have that one twice, and a nonce must never be. Of 24 random bytes none ever is.
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| Unencodable::NoRandomness)?;
        record.extend_from_slice(&nonce);
        let at = record.len();
        record.extend_from_slice(payload);
        let tag = self
            .cipher
            .encrypt_inout_detached(&XNonce::from(nonce), &associated, record[at..].as_mut().into())
            .map_err(|_| Unencodable::TooLong)?;
        record.extend_from_slice(&tag);
        Ok(())
    }
}

/// What is authenticated beside the payload: all that stands before the nonce but for the
/// checksums, which follow from the rest, and the whole key, of which the record has but half.
fn associated(key: &CacheKey, before_nonce: &[u8]) -> Vec<u8> {
    [&before_nonce[..REST_CHECKSUM_AT], &before_nonce[HEADER..], key.as_bytes()].concat()
}
