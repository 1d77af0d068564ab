//! Members of options in configuration.

use crate::options::{LeaseOptions, WriteMode};
use crate::remote::BreakerOptions;
use crate::strategy::Strategy;

cache_core::settings! {
    breaker, capacity, eager_refresh, failures, fetches_while_down, grace, hard_timeout, hedge_after, jitter,
    known_tags, lease, max_entries, max_weight, memory_ttl, namespace, negative_ttl, probe_interval, recheck,
    remote_deadline, slow_call, soft_timeout, stale_retry, strategy, ttl, wait, writes,
}

cache_core::plain_settings!(BreakerOptions, LeaseOptions, Strategy, WriteMode);
