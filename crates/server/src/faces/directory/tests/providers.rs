//! Outside providers: a small one of our own that plays every part a test needs. (A certified one is driven in
//! tests/e2e/oidc.)

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use shorepass_core::directory::{ExternalIdentity, Group, Issuer, IssuerKeys, ProviderClient, User};
use shorepass_core::{Principal, Timestamp};
use shorepass_identity::hide_client_secret;
use tokio::net::TcpListener;
use url::Url;
use uuid::Uuid;

use super::issuer::TestIssuer;
use super::people::{Browser, authorize, redeem};
use super::{COMMAND_LINE, Here, code};
use crate::faces::directory::provider::s256;

const CLIENT: &str = "shorepass-at-partner";
const CLIENT_SECRET: &str = "partner: secret%";

/// What the provider says of whoever signs in there.
#[derive(Clone)]
struct Says {
    subject: String,
    claims: Value,
}

struct Partner {
    issuer: TestIssuer,
    says: Mutex<Says>,
    /// Codes with the nonce and the challenge of their request.
    codes: Mutex<HashMap<String, (String, String)>>,
    now: Timestamp,
}

impl Partner {
    async fn start(now: Timestamp) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = TestIssuer::new(&format!("http://{}", listener.local_addr().unwrap()));
        let says = Mutex::new(Says { subject: "ada-1".to_owned(), claims: json!({}) });
        let partner = Arc::new(Self { issuer, says, codes: Mutex::default(), now });
        let serving = Arc::clone(&partner);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let partner = Arc::clone(&serving);
                let service = hyper::service::service_fn(move |request| {
                    let partner = Arc::clone(&partner);
                    async move { Ok::<_, Infallible>(partner.answer(request).await) }
                });
                tokio::spawn(async move {
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    server.serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        partner
    }

    fn say(&self, subject: &str, claims: Value) {
        *self.says.lock().unwrap() = Says { subject: subject.to_owned(), claims };
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let base = &self.issuer.name;
        let body = match request.uri().path() {
            "/.well-known/openid-configuration" => json!({
                "issuer": base,
                "authorization_endpoint": format!("{base}/authorize"),
                "token_endpoint": format!("{base}/token"),
                "jwks_uri": format!("{base}/keys"),
            }),
            "/keys" => serde_json::from_str(&self.issuer.jwks()).unwrap(),
            "/token" => return self.token(request).await,
            _ => return Response::builder().status(404).body(Full::default()).unwrap(),
        };
        Response::new(Full::from(body.to_string()))
    }

    async fn token(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:partner%3A+secret%25")));
        let proven = request.headers().get("authorization").is_some_and(|value| *value == basic);
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
        let found = self.codes.lock().unwrap().remove(&form["code"]);
        let Some((nonce, challenge)) = found.filter(|_| proven) else {
            let refused = Full::from(json!({"error": "invalid_client"}).to_string());
            return Response::builder().status(StatusCode::UNAUTHORIZED).body(refused).unwrap();
        };
        assert_eq!(s256(&form["code_verifier"]), challenge);
        assert!(form["redirect_uri"].ends_with("/signin/callback"));
        let says = self.says.lock().unwrap().clone();
        let mut claims = self.issuer.claims(&says.subject, CLIENT, self.now);
        claims["nonce"] = json!(nonce);
        for (name, value) in says.claims.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let answer = json!({"access_token": "x", "token_type": "Bearer", "id_token": self.issuer.sign("JWT", &claims)});
        Response::new(Full::from(answer.to_string()))
    }

    /// The person signs in at the provider: the address the browser is sent back to.
    fn signs_in(&self, sent_to: &str) -> String {
        let url = Url::parse(sent_to).unwrap();
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!((query["client_id"].as_str(), query["response_type"].as_str()), (CLIENT, "code"));
        assert_eq!(query["code_challenge_method"], "S256");
        let code = format!("code-{}", s256(&query["state"]));
        self.codes.lock().unwrap().insert(code.clone(), (query["nonce"].clone(), query["code_challenge"].clone()));
        let mut back = Url::parse(&query["redirect_uri"]).unwrap();
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &query["state"]);
        back.into()
    }
}

async fn trust(here: &Here, partner: &Partner) -> Uuid {
    let provider = here.provider();
    let secret = hide_client_secret(&provider.secrets, &*provider.random, CLIENT_SECRET);
    assert!(secret.is_some());
    let document = Issuer {
        issuer: partner.issuer.name.clone(),
        keys: IssuerKeys::Discovery { url: None },
        ca: None,
        sign_in: Some(ProviderClient {
            client_id: CLIENT.to_owned(),
            client_secret: secret,
            groups_claim: Some("groups".to_owned()),
        }),
    };
    here.add(here.tenant.id, "partner", document).await
}

