//! Repository tokens and their two passwords (what-the-documents-say.md, 2c).

mod passwords;
mod view;

use serde_json::{Value, json};
use shorepass_access::policy::{self, ManagementAction as M, SystemMap};
use shorepass_core::RegistryName;
use shorepass_core::directory::{Document as _, RepositoryToken, ScopeMap};
use shorepass_store::resources::{Resource, Write};
use shorepass_store::rows::RegistryRecord;
use uuid::Uuid;

use crate::gate::shown;
use crate::scope_maps::map_document;
use crate::write::{self, Deed, Expected, Listed, Made, Page};
use crate::{Actor, Control, ControlError, Result, names};

pub use passwords::{NewTokenPasswords, TokenPasswordName, TokenPasswords};
pub use view::{NewToken, RepositoryActions, TokenPatch, TokenStatus, TokenView};

/// The scope map a token gets when it is made for repositories.
fn automatic_map(token: &str) -> String {
    format!("{token}-scope-map")
}

impl Control {
    /// The passwords' values are in this answer and nowhere else.
    ///
    /// # Errors
    /// [`ControlError::Invalid`]; [`ControlError::Conflict`] for a name that is taken or a full registry;
    /// [`ControlError::NotFound`] for a scope map that is not there.
    pub async fn create_token(&self, actor: &Actor, registry: &RegistryName, new: NewToken) -> Result<Made<TokenView>> {
        let (permit, record) = self.registry_for(actor, M::TokenWrite, registry).await?;
        names::token(&new.name, registry.as_str())?;
        let wanted = self.map_for(actor, &record, &new).await?;
        let enabled = new.status.is_none_or(|status| status == TokenStatus::Enabled);
        if let Some(there) = self.named::<RepositoryToken>(record.registry.id, &new.name).await? {
            return self.same_token(&there, &wanted, enabled, registry);
        }
        self.room_for::<RepositoryToken>(&record, "tokens").await?;
        let document = RepositoryToken { scope_map: wanted.id(), enabled, passwords: Vec::new(), epoch: 0 };
        let mut token = self.fresh(record.registry.id, new.name.clone(), document);
        let made = self.first_passwords(actor, registry, &record, &mut token, &new)?;
        let mut writes = wanted.writes()?;
        writes.push(write::create(&token)?);
        let map = wanted.name().to_owned();
        let detail = json!({"after": TokenView::of(&token, registry, Some(map.clone()))});
        self.commit(&permit, actor, &writes, deed("token.create", registry, &token.name, detail)).await?;
        let view = TokenView::of(&token, registry, Some(map)).with_values(&made);
        Ok(Made { view, new: true })
    }

