//! An issuer of our own: keys of every family, tokens with the claims that real issuers write, and documents to fetch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use shorepass_core::directory::{Issuer, IssuerKeys};
use shorepass_core::time::TestClock;
use shorepass_core::{Clock, Timestamp};
use shorepass_identity::{Federation, Fetch, FetchError};
use url::Url;

pub const GITHUB: &str = "https://token.actions.githubusercontent.com";
pub const AUDIENCE: &str = "api://AzureADTokenExchange";

pub enum TestKey {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl TestKey {
    pub fn rsa() -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    pub fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    pub fn public(&self) -> &[u8] {
        match self {
            Self::Rsa(key) => key.public_key().as_ref(),
            Self::P256(key) | Self::P384(key) => key.public_key().as_ref(),
            Self::Ed(key) => key.public_key().as_ref(),
        }
    }

    pub fn jwk(&self, kid: &str) -> Value {
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |crv: &str| {
            let (x, y) = self.public()[1..].split_at((self.public().len() - 1) / 2);
            json!({"kty": "EC", "crv": crv, "x": number(x), "y": number(y)})
        };
        let mut jwk = match self {
            Self::Rsa(_) => {
                // PKCS#1 of 2048 bits and the usual exponent: two headers of 4 bytes, a zero, the modulus, 02 03, 65537.
                let (n, e) = (&self.public()[9..265], &self.public()[267..]);
                assert_eq!(e, [1, 0, 1]);
                json!({"kty": "RSA", "n": number(n), "e": number(e)})
            }
            Self::P256(_) => point("P-256"),
            Self::P384(_) => point("P-384"),
            Self::Ed(_) => json!({"kty": "OKP", "crv": "Ed25519", "x": number(self.public())}),
        };
        jwk["kid"] = json!(kid);
        jwk["use"] = json!("sig");
        jwk
    }

    /// Signs as `algorithm` says if the key can; else with what it can, for a token that lies about it.
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let padding: &'static dyn signature::RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(key) | Self::P384(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    pub fn token(&self, header: &Value, claims: &Value) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let input = format!("{}.{}", part(header), part(claims));
        let algorithm = header["alg"].as_str().unwrap_or_default();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(self.sign(algorithm, input.as_bytes())))
    }
}

pub fn header(algorithm: &str, kid: &str) -> Value {
    json!({"typ": "JWT", "alg": algorithm, "kid": kid})
}

pub fn jwks(keys: &[Value]) -> Value {
    json!({ "keys": keys })
}

/// The claims of a GitHub Actions job (docs.github.com, "OpenID Connect reference").
pub fn github_claims(now: Timestamp, subject: &str) -> Value {
    let now = now.seconds();
    json!({
        "jti": "6f4b1c6a-2b1f-4f6e-9a66-6f1d2f0f9f6e", "sub": subject, "aud": AUDIENCE, "iss": GITHUB,
        "ref": "refs/heads/main", "sha": "2ba5b3a1c8a4", "repository": "octo/app", "repository_owner": "octo",
        "repository_owner_id": "65", "run_id": "1234567890", "run_number": "10", "run_attempt": "2",
        "repository_visibility": "private", "repository_id": "74", "actor_id": "12", "actor": "octocat",
        "workflow": "release", "head_ref": "", "base_ref": "", "event_name": "push", "ref_type": "branch",
        "job_workflow_ref": "octo/app/.github/workflows/release.yml@refs/heads/main",
        "runner_environment": "github-hosted", "environment": "prod",
        "nbf": now - 600, "exp": now + 300, "iat": now,
    })
}

/// The claims of a GitLab CI job's `id_tokens` (docs.gitlab.com, "OpenID Connect (OIDC) authentication using ID tokens").
pub fn gitlab_claims(now: Timestamp, issuer: &str) -> Value {
    let now = now.seconds();
    json!({
        "namespace_id": "72", "namespace_path": "group", "project_id": "20", "project_path": "group/app",
        "user_id": "1", "user_login": "sample", "user_email": "sample@example.com", "user_access_level": "developer",
        "job_project_id": "20", "job_project_path": "group/app", "pipeline_id": "574", "pipeline_source": "push",
        "job_id": "302", "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true",
        "groups_direct": ["group", "group/sub"], "runner_id": 1, "runner_environment": "self-hosted",
        "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b", "iat": now, "nbf": now - 5, "exp": now + 3600,
        "iss": issuer, "sub": "project_path:group/app:ref_type:branch:ref:main", "aud": [AUDIENCE],
    })
}

