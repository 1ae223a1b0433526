//! Certificates as people make them: with openssl.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use shorepass_core::directory::ClientCredential;
use shorepass_core::{Clock as _, SystemClock, SystemRandom, Timestamp};
use shorepass_identity::{Assertions, Certificate, CertificateError, ClientCertificate};
use uuid::Uuid;

/// What openssl prints when it is run in `dir` with these arguments.
fn openssl(dir: &Path, arguments: &str) -> String {
    let output = Command::new("openssl").current_dir(dir).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_certificate_and_its_key_from_openssl_sign_in() {
    // The machine's, as openssl's certificates begin now.
    let clock = Arc::new(SystemClock);
    for new_key in [
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem",
        "genrsa -traditional -out key.pem 2048",
        "ecparam -name prime256v1 -genkey -out key.pem",
        "ecparam -name secp384r1 -genkey -noout -out key.pem",
    ] {
        let dir = tempfile::tempdir().unwrap();
        openssl(dir.path(), new_key);
        let pem = openssl(dir.path(), "req -x509 -new -key key.pem -subj /CN=build/O=Team -days 36500");
        std::fs::write(dir.path().join("cert.pem"), &pem).unwrap();
        let key = std::fs::read_to_string(dir.path().join("key.pem")).unwrap();

        let certificate = Certificate::from_pem(&pem).unwrap();
        assert_eq!(certificate.subject, "CN=build, O=Team");
        let fingerprint = openssl(dir.path(), "x509 -in cert.pem -noout -fingerprint -sha256");
        let fingerprint = fingerprint.trim().rsplit('=').next().unwrap().replace(':', "");
        assert_eq!(certificate.thumbprint(), fingerprint);
        assert_eq!(Certificate::from_pem(&format!("{key}{pem}")), Err(CertificateError::HoldsPrivateKey));

        let client = ClientCertificate::from_pem(&format!("{key}{pem}")).unwrap();
        let assertion = client.sign_assertion("app", "https://login.example/token", &*clock, &SystemRandom).unwrap();
        let registered = ClientCredential {
            display_name: "build".to_owned(),
            proof: certificate.proof(),
            start: Timestamp::from_millis(0),
            expires_at: clock.now().plus(Duration::from_secs(60)),
        };
        let id = Uuid::from_u128(4);
        let verified = Assertions::new(clock.clone()).verify(
            &assertion,
            "app",
            &["https://login.example/token"],
            [(id, &registered)],
        );
        assert_eq!(verified, Ok(id), "{new_key}");
    }
}

#[test]
fn an_encrypted_key_is_refused_with_the_way_out() {
    for new_key in [
        "genpkey -algorithm RSA -aes256 -pass pass:test -out key.pem",
        "genrsa -traditional -aes256 -passout pass:test -out key.pem",
    ] {
        let dir = tempfile::tempdir().unwrap();
        openssl(dir.path(), new_key);
        let pem = openssl(dir.path(), "req -x509 -new -key key.pem -passin pass:test -subj /CN=build -days 30");
        let key = std::fs::read_to_string(dir.path().join("key.pem")).unwrap();
        let error = ClientCertificate::from_pem(&format!("{pem}{key}")).unwrap_err();
        let text = "the private key is encrypted; decrypt it first, for example with `openssl pkcs8`";
        assert_eq!(error.to_string(), text, "{new_key}");
    }
}

/// Weak, or of a curve that tokens are not signed with.
#[test]
fn certificates_that_cannot_sign_in_are_refused() {
    for new_key in ["genrsa -out key.pem 1024", "ecparam -name secp256k1 -genkey -noout -out key.pem"] {
        let dir = tempfile::tempdir().unwrap();
        openssl(dir.path(), new_key);
        let pem = openssl(dir.path(), "req -x509 -new -key key.pem -subj /CN=build -days 30");
        assert_eq!(Certificate::from_pem(&pem), Err(CertificateError::UnusableKey), "{new_key}");
    }
}
