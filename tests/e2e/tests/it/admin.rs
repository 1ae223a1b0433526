//! The operator's work: the admin account, registries, repositories, locks; and how fast a change bites.

use http::Method;
use serde_json::{Value, json};
use shorepass_e2e::{Image, MEDIA_MANIFEST, NULL_GUID, Server, basic, bearer};

#[tokio::test]
async fn the_admin_account_is_off_until_it_is_enabled() {
    let server = Server::plain();
    let shown = server.cli(&["admin", "show", "-n", "default", "--output", "json"]).success().json();
    assert_eq!((&shown["enabled"], &shown["username"]), (&json!(false), &json!("default")));
    let _refused = server.http().with(basic("default", "")).get("/v2/").await.expect(401);

    let enabled = server.cli(&["admin", "enable", "-n", "default", "--output", "json"]).success().json();
    for index in 0..2 {
        let password = enabled["passwords"][index]["value"].as_str().expect("shown once");
        server.keep_secret(password);
        let _signed_in = server.http().with(basic("default", password)).get("/v2/").await.expect(200);
    }
    let shown = server.cli(&["admin", "show", "-n", "default", "--output", "json"]).success();
    assert!(!shown.stdout.contains("\"value\""), "a password is shown once: {}", shown.stdout);
}

#[tokio::test]
async fn renewing_one_password_leaves_the_other() {
    let server = Server::plain();
    let (account, http) = (server.enable_admin("default"), server.http());
    let renew = ["admin", "renew", "-n", "default", "--password-name", "password", "--output", "json"];
    let renewed = server.cli(&renew).success().json();
    let fresh = renewed["passwords"][0]["value"].as_str().expect("the new password").to_owned();
    server.keep_secret(&fresh);
    assert!(renewed["passwords"][1]["value"].is_null(), "the other is not shown again");
    let _gone = http.with(basic("default", &account.password)).get("/v2/").await.expect(401);
    let _valid_at_once = http.with(basic("default", &fresh)).get("/v2/").await.expect(200);
    let _untouched = http.with(basic("default", &account.password2)).get("/v2/").await.expect(200);
}

#[tokio::test]
async fn renewing_a_disabled_account_says_how_to_enable_it() {
    let server = Server::plain();
    let refused = server.cli(&["admin", "renew", "-n", "default"]).failure();
    let remedy = "shorepass registry update -n default --admin-enabled true";
    assert!(refused.stderr.contains(remedy), "{}", refused.stderr);
}

#[tokio::test]
async fn disabling_the_account_bites_at_the_next_request_for_issued_tokens_too() {
    let server = Server::plain();
    let (account, host, http) = (server.enable_admin("default"), server.host(), server.http());
    let admin = http.with(account.basic());
    let _pushed = Image::tiny("live").push(&admin, "team/app", "v1").await.expect(201);
    let offline = "/oauth2/token?offline_token=true&scope=repository:team/app:pull";
    let tokens = admin.get(&format!("{offline}&service={host}")).await.expect(200).json();
    let access = http.with(bearer(tokens["access_token"].as_str().expect("an access token")));
    let refresh = http.with(basic(NULL_GUID, tokens["refresh_token"].as_str().expect("a refresh token")));
    let manifest = "/v2/team/app/manifests/v1";
    for caller in [&admin, &access, &refresh] {
        let _works = caller.get(manifest).await.expect(200);
    }
    server.cli(&["registry", "update", "-n", "default", "--admin-enabled", "false"]).success();
    for caller in [&admin, &access, &refresh] {
        let _bites = caller.get(manifest).await.expect(401);
    }
    let _no_new_token = refresh.token(&host, &["repository:team/app:pull"]).await.expect(401);
    let operator = http.with(basic(NULL_GUID, &server.refresh_token("default")));
    let _others_work_on = operator.get(manifest).await.expect(200);
}

#[tokio::test]
async fn renewing_a_password_ends_the_tokens_it_began() {
    let server = Server::plain();
    let (account, host, http) = (server.enable_admin("default"), server.host(), server.http());
    let _pushed = Image::tiny("begun").push(&http.with(account.basic()), "team/app", "v1").await.expect(201);
    let scope = ["repository:team/app:pull"];
    let by_first = http.with(account.basic()).with_token(&host, &scope).await;
    let by_second = http.with(basic("default", &account.password2)).with_token(&host, &scope).await;
    let body = json!({ "passwordName": "password" });
    let _renewed = server.manage("POST", "/registries/default/admin/renew", Some(body)).expect(200);
    let _ended = by_first.get("/v2/team/app/manifests/v1").await.expect(401);
    let _untouched = by_second.get("/v2/team/app/manifests/v1").await.expect(200);
}

