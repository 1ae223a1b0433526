//! People: the authorization code, the sign-in page, and what tokens come of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::Value;
use shorepass_core::directory::User;
use shorepass_core::{CredentialKind, Principal};
use shorepass_identity::{CONTAINER_REGISTRY_AUDIENCE, IdentityType};
use url::Url;

use super::{COMMAND_LINE, Here, PASSWORD, code};
use crate::faces::directory::provider::s256;

pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A browser: the cookie, and the page it shows.
pub struct Browser<'a> {
    pub here: &'a Here,
    pub cookie: Option<String>,
    pub page: String,
    pub status: StatusCode,
    pub location: Option<String>,
}

impl<'a> Browser<'a> {
    pub fn new(here: &'a Here) -> Self {
        Self { here, cookie: None, page: String::new(), status: StatusCode::OK, location: None }
    }

    pub async fn open(&mut self, url: &str) {
        let cookie = self.cookie.clone().unwrap_or_default();
        let headers: &[(&str, &str)] = if cookie.is_empty() { &[] } else { &[("cookie", &cookie)] };
        let answer = self.here.get(url, headers).await;
        self.take(answer).await;
    }

    /// Sends the form as a browser does from our own page.
    pub async fn send(&mut self, url: &str, form: &[(&str, &str)]) {
        let origin = self.here.base();
        self.send_from(&origin, url, form).await;
    }

    pub async fn send_from(&mut self, origin: &str, url: &str, form: &[(&str, &str)]) {
        let cookie = self.cookie.clone().unwrap_or_default();
        let mut headers = vec![("origin", origin)];
        if !cookie.is_empty() {
            headers.push(("cookie", &cookie));
        }
        let answer = self.here.post(url, &headers, form).await;
        self.take(answer).await;
    }

    async fn take(&mut self, answer: reqwest::Response) {
        self.status = answer.status();
        self.location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        if let Some(set) = answer.headers().get("set-cookie") {
            let set = set.to_str().unwrap();
            assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
            self.cookie = set.split(';').next().map(str::to_owned).filter(|pair| !pair.ends_with('='));
        }
        self.page = answer.text().await.unwrap();
    }

    /// The hidden field of the page's form.
    pub fn request(&self) -> String {
        let (_, rest) = self.page.split_once("name=\"request\" value=\"").expect(&self.page);
        rest.split_once('"').unwrap().0.to_owned()
    }

    pub async fn sign_in(&mut self, name: &str, password: &str) {
        let request = self.request();
        let form = [("request", request.as_str()), ("username", name), ("password", password)];
        let address = self.form_address();
        self.send(&address, &form).await;
    }

