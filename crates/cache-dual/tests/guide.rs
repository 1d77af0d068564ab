//! The day of `docs/guide/dual/README.md`, lived through once for every page: what the guide says of its
//! calls, tokens and dollars is what they came to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use std::{fs, io, path::Path};

use cache_conformance::{FaultyTier, LocalBus, MemoryRemote};
use cache_dual::{CacheKey, DualCache, Fetched, InsertOptions, ManualClock, Tag, codec::Bincode};
use futures_util::future::join_all;

/// The pages that change what the day takes.
const PAGES: [&str; 8] = [
    "01-first-hit.md",
    "02-one-call-for-many.md",
    "03-a-remote-tier.md",
    "04-stale-is-better-than-nothing.md",
    "05-tags.md",
    "06-several-instances.md",
    "07-outages.md",
    "08-writes-and-restarts.md",
];

/// Those that do not: their day is that of page 8.
const PAGES_WITHOUT_EFFECT: [&str; 3] =
    ["09-watching-it.md", "10-configuration.md", "11-another-memory-tier.md"];

/// The provider of the guide, whose answers also tell at which revision of the world they were given.
#[derive(Default)]
struct Provider {
    calls: AtomicU64,
    tokens: AtomicU64,
    is_down: AtomicBool,
    revision: AtomicU64,
}

impl Provider {
    async fn ask(&self, question: &str) -> io::Result<String> {
        self.calls.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
        if self.is_down.load(Relaxed) {
            return Err(io::Error::other("the provider is down"));
        }
        self.tokens.fetch_add(1_000, Relaxed);
        Ok(format!("{question}, revision {}", self.revision.load(Relaxed)))
    }
}

/// What the instances of one day share, with all that the pages up to `page` bring.
struct Day {
    page: usize,
    provider: Arc<Provider>,
    clock: Arc<ManualClock>,
    redis: Arc<FaultyTier<MemoryRemote>>,
    bus: LocalBus,
    unanswered: AtomicU64,
    outdated: AtomicU64,
}

/// One instance of the gateway. Before page 1 it has no cache.
struct Instance(Option<DualCache<String>>);

impl Day {
    fn new(page: usize) -> Self {
        let clock = Arc::new(ManualClock::default());
        Self {
            page,
            provider: Arc::default(),
            redis: Arc::new(FaultyTier::new(MemoryRemote::new(clock.clone()))),
            clock,
            bus: LocalBus::new(),
            unanswered: AtomicU64::new(0),
            outdated: AtomicU64::new(0),
        }
    }

    /// Starts an instance, with what an earlier one left in `file`, if it left any.
    fn start(&self, file: &[u8]) -> Instance {
        if self.page < 1 {
            return Instance(None);
        }
        let mut builder = DualCache::builder().clock(self.clock.clone());
        if self.page >= 3 {
            builder = builder.remote(self.redis.clone(), Bincode);
        }
        if self.page >= 4 {
            builder = builder.tune(|options| options.grace = Duration::from_secs(86_400));
        }
        if self.page >= 6 {
            builder = builder.bus(Arc::new(self.bus.peer()));
        }
        if self.page >= 7 {
            builder = builder.tune(|options| options.fetches_while_down = Some(10));
        }
        let cache = builder.build().expect("options that make sense");
        if !file.is_empty() {
            cache.import(&Bincode, &mut &file[..]).expect("what was exported");
        }
        Instance(Some(cache))
    }

    async fn ask(&self, instance: &Instance, question: &str) -> Option<String> {
        let answer = self.answer(instance.0.as_ref(), question).await;
        self.unanswered.fetch_add(u64::from(answer.is_none()), Relaxed);
        answer
    }

    /// Asks as the pages up to `page` do.
    async fn answer(&self, cache: Option<&DualCache<String>>, question: &str) -> Option<String> {
        let Some(cache) = cache else { return self.provider.ask(question).await.ok() };
        let key = CacheKey::from_text(question);
        let owned = question.to_owned();
        let provider = Arc::clone(&self.provider);
        let fetch = async move || provider.ask(&owned).await.map(Fetched::new);
        match self.page {
            ..=1 => {
                if let Some(hit) = cache.get(&key).await {
                    return Some(hit.value);
                }
                let answer = self.provider.ask(question).await.ok()?;
                let _ = cache.insert(key, answer.clone(), InsertOptions::new()).await;
                Some(answer)
            }
            2 | 3 => {
                let fetched = cache.get_or_fetch(&key, || self.provider.ask(question)).await;
                fetched.ok().map(|outcome| outcome.value)
            }
            4 => cache.get_or_fetch(&key, fetch).await.ok().map(|outcome| outcome.value),
            5.. => {
                let small = [Tag::named("small")];
                let tags = if question.starts_with("small") { &small[..] } else { &[] };
                let query = cache.query(&key).tags(tags);
                query.get_or_fetch(fetch).await.ok().map(|outcome| outcome.value)
            }
        }
    }

