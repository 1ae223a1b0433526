//! Uploads: begun, continued, completed or cancelled; resumable after a lost connection and after a restart.
//!
//! Bytes stream into their final object while they are hashed; nothing is copied or moved afterwards. What is recorded
//! about an upload (offset, hash, writer) is recorded only once its bytes are durable, and is sealed.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use shorepass_access::{Permit, Push};
use shorepass_core::{Algorithm, Digest, new_id};
use shorepass_store::rows::{BlobRow, UploadRow};
use shorepass_store::{BlobKey, BlobWriter, StoreError, WriteState};
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use crate::hash::{HashState, RunningHash};
use crate::{Registry, RegistryError, Result};

/// How long a request waits for another that is still writing to the same upload (a client that lost its connection and
/// comes back at once) before it is told so.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Where an upload stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadStatus {
    pub id: Uuid,
    /// Bytes received.
    pub offset: u64,
}

/// A chunk's place, from `Content-Range: <first>-<last>` (both inclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    pub first: u64,
    pub last: u64,
}

/// What the upload's row holds sealed.
#[derive(Debug, Serialize, Deserialize)]
struct SavedState {
    hash: HashState,
    writer: WriteState,
}

/// An upload opened for writing.
struct Open {
    row: UploadRow,
    hash: RunningHash,
    writer: Box<dyn BlobWriter>,
    offset: u64,
    _alone: OwnedMutexGuard<()>,
}

impl Registry {
    /// Begins an upload. `algorithm` is what the client will ask for at the end, if it knows; another only costs a second
    /// reading.
    ///
    /// # Errors
    /// A lock of the repository, or the store.
    pub async fn begin_upload(&self, permit: &Permit<Push>, algorithm: Algorithm) -> Result<UploadStatus> {
        check_writable(permit)?;
        let now = self.clock.now();
        let id = new_id(&*self.clock, &*self.random);
        let saved = SavedState { hash: RunningHash::new(algorithm).save(), writer: WriteState::default() };
        let key = BlobKey::new(new_id(&*self.clock, &*self.random)).as_str().to_owned();
        let row = UploadRow {
            id,
            registry_id: permit.registry_id(),
            repository: permit.repository().clone(),
            principal: permit.principal().id(),
            offset: 0,
            state: self.seal(&key, &saved)?,
            key,
            version: 0,
            created_at: now,
            updated_at: now,
        };
        self.store.create_upload(&row).await?;
        Ok(UploadStatus { id, offset: 0 })
    }

    /// # Errors
    /// [`RegistryError::UploadUnknown`] for an upload of another repository or principal too.
    pub async fn upload_status(&self, permit: &Permit<Push>, id: Uuid) -> Result<UploadStatus> {
        let row = self.own_upload(permit, id).await?;
        Ok(UploadStatus { id, offset: to_u64(row.offset)? })
    }

    /// Appends a chunk.
    ///
    /// # Errors
    /// [`RegistryError::RangeInvalid`] when the chunk does not begin where the upload stands; after
    /// [`RegistryError::Interrupted`] what came is kept.
    pub async fn append<S>(
        &self,
        permit: &Permit<Push>,
        id: Uuid,
        range: Option<ContentRange>,
        body: S,
    ) -> Result<UploadStatus>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin,
    {
        check_writable(permit)?;
        let mut open = self.open(permit, id, range).await?;
        match receive(&mut open, range, body).await {
            Ok(()) => Ok(UploadStatus { id, offset: self.put_down(open).await? }),
            Err(RegistryError::Interrupted) => {
                self.put_down(open).await?;
                Err(RegistryError::Interrupted)
            }
            Err(error) => Err(error),
        }
    }

    /// Appends what the body holds and ends the upload: the content is checked against the digest, durable, and linked to
    /// the repository.
    ///
    /// # Errors
    /// [`RegistryError::DigestMismatch`] ends the upload too: nothing that could be sent would still make it right.
    pub async fn complete<S>(
        &self,
        permit: &Permit<Push>,
        id: Uuid,
        digest: &Digest,
        range: Option<ContentRange>,
        body: S,
    ) -> Result<BlobRow>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin,
    {
        check_writable(permit)?;
        let mut open = self.open(permit, id, range).await?;
        match receive(&mut open, range, body).await {
            Ok(()) => {}
            Err(RegistryError::Interrupted) => {
                self.put_down(open).await?;
                return Err(RegistryError::Interrupted);
            }
            Err(error) => return Err(error),
        }
        let Open { row, hash, writer, offset, _alone } = open;
        let mut actual = (hash.algorithm() == digest.algorithm()).then(|| hash.finish());
        if actual.as_ref().is_none_or(|actual| actual == digest) {
            writer.finish().await?;
            if actual.is_none() {
                actual = Some(self.rehash(&row.key, digest.algorithm(), offset).await?);
            }
        }
        let actual = actual.ok_or(RegistryError::StateCorrupt)?;
        if actual != *digest {
            self.store.delete_upload(id, self.clock.now()).await?;
            return Err(RegistryError::DigestMismatch { expected: digest.clone(), actual });
        }
        let size = i64::try_from(offset).map_err(|_| RegistryError::SizeInvalid)?;
        let blob = BlobRow { digest: actual, key: row.key, size };
        let committed = self.store.commit_blob(&self.target(permit), &blob, Some(id)).await?;
        committed.map(|(_, blob)| blob).ok_or(RegistryError::UploadUnknown)
    }

