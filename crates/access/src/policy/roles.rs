//! Roles: named sets of actions.

mod built_in;

use serde::Serialize;
use shorepass_core::directory::{AssignmentScope, RoleDefinition};
use uuid::Uuid;

use super::actions::{ManagementAction, ManagementActions, Right, Rights};
use super::condition::{Condition, ConditionError};

pub use built_in::{built_in_role, built_in_roles, role_id};

/// How a registry reads roles (`--role-assignment-mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoleMode {
    /// The registry's roles reach all its repositories.
    Rbac,
    /// Repository roles with conditions; Owner, Contributor, Reader, AcrPull, AcrPush and AcrDelete reach no content.
    RbacAbac,
}

/// A named set of actions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    pub id: Uuid,
    pub name: String,
    pub description: String,
    pub built_in: bool,
    /// As they are shown; built-in roles have wildcards.
    pub actions: Vec<String>,
    pub not_actions: Vec<String>,
    pub data_actions: Vec<String>,
    #[serde(skip)]
    management: ManagementActions,
    #[serde(skip)]
    rbac: Rights,
    #[serde(skip)]
    abac: Rights,
}

/// Why a role definition was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    #[error("a role names its actions one by one; `{0}` has a wildcard")]
    Wildcard(String),
    #[error("there is no action `{0}` that a role could hold")]
    Unknown(String),
    #[error("`{0}` is a data action: name it in the data actions")]
    DataAction(String),
    #[error("`{0}` is no data action: name it in the actions")]
    NoDataAction(String),
    #[error("a role holds at least one action")]
    Empty,
}

impl Role {
    /// A role of an operator's own making.
    ///
    /// # Errors
    /// [`RoleError`] for a wildcard, an unknown action, one in the wrong list, or none at all.
    pub fn custom(id: Uuid, name: &str, definition: &RoleDefinition) -> Result<Self, RoleError> {
        if definition.actions.is_empty() && definition.data_actions.is_empty() {
            return Err(RoleError::Empty);
        }
        for action in &definition.actions {
            check(action, false)?;
        }
        for action in &definition.data_actions {
            check(action, true)?;
        }
        Ok(Self::resolve(id, name, false, &definition.description, &definition.actions, &[], &definition.data_actions))
    }

    fn resolve(
        id: Uuid,
        name: &str,
        built_in: bool,
        description: &str,
        actions: &[impl AsRef<str>],
        not_actions: &[&str],
        data_actions: &[impl AsRef<str>],
    ) -> Self {
        let holds = |name: &str| {
            actions.iter().any(|pattern| glob(pattern.as_ref(), name)) && !not_actions.iter().any(|not| glob(not, name))
        };
        let mut role = Self {
            id,
            name: name.to_owned(),
            description: description.to_owned(),
            built_in,
            actions: actions.iter().map(|a| a.as_ref().to_owned()).collect(),
            not_actions: not_actions.iter().map(|&a| a.to_owned()).collect(),
            data_actions: data_actions.iter().map(|a| a.as_ref().to_owned()).collect(),
            management: ManagementActions::default(),
            rbac: Rights::EMPTY,
            abac: Rights::EMPTY,
        };
        for action in ManagementAction::ALL.iter().filter(|action| holds(action.as_str())) {
            role.management.insert(*action);
        }
        for effect in CONTENT {
            let named = data_actions.iter().any(|name| name.as_ref().eq_ignore_ascii_case(effect.name));
            if if effect.data { named } else { holds(effect.name) } {
                role.rbac = role.rbac.union(Rights::of(effect.rbac));
                role.abac = role.abac.union(Rights::of(effect.abac));
            }
        }
        role
    }

    #[must_use]
    pub fn manages(&self, action: ManagementAction) -> bool {
        self.management.contains(action)
    }

    /// What it allows on content in a registry of this mode.
    #[must_use]
    pub fn rights(&self, mode: RoleMode) -> Rights {
        match mode {
            RoleMode::Rbac => self.rbac,
            RoleMode::RbacAbac => self.abac,
        }
    }

    /// Whether a condition could limit anything of it. The catalog lister's names no repository, so it takes none.
    #[must_use]
    pub fn takes_condition(&self) -> bool {
        let grants =
            self.manages(ManagementAction::RoleAssignmentWrite) || self.manages(ManagementAction::RoleAssignmentDelete);
        grants || self.abac.iter().any(|right| right != Right::CatalogList)
    }

    /// How much it allows altogether, to find the least role.
    pub(super) fn weight(&self) -> u32 {
        self.management.len() + self.rbac.len() + self.abac.len()
    }
}

