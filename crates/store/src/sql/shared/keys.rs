//! The policy generation, server-wide secrets and signing keys.

use shorepass_core::Timestamp;
use sqlx::Row as _;

use super::rows::time;
use super::{Connection, Row, Sql, query};
use crate::rows::SigningKeyRow;

pub(super) async fn generation(conn: &mut Connection) -> Sql<i64> {
    Ok(query("select generation from policy").fetch_one(conn).await?.try_get("generation")?)
}

/// The last thing a transaction does: everybody who changes policy waits for this row.
pub(super) async fn raise_generation(conn: &mut Connection) -> Sql<()> {
    raise_generation_by(conn, 1).await.map(drop)
}

/// Answers the new one.
pub(super) async fn raise_generation_by(conn: &mut Connection, steps: i64) -> Sql<i64> {
    let row = query("update policy set generation = generation + $1 returning generation").bind(steps).fetch_one(conn);
    Ok(row.await?.try_get("generation")?)
}

/// Until the end of the transaction nobody else is in a part that begins with this.
pub(super) async fn alone(conn: &mut Connection) -> Sql<()> {
    query(concat!("select generation from policy", for_update!())).fetch_one(conn).await?;
    Ok(())
}

pub(super) async fn secret(conn: &mut Connection, name: &str, candidate: &[u8]) -> Sql<Vec<u8>> {
    query("insert into server_secrets (name, value) values ($1, $2) on conflict (name) do nothing")
        .bind(name)
        .bind(candidate)
        .execute(&mut *conn)
        .await?;
    let row = query("select value from server_secrets where name = $1").bind(name).fetch_one(conn).await?;
    Ok(row.try_get("value")?)
}

pub(super) async fn signing_keys(conn: &mut Connection, now: Timestamp) -> Sql<Vec<SigningKeyRow>> {
    let rows = query(
        "select kid, algorithm, private_key, certificate, created_at, active_at, retired_at from signing_keys
         where retired_at is null or retired_at > $1 order by created_at, kid",
    )
    .bind(now.millis())
    .fetch_all(conn)
    .await?;
    rows.iter().map(signing_key).collect()
}

fn signing_key(row: &Row) -> Sql<SigningKeyRow> {
    Ok(SigningKeyRow {
        kid: row.try_get("kid")?,
        algorithm: row.try_get("algorithm")?,
        private_key: row.try_get("private_key")?,
        certificate: row.try_get("certificate")?,
        created_at: time(row, "created_at")?,
        active_at: time(row, "active_at")?,
        retired_at: row.try_get::<Option<i64>, _>("retired_at")?.map(Timestamp::from_millis),
    })
}

pub(super) async fn add_signing_key(
    conn: &mut Connection,
    key: &SigningKeyRow,
    retire_others_at: Timestamp,
    only_if_none: bool,
) -> Sql<bool> {
    alone(conn).await?;
    if only_if_none && !signing_keys(conn, key.created_at).await?.is_empty() {
        return Ok(false);
    }
    query("update signing_keys set retired_at = $1 where retired_at is null or retired_at > $1")
        .bind(retire_others_at.millis())
        .execute(&mut *conn)
        .await?;
    query(
        "insert into signing_keys (kid, algorithm, private_key, certificate, created_at, active_at, retired_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&key.kid)
    .bind(&key.algorithm)
    .bind(&key.private_key)
    .bind(&key.certificate)
    .bind(key.created_at.millis())
    .bind(key.active_at.millis())
    .bind(key.retired_at.map(Timestamp::millis))
    .execute(conn)
    .await?;
    Ok(true)
}
