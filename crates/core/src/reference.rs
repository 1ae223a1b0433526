//! A manifest's reference: a tag or a digest.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, NameError, Tag};

/// What names a manifest in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    Tag(Tag),
    Digest(Digest),
}

/// A text that is neither a tag nor a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error(transparent)]
    Digest(#[from] crate::DigestError),
    #[error(transparent)]
    Tag(#[from] NameError),
}

impl FromStr for Reference {
    type Err = ReferenceError;
    /// A text with a `:` is a digest, for a tag has none.
    fn from_str(input: &str) -> Result<Self, ReferenceError> {
        if input.contains(':') { Ok(Self::Digest(input.parse()?)) } else { Ok(Self::Tag(input.parse()?)) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}
