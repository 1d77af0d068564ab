//! The macros that make tests of the cases.

use std::future::Future;

use crate::harness::IntoHarness;

/// Makes a test of every case that each [`RemoteTier`](cache_core::RemoteTier) must pass.
///
/// `remote_tier_suite!(name, expression)` is a module called `name` with one `#[test]` a case. The
/// expression is evaluated for each, to a [`Harness`](crate::Harness) or, where the tier may not be available, an
/// `Option` of one: a test without a harness passes, so say aloud that you skip.
///
/// The namespace of the tier must be the suite's own: `purge` is among the cases.
#[macro_export]
macro_rules! remote_tier_suite {
    ($name:ident, $make:expr) => {
        $crate::__cases!(
            $name,
            $make,
            [
                reads::absent_is_a_miss,
                reads::what_was_put_is_got,
                reads::payloads_of_any_length_come_back,
                reads::the_last_put_wins,
                reads::values_are_whole,
                reads::a_dropped_put_leaves_the_old_or_the_new,
                reads::the_tier_answers_pings_and_describes_itself,
                reads::calls_end_within_the_deadline,
                time::expired_is_absent,
                time::lives_below_a_second_are_kept,
                time::stale_is_not_expired,
                time::putting_the_expired_removes,
                time::ttl_starts_at_what_was_given_and_falls,
                time::no_clock_lengthens_a_life,
                time::the_future_lengthens_no_life,
                batches::many_are_read_in_order,
                batches::of_two_puts_the_later_wins,
                batches::many_are_removed_and_counted_once,
                batches::nothing_is_a_batch,
                removal::removing_says_what_was_there,
                removal::only_the_read_version_is_removed,
                removal::purging_leaves_nothing,
                fences::every_write_is_a_new_version,
                fences::an_unchanged_version_lets_a_put_through,
                fences::a_write_voids_fences,
                fences::a_removal_voids_fences,
                fences::removing_nothing_voids_fences,
                fences::a_removal_is_remembered,
                fences::one_of_many_fenced_puts_wins,
                fences::an_expired_put_is_a_removal,
            ]
        );
    };
}

/// Makes a test of every case about bytes that somebody else put under the tier's keys: for tiers
/// whose [`Harness`](crate::Harness) was told how to [plant](crate::Harness::plant_with) such bytes.
///
/// As [`remote_tier_suite!`] otherwise.
#[macro_export]
macro_rules! foreign_bytes_suite {
    ($name:ident, $make:expr) => {
        $crate::__cases!(
            $name,
            $make,
            [
                foreign::foreign_bytes_are_a_miss,
                foreign::foreign_bytes_are_overwritten,
                foreign::foreign_bytes_are_removed_only_as_read,
                foreign::removing_foreign_bytes_removes_no_entry,
            ]
        );
    };
}

/// Makes a test of every case that each [`LocalTier`](cache_core::LocalTier) must pass.
///
/// `local_tier_suite!(name, expression)` is a module called `name` with one `#[test]` a case. The
/// expression is evaluated for each, to a [`LocalHarness`](crate::LocalHarness) around an empty tier.
#[macro_export]
macro_rules! local_tier_suite {
    ($name:ident, $make:expr) => {
        $crate::__local_cases!(
            $name,
            $make,
            [
                reads::absent_is_a_miss,
                reads::what_was_inserted_is_got,
                reads::looking_is_getting,
                reads::the_last_insert_wins,
                reads::entries_are_whole,
                time::expired_is_absent,
                time::lives_below_a_second_are_kept,
                time::stale_is_not_expired,
                time::a_fill_keeps_what_is_left,
                time::inserting_the_expired_removes,
                conditions::a_condition_that_holds_stores,
                conditions::a_declined_insert_changes_nothing,
                conditions::a_removal_waits_for_the_insert,
                conditions::a_clear_waits_for_the_insert,
                conditions::fenced_writers_lose_to_removals,
                conditions::fenced_writers_lose_to_clears,
                removal::removing_says_what_was_there,
                removal::removal_is_up_to_the_predicate,
                removal::a_replacement_is_spared,
                removal::predicates_lock_nothing,
                removal::clearing_leaves_nothing,
                bounds::what_is_held_is_counted,
                bounds::statistics_tell_what_is_held,
                bounds::the_bound_holds,
            ]
        );
    };
}

/// Makes a test of every case about tiers in memory that are bounded in weight. As [`local_tier_suite!`]
/// otherwise.
#[macro_export]
macro_rules! local_weight_suite {
    ($name:ident, $make:expr) => {
        $crate::__local_cases!($name, $make, [bounds::the_too_heavy_is_refused]);
    };
}

/// Makes a test of every case that each [`InvalidationBus`](cache_core::InvalidationBus) must pass.
///
/// As [`remote_tier_suite!`], for a [`BusHarness`](crate::BusHarness):
///
/// ```
/// use cache_conformance::{BusHarness, LocalBus};
///
/// fn local() -> BusHarness {
///     let bus = LocalBus::new();
///     BusHarness::new(move || bus.peer())
/// }
///
/// # fn main() {}
/// # mod tests { // in tests/bus.rs of the crate that has the bus
/// # use super::*;
/// cache_conformance::bus_suite!(plain, local());
/// # }
/// ```
#[macro_export]
macro_rules! bus_suite {
    ($name:ident, $make:expr) => {
        $crate::__cases!(
            $name,
            $make,
            [
                bus::others_hear_what_is_published,
                bus::nobody_hears_itself,
                bus::a_subscription_begins_when_it_was_made,
                bus::the_first_message_is_heard,
                bus::messages_come_in_order,
                bus::many_publish_at_once,
                bus::who_falls_behind_is_told_first,
                bus::a_dropped_subscription_ends_alone,
                bus::waiting_may_be_given_up,
                bus::publishing_may_be_given_up,
                bus::subscribing_may_be_given_up,
                bus::streams_end_with_the_bus,
                bus::publishing_to_nobody_is_no_error,
            ]
        );
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
    ($name:ident, $make:expr, [$($module:ident::$case:ident),+ $(,)?]) => {
        mod $name {
            #[allow(unused_imports, reason = "what the expression names")]
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::run(
                        || $make,
                        async |harness| $crate::cases::$module::$case(&harness).await,
                    );
                }
            )+
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __local_cases {
    ($name:ident, $make:expr, [$($module:ident::$case:ident),+ $(,)?]) => {
        mod $name {
            #[allow(unused_imports, reason = "what the expression names")]
            use super::*;

            $(
                #[test]
                fn $case() {
                    $crate::cases::local::$module::$case(&$make);
                }
            )+
        }
    };
}

/// Runs one case on a runtime of its own, in which the harness is made too.
///
/// # Panics
///
/// If the case fails, or no runtime can be built.
pub fn run<H: IntoHarness, F: Future<Output = ()>>(
    make: impl FnOnce() -> H,
    case: impl FnOnce(H::Harness) -> F,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        if let Some(harness) = make().into_harness() {
            case(harness).await;
        }
    });
}
