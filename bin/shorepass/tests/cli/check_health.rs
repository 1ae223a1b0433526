//! `shorepass check-health` (what-the-documents-say.md 2f).

use crate::machine::{Ended, Machine};
use crate::signin_fake::{self, NULL_GUID, Registry};

async fn served() -> (Machine, Registry) {
    let (machine, registry) = (Machine::new(), Registry::start().await);
    signin_fake::local_server(&machine.data(), &registry);
    machine.program("docker", "[ \"$1\" = pull ] && /bin/cat \"$DOCKER_CONFIG/config.json\" > \"$HOME/lent\"; exit 0");
    machine.program("helm", "echo v3.19.0");
    (machine, registry)
}

fn codes(ended: &Ended) -> Vec<&str> {
    ended.stderr.lines().filter_map(|line| line.split_once("An error occurred: ").map(|(_, code)| code)).collect()
}

#[tokio::test]
async fn all_is_well_in_the_documents_order() {
    let (machine, registry) = served().await;
    registry.state.lock().unwrap().repositories.insert("team/app".into(), vec!["1.0".into()]);
    let ended = machine.run(&["check-health", "-n", "default", "--yes"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let host = registry.host();
    let expected = [
        "Docker daemon status: available".to_owned(),
        "Docker version: docker version 1.2.3".into(),
        format!("Docker pull of '{host}/team/app:1.0' : OK"),
        format!("Shorepass CLI version: {}", env!("CARGO_PKG_VERSION")),
        "Helm version: v3.19.0".into(),
        format!("DNS lookup to {host} at IP 127.0.0.1 : OK"),
        format!("Challenge endpoint http://{host}/v2/ : OK"),
        format!("Fetch refresh token for registry '{host}' : OK"),
        format!("Fetch access token for registry '{host}' : OK"),
    ];
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), expected);
    assert_eq!(machine.seen("docker.argv"), format!("ps\npull {host}/team/app:1.0\n"));
    let lent = machine.seen("lent");
    assert!(lent.contains(&host), "the pull was lent a credential: {lent}");
    let token = registry.state.lock().unwrap().refresh_tokens[0].clone();
    assert!(!(machine.seen("docker.argv") + &machine.seen("docker.env")).contains(&token));
    assert!(!ended.stdout.contains(NULL_GUID) && !ended.stdout.contains(&token));
}

#[tokio::test]
async fn without_an_image_or_a_consent_the_pull_is_skipped() {
    let (machine, registry) = served().await;
    let ended = machine.run(&["check-health", &registry.host()]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("Docker pull: skipped, no image that could be pulled was found\n"), "{ended:?}");
    registry.state.lock().unwrap().repositories.insert("app".into(), vec!["1".into()]);
    let ended = machine.run(&["check-health", &registry.host()]).await;
    assert!(ended.stdout.contains("Docker pull: skipped, there is no terminal to ask on; add `--yes`\n"), "{ended:?}");
    let ended = machine.run(&["check-health"]).await;
    assert_eq!(ended.code, Some(0), "the machine alone: {ended:?}");
    assert!(ended.stdout.contains("Docker pull: skipped, no registry is named\n") && !ended.stdout.contains("DNS"));
}

#[tokio::test]
async fn the_first_error_ends_it_unless_errors_are_ignored() {
    let (machine, registry) = served().await;
    for program in ["docker", "helm"] {
        std::fs::remove_file(machine.path().join("bin").join(program)).unwrap();
    }
    let ended = machine.run(&["check-health", "-n", "default"]).await;
    assert_eq!((ended.code, codes(&ended)), (Some(1), vec!["DOCKER_COMMAND_ERROR"]));
    assert!(ended.stderr.contains("Please verify if Docker client is installed and running."));
    assert_eq!(ended.stdout, "");

    let ended = machine.run(&["check-health", "-n", "default", "--ignore-errors"]).await;
    assert_eq!((ended.code, codes(&ended)), (Some(1), vec!["DOCKER_COMMAND_ERROR", "HELM_COMMAND_ERROR"]));
    assert!(ended.stdout.contains(&format!("Fetch access token for registry '{}' : OK", registry.host())));

    machine.program("docker", "[ \"$1\" = ps ] && { echo 'Cannot connect to the Docker daemon' >&2; exit 1; }; exit 0");
    let ended = machine.run(&["check-health"]).await;
    assert_eq!((ended.code, codes(&ended)), (Some(1), vec!["DOCKER_DAEMON_ERROR"]));
    assert!(ended.stderr.contains("Cannot connect to the Docker daemon"));
}

