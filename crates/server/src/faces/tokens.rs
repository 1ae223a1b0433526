//! `/oauth2/`: the token service of docker's specification, with the forms Azure's clients use
//! (contracts/azure-clients.md 7; what-the-documents-say.md 2a).

use std::sync::Arc;

use crate::app::RequestBody;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};
use shorepass_access::{Caller, Ceiling, Denial};
use shorepass_core::{CredentialKind, EventKind, Outcome, Principal, Timestamp, TokenScope};
use shorepass_identity::{
    ACCESS_LIFE, Access, Binding, CONTAINER_REGISTRY_AUDIENCE, Claims, GrantType, ISSUER, REFRESH_LIFE, TokenError,
};

use crate::auth::{Authorization, Failure, Proven};
use crate::call::{Call, Happening, Query};
use crate::error::ApiError;
use crate::respond::{self, Answer};
use crate::route::Route;

/// A form holds a token or two and up to 16 KiB of scopes, percent-encoded.
const MAX_FORM: usize = 128 * 1024;

/// What a token request says at most once; only `scope` may be repeated.
const SINGLE: [&str; 11] = [
    "service",
    "account",
    "client_id",
    "tenant",
    "grant_type",
    "username",
    "password",
    "refresh_token",
    "access_token",
    "offline_token",
    "access_type",
];

/// Answers the token service's routes. `call.registry` is the one that `service` names.
pub fn answer(call: &Call, route: &Route, form: Option<Query>) -> Answer {
    let parameters = form.as_ref().unwrap_or(&call.query);
    let answered = match route {
        Route::Keys => return respond::json(StatusCode::OK, &call.app.keys.jwks()),
        Route::Certificates => {
            return respond::bytes(StatusCode::OK, "application/x-pem-file", call.app.keys.certificates_pem());
        }
        _ => token_answer(call, route, parameters),
    };
    respond::no_store(answered.unwrap_or_else(|refusal| refusal.into_answer(call)))
}

fn token_answer(call: &Call, route: &Route, parameters: &Query) -> Result<Answer, Refusal> {
    if let Some(name) = parameters.repeated(&SINGLE) {
        return Err(Refusal::Request("invalid_request", format!("`{name}` may be given only once")));
    }
    match (route, &call.method) {
        (Route::Exchange, _) => exchange(call, parameters),
        (_, &Method::POST) => post(call, parameters),
        _ => get(call),
    }
}

