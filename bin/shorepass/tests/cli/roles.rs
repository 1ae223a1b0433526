//! role, access, tenant, subscription, resource-group and the registry's new settings against a scripted server.

use serde_json::{Value, json};

use crate::fake::Fake;

fn agreeable() -> Fake {
    Fake::start().otherwise(200, json!({}))
}

const CONDITION: &str =
    "@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWithIgnoreCase 'team/'";

#[test]
fn role_assignments() {
    let base = "/api/v1/role-assignments";
    agreeable().assert_sends(&[
        (
            "role assignment create --assignee alice --role AcrPull --scope /registries/default",
            &format!("POST {base}"),
            json!({ "assignee": "alice", "role": "AcrPull", "scope": "/registries/default" }),
        ),
        ("role assignment list --all", &format!("GET {base}"), Value::Null),
        ("role assignment list --tenant t", &format!("GET {base}?tenant=t"), Value::Null),
        (
            "role assignment list --assignee a --role r --scope /registries/x --include-inherited --include-groups",
            &format!("GET {base}?assignee=a&role=r&scope=%2Fregistries%2Fx&includeInherited=true&includeGroups=true"),
            Value::Null,
        ),
        ("role assignment show 1", &format!("GET {base}/1"), Value::Null),
        ("role assignment update 1 --no-condition", &format!("PATCH {base}/1"), json!({ "condition": null })),
        ("role assignment delete --ids 1", &format!("DELETE {base}/1"), Value::Null),
    ]);
    agreeable().assert_refuses(&[
        "role assignment create --assignee alice --role AcrPull",
        "role assignment create --assignee alice --role AcrPull --scope /registries/default --condition-version 2.0",
        "role assignment create --assignee a --role r --scope /registries/x --condition c --condition-version 1.0",
        "role assignment update 1",
        "role assignment delete",
        "role assignment delete --ids 1 --role Owner",
    ]);
}

#[test]
fn a_condition_is_sent_as_it_was_written() {
    let post = "POST /api/v1/role-assignments";
    let fake = agreeable();
    let create = ["role", "assignment", "create", "--assignee", "a", "--role", "r", "--scope", "/registries/x"];
    let condition = ["--condition", CONDITION, "--condition-version", "2.0"];
    assert_eq!(fake.run(&[&create[..], &condition].concat()).code, Some(0));
    let body = json!({ "assignee": "a", "role": "r", "scope": "/registries/x", "condition": CONDITION });
    assert_eq!(fake.bodies(post), [body]);
}

#[test]
fn what_is_deleted_by_filter_is_looked_for_first() {
    let filter = "GET /api/v1/role-assignments?assignee=alice&role=AcrPull";
    let list = |ids: &[&str]| json!({ "value": ids.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>() });
    let delete = ["role", "assignment", "delete", "--assignee", "alice", "--role", "AcrPull"];

    let none = Fake::start().on(filter, 200, list(&[])).run(&delete);
    assert_eq!(none.code, Some(1));
    assert!(none.err.contains("No matched assignments were found to delete"), "{none:?}");

    let one = Fake::start().otherwise(204, Value::Null).on(filter, 200, list(&["1"]));
    assert_eq!(one.run(&delete).code, Some(0));
    assert_eq!(one.heard()[1].0, "DELETE /api/v1/role-assignments/1");

    let two = Fake::start().otherwise(204, Value::Null).on(filter, 200, list(&["1", "2"]));
    let asked = two.run(&delete);
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(asked.err.contains("delete 2 role assignments?"), "{asked:?}");
    assert_eq!(two.heard().len(), 1);
    assert_eq!(two.run(&[&delete[..], &["--yes"]].concat()).code, Some(0));
    assert_eq!(two.heard().len(), 4);
}

