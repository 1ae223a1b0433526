//! registry, admin, audit, health and keys against a scripted server.

use serde_json::{Value, json};

use crate::fake::{Fake, run_with};

fn registry(name: &str, sku: &str) -> Value {
    json!({
        "id": "0", "name": name, "loginServer": "127.0.0.1:5000", "sku": sku, "adminEnabled": false,
        "anonymousPullEnabled": false, "resourceGroup": "default", "creationDate": "2026-11-22T10:00:00Z",
        "updatedAt": "2026-11-22T10:00:00Z", "etag": "1",
    })
}

fn two_registries() -> Fake {
    let value = json!({ "value": [registry("default", "Premium"), registry("second", "Basic")] });
    Fake::start().on("GET /api/v1/registries", 200, value)
}

#[test]
fn registries_are_a_table_for_people() {
    let ran = two_registries().run(&["registry", "list"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "NAME     LOGIN SERVER    SKU      ADMIN  ANONYMOUS PULL  CREATED");
    assert_eq!(lines[2], "second   127.0.0.1:5000  Basic    no     no              2026-11-22T10:00:00Z");
    assert_eq!(ran.err, "");
}

#[test]
fn registries_are_whole_in_json_and_picked_by_a_query() {
    let fake = two_registries();
    let all: Value = serde_json::from_str(&fake.run(&["registry", "list", "--output", "json"]).out).unwrap();
    assert_eq!(all[1], registry("second", "Basic"));
    assert_eq!(fake.run(&["registry", "list", "-o", "tsv", "--query", "[].name"]).out, "default\nsecond\n");
    assert_eq!(
        fake.run(&["registry", "list", "-o", "tsv", "--query", "[].[name,sku]"]).out,
        "default\tPremium\nsecond\tBasic\n"
    );
    assert_eq!(
        fake.run(&["-o", "json", "--query", "[?sku=='Basic'] | [0].name", "registry", "list"]).out,
        "\"second\"\n"
    );
    let wrong = fake.run(&["registry", "list", "--query", "[?"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert_eq!(wrong.out, "");
}

#[test]
fn a_name_is_given_first_or_by_option_or_is_default() {
    let fake = Fake::start().on("GET /api/v1/registries/second", 200, registry("second", "Basic")).on(
        "GET /api/v1/registries/default",
        200,
        registry("default", "Premium"),
    );
    for arguments in [
        &["registry", "show", "Second"][..],
        &["registry", "show", "-n", "second"],
        &["registry", "show", "--name", "second"],
    ] {
        assert!(fake.run(arguments).out.contains("second"), "{arguments:?}");
    }
    assert!(fake.run(&["registry", "show"]).out.contains("default"));
    let both = fake.run(&["registry", "show", "second", "-n", "second"]);
    assert_eq!(both.code, Some(2), "{both:?}");
    let path = fake.run(&["registry", "show", "-n", "../keys"]);
    assert_eq!(path.code, Some(2), "{path:?}");
    assert!(path.err.contains("a registry name has 5 to 50 letters and digits"), "{path:?}");
}

#[test]
fn create_sends_what_was_given_and_needs_a_name() {
    let fake = Fake::start().on("POST /api/v1/registries", 201, registry("second", "Basic"));
    assert_eq!(fake.run(&["registry", "create", "second", "--sku", "basic"]).code, Some(0));
    assert_eq!(fake.heard()[0].1, json!({ "name": "second", "sku": "Basic" }));
    let nameless = fake.run(&["registry", "create"]);
    assert_eq!(nameless.code, Some(2));
    assert!(nameless.err.contains("`-n NAME`"), "{nameless:?}");
}

#[test]
fn update_sends_only_what_changes() {
    let fake = Fake::start().on("PATCH /api/v1/registries/second", 200, registry("second", "Basic"));
    let ran = fake.run(&["registry", "update", "-n", "second", "--admin-enabled", "true"]);
    assert_eq!(fake.heard()[0].1, json!({ "adminEnabled": true }));
    assert!(ran.err.contains("shorepass admin renew -n second"), "{ran:?}");
    let nothing = fake.run(&["registry", "update", "-n", "second"]);
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
    assert_eq!(fake.heard().len(), 1);
}

#[test]
fn delete_asks_first_and_cannot_ask_a_script() {
    let fake = Fake::start().on("GET /api/v1/registries/second", 200, registry("second", "Basic")).on(
        "DELETE /api/v1/registries/second",
        204,
        Value::Null,
    );
    let unasked = fake.run(&["registry", "delete", "-n", "second"]);
    assert_eq!(unasked.code, Some(2), "{unasked:?}");
    assert!(unasked.err.contains("--yes"), "{unasked:?}");
    assert!(fake.heard().iter().all(|(request, _)| !request.starts_with("DELETE")));
    assert_eq!(fake.run(&["registry", "delete", "-n", "second", "--yes"]).code, Some(0));
    assert!(fake.heard().iter().any(|(request, _)| request == "DELETE /api/v1/registries/second"));
}

#[test]
fn check_name_tells_by_exit_code_too() {
    let taken = json!({ "nameAvailable": false, "reason": "AlreadyExists", "message": "it is taken" });
    let ran =
        Fake::start().on("POST /api/v1/registries/check-name", 200, taken).run(&["registry", "check-name", "-n", "x!"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("AlreadyExists"), "{ran:?}");
}

#[test]
fn a_problem_is_told_with_its_hint() {
    let problem = json!({
        "title": "Conflict", "status": 409, "detail": "the admin account of `default` is disabled",
        "hint": "Run 'shorepass registry update -n default --admin-enabled true' to enable admin first.",
    });
    let ran = Fake::start().on("POST /api/v1/registries/default/admin/renew", 409, problem).run(&["admin", "renew"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.out, "");
    assert!(ran.err.starts_with("error: the admin account of `default` is disabled\n"), "{ran:?}");
    assert!(ran.err.contains("hint: Run 'shorepass registry update -n default"), "{ran:?}");
}

#[test]
fn new_passwords_go_to_standard_output_once_with_a_warning() {
    let account = json!({
        "registry": "default", "username": "default", "enabled": true,
        "passwords": [
            { "name": "password", "createdAt": "2026-11-22T10:00:00Z", "value": "first-secret" },
            { "name": "password2", "createdAt": "2026-11-22T10:00:00Z" },
        ],
    });
    let fake = Fake::start().on("POST /api/v1/registries/default/admin/renew", 200, account.clone());
    let ran = fake.run(&["admin", "renew", "--password-name", "password"]);
    assert_eq!(fake.heard()[0].1, json!({ "passwordName": "password" }));
    assert_eq!(ran.out, "USER NAME  NAME      VALUE\ndefault    password  first-secret\n");
    assert!(ran.err.contains("warning: ") && ran.err.contains("not shown again"), "{ran:?}");
    assert!(!ran.err.contains("first-secret"));
    let query = "passwords[0].value";
    assert_eq!(fake.run(&["admin", "renew", "-o", "tsv", "--query", query]).out, "first-secret\n");
}

#[test]
fn health_is_an_exit_code() {
    let health = |status: &str| {
        let checks = json!([{ "name": "database", "status": "error", "detail": "connection refused" }]);
        json!({ "status": status, "version": "0.1.0", "endpoint": "http://127.0.0.1:5000", "checks": checks })
    };
    assert_eq!(Fake::start().on("GET /api/v1/health", 200, health("ok")).run(&["health"]).code, Some(0));
    let degraded = Fake::start().on("GET /api/v1/health", 200, health("degraded")).run(&["health"]);
    assert_eq!(degraded.code, Some(1));
    assert!(degraded.out.contains("connection refused"), "{degraded:?}");
    assert!(degraded.err.contains("is degraded"), "{degraded:?}");
}

#[test]
fn without_a_server_every_command_says_how_to_start_it() {
    let home = tempfile::tempdir().unwrap();
    for command in
        [&["health"][..], &["registry", "list"], &["audit", "query"], &["keys", "list"], &["repository", "list"]]
    {
        let ran = run_with(home.path(), &[], command);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let data = home.path().join(".local/share/shorepass");
        assert!(
            ran.err.contains(&format!("no server is running for the data directory `{}`", data.display())),
            "{ran:?}"
        );
        assert!(ran.err.contains("start it with `shorepass serve`"), "{ran:?}");
    }
    let elsewhere = run_with(home.path(), &[], &["health", "--data", "/nowhere"]);
    assert!(elsewhere.err.contains("`shorepass serve --data /nowhere`"), "{elsewhere:?}");
}

fn event(id: u8, reason: &str) -> Value {
    json!({
        "id": format!("00000000-0000-7000-8000-0000000000{id:02}"), "time": format!("2026-11-22T10:00:{id:02}Z"),
        "kind": "login", "outcome": "failure", "reason": reason, "principal": "eve\u{1b}[2J", "credential": "password",
        "origin": "192.0.2.1", "count": 1,
    })
}

#[test]
fn audit_events_are_searched_by_every_filter() {
    let path = "GET /api/v1/audit?kind=login&outcome=failure&registry=default&repository=team%2Fapp&principal=eve\
                &since=2026-11-22T10%3A00%3A00Z&limit=5";
    let fake = Fake::start().on(path, 200, json!({ "value": [event(2, "wrong password")] }));
    let filters = [
        "--kind",
        "login",
        "--outcome",
        "failure",
        "--registry",
        "default",
        "--repository",
        "team/app",
        "--principal",
        "eve",
    ];
    let ran =
        fake.run(&[&["audit", "query", "--since", "2026-11-22T10:00:00Z", "--limit", "5"], &filters[..]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("wrong password"), "{ran:?}");
    assert!(!ran.out.contains('\u{1b}'), "a stranger's name must not command the terminal: {ran:?}");
    assert_eq!(fake.run(&["audit", "query", "--kind", "logon"]).code, Some(2));
    assert_eq!(fake.run(&["audit", "query", "--since", "yesterday"]).code, Some(2));
}

#[test]
fn a_tail_is_oldest_first_and_one_event_a_line() {
    let events = json!({ "value": [event(2, "second"), event(1, "first")] });
    let fake = Fake::start().on("GET /api/v1/audit?limit=20", 200, events);
    let ran = fake.run(&["audit", "tail"]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(lines[0].ends_with("first") && lines[1].ends_with("second"), "{ran:?}");
    let json = fake.run(&["audit", "tail", "-o", "json"]);
    let parsed: Vec<Value> = json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(parsed, [event(1, "first"), event(2, "second")]);
}

#[test]
fn keys_are_listed_and_rotated() {
    let keys = json!({ "value": [{ "kid": "k1", "algorithm": "EdDSA", "createdAt": "a", "activeAt": "b", "retiredAt": null }] });
    let fake = Fake::start().on("GET /api/v1/keys", 200, keys.clone()).on("POST /api/v1/keys/rotate", 200, keys);
    let expected = "KEY  ALGORITHM  CREATED  SIGNS FROM  RETIRED\nk1   EdDSA      a        b           -\n";
    assert_eq!(fake.run(&["keys", "list"]).out, expected);
    assert_eq!(fake.run(&["keys", "rotate"]).out, expected);
}
