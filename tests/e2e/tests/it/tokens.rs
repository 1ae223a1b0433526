//! The token service: every shape of question, what is in the answer, how long it lives, and what it cannot be made to do.

use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use shorepass_e2e::{Answer, Http, Image, NULL_GUID, Server, ServerOptions, Stores, basic, bearer, form, jwt_claims};

pub const SCOPE: &str = "repository:team/app:pull,push";

pub fn text(answer: &Answer, key: &str) -> String {
    answer.json()[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {}", answer.text())).to_owned()
}

/// The access a token grants, as `name:actions`.
fn access(token: &str) -> Vec<String> {
    let claims = jwt_claims(token);
    let entries = claims["access"].as_array().expect("access").iter();
    entries
        .map(|entry| {
            let actions: Vec<&str> =
                entry["actions"].as_array().expect("actions").iter().filter_map(Value::as_str).collect();
            format!("{}:{}", entry["name"].as_str().expect("a name"), actions.join(","))
        })
        .collect()
}

#[tokio::test]
async fn a_token_comes_by_get_with_basic() {
    let server = Server::plain();
    let (admin, host) = (server.admin(), server.host());
    let plain = admin.token(&host, &[SCOPE]).await.expect(200);
    assert_eq!(plain.header("cache-control"), "no-store");
    let body = plain.json();
    assert_eq!(body["token"], body["access_token"]);
    assert_eq!(body["expires_in"], 4500, "75 minutes");
    assert!(body["issued_at"].as_str().is_some_and(|time| time.ends_with('Z')), "{body}");
    assert!(body["refresh_token"].is_null(), "only those who ask get one");

    let offline = form(&[("service", &host), ("scope", SCOPE), ("offline_token", "true"), ("client_id", "docker")]);
    let offline = admin.get(&format!("/oauth2/token?{offline}")).await.expect(200);
    let refresh = text(&offline, "refresh_token");
    let claims = jwt_claims(&refresh);
    assert_eq!(claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat"), 3 * 60 * 60);
}

#[tokio::test]
async fn a_token_comes_by_post_with_a_password_or_a_refresh_token() {
    let server = Server::plain();
    let (account, refresh) = (server.enable_admin("default"), server.refresh_token("default"));
    let (host, http) = (server.host(), server.http());
    let questions: [&[(&str, &str)]; 4] = [
        &[("grant_type", "password"), ("username", "default"), ("password", &account.password2)],
        &[("grant_type", "password"), ("username", NULL_GUID), ("password", &refresh)],
        &[("grant_type", "refresh_token"), ("refresh_token", &refresh)],
        &[("grant_type", "refresh_token"), ("refresh_token", &refresh), ("client_id", "containerd")],
    ];
    for question in questions {
        let common = [("service", host.as_str()), ("scope", SCOPE)];
        let answer = http.post_form("/oauth2/token", &[&common, question].concat()).await.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        let token = text(&answer, "access_token");
        assert_eq!(access(&token), ["team/app:pull,push"], "{question:?}");
        let _pushed = Image::tiny("posted").push(&http.with(bearer(&token)), "team/app", "v1").await.expect(201);
    }
}

#[tokio::test]
async fn an_exchange_gives_a_refresh_token_that_starts_no_new_life() {
    let server = Server::start(ServerOptions { movable_time: true, ..ServerOptions::default() });
    let (refresh, host, http) = (server.refresh_token("default"), server.host(), server.http());
    server.shift_time(Duration::from_secs(3600));
    for grant in ["access_token", "access_token_refresh_token"] {
        let fields =
            [("grant_type", grant), ("service", &host), ("access_token", &refresh), ("tenant", "ignored-if-not-ours")];
        let answer = http.post_form("/oauth2/exchange", &fields).await.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        let derived = text(&answer, "refresh_token");
        assert_eq!(jwt_claims(&derived)["exp"], jwt_claims(&refresh)["exp"], "only a credential starts a new 3 hours");
    }
    let alone = [("grant_type", "refresh_token"), ("service", &host), ("refresh_token", &refresh)];
    let _refused = http.post_form("/oauth2/exchange", &alone).await.expect(400);
}

/// A refresh token is re-usable: clients that ask at the same moment all get their answer.
#[tokio::test]
async fn parallel_exchanges_of_one_refresh_token_all_succeed() {
    let server = Server::plain();
    let (refresh, host) = (server.refresh_token("default"), server.host());
    let caller = server.http().with(basic(NULL_GUID, &refresh));
    let answers = futures::future::join_all((0..20).map(|_| caller.token(&host, &[SCOPE]))).await;
    for answer in answers {
        assert_eq!(access(&text(&answer.expect(200), "access_token")), ["team/app:pull,push"]);
    }
}

#[tokio::test]
async fn an_access_token_carries_the_claims_of_the_contract() {
    let server = Server::plain();
    let (admin, host) = (server.admin(), server.host());
    let token = text(&admin.token(&host, &[SCOPE]).await.expect(200), "access_token");
    let claims = jwt_claims(&token);
    assert_eq!(claims["iss"], "Shorepass");
    assert_eq!(claims["aud"], host);
    assert_eq!(claims["grant_type"], "access_token");
    assert_eq!(claims["access"], json!([{ "type": "repository", "name": "team/app", "actions": ["pull", "push"] }]));
    for claim in ["sub", "jti"] {
        assert!(claims[claim].as_str().is_some_and(|value| !value.is_empty()), "{claim}");
    }
    let time = |claim: &str| claims[claim].as_i64().unwrap_or_else(|| panic!("{claim} is a number"));
    assert_eq!(time("exp") - time("iat"), 75 * 60);
    assert!(time("nbf") <= time("iat"));
    // Some clients decode the payload as plain base64.
    let payload = token.split('.').nth(1).expect("three parts");
    assert!(!payload.contains(['-', '_']), "{payload}");
}

#[tokio::test]
async fn scopes_come_repeated_or_in_one_value_and_nothing_else_is_granted() {
    let server = Server::plain();
    let (admin, host) = (server.admin(), server.host());
    let one = admin.token(&host, &["repository:a/a:pull repository:b/b:push,pull"]).await.expect(200);
    let two = admin.token(&host, &["repository:a/a:pull", "repository:b/b:push,pull"]).await.expect(200);
    let expected = ["a/a:pull", "b/b:pull,push"];
    assert_eq!(access(&text(&one, "access_token")), expected);
    assert_eq!(access(&text(&two, "access_token")), expected);
    let odd = admin.token(&host, &["repository:a/a:pull,fly", "galaxy:far:away"]).await.expect(200);
    assert_eq!(access(&text(&odd, "access_token"))[0], "a/a:pull");
    let none = admin.token(&host, &[]).await.expect(200);
    assert_eq!(access(&text(&none, "access_token")), Vec::<String>::new());
}

#[tokio::test]
async fn too_many_scopes_are_a_clear_error() {
    let server = Server::plain();
    let (admin, host) = (server.admin(), server.host());
    let names: Vec<String> = (0..33).map(|index| format!("repository:team/app{index}:pull")).collect();
    let scopes: Vec<&str> = names.iter().map(String::as_str).collect();
    let _most = admin.token(&host, &scopes[..32]).await.expect(200);
    let refused = admin.token(&host, &scopes).await.expect(400);
    assert!(refused.text().contains("32"), "{}", refused.text());
    let long = format!("repository:{}:pull", "a".repeat(17 << 10));
    let fields = [("grant_type", "refresh_token"), ("service", &host), ("scope", &long), ("refresh_token", "x")];
    let refused = server.http().post_form("/oauth2/token", &fields).await.expect(400);
    assert!(refused.text().contains("16 KiB"), "{}", refused.text());
}

#[tokio::test]
async fn bad_credentials_and_bad_questions_are_refused() {
    let server = Server::plain();
    let (account, host, http) = (server.enable_admin("default"), server.host(), server.http());
    for header in [basic("default", "wrong"), basic(NULL_GUID, "wrong"), basic("nobody", &account.password)] {
        let refused = http.with(header).token(&host, &[SCOPE]).await.expect(401);
        assert_eq!(refused.code(), "UNAUTHORIZED");
    }
    let _no_anonymous_pull = http.token(&host, &[SCOPE]).await.expect(401);
    let _malformed = http.with("Basic !!!").token(&host, &[SCOPE]).await.expect(401);
    let admin = http.with(account.basic());
    for (path, fields) in [
        ("/oauth2/token", vec![("grant_type", "wish"), ("service", &host)]),
        ("/oauth2/token", vec![("service", host.as_str())]),
        ("/oauth2/token", vec![("grant_type", "refresh_token"), ("service", &host)]),
        ("/oauth2/exchange", vec![("grant_type", "access_token"), ("service", &host)]),
    ] {
        let _refused = http.post_form(path, &fields).await.expect(400);
    }
    let foreign = admin.token("registry.example.com", &[SCOPE]).await;
    assert!(matches!(foreign.status, 400 | 401), "a service that is not ours: {foreign:?}");
    let _scopeless = admin.token(&host, &["nonsense"]).await.expect(400);
}

#[tokio::test]
async fn a_token_does_what_its_scope_says_and_no_more() {
    let server = Server::plain();
    let (admin, host) = (server.admin(), server.host());
    let image = Image::tiny("scoped");
    let _pushed = image.push(&admin, "team/app", "v1").await.expect(201);
    let _pushed = image.push(&admin, "other/app", "v1").await.expect(201);
    let reader = admin.with_token(&host, &["repository:team/app:pull"]).await;
    let _allowed = reader.get("/v2/team/app/manifests/v1").await.expect(200);
    let refusals = [
        reader.put_manifest("team/app", "v2", shorepass_e2e::MEDIA_MANIFEST, &image.manifest).await,
        reader.push_blob("team/app", b"more").await,
        reader.delete("/v2/team/app/manifests/v1").await,
        reader.get("/v2/other/app/manifests/v1").await,
        reader.get("/v2/never/was/manifests/v1").await,
        reader.get("/v2/_catalog").await,
    ];
    for refused in &refusals {
        assert_eq!((refused.status, refused.code().as_str()), (401, "DENIED"), "{refused:?}");
        let challenge = refused.header("www-authenticate");
        assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\""), "{challenge}");
    }
    let hidden = |answer: &Answer| answer.text().replace("other/app", "*").replace("never/was", "*");
    assert_eq!(hidden(&refusals[3]), hidden(&refusals[4]), "forbidden and unknown look the same");
}

