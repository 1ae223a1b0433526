use aws_lc_rs::hmac;
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};
use shorepass_core::SystemRandom;
use shorepass_core::time::TestClock;

use super::*;
use crate::signing::der_value;
use crate::tls::set_validity;

const APP: &str = "6f2a1c9e-0000-4000-8000-0000000000aa";
const ENDPOINT: &str = "https://login.example/tenant/oauth2/v2.0/token";
const OLD_ENDPOINT: &str = "https://login.example/tenant/v2.0";

fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::at(Timestamp::from_millis(1_795_311_000_123)))
}

/// A key and its certificate, as a client keeps them.
struct Pair {
    pem: String,
    certificate_pem: String,
    key: KeyPair,
}

fn pair(algorithm: &'static SignatureAlgorithm) -> Pair {
    pair_for(algorithm, clock().now(), 365)
}

fn pair_for(algorithm: &'static SignatureAlgorithm, now: Timestamp, days: i64) -> Pair {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::default();
    set_validity(&mut params, now, days).unwrap();
    let certificate_pem = params.self_signed(&key).unwrap().pem();
    Pair { pem: format!("{}{certificate_pem}", key.serialize_pem()), certificate_pem, key }
}

impl Pair {
    fn client(&self) -> ClientCertificate {
        ClientCertificate::from_pem(&self.pem).unwrap()
    }

    fn credential(&self) -> ClientCredential {
        ClientCredential {
            display_name: "build".to_owned(),
            proof: Certificate::from_pem(&self.certificate_pem).unwrap().proof(),
            start: Timestamp::from_millis(0),
            expires_at: clock().now().plus(Duration::from_secs(86_400)),
        }
    }
}

struct World {
    clock: Arc<TestClock>,
    assertions: Assertions,
    client: ClientCertificate,
    credential: ClientCredential,
}

const ID: Uuid = Uuid::from_u128(5);

impl World {
    fn new(algorithm: &'static SignatureAlgorithm) -> Self {
        let (clock, pair) = (clock(), pair(algorithm));
        let assertions = Assertions::new(clock.clone());
        Self { clock, assertions, client: pair.client(), credential: pair.credential() }
    }

    fn verify(&self, assertion: &str) -> Result<Uuid, AssertionError> {
        self.assertions.verify(assertion, APP, &[OLD_ENDPOINT, ENDPOINT], [(ID, &self.credential)])
    }

    fn signed(&self) -> String {
        self.client.sign_assertion(APP, ENDPOINT, &*self.clock, &SystemRandom).unwrap()
    }

    fn header(&self) -> Value {
        part(&self.signed(), 0)
    }

    fn claims(&self) -> Value {
        part(&self.signed(), 1)
    }

    /// Signed with the application's own key, whatever it says.
    fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = format!("{}.{}", encode(header), encode(claims));
        let signature = self.client.key.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn with_claim(&self, name: &str, value: Value) -> Result<Uuid, AssertionError> {
        let mut claims = self.claims();
        claims[name] = value;
        self.verify(&self.sign(&self.header(), &claims))
    }

    fn with_header(&self, name: &str, value: Value) -> Result<Uuid, AssertionError> {
        let mut header = self.header();
        header[name] = value;
        self.verify(&self.sign(&header, &self.claims()))
    }
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn without(value: &Value, names: &[&str]) -> Value {
    let mut value = value.clone();
    for name in names {
        value.as_object_mut().unwrap().remove(*name);
    }
    value
}

#[test]
fn an_assertion_of_each_kind_of_key_proves_its_credential() {
    for (algorithm, name) in [
        (&rcgen::PKCS_RSA_SHA256, "RS256"),
        (&rcgen::PKCS_ECDSA_P256_SHA256, "ES256"),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "ES384"),
    ] {
        let world = World::new(algorithm);
        assert_eq!(world.header()["alg"], name);
        assert_eq!(world.verify(&world.signed()), Ok(ID), "{name}");
    }
}

#[test]
fn an_rsa_key_may_sign_with_pss_too() {
    let world = World::new(&rcgen::PKCS_RSA_SHA256);
    let SigningKey::Rsa(key) = &world.client.key else { panic!("an RSA key") };
    let mut header = world.header();
    header["alg"] = json!("PS256");
    let input = format!("{}.{}", encode(&header), encode(&world.claims()));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&signature::RSA_PSS_SHA256, &aws_lc_rs::rand::SystemRandom::new(), input.as_bytes(), &mut signature)
        .unwrap();
    assert_eq!(world.verify(&format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))), Ok(ID));
}

