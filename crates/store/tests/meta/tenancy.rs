//! Tenants, subscriptions and resource groups.

use futures::future::join_all;
use shorepass_store::rows::{ResourceGroupRow, SubscriptionRow, TenancyOutcome, TenantRow};
use uuid::Uuid;

use crate::fixture::{Fixture, at, first_rows, id, name, registry_row};
use crate::resources::{create, row};

const DONE: TenancyOutcome = TenancyOutcome::Done;

fn tenant(name: &str) -> TenantRow {
    TenantRow { name: name.into(), ..first_rows("unused").0 }
}

fn subscription(tenant_id: Uuid, name: &str) -> SubscriptionRow {
    SubscriptionRow { id: id(), tenant_id, name: name.into(), created_at: at(1) }
}

fn group(subscription_id: Uuid, name: &str) -> ResourceGroupRow {
    ResourceGroupRow { id: id(), subscription_id, name: name.into(), created_at: at(1) }
}

fn not_empty(what: &str) -> TenancyOutcome {
    TenancyOutcome::NotEmpty { what: what.into() }
}

/// A tenant with one subscription with one group.
async fn branch(f: &Fixture, name: &str) -> (TenantRow, SubscriptionRow, ResourceGroupRow) {
    let tenant = tenant(name);
    assert_eq!(f.store.create_tenant(&tenant).await.unwrap(), DONE);
    let subscription = subscription(tenant.id, name);
    assert_eq!(f.store.create_subscription(&subscription).await.unwrap(), DONE);
    let group = group(subscription.id, name);
    assert_eq!(f.store.create_resource_group(&group).await.unwrap(), DONE);
    (tenant, subscription, group)
}

pub async fn names_of_tenants_are_unique_without_case(f: Fixture) {
    let contoso = tenant("contoso");
    assert_eq!(f.store.create_tenant(&contoso).await.unwrap(), DONE);
    assert_eq!(f.store.create_tenant(&tenant("Contoso")).await.unwrap(), TenancyOutcome::Exists);
    let guid = TenantRow { guid: contoso.guid, ..tenant("fabrikam") };
    assert_eq!(f.store.create_tenant(&guid).await.unwrap(), TenancyOutcome::Exists, "the GUID is taken");
    let all = f.store.tenants().await.unwrap();
    assert_eq!(all.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["contoso", "tenant"]);
    assert_eq!(all[0], contoso);
    assert_eq!(f.store.rename_tenant(contoso.id, "TENANT").await.unwrap(), TenancyOutcome::Exists);
    assert_eq!(f.store.rename_tenant(contoso.id, "ConToso").await.unwrap(), DONE);
    assert_eq!(f.store.rename_tenant(id(), "else").await.unwrap(), TenancyOutcome::NotFound);
    assert_eq!(f.store.delete_tenant(id()).await.unwrap(), TenancyOutcome::NotFound);
    let names: Vec<String> = f.store.tenants().await.unwrap().into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["ConToso", "tenant"]);
}

pub async fn subscriptions_and_groups_live_below_their_parents(f: Fixture) {
    let (one, two) = (branch(&f, "one").await, branch(&f, "two").await);
    assert_eq!(f.store.create_subscription(&subscription(id(), "x")).await.unwrap(), TenancyOutcome::NotFound);
    assert_eq!(f.store.create_resource_group(&group(id(), "x")).await.unwrap(), TenancyOutcome::NotFound);
    let taken = subscription(one.0.id, "ONE");
    assert_eq!(f.store.create_subscription(&taken).await.unwrap(), TenancyOutcome::Exists);
    let elsewhere = subscription(two.0.id, "one");
    assert_eq!(f.store.create_subscription(&elsewhere).await.unwrap(), DONE, "another tenant has other names");
    let taken = group(one.1.id, "ONE");
    assert_eq!(f.store.create_resource_group(&taken).await.unwrap(), TenancyOutcome::Exists);
    let free = group(elsewhere.id, "one");
    assert_eq!(f.store.create_resource_group(&free).await.unwrap(), DONE);
    assert_eq!(f.store.rename_subscription(elsewhere.id, "Two").await.unwrap(), TenancyOutcome::Exists);
    assert_eq!(f.store.rename_subscription(elsewhere.id, "three").await.unwrap(), DONE);
    assert_eq!(f.store.rename_resource_group(free.id, "three").await.unwrap(), DONE);
    let groups = f.store.resource_groups().await.unwrap();
    let found: Vec<_> = groups.iter().map(|row| (row.name.as_str(), row.subscription_id)).collect();
    assert_eq!(found[1..], [("one", one.1.id), ("three", elsewhere.id), ("two", two.1.id)]);
    let subscriptions = f.store.subscriptions().await.unwrap();
    let found: Vec<_> = subscriptions.iter().map(|row| (row.name.as_str(), row.tenant_id)).collect();
    assert_eq!(found[1..], [("one", one.0.id), ("three", two.0.id), ("two", two.0.id)]);
}

