//! Uploads: POST, PATCH, PUT, GET, DELETE; mounts.

use std::io;
use std::sync::Arc;

use crate::app::RequestBody;
use futures::TryStreamExt as _;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderName, LOCATION, RANGE};
use http_body_util::BodyDataStream;
use shorepass_access::{Denial, Permit, Pull, Push};
use shorepass_core::{Action, ActionSet, Algorithm, Digest, EventKind, RepositoryName, TokenScope};
use shorepass_registry::{RegistryError, UploadStatus};
use shorepass_store::rows::BlobRow;
use uuid::Uuid;

use super::{CONTENT_DIGEST, Handling, range};
use crate::error::{ApiError, upload_range, with_upload};
use crate::metrics::Metrics;
use crate::respond::{self, Answer};

const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// `POST …/blobs/uploads/`: mounts, takes a whole blob (`?digest=`), or begins an upload.
pub async fn begin(call: &Handling, name: &RepositoryName, body: RequestBody) -> Result<Answer, ApiError> {
    let permit = call.permit::<Push>(name).await?;
    let query = &call.call.query;
    if let Some(digest) = query.get("mount") {
        let digest: Digest = digest.parse().map_err(RegistryError::from)?;
        if mount(call, &permit, &digest).await? {
            return Ok(created(call, name, &digest));
        }
    }
    if let Some(digest) = query.get("digest") {
        let digest: Digest = digest.parse().map_err(RegistryError::from)?;
        let upload = call.registry().begin_upload(&permit, digest.algorithm()).await?;
        call.call.app.metrics.uploads.started.inc();
        return match finish(call, &permit, upload.id, &digest, None, body).await {
            Ok(blob) => Ok(created(call, name, &blob.digest)),
            Err(error) => {
                // Nobody was told of this upload, so nobody will go on with it.
                call.registry().cancel_upload(&permit, upload.id).await.ok();
                Err(error)
            }
        };
    }
    let algorithm = match query.get("digest-algorithm") {
        Some(text) => text.parse().map_err(RegistryError::from)?,
        None => Algorithm::Sha256,
    };
    let upload = call.registry().begin_upload(&permit, algorithm).await?;
    call.call.app.metrics.uploads.started.inc();
    Ok(progress(StatusCode::ACCEPTED, name, &upload))
}

pub async fn append(call: &Handling, name: &RepositoryName, id: Uuid, body: RequestBody) -> Result<Answer, ApiError> {
    let permit = call.permit::<Push>(name).await?;
    let range = range::chunk(&call.call.headers)?;
    let (registry, writing) = (Arc::clone(call.registry()), Writing::begin(call));
    // In a task of its own: when the client goes away the request is dropped, and what came must still be kept.
    let appended = tokio::spawn(async move {
        let _writing = writing;
        registry.append(&permit, id, range, stream(body)).await
    });
    let upload = joined(appended.await).map_err(|error| refused(name, id, error))?;
    Ok(progress(StatusCode::ACCEPTED, name, &upload))
}

pub async fn complete(call: &Handling, name: &RepositoryName, id: Uuid, body: RequestBody) -> Result<Answer, ApiError> {
    let permit = call.permit::<Push>(name).await?;
    let digest = call.call.query.get("digest").ok_or_else(|| {
        ApiError::bad_request("DIGEST_INVALID", "an upload is completed with `?digest=<digest of the whole blob>`")
    })?;
    let digest: Digest = digest.parse().map_err(RegistryError::from)?;
    let range = range::chunk(&call.call.headers)?;
    let blob = finish(call, &permit, id, &digest, range, body).await?;
    Ok(created(call, name, &blob.digest))
}

pub async fn cancel(call: &Handling, name: &RepositoryName, id: Uuid) -> Result<Answer, ApiError> {
    let permit = call.permit::<Push>(name).await?;
    call.registry().cancel_upload(&permit, id).await?;
    call.call.app.metrics.uploads.failed.inc();
    Ok(respond::status(StatusCode::NO_CONTENT))
}

pub async fn status(call: &Handling, name: &RepositoryName, id: Uuid) -> Result<Answer, ApiError> {
    let permit = call.permit::<Push>(name).await?;
    let upload = call.registry().upload_status(&permit, id).await?;
    Ok(progress(StatusCode::NO_CONTENT, name, &upload))
}

