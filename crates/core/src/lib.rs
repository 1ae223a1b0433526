//! Shorepass's vocabulary: names, digests, references, principals, actions, scopes, time.
//!
//! Every string that crosses the wire is a newtype with one private validator; no I/O, no async.

pub mod action;
pub mod digest;
pub mod directory;
pub mod event;
pub mod name;
pub mod principal;
pub mod reference;
pub mod scope;
pub mod text;
pub mod time;

pub use action::{Action, ActionSet};
pub use digest::{Algorithm, Digest, DigestError};
pub use event::{AuditEvent, EventKind, Outcome};
pub use name::{NameError, RegistryName, RepositoryName, Tag};
pub use principal::{CredentialKind, Principal};
pub use reference::{Reference, ReferenceError};
pub use scope::{ScopeError, TokenScope};
pub use time::{Clock, Random, SystemClock, SystemRandom, Timestamp, new_id};
