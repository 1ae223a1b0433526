//! A fresh database per test, and words to fill it with.

use std::sync::Arc;
use std::time::Duration;

use shorepass_core::{Algorithm, Digest, SystemClock, SystemRandom, Timestamp, new_id};
use shorepass_store::rows::{
    BlobRow, DeleteOutcome, Locks, ManifestRow, PutManifest, PutOutcome, RegistryRow, RegistrySettings, RepositoryRow,
    ResourceGroupRow, SubscriptionRow, Target, TenantRow, Tier, UploadRow,
};
use shorepass_store::{MetaStore, sql};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

/// Longer than the grace and the jitter behind it.
pub const GRACE: Duration = Duration::from_hours(26);

enum Place {
    Sqlite(TempDir),
    Postgres(Url),
}

pub struct Fixture {
    pub store: Arc<dyn MetaStore>,
    pub registry: Uuid,
    place: Place,
}

pub fn id() -> Uuid {
    new_id(&SystemClock, &SystemRandom)
}

/// Seconds since some day.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + seconds * 1000)
}

/// A digest that tells its test's name for it.
pub fn digest(name: &str) -> Digest {
    let mut hash = [0; 32];
    hash[..name.len()].copy_from_slice(name.as_bytes());
    Digest::from_hash(Algorithm::Sha256, &hash).unwrap()
}

pub fn digests<const N: usize>(names: [&str; N]) -> Vec<Digest> {
    names.into_iter().map(digest).collect()
}

pub fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

pub fn names<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| name(text)).collect()
}

pub fn blob(name: &str) -> BlobRow {
    BlobRow { digest: digest(name), key: format!("blobs/{name}/{}", id()), size: 7 }
}

pub fn manifest(name: &str) -> ManifestRow {
    ManifestRow {
        digest: digest(name),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        artifact_type: None,
        config_media_type: Some("application/vnd.oci.image.config.v1+json".into()),
        subject: None,
        annotations: None,
        image_size: 1000,
        architecture: Some("amd64".into()),
        os: None,
        body: format!("{{\"{name}\":1}}").into_bytes(),
        locks: Locks::default(),
        quarantine_state: None,
        created_at: at(-1),
        updated_at: at(-1),
    }
}

pub fn registry_row(registry: &str, group: Uuid) -> RegistryRow {
    RegistryRow {
        id: id(),
        resource_group_id: group,
        name: name(registry),
        tier: Tier::Premium,
        settings: RegistrySettings::default(),
        admin_epoch: 0,
        created_at: at(0),
        updated_at: at(0),
        etag: 1,
    }
}

/// The rows of a first start.
pub fn first_rows(registry: &str) -> (TenantRow, SubscriptionRow, ResourceGroupRow, RegistryRow) {
    let account_number = format!("{:016}", id().as_u128() % 10_000_000_000_000_000);
    let tenant = TenantRow { id: id(), name: "tenant".into(), guid: id(), account_number, created_at: at(0) };
    let subscription = SubscriptionRow { id: id(), tenant_id: tenant.id, name: "first".into(), created_at: at(0) };
    let group =
        ResourceGroupRow { id: id(), subscription_id: subscription.id, name: "first".into(), created_at: at(0) };
    let registry = registry_row(registry, group.id);
    (tenant, subscription, group, registry)
}

