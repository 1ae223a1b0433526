//! Resources: documents with an etag, a parent and a name.

use futures::future::join_all;
use shorepass_core::directory::{Document as _, Group, ScopeMap};
use shorepass_store::{Resource, ResourceRow, Write, Written};
use uuid::Uuid;

use crate::fixture::{Fixture, at, id, registry_row};

pub fn row(kind: &str, parent: Uuid, name: &str) -> ResourceRow {
    ResourceRow {
        id: id(),
        kind: kind.into(),
        parent,
        name: name.into(),
        body: "{}".into(),
        etag: 1,
        created_at: at(1),
        updated_at: at(1),
    }
}

pub fn generation(written: &Written) -> i64 {
    match written {
        Written::Done { generation } => *generation,
        other => panic!("not done: {other:?}"),
    }
}

pub async fn create(f: &Fixture, rows: &[&ResourceRow]) -> i64 {
    let writes: Vec<Write> = rows.iter().map(|row| Write::Create((*row).clone())).collect();
    generation(&f.store.write_resources(&writes).await.unwrap())
}

fn delete(row: &ResourceRow) -> Write {
    Write::Delete { id: row.id, etag: None }
}

/// All there are, by name.
async fn all(f: &Fixture) -> Vec<ResourceRow> {
    let mut rows = f.store.all_resources(None, 1000).await.unwrap();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

pub async fn a_resource_is_found_by_id_and_by_name_in_any_case(f: Fixture) {
    let document = Group { description: "who ships".into(), external: None };
    let group = Resource::new(id(), f.registry, "Shipping", document, at(5));
    create(&f, &[&group.row().unwrap()]).await;
    let found = f.store.resource(group.id).await.unwrap().unwrap();
    assert_eq!(Resource::<Group>::read(&found).unwrap(), group);
    for name in ["Shipping", "sHIPPING"] {
        let by_name = f.store.resource_by_name(Group::KIND, f.registry, name).await.unwrap();
        assert_eq!(by_name.as_ref(), Some(&found), "{name}");
    }
    assert_eq!(f.store.resource_by_name(Group::KIND, f.registry, "Shippin_").await.unwrap(), None);
    assert_eq!(f.store.resource_by_name(ScopeMap::KIND, f.registry, "Shipping").await.unwrap(), None, "another kind");
    assert_eq!(f.store.resource_by_name(Group::KIND, id(), "Shipping").await.unwrap(), None, "another parent");
    assert_eq!(f.store.resource(id()).await.unwrap(), None);
}

pub async fn a_name_is_unique_for_its_kind_below_its_parent(f: Fixture) {
    let parent = id();
    let first = row("user", parent, "anna");
    create(&f, &[&first]).await;
    let taken = Write::Create(row("user", parent, "ANNA"));
    let exists = f.store.write_resources(&[taken]).await.unwrap();
    assert_eq!(exists, Written::Exists { name: "ANNA".into() });
    let again = ResourceRow { name: "else".into(), ..first.clone() };
    let exists = f.store.write_resources(&[Write::Create(again)]).await.unwrap();
    assert_eq!(exists, Written::Exists { name: "else".into() }, "the id is taken");
    create(&f, &[&row("group", parent, "anna"), &row("user", id(), "anna")]).await;
    // Only ASCII letters are folded, on both databases: no name depends on a locale.
    create(&f, &[&row("user", parent, "ä"), &row("user", parent, "Ä")]).await;
    let other = row("user", parent, "berta");
    create(&f, &[&other]).await;
    let renamed = ResourceRow { name: "Anna".into(), ..other };
    let exists = f.store.write_resources(&[Write::Update(renamed)]).await.unwrap();
    assert_eq!(exists, Written::Exists { name: "Anna".into() });
    let own = ResourceRow { name: "ANNA".into(), ..first };
    generation(&f.store.write_resources(&[Write::Update(own.clone())]).await.unwrap());
    assert_eq!(f.store.resource(own.id).await.unwrap().unwrap().name, "ANNA", "its own name in another case");
}

pub async fn an_update_keeps_what_it_does_not_set(f: Fixture) {
    let first = row("user", id(), "anna");
    create(&f, &[&first]).await;
    let changed = ResourceRow { body: "{\"a\":1}".into(), created_at: at(9), updated_at: at(9), ..first.clone() };
    let update = [Write::Update(changed.clone())];
    generation(&f.store.write_resources(&update).await.unwrap());
    let stored = f.store.resource(first.id).await.unwrap().unwrap();
    assert_eq!(stored, ResourceRow { etag: 2, created_at: at(1), ..changed.clone() });
    assert_eq!(f.store.write_resources(&update).await.unwrap(), Written::Changed { id: first.id });
    let kind = ResourceRow { kind: "group".into(), etag: 2, ..changed };
    let missing = f.store.write_resources(&[Write::Update(kind)]).await.unwrap();
    assert_eq!(missing, Written::Missing { id: first.id }, "there is no group of that id");
    assert_eq!(f.store.resource(first.id).await.unwrap().unwrap(), stored);
}

pub async fn writes_are_done_all_or_not_at_all(f: Fixture) {
    let (kept, gone) = (row("user", f.registry, "kept"), row("user", f.registry, "gone"));
    create(&f, &[&kept, &gone]).await;
    f.store.write_resources(&[delete(&gone)]).await.unwrap();
    let before = f.store.policy_generation().await.unwrap();
    let ok = || Write::Create(row("user", f.registry, "new"));
    let (kept_id, gone_id) = (kept.id, gone.id);
    let taken = ResourceRow { id: id(), ..kept.clone() };
    let old = ResourceRow { etag: 7, ..kept.clone() };
    let refusals = [
        (Write::Create(taken), Written::Exists { name: "kept".into() }),
        (Write::Update(old), Written::Changed { id: kept_id }),
        (Write::Update(gone.clone()), Written::Missing { id: gone_id }),
        (Write::Delete { id: kept_id, etag: Some(2) }, Written::Changed { id: kept_id }),
        (Write::Delete { id: gone_id, etag: Some(1) }, Written::Missing { id: gone_id }),
        (delete(&gone), Written::Missing { id: gone_id }),
    ];
    for (refused, expected) in refusals {
        let change = Write::Update(ResourceRow { body: "[]".into(), ..kept.clone() });
        // The same etag twice: what comes first makes the rest old.
        let old_twice = matches!(&refused, Write::Update(row) if row.id == kept_id);
        let writes = if old_twice { vec![ok(), refused, ok()] } else { vec![ok(), refused, change] };
        assert_eq!(f.store.write_resources(&writes).await.unwrap(), expected);
        assert_eq!(all(&f).await, std::slice::from_ref(&kept), "{expected:?}");
    }
    let nothing = f.store.write_resources(&[]).await.unwrap();
    assert_eq!(nothing, Written::Done { generation: before }, "what was refused raised nothing");
    assert_eq!(f.store.changed_resources(before, 10).await.unwrap(), Some(vec![]));
}

pub async fn writes_see_what_those_before_them_did(f: Fixture) {
    let (a, b) = (row("user", f.registry, "a"), row("user", f.registry, "b"));
    let begun = create(&f, &[&a]).await;
    let swap = [
        Write::Delete { id: a.id, etag: Some(1) },
        Write::Create(ResourceRow { name: "A".into(), ..b.clone() }),
        Write::Update(b.clone()),
    ];
    assert_eq!(f.store.write_resources(&swap).await.unwrap(), Written::Done { generation: begun + 3 });
    assert_eq!(all(&f).await, [ResourceRow { etag: 2, ..b.clone() }]);
    let twice =
        [Write::Update(ResourceRow { etag: 2, ..b.clone() }), Write::Update(ResourceRow { etag: 2, ..b.clone() })];
    assert_eq!(f.store.write_resources(&twice).await.unwrap(), Written::Changed { id: b.id });
}

pub async fn pages_of_resources_meet(f: Fixture) {
    let parent = id();
    let rows: Vec<ResourceRow> = ["Bob", "alice", "carl", "_x", "Zoë", "dora"].map(|n| row("user", parent, n)).into();
    create(&f, &rows.iter().collect::<Vec<_>>()).await;
    create(&f, &[&row("user", id(), "b-elsewhere"), &row("group", parent, "b-group")]).await;
    for limit in 1..=7 {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = f.store.resources("user", parent, after.as_deref(), limit).await.unwrap();
            assert!(page.len() <= usize::try_from(limit).unwrap());
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            names.extend(page.into_iter().map(|row| row.name));
        }
        assert_eq!(names, ["_x", "alice", "Bob", "carl", "dora", "Zoë"], "pages of {limit}");
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = f.store.all_resources(after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            ids.extend(page.into_iter().map(|row| row.id));
        }
        assert!(ids.is_sorted(), "by id");
        assert_eq!(ids.len(), 8, "pages of {limit}");
    }
    assert_eq!(f.store.count_resources("user", parent).await.unwrap(), 6);
    for nothing in [0, -1] {
        assert_eq!(f.store.resources("user", parent, None, nothing).await.unwrap(), []);
        assert_eq!(f.store.all_resources(None, nothing).await.unwrap(), []);
    }
}