/// Reads the body of a POST.
pub async fn read_form(content_type: Option<&str>, body: RequestBody) -> Result<Query, ApiError> {
    let is_form = content_type
        .and_then(|text| text.split(';').next())
        .is_some_and(|text| text.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    if !is_form {
        let message = format!("send the parameters as a form: `{CONTENT_TYPE}: application/x-www-form-urlencoded`");
        return Err(ApiError::bad_request("UNSUPPORTED", message));
    }
    let body = Limited::new(body, MAX_FORM).collect().await;
    let body = body.map_err(|_| ApiError::bad_request("UNSUPPORTED", "the form is longer than 128 KiB"))?.to_bytes();
    let text = std::str::from_utf8(&body);
    Ok(Query::parse(text.map_err(|_| ApiError::bad_request("UNSUPPORTED", "the form is not UTF-8"))?))
}

/// Why no token was issued.
enum Refusal {
    /// The request itself is wrong. OAuth's error code, and what to do.
    Request(&'static str, String),
    /// The credential is.
    Credential(Failure),
    Api(ApiError),
}

impl Refusal {
    fn into_answer(self, call: &Call) -> Answer {
        call.app.metrics.count_token("access_token", Outcome::Failure);
        let (status, code, error, message) = match self {
            Self::Api(error) => return error.into_answer(),
            Self::Request(error, message) => (StatusCode::BAD_REQUEST, "UNSUPPORTED", error, message),
            Self::Credential(Failure { limited: Some(seconds), .. }) => {
                return ApiError::too_many_requests(seconds).into_answer();
            }
            Self::Credential(_) => {
                (StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "invalid_grant", "authentication required".to_owned())
            }
        };
        // Both kinds of client find their error: docker's in `errors`, OAuth's in `error` (RFC 6749, 5.2).
        let body = json!({
            "error": error, "error_description": message, "errors": [{"code": code, "message": message}],
        });
        let mut answer = respond::json(status, &body);
        if status == StatusCode::UNAUTHORIZED {
            respond::set(&mut answer, WWW_AUTHENTICATE, &format!("Basic realm=\"{}\"", call.login_server));
        }
        answer
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

fn get(call: &Call) -> Result<Answer, Refusal> {
    let query = &call.query;
    let scopes = requested(query)?;
    let source = call.origin.peer;
    let proven = call.app.authenticator.header(&call.headers, &call.registry, &call.login_server, source);
    let proven = match (proven, Authorization::of(&call.headers)) {
        // Some clients say whom they sign in as; a token for somebody else is not what they want.
        (Ok(proven), Ok(Authorization::Basic { user, .. }))
            if !user.is_empty() && query.get("account").is_some_and(|account| !account.eq_ignore_ascii_case(&user)) =>
        {
            Err(Failure {
                claimed: "account".to_owned(),
                credential: proven.caller.credential,
                reason: "`account` is not who signed in".to_owned(),
                limited: None,
            })
        }
        (proven, _) => proven,
    };
    let proven = signed_in(call, proven)?;
    let offline = matches!(query.get("offline_token"), Some("true" | "1"));
    issue(call, &proven, &scopes, offline)
}

fn post(call: &Call, form: &Query) -> Result<Answer, Refusal> {
    let scopes = requested(form)?;
    let (registry, login_server) = (&call.registry, call.login_server.as_str());
    let authenticator = &call.app.authenticator;
    let offline =
        matches!(form.get("access_type"), Some("offline")) || matches!(form.get("offline_token"), Some("true"));
    let proven = match form.get("grant_type") {
        Some("refresh_token") => {
            let token = required(form, "refresh_token")?;
            authenticator.token(token, registry, login_server, &[GrantType::RefreshToken])
        }
        Some("password") => match (form.get("username"), form.get("password")) {
            (None | Some(""), None | Some("")) => Ok(Proven::anonymous(Arc::clone(registry))),
            (user, password) => authenticator.password(
                user.unwrap_or_default(),
                password.unwrap_or_default(),
                registry,
                login_server,
                call.origin.peer,
            ),
        },
        other => return Err(unsupported_grant(other, "`refresh_token` or `password`")),
    };
    issue(call, &signed_in(call, proven)?, &scopes, offline)
}

/// An identity's token becomes a refresh token. One of the directory's begins a new 3 h; one of a registry's own keeps its
/// expiry and its ceiling.
fn exchange(call: &Call, form: &Query) -> Result<Answer, Refusal> {
    match form.get("grant_type") {
        // `access_token_refresh_token` is what AKS nodes still send; the refresh token beside it is not needed.
        Some("access_token" | "access_token_refresh_token") => {}
        other => return Err(unsupported_grant(other, "`access_token`")),
    }
    let token = required(form, "access_token")?;
    let either = [GrantType::RefreshToken, GrantType::AccessToken];
    let own = call.app.authenticator.token(token, &call.registry, &call.login_server, &either);
    let proven = own.or_else(|failure| identity(call, token).unwrap_or(Err(failure)));
    let proven = signed_in(call, proven)?;
    let claims = refresh_claims(call, &proven);
    let token = sign(call, &claims)?;
    audit_token(call, &proven, "refresh token", &[]);
    call.app.metrics.count_token("refresh_token", Outcome::Success);
    Ok(respond::json(StatusCode::OK, &json!({"refresh_token": token})))
}

/// A token of the directory's, for this registry, for registries in general, or (as clients of old have it) for management
/// where the registry takes those (azureADAuthenticationAsArmPolicy). `None` for what is no token of the directory's.
fn identity(call: &Call, token: &str) -> Option<Result<Proven, Failure>> {
    let mut audiences = vec![CONTAINER_REGISTRY_AUDIENCE, call.login_server.as_str()];
    if call.registry.registry.settings.authentication_as_arm {
        audiences.push(call.app.provider.base());
    }
    let claims = match call.app.provider.tokens().verify(token, &audiences) {
        Ok(claims) => claims,
        Err(TokenError::Malformed) => return None,
        Err(error) => {
            return Some(Err(Failure {
                claimed: "identity token".to_owned(),
                credential: CredentialKind::IdentityToken,
                reason: error.to_string(),
                limited: None,
            }));
        }
    };
    let binding = &claims.shorepass;
    let caller = Caller {
        principal: binding.principal.clone(),
        credential: CredentialKind::IdentityToken,
        root: binding.kind,
        root_id: binding.credential,
        epoch: binding.epoch,
        began: Some(Timestamp::from_millis(binding.issued_ms)),
        origin: call.origin.peer,
        ..Caller::anonymous(Arc::clone(&call.registry))
    };
    let expires = binding.not_after.map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000)));
    Some(Ok(Proven { caller, expires }))
}

fn unsupported_grant(grant: Option<&str>, supported: &str) -> Refusal {
    match grant {
        Some(_) => Refusal::Request("unsupported_grant_type", format!("`grant_type` must be {supported}")),
        None => Refusal::Request("invalid_request", format!("`grant_type` is missing; it must be {supported}")),
    }
}

fn required<'a>(form: &'a Query, name: &str) -> Result<&'a str, Refusal> {
    let value = form.get(name).filter(|value| !value.is_empty());
    value.ok_or_else(|| Refusal::Request("invalid_request", format!("`{name}` is missing")))
}

