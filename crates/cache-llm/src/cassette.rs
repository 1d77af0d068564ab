//! [`Cassette`]: answers in a file, for tests that need no provider.
//!
//! # Format, version 1
//!
//! A JSON document, indented, its entries sorted by key, so that the same answers give the same bytes and
//! a changed answer changes its own lines only:
//!
//! ```json
//! {
//!   "format": "cache-llm cassette 1",
//!   "entries": {
//!     "<key, 64 hexadecimal digits>": {"kind": "chat", "model": "gpt-4o", "text": ["line\n", "line\n"]},
//!     "<key>": {"kind": "embeddings", "model": "mine", "base64": "..."}
//!   }
//! }
//! ```
//!
//! Each entry is what the cache stores: as text, cut behind its line ends, or in base64 if it is none.
//! `kind` and `model` tell people what was asked for; they may be left out, and count for nothing. It
//! holds answers in clear, and no more of requests.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cache_core::CacheKey;
use parking_lot::Mutex;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cache::{Inner, LlmCache};
use crate::plan::Plan;
use crate::response::AnswerKind;

const FORMAT: &str = "cache-llm cassette 1";

/// Answers that were recorded once and are played from then on, for tests without a provider.
///
/// One that is played keeps [`LlmCache::serve`], [`LlmCache::answer`], [`cached`](crate::cached) and
/// [`CachedProvider`](crate::CachedProvider) from ever asking the provider, save in a
/// [dry run](crate::LlmCacheBuilder::dry_run), which uses no cassette. It cannot keep others from it: where
/// [`LlmCache::prepare`] returns a [`Bypass`](crate::Bypass), it is the caller who makes the call, or in a
/// test makes none.
///
/// Recorded where there is no file yet, else played:
///
/// ```
/// use std::io::ErrorKind;
/// use std::path::Path;
///
/// use cache_llm::{
///     CacheMode, Cassette, CassetteError, DualCache, EndpointKind, KeyScope, LlmCache, Reply, Tenant,
/// };
/// # use cache_llm::OriginAnswer;
/// # type Cache = LlmCache<(), std::io::Error>;
/// # async fn provider() -> Result<OriginAnswer<()>, std::io::Error> {
/// #     let body = r#"{"choices":[{"message":{"content":"Paris"},"finish_reason":"stop"}]}"#;
/// #     Ok(OriginAnswer::whole(200, (), body))
/// # }
///
/// /// Whether the answer was played.
/// async fn capital(path: &Path) -> Result<bool, Box<dyn std::error::Error>> {
///     let cassette = match Cassette::load(path) {
///         // Where nothing is to be recorded, as in CI, `Cassette::load(path)?` is all.
///         Err(CassetteError::Io(error)) if error.kind() == ErrorKind::NotFound => {
///             Cassette::recording()
///         }
///         loaded => loaded?,
///     };
///     let cache = Cache::builder(DualCache::builder().build()?).cassette(cassette.clone()).build()?;
///     let body = br#"{"model":"m","messages":[{"role":"user","content":"Capital of France?"}]}"#;
///     let (kind, scope) = (EndpointKind::ChatCompletions, KeyScope::new(Tenant::Shared));
///     let answer = cache.serve(kind, body, &scope, CacheMode::Use, provider).await?;
///     if !cassette.is_playing() {
///         let report = cache.save_cassette(path).await?;
///         assert!(report.missing.is_empty(), "{report:?}");
///     }
///     Ok(matches!(answer, Reply::Hit(_)))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("cassette-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("capital.json");
/// assert!(!capital(&path).await?); // with the provider
/// assert!(capital(&path).await?); // and without
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cassette(Arc<Content>);

enum Content {
    /// What was asked for, by key.
    Recording(Mutex<BTreeMap<[u8; 32], About>>),
    Playing(BTreeMap<[u8; 32], Bytes>),
}

/// What people know a request by.
#[derive(Clone)]
struct About {
    kind: AnswerKind,
    model: String,
}

