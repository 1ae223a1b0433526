//! Repository tokens as they are asked for and shown: the words of `az acr token`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shorepass_core::directory::RepositoryToken;
use shorepass_core::{RegistryName, Timestamp};
use shorepass_store::resources::Resource;
use uuid::Uuid;

use super::passwords::TokenPasswordName;

/// Exactly one of `scope_map` and `repositories`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewToken {
    pub name: String,
    pub scope_map: Option<String>,
    pub repositories: Option<Vec<RepositoryActions>>,
    pub status: Option<TokenStatus>,
    /// `false`: none yet.
    pub passwords: Option<bool>,
    #[schemars(with = "Option<String>")]
    pub expiry: Option<Timestamp>,
    pub expiration_in_days: Option<u32>,
}

/// What may be done in one repository, in those below a name (`team/*`), or in all (`*`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepositoryActions {
    pub name: String,
    /// `content/read`, `content/write`, `content/delete`, `metadata/read`, `metadata/write`
    pub actions: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenStatus {
    Enabled,
    Disabled,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenPatch {
    pub status: Option<TokenStatus>,
    pub scope_map: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    pub id: Uuid,
    pub name: String,
    pub registry: String,
    /// Null when the map is gone: the token then opens nothing.
    pub scope_map: Option<String>,
    pub status: TokenStatus,
    #[schemars(with = "String")]
    pub creation_date: Timestamp,
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    pub etag: String,
    pub credentials: TokenCredentials,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenCredentials {
    pub username: String,
    pub passwords: Vec<TokenPasswordView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenPasswordView {
    pub name: TokenPasswordName,
    #[schemars(with = "String")]
    pub creation_time: Timestamp,
    #[schemars(with = "Option<String>")]
    pub expiry: Option<Timestamp>,
    /// Only in the answer to the call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl TokenView {
    pub(super) fn of(token: &Resource<RepositoryToken>, registry: &RegistryName, map: Option<String>) -> Self {
        Self {
            id: token.id,
            name: token.name.clone(),
            registry: registry.to_string(),
            scope_map: map,
            status: if token.document.enabled { TokenStatus::Enabled } else { TokenStatus::Disabled },
            creation_date: token.created_at,
            updated_at: token.updated_at,
            etag: token.etag.to_string(),
            credentials: TokenCredentials { username: token.name.clone(), passwords: passwords_of(token) },
        }
    }

    pub(super) fn with_values(mut self, made: &[(TokenPasswordName, String)]) -> Self {
        fill(&mut self.credentials.passwords, made);
        self
    }
}

pub(super) fn passwords_of(token: &Resource<RepositoryToken>) -> Vec<TokenPasswordView> {
    let named = |name: TokenPasswordName| {
        let password = token.document.passwords.iter().find(|password| password.slot == name.slot())?;
        Some(TokenPasswordView { name, creation_time: password.created_at, expiry: password.expires_at, value: None })
    };
    TokenPasswordName::BOTH.into_iter().filter_map(named).collect()
}

pub(super) fn fill(passwords: &mut [TokenPasswordView], made: &[(TokenPasswordName, String)]) {
    for password in passwords {
        password.value = made.iter().find(|(name, _)| *name == password.name).map(|(_, value)| value.clone());
    }
}
