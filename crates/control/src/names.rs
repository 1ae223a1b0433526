//! What users, groups and other objects may be called. ASCII only, and never in the form of an id: no name can look like
//! another object's name or id (contracts/threats.md, privileges by name).

use uuid::Uuid;

use crate::gate::shown;
use crate::{ControlError, Result};

/// Of a tenant, a subscription, a resource group, an identity, an issuer, a federated credential, an access policy.
pub(crate) fn object(what: &str, name: &str) -> Result<()> {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let fits = (1..=90).contains(&name.len())
        && name.bytes().all(word)
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && !name.ends_with('.');
    check(what, name, fits, "1 to 90 letters, digits, `-`, `_` and `.`, beginning with a letter or digit")
}

/// Of a tenant: what the server's own paths begin with is reserved.
pub(crate) fn tenant(name: &str) -> Result<()> {
    const RESERVED: [&str; 10] =
        ["acr", "api", "common", "consumers", "current", "metadata", "oauth2", "organizations", "portal", "v2"];
    object("tenant", name)?;
    if RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name)) {
        return Err(ControlError::Invalid(format!("`{name}` is reserved: give the tenant another name")));
    }
    Ok(())
}

/// Of a user: what people type, an e-mail address at its longest.
pub(crate) fn user(name: &str) -> Result<()> {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b'+');
    let fits = (1..=113).contains(&name.len())
        && name.bytes().all(word)
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    check("user", name, fits, "1 to 113 letters, digits, `-`, `_`, `.`, `@` and `+`, beginning with a letter or digit")
}

/// Of a group or a role: words with spaces between them.
pub(crate) fn title(what: &str, name: &str) -> Result<()> {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b' ' | b'(' | b')');
    let fits = (1..=120).contains(&name.len()) && name.bytes().all(word) && name.trim() == name && !name.contains("  ");
    check(what, name, fits, "1 to 120 letters, digits, `-`, `_`, `.`, brackets and single spaces")
}

/// Of a repository token: docker's user name. It is no registry's name (that is the admin account's) and no GUID (an
/// application's).
pub(crate) fn token(name: &str, registry: &str) -> Result<()> {
    let fits = (5..=50).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    check("token", name, fits, "5 to 50 letters, digits and `-`, beginning with a letter or digit")?;
    if name.eq_ignore_ascii_case(registry) {
        return Err(ControlError::Invalid(format!(
            "`{name}` is the admin account's user name: give the token another name"
        )));
    }
    Ok(())
}

/// A text for people: any script, no control characters.
pub(crate) fn text(what: &str, value: &str) -> Result<()> {
    if value.chars().count() > 512 || value.chars().any(char::is_control) {
        return Err(ControlError::Invalid(format!("{what} has at most 512 characters, and no control characters")));
    }
    Ok(())
}

fn check(what: &str, name: &str, fits: bool, rule: &str) -> Result<()> {
    if !fits {
        return Err(ControlError::Invalid(format!("a {what}'s name has {rule}: `{}`", shown(name))));
    }
    if name.parse::<Uuid>().is_ok() {
        return Err(ControlError::Invalid(format!("`{name}` looks like an id: give the {what} another name")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_taken_for_another_are_refused() {
        let guid = "7f951dda-4ed3-4680-a7ca-43fe172d538d";
        for bad in [guid, &guid.to_uppercase(), &guid.replace('-', ""), "", "-x", "a b", "а", "a/b", "a:b", "x\0", "a."]
        {
            assert!(object("tenant", bad).is_err(), "{bad:?}");
        }
        for bad in ["api", "V2", "Current", "common"] {
            assert!(tenant(bad).is_err(), "{bad}");
        }
        for bad in ["prod1", "PROD1", guid, "four", "has_underscore", "has.dot", "ünicode"] {
            assert!(token(bad, "prod1").is_err(), "{bad}");
        }
        for bad in [" a", "a ", "a  b", "a\nb", guid, "owners\u{200b}"] {
            assert!(title("group", bad).is_err(), "{bad:?}");
        }
        for bad in ["alice smith", "@alice", "user:alice", guid, "аlice"] {
            assert!(user(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_names_people_use_are_taken() {
        assert!(object("tenant", "contoso-2.eu").is_ok());
        assert!(tenant("contoso").is_ok());
        assert!(user("alice+dev@example.org").is_ok());
        assert!(title("group", "Release managers (EU)").is_ok());
        assert!(token("ci-reader", "prod1").is_ok());
        assert!(text("the description", "Für alle Mitarbeiter").is_ok());
    }
}
