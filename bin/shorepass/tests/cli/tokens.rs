//! token and scope-map against a scripted server.

use serde_json::{Value, json};

use crate::fake::Fake;

const BASE: &str = "/api/v1/registries/default";

fn token(passwords: Value) -> Value {
    json!({
        "id": "0", "name": "ci", "registry": "default", "scopeMap": "ci-scope-map", "status": "enabled",
        "creationDate": "2026-11-22T10:00:00Z", "updatedAt": "2026-11-22T10:00:00Z", "etag": "1",
        "credentials": { "username": "ci", "passwords": passwords },
    })
}

fn fresh(name: &str) -> Value {
    json!({ "name": name, "creationTime": "2026-11-22T10:00:00Z", "expiry": null, "value": format!("value-of-{name}") })
}

fn map(actions: &[&str], etag: &str) -> Value {
    json!({ "name": "readers", "type": "UserDefined", "actions": actions, "description": null, "etag": etag })
}

#[test]
fn a_token_is_made_for_repositories_and_its_passwords_are_shown_once() {
    let post = format!("POST {BASE}/tokens");
    let fake = Fake::start().on(&post, 201, token(json!([fresh("password1"), fresh("password2")])));
    let create = [
        "token",
        "create",
        "--name",
        "ci",
        "--registry",
        "default",
        "--repository",
        "team/app",
        "content/read",
        "Content/Write",
        "--repository",
        "base/*",
        "content/read",
        "--expiration-in-days",
        "30",
    ];
    let ran = fake.run(&create);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let body = json!({
        "name": "ci", "expirationInDays": 30,
        "repositories": [
            { "name": "team/app", "actions": ["content/read", "content/write"] },
            { "name": "base/*", "actions": ["content/read"] },
        ],
    });
    assert_eq!(fake.bodies(&post), [body]);
    assert_eq!(
        ran.out,
        "USER NAME  NAME       VALUE\nci         password1  value-of-password1\nci         password2  value-of-password2\n"
    );
    assert!(ran.err.contains("warning: ") && ran.err.contains("not shown again"), "{ran:?}");
    assert!(!ran.err.contains("value-of"), "{ran:?}");
    let query = ["--query", "credentials.passwords[0].value", "-o", "tsv"];
    assert_eq!(fake.run(&[&create[..], &query[..]].concat()).out, "value-of-password1\n");
}

#[test]
fn a_token_has_repositories_or_a_scope_map_and_not_both() {
    let post = format!("POST {BASE}/tokens");
    let fake = Fake::start().on(&post, 201, token(json!([])));
    let with = |more: &[&str]| fake.run(&[&["token", "create", "-n", "ci"], more].concat()).code;
    assert_eq!(with(&[]), Some(2));
    assert_eq!(with(&["--scope-map", "readers", "--repository", "a", "content/read"]), Some(2));
    assert_eq!(with(&["--repository", "a", "content/reed"]), Some(2));
    assert_eq!(with(&["--scope-map", "readers", "--no-passwords", "--expiration-in-days", "1"]), Some(2));
    assert!(fake.heard().is_empty());
    assert_eq!(with(&["--scope-map", "readers", "--status", "disabled", "--no-passwords", "true"]), Some(0));
    assert_eq!(with(&["--scope-map", "readers", "--no-passwords"]), Some(0));
    let bodies = fake.bodies(&post);
    assert_eq!(bodies[0], json!({ "name": "ci", "scopeMap": "readers", "status": "disabled", "passwords": false }));
    assert_eq!(bodies[1], json!({ "name": "ci", "scopeMap": "readers", "passwords": false }));
}

#[test]
fn tokens_are_listed_with_the_ends_of_their_passwords() {
    let password2 = json!([{ "name": "password2", "creationTime": "t", "expiry": "2027-01-01T00:00:00Z" }]);
    let fake = Fake::start()
        .on(&format!("GET {BASE}/tokens"), 200, json!({ "value": [token(password2)], "next": "c i" }))
        .on(&format!("GET {BASE}/tokens?last=c+i"), 200, json!({ "value": [token(json!([]))], "next": null }));
    let ran = fake.run(&["token", "list", "-r", "default"]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 3, "{ran:?}");
    assert!(lines[1].contains("enabled  -          until 2027-01-01T00:00:00Z"), "{ran:?}");
    assert_eq!(fake.run(&["token", "list", "-o", "tsv", "--query", "[].name"]).out, "ci\nci\n");
}

#[test]
fn update_changes_status_and_scope_map() {
    let patch = format!("PATCH {BASE}/tokens/ci");
    let fake = Fake::start().on(&patch, 200, token(json!([])));
    assert_eq!(fake.run(&["token", "update", "-n", "ci", "--status", "disabled"]).code, Some(0));
    assert_eq!(fake.run(&["token", "update", "-n", "ci", "--scope-map", "readers"]).code, Some(0));
    assert_eq!(fake.bodies(&patch), [json!({ "status": "disabled" }), json!({ "scopeMap": "readers" })]);
    assert_eq!(fake.run(&["token", "update", "-n", "ci"]).code, Some(2));
}

#[test]
fn delete_asks_first() {
    let delete = format!("DELETE {BASE}/tokens/ci");
    let fake = Fake::start().on(&format!("GET {BASE}/tokens/ci"), 200, token(json!([]))).on(&delete, 204, Value::Null);
    let unasked = fake.run(&["token", "delete", "-n", "ci"]);
    assert_eq!(unasked.code, Some(2), "{unasked:?}");
    assert!(fake.bodies(&delete).is_empty());
    assert_eq!(fake.run(&["token", "delete", "-n", "ci", "--yes"]).code, Some(0));
    assert_eq!(fake.bodies(&delete).len(), 1);
}

