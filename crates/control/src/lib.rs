//! Management operations on resources: validated, authorised, audited. The faces, the CLI's socket among them, call these
//! and only translate.

mod admin;
mod bootstrap;
mod error;
mod recorder;
mod registries;
mod sessions;

use std::sync::Arc;

use serde_json::Value;
use shorepass_access::Directory;
use shorepass_core::{AuditEvent, Clock, CredentialKind, EventKind, Outcome, Principal, Random, RegistryName, new_id};
use shorepass_identity::{KeyRing, ServerKey};
use shorepass_store::MetaStore;
use shorepass_store::rows::RegistryRecord;

pub use admin::{AdminAccount, AdminPassword, PasswordName};
pub use bootstrap::{DEFAULT_REGISTRY, bootstrap};
pub use error::ControlError;
pub use recorder::{AuditOutput, Recorder};
pub use registries::{NameAvailability, RegistryPatch};
pub use sessions::OperatorSession;

type Result<T> = std::result::Result<T, ControlError>;

/// Who calls an operation, for the audit.
#[derive(Debug, Clone)]
pub struct Actor {
    pub principal: Principal,
    pub credential: CredentialKind,
    /// The peer's address, or `socket`.
    pub origin: String,
    pub request_id: Option<String>,
}

/// Management operations.
#[derive(Debug)]
pub struct Control {
    store: Arc<dyn MetaStore>,
    directory: Arc<Directory>,
    keys: Arc<KeyRing>,
    secrets: Arc<ServerKey>,
    recorder: Arc<Recorder>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Control {
    #[must_use]
    pub fn new(
        store: Arc<dyn MetaStore>,
        directory: Arc<Directory>,
        keys: Arc<KeyRing>,
        secrets: Arc<ServerKey>,
        recorder: Arc<Recorder>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { store, directory, keys, secrets, recorder, clock, random }
    }

    async fn find(&self, name: &RegistryName) -> Result<RegistryRecord> {
        let record = self.store.registry(name).await?;
        record.ok_or_else(|| ControlError::NotFound(format!("there is no registry `{name}`")))
    }

    /// Makes a change felt on the very next request, then records it. The event is durable when this returns.
    async fn changed(&self, actor: &Actor, operation: &str, registry: &RegistryName, detail: Value) -> Result<()> {
        self.directory.refresh().await?;
        self.audit(actor, operation, Some(registry), None, detail).await
    }

    /// Records a management operation that was done.
    ///
    /// # Errors
    /// When the event cannot be stored.
    pub async fn audit(
        &self,
        actor: &Actor,
        operation: &str,
        registry: Option<&RegistryName>,
        target: Option<String>,
        detail: Value,
    ) -> Result<()> {
        let event = AuditEvent {
            id: new_id(&*self.clock, &*self.random),
            time: self.clock.now(),
            kind: EventKind::Management,
            outcome: Outcome::Success,
            reason: "done".to_owned(),
            registry: registry.map(ToString::to_string),
            repository: None,
            target,
            operation: Some(operation.to_owned()),
            principal: actor.principal.id(),
            credential: actor.credential.as_str().to_owned(),
            origin: actor.origin.clone(),
            request_id: actor.request_id.clone(),
            count: 1,
            detail: (!detail.is_null()).then_some(detail),
        };
        Ok(self.recorder.record_now(event).await?)
    }
}
