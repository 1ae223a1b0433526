//! Pushing and pulling, by the clients people use and by the letter of the specification.

use std::path::Path;

use futures::StreamExt as _;
use http::Method;
use serde_json::{Value, json};
use shorepass_e2e::{
    Http, Image, MEDIA_INDEX, MEDIA_MANIFEST, Server, ServerOptions, Stores, digest_of, pseudo_random,
};

fn skopeo_copies_in_and_out(stores: Stores) {
    let server = Server::start(ServerOptions { stores, ..ServerOptions::default() });
    sign_in(&server);
    let tools = server.toolbox();
    Image::busybox("through the port gate\n").write_layout(&tools.path("in"), "v1");
    let remote = format!("docker://{}/harbour/busybox:v1", server.host());
    let (source, back) = (layout(&tools.path("in")), layout(&tools.path("out")));
    tools.skopeo(&["copy", "--dest-tls-verify=false", &source, &remote]).success();
    tools.skopeo(&["copy", "--src-tls-verify=false", &remote, &back]).success();
    let manifest = tools.skopeo(&["inspect", "--tls-verify=false", "--raw", &remote]).success();
    let copied = tools.skopeo(&["inspect", "--raw", &back]).success();
    assert_eq!(manifest.stdout, copied.stdout, "what comes out is what went in");
    let inspected = tools.skopeo(&["inspect", "--tls-verify=false", &remote]).success().json();
    assert_eq!(inspected["RepoTags"], json!(["v1"]));
}

#[test]
fn skopeo_copies_an_image_in_and_out_local() {
    skopeo_copies_in_and_out(Stores::Local);
}

#[test]
fn skopeo_copies_an_image_in_and_out_remote() {
    skopeo_copies_in_and_out(Stores::Remote);
}

#[test]
fn podman_pulls_an_image_and_runs_it() {
    let server = Server::plain();
    sign_in(&server);
    let tools = server.toolbox();
    Image::busybox("ashore\n").write_layout(&tools.path("in"), "v1");
    let name = format!("{}/harbour/busybox:v1", server.host());
    tools.podman(&["pull", &layout(&tools.path("in"))]).success();
    let id = tools.podman(&["images", "--quiet"]).success().stdout;
    tools.podman(&["push", "--tls-verify=false", id.trim(), &name]).success();
    tools.podman(&["rmi", "--all", "--force"]).success();
    tools.podman(&["pull", "--tls-verify=false", &name]).success();
    let ran = tools.podman(&["run", "--rm", &name]).success();
    assert_eq!(ran.stdout, "ashore\n");
}

#[test]
fn skopeo_pushes_over_tls_with_the_self_signed_ca() {
    let server = Server::start(ServerOptions::with(&["--tls", "self-signed"]));
    assert!(server.endpoint().starts_with("https://"), "{}", server.endpoint());
    let tools = server.toolbox();
    let certificates = tools.path("certificates");
    std::fs::create_dir(&certificates).expect("a folder");
    std::fs::copy(server.ca_file().expect("a CA"), certificates.join("ca.crt")).expect("the CA is readable");
    let certificates = certificates.display().to_string();
    let (host, token) = (server.host(), server.refresh_token("default"));
    let user = shorepass_e2e::NULL_GUID;
    let login = ["login", "--cert-dir", &certificates, "--username", user, "--password-stdin", &host];
    tools.podman_with_input(&login, &token).success();

    Image::tiny("over TLS").write_layout(&tools.path("in"), "v1");
    let (source, remote) = (layout(&tools.path("in")), format!("docker://{host}/tls/app:v1"));
    let back = layout(&tools.path("out"));
    tools.skopeo(&["copy", "--dest-cert-dir", &certificates, &source, &remote]).success();
    tools.skopeo(&["copy", "--src-cert-dir", &certificates, &remote, &back]).success();
    let stranger = tools.skopeo(&["inspect", &remote]).failure();
    assert!(stranger.stderr.contains("certificate"), "without the CA it is refused: {}", stranger.stderr);
}

