//! Raw bytes as an answer of llmix: a text with a time that was meant, or a miss.
//!
//! `cargo +nightly fuzz run llmix fuzz/corpus/llmix tests/entries/llmix -- -timeout=5`
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| cache_redis::fuzzing::llmix(bytes));
