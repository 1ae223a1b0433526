//! What must hold when several do things at once, here as two servers of one database.

use std::collections::BTreeSet;

use futures::future::join_all;
use shorepass_core::Reference;
use shorepass_store::rows::{DeleteOutcome, PutManifest, PutOutcome, UploadRow};

use crate::fixture::{Fixture, GRACE, at, blob, digest, first_rows, manifest, name};
use crate::keys::key;

const MANY: usize = 12;

pub async fn many_creators_of_one_name_get_one_repository(f: Fixture) {
    let servers = [f.another(), f.another()];
    let creators = (0..MANY).map(|n| {
        let server = servers[n % 2].clone();
        let (target, blob) = (f.target("app", 1), blob(&format!("layer-{n}")));
        let put = f.put("app", 1, manifest(&format!("m-{n}")), &[], &["latest"]);
        tokio::spawn(async move {
            if n % 3 == 0 {
                return server.commit_blob(&target, &blob, None).await.unwrap().unwrap().0.id;
            }
            match server.put_manifest(&put).await.unwrap() {
                PutOutcome::Stored { repository, created: true } => repository.id,
                other => panic!("{other:?}"),
            }
        })
    });
    let ids: BTreeSet<_> = join_all(creators).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(ids.len(), 1);
    let app = f.id_of("app").await;
    assert_eq!(ids.into_iter().next(), Some(app));
    assert_eq!(f.store.repository_stats(app).await.unwrap().manifest_count, 8);
    for n in (0..MANY).step_by(3) {
        assert!(f.store.blob(app, &digest(&format!("layer-{n}"))).await.unwrap().is_some());
    }
}

pub async fn many_uploads_of_the_same_bytes_keep_one_object(f: Fixture) {
    let servers = [f.another(), f.another()];
    let rows: Vec<_> = (0..MANY).map(|_| blob("layer")).collect();
    let commits = rows.iter().cloned().enumerate().map(|(n, row)| {
        let (server, target) = (servers[n % 2].clone(), f.target(&format!("app{}", n % 3), 1));
        tokio::spawn(async move { server.commit_blob(&target, &row, None).await.unwrap().unwrap().1 })
    });
    let held: BTreeSet<String> = join_all(commits).await.into_iter().map(|row| row.unwrap().key).collect();
    assert_eq!(held.len(), 1, "everybody was told the same object");
    let all: BTreeSet<String> = rows.into_iter().map(|row| row.key).collect();
    let dead: BTreeSet<String> = f.dead().await.into_iter().collect();
    assert_eq!(dead, &all - &held);
}

pub async fn servers_that_start_together_agree(f: Fixture) {
    let before = f.store.registries().await.unwrap();
    let servers = (0..6).map(|n| {
        let server = f.another();
        tokio::spawn(async move {
            server.migrate().await.unwrap();
            let (tenant, subscription, group, registry) = first_rows(&format!("another{n}"));
            assert!(!server.bootstrap(&tenant, &subscription, &group, &registry).await.unwrap());
            let made = server.add_signing_key(&key(&format!("k{n}"), 1), at(1), true).await.unwrap();
            (made, server.server_secret("tokens", &[n]).await.unwrap())
        })
    });
    let answers: Vec<_> = join_all(servers).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|(made, _)| *made).count(), 1);
    assert!(answers.iter().all(|(_, secret)| *secret == answers[0].1));
    assert_eq!(f.store.signing_keys(at(1)).await.unwrap().len(), 1);
    assert_eq!(f.store.registries().await.unwrap(), before);
}

pub async fn only_one_of_many_saves_wins(f: Fixture) {
    let upload = f.upload("app", 1).await;
    let servers = [f.another(), f.another()];
    let saves = (0..MANY).map(|n| {
        let (server, row) = (servers[n % 2].clone(), UploadRow { state: vec![n as u8], ..upload.clone() });
        tokio::spawn(async move { (row.state.clone(), server.save_upload(&row).await.unwrap()) })
    });
    let won: Vec<_> = join_all(saves).await.into_iter().map(Result::unwrap).filter(|(_, won)| *won).collect();
    assert_eq!(won.len(), 1);
    let saved = f.store.upload(upload.id).await.unwrap().unwrap();
    assert_eq!((saved.state, saved.version), (won[0].0.clone(), upload.version + 1));
}

