//! Errors as OAuth writes them (RFC 6749, 5.2), with the numbers Azure's clients read (contracts/azure-clients.md 3.4).

use http::StatusCode;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::json;
use shorepass_access::Unavailable;
use shorepass_core::Timestamp;
use shorepass_identity::{AssertionError, FederationError, PasswordError, TokenError};
use shorepass_store::StoreError;
use uuid::Uuid;

use crate::respond::{self, Answer};

/// Seconds after which a request refused for an outage is worth repeating.
const RETRY_AFTER_OUTAGE: u64 = 5;

/// Why no token was issued. The text is for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    pub status: StatusCode,
    /// OAuth's word.
    pub error: &'static str,
    /// The number behind `AADSTS`.
    pub code: u32,
    pub message: String,
    pub retry_after: Option<u64>,
}

impl OAuthError {
    pub fn new(status: StatusCode, error: &'static str, code: u32, message: impl Into<String>) -> Self {
        Self { status, error, code, message: message.into(), retry_after: None }
    }

    fn bad_request(error: &'static str, code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, code, message)
    }

    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::bad_request("invalid_request", 900_144, message)
    }

    pub fn missing(name: &str) -> Self {
        Self::invalid_request(format!("The request must contain the parameter `{name}`."))
    }

    pub fn unknown_tenant() -> Self {
        Self::bad_request(
            "invalid_tenant",
            90_002,
            "There is no such tenant here. Use its GUID or its name, as `shorepass tenant list` shows them.",
        )
    }

    /// Of `organizations` and `common`, where the tenant has to be known.
    pub fn tenant_needed() -> Self {
        Self::bad_request(
            "invalid_request",
            50_059,
            "An application signs in to one tenant: name it in the address instead of `organizations` or `common`.",
        )
    }

    pub fn unsupported_grant(grant: &str) -> Self {
        let message = if grant == "password" {
            "User name and password are not taken here: sign in with a browser (authorization code) or a device code."
        } else {
            "This `grant_type` is not supported; the discovery document lists those that are."
        };
        Self::bad_request("unsupported_grant_type", 70_003, message)
    }

    /// One for whoever is unknown and for whoever has a wrong secret. 401 and not 400: az repeats a 400 from its own
    /// cache for a minute.
    pub fn wrong_secret() -> Self {
        Self::invalid_client(
            7_000_215,
            "Invalid client secret provided, or no such application in this tenant. Send the secret's value, not its id.",
        )
    }

    pub fn invalid_client(code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", code, message)
    }

    pub fn disabled_client() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized_client",
            7_000_112,
            "The application is disabled. An administrator of the tenant can enable it.",
        )
    }

    /// A client that people sign in with and that is not registered.
    pub fn unknown_client() -> Self {
        Self::bad_request("unauthorized_client", 700_016, "No application of this id signs people in here.")
    }

    pub fn no_resource() -> Self {
        Self::bad_request(
            "invalid_scope",
            70_011,
            "`scope` must name one resource, as `<resource>/.default`: this server's own address, a registry's login \
             server, or https://containerregistry.azure.net.",
        )
    }

    pub fn several_resources() -> Self {
        Self::bad_request(
            "invalid_scope",
            28_000,
            "`scope` names more than one resource; ask for one token after the other.",
        )
    }

    pub fn unknown_resource() -> Self {
        Self::bad_request(
            "invalid_resource",
            500_011,
            "There is no such resource here: name this server's own address, a registry's login server, or \
             https://containerregistry.azure.net.",
        )
    }

    pub fn invalid_grant(code: u32, message: impl Into<String>) -> Self {
        Self::bad_request("invalid_grant", code, message)
    }

    /// Something was good when it was issued, and is not any more.
    pub fn revoked() -> Self {
        Self::invalid_grant(50_173, "What was signed in with has been revoked or disabled since. Sign in again.")
    }

    pub fn widening() -> Self {
        Self::bad_request(
            "invalid_target",
            9_002_313,
            "A token can be exchanged for one with less reach only. Sign in again for this resource.",
        )
    }

    pub fn too_many(seconds: u64) -> Self {
        let mut error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "temporarily_unavailable",
            90_055,
            format!("Too many failed sign-ins: try again in {seconds} seconds."),
        );
        error.retry_after = Some(seconds);
        error
    }

    pub fn unavailable(message: &str) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", 90_033, message);
        error.retry_after = Some(RETRY_AFTER_OUTAGE);
        error
    }

    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            50_000,
            "No token could be issued: see the server's log.",
        )
    }

    /// `trace` is the request's id, `correlation` the client's own name for what it does.
    pub fn into_answer(self, trace: &str, correlation: Option<Uuid>, now: Timestamp) -> Answer {
        let correlation = correlation.map_or_else(|| trace.to_owned(), |id| id.to_string());
        let timestamp = Timestamp::from_millis(now.seconds().saturating_mul(1000)).to_string().replace('T', " ");
        let description = format!(
            "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}",
            self.code, self.message
        );
        let body = json!({
            "error": self.error,
            "error_description": description,
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
        });
        let mut answer = respond::no_store(respond::json(self.status, &body));
        if self.status == StatusCode::UNAUTHORIZED {
            respond::set(&mut answer, WWW_AUTHENTICATE, "Basic realm=\"directory\"");
        }
        if let Some(seconds) = self.retry_after {
            respond::set(&mut answer, RETRY_AFTER, &seconds.to_string());
        }
        answer
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::NotWritable(_) => {
                tracing::warn!(%error, "the store failed");
                Self::unavailable("The server's storage does not answer: try again.")
            }
            StoreError::Corrupt(_) | StoreError::Refused(_) => {
                tracing::error!(%error, "the store failed");
                Self::internal()
            }
        }
    }
}

