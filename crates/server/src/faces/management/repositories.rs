//! Repositories, tags and manifests as those who administer them see them.

use std::str::FromStr;
use std::sync::Arc;

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shorepass_access::{Caller, Delete, Denial, Grant, MetadataRead, MetadataWrite, Permit, Pull};
use shorepass_control::Listed;
use shorepass_core::{CredentialKind, Digest, Principal, RegistryName, RepositoryName, Tag, Timestamp};
use shorepass_registry::Page;
use shorepass_store::rows::{Locks, LocksPatch, ManifestSummary, RepositoryRow, RepositoryStats, TagRow};

use super::reply::{Gone, Json, Shown};
use super::{Managing, Problem};

type Answered<T> = Result<T, Problem>;

/// What may be done to it, whoever asks.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeableAttributes {
    delete_enabled: bool,
    write_enabled: bool,
    read_enabled: bool,
    list_enabled: bool,
}

/// A change of attributes: what is not there stays.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attributes {
    delete_enabled: Option<bool>,
    write_enabled: Option<bool>,
    read_enabled: Option<bool>,
    list_enabled: Option<bool>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryView {
    registry: String,
    name: String,
    #[schemars(with = "String")]
    created_time: Timestamp,
    #[schemars(with = "String")]
    last_update_time: Timestamp,
    manifest_count: i64,
    tag_count: i64,
    changeable_attributes: ChangeableAttributes,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TagView {
    name: String,
    digest: String,
    #[schemars(with = "String")]
    created_time: Timestamp,
    #[schemars(with = "String")]
    last_update_time: Timestamp,
    changeable_attributes: ChangeableAttributes,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestView {
    digest: String,
    /// Bytes of what it references and itself.
    image_size: i64,
    #[schemars(with = "String")]
    created_time: Timestamp,
    #[schemars(with = "String")]
    last_update_time: Timestamp,
    architecture: Option<String>,
    os: Option<String>,
    media_type: String,
    config_media_type: Option<String>,
    artifact_type: Option<String>,
    tags: Vec<String>,
    changeable_attributes: ChangeableAttributes,
}

/// A call about one registry's content.
struct Content<'a> {
    call: &'a Managing,
    registry: RegistryName,
    caller: Caller,
}

impl<'a> Content<'a> {
    fn of(call: &'a Managing) -> Answered<Self> {
        let registry = call.registry()?;
        let record = call.app.directory.by_name(&registry).map_err(|_| Problem::unavailable())?;
        let record = record.ok_or_else(|| missing(&registry))?;
        let requester = &call.actor.requester;
        let caller = match &requester.principal {
            Principal::Operator { uid } => Caller::operator(record, *uid),
            principal => Caller {
                principal: principal.clone(),
                credential: CredentialKind::IdentityToken,
                root: requester.proof.root,
                root_id: requester.proof.root_id,
                epoch: requester.proof.epoch,
                ..Caller::anonymous(Arc::clone(&record))
            },
        };
        Ok(Self { call, registry, caller })
    }

    fn repository(&self) -> Answered<RepositoryName> {
        let said = self.call.parameter("repository");
        said.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND, "there is no such repository"))
    }

    async fn permit<A: Grant>(&self, name: &RepositoryName) -> Answered<Permit<A>> {
        match self.call.app.authoriser.repository::<A>(&self.caller, name).await {
            Ok(permit) => Ok(permit),
            Err(denial) => Err(self.refusal(denial, Some(name)).await),
        }
    }

    /// Who may neither see the registry nor pull there is not told of it.
    async fn refusal(&self, denial: Denial, name: Option<&RepositoryName>) -> Problem {
        if !matches!(denial, Denial::Forbidden | Denial::Anonymous | Denial::Scope) {
            return denial.into();
        }
        let pulls = match name {
            Some(name) => self.call.app.authoriser.repository::<Pull>(&self.caller, name).await.is_ok(),
            None => false,
        };
        let (control, record) = (self.call.control(), &self.caller.registry.registry);
        if pulls || control.sees_registry(&self.call.actor, record) { denial.into() } else { missing(&self.registry) }
    }

    async fn done(&self, operation: &str, target: String, detail: Value) -> Answered<()> {
        Ok(self.call.control().audit(&self.call.actor, operation, Some(&self.registry), Some(target), detail).await?)
    }
}

