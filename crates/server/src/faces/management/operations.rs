//! All that the API does, in one table: the router, the description (`/api/v1/openapi.json`) and the types of bodies and
//! answers all come from it.

use futures::future::BoxFuture;
use http::Method;
use schemars::{Schema, SchemaGenerator};
use shorepass_control as control;
use shorepass_control::{Listed, Made};

use super::reply::{Body, Gone, Json, Reply, Shown};
use super::{Managing, Problem, access, applications, groups, identities, issuers, people, registries, repositories};
use super::{roles, tenancy, tokens, trusts, views};
use crate::respond::Answer;

type Describe = fn(&mut SchemaGenerator) -> Option<Schema>;
type Handler = for<'a> fn(&'a Managing) -> BoxFuture<'a, Result<Answer, Problem>>;

/// One method of one path.
pub struct Operation {
    pub method: Method,
    pub path: &'static str,
    pub tag: &'static str,
    pub summary: &'static str,
    /// The query parameters it knows; any other is refused.
    pub query: &'static [&'static str],
    pub body: Describe,
    pub reply: Describe,
    pub status: u16,
    pub also: Option<u16>,
    pub handler: Handler,
}

macro_rules! operations {
    ($($tag:literal { $($method:ident $path:literal $([$($query:literal)*])? $handler:path: $body:ty => $reply:ty, $summary:literal;)* })*) => {
        &[$($(Operation {
            method: Method::$method,
            path: concat!("/api/v1", $path),
            tag: $tag,
            summary: $summary,
            query: &[$($($query),*)?],
            body: <$body as Body>::schema,
            reply: <$reply as Reply>::schema,
            status: <$reply as Reply>::STATUS,
            also: <$reply as Reply>::ALSO,
            handler: |call| Box::pin(async move {
                let body = <$body as Body>::read(call)?;
                let reply: $reply = $handler(call, body).await?;
                Ok(reply.answer())
            }),
        },)*)*]
    };
}