    /// # Errors
    /// The registry's.
    pub async fn tokens(&self, actor: &Actor, registry: &RegistryName, page: &Page) -> Result<Listed<TokenView>> {
        let (_, record) = self.registry_for(actor, M::TokenRead, registry).await?;
        let listed = self.listed::<RepositoryToken>(record.registry.id, page).await?;
        Ok(self.directory.policy(|state| {
            listed.map(|token| {
                let map = map_name(state, token.document.scope_map);
                TokenView::of(&token, registry, map)
            })
        })?)
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn token(&self, actor: &Actor, registry: &RegistryName, name: &str) -> Result<TokenView> {
        let (_, record) = self.registry_for(actor, M::TokenRead, registry).await?;
        let token = self.the_token(&record, name).await?;
        self.show_token(&token, registry)
    }

    /// Disabling a token ends what was issued to it, for good; another scope map is felt at once.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], also for a scope map that is not there.
    pub async fn update_token(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        name: &str,
        patch: TokenPatch,
        expected: Expected,
    ) -> Result<TokenView> {
        let (permit, record) = self.registry_for(actor, M::TokenWrite, registry).await?;
        let mut token = self.the_token(&record, name).await?;
        expected.check(token.etag)?;
        let before = self.show_token(&token, registry)?;
        if let Some(map) = &patch.scope_map {
            token.document.scope_map = self.map_named(&record, map).await?.id();
        }
        if let Some(status) = patch.status {
            let enabled = status == TokenStatus::Enabled;
            token.document.epoch += i64::from(token.document.enabled && !enabled);
            token.document.enabled = enabled;
        }
        let detail = json!({"before": before, "after": self.show_token(&token, registry)?});
        let write = [self.update(&token)?];
        self.commit(&permit, actor, &write, deed("token.update", registry, &token.name, detail)).await?;
        let token = self.the_token(&record, name).await?;
        self.show_token(&token, registry)
    }

    /// For good, with its automatic scope map if no other token has that.
    ///
    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn delete_token(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        name: &str,
        expected: Expected,
    ) -> Result<()> {
        let (permit, record) = self.registry_for(actor, M::TokenDelete, registry).await?;
        let token = self.the_token(&record, name).await?;
        expected.check(token.etag)?;
        let mut writes = vec![write::delete(&token)];
        writes.extend(self.automatic_map_of(&record, &token).await?);
        let detail = json!({"before": self.show_token(&token, registry)?});
        self.commit(&permit, actor, &writes, deed("token.delete", registry, &token.name, detail)).await
    }

    pub(crate) async fn the_token(&self, record: &RegistryRecord, name: &str) -> Result<Resource<RepositoryToken>> {
        let token = self.named(record.registry.id, name).await?;
        token.ok_or_else(|| ControlError::NotFound(format!("there is no token `{}`", shown(name))))
    }

    fn show_token(&self, token: &Resource<RepositoryToken>, registry: &RegistryName) -> Result<TokenView> {
        let map = self.directory.policy(|state| map_name(state, token.document.scope_map))?;
        Ok(TokenView::of(token, registry, map))
    }

    fn same_token(
        &self,
        there: &Resource<RepositoryToken>,
        wanted: &Map,
        enabled: bool,
        registry: &RegistryName,
    ) -> Result<Made<TokenView>> {
        let same = !wanted.is_new() && there.document.scope_map == wanted.id() && there.document.enabled == enabled;
        if !same {
            return Err(ControlError::Conflict(format!(
                "the token `{}` exists already: `shorepass token update` changes it",
                there.name
            )));
        }
        Ok(Made { view: self.show_token(there, registry)?, new: false })
    }

    /// The map a new token is to have; one for its repositories needs the right to make it.
    async fn map_for(&self, actor: &Actor, record: &RegistryRecord, new: &NewToken) -> Result<Map> {
        let entries = match (&new.scope_map, &new.repositories) {
            (Some(name), None) => return self.map_named(record, name).await,
            (None, Some(entries)) => entries,
            _ => {
                let text = "name either repositories with their actions, or a scope map, and not both";
                return Err(ControlError::Invalid(text.to_owned()));
            }
        };
        self.registry_for(actor, M::ScopeMapWrite, &record.registry.name).await?;
        let actions: Vec<String> = entries
            .iter()
            .flat_map(|entry| entry.actions.iter().map(|action| format!("repositories/{}/{action}", entry.name)))
            .collect();
        let name = automatic_map(&new.name);
        let description = format!("Made with the token {}", new.name);
        let document = map_document(&name, &actions, description).map_err(|error| match error {
            ControlError::Invalid(_) if name.len() > 50 => ControlError::Invalid(
                "the token's scope map is called after it, and would have more than 50 characters: choose a name of at most 40"
                    .to_owned(),
            ),
            other => other,
        })?;
        match self.named::<ScopeMap>(record.registry.id, &name).await? {
            Some(there) if there.document.actions == document.actions => Ok(Map::There(there)),
            Some(_) => Err(ControlError::Conflict(format!(
                "the scope map `{name}` exists already, with other actions: delete it, or name it with `--scope-map`"
            ))),
            None => {
                self.room_for::<ScopeMap>(record, "scope maps").await?;
                Ok(Map::New(self.fresh(record.registry.id, name, document)))
            }
        }
    }

    async fn map_named(&self, record: &RegistryRecord, name: &str) -> Result<Map> {
        if let Some(map) = SystemMap::named(name)
            && let Some(id) = policy::system_map_id(map.name)
        {
            return Ok(Map::System(id, map.name));
        }
        Ok(Map::There(self.own_map(record, name).await?))
    }

    async fn automatic_map_of(
        &self,
        record: &RegistryRecord,
        token: &Resource<RepositoryToken>,
    ) -> Result<Option<Write>> {
        let map = self.named::<ScopeMap>(record.registry.id, &automatic_map(&token.name)).await?;
        let Some(map) = map.filter(|map| map.id == token.document.scope_map) else { return Ok(None) };
        let shared = self.directory.policy(|state| {
            state.tokens(record.registry.id).any(|other| other.id != token.id && other.document.scope_map == map.id)
        })?;
        Ok((!shared).then(|| write::delete(&map)))
    }
}

/// A scope map for a token.
enum Map {
    System(Uuid, &'static str),
    There(Resource<ScopeMap>),
    New(Resource<ScopeMap>),
}

impl Map {
    fn id(&self) -> Uuid {
        match self {
            Self::System(id, _) => *id,
            Self::There(map) | Self::New(map) => map.id,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::System(_, name) => name,
            Self::There(map) | Self::New(map) => &map.name,
        }
    }

    fn is_new(&self) -> bool {
        matches!(self, Self::New(_))
    }

    fn writes(&self) -> Result<Vec<Write>> {
        match self {
            Self::New(map) => Ok(vec![write::create(map)?]),
            Self::System(..) | Self::There(_) => Ok(Vec::new()),
        }
    }
}

fn map_name(state: &policy::PolicyState, id: Uuid) -> Option<String> {
    let system = policy::system_map(id).map(|(map, _)| map.name.to_owned());
    system.or_else(|| state.scope_map(id).map(|map| map.name.clone()))
}

fn deed<'a>(operation: &'a str, registry: &'a RegistryName, name: &str, detail: Value) -> Deed<'a> {
    Deed { operation, registry: Some(registry), target: format!("{} {name}", RepositoryToken::KIND), detail }
}
