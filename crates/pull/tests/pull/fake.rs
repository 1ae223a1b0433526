//! A strict registry and a strict administration socket, in this process. Other crates' tests include this file.
#![allow(dead_code, reason = "every test crate that includes this uses another part of it")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

pub const NULL_GUID: &str = "00000000-0000-0000-0000-000000000000";
pub const USER: &str = "robot";
pub const PASSWORD: &str = "correct horse";

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub form: BTreeMap<String, String>,
    pub authorization: Option<String>,
    pub body: Vec<u8>,
}

#[derive(Debug)]
pub struct State {
    pub seen: Vec<Seen>,
    /// Every refresh token that is good.
    pub refresh_tokens: Vec<String>,
    pub access_tokens: Vec<String>,
    /// Seconds a refresh token has left when it is made.
    pub lifetime: i64,
    /// Header value of the challenge; `{host}` is the server.
    pub challenge: Option<String>,
    /// What `GET /v2/` answers without a credential.
    pub ping: u16,
    /// Whether a sign-in with a password is given a refresh token.
    pub gives_refresh_tokens: bool,
    /// Where the token endpoint sends its callers instead of answering.
    pub redirect: Option<String>,
    pub repositories: BTreeMap<String, Vec<String>>,
    made: u32,
}

impl Default for State {
    fn default() -> Self {
        Self {
            seen: vec![],
            refresh_tokens: vec![],
            access_tokens: vec![],
            lifetime: 3 * 3600,
            challenge: Some(r#"Bearer realm="http://{host}/oauth2/token",service="{host}""#.into()),
            ping: 401,
            gives_refresh_tokens: true,
            redirect: None,
            repositories: BTreeMap::new(),
            made: 0,
        }
    }
}

impl State {
    pub fn make(&mut self, kind: &str, subject: &str) -> String {
        self.made += 1;
        let exp = now() + self.lifetime;
        let claims = json!({"sub": subject, "exp": exp, "grant_type": kind, "jti": self.made.to_string()});
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
        if kind == "refresh_token" { &mut self.refresh_tokens } else { &mut self.access_tokens }.push(token.clone());
        token
    }
}

pub fn now() -> i64 {
    use shorepass_core::Clock as _;
    shorepass_core::SystemClock.now().seconds()
}

type Shared = Arc<Mutex<State>>;

/// A registry on a port of its own.
#[derive(Debug, Clone)]
pub struct Registry {
    pub address: SocketAddr,
    pub state: Shared,
}

impl Registry {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Shared::default();
        let served = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = served.clone();
                tokio::spawn(serve(stream, move |seen| registry(&state, &address.to_string(), seen)));
            }
        });
        Self { address, state }
    }

    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn seen(&self, method: &str, path: &str) -> Vec<Seen> {
        let state = self.state.lock().unwrap();
        state.seen.iter().filter(|seen| seen.method == method && seen.path == path).cloned().collect()
    }
}

/// The administration socket in `data`, of a server whose registry `default` is `registry`.
pub fn local_server(data: &Path, registry: &Registry) -> Shared {
    let listener = UnixListener::bind(data.join("shorepass.sock")).unwrap();
    let state = Shared::default();
    let (served, registry) = (state.clone(), registry.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (state, registry) = (served.clone(), registry.clone());
            tokio::spawn(serve(stream, move |seen| local(&state, &registry, seen)));
        }
    });
    state
}

async fn serve<S>(stream: S, answer: impl Fn(Seen) -> Answer + Send + Sync + 'static)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = Arc::new(answer);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let answer = answer.clone();
        async move { Ok::<_, Infallible>(answer(seen(request).await).into_response()) }
    });
    let _ended = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn seen(request: Request<Incoming>) -> Seen {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    let pairs = |text: &[u8]| url::form_urlencoded::parse(text).into_owned().collect();
    let is_form = head.headers.get("content-type").is_some_and(|t| t == "application/x-www-form-urlencoded");
    Seen {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: pairs(head.uri.query().unwrap_or_default().as_bytes()),
        form: if is_form { pairs(&body) } else { BTreeMap::new() },
        authorization: head.headers.get("authorization").map(|v| v.to_str().unwrap().to_owned()),
        body,
    }
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Value,
}

impl Answer {
    fn new(status: u16, body: Value) -> Self {
        Self { status, headers: vec![], body }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::builder().status(self.status).header("content-type", "application/json");
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(Full::new(Bytes::from(self.body.to_string()))).unwrap()
    }
}

