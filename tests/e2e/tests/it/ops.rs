//! Running it: starting, stopping, configuration, metrics, audit, and what must never be written anywhere.

use std::process::{Command, Stdio};

use http::Method;
use serde_json::Value;
use shorepass_e2e::{
    Finished, Http, Image, NULL_GUID, Server, ServerOptions, Stores, Toolbox, basic, bearer, digest_of, eventually,
    form, jwt_claims, program, raw,
};

/// `shorepass serve` that is expected to refuse at once.
fn serve(toolbox: &Toolbox, arguments: &[&str]) -> Finished {
    let mut command = toolbox.command(program("shorepass"));
    command.arg("serve").arg("--data").arg(toolbox.path("data")).args(arguments);
    Toolbox::finish(command, None)
}

#[tokio::test]
async fn the_first_start_says_what_to_type_next() {
    let server = Server::plain();
    let words = ["shorepass login", "docker", "podman"];
    let said = eventually("what to type next", async || {
        let said = server.log();
        words.iter().all(|word| said.contains(word)).then_some(said)
    })
    .await;
    assert!(!said.contains("password:"), "no default password is made:\n{said}");
}

#[test]
fn plain_http_is_refused_off_loopback() {
    let tools = Toolbox::new();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let refused = serve(&tools, &["--listen", address]).failure();
        assert!(refused.stderr.contains("--tls"), "the remedy is named: {}", refused.stderr);
    }
}

#[test]
fn config_check_explains_errors_with_file_line_and_remedy() {
    let tools = Toolbox::new();
    let file = tools.path("shorepass.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:5000\"\n\nlisten_adress = \"x\"\nsigning = \"md5\"\n")
        .expect("written");
    let path = file.display().to_string();
    let checked = tools.run(program("shorepass"), &["--config", &path, "config", "check"], None).failure();
    for line in [3, 4] {
        assert!(checked.output().contains(&format!("shorepass.toml:{line}")), "{}", checked.output());
    }
    assert!(checked.output().contains("es256"), "what would be right is named: {}", checked.output());
    std::fs::write(&file, "listen = \"127.0.0.1:5000\"\nsigning = \"es256\"\n").expect("written");
    tools.run(program("shorepass"), &["--config", &path, "config", "check"], None).success();
}

#[test]
fn the_command_line_says_when_no_server_runs() {
    let tools = Toolbox::new();
    let mut command = tools.command(program("shorepass"));
    command.env("SHOREPASS_DATA", tools.path("nothing")).args(["registry", "list"]);
    let failed = Toolbox::finish(command, None).failure();
    assert!(failed.stderr.contains("shorepass serve"), "the remedy is named: {}", failed.stderr);
}

#[tokio::test]
async fn termination_lets_requests_under_way_end() {
    let mut server = Server::plain();
    let admin = server.admin();
    let opened = admin.send(Method::POST, "/v2/team/app/blobs/uploads/", &[], "").await.expect(202);
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<bytes::Bytes, std::io::Error>>(1);
    let pieces = futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let location = opened.header("location").to_owned();
    let (client, body) = (admin.clone(), reqwest::Body::wrap_stream(pieces));
    let upload = tokio::spawn(async move { client.send(Method::PATCH, &location, &[], body).await });
    for _ in 0..3 {
        sender.send(Ok(vec![7; 1 << 16].into())).await.expect("the upload runs");
    }
    server.signal("TERM");
    let refused = eventually("no new connections", async || {
        let fresh = Http::new(&server.endpoint(), None);
        let answer = fresh.try_send(Method::GET, "/v2/", &[], "").await;
        answer.is_err().then_some(())
    });
    refused.await;
    sender.send(Ok(vec![7; 1 << 16].into())).await.expect("the upload goes on");
    drop(sender);
    let answer = upload.await.expect("the upload ends").expect(202);
    assert_eq!(answer.header("range"), format!("0-{}", (4 << 16) - 1));
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test]
async fn metrics_and_health_have_a_listener_of_their_own() {
    let server = Server::start(ServerOptions::with(&["--metrics-listen", "127.0.0.1:0"]));
    let (admin, host) = (server.admin(), server.host());
    let _pushed = Image::tiny("measured").push(&admin, "team/app", "v1").await.expect(201);
    let _token = admin.token(&host, &["repository:team/app:pull"]).await.expect(200);
    let _failed = server.http().with(basic("default", "wrong")).token(&host, &[]).await.expect(401);
    let metrics = Http::new(&format!("http://{}", server.metrics_address()), None);
    for path in ["/healthz", "/readyz"] {
        let _healthy = metrics.get(path).await.expect(200);
    }
    let text = metrics.get("/metrics").await.expect(200).text();
    let template = "/v2/{name}/manifests/{reference}";
    assert!(text.contains(template), "requests are counted by route template:\n{text}");
    assert!(!text.contains("team/app"), "no label is unbounded:\n{text}");
    let count = |needle: &str| text.lines().filter(|line| !line.starts_with('#') && line.contains(needle)).count();
    assert!(count("token") > 0 && count("bytes") > 0 && count("upload") > 0, "{text}");
    let _not_here = server.http().get("/metrics").await.expect(404);
}

