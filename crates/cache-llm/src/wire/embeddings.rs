//! Embedding answers.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::value::Vector;
use crate::not_stored::NotStored;
use crate::response::Asked;

#[derive(Debug, Deserialize)]
struct List {
    error: Option<IgnoredAny>,
    data: Option<Vec<Item>>,
}

#[derive(Debug, Deserialize)]
struct Item {
    index: Option<u64>,
    #[allow(dead_code, reason = "read to see that it is there")]
    embedding: Vector,
}

/// Whether `body` holds one embedding for each input.
pub(crate) fn embeddings(body: &[u8], asked: &Asked) -> Result<(), NotStored> {
    let List { error, data } = super::parse(body)?;
    if error.is_some() {
        return Err(NotStored::ErrorObject);
    }
    let data = data.filter(|data| !data.is_empty()).ok_or(NotStored::Unexpected)?;
    let got = data.len() as u64;
    if let Some(asked) = asked.results
        && asked != got
    {
        return Err(NotStored::Results { asked, got });
    }
    // Each index once; where a provider leaves them out, the order is all there is.
    let mut seen = vec![false; data.len()];
    for (position, item) in (0..).zip(&data) {
        let index = usize::try_from(item.index.unwrap_or(position)).unwrap_or(usize::MAX);
        match seen.get_mut(index) {
            Some(seen @ false) => *seen = true,
            _ => return Err(NotStored::Unexpected),
        }
    }
    Ok(())
}
