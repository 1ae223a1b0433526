//! The token endpoint.

use http::StatusCode;
use serde_json::{Value, json};
use shorepass_core::Outcome;
use shorepass_identity::{Subject, TokenError};

use super::asking::Asking;
use super::audience::Audience;
use super::error::OAuthError;
use super::{clients, device, exchange, people, redeem};
use crate::call::Query;
use crate::respond::{self, Answer};

pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// What may be there once: who reads the first, and who reads the last, would see two different requests.
const SINGLE: [&str; 16] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "scope",
    "refresh_token",
    "code",
    "code_verifier",
    "redirect_uri",
    "device_code",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "actor_token",
    "username",
];

/// Answers a token request.
pub async fn answer(call: &Asking, form: &Query) -> Result<Answer, OAuthError> {
    let issued = grant(call, form).await;
    if issued.is_err() {
        call.app.metrics.count_token("identity_token", Outcome::Failure);
    }
    Ok(respond::no_store(respond::json(StatusCode::OK, &issued?)))
}

async fn grant(call: &Asking, form: &Query) -> Result<Value, OAuthError> {
    if let Some(name) = form.repeated(&SINGLE) {
        return Err(OAuthError::invalid_request(format!("The parameter `{name}` is there more than once.")));
    }
    match required(form, "grant_type")? {
        "client_credentials" => {
            let who = clients::authenticate(call, form).await?;
            let audience = Audience::of_scope(call, form.get("scope").unwrap_or_default())?;
            identity(call, &who, &audience)
        }
        "refresh_token" => redeem::refresh_token(call, form).await,
        "authorization_code" => redeem::authorization_code(call, form).await,
        DEVICE_CODE => device::poll(call, form).await,
        TOKEN_EXCHANGE => exchange::answer(call, form).await,
        other => Err(OAuthError::unsupported_grant(other)),
    }
}

pub fn required<'a>(form: &'a Query, name: &str) -> Result<&'a str, OAuthError> {
    form.get(name).filter(|value| !value.is_empty()).ok_or_else(|| OAuthError::missing(name))
}

/// An identity token for an audience, as the answer has it.
pub fn identity(call: &Asking, who: &Subject, audience: &Audience) -> Result<Value, OAuthError> {
    let audience = audience.text(call);
    let issued = call.provider().tokens().issue(who, audience)?;
    call.issued(who, audience);
    Ok(json!({
        "token_type": "Bearer",
        "access_token": issued.token,
        "expires_in": issued.expires_in,
        "ext_expires_in": issued.expires_in,
    }))
}

/// Everything a person's client gets (contracts/azure-clients.md 3.2, "user response").
pub fn of_person(call: &Asking, who: &Subject, scope: &str, nonce: Option<&str>) -> Result<Value, OAuthError> {
    let audience = Audience::of_scope(call, scope)?;
    let mut answer = identity(call, who, &audience)?;
    let asked = |name: &str| scope.split_ascii_whitespace().any(|one| one == name);
    let tokens = call.provider().tokens();
    if asked("openid") {
        answer["id_token"] = json!(tokens.id_token(who, &who.client_id, nonce)?);
    }
    if asked("offline_access") {
        answer["refresh_token"] = json!(tokens.refresh_token(who)?);
    }
    answer["client_info"] = json!(people::client_info(who));
    // Clients look tokens up by what was asked for, letter by letter.
    answer["scope"] = json!(granted(scope));
    Ok(answer)
}

/// Of the scopes those that are granted: the resource's, and OpenID's own.
fn granted(scope: &str) -> String {
    let known = |one: &&str| matches!(*one, "openid" | "profile" | "offline_access") || one.ends_with("/.default");
    scope.split_ascii_whitespace().filter(known).collect::<Vec<_>>().join(" ")
}

/// A token of ours that is not, or no longer, good.
pub fn bad_token(error: TokenError) -> OAuthError {
    match error {
        TokenError::Expired => OAuthError::invalid_grant(700_082, "The token has expired. Sign in again."),
        _ => OAuthError::invalid_grant(70_000, "This is not a token of this server for this client. Sign in again."),
    }
}
