//! Tenants, subscriptions and resource groups.

use sqlx::Row as _;
use uuid::Uuid;

use super::rows::time;
use super::{Connection, Row, Sql, keys, query, resources};
use crate::rows::{ResourceGroupRow, SubscriptionRow, TenancyOutcome, TenantRow};

/// What the three levels have in common.
pub(super) struct Level {
    hold: &'static str,
    rename: &'static str,
    clear: Option<&'static str>,
    /// What still belongs to it, with the word for it.
    child: &'static str,
    child_word: &'static str,
    delete: &'static str,
}

pub(super) const TENANT: Level = Level {
    hold: concat!("select id from tenants where id = $1", for_update!()),
    rename: "update tenants set name = $2 where id = $1
        and not exists (select 1 from tenants o where lower(o.name) = $3 and o.id <> $1)",
    clear: None,
    child: "select name from subscriptions where tenant_id = $1 limit 1",
    child_word: "subscription",
    delete: "delete from tenants where id = $1",
};

pub(super) const SUBSCRIPTION: Level = Level {
    hold: concat!("select id from subscriptions where id = $1", for_update!()),
    rename: "update subscriptions set name = $2 where id = $1 and not exists (select 1 from subscriptions o
        where o.tenant_id = subscriptions.tenant_id and lower(o.name) = $3 and o.id <> $1)",
    clear: None,
    child: "select name from resource_groups where subscription_id = $1 limit 1",
    child_word: "resource group",
    delete: "delete from subscriptions where id = $1",
};

pub(super) const GROUP: Level = Level {
    hold: concat!("select id from resource_groups where id = $1", for_update!()),
    rename: "update resource_groups set name = $2 where id = $1 and not exists (select 1 from resource_groups o
        where o.subscription_id = resource_groups.subscription_id and lower(o.name) = $3 and o.id <> $1)",
    clear: Some(MOVE_TOMBSTONES),
    child: "select name from registries where resource_group_id = $1 order by deleted_at is not null limit 1",
    child_word: "registry",
    delete: "delete from resource_groups where id = $1",
};

/// Registries that are deleted and not collected yet move to another group: their rows must name one.
const MOVE_TOMBSTONES: &str = "update registries set resource_group_id =
        (select id from resource_groups where id <> $1 order by created_at, id limit 1)
     where resource_group_id = $1 and deleted_at is not null
       and exists (select 1 from resource_groups where id <> $1)";

pub(super) async fn tenants(conn: &mut Connection) -> Sql<Vec<TenantRow>> {
    let rows = query("select id, name, guid, account_number, created_at from tenants order by name, id");
    rows.fetch_all(conn).await?.iter().map(tenant).collect()
}

pub(super) async fn subscriptions(conn: &mut Connection) -> Sql<Vec<SubscriptionRow>> {
    let rows = query("select id, tenant_id, name, created_at from subscriptions order by name, id");
    rows.fetch_all(conn).await?.iter().map(subscription).collect()
}

pub(super) async fn groups(conn: &mut Connection) -> Sql<Vec<ResourceGroupRow>> {
    let rows = query("select id, subscription_id, name, created_at from resource_groups order by name, id");
    rows.fetch_all(conn).await?.iter().map(group).collect()
}

pub(super) async fn create_tenant(conn: &mut Connection, tenant: &TenantRow) -> Sql<TenancyOutcome> {
    let created = insert_tenant(conn, tenant).await?;
    done_if(conn, created).await
}

pub(super) async fn create_subscription(conn: &mut Connection, subscription: &SubscriptionRow) -> Sql<TenancyOutcome> {
    let parent = concat!("select id from tenants where id = $1", for_share!());
    if query(parent).bind(subscription.tenant_id).fetch_optional(&mut *conn).await?.is_none() {
        return Ok(TenancyOutcome::NotFound);
    }
    let created = insert_subscription(conn, subscription).await?;
    done_if(conn, created).await
}

pub(super) async fn create_group(conn: &mut Connection, group: &ResourceGroupRow) -> Sql<TenancyOutcome> {
    let parent = concat!("select id from subscriptions where id = $1", for_share!());
    if query(parent).bind(group.subscription_id).fetch_optional(&mut *conn).await?.is_none() {
        return Ok(TenancyOutcome::NotFound);
    }
    let created = insert_group(conn, group).await?;
    done_if(conn, created).await
}

