//! What broke in other registries (shared/contracts/threats.md), tried on ours.

use http::Method;
use serde_json::json;
use shorepass_e2e::{
    Answer, Http, Image, MEDIA_INDEX, MEDIA_MANIFEST, Server, ServerOptions, basic, digest_of, pseudo_random, raw,
};

#[tokio::test]
async fn a_foreign_host_is_misdirected() {
    let server = Server::plain();
    for host in ["registry.example.com", "127.0.0.1.example.com", "evil.test:5000", "default", ""] {
        let answer = raw::request(&server.address(), "GET", "/v2/", &[("Host", host)]);
        assert!(matches!(answer.status, 421 | 400), "`{host}`: {answer:?}");
        assert!(!answer.header("www-authenticate").contains("example.com"), "no realm is made of it");
    }
    let port = server.address().rsplit(':').next().expect("a port").to_owned();
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}")] {
        assert_eq!(raw::request(&server.address(), "GET", "/v2/", &[("Host", &host)]).status, 401, "{host}");
    }
}

#[tokio::test]
async fn the_realm_is_the_configured_url_whatever_the_headers_say() {
    let server = Server::start(ServerOptions::with(&["--external-url", "https://registry.example.com"]));
    let lies = [
        ("Host", "registry.example.com"),
        ("X-Forwarded-Host", "evil.test"),
        ("X-Forwarded-Proto", "gopher"),
        ("Forwarded", "host=evil.test;proto=gopher"),
    ];
    let answer = raw::request(&server.address(), "GET", "/v2/", &lies).expect(401);
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("Bearer realm=\"https://registry.example.com/oauth2/token\""), "{challenge}");
    let unlisted = Server::plain();
    let lies = [("X-Forwarded-Host", "evil.test"), ("X-Forwarded-Proto", "https")];
    let answer = raw::request(&unlisted.address(), "GET", "/v2/", &lies).expect(401);
    let expected = format!("realm=\"{}/oauth2/token\"", unlisted.endpoint());
    assert!(answer.header("www-authenticate").contains(&expected), "{answer:?}");
}

#[tokio::test]
async fn a_giant_authorization_header_is_refused_cheaply() {
    let server = Server::plain();
    let _warm = server.http().get("/v2/").await;
    let before = server.peak_memory();
    let giant = "a".repeat(10 << 20);
    for scheme in ["Bearer", "Basic"] {
        let answer = raw::request(&server.address(), "GET", "/v2/", &[("Authorization", &format!("{scheme} {giant}"))]);
        assert!(matches!(answer.status, 0 | 400 | 401 | 431), "{}", answer.status);
    }
    assert!(server.peak_memory() - before < 16 << 10, "it is not kept");
    let _alive = server.http().get("/v2/").await.expect(401);
}

#[tokio::test]
async fn page_sizes_of_every_kind_are_survived() {
    let server = Server::plain();
    let admin = server.admin();
    let _pushed = Image::tiny("paged").push(&admin, "team/app", "v1").await.expect(201);
    for list in ["/v2/_catalog", "/v2/team/app/tags/list"] {
        for n in ["2147483648", "4294967296", "99999999999999999999", "-1", "ten", "", "1e3", "%00", "0x10"] {
            let answer = admin.get(&format!("{list}?n={n}")).await;
            assert!(matches!(answer.status, 200 | 400), "{list} n={n}: {answer:?}");
        }
        let _odd = admin.get(&format!("{list}?last=%00%ff&n=1&n=2")).await;
        let _fine = admin.get(&format!("{list}?n=1000000")).await.expect(200);
    }
    assert!(server.peak_memory() < 200 << 10, "no page is allocated before it is filled");
}

