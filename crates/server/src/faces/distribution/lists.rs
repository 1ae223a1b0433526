//! Lists: catalog, tags, referrers.

use http::StatusCode;
use http::header::{HeaderName, LINK};
use serde_json::json;
use shorepass_access::{MetadataRead, Pull};
use shorepass_core::{Digest, RepositoryName};
use shorepass_registry::Page;

use super::Handling;
use crate::error::ApiError;
use crate::respond::{self, Answer};

/// Entries on a page: what is sent when nothing is asked, and the most that is.
const PAGE: u32 = 1000;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

pub async fn catalog(call: &Handling) -> Result<Answer, ApiError> {
    let permit = call.call.app.authoriser.catalog(&call.proven.caller);
    let permit = permit.map_err(|denial| call.call.refuse(&call.proven, &call.need, &denial, None))?;
    let page = page(call)?;
    let listed = call.registry().catalog(&permit, &page).await?;
    let names: Vec<&str> = listed.entries.iter().map(|row| row.name.as_str()).collect();
    let next = next(&listed, names.last().copied());
    let mut answer = respond::json(StatusCode::OK, &json!({"repositories": names}));
    link(&mut answer, "/v2/_catalog", &page, next);
    Ok(answer)
}

pub async fn tags(call: &Handling, name: &RepositoryName) -> Result<Answer, ApiError> {
    let permit = call.permit::<MetadataRead>(name).await?;
    let page = page(call)?;
    let listed = call.registry().tags(&permit, &page).await?;
    let names: Vec<&str> = listed.entries.iter().map(|row| row.name.as_str()).collect();
    let next = next(&listed, names.last().copied());
    let mut answer = respond::json(StatusCode::OK, &json!({"name": name, "tags": names}));
    link(&mut answer, &format!("/v2/{name}/tags/list"), &page, next);
    Ok(answer)
}

pub async fn referrers(call: &Handling, name: &RepositoryName, subject: &Digest) -> Result<Answer, ApiError> {
    let permit = call.permit::<Pull>(name).await?;
    let artifact_type = call.call.query.get("artifactType").filter(|text| !text.is_empty());
    let page = page(call)?;
    let last = page.last.as_deref();
    let found = call.registry().referrers(&permit, subject, artifact_type, last, page.n).await?;
    let mut answer = respond::json_as(StatusCode::OK, "application/vnd.oci.image.index.v1+json", &found.index);
    if let Some(artifact_type) = artifact_type {
        respond::set(&mut answer, FILTERS_APPLIED, "artifactType");
        let kind: String = url::form_urlencoded::byte_serialize(artifact_type.as_bytes()).collect();
        let path = format!("/v2/{name}/referrers/{subject}");
        link(&mut answer, &format!("{path}?artifactType={kind}"), &page, found.next.as_deref());
    } else {
        link(&mut answer, &format!("/v2/{name}/referrers/{subject}"), &page, found.next.as_deref());
    }
    Ok(answer)
}

/// Reads `n` and `last`. A larger `n` than we serve is cut, not refused: the `Link` tells the client to go on.
fn page(call: &Handling) -> Result<Page, ApiError> {
    let n = match call.call.query.get("n") {
        None => PAGE,
        Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse::<u32>().unwrap_or(PAGE).min(PAGE)
        }
        Some(_) => {
            let message = "`n` must be a number of entries, 0 or more";
            return Err(ApiError::bad_request("PAGINATION_NUMBER_INVALID", message));
        }
    };
    Ok(Page { last: call.call.query.get("last").filter(|text| !text.is_empty()).map(str::to_owned), n })
}

fn next<'a, T>(listed: &shorepass_registry::Listed<T>, last: Option<&'a str>) -> Option<&'a str> {
    last.filter(|_| listed.more)
}

/// RFC 8288: where the next page is; relative, as the specification has it.
fn link(answer: &mut Answer, path: &str, page: &Page, next: Option<&str>) {
    if let Some(last) = next {
        let last: String = url::form_urlencoded::byte_serialize(last.as_bytes()).collect();
        let mark = if path.contains('?') { '&' } else { '?' };
        respond::set(answer, LINK, &format!("<{path}{mark}last={last}&n={}>; rel=\"next\"", page.n));
    }
}
