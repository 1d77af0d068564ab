//! Plain answers: read whole, judged, stored, and shared through the cache's own single flight.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cache_dual::flight::{Heard, Role, Seat};
use cache_dual::{FetchError, Fetched, Source};
use parking_lot::Mutex;

use crate::cache::{Inner, Served, insert_options};
use crate::collect::{Collected, collect};
use crate::dialect::carries_all;
use crate::not_stored::NotStored;
use crate::origin::{Origin, OriginAnswer};
use crate::plan::{Plan, flight};
use crate::reply::{AnswerError, Body, Passed, Reply, Storage};
use crate::response::{StreamOptions, Transport};
use crate::stored;
use crate::streamed::Announced;

/// What a call to the origin brought.
pub(crate) struct Fetch<H, E> {
    /// For the caller who made the call.
    pub(crate) own: Result<Passed<H>, AnswerError<E>>,
    /// The entry, for the cache and for all who waited.
    pub(crate) shared: Result<Bytes, Unstored<H, E>>,
}

/// What those who waited get where there is nothing to store.
pub(crate) enum Unstored<H, E> {
    /// There is no answer.
    Failed(AnswerError<E>),
    /// A whole answer that is not to be kept.
    Answer { status: u16, head: H, body: Bytes, reason: NotStored },
    /// Nothing: only the caller who made the call can have the answer.
    Unshared(NotStored),
}