async fn audit_tells_who_did_what(stores: Stores) {
    // A relative path: it lands beside the data, where the search for secrets finds it.
    let arguments = ["--audit-file", "audit.jsonl"].map(str::to_owned).to_vec();
    let server = Server::start(ServerOptions { stores, arguments, ..ServerOptions::default() });
    let file = server.path("audit.jsonl");
    let (admin, image, host) = (server.admin(), Image::tiny("audited"), server.host());
    let puller = admin.with_token(&host, &["repository:team/app:pull"]).await;
    let _pushed = image.push(&admin, "team/app", "v1").await.expect(201);
    let _pulled = puller.get("/v2/team/app/manifests/v1").await.expect(200);
    let _untagged = admin.delete("/v2/team/app/manifests/v1").await.expect(202);
    let _deleted = admin.delete(&format!("/v2/team/app/manifests/{}", image.digest())).await.expect(202);
    let _failed = server.http().with(basic("default", "a-wrong-password")).get("/v2/").await.expect(401);
    server.keep_secret("a-wrong-password");
    let _disabled = server.manage("POST", "/registries/default/admin/disable", None).expect(200);
    let _denied = puller.get("/v2/team/app/manifests/v1").await.expect(401);

    let wanted = ["login", "token", "pull", "push", "delete", "untag", "denied", "management"];
    let query = ["audit", "query", "--output", "json"];
    let events = eventually("every kind of event", async || {
        let events = server.cli(&query).success().json();
        let events = events.as_array().expect("a list").clone();
        wanted.iter().all(|kind| events.iter().any(|event| event["kind"] == *kind)).then_some(events)
    })
    .await;
    let find = |kind: &str, outcome: &str| {
        let found = events.iter().find(|event| event["kind"] == kind && event["outcome"] == outcome);
        found.unwrap_or_else(|| panic!("no {kind} with {outcome} in {events:#?}"))
    };
    let push = find("push", "success");
    assert_eq!((&push["registry"], &push["repository"]), (&"default".into(), &"team/app".into()));
    assert!(push["principal"].as_str().is_some_and(|who| who.starts_with("admin:")), "{push}");
    assert!(push["origin"].as_str().is_some_and(|origin| origin.starts_with("127.0.0.1")), "{push}");
    let failure = find("login", "failure");
    assert!(failure["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{failure}");
    assert_eq!(find("management", "success")["origin"], "socket");

    let only = server.cli(&["audit", "query", "--kind", "push", "--output", "json"]).success().json();
    assert!(only.as_array().expect("a list").iter().all(|event| event["kind"] == "push"));
    let written = eventually("the audit file", async || {
        let text = std::fs::read_to_string(&file).ok()?;
        text.contains("\"push\"").then_some(text)
    })
    .await;
    for line in written.lines() {
        let _event: Value = serde_json::from_str(line).expect("every line is JSON");
    }
}

#[tokio::test]
async fn audit_tells_who_did_what_local() {
    audit_tells_who_did_what(Stores::Local).await;
}

#[tokio::test]
async fn audit_tells_who_did_what_remote() {
    audit_tells_who_did_what(Stores::Remote).await;
}

/// Behind a proxy that ends TLS, the client is whom the proxy names; of what a client wrote itself nothing counts.
#[tokio::test]
async fn behind_a_trusted_proxy_the_nearest_untrusted_address_is_the_origin() {
    let server = Server::start(ServerOptions::with(&[
        "--insecure-behind-proxy",
        "127.0.0.1/32",
        "--external-url",
        "https://registry.example.com",
    ]));
    let authorization = basic("default", "wrong");
    let headers = [
        ("Host", "registry.example.com"),
        ("Authorization", authorization.as_str()),
        ("X-Forwarded-For", "192.0.2.66, 198.51.100.7"),
        ("X-Forwarded-Proto", "https"),
        ("Forwarded", "for=192.0.2.66"),
    ];
    let _refused = raw::request(&server.address(), "GET", "/v2/", &headers).expect(401);
    let event = eventually("the failed login", async || {
        let events = server.cli(&["audit", "query", "--kind", "login", "--output", "json"]).success().json();
        events.as_array().and_then(|events| events.first().cloned())
    })
    .await;
    assert!(event["origin"].as_str().is_some_and(|origin| origin.starts_with("198.51.100.7")), "{event}");
}

/// Every credential of this run goes through every door, in every wrong way too; then all that was written is searched
/// for them (by [`Server`]'s drop: output, logs at debug level, audit, database files).
async fn no_secret_is_ever_written_down(stores: Stores) {
    let arguments = ["--metrics-listen", "127.0.0.1:0", "--log-format", "json"].map(str::to_owned).to_vec();
    let server = Server::start(ServerOptions { stores, arguments, ..ServerOptions::default() });
    let (account, refresh) = (server.enable_admin("default"), server.refresh_token("default"));
    let (http, host) = (server.http(), server.host());
    let admin = http.with(account.basic());
    let _pushed = Image::tiny("quiet").push(&admin, "team/app", "v1").await.expect(201);
    let access = admin.token(&host, &["repository:team/app:pull"]).await.expect(200).json()["access_token"].clone();
    let access = access.as_str().expect("a token").to_owned();
    let header = account.basic();
    for secret in [&access, &header["Basic ".len()..].to_owned(), &jwt_claims(&refresh)["jti"].to_string()] {
        server.keep_secret(secret);
    }
    let secrets = [account.password.as_str(), &account.password2, &refresh, &access, "hunter2-wrong-password"];
    server.keep_secret("hunter2-wrong-password");
    for secret in secrets {
        let fields = [
            ("service", host.as_str()),
            ("refresh_token", secret),
            ("password", secret),
            ("access_token", secret),
            ("username", "default"),
        ];
        for grant in ["password", "refresh_token", "access_token", "wish"] {
            let fields = [&fields[..], &[("grant_type", grant)]].concat();
            let _any = http.post_form("/oauth2/token", &fields).await;
            let _any = http.post_form("/oauth2/exchange", &fields).await;
        }
        let _any = http.get(&format!("/oauth2/token?{}", form(&fields))).await;
        let _any = http.with(basic("default", secret)).get("/v2/").await;
        let _any = http.with(basic(NULL_GUID, secret)).get("/v2/team/app/manifests/v1").await;
        let _any = http.with(bearer(secret)).get("/v2/team/app/manifests/v1").await;
        let _any = http.with(secret).get("/v2/").await;
    }
    let metrics = Http::new(&format!("http://{}", server.metrics_address()), None).get("/metrics").await.text();
    let audit = server.cli(&["audit", "query", "--output", "json"]).success().stdout;
    for secret in secrets {
        assert!(!metrics.contains(secret) && !audit.contains(secret));
    }
    assert!(server.log().contains("/oauth2/token"), "the log tells of requests, or this test shows nothing");
}

#[tokio::test]
async fn no_secret_is_ever_written_down_local() {
    no_secret_is_ever_written_down(Stores::Local).await;
}

#[tokio::test]
async fn no_secret_is_ever_written_down_remote() {
    no_secret_is_ever_written_down(Stores::Remote).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_on_hup() {
    let first = Server::start(ServerOptions::with(&["--tls", "self-signed"]));
    let second = Server::start(ServerOptions::with(&["--tls", "self-signed"]));
    let (certificate, key) = (first.path("tls.crt"), first.path("tls.key"));
    let install = |from: &Server| {
        let (leaf, private) = self_signed_files(from);
        std::fs::copy(leaf, &certificate).expect("a copy");
        std::fs::copy(private, &key).expect("a copy");
    };
    install(&first);
    let files = [certificate.display().to_string(), key.display().to_string()];
    let server = Server::start(ServerOptions::with(&["--tls-cert", &files[0], "--tls-key", &files[1]]));
    let trusting = |issuer: &Server| Http::new(&server.endpoint(), issuer.ca_file().as_deref());
    let _old = trusting(&first).get("/v2/").await.expect(401);
    install(&second);
    server.signal("HUP");
    eventually("the new certificate", async || {
        trusting(&second).try_send(Method::GET, "/v2/", &[], "").await.ok().filter(|answer| answer.status == 401)
    })
    .await;
}

/// The leaf certificate and key that `--tls self-signed` made.
fn self_signed_files(server: &Server) -> (std::path::PathBuf, std::path::PathBuf) {
    let ca = server.ca_file().expect("a CA");
    let folder = ca.parent().expect("a folder");
    let files: Vec<_> = std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
    let find = |wanted: &dyn Fn(&str) -> bool| {
        let name = |path: &std::path::Path| path.file_name().expect("a name").to_string_lossy().into_owned();
        let found = files.iter().find(|path| **path != ca && !name(path).starts_with("ca") && wanted(&name(path)));
        found.unwrap_or_else(|| panic!("not in {files:?}")).clone()
    };
    (
        find(&|name| !name.contains("key") && (name.ends_with(".pem") || name.ends_with(".crt"))),
        find(&|name| name.contains("key")),
    )
}

#[tokio::test]
async fn private_files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start(ServerOptions::with(&["--tls", "self-signed"]));
    let listing = Command::new("find").arg(server.data()).args(["-perm", "/077"]).stdin(Stdio::null()).output();
    let open = String::from_utf8_lossy(&listing.expect("find runs").stdout).into_owned();
    let ca = server.ca_file().expect("a CA").display().to_string();
    let open: Vec<&str> = open.lines().filter(|path| *path != ca).collect();
    let mode = std::fs::metadata(server.data()).expect("the data directory").permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "nobody else gets in");
    assert!(open.iter().all(|path| !path.contains("key")), "private keys are 0600: {open:?}");
}

