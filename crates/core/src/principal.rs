//! Who a credential proves, and what kind of credential it was.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Whoever a credential proves (DESIGN.md, section 1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Principal {
    /// The one admin account of a registry; both its passwords are one principal.
    Admin {
        registry: Uuid,
    },
    /// Somebody who reached the administration socket: the server's own user, or root.
    Operator {
        uid: u32,
    },
    /// A person of a tenant's directory.
    User {
        id: Uuid,
    },
    /// An application's presence in a tenant.
    ServicePrincipal {
        id: Uuid,
    },
    ManagedIdentity {
        id: Uuid,
    },
    /// A credential for what its scope map names.
    RepositoryToken {
        registry: Uuid,
        id: Uuid,
    },
    Anonymous,
}

impl Principal {
    /// A stable text for audit, limits and the `sub` claim: ASCII, without `? > ~`, which some clients' JWT readers
    /// stumble over (contracts/azure-clients.md 7.4).
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Admin { registry } => format!("admin:{registry}"),
            Self::Operator { uid } => format!("operator:{uid}"),
            Self::User { id } => format!("user:{id}"),
            Self::ServicePrincipal { id } => format!("sp:{id}"),
            Self::ManagedIdentity { id } => format!("identity:{id}"),
            Self::RepositoryToken { id, .. } => format!("token:{id}"),
            Self::Anonymous => "anonymous".to_owned(),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())
    }
}

/// What proved a principal on this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    AdminPassword,
    RefreshToken,
    AccessToken,
    /// Peer credentials of the administration socket.
    Socket,
    /// One of a repository token's two passwords.
    TokenPassword,
    ClientSecret,
    /// A certificate's assertion.
    Certificate,
    /// A trusted issuer's token.
    FederatedToken,
    /// A person's own password.
    Password,
    /// A token of our own directory.
    IdentityToken,
    None,
}

impl CredentialKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AdminPassword => "admin_password",
            Self::RefreshToken => "refresh_token",
            Self::AccessToken => "access_token",
            Self::Socket => "socket",
            Self::TokenPassword => "token_password",
            Self::ClientSecret => "client_secret",
            Self::Certificate => "certificate",
            Self::FederatedToken => "federated_token",
            Self::Password => "password",
            Self::IdentityToken => "identity_token",
            Self::None => "none",
        }
    }
}
