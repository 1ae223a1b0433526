//! A server's directory as an OpenID provider: getting tokens from it (contracts/azure-clients.md 3).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};
use shorepass_core::Random;
use url::{Url, form_urlencoded};

use crate::http::{ServerHttp, TalkError};
use crate::server_url::ServerUrl;

/// The client that people sign in with from a command line; it has no secret (contracts/azure-clients.md 3.2).
pub const COMMAND_LINE_CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// The tenant to ask when none is named: the person's own.
pub const ANY_TENANT: &str = "organizations";

pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Why a directory gave no token.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error(transparent)]
    Talk(#[from] TalkError),
    /// The directory's own answer (RFC 6749, section 5.2).
    #[error("{}", if description.is_empty() { code } else { description })]
    Refused { status: u16, code: String, description: String },
    #[error("`{server}` is no Shorepass server, or people sign in at another of its addresses (it answered {status})")]
    NoDirectory { server: ServerUrl, status: u16 },
    /// Credentials go to the address that the user named and to no other.
    #[error("`{server}` sends sign-ins on to another address, `{elsewhere}`")]
    Elsewhere { server: ServerUrl, elsewhere: String },
    #[error("the answer of `{0}` was not understood")]
    Answer(ServerUrl),
}

impl DirectoryError {
    /// The OAuth error code.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Talk(error) => error.hint(),
            Self::Elsewhere { elsewhere, .. } => {
                Some(format!("if that is right: `shorepass account login {elsewhere}`"))
            }
            Self::NoDirectory { .. } => Some("give the server's own address, not a registry's login server".to_owned()),
            Self::Refused { .. } | Self::Answer(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    #[serde(deserialize_with = "url")]
    authorization_endpoint: Url,
    #[serde(deserialize_with = "url")]
    token_endpoint: Url,
    #[serde(deserialize_with = "url")]
    device_authorization_endpoint: Url,
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    Url::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[derive(Deserialize)]
struct OAuthError {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// What a token endpoint answers.
#[derive(Debug, Deserialize)]
pub struct Tokens {
    pub access_token: SecretString,
    /// Seconds.
    pub expires_in: u64,
    pub refresh_token: Option<SecretString>,
}

/// A sign-in on another device (RFC 8628, section 3.2).
#[derive(Debug, Deserialize)]
pub struct DeviceCode {
    pub device_code: SecretString,
    pub user_code: String,
    pub verification_uri: String,
    /// What to tell the person.
    #[serde(default)]
    pub message: Option<String>,
    /// Seconds.
    pub expires_in: u64,
    /// Seconds between two questions.
    #[serde(default = "five")]
    pub interval: u64,
}

fn five() -> u64 {
    5
}

/// The directory of one tenant.
#[derive(Debug)]
pub struct DirectoryClient {
    http: ServerHttp,
    metadata: Metadata,
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.issuer)
    }
}

impl DirectoryClient {
    /// Reads what the directory says about itself (OpenID Connect Discovery 1.0). `tenant` is a name, a GUID, or
    /// [`ANY_TENANT`].
    ///
    /// # Errors
    /// The server is not reached, has no such tenant, or would have credentials sent elsewhere.
    pub async fn discover(server: &ServerUrl, tenant: &str, ca: Option<&Path>) -> Result<Self, DirectoryError> {
        let http = ServerHttp::new(server, ca)?;
        let path = [tenant, "v2.0", ".well-known", "openid-configuration"];
        let url = server.with_segments(&path).ok_or_else(|| DirectoryError::Answer(server.clone()))?;
        let (status, body) = http.send(http.get(url)).await?;
        if !status.is_success() {
            let nothing = DirectoryError::NoDirectory { server: server.clone(), status: status.as_u16() };
            return Err(refusal(status.as_u16(), &body).unwrap_or(nothing));
        }
        let metadata: Metadata = serde_json::from_slice(&body)
            .map_err(|_| DirectoryError::NoDirectory { server: server.clone(), status: status.as_u16() })?;
        let endpoints =
            [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.device_authorization_endpoint];
        if let Some(other) = endpoints.into_iter().find(|url| !server.is_origin_of(url)) {
            let elsewhere = other.origin().ascii_serialization();
            return Err(DirectoryError::Elsewhere { server: server.clone(), elsewhere });
        }
        Ok(Self { http, metadata })
    }

