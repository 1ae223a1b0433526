//! What can go wrong in a store.

/// A store's failure. The text is for the log, never for a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The backend cannot be reached or timed out: try again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// No room left, or the medium is read-only: an operator has to act, reads may go on.
    #[error("the store cannot be written: {0}")]
    NotWritable(String),
    /// What is stored cannot be read as what it should be.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
    /// The backend refused the operation for a reason that retrying will not change.
    #[error("the store refused: {0}")]
    Refused(String),
}
