//! Applies the numbered migrations.

use sqlx::{Executor as _, Row as _};

use super::super::MIGRATIONS;
use super::{Sql, Store, query};
use crate::StoreError;

impl Store {
    /// All that are missing, in one transaction: another server waits, and then finds nothing to do.
    pub(super) async fn apply_migrations(&self) -> Sql<()> {
        let mut tx = self.pools.write().await?;
        self.pools.lock_for_migration(&mut tx).await?;
        (&mut *tx).execute("create table if not exists migrations (version bigint not null primary key)").await?;
        let row = query("select max(version) as version from migrations").fetch_one(&mut *tx).await?;
        let applied = row.try_get::<Option<i64>, _>("version")?.unwrap_or(0);
        let known = MIGRATIONS.last().map_or(0, |(version, _)| *version);
        if applied > known {
            return Err(StoreError::Refused(format!(
                "the database is at version {applied}, this program knows {known}: run the newer program that migrated it"
            ))
            .into());
        }
        for (version, statements) in MIGRATIONS.iter().filter(|(version, _)| *version > applied) {
            tracing::info!(version, "migrating the metadata store");
            (&mut *tx).execute(sqlx::raw_sql(*statements)).await?;
            query("insert into migrations (version) values ($1)").bind(version).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }
}
