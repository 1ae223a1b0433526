//! The server on this machine, over its socket. The code is the credential helper's too, so it lives in `crates/pull`.

pub use shorepass_pull::local::{LocalError, LocalServer};
