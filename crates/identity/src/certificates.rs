//! Certificates of applications: read, named by their thumbprints, never believed for what they say about themselves.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use shorepass_core::Timestamp;
use shorepass_core::directory::ClientProof;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey as X509Key;

use crate::jose::PublicKey;

/// A certificate and its chain are a few KiB.
const MAX_PEM_BYTES: usize = 64 * 1024;

/// Why a certificate, or one with its key, is refused. The text is for the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("the text holds no PEM certificate; it begins with `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    #[error("the certificate cannot be read")]
    Unreadable,
    #[error("the certificate's key is of a kind that cannot sign in; use RSA of at least 2048 bits, P-256 or P-384")]
    UnusableKey,
    /// To a server: the private key is then no longer private.
    #[error("the text holds a private key; send the certificate alone, and keep the key where it is used")]
    HoldsPrivateKey,
    /// To a client: what-the-documents-say.md, "certificate login needs PEM with private key".
    #[error("the file holds no private key; signing in needs one PEM file with the certificate and its private key")]
    NoPrivateKey,
    #[error("the private key is encrypted; decrypt it first, for example with `openssl pkcs8`")]
    EncryptedKey,
    #[error("the private key does not belong to the certificate")]
    WrongKey,
    #[error("the assertion could not be signed")]
    Signing,
}

/// A certificate that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub der: Vec<u8>,
    /// The `x5t` of a JWS header (RFC 7515, 4.1.7): it names a certificate, and proves nothing.
    pub sha1: [u8; 20],
    /// The `x5t#S256`.
    pub sha256: [u8; 32],
    /// The subject's distinguished name, for people to read.
    pub subject: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub(crate) key: PublicKey,
}

impl Certificate {
    /// The first certificate of a PEM text.
    ///
    /// # Errors
    /// None there, not readable, of a kind of key that cannot sign in, or with a private key beside it.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        if pem.contains("PRIVATE KEY-----") {
            return Err(CertificateError::HoldsPrivateKey);
        }
        Self::first_of(pem)
    }

    pub(crate) fn first_of(pem: &str) -> Result<Self, CertificateError> {
        if pem.len() > MAX_PEM_BYTES {
            return Err(CertificateError::NoCertificate);
        }
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| CertificateError::NoCertificate)?;
        Self::from_der(&der)
    }

    /// # Errors
    /// Not a certificate, more than one, or of a kind of key that cannot sign in.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError::Unreadable)?;
        if !rest.is_empty() {
            return Err(CertificateError::Unreadable);
        }
        let time = |time: x509_parser::time::ASN1Time| Timestamp::from_millis(time.timestamp().saturating_mul(1000));
        Ok(Self {
            der: der.to_vec(),
            sha1: digest_of(&digest::SHA1_FOR_LEGACY_USE_ONLY, der),
            sha256: digest_of(&digest::SHA256, der),
            subject: parsed.subject().to_string(),
            not_before: time(parsed.validity().not_before),
            not_after: time(parsed.validity().not_after),
            key: public_key(&parsed).ok_or(CertificateError::UnusableKey)?,
        })
    }

    /// SHA-256 in upper-case hexadecimal.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        hex::encode_upper(self.sha256)
    }

    /// What to store of it.
    #[must_use]
    pub fn proof(&self) -> ClientProof {
        ClientProof::Certificate { der: STANDARD.encode(&self.der), thumbprint: self.thumbprint() }
    }

    pub(crate) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

fn public_key(certificate: &X509Certificate<'_>) -> Option<PublicKey> {
    let info = certificate.public_key();
    match info.parsed().ok()? {
        X509Key::RSA(rsa) => PublicKey::rsa(rsa.modulus, rsa.exponent),
        // The curve is named by its OID (RFC 5480, 2.1.1.1); the length alone would take secp256k1 for P-256.
        X509Key::EC(point) => match info.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string().as_str() {
            "1.2.840.10045.3.1.7" => Some(PublicKey::P256(point.data().to_vec())),
            "1.3.132.0.34" => Some(PublicKey::P384(point.data().to_vec())),
            _ => None,
        },
        _ => None,
    }
}

fn digest_of<const N: usize>(algorithm: &'static digest::Algorithm, bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(digest::digest(algorithm, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SignatureAlgorithm};

    use super::*;
    use crate::tls::set_validity;

    const NOW: Timestamp = Timestamp::from_millis(1_795_311_000_000);

    fn pem(algorithm: &'static SignatureAlgorithm) -> (String, String) {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "build agent");
        set_validity(&mut params, NOW, 90).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_is_read_with_its_thumbprints_and_times() {
        let certificate = Certificate::from_pem(&pem(&rcgen::PKCS_ECDSA_P256_SHA256).0).unwrap();
        assert_eq!(certificate.subject, "CN=build agent");
        assert_eq!(certificate.not_before.to_string(), "2026-11-21T00:00:00Z");
        assert_eq!(certificate.not_after.to_string(), "2027-02-20T00:00:00Z");
        assert_eq!(certificate.thumbprint().len(), 64);
        assert_eq!(certificate.thumbprint(), hex::encode_upper(certificate.sha256));
        assert_eq!(Certificate::from_der(&certificate.der).unwrap(), certificate);
        let ClientProof::Certificate { der, thumbprint } = certificate.proof() else { panic!("a certificate") };
        assert_eq!(STANDARD.decode(der).unwrap(), certificate.der);
        assert_eq!(thumbprint, certificate.thumbprint());
    }

    #[test]
    fn text_around_the_certificate_does_no_harm_and_the_first_one_counts() {
        let (one, two) = (pem(&rcgen::PKCS_RSA_SHA256).0, pem(&rcgen::PKCS_RSA_SHA256).0);
        let chain = format!("Bag Attributes\n    friendlyName: x\n{one}\n{two}");
        assert_eq!(Certificate::from_pem(&chain).unwrap(), Certificate::from_pem(&one).unwrap());
        assert_ne!(Certificate::from_pem(&chain).unwrap().sha1, Certificate::from_pem(&two).unwrap().sha1);
    }

    #[test]
    fn what_cannot_sign_in_is_refused_with_its_reason() {
        let (certificate, key) = pem(&rcgen::PKCS_ECDSA_P256_SHA256);
        for (text, error) in [
            (String::new(), CertificateError::NoCertificate),
            ("no PEM".to_owned(), CertificateError::NoCertificate),
            (format!("{certificate}{key}"), CertificateError::HoldsPrivateKey),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(), CertificateError::Unreadable),
            (pem(&rcgen::PKCS_ED25519).0, CertificateError::UnusableKey),
            ("-".repeat(MAX_PEM_BYTES + 1), CertificateError::NoCertificate),
        ] {
            assert_eq!(Certificate::from_pem(&text).unwrap_err(), error);
        }
        let mut der = Certificate::from_pem(&certificate).unwrap().der;
        der.push(0);
        assert_eq!(Certificate::from_der(&der), Err(CertificateError::Unreadable), "something follows it");
    }
}
