//! An issuer whose keys we have: mints tokens of whatever shape a test needs.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use shorepass_core::Timestamp;

pub struct TestIssuer {
    pub name: String,
    key: Ed25519KeyPair,
}

impl TestIssuer {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), key: Ed25519KeyPair::generate().unwrap() }
    }

    pub fn jwks(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key().as_ref());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "use": "sig", "alg": "EdDSA", "x": x}]})
            .to_string()
    }

    /// A token that lives ten minutes.
    pub fn mint(&self, subject: &str, audience: &str, now: Timestamp) -> String {
        self.sign("JWT", &self.claims(subject, audience, now))
    }

    pub fn claims(&self, subject: &str, audience: &str, now: Timestamp) -> Value {
        let now = now.seconds();
        json!({"iss": self.name, "sub": subject, "aud": audience, "iat": now, "nbf": now, "exp": now + 600, "jti": "x"})
    }

    pub fn sign(&self, kind: &str, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": "one", "typ": kind})), part(claims));
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.key.sign(input.as_bytes()).as_ref()))
    }
}