#[test]
fn role_definitions() {
    let base = "/api/v1/tenants/current/role-definitions";
    agreeable().assert_sends(&[
        ("role definition list", &format!("GET {base}"), Value::Null),
        ("role definition list --name AcrPull", &format!("GET {base}?name=AcrPull"), Value::Null),
        ("role definition list --custom-role-only", &format!("GET {base}?customOnly=true"), Value::Null),
        ("role definition show --name Owner", &format!("GET {base}/Owner"), Value::Null),
        (
            "role definition create --name R --description D --actions a/read b/read --data-actions c/read",
            &format!("POST {base}"),
            json!({ "roleName": "R", "description": "D", "actions": ["a/read", "b/read"], "dataActions": ["c/read"] }),
        ),
        (
            r#"role definition create --role-definition {"Name":"R","Actions":["a/read"]}"#,
            &format!("POST {base}"),
            json!({ "roleName": "R", "actions": ["a/read"], "dataActions": [] }),
        ),
        ("role definition update R --actions a/read", &format!("PATCH {base}/R"), json!({ "actions": ["a/read"] })),
        ("role definition delete --name R", &format!("DELETE {base}/R"), Value::Null),
    ]);
    agreeable().assert_refuses(&[
        "role definition create",
        "role definition update R",
        r#"role definition create --role-definition {"Name":"R","NotActions":["a/read"]}"#,
        r#"role definition create --role-definition {"Name":"R","Permissions":[]}"#,
        r#"role definition create --name R --role-definition {"Name":"R"}"#,
    ]);
}

#[test]
fn an_explanation_is_a_word_its_reasons_and_a_remedy() {
    let path = "GET /api/v1/access/explain?action=content%2Fwrite&resource=%2Fregistries%2Fdefault%2Frepositories%2Fteam%2Fapp&principal=alice&from=192.0.2.1";
    let line = [
        "access",
        "explain",
        "--principal",
        "alice",
        "--action",
        "content/write",
        "--resource",
        "/registries/default/repositories/team/app",
        "--from",
        "192.0.2.1",
    ];
    let matched = json!([{
        "kind": "roleAssignment", "id": "1", "name": "AcrPush", "scope": "/registries/default",
        "why": "the group `devs` has the role `AcrPush` at the registry",
    }]);
    let allowed = json!({ "allowed": true, "reason": "a role grants it", "matched": matched, "change": null });
    let ran = Fake::start().on(path, 200, allowed).run(&line);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("allowed: a role grants it\nBY "), "{ran:?}");
    assert!(ran.out.contains("the group `devs`"), "{ran:?}");

    let change = "assign `AcrPush` to alice at /registries/default";
    let denied = json!({ "allowed": false, "reason": "nothing grants it", "matched": [], "change": change });
    let fake = Fake::start().on(path, 200, denied.clone());
    let ran = fake.run(&line);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), "denied: nothing grants it\n"));
    assert!(ran.err.contains(&format!("hint: {change}")), "{ran:?}");
    let json = fake.run(&[&line[..], &["-o", "json"]].concat());
    assert_eq!(json.code, Some(1));
    assert_eq!(serde_json::from_str::<Value>(&json.out).unwrap(), denied);
    agreeable()
        .assert_refuses(&["access explain --action content/read", "access explain --action a --resource b --from me"]);
}

#[test]
fn access_is_listed_by_who_or_by_what() {
    let who = json!({ "value": [{ "principal": "user:1", "name": "alice", "matched": [{ "why": "one" }, { "why": "two" }] }] });
    let fake = agreeable().on(
        "GET /api/v1/access/list?resource=%2Fregistries%2Fr%2Frepositories%2Fa&action=content%2Fread",
        200,
        who,
    );
    let ran = fake.run(&["access", "list", "--resource", "/registries/r/repositories/a"]);
    assert_eq!(ran.out, "PRINCIPAL  NAME   WHY\nuser:1     alice  one; two\n");
    agreeable().assert_sends(&[
        ("access list --principal alice", "GET /api/v1/access/list?principal=alice", Value::Null),
        (
            "access list --scope /registries/r --action catalog/list",
            "GET /api/v1/access/list?resource=%2Fregistries%2Fr&action=catalog%2Flist",
            Value::Null,
        ),
    ]);
    agreeable().assert_refuses(&["access list", "access list --principal a --resource b"]);
}

