//! A strict server elsewhere, on a port of its own: its directory, its management and one registry.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use shorepass_pull::directory::{COMMAND_LINE_CLIENT, challenge};
use tokio::net::TcpListener;

pub const TENANT: &str = "7f1c2f50-4f5e-4d2b-9d4b-0f0c4d7a1b11";
pub const APP: &str = "aaaaaaaa-0000-0000-0000-000000000000";
pub const SECRET: &str = "the-clients-secret";
pub const HEADER: &str = "the-identity-header";

#[derive(Debug, Clone)]
pub struct Seen {
    pub request: String,
    pub form: BTreeMap<String, String>,
    pub authorization: Option<String>,
}

#[derive(Debug, Default)]
pub struct State {
    pub seen: Vec<Seen>,
    /// Identity tokens that are good, by audience.
    pub identity_tokens: Vec<(String, String)>,
    pub refresh_tokens: Vec<String>,
    /// Answers of `GET /…` and so on, besides those that are always there.
    pub answers: BTreeMap<String, Value>,
    /// How often a device is told to wait, and how.
    pub waits: Vec<&'static str>,
    /// Seconds an identity token is good.
    pub life: u64,
    /// The address that the directory says it has.
    pub elsewhere: Option<String>,
    /// Of the authorization code: challenge and redirect address.
    pub code: Option<(String, String)>,
    /// What federated tokens are good.
    pub federated: Vec<String>,
    /// Whether the registry lets identities in.
    pub lets_in: bool,
    made: u32,
}

#[derive(Debug, Clone)]
pub struct Elsewhere {
    pub host: String,
    pub state: Arc<Mutex<State>>,
}

impl Elsewhere {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State { life: 4500, lets_in: true, ..State::default() }));
        let server = Self { host, state };
        let served = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = served.clone();
                let service = service_fn(move |request| answer(request, server.clone()));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Answers `GET /path` (or another method) so from now on.
    pub fn on(&self, request: &str, answer: Value) {
        self.state.lock().unwrap().answers.insert(request.to_owned(), answer);
    }

    pub fn seen(&self, request: &str) -> Vec<Seen> {
        let state = self.state.lock().unwrap();
        state.seen.iter().filter(|seen| seen.request == request).cloned().collect()
    }

    /// The forms that the token endpoint was sent.
    pub fn grants(&self) -> Vec<BTreeMap<String, String>> {
        let state = self.state.lock().unwrap();
        let tokens = state.seen.iter().filter(|seen| seen.request.ends_with("/oauth2/v2.0/token"));
        tokens.map(|seen| seen.form.clone()).collect()
    }

    /// A good authorization code for what the page was asked.
    pub fn sign_in(&self, challenge: &str, redirect_uri: &str) -> &'static str {
        self.state.lock().unwrap().code = Some((challenge.to_owned(), redirect_uri.to_owned()));
        "the-code"
    }

    /// Every identity token so far is good no longer.
    pub fn revoke(&self) {
        self.state.lock().unwrap().identity_tokens.clear();
    }
}

type Answer = (u16, Vec<(&'static str, String)>, Value);

async fn answer(request: Request<Incoming>, server: Elsewhere) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let is_form = header("content-type").is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    let seen = Seen {
        request: format!("{} {}", head.method, head.uri),
        form: if is_form { url::form_urlencoded::parse(&body).into_owned().collect() } else { BTreeMap::new() },
        authorization: header("authorization"),
    };
    let mut state = server.state.lock().unwrap();
    state.seen.push(seen.clone());
    let (status, headers, value) = if head.uri.path() == "/msi/token" {
        managed(&mut state, &seen, header("x-identity-header").as_deref())
    } else {
        route(&mut state, &server.host, &seen)
    };
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(value.to_string()))).unwrap())
}

