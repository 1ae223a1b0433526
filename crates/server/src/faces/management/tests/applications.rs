//! Service principals, their credentials, consent.

use serde_json::{Value, json};

use super::Desk;

const APPS: &str = "/tenants/default/service-principals";

#[tokio::test]
async fn an_application_signs_in_until_its_secret_is_reset() {
    let desk = Desk::start().await;
    let app = desk.application("default", "deployer").await;
    let token = desk.token("default", &app).await;
    let me = desk.call(Some(&token), "GET", "/me", &Value::Null).await.ok(200);
    assert_eq!(
        (&me["kind"], &me["name"], &me["tenant"]),
        (&json!("ServicePrincipal"), &json!("deployer"), &json!("default"))
    );
    assert_eq!(me["objectId"].as_str(), Some(app.id.as_str()));

    let credentials = format!("{APPS}/{}/credentials", app.app_id);
    let listed = desk.get(&credentials).await;
    assert_eq!(listed["value"][0]["keyId"].as_str(), Some(app.key.as_str()));
    assert!(!listed.to_string().contains(&app.password));
    assert!(app.password.starts_with(listed["value"][0]["hint"].as_str().unwrap()));

    // A second one beside the first; then a reset ends both, and what they opened.
    let second = desk.post(&credentials, json!({"append": true, "displayName": "ci", "years": 2})).await;
    assert_eq!(second["appId"].as_str(), Some(app.app_id.as_str()));
    let second = second["password"].as_str().unwrap().to_owned();
    assert_eq!(desk.sign_in("default", &app.app_id, &app.password).await.0, 200);
    assert_eq!(desk.sign_in("default", &app.app_id, &second).await.0, 200);
    let third = desk.post(&credentials, json!({})).await["password"].as_str().unwrap().to_owned();
    for old in [&app.password, &second] {
        assert_eq!(desk.sign_in("default", &app.app_id, old).await.0, 401);
    }
    assert_eq!(desk.sign_in("default", &app.app_id, &third).await.0, 200);
    desk.call(Some(&token), "GET", "/me", &Value::Null).await.refused(401, "deleted or renewed");
    let event = desk.audited("sp.credential.reset").await;
    assert_eq!(event["detail"]["before"].as_array().unwrap().len(), 2);
    assert!(!event.to_string().contains(&third));
    desk.shut().await;
}

#[tokio::test]
async fn a_secret_is_good_for_a_year_or_what_is_asked() {
    let desk = Desk::start().await;
    let days = |credential: &Value| {
        let end: shorepass_core::Timestamp = credential["endDate"].as_str().unwrap().parse().unwrap();
        end.since(desk.now()).as_secs() / 86_400
    };
    let year = desk.post(APPS, json!({"displayName": "one"})).await;
    assert_eq!(days(&year["credential"]), 364, "a year, less the moment that passed");
    let two = desk.post(APPS, json!({"displayName": "two", "years": 2})).await;
    assert_eq!(days(&two["credential"]), 729);
    for bad in [
        json!({"years": 0}),
        json!({"years": 100}),
        json!({"endDate": "2020-01-01T00:00:00Z"}),
        json!({"years": 1, "endDate": "2099-01-01T00:00:00Z"}),
        json!({"years": 1, "createPassword": false}),
    ] {
        let mut body = bad.clone();
        body["displayName"] = json!("three");
        desk.op("POST", APPS, body).await.ok(400);
    }
    let bare = desk.post(APPS, json!({"displayName": "bare", "createPassword": false})).await;
    assert_eq!(bare.get("credential"), None);
    let again = desk.op("POST", APPS, json!({"displayName": "one"})).await.ok(200);
    assert_eq!(
        (again["appId"].clone(), again.get("credential")),
        (year["appId"].clone(), None),
        "nothing is made twice"
    );
    for field in ["enabled", "homeTenant", "epoch", "id"] {
        desk.op("POST", APPS, json!({"displayName": "mass", field: true})).await.refused(400, "unknown field");
    }
    desk.shut().await;
}