/// MSAL for Python pads the thumbprint, and leaves the line breaks of the PEM file in `x5c`.
#[test]
fn a_certificate_is_named_in_each_of_the_ways_clients_do() {
    let world = World::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let bare = without(&world.header(), &["x5t", "x5t#S256"]);
    let certificate = world.client.certificate();
    let padded = base64::engine::general_purpose::URL_SAFE.encode(certificate.sha1);
    assert!(padded.ends_with('='));
    let mut broken = STANDARD.encode(&certificate.der);
    broken.insert(64, '\n');
    for (name, value) in [
        ("x5t", json!(padded)),
        ("x5t", json!(URL_SAFE_NO_PAD.encode(certificate.sha1))),
        ("x5t#S256", json!(URL_SAFE_NO_PAD.encode(certificate.sha256))),
        ("x5c", json!([STANDARD.encode(&certificate.der)])),
        ("x5c", json!([broken, "and its issuer"])),
    ] {
        let mut header = bare.clone();
        header[name] = value;
        assert_eq!(world.verify(&world.sign(&header, &world.claims())), Ok(ID), "{name}");
    }
    let error = world.verify(&world.sign(&bare, &world.claims()));
    assert_eq!(error, Err(AssertionError::UnknownCertificate), "one must be named");
}

/// The certificate in the header is good, its signature too; but it is nobody's.
#[test]
fn a_certificate_that_is_not_registered_proves_nothing_though_it_comes_along() {
    let (world, stranger) = (World::new(&rcgen::PKCS_ECDSA_P256_SHA256), World::new(&rcgen::PKCS_ECDSA_P256_SHA256));
    assert_eq!(world.verify(&stranger.signed()), Err(AssertionError::UnknownCertificate));
    let mut header = stranger.header();
    header["x5c"] = json!([STANDARD.encode(&stranger.client.certificate().der)]);
    assert_eq!(world.verify(&stranger.sign(&header, &stranger.claims())), Err(AssertionError::UnknownCertificate));
    // Named as ours, signed by the stranger; with the stranger's key in every place a header has for one.
    let mut header = world.header();
    assert_eq!(world.verify(&stranger.sign(&header, &stranger.claims())), Err(AssertionError::Signature));
    header["x5c"] = json!([STANDARD.encode(&stranger.client.certificate().der)]);
    assert_eq!(world.verify(&stranger.sign(&header, &stranger.claims())), Err(AssertionError::UnknownCertificate));
    let mut header = world.header();
    header["jwk"] = json!({"kty": "EC", "crv": "P-256"});
    header["jku"] = json!("https://attacker.example/keys");
    header["x5u"] = json!("https://attacker.example/certificate");
    assert_eq!(world.verify(&stranger.sign(&header, &stranger.claims())), Err(AssertionError::Signature));
}

#[test]
fn only_the_applications_live_certificates_count() {
    let world = World::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let now = world.clock.now();
    let verify =
        |credential: &ClientCredential| world.assertions.verify(&world.signed(), APP, &[ENDPOINT], [(ID, credential)]);
    assert_eq!(verify(&world.credential), Ok(ID));
    let mut credential = world.credential.clone();
    credential.expires_at = now;
    assert_eq!(verify(&credential), Err(AssertionError::UnknownCertificate), "the credential has expired");
    credential = world.credential.clone();
    credential.start = now.plus(Duration::from_secs(1));
    assert_eq!(verify(&credential), Err(AssertionError::UnknownCertificate), "it has not begun");
    credential.start = now;
    credential.proof = ClientProof::Secret { hash: "00".to_owned(), hint: "shp".to_owned() };
    assert_eq!(verify(&credential), Err(AssertionError::UnknownCertificate), "it is a secret");
    let none: [(Uuid, &ClientCredential); 0] = [];
    let error = world.assertions.verify(&world.signed(), APP, &[ENDPOINT], none);
    assert_eq!(error, Err(AssertionError::UnknownCertificate));

    let old = pair_for(&rcgen::PKCS_ECDSA_P256_SHA256, now.minus(Duration::from_secs(400 * 86_400)), 30);
    let assertion = old.client().sign_assertion(APP, ENDPOINT, &*world.clock, &SystemRandom).unwrap();
    let error = world.assertions.verify(&assertion, APP, &[ENDPOINT], [(ID, &old.credential())]);
    assert_eq!(error, Err(AssertionError::UnknownCertificate), "the certificate itself has expired");
}

