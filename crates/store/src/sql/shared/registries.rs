//! Tenants, registries and their admin passwords.

use shorepass_core::{RegistryName, Timestamp};
use sqlx::Row as _;
use uuid::Uuid;

use super::rows::{parsed, time};
use super::{Connection, Fault, Row, Sql, keys, query, tenancy};
use crate::StoreError;
use crate::rows::{
    AdminPasswordRow, RegistryRecord, RegistryRow, RegistrySettings, ResourceGroupRow, SubscriptionRow, TenantRow,
};

/// A registry once per password, and once when it has none.
macro_rules! select_records {
    () => {
        "select r.id, r.resource_group_id, r.name, r.tier, r.settings, r.admin_epoch, r.created_at, r.updated_at, r.etag,
            g.subscription_id, s.tenant_id, p.id as password_id, p.slot, p.hash, p.created_at as password_created_at
         from registries r
         join resource_groups g on g.id = r.resource_group_id
         join subscriptions s on s.id = g.subscription_id
         left join admin_passwords p on p.registry_id = r.id
         where r.deleted_at is null"
    };
}

const ALL: &str = concat!(select_records!(), " order by r.name, p.slot");
pub(super) const BY_NAME: &str = concat!(select_records!(), " and r.name = $1 order by p.slot");

pub(super) async fn bootstrap(
    conn: &mut Connection,
    tenant: &TenantRow,
    subscription: &SubscriptionRow,
    group: &ResourceGroupRow,
    registry: &RegistryRow,
) -> Sql<bool> {
    keys::alone(conn).await?;
    if query("select id from tenants limit 1").fetch_optional(&mut *conn).await?.is_some() {
        return Ok(false);
    }
    tenancy::insert_tenant(conn, tenant).await?;
    tenancy::insert_subscription(conn, subscription).await?;
    tenancy::insert_group(conn, group).await?;
    create(conn, registry).await
}

pub(super) async fn default_group(conn: &mut Connection) -> Sql<Option<ResourceGroupRow>> {
    let row =
        query("select id, subscription_id, name, created_at from resource_groups order by created_at, id limit 1")
            .fetch_optional(conn)
            .await?;
    row.as_ref().map(tenancy::group).transpose()
}

pub(super) async fn create(conn: &mut Connection, registry: &RegistryRow) -> Sql<bool> {
    let created = query(
        "insert into registries
            (id, resource_group_id, name, tier, settings, admin_epoch, created_at, updated_at, etag)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (name) where deleted_at is null do nothing",
    )
    .bind(registry.id)
    .bind(registry.resource_group_id)
    .bind(registry.name.as_str())
    .bind(registry.tier.as_str())
    .bind(settings_text(&registry.settings)?)
    .bind(registry.admin_epoch)
    .bind(registry.created_at.millis())
    .bind(registry.updated_at.millis())
    .bind(registry.etag)
    .execute(&mut *conn)
    .await?;
    raised_if(conn, created.rows_affected() > 0).await
}

pub(super) async fn all(conn: &mut Connection) -> Sql<Vec<RegistryRecord>> {
    records(&query(ALL).fetch_all(conn).await?)
}

pub(super) async fn by_name(conn: &mut Connection, name: &RegistryName) -> Sql<Option<RegistryRecord>> {
    Ok(records(&query(BY_NAME).bind(name.as_str()).fetch_all(conn).await?)?.pop())
}

pub(super) async fn update(conn: &mut Connection, registry: &RegistryRow) -> Sql<bool> {
    let updated = query(
        "update registries set tier = $3, settings = $4, admin_epoch = $5, updated_at = $6, etag = etag + 1
         where id = $1 and etag = $2 and deleted_at is null",
    )
    .bind(registry.id)
    .bind(registry.etag)
    .bind(registry.tier.as_str())
    .bind(settings_text(&registry.settings)?)
    .bind(registry.admin_epoch)
    .bind(registry.updated_at.millis())
    .execute(&mut *conn)
    .await?;
    raised_if(conn, updated.rows_affected() > 0).await
}

