//! Blobs and their links to repositories.

use shorepass_core::{Digest, Timestamp};
use sqlx::Row as _;
use uuid::Uuid;

use super::repositories::{self, Hold};
use super::{Connection, Fault, Sql, collect, query, rows, uploads};
use crate::rows::{BlobRow, DeleteOutcome, RepositoryRow, Target};

pub(super) const BY_LINK: &str = "select b.key, b.size from blob_links l join blobs b on b.digest = l.digest
     where l.repository_id = $1 and l.digest = $2";

pub(super) const MOUNT_SOURCE: &str = "select l.digest from blob_links l join repositories r on r.id = l.repository_id
     where l.repository_id = $1 and l.digest = $2 and r.deleted_at is null";

pub(super) const USED_BY: &str = "select manifest_digest from manifest_refs
     where repository_id = $1 and ref_digest = $2 and kind = 'blob' limit 1";

pub(super) async fn linked(conn: &mut Connection, repository_id: Uuid, digest: &Digest) -> Sql<Option<BlobRow>> {
    let row = query(BY_LINK).bind(repository_id).bind(digest.as_str()).fetch_optional(conn).await?;
    row.map(|row| rows::blob(&row, digest)).transpose()
}

pub(super) async fn commit(
    conn: &mut Connection,
    target: &Target,
    blob: &BlobRow,
    upload: Option<Uuid>,
) -> Sql<Option<(RepositoryRow, BlobRow)>> {
    if let Some(id) = upload
        && !uploads::forget(conn, id).await?
    {
        return Ok(None);
    }
    let repository = repositories::hold_or_create(conn, target, Hold::Shared).await?;
    query("insert into blobs (digest, key, size) values ($1, $2, $3) on conflict (digest) do nothing")
        .bind(blob.digest.as_str())
        .bind(&blob.key)
        .bind(blob.size)
        .execute(&mut *conn)
        .await?;
    let held = link(conn, repository.id, &blob.digest, target.now).await?;
    if held.key != blob.key {
        collect::bury(conn, &blob.key, None).await?;
    }
    Ok(Some((repository, held)))
}

pub(super) async fn mount(
    conn: &mut Connection,
    source: Uuid,
    target: &Target,
    digest: &Digest,
) -> Sql<Option<BlobRow>> {
    if query(MOUNT_SOURCE).bind(source).bind(digest.as_str()).fetch_optional(&mut *conn).await?.is_none() {
        return Ok(None);
    }
    let repository = repositories::hold_or_create(conn, target, Hold::Shared).await?;
    link(conn, repository.id, digest, target.now).await.map(Some)
}

/// Links the blob. Collection may have removed its row a moment ago: then the transaction begins again.
async fn link(conn: &mut Connection, repository_id: Uuid, digest: &Digest, now: Timestamp) -> Sql<BlobRow> {
    let row = query(concat!("select key, size from blobs where digest = $1", for_share!()))
        .bind(digest.as_str())
        .fetch_optional(&mut *conn)
        .await?
        .ok_or_else(|| Fault::overtaken("the blob"))?;
    query(
        "insert into blob_links (repository_id, digest) values ($1, $2) on conflict (repository_id, digest) do nothing",
    )
    .bind(repository_id)
    .bind(digest.as_str())
    .execute(&mut *conn)
    .await?;
    collect::review_link(conn, repository_id, digest, now).await?;
    rows::blob(&row, digest)
}

pub(super) async fn unlink(
    conn: &mut Connection,
    repository_id: Uuid,
    digest: &Digest,
    now: Timestamp,
) -> Sql<DeleteOutcome> {
    let Some(repository) = repositories::hold(conn, repository_id).await? else { return Ok(DeleteOutcome::NotFound) };
    if linked(conn, repository_id, digest).await?.is_none() {
        return Ok(DeleteOutcome::NotFound);
    }
    if let Some(what) = repositories::own_lock(&repository) {
        return Ok(DeleteOutcome::Locked { what });
    }
    if let Some(user) = query(USED_BY).bind(repository_id).bind(digest.as_str()).fetch_optional(&mut *conn).await? {
        return Ok(DeleteOutcome::Locked {
            what: format!("manifest {}", user.try_get::<String, _>("manifest_digest")?),
        });
    }
    query("delete from blob_links where repository_id = $1 and digest = $2")
        .bind(repository_id)
        .bind(digest.as_str())
        .execute(&mut *conn)
        .await?;
    collect::review_blob(conn, digest.as_str(), now).await?;
    Ok(DeleteOutcome::Deleted { tags: Vec::new() })
}
