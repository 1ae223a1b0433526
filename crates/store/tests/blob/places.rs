//! Where a test keeps its things: a folder, a folder of the bucket, a database of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use secrecy::{ExposeSecret, SecretString};
use shorepass_core::{SystemClock, SystemRandom, new_id};
use shorepass_store::audit::{PostgresAudit, SqliteAudit};
use shorepass_store::blob::{LocalBlobStore, S3BlobStore, S3Config};
use shorepass_store::{AuditStore, BlobKey, BlobStore};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

pub fn id() -> Uuid {
    new_id(&SystemClock, &SystemRandom)
}

pub fn key() -> BlobKey {
    BlobKey::new(id())
}

fn setting(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`, which starts the servers"))
}

/// Where blobs are kept.
pub enum Blobs {
    Local(TempDir),
    S3(S3Config),
}

pub async fn local() -> Blobs {
    Blobs::Local(tempfile::tempdir().unwrap())
}

pub async fn s3() -> Blobs {
    let mut url: Url = setting("SHOREPASS_TEST_S3").parse().expect("SHOREPASS_TEST_S3 is a URL");
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let needed = |name: &str| value(name).unwrap_or_else(|| panic!("SHOREPASS_TEST_S3 lacks `{name}`"));
    url.set_query(None);
    Blobs::S3(S3Config {
        bucket: needed("bucket"),
        prefix: format!("test/{}", id()),
        endpoint: Some(url),
        region: value("region").unwrap_or_else(|| "us-east-1".to_owned()),
        access_key_id: Some(needed("access_key")),
        secret_access_key: Some(SecretString::from(needed("secret_key"))),
    })
}

impl Blobs {
    /// A server that knows nothing but what is kept.
    pub async fn open(&self) -> Arc<dyn BlobStore> {
        match self {
            Self::Local(folder) => LocalBlobStore::open(folder.path()).await.unwrap(),
            Self::S3(config) => S3BlobStore::open(config).unwrap(),
        }
    }

    /// Names of all there is but probes.
    pub async fn names(&self) -> Vec<String> {
        let mut names = match self {
            Self::Local(folder) => files(folder.path()),
            Self::S3(config) => objects(config).await,
        };
        names.retain(|name| !name.contains(".probe"));
        names
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => names.extend(files(&path)),
            false => names.push(path.display().to_string()),
        }
    }
    names
}

async fn objects(config: &S3Config) -> Vec<String> {
    let bucket = AmazonS3Builder::new()
        .with_endpoint(config.endpoint.as_ref().unwrap().as_str().trim_end_matches('/'))
        .with_allow_http(true)
        .with_bucket_name(&config.bucket)
        .with_region(&config.region)
        .with_access_key_id(config.access_key_id.as_ref().unwrap())
        .with_secret_access_key(config.secret_access_key.as_ref().unwrap().expose_secret())
        .build()
        .unwrap();
    let prefix = object_store::path::Path::from(config.prefix.as_str());
    bucket.list(Some(&prefix)).map_ok(|object| object.location.to_string()).try_collect().await.unwrap()
}

/// Where audit events are kept.
pub enum Audits {
    Sqlite(TempDir),
    Postgres(String),
}

pub async fn sqlite() -> Audits {
    Audits::Sqlite(tempfile::tempdir().unwrap())
}

pub async fn postgres() -> Audits {
    let mut url: Url = setting("SHOREPASS_TEST_POSTGRES").parse().expect("SHOREPASS_TEST_POSTGRES is a URL");
    let mut server = PgConnection::connect(url.as_str()).await.expect("PostgreSQL answers");
    let name = format!("audit_{}", id().simple());
    server.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    url.set_path(&name);
    Audits::Postgres(url.into())
}

impl Audits {
    pub fn open(&self, retention: Duration, max_bytes: u64) -> Arc<dyn AuditStore> {
        match self {
            Self::Sqlite(folder) => SqliteAudit::open(folder.path(), retention, max_bytes).unwrap(),
            Self::Postgres(url) => PostgresAudit::open(url, retention, max_bytes).unwrap(),
        }
    }

    /// Bytes taken on disk.
    pub async fn bytes(&self) -> u64 {
        match self {
            Self::Sqlite(folder) => {
                files(folder.path()).iter().map(|path| std::fs::metadata(path).unwrap().len()).sum()
            }
            Self::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                let sql = "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits
                           WHERE inhparent = 'audit_events'::regclass";
                let bytes: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
                u64::try_from(bytes).unwrap()
            }
        }
    }
}
