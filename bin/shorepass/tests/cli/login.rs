//! `shorepass login` (what-the-documents-say.md 1b, 18-39).

use std::fs;

use serde_json::{Value, json};

use crate::machine::{Ended, Machine};
use crate::signin_fake::{self, NULL_GUID, PASSWORD, Registry, USER};

async fn served() -> (Machine, Registry) {
    let (machine, registry) = (Machine::new(), Registry::start().await);
    signin_fake::local_server(&machine.data(), &registry);
    (machine, registry)
}

fn minted(registry: &Registry) -> String {
    registry.state.lock().unwrap().refresh_tokens.last().unwrap().clone()
}

fn assert_ended(ended: &Ended, code: i32) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
}

#[tokio::test]
async fn on_the_serving_machine_it_just_works() {
    let (machine, registry) = served().await;
    machine.program("docker", "echo WARNING: unencrypted >&2; echo Login Succeeded");
    let ended = machine.run(&["login"]).await;
    assert_ended(&ended, 0);
    assert_eq!(ended.stdout, "Login Succeeded\n");
    assert!(ended.stderr.contains("WARNING: unencrypted"));
    let argv = format!("login --username {NULL_GUID} --password-stdin {}\n", registry.host());
    assert_eq!(machine.seen("docker.argv"), argv, "one call, and no look at a daemon");
    assert_eq!(machine.seen("docker.stdin"), minted(&registry));
    assert!(!machine.seen("docker.env").contains(&minted(&registry)));
    assert!(!(ended.stdout + &ended.stderr).contains(&minted(&registry)));
    for arguments in [vec!["login", "-n", "default"], vec!["login", &registry.host()]] {
        assert_ended(&machine.run(&arguments).await, 0);
    }
    assert_eq!(machine.seen("docker.argv"), argv.repeat(3));
}

#[tokio::test]
async fn podman_is_told_that_loopback_is_plain() {
    let (machine, registry) = served().await;
    machine.program("podman", "echo 'Login Succeeded!'");
    let ended = machine.run(&["login", "-n", "default"]).await;
    assert_ended(&ended, 0);
    let argv = format!("login --tls-verify=false --username {NULL_GUID} --password-stdin {}\n", registry.host());
    assert_eq!(machine.seen("podman.argv"), argv);
    assert!(ended.stderr.contains("`--tls-verify=false`"), "{}", ended.stderr);

    machine.program("docker", "exit 9");
    let ended = machine.run_with(&["login"], &[("DOCKER_COMMAND", "podman")], "").await;
    assert_ended(&ended, 0);
    assert!(!machine.exists("docker.argv"));
}

#[tokio::test]
async fn podman_is_kept_from_the_identity_token_that_docker_keeps() {
    let (machine, registry) = served().await;
    // As podman 4.3 does: docker's file counts whatever it is told, but its own file comes first.
    let stubborn =
        "/bin/grep -q '\"auth\"' \"$REGISTRY_AUTH_FILE\" || { echo 'contains an Identity token' >&2; exit 125; }";
    machine.program("podman", stubborn);
    let docker = json!({"auths": {registry.host(): {"identitytoken": "t"}}}).to_string();
    fs::write(machine.docker_config(), docker).unwrap();
    let file = machine.path().join("auth.json");
    let environment = [("REGISTRY_AUTH_FILE", file.to_str().unwrap())];
    let ended = machine.run_with(&["login"], &environment, "").await;
    assert_ended(&ended, 0);
    assert!(machine.seen("podman.argv").contains(&format!(" --authfile {} --username ", file.display())));

    fs::remove_file(&file).unwrap();
    machine.program("podman", "exit 125");
    assert_ended(&machine.run_with(&["login"], &environment, "").await, 1);
    let kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(kept, json!({"auths": {}}), "what podman refused is not kept");
}

#[tokio::test]
async fn without_docker_and_podman_the_documents_texts() {
    let (machine, _registry) = served().await;
    for (arguments, environment) in
        [(&["login", "-n", "default"], ("A", "b")), (&["login", "-n", "default"], ("DOCKER_COMMAND", "nerdctl"))]
    {
        let ended = machine.run_with(arguments, &[environment], "").await;
        assert_ended(&ended, 1);
        assert_eq!(ended.stdout, "");
        let lines: Vec<&str> = ended.stderr.lines().collect();
        assert_eq!(
            lines[0],
            "warning: You may want to use 'shorepass login -n default --expose-token' to get an access token, which does not require Docker to be installed."
        );
        let (time, rest) = lines[1].split_at("2024-03-29 07:30:10.014426".len());
        assert!(
            time.chars().zip("dddd-dd-dd dd:dd:dd.dddddd".chars()).all(|(c, d)| if d == 'd' {
                c.is_ascii_digit()
            } else {
                c == d
            }),
            "{time}"
        );
        assert_eq!(rest, " An error occurred: DOCKER_COMMAND_ERROR");
        assert_eq!(lines[2..], ["Please verify if Docker client is installed and running."]);
    }
}

#[tokio::test]
async fn a_program_in_the_current_directory_is_not_run() {
    let (machine, _registry) = served().await;
    let planted = machine.path().join("work/docker");
    fs::rename(machine.program("docker", "echo Login Succeeded"), &planted).unwrap();
    let ended = machine.run_with(&["login"], &[("DOCKER_COMMAND", "docker"), ("PATH", ".")], "").await;
    assert_ended(&ended, 1);
    assert!(ended.stderr.contains("DOCKER_COMMAND_ERROR") && ended.stderr.contains("current directory"), "{ended:?}");
    assert!(!machine.exists("docker.argv"));
}

