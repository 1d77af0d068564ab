//! What a hit is made of.

use std::error::Error;
use std::hint::black_box;
use std::io;
use std::time::Instant;

use cache_key::{EndpointKind, Request};
use cache_llm::{CacheMode, HitOptions, Plan, Reply};
use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::Scale;
use super::contenders::{Cache, Known, policies, provided, scope};
use super::questions::Question;
use crate::contenders::finished;
use crate::keys::bodies::bodies;
use crate::random::sequences;
use crate::turns::{in_turns, middle};

/// What the [`Yardstick`] is.
pub(super) const SHORT_KEY: &str = "key of a body of 600 B";
const SLICE: u32 = 1_000;

/// The median over the rounds, in microseconds a call.
#[derive(Serialize)]
pub(super) struct Part {
    pub(super) what: &'static str,
    pub(super) us: f64,
}

/// Each in turns: a slice asks as many times as there are questions.
pub(super) fn parts(questions: &[Question], scale: &Scale) -> Result<Vec<Part>, Box<dyn Error>> {
    let (kind, scope) = (EndpointKind::ChatCompletions, scope());
    let [cache, forgetful] = [Known::AsItComes, Known::Nothing]
        .map(|known| policies(questions.len(), HitOptions::default(), known));
    let (cache, forgetful) = (cache?, forgetful?);
    let prepare = |question: &Question| cache.prepare(kind, &question.body, &scope);
    let parse = |question: &Question| forgetful.prepare(kind, &question.body, &scope);
    let plans = questions.iter().map(prepare).collect::<Result<Vec<Plan>, _>>()?;
    for (plan, question) in plans.iter().zip(questions) {
        store(&cache, plan, question)?;
    }
    let key = |body: &[u8]| Request::parse(kind, body).expect("a valid body").key(&scope);
    let order = &sequences(1, questions.len(), |random| random.below(questions.len()))[0];
    let of = |number: u32| &questions[number as usize];
    let plan = |number: u32| &plans[number as usize];

    type Call<'a> = Box<dyn Fn(u32) + 'a>;
    let calls: [(&'static str, Call<'_>); 5] = [
        ("key of the body", Box::new(|number| _ = black_box(key(&of(number).body)))),
        (
            "decision, key and tags: `prepare`",
            Box::new(|number| _ = black_box(prepare(of(number)))),
        ),
        ("the same in other bytes", Box::new(|number| _ = black_box(parse(of(number))))),
        (
            "lookup in the cache of two tiers",
            Box::new(|number| {
                let plan = plan(number);
                let query = cache.dual().query(plan.key()).tags(plan.tags());
                assert!(black_box(finished(query.get())).is_some(), "a miss");
            }),
        ),
        (
            "lookup, accounts and answer: `answer`",
            Box::new(|number| {
                let origin = || async { Err(io::Error::other("it is stored")) };
                let reply = finished(cache.answer(plan(number), CacheMode::Use, origin));
                assert!(matches!(black_box(reply), Ok(Reply::Hit(_))), "a miss");
            }),
        ),
    ];
    let results = in_turns(calls.len(), scale.rounds, |_, at| {
        let start = Instant::now();
        order.iter().for_each(|&number| calls[at].1(number));
        start.elapsed().as_secs_f64() * 1e6 / order.len() as f64
    });
    let medians = calls.iter().zip(&results);
    Ok(medians.map(|((what, _), us)| Part { what, us: middle(us, |us| *us) }).collect())
}

/// The key of the short body of suite `keys`, to measure others by.
pub(super) struct Yardstick(String);

impl Yardstick {
    pub(super) fn new() -> Self {
        Self(bodies().into_iter().next().expect("a short body").original)
    }

    /// What it takes now, in microseconds.
    pub(super) fn time(&self) -> f64 {
        let (kind, scope) = (EndpointKind::ChatCompletions, scope());
        let start = Instant::now();
        for _ in 0..SLICE {
            let request = Request::parse(kind, self.0.as_bytes()).expect("a valid body");
            black_box(request.key(&scope));
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(SLICE)
    }
}

fn store(cache: &Cache, plan: &Plan, question: &Question) -> Result<(), Box<dyn Error>> {
    let body = question.answer.clone();
    let origin = || async { Ok(provided(stream::iter([Ok(body)]).boxed(), false)) };
    match finished(cache.answer(plan, CacheMode::Use, origin))? {
        Reply::Passed(_) => Ok(()),
        Reply::Hit(_) => Err("it was stored already".into()),
    }
}