#[tokio::test]
async fn certificates_are_taken_without_their_keys_only() {
    let desk = Desk::start().await;
    let app = desk.application("default", "certified").await;
    let credentials = format!("{APPS}/{}/credentials", app.app_id);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let both = format!("{}{}", certificate.pem(), key.serialize_pem());
    desk.op("POST", &credentials, json!({"certificate": both})).await.refused(400, "private key");
    desk.op("POST", &credentials, json!({"certificate": "nothing"})).await.ok(400);
    let made = desk.post(&credentials, json!({"certificate": certificate.pem()})).await;
    assert_eq!(made["type"], "certificate");
    assert_eq!(made["thumbprint"].as_str().unwrap().len(), 64);
    assert_eq!(made.get("password"), None);
    assert_eq!(
        desk.get(&credentials).await["value"].as_array().unwrap().len(),
        2,
        "a reset of certificates leaves secrets"
    );
    let path = format!("{credentials}/{}", made["keyId"].as_str().unwrap());
    desk.op("DELETE", &path, Value::Null).await.ok(204);
    desk.op("DELETE", &path, Value::Null).await.refused(404, "no credential");
    desk.shut().await;
}

#[tokio::test]
async fn disabling_and_deleting_bite_at_once() {
    let desk = Desk::start().await;
    let (app, token) = desk.with_role("reader", "Reader").await;
    let path = format!("{APPS}/{}", app.id);
    desk.call(Some(&token), "GET", "/registries/default", &Value::Null).await.ok(200);
    desk.op("PATCH", &path, json!({"enabled": false})).await.ok(200);
    desk.call(Some(&token), "GET", "/registries/default", &Value::Null).await.refused(401, "disabled");
    assert_eq!(desk.sign_in("default", &app.app_id, &app.password).await.0, 401);
    desk.op("PATCH", &path, json!({"enabled": true})).await.ok(200);
    desk.call(Some(&token), "GET", "/me", &Value::Null).await.refused(401, "since the token was issued");
    let token = desk.token("default", &app).await;
    desk.op("DELETE", &path, Value::Null).await.ok(204);
    desk.call(Some(&token), "GET", "/me", &Value::Null).await.refused(401, "deleted");
    let left = desk.get("/role-assignments?scope=/tenants/default").await;
    assert_eq!(left["value"], json!([]), "its roles went with it");
    desk.shut().await;
}

#[tokio::test]
async fn another_tenants_application_comes_by_consent_and_goes_with_it() {
    let desk = Desk::start().await;
    desk.post("/tenants", json!({"name": "fabrikam"})).await;
    let app = desk.application("default", "supplier").await;
    let there = "/tenants/fabrikam/service-principals";
    desk.op("POST", there, json!({"appId": app.app_id})).await.refused(404, "could consent to");
    desk.op("PATCH", &format!("{APPS}/{}", app.app_id), json!({"multiTenant": true})).await.ok(200);
    let consented = desk.post(there, json!({"appId": app.app_id})).await;
    assert_eq!(consented["consented"], json!(true));
    assert_ne!(consented["id"].as_str(), Some(app.id.as_str()));
    desk.op("POST", there, json!({"appId": app.app_id})).await.ok(200);
    let mixed = json!({"appId": app.app_id, "displayName": "x"});
    desk.op("POST", there, mixed).await.ok(400);
    // Its credentials, name and reach are its home's affair.
    let path = format!("{there}/{}", app.app_id);
    desk.op("POST", &format!("{path}/credentials"), json!({})).await.refused(409, "another tenant's");
    desk.op("PATCH", &path, json!({"multiTenant": false})).await.refused(409, "another tenant's");
    // It can hold roles there, and is gone when the consent is.
    desk.post("/role-assignments", json!({"role": "Reader", "assignee": app.app_id, "scope": "/tenants/fabrikam"}))
        .await;
    let token = desk.token("fabrikam", &app).await;
    assert_eq!(desk.call(Some(&token), "GET", "/me", &Value::Null).await.ok(200)["tenant"], "fabrikam");
    desk.op("DELETE", &path, Value::Null).await.ok(204);
    assert_eq!(desk.audited("sp.revoke-consent").await["outcome"], "success");
    desk.call(Some(&token), "GET", "/me", &Value::Null).await.refused(401, "deleted");
    assert_ne!(desk.sign_in("fabrikam", &app.app_id, &app.password).await.0, 200);
    assert_eq!(desk.sign_in("default", &app.app_id, &app.password).await.0, 200, "at home it lives on");
    // Deleted at home it is gone everywhere.
    desk.post(there, json!({"appId": app.app_id})).await;
    desk.op("DELETE", &format!("{APPS}/{}", app.app_id), Value::Null).await.ok(204);
    desk.op("GET", &path, Value::Null).await.ok(404);
    desk.shut().await;
}
