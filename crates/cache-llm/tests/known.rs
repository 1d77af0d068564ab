//! Requests that come again, byte for byte: remembered, and never mixed up.

mod common;

use std::time::Duration;

use cache_key::KeyOptions;
use cache_llm::{Bypass, DualCache, EndpointKind, KeyScope, LlmCache, RequestPolicy, Tenant};
use common::*;
use proptest::prelude::*;

fn remembering(requests: usize, policy: RequestPolicy) -> Cache {
    let dual = DualCache::builder().build().expect("good options");
    let builder = LlmCache::builder(dual).request_policy(policy);
    builder.requests_known(requests).build().expect("as well")
}

const KINDS: [EndpointKind; 5] = [
    EndpointKind::ChatCompletions,
    EndpointKind::Completions,
    EndpointKind::Responses,
    EndpointKind::Messages,
    EndpointKind::Embeddings,
];

/// Few of each, so that most come again; some are none of the cache's business.
fn request() -> impl Strategy<Value = (EndpointKind, String, KeyScope)> {
    let members = prop::sample::subsequence(
        vec![
            r#""stream":true"#,
            r#""stream_options":{"include_usage":true}"#,
            r#""temperature":0"#,
            r#""user":"u""#,
            r#""n":2"#,
            r#""max_tokens":5"#,
            r#""store":true"#,
            r#""tools":[{"type":"function"}]"#,
        ],
        0..4,
    );
    let scope =
        (0..3_u8, 0..2_u8, 0..2_u8, 0..2_u8).prop_map(|(tenant, header, options, secret)| {
            let scope = KeyScope::new(match tenant {
                0 => Tenant::Shared,
                1 => Tenant::named("a"),
                _ => Tenant::credential(b"a"),
            });
            let scope = if header == 0 { scope } else { scope.header("openai-beta", "x") };
            let scope = if secret == 0 { scope } else { scope.secret([7; 32]) };
            match options {
                0 => scope,
                _ => scope
                    .options(KeyOptions::new().leave_out(EndpointKind::ChatCompletions, "user")),
            }
        });
    (prop::sample::select(KINDS.to_vec()), members, 0..3_u8, scope).prop_map(
        |(kind, members, model, scope)| {
            let mut body =
                format!(r#"{{"model":"m{model}","input":"i","messages":[],"prompt":"p""#);
            for member in members {
                body.extend([",", member]);
            }
            body.push_str(if model == 2 { "} " } else { "}" }); // perhaps as another one, but for white space
            (kind, body, scope)
        },
    )
}

proptest! {
    /// A1, A2: what is remembered is what would have been decided, whoever asked for what before, and
    /// however little of it there is room for.
    #[test]
    fn what_is_known_is_right(
        requests in prop::collection::vec(request(), 1..60),
        room in prop::sample::select(vec![1, 5, 1_000]),
    ) {
        let policy = || RequestPolicy::default().tools(false).model_ttl("m1", Duration::from_secs(5));
        let (known, forgetful) = (remembering(room, policy()), remembering(0, policy()));
        for (kind, body, scope) in requests.iter().chain(&requests) {
            let [one, other] =
                [&known, &forgetful].map(|cache| cache.prepare(*kind, body.as_bytes(), scope));
            prop_assert_eq!(format!("{one:?}"), format!("{other:?}"), "{} {}", kind, body);
        }
        prop_assert_eq!(format!("{:?}", known.report()), format!("{:?}", forgetful.report()));
    }
}

/// Jitter is each plan's own.
#[test]
fn times_to_live_are_drawn_anew() {
    let cache = remembering(10, RequestPolicy::default().jitter(0.5));
    let scope = KeyScope::new(Tenant::Shared);
    let body = br#"{"model":"m","messages":[]}"#;
    let ttl = || cache.prepare(EndpointKind::ChatCompletions, body, &scope).unwrap().ttl();
    let first = ttl();
    assert!((0..50).any(|_| ttl() != first));
}

/// Kinds and sizes are looked at first, whatever is known.
#[test]
fn decisions_beside_the_request_come_first() {
    let cache = remembering(10, RequestPolicy::default().max_body(100));
    let scope = KeyScope::new(Tenant::Shared);
    let prepare = |kind, body: &str| cache.prepare(kind, body.as_bytes(), &scope);
    let body = r#"{"model":"m","messages":[]}"#;
    assert!(prepare(EndpointKind::ChatCompletions, body).is_ok());
    assert!(matches!(prepare(EndpointKind::Rerank, body), Err(Bypass::Kind(_))));
    let padded = format!("{body:>101}");
    assert!(matches!(
        prepare(EndpointKind::ChatCompletions, &padded),
        Err(Bypass::TooLarge { limit: 100 })
    ));
}
