//! The directory over the wire: a real server, its own store, and clients that send what real ones send.

mod applications;
mod certified;
mod devices;
mod exchange;
mod invitations;
mod issuer;
mod people;
mod providers;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;
use shorepass_core::Timestamp;
use shorepass_core::directory::{
    ClientCredential, ClientProof, Document, FederatedCredential, Issuer, IssuerKeys, ManagedIdentity,
    ServicePrincipal, SubjectRule, User,
};
use shorepass_identity::{IdentityClaims, ServerKey};
use shorepass_store::MetaStore;
use shorepass_store::resources::{Resource, Write, Written};
use shorepass_store::rows::{TenancyOutcome, TenantRow};
use uuid::Uuid;

use self::issuer::TestIssuer;
use super::Provider;
use crate::testing::World;

const SECRET: &str = "shp_correct-horse";
const PASSWORD: &str = "a long enough password";
const COMMAND_LINE: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// A server with its first tenant.
struct Here {
    world: World,
    client: reqwest::Client,
    tenant: Arc<TenantRow>,
}

/// An application with one secret.
struct TestApp {
    id: Uuid,
    app_id: Uuid,
    credential: Uuid,
}

impl Here {
    async fn start() -> Self {
        let world = World::start().await;
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let tenant = Arc::clone(&world.running.app.provider.tenants.all().await.unwrap()[0]);
        Self { world, client, tenant }
    }

    fn provider(&self) -> &Provider {
        &self.world.running.app.provider
    }

    fn store(&self) -> &dyn MetaStore {
        &*self.provider().store
    }

    fn secrets(&self) -> &ServerKey {
        &self.provider().secrets
    }

    fn now(&self) -> Timestamp {
        self.provider().clock.now()
    }

    /// This server's own address.
    fn base(&self) -> String {
        format!("http://{}", self.world.running.listen_addr())
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{}/{path}", self.base(), self.tenant.guid)
    }

    fn management(&self) -> String {
        format!("{}//.default", self.base())
    }

    async fn add<D: Document>(&self, parent: Uuid, name: &str, document: D) -> Uuid {
        let id = self.world.running.app.new_id();
        let row = Resource::new(id, parent, name, document, self.now()).row().unwrap();
        self.write(Write::Create(row)).await;
        id
    }

    async fn write(&self, write: Write) {
        let written = self.store().write_resources(&[write]).await.unwrap();
        assert!(matches!(written, Written::Done { .. }), "{written:?}");
        self.world.running.app.directory.refresh().await.unwrap();
    }

    async fn read<D: Document>(&self, id: Uuid) -> Resource<D> {
        Resource::read(&self.store().resource(id).await.unwrap().unwrap()).unwrap()
    }

    async fn change<D: Document>(&self, id: Uuid, change: impl FnOnce(&mut D)) {
        let mut resource = self.read::<D>(id).await;
        change(&mut resource.document);
        self.write(Write::Update(resource.row().unwrap())).await;
    }

    async fn application(&self) -> TestApp {
        let app_id = self.world.running.app.new_id();
        let document = ServicePrincipal {
            app_id,
            display_name: "builder".to_owned(),
            enabled: true,
            home_tenant: self.tenant.id,
            multi_tenant: false,
            epoch: 0,
        };
        let id = self.add(self.tenant.id, &app_id.to_string(), document).await;
        let proof = ClientProof::Secret { hash: hex::encode(self.secrets().hash(SECRET)), hint: "shp".to_owned() };
        let credential = self.credential(id, proof).await;
        TestApp { id, app_id, credential }
    }

    async fn credential(&self, owner: Uuid, proof: ClientProof) -> Uuid {
        let credential = ClientCredential {
            display_name: "key".to_owned(),
            proof,
            start: self.now(),
            expires_at: self.now().plus(Duration::from_secs(3600)),
        };
        self.add(owner, &self.world.running.app.new_id().to_string(), credential).await
    }

    async fn identity(&self) -> (Uuid, Uuid) {
        let client_id = self.world.running.app.new_id();
        let group = self.store().default_resource_group().await.unwrap().unwrap().id;
        let document = ManagedIdentity { client_id, resource_group: group, system_of: None, enabled: true, epoch: 0 };
        (self.add(self.tenant.id, "workload", document).await, client_id)
    }

    /// Trusts an issuer by its pinned keys, and one subject of it.
    async fn trust(&self, owner: Uuid, issuer: &TestIssuer, subject: SubjectRule, audience: &str) -> Uuid {
        let document = Issuer {
            issuer: issuer.name.clone(),
            keys: IssuerKeys::Pinned { jwks: issuer.jwks() },
            ca: None,
            sign_in: None,
        };
        self.add(self.tenant.id, "ci", document).await;
        let rule = FederatedCredential { issuer: issuer.name.clone(), subject, audience: audience.to_owned() };
        self.add(owner, "rule", rule).await
    }

