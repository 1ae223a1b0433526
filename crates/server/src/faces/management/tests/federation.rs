//! Issuers, federated credentials, managed identities.

use serde_json::{Value, json};

use super::Desk;

const ISSUERS: &str = "/tenants/default/issuers";
const IDENTITIES: &str = "/tenants/default/identities";
const GITHUB: &str = "https://token.actions.githubusercontent.com";

#[tokio::test]
async fn an_issuer_is_trusted_changed_and_trusted_no_longer() {
    let desk = Desk::start().await;
    let made = desk.post(ISSUERS, json!({"name": "github", "issuer": GITHUB})).await;
    assert_eq!((&made["keys"], &made["signIn"]), (&json!("discovery"), &Value::Null));
    desk.op("POST", ISSUERS, json!({"name": "github", "issuer": GITHUB})).await.ok(200);
    desk.op("POST", ISSUERS, json!({"name": "other", "issuer": GITHUB})).await.refused(409, "that issuer already");
    let path = format!("{ISSUERS}/github");
    let sign_in = json!({"signIn": {"clientId": "us", "clientSecret": "hunter2hunter2", "groupsClaim": "groups"}});
    let changed = desk.op("PATCH", &path, sign_in).await.ok(200);
    assert_eq!(changed["signIn"], json!({"clientId": "us", "confidential": true, "groupsClaim": "groups"}));
    let id = made["id"].as_str().unwrap().parse().unwrap();
    let hidden = desk
        .world
        .running
        .app
        .directory
        .policy(|state| state.issuer(id).unwrap().document.sign_in.clone().unwrap().client_secret.unwrap());
    assert!(!hidden.unwrap().contains("hunter2"), "the secret is hidden in the database too");
    assert!(!desk.audited("issuer.update").await.to_string().contains("hunter2"));
    assert_eq!(desk.op("PATCH", &path, json!({"signIn": null})).await.ok(200)["signIn"], Value::Null);
    desk.op("PATCH", &path, json!({"issuer": "https://other.example"})).await.refused(400, "unknown field");
    desk.op("DELETE", &path, Value::Null).await.ok(204);
    desk.op("GET", &path, Value::Null).await.refused(404, "no issuer");
    desk.shut().await;
}

#[tokio::test]
async fn an_issuer_that_cannot_be_is_refused() {
    let desk = Desk::start().await;
    for bad in [
        json!({"issuer": "http://example.org"}),
        json!({"issuer": ""}),
        json!({"issuer": GITHUB, "jwks": {"keys": []}}),
        json!({"issuer": GITHUB, "jwks": {"keys": []}, "discoveryUrl": "https://example.org"}),
        json!({"issuer": GITHUB, "ca": "nothing"}),
    ] {
        let mut body = bad.clone();
        body["name"] = json!("bad");
        let got = desk.op("POST", ISSUERS, body).await;
        assert_eq!(got.status, 400, "{bad}");
    }
    desk.shut().await;
}

