//! Deleting manifests and tags.

use shorepass_core::{Digest, Tag, Timestamp};
use sqlx::Row as _;
use uuid::Uuid;

use super::rows::{deletable, parsed};
use super::{Connection, Sql, collect, manifests, query, repositories, tags};
use crate::rows::DeleteOutcome;

pub(super) const LOCKED_TAG_OF: &str = "select name from tags
     where repository_id = $1 and digest = $2 and (delete_enabled = false or write_enabled = false) order by name limit 1";

pub(super) const DELETE_TAGS_OF: &str = "delete from tags where repository_id = $1 and digest = $2 returning name";

/// The blobs of a manifest that goes: whether another needs them is looked at later.
pub(super) const REVIEW_LOST_LINKS: &str = "insert into link_reviews (repository_id, digest, due_at)
     select repository_id, ref_digest, $3 from manifest_refs
     where repository_id = $1 and manifest_digest = $2 and kind = 'blob'
     on conflict (repository_id, digest) do update set due_at = excluded.due_at";

pub(super) async fn manifest(
    conn: &mut Connection,
    repository_id: Uuid,
    digest: &Digest,
    now: Timestamp,
) -> Sql<DeleteOutcome> {
    let Some(repository) = repositories::hold(conn, repository_id).await? else { return Ok(DeleteOutcome::NotFound) };
    let Some(summary) = manifests::summary(conn, repository_id, digest).await? else {
        return Ok(DeleteOutcome::NotFound);
    };
    let own_lock = || (!deletable(summary.locks)).then(|| format!("manifest {digest}"));
    if let Some(what) = repositories::own_lock(&repository).or_else(own_lock) {
        return Ok(DeleteOutcome::Locked { what });
    }
    if let Some(tag) = query(LOCKED_TAG_OF).bind(repository_id).bind(digest.as_str()).fetch_optional(&mut *conn).await?
    {
        return Ok(DeleteOutcome::Locked { what: format!("tag {}", tag.try_get::<String, _>("name")?) });
    }
    let tags = remove_manifest(conn, repository_id, digest, now).await?;
    repositories::touch(conn, repository_id, now).await?;
    Ok(DeleteOutcome::Deleted { tags })
}

async fn remove_manifest(conn: &mut Connection, repository_id: Uuid, digest: &Digest, now: Timestamp) -> Sql<Vec<Tag>> {
    let rows = query(DELETE_TAGS_OF).bind(repository_id).bind(digest.as_str()).fetch_all(&mut *conn).await?;
    let mut tags: Vec<Tag> = rows.iter().map(|row| parsed(row, "name")).collect::<Sql<_>>()?;
    tags.sort();
    query(REVIEW_LOST_LINKS)
        .bind(repository_id)
        .bind(digest.as_str())
        .bind(collect::due(digest.as_str(), now))
        .execute(&mut *conn)
        .await?;
    for statement in [
        "delete from manifest_refs where repository_id = $1 and manifest_digest = $2",
        "delete from manifests where repository_id = $1 and digest = $2",
    ] {
        query(statement).bind(repository_id).bind(digest.as_str()).execute(&mut *conn).await?;
    }
    Ok(tags)
}

pub(super) async fn tag(conn: &mut Connection, repository_id: Uuid, name: &Tag, now: Timestamp) -> Sql<DeleteOutcome> {
    let Some(repository) = repositories::hold(conn, repository_id).await? else { return Ok(DeleteOutcome::NotFound) };
    let Some(tag) = tags::by_name(conn, repository_id, name).await? else { return Ok(DeleteOutcome::NotFound) };
    let own_lock = || (!deletable(tag.locks)).then(|| format!("tag {name}"));
    if let Some(what) = repositories::own_lock(&repository).or_else(own_lock) {
        return Ok(DeleteOutcome::Locked { what });
    }
    query("delete from tags where repository_id = $1 and name = $2")
        .bind(repository_id)
        .bind(name.as_str())
        .execute(&mut *conn)
        .await?;
    repositories::touch(conn, repository_id, now).await?;
    Ok(DeleteOutcome::Deleted { tags: vec![tag.name] })
}
