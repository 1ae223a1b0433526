//! Federated credentials: whose token of which outside issuer signs in as an application or a managed identity.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shorepass_access::policy::ManagementAction as M;
use shorepass_core::Timestamp;
use shorepass_core::directory::{FederatedCredential, PrincipalKind, PrincipalRef, SubjectRule};
use shorepass_identity::check_subject;
use shorepass_store::resources::Resource;
use shorepass_store::rows::TenantRow;
use uuid::Uuid;

use crate::gate::{Allowed, shown};
use crate::write::{self, Deed, Expected, Listed, Made, Page};
use crate::{Actor, Control, ControlError, Result, names};

/// Federated credentials of one owner (Azure's number).
const MOST: i64 = 20;

/// What the original's clients ask for.
const DEFAULT_AUDIENCE: &str = "api://AzureADTokenExchange";

/// Whose federated credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    ServicePrincipal(&'a str),
    Identity(&'a str),
}

/// Exactly one of `subject` and `subject_pattern`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewFederatedCredential {
    pub name: String,
    /// The token's `iss`, of an issuer the tenant trusts.
    pub issuer: String,
    /// The token's `sub`, exactly.
    pub subject: Option<String>,
    /// `*` stands for any run of characters but `:` and `/`.
    pub subject_pattern: Option<String>,
    /// What the token's `aud` must hold; `api://AzureADTokenExchange` when nothing is said.
    pub audience: Option<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FederatedCredentialPatch {
    pub issuer: Option<String>,
    pub subject: Option<String>,
    pub subject_pattern: Option<String>,
    pub audience: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FederatedCredentialView {
    pub id: Uuid,
    pub name: String,
    pub issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_pattern: Option<String>,
    pub audience: String,
    #[schemars(with = "String")]
    pub creation_date: Timestamp,
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    pub etag: String,
}

impl FederatedCredentialView {
    fn of(trust: &Resource<FederatedCredential>) -> Self {
        let (subject, subject_pattern) = match &trust.document.subject {
            SubjectRule::Exact(text) => (Some(text.clone()), None),
            SubjectRule::Pattern(text) => (None, Some(text.clone())),
        };
        Self {
            id: trust.id,
            name: trust.name.clone(),
            issuer: trust.document.issuer.clone(),
            subject,
            subject_pattern,
            audience: trust.document.audience.clone(),
            creation_date: trust.created_at,
            updated_at: trust.updated_at,
            etag: trust.etag.to_string(),
        }
    }
}

/// An owner that was found, and may be dealt with.
struct Held {
    permit: Allowed,
    tenant: TenantRow,
    id: Uuid,
    kind: PrincipalKind,
}

/// What is to be done with the credentials.
#[derive(Clone, Copy)]
enum Wish {
    Read,
    Write,
    Delete,
}

impl Control {
    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Invalid`] for an issuer the tenant does not trust or a subject that cannot
    /// be; [`ControlError::Conflict`] for a name that is taken.
    pub async fn create_federated_credential(
        &self,
        actor: &Actor,
        tenant: &str,
        owner: Owner<'_>,
        new: NewFederatedCredential,
    ) -> Result<Made<FederatedCredentialView>> {
        let held = self.held(actor, tenant, owner, Wish::Write).await?;
        names::object("federated credential", &new.name)?;
        let rule = subject_rule(new.subject, new.subject_pattern)?
            .ok_or_else(|| ControlError::Invalid("name the `subject`, or a `subjectPattern`".to_owned()))?;
        let audience = new.audience.unwrap_or_else(|| DEFAULT_AUDIENCE.to_owned());
        let document = FederatedCredential { issuer: new.issuer, subject: rule, audience };
        self.check_trust(held.tenant.id, &document)?;
        if let Some(there) = self.named::<FederatedCredential>(held.id, &new.name).await? {
            if there.document == document {
                return Ok(Made { view: FederatedCredentialView::of(&there), new: false });
            }
            return Err(ControlError::Conflict(format!("the federated credential `{}` exists already", there.name)));
        }
        if self.store.count_resources("federated_credential", held.id).await? >= MOST {
            return Err(ControlError::Conflict(format!("at most {MOST} federated credentials: delete one")));
        }
        let trust = self.fresh(held.id, new.name, document);
        let view = FederatedCredentialView::of(&trust);
        let deed = deed("federated-credential.create", held.id, json!({"after": view}));
        self.commit(&held.permit, actor, &[write::create(&trust)?], deed).await?;
        Ok(Made { view, new: true })
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn federated_credentials(
        &self,
        actor: &Actor,
        tenant: &str,
        owner: Owner<'_>,
        page: &Page,
    ) -> Result<Listed<FederatedCredentialView>> {
        let held = self.held(actor, tenant, owner, Wish::Read).await?;
        let listed = self.listed::<FederatedCredential>(held.id, page).await?;
        Ok(listed.map(|trust| FederatedCredentialView::of(&trust)))
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn federated_credential(
        &self,
        actor: &Actor,
        tenant: &str,
        owner: Owner<'_>,
        name: &str,
    ) -> Result<FederatedCredentialView> {
        let held = self.held(actor, tenant, owner, Wish::Read).await?;
        Ok(FederatedCredentialView::of(&self.the_trust(held.id, name).await?))
    }

    /// What was issued for the old subject ends: a changed credential is a new one.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Invalid`].
    pub async fn update_federated_credential(
        &self,
        actor: &Actor,
        tenant: &str,
        owner: Owner<'_>,
        name: &str,
        patch: FederatedCredentialPatch,
        expected: Expected,
    ) -> Result<FederatedCredentialView> {
        let held = self.held(actor, tenant, owner, Wish::Write).await?;
        let old = self.the_trust(held.id, name).await?;
        expected.check(old.etag)?;
        let mut document = old.document.clone();
        document.issuer = patch.issuer.unwrap_or(document.issuer);
        document.subject = subject_rule(patch.subject, patch.subject_pattern)?.unwrap_or(document.subject);
        document.audience = patch.audience.unwrap_or(document.audience);
        self.check_trust(held.tenant.id, &document)?;
        if document == old.document {
            return Ok(FederatedCredentialView::of(&old));
        }
        let mut new = self.fresh(held.id, old.name.clone(), document);
        new.etag = old.etag + 1;
        new.created_at = old.created_at;
        let view = FederatedCredentialView::of(&new);
        let detail = json!({"before": FederatedCredentialView::of(&old), "after": view});
        let writes = [write::delete(&old), write::create(&new)?];
        self.commit(&held.permit, actor, &writes, deed("federated-credential.update", held.id, detail)).await?;
        Ok(view)
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn delete_federated_credential(
        &self,
        actor: &Actor,
        tenant: &str,
        owner: Owner<'_>,
        name: &str,
        expected: Expected,
    ) -> Result<()> {
        let held = self.held(actor, tenant, owner, Wish::Delete).await?;
        let trust = self.the_trust(held.id, name).await?;
        expected.check(trust.etag)?;
        let detail = json!({"before": FederatedCredentialView::of(&trust)});
        let deed = deed("federated-credential.delete", held.id, detail);
        self.commit(&held.permit, actor, &[write::delete(&trust)], deed).await
    }

    async fn held(&self, actor: &Actor, tenant: &str, owner: Owner<'_>, wish: Wish) -> Result<Held> {
        let held = match owner {
            Owner::ServicePrincipal(said) => {
                let action = match wish {
                    Wish::Read => M::ServicePrincipalRead,
                    Wish::Write | Wish::Delete => M::ServicePrincipalWrite,
                };
                let (permit, tenant) = self.tenant_for(actor, action, tenant).await?;
                let id = self.the_application_at_home(tenant.id, said).await?.id;
                Held { permit, tenant, id, kind: PrincipalKind::ServicePrincipal }
            }
            Owner::Identity(said) => {
                let action = match wish {
                    Wish::Read => M::IdentityCredentialRead,
                    Wish::Write => M::IdentityCredentialWrite,
                    Wish::Delete => M::IdentityCredentialDelete,
                };
                let (permit, tenant, identity) = self.identity_for(actor, action, tenant, said).await?;
                Held { permit, tenant, id: identity.id, kind: PrincipalKind::ManagedIdentity }
            }
        };
        if matches!(wish, Wish::Write) {
            let whom = PrincipalRef { kind: held.kind, id: held.id };
            self.may_become(actor, held.tenant.id, whom).await?;
        }
        Ok(held)
    }

    fn check_trust(&self, tenant: Uuid, trust: &FederatedCredential) -> Result<()> {
        check_subject(&trust.subject).map_err(|error| ControlError::Invalid(error.to_string()))?;
        if trust.audience.is_empty() || trust.audience.len() > 600 || trust.audience.chars().any(char::is_control) {
            return Err(ControlError::Invalid("the audience has 1 to 600 characters".to_owned()));
        }
        if self.directory.policy(|state| state.issuer_by_iss(tenant, &trust.issuer).is_none())? {
            return Err(ControlError::Invalid(format!(
                "the tenant does not trust the issuer `{}`: `shorepass federation create` makes it a trusted one",
                shown(&trust.issuer)
            )));
        }
        Ok(())
    }

    async fn the_trust(&self, owner: Uuid, said: &str) -> Result<Resource<FederatedCredential>> {
        let trust = self.either::<FederatedCredential>(owner, said).await?;
        trust.ok_or_else(|| ControlError::NotFound(format!("there is no federated credential `{}`", shown(said))))
    }
}

fn subject_rule(subject: Option<String>, pattern: Option<String>) -> Result<Option<SubjectRule>> {
    match (subject, pattern) {
        (Some(subject), None) => Ok(Some(SubjectRule::Exact(subject))),
        (None, Some(pattern)) => Ok(Some(SubjectRule::Pattern(pattern))),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(ControlError::Invalid("name a `subject` or a `subjectPattern`, and not both".to_owned()))
        }
    }
}

fn deed(operation: &str, owner: Uuid, detail: serde_json::Value) -> Deed<'_> {
    Deed { operation, registry: None, target: format!("federated credentials of {owner}"), detail }
}
