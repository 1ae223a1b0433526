//! Pull credentials from a registry: the challenge, the exchange, the tokens; docker and podman logins.

pub mod local;
pub mod paths;
