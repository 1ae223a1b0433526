//! What collection removes, when, and what it leaves.

use std::time::Duration;

use shorepass_core::Reference;
use shorepass_store::rows::{LocksPatch, RepositoryLookup};

use crate::fixture::{Fixture, GRACE, at, digest, id, manifest, name, registry_row};

pub async fn a_blob_no_manifest_ever_named_goes_after_the_grace(f: Fixture) {
    let blob = f.commit("app", "layer", 0).await;
    let app = f.id_of("app").await;
    f.collect(at(0).plus(Duration::from_hours(23))).await;
    assert!(f.store.blob(app, &digest("layer")).await.unwrap().is_some(), "a manifest may still come");
    let link_gone = at(0).plus(GRACE);
    f.collect(link_gone).await;
    assert_eq!(f.store.blob(app, &digest("layer")).await.unwrap(), None);
    assert_eq!(f.dead().await, Vec::<String>::new(), "somebody may be reading it still");
    f.collect(link_gone.plus(GRACE)).await;
    assert_eq!(f.dead().await, [blob.key]);
}

pub async fn a_blob_goes_after_its_last_manifest(f: Fixture) {
    let blob = f.commit("app", "layer", 0).await;
    let app = f.push("app", 1, manifest("m"), &["layer"], &["v1"]).await;
    f.push("app", 2, manifest("n"), &["layer"], &["v2"]).await;
    let mut now = at(0).plus(GRACE);
    f.collect(now).await;
    f.store.delete_manifest(app, &digest("m"), now).await.unwrap();
    now = now.plus(GRACE);
    f.collect(now).await;
    assert!(f.store.blob(app, &digest("layer")).await.unwrap().is_some(), "the other manifest needs it");
    f.store.delete_manifest(app, &digest("n"), now).await.unwrap();
    f.collect(now.plus(Duration::from_hours(23))).await;
    assert!(f.store.blob(app, &digest("layer")).await.unwrap().is_some(), "it has its grace");
    now = now.plus(GRACE);
    f.collect(now).await;
    assert_eq!(f.store.blob(app, &digest("layer")).await.unwrap(), None);
    f.collect(now.plus(GRACE)).await;
    assert_eq!(f.dead().await, [blob.key]);
}

pub async fn a_blob_that_is_pushed_again_is_not_collected(f: Fixture) {
    let first = f.commit("app", "layer", 0).await;
    f.collect(at(0).plus(GRACE)).await;
    let app = f.id_of("app").await;
    assert_eq!(f.store.blob(app, &digest("layer")).await.unwrap(), None);
    let seconds = i64::try_from(GRACE.as_secs()).unwrap();
    let again = f.commit("app", "layer", seconds + 10).await;
    assert_eq!(again, first, "the object was not gone yet");
    f.push("app", seconds + 11, manifest("m"), &["layer"], &[]).await;
    f.collect(at(0).plus(10 * GRACE)).await;
    assert_eq!(f.store.blob(app, &digest("layer")).await.unwrap(), Some(first.clone()));
    assert!(!f.dead().await.contains(&first.key));
}

pub async fn a_blob_of_two_repositories_outlives_one(f: Fixture) {
    let blob = f.commit("app", "layer", 0).await;
    f.store.mount_blob(f.id_of("app").await, &f.target("other", 1), &digest("layer")).await.unwrap().unwrap();
    let other = f.push("other", 2, manifest("m"), &["layer"], &[]).await;
    f.store.delete_repository(f.id_of("app").await, at(3)).await.unwrap();
    f.collect(at(3).plus(10 * GRACE)).await;
    f.collect(at(3).plus(20 * GRACE)).await;
    assert_eq!(f.store.blob(other, &digest("layer")).await.unwrap(), Some(blob));
    assert_eq!(f.dead().await, Vec::<String>::new());
}

pub async fn a_locked_repository_loses_nothing_to_collection(f: Fixture) {
    f.commit("app", "layer", 0).await;
    let app = f.id_of("app").await;
    let lock = |on| LocksPatch { delete_enabled: Some(on), ..LocksPatch::default() };
    f.store.lock_repository(app, &lock(false), at(1)).await.unwrap();
    f.collect(at(1).plus(GRACE)).await;
    assert!(f.store.blob(app, &digest("layer")).await.unwrap().is_some());
    f.store.lock_repository(app, &lock(true), at(2)).await.unwrap();
    f.collect(at(1).plus(3 * GRACE)).await;
    assert_eq!(f.store.blob(app, &digest("layer")).await.unwrap(), None);
}

