//! Tags by which answers are invalidated together.

use cache_core::Tag;
use cache_key::Tenant;

/// The key of the hash that makes tags: nobody's own tag is one of these.
const KEY: &[u8; 32] = b"cache-llm 2026 tags of answers 1";

/// What an answer for `tenant` to a request that names `model` can be invalidated by.
pub(crate) fn of(asking: &Tenant, asked: &str) -> Vec<Tag> {
    vec![tenant(asking), model(asked)]
}

pub(crate) fn tenant(tenant: &Tenant) -> Tag {
    tag(b't', &tenant.digest())
}

pub(crate) fn model(model: &str) -> Tag {
    tag(b'm', model.as_bytes())
}

/// One block of the hash for most names: made for each request.
fn tag(kind: u8, name: &[u8]) -> Tag {
    let mut hash = blake3::Hasher::new_keyed(KEY);
    hash.update(&[kind]).update(name);
    let mut tag = [0; 16];
    tag.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    Tag(tag)
}
