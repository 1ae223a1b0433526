//! Management, granting, owners.

use shorepass_core::Principal;
use shorepass_core::directory::AssignmentScope;

use super::RBAC;
use crate::policy::fixture::*;
use crate::policy::*;

#[test]
fn management_follows_roles_and_scopes() {
    use ManagementAction as M;
    let mut world = World::default();
    let who = world.user("ann");
    let chain = facts(RBAC).chain(None);
    let may =
        |world: &World, action, chain: &ScopeChain| world.state.decide_management(&who, action, chain, None).allowed;
    world.assign(role_id::CONTRIBUTOR, reference(&who), AssignmentScope::ResourceGroup { id: GROUP }, None);
    assert!(may(&world, M::RegistryWrite, &chain));
    assert!(!may(&world, M::RoleAssignmentWrite, &chain));
    let above = ScopeChain { resource_group: None, registry: None, ..chain.clone() };
    assert!(!may(&world, M::ResourceGroupWrite, &above), "a role does not reach up");
    for nobody in [Principal::Anonymous, Principal::Admin { registry: REGISTRY }] {
        assert!(!world.state.decide_management(&nobody, M::RegistryRead, &chain, None).allowed);
    }
    assert!(world.state.decide_management(&Principal::Operator { uid: 0 }, M::RegistryDelete, &chain, None).allowed);
}

#[test]
fn who_grants_may_be_limited_in_what() {
    use ManagementAction as M;
    let mut world = World::default();
    let (who, robot) = (world.user("ann"), world.user("robot"));
    let condition = format!(
        "!(ActionMatches{{'{}'}}) OR @Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] GuidEquals {}",
        M::RoleAssignmentWrite,
        role_id::ACR_PULL
    );
    world.assign(role_id::RBAC_ADMINISTRATOR, reference(&who), at_registry(), Some(&condition));
    let chain = facts(RBAC).chain(None);
    let grants = |role| {
        let grantee = Grantee { role, principal: reference(&robot) };
        world.state.decide_management(&who, M::RoleAssignmentWrite, &chain, Some(&grantee)).allowed
    };
    assert!(grants(role_id::ACR_PULL));
    assert!(!grants(role_id::OWNER));
    assert!(
        !world.state.decide_management(&who, M::RoleAssignmentWrite, &chain, None).allowed,
        "unsaid is not allowed"
    );
    assert!(world.state.decide_management(&who, M::RegistryRead, &chain, None).allowed, "reading is not limited");
}

#[test]
fn owners_of_a_tenant_are_counted() {
    let mut world = World::default();
    let (who, other) = (world.user("ann"), world.user("bob"));
    let tenant = AssignmentScope::Tenant { id: TENANT };
    let first = world.assign(role_id::OWNER, reference(&who), tenant.clone(), None);
    let limited = format!("!(ActionMatches{{'{}'}})", ManagementAction::RoleAssignmentWrite);
    world.assign(role_id::OWNER, reference(&other), tenant.clone(), Some(&limited));
    world.assign(role_id::OWNER, reference(&other), at_registry(), None);
    assert_eq!(world.state.owners(TENANT), [first]);
    world.assign(role_id::OWNER, reference(&other), tenant, None);
    assert_eq!(world.state.owners(TENANT).len(), 2);
}
