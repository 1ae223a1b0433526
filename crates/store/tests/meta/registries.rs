//! Tenants, registries, admin passwords and the policy generation.

use shorepass_store::StoreError;
use shorepass_store::rows::{AdminPasswordRow, LocksPatch, RegistryRow, RegistrySettings, RoleAssignmentMode, Tier};

use crate::fixture::{Fixture, at, first_rows, id, manifest, name, registry_row};

async fn another_registry(f: &Fixture, called: &str) -> RegistryRow {
    let group = f.store.default_resource_group().await.unwrap().unwrap();
    let row = registry_row(called, group.id);
    assert!(f.store.create_registry(&row).await.unwrap());
    row
}

pub async fn bootstrap_makes_one_registry_however_often_it_is_called(f: Fixture) {
    let (tenant, subscription, group, registry) = first_rows("second");
    assert!(!f.store.bootstrap(&tenant, &subscription, &group, &registry).await.unwrap());
    let all = f.store.registries().await.unwrap();
    assert_eq!(all.iter().map(|r| r.registry.name.as_str()).collect::<Vec<_>>(), ["first"]);
    assert_eq!(all[0].registry.id, f.registry);
    assert_eq!(f.store.default_resource_group().await.unwrap().unwrap().id, all[0].registry.resource_group_id);
}

pub async fn a_registry_name_is_taken_until_the_registry_is_deleted(f: Fixture) {
    let first = another_registry(&f, "second").await;
    let again = RegistryRow { id: id(), ..first.clone() };
    assert!(!f.store.create_registry(&again).await.unwrap());
    assert!(f.store.delete_registry(first.id, at(1)).await.unwrap());
    assert!(!f.store.delete_registry(first.id, at(2)).await.unwrap(), "it is gone already");
    assert_eq!(f.store.registry(&first.name).await.unwrap(), None);
    assert!(f.store.create_registry(&again).await.unwrap());
    assert_eq!(f.store.registry(&first.name).await.unwrap().unwrap().registry, again);
    let all = f.store.registries().await.unwrap();
    assert_eq!(all.iter().map(|r| r.registry.name.as_str()).collect::<Vec<_>>(), ["first", "second"]);
}

pub async fn an_update_with_an_old_etag_changes_nothing(f: Fixture) {
    let first = another_registry(&f, "second").await;
    let settings = RegistrySettings {
        admin_enabled: true,
        anonymous_pull_enabled: true,
        role_assignment_mode: RoleAssignmentMode::RbacAbac,
        mode_changed_at: Some(at(8)),
        authentication_as_arm: false,
        rate_limits: true,
    };
    let mut changed = RegistryRow { tier: Tier::Basic, settings, admin_epoch: 3, updated_at: at(9), ..first.clone() };
    assert!(f.store.update_registry(&changed).await.unwrap());
    assert!(!f.store.update_registry(&first).await.unwrap(), "the etag is that of before");
    changed.etag += 1;
    assert_eq!(f.store.registry(&first.name).await.unwrap().unwrap().registry, changed);
    f.store.delete_registry(first.id, at(10)).await.unwrap();
    let raised = RegistryRow { etag: changed.etag + 1, ..changed.clone() };
    for stale in [changed, raised] {
        assert!(!f.store.update_registry(&stale).await.unwrap(), "it is deleted");
    }
}

