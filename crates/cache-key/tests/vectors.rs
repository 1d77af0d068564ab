//! Golden vectors: what version 1 of the format makes of given requests, for ever.
//!
//! They were computed by an implementation of `docs/key-format.md` in another language. A failure
//! here means that stored entries would be lost, or worse: change `FORMAT_VERSION` and add a
//! directory of new vectors, or take the change back.

use std::fs;
use std::path::Path;

use cache_key::{EndpointKind, FORMAT_VERSION, KeyScope, Request, Tenant};
use serde_json::Value;

/// A10: the vectors of the current version reproduce, canonical bytes and key.
#[test]
fn vectors_reproduce() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/v{FORMAT_VERSION}"));
    let mut count = 0;
    for file in fs::read_dir(&folder).expect("there are vectors of this version") {
        let file = file.expect("a file").path();
        let text = fs::read_to_string(&file).expect("text");
        check(&serde_json::from_str(&text).expect("JSON"), &file.display().to_string());
        count += 1;
    }
    assert_eq!(count, 19, "a vector was added or lost");
}

fn check(vector: &Value, name: &str) {
    let body = text(&vector["body"]);
    let request = Request::parse(endpoint(text(&vector["endpoint"])), body.as_bytes());
    let request = request.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(
        hex(&request.canonical_form()),
        text(&vector["canonical"]),
        "canonical form of {name}"
    );
    assert_eq!(
        request.key(&scope(&vector["scope"])).to_string(),
        text(&vector["key"]),
        "key of {name}"
    );
}

fn endpoint(name: &str) -> EndpointKind {
    let kinds = [
        EndpointKind::ChatCompletions,
        EndpointKind::Completions,
        EndpointKind::Responses,
        EndpointKind::Messages,
        EndpointKind::Embeddings,
        EndpointKind::Rerank,
        EndpointKind::Generic,
    ];
    kinds.into_iter().find(|kind| kind.as_str() == name).expect("a known endpoint")
}

fn scope(scope: &Value) -> KeyScope {
    let tenant = &scope["tenant"];
    let tenant = match tenant.as_str() {
        Some("shared") => Tenant::Shared,
        Some("anonymous") => Tenant::Anonymous,
        _ => match tenant["named"].as_str() {
            Some(name) => Tenant::named(name),
            None => Tenant::credential(text(&tenant["credential"]).as_bytes()),
        },
    };
    let set = |name: &str| scope[name].as_str().unwrap_or_default();
    let mut made = KeyScope::new(tenant)
        .namespace(set("namespace"))
        .provider(set("provider"))
        .base_url(set("base_url"));
    for pair in scope["headers"].as_array().into_iter().flatten() {
        made = made.header(text(&pair[0]), text(&pair[1]));
    }
    for pair in scope["parts"].as_array().into_iter().flatten() {
        made = made.part(text(&pair[0]), text(&pair[1]));
    }
    match scope["secret"].as_str() {
        Some(secret) => {
            made.secret(*secret.parse::<cache_core::CacheKey>().expect("64 hex digits").as_bytes())
        }
        None => made,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// The key of a builder is pinned likewise.
#[test]
fn built_keys_are_pinned() {
    let key = cache_key::KeyBuilder::new("profile page").part("ann").part([0, 1, 2]).finish();
    assert_eq!(key.to_string(), "1874341e915fb1168b74a4f831152d6754263761abca64df5238a5a0b2da2be0");
}
