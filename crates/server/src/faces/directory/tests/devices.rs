//! Device codes.

use http::StatusCode;
use serde_json::Value;

use super::people::Browser;
use super::{COMMAND_LINE, Here, PASSWORD, code};

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn begin(here: &Here, tenant: &str) -> Value {
    let scope = format!("{} openid profile offline_access", here.management());
    let url = format!("{}/{tenant}/oauth2/v2.0/devicecode", here.base());
    let answer = here.post(&url, &[], &[("client_id", COMMAND_LINE), ("scope", &scope)]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

/// As MSAL asks: the code under both names.
async fn poll(here: &Here, device: &Value) -> (u16, Value) {
    let secret = device["device_code"].as_str().unwrap();
    let form = [("grant_type", DEVICE_CODE), ("client_id", COMMAND_LINE), ("device_code", secret), ("code", secret)];
    here.token(&form).await
}

#[tokio::test]
async fn a_person_connects_a_device_with_its_code() {
    let here = Here::start().await;
    let id = here.user("ada").await;
    let device = begin(&here, &here.tenant.guid.to_string()).await;
    for field in ["user_code", "device_code", "message", "verification_uri", "expires_in", "interval"] {
        assert!(device.get(field).is_some(), "{field}");
    }
    let user_code = device["user_code"].as_str().unwrap();
    assert!(device["message"].as_str().unwrap().contains(user_code));
    assert_eq!(poll(&here, &device).await.1["error"], "authorization_pending");
    assert_eq!(poll(&here, &device).await.1["error"], "slow_down");
    let page = device["verification_uri"].as_str().unwrap();
    let mut browser = Browser::new(&here);
    browser.open(device["verification_uri_complete"].as_str().unwrap()).await;
    assert!(browser.page.contains(&format!("value=\"{user_code}\"")));
    browser.send(page, &[("user_code", &user_code.to_lowercase().replace('-', " "))]).await;
    assert!(browser.page.contains(user_code) && browser.status == StatusCode::OK, "{}", browser.page);
    browser.sign_in("ada", "wrong").await;
    assert_eq!(poll(&here, &device).await.0, 400);
    browser.sign_in("ada", PASSWORD).await;
    assert!(browser.page.contains("Connected"), "{}", browser.page);
    let (status, answer) = poll(&here, &device).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(here.claims(&answer["access_token"], &here.base()).oid, id);
    assert!(answer["refresh_token"].is_string() && answer["id_token"].is_string());
    assert_eq!(code(&poll(&here, &device).await), (400, 70_020), "once");
    browser.send(page, &[("user_code", user_code)]).await;
    assert_eq!(browser.status, StatusCode::BAD_REQUEST, "the code is used up");
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn many_ask_at_once_and_one_gets_the_tokens() {
    let here = Here::start().await;
    here.user("ada").await;
    let device = begin(&here, "organizations").await;
    let page = device["verification_uri"].as_str().unwrap();
    let mut browser = Browser::new(&here);
    browser.send(page, &[("user_code", device["user_code"].as_str().unwrap())]).await;
    browser.sign_in("ada", PASSWORD).await;
    assert!(browser.page.contains("Connected"), "{}", browser.page);
    let answers = futures::future::join_all((0..8).map(|_| poll(&here, &device))).await;
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 1);
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn a_person_declines_and_a_code_is_not_guessed() {
    let here = Here::start().await;
    here.user("ada").await;
    let device = begin(&here, &here.tenant.guid.to_string()).await;
    let page = device["verification_uri"].as_str().unwrap();
    let mut browser = Browser::new(&here);
    browser.send(page, &[("user_code", device["user_code"].as_str().unwrap())]).await;
    let request = browser.request();
    browser.send(&here.url("signin"), &[("request", &request), ("answer", "no")]).await;
    assert!(browser.page.contains("Cancelled"));
    let declined = poll(&here, &device).await;
    assert_eq!((declined.0, &declined.1["error"]), (400, &"access_denied".into()));
    let mut statuses = Vec::new();
    for _ in 0..25 {
        browser.send(page, &[("user_code", "BCDF-BCDF")]).await;
        statuses.push(browser.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 20, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
    let other = begin(&here, &here.tenant.guid.to_string()).await;
    browser.send(page, &[("user_code", other["user_code"].as_str().unwrap())]).await;
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS, "a right code is not looked at either");
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn nothing_begins_for_a_client_or_a_resource_that_is_not_there() {
    let here = Here::start().await;
    let url = here.url("oauth2/v2.0/devicecode");
    let scope = here.management();
    for form in [
        [("client_id", "7f1c2f50-4f5e-4d2b-9d4b-0f0c4d7a1b11"), ("scope", scope.as_str())],
        [("client_id", COMMAND_LINE), ("scope", "https://graph.test/.default")],
        [("client_id", COMMAND_LINE), ("scope", "")],
    ] {
        assert_eq!(here.post(&url, &[], &form).await.status(), StatusCode::BAD_REQUEST, "{form:?}");
    }
    here.world.running.shutdown().await;
}
