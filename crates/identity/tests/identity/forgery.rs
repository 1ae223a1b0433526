//! Tokens that are not ours, or not for this: each refused, each for its own reason (contracts/threats.md).

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};
use shorepass_core::time::TestClock;
use shorepass_core::{CredentialKind, Principal};
use shorepass_identity::{ACCESS_LIFE, Access, Binding, Claims, GrantType, ISSUER, KeyRing, TokenError};
use uuid::Uuid;

use super::{AUDIENCE, Database, access_claims, claims, clock, ring};

const ALGORITHMS: [&str; 3] = ["EdDSA", "ES256", "RS256"];

struct World {
    store: Database,
    clock: Arc<TestClock>,
    ring: KeyRing,
}

async fn world(algorithm: &str) -> World {
    let (store, clock) = (Database::new().await, clock());
    let ring = ring(&store, &clock, algorithm).await;
    World { store, clock, ring }
}

fn refused(world: &World, token: &str) -> TokenError {
    world.ring.verify(token, AUDIENCE, GrantType::AccessToken).unwrap_err()
}

fn json_part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token with the header and claims given, signed with the server's own EdDSA key, as only a server with a bug could.
async fn signed_by_us(world: &World, header: &Value, claims: &Value) -> String {
    let key = world.store.keys().await[0].private_key.clone();
    let key = aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8(&key).unwrap();
    let input = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(input.as_bytes()));
    format!("{input}.{signature}")
}

#[tokio::test]
async fn a_token_of_each_algorithm_is_accepted_again_and_again() {
    for algorithm in ALGORITHMS {
        let world = world(algorithm).await;
        let claims = access_claims(&world.clock);
        let token = world.ring.sign(&claims).unwrap();
        assert_eq!(json_part(&token, 0)["alg"], algorithm);
        assert_eq!(json_part(&token, 0)["typ"], "JWT");
        for _ in 0..2 {
            assert_eq!(*world.ring.verify(&token, AUDIENCE, GrantType::AccessToken).unwrap(), claims);
        }
    }
}

#[tokio::test]
async fn a_refresh_token_looks_as_clients_of_the_original_expect() {
    let world = world("EdDSA").await;
    let refresh = json_part(&world.ring.sign(&claims(&world.clock, GrantType::RefreshToken, None)).unwrap(), 1);
    assert_eq!(refresh["permissions"], json!({"Actions": [], "NotActions": null}));
    assert_eq!(refresh["roles"], json!([]));
    assert_eq!(refresh["grant_type"], "refresh_token");
    assert_eq!(refresh["iss"], "Shorepass");
    assert_eq!(refresh["version"], "1.0");
    assert_eq!(refresh["exp"].as_i64().unwrap() - refresh["iat"].as_i64().unwrap(), 3 * 60 * 60);
    assert_eq!(refresh.get("access"), None);
    let access = json_part(&world.ring.sign(&access_claims(&world.clock)).unwrap(), 1);
    assert_eq!(access["access"], json!([{"type": "repository", "name": "team/app", "actions": ["pull"]}]));
    assert_eq!(access["exp"].as_i64().unwrap() - access["iat"].as_i64().unwrap(), 75 * 60);
    assert_eq!((access.get("permissions"), access.get("roles")), (None, None));
}

/// CVE-2025-24976, and its relatives: whatever a header offers, nothing of it is believed, even under our signature.
#[tokio::test]
async fn headers_that_bring_keys_or_conditions_are_refused() {
    let world = world("EdDSA").await;
    let token = world.ring.sign(&access_claims(&world.clock)).unwrap();
    let (header, claims) = (json_part(&token, 0), json_part(&token, 1));
    assert!(
        world.ring.verify(&signed_by_us(&world, &header, &claims).await, AUDIENCE, GrantType::AccessToken).is_ok(),
        "the test's own signature is good"
    );
    for (name, value) in [
        ("jwk", world.ring.jwks()["keys"][0].clone()),
        ("jku", json!("https://attacker.example/keys")),
        ("x5c", json!([STANDARD.encode("certificate")])),
        ("x5u", json!("https://attacker.example/certificate")),
        ("x5t", json!("thumbprint")),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("cty", json!("JWT")),
        ("zip", json!("DEF")),
    ] {
        let mut header = header.clone();
        header[name] = value;
        assert_eq!(refused(&world, &signed_by_us(&world, &header, &claims).await), TokenError::Malformed, "{name}");
    }
}

