//! Tokens of outside issuers: a CI's, a cluster's, another directory's (issue 3, section 1, "Federation").
//!
//! A token is verified against one issuer that a tenant trusts. The keys come from that issuer alone: by OpenID
//! discovery, when the first token needs them, or pinned. Everything here is the same for every kind of issuer; whom the
//! token stands for is the caller's to find, by issuer, [subject](subject_matches) and audience.

mod fetch;
mod keys;
mod subject;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use moka::sync::Cache;
use serde_json::{Map, Value};
use shorepass_core::directory::{Issuer, IssuerKeys};
use shorepass_core::{Clock, Timestamp};

use crate::jose::{self, OutsideToken, Unreadable, Untimely};

pub use fetch::{Fetch, FetchError, HttpFetch};
pub use keys::IssuerError;
pub use subject::{SubjectError, check_subject, subject_matches};

use keys::Source;

/// Issuers whose keys are remembered; the least used go first, and are asked again when they are needed.
const MAX_ISSUERS: u64 = 1_000;

/// Of an identity or access token (RFC 7519, 5.1; RFC 9068, 2.1).
const SIGN_IN_TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// Of a logout token (OpenID Connect Back-Channel Logout 1.0, 2.4).
const LOGOUT_TYPES: [&str; 2] = ["logout+jwt", "jwt"];

const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A subject longer than this names nobody: the longest real ones are GitHub's with every claim in them.
const MAX_SUBJECT_BYTES: usize = 2_048;

/// Why an outside token is refused. The text may go to the log and the audit trail, and to whoever sent the token: it
/// tells nothing that the token and the issuer's public documents do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FederationError {
    #[error("the token is too long")]
    TooLong,
    #[error("the token is not a signed JWT")]
    Malformed,
    #[error(
        "the token's algorithm is not accepted; issuers sign with RS256, PS256, ES256 or EdDSA or their longer forms"
    )]
    Algorithm,
    #[error("the token names a condition (`crit`) that is not understood")]
    Critical,
    /// A logout token or a proof of possession, for example, is no sign-in.
    #[error("the token is of another type")]
    Type,
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token has no usable subject")]
    Subject,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet; compare the clocks of the issuer and the server")]
    NotYet,
    #[error("the issuer does not publish the key the token is signed with")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
    /// 503: nobody did anything wrong.
    #[error("the issuer's keys cannot be fetched at this moment; try again later")]
    Unavailable,
}

impl FederationError {
    /// A short stable word for metrics and audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Critical => "critical",
            Self::Type => "type",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Subject => "subject",
            Self::Expired => "expired",
            Self::NotYet => "not_yet_valid",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Unavailable => "unavailable",
        }
    }
}

impl From<Unreadable> for FederationError {
    fn from(error: Unreadable) -> Self {
        match error {
            Unreadable::TooLong => Self::TooLong,
            Unreadable::Malformed => Self::Malformed,
            Unreadable::Algorithm => Self::Algorithm,
            Unreadable::Critical => Self::Critical,
        }
    }
}

impl From<Untimely> for FederationError {
    fn from(error: Untimely) -> Self {
        match error {
            Untimely::Malformed => Self::Malformed,
            Untimely::Expired => Self::Expired,
            Untimely::NotYet => Self::NotYet,
        }
    }
}

/// What a token says of itself. None of it is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    pub issuer: String,
    pub subject: String,
    pub audience: Vec<String>,
}

/// Reads whom a token claims to be from, to find out what to verify it with.
///
/// # Errors
/// It is not a token that could be accepted from anybody.
pub fn peek(token: &str) -> Result<Unverified, FederationError> {
    let token = OutsideToken::parse(token)?;
    let text = |name| token.claim(name).map(str::to_owned);
    Ok(Unverified {
        issuer: text("iss").ok_or(FederationError::Malformed)?,
        subject: text("sub").ok_or(FederationError::Subject)?,
        audience: token.audience().ok_or(FederationError::Audience)?,
    })
}

/// A token that its issuer did sign, for us, and that is valid now.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedToken {
    pub issuer: String,
    pub subject: String,
    pub audience: Vec<String>,
    pub expires_at: Timestamp,
    /// All claims, the above included.
    pub claims: Map<String, Value>,
}

impl VerifiedToken {
    /// The groups that `claim` holds: a text or a list of texts. Anything else is no group at all.
    #[must_use]
    pub fn groups(&self, claim: &str) -> Vec<String> {
        self.claims.get(claim).and_then(jose::texts).unwrap_or_default()
    }
}

/// Verifies outside tokens and remembers their issuers' keys. One for the whole server.
pub struct Federation {
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    /// By everything of an issuer's document that decides about its keys: what one tenant pins, another does not get.
    sources: Cache<[u8; 32], Arc<Source>>,
}

