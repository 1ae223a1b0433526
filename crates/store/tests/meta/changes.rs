//! The log of changed resources: complete and in order, whoever writes meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use shorepass_store::rows::LocksPatch;
use shorepass_store::sql::CHANGES_KEPT;
use shorepass_store::{MetaStore, ResourceRow, Write};
use uuid::Uuid;

use crate::fixture::{Fixture, at, manifest};
use crate::resources::{create, generation, row};

/// What a server holds in memory.
type Memory = BTreeMap<Uuid, ResourceRow>;

fn apply(memory: &mut Memory, id: Uuid, row: Option<ResourceRow>) {
    match row {
        Some(row) => memory.insert(id, row),
        None => memory.remove(&id),
    };
}

async fn load(store: &dyn MetaStore, page: i64) -> Memory {
    let (mut memory, mut after) = (Memory::new(), None);
    loop {
        let rows = store.all_resources(after, page).await.unwrap();
        let Some(last) = rows.last() else { return memory };
        after = Some(last.id);
        memory.extend(rows.into_iter().map(|row| (row.id, row)));
    }
}

pub async fn the_log_tells_what_changed_and_what_is_now(f: Fixture) {
    let begun = f.store.policy_generation().await.unwrap();
    let (a, b) = (row("user", f.registry, "a"), row("user", f.registry, "b"));
    assert_eq!(create(&f, &[&a, &b]).await, begun + 2);
    let app = f.push("app", 1, manifest("m"), &[], &[]).await;
    f.store.lock_repository(app, &LocksPatch::default(), at(2)).await.unwrap();
    let changed = ResourceRow { body: "[1]".into(), ..b.clone() };
    let writes = [Write::Update(changed.clone()), Write::Delete { id: a.id, etag: None }];
    let end = generation(&f.store.write_resources(&writes).await.unwrap());
    assert_eq!(end, begun + 5, "the lock took one");
    let changed = Some(ResourceRow { etag: 2, ..changed });
    let expected = vec![
        (begun + 1, a.id, None),
        (begun + 2, b.id, changed.clone()),
        (begun + 4, b.id, changed),
        (begun + 5, a.id, None),
    ];
    let server = f.another();
    assert_eq!(server.changed_resources(begun, 100).await.unwrap().unwrap(), expected);
    assert_eq!(server.changed_resources(begun + 3, 100).await.unwrap().unwrap(), expected[2..]);
    assert_eq!(server.changed_resources(end, 100).await.unwrap().unwrap(), []);
}