/// What a recording came to. Made by [`LlmCache::save_cassette`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CassetteReport {
    /// How many entries there are in the file.
    pub recorded: usize,
    /// What was asked for and is not among them: it was found not worth storing, such as an error
    /// ([`Storage::NotStored`](crate::Storage::NotStored) said so), its stream has not ended, or it is
    /// gone from the cache since. Of several [`Samples`](crate::Samples), also those whose turn has not
    /// come.
    pub missing: Vec<Unrecorded>,
}

/// An answer that was asked for and is not recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unrecorded {
    /// What it would stand under.
    pub key: CacheKey,
    /// What kind of answer it would be.
    pub kind: AnswerKind,
    /// The model that the request names.
    pub model: String,
}

/// Why a cassette could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CassetteError {
    /// Reading or writing the file failed.
    #[error("the cassette could not be read or written")]
    Io(#[from] io::Error),
    /// It is not a cassette, or of another version.
    #[error("this is not a cassette, or one of another version")]
    NotACassette(#[source] Option<serde_json::Error>),
    /// Two entries have the same key, as after a merge of two files: which of them counts cannot be told.
    #[error("two entries of the cassette have the key {key}")]
    Duplicate {
        /// The key, in hexadecimal digits.
        key: String,
    },
    /// The cache was built without one.
    #[error("the cache has no cassette")]
    NoCassette,
    /// It is being played, so nothing was recorded.
    #[error("a cassette that is played records nothing")]
    Playing,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    entries: Entries,
}

/// As they stand there, also those that come twice.
struct Entries(Vec<(String, Stored)>);

/// One entry: `text` or `base64`.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Cassette {
    /// An empty one: its cache asks the provider as ever, and the cassette learns which answers it gave
    /// out, for [`LlmCache::save_cassette`].
    pub fn recording() -> Self {
        Self(Arc::new(Content::Recording(Mutex::default())))
    }

    /// Reads one to play: its cache answers from it alone, and never asks the provider. A request that is
    /// not on it is [`AnswerError::NotRecorded`](crate::AnswerError::NotRecorded); one that could
    /// not be, [`AnswerError::NotRecordable`](crate::AnswerError::NotRecordable).
    ///
    /// # Errors
    ///
    /// See [`CassetteError`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CassetteError> {
        Self::parse(&std::fs::read(path)?)
    }

    /// As [`load`](Self::load), of what was read already, e.g. by `include_bytes!`.
    ///
    /// # Errors
    ///
    /// [`CassetteError::NotACassette`]; [`CassetteError::Duplicate`].
    pub fn parse(json: &[u8]) -> Result<Self, CassetteError> {
        let file: File = serde_json::from_slice(json)
            .map_err(|error| CassetteError::NotACassette(Some(error)))?;
        if file.format != FORMAT {
            return Err(CassetteError::NotACassette(None));
        }
        let mut entries = BTreeMap::new();
        for (key, entry) in file.entries.0 {
            let none = || CassetteError::NotACassette(None);
            let digest = digest(&key).ok_or_else(none)?;
            let entry = match (entry.text, entry.base64) {
                (Some(lines), None) => lines.concat().into(),
                (None, Some(text)) => STANDARD.decode(text).map_err(|_| none())?.into(),
                _ => return Err(none()),
            };
            if entries.insert(digest, entry).is_some() {
                return Err(CassetteError::Duplicate { key });
            }
        }
        Ok(Self(Arc::new(Content::Playing(entries))))
    }

    /// Takes note of what is asked for.
    pub(crate) fn note(&self, plan: &Plan) {
        if let Content::Recording(asked) = &*self.0 {
            let about = About { kind: plan.kind(), model: plan.model().to_owned() };
            let keys = plan.keys();
            asked.lock().extend(keys.iter().map(|key| (*key.as_bytes(), about.clone())));
        }
    }

    /// Whether it is played: it was read, and answers come from it alone.
    pub fn is_playing(&self) -> bool {
        matches!(&*self.0, Content::Playing(_))
    }

    /// The entry of a key, if this one is played.
    pub(crate) fn entry(&self, key: &CacheKey) -> Option<&Bytes> {
        match &*self.0 {
            Content::Playing(entries) => entries.get(key.as_bytes()),
            Content::Recording(_) => None,
        }
    }
}

