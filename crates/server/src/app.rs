//! What a server is made of, and the way of every request through it.

use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{Method, Request, StatusCode, Version};
use hyper::body::Incoming;
use shorepass_access::{Authoriser, Directory};
use shorepass_control::{Control, DEFAULT_REGISTRY, Recorder};
use shorepass_core::{Clock, Random, RegistryName, new_id};
use shorepass_identity::KeyRing;
use shorepass_registry::Registry;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::auth::{Authenticator, Failure};
use crate::call::{Call, Query};
use crate::error::ApiError;
use crate::faces::directory::{self, DirectoryRoute, Provider};
use crate::faces::management::{self, ManagementRoute, Managing, Problem};
use crate::faces::{distribution, tokens};
use crate::health::Health;
use crate::hosts::{BadHost, HostMatch, Hosts, authority_of};
use crate::metrics::Metrics;
use crate::net::{Listener, Origin, Service};
use crate::request_log::{Counted, Observation, RequestId};
use crate::respond::{self, Answer};
use crate::route::{Need, Route};

/// A request's body, its bytes counted as they are read.
pub type RequestBody = Counted<Incoming>;

/// How clients reach this server.
#[derive(Debug)]
pub struct Front {
    pub hosts: Hosts,
    /// `--domain` is set: every registry has a login server of its own.
    pub has_domain: bool,
    /// Host and port of the public listener, as a client on this machine writes them.
    pub authority: String,
    /// A connection to the public listener, for what is said where there is none.
    pub origin: Origin,
    pub endpoint: String,
    pub ca_file: Option<PathBuf>,
}

/// Everything a request may need.
#[derive(Debug)]
pub struct App {
    pub directory: Arc<Directory>,
    pub authoriser: Authoriser,
    pub registry: Arc<Registry>,
    pub control: Control,
    pub keys: Arc<KeyRing>,
    pub authenticator: Authenticator,
    pub provider: Provider,
    pub recorder: Arc<Recorder>,
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
    pub front: Front,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

impl App {
    pub fn new_id(&self) -> Uuid {
        new_id(&*self.clock, &*self.random)
    }

    fn observe(&self, request: &Request<Incoming>, origin: &Origin) -> Observation {
        let id = RequestId::of(request.headers(), origin, &*self.clock, &*self.random);
        Observation::begin(Arc::clone(&self.metrics), id, request.method(), origin)
    }
}

/// Serves the public listener.
#[derive(Debug)]
pub struct Public(pub Arc<App>);

/// Serves the administration socket.
#[derive(Debug)]
pub struct Administration(pub Arc<App>);

impl Service for Public {
    fn call(self: Arc<Self>, request: Request<Incoming>, origin: Origin) -> BoxFuture<'static, Answer> {
        async move {
            let mut observation = self.0.observe(&request, &origin);
            let (span, is_head) = (observation.span().clone(), request.method() == Method::HEAD);
            let answered = public(&self.0, &mut observation, request, origin).instrument(span).await;
            let mut answer = answered.unwrap_or_else(ApiError::into_answer);
            let headers = answer.headers_mut();
            headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            observation.finish(if is_head { respond::head(answer) } else { answer })
        }
        .boxed()
    }
}

/// What clients of the first hour look for.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

impl Service for Administration {
    fn call(self: Arc<Self>, request: Request<Incoming>, origin: Origin) -> BoxFuture<'static, Answer> {
        async move {
            let mut observation = self.0.observe(&request, &origin);
            let span = observation.span().clone();
            let answered = administration(&self.0, &mut observation, request, &origin).instrument(span).await;
            observation.finish(answered.unwrap_or_else(Problem::into_answer))
        }
        .boxed()
    }
}