#[test]
fn passwords_are_generated_by_name_or_both() {
    let post = format!("POST {BASE}/tokens/ci/passwords");
    let fake = Fake::start().on(&post, 200, json!({ "username": "ci", "passwords": [fresh("password2")] }));
    let generate = ["token", "credential", "generate", "-n", "ci"];
    let ran = fake.run(&[&generate[..], &["--password2", "--expiration-in-days", "7"]].concat());
    assert_eq!(ran.out, "USER NAME  NAME       VALUE\nci         password2  value-of-password2\n");
    fake.run(&generate);
    fake.run(&[&generate[..], &["--password1", "--password2", "--expiration", "2027-01-01T00:00:00Z"]].concat());
    assert_eq!(fake.run(&[&generate[..], &["--expiration-in-days", "0"]].concat()).code, Some(2));
    assert_eq!(
        fake.bodies(&post),
        [json!({ "name": "password2", "expirationInDays": 7 }), json!({}), json!({ "expiry": "2027-01-01T00:00:00Z" })]
    );
}

#[test]
fn passwords_are_deleted_by_name() {
    let fake = Fake::start()
        .on(&format!("GET {BASE}/tokens/ci"), 200, token(json!([])))
        .on(&format!("DELETE {BASE}/tokens/ci/passwords/password1"), 204, Value::Null)
        .on(&format!("DELETE {BASE}/tokens/ci/passwords/password2"), 204, Value::Null);
    let delete = ["token", "credential", "delete", "-n", "ci", "--yes"];
    assert_eq!(fake.run(&delete).code, Some(2));
    assert_eq!(fake.run(&[&delete[..], &["--password1"]].concat()).code, Some(0));
    assert!(fake.heard().iter().all(|(request, _)| !request.ends_with("password2")));
    assert_eq!(fake.run(&[&delete[..], &["--password1", "--password2"]].concat()).code, Some(0));
    assert!(fake.heard().iter().any(|(request, _)| request.ends_with("password2")));
}

#[test]
fn a_scope_map_keeps_actions_by_repository() {
    let post = format!("POST {BASE}/scope-maps");
    let fake = Fake::start().on(&post, 201, map(&["repositories/a/content/read"], "1"));
    let create = ["scope-map", "create", "-n", "readers", "-r", "default", "--description", "who reads"];
    assert_eq!(fake.run(&create).code, Some(2), "a map without a repository is none");
    let repositories = ["--repository", "a", "content/read", "--repository", "b/*", "content/read", "metadata/read"];
    let ran = fake.run(&[&create[..], &repositories[..]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let actions = ["repositories/a/content/read", "repositories/b/*/content/read", "repositories/b/*/metadata/read"];
    assert_eq!(fake.bodies(&post), [json!({ "name": "readers", "description": "who reads", "actions": actions })]);
}

#[test]
fn a_scope_map_is_changed_only_as_it_was_read() {
    let path = format!("{BASE}/scope-maps/readers");
    let fake = Fake::start()
        .on(&format!("GET {path}"), 200, map(&["repositories/a/content/read", "repositories/b/content/read"], "7"))
        .on(&format!("PATCH {path}"), 200, map(&[], "8"));
    let update = ["scope-map", "update", "-n", "readers"];
    let more = ["--add-repository", "c", "content/write", "--remove-repository", "a", "content/read"];
    assert_eq!(fake.run(&[&update[..], &more[..]].concat()).code, Some(0));
    let actions = ["repositories/b/content/read", "repositories/c/content/write"];
    assert_eq!(fake.bodies(&format!("PATCH {path}")), [json!({ "actions": actions })]);
    assert_eq!(fake.conditions(), ["\"7\""]);

    let slip = fake.run(&[&update[..], &["--remove-repository", "a", "content/write"]].concat());
    assert_eq!(slip.code, Some(1), "{slip:?}");
    assert!(slip.err.contains("does not have `repositories/a/content/write`"), "{slip:?}");
    assert_eq!(fake.run(&update).code, Some(2));
    assert_eq!(fake.run(&[&update[..], &["--description", "x"]].concat()).code, Some(0));
    assert_eq!(fake.bodies(&format!("PATCH {path}"))[1], json!({ "description": "x" }));
}

#[test]
fn a_scope_map_that_others_keep_changing_is_left_alone() {
    let path = format!("{BASE}/scope-maps/readers");
    let changed = json!({ "title": "precondition failed", "status": 412, "detail": "the scope map has changed since" });
    let fake = Fake::start().on(&format!("GET {path}"), 200, map(&[], "7")).on(&format!("PATCH {path}"), 412, changed);
    let ran = fake.run(&["scope-map", "update", "-n", "readers", "--add-repository", "a", "content/read"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("the scope map has changed since"), "{ran:?}");
    assert_eq!(fake.bodies(&format!("GET {path}")).len(), 3);
}

#[test]
fn a_name_cannot_lead_elsewhere() {
    let get = format!("GET {BASE}/tokens/..%2Fci%3Fx");
    let fake = Fake::start().on(&get, 200, token(json!([])));
    assert_eq!(fake.run(&["token", "show", "-n", ".."]).code, Some(2));
    assert_eq!(fake.run(&["token", "show", "-n", "../ci?x"]).code, Some(0));
    assert_eq!(fake.bodies(&get).len(), 1);
}
