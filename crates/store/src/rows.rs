//! The rows of the metadata store, as the rest of the house sees them.

use serde::{Deserialize, Serialize};
use shorepass_core::{Digest, RegistryName, RepositoryName, Tag, Timestamp};
use uuid::Uuid;

/// A directory of identities; owns subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    pub id: Uuid,
    pub name: String,
    /// Azure's word for a tenant's id. (UUIDv4-shaped, random.)
    pub guid: Uuid,
    /// Alibaba's word: 16 decimal digits.
    pub account_number: String,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub name: String,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceGroupRow {
    pub id: Uuid,
    pub subscription_id: Uuid,
    pub name: String,
    pub created_at: Timestamp,
}

/// What became of a change to a tenant, subscription or resource group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenancyOutcome {
    Done,
    /// Its name below the same parent is taken (without case).
    Exists,
    /// It, or what it should belong to, is not there.
    NotFound,
    /// What still belongs to it: `registry prod`.
    NotEmpty {
        what: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tier {
    Basic,
    Standard,
    Premium,
}

impl Tier {
    pub const ALL: [Self; 3] = [Self::Basic, Self::Standard, Self::Premium];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::Standard => "Standard",
            Self::Premium => "Premium",
        }
    }
}

/// A text that names no tier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tiers are `Basic`, `Standard` and `Premium`")]
pub struct TierError;

impl std::str::FromStr for Tier {
    type Err = TierError;
    /// In any case, as `az` takes it.
    fn from_str(input: &str) -> Result<Self, TierError> {
        Self::ALL.into_iter().find(|tier| tier.as_str().eq_ignore_ascii_case(input)).ok_or(TierError)
    }
}

/// What an operator can change of a registry. Kept as one JSON column, so that a later setting needs no migration; every
/// field has a default that is safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RegistrySettings {
    pub admin_enabled: bool,
    pub anonymous_pull_enabled: bool,
    pub role_assignment_mode: RoleAssignmentMode,
    /// When the mode was last switched: credentials issued before are refused.
    pub mode_changed_at: Option<Timestamp>,
    /// Whether the token exchange takes tokens for the management audience, or only those for this registry
    /// (`azureADAuthenticationAsArmPolicy`).
    pub authentication_as_arm: bool,
    /// Whether the tier's rate limits hold.
    pub rate_limits: bool,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            admin_enabled: false,
            anonymous_pull_enabled: false,
            role_assignment_mode: RoleAssignmentMode::Rbac,
            mode_changed_at: None,
            authentication_as_arm: true,
            rate_limits: false,
        }
    }
}

/// Which role assignments count in a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoleAssignmentMode {
    /// Roles hold for the whole registry.
    #[serde(rename = "rbac")]
    Rbac,
    /// Roles on repositories too, with conditions.
    #[serde(rename = "rbac-abac")]
    RbacAbac,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryRow {
    pub id: Uuid,
    pub resource_group_id: Uuid,
    pub name: RegistryName,
    pub tier: Tier,
    pub settings: RegistrySettings,
    /// Raised when the admin account is disabled: tokens issued before carry the old number and stay refused, even
    /// after it is enabled again.
    pub admin_epoch: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Raised with every update; optimistic concurrency.
    pub etag: i64,
}

/// One of the two passwords of a registry's admin account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminPasswordRow {
    /// A renewed password is a new credential with a new id; tokens carry it.
    pub id: Uuid,
    pub registry_id: Uuid,
    /// 1 or 2.
    pub slot: i16,
    /// HMAC-SHA-256 of the password under the server's key.
    pub hash: Vec<u8>,
    pub created_at: Timestamp,
}

/// A registry with everything a decision about its admin account needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryRecord {
    pub registry: RegistryRow,
    /// The subscription its resource group is in.
    pub subscription_id: Uuid,
    /// The tenant that subscription is of.
    pub tenant_id: Uuid,
    /// Sorted by slot.
    pub admin_passwords: Vec<AdminPasswordRow>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeyRow {
    pub kid: String,
    /// `EdDSA`, `ES256` or `RS256`.
    pub algorithm: String,
    /// PKCS#8 DER.
    pub private_key: Vec<u8>,
    /// X.509 DER, self-signed, over the public key.
    pub certificate: Vec<u8>,
    pub created_at: Timestamp,
    /// From when on it signs. Published from `created_at`, so that verifiers know it before they meet it.
    pub active_at: Timestamp,
    /// When it stops being published and accepted; `None` while it is the newest.
    pub retired_at: Option<Timestamp>,
}