#[tokio::test]
async fn access_tokens_live_75_minutes_and_refresh_tokens_3_hours() {
    let server = Server::start(ServerOptions { movable_time: true, ..ServerOptions::default() });
    let (refresh, host, http) = (server.refresh_token("default"), server.host(), server.http());
    let by_refresh = http.with(basic(NULL_GUID, &refresh));
    let _pushed = Image::tiny("timed").push(&by_refresh, "team/app", "v1").await.expect(201);
    let token = by_refresh.with_token(&host, &[SCOPE]).await;
    let manifest = "/v2/team/app/manifests/v1";
    let minutes = |count: u64| server.shift_time(Duration::from_secs(60 * count));

    minutes(74);
    let _alive = token.get(manifest).await.expect(200);
    minutes(76);
    let _expired = token.get(manifest).await.expect(401);
    for _ in 0..3 {
        let _re_usable = by_refresh.token(&host, &[SCOPE]).await.expect(200);
    }
    minutes(179);
    let late = by_refresh.with_token(&host, &[SCOPE]).await;
    let _alive = late.get(manifest).await.expect(200);
    minutes(181);
    let _expired = by_refresh.token(&host, &[SCOPE]).await.expect(401);
    let _expired = by_refresh.get("/v2/").await.expect(401);
}

