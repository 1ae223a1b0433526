//! Sign-in through an outside OpenID provider: authorization code with PKCE, state and nonce (OpenID Connect Core 1.0,
//! 3.1). Issuer and subject are the identity; a name or an e-mail address is neither.

mod accounts;
mod http;
mod logout;

use std::sync::Arc;

use ::http::StatusCode;
use ::http::header::LOCATION;
use serde_json::{Map, Value};
use shorepass_core::CredentialKind;
use shorepass_core::directory::{Issuer, ProviderClient};
use shorepass_identity::{VerifiedToken, reveal_client_secret};
use shorepass_store::resources::Resource;
use url::Url;
use uuid::Uuid;

use super::asking::Asking;
use super::error::{OAuthError, sentence};
use super::grants::Away;
use super::pages::Refused;
use super::provider::s256;
use super::signing_in::Request;
use crate::respond::{self, Answer};

pub use self::http::Outside;
pub use logout::answer as logout;

/// What is taken of the provider's word about a person, besides the groups.
const NAMES: [&str; 2] = ["preferred_username", "name"];

/// A provider of the tenant that people sign in through, and our client there.
struct Partner {
    issuer: Arc<Resource<Issuer>>,
    client: ProviderClient,
}

impl Partner {
    /// By the issuer's id in the directory.
    fn find(call: &Asking, id: Uuid) -> Result<Self, Refused> {
        let tenant = call.one_tenant()?.id;
        let issuer = call.policy(|state| state.issuer(id).filter(|issuer| issuer.parent == tenant).map(Arc::clone))?;
        let issuer = issuer.ok_or_else(unknown)?;
        let client = issuer.document.sign_in.clone().ok_or_else(unknown)?;
        Ok(Self { issuer, client })
    }
}

fn unknown() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "Nobody signs in through this provider here. Begin again where you came from.")
}

/// On to the provider.
pub async fn leave(call: &Asking) -> Result<Answer, Refused> {
    let sealed = call.query.get("request").unwrap_or_default();
    Request::open(call, Some(sealed))?;
    let id = call.query.get("issuer").and_then(|id| id.parse().ok()).ok_or_else(unknown)?;
    let partner = Partner::find(call, id)?;
    let provider = call.provider();
    provider.beginnings.count(call.origin.peer).map_err(OAuthError::too_many)?;
    let document = provider.outside.document(&partner.issuer.document).await?;
    let (state, nonce, verifier) = (provider.random_text(), provider.random_text(), provider.random_text());
    let redirect_uri = call.url("signin/callback");
    let mut to = document.authorization_endpoint.clone();
    to.query_pairs_mut()
        .append_pair("client_id", &partner.client.client_id)
        .append_pair("response_type", "code")
        .append_pair("redirect_uri", &redirect_uri)
        .append_pair("scope", &document.scope(partner.client.groups_claim.is_some()))
        .append_pair("state", &state)
        .append_pair("nonce", &nonce)
        .append_pair("code_challenge", &s256(&verifier))
        .append_pair("code_challenge_method", "S256");
    let away = Away { request: sealed.to_owned(), issuer: id, nonce, verifier, redirect_uri };
    provider.put_grant(&state, &away).await?;
    Ok(see_other(&to))
}

fn see_other(to: &Url) -> Answer {
    let mut answer = respond::no_store(respond::status(StatusCode::SEE_OTHER));
    respond::set(&mut answer, LOCATION, to.as_str());
    answer
}

/// Back from the provider.
pub async fn come_back(call: &Asking) -> Result<Answer, Refused> {
    let query = &call.query;
    if let Some(name) = query.repeated(&["state", "code", "iss", "error"]) {
        return Err(Refused::bad_request(format!("The parameter `{name}` is there more than once.")));
    }
    let away: Option<Away> = call.provider().take_grant(query.get("state").unwrap_or_default()).await?;
    let away = away.ok_or_else(Refused::stale)?;
    let request = Request::open(call, Some(&away.request))?;
    let partner = Partner::find(call, away.issuer)?;
    // Whose answer this is (RFC 9207): no other provider's may pass for it.
    if query.get("iss").is_some_and(|iss| iss != partner.issuer.document.issuer) {
        return Err(failed(call, &partner, "the answer came from another provider"));
    }
    let Some(code) = query.get("code") else {
        return Err(failed(call, &partner, "the provider did not sign the person in"));
    };
    let answer = redeem(call, &partner, code, &away).await?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let token = text("id_token").ok_or_else(|| failed(call, &partner, "the provider's answer holds no id token"))?;
    let mut token = verify(call, &partner, token, &away.nonce).await?;
    complete(call, &partner, &mut token, text("access_token").unwrap_or_default()).await?;
    let who = accounts::adopt(call, &partner, &token).await?;
    request.finish(call, who).await
}

