//! Tokens of our own directory: identity tokens for an audience, id tokens for applications, and the refresh tokens that
//! stand for a sign-in (contracts/azure-clients.md 3.2, 3.5).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use shorepass_core::{Clock, CredentialKind, Principal, Random, Timestamp, new_id};
use uuid::Uuid;

use crate::jws::{self, MAX_TOKEN_BYTES};
use crate::keys::{KeyRing, LEEWAY_SECONDS};
use crate::token::escape;
use crate::{ServerKey, TokenError};

/// The audience that clients of the original ask a token for to sign in to any registry (contracts/azure-clients.md 7.2).
pub const CONTAINER_REGISTRY_AUDIENCE: &str = "https://containerregistry.azure.net";

/// How long an identity token lives, unless what proved its principal ends sooner.
pub const IDENTITY_LIFE: Duration = Duration::from_secs(75 * 60);

/// How long a sign-in can be renewed, unless what proved it ends sooner.
pub const DIRECTORY_REFRESH_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The `ver` of every token.
const VERSION: &str = "2.0";

/// What every refresh token begins with, so that secret scanners recognise one.
const REFRESH_PREFIX: &str = "shpr_";

const REFRESH_CONTEXT: &str = "directory refresh token 1";

/// Whom a token is to speak for, and what it is tied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub tenant: Uuid,
    /// A user, a service principal or a managed identity; nobody else gets a token of the directory.
    pub principal: Principal,
    /// The application itself, or the client that a user signed in with.
    pub client_id: String,
    pub user_name: Option<String>,
    pub display_name: Option<String>,
    /// The stored credential that proved it, if one did.
    pub credential: Option<Uuid>,
    pub kind: CredentialKind,
    /// The principal's epoch now.
    pub epoch: i64,
    /// Nothing that comes of this sign-in outlives this.
    pub not_after: Option<Timestamp>,
}

/// A person, or a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityType {
    App,
    User,
}

/// What an identity token says. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityClaims {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    /// The principal's id in the directory.
    pub oid: Uuid,
    /// The tenant.
    pub tid: Uuid,
    pub appid: String,
    pub azp: String,
    pub idtyp: IdentityType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub jti: Uuid,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    pub ver: String,
    pub shorepass: IdentityBinding,
}

/// What a token is tied to beyond names, so that nothing deleted, renewed or disabled lives on in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityBinding {
    #[serde(rename = "p")]
    pub principal: Principal,
    /// The stored credential that the chain of tokens began with, if it began with one.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Uuid>,
    /// What kind of credential began the chain.
    #[serde(rename = "k")]
    pub kind: CredentialKind,
    /// The principal's epoch at issue; once the principal's is higher, the token is void.
    #[serde(rename = "e")]
    pub epoch: i64,
    /// When the principal was last looked at, in milliseconds since 1970.
    #[serde(rename = "i")]
    pub issued_ms: i64,
    /// What no token of the chain outlives, in seconds since 1970.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<i64>,
}

impl IdentityBinding {
    /// [`Subject::not_after`] as it was: what everything derived from this token is to be given in turn.
    #[must_use]
    pub fn ceiling(&self) -> Option<Timestamp> {
        self.not_after.map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000)))
    }
}

/// What an application learns of who signed in to it (OpenID Connect Core 1.0, 2). No reader of ours takes it for a
/// sign-in: it has no `shorepass`.
#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    oid: Uuid,
    tid: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    iat: i64,
    nbf: i64,
    exp: i64,
    ver: &'static str,
}

/// What a refresh token holds. It names no audience: it is good for every resource, in every tenant the user is in, as
/// often as he likes, for the client it was issued to (contracts/azure-clients.md 3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshClaims {
    /// Where the sign-in was.
    pub tenant: Uuid,
    pub client_id: String,
    pub jti: Uuid,
    pub exp: i64,
    pub binding: IdentityBinding,
}

/// A token and what its answer must say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    pub token: String,
    /// Seconds.
    pub expires_in: u64,
    pub claims: IdentityClaims,
}

