//! Tokens of outside issuers: those of CI systems and clusters are accepted, and no others (contracts/threats.md).

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use shorepass_core::directory::{Issuer, IssuerKeys, SubjectRule};
use shorepass_core::{Clock as _, SystemClock};
use shorepass_identity::{
    FederationError, IssuerError, VerifiedToken, check_issuer, peek, self_signed, subject_matches,
};

use super::issuer::*;

async fn verify(github: &Github, token: &str) -> Result<VerifiedToken, FederationError> {
    github.federation.verify(&github.issuer, token, &[AUDIENCE]).await
}

/// A token with one claim of another value; `Value::Null` leaves it out.
async fn with_claim(github: &Github, name: &str, value: Value) -> Result<VerifiedToken, FederationError> {
    let mut claims = github.claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    verify(github, &github.key.token(&header(github.algorithm(), "one"), &claims)).await
}

async fn with_header(github: &Github, name: &str, value: Value) -> Result<VerifiedToken, FederationError> {
    let mut header = header(github.algorithm(), "one");
    header[name] = value;
    verify(github, &github.key.token(&header, &github.claims())).await
}

#[tokio::test]
async fn a_github_job_is_known_by_its_subject() {
    let github = Github::with_key(TestKey::rsa());
    let verified = verify(&github, &github.token("one")).await.unwrap();
    assert_eq!((verified.issuer.as_str(), verified.subject.as_str()), (GITHUB, SUBJECT));
    assert_eq!(verified.audience, [AUDIENCE]);
    assert_eq!(verified.expires_at.seconds(), github.clock.now().seconds() + 300);
    assert_eq!(verified.claims["repository"], "octo/app");
    assert!(subject_matches(&SubjectRule::Exact(SUBJECT.to_owned()), &verified.subject));

    let claims = github_claims(github.clock.now(), "repo:o/r:environment:prod");
    let verified = verify(&github, &github.key.token(&header("RS256", "one"), &claims)).await.unwrap();
    assert!(!subject_matches(&SubjectRule::Exact(SUBJECT.to_owned()), &verified.subject));
    assert!(subject_matches(&SubjectRule::Pattern("repo:o/*:environment:prod".to_owned()), &verified.subject));
}

#[tokio::test]
async fn a_gitlab_job_and_its_groups_are_known() {
    let github = Github::new();
    let (key, host) = (TestKey::rsa(), "https://gitlab.example");
    let issuer = Issuer { keys: IssuerKeys::Discovery { url: None }, ..discovered(host) };
    github.script.publish(host, &[key.jwk("gl")]);
    let token = key.token(&header("RS256", "gl"), &gitlab_claims(github.clock.now(), host));
    let verified = github.federation.verify(&issuer, &token, &[AUDIENCE]).await.unwrap();
    assert_eq!(verified.subject, "project_path:group/app:ref_type:branch:ref:main");
    assert_eq!(verified.groups("groups_direct"), ["group", "group/sub"]);
    assert_eq!(verified.groups("project_path"), ["group/app"], "one group may be a plain text");
    assert!(verified.groups("runner_id").is_empty() && verified.groups("absent").is_empty());
    let rule = SubjectRule::Pattern("project_path:group/*:ref_type:branch:ref:main".to_owned());
    assert!(subject_matches(&rule, &verified.subject));
}

/// A cluster that cannot be reached: its keys are pinned, and nobody is asked for anything.
#[tokio::test]
async fn a_cluster_whose_keys_are_pinned_is_never_asked() {
    let github = Github::new();
    let (key, stranger) = (TestKey::rsa(), TestKey::rsa());
    let claims = kubernetes_claims(github.clock.now());
    let issuer = pinned(claims["iss"].as_str().unwrap(), &[key.jwk("k8s")]);
    assert_eq!(check_issuer(&issuer), Ok(()));
    let verify = async |token: String| github.federation.verify(&issuer, &token, &["other", AUDIENCE]).await;
    // Kubernetes writes no `typ`.
    let head = json!({"alg": "RS256", "kid": "k8s"});
    assert_eq!(verify(key.token(&head, &claims)).await.unwrap().subject, "system:serviceaccount:team-a:builder");
    assert_eq!(verify(stranger.token(&head, &claims)).await, Err(FederationError::Signature));
    let head = json!({"alg": "RS256", "kid": "other"});
    assert_eq!(verify(key.token(&head, &claims)).await, Err(FederationError::UnknownKey));
    assert!(github.script.asked().is_empty());
}