#[tokio::test]
async fn a_manifest_is_served_by_tag_and_by_digest_as_it_was_pushed() {
    let server = Server::plain();
    let (admin, image) = (server.admin(), Image::tiny("served"));
    let pushed = image.push(&admin, "team/app", "v1").await.expect(201);
    assert_eq!(pushed.header("docker-content-digest"), image.digest());
    for reference in ["v1", &image.digest()] {
        let path = format!("/v2/team/app/manifests/{reference}");
        let got = admin.get(&path).await.expect(200);
        assert_eq!(got.body, image.manifest);
        assert_eq!(got.header("content-type"), MEDIA_MANIFEST);
        assert_eq!(got.header("docker-content-digest"), image.digest());
        let head = admin.head(&path).await.expect(200);
        assert!(head.body.is_empty());
        assert_eq!(head.header("content-length"), image.manifest.len().to_string());

        let etag = got.header("etag");
        let unchanged = admin.send(Method::GET, &path, &[("If-None-Match", etag)], "").await.expect(304);
        assert!(unchanged.body.is_empty());
        let _changed = admin.send(Method::GET, &path, &[("If-None-Match", "\"another\"")], "").await.expect(200);
    }
    assert_eq!(admin.get("/v2/team/app/manifests/v2").await.expect(404).code(), "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn ranges_of_a_blob_are_served() {
    let server = Server::plain();
    let (admin, content) = (server.admin(), pseudo_random(7, 2048));
    let _pushed = admin.push_blob("team/app", &content).await.expect(201);
    let path = format!("/v2/team/app/blobs/{}", digest_of(&content));
    let wanted = [
        ("bytes=500-1499", 500..1500),
        ("bytes=500-", 500..2048),
        ("bytes=-500", 1548..2048),
        ("bytes=2000-5000", 2000..2048),
        ("bytes=0-0", 0..1),
    ];
    for (range, expected) in wanted {
        let part = admin.send(Method::GET, &path, &[("Range", range)], "").await.expect(206);
        assert_eq!(part.body, content[expected.clone()], "{range}");
        let told = format!("bytes {}-{}/2048", expected.start, expected.end - 1);
        assert_eq!(part.header("content-range"), told);
        assert_eq!(part.header("content-length"), expected.len().to_string());
    }
    for range in ["bytes=5000-10000", "bytes=500-0"] {
        let _refused = admin.send(Method::GET, &path, &[("Range", range)], "").await.expect(416);
    }
    let whole = admin.get(&path).await.expect(200);
    assert_eq!((whole.header("accept-ranges"), whole.body.len()), ("bytes", 2048));
    let etag = whole.header("etag");
    let _unchanged = admin.send(Method::GET, &path, &[("If-None-Match", etag)], "").await.expect(304);
}

/// What oras does: an empty config, a type of its own, and another artifact that refers to it.
#[tokio::test]
async fn artifacts_refer_to_what_they_are_about() {
    let server = Server::plain();
    let admin = server.admin();
    let image = Image::tiny("subject");
    let _pushed = image.push(&admin, "team/app", "v1").await.expect(201);
    let subject = json!({ "mediaType": MEDIA_MANIFEST, "digest": image.digest(), "size": image.manifest.len() });
    let sbom = push_artifact(&admin, "application/vnd.example.sbom", b"a list of parts", &subject).await;
    let signature = push_artifact(&admin, "application/vnd.example.signature", b"a seal", &subject).await;

    let path = format!("/v2/team/app/referrers/{}", image.digest());
    let all = admin.get(&path).await.expect(200);
    assert_eq!(all.header("content-type"), MEDIA_INDEX);
    assert_eq!(all.json()["schemaVersion"], 2);
    let mut digests = digests(&all.json());
    digests.sort();
    let mut expected = vec![sbom.clone(), signature];
    expected.sort();
    assert_eq!(digests, expected);

    let filtered = admin.get(&format!("{path}?artifactType=application%2Fvnd.example.sbom")).await.expect(200);
    assert!(filtered.header("oci-filters-applied").contains("artifactType"));
    assert_eq!(self::digests(&filtered.json()), [sbom]);
    assert_eq!(filtered.json()["manifests"][0]["annotations"]["org.example.kind"], "application/vnd.example.sbom");

    let nobody = format!("/v2/never/pushed/referrers/{}", image.digest());
    let none = admin.get(&nobody).await.expect(200);
    assert_eq!(none.json()["manifests"], json!([]), "an unknown subject has no referrers; that is no error");
}

async fn push_artifact(http: &Http, kind: &str, content: &[u8], subject: &Value) -> String {
    let empty = json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2 });
    let _empty = http.push_blob("team/app", b"{}").await.expect(201);
    let _content = http.push_blob("team/app", content).await.expect(201);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MEDIA_MANIFEST, "artifactType": kind, "config": empty,
        "layers": [{ "mediaType": "text/plain", "digest": digest_of(content), "size": content.len() }],
        "subject": subject, "annotations": { "org.example.kind": kind },
    });
    let body = manifest.to_string().into_bytes();
    let pushed = http.put_manifest("team/app", &digest_of(&body), MEDIA_MANIFEST, &body).await.expect(201);
    assert_eq!(pushed.header("oci-subject"), subject["digest"].as_str().expect("a digest"));
    digest_of(&body)
}

fn digests(index: &Value) -> Vec<String> {
    let manifests = index["manifests"].as_array().expect("a list of manifests");
    manifests.iter().map(|manifest| manifest["digest"].as_str().expect("a digest").to_owned()).collect()
}

