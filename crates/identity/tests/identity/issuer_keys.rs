//! When an issuer is asked for its keys, and what serves while it does not answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use shorepass_core::Clock as _;
use shorepass_core::directory::{Issuer, IssuerKeys};
use shorepass_identity::FederationError;

use super::issuer::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

async fn verify(github: &Github, token: &str) -> Result<(), FederationError> {
    github.federation.verify(&github.issuer, token, &[AUDIENCE]).await.map(drop)
}

/// Lets other tasks work until it is so.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
}

#[tokio::test]
async fn an_issuer_is_asked_once_and_only_when_a_token_needs_it() {
    let github = Github::new();
    assert!(github.script.asked().is_empty());
    for _ in 0..3 {
        assert_eq!(verify(&github, &github.token("one")).await, Ok(()));
    }
    let asked = [format!("{GITHUB}/.well-known/openid-configuration"), format!("{GITHUB}/.well-known/jwks")];
    assert_eq!(github.script.asked(), asked);
}

/// What needs no key is looked at first.
#[tokio::test]
async fn a_token_that_is_refused_anyway_makes_nobody_ask() {
    let github = Github::new();
    for (claim, value) in [("iss", json!("x")), ("aud", json!("x")), ("sub", json!("")), ("exp", json!(1))] {
        let mut claims = github.claims();
        claims[claim] = value;
        assert!(verify(&github, &github.key.token(&header("ES256", "one"), &claims)).await.is_err());
    }
    assert!(github.script.asked().is_empty());
}

#[tokio::test]
async fn a_new_key_is_found_but_unknown_ones_cost_one_question_a_minute() {
    let github = Github::new();
    assert_eq!(verify(&github, &github.token("one")).await, Ok(()));
    github.script.publish(GITHUB, &[github.key.jwk("one"), github.key.jwk("two")]);
    for made_up in 0..50 {
        assert_eq!(verify(&github, &github.token(&format!("x{made_up}"))).await, Err(FederationError::UnknownKey));
    }
    assert_eq!(verify(&github, &github.token("two")).await, Err(FederationError::UnknownKey));
    assert_eq!(github.script.times_asked(), 1);
    github.clock.advance(MINUTE);
    assert_eq!(verify(&github, &github.token("two")).await, Ok(()));
    assert_eq!(verify(&github, &github.token("x")).await, Err(FederationError::UnknownKey));
    assert_eq!(github.script.times_asked(), 2);
    assert_eq!(verify(&github, &github.token("one")).await, Ok(()), "those who are known are served throughout");
}

#[tokio::test]
async fn many_who_need_the_same_issuer_at_once_ask_it_once() {
    let github = Arc::new(Github::new());
    let everybody: Vec<_> = (0..64)
        .map(|_| {
            let github = Arc::clone(&github);
            tokio::spawn(async move { verify(&github, &github.token("one")).await })
        })
        .collect();
    for one in everybody {
        assert_eq!(one.await.unwrap(), Ok(()));
    }
    assert_eq!(github.script.times_asked(), 1);
}

#[tokio::test]
async fn keys_serve_while_the_issuer_is_down_and_are_renewed_when_it_is_back() {
    let github = Github::new();
    let one = async || verify(&github, &github.token("one")).await;
    assert_eq!(one().await, Ok(()));
    github.script.take_down();
    github.clock.advance(24 * HOUR);
    assert_eq!(one().await, Ok(()));
    until(async || github.script.times_asked() == 2).await;
    for _ in 0..10 {
        assert_eq!(one().await, Ok(()), "asked again at most once a minute");
    }
    assert_eq!(verify(&github, &github.token("two")).await, Err(FederationError::UnknownKey));
    assert_eq!(github.script.times_asked(), 2);

    // Back, and it has withdrawn the old key.
    github.script.publish(GITHUB, &[github.key.jwk("two")]);
    github.clock.advance(MINUTE);
    assert_eq!(one().await, Ok(()), "nobody waits for the answer");
    until(async || one().await == Err(FederationError::UnknownKey)).await;
    assert_eq!(verify(&github, &github.token("two")).await, Ok(()));
    assert_eq!(github.script.times_asked(), 3);
}

/// Also in a network that swallows the question.
#[tokio::test]
async fn nobody_waits_for_keys_that_are_there() {
    let github = Github::new();
    assert_eq!(verify(&github, &github.token("one")).await, Ok(()));
    let permits = github.script.gate.available_permits();
    github.script.gate.forget_permits(permits);
    github.clock.advance(2 * HOUR);
    assert_eq!(verify(&github, &github.token("one")).await, Ok(()));
    until(async || github.script.times_asked() == 2).await;
    assert_eq!(verify(&github, &github.token("one")).await, Ok(()));
}

#[tokio::test]
async fn an_issuer_that_is_down_at_first_is_used_once_it_answers() {
    let github = Github::new();
    github.script.take_down();
    for _ in 0..10 {
        assert_eq!(verify(&github, &github.token("one")).await, Err(FederationError::Unavailable));
    }
    assert_eq!(github.script.times_asked(), 1, "it is not hammered");
    github.script.publish(GITHUB, &[github.key.jwk("one")]);
    github.clock.advance(Duration::from_secs(9));
    assert_eq!(verify(&github, &github.token("one")).await, Err(FederationError::Unavailable));
    github.clock.advance(Duration::from_secs(1));
    assert_eq!(verify(&github, &github.token("one")).await, Ok(()));
}

