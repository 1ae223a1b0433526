//! The blob store: objects written once, streamed in and out, never moved (DESIGN.md, section 5).

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::StoreError;

mod fence;
mod local;
mod s3;

pub use local::LocalBlobStore;
pub(crate) use local::blocking;
pub use s3::{S3BlobStore, S3Config};

/// The most bytes a reader is handed at once.
const PIECE: u64 = 256 * 1024;

/// An object's key: `blobs/<first two hex digits>/<uuid>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BlobKey(String);

impl BlobKey {
    /// The random tail of the id spreads keys over 256 folders or prefixes.
    #[must_use]
    pub fn new(id: Uuid) -> Self {
        let hex = id.simple().to_string();
        Self(format!("blobs/{}/{id}", hex.get(30..).unwrap_or("00")))
    }

    /// A key as the metadata holds it. `None` for anything that `new` did not make: a row cannot lead out of the store.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.rsplit('/').next()?.parse().ok()?;
        let key = Self::new(id);
        (key.0 == text).then_some(key)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How far an object under way has come; serialised into the upload's row, so that any server can go on from it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WriteState {
    /// Bytes written and durable.
    pub length: u64,
    /// What the backend needs to go on: for S3 the multipart upload's id, its parts and where the unfinished part is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multipart: Option<Multipart>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Multipart {
    /// Empty until there is a first full part.
    pub upload_id: String,
    /// Part ids (ETags) in order.
    pub parts: Vec<String>,
    /// Bytes after the last full part, kept in an object of their own between requests.
    pub tail: u64,
    /// The tail's ETag: what another writer left under the same name is not taken for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail_tag: Option<String>,
    /// Length of the checkpoint before this one, if it had a tail: nobody needs that tail once this state is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_tail: Option<u64>,
}

pub type BlobStream = BoxStream<'static, Result<Bytes, StoreError>>;

/// Objects by key. An object is written once, from its begin to its end, and is then immutable.
///
/// Of two writers of one object the newer wins: what the older one does from then on is `Refused`. (Otherwise the bytes
/// under a digest that was already committed could be exchanged by a second request on the same upload.)
#[async_trait]
pub trait BlobStore: fmt::Debug + Send + Sync {
    /// A writer that goes on from `state` (`WriteState::default()` begins). Bytes beyond `state.length` that an
    /// interrupted writer left are discarded. `Refused` when the bytes before it are not all there; when the object is already finished, here
    /// or by `finish`.
    async fn writer(&self, key: &BlobKey, state: &WriteState) -> Result<Box<dyn BlobWriter>, StoreError>;

    /// The bytes of `range` (end exclusive, within the object's size), in pieces of at most 256 KiB. `Corrupt` when the
    /// object is missing or shorter: the caller has a row that says otherwise.
    async fn read(&self, key: &BlobKey, range: Range<u64>) -> Result<BlobStream, StoreError>;

    /// Bytes of a finished object; `None` when there is none.
    async fn size(&self, key: &BlobKey) -> Result<Option<u64>, StoreError>;

    /// Removes the object, finished or not, and what `state` tells of an unfinished one. That it is not there is no error.
    async fn delete(&self, key: &BlobKey, state: Option<&WriteState>) -> Result<(), StoreError>;

    /// One cheap round trip that shows that the store can be written.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Writes one object. Memory is bounded whatever the object's size.
#[async_trait]
pub trait BlobWriter: fmt::Debug + Send {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError>;

    /// Makes durable what was written, and answers the state from which a writer can go on, here or on another server.
    async fn checkpoint(self: Box<Self>) -> Result<WriteState, StoreError>;

    /// Ends the object: it is whole, durable and readable when this returns. Answers its size in bytes.
    async fn finish(self: Box<Self>) -> Result<u64, StoreError>;
}