#[tokio::test]
async fn an_access_token_as_a_password_keeps_its_scope_and_expiry() {
    let server = Server::plain();
    let (admin, host, http) = (server.admin(), server.host(), server.http());
    let _pushed = Image::tiny("kept").push(&admin, "team/app", "v1").await.expect(201);
    let token = text(&admin.token(&host, &["repository:team/app:pull"]).await.expect(200), "access_token");
    server.keep_secret(&token);
    let user = http.with(basic(NULL_GUID, &token));
    let _direct = user.get("/v2/team/app/manifests/v1").await.expect(200);
    let _no_more = user.delete("/v2/team/app/manifests/v1").await.expect(401);

    let wide = user.token(&host, &["repository:team/app:pull,push,delete repository:other/app:pull"]).await.expect(200);
    let derived = text(&wide, "access_token");
    assert_eq!(access(&derived)[0], "team/app:pull", "asked for more, got what it had");
    assert!(!access(&derived).iter().any(|entry| entry == "other/app:pull"));
    assert!(jwt_claims(&derived)["exp"].as_i64() <= jwt_claims(&token)["exp"].as_i64(), "no longer life");

    // The ladder: access token -> refresh token -> access token widens nothing.
    let fields = [("grant_type", "access_token"), ("service", &host), ("access_token", &token)];
    let exchanged = http.post_form("/oauth2/exchange", &fields).await;
    if exchanged.status == 200 {
        let ladder = http.with(basic(NULL_GUID, &text(&exchanged, "refresh_token")));
        let top =
            ladder.token(&host, &["repository:team/app:pull,push", "repository:other/app:pull"]).await.expect(200);
        assert_eq!(access(&text(&top, "access_token"))[0], "team/app:pull");
        let _no_more = ladder.get("/v2/other/app/manifests/v1").await.expect(401);
        assert!(jwt_claims(&text(&top, "access_token"))["exp"].as_i64() <= jwt_claims(&token)["exp"].as_i64());
    }
}

