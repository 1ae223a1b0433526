//! Grants: what is valid for minutes, and most of it once.

use shorepass_core::Timestamp;
use sqlx::Row as _;

use super::rows::{page, time};
use super::{Connection, Row, Sql, query};
use crate::resources::GrantRow;

pub(super) const BY_KEY: &str = "select kind, key_hash, body, version, expires_at from grants
     where kind = $1 and key_hash = $2 and expires_at > $3";

/// By who is not in the way of a transaction that holds one of them.
pub(super) const EXPIRE: &str = "delete from grants where (kind, key_hash) in
    (select kind, key_hash from grants where expires_at <= $1 order by expires_at limit $2)";

pub(super) async fn put(conn: &mut Connection, grant: &GrantRow) -> Sql<bool> {
    let put = query(
        "insert into grants (kind, key_hash, body, version, expires_at) values ($1, $2, $3, $4, $5)
         on conflict (kind, key_hash) do nothing",
    )
    .bind(&grant.kind)
    .bind(&grant.key_hash)
    .bind(&grant.body)
    .bind(grant.version)
    .bind(grant.expires_at.millis())
    .execute(conn)
    .await?;
    Ok(put.rows_affected() > 0)
}

pub(super) async fn take(conn: &mut Connection, kind: &str, key_hash: &[u8], now: Timestamp) -> Sql<Option<GrantRow>> {
    let row = query(
        "delete from grants where kind = $1 and key_hash = $2 and expires_at > $3
         returning kind, key_hash, body, version, expires_at",
    )
    .bind(kind)
    .bind(key_hash)
    .bind(now.millis())
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(grant).transpose()
}

pub(super) async fn by_key(
    conn: &mut Connection,
    kind: &str,
    key_hash: &[u8],
    now: Timestamp,
) -> Sql<Option<GrantRow>> {
    let row = query(BY_KEY).bind(kind).bind(key_hash).bind(now.millis()).fetch_optional(conn).await?;
    row.as_ref().map(grant).transpose()
}

pub(super) async fn update(conn: &mut Connection, grant: &GrantRow, now: Timestamp) -> Sql<bool> {
    let updated = query(
        "update grants set body = $4, expires_at = $5, version = version + 1
         where kind = $1 and key_hash = $2 and version = $3 and expires_at > $6",
    )
    .bind(&grant.kind)
    .bind(&grant.key_hash)
    .bind(grant.version)
    .bind(&grant.body)
    .bind(grant.expires_at.millis())
    .bind(now.millis())
    .execute(conn)
    .await?;
    Ok(updated.rows_affected() > 0)
}

pub(super) async fn expire(conn: &mut Connection, now: Timestamp, limit: i64) -> Sql<i64> {
    let expired = query(EXPIRE).bind(now.millis()).bind(page(limit)).execute(conn).await?;
    Ok(i64::try_from(expired.rows_affected()).unwrap_or(i64::MAX))
}

fn grant(row: &Row) -> Sql<GrantRow> {
    Ok(GrantRow {
        kind: row.try_get("kind")?,
        key_hash: row.try_get("key_hash")?,
        body: row.try_get("body")?,
        version: row.try_get("version")?,
        expires_at: time(row, "expires_at")?,
    })
}
