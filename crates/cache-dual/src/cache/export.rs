//! Memory to a file and back, for warm restarts.
//!
//! # Format, version 1
//!
//! Numbers are little-endian, times milliseconds since the Unix epoch. A header of 49 bytes: the magic
//! `CELLMX1\n`, the codec's id (1), the root tag (16) and the stamp that it bore (16), and the CRC-32 of
//! these (4), with 4 reserved zeros before it. Then records: length of what follows but for the
//! checksum (4); key (32); stored at, fresh until, expires at, weight (8 each); number of tags (2), each
//! with its stamp (32); the encoded value; CRC-32 of all of the record before it (4). A length of zero
//! ends the file.

use std::io::{self, Read, Write};

use bytes::Bytes;
use cache_core::{CacheKey, Codec, CodecId, Entry, Inserted, Tag, TagStamp, Timestamp};
use cache_memory::LocalCache;

use crate::cache::DualCache;
use crate::epochs::UNCHECKED;

const MAGIC: [u8; 8] = *b"CELLMX1\n";
const HEADER: usize = 8 + 1 + 16 + 16 + 4 + 4;
/// A record without tags and value.
const FIXED: usize = 32 + 4 * 8 + 2;
/// The longest record that is read: nobody's word makes us allocate more.
const LONGEST: usize = 80 << 20;

/// What an import brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// In memory now.
    pub entries: u64,
    /// Their time was up, they do not decode, they were invalidated, there is no room, or something
    /// newer is there.
    pub skipped: u64,
}

/// Why memory could not be written to a file, or read from one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Reading or writing failed.
    #[error("the file could not be read or written")]
    Io(#[from] io::Error),
    /// It is not an export, or of another version.
    #[error("this is not an export of memory, or one of another version")]
    NotAnExport,
    /// It was written with another codec.
    #[error("the export is of codec {found}")]
    OtherCodec {
        /// Whose id the file has.
        found: u8,
    },
    /// It ends early or a checksum does not match. What came before is imported.
    #[error("the export is damaged after {read} entries")]
    Damaged {
        /// How many entries were whole.
        read: u64,
    },
}

impl<V: Clone + Send + Sync + 'static> DualCache<V, LocalCache<V>> {
    /// Writes what is in memory, for [`import`](Self::import) after a restart; how many entries. What
    /// changes meanwhile is in it or not. It contains answers in clear: keep it as safe as those.
    ///
    /// Blocks on `to`; from async code, call it where blocking is allowed.
    ///
    /// # Errors
    ///
    /// [`ExportError::Io`] if writing failed. Values that do not encode are left out.
    pub fn export(&self, codec: &dyn Codec<V>, to: &mut dyn Write) -> Result<u64, ExportError> {
        let inner = &self.inner;
        let root = inner.stamps.root();
        let stamp = inner.stamps.local(root);
        let mut header = Vec::with_capacity(HEADER);
        header.extend(MAGIC);
        header.push(codec.id().0);
        header.extend(root.0);
        header.extend(stamp);
        header.extend([0; 4]);
        header.extend(crc32fast::hash(&header).to_le_bytes());
        to.write_all(&header)?;
        let (mut count, mut record) = (0, Vec::new());
        for handle in inner.l1.iter() {
            let entry = handle.value();
            let Ok(value) = codec.encode(&entry.value) else { continue };
            record.clear();
            write_record(&mut record, handle.key(), entry, &value);
            if record.len() <= LONGEST {
                to.write_all(&record)?;
                count += 1;
            }
        }
        to.write_all(&[0; 4])?;
        to.flush()?;
        Ok(count)
    }

    /// Brings back into memory what [`export`](Self::export) wrote, with what it has left to live.
    ///
    /// Where there is a remote tier, each entry is confirmed by it before it is first served: it may
    /// have been invalidated meanwhile. While it does not answer, entries without
    /// [tags](crate::Query::tags) are served all the same, and counted as doubtful; those with tags are
    /// misses.
    ///
    /// Import before anything else is asked of the cache: one that was used while the remote tier was out
    /// skips the whole file. Blocks on `from`.
    ///
    /// # Errors
    ///
    /// See [`ExportError`].
    pub fn import(
        &self,
        codec: &dyn Codec<V>,
        from: &mut dyn Read,
    ) -> Result<Imported, ExportError> {
        let inner = &self.inner;
        let mut header = [0; HEADER];
        from.read_exact(&mut header).map_err(|_| ExportError::NotAnExport)?;
        let (head, sum) = header.split_at(HEADER - 4);
        if head[..8] != MAGIC || crc32fast::hash(head) != u32::from_le_bytes(array(sum)) {
            return Err(ExportError::NotAnExport);
        }
        if CodecId(head[8]) != codec.id() {
            return Err(ExportError::OtherCodec { found: head[8] });
        }
        let root = TagStamp { tag: Tag(array(&head[9..])), stamp: array(&head[25..]) };
        let is_current = root.tag == inner.stamps.root() && self.adopt(root);
        let mut imported = Imported::default();
        let mut record = Vec::new();
        loop {
            let read = imported.entries + imported.skipped;
            match read_record(from, &mut record)? {
                Record::End => return Ok(imported),
                Record::Damaged => return Err(ExportError::Damaged { read }),
                Record::Whole => {}
            }
            let Some((key, entry)) = parse(&record) else {
                return Err(ExportError::Damaged { read });
            };
            let is_in = is_current && self.take_in(codec, key, entry);
            imported.entries += u64::from(is_in);
            imported.skipped += u64::from(!is_in);
        }
    }

    fn take_in(&self, codec: &dyn Codec<V>, key: CacheKey, entry: Entry<Bytes>) -> bool {
        let inner = &self.inner;
        let ticket = inner.take_ticket(&key);
        if !inner.caches() || inner.l1.peek(&key).is_some() {
            return false;
        }
        // Without a remote tier the file is all that is known of its tags.
        if inner.l2.is_none() && !entry.tags.as_slice().iter().all(|tag| self.adopt(*tag)) {
            return false;
        }
        let entry = not_from_the_future(entry, inner.clock.now());
        let Ok(entry) = entry.try_map(|bytes| codec.decode(bytes)) else { return false };
        let holds = || {
            inner.caches()
                && inner.fences.holds(&key, ticket.token)
                && inner.stores.holds(&key, ticket.stored)
        };
        let entry = entry.with_epoch(UNCHECKED);
        cache_core::LocalTier::insert_if(&inner.l1, key, entry, holds) == Inserted::Stored
    }

    /// Whether a tag bears this stamp, or is taken to from now on, since nobody knows better.
    fn adopt(&self, borne: TagStamp) -> bool {
        let inner = &self.inner;
        match inner.stamps.known(&borne.tag) {
            Some(known) => known == borne.stamp,
            None if inner.l2.is_some() => true, // it will be asked
            None => inner.stamps.adopt(borne),
        }
    }
}

