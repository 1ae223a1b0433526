//! What the official OCI conformance suite checks, replayed (`tests/e2e/conformance/conformance.py`): the suite itself is a Go
//! program that cannot be fetched here.

use std::process::Command;

use shorepass_e2e::{Server, ServerOptions, Stores};

/// Runs the replay; the total line counts what was checked.
fn replay(server: &Server, version: &str, extra: &[&str]) {
    let account = server.enable_admin("default");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/conformance.py");
    let mut command = Command::new("python3");
    command.args([script, "--registry", &server.host(), "--plain-http", "--quiet", "--version", version]).args(extra);
    // By the environment, as the official suite takes them: a password is no argument.
    command.env("OCI_USERNAME", "default").env("OCI_PASSWORD", &account.password);
    let output = command.output().expect("python3 is installed: run `cargo xtask test`");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("FAIL 0"), "{version}: {said}");
}

#[test]
fn nothing_fails_at_the_default_settings() {
    replay(&Server::plain(), "1.1", &[]);
}

#[test]
fn nothing_fails_of_the_development_version_and_of_what_the_suite_leaves_out() {
    replay(&Server::plain(), "dev", &["--extra"]);
}

#[test]
fn nothing_fails_on_postgresql_and_s3() {
    replay(&Server::start(ServerOptions { stores: Stores::Remote, ..ServerOptions::default() }), "dev", &[]);
}