async fn administration(
    app: &Arc<App>,
    observation: &mut Observation,
    request: Request<Incoming>,
    origin: &Origin,
) -> Result<Answer, Problem> {
    let Listener::Administration { uid, .. } = origin.listener else { return Err(Problem::forbidden()) };
    if let Some(answer) = management::description(request.uri().path(), request.method()) {
        observation.route(management::DESCRIPTION);
        return Ok(answer);
    }
    let route = ManagementRoute::parse(request.uri().path()).ok_or_else(Problem::not_found)?;
    observation.route(route.template());
    let query = Query::of(request.uri()).ok_or_else(|| Problem::bad_request("the query holds control characters"))?;
    let (parts, body) = request.into_parts();
    let call = Managing::operator(app, uid, observation.id().as_str().to_owned(), route, query, &parts.headers);
    Ok(management::answer(call, &parts.method, observation.counted(body)).await)
}

async fn public(
    app: &Arc<App>,
    observation: &mut Observation,
    request: Request<Incoming>,
    origin: Origin,
) -> Result<Answer, ApiError> {
    let (parts, body) = request.into_parts();
    let body = observation.counted(body);
    let authority = authority(&parts)?;
    let (name, at_front) = host_registry(app, authority, &origin)?;
    let authority = authority.unwrap_or(&app.front.authority).to_owned();
    // The registry's own routes first: they are the busy ones, and no other has a path of theirs.
    let route = match Route::parse(parts.uri.path()) {
        Ok(route) => route,
        Err(error) if at_front => {
            let answered = front(app, observation, parts, body, &origin, &authority).await;
            return answered.ok_or_else(|| error.into());
        }
        Err(error) => return Err(error.into()),
    };
    observation.route(route.template());
    let need = route.need(&parts.method).ok_or_else(|| ApiError::method_not_allowed(&route))?;
    if route == Route::Root {
        return Ok(greeting(app, &authority, &origin));
    }
    let hosts = &app.front.hosts;
    let record = app.directory.by_name(&name)?;
    let call = Call {
        app: Arc::clone(app),
        registry: record.ok_or_else(unknown_registry)?,
        login_server: hosts.login_server(&name, &authority, &origin),
        realm: hosts.realm(&authority, &origin),
        request_id: observation.id().as_str().to_owned(),
        query: Query::of(&parts.uri)
            .ok_or_else(|| ApiError::bad_request("UNSUPPORTED", "the query holds control characters"))?,
        method: parts.method,
        headers: parts.headers,
        origin,
    };
    if need == Need::Nothing {
        return token_service(call, &route, body, &authority, at_front).await;
    }
    let proven = call.app.authenticator.header(&call.headers, &call.registry, &call.login_server, call.origin.peer);
    let proven = proven.map_err(|failure| refuse_credential(&call, &need, &failure))?;
    distribution::answer(call, proven, route, need, body).await
}

/// What the server's own host serves besides registries: the directory, and the management API. `None` for other paths.
async fn front(
    app: &Arc<App>,
    observation: &mut Observation,
    parts: Parts,
    body: RequestBody,
    origin: &Origin,
    authority: &str,
) -> Option<Answer> {
    let base = app.front.hosts.base(authority, origin);
    if let Some(route) = DirectoryRoute::parse(parts.uri.path()) {
        observation.route(route.template());
        let id = observation.id().as_str().to_owned();
        return Some(directory::answer(app, &route, parts, body, origin, &id, base).await);
    }
    if !management::serves(parts.uri.path()) {
        return None;
    }
    Some(manage(app, observation, parts, body, origin, base).await.unwrap_or_else(Problem::into_answer))
}

/// The token service, and the keys its tokens are verified with.
async fn token_service(
    mut call: Call,
    route: &Route,
    body: RequestBody,
    authority: &str,
    at_front: bool,
) -> Result<Answer, ApiError> {
    let form = if call.method == Method::POST {
        let content_type = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Some(tokens::read_form(content_type, body).await?)
    } else {
        None
    };
    let service = form.as_ref().unwrap_or(&call.query).get("service").map(str::to_owned);
    serve_registry_of(&mut call, service.as_deref(), authority, at_front)?;
    Ok(tokens::answer(&call, route, form))
}

