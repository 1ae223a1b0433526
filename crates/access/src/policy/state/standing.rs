//! Whether a principal still stands, and its proof with it.

use shorepass_core::directory::{PrincipalRef, RepositoryToken, ServicePrincipal};
use shorepass_core::{CredentialKind, Principal};
use shorepass_store::resources::Resource;
use uuid::Uuid;

use super::PolicyState;

/// What a caller's chain of credentials began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The principal's epoch then ([`PolicyState::epoch`]).
    pub epoch: i64,
    pub root: CredentialKind,
    /// The stored credential, where it was one.
    pub root_id: Option<Uuid>,
}

type Standing<T> = Result<T, &'static str>;

impl PolicyState {
    /// The number that tokens of this principal carry; raised whenever the principal is disabled or narrowed, so that tokens
    /// issued before are void even after it is enabled again.
    ///
    /// # Errors
    /// A sentence, when the principal is gone, disabled, or not of the directory.
    pub fn epoch(&self, principal: &Principal) -> Result<i64, &'static str> {
        match principal {
            Principal::User { id } => self.user_epoch(*id),
            Principal::ServicePrincipal { id } => {
                let principal = self.service_principal(*id).ok_or("the service principal was deleted")?;
                self.application_epoch(principal)
            }
            Principal::ManagedIdentity { id } => {
                let identity = self.managed_identity(*id).ok_or("the managed identity was deleted")?;
                enabled(identity.document.enabled, identity.document.epoch, "the managed identity is disabled")
            }
            Principal::RepositoryToken { registry, id } => Ok(self.live_token(*registry, *id)?.document.epoch),
            Principal::Admin { .. } | Principal::Operator { .. } | Principal::Anonymous => {
                Err("not a principal of the directory")
            }
        }
    }

    /// Whether a principal of the directory still stands, and what it was proven with: nothing deleted, disabled or renewed
    /// lives on in a token.
    ///
    /// # Errors
    /// A sentence that says what happened.
    pub fn alive(&self, principal: &Principal, proof: &Proof) -> Result<(), &'static str> {
        if self.epoch(principal)? != proof.epoch {
            return Err("the principal was disabled or narrowed since the token was issued");
        }
        match proof.root {
            CredentialKind::TokenPassword | CredentialKind::ClientSecret | CredentialKind::Certificate => {
                self.credential_stands(principal, proof.root_id.ok_or("the token names no credential")?)
            }
            CredentialKind::FederatedToken => {
                self.trust_stands(principal, proof.root_id.ok_or("the token names no federated credential")?)
            }
            // A token of the directory's that was itself had for a secret or for trust.
            CredentialKind::IdentityToken => match proof.root_id {
                Some(id) => self.credential_stands(principal, id).or_else(|_| self.trust_stands(principal, id)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn user_epoch(&self, id: Uuid) -> Standing<i64> {
        let user = self.user(id).ok_or("the user was deleted")?;
        if let Some(external) = &user.document.external {
            let issuer = self.issuer(external.issuer).filter(|issuer| issuer.parent == user.parent);
            issuer.ok_or("the user's identity provider is no longer trusted")?;
        }
        enabled(user.document.enabled, user.document.epoch, "the user is disabled")
    }

    /// An application elsewhere stands as long as it does at home, and is open to others there. Both epochs only rise, so
    /// their sum tells of either.
    fn application_epoch(&self, principal: &Resource<ServicePrincipal>) -> Standing<i64> {
        let own = enabled(principal.document.enabled, principal.document.epoch, "the service principal is disabled")?;
        if principal.document.home_tenant == principal.parent {
            return Ok(own);
        }
        let home = self.home_of(principal).ok_or("the application was deleted at home")?;
        if !home.document.multi_tenant {
            return Err("the application is no longer open to other tenants");
        }
        Ok(own + enabled(home.document.enabled, home.document.epoch, "the application is disabled at home")?)
    }

    pub(in crate::policy) fn live_token(&self, registry: Uuid, id: Uuid) -> Standing<&Resource<RepositoryToken>> {
        let token = self.repository_token(id).filter(|token| token.parent == registry);
        let token = token.ok_or("the repository token was deleted")?;
        if token.document.enabled { Ok(token) } else { Err("the repository token is disabled") }
    }

    fn credential_stands(&self, principal: &Principal, id: Uuid) -> Standing<()> {
        let found = match principal {
            Principal::RepositoryToken { registry, id: token } => {
                let token = self.live_token(*registry, *token)?;
                token.document.passwords.iter().any(|password| password.id == id)
            }
            Principal::ServicePrincipal { id: principal } => {
                let home = self.service_principal(*principal).and_then(|principal| self.home_of(principal));
                home.is_some_and(|home| self.client_credential(id).is_some_and(|found| found.parent == home.id))
            }
            // A managed identity's certificate is its own.
            Principal::ManagedIdentity { id: identity } => {
                self.client_credential(id).is_some_and(|found| found.parent == *identity)
            }
            _ => false,
        };
        if found { Ok(()) } else { Err("the credential was deleted or renewed") }
    }

    /// The federated credential is still there, and its issuer is still trusted where the credential is kept.
    fn trust_stands(&self, principal: &Principal, id: Uuid) -> Standing<()> {
        const GONE: &str = "the federated credential was deleted";
        let trust = self.federated_credential(id).ok_or(GONE)?;
        let owner = match principal {
            Principal::ServicePrincipal { id } => {
                let home = self.service_principal(*id).and_then(|principal| self.home_of(principal));
                home.map(|home| (home.id, home.parent))
            }
            Principal::ManagedIdentity { id } => {
                self.managed_identity(*id).map(|identity| (identity.id, identity.parent))
            }
            _ => None,
        };
        let (_, tenant) = owner.filter(|(owner, _)| *owner == trust.parent).ok_or(GONE)?;
        let trusted = self.issuer_by_iss(tenant, &trust.document.issuer).is_some();
        if trusted { Ok(()) } else { Err("the issuer is no longer trusted") }
    }

    /// The tenant a principal is in; none for those that are of a registry or the server.
    #[must_use]
    pub fn tenant_of(&self, principal: &Principal) -> Option<Uuid> {
        self.tenant_of_ref(Self::reference(principal)?)
    }

    /// The object and all its groups: whose assignments count.
    pub(in crate::policy) fn holders(&self, principal: PrincipalRef) -> Vec<PrincipalRef> {
        use shorepass_core::directory::PrincipalKind::Group;
        let groups = self.groups_of(principal).into_iter().map(|id| PrincipalRef { kind: Group, id });
        std::iter::once(principal).chain(groups).collect()
    }
}

fn enabled(enabled: bool, epoch: i64, reason: &'static str) -> Standing<i64> {
    if enabled { Ok(epoch) } else { Err(reason) }
}
