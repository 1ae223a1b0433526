//! The directory's and the access rules' documents: what the store keeps as JSON, and what decides in memory.
//!
//! Each is a resource with an id, a parent, and a name that is unique below its parent and without case.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{RepositoryName, Timestamp};

/// A document of the directory. `KIND` names its table row's kind and never changes.
pub trait Document: Serialize + DeserializeOwned + Send + Sync + 'static {
    const KIND: &'static str;
}

macro_rules! documents {
    ($($name:ident = $kind:literal),* $(,)?) => {$(
        impl Document for $name {
            const KIND: &'static str = $kind;
        }
    )*};
}

documents! {
    User = "user",
    Group = "group",
    Membership = "membership",
    ServicePrincipal = "service_principal",
    ClientCredential = "client_credential",
    FederatedCredential = "federated_credential",
    ManagedIdentity = "managed_identity",
    Issuer = "issuer",
    RoleDefinition = "role_definition",
    RoleAssignment = "role_assignment",
    ScopeMap = "scope_map",
    RepositoryToken = "repository_token",
    AccessPolicy = "access_policy",
}

/// A person. Parent: the tenant. Name: the user name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub display_name: String,
    pub enabled: bool,
    /// argon2id in PHC form; `None` until the invitation is accepted, and for who comes through an outside provider.
    #[serde(default)]
    pub password_hash: Option<String>,
    /// Who an outside provider says this is. Issuer and subject are the identity, never an e-mail or a name.
    #[serde(default)]
    pub external: Option<ExternalIdentity>,
    /// HMAC of the invitation's secret, and its end.
    #[serde(default)]
    pub invitation: Option<Secret>,
    /// Raised when the user is disabled or loses a group: tokens issued before carry the old number.
    #[serde(default)]
    pub epoch: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExternalIdentity {
    pub issuer: Uuid,
    pub subject: String,
}

/// A hashed secret with its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// HMAC-SHA-256 under the server's key, hexadecimal.
    pub hash: String,
    pub expires_at: Option<Timestamp>,
}

/// A group. Parent: the tenant. Name: the group's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    #[serde(default)]
    pub description: String,
    /// The provider's group whose members these are; read anew at every sign-in.
    #[serde(default)]
    pub external: Option<ExternalIdentity>,
}

/// Somebody is in a group. Parent: the group. Name: the member's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    pub member: PrincipalRef,
    /// Came from a provider's claims, and goes with them.
    #[serde(default)]
    pub external: bool,
}

/// What kind of directory object an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PrincipalKind {
    User,
    Group,
    ServicePrincipal,
    ManagedIdentity,
}

/// A directory object that can be a member or hold a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PrincipalRef {
    pub kind: PrincipalKind,
    pub id: Uuid,
}

/// An application's presence in a tenant. Parent: the tenant. Name: the application's id (a GUID, the docker user name).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePrincipal {
    pub app_id: Uuid,
    pub display_name: String,
    pub enabled: bool,
    /// The tenant the application's credentials are kept in; another one than the parent's is a consented application.
    pub home_tenant: Uuid,
    /// Other tenants may consent to it. Decided at home.
    #[serde(default)]
    pub multi_tenant: bool,
    #[serde(default)]
    pub epoch: i64,
}

/// A secret or certificate of an application. Parent: the service principal at home. Name: the credential's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCredential {
    pub display_name: String,
    pub proof: ClientProof,
    pub start: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientProof {
    Secret {
        hash: String,
        hint: String,
    },
    /// X.509 DER, base64.
    Certificate {
        der: String,
        thumbprint: String,
    },
}

/// Trust in an outside issuer's token. Parent: the service principal or managed identity. Name: its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederatedCredential {
    /// The `iss` claim; must be a trusted issuer of the tenant.
    pub issuer: String,
    pub subject: SubjectRule,
    pub audience: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectRule {
    Exact(String),
    /// `*` stands for any run of characters but `:` and `/`.
    Pattern(String),
}

/// An identity without a secret. Parent: the tenant. Name: its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedIdentity {
    /// What clients name it by, besides its object id.
    pub client_id: Uuid,
    pub resource_group: Uuid,
    /// The one resource a system-assigned identity belongs to and dies with; `None`: user-assigned.
    #[serde(default)]
    pub system_of: Option<Uuid>,
    pub enabled: bool,
    #[serde(default)]
    pub epoch: i64,
}

/// A trusted issuer of a tenant. Parent: the tenant. Name: its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    /// The `iss` claim, exactly.
    pub issuer: String,
    /// Where the keys come from: discovery at the issuer, at another URL, or pinned.
    pub keys: IssuerKeys,
    /// PEM of the CA its TLS is checked with, when it is not a public one.
    #[serde(default)]
    pub ca: Option<String>,
    /// People sign in through it: our client there.
    #[serde(default)]
    pub sign_in: Option<ProviderClient>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerKeys {
    Discovery {
        url: Option<String>,
    },
    /// A JWKS document.
    Pinned {
        jwks: String,
    },
}

/// Our client at an outside OpenID provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderClient {
    pub client_id: String,
    /// Sealed under the server's key, hexadecimal; `None` for a public client.
    #[serde(default)]
    pub client_secret: Option<String>,
    #[serde(default)]
    pub groups_claim: Option<String>,
}

/// A role of the operator's own making. Parent: the tenant. Name: the role's name. Built-in roles are code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleDefinition {
    #[serde(default)]
    pub description: String,
    /// Single management actions; wildcards are refused.
    #[serde(default)]
    pub actions: Vec<String>,
    /// Single data actions; wildcards are refused.
    #[serde(default)]
    pub data_actions: Vec<String>,
}

/// Where a role is assigned (DESIGN.md, section 1: "scope").
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AssignmentScope {
    Tenant {
        id: Uuid,
    },
    Subscription {
        id: Uuid,
    },
    ResourceGroup {
        id: Uuid,
    },
    Registry {
        id: Uuid,
    },
    /// Registries in ABAC mode only.
    Repository {
        registry: Uuid,
        name: RepositoryName,
    },
}

/// A role given to somebody. Parent: the tenant. Name: its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleAssignment {
    pub role: Uuid,
    pub principal: PrincipalRef,
    pub scope: AssignmentScope,
    /// A version 2.0 condition.
    #[serde(default)]
    pub condition: Option<String>,
    pub created_by: String,
}

/// Named actions on repositories. Parent: the registry. Name: its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeMap {
    #[serde(default)]
    pub description: String,
    /// `repositories/<pattern>/<action>`, as they are shown.
    pub actions: Vec<String>,
}

/// A credential for a few repositories. Parent: the registry. Name: the docker user name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryToken {
    pub scope_map: Uuid,
    pub enabled: bool,
    #[serde(default)]
    pub passwords: Vec<TokenPassword>,
    #[serde(default)]
    pub epoch: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenPassword {
    pub id: Uuid,
    /// 1 or 2.
    pub slot: u8,
    pub hash: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// A Cedar policy on top of the roles. Parent: the registry. Name: its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPolicy {
    pub text: String,
    pub enabled: bool,
}
