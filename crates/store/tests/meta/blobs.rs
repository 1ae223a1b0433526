//! Blobs: dedupe, links, mounts.

use shorepass_store::rows::DeleteOutcome;

use crate::fixture::{Fixture, at, blob, deleted, digest, id, locked, manifest};

pub async fn a_blob_is_seen_only_where_it_is_linked(f: Fixture) {
    let row = f.commit("app", "layer", 1).await;
    f.commit("other", "else", 1).await;
    assert_eq!(f.store.blob(f.id_of("app").await, &digest("layer")).await.unwrap(), Some(row));
    assert_eq!(f.store.blob(f.id_of("other").await, &digest("layer")).await.unwrap(), None);
    assert_eq!(f.store.blob(f.id_of("app").await, &digest("else")).await.unwrap(), None);
}

pub async fn the_second_upload_of_the_same_bytes_is_dropped(f: Fixture) {
    let first = f.commit("app", "layer", 1).await;
    let second = blob("layer");
    let target = f.target("other", 2);
    let (repository, held) = f.store.commit_blob(&target, &second, None).await.unwrap().unwrap();
    assert_eq!((held.clone(), repository.id), (first, target.new_id));
    assert_eq!(f.dead().await, [second.key.as_str()], "the loser's object is for collection");
    assert_eq!(f.store.blob(repository.id, &digest("layer")).await.unwrap(), Some(held));
    f.store.forget_dead_object(&second.key).await.unwrap();
    assert_eq!(f.dead().await, Vec::<String>::new());
}

pub async fn an_upload_commits_once(f: Fixture) {
    let upload = f.upload("app", 1).await;
    let row = blob("layer");
    assert!(f.store.commit_blob(&f.target("app", 2), &row, Some(upload.id)).await.unwrap().is_some());
    assert_eq!(f.store.upload(upload.id).await.unwrap(), None);
    assert_eq!(f.store.commit_blob(&f.target("elsewhere", 3), &row, Some(upload.id)).await.unwrap(), None);
    assert_eq!(f.repository("elsewhere").await, None, "nothing was written");
    assert!(!f.store.delete_upload(upload.id, at(4)).await.unwrap());
    assert_eq!(f.dead().await, Vec::<String>::new(), "its object belongs to the blob");
}

pub async fn a_mount_needs_a_live_source(f: Fixture) {
    let row = f.commit("app", "layer", 1).await;
    let source = f.id_of("app").await;
    assert_eq!(f.store.mount_blob(source, &f.target("to", 2), &digest("layer")).await.unwrap(), Some(row.clone()));
    assert_eq!(f.store.blob(f.id_of("to").await, &digest("layer")).await.unwrap(), Some(row));
    assert_eq!(f.store.mount_blob(source, &f.target("vain", 2), &digest("else")).await.unwrap(), None);
    assert_eq!(f.store.mount_blob(id(), &f.target("vain", 2), &digest("layer")).await.unwrap(), None);
    f.store.delete_repository(source, at(3)).await.unwrap();
    assert_eq!(f.store.mount_blob(source, &f.target("vain", 4), &digest("layer")).await.unwrap(), None);
    assert_eq!(f.repository("vain").await, None, "a mount that fails creates no repository");
}

pub async fn an_unlinked_blob_is_gone_from_its_repository_only(f: Fixture) {
    f.commit("app", "layer", 1).await;
    f.commit("other", "layer", 1).await;
    let (app, other) = (f.id_of("app").await, f.id_of("other").await);
    assert_eq!(f.store.unlink_blob(app, &digest("layer"), at(2)).await.unwrap(), deleted(&[]));
    assert_eq!(f.store.unlink_blob(app, &digest("layer"), at(2)).await.unwrap(), DeleteOutcome::NotFound);
    assert_eq!(f.store.blob(app, &digest("layer")).await.unwrap(), None);
    assert!(f.store.blob(other, &digest("layer")).await.unwrap().is_some());
}

pub async fn a_blob_that_a_manifest_needs_stays(f: Fixture) {
    f.commit("app", "layer", 1).await;
    let app = f.push("app", 2, manifest("m"), &["layer"], &[]).await;
    let user = format!("manifest {}", digest("m"));
    assert_eq!(f.store.unlink_blob(app, &digest("layer"), at(3)).await.unwrap(), locked(&user));
    f.store.delete_manifest(app, &digest("m"), at(4)).await.unwrap();
    assert_eq!(f.store.unlink_blob(app, &digest("layer"), at(5)).await.unwrap(), deleted(&[]));
}
