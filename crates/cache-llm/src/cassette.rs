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
//!     "<key, 64 hexadecimal digits>": {"text": ["line\n", "line\n"]},
//!     "<key>": {"base64": "..."}
//!   }
//! }
//! ```
//!
//! Each entry is what the cache stores: as text, cut behind its line ends, or in base64 if it is none. It
//! holds answers in clear, and no requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cache_core::CacheKey;
use cache_dual::DualCache;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

const FORMAT: &str = "cache-llm cassette 1";

/// Answers that were recorded once and are played from then on, for tests without a provider.
///
/// ```
/// use cache_llm::{AnswerError, Cassette, CacheMode, DualCache, EndpointKind, KeyScope, LlmCache, Tenant};
/// # use cache_llm::{OriginAnswer, Reply};
/// # use futures_util::{StreamExt, stream};
/// # type Cache = LlmCache<(), std::io::Error>;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let provider = || async {
/// #     let body = r#"{"choices":[{"message":{"content":"Paris"},"finish_reason":"stop"}]}"#;
/// #     let body = stream::iter([Ok(body.into())]).boxed();
/// #     Ok(OriginAnswer { status: 200, head: (), is_event_stream: false, content_encoded: false, body })
/// # };
/// # let directory = std::env::temp_dir().join(format!("cassette-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("capital.json");
/// let scope = KeyScope::new(Tenant::Shared);
/// let body = br#"{"model":"m","messages":[{"role":"user","content":"Capital of France?"}]}"#;
///
/// // Once, with the provider:
/// let cassette = Cassette::recording();
/// let cache = Cache::builder(DualCache::builder().build()?).cassette(cassette.clone()).build()?;
/// let plan = cache.prepare(EndpointKind::ChatCompletions, body, &scope)?;
/// let _answer = cache.answer(&plan, CacheMode::Use, provider).await?;
/// cassette.save(cache.dual(), &path).await?;
///
/// // From then on, without:
/// let cassette = Cassette::load(&path)?;
/// let cache = Cache::builder(DualCache::builder().build()?).cassette(cassette).build()?;
/// let answer = cache.answer(&plan, CacheMode::Use, provider).await?;
/// assert!(matches!(answer, Reply::Hit(_)));
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cassette(Arc<Content>);

enum Content {
    /// The keys that were asked for.
    Recording(Mutex<BTreeSet<[u8; 32]>>),
    Playing(BTreeMap<[u8; 32], Bytes>),
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
    /// It is being played, so nothing was recorded.
    #[error("a cassette that is played records nothing")]
    Playing,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    entries: BTreeMap<String, Stored>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stored {
    Text(Vec<String>),
    Base64(String),
}

impl Cassette {
    /// An empty one: its cache asks the provider as ever, and the cassette learns which answers it gave
    /// out.
    pub fn recording() -> Self {
        Self(Arc::new(Content::Recording(Mutex::default())))
    }

    /// Reads one to play: its cache answers from it alone, and never asks the provider. A request that is
    /// not on it is [`AnswerError::NotRecorded`](crate::AnswerError::NotRecorded).
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
    /// [`CassetteError::NotACassette`].
    pub fn parse(json: &[u8]) -> Result<Self, CassetteError> {
        let file: File = serde_json::from_slice(json)
            .map_err(|error| CassetteError::NotACassette(Some(error)))?;
        if file.format != FORMAT {
            return Err(CassetteError::NotACassette(None));
        }
        let entries = file.entries.into_iter().map(|(key, entry)| {
            let entry = match entry {
                Stored::Text(lines) => lines.concat().into(),
                Stored::Base64(text) => STANDARD.decode(text).ok()?.into(),
            };
            Some((digest(&key)?, entry))
        });
        let entries = entries.collect::<Option<_>>().ok_or(CassetteError::NotACassette(None))?;
        Ok(Self(Arc::new(Content::Playing(entries))))
    }

    /// Writes all that was asked for and is stored in `dual`; how many entries. A stream is stored once it
    /// has ended: see [`Recorded::outcome`](crate::Recorded::outcome).
    ///
    /// # Errors
    ///
    /// [`CassetteError::Io`]; [`CassetteError::Playing`] if it was loaded.
    pub async fn save(
        &self,
        dual: &DualCache<Bytes>,
        path: impl AsRef<Path>,
    ) -> Result<usize, CassetteError> {
        let (json, count) = self.to_json(dual).await?;
        std::fs::write(path, json)?;
        Ok(count)
    }

    /// What [`save`](Self::save) writes, and how many entries there are in it.
    ///
    /// # Errors
    ///
    /// As those of [`save`](Self::save).
    pub async fn to_json(&self, dual: &DualCache<Bytes>) -> Result<(String, usize), CassetteError> {
        let Content::Recording(asked) = &*self.0 else { return Err(CassetteError::Playing) };
        let keys: Vec<CacheKey> =
            asked.lock().iter().map(|digest| CacheKey::from_digest(*digest)).collect();
        let found = dual.get_many(&keys).await;
        let found = keys.iter().zip(found).filter_map(|(key, found)| Some((key, found?.value)));
        let entries: BTreeMap<String, Stored> =
            found.map(|(key, entry)| (hex(key.as_bytes()), stored(&entry))).collect();
        let count = entries.len();
        let file = File { format: FORMAT.to_owned(), entries };
        let mut json = serde_json::to_string_pretty(&file).map_err(io::Error::from)?;
        json.push('\n');
        Ok((json, count))
    }

    /// Takes note of what is asked for.
    pub(crate) fn note(&self, keys: &[CacheKey]) {
        if let Content::Recording(asked) = &*self.0 {
            asked.lock().extend(keys.iter().map(|key| *key.as_bytes()));
        }
    }

    /// Whether answers come from it alone.
    pub(crate) fn is_playing(&self) -> bool {
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

fn stored(entry: &[u8]) -> Stored {
    match std::str::from_utf8(entry) {
        Ok(text) => Stored::Text(text.split_inclusive('\n').map(str::to_owned).collect()),
        Err(_) => Stored::Base64(STANDARD.encode(entry)),
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