/// What one tenant pins for an issuer's name is no key of that issuer anywhere else.
#[tokio::test]
async fn keys_that_one_tenant_pins_are_not_anothers() {
    let github = Github::new();
    let forger = TestKey::p256();
    let pinned_here = pinned(GITHUB, &[forger.jwk("one")]);
    let token = forger.token(&header("ES256", "one"), &github.claims());
    assert!(github.federation.verify(&pinned_here, &token, &[AUDIENCE]).await.is_ok());
    assert_eq!(verify(&github, &token).await, Err(FederationError::Signature));
    let real = github.token("one");
    assert!(verify(&github, &real).await.is_ok());
    let other = github.federation.verify(&pinned_here, &real, &[AUDIENCE]).await;
    assert_eq!(other, Err(FederationError::Signature));
}

#[tokio::test]
async fn every_algorithm_serves_with_the_keys_of_its_family_and_with_no_others() {
    let keys = [TestKey::rsa(), TestKey::p256(), TestKey::p384(), TestKey::ed()];
    let families: [&[&str]; 4] =
        [&["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], &["ES256"], &["ES384"], &["EdDSA", "Ed25519"]];
    for (key, own) in keys.into_iter().zip(families) {
        let github = Github::with_key(key);
        for algorithm in families.concat() {
            let token = github.key.token(&header(algorithm, "one"), &github.claims());
            let outcome = verify(&github, &token).await.map(drop);
            // A key that does not fit is as good as absent.
            let expected = if own.contains(&algorithm) { Ok(()) } else { Err(FederationError::UnknownKey) };
            assert_eq!(outcome, expected, "{algorithm} with {}", github.algorithm());
        }
    }
}

#[tokio::test]
async fn a_key_is_good_for_its_own_algorithm_and_for_signatures_only() {
    for (member, value, outcome) in [
        ("alg", json!("RS256"), Ok(())),
        ("alg", json!("PS256"), Err(FederationError::UnknownKey)),
        ("use", json!("enc"), Err(FederationError::UnknownKey)),
        ("key_ops", json!(["verify"]), Ok(())),
        ("key_ops", json!(["encrypt"]), Err(FederationError::UnknownKey)),
        ("key_ops", json!("verify"), Err(FederationError::UnknownKey)),
        ("kty", json!("oct"), Err(FederationError::UnknownKey)),
        ("n", json!(URL_SAFE_NO_PAD.encode([0xff; 128])), Err(FederationError::UnknownKey)),
    ] {
        let github = Github::with_key(TestKey::rsa());
        let mut jwk = github.key.jwk("one");
        jwk[member] = value.clone();
        github.script.publish(GITHUB, &[jwk, json!({"kty": "unheard of"})]);
        assert_eq!(verify(&github, &github.token("one")).await.map(drop), outcome, "{member} {value}");
    }
}

/// CVE-2025-24976 and its relatives.
#[tokio::test]
async fn keys_that_a_token_brings_along_are_not_looked_at() {
    let (github, forger) = (Github::new(), TestKey::p256());
    assert!(verify(&github, &github.token("one")).await.is_ok());
    let asked = github.script.asked();
    for (name, value) in [
        ("jwk", forger.jwk("one")),
        ("jku", json!("https://attacker.example/keys")),
        ("x5u", json!("https://attacker.example/certificate")),
        ("x5c", json!([URL_SAFE_NO_PAD.encode(forger.public())])),
    ] {
        let mut head = header("ES256", "one");
        head[name] = value.clone();
        let forged = forger.token(&head, &github.claims());
        assert_eq!(verify(&github, &forged).await, Err(FederationError::Signature), "{name}");
        assert!(with_header(&github, name, value).await.is_ok(), "{name} does no harm where the key is the issuer's");
    }
    assert_eq!(github.script.asked(), asked, "nobody went there");
}

#[tokio::test]
async fn no_signature_and_macs_are_refused() {
    let github = Github::with_key(TestKey::rsa());
    for algorithm in ["none", "None", "NONE", "HS256", "HS384", "HS512", "RS1", "ES256K", "ES512", "rs256", ""] {
        let token = github.key.token(&header(algorithm, "one"), &github.claims());
        assert_eq!(verify(&github, &token).await, Err(FederationError::Algorithm), "{algorithm}");
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert_eq!(verify(&github, &unsigned).await, Err(FederationError::Algorithm), "{algorithm}");
    }
    // The public key as the secret of a MAC.
    let input = github.key.token(&header("HS256", "one"), &github.claims());
    let input = input.rsplit_once('.').unwrap().0;
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, github.key.public()), input.as_bytes());
    let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(mac.as_ref()));
    assert_eq!(verify(&github, &forged).await, Err(FederationError::Algorithm));
    let unsigned = format!("{}.", github.token("one").rsplit_once('.').unwrap().0);
    assert_eq!(verify(&github, &unsigned).await, Err(FederationError::Signature));
}