#[tokio::test]
async fn another_type_or_algorithm_in_the_header_is_refused() {
    let world = world("EdDSA").await;
    let token = world.ring.sign(&access_claims(&world.clock)).unwrap();
    let (header, claims) = (json_part(&token, 0), json_part(&token, 1));
    for (member, value) in [
        ("typ", json!("at+jwt")),
        ("typ", json!("jwt")),
        ("typ", json!(null)),
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("")),
        ("alg", json!("HS256")),
        ("alg", json!("ES256")),
        ("alg", json!(["EdDSA"])),
    ] {
        let mut header = header.clone();
        header[member] = value;
        assert_eq!(refused(&world, &signed_by_us(&world, &header, &claims).await), TokenError::Malformed, "{header}");
    }
    for member in ["typ", "alg", "kid"] {
        let mut header = header.clone();
        header.as_object_mut().unwrap().remove(member);
        assert_eq!(
            refused(&world, &signed_by_us(&world, &header, &claims).await),
            TokenError::Malformed,
            "no {member}"
        );
    }
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret_and_no_signature_is_no_signature() {
    for algorithm in ALGORITHMS {
        let world = world(algorithm).await;
        let token = world.ring.sign(&access_claims(&world.clock)).unwrap();
        let (header, payload) = (json_part(&token, 0), token.split('.').nth(1).unwrap());
        let public = world.ring.certificates_pem();
        for alg in ["HS256", "none", algorithm] {
            let mut header = header.clone();
            header["alg"] = json!(alg);
            let input = format!("{}.{payload}", encode(&header));
            let key = hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes());
            let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key, input.as_bytes()));
            for forged in [format!("{input}.{tag}"), format!("{input}.")] {
                let error = refused(&world, &forged);
                let expected = if alg == algorithm { TokenError::Signature } else { TokenError::Malformed };
                assert_eq!(error, expected, "{algorithm} as {alg}");
            }
        }
    }
}

#[tokio::test]
async fn only_the_exact_id_of_a_key_of_ours_finds_one() {
    let ours = world("EdDSA").await;
    let theirs = world("EdDSA").await;
    let token = theirs.ring.sign(&access_claims(&theirs.clock)).unwrap();
    assert_eq!(refused(&ours, &token), TokenError::UnknownKey, "another system's");

    let token = ours.ring.sign(&access_claims(&ours.clock)).unwrap();
    let (header, claims) = (json_part(&token, 0), json_part(&token, 1));
    let kid = header["kid"].as_str().unwrap();
    let tricks =
        ["", "../keys", "' or '1'='1", &kid.to_lowercase(), &format!("{kid} "), &format!("{kid}\0"), &kid[..58]]
            .map(str::to_owned);
    for trick in tricks {
        let mut header = header.clone();
        header["kid"] = json!(trick);
        assert_eq!(refused(&ours, &signed_by_us(&ours, &header, &claims).await), TokenError::UnknownKey, "{trick:?}");
    }

    // The other system's key under our key's name.
    let mut named = json_part(&theirs.ring.sign(&access_claims(&theirs.clock)).unwrap(), 0);
    named["kid"] = json!(kid);
    assert_eq!(refused(&ours, &signed_by_us(&theirs, &named, &claims).await), TokenError::Signature);
}

/// harbor#23270: a token without `iat` made the server panic; one without `exp` lived for ever.
#[tokio::test]
async fn every_claim_that_decides_must_be_there_and_be_what_it_should() {
    let world = world("EdDSA").await;
    let token = world.ring.sign(&access_claims(&world.clock)).unwrap();
    let (header, claims) = (json_part(&token, 0), json_part(&token, 1));
    for claim in ["iss", "aud", "sub", "jti", "iat", "nbf", "exp", "version", "grant_type", "shorepass"] {
        let mut without = claims.clone();
        without.as_object_mut().unwrap().remove(claim);
        assert_eq!(
            refused(&world, &signed_by_us(&world, &header, &without).await),
            TokenError::Malformed,
            "no {claim}"
        );
        let mut null = claims.clone();
        null[claim] = Value::Null;
        assert_eq!(
            refused(&world, &signed_by_us(&world, &header, &null).await),
            TokenError::Malformed,
            "{claim}: null"
        );
    }
    for (claim, value, error) in [
        ("exp", json!("2099-01-01"), TokenError::Malformed),
        ("exp", json!(1e300), TokenError::Malformed),
        ("exp", json!(i64::MIN), TokenError::Expired),
        ("nbf", json!(i64::MAX), TokenError::NotYet),
        ("aud", json!([AUDIENCE]), TokenError::Malformed),
        ("aud", json!("registry.example"), TokenError::Audience),
        ("iss", json!("shorepass"), TokenError::Issuer),
        ("version", json!("2.0"), TokenError::Issuer),
        ("grant_type", json!("refresh_token"), TokenError::Grant),
        ("grant_type", json!("password"), TokenError::Malformed),
    ] {
        let mut changed = claims.clone();
        changed[claim] = value.clone();
        assert_eq!(refused(&world, &signed_by_us(&world, &header, &changed).await), error, "{claim}: {value}");
    }
}

