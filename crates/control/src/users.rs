//! People: invited, or known through an outside provider.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shorepass_access::policy::ManagementAction as M;
use shorepass_core::Timestamp;
use shorepass_core::directory::{ExternalIdentity, Issuer, User};
use shorepass_identity::new_invitation;
use shorepass_store::resources::Resource;
use shorepass_store::rows::TenantRow;
use uuid::Uuid;

use crate::gate::shown;
use crate::principals::user_reference;
use crate::write::{self, Deed, Expected, Listed, Made, Page};
use crate::{Actor, Control, ControlError, Result, names};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewUser {
    pub user_name: String,
    pub display_name: Option<String>,
    pub enabled: Option<bool>,
    /// Whoever comes through an outside provider is not invited.
    pub external: Option<ExternalSubject>,
}

/// Who a provider says somebody, or which group of a provider something, is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalSubject {
    /// The name of a trusted issuer of the tenant.
    pub issuer: String,
    pub subject: String,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserPatch {
    pub display_name: Option<String>,
    pub enabled: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserState {
    /// Has no password yet.
    Invited,
    Active,
    /// Signs in through an outside provider.
    External,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    pub id: Uuid,
    pub user_name: String,
    pub display_name: String,
    pub enabled: bool,
    pub state: UserState,
    pub external: Option<ExternalSubject>,
    #[schemars(with = "String")]
    pub creation_date: Timestamp,
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    pub etag: String,
    /// Only in the answer to the call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Invitation>,
}

/// What lets somebody choose a password, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    pub secret: String,
    #[schemars(with = "String")]
    pub expires_at: Timestamp,
    /// Where it is accepted; the secret is behind the `#`, which no server sees.
    pub link: String,
}

impl Control {
    /// # Errors
    /// [`ControlError::Invalid`]; [`ControlError::Conflict`] for a name, or a provider's subject, that is taken.
    pub async fn create_user(&self, actor: &Actor, tenant: &str, new: NewUser) -> Result<Made<UserView>> {
        let (permit, tenant) = self.tenant_for(actor, M::UserWrite, tenant).await?;
        names::user(&new.user_name)?;
        let display_name = new.display_name.unwrap_or_else(|| new.user_name.clone());
        names::text("the display name", &display_name)?;
        let external = match &new.external {
            Some(external) => Some(self.external_identity(tenant.id, external).await?),
            None => None,
        };
        if let Some(there) = self.named::<User>(tenant.id, &new.user_name).await? {
            let same = there.document.external == external && there.document.display_name == display_name;
            if same && there.document.enabled == new.enabled.unwrap_or(true) {
                return Ok(Made { view: self.show_user(&there)?, new: false });
            }
            return Err(ControlError::Conflict(format!("the user `{}` exists already", there.name)));
        }
        if let Some(external) = &external {
            self.nobody_else(tenant.id, external)?;
        }
        let (secret, invitation) = new_invitation(&self.secrets, &*self.random, self.clock.now());
        let invited = external.is_none().then_some(invitation);
        let document = User {
            display_name,
            enabled: new.enabled.unwrap_or(true),
            password_hash: None,
            external,
            invitation: invited,
            epoch: 0,
        };
        let user = self.fresh(tenant.id, new.user_name, document);
        let mut view = self.show_user(&user)?;
        let deed = deed("user.create", &user, json!({"after": view}));
        self.commit(&permit, actor, &[write::create(&user)?], deed).await?;
        view.invitation = Self::invitation(actor, &tenant, &user, &secret);
        Ok(Made { view, new: true })
    }

    fn nobody_else(&self, tenant: Uuid, external: &ExternalIdentity) -> Result<()> {
        let other =
            self.directory.policy(|state| state.user_by_external(tenant, external).map(|user| user.name.clone()))?;
        match other {
            Some(name) => Err(ControlError::Conflict(format!("the user `{name}` is that subject already"))),
            None => Ok(()),
        }
    }

    /// # Errors
    /// The tenant's.
    pub async fn users(&self, actor: &Actor, tenant: &str, page: &Page) -> Result<Listed<UserView>> {
        let (_, tenant) = self.tenant_for(actor, M::UserRead, tenant).await?;
        let listed = self.listed::<User>(tenant.id, page).await?;
        let value = listed.value.iter().map(|user| self.show_user(user)).collect::<Result<_>>()?;
        Ok(Listed { value, next: listed.next })
    }

