//! Look-ups.

use std::collections::BTreeSet;
use std::sync::Arc;

use shorepass_core::Principal;
use shorepass_core::directory::{
    AccessPolicy, AssignmentScope, ClientCredential, ExternalIdentity, FederatedCredential, Group, Issuer,
    ManagedIdentity, PrincipalKind, PrincipalRef, RepositoryToken, RoleAssignment, ScopeMap, ServicePrincipal, User,
};
use shorepass_store::resources::Resource;
use uuid::Uuid;

use super::assignments::{Assigned, Hashed};
use super::{PolicyState, TokenMap};
use crate::policy::cedar::Policies;
use crate::policy::roles::{Role, built_in_role, role_id};
use crate::policy::scope_map::system_map;

macro_rules! by_id {
    ($($(#[$doc:meta])* $name:ident: $document:ty = $table:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(&self, id: Uuid) -> Option<&Arc<Resource<$document>>> {
            self.$table.get(id)
        }
    )*};
}

impl PolicyState {
    by_id! {
        user: User = users;
        group: Group = groups;
        service_principal: ServicePrincipal = service_principals;
        client_credential: ClientCredential = client_credentials;
        federated_credential: FederatedCredential = federated_credentials;
        managed_identity: ManagedIdentity = identities;
        issuer: Issuer = issuers;
        scope_map: ScopeMap = scope_maps;
        repository_token: RepositoryToken = tokens;
        access_policy: AccessPolicy = policies;
    }

    #[must_use]
    pub fn role_assignment(&self, id: Uuid) -> Option<&Arc<Resource<RoleAssignment>>> {
        self.assignments.get(id).map(|assigned| &assigned.resource)
    }

    #[must_use]
    pub fn user_by_name(&self, tenant: Uuid, name: &str) -> Option<&Arc<Resource<User>>> {
        self.users.named(tenant, name)
    }

    #[must_use]
    pub fn user_by_external(&self, tenant: Uuid, identity: &ExternalIdentity) -> Option<&Arc<Resource<User>>> {
        self.users.get(*self.external.get(&(tenant, identity.clone()))?)
    }

    #[must_use]
    pub fn group_by_name(&self, tenant: Uuid, name: &str) -> Option<&Arc<Resource<Group>>> {
        self.groups.named(tenant, name)
    }

    /// The groups of a tenant, by name.
    pub fn groups(&self, tenant: Uuid) -> impl Iterator<Item = &Arc<Resource<Group>>> {
        self.groups.below(tenant)
    }

    /// The application in this tenant: at home, or consented to.
    #[must_use]
    pub fn service_principal_by_app(&self, tenant: Uuid, app_id: Uuid) -> Option<&Arc<Resource<ServicePrincipal>>> {
        self.service_principals_of_app(app_id).find(|principal| principal.parent == tenant)
    }

    /// The application in all tenants.
    pub fn service_principals_of_app(&self, app_id: Uuid) -> impl Iterator<Item = &Arc<Resource<ServicePrincipal>>> {
        self.apps.get(&app_id).into_iter().flatten().filter_map(|id| self.service_principals.get(*id))
    }

    /// The application at home, where its credentials are.
    #[must_use]
    pub fn home_of(&self, principal: &Resource<ServicePrincipal>) -> Option<&Arc<Resource<ServicePrincipal>>> {
        self.service_principal_by_app(principal.document.home_tenant, principal.document.app_id)
    }

    /// The secrets and certificates of a service principal at home.
    pub fn client_credentials(&self, owner: Uuid) -> impl Iterator<Item = &Arc<Resource<ClientCredential>>> {
        self.client_credentials.below(owner)
    }

    /// What a service principal or managed identity trusts.
    pub fn federated_credentials(&self, owner: Uuid) -> impl Iterator<Item = &Arc<Resource<FederatedCredential>>> {
        self.federated_credentials.below(owner)
    }

