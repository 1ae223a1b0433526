//! A plain HTTP client for tests: no retries, no redirects, every status is an answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

/// One server as one caller sees it.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    base: String,
    authorization: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Http {
    /// `base` is scheme and authority; `ca` a PEM file to trust.
    #[must_use]
    pub fn new(base: &str, ca: Option<&std::path::Path>) -> Self {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = ca {
            let pem = std::fs::read(path).expect("the CA file is readable");
            builder = builder.tls_certs_only([reqwest::Certificate::from_pem(&pem).expect("a PEM certificate")]);
        }
        let client = builder.build().expect("a client");
        Self { client, base: base.to_owned(), authorization: None }
    }

    /// The same server with this `Authorization` header (see [`basic`] and [`bearer`]).
    #[must_use]
    pub fn with(&self, authorization: impl Into<String>) -> Self {
        Self { authorization: Some(authorization.into()), ..self.clone() }
    }

    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { authorization: None, ..self.clone() }
    }

    /// Sends a request to a path (or to an absolute URL, as a `Location` may be).
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let answer = self.try_send(method.clone(), path, headers, body).await;
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    /// As [`Http::send`], where the connection itself may fail.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Result<Answer> {
        let url = if path.starts_with('/') { format!("{}{path}", self.base) } else { path.to_owned() };
        let mut request = self.client.request(method, url).body(body);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await? })
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub async fn head(&self, path: &str) -> Answer {
        self.send(Method::HEAD, path, &[], "").await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], "").await
    }

    /// Posts a form.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, &[("Content-Type", "application/x-www-form-urlencoded")], form(fields)).await
    }

    /// Puts a blob in one piece: `POST`, then `PUT` with the digest.
    pub async fn push_blob(&self, repository: &str, content: &[u8]) -> Answer {
        let opened = self.send(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), &[], "").await;
        if opened.status != 202 {
            return opened;
        }
        let closing = with_query(opened.header("location"), "digest", &crate::digest_of(content));
        self.send(Method::PUT, &closing, &[("Content-Type", "application/octet-stream")], content.to_vec()).await
    }

    pub async fn put_manifest(&self, repository: &str, reference: &str, media_type: &str, body: &[u8]) -> Answer {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.send(Method::PUT, &path, &[("Content-Type", media_type)], body.to_vec()).await
    }

    /// `GET /oauth2/token` for these scopes, as docker asks.
    pub async fn token(&self, service: &str, scopes: &[&str]) -> Answer {
        let mut fields = vec![("service", service)];
        fields.extend(scopes.iter().map(|scope| ("scope", *scope)));
        self.get(&format!("/oauth2/token?{}", form(&fields))).await
    }

    /// This server with an access token for these scopes, got with our own credential.
    pub async fn with_token(&self, service: &str, scopes: &[&str]) -> Self {
        let answer = self.token(service, scopes).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.with(bearer(answer.json()["access_token"].as_str().expect("an access token")))
    }
}

impl Answer {
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {} `{}`", self.status, self.text()))
    }

    /// A header's value, empty when it is absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header of text"))
    }

    /// The code of the first OCI error in the body, empty when there is none.
    #[must_use]
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Fails unless the status is the one expected.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {:?}", self.text(), self.headers);
        self
    }
}

#[must_use]
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[must_use]
pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[must_use]
pub fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The claims of a JWT, unverified.
#[must_use]
pub fn jwt_claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a JWT has three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON claims")
}

/// A location with one more query parameter: upload locations may carry state of their own.
#[must_use]
fn with_query(location: &str, name: &str, value: &str) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}{}", form(&[(name, value)]))
}
