//! What is shown to a registry to sign in.

use secrecy::{ExposeSecret as _, SecretString};

/// The user name that goes with a refresh token as password (what-the-documents-say.md 1b, 26).
pub const NULL_GUID: &str = "00000000-0000-0000-0000-000000000000";

/// The user name by which docker marks an identity token (docker-credential-helpers, `credentials.go`).
pub const IDENTITY_TOKEN: &str = "<token>";

/// A user name and its secret: a password, or a refresh token under one of the two names above.
#[derive(Debug, Clone)]
pub struct Credential {
    pub username: String,
    pub secret: SecretString,
}

impl Credential {
    #[must_use]
    pub fn new(username: impl Into<String>, secret: impl Into<SecretString>) -> Self {
        Self { username: username.into(), secret: secret.into() }
    }

    /// A refresh token in the form that docker, podman, skopeo and helm all take.
    #[must_use]
    pub fn token(token: SecretString) -> Self {
        Self { username: NULL_GUID.to_owned(), secret: token }
    }

    #[must_use]
    pub fn is_token(&self) -> bool {
        self.username == NULL_GUID || self.username == IDENTITY_TOKEN
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }
}
