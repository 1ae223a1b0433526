//! Scope maps: `repositories/<pattern>/<action>`, as what-the-documents-say.md 2c gives the grammar.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use shorepass_core::RepositoryName;
use uuid::Uuid;

use super::actions::{Right, Rights};

/// Most actions in one map.
pub const MAX_ACTIONS: usize = 500;

/// Most repositories (patterns) in one map.
pub const MAX_REPOSITORIES: usize = 500;

/// Why a scope map was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeMapError {
    #[error(
        "a scope map's action is `repositories/<repository>/<action>`, for example `repositories/team/app/content/read`: `{0}`"
    )]
    Form(String),
    #[error(
        "the actions are `content/read`, `content/write`, `content/delete`, `metadata/read` and `metadata/write`: `{0}`"
    )]
    Action(String),
    #[error("a wildcard is `*` alone or stands once at the end, behind a slash, as in `team/*`: `{0}`")]
    Wildcard(String),
    #[error(
        "`{0}` is no repository's name: lower-case letters and digits, joined by `.`, `_` or `-`, in parts separated by `/`"
    )]
    Repository(String),
    #[error("a scope map holds at most {MAX_ACTIONS} actions: split it")]
    TooManyActions,
    #[error("a scope map names at most {MAX_REPOSITORIES} repositories: use a wildcard, or split it")]
    TooManyRepositories,
    #[error("a scope map holds at least one action")]
    Empty,
    #[error("a scope map's name has 5 to 50 letters, digits, `-` and `_`, and does not begin with `_`: `{0}`")]
    Name(String),
}

/// What of the repositories an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Pattern {
    All,
    /// Everything below this name.
    Below(String),
    Exactly(String),
}

/// The five actions, and what each allows. Taking a tag away is `metadata/write` by the documents, and is left to who may
/// delete the tag's manifest.
const ACTIONS: [(&str, Rights); 5] = [
    ("content/read", Rights::of(&[Right::ContentRead])),
    ("content/write", Rights::of(&[Right::ContentWrite])),
    ("content/delete", Rights::of(&[Right::ContentDelete, Right::Untag])),
    ("metadata/read", Rights::of(&[Right::MetadataRead, Right::AttributesRead])),
    ("metadata/write", Rights::of(&[Right::MetadataWrite, Right::Untag])),
];

type Entry = (Pattern, &'static str, Rights);

fn parse(text: &str) -> Result<Entry, ScopeMapError> {
    let form = || ScopeMapError::Form(super::excerpt(text));
    let (word, rest) = text.split_once('/').ok_or_else(form)?;
    if !word.eq_ignore_ascii_case("repositories") {
        return Err(form());
    }
    let (rest, verb) = rest.rsplit_once('/').ok_or_else(form)?;
    let (pattern, noun) = rest.rsplit_once('/').ok_or_else(form)?;
    let wanted = format!("{noun}/{verb}").to_ascii_lowercase();
    let (name, rights) = ACTIONS
        .into_iter()
        .find(|(name, _)| *name == wanted)
        .ok_or_else(|| ScopeMapError::Action(super::excerpt(text)))?;
    Ok((parse_pattern(pattern)?, name, rights))
}

/// Repositories have no upper case, so a pattern's case says nothing.
fn parse_pattern(text: &str) -> Result<Pattern, ScopeMapError> {
    if text == "*" {
        return Ok(Pattern::All);
    }
    let lower = text.to_ascii_lowercase();
    let (name, below) = lower.strip_suffix("/*").map_or((lower.as_str(), false), |name| (name, true));
    if name.contains('*') {
        return Err(ScopeMapError::Wildcard(super::excerpt(text)));
    }
    if name.parse::<RepositoryName>().is_err() {
        return Err(ScopeMapError::Repository(super::excerpt(text)));
    }
    Ok(if below { Pattern::Below(name.to_owned()) } else { Pattern::Exactly(name.to_owned()) })
}

/// Reads and checks a map's actions; answers them as they are stored and shown: action names in lower case, each once, in the
/// order they came.
///
/// # Errors
/// [`ScopeMapError`] for the first that is wrong, or when there are none or too many.
pub fn normalise(actions: &[String]) -> Result<Vec<String>, ScopeMapError> {
    let (mut seen, mut patterns, mut kept) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for text in actions {
        let (pattern, action, _) = parse(text)?;
        let shown = match &pattern {
            Pattern::All => format!("repositories/*/{action}"),
            Pattern::Below(name) => format!("repositories/{name}/*/{action}"),
            Pattern::Exactly(name) => format!("repositories/{name}/{action}"),
        };
        patterns.insert(pattern);
        if seen.insert(shown.clone()) {
            kept.push(shown);
        }
        if kept.len() > MAX_ACTIONS {
            return Err(ScopeMapError::TooManyActions);
        }
        if patterns.len() > MAX_REPOSITORIES {
            return Err(ScopeMapError::TooManyRepositories);
        }
    }
    if kept.is_empty() { Err(ScopeMapError::Empty) } else { Ok(kept) }
}

/// # Errors
/// [`ScopeMapError::Name`]; names that begin with `_` are the system's own.
pub fn check_map_name(name: &str) -> Result<(), ScopeMapError> {
    let fits = (5..=50).contains(&name.len())
        && !name.starts_with('_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits { Ok(()) } else { Err(ScopeMapError::Name(super::excerpt(name))) }
}

/// A map that is asked for one repository at a time, in as many steps as its name has parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompiledMap {
    all: Rights,
    below: HashMap<String, Rights>,
    exactly: HashMap<String, Rights>,
}

impl CompiledMap {
    /// # Errors
    /// [`ScopeMapError`], as [`normalise`].
    pub fn compile(actions: &[String]) -> Result<Self, ScopeMapError> {
        normalise(actions)?;
        Ok(Self::lenient(actions))
    }

    /// What of the actions can be read. What cannot grants nothing.
    pub(super) fn lenient(actions: &[String]) -> Self {
        let mut map = Self::default();
        for (pattern, _, rights) in actions.iter().filter_map(|text| parse(text).ok()) {
            let slot = match pattern {
                Pattern::All => &mut map.all,
                Pattern::Below(name) => map.below.entry(name).or_default(),
                Pattern::Exactly(name) => map.exactly.entry(name).or_default(),
            };
            *slot = slot.union(rights);
        }
        map
    }

    /// All that any entry allows on this repository.
    #[must_use]
    pub fn rights(&self, name: &RepositoryName) -> Rights {
        let name = name.as_str();
        let found = self.all.union(self.exactly.get(name).copied().unwrap_or_default());
        let parents = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
        parents.filter_map(|parent| self.below.get(parent)).fold(found, |sum, rights| sum.union(*rights))
    }
}

/// A map every registry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemMap {
    pub name: &'static str,
    pub description: &'static str,
    actions: &'static [&'static str],
}

