//! Tokens of our own directory: what they say, whom they serve, and that no other token of ours passes for one.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};
use shorepass_core::directory::{Issuer, IssuerKeys};
use shorepass_core::time::TestClock;
use shorepass_core::{Clock as _, CredentialKind, Principal, SystemRandom};
use shorepass_identity::{
    CONTAINER_REGISTRY_AUDIENCE, DIRECTORY_REFRESH_LIFE, DirectoryTokens, Federation, GrantType, HttpFetch,
    IDENTITY_LIFE, IdentityType, KeyRing, ServerKey, Subject, TokenError, resource_of_scope,
};
use uuid::Uuid;

use super::store::Database;
use super::{access_claims, clock, ring};

const BASE: &str = "https://shorepass.example";
const MANAGEMENT: &str = "https://shorepass.example";
const AZURE_CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const TENANT: Uuid = Uuid::from_u128(1);

struct World {
    store: Database,
    clock: Arc<TestClock>,
    ring: Arc<KeyRing>,
    tokens: DirectoryTokens,
}

async fn world() -> World {
    world_of("EdDSA").await
}

async fn world_of(algorithm: &str) -> World {
    let (store, clock) = (Database::new().await, clock());
    let ring = Arc::new(ring(&store, &clock, algorithm).await);
    let key = Arc::new(ServerKey::load(&*store.store, &SystemRandom, "test").await.unwrap());
    let tokens = DirectoryTokens::new(Arc::clone(&ring), key, clock.clone(), Arc::new(SystemRandom), BASE);
    World { store, clock, ring, tokens }
}

fn ada() -> Subject {
    Subject {
        tenant: TENANT,
        principal: Principal::User { id: Uuid::from_u128(2) },
        client_id: AZURE_CLI.to_owned(),
        user_name: Some("ada@example.com".to_owned()),
        display_name: Some("Ada Lovelace".to_owned()),
        credential: None,
        kind: CredentialKind::Password,
        epoch: 3,
        not_after: None,
    }
}

