//! Cedar: the built-in policies, the operators' own, and the one request that combines them with what matched.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::LazyLock;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet,
    Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use shorepass_core::Principal;
use uuid::Uuid;

use super::actions::Right;

/// Most policies of one registry: Cedar asks every one on every request, a microsecond each (DEPENDENCIES.md, 4.1).
pub const MAX_POLICIES: usize = 500;

/// Longest policy, in bytes.
pub const MAX_POLICY_LENGTH: usize = 8 * 1024;

/// The schema that policies are validated against, in Cedar's own language.
#[must_use]
pub fn schema() -> &'static str {
    include_str!("schema.cedarschema")
}

/// Why a policy was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("a policy has at most 8 KiB")]
    TooLong,
    #[error("the policy cannot be read: {0}")]
    Syntax(String),
    #[error("write one policy per document: this text holds {0}")]
    NotOne(usize),
    #[error(
        "a policy names its principal and resource itself; templates (`?principal`, `?resource`) are not supported"
    )]
    Template,
    #[error("the policy does not fit the schema: {0}")]
    Schema(String),
    #[error("the schema is not readable; this is a defect of Shorepass, please report it")]
    Internal,
}

/// Checks an operator's policy: one policy, no template, valid (strictly) against [`schema`].
///
/// # Errors
/// [`PolicyError`].
pub fn check_policy(text: &str) -> Result<(), PolicyError> {
    read(text, "policy").map(drop)
}

fn read(text: &str, id: &str) -> Result<Policy, PolicyError> {
    if text.len() > MAX_POLICY_LENGTH {
        return Err(PolicyError::TooLong);
    }
    let set = PolicySet::from_str(text).map_err(|error| PolicyError::Syntax(super::excerpt(&error.to_string())))?;
    if set.templates().next().is_some() {
        return Err(PolicyError::Template);
    }
    let count = set.policies().count();
    let (1, Some(policy)) = (count, set.policies().next()) else { return Err(PolicyError::NotOne(count)) };
    let validator = BUILT_IN.as_ref().map(|built_in| &built_in.validator).ok_or(PolicyError::Internal)?;
    let result = validator.validate(&set, ValidationMode::Strict);
    if let Some(error) = result.validation_errors().next() {
        return Err(PolicyError::Schema(error.to_string()));
    }
    Ok(policy.new_id(PolicyId::new(id)))
}

/// What is fixed: built-in policies, names of types and actions.
struct BuiltIn {
    policies: PolicySet,
    validator: Validator,
    /// With the groups they are in.
    actions: HashMap<Right, Entity>,
}

/// `None` cannot be (a test reads the same texts); it denies everything.
static BUILT_IN: LazyLock<Option<BuiltIn>> = LazyLock::new(|| {
    let (schema, _) = Schema::from_cedarschema_str(schema()).ok()?;
    let mut policies = PolicySet::new();
    for policy in PolicySet::from_str(include_str!("built_in.cedar")).ok()?.policies() {
        let id = policy.annotation("id")?.to_owned();
        policies.add(policy.new_id(PolicyId::new(id))).ok()?;
    }
    let known = schema.action_entities().ok()?;
    let action = |right: Right| Some((right, known.get(&uid("Action", right.as_str())?)?.clone()));
    let actions = Right::ALL.into_iter().map(action).collect::<Option<_>>()?;
    Some(BuiltIn { policies, validator: Validator::new(schema), actions })
});

/// The types of the schema, read once: to parse a name costs five times what building one from parts does.
static TYPES: LazyLock<HashMap<&'static str, EntityTypeName>> = LazyLock::new(|| {
    let names = [
        "Group",
        "User",
        "ServicePrincipal",
        "ManagedIdentity",
        "RepositoryToken",
        "Admin",
        "Operator",
        "Anonymous",
        "Registry",
        "Repository",
        "Action",
    ];
    names.into_iter().filter_map(|name| Some((name, format!("Shorepass::{name}").parse().ok()?))).collect()
});

fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    Some(EntityUid::from_type_name_and_id(TYPES.get(kind)?.clone(), EntityId::new(id)))
}

