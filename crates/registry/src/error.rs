//! What a registry operation can answer besides success.

use shorepass_core::{Digest, DigestError};
use shorepass_store::StoreError;

/// Each variant is one answer of the OCI distribution specification ("Error Codes"), or a failure of the house.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("the repository is not known to this registry")]
    NameUnknown,
    #[error("the blob is not in this repository")]
    BlobUnknown,
    #[error("the upload is not known: it was completed, cancelled or has expired; begin a new one")]
    UploadUnknown,
    #[error("another request is writing to this upload: ask for its status and go on from there")]
    UploadBusy,
    #[error("the chunk does not begin where the upload stands")]
    RangeInvalid { offset: u64 },
    #[error("the body is not as long as its headers said")]
    SizeInvalid,
    #[error("the content does not match the digest `{expected}`: its digest is `{actual}`")]
    DigestMismatch { expected: Digest, actual: Digest },
    #[error(transparent)]
    Digest(#[from] DigestError),
    #[error("the manifest is not in this repository")]
    ManifestUnknown,
    #[error("{0}")]
    ManifestInvalid(String),
    #[error("a manifest may have at most 4 MiB")]
    ManifestTooLarge,
    #[error("the manifest references content that is not in this repository: push that first")]
    ManifestContentUnknown { blobs: Vec<Digest>, manifests: Vec<Digest> },
    #[error("the operation is disallowed: {what} is locked")]
    Locked { what: String },
    /// The request's body ended early; what came is kept.
    #[error("the connection was lost")]
    Interrupted,
    #[error("what is stored about the upload is not what this server wrote")]
    StateCorrupt,
    #[error(transparent)]
    Store(#[from] StoreError),
}
