//! Explanations: what decided, and the smallest change that would allow what was denied.

use serde::Serialize;
use shorepass_core::directory::{AssignmentScope, PrincipalKind};
use shorepass_core::{Principal, scope};
use uuid::Uuid;

use super::actions::{ManagementAction, Right};
use super::decide::{Decision, DeniedBy, Matched, Question, ScopeChain};
use super::roles::{Role, RoleMode, built_in_roles, role_id};
use super::state::PolicyState;

/// A decision as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    pub allowed: bool,
    /// In one sentence.
    pub reason: String,
    /// What granted it, or the policies that forbid it.
    pub matched: Vec<Reason>,
    /// For a denial: the smallest change that would allow it, if there is one.
    pub change: Option<String>,
}

/// Something that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    pub kind: &'static str,
    /// Of the assignment, scope map or policy.
    pub id: Option<Uuid>,
    /// The role's, map's or policy's name.
    pub name: String,
    /// Where a role is assigned.
    pub scope: Option<AssignmentScope>,
    pub why: String,
}

pub(super) fn reasons(state: &PolicyState, matched: &[Matched]) -> Vec<Reason> {
    matched.iter().map(|matched| reason(state, matched)).collect()
}

fn reason(state: &PolicyState, matched: &Matched) -> Reason {
    match matched {
        Matched::Assignment { id, role, holder } => {
            let name = state.role(*role).map_or_else(|| role.to_string(), |role| role.name.clone());
            let scope = state.role_assignment(*id).map(|assignment| assignment.document.scope.clone());
            let at = scope.as_ref().map_or_else(String::new, place);
            let why = match (holder.kind, state.name_of(*holder)) {
                (PrincipalKind::Group, group) => {
                    format!("the group `{}` has the role `{name}` at {at}", group.unwrap_or_default())
                }
                _ => format!("the role `{name}` is assigned at {at}"),
            };
            Reason { kind: "roleAssignment", id: Some(*id), name, scope, why }
        }
        Matched::ScopeMap { id, name } => {
            let why = format!("the token's scope map `{name}` names it");
            Reason { kind: "scopeMap", id: Some(*id), name: name.clone(), scope: None, why }
        }
        Matched::BuiltIn(name) => {
            let why = format!("it is a right of the {name}");
            Reason { kind: "builtIn", id: None, name: (*name).to_owned(), scope: None, why }
        }
        Matched::Policy(id) => {
            let name = state.access_policy(*id).map_or_else(|| id.to_string(), |policy| policy.name.clone());
            let why = format!("the access policy `{name}` says so");
            Reason { kind: "accessPolicy", id: Some(*id), name, scope: None, why }
        }
    }
}

fn place(scope: &AssignmentScope) -> String {
    match scope {
        AssignmentScope::Tenant { .. } => "the tenant".to_owned(),
        AssignmentScope::Subscription { .. } => "the subscription".to_owned(),
        AssignmentScope::ResourceGroup { .. } => "the resource group".to_owned(),
        AssignmentScope::Registry { .. } => "the registry".to_owned(),
        AssignmentScope::Repository { name, .. } => format!("the repository `{name}`"),
    }
}

impl PolicyState {
    /// Decides, and says why.
    #[must_use]
    pub fn explain(&self, question: &Question<'_>) -> Explanation {
        let decision = self.decide(question);
        let change = decision.denied_by.as_ref().and_then(|denied| self.change(question, denied, &decision));
        self.explanation(&decision, change)
    }

    /// Decides about management, and says why.
    #[must_use]
    pub fn explain_management(
        &self,
        principal: &Principal,
        action: ManagementAction,
        chain: &ScopeChain,
    ) -> Explanation {
        let decision = self.decide_management(principal, action, chain, None);
        let change = match &decision.denied_by {
            Some(DeniedBy::NoGrant) => management_change(principal, action, chain),
            Some(DeniedBy::Revoked(_)) => Some("enable the principal, or create it anew".to_owned()),
            _ => None,
        };
        self.explanation(&decision, change)
    }

    fn explanation(&self, decision: &Decision, change: Option<String>) -> Explanation {
        let matched = reasons(self, &decision.matched);
        let reason = match &decision.denied_by {
            None => matched.first().map_or_else(|| "it is allowed".to_owned(), |reason| reason.why.clone()),
            Some(DeniedBy::NoGrant) => "nothing grants it".to_owned(),
            Some(DeniedBy::Ceiling) => "the token does not name it".to_owned(),
            Some(DeniedBy::Lock) => "the repository's attributes forbid it".to_owned(),
            Some(DeniedBy::Policy) => "an access policy of the registry forbids it".to_owned(),
            Some(DeniedBy::Revoked(reason)) => (*reason).to_owned(),
            Some(DeniedBy::Error) => {
                "an access policy of the registry cannot be evaluated, so nothing is allowed".to_owned()
            }
        };
        Explanation { allowed: decision.allowed, reason, matched, change }
    }

