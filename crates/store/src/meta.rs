//! The metadata store: one trait, one SQL text, two databases.

use std::fmt;

use async_trait::async_trait;
use shorepass_core::{Digest, Reference, RegistryName, RepositoryName, Tag, Timestamp};
use uuid::Uuid;

use crate::StoreError;
use crate::resources::{GrantRow, ResourceRow, Write, Written};
use crate::rows::{
    AdminPasswordRow, BlobRow, DeleteOutcome, LocksPatch, ManifestRow, ManifestSummary, PutManifest, PutOutcome,
    ReferrerRow, RegistryRecord, RegistryRow, RepositoryLookup, RepositoryRow, RepositoryStats, ResourceGroupRow,
    SigningKeyRow, SubscriptionRow, TagRow, Target, TenancyOutcome, TenantRow, UploadRow,
};

type Result<T> = std::result::Result<T, StoreError>;

/// Everything the server knows but the bytes of blobs.
///
/// Every method but [`MetaStore::collect`] is one transaction: it is done whole and durable when it returns `Ok`, or not
/// at all (after `Unavailable` it may have been done: the answer was lost). Look-ups answer
/// `None` for what is not there. Lists are ordered by the bytes of the name (or digest) and start behind `after`.
#[async_trait]
pub trait MetaStore: fmt::Debug + Send + Sync {
    /// Applies what migrations are missing, under a lock that other servers respect.
    async fn migrate(&self) -> Result<()>;

    /// One cheap round trip to the database.
    async fn ping(&self) -> Result<()>;

    // --- tenants and registries

    /// Creates the first tenant, subscription, resource group and registry, if there is no tenant yet. `true` when it did.
    async fn bootstrap(
        &self,
        tenant: &TenantRow,
        subscription: &SubscriptionRow,
        group: &ResourceGroupRow,
        registry: &RegistryRow,
    ) -> Result<bool>;

    /// The resource group the first registry is in: where registries go that name none.
    async fn default_resource_group(&self) -> Result<Option<ResourceGroupRow>>;

    /// `false` when a registry of that name exists.
    async fn create_registry(&self, registry: &RegistryRow) -> Result<bool>;

    /// All live registries with their admin passwords, by name.
    async fn registries(&self) -> Result<Vec<RegistryRecord>>;

    async fn registry(&self, name: &RegistryName) -> Result<Option<RegistryRecord>>;

    /// Stores `registry` (tier, settings, `admin_epoch`, `updated_at`) if the stored etag is `registry.etag`, and raises
    /// the etag. `false` when it was changed or deleted meanwhile.
    async fn update_registry(&self, registry: &RegistryRow) -> Result<bool>;

    /// The name is free at once, its content is no longer reachable, its passwords are gone, and collection removes the
    /// rest later in bounded steps, whatever locks it finds there. `false` when there was none.
    async fn delete_registry(&self, id: Uuid, now: Timestamp) -> Result<bool>;

    /// Sets the password of `row.slot`, replacing the one there. `Refused` when there is no such registry.
    async fn put_admin_password(&self, row: &AdminPasswordRow) -> Result<()>;

    /// A number that every change of a tenant, subscription, resource group or registry, of its settings or its admin
    /// passwords, every change of a repository's locks, every deletion of a repository and every write of a resource
    /// raises, in the same transaction. Who sees a number sees all changes that raised it so far.
    async fn policy_generation(&self) -> Result<i64>;

    // --- tenants, subscriptions and resource groups: names are unique below their parent, without case

    /// All, by name.
    async fn tenants(&self) -> Result<Vec<TenantRow>>;

    /// `Exists` also when the GUID or the account number is taken.
    async fn create_tenant(&self, tenant: &TenantRow) -> Result<TenancyOutcome>;

    async fn rename_tenant(&self, id: Uuid, name: &str) -> Result<TenancyOutcome>;

    /// `NotEmpty` while a subscription or a resource belongs to it.
    async fn delete_tenant(&self, id: Uuid) -> Result<TenancyOutcome>;

    /// All of all tenants, by name.
    async fn subscriptions(&self) -> Result<Vec<SubscriptionRow>>;

    /// `NotFound` without such a tenant.
    async fn create_subscription(&self, subscription: &SubscriptionRow) -> Result<TenancyOutcome>;

    async fn rename_subscription(&self, id: Uuid, name: &str) -> Result<TenancyOutcome>;

    /// `NotEmpty` while a resource group or a resource belongs to it.
    async fn delete_subscription(&self, id: Uuid) -> Result<TenancyOutcome>;

    /// All of all subscriptions, by name.
    async fn resource_groups(&self) -> Result<Vec<ResourceGroupRow>>;

    /// `NotFound` without such a subscription.
    async fn create_resource_group(&self, group: &ResourceGroupRow) -> Result<TenancyOutcome>;