fn requested(query: &Query) -> Result<Vec<TokenScope>, Refusal> {
    TokenScope::parse_all(query.all("scope")).map_err(|error| Refusal::Request("invalid_scope", error.to_string()))
}

/// Checks that what was proved is still good, and audits the sign-in.
fn signed_in(call: &Call, proven: Result<Proven, Failure>) -> Result<Proven, Refusal> {
    let proven = match proven {
        Ok(proven) => proven,
        Err(failure) => {
            call.sign_in_failed(&failure);
            return Err(Refusal::Credential(failure));
        }
    };
    let anonymous = matches!(proven.caller.principal, Principal::Anonymous);
    if anonymous && !proven.caller.registry.registry.settings.anonymous_pull_enabled {
        return Err(Refusal::Credential(Failure {
            claimed: "anonymous".to_owned(),
            credential: CredentialKind::None,
            reason: "anonymous pull is off".to_owned(),
            limited: None,
        }));
    }
    if let (false, Err(denial)) = (anonymous, call.app.authoriser.signed_in(&proven.caller)) {
        return Err(denied(call, &proven.caller, &denial));
    }
    call.signed_in(&proven.caller);
    Ok(proven)
}

/// The credential is in order, but what it speaks for is not any more.
fn denied(call: &Call, caller: &Caller, denial: &Denial) -> Refusal {
    if matches!(denial, Denial::Outage(_) | Denial::Store(_)) {
        return Refusal::Api(ApiError::unavailable());
    }
    let failure = Failure {
        claimed: caller.principal.id(),
        credential: caller.credential,
        reason: denial.to_string(),
        limited: None,
    };
    call.sign_in_failed(&failure);
    Refusal::Credential(failure)
}

