//! Repositories and their tombstones.

use shorepass_store::rows::{DeleteOutcome, Locks, LocksPatch, RepositoryLookup, RepositoryStats};

use crate::fixture::{Fixture, at, deleted, digest, id, manifest, name};

pub async fn a_repository_is_in_the_catalog_while_it_holds_a_manifest(f: Fixture) {
    f.commit("app", "layer", 1).await;
    assert_eq!(f.catalog().await, Vec::<String>::new(), "a blob makes no catalog entry");
    let app = f.push("app", 2, manifest("m"), &["layer"], &["v1", "v2"]).await;
    assert_eq!(f.catalog().await, ["app"]);
    let stats = f.store.repository_stats(app).await.unwrap();
    assert_eq!(stats, RepositoryStats { manifest_count: 1, tag_count: 2 });
    f.store.delete_manifest(app, &digest("m"), at(3)).await.unwrap();
    assert_eq!(f.catalog().await, Vec::<String>::new());
    let row = f.repository("app").await.unwrap();
    assert_eq!((row.id, row.created_at, row.updated_at), (app, at(1), at(3)), "the repository itself stays");
}

pub async fn a_deleted_repository_leaves_its_name_and_the_time(f: Fixture) {
    let app = f.push("app", 1, manifest("m"), &[], &["v1"]).await;
    assert_eq!(f.store.delete_repository(app, at(5)).await.unwrap(), deleted(&[]));
    assert_eq!(f.store.delete_repository(app, at(6)).await.unwrap(), DeleteOutcome::NotFound);
    let lookup = f.store.repository(f.registry, &name("app")).await.unwrap();
    assert_eq!(lookup, RepositoryLookup { row: None, deleted_at: Some(at(5)) });
    assert_eq!(f.store.repository(f.registry, &name("other")).await.unwrap(), RepositoryLookup::default());
    assert_eq!(f.catalog().await, Vec::<String>::new());
}

pub async fn a_new_repository_of_an_old_name_inherits_nothing(f: Fixture) {
    f.commit("app", "layer", 1).await;
    let old = f.push("app", 1, manifest("m"), &["layer"], &["v1"]).await;
    f.store
        .lock_repository(old, &LocksPatch { list_enabled: Some(false), ..LocksPatch::default() }, at(2))
        .await
        .unwrap();
    f.store.delete_repository(old, at(5)).await.unwrap();
    let new = f.push("app", 9, manifest("n"), &[], &["v2"]).await;
    assert_ne!(new, old);
    let lookup = f.store.repository(f.registry, &name("app")).await.unwrap();
    let row = lookup.row.unwrap();
    assert_eq!((row.id, row.locks, row.created_at), (new, Locks::default(), at(9)));
    assert_eq!(lookup.deleted_at, Some(at(5)));
    assert_eq!(f.store.blob(new, &digest("layer")).await.unwrap(), None);
    assert_eq!(f.store.tag(new, &name("v1")).await.unwrap(), None);
    f.store.delete_repository(new, at(12)).await.unwrap();
    assert_eq!(
        f.store.repository(f.registry, &name("app")).await.unwrap().deleted_at,
        Some(at(12)),
        "the latest counts"
    );
}

pub async fn locks_are_patched_one_by_one(f: Fixture) {
    let app = f.push("app", 1, manifest("m"), &[], &["v1"]).await;
    let off = |field: &str| {
        let mut patch = LocksPatch::default();
        *match field {
            "delete" => &mut patch.delete_enabled,
            "write" => &mut patch.write_enabled,
            "read" => &mut patch.read_enabled,
            _ => &mut patch.list_enabled,
        } = Some(false);
        patch
    };
    let mut locks = Locks::default();
    for (field, now) in [("delete", 2), ("read", 3), ("list", 4), ("write", 5)] {
        *match field {
            "delete" => &mut locks.delete_enabled,
            "write" => &mut locks.write_enabled,
            "read" => &mut locks.read_enabled,
            _ => &mut locks.list_enabled,
        } = false;
        let row = f.store.lock_repository(app, &off(field), at(now)).await.unwrap().unwrap();
        assert_eq!((row.locks, row.updated_at), (locks, at(now)), "{field}");
        let tag = f.store.lock_tag(app, &name("v1"), &off(field), at(now)).await.unwrap().unwrap();
        assert_eq!((tag.locks, tag.updated_at, tag.created_at), (locks, at(now), at(1)), "{field}");
        let summary = f.store.lock_manifest(app, &digest("m"), &off(field), at(now)).await.unwrap().unwrap();
        assert_eq!((summary.locks, summary.tags.len()), (locks, 1), "{field}");
    }
    assert_eq!(f.repository("app").await.unwrap().locks, locks);
    assert_eq!(f.store.lock_repository(id(), &off("read"), at(9)).await.unwrap(), None);
    assert_eq!(f.store.lock_tag(app, &name("v9"), &off("read"), at(9)).await.unwrap(), None);
    assert_eq!(f.store.lock_manifest(app, &digest("x"), &off("read"), at(9)).await.unwrap(), None);
}
