//! Applications that prove themselves with a certificate: client assertions (RFC 7523, section 2.2), as MSAL makes them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use shorepass_core::directory::{ClientCredential, ClientProof};
use shorepass_core::{Clock, Random, Timestamp, new_id};
use uuid::Uuid;

use crate::certificates::{Certificate, CertificateError};
use crate::jose::{OutsideToken, PublicKey, Unreadable, Untimely};
use crate::signing::rsa_components;

/// The longest life an assertion may have; MSAL's have ten minutes.
const MAX_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long those live that we make.
const OUR_LIFE: Duration = Duration::from_secs(10 * 60);

/// Assertions of one application, and of all together, that are remembered at a time. Only an assertion whose signature
/// was right is, so nobody fills this but applications we know, and no one of them alone.
const MAX_REMEMBERED_OF_ONE: usize = 4_096;
const MAX_REMEMBERED: usize = 262_144;

/// Certificates that one assertion is compared with.
const MAX_CANDIDATES: usize = 32;

/// Why a client assertion is refused. The text may go to whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    #[error("the assertion is too long")]
    TooLong,
    #[error("the assertion is not a signed JWT")]
    Malformed,
    #[error("the assertion's algorithm is not accepted; use RS256, PS256 or ES256")]
    Algorithm,
    #[error("the assertion names a condition (`crit`) that is not understood")]
    Critical,
    #[error("the assertion's `iss` and `sub` must both be the application's id")]
    Client,
    #[error("the assertion's `aud` must be the address of the token endpoint")]
    Audience,
    #[error("the assertion has expired")]
    Expired,
    #[error("the assertion is not valid yet; compare the clocks of the client and the server")]
    NotYet,
    #[error("the assertion ends more than 24 hours from now; give it ten minutes")]
    TooLongLived,
    #[error(
        "the assertion's header names no certificate of this application, or one that has expired; register it first"
    )]
    UnknownCertificate,
    #[error("the assertion's signature is wrong")]
    Signature,
    #[error("the assertion was used before; make a new one for every request")]
    Replayed,
    /// 503.
    #[error("the application has used too many assertions lately; give them a shorter life, or try again later")]
    Busy,
}

impl AssertionError {
    /// A short stable word for metrics and audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Critical => "critical",
            Self::Client => "client",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYet => "not_yet_valid",
            Self::TooLongLived => "too_long_lived",
            Self::UnknownCertificate => "unknown_certificate",
            Self::Signature => "signature",
            Self::Replayed => "replayed",
            Self::Busy => "busy",
        }
    }
}

impl From<Unreadable> for AssertionError {
    fn from(error: Unreadable) -> Self {
        match error {
            Unreadable::TooLong => Self::TooLong,
            Unreadable::Malformed => Self::Malformed,
            Unreadable::Algorithm => Self::Algorithm,
            Unreadable::Critical => Self::Critical,
        }
    }
}

impl From<Untimely> for AssertionError {
    fn from(error: Untimely) -> Self {
        match error {
            Untimely::Malformed => Self::Malformed,
            Untimely::Expired => Self::Expired,
            Untimely::NotYet => Self::NotYet,
        }
    }
}

/// Verifies client assertions, each of them once. One for the whole server; two servers of one database do not tell each
/// other what they have seen.
#[derive(Debug)]
pub struct Assertions {
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
}

impl Assertions {
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, seen: Mutex::default() }
    }

    /// The id of the credential whose certificate signed the assertion.
    ///
    /// `registered` are the application's credentials: secrets among them are passed over, and so is what has expired.
    /// `audiences` are the names of the token endpoint. The certificate is one of ours or none: what the header brings
    /// (`x5c`) only says which.
    ///
    /// # Errors
    /// Why not.
    pub fn verify<'a>(
        &self,
        assertion: &str,
        client_id: &str,
        audiences: &[&str],
        registered: impl IntoIterator<Item = (Uuid, &'a ClientCredential)>,
    ) -> Result<Uuid, AssertionError> {
        let token = OutsideToken::parse(assertion)?;
        if token.claim("iss") != Some(client_id) || token.claim("sub") != Some(client_id) {
            return Err(AssertionError::Client);
        }
        if !token.is_for_any(audiences) {
            return Err(AssertionError::Audience);
        }
        let now = self.clock.now();
        let expires_at = token.check_times(now)?;
        if expires_at > now.plus(MAX_LIFE) {
            return Err(AssertionError::TooLongLived);
        }
        let signer = signer(&token, now, registered)?;
        let name = remembered_name(&token);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).first_time(client_id, name, expires_at, now)?;
        Ok(signer)
    }
}

