//! The one place that says yes.

use std::marker::PhantomData;
use std::sync::Arc;

use shorepass_core::{Principal, RepositoryName, TokenScope};
use shorepass_store::rows::{Locks, RegistryRecord, RoleAssignmentMode};
use shorepass_store::{MetaStore, StoreError};

use crate::permit::{RegistrySubject, RepositorySubject};
use crate::policy::{Decision, DeniedBy, PolicyState, Proof, RegistryFacts, Right, RoleMode};
use crate::{Caller, Catalog, Ceiling, Directory, Grant, Permit, Unavailable};

/// Why not. Every denial but an outage looks the same to a caller without rights.
#[derive(Debug, thiserror::Error)]
pub enum Denial {
    /// Nothing was proved, and anonymous may not do it.
    #[error("authentication required")]
    Anonymous,
    /// The token is in order but does not name this.
    #[error("the token does not have the scope")]
    Scope,
    /// The principal may not do it.
    #[error("the principal has no right to it")]
    Forbidden,
    /// The credential was good once.
    #[error("{0}")]
    Revoked(&'static str),
    #[error(transparent)]
    Outage(#[from] Unavailable),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Answers every question about what a caller may do.
#[derive(Debug)]
pub struct Authoriser {
    pub(crate) directory: Arc<Directory>,
    pub(crate) store: Arc<dyn MetaStore>,
}

impl Authoriser {
    #[must_use]
    pub fn new(directory: Arc<Directory>, store: Arc<dyn MetaStore>) -> Self {
        Self { directory, store }
    }

    /// May the caller do `A` on the repository of this name? The repository need not exist.
    ///
    /// # Errors
    /// [`Denial`].
    pub async fn repository<A: Grant>(&self, caller: &Caller, name: &RepositoryName) -> Result<Permit<A>, Denial> {
        let registry = self.live_registry(caller)?;
        self.decide(caller, &registry, Some(name), Right::from(A::ACTION))?;
        let lookup = self.store.repository(registry.registry.id, name).await?;
        // A token is for what the name stood for when it was issued: re-creation revives nothing (harbor#22900).
        if let (Some(issued), Some(deleted)) = (caller.issued, lookup.deleted_at)
            && deleted >= issued
        {
            return Err(Denial::Revoked("the repository was deleted after the token was issued"));
        }
        let subject =
            RepositorySubject { registry, name: name.clone(), row: lookup.row, deleted_at: lookup.deleted_at };
        Ok(Permit { subject, principal: caller.principal.clone(), action: PhantomData })
    }

    /// May the caller list the repositories?
    ///
    /// # Errors
    /// [`Denial`].
    pub fn catalog(&self, caller: &Caller) -> Result<Permit<Catalog, RegistrySubject>, Denial> {
        let registry = self.live_registry(caller)?;
        self.decide(caller, &registry, None, Right::CatalogList)?;
        Ok(Permit { subject: RegistrySubject { registry }, principal: caller.principal.clone(), action: PhantomData })
    }

    /// Is the caller's credential good at all? What `GET /v2/` asks.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn signed_in(&self, caller: &Caller) -> Result<(), Denial> {
        let registry = self.live_registry(caller)?;
        self.directory.policy(|state| stands(state, caller, &registry))??;
        // An anonymous token outlives the switch that allowed it, but not its effect.
        let anonymous_pull = registry.registry.settings.anonymous_pull_enabled;
        match caller.principal {
            Principal::Anonymous if caller.began.is_none() || !anonymous_pull => Err(Denial::Anonymous),
            _ => Ok(()),
        }
    }

    /// The part of `requested` that the caller may have: requested ∩ ceiling ∩ rights, for each scope by itself. A scope
    /// of which nothing is left stays, without actions.
    ///
    /// # Errors
    /// [`Denial::Revoked`] or an outage; never because a scope is not allowed.
    pub fn grant(&self, caller: &Caller, requested: &[TokenScope]) -> Result<Vec<TokenScope>, Denial> {
        let registry = self.live_registry(caller)?;
        let facts = facts(&registry);
        self.directory.policy(|state| {
            stands(state, caller, &registry)?;
            let granted = requested.iter().filter_map(|scope| match scope {
                TokenScope::Repository { name, actions } => {
                    let held = state.held(&caller.principal, &facts, Some(name));
                    // The ceiling is cut to action by action: a token to pull, which also lists tags, must not become one
                    // to read metadata.
                    let actions = held.allowed(*actions, &Ceiling::Open, caller.origin);
                    let actions = caller.ceiling.on_repository(name, actions);
                    Some(TokenScope::Repository { name: name.clone(), actions })
                }
                TokenScope::Catalog => {
                    let held = state.held(&caller.principal, &facts, None);
                    let decision = held.decide(Right::CatalogList, &caller.ceiling, Locks::default(), caller.origin);
                    decision.allowed.then_some(TokenScope::Catalog)
                }
                TokenScope::Unknown { .. } => None,
            });
            Ok(granted.collect())
        })?
    }

    /// The caller's registry as it is now; the caller may hold an older record, or one of a registry since deleted.
    fn live_registry(&self, caller: &Caller) -> Result<Arc<RegistryRecord>, Denial> {
        let id = caller.registry.registry.id;
        self.directory.by_id(id)?.ok_or(Denial::Revoked("the registry was deleted"))
    }

    /// Locks are left to the registry: what they forbid is not a matter of who asks, and is answered otherwise.
    fn decide(
        &self,
        caller: &Caller,
        registry: &RegistryRecord,
        repository: Option<&RepositoryName>,
        right: Right,
    ) -> Result<(), Denial> {
        let facts = facts(registry);
        self.directory.policy(|state| {
            stands(state, caller, registry)?;
            let held = state.held(&caller.principal, &facts, repository);
            let ask = |ceiling: &Ceiling| held.decide(right, ceiling, Locks::default(), caller.origin);
            let decision = ask(&caller.ceiling);
            if decision.denied_by == Some(DeniedBy::Ceiling) && !ask(&Ceiling::Open).allowed {
                // No token would help: asking for a better one is not worth telling.
                return Err(refused(caller, DeniedBy::NoGrant));
            }
            outcome(caller, decision)
        })?
    }
}

fn outcome(caller: &Caller, decision: Decision) -> Result<(), Denial> {
    match decision.denied_by {
        None if decision.allowed => Ok(()),
        by => Err(refused(caller, by.unwrap_or(DeniedBy::NoGrant))),
    }
}

fn refused(caller: &Caller, by: DeniedBy) -> Denial {
    match by {
        DeniedBy::Revoked(reason) => Denial::Revoked(reason),
        // An anonymous token is worth no more than no token.
        _ if matches!(caller.principal, Principal::Anonymous) => Denial::Anonymous,
        DeniedBy::Ceiling => Denial::Scope,
        DeniedBy::NoGrant | DeniedBy::Lock | DeniedBy::Policy => Denial::Forbidden,
        DeniedBy::Error => {
            tracing::error!(registry = %caller.registry.registry.name, "an access policy could not be evaluated: denied");
            Denial::Forbidden
        }
    }
}

/// Whether what the caller's chain of credentials began with still stands.
fn stands(state: &PolicyState, caller: &Caller, registry: &RegistryRecord) -> Result<(), Denial> {
    match &caller.principal {
        Principal::Admin { registry: id } => admin_stands(caller, registry, *id)?,
        Principal::Operator { .. } | Principal::Anonymous => {}
        principal => {
            let proof = Proof { epoch: caller.epoch, root: caller.root, root_id: caller.root_id };
            state.alive(principal, &proof).map_err(Denial::Revoked)?;
        }
    }
    // A switch of the role assignment mode ends what was issued before it (what-the-documents-say.md 2b).
    match (caller.began, registry.registry.settings.mode_changed_at) {
        (Some(began), Some(changed)) if began <= changed => {
            Err(Denial::Revoked("the registry's role assignment mode was changed after the token was issued"))
        }
        _ => Ok(()),
    }
}

fn admin_stands(caller: &Caller, registry: &RegistryRecord, id: uuid::Uuid) -> Result<(), Denial> {
    let enabled = id == registry.registry.id
        && registry.registry.settings.admin_enabled
        && caller.epoch == registry.registry.admin_epoch;
    if !enabled {
        return Err(Denial::Revoked("the admin account is disabled"));
    }
    let known = registry.admin_passwords.iter().any(|password| Some(password.id) == caller.root_id);
    if known { Ok(()) } else { Err(Denial::Revoked("the admin password was renewed")) }
}

/// What a decision needs to know of a registry.
pub(crate) fn facts(record: &RegistryRecord) -> RegistryFacts {
    let registry = &record.registry;
    RegistryFacts {
        id: registry.id,
        name: registry.name.clone(),
        tenant: record.tenant_id,
        subscription: record.subscription_id,
        resource_group: registry.resource_group_id,
        mode: match registry.settings.role_assignment_mode {
            RoleAssignmentMode::Rbac => RoleMode::Rbac,
            RoleAssignmentMode::RbacAbac => RoleMode::RbacAbac,
        },
        admin_enabled: registry.settings.admin_enabled,
        anonymous_pull: registry.settings.anonymous_pull_enabled,
    }
}