fn application() -> Subject {
    Subject {
        principal: Principal::ServicePrincipal { id: Uuid::from_u128(4) },
        client_id: "6f2a1c9e-0000-4000-8000-0000000000aa".to_owned(),
        user_name: None,
        display_name: Some("build".to_owned()),
        credential: Some(Uuid::from_u128(5)),
        kind: CredentialKind::ClientSecret,
        ..ada()
    }
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_users_token_says_what_clients_read_and_what_we_check() {
    let world = world().await;
    let issued = world.tokens.issue(&ada(), MANAGEMENT).unwrap();
    assert_eq!(issued.expires_in, 75 * 60);
    assert_eq!(part(&issued.token, 0)["typ"], "at+jwt");
    let (claims, now) = (part(&issued.token, 1), world.clock.now().seconds());
    let expected = json!({
        "iss": "https://shorepass.example/00000000-0000-0000-0000-000000000001/v2.0", "aud": MANAGEMENT,
        "sub": Uuid::from_u128(2), "oid": Uuid::from_u128(2), "tid": TENANT, "appid": AZURE_CLI, "azp": AZURE_CLI,
        "idtyp": "user", "upn": "ada@example.com", "preferred_username": "ada@example.com", "name": "Ada Lovelace",
        "jti": claims["jti"], "iat": now, "nbf": now, "exp": now + 75 * 60, "ver": "2.0",
        "shorepass": {"p": {"kind": "user", "id": Uuid::from_u128(2)}, "k": "password", "e": 3,
            "i": world.clock.now().millis()},
    });
    assert_eq!(claims, expected);
    assert_eq!(world.tokens.verify(&issued.token, &["other", MANAGEMENT]).unwrap(), issued.claims);
    assert_ne!(world.tokens.issue(&ada(), MANAGEMENT).unwrap().claims.jti, issued.claims.jti);
}

#[tokio::test]
async fn an_applications_token_has_no_user_name_and_names_its_credential() {
    let world = world().await;
    let mut who = application();
    who.user_name = Some("pretender".to_owned());
    let issued = world.tokens.issue(&who, CONTAINER_REGISTRY_AUDIENCE).unwrap();
    assert_eq!(issued.claims.idtyp, IdentityType::App);
    assert_eq!((&issued.claims.upn, &issued.claims.preferred_username), (&None, &None));
    assert_eq!(issued.claims.shorepass.credential, Some(Uuid::from_u128(5)));
    assert_eq!(issued.claims.shorepass.principal, who.principal);
    who.principal = Principal::ManagedIdentity { id: Uuid::from_u128(9) };
    assert_eq!(world.tokens.issue(&who, MANAGEMENT).unwrap().claims.idtyp, IdentityType::App);
}

#[tokio::test]
async fn who_is_not_of_the_directory_gets_no_token_of_it() {
    let world = world().await;
    for principal in [
        Principal::Anonymous,
        Principal::Operator { uid: 0 },
        Principal::Admin { registry: Uuid::from_u128(7) },
        Principal::RepositoryToken { registry: Uuid::from_u128(7), id: Uuid::from_u128(8) },
    ] {
        let who = Subject { principal, ..ada() };
        assert_eq!(world.tokens.issue(&who, MANAGEMENT).unwrap_err(), TokenError::Signing);
        assert_eq!(world.tokens.id_token(&who, AZURE_CLI, None).unwrap_err(), TokenError::Signing);
        assert_eq!(world.tokens.refresh_token(&who).unwrap_err(), TokenError::Signing);
    }
}

#[tokio::test]
async fn a_token_is_for_one_audience_give_or_take_a_slash() {
    let world = world().await;
    let token = world.tokens.issue(&ada(), "https://shorepass.example//").unwrap();
    assert_eq!(token.claims.aud, "https://shorepass.example");
    let verify = |audiences: &[&str]| world.tokens.verify(&token.token, audiences).map(drop);
    assert_eq!(verify(&["https://shorepass.example/"]), Ok(()));
    assert_eq!(verify(&["https://shorepass.example"]), Ok(()));
    for other in
        ["https://shorepass.example.attacker.example", "https://shorepass.exampl", "shorepass.example", "", "/"]
    {
        assert_eq!(verify(&[other]), Err(TokenError::Audience), "{other}");
    }
    assert_eq!(verify(&[]), Err(TokenError::Audience));
    for none in ["", "/", "//"] {
        assert_eq!(world.tokens.issue(&ada(), none).unwrap_err(), TokenError::Audience);
    }
}

#[tokio::test]
async fn tokens_end_and_nothing_outlives_its_ceiling() {
    let world = world().await;
    let (access, refresh) =
        (world.tokens.issue(&ada(), MANAGEMENT).unwrap(), world.tokens.refresh_token(&ada()).unwrap());
    let verify = |token: &str| world.tokens.verify(token, &[MANAGEMENT]).map(drop);
    let renew = |token: &str| world.tokens.verify_refresh(token, AZURE_CLI).map(drop);
    let second = Duration::from_secs(1);
    world.clock.advance(IDENTITY_LIFE - second);
    assert_eq!(verify(&access.token), Ok(()));
    world.clock.advance(second);
    assert_eq!(verify(&access.token), Err(TokenError::Expired));
    world.clock.advance(DIRECTORY_REFRESH_LIFE - IDENTITY_LIFE - second);
    assert_eq!(renew(&refresh), Ok(()));
    world.clock.advance(second);
    assert_eq!(renew(&refresh), Err(TokenError::Expired));

    let ceiling = world.clock.now().plus(Duration::from_secs(600));
    let who = Subject { not_after: Some(ceiling), ..application() };
    let (access, refresh) = (world.tokens.issue(&who, MANAGEMENT).unwrap(), world.tokens.refresh_token(&who).unwrap());
    assert_eq!((access.expires_in, access.claims.exp), (600, ceiling.seconds()));
    assert_eq!(access.claims.shorepass.ceiling().unwrap().seconds(), ceiling.seconds());
    let renewed = world.tokens.verify_refresh(&refresh, &who.client_id).unwrap();
    assert_eq!((renewed.exp, renewed.binding.ceiling().unwrap().seconds()), (ceiling.seconds(), ceiling.seconds()));
    let id = part(&world.tokens.id_token(&who, "client", None).unwrap(), 1);
    assert_eq!(id["exp"], ceiling.seconds());
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(world.tokens.issue(&who, MANAGEMENT).unwrap_err(), TokenError::Expired);
    assert_eq!(world.tokens.refresh_token(&who).unwrap_err(), TokenError::Expired);
    assert_eq!(world.tokens.id_token(&who, "client", None).unwrap_err(), TokenError::Expired);
}

/// az spends one refresh token in several tenants and for several resources, and so do processes beside each other.
#[tokio::test]
async fn a_refresh_token_is_good_again_and_again_for_the_client_it_was_issued_to() {
    let world = world().await;
    let token = world.tokens.refresh_token(&ada()).unwrap();
    for _ in 0..3 {
        let claims = world.tokens.verify_refresh(&token, AZURE_CLI).unwrap();
        assert_eq!((claims.tenant, claims.client_id.as_str()), (TENANT, AZURE_CLI));
        assert_eq!(claims.binding.principal, ada().principal);
        assert_eq!((claims.binding.epoch, claims.binding.kind), (3, CredentialKind::Password));
    }
    assert_eq!(world.tokens.verify_refresh(&token, "another").unwrap_err(), TokenError::Client);
    assert_eq!(world.tokens.verify_refresh(&token, "").unwrap_err(), TokenError::Client);
}

/// A rotation of the signing keys ends no sign-in.
#[tokio::test]
async fn a_refresh_token_outlives_the_signing_keys() {
    let world = world().await;
    let (refresh, access) =
        (world.tokens.refresh_token(&ada()).unwrap(), world.tokens.issue(&ada(), MANAGEMENT).unwrap());
    world.ring.rotate_now().await.unwrap();
    assert_eq!(world.tokens.verify(&access.token, &[MANAGEMENT]).unwrap_err(), TokenError::UnknownKey);
    assert!(world.tokens.verify_refresh(&refresh, AZURE_CLI).is_ok());
    assert!(world.tokens.verify(&world.tokens.issue(&ada(), MANAGEMENT).unwrap().token, &[MANAGEMENT]).is_ok());
}

/// One ring signs them all; none of them passes for another, at any of the doors.
#[tokio::test]
async fn no_token_of_ours_is_taken_for_one_of_another_kind() {
    let world = world().await;
    let registry_claims = access_claims(&world.clock);
    let registry = world.ring.sign(&registry_claims).unwrap();
    let identity = world.tokens.issue(&ada(), &registry_claims.aud).unwrap().token;
    let id = world.tokens.id_token(&ada(), &registry_claims.aud, None).unwrap();
    let refresh = world.tokens.refresh_token(&ada()).unwrap();

    let at_registry = |token: &str| world.ring.verify(token, &registry_claims.aud, GrantType::AccessToken).map(drop);
    let at_directory = |token: &str| world.tokens.verify(token, &[&registry_claims.aud]).map(drop);
    let at_refresh = |token: &str| world.tokens.verify_refresh(token, AZURE_CLI).map(drop);
    for (token, own) in [(&registry, 0), (&identity, 1), (&refresh, 2), (&id, 3)] {
        let outcomes = [at_registry(token), at_directory(token), at_refresh(token)];
        for (door, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(outcome, if door == own { Ok(()) } else { Err(TokenError::Malformed) }, "{own} at {door}");
        }
    }
    // Nor is a token of another kind under the right type, as only a server with a bug could sign it.
    for payload in [part(&registry, 1), part(&id, 1)] {
        assert_eq!(at_directory(&signed_by_us(&world, "at+jwt", &payload).await), Err(TokenError::Malformed));
    }
    assert_eq!(at_registry(&signed_by_us(&world, "JWT", &part(&identity, 1)).await), Err(TokenError::Malformed));
    assert_eq!(at_directory(&signed_by_us(&world, "at+jwt", &part(&identity, 1)).await), Ok(()), "the test signs well");
}

/// A token with this type and these claims, signed with the server's own key.
async fn signed_by_us(world: &World, typ: &str, claims: &Value) -> String {
    let row = world.store.keys().await.remove(0);
    let key = aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8(&row.private_key).unwrap();
    let header = json!({"typ": typ, "alg": "EdDSA", "kid": row.kid});
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let input = format!("{}.{}", part(&header), part(claims));
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes())))
}

