//! Who is read from: ours, redis-rs itself and others, each as its users would.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use bytes::Bytes;
use cache_benches_readers::{Stock, Store, VALUE_BYTES, digits};
use cache_core::{
    CacheKey, Clock, CodecId, Entry, Lifetime, Lookup, Payload, RemoteTier, StoredEntry,
    SystemClock,
};
use cache_redis::RedisTier;
use llm_edge_cache::l1::CachedResponse;
use llm_edge_cache::l2::{L2Cache, L2Config};
use llm_edge_cache::metrics::CacheMetrics;

/// How long everyone stores entries for.
const LIFE: Duration = Duration::from_secs(3_600);

/// `RedisTier`.
#[derive(Clone)]
pub(super) struct Ours {
    pub(super) tier: RedisTier,
    stock: Arc<[(CacheKey, StoredEntry)]>,
}

/// What the tables show of our options.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    pub(super) prefix: &'static str,
    pub(super) connections: usize,
    pub(super) compress: bool,
}

impl Ours {
    pub(super) fn new(url: &str, setup: Setup, stock: &Stock) -> Self {
        let builder = RedisTier::builder(url).expect("a URL of the testbed");
        let builder = builder.prefix(setup.prefix).connections(setup.connections);
        let builder = if setup.compress { builder } else { builder.compress_above(None) };
        let now = SystemClock.now();
        let entry = |number| {
            let bytes = Bytes::copy_from_slice(stock.value(number).as_bytes());
            let payload = Payload { codec: CodecId::RAW, bytes };
            (key(number), Entry::new(payload, now, Lifetime::new(LIFE)))
        };
        Self {
            tier: builder.build().expect("good options"),
            stock: (0..stock.keys()).map(entry).collect(),
        }
    }

    pub(super) fn key(&self, number: usize) -> &CacheKey {
        &self.stock[number].0
    }

    /// Compares what was found.
    pub(super) fn check(&self, number: usize, found: &Lookup) {
        let found = found.entry.as_ref().expect("it is stored");
        assert!(found.value.bytes == self.stock[number].1.value.bytes, "a wrong answer");
    }
}

fn key(number: usize) -> CacheKey {
    CacheKey::from_text(&number.to_string())
}

impl Store for Ours {
    async fn get(&mut self, number: usize) -> bool {
        let Ok(found) = self.tier.get(self.key(number)).await else { return false };
        self.check(number, &found);
        true
    }

    async fn put(&mut self, number: usize) -> bool {
        let (key, entry) = &self.stock[number];
        self.tier.put(key, entry).await.is_ok()
    }
}

/// What a floor reads: the records that ours stores, under their names, made beforehand.
#[derive(Clone)]
struct Records {
    stock: Stock,
    names: Arc<[String]>,
    /// What `put` stores beside them, so that the records stay.
    others: Arc<[String]>,
}

impl Records {
    fn new(prefix: &str, stock: &Stock) -> Self {
        let names = |what: &str| {
            let name = |number| format!("{prefix}:{what}:{}", key(number));
            (0..stock.keys()).map(name).collect()
        };
        Self { stock: stock.clone(), names: names("e1"), others: names("floor") }
    }

    /// Compares the payload, which is the end of a record.
    fn check(&self, number: usize, record: &[u8]) {
        let payload = record.last_chunk::<VALUE_BYTES>().expect("an uncompressed record");
        assert!(payload == self.stock.value(number).as_bytes(), "a wrong answer");
    }
}

/// redis-rs's own multiplexed connections, taken in turn.
#[derive(Clone)]
pub(super) struct Floor {
    records: Records,
    connections: Vec<MultiplexedConnection>,
    next: usize,
}

impl Floor {
    /// Reads what ours stores with this prefix.
    pub(super) async fn new(url: &str, count: usize, prefix: &str, stock: &Stock) -> Self {
        let client = ::redis::Client::open(url).expect("a URL of the testbed");
        let mut connections = Vec::new();
        for _ in 0..count {
            let connection = client.get_multiplexed_async_connection().await;
            connections.push(connection.expect("the server runs"));
        }
        Self { records: Records::new(prefix, stock), connections, next: 0 }
    }