#[tokio::test]
async fn a_path_is_decoded_once_and_only_then_judged() {
    let server = Server::plain();
    let account = server.enable_admin("default");
    let admin = server.http().with(account.basic());
    let _pushed = Image::tiny("encoded").push(&admin, "team/app", "v1").await.expect(201);
    let authorization = account.basic();
    let ask = |target: &str, signed_in: bool| {
        let headers = [("Authorization", authorization.as_str())];
        raw::request(&server.address(), "GET", target, if signed_in { &headers } else { &[] })
    };
    for same in ["/v2/team%2Fapp/manifests/v1", "/v2/t%65am/app/manifests/v%31", "/v%32/team/app/%6Danifests/v1"] {
        assert_eq!(ask(same, true).status, 200, "{same}");
        assert_eq!(ask(same, false).status, 401, "{same} needs the same right");
    }
    let wrong = [
        "/v2/../v2/team/app/manifests/v1",
        "/v2/team/../team/app/manifests/v1",
        "/v2/%2e%2e/team/app/manifests/v1",
        "/v2/team%2f..%2fapp/manifests/v1",
        "/v2//team/app/manifests/v1",
        "//v2/team/app/manifests/v1",
        "/v2/team//app/manifests/v1",
        "/v2/team/app/manifests/v1/",
        "/v2/team/app/manifests/..",
        "/v2/t%2565am/app/manifests/v1",
        "/v2/team/app%00/manifests/v1",
        "/v2/team/app%2500/manifests/v1",
        "/v2/TEAM/app/manifests/v1",
        "/v2/team./app/manifests/v1",
        "/v2/team/app%/manifests/v1",
        "/v2/team/app%zz/manifests/v1",
        "/v2/team/app%ff/manifests/v1",
        "/v2/team\\app/manifests/v1",
        "/V2/team/app/manifests/v1",
        "/v2/team/app/manifests/v1;x=1",
    ];
    for target in wrong {
        let answer = ask(target, true);
        assert!(matches!(answer.status, 400 | 404), "{target}: {answer:?}");
        let anonymous = ask(target, false);
        assert!(matches!(anonymous.status, 400 | 401 | 404), "{target}: {anonymous:?}");
    }
}

