//! `shorepass account`, and the commands that use its sessions.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::elsewhere::{APP, Elsewhere, HEADER, SECRET, TENANT};
use crate::machine::{Ended, Machine};
use crate::signin_fake::{self, NULL_GUID, Registry};

const SP: [&str; 4] = ["--service-principal", "-u", APP, "--password-stdin"];

/// As [`Machine::run_with`], without a data directory in the environment: nothing names the server but the session.
async fn run(machine: &Machine, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ended {
    let environment = [&[("SHOREPASS_DATA", "")], environment].concat();
    machine.run_with(arguments, &environment, input).await
}

fn as_application(url: &str) -> Vec<&str> {
    [&["account", "login", url], &SP[..]].concat()
}

fn assert_ended(ended: &Ended, code: i32) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
}

async fn signed_in() -> (Machine, Elsewhere) {
    let (machine, server) = (Machine::new(), Elsewhere::start().await);
    let url = server.url();
    let login = as_application(&url);
    assert_ended(&run(&machine, &login, &[], SECRET).await, 0);
    (machine, server)
}

fn file(machine: &Machine) -> std::path::PathBuf {
    machine.path().join("config/shorepass/accounts.json")
}

fn kept(machine: &Machine) -> Value {
    serde_json::from_slice(&fs::read(file(machine)).unwrap()).unwrap()
}

#[tokio::test]
async fn after_signing_in_commands_work_there_as_who_signed_in() {
    let (machine, server) = signed_in().await;
    assert_eq!(fs::metadata(file(&machine)).unwrap().permissions().mode() & 0o777, 0o600);
    let grant = &server.grants()[0];
    assert_eq!(grant["scope"], format!("{}/.default", server.url()));
    server.on("GET /api/v1/registries", json!({ "value": [{ "name": "elsewhere" }], "next": null }));
    let list = run(&machine, &["registry", "list", "-o", "tsv", "--query", "[].name"], &[], "").await;
    assert_eq!((list.code, list.stdout.as_str()), (Some(0), "elsewhere\n"), "{list:?}");
    assert_eq!(server.grants().len(), 1, "the token is kept while it is good");

    let shown = run(&machine, &["account", "show", "-o", "json"], &[], "").await;
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((&shown["server"], &shown["tenantId"]), (&json!(server.url()), &json!(TENANT)));
    assert_eq!((&shown["type"], &shown["used"]), (&json!("servicePrincipal"), &json!(true)));
    for secret in [SECRET, "e30."] {
        assert!(!shown.to_string().contains(secret));
    }
}

#[tokio::test]
async fn a_token_is_renewed_when_it_ends_or_is_refused() {
    let (machine, server) = signed_in().await;
    server.on("GET /api/v1/keys", json!({ "value": [] }));
    server.revoke();
    assert_ended(&run(&machine, &["keys", "list"], &[], "").await, 0);
    assert_eq!(server.grants().len(), 2);
    assert_eq!(server.seen("GET /api/v1/keys").len(), 2);

    server.state.lock().unwrap().life = 60;
    server.revoke();
    assert_ended(&run(&machine, &["keys", "list"], &[], "").await, 0);
    assert_ended(&run(&machine, &["keys", "list"], &[], "").await, 0);
    assert_eq!(server.grants().len(), 4, "a token that is about to end is not used");
}

#[tokio::test]
async fn a_wrong_secret_is_told_and_nothing_is_kept() {
    let (machine, server) = (Machine::new(), Elsewhere::start().await);
    let url = server.url();
    let login = as_application(&url);
    let ended = run(&machine, &login, &[], "wrong").await;
    assert_ended(&ended, 1);
    assert!(ended.stderr.starts_with("error: Invalid client secret provided.\n"), "{ended:?}");
    assert!(!file(&machine).exists());
    let usage = run(&machine, &["account", "login", &server.url(), "--service-principal", "-u", APP], &[], "").await;
    assert_ended(&usage, 2);
    let both = [&login[..], &["--identity"]].concat();
    assert_ended(&run(&machine, &both, &[], SECRET).await, 2);
    assert_ended(&run(&machine, &["account", "login"], &[], "").await, 2);
}

