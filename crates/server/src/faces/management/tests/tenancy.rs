//! Tenants, subscriptions, resource groups.

use serde_json::{Value, json};

use super::Desk;

#[tokio::test]
async fn a_tenant_grows_a_registry_of_its_own_and_is_taken_down_again() {
    let desk = Desk::start().await;
    let made = desk.post("/tenants", json!({"name": "fabrikam"})).await;
    assert_eq!(made["accountNumber"].as_str().unwrap().len(), 16);
    desk.op("POST", "/tenants", json!({"name": "Fabrikam"})).await.ok(200);
    let by_guid = format!("/tenants/{}", made["tenantId"].as_str().unwrap());
    assert_eq!(desk.get(&by_guid).await["name"], "fabrikam");
    let subscription = desk.post("/tenants/fabrikam/subscriptions", json!({"name": "main"})).await;
    let groups = "/tenants/fabrikam/subscriptions/main/resource-groups";
    desk.post(groups, json!({"name": "shops"})).await;
    let registry = json!({"name": "fabrikam1", "subscription": subscription["id"], "resourceGroup": "shops"});
    desk.op("POST", "/registries", registry.clone()).await.refused(404, "no subscription");
    let owner = desk.application("fabrikam", "owner").await;
    desk.assign(&owner, "Owner", "/tenants/fabrikam").await;
    let token = desk.token("fabrikam", &owner).await;
    let made = desk.call(Some(&token), "POST", "/registries", &registry).await.ok(201);
    assert_eq!(made["resourceGroup"], "shops");
    let mine = desk.call(Some(&token), "GET", "/registries", &Value::Null).await.ok(200);
    assert_eq!(mine["value"].as_array().unwrap().len(), 1, "only his own");

    desk.op("DELETE", "/tenants/fabrikam", Value::Null).await.refused(409, "`main` belongs to the tenant");
    desk.op("DELETE", "/tenants/fabrikam/subscriptions/main", Value::Null).await.refused(409, "not empty");
    desk.op("DELETE", &format!("{groups}/shops"), Value::Null).await.refused(409, "not empty");
    desk.call(Some(&token), "DELETE", "/registries/fabrikam1", &Value::Null).await.ok(204);
    desk.op("PATCH", &format!("{groups}/shops"), json!({"name": "stores"})).await.ok(200);
    desk.op("DELETE", &format!("{groups}/stores"), Value::Null).await.ok(204);
    desk.op("PATCH", "/tenants/fabrikam/subscriptions/main", json!({"name": "other"})).await.ok(200);
    desk.op("DELETE", "/tenants/fabrikam/subscriptions/other", Value::Null).await.ok(204);
    desk.op("PATCH", "/tenants/fabrikam", json!({"name": "northwind"})).await.ok(200);
    desk.op("DELETE", "/tenants/northwind", Value::Null).await.ok(204);
    desk.call(Some(&token), "GET", "/me", &Value::Null).await.refused(401, "deleted");
    desk.op("GET", &by_guid, Value::Null).await.refused(404, "no tenant");
    desk.shut().await;
}

#[tokio::test]
async fn reserved_and_doubtful_names_are_refused() {
    let desk = Desk::start().await;
    for name in [
        "v2",
        "oauth2",
        "acr",
        "api",
        "metadata",
        "portal",
        "current",
        "",
        "a/b",
        "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    ] {
        desk.op("POST", "/tenants", json!({"name": name})).await.ok(400);
    }
    desk.op("PATCH", "/tenants/default", json!({"name": "API"})).await.refused(400, "reserved");
    desk.op("POST", "/tenants", json!({"name": "x1", "guid": "7f951dda-4ed3-4680-a7ca-43fe172d538d"})).await.ok(400);
    desk.shut().await;
}

/// Role assignments at a place that is gone are gone with it.
#[tokio::test]
async fn roles_go_with_the_place_they_were_at() {
    let desk = Desk::start().await;
    let groups = "/tenants/default/subscriptions/default/resource-groups";
    desk.post(groups, json!({"name": "temporary"})).await;
    let subscription = desk.get("/tenants/default/subscriptions/default").await["id"].as_str().unwrap().to_owned();
    let app = desk.application("default", "reader").await;
    desk.assign(&app, "Reader", &format!("/subscriptions/{subscription}/resourceGroups/temporary")).await;
    desk.post("/registries", json!({"name": "temp1"})).await;
    desk.assign(&app, "AcrPull", "/registries/temp1").await;
    desk.op("DELETE", "/registries/temp1", Value::Null).await.ok(204);
    desk.op("DELETE", &format!("{groups}/temporary"), Value::Null).await.ok(204);
    assert_eq!(desk.get("/role-assignments?tenant=default").await["value"], json!([]));
    desk.shut().await;
}
