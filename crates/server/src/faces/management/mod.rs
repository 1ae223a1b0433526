//! `/api/v1`: the native management API. Over the administration socket everybody who may open it is the operator; on the
//! public listener callers show an identity token of the management audience.

mod access;
mod applications;
mod groups;
mod identities;
mod issuers;
mod openapi;
mod operations;
mod people;
mod problem;
mod registries;
mod reply;
mod repositories;
mod roles;
mod route;
mod tenancy;
#[cfg(test)]
mod tests;
mod tokens;
mod trusts;
mod views;

use std::str::FromStr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, IF_MATCH};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use shorepass_access::Requester;
use shorepass_access::policy::Proof;
use shorepass_control::{Actor, Control, Expected, MAX_PAGE, Page};
use shorepass_core::{AuditEvent, CredentialKind, EventKind, Outcome, Principal, RegistryName};

use self::operations::Operation;
use crate::app::{App, RequestBody};
use crate::call::Query;
use crate::net::Origin;
use crate::respond::{self, Answer};
pub use openapi::PATH as DESCRIPTION;
pub use problem::Problem;
pub use route::ManagementRoute;

/// The body of a management call: a few settings, or a JWKS with the keys of a large provider.
const MAX_BODY: usize = 512 * 1024;

/// A management call.
pub struct Managing {
    pub app: Arc<App>,
    pub actor: Actor,
    pub route: ManagementRoute,
    pub query: Query,
    pub expected: Expected,
    pub body: Vec<u8>,
}

impl Managing {
    /// A call of the local operator, over the socket.
    pub fn operator(
        app: &Arc<App>,
        uid: u32,
        request_id: String,
        route: ManagementRoute,
        query: Query,
        headers: &HeaderMap,
    ) -> Self {
        let actor = Actor {
            requester: Requester::operator(uid),
            credential: CredentialKind::Socket,
            origin: "socket".to_owned(),
            request_id: Some(request_id),
            base: app.provider.base().to_owned(),
        };
        Self { app: Arc::clone(app), actor, route, query, expected: expected(headers), body: Vec::new() }
    }

    /// A call on the public listener, by whom an identity token of the management audience speaks for. `base` is this
    /// server's address as the client reached it.
    ///
    /// # Errors
    /// 401 without such a token, or with one whose principal or credential has ended.
    pub fn remote(
        app: &Arc<App>,
        origin: &Origin,
        request_id: String,
        base: String,
        route: ManagementRoute,
        query: Query,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        let requester = signed_in(app, headers, &base)?;
        let actor = Actor {
            requester,
            credential: CredentialKind::IdentityToken,
            origin: origin.peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string()),
            request_id: Some(request_id),
            base,
        };
        Ok(Self { app: Arc::clone(app), actor, route, query, expected: expected(headers), body: Vec::new() })
    }

    pub fn control(&self) -> &Control {
        &self.app.control
    }

    pub fn is_operator(&self) -> bool {
        matches!(self.actor.principal(), Principal::Operator { .. })
    }

    pub fn parameter(&self, name: &str) -> &str {
        self.route.parameter(name)
    }

    pub fn tenant(&self) -> &str {
        self.parameter("tenant")
    }

    /// The registry of the path; a name that cannot exist does not.
    pub fn registry(&self) -> Result<RegistryName, Problem> {
        let said = self.parameter("registry");
        said.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND, "there is no registry of that name"))
    }

    pub fn page(&self) -> Result<Page, Problem> {
        let n = self.read::<u32>("n", "a number of entries")?.unwrap_or(Page::default().n);
        if !(1..=MAX_PAGE).contains(&n) {
            return Err(Problem::bad_request(format!("`n` must be 1 to {MAX_PAGE}")));
        }
        Ok(Page { n, last: self.query.get("last").filter(|last| !last.is_empty()).map(str::to_owned) })
    }

    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.read(name, "true or false")?.unwrap_or(false))
    }

    /// A query parameter; an empty one is none.
    pub fn read<T: FromStr>(&self, name: &str, form: &str) -> Result<Option<T>, Problem> {
        let text = self.query.get(name).filter(|text| !text.is_empty());
        text.map(|text| text.parse().map_err(|_| Problem::bad_request(format!("`{name}` must be {form}")))).transpose()
    }
}

