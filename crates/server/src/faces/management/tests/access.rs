//! Roles, role assignments, explanations.

use serde_json::{Value, json};

use super::Desk;

const ROLES: &str = "/tenants/default/role-definitions";
const ASSIGNMENTS: &str = "/role-assignments";

#[tokio::test]
async fn a_role_is_assigned_listed_and_taken() {
    let desk = Desk::start().await;
    let app = desk.application("default", "puller").await;
    let body = json!({"role": "acrpull", "assignee": app.app_id, "scope": "/registries/default"});
    let made = desk.post(ASSIGNMENTS, body.clone()).await;
    assert_eq!(made["roleDefinitionName"], "AcrPull");
    assert_eq!(made["roleDefinitionId"], "7f951dda-4ed3-4680-a7ca-43fe172d538d");
    assert_eq!((&made["principalType"], &made["principalName"]), (&json!("ServicePrincipal"), &json!("puller")));
    assert_eq!(desk.op("POST", ASSIGNMENTS, body).await.ok(200)["id"], made["id"]);
    // Azure's long form is the same scope.
    let registry = desk.get("/registries/default").await;
    let long = format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.ContainerRegistry/registries/default",
        registry["subscriptionId"].as_str().unwrap(),
        registry["resourceGroup"].as_str().unwrap()
    );
    let same = json!({"role": "AcrPull", "assignee": format!("sp:{}", app.id), "scope": long});
    assert_eq!(desk.op("POST", ASSIGNMENTS, same).await.ok(200)["id"], made["id"]);

    let higher = json!({"role": "Reader", "assignee": app.app_id, "scope": "/tenants/default"});
    desk.post(ASSIGNMENTS, higher).await;
    let count =
        async |query: &str| desk.get(&format!("{ASSIGNMENTS}?{query}")).await["value"].as_array().unwrap().len();
    assert_eq!(count("scope=/registries/default").await, 1);
    assert_eq!(count("scope=/registries/default&includeInherited=true").await, 2);
    assert_eq!(count("tenant=default").await, 2);
    assert_eq!(count(&format!("tenant=default&assignee={}&role=Reader", app.app_id)).await, 1);
    assert_eq!(
        desk.audited("role-assignment.create").await["principal"].as_str().unwrap().split(':').next(),
        Some("operator")
    );

    let path = format!("{ASSIGNMENTS}/{}", made["id"].as_str().unwrap());
    desk.op("DELETE", &path, Value::Null).await.ok(204);
    desk.op("GET", &path, Value::Null).await.refused(404, "no role assignment");
    desk.shut().await;
}

#[tokio::test]
async fn an_assignment_that_cannot_be_is_refused() {
    let desk = Desk::start().await;
    let app = desk.application("default", "puller").await;
    let with = |role: &str, assignee: &str, scope: &str| json!({"role": role, "assignee": assignee, "scope": scope});
    let id = app.app_id.as_str();
    desk.op("POST", ASSIGNMENTS, with("Emperor", id, "/tenants/default")).await.refused(404, "no role `Emperor`");
    desk.op("POST", ASSIGNMENTS, with("Owner", "nobody", "/tenants/default")).await.refused(404, "no user");
    desk.op("POST", ASSIGNMENTS, with("Owner", id, "/registries/nothere")).await.refused(404, "no registry");
    desk.op("POST", ASSIGNMENTS, with("Owner", id, "/")).await.refused(400, "is no scope");
    desk.op("POST", ASSIGNMENTS, with("AcrPull", id, "/registries/default/repositories/a"))
        .await
        .refused(400, "reaches nothing");
    let mut limited = with("AcrPull", id, "/registries/default");
    limited["condition"] = json!("@Request[x] Like 'a'");
    desk.op("POST", ASSIGNMENTS, limited).await.ok(400);
    let mut mass = with("AcrPull", id, "/registries/default");
    mass["createdBy"] = json!("operator:0");
    desk.op("POST", ASSIGNMENTS, mass).await.refused(400, "unknown field");
    // A principal of one tenant holds nothing in another.
    desk.post("/tenants", json!({"name": "fabrikam"})).await;
    desk.op("POST", ASSIGNMENTS, with("Owner", id, "/tenants/fabrikam")).await.refused(404, "no user");
    desk.shut().await;
}

#[tokio::test]
async fn conditions_are_changed_and_taken_away() {
    let desk = Desk::start().await;
    let app = desk.application("default", "reader").await;
    let condition =
        "@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWithIgnoreCase 'team/'";
    let body = json!({"role": "Container Registry Repository Reader", "assignee": app.app_id,
                      "scope": "/registries/default", "condition": condition});
    let made = desk.post(ASSIGNMENTS, body.clone()).await;
    assert_eq!((&made["condition"], &made["conditionVersion"]), (&json!(condition), &json!("2.0")));
    let mut other = body;
    other["condition"] = Value::Null;
    desk.op("POST", ASSIGNMENTS, other).await.refused(409, "another condition");
    let path = format!("{ASSIGNMENTS}/{}", made["id"].as_str().unwrap());
    desk.op("PATCH", &path, json!({})).await.ok(400);
    desk.op("PATCH", &path, json!({"condition": "nonsense"})).await.ok(400);
    desk.op("PATCH", &path, json!({"role": "Owner"})).await.refused(400, "unknown field");
    assert_eq!(desk.op("PATCH", &path, json!({"condition": null})).await.ok(200)["condition"], Value::Null);
    desk.shut().await;
}