#[tokio::test]
async fn conditions_and_other_types_are_refused() {
    let github = Github::new();
    for (name, value, outcome) in [
        ("crit", json!(["exp"]), Err(FederationError::Critical)),
        ("crit", json!([]), Err(FederationError::Critical)),
        ("b64", json!(false), Err(FederationError::Critical)),
        ("typ", json!("at+jwt"), Ok(())),
        ("typ", json!("application/JWT"), Ok(())),
        ("typ", json!("logout+jwt"), Err(FederationError::Type)),
        ("typ", json!("dpop+jwt"), Err(FederationError::Type)),
        ("typ", json!(""), Err(FederationError::Type)),
        ("typ", json!(7), Err(FederationError::Type)),
        ("alg", json!(["ES256"]), Err(FederationError::Malformed)),
        ("kid", json!(1), Err(FederationError::UnknownKey)),
        ("kid", json!("ONE"), Err(FederationError::UnknownKey)),
    ] {
        assert_eq!(with_header(&github, name, value.clone()).await.map(drop), outcome, "{name} {value}");
    }
}

/// OpenID Connect Back-Channel Logout 1.0: its tokens say that somebody has gone, and must never let anybody in; nor may a
/// sign-in's token be used to sign its owner out.
#[tokio::test]
async fn a_sign_out_is_no_sign_in_nor_the_other_way_round() {
    let github = Github::new();
    let event = "http://schemas.openid.net/event/backchannel-logout";
    let claims = |events: Value| {
        let mut claims = github.claims();
        claims["events"] = events;
        claims
    };
    let logout = async |typ: &str, claims: &Value| {
        let mut head = header("ES256", "one");
        head["typ"] = json!(typ);
        let token = github.key.token(&head, claims);
        let out = github.federation.verify_logout(&github.issuer, &token, &[AUDIENCE]).await.map(|token| token.subject);
        (out, verify(&github, &token).await.map(|token| token.subject))
    };
    let good = claims(json!({ event: {} }));
    for typ in ["logout+jwt", "JWT"] {
        assert_eq!(logout(typ, &good).await, (Ok(SUBJECT.to_owned()), Err(FederationError::Type)), "{typ}");
    }
    let mut with_nonce = good.clone();
    with_nonce["nonce"] = json!("n");
    let mut for_others = good.clone();
    for_others["aud"] = json!("another client");
    for (claims, error) in [
        (claims(json!({ "https://events.example/other": {} })), FederationError::Type),
        (claims(json!({ event: true })), FederationError::Type),
        (claims(json!([event])), FederationError::Type),
        (with_nonce, FederationError::Type),
        (for_others, FederationError::Audience),
    ] {
        assert_eq!(logout("logout+jwt", &claims).await.0, Err(error), "{claims}");
    }
    let sign_in = github.federation.verify_logout(&github.issuer, &github.token("one"), &[AUDIENCE]).await;
    assert_eq!(sign_in.map(drop), Err(FederationError::Type));
}

