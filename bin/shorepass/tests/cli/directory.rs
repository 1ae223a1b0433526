//! user, ad-group, sp, identity and federation against a scripted server.

use serde_json::{Value, json};

use crate::fake::Fake;

const HERE: &str = "/api/v1/tenants/current";

fn agreeable() -> Fake {
    Fake::start().otherwise(200, json!({}))
}

fn get(path: &str) -> String {
    format!("GET {HERE}/{path}")
}

#[test]
fn users() {
    let external = json!({ "issuer": "keycloak", "subject": "f:1:alice" });
    agreeable().assert_sends(&[
        ("user create --name alice", &format!("POST {HERE}/users"), json!({ "userName": "alice" })),
        (
            "user create -n alice --display-name A --enabled false --issuer keycloak --subject f:1:alice",
            &format!("POST {HERE}/users"),
            json!({ "userName": "alice", "displayName": "A", "enabled": false, "external": external }),
        ),
        ("user list", &get("users"), Value::Null),
        ("user list --tenant other", "GET /api/v1/tenants/other/users", Value::Null),
        ("user show alice@example.com", &get("users/alice@example.com"), Value::Null),
        ("user show --id a/b", &get("users/a%2Fb"), Value::Null),
        ("user update alice --enabled false", &format!("PATCH {HERE}/users/alice"), json!({ "enabled": false })),
        ("user delete --id alice", &format!("DELETE {HERE}/users/alice"), Value::Null),
        ("user invite alice", &format!("POST {HERE}/users/alice/invitation"), json!({})),
    ]);
    agreeable().assert_refuses(&[
        "user create",
        "user create -n a --issuer keycloak",
        "user create -n ..",
        "user update alice",
        "user show",
        "user show a --id b",
    ]);
}

#[test]
fn users_are_picked_by_how_their_names_begin() {
    let users =
        json!({ "value": [{ "userName": "a", "displayName": "Alice" }, { "userName": "b", "displayName": "Bob" }] });
    let fake = Fake::start().on(&get("users"), 200, users);
    let ran = fake.run(&["user", "list", "--display-name", "al", "-o", "tsv", "--query", "[].userName"]);
    assert_eq!(ran.out, "a\n");
}

#[test]
fn an_invitation_is_shown_once() {
    let link = "https://registry.example.com/default/invitation#secret-in-the-fragment";
    let invitation = json!({ "secret": "secret-in-the-fragment", "expiresAt": "2026-11-29T10:00:00Z", "link": link });
    let user = json!({ "id": "1", "userName": "alice", "state": "invited", "invitation": invitation });
    let fake = Fake::start().on(&format!("POST {HERE}/users"), 201, user).on(
        &format!("POST {HERE}/users/alice/invitation"),
        200,
        json!({ "invitation": invitation }),
    );
    for arguments in [&["user", "create", "-n", "alice"][..], &["user", "invite", "alice"]] {
        let ran = fake.run(arguments);
        assert!(ran.out.lines().nth(1).unwrap().starts_with(&format!("alice      {link}")), "{ran:?}");
        assert!(ran.err.contains("not shown again") && !ran.err.contains("secret-in"), "{ran:?}");
    }
}

#[test]
fn groups() {
    agreeable().assert_sends(&[
        (
            "ad-group create --display-name devs --mail-nickname devs --description D",
            &format!("POST {HERE}/groups"),
            json!({ "name": "devs", "description": "D" }),
        ),
        ("ad-group list", &get("groups"), Value::Null),
        ("ad-group show -g devs", &get("groups/devs"), Value::Null),
        ("ad-group show --group devs", &get("groups/devs"), Value::Null),
        (
            "ad-group update -g devs --description D",
            &format!("PATCH {HERE}/groups/devs"),
            json!({ "description": "D" }),
        ),
        ("ad-group delete -g devs", &format!("DELETE {HERE}/groups/devs"), Value::Null),
        ("ad-group member list -g devs", &get("groups/devs/members"), Value::Null),
        (
            "ad-group member add -g devs --member-id user:alice",
            &format!("POST {HERE}/groups/devs/members"),
            json!({ "member": "user:alice" }),
        ),
    ]);
}