    #[must_use]
    pub fn managed_identity_by_client_id(&self, client_id: Uuid) -> Option<&Arc<Resource<ManagedIdentity>>> {
        self.identities.get(*self.clients.get(&client_id)?)
    }

    #[must_use]
    pub fn managed_identity_by_name(&self, tenant: Uuid, name: &str) -> Option<&Arc<Resource<ManagedIdentity>>> {
        self.identities.named(tenant, name)
    }

    /// The trusted issuers of a tenant, by name.
    pub fn issuers(&self, tenant: Uuid) -> impl Iterator<Item = &Arc<Resource<Issuer>>> {
        self.issuers.below(tenant)
    }

    /// By the `iss` claim, exactly.
    #[must_use]
    pub fn issuer_by_iss(&self, tenant: Uuid, iss: &str) -> Option<&Arc<Resource<Issuer>>> {
        self.issuers(tenant).find(|issuer| issuer.document.issuer == iss)
    }

    #[must_use]
    pub fn token_by_name(&self, registry: Uuid, name: &str) -> Option<&Arc<Resource<RepositoryToken>>> {
        self.tokens.named(registry, name)
    }

    /// A registry's own maps; the system's are in [`crate::policy::SYSTEM_MAPS`].
    #[must_use]
    pub fn scope_map_by_name(&self, registry: Uuid, name: &str) -> Option<&Arc<Resource<ScopeMap>>> {
        self.scope_maps.named(registry, name)
    }

    /// The tokens of a registry, by name.
    pub fn tokens(&self, registry: Uuid) -> impl Iterator<Item = &Arc<Resource<RepositoryToken>>> {
        self.tokens.below(registry)
    }

    /// Built-in, or a tenant's own.
    #[must_use]
    pub fn role(&self, id: Uuid) -> Option<&Role> {
        built_in_role(id).or_else(|| self.roles.get(&id))
    }

    /// The tenant whose own role this is; `None` for a built-in one.
    pub(in crate::policy) fn tenant_of_role(&self, id: Uuid) -> Option<Uuid> {
        self.definitions.get(id).map(|definition| definition.parent)
    }

    /// All groups somebody is in, directly or through others. Only groups of the member's own tenant count.
    #[must_use]
    pub fn groups_of(&self, member: PrincipalRef) -> Vec<Uuid> {
        let tenant = self.tenant_of_ref(member);
        self.memberships.of(member, |group| self.groups.get(group).map(|group| group.parent) == tenant)
    }

    /// Who is in a group, directly or through others; without the groups among them.
    #[must_use]
    pub fn members_of(&self, group: Uuid) -> BTreeSet<PrincipalRef> {
        let tenant = self.groups.get(group).map(|group| group.parent);
        let mut members = self.memberships.members(group, |id| self.groups.get(id).map(|group| group.parent) == tenant);
        members.retain(|member| self.tenant_of_ref(*member) == tenant);
        members
    }

    /// The tenant a directory object is in.
    #[must_use]
    pub fn tenant_of_ref(&self, principal: PrincipalRef) -> Option<Uuid> {
        let id = principal.id;
        match principal.kind {
            PrincipalKind::User => self.users.get(id).map(|user| user.parent),
            PrincipalKind::Group => self.groups.get(id).map(|group| group.parent),
            PrincipalKind::ServicePrincipal => self.service_principals.get(id).map(|principal| principal.parent),
            PrincipalKind::ManagedIdentity => self.identities.get(id).map(|identity| identity.parent),
        }
    }

    /// The name somebody is shown by.
    #[must_use]
    pub fn name_of(&self, principal: PrincipalRef) -> Option<&str> {
        let id = principal.id;
        match principal.kind {
            PrincipalKind::User => self.users.get(id).map(|user| user.name.as_str()),
            PrincipalKind::Group => self.groups.get(id).map(|group| group.name.as_str()),
            PrincipalKind::ServicePrincipal => {
                self.service_principals.get(id).map(|principal| principal.document.display_name.as_str())
            }
            PrincipalKind::ManagedIdentity => self.identities.get(id).map(|identity| identity.name.as_str()),
        }
    }

