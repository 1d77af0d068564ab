//! Whether keys depend on the cargo features that others switch on: `serde_json`'s, which change what its
//! values hold, and `cache-key`'s own.

use crate::failure::Outcome;
use crate::shell::{cargo, run};

/// Each alone, and all at once. Whatever `serde_json` is built with, a dependency of a user may have
/// asked for.
const COMBINATIONS: &[&str] = &[
    "",
    "serde,serde_json/preserve_order",
    "serde,serde_json/arbitrary_precision",
    "serde,serde_json/float_roundtrip",
    "serde,llmix,serde_json/preserve_order,serde_json/arbitrary_precision,serde_json/float_roundtrip",
];

/// The golden vectors, and the typed requests that `serde_json` writes, under each combination.
pub(crate) fn key_features() -> Outcome {
    for features in COMBINATIONS {
        let mut test =
            cargo("test --package cache-key --test vectors --test typed --no-default-features");
        run(test.args(["--features", features]))?;
    }
    Ok(())
}