#[tokio::test]
async fn claims_that_do_not_agree_are_refused() {
    let world = world().await;
    let good = part(&world.tokens.issue(&ada(), MANAGEMENT).unwrap().token, 1);
    let now = world.clock.now().seconds();
    for (claim, value, error) in [
        ("iss", json!("https://shorepass.example/00000000-0000-0000-0000-000000000009/v2.0"), TokenError::Issuer),
        ("iss", json!("https://elsewhere.example/00000000-0000-0000-0000-000000000001/v2.0"), TokenError::Issuer),
        ("iss", json!("Shorepass"), TokenError::Issuer),
        ("tid", json!(Uuid::from_u128(9)), TokenError::Issuer),
        ("ver", json!("1.0"), TokenError::Issuer),
        ("oid", json!(Uuid::from_u128(9)), TokenError::Malformed),
        ("idtyp", json!("app"), TokenError::Malformed),
        ("idtyp", json!("device"), TokenError::Malformed),
        ("exp", json!(now), TokenError::Expired),
        ("exp", Value::Null, TokenError::Malformed),
        ("iat", Value::Null, TokenError::Malformed),
        ("nbf", json!(now + 6), TokenError::NotYet),
        ("iat", json!(now + 6), TokenError::NotYet),
        ("shorepass", Value::Null, TokenError::Malformed),
        ("aud", json!([MANAGEMENT]), TokenError::Malformed),
    ] {
        let mut claims = good.clone();
        claims[claim] = value.clone();
        let token = signed_by_us(&world, "at+jwt", &claims).await;
        assert_eq!(world.tokens.verify(&token, &[MANAGEMENT]).unwrap_err(), error, "{claim} {value}");
    }
}

