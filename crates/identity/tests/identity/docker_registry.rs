//! A stock CNCF distribution (Debian's `docker-registry` 2.8) that trusts our certificates accepts our tokens.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use shorepass_core::{Clock as _, SystemClock, SystemRandom, time::TestClock};
use shorepass_identity::keys::OVERLAP;
use shorepass_identity::{Access, Claims, GrantType, KeyRing};

use super::{AUDIENCE, Database, claims};

const BINARY: &str = "/usr/bin/docker-registry";

struct DockerRegistry {
    child: Child,
    address: SocketAddr,
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl DockerRegistry {
    /// On a port of its own choosing, which its log tells.
    fn start(dir: &Path, certificates: &str) -> Self {
        let bundle = dir.join("shorepass.pem");
        std::fs::write(&bundle, certificates).unwrap();
        let config = dir.join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: info, formatter: json}}\nstorage: {{filesystem: {{rootdirectory: {0}}}}}\n\
             http: {{addr: \"127.0.0.1:0\"}}\nauth:\n  token:\n    realm: http://{AUDIENCE}/oauth2/token\n    service: {AUDIENCE}\n    \
             issuer: Shorepass\n    rootcertbundle: {1}\n",
            dir.join("data").display(),
            bundle.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(BINARY)
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = String::new();
        let address = loop {
            let line = log.next().unwrap_or_else(|| panic!("docker-registry ended: {seen}")).unwrap();
            let message: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = message["msg"].as_str().and_then(|text| text.strip_prefix("listening on ")) {
                break address.parse().unwrap();
            }
            seen.push_str(&line);
        };
        // Its log has to be read on, or it stops when the pipe is full.
        std::thread::spawn(move || log.for_each(drop));
        Self { child, address }
    }

    /// The status of a request with this token.
    fn status(&self, method: &str, path: &str, token: Option<&str>) -> u16 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {AUDIENCE}\r\n{authorization}Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {answer:?}")).parse().unwrap()
    }
}

fn token(ring: &KeyRing, clock: &TestClock, repository: &str, actions: &[&str], change: fn(&mut Claims)) -> String {
    let access = Access {
        kind: "repository".to_owned(),
        name: repository.to_owned(),
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
    };
    let mut claims = claims(clock, GrantType::AccessToken, Some(vec![access]));
    change(&mut claims);
    ring.sign(&claims).unwrap()
}

async fn prove(algorithm: &str) {
    if !Path::new(BINARY).exists() {
        eprintln!("skipped: Debian's docker-registry is not installed");
        return;
    }
    // Its clock is the system's, so ours stands there.
    let clock = Arc::new(TestClock::at(SystemClock.now()));
    let (database, others) = (Database::new().await, Database::new().await);
    let ring = KeyRing::load(database.store.clone(), clock.clone(), Arc::new(SystemRandom), algorithm).await.unwrap();
    // Its second key: what is published ahead is trusted ahead.
    ring.rotate().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start(dir.path(), &ring.certificates_pem());
    let (pull, upload) = ("/v2/team/app/tags/list", "/v2/team/app/blobs/uploads/");
    let all = token(&ring, &clock, "team/app", &["pull", "push"], |_| {});
    assert_eq!(registry.status("GET", "/v2/", Some(&all)), 200);
    assert_eq!(registry.status("POST", upload, Some(&all)), 202, "may push");
    assert_eq!(registry.status("GET", pull, Some(&all)), 404, "may pull, there is only nothing there");

    assert_eq!(registry.status("GET", "/v2/", None), 401);
    let pull_only = token(&ring, &clock, "team/app", &["pull"], |_| {});
    assert_eq!(registry.status("POST", upload, Some(&pull_only)), 401, "another action");
    let elsewhere = token(&ring, &clock, "team/other", &["pull", "push"], |_| {});
    assert_eq!(registry.status("POST", upload, Some(&elsewhere)), 401, "another repository");
    let other_audience = token(&ring, &clock, "team/app", &["pull", "push"], |claims| claims.aud = "other".to_owned());
    assert_eq!(registry.status("POST", upload, Some(&other_audience)), 401);
    let expired = token(&ring, &clock, "team/app", &["pull", "push"], |claims| claims.exp = claims.iat - 120);
    assert_eq!(registry.status("POST", upload, Some(&expired)), 401);
    let stranger = KeyRing::load(others.store.clone(), clock.clone(), Arc::new(SystemRandom), algorithm);
    let strangers = token(&stranger.await.unwrap(), &clock, "team/app", &["pull", "push"], |_| {});
    assert_eq!(registry.status("POST", upload, Some(&strangers)), 401, "another system's key");

    // The second key signs now (the token still speaks of the present, for the other side's clock has not moved).
    let present = claims(&clock, GrantType::AccessToken, None);
    clock.advance(OVERLAP);
    let access =
        Access { kind: "repository".into(), name: "team/app".into(), actions: vec!["push".into(), "pull".into()] };
    let next = ring.sign(&Claims { access: Some(vec![access]), ..present }).unwrap();
    assert_ne!(next.split('.').next(), all.split('.').next(), "another key");
    assert_eq!(registry.status("POST", upload, Some(&next)), 202);
}

#[tokio::test]
async fn docker_registry_accepts_es256() {
    prove("ES256").await;
}

#[tokio::test]
async fn docker_registry_accepts_rs256() {
    prove("RS256").await;
}