#[tokio::test]
async fn people_sign_in_on_another_device() {
    let (machine, server) = (Machine::new(), Elsewhere::start().await);
    server.state.lock().unwrap().waits = vec!["authorization_pending"];
    let ended = run(&machine, &["account", "login", &server.url(), "--use-device-code"], &[], "").await;
    assert_ended(&ended, 0);
    assert!(ended.stderr.contains("enter BCDF-GHJK."), "{ended:?}");
    assert!(!ended.stderr.contains('\u{1b}'), "a server must not command the terminal: {ended:?}");
    assert!(ended.stdout.contains("alice"), "{ended:?}");
    assert_eq!(kept(&machine)["accounts"][server.url()]["tenantId"], TENANT);

    // The session goes on with its refresh token, at the person's own tenant.
    server.on("GET /api/v1/keys", json!({ "value": [] }));
    server.revoke();
    assert_ended(&run(&machine, &["keys", "list"], &[], "").await, 0);
    let refreshed = server.seen(&format!("POST /{TENANT}/oauth2/v2.0/token"));
    assert_eq!(refreshed.last().unwrap().form["grant_type"], "refresh_token");
    assert!(refreshed.last().unwrap().form["scope"].contains("offline_access"));

    server.revoke();
    server.state.lock().unwrap().refresh_tokens.clear();
    let over = run(&machine, &["keys", "list"], &[], "").await;
    assert_ended(&over, 1);
    assert!(over.stderr.contains("has ended: The token has been revoked."), "{over:?}");
    assert!(over.stderr.contains(&format!("shorepass account login {}", server.url())), "{over:?}");
}

#[tokio::test]
async fn a_declined_device_is_not_signed_in() {
    let (machine, server) = (Machine::new(), Elsewhere::start().await);
    server.state.lock().unwrap().waits = vec!["access_denied"];
    let ended = run(&machine, &["account", "login", &server.url(), "--use-device-code"], &[], "").await;
    assert_ended(&ended, 1);
    assert!(!file(&machine).exists());
}