#[tokio::test]
async fn a_cached_token_is_still_only_for_its_audience_kind_and_time() {
    let world = world("EdDSA").await;
    let token = world.ring.sign(&access_claims(&world.clock)).unwrap();
    assert!(world.ring.verify(&token, AUDIENCE, GrantType::AccessToken).is_ok());
    let other = world.ring.verify(&token, "other.example", GrantType::AccessToken);
    assert_eq!(other.unwrap_err(), TokenError::Audience);
    let other = world.ring.verify(&token, AUDIENCE, GrantType::RefreshToken);
    assert_eq!(other.unwrap_err(), TokenError::Grant);
    // The clock began 123 ms into its second.
    world.clock.advance(ACCESS_LIFE - Duration::from_millis(124));
    assert!(world.ring.verify(&token, AUDIENCE, GrantType::AccessToken).is_ok());
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(refused(&world, &token), TokenError::Expired);
}

#[tokio::test]
async fn a_token_from_the_future_is_refused() {
    let world = world("EdDSA").await;
    for claim in [|claims: &mut Claims| claims.nbf += 6, |claims: &mut Claims| claims.iat += 6] {
        let mut claims = access_claims(&world.clock);
        claim(&mut claims);
        let token = world.ring.sign(&claims).unwrap();
        assert_eq!(refused(&world, &token), TokenError::NotYet);
        world.clock.advance(Duration::from_secs(1));
        assert!(world.ring.verify(&token, AUDIENCE, GrantType::AccessToken).is_ok());
    }
}