    fn change(&self, question: &Question<'_>, denied: &DeniedBy, decision: &Decision) -> Option<String> {
        let registry = &question.registry.name;
        let repository = question.repository.map(|name| name.as_str()).unwrap_or_default();
        match denied {
            DeniedBy::NoGrant => self.grant(question),
            DeniedBy::Ceiling if question.repository.is_none() => {
                Some("ask for a token with the scope `registry:catalog:*`".to_owned())
            }
            DeniedBy::Ceiling => {
                let actions = scope::wire_actions(question.right.covered_by().iter().take(1).collect());
                Some(format!("ask for a token with the scope `repository:{repository}:{actions}`"))
            }
            DeniedBy::Lock => {
                let flags = match question.right {
                    Right::ContentRead | Right::QuarantineRead => "--read-enabled true",
                    Right::ContentDelete | Right::Untag => "--delete-enabled true --write-enabled true",
                    _ => "--write-enabled true",
                };
                Some(format!(
                    "unlock it: `shorepass repository update -n {registry} --repository {repository} {flags}`"
                ))
            }
            DeniedBy::Policy => {
                let names: Vec<String> =
                    reasons(self, &decision.matched).into_iter().map(|reason| format!("`{}`", reason.name)).collect();
                Some(format!("change or disable the access policy {}", names.join(" and ")))
            }
            DeniedBy::Error => Some("the server's log names the access policy: change or disable it".to_owned()),
            DeniedBy::Revoked(_) if matches!(question.principal, Principal::Admin { .. }) => {
                Some(format!("`shorepass registry update -n {registry} --admin-enabled true`"))
            }
            DeniedBy::Revoked(_) => Some("enable the principal, or create it anew".to_owned()),
        }
    }

    /// What would have to be granted.
    fn grant(&self, question: &Question<'_>) -> Option<String> {
        let (right, registry) = (question.right, question.registry);
        match question.principal {
            Principal::Operator { .. } => None,
            Principal::Admin { .. } => Some("sign in as somebody with a role that holds it".to_owned()),
            Principal::Anonymous if matches!(right, Right::ContentRead | Right::MetadataRead) => Some(format!(
                "sign in, or `shorepass registry update -n {} --anonymous-pull-enabled true`",
                registry.name
            )),
            Principal::Anonymous => Some("sign in: anonymous only ever pulls".to_owned()),
            Principal::RepositoryToken { id, .. } => self.map_change(*id, question),
            Principal::User { .. } | Principal::ServicePrincipal { .. } | Principal::ManagedIdentity { .. } => {
                self.role_change(question)
            }
        }
    }

    fn map_change(&self, token: Uuid, question: &Question<'_>) -> Option<String> {
        let action = match question.right {
            Right::CatalogList => {
                return Some("use another principal: repository tokens cannot list the catalog".into());
            }
            Right::AttributesRead => Right::MetadataRead,
            Right::Untag => Right::MetadataWrite,
            Right::Sign | Right::QuarantineRead | Right::QuarantineWrite => {
                return Some("use a principal with a role: repository tokens cannot do this".to_owned());
            }
            other => other,
        };
        let wanted = format!("repositories/{}/{action}", question.repository?);
        let token = self.repository_token(token)?;
        Some(match self.map_of(token) {
            Some(map) if super::system_map(map.id).is_none() => {
                format!("add `{wanted}` to the scope map `{}`", map.name)
            }
            _ => format!("give the token `{}` a scope map with `{wanted}`", token.name),
        })
    }

    fn role_change(&self, question: &Question<'_>) -> Option<String> {
        let (right, registry) = (question.right, question.registry);
        if self.tenant_of(question.principal) != Some(registry.tenant) {
            return Some(
                "the registry is another tenant's: there, consent to the application and give it a role".into(),
            );
        }
        if let Some(condition) = self.limited(question) {
            return Some(condition);
        }
        let at = match question.repository.filter(|_| registry.mode == RoleMode::RbacAbac) {
            Some(name) => format!("the repository `{name}`"),
            None => format!("the registry `{}`", registry.name),
        };
        let least = least(|role| role.rights(registry.mode).contains(right))?;
        let note = match (registry.mode, self.ignored(question)) {
            (RoleMode::RbacAbac, Some(role)) => format!(" (registries in `rbac-abac` mode do not honour `{role}`)"),
            (RoleMode::Rbac, Some(role)) => format!(" (only registries in `rbac-abac` mode honour `{role}`)"),
            (_, None) => String::new(),
        };
        Some(format!("assign the role `{}` at {at}{note}", least.name))
    }

    /// An assignment that would do but for its condition.
    fn limited(&self, question: &Question<'_>) -> Option<String> {
        let (assigned, role) = self.assigned_for(question).into_iter().find(|(assigned, role)| {
            assigned.condition.is_some() && role.rights(question.registry.mode).contains(question.right)
        })?;
        Some(format!("widen the condition of the role assignment {} (`{}`)", assigned.id, role.name))
    }

    /// A role that is assigned and holds it, in the other mode.
    fn ignored(&self, question: &Question<'_>) -> Option<&str> {
        let other = match question.registry.mode {
            RoleMode::Rbac => RoleMode::RbacAbac,
            RoleMode::RbacAbac => RoleMode::Rbac,
        };
        let found =
            self.assigned_for(question).into_iter().find(|(_, role)| role.rights(other).contains(question.right));
        found.map(|(_, role)| role.name.as_str())
    }

    fn assigned_for(&self, question: &Question<'_>) -> Vec<(&super::state::Assigned, &Role)> {
        let scopes = question.registry.chain(question.repository).scopes();
        self.assigned(question.principal, question.registry.tenant, &scopes)
    }
}

/// The built-in role that holds it and least else.
fn least(holds: impl Fn(&Role) -> bool) -> Option<&'static Role> {
    built_in_roles().iter().filter(|role| holds(role)).min_by_key(|role| role.weight())
}

fn management_change(principal: &Principal, action: ManagementAction, chain: &ScopeChain) -> Option<String> {
    if PolicyState::reference(principal).is_none() {
        return Some("sign in as a user, service principal or managed identity with a role".to_owned());
    }
    let granting = matches!(action, ManagementAction::RoleAssignmentWrite | ManagementAction::RoleAssignmentDelete);
    let role = if granting {
        built_in_roles().iter().find(|role| role.id == role_id::RBAC_ADMINISTRATOR)
    } else {
        least(|role| role.manages(action))
    }?;
    let at = chain.scopes().last().map(place)?;
    Some(format!("assign the role `{}` at {at}", role.name))
}
