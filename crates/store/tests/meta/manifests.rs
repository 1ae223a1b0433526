//! Storing, finding and deleting manifests and tags.

use shorepass_core::{Digest, Reference};
use shorepass_store::rows::{DeleteOutcome, Locks, ManifestRow, PutManifest, PutOutcome};

use crate::fixture::{Fixture, at, deleted, digest, digests, manifest, name};

pub async fn a_manifest_is_found_by_tag_and_by_digest(f: Fixture) {
    let pushed = ManifestRow {
        artifact_type: Some("application/x".into()),
        subject: Some(digest("absent")),
        annotations: Some("{\"a\":\"b\"}".into()),
        ..manifest("m")
    };
    let app = f.push("app", 5, pushed.clone(), &[], &["v1"]).await;
    let expected = Some(ManifestRow { locks: Locks::default(), created_at: at(5), updated_at: at(5), ..pushed });
    let find = async |reference| f.store.manifest(app, &reference).await.unwrap();
    assert_eq!(find(Reference::Digest(digest("m"))).await, expected);
    assert_eq!(find(Reference::Tag(name("v1"))).await, expected);
    assert_eq!(find(Reference::Tag(name("V1"))).await, None, "tags have case");
    assert_eq!(find(Reference::Digest(digest("x"))).await, None);
}

pub async fn missing_content_is_listed_and_nothing_is_written(f: Fixture) {
    f.commit("elsewhere", "b1", 1).await;
    let nothing = PutManifest {
        manifests: digests(["c1", "c2"]),
        required_manifests: digests(["c1"]),
        ..f.put("app", 1, manifest("m"), &["b1", "b2", "b1"], &["v1"])
    };
    let PutOutcome::Missing { manifests, .. } = f.store.put_manifest(&nothing).await.unwrap() else {
        panic!("stored without its blobs")
    };
    assert_eq!(manifests, digests(["c1"]));
    assert_eq!(f.repository("app").await, None, "a refused manifest creates no repository");
    f.commit("app", "b2", 2).await;
    let missing = PutOutcome::Missing { blobs: digests(["b1"]), manifests: digests(["c1"]) };
    assert_eq!(f.store.put_manifest(&nothing).await.unwrap(), missing, "a blob elsewhere does not count");
    f.push("app", 3, manifest("c1"), &[], &[]).await;
    f.commit("app", "b1", 3).await;
    assert!(f.stored(&nothing).await.1, "a child that is not required may be absent");
    let app = f.id_of("app").await;
    assert_eq!(f.store.tag(app, &name("v1")).await.unwrap().unwrap().digest, digest("m"));
}

pub async fn a_manifest_with_a_thousand_layers(f: Fixture) {
    let mut layers: Vec<Digest> = (0..1100).map(|n| digest(&format!("layer-{n}"))).collect();
    f.commit("app", "layer-0", 1).await;
    f.commit("app", "layer-1099", 1).await;
    let mut put = PutManifest { blobs: layers.clone(), ..f.put("app", 1, manifest("m"), &[], &[]) };
    let PutOutcome::Missing { blobs, .. } = f.store.put_manifest(&put).await.unwrap() else { panic!("stored") };
    layers.pop();
    layers.remove(0);
    assert_eq!(blobs, layers);
    // The same layer over and over, as images with many empty layers have it.
    put.blobs = std::iter::repeat_with(|| digest("layer-0")).take(1100).collect();
    put.manifests = layers;
    assert!(f.stored(&put).await.1);
}

pub async fn pushing_again_keeps_the_first_row(f: Fixture) {
    f.commit("app", "layer", 1).await;
    let first = f.put("app", 2, manifest("m"), &["layer"], &["v1"]);
    assert!(f.stored(&first).await.1);
    let again = ManifestRow { media_type: "application/else".into(), ..manifest("m") };
    let (repository, created) = f.stored(&f.put("app", 9, again, &["layer"], &[])).await;
    assert!(!created);
    assert_eq!(repository.updated_at, at(9));
    let row = f.store.manifest_summary(repository.id, &digest("m")).await.unwrap().unwrap();
    assert_eq!((row.media_type, row.created_at, row.updated_at), (manifest("m").media_type, at(2), at(9)));
    assert_eq!(f.store.repository_stats(repository.id).await.unwrap().manifest_count, 1);
}