impl SystemMap {
    /// As a scope map's document holds them.
    #[must_use]
    pub fn actions(&self) -> Vec<String> {
        self.actions.iter().map(|action| format!("repositories/*/{action}")).collect()
    }

    /// The map of this name, without case.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        SYSTEM_MAPS.iter().find(|map| map.name.eq_ignore_ascii_case(name))
    }
}

pub static SYSTEM_MAPS: [SystemMap; 5] = [
    SystemMap {
        name: "_repositories_admin",
        description: "Can perform all read, write and delete operations on the registry",
        actions: &["content/read", "content/write", "content/delete", "metadata/read", "metadata/write"],
    },
    SystemMap {
        name: "_repositories_pull",
        description: "Can pull any repository of the registry",
        actions: &["content/read"],
    },
    SystemMap {
        name: "_repositories_pull_metadata_read",
        description: "Can pull any repository of the registry and read its metadata",
        actions: &["content/read", "metadata/read"],
    },
    SystemMap {
        name: "_repositories_push",
        description: "Can push to any repository of the registry",
        actions: &["content/read", "content/write"],
    },
    SystemMap {
        name: "_repositories_push_metadata_write",
        description: "Can push to any repository of the registry and change its metadata",
        actions: &["content/read", "content/write", "metadata/read", "metadata/write"],
    },
];

/// The id a token names a registry's system map by. System maps are code and have no row; the id says which and nothing else:
/// the marker of the name space, then the map's place in [`SYSTEM_MAPS`]. It is no UUIDv7, so no row ever has it.
#[must_use]
pub fn system_map_id(name: &str) -> Option<Uuid> {
    let at = SYSTEM_MAPS.iter().position(|map| map.name.eq_ignore_ascii_case(name))?;
    u128::try_from(at).ok().map(|at| Uuid::from_u128(SYSTEM_MAP_SPACE | at))
}

/// The system map of this id.
#[must_use]
pub fn system_map(id: Uuid) -> Option<(&'static SystemMap, &'static CompiledMap)> {
    let at = usize::try_from(id.as_u128().checked_sub(SYSTEM_MAP_SPACE)?).ok()?;
    SYSTEM_MAPS.get(at).zip(COMPILED.get(at))
}

static COMPILED: LazyLock<Vec<CompiledMap>> =
    LazyLock::new(|| SYSTEM_MAPS.iter().map(|map| CompiledMap::lenient(&map.actions())).collect());