#[test]
fn a_member_is_taken_out_by_whatever_names_it_alone() {
    let members = json!({ "value": [
        { "id": "11111111-0000-0000-0000-000000000000", "type": "User", "name": "Alice", "external": false },
        { "id": "22222222-0000-0000-0000-000000000000", "type": "User", "name": "ops", "external": false },
        { "id": "33333333-0000-0000-0000-000000000000", "type": "Group", "name": "ops", "external": false },
    ], "next": null });
    let fake = Fake::start().otherwise(204, Value::Null).on(&get("groups/devs/members"), 200, members);
    let remove = |member: &str| fake.run(&["ad-group", "member", "remove", "-g", "devs", "--member-id", member]);
    for (member, digit) in [("alice", "1"), ("group:ops", "3"), ("22222222-0000-0000-0000-000000000000", "2")] {
        assert_eq!(remove(member).code, Some(0), "{member}");
        let (request, _) = fake.heard().pop().unwrap();
        let id = format!("{}-0000-0000-0000-000000000000", digit.repeat(8));
        assert_eq!(request, format!("DELETE {HERE}/groups/devs/members/{id}"));
    }
    let (several, nobody) = (remove("ops"), remove("sp:ops"));
    assert!(several.err.contains("`ops` fits several members"), "{several:?}");
    assert!(nobody.err.contains("`sp:ops` is no member of `devs`"), "{nobody:?}");
    assert_eq!((several.code, nobody.code), (Some(1), Some(1)));
}

const APP: &str = "aaaaaaaa-0000-0000-0000-000000000000";
const TENANT: &str = "bbbbbbbb-0000-0000-0000-000000000000";

fn application(password: Option<&str>) -> Value {
    let mut made = json!({
        "id": "1", "appId": APP, "displayName": "ci", "enabled": true, "multiTenant": false, "consented": false,
        "homeTenantId": TENANT,
    });
    if let Some(password) = password {
        made["credential"] = json!({ "keyId": "2", "type": "secret", "password": password });
    }
    made
}