    fn connection(&mut self) -> &mut MultiplexedConnection {
        self.next = (self.next + 1) % self.connections.len();
        &mut self.connections[self.next]
    }

    /// Reads these keys by one pipeline.
    pub(super) async fn get_many(&mut self, numbers: &[usize]) -> bool {
        let mut pipeline = ::redis::Pipeline::with_capacity(numbers.len());
        for &number in numbers {
            pipeline.get(&self.records.names[number]);
        }
        let found = pipeline.query_async::<Vec<Vec<u8>>>(self.connection()).await;
        let Ok(found) = found else { return false };
        assert_eq!(found.len(), numbers.len());
        numbers.iter().zip(&found).for_each(|(&number, record)| self.records.check(number, record));
        true
    }
}

fn get(name: &str) -> ::redis::Cmd {
    let mut get = ::redis::Cmd::new();
    get.arg("GET").arg(name);
    get
}

fn set(name: &str, value: &str) -> ::redis::Cmd {
    let mut set = ::redis::Cmd::new();
    set.arg("SET").arg(name).arg(value).arg("PX").arg(LIFE.as_millis());
    set
}

impl Store for Floor {
    async fn get(&mut self, number: usize) -> bool {
        let get = get(&self.records.names[number]);
        let Ok(record) = get.query_async::<Vec<u8>>(self.connection()).await else { return false };
        self.records.check(number, &record);
        true
    }

    async fn put(&mut self, number: usize) -> bool {
        let set = set(&self.records.others[number], self.records.stock.value(number));
        set.query_async::<()>(self.connection()).await.is_ok()
    }
}

/// deadpool-redis with a checkout per operation.
#[derive(Clone)]
pub(super) struct Pool {
    records: Records,
    pool: deadpool_redis::Pool,
}

impl Pool {
    /// Reads what ours stores with this prefix.
    pub(super) fn new(url: &str, prefix: &str, stock: &Stock) -> Self {
        let config = deadpool_redis::Config::from_url(url);
        let pool = config.create_pool(Some(deadpool_redis::Runtime::Tokio1)).expect("good options");
        Self { records: Records::new(prefix, stock), pool }
    }

    /// How many connections it may have.
    pub(super) fn connections(&self) -> usize {
        self.pool.status().max_size
    }
}

impl Store for Pool {
    async fn get(&mut self, number: usize) -> bool {
        let Ok(mut connection) = self.pool.get().await else { return false };
        let get = get(&self.records.names[number]);
        let Ok(record) = get.query_async::<Vec<u8>>(&mut connection).await else { return false };
        self.records.check(number, &record);
        true
    }

    async fn put(&mut self, number: usize) -> bool {
        let Ok(mut connection) = self.pool.get().await else { return false };
        let set = set(&self.records.others[number], self.records.stock.value(number));
        set.query_async::<()>(&mut connection).await.is_ok()
    }
}

/// The second tier of llm-edge-cache.
#[derive(Clone)]
pub(super) struct Edge {
    cache: L2Cache,
    stock: Stock,
    names: Arc<[String]>,
}

impl Edge {
    pub(super) async fn new(url: &str, stock: &Stock) -> Self {
        let config = L2Config { redis_url: url.to_owned(), ..L2Config::default() };
        let cache = L2Cache::with_config(config, CacheMetrics::new()).await;
        let cache = cache.expect("the server runs");
        Self { cache, stock: stock.clone(), names: (0..stock.keys()).map(digits).collect() }
    }
}

impl Store for Edge {
    async fn get(&mut self, number: usize) -> bool {
        let Ok(found) = self.cache.get(&self.names[number]).await else { return false };
        let found = found.expect("it is stored");
        assert!(found.content == self.stock.value(number), "a wrong answer");
        true
    }

    async fn put(&mut self, number: usize) -> bool {
        let response = CachedResponse {
            content: self.stock.value(number).to_owned(),
            tokens: None,
            model: "gpt-4.1".to_owned(),
            cached_at: 0,
        };
        self.cache.set(self.names[number].clone(), response).await.is_ok()
    }
}
