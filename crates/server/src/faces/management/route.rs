//! Management paths, typed. A repository's name may hold slashes; the words behind it begin with `_`, which no part of a
//! name can.

use http::Method;
use shorepass_core::{Digest, RegistryName, RepositoryName, Tag};

use crate::route::decode;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManagementRoute {
    Registries,
    CheckName,
    Registry(RegistryName),
    Admin(RegistryName),
    AdminEnable(RegistryName),
    AdminDisable(RegistryName),
    AdminRenew(RegistryName),
    RefreshToken(RegistryName),
    Repositories(RegistryName),
    Repository(RegistryName, RepositoryName),
    Tags(RegistryName, RepositoryName),
    Tag(RegistryName, RepositoryName, Tag),
    Manifests(RegistryName, RepositoryName),
    Manifest(RegistryName, RepositoryName, Digest),
    Audit,
    Health,
    Keys,
    KeysRotate,
}

impl ManagementRoute {
    /// `None` for what is no path of the API; names that cannot exist are such.
    #[must_use]
    pub fn parse(raw_path: &str) -> Option<Self> {
        let path = decode(raw_path)?;
        let segments: Vec<&str> = path.strip_prefix("/api/v1/")?.split('/').collect();
        Some(match segments.as_slice() {
            ["registries"] => Self::Registries,
            ["registries", "check-name"] => Self::CheckName,
            ["registries", name] => Self::Registry(name.parse().ok()?),
            ["registries", name, "admin"] => Self::Admin(name.parse().ok()?),
            ["registries", name, "admin", "enable"] => Self::AdminEnable(name.parse().ok()?),
            ["registries", name, "admin", "disable"] => Self::AdminDisable(name.parse().ok()?),
            ["registries", name, "admin", "renew"] => Self::AdminRenew(name.parse().ok()?),
            ["registries", name, "refresh-token"] => Self::RefreshToken(name.parse().ok()?),
            ["registries", name, "repositories"] => Self::Repositories(name.parse().ok()?),
            ["registries", name, "repositories", rest @ ..] => repository(name.parse().ok()?, rest)?,
            ["audit"] => Self::Audit,
            ["health"] => Self::Health,
            ["keys"] => Self::Keys,
            ["keys", "rotate"] => Self::KeysRotate,
            _ => return None,
        })
    }

    #[must_use]
    pub fn methods(&self) -> &'static [Method] {
        match self {
            Self::Registries => &[Method::GET, Method::POST],
            Self::Registry(_) | Self::Repository(..) | Self::Tag(..) | Self::Manifest(..) => {
                &[Method::GET, Method::PATCH, Method::DELETE]
            }
            Self::CheckName
            | Self::AdminEnable(_)
            | Self::AdminDisable(_)
            | Self::AdminRenew(_)
            | Self::RefreshToken(_)
            | Self::KeysRotate => &[Method::POST],
            _ => &[Method::GET],
        }
    }

    /// For metrics and logs.
    #[must_use]
    pub fn template(&self) -> &'static str {
        match self {
            Self::Registries => "/api/v1/registries",
            Self::CheckName => "/api/v1/registries/check-name",
            Self::Registry(_) => "/api/v1/registries/{registry}",
            Self::Admin(_) => "/api/v1/registries/{registry}/admin",
            Self::AdminEnable(_) => "/api/v1/registries/{registry}/admin/enable",
            Self::AdminDisable(_) => "/api/v1/registries/{registry}/admin/disable",
            Self::AdminRenew(_) => "/api/v1/registries/{registry}/admin/renew",
            Self::RefreshToken(_) => "/api/v1/registries/{registry}/refresh-token",
            Self::Repositories(_) => "/api/v1/registries/{registry}/repositories",
            Self::Repository(..) => "/api/v1/registries/{registry}/repositories/{name}",
            Self::Tags(..) => "/api/v1/registries/{registry}/repositories/{name}/_tags",
            Self::Tag(..) => "/api/v1/registries/{registry}/repositories/{name}/_tags/{tag}",
            Self::Manifests(..) => "/api/v1/registries/{registry}/repositories/{name}/_manifests",
            Self::Manifest(..) => "/api/v1/registries/{registry}/repositories/{name}/_manifests/{digest}",
            Self::Audit => "/api/v1/audit",
            Self::Health => "/api/v1/health",
            Self::Keys => "/api/v1/keys",
            Self::KeysRotate => "/api/v1/keys/rotate",
        }
    }
}

fn repository(registry: RegistryName, rest: &[&str]) -> Option<ManagementRoute> {
    let name = |segments: &[&str]| segments.join("/").parse::<RepositoryName>().ok();
    Some(match rest {
        [repository @ .., "_tags"] => ManagementRoute::Tags(registry, name(repository)?),
        [repository @ .., "_tags", tag] => ManagementRoute::Tag(registry, name(repository)?, tag.parse().ok()?),
        [repository @ .., "_manifests"] => ManagementRoute::Manifests(registry, name(repository)?),
        [repository @ .., "_manifests", digest] => {
            ManagementRoute::Manifest(registry, name(repository)?, digest.parse().ok()?)
        }
        repository => ManagementRoute::Repository(registry, name(repository)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_with_slashes_are_told_from_what_follows() {
        let (registry, repository) = ("default".parse().unwrap(), "team/app".parse().unwrap());
        for (path, route) in [
            ("team/app", ManagementRoute::Repository(registry, repository)),
            (
                "team/app/_tags/v1",
                ManagementRoute::Tag("default".parse().unwrap(), "team/app".parse().unwrap(), "v1".parse().unwrap()),
            ),
            ("team%2Fapp/_tags", ManagementRoute::Tags("default".parse().unwrap(), "team/app".parse().unwrap())),
        ] {
            assert_eq!(ManagementRoute::parse(&format!("/api/v1/registries/default/repositories/{path}")), Some(route));
        }
        for bad in ["/api/v1/registries/x", "/api/v1/registries/default/repositories/..", "/api/v2/registries", "/"] {
            assert_eq!(ManagementRoute::parse(bad), None, "{bad}");
        }
    }
}