async fn group(here: &Here, issuer: Uuid, name: &str) -> Uuid {
    let external = Some(ExternalIdentity { issuer, subject: format!("at-partner-{name}") });
    here.add(here.tenant.id, name, Group { description: String::new(), external }).await
}

/// As far as the provider's own sign-in page.
async fn leave(browser: &mut Browser<'_>) {
    browser.open(&authorize(browser.here, &[])).await;
    let (_, link) = browser.page.split_once("class=\"button\" href=\"").expect(&browser.page);
    let link = link.split_once('"').unwrap().0.replace("&amp;", "&");
    browser.open(&link).await;
    assert_eq!(browser.status, StatusCode::SEE_OTHER, "{}", browser.page);
}

/// The whole way; the tokens.
async fn sign_in(here: &Here, partner: &Partner) -> Value {
    let mut browser = Browser::new(here);
    leave(&mut browser).await;
    browser.open(&partner.signs_in(&browser.location.clone().unwrap())).await;
    let code = browser.sent("code").unwrap_or_else(|| panic!("{}", browser.page));
    let (status, answer) = redeem(here, &code, &[]).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn refresh(here: &Here, token: &Value) -> (u16, Value) {
    let (scope, token) = (here.management(), token.as_str().unwrap());
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", COMMAND_LINE),
        ("refresh_token", token),
        ("scope", scope.as_str()),
    ];
    here.token(&form).await
}

