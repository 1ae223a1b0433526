//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands::access::AccessArgs;
use crate::commands::account::AccountArgs;
use crate::commands::ad_group::AdGroupArgs;
use crate::commands::admin::AdminArgs;
use crate::commands::audit::AuditArgs;
use crate::commands::check_health::CheckHealthArgs;
use crate::commands::completion::CompletionArgs;
use crate::commands::config::ConfigArgs;
use crate::commands::federation::FederationArgs;
use crate::commands::identity::IdentityArgs;
use crate::commands::keys::KeysArgs;
use crate::commands::login::LoginArgs;
use crate::commands::man::ManArgs;
use crate::commands::registry::RegistryArgs;
use crate::commands::repository::RepositoryArgs;
use crate::commands::resource_group::ResourceGroupArgs;
use crate::commands::role::RoleArgs;
use crate::commands::scope_map::ScopeMapArgs;
use crate::commands::serve::ServeArgs;
use crate::commands::sp::SpArgs;
use crate::commands::subscription::SubscriptionArgs;
use crate::commands::tenant::TenantArgs;
use crate::commands::token::TokenArgs;
use crate::commands::user::UserArgs;
use crate::output::Format;

/// A container registry with cloud-grade identity: the server, and the commands that administer it
#[derive(Debug, Parser)]
#[command(name = "shorepass", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Args)]
pub struct Global {
    /// How answers are written (default: table)
    #[arg(short, long, value_name = "FORMAT", global = true, help_heading = "Global options")]
    pub output: Option<Format>,
    /// JMESPath expression that picks from the answer; see https://jmespath.org
    #[arg(long, value_name = "JMESPATH", global = true, help_heading = "Global options")]
    pub query: Option<String>,
    /// Data directory of the server [env: SHOREPASS_DATA]
    #[arg(long, value_name = "DIR", global = true, help_heading = "Global options")]
    pub data: Option<PathBuf>,
    /// Server elsewhere that you are signed in to (`account login`) [env: SHOREPASS_SERVER]
    #[arg(long, value_name = "URL", global = true, help_heading = "Global options", conflicts_with_all = ["data", "config"])]
    pub server: Option<String>,
    /// Configuration file of the server [env: SHOREPASS_CONFIG]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Sign docker or podman in to a registry
    Login(LoginArgs),
    /// Check that this machine can use a registry
    CheckHealth(CheckHealthArgs),
    /// Create, list, change and delete registries
    Registry(RegistryArgs),
    /// A registry's admin account
    Admin(AdminArgs),
    /// Repositories, tags and manifests
    Repository(RepositoryArgs),
    /// Repository tokens: names with two passwords and the rights of a scope map
    Token(TokenArgs),
    /// Scope maps: named sets of repositories and actions
    ScopeMap(ScopeMapArgs),
    /// Users: people who sign in
    User(UserArgs),
    /// Groups, which can hold roles
    AdGroup(AdGroupArgs),
    /// Service principals: applications that sign in
    Sp(SpArgs),
    /// Managed identities: workloads that sign in without a secret
    Identity(IdentityArgs),
    /// Outside issuers of tokens that are trusted
    Federation(FederationArgs),
    /// Roles, and who holds them where
    Role(RoleArgs),
    /// Who may do what, and why
    Access(AccessArgs),
    /// Tenants: directories of their own
    Tenant(TenantArgs),
    /// Subscriptions of a tenant
    Subscription(SubscriptionArgs),
    /// Resource groups of a subscription
    ResourceGroup(ResourceGroupArgs),
    /// Sessions at servers elsewhere
    Account(AccountArgs),
    /// What happened, and who did it
    Audit(AuditArgs),
    /// Tell whether the server is well
    Health,
    /// The keys tokens are signed with
    Keys(KeysArgs),
    /// The server's configuration
    Config(ConfigArgs),
    /// Make completions for a shell
    Completion(CompletionArgs),
    /// Make manual pages
    Man(ManArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_tree_of_commands_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