fn principal_uid(principal: &Principal) -> Option<EntityUid> {
    match principal {
        Principal::Admin { registry } => uid("Admin", &registry.to_string()),
        Principal::Operator { uid: user } => uid("Operator", &user.to_string()),
        Principal::User { id } => uid("User", &id.to_string()),
        Principal::ServicePrincipal { id } => uid("ServicePrincipal", &id.to_string()),
        Principal::ManagedIdentity { id } => uid("ManagedIdentity", &id.to_string()),
        Principal::RepositoryToken { id, .. } => uid("RepositoryToken", &id.to_string()),
        Principal::Anonymous => uid("Anonymous", "anonymous"),
    }
}

/// What Cedar is asked.
pub(super) struct Asked<'a> {
    pub(super) principal: &'a Principal,
    pub(super) registry: Uuid,
    /// `None`: the registry itself is asked about.
    pub(super) repository: Option<&'a str>,
    pub(super) right: Right,
    pub(super) granted: bool,
    /// Looked at by operators' policies only, as are the groups.
    pub(super) granted_by: &'a dyn Fn() -> Vec<String>,
    pub(super) groups: &'a dyn Fn() -> Vec<Uuid>,
    pub(super) anonymous_pull: bool,
    pub(super) within_ceiling: bool,
    pub(super) locked: bool,
    pub(super) origin: Option<IpAddr>,
}

/// What Cedar answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// By these policies: the names of built-in ones, the ids of operators'.
    Allow(Vec<String>),
    /// By these; none: nothing permits it.
    Deny(Vec<String>),
    /// Something could not be evaluated, which is no. (An erring `forbid` is otherwise skipped.)
    Error,
}

/// The built-in policies together with those of one registry's operators.
#[derive(Debug)]
pub(super) struct Policies {
    /// `None`: one of them cannot be read, so nothing is allowed.
    set: Option<PolicySet>,
}

impl Policies {
    pub(super) fn compile<'a>(texts: impl Iterator<Item = (Uuid, &'a str)>, broken: bool) -> Self {
        let mut set = BUILT_IN.as_ref().filter(|_| !broken).map(|built_in| built_in.policies.clone());
        for (at, (id, text)) in texts.enumerate() {
            let read = read(text, &id.to_string()).map_err(|error| error.to_string());
            let added = read.and_then(|policy| match &mut set {
                Some(set) if at < MAX_POLICIES => set.add(policy).map_err(|error| error.to_string()),
                Some(_) => Err(format!("a registry has at most {MAX_POLICIES} policies")),
                None => Ok(()),
            });
            if let Err(error) = added {
                tracing::error!(policy = %id, error, "the policy cannot be used; nothing is allowed in its registry");
                set = None;
            }
        }
        Self { set }
    }

    /// Asks the built-in policies and these.
    pub(super) fn ask(&self, asked: &Asked<'_>) -> Answer {
        let request = || {
            let entities = entities(asked)?;
            ask(self.set.as_ref()?, asked, (asked.granted_by)(), &entities)
        };
        request().unwrap_or(Answer::Error)
    }
}

/// Asks the built-in policies alone: they look at no groups, names or attributes.
pub(super) fn ask_built_in(asked: &Asked<'_>) -> Answer {
    let answer = BUILT_IN.as_ref().and_then(|built_in| ask(&built_in.policies, asked, Vec::new(), &Entities::empty()));
    answer.unwrap_or(Answer::Error)
}

fn ask(policies: &PolicySet, asked: &Asked<'_>, granted_by: Vec<String>, entities: &Entities) -> Option<Answer> {
    let resource = resource_uid(asked)?;
    let action = uid("Action", asked.right.as_str())?;
    let request =
        Request::new(principal_uid(asked.principal)?, action, resource, context(asked, granted_by)?, None).ok()?;
    let response = Authorizer::new().is_authorized(&request, policies, entities);
    let diagnostics = response.diagnostics();
    if let Some(error) = diagnostics.errors().next() {
        tracing::error!(%error, "a policy cannot be evaluated; the request is denied");
        return None;
    }
    let reasons = diagnostics.reason().map(ToString::to_string).collect();
    Some(match response.decision() {
        Decision::Allow => Answer::Allow(reasons),
        Decision::Deny => Answer::Deny(reasons),
    })
}

