//! The `cache-proxy` binary.

fn main() {}
