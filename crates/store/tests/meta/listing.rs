//! Lists: their order, their pages, their filters.

use shorepass_store::rows::{LocksPatch, ManifestRow};

use crate::fixture::{Fixture, at, digest, id, manifest, name};

const UNLISTED: LocksPatch =
    LocksPatch { list_enabled: Some(false), delete_enabled: None, write_enabled: None, read_enabled: None };

/// A language's order puts `ab` before `a-b`, or `B` behind `a`.
pub async fn names_are_ordered_by_their_bytes(f: Fixture) {
    let repositories = ["a-b", "a.b", "a/b", "a0", "a_b", "ab", "b"];
    for repository in ["ab", "b", "a_b", "a-b", "a0", "a/b", "a.b"] {
        f.push(repository, 1, manifest("m"), &[], &[]).await;
    }
    assert_eq!(f.catalog().await, repositories);
    let tags = ["1", "B", "Z.a", "_x", "a", "a-b", "a.b", "a_b", "ab"];
    let app = f.push("ab", 1, manifest("m"), &[], &["ab", "_x", "a_b", "B", "a", "1", "a.b", "Z.a", "a-b"]).await;
    let listed = f.store.tags(app, None, 100, false).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), tags);
    let summary = f.store.manifest_summary(app, &digest("m")).await.unwrap().unwrap();
    assert_eq!(summary.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), tags);
    for after in 0..tags.len() {
        let rest = f.store.tags(app, Some(tags[after]), 100, false).await.unwrap();
        assert_eq!(rest.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), tags[after + 1..]);
    }
}

pub async fn pages_meet_without_gap_or_overlap(f: Fixture) {
    let names = ["a-b", "a.b", "a/b", "a_b", "ab", "b/c/d"];
    for (n, repository) in names.iter().enumerate() {
        f.push(repository, 1, manifest(&format!("m{n}")), &[], &[]).await;
        f.push("ab", 1, manifest(&format!("m{n}")), &[], &[]).await;
    }
    f.commit("a-only-a-blob", "layer", 1).await;
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = f.store.repositories(f.registry, after.as_deref(), 2, true).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.name.to_string());
        seen.extend(page.into_iter().map(|row| row.name.to_string()));
    }
    assert_eq!(seen, names);
    assert_eq!(f.store.repositories(id(), None, 10, false).await.unwrap(), [], "another registry's");
    assert_eq!(f.store.repositories(f.registry, Some("a0"), 1, false).await.unwrap()[0].name.as_str(), "a_b");
    let app = f.id_of("ab").await;
    let first = f.store.manifests(app, None, 4).await.unwrap();
    let rest = f.store.manifests(app, Some(first[3].digest.as_str()), 4).await.unwrap();
    let all: Vec<_> = first.iter().chain(&rest).map(|row| row.digest.clone()).collect();
    assert_eq!(all, (0..6).map(|n| digest(&format!("m{n}"))).collect::<Vec<_>>());
}

pub async fn unlisted_things_are_left_out_on_request(f: Fixture) {
    let app = f.push("app", 1, manifest("m"), &[], &["v1", "v2"]).await;
    f.push("other", 1, manifest("m"), &[], &[]).await;
    f.store.lock_repository(app, &UNLISTED, at(2)).await.unwrap();
    f.store.lock_tag(app, &name("v1"), &UNLISTED, at(2)).await.unwrap();
    for (listed_only, repositories, tags) in
        [(true, vec!["other"], vec!["v2"]), (false, vec!["app", "other"], vec!["v1", "v2"])]
    {
        let rows = f.store.repositories(f.registry, None, 10, listed_only).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), repositories);
        let rows = f.store.tags(app, None, 10, listed_only).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), tags);
    }
}

pub async fn manifests_come_with_their_tags(f: Fixture) {
    let app = f.push("app", 1, manifest("a"), &[], &["t2", "t1", "t3"]).await;
    f.push("app", 2, manifest("b"), &[], &[]).await;
    f.push("app", 3, manifest("c"), &[], &["t4"]).await;
    let listed = f.store.manifests(app, None, 2).await.unwrap();
    let tags: Vec<Vec<&str>> = listed.iter().map(|m| m.tags.iter().map(|tag| tag.as_str()).collect()).collect();
    assert_eq!(tags, [vec!["t1", "t2", "t3"], vec![]], "the limit counts manifests, not tags");
    assert_eq!(
        (listed[0].image_size, listed[0].architecture.as_deref(), listed[0].os.as_deref()),
        (1000, Some("amd64"), None)
    );
}

pub async fn referrers_are_filtered_and_paged(f: Fixture) {
    let referrer = |of: &str, called: &str, artifact_type: &str| ManifestRow {
        subject: Some(digest(of)),
        artifact_type: Some(artifact_type.into()),
        annotations: Some(format!("{{\"name\":\"{called}\"}}")),
        ..manifest(called)
    };
    let app = f.push("app", 1, referrer("s", "r1", "application/sbom"), &[], &[]).await;
    for (of, called, artifact_type) in
        [("s", "r3", "application/sbom"), ("s", "r2", "application/signature"), ("else", "r4", "application/sbom")]
    {
        f.push("app", 1, referrer(of, called, artifact_type), &[], &[]).await;
    }
    f.push("other", 1, referrer("s", "r5", "application/sbom"), &[], &[]).await;
    let list = async |artifact_type, after: Option<&str>, limit| {
        let after = after.map(digest);
        let after = after.as_ref().map(|digest| digest.as_str());
        let rows = f.store.referrers(app, &digest("s"), artifact_type, after, limit).await.unwrap();
        rows.into_iter().map(|row| row.annotations.unwrap()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list(None, None, 10).await, r#"{"name":"r1"} {"name":"r2"} {"name":"r3"}"#);
    assert_eq!(list(Some("application/sbom"), None, 10).await, r#"{"name":"r1"} {"name":"r3"}"#);
    assert_eq!(list(Some("application/sbom"), None, 1).await, r#"{"name":"r1"}"#);
    assert_eq!(list(Some("application/sbom"), Some("r1"), 10).await, r#"{"name":"r3"}"#);
    assert_eq!(list(None, Some("r2"), 10).await, r#"{"name":"r3"}"#);
    assert_eq!(list(Some("application/none"), None, 10).await, "");
    let first = f.store.referrers(app, &digest("s"), None, None, 1).await.unwrap().remove(0);
    assert_eq!(first.size, i64::try_from(manifest("r1").body.len()).unwrap());
    assert_eq!((first.digest, first.media_type), (digest("r1"), manifest("r1").media_type));
}

/// SQLite reads a negative limit as none at all.
pub async fn a_limit_of_nothing_is_nothing(f: Fixture) {
    let app = f.push("app", 1, manifest("m"), &[], &["v1"]).await;
    for limit in [0, -1] {
        assert_eq!(f.store.repositories(f.registry, None, limit, false).await.unwrap(), []);
        assert_eq!(f.store.tags(app, None, limit, false).await.unwrap(), []);
        assert_eq!(f.store.manifests(app, None, limit).await.unwrap(), []);
        assert_eq!(f.store.collect(at(1_000_000), limit).await.unwrap(), 0);
    }
}
