//! Collection of links and blobs that nothing needs, and the list of dead objects.
//!
//! Invariants: a link that no manifest needs has a review; a blob without links has a review; an object that neither a
//! blob nor an upload names is listed dead. Whoever makes a row superfluous enqueues it in the same transaction.

use shorepass_core::{Digest, Timestamp};
use sqlx::Row as _;
use uuid::Uuid;

use super::super::super::{REVIEW_GRACE, jitter};
use super::rows::page;
use super::{Connection, Sql, query, repositories};
use crate::meta::DeadObject;

pub(super) const LINKS_DUE: &str =
    "select repository_id, digest, due_at from link_reviews where due_at <= $1 order by due_at limit $2";

pub(super) const BLOBS_DUE: &str =
    "select digest, due_at from blob_reviews where due_at <= $1 order by due_at limit $2";

pub(super) const DELETE_UNNEEDED_LINK: &str = "delete from blob_links where repository_id = $1 and digest = $2
     and not exists (select 1 from manifest_refs
        where repository_id = $1 and ref_digest = $2 and kind = 'blob')";

pub(super) const DELETE_UNNEEDED_BLOB: &str = "delete from blobs where digest = $1
     and not exists (select 1 from blob_links where digest = $1) returning key";

pub(super) const DEAD_OBJECTS: &str = "select key, upload_state from dead_objects order by key limit $1";

/// A due entry of the links' queue.
pub(super) struct LinkReview {
    pub(super) repository_id: Uuid,
    pub(super) digest: String,
    pub(super) due_at: i64,
}

/// A due entry of the blobs' queue.
pub(super) struct BlobReview {
    pub(super) digest: String,
    pub(super) due_at: i64,
}

/// When to look at something that became superfluous now.
pub(super) fn due(name: &str, now: Timestamp) -> i64 {
    now.plus(REVIEW_GRACE).plus(jitter(name)).millis()
}

pub(super) async fn review_link(
    conn: &mut Connection,
    repository_id: Uuid,
    digest: &Digest,
    now: Timestamp,
) -> Sql<()> {
    query(
        "insert into link_reviews (repository_id, digest, due_at) values ($1, $2, $3)
         on conflict (repository_id, digest) do update set due_at = excluded.due_at",
    )
    .bind(repository_id)
    .bind(digest.as_str())
    .bind(due(digest.as_str(), now))
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn review_blob(conn: &mut Connection, digest: &str, now: Timestamp) -> Sql<()> {
    query(
        "insert into blob_reviews (digest, due_at) values ($1, $2)
         on conflict (digest) do update set due_at = excluded.due_at",
    )
    .bind(digest)
    .bind(due(digest, now))
    .execute(conn)
    .await?;
    Ok(())
}

/// Hands an object to whoever deletes dead ones.
pub(super) async fn bury(conn: &mut Connection, key: &str, upload_state: Option<&[u8]>) -> Sql<()> {
    query("insert into dead_objects (key, upload_state) values ($1, $2) on conflict (key) do nothing")
        .bind(key)
        .bind(upload_state)
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn links_due(conn: &mut Connection, now: Timestamp, limit: i64) -> Sql<Vec<LinkReview>> {
    let rows = query(LINKS_DUE).bind(now.millis()).bind(page(limit)).fetch_all(conn).await?;
    let entry = |row: &super::Row| {
        Ok(LinkReview {
            repository_id: row.try_get("repository_id")?,
            digest: row.try_get("digest")?,
            due_at: row.try_get("due_at")?,
        })
    };
    rows.iter().map(entry).collect()
}

pub(super) async fn blobs_due(conn: &mut Connection, now: Timestamp, limit: i64) -> Sql<Vec<BlobReview>> {
    let rows = query(BLOBS_DUE).bind(now.millis()).bind(page(limit)).fetch_all(conn).await?;
    rows.iter().map(|row| Ok(BlobReview { digest: row.try_get("digest")?, due_at: row.try_get("due_at")? })).collect()
}

/// Removes the link if no manifest of its repository needs it. The entry may have been put off since it was read.
pub(super) async fn look_at_link(conn: &mut Connection, review: &LinkReview, now: Timestamp) -> Sql<()> {
    let repository = repositories::hold(conn, review.repository_id).await?;
    let taken = query("delete from link_reviews where repository_id = $1 and digest = $2 and due_at = $3")
        .bind(review.repository_id)
        .bind(&review.digest)
        .bind(review.due_at)
        .execute(&mut *conn)
        .await?;
    // The links of a deleted repository go with it.
    let Some(repository) = repository.filter(|_| taken.rows_affected() > 0) else { return Ok(()) };
    if repositories::own_lock(&repository).is_some() {
        return put_off(conn, review, now).await;
    }
    let deleted =
        query(DELETE_UNNEEDED_LINK).bind(review.repository_id).bind(&review.digest).execute(&mut *conn).await?;
    if deleted.rows_affected() > 0 {
        review_blob(conn, &review.digest, now).await?;
    }
    Ok(())
}

/// A locked repository loses nothing, not even what nobody needs.
async fn put_off(conn: &mut Connection, review: &LinkReview, now: Timestamp) -> Sql<()> {
    query("insert into link_reviews (repository_id, digest, due_at) values ($1, $2, $3)")
        .bind(review.repository_id)
        .bind(&review.digest)
        .bind(due(&review.digest, now))
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes the blob if no repository links it.
pub(super) async fn look_at_blob(conn: &mut Connection, review: &BlobReview) -> Sql<()> {
    // Waits for whoever is linking it; what they linked is then seen below.
    query(concat!("select digest from blobs where digest = $1", for_update!()))
        .bind(&review.digest)
        .fetch_optional(&mut *conn)
        .await?;
    let taken = query("delete from blob_reviews where digest = $1 and due_at = $2")
        .bind(&review.digest)
        .bind(review.due_at)
        .execute(&mut *conn)
        .await?;
    if taken.rows_affected() == 0 {
        return Ok(());
    }
    if let Some(row) = query(DELETE_UNNEEDED_BLOB).bind(&review.digest).fetch_optional(&mut *conn).await? {
        bury(conn, row.try_get("key")?, None).await?;
    }
    Ok(())
}

pub(super) async fn dead_objects(conn: &mut Connection, limit: i64) -> Sql<Vec<DeadObject>> {
    let rows = query(DEAD_OBJECTS).bind(page(limit)).fetch_all(conn).await?;
    let object =
        |row: &super::Row| Ok(DeadObject { key: row.try_get("key")?, upload_state: row.try_get("upload_state")? });
    rows.iter().map(object).collect()
}

pub(super) async fn forget_dead_object(conn: &mut Connection, key: &str) -> Sql<()> {
    query("delete from dead_objects where key = $1").bind(key).execute(conn).await?;
    Ok(())
}
