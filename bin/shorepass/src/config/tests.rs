use std::fs;

use shorepass_server::settings::{Blobs, Database, Tls};

use super::*;

/// Loads a file's text with an environment.
fn load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Vec<Finding>> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, text).unwrap();
    let environment = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Sources { config: Some(&file), data: None, environment: &environment, flags: None }.load()
}

fn complaints(text: &str) -> Vec<String> {
    load(text, &[]).unwrap_err().into_iter().map(|finding| finding.complaint.message).collect()
}

#[test]
fn an_empty_file_is_the_defaults() {
    let loaded = load("", &[("HOME", "/home/someone")]).unwrap();
    assert_eq!(loaded.settings.data, PathBuf::from("/home/someone/.local/share/shorepass"));
    assert_eq!(loaded.settings.listen.to_string(), "127.0.0.1:5000");
    assert_eq!(loaded.settings.tls, Tls::Off);
    assert!(matches!(loaded.settings.database, Database::Sqlite));
    assert!(matches!(loaded.settings.blobs, Blobs::Local));
}

#[test]
fn without_a_home_data_is_the_systems() {
    assert_eq!(load("", &[]).unwrap().settings.data, PathBuf::from("/var/lib/shorepass"));
}

#[test]
fn the_environment_wins_over_the_file_and_flags_over_both() {
    let environment = [("SHOREPASS_LISTEN", "127.0.0.1:2"), ("SHOREPASS_DOMAIN", "b.example")];
    let loaded = load("listen = '127.0.0.1:1'\ndomain = 'a.example'\nsigning = 'es256'", &environment).unwrap();
    assert_eq!(loaded.settings.listen.port(), 2);
    assert_eq!(loaded.settings.signing.as_str(), "ES256");

    let command = clap::Command::new("serve").args(flags());
    let matches = command.get_matches_from(["serve", "--listen", "127.0.0.1:3"]);
    let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let loaded = Sources { config: None, data: None, environment: &environment, flags: Some(&matches) }.load().unwrap();
    assert_eq!(loaded.settings.listen.port(), 3);
    assert_eq!(loaded.settings.domain.as_deref(), Some("b.example"));
    let origins: Vec<String> = loaded.effective.iter().map(|row| format!("{}={}", row.key, row.origin)).collect();
    assert!(origins.contains(&"listen=--listen".to_owned()), "{origins:?}");
    assert!(origins.contains(&"domain=SHOREPASS_DOMAIN".to_owned()), "{origins:?}");
}

#[test]
fn every_error_is_found_with_its_place_and_remedy() {
    let text = "listne = '127.0.0.1:1'\n\nsigning = 'hs256'\noutage_budget = 60\n[metrics_listen]\n";
    let findings = load(text, &[]).unwrap_err();
    let shown: Vec<String> = findings
        .iter()
        .map(|f| format!("{f}|{}", f.complaint.remedy).split_once("config.toml:").unwrap().1.to_owned())
        .collect();
    assert_eq!(shown.len(), 4, "{shown:?}");
    assert!(shown[0].starts_with("1:1: there is no setting `listne`|did you mean `listen`?"), "{shown:?}");
    assert!(shown[1].starts_with("3:11: `signing`: `hs256` is no signing algorithm"), "{shown:?}");
    assert!(shown[2].starts_with("4:17: `outage_budget`: `60` is not a duration"), "{shown:?}");
    assert!(shown[3].contains("is a setting, not a section"), "{shown:?}");
}

#[test]
fn broken_toml_does_not_hide_the_other_errors() {
    let findings = load("listen = \nsigning = 'nope'\n", &[]).unwrap_err();
    let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(shown.iter().any(|line| line.contains("this is not TOML")), "{shown:?}");
    assert!(shown.iter().any(|line| line.contains("`nope`")), "{shown:?}");
}