#[test]
fn of_several_certificates_the_one_that_signed_is_told() {
    let (world, other) = (World::new(&rcgen::PKCS_ECDSA_P256_SHA256), World::new(&rcgen::PKCS_RSA_SHA256));
    let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let registered = [(first, &other.credential), (second, &world.credential)];
    assert_eq!(world.assertions.verify(&world.signed(), APP, &[ENDPOINT], registered), Ok(second));
    assert_eq!(world.assertions.verify(&other.signed(), APP, &[ENDPOINT], registered), Ok(first));
}

#[test]
fn an_assertion_is_of_the_application_and_for_the_token_endpoint() {
    let world = World::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    assert_eq!(world.with_claim("aud", json!(OLD_ENDPOINT)), Ok(ID));
    assert_eq!(world.with_claim("aud", json!(["https://elsewhere.example", ENDPOINT])), Ok(ID));
    for (claim, value, error) in [
        ("iss", json!("another"), AssertionError::Client),
        ("sub", json!("another"), AssertionError::Client),
        ("sub", json!(null), AssertionError::Client),
        ("aud", json!("https://login.example/tenant/oauth2/v2.0/token/"), AssertionError::Audience),
        ("aud", json!("https://elsewhere.example/token"), AssertionError::Audience),
        ("aud", json!([ENDPOINT, 1]), AssertionError::Audience),
        ("aud", json!([]), AssertionError::Audience),
        ("aud", json!(null), AssertionError::Audience),
    ] {
        assert_eq!(world.with_claim(claim, value.clone()), Err(error), "{claim} {value}");
    }
    let other = world.assertions.verify(&world.signed(), "another", &[ENDPOINT], [(ID, &world.credential)]);
    assert_eq!(other, Err(AssertionError::Client));
}

#[test]
fn an_assertion_lives_between_its_times_and_not_for_long() {
    let world = World::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let now = world.clock.now().seconds();
    let day = 24 * 60 * 60;
    for (claim, value, outcome) in [
        ("exp", json!(now + day), Ok(ID)),
        ("exp", json!(now + day + 1), Err(AssertionError::TooLongLived)),
        ("exp", json!(now - 59), Ok(ID)),
        ("exp", json!(now - 60), Err(AssertionError::Expired)),
        ("exp", json!(null), Err(AssertionError::Malformed)),
        ("exp", json!("tomorrow"), Err(AssertionError::Malformed)),
        ("exp", json!(1e300), Err(AssertionError::Malformed)),
        ("nbf", json!(now + 60), Ok(ID)),
        ("nbf", json!(now + 61), Err(AssertionError::NotYet)),
        ("iat", json!(now + 61), Err(AssertionError::NotYet)),
        ("iat", json!(null), Err(AssertionError::Malformed)),
    ] {
        assert_eq!(world.with_claim(claim, value.clone()), outcome, "{claim} {value}");
    }
    let claims = without(&world.claims(), &["exp"]);
    assert_eq!(world.verify(&world.sign(&world.header(), &claims)), Err(AssertionError::Malformed));
    let claims = without(&world.claims(), &["iat", "nbf"]);
    assert_eq!(world.verify(&world.sign(&world.header(), &claims)), Ok(ID), "these two are optional");
}

#[test]
fn an_assertion_is_good_once() {
    let world = World::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let assertion = world.signed();
    assert_eq!(world.verify(&assertion), Ok(ID));
    assert_eq!(world.verify(&assertion), Err(AssertionError::Replayed));
    assert_eq!(world.verify(&world.sign(&world.header(), &part(&assertion, 1))), Err(AssertionError::Replayed));
    assert_eq!(world.verify(&world.signed()), Ok(ID), "another one is another one");
    // As late as the leeway for the client's clock allows.
    world.clock.advance(OUR_LIFE + Duration::from_secs(58));
    assert_eq!(world.verify(&assertion), Err(AssertionError::Replayed));
    world.clock.advance(Duration::from_secs(3));
    assert_eq!(world.verify(&assertion), Err(AssertionError::Expired));
}

