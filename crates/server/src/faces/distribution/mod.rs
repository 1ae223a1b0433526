//! `/v2/`: OCI distribution 1.1.

mod blobs;
mod lists;
mod manifests;
mod range;
mod uploads;

use crate::app::RequestBody;
use http::header::{ETAG, HeaderName, IF_NONE_MATCH};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use shorepass_core::{EventKind, RepositoryName};

use crate::auth::Proven;
use crate::call::{Call, Happening};
use crate::error::ApiError;
use crate::respond::{self, Answer};
use crate::route::{Need, Route};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Answers a request whose route and need are known.
pub async fn answer(
    call: Call,
    proven: Proven,
    route: Route,
    need: Need,
    body: RequestBody,
) -> Result<Answer, ApiError> {
    let call = Handling { call, proven, need };
    match (route, call.call.method.clone()) {
        (Route::Ping, _) => ping(&call),
        (Route::Catalog, _) => lists::catalog(&call).await,
        (Route::Tags(name), _) => lists::tags(&call, &name).await,
        (Route::Referrers(name, digest), _) => lists::referrers(&call, &name, &digest).await,
        (Route::Manifest(name, reference), Method::PUT) => manifests::put(&call, &name, &reference, body).await,
        (Route::Manifest(name, reference), Method::DELETE) => manifests::delete(&call, &name, &reference).await,
        (Route::Manifest(name, reference), _) => manifests::get(&call, &name, &reference).await,
        (Route::Blob(name, digest), Method::DELETE) => blobs::delete(&call, &name, &digest).await,
        (Route::Blob(name, digest), _) => blobs::get(&call, &name, &digest).await,
        (Route::Uploads(name), _) => uploads::begin(&call, &name, body).await,
        (Route::Upload(name, id), Method::PATCH) => uploads::append(&call, &name, id, body).await,
        (Route::Upload(name, id), Method::PUT) => uploads::complete(&call, &name, id, body).await,
        (Route::Upload(name, id), Method::DELETE) => uploads::cancel(&call, &name, id).await,
        (Route::Upload(name, id), _) => uploads::status(&call, &name, id).await,
        (Route::Token | Route::Exchange | Route::Keys | Route::Certificates | Route::Root, _) => {
            Err(ApiError::not_found())
        }
    }
}

/// A call with who makes it and what it needs.
struct Handling {
    call: Call,
    proven: Proven,
    need: Need,
}

impl Handling {
    async fn permit<A: shorepass_access::Grant>(
        &self,
        name: &RepositoryName,
    ) -> Result<shorepass_access::Permit<A>, ApiError> {
        self.call.permit(&self.proven, name, &self.need).await
    }

    fn record(&self, kind: EventKind, name: &RepositoryName, target: String) {
        self.call.record(&self.proven.caller, Happening::success(kind, "done").on(name).target(target));
    }

    fn registry(&self) -> &std::sync::Arc<shorepass_registry::Registry> {
        &self.call.app.registry
    }

    fn is_head(&self) -> bool {
        self.call.method == Method::HEAD
    }
}

fn ping(call: &Handling) -> Result<Answer, ApiError> {
    let signed_in = call.call.app.authoriser.signed_in(&call.proven.caller);
    signed_in.map_err(|denial| call.call.refuse(&call.proven, &call.need, &denial, None))?;
    // `helm registry login` and others sign in with nothing but this.
    call.call.signed_in(&call.proven.caller);
    Ok(respond::json(StatusCode::OK, &json!({})))
}

/// Content is named by its digest, so that is its entity tag.
fn set_digest(answer: &mut Answer, digest: &str) {
    respond::set(answer, CONTENT_DIGEST, digest);
    respond::set(answer, ETAG, &format!("\"{digest}\""));
}

/// Whether the client says that it has this content already.
fn has_already(headers: &HeaderMap, digest: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim().trim_start_matches("W/").trim_matches('"');
        tag == digest || tag == "*"
    })
}

fn not_modified(digest: &str) -> Answer {
    let mut answer = respond::status(StatusCode::NOT_MODIFIED);
    set_digest(&mut answer, digest);
    answer
}
