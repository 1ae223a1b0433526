//! A world and a question as plain lists.

use shorepass_store::rows::Locks;
use uuid::Uuid;

use crate::policy::{Right, RoleMode, role_id};

pub(super) const REPOSITORIES: [&str; 6] = ["a", "ab", "a/b", "a/bc", "a/b/c", "b"];
pub(super) const PATTERNS: [&str; 8] = ["*", "a", "a/*", "a/b", "a/b/*", "ab", "b/*", "a/b/c"];
pub(super) const MAP_ACTIONS: [&str; 5] =
    ["content/read", "content/write", "content/delete", "metadata/read", "metadata/write"];

#[derive(Debug, Clone)]
pub(super) struct Plain {
    /// Users 0..3 are of the tenant, 3 is of another.
    pub(super) enabled: [bool; 6],
    /// (group, member): members 0..6 are principals, 6..10 groups.
    pub(super) memberships: Vec<(usize, usize)>,
    pub(super) groups: [bool; 4],
    pub(super) assignments: Vec<Assignment>,
    pub(super) maps: Vec<Vec<(&'static str, &'static str)>>,
    /// (enabled, map)
    pub(super) tokens: Vec<(bool, usize)>,
    pub(super) policies: Vec<(usize, bool)>,
}

#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) role: usize,
    /// As in memberships.
    pub(super) holder: usize,
    pub(super) scope: Scope,
    pub(super) condition: Option<Cond>,
    pub(super) other_tenant: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Scope {
    Tenant,
    OtherTenant,
    Subscription,
    ResourceGroup,
    Registry,
    OtherRegistry,
    Repository(&'static str),
}

#[derive(Debug, Clone)]
pub(super) enum Cond {
    Equals(&'static str),
    Starts(&'static str),
    NotEquals(&'static str),
    Matches(Right),
    Not(Box<Cond>),
    And(Box<Cond>, Box<Cond>),
    Or(Box<Cond>, Box<Cond>),
}

pub(super) const ROLES: [Uuid; 13] = [
    role_id::OWNER,
    role_id::CONTRIBUTOR,
    role_id::READER,
    role_id::ACR_PULL,
    role_id::ACR_PUSH,
    role_id::ACR_DELETE,
    role_id::ACR_IMAGE_SIGNER,
    role_id::REPOSITORY_READER,
    role_id::REPOSITORY_WRITER,
    role_id::REPOSITORY_CONTRIBUTOR,
    role_id::CATALOG_LISTER,
    role_id::DATA_IMPORTER,
    role_id::TASKS_CONTRIBUTOR,
];

/// The matrix of what-the-documents-say.md 2b.
pub(super) fn table(role: usize, mode: RoleMode) -> &'static str {
    match (mode, role) {
        (RoleMode::Rbac, 0 | 1) => "read write delete list-tags lock see-locks untag catalog",
        (RoleMode::Rbac, 2) => "read list-tags see-locks catalog",
        (RoleMode::Rbac, 3 | 11) => "read list-tags catalog",
        (RoleMode::Rbac, 4) => "read write list-tags untag catalog",
        (RoleMode::Rbac, 5) => "delete untag",
        (_, 6) => "sign",
        (RoleMode::RbacAbac, 7) => "read list-tags see-locks",
        (RoleMode::RbacAbac, 8) => "read write list-tags see-locks lock",
        (RoleMode::RbacAbac, 9) => "read write delete list-tags see-locks lock untag",
        (RoleMode::RbacAbac, 10) => "catalog",
        (RoleMode::RbacAbac, 11) => "read list-tags see-locks catalog",
        _ => "",
    }
}

pub(super) fn word(right: Right) -> &'static str {
    match right {
        Right::ContentRead => "read",
        Right::ContentWrite => "write",
        Right::ContentDelete => "delete",
        Right::MetadataRead => "list-tags",
        Right::MetadataWrite => "lock",
        Right::CatalogList => "catalog",
        Right::AttributesRead => "see-locks",
        Right::Untag => "untag",
        Right::Sign => "sign",
        Right::QuarantineRead | Right::QuarantineWrite => "quarantine",
    }
}

/// What operators may have written: the text, and what it says.
pub(super) type Says = fn(&Asking) -> bool;
pub(super) const POLICIES: [(&str, bool, Says); 4] = [
    (
        r#"forbid (principal, action in Shorepass::Action::"write", resource) when { resource.name like "a/*" };"#,
        false,
        |q| {
            let writes =
                matches!(word(q.right), "write" | "lock" | "untag" | "sign") || q.right == Right::QuarantineWrite;
            writes && q.repository.is_some_and(|r| r.starts_with("a/"))
        },
    ),
    (
        r#"permit (principal, action == Shorepass::Action::"content/read", resource) when { resource.name == "b" };"#,
        true,
        |q| q.right == Right::ContentRead && q.repository == Some("b"),
    ),
    (
        r#"forbid (principal is Shorepass::RepositoryToken, action == Shorepass::Action::"content/delete", resource);"#,
        false,
        |q| matches!(q.who, Who::Token(_)) && q.right == Right::ContentDelete,
    ),
    (r#"permit (principal, action, resource);"#, true, |_| true),
];

#[derive(Debug, Clone)]
pub(super) struct Asking {
    pub(super) who: Who,
    pub(super) mode: RoleMode,
    pub(super) anonymous_pull: bool,
    pub(super) admin_enabled: bool,
    pub(super) repository: Option<&'static str>,
    pub(super) right: Right,
    pub(super) ceiling: Option<(Vec<&'static str>, bool)>,
    pub(super) locks: Locks,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    Directory(usize),
    Token(usize),
    Admin,
    Operator,
    Anonymous,
}