/// The credential that signed, among those the header names.
fn signer<'a>(
    token: &OutsideToken<'_>,
    now: Timestamp,
    registered: impl IntoIterator<Item = (Uuid, &'a ClientCredential)>,
) -> Result<Uuid, AssertionError> {
    let mut candidates = registered
        .into_iter()
        .filter(|(_, credential)| credential.start <= now && now < credential.expires_at)
        .filter_map(|(id, credential)| Some((id, registered_certificate(credential)?)))
        .filter(|(_, certificate)| certificate.is_valid_at(now) && is_named(certificate, token))
        .take(MAX_CANDIDATES)
        .peekable();
    if candidates.peek().is_none() {
        return Err(AssertionError::UnknownCertificate);
    }
    let signer = candidates.find(|(_, certificate)| certificate.key.verifies(token));
    signer.map(|(id, _)| id).ok_or(AssertionError::Signature)
}

fn registered_certificate(credential: &ClientCredential) -> Option<Certificate> {
    let ClientProof::Certificate { der, .. } = &credential.proof else { return None };
    Certificate::from_der(&STANDARD.decode(der).ok()?).ok()
}

/// Whether the header names this certificate, by thumbprint or by holding it; everything in it that names one must name
/// the same.
fn is_named(certificate: &Certificate, token: &OutsideToken<'_>) -> bool {
    let mut named = false;
    for (name, thumbprint) in [("x5t", certificate.sha1.as_slice()), ("x5t#S256", &certificate.sha256)] {
        if let Some(value) = token.header.get(name) {
            // MSAL for Python pads it, against RFC 7515.
            let value = value.as_str().map(|value| value.trim_end_matches('='));
            if value != Some(&URL_SAFE_NO_PAD.encode(thumbprint)) {
                return false;
            }
            named = true;
        }
    }
    if let Some(chain) = token.header.get("x5c") {
        let first = chain.as_array().and_then(|chain| chain.first()).and_then(Value::as_str).unwrap_or_default();
        // MSAL for Python leaves the line breaks of the PEM file in it.
        let first: String = first.split_ascii_whitespace().collect();
        if STANDARD.decode(first).as_ref() != Ok(&certificate.der) {
            return false;
        }
        named = true;
    }
    named
}

/// `jti`, or without one what was signed. Not the whole token: an ECDSA signature has two spellings.
fn remembered_name(token: &OutsideToken<'_>) -> [u8; 16] {
    let (kind, text) = match token.claim("jti") {
        Some(jti) => (0_u8, jti),
        None => (1, token.signed()),
    };
    let mut state = digest::Context::new(&digest::SHA256);
    state.update(&[kind]);
    state.update(text.as_bytes());
    let mut name = [0; 16];
    name.copy_from_slice(state.finish().as_ref().get(..16).unwrap_or(&[0; 16]));
    name
}

/// Assertions that were used, by application, until they expire (with the leeway for its clock).
#[derive(Debug, Default)]
struct Seen {
    by_client: HashMap<String, HashMap<[u8; 16], Timestamp>>,
    count: usize,
}

impl Seen {
    fn first_time(
        &mut self,
        client_id: &str,
        name: [u8; 16],
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), AssertionError> {
        if self.by_client.get(client_id).is_some_and(|seen| seen.contains_key(&name)) {
            return Err(AssertionError::Replayed);
        }
        if self.of(client_id) >= MAX_REMEMBERED_OF_ONE {
            self.forget_expired(now, |client| client == client_id);
        }
        if self.count >= MAX_REMEMBERED {
            self.forget_expired(now, |_| true);
        }
        // Forgetting one that is still valid would let it be used again.
        if self.of(client_id) >= MAX_REMEMBERED_OF_ONE || self.count >= MAX_REMEMBERED {
            return Err(AssertionError::Busy);
        }
        // As long as `check_times` accepts it, and a little more.
        let until = expires_at.plus(Duration::from_secs(120));
        self.by_client.entry(client_id.to_owned()).or_default().insert(name, until);
        self.count += 1;
        Ok(())
    }

