//! What separates keys beside the body, one named test each.

mod common;

use std::collections::HashSet;

use cache_key::{EndpointKind, FORMAT_VERSION, KeyOptions, KeyScope, Request, Tenant};
use common::key;

const CHAT: EndpointKind = EndpointKind::ChatCompletions;
const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

fn scoped(scope: &KeyScope) -> cache_core::CacheKey {
    Request::parse(CHAT, BODY.as_bytes()).expect("a chat").key(scope)
}

/// A2: provider, base URL, namespace, forwarded headers, parts and the endpoint kind count too.
#[test]
fn a2_every_part_of_the_scope_counts() {
    let scope = || KeyScope::new(Tenant::Shared);
    let scopes = [
        scope(),
        scope().provider("openai"),
        scope().provider("azure"),
        scope().base_url("openai"),
        scope().namespace("openai"),
        scope().header("openai", ""),
        scope().part("openai", ""),
        scope().header("openai", "x"),
        scope().header("x", "openai"),
        scope().secret([0; 32]),
        scope().secret([1; 32]),
        scope().header("a", "1").header("a", "2"),
        scope().header("a", "2").header("a", "1"),
    ];
    let keys: HashSet<_> = scopes.iter().map(scoped).collect();
    assert_eq!(keys.len(), scopes.len());

    let kinds = [
        CHAT,
        EndpointKind::Completions,
        EndpointKind::Responses,
        EndpointKind::Messages,
        EndpointKind::Embeddings,
        EndpointKind::Rerank,
        EndpointKind::Generic,
    ];
    let keys: HashSet<_> = kinds.iter().map(|&kind| key(kind, BODY)).collect();
    assert_eq!(keys.len(), kinds.len());
}

/// The order in which a scope is put together does not matter, nor does the case of header names.
#[test]
fn scopes_are_sorted() {
    let scope = || KeyScope::new(Tenant::Shared);
    let one = scope()
        .header("OpenAI-Organization", "o")
        .header("anthropic-beta", "b")
        .part("x", "1")
        .part("y", "2");
    let two = scope()
        .part("y", "2")
        .header("Anthropic-Beta", "b")
        .part("x", "1")
        .header("openai-organization", "o");
    assert_eq!(scoped(&one), scoped(&two));
}

/// A10: the version is part of what is hashed: by `vectors`, whose preimages are spelt out.
#[test]
fn a10_keys_carry_the_format_version() {
    let request = Request::parse(CHAT, BODY.as_bytes()).expect("a chat");
    let frame = |bytes: &str| {
        let length = u8::try_from(bytes.len()).expect("it is short");
        [&[length], bytes.as_bytes()].concat()
    };
    let scope_preimage = |version: u32| {
        [
            b"cachekey".as_slice(),
            &[u8::try_from(version).expect("below 128, a varint of one byte")],
            &frame("ns"),
            &[2],
            &frame("acme"),
            &frame("openai"),
            &frame("https://x"),
            &[1],
            &frame("h"),
            &frame("v"),
            &[1],
            &frame("p"),
            &frame("w"),
        ]
        .concat()
    };
    let scope = KeyScope::new(Tenant::named("acme"))
        .namespace("ns")
        .provider("openai")
        .base_url("https://x")
        .header("H", "v")
        .part("p", "w");
    let of_request = |scope: blake3::Hash| {
        let preimage = [&[1], request.canonical_form().as_slice()].concat(); // 1: chat completions
        *blake3::keyed_hash(scope.as_bytes(), &preimage).as_bytes()
    };
    let key = request.key(&scope);
    assert_eq!(*key.as_bytes(), of_request(blake3::hash(&scope_preimage(FORMAT_VERSION))));
    assert_ne!(*key.as_bytes(), of_request(blake3::hash(&scope_preimage(FORMAT_VERSION + 1))));
    let keyed = request.key(&scope.secret([7; 32]));
    let digest = blake3::keyed_hash(&[7; 32], &scope_preimage(FORMAT_VERSION));
    assert_eq!(*keyed.as_bytes(), of_request(digest));
}

/// A14: no tenant's name imitates another tenant, or the lack of one.
#[test]
fn a14_tenants_are_apart() {
    let digest = blake3::derive_key("cache-key 2026 Tenant::credential v1", b"sk-1");
    let imitation: String = digest.iter().map(|&byte| char::from(byte)).collect();
    let mut tenants = vec![
        Tenant::Shared,
        Tenant::Anonymous,
        Tenant::credential(b""),
        Tenant::credential(b"sk-1"),
        Tenant::credential(b"sk-2"),
    ];
    let names = [
        "",
        "Shared",
        "shared",
        "Anonymous",
        "None",
        "null",
        "\0",
        "\u{1}",
        "\u{3}",
        "sk-1",
        &imitation,
    ];
    tenants.extend(names.map(Tenant::named));
    let keys: HashSet<_> =
        tenants.iter().map(|tenant| scoped(&KeyScope::new(tenant.clone()))).collect();
    assert_eq!(keys.len(), tenants.len());
}