#[tokio::test]
async fn expose_token_prints_two_fields_and_touches_nothing() {
    let (machine, registry) = served().await;
    let ended = machine.run(&["login", "-n", "default", "--expose-token"]).await;
    assert_ended(&ended, 0);
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(answer, json!({"accessToken": minted(&registry), "loginServer": registry.host()}));
    assert!(!machine.docker_config().exists() && !machine.helper_file().exists());

    let scripted = ["login", "--name", "default", "--expose-token", "--output", "tsv", "--query", "accessToken"];
    let ended = machine.run(&scripted).await;
    assert_eq!(ended.stdout, minted(&registry) + "\n");
}

#[tokio::test]
async fn combinations_that_mean_nothing_are_usage_errors() {
    let machine = Machine::new();
    machine.program("docker", "");
    for arguments in [
        vec!["login", "--expose-token", "-u", "x"],
        vec!["login", "--expose-token", "-p", "x"],
        vec!["login", "--expose-token", "--username", "x", "--password-stdin"],
    ] {
        let ended = machine.run(&arguments).await;
        assert_ended(&ended, 2);
        assert!(
            ended.stderr.contains("`--expose-token` cannot be combined with `--username` or `--password`."),
            "{ended:?}"
        );
    }
    for arguments in [vec!["login", "-p", "x"], vec!["login", "r.example.com", "--password-stdin"]] {
        let ended = machine.run(&arguments).await;
        assert_ended(&ended, 2);
        assert!(ended.stderr.contains("Please also specify username if password is specified."), "{ended:?}");
    }
    assert!(!machine.exists("docker.argv"));
}

#[tokio::test]
async fn a_password_reaches_the_program_by_standard_input_however_it_came() {
    let (machine, registry) = (Machine::new(), Registry::start().await);
    machine.program("docker", "echo Login Succeeded");
    let (server, file) = (registry.host(), machine.path().join("password"));
    fs::write(&file, format!("{PASSWORD}\r\n")).unwrap();
    let calls: [(&[&str], &str); 3] = [
        (&["login", &server, "-u", USER, "--password-stdin"], "correct horse\n"),
        (&["login", &server, "-u", USER, "--password-file", file.to_str().unwrap()], ""),
        (&["login", &server, "-u", USER, "-p", PASSWORD], ""),
    ];
    for (arguments, input) in calls {
        let ended = machine.run_with(arguments, &[], input).await;
        assert_ended(&ended, 0);
        assert_eq!(machine.seen("docker.stdin"), PASSWORD);
        assert!(!(machine.seen("docker.argv") + &machine.seen("docker.env")).contains(PASSWORD));
        assert_eq!(ended.stderr.contains("use `--password-stdin`"), arguments.contains(&"-p"), "{}", ended.stderr);
        assert!(!ended.stderr.contains(PASSWORD));
    }
    assert!(registry.seen("GET", "/oauth2/token").is_empty(), "the program signs in, not we");
    assert!(!machine.helper_file().exists());
}

#[tokio::test]
async fn our_helper_keeps_the_password_that_docker_would_not_give_it() {
    let (machine, registry) = (Machine::new(), Registry::start().await);
    machine.program("docker", "echo Login Succeeded");
    fs::write(machine.docker_config(), json!({"credHelpers": {registry.host(): "shorepass"}}).to_string()).unwrap();
    let ended = machine.run_with(&["login", &registry.host(), "-u", USER, "--password-stdin"], &[], PASSWORD).await;
    assert_ended(&ended, 0);
    let kept: Value = serde_json::from_slice(&fs::read(machine.helper_file()).unwrap()).unwrap();
    assert_eq!(kept["servers"][registry.host()], json!({"username": USER, "secret": PASSWORD}));
}

#[tokio::test]
async fn a_refusal_is_an_error_with_the_programs_own_words() {
    let (machine, _registry) = served().await;
    machine.program("docker", "echo 'unauthorized: authentication required' >&2; exit 1");
    let ended = machine.run(&["login"]).await;
    assert_ended(&ended, 1);
    assert!(ended.stderr.starts_with("unauthorized: authentication required\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains("error: Login failed."));
}

#[tokio::test]
async fn what_cannot_be_signed_in_to_says_why() {
    let (machine, registry) = served().await;
    machine.program("docker", "");
    let ended = machine.run(&["login", "r.example.com"]).await;
    assert_ended(&ended, 1);
    assert!(ended.stderr.contains("Please specify both username and password in non-interactive mode."), "{ended:?}");

    let ended = machine.run(&["login", "-n", "nosuch1"]).await;
    assert_ended(&ended, 1);
    assert!(ended.stderr.contains("there is no registry of that name"), "{ended:?}");

    let ended = machine.run_with(&["login", "localhost:1", "-u", USER, "--password-stdin"], &[], PASSWORD).await;
    assert_ended(&ended, 1);
    assert!(ended.stderr.contains("Could not connect to the registry login server 'localhost:1'."), "{ended:?}");

    registry.state.lock().unwrap().ping = 403;
    let ended = machine.run(&["login"]).await;
    assert_ended(&ended, 1);
    assert!(
        ended.stderr.contains(&format!("Looks like you don't have access to registry '{}'.", registry.host())),
        "{ended:?}"
    );
    assert!(!machine.exists("docker.argv"));
}

#[tokio::test]
async fn upper_case_is_warned_of() {
    let (machine, _registry) = served().await;
    machine.program("docker", "");
    let ended = machine.run(&["login", "-n", "Default"]).await;
    assert_ended(&ended, 0);
    assert!(ended.stderr.contains("Uppercase characters are detected in the registry name."), "{ended:?}");
}
