//! The tenants, remembered for a moment: who asks for one is not known yet, and must not make the database work.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use shorepass_store::rows::TenantRow;
use shorepass_store::{MetaStore, StoreError};
use uuid::Uuid;

use super::route::TenantSegment;

/// Within which a change must be felt everywhere (DESIGN.md 4.3).
const LIFE: Duration = Duration::from_secs(1);

/// A tenant that is not known may have been made just now; so often that is looked at.
const RETRY: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct Tenants {
    store: Arc<dyn MetaStore>,
    known: RwLock<Known>,
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    tenants: Arc<Vec<Arc<TenantRow>>>,
    read: Option<Instant>,
}

impl Known {
    fn is_younger_than(&self, age: Duration) -> bool {
        self.read.is_some_and(|read| read.elapsed() < age)
    }

    fn find(&self, wanted: impl Fn(&TenantRow) -> bool) -> Option<Arc<TenantRow>> {
        self.tenants.iter().find(|tenant| wanted(tenant)).map(Arc::clone)
    }
}

impl Tenants {
    #[must_use]
    pub fn new(store: Arc<dyn MetaStore>) -> Self {
        Self { store, known: RwLock::default(), reading: tokio::sync::Mutex::default() }
    }

    /// The tenant a path names; `None` for [`TenantSegment::Any`].
    ///
    /// # Errors
    /// When the store does not answer and nothing was ever read.
    pub async fn named(&self, segment: &TenantSegment) -> Result<Option<Arc<TenantRow>>, StoreError> {
        self.find(|tenant| match segment {
            TenantSegment::Guid(guid) => tenant.guid == *guid,
            TenantSegment::Name(name) => tenant.name.eq_ignore_ascii_case(name),
            TenantSegment::Any => false,
        })
        .await
    }

    /// By the id its resources have as their parent.
    ///
    /// # Errors
    /// As [`named`](Self::named).
    pub async fn by_id(&self, id: Uuid) -> Result<Option<Arc<TenantRow>>, StoreError> {
        self.find(|tenant| tenant.id == id).await
    }

    /// # Errors
    /// As [`named`](Self::named).
    pub async fn all(&self) -> Result<Arc<Vec<Arc<TenantRow>>>, StoreError> {
        Ok(self.young(LIFE).await?.tenants)
    }

    async fn find(&self, wanted: impl Fn(&TenantRow) -> bool) -> Result<Option<Arc<TenantRow>>, StoreError> {
        match self.young(LIFE).await?.find(&wanted) {
            Some(found) => Ok(Some(found)),
            None => Ok(self.young(RETRY).await?.find(&wanted)),
        }
    }

    async fn young(&self, age: Duration) -> Result<Known, StoreError> {
        let known = || self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        if known().is_younger_than(age) {
            return Ok(known());
        }
        let _one_at_a_time = self.reading.lock().await;
        let old = known();
        if old.is_younger_than(age) {
            return Ok(old);
        }
        let asked = Instant::now();
        match self.store.tenants().await {
            Ok(rows) => {
                let tenants = Arc::new(rows.into_iter().map(Arc::new).collect());
                let new = Known { tenants, read: Some(asked) };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = new.clone();
                Ok(new)
            }
            // What else needs the database says so itself.
            Err(_) if old.read.is_some() => Ok(old),
            Err(error) => Err(error),
        }
    }
}