impl Fixture {
    pub async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::begin(Place::Sqlite(dir)).await
    }

    /// The database's own collation is one by which names would be ordered otherwise than by their bytes.
    pub async fn postgres() -> Self {
        let Ok(server) = std::env::var("SHOREPASS_TEST_POSTGRES") else {
            panic!("run this through cargo xtask test, which starts PostgreSQL");
        };
        let mut url: Url = server.parse().unwrap();
        let database = format!("shorepass_{}", id().simple());
        let mut admin = PgConnection::connect(url.as_str()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!(
            "create database {database} template template0 locale_provider icu icu_locale 'en-US'"
        )))
        .execute(&mut admin)
        .await
        .unwrap();
        url.set_path(&database);
        Self::begin(Place::Postgres(url)).await
    }

    async fn begin(place: Place) -> Self {
        let store = open(&place);
        store.migrate().await.unwrap();
        let (tenant, subscription, group, registry) = first_rows("first");
        assert!(store.bootstrap(&tenant, &subscription, &group, &registry).await.unwrap());
        Self { store, registry: registry.id, place }
    }

    /// As another server of the same database sees it.
    pub fn another(&self) -> Arc<dyn MetaStore> {
        open(&self.place)
    }

    pub fn database(&self) -> String {
        match &self.place {
            Place::Sqlite(dir) => dir.path().join("meta.db").display().to_string(),
            Place::Postgres(url) => url.to_string(),
        }
    }

    /// What no method of the store does.
    pub async fn sql(&self, text: &'static str) {
        match &self.place {
            Place::Sqlite(_) => {
                let mut file = SqliteConnection::connect(&format!("sqlite://{}", self.database())).await.unwrap();
                sqlx::raw_sql(text).execute(&mut file).await.unwrap();
            }
            Place::Postgres(url) => {
                let mut server = PgConnection::connect(url.as_str()).await.unwrap();
                sqlx::raw_sql(text).execute(&mut server).await.unwrap();
            }
        }
    }

    pub fn target(&self, repository: &str, now: i64) -> Target {
        Target { registry_id: self.registry, repository: name(repository), new_id: id(), now: at(now) }
    }

    pub async fn commit(&self, repository: &str, blob_name: &str, now: i64) -> BlobRow {
        let target = self.target(repository, now);
        self.store.commit_blob(&target, &blob(blob_name), None).await.unwrap().unwrap().1
    }

    pub fn put(&self, repository: &str, now: i64, manifest: ManifestRow, blobs: &[&str], tags: &[&str]) -> PutManifest {
        PutManifest {
            target: self.target(repository, now),
            manifest,
            blobs: blobs.iter().map(|blob| digest(blob)).collect(),
            manifests: Vec::new(),
            required_manifests: Vec::new(),
            tags: names(tags),
        }
    }

    /// Stores a manifest that must be accepted.
    pub async fn push(&self, repository: &str, now: i64, manifest: ManifestRow, blobs: &[&str], tags: &[&str]) -> Uuid {
        let put = self.put(repository, now, manifest, blobs, tags);
        self.stored(&put).await.0.id
    }

    pub async fn stored(&self, put: &PutManifest) -> (RepositoryRow, bool) {
        match self.store.put_manifest(put).await.unwrap() {
            PutOutcome::Stored { repository, created } => (repository, created),
            other => panic!("refused: {other:?}"),
        }
    }

    pub async fn repository(&self, repository: &str) -> Option<RepositoryRow> {
        self.store.repository(self.registry, &name(repository)).await.unwrap().row
    }

    pub async fn id_of(&self, repository: &str) -> Uuid {
        self.repository(repository).await.unwrap().id
    }

    pub async fn catalog(&self) -> Vec<String> {
        let rows = self.store.repositories(self.registry, None, 100, false).await.unwrap();
        rows.into_iter().map(|row| row.name.into()).collect()
    }

    pub async fn upload(&self, repository: &str, now: i64) -> UploadRow {
        let upload = UploadRow {
            id: id(),
            registry_id: self.registry,
            repository: name(repository),
            principal: "anonymous".into(),
            key: format!("blobs/{}", id()),
            offset: 0,
            state: b"sealed".to_vec(),
            version: 1,
            created_at: at(now),
            updated_at: at(now),
        };
        self.store.create_upload(&upload).await.unwrap();
        upload
    }

    /// Collects until nothing is due.
    pub async fn collect(&self, now: Timestamp) {
        for _ in 0..100 {
            if self.store.collect(now, 100).await.unwrap() == 0 {
                return;
            }
        }
        panic!("collection does not come to an end");
    }

    pub async fn dead(&self) -> Vec<String> {
        self.store.dead_objects(1000).await.unwrap().into_iter().map(|object| object.key).collect()
    }
}

fn open(place: &Place) -> Arc<dyn MetaStore> {
    match place {
        Place::Sqlite(dir) => sql::open_sqlite(&dir.path().join("meta.db")).unwrap(),
        Place::Postgres(url) => sql::open_postgres(url.as_str(), 8).unwrap(),
    }
}

/// Only after a test that passed: what a failed one leaves may be looked at.
pub async fn drop_database(url: &str) {
    let database = url.rsplit('/').next().unwrap();
    let server = std::env::var("SHOREPASS_TEST_POSTGRES").unwrap();
    let mut admin = PgConnection::connect(&server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("drop database {database} with (force)"))).execute(&mut admin).await.unwrap();
}

pub fn deleted(tags: &[&str]) -> DeleteOutcome {
    DeleteOutcome::Deleted { tags: names(tags) }
}

pub fn locked(what: &str) -> DeleteOutcome {
    DeleteOutcome::Locked { what: what.to_owned() }
}
