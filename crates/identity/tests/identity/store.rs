//! A metadata store for one test, on disk.

use std::sync::Arc;

use shorepass_core::Timestamp;
use shorepass_store::rows::SigningKeyRow;
use shorepass_store::{MetaStore, sql};
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;

pub struct Database {
    pub store: Arc<dyn MetaStore>,
    dir: TempDir,
}

impl Database {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = sql::open_sqlite(&dir.path().join("meta.db")).unwrap();
        store.migrate().await.unwrap();
        Self { store, dir }
    }

    /// Every key that does not retire before the end of time.
    pub async fn keys(&self) -> Vec<SigningKeyRow> {
        self.store.signing_keys(Timestamp::from_millis(0)).await.unwrap()
    }

    /// From now on no key can be read.
    pub async fn take_down(&self) {
        let url = format!("sqlite://{}", self.dir.path().join("meta.db").display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("drop table signing_keys").execute(&mut connection).await.unwrap();
    }
}
