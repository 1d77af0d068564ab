//! Names for processes.

use std::hash::{BuildHasher as _, RandomState};

/// 40 hexadecimal digits, as nodes and sentinels call themselves. Processes of another setup that come
/// by a port of ours must not take one of ours for one of theirs.
pub(super) fn random_id() -> String {
    let random = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}{:08x}", random(), random(), random() >> 32)
}