pub async fn what_is_not_empty_is_not_deleted(f: Fixture) {
    let (tenant, subscription, group) = branch(&f, "one").await;
    let registry = registry_row("second", group.id);
    assert!(f.store.create_registry(&registry).await.unwrap());
    let user = row("managed_identity", tenant.id, "anna");
    create(&f, &[&user]).await;
    assert_eq!(f.store.delete_tenant(tenant.id).await.unwrap(), not_empty("subscription one"));
    assert_eq!(f.store.delete_subscription(subscription.id).await.unwrap(), not_empty("resource group one"));
    assert_eq!(f.store.delete_resource_group(group.id).await.unwrap(), not_empty("registry second"));
    assert!(f.store.delete_registry(registry.id, at(2)).await.unwrap());
    assert_eq!(f.store.delete_resource_group(group.id).await.unwrap(), DONE);
    assert_eq!(f.store.delete_subscription(subscription.id).await.unwrap(), DONE);
    assert_eq!(f.store.delete_tenant(tenant.id).await.unwrap(), not_empty("managed identity anna"));
    f.store.write_resources(&[shorepass_store::Write::Delete { id: user.id, etag: None }]).await.unwrap();
    assert_eq!(f.store.delete_tenant(tenant.id).await.unwrap(), DONE);
    assert_eq!(f.store.delete_tenant(tenant.id).await.unwrap(), TenancyOutcome::NotFound);
    assert_eq!(f.store.tenants().await.unwrap().len(), 1);
}

pub async fn a_group_whose_registries_are_deleted_can_go(f: Fixture) {
    let (.., group) = branch(&f, "one").await;
    let registry = registry_row("second", group.id);
    f.store.create_registry(&registry).await.unwrap();
    let mut target = f.target("app", 1);
    target.registry_id = registry.id;
    f.store.commit_blob(&target, &crate::fixture::blob("lost"), None).await.unwrap().unwrap();
    f.store.delete_registry(registry.id, at(2)).await.unwrap();
    assert_eq!(f.store.delete_resource_group(group.id).await.unwrap(), DONE);
    for round in 0..4 {
        f.collect(at(3).plus(round * crate::fixture::GRACE)).await;
    }
    assert_eq!(f.dead().await.len(), 1, "collection found its way all the same");
}

pub async fn a_registry_knows_its_tenant(f: Fixture) {
    let (tenant, subscription, group) = branch(&f, "one").await;
    let registry = registry_row("second", group.id);
    f.store.create_registry(&registry).await.unwrap();
    let record = f.store.registry(&name("second")).await.unwrap().unwrap();
    assert_eq!((record.tenant_id, record.subscription_id), (tenant.id, subscription.id));
    let all = f.store.registries().await.unwrap();
    assert_eq!(all[1], record);
    assert_ne!(all[0].tenant_id, tenant.id);
}

pub async fn tenancy_raises_the_generation(f: Fixture) {
    let mut last = f.store.policy_generation().await.unwrap();
    let mut raised = async |by: i64, what: &str| {
        let now = f.store.policy_generation().await.unwrap();
        assert_eq!(now - last, by, "{what}");
        last = now;
    };
    let (tenant, subscription, group) = branch(&f, "one").await;
    raised(3, "create").await;
    f.store.rename_tenant(tenant.id, "two").await.unwrap();
    f.store.rename_subscription(subscription.id, "two").await.unwrap();
    f.store.rename_resource_group(group.id, "two").await.unwrap();
    raised(3, "rename").await;
    f.store.delete_tenant(tenant.id).await.unwrap();
    f.store.create_tenant(&self::tenant("two")).await.unwrap();
    raised(0, "what was refused").await;
    f.store.delete_resource_group(group.id).await.unwrap();
    f.store.delete_subscription(subscription.id).await.unwrap();
    f.store.delete_tenant(tenant.id).await.unwrap();
    raised(3, "delete").await;
}

pub async fn nothing_is_created_in_what_is_being_deleted(f: Fixture) {
    let (deleting, creating) = (f.another(), f.another());
    for round in 0..15 {
        let tenant = tenant(&format!("t{round}"));
        f.store.create_tenant(&tenant).await.unwrap();
        let child = subscription(tenant.id, "s");
        let (deleted, created) = tokio::join!(deleting.delete_tenant(tenant.id), creating.create_subscription(&child));
        match (deleted.unwrap(), created.unwrap()) {
            (TenancyOutcome::Done, TenancyOutcome::NotFound) => {}
            (TenancyOutcome::NotEmpty { .. }, TenancyOutcome::Done) => {}
            other => panic!("round {round}: {other:?}"),
        }
    }
}

pub async fn of_many_that_take_a_name_one_gets_it(f: Fixture) {
    let servers = [f.another(), f.another()];
    let tenants: Vec<TenantRow> = (0..6).map(|n| tenant(&format!("t{n}"))).collect();
    for row in &tenants {
        f.store.create_tenant(row).await.unwrap();
    }
    let renames = tenants.iter().enumerate().map(|(n, row)| {
        let (server, id) = (servers[n % 2].clone(), row.id);
        tokio::spawn(
            async move { server.rename_tenant(id, if n % 2 == 0 { "wanted" } else { "WANTED" }).await.unwrap() },
        )
    });
    let outcomes: Vec<_> = join_all(renames).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == DONE).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == TenancyOutcome::Exists).count(), 5, "{outcomes:?}");
}