impl From<Unavailable> for OAuthError {
    fn from(_: Unavailable) -> Self {
        Self::unavailable("The server's storage does not answer: try again.")
    }
}

/// Of signing; what was shown is judged where it is read.
impl From<TokenError> for OAuthError {
    fn from(error: TokenError) -> Self {
        if error == TokenError::Expired {
            return Self::revoked();
        }
        tracing::error!(%error, "a token could not be issued");
        Self::internal()
    }
}

impl From<FederationError> for OAuthError {
    fn from(error: FederationError) -> Self {
        match error {
            FederationError::Unavailable => Self::unavailable("The token's issuer cannot be reached to read its keys."),
            FederationError::Expired | FederationError::NotYet => Self::invalid_client(700_024, sentence(&error)),
            _ => Self::invalid_client(700_027, sentence(&error)),
        }
    }
}

impl From<AssertionError> for OAuthError {
    fn from(error: AssertionError) -> Self {
        match error {
            AssertionError::Busy => Self::unavailable(&sentence(&error)),
            AssertionError::Expired | AssertionError::NotYet => Self::invalid_client(700_024, sentence(&error)),
            _ => Self::invalid_client(700_027, sentence(&error)),
        }
    }
}

impl From<PasswordError> for OAuthError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => {
                let mut busy = Self::unavailable(&sentence(&error));
                busy.retry_after = Some(1);
                busy
            }
            PasswordError::TooShort | PasswordError::TooLong => Self::invalid_request(sentence(&error)),
            PasswordError::Hashing => Self::internal(),
        }
    }
}

/// An error's text with a capital and a full stop, as the others here have.
pub fn sentence(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn an_error_has_everything_clients_read() {
        let answer = OAuthError::wrong_secret().into_answer("trace", None, Timestamp::from_millis(1_795_311_000_123));
        assert_eq!(answer.status(), 401);
        assert!(answer.headers().contains_key(WWW_AUTHENTICATE));
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let body: Value = serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
        assert_eq!(body["error"], "invalid_client");
        assert_eq!(body["error_codes"], json!([7_000_215]));
        assert_eq!(body["timestamp"], "2026-11-22 01:30:00Z");
        assert_eq!(body["trace_id"], "trace");
        assert_eq!(body["correlation_id"], "trace");
        assert!(body["error_description"].as_str().unwrap().starts_with("AADSTS7000215: Invalid client secret"));
    }

    #[test]
    fn what_passes_by_itself_says_when_to_come_back() {
        for error in [OAuthError::too_many(7), OAuthError::from(Unavailable), PasswordError::Busy.into()] {
            let answer = error.into_answer("t", None, Timestamp::from_millis(0));
            assert!(answer.headers().contains_key(RETRY_AFTER), "{}", answer.status());
        }
    }
}
