//! [`Flights`]: which calls to the origin are under way, for those who would make the same.

use std::fmt;
use std::sync::Arc;

use cache_core::{BuildKeyHasher, CacheKey};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Place;
use tokio::sync::watch;

/// What the leader has said so far.
#[derive(Clone)]
enum News<T> {
    Waiting,
    Announced(T),
    Panicked,
}

type Board<T> = watch::Sender<News<T>>;

/// The flights under way. Clones share them.
///
/// Unlike the flights inside the two-tier cache, these go on after their leader has announced what
/// it got: a stream can be joined while it lasts.
pub(crate) struct Flights<T>(Arc<DashMap<CacheKey, Arc<Board<T>>, BuildKeyHasher>>);

/// What a caller is in a flight.
pub(crate) enum Role<T> {
    Leader(Seat<T>),
    Follower(Follower<T>),
}

impl<T> Flights<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(DashMap::with_hasher(BuildKeyHasher)))
    }

    /// Joins the flight of `key`, or starts it.
    pub(crate) fn join(&self, key: CacheKey) -> Role<T> {
        match self.0.entry(key) {
            Place::Occupied(place) => Role::Follower(Follower(place.get().subscribe())),
            Place::Vacant(place) => {
                let board = Arc::new(watch::Sender::new(News::Waiting));
                place.insert(Arc::clone(&board));
                Role::Leader(Seat { flights: self.clone(), key, board })
            }
        }
    }

    /// Lets nobody join the flight of `key` any more; those who did still get its news.
    pub(crate) fn detach(&self, key: &CacheKey) {
        self.0.remove(key);
    }

    /// As [`Flights::detach`], unless another flight has taken the place.
    pub(crate) fn detach_from(&self, key: &CacheKey, follower: &Follower<T>) {
        self.0.remove_if(key, |_, board| board.subscribe().same_channel(&follower.0));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Clone for Flights<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Flights<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flights({})", self.len())
    }
}

/// Keeps the flight of one key in its place. Dropped before it announced anything, it hands over:
/// the followers wake, and the first to join again leads.
pub(crate) struct Seat<T> {
    flights: Flights<T>,
    key: CacheKey,
    board: Arc<Board<T>>,
}

impl<T> Seat<T> {
    /// A seat in a flight that nobody can join.
    pub(crate) fn alone() -> Self {
        let board = Arc::new(watch::Sender::new(News::Waiting));
        Self { flights: Flights::new(), key: CacheKey::from_digest([0; 32]), board }
    }

    /// A way to tell the followers once the seat has been handed on.
    pub(crate) fn announcer(&self) -> impl FnOnce(T) + use<T> {
        let board = Arc::clone(&self.board);
        move |news| {
            board.send_replace(News::Announced(news));
        }
    }
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        // A panic would strike each follower in turn if they took over: it fails them all at once.
        if std::thread::panicking() && matches!(*self.board.borrow(), News::Waiting) {
            self.board.send_replace(News::Panicked);
        }
        // The place may have been detached and taken by another flight.
        self.flights.0.remove_if(&self.key, |_, board| Arc::ptr_eq(board, &self.board));
    }
}

/// Waits for the news of a flight. Cancel safe.
pub(crate) struct Follower<T>(watch::Receiver<News<T>>);

/// What a follower learns.
pub(crate) enum Heard<T> {
    News(T),
    /// The leader went away and said nothing.
    Gone,
    /// The leader panicked.
    Panicked,
}

impl<T: Clone> Follower<T> {
    pub(crate) async fn news(&mut self) -> Heard<T> {
        // An error says that the last sender is gone, i.e. that the leader was dropped.
        match self.0.wait_for(|news| !matches!(news, News::Waiting)).await.as_deref() {
            Ok(News::Announced(news)) => Heard::News(news.clone()),
            Ok(News::Panicked) => Heard::Panicked,
            Ok(News::Waiting) | Err(_) => Heard::Gone,
        }
    }
}