#[tokio::test]
async fn a_token_dies_with_its_repository() {
    let server = Server::plain();
    let (admin, host) = (server.admin(), server.host());
    let image = Image::tiny("mortal");
    let token = admin.with_token(&host, &["repository:team/app:pull,push"]).await;
    let _first_push = image.push(&token, "team/app", "v1").await.expect(201);
    let _deleted = server.manage("DELETE", "/registries/default/repositories/team/app", None).expect(204);
    let _refused = token.get("/v2/team/app/manifests/v1").await.expect(401);
    let _refused = token.push_blob("team/app", b"again").await.expect(401);
    let _created_anew = image.push(&admin, "team/app", "v1").await.expect(201);
    let _inherits_nothing = token.get("/v2/team/app/manifests/v1").await.expect(401);
    let fresh = admin.with_token(&host, &["repository:team/app:pull"]).await;
    let _works = fresh.get("/v2/team/app/manifests/v1").await.expect(200);
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let server = Server::plain();
    let (admin, host, http) = (server.admin(), server.host(), server.http());
    let _pushed = Image::tiny("guarded").push(&admin, "team/app", "v1").await.expect(201);
    let token = text(&admin.token(&host, &["repository:team/app:pull"]).await.expect(200), "access_token");
    let parts: Vec<&str> = token.split('.').collect();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).expect("base64")).expect("JSON");
    let jwks = http.get("/oauth2/keys").await.expect(200).json();
    let own = Ed25519KeyPair::generate().expect("a key");
    let point = URL_SAFE_NO_PAD.encode(own.public_key().as_ref());
    let own_jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": point, "kid": header["kid"] });

    let with = |changes: Value| {
        let mut changed = header.clone();
        for (name, value) in changes.as_object().expect("an object") {
            changed[name] = value.clone();
        }
        changed
    };
    let signed = |header: &Value, payload: &str| {
        let input = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header.to_string()));
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(own.sign(input.as_bytes()).as_ref()))
    };
    let wider = URL_SAFE_NO_PAD.encode(
        String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).expect("base64"))
            .expect("text")
            .replace("\"pull\"", "\"push\""),
    );
    let mac_input = format!("{}.{}", URL_SAFE_NO_PAD.encode(with(json!({ "alg": "HS256" })).to_string()), parts[1]);
    let public = jwks["keys"][0]["x"].as_str().expect("a public key");
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &URL_SAFE_NO_PAD.decode(public).expect("base64"));
    let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&secret, mac_input.as_bytes()));
    let none = URL_SAFE_NO_PAD.encode(with(json!({ "alg": "none" })).to_string());

    let forgeries = [
        ("another payload", format!("{}.{wider}.{}", parts[0], parts[2])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("alg none", format!("{none}.{}.", parts[1])),
        ("HS256 with the public key", format!("{mac_input}.{mac}")),
        ("own key, same kid", signed(&header, parts[1])),
        ("own key in jwk", signed(&with(json!({ "jwk": own_jwk })), parts[1])),
        ("own key by jku", signed(&with(json!({ "jku": "http://127.0.0.1:1/keys" })), parts[1])),
        ("own certificate by x5u", signed(&with(json!({ "x5u": "http://127.0.0.1:1/cert" })), parts[1])),
        ("own certificate in x5c", signed(&with(json!({ "x5c": ["AAAA"] })), parts[1])),
        (
            "crit",
            format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(with(json!({ "crit": ["x"] })).to_string()), parts[1], parts[2]),
        ),
        ("wrong typ", signed(&with(json!({ "typ": "JWE" })), parts[1])),
        ("unknown kid", signed(&with(json!({ "kid": "another" })), parts[1])),
        ("not a token", "abc".to_owned()),
        ("dots", ".".repeat(100_000)),
    ];
    let _genuine = http.with(bearer(&token)).get("/v2/team/app/manifests/v1").await.expect(200);
    for (name, forged) in forgeries {
        let answer = http.with(bearer(&forged)).get("/v2/team/app/manifests/v1").await;
        assert!(matches!(answer.status, 401 | 431), "{name}: {answer:?}");
        let answer = http.with(basic(NULL_GUID, &forged)).get("/v2/team/app/manifests/v1").await;
        assert!(matches!(answer.status, 401 | 429 | 431), "{name} as password: {answer:?}");
    }
}

