//! Single flight: one fetch a key, its outcome shared by all who wait.

use std::any::Any;
use std::sync::Arc;

use cache_core::{BuildKeyHasher, CacheKey};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Place;
use tokio::sync::watch;

use crate::outcome::Outcome;

/// How a flight ended, if its leader saw it to its end.
#[derive(Debug)]
pub(crate) enum Landing<V> {
    Value(Outcome<V>),
    /// The leader's error, an `Arc<E>` of the leader's own `E`.
    Failed(Arc<dyn Any + Send + Sync>),
    Panicked,
}

type Board<V> = watch::Sender<Option<Arc<Landing<V>>>>;

/// The flights under way.
#[derive(Debug)]
pub(crate) struct Flights<V>(DashMap<CacheKey, Arc<Board<V>>, BuildKeyHasher>);

/// What a caller is in a flight.
pub(crate) enum Role<'a, V> {
    Leader(Leader<'a, V>),
    Follower(Follower<V>),
}

impl<V> Flights<V> {
    pub(crate) fn new() -> Self {
        Self(DashMap::with_hasher(BuildKeyHasher))
    }

    /// Joins the flight of `key`, or starts it.
    pub(crate) fn join(&self, key: CacheKey) -> Role<'_, V> {
        match self.0.entry(key) {
            Place::Occupied(place) => Role::Follower(Follower(place.get().subscribe())),
            Place::Vacant(place) => {
                let board = Arc::new(watch::Sender::new(None));
                place.insert(Arc::clone(&board));
                Role::Leader(Leader { flights: self, key, board })
            }
        }
    }

    /// Lets no one join the flight of `key` any more: whoever asks after an invalidation must not
    /// get what was fetched before it. Those who joined already still do.
    pub(crate) fn detach(&self, key: &CacheKey) {
        self.0.remove(key);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Holds the flight of one key. Dropped without landing, it hands over: the followers wake, and
/// the first to join again leads.
#[derive(Debug)]
pub(crate) struct Leader<'a, V> {
    flights: &'a Flights<V>,
    key: CacheKey,
    board: Arc<Board<V>>,
}

impl<V> Leader<'_, V> {
    /// Ends the flight. New callers start their own from here on, so the value must be in memory
    /// before.
    pub(crate) fn land(self, landing: Landing<V>) {
        self.board.send_replace(Some(Arc::new(landing)));
    }
}

impl<V> Drop for Leader<'_, V> {
    fn drop(&mut self) {
        // A panic would strike each follower in turn if they took over: it fails them all at once.
        if std::thread::panicking() && self.board.borrow().is_none() {
            self.board.send_replace(Some(Arc::new(Landing::Panicked)));
        }
        // The place may have been detached and taken by another flight.
        self.flights.0.remove_if(&self.key, |_, board| Arc::ptr_eq(board, &self.board));
    }
}

/// Waits for a flight. Cancel safe.
#[derive(Debug)]
pub(crate) struct Follower<V>(watch::Receiver<Option<Arc<Landing<V>>>>);

impl<V> Follower<V> {
    /// How the flight ended; `None` if its leader went away.
    pub(crate) async fn landed(mut self) -> Option<Arc<Landing<V>>> {
        // An error says that the last sender is gone, i.e. that the leader was dropped.
        let landed = self.0.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}