#[tokio::test]
async fn a_token_is_for_us_from_this_issuer_and_about_somebody() {
    let github = Github::new();
    for (claim, value, outcome) in [
        ("aud", json!(["https://elsewhere.example", AUDIENCE]), Ok(())),
        ("aud", Value::Null, Err(FederationError::Audience)),
        ("aud", json!([]), Err(FederationError::Audience)),
        ("aud", json!(""), Err(FederationError::Audience)),
        ("aud", json!("https://elsewhere.example"), Err(FederationError::Audience)),
        ("aud", json!(format!("{AUDIENCE}/")), Err(FederationError::Audience)),
        ("aud", json!(AUDIENCE.to_lowercase()), Err(FederationError::Audience)),
        ("aud", json!([AUDIENCE, 7]), Err(FederationError::Audience)),
        ("aud", json!({"aud": AUDIENCE}), Err(FederationError::Audience)),
        ("iss", Value::Null, Err(FederationError::Issuer)),
        ("iss", json!(format!("{GITHUB}/")), Err(FederationError::Issuer)),
        ("iss", json!("https://token.actions.githubusercontent.com.attacker.example"), Err(FederationError::Issuer)),
        ("iss", json!(GITHUB.to_uppercase()), Err(FederationError::Issuer)),
        ("iss", json!([GITHUB]), Err(FederationError::Issuer)),
        ("sub", Value::Null, Err(FederationError::Subject)),
        ("sub", json!(""), Err(FederationError::Subject)),
        ("sub", json!(7), Err(FederationError::Subject)),
        ("sub", json!("a".repeat(2049)), Err(FederationError::Subject)),
    ] {
        assert_eq!(with_claim(&github, claim, value.clone()).await.map(drop), outcome, "{claim} {value}");
    }
    let nobody = github.federation.verify(&github.issuer, &github.token("one"), &[]).await;
    assert_eq!(nobody, Err(FederationError::Audience), "no audience accepted means none");
}

#[tokio::test]
async fn a_token_is_valid_between_its_times_give_or_take_a_minute() {
    let github = Github::new();
    let now = github.clock.now().seconds();
    for (claim, value, outcome) in [
        ("exp", Value::Null, Err(FederationError::Malformed)),
        ("exp", json!("2030-01-01"), Err(FederationError::Malformed)),
        ("exp", json!(true), Err(FederationError::Malformed)),
        ("exp", json!(-1), Err(FederationError::Malformed)),
        ("exp", json!(i64::MAX), Err(FederationError::Malformed)),
        ("exp", json!(1e308), Err(FederationError::Malformed)),
        ("exp", json!(now as f64 + 0.5), Ok(())),
        ("exp", json!(now - 59), Ok(())),
        ("exp", json!(now - 60), Err(FederationError::Expired)),
        ("nbf", Value::Null, Ok(())),
        ("nbf", json!(now + 60), Ok(())),
        ("nbf", json!(now + 61), Err(FederationError::NotYet)),
        ("nbf", json!("now"), Err(FederationError::Malformed)),
        ("iat", Value::Null, Ok(())),
        ("iat", json!(now + 60), Ok(())),
        ("iat", json!(now + 61), Err(FederationError::NotYet)),
        ("iat", json!([]), Err(FederationError::Malformed)),
    ] {
        assert_eq!(with_claim(&github, claim, value.clone()).await.map(drop), outcome, "{claim} {value}");
    }
    let token = github.token("one");
    github.clock.advance(Duration::from_secs(360));
    assert_eq!(verify(&github, &token).await, Err(FederationError::Expired), "verified once is not verified for ever");
}

#[tokio::test]
async fn what_is_no_token_is_refused_whatever_its_size() {
    let github = Github::new();
    let dots = ".".repeat(19_999);
    for junk in ["", ".", "..", "...", "a.b.c", "e30.e30.", "bnVsbA.bnVsbA.AA", dots.as_str()] {
        assert_eq!(verify(&github, junk).await, Err(FederationError::Malformed), "{junk:.20}");
        assert_eq!(peek(junk), Err(FederationError::Malformed), "{junk:.20}");
    }
    let huge = "a".repeat(10_000_000);
    assert_eq!(verify(&github, &huge).await, Err(FederationError::TooLong));
    assert_eq!(peek(&huge), Err(FederationError::TooLong));
    assert_eq!(with_claim(&github, "pad", json!("x".repeat(20_000))).await, Err(FederationError::TooLong));
    let token = github.token("one");
    for changed in
        [format!("{token}="), format!("{token}."), format!(".{token}"), format!(" {token}"), token.replace('.', "..")]
    {
        assert_eq!(verify(&github, &changed).await, Err(FederationError::Malformed), "{changed:.20}");
    }
    assert!(github.script.asked().is_empty(), "for junk nobody is asked");
}