    /// By name or id.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn user(&self, actor: &Actor, tenant: &str, said: &str) -> Result<UserView> {
        let (_, tenant) = self.tenant_for(actor, M::UserRead, tenant).await?;
        self.show_user(&self.the_user(tenant.id, said).await?)
    }

    /// Disabling ends everything that was issued to the user, for good.
    ///
    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] for the last owner.
    pub async fn update_user(
        &self,
        actor: &Actor,
        tenant: &str,
        said: &str,
        patch: UserPatch,
        expected: Expected,
    ) -> Result<UserView> {
        let (permit, tenant) = self.tenant_for(actor, M::UserWrite, tenant).await?;
        let mut user = self.the_user(tenant.id, said).await?;
        expected.check(user.etag)?;
        let before = self.show_user(&user)?;
        if let Some(name) = patch.display_name {
            names::text("the display name", &name)?;
            user.document.display_name = name;
        }
        let enabled = patch.enabled.unwrap_or(user.document.enabled);
        if user.document.enabled && !enabled {
            self.not_the_last_owner(tenant.id, user_reference(&user)).await?;
            user.document.epoch += 1;
        }
        user.document.enabled = enabled;
        let detail = json!({"before": before, "after": self.show_user(&user)?});
        let write = [self.update(&user)?];
        self.commit(&permit, actor, &write, deed("user.update", &user, detail)).await?;
        self.show_user(&self.the_user(tenant.id, &user.id.to_string()).await?)
    }

    /// With memberships and roles.
    ///
    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] for the last owner.
    pub async fn delete_user(&self, actor: &Actor, tenant: &str, said: &str, expected: Expected) -> Result<()> {
        let (permit, tenant) = self.tenant_for(actor, M::UserDelete, tenant).await?;
        let user = self.the_user(tenant.id, said).await?;
        expected.check(user.etag)?;
        let mut writes = self.trail(tenant.id, user_reference(&user)).await?;
        writes.push(write::delete(&user));
        let deed = deed("user.delete", &user, json!({"before": self.show_user(&user)?}));
        self.commit(&permit, actor, &writes, deed).await
    }

    /// A new invitation; the one before ends. A password that was chosen goes on until the new one is.
    ///
    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] for who comes through a provider.
    pub async fn invite_user(&self, actor: &Actor, tenant: &str, said: &str) -> Result<UserView> {
        let (permit, tenant) = self.tenant_for(actor, M::UserWrite, tenant).await?;
        let mut user = self.the_user(tenant.id, said).await?;
        self.may_become(actor, tenant.id, user_reference(&user)).await?;
        if user.document.external.is_some() {
            return Err(ControlError::Conflict("the user signs in through an outside provider".to_owned()));
        }
        let (secret, invitation) = new_invitation(&self.secrets, &*self.random, self.clock.now());
        user.document.invitation = Some(invitation);
        let write = [self.update(&user)?];
        self.commit(&permit, actor, &write, deed("user.invite", &user, json!(null))).await?;
        let mut view = self.show_user(&self.the_user(tenant.id, &user.id.to_string()).await?)?;
        view.invitation = Self::invitation(actor, &tenant, &user, &secret);
        Ok(view)
    }

    pub(crate) async fn the_user(&self, tenant: Uuid, said: &str) -> Result<Resource<User>> {
        let user = self.either::<User>(tenant, said).await?;
        user.ok_or_else(|| ControlError::NotFound(format!("there is no user `{}`", shown(said))))
    }

    /// The issuer by name, as documents hold it by id.
    pub(crate) async fn external_identity(&self, tenant: Uuid, said: &ExternalSubject) -> Result<ExternalIdentity> {
        let issuer = self.either::<Issuer>(tenant, &said.issuer).await?;
        let issuer = issuer.ok_or_else(|| {
            ControlError::Invalid(format!(
                "there is no trusted issuer `{}`: `shorepass federation create` makes one",
                shown(&said.issuer)
            ))
        })?;
        if said.subject.is_empty() || said.subject.len() > 1024 || said.subject.chars().any(char::is_control) {
            return Err(ControlError::Invalid("a subject has 1 to 1024 characters".to_owned()));
        }
        Ok(ExternalIdentity { issuer: issuer.id, subject: said.subject.clone() })
    }

    pub(crate) fn show_external(&self, external: Option<&ExternalIdentity>) -> Result<Option<ExternalSubject>> {
        let Some(external) = external else { return Ok(None) };
        let issuer = self.directory.policy(|state| state.issuer(external.issuer).map(|issuer| issuer.name.clone()))?;
        let issuer = issuer.unwrap_or_else(|| external.issuer.to_string());
        Ok(Some(ExternalSubject { issuer, subject: external.subject.clone() }))
    }

    fn show_user(&self, user: &Resource<User>) -> Result<UserView> {
        let document = &user.document;
        Ok(UserView {
            id: user.id,
            user_name: user.name.clone(),
            display_name: document.display_name.clone(),
            enabled: document.enabled,
            state: match (&document.external, &document.password_hash) {
                (Some(_), _) => UserState::External,
                (None, Some(_)) => UserState::Active,
                (None, None) => UserState::Invited,
            },
            external: self.show_external(document.external.as_ref())?,
            creation_date: user.created_at,
            updated_at: user.updated_at,
            etag: user.etag.to_string(),
            invitation: None,
        })
    }

    /// None for who is not invited.
    fn invitation(actor: &Actor, tenant: &TenantRow, user: &Resource<User>, secret: &str) -> Option<Invitation> {
        let expires_at = user.document.invitation.as_ref()?.expires_at?;
        let name: String = url::form_urlencoded::byte_serialize(user.name.as_bytes()).collect();
        let link = format!("{}/{}/invitation?user={name}#{secret}", actor.base, tenant.guid);
        Some(Invitation { secret: secret.to_owned(), expires_at, link })
    }
}

fn deed<'a>(operation: &'a str, user: &Resource<User>, detail: serde_json::Value) -> Deed<'a> {
    Deed { operation, registry: None, target: format!("user {}", user.name), detail }
}
