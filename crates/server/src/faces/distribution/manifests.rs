//! Manifests: GET, HEAD, PUT, DELETE.

use crate::app::RequestBody;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use shorepass_access::{Delete, Pull, Push};
use shorepass_core::{EventKind, Reference, RepositoryName, Tag};
use shorepass_registry::{MAX_MANIFEST_BYTES, RegistryError};

use super::{Handling, has_already, not_modified, set_digest};
use crate::error::ApiError;
use crate::respond::{self, Answer};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

/// Tags that one push by digest may set (distribution specification, development version: `?tag=`).
const MAX_TAGS: usize = 32;

pub async fn get(call: &Handling, name: &RepositoryName, reference: &Reference) -> Result<Answer, ApiError> {
    let permit = call.permit::<Pull>(name).await?;
    let manifest = call.registry().manifest(&permit, reference).await?;
    let digest = manifest.digest.as_str();
    if has_already(&call.call.headers, digest) {
        return Ok(not_modified(digest));
    }
    let mut answer = respond::bytes(StatusCode::OK, &manifest.media_type, Bytes::from(manifest.body));
    set_digest(&mut answer, digest);
    if !call.is_head() {
        call.record(EventKind::Pull, name, reference.to_string());
    }
    Ok(answer)
}

pub async fn put(
    call: &Handling,
    name: &RepositoryName,
    reference: &Reference,
    body: RequestBody,
) -> Result<Answer, ApiError> {
    let permit = call.permit::<Push>(name).await?;
    let tags = requested_tags(call, reference)?;
    let content_type = call.call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type
        .ok_or_else(|| ApiError::bad_request("MANIFEST_INVALID", "a manifest needs a Content-Type: its media type"))?;
    let body = collect(body).await?;
    let pushed = call.registry().push_manifest(&permit, reference, &tags, content_type, body).await?;
    let mut answer = respond::status(StatusCode::CREATED);
    respond::set(&mut answer, LOCATION, &format!("/v2/{name}/manifests/{}", pushed.digest));
    set_digest(&mut answer, pushed.digest.as_str());
    if let Some(subject) = &pushed.subject {
        respond::set(&mut answer, OCI_SUBJECT, subject.as_str());
    }
    for tag in &tags {
        if let Ok(value) = HeaderValue::from_str(tag.as_str()) {
            answer.headers_mut().append(OCI_TAG, value);
        }
    }
    call.record(EventKind::Push, name, reference.to_string());
    Ok(answer)
}

pub async fn delete(call: &Handling, name: &RepositoryName, reference: &Reference) -> Result<Answer, ApiError> {
    let permit = call.permit::<Delete>(name).await?;
    match reference {
        Reference::Tag(tag) => {
            call.registry().delete_tag(&permit, tag).await?;
            call.record(EventKind::Untag, name, tag.to_string());
        }
        Reference::Digest(digest) => {
            call.registry().delete_manifest(&permit, digest).await?;
            call.record(EventKind::Delete, name, digest.to_string());
        }
    }
    Ok(respond::status(StatusCode::ACCEPTED))
}

/// `?tag=a&tag=b` of a push by digest.
fn requested_tags(call: &Handling, reference: &Reference) -> Result<Vec<Tag>, ApiError> {
    let invalid = |message: String| ApiError::bad_request("TAG_INVALID", message);
    let tags: Result<Vec<Tag>, _> = call.call.query.all("tag").map(str::parse).collect();
    let tags = tags.map_err(|error| invalid(error.to_string()))?;
    if tags.len() > MAX_TAGS {
        return Err(invalid(format!("a push may set at most {MAX_TAGS} tags")));
    }
    if !tags.is_empty() && matches!(reference, Reference::Tag(_)) {
        return Err(invalid("`?tag=` goes with a push by digest; this one names its tag in the path".to_owned()));
    }
    Ok(tags)
}

async fn collect(body: RequestBody) -> Result<Vec<u8>, ApiError> {
    match Limited::new(body, MAX_MANIFEST_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => Err(RegistryError::ManifestTooLarge.into()),
        Err(_) => Err(ApiError::bad_request("MANIFEST_INVALID", "the manifest did not arrive whole")),
    }
}