/// Who does not hold the key cannot use up an assertion of who does.
#[test]
fn a_forged_assertion_uses_up_nothing() {
    let (world, stranger) = (World::new(&rcgen::PKCS_ECDSA_P256_SHA256), World::new(&rcgen::PKCS_ECDSA_P256_SHA256));
    let assertion = world.signed();
    let forged = stranger.sign(&part(&assertion, 0), &part(&assertion, 1));
    assert_eq!(world.verify(&forged), Err(AssertionError::Signature));
    assert_eq!(world.verify(&assertion), Ok(ID));
}

#[test]
fn without_a_jti_the_signed_text_is_remembered_not_its_signature() {
    let world = World::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (header, claims) = (world.header(), without(&world.claims(), &["jti"]));
    let (one, two) = (world.sign(&header, &claims), world.sign(&header, &claims));
    assert_ne!(one, two, "an ECDSA signature is never the same twice");
    assert_eq!(world.verify(&one), Ok(ID));
    assert_eq!(world.verify(&two), Err(AssertionError::Replayed));
}

#[test]
fn one_application_that_fills_its_memory_stops_no_other_and_never_forgets_what_is_valid() {
    let now = clock().now();
    let (mut seen, end) = (Seen::default(), now.plus(OUR_LIFE));
    let name = |number: usize| (number as u128).to_be_bytes();
    for number in 0..MAX_REMEMBERED_OF_ONE {
        seen.first_time("busy", name(number), end, now).unwrap();
    }
    assert_eq!(seen.first_time("busy", name(MAX_REMEMBERED_OF_ONE), end, now), Err(AssertionError::Busy));
    assert_eq!(seen.first_time("busy", name(0), end, now), Err(AssertionError::Replayed));
    assert_eq!(seen.first_time("calm", name(0), end, now), Ok(()));
    let later = end.plus(Duration::from_secs(121));
    let fresh = later.plus(OUR_LIFE);
    assert_eq!(seen.first_time("busy", name(MAX_REMEMBERED_OF_ONE), fresh, later), Ok(()), "room again");
    assert_eq!((seen.of("busy"), seen.count), (1, 2));
}

#[test]
fn memory_of_all_applications_together_is_bounded() {
    let now = clock().now();
    let (mut seen, end) = (Seen::default(), now.plus(OUR_LIFE));
    for number in 0..MAX_REMEMBERED {
        let client = format!("app {}", number / MAX_REMEMBERED_OF_ONE);
        seen.first_time(&client, (number as u128).to_be_bytes(), end, now).unwrap();
    }
    assert_eq!(seen.first_time("one more", [0; 16], end, now), Err(AssertionError::Busy));
    assert_eq!(seen.count, MAX_REMEMBERED);
    assert_eq!(seen.first_time("one more", [0; 16], end, end.plus(Duration::from_secs(121))), Ok(()));
    assert_eq!(seen.count, 1);
}

#[test]
fn macs_none_and_conditions_are_refused() {
    let world = World::new(&rcgen::PKCS_ECDSA_P256_SHA256);
    for (name, value, error) in [
        ("alg", json!("none"), AssertionError::Algorithm),
        ("alg", json!("NONE"), AssertionError::Algorithm),
        ("alg", json!("HS256"), AssertionError::Algorithm),
        ("alg", json!("es256"), AssertionError::Algorithm),
        ("alg", json!(null), AssertionError::Malformed),
        // Of another family than the certificate's key.
        ("alg", json!("RS256"), AssertionError::Signature),
        ("alg", json!("ES384"), AssertionError::Signature),
        ("crit", json!(["exp"]), AssertionError::Critical),
        ("crit", json!([]), AssertionError::Critical),
        ("b64", json!(false), AssertionError::Critical),
        ("x5t", json!(1), AssertionError::UnknownCertificate),
        ("x5c", json!([]), AssertionError::UnknownCertificate),
        ("x5c", json!("text"), AssertionError::UnknownCertificate),
    ] {
        assert_eq!(world.with_header(name, value.clone()), Err(error), "{name} {value}");
    }
    let mut header = world.header();
    header["alg"] = json!("HS256");
    let input = format!("{}.{}", encode(&header), encode(&world.claims()));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &world.client.certificate().der), input.as_bytes());
    let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(mac.as_ref()));
    assert_eq!(world.verify(&forged), Err(AssertionError::Algorithm));
    assert_eq!(world.verify(&format!("{input}.")), Err(AssertionError::Algorithm));
    assert_eq!(world.verify(&"a".repeat(10_000_000)), Err(AssertionError::TooLong));
    assert_eq!(world.verify(&".".repeat(20_000)), Err(AssertionError::Malformed));
}

