//! The protocols between threads of `cache-memory`, in every order of steps that `loom` can think of.

use crate::failure::Outcome;
use crate::shell::{cargo, root, run};

/// Built apart: what is compiled with `--cfg loom` is of no use to anything else.
pub(crate) fn models() -> Outcome {
    let mut models = cargo("test --release --package cache-memory --lib models");
    models.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", root().join("target/loom"));
    run(&mut models)
}
