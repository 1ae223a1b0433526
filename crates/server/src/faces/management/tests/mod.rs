//! The management API over the wire: a real server; the operator on its socket, others with tokens of its directory.

mod access;
mod applications;
mod federation;
mod matrix;
mod people;
mod registries;
mod tenancy;
mod tokens;

use http::Method;
use serde_json::{Value, json};
use shorepass_core::Timestamp;
use shorepass_store::AuditQuery;

use crate::testing::World;

/// A server and its operator.
struct Desk {
    world: World,
}

/// An answer.
#[derive(Debug)]
struct Got {
    status: u16,
    body: Value,
    etag: Option<String>,
    challenge: Option<String>,
}

impl Got {
    #[track_caller]
    fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// A refusal, with what its text must say.
    #[track_caller]
    fn refused(self, status: u16, says: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        let detail = self.body["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail}");
    }
}

/// An application that signs in.
struct App {
    app_id: String,
    id: String,
    password: String,
    key: String,
}

impl Desk {
    async fn start() -> Self {
        Self { world: World::start().await }
    }

    async fn shut(self) {
        self.world.running.shutdown().await;
    }

    fn base(&self) -> String {
        format!("http://{}", self.world.running.listen_addr())
    }

    /// The operator calls, over the socket.
    async fn op(&self, method: &str, path: &str, body: Value) -> Got {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let (status, body) = self.world.manage(method, &format!("/api/v1{path}"), &body).await;
        Got { status, body, etag: None, challenge: None }
    }

    async fn get(&self, path: &str) -> Value {
        self.op("GET", path, Value::Null).await.ok(200)
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.op("POST", path, body).await.ok(201)
    }

    /// Somebody calls from elsewhere.
    async fn call(&self, token: Option<&str>, method: &str, path: &str, body: &Value) -> Got {
        self.call_with(token, method, path, body, None).await
    }

    async fn call_with(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: &Value,
        if_match: Option<&str>,
    ) -> Got {
        let url = format!("{}/api/v1{path}", self.base());
        let mut request = self.world.client.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(etag) = if_match {
            request = request.header("if-match", etag);
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, etag, challenge) = (answer.status().as_u16(), header("etag"), header("www-authenticate"));
        let body = serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default();
        Got { status, body, etag, challenge }
    }

    async fn application(&self, tenant: &str, name: &str) -> App {
        let made = self.post(&format!("/tenants/{tenant}/service-principals"), json!({"displayName": name})).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        App {
            app_id: text(&made["appId"]),
            id: text(&made["id"]),
            password: text(&made["credential"]["password"]),
            key: text(&made["credential"]["keyId"]),
        }
    }

    /// What the token endpoint says.
    async fn sign_in(&self, tenant: &str, app_id: &str, password: &str) -> (u16, Value) {
        let guid = self.get(&format!("/tenants/{tenant}")).await["tenantId"].as_str().unwrap().to_owned();
        let scope = format!("{}/.default", self.base());
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", app_id),
            ("client_secret", password),
            ("scope", &scope),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.world.client.post(format!("{}/{guid}/oauth2/v2.0/token", self.base()));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    /// An identity token for management.
    async fn token(&self, tenant: &str, app: &App) -> String {
        let (status, answer) = self.sign_in(tenant, &app.app_id, &app.password).await;
        assert_eq!(status, 200, "{answer}");
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn assign(&self, app: &App, role: &str, scope: &str) -> String {
        let body = json!({"role": role, "assignee": app.app_id, "scope": scope});
        self.post("/role-assignments", body).await["id"].as_str().unwrap().to_owned()
    }

    /// Somebody with a role at the first tenant, and a token.
    async fn with_role(&self, name: &str, role: &str) -> (App, String) {
        let app = self.application("default", name).await;
        self.assign(&app, role, "/tenants/default").await;
        let token = self.token("default", &app).await;
        (app, token)
    }

    /// The latest event of that operation.
    async fn audited(&self, operation: &str) -> Value {
        let query = AuditQuery { limit: 1000, ..AuditQuery::default() };
        let events = self.world.running.app.recorder.table().query(&query).await.unwrap();
        let found = events.iter().find(|event| event.operation.as_deref() == Some(operation));
        json!(found.unwrap_or_else(|| panic!("no {operation} in the audit")))
    }

    fn now(&self) -> Timestamp {
        self.world.running.app.clock.now()
    }
}