#[tokio::test]
async fn nobody_grants_more_than_he_may() {
    let desk = Desk::start().await;
    let (contributor, contributing) = desk.with_role("contributor", "Contributor").await;
    let grant = |role: &str, to: &str| json!({"role": role, "assignee": to, "scope": "/registries/default"});
    let call = async |token: &str, body: Value| desk.call(Some(token), "POST", ASSIGNMENTS, &body).await;
    call(&contributing, grant("AcrPull", &contributor.app_id)).await.refused(403, "roleAssignments/write");
    // Limited to one role: that one is granted, no other, and the condition cannot be lifted by the one it limits.
    let app = desk.application("default", "delegate").await;
    let condition = "((!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})) OR \
        (@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals \
        {7f951dda-4ed3-4680-a7ca-43fe172d538d}))";
    let mut limited = grant("Role Based Access Control Administrator", &app.app_id);
    limited["condition"] = json!(condition);
    let assigned = desk.post(ASSIGNMENTS, limited).await;
    let token = desk.token("default", &app).await;
    call(&token, grant("AcrPull", &contributor.app_id)).await.ok(201);
    call(&token, grant("AcrPush", &contributor.app_id)).await.refused(403, "roleAssignments/write");
    call(&token, grant("Owner", &app.app_id)).await.refused(403, "roleAssignments/write");
    let path = format!("{ASSIGNMENTS}/{}", assigned["id"].as_str().unwrap());
    desk.call(Some(&token), "PATCH", &path, &json!({"condition": null})).await.refused(403, "roleAssignments/write");
    desk.shut().await;
}

#[tokio::test]
async fn the_last_owner_stays() {
    let desk = Desk::start().await;
    let (first, token) = desk.with_role("first", "Owner").await;
    let only =
        desk.get("/role-assignments?scope=/tenants/default").await["value"][0]["id"].as_str().unwrap().to_owned();
    let sp = format!("/tenants/default/service-principals/{}", first.app_id);
    desk.call(Some(&token), "DELETE", &format!("{ASSIGNMENTS}/{only}"), &Value::Null).await.refused(409, "last Owner");
    desk.op("DELETE", &format!("{ASSIGNMENTS}/{only}"), Value::Null).await.refused(409, "last Owner");
    desk.op("DELETE", &sp, Value::Null).await.refused(409, "last Owner");
    desk.op("PATCH", &sp, json!({"enabled": false})).await.refused(409, "last Owner");
    let second = desk.application("default", "second").await;
    desk.assign(&second, "Owner", "/tenants/default").await;
    desk.op("DELETE", &format!("{ASSIGNMENTS}/{only}"), Value::Null).await.ok(204);
    desk.call(Some(&token), "GET", "/registries/default", &Value::Null).await.ok(404);
    desk.shut().await;
}