fn route(state: &mut State, host: &str, seen: &Seen) -> Answer {
    let base = format!("http://{host}");
    let (method, path) = seen.request.split_once(' ').unwrap();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match segments.as_slice() {
        [tenant, "v2.0", ".well-known", "openid-configuration"] if method == "GET" => {
            let at = state.elsewhere.clone().unwrap_or_else(|| base.clone());
            let issuer = if *tenant == "organizations" { "{tenantid}" } else { TENANT };
            let metadata = json!({
                "issuer": format!("{base}/{issuer}/v2.0"),
                "authorization_endpoint": format!("{at}/{tenant}/oauth2/v2.0/authorize"),
                "token_endpoint": format!("{at}/{tenant}/oauth2/v2.0/token"),
                "device_authorization_endpoint": format!("{at}/{tenant}/oauth2/v2.0/devicecode"),
            });
            (200, vec![], metadata)
        }
        [_, "oauth2", "v2.0", "token"] if method == "POST" => token(state, &base, seen),
        [_, "oauth2", "v2.0", "devicecode"] if method == "POST" => {
            assert_eq!(seen.form["client_id"], COMMAND_LINE_CLIENT);
            let answer = json!({
                "device_code": "the-device-code", "user_code": "BCDF-GHJK", "verification_uri": format!("{base}/d/device"),
                "expires_in": 900, "interval": 1, "message": format!("To sign in, open {base}/d/device and enter BCDF-GHJK.\u{1b}[2J"),
            });
            (200, vec![], answer)
        }
        ["v2", ""] => {
            let challenge = format!(r#"Bearer realm="{base}/oauth2/token",service="{host}""#);
            (401, vec![("www-authenticate", challenge)], json!({}))
        }
        ["oauth2", "exchange"] if method == "POST" => exchange(state, host, seen),
        ["api", ..] => management(state, &base, host, seen),
        _ => (404, vec![], json!({ "title": "not found", "status": 404, "detail": format!("no {}", seen.request) })),
    }
}

fn refused(status: u16, error: &str, description: &str) -> Answer {
    (status, vec![], json!({ "error": error, "error_description": format!("{description}\r\nTrace ID: 1") }))
}

fn token(state: &mut State, base: &str, seen: &Seen) -> Answer {
    let form = |name: &str| seen.form.get(name).map(String::as_str).unwrap_or_default();
    let person = match form("grant_type") {
        "client_credentials" if form("client_id") != APP => {
            return refused(401, "invalid_client", "No such application.");
        }
        "client_credentials" if form("client_secret") == SECRET => false,
        "client_credentials" if state.federated.iter().any(|good| good == form("client_assertion")) => false,
        "client_credentials" => return refused(401, "invalid_client", "Invalid client secret provided."),
        "refresh_token" if state.refresh_tokens.iter().any(|good| good == form("refresh_token")) => true,
        "refresh_token" => return refused(400, "invalid_grant", "The token has been revoked."),
        "authorization_code" => {
            let right = state.code.take().is_some_and(|(challenged, redirect_uri)| {
                challenged == challenge(form("code_verifier")) && redirect_uri == form("redirect_uri")
            });
            if !right || form("code") != "the-code" {
                return refused(400, "invalid_grant", "Not that code.");
            }
            true
        }
        "urn:ietf:params:oauth:grant-type:device_code" => {
            assert_eq!(form("device_code"), "the-device-code");
            match state.waits.pop() {
                Some(error) => return refused(400, error, "Not yet."),
                None => true,
            }
        }
        other => return refused(400, "unsupported_grant_type", other),
    };
    let asked = form("scope").split(' ').find_map(|one| one.strip_suffix("/.default")).unwrap_or_default();
    // Once asked for by a code, the scope stays the code's.
    let audience = if asked.is_empty() { base } else { asked };
    let own = [base.to_owned(), base.replace("http://", "https://")];
    if !own.iter().any(|own| own == audience) {
        return refused(400, "invalid_resource", "There is no such resource here.");
    }
    let token = identity_token(state, audience, person);
    let mut answer = json!({ "access_token": token, "expires_in": state.life, "token_type": "Bearer" });
    if person {
        state.made += 1;
        let refresh = format!("refresh-{}", state.made);
        state.refresh_tokens.push(refresh.clone());
        answer["refresh_token"] = json!(refresh);
    }
    (200, vec![], answer)
}

fn identity_token(state: &mut State, audience: &str, person: bool) -> String {
    state.made += 1;
    let who = if person { json!({ "upn": "alice" }) } else { json!({ "appid": APP }) };
    let mut claims = json!({ "tid": TENANT, "aud": audience, "jti": state.made });
    claims.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
    let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
    state.identity_tokens.push((audience.to_owned(), token.clone()));
    token
}

fn managed(state: &mut State, seen: &Seen, header: Option<&str>) -> Answer {
    let url = url::Url::parse("http://x").unwrap().join(seen.request.split(' ').nth(1).unwrap()).unwrap();
    let resource = url.query_pairs().find(|(key, _)| key == "resource").unwrap().1.into_owned();
    if header != Some(HEADER) {
        return refused(400, "unauthorized", "The header is not the one of this workload.");
    }
    let token = identity_token(state, &resource, false);
    (
        200,
        vec![],
        json!({ "access_token": token, "expires_on": "4102444800", "resource": resource, "token_type": "Bearer" }),
    )
}

fn exchange(state: &mut State, host: &str, seen: &Seen) -> Answer {
    let form = |name: &str| seen.form.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!((form("grant_type"), form("service"), form("tenant")), ("access_token", host, TENANT));
    let audience = format!("https://{host}");
    let known = state.identity_tokens.iter().any(|(own, token)| *own == audience && token == form("access_token"));
    match known && state.lets_in {
        true => (200, vec![], json!({ "refresh_token": "the-registrys-refresh-token" })),
        false => (401, vec![], json!({ "errors": [{ "code": "UNAUTHORIZED" }] })),
    }
}

fn management(state: &mut State, base: &str, host: &str, seen: &Seen) -> Answer {
    let token = seen.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if !state.identity_tokens.iter().any(|(audience, good)| audience == base && good == token) {
        return (401, vec![], json!({ "title": "unauthorized", "status": 401, "detail": "sign in again" }));
    }
    let known = match seen.request.as_str() {
        "GET /api/v1/me" => {
            Some(json!({ "principal": "user:1", "kind": "User", "name": "alice", "tenant": "default" }))
        }
        "GET /api/v1/registries/default" => Some(json!({ "name": "default", "loginServer": host })),
        request => state.answers.get(request).cloned(),
    };
    let missing = json!({ "title": "not found", "status": 404, "detail": format!("no answer to {}", seen.request) });
    known.map_or((404, vec![], missing), |answer| (200, vec![], answer))
}