/// The management API, for callers with an identity token.
async fn manage(
    app: &Arc<App>,
    observation: &mut Observation,
    parts: Parts,
    body: RequestBody,
    origin: &Origin,
    base: String,
) -> Result<Answer, Problem> {
    if let Some(answer) = management::description(parts.uri.path(), &parts.method) {
        observation.route(management::DESCRIPTION);
        return Ok(answer);
    }
    let route = ManagementRoute::parse(parts.uri.path()).ok_or_else(Problem::not_found)?;
    observation.route(route.template());
    let query = Query::of(&parts.uri).ok_or_else(|| Problem::bad_request("the query holds control characters"))?;
    let id = observation.id().as_str().to_owned();
    let call = Managing::remote(app, origin, id, base, route, query, &parts.headers)?;
    Ok(management::answer(call, &parts.method, body).await)
}

/// The host a request was sent to. Only HTTP/1.0 may leave it out (RFC 9112, section 3.2).
fn authority(parts: &Parts) -> Result<Option<&str>, ApiError> {
    match authority_of(&parts.uri, &parts.headers) {
        Ok(None) if parts.version > Version::HTTP_10 => Err(BadHost),
        authority => authority,
    }
    .map_err(|error| ApiError::bad_request("UNSUPPORTED", error.to_string()))
}

/// Whose host this is, and whether it is the server's own. One that is not ours is told so before anything else is looked
/// at.
fn host_registry(app: &App, authority: Option<&str>, origin: &Origin) -> Result<(RegistryName, bool), ApiError> {
    match app.front.hosts.resolve(authority, origin) {
        HostMatch::Registry(name) => Ok((name, false)),
        HostMatch::Default => DEFAULT_REGISTRY.parse().map(|name| (name, true)).map_err(|_| unknown_registry()),
        HostMatch::Foreign => Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "UNSUPPORTED",
            "this server does not serve that host: use its own name or address, or set --external-url or --domain",
        )),
    }
}

fn unknown_registry() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "there is no registry of this name here")
}

/// The token service of a host answers for the registry of that host; that of the server's own host answers for all,
/// because every challenge leads there when an external URL is configured.
fn serve_registry_of(call: &mut Call, service: Option<&str>, authority: &str, at_front: bool) -> Result<(), ApiError> {
    let Some(service) = service.filter(|service| !service.is_empty()) else { return Ok(()) };
    let service = service.to_ascii_lowercase();
    if service == call.login_server {
        return Ok(());
    }
    let hosts = &call.app.front.hosts;
    if let (true, HostMatch::Registry(name)) = (at_front, hosts.resolve(Some(&service), &call.origin)) {
        let login_server = hosts.login_server(&name, authority, &call.origin);
        if login_server == service {
            call.registry = call.app.directory.by_name(&name)?.ok_or_else(unknown_registry)?;
            call.login_server = login_server;
            return Ok(());
        }
    }
    let message = format!("`service` must be the login server, `{}`", call.login_server);
    Err(ApiError::bad_request("UNSUPPORTED", message))
}

/// A credential that was shown and is not good.
fn refuse_credential(call: &Call, need: &Need, failure: &Failure) -> ApiError {
    call.sign_in_failed(failure);
    match failure.limited {
        Some(seconds) => ApiError::too_many_requests(seconds),
        None => call.challenge(need).unauthorized(Some("invalid_token")),
    }
}

/// For people who open the address in a browser.
fn greeting(app: &App, authority: &str, origin: &Origin) -> Answer {
    let base = app.front.hosts.base(authority, origin);
    let host = base.split_once("://").map_or(base.as_str(), |(_, host)| host);
    let text = format!(
        "This is a Shorepass container registry.\n\nSign in:  docker login {host}\nPull:     docker pull {host}/<repository>:<tag>\n"
    );
    respond::bytes(StatusCode::OK, "text/plain; charset=utf-8", text)
}
