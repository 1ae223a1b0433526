//! Grants: valid for minutes, most of them once.

use futures::future::join_all;
use shorepass_store::GrantRow;

use crate::fixture::{Fixture, at};

fn grant(kind: &str, key: &[u8], ends: i64) -> GrantRow {
    GrantRow { kind: kind.into(), key_hash: key.to_vec(), body: "{}".into(), version: 1, expires_at: at(ends) }
}

pub async fn a_grant_is_read_until_it_ends(f: Fixture) {
    let code = grant("device_code", b"k", 10);
    assert!(f.store.put_grant(&code).await.unwrap());
    assert!(!f.store.put_grant(&GrantRow { body: "[]".into(), ..code.clone() }).await.unwrap(), "the key is taken");
    assert!(f.store.put_grant(&grant("sign_in", b"k", 10)).await.unwrap(), "for its kind only");
    let read = async |kind, key, now| f.store.read_grant(kind, key, at(now)).await.unwrap();
    assert_eq!(read("device_code", b"k", 9).await.as_ref(), Some(&code));
    assert_eq!(read("device_code", b"k", 9).await, Some(code), "reading does not take it");
    assert_eq!(read("device_code", b"k", 10).await, None);
    assert_eq!(read("device_code", b"K", 9).await, None);
    assert_eq!(read("authorization_code", b"k", 9).await, None);
}

pub async fn a_grant_is_taken_once(f: Fixture) {
    let servers = [f.another(), f.another()];
    let code = grant("authorization_code", b"k", 10);
    f.store.put_grant(&code).await.unwrap();
    assert_eq!(f.store.take_grant("authorization_code", b"k", at(10)).await.unwrap(), None, "it has expired");
    let takers = (0..8).map(|n| {
        let server = servers[n % 2].clone();
        tokio::spawn(async move { server.take_grant("authorization_code", b"k", at(9)).await.unwrap() })
    });
    let taken: Vec<_> = join_all(takers).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken, [code]);
    assert_eq!(f.store.read_grant("authorization_code", b"k", at(1)).await.unwrap(), None);
}

pub async fn a_grant_is_updated_against_its_version(f: Fixture) {
    let code = grant("device_code", b"k", 10);
    f.store.put_grant(&code).await.unwrap();
    let approved = GrantRow { body: "{\"approved\":true}".into(), expires_at: at(20), ..code.clone() };
    assert!(f.store.update_grant(&approved, at(5)).await.unwrap());
    assert!(!f.store.update_grant(&code, at(5)).await.unwrap(), "a poll that read it before does not undo that");
    let stored = f.store.read_grant("device_code", b"k", at(15)).await.unwrap().unwrap();
    assert_eq!(stored, GrantRow { version: 2, ..approved });
    assert!(!f.store.update_grant(&stored, at(20)).await.unwrap(), "it has expired");
    f.store.take_grant("device_code", b"k", at(15)).await.unwrap().unwrap();
    assert!(!f.store.update_grant(&stored, at(15)).await.unwrap(), "it was taken");
}

pub async fn expired_grants_go_in_steps(f: Fixture) {
    let before = f.store.policy_generation().await.unwrap();
    for n in 0..5_u8 {
        f.store.put_grant(&grant("sign_in", &[n], i64::from(n))).await.unwrap();
    }
    let expire = async |now, limit| f.store.expire_grants(at(now), limit).await.unwrap();
    assert_eq!(expire(3, 3).await, 3);
    assert_eq!(expire(3, 3).await, 1);
    assert_eq!(expire(3, 3).await, 0);
    assert!(f.store.read_grant("sign_in", &[4], at(3)).await.unwrap().is_some());
    assert!(f.store.put_grant(&grant("sign_in", &[0], 9)).await.unwrap(), "the key is free again");
    assert_eq!(f.store.policy_generation().await.unwrap(), before, "grants are no policy");
}
