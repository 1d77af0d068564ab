//! [`Batch`]: a request for embeddings, item by item.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use cache_core::{BuildKeyHasher, CacheKey};
use cache_key::{EndpointKind, KeyScope, Request};

use super::options::EmbeddingOptions;
use crate::members::{Members, items, name};

/// What keeps the keys of items apart from those of whole requests, whose entries look otherwise.
const PART: &str = "cache-llm embedding";
const VERSION: &[u8] = b"1";

/// The most bytes that are hashed for the keys of one request, beside its items.
const MOST_REPEATED: usize = 16 << 20;

/// The most items that are kept one by one; providers take about half as many. Each of them takes part in
/// what is said to all who wait, so the work grows with the square of their number.
const MOST_ITEMS: usize = 4096;

/// A request for embeddings whose items can be asked for one by one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The request as it came.
    body: Bytes,
    /// Where `input` stands in it.
    input: Range<usize>,
    /// The items that differ, in the order in which they first come.
    distinct: Vec<Item>,
    /// Which of them stands at each place.
    places: Vec<usize>,
    /// Whether vectors are to be base64 text.
    pub(crate) base64: bool,
}

#[derive(Clone, PartialEq, Eq)]
struct Item {
    key: CacheKey,
    /// Where it first stands in the body.
    text: Range<usize>,
    /// What it counts for where one usage is said of many items: tokens, or bytes of text.
    size: u64,
}

impl Batch {
    /// Takes a request apart; `None` if that cannot be done, or not surely without changing what is
    /// asked.
    pub(crate) fn split(body: &[u8], scope: &KeyScope, options: &EmbeddingOptions) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let members = Members::parse(text)?;
        if !members.iter().all(|(name, value)| {
            name == "input" || options.is_independent(name) && is_scalar(value)
        }) {
            return None;
        }
        let base64 = match members.get("encoding_format") {
            None | Some("null" | "\"float\"") => false,
            Some("\"base64\"") => true,
            Some(other) => match serde_json::from_str::<String>(other).ok()?.as_str() {
                "float" => false, // written with escapes
                "base64" => true,
                _ => return None,
            },
        };
        let input = members.get("input")?;
        let inputs = inputs(input)?;
        if inputs.len() > MOST_ITEMS {
            return None;
        }
        // The request of one item: without what says how vectors travel.
        let (mut request, mut rest) = ("{".to_owned(), String::from("{"));
        let mut is_behind = false;
        for (member, value) in members.iter() {
            match member {
                "input" => {
                    name(&mut request, member);
                    is_behind = true;
                }
                "encoding_format" => {}
                _ => {
                    let side = if is_behind { &mut rest } else { &mut request };
                    name(side, member);
                    side.push_str(value);
                }
            }
        }
        let rest = if rest == "{" { "}".to_owned() } else { format!(",{}}}", &rest[1..]) };
        if (request.len() + rest.len()).saturating_mul(inputs.len()) > MOST_REPEATED {
            return None;
        }
        let scope = scope.clone().part(PART, VERSION);
        let start = request.len();
        let mut known = HashMap::with_capacity_and_hasher(inputs.len(), BuildKeyHasher);
        let (mut distinct, mut places) = (Vec::new(), Vec::with_capacity(inputs.len()));
        for (item, size) in inputs {
            request.truncate(start);
            request.push_str(item);
            request.push_str(&rest);
            let parsed = Request::parse(EndpointKind::Embeddings, request.as_bytes()).ok()?;
            let key = parsed.key(&scope);
            places.push(*known.entry(key).or_insert_with(|| {
                distinct.push(Item { key, text: range(text, item), size });
                distinct.len() - 1
            }));
        }
        let input = range(text, input);
        Some(Self { body: Bytes::copy_from_slice(body), input, distinct, places, base64 })
    }

    /// The keys of the items that differ.
    pub(crate) fn keys(&self) -> impl Iterator<Item = CacheKey> {
        self.distinct.iter().map(|item| item.key)
    }

    /// How many items differ.
    pub(crate) fn len(&self) -> usize {
        self.distinct.len()
    }

    /// Which of them stands at each place.
    pub(crate) fn places(&self) -> &[usize] {
        &self.places
    }

    /// Where each of them first stands.
    pub(crate) fn first_places(&self) -> Vec<usize> {
        let mut first = Vec::with_capacity(self.len());
        for (place, which) in self.places.iter().enumerate() {
            if *which == first.len() {
                first.push(place);
            }
        }
        first
    }

    /// What an item counts for where one usage is said of many.
    pub(crate) fn size(&self, which: usize) -> u64 {
        self.distinct[which].size
    }

    /// Whether these items, in order, are all that is asked for.
    pub(crate) fn is_whole(&self, which: &[usize]) -> bool {
        which.len() == self.places.len()
    }

    /// The request of these items only: as it came, but for its `input`.
    pub(crate) fn request(&self, which: &[usize]) -> Bytes {
        if self.is_whole(which) {
            return self.body.clone();
        }
        let mut request = self.body[..self.input.start].to_vec();
        request.push(b'[');
        for (at, &which) in which.iter().enumerate() {
            if at > 0 {
                request.push(b',');
            }
            request.extend_from_slice(&self.body[self.distinct[which].text.clone()]);
        }
        request.push(b']');
        request.extend_from_slice(&self.body[self.input.end..]);
        request.into()
    }
}

/// The items of `input` with their sizes; `None` if it is neither texts nor lists of tokens.
fn inputs(input: &str) -> Option<Vec<(&str, u64)>> {
    if is_text(input) || tokens(input).is_some() {
        return Some(vec![(input, size(input)?)]);
    }
    let inputs = items(input)?;
    let texts = inputs.iter().filter(|item| is_text(item)).count();
    if inputs.is_empty() || texts != 0 && texts != inputs.len() {
        return None;
    }
    inputs.into_iter().map(|item| Some((item, size(item)?))).collect()
}

fn size(item: &str) -> Option<u64> {
    if is_text(item) { Some((item.len() as u64 - 2).max(1)) } else { tokens(item) }
}

fn is_text(value: &str) -> bool {
    value.starts_with('"')
}

fn is_scalar(value: &str) -> bool {
    !value.starts_with(['{', '['])
}

/// How many numbers an array has; `None` if it is not one of numbers only.
fn tokens(array: &str) -> Option<u64> {
    let inner = array.strip_prefix('[')?.strip_suffix(']')?;
    let is_number =
        |item: &str| item.trim_ascii().starts_with(|c: char| c == '-' || c.is_ascii_digit());
    inner.split(',').all(is_number).then(|| inner.split(',').count() as u64)
}

/// Where `part`, which was borrowed from `whole`, stands in it.
fn range(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

/// Leaves the request out.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("items", &self.places.len())
            .field("distinct", &self.distinct.len())
            .field("base64", &self.base64)
            .finish()
    }
}
