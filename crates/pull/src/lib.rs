//! Pull credentials from a registry: the challenge, the exchange, the tokens; docker and podman logins.
//!
//! The client half of `contracts/azure-clients.md`, section 7. Used by `shorepass login`, `shorepass check-health` and
//! `docker-credential-shorepass`.

pub mod account;
pub mod challenge;
pub mod client;
pub mod config;
pub mod credential;
pub mod directory;
mod files;
pub mod host;
pub mod http;
pub mod identity;
pub mod jwt;
pub mod local;
pub mod paths;
pub mod remote;
pub mod report;
pub mod server;
pub mod server_url;
pub mod session;
pub mod store;
pub mod tool;

pub use credential::Credential;
pub use host::{RegistryHost, Scheme};
pub use server::{Server, ServerError};
pub use server_url::ServerUrl;