    async fn live(&self) {
        let questions: Vec<String> = (0..5)
            .flat_map(|n| ["small", "large"].map(|model| format!("{model} {n}")))
            .chain(["large rush".to_owned()])
            .collect();
        let (a, b) = (self.start(&[]), self.start(&[]));
        self.morning(&a, &questions).await;
        self.neighbour(&b, &questions).await;
        self.provider_outage(&a, &questions).await;
        self.new_model(&a, &questions).await;
        self.correction(&a, &b).await;
        self.redis_outage(a, &questions).await;
    }

    async fn morning(&self, a: &Instance, questions: &[String]) {
        for question in &questions[..10] {
            for _ in 0..5 {
                self.ask(a, question).await;
            }
        }
        join_all((0..100).map(|_| self.ask(a, &questions[10]))).await;
    }

    async fn neighbour(&self, b: &Instance, questions: &[String]) {
        for question in questions {
            self.ask(b, question).await;
        }
    }

    async fn provider_outage(&self, a: &Instance, questions: &[String]) {
        self.clock.advance(Duration::from_secs(7_200));
        for is_down in [true, false] {
            self.provider.is_down.store(is_down, Relaxed);
            for question in questions {
                self.ask(a, question).await;
            }
            self.clock.advance(Duration::from_secs(10));
        }
    }

    async fn new_model(&self, a: &Instance, questions: &[String]) {
        match &a.0 {
            Some(cache) if self.page >= 5 => cache.remove_tag(&Tag::named("small")).await,
            Some(cache) => cache.clear().await,
            None => Ok(()),
        }
        .expect("Redis is up");
        for question in questions {
            self.ask(a, question).await;
        }
        self.clock.advance(Duration::from_secs(10));
    }

    async fn correction(&self, a: &Instance, b: &Instance) {
        self.ask(b, "small 0").await;
        let revision = self.provider.revision.fetch_add(1, Relaxed) + 1;
        if let Some(cache) = &a.0 {
            cache.remove(&CacheKey::from_text("small 0")).await.expect("Redis is up");
        }
        tokio::time::sleep(Duration::from_millis(5)).await; // what the bus carries is under way
        for instance in [a, b] {
            let answer = self.ask(instance, "small 0").await.expect("the provider is up");
            let is_outdated = !answer.ends_with(&format!("revision {revision}"));
            self.outdated.fetch_add(u64::from(is_outdated), Relaxed);
        }
    }

    async fn redis_outage(&self, a: Instance, questions: &[String]) {
        self.redis.fail(true);
        let new: Vec<String> = (0..40).map(|n| format!("large new {n}")).collect();
        join_all(new.iter().map(|question| self.ask(&a, question))).await;

        let mut file = Vec::new();
        if let Some(cache) = a.0.filter(|_| self.page >= 8) {
            cache.export(&Bincode, &mut file).expect("memory takes it");
            cache.close(Duration::from_secs(1)).await;
        }
        let a = self.start(&file);
        for question in questions {
            self.ask(&a, question).await;
        }
    }

    /// The day as a row of the table in the index, and as a page tells of it.
    fn told(&self) -> (String, String) {
        let calls = self.provider.calls.load(Relaxed);
        let thousands = self.provider.tokens.load(Relaxed) / 1_000;
        let dollars = format!("${}.{:02}", thousands / 50, thousands % 50 * 2);
        let (unanswered, outdated) = (self.unanswered.load(Relaxed), self.outdated.load(Relaxed));
        (
            format!("| {calls} | {thousands},000 | {dollars} | {unanswered} | {outdated} |"),
            format!("**{calls} calls, {thousands},000 tokens, {dollars}**"),
        )
    }
}

fn page(name: &str) -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/dual");
    fs::read_to_string(guide.join(name)).expect("a page of the guide")
}

/// What the guide says of the day is true, in the index and on each page.
#[tokio::test(start_paused = true)]
async fn the_guide_counts_right() {
    let index = page("README.md");
    let mut wrong = Vec::new();
    let mut told = String::new();
    for number in 0..=PAGES.len() {
        let day = Day::new(number);
        day.live().await;
        let (row, sentence) = day.told();
        let line = index.lines().find(|line| line.starts_with(&format!("| {number} ")));
        if !line.is_some_and(|line| line.ends_with(&row)) {
            wrong.push(format!("README.md, row {number}: {row}"));
        }
        let name = number.checked_sub(1).map(|place| PAGES[place]);
        if let Some(name) = name.filter(|name| !page(name).contains(&sentence)) {
            wrong.push(format!("{name}: {sentence}"));
        }
        told = sentence;
    }
    for name in PAGES_WITHOUT_EFFECT.into_iter().filter(|name| !page(name).contains(&told)) {
        wrong.push(format!("{name}: {told}"));
    }
    assert!(wrong.is_empty(), "the guide should say:\n{}", wrong.join("\n"));
}

/// The provider is the same on every page, so whoever has read one has read all.
#[test]
fn one_provider_on_every_page() {
    let provider = |name| {
        let page = page(name);
        let from = page.find("// The provider, the same on every page.").expect("a provider");
        let to = from + page[from..].find("```").expect("the end of the example");
        page[from..to].to_owned()
    };
    let first = provider(PAGES[0]);
    for name in PAGES.into_iter().chain(PAGES_WITHOUT_EFFECT) {
        assert_eq!(provider(name), first, "{name}");
    }
}