/// What a browser sends for a page.
async fn visit(url: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let url = url::Url::parse(url).unwrap();
    let address = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let target = &url[url::Position::BeforePath..];
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn people_sign_in_with_the_browser_here() {
    let (machine, server) = (Machine::new(), Elsewhere::start().await);
    let page = machine.path().join("page");
    let browser =
        machine.program("browser", &format!("echo \"$1\" > '{0}.new'; /bin/mv '{0}.new' '{0}'", page.display()));
    let (browser, url) = (browser.to_str().unwrap().to_owned(), server.url());
    let person = async {
        let address = loop {
            match fs::read_to_string(&page) {
                Ok(address) => break url::Url::parse(address.trim()).unwrap(),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let query: std::collections::HashMap<String, String> = address.query_pairs().into_owned().collect();
        assert_eq!(query["code_challenge_method"], "S256");
        let (back, state) = (&query["redirect_uri"], &query["state"]);
        let code = server.sign_in(&query["code_challenge"], back);
        assert!(visit(&format!("{back}/?code=evil&state=other")).await.starts_with("HTTP/1.1 404 "));
        assert!(visit(&format!("{back}/favicon.ico")).await.starts_with("HTTP/1.1 404 "));
        visit(&format!("{back}/?code={code}&state={state}")).await
    };
    let arguments = ["account", "login", &url];
    let environment = [("BROWSER", browser.as_str())];
    let (ended, seen) = tokio::join!(run(&machine, &arguments, &environment, ""), person);
    assert_ended(&ended, 0);
    assert!(seen.contains("You are signed in."), "{seen}");
    assert!(ended.stdout.contains("alice"), "{ended:?}");
}

#[tokio::test]
async fn without_a_desktop_the_other_device_is_used() {
    let (machine, server) = (Machine::new(), Elsewhere::start().await);
    machine.program("xdg-open", "exit 1");
    assert_ended(&run(&machine, &["account", "login", &server.url()], &[], "").await, 0);
    assert!(!machine.exists("xdg-open.argv"));
    assert!(!server.seen("POST /organizations/oauth2/v2.0/devicecode").is_empty());
}

#[tokio::test]
async fn a_federated_token_is_read_anew_each_time() {
    let (machine, server) = (Machine::new(), Elsewhere::start().await);
    let token = machine.path().join("work/token");
    fs::write(&token, "first\n").unwrap();
    server.state.lock().unwrap().federated = vec!["first".into(), "second".into()];
    let url = server.url();
    let login = ["account", "login", &url, "--tenant", "default", "-u", APP, "--federated-token", "token"];
    assert_ended(&run(&machine, &login, &[], "").await, 0);
    assert_eq!(server.seen("POST /default/oauth2/v2.0/token").len(), 1);
    fs::write(&token, "second").unwrap();
    server.revoke();
    server.on("GET /api/v1/keys", json!({ "value": [] }));
    assert_ended(&run(&machine, &["keys", "list"], &[], "").await, 0);
    let assertions: Vec<String> = server.grants().iter().map(|grant| grant["client_assertion"].clone()).collect();
    assert_eq!(assertions, ["first", "second"]);
    assert!(!fs::read_to_string(file(&machine)).unwrap().contains("second"));
}

#[tokio::test]
async fn a_managed_identity_has_its_token_from_the_environment() {
    let (machine, server) = (Machine::new(), Elsewhere::start().await);
    let (url, endpoint) = (server.url(), format!("{}/msi/token", server.url()));
    let login = ["account", "login", &url, "--identity"];
    let nowhere = run(&machine, &login, &[], "").await;
    assert_ended(&nowhere, 1);
    assert!(nowhere.stderr.contains("IDENTITY_ENDPOINT"), "{nowhere:?}");
    let environment = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", HEADER)];
    assert_ended(&run(&machine, &login, &environment, "").await, 0);
    assert!(!fs::read_to_string(file(&machine)).unwrap().contains(HEADER));
    let wrong = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", "wrong")];
    let refused = run(&machine, &login, &wrong, "").await;
    assert!(refused.stderr.contains("The header is not the one of this workload."), "{refused:?}");
}

#[tokio::test]
async fn credentials_go_nowhere_else() {
    let (machine, server) = (Machine::new(), Elsewhere::start().await);
    server.state.lock().unwrap().elsewhere = Some("https://evil.example".into());
    let url = server.url();
    let login = as_application(&url);
    let ended = run(&machine, &login, &[], SECRET).await;
    assert_ended(&ended, 1);
    assert!(ended.stderr.contains("sends sign-ins on to another address, `https://evil.example`"), "{ended:?}");
    let ended = run(&machine, &as_application("http://registry.example.com"), &[], SECRET).await;
    assert_ended(&ended, 2);
    assert!(ended.stderr.contains("plain HTTP would show credentials"), "{ended:?}");
}

#[tokio::test]
async fn the_command_line_counts_before_the_environment_and_that_before_the_session() {
    let (machine, server) = signed_in().await;
    server.on("GET /api/v1/registries", json!({ "value": [{ "name": "elsewhere" }], "next": null }));
    signin_fake::local_server(&machine.data(), &Registry::start().await);
    let data = machine.data();
    let (data, url) = (data.to_str().unwrap(), server.url());
    let list = ["registry", "list", "-o", "tsv", "--query", "[].name"];
    let here = "default\n";
    let there = "elsewhere\n";
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 5] = [
        (&[], &[], there),
        (&["--data", data], &[], here),
        (&[], &[("SHOREPASS_DATA", data)], here),
        (&["--server", &url], &[("SHOREPASS_DATA", data)], there),
        (&[], &[("SHOREPASS_SERVER", &url), ("SHOREPASS_DATA", data)], there),
    ];
    for (more, environment, expected) in cases {
        let ended = run(&machine, &[&list[..], more].concat(), environment, "").await;
        assert_eq!(ended.stdout, expected, "{more:?} {environment:?} {ended:?}");
    }
    let both = run(&machine, &[&list[..], &["--data", data, "--server", &url]].concat(), &[], "").await;
    assert_ended(&both, 2);
    let stranger = run(&machine, &[&list[..], &["--server", "https://other.example"]].concat(), &[], "").await;
    assert_ended(&stranger, 1);
    assert!(stranger.stderr.contains("you are not signed in to `https://other.example`"), "{stranger:?}");
}

#[tokio::test]
async fn sessions_are_listed_chosen_and_forgotten() {
    let (machine, first) = signed_in().await;
    let second = Elsewhere::start().await;
    let url = second.url();
    let login = as_application(&url);
    assert_ended(&run(&machine, &login, &[], SECRET).await, 0);
    let used =
        async || run(&machine, &["account", "list", "-o", "tsv", "--query", "[?used].server"], &[], "").await.stdout;
    assert_eq!(used().await, format!("{}\n", second.url()));
    assert_ended(&run(&machine, &["account", "set", &first.url()], &[], "").await, 0);
    assert_eq!(used().await, format!("{}\n", first.url()));
    assert_ended(&run(&machine, &["account", "logout"], &[], "").await, 0);
    assert_eq!(used().await, "");
    assert_ended(&run(&machine, &["account", "show"], &[], "").await, 1);
    assert_ended(&run(&machine, &["account", "set", &first.url()], &[], "").await, 1);
    assert_ended(&run(&machine, &["account", "logout", "--all"], &[], "").await, 0);
    assert_eq!(kept(&machine)["accounts"], json!({}));
}

#[tokio::test]
async fn other_programs_get_tokens_by_name() {
    let (machine, server) = signed_in().await;
    let token = ["account", "get-access-token", "-o", "tsv", "--query", "accessToken"];
    let mine = run(&machine, &token, &[], "").await;
    assert!(server.state.lock().unwrap().identity_tokens[0].1 == mine.stdout.trim(), "{mine:?}");
    let resource = format!("https://{}", server.host);
    assert_ended(&run(&machine, &[&token[..], &["--resource", &resource]].concat(), &[], "").await, 0);
    let nothing = run(&machine, &[&token[..], &["--resource", "https://other.example"]].concat(), &[], "").await;
    assert_ended(&nothing, 1);
    assert!(nothing.stderr.contains("There is no such resource here."), "{nothing:?}");
}

#[tokio::test]
async fn docker_is_signed_in_as_who_signed_in() {
    let (machine, server) = signed_in().await;
    machine.program("docker", "echo Login Succeeded");
    for arguments in [&["login"][..], &["login", "-n", "default"], &["login", &server.host]] {
        let ended = run(&machine, arguments, &[], "").await;
        assert_ended(&ended, 0);
        assert_eq!(machine.seen("docker.stdin"), "the-registrys-refresh-token");
        assert!(
            machine
                .seen("docker.argv")
                .ends_with(&format!("login --username {NULL_GUID} --password-stdin {}\n", server.host))
        );
    }
    let exposed = run(&machine, &["login", "--expose-token", "-o", "tsv", "--query", "accessToken"], &[], "").await;
    assert_eq!(exposed.stdout, "the-registrys-refresh-token\n");

    server.state.lock().unwrap().lets_in = false;
    let refused = run(&machine, &["login"], &[], "").await;
    assert_ended(&refused, 1);
    assert!(refused.stderr.contains(&format!("`alice` may not use the registry `{}`", server.host)), "{refused:?}");
}

#[tokio::test]
async fn a_registry_of_another_server_is_not_told_who_signed_in() {
    let (machine, server) = signed_in().await;
    machine.program("docker", "echo Login Succeeded");
    let other = Registry::start().await;
    let stranger = run(&machine, &["login", &other.host()], &[], "").await;
    assert_ended(&stranger, 1);
    assert!(stranger.stderr.contains("neither a server that you are signed in to"), "{stranger:?}");
    assert!(other.state.lock().unwrap().seen.is_empty());

    // The server on this machine still vouches for its operator, unless another server is named.
    let base = machine.path().join("base");
    fs::create_dir_all(base.join("shorepass")).unwrap();
    signin_fake::local_server(&base.join("shorepass"), &other);
    let (url, environment) = (server.url(), [("XDG_DATA_HOME", base.to_str().unwrap())]);
    assert_ended(&run(&machine, &["login", &other.host()], &environment, "").await, 0);
    assert_ended(&run(&machine, &["login", &other.host(), "--server", &url], &environment, "").await, 1);
}
