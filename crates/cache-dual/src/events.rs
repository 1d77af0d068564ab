//! [`Event`]s: what a cache tells a listener.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cache_core::{CacheKey, Tag};

use crate::outcome::Source;

/// Something that happened to a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A lookup was answered by a tier.
    Hit {
        /// Whose value.
        key: CacheKey,
        /// By which tier.
        source: Source,
    },
    /// A lookup was answered with a value past its fresh time.
    Stale {
        /// Whose value.
        key: CacheKey,
    },
    /// No tier had a fresh value.
    Miss {
        /// Whose.
        key: CacheKey,
    },
    /// A value was stored.
    Set {
        /// Whose.
        key: CacheKey,
    },
    /// A key was removed on demand, here or by another instance.
    Delete {
        /// Which.
        key: CacheKey,
    },
    /// An entry's time was up. Only the default memory tier tells, when it reclaims the entry.
    Expire {
        /// Whose.
        key: CacheKey,
    },
    /// An entry gave way to others. Only the default memory tier tells.
    Evict {
        /// Whose.
        key: CacheKey,
    },
    /// A tag was invalidated, here or by another instance. Its digest is within the namespace.
    Invalidate {
        /// Which.
        tag: Tag,
    },
    /// Everything was invalidated, here or by another instance.
    Clear,
}

/// Called for each event.
pub(crate) type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// The listener, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Events(Option<Listener>);

/// An event of one key, before it is known whether anybody listens.
#[derive(Clone, Copy)]
pub(crate) enum EventKind {
    Hit(Source),
    Stale,
    Miss,
    Set,
    Delete,
}

impl Events {
    pub(crate) fn new(listener: Option<Listener>) -> Self {
        Self(listener)
    }

    pub(crate) fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    #[inline]
    pub(crate) fn emit(&self, kind: EventKind, key: &CacheKey) {
        if self.0.is_some() {
            let key = *key;
            self.tell(&match kind {
                EventKind::Hit(source) => Event::Hit { key, source },
                EventKind::Stale => Event::Stale { key },
                EventKind::Miss => Event::Miss { key },
                EventKind::Set => Event::Set { key },
                EventKind::Delete => Event::Delete { key },
            });
        }
    }

    /// Tells the listener. Its panics are its own: they are logged, and it is called again.
    #[cold]
    pub(crate) fn tell(&self, event: &Event) {
        if let Some(listener) = &self.0
            && catch_unwind(AssertUnwindSafe(|| listener(event))).is_err()
        {
            tracing::error!("a listener of the cache panicked");
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Events").field(&self.0.is_some()).finish()
    }
}