pub async fn a_tag_moves_and_keeps_its_birthday(f: Fixture) {
    let app = f.push("app", 1, manifest("m"), &[], &["latest", "v1"]).await;
    f.push("app", 2, manifest("n"), &[], &["latest", "v2"]).await;
    let tag = f.store.tag(app, &name("latest")).await.unwrap().unwrap();
    assert_eq!((tag.digest, tag.created_at, tag.updated_at), (digest("n"), at(1), at(2)));
    let left = f.store.manifest_summary(app, &digest("m")).await.unwrap().unwrap();
    assert_eq!(left.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["v1"]);
}

pub async fn deleting_a_manifest_takes_its_tags(f: Fixture) {
    let app = f.push("app", 1, manifest("m"), &[], &["b", "a", "B"]).await;
    f.push("app", 1, manifest("n"), &[], &["c"]).await;
    assert_eq!(f.store.delete_manifest(app, &digest("m"), at(2)).await.unwrap(), deleted(&["B", "a", "b"]));
    assert_eq!(f.store.delete_manifest(app, &digest("m"), at(2)).await.unwrap(), DeleteOutcome::NotFound);
    assert_eq!(f.store.tag(app, &name("a")).await.unwrap(), None);
    assert!(f.store.tag(app, &name("c")).await.unwrap().is_some());
}

pub async fn deleting_a_tag_leaves_the_manifest(f: Fixture) {
    let app = f.push("app", 1, manifest("m"), &[], &["v1", "v2"]).await;
    assert_eq!(f.store.delete_tag(app, &name("v1"), at(2)).await.unwrap(), deleted(&["v1"]));
    assert_eq!(f.store.delete_tag(app, &name("v1"), at(2)).await.unwrap(), DeleteOutcome::NotFound);
    let found = f.store.manifest(app, &Reference::Digest(digest("m"))).await.unwrap();
    assert!(found.is_some());
    assert!(f.store.tag(app, &name("v2")).await.unwrap().is_some());
}

pub async fn a_child_of_an_index_can_be_deleted(f: Fixture) {
    f.push("app", 1, manifest("child"), &[], &[]).await;
    let index = PutManifest {
        manifests: digests(["child"]),
        required_manifests: digests(["child"]),
        ..f.put("app", 2, manifest("index"), &[], &["v1"])
    };
    let (repository, _) = f.stored(&index).await;
    assert_eq!(f.store.delete_manifest(repository.id, &digest("child"), at(3)).await.unwrap(), deleted(&[]));
    assert!(f.store.manifest_summary(repository.id, &digest("index")).await.unwrap().is_some());
}

pub async fn quarantine_is_a_word_on_the_manifest(f: Fixture) {
    let quarantined = ManifestRow { quarantine_state: Some("Quarantine".into()), ..manifest("m") };
    let app = f.push("app", 1, quarantined, &[], &["v1"]).await;
    let states = async || {
        let row = f.store.manifest(app, &Reference::Tag(name("v1"))).await.unwrap().unwrap();
        let listed = f.store.manifests(app, None, 10).await.unwrap().remove(0);
        assert_eq!(row.quarantine_state, listed.quarantine_state);
        row.quarantine_state
    };
    assert_eq!(states().await.as_deref(), Some("Quarantine"));
    let passed = f.store.set_quarantine(app, &digest("m"), Some("Passed"), at(2)).await.unwrap().unwrap();
    assert_eq!((passed.quarantine_state.as_deref(), passed.updated_at), (Some("Passed"), at(2)));
    f.push("app", 3, manifest("m"), &[], &["v1"]).await;
    assert_eq!(states().await.as_deref(), Some("Passed"), "pushing it again does not lift it");
    f.store.set_quarantine(app, &digest("m"), None, at(4)).await.unwrap().unwrap();
    assert_eq!(states().await, None);
    assert_eq!(f.store.set_quarantine(app, &digest("x"), None, at(4)).await.unwrap(), None);
}
