use super::*;
use shorepass_core::SystemClock;
use shorepass_core::time::TestClock;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn clock() -> TestClock {
    TestClock::at(Timestamp::from_millis(1_795_311_000_000))
}

fn text(made: &SelfSigned) -> [Vec<u8>; 3] {
    [&made.ca_pem, &made.cert_pem, &made.key_pem].map(|path| fs::read(path).unwrap())
}

#[test]
fn made_once_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (dir, clock) = (dir.path().join("tls"), clock());
    let first = self_signed(&dir, &names(&["localhost", "127.0.0.1"]), &clock).unwrap();
    let before = text(&first);
    clock.advance(DAY * 300);
    let second = self_signed(&dir, &names(&["127.0.0.1", "LOCALHOST", "localhost"]), &clock).unwrap();
    assert!(first.created && !second.created);
    assert_eq!(text(&second), before);
}

#[test]
fn the_leaf_is_renewed_before_it_ends_and_the_authority_stays() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let made = self_signed(dir.path(), &names(&["localhost"]), &clock).unwrap();
    let [authority, leaf, key] = text(&made);
    clock.advance(DAY * 366);
    assert!(self_signed(dir.path(), &names(&["localhost"]), &clock).unwrap().created);
    let renewed = text(&made);
    assert_eq!(renewed[0], authority);
    assert!(renewed[1] != leaf && renewed[2] != key);
}

#[test]
fn other_names_or_damaged_files_make_a_new_leaf() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock;
    let made = self_signed(dir.path(), &names(&["localhost"]), &clock).unwrap();
    let again = |names: &[String]| self_signed(dir.path(), names, &clock).unwrap().created;
    let (one, two) = (names(&["localhost"]), names(&["localhost", "registry.example"]));
    assert!(again(&two) && !again(&two));
    for path in [&made.cert_pem, &made.key_pem, &made.ca_pem] {
        for damage in
            [|path: &Path| fs::write(path, "half a fi").unwrap(), |path: &Path| fs::remove_file(path).unwrap()]
        {
            damage(path);
            assert!(again(&one), "{}", path.display());
            assert!(openssl_verifies(&made, &["-verify_hostname", "localhost"]), "{}", path.display());
        }
    }
}

#[test]
fn an_authority_near_its_end_is_made_again_and_its_former_copy_verifies_what_it_signs() {
    let dir = tempfile::tempdir().unwrap();
    let nine_years_ago = TestClock::at(SystemClock.now().minus(DAY * 3260));
    let made = self_signed(dir.path(), &names(&["localhost"]), &nine_years_ago).unwrap();
    let former = dir.path().join("former.pem");
    fs::copy(&made.ca_pem, &former).unwrap();
    assert!(self_signed(dir.path(), &names(&["localhost"]), &SystemClock).unwrap().created);
    assert_ne!(fs::read(&made.ca_pem).unwrap(), fs::read(&former).unwrap());
    assert!(openssl_verifies(&made, &["-verify_hostname", "localhost"]));
    assert!(openssl_verifies(&SelfSigned { ca_pem: former, ..made }, &["-verify_hostname", "localhost"]));
}

#[test]
fn an_unreadable_authority_key_is_named_and_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    self_signed(dir.path(), &names(&["localhost"]), &clock()).unwrap();
    fs::write(dir.path().join("ca-key.pem"), "half a fi").unwrap();
    let error = self_signed(dir.path(), &names(&["other"]), &clock()).unwrap_err().to_string();
    assert!(error.contains("ca-key.pem` is unreadable"), "{error}");
}

#[test]
fn private_keys_are_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("tls");
    self_signed(&dir, &names(&["localhost"]), &clock()).unwrap();
    let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("key.pem"), mode("ca-key.pem"), mode("")), (0o600, 0o600, 0o700));
}

#[test]
fn names_no_certificate_can_hold_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "a b", "-a.example", "a..b", "http://a", "a:5000", "a\0b", "*.*.example", "münchen.example"] {
        let error = self_signed(dir.path(), &names(&["localhost", name]), &clock()).unwrap_err();
        assert!(matches!(error, IdentityError::HostName(refused) if refused == name));
    }
    assert!(self_signed(dir.path(), &[], &clock()).is_err());
}

fn openssl_verifies(made: &SelfSigned, check: &[&str]) -> bool {
    let mut command = Command::new("openssl");
    command.args(["verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslserver", "-CAfile"]);
    command.arg(&made.ca_pem).args(check).arg(&made.cert_pem).output().unwrap().status.success()
}

/// `openssl verify -x509_strict`, which is also what Python's `VERIFY_X509_STRICT` runs.
#[test]
fn openssl_verifies_strictly_for_each_name() {
    let dir = tempfile::tempdir().unwrap();
    let given = names(&["localhost", "*.registry.example", "127.0.0.1", "::1"]);
    let made = self_signed(dir.path(), &given, &SystemClock).unwrap();
    let verify = |check: &[&str]| openssl_verifies(&made, check);
    for good in [
        ["-verify_hostname", "localhost"],
        ["-verify_hostname", "team.registry.example"],
        ["-verify_ip", "127.0.0.1"],
        ["-verify_ip", "::1"],
    ] {
        assert!(verify(&good), "{good:?}");
    }
    assert!(!verify(&["-verify_hostname", "other.example"]));
    assert!(!verify(&["-verify_ip", "127.0.0.2"]));
}

/// Each extension and bound that a strict client looks for, as OpenSSL prints it.
#[test]
fn certificates_hold_what_rfc_5280_asks() {
    let dir = tempfile::tempdir().unwrap();
    let made = self_signed(dir.path(), &names(&["localhost", "10.0.0.1"]), &SystemClock).unwrap();
    let print = |path: &Path| {
        let output = Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(path).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::trim).collect::<Vec<_>>().join("\n")
    };
    let authority = print(&made.ca_pem);
    for part in [
        "Basic Constraints: critical\nCA:TRUE, pathlen:0\n",
        "Key Usage: critical\nCertificate Sign, CRL Sign\n",
        "Subject Key Identifier",
    ] {
        assert!(authority.contains(part), "{part} in {authority}");
    }
    let leaf = print(&made.cert_pem);
    for part in [
        "Basic Constraints: critical\nCA:FALSE\n",
        "Key Usage: critical\nDigital Signature\n",
        "Extended Key Usage:\nTLS Web Server Authentication\n",
        "Subject Alternative Name:\nIP Address:10.0.0.1, DNS:localhost\n",
        "Subject Key Identifier",
        "Authority Key Identifier",
    ] {
        assert!(leaf.contains(part), "{part} in {leaf}");
    }
    assert!(!leaf.contains("Negative"), "{leaf}");
    let ends = |days: u64| {
        let mut command = Command::new("openssl");
        command.args(["x509", "-noout", "-checkend", &(days * 86_400).to_string(), "-in"]).arg(&made.cert_pem);
        !command.output().unwrap().status.success()
    };
    assert!(!ends(395) && ends(397), "397 days in all");
}

#[test]
fn rustls_accepts_what_we_made() {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let dir = tempfile::tempdir().unwrap();
    let made = self_signed(dir.path(), &names(&["localhost"]), &SystemClock).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&made.ca_pem).unwrap()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let chain = vec![CertificateDer::from_pem_file(&made.cert_pem).unwrap()];
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&made.key_pem).unwrap())
        .unwrap();
    let mut client = rustls::ClientConnection::new(client.into(), "localhost".try_into().unwrap()).unwrap();
    let mut server = rustls::ServerConnection::new(server.into()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().unwrap();
    }
}
