//! Raw bytes as a stored record: an entry or a miss, never a panic, a hang or memory beyond what the
//! format bounds; what is taken for an entry means the same when it is written again, and nothing
//! that is encrypted is taken if it was changed.
//!
//! The entries under `tests/entries/v1` are the seeds, and a record may declare a payload of 64 MiB:
//! `cargo +nightly fuzz run record fuzz/corpus/record tests/entries/v1 -- -malloc_limit_mb=70 -timeout=5`
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cache_redis::fuzzing::record(bytes));
