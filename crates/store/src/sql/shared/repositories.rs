//! Repositories: looking them up, bringing them into being, locking and deleting them.

use shorepass_core::{RepositoryName, Timestamp};
use sqlx::Row as _;
use uuid::Uuid;

use super::rows::{deletable, page, repository};
use super::{Connection, Fault, Sql, keys, query};
use crate::rows::{DeleteOutcome, LocksPatch, RepositoryLookup, RepositoryRow, RepositoryStats, Target};

/// Always one row: what is there, and when something of the name was last deleted.
pub(super) const LOOKUP: &str = concat!(
    "select ",
    repository_columns!(),
    ", (select max(d.deleted_at) from repositories d
        where d.registry_id = $1 and d.name = $2 and d.deleted_at is not null) as last_deleted
     from (select 1 as one) as always
     left join repositories r on r.registry_id = $1 and r.name = $2 and r.deleted_at is null"
);

pub(super) const LIST: &str = concat!(
    "select ",
    repository_columns!(),
    " from repositories r
     where r.registry_id = $1 and r.deleted_at is null and r.name > $2 and (r.list_enabled or not $4)
       and exists (select 1 from manifests m where m.repository_id = r.id)
     order by r.name limit $3"
);

pub(super) const STATS: &str = "select (select count(*) from manifests where repository_id = $1) as manifest_count,
    (select count(*) from tags where repository_id = $1) as tag_count";

pub(super) const LOCKED_TAG: &str = "select name from tags
     where repository_id = $1 and (delete_enabled = false or write_enabled = false) order by name limit 1";

pub(super) const LOCKED_MANIFEST: &str = "select digest from manifests
     where repository_id = $1 and (delete_enabled = false or write_enabled = false) order by digest limit 1";

macro_rules! select_by_name {
    () => {
        concat!(
            "select ",
            repository_columns!(),
            " from repositories r where r.registry_id = $1 and r.name = $2 and r.deleted_at is null"
        )
    };
}

/// How a transaction holds a repository's row: see `sql`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// To add a link.
    Shared,
    /// For everything else.
    Exclusive,
}

pub(super) async fn lookup(conn: &mut Connection, registry_id: Uuid, name: &RepositoryName) -> Sql<RepositoryLookup> {
    let row = query(LOOKUP).bind(registry_id).bind(name.as_str()).fetch_one(conn).await?;
    let found = row.try_get::<Option<Uuid>, _>("id")?.is_some();
    Ok(RepositoryLookup {
        row: found.then(|| repository(&row)).transpose()?,
        deleted_at: row.try_get::<Option<i64>, _>("last_deleted")?.map(Timestamp::from_millis),
    })
}

pub(super) async fn list(
    conn: &mut Connection,
    registry_id: Uuid,
    after: Option<&str>,
    limit: i64,
    listed_only: bool,
) -> Sql<Vec<RepositoryRow>> {
    let rows = query(LIST)
        .bind(registry_id)
        .bind(after.unwrap_or_default())
        .bind(page(limit))
        .bind(listed_only)
        .fetch_all(conn)
        .await?;
    rows.iter().map(repository).collect()
}

pub(super) async fn stats(conn: &mut Connection, repository_id: Uuid) -> Sql<RepositoryStats> {
    let row = query(STATS).bind(repository_id).fetch_one(conn).await?;
    Ok(RepositoryStats { manifest_count: row.try_get("manifest_count")?, tag_count: row.try_get("tag_count")? })
}

