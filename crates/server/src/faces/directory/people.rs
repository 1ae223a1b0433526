//! People: from a user of the directory to whom a token speaks for.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use shorepass_core::Principal;
use shorepass_core::directory::User;
use shorepass_identity::Subject;
use shorepass_store::resources::Resource;

use super::asking::Asking;
use super::clients;
use super::error::OAuthError;
use super::grants::SignedIn;

/// The client that everybody may sign in with: az's own id, which the `shorepass` command uses too. It has no secret, and
/// its codes go to this machine's own addresses only (contracts/azure-clients.md 3.2).
pub const COMMAND_LINE_CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// How the sign-in page calls it.
pub const COMMAND_LINE_NAME: &str = "The command line (shorepass or az)";

/// A client that people sign in with.
pub fn check_client(client_id: &str) -> Result<(), OAuthError> {
    if client_id == COMMAND_LINE_CLIENT { Ok(()) } else { Err(OAuthError::unknown_client()) }
}

/// Whom the tokens of somebody who has signed in speak for, if nothing has changed since.
pub async fn subject(call: &Asking, who: &SignedIn, client_id: &str) -> Result<Subject, OAuthError> {
    let user: Option<Arc<Resource<User>>> = call.policy(|state| state.user(who.user).map(Arc::clone))?;
    let user = user.ok_or_else(OAuthError::revoked)?;
    let tenant = call.provider().tenants.by_id(user.parent).await?.ok_or_else(OAuthError::revoked)?;
    if !call.serves(tenant.guid) {
        return Err(OAuthError::invalid_grant(50_020, "The person is of another tenant than the address names."));
    }
    let subject = Subject {
        tenant: tenant.guid,
        principal: Principal::User { id: user.id },
        client_id: client_id.to_owned(),
        user_name: Some(user.name.clone()),
        display_name: Some(user.document.display_name.clone()),
        credential: None,
        kind: who.kind,
        epoch: who.epoch,
        not_after: who.not_after,
    };
    clients::check_alive(call, &subject)?;
    Ok(subject)
}

/// What MSAL knows an account by.
pub fn client_info(who: &Subject) -> String {
    let id = match &who.principal {
        Principal::User { id } | Principal::ServicePrincipal { id } | Principal::ManagedIdentity { id } => {
            id.to_string()
        }
        other => other.id(),
    };
    URL_SAFE_NO_PAD.encode(json!({"uid": id, "utid": who.tenant}).to_string())
}
