//! Registries' settings, etags, the wire's manners.

use serde_json::{Value, json};

use super::Desk;

#[tokio::test]
async fn a_registry_has_the_settings_of_access() {
    let desk = Desk::start().await;
    let shown = desk.get("/registries/default").await;
    assert_eq!(
        (&shown["roleAssignmentMode"], &shown["authenticationAsArm"], &shown["rateLimits"]),
        (&json!("rbac"), &json!(true), &json!(false))
    );
    assert_eq!(shown["resourceGroup"], "default");
    let patch = json!({"roleAssignmentMode": "rbac-abac", "authenticationAsArm": false});
    let changed = desk.op("PATCH", "/registries/default", patch).await.ok(200);
    assert_eq!((&changed["roleAssignmentMode"], &changed["authenticationAsArm"]), (&json!("rbac-abac"), &json!(false)));
    let record = desk.world.running.app.directory.by_name(&"default".parse().unwrap()).unwrap().unwrap();
    assert!(record.registry.settings.mode_changed_at.is_some(), "what was issued before the switch is refused");
    desk.op("PATCH", "/registries/default", json!({"roleAssignmentMode": "abac"})).await.ok(400);
    for field in ["modeChangedAt", "adminEpoch", "etag", "tenantId"] {
        desk.op("PATCH", "/registries/default", json!({field: 1})).await.refused(400, "unknown field");
    }
    let new = json!({"name": "second", "sku": "Standard", "roleAssignmentMode": "rbac-abac"});
    desk.post("/registries", new.clone()).await;
    desk.op("POST", "/registries", new).await.ok(200);
    desk.op("POST", "/registries", json!({"name": "second", "sku": "Basic"})).await.refused(409, "already exists");
    desk.shut().await;
}

#[tokio::test]
async fn what_changed_meanwhile_is_not_overwritten() {
    let desk = Desk::start().await;
    let (_, token) = desk.with_role("owner", "Owner").await;
    let token = Some(token.as_str());
    let shown = desk.call(token, "GET", "/registries/default", &Value::Null).await;
    let etag = shown.etag.clone().unwrap();
    assert_eq!(etag, format!("\"{}\"", shown.body["etag"].as_str().unwrap()));
    let patch = json!({"rateLimits": true});
    let changed = desk.call_with(token, "PATCH", "/registries/default", &patch, Some(&etag)).await;
    assert_ne!(changed.etag.clone().unwrap(), etag);
    changed.ok(200);
    for stale in [etag.as_str(), "W/\"7\"", "nonsense"] {
        let got = desk.call_with(token, "PATCH", "/registries/default", &patch, Some(stale)).await;
        got.refused(412, "changed since");
    }
    desk.call_with(token, "PATCH", "/registries/default", &patch, Some("*")).await.ok(200);
    let map = json!({"name": "readers", "actions": ["repositories/a/content/read"]});
    let maps = "/registries/default/scope-maps";
    let made = desk.call(token, "POST", maps, &map).await;
    let etag = made.etag.clone().unwrap();
    let path = format!("{maps}/readers");
    desk.call_with(token, "DELETE", &path, &Value::Null, Some("\"99\"")).await.refused(412, "changed since");
    desk.call_with(token, "DELETE", &path, &Value::Null, Some(&etag)).await.ok(204);
    desk.shut().await;
}

#[tokio::test]
async fn a_call_says_what_is_wrong_with_it() {
    let desk = Desk::start().await;
    desk.op("GET", "/registries?sort=name", Value::Null).await.refused(400, "no query parameter `sort`");
    desk.op("GET", "/registries?n=1&n=2", Value::Null).await.refused(400, "more than once");
    for n in ["0", "1001", "-1", "x"] {
        desk.op("GET", &format!("/registries?n={n}"), Value::Null).await.refused(400, "`n` must be");
    }
    desk.op("DELETE", "/registries", Value::Null).await.refused(405, "not allowed");
    desk.op("GET", "/nothing", Value::Null).await.refused(404, "nothing at this path");
    desk.op("GET", "/me", json!({"x": 1})).await.refused(400, "takes no body");
    desk.op("POST", "/registries", json!("text")).await.ok(400);
    let long = "x".repeat(600 * 1024);
    desk.op("POST", "/registries/check-name", json!({"name": long})).await.refused(413, "too long");
    desk.shut().await;
}
