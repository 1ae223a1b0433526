//! Uploads: in pieces, interrupted, resumed, mounted, refused.

use std::io::Write as _;
use std::net::TcpStream;

use http::Method;
use shorepass_e2e::{Answer, Http, Server, ServerOptions, Stores, digest_of, eventually, pseudo_random};

const OCTETS: (&str, &str) = ("Content-Type", "application/octet-stream");

async fn open(http: &Http, repository: &str) -> String {
    let opened = http.send(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), &[], "").await.expect(202);
    opened.header("location").to_owned()
}

async fn patch(http: &Http, location: &str, start: usize, content: &[u8]) -> Answer {
    let range = format!("{start}-{}", start + content.len() - 1);
    http.send(Method::PATCH, location, &[("Content-Range", range.as_str()), OCTETS], content.to_vec()).await
}

async fn close(http: &Http, location: &str, digest: &str) -> Answer {
    let separator = if location.contains('?') { '&' } else { '?' };
    http.send(Method::PUT, &format!("{location}{separator}digest={digest}"), &[], "").await
}

/// How many bytes the server says it has.
fn held(status: &Answer) -> usize {
    let range = status.header("range");
    let last: usize = range.strip_prefix("0-").expect("a range from 0").parse().expect("a number");
    if last == 0 { 0 } else { last + 1 }
}

#[tokio::test]
async fn chunks_come_in_order_or_are_refused() {
    let server = Server::plain();
    let (admin, content) = (server.admin(), pseudo_random(1, 3000));
    let location = open(&admin, "team/app").await;
    let _early = patch(&admin, &location, 1024, &content[1024..2048]).await.expect(416);
    let first = patch(&admin, &location, 0, &content[..1024]).await.expect(202);
    assert_eq!(first.header("range"), "0-1023");
    let location = first.header("location").to_owned();
    let _gap = patch(&admin, &location, 2048, &content[2048..]).await.expect(416);
    let status = admin.get(&location).await.expect(204);
    assert_eq!(status.header("range"), "0-1023");
    let second = patch(&admin, &location, 1024, &content[1024..]).await.expect(202);
    let _again = patch(&admin, second.header("location"), 0, &content[..1024]).await.expect(416);
    let stored = close(&admin, second.header("location"), &digest_of(&content)).await.expect(201);
    assert_eq!(admin.get(stored.header("location")).await.expect(200).body, content);
}