async fn finish(
    call: &Handling,
    permit: &Permit<Push>,
    id: Uuid,
    digest: &Digest,
    range: Option<shorepass_registry::ContentRange>,
    body: RequestBody,
) -> Result<BlobRow, ApiError> {
    let (registry, writing) = (Arc::clone(call.registry()), Writing::begin(call));
    let (own_permit, own_digest) = (permit.clone(), digest.clone());
    let finished = tokio::spawn(async move {
        let _writing = writing;
        registry.complete(&own_permit, id, &own_digest, range, stream(body)).await
    });
    let blob = joined(finished.await);
    let uploads = &call.call.app.metrics.uploads;
    match &blob {
        Ok(_) => uploads.finished.inc(),
        // The client may still go on after these.
        Err(RegistryError::RangeInvalid { .. } | RegistryError::Interrupted | RegistryError::UploadBusy) => 0,
        Err(_) => uploads.failed.inc(),
    };
    blob.map_err(|error| refused(permit.repository(), id, error))
}

/// Mounting needs the right to read where the blob comes from. A token that does not name the source is answered with a
/// challenge for both; whoever has no right to the source learns nothing and uploads.
async fn mount(call: &Handling, to: &Permit<Push>, digest: &Digest) -> Result<bool, ApiError> {
    let Some(from) = call.call.query.get("from") else {
        return Ok(call.registry().holds_blob(to, digest).await?);
    };
    let Ok(from) = from.parse::<RepositoryName>() else { return Ok(false) };
    match call.call.app.authoriser.repository::<Pull>(&call.proven.caller, &from).await {
        Ok(source) => Ok(call.registry().mount_blob(to, &source, digest).await?.is_some()),
        Err(Denial::Scope) => {
            let mut challenge = call.call.challenge(&call.need);
            challenge
                .scopes
                .push(TokenScope::Repository { name: from, actions: ActionSet::of(&[Action::ContentRead]) });
            Err(challenge.insufficient())
        }
        Err(Denial::Outage(error)) => Err(error.into()),
        Err(Denial::Store(error)) => Err(error.into()),
        Err(Denial::Anonymous | Denial::Forbidden | Denial::Revoked(_)) => Ok(false),
    }
}

fn created(call: &Handling, name: &RepositoryName, digest: &Digest) -> Answer {
    let mut answer = respond::status(StatusCode::CREATED);
    respond::set(&mut answer, LOCATION, &format!("/v2/{name}/blobs/{digest}"));
    respond::set(&mut answer, CONTENT_DIGEST, digest.as_str());
    call.record(EventKind::Push, name, digest.to_string());
    answer
}

/// A relative location: a client behind any proxy resolves it against the address it knows.
fn location(name: &RepositoryName, id: Uuid) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

fn progress(status: StatusCode, name: &RepositoryName, upload: &UploadStatus) -> Answer {
    let mut answer = respond::status(status);
    respond::set(&mut answer, LOCATION, &location(name, upload.id));
    respond::set(&mut answer, RANGE, &upload_range(upload.offset));
    respond::set(&mut answer, UPLOAD_UUID, &upload.id.to_string());
    if status == StatusCode::NO_CONTENT {
        answer.headers_mut().remove(CONTENT_LENGTH);
    }
    answer
}

fn refused(name: &RepositoryName, id: Uuid, error: RegistryError) -> ApiError {
    match error {
        RegistryError::RangeInvalid { offset } => with_upload(error.into(), &location(name, id), offset),
        other => other.into(),
    }
}

/// Counts a request as writing to an upload for as long as it lives.
struct Writing(Arc<Metrics>);

impl Writing {
    fn begin(call: &Handling) -> Self {
        call.call.app.metrics.uploads.active.inc();
        Self(Arc::clone(&call.call.app.metrics))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.uploads.active.dec();
    }
}

fn stream(body: RequestBody) -> impl futures::Stream<Item = io::Result<bytes::Bytes>> + Send + Unpin {
    BodyDataStream::new(body).map_err(io::Error::other)
}

fn joined<T>(result: Result<Result<T, RegistryError>, tokio::task::JoinError>) -> Result<T, RegistryError> {
    result.unwrap_or_else(|error| {
        tracing::error!(%error, "an upload's task ended early");
        Err(RegistryError::Interrupted)
    })
}
