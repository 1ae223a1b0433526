//! Directory objects by the words callers have for them.

use shorepass_access::policy::{Grantee, ManagementAction, role_id};
use shorepass_core::Principal;
use shorepass_core::directory::{
    AssignmentScope, Document, Group, ManagedIdentity, Membership, PrincipalKind, PrincipalRef, RoleAssignment,
    ServicePrincipal, User,
};
use shorepass_store::resources::{Resource, ResourceRow, Write};
use uuid::Uuid;

use crate::gate::shown;
use crate::{Actor, Control, ControlError, Result, write};

/// A word before the colon.
fn kind_of(prefix: &str) -> Option<PrincipalKind> {
    Some(match prefix {
        "user" => PrincipalKind::User,
        "group" => PrincipalKind::Group,
        "sp" => PrincipalKind::ServicePrincipal,
        "identity" => PrincipalKind::ManagedIdentity,
        _ => return None,
    })
}

pub(crate) fn kind_of_row(kind: &str) -> Option<PrincipalKind> {
    Some(match kind {
        User::KIND => PrincipalKind::User,
        Group::KIND => PrincipalKind::Group,
        ServicePrincipal::KIND => PrincipalKind::ServicePrincipal,
        ManagedIdentity::KIND => PrincipalKind::ManagedIdentity,
        _ => return None,
    })
}