#[test]
fn access_policies() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.cedar");
    std::fs::write(&file, "forbid (principal, action, resource);").unwrap();
    let (file, text) = (file.to_str().unwrap(), "forbid (principal, action, resource);");
    let base = "/api/v1/registries/default/policies";
    agreeable().assert_sends(&[
        (
            &format!("access policy create -n p --file {file}"),
            &format!("POST {base}"),
            json!({ "name": "p", "text": text }),
        ),
        ("access policy list -r default", &format!("GET {base}"), Value::Null),
        ("access policy update -n p --enabled false", &format!("PATCH {base}/p"), json!({ "enabled": false })),
    ]);
    let fake = Fake::start()
        .on(&format!("POST {base}/_check"), 200, json!({ "valid": false, "message": "unexpected end" }))
        .on(&format!("GET {base}/_schema"), 200, json!({ "schema": "entity User;\naction pull;\n" }))
        .on(&format!("GET {base}/p"), 200, json!({ "name": "p", "enabled": true, "text": "forbid\t(\u{1b}[2J);\n" }));
    let checked = fake.run(&["access", "policy", "check", "--file", file]);
    assert_eq!(checked.code, Some(1));
    assert!(checked.out.contains("unexpected end"), "{checked:?}");
    assert_eq!(fake.run(&["access", "policy", "schema"]).out, "entity User;\naction pull;\n");
    let shown = fake.run(&["access", "policy", "show", "-n", "p"]).out;
    assert!(shown.contains("forbid    (") && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn tenancy() {
    let groups = "/api/v1/tenants/current/subscriptions/default/resource-groups";
    agreeable().assert_sends(&[
        ("tenant create acme", "POST /api/v1/tenants", json!({ "name": "acme" })),
        ("tenant list", "GET /api/v1/tenants", Value::Null),
        ("tenant show --id acme", "GET /api/v1/tenants/acme", Value::Null),
        ("tenant update acme --new-name ajax", "PATCH /api/v1/tenants/acme", json!({ "name": "ajax" })),
        (
            "subscription create -n dev --tenant acme",
            "POST /api/v1/tenants/acme/subscriptions",
            json!({ "name": "dev" }),
        ),
        ("subscription list", "GET /api/v1/tenants/current/subscriptions", Value::Null),
        ("resource-group create -n web", &format!("POST {groups}"), json!({ "name": "web" })),
        (
            "resource-group list --subscription dev",
            "GET /api/v1/tenants/current/subscriptions/dev/resource-groups",
            Value::Null,
        ),
        ("resource-group show -g web", &format!("GET {groups}/web"), Value::Null),
        ("resource-group update -n web --new-name www", &format!("PATCH {groups}/web"), json!({ "name": "www" })),
    ]);
    agreeable().assert_refuses(&["tenant create", "resource-group create"]);
    for line in [
        &["tenant", "delete", "acme"][..],
        &["subscription", "delete", "dev"],
        &["resource-group", "delete", "-n", "web"],
    ] {
        let fake = agreeable();
        assert_eq!(fake.run(line).code, Some(2), "{line:?}");
        assert!(fake.heard().iter().all(|(request, _)| request.starts_with("GET")), "{line:?}");
        assert_eq!(fake.run(&[line, &["--yes"]].concat()).code, Some(0), "{line:?}");
        assert!(fake.heard().iter().any(|(request, _)| request.starts_with("DELETE")), "{line:?}");
    }
}

#[test]
fn a_registry_has_more_settings() {
    agreeable().assert_sends(&[
        (
            "registry create second -g web --subscription dev --role-assignment-mode rbac-abac",
            "POST /api/v1/registries",
            json!({ "name": "second", "resourceGroup": "web", "subscription": "dev", "roleAssignmentMode": "rbac-abac" }),
        ),
        (
            "registry update -n second --role-assignment-mode rbac --authentication-as-arm false --rate-limits true",
            "PATCH /api/v1/registries/second",
            json!({ "roleAssignmentMode": "rbac", "authenticationAsArm": false, "rateLimits": true }),
        ),
        ("registry identity show -n second", "GET /api/v1/registries/second/identity", Value::Null),
        ("registry identity assign -n second", "PUT /api/v1/registries/second/identity", json!({ "type": "SystemAssigned" })),
        ("registry identity remove second", "PUT /api/v1/registries/second/identity", json!({ "type": "None" })),
    ]);
}
