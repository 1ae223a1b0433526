//! Manifests: reading, listing and locking them, and who refers to them.

use shorepass_core::{Digest, Reference, Timestamp};
use sqlx::Row as _;
use uuid::Uuid;

use super::rows::{locks, manifest, page, parsed, time};
use super::{Connection, Row, Sql, query, repositories};
use crate::rows::{LocksPatch, ManifestRow, ManifestSummary, ReferrerRow};

macro_rules! manifest_columns {
    () => {
        "m.digest, m.media_type, m.artifact_type, m.config_media_type, m.subject, m.annotations, m.image_size, \
         m.architecture, m.os, m.quarantine_state, m.created_at, m.updated_at, m.body"
    };
}

pub(super) const BY_DIGEST: &str = concat!(
    "select ",
    manifest_columns!(),
    ", ",
    lock_columns!("m"),
    " from manifests m where m.repository_id = $1 and m.digest = $2"
);

pub(super) const BY_TAG: &str = concat!(
    "select ",
    manifest_columns!(),
    ", (m.delete_enabled and t.delete_enabled) as delete_enabled, (m.write_enabled and t.write_enabled) as write_enabled,
       (m.read_enabled and t.read_enabled) as read_enabled, (m.list_enabled and t.list_enabled) as list_enabled
     from tags t join manifests m on m.repository_id = t.repository_id and m.digest = t.digest
     where t.repository_id = $1 and t.name = $2"
);

macro_rules! summary_columns {
    () => {
        concat!(
            "m.digest, m.media_type, m.artifact_type, m.config_media_type, m.image_size, m.architecture, m.os,
             m.quarantine_state, m.created_at, m.updated_at, ",
            lock_columns!("m")
        )
    };
}

/// A manifest once per tag, and once when it has none.
pub(super) const SUMMARY: &str = concat!(
    "select ",
    summary_columns!(),
    ", t.name as tag from manifests m
     left join tags t on t.repository_id = m.repository_id and t.digest = m.digest
     where m.repository_id = $1 and m.digest = $2 order by t.name"
);

pub(super) const LIST: &str = concat!(
    "select ",
    summary_columns!(),
    ", t.name as tag
     from (select * from manifests p where p.repository_id = $1 and p.digest > $2 order by p.digest limit $3) as m
     left join tags t on t.repository_id = $1 and t.digest = m.digest
     order by m.digest, t.name"
);

pub(super) const REFERRERS: &str = "select digest, media_type, artifact_type, size, annotations from manifests
     where repository_id = $1 and subject = $2 and digest > $3 and ($4 is null or artifact_type = $4)
     order by digest limit $5";

pub(super) async fn by_reference(
    conn: &mut Connection,
    repository_id: Uuid,
    reference: &Reference,
) -> Sql<Option<ManifestRow>> {
    let (text, name) = match reference {
        Reference::Digest(digest) => (BY_DIGEST, digest.as_str()),
        Reference::Tag(tag) => (BY_TAG, tag.as_str()),
    };
    let row = query(text).bind(repository_id).bind(name).fetch_optional(conn).await?;
    row.as_ref().map(manifest).transpose()
}

pub(super) async fn summary(
    conn: &mut Connection,
    repository_id: Uuid,
    digest: &Digest,
) -> Sql<Option<ManifestSummary>> {
    Ok(summaries(&query(SUMMARY).bind(repository_id).bind(digest.as_str()).fetch_all(conn).await?)?.pop())
}

pub(super) async fn list(
    conn: &mut Connection,
    repository_id: Uuid,
    after: Option<&str>,
    limit: i64,
) -> Sql<Vec<ManifestSummary>> {
    let rows =
        query(LIST).bind(repository_id).bind(after.unwrap_or_default()).bind(page(limit)).fetch_all(conn).await?;
    summaries(&rows)
}

pub(super) async fn lock(
    conn: &mut Connection,
    repository_id: Uuid,
    digest: &Digest,
    patch: &LocksPatch,
    now: Timestamp,
) -> Sql<Option<ManifestSummary>> {
    if repositories::hold(conn, repository_id).await?.is_none() {
        return Ok(None);
    }
    let update = query(concat!(
        "update manifests set updated_at = $7, ",
        patch_locks!(),
        " where repository_id = $1 and digest = $2"
    ))
    .bind(repository_id)
    .bind(digest.as_str());
    bind_patch!(update, patch).bind(now.millis()).execute(&mut *conn).await?;
    summary(conn, repository_id, digest).await
}

pub(super) async fn set_quarantine(
    conn: &mut Connection,
    repository_id: Uuid,
    digest: &Digest,
    state: Option<&str>,
    now: Timestamp,
) -> Sql<Option<ManifestSummary>> {
    if repositories::hold(conn, repository_id).await?.is_none() {
        return Ok(None);
    }
    query("update manifests set quarantine_state = $3, updated_at = $4 where repository_id = $1 and digest = $2")
        .bind(repository_id)
        .bind(digest.as_str())
        .bind(state)
        .bind(now.millis())
        .execute(&mut *conn)
        .await?;
    summary(conn, repository_id, digest).await
}

pub(super) async fn referrers(
    conn: &mut Connection,
    repository_id: Uuid,
    subject: &Digest,
    artifact_type: Option<&str>,
    after: Option<&str>,
    limit: i64,
) -> Sql<Vec<ReferrerRow>> {
    let rows = query(REFERRERS)
        .bind(repository_id)
        .bind(subject.as_str())
        .bind(after.unwrap_or_default())
        .bind(artifact_type)
        .bind(page(limit))
        .fetch_all(conn)
        .await?;
    rows.iter().map(referrer).collect()
}

fn referrer(row: &Row) -> Sql<ReferrerRow> {
    Ok(ReferrerRow {
        digest: parsed(row, "digest")?,
        media_type: row.try_get("media_type")?,
        artifact_type: row.try_get("artifact_type")?,
        size: row.try_get("size")?,
        annotations: row.try_get("annotations")?,
    })
}

/// Rows of one manifest stand together.
fn summaries(rows: &[Row]) -> Sql<Vec<ManifestSummary>> {
    let mut summaries: Vec<ManifestSummary> = Vec::new();
    for row in rows {
        let digest: Digest = parsed(row, "digest")?;
        if summaries.last().is_none_or(|last| last.digest != digest) {
            summaries.push(untagged(row, digest)?);
        }
        if let (Some(tag), Some(summary)) = (super::rows::parsed_opt(row, "tag")?, summaries.last_mut()) {
            summary.tags.push(tag);
        }
    }
    Ok(summaries)
}

fn untagged(row: &Row, digest: Digest) -> Sql<ManifestSummary> {
    Ok(ManifestSummary {
        digest,
        media_type: row.try_get("media_type")?,
        artifact_type: row.try_get("artifact_type")?,
        config_media_type: row.try_get("config_media_type")?,
        image_size: row.try_get("image_size")?,
        architecture: row.try_get("architecture")?,
        os: row.try_get("os")?,
        locks: locks(row)?,
        quarantine_state: row.try_get("quarantine_state")?,
        tags: Vec::new(),
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
