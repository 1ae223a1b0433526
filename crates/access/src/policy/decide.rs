//! The decision.

use std::net::IpAddr;

use shorepass_core::directory::{AssignmentScope, PrincipalRef};
use shorepass_core::{ActionSet, Principal, RegistryName, RepositoryName};
use shorepass_store::rows::Locks;
use uuid::Uuid;

use super::actions::{ManagementAction, Right, Rights};
use super::cedar::{Answer, Asked, ask_built_in};
use super::condition::{Grantee, Subject};
use super::roles::{Role, RoleMode};
use super::state::{Assigned, PolicyState};
use crate::Ceiling;

/// Where something is in the tree of scopes, from the tenant down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeChain {
    pub tenant: Uuid,
    pub subscription: Option<Uuid>,
    pub resource_group: Option<Uuid>,
    pub registry: Option<Uuid>,
    pub repository: Option<RepositoryName>,
}

impl ScopeChain {
    /// All scopes at which an assignment reaches this.
    #[must_use]
    pub fn scopes(&self) -> Vec<AssignmentScope> {
        let tenant = AssignmentScope::Tenant { id: self.tenant };
        let subscription = self.subscription.map(|id| AssignmentScope::Subscription { id });
        let group = self.resource_group.map(|id| AssignmentScope::ResourceGroup { id });
        let registry = self.registry.map(|id| AssignmentScope::Registry { id });
        let repository = self.registry.zip(self.repository.clone());
        let repository = repository.map(|(registry, name)| AssignmentScope::Repository { registry, name });
        [Some(tenant), subscription, group, registry, repository].into_iter().flatten().collect()
    }
}

/// What a decision needs to know of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryFacts {
    pub id: Uuid,
    pub name: RegistryName,
    pub tenant: Uuid,
    pub subscription: Uuid,
    pub resource_group: Uuid,
    pub mode: RoleMode,
    pub admin_enabled: bool,
    pub anonymous_pull: bool,
}

impl RegistryFacts {
    /// Where assignments reach it, or a repository of it.
    #[must_use]
    pub fn chain(&self, repository: Option<&RepositoryName>) -> ScopeChain {
        ScopeChain {
            tenant: self.tenant,
            subscription: Some(self.subscription),
            resource_group: Some(self.resource_group),
            registry: Some(self.id),
            repository: repository.cloned(),
        }
    }
}

/// May this principal, from there, with this credential's ceiling, do this to that?
///
/// Whether the principal's proof still stands is asked before ([`PolicyState::alive`]).
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub principal: &'a Principal,
    pub registry: &'a RegistryFacts,
    /// `None`: the registry's catalog.
    pub repository: Option<&'a RepositoryName>,
    pub right: Right,
    pub ceiling: &'a Ceiling,
    /// The repository's attributes, as far as they count here.
    pub locks: Locks,
    pub origin: Option<IpAddr>,
}

