//! Manifests: push, pull, delete; tags; referrers.

use futures::TryStreamExt as _;
use serde_json::{Value, json};
use shorepass_access::{Delete, MetadataWrite, Permit, Pull, Push};
use shorepass_core::{Algorithm, Digest, Reference, Tag};
use shorepass_store::BlobKey;
use shorepass_store::rows::{DeleteOutcome, ManifestRow, PutManifest, PutOutcome, ReferrerRow};

use crate::hash::digest_of;
use crate::manifest::{MAX_MANIFEST_BYTES, OCI_INDEX, Parsed, Platform, parse};
use crate::uploads::check_writable;
use crate::{Registry, RegistryError, Result, check_readable, repository_id};

/// Configs are read for the platform they name only up to this size; none of an image is anywhere near it.
const MAX_CONFIG_BYTES: i64 = 256 * 1024;

/// A manifest that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedManifest {
    pub digest: Digest,
    pub subject: Option<Digest>,
}

/// One page of the manifests that refer to another, as the image index that answers it.
#[derive(Debug, Clone)]
pub struct Referrers {
    pub index: Value,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

impl Registry {
    /// Stores a manifest under its digest and under `tags`, whole or not at all. What it references must be here, but for
    /// the subject and what may not be distributed.
    ///
    /// # Errors
    /// [`RegistryError::ManifestInvalid`], [`RegistryError::ManifestContentUnknown`], [`RegistryError::Locked`],
    /// [`RegistryError::DigestMismatch`].
    pub async fn push_manifest(
        &self,
        permit: &Permit<Push>,
        reference: &Reference,
        tags: &[Tag],
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<PushedManifest> {
        check_writable(permit)?;
        if body.len() > MAX_MANIFEST_BYTES {
            return Err(RegistryError::ManifestTooLarge);
        }
        let mut tags = tags.to_vec();
        let digest = match reference {
            Reference::Tag(tag) => {
                tags.push(tag.clone());
                digest_of(Algorithm::Sha256, &body)
            }
            Reference::Digest(expected) => {
                let actual = digest_of(expected.algorithm(), &body);
                if actual != *expected {
                    return Err(RegistryError::DigestMismatch { expected: expected.clone(), actual });
                }
                actual
            }
        };
        let parsed = parse(content_type, &body)?;
        let platform = self.platform(permit, &parsed).await;
        let (blobs, manifests) = (self.needed_blobs(permit, &parsed).await?, parsed.manifests.clone());
        let put = PutManifest {
            target: self.target(permit),
            required_manifests: manifests.clone(),
            manifest: self.row(digest, parsed, platform, body),
            blobs,
            manifests,
            tags,
        };
        match self.store.put_manifest(&put).await? {
            PutOutcome::Stored { .. } => {
                Ok(PushedManifest { digest: put.manifest.digest, subject: put.manifest.subject })
            }
            PutOutcome::Missing { blobs, manifests } => Err(RegistryError::ManifestContentUnknown { blobs, manifests }),
            PutOutcome::Locked { what } => Err(RegistryError::Locked { what }),
        }
    }

    /// What has to be here, and of what may be fetched elsewhere that which is here: what a manifest references is kept.
    async fn needed_blobs(&self, permit: &Permit<Push>, parsed: &Parsed) -> Result<Vec<Digest>> {
        let mut blobs = parsed.blobs.clone();
        let Some(repository) = permit.row() else { return Ok(blobs) };
        for digest in &parsed.foreign_blobs {
            if self.store.blob(repository.id, digest).await?.is_some() {
                blobs.push(digest.clone());
            }
        }
        Ok(blobs)
    }

    fn row(&self, digest: Digest, parsed: Parsed, platform: Platform, body: Vec<u8>) -> ManifestRow {
        let now = self.clock.now();
        let size = parsed.referenced_size.saturating_add(body.len() as u64);
        ManifestRow {
            digest,
            media_type: parsed.media_type,
            artifact_type: parsed.artifact_type,
            config_media_type: parsed.config.map(|config| config.media_type),
            annotations: parsed.subject.as_ref().and(parsed.annotations),
            subject: parsed.subject,
            image_size: i64::try_from(size).unwrap_or(i64::MAX),
            architecture: platform.architecture,
            os: platform.os,
            body,
            locks: shorepass_store::rows::Locks::default(),
            quarantine_state: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// What an image's config says of its platform. Listings show it; a config that cannot be read is not an error.
    async fn platform(&self, permit: &Permit<Push>, parsed: &Parsed) -> Platform {
        match self.read_platform(permit, parsed).await {
            Ok(platform) => platform.unwrap_or_default(),
            Err(error) => {
                tracing::debug!(%error, "no platform in the image's config");
                Platform::default()
            }
        }
    }

    async fn read_platform(&self, permit: &Permit<Push>, parsed: &Parsed) -> Result<Option<Platform>> {
        let is_image = |media_type: &str| {
            matches!(
                media_type,
                "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
            )
        };
        let (Some(config), Some(row)) = (parsed.config.as_ref().filter(|c| is_image(&c.media_type)), permit.row())
        else {
            return Ok(None);
        };
        let Some(blob) = self.store.blob(row.id, &config.digest).await? else { return Ok(None) };
        let (Some(key), 0..=MAX_CONFIG_BYTES) = (BlobKey::parse(&blob.key), blob.size) else { return Ok(None) };
        let size = u64::try_from(blob.size).unwrap_or(0);
        let pieces: Vec<_> = self.blobs.read(&key, 0..size).await?.try_collect().await?;
        Ok(serde_json::from_slice(&pieces.concat()).ok())
    }

    /// # Errors
    /// [`RegistryError::ManifestUnknown`], or [`RegistryError::Locked`] where reading is switched off.
    pub async fn manifest(&self, permit: &Permit<Pull>, reference: &Reference) -> Result<ManifestRow> {
        let row = permit.row().ok_or(RegistryError::ManifestUnknown)?;
        check_readable(&row.locks, "the repository")?;
        let manifest = self.store.manifest(row.id, reference).await?.ok_or(RegistryError::ManifestUnknown)?;
        check_readable(&manifest.locks, "the manifest")?;
        Ok(manifest)
    }

    /// Deletes a manifest, and the tags that point to it; answers those.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`], [`RegistryError::Locked`].
    pub async fn delete_manifest(&self, permit: &Permit<Delete>, digest: &Digest) -> Result<Vec<Tag>> {
        let repository = repository_id(permit).map_err(|_| RegistryError::ManifestUnknown)?;
        deleted(self.store.delete_manifest(repository, digest, self.clock.now()).await?)
    }

    /// Removes a tag and leaves its manifest.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`], [`RegistryError::Locked`].
    pub async fn delete_tag(&self, permit: &Permit<Delete>, tag: &Tag) -> Result<()> {
        self.remove_tag(permit, tag).await
    }

    /// The same for who may change metadata only.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`], [`RegistryError::Locked`].
    pub async fn untag(&self, permit: &Permit<MetadataWrite>, tag: &Tag) -> Result<()> {
        self.remove_tag(permit, tag).await
    }

    async fn remove_tag<A>(&self, permit: &Permit<A>, tag: &Tag) -> Result<()> {
        let repository = repository_id(permit).map_err(|_| RegistryError::ManifestUnknown)?;
        deleted(self.store.delete_tag(repository, tag, self.clock.now()).await?).map(|_| ())
    }

    /// The manifests that name `subject`, at most `limit` of them. A subject nobody refers to, or that is not here, has
    /// none.
    ///
    /// # Errors
    /// A lock, or the store.
    pub async fn referrers(
        &self,
        permit: &Permit<Pull>,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Referrers> {
        let Some(row) = permit.row() else {
            return Ok(Referrers { index: index_of(Vec::new()), next: None });
        };
        check_readable(&row.locks, "the repository")?;
        let limit = i64::from(limit);
        let mut rows = self.store.referrers(row.id, subject, artifact_type, after, limit + 1).await?;
        let more = rows.len() as i64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = rows.last().filter(|_| more).map(|row| row.digest.to_string());
        let mut descriptors: Vec<Value> = rows.iter().map(descriptor).collect();
        if after.is_none() {
            descriptors.extend(self.fallback_referrers(row.id, subject, artifact_type, &rows).await?);
        }
        Ok(Referrers { index: index_of(descriptors), next })
    }

    /// What clients listed under the fallback tag `<algorithm>-<hex>` when the registry they wrote to had no referrers
    /// list, and a copy brought here (OCI distribution 1.1, "Referrers Tag Schema"). What our own list has is left out.
    async fn fallback_referrers(
        &self,
        repository: uuid::Uuid,
        subject: &Digest,
        artifact_type: Option<&str>,
        known: &[ReferrerRow],
    ) -> Result<Vec<Value>> {
        let tag = format!("{}-{}", subject.algorithm().as_str(), subject.hex());
        let tag: String = tag.chars().take(128).collect();
        let Ok(tag) = tag.parse::<Tag>() else { return Ok(Vec::new()) };
        let Some(row) = self.store.manifest(repository, &Reference::Tag(tag)).await? else { return Ok(Vec::new()) };
        if row.media_type != OCI_INDEX || !row.locks.read_enabled {
            return Ok(Vec::new());
        }
        let Ok(mut index) = serde_json::from_slice::<Value>(&row.body) else { return Ok(Vec::new()) };
        let Some(listed) = index.get_mut("manifests").and_then(Value::as_array_mut) else { return Ok(Vec::new()) };
        let mut listed = std::mem::take(listed);
        listed.retain(|entry| {
            let digest = entry.get("digest").and_then(Value::as_str).unwrap_or_default();
            let of_type = artifact_type.is_none() || entry.get("artifactType").and_then(Value::as_str) == artifact_type;
            of_type && !known.iter().any(|row| row.digest.as_str() == digest)
        });
        Ok(listed)
    }
}

fn deleted(outcome: DeleteOutcome) -> Result<Vec<Tag>> {
    match outcome {
        DeleteOutcome::Deleted { tags } => Ok(tags),
        DeleteOutcome::NotFound => Err(RegistryError::ManifestUnknown),
        DeleteOutcome::Locked { what } => Err(RegistryError::Locked { what }),
    }
}

fn index_of(manifests: Vec<Value>) -> Value {
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})
}

fn descriptor(row: &ReferrerRow) -> Value {
    let mut descriptor = json!({"mediaType": row.media_type, "digest": row.digest, "size": row.size});
    if let Some(artifact_type) = &row.artifact_type {
        descriptor["artifactType"] = json!(artifact_type);
    }
    if let Some(annotations) = row.annotations.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        descriptor["annotations"] = annotations;
    }
    descriptor
}
