//! What only SQLite has: a file, one writer, WAL.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, Transaction};

use super::migrations::{Migration, SQLITE};
use crate::{MetaStore, StoreError};

type Db = Sqlite;

const MIGRATIONS: &[Migration] = SQLITE;

/// A write waits behind all others of this process (`WAIT`), then behind other processes (`BUSY`), then for the disk.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
const WAIT: Duration = Duration::from_secs(10);
const BUSY: Duration = Duration::from_secs(5);

const READERS: u32 = 4;

// `BEGIN IMMEDIATE` holds the one lock there is.
macro_rules! for_share {
    () => {
        ""
    };
}
macro_rules! for_update {
    () => {
        ""
    };
}

#[expect(clippy::duplicate_mod, reason = "compiled once per database, on purpose: see the module above")]
#[path = "shared/mod.rs"]
mod shared;

#[cfg(test)]
pub(super) use shared::HOT;

#[derive(Debug)]
struct Pools {
    read: SqlitePool,
    write: SqlitePool,
}

impl Pools {
    async fn read(&self) -> Result<PoolConnection<Db>, sqlx::Error> {
        self.read.acquire().await
    }

    /// IMMEDIATE: a transaction that turned from reading to writing would be refused at once, whatever the busy timeout.
    async fn write(&self) -> Result<Transaction<'static, Db>, sqlx::Error> {
        self.write.begin_with("begin immediate").await
    }

    /// The transaction is the only writer already.
    async fn lock_for_migration(&self, _: &mut Transaction<'static, Db>) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

pub(super) fn open(path: &Path) -> Result<Arc<dyn MetaStore>, StoreError> {
    Ok(Arc::new(shared::Store::new(pools(path)?)))
}

fn pools(path: &Path) -> Result<Pools, StoreError> {
    create_private(path).map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
    // FULL, because NORMAL loses acknowledged commits in WAL mode when the power goes (DESIGN.md, section 5).
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY);
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(WAIT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    let write = pool(1).connect_lazy_with(options.clone());
    let read = pool(READERS).connect_lazy_with(options.pragma("query_only", "on"));
    Ok(Pools { read, write })
}

/// SQLite gives the files beside the database (`-wal`, `-shm`) the mode of the database itself.
fn create_private(path: &Path) -> std::io::Result<()> {
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pragma(pool: &SqlitePool, name: &str) -> String {
        let text = sqlx::AssertSqlSafe(format!("select cast({name} as text) from pragma_{name}"));
        sqlx::query_scalar(text).fetch_one(pool).await.unwrap()
    }

    #[tokio::test]
    async fn every_connection_is_durable_and_checks_references() {
        let dir = tempfile::tempdir().unwrap();
        let pools = pools(&dir.path().join("meta.db")).unwrap();
        for (pool, query_only) in [(&pools.write, "0"), (&pools.read, "1")] {
            assert_eq!(pragma(pool, "journal_mode").await, "wal");
            assert_eq!(pragma(pool, "synchronous").await, "2", "FULL");
            assert_eq!(pragma(pool, "foreign_keys").await, "1");
            assert_eq!(pragma(pool, "query_only").await, query_only);
        }
    }
}
