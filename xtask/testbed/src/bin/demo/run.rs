//! The demo from start to end.

use std::sync::Arc;
use std::time::Instant;

use testbed::provider::{Delays, Provider, ProviderOptions};
use testbed::redis::{RedisServer, RedisServerOptions};
use testbed::traffic::{Request, Traffic};
use tokio::task::JoinSet;

use crate::chaos::Redis;
use crate::client::{Source, client, send};
use crate::oracle::Oracle;
use crate::proxy::{Proxy, SMALL_MEMORY};
use crate::report::{Account, time};
use crate::tally::Tally;
use crate::{Options, Outcome};

/// Requests under way at a time: callers who wait for their answer before they ask on.
const CALLERS: usize = 24;
/// Requests that are sent past the proxy, to compare.
const DIRECT: u64 = 48;
/// Callers who ask one new question at the same moment.
const CROWD: u64 = 200;
/// Times that one caller repeats one question when nothing else is going on.
const REPEATS: u64 = 2000;

/// Runs everything; whether each request got its right answer.
pub(crate) async fn run(options: &Options) -> Outcome<bool> {
    let started = Instant::now();
    let (stage, mut redis) = Stage::set(options).await?;

    println!("\nWithout a cache: {DIRECT} requests go straight to the provider.");
    let mut traffic = Traffic::new(options.seed.wrapping_add(1));
    let mut direct = Tally::default();
    stage.send(&mut traffic, 0..DIRECT, Route::Direct, &mut direct).await?;
    println!("  half of them took more than {}.", time(direct.percentile(Source::Provider, 50)));
    let calls_before = stage.provider.calls().total();

    println!(
        "\nWith the cache: {} requests, {CALLERS} at a time, {}.",
        options.requests,
        if options.redis { "to both proxies in turn" } else { "through the proxy" }
    );
    let tally = stage.send_all(options, redis.as_mut()).await?;
    let calls = stage.provider.calls().total() - calls_before;
    let crowd = stage.crowd(options.seed).await?;
    let alone = stage.alone(options.seed).await;

    Account { tally: &tally, direct: &direct, calls, with_redis: options.redis }.print();
    println!("  the demo took           {}", time(Some(started.elapsed())));
    Ok(tally.is_flawless() && direct.is_flawless() && crowd.is_flawless() && alone.is_flawless())
}

/// Everything that runs.
#[derive(Debug)]
struct Stage {
    provider: Provider,
    proxies: Vec<Proxy>,
    client: reqwest::Client,
    oracle: Oracle,
}

/// Which way requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Direct,
    Proxies,
}

impl Stage {
    /// Starts the provider, Redis if wished, and the proxies.
    async fn set(options: &Options) -> Outcome<(Arc<Self>, Option<Redis>)> {
        let delays = Delays::realistic();
        let provider = Provider::start(ProviderOptions { delays, ..Default::default() }).await;
        println!("A simulated provider that is as slow as a real one: {}", provider.url());

        let redis = if options.redis {
            Some(RedisServer::start(&RedisServerOptions::default())?)
        } else {
            None
        };
        let redis_url = redis.as_ref().map(RedisServer::url);
        if let Some(url) = &redis_url {
            println!("A real Redis: {url}");
        }
        let mut proxies = Vec::new();
        for _ in 0..if options.redis { 2 } else { 1 } {
            let proxy = Proxy::start(&options.proxy, &provider.url(), redis_url.as_deref()).await?;
            let memory = if options.redis {
                format!(", with memory for {SMALL_MEMORY} answers")
            } else {
                String::new()
            };
            println!("A caching proxy in front of the provider{memory}: {}", proxy.url);
            proxies.push(proxy);
        }
        let client = client();
        let stage = Self { provider, proxies, client, oracle: Oracle::start().await };
        Ok((Arc::new(stage), redis.map(|server| Redis::new(server, !options.steady))))
    }

