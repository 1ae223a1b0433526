//! Storing a manifest: one transaction that checks everything and then writes everything.

use std::collections::BTreeSet;

use shorepass_core::Digest;
use sqlx::{QueryBuilder, Row as _};
use uuid::Uuid;

use super::repositories::{self, Hold};
use super::{Connection, Db, Sql, query, tags};
use crate::rows::{ManifestRow, PutManifest, PutOutcome, RepositoryRow};

/// Digests in one statement: SQLite takes 32,766 parameters, and a prepared statement shall stay small.
const CHUNK: usize = 500;

pub(super) async fn put(conn: &mut Connection, put: &PutManifest) -> Sql<PutOutcome> {
    let needs_content = !(put.blobs.is_empty() && put.required_manifests.is_empty());
    let found = repositories::hold_named(conn, &put.target, Hold::Exclusive).await?;
    let mut repository = match found {
        Some(repository) => repository,
        // Without a repository nothing that is needed is there; and a refused manifest must not leave one behind.
        None if needs_content => {
            return Ok(PutOutcome::Missing { blobs: put.blobs.clone(), manifests: put.required_manifests.clone() });
        }
        None => repositories::hold_or_create(conn, &put.target, Hold::Exclusive).await?,
    };
    if let Some(what) = what_locks(conn, &repository, put).await? {
        return Ok(PutOutcome::Locked { what });
    }
    let blobs =
        missing(conn, "select digest from blob_links where repository_id = ", repository.id, &put.blobs).await?;
    let manifests =
        missing(conn, "select digest from manifests where repository_id = ", repository.id, &put.required_manifests)
            .await?;
    if !(blobs.is_empty() && manifests.is_empty()) {
        return Ok(PutOutcome::Missing { blobs, manifests });
    }
    let created = insert(conn, repository.id, put).await?;
    for tag in &put.tags {
        tags::put(conn, repository.id, tag, &put.manifest.digest, put.target.now).await?;
    }
    repositories::touch(conn, repository.id, put.target.now).await?;
    repository.updated_at = put.target.now;
    Ok(PutOutcome::Stored { repository, created })
}

/// A tag that already points to the manifest does not move, so its lock is no obstacle; nor is one of the manifest, whose
/// bytes cannot change.
async fn what_locks(conn: &mut Connection, repository: &RepositoryRow, put: &PutManifest) -> Sql<Option<String>> {
    if !repository.locks.write_enabled {
        return Ok(Some(repositories::what_repository(repository)));
    }
    for name in &put.tags {
        if let Some(tag) = tags::by_name(conn, repository.id, name).await?
            && !tag.locks.write_enabled
            && tag.digest != put.manifest.digest
        {
            return Ok(Some(format!("tag {name}")));
        }
    }
    Ok(None)
}

/// Those of `wanted` that `select` (up to its repository's id) does not find, each once, in the order given.
async fn missing(
    conn: &mut Connection,
    select: &'static str,
    repository_id: Uuid,
    wanted: &[Digest],
) -> Sql<Vec<Digest>> {
    let mut found = BTreeSet::new();
    for chunk in wanted.chunks(CHUNK) {
        let mut builder = QueryBuilder::<Db>::new(select);
        builder.push_bind(repository_id).push(" and digest in (");
        let mut list = builder.separated(", ");
        for digest in chunk {
            list.push_bind(digest.as_str());
        }
        builder.push(")");
        for row in builder.build().persistent(false).fetch_all(&mut *conn).await? {
            found.insert(row.try_get::<String, _>("digest")?);
        }
    }
    // What is reported once counts as found from then on.
    Ok(wanted.iter().filter(|digest| found.insert(digest.as_str().to_owned())).cloned().collect())
}

/// `false` when it was here before: then it is the same, byte for byte, and so is what it references.
async fn insert(conn: &mut Connection, repository_id: Uuid, put: &PutManifest) -> Sql<bool> {
    if insert_row(conn, repository_id, put).await? {
        refer(conn, repository_id, &put.manifest.digest, "blob", &put.blobs).await?;
        refer(conn, repository_id, &put.manifest.digest, "manifest", &put.manifests).await?;
        return Ok(true);
    }
    query("update manifests set updated_at = $3 where repository_id = $1 and digest = $2")
        .bind(repository_id)
        .bind(put.manifest.digest.as_str())
        .bind(put.target.now.millis())
        .execute(conn)
        .await?;
    Ok(false)
}

async fn insert_row(conn: &mut Connection, repository_id: Uuid, put: &PutManifest) -> Sql<bool> {
    let ManifestRow { digest, media_type, artifact_type, config_media_type, subject, annotations, .. } = &put.manifest;
    let ManifestRow { image_size, architecture, os, body, quarantine_state, .. } = &put.manifest;
    let inserted = query(
        "insert into manifests (repository_id, digest, media_type, artifact_type, config_media_type, subject, annotations,
            size, image_size, architecture, os, created_at, updated_at, body, quarantine_state)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14)
         on conflict (repository_id, digest) do nothing",
    )
    .bind(repository_id)
    .bind(digest.as_str())
    .bind(media_type)
    .bind(artifact_type)
    .bind(config_media_type)
    .bind(subject.as_ref().map(Digest::as_str))
    .bind(annotations)
    .bind(i64::try_from(body.len()).unwrap_or(i64::MAX))
    .bind(image_size)
    .bind(architecture)
    .bind(os)
    .bind(put.target.now.millis())
    .bind(body)
    .bind(quarantine_state)
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

async fn refer(
    conn: &mut Connection,
    repository_id: Uuid,
    manifest: &Digest,
    kind: &'static str,
    digests: &[Digest],
) -> Sql<()> {
    for chunk in digests.chunks(CHUNK) {
        let mut builder =
            QueryBuilder::<Db>::new("insert into manifest_refs (repository_id, manifest_digest, kind, ref_digest) ");
        builder.push_values(chunk, |mut row, digest| {
            row.push_bind(repository_id).push_bind(manifest.as_str()).push_bind(kind).push_bind(digest.as_str());
        });
        builder.push(" on conflict do nothing");
        builder.build().persistent(false).execute(&mut *conn).await?;
    }
    Ok(())
}