impl fmt::Debug for Federation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Federation").field("issuers", &self.sources.entry_count()).finish_non_exhaustive()
    }
}

impl Federation {
    #[must_use]
    pub fn new(fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) -> Self {
        Self { fetch, clock, sources: Cache::new(MAX_ISSUERS) }
    }

    /// The token's claims, if `issuer` signed it, for one of `audiences`, and it is valid now.
    ///
    /// What needs no key is checked first, so that junk makes nobody fetch anything.
    ///
    /// # Errors
    /// Why not; [`FederationError::Unavailable`] is the server's trouble, all others are the token's.
    pub async fn verify(
        &self,
        issuer: &Issuer,
        token: &str,
        audiences: &[&str],
    ) -> Result<VerifiedToken, FederationError> {
        let verified = self.verify_typed(issuer, token, audiences, &SIGN_IN_TYPES).await?;
        // A security event (RFC 8417), a provider's word of a sign-out for one, may have the type of any token.
        if verified.claims.contains_key("events") { Err(FederationError::Type) } else { Ok(verified) }
    }

    /// A provider's word that a person has signed out (OpenID Connect Back-Channel Logout 1.0, 2.6). It must name the
    /// person: a session alone (`sid`) names nobody here.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), and [`FederationError::Type`] for a token that says something else.
    pub async fn verify_logout(
        &self,
        issuer: &Issuer,
        token: &str,
        audiences: &[&str],
    ) -> Result<VerifiedToken, FederationError> {
        let verified = self.verify_typed(issuer, token, audiences, &LOGOUT_TYPES).await?;
        let event = verified.claims.get("events").and_then(|events| events.get(LOGOUT_EVENT));
        // With a nonce it could be an id token that somebody kept.
        if event.is_some_and(Value::is_object) && !verified.claims.contains_key("nonce") {
            Ok(verified)
        } else {
            Err(FederationError::Type)
        }
    }

    async fn verify_typed(
        &self,
        issuer: &Issuer,
        token: &str,
        audiences: &[&str],
        types: &[&str],
    ) -> Result<VerifiedToken, FederationError> {
        let token = OutsideToken::parse(token)?;
        check_type(&token, types)?;
        if token.claim("iss") != Some(&issuer.issuer) {
            return Err(FederationError::Issuer);
        }
        if !token.is_for_any(audiences) {
            return Err(FederationError::Audience);
        }
        let subject = token.claim("sub").filter(|sub| !sub.is_empty() && sub.len() <= MAX_SUBJECT_BYTES);
        let subject = subject.ok_or(FederationError::Subject)?.to_owned();
        let expires_at = token.check_times(self.clock.now())?;
        let keys = self.source(issuer).keys_for(&token, &self.fetch, &self.clock).await?;
        if !keys.iter().any(|key| key.verifies(&token)) {
            return Err(FederationError::Signature);
        }
        Ok(VerifiedToken {
            issuer: issuer.issuer.clone(),
            subject,
            audience: token.audience().unwrap_or_default(),
            expires_at,
            claims: token.claims,
        })
    }

    fn source(&self, issuer: &Issuer) -> Arc<Source> {
        self.sources.get_with(fingerprint(issuer), || Arc::new(Source::new(issuer)))
    }
}

/// Whether an issuer's document can work: that its addresses may be asked, and that what is pinned can be used. Nothing
/// is asked yet.
///
/// # Errors
/// What is wrong with it, for whoever wrote it.
pub fn check_issuer(issuer: &Issuer) -> Result<(), IssuerError> {
    keys::check(issuer)
}

/// Absent, or one of these.
fn check_type(token: &OutsideToken<'_>, types: &[&str]) -> Result<(), FederationError> {
    let Some(value) = token.header.get("typ") else { return Ok(()) };
    let name = value.as_str().unwrap_or_default().to_ascii_lowercase();
    let name = name.strip_prefix("application/").unwrap_or(&name);
    if types.contains(&name) { Ok(()) } else { Err(FederationError::Type) }
}

fn fingerprint(issuer: &Issuer) -> [u8; 32] {
    let (kind, keys) = match &issuer.keys {
        IssuerKeys::Discovery { url: None } => ("issuer", ""),
        IssuerKeys::Discovery { url: Some(url) } => ("url", url.as_str()),
        IssuerKeys::Pinned { jwks } => ("pinned", jwks.as_str()),
    };
    let mut state = digest::Context::new(&digest::SHA256);
    for part in [issuer.issuer.as_str(), kind, keys, issuer.ca.as_deref().unwrap_or_default()] {
        // The length in front keeps the parts from being cut elsewhere.
        state.update(&(part.len() as u64).to_be_bytes());
        state.update(part.as_bytes());
    }
    let mut out = [0; 32];
    out.copy_from_slice(state.finish().as_ref());
    out
}
