//! The decision on management, and why.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use shorepass_core::directory::AssignmentScope;
use shorepass_core::{Action, CredentialKind, Principal, RepositoryName};
use shorepass_store::rows::{Locks, RegistryRecord};
use uuid::Uuid;

use crate::authoriser::facts;
use crate::policy::{
    DeniedBy, Explanation, Grantee, Holding, ManagementAction, Proof, Question, Right, ScopeChain, Who,
};
use crate::{Authoriser, Ceiling, Denial, Manage, Permit};

/// Who calls a management operation, and what proved it.
#[derive(Debug, Clone)]
pub struct Requester {
    pub principal: Principal,
    pub proof: Proof,
}

impl Requester {
    /// The local operator, who reached the administration socket.
    #[must_use]
    pub fn operator(uid: u32) -> Self {
        let proof = Proof { epoch: 0, root: CredentialKind::Socket, root_id: None };
        Self { principal: Principal::Operator { uid }, proof }
    }
}

/// What a management action is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The whole server: the local operator's alone.
    Server,
    Scope(AssignmentScope),
}

impl Permit<Manage, Target> {
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.subject
    }
}

/// A question for an explanation.
#[derive(Debug, Clone)]
pub struct Ask {
    pub principal: Principal,
    pub registry: Uuid,
    /// `None`: the catalog.
    pub repository: Option<RepositoryName>,
    pub action: Action,
    pub origin: Option<IpAddr>,
}

impl Authoriser {
    /// May the requester do this to that?
    ///
    /// # Errors
    /// [`Denial`].
    pub fn manage_at(
        &self,
        requester: &Requester,
        action: ManagementAction,
        target: &Target,
    ) -> Result<Permit<Manage, Target>, Denial> {
        self.manage_with(requester, action, target, None)
    }

    /// May the requester give this role to this principal there, or take it? Conditions of the requester's own assignment may
    /// limit which.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn assign_role(
        &self,
        requester: &Requester,
        action: ManagementAction,
        scope: &AssignmentScope,
        grantee: &Grantee,
    ) -> Result<Permit<Manage, Target>, Denial> {
        self.manage_with(requester, action, &Target::Scope(scope.clone()), Some(grantee))
    }

    fn manage_with(
        &self,
        requester: &Requester,
        action: ManagementAction,
        target: &Target,
        grantee: Option<&Grantee>,
    ) -> Result<Permit<Manage, Target>, Denial> {
        let principal = &requester.principal;
        let permit = || Permit { subject: target.clone(), principal: principal.clone(), action: PhantomData };
        if matches!(principal, Principal::Operator { .. }) {
            return Ok(permit());
        }
        let Target::Scope(scope) = target else { return Err(Denial::Forbidden) };
        let Some(chain) = self.directory.chain(scope)? else { return Err(Denial::Forbidden) };
        let decision = self.directory.policy(|state| {
            state.alive(principal, &requester.proof).map_err(Denial::Revoked)?;
            Ok::<_, Denial>(state.decide_management(principal, action, &chain, grantee))
        })??;
        match decision.denied_by {
            None if decision.allowed => Ok(permit()),
            Some(DeniedBy::Revoked(reason)) => Err(Denial::Revoked(reason)),
            _ => Err(Denial::Forbidden),
        }
    }

    /// Decides as for a request, and says why; the repository's attributes count too.
    ///
    /// # Errors
    /// [`Denial::Forbidden`] when there is no such registry; an outage.
    pub async fn explain(&self, ask: &Ask) -> Result<Explanation, Denial> {
        let registry = self.known_registry(ask.registry)?;
        let locks = match &ask.repository {
            Some(name) => self.store.repository(ask.registry, name).await?.row.map(|row| row.locks),
            None => None,
        };
        let facts = facts(&registry);
        let question = Question {
            principal: &ask.principal,
            registry: &facts,
            repository: ask.repository.as_ref(),
            right: Right::from(ask.action),
            ceiling: &Ceiling::Open,
            locks: locks.unwrap_or_else(Locks::default),
            origin: ask.origin,
        };
        Ok(self.directory.policy(|state| state.explain(&question))?)
    }

    /// # Errors
    /// [`Denial::Forbidden`] when there is no such scope; an outage.
    pub fn explain_management(
        &self,
        principal: &Principal,
        action: ManagementAction,
        scope: &AssignmentScope,
    ) -> Result<Explanation, Denial> {
        let chain: ScopeChain = self.directory.chain(scope)?.ok_or(Denial::Forbidden)?;
        Ok(self.directory.policy(|state| state.explain_management(principal, action, &chain))?)
    }

    /// Everybody who may do it there, at most `limit`.
    ///
    /// # Errors
    /// [`Denial::Forbidden`] when there is no such registry; an outage.
    pub fn who_can(
        &self,
        registry: Uuid,
        repository: Option<&RepositoryName>,
        action: Action,
        limit: usize,
    ) -> Result<Vec<Who>, Denial> {
        let facts = facts(&*self.known_registry(registry)?);
        Ok(self.directory.policy(|state| state.who_can(&facts, repository, Right::from(action), limit))?)
    }

    /// Everything a principal holds.
    ///
    /// # Errors
    /// An outage.
    pub fn what_can(&self, principal: &Principal) -> Result<Vec<Holding>, Denial> {
        Ok(self.directory.policy(|state| state.what_can(principal))?)
    }

    fn known_registry(&self, id: Uuid) -> Result<Arc<RegistryRecord>, Denial> {
        self.directory.by_id(id)?.ok_or(Denial::Forbidden)
    }
}