    async fn rename_resource_group(&self, id: Uuid, name: &str) -> Result<TenancyOutcome>;

    /// `NotEmpty` while a registry or a resource belongs to it.
    async fn delete_resource_group(&self, id: Uuid) -> Result<TenancyOutcome>;

    // --- resources: the documents of the directory and of access

    /// All or nothing, in this order. Each write raises the policy generation by one and is logged under that number, so
    /// numbers are in the order of commits; the log keeps the last [`crate::sql::CHANGES_KEPT`] generations.
    async fn write_resources(&self, writes: &[Write]) -> Result<Written>;

    async fn resource(&self, id: Uuid) -> Result<Option<ResourceRow>>;

    /// Whatever the case of the name's ASCII letters.
    async fn resource_by_name(&self, kind: &str, parent: Uuid, name: &str) -> Result<Option<ResourceRow>>;

    /// By name without case.
    async fn resources(&self, kind: &str, parent: Uuid, after: Option<&str>, limit: i64) -> Result<Vec<ResourceRow>>;

    async fn count_resources(&self, kind: &str, parent: Uuid) -> Result<i64>;

    /// All of all kinds, by id. To load everything: read `policy_generation`, then all pages, then what
    /// `changed_resources` has since that generation.
    async fn all_resources(&self, after: Option<Uuid>, limit: i64) -> Result<Vec<ResourceRow>>;

    /// What was written after generation `since`: in the order of commits its generation, the id, and the resource as it is
    /// now (`None`: deleted). A page holds `limit` changes, and then the rest of the last one's transaction, so that
    /// nobody sees half of it. `None` when the log does not reach back that far (or the database is not the one that
    /// `since` is of, but an older copy): load everything.
    async fn changed_resources(&self, since: i64, limit: i64) -> Result<Option<Vec<(i64, Uuid, Option<ResourceRow>)>>>;

    // --- secrets of the server

    /// The server-wide secret of that name; `candidate` becomes it when there is none. All servers of one database get
    /// the same answer.
    async fn server_secret(&self, name: &str, candidate: &[u8]) -> Result<Vec<u8>>;

    /// All keys that are not retired by `now`, oldest first.
    async fn signing_keys(&self, now: Timestamp) -> Result<Vec<SigningKeyRow>>;

    /// Adds a key; all others of its algorithm and any other that have no `retired_at` get `retire_others_at`. With
    /// `only_if_none` nothing happens when a live key exists (two servers starting at once); `false` then.
    async fn add_signing_key(
        &self,
        key: &SigningKeyRow,
        retire_others_at: Timestamp,
        only_if_none: bool,
    ) -> Result<bool>;

    // --- grants: what is valid for minutes

    /// `false` when there is one of that kind and key already.
    async fn put_grant(&self, grant: &GrantRow) -> Result<bool>;

    /// The grant, once: however many ask, one gets it. `None` without one that is valid at `now`.
    async fn take_grant(&self, kind: &str, key_hash: &[u8], now: Timestamp) -> Result<Option<GrantRow>>;

    async fn read_grant(&self, kind: &str, key_hash: &[u8], now: Timestamp) -> Result<Option<GrantRow>>;

    /// Stores body and end if the stored version is `grant.version`, and raises it. `false` when it was changed, taken or
    /// had expired.
    async fn update_grant(&self, grant: &GrantRow, now: Timestamp) -> Result<bool>;

    /// Removes up to `limit` that have expired; answers how many.
    async fn expire_grants(&self, now: Timestamp, limit: i64) -> Result<i64>;

    // --- repositories

    async fn repository(&self, registry_id: Uuid, name: &RepositoryName) -> Result<RepositoryLookup>;

    /// Live repositories that hold at least one manifest, by name; with `listed_only` those whose `list_enabled` is on.
    async fn repositories(
        &self,
        registry_id: Uuid,
        after: Option<&str>,
        limit: i64,
        listed_only: bool,
    ) -> Result<Vec<RepositoryRow>>;

    async fn repository_stats(&self, repository_id: Uuid) -> Result<RepositoryStats>;

    async fn lock_repository(
        &self,
        repository_id: Uuid,
        patch: &LocksPatch,
        now: Timestamp,
    ) -> Result<Option<RepositoryRow>>;

    /// Deletes with all tags and manifests; `Locked` when the repository, a tag or a manifest in it forbids deletion
    /// (`write_enabled` or `delete_enabled` off). The name is free at once; the content goes in bounded steps
    /// later. The tags are not listed: they may be a million.
    async fn delete_repository(&self, repository_id: Uuid, now: Timestamp) -> Result<DeleteOutcome>;

    // --- blobs

    /// The blob, if it is linked to the repository.
    async fn blob(&self, repository_id: Uuid, digest: &Digest) -> Result<Option<BlobRow>>;

