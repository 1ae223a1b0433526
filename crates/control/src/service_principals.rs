//! Applications: their presence in tenants, and consent to those of other tenants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shorepass_access::policy::ManagementAction as M;
use shorepass_core::Timestamp;
use shorepass_core::directory::{ClientCredential, FederatedCredential, PrincipalKind, PrincipalRef, ServicePrincipal};
use shorepass_store::resources::{Resource, Write};
use shorepass_store::rows::TenantRow;
use uuid::Uuid;

use crate::credentials::{CredentialView, Life};
use crate::gate::{Allowed, shown};
use crate::write::{self, Deed, Expected, Listed, Made, Page};
use crate::{Actor, Control, ControlError, Result, names};

/// A new application (`display_name`), or consent to one of another tenant (`app_id`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewServicePrincipal {
    pub display_name: Option<String>,
    pub app_id: Option<Uuid>,
    /// Other tenants may consent to it.
    pub multi_tenant: Option<bool>,
    /// `false`: no secret yet.
    pub create_password: Option<bool>,
    /// How long the secret is good; 1 when nothing is said.
    pub years: Option<u32>,
    #[schemars(with = "Option<String>")]
    pub end_date: Option<Timestamp>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServicePrincipalPatch {
    pub display_name: Option<String>,
    pub enabled: Option<bool>,
    pub multi_tenant: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServicePrincipalView {
    pub id: Uuid,
    /// The user name to sign in with.
    pub app_id: Uuid,
    pub display_name: String,
    pub enabled: bool,
    pub multi_tenant: bool,
    /// The GUID of the tenant its credentials are kept in.
    pub home_tenant_id: Option<Uuid>,
    /// It is another tenant's application, here by consent.
    pub consented: bool,
    #[schemars(with = "String")]
    pub creation_date: Timestamp,
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    pub etag: String,
    /// Only in the answer to the call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialView>,
}

impl ServicePrincipalView {
    fn of(principal: &Resource<ServicePrincipal>, tenants: &[TenantRow]) -> Self {
        let document = &principal.document;
        Self {
            id: principal.id,
            app_id: document.app_id,
            display_name: document.display_name.clone(),
            enabled: document.enabled,
            multi_tenant: document.multi_tenant,
            home_tenant_id: tenants.iter().find(|tenant| tenant.id == document.home_tenant).map(|tenant| tenant.guid),
            consented: !at_home(principal),
            creation_date: principal.created_at,
            updated_at: principal.updated_at,
            etag: principal.etag.to_string(),
            credential: None,
        }
    }
}

impl Control {
    /// # Errors
    /// [`ControlError::Invalid`]; [`ControlError::Conflict`] for a display name that another application has;
    /// [`ControlError::NotFound`] for an application that cannot be consented to.
    pub async fn create_service_principal(
        &self,
        actor: &Actor,
        tenant: &str,
        new: NewServicePrincipal,
    ) -> Result<Made<ServicePrincipalView>> {
        let (permit, tenant) = self.tenant_for(actor, M::ServicePrincipalWrite, tenant).await?;
        match (new.app_id, &new.display_name) {
            (Some(app_id), None) => {
                let more = new.multi_tenant.is_some() || new.create_password.is_some();
                if more || new.years.is_some() || new.end_date.is_some() {
                    let text =
                        "an application's settings and credentials are kept in its own tenant: name its `appId` alone";
                    return Err(ControlError::Invalid(text.to_owned()));
                }
                self.consent(permit, actor, &tenant, app_id).await
            }
            (None, Some(name)) => self.create_application(permit, actor, &tenant, name.clone(), &new).await,
            _ => Err(ControlError::Invalid(
                "name a `displayName` for a new application, or the `appId` of another tenant's".to_owned(),
            )),
        }
    }

    async fn create_application(
        &self,
        permit: Allowed,
        actor: &Actor,
        tenant: &TenantRow,
        display_name: String,
        new: &NewServicePrincipal,
    ) -> Result<Made<ServicePrincipalView>> {
        names::text("the display name", &display_name)?;
        if display_name.trim().is_empty() {
            return Err(ControlError::Invalid("the display name is empty".to_owned()));
        }
        let multi_tenant = new.multi_tenant.unwrap_or(false);
        let tenants = self.store.tenants().await?;
        let namesakes = self
            .all::<ServicePrincipal>(tenant.id, |other| {
                at_home(other) && other.document.display_name.eq_ignore_ascii_case(&display_name)
            })
            .await?;
        if let Some(there) = namesakes.first() {
            if there.document.multi_tenant == multi_tenant {
                return Ok(Made { view: ServicePrincipalView::of(there, &tenants), new: false });
            }
            return Err(ControlError::Conflict(format!(
                "the application `{}` exists already: `shorepass sp update` changes it",
                shown(&display_name)
            )));
        }
        let app_id = self.random_id();
        let document =
            ServicePrincipal { app_id, display_name, enabled: true, home_tenant: tenant.id, multi_tenant, epoch: 0 };
        let principal = self.fresh(tenant.id, app_id.to_string(), document);
        let mut writes = vec![write::create(&principal)?];
        let mut view = ServicePrincipalView::of(&principal, &tenants);
        let detail = json!({"after": view});
        let life = Life { years: new.years, end: new.end_date };
        if new.create_password == Some(false) {
            life.unused()?;
        } else {
            let (secret, shown) = self.new_secret(principal.id, String::new(), &life)?;
            writes.push(write::create(&secret)?);
            view.credential = Some(shown);
        }
        self.commit(&permit, actor, &writes, deed("sp.create", &principal, detail)).await?;
        Ok(Made { view, new: true })
    }

    /// Whether the application is not there or not open to other tenants cannot be told apart.
    async fn consent(
        &self,
        permit: Allowed,
        actor: &Actor,
        tenant: &TenantRow,
        app_id: Uuid,
    ) -> Result<Made<ServicePrincipalView>> {
        let tenants = self.store.tenants().await?;
        if let Some(there) = self.named::<ServicePrincipal>(tenant.id, &app_id.to_string()).await? {
            return Ok(Made { view: ServicePrincipalView::of(&there, &tenants), new: false });
        }
        let home = self.directory.policy(|state| {
            let mut all = state.service_principals_of_app(app_id);
            all.find(|principal| at_home(principal) && principal.document.multi_tenant).cloned()
        })?;
        let home = home.ok_or_else(|| {
            ControlError::NotFound(format!("there is no application `{app_id}` that this tenant could consent to"))
        })?;
        let document = ServicePrincipal {
            app_id,
            display_name: home.document.display_name.clone(),
            enabled: true,
            home_tenant: home.parent,
            multi_tenant: true,
            epoch: 0,
        };
        let principal = self.fresh(tenant.id, app_id.to_string(), document);
        let view = ServicePrincipalView::of(&principal, &tenants);
        let deed = deed("sp.consent", &principal, json!({"after": view}));
        self.commit(&permit, actor, &[write::create(&principal)?], deed).await?;
        Ok(Made { view, new: true })
    }

    /// # Errors
    /// The tenant's.
    pub async fn service_principals(
        &self,
        actor: &Actor,
        tenant: &str,
        display_name: Option<&str>,
        page: &Page,
    ) -> Result<Listed<ServicePrincipalView>> {
        let (_, tenant) = self.tenant_for(actor, M::ServicePrincipalRead, tenant).await?;
        let tenants = self.store.tenants().await?;
        let listed = match display_name {
            None => self.listed::<ServicePrincipal>(tenant.id, page).await?,
            Some(wanted) => {
                let all = self
                    .all::<ServicePrincipal>(tenant.id, |sp| sp.document.display_name.eq_ignore_ascii_case(wanted))
                    .await?;
                Listed::page(all, page, |principal| principal.name.clone())
            }
        };
        Ok(listed.map(|principal| ServicePrincipalView::of(&principal, &tenants)))
    }

    /// By application id or object id.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn service_principal(&self, actor: &Actor, tenant: &str, said: &str) -> Result<ServicePrincipalView> {
        let (_, tenant) = self.tenant_for(actor, M::ServicePrincipalRead, tenant).await?;
        let principal = self.the_application(tenant.id, said).await?;
        Ok(ServicePrincipalView::of(&principal, &self.store.tenants().await?))
    }

    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] for what is decided in its home tenant.
    pub async fn update_service_principal(
        &self,
        actor: &Actor,
        tenant: &str,
        said: &str,
        patch: ServicePrincipalPatch,
        expected: Expected,
    ) -> Result<ServicePrincipalView> {
        let (permit, tenant) = self.tenant_for(actor, M::ServicePrincipalWrite, tenant).await?;
        let mut principal = self.the_application(tenant.id, said).await?;
        expected.check(principal.etag)?;
        let tenants = self.store.tenants().await?;
        let before = ServicePrincipalView::of(&principal, &tenants);
        if !at_home(&principal) && (patch.display_name.is_some() || patch.multi_tenant.is_some()) {
            return Err(elsewhere("name and reach are"));
        }
        if let Some(name) = patch.display_name {
            names::text("the display name", &name)?;
            principal.document.display_name = name;
        }
        principal.document.multi_tenant = patch.multi_tenant.unwrap_or(principal.document.multi_tenant);
        let enabled = patch.enabled.unwrap_or(principal.document.enabled);
        if principal.document.enabled && !enabled {
            self.not_the_last_owner(tenant.id, reference(&principal)).await?;
            principal.document.epoch += 1;
        }
        principal.document.enabled = enabled;
        let detail = json!({"before": before, "after": ServicePrincipalView::of(&principal, &tenants)});
        let write = [self.update(&principal)?];
        self.commit(&permit, actor, &write, deed("sp.update", &principal, detail)).await?;
        let principal = self.the_application(tenant.id, said).await?;
        Ok(ServicePrincipalView::of(&principal, &tenants))
    }

    /// With credentials, memberships and roles. Of an application's own tenant's, everywhere: the application is gone; of
    /// another's, here: the consent is revoked.
    ///
    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] for the last owner.
    pub async fn delete_service_principal(
        &self,
        actor: &Actor,
        tenant: &str,
        said: &str,
        expected: Expected,
    ) -> Result<()> {
        let (permit, tenant) = self.tenant_for(actor, M::ServicePrincipalDelete, tenant).await?;
        let principal = self.the_application(tenant.id, said).await?;
        expected.check(principal.etag)?;
        let mut writes = self.trail(tenant.id, reference(&principal)).await?;
        writes.push(write::delete(&principal));
        let operation = if at_home(&principal) {
            writes.extend(self.elsewhere(&principal).await?);
            writes.extend(self.proofs_of(principal.id).await?);
            "sp.delete"
        } else {
            "sp.revoke-consent"
        };
        let detail = json!({"before": ServicePrincipalView::of(&principal, &self.store.tenants().await?)});
        self.commit(&permit, actor, &writes, deed(operation, &principal, detail)).await
    }

    /// The application's presence in other tenants. Their last owner is theirs to keep: an application that is gone owns
    /// nothing.
    pub(crate) async fn elsewhere(&self, home: &Resource<ServicePrincipal>) -> Result<Vec<Write>> {
        let others = self.directory.policy(|state| {
            let all = state.service_principals_of_app(home.document.app_id);
            all.filter(|other| other.id != home.id).cloned().collect::<Vec<_>>()
        })?;
        let mut writes = Vec::new();
        for other in others {
            writes.extend(self.remains(other.parent, reference(&other)).await?);
            writes.push(Write::Delete { id: other.id, etag: None });
        }
        Ok(writes)
    }

    /// Secrets, certificates and federated credentials.
    pub(crate) async fn proofs_of(&self, owner: Uuid) -> Result<Vec<Write>> {
        let credentials = self.all::<ClientCredential>(owner, |_| true).await?;
        let trusts = self.all::<FederatedCredential>(owner, |_| true).await?;
        Ok(credentials.iter().map(write::delete).chain(trusts.iter().map(write::delete)).collect())
    }

    pub(crate) async fn the_application(&self, tenant: Uuid, said: &str) -> Result<Resource<ServicePrincipal>> {
        let missing = || ControlError::NotFound(format!("there is no service principal `{}`", shown(said)));
        let id: Uuid = said.parse().map_err(|_| missing())?;
        if let Some(found) = self.named::<ServicePrincipal>(tenant, &id.to_string()).await? {
            return Ok(found);
        }
        self.identified::<ServicePrincipal>(tenant, id).await?.ok_or_else(missing)
    }

    /// Where its credentials are kept.
    pub(crate) async fn the_application_at_home(&self, tenant: Uuid, said: &str) -> Result<Resource<ServicePrincipal>> {
        let principal = self.the_application(tenant, said).await?;
        if at_home(&principal) { Ok(principal) } else { Err(elsewhere("credentials are")) }
    }

    /// A random GUID: an application's id tells nothing of when it was made.
    pub(crate) fn random_id(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

fn elsewhere(what: &str) -> ControlError {
    ControlError::Conflict(format!("the application is another tenant's, and its {what} decided there"))
}

fn at_home(principal: &Resource<ServicePrincipal>) -> bool {
    principal.document.home_tenant == principal.parent
}

pub(crate) fn reference(principal: &Resource<ServicePrincipal>) -> PrincipalRef {
    PrincipalRef { kind: PrincipalKind::ServicePrincipal, id: principal.id }
}

pub(crate) fn deed<'a>(
    operation: &'a str,
    principal: &Resource<ServicePrincipal>,
    detail: serde_json::Value,
) -> Deed<'a> {
    Deed { operation, registry: None, target: format!("sp {}", principal.document.app_id), detail }
}