#[tokio::test]
async fn a_federated_credential_needs_a_trusted_issuer_and_holds_it() {
    let desk = Desk::start().await;
    let app = desk.application("default", "ci").await;
    let identity = desk.post(IDENTITIES, json!({"name": "builder"})).await;
    assert_eq!((&identity["type"], &identity["resourceGroup"]), (&json!("UserAssigned"), &json!("default")));
    assert_eq!(identity["id"], identity["principalId"]);
    let owners = [
        format!("/tenants/default/service-principals/{}/federated-credentials", app.app_id),
        format!("{IDENTITIES}/builder/federated-credentials"),
    ];
    let new = json!({"name": "main", "issuer": GITHUB, "subject": "repo:octo/app:ref:refs/heads/main"});
    desk.op("POST", &owners[0], new.clone()).await.refused(400, "does not trust");
    desk.post(ISSUERS, json!({"name": "github", "issuer": GITHUB})).await;
    for owner in &owners {
        let made = desk.post(owner, new.clone()).await;
        assert_eq!(made["audience"], "api://AzureADTokenExchange");
        desk.op("POST", owner, new.clone()).await.ok(200);
        let path = format!("{owner}/main");
        let pattern = desk.op("PATCH", &path, json!({"subjectPattern": "repo:octo/app:*"})).await.ok(200);
        assert_eq!((&pattern["subjectPattern"], pattern.get("subject")), (&json!("repo:octo/app:*"), None));
        assert_ne!(pattern["id"], made["id"], "what was issued for the old subject ends");
        assert_eq!(desk.get(&path).await["etag"], pattern["etag"]);
        for bad in [
            json!({"subject": "repo:*"}),
            json!({"subjectPattern": "*"}),
            json!({"subject": "a", "subjectPattern": "a*"}),
            json!({"audience": ""}),
            json!({"issuer": "https://other.example"}),
        ] {
            desk.op("PATCH", &path, bad).await.ok(400);
        }
    }
    desk.op("DELETE", &format!("{ISSUERS}/github"), Value::Null).await.refused(409, "federated credential");
    desk.op("DELETE", &format!("{}/main", owners[0]), Value::Null).await.ok(204);
    desk.op("DELETE", &format!("{IDENTITIES}/builder"), Value::Null).await.ok(204);
    desk.op("DELETE", &format!("{ISSUERS}/github"), Value::Null).await.ok(204);
    desk.shut().await;
}

#[tokio::test]
async fn an_identity_is_found_by_each_of_its_names() {
    let desk = Desk::start().await;
    let made = desk.post(IDENTITIES, json!({"name": "builder"})).await;
    desk.op("POST", IDENTITIES, json!({"name": "builder"})).await.ok(200);
    for said in ["builder", made["id"].as_str().unwrap(), made["clientId"].as_str().unwrap()] {
        assert_eq!(desk.get(&format!("{IDENTITIES}/{said}")).await["id"], made["id"]);
    }
    desk.op("POST", IDENTITIES, json!({"name": "other", "resourceGroup": "nowhere"}))
        .await
        .refused(404, "no resource group");
    for field in ["clientId", "systemOf", "enabled", "type"] {
        desk.op("POST", IDENTITIES, json!({"name": "mass", field: "x"})).await.refused(400, "unknown field");
    }
    desk.op("POST", IDENTITIES, json!({"name": "_registry-x"})).await.ok(400);
    assert_eq!(
        desk.op("PATCH", &format!("{IDENTITIES}/builder"), json!({"enabled": false})).await.ok(200)["enabled"],
        json!(false)
    );
    desk.shut().await;
}

#[tokio::test]
async fn a_registrys_own_identity_dies_with_it_and_is_a_new_one_afterwards() {
    let desk = Desk::start().await;
    desk.post("/registries", json!({"name": "second"})).await;
    let path = "/registries/second/identity";
    let on = json!({"type": "SystemAssigned"});
    let first = desk.op("PUT", path, on.clone()).await.ok(200)["principalId"].as_str().unwrap().to_owned();
    assert_eq!(desk.op("PUT", path, on.clone()).await.ok(200)["principalId"].as_str(), Some(first.as_str()));
    let shown = desk.get(&format!("{IDENTITIES}/{first}")).await;
    assert_eq!((&shown["type"], &shown["resource"]), (&json!("SystemAssigned"), &json!("/registries/second")));
    desk.op("DELETE", &format!("{IDENTITIES}/{first}"), Value::Null).await.refused(409, "goes with its resource");
    desk.post("/role-assignments", json!({"role": "AcrPull", "assignee": first, "scope": "/registries/default"})).await;
    desk.op("PUT", path, json!({"type": "None"})).await.ok(200);
    assert_eq!(desk.get("/role-assignments?scope=/registries/default").await["value"], json!([]));
    let second = desk.op("PUT", path, on).await.ok(200)["principalId"].as_str().unwrap().to_owned();
    assert_ne!(second, first);
    desk.op("DELETE", "/registries/second", Value::Null).await.ok(204);
    desk.op("GET", &format!("{IDENTITIES}/{second}"), Value::Null).await.ok(404);
    desk.shut().await;
}
