//! Users and groups.

use serde_json::{Value, json};

use super::Desk;

const USERS: &str = "/tenants/default/users";
const GROUPS: &str = "/tenants/default/groups";

#[tokio::test]
async fn a_user_is_invited_changed_and_deleted() {
    let desk = Desk::start().await;
    let made = desk.post(USERS, json!({"userName": "alice@example.org", "displayName": "Alice"})).await;
    assert_eq!((&made["state"], &made["enabled"]), (&json!("invited"), &json!(true)));
    let link = made["invitation"]["link"].as_str().unwrap();
    let secret = made["invitation"]["secret"].as_str().unwrap();
    let (before, fragment) = link.split_once('#').unwrap();
    assert_eq!(fragment, secret, "no server sees the secret");
    assert!(before.ends_with("/invitation?user=alice%40example.org"), "{link}");
    let page = desk.world.client.get(before).send().await.unwrap();
    assert_eq!(page.status().as_u16(), 200, "the link leads to a page");
    assert_eq!(desk.get(&format!("{USERS}/ALICE@example.org")).await.get("invitation"), None, "shown once");
    assert!(!desk.audited("user.create").await.to_string().contains(secret));

    let again = desk.op("POST", USERS, json!({"userName": "alice@example.org", "displayName": "Alice"})).await.ok(200);
    assert_eq!((&again["id"], again.get("invitation")), (&made["id"], None));
    desk.op("POST", USERS, json!({"userName": "Alice@example.org", "displayName": "Other"}))
        .await
        .refused(409, "exists");
    let anew = desk.op("POST", &format!("{USERS}/alice@example.org/invitation"), Value::Null).await.ok(200);
    assert_ne!(anew["invitation"]["secret"], made["invitation"]["secret"]);

    let path = format!("{USERS}/{}", made["id"].as_str().unwrap());
    assert_eq!(desk.op("PATCH", &path, json!({"enabled": false})).await.ok(200)["enabled"], json!(false));
    desk.op("DELETE", &path, Value::Null).await.ok(204);
    desk.op("DELETE", &path, Value::Null).await.refused(404, "no user");
    desk.shut().await;
}

#[tokio::test]
async fn a_user_that_cannot_be_is_refused() {
    let desk = Desk::start().await;
    for name in ["", "@x", "alice smith", "7f951dda-4ed3-4680-a7ca-43fe172d538d", "аlice", "user:alice"] {
        desk.op("POST", USERS, json!({"userName": name})).await.ok(400);
    }
    for field in ["passwordHash", "password", "epoch", "id", "roles"] {
        desk.op("POST", USERS, json!({"userName": "mallory", field: "x"})).await.refused(400, "unknown field");
    }
    desk.op("PATCH", &format!("{USERS}/nobody"), json!({"userName": "x"})).await.refused(400, "unknown field");
    let external = json!({"userName": "carol", "external": {"issuer": "nowhere", "subject": "7"}});
    desk.op("POST", USERS, external).await.refused(400, "no trusted issuer");
    desk.shut().await;
}

#[tokio::test]
async fn groups_hold_each_other_but_never_themselves() {
    let desk = Desk::start().await;
    let alice = desk.post(USERS, json!({"userName": "alice"})).await["id"].clone();
    for name in ["Developers", "Everybody"] {
        desk.post(GROUPS, json!({"name": name})).await;
    }
    let members = |group: &str| format!("{GROUPS}/{group}/members");
    let added = desk.post(&members("Developers"), json!({"member": "alice"})).await;
    assert_eq!((&added["id"], &added["type"]), (&alice, &json!("User")));
    desk.op("POST", &members("Developers"), json!({"member": "user:alice"})).await.ok(200);
    desk.post(&members("Everybody"), json!({"member": "group:Developers"})).await;
    desk.op("POST", &members("Developers"), json!({"member": "group:Everybody"})).await.refused(400, "in itself");
    desk.op("POST", &members("Developers"), json!({"member": "group:Developers"})).await.refused(400, "in itself");
    desk.op("POST", &members("Developers"), json!({"member": "bob"})).await.refused(404, "no user, group");
    assert_eq!(desk.get(&members("Everybody")).await["value"][0]["name"], "Developers");
    let path = format!("{}/{}", members("Developers"), alice.as_str().unwrap());
    desk.op("DELETE", &path, Value::Null).await.ok(204);
    desk.op("DELETE", &path, Value::Null).await.refused(404, "is not in the group");
    // A deleted user leaves nothing behind, and a deleted group neither.
    desk.post(&members("Developers"), json!({"member": "alice"})).await;
    desk.op("DELETE", &format!("{USERS}/alice"), Value::Null).await.ok(204);
    assert_eq!(desk.get(&members("Developers")).await["value"], json!([]));
    desk.op("DELETE", &format!("{GROUPS}/Developers"), Value::Null).await.ok(204);
    assert_eq!(desk.get(&members("Everybody")).await["value"], json!([]));
    desk.shut().await;
}