pub async fn a_deleted_repository_is_emptied_and_then_forgotten(f: Fixture) {
    let blob = f.commit("app", "layer", 0).await;
    let tags: Vec<String> = (0..1200).map(|n| format!("t{n}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let app = f.push("app", 1, manifest("m"), &["layer"], &tags).await;
    f.push("app", 1, manifest("n"), &["layer"], &[]).await;
    f.store.delete_repository(app, at(2)).await.unwrap();
    f.collect(at(3)).await;
    assert_eq!(f.store.repository_stats(app).await.unwrap().tag_count, 0);
    assert_eq!(f.store.repository_stats(app).await.unwrap().manifest_count, 0);
    assert_eq!(f.store.manifest(app, &Reference::Digest(digest("m"))).await.unwrap(), None);
    assert_eq!(f.store.blob(app, &digest("layer")).await.unwrap(), None);
    let lookup = async || f.store.repository(f.registry, &name("app")).await.unwrap();
    f.collect(at(2).plus(Duration::from_hours(24))).await;
    assert_eq!(lookup().await.deleted_at, Some(at(2)), "a token of before the deletion may still live");
    assert_eq!(f.dead().await, Vec::<String>::new());
    f.collect(at(3).plus(GRACE)).await;
    assert_eq!(lookup().await, RepositoryLookup::default());
    assert_eq!(f.dead().await, [blob.key]);
}

pub async fn a_deleted_registry_is_removed_to_its_last_row(f: Fixture) {
    let group = f.store.default_resource_group().await.unwrap().unwrap();
    let registry = registry_row("second", group.id);
    f.store.create_registry(&registry).await.unwrap();
    let kept = f.commit("app", "kept", 0).await;
    let app = f.push("app", 1, manifest("m"), &["kept"], &[]).await;
    let mut target = f.target("app", 1);
    target.registry_id = registry.id;
    let lost = crate::fixture::blob("lost");
    f.store.commit_blob(&target, &lost, None).await.unwrap().unwrap();
    f.store.mount_blob(app, &target, &digest("kept")).await.unwrap().unwrap();
    let mut put = f.put("app", 2, manifest("n"), &["lost", "kept"], &["v1"]);
    put.target = target;
    let (repository, _) = f.stored(&put).await;
    let locked = LocksPatch { delete_enabled: Some(false), ..LocksPatch::default() };
    f.store.lock_repository(repository.id, &locked, at(3)).await.unwrap();
    f.store.delete_registry(registry.id, at(4)).await.unwrap();
    for round in 0..8 {
        f.collect(at(5).plus(round * GRACE)).await;
    }
    assert_eq!(f.dead().await, [lost.key]);
    assert_eq!(f.store.blob(app, &digest("kept")).await.unwrap(), Some(kept));
    assert_eq!(f.catalog().await, ["app"]);
    // Its id is free again only when no row of it is left.
    assert!(f.store.create_registry(&registry).await.unwrap());
    let lookup = f.store.repository(registry.id, &name("app")).await.unwrap();
    assert_eq!(lookup, RepositoryLookup::default());
}

pub async fn collection_looks_at_no_more_than_it_was_told(f: Fixture) {
    for n in 0..10 {
        f.commit("app", &format!("layer-{n}"), 0).await;
    }
    f.store.delete_repository(f.push("gone", 1, manifest("m"), &[], &[]).await, at(2)).await.unwrap();
    let now = at(0).plus(GRACE);
    let mut total = 0;
    loop {
        let looked = f.store.collect(now, 4).await.unwrap();
        assert!(looked <= 4, "{looked}");
        if looked == 0 {
            break;
        }
        total += looked;
    }
    assert!(total >= 11, "{total}");
    assert_eq!(f.store.collect(now, 4).await.unwrap(), 0);
    assert_eq!(f.store.blob(id(), &digest("layer-1")).await.unwrap(), None);
    assert_eq!(f.store.blob(f.id_of("app").await, &digest("layer-1")).await.unwrap(), None);
}