#[tokio::test]
async fn nobody_gets_anything_without_signing_in() {
    let server = Server::plain();
    let (admin, image) = (server.admin(), Image::tiny("private"));
    let _pushed = image.push(&admin, "team/app", "v1").await.expect(201);
    let opened = admin.send(Method::POST, "/v2/team/app/blobs/uploads/", &[], "").await.expect(202);
    let blob = format!("/v2/team/app/blobs/{}", digest_of(&image.layer));
    let manifest = format!("/v2/team/app/manifests/{}", image.digest());
    let upload = opened.header("location").strip_prefix(&server.endpoint()).unwrap_or(opened.header("location"));
    let paths = [
        "/v2/",
        "/v2/_catalog",
        "/v2/team/app/tags/list",
        "/v2/team/app/manifests/v1",
        &manifest,
        &blob,
        "/v2/team/app/blobs/uploads/",
        upload,
        &format!("/v2/team/app/referrers/{}", image.digest()),
    ];
    let methods =
        [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let callers = [server.http(), server.http().with("Basic Og=="), server.http().with("Bearer none")];
    for caller in &callers {
        for path in paths {
            for method in &methods {
                let answer = caller.send(method.clone(), path, &[("Range", "bytes=0-1")], "").await;
                assert!(matches!(answer.status, 401 | 405), "{method} {path}: {answer:?}");
                assert!(method == Method::HEAD || answer.body.len() < 1000, "{method} {path} says little");
            }
        }
    }
}

#[tokio::test]
async fn a_blob_is_seen_only_through_a_repository_that_has_it() {
    let server = Server::plain();
    let (admin, content) = (server.admin(), pseudo_random(21, 5000));
    let digest = digest_of(&content);
    for repository in ["first/app", "second/app"] {
        let _pushed = admin.push_blob(repository, &content).await.expect(201);
    }
    let _elsewhere = admin.get(&format!("/v2/third/app/blobs/{digest}")).await.expect(404);
    let first = format!("/v2/first/app/blobs/{digest}");
    let _warm = admin.get(&first).await.expect(200);
    let _deleted = admin.delete(&first).await.expect(202);
    // Another repository's copy is read (and cached) again: it is still gone here.
    let _warm = admin.get(&format!("/v2/second/app/blobs/{digest}")).await.expect(200);
    for method in [Method::GET, Method::HEAD] {
        let _gone = admin.send(method, &first, &[("Range", "bytes=0-9")], "").await.expect(404);
    }
}

#[tokio::test]
async fn manifests_are_validated() {
    let server = Server::plain();
    let (admin, image) = (server.admin(), Image::tiny("valid"));
    let _pushed = image.push(&admin, "team/app", "v1").await.expect(201);
    let manifest: serde_json::Value = serde_json::from_slice(&image.manifest).expect("JSON");
    let put = |reference: String, media_type: &'static str, body: Vec<u8>| {
        let admin = admin.clone();
        async move { admin.put_manifest("team/app", &reference, media_type, &body).await }
    };
    let body = |value: &serde_json::Value| value.to_string().into_bytes();
    let changed = |key: &str, value: serde_json::Value| {
        let mut changed = manifest.clone();
        changed[key] = value;
        body(&changed)
    };
    let huge = changed("annotations", json!({ "org.example.long": "x".repeat(4 << 20) }));
    let refusals = [
        ("both manifest and index", 400, put("a".into(), MEDIA_MANIFEST, changed("manifests", json!([]))).await),
        ("another mediaType", 400, put("b".into(), MEDIA_MANIFEST, changed("mediaType", json!(MEDIA_INDEX))).await),
        ("another Content-Type", 400, put("c".into(), MEDIA_INDEX, image.manifest.clone()).await),
        ("not JSON", 400, put("d".into(), MEDIA_MANIFEST, b"{".to_vec()).await),
        ("not an object", 400, put("e".into(), MEDIA_MANIFEST, b"[]".to_vec()).await),
        ("an empty body", 400, put("f".into(), MEDIA_MANIFEST, Vec::new()).await),
        ("another digest", 400, put(digest_of(b"other"), MEDIA_MANIFEST, image.manifest.clone()).await),
        ("a bad tag", 400, put("-bad".into(), MEDIA_MANIFEST, image.manifest.clone()).await),
        ("too large", 413, put("g".into(), MEDIA_MANIFEST, huge).await),
    ];
    for (name, status, answer) in &refusals {
        assert_eq!(answer.status, *status, "{name}: {}", answer.text());
        assert!(!answer.code().is_empty(), "{name}: {}", answer.text());
    }
    let absent = digest_of(b"absent");
    let layers = json!([{ "mediaType": shorepass_e2e::MEDIA_LAYER, "digest": absent, "size": 6 }]);
    let missing = put("h".into(), MEDIA_MANIFEST, changed("layers", layers)).await;
    assert_eq!(missing.code(), "MANIFEST_BLOB_UNKNOWN");
    assert!(missing.text().contains(&absent), "the list of what is missing: {}", missing.text());
    let subject = json!({ "mediaType": MEDIA_MANIFEST, "digest": absent, "size": 6 });
    let _absent_subject = put("i".into(), MEDIA_MANIFEST, changed("subject", subject)).await.expect(201);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_a_spoofed_source_does_not_help() {
    let server = Server::plain();
    let account = server.enable_admin("default");
    let mut refused = None;
    for attempt in 0..200 {
        let (password, origin) = (format!("guess-{attempt}"), format!("203.0.113.{attempt}"));
        let authorization = basic("default", &password);
        let headers = [("Authorization", authorization.as_str()), ("X-Forwarded-For", &origin), ("Forwarded", &origin)];
        let answer = raw::request(&server.address(), "GET", "/v2/", &headers);
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status, 401);
    }
    let refused = refused.expect("nobody may guess 200 times");
    assert_eq!(refused.code(), "TOOMANYREQUESTS");
    let wait: u64 = refused.header("retry-after").parse().expect("seconds to wait");
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    let later = server.http().with(basic("default", "guess")).get("/v2/").await.expect(429);
    assert!(later.header("retry-after").parse::<u64>().expect("seconds") < wait, "it counts down");
    let token = server.http().with(account.basic()).token(&server.host(), &[]).await;
    assert_eq!(token.status, 429, "the token service counts the same guesses");
}