impl<H, E> LlmCache<H, E>
where
    H: Clone + Send + Sync + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    /// Writes the [`Cassette`] that this cache was built with: all that was asked for and is stored. Reports
    /// what is not. A stream is stored once it has ended: see [`Recorded::outcome`](crate::Recorded::outcome).
    ///
    /// ```
    /// # use cache_llm::{Cassette, DualCache, LlmCache};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("saved-{}.json", std::process::id()));
    /// let builder = LlmCache::<(), std::io::Error>::builder(DualCache::builder().build()?);
    /// let cache = builder.cassette(Cassette::recording()).build()?;
    /// // ... what is to be recorded is asked for ...
    /// let report = cache.save_cassette(&path).await?;
    /// assert!(report.missing.is_empty(), "{report:?}");
    /// # assert_eq!(report.recorded, 0);
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CassetteError::Io`]; [`CassetteError::Playing`] if it was loaded; [`CassetteError::NoCassette`].
    pub async fn save_cassette(
        &self,
        path: impl AsRef<Path>,
    ) -> Result<CassetteReport, CassetteError> {
        let (json, report) = self.cassette_json().await?;
        std::fs::write(path, json)?;
        Ok(report)
    }

    /// What [`save_cassette`](Self::save_cassette) writes, and what it reports.
    ///
    /// # Errors
    ///
    /// As those of [`save_cassette`](Self::save_cassette).
    pub async fn cassette_json(&self) -> Result<(String, CassetteReport), CassetteError> {
        let Inner { dual, cassette, .. } = &*self.inner;
        let cassette = cassette.as_ref().ok_or(CassetteError::NoCassette)?;
        let Content::Recording(asked) = &*cassette.0 else { return Err(CassetteError::Playing) };
        let asked = asked.lock().clone();
        let keys: Vec<CacheKey> =
            asked.keys().map(|digest| CacheKey::from_digest(*digest)).collect();
        let found = dual.get_many(&keys).await;
        let (mut entries, mut missing) = (Vec::new(), Vec::new());
        for ((key, about), found) in keys.into_iter().zip(asked.into_values()).zip(found) {
            let About { kind, model } = about;
            match found {
                Some(found) => {
                    let stored = stored(&found.value);
                    let (kind, model) = (Some(label(kind).to_owned()), Some(model));
                    entries.push((hex(key.as_bytes()), Stored { kind, model, ..stored }));
                }
                None => missing.push(Unrecorded { key, kind, model }),
            }
        }
        let report = CassetteReport { recorded: entries.len(), missing };
        let file = File { format: FORMAT.to_owned(), entries: Entries(entries) };
        let mut json = serde_json::to_string_pretty(&file).map_err(io::Error::from)?;
        json.push('\n');
        Ok((json, report))
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, entry)| (key, entry)))
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("entries by key")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Entries(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

fn stored(entry: &[u8]) -> Stored {
    match std::str::from_utf8(entry) {
        Ok(text) => {
            let lines = text.split_inclusive('\n').map(str::to_owned).collect();
            Stored { text: Some(lines), ..Stored::default() }
        }
        Err(_) => Stored { base64: Some(STANDARD.encode(entry)), ..Stored::default() },
    }
}

const fn label(kind: AnswerKind) -> &'static str {
    match kind {
        AnswerKind::Chat => "chat",
        AnswerKind::Completions => "completions",
        AnswerKind::Responses => "responses",
        AnswerKind::Messages => "messages",
        AnswerKind::Embeddings => "embeddings",
    }
}

fn hex(digest: &[u8; 32]) -> String {
    use std::fmt::Write;
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(digest)
}

/// Shows how much there is, no answers.
impl fmt::Debug for Cassette {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Content::Recording(asked) => write!(f, "Recording({})", asked.lock().len()),
            Content::Playing(entries) => write!(f, "Playing({})", entries.len()),
        }
    }
}