#[test]
fn plain_http_is_for_loopback_or_behind_a_proxy() {
    assert!(complaints("listen = '0.0.0.0:5000'")[0].contains("plain HTTP"));
    assert!(load("listen = '0.0.0.0:5000'\ntls = 'self-signed'", &[]).is_ok());
    assert!(load("listen = '0.0.0.0:5000'\ninsecure_behind_proxy = ['10.0.0.0/8', '::1']", &[]).is_ok());
    assert!(load("metrics_listen = '0.0.0.0:9090'", &[]).is_ok());
    assert!(complaints("tls = 'self-signed'\ninsecure_behind_proxy = '10.0.0.0/8'")[0].contains("plain and speak TLS"));
    assert!(complaints("tls = 'self-signed'\nexternal_url = 'http://localhost:5000'")[0].contains("TLS only"));
}

#[test]
fn certificate_and_key_go_together() {
    let directory = tempfile::tempdir().unwrap();
    let pem = directory.path().join("x.pem");
    fs::write(&pem, "-----BEGIN CERTIFICATE-----\n").unwrap();
    let alone = complaints(&format!("tls_cert = '{}'", pem.display()));
    assert_eq!(alone, ["`tls_cert`: `tls_key` is missing"]);
    let missing = complaints("tls_cert = 'nowhere.pem'\ntls_key = 'nowhere.pem'");
    assert_eq!(missing.len(), 2, "{missing:?}");
    fs::write(&pem, [0x30, 0x82]).unwrap();
    assert!(complaints(&format!("tls_cert = '{0}'\ntls_key = '{0}'", pem.display()))[0].contains("not a PEM file"));
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("url");
    fs::write(&file, "postgres://u:hunter2@db/registry\n").unwrap();
    let loaded = load(&format!("database_file = '{}'", file.display()), &[]).unwrap();
    assert!(!format!("{loaded:?}").contains("hunter2"));
    let Database::Postgres(url) = loaded.settings.database else { panic!("not PostgreSQL") };
    assert_eq!(secrecy::ExposeSecret::expose_secret(&url), "postgres://u:hunter2@db/registry");

    let both = complaints("database = 'sqlite'\ndatabase_file = '/x'");
    assert!(both[0].contains("both set"), "{both:?}");
    let shown = load(
        "blobs = 's3://b'\ns3_access_key_id = 'i'\ns3_secret_access_key = 'hunter2'\ndatabase = 'postgres://u:hunter2@h/d'",
        &[],
    );
    assert!(!format!("{shown:?}").contains("hunter2"));
}

#[test]
fn a_password_in_the_arguments_is_warned_about() {
    let matches =
        clap::Command::new("serve").args(flags()).get_matches_from(["serve", "--database", "postgres://u:hunter2@h/d"]);
    let environment = Environment::new();
    let loaded = Sources { config: None, data: None, environment: &environment, flags: Some(&matches) }.load().unwrap();
    assert!(loaded.warnings[0].complaint.message.contains("arguments"));
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

#[test]
fn a_misspelt_variable_is_a_warning_and_kubernetes_own_are_not() {
    let loaded = load("", &[("SHOREPASS_LISTNE", "x"), ("SHOREPASS_SERVICE_HOST", "10.0.0.1")]).unwrap();
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert_eq!(loaded.warnings[0].complaint.remedy, "did you mean `SHOREPASS_LISTEN`?");
}

#[test]
fn a_data_directory_too_deep_for_its_socket_is_refused() {
    assert!(
        complaints(&format!("data = '/{}'", "d".repeat(120)))[0].contains("too long for the administration socket")
    );
}

#[test]
fn relative_paths_are_taken_from_the_files_directory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, "data = 'state'").unwrap();
    let environment = Environment::new();
    let sources = Sources { config: Some(&file), data: None, environment: &environment, flags: None };
    assert_eq!(sources.load().unwrap().settings.data, directory.path().join("state"));
    assert_eq!(sources.data(), directory.path().join("state"));
}
