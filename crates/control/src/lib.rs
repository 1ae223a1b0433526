//! Management operations on resources: validated, authorised, audited. The faces, the CLI's socket among them, call these
//! and only translate.

mod access;
mod admin;
mod bootstrap;
mod credentials;
mod error;
mod federated;
mod gate;
mod groups;
mod identities;
mod issuers;
mod names;
mod policies;
mod principals;
mod recorder;
mod registries;
mod role_assignments;
mod role_definitions;
mod scope_maps;
mod scopes;
mod service_principals;
mod sessions;
mod tenancy;
mod tokens;
mod users;
mod write;

use std::sync::Arc;

use serde_json::Value;
use shorepass_access::{Authoriser, Directory};
use shorepass_core::{AuditEvent, Clock, EventKind, Outcome, Random, RegistryName, new_id};
use shorepass_identity::{KeyRing, ServerKey};
use shorepass_store::MetaStore;

pub use access::*;
pub use admin::{AdminAccount, AdminPassword, PasswordName};
pub use bootstrap::{DEFAULT_REGISTRY, bootstrap};
pub use credentials::{CredentialType, CredentialView, NewCredential, NewCredentialView};
pub use error::ControlError;
pub use federated::{FederatedCredentialPatch, FederatedCredentialView, NewFederatedCredential, Owner};
pub use gate::{Actor, CURRENT_TENANT};
pub use groups::{GroupPatch, GroupView, MemberView, NewGroup, NewMember};
pub use identities::{
    IdentityPatch, IdentityType, IdentityView, NewIdentity, RegistryIdentity, RegistryIdentityType,
    RegistryIdentityView,
};
pub use issuers::{IssuerPatch, IssuerView, NewIssuer, NewSignIn, SignInView};
pub use policies::{AccessPolicyPatch, AccessPolicyView, NewAccessPolicy, PolicyCheck, PolicySchema, PolicyText};
pub use recorder::{AuditOutput, Recorder};
pub use registries::{Located, NameAvailability, NewRegistry, RegistryPatch, RoleAssignmentModeName, TierName};
pub use role_assignments::{AssignmentFilter, NewRoleAssignment, RoleAssignmentPatch, RoleAssignmentView};
pub use role_definitions::{NewRoleDefinition, RoleDefinitionPatch, RoleDefinitionView, RoleType};
pub use scope_maps::{NewScopeMap, ScopeMapPatch, ScopeMapType, ScopeMapView};
pub use service_principals::{NewServicePrincipal, ServicePrincipalPatch, ServicePrincipalView};
pub use sessions::OperatorSession;
pub use tenancy::{Named, ResourceGroupView, SubscriptionView, TenantView};
pub use tokens::{
    NewToken, NewTokenPasswords, RepositoryActions, TokenPasswordName, TokenPasswords, TokenPatch, TokenStatus,
    TokenView,
};
pub use users::{ExternalSubject, Invitation, NewUser, UserPatch, UserState, UserView};
pub use write::{Expected, Listed, MAX_PAGE, Made, Page};

type Result<T> = std::result::Result<T, ControlError>;

/// Management operations.
#[derive(Debug)]
pub struct Control {
    store: Arc<dyn MetaStore>,
    directory: Arc<Directory>,
    authoriser: Authoriser,
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
        let authoriser = Authoriser::new(Arc::clone(&directory), Arc::clone(&store));
        Self { store, directory, authoriser, keys, secrets, recorder, clock, random }
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
            principal: actor.principal().id(),
            credential: actor.credential.as_str().to_owned(),
            origin: actor.origin.clone(),
            request_id: actor.request_id.clone(),
            count: 1,
            detail: (!detail.is_null()).then_some(detail),
        };
        Ok(self.recorder.record_now(event).await?)
    }
}