/// What gave a right, or took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matched {
    /// A role assignment; to the principal, or to a group it is in.
    Assignment {
        id: Uuid,
        role: Uuid,
        holder: PrincipalRef,
    },
    ScopeMap {
        id: Uuid,
        name: String,
    },
    /// The admin account, the local operator, anonymous pull.
    BuiltIn(&'static str),
    /// An operator's policy.
    Policy(Uuid),
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeniedBy {
    /// Nothing grants it.
    NoGrant,
    /// The token that was shown does not name it.
    Ceiling,
    /// The repository's attributes forbid it.
    Lock,
    /// Operators' policies forbid it; the decision's `matched` names them.
    Policy,
    /// The principal is gone or disabled.
    Revoked(&'static str),
    /// A policy of the registry cannot be read or evaluated.
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    /// What decided: on a denial by a policy, that policy; else what granted.
    pub matched: Vec<Matched>,
    /// `None` when it is allowed.
    pub denied_by: Option<DeniedBy>,
}

impl Decision {
    fn allow(matched: Vec<Matched>) -> Self {
        Self { allowed: true, matched, denied_by: None }
    }

    pub(super) fn deny(by: DeniedBy, matched: Vec<Matched>) -> Self {
        Self { allowed: false, matched, denied_by: Some(by) }
    }
}

/// All that one principal holds on one repository or catalog, matched once and asked for each right.
pub struct Held<'a> {
    state: &'a PolicyState,
    principal: &'a Principal,
    registry: &'a RegistryFacts,
    repository: Option<&'a RepositoryName>,
    outcome: Result<Vec<(Matched, Rights)>, DeniedBy>,
}

impl PolicyState {
    /// Decides.
    #[must_use]
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        let held = self.held(question.principal, question.registry, question.repository);
        held.decide(question.right, question.ceiling, question.locks, question.origin)
    }

    /// Matches all that grants `principal` anything there.
    #[must_use]
    pub fn held<'a>(
        &'a self,
        principal: &'a Principal,
        registry: &'a RegistryFacts,
        repository: Option<&'a RepositoryName>,
    ) -> Held<'a> {
        let outcome = self.grants(principal, registry, repository);
        Held { state: self, principal, registry, repository, outcome }
    }

    fn grants(
        &self,
        principal: &Principal,
        registry: &RegistryFacts,
        repository: Option<&RepositoryName>,
    ) -> Result<Vec<(Matched, Rights)>, DeniedBy> {
        let built_in = |name, rights| Ok(vec![(Matched::BuiltIn(name), rights)]);
        match principal {
            Principal::Operator { .. } => built_in("operator", Right::ALL.into_iter().collect()),
            Principal::Admin { registry: id } if *id == registry.id && registry.admin_enabled => {
                built_in("admin account", ADMIN)
            }
            Principal::Admin { .. } => Err(DeniedBy::Revoked("the admin account is disabled")),
            Principal::Anonymous if registry.anonymous_pull => built_in("anonymous pull", ANONYMOUS),
            Principal::Anonymous => Ok(Vec::new()),
            Principal::RepositoryToken { registry: of, id } => self.map_grants(*of, *id, registry, repository),
            Principal::User { .. } | Principal::ServicePrincipal { .. } | Principal::ManagedIdentity { .. } => {
                self.epoch(principal).map_err(DeniedBy::Revoked)?;
                Ok(self.role_grants(principal, registry, repository))
            }
        }
    }

    fn map_grants(
        &self,
        of: Uuid,
        id: Uuid,
        registry: &RegistryFacts,
        repository: Option<&RepositoryName>,
    ) -> Result<Vec<(Matched, Rights)>, DeniedBy> {
        if of != registry.id {
            return Err(DeniedBy::Revoked("the repository token is another registry's"));
        }
        let token = self.live_token(of, id).map_err(DeniedBy::Revoked)?;
        // Tokens never list the catalog (what-the-documents-say.md 2c).
        let (Some(map), Some(name)) = (self.map_of(token), repository) else { return Ok(Vec::new()) };
        let rights = map.compiled.rights(name);
        Ok(vec![(Matched::ScopeMap { id: map.id, name: map.name.to_owned() }, rights)])
    }

    fn role_grants(
        &self,
        principal: &Principal,
        registry: &RegistryFacts,
        repository: Option<&RepositoryName>,
    ) -> Vec<(Matched, Rights)> {
        // Assignments at one repository are read in `rbac-abac` mode only.
        let named = repository.filter(|_| registry.mode == RoleMode::RbacAbac);
        let scopes = registry.chain(named).scopes();
        let text = repository.map(RepositoryName::as_str);
        let assigned = self.assigned(principal, registry.tenant, &scopes);
        let rights = |(assigned, role): (&Assigned, &Role)| {
            let rights = role.rights(registry.mode);
            let rights = match &assigned.condition {
                None => rights,
                Some(condition) => rights
                    .iter()
                    .filter(|right| {
                        let subject = Subject { action: right.data_action(), repository: text, grantee: None };
                        condition.holds(&subject)
                    })
                    .collect(),
            };
            (matched(assigned), rights)
        };
        assigned.into_iter().map(rights).filter(|(_, rights)| !rights.is_empty()).collect()
    }

    /// The assignments of a principal and its groups at these scopes, with their roles. Assignments and roles of another
    /// tenant, and a principal of another, count for nothing.
    pub(super) fn assigned<'a>(
        &'a self,
        principal: &Principal,
        tenant: Uuid,
        scopes: &[AssignmentScope],
    ) -> Vec<(&'a Assigned, &'a Role)> {
        let Some(reference) = Self::reference(principal).filter(|_| self.tenant_of(principal) == Some(tenant)) else {
            return Vec::new();
        };
        let (scopes, mut found) = (self.hashed(scopes), Vec::new());
        for holder in self.holders(reference) {
            for assigned in self.matching(holder, &scopes).filter(|assigned| assigned.tenant == tenant) {
                let id = assigned.role;
                let known = self.tenant_of_role(id).is_none_or(|of| of == tenant);
                if let Some(role) = self.role(id).filter(|_| known) {
                    found.push((assigned.as_ref(), role));
                }
            }
        }
        found
    }

    /// May this principal do this management action there? With what is granted or taken, if it is to assign a role. The local
    /// operator may do everything; others what their roles say.
    #[must_use]
    pub fn decide_management(
        &self,
        principal: &Principal,
        action: ManagementAction,
        chain: &ScopeChain,
        grantee: Option<&Grantee>,
    ) -> Decision {
        if matches!(principal, Principal::Operator { .. }) {
            return Decision::allow(vec![Matched::BuiltIn("operator")]);
        }
        if Self::reference(principal).is_none() {
            return Decision::deny(DeniedBy::NoGrant, Vec::new());
        }
        if let Err(reason) = self.epoch(principal) {
            return Decision::deny(DeniedBy::Revoked(reason), Vec::new());
        }
        let repository = chain.repository.as_ref().map(RepositoryName::as_str);
        let subject = Subject { action: action.as_str(), repository, grantee };
        let holding = |(assigned, role): &(&Assigned, &Role)| {
            role.manages(action) && assigned.condition.as_ref().is_none_or(|condition| condition.holds(&subject))
        };
        let found = self.assigned(principal, chain.tenant, &chain.scopes());
        let matched: Vec<_> = found.into_iter().filter(holding).map(|(assigned, _)| matched(assigned)).collect();
        if matched.is_empty() { Decision::deny(DeniedBy::NoGrant, matched) } else { Decision::allow(matched) }
    }
}

