//! Who asks, with what proof, and how far that proof reaches.

use std::sync::Arc;

use shorepass_core::{Action, ActionSet, CredentialKind, Principal, RepositoryName, Timestamp, TokenScope};
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
    /// When the token was issued; `None` for a credential that is not a token.
    pub issued: Option<Timestamp>,
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

    /// Whether the token shown would satisfy `action`. Reading metadata is also satisfied by a token to pull: clients list
    /// tags with the token they pull with (the live decision still asks for the right itself).
    #[must_use]
    pub(crate) fn scope_covers(&self, name: &RepositoryName, action: Action) -> bool {
        let mut enough = ActionSet::of(&[action]);
        if action == Action::MetadataRead {
            enough = enough.union(ActionSet::of(&[Action::ContentRead]));
        }
        !self.ceiling.on_repository(name, enough).is_empty()
    }
}
