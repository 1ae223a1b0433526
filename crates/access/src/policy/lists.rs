//! Lists: who can do this, and what can they do.

use std::collections::BTreeSet;

use serde::Serialize;
use shorepass_core::directory::{PrincipalKind, PrincipalRef};
use shorepass_core::{Principal, RepositoryName};
use shorepass_store::rows::Locks;
use uuid::Uuid;

use super::actions::Right;
use super::decide::{Decision, RegistryFacts};
use super::explain::{Reason, reasons};
use super::roles::RoleMode;
use super::state::PolicyState;
use crate::Ceiling;

/// Somebody who may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Who {
    /// [`Principal::id`].
    pub principal: String,
    pub name: Option<String>,
    /// What grants it.
    pub matched: Vec<Reason>,
}

/// Something somebody holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// The assignment or the scope map.
    pub id: Uuid,
    /// The role's or the scope map's name.
    pub name: String,
    /// Where it was assigned; for a scope map the registry.
    pub scope: shorepass_core::directory::AssignmentScope,
    /// The group it comes through.
    pub group: Option<Uuid>,
    pub condition: Option<String>,
    /// Actions and data actions, or the map's actions.
    pub actions: Vec<String>,
}

impl PolicyState {
    /// Everybody who may do this there, at most `limit`: asked one by one, for those that anything matches.
    #[must_use]
    pub fn who_can(
        &self,
        registry: &RegistryFacts,
        repository: Option<&RepositoryName>,
        right: Right,
        limit: usize,
    ) -> Vec<Who> {
        let may = |principal: Principal| {
            let held = self.held(&principal, registry, repository);
            // Without policies of operators, who has no grant is denied: no need to ask.
            if held.is_empty() && self.policies_of(registry.id).is_none() {
                return None;
            }
            let decision = held.decide(right, &Ceiling::Open, Locks::default(), None);
            decision.allowed.then(|| self.who(&principal, &decision))
        };
        self.candidates(registry, repository).filter_map(may).take(limit).collect()
    }

    fn who(&self, principal: &Principal, decision: &Decision) -> Who {
        Who {
            principal: principal.id(),
            name: self.principal_name(principal).map(str::to_owned),
            matched: reasons(self, &decision.matched),
        }
    }

    /// The name somebody is shown by.
    #[must_use]
    pub fn principal_name(&self, principal: &Principal) -> Option<&str> {
        match principal {
            Principal::RepositoryToken { id, .. } => self.repository_token(*id).map(|token| token.name.as_str()),
            other => self.name_of(Self::reference(other)?),
        }
    }

    /// Whoever could be allowed: who holds something on the way up, everybody of the tenant where operators' policies may
    /// allow more, the registry's own principals.
    fn candidates<'a>(
        &'a self,
        registry: &'a RegistryFacts,
        repository: Option<&RepositoryName>,
    ) -> impl Iterator<Item = Principal> + 'a {
        let directory = if self.policies_of(registry.id).is_some() {
            self.everybody(registry.tenant)
        } else {
            self.holders_at(registry, repository)
        };
        let tokens = self.tokens(registry.id);
        let tokens = tokens.map(|token| Principal::RepositoryToken { registry: registry.id, id: token.id });
        [Principal::Admin { registry: registry.id }, Principal::Anonymous]
            .into_iter()
            .chain(directory.into_iter().filter_map(principal))
            .chain(tokens)
    }

    fn holders_at(&self, registry: &RegistryFacts, repository: Option<&RepositoryName>) -> BTreeSet<PrincipalRef> {
        let named = repository.filter(|_| registry.mode == RoleMode::RbacAbac);
        let mut found = BTreeSet::new();
        for scope in registry.chain(named).scopes() {
            for assigned in self.assigned_at(&scope) {
                match assigned.holder {
                    PrincipalRef { kind: PrincipalKind::Group, id } => found.extend(self.members_of(id)),
                    other => drop(found.insert(other)),
                }
            }
        }
        found
    }

    /// Everything a principal holds, wherever: its assignments and those of its groups, or its scope map.
    #[must_use]
    pub fn what_can(&self, principal: &Principal) -> Vec<Holding> {
        if let Principal::RepositoryToken { id, .. } = principal {
            return self.repository_token(*id).and_then(|token| self.map_holding(token)).into_iter().collect();
        }
        let Some(reference) = Self::reference(principal) else { return Vec::new() };
        let tenant = self.tenant_of(principal);
        let mut found = Vec::new();
        for holder in self.holders(reference) {
            for assigned in self.assigned_to(holder).filter(|assigned| Some(assigned.tenant) == tenant) {
                let document = assigned.document();
                let Some(role) = self.role(document.role) else { continue };
                found.push(Holding {
                    id: assigned.id,
                    name: role.name.clone(),
                    scope: document.scope.clone(),
                    group: (holder != reference).then_some(holder.id),
                    condition: document.condition.clone(),
                    actions: role.actions.iter().chain(&role.data_actions).cloned().collect(),
                });
            }
        }
        found.sort_by_key(|holding| holding.id);
        found
    }

    fn map_holding(
        &self,
        token: &shorepass_store::resources::Resource<shorepass_core::directory::RepositoryToken>,
    ) -> Option<Holding> {
        let id = token.document.scope_map;
        let (name, actions) = match super::system_map(id) {
            Some((map, _)) => (map.name.to_owned(), map.actions()),
            None => {
                let map = self.scope_map(id).filter(|map| map.parent == token.parent)?;
                (map.name.clone(), map.document.actions.clone())
            }
        };
        let scope = shorepass_core::directory::AssignmentScope::Registry { id: token.parent };
        Some(Holding { id, name, scope, group: None, condition: None, actions })
    }
}

fn principal(reference: PrincipalRef) -> Option<Principal> {
    let id = reference.id;
    Some(match reference.kind {
        PrincipalKind::User => Principal::User { id },
        PrincipalKind::ServicePrincipal => Principal::ServicePrincipal { id },
        PrincipalKind::ManagedIdentity => Principal::ManagedIdentity { id },
        PrincipalKind::Group => return None,
    })
}
