//! The key ring against a store on disk, and against a CNCF distribution that trusts it; the directory's own tokens; those
//! of outside issuers.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "these are tests and their helpers")]

mod directory_tokens;
mod docker_registry;
mod federation;
mod forgery;
mod http;
mod issuer;
mod issuer_keys;
mod openssl;
mod rotation;
mod store;

use std::sync::Arc;
use std::time::Duration;

use shorepass_core::time::TestClock;
use shorepass_core::{Clock, CredentialKind, Principal, SystemRandom, Timestamp};
use shorepass_identity::{ACCESS_LIFE, Access, Binding, Claims, GrantType, ISSUER, KeyRing, REFRESH_LIFE};
use uuid::Uuid;

use store::Database;

const AUDIENCE: &str = "registry.example:5000";

fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::at(Timestamp::from_millis(1_795_311_000_123)))
}

async fn ring(store: &Database, clock: &Arc<TestClock>, algorithm: &str) -> KeyRing {
    KeyRing::load(store.store.clone(), clock.clone(), Arc::new(SystemRandom), algorithm).await.unwrap()
}

fn binding(now: Timestamp) -> Binding {
    Binding {
        registry: Uuid::from_u128(7),
        principal: Principal::Admin { registry: Uuid::from_u128(7) },
        credential: Some(Uuid::from_u128(8)),
        kind: CredentialKind::AdminPassword,
        epoch: 3,
        issued_ms: now.millis(),
    }
}

fn claims(clock: &TestClock, grant_type: GrantType, access: Option<Vec<Access>>) -> Claims {
    let now = clock.now();
    let life: Duration = if grant_type == GrantType::RefreshToken { REFRESH_LIFE } else { ACCESS_LIFE };
    Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: "admin".to_owned(),
        jti: Uuid::from_u128(9),
        iat: now.seconds(),
        nbf: now.seconds(),
        exp: now.plus(life).seconds(),
        version: "1.0".to_owned(),
        grant_type,
        tenant: None,
        access,
        shorepass: binding(now),
    }
}

fn access_claims(clock: &TestClock) -> Claims {
    let access = Access { kind: "repository".into(), name: "team/app".into(), actions: vec!["pull".into()] };
    claims(clock, GrantType::AccessToken, Some(vec![access]))
}
