//! [`KeyScope`]: what separates keys beside the body of the request.

use std::cell::RefCell;
use std::fmt;
use std::sync::OnceLock;

use cache_core::CacheKey;

use crate::FORMAT_VERSION;
use crate::endpoint::EndpointKind;
use crate::options::KeyOptions;
use crate::sink::{HashSink, Sink};
use crate::tenant::Tenant;

/// What the preimage of every scope begins with.
const MAGIC: &[u8; 8] = b"cachekey";

/// What stands before options that are not the default, where else the endpoint kind stands: no kind
/// has this code.
const WITH_OPTIONS: u8 = 0;
/// What a request as it stands begins with: no kind is called so.
const LITERAL: u8 = 0xff;

/// Requests as they stand are padded up to so many bytes. BLAKE3 hashes two, four or eight whole chunks
/// at once, and a part of one or a third one by itself: 2,048 bytes take half as long as 1,500.
const PADDED: usize = 8 * blake3::CHUNK_LEN;

thread_local! {
    /// Room for a request as it stands.
    static PREIMAGE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The headers by which `OpenAI`, Azure and Anthropic document that a caller chooses what answers, or on
/// whose behalf. `Authorization` and `x-api-key` are not among them: they say who asks, which is what
/// [`Tenant::credential`] is for.
pub const ANSWER_HEADERS: &[&str] = &[
    "anthropic-beta",
    "anthropic-version",
    "api-version",
    "openai-beta",
    "openai-organization",
    "openai-project",
];

/// What separates keys beside the body: for whom, where to, and what else decides the answer.
///
/// Made once for many requests, or cloned and refined for one: it is hashed when the first key is made
/// in it, and not again. Text that is not set is the empty string.
///
/// ```
/// use cache_key::{KeyScope, Tenant};
///
/// let scope = KeyScope::new(Tenant::named("acme"))
///     .namespace("prod")
///     .provider("anthropic")
///     .base_url("https://api.anthropic.com")
///     .header("anthropic-version", "2023-06-01");
/// # let _ = scope;
/// ```
#[derive(Clone)]
#[must_use]
pub struct KeyScope {
    namespace: String,
    tenant: Tenant,
    provider: String,
    base_url: String,
    /// Sorted by name; values of one name in the order they were given.
    headers: Vec<(String, Vec<u8>)>,
    /// Sorted likewise.
    parts: Vec<(String, Vec<u8>)>,
    secret: Option<[u8; 32]>,
    options: KeyOptions,
    /// [`KeyScope::digest`], once it was asked for; taken back by whatever changes it.
    digest: OnceLock<[u8; 32]>,
}

impl KeyScope {
    /// A scope for the answers of `tenant`.
    pub fn new(tenant: Tenant) -> Self {
        Self {
            namespace: String::new(),
            tenant,
            provider: String::new(),
            base_url: String::new(),
            headers: Vec::new(),
            parts: Vec::new(),
            secret: None,
            options: KeyOptions::new(),
            digest: OnceLock::new(),
        }
    }

    /// Keeps the keys of several uses of one store apart, such as `staging` and `prod`.
    pub fn namespace(mut self, name: &str) -> Self {
        name.clone_into(&mut self.namespace);
        self.changed()
    }

    /// Who answers, e.g. `openai`.
    pub fn provider(mut self, name: &str) -> Self {
        name.clone_into(&mut self.provider);
        self.changed()
    }

    /// Where requests go, as it is written: a cache does not know which URLs are the same place.
    pub fn base_url(mut self, url: &str) -> Self {
        url.clone_into(&mut self.base_url);
        self.changed()
    }

    /// Adds a forwarded header that can change answers, such as `anthropic-beta`.
    ///
    /// Names are compared without regard to ASCII case (RFC 9110, section 5.1). The order of calls
    /// matters among headers of one name only.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        insert(&mut self.headers, name.to_ascii_lowercase(), value.as_ref());
        self.changed()
    }

    /// Adds those of a request's headers that can change answers and that are passed on, by
    /// [`ANSWER_HEADERS`]: all headers may be given.
    ///
    /// ```
    /// use cache_key::{KeyScope, Tenant};
    ///
    /// let headers = [("anthropic-version", "2023-06-01"), ("user-agent", "curl/8.5")];
    /// let scope = KeyScope::new(Tenant::Shared).answer_headers(headers);
    /// # let _ = scope;
    /// ```
    pub fn answer_headers<N, V>(self, headers: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<str>,
        V: AsRef<[u8]>,
    {
        headers.into_iter().fold(self, |scope, (name, value)| {
            let known =
                ANSWER_HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name.as_ref()));
            if known { scope.header(name.as_ref(), value) } else { scope }
        })
    }

    /// Adds anything else that answers depend on. The order of calls matters among parts of one
    /// name only.
    pub fn part(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        insert(&mut self.parts, name.to_owned(), bytes.as_ref());
        self.changed()
    }

    /// Keys the hash (BLAKE3's keyed mode): whoever reads the store but does not know the secret
    /// cannot find out whether a guessed prompt is in it. All instances that share a store need the
    /// same one; with another one they see none of each other's entries.
    pub fn secret(mut self, secret: [u8; 32]) -> Self {
        self.secret = Some(secret);
        self.changed()
    }

    /// Which requests count as equal, where the default is not what is wanted.
    pub fn options(mut self, options: KeyOptions) -> Self {
        self.options = options;
        self
    }

    /// With another digest than before.
    fn changed(mut self) -> Self {
        self.digest.take();
        self
    }

    /// The tenant.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The key of a request as it stands: bodies of one kind have the same if they are equal byte for byte,
    /// in equal scopes with equal options, and never that of [`Request::key`](crate::Request::key).
    ///
    /// Nothing is parsed, so it costs a fraction of that one; but two ways to write one request have two.
    /// It serves to remember what was made of a request, not to store answers under.
    ///
    /// ```
    /// use cache_key::{EndpointKind, KeyScope, Request, Tenant};
    ///
    /// let scope = KeyScope::new(Tenant::named("acme"));
    /// let kind = EndpointKind::ChatCompletions;
    /// let (body, spaced) = (br#"{"model":"m","messages":[]}"#, br#"{"model":"m", "messages":[]}"#);
    /// let key = |body| Request::parse(kind, body).map(|request| request.key(&scope));
    /// assert_eq!(key(body)?, key(spaced)?);
    /// assert_ne!(scope.literal_key(kind, body), scope.literal_key(kind, spaced));
    /// # Ok::<(), cache_key::NotCanonical>(())
    /// ```
    #[must_use]
    pub fn literal_key(&self, kind: EndpointKind, body: &[u8]) -> CacheKey {
        PREIMAGE.with_borrow_mut(|preimage| {
            preimage.clear();
            preimage.put(&[LITERAL]);
            self.write_head(kind, preimage);
            preimage.put_varint(body.len() as u64); // tells the body from the padding
            let length = preimage.len() + body.len();
            if length > PADDED {
                let mut hasher = blake3::Hasher::new_keyed(self.digest());
                return CacheKey::from_digest(
                    *hasher.update(preimage).update(body).finalize().as_bytes(),
                );
            }
            preimage.extend_from_slice(body);
            if length > blake3::CHUNK_LEN {
                preimage.resize(length.next_power_of_two(), 0);
            }
            CacheKey::from_digest(*blake3::keyed_hash(self.digest(), preimage).as_bytes())
        })
    }

    pub(crate) fn key_options(&self) -> &KeyOptions {
        &self.options
    }

    /// The digest of everything that stands beside the endpoint kind, the options and the body, in
    /// keyed mode if there is a secret. It is the key in which requests are hashed.
    pub(crate) fn digest(&self) -> &[u8; 32] {
        self.digest.get_or_init(|| {
            let mut sink = HashSink::new(self.secret.as_ref());
            self.write_preimage(&mut sink);
            sink.finish()
        })
    }

    /// Each piece says where it ends, so no two scopes give the same bytes.
    fn write_preimage(&self, out: &mut impl Sink) {
        out.put(MAGIC);
        out.put_varint(u64::from(FORMAT_VERSION));
        out.put_frame(self.namespace.as_bytes());
        self.tenant.write(out);
        out.put_frame(self.provider.as_bytes());
        out.put_frame(self.base_url.as_bytes());
        for list in [&self.headers, &self.parts] {
            out.put_varint(list.len() as u64);
            for (name, value) in list {
                out.put_frame(name.as_bytes());
                out.put_frame(value);
            }
        }
    }

    /// Writes what stands before the canonical body: the options, as far as they make a difference
    /// for `kind`, and the kind. They begin otherwise, so no two give the same bytes.
    #[inline]
    pub(crate) fn write_head(&self, kind: EndpointKind, out: &mut impl Sink) {
        let (off, left_out) = (self.options.off(kind), self.options.left_out(kind));
        if off != 0 || !left_out.is_empty() {
            out.put(&[WITH_OPTIONS, off]);
            out.put_varint(left_out.len() as u64);
            for (_, name) in left_out {
                out.put_frame(name.as_bytes());
            }
        }
        out.put(&[kind.code()]);
    }
}

/// Inserts behind everything whose name is not greater.
fn insert(list: &mut Vec<(String, Vec<u8>)>, name: String, value: &[u8]) {
    let at = list.partition_point(|(other, _)| *other <= name);
    list.insert(at, (name, value.to_vec()));
}

/// Shows the names of headers and parts, not their values, and that there is a secret, not which.
impl fmt::Debug for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |list: &[(String, Vec<u8>)]| -> Vec<String> {
            list.iter().map(|(name, _)| name.clone()).collect()
        };
        f.debug_struct("KeyScope")
            .field("namespace", &self.namespace)
            .field("tenant", &self.tenant)
            .field("provider", &self.provider)
            .field("headers", &names(&self.headers))
            .field("parts", &names(&self.parts))
            .field("secret", &self.secret.map(|_| ".."))
            .field("options", &self.options)
            .finish()
    }
}