fn registry(state: &Shared, host: &str, seen: Seen) -> Answer {
    let mut state = state.lock().unwrap();
    state.seen.push(seen.clone());
    let bearer = seen.authorization.as_deref().and_then(|a| a.strip_prefix("Bearer "));
    let known = bearer.is_some_and(|token| state.access_tokens.iter().any(|good| good == token));
    match (seen.method.as_str(), seen.path.as_str()) {
        (_, "/oauth2/token") if state.redirect.is_some() => {
            let mut answer = Answer::new(307, json!({}));
            answer.headers.extend(state.redirect.clone().map(|to| ("location", to)));
            answer
        }
        ("GET", "/oauth2/token") => token_by_get(&mut state, host, &seen),
        ("POST", "/oauth2/token") => token_by_post(&mut state, host, &seen),
        ("GET", path) if path.starts_with("/v2/") && !known => challenge(&state, host),
        ("GET", "/v2/") => Answer::new(200, json!({})),
        ("GET", "/v2/_catalog") => {
            Answer::new(200, json!({"repositories": state.repositories.keys().collect::<Vec<_>>()}))
        }
        ("GET", path) => {
            let name = path.strip_prefix("/v2/").and_then(|p| p.strip_suffix("/tags/list")).unwrap_or_default();
            match state.repositories.get(name) {
                Some(tags) => Answer::new(200, json!({"name": name, "tags": tags})),
                None => Answer::new(404, json!({"errors": [{"code": "NAME_UNKNOWN"}]})),
            }
        }
        _ => Answer::new(405, json!({})),
    }
}

fn challenge(state: &State, host: &str) -> Answer {
    let mut answer = Answer::new(state.ping, json!({"errors": [{"code": "UNAUTHORIZED"}]}));
    if let Some(challenge) = &state.challenge {
        answer.headers.push(("www-authenticate", challenge.replace("{host}", host)));
    }
    answer
}

fn token_by_get(state: &mut State, host: &str, seen: &Seen) -> Answer {
    if seen.query.get("service").map(String::as_str) != Some(host) {
        return Answer::new(400, json!({"errors": [{"code": "DENIED", "message": "service"}]}));
    }
    let basic = seen.authorization.as_deref().and_then(|a| a.strip_prefix("Basic "));
    let basic = String::from_utf8(STANDARD.decode(basic.unwrap_or_default()).unwrap()).unwrap();
    let (user, secret) = basic.split_once(':').unwrap_or_default();
    let good_token = user == NULL_GUID && state.refresh_tokens.iter().any(|token| token == secret);
    if seen.query.get("account").is_some_and(|account| account != user)
        || !((user == USER && secret == PASSWORD) || good_token)
    {
        return Answer::new(401, json!({"errors": [{"code": "UNAUTHORIZED"}]}));
    }
    let mut body = json!({"access_token": state.make("access_token", user)});
    if state.gives_refresh_tokens && seen.query.get("offline_token").is_some_and(|v| v == "true") {
        body["refresh_token"] = state.make("refresh_token", user).into();
    }
    Answer::new(200, body)
}

fn token_by_post(state: &mut State, host: &str, seen: &Seen) -> Answer {
    let field = |name: &str| seen.form.get(name).map(String::as_str).unwrap_or_default();
    let good = match field("grant_type") {
        "refresh_token" => state.refresh_tokens.iter().any(|token| token == field("refresh_token")),
        "password" => field("username") == USER && field("password") == PASSWORD,
        _ => false,
    };
    if field("service") != host || !good {
        return Answer::new(401, json!({"errors": [{"code": "UNAUTHORIZED"}]}));
    }
    let token = state.make("access_token", "anyone");
    Answer::new(200, json!({"access_token": token, "expires_in": 4500}))
}

fn local(state: &Shared, registry: &Registry, seen: Seen) -> Answer {
    state.lock().unwrap().seen.push(seen.clone());
    let (host, endpoint) = (registry.host(), format!("http://{}", registry.address));
    match (seen.method.as_str(), seen.path.as_str()) {
        ("GET", "/api/v1/health") => {
            Answer::new(200, json!({"status": "ok", "version": "0", "endpoint": endpoint, "checks": []}))
        }
        ("GET", "/api/v1/registries/default") => Answer::new(200, json!({"name": "default", "loginServer": host})),
        ("GET", "/api/v1/registries") => Answer::new(200, json!({"value": [{"name": "default", "loginServer": host}]})),
        ("POST", "/api/v1/registries/default/refresh-token") => {
            let body: BTreeMap<String, String> = serde_json::from_slice(&seen.body).unwrap();
            assert!(body.keys().all(|key| key == "loginServer"), "{body:?}");
            let mut state = registry.state.lock().unwrap();
            let (token, expires) = (state.make("refresh_token", "operator"), state.lifetime);
            let server = body.get("loginServer").unwrap_or(&host);
            Answer::new(
                200,
                json!({"refreshToken": token, "loginServer": server, "expiresIn": expires, "endpoint": endpoint, "caFile": null}),
            )
        }
        _ => Answer::new(
            404,
            json!({"type": "about:blank", "title": "Not Found", "status": 404, "detail": "there is no registry of that name", "hint": "`shorepass registry list` shows them"}),
        ),
    }
}
