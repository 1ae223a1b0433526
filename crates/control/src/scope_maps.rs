//! Scope maps: what repository tokens may do (what-the-documents-say.md, 2c).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shorepass_access::policy::{self, ManagementAction as M, SYSTEM_MAPS, SystemMap};
use shorepass_core::directory::{Document as _, ScopeMap};
use shorepass_core::{RegistryName, Timestamp};
use shorepass_store::resources::Resource;
use shorepass_store::rows::{RegistryRecord, Tier};
use uuid::Uuid;

use crate::gate::shown;
use crate::write::{self, Deed, Expected, Listed, Made, Page};
use crate::{Actor, Control, ControlError, Result, names};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewScopeMap {
    pub name: String,
    /// `repositories/<name, or name/*, or *>/<content|metadata>/<read|write|delete>`
    pub actions: Vec<String>,
    #[serde(default)]
    pub description: String,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScopeMapPatch {
    pub actions: Option<Vec<String>>,
    pub description: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum ScopeMapType {
    SystemDefined,
    UserDefined,
}

/// A scope map as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScopeMapView {
    pub id: Uuid,
    pub name: String,
    pub registry: String,
    #[serde(rename = "type")]
    pub kind: ScopeMapType,
    pub actions: Vec<String>,
    pub description: String,
    #[schemars(with = "Option<String>")]
    pub creation_date: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    pub updated_at: Option<Timestamp>,
    /// None for the system's own, which never change.
    pub etag: Option<String>,
}

impl ScopeMapView {
    pub(crate) fn of(map: &Resource<ScopeMap>, registry: &RegistryName) -> Self {
        Self {
            id: map.id,
            name: map.name.clone(),
            registry: registry.to_string(),
            kind: ScopeMapType::UserDefined,
            actions: map.document.actions.clone(),
            description: map.document.description.clone(),
            creation_date: Some(map.created_at),
            updated_at: Some(map.updated_at),
            etag: Some(map.etag.to_string()),
        }
    }

    fn system(map: &SystemMap, registry: &RegistryName) -> Option<Self> {
        Some(Self {
            id: policy::system_map_id(map.name)?,
            name: map.name.to_owned(),
            registry: registry.to_string(),
            kind: ScopeMapType::SystemDefined,
            actions: map.actions(),
            description: map.description.to_owned(),
            creation_date: None,
            updated_at: None,
            etag: None,
        })
    }
}

impl Control {
    /// # Errors
    /// [`ControlError::Invalid`] for a name or an action that cannot be, [`ControlError::Conflict`] for a name that is
    /// taken or a full registry.
    pub async fn create_scope_map(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        new: NewScopeMap,
    ) -> Result<Made<ScopeMapView>> {
        let (permit, record) = self.registry_for(actor, M::ScopeMapWrite, registry).await?;
        let document = map_document(&new.name, &new.actions, new.description)?;
        if let Some(there) = self.named::<ScopeMap>(record.registry.id, &new.name).await? {
            return same_map(&there, &document, registry);
        }
        self.room_for::<ScopeMap>(&record, "scope maps").await?;
        let map = self.fresh(record.registry.id, new.name, document);
        let view = ScopeMapView::of(&map, registry);
        let deed = deed("scope-map.create", registry, &map.name, json!({"after": view}));
        self.commit(&permit, actor, &[write::create(&map)?], deed).await?;
        Ok(Made { view, new: true })
    }

    /// The system's own come first, on the first page.
    ///
    /// # Errors
    /// The registry's.
    pub async fn scope_maps(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        page: &Page,
    ) -> Result<Listed<ScopeMapView>> {
        let (_, record) = self.registry_for(actor, M::ScopeMapRead, registry).await?;
        let mut listed =
            self.listed::<ScopeMap>(record.registry.id, page).await?.map(|m| ScopeMapView::of(&m, registry));
        if page.last.is_none() {
            let system = SYSTEM_MAPS.iter().filter_map(|map| ScopeMapView::system(map, registry));
            listed.value.splice(0..0, system);
        }
        Ok(listed)
    }

    /// # Errors
    /// [`ControlError::NotFound`].
    pub async fn scope_map(&self, actor: &Actor, registry: &RegistryName, name: &str) -> Result<ScopeMapView> {
        let (_, record) = self.registry_for(actor, M::ScopeMapRead, registry).await?;
        if let Some(view) = SystemMap::named(name).and_then(|map| ScopeMapView::system(map, registry)) {
            return Ok(view);
        }
        Ok(ScopeMapView::of(&self.own_map(&record, name).await?, registry))
    }

    /// Felt at once by every token that has the map.
    ///
    /// # Errors
    /// [`ControlError::NotFound`], [`ControlError::Invalid`], [`ControlError::Conflict`] for one of the system's own.
    pub async fn update_scope_map(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        name: &str,
        patch: ScopeMapPatch,
        expected: Expected,
    ) -> Result<ScopeMapView> {
        let (permit, record) = self.registry_for(actor, M::ScopeMapWrite, registry).await?;
        let mut map = self.changeable_map(&record, name, expected).await?;
        let before = ScopeMapView::of(&map, registry);
        let actions = patch.actions.unwrap_or_else(|| map.document.actions.clone());
        let description = patch.description.unwrap_or_else(|| map.document.description.clone());
        names::text("the description", &description)?;
        let actions = policy::normalise(&actions).map_err(|error| ControlError::Invalid(error.to_string()))?;
        map.document = ScopeMap { description, actions };
        let detail = json!({"before": before, "after": ScopeMapView::of(&map, registry)});
        let write = [self.update(&map)?];
        self.commit(&permit, actor, &write, deed("scope-map.update", registry, &map.name, detail)).await?;
        Ok(ScopeMapView::of(&self.own_map(&record, name).await?, registry))
    }

    /// # Errors
    /// [`ControlError::NotFound`]; [`ControlError::Conflict`] while a token has it.
    pub async fn delete_scope_map(
        &self,
        actor: &Actor,
        registry: &RegistryName,
        name: &str,
        expected: Expected,
    ) -> Result<()> {
        let (permit, record) = self.registry_for(actor, M::ScopeMapDelete, registry).await?;
        let map = self.changeable_map(&record, name, expected).await?;
        let user = self.directory.policy(|state| {
            let mut users = state.tokens(record.registry.id).filter(|token| token.document.scope_map == map.id);
            users.next().map(|token| token.name.clone())
        })?;
        if let Some(user) = user {
            return Err(ControlError::Conflict(format!(
                "the token `{user}` has this scope map: give it another, or delete it, first"
            )));
        }
        let detail = json!({"before": ScopeMapView::of(&map, registry)});
        let deed = deed("scope-map.delete", registry, &map.name, detail);
        self.commit(&permit, actor, &[write::delete(&map)], deed).await
    }

    async fn changeable_map(
        &self,
        record: &RegistryRecord,
        name: &str,
        expected: Expected,
    ) -> Result<Resource<ScopeMap>> {
        if SystemMap::named(name).is_some() {
            return Err(ControlError::Conflict(format!(
                "`{}` is one of the system's own and never changes: create a scope map of your own",
                shown(name)
            )));
        }
        let map = self.own_map(record, name).await?;
        expected.check(map.etag)?;
        Ok(map)
    }

    pub(crate) async fn own_map(&self, record: &RegistryRecord, name: &str) -> Result<Resource<ScopeMap>> {
        let map = self.named(record.registry.id, name).await?;
        map.ok_or_else(|| ControlError::NotFound(format!("there is no scope map `{}`", shown(name))))
    }

    /// The tiers' limits (what-the-documents-say.md, 2c).
    pub(crate) async fn room_for<D: shorepass_core::directory::Document>(
        &self,
        record: &RegistryRecord,
        what: &str,
    ) -> Result<()> {
        let tier = record.registry.tier;
        let limit = children(tier);
        if self.store.count_resources(D::KIND, record.registry.id).await? < limit {
            return Ok(());
        }
        let more = match tier {
            Tier::Basic => "delete some, or choose `--sku Standard`, which has 500",
            Tier::Standard => "delete some, or choose `--sku Premium`, which has 50,000",
            Tier::Premium => "delete some",
        };
        Err(ControlError::Conflict(format!(
            "a registry of the {} tier has at most {limit} {what}: {more}",
            tier.as_str()
        )))
    }
}

/// Tokens, and scope maps, of one registry.
fn children(tier: Tier) -> i64 {
    match tier {
        Tier::Basic => 100,
        Tier::Standard => 500,
        Tier::Premium => 50_000,
    }
}

pub(crate) fn map_document(name: &str, actions: &[String], description: String) -> Result<ScopeMap> {
    let invalid = |error: policy::ScopeMapError| ControlError::Invalid(error.to_string());
    policy::check_map_name(name).map_err(invalid)?;
    names::text("the description", &description)?;
    Ok(ScopeMap { description, actions: policy::normalise(actions).map_err(invalid)? })
}

fn same_map(there: &Resource<ScopeMap>, wanted: &ScopeMap, registry: &RegistryName) -> Result<Made<ScopeMapView>> {
    if there.document != *wanted {
        return Err(ControlError::Conflict(format!(
            "the scope map `{}` exists already: `shorepass scope-map update` changes it",
            there.name
        )));
    }
    Ok(Made { view: ScopeMapView::of(there, registry), new: false })
}

fn deed<'a>(operation: &'a str, registry: &'a RegistryName, name: &str, detail: serde_json::Value) -> Deed<'a> {
    Deed { operation, registry: Some(registry), target: format!("{} {name}", ScopeMap::KIND), detail }
}