fn resource_uid(asked: &Asked<'_>) -> Option<EntityUid> {
    match asked.repository {
        Some(name) => uid("Repository", name),
        None => uid("Registry", &asked.registry.to_string()),
    }
}

fn context(asked: &Asked<'_>, granted_by: Vec<String>) -> Option<Context> {
    let flag = RestrictedExpression::new_bool;
    let granted_by = RestrictedExpression::new_set(granted_by.into_iter().map(RestrictedExpression::new_string));
    let fixed = [
        ("grantedBy", granted_by),
        ("granted", flag(asked.granted)),
        ("anonymousPull", flag(asked.anonymous_pull)),
        ("withinCeiling", flag(asked.within_ceiling)),
        ("locked", flag(asked.locked)),
    ];
    let ip = asked.origin.map(|ip| ("ip", RestrictedExpression::new_ip(ip.to_string())));
    Context::from_pairs(fixed.into_iter().chain(ip).map(|(name, value)| (name.to_owned(), value))).ok()
}

/// The principal with its groups, the resource with its name, the action with what it belongs to.
fn entities(asked: &Asked<'_>) -> Option<Entities> {
    let groups: Option<HashSet<EntityUid>> = (asked.groups)().iter().map(|id| uid("Group", &id.to_string())).collect();
    let principal = Entity::new_no_attrs(principal_uid(asked.principal)?, groups?);
    let registry = uid("Registry", &asked.registry.to_string())?;
    let resource = match asked.repository {
        None => Entity::new_no_attrs(registry, HashSet::new()),
        Some(name) => {
            let attributes = HashMap::from([("name".to_owned(), RestrictedExpression::new_string(name.to_owned()))]);
            Entity::new(uid("Repository", name)?, attributes, HashSet::from([registry])).ok()?
        }
    };
    let action = BUILT_IN.as_ref()?.actions.get(&asked.right)?.clone();
    Entities::from_entities([principal, resource, action], None).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_policies_are_valid_and_all_there() {
        let built_in = BUILT_IN.as_ref().unwrap();
        let result = built_in.validator.validate(&built_in.policies, ValidationMode::Strict);
        assert!(result.validation_passed(), "{result}");
        assert_eq!(result.validation_warnings().count(), 0, "{result}");
        assert_eq!(built_in.policies.policies().count(), 11);
        assert_eq!(TYPES.len(), 11);
        assert_eq!(built_in.actions.len(), Right::ALL.len());
    }

    /// Requests are built without the schema, because checking each costs 8 µs; so all their shapes are checked here.
    #[test]
    fn every_request_fits_the_schema() {
        let (schema, _) = Schema::from_cedarschema_str(schema()).unwrap();
        let id = Uuid::from_u128(1);
        for principal in [
            Principal::User { id },
            Principal::ServicePrincipal { id },
            Principal::ManagedIdentity { id },
            Principal::RepositoryToken { registry: id, id },
            Principal::Admin { registry: id },
            Principal::Operator { uid: 0 },
            Principal::Anonymous,
        ] {
            for right in Right::ALL {
                let in_group = matches!(
                    principal,
                    Principal::User { .. } | Principal::ServicePrincipal { .. } | Principal::ManagedIdentity { .. }
                );
                let asked = Asked {
                    principal: &principal,
                    registry: id,
                    repository: (right != Right::CatalogList).then_some("a/b"),
                    right,
                    granted: true,
                    granted_by: &Vec::new,
                    groups: &|| if in_group { vec![id] } else { Vec::new() },
                    anonymous_pull: true,
                    within_ceiling: true,
                    locked: false,
                    origin: Some(IpAddr::from([127, 0, 0, 1])),
                };
                let context = context(&asked, vec!["AcrPull".to_owned()]).unwrap();
                let (who, what) = (principal_uid(&principal).unwrap(), resource_uid(&asked).unwrap());
                let action = uid("Action", right.as_str()).unwrap();
                Request::new(who, action, what, context, Some(&schema)).unwrap();
                let list: Vec<Entity> = entities(&asked).unwrap().iter().cloned().collect();
                let all = list.into_iter().filter(|entity| !entity.uid().to_string().contains("Action"));
                Entities::from_entities(all, Some(&schema)).unwrap();
            }
        }
    }
}
