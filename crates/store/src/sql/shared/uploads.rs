//! Uploads under way.

use shorepass_core::Timestamp;
use sqlx::Row as _;
use uuid::Uuid;

use super::rows::{page, parsed, time};
use super::{Connection, Row, Sql, collect, query};
use crate::rows::UploadRow;

macro_rules! select_uploads {
    () => {
        "select id, registry_id, repository, principal, key, received, state, version, created_at, updated_at from uploads"
    };
}

pub(super) const STALE: &str = concat!(select_uploads!(), " where updated_at < $1 order by updated_at limit $2");

pub(super) async fn create(conn: &mut Connection, upload: &UploadRow) -> Sql<()> {
    query(
        "insert into uploads
            (id, registry_id, repository, principal, key, received, state, version, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(upload.id)
    .bind(upload.registry_id)
    .bind(upload.repository.as_str())
    .bind(&upload.principal)
    .bind(&upload.key)
    .bind(upload.offset)
    .bind(&upload.state)
    .bind(upload.version)
    .bind(upload.created_at.millis())
    .bind(upload.updated_at.millis())
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn by_id(conn: &mut Connection, id: Uuid) -> Sql<Option<UploadRow>> {
    let row = query(concat!(select_uploads!(), " where id = $1")).bind(id).fetch_optional(conn).await?;
    row.as_ref().map(upload).transpose()
}

pub(super) async fn save(conn: &mut Connection, upload: &UploadRow) -> Sql<bool> {
    let saved = query(
        "update uploads set received = $3, state = $4, updated_at = $5, version = version + 1
         where id = $1 and version = $2",
    )
    .bind(upload.id)
    .bind(upload.version)
    .bind(upload.offset)
    .bind(&upload.state)
    .bind(upload.updated_at.millis())
    .execute(conn)
    .await?;
    Ok(saved.rows_affected() > 0)
}

/// Its object is finished and has an owner now. `false` without such an upload.
pub(super) async fn forget(conn: &mut Connection, id: Uuid) -> Sql<bool> {
    Ok(query("delete from uploads where id = $1").bind(id).execute(conn).await?.rows_affected() > 0)
}

pub(super) async fn delete(conn: &mut Connection, id: Uuid) -> Sql<bool> {
    let row =
        query("delete from uploads where id = $1 returning key, state").bind(id).fetch_optional(&mut *conn).await?;
    let Some(row) = row else { return Ok(false) };
    collect::bury(conn, row.try_get("key")?, row.try_get("state")?).await?;
    Ok(true)
}

pub(super) async fn stale(conn: &mut Connection, before: Timestamp, limit: i64) -> Sql<Vec<UploadRow>> {
    let rows = query(STALE).bind(before.millis()).bind(page(limit)).fetch_all(conn).await?;
    rows.iter().map(upload).collect()
}

fn upload(row: &Row) -> Sql<UploadRow> {
    Ok(UploadRow {
        id: row.try_get("id")?,
        registry_id: row.try_get("registry_id")?,
        repository: parsed(row, "repository")?,
        principal: row.try_get("principal")?,
        key: row.try_get("key")?,
        offset: row.try_get("received")?,
        state: row.try_get("state")?,
        version: row.try_get("version")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
