//! A request for embeddings, answered of its items: known ones from the cache, those on their way from
//! other callers' calls, and the rest with a call for them alone.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::{BuildKeyHasher, CacheKey, Timestamp};
use cache_dual::flight::{Flights, Follower, Heard, Role, Seat};
use cache_dual::{Lookup, Outcome, Source, Ticket};
use futures_util::future::join_all;

use super::answer::{Answer, Piece, compose};
use super::batch::Batch;
use super::item::{Item, Parts};
use super::usage;
use crate::cache::{Inner, insert_options};
use crate::cassette::Cassette;
use crate::not_stored::NotStored;
use crate::origin::Origin;
use crate::plain::{Fetch, Unstored, is_failing};
use crate::plan::Plan;
use crate::reply::{AnswerError, Body, CacheMode, Hit, Passed, Reply, Storage};
use crate::response::{AnswerKind, Transport};
use crate::stored::{self, About};
use crate::usage::Usage;

/// The calls under way, by item.
pub(crate) type Items<H, E> = Flights<Result<Item, Arc<Failure<H, E>>>>;

/// From this round on, no other caller's call is waited for.
const ALONE: u32 = 3;
/// After so many rounds the request is passed on as it is.
const ROUNDS: u32 = 6;

/// A call that brought no items.
pub(crate) struct Failure<H, E> {
    /// What was asked for: the failure may be about any of them.
    of: Vec<CacheKey>,
    why: Unstored<H, E>,
}

/// An item that is there.
struct Known {
    item: Item,
    stored_at: Timestamp,
    expires_at: Timestamp,
    source: Source,
    /// It is past its time, and serves since the provider fails.
    is_stale: bool,
}

impl Known {
    /// What was found stored; `None` if it is no item.
    fn of(outcome: &Outcome<Bytes>) -> Option<Self> {
        Some(Self {
            item: Item::read(&outcome.value)?,
            stored_at: outcome.stored_at,
            expires_at: outcome.expires_at,
            source: outcome.source,
            is_stale: outcome.is_stale(),
        })
    }

    /// What has just come.
    fn new(item: Item, now: Timestamp, plan: &Plan, source: Source) -> Self {
        let expires_at = now.saturating_add(plan.ttl());
        Self { item, stored_at: now, expires_at, source, is_stale: false }
    }
}

/// One request on its way to an answer. What is about an item stands at the item's number.
struct Course<'a, H> {
    plan: &'a Plan,
    batch: &'a Batch,
    keys: Vec<CacheKey>,
    /// What the calls for it are known by.
    flights: Vec<CacheKey>,
    known: Vec<Option<Known>>,
    tickets: Vec<Option<Ticket>>,
    /// Whether what is stored does not do, so that it is not looked for again.
    replaced: Vec<bool>,
    /// Whether it is asked for whatever other callers are asking for.
    alone: Vec<bool>,
    /// What own calls brought, beside items.
    calls: Vec<Call<H>>,
    /// The same keys, for those who look for many; made when they are needed.
    key_set: Option<HashSet<CacheKey, BuildKeyHasher>>,
}

struct Call<H> {
    head: H,
    storage: Storage,
    usage: String,
}

type Led<H, E> = Vec<(usize, Seat<Result<Item, Arc<Failure<H, E>>>>)>;
type Followed<H, E> = Vec<(usize, Follower<Result<Item, Arc<Failure<H, E>>>>)>;

/// The end of the course, before there are all items.
type Ended<H, E> = Result<Reply<H>, AnswerError<E>>;