#[tokio::test]
async fn headers_that_bring_anything_else_are_refused() {
    let world = world().await;
    let token = world.tokens.issue(&ada(), MANAGEMENT).unwrap().token;
    for (name, value) in
        [("jwk", json!({})), ("crit", json!([])), ("x5c", json!([])), ("typ", json!("AT+JWT")), ("alg", json!("none"))]
    {
        let mut header = part(&token, 0);
        header[name] = value;
        let (_, rest) = token.split_once('.').unwrap();
        let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
        assert_eq!(world.tokens.verify(&forged, &[MANAGEMENT]).unwrap_err(), TokenError::Malformed, "{name}");
    }
    for junk in ["", "..", &"a".repeat(100)] {
        assert_eq!(world.tokens.verify(junk, &[MANAGEMENT]).unwrap_err(), TokenError::Malformed);
        assert_eq!(world.tokens.verify_refresh(junk, AZURE_CLI).unwrap_err(), TokenError::Malformed);
    }
    let huge = "a".repeat(10_000_000);
    assert_eq!(world.tokens.verify(&huge, &[MANAGEMENT]).unwrap_err(), TokenError::TooLong);
    assert_eq!(world.tokens.verify_refresh(&huge, AZURE_CLI).unwrap_err(), TokenError::TooLong);
}