    async fn user(&self, name: &str) -> Uuid {
        self.user_in(self.tenant.id, name).await
    }

    async fn another_tenant(&self) -> TenantRow {
        let id = self.world.running.app.new_id();
        let account_number = "1000000000000002".to_owned();
        let tenant = TenantRow { id, name: "other".to_owned(), guid: id, account_number, created_at: self.now() };
        assert_eq!(self.store().create_tenant(&tenant).await.unwrap(), TenancyOutcome::Done);
        while self.provider().tenants.all().await.unwrap().len() == 1 {
            // Who names a tenant finds a new one at once; who names none, within a second.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tenant
    }

    async fn user_in(&self, tenant: Uuid, name: &str) -> Uuid {
        let document = User {
            display_name: "Ada <b>Lovelace</b>".to_owned(),
            enabled: true,
            password_hash: Some(self.provider().passwords.hash(PASSWORD).await.unwrap()),
            external: None,
            invitation: None,
            epoch: 0,
        };
        self.add(tenant, name, document).await
    }

    async fn get(&self, url: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = self.client.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn post(&self, url: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> reqwest::Response {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// Asks the token endpoint.
    async fn token(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let answer = self.post(&self.url("oauth2/v2.0/token"), &[], form).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn with_secret(&self, app_id: Uuid, secret: &str, scope: &str) -> (u16, Value) {
        let id = app_id.to_string();
        let form = [("client_id", id.as_str()), ("client_secret", secret), ("scope", scope)];
        self.token(&[&[("grant_type", "client_credentials")], &form[..]].concat()).await
    }

    /// What an identity token says, if it is for this audience.
    fn claims(&self, token: &Value, audience: &str) -> IdentityClaims {
        self.provider().tokens().verify(token.as_str().unwrap(), &[audience]).unwrap()
    }

    /// Audit events of a kind, newest first, once there are `count`.
    async fn audit(&self, kind: &str, count: usize) -> Vec<Value> {
        for _ in 0..200 {
            let (_, events) = self.world.manage(Method::GET, &format!("/api/v1/audit?kind={kind}"), "").await;
            let events = events["value"].as_array().unwrap().clone();
            if events.len() >= count {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("fewer than {count} events of {kind}");
    }
}

/// An error answer's code.
fn code(answer: &(u16, Value)) -> (u16, u64) {
    (answer.0, answer.1["error_codes"][0].as_u64().unwrap_or_default())
}

#[tokio::test]
async fn a_tenant_says_where_everything_is() {
    let here = Here::start().await;
    let (guid, base) = (here.tenant.guid, here.base());
    for name in [guid.to_string(), "default".to_owned(), "DEFAULT".to_owned()] {
        let url = format!("{base}/{name}/v2.0/.well-known/openid-configuration");
        let document: Value = here.get(&url, &[]).await.json().await.unwrap();
        assert_eq!(document["issuer"], format!("{base}/{guid}/v2.0"));
        assert_eq!(document["token_endpoint"], format!("{base}/{guid}/oauth2/v2.0/token"));
        assert_eq!(document["device_authorization_endpoint"], format!("{base}/{guid}/oauth2/v2.0/devicecode"));
        assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
        let keys: Value = here.get(document["jwks_uri"].as_str().unwrap(), &[]).await.json().await.unwrap();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    }
    for name in ["organizations", "common"] {
        let url = format!("{base}/{name}/v2.0/.well-known/openid-configuration");
        let document: Value = here.get(&url, &[]).await.json().await.unwrap();
        assert_eq!(document["token_endpoint"], format!("{base}/organizations/oauth2/v2.0/token"));
        assert_eq!(document["issuer"], format!("{base}/{{tenantid}}/v2.0"));
    }
    let unknown = here.get(&format!("{base}/nowhere/v2.0/.well-known/openid-configuration"), &[]).await;
    assert_eq!(unknown.status(), StatusCode::BAD_REQUEST);
    assert_eq!(unknown.json::<Value>().await.unwrap()["error_codes"], serde_json::json!([90_002]));
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn the_directory_answers_on_its_own_host_only_and_to_its_methods_only() {
    let here = Here::start().await;
    let path = format!("/{}/v2.0/.well-known/openid-configuration", here.tenant.guid);
    // `World::request` speaks to a registry's login server.
    assert_eq!(here.world.request(Method::GET, &path, &[], "").await.status(), StatusCode::NOT_FOUND);
    for reserved in super::route::RESERVED {
        let url = format!("{}/{reserved}/oauth2/v2.0/token", here.base());
        assert_eq!(here.post(&url, &[], &[]).await.status(), StatusCode::NOT_FOUND, "{reserved}");
    }
    let answer = here.get(&here.url("oauth2/v2.0/token"), &[]).await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers()["allow"], "POST");
    let json = here.client.post(here.url("oauth2/v2.0/token")).header("content-type", "application/json").body("{}");
    let answer: Value = json.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["error"], "invalid_request");
    here.world.running.shutdown().await;
}