fn missing(registry: &RegistryName) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no registry `{registry}`"))
        .hint("`shorepass registry list` shows what there is")
}

fn page(call: &Managing) -> Answered<Page> {
    let page = call.page()?;
    Ok(Page { last: page.last, n: page.n })
}

/// What stands at a parameter's place; a name that cannot exist does not.
fn named<T: FromStr>(call: &Managing, parameter: &str) -> Answered<T> {
    let said = call.parameter(parameter);
    said.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND, format!("there is no such {parameter}")))
}

pub async fn list(call: &Managing, (): ()) -> Answered<Listed<String>> {
    let content = Content::of(call)?;
    let permit = match call.app.authoriser.catalog(&content.caller) {
        Ok(permit) => permit,
        Err(denial) => return Err(content.refusal(denial, None).await),
    };
    let found = call.app.registry.catalog(&permit, &page(call)?).await?;
    let next = found.entries.last().filter(|_| found.more).map(|row| row.name.to_string());
    Ok(Listed { value: found.entries.iter().map(|row| row.name.to_string()).collect(), next })
}

pub async fn show(call: &Managing, (): ()) -> Answered<Shown<RepositoryView>> {
    let content = Content::of(call)?;
    let permit = content.permit::<MetadataRead>(&content.repository()?).await?;
    let (row, stats) = call.app.registry.repository(&permit).await?;
    Ok(Shown(repository_view(&content.registry, &row, stats)))
}

pub async fn lock(call: &Managing, Json(patch): Json<Attributes>) -> Answered<Shown<RepositoryView>> {
    let content = Content::of(call)?;
    let name = content.repository()?;
    let permit = content.permit::<MetadataWrite>(&name).await?;
    let row = call.app.registry.lock_repository(&permit, &patch.into()).await?;
    content.done("repository.lock", name.to_string(), json!({"after": row.locks})).await?;
    show(call, ()).await
}

pub async fn delete(call: &Managing, (): ()) -> Answered<Gone> {
    let content = Content::of(call)?;
    let name = content.repository()?;
    let permit = content.permit::<Delete>(&name).await?;
    call.app.registry.delete_repository(&permit).await?;
    content.done("repository.delete", name.to_string(), Value::Null).await?;
    Ok(Gone)
}

pub async fn tags(call: &Managing, (): ()) -> Answered<Listed<TagView>> {
    let content = Content::of(call)?;
    let permit = content.permit::<MetadataRead>(&content.repository()?).await?;
    let found = call.app.registry.tags(&permit, &page(call)?).await?;
    let next = found.entries.last().filter(|_| found.more).map(|row| row.name.to_string());
    Ok(Listed { value: found.entries.iter().map(tag_view).collect(), next })
}

pub async fn tag(call: &Managing, (): ()) -> Answered<Shown<TagView>> {
    let content = Content::of(call)?;
    let tag: Tag = named(call, "tag")?;
    let permit = content.permit::<MetadataRead>(&content.repository()?).await?;
    Ok(Shown(tag_view(&call.app.registry.tag(&permit, &tag).await?)))
}

pub async fn lock_tag(call: &Managing, Json(patch): Json<Attributes>) -> Answered<Shown<TagView>> {
    let content = Content::of(call)?;
    let (name, tag): (_, Tag) = (content.repository()?, named(call, "tag")?);
    let permit = content.permit::<MetadataWrite>(&name).await?;
    let row = call.app.registry.lock_tag(&permit, &tag, &patch.into()).await?;
    content.done("repository.lock", format!("{name}:{tag}"), json!({"after": row.locks})).await?;
    Ok(Shown(tag_view(&row)))
}