/// Words before parameters, where both could stand.
pub static OPERATIONS: &[Operation] = operations! {
    "Registries" {
        GET "/registries" ["n" "last"] registries::list: () => Listed<registries::RegistryView>, "List the registries you may see";
        POST "/registries" registries::create: Json<control::NewRegistry> => Made<registries::RegistryView>, "Create a registry";
        POST "/registries/check-name" registries::check_name: Json<registries::Name> => Shown<control::NameAvailability>, "Check whether a name can be given to a new registry";
        GET "/registries/{registry}" registries::show: () => Shown<registries::RegistryView>, "Show a registry";
        PATCH "/registries/{registry}" registries::update: Json<control::RegistryPatch> => Shown<registries::RegistryView>, "Change a registry";
        DELETE "/registries/{registry}" registries::delete: () => Gone, "Delete a registry and all that is in it";
        GET "/registries/{registry}/admin" registries::admin: () => Shown<control::AdminAccount>, "Show the admin account";
        POST "/registries/{registry}/admin/enable" registries::enable_admin: () => Shown<control::AdminAccount>, "Enable the admin account";
        POST "/registries/{registry}/admin/disable" registries::disable_admin: () => Shown<control::AdminAccount>, "Disable the admin account";
        POST "/registries/{registry}/admin/renew" registries::renew_admin: Json<registries::Renewal> => Shown<control::AdminAccount>, "Make one of the admin account's passwords anew";
        POST "/registries/{registry}/refresh-token" registries::refresh_token: Json<registries::SessionRequest> => Shown<registries::Session>, "Open a session for the local operator";
        GET "/registries/{registry}/identity" registries::identity: () => Shown<control::RegistryIdentityView>, "Show the registry's own identity";
        PUT "/registries/{registry}/identity" registries::set_identity: Json<control::RegistryIdentity> => Shown<control::RegistryIdentityView>, "Give the registry an identity of its own, or take it away";
    }
    "Repository tokens" {
        GET "/registries/{registry}/scope-maps" ["n" "last"] tokens::list_maps: () => Listed<control::ScopeMapView>, "List the scope maps";
        POST "/registries/{registry}/scope-maps" tokens::create_map: Json<control::NewScopeMap> => Made<control::ScopeMapView>, "Create a scope map";
        GET "/registries/{registry}/scope-maps/{scopeMap}" tokens::show_map: () => Shown<control::ScopeMapView>, "Show a scope map";
        PATCH "/registries/{registry}/scope-maps/{scopeMap}" tokens::update_map: Json<control::ScopeMapPatch> => Shown<control::ScopeMapView>, "Change a scope map, for all tokens that have it";
        DELETE "/registries/{registry}/scope-maps/{scopeMap}" tokens::delete_map: () => Gone, "Delete a scope map that no token has";
        GET "/registries/{registry}/tokens" ["n" "last"] tokens::list: () => Listed<control::TokenView>, "List the repository tokens";
        POST "/registries/{registry}/tokens" tokens::create: Json<control::NewToken> => Made<control::TokenView>, "Create a repository token";
        GET "/registries/{registry}/tokens/{token}" tokens::show: () => Shown<control::TokenView>, "Show a repository token";
        PATCH "/registries/{registry}/tokens/{token}" tokens::update: Json<control::TokenPatch> => Shown<control::TokenView>, "Change a repository token";
        DELETE "/registries/{registry}/tokens/{token}" tokens::delete: () => Gone, "Delete a repository token";
        POST "/registries/{registry}/tokens/{token}/passwords" tokens::generate: Json<control::NewTokenPasswords> => Shown<control::TokenPasswords>, "Make passwords of a repository token anew";
        DELETE "/registries/{registry}/tokens/{token}/passwords/{password}" tokens::delete_password: () => Gone, "Delete a password of a repository token";
    }
    "Access policies" {
        GET "/registries/{registry}/policies/_schema" tokens::policy_schema: () => Shown<control::PolicySchema>, "Show what policies may speak of";
        POST "/registries/{registry}/policies/_check" tokens::check_policy: Json<control::PolicyText> => Shown<control::PolicyCheck>, "Check a policy without storing it";
        GET "/registries/{registry}/policies" ["n" "last"] tokens::list_policies: () => Listed<control::AccessPolicyView>, "List the access policies";
        POST "/registries/{registry}/policies" tokens::create_policy: Json<control::NewAccessPolicy> => Made<control::AccessPolicyView>, "Create an access policy";
        GET "/registries/{registry}/policies/{policy}" tokens::show_policy: () => Shown<control::AccessPolicyView>, "Show an access policy";
        PATCH "/registries/{registry}/policies/{policy}" tokens::update_policy: Json<control::AccessPolicyPatch> => Shown<control::AccessPolicyView>, "Change an access policy";
        DELETE "/registries/{registry}/policies/{policy}" tokens::delete_policy: () => Gone, "Delete an access policy";
    }
    "Repositories" {
        GET "/registries/{registry}/repositories" ["n" "last"] repositories::list: () => Listed<String>, "List the repositories";
        GET "/registries/{registry}/repositories/{*repository}/_tags" ["n" "last"] repositories::tags: () => Listed<repositories::TagView>, "List a repository's tags";
        GET "/registries/{registry}/repositories/{*repository}/_tags/{tag}" repositories::tag: () => Shown<repositories::TagView>, "Show a tag";
        PATCH "/registries/{registry}/repositories/{*repository}/_tags/{tag}" repositories::lock_tag: Json<repositories::Attributes> => Shown<repositories::TagView>, "Lock or unlock a tag";
        DELETE "/registries/{registry}/repositories/{*repository}/_tags/{tag}" repositories::untag: () => Gone, "Take a tag away";
        GET "/registries/{registry}/repositories/{*repository}/_manifests" ["n" "last"] repositories::manifests: () => Listed<repositories::ManifestView>, "List a repository's manifests";
        GET "/registries/{registry}/repositories/{*repository}/_manifests/{digest}" repositories::manifest: () => Shown<repositories::ManifestView>, "Show a manifest";
        PATCH "/registries/{registry}/repositories/{*repository}/_manifests/{digest}" repositories::lock_manifest: Json<repositories::Attributes> => Shown<repositories::ManifestView>, "Lock or unlock a manifest";
        DELETE "/registries/{registry}/repositories/{*repository}/_manifests/{digest}" repositories::delete_manifest: () => Gone, "Delete a manifest and its tags";
        GET "/registries/{registry}/repositories/{*repository}" repositories::show: () => Shown<repositories::RepositoryView>, "Show a repository";
        PATCH "/registries/{registry}/repositories/{*repository}" repositories::lock: Json<repositories::Attributes> => Shown<repositories::RepositoryView>, "Lock or unlock a repository";
        DELETE "/registries/{registry}/repositories/{*repository}" repositories::delete: () => Gone, "Delete a repository";
    }
    "Tenancy" {
        GET "/tenants" ["n" "last"] tenancy::list: () => Listed<control::TenantView>, "List the tenants you may see";
        POST "/tenants" tenancy::create: Json<control::Named> => Made<control::TenantView>, "Create a tenant (the local operator)";
        GET "/tenants/{tenant}" tenancy::show: () => Shown<control::TenantView>, "Show a tenant";
        PATCH "/tenants/{tenant}" tenancy::rename: Json<control::Named> => Shown<control::TenantView>, "Rename a tenant";
        DELETE "/tenants/{tenant}" tenancy::delete: () => Gone, "Delete a tenant without subscriptions (the local operator)";
        GET "/tenants/{tenant}/subscriptions" ["n" "last"] tenancy::list_subscriptions: () => Listed<control::SubscriptionView>, "List the subscriptions you may see";
        POST "/tenants/{tenant}/subscriptions" tenancy::create_subscription: Json<control::Named> => Made<control::SubscriptionView>, "Create a subscription";
        GET "/tenants/{tenant}/subscriptions/{subscription}" tenancy::show_subscription: () => Shown<control::SubscriptionView>, "Show a subscription";
        PATCH "/tenants/{tenant}/subscriptions/{subscription}" tenancy::rename_subscription: Json<control::Named> => Shown<control::SubscriptionView>, "Rename a subscription";
        DELETE "/tenants/{tenant}/subscriptions/{subscription}" tenancy::delete_subscription: () => Gone, "Delete a subscription without resource groups";
        GET "/tenants/{tenant}/subscriptions/{subscription}/resource-groups" ["n" "last"] tenancy::list_groups: () => Listed<control::ResourceGroupView>, "List the resource groups you may see";
        POST "/tenants/{tenant}/subscriptions/{subscription}/resource-groups" tenancy::create_group: Json<control::Named> => Made<control::ResourceGroupView>, "Create a resource group";
        GET "/tenants/{tenant}/subscriptions/{subscription}/resource-groups/{resourceGroup}" tenancy::show_group: () => Shown<control::ResourceGroupView>, "Show a resource group";
        PATCH "/tenants/{tenant}/subscriptions/{subscription}/resource-groups/{resourceGroup}" tenancy::rename_group: Json<control::Named> => Shown<control::ResourceGroupView>, "Rename a resource group";
        DELETE "/tenants/{tenant}/subscriptions/{subscription}/resource-groups/{resourceGroup}" tenancy::delete_group: () => Gone, "Delete an empty resource group";
    }
    "Users and groups" {
        GET "/tenants/{tenant}/users" ["n" "last"] people::list: () => Listed<control::UserView>, "List the users";
        POST "/tenants/{tenant}/users" people::create: Json<control::NewUser> => Made<control::UserView>, "Invite a user, or make known one of an outside provider";
        GET "/tenants/{tenant}/users/{user}" people::show: () => Shown<control::UserView>, "Show a user";
        PATCH "/tenants/{tenant}/users/{user}" people::update: Json<control::UserPatch> => Shown<control::UserView>, "Change, disable or enable a user";
        DELETE "/tenants/{tenant}/users/{user}" people::delete: () => Gone, "Delete a user";
        POST "/tenants/{tenant}/users/{user}/invitation" people::invite: () => Shown<control::UserView>, "Invite a user anew, to choose a new password";
        GET "/tenants/{tenant}/groups" ["n" "last"] groups::list: () => Listed<control::GroupView>, "List the groups";
        POST "/tenants/{tenant}/groups" groups::create: Json<control::NewGroup> => Made<control::GroupView>, "Create a group";
        GET "/tenants/{tenant}/groups/{group}" groups::show: () => Shown<control::GroupView>, "Show a group";
        PATCH "/tenants/{tenant}/groups/{group}" groups::update: Json<control::GroupPatch> => Shown<control::GroupView>, "Change a group";
        DELETE "/tenants/{tenant}/groups/{group}" groups::delete: () => Gone, "Delete a group";
        GET "/tenants/{tenant}/groups/{group}/members" ["n" "last"] groups::members: () => Listed<control::MemberView>, "List a group's members";
        POST "/tenants/{tenant}/groups/{group}/members" groups::add: Json<control::NewMember> => Made<control::MemberView>, "Add a member to a group";
        DELETE "/tenants/{tenant}/groups/{group}/members/{member}" groups::remove: () => Gone, "Remove a member from a group";
    }
    "Applications and identities" {
        GET "/tenants/{tenant}/service-principals" ["displayName" "n" "last"] applications::list: () => Listed<control::ServicePrincipalView>, "List the service principals";
        POST "/tenants/{tenant}/service-principals" applications::create: Json<control::NewServicePrincipal> => Made<control::ServicePrincipalView>, "Create an application, or consent to another tenant's";
        GET "/tenants/{tenant}/service-principals/{servicePrincipal}" applications::show: () => Shown<control::ServicePrincipalView>, "Show a service principal";
        PATCH "/tenants/{tenant}/service-principals/{servicePrincipal}" applications::update: Json<control::ServicePrincipalPatch> => Shown<control::ServicePrincipalView>, "Change, disable or enable a service principal";
        DELETE "/tenants/{tenant}/service-principals/{servicePrincipal}" applications::delete: () => Gone, "Delete an application, or revoke the consent to another tenant's";
        GET "/tenants/{tenant}/service-principals/{servicePrincipal}/credentials" ["n" "last"] applications::credentials: () => Listed<control::CredentialView>, "List an application's secrets and certificates";
        POST "/tenants/{tenant}/service-principals/{servicePrincipal}/credentials" applications::add_credential: Json<control::NewCredential> => Made<control::NewCredentialView>, "Reset or add a secret or certificate";
        DELETE "/tenants/{tenant}/service-principals/{servicePrincipal}/credentials/{credential}" applications::delete_credential: () => Gone, "Delete a secret or certificate";
        GET "/tenants/{tenant}/service-principals/{servicePrincipal}/federated-credentials" ["n" "last"] trusts::list: () => Listed<control::FederatedCredentialView>, "List an application's federated credentials";
        POST "/tenants/{tenant}/service-principals/{servicePrincipal}/federated-credentials" trusts::create: Json<control::NewFederatedCredential> => Made<control::FederatedCredentialView>, "Let an outside issuer's tokens sign in as the application";
        GET "/tenants/{tenant}/service-principals/{servicePrincipal}/federated-credentials/{credential}" trusts::show: () => Shown<control::FederatedCredentialView>, "Show a federated credential";
        PATCH "/tenants/{tenant}/service-principals/{servicePrincipal}/federated-credentials/{credential}" trusts::update: Json<control::FederatedCredentialPatch> => Shown<control::FederatedCredentialView>, "Change a federated credential";
        DELETE "/tenants/{tenant}/service-principals/{servicePrincipal}/federated-credentials/{credential}" trusts::delete: () => Gone, "Delete a federated credential";
        GET "/tenants/{tenant}/identities" ["n" "last"] identities::list: () => Listed<control::IdentityView>, "List the managed identities you may see";
        POST "/tenants/{tenant}/identities" identities::create: Json<control::NewIdentity> => Made<control::IdentityView>, "Create a user-assigned identity";
        GET "/tenants/{tenant}/identities/{identity}" identities::show: () => Shown<control::IdentityView>, "Show a managed identity";
        PATCH "/tenants/{tenant}/identities/{identity}" identities::update: Json<control::IdentityPatch> => Shown<control::IdentityView>, "Disable or enable a managed identity";
        DELETE "/tenants/{tenant}/identities/{identity}" identities::delete: () => Gone, "Delete a user-assigned identity";
        GET "/tenants/{tenant}/identities/{identity}/federated-credentials" ["n" "last"] trusts::list: () => Listed<control::FederatedCredentialView>, "List an identity's federated credentials";
        POST "/tenants/{tenant}/identities/{identity}/federated-credentials" trusts::create: Json<control::NewFederatedCredential> => Made<control::FederatedCredentialView>, "Let an outside issuer's tokens sign in as the identity";
        GET "/tenants/{tenant}/identities/{identity}/federated-credentials/{credential}" trusts::show: () => Shown<control::FederatedCredentialView>, "Show a federated credential";
        PATCH "/tenants/{tenant}/identities/{identity}/federated-credentials/{credential}" trusts::update: Json<control::FederatedCredentialPatch> => Shown<control::FederatedCredentialView>, "Change a federated credential";
        DELETE "/tenants/{tenant}/identities/{identity}/federated-credentials/{credential}" trusts::delete: () => Gone, "Delete a federated credential";
        GET "/tenants/{tenant}/issuers" ["n" "last"] issuers::list: () => Listed<control::IssuerView>, "List the trusted issuers";
        POST "/tenants/{tenant}/issuers" issuers::create: Json<control::NewIssuer> => Made<control::IssuerView>, "Trust an outside issuer";
        GET "/tenants/{tenant}/issuers/{issuer}" issuers::show: () => Shown<control::IssuerView>, "Show a trusted issuer";
        PATCH "/tenants/{tenant}/issuers/{issuer}" issuers::update: Json<control::IssuerPatch> => Shown<control::IssuerView>, "Change a trusted issuer";
        DELETE "/tenants/{tenant}/issuers/{issuer}" issuers::delete: () => Gone, "Trust an issuer no longer";
    }
    "Roles and access" {
        GET "/tenants/{tenant}/role-definitions" ["name" "customOnly" "n" "last"] roles::list_definitions: () => Listed<control::RoleDefinitionView>, "List the roles";
        POST "/tenants/{tenant}/role-definitions" roles::create_definition: Json<control::NewRoleDefinition> => Made<control::RoleDefinitionView>, "Create a role";
        GET "/tenants/{tenant}/role-definitions/{role}" roles::show_definition: () => Shown<control::RoleDefinitionView>, "Show a role";
        PATCH "/tenants/{tenant}/role-definitions/{role}" roles::update_definition: Json<control::RoleDefinitionPatch> => Shown<control::RoleDefinitionView>, "Change a role";
        DELETE "/tenants/{tenant}/role-definitions/{role}" roles::delete_definition: () => Gone, "Delete a role that nobody has";
        GET "/role-assignments" ["scope" "tenant" "assignee" "role" "includeInherited" "includeGroups" "n" "last"] roles::list: () => Listed<control::RoleAssignmentView>, "List role assignments";
        POST "/role-assignments" roles::create: Json<control::NewRoleAssignment> => Made<control::RoleAssignmentView>, "Assign a role";
        GET "/role-assignments/{assignment}" roles::show: () => Shown<control::RoleAssignmentView>, "Show a role assignment";
        PATCH "/role-assignments/{assignment}" roles::update: Json<control::RoleAssignmentPatch> => Shown<control::RoleAssignmentView>, "Change a role assignment's condition";
        DELETE "/role-assignments/{assignment}" roles::delete: () => Gone, "Take a role away";
        GET "/me" access::me: () => Shown<control::WhoAmI>, "Show who you are";
        GET "/access/explain" ["principal" "action" "resource" "from"] access::explain: () => Shown<control::ExplanationView>, "Explain a decision";
        GET "/access/list" ["resource" "action" "principal" "tenant"] access::list: () => Listed<access::Entry>, "List who may do something with a registry's content, or what somebody holds";
    }
    "Server" {
        GET "/audit" ["since" "until" "kind" "outcome" "registry" "repository" "principal" "after" "limit"] views::audit: () => Listed<serde_json::Value>, "Read the audit, newest first";
        GET "/health" views::health: () => Shown<views::HealthView>, "Show the server's health";
        GET "/keys" views::keys: () => Listed<views::KeyView>, "List the signing keys (the local operator)";
        POST "/keys/rotate" views::rotate: () => Listed<views::KeyView>, "Add a signing key (the local operator)";
    }
};
