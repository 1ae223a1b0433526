//! The same world as documents, and the same question to the engine.

use shorepass_core::directory::{
    AccessPolicy, AssignmentScope, Group, Membership, PrincipalKind, PrincipalRef, ScopeMap, ServicePrincipal,
};
use shorepass_core::{Action, ActionSet, Principal, RepositoryName, TokenScope};
use shorepass_store::resources::ResourceRow;
use uuid::Uuid;

use super::world::{Asking, Cond, POLICIES, Plain, ROLES, Scope, Who};
use crate::Ceiling;
use crate::policy::fixture::*;
use crate::policy::{PolicyState, Question, RegistryFacts};

pub(super) fn holder(at: usize) -> PrincipalRef {
    let kind = match at {
        0 | 1 | 3 => PrincipalKind::User,
        2 | 4 => PrincipalKind::ServicePrincipal,
        5 => PrincipalKind::ManagedIdentity,
        _ => PrincipalKind::Group,
    };
    let kind = if at == 3 { PrincipalKind::User } else { kind };
    PrincipalRef { kind, id: Uuid::from_u128(0x100 + at as u128) }
}

pub(super) fn tenant_of(at: usize) -> Uuid {
    if at == 3 || at == 9 { OTHER_TENANT } else { TENANT }
}

pub(super) fn documents(world: &Plain) -> Vec<ResourceRow> {
    let mut rows = Vec::new();
    for (at, enabled) in world.enabled.iter().enumerate() {
        let (of, name) = (holder(at), format!("principal-{at}"));
        rows.push(match of.kind {
            PrincipalKind::User => row(of.id, tenant_of(at), &name, user(*enabled)),
            PrincipalKind::ServicePrincipal => {
                let document = ServicePrincipal { enabled: *enabled, ..application(of.id, TENANT) };
                row(of.id, TENANT, &name, document)
            }
            _ => {
                let mut document = identity(of.id);
                document.enabled = *enabled;
                row(of.id, TENANT, &name, document)
            }
        });
    }
    for (at, _) in world.groups.iter().enumerate().filter(|(_, exists)| **exists) {
        let document = Group { description: String::new(), external: None };
        rows.push(row(holder(6 + at).id, tenant_of(6 + at), &format!("group-{at}"), document));
    }
    for (group, member) in &world.memberships {
        let document = Membership { member: holder(*member), external: false };
        let id = Uuid::from_u128((0x2000 + group * 16 + member) as u128);
        rows.push(row(id, holder(6 + group).id, &member.to_string(), document));
    }
    for (at, assignment) in world.assignments.iter().enumerate() {
        let tenant = if assignment.other_tenant { OTHER_TENANT } else { TENANT };
        let document = crate::policy::fixture::assignment(
            ROLES[assignment.role],
            holder(assignment.holder),
            scope(assignment.scope),
            assignment.condition.as_ref().map(text).as_deref(),
        );
        rows.push(row(Uuid::from_u128(0x3000 + at as u128), tenant, &at.to_string(), document));
    }
    for (at, map) in world.maps.iter().enumerate() {
        let actions = map.iter().map(|(pattern, action)| format!("repositories/{pattern}/{action}")).collect();
        rows.push(row(map_id(at), REGISTRY, &format!("map-{at}"), ScopeMap { description: String::new(), actions }));
    }
    for (at, (enabled, map)) in world.tokens.iter().enumerate() {
        let mut document = token(map_id(*map));
        document.enabled = *enabled;
        rows.push(row(token_id(at), REGISTRY, &format!("token-{at}"), document));
    }
    for (at, (policy, enabled)) in world.policies.iter().enumerate() {
        let document = AccessPolicy { text: POLICIES[*policy].0.to_owned(), enabled: *enabled };
        rows.push(row(Uuid::from_u128(0x6000 + at as u128), REGISTRY, &format!("policy-{at}"), document));
    }
    rows
}

pub(super) fn map_id(at: usize) -> Uuid {
    Uuid::from_u128(0x4000 + at as u128)
}

pub(super) fn token_id(at: usize) -> Uuid {
    Uuid::from_u128(0x5000 + at as u128)
}

pub(super) fn scope(scope: Scope) -> AssignmentScope {
    match scope {
        Scope::Tenant => AssignmentScope::Tenant { id: TENANT },
        Scope::OtherTenant => AssignmentScope::Tenant { id: OTHER_TENANT },
        Scope::Subscription => AssignmentScope::Subscription { id: SUBSCRIPTION },
        Scope::ResourceGroup => AssignmentScope::ResourceGroup { id: GROUP },
        Scope::Registry => at_registry(),
        Scope::OtherRegistry => AssignmentScope::Registry { id: OTHER_REGISTRY },
        Scope::Repository(name) => AssignmentScope::Repository { registry: REGISTRY, name: name.parse().unwrap() },
    }
}

pub(super) fn text(condition: &Cond) -> String {
    const NAME: &str = "@Request[Microsoft.ContainerRegistry/registries/repositories:name]";
    match condition {
        Cond::Equals(name) => format!("{NAME} StringEqualsIgnoreCase '{}'", name.to_uppercase()),
        Cond::NotEquals(name) => format!("{NAME} StringNotEqualsIgnoreCase '{name}'"),
        Cond::Starts(prefix) => format!("{NAME} StringStartsWithIgnoreCase '{prefix}/'"),
        Cond::Matches(right) => format!("ActionMatches{{'{}'}}", right.data_action()),
        Cond::Not(inner) => format!("!({})", text(inner)),
        Cond::And(a, b) => format!("({}) AND ({})", text(a), text(b)),
        Cond::Or(a, b) => format!("({}) || ({})", text(a), text(b)),
    }
}

pub(super) fn engine(state: &PolicyState, q: &Asking) -> bool {
    let facts = RegistryFacts { anonymous_pull: q.anonymous_pull, admin_enabled: q.admin_enabled, ..facts(q.mode) };
    let principal = match q.who {
        Who::Directory(at) => {
            let PrincipalRef { kind, id } = holder(at);
            match kind {
                PrincipalKind::User => Principal::User { id },
                PrincipalKind::ServicePrincipal => Principal::ServicePrincipal { id },
                _ => Principal::ManagedIdentity { id },
            }
        }
        Who::Token(at) => Principal::RepositoryToken { registry: REGISTRY, id: token_id(at) },
        Who::Admin => Principal::Admin { registry: REGISTRY },
        Who::Operator => Principal::Operator { uid: 0 },
        Who::Anonymous => Principal::Anonymous,
    };
    let name: Option<RepositoryName> = q.repository.map(|text| text.parse().unwrap());
    let ceiling = match &q.ceiling {
        None => Ceiling::Open,
        Some((actions, catalog)) => {
            let wires: ActionSet = Action::ALL.into_iter().filter(|action| actions.contains(&action.wire())).collect();
            let named = name.clone().map(|name| TokenScope::Repository { name, actions: wires });
            let elsewhere = TokenScope::Repository { name: "c".parse().unwrap(), actions: ActionSet::REPOSITORY };
            Ceiling::Scopes(
                named.into_iter().chain([elsewhere]).chain(catalog.then_some(TokenScope::Catalog)).collect(),
            )
        }
    };
    let question = Question {
        principal: &principal,
        registry: &facts,
        repository: name.as_ref(),
        right: q.right,
        ceiling: &ceiling,
        locks: q.locks,
        origin: None,
    };
    let decision = state.decide(&question);
    assert_eq!(decision.allowed, decision.denied_by.is_none());
    assert_eq!(state.explain(&question).allowed, decision.allowed);
    decision.allowed
}
