//! Accepting an invitation: the person chooses a password. The code is behind the link's `#`; the page moves it into its
//! form, so no address that a server or a proxy logs ever holds it.

use http::StatusCode;
use serde_json::Value;
use shorepass_core::CredentialKind;
use shorepass_core::directory::User;
use shorepass_identity::{Account, secret_matches};
use shorepass_store::resources::{Resource, Write, Written};

use super::asking::Asking;
use super::error::OAuthError;
use super::pages::Refused;
use super::{pages, signing_in};
use crate::auth::clip;
use crate::call::Query;
use crate::respond::Answer;

/// The page.
pub fn page(call: &Asking) -> Answer {
    pages::invitation(call, call.query.get("user").unwrap_or_default(), None)
}

/// The form.
pub async fn accept(call: &Asking, form: &Query) -> Result<Answer, Refused> {
    signing_in::from_own_page(call)?;
    let name = form.get("username").unwrap_or_default().trim();
    match try_to(call, name, form).await {
        Ok(()) => Ok(pages::done("Welcome", "Your password is set. Sign in with it: shorepass account login.")),
        Err(refused) => Ok(pages::invitation(call, name, Some(&refused))),
    }
}

async fn try_to(call: &Asking, name: &str, form: &Query) -> Result<(), Refused> {
    let (provider, tenant) = (call.provider(), call.one_tenant()?);
    let (code, password) = (form.get("code").unwrap_or_default().trim(), form.get("password").unwrap_or_default());
    if form.get("again") != Some(password) {
        return Err(Refused::bad_request("The two passwords are not the same."));
    }
    shorepass_identity::check_password(password).map_err(OAuthError::from)?;
    let account = Account::new(tenant.id, &format!("invitation {name}"));
    if let Some(source) = call.origin.peer {
        let waited = provider.limiter.check(source, &account);
        waited.map_err(|wait| call.limited(name, CredentialKind::None, wait.seconds))?;
    }
    // As memory knows it: a name that no database takes reaches none.
    let id = call.policy(|state| state.user_by_name(tenant.id, name).map(|user| user.id))?;
    let row = match id {
        Some(id) => provider.store.resource(id).await.map_err(OAuthError::from)?,
        None => None,
    };
    let user: Option<Resource<User>> = row.as_ref().map(Resource::read).transpose().map_err(OAuthError::from)?;
    let now = provider.clock.now();
    let invited = |user: &Resource<User>| {
        let document = &user.document;
        let stored = document.invitation.as_ref().filter(|_| document.enabled && document.external.is_none());
        stored.is_some_and(|stored| secret_matches(&provider.secrets, stored, code, now))
    };
    let Some(mut user) = user.filter(invited) else {
        if let Some(source) = call.origin.peer {
            provider.limiter.failed(source, &account);
        }
        call.sign_in_failed(&clip(name), CredentialKind::None, "unknown user or wrong invitation code");
        return Err(Refused::new(
            StatusCode::FORBIDDEN,
            "There is no such user, or the invitation code is wrong, was used, or has expired. Ask for a new invitation.",
        ));
    };
    user.document.password_hash = Some(provider.passwords.hash(password).await.map_err(OAuthError::from)?);
    user.document.invitation = None;
    // Whoever signed in with an older password is signed out.
    user.document.epoch += 1;
    user.updated_at = now;
    store(call, &user).await
}

async fn store(call: &Asking, user: &Resource<User>) -> Result<(), Refused> {
    let write = Write::Update(user.row().map_err(OAuthError::from)?);
    match call.provider().store.write_resources(&[write]).await.map_err(OAuthError::from)? {
        Written::Done { .. } => {}
        // Accepted by another request at the same moment, or changed by an administrator.
        _ => return Err(Refused::new(StatusCode::CONFLICT, "The account was changed at the same moment. Try again.")),
    }
    call.app.directory.refresh().await.map_err(OAuthError::from)?;
    Ok(call.changed("user.accept-invitation", user.id, Value::Null).await?)
}
