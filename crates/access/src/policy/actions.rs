//! What can be done: rights on content, and management actions, by the names Azure gives them.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use shorepass_core::{Action, ActionSet};

/// A right on a registry's content: the actions of [`Action`], and what roles tell apart below them
/// (what-the-documents-say.md, 2b).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Right {
    ContentRead,
    ContentWrite,
    ContentDelete,
    MetadataRead,
    MetadataWrite,
    CatalogList,
    /// To see locks: `AcrPull` and `AcrPush` list tags and manifests, but do not.
    AttributesRead,
    /// To take a tag away: `AcrPush` may, and cannot lock.
    Untag,
    QuarantineRead,
    QuarantineWrite,
    Sign,
}

impl Right {
    pub const ALL: [Self; 11] = [
        Self::ContentRead,
        Self::ContentWrite,
        Self::ContentDelete,
        Self::MetadataRead,
        Self::MetadataWrite,
        Self::CatalogList,
        Self::AttributesRead,
        Self::Untag,
        Self::QuarantineRead,
        Self::QuarantineWrite,
        Self::Sign,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContentRead => "content/read",
            Self::ContentWrite => "content/write",
            Self::ContentDelete => "content/delete",
            Self::MetadataRead => "metadata/read",
            Self::MetadataWrite => "metadata/write",
            Self::CatalogList => "catalog/list",
            Self::AttributesRead => "attributes/read",
            Self::Untag => "untag",
            Self::QuarantineRead => "quarantine/read",
            Self::QuarantineWrite => "quarantine/write",
            Self::Sign => "sign",
        }
    }

    /// The data action a condition names it by in `ActionMatches`.
    #[must_use]
    pub fn data_action(self) -> &'static str {
        match self {
            Self::ContentRead => "Microsoft.ContainerRegistry/registries/repositories/content/read",
            Self::ContentWrite => "Microsoft.ContainerRegistry/registries/repositories/content/write",
            Self::ContentDelete => "Microsoft.ContainerRegistry/registries/repositories/content/delete",
            Self::MetadataRead | Self::AttributesRead => {
                "Microsoft.ContainerRegistry/registries/repositories/metadata/read"
            }
            Self::MetadataWrite => "Microsoft.ContainerRegistry/registries/repositories/metadata/write",
            Self::Untag => "Microsoft.ContainerRegistry/registries/repositories/metadata/delete",
            Self::CatalogList => "Microsoft.ContainerRegistry/registries/catalog/read",
            Self::QuarantineRead => "Microsoft.ContainerRegistry/registries/quarantinedArtifacts/read",
            Self::QuarantineWrite => "Microsoft.ContainerRegistry/registries/quarantinedArtifacts/write",
            Self::Sign => "Microsoft.ContainerRegistry/registries/trustedCollections/write",
        }
    }

    /// The actions of a token, of which one is enough to use this right. A token to pull also lists tags, because clients
    /// list with the token they pull with, and one to push or delete also untags; the principal needs the right itself.
    #[must_use]
    pub fn covered_by(self) -> ActionSet {
        match self {
            Self::ContentRead | Self::QuarantineRead => ActionSet::of(&[Action::ContentRead]),
            Self::ContentWrite | Self::Sign => ActionSet::of(&[Action::ContentWrite]),
            Self::ContentDelete => ActionSet::of(&[Action::ContentDelete]),
            Self::MetadataRead => ActionSet::of(&[Action::MetadataRead, Action::ContentRead]),
            Self::AttributesRead => ActionSet::of(&[Action::MetadataRead]),
            Self::MetadataWrite | Self::QuarantineWrite => ActionSet::of(&[Action::MetadataWrite]),
            Self::Untag => ActionSet::of(&[Action::MetadataWrite, Action::ContentDelete, Action::ContentWrite]),
            Self::CatalogList => ActionSet::of(&[Action::CatalogList]),
        }
    }
}

impl From<Action> for Right {
    fn from(action: Action) -> Self {
        match action {
            Action::ContentRead => Self::ContentRead,
            Action::ContentWrite => Self::ContentWrite,
            Action::ContentDelete => Self::ContentDelete,
            Action::MetadataRead => Self::MetadataRead,
            Action::MetadataWrite => Self::MetadataWrite,
            Action::CatalogList => Self::CatalogList,
        }
    }
}

