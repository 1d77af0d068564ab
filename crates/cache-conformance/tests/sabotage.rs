//! The suite can fail: each way to break the contract is caught by the case that is about it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cache_conformance::cases::{batches, fences, reads, removal, time};
use cache_conformance::{Harness, MemoryRemote};
use cache_core::{
    CacheKey, Capabilities, Fence, Lookup, ManualClock, PutFenced, RemoteTier, Result, StoredEntry,
    Tags, Timestamp,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    PutIgnoresTheFence,
    RemovalIsForgotten,
    VersionsAreReused,
    AnyVersionIsRemoved,
    ExpiredIsReturned,
    SubSecondsAreRoundedUp,
    StaleIsDropped,
    TheFutureIsBelieved,
    ExpiredPutsAreIgnored,
    TtlNeverFalls,
    TagsAreLost,
    LongPayloadsAreCut,
    BatchesAreReversed,
    DuplicatesAreDropped,
    EarlierPutsWin,
    RemovalsCountTwice,
    PurgeDoesNothing,
}

/// The reference tier with one fault.
#[derive(Debug)]
struct Broken {
    inner: MemoryRemote,
    fault: Fault,
}

impl Broken {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn bend(&self, entry: &StoredEntry) -> StoredEntry {
        let mut entry = entry.clone();
        let life = entry.expires_at.saturating_since(entry.stored_at);
        match self.fault {
            Fault::ExpiredIsReturned => entry.expires_at = Timestamp::MAX,
            Fault::SubSecondsAreRoundedUp if life < Duration::from_secs(1) => {
                entry.expires_at = entry.stored_at.saturating_add(Duration::from_secs(1));
            }
            Fault::StaleIsDropped => entry.expires_at = entry.fresh_until,
            Fault::TheFutureIsBelieved => entry.stored_at = Timestamp::default(),
            Fault::TagsAreLost => entry.tags = Tags::default(),
            Fault::LongPayloadsAreCut => entry.value.bytes.truncate(65_536),
            _ => {}
        }
        entry
    }

    fn seen(&self, mut lookup: Lookup) -> Lookup {
        if self.has(Fault::VersionsAreReused) && lookup.fence != Fence::ABSENT {
            lookup.fence = Fence([9; 16]);
        }
        lookup
    }
}

#[async_trait]
impl RemoteTier for Broken {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn get(&self, key: &CacheKey) -> Result<Lookup> {
        Ok(self.seen(self.inner.get(key).await?))
    }

    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Lookup>> {
        let mut keys = keys.to_vec();
        match self.fault {
            Fault::BatchesAreReversed => keys.reverse(),
            Fault::DuplicatesAreDropped => {
                let mut seen = Vec::new();
                keys.retain(|key| {
                    !seen.contains(key) && {
                        seen.push(*key);
                        true
                    }
                });
            }
            _ => {}
        }
        let lookups = self.inner.get_many(&keys).await?;
        Ok(lookups.into_iter().map(|lookup| self.seen(lookup)).collect())
    }

    async fn put(&self, key: &CacheKey, entry: &StoredEntry) -> Result<()> {
        let nothing = entry.expires_at <= entry.stored_at;
        if self.has(Fault::ExpiredPutsAreIgnored) && nothing {
            return Ok(());
        }
        self.inner.put(key, &self.bend(entry)).await
    }

    async fn put_many(&self, entries: &[(CacheKey, StoredEntry)]) -> Result<()> {
        let mut entries = entries.to_vec();
        if self.has(Fault::EarlierPutsWin) {
            entries.reverse();
        }
        for (key, entry) in &entries {
            self.put(key, entry).await?;
        }
        Ok(())
    }

    async fn put_fenced(
        &self,
        key: &CacheKey,
        entry: &StoredEntry,
        fence: Fence,
    ) -> Result<PutFenced> {
        if self.has(Fault::PutIgnoresTheFence) || self.has(Fault::VersionsAreReused) {
            self.put(key, entry).await?;
            return Ok(PutFenced::Stored);
        }
        self.inner.put_fenced(key, &self.bend(entry), fence).await
    }

    async fn remove(&self, key: &CacheKey) -> Result<bool> {
        if self.has(Fault::RemovalIsForgotten) {
            let was_live = self.inner.ttl(key).await?.is_some();
            self.inner.purge().await?;
            return Ok(was_live);
        }
        self.inner.remove(key).await
    }

    async fn remove_many(&self, keys: &[CacheKey]) -> Result<u64> {
        let removed = self.inner.remove_many(keys).await?;
        Ok(if self.has(Fault::RemovalsCountTwice) { keys.len() as u64 } else { removed })
    }

    async fn remove_if_equals(&self, key: &CacheKey, fence: Fence) -> Result<bool> {
        if self.has(Fault::AnyVersionIsRemoved) {
            return self.inner.remove(key).await;
        }
        self.inner.remove_if_equals(key, fence).await
    }

    async fn ttl(&self, key: &CacheKey) -> Result<Option<Duration>> {
        let left = self.inner.ttl(key).await?;
        let whole = Duration::from_secs(3_600);
        Ok(if self.has(Fault::TtlNeverFalls) { left.map(|_| whole) } else { left })
    }

    async fn purge(&self) -> Result<u64> {
        if self.has(Fault::PurgeDoesNothing) {
            return Ok(1_500);
        }
        self.inner.purge().await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}

fn broken(fault: Fault) -> Harness<Broken> {
    let clock = Arc::new(ManualClock::default());
    let inner = MemoryRemote::new(clock.clone());
    Harness::with_clock(Broken { inner, fault }, clock)
}

macro_rules! caught {
    ($($fault:ident in $test:ident by $module:ident::$case:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $test() {
                let harness = broken(Fault::$fault);
                let case = tokio::spawn(async move { $module::$case(&harness).await });
                assert!(case.await.is_err(), "{:?} went through", Fault::$fault);
            }
        )+
    };
}

caught! {
    PutIgnoresTheFence in put_ignores_the_fence by fences::a_write_voids_fences,
    RemovalIsForgotten in removal_is_forgotten by fences::removing_nothing_voids_fences,
    VersionsAreReused in versions_are_reused by fences::every_write_is_a_new_version,
    AnyVersionIsRemoved in any_version_is_removed by removal::only_the_read_version_is_removed,
    ExpiredIsReturned in expired_is_returned by time::expired_is_absent,
    SubSecondsAreRoundedUp in sub_seconds_are_rounded_up by time::lives_below_a_second_are_kept,
    StaleIsDropped in stale_is_dropped by time::stale_is_not_expired,
    TheFutureIsBelieved in the_future_is_believed by time::the_future_lengthens_no_life,
    ExpiredPutsAreIgnored in expired_puts_are_ignored by time::putting_the_expired_removes,
    TtlNeverFalls in ttl_never_falls by time::ttl_starts_at_what_was_given_and_falls,
    TagsAreLost in tags_are_lost by reads::what_was_put_is_got,
    LongPayloadsAreCut in long_payloads_are_cut by reads::payloads_of_any_length_come_back,
    BatchesAreReversed in batches_are_reversed by batches::many_are_read_in_order,
    DuplicatesAreDropped in duplicates_are_dropped by batches::many_are_read_in_order,
    EarlierPutsWin in earlier_puts_win by batches::of_two_puts_the_later_wins,
    RemovalsCountTwice in removals_count_twice by batches::many_are_removed_and_counted_once,
    PurgeDoesNothing in purge_does_nothing by removal::purging_leaves_nothing,
}
