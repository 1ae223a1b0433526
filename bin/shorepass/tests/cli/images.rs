//! repository against a scripted server.

use serde_json::{Value, json};

use crate::fake::Fake;

const BASE: &str = "/api/v1/registries/default/repositories";

fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

fn attributes() -> Value {
    json!({ "deleteEnabled": true, "writeEnabled": true, "readEnabled": true, "listEnabled": true })
}

fn tag(name: &str) -> Value {
    json!({ "name": name, "digest": digest('a'), "createdTime": "t", "lastUpdateTime": "t", "changeableAttributes": attributes() })
}

fn manifest(tags: &[&str]) -> Value {
    json!({ "digest": digest('a'), "imageSize": 7, "tags": tags, "lastUpdateTime": "t", "changeableAttributes": attributes() })
}

#[test]
fn lists_are_followed_to_their_last_page() {
    let fake = Fake::start()
        .on(&format!("GET {BASE}?n=100"), 200, json!({ "value": ["app", "team/web"] }))
        .on(&format!("GET {BASE}?n=100&last=team%2Fweb"), 200, json!({ "value": ["zoo"] }))
        .on(&format!("GET {BASE}?n=100&last=zoo"), 200, json!({ "value": [] }));
    assert_eq!(fake.run(&["repository", "list"]).out, "NAME\napp\nteam/web\nzoo\n");
    assert_eq!(fake.run(&["repository", "list", "-o", "tsv"]).out, "app\nteam/web\nzoo\n");
}

#[test]
fn top_ends_a_list_early() {
    let fake = Fake::start().on(&format!("GET {BASE}?n=2"), 200, json!({ "value": ["app", "web"] }));
    assert_eq!(fake.run(&["repository", "list", "--top", "2", "-o", "tsv"]).out, "app\nweb\n");
    assert_eq!(fake.heard().len(), 1);
}

#[test]
fn tags_and_manifests_are_listed_under_either_name() {
    let fake = Fake::start()
        .on(&format!("GET {BASE}/team/app/_tags?n=100"), 200, json!({ "value": [tag("v1")] }))
        .on(&format!("GET {BASE}/team/app/_tags?n=100&last=v1"), 200, json!({ "value": [] }))
        .on(&format!("GET {BASE}/team/app/_manifests?n=1"), 200, json!({ "value": [manifest(&["v1", "v2"])] }));
    for command in ["tags", "show-tags"] {
        let ran = fake.run(&["repository", command, "--repository", "team/app"]);
        assert!(ran.out.contains(&format!("v1   {}  t", digest('a'))), "{ran:?}");
    }
    let ran = fake.run(&["repository", "manifests", "--repository", "team/app", "--top", "1"]);
    assert!(ran.out.contains("v1, v2"), "{ran:?}");
}

#[test]
fn deleting_an_image_by_tag_deletes_the_manifest_and_says_which_tags_go() {
    let fake = Fake::start()
        .on(&format!("GET {BASE}/app/_tags/v1"), 200, tag("v1"))
        .on(&format!("GET {BASE}/app/_manifests/{}", digest('a')), 200, manifest(&["v1", "latest"]))
        .on(&format!("DELETE {BASE}/app/_manifests/{}", digest('a')), 204, Value::Null);
    let unasked = fake.run(&["repository", "delete", "--image", "app:v1"]);
    assert_eq!(unasked.code, Some(2), "{unasked:?}");
    assert!(unasked.err.contains("its tags v1, latest"), "{unasked:?}");
    assert!(fake.heard().iter().all(|(request, _)| request.starts_with("GET")));
    let ran = fake.run(&["repository", "delete", "--image", "app:v1", "--yes"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("its tags v1, latest"), "{ran:?}");
    assert!(fake.heard().iter().any(|(request, _)| request.starts_with("DELETE")));
}

#[test]
fn untag_takes_a_tag_only() {
    let fake = Fake::start().on(&format!("DELETE {BASE}/app/_tags/v1"), 204, Value::Null);
    assert_eq!(fake.run(&["repository", "untag", "-t", "app:v1"]).code, Some(0));
    let by_digest = fake.run(&["repository", "untag", "--image", &format!("app@{}", digest('a'))]);
    assert_eq!(by_digest.code, Some(2), "{by_digest:?}");
    assert_eq!(fake.heard().len(), 1);
}

#[test]
fn a_lock_sends_the_attributes_that_were_given() {
    let fake = Fake::start().on(&format!("PATCH {BASE}/app/_tags/v1"), 200, tag("v1"));
    let arguments = ["--image", "app:v1", "--write-enabled", "false", "--delete-enabled", "false"];
    assert_eq!(fake.run(&[&["repository", "lock"], &arguments[..]].concat()).code, Some(0));
    assert_eq!(fake.run(&[&["repository", "update"], &arguments[..]].concat()).code, Some(0));
    for (_, body) in fake.heard() {
        assert_eq!(body, json!({ "writeEnabled": false, "deleteEnabled": false }));
    }
    let nothing = fake.run(&["repository", "lock", "--image", "app:v1"]);
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
}

#[test]
fn names_are_checked_before_they_become_paths() {
    let fake = Fake::start();
    for image in ["../../keys/rotate:x", "app:v1/../v2", "APP:v1", "app@sha256:zz"] {
        let ran = fake.run(&["repository", "show", "--image", image]);
        assert_eq!(ran.code, Some(2), "{image}: {ran:?}");
    }
    assert!(fake.heard().is_empty());
}
