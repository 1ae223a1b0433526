//! Operators' policies.

use std::net::IpAddr;

use shorepass_core::Principal;
use shorepass_core::directory::AccessPolicy;

use super::*;
use crate::policy::fixture::*;
use crate::policy::*;

#[test]
fn operators_policies_forbid_and_allow_on_top() {
    let mut world = World::default();
    let who = world.user("ann");
    let group = world.group("release", &[reference(&who)]);
    world.assign(role_id::ACR_PUSH, reference(&who), at_registry(), None);
    let frozen = world.policy(
        "freeze",
        r#"forbid (principal, action in Shorepass::Action::"write", resource)
           when { resource.name like "prod/*" };"#,
    );
    let decision = world.ask(&who, &facts(RBAC), "prod/app", Right::ContentWrite);
    assert_eq!(decision, Decision::deny(DeniedBy::Policy, vec![Matched::Policy(frozen)]));
    assert!(!world.may(&who, &facts(RBAC), "prod/app", Right::Untag), "groups of actions hold what is in them");
    assert!(world.may(&who, &facts(RBAC), "dev/app", Right::ContentWrite));
    let open = world.policy(
        "release-deletes",
        &format!(
            r#"permit (principal in Shorepass::Group::"{}", action == Shorepass::Action::"content/delete", resource);"#,
            group.id
        ),
    );
    let decision = world.ask(&who, &facts(RBAC), "dev/app", Right::ContentDelete);
    assert_eq!(decision.matched, [Matched::Policy(open)]);
    let by_role = world.policy(
        "pushers-pull-nothing",
        r#"forbid (principal, action == Shorepass::Action::"content/read", resource)
           when { context.grantedBy.contains("AcrPush") };"#,
    );
    assert!(!world.may(&who, &facts(RBAC), "dev/app", Right::ContentRead));
    world.state.apply(by_role, None);
    assert!(world.may(&who, &facts(RBAC), "dev/app", Right::ContentRead));
    world.put(frozen, REGISTRY, "freeze", AccessPolicy { text: "nonsense".to_owned(), enabled: false });
    assert!(world.may(&who, &facts(RBAC), "prod/app", Right::ContentWrite), "a disabled policy says nothing");
}

#[test]
fn a_policy_may_look_at_where_a_request_came_from() {
    let mut world = World::default();
    world.policy(
        "office",
        r#"forbid (principal, action, resource) unless { context has ip && context.ip.isInRange(ip("10.0.0.0/8")) };"#,
    );
    let (rbac, app, admin) = (facts(RBAC), name("app"), Principal::Admin { registry: REGISTRY });
    let from = |origin: Option<&str>| {
        let origin = origin.map(|text| text.parse::<IpAddr>().unwrap());
        let question = Question { origin, ..question(&admin, &rbac, Some(&app), Right::ContentRead) };
        world.state.decide(&question).allowed
    };
    assert!(from(Some("10.1.2.3")));
    assert!(!from(Some("192.0.2.1")) && !from(Some("2001:db8::1")) && !from(None));
}

#[test]
fn what_cannot_be_evaluated_or_read_denies() {
    let admin = Principal::Admin { registry: REGISTRY };
    for text in [
        // Valid, and overflows when it is evaluated: Cedar alone would skip it and allow.
        "forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };",
        "permit (principal, action, resource) when { 9223372036854775807 + 1 > 0 };",
    ] {
        let mut world = World::default();
        world.policy("overflow", text);
        let decision = world.ask(&admin, &facts(RBAC), "app", Right::ContentRead);
        assert_eq!(decision.denied_by, Some(DeniedBy::Error), "{text}");
    }
    let mut world = World::default();
    let id =
        world.add(REGISTRY, "older", AccessPolicy { text: "forbid (principal, thing);".to_owned(), enabled: true });
    assert_eq!(world.ask(&admin, &facts(RBAC), "app", Right::ContentRead).denied_by, Some(DeniedBy::Error));
    let mut broken = row(id, REGISTRY, "older", AccessPolicy { text: String::new(), enabled: true });
    broken.body = "{}".to_owned();
    world.state.apply(id, Some(&broken));
    assert_eq!(world.ask(&admin, &facts(RBAC), "app", Right::ContentRead).denied_by, Some(DeniedBy::Error));
    world.state.apply(id, None);
    assert!(world.may(&admin, &facts(RBAC), "app", Right::ContentRead));
}

#[test]
fn policies_are_checked_before_they_are_stored() {
    let check = |text: &str| check_policy(text).unwrap_err();
    assert!(matches!(check("permit (principal"), PolicyError::Syntax(_)));
    assert_eq!(check(""), PolicyError::NotOne(0));
    assert_eq!(check("permit(principal,action,resource);forbid(principal,action,resource);"), PolicyError::NotOne(2));
    assert_eq!(check("permit(principal == ?principal,action,resource);"), PolicyError::Template);
    for text in [
        r#"permit(principal,action == Shorepass::Action::"fly",resource);"#,
        "permit(principal,action,resource) when { context.missing == 1 };",
        // Not every resource has a name: strictly, that is an error.
        r#"forbid(principal,action == Shorepass::Action::"catalog/list",resource) when { resource.name == "a" };"#,
        r#"forbid(principal,action,resource) when { context.ip.isInRange(ip("10.0.0.0/8")) };"#,
    ] {
        assert!(matches!(check(text), PolicyError::Schema(_)), "{text}");
    }
    assert_eq!(check(&" ".repeat(MAX_POLICY_LENGTH + 1)), PolicyError::TooLong);
}
