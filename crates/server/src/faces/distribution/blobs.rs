//! Blobs: GET, HEAD, Range, DELETE.

use http::StatusCode;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use shorepass_access::{Delete, Pull};
use shorepass_core::{Digest, EventKind, RepositoryName};

use super::range::{Wanted, wanted};
use super::{Handling, has_already, not_modified, set_digest};
use crate::error::ApiError;
use crate::respond::{self, Answer};

pub async fn get(call: &Handling, name: &RepositoryName, digest: &Digest) -> Result<Answer, ApiError> {
    let permit = call.permit::<Pull>(name).await?;
    let blob = call.registry().blob(&permit, digest).await?;
    if has_already(&call.call.headers, digest.as_str()) {
        return Ok(not_modified(digest.as_str()));
    }
    let (status, part) = match wanted(&call.call.headers, blob.size, digest.as_str()) {
        Wanted::All => (StatusCode::OK, 0..blob.size),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::Unsatisfiable => return Err(unsatisfiable(blob.size)),
    };
    let length = part.end - part.start;
    let mut answer = if call.is_head() {
        let mut answer = respond::status(status);
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        answer
    } else {
        respond::stream(status, length, call.registry().read_blob(&blob, part.clone()).await?)
    };
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{}", part.start, part.end - 1, blob.size);
        respond::set(&mut answer, CONTENT_RANGE, &range);
    }
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    answer.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    set_digest(&mut answer, digest.as_str());
    if !call.is_head() {
        call.record(EventKind::Pull, name, digest.to_string());
    }
    Ok(answer)
}

pub async fn delete(call: &Handling, name: &RepositoryName, digest: &Digest) -> Result<Answer, ApiError> {
    let permit = call.permit::<Delete>(name).await?;
    call.registry().delete_blob(&permit, digest).await?;
    call.record(EventKind::Delete, name, digest.to_string());
    Ok(respond::status(StatusCode::ACCEPTED))
}

fn unsatisfiable(size: u64) -> ApiError {
    let message = format!("the range is not within the blob's {size} bytes");
    ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", message)
        .with(CONTENT_RANGE, format!("bytes */{size}"))
}