impl<H, E> Inner<H, E>
where
    H: Clone + Send + Sync + 'static,
    E: Error + Send + Sync + 'static,
{
    pub(crate) async fn items<O>(
        &self,
        plan: &Plan,
        batch: &Batch,
        mode: CacheMode,
        origin: O,
    ) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        let mut course = Course::new(plan, batch, mode);
        course.flights = course.keys.iter().map(|key| self.dual.flight_key(key)).collect();
        let reply = self.fresh_items(&mut course, mode, origin).await;
        // A failure gives way to stale items, if they are all there.
        if mode == CacheMode::Use
            && is_failure(&reply)
            && let Some(hit) = self.stale_items(&mut course)
        {
            return Ok(hit);
        }
        reply
    }

    async fn fresh_items<O>(
        &self,
        course: &mut Course<'_, H>,
        mode: CacheMode,
        origin: O,
    ) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        if mode == CacheMode::Use {
            let lookups = self.dual.lookup_many(&course.keys, course.plan.tags()).await;
            for (which, lookup) in lookups.into_iter().enumerate() {
                match lookup {
                    Lookup::Miss(ticket) => course.tickets[which] = Some(ticket),
                    Lookup::Hit(outcome) => {
                        course.known[which] = Known::of(&outcome);
                        course.replaced[which] = course.known[which].is_none();
                    }
                }
            }
        }
        let mut origin = Some(origin);
        for round in 0..ROUNDS {
            course.keep_one_model();
            let missing: Vec<usize> =
                (0..course.batch.len()).filter(|which| course.known[*which].is_none()).collect();
            if missing.is_empty() {
                match self.reply(course) {
                    Some(reply) => return Ok(reply),
                    None => break,
                }
            }
            let (led, followed) = self.seats(course, missing, round);
            // Ours first, whoever we wait for: so two calls never wait for each other.
            if !led.is_empty()
                && let Some(ended) = self.lead_items(course, led, &mut origin).await
            {
                return ended;
            }
            for (which, follower) in followed {
                if course.known[which].is_some() {
                    continue; // our call was for all of the request
                }
                if let Some(ended) = self.follow_item(course, which, &follower).await {
                    return ended;
                }
            }
        }
        match origin {
            Some(origin) => self.pass(origin, NotStored::Unexpected).await,
            None => Err(AnswerError::Panicked),
        }
    }

    /// The answer of what is in memory, past its time or not; `None` if an item is not.
    fn stale_items(&self, course: &mut Course<'_, H>) -> Option<Reply<H>> {
        for (key, known) in course.keys.iter().zip(&mut course.known) {
            if known.is_none() {
                *known = Some(Known::of(&self.dual.peek(key)?)?);
            }
        }
        course.keep_one_model();
        let is_hit = course.calls.is_empty() && course.known.iter().all(Option::is_some);
        if is_hit { self.reply(course) } else { None }
    }

    /// The answer of items that are on a cassette; `None` if one is not.
    pub(crate) fn play_items(
        &self,
        plan: &Plan,
        batch: &Batch,
        cassette: &Cassette,
    ) -> Option<Reply<H>> {
        let mut course = Course::new(plan, batch, CacheMode::Use);
        let now = self.dual.now();
        for (key, known) in course.keys.iter().zip(&mut course.known) {
            let item = Item::read(cassette.entry(key)?)?;
            *known = Some(Known::new(item, now, plan, Source::L1));
        }
        course.keep_one_model();
        if course.known.iter().all(Option::is_some) { self.reply(&course) } else { None }
    }

    /// Sits down for each of the missing items: to lead, or to follow who leads already.
    fn seats(
        &self,
        course: &mut Course<'_, H>,
        missing: Vec<usize>,
        round: u32,
    ) -> (Led<H, E>, Followed<H, E>) {
        let (mut led, mut others) = (Vec::new(), Vec::new());
        for which in missing {
            if course.alone[which] || round >= ALONE {
                led.push((which, Seat::alone()));
                continue;
            }
            match self.items.join(course.flights[which]) {
                Role::Follower(follower) => others.push((which, follower)),
                Role::Leader(seat) => {
                    // The flight before ours may have landed since our lookup.
                    if !course.replaced[which]
                        && let Some(outcome) = self.dual.peek(&course.keys[which])
                        && !outcome.is_stale()
                        && let Some(known) = Known::of(&outcome)
                    {
                        course.known[which] = Some(Known { source: Source::Collapsed, ..known });
                    } else {
                        led.push((which, seat));
                    }
                }
            }
        }
        (led, others)
    }

    /// Calls for these items, tells those who follow, and stores them.
    async fn lead_items<O>(
        &self,
        course: &mut Course<'_, H>,
        led: Led<H, E>,
        origin: &mut Option<O>,
    ) -> Option<Ended<H, E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        let (plan, batch) = (course.plan, course.batch);
        let mut which: Vec<usize> = led.iter().map(|(which, _)| *which).collect();
        // Where somebody may hold a value that this one replaces; before the call.
        let absent = which.iter().filter(|which| course.tickets[**which].is_none());
        let tickets = absent.map(async |which| {
            let query = self.dual.query(&course.keys[*which]).tags(plan.tags());
            (*which, query.ticket().await)
        });
        for (which, ticket) in join_all(tickets).await {
            course.tickets[which] = Some(ticket);
        }
        let count = self.dual.count_fetch();
        let own = origin.as_mut()?;
        let narrow = match own.resend(batch.request(&which)) {
            Some(answer) => Some(answer.await),
            None => None,
        };
        // One that can make its own request only asks for all, each as often as it comes.
        let (answer, asked) = match narrow {
            Some(answer) => (answer, which.len()),
            None => (origin.take()?.call().await, batch.places().len()),
        };
        let is_whole = asked == batch.places().len();
        let narrowed = plan.clone().with_results(asked as u64);
        let Fetch { own, shared } = self.fetch(&narrowed, async || answer).await;
        let read = shared.and_then(|entry| {
            let entry = stored::read(&entry);
            let answer = entry.as_ref().and_then(|entry| Answer::read(&entry.body, asked));
            let answer = answer.and_then(|answer| taken(course, &which, &answer));
            answer.ok_or(Unstored::Unshared(NotStored::Unexpected))
        });
        let (items, usage) = match read {
            Ok(read) => read,
            Err(why) => return Some(self.failed(course, &led, why, own, is_whole, origin).await),
        };
        let Ok(own) = own else { unreachable!("it has brought items") };
        count.succeeded();
        for ((_, seat), item) in led.iter().zip(&items) {
            seat.announce(Ok(item.clone()));
        }
        let mut storing = Vec::with_capacity(items.len());
        let now = self.dual.now();
        for (which, item) in which.iter().zip(&items) {
            let options = insert_options(plan, item.entry().len());
            let ticket = course.tickets[*which].take().expect("it was taken before the call");
            storing.push(self.dual.fulfil(ticket, item.entry().clone(), options));
        }
        let mut storage = Storage::Stored;
        for fulfilled in join_all(storing).await {
            if let other @ Storage::NotStored(_) = fulfilled.into() {
                storage = other;
            }
        }
        drop(led); // until now they could be joined
        if is_whole {
            // As it came: nothing has to be put together.
            return Some(Ok(Reply::Passed(Passed { storage, ..own })));
        }
        for (which, item) in which.drain(..).zip(items) {
            course.known[which] = Some(Known::new(item, now, plan, Source::Origin));
            course.replaced[which] = false;
        }
        course.calls.push(Call { head: own.head, storage, usage });
        None
    }

    /// A call that brought no items: for those who follow, and for this caller.
    async fn failed<O>(
        &self,
        course: &Course<'_, H>,
        led: &Led<H, E>,
        why: Unstored<H, E>,
        own: Result<Passed<H>, AnswerError<E>>,
        is_whole: bool,
        origin: &mut Option<O>,
    ) -> Ended<H, E>
    where
        O: Origin<Head = H, Error = E>,
    {
        let reason = match &why {
            Unstored::Answer { reason, .. } | Unstored::Unshared(reason) => Some(reason.clone()),
            Unstored::Failed(_) => None,
        };
        // What looks like an answer to other items is none to anybody else's request.
        let why = match why {
            Unstored::Answer { status: 200, reason, .. } => Unstored::Unshared(reason),
            why => why,
        };
        let of = if is_whole {
            course.keys.clone()
        } else {
            led.iter().map(|(which, _)| course.keys[*which]).collect()
        };
        let failure = Arc::new(Failure { of, why });
        for (_, seat) in led {
            seat.announce(Err(Arc::clone(&failure)));
        }
        let passed = own?;
        if is_whole || passed.status != 200 {
            let storage = match (passed.storage, reason) {
                (Storage::Stored, Some(reason)) => Storage::NotStored(reason),
                (storage, _) => storage,
            };
            return Ok(Reply::Passed(Passed { storage, ..passed }));
        }
        // Not an answer to what was asked: the provider is asked all of it, and has the word.
        let reason = reason.unwrap_or(NotStored::Unexpected);
        match origin.take() {
            Some(origin) => self.pass(origin, reason).await,
            None => Ok(Reply::Passed(passed)),
        }
    }

    /// Waits for an item that another caller is asking for.
    async fn follow_item(
        &self,
        course: &mut Course<'_, H>,
        which: usize,
        follower: &Follower<Result<Item, Arc<Failure<H, E>>>>,
    ) -> Option<Ended<H, E>> {
        let news = match follower.news().await {
            Heard::News(news) => news,
            Heard::Panicked => return Some(Err(AnswerError::Panicked)),
            Heard::Gone => return None, // the next round finds who leads now, maybe this caller
        };
        match &*news {
            Ok(item) => {
                self.dual.count_collapsed();
                let (item, now) = (item.clone(), self.dual.now());
                course.known[which] = Some(Known::new(item, now, course.plan, Source::Collapsed));
                course.replaced[which] = false;
                None
            }
            // A failure may be about any of the items that were asked for: it is ours if they are.
            Err(failure) if course.asks_for(&failure.of) => match &failure.why {
                Unstored::Failed(error) => Some(Err(error.clone())),
                Unstored::Answer { status, head, body, reason }
                    if course.plan.shares_failures() =>
                {
                    self.dual.count_collapsed();
                    Some(Ok(Reply::Passed(Passed {
                        status: *status,
                        head: head.clone(),
                        body: Body::Whole(body.clone()),
                        storage: Storage::NotStored(reason.clone()),
                        collapsed: true,
                    })))
                }
                Unstored::Answer { .. } | Unstored::Unshared(_) => {
                    course.alone[which] = true;
                    None
                }
            },
            Err(_) => {
                course.alone[which] = true;
                None
            }
        }
    }

    /// The answer put together of items that are all known; `None` if they make none.
    fn reply(&self, course: &Course<'_, H>) -> Option<Reply<H>> {
        let known: Vec<&Known> = course.known.iter().flatten().collect();
        let newest = known.iter().max_by_key(|known| known.stored_at)?;
        let usage = if course.calls.is_empty() {
            usage::sum(known.iter().map(|known| known.item.usage()))
        } else {
            usage::sum(course.calls.iter().map(|call| &*call.usage))
        };
        let pieces = course.batch.places().iter().map(|which| {
            let item = &known[*which].item;
            Piece { frame: item.item(), vector: item.vector() }
        });
        let frame = newest.item.answer();
        let body: Bytes = compose(frame, pieces, usage.as_deref(), course.batch.base64)?.into();
        let now = self.dual.now();
        if let Some(Call { head, .. }) = course.calls.last() {
            let not =
                course.calls.iter().find(|call| matches!(call.storage, Storage::NotStored(_)));
            return Some(Reply::Passed(Passed {
                status: 200,
                head: head.clone(),
                body: Body::Whole(body),
                storage: not.map_or(Storage::Stored, |call| call.storage.clone()),
                collapsed: false,
            }));
        }
        let is_from = |source| known.iter().any(|known| known.source == source);
        let source = [Source::Collapsed, Source::L2].into_iter().find(|source| is_from(*source));
        let age = |known: &&Known| now.saturating_since(known.stored_at);
        let remaining = |known: &&Known| known.expires_at.saturating_since(now);
        let options = course.plan.hit_options().unwrap_or(self.hits);
        let seconds = now.as_unix_millis() / 1000;
        let body = options.apply(course.plan.kind(), Transport::Plain, body, seconds).ok()?;
        let model = serde_json::from_str(newest.item.model()).ok();
        let about = About::of(tokens(usage.as_deref()), model);
        let saved = self.ledger.add(about.model().unwrap_or(course.plan.model()), &about.usage);
        Some(Reply::Hit(Hit {
            body,
            transport: Transport::Plain,
            transcoded: true,
            stale: known.iter().any(|known| known.is_stale),
            usage: about.usage,
            saved,
            about,
            source: source.unwrap_or(Source::L1),
            age: known.iter().map(age).max().unwrap_or(Duration::ZERO),
            remaining: known.iter().map(remaining).min().unwrap_or(Duration::ZERO),
            pause: None,
        }))
    }
}