/// CVE-2025-23208: groups were added and never taken away.
#[tokio::test]
async fn who_leaves_a_group_loses_its_roles_on_the_next_request() {
    let desk = Desk::start().await;
    let app = desk.application("default", "worker").await;
    let token = desk.token("default", &app).await;
    desk.post(GROUPS, json!({"name": "Readers"})).await;
    desk.post(
        "/role-assignments",
        json!({"role": "Reader", "assignee": "group:Readers", "scope": "/registries/default"}),
    )
    .await;
    let show = async || desk.call(Some(&token), "GET", "/registries/default", &Value::Null).await.status;
    assert_eq!(show().await, 404);
    let added = desk.post(&format!("{GROUPS}/Readers/members"), json!({"member": app.app_id})).await;
    assert_eq!(show().await, 200);
    let member = added["id"].as_str().unwrap();
    desk.op("DELETE", &format!("{GROUPS}/Readers/members/{member}"), Value::Null).await.ok(204);
    assert_eq!(show().await, 404);
    desk.shut().await;
}

/// Whoever may manage groups and applications, but not grant roles, does not get roles that way.
#[tokio::test]
async fn managing_the_directory_is_no_way_to_roles() {
    let desk = Desk::start().await;
    let actions = ["users", "groups", "servicePrincipals"]
        .iter()
        .flat_map(|kind| [format!("Microsoft.Directory/{kind}/read"), format!("Microsoft.Directory/{kind}/write")])
        .collect::<Vec<_>>();
    let role = json!({"roleName": "Directory manager", "actions": actions});
    desk.post("/tenants/default/role-definitions", role).await;
    let (manager, token) = desk.with_role("manager", "Directory manager").await;
    let (owner, _) = desk.with_role("owner", "Owner").await;
    desk.post(GROUPS, json!({"name": "Owners"})).await;
    desk.post("/role-assignments", json!({"role": "Owner", "assignee": "group:Owners", "scope": "/tenants/default"}))
        .await;
    desk.post(USERS, json!({"userName": "boss"})).await;
    desk.post("/role-assignments", json!({"role": "Owner", "assignee": "boss", "scope": "/tenants/default"})).await;
    let call = async |path: &str, body: Value| desk.call(Some(&token), "POST", path, &body).await;
    call(&format!("{GROUPS}/Owners/members"), json!({"member": manager.app_id})).await.refused(403, "may not grant");
    let credentials = |app: &str| format!("/tenants/default/service-principals/{app}/credentials");
    call(&credentials(&owner.app_id), json!({"append": true})).await.refused(403, "may not grant");
    call(&format!("{USERS}/boss/invitation"), Value::Null).await.refused(403, "may not grant");
    // What holds nothing it manages.
    let made = call(GROUPS, json!({"name": "Empty"})).await.ok(201);
    let id = made["id"].as_str().unwrap();
    call(&format!("{GROUPS}/{id}/members"), json!({"member": manager.app_id})).await.ok(201);
    let app = call("/tenants/default/service-principals", json!({"displayName": "new"})).await.ok(201);
    call(&credentials(app["appId"].as_str().unwrap()), json!({})).await.ok(201);
    // Nor does a group within a group that holds roles.
    desk.post(GROUPS, json!({"name": "Inner"})).await;
    desk.post(&format!("{GROUPS}/Owners/members"), json!({"member": "group:Inner"})).await;
    call(&format!("{GROUPS}/Inner/members"), json!({"member": app["appId"]})).await.refused(403, "may not grant");
    desk.shut().await;
}
