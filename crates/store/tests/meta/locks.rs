//! What a lock forbids, and what it does not.

use shorepass_core::Reference;
use shorepass_store::rows::{LocksPatch, PutOutcome};

use crate::fixture::{Fixture, at, blob, deleted, digest, locked, manifest, name};

const NO_WRITE: LocksPatch =
    LocksPatch { write_enabled: Some(false), delete_enabled: None, read_enabled: None, list_enabled: None };
const NO_DELETE: LocksPatch =
    LocksPatch { delete_enabled: Some(false), write_enabled: None, read_enabled: None, list_enabled: None };
const FREE: LocksPatch =
    LocksPatch { delete_enabled: Some(true), write_enabled: Some(true), read_enabled: None, list_enabled: None };

pub async fn a_locked_repository_takes_no_manifest(f: Fixture) {
    let app = f.push("app", 1, manifest("m"), &[], &["v1"]).await;
    f.store.lock_repository(app, &NO_WRITE, at(2)).await.unwrap();
    let what = PutOutcome::Locked { what: "repository app".into() };
    for put in [f.put("app", 3, manifest("n"), &[], &[]), f.put("app", 3, manifest("m"), &[], &["v2"])] {
        assert_eq!(f.store.put_manifest(&put).await.unwrap(), what);
    }
    assert_eq!(f.store.tag(app, &name("v2")).await.unwrap(), None);
    f.store.lock_repository(app, &NO_DELETE, at(4)).await.unwrap();
    f.store
        .lock_repository(app, &LocksPatch { write_enabled: Some(true), ..LocksPatch::default() }, at(4))
        .await
        .unwrap();
    f.push("app", 5, manifest("n"), &[], &["v1"]).await;
}

pub async fn a_locked_tag_does_not_move(f: Fixture) {
    let app = f.push("app", 1, manifest("m"), &[], &["v1"]).await;
    f.store.lock_tag(app, &name("v1"), &NO_WRITE, at(2)).await.unwrap();
    let moving = f.put("app", 3, manifest("n"), &[], &["v2", "v1"]);
    assert_eq!(f.store.put_manifest(&moving).await.unwrap(), PutOutcome::Locked { what: "tag v1".into() });
    assert_eq!(f.store.manifest_summary(app, &digest("n")).await.unwrap(), None, "nothing was written");
    assert_eq!(f.store.tag(app, &name("v2")).await.unwrap(), None);
    f.push("app", 4, manifest("m"), &[], &["v1", "v2"]).await;
    f.store.lock_tag(app, &name("v1"), &FREE, at(5)).await.unwrap();
    f.store.lock_tag(app, &name("v1"), &NO_DELETE, at(5)).await.unwrap();
    f.stored(&moving).await;
    let tag = f.store.tag(app, &name("v1")).await.unwrap().unwrap();
    assert_eq!((tag.digest, tag.locks.delete_enabled), (digest("n"), false), "a tag that moves keeps its locks");
}

pub async fn a_locked_manifest_can_be_pushed_again(f: Fixture) {
    let app = f.push("app", 1, manifest("m"), &[], &[]).await;
    f.store.lock_manifest(app, &digest("m"), &NO_WRITE, at(2)).await.unwrap();
    f.push("app", 3, manifest("m"), &[], &["v1"]).await;
    let summary = f.store.manifest_summary(app, &digest("m")).await.unwrap().unwrap();
    assert!(!summary.locks.write_enabled, "pushing again unlocks nothing");
}

pub async fn the_lock_of_tag_or_manifest_counts_when_read_by_tag(f: Fixture) {
    let app = f.push("app", 1, manifest("m"), &[], &["v1", "v2"]).await;
    f.store.lock_tag(app, &name("v1"), &NO_DELETE, at(2)).await.unwrap();
    f.store.lock_manifest(app, &digest("m"), &NO_WRITE, at(2)).await.unwrap();
    let locks = async |reference| f.store.manifest(app, &reference).await.unwrap().unwrap().locks;
    let by_locked_tag = locks(Reference::Tag(name("v1"))).await;
    assert_eq!(
        (by_locked_tag.delete_enabled, by_locked_tag.write_enabled, by_locked_tag.read_enabled),
        (false, false, true)
    );
    let by_free_tag = locks(Reference::Tag(name("v2"))).await;
    assert_eq!((by_free_tag.delete_enabled, by_free_tag.write_enabled), (true, false));
    assert_eq!(locks(Reference::Digest(digest("m"))).await, by_free_tag);
}

pub async fn what_is_locked_is_not_deleted(f: Fixture) {
    f.store.commit_blob(&f.target("app", 1), &blob("layer"), None).await.unwrap();
    let app = f.push("app", 1, manifest("m"), &[], &["v1", "v2"]).await;
    let of_m = format!("manifest {}", digest("m"));
    for patch in [NO_WRITE, NO_DELETE] {
        f.store.lock_repository(app, &patch, at(2)).await.unwrap();
        assert_eq!(f.store.delete_tag(app, &name("v1"), at(3)).await.unwrap(), locked("repository app"));
        assert_eq!(f.store.delete_manifest(app, &digest("m"), at(3)).await.unwrap(), locked("repository app"));
        assert_eq!(f.store.unlink_blob(app, &digest("layer"), at(3)).await.unwrap(), locked("repository app"));
        f.store.lock_repository(app, &FREE, at(4)).await.unwrap();

        f.store.lock_tag(app, &name("v2"), &patch, at(5)).await.unwrap();
        assert_eq!(f.store.delete_tag(app, &name("v2"), at(6)).await.unwrap(), locked("tag v2"));
        assert_eq!(f.store.delete_manifest(app, &digest("m"), at(6)).await.unwrap(), locked("tag v2"));
        f.store.lock_tag(app, &name("v2"), &FREE, at(7)).await.unwrap();

        f.store.lock_manifest(app, &digest("m"), &patch, at(8)).await.unwrap();
        assert_eq!(f.store.delete_manifest(app, &digest("m"), at(9)).await.unwrap(), locked(&of_m));
        f.store.lock_manifest(app, &digest("m"), &FREE, at(10)).await.unwrap();
    }
    assert_eq!(f.store.delete_tag(app, &name("v1"), at(11)).await.unwrap(), deleted(&["v1"]));
    assert_eq!(f.store.delete_manifest(app, &digest("m"), at(11)).await.unwrap(), deleted(&["v2"]));
}

pub async fn a_repository_with_something_locked_is_not_deleted(f: Fixture) {
    let app = f.push("app", 1, manifest("m"), &[], &["v1"]).await;
    for patch in [NO_WRITE, NO_DELETE] {
        f.store.lock_repository(app, &patch, at(2)).await.unwrap();
        assert_eq!(f.store.delete_repository(app, at(3)).await.unwrap(), locked("repository app"));
        f.store.lock_repository(app, &FREE, at(4)).await.unwrap();
        f.store.lock_tag(app, &name("v1"), &patch, at(5)).await.unwrap();
        assert_eq!(f.store.delete_repository(app, at(6)).await.unwrap(), locked("tag v1"));
        f.store.lock_tag(app, &name("v1"), &FREE, at(7)).await.unwrap();
        f.store.lock_manifest(app, &digest("m"), &patch, at(8)).await.unwrap();
        let what = format!("manifest {}", digest("m"));
        assert_eq!(f.store.delete_repository(app, at(9)).await.unwrap(), locked(&what));
        f.store.lock_manifest(app, &digest("m"), &FREE, at(10)).await.unwrap();
    }
    assert_eq!(f.store.delete_repository(app, at(11)).await.unwrap(), deleted(&[]));
}
