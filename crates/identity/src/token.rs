//! What a registry token says (contracts/azure-clients.md 7.4; the Docker distribution token specification).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shorepass_core::{CredentialKind, Principal};
use uuid::Uuid;

/// The `iss` of every token: what a third-party registry is told to trust.
pub const ISSUER: &str = "Shorepass";

/// The `version` of every token.
pub const VERSION: &str = "1.0";

/// How long a refresh token lives (DESIGN.md, section 7).
pub const REFRESH_LIFE: Duration = Duration::from_secs(3 * 60 * 60);

/// How long an access token lives.
pub const ACCESS_LIFE: Duration = Duration::from_secs(75 * 60);

/// The two kinds of token a registry issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    RefreshToken,
    AccessToken,
}

/// One granted scope, as registries of the distribution family read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    pub actions: Vec<String>,
}

/// The claims of a token. Times are seconds since 1970 (RFC 7519, NumericDate).
///
/// Every claim that is not an `Option` must be there: a token without `exp` or `iat` is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// [`ISSUER`].
    pub iss: String,
    /// The login server of the registry it is for.
    pub aud: String,
    /// [`Principal::id`] of whom it speaks for.
    pub sub: String,
    pub jti: Uuid,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    /// [`VERSION`].
    pub version: String,
    pub grant_type: GrantType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Access token: the granted scopes. Refresh token: what its chain may not exceed; `None` when nothing bounds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Vec<Access>>,
    pub shorepass: Binding,
}

/// What a token is tied to beyond names, so that nothing deleted, renewed or disabled lives on in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The registry's identity; one that is made again under the same name has another.
    #[serde(rename = "r")]
    pub registry: Uuid,
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
    /// When the chain's rights were last checked, in milliseconds since 1970: `iat` is too coarse to tell whether a
    /// repository was deleted before or after.
    #[serde(rename = "i")]
    pub issued_ms: i64,
}

/// The claims as they are written: with the two members that clients of the original expect in a refresh token.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    claims: &'a Claims,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Permissions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<[&'static str; 0]>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Permissions {
    actions: [&'static str; 0],
    not_actions: Option<[&'static str; 0]>,
}

impl Claims {
    /// The payload: JSON in which every character outside ASCII, and `?`, `>`, `~` and DEL, is written as `\uXXXX`.
    /// Without those, base64url and plain base64 of the payload are the same text, and clients that decode a JWT with the
    /// wrong alphabet (the Azure SDK for Python) still read it.
    pub(crate) fn to_payload(&self) -> Result<String, serde_json::Error> {
        let refresh = self.grant_type == GrantType::RefreshToken;
        let json = serde_json::to_string(&Written {
            claims: self,
            permissions: refresh.then_some(Permissions { actions: [], not_actions: None }),
            roles: refresh.then_some([]),
        })?;
        Ok(escape(&json))
    }
}

/// These characters occur inside JSON strings only, so the document means the same.
pub(crate) fn escape(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() && !matches!(character, '?' | '>' | '~' | '\u{7f}') {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}
