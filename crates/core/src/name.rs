//! Names of registries, repositories and tags.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::excerpt;

/// Why a name was refused. The message says which rule it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a registry name has 5 to 50 letters and digits, and nothing else: `{0}`")]
    Registry(String),
    #[error(
        "a repository name has at most 255 characters in components of lower-case letters and digits, joined by `.`, `_`, `__` or `-` and separated by `/`: `{0}`"
    )]
    Repository(String),
    #[error("a tag has at most 128 letters, digits, `_`, `.` and `-`, and does not begin with `.` or `-`: `{0}`")]
    Tag(String),
}

/// Characters of a refused name that its error shows.
const SHOWN: usize = 64;

macro_rules! wire_string {
    ($(#[$doc:meta])* $name:ident, $valid:path, $error:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(input: &str) -> Result<Self, NameError> {
                match $valid(input) {
                    Some(valid) => Ok(Self(valid)),
                    None => Err($error(excerpt(input, SHOWN))),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(input: String) -> Result<Self, NameError> {
                input.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

wire_string!(
    /// A registry's name: 5 to 50 ASCII letters and digits (what-the-documents-say.md 2a). Kept in lower case, because
    /// it is the first label of the login server, and DNS has no case.
    RegistryName,
    registry,
    NameError::Registry
);
wire_string!(
    /// A repository's name, as the OCI distribution specification 1.1 ("Pulling manifests") gives it; at most 255
    /// characters, which is what leaves room for a host in the 255 that clients allow for both.
    RepositoryName,
    repository,
    NameError::Repository
);
wire_string!(
    /// A tag, as the OCI distribution specification 1.1 gives it: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    Tag,
    tag,
    NameError::Tag
);

fn registry(input: &str) -> Option<String> {
    let fits = (5..=50).contains(&input.len()) && input.bytes().all(|b| b.is_ascii_alphanumeric());
    fits.then(|| input.to_ascii_lowercase())
}

fn repository(input: &str) -> Option<String> {
    (input.len() <= 255 && input.split('/').all(is_component)).then(|| input.to_owned())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !alphanumeric(first) || !alphanumeric(last) {
        return false;
    }
    let separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    separators.filter(|s| !s.is_empty()).all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

fn tag(input: &str) -> Option<String> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let fits = input.len() <= 128
        && input.bytes().next().is_some_and(word)
        && input.bytes().all(|b| word(b) || b == b'.' || b == b'-');
    fits.then(|| input.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_names_follow_the_specification() {
        for good in ["a", "hello-world", "team/app", "a__b", "a---b", "a.b_c/d0", &"x".repeat(255)] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        let long = "x".repeat(256);
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "a._b", "-a", "a-", "_catalog", "a b", "a%2fb", "ä",
            "..", "a/../b", "a\0b", &long,
        ] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn registry_names_are_folded_to_lower_case() {
        assert_eq!("MyRegistry".parse::<RegistryName>().unwrap().as_str(), "myregistry");
        for bad in ["abcd", "my-registry", "ünicode", "with.dot", &"a".repeat(51)] {
            assert!(bad.parse::<RegistryName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_follow_the_specification() {
        for good in ["latest", "v1.0", "_x", "A-b.C", &"t".repeat(128)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", ".x", "-x", "a/b", "a:b", "a b", &"t".repeat(129)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_shows_an_excerpt_only() {
        let error = "X".repeat(10_000_000).parse::<RepositoryName>().unwrap_err().to_string();
        assert!(error.len() < 400, "{}", error.len());
    }
}
