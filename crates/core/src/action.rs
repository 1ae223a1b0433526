//! What can be done to a repository or a registry's content.

use std::fmt;

/// A data-plane action (DESIGN.md, section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Action {
    ContentRead,
    ContentWrite,
    ContentDelete,
    MetadataRead,
    MetadataWrite,
    CatalogList,
}

impl Action {
    pub const ALL: [Self; 6] = [
        Self::ContentRead,
        Self::ContentWrite,
        Self::ContentDelete,
        Self::MetadataRead,
        Self::MetadataWrite,
        Self::CatalogList,
    ];

    /// The name roles and scope maps use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContentRead => "content/read",
            Self::ContentWrite => "content/write",
            Self::ContentDelete => "content/delete",
            Self::MetadataRead => "metadata/read",
            Self::MetadataWrite => "metadata/write",
            Self::CatalogList => "catalog/list",
        }
    }

    /// The name a token's `access` claim and a challenge's `scope` use (what-the-documents-say.md 2a).
    #[must_use]
    pub fn wire(self) -> &'static str {
        match self {
            Self::ContentRead => "pull",
            Self::ContentWrite => "push",
            Self::ContentDelete => "delete",
            Self::MetadataRead => "metadata_read",
            Self::MetadataWrite => "metadata_write",
            Self::CatalogList => "*",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of actions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ActionSet(u8);

impl ActionSet {
    pub const EMPTY: Self = Self(0);

    /// Everything that can be done to one repository.
    pub const REPOSITORY: Self = Self(0b01_1111);

    #[must_use]
    pub fn of(actions: &[Action]) -> Self {
        actions.iter().copied().collect()
    }

    #[must_use]
    pub fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u8) != 0
    }

    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |a| self.contains(*a))
    }
}

impl FromIterator<Action> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        Self(actions.into_iter().fold(0, |set, a| set | 1 << a as u8))
    }
}

impl fmt::Debug for ActionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
