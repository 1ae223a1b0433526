//! The few pages people see. Everything that is not written here is escaped; no page loads anything or runs a script but
//! the two below, which the policy names by their digests.

use std::fmt::{self, Display, Formatter, Write as _};
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, RETRY_AFTER, X_FRAME_OPTIONS};
use shorepass_core::directory::Issuer;
use shorepass_store::resources::Resource;

use super::asking::Asking;
use super::error::OAuthError;
use super::people;
use super::signing_in::{Purpose, Request};
use crate::respond::{self, Answer};

const STYLE: &str = include_str!("page.css");

/// Sends the one form of the page on (OAuth 2.0 Form Post Response Mode).
const SEND_ON: &str = "document.forms[0].submit()";

/// Moves an invitation's secret, which is behind the `#` and so reaches no server by itself, into the form.
const FILL_IN: &str = "var c=location.hash.slice(1);if(c){document.getElementById('code').value=decodeURIComponent(c);\
                       history.replaceState(null,'',location.pathname+location.search)}";

/// Why a page shows nothing but a word. The text is for the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub status: StatusCode,
    pub text: String,
    retry_after: Option<u64>,
}

impl Refused {
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), retry_after: None }
    }

    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub fn stale() -> Self {
        Self::bad_request(
            "This sign-in page is too old, or was opened in another browser. Begin again where you came from.",
        )
    }

    pub fn foreign_page() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "This form was not sent from a page of this server. Begin again where you came from.",
        )
    }

    pub fn wrong_password() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Unknown user or wrong password. If you are of one of several tenants, sign in as name@tenant.",
        )
    }

    pub fn disabled() -> Self {
        Self::new(StatusCode::FORBIDDEN, "This account is disabled. An administrator of your tenant can enable it.")
    }

    pub fn failed() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The server failed. Its log says why.")
    }

    pub fn into_answer(self) -> Answer {
        let mut answer = Page::new("Sign-in did not work").paragraph(&self.text).answer(self.status);
        if let Some(seconds) = self.retry_after {
            respond::set(&mut answer, RETRY_AFTER, &seconds.to_string());
        }
        answer
    }
}

impl From<OAuthError> for Refused {
    fn from(error: OAuthError) -> Self {
        Self { status: error.status, text: error.message, retry_after: error.retry_after }
    }
}

/// Text in a page, whatever it holds.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A page, from its parts.
pub struct Page {
    title: &'static str,
    body: String,
    script: Option<&'static str>,
    /// Where its forms may lead, besides here: an origin.
    leads_to: Option<String>,
}

impl Page {
    pub fn new(title: &'static str) -> Self {
        Self { title, body: String::new(), script: None, leads_to: None }
    }

    pub fn paragraph(mut self, text: &str) -> Self {
        self.html(format_args!("<p>{}</p>", Escaped(text)));
        self
    }

    fn alert(mut self, refused: Option<&Refused>) -> Self {
        if let Some(refused) = refused {
            self.html(format_args!("<p class=\"alert\" role=\"alert\">{}</p>", Escaped(&refused.text)));
        }
        self
    }

    /// `html` is ours; what it holds of others is [`Escaped`].
    fn html(&mut self, html: fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        let _infallible = self.body.write_fmt(html);
    }

    pub fn answer(self, status: StatusCode) -> Answer {
        let script = self.script.map_or_else(String::new, |script| format!("<script>{script}</script>"));
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <title>{title} · Shorepass</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}</main>{script}</body></html>\n",
            title = self.title,
            body = self.body,
        );
        let mut answer = respond::no_store(respond::bytes(status, "text/html; charset=utf-8", html));
        let scripts =
            self.script.map_or_else(String::new, |script| format!("; script-src 'sha256-{}'", digest_of(script)));
        let leads_to = self.leads_to.map_or_else(String::new, |origin| format!(" {origin}"));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'{scripts}; form-action 'self'{leads_to}; frame-ancestors 'none'; base-uri 'none'",
            digest_of(STYLE)
        );
        respond::set(&mut answer, CONTENT_SECURITY_POLICY, &policy);
        respond::set(&mut answer, X_FRAME_OPTIONS, "DENY");
        // Not `no-referrer`: our own forms would then come without their origin, which is checked.
        respond::set(&mut answer, REFERRER_POLICY, "same-origin");
        respond::set(&mut answer, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
        answer
    }
}