    /// Where the page's form goes.
    fn form_address(&self) -> String {
        let (_, rest) = self.page.split_once("action=\"").expect(&self.page);
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// A parameter of the address the browser was sent to.
    pub fn sent(&self, name: &str) -> Option<String> {
        let url = Url::parse(self.location.as_deref()?).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

pub fn authorize(here: &Here, change: &[(&str, Option<&str>)]) -> String {
    let scope = format!("{} openid profile offline_access", here.management());
    let challenge = s256(VERIFIER);
    let mut fields = vec![
        ("client_id", COMMAND_LINE),
        ("response_type", "code"),
        ("redirect_uri", "http://localhost:8400"),
        ("scope", &scope),
        ("state", "st&te"),
        ("nonce", "n0nce"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("prompt", "select_account"),
    ];
    for (name, value) in change {
        fields.retain(|(key, _)| key != name);
        fields.extend(value.map(|value| (*name, value)));
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    format!("{}?{query}", here.url("oauth2/v2.0/authorize"))
}

pub async fn redeem(here: &Here, code: &str, change: &[(&str, &str)]) -> (u16, Value) {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("client_id", COMMAND_LINE),
        ("code", code),
        ("redirect_uri", "http://localhost:8400"),
        ("code_verifier", VERIFIER),
    ];
    for (name, value) in change {
        form.retain(|(key, _)| key != name);
        form.push((name, value));
    }
    here.token(&form).await
}

async fn refresh(here: &Here, tenant: &str, token: &Value, scope: &str) -> (u16, Value) {
    let url = format!("{}/{tenant}/oauth2/v2.0/token", here.base());
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", COMMAND_LINE),
        ("refresh_token", token.as_str().unwrap()),
        ("scope", scope),
    ];
    let answer = here.post(&url, &[], &form).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn payload(jwt: &Value) -> Value {
    let part = jwt.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A signed-in person's answer.
async fn signed_in(here: &Here, name: &str) -> Value {
    let mut browser = Browser::new(here);
    browser.open(&authorize(here, &[])).await;
    browser.sign_in(name, PASSWORD).await;
    let (status, answer) = redeem(here, &browser.sent("code").unwrap(), &[]).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn a_person_signs_in_with_a_browser() {
    let here = Here::start().await;
    let id = here.user("ada@lovelace.test").await;
    let mut browser = Browser::new(&here);
    browser.open(&authorize(&here, &[])).await;
    assert_eq!(browser.status, StatusCode::OK);
    browser.sign_in("ADA@lovelace.test", PASSWORD).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
    assert!(browser.location.as_ref().unwrap().starts_with("http://localhost:8400/?"));
    assert_eq!(browser.sent("state").as_deref(), Some("st&te"));
    assert_eq!(browser.sent("iss").unwrap(), format!("{}/{}/v2.0", here.base(), here.tenant.guid));
    assert_eq!(browser.cookie, None, "the next sign-in begins anew");
    let code = browser.sent("code").unwrap();
    let (status, answer) = redeem(&here, &code, &[]).await;
    assert_eq!(status, 200, "{answer}");
    let claims = here.claims(&answer["access_token"], &here.base());
    assert_eq!((claims.oid, claims.idtyp, claims.upn.as_deref()), (id, IdentityType::User, Some("ada@lovelace.test")));
    assert_eq!(claims.shorepass.principal, Principal::User { id });
    assert_eq!(claims.shorepass.kind, CredentialKind::Password);
    let id_token = payload(&answer["id_token"]);
    assert_eq!((&id_token["nonce"], &id_token["aud"]), (&"n0nce".into(), &COMMAND_LINE.into()));
    assert_eq!(id_token["preferred_username"], "ada@lovelace.test");
    let info = URL_SAFE_NO_PAD.decode(answer["client_info"].as_str().unwrap()).unwrap();
    let info: Value = serde_json::from_slice(&info).unwrap();
    assert_eq!(info, serde_json::json!({"uid": id, "utid": here.tenant.guid}));
    assert_eq!(answer["scope"], format!("{} openid profile offline_access", here.management()));
    assert_eq!(super::code(&redeem(&here, &code, &[]).await), (400, 54_005), "a code is good once");
    let logins = here.audit("login", 1).await;
    assert_eq!((&logins[0]["principal"], &logins[0]["credential"]), (&format!("user:{id}").into(), &"password".into()));
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn a_refresh_token_is_good_again_and_for_every_resource() {
    let here = Here::start().await;
    let id = here.user("ada").await;
    let answer = signed_in(&here, "ada").await;
    let token = &answer["refresh_token"];
    let guid = here.tenant.guid.to_string();
    let registry = format!("{CONTAINER_REGISTRY_AUDIENCE}/.default offline_access openid profile");
    for (tenant, scope, audience) in [
        ("organizations", here.management(), here.base()),
        (&*guid, here.management(), here.base()),
        (&*guid, registry, CONTAINER_REGISTRY_AUDIENCE.to_owned()),
        ("default", format!("{}/.default", here.world.host()), here.world.host()),
    ] {
        let (status, answer) = refresh(&here, tenant, token, &scope).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(here.claims(&answer["access_token"], &audience).oid, id);
        assert_eq!(answer.get("refresh_token").is_some(), scope.contains("offline_access"));
    }
    let junk = Value::from("shpr_AAAA");
    assert_eq!(code(&refresh(&here, &guid, &junk, &here.management()).await), (400, 70_000));
    assert_eq!(code(&refresh(&here, &guid, &answer["access_token"], &here.management()).await), (400, 70_000));
    here.change(id, |user: &mut User| user.epoch += 1).await;
    assert_eq!(code(&refresh(&here, &guid, token, &here.management()).await), (400, 50_173), "revoked");
    let again = signed_in(&here, "ada").await;
    here.change(id, |user: &mut User| user.enabled = false).await;
    assert_eq!(
        code(&refresh(&here, &guid, &again["refresh_token"], &here.management()).await),
        (400, 50_173),
        "disabled"
    );
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn a_code_is_bound_to_its_client_its_address_and_its_verifier() {
    let here = Here::start().await;
    here.user("ada").await;
    for (case, change, expected) in [
        ("another verifier", ("code_verifier", "eBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), 501_481),
        ("the challenge as verifier", ("code_verifier", &*s256(VERIFIER)), 501_481),
        ("another address", ("redirect_uri", "http://localhost:8401"), 500_112),
        ("another client", ("client_id", "7f1c2f50-4f5e-4d2b-9d4b-0f0c4d7a1b11"), 700_016),
        ("no verifier", ("code_verifier", ""), 900_144),
    ] {
        let mut browser = Browser::new(&here);
        browser.open(&authorize(&here, &[])).await;
        browser.sign_in("ada", PASSWORD).await;
        let answer = redeem(&here, &browser.sent("code").unwrap(), &[change]).await;
        assert_eq!(code(&answer), (400, expected), "{case}");
    }
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_to_whom_it_may_be_told() {
    let here = Here::start().await;
    let mut browser = Browser::new(&here);
    for (case, change) in [
        ("unknown client", ("client_id", Some("7f1c2f50-4f5e-4d2b-9d4b-0f0c4d7a1b11"))),
        ("foreign address", ("redirect_uri", Some("https://evil.test"))),
        ("no address", ("redirect_uri", None)),
        ("a look-alike", ("redirect_uri", Some("http://localhost.evil.test:1"))),
    ] {
        browser.open(&authorize(&here, &[change])).await;
        assert_eq!((browser.status, &browser.location), (StatusCode::BAD_REQUEST, &None), "{case}");
    }
    for (change, error) in [
        (("response_type", Some("token")), "unsupported_response_type"),
        (("code_challenge", None), "invalid_request"),
        (("code_challenge", Some("short")), "invalid_request"),
        (("code_challenge_method", Some("plain")), "invalid_request"),
        (("code_challenge_method", None), "invalid_request"),
        (("response_mode", Some("fragment")), "invalid_request"),
        (("prompt", Some("none")), "login_required"),
        (("request_uri", Some("https://evil.test")), "request_not_supported"),
        (("scope", Some("openid")), "invalid_scope"),
        (("scope", Some("https://graph.test/.default")), "invalid_resource"),
    ] {
        browser.open(&authorize(&here, &[change])).await;
        assert_eq!(browser.status, StatusCode::SEE_OTHER, "{change:?}");
        assert_eq!(browser.sent("error").as_deref(), Some(error), "{change:?}");
        assert_eq!(browser.sent("state").as_deref(), Some("st&te"));
        assert_eq!(browser.sent("code"), None);
    }
    browser.open(&format!("{}&redirect_uri=https%3A%2F%2Fevil.test", authorize(&here, &[]))).await;
    assert_eq!((browser.status, &browser.location), (StatusCode::BAD_REQUEST, &None), "two addresses");
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn the_page_may_not_be_used_by_others() {
    let here = Here::start().await;
    here.user("ada").await;
    let mut browser = Browser::new(&here);
    browser.open(&authorize(&here, &[])).await;
    let request = browser.request();
    let form = [("request", request.as_str()), ("username", "ada"), ("password", PASSWORD)];
    let url = here.url("signin");
    for origin in ["https://evil.test", "null", ""] {
        browser.send_from(origin, &url, &form).await;
        assert_eq!(browser.status, StatusCode::FORBIDDEN, "{origin}");
    }
    assert_eq!(
        here.post(&url, &[("cookie", browser.cookie.as_deref().unwrap())], &form).await.status(),
        StatusCode::FORBIDDEN
    );
    let mut stranger = Browser::new(&here);
    stranger.send(&url, &form).await;
    assert_eq!(stranger.status, StatusCode::BAD_REQUEST, "no cookie");
    stranger.open(&authorize(&here, &[])).await;
    stranger.send(&url, &form).await;
    assert_eq!(stranger.status, StatusCode::BAD_REQUEST, "another browser's page");
    let elsewhere = here.another_tenant().await;
    browser.send(&format!("{}/{}/signin", here.base(), elsewhere.guid), &form).await;
    assert_eq!(browser.status, StatusCode::BAD_REQUEST, "another tenant's page");
    let changed = format!("{}{}", if request.starts_with('A') { 'B' } else { 'A' }, &request[1..]);
    browser.send(&url, &[("request", &changed), ("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(browser.status, StatusCode::BAD_REQUEST, "a changed page");
    browser.send(&url, &form).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "the page itself still works");
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn wrong_passwords_look_like_unknown_people_and_are_limited() {
    let here = Here::start().await;
    let id = here.user("ada").await;
    let mut browser = Browser::new(&here);
    browser.open(&authorize(&here, &[])).await;
    browser.sign_in("ada", "wrong").await;
    let (status, wrong) = (browser.status, browser.page.clone());
    assert_eq!(status, StatusCode::FORBIDDEN);
    browser.sign_in("bob", PASSWORD).await;
    let alert = |page: &str| page.split_once("role=\"alert\">").unwrap().1.split_once("</p>").unwrap().0.to_owned();
    assert_eq!((browser.status, alert(&browser.page)), (status, alert(&wrong)));
    browser.sign_in("\"><script>alert(1)</script>", "x").await;
    assert!(!browser.page.contains("<script>alert"), "{}", browser.page);
    here.change(id, |user: &mut User| user.enabled = false).await;
    browser.sign_in("ada", PASSWORD).await;
    assert!(alert(&browser.page).contains("disabled"), "{}", browser.page);
    browser.sign_in("ada", "wrong").await;
    assert_eq!(alert(&browser.page), alert(&wrong), "only who knows the password is told");
    for _ in 0..16 {
        browser.sign_in("ada", "wrong").await;
    }
    browser.sign_in("ada", PASSWORD).await;
    assert_eq!(browser.status, StatusCode::TOO_MANY_REQUESTS);
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn az_gets_its_code_by_a_form_and_a_person_may_decline() {
    let here = Here::start().await;
    here.user("ada").await;
    let mut browser = Browser::new(&here);
    browser.open(&authorize(&here, &[("response_mode", Some("form_post"))])).await;
    browser.sign_in("ada", PASSWORD).await;
    assert_eq!(browser.status, StatusCode::OK);
    let field = |name: &str| {
        let (_, rest) = browser.page.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    assert!(browser.page.contains("action=\"http://localhost:8400\""));
    assert_eq!(field("state"), "st&amp;te");
    assert_eq!(redeem(&here, &field("code"), &[]).await.0, 200);
    browser.open(&authorize(&here, &[])).await;
    let request = browser.request();
    browser.send(&here.url("signin"), &[("request", &request), ("answer", "no")]).await;
    assert_eq!(browser.sent("error").as_deref(), Some("access_denied"));
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn who_names_no_tenant_is_found_in_his_own() {
    let here = Here::start().await;
    here.user("ada").await;
    let mut other = None;
    // With one tenant, with two, and with a namesake in the other.
    for (step, name) in ["ada", "ada@default", "ada", "ada@default", "ada@default"].into_iter().enumerate() {
        if step == 2 {
            other = Some(here.another_tenant().await);
        } else if let (4, Some(other)) = (step, &other) {
            here.user_in(other.id, "ada").await;
        }
        let mut browser = Browser::new(&here);
        let url = authorize(&here, &[]).replace(&here.tenant.guid.to_string(), "organizations");
        browser.open(&url).await;
        browser.sign_in(name, PASSWORD).await;
        let (status, answer) = redeem(&here, &browser.sent("code").unwrap(), &[]).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(here.claims(&answer["access_token"], &here.base()).tid, here.tenant.guid);
    }
    here.world.running.shutdown().await;
}
