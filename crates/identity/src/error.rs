//! What can go wrong with keys and tokens.

use std::path::PathBuf;

use shorepass_store::StoreError;

/// A failure to load, make or keep a key. The text is for the operator and the log, never for a client.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("`{0}` is not a signing algorithm; use `EdDSA`, `ES256` or `RS256`")]
    UnknownAlgorithm(String),
    /// What is stored under this name is not a key of ours.
    #[error("the stored key `{0}` is unreadable")]
    UnreadableKey(String),
    #[error("no signing key is in the store although one was just written; start the server again")]
    NoKey,
    #[error("a key or certificate could not be made: {0}")]
    Making(String),
    #[error("`{0}` is neither a host name nor an IP address, so no certificate can hold it")]
    HostName(String),
    #[error("cannot read or write `{}`: {source}", .path.display())]
    File { path: PathBuf, source: std::io::Error },
}

/// Why a token is refused. The text may go to the log and the audit trail; a client learns no more than that it is
/// refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is longer than 16 KiB")]
    TooLong,
    /// Not three parts of strict base64url around JSON, or a header that is not exactly the one we write.
    #[error("this is not a token of ours")]
    Malformed,
    #[error("the token's key is not, or no longer, one of ours")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token was not issued by this system")]
    Issuer,
    #[error("the token is for another registry or service")]
    Audience,
    #[error("the token is of another kind")]
    Grant,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet; compare the clocks of the servers")]
    NotYet,
    /// A refresh token of the directory in another client's hands.
    #[error("the token was issued to another client")]
    Client,
    /// Only when signing.
    #[error("the token could not be signed")]
    Signing,
}

impl TokenError {
    /// A short stable word for metrics and audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Grant => "grant_type",
            Self::Expired => "expired",
            Self::NotYet => "not_yet_valid",
            Self::Client => "client",
            Self::Signing => "signing",
        }
    }
}
