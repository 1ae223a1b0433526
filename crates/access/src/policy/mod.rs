//! The decision engine: what decides, in memory; pure and synchronous.
//!
//! [`PolicyState`] holds the directory's documents and their indices. Matching (conditions, scope-map patterns, groups) is done
//! here over indexed data; Cedar combines what matched with the built-in policies and those of the registry's operators, one
//! small request whatever the number of assignments (DEPENDENCIES.md, 4.1).

mod actions;
mod cedar;
mod condition;
mod decide;
mod explain;
mod lists;
mod roles;
mod scope_map;
mod state;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use actions::{ManagementAction, Right, Rights, UnknownAction};
pub use cedar::{MAX_POLICIES, MAX_POLICY_LENGTH, PolicyError, check_policy, schema};
pub use condition::{Condition, ConditionError, Grantee, Subject};
pub use decide::{Decision, DeniedBy, Held, Matched, Question, RegistryFacts, ScopeChain};
pub use explain::{Explanation, Reason};
pub use lists::{Holding, Who};
pub use roles::{AssignmentError, Role, RoleError, RoleMode, built_in_role, built_in_roles, check_assignment, role_id};
pub use scope_map::{
    CompiledMap, MAX_ACTIONS, MAX_REPOSITORIES, SYSTEM_MAPS, ScopeMapError, SystemMap, check_map_name, normalise,
    system_map, system_map_id,
};
pub use state::{PolicyState, Proof};

/// What an error shows of an input that may be long.
fn excerpt(input: &str) -> String {
    shorepass_core::text::excerpt(input, 100)
}
