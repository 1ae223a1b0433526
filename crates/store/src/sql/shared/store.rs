//! The trait, method by method: which query runs in a read, which in a write transaction.

use async_trait::async_trait;
use shorepass_core::{Digest, Reference, RegistryName, RepositoryName, Tag, Timestamp};
use uuid::Uuid;

use super::transactions::{ATTEMPTS, in_time, pause};
use super::{
    Fault, Store, blobs, changes, collect, deletions, grants, keys, manifests, purge, put_manifest, query, registries,
    repositories, resources, tags, tenancy, uploads,
};
use crate::meta::DeadObject;
use crate::resources::{GrantRow, ResourceRow, Write, Written};
use crate::rows::{
    AdminPasswordRow, BlobRow, DeleteOutcome, LocksPatch, ManifestRow, ManifestSummary, PutManifest, PutOutcome,
    ReferrerRow, RegistryRecord, RegistryRow, RepositoryLookup, RepositoryRow, RepositoryStats, ResourceGroupRow,
    SigningKeyRow, SubscriptionRow, TagRow, Target, TenancyOutcome, TenantRow, UploadRow,
};
use crate::{MetaStore, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl MetaStore for Store {
    async fn migrate(&self) -> Result<()> {
        Ok(self.apply_migrations().await?)
    }

    async fn ping(&self) -> Result<()> {
        read!(self, conn => async { Ok(query("select 1").execute(conn).await.map(drop)?) })
    }

    async fn bootstrap(
        &self,
        tenant: &TenantRow,
        subscription: &SubscriptionRow,
        group: &ResourceGroupRow,
        registry: &RegistryRow,
    ) -> Result<bool> {
        write!(self, conn => registries::bootstrap(conn, tenant, subscription, group, registry))
    }

    async fn default_resource_group(&self) -> Result<Option<ResourceGroupRow>> {
        read!(self, conn => registries::default_group(conn))
    }

    async fn create_registry(&self, registry: &RegistryRow) -> Result<bool> {
        write!(self, conn => registries::create(conn, registry))
    }

    async fn registries(&self) -> Result<Vec<RegistryRecord>> {
        read!(self, conn => registries::all(conn))
    }

    async fn registry(&self, name: &RegistryName) -> Result<Option<RegistryRecord>> {
        read!(self, conn => registries::by_name(conn, name))
    }

    async fn update_registry(&self, registry: &RegistryRow) -> Result<bool> {
        write!(self, conn => registries::update(conn, registry))
    }

    async fn delete_registry(&self, id: Uuid, now: Timestamp) -> Result<bool> {
        write!(self, conn => registries::delete(conn, id, now))
    }

    async fn put_admin_password(&self, row: &AdminPasswordRow) -> Result<()> {
        write!(self, conn => registries::put_password(conn, row))
    }

    async fn policy_generation(&self) -> Result<i64> {
        read!(self, conn => keys::generation(conn))
    }

    async fn tenants(&self) -> Result<Vec<TenantRow>> {
        read!(self, conn => tenancy::tenants(conn))
    }

    async fn create_tenant(&self, tenant: &TenantRow) -> Result<TenancyOutcome> {
        write!(self, conn => tenancy::create_tenant(conn, tenant))
    }

    async fn rename_tenant(&self, id: Uuid, name: &str) -> Result<TenancyOutcome> {
        write!(self, conn => tenancy::rename(conn, &tenancy::TENANT, id, name))
    }

    async fn delete_tenant(&self, id: Uuid) -> Result<TenancyOutcome> {
        write!(self, conn => tenancy::delete(conn, &tenancy::TENANT, id))
    }

    async fn subscriptions(&self) -> Result<Vec<SubscriptionRow>> {
        read!(self, conn => tenancy::subscriptions(conn))
    }

    async fn create_subscription(&self, subscription: &SubscriptionRow) -> Result<TenancyOutcome> {
        write!(self, conn => tenancy::create_subscription(conn, subscription))
    }

    async fn rename_subscription(&self, id: Uuid, name: &str) -> Result<TenancyOutcome> {
        write!(self, conn => tenancy::rename(conn, &tenancy::SUBSCRIPTION, id, name))
    }

    async fn delete_subscription(&self, id: Uuid) -> Result<TenancyOutcome> {
        write!(self, conn => tenancy::delete(conn, &tenancy::SUBSCRIPTION, id))
    }

    async fn resource_groups(&self) -> Result<Vec<ResourceGroupRow>> {
        read!(self, conn => tenancy::groups(conn))
    }

    async fn create_resource_group(&self, group: &ResourceGroupRow) -> Result<TenancyOutcome> {
        write!(self, conn => tenancy::create_group(conn, group))
    }

    async fn rename_resource_group(&self, id: Uuid, name: &str) -> Result<TenancyOutcome> {
        write!(self, conn => tenancy::rename(conn, &tenancy::GROUP, id, name))
    }

    async fn delete_resource_group(&self, id: Uuid) -> Result<TenancyOutcome> {
        write!(self, conn => tenancy::delete(conn, &tenancy::GROUP, id))
    }

    async fn write_resources(&self, writes: &[Write]) -> Result<Written> {
        write!(self, conn => resources::write(conn, writes))
    }

    async fn resource(&self, id: Uuid) -> Result<Option<ResourceRow>> {
        read!(self, conn => resources::by_id(conn, id))
    }

    async fn resource_by_name(&self, kind: &str, parent: Uuid, name: &str) -> Result<Option<ResourceRow>> {
        read!(self, conn => resources::by_name(conn, kind, parent, name))
    }

    async fn resources(&self, kind: &str, parent: Uuid, after: Option<&str>, limit: i64) -> Result<Vec<ResourceRow>> {
        read!(self, conn => resources::list(conn, kind, parent, after, limit))
    }

    async fn count_resources(&self, kind: &str, parent: Uuid) -> Result<i64> {
        read!(self, conn => resources::count(conn, kind, parent))
    }

    async fn all_resources(&self, after: Option<Uuid>, limit: i64) -> Result<Vec<ResourceRow>> {
        read!(self, conn => resources::all(conn, after, limit))
    }

    async fn changed_resources(&self, since: i64, limit: i64) -> Result<Option<Vec<(i64, Uuid, Option<ResourceRow>)>>> {
        read!(self, conn => changes::since(conn, since, limit))
    }

    async fn put_grant(&self, grant: &GrantRow) -> Result<bool> {
        write!(self, conn => grants::put(conn, grant))
    }

    async fn take_grant(&self, kind: &str, key_hash: &[u8], now: Timestamp) -> Result<Option<GrantRow>> {
        write!(self, conn => grants::take(conn, kind, key_hash, now))
    }

    async fn read_grant(&self, kind: &str, key_hash: &[u8], now: Timestamp) -> Result<Option<GrantRow>> {
        read!(self, conn => grants::by_key(conn, kind, key_hash, now))
    }

    async fn update_grant(&self, grant: &GrantRow, now: Timestamp) -> Result<bool> {
        write!(self, conn => grants::update(conn, grant, now))
    }

    async fn expire_grants(&self, now: Timestamp, limit: i64) -> Result<i64> {
        write!(self, conn => grants::expire(conn, now, limit))
    }

    async fn server_secret(&self, name: &str, candidate: &[u8]) -> Result<Vec<u8>> {
        write!(self, conn => keys::secret(conn, name, candidate))
    }

    async fn signing_keys(&self, now: Timestamp) -> Result<Vec<SigningKeyRow>> {
        read!(self, conn => keys::signing_keys(conn, now))
    }

    async fn add_signing_key(
        &self,
        key: &SigningKeyRow,
        retire_others_at: Timestamp,
        only_if_none: bool,
    ) -> Result<bool> {
        write!(self, conn => keys::add_signing_key(conn, key, retire_others_at, only_if_none))
    }

    async fn repository(&self, registry_id: Uuid, name: &RepositoryName) -> Result<RepositoryLookup> {
        read!(self, conn => repositories::lookup(conn, registry_id, name))
    }

    async fn repositories(
        &self,
        registry_id: Uuid,
        after: Option<&str>,
        limit: i64,
        listed_only: bool,
    ) -> Result<Vec<RepositoryRow>> {
        read!(self, conn => repositories::list(conn, registry_id, after, limit, listed_only))
    }

    async fn repository_stats(&self, repository_id: Uuid) -> Result<RepositoryStats> {
        read!(self, conn => repositories::stats(conn, repository_id))
    }

    async fn lock_repository(
        &self,
        repository_id: Uuid,
        patch: &LocksPatch,
        now: Timestamp,
    ) -> Result<Option<RepositoryRow>> {
        write!(self, conn => repositories::lock(conn, repository_id, patch, now))
    }

    async fn delete_repository(&self, repository_id: Uuid, now: Timestamp) -> Result<DeleteOutcome> {
        write!(self, conn => repositories::delete(conn, repository_id, now))
    }

    async fn blob(&self, repository_id: Uuid, digest: &Digest) -> Result<Option<BlobRow>> {
        read!(self, conn => blobs::linked(conn, repository_id, digest))
    }

    async fn commit_blob(
        &self,
        target: &Target,
        blob: &BlobRow,
        upload: Option<Uuid>,
    ) -> Result<Option<(RepositoryRow, BlobRow)>> {
        write!(self, conn => blobs::commit(conn, target, blob, upload))
    }

    async fn mount_blob(&self, source: Uuid, target: &Target, digest: &Digest) -> Result<Option<BlobRow>> {
        write!(self, conn => blobs::mount(conn, source, target, digest))
    }

    async fn unlink_blob(&self, repository_id: Uuid, digest: &Digest, now: Timestamp) -> Result<DeleteOutcome> {
        write!(self, conn => blobs::unlink(conn, repository_id, digest, now))
    }

    async fn create_upload(&self, upload: &UploadRow) -> Result<()> {
        write!(self, conn => uploads::create(conn, upload))
    }

    async fn upload(&self, id: Uuid) -> Result<Option<UploadRow>> {
        read!(self, conn => uploads::by_id(conn, id))
    }

    async fn save_upload(&self, upload: &UploadRow) -> Result<bool> {
        write!(self, conn => uploads::save(conn, upload))
    }

    async fn delete_upload(&self, id: Uuid, _now: Timestamp) -> Result<bool> {
        write!(self, conn => uploads::delete(conn, id))
    }

    async fn stale_uploads(&self, before: Timestamp, limit: i64) -> Result<Vec<UploadRow>> {
        read!(self, conn => uploads::stale(conn, before, limit))
    }

    async fn put_manifest(&self, put: &PutManifest) -> Result<PutOutcome> {
        write!(self, conn => put_manifest::put(conn, put))
    }

    async fn manifest(&self, repository_id: Uuid, reference: &Reference) -> Result<Option<ManifestRow>> {
        read!(self, conn => manifests::by_reference(conn, repository_id, reference))
    }

    async fn manifest_summary(&self, repository_id: Uuid, digest: &Digest) -> Result<Option<ManifestSummary>> {
        read!(self, conn => manifests::summary(conn, repository_id, digest))
    }

    async fn manifests(&self, repository_id: Uuid, after: Option<&str>, limit: i64) -> Result<Vec<ManifestSummary>> {
        read!(self, conn => manifests::list(conn, repository_id, after, limit))
    }

    async fn lock_manifest(
        &self,
        repository_id: Uuid,
        digest: &Digest,
        patch: &LocksPatch,
        now: Timestamp,
    ) -> Result<Option<ManifestSummary>> {
        write!(self, conn => manifests::lock(conn, repository_id, digest, patch, now))
    }

    async fn set_quarantine(
        &self,
        repository_id: Uuid,
        digest: &Digest,
        state: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<ManifestSummary>> {
        write!(self, conn => manifests::set_quarantine(conn, repository_id, digest, state, now))
    }

    async fn delete_manifest(&self, repository_id: Uuid, digest: &Digest, now: Timestamp) -> Result<DeleteOutcome> {
        write!(self, conn => deletions::manifest(conn, repository_id, digest, now))
    }

    async fn tag(&self, repository_id: Uuid, tag: &Tag) -> Result<Option<TagRow>> {
        read!(self, conn => tags::by_name(conn, repository_id, tag))
    }

    async fn tags(
        &self,
        repository_id: Uuid,
        after: Option<&str>,
        limit: i64,
        listed_only: bool,
    ) -> Result<Vec<TagRow>> {
        read!(self, conn => tags::list(conn, repository_id, after, limit, listed_only))
    }

    async fn lock_tag(
        &self,
        repository_id: Uuid,
        tag: &Tag,
        patch: &LocksPatch,
        now: Timestamp,
    ) -> Result<Option<TagRow>> {
        write!(self, conn => tags::lock(conn, repository_id, tag, patch, now))
    }

    async fn delete_tag(&self, repository_id: Uuid, tag: &Tag, now: Timestamp) -> Result<DeleteOutcome> {
        write!(self, conn => deletions::tag(conn, repository_id, tag, now))
    }

    async fn referrers(
        &self,
        repository_id: Uuid,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<ReferrerRow>> {
        read!(self, conn => manifests::referrers(conn, repository_id, subject, artifact_type, after, limit))
    }

    /// Each entry is a transaction of its own, so that no lock is held for longer than one needs. The four queues share
    /// the limit.
    async fn collect(&self, now: Timestamp, limit: i64) -> Result<i64> {
        let mut looked = 0;
        let share = |looked: i64, queues: i64| (limit - looked + queues - 1) / queues;
        let due = read!(self, conn => purge::registries_due(conn, now, share(looked, 4)))?;
        for id in due {
            write!(self, conn => purge::look_at_registry(conn, id, now))?;
            looked += 1;
        }
        let due = read!(self, conn => purge::repositories_due(conn, now, share(looked, 3)))?;
        for id in due {
            write!(self, conn => purge::look_at_repository(conn, id, now))?;
            looked += 1;
        }
        let due = read!(self, conn => collect::links_due(conn, now, share(looked, 2)))?;
        for review in due {
            write!(self, conn => collect::look_at_link(conn, &review, now))?;
            looked += 1;
        }
        let due = read!(self, conn => collect::blobs_due(conn, now, share(looked, 1)))?;
        for review in due {
            write!(self, conn => collect::look_at_blob(conn, &review))?;
            looked += 1;
        }
        Ok(looked)
    }

    async fn dead_objects(&self, limit: i64) -> Result<Vec<DeadObject>> {
        read!(self, conn => collect::dead_objects(conn, limit))
    }

    async fn forget_dead_object(&self, key: &str) -> Result<()> {
        write!(self, conn => collect::forget_dead_object(conn, key))
    }
}