/// The passwords go at once; the rest is for collection.
pub(super) async fn delete(conn: &mut Connection, id: Uuid, now: Timestamp) -> Sql<bool> {
    let deleted = query("update registries set deleted_at = $2, etag = etag + 1 where id = $1 and deleted_at is null")
        .bind(id)
        .bind(now.millis())
        .execute(&mut *conn)
        .await?;
    if deleted.rows_affected() == 0 {
        return Ok(false);
    }
    query("delete from admin_passwords where registry_id = $1").bind(id).execute(&mut *conn).await?;
    query("insert into registry_reviews (registry_id, due_at) values ($1, $2)")
        .bind(id)
        .bind(now.millis())
        .execute(&mut *conn)
        .await?;
    raised_if(conn, true).await
}

pub(super) async fn put_password(conn: &mut Connection, password: &AdminPasswordRow) -> Sql<()> {
    let registry = query(concat!("select id from registries where id = $1 and deleted_at is null", for_share!()))
        .bind(password.registry_id)
        .fetch_optional(&mut *conn)
        .await?;
    if registry.is_none() {
        return Err(StoreError::Refused("there is no such registry to set a password of".to_owned()).into());
    }
    query(
        "insert into admin_passwords (registry_id, slot, id, hash, created_at) values ($1, $2, $3, $4, $5)
         on conflict (registry_id, slot) do update
         set id = excluded.id, hash = excluded.hash, created_at = excluded.created_at",
    )
    .bind(password.registry_id)
    .bind(password.slot)
    .bind(password.id)
    .bind(&password.hash)
    .bind(password.created_at.millis())
    .execute(&mut *conn)
    .await?;
    keys::raise_generation(conn).await
}

async fn raised_if(conn: &mut Connection, changed: bool) -> Sql<bool> {
    if changed {
        keys::raise_generation(conn).await?;
    }
    Ok(changed)
}

fn settings_text(settings: &RegistrySettings) -> Sql<String> {
    serde_json::to_string(settings).map_err(|error| StoreError::Refused(error.to_string()).into())
}

/// Rows of one registry stand together.
fn records(rows: &[Row]) -> Sql<Vec<RegistryRecord>> {
    let mut records: Vec<RegistryRecord> = Vec::new();
    for row in rows {
        let id: Uuid = row.try_get("id")?;
        if records.last().is_none_or(|last| last.registry.id != id) {
            records.push(RegistryRecord {
                registry: registry(row)?,
                subscription_id: row.try_get("subscription_id")?,
                tenant_id: row.try_get("tenant_id")?,
                admin_passwords: Vec::new(),
            });
        }
        if let (Some(password), Some(record)) = (password(row, id)?, records.last_mut()) {
            record.admin_passwords.push(password);
        }
    }
    Ok(records)
}

fn registry(row: &Row) -> Sql<RegistryRow> {
    let settings: String = row.try_get("settings")?;
    Ok(RegistryRow {
        id: row.try_get("id")?,
        resource_group_id: row.try_get("resource_group_id")?,
        name: parsed(row, "name")?,
        tier: parsed(row, "tier")?,
        settings: serde_json::from_str(&settings).map_err(|_| Fault::corrupt("settings"))?,
        admin_epoch: row.try_get("admin_epoch")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
        etag: row.try_get("etag")?,
    })
}

fn password(row: &Row, registry_id: Uuid) -> Sql<Option<AdminPasswordRow>> {
    let Some(id) = row.try_get("password_id")? else { return Ok(None) };
    Ok(Some(AdminPasswordRow {
        id,
        registry_id,
        slot: row.try_get("slot")?,
        hash: row.try_get("hash")?,
        created_at: time(row, "password_created_at")?,
    }))
}
