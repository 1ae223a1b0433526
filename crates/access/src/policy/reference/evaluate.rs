//! The reference.

use super::world::{Asking, Assignment, Cond, POLICIES, Plain, Scope, Who, table, word};
use crate::policy::{Right, RoleMode};

pub(super) fn reference(world: &Plain, q: &Asking) -> bool {
    let stranger = matches!(q.who, Who::Directory(3));
    let gone = match q.who {
        Who::Directory(at) => !world.enabled[at],
        Who::Token(at) => world.tokens.get(at).is_none_or(|(enabled, _)| !enabled),
        Who::Admin => !q.admin_enabled,
        Who::Operator | Who::Anonymous => false,
    };
    if gone || stranger || (q.right == Right::CatalogList) != q.repository.is_none() {
        return false;
    }
    let granted = match q.who {
        Who::Operator => true,
        Who::Admin => !matches!(word(q.right), "sign" | "quarantine"),
        Who::Anonymous => q.anonymous_pull && matches!(word(q.right), "read" | "list-tags"),
        Who::Token(at) => map_grants(&world.maps[world.tokens[at].1], q),
        Who::Directory(at) => world.assignments.iter().any(|assignment| role_grants(world, assignment, at, q)),
    };
    let says = |permit: bool| {
        let enabled = world.policies.iter().filter(|(_, enabled)| *enabled).map(|(at, _)| &POLICIES[*at]);
        enabled.filter(|policy| policy.1 == permit).any(|policy| policy.2(q))
    };
    let ceiling = match q.who {
        Who::Token(_) => granted,
        Who::Anonymous => granted,
        _ => true,
    };
    (granted || says(true)) && !says(false) && ceiling && named(q) && !lock(q)
}

pub(super) fn role_grants(world: &Plain, assignment: &Assignment, who: usize, q: &Asking) -> bool {
    let reaches = match assignment.scope {
        Scope::Tenant | Scope::Subscription | Scope::ResourceGroup | Scope::Registry => true,
        Scope::OtherTenant | Scope::OtherRegistry => false,
        Scope::Repository(name) => q.mode == RoleMode::RbacAbac && q.repository == Some(name),
    };
    let condition = match &assignment.condition {
        None => true,
        Some(condition) => holds(condition, q) == Some(true),
    };
    !assignment.other_tenant
        && reaches
        && condition
        && is_or_in(world, who, assignment.holder)
        && table(assignment.role, q.mode).split(' ').any(|known| known == word(q.right))
}

/// Grows the set of groups until it stays.
pub(super) fn is_or_in(world: &Plain, who: usize, holder: usize) -> bool {
    if who == holder {
        return true;
    }
    let mut inside = vec![who];
    loop {
        let before = inside.len();
        for (group, member) in &world.memberships {
            // The fourth group is another tenant's.
            let counts = world.groups[*group] && *group != 3;
            if counts && inside.contains(member) && !inside.contains(&(6 + group)) {
                inside.push(6 + group);
            }
        }
        if inside.len() == before {
            return inside.contains(&holder);
        }
    }
}

pub(super) fn holds(condition: &Cond, q: &Asking) -> Option<bool> {
    match condition {
        Cond::Equals(name) => q.repository.map(|repository| repository == *name),
        Cond::NotEquals(name) => q.repository.map(|repository| repository != *name),
        Cond::Starts(prefix) => q.repository.map(|repository| repository.starts_with(&format!("{prefix}/"))),
        Cond::Matches(right) => Some(right.data_action() == q.right.data_action()),
        Cond::Not(inner) => holds(inner, q).map(|value| !value),
        Cond::And(a, b) => match (holds(a, q), holds(b, q)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        Cond::Or(a, b) => match (holds(a, q), holds(b, q)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
    }
}

pub(super) fn map_grants(map: &[(&str, &str)], q: &Asking) -> bool {
    let Some(repository) = q.repository else { return false };
    map.iter().any(|(pattern, action)| {
        let matches = match pattern.strip_suffix('*') {
            Some("") => true,
            Some(prefix) => repository.starts_with(prefix),
            None => repository == *pattern,
        };
        let allows = match *action {
            "content/read" => "read",
            "content/write" => "write",
            "content/delete" => "delete untag",
            "metadata/read" => "list-tags see-locks",
            _ => "lock untag",
        };
        matches && allows.split(' ').any(|known| known == word(q.right))
    })
}

pub(super) fn named(q: &Asking) -> bool {
    let Some((actions, catalog)) = &q.ceiling else { return true };
    let enough: &[&str] = match word(q.right) {
        "catalog" => return *catalog,
        "read" => &["pull"],
        "write" | "sign" => &["push"],
        "delete" => &["delete"],
        "list-tags" => &["pull", "metadata_read"],
        "see-locks" => &["metadata_read"],
        "untag" => &["push", "delete", "metadata_write"],
        _ if q.right == Right::QuarantineRead => &["pull"],
        _ => &["metadata_write"],
    };
    actions.iter().any(|action| enough.contains(action))
}

pub(super) fn lock(q: &Asking) -> bool {
    match word(q.right) {
        "read" => !q.locks.read_enabled,
        "quarantine" => q.right == Right::QuarantineRead && !q.locks.read_enabled,
        "write" | "sign" => !q.locks.write_enabled,
        "delete" | "untag" => !(q.locks.write_enabled && q.locks.delete_enabled),
        _ => false,
    }
}
