use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use shorepass_pull::credential::NULL_GUID;
use shorepass_pull::tool::{Access, Search, Tool, ToolError};
use shorepass_pull::{Credential, Scheme};

/// A script that writes down its arguments, its environment and its standard input.
fn script(dir: &Path, name: &str, extra: &str) -> PathBuf {
    let path = dir.join(name);
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && {{ echo {name} version 1; exit 0; }}\nprintf '%s\\n' \"$@\" > '{0}/{name}.argv'\nenv > '{0}/{name}.env'\ncat > '{0}/{name}.stdin'\n{extra}\n",
        dir.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn search(dir: &Path, command: Option<&str>) -> Search {
    Search { command: command.map(Into::into), path: dir.into(), current_dir: Some("/".into()) }
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap()
}

fn plain() -> Access {
    Access { scheme: Scheme::Http, ca: None, auth_file: None }
}

#[tokio::test]
async fn the_secret_goes_by_standard_input_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "docker", "echo noise >&2; echo Login Succeeded");
    let tool = Tool::find(&search(dir.path(), None)).unwrap();
    let credential = Credential::new(NULL_GUID, "s3cr3t-token".to_owned());
    let said = tool.login(&"localhost:5000".parse().unwrap(), &credential, &plain()).await.unwrap();
    assert!(said.success, "output on stderr alone is no failure");
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("Login Succeeded\n", "noise\n"));
    assert_eq!(
        read(dir.path(), "docker.argv"),
        format!("login\n--username\n{NULL_GUID}\n--password-stdin\nlocalhost:5000\n")
    );
    assert_eq!(read(dir.path(), "docker.stdin"), "s3cr3t-token");
    assert!(!read(dir.path(), "docker.env").contains("s3cr3t-token"));
}

#[tokio::test]
async fn podman_is_told_about_plain_http_and_about_a_private_ca() {
    let dir = tempfile::tempdir().unwrap();
    script(
        dir.path(),
        "podman",
        &format!("[ \"$2\" = --cert-dir ] && cp \"$3\"/*.crt '{}/seen.crt'; exit 0", dir.path().display()),
    );
    let tool = Tool::find(&search(dir.path(), Some("podman"))).unwrap();
    let (server, credential) = ("localhost:5000".parse().unwrap(), Credential::new("u", "p".to_owned()));
    assert!(tool.login(&server, &credential, &plain()).await.unwrap().success);
    assert_eq!(
        read(dir.path(), "podman.argv"),
        "login\n--tls-verify=false\n--username\nu\n--password-stdin\nlocalhost:5000\n"
    );

    let ca = dir.path().join("ca.pem");
    fs::write(&ca, "a certificate").unwrap();
    let access = Access { scheme: Scheme::Https, ca: Some(ca), auth_file: None };
    assert!(tool.login(&server, &credential, &access).await.unwrap().success);
    assert_eq!(read(dir.path(), "seen.crt"), "a certificate");

    let access = Access { scheme: Scheme::Https, ca: None, auth_file: None };
    assert!(tool.login(&server, &credential, &access).await.unwrap().success);
    assert!(!read(dir.path(), "podman.argv").contains("tls-verify"));
}

#[tokio::test]
async fn a_failing_program_is_heard() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "docker", "echo unauthorized >&2; exit 1");
    let tool = Tool::find(&search(dir.path(), None)).unwrap();
    let said = tool.login(&"localhost:5000".parse().unwrap(), &Credential::new("u", "p".to_owned()), &plain()).await;
    let said = said.unwrap();
    assert!(!said.success);
    assert_eq!(said.stderr, "unauthorized\n");
}

#[test]
fn docker_command_then_docker_then_podman() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let found = |search: &Search| Tool::find(search).map(|tool| tool.path().to_owned());
    assert!(matches!(found(&search(one.path(), None)), Err(ToolError::Missing)));
    let podman = script(one.path(), "podman", "");
    assert_eq!(found(&search(one.path(), None)).unwrap(), podman);
    let docker = script(one.path(), "docker", "");
    assert_eq!(found(&search(one.path(), None)).unwrap(), docker);
    assert_eq!(found(&search(one.path(), Some("podman"))).unwrap(), podman);
    let other = script(two.path(), "nerdctl", "");
    assert_eq!(found(&search(one.path(), Some(other.to_str().unwrap()))).unwrap(), other);
    assert!(matches!(found(&search(one.path(), Some("nerdctl"))), Err(ToolError::Missing)));
    fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(found(&search(two.path(), Some("nerdctl"))), Err(ToolError::Missing)), "it cannot be run");
}

#[test]
fn a_program_in_the_current_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let docker = script(dir.path(), "docker", "");
    let here = |command: Option<&str>, path: &str| Search {
        command: command.map(Into::into),
        path: path.into(),
        current_dir: Some(dir.path().into()),
    };
    let absolute = dir.path().to_str().unwrap();
    for search in [
        here(Some("docker"), "."),
        here(Some("docker"), absolute),
        here(Some(docker.to_str().unwrap()), ""),
        here(Some("./docker"), "/bin"),
        here(None, ".:/bin"),
    ] {
        assert!(matches!(Tool::find(&search), Err(ToolError::CurrentDirectory(_))), "{search:?}");
    }
}
