//! Worlds and questions.

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use shorepass_store::rows::Locks;

use super::world::{Asking, Assignment, Cond, MAP_ACTIONS, PATTERNS, POLICIES, Plain, REPOSITORIES, ROLES, Scope, Who};
use crate::policy::{Right, RoleMode};

pub(super) fn conditions() -> impl Strategy<Value = Cond> {
    let guarded = vec![Right::ContentRead, Right::ContentWrite, Right::ContentDelete, Right::CatalogList];
    let leaf = prop_oneof![
        select(&REPOSITORIES[..]).prop_map(Cond::Equals),
        select(&REPOSITORIES[..]).prop_map(Cond::NotEquals),
        select(&REPOSITORIES[..]).prop_map(Cond::Starts),
        select(guarded).prop_map(Cond::Matches),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| Cond::Not(Box::new(a))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Cond::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Cond::Or(Box::new(a), Box::new(b))),
        ]
    })
}

pub(super) fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![
        1 => Just(Scope::Tenant),
        1 => Just(Scope::OtherTenant),
        1 => Just(Scope::Subscription),
        1 => Just(Scope::ResourceGroup),
        3 => Just(Scope::Registry),
        1 => Just(Scope::OtherRegistry),
        3 => select(&REPOSITORIES[..]).prop_map(Scope::Repository),
    ]
}

pub(super) fn assignments() -> impl Strategy<Value = Assignment> {
    let other_tenant = proptest::bool::weighted(0.05);
    (0..ROLES.len(), 0..10_usize, scopes(), proptest::option::weighted(0.4, conditions()), other_tenant).prop_map(
        |(role, holder, scope, condition, other_tenant)| Assignment { role, holder, scope, condition, other_tenant },
    )
}

pub(super) fn maps() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    proptest::collection::vec((select(&PATTERNS[..]), select(&MAP_ACTIONS[..])), 1..6)
}

pub(super) fn worlds() -> impl Strategy<Value = Plain> {
    let mostly = || proptest::bool::weighted(0.85);
    let on = proptest::array::uniform6(mostly());
    let memberships = proptest::collection::btree_set((0..4_usize, 0..10_usize), 0..10);
    let groups = proptest::array::uniform4(mostly());
    let assignments = proptest::collection::vec(assignments(), 0..24);
    let maps = proptest::collection::vec(maps(), 1..4);
    let tokens = proptest::collection::vec((mostly(), any::<Index>()), 0..4);
    let policies = proptest::option::weighted(0.4, proptest::collection::vec((0..POLICIES.len(), any::<bool>()), 1..3));
    let parts = (on, memberships, groups, assignments, maps, tokens, policies);
    parts.prop_map(|(enabled, memberships, groups, assignments, maps, tokens, policies)| Plain {
        enabled,
        memberships: memberships.into_iter().collect(),
        groups,
        assignments,
        tokens: tokens.into_iter().map(|(enabled, map)| (enabled, map.index(maps.len()))).collect(),
        maps,
        policies: policies.unwrap_or_default(),
    })
}

pub(super) fn questions() -> impl Strategy<Value = Asking> {
    let who = prop_oneof![
        8 => (0..6_usize).prop_map(Who::Directory),
        4 => (0..4_usize).prop_map(Who::Token),
        1 => Just(Who::Admin),
        1 => Just(Who::Operator),
        2 => Just(Who::Anonymous),
    ];
    let mode = select(vec![RoleMode::Rbac, RoleMode::RbacAbac]);
    let repository = proptest::option::weighted(0.85, select(&REPOSITORIES[..]));
    let wires = vec!["pull", "push", "delete", "metadata_read", "metadata_write"];
    let ceiling = proptest::option::weighted(0.3, (subsequence(wires, 0..=5), any::<bool>()));
    let locks = proptest::array::uniform4(proptest::bool::weighted(0.8)).prop_map(|on| Locks {
        delete_enabled: on[0],
        write_enabled: on[1],
        read_enabled: on[2],
        list_enabled: on[3],
    });
    let settings = (any::<bool>(), proptest::bool::weighted(0.8));
    let right = prop_oneof![3 => select(&Right::ALL[..6]), 1 => select(&Right::ALL[..])];
    (who, mode, settings, repository, right, ceiling, locks).prop_map(
        |(who, mode, (anonymous_pull, admin_enabled), repository, right, ceiling, locks)| Asking {
            who,
            mode,
            anonymous_pull,
            admin_enabled,
            repository,
            right,
            ceiling,
            locks,
        },
    )
}
