//! The program behind `cargo xtask demo`.

fn main() {}
