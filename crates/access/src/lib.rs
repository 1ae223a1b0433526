//! The one decision: may this caller do this action on this repository, now? The answer is a [`Permit`], and what touches
//! content takes a permit: a handler that did not ask does not compile.
//!
//! So far the principals are a registry's admin account, the local operator and anonymous; the directory's come with their
//! issue, and are then decided here too.

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
    Catalog, Delete, Grant, Manage, MetadataRead, MetadataWrite, Permit, Pull, Push, RegistrySubject,
    RepositorySubject, ServerSubject,
};
