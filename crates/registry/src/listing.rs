//! Lists, attributes and locks.

use shorepass_access::{Catalog, Delete, MetadataRead, MetadataWrite, Permit, RegistrySubject};
use shorepass_core::{Digest, Tag};
use shorepass_store::rows::{DeleteOutcome, LocksPatch, ManifestSummary, RepositoryRow, RepositoryStats, TagRow};

use crate::{Registry, RegistryError, Result, repository_id};

/// Which part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Entries behind this one, in the order of bytes.
    pub last: Option<String>,
    /// At most this many.
    pub n: u32,
}

/// One page, and whether there is more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    pub entries: Vec<T>,
    pub more: bool,
}

impl<T> Listed<T> {
    /// From one entry more than was asked for.
    fn cut(mut entries: Vec<T>, page: &Page) -> Self {
        let n = page.n as usize;
        let more = entries.len() > n;
        entries.truncate(n);
        Self { entries, more }
    }
}

impl Registry {
    /// # Errors
    /// The store.
    pub async fn catalog(
        &self,
        permit: &Permit<Catalog, RegistrySubject>,
        page: &Page,
    ) -> Result<Listed<RepositoryRow>> {
        let id = permit.registry().registry.id;
        let rows = self.store.repositories(id, page.last.as_deref(), i64::from(page.n) + 1, true).await?;
        Ok(Listed::cut(rows, page))
    }

    /// # Errors
    /// [`RegistryError::NameUnknown`].
    pub async fn tags(&self, permit: &Permit<MetadataRead>, page: &Page) -> Result<Listed<TagRow>> {
        let id = repository_id(permit)?;
        let rows = self.store.tags(id, page.last.as_deref(), i64::from(page.n) + 1, true).await?;
        Ok(Listed::cut(rows, page))
    }

    /// # Errors
    /// [`RegistryError::NameUnknown`].
    pub async fn manifests(&self, permit: &Permit<MetadataRead>, page: &Page) -> Result<Listed<ManifestSummary>> {
        let id = repository_id(permit)?;
        let rows = self.store.manifests(id, page.last.as_deref(), i64::from(page.n) + 1).await?;
        Ok(Listed::cut(rows, page))
    }

    /// # Errors
    /// [`RegistryError::NameUnknown`].
    pub async fn repository(&self, permit: &Permit<MetadataRead>) -> Result<(RepositoryRow, RepositoryStats)> {
        let row = permit.row().ok_or(RegistryError::NameUnknown)?;
        Ok((row.clone(), self.store.repository_stats(row.id).await?))
    }

    /// # Errors
    /// [`RegistryError::ManifestUnknown`].
    pub async fn tag(&self, permit: &Permit<MetadataRead>, tag: &Tag) -> Result<TagRow> {
        self.store.tag(repository_id(permit)?, tag).await?.ok_or(RegistryError::ManifestUnknown)
    }

    /// # Errors
    /// [`RegistryError::ManifestUnknown`].
    pub async fn manifest_summary(&self, permit: &Permit<MetadataRead>, digest: &Digest) -> Result<ManifestSummary> {
        let summary = self.store.manifest_summary(repository_id(permit)?, digest).await?;
        summary.ok_or(RegistryError::ManifestUnknown)
    }

    /// # Errors
    /// [`RegistryError::NameUnknown`].
    pub async fn lock_repository(&self, permit: &Permit<MetadataWrite>, patch: &LocksPatch) -> Result<RepositoryRow> {
        let row = self.store.lock_repository(repository_id(permit)?, patch, self.clock.now()).await?;
        row.ok_or(RegistryError::NameUnknown)
    }

    /// # Errors
    /// [`RegistryError::ManifestUnknown`].
    pub async fn lock_tag(&self, permit: &Permit<MetadataWrite>, tag: &Tag, patch: &LocksPatch) -> Result<TagRow> {
        let row = self.store.lock_tag(repository_id(permit)?, tag, patch, self.clock.now()).await?;
        row.ok_or(RegistryError::ManifestUnknown)
    }

    /// # Errors
    /// [`RegistryError::ManifestUnknown`].
    pub async fn lock_manifest(
        &self,
        permit: &Permit<MetadataWrite>,
        digest: &Digest,
        patch: &LocksPatch,
    ) -> Result<ManifestSummary> {
        let row = self.store.lock_manifest(repository_id(permit)?, digest, patch, self.clock.now()).await?;
        row.ok_or(RegistryError::ManifestUnknown)
    }

    /// Deletes the repository with all it holds. Its name is free at once; what bore it before is not revived.
    ///
    /// # Errors
    /// [`RegistryError::NameUnknown`], [`RegistryError::Locked`].
    pub async fn delete_repository(&self, permit: &Permit<Delete>) -> Result<()> {
        match self.store.delete_repository(repository_id(permit)?, self.clock.now()).await? {
            DeleteOutcome::Deleted { .. } => Ok(()),
            DeleteOutcome::NotFound => Err(RegistryError::NameUnknown),
            DeleteOutcome::Locked { what } => Err(RegistryError::Locked { what }),
        }
    }
}
