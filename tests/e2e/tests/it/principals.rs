//! Service principals, repository tokens and roles, as the command line makes them and docker's protocol uses them.

use http::Method;
use serde_json::Value;
use shorepass_e2e::{Image, MEDIA_MANIFEST, Server, ServerOptions, Stores, basic};

use crate::tokens::text;

fn made(server: &Server, arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.extend(["--output", "json"]);
    server.cli(&all).success().json()
}

/// The application's id and secret.
fn service_principal(server: &Server, role: &str) -> (String, String) {
    let made = made(server, &["sp", "create", "--name", "ci", "--role", role, "--scope", "/registries/default"]);
    let word = |name: &str| made[name].as_str().expect(name).to_owned();
    server.keep_secret(&word("password"));
    (word("appId"), word("password"))
}

/// A token's first password.
fn repository_token(server: &Server, name: &str, actions: &[&str]) -> String {
    let mut arguments = vec!["token", "create", "--name", name, "--registry", "default", "--repository", "team/app"];
    arguments.extend(actions);
    let made = made(server, &arguments);
    let password = made["credentials"]["passwords"][0]["value"].as_str().expect("a password").to_owned();
    server.keep_secret(&password);
    password
}

async fn principals_do_what_they_may(stores: Stores) {
    let server = Server::start(ServerOptions { stores, ..ServerOptions::default() });
    let host = server.host();
    let (app_id, secret) = service_principal(&server, "AcrPush");
    let pusher = server.http().with(basic(&app_id, &secret));
    let _pushed = Image::tiny("by a service principal").push(&pusher, "team/app", "v1").await.expect(201);
    let password = repository_token(&server, "puller", &["content/read"]);
    let puller = server.http().with(basic("puller", &password));
    let manifest = "/v2/team/app/manifests/v1";
    let accept = [("Accept", MEDIA_MANIFEST)];
    let _pulled = puller.send(Method::GET, manifest, &accept, "").await.expect(200);
    let _refused = puller.push_blob("team/app", b"more").await.expect(401);
    let _refused = puller.get("/v2/_catalog").await.expect(401);
    let _refused = pusher.delete(manifest).await.expect(401);
    let granted = puller.token(&host, &["repository:team/app:pull,push repository:other:pull"]).await.expect(200);
    let token = text(&granted, "access_token");
    server.keep_secret(&token);
    let issued = server.http().with(shorepass_e2e::bearer(&token));
    let _pulled = issued.send(Method::GET, manifest, &accept, "").await.expect(200);
    // A disabled token's own tokens end with it, and stay ended when it is enabled again.
    for status in ["disabled", "enabled"] {
        let _changed =
            made(&server, &["token", "update", "--name", "puller", "--registry", "default", "--status", status]);
        let _refused = issued.send(Method::GET, manifest, &accept, "").await.expect(401);
    }
    let _pulled = puller.send(Method::GET, manifest, &accept, "").await.expect(200);
}

#[tokio::test]
async fn principals_do_what_they_may_local() {
    principals_do_what_they_may(Stores::Local).await;
}

#[tokio::test]
async fn principals_do_what_they_may_remote() {
    principals_do_what_they_may(Stores::Remote).await;
}

#[tokio::test]
async fn a_service_principal_exchanges_its_identity_token() {
    let server = Server::plain();
    let (host, (app_id, secret)) = (server.host(), service_principal(&server, "AcrPull"));
    let tenant = made(&server, &["tenant", "list"]);
    let tenant = tenant.as_array().or_else(|| tenant["value"].as_array()).expect("tenants")[0]["tenantId"].clone();
    let path = format!("/{}/oauth2/v2.0/token", tenant.as_str().expect("a tenant's id"));
    let form = |secret: &str| {
        vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", app_id.clone()),
            ("client_secret", secret.to_owned()),
            ("scope", "https://containerregistry.azure.net/.default".to_owned()),
        ]
    };
    let wrong = form("wrong");
    let wrong: Vec<(&str, &str)> = wrong.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let _refused = server.http().post_form(&path, &wrong).await.expect(401);
    let right = form(&secret);
    let right: Vec<(&str, &str)> = right.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let identity = text(&server.http().post_form(&path, &right).await.expect(200), "access_token");
    server.keep_secret(&identity);
    let exchange = [("grant_type", "access_token"), ("service", host.as_str()), ("access_token", identity.as_str())];
    let refresh = text(&server.http().post_form("/oauth2/exchange", &exchange).await.expect(200), "refresh_token");
    server.keep_secret(&refresh);
    let _deleted = server.cli(&["sp", "delete", "--id", &app_id]).success();
    let ask = [("grant_type", "refresh_token"), ("service", host.as_str()), ("refresh_token", refresh.as_str())];
    let _ended = server.http().post_form("/oauth2/token", &ask).await.expect(401);
    let _ended = server.http().post_form("/oauth2/exchange", &exchange).await.expect(401);
}

#[tokio::test]
async fn a_denial_is_explained() {
    let server = Server::plain();
    let (app_id, _secret) = service_principal(&server, "AcrPush");
    let principal = format!("sp:{app_id}");
    let ask = |action| {
        let resource = "/registries/default/repositories/team/app";
        let about = ["--principal", &principal, "--action", action, "--resource", resource, "--output", "json"];
        server.cli(&[["access", "explain"].as_slice(), about.as_slice()].concat())
    };
    assert_eq!(ask("content/write").success().json()["allowed"], Value::Bool(true));
    // A script can ask by the exit code alone.
    let denied = ask("content/delete").failure().json();
    assert_eq!(denied["allowed"], Value::Bool(false));
    assert!(denied.to_string().contains("AcrDelete"), "{denied}");
}