/// Everything but what belongs to roles of its own.
const ADMIN: Rights = Rights::of(&[
    Right::ContentRead,
    Right::ContentWrite,
    Right::ContentDelete,
    Right::MetadataRead,
    Right::MetadataWrite,
    Right::CatalogList,
    Right::AttributesRead,
    Right::Untag,
]);

const ANONYMOUS: Rights = Rights::of(&[Right::ContentRead, Right::MetadataRead]);

fn matched(assigned: &Assigned) -> Matched {
    Matched::Assignment { id: assigned.id, role: assigned.role, holder: assigned.holder }
}

impl Held<'_> {
    /// What of `wanted` is allowed.
    #[must_use]
    pub fn allowed(&self, wanted: ActionSet, ceiling: &Ceiling, origin: Option<IpAddr>) -> ActionSet {
        let may = |right: Right| self.decide(right, ceiling, Locks::default(), origin).allowed;
        wanted.iter().filter(|action| may(Right::from(*action))).collect()
    }

    /// Whether anything at all is granted, as far as matching goes: operators' policies are not asked.
    pub(super) fn is_empty(&self) -> bool {
        self.outcome.as_ref().map_or(true, |grants| grants.iter().all(|(_, rights)| rights.is_empty()))
    }

    /// Decides one right.
    #[must_use]
    pub fn decide(&self, right: Right, ceiling: &Ceiling, locks: Locks, origin: Option<IpAddr>) -> Decision {
        let grants = match &self.outcome {
            Ok(grants) => grants,
            Err(reason) => return Decision::deny(reason.clone(), Vec::new()),
        };
        // The catalog is the registry's, and everything else a repository's.
        if (right == Right::CatalogList) != self.repository.is_none() {
            return Decision::deny(DeniedBy::NoGrant, Vec::new());
        }
        if self.stranger() {
            return Decision::deny(DeniedBy::NoGrant, Vec::new());
        }
        let granting = || grants.iter().filter(|(_, rights)| rights.contains(right)).map(|(matched, _)| matched);
        let names = || granting().filter_map(|matched| self.name(matched)).collect();
        let asked = Asked {
            principal: self.principal,
            registry: self.registry.id,
            repository: self.repository.map(RepositoryName::as_str),
            right,
            granted: granting().next().is_some(),
            granted_by: &names,
            groups: &|| PolicyState::reference(self.principal).map_or_else(Vec::new, |of| self.state.groups_of(of)),
            anonymous_pull: self.registry.anonymous_pull,
            within_ceiling: within(ceiling, self.repository, right),
            locked: locked(locks, right),
            origin,
        };
        let answer = match self.state.policies_of(self.registry.id) {
            Some(policies) => policies.ask(&asked),
            None => ask_built_in(&asked),
        };
        conclude(answer, &asked, granting().cloned().collect())
    }

    /// Somebody of another tenant's directory: nothing there is theirs, whatever operators' policies allow.
    fn stranger(&self) -> bool {
        self.state.tenant_of(self.principal).is_some_and(|tenant| tenant != self.registry.tenant)
    }

    fn name(&self, matched: &Matched) -> Option<String> {
        match matched {
            Matched::Assignment { role, .. } => self.state.role(*role).map(|role| role.name.clone()),
            Matched::ScopeMap { name, .. } => Some(name.clone()),
            Matched::BuiltIn(_) | Matched::Policy(_) => None,
        }
    }
}

