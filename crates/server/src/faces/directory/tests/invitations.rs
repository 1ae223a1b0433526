//! Accepting an invitation.

use std::time::Duration;

use http::StatusCode;
use shorepass_core::directory::User;
use shorepass_identity::new_invitation;
use uuid::Uuid;

use super::people::{Browser, authorize};
use super::{Here, PASSWORD};

async fn invite(here: &Here, ago: Duration) -> (Uuid, String) {
    let id = here.user("ada").await;
    let provider = here.provider();
    let (secret, stored) = new_invitation(&provider.secrets, &*provider.random, here.now().minus(ago));
    here.change(id, |user: &mut User| {
        user.password_hash = None;
        user.invitation = Some(stored);
    })
    .await;
    (id, secret)
}

async fn accept(browser: &mut Browser<'_>, name: &str, code: &str, password: &str, again: &str) {
    let form = [("username", name), ("code", code), ("password", password), ("again", again)];
    let url = browser.here.url("invitation");
    browser.send(&url, &form).await;
}

#[tokio::test]
async fn an_invitation_is_accepted_once_and_the_password_works() {
    let here = Here::start().await;
    let (id, secret) = invite(&here, Duration::ZERO).await;
    let mut browser = Browser::new(&here);
    browser.open(&format!("{}?user=ada%22", here.url("invitation"))).await;
    assert!(browser.page.contains("value=\"ada&quot;\""), "{}", browser.page);
    accept(&mut browser, "ada", &secret, PASSWORD, "something else entirely").await;
    assert_eq!(browser.status, StatusCode::BAD_REQUEST);
    accept(&mut browser, "ada", &secret, "short", "short").await;
    assert_eq!(browser.status, StatusCode::BAD_REQUEST);
    assert!(browser.page.contains("at least 12"), "{}", browser.page);
    accept(&mut browser, "ada", &secret, PASSWORD, PASSWORD).await;
    assert!(browser.page.contains("Welcome"), "{}", browser.page);
    let user = here.read::<User>(id).await.document;
    assert!(user.password_hash.unwrap().starts_with("$argon2id$") && user.invitation.is_none());
    browser.open(&authorize(&here, &[])).await;
    browser.sign_in("ada", PASSWORD).await;
    assert!(browser.sent("code").is_some(), "{}", browser.page);
    accept(&mut browser, "ada", &secret, "another long password", "another long password").await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN, "used");
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn wrong_and_late_codes_and_unknown_people_look_the_same() {
    let here = Here::start().await;
    let (_, late) = invite(&here, Duration::from_secs(8 * 24 * 3600)).await;
    let mut browser = Browser::new(&here);
    let mut pages = Vec::new();
    for (name, code) in [("ada", late.as_str()), ("ada", "wrong"), ("bob", "wrong"), ("b\0b", "wrong"), ("ada", "")] {
        accept(&mut browser, name, code, PASSWORD, PASSWORD).await;
        assert_eq!(browser.status, StatusCode::FORBIDDEN, "{name:?}");
        let alert = browser.page.split_once("role=\"alert\">").unwrap().1;
        pages.push(alert.split_once("</p>").unwrap().0.to_owned());
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "{pages:?}");
    let form = [("username", "ada"), ("code", late.as_str()), ("password", PASSWORD), ("again", PASSWORD)];
    browser.send_from("https://evil.test", &here.url("invitation"), &form).await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    assert!(browser.page.contains("not sent from a page of this server"));
    here.world.running.shutdown().await;
}
