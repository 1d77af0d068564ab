//! Who is let in: users, passwords, databases, certificates.

mod common;

use cache_core::{Error, PutFenced, RemoteTier as _};
use cache_redis::{RedisTier, Tls};
use testbed::redis::{Certificates, RedisServerOptions, server_with_or_skip};

use common::{entry, key};

#[tokio::test]
async fn an_acl_user_is_let_in_by_url_and_by_builder() {
    let options = RedisServerOptions::default()
        .user_with_rules("cache", "right", &["~*", "+@all"])
        .without_default_user();
    let Some(server) = server_with_or_skip("cache-redis/acl", &options) else { return };

    let by_url = common::tier(&server);
    by_url.put(&key("k"), &entry("v")).await.unwrap();

    let bare = format!("redis://127.0.0.1:{}/", server.address().port());
    let builder = RedisTier::builder(&bare).unwrap().command_timeout(common::SLACK);
    let by_builder = builder.clone().username("cache").password("right").build().unwrap();
    assert!(by_builder.get(&key("k")).await.unwrap().entry.is_some());

    for stranger in [builder.clone(), builder.username("cache").password("wrong")] {
        let error = stranger.build().unwrap().get(&key("k")).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        let said = format!("{error:?}");
        assert!(!said.contains("wrong\""), "{said}");
    }
}

/// F59: sockets, the newer protocol and what else a URL may say: all is understood, and the password in
/// it is shown nowhere.
#[tokio::test]
async fn urls_may_say_more() {
    let options = RedisServerOptions::default().password("hidden");
    let Some(server) = server_with_or_skip("cache-redis/urls", &options) else { return };
    let said = server.command("CONFIG GET unixsocket").unwrap();
    let socket = said.lines().map(str::trim).find(|line| line.starts_with('/'));
    let socket = socket.expect("the testbed has one");
    for url in [
        format!("{}?protocol=resp3", server.url()),
        format!("unix://{socket}?pass=hidden"),
        format!("redis+unix://{socket}?pass=hidden&db=3&protocol=resp3"),
    ] {
        let builder = RedisTier::builder(&url).unwrap().command_timeout(common::SLACK);
        let shown = format!("{builder:?}");
        let tier = builder.build().unwrap();
        let value = entry("v");
        tier.put_many(&[(key("k"), value.clone()), (key("l"), value.clone())]).await.unwrap();
        let found = tier.get_many(&[key("k"), key("absent")]).await.unwrap();
        assert_eq!(found[0].entry.as_ref(), Some(&value), "{url}");
        assert_eq!(found[1].entry, None, "{url}");
        assert!(tier.ttl(&key("k")).await.unwrap().is_some(), "{url}");
        let stored = tier.put_fenced(&key("k"), &value, found[0].fence).await.unwrap();
        assert_eq!(stored, PutFenced::Stored, "{url}");
        let stale = tier.put_fenced(&key("k"), &value, found[0].fence).await.unwrap();
        assert_eq!(stale, PutFenced::Superseded, "{url}");
        assert!(tier.remove(&key("k")).await.unwrap(), "{url}");
        assert_eq!(tier.purge().await.unwrap(), 2, "{url}");
        let shown = format!("{shown} {tier:?} {:?}", tier.bus());
        assert!(!shown.contains("hidden"), "{shown}");
    }
}

#[tokio::test]
async fn databases_are_apart_and_connections_have_a_name() {
    let Some(server) = server_with_or_skip("cache-redis/databases", &RedisServerOptions::default())
    else {
        return;
    };
    let tier = |number| common::builder(&server).database(number).client_name("gateway-7").build();
    let (first, second) = (tier(1).unwrap(), tier(2).unwrap());
    first.put(&key("k"), &entry("v")).await.unwrap();
    assert!(second.get(&key("k")).await.unwrap().entry.is_none());
    assert!(first.get(&key("k")).await.unwrap().entry.is_some());
    let clients = server.command("CLIENT LIST").unwrap();
    assert!(clients.contains("name=gateway-7"), "{clients}");
}

#[tokio::test]
async fn tls_trusts_only_who_it_is_told_to() {
    let certificates = Certificates::generate().expect("certificates can be made");
    let options = RedisServerOptions::default().tls(&certificates).password("secret");
    let Some(server) = server_with_or_skip("cache-redis/tls", &options) else { return };

    let trusting = Tls::new().roots(certificates.ca_pem());
    let tier = common::builder(&server).tls(trusting).build().unwrap();
    tier.put(&key("k"), &entry("v")).await.unwrap();
    assert!(tier.get(&key("k")).await.unwrap().entry.is_some());

    let others = Certificates::generate().expect("certificates can be made");
    for distrusting in [
        common::builder(&server).tls(Tls::new().roots(others.ca_pem())),
        common::builder(&server), // the roots of this machine, which know nothing of ours
    ] {
        let error = distrusting.build().unwrap().get(&key("k")).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    }
}

#[tokio::test]
async fn servers_may_ask_for_a_certificate() {
    let certificates = Certificates::generate().expect("certificates can be made");
    let options = RedisServerOptions::default().mutual_tls(&certificates);
    let Some(server) = server_with_or_skip("cache-redis/mutual-tls", &options) else { return };

    let nameless = Tls::new().roots(certificates.ca_pem());
    let refused = common::builder(&server).tls(nameless.clone()).build().unwrap();
    assert!(refused.get(&key("k")).await.is_err());

    let named = nameless.client(certificates.client_pem(), certificates.client_key_pem());
    let tier = common::builder(&server).tls(named).build().unwrap();
    assert!(tier.get(&key("k")).await.unwrap().entry.is_none());
}
