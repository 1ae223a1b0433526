//! Collection of what deleted repositories and registries leave behind, some hundred rows at a time.

use shorepass_core::Timestamp;
use sqlx::Row as _;
use uuid::Uuid;

use super::super::super::TOMBSTONE_LIFE;
use super::rows::page;
use super::{Connection, Sql, collect, query, resources};

/// Rows of one kind that one transaction removes.
const STEP: i64 = 500;

pub(super) const REPOSITORIES_DUE: &str =
    "select repository_id as id from repository_reviews where due_at <= $1 order by due_at limit $2";
pub(super) const REGISTRIES_DUE: &str =
    "select registry_id as id from registry_reviews where due_at <= $1 order by due_at limit $2";

pub(super) const FIRST_TAGS: &str = "select max(name) as last
     from (select name from tags where repository_id = $1 order by name limit $2) as first";
pub(super) const DELETE_TAGS: &str = "delete from tags where repository_id = $1 and name <= $2";

pub(super) const FIRST_MANIFESTS: &str = "select max(digest) as last
     from (select digest from manifests where repository_id = $1 order by digest limit $2) as first";
pub(super) const DELETE_REFS: &str = "delete from manifest_refs where repository_id = $1 and manifest_digest <= $2";
pub(super) const DELETE_MANIFESTS: &str = "delete from manifests where repository_id = $1 and digest <= $2";

pub(super) const FIRST_LINKS: &str = "select max(digest) as last
     from (select digest from blob_links where repository_id = $1 order by digest limit $2) as first";
const REVIEW_BLOBS: &str = "insert into blob_reviews (digest, due_at)
     select digest, $3 from blob_links where repository_id = $1 and digest <= $2 order by digest
     on conflict (digest) do update set due_at = excluded.due_at";
pub(super) const DELETE_LINKS: &str = "delete from blob_links where repository_id = $1 and digest <= $2";
pub(super) const DELETE_LINK_REVIEWS: &str = "delete from link_reviews where repository_id = $1 and digest <= $2";

pub(super) const DELETE_LIVE_REPOSITORIES: &str = "update repositories set deleted_at = $2
     where id in (select id from repositories where registry_id = $1 and deleted_at is null order by name limit $3)
     returning id";
pub(super) const REPOSITORY_LEFT: &str = "select id from repositories where registry_id = $1 limit 1";

pub(super) async fn repositories_due(conn: &mut Connection, now: Timestamp, limit: i64) -> Sql<Vec<Uuid>> {
    ids(conn, REPOSITORIES_DUE, now, limit).await
}

pub(super) async fn registries_due(conn: &mut Connection, now: Timestamp, limit: i64) -> Sql<Vec<Uuid>> {
    ids(conn, REGISTRIES_DUE, now, limit).await
}

async fn ids(conn: &mut Connection, due: &'static str, now: Timestamp, limit: i64) -> Sql<Vec<Uuid>> {
    let rows = query(due).bind(now.millis()).bind(page(limit)).fetch_all(conn).await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// One step: some tags, manifests or links; when there are none left, the tombstone once it is old enough. The entry stays
/// due until then.
pub(super) async fn look_at_repository(conn: &mut Connection, id: Uuid, now: Timestamp) -> Sql<()> {
    let row =
        query(concat!("select deleted_at from repositories where id = $1 and deleted_at is not null", for_update!()))
            .bind(id)
            .fetch_optional(&mut *conn)
            .await?;
    let Some(row) = row else { return drop_review(conn, id).await };
    let deleted_at = Timestamp::from_millis(row.try_get("deleted_at")?);
    // In this order: tags name manifests.
    if remove_first(conn, id, FIRST_TAGS, &[DELETE_TAGS]).await?
        || remove_first(conn, id, FIRST_MANIFESTS, &[DELETE_REFS, DELETE_MANIFESTS]).await?
        || remove_links(conn, id, now).await?
    {
        return Ok(());
    }
    let gone_at = deleted_at.plus(TOMBSTONE_LIFE);
    if now <= gone_at {
        query("update repository_reviews set due_at = $2 where repository_id = $1")
            .bind(id)
            .bind(gone_at.millis() + 1)
            .execute(conn)
            .await?;
        return Ok(());
    }
    drop_review(conn, id).await?;
    query("delete from repositories where id = $1").bind(id).execute(conn).await?;
    Ok(())
}

async fn drop_review(conn: &mut Connection, repository_id: Uuid) -> Sql<()> {
    query("delete from repository_reviews where repository_id = $1").bind(repository_id).execute(conn).await?;
    Ok(())
}

/// The name of the last of the first `STEP` rows.
async fn last_of_first(conn: &mut Connection, repository_id: Uuid, first: &'static str) -> Sql<Option<String>> {
    Ok(query(first).bind(repository_id).bind(STEP).fetch_one(conn).await?.try_get("last")?)
}

/// `false` when there was nothing to remove.
async fn remove_first(
    conn: &mut Connection,
    repository_id: Uuid,
    first: &'static str,
    delete: &[&'static str],
) -> Sql<bool> {
    let Some(last) = last_of_first(conn, repository_id, first).await? else { return Ok(false) };
    for statement in delete {
        query(statement).bind(repository_id).bind(&last).execute(&mut *conn).await?;
    }
    Ok(true)
}

async fn remove_links(conn: &mut Connection, repository_id: Uuid, now: Timestamp) -> Sql<bool> {
    let Some(last) = last_of_first(conn, repository_id, FIRST_LINKS).await? else { return Ok(false) };
    query(REVIEW_BLOBS).bind(repository_id).bind(&last).bind(collect::due(&last, now)).execute(&mut *conn).await?;
    remove_first(conn, repository_id, FIRST_LINKS, &[DELETE_LINKS, DELETE_LINK_REVIEWS]).await
}

/// One step: deletes some of its resources, or of its repositories (their locks do not hold: the registry's deletion was the decision), or the
/// registry's row when the last of their tombstones is gone.
pub(super) async fn look_at_registry(conn: &mut Connection, id: Uuid, now: Timestamp) -> Sql<()> {
    query(concat!("select id from registries where id = $1", for_update!()))
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?;
    if resources::delete_first_of(conn, id, STEP).await? {
        return Ok(());
    }
    let deleted = query(DELETE_LIVE_REPOSITORIES).bind(id).bind(now.millis()).bind(STEP).fetch_all(&mut *conn).await?;
    for row in &deleted {
        query("insert into repository_reviews (repository_id, due_at) values ($1, $2)")
            .bind(row.try_get::<Uuid, _>("id")?)
            .bind(now.millis())
            .execute(&mut *conn)
            .await?;
    }
    if !deleted.is_empty() {
        return Ok(());
    }
    if query(REPOSITORY_LEFT).bind(id).fetch_optional(&mut *conn).await?.is_some() {
        query("update registry_reviews set due_at = $2 where registry_id = $1")
            .bind(id)
            .bind(now.plus(TOMBSTONE_LIFE).millis())
            .execute(conn)
            .await?;
        return Ok(());
    }
    query("delete from registry_reviews where registry_id = $1").bind(id).execute(&mut *conn).await?;
    query("delete from registries where id = $1").bind(id).execute(conn).await?;
    Ok(())
}
