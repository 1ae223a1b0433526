//! A scripted server behind a real Unix socket, and the program run against it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

/// A home directory with nothing in it but, in `data`, the socket of a server that answers as it was told to.
pub struct Fake {
    home: TempDir,
    state: Arc<Mutex<State>>,
    _runtime: Runtime,
}

#[derive(Default)]
struct State {
    /// By method and path with query.
    answers: HashMap<String, (u16, Value)>,
    /// For what there is no answer to.
    otherwise: Option<(u16, Value)>,
    heard: Vec<(String, Value)>,
    /// `If-Match`, where it was sent.
    conditions: Vec<String>,
}

impl Fake {
    pub fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let runtime = Runtime::new().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let listener = runtime.block_on(async { UnixListener::bind(data.join("shorepass.sock")).unwrap() });
        runtime.spawn(accept(listener, Arc::clone(&state)));
        Self { home, state, _runtime: runtime }
    }

    /// Answers `GET /path` (or another method) so from now on.
    pub fn on(self, request: &str, status: u16, body: Value) -> Self {
        self.state.lock().unwrap().answers.insert(request.to_owned(), (status, body));
        self
    }

    /// Answers everything else so.
    pub fn otherwise(self, status: u16, body: Value) -> Self {
        self.state.lock().unwrap().otherwise = Some((status, body));
        self
    }

    /// Runs each command line, and compares what was sent for it: `GET /path`, and the body.
    pub fn assert_sends(&self, cases: &[(&str, &str, Value)]) {
        for (line, request, body) in cases {
            let before = self.heard().len();
            let ran = self.run(&line.split(' ').collect::<Vec<_>>());
            assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
            assert_eq!(self.heard()[before..], [((*request).to_owned(), body.clone())], "{line}");
        }
    }

    /// Runs each command line, and sees it refused as a usage error before anything is sent.
    pub fn assert_refuses(&self, lines: &[&str]) {
        for line in lines {
            let ran = self.run(&line.split(' ').collect::<Vec<_>>());
            assert_eq!(ran.code, Some(2), "{line}: {ran:?}");
        }
        assert!(self.heard().is_empty(), "{:?}", self.heard());
    }

    /// What was asked so far, with each body.
    pub fn heard(&self) -> Vec<(String, Value)> {
        self.state.lock().unwrap().heard.clone()
    }

    /// The bodies of the requests with this method and path.
    pub fn bodies(&self, request: &str) -> Vec<Value> {
        self.heard().into_iter().filter(|(name, _)| name == request).map(|(_, body)| body).collect()
    }

    /// Every `If-Match` so far.
    pub fn conditions(&self) -> Vec<String> {
        self.state.lock().unwrap().conditions.clone()
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let data = self.home.path().join("data");
        run_with(self.home.path(), &[("SHOREPASS_DATA", data.to_str().unwrap())], arguments)
    }
}

async fn accept(listener: UnixListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let service = service_fn(move |request| answer(request, Arc::clone(&state)));
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let name = format!("{} {}", request.method(), request.uri());
    let condition = request.headers().get("if-match").map(|value| value.to_str().unwrap().to_owned());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let mut state = state.lock().unwrap();
    state.conditions.extend(condition);
    let missing =
        (404, serde_json::json!({ "title": "not found", "detail": format!("the fake has no answer to {name}") }));
    let otherwise = state.otherwise.clone().unwrap_or(missing);
    let (status, answer) = state.answers.get(&name).cloned().unwrap_or(otherwise);
    state.heard.push((name, body));
    let body = if status == 204 { Bytes::new() } else { Bytes::from(answer.to_string()) };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(response)
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The program with this home and nothing else in its environment.
pub fn program(home: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shorepass"));
    command.env_clear().env("HOME", home).envs(variables.iter().copied()).args(arguments).stdin(Stdio::null());
    command
}

pub fn run_with(home: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    program(home, variables, arguments).output().unwrap().into()
}