/// Wrong input of every kind gets an answer of the specification, never an internal error.
#[tokio::test]
async fn wrong_input_is_never_an_internal_error() {
    let server = Server::plain();
    let admin = server.admin();
    let _pushed = Image::tiny("target").push(&admin, "team/app", "v1").await.expect(201);
    let methods = [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::PATCH, Method::DELETE];
    let long = "a".repeat(300);
    let digest = digest_of(b"x");
    let paths = [
        "/v2/team/app/manifests/sha256:short".to_owned(),
        "/v2/team/app/manifests/sha256:zz".to_owned(),
        format!("/v2/team/app/manifests/{long}"),
        format!("/v2/{long}/manifests/v1"),
        format!("/v2/team/app/blobs/{}", digest.to_uppercase()),
        "/v2/team/app/blobs/md5:d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        "/v2/team/app/blobs/uploads/not-a-uuid".to_owned(),
        "/v2/team/app/blobs/uploads/0198aaaa-0000-7000-8000-000000000000?digest=x&state=AAAA".to_owned(),
        format!("/v2/team/app/blobs/uploads/?mount={digest}&mount=x&from=../../etc"),
        "/v2/team/app/blobs/uploads/?digest=sha256:x".to_owned(),
        "/v2/team/app/blobs/uploads/?digest-algorithm=crc32".to_owned(),
        "/v2/team/app/referrers/latest".to_owned(),
        "/v2/UPPER/app/tags/list".to_owned(),
        "/oauth2/token?service=%00&scope=%ff".to_owned(),
        "/oauth2/exchange".to_owned(),
        "/oauth2/nothing".to_owned(),
        "/api/v1/registries".to_owned(),
        "/.%2e/.%2e/etc/passwd".to_owned(),
    ];
    let odd: [&[(&str, &str)]; 6] = [
        &[],
        &[("Range", "bytes=9999999999999999999999-"), ("Content-Range", "0-18446744073709551615")],
        &[("Range", "lines=1-2,7"), ("Content-Range", "bytes 5-1/x"), ("Content-Type", "\"")],
        &[("Content-Type", "application/x-www-form-urlencoded"), ("Accept", ";;;")],
        &[("If-None-Match", "\"\",*,W/"), ("If-Modified-Since", "yesterday"), ("Content-Type", MEDIA_MANIFEST)],
        &[("Content-Encoding", "gzip"), ("Expect", "the unexpected"), ("Content-Type", MEDIA_INDEX)],
    ];
    for path in &paths {
        for method in &methods {
            for headers in odd {
                let answer = admin.send(method.clone(), path, headers, "{\"a\":[[[[1]]]]}").await;
                assert!(answer.status < 500 && answer.status != 200, "{method} {path} {headers:?}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn smuggled_and_broken_requests_do_not_reach_anything() {
    let server = Server::plain();
    let (address, host) = (server.address(), server.host());
    let heads = [
        format!("POST /oauth2/token HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        format!("GET /v2/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n"),
        format!("GET /v2/ HTTP/1.1\r\nHost: {host}\r\nHost: evil.test\r\n"),
        "GET /v2/ HTTP/1.1\r\n".to_owned(),
        format!("GET http://evil.test/v2/ HTTP/1.1\r\nHost: {host}\r\n"),
        format!("GET /v2/ HTTP/9.9\r\nHost: {host}\r\n"),
        format!("G\0T /v2/ HTTP/1.1\r\nHost: {host}\r\n"),
        format!("GET /v2/ HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n", "y".repeat(1 << 20)),
    ];
    for head in heads {
        let answer = raw::tcp(&address, &head, b"0\r\n\r\nGET /v2/_catalog HTTP/1.1\r\n\r\n");
        let start: String = head.chars().take(60).collect();
        assert!(matches!(answer.status, 0 | 400..=499 | 505), "{start:?}: {answer:?}");
        assert!(!answer.header("www-authenticate").contains("evil.test"), "{start:?}: {answer:?}");
    }
    let _alive = server.http().get("/v2/").await.expect(401);
}

/// The catalog shows what the caller may see; a token without the right to list sees none of it.
#[tokio::test]
async fn the_catalog_needs_its_own_right() {
    let server = Server::plain();
    let (admin, host) = (server.admin(), server.host());
    let _pushed = Image::tiny("cat").push(&admin, "team/app", "v1").await.expect(201);
    let puller = admin.with_token(&host, &["repository:team/app:pull"]).await;
    let refused: Answer = puller.get("/v2/_catalog").await.expect(401);
    assert!(!refused.text().contains("team/app"), "{}", refused.text());
    let lister: Http = admin.with_token(&host, &["registry:catalog:*"]).await;
    assert_eq!(lister.get("/v2/_catalog").await.expect(200).json(), json!({ "repositories": ["team/app"] }));
    let _no_pull = lister.get("/v2/team/app/manifests/v1").await.expect(401);
}
