//! The registries and what decides about their callers, in memory, never older than a second.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use shorepass_core::RegistryName;
use shorepass_store::rows::RegistryRecord;
use shorepass_store::{MetaStore, StoreError};
use uuid::Uuid;

/// How often a server asks the database whether another changed anything: half of the second within which a change has to
/// be felt everywhere (DESIGN.md 4.3).
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The database was not reached for longer than the outage budget: what is known is too old to decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database has not answered for longer than the outage budget")]
pub struct Unavailable;

#[derive(Debug, Default)]
struct Snapshot {
    generation: i64,
    by_name: HashMap<RegistryName, Arc<RegistryRecord>>,
    by_id: HashMap<Uuid, Arc<RegistryRecord>>,
}

#[derive(Debug)]
struct State {
    snapshot: Arc<Snapshot>,
    last_contact: Instant,
}

/// All registries, read from memory on the pull path.
#[derive(Debug)]
pub struct Directory {
    store: Arc<dyn MetaStore>,
    outage_budget: Duration,
    state: RwLock<State>,
    /// Refreshes follow one another, so that an older answer never replaces a newer one.
    refreshing: tokio::sync::Mutex<()>,
}

impl Directory {
    /// # Errors
    /// When the store does not answer.
    pub async fn load(store: Arc<dyn MetaStore>, outage_budget: Duration) -> Result<Arc<Self>, StoreError> {
        let state = State { snapshot: Arc::default(), last_contact: Instant::now() };
        let directory =
            Self { store, outage_budget, state: RwLock::new(state), refreshing: tokio::sync::Mutex::new(()) };
        directory.refresh().await?;
        Ok(Arc::new(directory))
    }

    /// Reads everything anew. Whoever changes a registry calls this before answering, so that the change bites on the very
    /// next request.
    ///
    /// # Errors
    /// When the store does not answer; what was known stays.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.refreshing.lock().await;
        let asked = Instant::now();
        let generation = self.store.policy_generation().await?;
        let records: Vec<_> = self.store.registries().await?.into_iter().map(Arc::new).collect();
        let snapshot = Snapshot {
            generation,
            by_name: records.iter().map(|r| (r.registry.name.clone(), Arc::clone(r))).collect(),
            by_id: records.iter().map(|r| (r.registry.id, Arc::clone(r))).collect(),
        };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        *state = State { snapshot: Arc::new(snapshot), last_contact: asked };
        Ok(())
    }

    /// Refreshes if another server changed something.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn poll(&self) -> Result<(), StoreError> {
        let asked = Instant::now();
        let generation = self.store.policy_generation().await?;
        if generation != self.snapshot().generation {
            return self.refresh().await;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.last_contact = state.last_contact.max(asked);
        Ok(())
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).snapshot)
    }

    fn fresh(&self) -> Result<Arc<Snapshot>, Unavailable> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        // Between two polls the last contact is up to an interval old, whatever the budget.
        if state.last_contact.elapsed() > self.outage_budget + 4 * POLL_INTERVAL {
            return Err(Unavailable);
        }
        Ok(Arc::clone(&state.snapshot))
    }

    /// # Errors
    /// [`Unavailable`] after a long outage of the database.
    pub fn by_name(&self, name: &RegistryName) -> Result<Option<Arc<RegistryRecord>>, Unavailable> {
        Ok(self.fresh()?.by_name.get(name).map(Arc::clone))
    }

    /// # Errors
    /// [`Unavailable`] after a long outage of the database.
    pub fn by_id(&self, id: Uuid) -> Result<Option<Arc<RegistryRecord>>, Unavailable> {
        Ok(self.fresh()?.by_id.get(&id).map(Arc::clone))
    }
}
