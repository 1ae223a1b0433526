//! RFC 8693: nothing widens on the way.

use serde_json::Value;
use shorepass_core::directory::{ServicePrincipal, SubjectRule};
use shorepass_identity::CONTAINER_REGISTRY_AUDIENCE;
use shorepass_store::rows::RegistryRow;

use super::issuer::TestIssuer;
use super::{Here, SECRET, code};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

async fn exchange(here: &Here, token: &str, more: &[(&str, &str)]) -> (u16, Value) {
    let form = [("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", JWT)];
    here.token(&[&form[..], more].concat()).await
}

async fn token_for(here: &Here, app: uuid::Uuid, scope: &str) -> String {
    let (status, answer) = here.with_secret(app, SECRET, scope).await;
    assert_eq!(status, 200, "{answer}");
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_outside_token_becomes_an_identity_token() {
    let here = Here::start().await;
    let app = here.application().await;
    let issuer = TestIssuer::new("https://ci.example");
    here.trust(app.id, &issuer, SubjectRule::Exact("job".to_owned()), "shorepass").await;
    let (client_id, base) = (app.app_id.to_string(), here.base());
    let token = issuer.mint("job", "shorepass", here.now());
    let (status, answer) = exchange(&here, &token, &[("client_id", &client_id), ("audience", &base)]).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(here.claims(&answer["access_token"], &base).oid, app.id);
    let other = issuer.mint("another job", "shorepass", here.now());
    let refused = exchange(&here, &other, &[("client_id", &client_id), ("audience", &base)]).await;
    assert_eq!(code(&refused), (401, 700_213));
    assert_eq!(exchange(&here, &token, &[("audience", &base)]).await.0, 400, "whom it speaks for is asked");
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn our_own_tokens_reach_less_and_end_no_later() {
    let here = Here::start().await;
    let app = here.application().await;
    let (base, login_server) = (here.base(), here.world.host());
    let management = token_for(&here, app.app_id, &here.management()).await;
    let all = token_for(&here, app.app_id, &format!("{CONTAINER_REGISTRY_AUDIENCE}/.default")).await;
    let one = token_for(&here, app.app_id, &format!("{login_server}/.default")).await;
    for (case, token, audience, allowed) in [
        ("management to one registry", &management, login_server.as_str(), true),
        ("management to all registries", &management, CONTAINER_REGISTRY_AUDIENCE, false),
        ("all registries to one", &all, &login_server, true),
        ("all registries to management", &all, &base, false),
        ("one registry to itself", &one, &login_server, true),
        ("one registry to all", &one, CONTAINER_REGISTRY_AUDIENCE, false),
        ("one registry to management", &one, &base, false),
    ] {
        let answer = exchange(&here, token, &[("audience", audience)]).await;
        if allowed {
            assert_eq!(answer.0, 200, "{case}: {}", answer.1);
            let (old, new) = (
                here.provider().tokens().verify(token, &[&base, CONTAINER_REGISTRY_AUDIENCE, &login_server]).unwrap(),
                here.claims(&answer.1["access_token"], audience),
            );
            assert!(new.exp <= old.exp, "{case}");
            assert_eq!(
                new.shorepass.ceiling().map(|end| end.seconds()),
                Some(old.exp),
                "{case}: the ceiling goes down the chain"
            );
            assert_eq!((new.oid, new.shorepass.credential), (old.oid, old.shorepass.credential), "{case}");
        } else {
            assert_eq!(code(&answer), (400, 9_002_313), "{case}");
        }
    }
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn a_registry_that_takes_no_management_tokens_gets_none_by_a_detour() {
    let here = Here::start().await;
    let app = here.application().await;
    let management = token_for(&here, app.app_id, &here.management()).await;
    let mut row: RegistryRow = here.world.home.registry.clone();
    row.settings.authentication_as_arm = false;
    assert!(here.store().update_registry(&row).await.unwrap());
    here.world.running.app.directory.refresh().await.unwrap();
    let refused = exchange(&here, &management, &[("audience", &here.world.host())]).await;
    assert_eq!(code(&refused), (400, 9_002_313));
    here.world.running.shutdown().await;
}

#[tokio::test]
async fn what_was_revoked_is_exchanged_for_nothing() {
    let here = Here::start().await;
    let app = here.application().await;
    let token = token_for(&here, app.app_id, &here.management()).await;
    let login_server = here.world.host();
    here.change(app.id, |sp: &mut ServicePrincipal| sp.epoch += 1).await;
    assert_eq!(code(&exchange(&here, &token, &[("audience", &login_server)]).await), (400, 50_173));
    let stranger = [("audience", login_server.as_str()), ("client_id", "7f1c2f50-4f5e-4d2b-9d4b-0f0c4d7a1b11")];
    assert_eq!(exchange(&here, &token, &stranger).await.0, 400);
    let actor = [("audience", login_server.as_str()), ("actor_token", token.as_str())];
    assert_eq!(exchange(&here, &token, &actor).await.0, 400);
    here.world.running.shutdown().await;
}
