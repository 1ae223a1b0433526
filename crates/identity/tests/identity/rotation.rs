//! Keys come, overlap and go without anybody noticing.

use std::sync::Arc;
use std::time::Duration;

use shorepass_core::{Clock, SystemRandom};
use shorepass_identity::keys::OVERLAP;
use shorepass_identity::{GrantType, IdentityError, KeyRing, REFRESH_LIFE, ServerKey, TokenError};

use super::{AUDIENCE, Database, access_claims, claims, clock, ring};

const MILLISECOND: Duration = Duration::from_millis(1);

fn kid_of(token: &str) -> String {
    use base64::Engine as _;
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<serde_json::Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

fn accepts(ring: &KeyRing, token: &str) -> Result<(), TokenError> {
    ring.verify(token, AUDIENCE, GrantType::RefreshToken).map(|_| ())
}

#[tokio::test]
async fn servers_that_start_at_once_agree_on_one_key() {
    let (store, clock) = (Database::new().await, clock());
    let (one, two) = tokio::join!(ring(&store, &clock, "EdDSA"), ring(&store, &clock, "EdDSA"));
    assert_eq!(one.list(), two.list());
    assert_eq!(one.list().len(), 1);
    let token = one.sign(&claims(&clock, GrantType::RefreshToken, None)).unwrap();
    assert_eq!(accepts(&two, &token), Ok(()));
}

#[tokio::test]
async fn a_restart_keeps_the_key() {
    let (store, clock) = (Database::new().await, clock());
    let token = ring(&store, &clock, "ES256").await.sign(&claims(&clock, GrantType::RefreshToken, None)).unwrap();
    assert_eq!(accepts(&ring(&store, &clock, "ES256").await, &token), Ok(()));
    assert_eq!(store.keys().await.len(), 1);
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs_and_the_old_one_accepted_until_its_last_token_ends() {
    let (store, clock) = (Database::new().await, clock());
    let (rotating, other) = (ring(&store, &clock, "EdDSA").await, ring(&store, &clock, "EdDSA").await);
    let old = rotating.list()[0].kid.clone();
    rotating.rotate().await.unwrap();
    assert_eq!(rotating.list().len(), 2);
    assert_eq!(rotating.jwks()["keys"].as_array().unwrap().len(), 2, "published at once");
    other.refresh().await.unwrap();

    clock.advance(OVERLAP - MILLISECOND);
    let last_of_old = rotating.sign(&claims(&clock, GrantType::RefreshToken, None)).unwrap();
    assert_eq!(kid_of(&last_of_old), old);

    clock.advance(MILLISECOND);
    let first_of_new = rotating.sign(&claims(&clock, GrantType::RefreshToken, None)).unwrap();
    assert_ne!(kid_of(&first_of_new), old);
    assert_eq!(accepts(&other, &first_of_new), Ok(()), "another server met the key while it was only published");

    clock.advance(REFRESH_LIFE - Duration::from_secs(2));
    assert_eq!(accepts(&other, &last_of_old), Ok(()));
    clock.advance(Duration::from_secs(60 * 60));
    other.refresh().await.unwrap();
    assert_eq!(other.list().len(), 1);
    assert_eq!(other.jwks()["keys"].as_array().unwrap().len(), 1, "the old one is no longer published");
}

#[tokio::test]
async fn a_key_past_its_end_is_refused_even_from_the_cache_and_without_a_store() {
    let (store, clock) = (Database::new().await, clock());
    let ring = ring(&store, &clock, "EdDSA").await;
    let mut long = claims(&clock, GrantType::RefreshToken, None);
    long.exp += 1_000_000;
    let token = ring.sign(&long).unwrap();
    ring.rotate().await.unwrap();
    assert_eq!(accepts(&ring, &token), Ok(()));
    store.take_down().await;
    clock.advance(Duration::from_secs(4 * 60 * 60));
    assert_eq!(accepts(&ring, &token), Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn a_leaked_key_is_replaced_at_once() {
    let (store, clock) = (Database::new().await, clock());
    let (one, two) = (ring(&store, &clock, "EdDSA").await, ring(&store, &clock, "EdDSA").await);
    let token = one.sign(&claims(&clock, GrantType::RefreshToken, None)).unwrap();
    assert_eq!(accepts(&two, &token), Ok(()));
    one.rotate_now().await.unwrap();
    assert_eq!(accepts(&one, &token), Err(TokenError::UnknownKey));
    let fresh = one.sign(&claims(&clock, GrantType::RefreshToken, None)).unwrap();
    assert_eq!(accepts(&two, &fresh), Err(TokenError::UnknownKey), "until it reads again");
    two.refresh().await.unwrap();
    assert_eq!(accepts(&two, &fresh), Ok(()));
    assert_eq!(accepts(&two, &token), Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn another_algorithm_takes_over_without_a_break() {
    let (store, clock) = (Database::new().await, clock());
    let old = ring(&store, &clock, "EdDSA").await.sign(&claims(&clock, GrantType::RefreshToken, None)).unwrap();
    let ring = ring(&store, &clock, "RS256").await;
    assert_eq!(accepts(&ring, &old), Ok(()));
    clock.advance(OVERLAP);
    let new = ring.sign(&access_claims(&clock)).unwrap();
    let signing = ring.list().into_iter().find(|key| key.kid == kid_of(&new)).unwrap();
    assert_eq!(signing.algorithm, "RS256");
}

#[tokio::test]
async fn a_server_whose_clock_is_behind_signs_all_the_same() {
    let store = Database::new().await;
    let (ahead, behind) = (clock(), clock());
    ahead.advance(Duration::from_secs(2));
    let first = ring(&store, &ahead, "EdDSA").await;
    let second = ring(&store, &behind, "EdDSA").await;
    let token = second.sign(&claims(&behind, GrantType::RefreshToken, None)).unwrap();
    assert_eq!(accepts(&first, &token), Ok(()));
    let token = first.sign(&claims(&ahead, GrantType::RefreshToken, None)).unwrap();
    assert_eq!(accepts(&second, &token), Ok(()), "two seconds from the future are forgiven");
}

#[tokio::test]
async fn without_the_store_tokens_go_on() {
    let (store, clock) = (Database::new().await, clock());
    let ring = ring(&store, &clock, "EdDSA").await;
    store.take_down().await;
    assert!(matches!(ring.refresh().await, Err(IdentityError::Store(_))));
    let token = ring.sign(&claims(&clock, GrantType::RefreshToken, None)).unwrap();
    assert_eq!(accepts(&ring, &token), Ok(()));
}

#[tokio::test]
async fn an_unreadable_key_does_not_take_the_others_down() {
    let (store, clock) = (Database::new().await, clock());
    let token = ring(&store, &clock, "EdDSA").await.sign(&claims(&clock, GrantType::RefreshToken, None)).unwrap();
    let mut strange = store.keys().await[0].clone();
    (strange.kid, strange.algorithm) = ("NEW".to_owned(), "ML-DSA-65".to_owned());
    let never = clock.now().plus(100 * REFRESH_LIFE);
    assert!(store.store.add_signing_key(&strange, never, false).await.unwrap());
    let ring = ring(&store, &clock, "EdDSA").await;
    assert_eq!(accepts(&ring, &token), Ok(()));
    assert_eq!(ring.list().len(), 1);
}

#[tokio::test]
async fn an_unknown_algorithm_is_refused() {
    let (store, clock) = (Database::new().await, clock());
    let error = KeyRing::load(store.store.clone(), clock, Arc::new(SystemRandom), "HS256").await.unwrap_err();
    assert!(matches!(error, IdentityError::UnknownAlgorithm(name) if name == "HS256"));
}

#[tokio::test]
async fn the_list_is_what_the_management_api_shows() {
    let (store, clock) = (Database::new().await, clock());
    let ring = ring(&store, &clock, "ES256").await;
    let json = serde_json::to_value(ring.list()).unwrap();
    assert_eq!(json[0]["algorithm"], "ES256");
    assert_eq!(json[0]["activeAt"], clock.now().to_string());
    assert_eq!(json[0]["createdAt"], clock.now().to_string());
    assert_eq!(json[0]["retiredAt"], serde_json::Value::Null);
    assert_eq!(json[0]["kid"], ring.jwks()["keys"][0]["kid"]);
}

#[tokio::test]
async fn servers_share_their_secret_and_other_names_have_others() {
    let store = Database::new().await;
    let one = ServerKey::load(store.store.as_ref(), &SystemRandom, "passwords").await.unwrap();
    let two = ServerKey::load(store.store.as_ref(), &SystemRandom, "passwords").await.unwrap();
    let other = ServerKey::load(store.store.as_ref(), &SystemRandom, "uploads").await.unwrap();
    assert!(two.verify("shp_x", &one.hash("shp_x")));
    assert!(!other.verify("shp_x", &one.hash("shp_x")));
}
