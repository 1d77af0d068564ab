//! Streams: passed on while they come, to all who want them, recorded and judged at the end.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use cache_core::BoxError;
use cache_dual::flight::{Heard, Role, Seat};
use cache_dual::{DualCache, Fulfilled, Lookup, Ticket};
use futures_util::StreamExt;
use tokio::sync::watch;

use crate::cache::{Inner, insert_options};
use crate::live::{Live, Reader, Recording};
use crate::not_stored::NotStored;
use crate::origin::{Origin, OriginAnswer};
use crate::plain::{Unstored, is_failing};
use crate::plan::Plan;
use crate::reply::{AnswerError, Body, Passed, Recorded, Reply, Storage};
use crate::report::Decisions;
use crate::response::ResponsePolicy;
use crate::savings::Ledger;
use crate::stored;

/// What the leader of a flight tells its followers.
pub(crate) enum Announced<H, E> {
    /// An answer is arriving.
    Answer { status: u16, head: H, live: Live, storage: Storage },
    /// The call failed.
    Failed(Arc<E>),
    /// An answer that only the one who called for it can have.
    Unshared(NotStored),
    /// A plain answer, whole, as all who waited get it.
    Plain(Result<Bytes, Unstored<H, E>>),
}

impl<H, E> Inner<H, E>
where
    H: Clone + Send + Sync + 'static,
    E: Error + Send + Sync + 'static,
{
    pub(crate) async fn streamed<O>(
        &self,
        plan: &Plan,
        origin: O,
    ) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        let reply = self.fresh_stream(plan, origin).await;
        let failed = match &reply {
            Err(_) => true,
            Ok(Reply::Passed(passed)) => is_failing(passed.status),
            Ok(Reply::Hit(_)) => false,
        };
        // A failure gives way to a stale answer, if there is one.
        if failed
            && let Some(outcome) = self.dual.peek(plan.key())
            && let Some(hit) = self.hit(plan, &outcome)
        {
            return Ok(hit);
        }
        reply
    }

    async fn fresh_stream<O>(&self, plan: &Plan, origin: O) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        // Before the lookup: what is invalidated from here on may be joined, being no older than it.
        let flight = self.dual.flight_key(&plan.flight());
        let ticket = match self.dual.query(plan.key()).tags(plan.tags()).lookup().await {
            Lookup::Hit(outcome) => match self.hit(plan, &outcome) {
                Some(hit) => return Ok(hit),
                None => None,
            },
            Lookup::Miss(ticket) => Some(ticket),
        };
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
                    // What is stored, if anything, does not serve us: its place is to be taken.
                    let ticket = match ticket {
                        Some(ticket) => ticket,
                        None => self.ticket(plan).await,
                    };
                    return self.lead(plan, seat, ticket, origin).await;
                }
            };
            let announced = match follower.news().await {
                Heard::News(announced) => announced,
                Heard::Panicked => return Err(AnswerError::Panicked),
                Heard::Gone => continue, // somebody else leads now, maybe this caller
            };
            match &*announced {
                Announced::Failed(error) => return Err(AnswerError::Origin(Arc::clone(error))),
                Announced::Unshared(reason) => return self.pass(origin, reason.clone()).await,
                Announced::Plain(_) => unreachable!("flights of plain answers have their own keys"),
                Announced::Answer { storage: Storage::NotStored(reason), .. }
                    if !plan.shares_failures() =>
                {
                    return self.pass(origin, reason.clone()).await;
                }
                Announced::Answer { status, head, live, storage } => {
                    let Some(reader) = live.join() else {
                        // Its start is gone: it is nothing for us, nor for those after us.
                        self.flights.detach_from(&flight, &follower);
                        continue;
                    };
                    self.dual.count_collapsed();
                    return Ok(Reply::Passed(Passed {
                        status: *status,
                        head: head.clone(),
                        body: shared(reader),
                        storage: storage.clone(),
                        collapsed: true,
                    }));
                }
            }
        }
    }

    /// A call of its own whose answer takes the place of what is stored.
    pub(crate) async fn refresh_streamed<O>(
        &self,
        plan: &Plan,
        origin: O,
    ) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        let ticket = self.ticket(plan).await;
        self.lead(plan, Seat::alone(), ticket, origin).await
    }

    /// Calls the origin, and shares what it answers with the followers of `seat`.
    async fn lead<O>(
        &self,
        plan: &Plan,
        seat: Seat<Announced<H, E>>,
        ticket: Ticket,
        origin: O,
    ) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        let announce = seat.announcer();
        let count = self.dual.count_fetch();
        let OriginAnswer { status, head, is_event_stream, content_encoded, body } =
            match origin.call().await {
                Ok(answer) => answer,
                Err(error) => {
                    let error = Arc::new(error);
                    announce(Announced::Failed(Arc::clone(&error)));
                    return Err(AnswerError::Origin(error));
                }
            };
        count.succeeded();
        let asked = plan.asked();
        let verdict = self.responses.judge_head(asked, status, is_event_stream, content_encoded);
        if let Err(reason) = &verdict
            && content_encoded
        {
            // Not everyone may understand the encoding.
            announce(Announced::Unshared(reason.clone()));
            let (body, storage) = (Body::Stream(body), Storage::NotStored(reason.clone()));
            return Ok(Reply::Passed(Passed { status, head, body, storage, collapsed: false }));
        }
        let limit = self.responses.largest();
        let (live, reader, storage) = match verdict {
            Ok(()) => {
                let (tell, told) = watch::channel(None);
                let recorder = Recorder {
                    dual: self.dual.clone(),
                    responses: Arc::clone(&self.responses),
                    ledger: Arc::clone(&self.ledger),
                    decisions: Arc::clone(&self.decisions),
                    plan: plan.clone(),
                    ticket,
                    tell,
                };
                let linger = self.responses.lingers();
                let (live, reader) =
                    Live::start_lingering(body, limit, linger, |recording| async {
                        recorder.end(recording).await;
                        drop(seat); // until now the stream could be joined
                    });
                (live, reader, Storage::Recording(Recorded(told)))
            }
            // For those who wait already; who comes later makes a call of their own.
            Err(reason) => {
                drop(seat);
                let (live, reader) = Live::start(body, limit, |_| async {});
                (live, reader, Storage::NotStored(reason))
            }
        };
        announce(Announced::Answer { status, head: head.clone(), live, storage: storage.clone() });
        let body = shared(reader);
        Ok(Reply::Passed(Passed { status, head, body, storage, collapsed: false }))
    }
}