    /// What holds at the tenant without a condition and makes its holder an owner. The last of them cannot be removed.
    #[must_use]
    pub fn owners(&self, tenant: Uuid) -> Vec<Uuid> {
        let at = self.assignments.at(&AssignmentScope::Tenant { id: tenant });
        let owning = at.filter(|assigned| {
            assigned.role == role_id::OWNER
                && assigned.condition.is_none()
                && self.tenant_of_ref(assigned.holder) == Some(tenant)
        });
        owning.map(|assigned| assigned.id).collect()
    }

    /// Assignments at exactly this scope.
    pub fn assignments_at<'a>(
        &'a self,
        scope: &AssignmentScope,
    ) -> impl Iterator<Item = &'a Arc<Resource<RoleAssignment>>> + use<'a> {
        self.assignments.at(scope).map(|assigned| &assigned.resource)
    }

    pub(in crate::policy) fn assigned_at<'a>(
        &'a self,
        scope: &AssignmentScope,
    ) -> impl Iterator<Item = &'a Arc<Assigned>> + use<'a> {
        self.assignments.at(scope)
    }

    /// All users, service principals and managed identities of a tenant.
    pub(in crate::policy) fn everybody(&self, tenant: Uuid) -> BTreeSet<PrincipalRef> {
        let of = |kind| move |id| PrincipalRef { kind, id };
        let users = self.users.below(tenant).map(|user| user.id).map(of(PrincipalKind::User));
        let applications = self.service_principals.below(tenant).map(|principal| principal.id);
        let identities = self.identities.below(tenant).map(|identity| identity.id);
        let applications = applications.map(of(PrincipalKind::ServicePrincipal));
        users.chain(applications).chain(identities.map(of(PrincipalKind::ManagedIdentity))).collect()
    }

    pub(in crate::policy) fn assigned_to(&self, principal: PrincipalRef) -> impl Iterator<Item = &Arc<Assigned>> {
        self.assignments.of(principal)
    }

    pub(in crate::policy) fn hashed<'s>(&self, scopes: &'s [AssignmentScope]) -> Vec<Hashed<'s>> {
        self.assignments.hashed(scopes)
    }

    /// Assignments of one principal at any of these scopes.
    pub(in crate::policy) fn matching<'a, 's>(
        &'a self,
        principal: PrincipalRef,
        scopes: &'s [Hashed<'s>],
    ) -> impl Iterator<Item = &'a Arc<Assigned>> + use<'a, 's> {
        self.assignments.matching(principal, scopes)
    }

    /// What a token's map allows: the registry's own map, or the system's.
    pub(in crate::policy) fn map_of(&self, token: &Resource<RepositoryToken>) -> Option<TokenMap<'_>> {
        let id = token.document.scope_map;
        if let Some((map, compiled)) = system_map(id) {
            return Some(TokenMap { id, name: map.name, compiled });
        }
        let map = self.scope_maps.get(id).filter(|map| map.parent == token.parent)?;
        Some(TokenMap { id, name: &map.name, compiled: self.maps.get(&id)? })
    }

    /// The operators' policies of a registry, where it has any.
    pub(in crate::policy) fn policies_of(&self, registry: Uuid) -> Option<&Policies> {
        self.compiled.get(&registry)
    }

    /// The directory object a principal is.
    #[must_use]
    pub fn reference(principal: &Principal) -> Option<PrincipalRef> {
        let (kind, id) = match principal {
            Principal::User { id } => (PrincipalKind::User, *id),
            Principal::ServicePrincipal { id } => (PrincipalKind::ServicePrincipal, *id),
            Principal::ManagedIdentity { id } => (PrincipalKind::ManagedIdentity, *id),
            _ => return None,
        };
        Some(PrincipalRef { kind, id })
    }
}
