//! The helper as docker runs it.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail like the test itself")]

#[path = "../../../../crates/pull/tests/pull/fake.rs"]
mod fake;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fake::{NULL_GUID, PASSWORD, Registry, USER};
use serde_json::{Value, json};

/// A home of its own.
struct Home(tempfile::TempDir);

struct Answer {
    code: Option<i32>,
    stdout: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.stdout);
        serde_json::from_str(&self.stdout).unwrap()
    }
}

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self) -> PathBuf {
        self.path().join("config/shorepass/credentials.json")
    }

    /// Off the async threads, which serve the fakes meanwhile.
    async fn run(&self, arguments: &'static [&'static str], input: &str) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docker-credential-shorepass"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("SHOREPASS_DATA", self.path())
            .env("DOCKER_CONFIG", self.path().join("docker"))
            // A proxy that is not there: loopback must not be asked for through it.
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            // A machine without any certificate authority.
            .env("SSL_CERT_FILE", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let input = input.to_owned();
        let ended = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        });
        let output = ended.await.unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        Answer { code: output.status.code(), stdout: String::from_utf8(output.stdout).unwrap() }
    }

    async fn store(&self, server: &str, user: &str, secret: &str) {
        let input = json!({"ServerURL": server, "Username": user, "Secret": secret}).to_string();
        let answer = self.run(&["store"], &input).await;
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(0), ""));
    }
}

#[tokio::test]
async fn nobody_signed_in_is_said_in_dockers_words() {
    let home = Home::new();
    let answer = home.run(&["get"], "r.example.com").await;
    assert_eq!((answer.code, answer.stdout.trim()), (Some(1), "credentials not found in native keychain"));
    assert_eq!(home.run(&["list"], "").await.json(), json!({}));
    assert_eq!(home.run(&["erase"], "r.example.com").await.code, Some(0), "a second logout is none either");
    assert_eq!(home.run(&["get"], "").await.stdout.trim(), "no credentials server URL");
    assert_eq!(home.run(&["fly"], "").await.code, Some(1));
}

#[tokio::test]
async fn a_password_is_turned_into_a_token_that_is_renewed() {
    let (home, registry) = (Home::new(), Registry::start().await);
    home.store(&format!("https://{}/v2/", registry.host()), USER, PASSWORD).await;
    assert_eq!(home.run(&["list"], "").await.json(), json!({registry.host(): USER}));
    assert_eq!(std::fs::metadata(home.file()).unwrap().permissions().mode() & 0o777, 0o600);

    let first = home.run(&["get"], &registry.host()).await.json();
    assert_eq!((&first["ServerURL"], &first["Username"]), (&json!(registry.host()), &json!(NULL_GUID)));
    let good = registry.state.lock().unwrap().refresh_tokens.clone();
    assert_eq!(first["Secret"], good[0]);
    assert_eq!(home.run(&["get"], &registry.host()).await.json(), first, "it has time left");

    registry.state.lock().unwrap().lifetime = 300;
    home.store(&registry.host(), USER, PASSWORD).await;
    let short = home.run(&["get"], &registry.host()).await.json();
    assert_ne!(home.run(&["get"], &registry.host()).await.json()["Secret"], short["Secret"]);

    home.run(&["erase"], &registry.host()).await;
    assert_eq!(home.run(&["get"], &registry.host()).await.code, Some(1));
    assert!(!std::fs::read_to_string(home.file()).unwrap().contains(PASSWORD));
}

#[tokio::test]
async fn the_server_on_this_machine_vouches_for_its_operator() {
    let (home, registry) = (Home::new(), Registry::start().await);
    fake::local_server(home.path(), &registry);
    let answer = home.run(&["get"], &registry.host()).await.json();
    assert_eq!(answer["Username"], NULL_GUID);
    assert_eq!(answer["Secret"], registry.state.lock().unwrap().refresh_tokens[0]);
    assert!(!home.file().exists(), "nothing need be kept");
}

#[tokio::test]
async fn dockers_identity_token_comes_back_as_what_every_client_takes() {
    let home = Home::new();
    home.store("r.example.com", "<token>", "opaque-token").await;
    let answer = home.run(&["get"], "https://r.example.com").await.json();
    assert_eq!(answer, json!({"ServerURL": "r.example.com", "Username": NULL_GUID, "Secret": "opaque-token"}));
}

#[tokio::test]
async fn nonsense_is_refused_without_showing_it() {
    let home = Home::new();
    let answer = home.run(&["store"], r#"{"ServerURL":"r.example.com","Username":7,"Secret":"hush"}"#).await;
    assert_eq!(answer.code, Some(1));
    assert!(!answer.stdout.contains("hush"), "{}", answer.stdout);
    let answer = home.run(&["store"], r#"{"ServerURL":"r.example.com","Username":"","Secret":"hush"}"#).await;
    assert_eq!((answer.code, answer.stdout.trim()), (Some(1), "no credentials username"));
}

#[tokio::test]
async fn configure_names_the_helper_and_keeps_the_rest() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("docker")).unwrap();
    let file = home.path().join("docker/config.json");
    std::fs::write(&file, r#"{"psFormat":"table"}"#).unwrap();
    assert_eq!(home.run(&["configure", "localhost:5000"], "").await.code, Some(0));
    let config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(config, json!({"psFormat": "table", "credHelpers": {"localhost:5000": "shorepass"}}));
}
