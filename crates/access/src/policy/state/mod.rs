//! Everything that decides, in memory: the directory's documents with the indices a decision needs.

mod assignments;
mod groups;
mod lookups;
mod standing;
mod table;

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use shorepass_core::directory::{
    AccessPolicy, ClientCredential, Document, ExternalIdentity, FederatedCredential, Group, Issuer, ManagedIdentity,
    Membership, RepositoryToken, RoleAssignment, RoleDefinition, ScopeMap, ServicePrincipal, User,
};
use shorepass_store::resources::{Resource, ResourceRow};
use uuid::Uuid;

pub(super) use assignments::Assigned;
pub use standing::Proof;

use self::assignments::Assignments;
use self::groups::Groups;
use self::table::Table;
use super::cedar::Policies;
use super::roles::Role;
use super::scope_map::CompiledMap;

/// The directory's documents, indexed. Names compare without case.
#[derive(Debug, Default)]
pub struct PolicyState {
    users: Table<User>,
    groups: Table<Group>,
    service_principals: Table<ServicePrincipal>,
    client_credentials: Table<ClientCredential>,
    federated_credentials: Table<FederatedCredential>,
    identities: Table<ManagedIdentity>,
    issuers: Table<Issuer>,
    scope_maps: Table<ScopeMap>,
    tokens: Table<RepositoryToken>,
    definitions: Table<RoleDefinition>,
    policies: Table<AccessPolicy>,

    memberships: Groups,
    assignments: Assignments,
    external: HashMap<(Uuid, ExternalIdentity), Uuid>,
    apps: HashMap<Uuid, BTreeSet<Uuid>>,
    clients: HashMap<Uuid, Uuid>,
    roles: HashMap<Uuid, Role>,
    maps: HashMap<Uuid, CompiledMap>,
    /// Of registries that have any.
    compiled: HashMap<Uuid, Policies>,
    /// Policies whose document cannot be read, with their registry: nothing is allowed there, for one may have forbidden it.
    unreadable: HashMap<Uuid, Uuid>,
}

impl PolicyState {
    #[must_use]
    pub fn load(rows: impl IntoIterator<Item = ResourceRow>) -> Self {
        let mut state = Self::default();
        let mut registries = BTreeSet::new();
        for row in rows {
            registries.extend(state.insert(&row));
        }
        registries.into_iter().for_each(|registry| state.compile(registry));
        state
    }

    /// What became of a document: as it is now, or gone.
    pub fn apply(&mut self, id: Uuid, row: Option<&ResourceRow>) {
        let before = self.remove(id);
        let after = row.and_then(|row| self.insert(row));
        for registry in before.into_iter().chain(after).collect::<BTreeSet<_>>() {
            self.compile(registry);
        }
    }

    /// Answers the registry whose policies have to be compiled anew.
    fn insert(&mut self, row: &ResourceRow) -> Option<Uuid> {
        match row.kind.as_str() {
            User::KIND => read(row).map(|user| self.insert_user(user)),
            Group::KIND => read(row).map(|group| self.groups.insert(group)),
            Membership::KIND => read(row).map(|membership| self.memberships.insert(membership)),
            ServicePrincipal::KIND => read(row).map(|principal| self.insert_service_principal(principal)),
            ClientCredential::KIND => read(row).map(|credential| self.client_credentials.insert(credential)),
            FederatedCredential::KIND => read(row).map(|credential| self.federated_credentials.insert(credential)),
            ManagedIdentity::KIND => read(row).map(|identity| self.insert_identity(identity)),
            Issuer::KIND => read(row).map(|issuer| self.issuers.insert(issuer)),
            RoleDefinition::KIND => read(row).map(|definition| self.insert_role(definition)),
            RoleAssignment::KIND => read(row).map(|assignment| self.assignments.insert(assignment)),
            ScopeMap::KIND => read(row).map(|map| self.insert_map(map)),
            RepositoryToken::KIND => read(row).map(|token| self.tokens.insert(token)),
            AccessPolicy::KIND => {
                match read(row) {
                    Some(policy) => self.policies.insert(policy),
                    None => drop(self.unreadable.insert(row.id, row.parent)),
                }
                return Some(row.parent);
            }
            // A kind of a newer server decides nothing here.
            _ => None,
        };
        None
    }

