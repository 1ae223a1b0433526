//! A small world for tests.

use shorepass_core::directory::{
    AccessPolicy, AssignmentScope, Document, Group, ManagedIdentity, Membership, PrincipalKind, PrincipalRef,
    RepositoryToken, RoleAssignment, ScopeMap, ServicePrincipal, User,
};
use shorepass_core::{Principal, RepositoryName, Timestamp};
use shorepass_store::resources::{Resource, ResourceRow};
use shorepass_store::rows::Locks;
use uuid::Uuid;

use super::*;
use crate::Ceiling;

pub const TENANT: Uuid = Uuid::from_u128(0xa);
pub const OTHER_TENANT: Uuid = Uuid::from_u128(0xb);
pub const SUBSCRIPTION: Uuid = Uuid::from_u128(0x10);
pub const GROUP: Uuid = Uuid::from_u128(0x20);
pub const REGISTRY: Uuid = Uuid::from_u128(0x30);
pub const OTHER_REGISTRY: Uuid = Uuid::from_u128(0x31);

pub fn facts(mode: RoleMode) -> RegistryFacts {
    RegistryFacts {
        id: REGISTRY,
        name: "myregistry".parse().unwrap(),
        tenant: TENANT,
        subscription: SUBSCRIPTION,
        resource_group: GROUP,
        mode,
        admin_enabled: true,
        anonymous_pull: false,
    }
}

pub fn row<D: Document>(id: Uuid, parent: Uuid, name: &str, document: D) -> ResourceRow {
    Resource::new(id, parent, name, document, Timestamp::from_millis(0)).row().unwrap()
}

/// The state with a counter for ids.
#[derive(Default)]
pub struct World {
    pub state: PolicyState,
    next: u128,
}

impl World {
    pub fn put<D: Document>(&mut self, id: Uuid, parent: Uuid, name: &str, document: D) {
        self.state.apply(id, Some(&row(id, parent, name, document)));
    }

    pub fn add<D: Document>(&mut self, parent: Uuid, name: &str, document: D) -> Uuid {
        self.next += 1;
        let id = Uuid::from_u128(0x1000 + self.next);
        self.put(id, parent, name, document);
        id
    }

    pub fn user(&mut self, name: &str) -> Principal {
        Principal::User { id: self.add(TENANT, name, user(true)) }
    }

    pub fn group(&mut self, name: &str, members: &[PrincipalRef]) -> PrincipalRef {
        let id = self.add(TENANT, name, Group { description: String::new(), external: None });
        for member in members {
            self.add(id, &member.id.to_string(), Membership { member: *member, external: false });
        }
        PrincipalRef { kind: PrincipalKind::Group, id }
    }

    pub fn assign(&mut self, role: Uuid, to: PrincipalRef, scope: AssignmentScope, condition: Option<&str>) -> Uuid {
        let name = format!("assignment-{}", self.next);
        self.add(TENANT, &name, assignment(role, to, scope, condition))
    }

    pub fn token(&mut self, name: &str, map: Uuid) -> Principal {
        let id = self.add(REGISTRY, name, token(map));
        Principal::RepositoryToken { registry: REGISTRY, id }
    }

    pub fn map(&mut self, name: &str, actions: &[&str]) -> Uuid {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        self.add(REGISTRY, name, ScopeMap { description: String::new(), actions })
    }

    pub fn policy(&mut self, name: &str, text: &str) -> Uuid {
        check_policy(text).unwrap();
        self.add(REGISTRY, name, AccessPolicy { text: text.to_owned(), enabled: true })
    }

    pub fn ask(&self, who: &Principal, facts: &RegistryFacts, repository: &str, right: Right) -> Decision {
        let name: RepositoryName = repository.parse().unwrap();
        self.state.decide(&question(who, facts, Some(&name), right))
    }

    pub fn may(&self, who: &Principal, facts: &RegistryFacts, repository: &str, right: Right) -> bool {
        self.ask(who, facts, repository, right).allowed
    }
}

pub fn question<'a>(
    principal: &'a Principal,
    registry: &'a RegistryFacts,
    repository: Option<&'a RepositoryName>,
    right: Right,
) -> Question<'a> {
    Question { principal, registry, repository, right, ceiling: &Ceiling::Open, locks: Locks::default(), origin: None }
}

pub fn user(enabled: bool) -> User {
    User { display_name: String::new(), enabled, password_hash: None, external: None, invitation: None, epoch: 0 }
}

pub fn application(app_id: Uuid, home_tenant: Uuid) -> ServicePrincipal {
    ServicePrincipal {
        app_id,
        display_name: "robot".to_owned(),
        enabled: true,
        home_tenant,
        multi_tenant: false,
        epoch: 0,
    }
}

pub fn identity(client_id: Uuid) -> ManagedIdentity {
    ManagedIdentity { client_id, resource_group: GROUP, system_of: None, enabled: true, epoch: 0 }
}

pub fn token(scope_map: Uuid) -> RepositoryToken {
    RepositoryToken { scope_map, enabled: true, passwords: Vec::new(), epoch: 0 }
}

pub fn assignment(
    role: Uuid,
    principal: PrincipalRef,
    scope: AssignmentScope,
    condition: Option<&str>,
) -> RoleAssignment {
    RoleAssignment { role, principal, scope, condition: condition.map(str::to_owned), created_by: String::new() }
}

pub fn at_registry() -> AssignmentScope {
    AssignmentScope::Registry { id: REGISTRY }
}

pub fn reference(principal: &Principal) -> PrincipalRef {
    PolicyState::reference(principal).unwrap()
}
