//! JWTs that others signed (RFC 7515 to 7519): taken apart, checked with keys we chose, read strictly.

use std::fmt;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{self, RsaParameters, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use shorepass_core::Timestamp;

/// Longer than any token of GitHub, GitLab, Kubernetes or Entra; what Alibaba's token service takes at most.
pub(crate) const MAX_OUTSIDE_TOKEN_BYTES: usize = 20_000;

/// How far an outside clock may be off (issue 3, section 1).
const LEEWAY_SECONDS: i64 = 60;

/// 2048 and 8192 bits: shorter RSA moduli are broken, longer ones only cost time.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// The signatures we accept from outside. There is no variant for `none`, nor for a MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl SignatureAlgorithm {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            // RFC 9864 names the curve where RFC 8037 named the family.
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::EdDsa => return None,
        })
    }
}

/// A public key. The family decides which algorithms it can be used with; a token's header only chooses among those.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum PublicKey {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed points (SEC 1, 2.3.3).
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa { .. } => "Rsa(..)",
            Self::P256(_) => "P256(..)",
            Self::P384(_) => "P384(..)",
            Self::Ed25519(_) => "Ed25519(..)",
        })
    }
}

impl PublicKey {
    /// The key of a JWK (RFC 7517); `None` for one we cannot use: of another family, too short, malformed.
    pub(crate) fn from_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let number = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        match (text("kty")?, text("crv")) {
            ("RSA", _) => Self::rsa(&number("n")?, &number("e")?),
            ("EC", Some("P-256")) => Some(Self::P256(point(&number("x")?, &number("y")?, 32)?)),
            ("EC", Some("P-384")) => Some(Self::P384(point(&number("x")?, &number("y")?, 48)?)),
            ("OKP", Some("Ed25519")) => number("x").filter(|x| x.len() == 32).map(Self::Ed25519),
            _ => None,
        }
    }

    /// Leading zeros, which RFC 7518 forbids and some issuers write, are dropped.
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Option<Self> {
        let trimmed = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
        let (n, e) = (trimmed(n), trimmed(e));
        (RSA_MODULUS_BYTES.contains(&n.len()) && !e.is_empty() && e.len() <= 8).then_some(Self::Rsa { n, e })
    }

    pub(crate) fn fits(&self, algorithm: SignatureAlgorithm) -> bool {
        match self {
            Self::Rsa { .. } => algorithm.rsa().is_some(),
            Self::P256(_) => algorithm == SignatureAlgorithm::Es256,
            Self::P384(_) => algorithm == SignatureAlgorithm::Es384,
            Self::Ed25519(_) => algorithm == SignatureAlgorithm::EdDsa,
        }
    }

    /// False also when the algorithm is not one of this key's.
    pub(crate) fn verifies(&self, token: &OutsideToken<'_>) -> bool {
        let (message, signature) = (token.signed.as_bytes(), token.signature.as_slice());
        let plain = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
        };
        if !self.fits(token.algorithm) {
            return false;
        }
        match self {
            Self::Rsa { n, e } => token
                .algorithm
                .rsa()
                .is_some_and(|parameters| PublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()),
            Self::P256(point) => plain(&signature::ECDSA_P256_SHA256_FIXED, point),
            Self::P384(point) => plain(&signature::ECDSA_P384_SHA384_FIXED, point),
            Self::Ed25519(key) => plain(&signature::ED25519, key),
        }
    }
}

fn point(x: &[u8], y: &[u8], size: usize) -> Option<Vec<u8>> {
    (x.len() == size && y.len() == size).then(|| [&[4], x, y].concat())
}

/// Why a token cannot even be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    TooLong,
    Malformed,
    /// Not one of ours: `none`, a MAC, or unknown.
    Algorithm,
    /// A condition we do not understand must be refused (RFC 7515, 4.1.11).
    Critical,
}

/// A token taken apart; nothing of it is believed.
///
/// Of the header only `alg`, `kid`, `typ` and the thumbprints are ever looked at, each to choose among keys we already
/// have: `jwk`, `jku`, `x5u` bring keys, and are not read at all (CVE-2025-24976).
pub(crate) struct OutsideToken<'a> {
    pub algorithm: SignatureAlgorithm,
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> OutsideToken<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Unreadable> {
        if token.len() > MAX_OUTSIDE_TOKEN_BYTES {
            return Err(Unreadable::TooLong);
        }
        // Two cuts, whatever the number of dots (CVE-2025-30204); a dot in a part is not base64url.
        let (signed, signature) = token.rsplit_once('.').ok_or(Unreadable::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Unreadable::Malformed)?;
        let header = object(header)?;
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(Unreadable::Critical);
        }
        let algorithm = header.get("alg").and_then(Value::as_str).ok_or(Unreadable::Malformed)?;
        let algorithm = SignatureAlgorithm::parse(algorithm).ok_or(Unreadable::Algorithm)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Unreadable::Malformed)?;
        Ok(Self { algorithm, header, claims: object(claims)?, signed, signature })
    }

    pub(crate) fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }

    pub(crate) fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// `aud`, which is a text or a list of texts (RFC 7519, 4.1.3); `None` when it is anything else.
    pub(crate) fn audience(&self) -> Option<Vec<String>> {
        texts(self.claims.get("aud")?)
    }

    pub(crate) fn is_for_any(&self, audiences: &[&str]) -> bool {
        self.audience().is_some_and(|aud| aud.iter().any(|audience| audiences.contains(&audience.as_str())))
    }

    /// The bytes under the signature.
    pub(crate) fn signed(&self) -> &str {
        self.signed
    }

    /// `exp`, when that and the other times are right for `now`.
    pub(crate) fn check_times(&self, now: Timestamp) -> Result<Timestamp, Untimely> {
        let (earliest, latest) = (now.seconds() - LEEWAY_SECONDS, now.seconds() + LEEWAY_SECONDS);
        let time = |name: &str| match self.claims.get(name) {
            None => Ok(None),
            Some(value) => seconds(value).map(Some).ok_or(Untimely::Malformed),
        };
        let expiry = time("exp")?.ok_or(Untimely::Malformed)?;
        if expiry <= earliest {
            return Err(Untimely::Expired);
        }
        for start in [time("nbf")?, time("iat")?].into_iter().flatten() {
            if start > latest {
                return Err(Untimely::NotYet);
            }
        }
        Ok(Timestamp::from_millis(expiry.saturating_mul(1000)))
    }
}

/// What is wrong with a token's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Untimely {
    /// No `exp`, or a time that is no number.
    Malformed,
    Expired,
    NotYet,
}

fn object(part: &str) -> Result<Map<String, Value>, Unreadable> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Unreadable::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Unreadable::Malformed)
}

/// A text, or a list of nothing but texts.
pub(crate) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// A NumericDate (RFC 7519, section 2), which may have a fraction.
fn seconds(value: &Value) -> Option<i64> {
    // Beyond that a number is no date, and arithmetic with it would overflow.
    const END_OF_TIME: i64 = 1 << 40;
    let seconds = match value.as_i64() {
        Some(seconds) => seconds,
        #[expect(clippy::cast_possible_truncation, reason = "the fraction goes, and casts of floats saturate")]
        None => value.as_f64()?.floor() as i64,
    };
    (0..=END_OF_TIME).contains(&seconds).then_some(seconds)
}
