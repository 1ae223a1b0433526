//! Every operation of the table × everybody who must not pass: nobody, a stranger of another tenant, somebody without a role,
//! a reader. A body that an operation needs and that is missing here fails the test: a new operation is covered, or noticed.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::super::operations::{OPERATIONS, Operation};
use super::{App, Desk};

/// What anybody with a token may ask: himself, names, what he may see.
const FOR_EVERYBODY: [&str; 8] = [
    "GET /api/v1/registries",
    "POST /api/v1/registries/check-name",
    "GET /api/v1/tenants",
    "GET /api/v1/me",
    "GET /api/v1/health",
    "GET /api/v1/access/explain",
    "GET /api/v1/access/list",
    "GET /api/v1/tenants/{tenant}",
];

/// Things of the first tenant for every parameter of every path.
async fn furnish(desk: &Desk) -> BTreeMap<&'static str, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let victim = desk.application("default", "victim").await;
    desk.post("/registries/default/scope-maps", json!({"name": "readers", "actions": ["repositories/a/content/read"]}))
        .await;
    desk.post("/registries/default/tokens", json!({"name": "ci-token", "scopeMap": "readers"})).await;
    let policy = json!({"name": "nights", "text": "forbid (principal, action, resource) when { false };"});
    desk.post("/registries/default/policies", policy).await;
    let user = desk.post("/tenants/default/users", json!({"userName": "alice"})).await;
    desk.post("/tenants/default/groups", json!({"name": "Developers"})).await;
    desk.post("/tenants/default/groups/Developers/members", json!({"member": "alice"})).await;
    desk.post(
        "/tenants/default/issuers",
        json!({"name": "github", "issuer": "https://token.actions.githubusercontent.com"}),
    )
    .await;
    desk.post("/tenants/default/identities", json!({"name": "builder"})).await;
    let trust = json!({"name": "main", "issuer": "https://token.actions.githubusercontent.com", "subject": "x"});
    for owner in ["identities/builder".to_owned(), format!("service-principals/{}", victim.app_id)] {
        desk.post(&format!("/tenants/default/{owner}/federated-credentials"), trust.clone()).await;
    }
    let role = json!({"roleName": "Mine", "actions": ["Microsoft.ContainerRegistry/registries/read"]});
    desk.post("/tenants/default/role-definitions", role).await;
    let assignment = desk.assign(&victim, "Reader", "/registries/default").await;
    BTreeMap::from([
        ("registry", "default".to_owned()),
        ("scopeMap", "readers".to_owned()),
        ("token", "ci-token".to_owned()),
        ("password", "password1".to_owned()),
        ("policy", "nights".to_owned()),
        ("repository", "a".to_owned()),
        ("tag", "v1".to_owned()),
        ("digest", format!("sha256:{}", "a".repeat(64))),
        ("tenant", "default".to_owned()),
        ("subscription", "default".to_owned()),
        ("resourceGroup", "default".to_owned()),
        ("user", "alice".to_owned()),
        ("group", "Developers".to_owned()),
        ("member", text(&user["id"])),
        ("servicePrincipal", victim.app_id),
        ("credential", victim.key),
        ("identity", "builder".to_owned()),
        ("issuer", "github".to_owned()),
        ("role", "Mine".to_owned()),
        ("assignment", assignment),
    ])
}

fn path_of(operation: &Operation, things: &BTreeMap<&'static str, String>) -> String {
    let mut path = operation.path.strip_prefix("/api/v1").unwrap().replace("{*", "{");
    for (name, value) in things {
        let value = if *name == "credential" && path.contains("federated") { "main" } else { value };
        path = path.replace(&format!("{{{name}}}"), value);
    }
    assert!(!path.contains('{'), "{path}: there is nothing for its parameter");
    match path.as_str() {
        "/role-assignments" if operation.method == Method::GET => {
            "/role-assignments?scope=/registries/default".to_owned()
        }
        "/access/explain" => {
            "/access/explain?principal=user:alice&action=catalog/list&resource=/registries/default".to_owned()
        }
        "/access/list" => "/access/list?resource=/registries/default&action=catalog/list".to_owned(),
        "/audit" => "/audit?registry=default".to_owned(),
        _ => path,
    }
}

