//! One signing key: made, loaded, named, published.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey, RsaKeyPair, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData as _, SignatureAlgorithm};
use serde_json::{Value, json};
use shorepass_core::Timestamp;
use shorepass_store::rows::SigningKeyRow;
use zeroize::Zeroizing;

use crate::tls::{making, set_validity};
use crate::{IdentityError, TokenError};

/// How long a signing key's certificate says it is valid. Verifiers trust the key, not the date; a key is rotated long
/// before.
const CERTIFICATE_DAYS: i64 = 3650;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    EdDsa,
    Es256,
    Rs256,
}

impl Algorithm {
    /// The name in JWT headers (RFC 7518, RFC 8037).
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    fn certificate_algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::EdDsa => &rcgen::PKCS_ED25519,
            Self::Es256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::Rs256 => &rcgen::PKCS_RSA_SHA256,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::EdDsa => &signature::ED25519,
            Self::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
            Self::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

impl FromStr for Algorithm {
    type Err = IdentityError;
    fn from_str(input: &str) -> Result<Self, IdentityError> {
        [Self::EdDsa, Self::Es256, Self::Rs256]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == input)
            .ok_or_else(|| IdentityError::UnknownAlgorithm(input.to_owned()))
    }
}

enum Private {
    Ed(Ed25519KeyPair),
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A key that can sign and verify.
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) created_at: Timestamp,
    pub(crate) active_at: Timestamp,
    pub(crate) retired_at: Option<Timestamp>,
    private: Private,
    public: ParsedPublicKey,
    public_raw: Vec<u8>,
    certificate: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Makes a key and its certificate; slow for RSA, so not on an async worker.
///
/// `serial` is the certificate's; its first bit must be zero (RFC 5280, 4.1.2.2).
pub(crate) fn generate(
    algorithm: Algorithm,
    serial: [u8; 16],
    now: Timestamp,
    active_at: Timestamp,
) -> Result<SigningKeyRow, IdentityError> {
    let pair = KeyPair::generate_for(algorithm.certificate_algorithm()).map_err(making)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Shorepass token signing");
    set_validity(&mut params, now, CERTIFICATE_DAYS)?;
    params.serial_number = Some(serial.to_vec().into());
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let certificate = params.self_signed(&pair).map_err(making)?;
    Ok(SigningKeyRow {
        kid: key_id(&pair.subject_public_key_info()),
        algorithm: algorithm.as_str().to_owned(),
        private_key: pair.serialize_der(),
        certificate: certificate.der().to_vec(),
        created_at: now,
        active_at,
        retired_at: None,
    })
}

/// The key id of libtrust: the first 240 bits of SHA-256 of the public key's DER in base32, in 12 groups of four. CNCF
/// distribution up to 2.8 finds the key of a token under this name (registry/auth/token in its source).
fn key_id(public_key_info: &[u8]) -> String {
    const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = digest::digest(&digest::SHA256, public_key_info);
    let mut id = String::with_capacity(59);
    for (group, bytes) in digest.as_ref().chunks_exact(5).take(6).enumerate() {
        let bits = bytes.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in 0..8 {
            if place % 4 == 0 && group + place > 0 {
                id.push(':');
            }
            let index = (bits >> (35 - 5 * place)) & 31;
            id.extend(BASE32.get(usize::try_from(index).unwrap_or(0)).map(|c| char::from(*c)));
        }
    }
    id
}