    /// Answers the registry whose policies have to be compiled anew.
    fn remove(&mut self, id: Uuid) -> Option<Uuid> {
        if let Some(user) = self.users.remove(id) {
            if let Some(external) = &user.document.external {
                forget(&mut self.external, &(user.parent, external.clone()), id);
            }
        } else if let Some(principal) = self.service_principals.remove(id) {
            if let Some(all) = self.apps.get_mut(&principal.document.app_id) {
                all.remove(&id);
            }
        } else if let Some(identity) = self.identities.remove(id) {
            forget(&mut self.clients, &identity.document.client_id, id);
        } else if self.definitions.remove(id).is_some() {
            self.roles.remove(&id);
        } else if self.scope_maps.remove(id).is_some() {
            self.maps.remove(&id);
        } else if let Some(policy) = self.policies.remove(id) {
            return Some(policy.parent);
        } else if let Some(registry) = self.unreadable.remove(&id) {
            return Some(registry);
        } else {
            let _ = self.memberships.remove(id)
                || self.assignments.remove(id)
                || self.tokens.remove(id).is_some()
                || self.client_credentials.remove(id).is_some()
                || self.federated_credentials.remove(id).is_some()
                || self.groups.remove(id).is_some()
                || self.issuers.remove(id).is_some();
        }
        None
    }

    fn insert_user(&mut self, user: Arc<Resource<User>>) {
        if let Some(external) = &user.document.external {
            self.external.insert((user.parent, external.clone()), user.id);
        }
        self.users.insert(user);
    }

    fn insert_service_principal(&mut self, principal: Arc<Resource<ServicePrincipal>>) {
        self.apps.entry(principal.document.app_id).or_default().insert(principal.id);
        self.service_principals.insert(principal);
    }

    fn insert_identity(&mut self, identity: Arc<Resource<ManagedIdentity>>) {
        self.clients.insert(identity.document.client_id, identity.id);
        self.identities.insert(identity);
    }

    fn insert_role(&mut self, definition: Arc<Resource<RoleDefinition>>) {
        match Role::custom(definition.id, &definition.name, &definition.document) {
            Ok(role) => drop(self.roles.insert(role.id, role)),
            Err(error) => tracing::error!(role = %definition.id, %error, "the role cannot be read; it grants nothing"),
        }
        self.definitions.insert(definition);
    }

    fn insert_map(&mut self, map: Arc<Resource<ScopeMap>>) {
        self.maps.insert(map.id, CompiledMap::lenient(&map.document.actions));
        self.scope_maps.insert(map);
    }

    fn compile(&mut self, registry: Uuid) {
        let broken = self.unreadable.values().any(|of| *of == registry);
        let mut enabled = self.policies.below(registry).filter(|policy| policy.document.enabled).peekable();
        if enabled.peek().is_none() && !broken {
            self.compiled.remove(&registry);
            return;
        }
        let policies = Policies::compile(enabled.map(|policy| (policy.id, policy.document.text.as_str())), broken);
        self.compiled.insert(registry, policies);
    }
}

/// Changes of one page are applied one by one: the key may already be somebody else's.
fn forget<K: Hash + Eq>(index: &mut HashMap<K, Uuid>, key: &K, id: Uuid) {
    if index.get(key) == Some(&id) {
        index.remove(key);
    }
}

/// A document that cannot be read is treated as if it were not there.
fn read<D: Document>(row: &ResourceRow) -> Option<Arc<Resource<D>>> {
    match Resource::read(row) {
        Ok(resource) => Some(Arc::new(resource)),
        Err(error) => {
            tracing::error!(id = %row.id, kind = %row.kind, %error, "a document cannot be read");
            None
        }
    }
}

/// The scope map a token has.
pub(super) struct TokenMap<'a> {
    pub(super) id: Uuid,
    pub(super) name: &'a str,
    pub(super) compiled: &'a CompiledMap,
}
