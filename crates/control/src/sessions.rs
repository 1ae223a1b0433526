//! Sessions the local operator opens without a password, and the keys that sign them.

use serde_json::{Value, json};
use shorepass_access::policy::ManagementAction as M;
use shorepass_core::{CredentialKind, RegistryName, new_id};
use shorepass_identity::KeyInfo;
use shorepass_identity::token::{Binding, Claims, GrantType, ISSUER, REFRESH_LIFE, VERSION};

use crate::{Actor, Control, Result};

/// A refresh token made for the local operator.
#[derive(Debug, Clone)]
pub struct OperatorSession {
    pub refresh_token: String,
    /// Seconds.
    pub expires_in: u64,
}

impl Control {
    /// A refresh token with which the local operator signs in to a registry. `audience` is its login server, as the
    /// caller reaches it.
    ///
    /// # Errors
    /// [`crate::ControlError::NotFound`].
    pub async fn operator_session(
        &self,
        actor: &Actor,
        name: &RegistryName,
        audience: &str,
    ) -> Result<OperatorSession> {
        let permit = self.allow_server(actor, M::RegistryListCredentials)?;
        let record = self.find(name).await?;
        let now = self.clock.now();
        let principal = permit.principal().clone();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: audience.to_owned(),
            sub: principal.id(),
            jti: new_id(&*self.clock, &*self.random),
            iat: now.seconds(),
            nbf: now.seconds(),
            exp: now.plus(REFRESH_LIFE).seconds(),
            version: VERSION.to_owned(),
            grant_type: GrantType::RefreshToken,
            tenant: None,
            access: None,
            shorepass: Binding {
                registry: record.registry.id,
                principal,
                credential: None,
                kind: CredentialKind::Socket,
                epoch: record.registry.admin_epoch,
                issued_ms: now.millis(),
            },
        };
        let refresh_token = self.keys.sign(&claims)?;
        self.audit(actor, "registry.login", Some(name), None, json!({"loginServer": audience})).await?;
        Ok(OperatorSession { refresh_token, expires_in: REFRESH_LIFE.as_secs() })
    }

    /// The operator's alone.
    ///
    /// # Errors
    /// [`crate::ControlError::Forbidden`].
    pub fn signing_keys(&self, actor: &Actor) -> Result<Vec<KeyInfo>> {
        self.allow_server(actor, M::TenantRead)?;
        Ok(self.keys.list())
    }

    /// Adds a signing key; the others go on being accepted until what they signed has expired.
    ///
    /// # Errors
    /// The store.
    pub async fn rotate_keys(&self, actor: &Actor) -> Result<Vec<KeyInfo>> {
        self.allow_server(actor, M::TenantWrite)?;
        self.keys.rotate().await?;
        self.audit(actor, "keys.rotate", None, None, Value::Null).await?;
        Ok(self.keys.list())
    }
}
