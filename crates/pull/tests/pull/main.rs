//! The client half against a strict registry and a strict administration socket.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail like the test itself")]

mod client;
mod fake;
mod session;
mod tool;