/// CVE-2025-30204 and the row on 10 MB headers: refused before any work.
#[tokio::test]
async fn long_and_dotted_tokens_cost_nothing() {
    let world = world("EdDSA").await;
    let (long, dots) = ("a".repeat(10 << 20), ".".repeat(10 << 20));
    let started = Instant::now();
    for _ in 0..1000 {
        assert_eq!(refused(&world, &long), TokenError::TooLong);
        assert_eq!(refused(&world, &dots), TokenError::TooLong);
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(refused(&world, &".".repeat(16 * 1024)), TokenError::Malformed);
    assert_eq!(refused(&world, &"[".repeat(16 * 1024)), TokenError::Malformed);
    let nested = URL_SAFE_NO_PAD.encode("[".repeat(4 * 1024));
    assert_eq!(refused(&world, &format!("{nested}.{nested}.")), TokenError::Malformed);
}

#[tokio::test]
async fn what_is_not_three_strict_parts_is_refused() {
    let world = world("EdDSA").await;
    let token = world.ring.sign(&access_claims(&world.clock)).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for strange in [
        String::new(),
        signed.to_owned(),
        format!("{token}."),
        format!("{token}.{signature}"),
        format!(".{token}"),
        format!("{token}="),
        format!("{token}\n"),
        format!(" {token}"),
        format!("{signed}..{signature}"),
        token.replace('.', ".\u{e9}"),
    ] {
        assert!(world.ring.verify(&strange, AUDIENCE, GrantType::AccessToken).is_err(), "{strange:?}");
    }
}

#[tokio::test]
async fn claims_that_do_not_fit_are_not_signed() {
    let world = world("EdDSA").await;
    let mut claims = access_claims(&world.clock);
    claims.sub = "x".repeat(13 * 1024);
    assert_eq!(world.ring.sign(&claims), Err(TokenError::TooLong));
}

/// The trap of contracts/azure-clients.md 7.4: clients decode the payload with the other base64 alphabet.
#[tokio::test]
async fn payloads_read_the_same_in_both_alphabets() {
    let world = world("EdDSA").await;
    for sub in ["a?b", "ab?", "?ab", ">>>>", "~~~~", "\u{7f}\u{7f}\u{7f}", "müller", "日本", "😀", "\"\\\n"] {
        let mut claims = access_claims(&world.clock);
        claims.sub = sub.to_owned();
        let token = world.ring.sign(&claims).unwrap();
        let payload = token.split('.').nth(1).unwrap();
        assert!(payload.bytes().all(|b| b.is_ascii_alphanumeric()), "{sub}: {payload}");
        assert_eq!(world.ring.verify(&token, AUDIENCE, GrantType::AccessToken).unwrap().sub, sub);
    }
}

fn any_access() -> impl Strategy<Value = Access> {
    (".{0,12}", ".{0,40}", prop::collection::vec(".{0,8}", 0..4)).prop_map(|(kind, name, actions)| Access {
        kind,
        name,
        actions,
    })
}

fn any_binding() -> impl Strategy<Value = Binding> {
    let principal = prop_oneof![
        any::<u128>().prop_map(|id| Principal::Admin { registry: Uuid::from_u128(id) }),
        any::<u32>().prop_map(|uid| Principal::Operator { uid }),
        Just(Principal::Anonymous),
    ];
    let kind = prop_oneof![
        Just(CredentialKind::AdminPassword),
        Just(CredentialKind::RefreshToken),
        Just(CredentialKind::Socket),
        Just(CredentialKind::None)
    ];
    (any::<u128>(), principal, any::<Option<u128>>(), kind, any::<i64>(), any::<i64>()).prop_map(
        |(registry, principal, credential, kind, epoch, issued_ms)| Binding {
            registry: Uuid::from_u128(registry),
            principal,
            credential: credential.map(Uuid::from_u128),
            kind,
            epoch,
            issued_ms,
        },
    )
}

fn any_claims() -> impl Strategy<Value = Claims> {
    let access = prop::option::of(prop::collection::vec(any_access(), 0..4));
    let grant = prop_oneof![Just(GrantType::RefreshToken), Just(GrantType::AccessToken)];
    let texts = (".{0,40}", ".{0,40}", prop::option::of(".{0,40}"));
    let now = shorepass_core::Clock::now(&*clock()).seconds();
    let times = (any::<i64>().prop_map(move |iat| iat.min(now)), now + 1..);
    (texts, times, any::<u128>(), grant, access, any_binding()).prop_map(
        |((aud, sub, tenant), (iat, exp), jti, grant_type, access, shorepass)| Claims {
            iss: ISSUER.to_owned(),
            aud,
            sub,
            jti: Uuid::from_u128(jti),
            iat,
            nbf: iat,
            exp,
            version: "1.0".to_owned(),
            grant_type,
            tenant,
            access,
            shorepass,
        },
    )
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn any_claims_survive_a_round_trip() {
    let world = block(world("EdDSA"));
    proptest!(|(claims in any_claims())| {
        let token = world.ring.sign(&claims).unwrap();
        let read = world.ring.verify(&token, &claims.aud, claims.grant_type).unwrap();
        prop_assert_eq!(&*read, &claims);
        prop_assert!(token.split('.').nth(1).unwrap().bytes().all(|b| b.is_ascii_alphanumeric()));
    });
}

#[test]
fn a_token_with_any_one_bit_flipped_is_refused() {
    for algorithm in ALGORITHMS {
        let world = block(world(algorithm));
        let token = world.ring.sign(&access_claims(&world.clock)).unwrap();
        for at in 0..token.len() {
            for bit in 0..8 {
                let mut bytes = token.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let flipped = String::from_utf8_lossy(&bytes);
                let verified = world.ring.verify(&flipped, AUDIENCE, GrantType::AccessToken);
                assert!(verified.is_err(), "{algorithm}: bit {bit} of byte {at}");
            }
        }
        assert!(world.ring.verify(&token, AUDIENCE, GrantType::AccessToken).is_ok());
    }
}

#[test]
fn any_text_is_refused_without_a_panic() {
    let world = block(world("EdDSA"));
    proptest!(|(text in "\\PC{0,200}", parts in prop::collection::vec("[A-Za-z0-9_-]{0,60}", 0..5))| {
        prop_assert!(world.ring.verify(&text, AUDIENCE, GrantType::AccessToken).is_err());
        prop_assert!(world.ring.verify(&parts.join("."), AUDIENCE, GrantType::AccessToken).is_err());
    });
}