#[tokio::test]
async fn issuer_and_subject_are_the_identity_and_names_are_not() {
    let here = Here::start().await;
    here.user("ada").await;
    let partner = Partner::start(here.now()).await;
    let issuer = trust(&here, &partner).await;
    partner.say("ada-1", json!({"preferred_username": "ada", "name": "Ada L", "email": "ada@lovelace.test"}));
    let first = here.claims(&sign_in(&here, &partner).await["access_token"], &here.base());
    let user = here.read::<User>(first.oid).await;
    assert_eq!(user.name, "ada#partner", "no namesake of the local ada");
    assert_eq!(user.document.external, Some(ExternalIdentity { issuer, subject: "ada-1".to_owned() }));
    partner.say("ada-1", json!({"preferred_username": "countess", "name": "Ada Lovelace"}));
    let again = here.claims(&sign_in(&here, &partner).await["access_token"], &here.base());
    assert_eq!(again.oid, first.oid, "another name, the same person");
    assert_eq!(here.read::<User>(first.oid).await.document.display_name, "Ada Lovelace");
    partner.say("mallory-1", json!({"preferred_username": "ada", "name": "Ada L", "email": "ada@lovelace.test"}));
    let other = here.claims(&sign_in(&here, &partner).await["access_token"], &here.base());
    assert_ne!(other.oid, first.oid, "the same name, another person");
    assert_eq!(first.shorepass.principal, Principal::User { id: first.oid });
    assert!(first.shorepass.ceiling().is_some(), "a provider's word does not hold for ever");
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn a_lost_group_bites_at_once_for_tokens_already_issued() {
    let here = Here::start().await;
    let partner = Partner::start(here.now()).await;
    let issuer = trust(&here, &partner).await;
    let (ship, sail) = (group(&here, issuer, "ship").await, group(&here, issuer, "sail").await);
    let elsewhere = group(&here, here.world.running.app.new_id(), "elsewhere").await;
    partner.say("ada-1", json!({"groups": ["at-partner-ship", "at-partner-elsewhere", "at-partner-shi"]}));
    let before = sign_in(&here, &partner).await;
    let id = here.claims(&before["access_token"], &here.base()).oid;
    let groups = |here: &Here| {
        let member =
            shorepass_core::directory::PrincipalRef { kind: shorepass_core::directory::PrincipalKind::User, id };
        here.world.running.app.directory.policy(|state| state.groups_of(member)).unwrap()
    };
    assert_eq!(groups(&here), [ship]);
    assert!(!groups(&here).contains(&elsewhere), "another issuer's group of the same name");
    assert_eq!(refresh(&here, &before["refresh_token"]).await.0, 200);
    partner.say("ada-1", json!({"groups": ["at-partner-ship", "at-partner-sail"]}));
    sign_in(&here, &partner).await;
    assert_eq!(groups(&here).len(), 2);
    assert_eq!(refresh(&here, &before["refresh_token"]).await.0, 200, "to gain a group ends nothing");
    partner.say("ada-1", json!({"groups": "at-partner-sail"}));
    let after = sign_in(&here, &partner).await;
    assert_eq!(groups(&here), [sail]);
    assert_eq!(code(&refresh(&here, &before["refresh_token"]).await), (400, 50_173), "to lose one does");
    assert_eq!(refresh(&here, &after["refresh_token"]).await.0, 200);
    partner.say("ada-1", json!({}));
    sign_in(&here, &partner).await;
    assert!(groups(&here).is_empty(), "no claim, no group");
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn a_providers_answer_is_taken_once_by_whom_it_was_asked_for() {
    let here = Here::start().await;
    let partner = Partner::start(here.now()).await;
    trust(&here, &partner).await;
    let mut browser = Browser::new(&here);
    leave(&mut browser).await;
    let back = partner.signs_in(&browser.location.clone().unwrap());
    let mut stranger = Browser::new(&here);
    stranger.open(&authorize(&here, &[])).await;
    stranger.open(&back).await;
    assert_eq!(stranger.status, StatusCode::BAD_REQUEST, "another browser");
    browser.open(&back).await;
    assert_eq!(browser.status, StatusCode::BAD_REQUEST, "used up");
    for (case, claims) in [
        ("another nonce", json!({"nonce": "other"})),
        ("another audience", json!({"aud": "other"})),
        ("another party", json!({"azp": "other"})),
        ("two audiences and no party", json!({"aud": [CLIENT, "other"]})),
        ("another issuer", json!({"iss": "http://127.0.0.1:1"})),
        ("expired", json!({"exp": 1})),
    ] {
        let mut browser = Browser::new(&here);
        leave(&mut browser).await;
        partner.say("ada-1", claims);
        browser.open(&partner.signs_in(&browser.location.clone().unwrap())).await;
        assert_eq!((browser.status, &browser.location), (StatusCode::FORBIDDEN, &None), "{case}: {}", browser.page);
    }
    partner.say("ada-1", json!({}));
    for (more, status) in [("&iss=https%3A%2F%2Fevil.test", 403), ("&state=x", 400)] {
        let mut browser = Browser::new(&here);
        leave(&mut browser).await;
        let back = partner.signs_in(&browser.location.clone().unwrap());
        browser.open(&format!("{back}{more}")).await;
        assert_eq!(browser.status.as_u16(), status, "{more}");
    }
    let mut browser = Browser::new(&here);
    leave(&mut browser).await;
    let state = browser.sent("state").unwrap();
    browser.open(&format!("{}?error=access_denied%3Cscript%3E&state={state}", here.url("signin/callback"))).await;
    assert_eq!(browser.status, StatusCode::FORBIDDEN);
    assert!(!browser.page.contains("<script>"));
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn signing_out_at_the_provider_ends_everything_here() {
    let here = Here::start().await;
    let partner = Partner::start(here.now()).await;
    trust(&here, &partner).await;
    let answer = sign_in(&here, &partner).await;
    let mut claims = partner.issuer.claims("ada-1", CLIENT, here.now());
    claims["events"] = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let url = here.url("signin/logout");
    let send = async |kind: &str, claims: &Value| {
        let token = partner.issuer.sign(kind, claims);
        here.post(&url, &[], &[("logout_token", &token)]).await.status().as_u16()
    };
    let changed = |name: &str, value: Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        changed
    };
    assert_eq!(send("logout+jwt", &changed("aud", json!("other"))).await, 400);
    assert_eq!(send("logout+jwt", &changed("nonce", json!("n"))).await, 400);
    assert_eq!(send("logout+jwt", &changed("events", json!({}))).await, 400);
    assert_eq!(send("logout+jwt", &changed("iat", json!(here.now().seconds() - 3600))).await, 400);
    assert_eq!(send("at+jwt", &claims).await, 400);
    let forged = TestIssuer::new(&partner.issuer.name).sign("logout+jwt", &claims);
    assert_eq!(here.post(&url, &[], &[("logout_token", &forged)]).await.status().as_u16(), 400);
    assert_eq!(send("logout+jwt", &changed("sub", json!("bob"))).await, 200, "nobody known");
    assert_eq!(refresh(&here, &answer["refresh_token"]).await.0, 200);
    assert_eq!(send("logout+jwt", &claims).await, 200);
    assert_eq!(code(&refresh(&here, &answer["refresh_token"]).await), (400, 50_173));
    here.world.running.shutdown().await;
}