#[test]
fn peeking_tells_where_a_token_says_it_is_from() {
    let github = Github::new();
    let seen = peek(&github.token("one")).unwrap();
    assert_eq!(
        (seen.issuer.as_str(), seen.subject.as_str(), seen.audience.as_slice()),
        (GITHUB, SUBJECT, [AUDIENCE.to_owned()].as_slice())
    );
}

#[test]
fn an_issuer_that_cannot_work_is_refused_when_it_is_written() {
    let at = |issuer: &str, url: Option<&str>| {
        let keys = IssuerKeys::Discovery { url: url.map(str::to_owned) };
        check_issuer(&Issuer { keys, ..discovered(issuer) })
    };
    for good in [
        GITHUB,
        "https://gitlab.example:8443/",
        "https://login.example/tenant/v2.0",
        "http://127.0.0.1:9000",
        "http://[::1]:9000/realm",
        "http://localhost:8080",
    ] {
        assert_eq!(at(good, None), Ok(()), "{good}");
    }
    for bad in [
        "http://gitlab.example",
        "http://127.0.0.1.attacker.example",
        "http://localhost.attacker.example",
        "http://10.0.0.1",
        "ftp://gitlab.example",
        "file:///etc/passwd",
    ] {
        assert_eq!(at(bad, None), Err(IssuerError::Insecure(bad.to_owned())), "{bad}");
        assert_eq!(at(GITHUB, Some(bad)), Err(IssuerError::Insecure(bad.to_owned())), "{bad}");
    }
    assert_eq!(at("kubernetes", None), Err(IssuerError::NotAUrl("kubernetes".to_owned())));
    assert_eq!(at("kubernetes", Some("https://cluster.example/.well-known/openid-configuration")), Ok(()));
    assert_eq!(at("https://user:secret@gitlab.example", None), Err(IssuerError::UrlParts));
    assert_eq!(at("https://gitlab.example/#x", None), Err(IssuerError::UrlParts));
    assert_eq!(at("https://gitlab.example/?x=y", None), Err(IssuerError::Query));
    assert_eq!(at(GITHUB, Some("https://x.example/keys?p=policy")), Ok(()));
    assert_eq!(at("", None), Err(IssuerError::Issuer));
    assert_eq!(at(&format!("https://{}", "a".repeat(2048)), None), Err(IssuerError::Issuer));

    let key = TestKey::rsa();
    let jwks = |jwks: String| check_issuer(&Issuer { keys: IssuerKeys::Pinned { jwks }, ..discovered("anything") });
    assert_eq!(jwks(jwks_text(&[key.jwk("one")])), Ok(()));
    assert_eq!(jwks(String::new()), Err(IssuerError::NotJwks));
    assert_eq!(jwks("{}".to_owned()), Err(IssuerError::NotJwks));
    assert_eq!(jwks(jwks_text(&[])), Err(IssuerError::NoUsableKey));
    assert_eq!(jwks(jwks_text(&[json!({"kty": "oct", "k": "c2VjcmV0"})])), Err(IssuerError::PrivateKey));
    let mut private = key.jwk("one");
    private["d"] = json!("c2VjcmV0");
    assert_eq!(jwks(jwks_text(&[private])), Err(IssuerError::PrivateKey));
    assert_eq!(jwks(format!("{}{}", jwks_text(&[key.jwk("one")]), " ".repeat(262_144))), Err(IssuerError::NotJwks));

    let ca = |pem: &str| check_issuer(&Issuer { ca: Some(pem.to_owned()), ..discovered(GITHUB) });
    assert_eq!(ca("no certificate"), Err(IssuerError::Ca));
    assert_eq!(ca("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), Err(IssuerError::Ca));
    let dir = tempfile::tempdir().unwrap();
    let made = self_signed(dir.path(), &["issuer.example".to_owned()], &SystemClock).unwrap();
    assert_eq!(ca(&std::fs::read_to_string(made.ca_pem).unwrap()), Ok(()));
}

fn jwks_text(keys: &[Value]) -> String {
    jwks(keys).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn a_changed_token_is_refused(at: prop::sample::Index, replacement in "[A-Za-z0-9_.-]") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let github = Github::new();
            let token = github.token("one");
            let at = at.index(token.len());
            let mut changed = token.clone();
            changed.replace_range(at..=at, &replacement);
            prop_assert_eq!(verify(&github, &changed).await.is_ok(), changed == token);
            Ok(())
        })?;
    }
}