pub(super) async fn rename(conn: &mut Connection, level: &Level, id: Uuid, name: &str) -> Sql<TenancyOutcome> {
    if !hold(conn, level, id).await? {
        return Ok(TenancyOutcome::NotFound);
    }
    let renamed = query(level.rename).bind(id).bind(name).bind(name.to_ascii_lowercase()).execute(&mut *conn).await?;
    done_if(conn, renamed.rows_affected() > 0).await
}

pub(super) async fn delete(conn: &mut Connection, level: &Level, id: Uuid) -> Sql<TenancyOutcome> {
    if !hold(conn, level, id).await? {
        return Ok(TenancyOutcome::NotFound);
    }
    if let Some(clear) = level.clear {
        query(clear).bind(id).execute(&mut *conn).await?;
    }
    if let Some(row) = query(level.child).bind(id).fetch_optional(&mut *conn).await? {
        let what = format!("{} {}", level.child_word, row.try_get::<String, _>("name")?);
        return Ok(TenancyOutcome::NotEmpty { what });
    }
    keys::alone(conn).await?;
    if let Some(row) = query(resources::FIRST_OF).bind(id).bind(1_i64).fetch_optional(&mut *conn).await? {
        let kind = row.try_get::<String, _>("kind")?.replace('_', " ");
        return Ok(TenancyOutcome::NotEmpty { what: format!("{kind} {}", row.try_get::<String, _>("name")?) });
    }
    query(level.delete).bind(id).execute(&mut *conn).await?;
    done_if(conn, true).await
}

async fn hold(conn: &mut Connection, level: &Level, id: Uuid) -> Sql<bool> {
    Ok(query(level.hold).bind(id).fetch_optional(conn).await?.is_some())
}

/// Otherwise the name was taken.
async fn done_if(conn: &mut Connection, changed: bool) -> Sql<TenancyOutcome> {
    if !changed {
        return Ok(TenancyOutcome::Exists);
    }
    keys::raise_generation(conn).await?;
    Ok(TenancyOutcome::Done)
}

pub(super) async fn insert_tenant(conn: &mut Connection, tenant: &TenantRow) -> Sql<bool> {
    let inserted = query(
        "insert into tenants (id, name, guid, account_number, created_at) values ($1, $2, $3, $4, $5)
         on conflict do nothing",
    )
    .bind(tenant.id)
    .bind(&tenant.name)
    .bind(tenant.guid)
    .bind(&tenant.account_number)
    .bind(tenant.created_at.millis())
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

pub(super) async fn insert_subscription(conn: &mut Connection, subscription: &SubscriptionRow) -> Sql<bool> {
    let inserted = query(
        "insert into subscriptions (id, tenant_id, name, created_at) values ($1, $2, $3, $4) on conflict do nothing",
    )
    .bind(subscription.id)
    .bind(subscription.tenant_id)
    .bind(&subscription.name)
    .bind(subscription.created_at.millis())
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

pub(super) async fn insert_group(conn: &mut Connection, group: &ResourceGroupRow) -> Sql<bool> {
    let inserted = query(
        "insert into resource_groups (id, subscription_id, name, created_at) values ($1, $2, $3, $4)
         on conflict do nothing",
    )
    .bind(group.id)
    .bind(group.subscription_id)
    .bind(&group.name)
    .bind(group.created_at.millis())
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

fn tenant(row: &Row) -> Sql<TenantRow> {
    Ok(TenantRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        guid: row.try_get("guid")?,
        account_number: row.try_get("account_number")?,
        created_at: time(row, "created_at")?,
    })
}

fn subscription(row: &Row) -> Sql<SubscriptionRow> {
    Ok(SubscriptionRow {
        id: row.try_get("id")?,
        tenant_id: row.try_get("tenant_id")?,
        name: row.try_get("name")?,
        created_at: time(row, "created_at")?,
    })
}

pub(super) fn group(row: &Row) -> Sql<ResourceGroupRow> {
    Ok(ResourceGroupRow {
        id: row.try_get("id")?,
        subscription_id: row.try_get("subscription_id")?,
        name: row.try_get("name")?,
        created_at: time(row, "created_at")?,
    })
}
