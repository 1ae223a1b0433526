//! A sign-in under way. What it is for travels with the page, sealed and bound to the browser by a cookie: nothing is
//! stored for somebody who has proved nothing, and no other page can finish what this browser did not begin.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{COOKIE, ORIGIN, SET_COOKIE};
use serde::{Deserialize, Serialize};
use shorepass_core::Timestamp;
use uuid::Uuid;

use super::asking::Asking;
use super::grants::SignedIn;
use super::pages::Refused;
use super::{authorize, device, pages, provider};
use crate::call::Query;
use crate::respond::{self, Answer};

/// How long a sign-in page can be used.
const LIFE: Duration = Duration::from_secs(15 * 60);

const CONTEXT: &str = "sign-in request 1";

/// With its prefix a browser takes it from this very host only, and over TLS only.
const COOKIE_NAME: &str = "__Host-shorepass-sign-in";

/// Plain HTTP is for this machine alone.
const PLAIN_COOKIE_NAME: &str = "shorepass-sign-in";

/// The random part of the cookie.
const COOKIE_LENGTH: usize = 43;

/// What is done for a person who has signed in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// The tenant the address named.
    pub tenant: Option<Uuid>,
    /// A digest of the browser's cookie.
    browser: String,
    ends: Timestamp,
    pub purpose: Purpose,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Code(authorize::CodeRequest),
    /// The device that shows this code.
    Device {
        user_code: String,
    },
}

/// The browser's cookie, and the header that sets it when it has none.
pub struct Browser {
    value: String,
    secure: bool,
    is_new: bool,
}

impl Browser {
    /// The one that asks; a new one if it is not known yet.
    pub fn of(call: &Asking) -> Self {
        let secure = call.base.starts_with("https://");
        match cookie(&call.headers, name(secure)) {
            Some(value) => Self { value, secure, is_new: false },
            None => Self { value: call.provider().random_text(), secure, is_new: true },
        }
    }

    pub fn remember(&self, mut answer: Answer) -> Answer {
        if self.is_new {
            let life = LIFE.as_secs();
            set_cookie(&mut answer, self.secure, &format!("{}; Max-Age={life}", self.value));
        }
        answer
    }
}

fn name(secure: bool) -> &'static str {
    if secure { COOKIE_NAME } else { PLAIN_COOKIE_NAME }
}

/// Lax: the way back from an outside provider is a link on another site.
fn set_cookie(answer: &mut Answer, secure: bool, value: &str) {
    let guard = if secure { "; Secure" } else { "" };
    respond::set(answer, SET_COOKIE, &format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{guard}", name(secure)));
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let value = pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name)?.1;
    let is_ours =
        value.len() == COOKIE_LENGTH && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    is_ours.then(|| value.to_owned())
}

impl Request {
    pub fn new(call: &Asking, browser: &Browser, purpose: Purpose) -> Self {
        Self {
            tenant: call.tenant.as_ref().map(|tenant| tenant.guid),
            browser: provider::s256(&browser.value),
            ends: call.provider().clock.now().plus(LIFE),
            purpose,
        }
    }

    pub fn seal(&self, call: &Asking) -> Result<String, Refused> {
        let json = serde_json::to_vec(self).map_err(|_| Refused::failed())?;
        Ok(URL_SAFE_NO_PAD.encode(call.provider().secrets.seal(CONTEXT, &json)))
    }

    /// What was sealed, if it is this browser's, of this tenant, and has not ended.
    pub fn open(call: &Asking, sealed: Option<&str>) -> Result<Self, Refused> {
        let bytes = sealed.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let json = bytes.and_then(|bytes| call.provider().secrets.open(CONTEXT, &bytes)).ok_or_else(Refused::stale)?;
        let request: Self = serde_json::from_slice(&json).map_err(|_| Refused::stale())?;
        let here = call.tenant.as_ref().map(|tenant| tenant.guid);
        let browser = Browser::of(call);
        let same_browser = !browser.is_new && request.browser == provider::s256(&browser.value);
        if request.tenant != here || request.ends <= call.provider().clock.now() || !same_browser {
            return Err(Refused::stale());
        }
        Ok(request)
    }

    /// Gives the person what he signed in for.
    pub async fn finish(self, call: &Asking, who: SignedIn) -> Result<Answer, Refused> {
        let answer = match self.purpose {
            Purpose::Code(code) => authorize::grant(call, code, who).await?,
            Purpose::Device { user_code } => device::approve(call, &user_code, who).await?,
        };
        Ok(forget_browser(call, answer))
    }

    /// The person does not want to.
    pub async fn cancel(self, call: &Asking) -> Result<Answer, Refused> {
        let answer = match self.purpose {
            Purpose::Code(code) => authorize::denied(call, &code)?,
            Purpose::Device { user_code } => device::deny(call, &user_code).await?,
        };
        Ok(forget_browser(call, answer))
    }
}

/// The next sign-in begins anew.
fn forget_browser(call: &Asking, mut answer: Answer) -> Answer {
    set_cookie(&mut answer, call.base.starts_with("https://"), "; Max-Age=0");
    answer
}

/// A form of ours is sent from a page of ours: who else sends it is turned away before it is read (besides the cookie,
/// which another site's form does not carry).
pub fn from_own_page(call: &Asking) -> Result<(), Refused> {
    let own = format!("{}://{}", call.base.split("://").next().unwrap_or_default(), call.authority());
    let mut origins = call.headers.get_all(ORIGIN).iter();
    match (origins.next().and_then(|origin| origin.to_str().ok()), origins.next()) {
        (Some(origin), None) if origin.eq_ignore_ascii_case(&own) => Ok(()),
        _ => Err(Refused::foreign_page()),
    }
}

/// The sign-in page's form.
pub async fn post(call: &Asking, form: &Query) -> Result<Answer, Refused> {
    from_own_page(call)?;
    let request = Request::open(call, form.get("request"))?;
    if form.get("answer") == Some("no") {
        return request.cancel(call).await;
    }
    let (name, password) = (form.get("username").unwrap_or_default(), form.get("password").unwrap_or_default());
    match super::local::sign_in(call, name, password).await {
        Ok(who) => request.finish(call, who).await,
        Err(refused) => pages::sign_in(call, &request, name, Some(&refused)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_ours_or_none() {
        let mut headers = HeaderMap::new();
        let value = "a".repeat(COOKIE_LENGTH);
        headers.insert(COOKIE, format!("x=1; {PLAIN_COOKIE_NAME}={value}; y=2").parse().unwrap());
        assert_eq!(cookie(&headers, PLAIN_COOKIE_NAME), Some(value));
        assert_eq!(cookie(&headers, COOKIE_NAME), None);
        for bad in ["", "short", &"a".repeat(44), &"é".repeat(20), &"\"".repeat(43)] {
            let mut headers = HeaderMap::new();
            headers.insert(
                COOKIE,
                http::HeaderValue::from_bytes(format!("{PLAIN_COOKIE_NAME}={bad}").as_bytes()).unwrap(),
            );
            assert_eq!(cookie(&headers, PLAIN_COOKIE_NAME), None, "{bad}");
        }
    }
}
