//! What goes over the channel, byte by byte: `docs/bus-format.md`.

use std::fmt;
use std::time::Duration;

use cache_core::{CacheKey, Invalidation, Tag};

/// The first bytes of every message, which begin no UTF-8 text.
const MAGIC: [u8; 4] = [0xCE, 0x4C, 0x4C, 0x42];
/// The version of everything below, and of the channel's name.
pub(super) const VERSION: u8 = 1;
/// Bytes before the subject.
const HEADER: usize = 48;

/// The longest interval that a message has room for: 49 days.
pub(super) const LONGEST_INTERVAL: Duration = Duration::from_millis(u32::MAX as u64);

const KEY: u8 = 1;
const TAG: u8 = 2;
const ALL: u8 = 3;
const GAP: u8 = 4;
const HEARTBEAT: u8 = 5;
const FAREWELL: u8 = 6;

/// One bus handle, for as long as it exists: random, so that no other is taken for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sender(pub(super) [u8; 16]);

/// The first eight hex digits: enough to tell instances apart in a log.
impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) sender: Sender,
    /// The number of this invalidation, from 1; else the last number that the sender has used.
    pub(super) number: u64,
    /// When it was sent, in microseconds on a clock that only the sender can read.
    pub(super) sent: u64,
    /// How often the sender makes itself heard at least.
    pub(super) interval: Duration,
    /// How long before this was sent the last number before it was used, in whole milliseconds.
    pub(super) idle: Duration,
    pub(super) subject: Subject,
}

/// What it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Invalidation(Invalidation),
    /// The sender is there.
    Heartbeat,
    /// The sender will not be heard again.
    Farewell,
}

/// Why bytes on the channel are no message that this version understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("not a message of this format")]
    Foreign,
    #[error("format version {0}")]
    Version(u8),
    #[error("unknown kind {0}")]
    Kind(u8),
    #[error("truncated or malformed")]
    Malformed,
}

/// Whether this version of the format has words for `message`.
pub(super) fn can_say(message: Invalidation) -> bool {
    said(message).is_some()
}

fn said(message: Invalidation) -> Option<u8> {
    Some(match message {
        Invalidation::Key(_) => KEY,
        Invalidation::Tag(_) => TAG,
        Invalidation::All => ALL,
        Invalidation::Gap => GAP,
        _ => return None,
    })
}

