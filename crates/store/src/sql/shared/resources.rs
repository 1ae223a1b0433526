//! Resources: writing them together, finding and listing them.

use sqlx::Connection as _;
use sqlx::Row as _;
use uuid::Uuid;

use super::rows::{page, time};
use super::{Connection, Row, Sql, changes, keys, query};
use crate::resources::{ResourceRow, Write, Written};

macro_rules! resource_columns {
    () => {
        "r.id, r.kind, r.parent, r.name, r.body, r.etag, r.created_at, r.updated_at"
    };
}
pub(super) use resource_columns;

macro_rules! select_resources {
    () => {
        concat!("select ", resource_columns!(), " from resources r")
    };
}

pub(super) const BY_ID: &str = concat!(select_resources!(), " where r.id = $1");
pub(super) const BY_NAME: &str =
    concat!(select_resources!(), " where r.parent = $1 and r.kind = $2 and lower(r.name) = $3");
pub(super) const LIST: &str = concat!(
    select_resources!(),
    " where r.parent = $1 and r.kind = $2 and lower(r.name) > $3 order by lower(r.name) limit $4"
);
pub(super) const COUNT: &str = "select count(*) as n from resources where parent = $1 and kind = $2";
pub(super) const ALL: &str = concat!(select_resources!(), " where r.id > $1 order by r.id limit $2");
pub(super) const FIRST_OF: &str = "select id, kind, name from resources where parent = $1 limit $2";
pub(super) const DELETE_FIRST_OF: &str =
    "delete from resources where id in (select id from resources where parent = $1 limit $2) returning id";

/// Holds the policy from the beginning: nobody else writes resources meanwhile.
pub(super) async fn write(conn: &mut Connection, writes: &[Write]) -> Sql<Written> {
    keys::alone(conn).await?;
    let mut whole = conn.begin().await?;
    for write in writes {
        if let Some(refused) = apply(&mut whole, write).await? {
            whole.rollback().await?;
            return Ok(refused);
        }
    }
    whole.commit().await?;
    let ids: Vec<Uuid> = writes.iter().map(id_of).collect();
    Ok(Written::Done { generation: changes::log(conn, &ids).await? })
}

fn id_of(write: &Write) -> Uuid {
    match write {
        Write::Create(row) | Write::Update(row) => row.id,
        Write::Delete { id, .. } => *id,
    }
}

/// `Some` when it cannot be done.
async fn apply(conn: &mut Connection, write: &Write) -> Sql<Option<Written>> {
    match write {
        Write::Create(row) => create(conn, row).await,
        Write::Update(row) => update(conn, row).await,
        Write::Delete { id, etag } => delete(conn, *id, *etag).await,
    }
}

async fn create(conn: &mut Connection, row: &ResourceRow) -> Sql<Option<Written>> {
    let created = query(
        "insert into resources (id, kind, parent, name, body, etag, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
    )
    .bind(row.id)
    .bind(&row.kind)
    .bind(row.parent)
    .bind(&row.name)
    .bind(&row.body)
    .bind(row.etag)
    .bind(row.created_at.millis())
    .bind(row.updated_at.millis())
    .execute(conn)
    .await?;
    Ok((created.rows_affected() == 0).then(|| Written::Exists { name: row.name.clone() }))
}

async fn update(conn: &mut Connection, row: &ResourceRow) -> Sql<Option<Written>> {
    let updated = query(
        "update resources set parent = $4, name = $5, body = $6, updated_at = $7, etag = etag + 1
         where id = $1 and kind = $2 and etag = $3 and not exists (select 1 from resources o
            where o.parent = $4 and o.kind = $2 and lower(o.name) = $8 and o.id <> $1)",
    )
    .bind(row.id)
    .bind(&row.kind)
    .bind(row.etag)
    .bind(row.parent)
    .bind(&row.name)
    .bind(&row.body)
    .bind(row.updated_at.millis())
    .bind(row.name.to_ascii_lowercase())
    .execute(&mut *conn)
    .await?;
    if updated.rows_affected() > 0 {
        return Ok(None);
    }
    Ok(Some(match by_id(conn, row.id).await? {
        Some(stored) if stored.kind != row.kind => Written::Missing { id: row.id },
        Some(stored) if stored.etag != row.etag => Written::Changed { id: row.id },
        Some(_) => Written::Exists { name: row.name.clone() },
        None => Written::Missing { id: row.id },
    }))
}

async fn delete(conn: &mut Connection, id: Uuid, etag: Option<i64>) -> Sql<Option<Written>> {
    let deleted = query("delete from resources where id = $1 and etag = coalesce($2, etag)")
        .bind(id)
        .bind(etag)
        .execute(&mut *conn)
        .await?;
    if deleted.rows_affected() > 0 {
        return Ok(None);
    }
    Ok(Some(match by_id(conn, id).await? {
        Some(_) => Written::Changed { id },
        None => Written::Missing { id },
    }))
}

/// `false` when nothing has this parent; the policy is held only if something has.
pub(super) async fn delete_first_of(conn: &mut Connection, parent: Uuid, limit: i64) -> Sql<bool> {
    if query(FIRST_OF).bind(parent).bind(1_i64).fetch_optional(&mut *conn).await?.is_none() {
        return Ok(false);
    }
    keys::alone(conn).await?;
    let deleted = query(DELETE_FIRST_OF).bind(parent).bind(limit).fetch_all(&mut *conn).await?;
    let ids = deleted.iter().map(|row| Ok(row.try_get("id")?)).collect::<Sql<Vec<Uuid>>>()?;
    changes::log(conn, &ids).await?;
    Ok(true)
}

pub(super) async fn by_id(conn: &mut Connection, id: Uuid) -> Sql<Option<ResourceRow>> {
    let row = query(BY_ID).bind(id).fetch_optional(conn).await?;
    row.as_ref().map(resource).transpose()
}

pub(super) async fn by_name(conn: &mut Connection, kind: &str, parent: Uuid, name: &str) -> Sql<Option<ResourceRow>> {
    let row = query(BY_NAME).bind(parent).bind(kind).bind(name.to_ascii_lowercase()).fetch_optional(conn).await?;
    row.as_ref().map(resource).transpose()
}

pub(super) async fn list(
    conn: &mut Connection,
    kind: &str,
    parent: Uuid,
    after: Option<&str>,
    limit: i64,
) -> Sql<Vec<ResourceRow>> {
    let rows = query(LIST)
        .bind(parent)
        .bind(kind)
        .bind(after.unwrap_or_default().to_ascii_lowercase())
        .bind(page(limit))
        .fetch_all(conn)
        .await?;
    rows.iter().map(resource).collect()
}

pub(super) async fn count(conn: &mut Connection, kind: &str, parent: Uuid) -> Sql<i64> {
    Ok(query(COUNT).bind(parent).bind(kind).fetch_one(conn).await?.try_get("n")?)
}

pub(super) async fn all(conn: &mut Connection, after: Option<Uuid>, limit: i64) -> Sql<Vec<ResourceRow>> {
    let rows = query(ALL).bind(after.unwrap_or(Uuid::nil())).bind(page(limit)).fetch_all(conn).await?;
    rows.iter().map(resource).collect()
}

pub(super) fn resource(row: &Row) -> Sql<ResourceRow> {
    Ok(ResourceRow {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        parent: row.try_get("parent")?,
        name: row.try_get("name")?,
        body: row.try_get("body")?,
        etag: row.try_get("etag")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
