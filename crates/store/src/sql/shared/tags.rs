//! Tags.

use shorepass_core::{Digest, Tag, Timestamp};
use uuid::Uuid;

use super::rows::{page, tag};
use super::{Connection, Sql, query, repositories};
use crate::rows::{LocksPatch, TagRow};

pub(super) const BY_NAME: &str =
    concat!("select ", tag_columns!(), " from tags t where t.repository_id = $1 and t.name = $2");

pub(super) const LIST: &str = concat!(
    "select ",
    tag_columns!(),
    " from tags t where t.repository_id = $1 and t.name > $2 and (t.list_enabled or not $4) order by t.name limit $3"
);

pub(super) async fn by_name(conn: &mut Connection, repository_id: Uuid, name: &Tag) -> Sql<Option<TagRow>> {
    let row = query(BY_NAME).bind(repository_id).bind(name.as_str()).fetch_optional(conn).await?;
    row.as_ref().map(tag).transpose()
}

pub(super) async fn list(
    conn: &mut Connection,
    repository_id: Uuid,
    after: Option<&str>,
    limit: i64,
    listed_only: bool,
) -> Sql<Vec<TagRow>> {
    let rows = query(LIST)
        .bind(repository_id)
        .bind(after.unwrap_or_default())
        .bind(page(limit))
        .bind(listed_only)
        .fetch_all(conn)
        .await?;
    rows.iter().map(tag).collect()
}

/// Creates the tag or moves it; its locks and the time of its creation stay.
pub(super) async fn put(
    conn: &mut Connection,
    repository_id: Uuid,
    name: &Tag,
    digest: &Digest,
    now: Timestamp,
) -> Sql<()> {
    query(
        "insert into tags (repository_id, name, digest, created_at, updated_at) values ($1, $2, $3, $4, $4)
         on conflict (repository_id, name) do update set digest = excluded.digest, updated_at = excluded.updated_at",
    )
    .bind(repository_id)
    .bind(name.as_str())
    .bind(digest.as_str())
    .bind(now.millis())
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn lock(
    conn: &mut Connection,
    repository_id: Uuid,
    name: &Tag,
    patch: &LocksPatch,
    now: Timestamp,
) -> Sql<Option<TagRow>> {
    if repositories::hold(conn, repository_id).await?.is_none() {
        return Ok(None);
    }
    let update =
        query(concat!("update tags set updated_at = $7, ", patch_locks!(), " where repository_id = $1 and name = $2"))
            .bind(repository_id)
            .bind(name.as_str());
    bind_patch!(update, patch).bind(now.millis()).execute(&mut *conn).await?;
    by_name(conn, repository_id, name).await
}
