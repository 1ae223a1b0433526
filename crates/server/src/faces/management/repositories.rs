//! Repositories, tags and manifests as the operator sees them.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use shorepass_access::{Caller, Delete, MetadataRead, MetadataWrite};
use shorepass_core::{Digest, RegistryName, RepositoryName, Tag};
use shorepass_registry::Page;
use shorepass_store::rows::{ManifestSummary, RepositoryRow, RepositoryStats, TagRow};

use super::{Managing, Problem, list as listed, parse};
use crate::respond::{self, Answer};

/// Entries on a page of a list.
const PAGE: u32 = 1000;

async fn caller(call: &Managing, name: &RegistryName) -> Result<Caller, Problem> {
    let record = call.app.control.registry(&call.permit, name).await?;
    Ok(Caller::operator(Arc::new(record), call.uid))
}

fn page(call: &Managing) -> Result<Page, Problem> {
    let n = match call.query.get("n").map(str::parse::<u32>) {
        None => PAGE,
        Some(Ok(n)) => n.min(PAGE),
        Some(Err(_)) => return Err(Problem::new(StatusCode::BAD_REQUEST, "`n` must be a number of entries")),
    };
    Ok(Page { last: call.query.get("last").map(str::to_owned), n })
}

pub async fn list(call: &Managing, name: &RegistryName) -> Result<Answer, Problem> {
    let caller = caller(call, name).await?;
    let permit = call.app.authoriser.catalog(&caller)?;
    let found = call.app.registry.catalog(&permit, &page(call)?).await?;
    Ok(listed(found.entries.iter().map(|row| json!(row.name)).collect()))
}

pub async fn repository(
    call: &Managing,
    name: &RegistryName,
    repository: &RepositoryName,
    method: &Method,
    body: &[u8],
) -> Result<Answer, Problem> {
    let (caller, authoriser) = (caller(call, name).await?, &call.app.authoriser);
    match *method {
        Method::DELETE => {
            let permit = authoriser.repository::<Delete>(&caller, repository).await?;
            call.app.registry.delete_repository(&permit).await?;
            done(call, "repository.delete", name, repository.to_string(), Value::Null).await?;
            return Ok(respond::status(StatusCode::NO_CONTENT));
        }
        Method::PATCH => {
            let patch = parse(body)?;
            let permit = authoriser.repository::<MetadataWrite>(&caller, repository).await?;
            let row = call.app.registry.lock_repository(&permit, &patch).await?;
            done(call, "repository.lock", name, repository.to_string(), json!({"after": row.locks})).await?;
        }
        _ => {}
    }
    let permit = authoriser.repository::<MetadataRead>(&caller, repository).await?;
    let (row, stats) = call.app.registry.repository(&permit).await?;
    Ok(respond::json(StatusCode::OK, &repository_view(name, &row, stats)))
}

pub async fn tags(call: &Managing, name: &RegistryName, repository: &RepositoryName) -> Result<Answer, Problem> {
    let caller = caller(call, name).await?;
    let permit = call.app.authoriser.repository::<MetadataRead>(&caller, repository).await?;
    let found = call.app.registry.tags(&permit, &page(call)?).await?;
    Ok(listed(found.entries.iter().map(tag_view).collect()))
}

pub async fn tag(
    call: &Managing,
    name: &RegistryName,
    repository: &RepositoryName,
    tag: &Tag,
    method: &Method,
    body: &[u8],
) -> Result<Answer, Problem> {
    let (caller, app) = (caller(call, name).await?, &call.app);
    let target = format!("{repository}:{tag}");
    let row = match *method {
        Method::DELETE => {
            let permit = app.authoriser.repository::<MetadataWrite>(&caller, repository).await?;
            app.registry.untag(&permit, tag).await?;
            done(call, "repository.untag", name, target, Value::Null).await?;
            return Ok(respond::status(StatusCode::NO_CONTENT));
        }
        Method::PATCH => {
            let patch = parse(body)?;
            let permit = app.authoriser.repository::<MetadataWrite>(&caller, repository).await?;
            let row = app.registry.lock_tag(&permit, tag, &patch).await?;
            done(call, "repository.lock", name, target, json!({"after": row.locks})).await?;
            row
        }
        _ => {
            let permit = app.authoriser.repository::<MetadataRead>(&caller, repository).await?;
            app.registry.tag(&permit, tag).await?
        }
    };
    Ok(respond::json(StatusCode::OK, &tag_view(&row)))
}

pub async fn manifests(call: &Managing, name: &RegistryName, repository: &RepositoryName) -> Result<Answer, Problem> {
    let caller = caller(call, name).await?;
    let permit = call.app.authoriser.repository::<MetadataRead>(&caller, repository).await?;
    let found = call.app.registry.manifests(&permit, &page(call)?).await?;
    Ok(listed(found.entries.iter().map(manifest_view).collect()))
}

pub async fn manifest(
    call: &Managing,
    name: &RegistryName,
    repository: &RepositoryName,
    digest: &Digest,
    method: &Method,
    body: &[u8],
) -> Result<Answer, Problem> {
    let (caller, app) = (caller(call, name).await?, &call.app);
    let target = format!("{repository}@{digest}");
    let summary = match *method {
        Method::DELETE => {
            let permit = app.authoriser.repository::<Delete>(&caller, repository).await?;
            let tags = app.registry.delete_manifest(&permit, digest).await?;
            done(call, "repository.delete", name, target, json!({"tags": tags})).await?;
            return Ok(respond::status(StatusCode::NO_CONTENT));
        }
        Method::PATCH => {
            let patch = parse(body)?;
            let permit = app.authoriser.repository::<MetadataWrite>(&caller, repository).await?;
            let summary = app.registry.lock_manifest(&permit, digest, &patch).await?;
            done(call, "repository.lock", name, target, json!({"after": summary.locks})).await?;
            summary
        }
        _ => {
            let permit = app.authoriser.repository::<MetadataRead>(&caller, repository).await?;
            app.registry.manifest_summary(&permit, digest).await?
        }
    };
    Ok(respond::json(StatusCode::OK, &manifest_view(&summary)))
}

async fn done(
    call: &Managing,
    operation: &str,
    registry: &RegistryName,
    target: String,
    detail: Value,
) -> Result<(), Problem> {
    Ok(call.app.control.audit(&call.actor, operation, Some(registry), Some(target), detail).await?)
}

fn repository_view(registry: &RegistryName, row: &RepositoryRow, stats: RepositoryStats) -> Value {
    json!({
        "registry": registry,
        "name": row.name,
        "createdTime": row.created_at,
        "lastUpdateTime": row.updated_at,
        "manifestCount": stats.manifest_count,
        "tagCount": stats.tag_count,
        "changeableAttributes": row.locks,
    })
}

fn tag_view(row: &TagRow) -> Value {
    json!({
        "name": row.name,
        "digest": row.digest,
        "createdTime": row.created_at,
        "lastUpdateTime": row.updated_at,
        "changeableAttributes": row.locks,
    })
}

fn manifest_view(row: &ManifestSummary) -> Value {
    json!({
        "digest": row.digest,
        "imageSize": row.image_size,
        "createdTime": row.created_at,
        "lastUpdateTime": row.updated_at,
        "architecture": row.architecture,
        "os": row.os,
        "mediaType": row.media_type,
        "configMediaType": row.config_media_type,
        "artifactType": row.artifact_type,
        "tags": row.tags,
        "changeableAttributes": row.locks,
    })
}
