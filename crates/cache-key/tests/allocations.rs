//! What a key allocates: nothing for bodies of ordinary size once a thread has its buffers, and never
//! in proportion to bytes.

use allocation_counter::{AllocationInfo, measure};
use cache_key::{EndpointKind, KeyScope, Request, Tenant};

/// What one key allocates after others of the same body.
fn allocations(body: &str) -> AllocationInfo {
    let scope = KeyScope::new(Tenant::named("acme"));
    let key = || {
        let request = Request::parse(EndpointKind::ChatCompletions, body.as_bytes());
        request.expect("a valid body").key(&scope)
    };
    let first = key();
    measure(|| assert_eq!(key(), first))
}

fn chat(content: &str, messages: usize) -> String {
    let message = format!(r#"{{"role":"user","name":"n","content":"{content}"}}"#);
    format!(r#"{{"model":"m","messages":[{}]}}"#, vec![message; messages].join(","))
}

#[test]
fn ordinary_bodies_allocate_nothing() {
    for body in [chat("hi", 2), chat(r#"say \"hi\"\n"#, 60), chat(&"long ".repeat(500), 2)] {
        let info = allocations(&body);
        assert_eq!((info.count_total, info.bytes_total), (0, 0), "{} bytes", body.len());
    }
}

/// No second copy of a large body: its strings are hashed where they are.
#[test]
fn large_strings_are_not_copied() {
    let body = chat(&"x".repeat(8_000_000), 1);
    let info = allocations(&body);
    assert!(info.count_total <= 2, "{info:?}"); // the state of the hasher
    assert!(info.bytes_max < 10_000, "{info:?}");

    let first = measure(|| {
        let request = Request::parse(EndpointKind::ChatCompletions, body.as_bytes());
        drop(request.expect("a valid body"));
    });
    assert!(first.bytes_max < 100_000, "{first:?}");
}

/// The buffers of a body with many members are given back, and grow by doubling: their number is the
/// logarithm of the members, their size 40 bytes a member and its value.
#[test]
fn many_members_allocate_in_proportion_to_members() {
    let members = 100_000_u64;
    let body: Vec<String> = (0..members).map(|i| format!(r#""m{i}":{i}"#)).collect();
    let info = allocations(&format!("{{{}}}", body.join(",")));
    assert!(info.count_total < 40, "{info:?}");
    assert!(info.bytes_max < 150 * members, "{info:?}");
}