/// Who goes away while the issuer is asked does not take the answer with him.
#[tokio::test]
async fn a_caller_who_leaves_costs_the_others_nothing() {
    let github = Github::new();
    let permits = github.script.gate.available_permits();
    github.script.gate.forget_permits(permits);
    let token = github.token("one");
    let mut impatient = Box::pin(verify(&github, &token));
    until(async || {
        tokio::select! {
            biased;
            _ = &mut impatient => false,
            () = std::future::ready(()) => github.script.times_asked() == 1,
        }
    })
    .await;
    drop(impatient);
    github.script.gate.add_permits(permits);
    assert_eq!(verify(&github, &token).await, Ok(()));
    assert_eq!(github.script.times_asked(), 1);
}

#[tokio::test]
async fn a_token_without_a_key_id_is_of_the_only_key_there_is() {
    let github = Github::new();
    let token = github.key.token(&json!({"alg": "ES256"}), &github.claims());
    assert_eq!(verify(&github, &token).await, Ok(()));
    // One more of another family changes nothing; one more of the same leaves it open.
    github.script.publish(GITHUB, &[github.key.jwk("one"), TestKey::rsa().jwk("two")]);
    github.clock.advance(2 * HOUR);
    assert_eq!(verify(&github, &token_now(&github)).await, Ok(()));
    github.script.publish(GITHUB, &[github.key.jwk("one"), TestKey::p256().jwk("two")]);
    github.clock.advance(2 * HOUR);
    until(async || verify(&github, &token_now(&github)).await == Err(FederationError::UnknownKey)).await;
}

fn token_now(github: &Github) -> String {
    github.key.token(&json!({"alg": "ES256"}), &github.claims())
}

#[tokio::test]
async fn two_keys_of_one_name_are_both_tried() {
    let github = Github::new();
    github.script.publish(GITHUB, &[TestKey::p256().jwk("one"), TestKey::rsa().jwk("one"), github.key.jwk("one")]);
    assert_eq!(verify(&github, &github.token("one")).await, Ok(()));
}

/// OpenID Connect Discovery 1.0, 4.3, and what a discovery document could make a server ask.
#[tokio::test]
async fn documents_that_point_elsewhere_are_not_followed() {
    let discovery = format!("{GITHUB}/.well-known/openid-configuration");
    for document in [
        json!({"issuer": "https://attacker.example", "jwks_uri": format!("{GITHUB}/.well-known/jwks")}),
        json!({"issuer": format!("{GITHUB}/"), "jwks_uri": format!("{GITHUB}/.well-known/jwks")}),
        json!({"issuer": GITHUB, "jwks_uri": "http://token.actions.githubusercontent.com/.well-known/jwks"}),
        json!({"issuer": GITHUB, "jwks_uri": "http://127.0.0.1:9100/keys"}),
        json!({"issuer": GITHUB, "jwks_uri": "http://169.254.169.254/latest/meta-data"}),
        json!({"issuer": GITHUB, "jwks_uri": "file:///etc/passwd"}),
        json!({"issuer": GITHUB, "jwks_uri": "/relative"}),
        json!({"issuer": GITHUB}),
        json!({"jwks_uri": format!("{GITHUB}/.well-known/jwks")}),
        json!([]),
    ] {
        let github = Github::new();
        github.script.put("http://127.0.0.1:9100/keys", &jwks(&[github.key.jwk("one")]));
        github.script.put(&discovery, &document);
        assert_eq!(verify(&github, &github.token("one")).await, Err(FederationError::Unavailable), "{document}");
        assert_eq!(github.script.asked(), [discovery.as_str()], "{document}");
    }
}

#[tokio::test]
async fn keys_may_be_found_at_another_place() {
    let github = Github::new();
    let (cluster, key) = ("https://kubernetes.default.svc.cluster.local", TestKey::rsa());
    let url = "https://cluster.example:6443/.well-known/openid-configuration";
    let keys = "https://cluster.example:6443/openid/v1/jwks";
    github.script.put(url, &json!({"issuer": cluster, "jwks_uri": keys}));
    github.script.put(keys, &jwks(&[key.jwk("k8s")]));
    let issuer = Issuer { keys: IssuerKeys::Discovery { url: Some(url.to_owned()) }, ..discovered(cluster) };
    let token = key.token(&header("RS256", "k8s"), &kubernetes_claims(github.clock.now()));
    assert!(github.federation.verify(&issuer, &token, &[AUDIENCE]).await.is_ok());
    assert_eq!(github.script.asked(), [url, keys]);
}

#[tokio::test]
async fn a_broken_key_document_leaves_the_old_keys() {
    let github = Github::new();
    assert_eq!(verify(&github, &github.token("one")).await, Ok(()));
    github.script.put(&format!("{GITHUB}/.well-known/jwks"), &json!({"error": "maintenance"}));
    github.clock.advance(2 * HOUR);
    assert_eq!(verify(&github, &github.token("one")).await, Ok(()));
    until(async || github.script.asked().len() == 4).await;
    // The answer has been read when the lock is free again: the next question is only due in a minute.
    assert_eq!(verify(&github, &github.token("two")).await, Err(FederationError::UnknownKey));
    assert_eq!(verify(&github, &github.token("one")).await, Ok(()));
}