pub async fn eight_writers_with_etags_lose_nothing(f: Fixture) {
    let counter = ResourceRow { body: "0".into(), ..row("counter", f.registry, "c") };
    let begun = create(&f, &[&counter]).await;
    let servers = [f.another(), f.another()];
    let writers = (0..8).map(|n| {
        let (server, id) = (servers[n % 2].clone(), counter.id);
        tokio::spawn(async move {
            let (mut done, mut lost) = (0, 0);
            while done < 10 {
                let mut row = server.resource(id).await.unwrap().unwrap();
                row.body = (row.body.parse::<i64>().unwrap() + 1).to_string();
                match server.write_resources(&[Write::Update(row)]).await.unwrap() {
                    Written::Done { .. } => done += 1,
                    Written::Changed { .. } => lost += 1,
                    other => panic!("{other:?}"),
                }
            }
            lost
        })
    });
    let lost: i32 = join_all(writers).await.into_iter().map(Result::unwrap).sum();
    assert!(lost > 0, "they were never in each other's way, so this proved nothing");
    let end = f.store.resource(counter.id).await.unwrap().unwrap();
    assert_eq!((end.body.as_str(), end.etag), ("80", 81));
    assert_eq!(f.store.policy_generation().await.unwrap(), begun + 80);
}

/// Each writes the same two names, half of them in the other order.
pub async fn of_writers_that_overlap_one_wins_whole(f: Fixture) {
    let servers = [f.another(), f.another()];
    for round in 0..5 {
        let writers = (0..8).map(|n| {
            let server = servers[n % 2].clone();
            let mut pair = [format!("x{round}"), format!("y{round}")].map(|name| row("user", f.registry, &name));
            for row in &mut pair {
                row.body = format!("{n}");
            }
            if n >= 4 {
                pair.reverse();
            }
            tokio::spawn(async move { server.write_resources(&pair.map(Write::Create)).await.unwrap() })
        });
        let outcomes: Vec<Written> = join_all(writers).await.into_iter().map(Result::unwrap).collect();
        let done = |outcome: &&Written| matches!(outcome, Written::Done { .. });
        assert_eq!(outcomes.iter().filter(done).count(), 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Written::Done { .. } | Written::Exists { .. })));
        let by_name = async |name: String| f.store.resource_by_name("user", f.registry, &name).await.unwrap().unwrap();
        let (x, y) = (by_name(format!("x{round}")).await, by_name(format!("y{round}")).await);
        assert_eq!(x.body, y.body, "both are of the same writer");
    }
    assert_eq!(all(&f).await.len(), 10);
}

pub async fn the_resources_of_a_deleted_registry_are_collected(f: Fixture) {
    let group = f.store.default_resource_group().await.unwrap().unwrap();
    let registry = registry_row("second", group.id);
    f.store.create_registry(&registry).await.unwrap();
    let rows: Vec<ResourceRow> = (0..1100).map(|n| row("scope_map", registry.id, &format!("m{n}"))).collect();
    create(&f, &rows.iter().collect::<Vec<_>>()).await;
    let kept = row("scope_map", f.registry, "m0");
    let since = create(&f, &[&kept]).await;
    f.store.delete_registry(registry.id, at(2)).await.unwrap();
    f.collect(at(3)).await;
    assert_eq!(all(&f).await, [kept]);
    let changes = f.store.changed_resources(since, 5000).await.unwrap().unwrap();
    assert_eq!(changes.len(), 1100, "who has them in memory hears of it");
    assert!(changes.iter().all(|(_, _, row)| row.is_none()));
}
