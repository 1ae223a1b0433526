//! The directory's paths, typed: a tenant first, as contracts/azure-clients.md 3 has them.

use http::Method;
use uuid::Uuid;

use crate::route::decode;

/// First segments that belong to other faces: no tenant can be reached by them.
pub const RESERVED: [&str; 6] = ["v2", "oauth2", "acr", "api", "metadata", "portal"];

/// Which tenant a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantSegment {
    Guid(Uuid),
    /// In lower case.
    Name(String),
    /// `organizations` or `common`: the one the person is of.
    Any,
}

/// What is asked of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Discovery,
    Keys,
    Token,
    Authorize,
    DeviceCode,
    /// The page where a person types a device's code.
    Device,
    /// Where the sign-in page sends user name and password.
    SignIn,
    /// On to an outside provider.
    Outside,
    /// Back from it.
    Callback,
    /// A provider says that a person has signed out there.
    Logout,
    Invitation,
}

/// A path of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRoute {
    pub tenant: TenantSegment,
    pub place: Place,
}

impl DirectoryRoute {
    /// `None` for what is no path of the directory. Whether there is such a tenant is not known here.
    #[must_use]
    pub fn parse(raw_path: &str) -> Option<Self> {
        let path = decode(raw_path)?;
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let (tenant, rest) = segments.split_first()?;
        let place = match rest {
            ["v2.0", ".well-known", "openid-configuration"] => Place::Discovery,
            ["discovery", "v2.0", "keys"] => Place::Keys,
            ["oauth2", "v2.0", "token"] => Place::Token,
            ["oauth2", "v2.0", "authorize"] => Place::Authorize,
            ["oauth2", "v2.0", "devicecode"] => Place::DeviceCode,
            ["device"] => Place::Device,
            ["signin"] => Place::SignIn,
            ["signin", "outside"] => Place::Outside,
            ["signin", "callback"] => Place::Callback,
            ["signin", "logout"] => Place::Logout,
            ["invitation"] => Place::Invitation,
            _ => return None,
        };
        Some(Self { tenant: TenantSegment::parse(tenant)?, place })
    }

    #[must_use]
    pub fn methods(&self) -> &'static [Method] {
        match self.place {
            Place::Discovery | Place::Keys => &[Method::GET, Method::HEAD],
            // Not HEAD: who only looks must not use up what a person goes on with.
            Place::Authorize | Place::Outside | Place::Callback => &[Method::GET],
            Place::Token | Place::DeviceCode | Place::SignIn | Place::Logout => &[Method::POST],
            Place::Device | Place::Invitation => &[Method::GET, Method::HEAD, Method::POST],
        }
    }

    /// For logs and metrics.
    #[must_use]
    pub fn template(&self) -> &'static str {
        match self.place {
            Place::Discovery => "/{tenant}/v2.0/.well-known/openid-configuration",
            Place::Keys => "/{tenant}/discovery/v2.0/keys",
            Place::Token => "/{tenant}/oauth2/v2.0/token",
            Place::Authorize => "/{tenant}/oauth2/v2.0/authorize",
            Place::DeviceCode => "/{tenant}/oauth2/v2.0/devicecode",
            Place::Device => "/{tenant}/device",
            Place::SignIn => "/{tenant}/signin",
            Place::Outside => "/{tenant}/signin/outside",
            Place::Callback => "/{tenant}/signin/callback",
            Place::Logout => "/{tenant}/signin/logout",
            Place::Invitation => "/{tenant}/invitation",
        }
    }
}

impl TenantSegment {
    fn parse(segment: &str) -> Option<Self> {
        let name = segment.to_ascii_lowercase();
        if name.is_empty() || RESERVED.contains(&name.as_str()) {
            return None;
        }
        if matches!(name.as_str(), "organizations" | "common") {
            return Some(Self::Any);
        }
        // Of a GUID's spellings the one with hyphens only: a name may look like the others.
        match Uuid::try_parse(&name) {
            Ok(guid) if name.len() == 36 => Some(Self::Guid(guid)),
            _ => Some(Self::Name(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GUID: &str = "7f1c2f50-4f5e-4d2b-9d4b-0f0c4d7a1b11";

    #[test]
    fn a_tenant_is_named_by_guid_by_name_or_not_at_all() {
        let tenant =
            |name: &str| DirectoryRoute::parse(&format!("/{name}/oauth2/v2.0/token")).map(|route| route.tenant);
        assert_eq!(tenant(GUID), Some(TenantSegment::Guid(GUID.parse().unwrap())));
        assert_eq!(tenant(&GUID.to_uppercase()), Some(TenantSegment::Guid(GUID.parse().unwrap())));
        assert_eq!(tenant("Default"), Some(TenantSegment::Name("default".to_owned())));
        assert_eq!(tenant("organizations"), Some(TenantSegment::Any));
        assert_eq!(tenant("common"), Some(TenantSegment::Any));
        assert_eq!(tenant(&GUID.replace('-', "")), Some(TenantSegment::Name(GUID.replace('-', ""))));
    }

    #[test]
    fn other_faces_keep_their_paths() {
        for reserved in RESERVED {
            assert_eq!(DirectoryRoute::parse(&format!("/{reserved}/oauth2/v2.0/token")), None);
            assert_eq!(DirectoryRoute::parse(&format!("/{}/device", reserved.to_uppercase())), None);
        }
        for path in
            ["/", "/default", "/default/", "//device", "/default/device/", "/oauth2/token", "/v2/", "/v2/a/tags/list"]
        {
            assert_eq!(DirectoryRoute::parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "\\PC{0,120}") {
            let _ = DirectoryRoute::parse(&path);
        }

        #[test]
        fn no_path_is_both_the_registrys_and_the_directorys(path in "/(v2|oauth2|[a-z]{1,4})/[a-z0-9./]{0,20}(token|device|keys)") {
            prop_assert!(DirectoryRoute::parse(&path).is_none() || crate::route::Route::parse(&path).is_err());
        }
    }
}
