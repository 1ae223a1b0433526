//! What a client must see on the wire, for requests that no client of good will sends.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use reqwest::Response;
use serde_json::{Value, json};
use sha2::Digest as _;
use shorepass_core::{Algorithm, Digest, EventKind};
use shorepass_store::audit::AuditQuery;

use crate::auth::NULL_GUID;
use crate::settings::SigningAlgorithm;
use crate::testing::{World, access};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn digest(content: &[u8]) -> Digest {
    Digest::from_hash(Algorithm::Sha256, &sha2::Sha256::digest(content)).unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Who may do everything on `app`.
fn owner(world: &World) -> String {
    world.bearer(&world.claims(vec![access("app", &["pull", "push", "delete", "metadata_read"])]))
}

async fn push_blob(world: &World, authorization: &str, content: &'static [u8]) {
    let path = format!("/v2/app/blobs/uploads/?digest={}", digest(content));
    let pushed = world.request(Method::POST, &path, &[("authorization", authorization)], content).await;
    assert_eq!(pushed.status(), 201);
}

async fn push_manifest(world: &World, authorization: &str, tag: &str, media_type: &str, body: &Value) -> Response {
    let headers = [("authorization", authorization), ("content-type", media_type)];
    world.request(Method::PUT, &format!("/v2/app/manifests/{tag}"), &headers, body.to_string()).await
}

#[tokio::test]
async fn a_token_request_says_everything_but_its_scopes_once() {
    let world = World::start().await;
    let (password, host) = (world.enable_admin().await, world.host());
    let once =
        format!("grant_type=password&username=default&password={password}&service={host}&scope=repository:a:pull");
    let granted =
        world.request(Method::POST, "/oauth2/token", &[FORM], format!("{once}&scope=repository:b:pull")).await;
    assert_eq!(granted.status(), 200);
    for more in
        ["grant_type=refresh_token", "username=other", "password=x", "service=x", "access_type=offline&access_type="]
    {
        let refused = world.request(Method::POST, "/oauth2/token", &[FORM], format!("{once}&{more}")).await;
        assert_eq!(refused.status(), 400, "{more}");
        assert_eq!(refused.json::<Value>().await.unwrap()["error"], "invalid_request", "{more}");
    }
    let twice = format!("/oauth2/token?service={host}&service={host}");
    let refused = world.request(Method::GET, &twice, &[("authorization", &basic("default", &password))], "").await;
    assert_eq!(refused.status(), 400);
    world.running.shutdown().await;
}

#[tokio::test]
async fn no_answer_of_the_token_service_and_no_refusal_is_kept_by_a_cache() {
    let world = World::start().await;
    let json = ("content-type", "application/json");
    for (method, path, headers, body, status) in [
        (Method::GET, "/oauth2/token?service=elsewhere", vec![], "", 400),
        (Method::GET, "/oauth2/token", vec![], "", 401),
        (Method::PUT, "/oauth2/token", vec![], "", 405),
        (Method::POST, "/oauth2/token", vec![json], "{}", 400),
        (Method::POST, "/oauth2/token", vec![FORM], "scope=%ff&grant_type=password", 400),
        (Method::POST, "/oauth2/exchange", vec![FORM], "grant_type=access_token&access_token=x", 401),
        (Method::GET, "/v2/app/manifests/latest", vec![("authorization", owner(&world).leak() as &str)], "", 404),
    ] {
        let answer = world.request(method.clone(), path, &headers, body).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        assert_eq!(header(&answer, "cache-control"), "no-store", "{method} {path}");
    }
    world.running.shutdown().await;
}

/// Some clients split the challenge of `/v2/` at every comma (contracts/azure-clients.md 7.1).
#[tokio::test]
async fn the_challenge_of_the_root_is_realm_and_service_whatever_was_shown() {
    let world = World::start().await;
    let host = world.host();
    for authorization in ["Bearer garbage", "Basic Og==", "Basic eDp5", "Negotiate x"] {
        let answer = world.request(Method::GET, "/v2/", &[("authorization", authorization)], "").await;
        assert_eq!(answer.status(), 401);
        let expected = format!("Bearer realm=\"http://{host}/oauth2/token\",service=\"{host}\"");
        assert_eq!(header(&answer, "www-authenticate"), expected, "{authorization}");
    }
    world.running.shutdown().await;
}

#[tokio::test]
async fn the_longest_token_is_good_as_a_password_and_a_longer_one_is_not_made() {
    let scopes: String = (10..42).map(|n| format!("&scope=repository:{n}{}:*", "x".repeat(253))).collect();
    let world = World::start().await;
    let (host, password) = (world.host(), world.enable_admin().await);
    let path = format!("/oauth2/token?service={host}");
    let authorization = basic("default", &password);
    let granted =
        world.request(Method::GET, &format!("{path}{scopes}"), &[("authorization", &authorization)], "").await;
    let token = granted.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned();
    assert!(token.len() > 15_000, "{}", token.len());
    let again = world.request(Method::GET, &path, &[("authorization", &basic(NULL_GUID, &token))], "").await;
    assert_eq!(again.status(), 200);
    world.running.shutdown().await;

    let label = "x".repeat(60);
    let world = World::start_with(|settings| {
        settings.signing = SigningAlgorithm::Rs256;
        settings.domain = Some(format!("{label}.{label}.{label}.test"));
    })
    .await;
    let host = format!("default.{label}.{label}.{label}.test");
    let authorization = basic("default", &world.enable_admin().await);
    let request = format!("/oauth2/token?service={host}{scopes}");
    let refused = world
        .raw(&format!(
            "GET {request} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
        ))
        .await;
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    assert!(refused.contains("invalid_scope"), "{refused}");
    world.running.shutdown().await;
}

#[tokio::test]
async fn only_http_1_0_may_leave_the_host_out() {
    let world = World::start().await;
    for (version, status) in [("1.1", " 400 "), ("1.0", " 401 ")] {
        let answer = world.raw(&format!("GET /v2/ HTTP/{version}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.lines().next().unwrap().contains(status), "{answer}");
    }
    world.running.shutdown().await;
}

#[tokio::test]
async fn control_characters_in_a_query_are_refused() {
    let world = World::start().await;
    let (authorization, subject) = (owner(&world), digest(b""));
    let referrers = format!("/v2/app/referrers/{subject}?artifactType=%00");
    for path in ["/v2/app/tags/list?last=a%00", "/v2/app/tags/list?%0a=1", &referrers] {
        let answer = world.request(Method::GET, path, &[("authorization", &authorization)], "").await;
        assert_eq!(answer.status(), 400, "{path}");
    }
    let (status, _) = world.manage(Method::GET, "/api/v1/audit?principal=%00", "").await;
    assert_eq!(status, 400);
    world.running.shutdown().await;
}

#[tokio::test]
async fn a_list_is_not_taken_for_an_object() {
    let world = World::start().await;
    let (status, _) = world.manage(Method::POST, "/api/v1/registries", r#"["another",null]"#).await;
    assert_eq!(status, 400);
    let (_, listed) = world.manage(Method::GET, "/api/v1/registries", "").await;
    assert_eq!(listed["value"].as_array().unwrap().len(), 1);
    world.running.shutdown().await;
}

/// A blob that might have been fetched elsewhere, but is here, is content like any other.
#[tokio::test]
async fn what_a_manifest_references_is_kept_foreign_or_not() {
    let world = World::start().await;
    let authorization = owner(&world);
    for content in [b"{}".as_slice(), b"foreign", b"cache"] {
        push_blob(&world, &authorization, content).await;
    }
    let descriptor = |media_type: &str, content: &[u8]| json!({"mediaType": media_type, "digest": digest(content), "size": content.len()});
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    let image = json!({
        "schemaVersion": 2, "config": descriptor("a/b", b"{}"),
        "layers": [descriptor(foreign, b"foreign"), descriptor(foreign, b"elsewhere")],
    });
    assert_eq!(push_manifest(&world, &authorization, "image", MANIFEST, &image).await.status(), 201);
    let cache =
        json!({"schemaVersion": 2, "manifests": [descriptor("application/vnd.oci.image.layer.v1.tar", b"cache")]});
    assert_eq!(push_manifest(&world, &authorization, "cache", INDEX, &cache).await.status(), 201);
    for content in [b"{}".as_slice(), b"foreign", b"cache"] {
        let path = format!("/v2/app/blobs/{}", digest(content));
        let deleted = world.request(Method::DELETE, &path, &[("authorization", &authorization)], "").await;
        assert_eq!(deleted.status(), 405, "{path}");
    }
    world.running.shutdown().await;
}

#[tokio::test]
async fn an_upload_ends_with_the_repository_it_was_begun_in() {
    let world = World::start().await;
    let authorization = owner(&world);
    push_blob(&world, &authorization, b"one").await;
    let begun = world.request(Method::POST, "/v2/app/blobs/uploads/", &[("authorization", &authorization)], "").await;
    let upload = header(&begun, "location").to_owned();
    let (status, _) = world.manage(Method::DELETE, "/api/v1/registries/default/repositories/app", "").await;
    assert_eq!(status, 204);
    let later = owner(&world);
    push_blob(&world, &later, b"two").await;
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let answer = world.request(method.clone(), &upload, &[("authorization", &later)], "").await;
        assert_eq!(answer.status(), 404, "{method}");
    }
    world.running.shutdown().await;
}

/// Some clients sign in with `GET /v2/` and nothing else.
#[tokio::test]
async fn a_password_shown_to_the_root_is_a_sign_in() {
    let world = World::start().await;
    let authorization = basic("default", &world.enable_admin().await);
    let answer = world.request(Method::GET, "/v2/", &[("authorization", &authorization)], "").await;
    assert_eq!(answer.status(), 200);
    let table = std::sync::Arc::clone(world.running.app.recorder.table());
    world.running.shutdown().await;
    let query = AuditQuery { kind: Some(EventKind::Login), limit: 10, ..AuditQuery::default() };
    let events = tokio::time::timeout(Duration::from_secs(5), table.query(&query)).await.unwrap().unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].reason, "signed in");
}

/// The list that clients keep under a fallback tag is content of that tag.
#[tokio::test]
async fn what_a_read_lock_hides_is_not_listed_among_the_referrers() {
    let world = World::start().await;
    let authorization = owner(&world);
    let subject = digest(b"{}");
    push_blob(&world, &authorization, b"{}").await;
    let image = json!({"schemaVersion": 2, "config": {"mediaType": "a/b", "digest": subject, "size": 2}, "layers": []});
    assert_eq!(push_manifest(&world, &authorization, "image", MANIFEST, &image).await.status(), 201);
    let entry = json!({"mediaType": MANIFEST, "digest": digest(image.to_string().as_bytes()), "size": 2});
    let list = json!({"schemaVersion": 2, "manifests": [entry]});
    let tag = subject.to_string().replace(':', "-");
    assert_eq!(push_manifest(&world, &authorization, &tag, INDEX, &list).await.status(), 201);
    for (read_enabled, entries) in [(true, 1), (false, 0)] {
        let path = format!("/api/v1/registries/default/repositories/app/_tags/{tag}");
        let (status, _) = world.manage(Method::PATCH, &path, &json!({"readEnabled": read_enabled}).to_string()).await;
        assert_eq!(status, 200);
        let path = format!("/v2/app/referrers/{subject}");
        let answer = world.request(Method::GET, &path, &[("authorization", &authorization)], "").await;
        let index = answer.json::<Value>().await.unwrap();
        assert_eq!(index["manifests"].as_array().unwrap().len(), entries, "{index}");
    }
    world.running.shutdown().await;
}
