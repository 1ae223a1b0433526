//! The directory: one OpenID provider per tenant (issue 3, section 1), with the paths and errors that Azure's clients know
//! (contracts/azure-clients.md 3). It is served on the server's own host only, never on a registry's login server.

mod asking;
mod audience;
mod authorize;
mod clients;
mod device;
mod discovery;
mod error;
mod exchange;
mod grants;
mod invitation;
mod local;
mod outside;
mod pages;
mod people;
mod provider;
mod redeem;
mod route;
mod signing_in;
mod tenants;
#[cfg(test)]
mod tests;
mod throttle;
mod token;

use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE};
use http::request;
use http::{Method, StatusCode};

use self::asking::Asking;
use self::error::OAuthError;
use self::pages::Refused;
use self::route::Place;
use crate::app::{App, RequestBody};
use crate::call::Query;
use crate::faces::tokens;
use crate::net::Origin;
use crate::respond::{self, Answer};

pub use self::provider::{Parts, Provider};
pub use self::route::DirectoryRoute;

/// Answers a request to the directory. `base` is this server's address as the client reached it, without a slash at the
/// end.
pub async fn answer(
    app: &Arc<App>,
    route: &DirectoryRoute,
    parts: request::Parts,
    body: RequestBody,
    origin: &Origin,
    request_id: &str,
    base: String,
) -> Answer {
    let call = Asking {
        app: Arc::clone(app),
        tenant: None,
        origin: origin.clone(),
        request_id: request_id.to_owned(),
        base,
        query: Query::default(),
        headers: parts.headers,
    };
    if !route.methods().contains(&parts.method) {
        return method_not_allowed(route);
    }
    let Some(query) = Query::of(&parts.uri) else {
        return fault(&call, route.place, OAuthError::invalid_request("The query holds control characters."));
    };
    let tenant = match Asking::find_tenant(app, &route.tenant, is_page(route.place)).await {
        Ok(tenant) => tenant,
        Err(error) => return fault(&call, route.place, error),
    };
    let call = Asking { tenant, query, ..call };
    let form = match form(&call, &parts.method, body).await {
        Ok(form) => form,
        Err(error) => return fault(&call, route.place, error),
    };
    if is_page(route.place) {
        page(&call, route.place, form).await.unwrap_or_else(Refused::into_answer)
    } else {
        program(&call, route.place, &form.unwrap_or_default()).await.unwrap_or_else(|error| oauth(&call, error))
    }
}

/// Whether people look at it, and not programs.
fn is_page(place: Place) -> bool {
    match place {
        Place::Authorize | Place::Device | Place::SignIn | Place::Outside | Place::Callback | Place::Invitation => true,
        Place::Discovery | Place::Keys | Place::Token | Place::DeviceCode | Place::Logout => false,
    }
}

async fn page(call: &Asking, place: Place, form: Option<Query>) -> Result<Answer, Refused> {
    match (place, form) {
        (Place::Device, Some(form)) => device::enter(call, &form).await,
        (Place::Device, None) => Ok(device::page(call)),
        (Place::Invitation, Some(form)) => invitation::accept(call, &form).await,
        (Place::Invitation, None) => Ok(invitation::page(call)),
        (Place::SignIn, form) => signing_in::post(call, &form.unwrap_or_default()).await,
        (Place::Outside, _) => outside::leave(call).await,
        (Place::Callback, _) => outside::come_back(call).await,
        _ => authorize::answer(call),
    }
}

async fn program(call: &Asking, place: Place, form: &Query) -> Result<Answer, OAuthError> {
    match place {
        Place::Keys => Ok(discovery::keys(call)),
        Place::Token => token::answer(call, form).await,
        Place::DeviceCode => device::begin(call, form).await,
        Place::Logout => outside::logout(call, form).await,
        _ => Ok(discovery::document(call)),
    }
}

/// The form of a POST; nothing for another method.
async fn form(call: &Asking, method: &Method, body: RequestBody) -> Result<Option<Query>, OAuthError> {
    if *method != Method::POST {
        return Ok(None);
    }
    let content_type = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let form =
        tokens::read_form(content_type, body).await.map_err(|error| OAuthError::invalid_request(error.message))?;
    Ok(Some(form))
}

fn fault(call: &Asking, place: Place, error: OAuthError) -> Answer {
    if is_page(place) { Refused::from(error).into_answer() } else { oauth(call, error) }
}

fn oauth(call: &Asking, error: OAuthError) -> Answer {
    error.into_answer(&call.request_id, call.correlation(), call.app.clock.now())
}

fn method_not_allowed(route: &DirectoryRoute) -> Answer {
    let allowed: Vec<&str> = route.methods().iter().map(Method::as_str).collect();
    let mut answer = respond::no_store(respond::status(StatusCode::METHOD_NOT_ALLOWED));
    respond::set(&mut answer, ALLOW, &allowed.join(", "));
    answer
}