fn shared(reader: Reader) -> Body {
    Body::Stream(reader.map(|chunk| chunk.map_err(BoxError::from)).boxed())
}

/// Judges a recording and stores it.
struct Recorder {
    dual: DualCache<Bytes>,
    responses: Arc<ResponsePolicy>,
    ledger: Arc<Ledger>,
    decisions: Arc<Decisions>,
    plan: Plan,
    ticket: Ticket,
    tell: watch::Sender<Option<Result<(), NotStored>>>,
}

impl Recorder {
    async fn end(self, recording: Recording) {
        let Self { dual, responses, ledger, decisions, plan, ticket, tell } = self;
        let judged = match recording {
            // An answer that its only reader left after the terminal event is as good as any.
            Recording::Ended(pieces) | Recording::Abandoned(pieces) => {
                let (asked, prices) = (plan.asked(), ledger.prices());
                let summary = responses.examine(asked, plan.model(), &pieces, prices);
                summary.map(|summary| stored::stream(asked.stream, &summary, &pieces))
            }
            Recording::TooLarge => Err(NotStored::TooLarge { limit: responses.largest() }),
            Recording::Broken => Err(NotStored::Broken),
        };
        let stored = match judged {
            Ok(body) => {
                let options = insert_options(&plan, body.len());
                let storage = dual.fulfil(ticket, body, options).await.into();
                if let Storage::NotStored(reason) = storage { Err(reason) } else { Ok(()) }
            }
            Err(reason) => Err(reason),
        };
        if let Err(reason) = &stored {
            decisions.not_stored(reason);
            let (key, reason) = (plan.key().short(), reason.label());
            tracing::debug!(%key, reason, "stream not stored");
        }
        tell.send_replace(Some(stored));
    }
}

impl From<Fulfilled> for Storage {
    fn from(fulfilled: Fulfilled) -> Self {
        match fulfilled {
            Fulfilled::Stored => Self::Stored,
            Fulfilled::Fenced => Self::NotStored(NotStored::Fenced),
            Fulfilled::TooHeavy => Self::NotStored(NotStored::TooHeavy),
            Fulfilled::Expired => Self::NotStored(NotStored::Expired),
        }
    }
}