/// Whom the `Authorization` header proves.
fn signed_in(app: &App, headers: &HeaderMap, base: &str) -> Result<Requester, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Problem::unauthorized("this needs an identity token", base, None));
    };
    let refused = |why: &str| Problem::unauthorized(why, base, Some("invalid_token"));
    let token = value.to_str().ok().and_then(|text| text.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let token = token.ok_or_else(|| refused("this needs an identity token, as `Authorization: Bearer …`"))?;
    let claims = app.provider.tokens().verify(token, &[app.provider.base()]);
    let bound =
        claims.map_err(|_| refused("the identity token is not good, or not for this server's management"))?.shorepass;
    let proof = Proof { epoch: bound.epoch, root: bound.kind, root_id: bound.credential };
    let alive = app.directory.policy(|state| state.alive(&bound.principal, &proof));
    match alive {
        Ok(Ok(())) => Ok(Requester { principal: bound.principal, proof }),
        Ok(Err(why)) => Err(refused(&format!("{why}: sign in again"))),
        Err(_) => Err(Problem::unavailable()),
    }
}

/// `If-Match` with one of our etags, or `*`; anything else matches nothing (RFC 9110, 13.1.1).
fn expected(headers: &HeaderMap) -> Expected {
    let Some(value) = headers.get(IF_MATCH) else { return Expected::Anything };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Expected::Anything;
    }
    let etag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|text| text.parse().ok());
    etag.map_or(Expected::Nothing, Expected::Etag)
}

/// Answers a management call.
pub async fn answer(mut call: Managing, method: &Method, body: RequestBody) -> Answer {
    let answered = match read_body(body).await {
        Ok(body) => {
            call.body = body;
            dispatch(&call, method).await
        }
        Err(problem) => Err(problem),
    };
    let answer = answered.unwrap_or_else(|problem| refuse(&call, method, problem));
    respond::no_store(answer)
}

async fn dispatch(call: &Managing, method: &Method) -> Result<Answer, Problem> {
    let operation = call.route.operation(method).ok_or_else(|| Problem::method_not_allowed(&call.route.methods()))?;
    check_query(operation, &call.query)?;
    (operation.handler)(call).await
}

fn check_query(operation: &Operation, query: &Query) -> Result<(), Problem> {
    if let Some(unknown) = query.names().find(|name| !operation.query.contains(name)) {
        let unknown = shorepass_core::text::escaped(unknown, 64);
        let known = if operation.query.is_empty() { "none".to_owned() } else { operation.query.join(", ") };
        return Err(Problem::bad_request(format!("there is no query parameter `{unknown}` here; there is {known}")));
    }
    match query.repeated(operation.query) {
        Some(twice) => Err(Problem::bad_request(format!("`{twice}` is there more than once"))),
        None => Ok(()),
    }
}

/// What a caller may not do, and every change that was not made, is worth a line in the audit.
fn refuse(call: &Managing, method: &Method, problem: Problem) -> Answer {
    let (status, reason) = (problem.status, problem.detail().to_owned());
    let denied = status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED;
    if denied || *method != Method::GET {
        let actor = &call.actor;
        call.app.recorder.record(AuditEvent {
            id: call.app.new_id(),
            time: call.app.clock.now(),
            kind: if denied { EventKind::Denied } else { EventKind::Management },
            outcome: Outcome::Failure,
            reason: reason.clone(),
            registry: Some(call.parameter("registry")).filter(|name| !name.is_empty()).map(str::to_owned),
            repository: None,
            target: None,
            operation: Some(format!("{method} {}", call.route.template())),
            principal: actor.principal().id(),
            credential: actor.credential.as_str().to_owned(),
            origin: actor.origin.clone(),
            request_id: actor.request_id.clone(),
            count: 1,
            detail: None,
        });
    }
    if status == StatusCode::UNAUTHORIZED {
        return Problem::unauthorized(reason, &call.actor.base, Some("invalid_token")).into_answer();
    }
    problem.into_answer()
}

async fn read_body(body: RequestBody) -> Result<Vec<u8>, Problem> {
    let collected = Limited::new(body, MAX_BODY).collect().await;
    let collected = collected.map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long"))?;
    Ok(collected.to_bytes().to_vec())
}

/// Whether a path is the API's. On a registry's login server nothing is.
pub fn serves(raw_path: &str) -> bool {
    raw_path == route::PREFIX || raw_path.strip_prefix(route::PREFIX).is_some_and(|rest| rest.starts_with('/'))
}

/// The API's description, for everybody.
pub fn description(raw_path: &str, method: &Method) -> Option<Answer> {
    if raw_path != openapi::PATH {
        return None;
    }
    Some(match *method {
        Method::GET | Method::HEAD => respond::json(StatusCode::OK, openapi::document()),
        _ => Problem::method_not_allowed(&[Method::GET, Method::HEAD]).into_answer(),
    })
}
