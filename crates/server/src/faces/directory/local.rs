//! People with a password of their own.

use std::sync::Arc;

use shorepass_core::directory::User;
use shorepass_core::{CredentialKind, EventKind, Outcome, Principal};
use shorepass_identity::Account;
use shorepass_store::resources::Resource;
use uuid::Uuid;

use super::asking::Asking;
use super::error::OAuthError;
use super::grants::SignedIn;
use super::pages::Refused;
use crate::auth::clip;

/// Longer than any name.
const MAX_NAME: usize = 256;

/// Proves a person by user name and password. Who is unknown, who has no password and who has another cost and look the
/// same.
pub async fn sign_in(call: &Asking, name: &str, password: &str) -> Result<SignedIn, Refused> {
    let provider = call.provider();
    let name = name.trim();
    let (user, name) = find(call, name).await?;
    let account = match &user {
        Some(user) => Account::new(user.parent, &user.name),
        None => Account::new(call.tenant.as_ref().map_or(Uuid::nil(), |tenant| tenant.id), &name),
    };
    let kind = CredentialKind::Password;
    if let Some(source) = call.origin.peer {
        let waited = provider.limiter.check(source, &account);
        waited.map_err(|wait| call.limited(&name, kind, wait.seconds))?;
    }
    let stored = user.as_ref().and_then(|user| user.document.password_hash.as_deref());
    let right = provider.passwords.verify(password, stored).await.map_err(OAuthError::from)?;
    let Some(user) = user.filter(|_| right) else {
        if let Some(source) = call.origin.peer {
            provider.limiter.failed(source, &account);
        }
        call.sign_in_failed(&clip(&name), kind, "unknown user or wrong password");
        return Err(Refused::wrong_password());
    };
    if let Some(source) = call.origin.peer {
        provider.limiter.succeeded(source, &account);
    }
    signed_in(call, &user, kind, None)
}

/// A person who has proved to be one, if he may come in.
///
/// `through`: the provider he came by, for the audit.
pub fn signed_in(
    call: &Asking,
    user: &Resource<User>,
    kind: CredentialKind,
    through: Option<&str>,
) -> Result<SignedIn, Refused> {
    let principal = Principal::User { id: user.id };
    match call.policy(|state| state.epoch(&principal))? {
        Ok(epoch) => {
            call.app.metrics.count_login(kind.as_str(), Outcome::Success);
            call.record(EventKind::Login, Outcome::Success, "signed in", &principal.id(), kind, through);
            Ok(SignedIn { user: user.id, kind, epoch, not_after: None })
        }
        Err(reason) => {
            call.sign_in_failed(&principal.id(), kind, reason);
            Err(Refused::disabled())
        }
    }
}

/// The user of that name, or of `name@tenant`. Where the address names no tenant: the one tenant in which there is such a
/// user.
async fn find(call: &Asking, name: &str) -> Result<(Option<Arc<Resource<User>>>, String), Refused> {
    let short: String = name.chars().take(MAX_NAME).collect();
    let tenants = match &call.tenant {
        Some(tenant) => Arc::new(vec![Arc::clone(tenant)]),
        None => call.provider().tenants.all().await.map_err(OAuthError::from)?,
    };
    let mut found = call.policy(|state| {
        let mut found = Vec::new();
        for tenant in tenants.iter() {
            found.extend(state.user_by_name(tenant.id, &short).map(Arc::clone));
            if let Some((user, named)) = short.rsplit_once('@')
                && named.eq_ignore_ascii_case(&tenant.name)
            {
                found.extend(state.user_by_name(tenant.id, user).map(Arc::clone));
            }
        }
        found
    })?;
    // Of several nobody: whose password would be compared with whose?
    let only = if found.len() == 1 { found.pop() } else { None };
    Ok((only, short))
}