    /// What an assertion must have as its audience.
    #[must_use]
    pub fn token_endpoint(&self) -> &str {
        self.metadata.token_endpoint.as_str()
    }

    /// The issuer, where the tenant is known: what comes back from the sign-in page must name it (RFC 9207).
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        Some(self.metadata.issuer.as_str()).filter(|issuer| !issuer.contains('{'))
    }

    /// Asks the token endpoint.
    ///
    /// # Errors
    /// The credential is refused, or the server is not reached.
    pub async fn token(&self, form: &[(&str, &str)]) -> Result<Tokens, DirectoryError> {
        self.post(&self.metadata.token_endpoint, form).await
    }

    /// Begins a sign-in on another device.
    ///
    /// # Errors
    /// The server refuses, or is not reached.
    pub async fn device_code(&self, scope: &str) -> Result<DeviceCode, DirectoryError> {
        let form = [("client_id", COMMAND_LINE_CLIENT), ("scope", scope)];
        self.post(&self.metadata.device_authorization_endpoint, &form).await
    }

    /// The page on which a person signs in for a code that is sent to `redirect_uri` (RFC 6749, 4.1; RFC 7636).
    #[must_use]
    pub fn sign_in_page(&self, scope: &str, redirect_uri: &str, state: &str, challenge: &str) -> Url {
        let mut url = self.metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", COMMAND_LINE_CLIENT)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", scope)
            .append_pair("state", state)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256");
        url
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        url: &Url,
        form: &[(&str, &str)],
    ) -> Result<T, DirectoryError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.request(reqwest::Method::POST, url.clone());
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let (status, body) = self.http.send(request).await?;
        let not_understood = || DirectoryError::Answer(self.http.server.clone());
        if !status.is_success() {
            return Err(refusal(status.as_u16(), &body).unwrap_or_else(not_understood));
        }
        serde_json::from_slice(&body).map_err(|_| not_understood())
    }
}

fn refusal(status: u16, body: &[u8]) -> Option<DirectoryError> {
    let refused: OAuthError = serde_json::from_slice(body).ok()?;
    Some(DirectoryError::Refused { status, code: refused.error, description: for_people(&refused.error_description) })
}

/// Without what is for programs (`AADSTS50059: `) and for who reads the server's log (`Trace ID: …`).
fn for_people(description: &str) -> String {
    let first = description.lines().next().unwrap_or_default();
    let text = first.split(" Trace ID: ").next().unwrap_or_default();
    let text = match text.split_once(": ") {
        Some((code, rest)) if code.starts_with("AADSTS") => rest,
        _ => text,
    };
    text.trim().to_owned()
}

/// A text of 256 random bits, for `state` and `code_verifier`.
#[must_use]
pub fn random_text(random: &dyn Random) -> String {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The challenge of a verifier (RFC 7636, section 4.2, S256).
#[must_use]
pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// The scope that asks for a token for this audience.
#[must_use]
pub fn scope_of(audience: &str) -> String {
    format!("{audience}/.default")
}

/// The same for a person, with a refresh token.
#[must_use]
pub fn personal_scope_of(audience: &str) -> String {
    format!("{audience}/.default offline_access openid profile")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_the_one_of_rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn only_what_is_for_people_is_shown_of_a_refusal() {
        assert_eq!(
            for_people("AADSTS70020: The code: it has expired. Trace ID: 1 Timestamp: 2"),
            "The code: it has expired."
        );
        let body = br#"{"error":"invalid_client","error_description":"Wrong.\nTrace ID: 1","error_codes":[1]}"#;
        assert_eq!(refusal(401, body).unwrap().to_string(), "Wrong.");
        assert_eq!(refusal(400, br#"{"error":"slow_down"}"#).unwrap().to_string(), "slow_down");
        assert!(refusal(404, b"<html>").is_none());
    }
}
