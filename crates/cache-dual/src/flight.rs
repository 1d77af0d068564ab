//! Single flight: one call a key, its news shared by all who wait.
//!
//! [`DualCache`](crate::DualCache) stands on it; it is public for those who share calls of another
//! shape, such as streams that can be joined while they last.
//!
//! ```
//! use cache_dual::CacheKey;
//! use cache_dual::flight::{Flights, Heard, Role};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let flights = Flights::new();
//! let key = CacheKey::from_text("k");
//! let Role::Leader(seat) = flights.join(key) else { unreachable!("nobody was there") };
//! let Role::Follower(follower) = flights.join(key) else { unreachable!("somebody is") };
//! seat.announce(42);
//! drop(seat); // whoever joins from here on leads a flight of its own
//! assert!(matches!(follower.news().await, Heard::News(news) if *news == 42));
//! assert!(flights.is_empty());
//! # }
//! ```

use std::fmt;
use std::sync::Arc;

use cache_core::{BuildKeyHasher, CacheKey};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Place;
use tokio::sync::watch;

/// What the leader has said so far.
enum News<T> {
    Waiting,
    Announced(Arc<T>),
    Panicked,
}

type Board<T> = watch::Sender<News<T>>;

/// The flights under way, at most one a key. Clones share them.
pub struct Flights<T>(Arc<DashMap<CacheKey, Arc<Board<T>>, BuildKeyHasher>>);

/// What a caller is in a flight.
#[derive(Debug)]
#[must_use]
pub enum Role<T> {
    /// The one who makes the call.
    Leader(Seat<T>),
    /// One of those who wait for it.
    Follower(Follower<T>),
}

impl<T> Flights<T> {
    /// No flights yet.
    pub fn new() -> Self {
        Self(Arc::new(DashMap::with_hasher(BuildKeyHasher)))
    }

    /// Joins the flight of `key`, or starts it.
    pub fn join(&self, key: CacheKey) -> Role<T> {
        match self.0.entry(key) {
            Place::Occupied(place) => Role::Follower(Follower(place.get().subscribe())),
            Place::Vacant(place) => {
                let board = Arc::new(watch::Sender::new(News::Waiting));
                place.insert(Arc::clone(&board));
                Role::Leader(Seat { flights: self.clone(), key, board })
            }
        }
    }

    /// Lets nobody join the flight of `key` any more: whoever asks after an invalidation must not
    /// get what was fetched before it. Those who joined already still get its news.
    pub fn detach(&self, key: &CacheKey) {
        self.0.remove(key);
    }

    /// As [`detach`](Self::detach), of all flights.
    pub fn detach_all(&self) {
        self.0.clear();
    }

    /// As [`detach`](Self::detach), unless another flight has taken the place of the follower's.
    pub fn detach_from(&self, key: &CacheKey, follower: &Follower<T>) {
        self.0.remove_if(key, |_, board| board.subscribe().same_channel(&follower.0));
    }

    /// How many flights can be joined now.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Keeps the flight of one key in its place: while it lives, others join.
///
/// Dropped before it announced anything, it hands over: the followers wake, and the first to join
/// again leads. Dropped by a panic, it fails them all at once, since the panic would strike each of
/// them in turn if they took over.
pub struct Seat<T> {
    flights: Flights<T>,
    key: CacheKey,
    board: Arc<Board<T>>,
}

impl<T> Seat<T> {
    /// A seat in a flight that nobody can join.
    pub fn alone() -> Self {
        let board = Arc::new(watch::Sender::new(News::Waiting));
        Self { flights: Flights::new(), key: CacheKey::from_digest([0; 32]), board }
    }

    /// Tells all who wait, and all who join while the seat lives.
    pub fn announce(&self, news: T) {
        self.board.send_replace(News::Announced(Arc::new(news)));
    }

    /// A seat among those who wait for this one's news.
    pub fn follower(&self) -> Follower<T> {
        Follower(self.board.subscribe())
    }

    /// A way to announce once the seat itself has been handed on.
    pub fn announcer(&self) -> impl FnOnce(T) + use<T> {
        let board = Arc::clone(&self.board);
        move |news| {
            board.send_replace(News::Announced(Arc::new(news)));
        }
    }
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        if std::thread::panicking() && matches!(*self.board.borrow(), News::Waiting) {
            self.board.send_replace(News::Panicked);
        }
        // The place may have been detached and taken by another flight.
        self.flights.0.remove_if(&self.key, |_, board| Arc::ptr_eq(board, &self.board));
    }
}

/// Waits for the news of a flight.
pub struct Follower<T>(watch::Receiver<News<T>>);

/// What a follower learns.
#[derive(Debug)]
pub enum Heard<T> {
    /// What the leader announced.
    News(Arc<T>),
    /// The leader went away and said nothing.
    Gone,
    /// The leader panicked.
    Panicked,
}

impl<T> Follower<T> {
    /// Waits until the leader announces something or goes away. Cancel safe.
    pub async fn news(&self) -> Heard<T> {
        let mut board = self.0.clone();
        // An error says that the last sender is gone, i.e. that the leader was dropped.
        match board.wait_for(|news| !matches!(news, News::Waiting)).await.as_deref() {
            Ok(News::Announced(news)) => Heard::News(Arc::clone(news)),
            Ok(News::Panicked) => Heard::Panicked,
            Ok(News::Waiting) | Err(_) => Heard::Gone,
        }
    }
}

impl<T> Clone for Flights<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Flights<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flights({})", self.len())
    }
}

impl<T> fmt::Debug for Seat<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat({})", self.key.short())
    }
}

impl<T> fmt::Debug for Follower<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Follower")
    }
}