/// Whether stale items are better than this: the provider failed, or has too much to do.
fn is_failure<H, E>(reply: &Ended<H, E>) -> bool {
    match reply {
        Err(_) => true,
        Ok(Reply::Passed(passed)) => is_failing(passed.status),
        Ok(Reply::Hit(_)) => false,
    }
}

/// The usage that an answer with this member tells of.
fn tokens(usage: Option<&str>) -> Usage {
    let document = format!(r#"{{"usage":{}}}"#, usage.unwrap_or("null"));
    Usage::of(AnswerKind::Embeddings, Transport::Plain, document.as_bytes())
}

impl<'a, H> Course<'a, H> {
    fn new(plan: &'a Plan, batch: &'a Batch, mode: CacheMode) -> Self {
        let count = batch.len();
        let is_refresh = mode == CacheMode::Refresh;
        Self {
            plan,
            batch,
            keys: batch.keys().collect(),
            flights: Vec::new(),
            known: (0..count).map(|_| None).collect(),
            tickets: (0..count).map(|_| None).collect(),
            replaced: vec![is_refresh; count],
            alone: vec![is_refresh; count],
            calls: Vec::new(),
            key_set: None,
        }
    }

    /// Whether all of these are asked for.
    fn asks_for(&mut self, keys: &[CacheKey]) -> bool {
        let own = self.key_set.get_or_insert_with(|| self.keys.iter().copied().collect());
        keys.iter().all(|key| own.contains(key))
    }

    /// Forgets the items that another model answered than the newest: vectors of two models must never
    /// stand side by side, and providers move names from one to the next.
    fn keep_one_model(&mut self) {
        let newest = self.known.iter().flatten().max_by_key(|known| known.stored_at);
        let Some(model) = newest.map(|known| known.item.model().to_owned()) else { return };
        for (known, replaced) in self.known.iter_mut().zip(&mut self.replaced) {
            if known.as_ref().is_some_and(|known| known.item.model() != model) {
                *known = None;
                *replaced = true;
            }
        }
    }
}

/// The items of an answer as they are stored, in the order in which they were led; and its usage.
fn taken<H>(
    course: &Course<'_, H>,
    which: &[usize],
    answer: &Answer<'_>,
) -> Option<(Vec<Item>, String)> {
    let batch = course.batch;
    // Of an answer to the request as it is, the first place of each.
    let (places, sizes): (Vec<usize>, Vec<u64>) = if answer.items.len() == which.len() {
        ((0..which.len()).collect(), which.iter().map(|which| batch.size(*which)).collect())
    } else {
        let first = batch.first_places();
        let sizes = batch.places().iter().map(|which| batch.size(*which)).collect();
        (which.iter().map(|which| first[*which]).collect(), sizes)
    };
    let usages = usage::divide(answer.usage, &sizes);
    let items = places.into_iter().map(|place| {
        Item::new(&Parts {
            model: answer.model,
            answer: &answer.frame,
            item: &answer.items[place].frame,
            usage: &usages[place],
            vector: &answer.items[place].vector,
        })
    });
    Some((items.collect::<Option<_>>()?, answer.usage.to_owned()))
}
