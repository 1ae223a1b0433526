//! `config check`, and what `serve` refuses to start with.

use std::fs;

use serde_json::Value;

use crate::fake::run_with;

#[test]
fn every_error_is_told_with_file_line_column_and_remedy() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("shorepass.toml");
    fs::write(&file, "listen = '0.0.0.0:5000'\nmetrics-listen = ':9090'\n\ndomain = '*.example.com'\n").unwrap();
    let ran = run_with(home.path(), &[("SHOREPASS_SIGNING", "hs256")], &["config", "check", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.out, "");
    let file = file.display();
    let expected = [
        format!("error: {file}:1:10: `listen`: plain HTTP on `0.0.0.0:5000`"),
        "  remedy: add `--tls self-signed`".to_owned(),
        format!("error: {file}:2:1: there is no setting `metrics-listen`\n  remedy: did you mean `metrics_listen`?"),
        format!("error: {file}:4:10: `domain`: `*.example.com` is not a DNS name"),
        "error: SHOREPASS_SIGNING: `signing`: `hs256` is no signing algorithm".to_owned(),
        "4 errors in the configuration".to_owned(),
    ];
    for text in expected {
        assert!(ran.err.contains(&text), "{text}\n is not in\n{}", ran.err);
    }
}

#[test]
fn a_good_configuration_is_shown_with_the_origin_of_each_value_and_no_secret() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/shorepass");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), "database = 'postgres://u:hunter2@db/registry'\nsigning = 'es256'\n")
        .unwrap();
    let ran = run_with(home.path(), &[("SHOREPASS_LISTEN", "127.0.0.1:7000")], &["config", "check", "-o", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"), "{ran:?}");
    let rows: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    let row = |key: &str| rows.iter().find(|row| row["setting"] == key).unwrap();
    assert_eq!(row("listen")["from"], "SHOREPASS_LISTEN");
    assert_eq!(row("listen")["value"], "127.0.0.1:7000");
    assert!(row("signing")["from"].as_str().unwrap().ends_with("config.toml:2:11"), "{rows:?}");
    assert_eq!(row("blobs")["from"], "default");
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let ran = run_with(home.path(), &[], &["config", "check", "/nowhere.toml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("/nowhere.toml:1:1: the file cannot be read"), "{ran:?}");
}

#[test]
fn serve_refuses_plain_http_beyond_loopback() {
    let home = tempfile::tempdir().unwrap();
    let ran = run_with(home.path(), &[], &["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("error: --listen: `listen`: plain HTTP"), "{ran:?}");
    assert!(!home.path().join(".local").exists(), "nothing may be made by a start that is refused");
}

#[test]
fn the_data_directory_of_the_file_is_where_commands_look() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("c.toml");
    fs::write(&file, "data = 'state'\n").unwrap();
    let ran = run_with(home.path(), &[], &["health", "--config", file.to_str().unwrap()]);
    let state = home.path().join("state");
    assert!(ran.err.contains(&format!("data directory `{}`", state.display())), "{ran:?}");
}
