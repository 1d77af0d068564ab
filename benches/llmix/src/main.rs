//! The cache of llmix-rs, filled, and read as suite `redis` orders: a line of JSON in, one out.

use std::io::{self, BufRead as _, Write as _};
use std::sync::Arc;

use cache_benches_readers::{Order, Stock, Store, digits, fill};
use llmix_rs::{CacheHitTier, ResponseCacheStrategy, TwoTierCache, TwoTierCacheConfig};

#[derive(Clone)]
struct Llmix {
    cache: Arc<TwoTierCache>,
    stock: Stock,
    names: Arc<[String]>,
}

impl Store for Llmix {
    async fn get(&mut self, number: usize) -> bool {
        let Some(found) = self.cache.get(&self.names[number]).await else { return false };
        assert!(found.value == self.stock.value(number), "a wrong answer");
        // Its memory, of one entry, has hardly ever the right one; if so, Redis was not asked.
        found.tier == CacheHitTier::L2
    }

    async fn put(&mut self, number: usize) -> bool {
        // It does not tell whether it was stored; reading shows.
        self.cache.set(&self.names[number], self.stock.value(number)).await;
        true
    }
}

fn main() -> io::Result<()> {
    let usage = || io::Error::other("usage: cache-benches-llmix REDIS-URL KEYS");
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or_else(usage)?;
    let keys = arguments.next().and_then(|keys| keys.parse().ok()).ok_or_else(usage)?;
    let config = TwoTierCacheConfig { max_items: 1, redis_url: Some(url), ..Default::default() };
    let cache =
        TwoTierCache::new(ResponseCacheStrategy::Redis, config).map_err(io::Error::other)?;
    let store = Llmix {
        cache: Arc::new(cache),
        stock: Stock::random(keys),
        names: (0..keys).map(|number| format!("llmix:resp:v2:{}", digits(number))).collect(),
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    runtime.block_on(fill(&store, keys));
    println!("ready");
    for line in io::stdin().lock().lines() {
        let order: Order = serde_json::from_str(&line?)?;
        let run = runtime.block_on(order.run(&store));
        println!("{}", serde_json::to_string(&run)?);
        io::stdout().flush()?;
    }
    Ok(())
}
