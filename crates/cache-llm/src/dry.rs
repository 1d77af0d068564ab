//! The dry run: everything is decided and counted, and every request goes to the provider.
//!
//! In place of an answer, what is stored is the line about it, under a key that no answer has: so it
//! is found again, expires and is invalidated as the answer would be, and no cache that serves, also
//! one that shares the remote tier, takes it for an answer.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::CacheKey;
use cache_dual::{DualCache, Lookup, Ticket};
use futures_util::StreamExt;

use crate::cache::{Inner, insert_options};
use crate::dialect::carries_all;
use crate::live::{Live, Recording};
use crate::not_stored::NotStored;
use crate::origin::{Origin, OriginAnswer};
use crate::plan::Plan;
use crate::reply::{AnswerError, Body, CacheMode, Passed, Reply, Storage};
use crate::report::Decisions;
use crate::response::{ResponsePolicy, Transport};
use crate::savings::Ledger;
use crate::stored::{self, Stored};

/// How long a plain answer is read on that its caller has dropped.
const UNREAD: Duration = Duration::from_secs(60);

/// The key of the line about the answer of `key`. Keys are digests: one with some bits turned over is
/// nobody else's.
pub(crate) fn key(key: &CacheKey) -> CacheKey {
    let mut digest = *key.as_bytes();
    digest[30] ^= 1;
    CacheKey::from_digest(digest)
}

/// The keys of all that `plan` may find in a dry run: of embeddings, the line about the whole request.
pub(crate) fn keys(plan: &Plan) -> Vec<CacheKey> {
    match plan.batch() {
        Some(_) => vec![key(plan.key())],
        None => plan.keys().iter().map(key).collect(),
    }
}

impl<H, E> Inner<H, E>
where
    H: Clone + Send + Sync + 'static,
    E: Error + Send + Sync + 'static,
{
    /// The provider's answer, whatever is known of it, watched on its way through.
    pub(crate) async fn dry<O>(
        &self,
        plan: &Plan,
        mode: CacheMode,
        origin: O,
    ) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        let key = key(plan.key());
        let query = || self.dual.query(&key).tags(plan.tags());
        let ticket = match mode {
            CacheMode::Bypass => None,
            CacheMode::Refresh => Some(query().ticket().await),
            CacheMode::Use => match query().lookup().await {
                Lookup::Miss(ticket) => Some(ticket),
                Lookup::Hit(outcome) => match stored::read(&outcome.value) {
                    Some(known) if would_serve(&known, plan) => {
                        let model = known.about.model().unwrap_or(plan.model());
                        let _ = self.ledger.add(model, &known.about.usage);
                        None
                    }
                    _ => Some(query().ticket().await),
                },
            },
        };
        let is_hit = mode == CacheMode::Use && ticket.is_none();
        self.decisions.answered(is_hit);
        let count = self.dual.count_fetch();
        let answer = origin.call().await.map_err(|error| AnswerError::Origin(Arc::new(error)))?;
        count.succeeded();
        let body = match ticket {
            Some(ticket) => self.watched(plan, ticket, &answer).map_or_else(
                |reason| {
                    self.decisions.not_stored(&reason);
                    None
                },
                Some,
            ),
            None => None,
        };
        let OriginAnswer { status, head, body: stream, .. } = answer;
        let body = match body {
            Some(watcher) => {
                let limit = self.responses.largest();
                // A cache that serves reads a plain answer whole before it hands it out.
                let linger = match plan.transport() {
                    Transport::Plain => UNREAD,
                    Transport::Stream => self.responses.lingers(),
                };
                let end = |recording| watcher.end(recording);
                let (_, reader) = Live::start_lingering(stream, limit, linger, end);
                reader.map(|chunk| chunk.map_err(cache_core::BoxError::from)).boxed()
            }
            None => stream,
        };
        Ok(Reply::Passed(Passed {
            status,
            head,
            body: Body::Stream(body),
            storage: Storage::NotStored(NotStored::DryRun),
            collapsed: false,
        }))
    }

    fn watched(
        &self,
        plan: &Plan,
        ticket: Ticket,
        answer: &OriginAnswer<H>,
    ) -> Result<Watcher, NotStored> {
        let OriginAnswer { status, is_event_stream, content_encoded, .. } = answer;
        self.responses.judge_head(plan.asked(), *status, *is_event_stream, *content_encoded)?;
        Ok(Watcher {
            dual: self.dual.clone(),
            responses: Arc::clone(&self.responses),
            ledger: Arc::clone(&self.ledger),
            decisions: Arc::clone(&self.decisions),
            plan: plan.clone(),
            ticket,
        })
    }
}

/// Whether the answer that `known` is about could have served the request, as far as that can be said
/// without it.
fn would_serve(known: &Stored, plan: &Plan) -> bool {
    let asked = plan.asked();
    match (known.transport, asked.transport) {
        (Transport::Plain, _) => asked.stream.include_obfuscation != Some(true),
        (Transport::Stream, Transport::Plain) => carries_all(asked.kind, known.options),
        (Transport::Stream, Transport::Stream) => {
            known.options.include_usage || !asked.stream.include_usage
        }
    }
}

/// Judges an answer that has passed, and keeps the line about it.
struct Watcher {
    dual: DualCache<Bytes>,
    responses: Arc<ResponsePolicy>,
    ledger: Arc<Ledger>,
    decisions: Arc<Decisions>,
    plan: Plan,
    ticket: Ticket,
}

impl Watcher {
    async fn end(self, recording: Recording) {
        let Self { dual, responses, ledger, decisions, plan, ticket } = self;
        let asked = plan.asked();
        let judged = match recording {
            Recording::Ended(pieces) | Recording::Abandoned(pieces) => {
                let summary = responses.examine(asked, plan.model(), &pieces, ledger.prices());
                summary.map(|s| (stored::line(asked.transport, asked.stream, &s), pieces))
            }
            Recording::TooLarge => Err(NotStored::TooLarge { limit: responses.largest() }),
            Recording::Broken => Err(NotStored::Broken),
        };
        match judged {
            Ok((line, pieces)) => {
                // It weighs what the answer would.
                let weight = line.len() + pieces.iter().map(Bytes::len).sum::<usize>();
                let options = insert_options(&plan, weight);
                let storage = dual.fulfil(ticket, line.into(), options).await.into();
                if let Storage::NotStored(reason) = storage {
                    decisions.not_stored(&reason);
                }
            }
            Err(reason) => decisions.not_stored(&reason),
        }
    }
}