impl Key {
    pub(crate) fn load(row: SigningKeyRow) -> Result<Self, IdentityError> {
        let algorithm: Algorithm = row.algorithm.parse()?;
        let pkcs8 = Zeroizing::new(row.private_key);
        let unreadable = || IdentityError::UnreadableKey(row.kid.clone());
        let private = match algorithm {
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(&pkcs8).map(Private::Ed),
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).map(Private::Ec)
            }
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(&pkcs8).map(Private::Rsa),
        }
        .map_err(|_| unreadable())?;
        let public_raw = private.public();
        let public = ParsedPublicKey::new(algorithm.verification(), &public_raw).map_err(|_| unreadable())?;
        Ok(Self {
            kid: row.kid,
            algorithm,
            created_at: row.created_at,
            active_at: row.active_at,
            retired_at: row.retired_at,
            private,
            public,
            public_raw,
            certificate: row.certificate,
        })
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        match &self.private {
            Private::Ed(key) => key.try_sign(message).map(|signature| signature.as_ref().to_vec()),
            Private::Ec(key) => key.sign(&SystemRandom::new(), message).map(|signature| signature.as_ref().to_vec()),
            Private::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map(|()| signature)
            }
        }
        .map_err(|_| TokenError::Signing)
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        self.public.verify_sig(message, signature).map_err(|_| TokenError::Signature)
    }

    /// Published and accepted.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.retired_at.is_none_or(|at| at > now)
    }

    /// RFC 7517, with the certificate.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = match self.algorithm {
            Algorithm::EdDsa => json!({"kty": "OKP", "crv": "Ed25519", "x": number(&self.public_raw)}),
            Algorithm::Es256 => {
                // An uncompressed point (SEC 1, 2.3.3): 4, then x and y, 32 bytes each.
                let (x, y) = self.public_raw.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
                json!({"kty": "EC", "crv": "P-256", "x": number(x), "y": number(y)})
            }
            Algorithm::Rs256 => {
                let (n, e) = rsa_components(&self.public_raw).unwrap_or_default();
                json!({"kty": "RSA", "n": number(n), "e": number(e)})
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.algorithm.as_str());
        jwk["use"] = json!("sig");
        jwk["x5c"] = json!([STANDARD.encode(&self.certificate)]);
        jwk
    }

    pub(crate) fn certificate_pem(&self) -> String {
        let text = STANDARD.encode(&self.certificate);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.extend(line.iter().map(|byte| char::from(*byte)));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }
}

impl Private {
    /// Raw for Ed25519, an uncompressed point for P-256, PKCS#1 `RSAPublicKey` for RSA.
    fn public(&self) -> Vec<u8> {
        use signature::KeyPair as _;
        match self {
            Self::Ed(key) => key.public_key().as_ref().to_vec(),
            Self::Ec(key) => key.public_key().as_ref().to_vec(),
            Self::Rsa(key) => key.public_key().as_ref().to_vec(),
        }
    }
}

fn number(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Modulus and exponent of a PKCS#1 `RSAPublicKey`: SEQUENCE { INTEGER, INTEGER } (RFC 8017, A.1.1).
pub(crate) fn rsa_components(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = der_value(der, 0x30)?;
    let (modulus, rest) = der_value(sequence, 0x02)?;
    let (exponent, _) = der_value(rest, 0x02)?;
    // A leading zero only says that the number is positive; JWK wants it gone (RFC 7518, 6.3.1.1).
    Some((modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent))
}

/// The content of the DER value at the start, and what follows it.
pub(crate) fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = der.strip_prefix(&[tag])?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That it is libtrust's id, docker-registry itself proves (tests/identity/docker_registry.rs).
    #[test]
    fn key_ids_have_libtrusts_form() {
        let id = key_id(b"any public key");
        assert_eq!(id.len(), 59);
        let groups: Vec<_> = id.split(':').collect();
        assert_eq!(groups.len(), 12);
        assert!(
            groups
                .iter()
                .all(|g| g.len() == 4 && g.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b)))
        );
    }

    #[test]
    fn an_unknown_algorithm_is_named_with_its_remedy() {
        let error = "HS256".parse::<Algorithm>().unwrap_err().to_string();
        assert_eq!(error, "`HS256` is not a signing algorithm; use `EdDSA`, `ES256` or `RS256`");
    }

    #[test]
    fn jwks_members_have_the_sizes_of_their_algorithms() {
        let now = Timestamp::from_millis(1_795_311_000_000);
        for (algorithm, members) in [
            (Algorithm::EdDsa, [("x", 32)].as_slice()),
            (Algorithm::Es256, &[("x", 32), ("y", 32)]),
            (Algorithm::Rs256, &[("n", 256), ("e", 3)]),
        ] {
            let jwk = Key::load(generate(algorithm, [1; 16], now, now).unwrap()).unwrap().jwk();
            for (member, bytes) in members {
                assert_eq!(URL_SAFE_NO_PAD.decode(jwk[member].as_str().unwrap()).unwrap().len(), *bytes, "{jwk}");
            }
        }
    }

    #[test]
    fn another_algorithms_key_does_not_load() {
        let now = Timestamp::from_millis(0);
        let mut row = generate(Algorithm::Es256, [1; 16], now, now).unwrap();
        row.algorithm = "EdDSA".to_owned();
        assert!(matches!(Key::load(row), Err(IdentityError::UnreadableKey(_))));
    }
}
