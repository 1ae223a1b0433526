//! Why a management operation was not done.

use shorepass_access::{Denial, Unavailable};
use shorepass_identity::{IdentityError, TokenError};
use shorepass_store::StoreError;

/// Each variant tells the user what to do next; a store's own text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("{0}")]
    Invalid(String),
    /// Not there, or not for this caller to know of: the text is the same.
    #[error("{0}")]
    NotFound(String),
    /// The caller may know of it, but not do this to it.
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    Conflict(String),
    #[error("somebody else changed it at the same time: look at it and try again")]
    Changed,
    /// What the caller said it was is no longer so.
    #[error("it was changed since you looked at it: look again, and send the new etag with `If-Match`")]
    Precondition,
    /// The caller's own credential has ended.
    #[error("{0}: sign in again")]
    Ended(&'static str),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl From<Denial> for ControlError {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Anonymous | Denial::Scope | Denial::Forbidden => Self::Forbidden(denial.to_string()),
            Denial::Revoked(why) => Self::Ended(why),
            Denial::Outage(outage) => Self::Unavailable(outage),
            Denial::Store(error) => Self::Store(error),
        }
    }
}
