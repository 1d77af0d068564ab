//! Every call that this suite makes to `cache-llm`.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use cache_key::{EndpointKind, KeyScope, Tenant};
use cache_llm::{
    BodyStream, CacheMode, DualCache, HitOptions, Identity, LlmCache, OriginAnswer, Plan, Reply,
    RequestPolicy, ResponsePolicy, Storage, Transport,
};
use futures_util::{StreamExt, stream};

use super::Answers;
use crate::contenders::{Role, finished};
use crate::llm::questions::{MODEL, Question};

pub(in crate::llm) type Cache = LlmCache<(), io::Error>;

/// One of ours, by what is asked of it.
pub(super) struct Ours {
    name: &'static str,
    role: Role,
    cache: Cache,
    scope: KeyScope,
    /// In which transport answers are asked for; all are stored plain.
    transport: Transport,
    /// Whether hits are the provider's bytes.
    exact: bool,
}

/// What a hit is.
pub(super) struct Answer {
    body: Bytes,
    exact: bool,
}

/// Whose requests these are.
pub(in crate::llm) fn scope() -> KeyScope {
    KeyScope::new(Tenant::named("acme")).provider("openai")
}

/// Which requests are hashed and not parsed.
#[derive(Clone, Copy)]
pub(in crate::llm) enum Known {
    /// Those that came before, byte for byte, as many as are remembered by default.
    AsItComes,
    /// None, as if each were written in another way than the one before.
    Nothing,
}

/// A cache whose every policy has something to say.
pub(in crate::llm) fn policies(
    entries: usize,
    hits: HitOptions,
    known: Known,
) -> Result<Cache, Box<dyn Error>> {
    let requests = RequestPolicy::default()
        .chat_ttl(Duration::from_secs(3_600))
        .model_ttl("gpt-4o*", Duration::from_secs(7_200))
        .model_ttl(MODEL, Duration::from_secs(1_800))
        .jitter(0.1)
        .grace(Duration::from_secs(600))
        .min_body(16)
        .max_body(1 << 20)
        .max_temperature(1.5);
    let responses = ResponsePolicy::default().max_answer(1 << 20).min_cost(1e-9);
    // Nobody has to evict, however unevenly it divides its capacity.
    let dual = DualCache::builder().tune(|options| options.max_entries = 2 * entries as u64);
    let cache = LlmCache::builder(dual.build()?)
        .request_policy(requests)
        .response_policy(responses)
        .hits(hits);
    let cache = match known {
        Known::AsItComes => cache,
        Known::Nothing => cache.requests_known(0),
    };
    Ok(cache.build()?)
}

/// What an origin answers with this body.
pub(in crate::llm) fn provided(body: BodyStream, is_event_stream: bool) -> OriginAnswer<()> {
    OriginAnswer { status: 200, head: (), is_event_stream, content_encoded: false, body }
}

/// With answers as they came, which is the default, to requests that came before and to others; with an
/// `id` and a time of their own; and as streams.
pub(super) fn variants(questions: &[Question]) -> Result<[Ours; 4], Box<dyn Error>> {
    let ours = |name, role, hits: HitOptions, transport, known| {
        let cache = policies(questions.len(), hits, known)?;
        let exact = hits == HitOptions::default() && transport == Transport::Plain;
        let ours = Ours { name, role, cache, scope: scope(), transport, exact };
        questions.iter().try_for_each(|question| ours.store(question))?;
        Ok::<_, Box<dyn Error>>(ours)
    };
    let (plain, stream) = (Transport::Plain, Transport::Stream);
    let as_stored = HitOptions::default();
    let fresh = HitOptions { identity: Identity::Fresh, ..HitOptions::default() };
    Ok([
        ours("cache-llm", Role::Default, as_stored, plain, Known::AsItComes)?,
        ours("cache-llm, in other bytes", Role::Ours, as_stored, plain, Known::Nothing)?,
        ours("cache-llm, fresh id", Role::Ours, fresh, plain, Known::AsItComes)?,
        ours("cache-llm, made a stream", Role::Ours, as_stored, stream, Known::AsItComes)?,
    ])
}

impl Ours {
    fn plan(&self, body: &[u8]) -> Plan {
        let kind = EndpointKind::ChatCompletions;
        self.cache.prepare(kind, body, &self.scope).expect("it may be cached")
    }

    fn store(&self, question: &Question) -> Result<(), Box<dyn Error>> {
        let body = question.answer.clone();
        let origin = || async { Ok(provided(stream::iter([Ok(body)]).boxed(), false)) };
        let plan = self.plan(&question.body);
        match finished(self.cache.answer(&plan, CacheMode::Use, origin))? {
            Reply::Passed(passed) if matches!(passed.storage, Storage::Stored) => Ok(()),
            other => Err(format!("not stored: {other:?}").into()),
        }
    }
}

impl Answers for Ours {
    type Answer = Answer;

    fn name(&self) -> (&'static str, Role) {
        (self.name, self.role)
    }

    fn ask(&self, question: &Question) -> Option<Answer> {
        let plan = self.plan(match self.transport {
            Transport::Plain => &question.body,
            Transport::Stream => &question.stream_body,
        });
        let origin = || async { Err(io::Error::other("it is stored")) };
        match finished(self.cache.answer(&plan, CacheMode::Use, origin)) {
            Ok(Reply::Hit(hit)) => Some(Answer { body: hit.body, exact: self.exact }),
            _ => None,
        }
    }

    fn is_right(answer: &Answer, question: &Question) -> bool {
        let said = question.text.split(':').next().expect("there is a first part");
        let text = std::str::from_utf8(&answer.body);
        (!answer.exact || answer.body == question.answer)
            && text.is_ok_and(|text| text.contains(&format!("\"content\":\"{said}: ")))
    }
}
