//! [`Item`]: what stands in the entry of one embedding.
//!
//! The vector once, as little-endian 32-bit floats, behind all else that the provider said with it:
//!
//! ```text
//! : cache-llm/1 embedding\n
//! length of each of the four texts, 32 bits, little-endian
//! model, answer, item, usage: texts, JSON
//! vector
//! ```
//!
//! `answer` is the provider's answer with null for its `data` and `usage`, `item` its item with null for
//! `index` and `embedding`: members that nobody has heard of keep their places.

use bytes::Bytes;

/// No stream's and no plain answer's entry begins so; see `stored`.
const MARK: &[u8] = b": cache-llm/1 embedding\n";
const LENGTHS: usize = 4 * 4;

/// One embedding, in the bytes of its entry.
#[derive(Clone)]
pub(crate) struct Item {
    entry: Bytes,
    ends: [usize; 4],
}

/// What an entry is made of.
pub(crate) struct Parts<'a> {
    /// The text of the answer's `model`; empty if it had none.
    pub(crate) model: &'a str,
    pub(crate) answer: &'a str,
    pub(crate) item: &'a str,
    /// The text of the item's usage; empty if it is not known.
    pub(crate) usage: &'a str,
    /// 32-bit floats, little-endian.
    pub(crate) vector: &'a [u8],
}

impl Item {
    pub(crate) fn new(parts: &Parts<'_>) -> Option<Self> {
        let texts = [parts.model, parts.answer, parts.item, parts.usage];
        let length = texts.iter().map(|text| text.len()).sum::<usize>() + parts.vector.len();
        let mut entry = Vec::with_capacity(MARK.len() + LENGTHS + length);
        entry.extend_from_slice(MARK);
        for text in texts {
            entry.extend_from_slice(&u32::try_from(text.len()).ok()?.to_le_bytes());
        }
        for text in texts {
            entry.extend_from_slice(text.as_bytes());
        }
        entry.extend_from_slice(parts.vector);
        Self::read(&entry.into())
    }

    /// Reads an entry; `None` if it is not one of ours. Nothing is copied.
    pub(crate) fn read(entry: &Bytes) -> Option<Self> {
        let mut lengths = entry.strip_prefix(MARK)?.get(..LENGTHS)?.chunks_exact(4);
        let (mut ends, mut end) = ([0; 4], MARK.len() + LENGTHS);
        for place in &mut ends {
            let length = u32::from_le_bytes(lengths.next()?.try_into().ok()?);
            end = end.checked_add(usize::try_from(length).ok()?)?;
            *place = end;
        }
        let vector = entry.get(end..)?;
        let texts = std::str::from_utf8(&entry[MARK.len() + LENGTHS..end]).ok()?;
        let begins = |end: &usize| texts.is_char_boundary(end - MARK.len() - LENGTHS);
        (!vector.is_empty() && vector.len() % 4 == 0 && ends.iter().all(begins))
            .then(|| Self { entry: entry.clone(), ends })
    }

    /// The entry that it is in.
    pub(crate) fn entry(&self) -> &Bytes {
        &self.entry
    }

    pub(crate) fn model(&self) -> &str {
        self.text(MARK.len() + LENGTHS, self.ends[0])
    }

    pub(crate) fn answer(&self) -> &str {
        self.text(self.ends[0], self.ends[1])
    }

    pub(crate) fn item(&self) -> &str {
        self.text(self.ends[1], self.ends[2])
    }

    pub(crate) fn usage(&self) -> &str {
        self.text(self.ends[2], self.ends[3])
    }

    pub(crate) fn vector(&self) -> &[u8] {
        &self.entry[self.ends[3]..]
    }

    fn text(&self, from: usize, to: usize) -> &str {
        std::str::from_utf8(&self.entry[from..to]).expect("`read` has looked at it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read() {
        let parts =
            Parts { model: "\"é\"", answer: "{}", item: "", usage: "{\"a\":1}", vector: &[0; 8] };
        let item = Item::read(Item::new(&parts).unwrap().entry()).unwrap();
        assert_eq!((item.model(), item.answer(), item.item()), ("\"é\"", "{}", ""));
        assert_eq!((item.usage(), item.vector()), ("{\"a\":1}", &[0; 8][..]));
        assert!(crate::stored::read(item.entry()).is_none(), "it is no answer by itself");
    }

    /// F64: cut or foreign entries are misses, never a panic.
    #[test]
    fn other_entries_are_not_read() {
        let parts = Parts { model: "é", answer: "{}", item: "{}", usage: "", vector: &[0; 4] };
        let entry = Item::new(&parts).unwrap().entry().clone();
        for cut in 0..entry.len() {
            assert!(Item::read(&entry.slice(..cut)).is_none(), "{cut}");
        }
        for at in 0..MARK.len() + LENGTHS {
            let mut other = entry.to_vec();
            other[at] ^= 1;
            let _read_or_not = Item::read(&other.clone().into());
            other[at] ^= 0xff;
            assert!(Item::read(&other.into()).is_none(), "{at}");
        }
    }
}
