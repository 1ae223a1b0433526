//! A token's two passwords: each can be made anew, with an end of its own, while the other goes on.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shorepass_access::policy::ManagementAction as M;
use shorepass_core::directory::{RepositoryToken, TokenPassword};
use shorepass_core::{RegistryName, Timestamp, new_id};
use shorepass_identity::new_password;
use shorepass_store::resources::Resource;
use shorepass_store::rows::RegistryRecord;

use super::deed;
use super::view::{NewToken, TokenPasswordView, fill, passwords_of};
use crate::gate::Place;
use crate::{Actor, Control, ControlError, Result};

/// In the words of `az acr token credential`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenPasswordName {
    Password1,
    Password2,
}

impl TokenPasswordName {
    pub const BOTH: [Self; 2] = [Self::Password1, Self::Password2];

    pub(super) fn slot(self) -> u8 {
        match self {
            Self::Password1 => 1,
            Self::Password2 => 2,
        }
    }
}

impl std::str::FromStr for TokenPasswordName {
    type Err = ControlError;
    fn from_str(input: &str) -> Result<Self> {
        match input {
            "password1" => Ok(Self::Password1),
            "password2" => Ok(Self::Password2),
            _ => Err(ControlError::NotFound("a token's passwords are `password1` and `password2`".to_owned())),
        }
    }
}

/// Which to make anew, both when none is named, and until when they are good, for ever when nothing is said.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewTokenPasswords {
    pub name: Option<TokenPasswordName>,
    #[schemars(with = "Option<String>")]
    pub expiry: Option<Timestamp>,
    pub expiration_in_days: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenPasswords {
    pub username: String,
    /// Those that were made, with their values.
    pub passwords: Vec<TokenPasswordView>,
}

type Values = Vec<(TokenPasswordName, String)>;

impl Control {
    /// What the old passwords of these names opened ends at once.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Invalid`] for an end that has passed.
    pub async fn generate_token_passwords(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        token: &str,
        new: NewTokenPasswords,
    ) -> Result<TokenPasswords> {
        let (permit, record) = self.registry_for(actor, M::TokenGenerateCredentials, registry).await?;
        let end = self.end(new.expiry, new.expiration_in_days)?;
        let mut token = self.the_token(&record, token).await?;
        let names: Vec<_> =
            TokenPasswordName::BOTH.into_iter().filter(|n| new.name.is_none_or(|one| one == *n)).collect();
        let made = self.make_passwords(&mut token, &names, end);
        let detail = json!({"passwords": names, "expiry": end});
        let write = [self.update(&token)?];
        let deed = deed("token.credential.generate", registry, &token.name, detail);
        self.commit(&permit, actor, &write, deed).await?;
        let mut passwords = passwords_of(&token);
        fill(&mut passwords, &made);
        passwords.retain(|password| password.value.is_some());
        Ok(TokenPasswords { username: token.name, passwords })
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn delete_token_password(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        token: &str,
        name: TokenPasswordName,
    ) -> Result<()> {
        let (permit, record) = self.registry_for(actor, M::TokenWrite, registry).await?;
        let mut token = self.the_token(&record, token).await?;
        let before = token.document.passwords.len();
        token.document.passwords.retain(|password| password.slot != name.slot());
        if token.document.passwords.len() == before {
            return Err(ControlError::NotFound(format!("the token `{}` has no such password", token.name)));
        }
        let write = [self.update(&token)?];
        let deed = deed("token.credential.delete", registry, &token.name, json!({"password": name}));
        self.commit(&permit, actor, &write, deed).await
    }

    /// The passwords a token begins with; they need the right to make passwords.
    pub(super) fn first_passwords(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        record: &RegistryRecord,
        token: &mut Resource<RepositoryToken>,
        new: &NewToken,
    ) -> Result<Values> {
        let end = self.end(new.expiry, new.expiration_in_days)?;
        if new.passwords == Some(false) {
            return match end {
                None => Ok(Vec::new()),
                Some(_) => Err(ControlError::Invalid("a token without passwords has no expiry".to_owned())),
            };
        }
        self.allow(actor, M::TokenGenerateCredentials, &Place::registry(record.registry.id, registry))?;
        Ok(self.make_passwords(token, &TokenPasswordName::BOTH, end))
    }

    fn make_passwords(
        &self,
        token: &mut Resource<RepositoryToken>,
        names: &[TokenPasswordName],
        end: Option<Timestamp>,
    ) -> Values {
        let mut made = Vec::new();
        for name in names {
            let value = new_password(&*self.random);
            token.document.passwords.retain(|password| password.slot != name.slot());
            token.document.passwords.push(TokenPassword {
                id: new_id(&*self.clock, &*self.random),
                slot: name.slot(),
                hash: hex::encode(self.secrets.hash(&value)),
                created_at: self.clock.now(),
                expires_at: end,
            });
            made.push((*name, value));
        }
        made
    }

    /// When a password ends, said in one of two ways.
    fn end(&self, at: Option<Timestamp>, days: Option<u32>) -> Result<Option<Timestamp>> {
        const MOST_DAYS: u32 = 36_500;
        let now = self.clock.now();
        let end = match (at, days) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(ControlError::Invalid("name an expiry or a number of days, and not both".to_owned()));
            }
            (Some(at), None) => at,
            (None, Some(days)) if (1..=MOST_DAYS).contains(&days) => {
                now.plus(Duration::from_secs(u64::from(days) * 24 * 60 * 60))
            }
            (None, Some(_)) => {
                return Err(ControlError::Invalid(format!("the days until it expires are 1 to {MOST_DAYS}")));
            }
        };
        if end <= now {
            return Err(ControlError::Invalid("the expiry has passed already".to_owned()));
        }
        Ok(Some(end))
    }
}
