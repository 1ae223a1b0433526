//! Roles, modes, groups, maps, ceilings and locks.

use shorepass_core::directory::{AssignmentScope, PrincipalKind, PrincipalRef};
use shorepass_core::{Action, ActionSet, Principal, TokenScope};
use shorepass_store::rows::Locks;

use super::*;
use crate::Ceiling;
use crate::policy::fixture::*;
use crate::policy::*;

#[test]
fn a_role_reaches_down_from_every_scope_above() {
    for scope in [
        AssignmentScope::Tenant { id: TENANT },
        AssignmentScope::Subscription { id: SUBSCRIPTION },
        AssignmentScope::ResourceGroup { id: GROUP },
        at_registry(),
    ] {
        let mut world = World::default();
        let who = world.user("ann");
        assert!(!world.may(&who, &facts(RBAC), "app", Right::ContentRead));
        world.assign(role_id::ACR_PULL, reference(&who), scope, None);
        assert!(world.may(&who, &facts(RBAC), "app", Right::ContentRead));
        assert!(!world.may(&who, &facts(RBAC), "app", Right::ContentWrite));
    }
    let mut world = World::default();
    let who = world.user("ann");
    world.assign(role_id::OWNER, reference(&who), AssignmentScope::Registry { id: OTHER_REGISTRY }, None);
    world.assign(role_id::OWNER, reference(&who), AssignmentScope::Tenant { id: OTHER_TENANT }, None);
    assert!(!world.may(&who, &facts(RBAC), "app", Right::ContentRead), "beside is not above");
}

#[test]
fn groups_pass_their_roles_on_through_groups_and_circles() {
    let mut world = World::default();
    let who = world.user("ann");
    let inner = world.group("inner", &[reference(&who)]);
    let outer = world.group("outer", &[inner]);
    let circle = PrincipalRef { kind: PrincipalKind::Group, id: outer.id };
    let membership = shorepass_core::directory::Membership { member: circle, external: false };
    world.add(inner.id, "circle", membership);
    let id = world.assign(role_id::ACR_PUSH, outer, at_registry(), None);
    let decision = world.ask(&who, &facts(RBAC), "app", Right::ContentWrite);
    assert!(decision.allowed);
    let expected = Matched::Assignment { id, role: role_id::ACR_PUSH, holder: outer };
    assert_eq!(decision.matched, [expected]);
    assert_eq!(world.state.members_of(outer.id).into_iter().collect::<Vec<_>>(), [reference(&who)]);

    world.state.apply(inner.id, None);
    assert!(!world.may(&who, &facts(RBAC), "app", Right::ContentWrite), "a deleted group holds nobody");
}

#[test]
fn a_switch_of_modes_changes_what_roles_reach() {
    let mut world = World::default();
    let who = world.user("ann");
    world.assign(role_id::OWNER, reference(&who), at_registry(), None);
    assert!(world.may(&who, &facts(RBAC), "app", Right::ContentDelete));
    assert!(!world.may(&who, &facts(ABAC), "app", Right::ContentRead), "Owner has no data plane");
    let only = AssignmentScope::Repository { registry: REGISTRY, name: name("app") };
    world.assign(role_id::REPOSITORY_WRITER, reference(&who), only, None);
    assert!(world.may(&who, &facts(ABAC), "app", Right::ContentWrite));
    assert!(!world.may(&who, &facts(ABAC), "app/web", Right::ContentWrite));
    assert!(!world.may(&who, &facts(ABAC), "app", Right::ContentDelete));
}

#[test]
fn a_condition_narrows_its_assignment() {
    let mut world = World::default();
    let who = world.user("ann");
    let condition = format!("{NAME} StringStartsWithIgnoreCase 'team/'");
    world.assign(role_id::REPOSITORY_READER, reference(&who), at_registry(), Some(&condition));
    assert!(world.may(&who, &facts(ABAC), "team/app", Right::ContentRead));
    assert!(!world.may(&who, &facts(ABAC), "teams", Right::ContentRead));
    world.assign(role_id::REPOSITORY_READER, reference(&who), at_registry(), Some("this is no condition"));
    assert!(!world.may(&who, &facts(ABAC), "teams", Right::ContentRead), "what cannot be read grants nothing");
}

#[test]
fn a_stranger_has_nothing_here_whatever_is_written() {
    let mut world = World::default();
    let id = world.add(OTHER_TENANT, "eve", user(true));
    let eve = Principal::User { id };
    world.assign(role_id::OWNER, reference(&eve), at_registry(), None);
    let insider = world.group("ours", &[reference(&eve)]);
    world.assign(role_id::OWNER, insider, at_registry(), None);
    world.policy("open", "permit (principal, action, resource);");
    assert!(!world.may(&eve, &facts(RBAC), "app", Right::ContentRead));
    assert!(world.state.members_of(insider.id).is_empty());
}

