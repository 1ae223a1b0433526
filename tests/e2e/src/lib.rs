//! The harness of the end-to-end tests: it starts the real `shorepass` program in a folder of its own and talks to it as
//! users do. Nothing here knows the server's code. `cargo xtask test` builds the programs and starts the servers needed.
//!
//! - [`Server`] is one running `shorepass serve`, with the command line against its data directory.
//! - [`Http`] speaks to it as a program would; [`raw`] sends what no well-behaved client would.
//! - [`Image`] is a container image made from nothing, and [`Toolbox`] the real clients (podman, skopeo, docker), isolated.

mod environment;
mod http;
mod image;
pub mod raw;
mod server;
mod toolbox;

pub use self::environment::program;
pub use self::http::{Answer, Http, basic, bearer, form, jwt_claims};
pub use self::image::{Image, MEDIA_CONFIG, MEDIA_INDEX, MEDIA_LAYER, MEDIA_MANIFEST, digest_of, pseudo_random};
pub use self::server::{Account, Server, ServerOptions, Stores, eventually};
pub use self::toolbox::{Finished, Toolbox};

/// The user name that goes with a token as password.
pub const NULL_GUID: &str = "00000000-0000-0000-0000-000000000000";
