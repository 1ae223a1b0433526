//! `serve` as a process: its line for programs, its help for people, its signals, its traces.

use std::convert::Infallible;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};
use std::sync::mpsc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::fake::{program, run_with};

/// A server that is killed when the test ends before it does.
struct Serving {
    child: Child,
    ready: Value,
    stderr: BufReader<ChildStderr>,
}

impl Serving {
    fn start(home: &Path, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut command = program(home, &[], &arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(ready) = line.strip_prefix("listening ") else {
            let mut said = String::new();
            stderr.read_to_string(&mut said).unwrap();
            panic!("the server did not start: {line}{said}");
        };
        Self { ready: serde_json::from_str(ready).unwrap(), child, stderr }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Reads standard error until a line says it.
    fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "the server ended without saying `{text}`");
        }
    }

    /// SIGTERM; answers the exit code and what was said until then.
    fn stop(mut self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn the_first_start_tells_what_to_type_next_and_sigterm_ends_it_well() {
    let home = tempfile::tempdir().unwrap();
    let serving = Serving::start(home.path(), &["--metrics-listen", "127.0.0.1:0"]);
    let address = serving.ready["address"].as_str().unwrap().to_owned();
    assert_eq!(serving.ready["endpoint"], format!("http://{address}"));
    assert_eq!(serving.ready["pid"], serving.child.id());
    assert!(!address.ends_with(":0") && serving.ready["metrics"].is_string(), "{}", serving.ready);
    let health = run_with(home.path(), &[], &["health"]);
    assert_eq!(health.code, Some(0), "{health:?}");
    let (code, said) = serving.stop();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("podman push --tls-verify=false {address}/hello:v1")), "{said}");

    let (code, said) = Serving::start(home.path(), &[]).stop();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("podman push"), "only the first start explains: {said}");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let _serving = Serving::start(home.path(), &[]);
    let second = run_with(home.path(), &[], &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("error: the server cannot start: another server already runs"), "{second:?}");
    assert_eq!(second.out, "");
}

#[test]
fn sighup_reads_the_log_level_again_and_a_broken_file_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config.toml");
    fs::write(&file, "log_level = 'warn'\n").unwrap();
    let mut serving = Serving::start(home.path(), &["--config", file.to_str().unwrap(), "--log-format", "json"]);
    fs::write(&file, "log_level = 'info'\n").unwrap();
    serving.signal(Signal::HUP);
    serving.wait_for("log level read again");
    fs::write(&file, "log_level = 'info'\nsigning = 'nonsense'\n").unwrap();
    serving.signal(Signal::HUP);
    serving.wait_for("the configuration was not read again");
    let (code, said) = serving.stop();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stopping"), "the level is still `info`: {said}");
}

#[test]
fn requests_are_traced_to_the_collector_before_the_server_ends() {
    let home = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            let service = service_fn(move |request| collect(request, sender.clone()));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    // Traces do not depend on how much is logged.
    let serving = Serving::start(home.path(), &["--otlp-endpoint", &endpoint, "--log-level", "error"]);
    assert_eq!(run_with(home.path(), &[], &["health"]).code, Some(0));
    let (code, said) = serving.stop();
    assert_eq!(code, Some(0), "{said}");
    let (path, body) = received.try_recv().unwrap();
    assert_eq!(path, "POST /v1/traces");
    let holds = |text: &str| body.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("service.name") && holds("/api/v1/health"), "the request's span is missing");
}

async fn collect(
    request: Request<Incoming>,
    sender: mpsc::Sender<(String, Bytes)>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = format!("{} {}", request.method(), request.uri().path());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    sender.send((path, body)).unwrap();
    Ok(Response::new(Full::new(Bytes::new())))
}
