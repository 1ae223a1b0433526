//! What is valid for minutes: device codes, authorization codes, and sign-ins on their way through an outside provider.
//! The store knows them by the keyed hash of their secret only.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shorepass_core::{CredentialKind, Timestamp};
use shorepass_store::resources::GrantRow;
use uuid::Uuid;

use super::error::OAuthError;
use super::provider::Provider;

/// A kind of grant. `KIND` names it in the store and never changes.
pub trait Grant: Serialize + DeserializeOwned + Send {
    const KIND: &'static str;
    const LIFE: Duration;
}

/// Somebody who has signed in, on the way to his tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    pub user: Uuid,
    pub kind: CredentialKind,
    /// The user's, when he signed in.
    pub epoch: i64,
    pub not_after: Option<Timestamp>,
}

/// An authorization code (RFC 6749, 4.1).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Code {
    pub who: SignedIn,
    pub client_id: String,
    pub redirect_uri: String,
    pub scope: String,
    pub nonce: Option<String>,
    /// `code_challenge`, of method S256.
    pub challenge: String,
}

/// A device code (RFC 8628).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    pub client_id: String,
    pub scope: String,
    /// The tenant's GUID, when the device named one.
    pub tenant: Option<Uuid>,
    pub state: DeviceState,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    Pending,
    Approved(SignedIn),
    Denied,
}

/// The code a person types, and the device it stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserCode {
    /// [`Provider::grant_key`] of the device's own code.
    pub device: Vec<u8>,
}

/// A sign-in that is with an outside provider (OpenID Connect Core 1.0, 3.1).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Away {
    /// What is done when the person comes back: a sealed [`super::signing_in::Request`].
    pub request: String,
    /// The issuer's id in the directory.
    pub issuer: Uuid,
    pub nonce: String,
    pub verifier: String,
    pub redirect_uri: String,
}

impl Grant for Code {
    const KIND: &'static str = "authorization_code";
    const LIFE: Duration = Duration::from_secs(120);
}

impl Grant for Device {
    const KIND: &'static str = "device_code";
    const LIFE: Duration = Duration::from_secs(15 * 60);
}

impl Grant for UserCode {
    const KIND: &'static str = "user_code";
    const LIFE: Duration = Device::LIFE;
}

impl Grant for Away {
    const KIND: &'static str = "sign_in_state";
    const LIFE: Duration = Duration::from_secs(10 * 60);
}

impl Provider {
    /// `false` when there is one of that secret already.
    pub(super) async fn put_grant<G: Grant>(&self, secret: &str, grant: &G) -> Result<bool, OAuthError> {
        let row = GrantRow {
            kind: G::KIND.to_owned(),
            key_hash: self.grant_key::<G>(secret),
            body: serde_json::to_string(grant).map_err(|_| OAuthError::internal())?,
            version: 1,
            expires_at: self.clock.now().plus(G::LIFE),
        };
        Ok(self.store.put_grant(&row).await?)
    }

    /// The grant, once.
    pub(super) async fn take_grant<G: Grant>(&self, secret: &str) -> Result<Option<G>, OAuthError> {
        let row = self.store.take_grant(G::KIND, &self.grant_key::<G>(secret), self.clock.now()).await?;
        row.map(|row| read(&row)).transpose()
    }

    /// The grant of this key, which stays.
    pub(super) async fn read_grant<G: Grant>(&self, key: &[u8]) -> Result<Option<(G, GrantRow)>, OAuthError> {
        let row = self.store.read_grant(G::KIND, key, self.clock.now()).await?;
        row.map(|row| Ok((read(&row)?, row))).transpose()
    }

    /// `false` when it was changed, taken or had expired meanwhile.
    pub(super) async fn update_grant<G: Grant>(&self, row: GrantRow, grant: &G) -> Result<bool, OAuthError> {
        let body = serde_json::to_string(grant).map_err(|_| OAuthError::internal())?;
        Ok(self.store.update_grant(&GrantRow { body, ..row }, self.clock.now()).await?)
    }

    /// What the store knows a grant by.
    pub(super) fn grant_key<G: Grant>(&self, secret: &str) -> Vec<u8> {
        self.secrets.hash(&format!("grant\0{}\0{secret}", G::KIND)).to_vec()
    }
}

fn read<G: Grant>(row: &GrantRow) -> Result<G, OAuthError> {
    serde_json::from_str(&row.body).map_err(|_| {
        tracing::error!(kind = row.kind, "a stored grant cannot be read");
        OAuthError::internal()
    })
}