#[tokio::test]
async fn registries_are_made_listed_changed_and_deleted() {
    let server = Server::plain();
    server.cli(&["registry", "create", "-n", "Harbour01", "--sku", "Basic"]).success();
    let names = server.cli(&["registry", "list", "--query", "[].name", "--output", "tsv"]).success().stdout;
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().any(|name| name.eq_ignore_ascii_case("harbour01")), "{names:?}");
    let again = server.cli(&["registry", "create", "-n", "harbour01"]).failure();
    assert!(again.stderr.contains("harbour01"), "{}", again.stderr);
    for bad in ["abc", "with-dash", "way.too.dotted", "ünicode1", &"x".repeat(51)] {
        server.cli(&["registry", "create", "-n", bad]).failure();
    }
    let show = ["registry", "show", "-n", "harbour01", "--query", "sku", "--output", "tsv"];
    assert_eq!(server.cli(&show).success().stdout.trim(), "Basic");
    server.cli(&["registry", "update", "-n", "harbour01", "--sku", "Premium"]).success();
    assert_eq!(server.cli(&show).success().stdout.trim(), "Premium");
    server.cli(&["registry", "delete", "-n", "harbour01", "--yes"]).success();
    server.cli(&show).failure();
    let table = server.cli(&["registry", "list"]).success().stdout;
    assert!(table.contains("NAME") && table.contains("default"), "{table}");
}

#[tokio::test]
async fn check_name_tells_why_a_name_is_taken_or_invalid() {
    let server = Server::plain();
    let check = |name: &str| server.manage("POST", "/registries/check-name", Some(json!({ "name": name }))).expect(200);
    assert_eq!(check("harbour01").json()["nameAvailable"], true);
    assert_eq!(check("default").json()["reason"], "AlreadyExists");
    let invalid = check("a-b").json();
    assert_eq!((&invalid["nameAvailable"], &invalid["reason"]), (&json!(false), &json!("Invalid")));
    assert!(invalid["message"].is_string());
}

#[tokio::test]
async fn a_deleted_registry_leaves_nothing_to_one_of_the_same_name() {
    let server = Server::start(shorepass_e2e::ServerOptions::with(&["--domain", "registry.test"]));
    let at = [("Host", "phoenix.registry.test")];
    server.cli(&["registry", "create", "-n", "phoenix"]).success();
    let before = server.http().with(server.enable_admin("phoenix").basic());
    let upload = format!("/v2/team/app/blobs/uploads/?digest={}", shorepass_e2e::digest_of(b"ash"));
    let _pushed = before.send(Method::POST, &upload, &at, "ash").await.expect(201);
    let question = "/oauth2/token?service=phoenix.registry.test&scope=repository:team/app:pull";
    let token = before.send(Method::GET, question, &at, "").await.expect(200).json();
    let token = server.http().with(bearer(token["access_token"].as_str().expect("a token")));
    server.cli(&["registry", "delete", "-n", "phoenix", "--yes"]).success();
    let gone = before.send(Method::GET, "/v2/", &at, "").await;
    assert!(matches!(gone.status, 404 | 421), "{gone:?}");
    server.cli(&["registry", "create", "-n", "phoenix"]).success();
    let blob = format!("/v2/team/app/blobs/{}", shorepass_e2e::digest_of(b"ash"));
    let _old_password = before.send(Method::GET, "/v2/", &at, "").await.expect(401);
    let _old_token = token.send(Method::GET, &blob, &at, "").await.expect(401);
    let after = server.http().with(server.enable_admin("phoenix").basic());
    let _nothing = after.send(Method::GET, &blob, &at, "").await.expect(404);
}

#[tokio::test]
async fn repositories_tags_and_manifests_are_shown_and_removed() {
    let server = Server::plain();
    let (admin, image) = (server.admin(), Image::tiny("listed"));
    for tag in ["v1", "v2"] {
        let _pushed = image.push(&admin, "team/app", tag).await.expect(201);
    }
    let tsv = |arguments: &[&str]| server.cli(arguments).success().stdout;
    assert_eq!(tsv(&["repository", "list", "-n", "default", "--output", "tsv"]).trim(), "team/app");
    let tags = ["repository", "tags", "--repository", "team/app", "--query", "[].name", "--output", "tsv"];
    assert_eq!(tsv(&tags).lines().collect::<Vec<_>>(), ["v1", "v2"]);
    let show = ["repository", "show", "--repository", "team/app", "--output", "json"];
    let shown: Value = serde_json::from_str(&tsv(&show)).expect("JSON");
    assert_eq!((&shown["tagCount"], &shown["manifestCount"]), (&json!(2), &json!(1)));

    server.cli(&["repository", "untag", "--image", "team/app:v1"]).success();
    let _manifest_stays = admin.get(&format!("/v2/team/app/manifests/{}", image.digest())).await.expect(200);
    let _tag_gone = admin.get("/v2/team/app/manifests/v1").await.expect(404);
    server.cli(&["repository", "delete", "--image", "team/app:v2", "--yes"]).success();
    let _gone = admin.get(&format!("/v2/team/app/manifests/{}", image.digest())).await.expect(404);
    server.cli(&["repository", "delete", "--repository", "team/app", "--yes"]).success();
    let _gone = admin.get("/v2/team/app/tags/list").await.expect(404);
    assert_eq!(tsv(&["repository", "list", "-n", "default", "--output", "tsv"]).trim(), "");
}

