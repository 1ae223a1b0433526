//! The rules, one by one. (Their sum is held to a reference: `reference`.)

mod explain;
mod grants;
mod management;
mod policies;
mod standing;

use shorepass_core::RepositoryName;

use super::RoleMode;

const RBAC: RoleMode = RoleMode::Rbac;
const ABAC: RoleMode = RoleMode::RbacAbac;
const NAME: &str = "@Request[Microsoft.ContainerRegistry/registries/repositories:name]";

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}