/// Issues and verifies the directory's tokens, for all tenants.
///
/// Access and id tokens are signed by the [`KeyRing`]; access tokens under a `typ` of their own, so that a registry's
/// token never passes for one, nor the other way round. Refresh tokens nobody reads but us: they are sealed with the
/// [`ServerKey`], for they outlive a rotation of the ring's keys by months.
#[derive(Debug)]
pub struct DirectoryTokens {
    ring: Arc<KeyRing>,
    key: Arc<ServerKey>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    base: String,
}

impl DirectoryTokens {
    /// `base` is where the directory answers, `https://host`: part of every token's issuer.
    #[must_use]
    pub fn new(
        ring: Arc<KeyRing>,
        key: Arc<ServerKey>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        base: &str,
    ) -> Self {
        Self { ring, key, clock, random, base: base.trim_end_matches('/').to_owned() }
    }

    /// The `iss` of a tenant's tokens, and where its discovery document is found.
    #[must_use]
    pub fn issuer(&self, tenant: Uuid) -> String {
        format!("{}/{tenant}/v2.0", self.base)
    }

    /// An identity token for this audience. Which audiences there are is the caller's to know.
    ///
    /// # Errors
    /// [`TokenError::Expired`] when `who` may not hold a token any more; [`TokenError::Audience`] for none at all;
    /// [`TokenError::Signing`], also for a principal that is not the directory's.
    pub fn issue(&self, who: &Subject, audience: &str) -> Result<Issued, TokenError> {
        let now = self.clock.now();
        let (oid, idtyp) = identity_of(&who.principal).ok_or(TokenError::Signing)?;
        let aud = trim(audience);
        if aud.is_empty() {
            return Err(TokenError::Audience);
        }
        let exp = end(who, now, IDENTITY_LIFE)?;
        let user_name = who.user_name.clone().filter(|_| idtyp == IdentityType::User);
        let claims = IdentityClaims {
            iss: self.issuer(who.tenant),
            aud: aud.to_owned(),
            sub: oid.to_string(),
            oid,
            tid: who.tenant,
            appid: who.client_id.clone(),
            azp: who.client_id.clone(),
            idtyp,
            upn: user_name.clone(),
            preferred_username: user_name,
            name: who.display_name.clone(),
            jti: new_id(&*self.clock, &*self.random),
            iat: now.seconds(),
            nbf: now.seconds(),
            exp,
            ver: VERSION.to_owned(),
            shorepass: binding(who, now),
        };
        let token = self.ring.sign_payload(jws::TYPE_ACCESS, &payload(&claims)?)?;
        Ok(Issued { token, expires_in: u64::try_from(exp - now.seconds()).unwrap_or(0), claims })
    }

    /// An id token for the application `client_id`, with the `nonce` of its request as it was.
    ///
    /// # Errors
    /// As [`issue`](Self::issue).
    pub fn id_token(&self, who: &Subject, client_id: &str, nonce: Option<&str>) -> Result<String, TokenError> {
        let now = self.clock.now();
        let (oid, _) = identity_of(&who.principal).ok_or(TokenError::Signing)?;
        let claims = IdClaims {
            iss: &self.issuer(who.tenant),
            aud: client_id,
            sub: &oid.to_string(),
            oid,
            tid: who.tenant,
            preferred_username: who.user_name.as_deref(),
            name: who.display_name.as_deref(),
            nonce,
            iat: now.seconds(),
            nbf: now.seconds(),
            exp: end(who, now, IDENTITY_LIFE)?,
            ver: VERSION,
        };
        self.ring.sign_payload(jws::TYPE_JWT, &payload(&claims)?)
    }

    /// A refresh token for the client `who.client_id`.
    ///
    /// # Errors
    /// As [`issue`](Self::issue).
    pub fn refresh_token(&self, who: &Subject) -> Result<String, TokenError> {
        let now = self.clock.now();
        identity_of(&who.principal).ok_or(TokenError::Signing)?;
        let claims = RefreshClaims {
            tenant: who.tenant,
            client_id: who.client_id.clone(),
            jti: new_id(&*self.clock, &*self.random),
            exp: end(who, now, DIRECTORY_REFRESH_LIFE)?,
            binding: binding(who, now),
        };
        let claims = serde_json::to_vec(&claims).map_err(|_| TokenError::Signing)?;
        Ok(format!("{REFRESH_PREFIX}{}", URL_SAFE_NO_PAD.encode(self.key.seal(REFRESH_CONTEXT, &claims))))
    }

