//! Pull credentials from a registry: the challenge, the exchange, the tokens; docker and podman logins.
//!
//! The client half of `contracts/azure-clients.md`, section 7. Used by `shorepass login`, `shorepass check-health` and
//! `docker-credential-shorepass`.

pub mod challenge;
pub mod client;
pub mod config;
pub mod credential;
mod files;
pub mod host;
pub mod jwt;
pub mod local;
pub mod paths;
pub mod report;
pub mod session;
pub mod store;
pub mod tool;

pub use credential::Credential;
pub use host::{RegistryHost, Scheme};