    fn of(&self, client_id: &str) -> usize {
        self.by_client.get(client_id).map_or(0, HashMap::len)
    }

    fn forget_expired(&mut self, now: Timestamp, whose: impl Fn(&str) -> bool) {
        for (_, seen) in self.by_client.iter_mut().filter(|(client, _)| whose(client)) {
            seen.retain(|_, until| *until > now);
        }
        self.by_client.retain(|_, seen| !seen.is_empty());
        self.count = self.by_client.values().map(HashMap::len).sum();
    }
}

/// An application's certificate with its private key: what the application itself has.
pub struct ClientCertificate {
    certificate: Certificate,
    key: SigningKey,
}

enum SigningKey {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("subject", &self.certificate.subject).finish_non_exhaustive()
    }
}

impl ClientCertificate {
    /// A certificate and its private key (PKCS#8, or the older forms of RSA and EC) from one PEM text, in any order.
    ///
    /// # Errors
    /// One of them is missing, encrypted or not usable, or they do not belong together.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        let certificate = Certificate::first_of(pem)?;
        let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(key) => SigningKey::read(&key, &certificate.key)?,
            Err(_) if pem.contains("ENCRYPTED") => return Err(CertificateError::EncryptedKey),
            Err(_) => return Err(CertificateError::NoPrivateKey),
        };
        if key.public() != Some(certificate.key.clone()) {
            return Err(CertificateError::WrongKey);
        }
        Ok(Self { certificate, key })
    }

    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// An assertion that the application `client_id` makes to the token endpoint `audience`, for ten minutes.
    ///
    /// # Errors
    /// [`CertificateError::Signing`].
    pub fn sign_assertion(
        &self,
        client_id: &str,
        audience: &str,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<String, CertificateError> {
        let now = clock.now();
        let header = json!({
            "typ": "JWT",
            "alg": self.key.algorithm(),
            "x5t": URL_SAFE_NO_PAD.encode(self.certificate.sha1),
            "x5t#S256": URL_SAFE_NO_PAD.encode(self.certificate.sha256),
        });
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": new_id(clock, random),
            "iat": now.seconds(),
            "nbf": now.seconds(),
            "exp": now.plus(OUR_LIFE).seconds(),
        });
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let input = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(input.as_bytes())?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl SigningKey {
    fn read(key: &PrivateKeyDer<'_>, public: &PublicKey) -> Result<Self, CertificateError> {
        let ec = |algorithm: &'static signature::EcdsaSigningAlgorithm, name| {
            EcdsaKeyPair::from_private_key_der(algorithm, key.secret_der()).map(|key| Self::Ec(key, name))
        };
        match (public, key) {
            (PublicKey::Rsa { .. }, PrivateKeyDer::Pkcs1(key)) => {
                RsaKeyPair::from_der(key.secret_pkcs1_der()).map(Self::Rsa)
            }
            (PublicKey::Rsa { .. }, _) => RsaKeyPair::from_pkcs8(key.secret_der()).map(Self::Rsa),
            (PublicKey::P256(_), _) => ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "ES256"),
            (PublicKey::P384(_), _) => ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "ES384"),
            (PublicKey::Ed25519(_), _) => return Err(CertificateError::UnusableKey),
        }
        .map_err(|_| CertificateError::WrongKey)
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_, name) => name,
        }
    }

    fn public(&self) -> Option<PublicKey> {
        match self {
            Self::Rsa(key) => {
                let (n, e) = rsa_components(key.public_key().as_ref())?;
                PublicKey::rsa(n, e)
            }
            Self::Ec(key, "ES256") => Some(PublicKey::P256(key.public_key().as_ref().to_vec())),
            Self::Ec(key, _) => Some(PublicKey::P384(key.public_key().as_ref().to_vec())),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CertificateError> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
            Self::Ec(key, _) => key.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
        }
        .map_err(|_| CertificateError::Signing)
    }
}

#[cfg(test)]
mod tests;