impl Control {
    /// What `said` names in a tenant: an object's id, a user's, group's or identity's name, an application's or identity's
    /// client id, or one of these behind `user:`, `group:`, `sp:` or `identity:`.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], and [`ControlError::Invalid`] for a name of several objects.
    pub(crate) async fn principal_named(&self, tenant: Uuid, said: &str) -> Result<PrincipalRef> {
        let (wanted, word) = match said.split_once(':').map(|(prefix, word)| (kind_of(prefix), word)) {
            Some((Some(kind), word)) => (Some(kind), word),
            _ => (None, said),
        };
        let mut found = match word.parse::<Uuid>() {
            Ok(id) => self.principals_with_id(tenant, id).await?,
            Err(_) => self.principals_with_name(tenant, word).await?,
        };
        found.retain(|principal| wanted.is_none_or(|kind| kind == principal.kind));
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(ControlError::NotFound(format!("there is no user, group or application `{}`", shown(said)))),
            _ => Err(ControlError::Invalid(format!(
                "`{0}` names several objects: say which with `user:{0}`, `group:{0}` or `identity:{0}`",
                shown(word)
            ))),
        }
    }

    async fn principals_with_id(&self, tenant: Uuid, id: Uuid) -> Result<Vec<PrincipalRef>> {
        if let Some(row) = self.store.resource(id).await?.filter(|row| row.parent == tenant)
            && let Some(kind) = kind_of_row(&row.kind)
        {
            return Ok(vec![PrincipalRef { kind, id }]);
        }
        Ok(self.directory.policy(|state| {
            let application = state.service_principal_by_app(tenant, id);
            let identity = state.managed_identity_by_client_id(id).filter(|identity| identity.parent == tenant);
            let application =
                application.map(|found| PrincipalRef { kind: PrincipalKind::ServicePrincipal, id: found.id });
            let identity = identity.map(|found| PrincipalRef { kind: PrincipalKind::ManagedIdentity, id: found.id });
            application.into_iter().chain(identity).collect()
        })?)
    }

    async fn principals_with_name(&self, tenant: Uuid, name: &str) -> Result<Vec<PrincipalRef>> {
        let mut found = Vec::new();
        for kind in [User::KIND, Group::KIND, ManagedIdentity::KIND] {
            let row = self.store.resource_by_name(kind, tenant, name).await?;
            found.extend(row.as_ref().and_then(reference));
        }
        Ok(found)
    }

    /// Whoever hands out what somebody else signs in with, or lets others into a group, gives away the roles held there: he
    /// must be able to grant them (contracts/threats.md: never more than the grantor).
    ///
    /// # Errors
    /// [`ControlError::Forbidden`].
    pub(crate) async fn may_become(&self, actor: &Actor, tenant: Uuid, whom: PrincipalRef) -> Result<()> {
        let may = |role, scope: &AssignmentScope| {
            let grantee = Grantee { role, principal: whom };
            self.authoriser
                .assign_role(&actor.requester, ManagementAction::RoleAssignmentWrite, scope, &grantee)
                .is_ok()
        };
        if signed_in_as(whom).as_ref() == Some(actor.principal())
            || may(role_id::OWNER, &AssignmentScope::Tenant { id: tenant })
        {
            return Ok(());
        }
        let groups = self.directory.policy(|state| state.groups_of(whom))?;
        let mut holders: Vec<_> =
            groups.into_iter().map(|id| PrincipalRef { kind: PrincipalKind::Group, id }).collect();
        holders.push(whom);
        let held = self.all::<RoleAssignment>(tenant, |held| holders.contains(&held.document.principal)).await?;
        match held.iter().find(|held| !may(held.document.role, &held.document.scope)) {
            None => Ok(()),
            Some(_) => Err(ControlError::Forbidden(
                "roles are held there that you may not grant: somebody who may has to do this".to_owned(),
            )),
        }
    }

    /// Everything that goes with a directory object: its memberships and its role assignments. The object itself, its
    /// credentials and (of a group) its members are the caller's to add.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] when the tenant would be without an owner.
    pub(crate) async fn trail(&self, tenant: Uuid, of: PrincipalRef) -> Result<Vec<Write>> {
        let held = self.all::<RoleAssignment>(tenant, |assignment| assignment.document.principal == of).await?;
        let ids: Vec<Uuid> = held.iter().map(|assignment| assignment.id).collect();
        let mut writes = self.keep_an_owner(tenant, &ids).await?;
        writes.extend(self.memberships_of(of).await?);
        writes.extend(held.iter().map(write::delete));
        Ok(writes)
    }

    /// As [`trail`](Self::trail), without asking who owns the tenant: what is gone anyway owns nothing.
    pub(crate) async fn remains(&self, tenant: Uuid, of: PrincipalRef) -> Result<Vec<Write>> {
        let held = self.all::<RoleAssignment>(tenant, |assignment| assignment.document.principal == of).await?;
        let mut writes = self.memberships_of(of).await?;
        writes.extend(held.iter().map(write::delete));
        Ok(writes)
    }

    async fn memberships_of(&self, of: PrincipalRef) -> Result<Vec<Write>> {
        let mut writes = Vec::new();
        for group in self.directory.policy(|state| state.groups_of(of))? {
            let membership = self.named::<Membership>(group, &of.id.to_string()).await?;
            writes.extend(membership.as_ref().map(write::delete));
        }
        Ok(writes)
    }

    /// Refuses when these are the last unconditional Owner assignments of the tenant. Otherwise the writes that hold one of
    /// those that stay, so that two that take the last two at once cannot both succeed.
    pub(crate) async fn keep_an_owner(&self, tenant: Uuid, going: &[Uuid]) -> Result<Vec<Write>> {
        let owners = self.directory.policy(|state| state.owners(tenant))?;
        if !owners.iter().any(|owner| going.contains(owner)) {
            return Ok(Vec::new());
        }
        for owner in owners.iter().filter(|owner| !going.contains(owner)) {
            if let Some(held) = self.identified::<RoleAssignment>(tenant, *owner).await? {
                return Ok(vec![Write::Update(held.row()?)]);
            }
        }
        Err(ControlError::Conflict(
            "the tenant's last Owner cannot be removed: give somebody else the role Owner at the tenant first"
                .to_owned(),
        ))
    }

    /// Refuses to disable who is the tenant's last owner.
    pub(crate) async fn not_the_last_owner(&self, tenant: Uuid, of: PrincipalRef) -> Result<()> {
        let held = self.directory.policy(|state| {
            let owners = state.owners(tenant).into_iter();
            let held = owners.filter(|id| state.role_assignment(*id).is_some_and(|a| a.document.principal == of));
            held.collect::<Vec<_>>()
        })?;
        self.keep_an_owner(tenant, &held).await.map(drop)
    }
}

fn reference(row: &ResourceRow) -> Option<PrincipalRef> {
    Some(PrincipalRef { kind: kind_of_row(&row.kind)?, id: row.id })
}

/// The principal that a directory object signs in as; a group does not.
pub(crate) fn signed_in_as(reference: PrincipalRef) -> Option<Principal> {
    let id = reference.id;
    Some(match reference.kind {
        PrincipalKind::User => Principal::User { id },
        PrincipalKind::ServicePrincipal => Principal::ServicePrincipal { id },
        PrincipalKind::ManagedIdentity => Principal::ManagedIdentity { id },
        PrincipalKind::Group => return None,
    })
}

pub(crate) fn kind_name(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::User => "User",
        PrincipalKind::Group => "Group",
        PrincipalKind::ServicePrincipal => "ServicePrincipal",
        PrincipalKind::ManagedIdentity => "ManagedIdentity",
    }
}

pub(crate) fn user_reference(user: &Resource<User>) -> PrincipalRef {
    PrincipalRef { kind: PrincipalKind::User, id: user.id }
}
