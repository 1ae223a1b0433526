//! What ends a principal or its proof.

use shorepass_core::directory::{
    ClientCredential, ClientProof, ExternalIdentity, FederatedCredential, Issuer, IssuerKeys, SubjectRule,
    TokenPassword, User,
};
use shorepass_core::{CredentialKind, Principal, Timestamp};
use uuid::Uuid;

use super::RBAC;
use crate::policy::fixture::*;
use crate::policy::*;

fn proof(root: CredentialKind, root_id: Option<Uuid>) -> Proof {
    Proof { epoch: 0, root, root_id }
}

#[test]
fn a_token_dies_with_its_principal_its_epoch_and_its_password() {
    let mut world = World::default();
    let map = world.map("my-map", &["repositories/*/content/read"]);
    let token_ = world.token("robot", map);
    let Principal::RepositoryToken { id, .. } = token_ else { unreachable!() };
    let password = Uuid::from_u128(77);
    let with = |epoch, enabled, password: Uuid| {
        let created_at = Timestamp::from_millis(0);
        let password = TokenPassword { id: password, slot: 1, hash: String::new(), created_at, expires_at: None };
        shorepass_core::directory::RepositoryToken { enabled, epoch, passwords: vec![password], ..token(map) }
    };
    let proven = proof(CredentialKind::TokenPassword, Some(password));
    world.put(id, REGISTRY, "robot", with(0, true, password));
    assert_eq!(world.state.alive(&token_, &proven), Ok(()));
    assert!(world.state.alive(&token_, &proof(CredentialKind::TokenPassword, None)).is_err());
    for document in [with(0, false, password), with(1, true, password), with(0, true, Uuid::from_u128(78))] {
        world.put(id, REGISTRY, "robot", document);
        assert!(world.state.alive(&token_, &proven).is_err());
    }
    world.state.apply(id, None);
    assert!(world.state.alive(&token_, &proven).is_err());
}

fn secret() -> ClientCredential {
    ClientCredential {
        display_name: String::new(),
        proof: ClientProof::Secret { hash: String::new(), hint: String::new() },
        start: Timestamp::from_millis(0),
        expires_at: Timestamp::from_millis(1),
    }
}

#[test]
fn a_consented_application_stands_as_long_as_it_does_at_home() {
    let mut world = World::default();
    let app = Uuid::from_u128(0xaa);
    let at_home = |multi_tenant, enabled, epoch| shorepass_core::directory::ServicePrincipal {
        multi_tenant,
        enabled,
        epoch,
        ..application(app, OTHER_TENANT)
    };
    let home = world.add(OTHER_TENANT, &app.to_string(), at_home(true, true, 0));
    let here = world.add(TENANT, &app.to_string(), application(app, OTHER_TENANT));
    let key = world.add(home, "key", secret());
    let robot = Principal::ServicePrincipal { id: here };
    let proven = proof(CredentialKind::ClientSecret, Some(key));
    assert_eq!(world.state.alive(&robot, &proven), Ok(()));
    world.assign(role_id::ACR_PULL, reference(&robot), at_registry(), None);
    assert!(world.may(&robot, &facts(RBAC), "app", Right::ContentRead));
    let own_key = world.add(here, "own", secret());
    assert!(
        world.state.alive(&robot, &proof(CredentialKind::ClientSecret, Some(own_key))).is_err(),
        "keys are at home"
    );
    for document in [at_home(false, true, 0), at_home(true, false, 0), at_home(true, true, 1)] {
        world.put(home, OTHER_TENANT, &app.to_string(), document);
        assert!(world.state.alive(&robot, &proven).is_err());
    }
    world.put(home, OTHER_TENANT, &app.to_string(), at_home(true, true, 0));
    world.state.apply(key, None);
    assert!(world.state.alive(&robot, &proven).is_err());
    world.state.apply(home, None);
    assert!(!world.may(&robot, &facts(RBAC), "app", Right::ContentRead));
}

#[test]
fn trust_ends_with_the_federated_credential_or_its_issuer() {
    let mut world = World::default();
    let id = world.add(TENANT, "workload", identity(Uuid::from_u128(0xcc)));
    let workload = Principal::ManagedIdentity { id };
    let keys = IssuerKeys::Discovery { url: None };
    let document = Issuer { issuer: "https://issuer".to_owned(), keys, ca: None, sign_in: None };
    let issuer = world.add(TENANT, "github", document.clone());
    let trust = world.add(
        id,
        "main",
        FederatedCredential {
            issuer: "https://issuer".to_owned(),
            subject: SubjectRule::Exact("repo:a".to_owned()),
            audience: "shorepass".to_owned(),
        },
    );
    let proven = proof(CredentialKind::FederatedToken, Some(trust));
    assert_eq!(world.state.alive(&workload, &proven), Ok(()));
    assert_eq!(world.state.alive(&workload, &proof(CredentialKind::IdentityToken, Some(trust))), Ok(()));
    world.state.apply(issuer, None);
    assert!(world.state.alive(&workload, &proven).is_err());
    world.add(OTHER_TENANT, "github", document.clone());
    assert!(world.state.alive(&workload, &proven).is_err(), "another tenant's trust is not ours");
    world.add(TENANT, "github", document);
    assert_eq!(world.state.alive(&workload, &proven), Ok(()));
    world.state.apply(trust, None);
    assert!(world.state.alive(&workload, &proven).is_err());
    assert!(world.state.alive(&workload, &proof(CredentialKind::IdentityToken, Some(trust))).is_err());
}

#[test]
fn people_of_an_outside_provider_are_found_by_issuer_and_subject() {
    let mut world = World::default();
    let keys = IssuerKeys::Discovery { url: None };
    let document = Issuer { issuer: "https://idp".to_owned(), keys, ca: None, sign_in: None };
    let issuer = world.add(TENANT, "idp", document);
    let external = ExternalIdentity { issuer, subject: "42".to_owned() };
    let id = world.add(TENANT, "Ann@Example.org", User { external: Some(external.clone()), ..user(true) });
    assert_eq!(world.state.user_by_external(TENANT, &external).unwrap().id, id);
    assert_eq!(world.state.user_by_name(TENANT, "ann@example.ORG").unwrap().id, id);
    assert!(world.state.user_by_external(OTHER_TENANT, &external).is_none());
    assert_eq!(world.state.epoch(&Principal::User { id }), Ok(0));
    world.state.apply(issuer, None);
    assert!(world.state.epoch(&Principal::User { id }).is_err(), "nobody vouches for them any more");
    world.state.apply(id, None);
    assert!(world.state.user_by_external(TENANT, &external).is_none());
}
