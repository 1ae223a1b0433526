//! The one decision: may this caller do this action on this repository, now? The answer is a [`Permit`], and what touches
//! content takes a permit: a handler that did not ask does not compile.
//!
//! The decision itself is [`policy`]'s: pure, in memory. The [`Directory`] keeps it as fresh as the database.

mod authoriser;
mod caller;
mod directory;
mod manage;
mod permit;
pub mod policy;

pub use authoriser::{Authoriser, Denial};
pub use caller::{Caller, Ceiling};
pub use directory::{Directory, POLL_INTERVAL, Unavailable};
pub use manage::{Ask, Requester, Target};
pub use permit::{
    Catalog, Delete, Grant, Manage, MetadataRead, MetadataWrite, Permit, Pull, Push, RegistrySubject, RepositorySubject,
};
