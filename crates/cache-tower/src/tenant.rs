//! Whose answers a request may see.

use cache_key::Tenant;
use http::{HeaderMap, header};

/// How requests are divided into tenants, who never see each other's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TenantPolicy {
    /// One tenant a credential; requests without any are a tenant of their own.
    #[default]
    Credential,
    /// One tenant for all: every caller sees every answer. Also callers without a valid
    /// credential do, since hits never reach the provider that would refuse it.
    Shared,
}

/// Where callers are known to carry credentials. Others divide callers too, under either policy:
/// every header counts in the key unless it is known to be neutral.
pub(crate) const CREDENTIALS: [&str; 6] =
    ["authorization", "api-key", "x-api-key", "x-goog-api-key", "proxy-authorization", "cookie"];

impl TenantPolicy {
    /// The tenant of a request with these headers, those left out for which `ignores` says so.
    pub(crate) fn tenant(self, headers: &HeaderMap, ignores: impl Fn(&str) -> bool) -> Tenant {
        if self == Self::Shared {
            return Tenant::Shared;
        }
        let mut credential = Vec::new();
        for name in CREDENTIALS.into_iter().filter(|name| !ignores(name)) {
            for value in headers.get_all(name) {
                // Framed, so that no two sets of headers come out as the same bytes.
                for part in [name.as_bytes(), value.as_bytes()] {
                    credential.extend((part.len() as u64).to_le_bytes());
                    credential.extend(part);
                }
            }
        }
        if credential.is_empty() { Tenant::Anonymous } else { Tenant::credential(&credential) }
    }
}

/// Whether to answer from the cache, as the caller's `Cache-Control` says (RFC 9111, 5.2.1).
pub(crate) fn cache_control(headers: &HeaderMap) -> CacheControl {
    let mut control = CacheControl::default();
    for value in headers.get_all(header::CACHE_CONTROL) {
        for directive in value.as_bytes().split(|&byte| byte == b',') {
            let directive = directive.trim_ascii();
            control.no_cache |= directive.eq_ignore_ascii_case(b"no-cache")
                || directive.eq_ignore_ascii_case(b"max-age=0");
            control.no_store |= directive.eq_ignore_ascii_case(b"no-store");
        }
    }
    control
}

/// What a caller asks of the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheControl {
    /// Not from the cache, though the new answer may be stored.
    pub(crate) no_cache: bool,
    /// Neither from the cache nor into it.
    pub(crate) no_store: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|&(n, v)| (n.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    fn shown(policy: TenantPolicy, pairs: &[(&'static str, &'static str)]) -> String {
        format!("{:?}", policy.tenant(&headers(pairs), |_| false))
    }

    /// A14, F8: every credential is a tenant, and so is having none.
    #[test]
    fn credentials_divide_tenants() {
        let by = |pairs: &[_]| TenantPolicy::Credential.tenant(&headers(pairs), |_| false);
        let all = [
            by(&[]),
            by(&[("authorization", "Bearer a")]),
            by(&[("authorization", "Bearer b")]),
            by(&[("x-api-key", "Bearer a")]),
            by(&[("authorization", "Bearer a"), ("cookie", "b")]),
            by(&[("authorization", "")]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b), "{a:?}");
        }
        assert_eq!(by(&[("authorization", "Bearer a")]), all[1]);
    }

    /// F59: what could be logged of a tenant is no credential.
    #[test]
    fn a_tenant_does_not_show_its_credential() {
        let shown = shown(TenantPolicy::Credential, &[("authorization", "Bearer hunter2")]);
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn cache_control_is_read_as_a_list() {
        let read = |value| cache_control(&headers(&[("cache-control", value)]));
        assert_eq!(read("private, No-Cache"), CacheControl { no_cache: true, no_store: false });
        assert_eq!(read("no-store,no-cache"), CacheControl { no_cache: true, no_store: true });
        assert_eq!(read("no-cachet"), CacheControl::default());
    }
}