/// The live repository of that id, held exclusively until the end of the transaction.
pub(super) async fn hold(conn: &mut Connection, repository_id: Uuid) -> Sql<Option<RepositoryRow>> {
    let row = query(concat!(
        "select ",
        repository_columns!(),
        " from repositories r where r.id = $1 and r.deleted_at is null",
        for_update!()
    ))
    .bind(repository_id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(repository).transpose()
}

/// The live repository of that name, held until the end of the transaction.
pub(super) async fn hold_named(conn: &mut Connection, target: &Target, hold: Hold) -> Sql<Option<RepositoryRow>> {
    let text = match hold {
        Hold::Shared => concat!(select_by_name!(), for_share!()),
        Hold::Exclusive => concat!(select_by_name!(), for_update!()),
    };
    let row = query(text).bind(target.registry_id).bind(target.repository.as_str()).fetch_optional(conn).await?;
    row.as_ref().map(repository).transpose()
}

/// As `hold_named`, and creates it when there is none. Whoever creates it at the same moment gets the same row.
pub(super) async fn hold_or_create(conn: &mut Connection, target: &Target, hold: Hold) -> Sql<RepositoryRow> {
    if let Some(found) = hold_named(conn, target, hold).await? {
        return Ok(found);
    }
    let created = query(
        "insert into repositories (id, registry_id, name, created_at, updated_at) values ($1, $2, $3, $4, $4)
         on conflict (registry_id, name) where deleted_at is null do nothing",
    )
    .bind(target.new_id)
    .bind(target.registry_id)
    .bind(target.repository.as_str())
    .bind(target.now.millis())
    .execute(&mut *conn)
    .await?;
    let found = hold_named(conn, target, hold).await?;
    debug_assert!(created.rows_affected() == 0 || found.is_some(), "a transaction sees what it wrote");
    found.ok_or_else(|| Fault::overtaken("the repository"))
}

/// Its content changed.
pub(super) async fn touch(conn: &mut Connection, repository_id: Uuid, now: Timestamp) -> Sql<()> {
    query("update repositories set updated_at = $2 where id = $1")
        .bind(repository_id)
        .bind(now.millis())
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn lock(
    conn: &mut Connection,
    repository_id: Uuid,
    patch: &LocksPatch,
    now: Timestamp,
) -> Sql<Option<RepositoryRow>> {
    let update = query(concat!(
        "update repositories set updated_at = $2, ",
        patch_locks!(),
        " where id = $1 and deleted_at is null"
    ))
    .bind(repository_id)
    .bind(now.millis());
    if bind_patch!(update, patch).execute(&mut *conn).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let row = hold(conn, repository_id).await?;
    keys::raise_generation(conn).await?;
    Ok(row)
}

pub(super) async fn delete(conn: &mut Connection, repository_id: Uuid, now: Timestamp) -> Sql<DeleteOutcome> {
    let Some(row) = hold(conn, repository_id).await? else { return Ok(DeleteOutcome::NotFound) };
    if let Some(what) = what_locks(conn, &row).await? {
        return Ok(DeleteOutcome::Locked { what });
    }
    query("update repositories set deleted_at = $2 where id = $1")
        .bind(repository_id)
        .bind(now.millis())
        .execute(&mut *conn)
        .await?;
    query("insert into repository_reviews (repository_id, due_at) values ($1, $2)")
        .bind(repository_id)
        .bind(now.millis())
        .execute(&mut *conn)
        .await?;
    keys::raise_generation(conn).await?;
    Ok(DeleteOutcome::Deleted { tags: Vec::new() })
}

async fn what_locks(conn: &mut Connection, row: &RepositoryRow) -> Sql<Option<String>> {
    if let Some(what) = own_lock(row) {
        return Ok(Some(what));
    }
    if let Some(tag) = query(LOCKED_TAG).bind(row.id).fetch_optional(&mut *conn).await? {
        return Ok(Some(format!("tag {}", tag.try_get::<String, _>("name")?)));
    }
    let manifest = query(LOCKED_MANIFEST).bind(row.id).fetch_optional(conn).await?;
    Ok(match manifest {
        Some(manifest) => Some(format!("manifest {}", manifest.try_get::<String, _>("digest")?)),
        None => None,
    })
}

/// What a `Locked` outcome says when the repository itself forbids to delete anything in it.
pub(super) fn own_lock(row: &RepositoryRow) -> Option<String> {
    (!deletable(row.locks)).then(|| what_repository(row))
}

pub(super) fn what_repository(row: &RepositoryRow) -> String {
    format!("repository {}", row.name)
}
