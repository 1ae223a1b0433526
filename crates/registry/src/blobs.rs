//! Blobs: stat, read, mount, unlink.

use std::ops::Range;

use shorepass_access::{Delete, Permit, Pull, Push};
use shorepass_core::Digest;
use shorepass_store::rows::{BlobRow, DeleteOutcome};
use shorepass_store::{BlobKey, BlobStream, StoreError};

use crate::uploads::check_writable;
use crate::{Registry, RegistryError, Result, check_readable, repository_id};

/// A blob of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    key: BlobKey,
}

impl Registry {
    /// # Errors
    /// [`RegistryError::BlobUnknown`] for a blob that this repository does not hold, whatever others do.
    pub async fn blob(&self, permit: &Permit<Pull>, digest: &Digest) -> Result<Blob> {
        let row = permit.row().ok_or(RegistryError::BlobUnknown)?;
        check_readable(&row.locks, "the repository")?;
        let blob = self.store.blob(row.id, digest).await?.ok_or(RegistryError::BlobUnknown)?;
        to_blob(blob)
    }

    /// The bytes of `range` (end exclusive, within the blob).
    ///
    /// # Errors
    /// The store.
    pub async fn read_blob(&self, blob: &Blob, range: Range<u64>) -> Result<BlobStream> {
        Ok(self.blobs.read(&blob.key, range).await?)
    }

    /// Links a blob that the caller may read in another repository. `None` when that one does not hold it.
    ///
    /// # Errors
    /// A lock, or the store.
    pub async fn mount_blob(&self, to: &Permit<Push>, from: &Permit<Pull>, digest: &Digest) -> Result<Option<BlobRow>> {
        check_writable(to)?;
        let Some(source) = from.row().filter(|row| row.locks.read_enabled) else {
            return Ok(None);
        };
        Ok(self.store.mount_blob(source.id, &self.target(to), digest).await?)
    }

    /// Whether the repository to push to holds the blob already: all that a mount without a source is told.
    ///
    /// # Errors
    /// A lock, or the store.
    pub async fn holds_blob(&self, to: &Permit<Push>, digest: &Digest) -> Result<bool> {
        check_writable(to)?;
        match to.row() {
            Some(row) => Ok(self.store.blob(row.id, digest).await?.is_some()),
            None => Ok(false),
        }
    }

    /// Removes the blob from the repository; others that hold it keep it.
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`], or [`RegistryError::Locked`] while a manifest here needs it.
    pub async fn delete_blob(&self, permit: &Permit<Delete>, digest: &Digest) -> Result<()> {
        let repository = repository_id(permit).map_err(|_| RegistryError::BlobUnknown)?;
        match self.store.unlink_blob(repository, digest, self.clock.now()).await? {
            DeleteOutcome::Deleted { .. } => Ok(()),
            DeleteOutcome::NotFound => Err(RegistryError::BlobUnknown),
            DeleteOutcome::Locked { what } => Err(RegistryError::Locked { what }),
        }
    }
}

fn to_blob(row: BlobRow) -> Result<Blob> {
    let corrupt = || StoreError::Corrupt(format!("blob row of {}", row.digest));
    let key = BlobKey::parse(&row.key).ok_or_else(corrupt)?;
    let size = u64::try_from(row.size).map_err(|_| corrupt())?;
    Ok(Blob { digest: row.digest, size, key })
}