pub async fn a_password_replaces_the_one_of_its_slot(f: Fixture) {
    let password = |slot, hash: &[u8]| AdminPasswordRow {
        id: id(),
        registry_id: f.registry,
        slot,
        hash: hash.to_vec(),
        created_at: at(i64::from(slot)),
    };
    let (second, old, new) = (password(2, b"two"), password(1, b"old"), password(1, b"new"));
    for row in [&second, &old, &new] {
        f.store.put_admin_password(row).await.unwrap();
    }
    let other = another_registry(&f, "other").await;
    let record = f.store.registry(&name("first")).await.unwrap().unwrap();
    assert_eq!(record.admin_passwords, [new, second]);
    let all = f.store.registries().await.unwrap();
    assert_eq!(all[0], record);
    assert_eq!(all[1].admin_passwords, []);
    let stray = AdminPasswordRow { registry_id: id(), ..password(1, b"x") };
    assert!(matches!(f.store.put_admin_password(&stray).await, Err(StoreError::Refused(_))));
    f.store.delete_registry(other.id, at(1)).await.unwrap();
    let late = AdminPasswordRow { registry_id: other.id, ..password(1, b"x") };
    assert!(matches!(f.store.put_admin_password(&late).await, Err(StoreError::Refused(_))));
}

pub async fn what_changes_policy_raises_the_generation(f: Fixture) {
    let other = f.another();
    let mut last = f.store.policy_generation().await.unwrap();
    let mut raised = async |what: &str| {
        let now = other.policy_generation().await.unwrap();
        assert!(now > last, "{what}");
        last = now;
    };
    let registry = another_registry(&f, "second").await;
    raised("create").await;
    f.store.update_registry(&registry).await.unwrap();
    raised("update").await;
    let password = AdminPasswordRow { id: id(), registry_id: registry.id, slot: 1, hash: vec![1], created_at: at(0) };
    f.store.put_admin_password(&password).await.unwrap();
    raised("password").await;
    f.store.delete_registry(registry.id, at(1)).await.unwrap();
    raised("delete").await;
    let repository = f.push("app", 1, manifest("m"), &[], &[]).await;
    f.store.lock_repository(repository, &LocksPatch::default(), at(2)).await.unwrap();
    raised("lock").await;
    f.store.delete_repository(repository, at(3)).await.unwrap();
    raised("delete repository").await;
    f.push("app", 4, manifest("m"), &[], &["v1"]).await;
    assert!(!f.store.delete_registry(registry.id, at(5)).await.unwrap());
    assert_eq!(f.store.policy_generation().await.unwrap(), last, "a push and a vain deletion are no changes of policy");
}

pub async fn migrating_again_changes_nothing(f: Fixture) {
    f.store.migrate().await.unwrap();
    f.another().migrate().await.unwrap();
    assert_eq!(f.store.registries().await.unwrap().len(), 1);
    f.store.ping().await.unwrap();
}

pub async fn a_database_of_version_one_keeps_its_content(f: Fixture) {
    let app = f.push("app", 1, manifest("m"), &[], &["v1"]).await;
    f.sql(
        "drop table resources; drop table resource_changes; drop table grants;
         drop index tenants_by_name; drop index subscriptions_by_name; drop index resource_groups_by_name;
         drop index registries_by_group; alter table manifests drop column quarantine_state;
         delete from migrations where version > 1",
    )
    .await;
    let server = f.another();
    server.migrate().await.unwrap();
    let kept = server.manifests(app, None, 10).await.unwrap();
    assert_eq!((kept.len(), kept[0].quarantine_state.as_ref()), (1, None));
    let group = f.store.default_resource_group().await.unwrap().unwrap();
    assert_eq!(server.resource_groups().await.unwrap(), [group]);
    crate::resources::create(&f, &[&crate::resources::row("user", f.registry, "anna")]).await;
}

pub async fn a_setting_that_was_never_stored_has_its_default(f: Fixture) {
    f.sql(r#"update registries set settings = '{"admin_enabled":true}'"#).await;
    let settings = f.store.registry(&name("first")).await.unwrap().unwrap().registry.settings;
    assert_eq!(settings, RegistrySettings { admin_enabled: true, ..RegistrySettings::default() });
    assert_eq!(settings.role_assignment_mode, RoleAssignmentMode::Rbac);
    assert!(settings.authentication_as_arm && !settings.rate_limits && settings.mode_changed_at.is_none());
}
