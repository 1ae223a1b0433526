//! Why a management operation was not done.

use shorepass_identity::{IdentityError, TokenError};
use shorepass_store::StoreError;

/// Each variant tells the user what to do next; a store's own text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    #[error("somebody else changed it at the same time: look at it and try again")]
    Changed,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Token(#[from] TokenError),
}