impl FromStr for Right {
    type Err = UnknownAction;
    fn from_str(input: &str) -> Result<Self, UnknownAction> {
        let found = Self::ALL.into_iter().find(|right| right.as_str().eq_ignore_ascii_case(input));
        found.ok_or_else(|| UnknownAction::new(input))
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Right {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(u16);

impl Rights {
    pub const EMPTY: Self = Self(0);

    #[must_use]
    pub const fn of(rights: &[Right]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < rights.len() {
            set |= 1 << rights[at] as u8;
            at += 1;
        }
        Self(set)
    }

    #[must_use]
    pub fn contains(self, right: Right) -> bool {
        self.0 & (1 << right as u8) != 0
    }

    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.contains(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |set, right| set | 1 << right as u8))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A name that is none of our actions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no action `{0}`")]
pub struct UnknownAction(String);

impl UnknownAction {
    fn new(input: &str) -> Self {
        Self(super::excerpt(input))
    }
}

macro_rules! management_actions {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// Something the management API does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum ManagementAction { $($name),* }

        impl ManagementAction {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// In the form of Azure's provider operations.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

management_actions! {
    RegistryRead = "Microsoft.ContainerRegistry/registries/read",
    RegistryWrite = "Microsoft.ContainerRegistry/registries/write",
    RegistryDelete = "Microsoft.ContainerRegistry/registries/delete",
    RegistryListCredentials = "Microsoft.ContainerRegistry/registries/listCredentials/action",
    RegistryRegenerateCredential = "Microsoft.ContainerRegistry/registries/regenerateCredential/action",
    RegistryImport = "Microsoft.ContainerRegistry/registries/importImage/action",
    TokenGenerateCredentials = "Microsoft.ContainerRegistry/registries/generateCredentials/action",
    TokenRead = "Microsoft.ContainerRegistry/registries/tokens/read",
    TokenWrite = "Microsoft.ContainerRegistry/registries/tokens/write",
    TokenDelete = "Microsoft.ContainerRegistry/registries/tokens/delete",
    ScopeMapRead = "Microsoft.ContainerRegistry/registries/scopeMaps/read",
    ScopeMapWrite = "Microsoft.ContainerRegistry/registries/scopeMaps/write",
    ScopeMapDelete = "Microsoft.ContainerRegistry/registries/scopeMaps/delete",
    TaskRead = "Microsoft.ContainerRegistry/registries/tasks/read",
    TaskWrite = "Microsoft.ContainerRegistry/registries/tasks/write",
    TaskDelete = "Microsoft.ContainerRegistry/registries/tasks/delete",
    TaskRun = "Microsoft.ContainerRegistry/registries/scheduleRun/action",
    RoleAssignmentRead = "Microsoft.Authorization/roleAssignments/read",
    RoleAssignmentWrite = "Microsoft.Authorization/roleAssignments/write",
    RoleAssignmentDelete = "Microsoft.Authorization/roleAssignments/delete",
    RoleDefinitionRead = "Microsoft.Authorization/roleDefinitions/read",
    RoleDefinitionWrite = "Microsoft.Authorization/roleDefinitions/write",
    RoleDefinitionDelete = "Microsoft.Authorization/roleDefinitions/delete",
    AccessPolicyRead = "Microsoft.Authorization/accessPolicies/read",
    AccessPolicyWrite = "Microsoft.Authorization/accessPolicies/write",
    AccessPolicyDelete = "Microsoft.Authorization/accessPolicies/delete",
    TenantRead = "Microsoft.Resources/tenants/read",
    TenantWrite = "Microsoft.Resources/tenants/write",
    SubscriptionRead = "Microsoft.Resources/subscriptions/read",
    SubscriptionWrite = "Microsoft.Resources/subscriptions/write",
    SubscriptionDelete = "Microsoft.Resources/subscriptions/delete",
    ResourceGroupRead = "Microsoft.Resources/subscriptions/resourceGroups/read",
    ResourceGroupWrite = "Microsoft.Resources/subscriptions/resourceGroups/write",
    ResourceGroupDelete = "Microsoft.Resources/subscriptions/resourceGroups/delete",
    UserRead = "Microsoft.Directory/users/read",
    UserWrite = "Microsoft.Directory/users/write",
    UserDelete = "Microsoft.Directory/users/delete",
    GroupRead = "Microsoft.Directory/groups/read",
    GroupWrite = "Microsoft.Directory/groups/write",
    GroupDelete = "Microsoft.Directory/groups/delete",
    ServicePrincipalRead = "Microsoft.Directory/servicePrincipals/read",
    ServicePrincipalWrite = "Microsoft.Directory/servicePrincipals/write",
    ServicePrincipalDelete = "Microsoft.Directory/servicePrincipals/delete",
    IssuerRead = "Microsoft.Directory/issuers/read",
    IssuerWrite = "Microsoft.Directory/issuers/write",
    IssuerDelete = "Microsoft.Directory/issuers/delete",
    IdentityRead = "Microsoft.ManagedIdentity/userAssignedIdentities/read",
    IdentityWrite = "Microsoft.ManagedIdentity/userAssignedIdentities/write",
    IdentityDelete = "Microsoft.ManagedIdentity/userAssignedIdentities/delete",
    IdentityAssign = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    IdentityCredentialRead = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read",
    IdentityCredentialWrite = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write",
    IdentityCredentialDelete = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/delete",
    AuditRead = "Shorepass.Audit/events/read",
}

impl FromStr for ManagementAction {
    type Err = UnknownAction;
    fn from_str(input: &str) -> Result<Self, UnknownAction> {
        let found = Self::ALL.iter().find(|action| action.as_str().eq_ignore_ascii_case(input));
        found.copied().ok_or_else(|| UnknownAction::new(input))
    }
}

impl fmt::Display for ManagementAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ManagementAction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A set of management actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ManagementActions(u64);

const _: () = assert!(ManagementAction::ALL.len() <= 64, "the set has 64 bits");

impl ManagementActions {
    pub(super) fn contains(self, action: ManagementAction) -> bool {
        self.0 & (1 << action as u8) != 0
    }

    pub(super) fn insert(&mut self, action: ManagementAction) {
        self.0 |= 1 << action as u8;
    }

    pub(super) fn len(self) -> u32 {
        self.0.count_ones()
    }
}