/// A15, the part of keys: one user's key is no other's, and is found again for that user.
#[test]
fn a15_users_are_apart() {
    let of = |user: &str| scoped(&KeyScope::new(Tenant::named(user)));
    assert_ne!(of("user1"), of("user2"));
    assert_eq!(of("user1"), of("user1"));
}

/// A16: 16 hex digits for logs; nothing that is shown holds text of prompts or credentials.
#[test]
fn a16_nothing_shows_secrets() {
    let request = Request::parse(CHAT, br#"{"user":"PRIVATE"}"#).expect("a chat");
    let scope = KeyScope::new(Tenant::credential(b"PRIVATE"))
        .header("authorization", "Bearer PRIVATE")
        .part("p", "PRIVATE")
        .base_url("https://user:PRIVATE@host")
        .secret(*b"PRIVATEPRIVATEPRIVATEPRIVATE1234");
    let key = request.key(&scope);
    assert_eq!(key.short().to_string().len(), 16);
    let duplicate =
        Request::parse(CHAT, br#"{"PRIVATE":1,"PRIVATE":2}"#).map(|_| ()).expect_err("ambiguous");
    let builder = cache_key::KeyBuilder::new("x").part("PRIVATE");
    let user = request.member("user").expect("it is there");
    let shown = format!(
        "{key:?} {key} {scope:?} {request:?} {user:?} {duplicate:?} {duplicate} {builder:?}"
    );
    assert!(!shown.contains("PRIVATE") && !shown.contains("80, 82, 73"), "{shown}");
}

/// A scope that a key was made in and that is changed then is another scope, as if it had been made at
/// once.
#[test]
fn refined_scopes_forget_what_they_were() {
    let request = Request::parse(EndpointKind::Generic, b"{}").expect("a valid body");
    let key = |scope: &KeyScope| request.key(scope);
    let used = || {
        let scope = KeyScope::new(Tenant::Shared);
        let _ = key(&scope);
        scope
    };
    let refinements: [fn(KeyScope) -> KeyScope; 8] = [
        |scope| scope.namespace("x"),
        |scope| scope.provider("x"),
        |scope| scope.base_url("x"),
        |scope| scope.header("x", "y"),
        |scope| scope.answer_headers([("api-version", "1")]),
        |scope| scope.part("x", "y"),
        |scope| scope.secret([1; 32]),
        |scope| scope.options(KeyOptions::new().leave_out(EndpointKind::Generic, "x")),
    ];
    for (i, refine) in refinements.iter().enumerate() {
        let refined = refine(used());
        assert_ne!(key(&refined), key(&used()), "{i}");
        assert_eq!(key(&refined), key(&refine(KeyScope::new(Tenant::Shared))), "{i}");
        assert_eq!(key(&refined.clone()), key(&refined), "{i}");
    }
}

/// A2, A15: literal keys differ wherever anything beside the body does, or a byte of it, and are no keys
/// of requests.
#[test]
fn literal_keys() {
    let body = br#"{"model":"m","messages":[],"user":"u"}"#;
    let chat = EndpointKind::ChatCompletions;
    let scope = || KeyScope::new(Tenant::named("t")).provider("p");
    let leave_out = |kind| KeyOptions::new().leave_out(kind, "user");
    let scopes = [
        scope(),
        KeyScope::new(Tenant::named("u")).provider("p"),
        KeyScope::new(Tenant::credential(b"t")).provider("p"),
        scope().provider("q"),
        scope().base_url("b"),
        scope().namespace("n"),
        scope().header("h", "v"),
        scope().part("h", "v"),
        scope().secret([1; 32]),
        scope().options(leave_out(chat)),
    ];
    let mut keys: Vec<_> = scopes.iter().map(|scope| scope.literal_key(chat, body)).collect();
    keys.push(scope().literal_key(EndpointKind::Completions, body));
    keys.push(scope().literal_key(chat, &body[1..]));
    keys.push(scope().literal_key(chat, b""));
    keys.extend(scopes.iter().map(|s| Request::parse(chat, body).expect("a request").key(s)));
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key), "{at}");
    }
    assert_eq!(scope().literal_key(chat, body), keys[0], "and nothing else");
    let elsewhere = scope().options(leave_out(EndpointKind::Embeddings));
    assert_eq!(elsewhere.literal_key(chat, body), keys[0], "an option of another kind");

    // Padding is none of the body, wherever the body ends in it.
    let lengths = (0..1_100).chain(2_000..2_100).chain(4_050..4_150).chain(8_150..8_250);
    let all: HashSet<_> =
        lengths.clone().map(|length| scope().literal_key(chat, &vec![0; length])).collect();
    assert_eq!(all.len(), lengths.count());
}