/// UUIDv8 (RFC 9562: for uses of one's own).
const SYSTEM_MAP_SPACE: u128 = 0x5c09_e3a9_0000_8000_8000_0000_0000_0000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(actions: &[&str]) -> Result<CompiledMap, ScopeMapError> {
        CompiledMap::compile(&actions.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
    }

    fn allows(map: &CompiledMap, name: &str) -> Vec<&'static str> {
        map.rights(&name.parse().unwrap()).iter().map(Right::as_str).collect()
    }

    #[test]
    fn a_name_means_itself_and_a_wildcard_what_is_below() {
        let map = map(&[
            "repositories/sample/content/read",
            "repositories/team/*/content/write",
            "repositories/team/app/CONTENT/Delete",
        ])
        .unwrap();
        assert_eq!(allows(&map, "sample"), ["content/read"]);
        assert!(allows(&map, "sample/x").is_empty() && allows(&map, "samples").is_empty());
        assert!(allows(&map, "team").is_empty(), "the wildcard's own root is not below it");
        assert!(allows(&map, "teams/x").is_empty());
        assert_eq!(allows(&map, "team/deep/er"), ["content/write"]);
        assert_eq!(allows(&map, "team/app"), ["content/write", "content/delete", "untag"], "entries add up");
    }

    #[test]
    fn only_the_documented_wildcards_exist() {
        for bad in ["sample/*/teamA", "sample/teamA*", "sample/teamA/*/projectB/*", "**", "*/a", "*/*", "a/**"] {
            let error = map(&[&format!("repositories/{bad}/content/read")]).unwrap_err();
            assert!(matches!(error, ScopeMapError::Wildcard(_)), "{bad}: {error}");
        }
        assert!(map(&["repositories/sample/teamA/*/content/read"]).is_ok());
        assert_eq!(allows(&map(&["repositories/*/content/read"]).unwrap(), "any/thing"), ["content/read"]);
    }

    #[test]
    fn what_is_no_action_says_so() {
        for bad in ["", "repositories", "a/content/read", "repositories/content/read", "repositories//content/read"] {
            assert!(map(&[bad]).is_err(), "{bad}");
        }
        assert!(matches!(map(&["repositories/a/content/fly"]), Err(ScopeMapError::Action(_))));
        assert!(matches!(map(&["repositories/a/catalog/list"]), Err(ScopeMapError::Action(_))), "no catalog");
        assert!(matches!(map(&["repositories/a..b/content/read"]), Err(ScopeMapError::Repository(_))));
        assert_eq!(map(&[]).unwrap_err(), ScopeMapError::Empty);
    }

    #[test]
    fn a_repository_may_be_called_like_an_action() {
        let map = map(&["repositories/content/read/content/read"]).unwrap();
        assert_eq!(allows(&map, "content/read"), ["content/read"]);
        assert!(allows(&map, "content").is_empty());
    }

    #[test]
    fn limits() {
        let many = |count: usize, action: &str| -> Vec<String> {
            (0..count).map(|at| format!("repositories/r{at}/{action}")).collect()
        };
        assert!(normalise(&many(500, "content/read")).is_ok());
        assert_eq!(normalise(&many(501, "content/read")).unwrap_err(), ScopeMapError::TooManyActions);
        let same = vec!["repositories/a/content/read".to_owned(); 1000];
        assert_eq!(normalise(&same).unwrap().len(), 1);
    }

    #[test]
    fn names_of_maps() {
        for good in ["maps1", "My-Map_2", &"m".repeat(50)] {
            assert!(check_map_name(good).is_ok(), "{good}");
        }
        for bad in ["four", "_mine_", "with.dot", &"m".repeat(51), "ünïcode"] {
            assert!(check_map_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn system_maps_are_found_by_name_and_id() {
        for known in &SYSTEM_MAPS {
            let id = system_map_id(known.name).unwrap();
            let compiled = CompiledMap::compile(&known.actions()).unwrap();
            assert_eq!(system_map(id), Some((known, &compiled)));
        }
        let pull = CompiledMap::compile(&SystemMap::named("_REPOSITORIES_pull").unwrap().actions()).unwrap();
        assert_eq!(allows(&pull, "team/app"), ["content/read"]);
        assert_eq!(system_map(Uuid::nil()), None);
        assert_eq!(system_map_id("_nothing"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(repositories/)?[a-z*/A-Z.é]{0,40}(/content/read)?") {
            let read = normalise(std::slice::from_ref(&text));
            if let Ok(shown) = read {
                prop_assert_eq!(normalise(&shown).unwrap(), shown);
            }
        }
    }
}
