//! Secrets and certificates of applications.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shorepass_access::policy::ManagementAction as M;
use shorepass_core::Timestamp;
use shorepass_core::directory::{ClientCredential, ClientProof};
use shorepass_identity::{Certificate, new_password};
use shorepass_store::resources::Resource;
use uuid::Uuid;

use crate::service_principals::{deed, reference};
use crate::write::{self, Listed, Page};
use crate::{Actor, Control, ControlError, Result, names};

/// Secrets and certificates of one application.
const MOST: usize = 100;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long a credential is good: one year when nothing is said (what-the-documents-say.md, 12).
#[derive(Debug, Clone, Default)]
pub(crate) struct Life {
    pub years: Option<u32>,
    pub end: Option<Timestamp>,
}

impl Life {
    pub fn unused(&self) -> Result<()> {
        if self.years.is_some() || self.end.is_some() {
            return Err(ControlError::Invalid(
                "nothing is made that could end: leave out `years` and `endDate`".to_owned(),
            ));
        }
        Ok(())
    }

    fn end(&self, now: Timestamp) -> Result<Timestamp> {
        let end = match (self.years, self.end) {
            (Some(_), Some(_)) => {
                return Err(ControlError::Invalid("name `years` or `endDate`, and not both".to_owned()));
            }
            (None, Some(end)) => end,
            (years, None) => match years.unwrap_or(1) {
                years @ 1..=99 => now.plus(YEAR * years),
                _ => return Err(ControlError::Invalid("`years` is 1 to 99".to_owned())),
            },
        };
        if end <= now || end > now.plus(YEAR * 100) {
            return Err(ControlError::Invalid("the end date is in the future, and within a hundred years".to_owned()));
        }
        Ok(end)
    }
}

/// A secret, or with `certificate` (PEM, without its key) a certificate. Without `append` the application's others of the
/// same kind end: a reset.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCredential {
    #[serde(default)]
    pub display_name: String,
    #[serde(default)]
    pub append: bool,
    pub years: Option<u32>,
    #[schemars(with = "Option<String>")]
    pub end_date: Option<Timestamp>,
    pub certificate: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CredentialType {
    Secret,
    Certificate,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialView {
    pub key_id: Uuid,
    pub display_name: String,
    #[serde(rename = "type")]
    pub kind: CredentialType,
    #[schemars(with = "String")]
    pub start_date: Timestamp,
    #[schemars(with = "String")]
    pub end_date: Timestamp,
    /// How a secret begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// SHA-256 of a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbprint: Option<String>,
    /// Only in the answer to the call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl CredentialView {
    fn of(credential: &Resource<ClientCredential>) -> Self {
        let document = &credential.document;
        let (kind, hint, thumbprint) = match &document.proof {
            ClientProof::Secret { hint, .. } => (CredentialType::Secret, Some(hint.clone()), None),
            ClientProof::Certificate { thumbprint, .. } => {
                (CredentialType::Certificate, None, Some(thumbprint.clone()))
            }
        };
        Self {
            key_id: credential.id,
            display_name: document.display_name.clone(),
            kind,
            start_date: document.start,
            end_date: document.expires_at,
            hint,
            thumbprint,
            password: None,
        }
    }
}

/// A new credential with what signing in takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewCredentialView {
    pub app_id: Uuid,
    /// The tenant's GUID.
    pub tenant: Uuid,
    #[serde(flatten)]
    pub credential: CredentialView,
}