#[tokio::test]
async fn of_the_last_two_owners_one_stays_however_fast_both_are_taken() {
    let desk = Desk::start().await;
    for round in 0..4 {
        let (one, two) = (format!("one{round}"), format!("two{round}"));
        let (one, two) = (desk.application("default", &one).await, desk.application("default", &two).await);
        let ids = [
            desk.assign(&one, "Owner", "/tenants/default").await,
            desk.assign(&two, "Owner", "/tenants/default").await,
        ];
        if round == 0 {
            // From here on these two, and one left of each round before.
            assert_eq!(
                desk.get("/role-assignments?scope=/tenants/default").await["value"].as_array().unwrap().len(),
                2
            );
        }
        let paths = desk.get("/role-assignments?scope=/tenants/default").await["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| format!("{ASSIGNMENTS}/{}", a["id"].as_str().unwrap()))
            .collect::<Vec<_>>();
        assert!(ids.iter().all(|id| paths.iter().any(|path| path.ends_with(id))));
        let taken = futures::future::join_all(paths.iter().map(|path| desk.op("DELETE", path, Value::Null))).await;
        let gone = taken.iter().filter(|got| got.status == 204).count();
        assert!(gone < paths.len(), "{taken:?}");
        assert!(!desk.get("/role-assignments?scope=/tenants/default").await["value"].as_array().unwrap().is_empty());
    }
    desk.shut().await;
}

#[tokio::test]
async fn a_tenants_own_role_lives_and_ends() {
    let desk = Desk::start().await;
    let new = json!({"roleName": "Token keeper", "actions": ["Microsoft.ContainerRegistry/registries/read",
                     "Microsoft.ContainerRegistry/registries/tokens/read"]});
    let made = desk.post(ROLES, new.clone()).await;
    assert_eq!(made["type"], "CustomRole");
    desk.op("POST", ROLES, new).await.ok(200);
    for bad in [
        json!({"actions": ["*"]}),
        json!({"actions": ["Microsoft.ContainerRegistry/*"]}),
        json!({}),
        json!({"actions": ["Microsoft.Compute/disks/read"]}),
    ] {
        let mut body = bad.clone();
        body["roleName"] = json!("Bad");
        desk.op("POST", ROLES, body).await.ok(400);
    }
    let taken = json!({"roleName": "owner", "actions": ["Microsoft.ContainerRegistry/registries/read"]});
    desk.op("POST", ROLES, taken).await.refused(409, "built-in");
    let (app, token) = desk.with_role("keeper", "Token keeper").await;
    let tokens = async || desk.call(Some(&token), "GET", "/registries/default/tokens", &Value::Null).await.status;
    assert_eq!(tokens().await, 200);
    let path = format!("{ROLES}/Token keeper").replace(' ', "%20");
    desk.op("DELETE", &path, Value::Null).await.refused(409, "assigned 1 times");
    desk.op("PATCH", &path, json!({"actions": ["Microsoft.ContainerRegistry/registries/read"]})).await.ok(200);
    assert_eq!(tokens().await, 403, "narrowed at once");
    desk.op("DELETE", &format!("{ROLES}/Owner"), Value::Null).await.refused(409, "built-in");
    let id = desk.get("/role-assignments?scope=/tenants/default").await["value"][0]["id"].as_str().unwrap().to_owned();
    desk.op("DELETE", &format!("{ASSIGNMENTS}/{id}"), Value::Null).await.ok(204);
    desk.op("DELETE", &path, Value::Null).await.ok(204);
    let built_in = desk.get(&format!("{ROLES}?n=1000")).await["value"].as_array().unwrap().len();
    assert!(built_in >= 19, "{built_in}");
    assert_eq!(desk.get(&format!("{ROLES}?customOnly=true")).await["value"], json!([]));
    let found = desk.get(&format!("{ROLES}?name=acrpull")).await;
    assert_eq!(found["value"][0]["id"], "7f951dda-4ed3-4680-a7ca-43fe172d538d");
    drop(app);
    desk.shut().await;
}

#[tokio::test]
async fn a_decision_explains_itself() {
    let desk = Desk::start().await;
    let app = desk.application("default", "puller").await;
    let token = desk.token("default", &app).await;
    let resource = "/registries/default/repositories/team/app";
    let ask = |action: &str| format!("/access/explain?principal={}&action={action}&resource={resource}", app.app_id);
    let denied = desk.get(&ask("content/read")).await;
    assert_eq!(denied["allowed"], json!(false));
    assert!(denied["change"].as_str().unwrap().contains("AcrPull"), "{denied}");
    desk.assign(&app, "AcrPull", "/registries/default").await;
    let allowed = desk.get(&ask("content/read")).await;
    assert_eq!(allowed["allowed"], json!(true));
    assert_eq!(
        (&allowed["matched"][0]["name"], &allowed["matched"][0]["scope"]),
        (&json!("AcrPull"), &json!("/registries/default"))
    );
    assert_eq!(desk.get(&ask("content/write")).await["allowed"], json!(false));
    // Of himself anybody may ask; of others, who may see role assignments.
    let own = format!("/access/explain?action=content/read&resource={resource}");
    assert_eq!(desk.call(Some(&token), "GET", &own, &Value::Null).await.ok(200)["allowed"], json!(true));
    assert_eq!(
        desk.call(Some(&token), "GET", &ask("content/read"), &Value::Null).await.ok(200)["allowed"],
        json!(true)
    );
    let anonymous = format!("{own}&principal=anonymous");
    assert!(matches!(desk.call(Some(&token), "GET", &anonymous, &Value::Null).await.status, 403 | 404));
    let management = format!(
        "/access/explain?principal={}&action=Microsoft.ContainerRegistry/registries/write&resource=/registries/default",
        app.app_id
    );
    assert_eq!(desk.get(&management).await["allowed"], json!(false));
    // The lists.
    let who = desk.get(&format!("/access/list?resource={resource}&action=content/read")).await;
    let names: Vec<_> = who["value"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert!(names.contains(&json!("puller")), "{who}");
    let held = desk.get(&format!("/access/list?principal={}", app.app_id)).await;
    assert_eq!(
        (&held["value"][0]["name"], &held["value"][0]["scope"]),
        (&json!("AcrPull"), &json!("/registries/default"))
    );
    for bad in [
        "/access/explain?action=content/read&resource=/registries/default",
        "/access/explain?action=fly&resource=/registries/default",
        "/access/explain?action=catalog/list",
        "/access/explain?action=catalog/list&resource=/registries/default&from=here",
    ] {
        desk.op("GET", bad, Value::Null).await.ok(400);
    }
    desk.shut().await;
}