/// The claims of a projected service account token (kubernetes.io, "Service Accounts").
pub fn kubernetes_claims(now: Timestamp) -> Value {
    let now = now.seconds();
    json!({
        "aud": [AUDIENCE], "exp": now + 3607, "iat": now, "iss": "https://kubernetes.default.svc.cluster.local",
        "jti": "ed1cbbcc-4a56-4a3d-a0a9-44f0d5f6f2f5",
        "kubernetes.io": {
            "namespace": "team-a",
            "node": {"name": "node-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
            "pod": {"name": "builder-x", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
            "serviceaccount": {"name": "builder", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
        },
        "nbf": now, "sub": "system:serviceaccount:team-a:builder",
    })
}

/// Documents by URL, and who asked for what. What is not there does not answer.
#[derive(Debug)]
pub struct Script {
    documents: Mutex<HashMap<String, Vec<u8>>>,
    asked: Mutex<Vec<String>>,
    /// No answer leaves before there is a permit here.
    pub gate: tokio::sync::Semaphore,
}

impl Script {
    pub fn new() -> Arc<Self> {
        let gate = tokio::sync::Semaphore::new(tokio::sync::Semaphore::MAX_PERMITS);
        Arc::new(Self { documents: Mutex::default(), asked: Mutex::default(), gate })
    }

    pub fn put(&self, url: &str, document: &Value) {
        self.documents.lock().unwrap().insert(url.to_owned(), document.to_string().into_bytes());
    }

    /// The documents of an issuer with these keys, in the usual places.
    pub fn publish(&self, issuer: &str, keys: &[Value]) {
        let keys_url = format!("{issuer}/.well-known/jwks");
        self.put(
            &format!("{issuer}/.well-known/openid-configuration"),
            &json!({"issuer": issuer, "jwks_uri": keys_url}),
        );
        self.put(&keys_url, &jwks(keys));
    }

    pub fn take_down(&self) {
        self.documents.lock().unwrap().clear();
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// How often any issuer's keys were asked for: each time begins with a discovery document.
    pub fn times_asked(&self) -> usize {
        self.asked().iter().filter(|url| url.ends_with("openid-configuration")).count()
    }
}

#[async_trait]
impl Fetch for Script {
    async fn get(&self, url: &Url, _ca: Option<&str>) -> Result<Vec<u8>, FetchError> {
        self.asked.lock().unwrap().push(url.to_string());
        let _permit = self.gate.acquire().await.unwrap();
        let document = self.documents.lock().unwrap().get(url.as_str()).cloned();
        document.ok_or_else(|| FetchError::Unreachable("connection refused".to_owned()))
    }
}

pub fn discovered(issuer: &str) -> Issuer {
    Issuer { issuer: issuer.to_owned(), keys: IssuerKeys::Discovery { url: None }, ca: None, sign_in: None }
}

pub fn pinned(issuer: &str, keys: &[Value]) -> Issuer {
    Issuer { keys: IssuerKeys::Pinned { jwks: jwks(keys).to_string() }, ..discovered(issuer) }
}

/// GitHub with one key, and a federation that trusts nobody yet.
pub struct Github {
    pub key: TestKey,
    pub script: Arc<Script>,
    pub clock: Arc<TestClock>,
    pub federation: Arc<Federation>,
    pub issuer: Issuer,
}

pub const SUBJECT: &str = "repo:octo/app:ref:refs/heads/main";

impl Github {
    pub fn new() -> Self {
        Self::with_key(TestKey::p256())
    }

    pub fn with_key(key: TestKey) -> Self {
        let (script, clock) = (Script::new(), super::clock());
        script.publish(GITHUB, &[key.jwk("one")]);
        let federation = Arc::new(Federation::new(script.clone(), clock.clone()));
        Self { key, script, clock, federation, issuer: discovered(GITHUB) }
    }

    pub fn algorithm(&self) -> &'static str {
        match self.key {
            TestKey::Rsa(_) => "RS256",
            TestKey::P256(_) => "ES256",
            TestKey::P384(_) => "ES384",
            TestKey::Ed(_) => "EdDSA",
        }
    }

    pub fn claims(&self) -> Value {
        github_claims(self.clock.now(), SUBJECT)
    }

    pub fn token(&self, kid: &str) -> String {
        self.key.token(&header(self.algorithm(), kid), &self.claims())
    }
}