/// A body that would do, so that only the right is missing.
fn body_of(operation: &Operation, me: &App) -> Value {
    let path = operation.path.strip_prefix("/api/v1").unwrap();
    let resource = path.rsplit('/').find(|part| !part.starts_with('{')).unwrap();
    if (operation.body)(&mut schemars::SchemaGenerator::default()).is_none() {
        return Value::Null;
    }
    if operation.method == Method::PUT {
        return json!({"type": "SystemAssigned"});
    }
    if operation.method == Method::PATCH {
        return match resource {
            "registries" => json!({"rateLimits": true}),
            "scope-maps" => json!({"actions": ["repositories/*/content/write"]}),
            "tokens" => json!({"scopeMap": "_repositories_admin"}),
            "policies" => json!({"enabled": false}),
            "repositories" | "_tags" | "_manifests" => json!({"deleteEnabled": true}),
            "tenants" | "subscriptions" | "resource-groups" => json!({"name": "taken-over"}),
            "users" | "identities" => json!({"enabled": false}),
            "groups" => json!({"description": "mine now"}),
            "service-principals" => json!({"multiTenant": true}),
            "federated-credentials" => json!({"subject": "attacker"}),
            "issuers" => json!({"discoveryUrl": "https://attacker.example/"}),
            "role-definitions" => json!({"actions": ["Microsoft.Authorization/roleAssignments/write"]}),
            "role-assignments" => json!({"condition": null}),
            other => panic!("no body for PATCH {other}"),
        };
    }
    match resource {
        "registries" => json!({"name": "attacker1"}),
        "check-name" => json!({"name": "attacker1"}),
        "renew" => json!({"passwordName": "password"}),
        "refresh-token" => json!({}),
        "scope-maps" => json!({"name": "attacker", "actions": ["repositories/*/content/read"]}),
        "tokens" => json!({"name": "attacker", "scopeMap": "_repositories_admin"}),
        "passwords" => json!({}),
        "_check" => json!({"text": "x"}),
        "policies" => json!({"name": "attacker", "text": "permit (principal, action, resource);"}),
        "tenants" | "subscriptions" | "resource-groups" => json!({"name": "attacker"}),
        "users" => json!({"userName": "attacker"}),
        "groups" => json!({"name": "Attackers"}),
        "members" => json!({"member": me.app_id}),
        "service-principals" => json!({"displayName": "attacker"}),
        "credentials" => json!({"append": true}),
        "federated-credentials" => {
            json!({"name": "attacker", "issuer": "https://token.actions.githubusercontent.com", "subject": "attacker"})
        }
        "identities" => json!({"name": "attacker"}),
        "issuers" => json!({"name": "attacker", "issuer": "https://attacker.example"}),
        "role-definitions" => {
            json!({"roleName": "Attacker", "actions": ["Microsoft.Authorization/roleAssignments/write"]})
        }
        "role-assignments" => json!({"role": "Owner", "assignee": me.app_id, "scope": "/registries/default"}),
        other => panic!("no body for POST {other}"),
    }
}

fn name_of(operation: &Operation) -> String {
    format!("{} {}", operation.method, operation.path)
}

#[tokio::test]
async fn nobody_passes_without_a_token_that_is_good() {
    let desk = Desk::start().await;
    let things = furnish(&desk).await;
    let (app, good) = desk.with_role("owner", "Owner").await;
    let mut forged = good.clone();
    forged.truncate(good.len() - 4);
    let registry = desk.world.running.app.keys.sign(&desk.world.claims(Vec::new())).unwrap();
    let scope = "https://containerregistry.azure.net/.default";
    let guid = desk.get("/tenants/default").await["tenantId"].as_str().unwrap().to_owned();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &app.app_id),
        ("client_secret", &app.password),
        ("scope", scope),
    ];
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = desk.world.client.post(format!("{}/{guid}/oauth2/v2.0/token", desk.base()));
    let answer = request.header("content-type", "application/x-www-form-urlencoded").body(form).send().await.unwrap();
    let other: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let other = other["access_token"].as_str().unwrap().to_owned();
    for token in [None, Some(""), Some("garbage"), Some(&*forged), Some(&*registry), Some(&*other)] {
        for operation in OPERATIONS {
            let got = desk
                .call(token, operation.method.as_str(), &path_of(operation, &things), &body_of(operation, &app))
                .await;
            assert_eq!(got.status, 401, "{} {:?}: {}", name_of(operation), token, got.body);
            assert!(
                got.challenge.as_deref().unwrap().starts_with("Bearer authorization_uri=\"http://"),
                "{:?}",
                got.challenge
            );
        }
    }
    desk.call(Some(&good), "GET", "/me", &Value::Null).await.ok(200);
    desk.shut().await;
}

