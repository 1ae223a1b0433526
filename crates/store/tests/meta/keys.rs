//! Server-wide secrets and signing keys.

use shorepass_store::rows::SigningKeyRow;

use crate::fixture::{Fixture, at};

pub fn key(kid: &str, created: i64) -> SigningKeyRow {
    SigningKeyRow {
        kid: kid.into(),
        algorithm: "EdDSA".into(),
        private_key: vec![1, 2, 3],
        certificate: vec![4, 5],
        created_at: at(created),
        active_at: at(created + 5),
        retired_at: None,
    }
}

async fn kids(f: &Fixture, now: i64) -> Vec<String> {
    f.store.signing_keys(at(now)).await.unwrap().into_iter().map(|key| key.kid).collect()
}

pub async fn a_secret_is_the_same_for_everybody(f: Fixture) {
    assert_eq!(f.store.server_secret("tokens", b"first").await.unwrap(), b"first");
    assert_eq!(f.another().server_secret("tokens", b"second").await.unwrap(), b"first");
    assert_eq!(f.store.server_secret("uploads", b"third").await.unwrap(), b"third");
}

pub async fn rotated_keys_stay_until_they_retire(f: Fixture) {
    assert!(f.store.add_signing_key(&key("a", 0), at(0), true).await.unwrap());
    assert!(f.store.add_signing_key(&key("b", 100), at(200), false).await.unwrap());
    let other = SigningKeyRow { algorithm: "RS256".into(), ..key("c", 150) };
    assert!(f.store.add_signing_key(&other, at(250), false).await.unwrap());
    assert_eq!(kids(&f, 150).await, ["a", "b", "c"]);
    assert_eq!(kids(&f, 200).await, ["b", "c"], "the first keeps the time it was given first");
    assert_eq!(kids(&f, 250).await, ["c"]);
    assert_eq!(f.another().signing_keys(at(250)).await.unwrap(), [other]);
}

pub async fn the_first_key_is_made_once(f: Fixture) {
    assert!(f.store.add_signing_key(&key("a", 0), at(0), true).await.unwrap());
    assert!(!f.another().add_signing_key(&key("b", 1), at(1), true).await.unwrap());
    assert_eq!(f.store.signing_keys(at(9)).await.unwrap(), [key("a", 0)]);
    let retired = SigningKeyRow { retired_at: Some(at(10)), ..key("c", 5) };
    f.store.add_signing_key(&retired, at(10), false).await.unwrap();
    assert!(f.store.add_signing_key(&key("d", 11), at(11), true).await.unwrap(), "none of the others is live");
}
