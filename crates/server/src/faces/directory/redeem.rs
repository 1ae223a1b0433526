//! From an authorization code or a refresh token to tokens.

use aws_lc_rs::constant_time;
use serde_json::Value;
use shorepass_core::Principal;

use super::asking::Asking;
use super::error::OAuthError;
use super::grants::{Code, SignedIn};
use super::token::{self, required};
use super::{clients, people, provider};
use crate::call::Query;

/// The shortest and the longest verifier (RFC 7636, 4.1).
const VERIFIER: std::ops::RangeInclusive<usize> = 43..=128;

/// An authorization code and the verifier of its challenge (RFC 6749, 4.1.3; RFC 7636, 4.6). Whatever is wrong, the code
/// is used up.
pub async fn authorization_code(call: &Asking, form: &Query) -> Result<Value, OAuthError> {
    let client_id = clients::client_id(form)?;
    people::check_client(&client_id)?;
    let (secret, verifier) = (required(form, "code")?, required(form, "code_verifier")?);
    let code: Option<Code> = call.provider().take_grant(secret).await?;
    let code = code.ok_or_else(|| {
        OAuthError::invalid_grant(54_005, "The code has been used, has expired, or was never issued. Sign in again.")
    })?;
    if code.client_id != client_id || form.get("redirect_uri") != Some(&code.redirect_uri) {
        return Err(OAuthError::invalid_grant(500_112, "The code was issued to another client or redirect address."));
    }
    let challenge = provider::s256(verifier);
    let right = constant_time::verify_slices_are_equal(challenge.as_bytes(), code.challenge.as_bytes()).is_ok();
    if !right || !VERIFIER.contains(&verifier.len()) {
        return Err(OAuthError::invalid_grant(501_481, "`code_verifier` is not the one of this code's challenge."));
    }
    let who = people::subject(call, &code.who, &client_id).await?;
    token::of_person(call, &who, &code.scope, code.nonce.as_deref())
}

/// A refresh token, as often as one likes and for any resource: clients run beside each other and share it
/// (contracts/azure-clients.md 3.2).
pub async fn refresh_token(call: &Asking, form: &Query) -> Result<Value, OAuthError> {
    let client_id = clients::client_id(form)?;
    people::check_client(&client_id)?;
    let claims = call.provider().tokens().verify_refresh(required(form, "refresh_token")?, &client_id);
    let claims = claims.map_err(token::bad_token)?;
    let Principal::User { id } = claims.binding.principal else { return Err(OAuthError::revoked()) };
    let who = SignedIn {
        user: id,
        kind: claims.binding.kind,
        epoch: claims.binding.epoch,
        not_after: claims.binding.ceiling(),
    };
    let who = people::subject(call, &who, &client_id).await?;
    token::of_person(call, &who, required(form, "scope")?, None)
}