impl<H, E> Inner<H, E>
where
    H: Clone + Send + Sync + 'static,
    E: Error + Send + Sync + 'static,
{
    pub(crate) async fn plain<O>(&self, plan: &Plan, origin: O) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        // If this caller leads, its origin is taken and its own part of the fetch left in `own`.
        let (origin, own) = (Mutex::new(Some(origin)), Mutex::new(None));
        let begun = Mutex::new(None);
        let fetched = self
            .dual
            .query(plan.key())
            .tags(plan.tags())
            .get_or_fetch(|| async {
                if let Some(entry) = self.entry_of_stream(plan).await {
                    let options = insert_options(plan, entry.len());
                    return Ok(Fetched::new(entry).options(options));
                }
                *begun.lock() = Some(Instant::now());
                let origin = origin.lock().take().expect("a fetch is started at most once");
                let fetch = self.fetch(plan, origin).await;
                *own.lock() = Some(fetch.own);
                fetch.shared.map(|body| {
                    let options = insert_options(plan, body.len());
                    Fetched::new(body).options(options)
                })
            })
            .await;
        if let Some(own) = own.into_inner() {
            // A failure gives way to a stale answer, if there is one.
            if is_failure(&own)
                && let Ok(outcome) = &fetched
                && let Some(hit) = self.hit(plan, outcome)
            {
                return Ok(hit);
            }
            return own.map(Reply::Passed);
        }
        let Some(origin) = origin.into_inner() else {
            // It is gone without an answer: it took too long. A stale answer may be left.
            return match fetched {
                Ok(outcome) => self.hit(plan, &outcome).ok_or_else(|| AnswerError::TimedOut {
                    limit: begun.into_inner().map_or(Duration::ZERO, |begun| begun.elapsed()),
                }),
                Err(FetchError::TimedOut { limit }) => Err(AnswerError::TimedOut { limit }),
                Err(FetchError::Shed) => Err(AnswerError::Shed),
                Err(_) => Err(AnswerError::Panicked),
            };
        };
        match fetched {
            Ok(mut outcome) => {
                if outcome.source == Source::Origin {
                    outcome.source = Source::Collapsed; // of another caller's stream
                }
                match self.hit(plan, &outcome) {
                    Some(hit) => Ok(hit),
                    None => self.replace(plan, origin).await,
                }
            }
            Err(FetchError::Origin(unstored)) => self.share(plan, &unstored, origin).await,
            Err(FetchError::TimedOut { limit }) => Err(AnswerError::TimedOut { limit }),
            Err(FetchError::Shed) => Err(AnswerError::Shed),
            Err(_) => Err(AnswerError::Panicked),
        }
    }

    /// The entry that a stream of the same question, which is under way, leaves: if a plain answer
    /// can be made of it. Waits for its end, and keeps it going until then.
    async fn entry_of_stream(&self, plan: &Plan) -> Option<Bytes> {
        if self.flights.is_empty() {
            return None;
        }
        let usage = StreamOptions { include_usage: true, ..StreamOptions::default() };
        let options = [StreamOptions::default(), usage]
            .into_iter()
            .find(|options| carries_all(plan.kind(), *options))?;
        let flight = self.dual.flight_key(&flight(plan.key(), Transport::Stream, options));
        let follower = match self.flights.join(flight) {
            Role::Follower(follower) => follower,
            Role::Leader(_) => return None, // leaves the seat to whoever has sat down beside us
        };
        let Heard::News(announced) = follower.news().await else { return None };
        let Announced::Answer { live, storage: Storage::Recording(recorded), .. } = &*announced
        else {
            return None;
        };
        let mut reader = live.join()?;
        while let Some(chunk) = reader.next().await {
            chunk.ok()?;
        }
        recorded.clone().outcome().await.ok()?;
        let entry = self.fresh(plan)?.value;
        self.dual.count_collapsed();
        self.view(plan, &entry).is_ok().then_some(entry)
    }

    /// A call whose answer takes the place of an entry that does not serve this request. One for all
    /// who find it so.
    async fn replace<O>(&self, plan: &Plan, origin: O) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        let flight = self.dual.flight_key(&plan.flight());
        loop {
            let follower = match self.flights.join(flight) {
                Role::Follower(follower) => follower,
                Role::Leader(seat) => {
                    // The flight before ours may have landed since our lookup.
                    if let Some(outcome) = self.fresh(plan)
                        && let Some(hit) = self.hit(plan, &outcome)
                    {
                        return Ok(hit);
                    }
                    return self.lead_plain(plan, seat, origin).await;
                }
            };
            let announced = match follower.news().await {
                Heard::News(announced) => announced,
                Heard::Panicked => return Err(AnswerError::Panicked),
                Heard::Gone => continue, // somebody else leads now, maybe this caller
            };
            let Announced::Plain(shared) = &*announced else {
                unreachable!("flights of streams have their own keys")
            };
            self.dual.count_collapsed();
            let served = Served {
                source: Source::Collapsed,
                age: Duration::ZERO,
                remaining: plan.ttl(),
                stale: false,
            };
            return match shared {
                Ok(entry) => match self.serve(plan, entry, served) {
                    Some(hit) => Ok(hit),
                    None => self.pass(origin, NotStored::Unexpected).await,
                },
                Err(unstored) => self.share(plan, unstored, origin).await,
            };
        }
    }

    /// What a call that brought nothing to store means for those who waited for it.
    async fn share<O>(
        &self,
        plan: &Plan,
        unstored: &Unstored<H, E>,
        origin: O,
    ) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        match unstored {
            Unstored::Failed(error) => Err(error.clone()),
            Unstored::Answer { reason, .. } if !plan.shares_failures() => {
                self.pass(origin, reason.clone()).await
            }
            Unstored::Answer { status, head, body, reason } => Ok(Reply::Passed(Passed {
                status: *status,
                head: head.clone(),
                body: Body::Whole(body.clone()),
                storage: Storage::NotStored(reason.clone()),
                collapsed: true,
            })),
            Unstored::Unshared(reason) => self.pass(origin, reason.clone()).await,
        }
    }

    /// A call of its own whose answer takes the place of what is stored.
    pub(crate) async fn refresh_plain<O>(
        &self,
        plan: &Plan,
        origin: O,
    ) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        self.lead_plain(plan, Seat::alone(), origin).await
    }

    /// Calls the origin, tells the followers of `seat`, and puts the answer in the place of what is
    /// stored.
    async fn lead_plain<O>(
        &self,
        plan: &Plan,
        seat: Seat<Announced<H, E>>,
        origin: O,
    ) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        let ticket = self.ticket(plan).await;
        let count = self.dual.count_fetch();
        let Fetch { own, shared } = self.fetch(plan, origin).await;
        let good = shared.as_ref().ok().cloned();
        seat.announce(Announced::Plain(shared));
        let mut own = own?;
        count.succeeded();
        if let Some(body) = good {
            let options = insert_options(plan, body.len());
            own.storage = self.dual.fulfil(ticket, body, options).await.into();
        }
        drop(seat); // until now it could be joined
        Ok(Reply::Passed(own))
    }

    /// Calls the origin, reads its answer and judges it.
    pub(crate) async fn fetch<O>(&self, plan: &Plan, origin: O) -> Fetch<H, E>
    where
        O: Origin<Head = H, Error = E>,
    {
        let answer = match origin.call().await {
            Ok(answer) => answer,
            Err(error) => return Fetch::failed(AnswerError::Origin(Arc::new(error))),
        };
        let OriginAnswer { status, head, is_event_stream, content_encoded, body } = answer;
        let asked = plan.asked();
        let verdict = self.responses.judge_head(asked, status, is_event_stream, content_encoded);
        let passed =
            |body, storage| Passed { status, head: head.clone(), body, storage, collapsed: false };
        let unshared = |body, reason: NotStored| Fetch {
            own: Ok(passed(Body::Stream(body), Storage::NotStored(reason.clone()))),
            shared: Err(Unstored::Unshared(reason)),
        };
        if let Err(reason) = &verdict
            && (is_event_stream || content_encoded)
        {
            // A stream is not to be held up, and not everyone may understand the encoding.
            return unshared(body, reason.clone());
        }
        let limit = self.responses.largest();
        let body = match collect(body, limit).await {
            Ok(Collected::Whole(body)) => body,
            Ok(Collected::TooLarge(stream)) => {
                return unshared(stream, verdict.err().unwrap_or(NotStored::TooLarge { limit }));
            }
            Err(error) => return Fetch::failed(AnswerError::Body(Arc::from(error))),
        };
        let judged = verdict.and_then(|()| {
            let pieces = std::slice::from_ref(&body);
            let prices = self.ledger.prices();
            let summary = self.responses.examine(asked, plan.model(), pieces, prices)?;
            Ok(stored::plain(&summary, &body))
        });
        match judged {
            // The caller's body is a part of the entry: it is held once.
            Ok((entry, body)) => {
                Fetch { own: Ok(passed(Body::Whole(body), Storage::Stored)), shared: Ok(entry) }
            }
            Err(reason) => {
                let (key, label) = (plan.key().short(), reason.label());
                tracing::debug!(%key, reason = label, "answer not stored");
                let storage = Storage::NotStored(reason.clone());
                Fetch {
                    own: Ok(passed(Body::Whole(body.clone()), storage)),
                    shared: Err(Unstored::Answer { status, head, body, reason }),
                }
            }
        }
    }
}

/// Whether a stale answer is better than this: the provider failed, or has too much to do.
fn is_failure<H, E>(own: &Result<Passed<H>, AnswerError<E>>) -> bool {
    own.as_ref().map_or(true, |passed| is_failing(passed.status))
}

pub(crate) const fn is_failing(status: u16) -> bool {
    status == 429 || status >= 500
}

impl<H, E> Fetch<H, E> {
    fn failed(error: AnswerError<E>) -> Self {
        Self { own: Err(error.clone()), shared: Err(Unstored::Failed(error)) }
    }
}

/// The single flight wants an error; nobody else sees it.
impl<H, E> Error for Unstored<H, E> {}

impl<H, E> fmt::Display for Unstored<H, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the origin gave nothing to store")
    }
}

impl<H, E> fmt::Debug for Unstored<H, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
