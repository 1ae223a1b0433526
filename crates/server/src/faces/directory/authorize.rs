//! The authorization endpoint: code with PKCE, and nothing else (RFC 6749, 4.1; RFC 7636; OAuth 2.0 Security BCP).

use http::StatusCode;
use http::header::LOCATION;
use serde::{Deserialize, Serialize};
use url::Url;

use super::asking::Asking;
use super::audience::Audience;
use super::grants::{Code, SignedIn};
use super::pages::Refused;
use super::signing_in::{Browser, Purpose, Request};
use super::{pages, people};
use crate::call::Query;
use crate::respond::{self, Answer};

/// What may be there once.
const SINGLE: [&str; 11] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "login_hint",
];

/// More than any client's `state` and `nonce`.
const MAX_TEXT: usize = 2048;

/// BASE64URL of a SHA-256 digest.
const CHALLENGE: usize = 43;

/// What a client asked for, checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CodeRequest {
    client_id: String,
    redirect_uri: String,
    mode: Mode,
    state: Option<String>,
    nonce: Option<String>,
    scope: String,
    challenge: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Query,
    FormPost,
}

/// Why there is no code, as the client is told (RFC 6749, 4.1.2.1).
struct Fault(&'static str, String);

/// Shows the sign-in page, or tells what is wrong with the request: the person, while it is not known whose request it is;
/// the client after that.
pub fn answer(call: &Asking) -> Result<Answer, Refused> {
    let query = &call.query;
    if let Some(name) = query.repeated(&SINGLE) {
        return Err(Refused::bad_request(format!("The parameter `{name}` is there more than once.")));
    }
    let client_id = query.get("client_id").unwrap_or_default().to_ascii_lowercase();
    people::check_client(&client_id)?;
    let redirect_uri = query.get("redirect_uri").unwrap_or_default();
    if !is_own_machine(redirect_uri) {
        return Err(Refused::bad_request(
            "The application asked to be answered at an address that is not registered for it. The command line is \
             answered at http://localhost or http://127.0.0.1 only.",
        ));
    }
    let mode = match query.get("response_mode") {
        Some("form_post") => Mode::FormPost,
        _ => Mode::Query,
    };
    let mut request = CodeRequest {
        client_id,
        redirect_uri: redirect_uri.to_owned(),
        mode,
        state: query.get("state").map(str::to_owned),
        nonce: query.get("nonce").map(str::to_owned),
        scope: query.get("scope").unwrap_or_default().to_owned(),
        challenge: String::new(),
    };
    if request.state.as_ref().is_some_and(|state| state.len() > MAX_TEXT) {
        return Err(Refused::bad_request("`state` is too long."));
    }
    match check(call, query) {
        Ok(challenge) => request.challenge = challenge,
        Err(fault) => return back(call, &request, fault.fields()),
    }
    let browser = Browser::of(call);
    let hint = query.get("login_hint").unwrap_or_default();
    let page = pages::sign_in(call, &Request::new(call, &browser, Purpose::Code(request)), hint, None)?;
    Ok(browser.remember(page))
}

/// The challenge, if everything else is in order too.
fn check(call: &Asking, query: &Query) -> Result<String, Fault> {
    let is = |name: &str, values: &[&str]| query.get(name).is_some_and(|value| values.contains(&value));
    if query.get("request").is_some() || query.get("request_uri").is_some() {
        return Err(Fault("request_not_supported", "`request` and `request_uri` are not supported.".to_owned()));
    }
    if !is("response_type", &["code"]) {
        return Err(Fault("unsupported_response_type", "`response_type` must be `code`.".to_owned()));
    }
    if query.get("response_mode").is_some() && !is("response_mode", &["query", "form_post"]) {
        return Err(Fault("invalid_request", "`response_mode` must be `query` or `form_post`.".to_owned()));
    }
    if is("prompt", &["none"]) {
        return Err(Fault("login_required", "Nobody stays signed in here: somebody has to sign in.".to_owned()));
    }
    if query.get("nonce").is_some_and(|nonce| nonce.len() > MAX_TEXT) {
        return Err(Fault("invalid_request", "`nonce` is too long.".to_owned()));
    }
    let challenge = query.get("code_challenge").unwrap_or_default();
    let is_digest = challenge.len() == CHALLENGE
        && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !is("code_challenge_method", &["S256"]) || !is_digest {
        return Err(Fault("invalid_request", "PKCE is required: `code_challenge` of the method S256.".to_owned()));
    }
    // Better said before somebody signs in than after.
    let audience = Audience::of_scope(call, query.get("scope").unwrap_or_default());
    audience.map_err(|error| Fault(error.error, error.message))?;
    Ok(challenge.to_owned())
}

impl Fault {
    fn fields(self) -> Vec<(&'static str, String)> {
        vec![("error", self.0.to_owned()), ("error_description", self.1)]
    }
}

impl CodeRequest {
    /// Scheme, host and port of where the answer goes.
    pub fn target_origin(&self) -> Option<String> {
        Url::parse(&self.redirect_uri).ok().map(|url| url.origin().ascii_serialization())
    }
}

/// An address on the person's own machine, with any port (RFC 8252, 7.3; `localhost` is what MSAL uses).
fn is_own_machine(redirect_uri: &str) -> bool {
    let Some(rest) = redirect_uri.strip_prefix("http://") else { return false };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    is_port && matches!(host, "localhost" | "127.0.0.1")
}

/// A code for who has signed in.
pub async fn grant(call: &Asking, request: CodeRequest, who: SignedIn) -> Result<Answer, Refused> {
    let secret = call.provider().random_text();
    let code = Code {
        who,
        client_id: request.client_id.clone(),
        redirect_uri: request.redirect_uri.clone(),
        scope: request.scope.clone(),
        nonce: request.nonce.clone(),
        challenge: request.challenge.clone(),
    };
    call.provider().put_grant(&secret, &code).await?;
    back(call, &request, vec![("code", secret)])
}

/// The person cancelled.
pub fn denied(call: &Asking, request: &CodeRequest) -> Result<Answer, Refused> {
    back(call, request, Fault("access_denied", "The sign-in was cancelled.".to_owned()).fields())
}

/// Back to the client, with its `state`, and with who answers (RFC 9207).
fn back(call: &Asking, request: &CodeRequest, mut fields: Vec<(&'static str, String)>) -> Result<Answer, Refused> {
    fields.extend(request.state.clone().map(|state| ("state", state)));
    if let Some(tenant) = &call.tenant {
        fields.push(("iss", call.provider().tokens().issuer(tenant.guid)));
    }
    if request.mode == Mode::FormPost {
        return Ok(pages::send_on(&request.redirect_uri, request.target_origin(), &fields));
    }
    let mut to = Url::parse(&request.redirect_uri).map_err(|_| Refused::failed())?;
    to.query_pairs_mut().extend_pairs(&fields);
    let mut answer = respond::no_store(respond::status(StatusCode::SEE_OTHER));
    respond::set(&mut answer, LOCATION, to.as_str());
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_go_to_this_machine_only() {
        for own in [
            "http://localhost",
            "http://localhost/",
            "http://localhost:8400",
            "http://127.0.0.1:1/",
            "http://127.0.0.1:65535",
        ] {
            assert!(is_own_machine(own), "{own}");
        }
        for other in [
            "",
            "https://localhost",
            "http://localhost.evil.test",
            "http://localhost@evil.test",
            "http://localhost:80@evil.test",
            "http://localhost:1/path",
            "http://localhost:1?x",
            "http://localhost:1#x",
            "http://localhost:",
            "http://localhost:0",
            "http://localhost:+1",
            "http://localhost:65536",
            "http://LOCALHOST:1",
            "http://127.0.0.2:1",
            "http://127.1:1",
            "http://[::1]:1",
            "http:/\\evil.test",
            "http://localhost\\@evil.test",
            " http://localhost",
            "//localhost",
        ] {
            assert!(!is_own_machine(other), "{other}");
        }
    }
}