/// In each round some links and some blobs are due for removal while the same bytes are pushed and mounted again.
pub async fn collection_never_takes_what_is_being_pushed(f: Fixture) {
    let (collector, other) = (f.another(), f.another());
    for round in 0..12 {
        let layers: Vec<String> = (0..8).map(|n| format!("layer-{round}-{n}")).collect();
        let (linked, unlinked) = layers.split_at(4);
        let seconds = |graces: i64| graces * i64::try_from(GRACE.as_secs()).unwrap();
        let begin = 3 * round;
        for layer in unlinked {
            f.commit("app", layer, seconds(begin)).await;
        }
        f.collect(at(seconds(begin + 1))).await;
        for layer in linked {
            f.commit("app", layer, seconds(begin + 1)).await;
        }
        let now = at(seconds(begin + 2));
        let collecting = async { while collector.collect(now, 50).await.unwrap() > 0 {} };
        let commits = layers.iter().map(|layer| f.commit("app", layer, seconds(begin + 2)));
        let pushing = async {
            let rows = join_all(commits).await;
            let app = f.id_of("app").await;
            let target = f.target("mounted", seconds(begin + 2));
            for layer in &layers {
                other.mount_blob(app, &target, &digest(layer)).await.unwrap().unwrap();
            }
            rows
        };
        let ((), rows) = tokio::join!(collecting, pushing);
        let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
        f.push("app", seconds(begin + 2), manifest(&format!("m-{round}")), &layers, &["latest"]).await;
        f.collect(now).await;
        let (app, dead) = (f.id_of("app").await, f.dead().await);
        for row in rows {
            assert_eq!(f.store.blob(app, &row.digest).await.unwrap(), Some(row.clone()), "round {round}");
            assert!(!dead.contains(&row.key), "round {round}: the object of a linked blob is dead");
        }
    }
}

pub async fn a_manifest_never_loses_a_blob_to_a_deletion(f: Fixture) {
    let (deleting, pushing) = (f.another(), f.another());
    for round in 0..25 {
        let layer = format!("layer-{round}");
        f.commit("app", &layer, 0).await;
        let app = f.id_of("app").await;
        let put = f.put("app", 1, manifest(&format!("m-{round}")), &[&layer], &[]);
        let digest = digest(&layer);
        let (deletion, push) = tokio::join!(deleting.unlink_blob(app, &digest, at(2)), pushing.put_manifest(&put));
        match (deletion.unwrap(), push.unwrap()) {
            (DeleteOutcome::Deleted { .. }, PutOutcome::Missing { blobs, .. }) => assert_eq!(blobs, [digest]),
            (DeleteOutcome::Locked { .. }, PutOutcome::Stored { .. }) => {
                assert!(f.store.blob(app, &digest).await.unwrap().is_some());
            }
            other => panic!("round {round}: {other:?}"),
        }
    }
}

pub async fn deleting_and_pushing_leave_nothing_half_done(f: Fixture) {
    let (deleting, pushing) = (f.another(), f.another());
    for round in 0..25 {
        f.push("app", 0, manifest("m"), &[], &["latest"]).await;
        let app = f.id_of("app").await;
        let index = PutManifest {
            manifests: vec![digest("m")],
            required_manifests: vec![digest("m")],
            ..f.put("app", 1, manifest("index"), &[], &["latest"])
        };
        let (deletion, push) = if round % 2 == 0 {
            tokio::join!(deleting.delete_repository(app, at(2)), pushing.put_manifest(&index))
        } else {
            let m = digest("m");
            tokio::join!(deleting.delete_manifest(app, &m, at(2)), pushing.put_manifest(&index))
        };
        deletion.unwrap();
        let pushed = matches!(push.unwrap(), PutOutcome::Stored { .. });
        let live = f.repository("app").await.map(|row| row.id);
        if round % 2 == 0 {
            assert_eq!(live, None, "the index needs a manifest of the repository that was deleted");
        } else {
            let latest = f.store.manifest(app, &Reference::Tag(name("latest"))).await.unwrap();
            assert_eq!(latest.map(|row| row.digest), pushed.then(|| digest("index")));
            f.store.delete_repository(app, at(3)).await.unwrap();
        }
    }
}