/// A26: `entry` of a clock that is ahead of ours keeps its life, no more.
fn not_from_the_future(mut entry: Entry<Bytes>, now: Timestamp) -> Entry<Bytes> {
    let life = |until: Timestamp| match until {
        Timestamp::MAX => until, // "never" is no moment
        until => now.saturating_add(until.saturating_since(entry.stored_at)),
    };
    if entry.stored_at > now {
        (entry.fresh_until, entry.expires_at) = (life(entry.fresh_until), life(entry.expires_at));
        entry.stored_at = now;
    }
    entry
}

fn write_record(record: &mut Vec<u8>, key: &CacheKey, entry: &Entry<impl Sized>, value: &[u8]) {
    let tags = entry.tags.as_slice();
    let length = FIXED + 32 * tags.len() + value.len();
    record.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    record.extend(key.as_bytes());
    for time in [entry.stored_at, entry.fresh_until, entry.expires_at] {
        record.extend(time.as_unix_millis().to_le_bytes());
    }
    record.extend(entry.weight.to_le_bytes());
    record.extend(u16::try_from(tags.len()).unwrap_or(u16::MAX).to_le_bytes());
    for TagStamp { tag, stamp } in tags {
        record.extend(tag.0);
        record.extend(stamp);
    }
    record.extend(value);
    record.extend(crc32fast::hash(record).to_le_bytes());
}

enum Record {
    Whole,
    End,
    Damaged,
}

/// Reads the next record without its length and checksum.
fn read_record(from: &mut dyn Read, record: &mut Vec<u8>) -> Result<Record, ExportError> {
    let mut length = [0; 4];
    if !is_whole(from.read_exact(&mut length))? {
        return Ok(Record::Damaged);
    }
    let size = u32::from_le_bytes(length) as usize;
    if size == 0 {
        return Ok(Record::End);
    }
    if !(FIXED..=LONGEST).contains(&size) {
        return Ok(Record::Damaged);
    }
    record.clear();
    record.extend(length);
    // Grows with what is really there.
    from.take(size as u64 + 4).read_to_end(record)?;
    let Some((body, sum)) = record.split_last_chunk::<4>() else { return Ok(Record::Damaged) };
    if body.len() != size + 4 || crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return Ok(Record::Damaged);
    }
    record.truncate(size + 4);
    record.drain(..4);
    Ok(Record::Whole)
}

fn is_whole(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn parse(record: &[u8]) -> Option<(CacheKey, Entry<Bytes>)> {
    let (fixed, rest) = record.split_at_checked(FIXED)?;
    let number = |at: usize| u64::from_le_bytes(array(&fixed[at..]));
    let time = |at| Timestamp::from_unix_millis(number(at));
    let count = usize::from(u16::from_le_bytes(array(&fixed[64..])));
    let (tags, value) = rest.split_at_checked(32 * count)?;
    let tags = tags
        .chunks_exact(32)
        .map(|tag| TagStamp { tag: Tag(array(tag)), stamp: array(&tag[16..]) })
        .collect();
    let (stored_at, fresh_until, expires_at) = (time(32), time(40), time(48));
    let is_sound = stored_at <= fresh_until && fresh_until <= expires_at;
    let entry = Entry {
        value: Bytes::copy_from_slice(value),
        stored_at,
        fresh_until,
        expires_at,
        tags,
        weight: number(56),
        epoch: UNCHECKED,
    };
    is_sound.then(|| (CacheKey::from_digest(array(fixed)), entry))
}

/// The first bytes of a slice that is known to be long enough.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("the caller has checked the length")
}