fn issue(call: &Call, proven: &Proven, scopes: &[TokenScope], with_refresh: bool) -> Result<Answer, Refusal> {
    let caller = &proven.caller;
    let granted = call.app.authoriser.grant(caller, scopes).map_err(|denial| denied(call, caller, &denial))?;
    let access: Vec<Access> = granted.iter().filter_map(access_entry).collect();
    let now = call.app.clock.now();
    let expires = at_most(now.plus(ACCESS_LIFE), proven.expires);
    let claims = claims(call, proven, GrantType::AccessToken, expires, Some(access.clone()));
    let token = sign(call, &claims)?;
    let mut body = json!({
        "access_token": token,
        "token": token,
        "expires_in": claims.exp.saturating_sub(claims.iat),
        "issued_at": Timestamp::from_millis(claims.iat.saturating_mul(1000)),
    });
    if with_refresh && !matches!(caller.principal, Principal::Anonymous) {
        body["refresh_token"] = json!(sign(call, &refresh_claims(call, proven))?);
    }
    audit_token(call, proven, "access token", &access);
    call.app.metrics.count_token("access_token", Outcome::Success);
    Ok(respond::json(StatusCode::OK, &body))
}

/// Only an identity credential begins a new 3 h; what comes of a token ends with it, and reaches no further.
fn refresh_claims(call: &Call, proven: &Proven) -> Claims {
    let expires = at_most(call.app.clock.now().plus(REFRESH_LIFE), proven.expires);
    let ceiling = match &proven.caller.ceiling {
        Ceiling::Open => None,
        Ceiling::Scopes(scopes) => Some(scopes.iter().filter_map(access_entry).collect()),
    };
    claims(call, proven, GrantType::RefreshToken, expires, ceiling)
}

fn claims(
    call: &Call,
    proven: &Proven,
    grant_type: GrantType,
    expires: Timestamp,
    access: Option<Vec<Access>>,
) -> Claims {
    let (caller, now) = (&proven.caller, call.app.clock.now());
    Claims {
        iss: ISSUER.to_owned(),
        aud: call.login_server.clone(),
        sub: caller.principal.id(),
        jti: call.app.new_id(),
        iat: now.seconds(),
        nbf: now.seconds(),
        exp: expires.seconds(),
        version: "1.0".to_owned(),
        grant_type,
        tenant: None,
        access,
        shorepass: Binding {
            registry: caller.registry.registry.id,
            principal: caller.principal.clone(),
            credential: caller.root_id,
            kind: caller.root,
            epoch: caller.epoch,
            issued_ms: caller.issued.unwrap_or(now).millis(),
        },
    }
}

fn at_most(time: Timestamp, bound: Option<Timestamp>) -> Timestamp {
    bound.map_or(time, |bound| time.min(bound))
}

fn access_entry(scope: &TokenScope) -> Option<Access> {
    match scope {
        TokenScope::Repository { name, actions } if !actions.is_empty() => Some(Access {
            kind: "repository".to_owned(),
            name: name.to_string(),
            actions: actions.iter().map(|action| action.wire().to_owned()).collect(),
        }),
        TokenScope::Catalog => {
            Some(Access { kind: "registry".to_owned(), name: "catalog".to_owned(), actions: vec!["*".to_owned()] })
        }
        TokenScope::Repository { .. } | TokenScope::Unknown { .. } => None,
    }
}

fn sign(call: &Call, claims: &Claims) -> Result<String, Refusal> {
    call.app.keys.sign(claims).map_err(|error| match error {
        TokenError::TooLong => Refusal::Request(
            "invalid_scope",
            "a token for all these scopes would be too long: split the request".to_owned(),
        ),
        error => {
            tracing::error!(%error, "a token could not be signed");
            Refusal::Api(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "no token could be signed"))
        }
    })
}

fn audit_token(call: &Call, proven: &Proven, what: &str, access: &[Access]) {
    let detail: Vec<Value> =
        access.iter().map(|a| json!(format!("{}:{}:{}", a.kind, a.name, a.actions.join(",")))).collect();
    let detail = (!detail.is_empty()).then_some(Value::Array(detail));
    call.record(&proven.caller, Happening::success(EventKind::Token, "issued").target(what).detail(detail));
}
