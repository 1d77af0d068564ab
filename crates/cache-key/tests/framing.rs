//! A9, A14: no two scopes share a key, whatever stands in their strings.

mod common;

use cache_key::{EndpointKind, KeyBuilder, KeyOptions, KeyScope, Request, Tenant};
use proptest::prelude::*;

/// A scope by its parts; lists sorted as a scope sorts them.
#[derive(Clone, Debug, PartialEq)]
struct Tuple {
    namespace: String,
    tenant: Tenant,
    provider: String,
    base_url: String,
    headers: Vec<(String, String)>,
    parts: Vec<(String, String)>,
    secret: Option<[u8; 32]>,
}

impl Tuple {
    fn key(&self, body: &str) -> cache_core::CacheKey {
        let mut scope = KeyScope::new(self.tenant.clone())
            .namespace(&self.namespace)
            .provider(&self.provider)
            .base_url(&self.base_url);
        for (name, value) in &self.headers {
            scope = scope.header(name, value);
        }
        for (name, value) in &self.parts {
            scope = scope.part(name, value);
        }
        if let Some(secret) = self.secret {
            scope = scope.secret(secret);
        }
        Request::parse(EndpointKind::Generic, body.as_bytes()).expect("a body").key(&scope)
    }
}

/// Few different strings, of the characters that separators and lengths are made of.
fn text() -> impl Strategy<Value = String> {
    "[|=;:\u{0}\u{1}\n,{}a]{0,3}"
}

fn tenant() -> impl Strategy<Value = Tenant> {
    prop_oneof![
        Just(Tenant::Shared),
        Just(Tenant::Anonymous),
        text().prop_map(Tenant::Named),
        text().prop_map(|secret| Tenant::credential(secret.as_bytes())),
    ]
}

fn list() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((text(), text()), 0..3).prop_map(|mut list| {
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list
    })
}

fn tuple() -> impl Strategy<Value = Tuple> {
    let secret =
        prop_oneof![3 => Just(None), 1 => any::<bool>().prop_map(|bit| Some([u8::from(bit); 32]))];
    (text(), tenant(), text(), text(), list(), list(), secret).prop_map(
        |(namespace, tenant, provider, base_url, headers, parts, secret)| Tuple {
            namespace,
            tenant,
            provider,
            base_url,
            headers,
            parts,
            secret,
        },
    )
}

proptest! {
    #![proptest_config(common::config())]

    /// A9: equal keys only of equal tuples, with any of `|`, `=`, `;`, `:`, NUL, newline in them.
    #[test]
    fn scopes_never_meet(one in tuple(), two in tuple()) {
        prop_assert_eq!(one.key("{}") == two.key("{}"), one == two);
    }

    /// A9: moving one character from the end of a field to the beginning of the next one.
    #[test]
    fn no_boundary_can_be_shifted(from in tuple(), field in 0..4_usize) {
        let mut to = from.clone();
        let shift = |a: &mut String, b: &mut String| {
            if let Some(moved) = a.pop() {
                b.insert(0, moved);
            }
        };
        match field {
            0 => shift(&mut to.provider, &mut to.base_url),
            1 => shift(&mut to.base_url, &mut to.provider),
            2 => shift(&mut to.namespace, &mut to.provider),
            _ => std::mem::swap(&mut to.headers, &mut to.parts),
        }
        prop_assert_eq!(from.key("{}") == to.key("{}"), from == to);
    }

    /// A9: parts of other keys are framed too.
    #[test]
    fn built_keys_never_meet(
        one in (text(), prop::collection::vec(text(), 0..4)),
        two in (text(), prop::collection::vec(text(), 0..4)),
    ) {
        let key = |(domain, parts): &(String, Vec<String>)| {
            parts.iter().fold(KeyBuilder::new(domain), KeyBuilder::part).finish()
        };
        prop_assert_eq!(key(&one) == key(&two), one == two);
    }
}

/// A digest of a value is no key, whatever the value: this one has the bytes that a `KeyBuilder`
/// hashes.
#[test]
fn digests_of_values_are_not_keys() {
    let body = br#"{"x":"eyparts\u0001\u0002ab\u0001c"}"#;
    let request = Request::parse(EndpointKind::Generic, body).expect("a request");
    let key = KeyBuilder::new("ab").part("c").finish();
    let digest = request.member("x").expect("it is there").digest();
    assert_ne!(digest, *key.as_bytes());
    assert_ne!(request.explain(&KeyOptions::new()).entered[0].digest, *key.as_bytes());
}
