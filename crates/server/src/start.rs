//! Starting a server, and ending it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use shorepass_access::{Authoriser, Directory};
use shorepass_control::{AuditOutput, Control, Recorder, bootstrap};
use shorepass_core::{Clock, Random, SystemClock, SystemRandom};
use shorepass_identity::{
    DirectoryTokens, Federation, Fetch, HttpFetch, IdentityError, KeyRing, PasswordError, Passwords, ServerKey,
};
use shorepass_registry::Registry;
use shorepass_store::audit::{PostgresAudit, SqliteAudit};
use shorepass_store::blob::{LocalBlobStore, S3BlobStore, S3Config};
use shorepass_store::{AuditStore, BlobStore, MetaStore, StoreError, sql};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::{Administration, App, Front, Public};
use crate::auth::Authenticator;
use crate::background::Background;
use crate::faces::directory::{Parts, Provider};
use crate::health::{Health, Monitoring};
use crate::hosts::Hosts;
use crate::metrics::Metrics;
use crate::net::{Listener, Net, NetError, Origin, Serving};
use crate::settings::{Blobs, Database, Settings, Tls};

/// Connections to PostgreSQL at once.
const CONNECTIONS: u32 = 16;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the data directory `{path}` cannot be used: {error}")]
    Data { path: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("the database or the blob store cannot be used: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Passwords(#[from] PasswordError),
}

impl StartError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Data { .. } => Some("name a directory that this user may write with `--data`"),
            Self::Store(_) => Some("check `--database` and `--blobs`, and that both can be reached from here"),
            Self::Net(error) => error.hint(),
            Self::Identity(_) | Self::Passwords(_) => None,
        }
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    serving: Serving,
    addresses: Addresses,
    first_start: bool,
    drain_timeout: Duration,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    audit: JoinHandle<()>,
    pub(crate) app: Arc<App>,
}

#[derive(Debug, Clone)]
struct Addresses {
    endpoint: String,
    public: SocketAddr,
    metrics: Option<SocketAddr>,
    ca_file: Option<PathBuf>,
}

/// Starts a server on the system's clock and randomness.
///
/// # Errors
/// [`StartError`].
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    make_data_directory(&settings.data)?;
    // First, because the socket also keeps a second server out of the data directory.
    let net = Net::bind(&settings, &*clock).await?;
    let stores = Stores::open(&settings).await?;
    stores.meta.migrate().await?;
    let first_start = bootstrap(&*stores.meta, &*clock, &*random).await?;
    let (app, audit) = assemble(&settings, &net, stores, clock, random).await?;
    let addresses = Addresses {
        endpoint: net.endpoint(),
        public: net.public_addr(),
        metrics: net.metrics_addr(),
        ca_file: net.ca_file(),
    };
    let stop = CancellationToken::new();
    let background =
        Background { app: Arc::clone(&app), upload_lifetime: settings.upload_lifetime, stop: stop.clone() };
    let tasks = background.spawn();
    let monitoring = Arc::new(Monitoring::new(Arc::clone(&app.metrics), Arc::clone(&app.health)));
    let public = Arc::new(Public(Arc::clone(&app)));
    let serving = net.serve(public, Arc::new(Administration(Arc::clone(&app))), monitoring);
    let drain_timeout = settings.drain_timeout;
    Ok(Running { serving, addresses, first_start, drain_timeout, stop, tasks, audit, app })
}

impl Running {
    /// Where a client on this machine reaches the registry, for example `http://127.0.0.1:5000`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.addresses.endpoint.clone()
    }

    #[must_use]
    pub fn listen_addr(&self) -> SocketAddr {
        self.addresses.public
    }

    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.addresses.metrics
    }

    /// The private CA's certificate that clients must trust, if there is one.
    #[must_use]
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.addresses.ca_file.clone()
    }

    /// Whether this start made the first registry.
    #[must_use]
    pub fn first_start(&self) -> bool {
        self.first_start
    }

    /// Reads the certificates again; a self-signed one near its end is renewed.
    ///
    /// # Errors
    /// When they cannot be used; the old ones stay.
    pub fn reload(&self) -> Result<(), NetError> {
        self.serving.reload_certificates(&*self.app.clock)
    }

    /// Lets requests under way end, then writes what is still queued.
    pub async fn shutdown(self) {
        self.serving.drain(self.drain_timeout).await;
        self.stop.cancel();
        for task in self.tasks {
            task.await.ok();
        }
        // The last user of the recorder is gone with the app; its writer then ends by itself.
        drop(self.app);
        if tokio::time::timeout(self.drain_timeout, self.audit).await.is_err() {
            tracing::error!("the last audit events could not be written in time");
        }
    }
}

struct Stores {
    meta: Arc<dyn MetaStore>,
    blobs: Arc<dyn BlobStore>,
    audit: Arc<dyn AuditStore>,
}

