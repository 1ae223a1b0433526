//! What only PostgreSQL has: a server that can go away, row locks, an advisory lock.

use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Executor, Postgres, Transaction};

use super::migrations::{Migration, POSTGRES};
use crate::{MetaStore, StoreError};

type Db = Postgres;

const MIGRATIONS: &[Migration] = POSTGRES;

/// An outage shall be an answer soon, also when the server takes packets and says nothing.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// Any number will do that nothing else in the database locks.
const MIGRATION_LOCK: i64 = 0x5348_4f52_4550_4153;

/// What a connection must be, whatever the server's or the role's defaults are: an acknowledged commit is on disk, no
/// statement waits for ever, reads after a lock see what its last holder committed, and no worker is started for a page that
/// an index gives in a millisecond.
const SESSION: &str = "set synchronous_commit = on; set statement_timeout = '10s'; set lock_timeout = '5s';
    set idle_in_transaction_session_timeout = '30s'; set max_parallel_workers_per_gather = 0;
    set session characteristics as transaction isolation level read committed";

// See `super` for who locks what.
macro_rules! for_share {
    () => {
        " for share"
    };
}
macro_rules! for_update {
    () => {
        " for update"
    };
}

#[expect(clippy::duplicate_mod, reason = "compiled once per database, on purpose: see the module above")]
#[path = "shared/mod.rs"]
mod shared;

#[cfg(test)]
pub(super) use shared::HOT;

#[derive(Debug)]
struct Pools(PgPool);

impl Pools {
    async fn read(&self) -> Result<PoolConnection<Db>, sqlx::Error> {
        self.0.acquire().await
    }

    async fn write(&self) -> Result<Transaction<'static, Db>, sqlx::Error> {
        self.0.begin().await
    }

    /// Until the end of the transaction; a migration may take its time.
    async fn lock_for_migration(&self, tx: &mut Transaction<'static, Db>) -> Result<(), sqlx::Error> {
        (&mut **tx).execute("set local lock_timeout = 0; set local statement_timeout = 0").await?;
        sqlx::query("select pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut **tx).await?;
        Ok(())
    }
}

pub(super) fn open(url: &str, connections: u32) -> Result<Arc<dyn MetaStore>, StoreError> {
    let unusable = || StoreError::Refused("the database URL is not of the form `postgres://user@host/name`".to_owned());
    // sqlx reads any scheme as PostgreSQL's.
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(unusable());
    }
    let options: PgConnectOptions = url.parse().map_err(|_| unusable())?;
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(drop) }))
        .connect_lazy_with(options.application_name("shorepass"));
    Ok(Arc::new(shared::Store::new(Pools(pool))))
}
