//! A private certificate authority and a server certificate, for `--tls self-signed`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest;
use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SanType,
};
use serde::{Deserialize, Serialize};
use shorepass_core::{Clock, Timestamp};
use zeroize::Zeroizing;

use crate::IdentityError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// From the day before: a client whose clock is a little behind ours accepts it at once.
const STARTS: i64 = -1;

const CA_DAYS: i64 = 3650;

/// It ends at midnight; so many days from now it is still good.
const CA_CERTAIN_DAYS: u32 = 3649;

/// With the day before it 397 days, the most that clients accept of a server certificate (CA/Browser Forum, 6.3.2).
const LEAF_DAYS: i64 = 396;

/// As for the authority.
const LEAF_CERTAIN_DAYS: u32 = 395;

/// A certificate with less than this left is renewed at the next call.
const RENEW_BEFORE: Duration = DAY.saturating_mul(30);

/// Where the certificates are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfSigned {
    /// What clients have to trust.
    pub ca_pem: PathBuf,
    pub cert_pem: PathBuf,
    pub key_pem: PathBuf,
    /// Whether the certificate was made (or renewed) by this call. The authority is made once and stays.
    pub created: bool,
}

/// What the certificate beside it was made for. It also holds what we would otherwise have to parse X.509 for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    names: Vec<String>,
    not_after: Timestamp,
    /// SHA-256 of certificate and key, in hex: files that were exchanged, or written halfway, do not match.
    files: String,
    authority_not_after: Timestamp,
    /// SHA-256 of the authority's certificate, in hex.
    authority: String,
}

/// The certificate for `names` (host names and IP addresses) under `dir`, made if it is not there, ends within 30 days,
/// or is for other names. The authority behind it is made once, so that clients which trust it go on doing so.
///
/// Strict under RFC 5280: Python's `VERIFY_X509_STRICT`, OpenSSL's `-x509_strict` and rustls accept it. Private keys
/// are readable by the owner alone.
///
/// # Errors
/// A name no certificate can hold; a file that cannot be read or written; a key that cannot be made.
pub fn self_signed(dir: &Path, names: &[String], clock: &dyn Clock) -> Result<SelfSigned, IdentityError> {
    let names = normalise(names)?;
    let mut made = SelfSigned {
        ca_pem: dir.join("ca.pem"),
        cert_pem: dir.join("cert.pem"),
        key_pem: dir.join("key.pem"),
        created: false,
    };
    let now = clock.now();
    let record_path = dir.join("made.json");
    let record = fs::read(&record_path).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok());
    let record = record.filter(|record| record.authority_holds(&made, now));
    if record.as_ref().is_some_and(|record| record.leaf_holds(&made, &names, now)) {
        return Ok(made);
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| file(dir, source))?;
    let issuer = authority(dir, &made.ca_pem, record.is_some(), now)?;
    let (certificate, key) = leaf(&issuer, &names, now)?;
    write(&made.key_pem, key.as_bytes(), 0o600)?;
    write(&made.cert_pem, certificate.as_bytes(), 0o644)?;
    let record = Record {
        names,
        not_after: now.plus(DAY * LEAF_CERTAIN_DAYS),
        files: fingerprint(&[&made.cert_pem, &made.key_pem]).unwrap_or_default(),
        authority_not_after: record.map_or(now.plus(DAY * CA_CERTAIN_DAYS), |record| record.authority_not_after),
        authority: fingerprint(&[&made.ca_pem]).unwrap_or_default(),
    };
    // Last: without a record that matches, everything but the authority's key is made anew.
    write(&record_path, serde_json::to_string_pretty(&record).unwrap_or_default().as_bytes(), 0o644)?;
    made.created = true;
    Ok(made)
}

impl Record {
    fn leaf_holds(&self, made: &SelfSigned, names: &[String], now: Timestamp) -> bool {
        self.names == names
            && self.not_after > now.plus(RENEW_BEFORE)
            && fingerprint(&[&made.cert_pem, &made.key_pem]).is_some_and(|files| files == self.files)
    }

    /// Whether it is whole and outlives a leaf made now.
    fn authority_holds(&self, made: &SelfSigned, now: Timestamp) -> bool {
        self.authority_not_after > now.plus(DAY * (LEAF_CERTAIN_DAYS + 2))
            && fingerprint(&[&made.ca_pem]).is_some_and(|authority| authority == self.authority)
    }
}

fn fingerprint(paths: &[&Path]) -> Option<String> {
    let mut context = digest::Context::new(&digest::SHA256);
    for path in paths {
        context.update(digest::digest(&digest::SHA256, &Zeroizing::new(fs::read(path).ok()?)).as_ref());
    }
    Some(hex::encode(context.finish()))
}

