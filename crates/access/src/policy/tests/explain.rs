//! Explanations and lists.

use shorepass_core::Principal;
use shorepass_core::directory::AssignmentScope;

use super::*;
use crate::policy::fixture::*;
use crate::policy::*;

#[test]
fn explanations_name_the_smallest_change() {
    let mut world = World::default();
    let who = world.user("ann");
    let change = |world: &World, who: &Principal, mode, right| {
        let (facts, app) = (facts(mode), name("team/app"));
        world.state.explain(&question(who, &facts, Some(&app), right)).change.unwrap()
    };
    assert_eq!(
        change(&world, &who, RBAC, Right::ContentRead),
        "assign the role `AcrPull` at the registry `myregistry`"
    );
    assert!(change(&world, &who, RBAC, Right::ContentWrite).contains("`AcrPush`"));
    assert!(change(&world, &who, RBAC, Right::ContentDelete).contains("`AcrDelete`"));
    assert!(
        change(&world, &who, ABAC, Right::ContentWrite).contains("Repository Writer` at the repository `team/app`")
    );
    world.assign(role_id::ACR_PULL, reference(&who), at_registry(), None);
    assert!(change(&world, &who, ABAC, Right::ContentRead).contains("do not honour `AcrPull`"));
    let condition = format!("{NAME} StringEqualsIgnoreCase 'other'");
    world.assign(role_id::REPOSITORY_READER, reference(&who), at_registry(), Some(&condition));
    assert!(change(&world, &who, ABAC, Right::ContentRead).starts_with("widen the condition"));

    let map = world.map("my-map", &["repositories/x/content/read"]);
    let own = world.token("robot", map);
    let text = change(&world, &own, RBAC, Right::ContentWrite);
    assert_eq!(text, "add `repositories/team/app/content/write` to the scope map `my-map`");
    let system = world.token("system", system_map_id("_repositories_pull").unwrap());
    assert!(change(&world, &system, RBAC, Right::ContentWrite).starts_with("give the token `system` a scope map"));
    assert!(change(&world, &Principal::Anonymous, RBAC, Right::ContentRead).contains("--anonymous-pull-enabled true"));
    world.policy("freeze", "forbid (principal, action, resource);");
    assert_eq!(change(&world, &who, RBAC, Right::ContentRead), "change or disable the access policy `freeze`");
}

/// Whatever role an explanation proposes, assigning it as said allows what was asked.
#[test]
fn proposed_roles_do_what_was_asked() {
    for mode in [RBAC, ABAC] {
        for right in Right::ALL {
            let mut world = World::default();
            let who = world.user("ann");
            let (facts, app) = (facts(mode), name("app"));
            let repository = (right != Right::CatalogList).then_some(&app);
            let explanation = world.state.explain(&question(&who, &facts, repository, right));
            let change = explanation.change.unwrap();
            let role = built_in_roles().iter().find(|role| change.contains(&format!("`{}`", role.name))).unwrap();
            let scope = match repository.filter(|_| mode == ABAC) {
                Some(name) => AssignmentScope::Repository { registry: REGISTRY, name: name.clone() },
                None => at_registry(),
            };
            check_assignment(role, &scope, None).unwrap();
            world.assign(role.id, reference(&who), scope, None);
            let after = world.state.explain(&question(&who, &facts, repository, right));
            assert!(after.allowed && after.change.is_none(), "{mode:?} {right}: {change}");
            assert!(after.reason.contains(&role.name), "{}", after.reason);
        }
    }
}

#[test]
fn lists_answer_who_can_and_what_can() {
    let mut world = World::default();
    let (ann, bob) = (world.user("ann"), world.user("bob"));
    let group = world.group("pullers", &[reference(&ann)]);
    let id = world.assign(role_id::ACR_PULL, group, AssignmentScope::Tenant { id: TENANT }, None);
    let map = world.map("my-map", &["repositories/app/content/read"]);
    let robot = world.token("robot", map);
    let (rbac, app) = (facts(RBAC), name("app"));
    let who = |world: &World, right| -> Vec<String> {
        world.state.who_can(&rbac, Some(&app), right, 10).into_iter().map(|who| who.principal).collect()
    };
    let admin = Principal::Admin { registry: REGISTRY };
    assert_eq!(who(&world, Right::ContentRead), [admin.id(), ann.id(), robot.id()]);
    assert_eq!(who(&world, Right::ContentWrite), [admin.id()]);
    assert_eq!(world.state.who_can(&rbac, Some(&app), Right::ContentRead, 1).len(), 1);
    world.policy(
        "all",
        r#"permit (principal is Shorepass::User, action == Shorepass::Action::"content/read", resource);"#,
    );
    assert_eq!(who(&world, Right::ContentRead), [admin.id(), ann.id(), bob.id(), robot.id()]);

    let held = world.state.what_can(&ann);
    assert_eq!((held[0].id, held[0].name.as_str(), held[0].group), (id, "AcrPull", Some(group.id)));
    assert!(world.state.what_can(&bob).is_empty());
    assert_eq!(world.state.what_can(&robot)[0].actions, ["repositories/app/content/read"]);
}