fn digest_of(text: &str) -> String {
    STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// The sign-in page, or again with why it did not work.
pub fn sign_in(call: &Asking, request: &Request, name: &str, refused: Option<&Refused>) -> Result<Answer, Refused> {
    let sealed = request.seal(call)?;
    let mut page = Page::new("Sign in").alert(refused);
    match &request.purpose {
        Purpose::Code(code) => {
            page.leads_to = code.target_origin();
            page = page.paragraph(&format!("{} wants to act as you on this server.", people::COMMAND_LINE_NAME));
        }
        Purpose::Device { user_code } => {
            page.html(format_args!(
                "<p>A device that shows the code <strong>{}</strong> wants to act as you on this server. Go on only if you \
                 began this yourself, and the device in front of you shows this code.</p>",
                Escaped(user_code)
            ));
        }
    }
    page.html(format_args!(
        "<form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"request\" value=\"{sealed}\">\
         <label>User name<input name=\"username\" value=\"{name}\" autocomplete=\"username\" autocapitalize=\"none\" required autofocus></label>\
         <label>Password<input name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label>\
         <button>Sign in</button><button name=\"answer\" value=\"no\" formnovalidate class=\"quiet\">Cancel</button></form>",
        action = Escaped(&call.url("signin")),
        name = Escaped(name),
    ));
    for issuer in providers(call)? {
        page.html(format_args!(
            "<p><a class=\"button\" href=\"{}?issuer={}&amp;request={sealed}\">Sign in through {}</a></p>",
            Escaped(&call.url("signin/outside")),
            issuer.id,
            Escaped(&issuer.name),
        ));
    }
    Ok(page.answer(refused.map_or(StatusCode::OK, |refused| refused.status)))
}

/// The tenant's outside providers that people sign in through.
fn providers(call: &Asking) -> Result<Vec<Arc<Resource<Issuer>>>, Refused> {
    let Some(tenant) = &call.tenant else { return Ok(Vec::new()) };
    let listed = call.policy(|state| {
        state.issuers(tenant.id).filter(|issuer| issuer.document.sign_in.is_some()).map(Arc::clone).collect()
    });
    Ok(listed?)
}

/// Where a person types the code that a device shows.
pub fn device(call: &Asking, code: &str, refused: Option<&Refused>) -> Answer {
    let mut page = Page::new("Connect a device").alert(refused);
    page.html(format_args!(
        "<form method=\"post\" action=\"{}\"><label>The code that the device shows<input name=\"user_code\" value=\"{}\" \
         autocomplete=\"off\" autocapitalize=\"characters\" spellcheck=\"false\" maxlength=\"20\" required autofocus></label>\
         <button>Next</button></form>",
        Escaped(&call.url("device")),
        Escaped(code),
    ));
    page.answer(refused.map_or(StatusCode::OK, |refused| refused.status))
}

/// A word, and nothing more to do here.
pub fn done(title: &'static str, text: &str) -> Answer {
    Page::new(title).paragraph(text).answer(StatusCode::OK)
}

/// Where a person who was invited chooses a password.
pub fn invitation(call: &Asking, name: &str, refused: Option<&Refused>) -> Answer {
    let mut page = Page::new("Accept the invitation").alert(refused);
    page.html(format_args!(
        "<form method=\"post\" action=\"{}\">\
         <label>User name<input name=\"username\" value=\"{}\" autocomplete=\"username\" autocapitalize=\"none\" required></label>\
         <label>Invitation code<input name=\"code\" id=\"code\" type=\"password\" autocomplete=\"off\" required></label>\
         <label>New password, at least 12 characters<input name=\"password\" type=\"password\" autocomplete=\"new-password\" minlength=\"12\" required></label>\
         <label>The same again<input name=\"again\" type=\"password\" autocomplete=\"new-password\" required></label>\
         <button>Set the password</button></form>",
        Escaped(&call.url("invitation")),
        Escaped(name),
    ));
    page.script = Some(FILL_IN);
    page.answer(refused.map_or(StatusCode::OK, |refused| refused.status))
}

/// Takes the person back to the client by a form (`response_mode=form_post`).
pub fn send_on(to: &str, origin: Option<String>, fields: &[(&str, String)]) -> Answer {
    let mut page = Page::new("Back to the application");
    page.html(format_args!("<form method=\"post\" action=\"{}\">", Escaped(to)));
    for (name, value) in fields {
        page.html(format_args!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", Escaped(name), Escaped(value)));
    }
    page.html(format_args!("<button>Continue</button></form>"));
    page.script = Some(SEND_ON);
    page.leads_to = origin;
    page.answer(StatusCode::OK)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn what_others_wrote_stays_text_and_nothing_but_our_script_runs() {
        let evil = "\"><script>alert(1)</script><a href='x'>&";
        let answer =
            send_on("http://localhost:1/", Some("http://localhost:1".to_owned()), &[("state", evil.to_owned())]);
        let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("form-action 'self' http://localhost:1;") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe") && policy.contains(&digest_of(SEND_ON)));
        let html = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        assert_eq!(html.matches("<script>").count(), 1);
        assert!(
            html.contains("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;a href=&#39;x&#39;&gt;&amp;"),
            "{html}"
        );
        let plain = done("Done", "x").headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(!plain.contains("script-src"), "{plain}");
    }
}