#[test]
fn tokens_do_what_their_map_names_and_never_more() {
    let mut world = World::default();
    let map = world.map("my-map", &["repositories/team/*/content/read"]);
    let token_ = world.token("robot", map);
    let rbac = facts(RBAC);
    assert!(world.may(&token_, &rbac, "team/app", Right::ContentRead));
    assert!(!world.may(&token_, &rbac, "team/app", Right::MetadataRead));
    assert!(!world.state.decide(&question(&token_, &rbac, None, Right::CatalogList)).allowed);

    world.policy("open", "permit (principal, action, resource);");
    assert!(!world.may(&token_, &rbac, "team/app", Right::ContentWrite), "the map is the ceiling");
    assert!(!world.state.decide(&question(&token_, &rbac, None, Right::CatalogList)).allowed);

    let system = world.token("system", system_map_id("_repositories_push").unwrap());
    assert!(world.may(&system, &rbac, "any", Right::ContentWrite));
    assert!(!world.may(&system, &rbac, "any", Right::ContentDelete));

    let elsewhere = world.add(
        OTHER_REGISTRY,
        "their-map",
        shorepass_core::directory::ScopeMap {
            description: String::new(),
            actions: vec!["repositories/*/content/read".to_owned()],
        },
    );
    let laundered = world.token("laundered", elsewhere);
    assert!(!world.may(&laundered, &rbac, "any", Right::ContentRead), "another registry's map");
    let Principal::RepositoryToken { id, .. } = token_ else { unreachable!() };
    let foreign = Principal::RepositoryToken { registry: OTHER_REGISTRY, id };
    assert!(!world.may(&foreign, &rbac, "team/app", Right::ContentRead));
}

#[test]
fn anonymous_reads_where_it_is_on_and_nothing_more() {
    let mut world = World::default();
    let mut open = facts(RBAC);
    assert!(!world.may(&Principal::Anonymous, &open, "app", Right::ContentRead));
    world.policy("open", "permit (principal, action, resource);");
    assert!(!world.may(&Principal::Anonymous, &open, "app", Right::ContentRead), "only the setting opens it");
    open.anonymous_pull = true;
    assert!(world.may(&Principal::Anonymous, &open, "app", Right::ContentRead));
    assert!(world.may(&Principal::Anonymous, &open, "app", Right::MetadataRead));
    for right in [Right::ContentWrite, Right::ContentDelete, Right::MetadataWrite, Right::Untag, Right::AttributesRead]
    {
        assert!(!world.may(&Principal::Anonymous, &open, "app", right), "{right}");
    }
    assert!(!world.state.decide(&question(&Principal::Anonymous, &open, None, Right::CatalogList)).allowed);
}

#[test]
fn the_admin_account_is_its_own_registrys() {
    let world = World::default();
    let admin = Principal::Admin { registry: REGISTRY };
    assert!(world.may(&admin, &facts(RBAC), "app", Right::ContentDelete));
    assert!(world.may(&admin, &facts(ABAC), "app", Right::ContentDelete));
    let off = RegistryFacts { admin_enabled: false, ..facts(RBAC) };
    assert!(!world.may(&admin, &off, "app", Right::ContentRead));
    let foreign = Principal::Admin { registry: OTHER_REGISTRY };
    assert!(!world.may(&foreign, &facts(RBAC), "app", Right::ContentRead));
    assert!(world.may(&Principal::Operator { uid: 0 }, &off, "app", Right::ContentDelete));
}

#[test]
fn ceilings_and_locks_take_from_what_is_granted() {
    let world = World::default();
    let admin = Principal::Admin { registry: REGISTRY };
    let (rbac, app) = (facts(RBAC), name("app"));
    let pull = TokenScope::Repository { name: app.clone(), actions: ActionSet::of(&[Action::ContentRead]) };
    let ceiling = Ceiling::Scopes(vec![pull]);
    let ask = |right, ceiling: &Ceiling, locks| {
        world.state.decide(&Question { ceiling, locks, ..question(&admin, &rbac, Some(&app), right) }).denied_by
    };
    let free = Locks::default();
    assert_eq!(ask(Right::ContentRead, &ceiling, free), None);
    assert_eq!(ask(Right::MetadataRead, &ceiling, free), None, "who pulls lists tags");
    assert_eq!(ask(Right::AttributesRead, &ceiling, free), Some(DeniedBy::Ceiling));
    assert_eq!(ask(Right::ContentWrite, &ceiling, free), Some(DeniedBy::Ceiling));
    let open = &Ceiling::Open;
    let locked = Locks { write_enabled: false, ..free };
    assert_eq!(ask(Right::ContentWrite, open, locked), Some(DeniedBy::Lock));
    assert_eq!(ask(Right::ContentDelete, open, locked), Some(DeniedBy::Lock), "write or delete off blocks deletion");
    assert_eq!(ask(Right::ContentRead, open, locked), None);
    assert_eq!(ask(Right::MetadataWrite, open, locked), None, "else nothing could be unlocked");
    assert_eq!(ask(Right::ContentRead, open, Locks { read_enabled: false, ..free }), Some(DeniedBy::Lock));
}
