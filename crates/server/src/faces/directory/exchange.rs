//! Token exchange (RFC 8693): an outside token, or one of our own, becomes an identity token for another audience. Nothing
//! is widened on the way: not the audience, not the end.

use serde_json::{Value, json};
use shorepass_core::{Principal, Timestamp};
use shorepass_identity::{IdentityClaims, Subject, peek};

use super::asking::Asking;
use super::audience::Audience;
use super::clients;
use super::error::OAuthError;
use super::token::{self, required};
use crate::call::Query;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// Answers a token exchange.
pub async fn answer(call: &Asking, form: &Query) -> Result<Value, OAuthError> {
    if form.get("actor_token").is_some() {
        return Err(OAuthError::invalid_request("`actor_token` is not supported: nobody acts for somebody else here."));
    }
    let kind = required(form, "subject_token_type")?;
    if ![ACCESS_TOKEN, JWT, ID_TOKEN].contains(&kind) {
        return Err(OAuthError::invalid_request(format!("`subject_token_type` must be `{JWT}` or `{ACCESS_TOKEN}`.")));
    }
    let wanted = form.get("requested_token_type").unwrap_or(ACCESS_TOKEN);
    if ![ACCESS_TOKEN, JWT].contains(&wanted) {
        return Err(OAuthError::invalid_request(format!("`requested_token_type` can be `{ACCESS_TOKEN}` only.")));
    }
    let subject_token = required(form, "subject_token")?;
    let audience = target(call, form)?;
    let own = format!("{}/", call.provider().base());
    let is_own = peek(subject_token).is_ok_and(|claims| claims.issuer.starts_with(&own));
    let who = if is_own {
        let (who, from) = own_subject(call, form, subject_token)?;
        if !from.covers(&audience) {
            return Err(OAuthError::widening());
        }
        who
    } else {
        clients::by_subject_token(call, &clients::client_id(form)?, subject_token).await?
    };
    let mut answer = token::identity(call, &who, &audience)?;
    answer["issued_token_type"] = json!(wanted);
    Ok(answer)
}

/// What the new token is for: by RFC 8693's `audience` or `resource`, or by `scope` as elsewhere here.
fn target(call: &Asking, form: &Query) -> Result<Audience, OAuthError> {
    let named: Vec<&str> = form.all("audience").chain(form.all("resource")).collect();
    match (named.as_slice(), form.get("scope")) {
        ([], scope) => Audience::of_scope(call, scope.unwrap_or_default()),
        ([one], None) => Audience::of(call, one),
        _ => Err(OAuthError::several_resources()),
    }
}

/// Whom one of our own identity tokens speaks for, and what it is for.
fn own_subject(call: &Asking, form: &Query, token: &str) -> Result<(Subject, Audience), OAuthError> {
    let claimed = peek(token)?.audience;
    let audiences: Vec<&str> = claimed.iter().map(String::as_str).collect();
    let claims = call.provider().tokens().verify(token, &audiences).map_err(token::bad_token)?;
    let from = Audience::of(call, &claims.aud)?;
    if !call.serves(claims.tid) {
        return Err(OAuthError::invalid_grant(50_020, "The token is of another tenant than the address names."));
    }
    if form.get("client_id").is_some_and(|id| !id.eq_ignore_ascii_case(&claims.appid)) {
        return Err(OAuthError::invalid_grant(70_000, "The token was issued to another client."));
    }
    let who = subject(claims);
    clients::check_alive(call, &who)?;
    Ok((who, from))
}

/// Its own end becomes the ceiling: a chain of exchanges lives no longer than its first token.
fn subject(claims: IdentityClaims) -> Subject {
    let end = Timestamp::from_millis(claims.exp.saturating_mul(1000));
    let binding = claims.shorepass;
    let not_after = binding.ceiling().map_or(end, |ceiling| ceiling.min(end));
    let is_user = matches!(binding.principal, Principal::User { .. });
    Subject {
        tenant: claims.tid,
        client_id: claims.appid,
        user_name: claims.upn.filter(|_| is_user),
        display_name: claims.name,
        credential: binding.credential,
        kind: binding.kind,
        epoch: binding.epoch,
        not_after: Some(not_after),
        principal: binding.principal,
    }
}