/// CVE-2022-31667 and its like: the id in the path was not held against what the caller was authorised for.
#[tokio::test]
async fn an_owner_elsewhere_is_told_of_nothing_here() {
    let desk = Desk::start().await;
    let things = furnish(&desk).await;
    desk.post("/tenants", json!({"name": "fabrikam"})).await;
    let stranger = desk.application("fabrikam", "stranger").await;
    desk.assign(&stranger, "Owner", "/tenants/fabrikam").await;
    let token = desk.token("fabrikam", &stranger).await;
    for operation in OPERATIONS {
        let (name, path) = (name_of(operation), path_of(operation, &things));
        let got = desk.call(Some(&token), operation.method.as_str(), &path, &body_of(operation, &stranger)).await;
        if FOR_EVERYBODY[..5].contains(&name.as_str()) {
            assert!(got.status < 300, "{name}: {}", got.body);
            assert!(!got.body.to_string().contains("\"default\""), "{name}: {}", got.body);
        } else if operation.path.contains('{') || path.contains("/registries/default") {
            // What is the operator's alone is refused before anything is looked at.
            let operators = got.status == 403 && got.body.to_string().contains("local operator");
            assert!(got.status == 404 || operators, "{name}: {} {}", got.status, got.body);
            // What is here looks as what is nowhere.
            let nowhere = path.replace("default", "nowhere");
            let other =
                desk.call(Some(&token), operation.method.as_str(), &nowhere, &body_of(operation, &stranger)).await;
            let (here, there) = (got.body.to_string(), other.body.to_string().replace("nowhere", "default"));
            if path != nowhere {
                assert_eq!(here, there, "{name}");
            }
        } else {
            assert!(matches!(got.status, 403 | 404), "{name}: {} {}", got.status, got.body);
        }
    }
    desk.shut().await;
}

#[tokio::test]
async fn somebody_without_a_role_changes_and_sees_nothing() {
    let desk = Desk::start().await;
    let things = furnish(&desk).await;
    let nobody = desk.application("default", "nobody").await;
    let token = desk.token("default", &nobody).await;
    for operation in OPERATIONS {
        let (name, path) = (name_of(operation), path_of(operation, &things));
        let got = desk.call(Some(&token), operation.method.as_str(), &path, &body_of(operation, &nobody)).await;
        if FOR_EVERYBODY.contains(&name.as_str()) && !name.contains("/access/") {
            assert!(got.status < 300, "{name}: {}", got.body);
        } else {
            assert!(matches!(got.status, 403 | 404), "{name}: {} {}", got.status, got.body);
        }
        let hidden = path.contains("/registries/default") && !got.body.to_string().contains("local operator");
        assert!(!hidden || got.status == 404, "{name}: {} {}", got.status, got.body);
    }
    let denied = desk.world.running.app.recorder.table();
    let query = shorepass_store::AuditQuery {
        kind: Some(shorepass_core::EventKind::Denied),
        limit: 1000,
        ..Default::default()
    };
    let events = loop {
        let events = denied.query(&query).await.unwrap();
        if !events.is_empty() {
            break events;
        }
        tokio::task::yield_now().await;
    };
    assert!(events.iter().all(|event| event.principal == format!("sp:{}", nobody.id)));
    desk.shut().await;
}

#[tokio::test]
async fn a_reader_sees_everything_and_changes_nothing() {
    let desk = Desk::start().await;
    let things = furnish(&desk).await;
    let (reader, token) = desk.with_role("reader", "Reader").await;
    // No repository has content here, and the server's own affairs are the operator's.
    let absent = ["{*repository}", "/api/v1/keys", "/api/v1/registries/{registry}/refresh-token"];
    for operation in OPERATIONS {
        let (name, path) = (name_of(operation), path_of(operation, &things));
        let got = desk.call(Some(&token), operation.method.as_str(), &path, &body_of(operation, &reader)).await;
        let asks = name.ends_with("check-name") || name.ends_with("_check");
        if operation.method == Method::GET || asks {
            if !absent.iter().any(|part| operation.path.contains(part)) {
                assert_eq!(got.status, 200, "{name}: {}", got.body);
            }
        } else {
            assert_eq!(got.status, 403, "{name}: {}", got.body);
        }
    }
    desk.shut().await;
}

#[tokio::test]
async fn the_description_is_for_everybody_and_a_login_server_has_no_api() {
    let desk = Desk::start().await;
    let document = desk.call(None, "GET", "/openapi.json", &Value::Null).await.ok(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/v1/tenants/{tenant}/users"]["post"].is_object());
    let (_, token) = desk.with_role("owner", "Owner").await;
    let bearer = format!("Bearer {token}");
    for path in ["/api/v1/me", "/api/v1/openapi.json", "/api/v1/registries"] {
        // The host is `default.shore.test`.
        let answer = desk.world.request(Method::GET, path, &[("authorization", &bearer)], "").await;
        assert_eq!(answer.status().as_u16(), 404, "{path}");
    }
    desk.shut().await;
}
