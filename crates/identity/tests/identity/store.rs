//! The three methods of the metadata store that this crate needs, in memory.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use shorepass_core::{Digest, Reference, RegistryName, RepositoryName, Tag, Timestamp};
use shorepass_store::meta::DeadObject;
use shorepass_store::rows::*;
use shorepass_store::{MetaStore, StoreError};
use uuid::Uuid;

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Debug, Default)]
pub struct MemoryStore {
    pub keys: Mutex<Vec<SigningKeyRow>>,
    secrets: Mutex<HashMap<String, Vec<u8>>>,
    pub down: AtomicBool,
}

impl MemoryStore {
    fn reach(&self) -> Result<()> {
        if self.down.load(Ordering::SeqCst) { Err(StoreError::Unavailable("down".to_owned())) } else { Ok(()) }
    }
}

fn unused() -> ! {
    panic!("the identity crate does not use this")
}

#[async_trait]
impl MetaStore for MemoryStore {
    async fn server_secret(&self, name: &str, candidate: &[u8]) -> Result<Vec<u8>> {
        self.reach()?;
        Ok(self.secrets.lock().unwrap().entry(name.to_owned()).or_insert_with(|| candidate.to_vec()).clone())
    }

    async fn signing_keys(&self, now: Timestamp) -> Result<Vec<SigningKeyRow>> {
        self.reach()?;
        let mut keys = self.keys.lock().unwrap().clone();
        keys.retain(|key| key.retired_at.is_none_or(|at| at > now));
        keys.sort_by_key(|key| key.created_at);
        Ok(keys)
    }

    async fn add_signing_key(
        &self,
        key: &SigningKeyRow,
        retire_others_at: Timestamp,
        only_if_none: bool,
    ) -> Result<bool> {
        self.reach()?;
        let mut keys = self.keys.lock().unwrap();
        if only_if_none && keys.iter().any(|other| other.retired_at.is_none_or(|at| at > key.created_at)) {
            return Ok(false);
        }
        for other in keys.iter_mut() {
            other.retired_at.get_or_insert(retire_others_at);
        }
        keys.push(key.clone());
        Ok(true)
    }

    async fn migrate(&self) -> Result<()> {
        unused()
    }
    async fn ping(&self) -> Result<()> {
        unused()
    }
    async fn bootstrap(
        &self,
        _: &TenantRow,
        _: &SubscriptionRow,
        _: &ResourceGroupRow,
        _: &RegistryRow,
    ) -> Result<bool> {
        unused()
    }
    async fn default_resource_group(&self) -> Result<Option<ResourceGroupRow>> {
        unused()
    }
    async fn create_registry(&self, _: &RegistryRow) -> Result<bool> {
        unused()
    }
    async fn registries(&self) -> Result<Vec<RegistryRecord>> {
        unused()
    }
    async fn registry(&self, _: &RegistryName) -> Result<Option<RegistryRecord>> {
        unused()
    }
    async fn update_registry(&self, _: &RegistryRow) -> Result<bool> {
        unused()
    }
    async fn delete_registry(&self, _: Uuid, _: Timestamp) -> Result<bool> {
        unused()
    }
    async fn put_admin_password(&self, _: &AdminPasswordRow) -> Result<()> {
        unused()
    }
    async fn policy_generation(&self) -> Result<i64> {
        unused()
    }
    async fn repository(&self, _: Uuid, _: &RepositoryName) -> Result<RepositoryLookup> {
        unused()
    }
    async fn repositories(&self, _: Uuid, _: Option<&str>, _: i64, _: bool) -> Result<Vec<RepositoryRow>> {
        unused()
    }
    async fn repository_stats(&self, _: Uuid) -> Result<RepositoryStats> {
        unused()
    }
    async fn lock_repository(&self, _: Uuid, _: &LocksPatch, _: Timestamp) -> Result<Option<RepositoryRow>> {
        unused()
    }
    async fn delete_repository(&self, _: Uuid, _: Timestamp) -> Result<DeleteOutcome> {
        unused()
    }
    async fn blob(&self, _: Uuid, _: &Digest) -> Result<Option<BlobRow>> {
        unused()
    }
    async fn commit_blob(&self, _: &Target, _: &BlobRow, _: Option<Uuid>) -> Result<Option<(RepositoryRow, BlobRow)>> {
        unused()
    }
    async fn mount_blob(&self, _: Uuid, _: &Target, _: &Digest) -> Result<Option<BlobRow>> {
        unused()
    }
    async fn unlink_blob(&self, _: Uuid, _: &Digest, _: Timestamp) -> Result<DeleteOutcome> {
        unused()
    }
    async fn create_upload(&self, _: &UploadRow) -> Result<()> {
        unused()
    }
    async fn upload(&self, _: Uuid) -> Result<Option<UploadRow>> {
        unused()
    }
    async fn save_upload(&self, _: &UploadRow) -> Result<bool> {
        unused()
    }
    async fn delete_upload(&self, _: Uuid, _: Timestamp) -> Result<bool> {
        unused()
    }
    async fn stale_uploads(&self, _: Timestamp, _: i64) -> Result<Vec<UploadRow>> {
        unused()
    }
    async fn put_manifest(&self, _: &PutManifest) -> Result<PutOutcome> {
        unused()
    }
    async fn manifest(&self, _: Uuid, _: &Reference) -> Result<Option<ManifestRow>> {
        unused()
    }
    async fn manifest_summary(&self, _: Uuid, _: &Digest) -> Result<Option<ManifestSummary>> {
        unused()
    }
    async fn manifests(&self, _: Uuid, _: Option<&str>, _: i64) -> Result<Vec<ManifestSummary>> {
        unused()
    }
    async fn lock_manifest(
        &self,
        _: Uuid,
        _: &Digest,
        _: &LocksPatch,
        _: Timestamp,
    ) -> Result<Option<ManifestSummary>> {
        unused()
    }
    async fn delete_manifest(&self, _: Uuid, _: &Digest, _: Timestamp) -> Result<DeleteOutcome> {
        unused()
    }
    async fn tag(&self, _: Uuid, _: &Tag) -> Result<Option<TagRow>> {
        unused()
    }
    async fn tags(&self, _: Uuid, _: Option<&str>, _: i64, _: bool) -> Result<Vec<TagRow>> {
        unused()
    }
    async fn lock_tag(&self, _: Uuid, _: &Tag, _: &LocksPatch, _: Timestamp) -> Result<Option<TagRow>> {
        unused()
    }
    async fn delete_tag(&self, _: Uuid, _: &Tag, _: Timestamp) -> Result<DeleteOutcome> {
        unused()
    }
    async fn referrers(
        &self,
        _: Uuid,
        _: &Digest,
        _: Option<&str>,
        _: Option<&str>,
        _: i64,
    ) -> Result<Vec<ReferrerRow>> {
        unused()
    }
    async fn collect(&self, _: Timestamp, _: i64) -> Result<i64> {
        unused()
    }
    async fn dead_objects(&self, _: i64) -> Result<Vec<DeadObject>> {
        unused()
    }
    async fn forget_dead_object(&self, _: &str) -> Result<()> {
        unused()
    }
}