impl Stores {
    async fn open(settings: &Settings) -> Result<Self, StartError> {
        let (retention, max_bytes) = (settings.audit.retention, settings.audit.max_bytes);
        let (meta, audit) = match &settings.database {
            Database::Sqlite => (
                sql::open_sqlite(&settings.data.join("metadata.db"))?,
                SqliteAudit::open(&settings.data.join("audit"), retention, max_bytes)?,
            ),
            Database::Postgres(url) => (
                sql::open_postgres(url.expose_secret(), CONNECTIONS)?,
                PostgresAudit::open(url.expose_secret(), retention, max_bytes)?,
            ),
        };
        let blobs = match &settings.blobs {
            Blobs::Local => LocalBlobStore::open(&settings.data).await?,
            Blobs::S3(s3) => S3BlobStore::open(&S3Config {
                bucket: s3.bucket.clone(),
                prefix: s3.prefix.clone(),
                endpoint: s3.endpoint.clone(),
                region: s3.region.clone(),
                access_key_id: s3.access_key_id.clone(),
                secret_access_key: s3.secret_access_key.clone(),
            })?,
        };
        Ok(Self { meta, blobs, audit })
    }
}

async fn assemble(
    settings: &Settings,
    net: &Net,
    stores: Stores,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<(Arc<App>, JoinHandle<()>), StartError> {
    let Stores { meta, blobs, audit } = stores;
    let secrets = Arc::new(ServerKey::load(&*meta, &*random, "credentials").await?);
    let sealing = Arc::new(ServerKey::load(&*meta, &*random, "uploads").await?);
    let keys =
        KeyRing::load(Arc::clone(&meta), Arc::clone(&clock), Arc::clone(&random), settings.signing.as_str()).await?;
    let keys = Arc::new(keys);
    let directory = Directory::load(Arc::clone(&meta), settings.outage_budget).await?;
    let (recorder, audit_task) = Recorder::start(
        audit,
        settings.audit.lines.as_deref().map(|path| audit_output(path, settings.audit.max_bytes)),
    );
    let control = Control::new(
        Arc::clone(&meta),
        Arc::clone(&directory),
        Arc::clone(&keys),
        Arc::clone(&secrets),
        Arc::clone(&recorder),
        Arc::clone(&clock),
        Arc::clone(&random),
    );
    let registry =
        Registry::new(Arc::clone(&meta), Arc::clone(&blobs), Arc::clone(&clock), Arc::clone(&random), sealing);
    let front = front(settings, net);
    let provider = provider(&front, &meta, &keys, &secrets, &clock, &random)?;
    let app = Arc::new(App {
        provider,
        authoriser: Authoriser::new(Arc::clone(&directory), Arc::clone(&meta)),
        authenticator: Authenticator::new(Arc::clone(&keys), secrets, Arc::clone(&directory), Arc::clone(&clock)),
        directory,
        registry: Arc::new(registry),
        control,
        keys,
        recorder,
        metrics: Arc::new(Metrics::new()),
        health: Arc::new(health(net, meta, blobs)),
        front,
        clock,
        random,
    });
    Ok((app, audit_task))
}

fn front(settings: &Settings, net: &Net) -> Front {
    let public = net.public_addr();
    let secure = settings.tls != Tls::Off;
    let hosts = Hosts::new(settings).bound_to(public);
    Front {
        has_domain: settings.domain.is_some(),
        authority: hosts.own_authority(),
        hosts,
        origin: Origin::tcp(Listener::Public, public, Some(public), secure),
        endpoint: net.endpoint(),
        ca_file: net.ca_file(),
    }
}

/// The directory's face. Its issuers are named by this server's own address, however it was reached.
fn provider(
    front: &Front,
    store: &Arc<dyn MetaStore>,
    keys: &Arc<KeyRing>,
    secrets: &Arc<ServerKey>,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> Result<Provider, StartError> {
    let base = front.hosts.base(&front.authority, &front.origin);
    let (keys, key) = (Arc::clone(keys), Arc::clone(secrets));
    let tokens = DirectoryTokens::new(keys, key, Arc::clone(clock), Arc::clone(random), &base);
    let fetch = Arc::new(HttpFetch::new());
    Ok(Provider::new(Parts {
        store: Arc::clone(store),
        secrets: Arc::clone(secrets),
        tokens: Arc::new(tokens),
        passwords: Arc::new(Passwords::new(Arc::clone(random))?),
        federation: Arc::new(Federation::new(Arc::clone(&fetch) as Arc<dyn Fetch>, Arc::clone(clock))),
        fetch,
        clock: Arc::clone(clock),
        random: Arc::clone(random),
        base,
    }))
}

fn health(net: &Net, meta: Arc<dyn MetaStore>, blobs: Arc<dyn BlobStore>) -> Health {
    Health::new(net.draining())
        .check("database", move || {
            let meta = Arc::clone(&meta);
            async move { meta.ping().await }
        })
        .check("blobs", move || {
            let blobs = Arc::clone(&blobs);
            async move { blobs.ping().await }
        })
}

fn audit_output(path: &Path, max_bytes: u64) -> AuditOutput {
    if path.as_os_str() == "-" { AuditOutput::Stdout } else { AuditOutput::File { path: path.to_owned(), max_bytes } }
}

/// Readable by its owner only: it holds the signing keys.
fn make_data_directory(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| StartError::Data { path: path.to_owned(), error })
}