pub async fn a_page_ends_where_a_transaction_ends(f: Fixture) {
    let begun = f.store.policy_generation().await.unwrap();
    let rows: Vec<ResourceRow> = (0..1206).map(|n| row("user", f.registry, &format!("u{n}"))).collect();
    for rows in [&rows[..2], &rows[2..5], &rows[5..6], &rows[6..]] {
        create(&f, &rows.iter().collect::<Vec<_>>()).await;
    }
    let page = async |since, limit| {
        let changes = f.store.changed_resources(begun + since, limit).await.unwrap().unwrap();
        changes.into_iter().map(|(generation, ..)| generation - begun).collect::<Vec<_>>()
    };
    assert_eq!(page(0, 1).await, [1, 2]);
    assert_eq!(page(0, 2).await, [1, 2]);
    assert_eq!(page(2, 1).await, [3, 4, 5]);
    assert_eq!(page(0, 4).await, [1, 2, 3, 4, 5]);
    assert_eq!(page(0, 6).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(page(6, 1).await.len(), 1200);
    assert_eq!(page(0, 0).await, [0; 0]);
}

/// Creates, changes and deletes in transactions of one to five; answers the generations it was told.
async fn write_much(server: Arc<dyn MetaStore>, parent: Uuid, writer: usize) -> Vec<(i64, usize)> {
    let mut told = Vec::new();
    let mut before: Vec<ResourceRow> = Vec::new();
    for round in 0..40 {
        let fresh: Vec<ResourceRow> =
            (0..=(round % 3)).map(|n| row("user", parent, &format!("{writer}-{round}-{n}"))).collect();
        let mut writes: Vec<Write> = fresh.iter().cloned().map(Write::Create).collect();
        let mut old = std::mem::replace(&mut before, fresh).into_iter();
        writes.extend(old.next().map(Write::Update));
        writes.extend(old.next().map(|row| Write::Delete { id: row.id, etag: Some(1) }));
        let end = generation(&server.write_resources(&writes).await.unwrap());
        told.push((end, writes.len()));
    }
    told
}

pub async fn a_reader_misses_no_change_of_many_writers(f: Fixture) {
    let (servers, reader) = ([f.another(), f.another()], f.another());
    let begun = f.store.policy_generation().await.unwrap();
    let app = f.push("app", 1, manifest("m"), &[], &[]).await;
    let held = Arc::new(());
    let writing = Arc::downgrade(&held);
    let writers = join_all((0..6).map(|n| {
        let (server, held, parent) = (servers[n % 2].clone(), held.clone(), f.registry);
        tokio::spawn(async move {
            let told = write_much(server, parent, n).await;
            drop(held);
            told
        })
    }));
    drop(held);
    let locking = async {
        while writing.strong_count() > 0 {
            f.store.lock_repository(app, &LocksPatch::default(), at(2)).await.unwrap();
        }
    };
    let reading = async {
        let (mut memory, mut seen, mut pages) = (Memory::new(), Vec::new(), BTreeSet::new());
        let mut since = begun;
        loop {
            let last_round = writing.strong_count() == 0;
            let limit = if seen.len() % 2 == 0 { 200 } else { 4 };
            let changes = reader.changed_resources(since, limit).await.unwrap().unwrap();
            if changes.is_empty() && last_round {
                return (memory, seen, pages);
            }
            for (generation, id, row) in changes {
                seen.push(generation);
                apply(&mut memory, id, row);
                since = generation;
            }
            pages.insert(since);
        }
    };
    let (told, (), (memory, seen, pages)) = tokio::join!(writers, locking, reading);
    let told: Vec<(i64, usize)> = told.into_iter().flat_map(Result::unwrap).collect();
    let ends: BTreeSet<i64> = told.iter().map(|(end, _)| *end).chain([begun]).collect();
    let mut written: Vec<i64> = told.iter().flat_map(|(end, n)| end - i64::try_from(*n).unwrap() + 1..=*end).collect();
    written.sort_unstable();
    assert_eq!(seen, written, "every change once, in the order of their numbers");
    assert!(pages.is_subset(&ends), "a page ended within a transaction");
    assert_eq!(memory, load(&*f.store, 1000).await);
}

pub async fn loading_while_others_write_ends_up_with_everything(f: Fixture) {
    let rows: Vec<ResourceRow> = (0..200).map(|n| row("user", f.registry, &format!("old{n}"))).collect();
    create(&f, &rows.iter().collect::<Vec<_>>()).await;
    let (server, writer) = (f.another(), f.another());
    let loading = async {
        let since = server.policy_generation().await.unwrap();
        (since, load(&*server, 7).await)
    };
    let (told, (since, mut memory)) = tokio::join!(write_much(writer, f.registry, 0), loading);
    assert!(told.iter().any(|(end, _)| *end > since), "nobody wrote meanwhile");
    for (_, id, row) in f.store.changed_resources(since, 1000).await.unwrap().unwrap() {
        apply(&mut memory, id, row);
    }
    assert_eq!(memory, load(&*f.store, 1000).await);
}

pub async fn what_the_log_no_longer_holds_is_said(f: Fixture) {
    let first = create(&f, &[&row("user", f.registry, "a"), &row("user", f.registry, "b")]).await;
    assert_eq!(f.store.changed_resources(first - 1, 10).await.unwrap().unwrap().len(), 1);
    f.sql("update policy set generation = generation + 99999").await;
    assert_eq!(f.store.changed_resources(first - 1, 10).await.unwrap().unwrap().len(), 1);
    let now = create(&f, &[&row("user", f.registry, "c")]).await;
    assert_eq!(now - first, CHANGES_KEPT);
    assert_eq!(f.store.changed_resources(first - 1, 10).await.unwrap(), None, "one has been forgotten");
    let reached = f.store.changed_resources(first, 10).await.unwrap().unwrap();
    assert_eq!(reached.iter().map(|(generation, ..)| *generation).collect::<Vec<_>>(), [now]);
    assert_eq!(f.store.changed_resources(now + 1, 10).await.unwrap(), None, "an older copy of the database");
    // What is out of reach is removed, says a constraint.
    f.sql("create table left_over (n int check (n = 1))").await;
    f.sql("insert into left_over select count(*) from resource_changes").await;
}
