//! The connection floor over real sockets.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers may fail their test")]

mod drain;
mod limits;
mod plain;
mod proxy;
mod socket;
mod support;
mod tls;