#[test]
fn a_service_principal_is_made_as_az_makes_it() {
    let fake = Fake::start().on(&format!("POST {HERE}/service-principals"), 201, application(Some("the-secret"))).on(
        "POST /api/v1/role-assignments",
        201,
        json!({ "id": "3" }),
    );
    let create = ["sp", "create-for-rbac", "--name", "ci", "--years", "2", "--role", "AcrPush"];
    let scopes = ["--scopes", "/registries/default", "/registries/second"];
    let ran = fake.run(&[&create[..], &scopes, &["-o", "json"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let shown: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(shown, json!({ "appId": APP, "displayName": "ci", "password": "the-secret", "tenant": TENANT }));
    assert!(ran.err.contains("not shown again") && !ran.err.contains("the-secret"), "{ran:?}");
    let assignment = |scope: &str| json!({ "role": "AcrPush", "assignee": format!("sp:{APP}"), "scope": scope });
    let sent: Vec<Value> = fake.heard().into_iter().map(|(_, body)| body).collect();
    let body = json!({ "displayName": "ci", "years": 2 });
    assert_eq!(sent, [body, assignment("/registries/default"), assignment("/registries/second")]);
    assert_eq!(fake.run(&create).code, Some(2), "a role needs a scope");
}

#[test]
fn the_secret_is_not_lost_when_the_role_is_refused() {
    let refused = json!({ "title": "forbidden", "status": 403, "detail": "you may not grant `Owner` there" });
    let fake = Fake::start().on(&format!("POST {HERE}/service-principals"), 201, application(Some("the-secret"))).on(
        "POST /api/v1/role-assignments",
        403,
        refused,
    );
    let ran = fake.run(&["sp", "create", "-n", "ci", "--role", "Owner", "--scope", "/registries/default"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("the-secret"), "{ran:?}");
    assert!(ran.err.contains("was created, but not its role") && ran.err.contains("you may not grant"), "{ran:?}");
}

#[test]
fn a_certificate_is_sent_without_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client.pem");
    let certificate = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    std::fs::write(&file, format!("{key}{certificate}")).unwrap();
    let credentials = format!("POST {HERE}/service-principals/{APP}/credentials");
    let fake = Fake::start().on(&format!("POST {HERE}/service-principals"), 201, application(None)).on(
        &credentials,
        201,
        json!({ "keyId": "2", "type": "certificate" }),
    );
    let file = file.to_str().unwrap();
    assert_eq!(fake.run(&["sp", "create", "-n", "ci", "--cert", file, "--end-date", "2027-01-01"]).code, Some(0));
    assert_eq!(fake.heard()[0].1, json!({ "displayName": "ci", "createPassword": false }));
    let body = json!({ "certificate": certificate, "append": true, "endDate": "2027-01-01T00:00:00Z" });
    assert_eq!(fake.bodies(&credentials), [body]);
    assert_eq!(fake.run(&["sp", "credential", "reset", "--id", APP, "--cert", file]).code, Some(0));
    assert_eq!(fake.bodies(&credentials)[1], json!({ "certificate": certificate }));
}

#[test]
fn credentials_of_a_service_principal() {
    let path = format!("{HERE}/service-principals/{APP}/credentials");
    let made = json!({ "keyId": "2", "type": "secret", "appId": APP, "tenant": TENANT, "password": "the-secret" });
    let fake = agreeable().on(&format!("POST {path}"), 201, made);
    let ran = fake.run(&["sp", "credential", "reset", "--id", APP, "--append", "--years", "1", "--display-name", "x"]);
    assert!(ran.out.contains("the-secret") && ran.err.contains("not shown again"), "{ran:?}");
    assert_eq!(fake.bodies(&format!("POST {path}")), [json!({ "append": true, "years": 1, "displayName": "x" })]);
    agreeable().assert_sends(&[
        (&format!("sp credential list --id {APP}"), &format!("GET {path}"), Value::Null),
        (&format!("sp credential delete --id {APP} --key-id 2"), &format!("DELETE {path}/2"), Value::Null),
    ]);
    agreeable().assert_refuses(&[
        &format!("sp credential reset --id {APP} --years 1 --end-date 2027-01-01"),
        &format!("sp credential reset --id {APP} --years 0"),
        &format!("sp credential reset --id {APP} --end-date tomorrow"),
    ]);
}

#[test]
fn service_principals() {
    let path = format!("{HERE}/service-principals");
    agreeable().assert_sends(&[
        ("sp list --all", &format!("GET {path}"), Value::Null),
        ("sp list --display-name ci", &format!("GET {path}?displayName=ci"), Value::Null),
        ("sp show --id x", &format!("GET {path}/x"), Value::Null),
        ("sp update --id x --enabled false", &format!("PATCH {path}/x"), json!({ "enabled": false })),
        ("sp delete --id x", &format!("DELETE {path}/x"), Value::Null),
        ("sp consent create --app-id x --tenant t", "POST /api/v1/tenants/t/service-principals", json!({ "appId": "x" })),
        (
            "sp federated-credential create --id x --name main --issuer https://ci.example --subject repo:a/b:ref:refs/heads/main",
            &format!("POST {path}/x/federated-credentials"),
            json!({ "name": "main", "issuer": "https://ci.example", "subject": "repo:a/b:ref:refs/heads/main" }),
        ),
        (
            "sp federated-credential update --id x --name main --subject-pattern repo:a/*:* --audience me",
            &format!("PATCH {path}/x/federated-credentials/main"),
            json!({ "subjectPattern": "repo:a/*:*", "audience": "me" }),
        ),
        ("sp federated-credential list --id x", &format!("GET {path}/x/federated-credentials"), Value::Null),
        (
            "sp federated-credential delete --id x --name main",
            &format!("DELETE {path}/x/federated-credentials/main"),
            Value::Null,
        ),
    ]);
}

#[test]
fn consent_is_taken_back_only_where_it_was_given() {
    let (mut own, mut other) = (application(None), application(None));
    own["appId"] = json!("own");
    other["consented"] = json!(true);
    let path = format!("{HERE}/service-principals");
    let fake = Fake::start()
        .on(&format!("GET {path}"), 200, json!({ "value": [own.clone(), other.clone()], "next": null }))
        .on(&format!("GET {path}/own"), 200, own)
        .on(&format!("GET {path}/{APP}"), 200, other)
        .on(&format!("DELETE {path}/{APP}"), 204, Value::Null);
    assert_eq!(fake.run(&["sp", "consent", "list", "--query", "[].appId", "-o", "tsv"]).out, format!("{APP}\n"));
    let refused = fake.run(&["sp", "consent", "delete", "--id", "own"]);
    assert!(refused.err.contains("`own` is this tenant's own application"), "{refused:?}");
    assert_eq!(fake.run(&["sp", "consent", "delete", "--id", APP]).code, Some(0));
}

#[test]
fn identities() {
    agreeable().assert_sends(&[
        (
            "identity create -n puller -g default --subscription s",
            &format!("POST {HERE}/identities"),
            json!({ "name": "puller", "resourceGroup": "default", "subscription": "s" }),
        ),
        ("identity list", &get("identities"), Value::Null),
        ("identity show --name puller", &get("identities/puller"), Value::Null),
        ("identity update -n puller --enabled false", &format!("PATCH {HERE}/identities/puller"), json!({ "enabled": false })),
        ("identity delete -n puller", &format!("DELETE {HERE}/identities/puller"), Value::Null),
        (
            "identity federated-credential create --identity-name puller -n pod --issuer https://k --subject system:serviceaccount:a:b --audiences me",
            &format!("POST {HERE}/identities/puller/federated-credentials"),
            json!({ "name": "pod", "issuer": "https://k", "subject": "system:serviceaccount:a:b", "audience": "me" }),
        ),
        (
            "identity federated-credential show --identity-name puller -n pod",
            &get("identities/puller/federated-credentials/pod"),
            Value::Null,
        ),
    ]);
}

#[test]
fn issuers_are_trusted_by_discovery_or_by_pinned_keys() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let jwks = write("jwks.json", r#"{"keys":[]}"#);
    let ca = write("ca.pem", "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n");
    let secret = write("secret", "the-secret\n");
    let pem = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n";
    let post = format!("POST {HERE}/issuers");
    agreeable().assert_sends(&[
        (
            &format!("federation create -n k --issuer https://k --jwks {jwks}"),
            &post,
            json!({ "name": "k", "issuer": "https://k", "jwks": { "keys": [] } }),
        ),
        (
            &format!("federation create -n k --issuer https://k --discovery-url https://d --ca {ca} --client-id c --client-secret-file {secret} --groups-claim groups"),
            &post,
            json!({
                "name": "k", "issuer": "https://k", "discoveryUrl": "https://d", "ca": pem,
                "signIn": { "clientId": "c", "clientSecret": "the-secret", "groupsClaim": "groups" },
            }),
        ),
        ("federation list", &get("issuers"), Value::Null),
        ("federation show k", &get("issuers/k"), Value::Null),
        (
            "federation update k --no-ca --no-sign-in",
            &format!("PATCH {HERE}/issuers/k"),
            json!({ "ca": null, "signIn": null }),
        ),
        ("federation delete k", &format!("DELETE {HERE}/issuers/k"), Value::Null),
    ]);
    agreeable().assert_refuses(&[
        "federation create -n k",
        "federation update k",
        &format!("federation create -n k --issuer https://k --jwks {jwks} --discovery-url https://d"),
        &format!("federation create -n k --issuer https://k --client-secret-file {secret}"),
    ]);
}