/// Sorted, each once, addresses in their one spelling.
fn normalise(names: &[String]) -> Result<Vec<String>, IdentityError> {
    let mut names: Vec<String> = names
        .iter()
        .map(|name| match name.parse::<IpAddr>() {
            Ok(address) => Ok(address.to_canonical().to_string()),
            Err(_) if is_host_name(name) => Ok(name.to_ascii_lowercase()),
            Err(_) => Err(IdentityError::HostName(name.clone())),
        })
        .collect::<Result<_, _>>()?;
    names.sort();
    names.dedup();
    if names.is_empty() { Err(IdentityError::HostName(String::new())) } else { Ok(names) }
}

/// Labels of letters, digits and inner hyphens (RFC 1123, 2.1), the first possibly `*`.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.strip_prefix("*.").unwrap_or(name).split('.').all(label)
}

/// The authority: its key, made if it is not there, and its certificate, made unless `certificate_holds`. Made again from
/// the same key it has the same name, so clients that trust the former copy verify what it signs.
fn authority(
    dir: &Path,
    ca_pem: &Path,
    certificate_holds: bool,
    now: Timestamp,
) -> Result<Issuer<'static, KeyPair>, IdentityError> {
    let key_path = dir.join("ca-key.pem");
    let (key, made) = match fs::read_to_string(&key_path).map(Zeroizing::new) {
        Ok(pem) => {
            let unreadable = |_| IdentityError::UnreadableKey(key_path.display().to_string());
            (KeyPair::from_pem(&pem).map_err(unreadable)?, false)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = new_key()?;
            write(&key_path, Zeroizing::new(key.serialize_pem()).as_bytes(), 0o600)?;
            (key, true)
        }
        Err(source) => return Err(file(&key_path, source)),
    };
    let params = authority_params(&key, now)?;
    if made || !certificate_holds {
        let certificate = params.self_signed(&key).map_err(making)?;
        write(ca_pem, certificate.pem().as_bytes(), 0o644)?;
    }
    Ok(Issuer::new(params, key))
}

/// The name depends on the key alone, so it is the same each time, and two authorities never share one.
fn authority_params(key: &KeyPair, now: Timestamp) -> Result<CertificateParams, IdentityError> {
    let digest = digest::digest(&digest::SHA256, &key.subject_public_key_info());
    let mark = hex::encode(digest.as_ref().get(..4).unwrap_or_default());
    let mut params = params(&format!("Shorepass private authority {mark}"), now, CA_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn leaf(
    authority: &Issuer<'_, KeyPair>,
    names: &[String],
    now: Timestamp,
) -> Result<(String, Zeroizing<String>), IdentityError> {
    // Not one of the names: the field holds 64 characters, a host name up to 253, and nobody reads names here any more.
    let mut params = params("Shorepass server", now, LEAF_DAYS)?;
    params.subject_alt_names = names.iter().map(|name| alternative_name(name)).collect::<Result<_, _>>()?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = new_key()?;
    let certificate = params.signed_by(&key, authority).map_err(making)?;
    Ok((certificate.pem(), Zeroizing::new(key.serialize_pem())))
}

fn alternative_name(name: &str) -> Result<SanType, IdentityError> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => Ok(SanType::DnsName(name.try_into().map_err(|_| IdentityError::HostName(name.to_owned()))?)),
    }
}

/// P-256: every TLS client there is accepts it.
fn new_key() -> Result<KeyPair, IdentityError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(making)
}

fn params(common_name: &str, now: Timestamp, days: i64) -> Result<CertificateParams, IdentityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    set_validity(&mut params, now, days)?;
    Ok(params)
}

/// From the day before `now` until `days` after it, at midnight UTC.
pub(crate) fn set_validity(params: &mut CertificateParams, now: Timestamp, days: i64) -> Result<(), IdentityError> {
    let today = jiff::Timestamp::from_millisecond(now.millis()).map_err(making)?.to_zoned(TimeZone::UTC).date();
    let day = |offset: i64| -> Result<(i32, u8, u8), IdentityError> {
        let date = today.checked_add(jiff::Span::new().try_days(offset).map_err(making)?).map_err(making)?;
        Ok((i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs()))
    };
    let ((year, month, first), end) = (day(STARTS)?, day(days)?);
    params.not_before = rcgen::date_time_ymd(year, month, first);
    params.not_after = rcgen::date_time_ymd(end.0, end.1, end.2);
    Ok(())
}

/// Whole or not at all, and with its mode from the first byte on.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), IdentityError> {
    let written = path.with_extension("new");
    let attempt = || -> std::io::Result<()> {
        match fs::remove_file(&written) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&written)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&written, path)
    };
    attempt().map_err(|source| file(path, source))
}

fn file(path: &Path, source: std::io::Error) -> IdentityError {
    IdentityError::File { path: path.to_owned(), source }
}

pub(crate) fn making(error: impl std::fmt::Display) -> IdentityError {
    IdentityError::Making(error.to_string())
}

#[cfg(test)]
mod tests;