    /// Sends all the traffic, a tenth at a time, and tells how it goes.
    async fn send_all(
        self: &Arc<Self>,
        options: &Options,
        mut redis: Option<&mut Redis>,
    ) -> Outcome<Tally> {
        let mut traffic = Traffic::new(options.seed);
        let mut all = Tally::default();
        let mut sent = 0;
        for tenth in 1..=10 {
            if let Some(redis) = redis.as_deref_mut() {
                redis.before(tenth)?;
            }
            let end = options.requests * tenth / 10;
            let mut tally = Tally::default();
            self.send(&mut traffic, sent..end, Route::Proxies, &mut tally).await?;
            sent = end;
            let (memory, redis) = (tally.percent(Source::Memory), tally.percent(Source::Redis));
            let from_redis =
                if options.redis { format!(", {redis:.0} % Redis") } else { String::new() };
            println!(
                "  {sent:>5} sent. Of the last {}: {:.0} % hits ({memory:.0} % memory{from_redis}), \
                 the rest waited for the provider; {} failed.",
                tally.answered() + tally.failures.len(),
                memory + redis,
                tally.failures.len(),
            );
            all.merge(tally);
        }
        Ok(all)
    }

    /// Sends the next requests, as many at a time as there are callers.
    async fn send(
        self: &Arc<Self>,
        traffic: &mut Traffic,
        numbers: std::ops::Range<u64>,
        route: Route,
        tally: &mut Tally,
    ) -> Outcome {
        let mut under_way = JoinSet::new();
        for (number, request) in numbers.zip(traffic) {
            if under_way.len() == CALLERS {
                Self::collect(&mut under_way, tally).await?;
            }
            under_way.spawn(Arc::clone(self).ask(number, request, route));
        }
        while !under_way.is_empty() {
            Self::collect(&mut under_way, tally).await?;
        }
        Ok(())
    }

    async fn collect(under_way: &mut JoinSet<Tally>, tally: &mut Tally) -> Outcome {
        if let Some(done) = under_way.join_next().await {
            tally.merge(done?);
        }
        Ok(())
    }

    /// One request, its answer checked.
    async fn ask(self: Arc<Self>, number: u64, request: Request, route: Route) -> Tally {
        let base = match route {
            Route::Direct => self.provider.url(),
            Route::Proxies => {
                let turn = usize::try_from(number).unwrap_or(0) % self.proxies.len();
                self.proxies[turn].url.clone()
            }
        };
        let sent = send(&self.client, &base, &request).await;
        let is_right = match &sent.answer {
            Ok(answer) => self.oracle.confirms(&request, answer).await,
            Err(_) => false,
        };
        let mut tally = Tally::default();
        tally.add(&request, sent, is_right);
        tally
    }

    /// A crowd asks one proxy one new question at the same moment.
    async fn crowd(self: &Arc<Self>, seed: u64) -> Outcome<Tally> {
        let before = self.provider.calls().total();
        let request = crowd_question(seed);
        let mut under_way = JoinSet::new();
        for _ in 0..CROWD {
            under_way.spawn(Arc::clone(self).ask(0, request.clone(), Route::Proxies));
        }
        let mut tally = Tally::default();
        while !under_way.is_empty() {
            Self::collect(&mut under_way, &mut tally).await?;
        }
        println!(
            "\n{CROWD} callers ask one new question at the same moment: {} get their answer, and the \
             calls to the provider are {}.",
            tally.answered(),
            self.provider.calls().total() - before
        );
        Ok(tally)
    }
    /// One caller repeats the question of the crowd: what a hit takes on a machine that does nothing
    /// else, the client's own share included.
    async fn alone(&self, seed: u64) -> Tally {
        let request = crowd_question(seed);
        let base = &self.proxies[0].url;
        let first = send(&self.client, base, &request).await;
        let mut tally = Tally::default();
        for _ in 0..REPEATS {
            let sent = send(&self.client, base, &request).await;
            let is_right = sent.answer.is_ok() && sent.answer == first.answer;
            tally.add(&request, sent, is_right);
        }
        println!(
            "\nOne caller repeats that question {REPEATS} times: half of the answers take less than \
             {}, 99 % less than {}.",
            time(tally.percentile(Source::Memory, 50)),
            time(tally.percentile(Source::Memory, 99)),
        );
        tally
    }
}

fn crowd_question(seed: u64) -> Request {
    Request::question(&format!("Why did everybody ask at once, {seed}?"))
}
