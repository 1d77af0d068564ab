//! [`Known`]: what was decided about requests that have come before.

use cache_core::{BuildKeyHasher, CacheKey};
use cache_dual::memory::MemoryCache;

use crate::plan::Plan;

/// Longer names of models, in bytes, are not remembered: they come from outside.
const LONGEST: usize = 256;

/// The plans of requests, by their [literal keys](cache_key::KeyScope::literal_key).
///
/// A plan follows from the bytes of the request, its scope and the policy, which never changes, so it
/// holds for as long as anybody remembers it. Clients that ask again mostly send the same bytes.
pub(crate) struct Known(Option<MemoryCache<CacheKey, Plan, BuildKeyHasher>>);

impl Known {
    /// Remembers so many requests.
    pub(crate) fn new(requests: usize) -> Self {
        let builder = MemoryCache::builder().hasher(BuildKeyHasher).max_entries(requests as u64);
        Self(builder.build().ok()) // no requests at all are the one number it does not take
    }

    /// The plan of the request that `literal` is the key of: one that is known, or the new one.
    pub(crate) fn plan<E>(
        &self,
        literal: impl FnOnce() -> CacheKey,
        new: impl FnOnce() -> Result<Plan, E>,
    ) -> Result<Plan, E> {
        let Some(plans) = &self.0 else { return new() };
        let literal = literal();
        if let Some(plan) = plans.get(&literal) {
            return Ok(plan.to_value());
        }
        let plan = new()?;
        if plan.model().len() <= LONGEST {
            let _ = plans.insert(literal, plan.clone());
        }
        Ok(plan)
    }
}
