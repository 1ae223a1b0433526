//! The one place that says yes.

use std::marker::PhantomData;
use std::sync::Arc;

use shorepass_core::{Action, ActionSet, Principal, RepositoryName, TokenScope};
use shorepass_store::rows::RegistryRecord;
use shorepass_store::{MetaStore, StoreError};

use crate::permit::{RegistrySubject, RepositorySubject, ServerSubject};
use crate::{Caller, Catalog, Ceiling, Directory, Grant, Manage, Permit, Unavailable};

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
    directory: Arc<Directory>,
    store: Arc<dyn MetaStore>,
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
        self.check(caller, &registry, A::ACTION)?;
        if !caller.scope_covers(name, A::ACTION) {
            return Err(Denial::Scope);
        }
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
        self.check(caller, &registry, Action::CatalogList)?;
        if !caller.ceiling.has_catalog() {
            return Err(Denial::Scope);
        }
        Ok(Permit { subject: RegistrySubject { registry }, principal: caller.principal.clone(), action: PhantomData })
    }

    /// Is the caller's credential good at all? What `GET /v2/` asks.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn signed_in(&self, caller: &Caller) -> Result<(), Denial> {
        let registry = self.live_registry(caller)?;
        if matches!(caller.principal, Principal::Anonymous) && caller.issued.is_none() {
            return Err(Denial::Anonymous);
        }
        // An anonymous token outlives the switch that allowed it, but not its effect.
        if rights(caller, &registry)?.is_empty() { Err(Denial::Anonymous) } else { Ok(()) }
    }

    /// The part of `requested` that the caller may have: requested ∩ ceiling ∩ rights, for each scope by itself. A scope
    /// of which nothing is left stays, without actions.
    ///
    /// # Errors
    /// [`Denial::Revoked`] or an outage; never because a scope is not allowed.
    pub fn grant(&self, caller: &Caller, requested: &[TokenScope]) -> Result<Vec<TokenScope>, Denial> {
        let registry = self.live_registry(caller)?;
        let rights = rights(caller, &registry)?;
        let granted = requested.iter().filter_map(|scope| match scope {
            TokenScope::Repository { name, actions } => Some(TokenScope::Repository {
                name: name.clone(),
                actions: caller.ceiling.on_repository(name, actions.intersection(rights)),
            }),
            TokenScope::Catalog if rights.contains(Action::CatalogList) && caller.ceiling.has_catalog() => {
                Some(TokenScope::Catalog)
            }
            TokenScope::Catalog | TokenScope::Unknown { .. } => None,
        });
        Ok(granted.collect())
    }

    /// The local operator may administer the server; nobody else so far.
    ///
    /// # Errors
    /// [`Denial::Forbidden`] for anybody else.
    pub fn manage(&self, principal: &Principal) -> Result<Permit<Manage, ServerSubject>, Denial> {
        match principal {
            Principal::Operator { .. } => {
                Ok(Permit { subject: ServerSubject, principal: principal.clone(), action: PhantomData })
            }
            _ => Err(Denial::Forbidden),
        }
    }

    /// The caller's registry as it is now; the caller may hold an older record, or one of a registry since deleted.
    fn live_registry(&self, caller: &Caller) -> Result<Arc<RegistryRecord>, Denial> {
        let id = caller.registry.registry.id;
        self.directory.by_id(id)?.ok_or(Denial::Revoked("the registry was deleted"))
    }

    fn check(&self, caller: &Caller, registry: &RegistryRecord, action: Action) -> Result<(), Denial> {
        if rights(caller, registry)?.contains(action) {
            return Ok(());
        }
        Err(match (&caller.principal, &caller.ceiling) {
            // An anonymous token is worth no more than no token.
            (Principal::Anonymous, Ceiling::Open | Ceiling::Scopes(_)) => Denial::Anonymous,
            _ => Denial::Forbidden,
        })
    }
}

/// What the principal may do in this registry now, whatever its token says.
fn rights(caller: &Caller, registry: &RegistryRecord) -> Result<ActionSet, Denial> {
    let everything = || Action::ALL.into_iter().collect();
    match &caller.principal {
        Principal::Admin { registry: id } => {
            let alive = *id == registry.registry.id
                && registry.registry.settings.admin_enabled
                && caller.epoch == registry.registry.admin_epoch;
            let known = registry.admin_passwords.iter().any(|password| Some(password.id) == caller.root_id);
            match (alive, known) {
                (true, true) => Ok(everything()),
                (false, _) => Err(Denial::Revoked("the admin account is disabled")),
                (true, false) => Err(Denial::Revoked("the admin password was renewed")),
            }
        }
        Principal::Operator { .. } => Ok(everything()),
        Principal::Anonymous if registry.registry.settings.anonymous_pull_enabled => {
            Ok(ActionSet::of(&[Action::ContentRead, Action::MetadataRead]))
        }
        // The directory's principals hold no roles yet.
        Principal::Anonymous
        | Principal::User { .. }
        | Principal::ServicePrincipal { .. }
        | Principal::ManagedIdentity { .. }
        | Principal::RepositoryToken { .. } => Ok(ActionSet::EMPTY),
    }
}