fn check(action: &str, data: bool) -> Result<(), RoleError> {
    if action.contains('*') {
        return Err(RoleError::Wildcard(super::excerpt(action)));
    }
    match CONTENT.iter().find(|effect| effect.name.eq_ignore_ascii_case(action)) {
        Some(effect) if effect.data == data => Ok(()),
        Some(_) if data => Err(RoleError::NoDataAction(super::excerpt(action))),
        Some(_) => Err(RoleError::DataAction(super::excerpt(action))),
        None if action.parse::<ManagementAction>().is_err() => Err(RoleError::Unknown(super::excerpt(action))),
        None if data => Err(RoleError::NoDataAction(super::excerpt(action))),
        None => Ok(()),
    }
}

/// Why a role assignment was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    #[error("the role `{0}` takes no condition")]
    NoCondition(String),
    #[error("the condition cannot be read: {0}")]
    Condition(#[from] ConditionError),
    #[error("the role `{0}` reaches nothing in one repository: assign it at the registry")]
    Scope(String),
}

/// Checks what can be checked of an assignment without knowing what exists.
///
/// # Errors
/// [`AssignmentError`].
pub fn check_assignment(role: &Role, scope: &AssignmentScope, condition: Option<&str>) -> Result<(), AssignmentError> {
    if let Some(condition) = condition {
        if !role.takes_condition() {
            return Err(AssignmentError::NoCondition(role.name.clone()));
        }
        Condition::parse(condition)?;
    }
    // Assignments at one repository are read in `rbac-abac` mode only, and the catalog is the registry's.
    let of_a_repository = role.abac.iter().any(|right| right != Right::CatalogList);
    if matches!(scope, AssignmentScope::Repository { .. }) && !of_a_repository {
        return Err(AssignmentError::Scope(role.name.clone()));
    }
    Ok(())
}

/// What an action does to content, in each of the modes.
struct Effect {
    name: &'static str,
    /// It belongs in a role's data actions.
    data: bool,
    rbac: &'static [Right],
    abac: &'static [Right],
}

const fn action(name: &'static str, rbac: &'static [Right]) -> Effect {
    Effect { name, data: false, rbac, abac: &[] }
}

const fn in_repositories(name: &'static str, abac: &'static [Right]) -> Effect {
    Effect { name, data: true, rbac: &[], abac }
}

const fn in_both(name: &'static str, rights: &'static [Right]) -> Effect {
    Effect { name, data: true, rbac: rights, abac: rights }
}

/// The actions on content. `sign/write` and `quarantine/*` alone do nothing: `*` and `*/read` contain them, but Owner does not
/// sign and Reader does not see what is in quarantine.
const CONTENT: &[Effect] = &[
    action(
        "Microsoft.ContainerRegistry/registries/pull/read",
        &[Right::ContentRead, Right::MetadataRead, Right::CatalogList],
    ),
    action("Microsoft.ContainerRegistry/registries/push/write", &[Right::ContentWrite, Right::Untag]),
    action("Microsoft.ContainerRegistry/registries/artifacts/delete", &[Right::ContentDelete, Right::Untag]),
    action("Microsoft.ContainerRegistry/registries/metadata/read", &[Right::MetadataRead, Right::AttributesRead]),
    action("Microsoft.ContainerRegistry/registries/metadata/write", &[Right::MetadataWrite, Right::Untag]),
    action("Microsoft.ContainerRegistry/registries/sign/write", &[]),
    action("Microsoft.ContainerRegistry/registries/quarantine/read", &[]),
    action("Microsoft.ContainerRegistry/registries/quarantine/write", &[]),
    in_repositories("Microsoft.ContainerRegistry/registries/repositories/content/read", &[Right::ContentRead]),
    in_repositories("Microsoft.ContainerRegistry/registries/repositories/content/write", &[Right::ContentWrite]),
    in_repositories("Microsoft.ContainerRegistry/registries/repositories/content/delete", &[Right::ContentDelete]),
    in_repositories(
        "Microsoft.ContainerRegistry/registries/repositories/metadata/read",
        &[Right::MetadataRead, Right::AttributesRead],
    ),
    in_repositories("Microsoft.ContainerRegistry/registries/repositories/metadata/write", &[Right::MetadataWrite]),
    in_repositories("Microsoft.ContainerRegistry/registries/repositories/metadata/delete", &[Right::Untag]),
    in_repositories("Microsoft.ContainerRegistry/registries/catalog/read", &[Right::CatalogList]),
    in_both("Microsoft.ContainerRegistry/registries/trustedCollections/write", &[Right::Sign]),
    in_both("Microsoft.ContainerRegistry/registries/quarantinedArtifacts/read", &[Right::QuarantineRead]),
    in_both(
        "Microsoft.ContainerRegistry/registries/quarantinedArtifacts/write",
        &[Right::QuarantineRead, Right::QuarantineWrite],
    ),
];

/// `*` stands for any run of characters; ASCII case does not count.
fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(name),
        Some((head, tail)) => {
            let Some((start, rest)) = name.split_at_checked(head.len()) else { return false };
            start.eq_ignore_ascii_case(head)
                && (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| glob(tail, rest)))
        }
    }
}

#[cfg(test)]
mod tests;