#[tokio::test]
async fn rotated_keys_overlap_and_are_published() {
    let server = Server::plain();
    let (admin, host, http) = (server.admin(), server.host(), server.http());
    let _pushed = Image::tiny("rotated").push(&admin, "team/app", "v1").await.expect(201);
    let old = text(&admin.token(&host, &["repository:team/app:pull"]).await.expect(200), "access_token");
    server.cli(&["keys", "rotate"]).success();
    let _still_good = http.with(bearer(&old)).get("/v2/team/app/manifests/v1").await.expect(200);
    let keys = http.get("/oauth2/keys").await.expect(200).json();
    let kids: Vec<&str> = keys["keys"].as_array().expect("keys").iter().filter_map(|key| key["kid"].as_str()).collect();
    assert_eq!(kids.len(), 2, "{keys}");
    assert!(kids.contains(&kid(&old).as_str()), "the old key is still published");
    assert!(keys["keys"].as_array().expect("keys").iter().all(|key| key["d"].is_null()), "no private part");
}

fn kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().expect("a header")).expect("base64");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"].as_str().expect("a kid").to_owned()
}

/// Two servers on one database and bucket: each takes the other's tokens, and a change on one bites on the other.
#[tokio::test]
async fn several_servers_agree() {
    let arguments = ["--domain", "registry.test"].map(str::to_owned).to_vec();
    let first = Server::start(ServerOptions { stores: Stores::Remote, arguments, ..ServerOptions::default() });
    let second = first.start_beside();
    let at = "default.registry.test";
    let on = |server: &Server, authorization: &str| OnHost(server.http().with(authorization.to_owned()), at);
    let account = first.enable_admin("default");
    let token = on(&first, &account.basic()).token("repository:team/app:pull,push").await;
    // A change reaches the other servers within a second (DESIGN.md, rule 3); so does the enabling of the account.
    let a_second = Duration::from_millis(1100);
    tokio::time::sleep(a_second).await;
    let pushed = on(&second, &bearer(&token)).push_blob("team/app", b"over there").await;
    assert_eq!(pushed.status, 201, "{}", pushed.text());
    let blob = format!("/v2/team/app/blobs/{}", shorepass_e2e::digest_of(b"over there"));
    assert_eq!(on(&first, &bearer(&token)).get(&blob).await.status, 200);

    let _disabled = first.manage("POST", "/registries/default/admin/disable", None).expect(200);
    assert_eq!(on(&first, &bearer(&token)).get(&blob).await.status, 401, "at once here");
    tokio::time::sleep(a_second).await;
    assert_eq!(on(&second, &bearer(&token)).get(&blob).await.status, 401, "within a second there");
}

/// A client that names a host of its own.
struct OnHost(Http, &'static str);

impl OnHost {
    async fn send(&self, method: http::Method, path: &str, body: Vec<u8>) -> Answer {
        self.0.send(method, path, &[("Host", self.1)], body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(http::Method::GET, path, Vec::new()).await
    }

    async fn token(&self, scope: &str) -> String {
        let answer = self.get(&format!("/oauth2/token?{}", form(&[("service", self.1), ("scope", scope)]))).await;
        text(&answer.expect(200), "access_token")
    }

    async fn push_blob(&self, repository: &str, content: &[u8]) -> Answer {
        let digest = shorepass_e2e::digest_of(content);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.send(http::Method::POST, &path, content.to_vec()).await
    }
}
