//! Outside issuers a tenant trusts: for federated credentials, and for people to sign in through.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use shorepass_access::policy::ManagementAction as M;
use shorepass_core::Timestamp;
use shorepass_core::directory::{Issuer, IssuerKeys, ProviderClient};
use shorepass_identity::{check_issuer, hide_client_secret};
use shorepass_store::resources::Resource;
use uuid::Uuid;

use crate::gate::shown;
use crate::write::{self, Deed, Expected, Listed, Made, Page};
use crate::{Actor, Control, ControlError, Result, names};

/// Issuers of one tenant: each sign-in by federation may look at all of them.
const MOST: i64 = 500;

/// Keys are found by discovery at the issuer, or at `discovery_url`, or are pinned with `jwks`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewIssuer {
    pub name: String,
    /// The `iss` claim, exactly.
    pub issuer: String,
    pub discovery_url: Option<String>,
    /// A JWKS document.
    pub jwks: Option<Value>,
    /// PEM of the CA its TLS is checked with, when it is not a public one.
    pub ca: Option<String>,
    pub sign_in: Option<NewSignIn>,
}

/// Our client at the provider: people sign in through it.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewSignIn {
    pub client_id: String,
    /// None for a public client.
    pub client_secret: Option<String>,
    /// The claim that lists somebody's groups.
    pub groups_claim: Option<String>,
}

/// A field that is null takes away what there is; one that is not there leaves it.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerPatch {
    #[serde(default, deserialize_with = "some")]
    #[schemars(with = "Option<String>")]
    pub discovery_url: Option<Option<String>>,
    #[serde(default, deserialize_with = "some")]
    #[schemars(with = "Option<Value>")]
    pub jwks: Option<Option<Value>>,
    #[serde(default, deserialize_with = "some")]
    #[schemars(with = "Option<String>")]
    pub ca: Option<Option<String>>,
    #[serde(default, deserialize_with = "some")]
    #[schemars(with = "Option<NewSignIn>")]
    pub sign_in: Option<Option<NewSignIn>>,
}

fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    Discovery,
    Pinned,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerView {
    pub id: Uuid,
    pub name: String,
    pub issuer: String,
    pub keys: KeySource,
    pub discovery_url: Option<String>,
    pub jwks: Option<Value>,
    pub ca: Option<String>,
    pub sign_in: Option<SignInView>,
    #[schemars(with = "String")]
    pub creation_date: Timestamp,
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    pub etag: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignInView {
    pub client_id: String,
    /// It has a secret, which is not shown.
    pub confidential: bool,
    pub groups_claim: Option<String>,
}

impl IssuerView {
    fn of(issuer: &Resource<Issuer>) -> Self {
        let document = &issuer.document;
        let (keys, discovery_url, jwks) = match &document.keys {
            IssuerKeys::Discovery { url } => (KeySource::Discovery, url.clone(), None),
            IssuerKeys::Pinned { jwks } => (KeySource::Pinned, None, serde_json::from_str(jwks).ok()),
        };
        Self {
            id: issuer.id,
            name: issuer.name.clone(),
            issuer: document.issuer.clone(),
            keys,
            discovery_url,
            jwks,
            ca: document.ca.clone(),
            sign_in: document.sign_in.as_ref().map(|client| SignInView {
                client_id: client.client_id.clone(),
                confidential: client.client_secret.is_some(),
                groups_claim: client.groups_claim.clone(),
            }),
            creation_date: issuer.created_at,
            updated_at: issuer.updated_at,
            etag: issuer.etag.to_string(),
        }
    }
}

impl Control {
    /// # Errors
    /// [`ControlError::Invalid`] for what cannot work; [`ControlError::Conflict`] for a name or an `iss` that is taken.
    pub async fn create_issuer(&self, actor: &Actor, tenant: &str, new: NewIssuer) -> Result<Made<IssuerView>> {
        let (permit, tenant) = self.tenant_for(actor, M::IssuerWrite, tenant).await?;
        names::object("issuer", &new.name)?;
        let sign_in = new.sign_in.map(|client| self.hide(client)).transpose()?;
        let keys = keys_of(new.discovery_url, new.jwks)?;
        let document = Issuer { issuer: new.issuer, keys, ca: new.ca, sign_in };
        check(&document)?;
        if let Some(there) = self.named::<Issuer>(tenant.id, &new.name).await? {
            // A client's secret is hidden anew each time, so that with one nothing is ever the same.
            if there.document == document {
                return Ok(Made { view: IssuerView::of(&there), new: false });
            }
            return Err(ControlError::Conflict(format!("the issuer `{}` exists already", there.name)));
        }
        let other = self
            .directory
            .policy(|state| state.issuer_by_iss(tenant.id, &document.issuer).map(|issuer| issuer.name.clone()))?;
        if let Some(other) = other {
            return Err(ControlError::Conflict(format!("`{other}` is that issuer already")));
        }
        if self.store.count_resources("issuer", tenant.id).await? >= MOST {
            return Err(ControlError::Conflict(format!("a tenant trusts at most {MOST} issuers: delete one")));
        }
        let issuer = self.fresh(tenant.id, new.name, document);
        let view = IssuerView::of(&issuer);
        let deed = deed("issuer.create", &issuer, json!({"after": view}));
        self.commit(&permit, actor, &[write::create(&issuer)?], deed).await?;
        Ok(Made { view, new: true })
    }

    /// # Errors
    /// The tenant's.
    pub async fn issuers(&self, actor: &Actor, tenant: &str, page: &Page) -> Result<Listed<IssuerView>> {
        let (_, tenant) = self.tenant_for(actor, M::IssuerRead, tenant).await?;
        Ok(self.listed::<Issuer>(tenant.id, page).await?.map(|issuer| IssuerView::of(&issuer)))
    }

    /// By name or id.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn issuer(&self, actor: &Actor, tenant: &str, said: &str) -> Result<IssuerView> {
        let (_, tenant) = self.tenant_for(actor, M::IssuerRead, tenant).await?;
        Ok(IssuerView::of(&self.the_issuer(tenant.id, said).await?))
    }

    /// Its `iss` never changes: another one is another issuer.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Invalid`].
    pub async fn update_issuer(
        &self,
        actor: &Actor,
        tenant: &str,
        said: &str,
        patch: IssuerPatch,
        expected: Expected,
    ) -> Result<IssuerView> {
        let (permit, tenant) = self.tenant_for(actor, M::IssuerWrite, tenant).await?;
        let mut issuer = self.the_issuer(tenant.id, said).await?;
        expected.check(issuer.etag)?;
        let before = IssuerView::of(&issuer);
        if patch.discovery_url.is_some() || patch.jwks.is_some() {
            issuer.document.keys = keys_of(patch.discovery_url.flatten(), patch.jwks.flatten())?;
        }
        if let Some(ca) = patch.ca {
            issuer.document.ca = ca;
        }
        if let Some(sign_in) = patch.sign_in {
            issuer.document.sign_in = sign_in.map(|client| self.hide(client)).transpose()?;
        }
        check(&issuer.document)?;
        let detail = json!({"before": before, "after": IssuerView::of(&issuer)});
        let write = [self.update(&issuer)?];
        self.commit(&permit, actor, &write, deed("issuer.update", &issuer, detail)).await?;
        Ok(IssuerView::of(&self.the_issuer(tenant.id, &issuer.id.to_string()).await?))
    }

    /// Those who came through it are cut off at once.
    ///
    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] while a federated credential names it: an issuer of the same
    /// `iss` made later would revive that.
    pub async fn delete_issuer(&self, actor: &Actor, tenant: &str, said: &str, expected: Expected) -> Result<()> {
        let (permit, tenant) = self.tenant_for(actor, M::IssuerDelete, tenant).await?;
        let issuer = self.the_issuer(tenant.id, said).await?;
        expected.check(issuer.etag)?;
        if let Some(user) = self.trusting(tenant.id, &issuer.document.issuer).await? {
            return Err(ControlError::Conflict(format!(
                "`{user}` has a federated credential of this issuer: delete that first"
            )));
        }
        let deed = deed("issuer.delete", &issuer, json!({"before": IssuerView::of(&issuer)}));
        self.commit(&permit, actor, &[write::delete(&issuer)], deed).await
    }

    /// Somebody who has a federated credential of that issuer.
    async fn trusting(&self, tenant: Uuid, iss: &str) -> Result<Option<String>> {
        use shorepass_core::directory::{ManagedIdentity, ServicePrincipal};
        let applications = self.all::<ServicePrincipal>(tenant, |_| true).await?;
        let identities = self.all::<ManagedIdentity>(tenant, |_| true).await?;
        let owners = applications
            .iter()
            .map(|row| (row.id, &row.document.display_name))
            .chain(identities.iter().map(|row| (row.id, &row.name)));
        Ok(self.directory.policy(|state| {
            let mut owners = owners;
            let found =
                owners.find(|(id, _)| state.federated_credentials(*id).any(|trust| trust.document.issuer == iss));
            found.map(|(_, name)| name.clone())
        })?)
    }

    fn hide(&self, new: NewSignIn) -> Result<ProviderClient> {
        names::text("the client id", &new.client_id)?;
        if let Some(claim) = &new.groups_claim {
            names::text("the groups claim", claim)?;
        }
        let hidden = match &new.client_secret {
            None => None,
            Some(secret) => {
                let hidden = hide_client_secret(&self.secrets, &*self.random, secret);
                Some(hidden.ok_or_else(|| ControlError::Invalid("the client secret cannot be stored".to_owned()))?)
            }
        };
        Ok(ProviderClient { client_id: new.client_id, client_secret: hidden, groups_claim: new.groups_claim })
    }

    async fn the_issuer(&self, tenant: Uuid, said: &str) -> Result<Resource<Issuer>> {
        let issuer = self.either::<Issuer>(tenant, said).await?;
        issuer.ok_or_else(|| ControlError::NotFound(format!("there is no issuer `{}`", shown(said))))
    }
}

fn keys_of(discovery_url: Option<String>, jwks: Option<Value>) -> Result<IssuerKeys> {
    match (discovery_url, jwks) {
        (Some(_), Some(_)) => {
            Err(ControlError::Invalid("name a `discoveryUrl` or pinned `jwks`, and not both".to_owned()))
        }
        (url, None) => Ok(IssuerKeys::Discovery { url }),
        (None, Some(jwks)) => Ok(IssuerKeys::Pinned { jwks: jwks.to_string() }),
    }
}

fn check(issuer: &Issuer) -> Result<()> {
    check_issuer(issuer).map_err(|error| ControlError::Invalid(error.to_string()))
}

fn deed<'a>(operation: &'a str, issuer: &Resource<Issuer>, detail: Value) -> Deed<'a> {
    Deed { operation, registry: None, target: format!("issuer {}", issuer.name), detail }
}