/// The Azure SDK for Python decodes with the other alphabet (contracts/azure-clients.md 7.4).
#[tokio::test]
async fn names_of_any_letters_leave_a_token_readable_for_careless_clients() {
    let world = world().await;
    let who =
        Subject { display_name: Some("Ada? <Łoś> ~ 🚢".to_owned()), user_name: Some("ada?>~".to_owned()), ..ada() };
    for token in [
        world.tokens.issue(&who, MANAGEMENT).unwrap().token,
        world.tokens.id_token(&who, "client", Some("n?>~")).unwrap(),
    ] {
        let payload = token.split('.').nth(1).unwrap();
        assert!(!payload.contains(['-', '_']), "{payload}");
        let padded = format!("{payload}{}", "=".repeat((4 - payload.len() % 4) % 4));
        let claims: Value = serde_json::from_slice(&STANDARD.decode(padded).unwrap()).unwrap();
        assert_eq!(claims["name"], "Ada? <Łoś> ~ 🚢");
    }
    let id = part(&world.tokens.id_token(&who, "client", Some("n?>~")).unwrap(), 1);
    assert_eq!(id["nonce"], "n?>~", "as it was");
}

/// Another server that trusts our directory, by the keys we publish: with our own verifier, in every algorithm we sign.
#[tokio::test]
async fn our_id_tokens_are_accepted_elsewhere_by_our_published_keys() {
    for algorithm in ["EdDSA", "ES256", "RS256"] {
        let world = world_of(algorithm).await;
        let us = Issuer {
            issuer: world.tokens.issuer(TENANT),
            keys: IssuerKeys::Pinned { jwks: world.ring.jwks().to_string() },
            ca: None,
            sign_in: None,
        };
        let elsewhere = Federation::new(Arc::new(HttpFetch::new()), world.clock.clone());
        let id = world.tokens.id_token(&ada(), "client", Some("nonce")).unwrap();
        let verified = elsewhere.verify(&us, &id, &["client"]).await.unwrap();
        assert_eq!(verified.subject, Uuid::from_u128(2).to_string());
        assert_eq!(verified.claims["nonce"], "nonce");
        assert_eq!(verified.claims["preferred_username"], "ada@example.com");
        let access = world.tokens.issue(&application(), "api://elsewhere").unwrap().token;
        assert!(elsewhere.verify(&us, &access, &["api://elsewhere"]).await.is_ok());
    }
}

#[test]
fn a_scope_names_its_resource() {
    for (scope, resource) in [
        ("https://H//.default", Some("https://H")),
        ("https://H/.default offline_access openid profile", Some("https://H")),
        ("openid https://containerregistry.azure.net/.default", Some(CONTAINER_REGISTRY_AUDIENCE)),
        ("openid profile", None),
        ("/.default", None),
        ("//.default", None),
        ("https://H/.defaults", None),
        ("", None),
    ] {
        assert_eq!(resource_of_scope(scope), resource, "{scope}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_changed_token_is_refused(at: prop::sample::Index, replacement in "[A-Za-z0-9_.-]") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = world().await;
            let (access, refresh) = (world.tokens.issue(&ada(), MANAGEMENT).unwrap().token, world.tokens.refresh_token(&ada()).unwrap());
            let changed = |token: &str| {
                let at = at.index(token.len());
                let mut changed = token.to_owned();
                changed.replace_range(at..=at, &replacement);
                changed
            };
            let other = changed(&access);
            prop_assert_eq!(world.tokens.verify(&other, &[MANAGEMENT]).is_ok(), other == access);
            let other = changed(&refresh);
            prop_assert_eq!(world.tokens.verify_refresh(&other, AZURE_CLI).is_ok(), other == refresh);
            Ok(())
        })?;
    }
}