impl Control {
    /// What credentials that end opened ends at once.
    ///
    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Invalid`] for a certificate that cannot sign in, or a life that cannot be;
    /// [`ControlError::Conflict`] for an application of another tenant, or one with too many.
    pub async fn add_credential(
        &self,
        actor: &Actor,
        tenant: &str,
        application: &str,
        new: NewCredential,
    ) -> Result<NewCredentialView> {
        let (permit, tenant) = self.tenant_for(actor, M::ServicePrincipalWrite, tenant).await?;
        let principal = self.the_application_at_home(tenant.id, application).await?;
        self.may_become(actor, tenant.id, reference(&principal)).await?;
        names::text("the display name", &new.display_name)?;
        let life = Life { years: new.years, end: new.end_date };
        let (credential, view) = match &new.certificate {
            None => self.new_secret(principal.id, new.display_name, &life)?,
            Some(pem) => self.new_certificate(principal.id, new.display_name, pem, &life)?,
        };
        let there = self.all::<ClientCredential>(principal.id, |_| true).await?;
        let going: Vec<_> =
            there.iter().filter(|old| !new.append && CredentialView::of(old).kind == view.kind).collect();
        if there.len() - going.len() >= MOST {
            return Err(ControlError::Conflict(format!("an application has at most {MOST} credentials: delete some")));
        }
        let mut writes: Vec<_> = going.iter().map(|old| write::delete(old)).collect();
        writes.push(write::create(&credential)?);
        let before: Vec<_> = going.iter().map(|old| CredentialView::of(old)).collect();
        let detail = json!({"before": before, "after": CredentialView::of(&credential)});
        let operation = if new.append { "sp.credential.append" } else { "sp.credential.reset" };
        self.commit(&permit, actor, &writes, deed(operation, &principal, detail)).await?;
        Ok(NewCredentialView { app_id: principal.document.app_id, tenant: tenant.guid, credential: view })
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn credentials(
        &self,
        actor: &Actor,
        tenant: &str,
        application: &str,
        page: &Page,
    ) -> Result<Listed<CredentialView>> {
        let (_, tenant) = self.tenant_for(actor, M::ServicePrincipalRead, tenant).await?;
        let principal = self.the_application_at_home(tenant.id, application).await?;
        let listed = self.listed::<ClientCredential>(principal.id, page).await?;
        Ok(listed.map(|credential| CredentialView::of(&credential)))
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn delete_credential(&self, actor: &Actor, tenant: &str, application: &str, key: Uuid) -> Result<()> {
        let (permit, tenant) = self.tenant_for(actor, M::ServicePrincipalWrite, tenant).await?;
        let principal = self.the_application_at_home(tenant.id, application).await?;
        let credential = self.identified::<ClientCredential>(principal.id, key).await?;
        let credential =
            credential.ok_or_else(|| ControlError::NotFound(format!("the application has no credential `{key}`")))?;
        let detail = json!({"before": CredentialView::of(&credential)});
        let deed = deed("sp.credential.delete", &principal, detail);
        self.commit(&permit, actor, &[write::delete(&credential)], deed).await
    }

    /// Shown in the view, stored as its hash.
    pub(crate) fn new_secret(
        &self,
        owner: Uuid,
        display_name: String,
        life: &Life,
    ) -> Result<(Resource<ClientCredential>, CredentialView)> {
        const HINT: usize = 7;
        let now = self.clock.now();
        let value = new_password(&*self.random);
        let hint = value.chars().take(HINT).collect();
        let proof = ClientProof::Secret { hash: hex::encode(self.secrets.hash(&value)), hint };
        let document = ClientCredential { display_name, proof, start: now, expires_at: life.end(now)? };
        let credential = self.credential(owner, document);
        let view = CredentialView { password: Some(value), ..CredentialView::of(&credential) };
        Ok((credential, view))
    }

    /// It is good no longer than it says itself.
    fn new_certificate(
        &self,
        owner: Uuid,
        display_name: String,
        pem: &str,
        life: &Life,
    ) -> Result<(Resource<ClientCredential>, CredentialView)> {
        let now = self.clock.now();
        let certificate = Certificate::from_pem(pem).map_err(|error| ControlError::Invalid(error.to_string()))?;
        if certificate.not_after <= now {
            return Err(ControlError::Invalid("the certificate has expired".to_owned()));
        }
        let asked = if life.years.is_none() && life.end.is_none() { certificate.not_after } else { life.end(now)? };
        let document = ClientCredential {
            display_name: if display_name.is_empty() { certificate.subject.clone() } else { display_name },
            proof: certificate.proof(),
            start: certificate.not_before.max(now),
            expires_at: asked.min(certificate.not_after),
        };
        let credential = self.credential(owner, document);
        let view = CredentialView::of(&credential);
        Ok((credential, view))
    }

    /// Named by its own id.
    fn credential(&self, owner: Uuid, document: ClientCredential) -> Resource<ClientCredential> {
        let mut credential = self.fresh(owner, "", document);
        credential.name = credential.id.to_string();
        credential
    }
}
