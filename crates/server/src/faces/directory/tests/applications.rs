//! Applications and managed identities at the token endpoint.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use shorepass_core::directory::{ClientCredential, ServicePrincipal, SubjectRule};
use shorepass_core::{CredentialKind, Principal};
use shorepass_identity::{CONTAINER_REGISTRY_AUDIENCE, Certificate, ClientCertificate, IdentityType};
use shorepass_store::resources::Write;

use super::issuer::TestIssuer;
use super::{Here, SECRET, code};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn with_assertion(here: &Here, client_id: &str, assertion: &str) -> (u16, Value) {
    let scope = here.management();
    here.token(&[
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion),
        ("scope", &scope),
    ])
    .await
}

#[tokio::test]
async fn a_secret_gets_a_token_for_each_resource_and_no_other() {
    let here = Here::start().await;
    let app = here.application().await;
    let login_server = here.world.host();
    for (scope, audience) in [
        (here.management(), here.base()),
        (format!("{}/.default", here.base()), here.base()),
        (format!("{CONTAINER_REGISTRY_AUDIENCE}/.default"), CONTAINER_REGISTRY_AUDIENCE.to_owned()),
        (format!("https://{login_server}/.default"), login_server.clone()),
        (format!("{login_server}/.default"), login_server.clone()),
    ] {
        let (status, answer) = here.with_secret(app.app_id, SECRET, &scope).await;
        assert_eq!(status, 200, "{scope}: {answer}");
        assert_eq!(answer["token_type"], "Bearer");
        assert!(answer["expires_in"].as_u64().is_some_and(|seconds| seconds > 3000), "{answer}");
        assert!(answer.get("refresh_token").is_none() && answer.get("id_token").is_none());
        let claims = here.claims(&answer["access_token"], &audience);
        assert_eq!(claims.aud, audience);
        assert_eq!((claims.tid, claims.oid, claims.idtyp), (here.tenant.guid, app.id, IdentityType::App));
        assert_eq!(claims.appid, app.app_id.to_string());
        assert_eq!(claims.shorepass.principal, Principal::ServicePrincipal { id: app.id });
        assert_eq!(claims.shorepass.credential, Some(app.credential));
        assert_eq!(claims.shorepass.kind, CredentialKind::ClientSecret);
        assert!(claims.shorepass.ceiling().is_some(), "it ends with the secret");
    }
    for scope in ["https://graph.test/.default", "https://other.shore.test/.default"] {
        assert_eq!(code(&here.with_secret(app.app_id, SECRET, scope).await), (400, 500_011), "{scope}");
    }
    assert_eq!(code(&here.with_secret(app.app_id, SECRET, "openid").await), (400, 70_011));
    let two = format!("{} {CONTAINER_REGISTRY_AUDIENCE}/.default", here.management());
    assert_eq!(code(&here.with_secret(app.app_id, SECRET, &two).await), (400, 28_000));
    let tokens = here.audit("token", 5).await;
    assert_eq!(tokens[0]["principal"], format!("sp:{}", app.id));
    let logins = here.audit("login", 5).await;
    assert_eq!(logins[0]["credential"], "client_secret");
    assert!(!serde_json::to_string(&logins).unwrap().contains(SECRET));
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn basic_and_form_are_the_same_and_both_at_once_are_refused() {
    let here = Here::start().await;
    let app = here.application().await;
    let url = here.url("oauth2/v2.0/token");
    let scope = here.management();
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{SECRET}", app.app_id)));
    let form = [("grant_type", "client_credentials"), ("scope", scope.as_str())];
    let answer = here.post(&url, &[("authorization", &basic)], &form).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let both = [&form[..], &[("client_secret", SECRET)]].concat();
    assert_eq!(here.post(&url, &[("authorization", &basic)], &both).await.status(), 400);
    let other = [&form[..], &[("client_id", "7f1c2f50-4f5e-4d2b-9d4b-0f0c4d7a1b11")]].concat();
    assert_eq!(here.post(&url, &[("authorization", &basic)], &other).await.status(), 400);
    let twice = [&form[..], &[("scope", scope.as_str())]].concat();
    assert_eq!(here.post(&url, &[("authorization", &basic)], &twice).await.status(), 400);
    let any = url.replace(&here.tenant.guid.to_string(), "organizations");
    let nowhere: Value = here.post(&any, &[("authorization", &basic)], &form).await.json().await.unwrap();
    assert_eq!(nowhere["error_codes"][0], 50_059);
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn unknown_and_wrong_look_the_same() {
    let here = Here::start().await;
    let app = here.application().await;
    let wrong = here.with_secret(app.app_id, "wrong", &here.management()).await;
    let unknown = here.with_secret(here.world.running.app.new_id(), SECRET, &here.management()).await;
    assert_eq!(code(&wrong), (401, 7_000_215));
    assert_eq!(code(&unknown), (401, 7_000_215));
    let message = |answer: &(u16, Value)| {
        answer.1["error_description"].as_str().unwrap().split("Trace").next().unwrap().to_owned()
    };
    assert_eq!(message(&wrong), message(&unknown));
    assert_eq!(wrong.1["error"], "invalid_client");
    // Each is one HMAC over the secret for nobody, and one more for the credential there is: microseconds.
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn guessing_is_limited_and_locks_out_nobody_who_works() {
    let here = Here::start().await;
    let app = here.application().await;
    assert_eq!(here.with_secret(app.app_id, SECRET, &here.management()).await.0, 200);
    let mut statuses = Vec::new();
    for n in 0..25 {
        statuses.push(here.with_secret(app.app_id, &format!("guess {n}"), &here.management()).await.0);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 20, "{statuses:?}");
    let limited = here.with_secret(app.app_id, "guess", &here.management()).await;
    assert_eq!(code(&limited), (429, 90_055));
    assert_eq!(
        here.with_secret(app.app_id, SECRET, &here.management()).await.0,
        200,
        "a secret that was right stays so"
    );
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn what_is_disabled_expired_or_deleted_is_refused_at_once() {
    let here = Here::start().await;
    let app = here.application().await;
    let scope = here.management();
    assert_eq!(here.with_secret(app.app_id, SECRET, &scope).await.0, 200);
    here.change(app.id, |sp: &mut ServicePrincipal| sp.enabled = false).await;
    assert_eq!(code(&here.with_secret(app.app_id, SECRET, &scope).await), (401, 7_000_112));
    assert_eq!(code(&here.with_secret(app.app_id, "wrong", &scope).await), (401, 7_000_215), "told to nobody else");
    here.change(app.id, |sp: &mut ServicePrincipal| sp.enabled = true).await;
    assert_eq!(here.with_secret(app.app_id, SECRET, &scope).await.0, 200);
    let now = here.now();
    here.change(app.credential, |credential: &mut ClientCredential| credential.expires_at = now).await;
    assert_eq!(code(&here.with_secret(app.app_id, SECRET, &scope).await), (401, 7_000_222));
    here.write(Write::Delete { id: app.credential, etag: None }).await;
    assert_eq!(code(&here.with_secret(app.app_id, SECRET, &scope).await), (401, 7_000_215));
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn a_certificate_signs_in_by_its_assertion_once() {
    let here = Here::start().await;
    let app = here.application().await;
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["builder".to_owned()]).unwrap().self_signed(&key).unwrap();
    let public = Certificate::from_pem(&certificate.pem()).unwrap();
    let own = ClientCertificate::from_pem(&format!("{}{}", certificate.pem(), key.serialize_pem())).unwrap();
    let id = app.app_id.to_string();
    let provider = here.provider();
    let sign = |audience: &str| own.sign_assertion(&id, audience, &*provider.clock, &*provider.random).unwrap();
    let url = here.url("oauth2/v2.0/token");
    assert_eq!(code(&with_assertion(&here, &id, &sign(&url)).await), (401, 700_027), "it is not registered yet");
    let credential = here.credential(app.id, public.proof()).await;
    let assertion = sign(&url);
    let (status, answer) = with_assertion(&here, &id, &assertion).await;
    assert_eq!(status, 200, "{answer}");
    let claims = here.claims(&answer["access_token"], &here.base());
    assert_eq!(claims.shorepass.kind, CredentialKind::Certificate);
    assert_eq!(claims.shorepass.credential, Some(credential));
    assert_eq!(code(&with_assertion(&here, &id, &assertion).await), (401, 700_027), "used before");
    assert_eq!(code(&with_assertion(&here, &id, &sign("https://elsewhere.test")).await), (401, 700_027));
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn github_and_gitlab_sign_in_with_no_stored_secret() {
    for (name, subject, audience) in [
        (
            "https://token.actions.githubusercontent.com",
            "repo:octo/app:ref:refs/heads/main",
            "api://AzureADTokenExchange",
        ),
        ("https://gitlab.example", "project_path:octo/app:ref_type:branch:ref:main", "https://shorepass.example"),
    ] {
        let here = Here::start().await;
        let app = here.application().await;
        let (issuer, id, now) = (TestIssuer::new(name), app.app_id.to_string(), here.now());
        let rule = here.trust(app.id, &issuer, SubjectRule::Exact(subject.to_owned()), audience).await;
        let (status, answer) = with_assertion(&here, &id, &issuer.mint(subject, audience, now)).await;
        assert_eq!(status, 200, "{answer}");
        let claims = here.claims(&answer["access_token"], &here.base());
        assert_eq!(claims.shorepass.kind, CredentialKind::FederatedToken);
        assert_eq!(claims.shorepass.credential, Some(rule));
        let impostor = TestIssuer::new(name);
        let stale = now.minus(Duration::from_secs(3600));
        for (case, token, expected) in [
            ("another branch", issuer.mint(&format!("{subject}2"), audience, now), 700_213),
            ("another audience", issuer.mint(subject, "https://other.example", now), 700_213),
            ("another key", impostor.mint(subject, audience, now), 700_027),
            ("expired", issuer.mint(subject, audience, stale), 700_024),
            ("untrusted", TestIssuer::new("https://evil.example").mint(subject, audience, now), 700_211),
        ] {
            assert_eq!(code(&with_assertion(&here, &id, &token).await), (401, expected), "{case}");
        }
        let stranger = here.world.running.app.new_id().to_string();
        let unknown = with_assertion(&here, &stranger, &issuer.mint(subject, audience, now)).await;
        assert_eq!(code(&unknown), (401, 700_213), "an unknown application looks like one without the rule");
        here.write(Write::Delete { id: rule, etag: None }).await;
        let gone = with_assertion(&here, &id, &issuer.mint(subject, audience, now)).await;
        assert_eq!(code(&gone), (401, 700_213), "the rule is gone");
        here.world.running.shutdown().await;
    }
}

#[tokio::test]
async fn a_managed_identity_is_proven_by_its_workloads_token_and_never_by_a_secret() {
    let here = Here::start().await;
    let (id, client_id) = here.identity().await;
    let issuer = TestIssuer::new("https://cluster.example");
    let subject = SubjectRule::Pattern("system:serviceaccount:team-*:builder".to_owned());
    here.trust(id, &issuer, subject, "shorepass").await;
    let token = issuer.mint("system:serviceaccount:team-a:builder", "shorepass", here.now());
    let (status, answer) = with_assertion(&here, &client_id.to_string(), &token).await;
    assert_eq!(status, 200, "{answer}");
    let claims = here.claims(&answer["access_token"], &here.base());
    assert_eq!(claims.shorepass.principal, Principal::ManagedIdentity { id });
    assert_eq!(code(&here.with_secret(client_id, SECRET, &here.management()).await), (401, 7_000_215));
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn passwords_are_not_taken_and_what_is_missing_is_named() {
    let here = Here::start().await;
    let password = here.token(&[("grant_type", "password"), ("username", "ada"), ("password", "x")]).await;
    assert_eq!(code(&password), (400, 70_003));
    assert!(password.1["error_description"].as_str().unwrap().contains("device code"), "{}", password.1);
    let nothing = here.token(&[]).await;
    assert!(nothing.1["error_description"].as_str().unwrap().contains("`grant_type`"), "{}", nothing.1);
    let form = [("grant_type", "client_credentials"), ("client_secret", "x")];
    assert!(here.token(&form).await.1["error_description"].as_str().unwrap().contains("`client_id`"));
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn an_application_is_let_into_another_tenant_by_consent_and_as_long_as_it_stands_at_home() {
    let here = Here::start().await;
    let app = here.application().await;
    let other = here.another_tenant().await;
    let id = app.app_id.to_string();
    let url = format!("{}/{}/oauth2/v2.0/token", here.base(), other.guid);
    let scope = here.management();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", id.as_str()),
        ("client_secret", SECRET),
        ("scope", scope.as_str()),
    ];
    let ask = async || {
        let answer = here.post(&url, &[], &form).await;
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(code(&ask().await), (401, 7_000_215), "nobody consented");
    let presence = here.read::<ServicePrincipal>(app.id).await.document;
    let presence = here.add(other.id, &id, presence).await;
    assert_eq!(code(&ask().await), (401, 7_000_112), "not open to other tenants");
    here.change(app.id, |sp: &mut ServicePrincipal| sp.multi_tenant = true).await;
    let (status, answer) = ask().await;
    assert_eq!(status, 200, "{answer}");
    let claims = here.claims(&answer["access_token"], &here.base());
    assert_eq!((claims.tid, claims.oid), (other.guid, presence), "it is somebody else there");
    here.change(app.id, |sp: &mut ServicePrincipal| sp.enabled = false).await;
    assert_eq!(code(&ask().await), (401, 7_000_112), "disabled at home");
    here.change(app.id, |sp: &mut ServicePrincipal| sp.enabled = true).await;
    here.write(Write::Delete { id: presence, etag: None }).await;
    assert_eq!(code(&ask().await), (401, 7_000_215), "consent was taken back");
    here.world.running.shutdown().await;
}