fn conclude(answer: Answer, asked: &Asked<'_>, granting: Vec<Matched>) -> Decision {
    let policies = |reasons: &[String]| -> Vec<Matched> {
        reasons.iter().filter_map(|id| Uuid::try_parse(id).ok()).map(Matched::Policy).collect()
    };
    match answer {
        Answer::Allow(reasons) => Decision::allow(granting.into_iter().chain(policies(&reasons)).collect()),
        Answer::Error => Decision::deny(DeniedBy::Error, granting),
        Answer::Deny(reasons) => {
            let forbidding = policies(&reasons);
            if !forbidding.is_empty() {
                Decision::deny(DeniedBy::Policy, forbidding)
            } else if !asked.within_ceiling {
                Decision::deny(DeniedBy::Ceiling, granting)
            } else if asked.locked {
                Decision::deny(DeniedBy::Lock, granting)
            } else {
                Decision::deny(DeniedBy::NoGrant, granting)
            }
        }
    }
}

fn within(ceiling: &Ceiling, repository: Option<&RepositoryName>, right: Right) -> bool {
    match repository {
        None => ceiling.has_catalog(),
        Some(name) => !ceiling.on_repository(name, right.covered_by()).is_empty(),
    }
}

/// A repository's attributes (what-the-documents-say.md 2f): `write_enabled` or `delete_enabled` off stops deletion. Attributes
/// themselves can always be changed: else nothing could be unlocked.
fn locked(locks: Locks, right: Right) -> bool {
    match right {
        Right::ContentRead | Right::QuarantineRead => !locks.read_enabled,
        Right::ContentWrite | Right::Sign => !locks.write_enabled,
        Right::ContentDelete | Right::Untag => !locks.write_enabled || !locks.delete_enabled,
        Right::CatalogList | Right::MetadataRead | Right::AttributesRead => false,
        Right::MetadataWrite | Right::QuarantineWrite => false,
    }
}
