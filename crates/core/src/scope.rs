//! A token's scope: `repository:<name>:<actions>` or `registry:catalog:*`, as docker's token specification writes it.

use std::fmt;

use crate::{Action, ActionSet, RepositoryName};

/// Most scopes in one token request.
pub const MAX_SCOPES: usize = 32;

/// Most bytes of scope text in one token request.
pub const MAX_SCOPE_BYTES: usize = 16 * 1024;

/// Why a scope text was refused as a whole. A scope that is well formed but names what we do not have is not an error:
/// it grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    #[error("a token request may name at most {MAX_SCOPES} scopes: split the request")]
    TooMany,
    #[error("the scopes of a token request may have at most 16 KiB: split the request")]
    TooLong,
    #[error("a scope is `<type>:<name>:<actions>`, for example `repository:team/app:pull,push`")]
    Form,
}

/// What one scope of a request or a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenScope {
    Repository {
        name: RepositoryName,
        actions: ActionSet,
    },
    /// `registry:catalog:*`
    Catalog,
    /// Well formed, but nothing here answers to it; the text is kept so that an answer can echo it with no actions.
    Unknown {
        kind: String,
        name: String,
    },
}

impl TokenScope {
    /// Parses one scope.
    ///
    /// # Errors
    /// [`ScopeError::Form`] when it is not three parts.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let (kind, rest) = text.split_once(':').ok_or(ScopeError::Form)?;
        let (name, actions) = rest.rsplit_once(':').ok_or(ScopeError::Form)?;
        if kind.is_empty() || name.is_empty() {
            return Err(ScopeError::Form);
        }
        // docker writes a class behind the type: `repository(plugin)`.
        let bare = kind.split_once('(').map_or(kind, |(bare, _)| bare);
        Ok(match (bare, name.parse::<RepositoryName>()) {
            ("repository", Ok(name)) => Self::Repository { name, actions: parse_actions(actions) },
            // Listing is one right, and `*` its one name: less was asked for by any other word.
            ("registry", _) if name == "catalog" && actions.split(',').any(|action| action == "*") => Self::Catalog,
            _ => Self::Unknown { kind: kind.to_owned(), name: name.to_owned() },
        })
    }

    /// Parses every scope of a request: `scope` may be repeated, and each may hold several separated by spaces (docker
    /// and containerd do both). Scopes for one repository are merged, in the order of first mention.
    ///
    /// # Errors
    /// Too many, too long, or not of a scope's form.
    pub fn parse_all<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, ScopeError> {
        let (mut scopes, mut count, mut bytes) = (Vec::<Self>::new(), 0, 0);
        for value in values {
            bytes += value.len();
            if bytes > MAX_SCOPE_BYTES {
                return Err(ScopeError::TooLong);
            }
            for text in value.split_ascii_whitespace() {
                count += 1;
                if count > MAX_SCOPES {
                    return Err(ScopeError::TooMany);
                }
                merge(&mut scopes, Self::parse(text)?);
            }
        }
        Ok(scopes)
    }
}

fn merge(scopes: &mut Vec<TokenScope>, new: TokenScope) {
    for scope in scopes.iter_mut() {
        match (&mut *scope, &new) {
            (
                TokenScope::Repository { name, actions },
                TokenScope::Repository { name: new_name, actions: new_actions },
            ) if name == new_name => {
                *actions = actions.union(*new_actions);
                return;
            }
            (old, new) if *old == *new => return,
            _ => {}
        }
    }
    scopes.push(new);
}

/// Unknown actions are dropped: they can never be granted. Both spellings of the metadata actions are read.
fn parse_actions(text: &str) -> ActionSet {
    text.split(',').fold(ActionSet::EMPTY, |set, action| {
        set.union(match action {
            "pull" => ActionSet::of(&[Action::ContentRead]),
            "push" => ActionSet::of(&[Action::ContentWrite]),
            "delete" => ActionSet::of(&[Action::ContentDelete]),
            "metadata_read" | "metadataRead" => ActionSet::of(&[Action::MetadataRead]),
            "metadata_write" | "metadataWrite" => ActionSet::of(&[Action::MetadataWrite]),
            "*" => ActionSet::REPOSITORY,
            _ => ActionSet::EMPTY,
        })
    })
}

/// The actions as a scope writes them: `pull,push`.
#[must_use]
pub fn wire_actions(actions: ActionSet) -> String {
    let names: Vec<&str> = actions.iter().map(Action::wire).collect();
    names.join(",")
}

impl fmt::Display for TokenScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository { name, actions } => write!(f, "repository:{name}:{}", wire_actions(*actions)),
            Self::Catalog => f.write_str("registry:catalog:*"),
            Self::Unknown { kind, name } => write!(f, "{kind}:{name}:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_and_space_separated_scopes_are_merged() {
        let scopes =
            TokenScope::parse_all(["repository:a:pull repository:b/c:push,pull", "repository:a:push"]).unwrap();
        let texts: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["repository:a:pull,push", "repository:b/c:pull,push"]);
    }

    #[test]
    fn unknown_actions_and_types_grant_nothing() {
        assert_eq!(TokenScope::parse("repository:a:fly").unwrap().to_string(), "repository:a:");
        assert!(matches!(TokenScope::parse("registry:None:*").unwrap(), TokenScope::Unknown { .. }));
        assert!(matches!(TokenScope::parse("repository:UPPER:pull").unwrap(), TokenScope::Unknown { .. }));
        assert!(matches!(TokenScope::parse("registry:catalog:pull").unwrap(), TokenScope::Unknown { .. }));
        assert_eq!(TokenScope::parse("registry:catalog:*").unwrap(), TokenScope::Catalog);
        assert_eq!(TokenScope::parse("repository(plugin):a:pull").unwrap().to_string(), "repository:a:pull");
    }

    #[test]
    fn limits_are_errors() {
        let many = vec!["repository:a:pull"; 33];
        assert_eq!(TokenScope::parse_all(many).unwrap_err(), ScopeError::TooMany);
        let long = format!("repository:{}:pull", "a".repeat(17_000));
        assert_eq!(TokenScope::parse_all([long.as_str()]).unwrap_err(), ScopeError::TooLong);
        for bad in ["x", "repository", "repository:", ":a:pull", "repository::pull"] {
            assert_eq!(TokenScope::parse(bad).unwrap_err(), ScopeError::Form, "{bad}");
        }
    }
}
