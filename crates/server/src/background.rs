//! What a server does besides answering.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Half of the overlap in which a new key is published but does not sign yet would do; this is a tenth.
const KEYS_INTERVAL: Duration = Duration::from_secs(30);

/// How long collection rests when there was nothing to do.
const COLLECT_INTERVAL: Duration = Duration::from_secs(60);

const PRUNE_INTERVAL: Duration = Duration::from_secs(600);

/// Device codes and sign-ins under way live for minutes.
const GRANTS_INTERVAL: Duration = Duration::from_secs(30);

const METRICS_INTERVAL: Duration = Duration::from_secs(5);

/// The server's own work.
pub struct Background {
    pub app: Arc<App>,
    pub upload_lifetime: Duration,
    pub stop: CancellationToken,
}

impl Background {
    pub fn spawn(self) -> Vec<JoinHandle<()>> {
        let Self { app, upload_lifetime, stop } = self;
        let every = |interval, work: fn(Arc<App>, Duration) -> futures::future::BoxFuture<'static, ()>| {
            let (app, stop) = (Arc::clone(&app), stop.clone());
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(interval);
                ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                    work(Arc::clone(&app), upload_lifetime).await;
                }
            })
        };
        vec![
            every(shorepass_access::POLL_INTERVAL, |app, _| Box::pin(poll(app))),
            every(KEYS_INTERVAL, |app, _| Box::pin(refresh_keys(app))),
            every(COLLECT_INTERVAL, |app, lifetime| Box::pin(collect(app, lifetime))),
            every(PRUNE_INTERVAL, |app, _| Box::pin(prune(app))),
            every(GRANTS_INTERVAL, |app, _| Box::pin(expire_grants(app))),
            every(METRICS_INTERVAL, |app, _| Box::pin(gauges(app))),
        ]
    }
}

/// Notices what other servers changed.
async fn poll(app: Arc<App>) {
    if let Err(error) = app.directory.poll().await {
        tracing::warn!(%error, "the registries could not be read again");
    }
}

async fn refresh_keys(app: Arc<App>) {
    if let Err(error) = app.keys.refresh().await {
        tracing::warn!(%error, "the signing keys could not be read again");
    }
}

/// Collects until there is nothing left to do, giving way between batches.
async fn collect(app: Arc<App>, upload_lifetime: Duration) {
    let gc = &app.metrics.gc;
    loop {
        match app.registry.collect(upload_lifetime).await {
            Ok(done) => {
                gc.runs.inc();
                gc.deleted_blobs.inc_by(done.objects_deleted);
                if done == shorepass_registry::Collected::default() {
                    return;
                }
            }
            Err(error) => {
                gc.failed_runs.inc();
                tracing::warn!(%error, "collection failed and goes on later");
                return;
            }
        }
        tokio::task::yield_now().await;
    }
}

async fn prune(app: Arc<App>) {
    match app.recorder.table().prune(app.clock.now()).await {
        Ok(0) => {}
        Ok(periods) => tracing::info!(periods, "old audit periods were dropped"),
        Err(error) => tracing::warn!(%error, "old audit periods could not be dropped"),
    }
}

async fn expire_grants(app: Arc<App>) {
    if let Err(error) = app.provider.expire_grants().await {
        tracing::warn!(%error, "expired grants could not be removed");
    }
}

async fn gauges(app: Arc<App>) {
    let dropped = app.recorder.dropped();
    let counted = app.metrics.audit_dropped.get();
    app.metrics.audit_dropped.inc_by(dropped.saturating_sub(counted));
    let tokens = app.metrics.cache("tokens");
    let (hits, misses) = app.keys.cache_counts();
    tokens.hits.inc_by(hits.saturating_sub(tokens.hits.get()));
    tokens.misses.inc_by(misses.saturating_sub(tokens.misses.get()));
    for check in &*app.health.report().await.checks {
        app.metrics.set_dependency(check.name, check.status == crate::health::CheckStatus::Ok);
    }
}