#[tokio::test]
async fn each_fault_of_the_registry_has_its_code() {
    let (machine, registry) = served().await;
    let host = registry.host();
    type Change = fn(&mut signin_fake::State);
    let faults: [(Change, &str, String); 6] = [
        (
            |s| s.challenge = None,
            "CONNECTIVITY_CHALLENGE_ERROR",
            format!("Registry '{host}' did not issue a challenge."),
        ),
        (
            |s| s.challenge = Some("Basic realm=\"x\"".into()),
            "CONNECTIVITY_AAD_LOGIN_ERROR",
            format!("Registry '{host}' does not support AAD login."),
        ),
        (|s| s.challenge = Some("Bearer realm=\"".into()), "CONNECTIVITY_WWW_AUTHENTICATE_ERROR", "malformed".into()),
        (
            |s| s.challenge = Some("Bearer realm=\"https://evil.example.com/t\"".into()),
            "CONNECTIVITY_WWW_AUTHENTICATE_ERROR",
            "another party".into(),
        ),
        (
            |s| s.ping = 403,
            "CONNECTIVITY_FORBIDDEN_ERROR",
            format!("Looks like you don't have access to registry '{host}'."),
        ),
        (|s| s.ping = 429, "CONNECTIVITY_TOOMANYREQUESTS_ERROR", host.clone()),
    ];
    for (change, code, text) in faults {
        *registry.state.lock().unwrap() = signin_fake::State::default();
        change(&mut registry.state.lock().unwrap());
        let ended = machine.run(&["check-health", "-n", "default"]).await;
        assert_eq!((ended.code, codes(&ended)), (Some(1), vec![code]), "{ended:?}");
        assert!(ended.stderr.contains(&text), "{ended:?}");
    }
    let ended = machine.run(&["check-health", "-n", "nosuch1"]).await;
    assert_eq!((ended.code, codes(&ended)), (Some(1), vec!["LOGIN_SERVER_ERROR"]));
    let ended = machine.run(&["check-health", "no-such-host.invalid:5000"]).await;
    assert_eq!((ended.code, codes(&ended)), (Some(1), vec!["CONNECTIVITY_DNS_ERROR"]));
    assert!(ended.stderr.contains("Failed to reach DNS for registry 'no-such-host.invalid:5000'."));
}

#[tokio::test]
async fn a_refused_credential_tells_to_sign_in_again() {
    let (machine, registry) = (Machine::new(), Registry::start().await);
    machine.program("podman", "");
    machine.program("helm", "");
    let host = registry.host();
    let ended = machine.run(&["check-health", &host]).await;
    assert_eq!(codes(&ended), ["CONNECTIVITY_REFRESH_TOKEN_ERROR"]);
    assert!(ended.stderr.contains(&format!("Please run 'shorepass login {host}' first.")), "{ended:?}");
    assert!(ended.stdout.starts_with("Podman daemon status: available\nPodman version: podman version 1.2.3\n"));

    // robot:wrong
    std::fs::write(
        machine.docker_config(),
        serde_json::json!({"auths": {&host: {"auth": "cm9ib3Q6d3Jvbmc="}}}).to_string(),
    )
    .unwrap();
    let ended = machine.run(&["check-health", &host]).await;
    assert_eq!((ended.code, codes(&ended)), (Some(1), vec!["CONNECTIVITY_REFRESH_TOKEN_ERROR"]));
    assert!(ended.stderr.contains(&format!(
        "Access to registry '{host}' was denied. Response code: 401. Please try running 'shorepass login' again to refresh permissions."
    )), "{ended:?}");
}
