//! Scope maps, repository tokens, access policies.

use serde_json::{Value, json};

use super::Desk;

const MAPS: &str = "/registries/default/scope-maps";
const TOKENS: &str = "/registries/default/tokens";

#[tokio::test]
async fn a_scope_map_lives_and_ends() {
    let desk = Desk::start().await;
    let new = json!({"name": "readers", "actions": ["repositories/team/app/CONTENT/read"], "description": "who pulls"});
    let made = desk.post(MAPS, new.clone()).await;
    assert_eq!(made["actions"], json!(["repositories/team/app/content/read"]), "in lower case");
    assert_eq!(made["type"], "UserDefined");
    assert_eq!(desk.op("POST", MAPS, new).await.ok(200)["id"], made["id"], "the same again is there already");
    let other = json!({"name": "READERS", "actions": ["repositories/x/content/read"]});
    desk.op("POST", MAPS, other).await.refused(409, "exists already");

    let listed = desk.get(MAPS).await;
    let names: Vec<_> = listed["value"].as_array().unwrap().iter().map(|map| map["name"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["_repositories_admin", "_repositories_pull"]);
    assert_eq!(names.last(), Some(&"readers"));

    let path = format!("{MAPS}/readers");
    let changed = desk.op("PATCH", &path, json!({"actions": ["repositories/team/*/content/read"]})).await.ok(200);
    assert_eq!(changed["description"], "who pulls", "what is not named stays");
    assert_eq!(changed["etag"], "2");
    desk.op("DELETE", &path, Value::Null).await.ok(204);
    desk.op("GET", &path, Value::Null).await.refused(404, "no scope map");
    let event = desk.audited("scope-map.update").await;
    assert_eq!(event["detail"]["before"]["actions"], json!(["repositories/team/app/content/read"]));
    assert_eq!(event["detail"]["after"]["actions"], json!(["repositories/team/*/content/read"]));
    desk.shut().await;
}

#[tokio::test]
async fn a_scope_map_that_cannot_be_is_refused() {
    let desk = Desk::start().await;
    for action in
        ["sample/*/teamA/content/read", "repositories/sample/teamA*/content/read", "repositories/a/content/eat"]
    {
        desk.op("POST", MAPS, json!({"name": "readers", "actions": [action]})).await.ok(400);
    }
    for name in ["four", "_mine1", "with space", &"x".repeat(51)] {
        desk.op("POST", MAPS, json!({"name": name, "actions": ["repositories/a/content/read"]})).await.ok(400);
    }
    desk.op("PATCH", &format!("{MAPS}/_repositories_pull"), json!({"description": "x"}))
        .await
        .refused(409, "system's own");
    desk.op("DELETE", &format!("{MAPS}/_repositories_pull"), Value::Null).await.refused(409, "system's own");
    let extra = json!({"name": "readers", "actions": ["repositories/a/content/read"], "type": "SystemDefined"});
    desk.op("POST", MAPS, extra).await.refused(400, "unknown field `type`");
    desk.shut().await;
}

/// What the token opens, of pulling and pushing in `team/app`.
async fn opens(desk: &Desk, user: &str, password: &str) -> Result<Vec<String>, u16> {
    let host = desk.world.host();
    let path = format!("/oauth2/token?service={host}&scope=repository:team/app:pull,push");
    let basic = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
    };
    let authorization = format!("Basic {basic}");
    let answer = desk.world.request(http::Method::GET, &path, &[("authorization", &authorization)], "").await;
    if answer.status().as_u16() != 200 {
        return Err(answer.status().as_u16());
    }
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let claims = body["access_token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    use base64::Engine as _;
    let claims: Value =
        serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let actions = claims["access"][0]["actions"].as_array().cloned().unwrap_or_default();
    Ok(actions.iter().map(|action| action.as_str().unwrap().to_owned()).collect())
}

#[tokio::test]
async fn a_token_for_a_repository_signs_in_and_ends_with_its_map() {
    let desk = Desk::start().await;
    let new = json!({"name": "ci-reader", "repositories": [{"name": "team/app", "actions": ["content/read"]}]});
    let made = desk.post(TOKENS, new.clone()).await;
    assert_eq!(made["scopeMap"], "ci-reader-scope-map");
    assert_eq!(made["credentials"]["username"], "ci-reader");
    let value = |at: usize| made["credentials"]["passwords"][at]["value"].as_str().unwrap().to_owned();
    for at in [0, 1] {
        assert_eq!(opens(&desk, "ci-reader", &value(at)).await.unwrap(), ["pull"], "password {at}");
    }
    let shown = desk.get(&format!("{TOKENS}/ci-reader")).await;
    assert!(!shown.to_string().contains("\"value\""), "values are shown once: {shown}");
    assert!(!desk.audited("token.create").await.to_string().contains(&value(0)));

    // Another map is felt at once, and so is the end.
    desk.op("PATCH", &format!("{TOKENS}/ci-reader"), json!({"scopeMap": "_repositories_push"})).await.ok(200);
    assert_eq!(opens(&desk, "ci-reader", &value(0)).await.unwrap(), ["pull", "push"]);
    desk.op("PATCH", &format!("{TOKENS}/ci-reader"), json!({"status": "disabled"})).await.ok(200);
    assert_eq!(opens(&desk, "ci-reader", &value(0)).await, Err(401));
    desk.op("PATCH", &format!("{TOKENS}/ci-reader"), json!({"status": "enabled", "scopeMap": "ci-reader-scope-map"}))
        .await
        .ok(200);
    desk.op("DELETE", &format!("{TOKENS}/ci-reader"), Value::Null).await.ok(204);
    assert_eq!(opens(&desk, "ci-reader", &value(0)).await, Err(401));
    desk.op("GET", &format!("{MAPS}/ci-reader-scope-map"), Value::Null).await.ok(404);
    desk.post(TOKENS, new).await;
    desk.shut().await;
}

#[tokio::test]
async fn one_password_is_made_anew_and_the_other_goes_on() {
    let desk = Desk::start().await;
    let made = desk.post(TOKENS, json!({"name": "ci-pusher", "scopeMap": "_repositories_push"})).await;
    let value = |body: &Value, at: usize| body["passwords"][at]["value"].as_str().unwrap().to_owned();
    let (first, second) = (value(&made["credentials"], 0), value(&made["credentials"], 1));
    let path = format!("{TOKENS}/ci-pusher/passwords");
    let new = desk.op("POST", &path, json!({"name": "password1", "expirationInDays": 7})).await.ok(200);
    assert_eq!(new["passwords"].as_array().unwrap().len(), 1);
    let expiry: shorepass_core::Timestamp = new["passwords"][0]["expiry"].as_str().unwrap().parse().unwrap();
    let days = expiry.since(desk.now()).as_secs() / 86_400;
    assert!((6..=7).contains(&days), "{days}");
    assert_eq!(opens(&desk, "ci-pusher", &first).await, Err(401), "the old one ends at once");
    assert!(opens(&desk, "ci-pusher", &second).await.is_ok());
    assert!(opens(&desk, "ci-pusher", &value(&new, 0)).await.is_ok(), "the new one is good at once");
    desk.op("DELETE", &format!("{path}/password2"), Value::Null).await.ok(204);
    assert_eq!(opens(&desk, "ci-pusher", &second).await, Err(401));
    desk.op("DELETE", &format!("{path}/password2"), Value::Null).await.refused(404, "no such password");
    desk.op("DELETE", &format!("{path}/password3"), Value::Null).await.ok(404);
    let past = json!({"expiry": "2020-01-01T00:00:00Z"});
    desk.op("POST", &path, past).await.refused(400, "has passed");
    let both = json!({"expiry": "2099-01-01T00:00:00Z", "expirationInDays": 1});
    desk.op("POST", &path, both).await.refused(400, "not both");
    desk.op("POST", &path, json!({"expirationInDays": 0})).await.ok(400);
    desk.shut().await;
}

#[tokio::test]
async fn a_token_that_cannot_be_is_refused() {
    let desk = Desk::start().await;
    let with = |name: &str| json!({"name": name, "scopeMap": "_repositories_pull"});
    for name in ["default", "DEFAULT", "7f951dda-4ed3-4680-a7ca-43fe172d538d", "four", "has_underscore"] {
        desk.op("POST", TOKENS, with(name)).await.ok(400);
    }
    let neither = json!({"name": "ci-reader"});
    desk.op("POST", TOKENS, neither).await.refused(400, "not both");
    let both = json!({"name": "ci-reader", "scopeMap": "_repositories_pull", "repositories": []});
    desk.op("POST", TOKENS, both).await.refused(400, "not both");
    let missing = json!({"name": "ci-reader", "scopeMap": "nothing"});
    desk.op("POST", TOKENS, missing).await.refused(404, "no scope map");
    let none = json!({"name": "ci-reader", "repositories": []});
    desk.op("POST", TOKENS, none).await.ok(400);
    desk.post(TOKENS, json!({"name": "ci-reader", "scopeMap": "_repositories_pull", "passwords": false})).await;
    desk.op("POST", TOKENS, json!({"name": "ci-reader", "scopeMap": "_repositories_push"}))
        .await
        .refused(409, "exists");
    let again = json!({"name": "CI-reader", "scopeMap": "_repositories_pull", "passwords": false});
    assert_eq!(desk.op("POST", TOKENS, again).await.ok(200)["credentials"]["passwords"], json!([]));
    // Mass assignment: nothing but what the type names.
    for field in ["epoch", "id", "passwordHash", "scopeMapId", "registry"] {
        let body = json!({"name": "ci-other", "scopeMap": "_repositories_pull", field: 1});
        desk.op("POST", TOKENS, body).await.refused(400, "unknown field");
    }
    desk.shut().await;
}

#[tokio::test]
async fn a_map_in_use_stays_and_a_tier_is_full_at_its_limit() {
    let desk = Desk::start().await;
    desk.post("/registries", json!({"name": "small1", "sku": "Basic"})).await;
    let (maps, tokens) = ("/registries/small1/scope-maps", "/registries/small1/tokens");
    for n in 0..100 {
        let new = json!({"name": format!("mapnr{n}"), "actions": ["repositories/a/content/read"]});
        desk.post(maps, new).await;
    }
    let more = json!({"name": "onemore", "actions": ["repositories/a/content/read"]});
    desk.op("POST", maps, more.clone()).await.refused(409, "at most 100 scope maps");
    desk.op("PATCH", "/registries/small1", json!({"sku": "Standard"})).await.ok(200);
    desk.post(maps, more).await;
    desk.post(tokens, json!({"name": "ci-reader", "scopeMap": "mapnr7"})).await;
    desk.op("DELETE", &format!("{maps}/mapnr7"), Value::Null).await.refused(409, "`ci-reader` has this scope map");
    let first = desk.get(&format!("{maps}?n=40")).await;
    let last = first["next"].as_str().unwrap();
    let second = desk.get(&format!("{maps}?n=1000&last={last}")).await;
    let count = |page: &Value| page["value"].as_array().unwrap().len();
    assert_eq!(
        (count(&first), count(&second), &second["next"]),
        (45, 61, &Value::Null),
        "40 and the system's 5, then the rest"
    );
    desk.shut().await;
}

#[tokio::test]
async fn access_policies_are_checked_before_they_are_stored() {
    let desk = Desk::start().await;
    let policies = "/registries/default/policies";
    let schema = desk.get(&format!("{policies}/_schema")).await;
    assert!(schema["schema"].as_str().unwrap().contains("action"));
    let good = "forbid (principal, action, resource) when { false };";
    let checked = desk.op("POST", &format!("{policies}/_check"), json!({"text": "forbid everything"})).await.ok(200);
    assert_eq!(checked["valid"], json!(false));
    assert!(!checked["message"].as_str().unwrap().is_empty());
    desk.op("POST", policies, json!({"name": "nights", "text": "forbid everything"})).await.ok(400);
    let checked = desk.op("POST", &format!("{policies}/_check"), json!({"text": good})).await.ok(200);
    assert_eq!(checked, json!({"valid": true, "message": null}));
    let made = desk.post(policies, json!({"name": "nights", "text": good})).await;
    assert_eq!(made["enabled"], json!(true));
    let path = format!("{policies}/nights");
    assert_eq!(desk.op("PATCH", &path, json!({"enabled": false})).await.ok(200)["enabled"], json!(false));
    desk.op("PATCH", &path, json!({"text": "nonsense"})).await.ok(400);
    assert_eq!(desk.get(policies).await["value"].as_array().unwrap().len(), 1);
    desk.op("DELETE", &path, Value::Null).await.ok(204);
    desk.op("DELETE", &path, Value::Null).await.ok(404);
    desk.shut().await;
}
