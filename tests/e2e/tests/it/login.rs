//! Signing in: the challenge, and every client's own way of answering it.

use http::Method;
use serde_json::json;
use shorepass_e2e::{Image, NULL_GUID, Server, Toolbox, basic, program};

/// `podman login` and its kin take the password from standard input.
const FROM_STDIN: &str = "--password-stdin";

#[tokio::test]
async fn the_challenge_is_what_clients_can_parse() {
    let server = Server::plain();
    let (endpoint, host) = (server.endpoint(), server.host());
    let expected = format!("Bearer realm=\"{endpoint}/oauth2/token\",service=\"{host}\"");
    for method in [Method::GET, Method::HEAD] {
        let answer = server.http().send(method, "/v2/", &[], "").await.expect(401);
        assert_eq!(answer.header("www-authenticate"), expected);
    }
    let answer = server.http().get("/v2/").await;
    assert_eq!(answer.code(), "UNAUTHORIZED");
}

#[tokio::test]
async fn every_other_challenge_names_the_scope_the_request_needs() {
    let server = Server::plain();
    let digest = shorepass_e2e::digest_of(b"anything");
    let wanted = [
        (Method::GET, "/v2/team/app/manifests/latest".to_owned(), "repository:team/app:pull"),
        (Method::HEAD, format!("/v2/team/app/blobs/{digest}"), "repository:team/app:pull"),
        (Method::PUT, "/v2/team/app/manifests/latest".to_owned(), "repository:team/app:pull,push"),
        (Method::POST, "/v2/team/app/blobs/uploads/".to_owned(), "repository:team/app:pull,push"),
        (Method::DELETE, format!("/v2/team/app/manifests/{digest}"), "repository:team/app:delete"),
        (Method::GET, "/v2/_catalog".to_owned(), "registry:catalog:*"),
    ];
    for (method, path, scope) in wanted {
        let answer = server.http().send(method.clone(), &path, &[], "").await.expect(401);
        let challenge = answer.header("www-authenticate");
        assert!(challenge.contains(&format!("scope=\"{scope}\"")), "{method} {path}: {challenge}");
    }
}

#[tokio::test]
async fn podman_signs_in_with_either_admin_password_and_not_with_a_wrong_one() {
    let server = Server::plain();
    let (account, tools, host) = (server.enable_admin("default"), server.toolbox(), server.host());
    let login = ["login", "--tls-verify=false", "--username", "default", FROM_STDIN, &host];
    for password in [&account.password, &account.password2] {
        tools.podman_with_input(&login, password).success();
    }
    let refused = tools.podman_with_input(&login, "not-the-password").failure();
    assert!(refused.stderr.contains("invalid username/password"), "{}", refused.stderr);
}

#[tokio::test]
async fn podman_signs_in_with_the_null_guid_and_a_refresh_token() {
    let server = Server::plain();
    let (token, tools, host) = (server.refresh_token("default"), server.toolbox(), server.host());
    let login = ["login", "--tls-verify=false", "--username", NULL_GUID, FROM_STDIN, &host];
    tools.podman_with_input(&login, &token).success();
    push_and_pull_with_skopeo(&server, tools);
}

#[tokio::test]
async fn docker_signs_in_without_a_daemon_and_skopeo_uses_its_login() {
    let server = Server::plain();
    let (token, tools, host) = (server.refresh_token("default"), server.toolbox(), server.host());
    let login = ["login", "--username", NULL_GUID, FROM_STDIN, &host];
    let done = tools.docker_with_input(&login, &token).success();
    assert!(done.output().contains("Login Succeeded"), "{}", done.output());

    let file = std::fs::read_to_string(tools.path("docker/config.json")).expect("docker wrote its file");
    let config: serde_json::Value = serde_json::from_str(&file).expect("JSON");
    let stored = &config["auths"][&host]["identitytoken"];
    assert!(stored.is_string(), "docker keeps the refresh token it was given: {file}");
    server.keep_secret(stored.as_str().expect("text"));

    std::fs::copy(tools.path("docker/config.json"), tools.path("auth.json")).expect("a copy");
    push_and_pull_with_skopeo(&server, tools);
}

#[tokio::test]
async fn docker_signs_in_as_the_admin() {
    let server = Server::plain();
    let (account, tools, host) = (server.enable_admin("default"), server.toolbox(), server.host());
    let login = ["login", "--username", "default", FROM_STDIN, &host];
    tools.docker_with_input(&login, &account.password2).success();
    tools.docker_with_input(&login, "not-the-password").failure();
}

#[tokio::test]
async fn skopeo_signs_in_as_the_admin() {
    let server = Server::plain();
    let (account, tools, host) = (server.enable_admin("default"), server.toolbox(), server.host());
    let login = ["login", "--tls-verify=false", "--username", "default", FROM_STDIN, &host];
    let mut command = tools.command("skopeo");
    command.args(login);
    Toolbox::finish(command, Some(&account.password)).success();
    push_and_pull_with_skopeo(&server, tools);
}

