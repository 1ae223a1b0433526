use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use shorepass_pull::challenge::ChallengeError;
use shorepass_pull::client::{ClientError, RegistryClient};
use shorepass_pull::local::{LocalError, LocalServer};
use shorepass_pull::{Credential, RegistryHost, Scheme};

use crate::fake::{self, PASSWORD, Registry, USER};

async fn reach(registry: &Registry) -> RegistryClient {
    RegistryClient::reach(&host(registry), None).await.unwrap()
}

fn host(registry: &Registry) -> RegistryHost {
    registry.host().parse().unwrap()
}

#[tokio::test]
async fn a_loopback_registry_is_reached_by_plain_http_and_gives_tokens() {
    let registry = Registry::start().await;
    let client = reach(&registry).await;
    assert_eq!((client.scheme(), client.status()), (Scheme::Http, 401));

    let refresh = client.refresh_token(&Credential::new(USER, PASSWORD.to_owned())).await.unwrap().unwrap();
    let asked = registry.seen("GET", "/oauth2/token").pop().unwrap();
    assert_eq!(asked.query["service"], registry.host());
    assert_eq!(asked.query["offline_token"], "true");
    assert_eq!(asked.query["client_id"], "shorepass");
    assert_eq!(asked.query["account"], USER);

    let access = client.access_token(&Credential::token(refresh.clone()), "registry:catalog:*").await.unwrap();
    let asked = registry.seen("POST", "/oauth2/token").pop().unwrap();
    assert_eq!(asked.form["grant_type"], "refresh_token");
    assert_eq!(asked.form["scope"], "registry:catalog:*");
    assert_eq!(asked.authorization, None);
    assert!(asked.query.is_empty(), "no secret in a URL");

    let catalog: Value = client.get("/v2/_catalog", &access).await.unwrap();
    assert_eq!(catalog, json!({"repositories": []}));
    let again = client.refresh_token(&Credential::new("<token>", refresh)).await.unwrap();
    assert!(again.is_some(), "an identity token goes under the null GUID");
}

#[tokio::test]
async fn a_refused_credential_is_a_status_and_shows_no_secret() {
    let registry = Registry::start().await;
    let client = reach(&registry).await;
    let wrong = Credential::new(USER, "wr0ng-secret".to_owned());
    for error in [
        client.refresh_token(&wrong).await.unwrap_err(),
        client.access_token(&wrong, "registry:catalog:*").await.unwrap_err(),
    ] {
        assert_eq!(error.status(), Some(401));
        assert!(!format!("{error} {error:?}").contains("wr0ng-secret"));
    }
    assert!(!format!("{wrong:?}").contains("wr0ng-secret"));
}

#[tokio::test]
async fn a_credential_is_never_sent_to_another_partys_realm() {
    let registry = Registry::start().await;
    let thief = Registry::start().await;
    // `127.0.0.1` and the thief's address are both loopback: the thief must look like another host.
    let realm =
        format!("Bearer realm=\"http://thief.example.com:{}/oauth2/token\",service=\"{{host}}\"", thief.address.port());
    registry.state.lock().unwrap().challenge = Some(realm);
    let client = reach(&registry).await;
    let error = client.refresh_token(&Credential::new(USER, PASSWORD.to_owned())).await.unwrap_err();
    assert!(matches!(error, ClientError::Challenge(ChallengeError::Elsewhere { .. })), "{error}");
    assert!(thief.state.lock().unwrap().seen.is_empty());
}

#[tokio::test]
async fn a_credential_does_not_follow_a_redirect() {
    let (registry, thief) = (Registry::start().await, Registry::start().await);
    registry.state.lock().unwrap().redirect = Some(format!("http://{}/oauth2/token", thief.host()));
    let (client, credential) = (reach(&registry).await, Credential::new(USER, PASSWORD.to_owned()));
    assert_eq!(client.refresh_token(&credential).await.unwrap_err().status(), Some(307));
    assert_eq!(client.access_token(&credential, "registry:catalog:*").await.unwrap_err().status(), Some(307));
    assert!(thief.state.lock().unwrap().seen.is_empty());
}

#[tokio::test]
async fn challenges_that_lead_nowhere_are_told_apart() {
    let registry = Registry::start().await;
    registry.state.lock().unwrap().challenge = None;
    assert!(matches!(reach(&registry).await.challenge().unwrap_err(), ClientError::NoChallenge(_)));
    registry.state.lock().unwrap().challenge = Some("Bearer realm=".into());
    assert!(matches!(reach(&registry).await.challenge().unwrap_err(), ClientError::Challenge(ChallengeError::Form(_))));
}

#[tokio::test]
async fn nobody_listening_is_said_with_the_documents_words() {
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let host: RegistryHost = format!("localhost:{port}").parse().unwrap();
    let error = RegistryClient::reach(&host, None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "Could not connect to the registry login server 'localhost:{port}'. Please verify that the registry exists and the URL 'http://localhost:{port}/v2/' is reachable from your environment."
        )
    );
}

#[tokio::test]
async fn the_local_server_is_asked_and_its_problems_are_told() {
    let registry = Registry::start().await;
    let data = tempfile::tempdir().unwrap();
    let local = LocalServer::at(data.path());
    let error = local.get("/api/v1/registries").await.unwrap_err();
    assert!(matches!(error, LocalError::NotRunning { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("shorepass serve"));

    fake::local_server(data.path(), &registry);
    let minted = local.mint(&"default".parse().unwrap(), None).await.unwrap();
    assert_eq!(minted.login_server, registry.host());
    let client = reach(&registry).await;
    client.access_token(&Credential::token(minted.refresh_token.clone()), "registry:catalog:*").await.unwrap();
    assert!(!format!("{minted:?}").contains(minted.refresh_token.expose_secret()));

    let error = local.mint(&"nosuch1".parse().unwrap(), None).await.unwrap_err();
    assert_eq!((error.status(), error.to_string().as_str()), (Some(404), "there is no registry of that name"));
    assert_eq!(error.hint().as_deref(), Some("`shorepass registry list` shows them"));
    assert_eq!(local.get("/api/v1/registries/nosuch1").await.unwrap_err().status(), Some(404));
}