    /// The claims of an identity token, if it is ours, for one of `audiences` (a `/` at the end makes no difference), and
    /// valid now. Whether its principal, epoch and credential still are what they were is the caller's to check.
    ///
    /// # Errors
    /// Why not. After [`TokenError::UnknownKey`] a [`KeyRing::refresh`] may help, once.
    pub fn verify(&self, token: &str, audiences: &[&str]) -> Result<IdentityClaims, TokenError> {
        let payload = self.ring.verify_payload(jws::TYPE_ACCESS, token)?;
        let claims: IdentityClaims = serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)?;
        let latest_start = self.clock.now().seconds().saturating_add(LEEWAY_SECONDS);
        if claims.iss != self.issuer(claims.tid) || claims.ver != VERSION {
            Err(TokenError::Issuer)
        } else if identity_of(&claims.shorepass.principal) != Some((claims.oid, claims.idtyp)) {
            Err(TokenError::Malformed)
        } else if !audiences.iter().any(|audience| trim(audience) == claims.aud) {
            Err(TokenError::Audience)
        } else if claims.exp <= self.clock.now().seconds() {
            Err(TokenError::Expired)
        } else if claims.nbf > latest_start || claims.iat > latest_start {
            Err(TokenError::NotYet)
        } else {
            Ok(claims)
        }
    }

    /// What a refresh token holds, if it is ours, issued to this client, and not expired. Whether its principal, epoch and
    /// credential still are what they were is the caller's to check.
    ///
    /// # Errors
    /// Why not.
    pub fn verify_refresh(&self, token: &str, client_id: &str) -> Result<RefreshClaims, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let sealed = token.strip_prefix(REFRESH_PREFIX).ok_or(TokenError::Malformed)?;
        let claims = self.key.open(REFRESH_CONTEXT, &jws::decode(sealed)?).ok_or(TokenError::Signature)?;
        let claims: RefreshClaims = serde_json::from_slice(&claims).map_err(|_| TokenError::Malformed)?;
        if claims.client_id != client_id {
            Err(TokenError::Client)
        } else if claims.exp <= self.clock.now().seconds() {
            Err(TokenError::Expired)
        } else {
            Ok(claims)
        }
    }
}

/// The resource that a scope of the v2 endpoint asks a token for: what stands before `/.default`, without a `/` at its
/// end (the management's own ends in one, so its scope has two). `None` when no scope names a resource.
#[must_use]
pub fn resource_of_scope(scope: &str) -> Option<&str> {
    scope
        .split_ascii_whitespace()
        .find_map(|one| one.strip_suffix("/.default"))
        .map(trim)
        .filter(|name| !name.is_empty())
}

/// The id of a principal of the directory, and what kind of token it gets.
fn identity_of(principal: &Principal) -> Option<(Uuid, IdentityType)> {
    match principal {
        Principal::User { id } => Some((*id, IdentityType::User)),
        Principal::ServicePrincipal { id } | Principal::ManagedIdentity { id } => Some((*id, IdentityType::App)),
        Principal::Admin { .. }
        | Principal::Operator { .. }
        | Principal::RepositoryToken { .. }
        | Principal::Anonymous => None,
    }
}

fn binding(who: &Subject, now: Timestamp) -> IdentityBinding {
    IdentityBinding {
        principal: who.principal.clone(),
        credential: who.credential,
        kind: who.kind,
        epoch: who.epoch,
        issued_ms: now.millis(),
        not_after: who.not_after.map(Timestamp::seconds),
    }
}

/// `life` from now, or the end of what it is derived from.
fn end(who: &Subject, now: Timestamp, life: Duration) -> Result<i64, TokenError> {
    let end = now.plus(life).seconds();
    let end = who.not_after.map_or(end, |limit| end.min(limit.seconds()));
    if end > now.seconds() { Ok(end) } else { Err(TokenError::Expired) }
}

fn payload(claims: &impl Serialize) -> Result<String, TokenError> {
    Ok(escape(&serde_json::to_string(claims).map_err(|_| TokenError::Signing)?))
}

fn trim(audience: &str) -> &str {
    audience.trim_end_matches('/')
}
