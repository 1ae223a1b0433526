//! A provider says that a person has signed out there (OpenID Connect Back-Channel Logout 1.0).

use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use serde_json::{Value, json};
use shorepass_core::directory::{ExternalIdentity, User};
use shorepass_core::{CredentialKind, EventKind, Outcome};
use shorepass_identity::{FederationError, VerifiedToken, peek};
use shorepass_store::resources::{Resource, Write, Written};
use uuid::Uuid;

use crate::call::Query;
use crate::faces::directory::asking::Asking;
use crate::faces::directory::error::{OAuthError, sentence};
use crate::respond::{self, Answer};

/// A logout token is sent at once; an older one was kept by somebody.
const FRESH: Duration = Duration::from_secs(10 * 60);

const ATTEMPTS: usize = 3;

/// Ends everything the person signed in for here.
pub async fn answer(call: &Asking, form: &Query) -> Result<Answer, OAuthError> {
    let token = form.get("logout_token").ok_or_else(|| OAuthError::missing("logout_token"))?;
    let tenant = call.one_tenant()?.id;
    let claimed = peek(token).map_err(refused)?;
    let issuer = call.policy(|state| state.issuer_by_iss(tenant, &claimed.issuer).map(Arc::clone))?;
    let issuer = issuer.ok_or_else(|| refused(FederationError::Issuer))?;
    let client = issuer.document.sign_in.clone().ok_or_else(|| refused(FederationError::Issuer))?;
    let verified = call.provider().federation.verify_logout(&issuer.document, token, &[&client.client_id]).await;
    let verified = verified.map_err(refused)?;
    if !is_fresh(call, &verified) {
        return Err(OAuthError::invalid_request("The logout token is older than ten minutes."));
    }
    let identity = ExternalIdentity { issuer: issuer.id, subject: verified.subject };
    let user = call.policy(|state| state.user_by_external(tenant, &identity).map(|user| user.id))?;
    if let Some(user) = user {
        raise_epoch(call, user).await?;
        call.changed("user.sign-out", user, json!({"issuer": issuer.name})).await?;
        let principal = format!("user:{user}");
        let kind = CredentialKind::FederatedToken;
        call.record(
            EventKind::Login,
            Outcome::Success,
            "signed out at the provider",
            &principal,
            kind,
            Some(&issuer.name),
        );
    }
    Ok(respond::no_store(respond::status(StatusCode::OK)))
}

fn is_fresh(call: &Asking, token: &VerifiedToken) -> bool {
    let now = call.provider().clock.now().seconds();
    let oldest = now.saturating_sub(i64::try_from(FRESH.as_secs()).unwrap_or(0));
    token.claims.get("iat").and_then(Value::as_i64).is_some_and(|issued| issued >= oldest)
}

/// 400, whatever it is (section 2.8); but an outage is the server's trouble, and the provider may ask again.
fn refused(error: FederationError) -> OAuthError {
    match error {
        FederationError::Unavailable => error.into(),
        _ => OAuthError::invalid_request(sentence(&error)),
    }
}

/// Every token issued to the user so far is void.
async fn raise_epoch(call: &Asking, id: Uuid) -> Result<(), OAuthError> {
    let store = &call.provider().store;
    for _ in 0..ATTEMPTS {
        let Some(row) = store.resource(id).await? else { return Ok(()) };
        let mut user: Resource<User> = Resource::read(&row)?;
        user.document.epoch += 1;
        user.updated_at = call.provider().clock.now();
        match store.write_resources(&[Write::Update(user.row()?)]).await? {
            Written::Done { .. } => return Ok(call.app.directory.refresh().await?),
            Written::Missing { .. } => return Ok(()),
            Written::Changed { .. } | Written::Exists { .. } => {}
        }
    }
    Err(OAuthError::unavailable("The account is being changed at this moment: send the logout token again."))
}