/// What may be done to a repository, tag or manifest, whoever asks: the attributes of `az acr repository update`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Locks {
    pub delete_enabled: bool,
    pub write_enabled: bool,
    pub read_enabled: bool,
    pub list_enabled: bool,
}

impl Default for Locks {
    fn default() -> Self {
        Self { delete_enabled: true, write_enabled: true, read_enabled: true, list_enabled: true }
    }
}

/// A change of locks: what is `None` stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LocksPatch {
    pub delete_enabled: Option<bool>,
    pub write_enabled: Option<bool>,
    pub read_enabled: Option<bool>,
    pub list_enabled: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryRow {
    pub id: Uuid,
    pub registry_id: Uuid,
    pub name: RepositoryName,
    pub locks: Locks,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What a name stands for now, and whether it stood for something before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepositoryLookup {
    pub row: Option<RepositoryRow>,
    /// When a repository of this name was last deleted. A token issued at or before this time is refused for the name.
    pub deleted_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryStats {
    pub manifest_count: i64,
    pub tag_count: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRow {
    pub digest: Digest,
    /// The object's key in the blob store.
    pub key: String,
    /// Bytes.
    pub size: i64,
}

/// An upload under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRow {
    pub id: Uuid,
    pub registry_id: Uuid,
    /// By name, for the repository may not exist before the first commit.
    pub repository: RepositoryName,
    /// `Principal::id` of who began it: nobody else continues it.
    pub principal: String,
    pub key: String,
    /// Bytes received, hashed and durable.
    pub offset: i64,
    /// Hash and writer state, sealed by the registry crate; the store does not look inside.
    pub state: Vec<u8>,
    /// Raised with every save.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRow {
    pub digest: Digest,
    pub media_type: String,
    /// `artifactType`, or for an image manifest without one its config's media type.
    pub artifact_type: Option<String>,
    pub config_media_type: Option<String>,
    pub subject: Option<Digest>,
    /// The manifest's `annotations` as JSON text; kept only where there is a subject (the referrers list shows them).
    pub annotations: Option<String>,
    /// Bytes of what it references and itself.
    pub image_size: i64,
    /// Known for images whose config said so.
    pub architecture: Option<String>,
    pub os: Option<String>,
    /// The manifest as it was pushed, byte for byte.
    pub body: Vec<u8>,
    pub locks: Locks,
    /// Where it stands between push and release; `None`: it was never in quarantine.
    pub quarantine_state: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A manifest without its body, with the tags that point to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSummary {
    pub digest: Digest,
    pub media_type: String,
    pub artifact_type: Option<String>,
    pub config_media_type: Option<String>,
    pub image_size: i64,
    pub architecture: Option<String>,
    pub os: Option<String>,
    pub locks: Locks,
    /// As in [`ManifestRow`].
    pub quarantine_state: Option<String>,
    pub tags: Vec<Tag>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRow {
    pub name: Tag,
    pub digest: Digest,
    pub locks: Locks,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A manifest that names another as its `subject`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferrerRow {
    pub digest: Digest,
    pub media_type: String,
    pub artifact_type: Option<String>,
    /// Bytes of the manifest itself.
    pub size: i64,
    /// JSON text.
    pub annotations: Option<String>,
}

/// Where in the registry something is put; the repository comes into being with its first content.
#[derive(Debug, Clone)]
pub struct Target {
    pub registry_id: Uuid,
    pub repository: RepositoryName,
    /// The id it gets if it has to be created.
    pub new_id: Uuid,
    pub now: Timestamp,
}

/// A manifest to store, with everything its transaction checks and writes.
#[derive(Debug, Clone)]
pub struct PutManifest {
    pub target: Target,
    /// `created_at` and `updated_at` are taken from `target.now`; locks are ignored (a new manifest has none).
    pub manifest: ManifestRow,
    /// Blobs that must be linked to the repository.
    pub blobs: Vec<Digest>,
    /// Child manifests. Those in `required_manifests` must be in the repository.
    pub manifests: Vec<Digest>,
    pub required_manifests: Vec<Digest>,
    /// Tags that shall point to it.
    pub tags: Vec<Tag>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    /// `created`: no manifest of this digest was here before.
    Stored { repository: RepositoryRow, created: bool },
    /// What it references and is not here; nothing was written.
    Missing { blobs: Vec<Digest>, manifests: Vec<Digest> },
    /// A lock of the repository, or of a tag that would move, forbids it; nothing was written. The text names which:
    /// `repository team/app`, `tag v1`. (A manifest's own lock does not: its bytes cannot change.)
    Locked { what: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// With the tags that went with it.
    Deleted {
        tags: Vec<Tag>,
    },
    NotFound,
    Locked {
        what: String,
    },
}
