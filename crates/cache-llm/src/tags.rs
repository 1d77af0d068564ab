//! Tags by which answers are invalidated together.

use std::cell::RefCell;

use cache_core::Tag;
use cache_key::Tenant;

/// The key of the hash that makes tags: nobody's own tag is one of these.
const KEY: &[u8; 32] = b"cache-llm 2026 tags of answers 1";

/// Names whose tags each thread remembers. Three hashes a request are a good part of what a hit takes
/// beside its key, and most requests are of few tenants and fewer models.
const REMEMBERED: usize = 16;
/// Longer names, in bytes, are not remembered: they come from outside.
const LONGEST: usize = 128;

type Memory<N> = RefCell<[Option<(N, Tag)>; REMEMBERED]>;

thread_local! {
    static TENANTS: Memory<Tenant> = const { RefCell::new([const { None }; REMEMBERED]) };
    static MODELS: Memory<Box<str>> = const { RefCell::new([const { None }; REMEMBERED]) };
}

/// What an answer for `tenant` to a request that names `model` can be invalidated by.
pub(crate) fn of(asking: &Tenant, asked: &str) -> Vec<Tag> {
    let name = match asking {
        Tenant::Named(name) => name,
        _ => "",
    };
    let of_tenant = if name.len() > LONGEST {
        tenant(asking)
    } else {
        let new = || (asking.clone(), tenant(asking));
        TENANTS.with_borrow_mut(|memory| {
            recalled(&mut memory[place(name)], |known| known == asking, new)
        })
    };
    let of_model = if asked.len() > LONGEST {
        model(asked)
    } else {
        let new = || (asked.into(), model(asked));
        MODELS.with_borrow_mut(|memory| {
            recalled(&mut memory[place(asked)], |known| **known == *asked, new)
        })
    };
    vec![of_tenant, of_model]
}

/// The tag that is remembered here if it is of the same name, else of the new one, in its place.
fn recalled<N>(
    remembered: &mut Option<(N, Tag)>,
    same: impl Fn(&N) -> bool,
    new: impl FnOnce() -> (N, Tag),
) -> Tag {
    match remembered {
        Some((name, tag)) if same(name) => *tag,
        _ => remembered.insert(new()).1,
    }
}

/// Names that differ mostly do so in length or at their end.
fn place(name: &str) -> usize {
    let last = name.as_bytes().last().copied().unwrap_or(0);
    (name.len() ^ usize::from(last)) % REMEMBERED
}

pub(crate) fn tenant(tenant: &Tenant) -> Tag {
    tag(b't', &tenant.digest())
}

pub(crate) fn model(model: &str) -> Tag {
    tag(b'm', model.as_bytes())
}

fn tag(kind: u8, name: &[u8]) -> Tag {
    let mut hash = blake3::Hasher::new_keyed(KEY);
    hash.update(&[kind]).update(name);
    let mut tag = [0; 16];
    tag.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    Tag(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is remembered is never another name's.
    #[test]
    fn tags_are_those_of_their_names() {
        let long = "l".repeat(LONGEST + 1);
        let tenants: Vec<Tenant> = ["", "a", "b", "ab", "ba", "q", "tenant-1", "tenant-2", &long]
            .map(Tenant::named)
            .into_iter()
            .chain([Tenant::Shared, Tenant::Anonymous])
            .chain([&b"1"[..], b"2"].map(Tenant::credential))
            .collect();
        for _ in 0..2 {
            for asking in &tenants {
                for asked in ["gpt-4o", "gpt-5o", "gpt-4.1", "o3", "o4", "", "a", &long] {
                    assert_eq!(of(asking, asked), [tenant(asking), model(asked)]);
                }
            }
        }
    }
}