async fn tags_and_catalog_come_in_pages(stores: Stores) {
    let server = Server::start(ServerOptions { stores, ..ServerOptions::default() });
    let admin = server.admin();
    let image = Image::tiny("paged");
    // In the order of bytes, whatever the database's language: capitals and underscores show it.
    let tags = ["A", "Z", "_x", "a", "b", "z-1"];
    for tag in tags {
        let _pushed = image.push(&admin, "team/app", tag).await.expect(201);
    }
    for repository in ["a/one", "b/two"] {
        let _pushed = image.push(&admin, repository, "v1").await.expect(201);
    }
    let all = admin.get("/v2/team/app/tags/list").await.expect(200);
    assert_eq!(all.json(), json!({ "name": "team/app", "tags": tags }));
    assert_eq!(walk(&admin, "/v2/team/app/tags/list?n=4", "tags").await, [&tags[..4], &tags[4..]]);
    let after = admin.get("/v2/team/app/tags/list?last=_x").await.expect(200);
    assert_eq!(after.json()["tags"], json!(["a", "b", "z-1"]));
    let none = admin.get("/v2/team/app/tags/list?n=0").await.expect(200);
    assert_eq!((none.json()["tags"].clone(), none.header("link")), (json!([]), ""));

    let pages = walk(&admin, "/v2/_catalog?n=2", "repositories").await;
    assert_eq!(pages, [vec!["a/one", "b/two"], vec!["team/app"]]);
}

#[tokio::test]
async fn tags_and_catalog_come_in_pages_local() {
    tags_and_catalog_come_in_pages(Stores::Local).await;
}

#[tokio::test]
async fn tags_and_catalog_come_in_pages_remote() {
    tags_and_catalog_come_in_pages(Stores::Remote).await;
}

/// Follows `Link` headers; the items of each page.
async fn walk(http: &Http, first: &str, key: &str) -> Vec<Vec<String>> {
    let (mut pages, mut path) = (Vec::new(), first.to_owned());
    loop {
        let page = http.get(&path).await.expect(200);
        let items = page.json()[key].as_array().expect("a list").clone();
        pages.push(items.iter().map(|item| item.as_str().expect("text").to_owned()).collect());
        assert!(pages.len() < 10, "the pages never end: {pages:?}");
        let link = page.header("link").to_owned();
        let Some(rest) = link.strip_prefix('<') else { return pages };
        assert!(link.ends_with("rel=\"next\""), "{link}");
        path = rest.split_once('>').expect("a closed link").0.to_owned();
    }
}

#[tokio::test]
async fn sha512_is_spoken_too() {
    use sha2::Digest as _;
    let server = Server::plain();
    let admin = server.admin();
    let sha512 = |bytes: &[u8]| format!("sha512:{}", hex::encode(sha2::Sha512::digest(bytes)));
    let content = pseudo_random(9, 5000);
    let path = format!("/v2/team/app/blobs/uploads/?digest={}", sha512(&content));
    let octets = [("Content-Type", "application/octet-stream")];
    let pushed = admin.send(Method::POST, &path, &octets, content.clone()).await.expect(201);
    assert_eq!(pushed.header("docker-content-digest"), sha512(&content));
    let blob = admin.get(&format!("/v2/team/app/blobs/{}", sha512(&content))).await.expect(200);
    assert_eq!((blob.header("docker-content-digest"), &blob.body[..]), (sha512(&content).as_str(), &content[..]));

    let index = json!({ "schemaVersion": 2, "mediaType": MEDIA_INDEX, "manifests": [] }).to_string().into_bytes();
    let pushed = admin.put_manifest("team/app", &sha512(&index), MEDIA_INDEX, &index).await.expect(201);
    assert_eq!(pushed.header("docker-content-digest"), sha512(&index));
    let _got = admin.get(&format!("/v2/team/app/manifests/{}", sha512(&index))).await.expect(200);
}

#[tokio::test]
async fn deleting_a_tag_leaves_the_manifest_and_deleting_the_manifest_takes_its_tags() {
    let server = Server::plain();
    let (admin, image) = (server.admin(), Image::tiny("deleted"));
    for tag in ["v1", "v2"] {
        let _pushed = image.push(&admin, "team/app", tag).await.expect(201);
    }
    let by_digest = format!("/v2/team/app/manifests/{}", image.digest());
    let _untagged = admin.delete("/v2/team/app/manifests/v1").await.expect(202);
    let _gone = admin.head("/v2/team/app/manifests/v1").await.expect(404);
    let _still = admin.get(&by_digest).await.expect(200);
    let _deleted = admin.delete(&by_digest).await.expect(202);
    let _gone = admin.get(&by_digest).await.expect(404);
    let _gone = admin.get("/v2/team/app/manifests/v2").await.expect(404);
    // And the same again is like new.
    let _pushed = image.push(&admin, "team/app", "v1").await.expect(201);
    let _back = admin.get("/v2/team/app/manifests/v1").await.expect(200);
}