#[test]
fn a_client_needs_both_halves_and_they_must_fit() {
    let (one, two) = (pair(&rcgen::PKCS_ECDSA_P256_SHA256), pair(&rcgen::PKCS_ECDSA_P256_SHA256));
    let refused = |pem: &str| ClientCertificate::from_pem(pem).unwrap_err();
    assert_eq!(refused(&one.certificate_pem), CertificateError::NoPrivateKey);
    assert_eq!(
        CertificateError::NoPrivateKey.to_string(),
        "the file holds no private key; signing in needs one PEM file with the certificate and its private key"
    );
    assert_eq!(refused(&one.key.serialize_pem()), CertificateError::NoCertificate);
    assert_eq!(refused(""), CertificateError::NoCertificate);
    assert_eq!(refused(&format!("{}{}", one.certificate_pem, two.key.serialize_pem())), CertificateError::WrongKey);
    let rsa = pair(&rcgen::PKCS_RSA_SHA256);
    assert_eq!(refused(&format!("{}{}", one.certificate_pem, rsa.key.serialize_pem())), CertificateError::WrongKey);
    let encrypted = one.pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert_eq!(refused(&encrypted), CertificateError::EncryptedKey);
    let reordered = format!("{}{}", one.certificate_pem, one.key.serialize_pem());
    assert_eq!(ClientCertificate::from_pem(&reordered).unwrap().certificate(), one.client().certificate());
}

/// `-----BEGIN RSA PRIVATE KEY-----`: what older tools write.
#[test]
fn a_key_of_the_older_form_is_read() {
    let pair = pair(&rcgen::PKCS_RSA_SHA256);
    let pkcs8 = pair.key.serialize_der();
    // PrivateKeyInfo (RFC 5208, 5): version, algorithm, and the older form as an octet string.
    let (sequence, _) = der_value(&pkcs8, 0x30).unwrap();
    let (_, rest) = der_value(sequence, 0x02).unwrap();
    let (_, rest) = der_value(rest, 0x30).unwrap();
    let (pkcs1, _) = der_value(rest, 0x04).unwrap();
    let text = STANDARD.encode(pkcs1);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let label = "RSA PRIVATE KEY";
    let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n{}", lines.join("\n"), pair.certificate_pem);
    let client = ClientCertificate::from_pem(&pem).unwrap();
    let clock = clock();
    let assertion = client.sign_assertion(APP, ENDPOINT, &*clock, &SystemRandom).unwrap();
    let verified = Assertions::new(clock).verify(&assertion, APP, &[ENDPOINT], [(ID, &pair.credential())]);
    assert_eq!(verified, Ok(ID));
}

#[test]
fn debug_shows_no_key() {
    let pair = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
    let shown = format!("{:?}", pair.client());
    assert_eq!(shown, r#"ClientCertificate { subject: "CN=rcgen self signed cert", .. }"#);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is changed of it, what is signed or how: it is refused, or is still the same assertion.
    #[test]
    fn a_changed_assertion_is_refused(at: prop::sample::Index, replacement in "[A-Za-z0-9_.-]") {
        let world = World::new(&rcgen::PKCS_ECDSA_P256_SHA256);
        let assertion = world.signed();
        let at = at.index(assertion.len());
        let mut changed = assertion.clone();
        changed.replace_range(at..=at, &replacement);
        prop_assert!(changed == assertion || world.verify(&changed).is_err());
        prop_assert_eq!(world.verify(&assertion), Ok(ID));
    }

    #[test]
    fn junk_is_refused_without_a_panic(junk in "[A-Za-z0-9_.=-]{0,200}") {
        prop_assert!(World::new(&rcgen::PKCS_ECDSA_P256_SHA256).verify(&junk).is_err());
    }
}