    /// # Errors
    /// [`RegistryError::UploadUnknown`].
    pub async fn cancel_upload(&self, permit: &Permit<Push>, id: Uuid) -> Result<()> {
        self.own_upload(permit, id).await?;
        let _alone = self.alone(id).await?;
        if self.store.delete_upload(id, self.clock.now()).await? { Ok(()) } else { Err(RegistryError::UploadUnknown) }
    }

    /// An upload belongs to one repository of one registry and to who began it: its id opens nothing elsewhere
    /// (CVE-2026-32589), nor in a repository that was made again under the name.
    async fn own_upload(&self, permit: &Permit<Push>, id: Uuid) -> Result<UploadRow> {
        let row = self.store.upload(id).await?.ok_or(RegistryError::UploadUnknown)?;
        let own = row.registry_id == permit.registry_id()
            && row.repository == *permit.repository()
            && row.principal == permit.principal().id()
            && permit.deleted_at().is_none_or(|deleted| row.created_at > deleted);
        if own { Ok(row) } else { Err(RegistryError::UploadUnknown) }
    }

    async fn open(&self, permit: &Permit<Push>, id: Uuid, range: Option<ContentRange>) -> Result<Open> {
        let alone = self.alone(id).await?;
        let row = self.own_upload(permit, id).await?;
        let offset = to_u64(row.offset)?;
        if range.is_some_and(|range| range.first != offset) {
            return Err(RegistryError::RangeInvalid { offset });
        }
        let saved = self.unseal(&row.key, &row.state)?;
        let hash = RunningHash::restore(&saved.hash).ok_or(RegistryError::StateCorrupt)?;
        let key = BlobKey::parse(&row.key).ok_or(RegistryError::StateCorrupt)?;
        let writer = self.blobs.writer(&key, &saved.writer).await.map_err(|error| match error {
            // Its bytes were finished, or taken over by a newer request, without the metadata coming to know of it (a crash
            // in between): nothing can be added any more, and the client begins anew.
            StoreError::Refused(why) => {
                tracing::warn!(upload = %id, why, "an upload cannot be continued");
                RegistryError::UploadUnknown
            }
            other => other.into(),
        })?;
        Ok(Open { row, hash, writer, offset, _alone: alone })
    }

    /// Makes durable what was received, then records it.
    async fn put_down(&self, open: Open) -> Result<u64> {
        let Open { mut row, hash, writer, offset, _alone } = open;
        let saved = SavedState { hash: hash.save(), writer: writer.checkpoint().await? };
        row.state = self.seal(&row.key, &saved)?;
        row.offset = i64::try_from(offset).map_err(|_| RegistryError::SizeInvalid)?;
        row.updated_at = self.clock.now();
        if self.store.save_upload(&row).await? { Ok(offset) } else { Err(RegistryError::UploadBusy) }
    }

    async fn rehash(&self, key: &str, algorithm: Algorithm, size: u64) -> Result<Digest> {
        let key = BlobKey::parse(key).ok_or(RegistryError::StateCorrupt)?;
        let mut hash = RunningHash::new(algorithm);
        let mut content = self.blobs.read(&key, 0..size).await?;
        while let Some(bytes) = content.try_next().await? {
            hash.update(&bytes);
        }
        Ok(hash.finish())
    }

    fn seal(&self, key: &str, saved: &SavedState) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(saved).map_err(|_| RegistryError::StateCorrupt)?;
        Ok(self.key.seal(&seal_context(key), &json))
    }

    fn unseal(&self, key: &str, state: &[u8]) -> Result<SavedState> {
        let json = self.key.open(&seal_context(key), state).ok_or(RegistryError::StateCorrupt)?;
        serde_json::from_slice(&json).map_err(|_| RegistryError::StateCorrupt)
    }

    /// What the backend has to be told to abort an unfinished object; `None` when the state is not ours.
    pub(crate) fn unfinished(&self, key: &str, state: &[u8]) -> Option<WriteState> {
        self.unseal(key, state).ok().map(|saved| saved.writer)
    }

    async fn alone(&self, id: Uuid) -> Result<OwnedMutexGuard<()>> {
        let lock = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            busy.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(busy.entry(id).or_default())
        };
        tokio::time::timeout(BUSY_WAIT, lock.lock_owned()).await.map_err(|_| RegistryError::UploadBusy)
    }
}

async fn receive<S>(open: &mut Open, range: Option<ContentRange>, mut body: S) -> Result<()>
where
    S: Stream<Item = io::Result<Bytes>> + Send + Unpin,
{
    let end = match range {
        Some(range) => Some(range.last.checked_add(1).ok_or(RegistryError::SizeInvalid)?),
        None => None,
    };
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|_| RegistryError::Interrupted)?;
        let offset = open.offset.saturating_add(bytes.len() as u64);
        if end.is_some_and(|end| offset > end) {
            return Err(RegistryError::SizeInvalid);
        }
        open.hash.update(&bytes);
        open.writer.write(bytes).await?;
        open.offset = offset;
    }
    if end.is_some_and(|end| open.offset != end) { Err(RegistryError::SizeInvalid) } else { Ok(()) }
}

pub(crate) fn check_writable(permit: &Permit<Push>) -> Result<()> {
    match permit.row() {
        Some(row) if !row.locks.write_enabled => Err(RegistryError::Locked { what: "the repository".to_owned() }),
        _ => Ok(()),
    }
}

/// Bound to the object, so that one upload's state cannot be passed off as another's.
fn seal_context(key: &str) -> String {
    format!("upload:{key}")
}

fn to_u64(offset: i64) -> Result<u64> {
    u64::try_from(offset).map_err(|_| RegistryError::StateCorrupt)
}