#[tokio::test]
async fn registries_of_one_server_are_told_apart_by_host() {
    let server = Server::start(ServerOptions::with(&["--domain", "registry.test"]));
    server.cli(&["registry", "create", "--name", "second"]).success();
    let shown = server.cli(&["registry", "show", "-n", "second", "--output", "json"]).success().json();
    let port = server.address().rsplit(':').next().expect("a port").to_owned();
    assert_eq!(shown["loginServer"], format!("second.registry.test:{port}"), "as clients reach it");

    let (first, second) = (server.enable_admin("default"), server.enable_admin("second"));
    let on = |account: &shorepass_e2e::Account| server.http().with(account.basic());
    let (default, second) = (on(&first), on(&second));
    let at = |host: &'static str| [("Host", host)];
    let [default_host, second_host] = ["default.registry.test", "second.registry.test"];

    let challenge = server.http().send(Method::GET, "/v2/", &at(second_host), "").await.expect(401);
    assert!(challenge.header("www-authenticate").contains("service=\"second.registry.test\""), "{challenge:?}");
    let _own = second.send(Method::GET, "/v2/", &at(second_host), "").await.expect(200);
    let _case = second.send(Method::GET, "/v2/", &at("Second.Registry.TEST"), "").await.expect(200);
    let _foreign = second.send(Method::GET, "/v2/", &at(default_host), "").await.expect(401);
    let _foreign = default.send(Method::GET, "/v2/", &at(second_host), "").await.expect(401);
    let unknown = default.send(Method::GET, "/v2/", &at("third.registry.test"), "").await;
    assert!(matches!(unknown.status, 404 | 421), "{unknown:?}");
    let _loopback = default.get("/v2/").await.expect(200);

    let _pushed = Image::tiny("in default").push(&default, "team/app", "v1").await.expect(201);
    let tags = "/v2/team/app/tags/list";
    let _here = default.send(Method::GET, tags, &at(default_host), "").await.expect(200);
    let _not_there = second.send(Method::GET, tags, &at(second_host), "").await.expect(404);
}

/// A large image passes through in pieces: the server's memory does not grow with it.
async fn memory_is_bounded(stores: Stores, mebibytes: usize, most_kibibytes: u64) {
    let size = mebibytes << 20;
    let server = Server::start(ServerOptions { stores, ..ServerOptions::default() });
    let admin = server.admin();
    let _warm = Image::tiny("warm").push(&admin, "warm/up", "v1").await.expect(201);
    let before = server.peak_memory();

    let piece = bytes::Bytes::from(pseudo_random(11, 1 << 20));
    let digest = {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        (0..mebibytes).for_each(|_| hash.update(&piece));
        format!("sha256:{}", hex::encode(hash.finalize()))
    };
    let pieces = futures::stream::iter(vec![piece; mebibytes]).map(Ok::<_, std::io::Error>);
    let opened = admin.send(Method::POST, "/v2/big/blob/blobs/uploads/", &[], "").await.expect(202);
    let sent = admin.send(Method::PATCH, opened.header("location"), &[], reqwest::Body::wrap_stream(pieces)).await;
    let sent = sent.expect(202);
    assert_eq!(sent.header("range"), format!("0-{}", size - 1));
    let location = sent.header("location");
    let separator = if location.contains('?') { '&' } else { '?' };
    let closing = format!("{location}{separator}digest={digest}");
    let _stored = admin.send(Method::PUT, &closing, &[], "").await.expect(201);
    let pulled = admin.get(&format!("/v2/big/blob/blobs/{digest}")).await.expect(200);
    assert_eq!(pulled.body.len(), size);

    let grown = server.peak_memory() - before;
    println!("{mebibytes} MiB in and out of {stores:?} stores: {grown} KiB more memory");
    assert!(grown < most_kibibytes, "{mebibytes} MiB in and out took {grown} KiB more memory");
}

#[tokio::test]
async fn memory_is_bounded_whatever_the_size_local() {
    memory_is_bounded(Stores::Local, 300, 8 << 10).await;
}

/// S3 takes parts of some MiB, and the client that sends them keeps one for a retry.
#[tokio::test]
async fn memory_is_bounded_whatever_the_size_remote() {
    memory_is_bounded(Stores::Remote, 120, 48 << 10).await;
}

fn sign_in(server: &Server) {
    let (token, host) = (server.refresh_token("default"), server.host());
    let user = shorepass_e2e::NULL_GUID;
    let login = ["login", "--tls-verify=false", "--username", user, "--password-stdin", &host];
    server.toolbox().podman_with_input(&login, &token).success();
}

fn layout(folder: &Path) -> String {
    format!("oci:{}:v1", folder.display())
}