#[tokio::test]
async fn health_is_told_by_the_command_line() {
    let server = Server::plain();
    let healthy = server.cli(&["health", "--output", "json"]).success().json();
    assert_eq!(healthy["status"], "ok");
    let checks = healthy["checks"].as_array().expect("checks");
    assert!(!checks.is_empty() && checks.iter().all(|check| check["status"] == "ok"), "{healthy}");
}

#[tokio::test]
async fn check_health_walks_through_the_documented_steps() {
    let server = Server::plain();
    let mut command = server.cli_command(&["check-health", "-n", "default", "--ignore-errors", "--yes"]);
    command.env_remove("DOCKER_COMMAND");
    let checked = Toolbox::finish(command, None);
    for step in ["Challenge endpoint", "Fetch refresh token", "Fetch access token"] {
        let line = checked.stdout.lines().chain(checked.stderr.lines()).find(|line| line.contains(step));
        assert!(line.is_some_and(|line| line.ends_with(": OK")), "{step}: {}", checked.output());
    }
}

/// What was acknowledged is there after `kill -9`, on both kinds of store.
async fn acknowledged_is_durable(stores: Stores) {
    let mut server = Server::start(ServerOptions { stores, ..ServerOptions::default() });
    let account = server.enable_admin("default");
    let image = Image::tiny("durable");
    let _pushed = image.push(&server.http().with(account.basic()), "team/app", "v1").await.expect(201);
    server.kill();
    server.start_again();
    let admin = server.http().with(account.basic());
    assert_eq!(admin.get("/v2/team/app/manifests/v1").await.expect(200).body, image.manifest);
    assert_eq!(
        admin.get(&format!("/v2/team/app/blobs/{}", digest_of(&image.layer))).await.expect(200).body,
        image.layer
    );
    let refresh = basic(NULL_GUID, &server.refresh_token("default"));
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    server.start_again();
    let _token_survives_a_restart = server.http().with(refresh).get("/v2/").await.expect(200);
}

#[tokio::test]
async fn acknowledged_is_durable_local() {
    acknowledged_is_durable(Stores::Local).await;
}

#[tokio::test]
async fn acknowledged_is_durable_remote() {
    acknowledged_is_durable(Stores::Remote).await;
}
