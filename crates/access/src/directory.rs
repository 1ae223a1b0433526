//! The registries, the directory's documents and what decides about callers, in memory, never older than a second.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use shorepass_core::RegistryName;
use shorepass_core::directory::AssignmentScope;
use shorepass_store::resources::ResourceRow;
use shorepass_store::rows::RegistryRecord;
use shorepass_store::{MetaStore, StoreError};
use uuid::Uuid;

use crate::policy::{PolicyState, ScopeChain};

/// How often a server asks the database whether another changed anything: half of the second within which a change has to
/// be felt everywhere (DESIGN.md 4.3).
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The database was not reached for longer than the outage budget: what is known is too old to decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database has not answered for longer than the outage budget")]
pub struct Unavailable;

/// Documents read from the store at once.
const PAGE: i64 = 5_000;

#[derive(Debug, Default)]
struct Snapshot {
    generation: i64,
    /// Subscription → tenant.
    subscriptions: HashMap<Uuid, Uuid>,
    /// Resource group → subscription.
    groups: HashMap<Uuid, Uuid>,
    by_name: HashMap<RegistryName, Arc<RegistryRecord>>,
    by_id: HashMap<Uuid, Arc<RegistryRecord>>,
}

#[derive(Debug)]
struct State {
    snapshot: Arc<Snapshot>,
    last_contact: Instant,
}

/// What decides, and up to which generation it has been read.
#[derive(Debug, Default)]
struct Policy {
    generation: i64,
    state: PolicyState,
}

/// All registries and documents, read from memory on the pull path.
#[derive(Debug)]
pub struct Directory {
    store: Arc<dyn MetaStore>,
    outage_budget: Duration,
    state: RwLock<State>,
    policy: RwLock<Policy>,
    /// Refreshes follow one another, so that an older answer never replaces a newer one.
    refreshing: tokio::sync::Mutex<()>,
}

impl Directory {
    /// # Errors
    /// When the store does not answer.
    pub async fn load(store: Arc<dyn MetaStore>, outage_budget: Duration) -> Result<Arc<Self>, StoreError> {
        let state = State { snapshot: Arc::default(), last_contact: Instant::now() };
        let directory = Self {
            store,
            outage_budget,
            state: RwLock::new(state),
            policy: RwLock::default(),
            refreshing: tokio::sync::Mutex::new(()),
        };
        directory.load_policy().await?;
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
        self.follow_policy(generation).await?;
        let records: Vec<_> = self.store.registries().await?.into_iter().map(Arc::new).collect();
        let snapshot = Snapshot {
            generation,
            subscriptions: self.store.subscriptions().await?.into_iter().map(|row| (row.id, row.tenant_id)).collect(),
            groups: self.store.resource_groups().await?.into_iter().map(|row| (row.id, row.subscription_id)).collect(),
            by_name: records.iter().map(|r| (r.registry.name.clone(), Arc::clone(r))).collect(),
            by_id: records.iter().map(|r| (r.registry.id, Arc::clone(r))).collect(),
        };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        *state = State { snapshot: Arc::new(snapshot), last_contact: asked };
        Ok(())
    }

    /// Reads all documents.
    async fn load_policy(&self) -> Result<(), StoreError> {
        let generation = self.store.policy_generation().await?;
        let (mut rows, mut after) = (Vec::<ResourceRow>::new(), None);
        loop {
            let page = self.store.all_resources(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            rows.extend(page);
        }
        let state = PolicyState::load(rows);
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Policy { generation, state };
        Ok(())
    }

    /// Applies what changed up to `generation`; everything anew where the log does not reach back.
    async fn follow_policy(&self, generation: i64) -> Result<(), StoreError> {
        loop {
            let since = self.policy.read().unwrap_or_else(PoisonError::into_inner).generation;
            if since >= generation {
                return Ok(());
            }
            let Some(changes) = self.store.changed_resources(since, PAGE).await? else {
                return self.load_policy().await;
            };
            let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
            // Other changes raise the generation too: without one of a document all is read.
            policy.generation = changes.last().map_or(generation, |(generation, ..)| *generation);
            for (_, id, row) in &changes {
                policy.state.apply(*id, row.as_ref());
            }
        }
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

    /// Asks what decides. The answer must not wait for anything: changes wait for it.
    ///
    /// # Errors
    /// [`Unavailable`] after a long outage of the database.
    pub fn policy<T>(&self, ask: impl FnOnce(&PolicyState) -> T) -> Result<T, Unavailable> {
        self.fresh()?;
        Ok(ask(&self.policy.read().unwrap_or_else(PoisonError::into_inner).state))
    }

    /// Where a scope is in the tree; `None` when it is not there.
    ///
    /// # Errors
    /// [`Unavailable`] after a long outage of the database.
    pub fn chain(&self, scope: &AssignmentScope) -> Result<Option<ScopeChain>, Unavailable> {
        let snapshot = self.fresh()?;
        let of_subscription = |id: Uuid| {
            let tenant = *snapshot.subscriptions.get(&id)?;
            let top = ScopeChain { tenant, subscription: None, resource_group: None, registry: None, repository: None };
            Some(ScopeChain { subscription: Some(id), ..top })
        };
        let of_group = |id: Uuid| {
            let chain = of_subscription(*snapshot.groups.get(&id)?)?;
            Some(ScopeChain { resource_group: Some(id), ..chain })
        };
        let of_registry = |id: Uuid| {
            let chain = of_group(snapshot.by_id.get(&id)?.registry.resource_group_id)?;
            Some(ScopeChain { registry: Some(id), ..chain })
        };
        Ok(match scope {
            AssignmentScope::Tenant { id } => Some(ScopeChain {
                tenant: *id,
                subscription: None,
                resource_group: None,
                registry: None,
                repository: None,
            }),
            AssignmentScope::Subscription { id } => of_subscription(*id),
            AssignmentScope::ResourceGroup { id } => of_group(*id),
            AssignmentScope::Registry { id } => of_registry(*id),
            AssignmentScope::Repository { registry, name } => {
                of_registry(*registry).map(|chain| ScopeChain { repository: Some(name.clone()), ..chain })
            }
        })
    }
}