/// What the code stands for.
async fn redeem(call: &Asking, partner: &Partner, code: &str, away: &Away) -> Result<Map<String, Value>, Refused> {
    let provider = call.provider();
    let secret = match &partner.client.client_secret {
        None => None,
        Some(hidden) => Some(reveal_client_secret(&provider.secrets, hidden).ok_or_else(|| {
            tracing::error!(
                issuer = partner.issuer.name,
                "the client secret at an outside provider cannot be read; set it again"
            );
            Refused::failed()
        })?),
    };
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &away.redirect_uri),
        ("code_verifier", &away.verifier),
    ];
    let credentials = (partner.client.client_id.as_str(), secret.as_ref().map(|secret| secret.as_str()));
    let answered = provider.outside.redeem(&partner.issuer.document, credentials, &fields).await;
    answered.map_err(|error| {
        tracing::warn!(issuer = partner.issuer.name, %error, "an outside provider did not take a code");
        failed(call, partner, "the provider did not take the code")
    })
}

/// Adds what the id token leaves to the user info (OpenID Connect Core 1.0, 5.4). Where groups count and cannot be read
/// there is no sign-in: nobody loses his groups, or keeps them, by a provider's bad day.
async fn complete(
    call: &Asking,
    partner: &Partner,
    token: &mut VerifiedToken,
    access_token: &str,
) -> Result<(), Refused> {
    let wanted: Vec<&str> = NAMES.into_iter().chain(partner.client.groups_claim.as_deref()).collect();
    if access_token.is_empty() || wanted.iter().all(|name| token.claims.contains_key(*name)) {
        return Ok(());
    }
    let said = call.provider().outside.user_info(&partner.issuer.document, access_token).await;
    let mut said = said.map_err(|error| {
        tracing::warn!(issuer = partner.issuer.name, %error, "an outside provider told nothing about a person");
        failed(call, partner, "the provider told nothing about the person")
    })?;
    // It must be about the same person (5.3.2).
    if !said.is_empty() && said.get("sub").and_then(Value::as_str) != Some(&token.subject) {
        return Err(failed(call, partner, "the provider told about another person"));
    }
    for name in wanted {
        if let Some(value) = said.remove(name) {
            token.claims.entry(name).or_insert(value);
        }
    }
    Ok(())
}

/// The id token's word (OpenID Connect Core 1.0, 3.1.3.7).
async fn verify(call: &Asking, partner: &Partner, token: &str, nonce: &str) -> Result<VerifiedToken, Refused> {
    let client_id = partner.client.client_id.as_str();
    let verified = call.provider().federation.verify(&partner.issuer.document, token, &[client_id]).await;
    let verified = verified.map_err(|error| {
        call.sign_in_failed(&partner.issuer.name, CredentialKind::FederatedToken, error.as_str());
        let said = OAuthError::from(error);
        let status = if said.retry_after.is_some() { said.status } else { StatusCode::FORBIDDEN };
        Refused::new(status, format!("The provider's token is not accepted. {}", sentence(&error)))
    })?;
    let claim = |name: &str| verified.claims.get(name).and_then(Value::as_str);
    if claim("nonce") != Some(nonce) {
        return Err(failed(call, partner, "the id token is of another sign-in"));
    }
    let is_ours = claim("azp").map_or(verified.audience.len() == 1, |azp| azp == client_id);
    if is_ours { Ok(verified) } else { Err(failed(call, partner, "the id token was issued to another client")) }
}

fn failed(call: &Asking, partner: &Partner, reason: &str) -> Refused {
    call.sign_in_failed(&partner.issuer.name, CredentialKind::FederatedToken, reason);
    Refused::new(StatusCode::FORBIDDEN, format!("The sign-in through {} did not work: {reason}.", partner.issuer.name))
}