pub async fn untag(call: &Managing, (): ()) -> Answered<Gone> {
    let content = Content::of(call)?;
    let (name, tag): (_, Tag) = (content.repository()?, named(call, "tag")?);
    let permit = content.permit::<MetadataWrite>(&name).await?;
    call.app.registry.untag(&permit, &tag).await?;
    content.done("repository.untag", format!("{name}:{tag}"), Value::Null).await?;
    Ok(Gone)
}

pub async fn manifests(call: &Managing, (): ()) -> Answered<Listed<ManifestView>> {
    let content = Content::of(call)?;
    let permit = content.permit::<MetadataRead>(&content.repository()?).await?;
    let found = call.app.registry.manifests(&permit, &page(call)?).await?;
    let next = found.entries.last().filter(|_| found.more).map(|row| row.digest.to_string());
    Ok(Listed { value: found.entries.iter().map(manifest_view).collect(), next })
}

pub async fn manifest(call: &Managing, (): ()) -> Answered<Shown<ManifestView>> {
    let content = Content::of(call)?;
    let digest: Digest = named(call, "digest")?;
    let permit = content.permit::<MetadataRead>(&content.repository()?).await?;
    Ok(Shown(manifest_view(&call.app.registry.manifest_summary(&permit, &digest).await?)))
}

pub async fn lock_manifest(call: &Managing, Json(patch): Json<Attributes>) -> Answered<Shown<ManifestView>> {
    let content = Content::of(call)?;
    let (name, digest): (_, Digest) = (content.repository()?, named(call, "digest")?);
    let permit = content.permit::<MetadataWrite>(&name).await?;
    let summary = call.app.registry.lock_manifest(&permit, &digest, &patch.into()).await?;
    content.done("repository.lock", format!("{name}@{digest}"), json!({"after": summary.locks})).await?;
    Ok(Shown(manifest_view(&summary)))
}

pub async fn delete_manifest(call: &Managing, (): ()) -> Answered<Gone> {
    let content = Content::of(call)?;
    let (name, digest): (_, Digest) = (content.repository()?, named(call, "digest")?);
    let permit = content.permit::<Delete>(&name).await?;
    let tags = call.app.registry.delete_manifest(&permit, &digest).await?;
    content.done("repository.delete", format!("{name}@{digest}"), json!({"tags": tags})).await?;
    Ok(Gone)
}

impl From<Attributes> for LocksPatch {
    fn from(patch: Attributes) -> Self {
        Self {
            delete_enabled: patch.delete_enabled,
            write_enabled: patch.write_enabled,
            read_enabled: patch.read_enabled,
            list_enabled: patch.list_enabled,
        }
    }
}

impl From<Locks> for ChangeableAttributes {
    fn from(locks: Locks) -> Self {
        Self {
            delete_enabled: locks.delete_enabled,
            write_enabled: locks.write_enabled,
            read_enabled: locks.read_enabled,
            list_enabled: locks.list_enabled,
        }
    }
}

fn repository_view(registry: &RegistryName, row: &RepositoryRow, stats: RepositoryStats) -> RepositoryView {
    RepositoryView {
        registry: registry.to_string(),
        name: row.name.to_string(),
        created_time: row.created_at,
        last_update_time: row.updated_at,
        manifest_count: stats.manifest_count,
        tag_count: stats.tag_count,
        changeable_attributes: row.locks.into(),
    }
}

fn tag_view(row: &TagRow) -> TagView {
    TagView {
        name: row.name.to_string(),
        digest: row.digest.to_string(),
        created_time: row.created_at,
        last_update_time: row.updated_at,
        changeable_attributes: row.locks.into(),
    }
}

fn manifest_view(row: &ManifestSummary) -> ManifestView {
    ManifestView {
        digest: row.digest.to_string(),
        image_size: row.image_size,
        created_time: row.created_at,
        last_update_time: row.updated_at,
        architecture: row.architecture.clone(),
        os: row.os.clone(),
        media_type: row.media_type.clone(),
        config_media_type: row.config_media_type.clone(),
        artifact_type: row.artifact_type.clone(),
        tags: row.tags.iter().map(ToString::to_string).collect(),
        changeable_attributes: row.locks.into(),
    }
}
