//! hitbox, which has no `get` of its own: it wraps functions. Its backends have one.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hitbox::backend::{Backend as _, CacheBackend};
use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox::fsm::CacheFuture;
use hitbox::offload::OffloadManager;
use hitbox::policy::{ConcurrencyLimit, PolicyConfig};
use hitbox::predicate::Neutral;
use hitbox::{CacheContext, CacheKey, KeyPart};
use hitbox_backend::CompositionBackend;
use hitbox_backend::composition::policy::RefillPolicy;
use hitbox_backend::composition::{Compose, CompositionPolicy};
use hitbox_core::DisabledOffload;
use hitbox_fn::{Args, FnExtractor, FnUpstream};
use hitbox_moka::MokaBackend;
use hitbox_redis::{ConnectionMode, RedisBackend};

use super::Dual;
use crate::contenders::Role;
use crate::dual::origin::Origin;

/// What names of keys begin with.
const FUNCTION: &str = "answer";

#[derive(Clone)]
pub(in crate::dual) struct Hitbox {
    backend: Backend,
    policy: Arc<PolicyConfig>,
    concurrency: BroadcastConcurrencyManager<String>,
}

#[derive(Clone)]
enum Backend {
    Memory(Arc<MokaBackend>),
    Both(Arc<CompositionBackend<MokaBackend, RedisBackend, OffloadManager>>),
}

/// The argument of the function, and the key that comes of it.
#[derive(Clone)]
pub(in crate::dual) struct Key {
    argument: String,
    key: CacheKey,
}

impl Hitbox {
    async fn call<B>(&self, backend: &Arc<B>, key: &Key, origin: &Origin<String>) -> String
    where
        B: CacheBackend + Send + Sync + 'static,
    {
        let origin = origin.clone();
        let future = CacheFuture::new(
            Arc::clone(backend),
            Args((key.argument.clone(),)),
            FnUpstream::new(move |_| origin.clone().fetch()),
            Neutral::new(),
            Neutral::new(),
            FnExtractor::new(FUNCTION),
            Arc::clone(&self.policy),
            DisabledOffload,
            self.concurrency.clone(),
        );
        future.await.0
    }
}

async fn read(backend: &impl CacheBackend, key: &Key) -> Option<String> {
    let mut context = CacheContext::default().boxed();
    let found = backend.get::<String>(&key.key, &mut context).await.ok()??;
    Some(found.into_parts().1)
}

impl Dual for Hitbox {
    type Key = Key;
    type Value = String;

    const NAME: &'static str = "hitbox 0.2.4";
    const ROLE: Role = Role::Rival;

    async fn build(entries: usize, url: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let memory = MokaBackend::builder().max_entries(entries as u64).build();
        let backend = match url {
            None => Backend::Memory(Arc::new(memory)),
            Some(url) => {
                let remote = RedisBackend::builder().connection(ConnectionMode::single(url));
                let remote = remote.build()?;
                // It connects when it is first asked. If that is after it was composed, it is a copy that
                // connects, for one operation, and so is the next.
                remote.read(&CacheKey::from_str("a", "key")).await?;
                // By default nothing that Redis answers comes into memory.
                let policy = CompositionPolicy::new().refill(RefillPolicy::Always);
                let offload = OffloadManager::with_defaults();
                let both = memory.compose(remote, offload).with_policy(policy);
                Backend::Both(Arc::new(both))
            }
        };
        let limit = ConcurrencyLimit::new(1).ok_or("one fetch a key is within its bounds")?;
        let policy = PolicyConfig::builder().ttl(Duration::from_secs(3_600)).concurrency(limit);
        let (policy, concurrency) = (Arc::new(policy.build()), BroadcastConcurrencyManager::new());
        Ok(Self { backend, policy, concurrency })
    }

    fn key(digits: &str) -> Key {
        let parts = vec![KeyPart::new("fn", Some(FUNCTION)), KeyPart::new("str", Some(digits))];
        Key { argument: digits.to_owned(), key: CacheKey::new("", 0, parts) }
    }

    async fn get(&self, key: &Key) -> Option<String> {
        match &self.backend {
            Backend::Memory(backend) => read(&**backend, key).await,
            Backend::Both(backend) => read(&**backend, key).await,
        }
    }

    async fn get_or_fetch(&self, key: &Key, origin: &Origin<String>) -> Option<String> {
        Some(match &self.backend {
            Backend::Memory(backend) => self.call(backend, key, origin).await,
            Backend::Both(backend) => self.call(backend, key, origin).await,
        })
    }
}