    /// Links a finished object to the repository (creating both rows as needed) and forgets the upload. Answers the
    /// repository and the row that holds: where another upload of the same bytes came first, that one's; the loser's key
    /// is then handed to collection in the same transaction. `None` when the upload was already committed or cancelled
    /// (`upload` names a row that is not there), and nothing was written.
    async fn commit_blob(
        &self,
        target: &Target,
        blob: &BlobRow,
        upload: Option<Uuid>,
    ) -> Result<Option<(RepositoryRow, BlobRow)>>;

    /// Links a blob of `source` (a repository of any registry) to the target. `None` when the source does not hold it.
    async fn mount_blob(&self, source: Uuid, target: &Target, digest: &Digest) -> Result<Option<BlobRow>>;

    /// Removes the link. `NotFound` without one; `Locked` where a manifest of the repository still needs the blob, or the
    /// repository forbids deletion.
    async fn unlink_blob(&self, repository_id: Uuid, digest: &Digest, now: Timestamp) -> Result<DeleteOutcome>;

    // --- uploads

    async fn create_upload(&self, upload: &UploadRow) -> Result<()>;

    async fn upload(&self, id: Uuid) -> Result<Option<UploadRow>>;

    /// Stores offset, state and `updated_at` if the stored version is `upload.version`, and raises it. `false` when
    /// somebody else was faster, or the upload is gone.
    async fn save_upload(&self, upload: &UploadRow) -> Result<bool>;

    /// Forgets the upload and hands its object to collection. `false` without one.
    async fn delete_upload(&self, id: Uuid, now: Timestamp) -> Result<bool>;

    /// Uploads nobody touched since `before`.
    async fn stale_uploads(&self, before: Timestamp, limit: i64) -> Result<Vec<UploadRow>>;

    // --- manifests and tags

    async fn put_manifest(&self, put: &PutManifest) -> Result<PutOutcome>;

    /// By tag or digest, with the locks of both the manifest and, when asked by tag, the tag (a lock of either counts).
    async fn manifest(&self, repository_id: Uuid, reference: &Reference) -> Result<Option<ManifestRow>>;

    async fn manifest_summary(&self, repository_id: Uuid, digest: &Digest) -> Result<Option<ManifestSummary>>;

    async fn manifests(&self, repository_id: Uuid, after: Option<&str>, limit: i64) -> Result<Vec<ManifestSummary>>;

    async fn lock_manifest(
        &self,
        repository_id: Uuid,
        digest: &Digest,
        patch: &LocksPatch,
        now: Timestamp,
    ) -> Result<Option<ManifestSummary>>;

    /// Sets the state, or with `None` ends it. `None` without such a manifest.
    async fn set_quarantine(
        &self,
        repository_id: Uuid,
        digest: &Digest,
        state: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<ManifestSummary>>;

    /// Deletes the manifest and the tags that point to it. `Locked` when it, one of those tags or the repository forbids
    /// deletion.
    async fn delete_manifest(&self, repository_id: Uuid, digest: &Digest, now: Timestamp) -> Result<DeleteOutcome>;

    async fn tag(&self, repository_id: Uuid, tag: &Tag) -> Result<Option<TagRow>>;

    async fn tags(
        &self,
        repository_id: Uuid,
        after: Option<&str>,
        limit: i64,
        listed_only: bool,
    ) -> Result<Vec<TagRow>>;

    async fn lock_tag(
        &self,
        repository_id: Uuid,
        tag: &Tag,
        patch: &LocksPatch,
        now: Timestamp,
    ) -> Result<Option<TagRow>>;

    /// Removes the tag and leaves the manifest. `Locked` when the tag or the repository forbids deletion.
    async fn delete_tag(&self, repository_id: Uuid, tag: &Tag, now: Timestamp) -> Result<DeleteOutcome>;

    async fn referrers(
        &self,
        repository_id: Uuid,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<ReferrerRow>>;

    // --- collection: bounded steps, driven by queues that the operations above fill; never a walk

    /// Looks at up to `limit` due entries of the review queues (links of repositories no manifest needs, blobs without
    /// links, content of deleted repositories and registries) and removes what nothing needs; answers how many entries it
    /// looked at, 0 when nothing is due. What becomes unreachable in the blob store goes to the list of dead objects. Each
    /// entry is a transaction of its own; servers may collect at the same time.
    async fn collect(&self, now: Timestamp, limit: i64) -> Result<i64>;

    /// Keys of objects that no row names any more.
    async fn dead_objects(&self, limit: i64) -> Result<Vec<DeadObject>>;

    /// The object is gone from the blob store.
    async fn forget_dead_object(&self, key: &str) -> Result<()>;
}

/// An object to delete from the blob store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadObject {
    pub key: String,
    /// The sealed state of the upload it came from, if it was never finished (a multipart upload has to be aborted).
    pub upload_state: Option<Vec<u8>>,
}