impl Message {
    /// Its bytes. What [`can_say`] does not know goes out as a gap, which is never wrong.
    pub(super) fn encode(&self) -> Vec<u8> {
        let kind = match self.subject {
            Subject::Invalidation(message) => said(message).unwrap_or(GAP),
            Subject::Heartbeat => HEARTBEAT,
            Subject::Farewell => FAREWELL,
        };
        let mut bytes = Vec::with_capacity(HEADER + 32);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, kind, 0, 0]);
        bytes.extend_from_slice(&self.sender.0);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.sent.to_le_bytes());
        bytes.extend_from_slice(&millis(self.interval).to_le_bytes());
        bytes.extend_from_slice(&millis(self.idle).to_le_bytes());
        match self.subject {
            Subject::Invalidation(Invalidation::Key(key)) => bytes.extend(key.as_bytes()),
            Subject::Invalidation(Invalidation::Tag(tag)) => bytes.extend(tag.0),
            _ => {}
        }
        bytes
    }

    /// Reads what [`Message::encode`] wrote, and nothing else.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(Unreadable::Foreign)?;
        let (&[version, kind, zero, null], rest) =
            rest.split_first_chunk().ok_or(Unreadable::Malformed)?;
        if version != VERSION {
            return Err(Unreadable::Version(version));
        }
        let (sender, rest) = rest.split_first_chunk().ok_or(Unreadable::Malformed)?;
        let (number, rest) = rest.split_first_chunk().ok_or(Unreadable::Malformed)?;
        let (sent, rest) = rest.split_first_chunk().ok_or(Unreadable::Malformed)?;
        let (interval, rest) = rest.split_first_chunk().ok_or(Unreadable::Malformed)?;
        let (idle, subject) = rest.split_first_chunk().ok_or(Unreadable::Malformed)?;
        let number = u64::from_le_bytes(*number);
        let subject = match (kind, subject.len()) {
            (KEY, 32) => {
                let digest = subject.first_chunk().ok_or(Unreadable::Malformed)?;
                Subject::Invalidation(Invalidation::Key(CacheKey::from_digest(*digest)))
            }
            (TAG, 16) => {
                let digest = subject.first_chunk().ok_or(Unreadable::Malformed)?;
                Subject::Invalidation(Invalidation::Tag(Tag(*digest)))
            }
            (ALL, 0) => Subject::Invalidation(Invalidation::All),
            (GAP, 0) => Subject::Invalidation(Invalidation::Gap),
            (HEARTBEAT, 0) => Subject::Heartbeat,
            (FAREWELL, 0) => Subject::Farewell,
            (KEY..=FAREWELL, _) => return Err(Unreadable::Malformed),
            _ => return Err(Unreadable::Kind(kind)),
        };
        let numbered = matches!(subject, Subject::Invalidation(_));
        if (zero, null) != (0, 0) || (numbered && number == 0) {
            return Err(Unreadable::Malformed);
        }
        Ok(Self {
            sender: Sender(*sender),
            number,
            sent: u64::from_le_bytes(*sent),
            interval: Duration::from_millis(u32::from_le_bytes(*interval).into()),
            idle: Duration::from_millis(u32::from_le_bytes(*idle).into()),
            subject,
        })
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A change of these bytes is a new version: the page and its readers hold it against us.
    const PINNED: &str = "ce4c4c42 01 01 0000 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf \
        0807060504030201 1817161514131211 e8030000 40e20100 \
        c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0";

    fn message(subject: Subject) -> Message {
        Message {
            sender: Sender(std::array::from_fn(|n| 0xA0 + u8::try_from(n).unwrap())),
            number: 0x0102_0304_0506_0708,
            sent: 0x1112_1314_1516_1718,
            interval: Duration::from_secs(1),
            idle: Duration::from_millis(123_456),
            subject,
        }
    }

    fn subjects() -> [Subject; 6] {
        [
            Subject::Invalidation(Invalidation::Key(CacheKey::from_digest([0xC0; 32]))),
            Subject::Invalidation(Invalidation::Tag(Tag([0xD0; 16]))),
            Subject::Invalidation(Invalidation::All),
            Subject::Invalidation(Invalidation::Gap),
            Subject::Heartbeat,
            Subject::Farewell,
        ]
    }

    #[test]
    fn the_bytes_are_pinned() {
        let hex = PINNED.replace(' ', "");
        let bytes: Vec<_> = (0..hex.len() / 2)
            .map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap())
            .collect();
        assert_eq!(message(subjects()[0]).encode(), bytes);
        let page = include_str!("../../../../docs/bus-format.md");
        assert!(page.contains(&hex), "docs/bus-format.md shows another example");
    }

    #[test]
    fn what_was_written_is_read() {
        for subject in subjects() {
            let message = message(subject);
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn every_other_length_is_refused() {
        for subject in subjects() {
            let bytes = message(subject).encode();
            for length in 0..bytes.len() {
                assert!(Message::decode(&bytes[..length]).is_err(), "{subject:?} cut to {length}");
            }
            let longer = [bytes, vec![0]].concat();
            assert_eq!(Message::decode(&longer), Err(Unreadable::Malformed));
        }
    }

    #[test]
    fn reasons_are_told_apart() {
        let good = message(Subject::Heartbeat).encode();
        let with = |offset: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[offset] = value;
            Message::decode(&bytes)
        };
        assert_eq!(with(0, b'{'), Err(Unreadable::Foreign));
        assert_eq!(with(4, 2), Err(Unreadable::Version(2)));
        assert_eq!(with(5, 7), Err(Unreadable::Kind(7)));
        assert_eq!(with(6, 1), Err(Unreadable::Malformed));
        let unnumbered = Message { number: 0, ..message(Subject::Invalidation(Invalidation::All)) };
        assert_eq!(Message::decode(&unnumbered.encode()), Err(Unreadable::Malformed));
    }

    proptest! {
        /// Bytes from outside are refused or read, and what is read is written the same again.
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            kind in 0..8_u8,
            is_near in any::<bool>(),
        ) {
            let mut bytes = bytes;
            if is_near && bytes.len() >= 8 {
                bytes[..8].copy_from_slice(&[0xCE, 0x4C, 0x4C, 0x42, 1, kind, 0, 0]);
            }
            if let Ok(message) = Message::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }
    }
}
