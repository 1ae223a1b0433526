//! Who asks, with what proof, and how far that proof reaches.

use std::net::IpAddr;
use std::sync::Arc;

use shorepass_core::{ActionSet, CredentialKind, Principal, RepositoryName, Timestamp, TokenScope};
use shorepass_store::rows::RegistryRecord;
use uuid::Uuid;

/// The most a credential can be used for, whatever its principal may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ceiling {
    /// The credential is the principal's own: no ceiling.
    Open,
    /// A token: only what it names.
    Scopes(Vec<TokenScope>),
}

impl Ceiling {
    /// The part of `wanted` on this repository that the ceiling leaves.
    #[must_use]
    pub fn on_repository(&self, name: &RepositoryName, wanted: ActionSet) -> ActionSet {
        match self {
            Self::Open => wanted,
            Self::Scopes(scopes) => scopes.iter().fold(ActionSet::EMPTY, |sum, scope| match scope {
                TokenScope::Repository { name: named, actions } if named == name => {
                    sum.union(actions.intersection(wanted))
                }
                _ => sum,
            }),
        }
    }

    #[must_use]
    pub fn has_catalog(&self) -> bool {
        match self {
            Self::Open => true,
            Self::Scopes(scopes) => scopes.contains(&TokenScope::Catalog),
        }
    }
}

/// A caller of one registry, as authentication found it. Being one proves nothing yet: see [`crate::Authoriser`].
#[derive(Debug, Clone)]
pub struct Caller {
    pub registry: Arc<RegistryRecord>,
    pub principal: Principal,
    /// What was shown on this request.
    pub credential: CredentialKind,
    /// What began the chain of tokens; equal to `credential` where there is no chain.
    pub root: CredentialKind,
    /// The stored credential that began the chain; it must still be there.
    pub root_id: Option<Uuid>,
    /// The admin account's epoch when the chain began.
    pub epoch: i64,
    pub ceiling: Ceiling,
    /// When what the ceiling names was written; `None` without a ceiling.
    pub issued: Option<Timestamp>,
    /// When the token that was shown was issued, whatever its ceiling; `None` for a credential that is not a token.
    pub began: Option<Timestamp>,
    /// Where the request came from; `None` on the administration socket.
    pub origin: Option<IpAddr>,
}

impl Caller {
    /// Nobody in particular.
    #[must_use]
    pub fn anonymous(registry: Arc<RegistryRecord>) -> Self {
        Self {
            registry,
            principal: Principal::Anonymous,
            credential: CredentialKind::None,
            root: CredentialKind::None,
            root_id: None,
            epoch: 0,
            ceiling: Ceiling::Open,
            issued: None,
            began: None,
            origin: None,
        }
    }

    /// The local operator, who reached the administration socket.
    #[must_use]
    pub fn operator(registry: Arc<RegistryRecord>, uid: u32) -> Self {
        Self {
            principal: Principal::Operator { uid },
            credential: CredentialKind::Socket,
            root: CredentialKind::Socket,
            ..Self::anonymous(registry)
        }
    }
}
