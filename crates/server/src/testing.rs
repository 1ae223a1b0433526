//! A running server for tests of the wire.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use shorepass_core::{CredentialKind, Principal, new_id};
use shorepass_identity::{Access, Binding, Claims, GrantType, ISSUER};
use shorepass_store::rows::RegistryRecord;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::settings::{AuditSettings, Blobs, Database, Settings, SigningAlgorithm, Tls};
use crate::{Running, start};

fn settings(data: &std::path::Path) -> Settings {
    Settings {
        data: data.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: Tls::Off,
        insecure_behind_proxy: Vec::new(),
        metrics_listen: None,
        external_url: None,
        domain: Some("shore.test".to_owned()),
        database: Database::Sqlite,
        blobs: Blobs::Local,
        signing: SigningAlgorithm::EdDsa,
        audit: AuditSettings { lines: None, retention: Duration::from_secs(3600), max_bytes: 1 << 24 },
        otlp_endpoint: None,
        outage_budget: Duration::from_secs(60),
        drain_timeout: Duration::from_secs(5),
        upload_lifetime: Duration::from_secs(3600),
    }
}

pub struct World {
    pub running: Running,
    pub client: reqwest::Client,
    pub home: RegistryRecord,
    data: tempfile::TempDir,
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut settings = settings(data.path());
        change(&mut settings);
        let running = start(settings).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let home = running.app.directory.by_name(&"default".parse().unwrap()).unwrap().unwrap();
        Self { running, client, home: (*home).clone(), data }
    }

    pub fn host(&self) -> String {
        format!("default.shore.test:{}", self.running.listen_addr().port())
    }

    pub fn claims(&self, access: Vec<Access>) -> Claims {
        let app = &self.running.app;
        let now = app.clock.now();
        Claims {
            iss: ISSUER.to_owned(),
            aud: self.host(),
            sub: "operator:0".to_owned(),
            jti: new_id(&*app.clock, &*app.random),
            iat: now.seconds(),
            nbf: now.seconds(),
            exp: now.seconds() + 600,
            version: "1.0".to_owned(),
            grant_type: GrantType::AccessToken,
            tenant: None,
            access: Some(access),
            shorepass: Binding {
                registry: self.home.registry.id,
                principal: Principal::Operator { uid: 0 },
                credential: None,
                kind: CredentialKind::Socket,
                epoch: 0,
                issued_ms: now.millis(),
            },
        }
    }

    pub fn bearer(&self, claims: &Claims) -> String {
        format!("Bearer {}", self.running.app.keys.sign(claims).unwrap())
    }

    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Response {
        let url = format!("http://{}{path}", self.running.listen_addr());
        let mut request = self.client.request(method, url).header("host", self.host());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body).send().await.unwrap()
    }

    /// Sends bytes to the public listener, and reads until it closes.
    pub async fn raw(&self, request: &str) -> String {
        exchange(TcpStream::connect(self.running.listen_addr()).await.unwrap(), request).await
    }

    /// A call of the management API on the administration socket.
    pub async fn manage(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let stream = UnixStream::connect(self.data.path().join("shorepass.sock")).await.unwrap();
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        let answer = exchange(stream, &format!("{head}{body}")).await;
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    /// Switches the admin account on; its first password.
    pub async fn enable_admin(&self) -> String {
        let (_, account) = self.manage(Method::POST, "/api/v1/registries/default/admin/enable", "").await;
        account["passwords"][0]["value"].as_str().unwrap().to_owned()
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

pub fn access(name: &str, actions: &[&str]) -> Access {
    Access {
        kind: "repository".to_owned(),
        name: name.to_owned(),
        actions: actions.iter().map(|&a| a.to_owned()).collect(),
    }
}