#[tokio::test]
async fn locks_forbid_what_they_say_on_every_path() {
    let server = Server::plain();
    let (admin, image, other) = (server.admin(), Image::tiny("locked"), Image::tiny("newer"));
    for tag in ["v1", "v2"] {
        let _pushed = image.push(&admin, "team/app", tag).await.expect(201);
    }
    let lock = |target: &[&str], flag: &str, value: &str| {
        let arguments = [&["repository", "lock"], target, &[flag, value]].concat();
        server.cli(&arguments).success();
    };
    let by_digest = format!("/v2/team/app/manifests/{}", image.digest());
    let tag = ["--image", "team/app:v1"];

    lock(&tag, "--write-enabled", "false");
    for blob in [&other.layer, &other.config] {
        let _pushed = admin.push_blob("team/app", blob).await.expect(201);
    }
    let overwrite = admin.put_manifest("team/app", "v1", MEDIA_MANIFEST, &other.manifest).await;
    assert_eq!((overwrite.status, overwrite.code().as_str()), (405, "UNSUPPORTED"));
    let _untag = admin.delete("/v2/team/app/manifests/v1").await.expect(405);
    let _with_its_manifest = admin.delete(&by_digest).await.expect(405);
    let _other_tag = admin.put_manifest("team/app", "v2", MEDIA_MANIFEST, &other.manifest).await.expect(201);
    let socket = server.manage("DELETE", "/registries/default/repositories/team/app/_tags/v1", None);
    assert!(matches!(socket.status, 405 | 409), "the operator too: {socket:?}");
    server.cli(&["repository", "delete", "--repository", "team/app", "--yes"]).failure();
    lock(&tag, "--write-enabled", "true");

    let manifest = format!("team/app@{}", image.digest());
    lock(&["--image", &manifest], "--delete-enabled", "false");
    let _refused = admin.delete(&by_digest).await.expect(405);
    lock(&["--image", &manifest], "--delete-enabled", "true");

    lock(&["--repository", "team/app"], "--write-enabled", "false");
    let _refused = admin.put_manifest("team/app", "v3", MEDIA_MANIFEST, &other.manifest).await.expect(405);
    let _refused = admin.send(Method::POST, "/v2/team/app/blobs/uploads/", &[], "").await.expect(405);
    let _read_on = admin.get("/v2/team/app/manifests/v1").await.expect(200);
    lock(&["--repository", "team/app"], "--write-enabled", "true");

    lock(&tag, "--read-enabled", "false");
    let _unreadable = admin.get("/v2/team/app/manifests/v1").await.expect(405);
    lock(&tag, "--read-enabled", "true");
    lock(&tag, "--list-enabled", "false");
    let listed = admin.get("/v2/team/app/tags/list").await.expect(200).json();
    assert_eq!(listed["tags"], json!(["v2"]));
    lock(&tag, "--list-enabled", "true");
    let _unlocked = admin.delete("/v2/team/app/manifests/v1").await.expect(202);
}

#[tokio::test]
async fn anonymous_pull_is_a_switch_and_pull_only() {
    let server = Server::plain();
    let (admin, http, host) = (server.admin(), server.http(), server.host());
    let _pushed = Image::tiny("public").push(&admin, "team/app", "v1").await.expect(201);
    let _off = http.token(&host, &["repository:team/app:pull"]).await.expect(401);
    server.cli(&["registry", "update", "-n", "default", "--anonymous-pull-enabled", "true"]).success();
    let reader = http.with_token(&host, &["repository:team/app:pull,push,delete"]).await;
    let _pulls = reader.get("/v2/team/app/manifests/v1").await.expect(200);
    let _no_push = reader.push_blob("team/app", b"x").await.expect(401);
    let _no_delete = reader.delete("/v2/team/app/manifests/v1").await.expect(401);
    let _challenge_stays = http.get("/v2/").await.expect(401);
    server.cli(&["registry", "update", "-n", "default", "--anonymous-pull-enabled", "false"]).success();
    let _bites = reader.get("/v2/team/app/manifests/v1").await.expect(401);
}

#[tokio::test]
async fn the_socket_refuses_unknown_fields_and_other_users() {
    let server = Server::plain();
    let unknown = json!({ "adminEnabled": true, "hasAdminRole": true });
    let refused = server.manage("PATCH", "/registries/default", Some(unknown)).expect(400);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert!(refused.text().contains("hasAdminRole"), "{}", refused.text());
    let shown = server.manage("GET", "/registries/default", None).expect(200).json();
    assert_eq!(shown["adminEnabled"], false, "nothing of a refused request is done");

    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(server.data()).expect("the data directory").permissions().mode();
    assert_eq!(mode & 0o077, 0, "the data directory is the owner's alone: {mode:o}");
}