#[tokio::test]
async fn an_upload_goes_on_after_the_connection_was_lost() {
    let server = Server::plain();
    let (account, content) = (server.enable_admin("default"), pseudo_random(2, 3 << 20));
    let admin = server.http().with(account.basic());
    let location = open(&admin, "team/app").await;
    let path = location.strip_prefix(&server.endpoint()).unwrap_or(&location).to_owned();
    {
        let mut stream = TcpStream::connect(server.address()).expect("the server accepts connections");
        let (host, length, authorization) = (server.host(), content.len(), account.basic());
        let head = format!(
            "PATCH {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\nContent-Length: {length}\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("the head is sent");
        stream.write_all(&content[..2 << 20]).expect("most of the content is sent");
    }
    let status = eventually("the upload's status", async || {
        let status = admin.get(&location).await;
        (status.status == 204 && held(&status) > 0).then_some(status)
    })
    .await;
    let held = held(&status);
    assert!(held <= 2 << 20, "no more than was sent");
    let rest = patch(&admin, status.header("location"), held, &content[held..]).await.expect(202);
    let stored = close(&admin, rest.header("location"), &digest_of(&content)).await.expect(201);
    assert_eq!(admin.get(stored.header("location")).await.expect(200).body, content);
}

async fn an_upload_survives_a_killed_server(stores: Stores) {
    let mut server = Server::start(ServerOptions { stores, ..ServerOptions::default() });
    let (admin, content) = (server.admin(), pseudo_random(3, 13 << 20));
    let location = open(&admin, "team/app").await;
    // More than one part of an S3 upload, and an uneven end.
    let cut = (11 << 20) + 17;
    let first = patch(&admin, &location, 0, &content[..cut]).await.expect(202);
    server.kill();
    server.start_again();

    let admin = server.admin();
    let status = admin.get(first.header("location")).await.expect(204);
    assert_eq!(held(&status), cut, "what was acknowledged is there");
    let second = patch(&admin, status.header("location"), cut, &content[cut..]).await.expect(202);
    let stored = close(&admin, second.header("location"), &digest_of(&content)).await.expect(201);
    server.kill();
    server.start_again();
    let admin = server.admin();
    assert_eq!(admin.get(stored.header("location")).await.expect(200).body, content, "a 201 is durable");
}

#[tokio::test]
async fn an_upload_survives_a_killed_server_local() {
    an_upload_survives_a_killed_server(Stores::Local).await;
}

#[tokio::test]
async fn an_upload_survives_a_killed_server_remote() {
    an_upload_survives_a_killed_server(Stores::Remote).await;
}

#[tokio::test]
async fn a_mount_needs_read_on_the_source() {
    let server = Server::plain();
    let (admin, content, host) = (server.admin(), pseudo_random(4, 4096), server.host());
    let digest = digest_of(&content);
    let _pushed = admin.push_blob("source/app", &content).await.expect(201);
    let mount = |to: &str, from: &str| format!("/v2/{to}/blobs/uploads/?mount={digest}&from={from}");

    let both = ["repository:target/app:pull,push", "repository:source/app:pull"];
    let allowed = admin.with_token(&host, &both).await;
    let mounted = allowed.send(Method::POST, &mount("target/app", "source/app"), &[], "").await.expect(201);
    assert_eq!(allowed.get(mounted.header("location")).await.expect(200).body, content);

    let narrow = admin.with_token(&host, &["repository:other/app:pull,push"]).await;
    let answer = narrow.send(Method::POST, &mount("other/app", "source/app"), &[], "").await;
    assert!(matches!(answer.status, 202 | 401), "an upload or a challenge, never the blob: {answer:?}");
    let _hidden = admin.head(&format!("/v2/other/app/blobs/{digest}")).await.expect(404);

    let nowhere = admin.send(Method::POST, &mount("other/app", "never/was"), &[], "").await.expect(202);
    let stored = admin.send(Method::PUT, &closing(&nowhere, &digest), &[OCTETS], content.clone()).await;
    let _stored = stored.expect(201);
}

#[tokio::test]
async fn a_mount_without_a_source_reveals_nothing() {
    let server = Server::plain();
    let (admin, content, host) = (server.admin(), pseudo_random(5, 4096), server.host());
    let _pushed = admin.push_blob("secret/app", &content).await.expect(201);
    let stranger = admin.with_token(&host, &["repository:own/app:pull,push"]).await;
    let mount = |digest: &str| format!("/v2/own/app/blobs/uploads/?mount={digest}");
    let existing = stranger.send(Method::POST, &mount(&digest_of(&content)), &[], "").await;
    let missing = stranger.send(Method::POST, &mount(&digest_of(b"nowhere")), &[], "").await;
    assert_eq!((existing.status, missing.status), (202, 202), "existing and missing look the same");
    let _hidden = stranger.get(&format!("/v2/own/app/blobs/{}", digest_of(&content))).await.expect(404);
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let server = Server::plain();
    let (admin, host) = (server.admin(), server.host());
    let location = open(&admin, "theirs/app").await;
    let other = admin.with_token(&host, &["repository:ours/app:pull,push"]).await;
    let stolen = location.replace("theirs/app", "ours/app");
    for method in [Method::GET, Method::PATCH, Method::PUT, Method::DELETE] {
        let query = if method == Method::PUT { format!("?digest={}", digest_of(b"bytes")) } else { String::new() };
        let answer = other.send(method.clone(), &format!("{stolen}{query}"), &[OCTETS], "bytes").await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"), "{method}");
        let direct = other.send(method.clone(), &location, &[OCTETS], "bytes").await;
        assert_eq!(direct.status, 401, "{method} without the right");
    }
    let _intact = admin.get(&location).await.expect(204);
}

#[tokio::test]
async fn an_upload_can_be_cancelled() {
    let server = Server::plain();
    let admin = server.admin();
    let location = open(&admin, "team/app").await;
    let _cancelled = admin.delete(&location).await.expect(204);
    assert_eq!(admin.get(&location).await.expect(404).code(), "BLOB_UPLOAD_UNKNOWN");
}

async fn content_that_does_not_match_its_digest_is_refused(stores: Stores) {
    let server = Server::start(ServerOptions { stores, ..ServerOptions::default() });
    let admin = server.admin();
    let (digest, other) = (digest_of(b"announced"), pseudo_random(6, 3072));
    let single = format!("/v2/team/app/blobs/uploads/?digest={digest}");
    let refused = admin.send(Method::POST, &single, &[OCTETS], other.clone()).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "DIGEST_INVALID"));
    let location = open(&admin, "team/app").await;
    let sent = patch(&admin, &location, 0, &other).await.expect(202);
    assert_eq!(close(&admin, sent.header("location"), &digest).await.expect(400).code(), "DIGEST_INVALID");
    for wrong in ["sha256:short", "md5:d41d8cd98f00b204e9800998ecf8427e", "nonsense", ""] {
        let location = open(&admin, "team/app").await;
        assert_eq!(close(&admin, &location, wrong).await.expect(400).code(), "DIGEST_INVALID", "{wrong}");
    }
    let _absent = admin.head(&format!("/v2/team/app/blobs/{digest}")).await.expect(404);
}

#[tokio::test]
async fn content_that_does_not_match_its_digest_is_refused_local() {
    content_that_does_not_match_its_digest_is_refused(Stores::Local).await;
}

#[tokio::test]
async fn content_that_does_not_match_its_digest_is_refused_remote() {
    content_that_does_not_match_its_digest_is_refused(Stores::Remote).await;
}

fn closing(opened: &Answer, digest: &str) -> String {
    let location = opened.header("location");
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}digest={digest}")
}