/// Helm asks `GET /v2/` with Basic, and takes 200 for a login.
#[tokio::test]
async fn helm_signs_in_with_basic_and_the_null_guid() {
    let server = Server::plain();
    let helm = server.http().with(basic(NULL_GUID, &server.refresh_token("default")));
    let _signed_in = helm.get("/v2/").await.expect(200);
    let _pushed = Image::tiny("a chart").push(&helm, "charts/pier", "1.0.0").await.expect(201);
    let _pulled = helm.get("/v2/charts/pier/manifests/1.0.0").await.expect(200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let server = Server::plain();
    let _account = server.enable_admin("default");
    let known = server.http().with(basic("default", "wrong")).get("/v2/").await.expect(401);
    let unknown = server.http().with(basic("nobody", "wrong")).get("/v2/").await.expect(401);
    assert_eq!(known.text(), unknown.text());
    assert_eq!(known.header("www-authenticate"), unknown.header("www-authenticate"));
    let names = |answer: &shorepass_e2e::Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&known), names(&unknown));
}

#[tokio::test]
async fn shorepass_login_hands_podman_a_token() {
    let server = Server::plain();
    let mut command = server.cli_command(&["login", "--name", "default"]);
    command.env("DOCKER_COMMAND", "podman");
    let done = Toolbox::finish(command, None).success();
    assert!(done.output().contains("Login Succeeded"), "{}", done.output());
    push_and_pull_with_skopeo(&server, server.toolbox());
}

#[tokio::test]
async fn shorepass_login_hands_docker_a_token() {
    let server = Server::plain();
    let mut command = server.cli_command(&["login", "--name", "default"]);
    command.env("DOCKER_COMMAND", "docker");
    Toolbox::finish(command, None).success();
    let tools = server.toolbox();
    std::fs::copy(tools.path("docker/config.json"), tools.path("auth.json")).expect("docker wrote its file");
    push_and_pull_with_skopeo(&server, tools);
}

#[tokio::test]
async fn shorepass_login_can_print_the_token_instead() {
    let server = Server::plain();
    let mut command = server.cli_command(&["login", "-n", "default", "--expose-token", "--output", "json"]);
    command.env("PATH", "/nonexistent");
    let done = Toolbox::finish(command, None).success().json();
    let keys: Vec<&String> = done.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["accessToken", "loginServer"], "exactly these two");
    let token = done["accessToken"].as_str().expect("a token");
    server.keep_secret(token);
    let _works = server.http().with(basic(NULL_GUID, token)).get("/v2/").await.expect(200);
    let files = [server.toolbox().path("docker/config.json"), server.toolbox().path("home/.docker/config.json")];
    assert!(files.iter().all(|file| !file.exists()), "no file is touched");
}

#[tokio::test]
async fn shorepass_login_says_what_to_do_without_docker_and_podman() {
    let server = Server::plain();
    let mut command = server.cli_command(&["login", "-n", "default"]);
    command.env("PATH", "/nonexistent").env_remove("DOCKER_COMMAND");
    let failed = Toolbox::finish(command, None).failure();
    assert!(failed.stderr.contains("DOCKER_COMMAND_ERROR"), "{}", failed.stderr);
    assert!(failed.stderr.contains("Please verify if Docker client is installed and running."), "{}", failed.stderr);
}

#[tokio::test]
async fn shorepass_login_signs_in_as_the_admin_with_a_password_from_standard_input() {
    let server = Server::plain();
    let account = server.enable_admin("default");
    let mut command = server.cli_command(&["login", &server.host(), "-u", "default", FROM_STDIN]);
    command.env("DOCKER_COMMAND", "podman");
    Toolbox::finish(command, Some(&account.password)).success();
    push_and_pull_with_skopeo(&server, server.toolbox());

    let usage = server.cli(&["login", "-n", "default", "--expose-token", "-u", "default", "-p", "anything"]).failure();
    assert!(usage.stderr.contains("--expose-token"), "{}", usage.stderr);
}

#[tokio::test]
async fn the_credential_helper_serves_skopeo() {
    let server = Server::plain();
    let (tools, host) = (server.toolbox(), server.host());
    let helpers = json!({ "credHelpers": { &host: "shorepass" } });
    std::fs::write(tools.path("auth.json"), helpers.to_string()).expect("the file is written");
    let folder = program("docker-credential-shorepass").parent().expect("a folder").display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").expect("a PATH"));

    let mut get = tools.command(program("docker-credential-shorepass"));
    get.arg("get").env("SHOREPASS_DATA", server.data());
    let got = Toolbox::finish(get, Some(&host)).success().json();
    assert_eq!(got["Username"], NULL_GUID);
    server.keep_secret(got["Secret"].as_str().expect("a secret"));

    let image = Image::tiny("by the helper");
    image.write_layout(&tools.path("layout"), "v1");
    let source = format!("oci:{}:v1", tools.path("layout").display());
    let mut push = tools.command("skopeo");
    push.env("PATH", path).env("SHOREPASS_DATA", server.data()).arg("--policy").arg(tools.path("policy.json"));
    push.args(["copy", "--dest-tls-verify=false", &source, &format!("docker://{host}/by/helper:v1")]);
    Toolbox::finish(push, None).success();
}

/// The credentials at hand push and pull.
fn push_and_pull_with_skopeo(server: &Server, tools: &Toolbox) {
    let image = Image::tiny("signed in");
    image.write_layout(&tools.path("layout-in"), "v1");
    let source = format!("oci:{}:v1", tools.path("layout-in").display());
    let remote = format!("docker://{}/signed/in:v1", server.host());
    let back = format!("oci:{}:v1", tools.path("layout-out").display());
    tools.skopeo(&["copy", "--dest-tls-verify=false", &source, &remote]).success();
    tools.skopeo(&["copy", "--src-tls-verify=false", &remote, &back]).success();
}
